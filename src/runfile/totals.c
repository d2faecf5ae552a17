/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/totals.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/sums.h"
#include "base/unknown.h"

/* What the last seconds' totals are over all slots. */
static void add_second(struct rf_totals *totals, const uint64_t *bucket)
{
    const uint64_t number = bucket[RF_ROLLUP_NUMBER];
    uint64_t *second = totals->seconds[number % RF_TOTALS_SECONDS];
    if (number == 0 || second[RF_ROLLUP_NUMBER] > number)
        return;
    if (second[RF_ROLLUP_NUMBER] < number)
        memset(second, 0, sizeof totals->seconds[0]);
    second[RF_ROLLUP_NUMBER] = number;
    rf_counters_add(second + 1, bucket + 1, RF_COUNT_SECOND_WORDS);
}

void rf_totals_add(struct rf_totals *totals, const struct rf_slot_view *view)
{
    totals->slots++;
    rf_counters_add(totals->counters, view->counters, RF_COUNT_WORDS);
    const uint64_t *steady = rf_view_steady(view), *startup = rf_view_startup(view);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        totals->steady[i] = ds_add(totals->steady[i], steady[i]);
        totals->startup[i] = ds_add(totals->startup[i], startup[i]);
    }
    for (uint64_t i = 0; i < view->layout.rollup_buckets; i++)
        add_second(totals, rf_view_rollup(view, 0, i));
}

bool rf_totals_fit(const struct rf_totals *totals)
{
    return rf_counters_fit(totals->counters);
}

void rf_totals_distribution(const struct rf_totals *totals, bool startup,
                            datastall_distribution *distribution)
{
    const uint64_t *c = totals->counters;
    const uint64_t *histogram = startup ? totals->startup : totals->steady;
    const uint64_t count = c[startup ? RF_COUNT_STARTUP : RF_COUNT_STEADY];
    const uint64_t sum_ns = c[startup ? RF_COUNT_STARTUP_NS : RF_COUNT_STEADY_NS];
    const uint64_t min_ns = c[startup ? RF_COUNT_STARTUP_MIN : RF_COUNT_STEADY_MIN];
    const uint64_t max_ns = c[startup ? RF_COUNT_STARTUP_MAX : RF_COUNT_STEADY_MAX];
    *distribution = (datastall_distribution)DATASTALL_DISTRIBUTION_INIT;
    distribution->count = count;
    distribution->sum_ns = sum_ns;
    if (count == 0)
        return;
    static const double p[3] = {0.50, 0.95, 0.99};
    uint64_t values[3];
    histogram_quantiles(histogram, p, values, 3, min_ns, max_ns);
    distribution->min_ns = min_ns;
    distribution->max_ns = max_ns;
    distribution->p50_ns = values[0];
    distribution->p95_ns = values[1];
    distribution->p99_ns = values[2];
    distribution->mean_ns = (double)sum_ns / (double)count;
}

static double rate(uint64_t amount, uint64_t batches_stating_it, uint64_t span_ns)
{
    if (batches_stating_it == 0 || span_ns == 0)
        return NAN;
    return (double)amount * 1e9 / (double)span_ns;
}

static void recent_rates(const struct rf_totals *totals, datastall_statistics *s)
{
    const uint64_t *c = totals->counters;
    const uint64_t last = c[RF_COUNT_END_NS] / DS_NS_PER_S + 1;
    const uint64_t first = last > 10 ? last - 9 : 1;
    uint64_t samples = 0, tokens = 0;
    for (uint32_t i = 0; i < RF_TOTALS_SECONDS; i++) {
        const uint64_t *second = totals->seconds[i];
        if (second[RF_ROLLUP_NUMBER] < first || second[RF_ROLLUP_NUMBER] > last)
            continue;
        samples = ds_add(samples, second[RF_ROLLUP_OF(SAMPLES)]);
        tokens = ds_add(tokens, second[RF_ROLLUP_OF(TOKENS)]);
    }
    uint64_t from = (first - 1) * DS_NS_PER_S;
    if (from < c[RF_COUNT_BEGIN_NS])
        from = c[RF_COUNT_BEGIN_NS];
    const uint64_t span = c[RF_COUNT_END_NS] > from ? c[RF_COUNT_END_NS] - from : 0;
    s->recent_samples_per_s = rate(samples, c[RF_COUNT_SAMPLES_BATCHES], span);
    s->recent_tokens_per_s = rate(tokens, c[RF_COUNT_TOKENS_BATCHES], span);
}

static double ratio_or_nan(double numerator, uint64_t denominator)
{
    return denominator == 0 ? NAN : numerator / (double)denominator;
}

void rf_totals_statistics(const struct rf_totals *totals, datastall_statistics *s)
{
    const uint64_t *c = totals->counters;
    const bool seen = c[RF_COUNT_SEQUENCE] > 0;
    *s = (datastall_statistics){
        .struct_size = sizeof *s,
        .batches = c[RF_COUNT_BATCHES],
        .iterators = c[RF_COUNT_ITERATORS],
        .failed = c[RF_COUNT_FAILED],
        .failed_ns = c[RF_COUNT_FAILED_NS],
        .queue_full = c[RF_COUNT_QUEUE + DATASTALL_QUEUE_FULL],
        .queue_normal = c[RF_COUNT_QUEUE + DATASTALL_QUEUE_NORMAL],
        .queue_starved = c[RF_COUNT_QUEUE + DATASTALL_QUEUE_STARVED],
        .queue_unknown = c[RF_COUNT_QUEUE + DATASTALL_QUEUE_UNKNOWN],
        .samples = c[RF_COUNT_SAMPLES_BATCHES] > 0 ? c[RF_COUNT_SAMPLES] : DATASTALL_UNKNOWN,
        .samples_batches = c[RF_COUNT_SAMPLES_BATCHES],
        .tokens = c[RF_COUNT_TOKENS_BATCHES] > 0 ? c[RF_COUNT_TOKENS] : DATASTALL_UNKNOWN,
        .tokens_batches = c[RF_COUNT_TOKENS_BATCHES],
        .tokens_sampled = c[RF_COUNT_TOKENS_SAMPLED],
        .packing_efficiency =
            ratio_or_nan((double)c[RF_COUNT_PACKED_TOKENS], c[RF_COUNT_PACKED_PADDED]),
        .longest_sequence =
            c[RF_COUNT_LONGEST_BATCHES] > 0 ? c[RF_COUNT_LONGEST_MAX] : DATASTALL_UNKNOWN,
        .mean_longest = ratio_or_nan((double)c[RF_COUNT_LONGEST_SUM], c[RF_COUNT_LONGEST_BATCHES]),
        .mean_sequence_length = ratio_or_nan(ds_double_of(c[RF_COUNT_MEAN_LENGTH_SUM]),
                                             c[RF_COUNT_MEAN_LENGTH_BATCHES]),
        .stated_efficiency_mean =
            ratio_or_nan(ds_double_of(c[RF_COUNT_EFFICIENCY_SUM]), c[RF_COUNT_EFFICIENCY_BATCHES]),
        .stated_efficiency_min =
            c[RF_COUNT_EFFICIENCY_BATCHES] > 0 ? ds_double_of(c[RF_COUNT_EFFICIENCY_MIN]) : NAN,
        .stated_efficiency_batches = c[RF_COUNT_EFFICIENCY_BATCHES],
        .stated_efficiency_low = c[RF_COUNT_EFFICIENCY_LOW],
        .window_begin_ns = seen ? c[RF_COUNT_BEGIN_NS] : DATASTALL_UNKNOWN,
        .window_end_ns = seen ? c[RF_COUNT_END_NS] : DATASTALL_UNKNOWN,
    };
    const uint64_t span = ds_subtract(c[RF_COUNT_END_NS], c[RF_COUNT_BEGIN_NS]);
    s->samples_per_s = rate(c[RF_COUNT_SAMPLES], c[RF_COUNT_SAMPLES_BATCHES], span);
    s->tokens_per_s = rate(c[RF_COUNT_TOKENS], c[RF_COUNT_TOKENS_BATCHES], span);
    recent_rates(totals, s);
    rf_totals_distribution(totals, false, &s->steady);
    rf_totals_distribution(totals, true, &s->startup);
}
