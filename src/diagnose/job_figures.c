/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/job_parts.h"

#define LEAST_STEPS 8u
#define UNEVEN \
    1.02 /* batches of one rank to those of another; a run that goes on differs by less */
#define LEAST_PRESSURE 0.05

/* ---- groups ---- */

static int compare_members(const void *a, const void *b)
{
    const struct job_member *one = a, *other = b;
    const int loader = strcmp(one->loader, other->loader);
    if (loader != 0)
        return loader;
    if (one->restart != other->restart)
        return one->restart < other->restart ? -1 : 1;
    if (one->rank != other->rank)
        return one->rank < other->rank ? -1 : 1;
    return one->opened_ns < other->opened_ns ? -1 : one->opened_ns > other->opened_ns;
}

static bool same_rank(const struct job_member *one, const struct job_member *other)
{
    return one->rank == other->rank && one->restart == other->restart &&
           strcmp(one->loader, other->loader) == 0;
}

/* Which of the processes that had the rank: a script may start its ranks more than once. */
static uint32_t ordinal_of(const struct job *job, uint32_t index)
{
    uint32_t ordinal = 0;
    while (ordinal < index && same_rank(&job->members[index - ordinal - 1], &job->members[index]))
        ordinal++;
    return ordinal;
}

/* The members from `first` on that share its loader and restart, and have the ordinal. */
static uint32_t collect(const struct job *job, uint32_t first, uint32_t end, uint32_t ordinal,
                        struct job_member **members)
{
    uint32_t count = 0;
    for (uint32_t i = first; i < end; i++) {
        if (ordinal_of(job, i) == ordinal)
            members[count++] = &job->members[i];
    }
    return count;
}

static uint32_t end_of(const struct job *job, uint32_t first)
{
    uint32_t end = first;
    while (end < job->count && job->members[end].restart == job->members[first].restart &&
           strcmp(job->members[end].loader, job->members[first].loader) == 0)
        end++;
    return end;
}

/* ---- the figures of a group ---- */

/* Sums that go on from group to group. */
struct sums {
    struct job_figures *figures;
    double mean, lower, upper, not_input, variance, stalls;
    double unknown_stalls; /* of groups without a number */
    struct job_cause *causes;
    uint32_t cause_count;
    struct job_moments *moments;
};

static double total_of(const struct job_member *member)
{
    return ((double)member->total.lower_ns + (double)member->total.upper_ns) / 2;
}

static double mean_total(const struct job_group *group)
{
    double sum = 0;
    for (uint32_t m = 0; m < group->count; m++)
        sum += total_of(group->members[m]);
    return sum / group->count;
}

static uint64_t least_batches(const struct job_group *group, uint64_t *most)
{
    uint64_t least = UINT64_MAX;
    *most = 0;
    for (uint32_t m = 0; m < group->count; m++) {
        const uint64_t batches = group->members[m]->batches;
        least = batches < least ? batches : least;
        *most = batches > *most ? batches : *most;
    }
    return least;
}

static void no_number(struct sums *sums, const struct job_group *group, const char *why)
{
    sums->unknown_stalls += mean_total(group);
    if (sums->figures->says[0] == '\0')
        snprintf(sums->figures->says, sizeof sums->figures->says, "%s", why);
}

static struct job_cause *cause_at(struct sums *sums, const struct job *job,
                                  const struct job_member *member, enum job_reason reason)
{
    for (uint32_t i = 0; i < sums->cause_count; i++) {
        if (sums->causes[i].rank == member->rank && sums->causes[i].reason == reason)
            return &sums->causes[i];
    }
    struct job_cause *cause = &sums->causes[sums->cause_count++];
    *cause = (struct job_cause){.rank = member->rank, .reason = reason};
    snprintf(cause->node, sizeof cause->node, "%s", job->node[member->node]);
    return cause;
}

/* Most steps are late by next to nothing: what is told is the lateness that the loss is made of. */
static void tell_late(const struct job *job, const struct job_member *member,
                      const struct job_loss *loss, uint32_t m, struct job_cause *cause)
{
    const double typical_ns = loss->late_squares[m] / loss->late[m];
    const double steps = loss->late[m] / typical_ns;
    const int length = snprintf(
        cause->why, sizeof cause->why,
        "it asked for its next batch %.*f ms after the others, in %.0f %% of the steps%s%s",
        typical_ns < 10e6, typical_ns * 1e-6, 100 * steps / (double)loss->steps,
        member->machine[0] != '\0' ? "; " : "", member->machine);
    /* Of one machine it says nothing of one rank. */
    if (member->machine[0] == '\0' && job->nodes > 1 && member->cpu_pressure >= LEAST_PRESSURE)
        snprintf(cause->why + length, sizeof cause->why - (size_t)length,
                 "; tasks of its machine waited for a CPU for %.0f %% of the time",
                 member->cpu_pressure * 100);
}

static void add_causes(struct sums *sums, const struct job *job, const struct job_group *group,
                       const struct job_loss *loss, double input_scale, double step_scale)
{
    for (uint32_t m = 0; m < group->count; m++) {
        const struct job_member *member = group->members[m];
        if (loss->input[m] > 0) {
            struct job_cause *cause = cause_at(sums, job, member, JOB_INPUT);
            /* The loader that it lost most with has the word. */
            if (loss->input[m] * input_scale * 1e-9 > cause->lost_s)
                snprintf(cause->why, sizeof cause->why, "%s", member->cause);
            cause->lost_s += loss->input[m] * input_scale * 1e-9;
            cause->steps_last += loss->last[m];
        }
        if (loss->late[m] > 0) {
            struct job_cause *cause = cause_at(sums, job, member, JOB_NOT_INPUT);
            cause->lost_s += loss->late[m] * step_scale * 1e-9;
            cause->steps_last += loss->last_late[m];
            tell_late(job, member, loss, m, cause);
        }
    }
}

/* What a member's others make it wait for where they meet during the forward pass already (buffers that
 * are sent round there), per step at most. */
static double explained_ns(const struct job_group *group, const struct job_loss *loss,
                           uint32_t slow)
{
    double most = 0;
    for (uint32_t m = 0; m < group->count; m++) {
        if (m != slow)
            most = fmax(most, total_of(group->members[m]) / (double)group->members[m]->batches +
                                  loss->late[m] / (double)loss->steps);
    }
    return most;
}

/* Ranks meet in the backward pass. One that takes longer before it makes all others wait there, and all
 * come to their next batch together: its forward pass alone tells, beside that of the next slowest. */
static void add_slow(struct sums *sums, const struct job *job, const struct job_group *group,
                     const struct job_loss *loss)
{
    struct job_slowest found;
    if (!job_find_slowest(group, &found))
        return;
    const struct job_member *slow = group->members[found.slow];
    if (!job_costs(sums->figures, (found.slow_ns - found.next_ns) * (double)slow->batches * 1e-9))
        return; /* nor does what is left of it, for which each step has to be looked at */
    const double hidden = job_hidden_ns(group, &found);
    const double free_ns = isnan(hidden) ? explained_ns(group, loss, found.slow) : hidden;
    const double lost_s = (found.slow_ns - found.next_ns - free_ns) * (double)slow->batches * 1e-9;
    if (!job_costs(sums->figures, lost_s))
        return;
    struct job_cause *cause = cause_at(sums, job, slow, JOB_NOT_INPUT);
    cause->lost_s += lost_s;
    cause->steps_last += loss->steps;
    sums->not_input += lost_s * 1e9;
    snprintf(
        cause->why, sizeof cause->why,
        "its steps take %.0f ms before the backward pass, those of the next slowest rank %.0f ms",
        found.slow_ns * 1e-6, found.next_ns * 1e-6);
}

/* Of the ratio of the loss to the stalls of the ranks, from stretch to stretch: its variance in
 * (ns of loss)^2. */
static double variance_of(const struct job_group *group, const struct job_loss *loss, double scale)
{
    const double ratio = loss->stalls > 0 ? loss->mean / loss->stalls : 0;
    const double n = group->segments;
    double squares = 0;
    for (uint32_t s = 0; s < group->segments; s++) {
        const double off = loss->of_segment[s] - ratio * loss->stall_of_segment[s];
        squares += off * off;
    }
    return n > 1 ? squares * n / (n - 1) * scale * scale * (1 - 1 / scale) : 0;
}

static void add_loss(struct sums *sums, const struct job *job, const struct job_group *group,
                     const struct job_loss *loss)
{
    struct job_figures *figures = sums->figures;
    uint64_t most;
    const uint64_t batches = least_batches(group, &most);
    const double seen = (double)loss->steps * group->lag;
    const double total = mean_total(group);
    const double step_scale = seen > 0 ? (double)batches / seen : 1;
    const bool all = step_scale < 1.001 + group->lag / seen;
    /* What is not in the batches that were seen: most of it is like those. Where all were, it is what
     * ended iterators, which all ranks do at once. */
    const double input_scale = !all && loss->stalls > 0 ? fmax(1, total / loss->stalls) : 1;
    const double rest = all ? fmax(0, total - loss->stalls) : 0;
    sums->mean += loss->mean * input_scale + rest / 2;
    sums->lower += loss->lower * input_scale;
    sums->upper += loss->upper * input_scale + rest;
    sums->not_input += loss->not_input * step_scale;
    sums->stalls += total;
    if (!all)
        sums->variance += variance_of(group, loss, input_scale);
    figures->steps += batches / group->lag;
    figures->steps_seen += loss->steps;
    if (group->lag > figures->batches_per_step)
        figures->batches_per_step = group->lag;
    figures->clock_doubt_s = fmax(figures->clock_doubt_s, group->doubt_ns * 1e-9);
    add_causes(sums, job, group, loss, input_scale, step_scale);
    add_slow(sums, job, group, loss);
    if ((double)most > UNEVEN * (double)batches + group->lag && figures->note[0] == '\0')
        snprintf(
            figures->note, sizeof figures->note,
            "uneven inputs: the ranks loaded %llu to %llu batches, of which the first %llu are "
            "compared",
            (unsigned long long)batches, (unsigned long long)most, (unsigned long long)batches);
}

static bool settle_aligned(struct sums *sums, const struct job *job, struct job_group *group)
{
    struct job_loss loss = {0};
    if (group->steps < LEAST_STEPS) {
        no_number(sums, group, "too few batches were recorded on all ranks");
        return true;
    }
    if (!job_epochs_agree(group)) {
        no_number(
            sums, group,
            "the ranks' epochs differ in length (uneven inputs), so that it is not known which "
            "batches belong together");
        return true;
    }
    if (!job_find_clocks(group, job->clocks) || !job_find_lag(group, job_is_by_host(group)))
        return false;
    if (group->lag == 0) {
        no_number(sums, group,
                  "the ranks are not in step with each other: none waits for the last one, so each "
                  "rank loses what it stalls by itself");
        return true;
    }
    const bool made = job_lose(group, &loss);
    if (made)
        add_loss(sums, job, group, &loss);
    job_loss_free(&loss);
    return made;
}

static bool settle_group(struct sums *sums, const struct job *job, struct job_group *group)
{
    const bool made = job_find_common(group) && settle_aligned(sums, job, group);
    job_group_free(group);
    return made;
}

/* ---- all of it ---- */

static double real_ns_of(const struct job *job, const struct job_member *member)
{
    return job->clock == NULL ? 0 : (double)job->clock[member->clock].real_ns;
}

static bool settle_groups(struct sums *sums, struct job *job)
{
    struct job_member **members = calloc(job->count + 1, sizeof *members);
    bool made = members != NULL;
    for (uint32_t first = 0, end; made && first < job->count; first = end) {
        end = end_of(job, first);
        uint32_t count;
        for (uint32_t ordinal = 0; made && (count = collect(job, first, end, ordinal, members)) > 0;
             ordinal++) {
            struct job_group group = {.members = members,
                                      .count = count,
                                      .moments = sums->moments,
                                      .real_ns = real_ns_of(job, members[0])};
            if (count > 1)
                made = settle_group(sums, job, &group);
        }
    }
    free(members);
    return made;
}

static int compare_causes(const void *a, const void *b)
{
    const double x = ((const struct job_cause *)a)->lost_s;
    const double y = ((const struct job_cause *)b)->lost_s;
    return (x < y) - (x > y);
}

static void keep_causes(const struct sums *sums, struct job_figures *figures)
{
    double input = 0, most = 0;
    qsort(sums->causes, sums->cause_count, sizeof *sums->causes, compare_causes);
    for (uint32_t i = 0; i < sums->cause_count; i++) {
        if (i < JOB_CAUSES)
            figures->causes[figures->cause_count++] = sums->causes[i];
        if (sums->causes[i].reason == JOB_INPUT) {
            input += sums->causes[i].lost_s;
            most = fmax(most, sums->causes[i].lost_s);
        }
    }
    figures->in_turns = input > 0 && most < 0.6 * input;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* How many different values there are; sorts them. */
static uint32_t count_different(uint64_t *values, uint32_t count)
{
    uint32_t different = count > 0;
    qsort(values, count, sizeof *values, compare_numbers);
    for (uint32_t i = 1; i < count; i++)
        different += values[i] != values[i - 1];
    return different;
}

/* Ranks, restarts, the time of it: what is known before any loss is. */
static bool describe(const struct job *job, struct job_figures *figures)
{
    uint64_t *values = calloc(job->count + 1, sizeof *values);
    if (values == NULL)
        return false;
    for (uint32_t i = 0; i < job->count; i++)
        values[i] = job->members[i].rank;
    figures->ranks = count_different(values, job->count);
    for (uint32_t i = 0; i < job->count; i++)
        values[i] = job->members[i].restart;
    const uint32_t starts = count_different(values, job->count);
    figures->restarts = starts > 0 ? starts - 1 : 0;
    free(values);
    double active = 0;
    for (uint32_t i = 0; i < job->count; i++) {
        const struct job_member *member = &job->members[i];
        active += member->active_s;
        if (member->world_size != DATASTALL_UNKNOWN &&
            (figures->world_size == DATASTALL_UNKNOWN || member->world_size > figures->world_size))
            figures->world_size = member->world_size;
    }
    figures->active_s = figures->ranks > 0 ? active / figures->ranks : NAN;
    figures->nodes = job->nodes;
    snprintf(figures->id, sizeof figures->id, "%s", job->id);
    return true;
}

static void give_range(const struct sums *sums, struct job_figures *figures)
{
    const double random = RANGE_Z90 * sqrt(sums->variance);
    const double known = sums->mean * 1e-9;
    if (figures->says[0] != '\0' &&
        sums->unknown_stalls * 1e-9 >= JOB_LEAST_SHARE * figures->active_s)
        return;
    if (figures->steps_seen == 0)
        return;
    figures->says[0] = '\0';
    figures->lost_s =
        (struct range){known, fmax(0, sums->lower - random) * 1e-9, (sums->upper + random) * 1e-9};
    const double active = figures->active_s;
    figures->lost_s.upper = fmax(known, fmin(figures->lost_s.upper, fmax(known, active)));
    figures->lost_s.lower = fmin(known, figures->lost_s.lower);
    figures->lost_share =
        (struct range){fmin(1, known / active), fmin(1, figures->lost_s.lower / active),
                       fmin(1, figures->lost_s.upper / active)};
    figures->not_input_s = sums->not_input * 1e-9;
}

bool job_settle_with(struct job *job, struct job_figures *figures, struct job_settling *settling)
{
    const struct range unknown = {NAN, NAN, NAN};
    *figures = (struct job_figures){.lost_s = unknown,
                                    .lost_share = unknown,
                                    .not_input_s = NAN,
                                    .world_size = DATASTALL_UNKNOWN,
                                    .busiest_gpu = DATASTALL_UNKNOWN};
    struct sums sums = {.figures = figures, .moments = settling->moments};
    if (job->count > 0)
        qsort(job->members, job->count, sizeof *job->members, compare_members);
    if (!describe(job, figures) || figures->ranks < 2)
        return false;
    sums.causes = calloc((size_t)2 * job->count, sizeof *sums.causes);
    settling->causes = sums.causes;
    if (sums.causes == NULL || !settle_groups(&sums, job))
        return false;
    settling->cause_count = sums.cause_count;
    figures->mean_stall_s = (sums.stalls + sums.unknown_stalls) * 1e-9;
    give_range(&sums, figures);
    if (!isnan(figures->lost_s.mean))
        keep_causes(&sums, figures);
    else if (figures->says[0] == '\0')
        snprintf(figures->says, sizeof figures->says,
                 "no loader was recorded batch by batch on two ranks");
    if (figures->world_size != DATASTALL_UNKNOWN && figures->world_size > figures->ranks &&
        figures->note[0] == '\0')
        snprintf(
            figures->note, sizeof figures->note,
            "%u of %llu ranks loaded data here; of the others nothing is known (another machine, "
            "or a rank that is fed by others)",
            figures->ranks, (unsigned long long)figures->world_size);
    job_find_busiest_gpu(job, figures);
    return true;
}

bool job_settle(struct job *job, struct job_figures *figures)
{
    struct job_settling settling = {.causes = NULL};
    const bool made = job_settle_with(job, figures, &settling);
    free(settling.causes);
    return made;
}
