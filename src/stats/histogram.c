/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/histogram.h"

#include "base/sums.h"

uint64_t histogram_bucket_low(uint32_t bucket)
{
    if (bucket < HISTOGRAM_LINEAR)
        return bucket;
    uint32_t above = bucket - HISTOGRAM_LINEAR;
    uint32_t exponent = above / HISTOGRAM_SUB_BUCKETS + HISTOGRAM_SUB_BITS + 1;
    uint64_t sub = above % HISTOGRAM_SUB_BUCKETS + HISTOGRAM_SUB_BUCKETS;
    return sub << (exponent - HISTOGRAM_SUB_BITS);
}

uint64_t histogram_bucket_high(uint32_t bucket)
{
    if (bucket >= HISTOGRAM_BUCKETS - 1)
        return UINT64_MAX;
    return histogram_bucket_low(bucket + 1);
}

uint64_t histogram_total(const uint64_t buckets[HISTOGRAM_BUCKETS])
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        total = ds_add(total, buckets[i]);
    return total;
}

static uint64_t bucket_value(uint32_t bucket, uint64_t min_ns, uint64_t max_ns)
{
    uint64_t low = histogram_bucket_low(bucket);
    uint64_t value = max_ns;
    if (bucket < HISTOGRAM_BUCKETS - 1)
        value = low + (histogram_bucket_high(bucket) - 1 - low) / 2;
    if (value < min_ns)
        value = min_ns;
    if (value > max_ns)
        value = max_ns;
    return value;
}

void histogram_quantiles(const uint64_t buckets[HISTOGRAM_BUCKETS], const double *p,
                         uint64_t *values_ns, uint32_t count, uint64_t min_ns, uint64_t max_ns)
{
    uint64_t total = histogram_total(buckets);
    for (uint32_t i = 0; i < count; i++)
        values_ns[i] = UINT64_MAX;
    if (total == 0)
        return;
    uint32_t next = 0;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && next < count; i++) {
        seen = ds_add(seen, buckets[i]);
        while (next < count) {
            uint64_t rank = (uint64_t)((double)total * p[next]);
            if (rank > total - 1)
                rank = total - 1;
            if (seen <= rank)
                break;
            values_ns[next++] = bucket_value(i, min_ns, max_ns);
        }
    }
}

uint64_t histogram_quantile(const uint64_t buckets[HISTOGRAM_BUCKETS], double p, uint64_t min_ns,
                            uint64_t max_ns)
{
    uint64_t value;
    histogram_quantiles(buckets, &p, &value, 1, min_ns, max_ns);
    return value;
}
