/* SPDX-License-Identifier: Apache-2.0 */
/* Times and counts that cannot be: each is refused by the rule of the header, counted by reason,
 * and leaves every other figure as it was. And no sum wraps. */
#include "cmocka_all.h"

#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/unknown.h"
#include "record/monitor.h"
#include "run/reader.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static datastall_monitor *monitor;
static datastall_loader *loader;

static int open_monitor(void **state)
{
    (void)state;
    assert_int_equal(datastall_open(NULL, &monitor), 0);
    loader = test_loader(monitor, "train");
    return 0;
}

static int close_monitor(void **state)
{
    (void)state;
    datastall_close(monitor);
    return 0;
}

static datastall_statistics figures(void)
{
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    assert_int_equal(datastall_loader_statistics(loader, &s), 0);
    return s;
}

static datastall_lost lost(void)
{
    datastall_lost l = DATASTALL_LOST_INIT;
    assert_int_equal(datastall_lost_get(monitor, &l), 0);
    return l;
}

static uint64_t clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* Ends that no wait of this process had. */
static uint64_t impossible_end(int i)
{
    const uint64_t now = datastall_clock_ns();
    const uint64_t ends[] = {clock_of(CLOCK_REALTIME), /* another clock */
                             UINT64_MAX,
                             UINT64_MAX - 1,
                             UINT64_MAX / 2,
                             (uint64_t)-5,
                             now + 3600 * SECOND,
                             now / 1000, /* another unit */
                             now / 1000000,
                             0,
                             1};
    return i < (int)(sizeof ends / sizeof *ends) ? ends[i] : DATASTALL_UNKNOWN - 7;
}
#define IMPOSSIBLE_ENDS 10

static void an_end_that_cannot_be_is_now(void **state)
{
    (void)state;
    const uint64_t begin = datastall_clock_ns();
    datastall_wait_record(loader, begin, MS, DATASTALL_WAIT_STEADY, NULL);
    for (int i = 0; i < IMPOSSIBLE_ENDS; i++) {
        datastall_batch batch = DATASTALL_BATCH_INIT;
        batch.samples = 2;
        datastall_wait_record(loader, impossible_end(i), 3 * MS, DATASTALL_WAIT_STEADY, &batch);
        assert_int_equal(lost().impossible_times, 2 * i + 1);
        datastall_wait wait = datastall_wait_begin(loader);
        datastall_wait_end_at(&wait, impossible_end(i), DATASTALL_WAIT_STEADY, &batch);
        assert_int_equal(lost().impossible_times, 2 * i + 2);
    }
    const datastall_statistics s = figures();
    assert_int_equal(s.batches, 2 * IMPOSSIBLE_ENDS + 1);
    assert_int_equal(s.samples, 4 * IMPOSSIBLE_ENDS);
    /* What was measured elsewhere stays; what would have been measured to that end is unknown. */
    assert_int_equal(s.steady.count, IMPOSSIBLE_ENDS + 1);
    assert_int_equal(s.queue_unknown, IMPOSSIBLE_ENDS);
    assert_int_equal(s.steady.sum_ns, (3 * IMPOSSIBLE_ENDS + 1) * MS);
    assert_int_equal(s.steady.max_ns, 3 * MS);
    assert_in_range(s.window_begin_ns, begin - 3 * MS, begin - MS);
    assert_in_range(s.window_end_ns, begin, datastall_clock_ns());
    assert_true(isfinite(s.samples_per_s));
    assert_int_equal(lost().impossible_counts + lost().unknown_arguments, 0);
}

static void ends_that_can_be_are_kept(void **state)
{
    (void)state;
    const uint64_t now = datastall_clock_ns();
    /* A clock that another thread read a moment later, and one read a while ago. */
    datastall_wait_record(loader, now + SECOND / 2, MS, DATASTALL_WAIT_STEADY, NULL);
    datastall_wait_record(loader, now, 0, DATASTALL_WAIT_STEADY, NULL);
    datastall_wait wait = datastall_wait_begin(loader);
    datastall_wait_end_at(&wait, wait.begin_ns, DATASTALL_WAIT_STEADY, NULL);
    const datastall_statistics s = figures();
    assert_int_equal(s.steady.count, 3);
    assert_int_equal(s.window_end_ns, now + SECOND / 2);
    assert_int_equal(lost().impossible_times, 0);
}

static void a_wait_that_cannot_be_is_unknown(void **state)
{
    (void)state;
    const uint64_t now = datastall_clock_ns();
    const uint64_t waits[] = {now + 1, (uint64_t)-1000000, UINT64_MAX - 1, UINT64_MAX / 2};
    for (size_t i = 0; i < 4; i++)
        datastall_wait_record(loader, now, waits[i], DATASTALL_WAIT_STEADY, NULL);
    assert_int_equal(lost().impossible_times, 4);
    datastall_wait_record(loader, now, DATASTALL_UNKNOWN, DATASTALL_WAIT_STEADY, NULL);
    assert_int_equal(lost().impossible_times, 4); /* that is no time: it was not said */
    datastall_wait wait = datastall_wait_begin(loader);
    datastall_wait_end_at(&wait, wait.begin_ns - 1, DATASTALL_WAIT_STEADY, NULL);
    assert_int_equal(lost().impossible_times, 5);
    const datastall_statistics s = figures();
    assert_int_equal(s.batches, 6);
    assert_int_equal(s.queue_unknown, 6);
    assert_int_equal(s.steady.count + s.steady.sum_ns, 0);
    assert_int_equal(s.window_begin_ns, now);
    assert_in_range(s.window_end_ns, now, datastall_clock_ns());
}

/* ---- counts ---- */

static void a_count_that_cannot_be_is_unknown(void **state)
{
    (void)state;
    datastall_batch good = DATASTALL_BATCH_INIT;
    good.batch_index = good.samples = 4;
    good.tokens = 30;
    good.longest_sequence = 10;
    good.padded_tokens = 40;
    good.mean_sequence_length = 7.5;
    good.packing_efficiency = 0.75;
    datastall_wait_record(loader, datastall_clock_ns(), MS, DATASTALL_WAIT_STEADY, &good);
    const uint64_t counts[] = {DATASTALL_MAX_COUNT + 1, UINT64_MAX - 1, (uint64_t)-5,
                               UINT64_MAX / 2};
    for (size_t i = 0; i < 4; i++) {
        datastall_batch bad = DATASTALL_BATCH_INIT;
        bad.batch_index = bad.samples = bad.tokens = counts[i];
        bad.longest_sequence = bad.padded_tokens = counts[i];
        datastall_wait_record(loader, datastall_clock_ns(), MS, DATASTALL_WAIT_STEADY, &bad);
        assert_int_equal(lost().impossible_counts, 5 * (i + 1));
    }
    const double reals[][2] = {
        {-1, -0.1}, {INFINITY, INFINITY}, {-INFINITY, -INFINITY}, {1e300, 3.58}};
    for (size_t i = 0; i < 4; i++) {
        datastall_batch bad = DATASTALL_BATCH_INIT;
        bad.mean_sequence_length = reals[i][0];
        bad.packing_efficiency = reals[i][1];
        datastall_wait_record(loader, datastall_clock_ns(), MS, DATASTALL_WAIT_STEADY, &bad);
        assert_int_equal(lost().impossible_counts, 20 + 2 * (i + 1));
    }
    const datastall_statistics s = figures();
    assert_int_equal(s.batches, 9);
    assert_int_equal(s.samples, 4);
    assert_int_equal(s.samples_batches, 1);
    assert_int_equal(s.tokens, 30);
    assert_int_equal(s.longest_sequence, 10);
    assert_true(s.packing_efficiency == 0.75);
    assert_true(s.mean_longest == 10 && s.mean_sequence_length == 7.5);
    assert_true(s.stated_efficiency_mean == 0.75 && s.stated_efficiency_min == 0.75);
    assert_int_equal(lost().impossible_times, 0);
}

/* One figure that cannot be is seen beside others that can, whichever it is. */
static void each_figure_is_looked_at(void **state)
{
    (void)state;
    const uint64_t huge = DATASTALL_MAX_COUNT + 1;
    uint64_t refused = 0;
    for (int i = 0; i < 9; i++) {
        datastall_batch bad = DATASTALL_BATCH_INIT;
        bad.samples = i == 0 ? huge : 2;
        bad.tokens = i == 1 ? huge : 6;
        bad.longest_sequence = i == 2 ? huge : 4;
        bad.padded_tokens = i == 3 ? huge : 8;
        bad.batch_index = i == 4 ? huge : 1;
        bad.mean_sequence_length = i == 5 ? -1.0 : i == 6 ? 1e300 : 3.0;
        bad.packing_efficiency = i == 7 ? -0.5 : i == 8 ? 3.58 : 0.75;
        datastall_wait_record(loader, datastall_clock_ns(), MS, DATASTALL_WAIT_STEADY, &bad);
        assert_int_equal(lost().impossible_counts, ++refused);
    }
    const datastall_statistics s = figures();
    assert_int_equal(s.samples, 8 * 2);
    assert_int_equal(s.tokens, 8 * 6);
    assert_int_equal(s.stated_efficiency_batches, 7);
    assert_true(s.mean_sequence_length == 3.0 && s.stated_efficiency_mean == 0.75);
    assert_true(s.mean_longest == 4.0);
}

static void the_largest_counts_are_counts(void **state)
{
    (void)state;
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.batch_index = batch.samples = batch.tokens = DATASTALL_MAX_COUNT;
    batch.longest_sequence = batch.padded_tokens = DATASTALL_MAX_COUNT;
    batch.mean_sequence_length = (double)DATASTALL_MAX_COUNT;
    batch.packing_efficiency = 1.0 + 1e-12; /* a quotient of equals */
    datastall_wait_record(loader, datastall_clock_ns(), MS, DATASTALL_WAIT_STEADY, &batch);
    const datastall_statistics s = figures();
    datastall_batch equal = DATASTALL_BATCH_INIT;
    equal.packing_efficiency = 1.0 + 1e-12;
    datastall_wait_record(loader, datastall_clock_ns(), MS, DATASTALL_WAIT_STEADY, &equal);
    assert_true(figures().stated_efficiency_mean == 1.0);
    assert_int_equal(s.samples, DATASTALL_MAX_COUNT);
    assert_int_equal(s.tokens, DATASTALL_MAX_COUNT);
    assert_true(s.packing_efficiency == 1.0 && s.stated_efficiency_mean == 1.0);
    assert_int_equal(lost().impossible_counts, 0);
}

static void a_loaders_counts_are_looked_at_too(void **state)
{
    (void)state;
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    datastall_loader *other;
    struct run_reader *reader;
    struct rf_loader_entry entry;
    options.name = "wild";
    options.num_workers = UINT64_MAX - 1;
    options.prefetch_factor = (uint64_t)-2;
    options.batch_size = 8;
    assert_int_equal(datastall_loader_register(monitor, &options, &other), 0);
    assert_int_equal(lost().impossible_counts, 2);
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    assert_true(run_reader_loader(reader, 2, &entry));
    assert_true(entry.num_workers == RF_UNKNOWN && entry.prefetch_factor == RF_UNKNOWN);
    assert_int_equal(entry.batch_size, 8);
    run_reader_close(reader);
}

static void what_is_not_known_is_not_made_up(void **state)
{
    (void)state;
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.samples = 3;
    batch.flags = 0x80 | DATASTALL_BATCH_TOKENS_SAMPLED;
    batch.tokens = 5;
    datastall_wait_record(loader, datastall_clock_ns(), MS, DATASTALL_WAIT_STEADY, &batch);
    assert_int_equal(lost().unknown_arguments, 1);
    datastall_wait_record(loader, datastall_clock_ns(), MS, (enum datastall_wait_kind)5, &batch);
    datastall_wait_record(loader, datastall_clock_ns(), MS, (enum datastall_wait_kind) - 1, &batch);
    assert_int_equal(lost().unknown_arguments, 3);
    const datastall_statistics s = figures();
    assert_int_equal(s.batches, 1);
    assert_int_equal(s.tokens_sampled, 1);
    assert_int_equal(s.samples, 3);
}

static void the_file_has_the_counters(void **state)
{
    (void)state;
    struct run_reader *reader;
    struct rf_process_view view;
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.samples = UINT64_MAX - 1;
    batch.flags = 2;
    datastall_wait_record(loader, UINT64_MAX, MS, DATASTALL_WAIT_STEADY, &batch);
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    assert_true(run_reader_process(reader, &view));
    assert_int_equal(view.words[RF_PROCESS_IMPOSSIBLE_TIMES], 1);
    assert_int_equal(view.words[RF_PROCESS_IMPOSSIBLE_COUNTS], 1);
    assert_int_equal(view.words[RF_PROCESS_UNKNOWN_ARGUMENTS], 1);
    run_reader_close(reader);
}

/* ---- sums ---- */

/* The longest waits that are taken, until any sum of them would have wrapped several times. */
static void no_sum_wraps(void **state)
{
    (void)state;
    struct rf_slot_view view;
    struct run_reader *reader;
    const uint64_t huge = RF_MOST_WAIT_NS, end_ns = 4 * huge;
    test_any_time(monitor);
    datastall_stage_set(monitor, "long", NULL);
    for (uint64_t i = 0; i < 4000; i++) {
        datastall_wait_record(loader, end_ns + i % 2 * SECOND, huge, DATASTALL_WAIT_STEADY, NULL);
        datastall_wait_record(loader, end_ns + i % 2 * SECOND, huge, DATASTALL_WAIT_FIRST, NULL);
        datastall_wait_record(loader, end_ns + i % 2 * SECOND, huge, DATASTALL_WAIT_FAILED, NULL);
    }
    const datastall_statistics s = figures();
    assert_true(s.steady.sum_ns == DS_MOST && s.startup.sum_ns == DS_MOST);
    assert_true(s.failed_ns == DS_MOST);
    assert_int_equal(s.steady.count, 4000);
    assert_int_equal(lost().impossible_times, 0);
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    /* No file of a machine says so: it is called damaged, and the sums stand all the same. */
    assert_int_equal(run_reader_slot(reader, 0, RF_PART_ALL, &view), RF_VIEW_DAMAGED);
    assert_true(rf_view_stage(&view, 1)[RF_COUNT_STEADY_NS] == DS_MOST);
    const uint64_t *bucket = rf_view_rollup(&view, 0, (end_ns / SECOND + 2) % RF_ROLLUP_BUCKETS);
    assert_true(bucket[RF_ROLLUP_OF(STEADY_NS)] == DS_MOST);
    rf_slot_view_free(&view);
    run_reader_close(reader);
}

/* One longer than that is none. */
static void no_wait_is_endless(void **state)
{
    (void)state;
    test_any_time(monitor);
    datastall_wait_record(loader, RF_MOST_NS, RF_MOST_WAIT_NS + 1, DATASTALL_WAIT_STEADY, NULL);
    datastall_wait wait = datastall_wait_begin(loader);
    datastall_wait_end_at(&wait, wait.begin_ns + RF_MOST_WAIT_NS + 1, DATASTALL_WAIT_STEADY, NULL);
    assert_int_equal(lost().impossible_times, 2);
    const datastall_statistics s = figures();
    assert_int_equal(s.batches, 2);
    assert_int_equal(s.steady.count, 0);
}

/* The rows of a file: each word that is no time or count by itself makes the slot a damaged one. */
static void rows_that_cannot_be_are_damage(void **state)
{
    (void)state;
    static const struct {
        uint32_t word;
        uint64_t most; /* that is possible */
    } rows[] = {
        {RF_RECORD_BEGIN_NS, RF_MOST_NS},         {RF_RECORD_WAIT_NS, RF_MOST_WAIT_NS},
        {RF_RECORD_SAMPLES, DATASTALL_MAX_COUNT}, {RF_RECORD_TOKENS, DATASTALL_MAX_COUNT},
        {RF_RECORD_LONGEST, DATASTALL_MAX_COUNT}, {RF_RECORD_PADDED, DATASTALL_MAX_COUNT},
        {RF_RECORD_STALL_LOWER, RF_MOST_WAIT_NS}, {RF_RECORD_STALL_UPPER, RF_MOST_WAIT_NS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t row[RF_RECORD_WORDS] = {0};
        row[RF_RECORD_KIND] = rf_pack_kind(DATASTALL_WAIT_STEADY, 0, 0, RF_RECORD_COMPOSED);
        row[rows[i].word] = rows[i].most;
        assert_true(rf_row_is_possible(row));
        row[rows[i].word] = rows[i].most + 1;
        assert_false(rf_row_is_possible(row));
        row[rows[i].word] = RF_UNKNOWN;
        assert_int_equal(rf_row_is_possible(row), i != 0);
    }
}

static void threads_add_up_without_wrapping(void **state)
{
    (void)state;
    struct rf_totals *totals = calloc(1, sizeof *totals);
    struct rf_slot_view view;
    struct run_reader *reader;
    assert_non_null(totals);
    datastall_wait_record(loader, datastall_clock_ns(), MS, DATASTALL_WAIT_STEADY, NULL);
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    assert_int_equal(run_reader_slot(reader, 0, RF_PART_ALL, &view), RF_VIEW_OK);
    view.counters[RF_COUNT_STEADY_NS] = DS_MOST - 1;
    for (int i = 0; i < 3; i++)
        rf_totals_add(totals, &view);
    assert_true(totals->counters[RF_COUNT_STEADY_NS] == DS_MOST);
    assert_true(rf_stall_of(totals->counters).waiting_ns == DS_MOST);
    rf_slot_view_free(&view);
    run_reader_close(reader);
    free(totals);
}

/* ---- said once ---- */

static void end_with_impossible(void *context)
{
    const int *pipe_end = context;
    datastall_monitor *m;
    dup2(*pipe_end, STDERR_FILENO);
    CHECK(datastall_open(NULL, &m) == 0, "open");
    for (int i = 0; i < 1000; i++)
        datastall_wait_record(test_loader(m, "l"), UINT64_MAX, MS, DATASTALL_WAIT_STEADY, NULL);
    datastall_close(m);
}

static void it_is_said_once(void **state)
{
    (void)state;
    int ends[2];
    char text[4096] = "";
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(test_in_child(end_with_impossible, &ends[1]), 0);
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    assert_non_null(strstr(text, "1000 times of waits"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_monitor, close_monitor)
    const struct CMUnitTest tests[] = {
        TEST(an_end_that_cannot_be_is_now),
        TEST(ends_that_can_be_are_kept),
        TEST(a_wait_that_cannot_be_is_unknown),
        TEST(a_count_that_cannot_be_is_unknown),
        TEST(each_figure_is_looked_at),
        TEST(the_largest_counts_are_counts),
        TEST(a_loaders_counts_are_looked_at_too),
        TEST(what_is_not_known_is_not_made_up),
        TEST(the_file_has_the_counters),
        TEST(no_sum_wraps),
        TEST(threads_add_up_without_wrapping),
        cmocka_unit_test(it_is_said_once),
        TEST(no_wait_is_endless),
        cmocka_unit_test(rows_that_cannot_be_are_damage),
    };
    test_run_folder();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
