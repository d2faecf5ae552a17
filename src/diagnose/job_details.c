/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/job_details.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/unknown.h"
#include "diagnose/job_parts.h"

/* ---- ranks ---- */

static int compare_ranks(const void *a, const void *b)
{
    const uint64_t x = ((const struct job_rank *)a)->rank, y = ((const struct job_rank *)b)->rank;
    return x < y ? -1 : x > y;
}

static struct job_rank rank_of(const struct job *job, const struct job_member *member, bool known)
{
    struct job_rank rank = {
        .rank = member->rank,
        .batches = member->batches,
        .active_s = member->active_s,
        .stall_s = ((double)member->total.lower_ns + (double)member->total.upper_ns) / 2 * 1e-9,
        .input_s = known ? 0 : NAN,
        .not_input_s = known ? 0 : NAN,
    };
    memcpy(rank.node, job->node[member->node], sizeof rank.node);
    return rank;
}

/* Its loaders, and the processes that had the rank, add up. */
static void unite(struct job_details *details)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < details->rank_count; i++) {
        struct job_rank *last = kept > 0 ? &details->ranks[kept - 1] : NULL;
        const struct job_rank *next = &details->ranks[i];
        if (last == NULL || last->rank != next->rank) {
            details->ranks[kept++] = *next;
            continue;
        }
        last->batches += next->batches;
        last->active_s += next->active_s;
        last->stall_s += next->stall_s;
    }
    details->rank_count = kept;
}

static void charge(struct job_details *details, const struct job_cause *cause)
{
    const struct job_rank key = {.rank = cause->rank};
    struct job_rank *rank =
        bsearch(&key, details->ranks, details->rank_count, sizeof *details->ranks, compare_ranks);
    if (rank == NULL)
        return;
    *(cause->reason == JOB_INPUT ? &rank->input_s : &rank->not_input_s) += cause->lost_s;
    *(cause->reason == JOB_INPUT ? &rank->input_last : &rank->late_last) += cause->steps_last;
}

static bool list_ranks(const struct job *job, const struct job_settling *settling, bool known,
                       struct job_details *details)
{
    details->ranks = calloc(job->count + 1, sizeof *details->ranks);
    if (details->ranks == NULL)
        return false;
    details->rank_count = job->count;
    for (uint32_t i = 0; i < job->count; i++)
        details->ranks[i] = rank_of(job, &job->members[i], known);
    qsort(details->ranks, details->rank_count, sizeof *details->ranks, compare_ranks);
    unite(details);
    for (uint32_t i = 0; known && i < settling->cause_count; i++)
        charge(details, &settling->causes[i]);
    return true;
}

/* ---- spans ---- */

/* A moment's two charges in the order of spans and ranks. */
struct charge {
    uint32_t span;
    uint64_t rank;
    double lost_ns;
};

static int compare_charges(const void *a, const void *b)
{
    const struct charge *one = a, *other = b;
    if (one->span != other->span)
        return one->span < other->span ? -1 : 1;
    return one->rank < other->rank ? -1 : one->rank > other->rank;
}

static void find_most(struct charge *charges, uint32_t count, struct job_details *details)
{
    qsort(charges, count, sizeof *charges, compare_charges);
    double lost_s = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct job_span *span = &details->spans[charges[i].span];
        if (i > 0 && compare_charges(&charges[i - 1], &charges[i]) != 0)
            lost_s = 0;
        lost_s += charges[i].lost_ns * 1e-9;
        if (lost_s <= span->most_s)
            continue;
        span->most_s = lost_s;
        span->most = charges[i].rank;
    }
}

static bool fill_spans(const struct job_moments *moments, struct job_details *details)
{
    double begin = INFINITY, end = -INFINITY;
    struct charge *charges = malloc(((size_t)2 * moments->count + 1) * sizeof *charges);
    if (charges == NULL)
        return false;
    for (uint32_t i = 0; i < moments->count; i++) {
        begin = fmin(begin, moments->moments[i].real_ns);
        end = fmax(end, moments->moments[i].real_ns);
    }
    details->span_s = moments->count > 1 && end > begin ? (end - begin) * 1e-9 / JOB_SPANS : 0;
    for (uint32_t i = 0; i < moments->count && details->span_s > 0; i++) {
        const struct job_moment *moment = &moments->moments[i];
        const uint32_t at = (uint32_t)((moment->real_ns - begin) * 1e-9 / details->span_s);
        const uint32_t s = at < JOB_SPANS ? at : JOB_SPANS - 1;
        details->spans[s].steps++;
        details->spans[s].input_s += moment->input_ns * 1e-9;
        details->spans[s].not_input_s += moment->late_ns * 1e-9;
        charges[2 * i] = (struct charge){s, moment->input_rank, moment->input_ns};
        charges[2 * i + 1] = (struct charge){s, moment->late_rank, moment->late_ns};
    }
    if (details->span_s > 0)
        find_most(charges, 2 * moments->count, details);
    free(charges);
    return true;
}

bool job_settle_in_detail(struct job *job, struct job_figures *figures, struct job_details *details)
{
    struct job_moments moments = {.count = 0};
    struct job_settling settling = {.moments = &moments};
    *details = (struct job_details){.rank_count = 0};
    for (uint32_t s = 0; s < JOB_SPANS; s++)
        details->spans[s].most = DATASTALL_UNKNOWN;
    bool made = job_settle_with(job, figures, &settling);
    const bool known = made && !isnan(figures->lost_s.mean);
    made = made && list_ranks(job, &settling, known, details);
    if (made && known)
        made = fill_spans(&moments, details);
    if (!made)
        job_details_free(details);
    free(moments.moments);
    free(settling.causes);
    return made;
}

void job_details_free(struct job_details *details)
{
    free(details->ranks);
    details->ranks = NULL;
    details->rank_count = 0;
}
