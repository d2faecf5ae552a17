/* SPDX-License-Identifier: Apache-2.0 */
/* What a loader delivered over time, from its first wait to its last, as finely as the file still
 * has it. */
#ifndef DATASTALL_RUN_HISTORY_H
#define DATASTALL_RUN_HISTORY_H

#include "runfile/view.h"
#include "stats/stall.h"

struct run_span {
    uint64_t number; /* 1 + time / width on CLOCK_MONOTONIC; 0: empty */
    uint64_t batches, samples;
    uint64_t tokens, longest_ns; /* the longest wait that ended in it */
    struct stall stall;          /* of all of these; its lower bound is not told */
};
/* Level l has the last RF_ROLLUP_BUCKETS spans of RF_ROLLUP_RATIO^l seconds. */
struct run_history {
    struct run_span spans[RF_ROLLUP_LEVELS][RF_ROLLUP_BUCKETS];
};

/* Adds a slot's; *history is made where it is NULL, and stays NULL where there is no memory. */
void run_history_add(struct run_history **history, const struct rf_slot_view *view);

/* The seconds of a level's spans. */
uint64_t run_history_width_s(uint32_t level);

/* The span of this number; NULL: nothing is there. */
const struct run_span *run_history_span(const struct run_history *history, uint32_t level,
                                        uint64_t number);

#endif
