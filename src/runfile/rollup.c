/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/rollup.h"

#include <string.h>

#include "base/sums.h"

#define ROLLUP_MAX_WORDS 16
_Static_assert((int)RF_ROLLUP_WORDS <= ROLLUP_MAX_WORDS, "a bucket fits");
_Static_assert((int)RF_GPU_ROLLUP_WORDS <= ROLLUP_MAX_WORDS, "a bucket fits");
_Static_assert((int)RF_GPU_ROLLUP_WORDS *(int)RF_ROLLUP_LEVELS <= (int)RF_JOURNAL_CAPACITY,
               "a second's end fits the journal");

/* The writer's sums: of what it measured itself. */
static uint64_t combine(const struct rf_rollup_shape *shape, uint64_t word, uint64_t old,
                        uint64_t value)
{
    if (word < 32 && shape->max_mask >> word & 1)
        return value > old ? value : old;
    return ds_add(old, value);
}

/* Adds values to one bucket, which starts afresh when it still holds an older span. */
static void add_to_bucket(struct rf_commit *commit, const struct rf_rollup_shape *shape,
                          uint64_t level, uint64_t number, const uint64_t *values)
{
    uint64_t bucket = shape->at + (level * shape->buckets + number % shape->buckets) * shape->words;
    bool fresh = rf_current(commit, bucket) != number;
    for (uint64_t w = 1; w < shape->words; w++) {
        if (values[w] == 0 && !fresh)
            continue;
        uint64_t old = rf_current(commit, bucket + w);
        uint64_t sum = fresh ? values[w] : combine(shape, w, old, values[w]);
        if (sum != old)
            rf_put(commit, bucket + w, sum);
    }
    /* Last, so that no reader sees the new number over values of the span before. */
    if (fresh)
        rf_put(commit, bucket, number);
}

void rf_rollup_add(struct rf_commit *commit, const struct rf_rollup_shape *shape,
                   uint64_t *open_number, uint64_t number, const uint64_t *values)
{
    if (number > *open_number) {
        uint64_t closed_number = *open_number;
        uint64_t closed[ROLLUP_MAX_WORDS];
        uint64_t bucket = shape->at + closed_number % shape->buckets * shape->words;
        if (closed_number != 0) {
            for (uint64_t w = 0; w < shape->words; w++)
                closed[w] = rf_current(commit, bucket + w);
            uint64_t width = 1;
            for (uint64_t level = 1; level < shape->levels; level++) {
                width *= RF_ROLLUP_RATIO;
                add_to_bucket(commit, shape, level, (closed_number - 1) / width + 1, closed);
            }
        }
        *open_number = number;
    }
    add_to_bucket(commit, shape, 0, *open_number, values);
}

/* First span number after the gap-free part that level `level` can still hold, given its newest. */
static uint64_t newest_number(const uint64_t *block, const struct rf_rollup_shape *shape,
                              uint64_t level)
{
    uint64_t newest = 0;
    for (uint64_t b = 0; b < shape->buckets; b++) {
        uint64_t number = block[shape->at + (level * shape->buckets + b) * shape->words];
        if (number > newest)
            newest = number;
    }
    return newest;
}

void rf_rollup_sum(const uint64_t *block, const struct rf_rollup_shape *shape, uint64_t from_s,
                   uint64_t to_s, uint64_t *values)
{
    memset(values, 0, shape->words * sizeof *values);
    uint64_t covered_from = UINT64_MAX; /* seconds from here on are in `values` already */
    uint64_t width = 1;
    for (uint64_t level = 0; level < shape->levels; level++, width *= RF_ROLLUP_RATIO) {
        uint64_t newest = newest_number(block, shape, level);
        if (newest == 0 || newest > UINT64_MAX / width)
            continue;
        uint64_t oldest = newest > shape->buckets ? newest - shape->buckets + 1 : 1;
        uint64_t level_from = (oldest - 1) * width;
        if (level + 1 < shape->levels) { /* where the next level can take over */
            uint64_t next_width = width * RF_ROLLUP_RATIO;
            level_from = (level_from + next_width - 1) / next_width * next_width;
        }
        for (uint64_t b = 0; b < shape->buckets; b++) {
            const uint64_t *bucket =
                block + shape->at + (level * shape->buckets + b) * shape->words;
            if (bucket[0] < oldest || bucket[0] > newest)
                continue;
            uint64_t start = (bucket[0] - 1) * width;
            uint64_t middle = start + width / 2;
            if (start < level_from || start >= covered_from || middle < from_s || middle > to_s)
                continue;
            for (uint64_t w = 1; w < shape->words; w++) {
                const bool is_max = w < 32 && (shape->max_mask >> w & 1) != 0;
                values[w] =
                    is_max ? combine(shape, w, values[w], bucket[w]) : ds_add(values[w], bucket[w]);
            }
        }
        if (level_from < covered_from)
            covered_from = level_from;
    }
}
