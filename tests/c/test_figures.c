/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of figures by hand: splits of causes, bounds of stalls, quantiles, replays; each
 * rule of a row or two. */
#include "cmocka_all.h"

#include <string.h>

#include "stats/cause.h"
#include "stats/histogram.h"
#include "stats/replay.h"
#include "stats/stall.h"

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
    const struct cause_batch batch = {100, 160, 180, 40, 20, 0, 5, 0};
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
    const struct cause_batch batch = {1000, 1010, 1020, 1, 1, 0, 1, 0};
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
