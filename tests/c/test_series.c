/* SPDX-License-Identifier: Apache-2.0 */
/* A run over time, and the waits that are kept one by one, from runs in memory; a document cut to a size. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/moments.h"
#include "diagnose/series.h"
#include "output/json.h"
#include "output/put.h"
#include "output/trim.h"
#include "world.h"

static struct run_history histories[WORLD_PROCESSES];

/* Of a process that began at 100.5 s: in each second of [from, to) 10 batches of 8, of which it waited
 * for wait_ms in all. */
static void add_seconds(uint32_t process, uint64_t from, uint64_t to, uint64_t wait_ms)
{
    for (uint64_t second = from; second < to; second++) {
        for (uint32_t level = 0; level < RF_ROLLUP_LEVELS; level++) {
            const uint64_t number = second / run_history_width_s(level) + 1;
            struct run_span *span = &histories[process].spans[level][number % RF_ROLLUP_BUCKETS];
            if (span->number != number)
                *span = (struct run_span){.number = number};
            span->batches += 10;
            span->samples += 80;
            span->stall.waiting_ns += wait_ms * MS;
            span->longest_ns = wait_ms * MS / 2;
        }
    }
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
}

/* ---- waits one by one ---- */

#define UNIT(ms) ((uint32_t)((ms) * 1000000.0 / RF_STRETCH_UNIT_NS))

static struct rf_stretch_batch batches[8];
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
    assert_float_equal(moment->at_ns, 2.5e9, 1000);
    assert_float_equal(moment->wait_p50_ns, 40e6, 1000);
    assert_float_equal(moment->wait_max_ns, 400e6, 1000);
    assert_float_equal(moment->ready_mean, 0, NEAR); /* each came when it was made */
    /* Items ran for 3 of 4 parts of their time, in the slow one for 75 of 420 ms. */
    const double compute = (7 * 40 * 0.75 + 400 * 75.0 / 420) / (7 * 40 + 400);
    assert_float_equal(moment->causes[CAUSE_COMPUTE], compute, 0.001);
    assert_float_equal(moment->causes[CAUSE_BLOCKED], 1 - compute, 0.001);
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
    assert_float_equal(slow->wait_ns, 400e6, 1000);
    assert_float_equal(slow->at_ns, 2.5e9 + 5 * 50e6 + 50e6, 1000);
    const struct moment_batch *own = NULL;
    for (uint32_t i = 0; i < slow->count; i++)
        own = slow->batches[i].batch == 6 ? &slow->batches[i] : own;
    assert_non_null(own);
    assert_int_equal(own->worker, 0);
    assert_float_equal(own->begun_ns, -20e6, 1000);
    assert_float_equal(own->made_ns, 400e6, 1000);
    assert_float_equal(own->asked_ns, 0, 1000);
    assert_float_equal(own->got_ns, 400e6, 1000);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_hold_the_whole_run),
        cmocka_unit_test(figures_of_a_span),
        cmocka_unit_test(a_long_wait_belongs_to_the_seconds_before),
        cmocka_unit_test(moments_tell_waits_and_their_causes),
        cmocka_unit_test(the_slow_wait_comes_with_what_went_on),
        cmocka_unit_test(without_stretches_there_are_no_moments),
        cmocka_unit_test(rules_leave_out_and_the_rest_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
