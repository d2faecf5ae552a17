/* SPDX-License-Identifier: Apache-2.0 */
#include "run/history.h"

#include <stdlib.h>

#include "base/sums.h"

static void add_span(struct run_history *history, uint32_t level, const uint64_t *bucket)
{
    const uint64_t number = bucket[RF_ROLLUP_NUMBER];
    struct run_span *span = &history->spans[level][number % RF_ROLLUP_BUCKETS];
    if (number == 0 || span->number > number)
        return;
    if (span->number < number)
        *span = (struct run_span){.number = number};
    span->batches = ds_add(span->batches, bucket[RF_ROLLUP_OF(BATCHES)]);
    span->samples = ds_add(span->samples, bucket[RF_ROLLUP_OF(SAMPLES)]);
    span->tokens = ds_add(span->tokens, bucket[RF_ROLLUP_OF(TOKENS)]);
    const struct stall stall = rf_stall_of_second(bucket + RF_ROLLUP_OF(BATCHES));
    stall_add(&span->stall, &stall);
    if (bucket[RF_ROLLUP_OF(MAX_NS)] > span->longest_ns)
        span->longest_ns = bucket[RF_ROLLUP_OF(MAX_NS)];
}

void run_history_add(struct run_history **history, const struct rf_slot_view *view)
{
    if (*history == NULL)
        *history = calloc(1, sizeof **history);
    if (*history == NULL)
        return;
    for (uint32_t level = 0; level < RF_ROLLUP_LEVELS && level < view->layout.rollup_levels;
         level++) {
        for (uint64_t i = 0; i < view->layout.rollup_buckets; i++)
            add_span(*history, level, rf_view_rollup(view, level, i));
    }
}

uint64_t run_history_width_s(uint32_t level)
{
    uint64_t width = 1;
    for (; level > 0; level--)
        width *= RF_ROLLUP_RATIO;
    return width;
}

const struct run_span *run_history_span(const struct run_history *history, uint32_t level,
                                        uint64_t number)
{
    const struct run_span *span = &history->spans[level][number % RF_ROLLUP_BUCKETS];
    return number > 0 && span->number == number ? span : NULL;
}
