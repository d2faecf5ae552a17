/* One wait, with everything that is known of it, on its way from next() to its row in the file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_STATS_WAIT_H
#define DATASTALL_STATS_WAIT_H

#include "datastall.h"
#include "stats/cause.h"
#include "stats/stall.h"

struct wait {
    uint64_t begin_ns; /* CLOCK_MONOTONIC */
    uint64_t wait_ns;  /* DS_UNKNOWN allowed */
    uint32_t kind;     /* enum datastall_wait_kind */
    uint32_t stage;
    const datastall_batch *batch; /* never NULL; of this version's size */
    struct stall_bounds exposed;
    /* What it was spent on, NULL: nothing is known; and how its stall is split over that, NULL: not
     * before the stall is known. */
    const struct wait_cause *cause;
    const struct cause_share *split;
};

/* What the length of a wait says of the queue: docs/measuring.md. */
static inline enum datastall_queue_state wait_queue_state(uint64_t wait_ns)
{
    if (wait_ns == DATASTALL_UNKNOWN)
        return DATASTALL_QUEUE_UNKNOWN;
    if (wait_ns < DATASTALL_QUEUE_FULL_BELOW_NS)
        return DATASTALL_QUEUE_FULL;
    return wait_ns > DATASTALL_QUEUE_STARVED_ABOVE_NS ? DATASTALL_QUEUE_STARVED
                                                      : DATASTALL_QUEUE_NORMAL;
}

/* Whether a batch states more than how many samples it has. */
static inline bool wait_is_composed(const datastall_batch *batch)
{
    return batch->tokens != DATASTALL_UNKNOWN || batch->longest_sequence != DATASTALL_UNKNOWN ||
           batch->padded_tokens != DATASTALL_UNKNOWN ||
           batch->mean_sequence_length == batch->mean_sequence_length ||
           batch->packing_efficiency == batch->packing_efficiency;
}

/* The padded size, as stated or as it follows from the rest: samples times the longest sequence. */
static inline uint64_t wait_padded_tokens(const datastall_batch *batch)
{
    if (batch->padded_tokens != DATASTALL_UNKNOWN)
        return batch->padded_tokens;
    /* Unknown is larger than any; two of 32 bits fit. */
    const bool fits = ((batch->samples | batch->longest_sequence) >> 32) == 0;
    const uint64_t padded = batch->samples * batch->longest_sequence;
    return fits && padded <= DATASTALL_MAX_COUNT ? padded : DATASTALL_UNKNOWN;
}

#endif
