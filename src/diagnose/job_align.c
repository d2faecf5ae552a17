/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the batches of ranks side by side, and tells whether the ranks wait for each other. */
#include <math.h>
#include <stdlib.h>

#include "diagnose/job_parts.h"

/* ---- common steps ---- */

/* Moves a member's place to its first step from `index` on; false: there is none. */
static bool advance(const struct job_member *member, uint32_t *place, uint64_t index)
{
    while (*place < member->count && member->steps[*place].index < index)
        ++*place;
    return *place < member->count;
}

/* The next index that all members have, from `index` on; false: none is left. */
static bool find_index(const struct job_group *group, uint32_t *places, uint64_t *index)
{
    for (uint32_t agreed = 0, m = 0; agreed < group->count; m = (m + 1) % group->count) {
        if (!advance(group->members[m], &places[m], *index))
            return false;
        const uint64_t there = group->members[m]->steps[places[m]].index;
        agreed = there == *index ? agreed + 1 : 1;
        *index = there;
    }
    return true;
}

static bool make_room(struct job_group *group)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t m = 0; m < group->count; m++)
        least = group->members[m]->count < least ? group->members[m]->count : least;
    const size_t room = least > 0 ? least : 1;
    group->indices = calloc(room, sizeof *group->indices);
    group->segment_of = calloc(room, sizeof *group->segment_of);
    bool made = group->indices != NULL && group->segment_of != NULL;
    for (uint32_t m = 0; m < group->count; m++) {
        group->members[m]->at = calloc(room, sizeof *group->members[m]->at);
        made &= group->members[m]->at != NULL;
    }
    return made;
}

bool job_find_common(struct job_group *group)
{
    uint32_t *places = calloc(group->count, sizeof *places);
    if (places == NULL || !make_room(group)) {
        free(places);
        return false;
    }
    for (uint64_t index = 0; find_index(group, places, &index); index++) {
        const uint32_t k = group->steps++;
        group->indices[k] = index;
        if (k > 0)
            group->segment_of[k] = group->segment_of[k - 1] + (index != group->indices[k - 1] + 1);
        for (uint32_t m = 0; m < group->count; m++)
            group->members[m]->at[k] = places[m];
    }
    group->segments = group->steps > 0 ? group->segment_of[group->steps - 1] + 1 : 0;
    free(places);
    return true;
}

bool job_epochs_agree(const struct job_group *group)
{
    for (uint32_t k = 0; k < group->steps; k++) {
        const bool first = job_step_of(group->members[0], k)->first;
        for (uint32_t m = 1; m < group->count; m++) {
            if (job_step_of(group->members[m], k)->first != first)
                return false;
        }
    }
    return true;
}

bool job_is_by_host(const struct job_group *group)
{
    for (uint32_t m = 0; m < group->count; m++) {
        if (group->members[m]->gpu)
            return false;
    }
    return true;
}

/* ---- clocks ---- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* [clock][step]: when the first rank of each clock asked for its batch, on that clock; INFINITY where
 * a clock has no rank. */
static double *first_arrivals(const struct job_group *group, uint32_t clocks)
{
    double *first = malloc((size_t)clocks * group->steps * sizeof *first);
    for (size_t i = 0; first != NULL && i < (size_t)clocks * group->steps; i++)
        first[i] = INFINITY;
    for (uint32_t m = 0; first != NULL && m < group->count; m++) {
        const struct job_member *member = group->members[m];
        double *own = first + (size_t)member->clock * group->steps;
        for (uint32_t k = 0; k < group->steps; k++)
            own[k] = fmin(own[k], (double)job_step_of(member, k)->begin_ns);
    }
    return first;
}

/* Ranks that wait for each other come to a step together but for what each does by itself. So one
 * clock is off another by the median of what its first rank differs, in a run of consecutive steps;
 * how far single steps are off that is the doubt. */
static void align(struct job_group *group, const double *reference, const double *own,
                  uint32_t clock, double *room)
{
    double doubt = 0;
    for (uint32_t segment = 0, k = 0; segment < group->segments; segment++) {
        uint32_t count = 0;
        for (; k < group->steps && group->segment_of[k] == segment; k++)
            room[count++] = reference[k] - own[k];
        const double offset = median(room, count);
        group->offsets[(size_t)clock * group->segments + segment] = (int64_t)offset;
        for (uint32_t i = 0; i < count; i++)
            room[i] = fabs(room[i] - offset);
        doubt += median(room, count) / group->segments;
    }
    group->doubt_ns = fmax(group->doubt_ns, doubt);
}

bool job_find_clocks(struct job_group *group, uint32_t clocks)
{
    const uint32_t reference = group->members[0]->clock;
    double *room = malloc((group->steps + 1) * sizeof *room);
    double *first = NULL;
    group->offsets = calloc((size_t)clocks * group->segments + 1, sizeof *group->offsets);
    bool made = room != NULL && group->offsets != NULL;
    if (made && clocks > 1 && group->steps > 0) {
        first = first_arrivals(group, clocks);
        made = first != NULL;
    }
    for (uint32_t c = 0; first != NULL && c < clocks; c++) {
        const double *own = first + (size_t)c * group->steps;
        if (c != reference && !isinf(own[0]))
            align(group, first + (size_t)reference * group->steps, own, c, room);
    }
    free(first);
    free(room);
    return made;
}

/* ---- in step ---- */

#define LEAST_IN_STEP 0.95
#define LEAST_PAIRS 8u
#define SLACK_NS 200e3 /* two ranks read their clocks at different moments of the same step */

struct border { /* of a step over all ranks, on the common clock */
    double first_begin, last_end;
};

static struct border *find_borders(const struct job_group *group)
{
    struct border *borders = malloc((group->steps + 1) * sizeof *borders);
    for (uint32_t k = 0; borders != NULL && k < group->steps; k++)
        borders[k] = (struct border){INFINITY, -INFINITY};
    for (uint32_t m = 0; borders != NULL && m < group->count; m++) {
        for (uint32_t k = 0; k < group->steps; k++) {
            const struct job_step *step = job_step_of(group->members[m], k);
            const double begin = job_time(group, group->members[m], k, step->begin_ns);
            borders[k].first_begin = fmin(borders[k].first_begin, begin);
            borders[k].last_end =
                fmax(borders[k].last_end, job_time(group, group->members[m], k, step->end_ns));
        }
    }
    return borders;
}

/* Who takes part in a step cannot be done with it before the last rank has its batch: nobody asks for
 * the batch `lag` later before that. */
static bool holds(const struct job_group *group, const struct border *borders, uint32_t lag)
{
    uint32_t pairs = 0, in_step = 0;
    for (uint32_t k = 0; k + lag < group->steps; k++) {
        if (group->indices[k + lag] != group->indices[k] + lag)
            continue;
        pairs++;
        in_step +=
            borders[k + lag].first_begin + SLACK_NS + 2 * group->doubt_ns >= borders[k].last_end;
    }
    return pairs >= LEAST_PAIRS && in_step >= LEAST_IN_STEP * pairs;
}

/* Of ranks that happen to be equally fast, but do not wait for each other, the above may hold too, and
 * of ranks that wait for each other every fourth batch it may hold at every second. But who waits for
 * the last rank is held up by as much more as that is later: what it takes until its next batch differs
 * from step to step as its distance to the last one does. Taken within each rank, since what one does
 * after each step is its own, and by medians, since what it does now and then is so, too; and where most
 * steps are alike, by the slope. */
#define MOST_APART 0.7
#define FAR_BETTER 0.6
#define LEAST_SLOPE 0.75
#define MOST_SLOPE 1.5
/* Of the time of a step: less is told from what a busy machine does to each rank by neither. */
#define LEAST_MEDIAN 0.1
#define LEAST_SPREAD 0.05

struct answer {
    double distance, apart;   /* medians off the median: of the distances, of what differs */
    double squares, products; /* of distances, and with what it took; about their means */
    double time;              /* of the steps */
    uint32_t count;
    double *distances, *rests; /* room for a rank's */
};

static double spread_of(double *values, uint32_t count)
{
    const double middle = median(values, count);
    for (uint32_t i = 0; i < count; i++)
        values[i] = fabs(values[i] - middle);
    return median(values, count);
}

static void add_answers(struct answer *all, uint32_t count)
{
    double x = 0, y = 0, xx = 0, xy = 0;
    for (uint32_t i = 0; i < count; i++) {
        const double distance = all->distances[i], took = all->rests[i] + distance;
        x += distance;
        y += took;
        xx += distance * distance;
        xy += distance * took;
    }
    all->squares += xx - x * x / count;
    all->products += xy - x * y / count;
    all->count += count;
    all->distance += spread_of(all->distances, count) * count;
    all->apart += spread_of(all->rests, count) * count;
}

/* How the ranks answer to the last one of a step that ends before `phase`, modulo lag. hidden_ns: it may come
 * so late without holding up anybody. */
static void find_answers(const struct job_group *group, const struct border *borders, uint32_t lag,
                         uint32_t phase, double hidden_ns, struct answer *all)
{
    for (uint32_t m = 0; m < group->count; m++) {
        const struct job_member *member = group->members[m];
        uint32_t count = 0;
        for (uint32_t k = 0; k + 1 < group->steps; k++) {
            if (group->indices[k + 1] != group->indices[k] + 1 ||
                group->indices[k + 1] % lag != phase)
                continue;
            const double end = job_time(group, member, k, job_step_of(member, k)->end_ns);
            const double next =
                job_time(group, member, k + 1, job_step_of(member, k + 1)->begin_ns);
            const double distance = fmax(0, borders[k].last_end - end - hidden_ns);
            all->distances[count] = distance;
            all->rests[count++] = next - end - distance;
            all->time += borders[k + 1].last_end - borders[k].last_end;
        }
        if (count >= LEAST_PAIRS)
            add_answers(all, count);
    }
}

enum following { FOLLOWS_NOT, FOLLOWS, IS_EVEN /* too little to tell by; then they wait alike */ };

static enum following judge(const struct answer *all, double *apart)
{
    *apart = 1;
    const double slope = all->products / all->squares;
    if (all->count == 0 || sqrt(all->squares / all->count) < LEAST_SPREAD * all->time / all->count)
        return IS_EVEN;
    if (all->distance < LEAST_MEDIAN * all->time)
        return slope >= LEAST_SLOPE && slope <= MOST_SLOPE ? FOLLOWS : FOLLOWS_NOT;
    *apart = all->apart / all->distance;
    return *apart <= MOST_APART ? FOLLOWS : FOLLOWS_NOT;
}

/* How a group of `lag` batches fits: at which phase, and how well; less is better. */
struct fit {
    enum following following;
    uint32_t lag, phase;
    double apart;
};

static struct fit find_fit(const struct job_group *group, const struct border *borders,
                           uint32_t lag, double hidden_ns, double *room)
{
    struct fit fit = {.following = IS_EVEN, .lag = lag, .apart = INFINITY};
    for (uint32_t phase = 0; phase < lag; phase++) {
        struct answer all = {.distances = room, .rests = room + group->steps};
        double apart;
        find_answers(group, borders, lag, phase, hidden_ns, &all);
        const enum following following = judge(&all, &apart);
        if (following == FOLLOWS && apart < fit.apart)
            fit = (struct fit){FOLLOWS, lag, phase, apart};
        else if (following == FOLLOWS_NOT && fit.following == IS_EVEN)
            fit.following = FOLLOWS_NOT;
    }
    return fit;
}

/* By so much the forward pass of one rank is longer than all others': they wait for it where they meet behind
 * that, and a batch that comes later by less, to another rank, holds up nobody. 0: not known. */
static double longer_ns(const struct job_group *group)
{
    struct job_slowest found;
    return job_find_slowest(group, &found) ? found.slow_ns - found.next_ns : 0;
}

/* The first that fits, unless a later one fits far better: on a busy machine a wrong one may just pass.
 * A host that runs ahead of its GPU says little of when that is done: there the first that keeps the
 * order will do if none is followed. */
static struct fit choose(const struct job_group *group, const struct border *borders, bool by_host,
                         double *room)
{
    static const uint32_t lags[] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32};
    struct fit chosen = {.apart = INFINITY}, ordered = {0};
    for (uint32_t i = 0; i < sizeof lags / sizeof *lags; i++) {
        if (!holds(group, borders, lags[i]))
            continue;
        struct fit fit = find_fit(group, borders, lags[i], 0, room);
        const double hidden_ns =
            lags[i] == 1 && fit.following == FOLLOWS_NOT ? longer_ns(group) : 0;
        if (hidden_ns > 0)
            fit = find_fit(group, borders, lags[i], hidden_ns, room);
        if (fit.following == IS_EVEN || (!by_host && lags[i] == 1))
            return chosen.lag > 0 ? chosen : fit;
        if (!by_host && ordered.lag == 0)
            ordered = fit;
        if (fit.following == FOLLOWS && fit.apart < FAR_BETTER * chosen.apart)
            chosen = fit;
        if (chosen.lag == 1 && chosen.apart == 1)
            return chosen; /* by the slope */
    }
    return chosen.lag > 0 ? chosen : ordered;
}

bool job_find_lag(struct job_group *group, bool by_host)
{
    struct border *borders = find_borders(group);
    double *room = malloc((size_t)2 * (group->steps + 1) * sizeof *room);
    const bool made = borders != NULL && room != NULL;
    const struct fit fit = made ? choose(group, borders, by_host, room) : (struct fit){0};
    group->lag = fit.lag;
    group->phase = fit.phase;
    free(borders);
    free(room);
    return made;
}

void job_group_free(struct job_group *group)
{
    for (uint32_t m = 0; m < group->count; m++) {
        free(group->members[m]->at);
        group->members[m]->at = NULL;
    }
    free(group->indices);
    free(group->segment_of);
    free(group->offsets);
}
