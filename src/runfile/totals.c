#include "runfile/totals.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/sums.h"
#include "base/unknown.h"

static void add_to(uint64_t *sum, uint64_t value)
{
    *sum = ds_add(*sum, value);
}

static void add_double(uint64_t *sum_bits, uint64_t bits)
{
    double sum = ds_double_of(*sum_bits) + ds_double_of(bits);
    memcpy(sum_bits, &sum, 8);
}

/* count, sum, minimum, maximum follow each other in enum rf_counter_word */
static void add_min_max(uint64_t *to, const uint64_t *from)
{
    if (from[0] == 0)
        return;
    if (to[0] == 0 || from[2] < to[2])
        to[2] = from[2];
    if (from[3] > to[3])
        to[3] = from[3];
    add_to(&to[0], from[0]);
    add_to(&to[1], from[1]);
}

static void add_counters(uint64_t *to, const uint64_t *from)
{
    static const uint16_t sums[] = {
        RF_COUNT_FAILED,          RF_COUNT_FAILED_NS,       RF_COUNT_BATCHES,
        RF_COUNT_ITERATORS,       RF_COUNT_QUEUE,           RF_COUNT_QUEUE + 1,
        RF_COUNT_QUEUE + 2,       RF_COUNT_QUEUE + 3,       RF_COUNT_SAMPLES,
        RF_COUNT_SAMPLES_BATCHES, RF_COUNT_TOKENS,          RF_COUNT_TOKENS_BATCHES,
        RF_COUNT_TOKENS_SAMPLED,  RF_COUNT_PACKED_TOKENS,   RF_COUNT_PACKED_PADDED,
        RF_COUNT_LONGEST_SUM,     RF_COUNT_LONGEST_BATCHES, RF_COUNT_MEAN_LENGTH_BATCHES,
        RF_COUNT_STALL_WAITS,     RF_COUNT_STALL_KNOWN_NS,  RF_COUNT_STALL_LOWER_NS,
        RF_COUNT_STALL_UPPER_NS,  RF_COUNT_STALL_BOUNDS,    RF_COUNT_EFFICIENCY_LOW};
    if (from[RF_COUNT_SEQUENCE] == 0)
        return;
    if (to[RF_COUNT_SEQUENCE] == 0 || from[RF_COUNT_BEGIN_NS] < to[RF_COUNT_BEGIN_NS])
        to[RF_COUNT_BEGIN_NS] = from[RF_COUNT_BEGIN_NS];
    if (from[RF_COUNT_END_NS] > to[RF_COUNT_END_NS])
        to[RF_COUNT_END_NS] = from[RF_COUNT_END_NS];
    add_to(&to[RF_COUNT_SEQUENCE], from[RF_COUNT_SEQUENCE]);
    add_min_max(&to[RF_COUNT_STEADY], &from[RF_COUNT_STEADY]);
    add_min_max(&to[RF_COUNT_STARTUP], &from[RF_COUNT_STARTUP]);
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        add_to(&to[sums[i]], from[sums[i]]);
    for (uint32_t i = RF_COUNT_LEAST_WORDS; i < RF_COUNT_USED_WORDS; i++)
        add_to(&to[i], from[i]); /* causes and depths: all of them sums */
    if (from[RF_COUNT_LONGEST_MAX] > to[RF_COUNT_LONGEST_MAX])
        to[RF_COUNT_LONGEST_MAX] = from[RF_COUNT_LONGEST_MAX];
    add_double(&to[RF_COUNT_MEAN_LENGTH_SUM], from[RF_COUNT_MEAN_LENGTH_SUM]);
    add_double(&to[RF_COUNT_EFFICIENCY_SUM], from[RF_COUNT_EFFICIENCY_SUM]);
    if (from[RF_COUNT_EFFICIENCY_BATCHES] > 0 &&
        (to[RF_COUNT_EFFICIENCY_BATCHES] == 0 ||
         ds_double_of(from[RF_COUNT_EFFICIENCY_MIN]) < ds_double_of(to[RF_COUNT_EFFICIENCY_MIN])))
        to[RF_COUNT_EFFICIENCY_MIN] = from[RF_COUNT_EFFICIENCY_MIN];
    add_to(&to[RF_COUNT_EFFICIENCY_BATCHES], from[RF_COUNT_EFFICIENCY_BATCHES]);
}

void rf_totals_add(struct rf_totals *totals, const struct rf_slot_view *view)
{
    totals->slots++;
    add_counters(totals->counters, view->counters);
    const uint64_t *steady = rf_view_steady(view), *startup = rf_view_startup(view);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        add_to(&totals->steady[i], steady[i]);
        add_to(&totals->startup[i], startup[i]);
    }
    for (uint64_t i = 0; i < view->layout.rollup_buckets; i++) {
        const uint64_t *bucket = rf_view_rollup(view, 0, i);
        uint64_t number = bucket[RF_ROLLUP_NUMBER];
        if (number == 0)
            continue;
        uint32_t place = (uint32_t)(number % RF_TOTALS_SECONDS);
        if (totals->seconds[place].number > number)
            continue;
        if (totals->seconds[place].number < number)
            memset(&totals->seconds[place], 0, sizeof totals->seconds[place]);
        totals->seconds[place].number = number;
        add_to(&totals->seconds[place].batches, bucket[RF_ROLLUP_BATCHES]);
        add_to(&totals->seconds[place].waiting_ns, bucket[RF_ROLLUP_STEADY_NS]);
        add_to(&totals->seconds[place].waiting_ns, bucket[RF_ROLLUP_STARTUP_NS]);
        add_to(&totals->seconds[place].stall_known_ns, bucket[RF_ROLLUP_STALL_KNOWN_NS]);
        add_to(&totals->seconds[place].stall_upper_ns, bucket[RF_ROLLUP_STALL_UPPER_NS]);
        add_to(&totals->seconds[place].samples, bucket[RF_ROLLUP_SAMPLES]);
        add_to(&totals->seconds[place].tokens, bucket[RF_ROLLUP_TOKENS]);
    }
}

bool rf_totals_fit(const struct rf_totals *totals)
{
    for (uint32_t i = 0; i < RF_COUNT_USED_WORDS; i++) {
        const bool is_double = i == RF_COUNT_MEAN_LENGTH_SUM || i == RF_COUNT_EFFICIENCY_SUM ||
                               i == RF_COUNT_EFFICIENCY_MIN;
        if (!is_double && totals->counters[i] >= DS_MOST)
            return false;
    }
    return true;
}

uint64_t rf_totals_waiting_ns(const struct rf_totals *totals)
{
    const uint64_t *c = totals->counters;
    return ds_add(ds_add(c[RF_COUNT_STEADY_NS], c[RF_COUNT_STARTUP_NS]), c[RF_COUNT_FAILED_NS]);
}

void rf_totals_distribution(const struct rf_totals *totals, bool startup,
                            datastall_distribution *distribution)
{
    const uint64_t *c = totals->counters + (startup ? RF_COUNT_STARTUP : RF_COUNT_STEADY);
    const uint64_t *histogram = startup ? totals->startup : totals->steady;
    *distribution = (datastall_distribution){c[0],
                                             c[1],
                                             DATASTALL_UNKNOWN,
                                             DATASTALL_UNKNOWN,
                                             DATASTALL_UNKNOWN,
                                             DATASTALL_UNKNOWN,
                                             DATASTALL_UNKNOWN,
                                             NAN};
    if (c[0] == 0)
        return;
    static const double p[3] = {0.50, 0.95, 0.99};
    uint64_t values[3];
    histogram_quantiles(histogram, p, values, 3, c[2], c[3]);
    distribution->min_ns = c[2];
    distribution->max_ns = c[3];
    distribution->p50_ns = values[0];
    distribution->p95_ns = values[1];
    distribution->p99_ns = values[2];
    distribution->mean_ns = (double)c[1] / (double)c[0];
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
        if (totals->seconds[i].number < first || totals->seconds[i].number > last)
            continue;
        add_to(&samples, totals->seconds[i].samples);
        add_to(&tokens, totals->seconds[i].tokens);
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
