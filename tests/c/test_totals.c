/* SPDX-License-Identifier: Apache-2.0 */
/* What the totals of a loader say: rates and means, distributions, and spans of time that are added
 * up from the levels that still have them. */
#include "cmocka_all.h"

#include <string.h>

#include "base/unknown.h"
#include "runfile/rollup.h"
#include "runfile/totals.h"

#define SECOND UINT64_C(1000000000)

/* ---- rates of a loader ---- */

static struct rf_totals totals;

static void set_second(uint64_t number, uint64_t samples, uint64_t tokens)
{
    uint64_t *second = totals.seconds[number % RF_TOTALS_SECONDS];
    second[RF_ROLLUP_NUMBER] = number;
    second[RF_ROLLUP_OF(SAMPLES)] = samples;
    second[RF_ROLLUP_OF(TOKENS)] = tokens;
}

/* The last ten seconds, or as long as there is anything. */
static void recent_rates(void **state)
{
    (void)state;
    static const struct {
        uint64_t begin_ns, end_ns;
        double samples, tokens;
    } rows[] = {
        /* second n holds n samples, and ten times as many tokens; number = second + 1 */
        {0, 30 * SECOND + SECOND / 2, (22 + 23 + 24 + 25 + 26 + 27 + 28 + 29 + 30 + 31) / 9.5, 0},
        {28 * SECOND, 30 * SECOND + SECOND / 2, 265 / 2.5, 0},
        {22 * SECOND, 30 * SECOND + SECOND / 2, 265 / 8.5, 0},
        {20 * SECOND, 30 * SECOND + SECOND / 2, 265 / 9.5, 0},
        {0, 3 * SECOND, (1 + 2 + 3 + 4) / 3.0, 0},
        {0, 9 * SECOND, 55 / 9.0, 0},
        {0, 10 * SECOND, 65 / 9.0, 0},
        {5 * SECOND, 5 * SECOND, NAN, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        datastall_statistics s;
        memset(&totals, 0, sizeof totals);
        for (uint64_t number = 1; number <= 40; number++)
            set_second(number, number, 10 * number);
        totals.counters[RF_COUNT_SEQUENCE] = 1;
        totals.counters[RF_COUNT_BEGIN_NS] = rows[i].begin_ns;
        totals.counters[RF_COUNT_END_NS] = rows[i].end_ns;
        rf_totals_statistics(&totals, &s);
        assert_true(isnan(s.recent_samples_per_s) && isnan(s.recent_tokens_per_s));
        totals.counters[RF_COUNT_SAMPLES_BATCHES] = 1;
        totals.counters[RF_COUNT_TOKENS_BATCHES] = 1;
        rf_totals_statistics(&totals, &s);
        if (isnan(rows[i].samples)) {
            assert_true(isnan(s.recent_samples_per_s) && isnan(s.samples_per_s));
            continue;
        }
        assert_float_equal(s.recent_samples_per_s, rows[i].samples, 1e-9);
        assert_float_equal(s.recent_tokens_per_s, 10 * rows[i].samples, 1e-9);
    }
}

static void rates_and_means(void **state)
{
    (void)state;
    datastall_statistics s;
    uint64_t *c = totals.counters;
    memset(&totals, 0, sizeof totals);
    rf_totals_statistics(&totals, &s);
    assert_int_equal(s.struct_size, sizeof s);
    assert_int_equal(s.window_begin_ns, DATASTALL_UNKNOWN);
    assert_int_equal(s.window_end_ns, DATASTALL_UNKNOWN);
    assert_int_equal(s.samples, DATASTALL_UNKNOWN);
    assert_int_equal(s.tokens, DATASTALL_UNKNOWN);
    assert_int_equal(s.longest_sequence, DATASTALL_UNKNOWN);
    assert_true(isnan(s.packing_efficiency) && isnan(s.mean_longest) &&
                isnan(s.mean_sequence_length) && isnan(s.stated_efficiency_mean) &&
                isnan(s.stated_efficiency_min) && isnan(s.samples_per_s) && isnan(s.tokens_per_s));
    assert_int_equal(s.steady.count, 0);
    assert_int_equal(s.steady.min_ns, DATASTALL_UNKNOWN);
    c[RF_COUNT_SEQUENCE] = 1;
    c[RF_COUNT_BEGIN_NS] = 10 * SECOND;
    c[RF_COUNT_END_NS] = 30 * SECOND;
    c[RF_COUNT_SAMPLES] = 400;
    c[RF_COUNT_SAMPLES_BATCHES] = c[RF_COUNT_TOKENS_BATCHES] = 1;
    c[RF_COUNT_TOKENS] = 8000;
    c[RF_COUNT_LONGEST_MAX] = 77;
    c[RF_COUNT_LONGEST_SUM] = 90;
    c[RF_COUNT_LONGEST_BATCHES] = 1;
    c[RF_COUNT_PACKED_TOKENS] = 3;
    c[RF_COUNT_PACKED_PADDED] = 4;
    c[RF_COUNT_MEAN_LENGTH_SUM] = ds_bits_of(5.5);
    c[RF_COUNT_MEAN_LENGTH_BATCHES] = 2;
    c[RF_COUNT_EFFICIENCY_SUM] = ds_bits_of(0.5);
    c[RF_COUNT_EFFICIENCY_MIN] = ds_bits_of(0.25);
    c[RF_COUNT_EFFICIENCY_BATCHES] = 1;
    rf_totals_statistics(&totals, &s);
    assert_int_equal(s.window_begin_ns, 10 * SECOND);
    assert_int_equal(s.window_end_ns, 30 * SECOND);
    assert_float_equal(s.samples_per_s, 20, 1e-12);
    assert_float_equal(s.tokens_per_s, 400, 1e-12);
    assert_int_equal(s.longest_sequence, 77);
    assert_float_equal(s.mean_longest, 90, 1e-12);
    assert_float_equal(s.packing_efficiency, 0.75, 1e-12);
    assert_float_equal(s.mean_sequence_length, 2.75, 1e-12);
    assert_float_equal(s.stated_efficiency_mean, 0.5, 1e-12);
    assert_float_equal(s.stated_efficiency_min, 0.25, 1e-12);
}

static void both_distributions(void **state)
{
    (void)state;
    datastall_distribution d;
    uint64_t *c = totals.counters;
    memset(&totals, 0, sizeof totals);
    totals.steady[histogram_bucket(2)] = 4;
    totals.startup[histogram_bucket(3)] = 1;
    c[RF_COUNT_STEADY] = 4;
    c[RF_COUNT_STEADY_NS] = 8;
    c[RF_COUNT_STEADY_MIN] = 1;
    c[RF_COUNT_STEADY_MAX] = 9;
    c[RF_COUNT_STARTUP] = 1;
    c[RF_COUNT_STARTUP_NS] = 3;
    c[RF_COUNT_STARTUP_MIN] = 3;
    c[RF_COUNT_STARTUP_MAX] = 4;
    rf_totals_distribution(&totals, false, &d);
    assert_int_equal(d.count, 4);
    assert_int_equal(d.sum_ns, 8);
    assert_int_equal(d.min_ns, 1);
    assert_int_equal(d.max_ns, 9);
    assert_int_equal(d.p50_ns, 2);
    assert_float_equal(d.mean_ns, 2, 1e-12);
    rf_totals_distribution(&totals, true, &d);
    assert_int_equal(d.count, 1);
    assert_int_equal(d.sum_ns, 3);
    assert_int_equal(d.min_ns, 3);
    assert_int_equal(d.max_ns, 4);
    assert_int_equal(d.p50_ns, 3);
    assert_int_equal(d.p95_ns, 3);
    assert_int_equal(d.p99_ns, 3);
    assert_float_equal(d.mean_ns, 3, 1e-12);
}

/* The newest span of each place counts, and all slots that have it. */
static void seconds_of_several_slots(void **state)
{
    (void)state;
    static uint64_t words[2 * HISTOGRAM_BUCKETS + 3 * RF_ROLLUP_WORDS];
    struct rf_slot_view view = {.block = words};
    view.layout.startup_at = HISTOGRAM_BUCKETS;
    view.layout.rollup_at = 2 * (uint64_t)HISTOGRAM_BUCKETS;
    view.layout.rollup_buckets = 3;
    view.layout.rollup_words = RF_ROLLUP_WORDS;
    static const struct {
        uint64_t numbers[3], samples[3];
        uint64_t number, sum; /* of place 5, afterwards */
    } rows[] = {
        {{5, 6, 0}, {1, 100, 1000}, 5, 1},
        {{0, 5, 6}, {1000, 2, 100}, 5, 3},
        {{6, 0, 5}, {100, 1000, 4}, 5, 7},
        {{5 + 64, 6, 7}, {8, 100, 1}, 69, 8}, /* later: what was there is over */
        {{5, 6, 7}, {16, 100, 1}, 69, 8},     /* earlier: it is over already */
        {{1, 2, 5 + 64}, {1, 1, 32}, 69, 40},
    };
    memset(&totals, 0, sizeof totals);
    for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
        words[b] = 7 + b;
        words[HISTOGRAM_BUCKETS + b] = 1000 + b;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int k = 0; k < 3; k++) {
            uint64_t *bucket = words + 2 * HISTOGRAM_BUCKETS + k * RF_ROLLUP_WORDS;
            bucket[RF_ROLLUP_NUMBER] = rows[i].numbers[k];
            bucket[RF_ROLLUP_OF(SAMPLES)] = rows[i].samples[k];
        }
        view.counters[RF_COUNT_BATCHES] = 1;
        rf_totals_add(&totals, &view);
        assert_int_equal(totals.seconds[5][RF_ROLLUP_NUMBER], rows[i].number);
        assert_int_equal(totals.seconds[5][RF_ROLLUP_OF(SAMPLES)], rows[i].sum);
        assert_int_equal(totals.seconds[0][RF_ROLLUP_NUMBER], 0);
        assert_int_equal(totals.slots, i + 1);
        assert_int_equal(totals.counters[RF_COUNT_BATCHES], i + 1);
        for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
            assert_int_equal(totals.steady[b], (7 + b) * (i + 1));
            assert_int_equal(totals.startup[b], (1000 + b) * (i + 1));
        }
    }
    assert_true(rf_totals_fit(&totals));
    totals.counters[RF_COUNT_BATCHES] = DS_MOST;
    assert_false(rf_totals_fit(&totals));
}

/* ---- rollups ---- */

#define BUCKETS 8
#define LEVELS 3
static uint64_t block[5 + LEVELS * BUCKETS * 3];
static const struct rf_rollup_shape shape = {5, LEVELS, BUCKETS, 3, 1u << 2};

/* A bucket with a sum and a maximum. */
static void set_bucket(uint64_t level, uint64_t number, uint64_t sum, uint64_t most)
{
    uint64_t *bucket = block + 5 + (level * BUCKETS + number % BUCKETS) * 3;
    bucket[0] = number;
    bucket[1] = sum;
    bucket[2] = most;
}

static void sums_over_levels(void **state)
{
    (void)state;
    static const struct {
        uint64_t from, to, sum, most;
    } rows[] = {
        /* level 0 holds the seconds 33 .. 40 (numbers of 34 .. 41), level 1 those from 16 on, level 2 the rest */
        {40, 40, 1, 40},
        {39, 40, 2, 40},
        {36, 40, 5, 40},
        {41, 99, 0, 0},
        {0, 99, 41, 40},
        {35, 40, 5, 40}, /* the middle of [32, 36) is before */
        {34, 40, 9, 40},
        {14, 17, 0, 0},
        /* the middle of [16, 20) is behind, of [12, 16) it is level 2's */ {15, 17, 0, 0},
        {18, 18, 4, 22},
        {8, 8, 16, 16},
        {9, 9, 0, 0},
    };
    memset(block, 0, sizeof block);
    for (uint64_t second = 33; second <= 40; second++)
        set_bucket(0, second + 1, 1, second);
    for (uint64_t number = 3; number <= 10; number++) /* [8, 12) ... [36, 40) */
        set_bucket(1, number, 4, 4 * number + 2);
    for (uint64_t number = 1; number <= 3; number++) /* [0, 16) ... */
        set_bucket(2, number, 16, 16 * number);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t values[3] = {9, 9, 9};
        rf_rollup_sum(block, &shape, rows[i].from, rows[i].to, values);
        assert_int_equal(values[0], 0);
        if (values[1] != rows[i].sum || values[2] != rows[i].most)
            fail_msg("row %zu: %llu, %llu", i, (unsigned long long)values[1],
                     (unsigned long long)values[2]);
    }
}

/* Numbers that are damage: no sum of them, and no endless loop. */
static void numbers_of_no_span(void **state)
{
    (void)state;
    uint64_t values[3];
    memset(block, 0, sizeof block);
    rf_rollup_sum(block, &shape, 0, UINT64_MAX, values);
    assert_int_equal(values[1], 0);
    set_bucket(1, UINT64_MAX / 4, 4, 4); /* its time fits a word ... */
    rf_rollup_sum(block, &shape, 0, UINT64_MAX, values);
    assert_int_equal(values[1], 4);
    block[5 + (BUCKETS + UINT64_MAX / 4 % BUCKETS) * 3] = UINT64_MAX / 4 + 1; /* ... or does not */
    rf_rollup_sum(block, &shape, 0, UINT64_MAX, values);
    assert_int_equal(values[1], 0);
    set_bucket(0, 3, DS_MOST, 1);
    set_bucket(0, 4, 5, 1);
    rf_rollup_sum(block, &shape, 0, UINT64_MAX, values);
    assert_int_equal(values[1], DS_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recent_rates),       cmocka_unit_test(rates_and_means),
        cmocka_unit_test(both_distributions), cmocka_unit_test(seconds_of_several_slots),
        cmocka_unit_test(sums_over_levels),   cmocka_unit_test(numbers_of_no_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
