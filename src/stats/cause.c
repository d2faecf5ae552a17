/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/cause.h"

#include <string.h>

#include "base/hot.h"
#include "base/sums.h"

DS_WAIT_END static struct cause_span *append(struct cause_timeline *timeline, uint64_t begin_ns,
                                             uint64_t end_ns, uint32_t state)
{
    if (timeline->count == CAUSE_SPANS)
        return NULL;
    struct cause_span *span = &timeline->spans[timeline->count++];
    *span = (struct cause_span){.begin_ns = begin_ns, .end_ns = end_ns, .state = state};
    return span;
}

/* Cuts a span to [from, to) and to what is behind the timeline's end; false: nothing is left. */
DS_WAIT_END static bool cut(const struct cause_timeline *timeline, uint64_t from, uint64_t to,
                            uint64_t *begin_ns, uint64_t *end_ns)
{
    if (timeline->count > 0 && timeline->spans[timeline->count - 1].end_ns > from)
        from = timeline->spans[timeline->count - 1].end_ns;
    if (*begin_ns < from)
        *begin_ns = from;
    if (*end_ns > to)
        *end_ns = to;
    return *begin_ns < *end_ns;
}

DS_WAIT_END void cause_add(struct cause_timeline *timeline, uint64_t from, uint64_t to,
                           uint64_t begin_ns, uint64_t end_ns, uint32_t state)
{
    if (cut(timeline, from, to, &begin_ns, &end_ns))
        append(timeline, begin_ns, end_ns, state);
}

DS_WAIT_END void cause_add_batch(struct cause_timeline *timeline, uint64_t from, uint64_t to,
                                 const struct cause_batch *batch)
{
    uint64_t begin_ns = batch->begin_ns, end_ns = batch->items_end_ns;
    if (cut(timeline, from, to, &begin_ns, &end_ns)) {
        struct cause_span *span = append(timeline, begin_ns, end_ns, CAUSE_ITEMS);
        if (span != NULL) {
            span->wall_ns = batch->items_end_ns - batch->begin_ns;
            span->cpu_ns = batch->cpu_ns;
            span->delay_ns = batch->delay_ns;
            span->threads_ns = batch->threads_ns;
        }
    }
    begin_ns = batch->items_end_ns;
    end_ns = batch->end_ns;
    if (cut(timeline, from, to, &begin_ns, &end_ns)) {
        struct cause_span *span = append(timeline, begin_ns, end_ns, CAUSE_COLLATION);
        if (span != NULL) {
            span->wall_ns = batch->end_ns - batch->items_end_ns;
            span->delay_ns = batch->collate_delay_ns;
            span->threads_ns = batch->collate_threads_ns;
        }
    }
}

void cause_add_handover(struct cause_timeline *timeline, uint64_t from, uint64_t to,
                        uint64_t begin_ns, uint64_t end_ns, const struct cause_work *work)
{
    const uint64_t wall_ns = end_ns > begin_ns ? end_ns - begin_ns : 0;
    if (!cut(timeline, from, to, &begin_ns, &end_ns))
        return;
    struct cause_span *span = append(timeline, begin_ns, end_ns, CAUSE_HANDOVER);
    if (span == NULL)
        return;
    span->wall_ns = wall_ns;
    span->cpu_ns = work->cpu_ns;
    span->delay_ns = work->delay_ns;
    span->collate_ns = work->collate_ns;
    span->threads_ns = work->threads_ns;
}

DS_WAIT_END static void insert(struct cause_timeline *timeline, uint32_t at,
                               const struct cause_span *span)
{
    memmove(&timeline->spans[at + 1], &timeline->spans[at],
            (timeline->count - at) * sizeof *timeline->spans);
    timeline->spans[at] = *span;
    timeline->count++;
}

DS_WAIT_END void cause_overlay(struct cause_timeline *timeline, uint64_t begin_ns, uint64_t end_ns,
                               uint32_t state)
{
    if (begin_ns >= end_ns)
        return;
    uint32_t i = 0;
    while (i < timeline->count) {
        struct cause_span *span = &timeline->spans[i];
        if (span->end_ns <= begin_ns || span->begin_ns >= end_ns) {
            i++;
        } else if (span->begin_ns >= begin_ns && span->end_ns <= end_ns) { /* covered */
            memmove(span, span + 1, (timeline->count - i - 1) * sizeof *span);
            timeline->count--;
        } else if (span->begin_ns < begin_ns && span->end_ns > end_ns) { /* cut in two */
            if (timeline->count + 2 > CAUSE_SPANS)
                return;
            struct cause_span rest = *span;
            rest.begin_ns = end_ns;
            span->end_ns = begin_ns;
            insert(timeline, i + 1, &rest);
            break;
        } else {
            if (span->begin_ns < begin_ns)
                span->end_ns = begin_ns;
            else
                span->begin_ns = end_ns;
            i++;
        }
    }
    if (timeline->count == CAUSE_SPANS)
        return;
    const struct cause_span own = {.begin_ns = begin_ns, .end_ns = end_ns, .state = state};
    uint32_t at = 0;
    while (at < timeline->count && timeline->spans[at].begin_ns < begin_ns)
        at++;
    insert(timeline, at, &own);
}

/* In the proportion of what the thread did. What was measured may pass the wall time by
 * the distance of two clock reads, so each part is limited by what is left. */
DS_WAIT_END static __attribute__((noinline)) void
split_items(const struct cause_span *span, uint64_t part_ns, uint64_t sums[CAUSE_STATES])
{
    if (span->wall_ns == 0) {
        sums[CAUSE_UNKNOWN] += part_ns;
        return;
    }
    const double share = (double)part_ns / (double)span->wall_ns;
    const uint64_t parts_ns[] = {span->cpu_ns, span->delay_ns, span->collate_ns, span->threads_ns};
    static const enum cause_state states[] = {CAUSE_COMPUTE, CAUSE_CPU_CONTENTION, CAUSE_COLLATE,
                                              CAUSE_COMPUTE_IN_THREADS};
    uint64_t left_ns = part_ns;
    for (int i = 0; i < 4; i++) {
        uint64_t ns = (uint64_t)((double)parts_ns[i] * share);
        if (ns > left_ns)
            ns = left_ns;
        sums[states[i]] += ns;
        left_ns -= ns;
    }
    sums[span->state == CAUSE_ITEMS      ? CAUSE_BLOCKED
         : span->state == CAUSE_HANDOVER ? CAUSE_TRANSFER
                                         : CAUSE_COLLATE] += left_ns;
}

DS_WAIT_END void cause_split(const struct cause_timeline *timeline, uint64_t from, uint64_t to,
                             uint64_t sums[CAUSE_STATES])
{
    if (to <= from)
        return;
    uint64_t covered_ns = 0;
    for (uint32_t i = 0; i < timeline->count; i++) {
        const struct cause_span *span = &timeline->spans[i];
        const uint64_t part_ns = cause_overlap(span->begin_ns, span->end_ns, from, to);
        covered_ns += part_ns;
        if (span->state >= CAUSE_STATES)
            split_items(span, part_ns, sums);
        else
            sums[span->state] += part_ns;
    }
    sums[CAUSE_UNKNOWN] += to - from - covered_ns;
}

DS_WAIT_END void cause_split_own(const struct cause_own *own, uint64_t from, uint64_t to,
                                 uint64_t sums[CAUSE_STATES])
{
    if (to <= from)
        return;
    const uint64_t sampler_ns = cause_overlap(own->sampler_begin_ns, own->sampler_end_ns, from, to);
    const uint64_t items_ns = cause_overlap(own->begin_ns, own->items_end_ns, from, to);
    const uint64_t collate_ns = cause_overlap(own->items_end_ns, own->end_ns, from, to);
    sums[CAUSE_SAMPLER] += sampler_ns;
    sums[CAUSE_COMPUTE] += items_ns;
    sums[CAUSE_COLLATE] += collate_ns;
    sums[CAUSE_OVERHEAD] += to - from - sampler_ns - items_ns - collate_ns;
}

DS_WAIT_END void cause_split_wait(const struct wait_cause *cause, uint64_t from, uint64_t to,
                                  uint64_t sums[CAUSE_STATES])
{
    if (cause->own.end_ns != 0)
        cause_split_own(&cause->own, from, to, sums);
    else
        cause_split(&cause->timeline, from, to, sums);
}

static void move(struct cause_share *share, enum cause_state to, uint64_t most_ns)
{
    const uint64_t ns = ds_least(share->states_ns[CAUSE_TRANSFER], most_ns);
    share->states_ns[CAUSE_TRANSFER] -= ns;
    share->states_ns[to] += ns;
}

/* How long the other threads of the process had something to do: they ran, and beside a crowd waited
 * for a CPU, each its turn. Only where the loop's own thread is seen to wait as well: the crowd may be
 * another group's, whose threads take nothing from these. */
static uint64_t others_busy_ns(const struct cause_loop *loop)
{
    if (!(loop->others_busy > 1) || !cause_is_crowded(loop))
        return loop->others_cpu_ns;
    return (uint64_t)((double)loop->others_cpu_ns * loop->others_busy);
}

/* A batch that is there wakes the loop's thread, which then needs a CPU and the interpreter: so much of
 * its way was not the way. Python hands the interpreter on every 5 ms; where the other threads were at
 * work for most of the wait and it stood still for that long, they had it. */
static void look_at_the_loop(const struct cause_loop *loop, uint64_t wait_ns,
                             struct cause_share *share)
{
    move(share, CAUSE_LOOP_CPU_WAIT, loop->delay_ns);
    const uint64_t left_ns = ds_subtract(share->states_ns[CAUSE_TRANSFER], loop->cpu_ns);
    if (left_ns >= CAUSE_INTERPRETER_TURN_NS && others_busy_ns(loop) >= wait_ns / 2)
        move(share, CAUSE_INTERPRETER, left_ns);
}

DS_WAIT_END void cause_of_stall(const struct wait_cause *cause, uint64_t begin_ns, uint64_t end_ns,
                                uint64_t stall_ns, struct cause_share *share)
{
    const uint64_t from = stall_ns < end_ns - begin_ns ? end_ns - stall_ns : begin_ns;
    memset(share, 0, sizeof *share);
    cause_split_wait(cause, from, end_ns, share->states_ns);
    if (DS_SELDOM(cause->loop.cpu_ns + cause->loop.delay_ns > 0))
        look_at_the_loop(&cause->loop, end_ns - begin_ns, share);
    if (DS_MOSTLY(cause->later_ready_ns == 0))
        return;
    const uint64_t whole_ns =
        cause_overlap(cause->later_ready_ns, cause->blocker_ns, begin_ns, end_ns);
    const uint64_t part_ns = cause_overlap(cause->later_ready_ns, cause->blocker_ns, from, end_ns);
    share->later_ready_ns = part_ns;
    if (whole_ns == 0)
        return;
    uint64_t idle_ns =
        (uint64_t)((double)cause->others_idle_ns * ((double)part_ns / (double)whole_ns));
    if (idle_ns > part_ns)
        idle_ns = part_ns;
    share->others_idle_ns = idle_ns;
    share->window_full_ns = cause->window_full ? idle_ns : 0;
}
