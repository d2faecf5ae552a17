/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of time that coarsen with age: the writer adds, readers sum. */
#ifndef DATASTALL_RUNFILE_ROLLUP_H
#define DATASTALL_RUNFILE_ROLLUP_H

#include "runfile/commit.h"

struct rf_rollup_shape {
    uint64_t at, levels, buckets, words;
    uint32_t max_mask; /* bit w: word w is a maximum, not a sum */
};

/* Adds values[1 .. words) to the second `number` (1 + seconds of CLOCK_MONOTONIC). *open_number is
 * the second that level 0 is at; a smaller number goes to the open one. Puts at most words *
 * levels changes. */
void rf_rollup_add(struct rf_commit *commit, const struct rf_rollup_shape *shape,
                   uint64_t *open_number, uint64_t number, const uint64_t *values);

/* Sums a copy of a block over the seconds [from_s, to_s], each from the finest level that still has
 * it. A span counts when its middle is inside. values[0] is 0. */
void rf_rollup_sum(const uint64_t *block, const struct rf_rollup_shape *shape, uint64_t from_s,
                   uint64_t to_s, uint64_t *values);

#endif
