/* SPDX-License-Identifier: Apache-2.0 */
/* What each step of a job lost, and to whom: by how much earlier its last rank would have been ready
 * if none had waited for data, or if the one that came last had come with the others. */
#include <math.h>
#include <stdlib.h>

#include "diagnose/job_parts.h"

/* The largest of some values, whose it is, and the next. */
struct most {
    double value, next;
    uint32_t whose;
};
#define MOST_NONE {-INFINITY, -INFINITY, 0}

static void most_add(struct most *most, double value, uint32_t whose)
{
    if (value > most->value) {
        most->next = most->value;
        most->value = value;
        most->whose = whose;
    } else if (value > most->next) {
        most->next = value;
    }
}

static double most_without(const struct most *most, uint32_t whose)
{
    return most->whose == whose ? most->next : most->value;
}

/* A step of the job: `lag` batches of each rank, from step `from` of the group. */
struct round {
    struct most come, ready; /* asked for the first batch; had the last one */
    double earliest;         /* of those that asked */
    /* Ready, had it not waited: by its mean, least and greatest stall. */
    double unstalled, unstalled_lower, unstalled_upper;
    double stalls, single_upper; /* mean over ranks; the sum of the largest of each batch */
};

static void add_member(const struct job_group *group, uint32_t m, uint32_t from,
                       struct round *round)
{
    const struct job_member *member = group->members[m];
    const uint32_t last = from + group->lag - 1;
    double lower = 0, upper = 0;
    for (uint32_t k = from; k <= last; k++) {
        lower += (double)job_step_of(member, k)->lower_ns;
        upper += (double)job_step_of(member, k)->upper_ns;
    }
    const double ready = job_time(group, member, last, job_step_of(member, last)->end_ns);
    const double come = job_time(group, member, from, job_step_of(member, from)->begin_ns);
    most_add(&round->come, come, m);
    round->earliest = fmin(round->earliest, come);
    most_add(&round->ready, ready, m);
    round->unstalled = fmax(round->unstalled, ready - (lower + upper) / 2);
    round->unstalled_lower = fmax(round->unstalled_lower, ready - lower);
    round->unstalled_upper = fmax(round->unstalled_upper, ready - upper);
    round->stalls += (lower + upper) / 2 / group->count;
}

static double largest_stalls(const struct job_group *group, uint32_t from)
{
    double sum = 0;
    for (uint32_t k = from; k < from + group->lag; k++) {
        double largest = 0;
        for (uint32_t m = 0; m < group->count; m++)
            largest = fmax(largest, (double)job_step_of(group->members[m], k)->upper_ns);
        sum += largest;
    }
    return sum;
}

static struct round look_at(const struct job_group *group, uint32_t from)
{
    struct round round = {.come = MOST_NONE,
                          .ready = MOST_NONE,
                          .earliest = INFINITY,
                          .unstalled = -INFINITY,
                          .unstalled_lower = -INFINITY,
                          .unstalled_upper = -INFINITY};
    for (uint32_t m = 0; m < group->count; m++)
        add_member(group, m, from, &round);
    round.single_upper = largest_stalls(group, from);
    return round;
}

static void add_input(const struct job_group *group, const struct round *round, bool by_gpu,
                      uint32_t segment, struct job_loss *loss)
{
    const double mean = round->ready.value - round->unstalled;
    double lower = round->ready.value - round->unstalled_lower;
    double upper = round->ready.value - round->unstalled_upper;
    lower = fmax(0, lower - group->doubt_ns);
    upper = fmin(round->single_upper, upper + group->doubt_ns);
    /* A program runs ahead of its GPU: ranks that are in step on the GPUs at every batch may seem to be
     * so at every few only. */
    if (by_gpu && group->lag > 1)
        upper = round->single_upper;
    loss->mean += mean;
    loss->lower += lower;
    loss->upper += fmax(mean, upper);
    loss->input_lower[round->ready.whose] += lower;
    loss->input_upper[round->ready.whose] += fmax(mean, upper);
    loss->stalls += round->stalls;
    loss->of_segment[segment] += mean;
    loss->stall_of_segment[segment] += round->stalls;
    loss->input[round->ready.whose] += mean;
    loss->last[round->ready.whose] += mean > 0;
}

/* The one that came last, had it come with the one before it. */
static void add_late(const struct round *round, struct job_loss *loss)
{
    const uint32_t late = round->come.whose;
    const double own = round->ready.whose == late ? round->ready.value : -INFINITY;
    const double shifted = own - (round->come.value - round->come.next);
    const double lost = round->ready.value - fmax(shifted, most_without(&round->ready, late));
    if (!(lost > 0))
        return;
    loss->not_input += lost;
    loss->late[late] += lost;
    loss->late_squares[late] += lost * lost;
    loss->last_late[late]++;
}

static bool make_room(const struct job_group *group, struct job_loss *loss)
{
    *loss = (struct job_loss){.next = group->count_from};
    double **const of_members[] = {&loss->input, &loss->late, &loss->late_squares,
                                   &loss->input_lower, &loss->input_upper};
    bool made = true;
    for (size_t i = 0; i < sizeof of_members / sizeof *of_members; i++) {
        *of_members[i] = calloc(group->count, sizeof(double));
        made &= *of_members[i] != NULL;
    }
    loss->last = calloc(group->count, sizeof *loss->last);
    loss->last_late = calloc(group->count, sizeof *loss->last_late);
    loss->of_segment = calloc(group->segments + 1, sizeof *loss->of_segment);
    loss->stall_of_segment = calloc(group->segments + 1, sizeof *loss->stall_of_segment);
    return made && loss->last != NULL && loss->last_late != NULL && loss->of_segment != NULL &&
           loss->stall_of_segment != NULL;
}

/* Of the loop: between two iterators a program may do whatever it likes. */
static double time_of(const struct job_group *group, uint32_t from, const struct round *round,
                      double before)
{
    const bool first = job_step_of(group->members[0], from)->first;
    return round->ready.value - (first ? fmax(before, round->earliest) : before);
}

/* The number of steps is bounded by what files keep of a run. */
static bool note_moment(const struct job_group *group, const struct round *round,
                        const struct job_loss *before, const struct job_loss *after)
{
    struct job_moments *moments = group->moments;
    if (moments == NULL)
        return true;
    if (moments->count == moments->room) {
        const uint32_t room = moments->room == 0 ? 256 : 2 * moments->room;
        struct job_moment *more = realloc(moments->moments, room * sizeof *more);
        if (more == NULL)
            return false;
        moments->moments = more;
        moments->room = room;
    }
    moments->moments[moments->count++] = (struct job_moment){
        .real_ns = round->ready.value + group->real_ns,
        .input_ns = after->mean - before->mean,
        .late_ns = after->not_input - before->not_input,
        .input_rank = group->members[round->ready.whose]->rank,
        .late_rank = group->members[round->come.whose]->rank,
    };
    return true;
}

bool job_lose(const struct job_group *group, struct job_loss *loss)
{
    if (!make_room(group, loss))
        return false;
    const bool by_gpu = !job_is_by_host(group);
    bool noted = true;
    double before = NAN; /* when the step before it was ready */
    for (uint32_t k = 0; k + group->lag <= group->steps; k++) {
        const uint32_t last = k + group->lag - 1;
        if (k > 0 && group->segment_of[k] != group->segment_of[k - 1])
            before = NAN;
        if (group->indices[k] % group->lag != group->phase ||
            group->segment_of[last] != group->segment_of[k])
            continue;
        const struct round round = look_at(group, k);
        const bool counts =
            group->count_from == 0 || (group->indices[k] >= group->count_from && !isnan(before));
        if (counts) {
            const struct job_loss sums = *loss;
            add_input(group, &round, by_gpu, group->segment_of[k], loss);
            add_late(&round, loss);
            loss->time += isnan(before) ? 0 : time_of(group, k, &round, before);
            loss->steps++;
            noted &= note_moment(group, &round, &sums, loss);
        }
        before = round.ready.value;
        loss->next = group->indices[last] + 1 > loss->next ? group->indices[last] + 1 : loss->next;
    }
    return noted;
}

bool job_find_slowest(const struct job_group *group, struct job_slowest *found)
{
    *found = (struct job_slowest){0, 0, -INFINITY, -INFINITY};
    for (uint32_t m = 0; m < group->count; m++) {
        const double forward_ns = group->members[m]->forward_ns;
        if (isnan(forward_ns))
            return false;
        if (forward_ns > found->slow_ns) {
            *found = (struct job_slowest){m, found->slow, forward_ns, found->slow_ns};
        } else if (forward_ns > found->next_ns) {
            found->next = m;
            found->next_ns = forward_ns;
        }
    }
    return group->count > 1;
}

/* Of pairs (x, y): what a least-squares line through them needs. */
struct line {
    double n, x, y, xx, xy;
};

static void line_add(struct line *line, double x, double y)
{
    line->n++;
    line->x += x;
    line->y += y;
    line->xx += x * x;
    line->xy += x * y;
}

#define LEAST_PAIRS 16
/* x varies by so much of what it can be at least: else any line fits. */
#define LEAST_SPREAD 0.05

/* By so much it had its batch before the last rank. */
static double lead_of(const struct job_group *group, const struct round *round, uint32_t m,
                      uint32_t step)
{
    const struct job_member *member = group->members[m];
    return round->ready.value - job_time(group, member, step, job_step_of(member, step)->end_ns);
}

/* Ranks that meet behind the forward pass take less from one batch to the next by as much as the slow one
 * had its batch earlier than the last rank, up to what it takes longer (a slope of -1). Where they meet
 * in it, the slow one waits there and takes as long as ever (0). */
double job_hidden_ns(const struct job_group *group, const struct job_slowest *slowest)
{
    const double longer_ns = slowest->slow_ns - slowest->next_ns;
    struct line line = {0};
    double waits = 0;
    if (group->lag != 1 || group->steps == 0)
        return NAN;
    struct round round, following = look_at(group, 0);
    for (uint32_t k = 0; k + 1 < group->steps; k++) {
        round = following;
        following = look_at(group, k + 1);
        if (group->segment_of[k] != group->segment_of[k + 1] ||
            job_step_of(group->members[slowest->slow], k + 1)->first)
            continue;
        const double lead = lead_of(group, &round, slowest->slow, k);
        line_add(&line, fmin(lead, longer_ns), following.unstalled - round.ready.value);
        waits += lead - lead_of(group, &round, slowest->next, k);
    }
    if (line.n < LEAST_PAIRS)
        return NAN;
    const double mean = line.x / line.n, variance = line.xx / line.n - mean * mean;
    if (variance < LEAST_SPREAD * LEAST_SPREAD * longer_ns * longer_ns)
        return NAN;
    const double slope = (line.xy / line.n - mean * line.y / line.n) / variance;
    return slope < -0.5 ? mean : fmax(0, waits / line.n);
}

void job_loss_free(struct job_loss *loss)
{
    free(loss->input);
    free(loss->late);
    free(loss->late_squares);
    free(loss->input_lower);
    free(loss->input_upper);
    free(loss->last);
    free(loss->last_late);
    free(loss->of_segment);
    free(loss->stall_of_segment);
}
