/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of figures by hand: splits of causes, bounds of stalls, quantiles, rates, rollups;
 * each rule of a row or two. */
#include "cmocka_all.h"

#include <string.h>

#include "base/unknown.h"
#include "runfile/rollup.h"
#include "runfile/totals.h"
#include "stats/cause.h"
#include "stats/histogram.h"
#include "stats/replay.h"
#include "stats/stall.h"

#define SECOND UINT64_C(1000000000)

/* ---- timelines ---- */

static struct cause_timeline line;

static void assert_spans(const uint64_t (*spans)[3], uint32_t count)
{
    assert_int_equal(line.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(line.spans[i].begin_ns, spans[i][0]);
        assert_int_equal(line.spans[i].end_ns, spans[i][1]);
        assert_int_equal(line.spans[i].state, spans[i][2]);
    }
}

static void spans_are_cut(void **state)
{
    (void)state;
    static const struct {
        uint64_t from, to, begin, end;
        uint64_t wanted[2]; /* 0, 0: nothing is left */
    } rows[] = {
        {100, 200, 120, 150, {120, 150}}, {100, 200, 50, 150, {110, 150}},
        {100, 200, 120, 250, {120, 200}}, {100, 200, 50, 250, {110, 200}},
        {100, 200, 50, 110, {0, 0}},      {100, 200, 50, 111, {110, 111}},
        {100, 200, 199, 300, {199, 200}}, {100, 200, 200, 300, {0, 0}},
        {100, 200, 150, 150, {0, 0}},     {100, 200, 150, 140, {0, 0}},
        {130, 200, 100, 150, {130, 150}}, /* behind the last one's end */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memset(&line, 0, sizeof line);
        cause_add(&line, 0, 1000, 90, 110, CAUSE_PIN); /* ends at 110 */
        cause_add(&line, rows[i].from, rows[i].to, rows[i].begin, rows[i].end, CAUSE_COLLATE);
        const uint64_t spans[2][3] = {{90, 110, CAUSE_PIN},
                                      {rows[i].wanted[0], rows[i].wanted[1], CAUSE_COLLATE}};
        assert_spans(spans, rows[i].wanted[1] > 0 ? 2 : 1);
    }
}

static void phases_keep_what_they_were_as_a_whole(void **state)
{
    (void)state;
    const struct cause_batch batch = {100, 160, 180, 40, 20, 0, 5};
    memset(&line, 0, sizeof line);
    cause_add_batch(&line, 150, 170, &batch);
    static const uint64_t spans[2][3] = {{150, 160, CAUSE_ITEMS}, {160, 170, CAUSE_COLLATION}};
    assert_spans(spans, 2);
    assert_int_equal(line.spans[0].wall_ns, 60);
    assert_int_equal(line.spans[0].cpu_ns, 40);
    assert_int_equal(line.spans[0].delay_ns, 20);
    assert_int_equal(line.spans[1].wall_ns, 20);
    assert_int_equal(line.spans[1].cpu_ns, 0);
    assert_int_equal(line.spans[1].delay_ns, 5);
    const struct cause_work work = {7, 8, 9, 0};
    cause_add_handover(&line, 150, 190, 165, 215, &work);
    assert_int_equal(line.count, 3);
    assert_int_equal(line.spans[2].begin_ns, 170);
    assert_int_equal(line.spans[2].end_ns, 190);
    assert_int_equal(line.spans[2].state, CAUSE_HANDOVER);
    assert_int_equal(line.spans[2].wall_ns, 50);
    assert_int_equal(line.spans[2].cpu_ns, 7);
    assert_int_equal(line.spans[2].delay_ns, 8);
    assert_int_equal(line.spans[2].collate_ns, 9);
    cause_add_handover(&line, 150, 190, 190, 215, &work); /* nothing is left of it */
    cause_add_handover(&line, 150, 190, 215, 165, &work);
    assert_int_equal(line.count, 3);
}

static void a_timeline_that_is_full(void **state)
{
    (void)state;
    const struct cause_batch batch = {1000, 1010, 1020, 1, 1, 0, 1};
    const struct cause_work work = {1, 1, 1, 0};
    memset(&line, 0, sizeof line);
    for (uint64_t i = 0; i < CAUSE_SPANS; i++)
        cause_add(&line, 0, 2000, 20 * i, 20 * i + 10, CAUSE_PIN);
    assert_int_equal(line.count, CAUSE_SPANS);
    const struct cause_timeline before = line;
    cause_add(&line, 0, 2000, 1000, 1010, CAUSE_PIN);
    cause_add_batch(&line, 0, 2000, &batch);
    cause_add_handover(&line, 0, 2000, 1000, 1010, &work);
    cause_overlay(&line, 1000, 1010, CAUSE_SAMPLER);
    cause_overlay(&line, 3, 6, CAUSE_SAMPLER); /* would cut one in two */
    assert_memory_equal(&line, &before, sizeof line);
    cause_overlay(&line, 20, 30, CAUSE_SAMPLER); /* takes the place of one */
    assert_int_equal(line.count, CAUSE_SPANS);
    assert_int_equal(line.spans[1].state, CAUSE_SAMPLER);
    /* One place for the part that is cut off, one for its own: both or none. */
    line.count = CAUSE_SPANS - 1;
    cause_overlay(&line, 3, 6, CAUSE_SAMPLER);
    assert_int_equal(line.count, CAUSE_SPANS - 1);
    line.count = CAUSE_SPANS - 2;
    cause_overlay(&line, 3, 6, CAUSE_SAMPLER);
    assert_int_equal(line.count, CAUSE_SPANS);
    assert_int_equal(line.spans[1].begin_ns, 3);
    assert_int_equal(line.spans[2].begin_ns, 6);
}

static void overlays_by_where_they_lie(void **state)
{
    (void)state;
    static const struct {
        uint64_t begin, end;
        uint32_t count;
        uint64_t spans[4][3];
    } rows[] = {
        /* of [10, 20) and [20, 30) */
        {0, 10, 3, {{0, 10, CAUSE_PIN}, {10, 20, CAUSE_ITEMS}, {20, 30, CAUSE_COLLATE}}},
        {30, 40, 3, {{10, 20, CAUSE_ITEMS}, {20, 30, CAUSE_COLLATE}, {30, 40, CAUSE_PIN}}},
        {5, 15, 3, {{5, 15, CAUSE_PIN}, {15, 20, CAUSE_ITEMS}, {20, 30, CAUSE_COLLATE}}},
        {15, 25, 3, {{10, 15, CAUSE_ITEMS}, {15, 25, CAUSE_PIN}, {25, 30, CAUSE_COLLATE}}},
        {10, 20, 2, {{10, 20, CAUSE_PIN}, {20, 30, CAUSE_COLLATE}}},
        {9, 21, 2, {{9, 21, CAUSE_PIN}, {21, 30, CAUSE_COLLATE}}},
        {10, 15, 3, {{10, 15, CAUSE_PIN}, {15, 20, CAUSE_ITEMS}, {20, 30, CAUSE_COLLATE}}},
        {15, 20, 3, {{10, 15, CAUSE_ITEMS}, {15, 20, CAUSE_PIN}, {20, 30, CAUSE_COLLATE}}},
        {12,
         15,
         4,
         {{10, 12, CAUSE_ITEMS},
          {12, 15, CAUSE_PIN},
          {15, 20, CAUSE_ITEMS},
          {20, 30, CAUSE_COLLATE}}},
        {0, 50, 1, {{0, 50, CAUSE_PIN}}},
        {15, 15, 2, {{10, 20, CAUSE_ITEMS}, {20, 30, CAUSE_COLLATE}}},
        {16, 15, 2, {{10, 20, CAUSE_ITEMS}, {20, 30, CAUSE_COLLATE}}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memset(&line, 0, sizeof line);
        cause_add(&line, 0, 100, 10, 20, CAUSE_ITEMS);
        cause_add(&line, 0, 100, 20, 30, CAUSE_COLLATE);
        cause_overlay(&line, rows[i].begin, rows[i].end, CAUSE_PIN);
        assert_spans(rows[i].spans, rows[i].count);
    }
}

/* ---- splits ---- */

static void splits_of_one_phase(void **state)
{
    (void)state;
    static const struct {
        struct cause_span span;
        uint64_t from, to;
        uint64_t compute, contention, blocked, collate, transfer, unknown;
    } rows[] = {
        {{0, 100, CAUSE_ITEMS, 100, 50, 20, 10}, 0, 100, 50, 20, 20, 10, 0, 0},
        {{0, 100, CAUSE_HANDOVER, 100, 50, 20, 10}, 0, 100, 50, 20, 0, 10, 20, 0},
        {{0, 100, CAUSE_COLLATION, 100, 0, 20, 0}, 0, 100, 0, 20, 0, 80, 0, 0},
        {{0, 100, CAUSE_ITEMS, 200, 100, 40, 20}, 0, 100, 50, 20, 20, 10, 0, 0},
        {{0, 100, CAUSE_ITEMS, 100, 50, 20, 10}, 50, 100, 25, 10, 10, 5, 0, 0},
        {{0, 100, CAUSE_ITEMS, 100, 50, 20, 10}, 50, 150, 25, 10, 10, 5, 0, 50},
        {{0, 100, CAUSE_ITEMS, 100, 80, 30, 10}, 0, 100, 80, 20, 0, 0, 0, 0}, /* beyond all */
        {{0, 100, CAUSE_ITEMS, 0, 80, 30, 10}, 0, 100, 0, 0, 0, 0, 0, 100},
        {{0, 100, CAUSE_TRANSFER, 0, 0, 0, 0}, 20, 100, 0, 0, 0, 0, 80, 0},
        {{0, 100, CAUSE_TRANSFER, 0, 0, 0, 0}, 100, 100, 0, 0, 0, 0, 0, 0},
        {{0, 100, CAUSE_TRANSFER, 0, 0, 0, 0}, 101, 100, 0, 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t sums[CAUSE_STATES] = {0};
        memset(&line, 0, sizeof line);
        line.spans[0] = rows[i].span;
        line.count = 1;
        cause_split(&line, rows[i].from, rows[i].to, sums);
        assert_int_equal(sums[CAUSE_COMPUTE], rows[i].compute);
        assert_int_equal(sums[CAUSE_CPU_CONTENTION], rows[i].contention);
        assert_int_equal(sums[CAUSE_BLOCKED], rows[i].blocked);
        assert_int_equal(sums[CAUSE_COLLATE], rows[i].collate);
        assert_int_equal(sums[CAUSE_TRANSFER], rows[i].transfer);
        assert_int_equal(sums[CAUSE_UNKNOWN], rows[i].unknown);
    }
}

/* Of the wait [100, 200). */
static void the_stall_at_the_end_of_a_wait(void **state)
{
    (void)state;
    static const struct {
        uint64_t stall, later, blocker, others;
        bool full;
        uint64_t unknown, ready, idle, window;
    } rows[] = {
        {100, 0, 0, 50, true, 100, 0, 0, 0}, /* no later batch was there */
        {100, 120, 180, 30, false, 100, 60, 30, 0},
        {100, 120, 180, 30, true, 100, 60, 30, 30},
        {50, 120, 180, 30, true, 50, 30, 15, 15}, /* half of it stalled */
        {20, 120, 180, 30, true, 20, 0, 0, 0},
        {0, 120, 180, 30, true, 0, 0, 0, 0},
        {99, 100, 200, 100, true, 99, 99, 99, 99},
        {100, 50, 180, 80, true, 100, 80, 80, 80}, /* there before the wait began */
        {100, 120, 300, 80, true, 100, 80, 80, 80},
        {100, 120, 180, 200, true, 100, 60, 60, 60}, /* no longer than it was there */
        {100, 180, 120, 30, true, 100, 0, 0, 0},
        {300, 120, 180, 30, true, 100, 60, 30, 30}, /* no more than the wait */
        {100, 1, 50, 30, true, 100, 0, 0, 0},       /* it came before the wait began */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct wait_cause cause = {.later_ready_ns = rows[i].later,
                                         .blocker_ns = rows[i].blocker,
                                         .others_idle_ns = rows[i].others,
                                         .window_full = rows[i].full};
        struct cause_share share;
        memset(&share, 0xff, sizeof share);
        cause_of_stall(&cause, 100, 200, rows[i].stall, &share);
        assert_int_equal(share.states_ns[CAUSE_UNKNOWN], rows[i].unknown);
        assert_int_equal(share.states_ns[CAUSE_COMPUTE], 0);
        assert_int_equal(share.later_ready_ns, rows[i].ready);
        assert_int_equal(share.others_idle_ns, rows[i].idle);
        assert_int_equal(share.window_full_ns, rows[i].window);
    }
}

/* ---- stalls ---- */

static void each_part_is_one_of_the_one_before(void **state)
{
    (void)state;
    static const uint64_t rows[][8] = {
        /* waiting, known, lower, upper; as they are taken */
        {100, 80, 20, 40, 100, 80, 20, 40},       {100, 100, 100, 100, 100, 100, 100, 100},
        {100, 101, 20, 40, 100, 100, 20, 40},     {100, 80, 20, 81, 100, 80, 20, 80},
        {100, 80, 41, 40, 100, 80, 40, 40},       {0, 80, 20, 40, 0, 0, 0, 0},
        {100, 999, 999, 999, 100, 100, 100, 100},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t *row = rows[i];
        const struct stall stall = stall_of(row[0], row[1], row[2], row[3]);
        assert_int_equal(stall.waiting_ns, row[4]);
        assert_int_equal(stall.known_ns, row[5]);
        assert_int_equal(stall.lower_ns, row[6]);
        assert_int_equal(stall.upper_ns, row[7]);
    }
    const struct stall stall = {100, 80, 20, 40};
    assert_int_equal(stall_unknown_ns(&stall), 20);
    assert_int_equal(stall_hidden_ns(&stall), 40);
    assert_int_equal(stall_most_ns(&stall), 60);
    assert_float_equal(stall_coverage(&stall), 0.8, 1e-12);
    assert_true(isnan(stall_coverage(&(struct stall){100, 0, 0, 0})));
    const struct stall cut = stall_within(&stall, 50);
    assert_int_equal(cut.waiting_ns, 50);
    assert_int_equal(cut.known_ns, 50);
    assert_int_equal(cut.upper_ns, 40);
    assert_int_equal(cut.lower_ns, 20);
}

static void stalls_of_idle_time(void **state)
{
    (void)state;
    static const uint64_t rows[][5] = {
        /* window, waiting, idle; at least, at most */
        {100, 70, 60, 30, 60},  {100, 70, 30, 0, 30}, {100, 70, 80, 50, 70},
        {100, 100, 60, 60, 60}, {100, 0, 60, 0, 0},   {100, 120, 60, 60, 60},
        {100, 70, 200, 70, 70},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct stall_bounds bounds = stall_of_idle(rows[i][0], rows[i][1], rows[i][2]);
        assert_int_equal(bounds.lower_ns, rows[i][3]);
        assert_int_equal(bounds.upper_ns, rows[i][4]);
    }
}

/* ---- histograms ---- */

static void quantiles_by_rank(void **state)
{
    (void)state;
    static const struct {
        uint64_t counts[3]; /* of the values 1, 2, 3 ns, which have buckets of their own */
        double p;
        uint64_t value;
    } rows[] = {
        {{1, 0, 0}, 0.0, 1},          {{1, 0, 0}, 1.0, 1},    {{0, 0, 1}, 0.5, 3},
        {{1, 1, 0}, 0.49, 1},         {{1, 1, 0}, 0.5, 2},    {{1, 1, 1}, 0.99, 3},
        {{1, 1, 1}, 1.0, 3},          {{50, 49, 1}, 0.5, 2},  {{51, 48, 1}, 0.5, 1},
        {{50, 49, 1}, 0.99, 3},       {{50, 49, 1}, 0.98, 2}, {{2, 1, 1}, 2.0, 3},
        {{0, 0, 0}, 0.5, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t buckets[HISTOGRAM_BUCKETS] = {0};
        for (int k = 0; k < 3; k++)
            buckets[histogram_bucket(1 + k)] = rows[i].counts[k];
        assert_int_equal(histogram_quantile(buckets, rows[i].p, 1, 3), rows[i].value);
    }
    /* Several at once, and no further than asked for. */
    uint64_t buckets[HISTOGRAM_BUCKETS] = {0}, values[4] = {0, 0, 0, 77};
    buckets[histogram_bucket(1)] = 1;
    buckets[histogram_bucket(3)] = 1;
    static const double p[3] = {0.1, 0.4, 0.6};
    histogram_quantiles(buckets, p, values, 3, 1, 3);
    assert_int_equal(values[0], 1);
    assert_int_equal(values[1], 1);
    assert_int_equal(values[2], 3);
    assert_int_equal(values[3], 77);
}

/* The middle of a bucket, but never outside what was seen; of the last one the longest. */
static void values_of_buckets(void **state)
{
    (void)state;
    const uint32_t bucket = histogram_bucket(1000000);
    const uint64_t low = histogram_bucket_low(bucket), high = histogram_bucket_high(bucket);
    const uint64_t middle = low + (high - 1 - low) / 2;
    assert_true(low <= 1000000 && high > 1000000 && high - low > 4);
    uint64_t buckets[HISTOGRAM_BUCKETS] = {0};
    buckets[bucket] = 5;
    assert_int_equal(histogram_quantile(buckets, 0.5, low, high), middle);
    assert_int_equal(histogram_quantile(buckets, 0.5, middle + 1, high), middle + 1);
    assert_int_equal(histogram_quantile(buckets, 0.5, low, middle - 1), middle - 1);
    buckets[bucket] = 0;
    buckets[HISTOGRAM_BUCKETS - 1] = 1;
    assert_int_equal(histogram_quantile(buckets, 0.5, 1, UINT64_C(1) << 60), UINT64_C(1) << 60);
    assert_int_equal(histogram_bucket_high(HISTOGRAM_BUCKETS - 1), UINT64_MAX);
    assert_int_equal(histogram_bucket_high(HISTOGRAM_BUCKETS - 2),
                     histogram_bucket_low(HISTOGRAM_BUCKETS - 1));
}

/* ---- replays ---- */

static void windows_that_cannot_be(void **state)
{
    (void)state;
    static struct replay run;
    static const uint32_t rows[][2] = {
        {0, 1}, {1, 1}, {2, 2}, {REPLAY_WINDOW, REPLAY_WINDOW}, {REPLAY_WINDOW + 1, REPLAY_WINDOW}};
    for (size_t i = 0; i < 5; i++) {
        memset(&run, 0xff, sizeof run);
        replay_start(&run, rows[i][0]);
        assert_int_equal(run.window, rows[i][1]);
        assert_int_equal(run.batches, 0);
        assert_int_equal(run.taken_ns, 0);
    }
    /* Two workers and a window of two: each works beside the other. */
    replay_start(&run, 2);
    assert_int_equal(replay_batch(&run, 0, 10, 0), 10);
    assert_int_equal(replay_batch(&run, 1, 10, 0), 0);
    assert_int_equal(replay_batch(&run, 0, 10, 5), 5);
    assert_int_equal(replay_batch(&run, REPLAY_WORKERS + 1, 10, 0), 0); /* the second one */
    assert_int_equal(run.batches, 4);
    assert_int_equal(run.taken_ns, 20);
}

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
    words[3] = 7;
    words[HISTOGRAM_BUCKETS + 4] = 9;
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
        assert_int_equal(totals.steady[3], 7 * (i + 1));
        assert_int_equal(totals.startup[4], 9 * (i + 1));
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
        cmocka_unit_test(spans_are_cut),
        cmocka_unit_test(phases_keep_what_they_were_as_a_whole),
        cmocka_unit_test(a_timeline_that_is_full),
        cmocka_unit_test(overlays_by_where_they_lie),
        cmocka_unit_test(splits_of_one_phase),
        cmocka_unit_test(the_stall_at_the_end_of_a_wait),
        cmocka_unit_test(each_part_is_one_of_the_one_before),
        cmocka_unit_test(stalls_of_idle_time),
        cmocka_unit_test(quantiles_by_rank),
        cmocka_unit_test(values_of_buckets),
        cmocka_unit_test(windows_that_cannot_be),
        cmocka_unit_test(recent_rates),
        cmocka_unit_test(rates_and_means),
        cmocka_unit_test(both_distributions),
        cmocka_unit_test(seconds_of_several_slots),
        cmocka_unit_test(sums_over_levels),
        cmocka_unit_test(numbers_of_no_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
