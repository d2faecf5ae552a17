/* SPDX-License-Identifier: Apache-2.0 */
/* Waits whose every figure follows from their number, so that any reader can check what it sees:
 * wait i of a thread, and the totals of its first n. */
#ifndef DATASTALL_TESTS_PATTERN_H
#define DATASTALL_TESTS_PATTERN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "datastall.h"
#include "runfile/layout.h"

/* Sum of i % m for i < n. */
static inline uint64_t pattern_sum_mod(uint64_t n, uint64_t m)
{
    uint64_t rest = n % m;
    return n / m * (m * (m - 1) / 2) + rest * (rest - 1 + (rest == 0)) / 2;
}

static inline uint64_t pattern_samples(uint64_t i)
{
    return i % 13 + 1;
}
static inline uint64_t pattern_tokens(uint64_t i)
{
    return 10 * (i % 13) + i % 7;
}
static inline uint64_t pattern_longest(uint64_t i)
{
    return i % 17 + 20;
}
static inline uint64_t pattern_wait_ns(uint64_t i)
{
    return (i % 101) * 1000000 + 1;
}
static inline enum datastall_wait_kind pattern_kind(uint64_t i)
{
    return i % 10 == 0 ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY;
}

static inline datastall_batch pattern_batch(uint64_t i)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.batch_index = i;
    batch.samples = pattern_samples(i);
    batch.tokens = pattern_tokens(i);
    batch.longest_sequence = pattern_longest(i);
    batch.mean_sequence_length = (double)(i % 4);
    return batch;
}

/* NULL, or what is wrong with the totals of a slot that had the waits 0 .. n - 1. */
static inline const char *pattern_check_counters(const uint64_t *c, uint64_t n)
{
    const uint64_t first = (n + 9) / 10; /* i % 10 == 0 */
    uint64_t waits = pattern_sum_mod(n, 101) * 1000000 + n;
    if (c[RF_COUNT_SEQUENCE] != n || c[RF_COUNT_BATCHES] != n)
        return "the number of batches";
    if (c[RF_COUNT_SAMPLES] != pattern_sum_mod(n, 13) + n || c[RF_COUNT_SAMPLES_BATCHES] != n)
        return "the samples";
    if (c[RF_COUNT_TOKENS] != 10 * pattern_sum_mod(n, 13) + pattern_sum_mod(n, 7) ||
        c[RF_COUNT_TOKENS_BATCHES] != n || c[RF_COUNT_PACKED_TOKENS] != c[RF_COUNT_TOKENS])
        return "the tokens";
    if (c[RF_COUNT_LONGEST_SUM] != pattern_sum_mod(n, 17) + 20 * n)
        return "the longest sequences";
    if (c[RF_COUNT_STEADY] != n - first || c[RF_COUNT_STARTUP] != first)
        return "the numbers of waits";
    if (c[RF_COUNT_STEADY_NS] + c[RF_COUNT_STARTUP_NS] != waits)
        return "the sum of the waits";
    /* i = 10 k: (10 k) % 101 runs through all residues, so this is a plain loop of 101. */
    uint64_t startup = 0;
    for (uint64_t k = 0; k < 101; k++)
        startup += (first / 101 + (k < first % 101)) * (10 * k % 101 * 1000000 + 1);
    if (c[RF_COUNT_STARTUP_NS] != startup)
        return "the sum of the start-up waits";
    double sum;
    memcpy(&sum, &c[RF_COUNT_MEAN_LENGTH_SUM], 8);
    if (sum != (double)pattern_sum_mod(n, 4))
        return "the mean lengths";
    uint64_t queue = 0;
    for (int state = 0; state < 4; state++)
        queue += c[RF_COUNT_QUEUE + state];
    if (queue != n - first || c[RF_COUNT_QUEUE] != 0)
        return "the queue states";
    return NULL;
}

/* NULL, or what is wrong with record i. */
static inline const char *pattern_check_record(const uint64_t *r, uint64_t i)
{
    if (r[RF_RECORD_SEQUENCE] != i + 1 || r[RF_RECORD_BATCH] != i)
        return "its number";
    if (r[RF_RECORD_WAIT_NS] != pattern_wait_ns(i) ||
        rf_kind_of(r[RF_RECORD_KIND]) != (uint32_t)pattern_kind(i) ||
        rf_queue_of(r[RF_RECORD_KIND]) != (uint32_t)datastall_infer_queue_state(pattern_wait_ns(i)))
        return "its wait";
    if (r[RF_RECORD_SAMPLES] != pattern_samples(i) || r[RF_RECORD_TOKENS] != pattern_tokens(i) ||
        r[RF_RECORD_LONGEST] != pattern_longest(i) ||
        r[RF_RECORD_PADDED] != pattern_samples(i) * pattern_longest(i))
        return "its composition";
    return NULL;
}

#endif
