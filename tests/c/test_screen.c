/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of `datastall top`, without a terminal. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "output/recent.h"
#include "output/screen.h"
#include "output/screen_runs.h"
#include "record/monitor.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define S DS_NS_PER_S
#define RANKS 6u

static const struct stall_bounds unknown = {RF_UNKNOWN, RF_UNKNOWN};
static const char *folder;
static uint64_t now_ns; /* of all pictures: a whole second */
static struct run_data *data;
static struct summary *summary;

/* Six ranks, the last 20 s: rank 4 waits half of the time, the others a tenth. Two GPUs. */
static int make_run(void **state)
{
    (void)state;
    folder = test_run_folder();
    now_ns = ds_now_ns() / S * S;
    for (uint32_t rank = 0; rank < RANKS; rank++) {
        char text[8];
        datastall_monitor *monitor;
        datastall_batch batch = DATASTALL_BATCH_INIT;
        snprintf(text, sizeof text, "%u", rank);
        setenv("RANK", text, 1);
        assert_int_equal(datastall_open(NULL, &monitor), 0);
        test_any_time(monitor);
        datastall_loader *loader = test_loader(monitor, rank == 5 ? "one\x1b[31m" : "train");
        assert_int_equal(datastall_stage_set(monitor, "esm2", NULL), 0);
        batch.samples = 8;
        for (uint64_t i = 0; i < 200; i++)
            monitor_wait_record(loader, now_ns - 20 * S + (i + 1) * 100 * MS - 1,
                                rank == 4 ? 50 * MS : 10 * MS, DATASTALL_WAIT_STEADY, &batch,
                                &unknown, NULL);
    }
    unsetenv("RANK");
    const struct rf_spec spec = {.gpus = 2};
    struct rf_process_static process = {.kind = RF_PROCESS_LAUNCHER,
                                        .pid = (uint64_t)getpid(),
                                        .start_ticks = rf_own_start_ticks(),
                                        .pid_namespace = rf_own_pid_namespace(),
                                        .rank = RF_UNKNOWN,
                                        .command = "torchrun train.py"};
    struct rf_writer *writer;
    assert_int_equal(
        rf_writer_create(test_path(folder, RF_LAUNCHER_FILE), &spec, &process, &writer), 0);
    ds_store(&writer->process.block[RF_BLOCK_PAYLOAD + RF_PROCESS_GPU_STATE], RF_GPU_OK);
    for (uint32_t i = 0; i < 2; i++) {
        struct rf_gpu_writer gpu;
        struct rf_gpu_static device = {.index = i, .uuid = "GPU-x", .name = "Test GPU"};
        rf_gpu_attach(writer, i, &device, &gpu);
        for (uint64_t s = 0; s <= 20; s++) {
            struct rf_gpu_sample sample = rf_gpu_nothing_read();
            sample.time_ns = now_ns - 20 * S + s * S;
            sample.state = RF_GPU_OK;
            sample.activity = i == 0 ? 0.25 : (double)s / 20;
            sample.activity_span_ns = s == 0 ? 0 : S;
            sample.activity_source = RF_ACTIVITY_GPM;
            sample.busy_percent = 25;
            if (i == 0) {
                sample.memory_used = UINT64_C(11) << 30;
                sample.memory_total = UINT64_C(80) << 30;
                sample.power_mw = 214000;
            }
            rf_gpu_append(&gpu, &sample);
        }
    }
    assert_int_equal(run_data_read_live(folder, &data), 0);
    assert_int_equal(summary_make(data, now_ns, &summary), 0);
    return 0;
}

static int remove_run(void **state)
{
    (void)state;
    summary_free(summary);
    run_data_free(data);
    return 0;
}

static struct screen *draw(struct screen_view view)
{
    const struct summary *const runs[] = {summary};
    view.now_ns = now_ns;
    view.clock = "12:34:56";
    struct screen *screen = screen_layout(runs, 1, &view);
    assert_non_null(screen);
    return screen;
}

/* The first row that begins so, as text; "" when there is none. */
static const char *row_of(const struct screen *screen, const char *begin)
{
    static char text[4 * SCREEN_MOST_COLUMNS + 1];
    for (unsigned row = 0; row < screen->rows; row++) {
        screen_row_text(screen, row, text, sizeof text);
        if (strncmp(text, begin, strlen(begin)) == 0)
            return text;
    }
    return "";
}

static void assert_holds(const char *row, const char *words)
{
    if (strstr(row, words) == NULL)
        fail_msg("'%s' is not in '%s'", words, row);
}

static void everything_is_on_a_small_screen(void **state)
{
    (void)state;
    struct screen *screen = draw((struct screen_view){.columns = 80, .rows = 24, .unicode = true});
    assert_int_equal(screen->columns, 80);
    assert_int_equal(screen->rows, 24);
    assert_holds(row_of(screen, "datastall top"), "1 run, 1 running; 2 GPUs, 6 recording");
    assert_holds(row_of(screen, "datastall top"), "12:34:56");
    const char *gpu = row_of(screen, "0   ");
    assert_holds(gpu, "  25.0%");
    assert_holds(gpu, "11.0/80.0");
    assert_holds(gpu, "214 W");
    assert_holds(gpu, "\u2583\u2583\u2583\u2583\u2583");
    assert_holds(row_of(screen, "1   "), "\u2586\u2586\u2587\u2587\u2587\u2588\u2588\u2588");
    assert_null(strstr(row_of(screen, "1   "), " W"));
    const char *loader = row_of(screen, "train");
    assert_holds(loader, "1,000");
    assert_holds(loader, "50.0 "); /* p95; READY and WHY are not known of waits from C */
    assert_null(strstr(loader, "unknown"));
    assert_holds(row_of(screen, "LOADER"), "p95 ms READY            WHY   FULL  STARV");
    assert_holds(row_of(screen, "4  "), "50.0%");
    assert_holds(row_of(screen, "4  "), "STRAGGLER");
    assert_holds(row_of(screen, "3  "), "10.0%");
    assert_holds(row_of(screen, "3  "), "esm2");
    assert_holds(row_of(screen, "3  "), " 80 ");
    assert_holds(row_of(screen, "F1 Help"), "F10 Quit");
    screen_free(screen);
}

static void a_wide_screen_shows_more_of_a_loader(void **state)
{
    (void)state;
    struct screen *screen = draw((struct screen_view){.columns = 120, .rows = 24});
    assert_holds(row_of(screen, "LOADER"),
                 "p50 ms p95 ms p99 ms READY            WHY   FULL   NORM");
    assert_holds(row_of(screen, "train"), "  0.0% 100.0%   0.0%");
    screen_free(screen);
    /* The cause is that of the rank that stalled longest. */
    summary->loaders[0].why.primary = WHY_HEAD_OF_LINE;
    summary->loaders[0].why.stall_ns = 3 * S;
    summary->loaders[4].why.primary = CAUSE_BLOCKED;
    summary->loaders[4].why.stall_ns = 9 * S;
    screen = draw((struct screen_view){.columns = 80, .rows = 24});
    assert_holds(row_of(screen, "train"), " blocked ");
    screen_free(screen);
}

static void no_terminal_is_told_anything(void **state)
{
    (void)state;
    for (unsigned columns = 1; columns < 300; columns += 7) {
        for (unsigned rows = 0; rows < 60; rows += 3) {
            for (unsigned help = 0; help < 2; help++) {
                struct screen *screen =
                    draw((struct screen_view){.columns = columns, .rows = rows, .help = help});
                for (size_t i = 0; i < (size_t)screen->columns * screen->rows; i++) {
                    assert_true(screen->cells[i].character >= 0x20);
                    assert_true(screen->cells[i].character < 0x7f);
                    assert_true(screen->cells[i].style <= STYLE_KEYS);
                }
                screen_free(screen);
            }
        }
    }
}

static void ranks_are_sorted_and_scrolled(void **state)
{
    (void)state;
    struct screen_view view = {.columns = 100, .rows = 24};
    view.sort = SORT_STALL;
    struct screen *screen = draw(view);
    char text[4 * SCREEN_MOST_COLUMNS + 1];
    unsigned head = 0;
    while (head < screen->rows) {
        screen_row_text(screen, head, text, sizeof text);
        if (strncmp(text, "RANK", 4) == 0)
            break;
        head++;
    }
    assert_holds(text, "STALL+");
    screen_row_text(screen, head + 1, text, sizeof text);
    assert_int_equal(text[0], '4');
    screen_free(screen);
    view.inverted = true;
    screen = draw(view);
    screen_row_text(screen, head, text, sizeof text);
    assert_holds(text, "STALL-");
    screen_row_text(screen, head + RANKS, text, sizeof text);
    assert_int_equal(text[0], '4');
    screen_free(screen);
    /* Too small for all of them: the offset stays within what there is. */
    view = (struct screen_view){.columns = 80, .rows = 16, .rank_offset = 1000, .selected = 99};
    screen = draw(view);
    assert_int_equal(screen->selected, 0);
    assert_true(screen->rank_page >= 2 && screen->rank_page < RANKS);
    assert_int_equal(screen->rank_offset, RANKS - screen->rank_page);
    assert_true(row_of(screen, "5  ")[0] != '\0');
    screen_free(screen);
}

static void as_long_as_it_takes(void **state)
{
    (void)state;
    struct screen *screen = draw((struct screen_view){.columns = 80});
    for (char rank[] = "0  "; rank[0] < '0' + (char)RANKS; rank[0]++)
        assert_true(row_of(screen, rank)[0] != '\0');
    assert_string_equal(row_of(screen, "F1 Help"), "");
    screen_free(screen);
    const struct screen_view view = {.columns = 80, .rows = 24, .clock = ""};
    screen = screen_layout(NULL, 0, &view);
    assert_holds(row_of(screen, "nothing is running"), "datastall run");
    screen_free(screen);
}

static void the_last_seconds(void **state)
{
    (void)state;
    struct recent_waits waits;
    recent_of_process(summary, 4, now_ns, &waits);
    assert_float_equal(waits.stall_share, 0.5, 0.01);
    assert_float_equal(waits.samples_per_s, 80, 0.5);
    assert_true(isnan(waits.tokens_per_s));
    assert_true(isnan(waits.stall[0]));
    assert_float_equal(waits.stall[HISTORY_S - 1], 0.5, 0.01);
    /* Nothing happened for a minute: known, and zero. */
    recent_of_process(summary, 4, now_ns + 100 * S, &waits);
    assert_float_equal(waits.stall_share, 0, 1e-9);
    assert_float_equal(waits.batches_per_s, 0, 1e-9);
    struct recent_gpu gpu;
    recent_of_gpu(summary, 0, now_ns, &gpu);
    assert_float_equal(gpu.busy_share, 0.25, 0.001);
    assert_true(isnan(gpu.stall_share));
    assert_true(isnan(gpu.busy[HISTORY_S - 21]));
    recent_of_gpu(summary, 0, now_ns + 100 * S, &gpu);
    assert_true(isnan(gpu.busy_share) && isnan(gpu.power_w));
    assert_int_equal(gpu.memory_used_bytes, DATASTALL_UNKNOWN);
}

static void stragglers(void **state)
{
    (void)state;
    const double alone[] = {0.9}, even[] = {0.5, 0.5, 0.5}, two[] = {0.1, 0.2},
                 hidden[] = {NAN, 0.1, NAN, 0.16}, near[] = {0.10, 0.12, 0.14},
                 nothing[] = {NAN, NAN};
    assert_int_equal(recent_straggler(alone, 1), UINT32_MAX);
    assert_int_equal(recent_straggler(even, 3), UINT32_MAX);
    assert_int_equal(recent_straggler(two, 2), 1);
    assert_int_equal(recent_straggler(hidden, 4), 3);
    assert_int_equal(recent_straggler(near, 3), UINT32_MAX);
    assert_int_equal(recent_straggler(nothing, 2), UINT32_MAX);
    assert_int_equal(recent_straggler(NULL, 0), UINT32_MAX);
}

/* Rank 5 has a loader of its own. */
static void a_long_name_keeps_its_line(void **state)
{
    (void)state;
    char *name = ((struct run_loader *)summary->loaders[5].data)->entry.name, before[64];
    strcpy(before, name);
    strcpy(name, "names_that_are_long.py:3 from names_that_are_long.py:7");
    struct screen *screen = draw((struct screen_view){.columns = 80, .rows = 24});
    assert_holds(row_of(screen, "~y:3 from n~y:7"), " 200 ");
    screen_free(screen);
    strcpy(name, before);
}

static void names_from_elsewhere(void **state)
{
    (void)state;
    const struct screen_view view = {.columns = 80, .rows = 24, .clock = "\x1b[2J\xff"};
    struct screen *screen = screen_layout(NULL, 0, &view);
    assert_holds(row_of(screen, "datastall"), "?[2J?");
    struct canvas canvas = {screen, true, 5};
    char text[400];
    canvas_put(&canvas, 0, 80, STYLE_PLAIN, "\u00fc\u4e16\u754c e\u0301");
    screen_row_text(screen, 5, text, sizeof text);
    assert_string_equal(text, "\u00fc?? e?"); /* wide and combining ones would shift the rest */
    screen_free(screen);
}

#define MANY 33

/* Copies of the run: every third one runs, and each has a name of its own. */
static struct summary copies[MANY];
static struct run_data copied[MANY];
static const struct summary *many[MANY], *ordered[MANY];

static void make_many(void)
{
    for (uint32_t i = 0; i < MANY; i++) {
        copies[i] = *summary;
        copied[i] = *data;
        snprintf(copied[i].id, sizeof copied[i].id, "20261128-1544%02u-%s", i,
                 i == 5 ? "a_quite_long_name_of_a_script_that_trains.py" : "train.py");
        copies[i].data = &copied[i];
        copies[i].state = i % 3 == 0 ? SUMMARY_RUNNING : SUMMARY_ENDED;
        many[i] = &copies[i];
    }
}

static void what_runs_stands_first(void **state)
{
    (void)state;
    make_many();
    assert_int_equal(screen_order(many, MANY, NULL, ordered), MANY);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(ordered[i]->state == SUMMARY_RUNNING, i < 11);
    assert_ptr_equal(ordered[1], many[3]); /* else as they were */
    assert_int_equal(screen_order(many, MANY, "QUITE_long", ordered), 1);
    assert_ptr_equal(ordered[0], many[5]);
    assert_int_equal(screen_order(many, MANY, "nothing such", ordered), 0);
}

static uint32_t rows_with(const struct screen *screen, const char *words)
{
    char text[4 * SCREEN_MOST_COLUMNS + 1];
    uint32_t found = 0;
    for (unsigned row = 0; row < screen->rows; row++) {
        screen_row_text(screen, row, text, sizeof text);
        found += strstr(text, words) != NULL;
    }
    return found;
}

static uint32_t rows_with_any(const struct screen *screen)
{
    char text[4 * SCREEN_MOST_COLUMNS + 1];
    uint32_t found = 0;
    for (unsigned row = 0; row + 1 < screen->rows; row++) {
        screen_row_text(screen, row, text, sizeof text);
        found += text[0] != '\0';
    }
    return found;
}

static void runs_fill_the_screen(void **state)
{
    static const unsigned sizes[][2] = {{80, 24}, {120, 40}, {200, 50}, {200, 100}};
    (void)state;
    make_many();
    screen_order(many, MANY, NULL, ordered);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char more[40];
        const struct screen_view view = {
            .columns = sizes[i][0], .rows = sizes[i][1], .clock = "", .now_ns = now_ns};
        struct screen *screen = screen_layout(ordered, MANY, &view);
        const uint32_t shown = rows_with(screen, "1128-1544");
        snprintf(more, sizeof more, "RUN, and %u more", MANY - shown);
        if (shown < MANY)
            assert_holds(row_of(screen, "RUN"), more);
        /* No row is left blank that a run could have. */
        assert_true(shown >= sizes[i][1] / 8);
        const uint32_t blank = screen->rows - 1 - rows_with_any(screen);
        assert_true(shown == MANY || blank <= 2);
        if (sizes[i][1] == 100)
            assert_int_equal(shown, MANY);
        screen_free(screen);
    }
}

static void a_runs_name_comes_first_and_is_cut_in_its_middle(void **state)
{
    (void)state;
    make_many();
    const struct screen_view view = {.columns = 80, .rows = 24, .clock = "", .now_ns = now_ns};
    struct screen *screen = screen_layout(&many[5], 1, &view);
    const char *row = row_of(screen, "a_quite");
    assert_holds(row, "~");
    assert_holds(row, "1128-154405 ");
    screen_free(screen);
    screen = screen_layout(&many[4], 1, &view);
    assert_holds(row_of(screen, "train.py 20261128-154404"), "ended");
    screen_free(screen);
}

static void the_filter_is_said(void **state)
{
    (void)state;
    struct screen *screen =
        draw((struct screen_view){.columns = 80, .rows = 24, .filter = "train", .typing = true});
    assert_holds(row_of(screen, "Filter: train_"), "Esc Clear");
    screen_free(screen);
    const struct screen_view view = {.columns = 80, .rows = 24, .clock = "", .filter = "x"};
    screen = screen_layout(NULL, 0, &view);
    assert_holds(row_of(screen, "no run has that"), "cause");
    screen_free(screen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_on_a_small_screen),
        cmocka_unit_test(a_wide_screen_shows_more_of_a_loader),
        cmocka_unit_test(no_terminal_is_told_anything),
        cmocka_unit_test(ranks_are_sorted_and_scrolled),
        cmocka_unit_test(as_long_as_it_takes),
        cmocka_unit_test(the_last_seconds),
        cmocka_unit_test(stragglers),
        cmocka_unit_test(a_long_name_keeps_its_line),
        cmocka_unit_test(names_from_elsewhere),
        cmocka_unit_test(what_runs_stands_first),
        cmocka_unit_test(runs_fill_the_screen),
        cmocka_unit_test(a_runs_name_comes_first_and_is_cut_in_its_middle),
        cmocka_unit_test(the_filter_is_said),
    };
    return cmocka_run_group_tests(tests, make_run, remove_run);
}
