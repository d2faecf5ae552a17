/* SPDX-License-Identifier: Apache-2.0 */
/* What `serve` says: buckets, formats, and counters that never go back. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "output/openmetrics.h"
#include "output/openmetrics_rows.h"
#include "record/monitor.h"
#include "support.h"

#define MS UINT64_C(1000000)

/* ---- buckets ---- */

static void assert_cumulated(const uint64_t *waits, uint32_t count)
{
    uint64_t histogram[HISTOGRAM_BUCKETS] = {0}, queue[4] = {0};
    uint64_t said[OPENMETRICS_WAIT_BOUNDS], true_count[OPENMETRICS_WAIT_BOUNDS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        histogram[histogram_bucket(waits[i])]++;
        queue[datastall_infer_queue_state(waits[i])]++;
        for (uint32_t b = 0; b < OPENMETRICS_WAIT_BOUNDS; b++)
            true_count[b] += waits[i] <= openmetrics_wait_bounds[b];
    }
    openmetrics_cumulate(histogram, count, queue, openmetrics_wait_bounds, OPENMETRICS_WAIT_BOUNDS,
                         said);
    for (uint32_t b = 0; b < OPENMETRICS_WAIT_BOUNDS; b++) {
        uint64_t near = 0; /* in the bucket that the bound cuts */
        for (uint32_t i = 0; i < count; i++)
            near +=
                waits[i] <= openmetrics_wait_bounds[b] &&
                histogram_bucket_high(histogram_bucket(waits[i])) - 1 > openmetrics_wait_bounds[b];
        assert_true(said[b] <= true_count[b]);
        assert_true(said[b] + near >= true_count[b]);
        if (b > 0)
            assert_true(said[b] >= said[b - 1]);
        if (openmetrics_wait_bounds[b] == 50 * MS)
            assert_int_equal(said[b], true_count[b]);
    }
}

static void buckets_count_what_is_at_most_their_bound(void **state)
{
    (void)state;
    static const uint64_t edges[] = {0,
                                     1,
                                     MS - 1,
                                     MS,
                                     MS + 1,
                                     49999999,
                                     50 * MS,
                                     50 * MS + 1,
                                     60000 * MS,
                                     60001 * MS,
                                     UINT64_C(1) << 60,
                                     100 * MS,
                                     99 * MS,
                                     100001000};
    uint64_t waits[4000], seed = 7;
    assert_cumulated(edges, sizeof edges / sizeof *edges);
    for (uint32_t i = 0; i < 4000; i++)
        waits[i] = test_random(&seed) % (UINT64_C(1) << (10 + i % 30));
    assert_cumulated(waits, 4000);
}

/* Exact at the limits of the queue states, also beside them, though buckets straddle them. */
static void limits_of_the_queue_states_are_exact(void **state)
{
    (void)state;
    uint64_t histogram[HISTOGRAM_BUCKETS] = {0}, queue[4] = {0}, said[OPENMETRICS_WAIT_BOUNDS];
    static const uint64_t waits[] = {999999, 1000001, 49999999, 50000000, 50000001};
    for (uint32_t i = 0; i < 5; i++) {
        histogram[histogram_bucket(waits[i])]++;
        queue[datastall_infer_queue_state(waits[i])]++;
    }
    openmetrics_cumulate(histogram, 5, queue, openmetrics_wait_bounds, OPENMETRICS_WAIT_BOUNDS,
                         said);
    assert_int_equal(openmetrics_wait_bounds[2], MS);
    assert_int_equal(openmetrics_wait_bounds[5], 50 * MS);
    assert_int_equal(said[2], 1);
    assert_int_equal(said[5], 4);
}

/* A reading of a busy slot: the tables are ahead of the totals. */
static void buckets_never_pass_the_count(void **state)
{
    (void)state;
    uint64_t histogram[HISTOGRAM_BUCKETS] = {0}, said[OPENMETRICS_WAIT_BOUNDS];
    const uint64_t queue[4] = {[DATASTALL_QUEUE_FULL] = 10};
    histogram[histogram_bucket(1000)] = 13;
    openmetrics_cumulate(histogram, 10, queue, openmetrics_wait_bounds, OPENMETRICS_WAIT_BOUNDS,
                         said);
    for (uint32_t b = 0; b < OPENMETRICS_WAIT_BOUNDS; b++)
        assert_int_equal(said[b], 10);
}

/* ---- which format ---- */

static void the_format_is_what_the_client_prefers(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum openmetrics_format format;
    } cases[] = {
        {NULL, OPENMETRICS_PROMETHEUS},
        {"", OPENMETRICS_PROMETHEUS},
        {"*/*", OPENMETRICS_PROMETHEUS},
        {"text/plain", OPENMETRICS_PROMETHEUS},
        {"application/openmetrics-text", OPENMETRICS_1_0},
        {"Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8", OPENMETRICS_1_0},
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         OPENMETRICS_1_0},
        {"application/openmetrics-text;version=0.0.1", OPENMETRICS_PROMETHEUS},
        {"application/openmetrics-text;q=0.3,text/plain;q=0.5", OPENMETRICS_PROMETHEUS},
        {"application/openmetrics-text;q=0", OPENMETRICS_PROMETHEUS},
        {"application/openmetrics-text;q=0.0", OPENMETRICS_PROMETHEUS},
        {"text/html, application/openmetrics-text;q=0.9", OPENMETRICS_1_0},
        {"application/openmetrics-textual", OPENMETRICS_PROMETHEUS},
        {",;,;q=,=;version", OPENMETRICS_PROMETHEUS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(openmetrics_accepted(cases[i].accept), cases[i].format);
}

/* ---- text of a run ---- */

static const struct stall_bounds unknown = {RF_UNKNOWN, RF_UNKNOWN};

static void record(datastall_loader *loader, uint32_t batches, const struct stall_bounds *stall)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.samples = 4;
    for (uint32_t i = 0; i < batches; i++)
        monitor_wait_record(loader, datastall_clock_ns(), 2 * MS, DATASTALL_WAIT_STEADY, &batch,
                            stall, NULL);
}

static char *text_of(const char *folder, struct openmetrics_memory *memory,
                     enum openmetrics_format format)
{
    struct run_data *data;
    struct summary *summary;
    char *text;
    size_t length;
    assert_int_equal(run_data_read_live(folder, &data), 0);
    assert_int_equal(summary_make(data, ds_now_ns(), &summary), 0);
    const struct summary *const runs[] = {summary};
    const struct openmetrics_reading reading = {runs, 1, ds_now_ns(), NULL};
    assert_int_equal(openmetrics_write(&reading, memory, format, &text, &length), 0);
    assert_int_equal(strlen(text), length);
    summary_free(summary);
    run_data_free(data);
    return text;
}

/* The value of the only series of a metric, as text; "" when there is none. */
static const char *value_of(const char *text, const char *name, const char *label)
{
    static char value[64];
    const size_t length = strlen(name);
    value[0] = '\0';
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n');
        const char *found = strstr(line, label);
        if (strncmp(line, name, length) != 0 || line[length] != '{' || found == NULL || found > end)
            continue;
        const char *space = end;
        while (space[-1] != ' ')
            space--;
        snprintf(value, sizeof value, "%.*s", (int)(end - space), space);
    }
    return value;
}

static void a_text_holds_the_exact_totals(void **state)
{
    (void)state;
    const char *folder = test_run_folder();
    datastall_monitor *monitor;
    assert_int_equal(datastall_open(NULL, &monitor), 0);
    datastall_loader *loader = test_loader(monitor, "a \"quoted\" \\ name");
    record(loader, 7, &unknown);
    const uint64_t refused[] = {RF_PROCESS_IMPOSSIBLE_TIMES, RF_PROCESS_IMPOSSIBLE_COUNTS,
                                RF_PROCESS_UNKNOWN_ARGUMENTS};
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t times = 0; times <= i; times++)
            rf_count_loss(monitor->writer, (uint32_t)refused[i]);
    }
    char *text = text_of(folder, NULL, OPENMETRICS_PROMETHEUS);
    assert_string_equal(value_of(text, "datastall_impossible_times_total", ""), "1");
    assert_string_equal(value_of(text, "datastall_impossible_counts_total", ""), "2");
    assert_string_equal(value_of(text, "datastall_unknown_arguments_total", ""), "3");
    assert_non_null(strstr(text, "loader=\"a \\\"quoted\\\" \\\\ name\""));
    assert_string_equal(value_of(text, "datastall_batches_total", ""), "7");
    assert_string_equal(value_of(text, "datastall_samples_total", ""), "28");
    assert_string_equal(value_of(text, "datastall_tokens_total", ""), ""); /* unknown is not 0 */
    assert_string_equal(value_of(text, "datastall_input_wait_seconds_sum", ""), "0.014");
    assert_string_equal(value_of(text, "datastall_input_wait_seconds_count", ""), "7");
    assert_string_equal(value_of(text, "datastall_input_wait_seconds_bucket", "le=\"0.001\""), "0");
    assert_string_equal(value_of(text, "datastall_input_wait_seconds_bucket", "le=\"0.005\""), "7");
    assert_string_equal(value_of(text, "datastall_input_wait_seconds_bucket", "le=\"+Inf\""), "7");
    assert_string_equal(value_of(text, "datastall_run_running", ""), "1");
    assert_null(strstr(text, "# EOF"));
    assert_non_null(strstr(text, "# TYPE datastall_batches_total counter\n"));
    free(text);
    text = text_of(folder, NULL, OPENMETRICS_1_0);
    assert_non_null(strstr(text, "# TYPE datastall_batches counter\n"));
    assert_non_null(strstr(text, "# UNIT datastall_input_wait_seconds seconds\n"));
    assert_string_equal(value_of(text, "datastall_batches_total", ""), "7");
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    free(text);
    datastall_close(monitor);
    text = text_of(folder, NULL, OPENMETRICS_PROMETHEUS);
    assert_string_equal(value_of(text, "datastall_run_running", ""), "0");
    assert_string_equal(value_of(text, "datastall_run_processes", "state=\"ended\""), "1");
    assert_string_equal(value_of(text, "datastall_run_processes", "state=\"died\""), "0");
    free(text);
    test_remove(folder);
}

/* A stall that is told later than its wait: nothing of gpu-events goes back. */
static void stalls_told_late_do_not_go_back(void **state)
{
    (void)state;
    const char *folder = test_run_folder();
    const struct stall_bounds half = {MS, MS};
    datastall_monitor *monitor;
    assert_int_equal(datastall_open(NULL, &monitor), 0);
    datastall_loader *loader = test_loader(monitor, "train");
    monitor_note_accelerator(monitor, RF_ACCELERATOR_USED);
    record(loader, 5, &unknown);
    char *text = text_of(folder, NULL, OPENMETRICS_PROMETHEUS);
    assert_string_equal(value_of(text, "datastall_input_stall_seconds_total", "host-bound"),
                        "0.01");
    free(text);
    record(loader, 5, &half);
    text = text_of(folder, NULL, OPENMETRICS_PROMETHEUS);
    assert_string_equal(value_of(text, "datastall_input_stall_seconds_total", "host-bound"), "");
    assert_string_equal(value_of(text, "datastall_input_stall_seconds_total", "gpu-events"),
                        "0.005");
    free(text);
    /* The first five become known: 0 of them was exposed. */
    for (uint32_t i = 0; i < 5; i++) {
        const struct rf_late_stall late = {.wait_ns = 2 * MS};
        rf_slot_late_stall(&monitor_slot_of(loader)->writer, i, &late);
    }
    text = text_of(folder, NULL, OPENMETRICS_PROMETHEUS);
    assert_string_equal(value_of(text, "datastall_input_stall_seconds_total", "gpu-events"),
                        "0.005");
    assert_string_equal(value_of(text, "datastall_input_known_wait_seconds_total", ""), "0.02");
    free(text);
    datastall_close(monitor);
    test_remove(folder);
}

static void damage(const char *path)
{
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 100), 0);
    close(fd);
}

/* A rank whose file cannot be read any more keeps its last figures while its run is read. */
static void what_was_said_is_not_taken_back(void **state)
{
    (void)state;
    const char *folder = test_run_folder();
    struct openmetrics_memory *memory = openmetrics_memory_new();
    datastall_monitor *one, *other;
    /* Two processes of one rank, as after a restart: one row. */
    setenv("RANK", "3", 1);
    assert_int_equal(datastall_open(NULL, &one), 0);
    assert_int_equal(datastall_open(NULL, &other), 0);
    unsetenv("RANK");
    record(test_loader(one, "train"), 10, &unknown);
    record(test_loader(other, "train"), 5, &unknown);
    char path[512];
    snprintf(path, sizeof path, "%s", datastall_run_file(other));
    datastall_close(one);
    datastall_close(other);
    char *text = text_of(folder, memory, OPENMETRICS_PROMETHEUS);
    assert_string_equal(value_of(text, "datastall_batches_total", "rank=\"3\""), "15");
    free(text);
    damage(path);
    text = text_of(folder, NULL, OPENMETRICS_PROMETHEUS);
    assert_string_equal(value_of(text, "datastall_batches_total", "rank=\"3\""), "10");
    free(text);
    text = text_of(folder, memory, OPENMETRICS_PROMETHEUS);
    assert_string_equal(value_of(text, "datastall_batches_total", "rank=\"3\""), "15");
    assert_string_equal(value_of(text, "datastall_input_wait_seconds_bucket", "le=\"0.005\""),
                        "15");
    free(text);
    openmetrics_memory_free(memory);
    test_remove(folder);
}

/* More rows than the table begins with, twice. */
static void memory_grows_and_forgets(void **state)
{
    (void)state;
    struct openmetrics_memory *memory = openmetrics_memory_new();
    for (uint64_t round = 0; round < 3; round++) {
        struct rows rows = {.failed = false};
        struct row *row = calloc(3000, sizeof *row);
        assert_non_null(row);
        for (uint32_t i = 0; i < 3000; i++) {
            row[i].key = (uint64_t)i * 4096; /* collide */
            row[i].values[LOADER_BATCHES] = round == 1 ? 1 : 100 + i;
        }
        rows.rows[ROW_LOADER] = row;
        rows.count[ROW_LOADER] = 3000;
        /* The third round is two hours later. */
        rows_hold(&rows, memory, round < 2 ? DS_NS_PER_S : 7200 * DS_NS_PER_S);
        for (uint32_t i = 0; i < 3000 && round < 2; i++)
            assert_int_equal(row[i].values[LOADER_BATCHES], 100 + i);
        free(row);
    }
    openmetrics_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_count_what_is_at_most_their_bound),
        cmocka_unit_test(limits_of_the_queue_states_are_exact),
        cmocka_unit_test(buckets_never_pass_the_count),
        cmocka_unit_test(the_format_is_what_the_client_prefers),
        cmocka_unit_test(a_text_holds_the_exact_totals),
        cmocka_unit_test(stalls_told_late_do_not_go_back),
        cmocka_unit_test(what_was_said_is_not_taken_back),
        cmocka_unit_test(memory_grows_and_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
