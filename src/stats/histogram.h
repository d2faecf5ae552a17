/* SPDX-License-Identifier: Apache-2.0 */
/* Log-linear histogram of nanoseconds: fixed size, exact counts, quantiles to within 1 %.
 *
 * Values below 128 have a bucket each; above, every power of two is cut into 64 buckets, so a
 * bucket's middle is within 1/128 = 0.79 % of every value in it. Values from 2^46 ns (19 h) on
 * share the last bucket; the caller keeps the exact minimum and maximum beside it.
 */
#ifndef DATASTALL_STATS_HISTOGRAM_H
#define DATASTALL_STATS_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_SUB_BUCKETS (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_LINEAR (2u * HISTOGRAM_SUB_BUCKETS)
#define HISTOGRAM_MAX_BITS 46
#define HISTOGRAM_BUCKETS \
    (HISTOGRAM_LINEAR + (HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS - 1) * HISTOGRAM_SUB_BUCKETS)

/* The bucket of a value, 0 .. HISTOGRAM_BUCKETS - 1. */
static inline uint32_t histogram_bucket(uint64_t value_ns)
{
    if (value_ns < HISTOGRAM_LINEAR)
        return (uint32_t)value_ns;
    uint32_t exponent = 63u - (uint32_t)__builtin_clzll(value_ns);
    if (exponent >= HISTOGRAM_MAX_BITS)
        return HISTOGRAM_BUCKETS - 1;
    uint32_t sub = (uint32_t)(value_ns >> (exponent - HISTOGRAM_SUB_BITS)) - HISTOGRAM_SUB_BUCKETS;
    return HISTOGRAM_LINEAR + (exponent - HISTOGRAM_SUB_BITS - 1) * HISTOGRAM_SUB_BUCKETS + sub;
}

/* Smallest value of a bucket, and the first value beyond it. */
uint64_t histogram_bucket_low(uint32_t bucket);
uint64_t histogram_bucket_high(uint32_t bucket);

/* Number of values in the buckets. */
uint64_t histogram_total(const uint64_t buckets[HISTOGRAM_BUCKETS]);

/* The value of rank min(n - 1, (uint64_t)(n * p)), clamped to [min_ns, max_ns]; p in 0..1.
 * UINT64_MAX for an empty histogram. */
uint64_t histogram_quantile(const uint64_t buckets[HISTOGRAM_BUCKETS], double p, uint64_t min_ns,
                            uint64_t max_ns);

/* Several quantiles in one pass; p[] ascending. */
void histogram_quantiles(const uint64_t buckets[HISTOGRAM_BUCKETS], const double *p,
                         uint64_t *values_ns, uint32_t count, uint64_t min_ns, uint64_t max_ns);

#endif
