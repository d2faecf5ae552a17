/* SPDX-License-Identifier: Apache-2.0 */
/* A run over time, and the waits that are kept one by one, from runs in memory; a document cut to a size. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/moments.h"
#include "diagnose/parts.h"
#include "diagnose/series.h"
#include "output/json.h"
#include "output/put.h"
#include "output/trim.h"
#include "support.h"
#include "world.h"

static struct run_history histories[WORLD_PROCESSES];

/* Of a process that began at 100.5 s: in each second of [from, to) 10 batches of 8, of which it waited
 * for wait_ms in all. */
static void add_seconds(uint32_t process, uint64_t from, uint64_t to, uint64_t wait_ms)
{
    const struct run_span span = {.batches = 10,
                                  .samples = 80,
                                  .stall = {.waiting_ns = wait_ms * MS},
                                  .longest_ns = wait_ms * MS / 2};
    for (uint64_t second = from; second < to; second++)
        add_second(&histories[process], second, &span);
    world.loaders[process].history = &histories[process];
}

static struct summary *begin(uint32_t processes, uint64_t end_s)
{
    memset(histories, 0, sizeof histories);
    begin_world(processes);
    for (uint32_t i = 0; i < processes; i++)
        set_wait(i, 100 * S + S / 2, end_s * S, 10 * S);
    return NULL;
}

static void levels_hold_the_whole_run(void **state)
{
    (void)state;
    static const struct {
        uint64_t seconds;
        uint32_t levels;
    } rows[] = {{10, 1}, {61, 1}, {63, 2}, {240, 2}, {1000, 3}, {36000, 6}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct series series;
        begin(1, 101 + rows[i].seconds);
        struct summary *summary = made(1000000 * S);
        assert_int_equal(series_levels(summary), rows[i].levels);
        series_of(summary, rows[i].levels - 1, &series);
        assert_true(series.begin_s[0] <= 0);
        assert_true(series.begin_s[series.count - 1] + (double)series.width_s >=
                    (double)rows[i].seconds);
        summary_free(summary);
    }
}

static void figures_of_a_span(void **state)
{
    struct series series;
    (void)state;
    begin(2, 110);
    add_seconds(0, 101, 110, 200);
    add_seconds(1, 101, 110, 600);
    struct summary *summary = made(1000 * S);
    series_of(summary, 0, &series);
    assert_int_equal(series.width_s, 1);
    assert_float_equal(series.begin_s[1], 0.5, NEAR); /* the second that begins at 101 s */
    assert_float_equal(series.stall[1], 0.4, NEAR);   /* of two seconds of two processes */
    assert_float_equal(series.samples_per_s[1], 160, NEAR);
    assert_float_equal(series.batches_per_s[1], 20, NEAR);
    assert_float_equal(series.wait_mean_ms[1], 40, NEAR);
    assert_float_equal(series.wait_max_ms[1], 300, NEAR);
    assert_true(isnan(series.busy[1]) && isnan(series.power_w[1]) && isnan(series.other[1]));
    double one[SERIES_MOST];
    series_of_process(summary, 1, 0, one);
    assert_float_equal(one[1], 0.6, NEAR);
    summary_free(summary);
}

/* In a span without a batch there is no rate and no wait; tokens are told as samples are. */
static void spans_without_batches(void **state)
{
    struct series series;
    (void)state;
    begin(1, 110);
    add_seconds(0, 101, 105, 200);
    for (uint64_t second = 101; second < 105; second++)
        histories[0].spans[0][(second + 1) % RF_ROLLUP_BUCKETS].tokens = 7 * second;
    struct summary *summary = made(1000 * S);
    series_of(summary, 0, &series);
    for (uint32_t i = 1; i < 9; i++) {
        const bool any = i < 5;
        assert_float_equal(series.batches_per_s[i], any ? 10 : 0, NEAR);
        assert_float_equal(series.samples_per_s[i], any ? 80 : 0, NEAR);
        assert_float_equal(series.tokens_per_s[i], any ? 7.0 * (100 + i) : 0, NEAR);
        assert_float_equal(series.stall[i], any ? 0.2 : 0, NEAR);
        assert_int_equal(isnan(series.wait_mean_ms[i]), !any);
        assert_int_equal(isnan(series.wait_max_ms[i]), !any);
    }
    summary_free(summary);
}

/* Each machine has a clock of its own, on which its first process to wait begins. */
static void where_a_machine_begins(void **state)
{
    (void)state;
    static const struct {
        uint64_t begin_s[3];
        const char *host[3];
        uint64_t wanted_s[3], length_s;
    } rows[] = {
        {{100, 95, 97}, {"a", "a", "a"}, {95, 95, 95}, 25},
        {{100, 95, 97}, {"a", "b", "a"}, {97, 95, 97}, 25},
        {{100, 95, 97}, {"a", "b", "c"}, {100, 95, 97}, 25},
        {{96, 96, 118}, {"a", "b", "b"}, {96, 96, 96}, 24},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(3);
        for (uint32_t k = 0; k < 3; k++) {
            set_wait(k, rows[i].begin_s[k] * S, 120 * S, S);
            strcpy(world.processes[k].view.fixed.hostname, rows[i].host[k]);
        }
        struct summary *summary = made(1000 * S);
        for (uint32_t k = 0; k < 3; k++)
            assert_int_equal(summary_begin_of_machine(summary, &summary->processes[k]),
                             rows[i].wanted_s[k] * S);
        assert_int_equal(summary_length_ns(summary), rows[i].length_s * S);
        summary_free(summary);
    }
}

/* Spans have the numbers of their clock: the first is that of the first wait, or what a long run still has. */
static void numbers_of_spans(void **state)
{
    (void)state;
    static const uint64_t lengths_s[] = {9, 200, 4000, 100000};
    for (uint32_t i = 0; i < sizeof lengths_s / sizeof *lengths_s; i++) {
        for (uint32_t level = 0; level < RF_ROLLUP_LEVELS; level++) {
            struct series series;
            const uint64_t width_s = run_history_width_s(level);
            begin_world(1);
            set_wait(0, 100 * S + S / 2, (100 + lengths_s[i]) * S + S / 4, S);
            struct summary *summary = made(1000 * S);
            series_of(summary, level, &series);
            const uint64_t first = series_first_number(summary, 0, level);
            /* As many as a run of that length may touch. */
            const uint64_t spans = (4 * lengths_s[i] - 1) / (4 * width_s) + 2;
            const uint64_t missing = spans > SERIES_MOST ? spans - SERIES_MOST : 0;
            assert_int_equal(series.count, spans - missing);
            assert_int_equal(first, 100 / width_s + 1 + missing);
            /* The last one is that of its end, or next to it. */
            const uint64_t last = first + series.count - 1,
                           end = (100 + lengths_s[i]) / width_s + 1;
            CHECK(last == end || last == end + 1, "%u s, level %u: %u to %u",
                  (unsigned)lengths_s[i], level, (unsigned)first, (unsigned)last);
            summary_free(summary);
        }
    }
}

/* A wait of 3 s is told in the second in which it ended. */
static void a_long_wait_belongs_to_the_seconds_before(void **state)
{
    double stall[SERIES_MOST];
    (void)state;
    begin(1, 110);
    add_seconds(0, 105, 106, 3000);
    struct summary *summary = made(1000 * S);
    series_of_process(summary, 0, 0, stall);
    static const double wanted[] = {0, 0, 0, 1, 1, 1, 0};
    for (uint32_t i = 0; i < 7; i++)
        assert_float_equal(stall[i], wanted[i], NEAR); /* 100 to 107 s */
    summary_free(summary);
    /* What the seconds before waited themselves stays, and what does not fit in them goes on. */
    begin(1, 110);
    add_seconds(0, 102, 103, 300);
    add_seconds(0, 104, 105, 600);
    add_seconds(0, 105, 106, 2200);
    summary = made(1000 * S);
    series_of_process(summary, 0, 0, stall);
    static const double shared[] = {0, 0, 0.3, 0.8, 1, 1, 0};
    for (uint32_t i = 0; i < 7; i++)
        assert_float_equal(stall[i], shared[i], NEAR);
    summary_free(summary);
}

/* The span in which it begins, and the one in which it ends, count as far as they were touched. */
static void the_first_and_the_last_span(void **state)
{
    struct series series;
    (void)state;
    begin(1, 110);
    add_seconds(0, 100, 111, 200);
    world.loaders[0].totals.counters[RF_COUNT_END_NS] = 110 * S + S / 5; /* less than a quarter */
    struct summary *summary = made(1000 * S);
    series_of(summary, 0, &series);
    assert_float_equal(series.begin_s[0], -0.5, NEAR);
    assert_float_equal(series.batches_per_s[0], 20, NEAR);
    assert_float_equal(series.stall[0], 0.4, NEAR);
    assert_float_equal(series.stall[1], 0.2, NEAR);
    assert_true(isnan(series.stall[10]) && isnan(series.batches_per_s[10]));
    summary_free(summary);
}

/* What is more than there was of the first span has none before it to go to. */
static void a_wait_longer_than_the_run(void **state)
{
    double stall[SERIES_MOST];
    (void)state;
    begin(1, 110);
    add_seconds(0, 101, 102, 60000);
    struct summary *summary = made(1000 * S);
    series_of_process(summary, 0, 0, stall);
    static const double wanted[] = {1, 1, 0};
    for (uint32_t i = 0; i < 3; i++)
        assert_float_equal(stall[i], wanted[i], NEAR);
    summary_free(summary);
}

/* ---- devices ---- */

#define GPU_WORDS ((size_t)RF_ROLLUP_LEVELS * RF_ROLLUP_BUCKETS * RF_GPU_ROLLUP_WORDS)
static uint64_t blocks[WORLD_GPUS][GPU_WORDS];

/* In the second that begins then. */
static uint64_t *gpu_second(uint32_t g, uint64_t second)
{
    struct rf_gpu_layout *layout = &world.gpus[g].layout;
    layout->rollup_levels = RF_ROLLUP_LEVELS;
    layout->rollup_buckets = RF_ROLLUP_BUCKETS;
    layout->rollup_words = RF_GPU_ROLLUP_WORDS;
    world.gpus[g].block = blocks[g];
    uint64_t *words = blocks[g] + (second + 1) % RF_ROLLUP_BUCKETS * RF_GPU_ROLLUP_WORDS;
    words[RF_GPU_ROLLUP_NUMBER] = second + 1;
    return words;
}

/* Two devices, read as they are: one that tells all, one of which NVML told its utilisation twice. */
static struct summary *begin_devices(void)
{
    begin(1, 110);
    add_seconds(0, 100, 110, 200);
    memset(blocks, 0, sizeof blocks);
    for (uint32_t g = 0; g < 2; g++) {
        set_gpu(g, RF_ACTIVITY_GPM, 100 * S, 110 * S, 0.5);
        memset(world.samples[g], 0, sizeof world.samples[g]);
        world.gpus[g].words[RF_GPU_SAMPLES] = 0;
    }
    uint64_t *one = gpu_second(0, 102), *other = gpu_second(1, 102);
    one[RF_GPU_ROLLUP_ACTIVITY_NS] = S;
    one[RF_GPU_ROLLUP_BUSY_NS] = S / 4;
    one[RF_GPU_ROLLUP_POWER_COUNT] = 4;
    one[RF_GPU_ROLLUP_POWER_MW_SUM] = 1200000;
    one[RF_GPU_ROLLUP_MEMORY_USED_MAX] = 5000;
    other[RF_GPU_ROLLUP_BUSY_COUNT] = 2;
    other[RF_GPU_ROLLUP_BUSY_PERCENT_SUM] = 130;
    other[RF_GPU_ROLLUP_MEMORY_USED_MAX] = 7000;
    uint64_t *third = gpu_second(0, 103);
    third[RF_GPU_ROLLUP_ACTIVITY_NS] = S;
    third[RF_GPU_ROLLUP_BUSY_NS] = 2 * S; /* no more than all of it */
    gpu_second(1, 103)[RF_GPU_ROLLUP_POWER_COUNT] = 1;
    gpu_second(0, 104)[RF_GPU_ROLLUP_NUMBER] = 104 - RF_ROLLUP_BUCKETS; /* of an earlier round */
    return made(1000 * S);
}

static void devices_over_time(void **state)
{
    double busy[SERIES_MOST], memory[SERIES_MOST], power[SERIES_MOST];
    struct series series;
    (void)state;
    struct summary *summary = begin_devices();
    series_of_gpu(summary, 0, 0, busy, memory, power);
    assert_figure(busy[2], 0.25);
    assert_figure(memory[2], 5000);
    assert_figure(power[2], 300);
    assert_figure(busy[3], 1);
    assert_figure(memory[3], NAN);
    assert_figure(power[3], NAN);
    assert_true(isnan(busy[1]) && isnan(memory[1]) && isnan(power[1]) && isnan(busy[4]));
    series_of_gpu(summary, 1, 0, busy, NULL, NULL);
    assert_figure(busy[2], 0.65);
    assert_figure(busy[3], NAN);
    series_of(summary, 0, &series);
    assert_figure(series.busy[2], 0.45); /* their mean, the most memory, the sum of the power */
    assert_figure(series.memory_bytes[2], 7000);
    assert_figure(series.power_w[2], 300);
    assert_figure(series.busy[3], 1);
    assert_figure(series.busy[5], NAN);
    assert_figure(series.other[2], NAN); /* nothing is exact */
    /* A file without such spans, or with narrower ones, tells nothing. */
    const struct rf_gpu_layout whole = world.gpus[0].layout;
    for (uint32_t how = 0; how < 4; how++) {
        struct rf_gpu_layout *layout = &world.gpus[0].layout;
        *layout = whole;
        if (how == 0)
            layout->rollup_buckets = 0;
        if (how == 1)
            layout->rollup_levels = 0;
        if (how == 2)
            layout->rollup_words = RF_GPU_ROLLUP_WORDS - 1;
        series_of_gpu(summary, 0, 0, busy, NULL, NULL);
        assert_figure(busy[2], how == 3 ? 0.25 : NAN);
    }
    summary_free(summary);
}

/* What is neither busy nor stalled is told where both are exact. */
static void the_rest_of_exact_figures(void **state)
{
    struct series series;
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct summary *summary = begin_devices();
        summary->gpu_count = 1;
        summary->method = i == 1 ? SUMMARY_METHOD_HOST_BOUND : SUMMARY_METHOD_GPU_EVENTS;
        summary->upper_bound = i == 2;
        summary->gpu_count = i == 3 ? 0 : 1;
        series_of(summary, 0, &series);
        assert_figure(series.other[2], i == 0 ? 1 - 0.25 - 0.2 : NAN);
        assert_figure(series.other[3], NAN); /* more than all */
        summary_free(summary);
    }
}

/* ---- waits one by one ---- */

/* Within a microsecond. (cmocka's assert_float_equal() takes a tolerance for relative as well.) */
static void assert_near(double got_ns, double wanted_ns)
{
    if (!(fabs(got_ns - wanted_ns) <= 1000))
        fail_msg("%.0f ns in place of %.0f", got_ns, wanted_ns);
}

#define UNIT(ms) ((uint32_t)((ms) * 1000000.0 / RF_STRETCH_UNIT_NS))

static struct rf_stretch_batch batches[12];
static struct run_stretch stretch;
static struct run_stretches stretches;

/* 8 batches of one iterator, which two workers make in 100 ms each, by turns; the loop takes 10 ms. The
 * last one but one is slow. */
static void set_stretch(void)
{
    stretch = (struct run_stretch){.count = 8};
    stretch.words[RF_STRETCH_NUMBER] = 1;
    stretch.words[RF_STRETCH_BEGIN_NS] = 103 * S;
    for (uint32_t i = 0; i < 8; i++) {
        struct rf_stretch_batch *b = &batches[i];
        *b = (struct rf_stretch_batch){.batch = i, .worker = i % 2};
        for (uint32_t t = 0; t < RF_BATCH_TIMES; t++)
            b->times[t] = RF_STRETCH_UNKNOWN;
        b->flags = i == 0 ? RF_BATCH_IS_FIRST : 0;
        b->times[RF_BATCH_CONSUMED] = i == 0 ? RF_STRETCH_UNKNOWN : UNIT(10);
        b->times[RF_BATCH_WAITED] = UNIT(i == 6 ? 400 : 40);
        b->times[RF_BATCH_BEGUN] = UNIT(i == 6 ? 420 : 100);
        b->times[RF_BATCH_ITEMS] = UNIT(i == 6 ? 420 : 100);
        b->times[RF_BATCH_CPU] = UNIT(75);
        b->times[RF_BATCH_COLLATE] = 0;
    }
    stretches = (struct run_stretches){
        .loader = 0, .count = 1, .stretches = &stretch, .batches = batches, .batch_count = 8};
    world.processes[0].stretches = &stretches;
    world.processes[0].stretches_count = 1;
    world.loaders[0].entry.num_workers = 2;
    world.loaders[0].entry.prefetch_factor = 2;
}

static void moments_tell_waits_and_their_causes(void **state)
{
    struct moments moments;
    (void)state;
    begin(1, 110);
    set_stretch();
    struct summary *summary = made(1000 * S);
    assert_true(moments_of(summary, &summary->loaders[0], &moments));
    assert_int_equal(moments.count, 1);
    const struct moment *moment = &moments.of[0];
    assert_int_equal(moment->waits, 8);
    assert_near(moment->at_ns, 2.5e9);
    assert_near(moment->wait_p50_ns, 40e6);
    assert_near(moment->wait_max_ns, 400e6);
    assert_float_equal(moment->ready_mean, 0, NEAR); /* each came when it was made */
    /* Items ran for 3 of 4 parts of their time, in the slow one for 75 of 420 ms. */
    const double compute = (7 * 40 * 0.75 + 400 * 75.0 / 420) / (7 * 40 + 400);
    assert_float_equal(moment->causes[CAUSE_COMPUTE], compute, 0.001);
    assert_float_equal(moment->causes[CAUSE_BLOCKED], 1 - compute, 0.001);
    summary_free(summary);
}

/* What nothing is known of before the first batch of a worker is its start; of later ones it is not known. */
static void what_comes_before_a_workers_first_batch_is_its_start(void **state)
{
    struct moments moments;
    (void)state;
    begin(1, 110);
    set_stretch();
    for (uint32_t i = 0; i < 4; i++) /* waited for 40 ms, of which its worker was at it for 10 */
        batches[i].times[RF_BATCH_BEGUN] = batches[i].times[RF_BATCH_ITEMS] = UNIT(10);
    struct summary *summary = made(1000 * S);
    assert_true(moments_of(summary, &summary->loaders[0], &moments));
    const struct moment *moment = &moments.of[0];
    const double whole = 7 * 40 + 400;
    assert_float_equal(moment->causes[CAUSE_STARTUP], 30 / whole, 0.002);
    assert_float_equal(moment->causes[CAUSE_UNKNOWN], 3 * 30 / whole, 0.002);
    summary_free(summary);
}

static void the_slow_wait_comes_with_what_went_on(void **state)
{
    struct moments moments;
    (void)state;
    begin(1, 110);
    set_stretch();
    struct summary *summary = made(1000 * S);
    assert_true(moments_of(summary, &summary->loaders[0], &moments));
    assert_int_equal(moments.slow_count, 1);
    const struct moment_slow *slow = &moments.slow[0];
    assert_int_equal(slow->batch, 6);
    assert_near(slow->wait_ns, 400e6);
    assert_near(slow->at_ns, 2.5e9 + 5 * 50e6 + 50e6);
    const struct moment_batch *own = NULL;
    for (uint32_t i = 0; i < slow->count; i++)
        own = slow->batches[i].batch == 6 ? &slow->batches[i] : own;
    assert_non_null(own);
    assert_int_equal(own->worker, 0);
    assert_near(own->begun_ns, -20e6);
    assert_near(own->made_ns, 400e6);
    assert_near(own->asked_ns, 0);
    assert_near(own->got_ns, 400e6);
    summary_free(summary);
}

static void without_stretches_there_are_no_moments(void **state)
{
    struct moments moments;
    (void)state;
    begin(1, 110);
    struct summary *summary = made(1000 * S);
    assert_false(moments_of(summary, &summary->loaders[0], &moments));
    summary_free(summary);
}

/* ---- documents cut to a size ---- */

static void shape(const void *context, const struct emitter *to)
{
    static const struct trim_rule rules[] = {{"rows", 2}, {"secret", 0}, {"items", 1}, {NULL, 0}};
    struct trim trim;
    const struct emitter cut = trim_emitter(&trim, to, rules);
    const struct emitter *e = &cut;
    (void)context;
    e->open_object(e->context, NULL);
    e->open_array(e->context, "rows");
    for (uint64_t i = 0; i < 4; i++) {
        e->open_object(e->context, NULL);
        put_integer(e, "number", i);
        e->open_array(e->context, "items");
        put_string(e, NULL, "<a>");
        put_string(e, NULL, "b");
        e->close(e->context);
        e->open_object(e->context, "secret");
        put_integer(e, "inner", 1);
        e->close(e->context);
        e->close(e->context);
    }
    e->close(e->context);
    put_string(e, "after", "\xc3\xa4");
    e->close(e->context);
}

static void rules_leave_out_and_the_rest_stays(void **state)
{
    char *text = NULL;
    size_t length;
    (void)state;
    FILE *file = open_memstream(&text, &length);
    assert_int_equal(output_json_for_page(shape, NULL, file), 0);
    fclose(file);
    assert_string_equal(text, "{\"rows\":[{\"number\":0,\"items\":[\"\\u003ca\\u003e\"]},"
                              "{\"number\":1,\"items\":[\"\\u003ca\\u003e\"]}],"
                              "\"after\":\"\\u00E4\"}");
    free(text);
}

/* While a batch is on its way, what its worker runs for the batches behind it keeps it there. */
static void what_goes_on_while_a_batch_is_sent(void **state)
{
    struct moments moments;
    (void)state;
    for (uint32_t same = 0; same < 2; same++) {
        begin(1, 110);
        set_stretch();
        /* Each is made in 20 ms and then 100 ms on its way; meanwhile the next one is computed. */
        for (uint32_t i = 0; i < 8; i++) {
            batches[i].worker = same ? 0 : i % 2;
            batches[i].times[RF_BATCH_CONSUMED] = i == 0 ? RF_STRETCH_UNKNOWN : 0;
            batches[i].times[RF_BATCH_WAITED] = UNIT(100);
            batches[i].times[RF_BATCH_BEGUN] = UNIT(200);
            batches[i].times[RF_BATCH_ITEMS] = batches[i].times[RF_BATCH_CPU] = UNIT(100);
        }
        struct summary *summary = made(1000 * S);
        assert_true(moments_of(summary, &summary->loaders[0], &moments));
        const struct moment *moment = &moments.of[0];
        assert_int_equal(moment->causes[CAUSE_COMPUTE] > 0.5, same);
        assert_int_equal(moment->causes[CAUSE_TRANSFER] > 0.5, !same);
        summary_free(summary);
    }
}

/* Eight batches that say all of themselves: each comes `period` ms after the one before, of which the loop
 * waited so long. */
struct told {
    double period, waited, begun, items, cpu, delay, threads, collate, collate_delay, pickle;
    double exposed; /* 0: not known */
};

static void set_told(const struct told *told)
{
    set_stretch();
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t *t = batches[i].times;
        batches[i].worker = 0;
        t[RF_BATCH_CONSUMED] = i == 0 ? RF_STRETCH_UNKNOWN : UNIT(told->period - told->waited);
        t[RF_BATCH_WAITED] = UNIT(told->waited);
        t[RF_BATCH_BEGUN] = UNIT(told->begun);
        t[RF_BATCH_ITEMS] = UNIT(told->items);
        t[RF_BATCH_CPU] = UNIT(told->cpu);
        t[RF_BATCH_DELAY] = UNIT(told->delay);
        t[RF_BATCH_THREADS] = UNIT(told->threads);
        t[RF_BATCH_COLLATE] = UNIT(told->collate);
        t[RF_BATCH_COLLATE_DELAY] = UNIT(told->collate_delay);
        t[RF_BATCH_PICKLE_CPU] = UNIT(told->pickle);
        if (told->exposed > 0)
            t[RF_BATCH_EXPOSED_UPPER] = UNIT(told->exposed);
    }
}

static struct moments of_told(bool is_one)
{
    static struct moments moments;
    struct summary *summary = made(1000 * S);
    assert_int_equal(moments_of(summary, &summary->loaders[0], &moments), is_one);
    summary_free(summary);
    return moments;
}

/* How many batches in turn were made when the loop asked: of those behind which as many are kept as may be
 * made ahead, and not of an iterator's first. */
static void batches_that_were_ready(void **state)
{
    (void)state;
    enum { NOTHING, ITEMS_OF_3, GAP_AT_5, NO_FIRST };
    static const struct {
        double ahead; /* each was made so long before it was asked for, and 5 ms later */
        uint64_t workers, prefetch;
        int change;
        double possible, ready;
    } rows[] = {
        {204, 2, 2, NOTHING, 4, 2},
        {205, 2, 2, NOTHING, 4, 3}, /* just so long */
        {4, 2, 2, NOTHING, 4, 0},
        {5, 2, 2, NOTHING, 4, 1},
        {1000, 2, 2, NOTHING, 4, 4}, /* no more than there may be */
        {205, 2, 2, ITEMS_OF_3, 4, (2 + 1 + 3) / 3.0},
        {205, 2, 2, GAP_AT_5, 4, (3 + 3 + 2 + 1) / 4.0},
        {1000, 7, 1, NOTHING, 7, 7},
        {1000, 1, 8, NOTHING, 8, NAN}, /* of the first only */
        {1000, 4, 2, NO_FIRST, 8, 8},
        {1000, 3, 3, NO_FIRST, 9, NAN},
        {1000, 1024, 1, NOTHING, 1024, NAN},
        {1000, 1024, 1024, NOTHING, 1024.0 * 1024, NAN},
        {1000, 0, 2, NOTHING, NAN, NAN},
        {1000, 2, 0, NOTHING, NAN, NAN},
        {1000, 1025, 2, NOTHING, NAN, NAN},
        {1000, 2, 1025, NOTHING, NAN, NAN},
        {1000, DATASTALL_UNKNOWN, 2, NOTHING, NAN, NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct told told = {
            .period = 100, .waited = 10, .begun = rows[i].ahead + 10, .items = 5};
        begin(1, 110);
        set_told(&told);
        batches[0].times[RF_BATCH_BEGUN] = UNIT(5); /* it was not there */
        if (rows[i].change == ITEMS_OF_3)
            batches[3].times[RF_BATCH_ITEMS] = RF_STRETCH_UNKNOWN;
        for (uint32_t k = 5; k < 8 && rows[i].change == GAP_AT_5; k++)
            batches[k].batch++;
        if (rows[i].change == NO_FIRST) {
            batches[0].flags = 0;
            batches[0].times[RF_BATCH_BEGUN] = UNIT(told.begun);
        }
        world.loaders[0].entry.num_workers = rows[i].workers;
        world.loaders[0].entry.prefetch_factor = rows[i].prefetch;
        const struct moments moments = of_told(true);
        assert_figure(moments.possible, rows[i].possible);
        const double ready = moments.of[0].ready_mean;
        CHECK(isnan(rows[i].ready) ? isnan(ready) : fabs(ready - rows[i].ready) < NEAR,
              "row %zu: %g", i, ready);
    }
}

/* Four waits are enough to tell of; how long they were is of those that are known. */
static void waits_of_a_moment(void **state)
{
    (void)state;
    static const struct told told = {.period = 100, .waited = 10, .begun = 10, .items = 5};
    for (uint32_t known = 3; known <= 4; known++) {
        begin(1, 110);
        set_told(&told);
        for (uint32_t i = known; i < 8; i++)
            batches[i].times[RF_BATCH_WAITED] = RF_STRETCH_UNKNOWN;
        for (uint32_t i = 0; i < known; i++)
            batches[i].times[RF_BATCH_WAITED] = UNIT(40 - 10 * i);
        const struct moments moments = of_told(known == 4);
        assert_int_equal(moments.slow_count, 1);
        assert_int_equal(moments.slow[0].batch, 0);
        if (known < 4)
            continue;
        assert_int_equal(moments.of[0].waits, 4);
        assert_near(moments.of[0].wait_p50_ns, 20e6);
        assert_near(moments.of[0].wait_p95_ns, 30e6);
        assert_near(moments.of[0].wait_max_ns, 40e6);
    }
}

/* What is told of a batch, part by part of the wait for it. */
static void parts_of_a_wait(void **state)
{
    (void)state;
    /* Of 90 ms: 5 before it was begun, 50 for its items, 20 for collating them, 15 on its way. */
    static const struct told usual = {100, 90, 85, 50, 20, 10, 5, 20, 5, 0, 0};
    enum { NOTHING, NO_PARTS, NO_COLLATE, NO_ITEMS, NO_WAIT, IN_LOOP };
    static const struct {
        double exposed;
        int change;
        double compute, contention, threads, blocked, collate, transfer, unknown; /* of each wait */
    } rows[] = {
        {0, NOTHING, 20, 15, 5, 15, 15, 15, 5},
        {30, NOTHING, 0, 3.75, 0, 0, 11.25, 15, 0}, /* the last of it */
        {90, NOTHING, 20, 15, 5, 15, 15, 15, 5},
        {200, NOTHING, 20, 15, 5, 15, 15, 15, 5}, /* no more than it waited */
        {0, NO_PARTS, 0, 0, 0, 50, 20, 15, 5},
        {0, NO_COLLATE, 20, 10, 5, 15, 0, 35, 5},
        {0, NO_ITEMS, 0, 0, 0, 0, 0, 0, 90},
        {0, NO_WAIT, 20, 15, 5, 15, 15, 15, 5}, /* of the others */
        {0, IN_LOOP, 20, 15, 5, 15, 15, 15, 5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct told told = usual;
        told.exposed = rows[i].exposed;
        begin(1, 110);
        set_told(&told);
        for (uint32_t k = 0; k < 8; k++) {
            uint32_t *t = batches[k].times;
            if (rows[i].change == NO_PARTS)
                t[RF_BATCH_CPU] = t[RF_BATCH_DELAY] = t[RF_BATCH_THREADS] =
                    t[RF_BATCH_COLLATE_DELAY] = RF_STRETCH_UNKNOWN;
            if (rows[i].change == NO_COLLATE)
                t[RF_BATCH_COLLATE] = RF_STRETCH_UNKNOWN;
            if (rows[i].change == NO_ITEMS)
                t[RF_BATCH_ITEMS] = RF_STRETCH_UNKNOWN;
        }
        if (rows[i].change == NO_WAIT)
            batches[7].times[RF_BATCH_WAITED] = RF_STRETCH_UNKNOWN;
        if (rows[i].change == IN_LOOP)
            world.loaders[0].entry.num_workers = 0;
        const struct moments moments = of_told(true);
        const double *causes = moments.of[0].causes;
        const double whole = rows[i].compute + rows[i].contention + rows[i].threads +
                             rows[i].blocked + rows[i].collate + rows[i].transfer + rows[i].unknown;
        const double waits = rows[i].change == NO_WAIT ? 7 : 8;
        const struct {
            enum cause_state state;
            double ms;
        } wanted[] = {
            {CAUSE_COMPUTE, rows[i].compute},
            {CAUSE_CPU_CONTENTION, rows[i].contention},
            {CAUSE_COMPUTE_IN_THREADS, rows[i].threads},
            {CAUSE_BLOCKED, rows[i].blocked},
            {CAUSE_COLLATE, rows[i].collate},
            {CAUSE_TRANSFER, rows[i].change == IN_LOOP ? 0 : rows[i].transfer},
            {CAUSE_OVERHEAD, rows[i].change == IN_LOOP ? rows[i].transfer : 0},
            /* Before an iterator's first batch was begun its worker was started. */
            {CAUSE_STARTUP, rows[i].unknown / waits},
            {CAUSE_UNKNOWN, rows[i].unknown * (waits - 1) / waits},
        };
        for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
            CHECK(fabs(causes[wanted[k].state] - wanted[k].ms / whole) < 1e-6,
                  "row %zu: %s %g, not %g", i, why_name(wanted[k].state), causes[wanted[k].state],
                  wanted[k].ms / whole);
    }
}

/* What the worker does for the batches behind it while one is on its way, as far as it is meanwhile: less
 * what sending itself runs. */
static void work_beside_the_sending(void **state)
{
    (void)state;
    enum { NOTHING, TWO_WORKERS, GAP_AT_4, NO_ITEMS_OF_3 };
    /* A batch is made in 40 and 10 ms, and comes 150 ms later; for the last 50 of them it is waited for. */
    static const struct {
        double begun, pickle;
        int change;
        double compute, contention, threads, collate, unknown; /* of 400 ms */
    } rows[] = {
        {200, 9, NOTHING, 99, 30, 24, 60, 0},         {200, 100, NOTHING, 0, 30, 24, 60, 0},
        {175, 9, NOTHING, 103.8, 32.25, 25.8, 52, 0}, /* the third is half done */
        {200, 9, TWO_WORKERS, 22, 10, 8, 20, 0},      {200, 9, GAP_AT_4, 62, 20, 16, 40, 0},
        {200, 9, NO_ITEMS_OF_3, 62, 20, 16, 40, 50},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct told told = {50, 50, rows[i].begun, 40, 20, 5, 4, 10, 0, rows[i].pickle, 0};
        begin(1, 110);
        set_told(&told);
        for (uint32_t k = 0; k < 8; k++) {
            batches[k].worker = rows[i].change == TWO_WORKERS ? k % 2 : 0;
            batches[k].batch += rows[i].change == GAP_AT_4 && k >= 4;
        }
        if (rows[i].change == NO_ITEMS_OF_3)
            batches[3].times[RF_BATCH_ITEMS] = RF_STRETCH_UNKNOWN;
        const struct moments moments = of_told(true);
        const double *causes = moments.of[0].causes;
        const struct {
            enum cause_state state;
            double ms;
        } wanted[] = {
            {CAUSE_COMPUTE, rows[i].compute},
            {CAUSE_CPU_CONTENTION, rows[i].contention},
            {CAUSE_COMPUTE_IN_THREADS, rows[i].threads},
            {CAUSE_COLLATE, rows[i].collate},
            {CAUSE_TRANSFER, 400 - rows[i].compute - rows[i].contention - rows[i].threads -
                                 rows[i].collate - rows[i].unknown},
            {CAUSE_UNKNOWN, rows[i].unknown},
            {CAUSE_STARTUP, 0},
        };
        for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
            CHECK(fabs(causes[wanted[k].state] - wanted[k].ms / 400) < 1e-6,
                  "row %zu: %s %g, not %g", i, why_name(wanted[k].state), causes[wanted[k].state],
                  wanted[k].ms / 400);
    }
}

/* Around a slow wait: what was under way from half of it before to half of it behind. */
static void what_is_around_a_slow_wait(void **state)
{
    (void)state;
    for (uint32_t apart = 0; apart < 2; apart++) { /* with a gap before it */
        static const struct told told = {
            .period = 20, .waited = 10, .begun = 5, .items = 3, .collate = 1};
        begin(1, 110);
        set_told(&told);
        for (uint32_t i = 8; i < 12; i++) {
            batches[i] = batches[7];
            batches[i].batch = i;
        }
        stretch.count = stretches.batch_count = 12;
        batches[4].times[RF_BATCH_WAITED] = UNIT(100);
        batches[6].worker = 0xffff;
        for (uint32_t i = 3; i < 12; i++)
            batches[i].batch += apart;
        const struct moments moments = of_told(true);
        assert_int_equal(moments.slow_count, 1);
        const struct moment_slow *slow = &moments.slow[0];
        assert_int_equal(slow->batch, 4 + apart);
        assert_near(slow->wait_ns, 100e6);
        if (apart)
            assert_true(isnan(slow->at_ns)); /* when the first of a stretch was asked for is told */
        else
            assert_near(slow->at_ns, 2.5e9 + 80e6);
        const uint32_t from = apart ? 3 : 1;
        assert_int_equal(slow->count, 8 - from); /* to 7, which is asked for just then */
        for (uint32_t k = 0; k < slow->count; k++) {
            const struct moment_batch *b = &slow->batches[k];
            const uint32_t i = from + k;
            const double asked = i < 4 ? 20.0 * i - 80 : i == 4 ? 0 : 110 + 20.0 * (i - 5);
            const double got = i == 4 ? 100 : asked + 10;
            assert_int_equal(b->batch, i + (i >= 3 ? apart : 0));
            assert_int_equal(b->worker, i == 6 ? UINT32_MAX : 0);
            assert_near(b->asked_ns, asked * 1e6);
            assert_near(b->got_ns, got * 1e6);
            assert_near(b->begun_ns, (got - 5) * 1e6);
            assert_near(b->items_ns, (got - 2) * 1e6);
            assert_near(b->made_ns, (got - 1) * 1e6);
        }
    }
}

/* Of each stretch its longest wait, the longest first. */
static void slow_waits_in_their_order(void **state)
{
    static struct rf_stretch_batch many[8 * (MOMENTS_SLOW + 2)];
    static struct run_stretch several[MOMENTS_SLOW + 2];
    struct moments moments;
    (void)state;
    begin(1, 110);
    set_stretch();
    for (uint32_t s = 0; s < MOMENTS_SLOW + 2; s++) {
        several[s] = stretch;
        several[s].first = 8 * s;
        several[s].words[RF_STRETCH_NUMBER] = 1 + s;
        several[s].words[RF_STRETCH_BEGIN_NS] = (103 + s) * S;
        for (uint32_t i = 0; i < 8; i++) {
            many[8 * s + i] = batches[i];
            many[8 * s + i].batch = 8 * s + i;
        }
        const uint32_t wait = UNIT(400 + 10 * ((s * 3) % (MOMENTS_SLOW + 2)));
        many[8 * s + 6].times[RF_BATCH_WAITED] = wait;
    }
    for (uint32_t count = 2; count <= MOMENTS_SLOW + 2; count++) {
        stretches.stretches = several;
        stretches.batches = many;
        stretches.count = count;
        stretches.batch_count = 8 * count;
        struct summary *summary = made(1000 * S);
        assert_true(moments_of(summary, &summary->loaders[0], &moments));
        assert_int_equal(moments.count, count);
        assert_int_equal(moments.slow_count, count < MOMENTS_SLOW ? count : MOMENTS_SLOW);
        for (uint32_t i = 1; i < moments.slow_count; i++)
            assert_true(moments.slow[i].wait_ns < moments.slow[i - 1].wait_ns);
        for (uint32_t i = 0; i < moments.slow_count; i++) { /* each is the wait of its batch */
            const uint64_t batch = moments.slow[i].batch;
            assert_true(batch % 8 == 6 && batch / 8 < count);
            assert_near(moments.slow[i].wait_ns, many[batch].times[RF_BATCH_WAITED] * 64.0);
        }
        double most = 0;
        for (uint32_t s = 0; s < count; s++)
            most = fmax(most, many[8 * s + 6].times[RF_BATCH_WAITED] * 64.0);
        assert_near(moments.slow[0].wait_ns, most);
        summary_free(summary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_hold_the_whole_run),
        cmocka_unit_test(figures_of_a_span),
        cmocka_unit_test(spans_without_batches),
        cmocka_unit_test(numbers_of_spans),
        cmocka_unit_test(where_a_machine_begins),
        cmocka_unit_test(a_long_wait_belongs_to_the_seconds_before),
        cmocka_unit_test(moments_tell_waits_and_their_causes),
        cmocka_unit_test(what_comes_before_a_workers_first_batch_is_its_start),
        cmocka_unit_test(the_slow_wait_comes_with_what_went_on),
        cmocka_unit_test(without_stretches_there_are_no_moments),
        cmocka_unit_test(rules_leave_out_and_the_rest_stays),
        cmocka_unit_test(the_first_and_the_last_span),
        cmocka_unit_test(a_wait_longer_than_the_run),
        cmocka_unit_test(devices_over_time),
        cmocka_unit_test(the_rest_of_exact_figures),
        cmocka_unit_test(slow_waits_in_their_order),
        cmocka_unit_test(what_goes_on_while_a_batch_is_sent),
        cmocka_unit_test(batches_that_were_ready),
        cmocka_unit_test(waits_of_a_moment),
        cmocka_unit_test(parts_of_a_wait),
        cmocka_unit_test(work_beside_the_sending),
        cmocka_unit_test(what_is_around_a_slow_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
