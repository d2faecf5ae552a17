/* SPDX-License-Identifier: Apache-2.0 */
/* Figures: what is recorded through datastall.h comes back as documented, in memory and in a file.
 */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run/reader.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static bool in_memory;
static datastall_monitor *monitor;
static datastall_loader *loader;
static uint64_t now_ns; /* the waits' own time */

static int open_monitor(void **state)
{
    (void)state;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    options.flags = in_memory ? DATASTALL_MEMORY_ONLY : 0;
    options.max_slots = 4;
    now_ns = 1000 * SECOND;
    assert_int_equal(datastall_open(&options, &monitor), 0);
    test_any_time(monitor);
    loader = test_loader(monitor, "train");
    return 0;
}

static int close_monitor(void **state)
{
    (void)state;
    datastall_close(monitor);
    return 0;
}

static void put(uint64_t wait_ns, enum datastall_wait_kind kind, const datastall_batch *batch)
{
    now_ns += wait_ns == DATASTALL_UNKNOWN ? 1 : wait_ns + 1;
    datastall_wait_record(loader, now_ns, wait_ns, kind, batch);
}

static datastall_batch batch_of(uint64_t samples, uint64_t tokens, uint64_t longest)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.samples = samples;
    batch.tokens = tokens;
    batch.longest_sequence = longest;
    return batch;
}

static datastall_statistics figures(void)
{
    datastall_statistics one = DATASTALL_STATISTICS_INIT, all = DATASTALL_STATISTICS_INIT;
    assert_int_equal(datastall_loader_statistics(loader, &one), 0);
    assert_int_equal(datastall_monitor_statistics(monitor, &all), 0);
    assert_memory_equal(&one, &all, sizeof one); /* it is the only loader */
    return one;
}

static void assert_about(double value, double expected, double share)
{
    if (!(fabs(value - expected) <= share * fabs(expected)))
        fail_msg("%.12g is not %.12g to within %g", value, expected, share);
}

static void nothing_recorded_is_unknown(void **state)
{
    (void)state;
    datastall_statistics s = figures();
    assert_int_equal(s.batches + s.iterators + s.failed + s.failed_ns, 0);
    assert_int_equal(s.steady.count + s.steady.sum_ns + s.startup.count + s.startup.sum_ns, 0);
    const uint64_t unknown[] = {
        s.steady.min_ns,    s.steady.max_ns,   s.steady.p50_ns,  s.steady.p95_ns, s.steady.p99_ns,
        s.startup.min_ns,   s.startup.max_ns,  s.startup.p50_ns, s.samples,       s.tokens,
        s.longest_sequence, s.window_begin_ns, s.window_end_ns};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_true(unknown[i] == DATASTALL_UNKNOWN);
    const double nan[] = {s.steady.mean_ns,        s.startup.mean_ns,      s.packing_efficiency,
                          s.mean_longest,          s.mean_sequence_length, s.stated_efficiency_mean,
                          s.stated_efficiency_min, s.samples_per_s,        s.tokens_per_s,
                          s.recent_samples_per_s,  s.recent_tokens_per_s};
    for (size_t i = 0; i < sizeof nan / sizeof *nan; i++)
        assert_true(isnan(nan[i]));
}

static void waits_become_a_distribution(void **state)
{
    (void)state;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 1000; i++) { /* 0.1 to 100 ms in an order that is not sorted */
        uint64_t wait = (i * 617 % 1000 + 1) * MS / 10;
        sum += wait;
        put(wait, DATASTALL_WAIT_STEADY, NULL);
    }
    datastall_statistics s = figures();
    assert_int_equal(s.batches, 1000);
    assert_int_equal(s.steady.count, 1000);
    assert_int_equal(s.steady.sum_ns, sum);
    assert_int_equal(s.steady.min_ns, MS / 10);
    assert_int_equal(s.steady.max_ns, 100 * MS);
    assert_about(s.steady.mean_ns, (double)sum / 1000, 1e-12);
    assert_about((double)s.steady.p50_ns, 50.1e6, 0.01); /* rank 500 of 0 .. 999 */
    assert_about((double)s.steady.p95_ns, 95.1e6, 0.01);
    assert_about((double)s.steady.p99_ns, 99.1e6, 0.01);
    assert_int_equal(s.startup.count, 0);
}

static void kinds_go_where_they_belong(void **state)
{
    (void)state;
    datastall_batch batch = batch_of(8, 80, 10);
    put(7 * MS, DATASTALL_WAIT_ITER, &batch); /* a batch with no batch kind is not counted */
    put(9 * MS, DATASTALL_WAIT_FIRST, &batch);
    put(2 * MS, DATASTALL_WAIT_STEADY, &batch);
    put(4 * MS, DATASTALL_WAIT_STEADY, &batch);
    put(11 * MS, DATASTALL_WAIT_END, &batch);
    put(100 * MS, DATASTALL_WAIT_FAILED, &batch);
    put(DATASTALL_UNKNOWN, DATASTALL_WAIT_FAILED, NULL);
    datastall_statistics s = figures();
    assert_int_equal(s.batches, 3);
    assert_int_equal(s.iterators, 1);
    assert_int_equal(s.failed, 2);
    assert_int_equal(s.failed_ns, 100 * MS);
    assert_int_equal(s.samples, 24);
    assert_int_equal(s.samples_batches, 3);
    assert_int_equal(s.tokens, 240);
    assert_int_equal(s.steady.count, 2);
    assert_int_equal(s.steady.sum_ns, 6 * MS);
    assert_int_equal(s.steady.max_ns, 4 * MS);
    assert_int_equal(s.startup.count, 3);
    assert_int_equal(s.startup.sum_ns, 27 * MS);
    assert_int_equal(s.startup.min_ns, 7 * MS);
    assert_int_equal(s.startup.max_ns, 11 * MS);
    assert_int_equal(s.queue_normal, 2); /* queue states are of steady waits only */
    assert_int_equal(s.queue_full + s.queue_starved + s.queue_unknown, 0);
}

static void queue_state_limits_are_exclusive(void **state)
{
    (void)state;
    assert_int_equal(datastall_infer_queue_state(0), DATASTALL_QUEUE_FULL);
    assert_int_equal(datastall_infer_queue_state(MS - 1), DATASTALL_QUEUE_FULL);
    assert_int_equal(datastall_infer_queue_state(MS), DATASTALL_QUEUE_NORMAL);
    assert_int_equal(datastall_infer_queue_state(50 * MS), DATASTALL_QUEUE_NORMAL);
    assert_int_equal(datastall_infer_queue_state(50 * MS + 1), DATASTALL_QUEUE_STARVED);
    assert_int_equal(datastall_infer_queue_state(UINT64_MAX - 1), DATASTALL_QUEUE_STARVED);
    assert_int_equal(datastall_infer_queue_state(DATASTALL_UNKNOWN), DATASTALL_QUEUE_UNKNOWN);
    const uint64_t waits[] = {0, MS - 1, MS, 50 * MS, 50 * MS + 1, DATASTALL_UNKNOWN, 3 * MS};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        put(waits[i], DATASTALL_WAIT_STEADY, NULL);
    datastall_statistics s = figures();
    assert_int_equal(s.queue_full, 2);
    assert_int_equal(s.queue_normal, 3);
    assert_int_equal(s.queue_starved, 1);
    assert_int_equal(s.queue_unknown, 1);
}

static void an_unknown_wait_counts_the_batch_only(void **state)
{
    (void)state;
    datastall_batch batch = batch_of(5, DATASTALL_UNKNOWN, DATASTALL_UNKNOWN);
    put(10 * MS, DATASTALL_WAIT_STEADY, &batch);
    put(DATASTALL_UNKNOWN, DATASTALL_WAIT_STEADY, &batch);
    put(DATASTALL_UNKNOWN, DATASTALL_WAIT_FIRST, &batch);
    datastall_statistics s = figures();
    assert_int_equal(s.batches, 3);
    assert_int_equal(s.samples, 15);
    assert_int_equal(s.steady.count, 1);
    assert_int_equal(s.steady.sum_ns, 10 * MS);
    assert_int_equal(s.startup.count, 0);
    assert_int_equal(s.queue_unknown, 1);
    assert_true(s.startup.p50_ns == DATASTALL_UNKNOWN);
    assert_true(s.tokens == DATASTALL_UNKNOWN);
    assert_int_equal(s.tokens_batches, 0);
}

static void packing_sums_over_the_same_batches(void **state)
{
    (void)state;
    const uint64_t unknown = DATASTALL_UNKNOWN;
    datastall_batch full = batch_of(4, 300, 100);              /* 300 of 400 */
    datastall_batch no_longest = batch_of(4, 100000, unknown); /* in neither sum */
    datastall_batch no_tokens = batch_of(4, unknown, 1000);    /* in neither sum */
    datastall_batch no_samples = batch_of(unknown, 5000, 10);  /* padded size unknown */
    datastall_batch packed = batch_of(3, 90, 64);              /* states what was computed */
    packed.padded_tokens = 128;
    put(MS, DATASTALL_WAIT_STEADY, &no_longest);
    put(MS, DATASTALL_WAIT_STEADY, &no_tokens);
    put(MS, DATASTALL_WAIT_STEADY, &no_samples);
    datastall_statistics s = figures();
    assert_true(isnan(s.packing_efficiency));
    put(MS, DATASTALL_WAIT_STEADY, &full);
    put(MS, DATASTALL_WAIT_FIRST, &packed);
    s = figures();
    assert_about(s.packing_efficiency, 390.0 / 528.0, 1e-12);
    assert_int_equal(s.tokens, 105390);
    assert_int_equal(s.tokens_batches, 4);
    assert_int_equal(s.samples_batches, 4);
    assert_int_equal(s.longest_sequence, 1000);
    assert_about(s.mean_longest, (100 + 1000 + 10 + 64) / 4.0, 1e-12);
    /* A product that does not fit is unknown, not small. */
    datastall_batch huge = batch_of(UINT64_C(1) << 40, 10, UINT64_C(1) << 40);
    put(MS, DATASTALL_WAIT_STEADY, &huge);
    assert_about(figures().packing_efficiency, 390.0 / 528.0, 1e-12);
}

static void stated_figures_are_kept_apart(void **state)
{
    (void)state;
    const double efficiency[] = {0.9, 0.5, 0.80, 0.7999};
    for (int i = 0; i < 4; i++) {
        datastall_batch batch = batch_of(1, 10, 10);
        batch.packing_efficiency = efficiency[i];
        batch.mean_sequence_length = i < 2 ? 10 + i : NAN;
        batch.flags = i == 0 ? DATASTALL_BATCH_TOKENS_SAMPLED : 0;
        put(MS, DATASTALL_WAIT_STEADY, &batch);
    }
    put(MS, DATASTALL_WAIT_STEADY, NULL);
    datastall_statistics s = figures();
    assert_int_equal(s.stated_efficiency_batches, 4);
    assert_about(s.stated_efficiency_mean, (0.9 + 0.5 + 0.80 + 0.7999) / 4, 1e-12);
    assert_about(s.stated_efficiency_min, 0.5, 0);
    assert_int_equal(s.stated_efficiency_low, 2); /* 0.80 itself is not low */
    assert_about(s.mean_sequence_length, 10.5, 1e-12);
    assert_about(s.packing_efficiency, 1.0, 0);
    assert_int_equal(s.tokens_sampled, 1);
    assert_int_equal(s.batches, 5);
}

/* 50 s at 100 samples/s, then 20 s at 1000 samples/s. */
static void throughput_over_the_window_and_its_end(void **state)
{
    (void)state;
    datastall_batch batch = batch_of(10, 50, 5);
    const uint64_t begin = 5000 * SECOND + 300 * MS;
    uint64_t end = begin;
    for (int i = 0; i < 500; i++) {
        end += 100 * MS;
        datastall_wait_record(loader, end, 100 * MS, DATASTALL_WAIT_STEADY, &batch);
    }
    for (int i = 0; i < 2000; i++) {
        end += 10 * MS;
        datastall_wait_record(loader, end, 9 * MS, DATASTALL_WAIT_STEADY, &batch);
    }
    datastall_statistics s = figures();
    assert_int_equal(s.window_begin_ns, begin);
    assert_int_equal(s.window_end_ns, begin + 70 * SECOND);
    assert_about(s.samples_per_s, 25000.0 / 70, 1e-9);
    assert_about(s.tokens_per_s, 125000.0 / 70, 1e-9);
    assert_about(s.recent_samples_per_s, 1000, 0.01);
    assert_about(s.recent_tokens_per_s, 5000, 0.01);
}

/* A window of less than ten seconds is not divided by ten. */
static void recent_throughput_of_a_short_window(void **state)
{
    (void)state;
    datastall_batch batch = batch_of(10, DATASTALL_UNKNOWN, 5);
    for (int i = 1; i <= 20; i++)
        datastall_wait_record(loader, 9000 * SECOND + (uint64_t)i * 100 * MS, 100 * MS,
                              DATASTALL_WAIT_STEADY, &batch);
    datastall_statistics s = figures();
    assert_about(s.samples_per_s, 100, 1e-9);
    assert_about(s.recent_samples_per_s, 100, 1e-9);
    assert_true(isnan(s.tokens_per_s) && isnan(s.recent_tokens_per_s));
}

static void the_clock_measures_a_wait(void **state)
{
    (void)state;
    const struct timespec pause = {0, 20 * (long)MS};
    datastall_batch batch = batch_of(1, 2, 3);
    const uint64_t before = datastall_clock_ns();
    datastall_wait wait = datastall_wait_begin(loader);
    nanosleep(&pause, NULL);
    datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, &batch);
    const uint64_t outside = datastall_clock_ns() - before;
    datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, &batch); /* ended: nothing */
    wait = datastall_wait_begin(loader);
    uint64_t end = datastall_clock_ns();
    const uint64_t second = end - wait.begin_ns;
    nanosleep(&pause, NULL); /* looking into the batch is no waiting */
    datastall_wait_end_at(&wait, end, DATASTALL_WAIT_STEADY, &batch);
    wait = datastall_wait_begin(loader); /* forgotten: not counted */
    wait = datastall_wait_begin(loader);
    datastall_wait_end_at(&wait, wait.begin_ns, DATASTALL_WAIT_STEADY, &batch);
    datastall_statistics s = figures();
    assert_int_equal(s.batches, 3);
    assert_int_equal(s.steady.min_ns, 0);
    const uint64_t first = s.steady.sum_ns - second;
    assert_in_range(first, 20 * MS, outside);
    assert_int_equal(s.steady.max_ns, first > second ? first : second);
    assert_true(s.window_end_ns >= s.window_begin_ns + 20 * MS);
    assert_true(s.window_end_ns <= datastall_clock_ns());
}

/* The same figures are in the file, with each wait in full. */
static void the_file_holds_the_same(void **state)
{
    (void)state;
    if (in_memory) {
        assert_string_equal(datastall_run_file(monitor), "");
        return;
    }
    for (uint64_t i = 0; i < 40; i++) {
        datastall_batch batch = batch_of(i + 1, 10 * i, i);
        if (i % 2 == 0)
            batch.batch_index = 1000 + i;
        put((i + 1) * MS, i == 0 ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY, &batch);
    }
    struct run_reader *reader;
    struct rf_slot_view view;
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    assert_int_equal(run_reader_slot(reader, 0, RF_PART_ALL, &view), RF_VIEW_OK);
    assert_int_equal(view.records, 40);
    assert_int_equal(view.skew, 0);
    assert_int_equal(view.ring_count, 40);
    for (uint64_t i = 0; i < 40; i++) {
        const uint64_t *record = rf_view_record(&view, i);
        assert_int_equal(record[RF_RECORD_BATCH], i % 2 == 0 ? 1000 + i : i);
        assert_int_equal(record[RF_RECORD_WAIT_NS], (i + 1) * MS);
        assert_int_equal(record[RF_RECORD_SAMPLES], i + 1);
        assert_int_equal(record[RF_RECORD_PADDED], (i + 1) * i);
        assert_true(record[RF_RECORD_STALL_LOWER] == RF_UNKNOWN);
    }
    assert_int_equal(view.counters[RF_COUNT_SAMPLES], 820);
    assert_int_equal(view.counters[RF_COUNT_STEADY_NS], 819 * MS);
    /* The sixteen longest steady waits are kept: 25 .. 40 ms. */
    uint64_t slow = 0;
    for (uint32_t i = 0; i < RF_SLOWEST; i++)
        slow += rf_view_slow(&view, 0, i)[RF_SLOW_WAIT_NS];
    assert_int_equal(slow, (25 + 40) * 8 * MS);
    rf_slot_view_free(&view);
    run_reader_close(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_monitor, close_monitor)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_recorded_is_unknown),
        TEST(waits_become_a_distribution),
        TEST(kinds_go_where_they_belong),
        TEST(queue_state_limits_are_exclusive),
        TEST(an_unknown_wait_counts_the_batch_only),
        TEST(packing_sums_over_the_same_batches),
        TEST(stated_figures_are_kept_apart),
        TEST(throughput_over_the_window_and_its_end),
        TEST(recent_throughput_of_a_short_window),
        TEST(the_clock_measures_a_wait),
        TEST(the_file_holds_the_same),
    };
    test_run_folder();
    int failed = cmocka_run_group_tests_name("file", tests, NULL, NULL);
    in_memory = true;
    return failed + cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
