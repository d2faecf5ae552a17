/* SPDX-License-Identifier: Apache-2.0 */
/* Two runs side by side, from runs in memory. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/compare.h"
#include "diagnose/job_compare.h"
#include "diagnose/predict.h"
#include "diagnose/rates.h"
#include "diagnose/throughput.h"
#include "output/comparison.h"
#include "output/paragraphs.h"
#include "recorded.h"
#include "support.h"
#include "world.h"

#define SECONDS 40

static struct run_history histories[2];
static struct comparison comparison;
static struct world kept;

/* A run that delivered so many samples in each of its seconds, give or take one, of 8 a batch. */
static void set_run(struct run_history *history, uint64_t samples, uint64_t wait_s)
{
    begin_world(1);
    set_wait(0, 100 * S + S / 2, (100 + SECONDS) * S + S / 2, wait_s * S);
    memset(history, 0, sizeof *history);
    uint64_t *c = world.loaders[0].totals.counters;
    c[RF_COUNT_BATCHES] = c[RF_COUNT_SAMPLES_BATCHES] = 0;
    for (uint64_t n = 101; n <= 101 + SECONDS; n++) {
        const struct run_span span = {n, samples / 8, samples + n % 2};
        history->spans[0][n % RF_ROLLUP_BUCKETS] = span;
        c[RF_COUNT_BATCHES] += span.batches;
        c[RF_COUNT_SAMPLES] += span.samples;
    }
    c[RF_COUNT_SAMPLES_BATCHES] = c[RF_COUNT_BATCHES];
    world.loaders[0].history = history;
}

/* The world's summary, with data of its own: the next world leaves it as it is. */
static struct summary *first_run(void)
{
    kept = world;
    kept.processes[0].loaders = kept.loaders;
    kept.data.processes = kept.processes;
    for (uint32_t i = 1; i < kept.data.process_count; i++)
        kept.processes[i].loaders = &kept.loaders[i];
    struct summary *summary = NULL;
    assert_int_equal(summary_make(&kept.data, 300 * S, &summary), 0);
    return summary;
}

static struct summary *first, *second;

static void begin_pair(uint64_t one, uint64_t other)
{
    set_run(&histories[0], one, 10);
    first = first_run();
    set_run(&histories[1], other, 4);
}
static void end_pair(void)
{
    second = made(300 * S);
    compare_runs(first, second, &comparison);
}
static void free_pair(void)
{
    summary_free(first);
    summary_free(second);
}

static void assert_result(const char *words)
{
    char text[320];
    compare_result_text(&comparison, text, sizeof text);
    if (strstr(text, words) == NULL)
        fail_msg("'%s' is not in '%s'", words, text);
}

static void faster_slower_same(void **state)
{
    (void)state;
    static const struct {
        uint64_t first, second;
        enum compare_result result;
        const char *text;
    } rows[] = {
        {1000, 1500, COMPARE_FASTER, "1.50x faster (1.46 to 1.54)"},
        {1500, 1000, COMPARE_SLOWER, "1.50x slower (1.46 to 1.54)"},
        {1000, 1001, COMPARE_SAME,
         "no difference that can be told (+0.1 %, between -2.6 and +2.9 %)"},
        {1000, 1020, COMPARE_SAME, "no difference that can be told"},
        {1000, 1050, COMPARE_FASTER, "1.05x faster"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_pair(rows[i].first, rows[i].second);
        end_pair();
        assert_int_equal(comparison.result, rows[i].result);
        assert_result(rows[i].text);
        assert_true(comparison.by_samples);
        assert_figure(comparison.stall_share[0], 0.25);
        assert_figure(comparison.stall_share[1], 0.1);
        free_pair();
    }
}

/* Seconds that are cut, and those before the first batch, are in no rate. */
static void only_whole_seconds_after_the_start_count(void **state)
{
    (void)state;
    static struct rates rates;
    begin_pair(1000, 1000);
    for (uint64_t n = 101; n < 106; n++)
        histories[1].spans[0][n % RF_ROLLUP_BUCKETS] = (struct run_span){n, 0, 0};
    histories[1].spans[0][(101 + SECONDS) % RF_ROLLUP_BUCKETS].samples = 1;
    end_pair();
    rates_of(first, &rates);
    assert_int_equal(rates.count, SECONDS - 1);
    rates_of(second, &rates);
    assert_int_equal(rates.count, SECONDS - 1 - 4);
    assert_true(fabs(comparison.throughput[1] - 1000.5) < 1);
    assert_int_equal(comparison.result, COMPARE_SAME);
    free_pair();
}

static void not_comparable(void **state)
{
    (void)state;
    begin_pair(1000, 1000);
    memset(world.loaders[0].history, 0, sizeof histories[1]);
    end_pair();
    assert_int_equal(comparison.result, COMPARE_IMPOSSIBLE);
    assert_result(
        "not comparable: the second run is too short: batches came in 0 whole spans of 1 s");
    assert_true(isnan(comparison.throughput_ratio.mean));
    free_pair();
    begin_pair(1000, 1000);
    strcpy(world.loaders[0].entry.name, "other");
    end_pair();
    assert_result("not comparable: no loader of the one is in the other");
    assert_int_equal(comparison.loader_count, 2);
    assert_true(isnan(comparison.throughput_ratio.mean)); /* nor is there a figure */
    assert_true(isnan(comparison.throughput_ratio.lower));
    assert_true(isnan(comparison.throughput_ratio.upper));
    free_pair();
    begin_pair(1000, 1000);
    world.loaders[0].totals.counters[RF_COUNT_SAMPLES_BATCHES] = 0;
    world.loaders[0].entry.batch_size = 16;
    end_pair();
    assert_result("not comparable: the samples of a batch are not known");
    free_pair();
    begin_pair(1000, 1000);
    begin_world(1);
    end_pair();
    assert_result("not comparable: no batch was recorded in the second run");
    free_pair();
    begin_world(1);
    first = first_run();
    set_run(&histories[1], 1000, 4);
    end_pair();
    assert_result("not comparable: no batch was recorded in the first run");
    free_pair();
    begin_pair(1000, 1000);
    memset(&histories[0], 0, sizeof histories[0]);
    end_pair();
    assert_result(
        "not comparable: the first run is too short: batches came in 0 whole spans of 1 s");
    free_pair();
}

static void loaders_find_each_other(void **state)
{
    (void)state;
    static const struct {
        const char *name, *type;
        bool matches;
    } rows[] = {{"train.py:7", "", true},
                {"train.py:9", "Pictures", true},
                {"other.py:1", "Pictures", true},
                {"train.py:9", "Words", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_pair(1000, 1000);
        summary_free(first);
        strcpy(kept.loaders[0].entry.name, "train.py:7");
        strcpy(kept.loaders[0].entry.dataset_type, "Pictures");
        assert_int_equal(summary_make(&kept.data, 300 * S, &first), 0);
        strcpy(world.loaders[0].entry.name, rows[i].name);
        strcpy(world.loaders[0].entry.dataset_type, rows[i].type);
        end_pair();
        assert_int_equal(comparison.loader_count, rows[i].matches ? 1 : 2);
        free_pair();
    }
}

static void conditions(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        enum compare_check wanted;
    } rows[] = {{"samples/s<-5%", COMPARE_CHECK_FAILS},
                {"samples/s < -40 %", COMPARE_CHECK_PASSES},
                {"samples/s>5", COMPARE_CHECK_PASSES},
                {"stall>+3", COMPARE_CHECK_PASSES},
                {"stall<-3", COMPARE_CHECK_FAILS},
                {"batches/s<-5%", COMPARE_CHECK_FAILS}, /* unknown */
                {"window>10%", COMPARE_CHECK_PASSES},
                {"samples/s", COMPARE_CHECK_INVALID},
                {"samples/s<", COMPARE_CHECK_INVALID},
                {"samples/s<5x", COMPARE_CHECK_INVALID},
                {"speed<5", COMPARE_CHECK_INVALID},
                {"stall=3", COMPARE_CHECK_INVALID},
                {"samples/s<nan", COMPARE_CHECK_INVALID}};
    begin_pair(1000, 700);
    end_pair();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char sentence[320];
        if (compare_check(&comparison, rows[i].condition, sentence, sizeof sentence) !=
            rows[i].wanted)
            fail_msg("%s: %s", rows[i].condition, sentence);
    }
    free_pair();
    begin_pair(1000, 990); /* beyond the limit, and not to be told from nothing */
    end_pair();
    char sentence[320];
    assert_int_equal(compare_check(&comparison, "samples/s<-0.5%", sentence, sizeof sentence),
                     COMPARE_CHECK_PASSES);
    assert_non_null(strstr(sentence, "no difference that can be told"));
    free_pair();
}

/* Each figure against a limit from both sides, and in words; what is not known fails. */
static void each_figure_has_its_limits(void **state)
{
    (void)state;
    static const struct {
        bool by_samples, known;
        const char *condition;
        enum compare_check wanted;
        const char *words;
    } rows[] = {
        {true, true, "samples/s>25", COMPARE_CHECK_PASSES,
         "ok: samples/s changed by +25.00 %, fails if above 25"},
        {true, true, "samples/s>24.9", COMPARE_CHECK_FAILS,
         "failed: samples/s changed by +25.00 %, fails if above 24.9"},
        {true, true, "samples/s<25", COMPARE_CHECK_PASSES, "fails if below 25"},
        {true, true, "samples/s<25.1%", COMPARE_CHECK_FAILS, "fails if below 25.1"},
        {false, true, "samples/s<0", COMPARE_CHECK_FAILS,
         "failed: the change of samples/s is not known, so 'samples/s<0' cannot be ruled out"},
        {false, true, "batches/s>25", COMPARE_CHECK_PASSES, "batches/s changed by +25.00 %"},
        {false, true, "batches/s>24", COMPARE_CHECK_FAILS, "batches/s changed by +25.00 %"},
        {true, true, "batches/s>24", COMPARE_CHECK_FAILS, "the change of batches/s is not known"},
        {true, true, "window>50", COMPARE_CHECK_PASSES, "ok: the window changed by +50.00 %"},
        {true, true, "window>49", COMPARE_CHECK_FAILS, "the window changed by +50.00 %"},
        {true, true, "window<50", COMPARE_CHECK_PASSES, "the window changed by +50.00 %"},
        {true, true, "window<51", COMPARE_CHECK_FAILS, "the window changed by +50.00 %"},
        {true, true, "stall>-12.5", COMPARE_CHECK_PASSES,
         "ok: the stall share changed by -12.50 points, fails if above -12.5"},
        {true, true, "stall>-13", COMPARE_CHECK_FAILS, "changed by -12.50 points"},
        {true, true, "stall<-12.5", COMPARE_CHECK_PASSES, "changed by -12.50 points"},
        {true, true, "stall<-12", COMPARE_CHECK_FAILS, "changed by -12.50 points"},
        {true, true, "startup>2", COMPARE_CHECK_PASSES, "ok: start-up changed by +2.00 s"},
        {true, true, "startup > 1.5", COMPARE_CHECK_FAILS, "start-up changed by +2.00 s"},
        {true, true, " startup<2 ", COMPARE_CHECK_PASSES, "start-up changed by +2.00 s"},
        {true, true, "startup<3", COMPARE_CHECK_FAILS, "start-up changed by +2.00 s"},
        {true, false, "samples/s<0", COMPARE_CHECK_FAILS, "the change of samples/s is not known"},
        {true, false, "window<0", COMPARE_CHECK_FAILS, "the change of window is not known"},
        {true, false, "stall>0", COMPARE_CHECK_FAILS, "the change of stall is not known"},
        {true, false, "startup>0", COMPARE_CHECK_FAILS, "the change of startup is not known"},
        {true, true, "window>inf", COMPARE_CHECK_INVALID, "'window>inf' is not a condition"},
        {true, true, "", COMPARE_CHECK_INVALID, "'' is not a condition"},
        {true, true, ">5", COMPARE_CHECK_INVALID, "'>5' is not a condition"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const double known = rows[i].known ? 1 : NAN;
        char sentence[320];
        comparison = (struct comparison){.result = COMPARE_FASTER,
                                         .by_samples = rows[i].by_samples,
                                         .throughput_ratio.mean = 1.25 * known,
                                         .window_ratio = 1.5 * known,
                                         .stall_share = {0.25, 0.125 * known},
                                         .startup_s = {1 * known, 3}};
        CHECK(compare_check(&comparison, rows[i].condition, sentence, sizeof sentence) ==
                  rows[i].wanted,
              "row %zu: %s", i, sentence);
        CHECK(strstr(sentence, rows[i].words) != NULL, "row %zu: %s", i, sentence);
        comparison.result =
            COMPARE_SAME; /* only what is measured as a rate need be told from noise */
        const enum compare_check same =
            compare_check(&comparison, rows[i].condition, sentence, sizeof sentence);
        const bool is_rate =
            strstr(rows[i].condition, "/s") != NULL && strstr(rows[i].words, "not") == NULL;
        CHECK(same == (is_rate ? COMPARE_CHECK_PASSES : rows[i].wanted), "row %zu: %s", i,
              sentence);
        CHECK((strstr(sentence, "(no difference that can be told)") != NULL) ==
                  (is_rate && rows[i].wanted == COMPARE_CHECK_FAILS),
              "row %zu: %s", i, sentence);
    }
}

/* ---- jobs ---- */

static void jobs_side_by_side(void **state)
{
    (void)state;
    static const struct {
        uint32_t counts[2];
        bool known[2];
        uint64_t batch_sizes[2];
        double per_s[2]; /* batches; of 8 samples and of 4 */
        bool by_samples;
        enum compare_result result;
        const char *reason;
    } rows[] = {
        {{20, 20}, {true, true}, {8, 8}, {100, 300}, true, COMPARE_FASTER, ""},
        {{20, 20}, {true, true}, {8, 4}, {100, 100}, true, COMPARE_SLOWER, ""},
        {{20, 20}, {true, true}, {8, 4}, {100, 200}, true, COMPARE_SAME, ""},
        {{20, 20}, {true, false}, {8, 8}, {100, 100}, false, COMPARE_SAME, ""},
        {{20, 20}, {false, true}, {8, 8}, {100, 150}, false, COMPARE_FASTER, ""},
        {{20, 20}, {false, false}, {8, 8}, {100, 50}, false, COMPARE_SLOWER, ""},
        {{20, 20},
         {false, false},
         {8, 4},
         {100, 100},
         false,
         COMPARE_IMPOSSIBLE,
         "the samples of a batch are not known, and the batch sizes differ"},
        {{20, 20},
         {true, false},
         {4, 8},
         {100, 100},
         false,
         COMPARE_IMPOSSIBLE,
         "the samples of a batch are not known, and the batch sizes differ"},
        {{5, 5}, {true, true}, {8, 8}, {100, 300}, true, COMPARE_FASTER, ""},
        {{4, 5},
         {true, true},
         {8, 8},
         {100, 300},
         true,
         COMPARE_IMPOSSIBLE,
         "the first job is too short: batches came in 4 whole spans of 2 s, and 5 are needed"},
        {{5, 4},
         {true, true},
         {8, 8},
         {100, 300},
         true,
         COMPARE_IMPOSSIBLE,
         "the second job is too short"},
        {{20, 20},
         {true, true},
         {8, 8},
         {0, 300},
         true,
         COMPARE_IMPOSSIBLE,
         "the first job delivered nothing"},
        {{20, 20},
         {true, true},
         {8, 8},
         {100, 0},
         true,
         COMPARE_IMPOSSIBLE,
         "the second job delivered nothing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static struct rates rates[2];
        const struct job_figures figures[2] = {{.lost_share.mean = 0.25},
                                               {.lost_share.mean = 0.125}};
        struct job_side sides[2];
        for (uint32_t k = 0; k < 2; k++) {
            rates[k] = (struct rates){
                .width_s = 2, .count = rows[i].counts[k], .samples_known = rows[i].known[k]};
            for (uint32_t s = 0; s < rows[i].counts[k]; s++) {
                rates[k].batches_per_s[s] = rows[i].per_s[k];
                rates[k].samples_per_s[s] = rows[i].per_s[k] * (double)rows[i].batch_sizes[k];
            }
            sides[k] = (struct job_side){.figures = &figures[k],
                                         .rates = &rates[k],
                                         .batch_size = rows[i].batch_sizes[k],
                                         .window_s = k == 0 ? 100 : 150};
        }
        memset(&comparison, 0x55, sizeof comparison);
        compare_jobs(&sides[0], &sides[1], &comparison);
        assert_int_equal(comparison.result, rows[i].result);
        assert_int_equal(comparison.by_samples, rows[i].by_samples);
        CHECK(strstr(comparison.reason, rows[i].reason) == comparison.reason, "row %zu: %s", i,
              comparison.reason);
        assert_int_equal(comparison.reason[0] == '\0', rows[i].reason[0] == '\0');
        assert_figure(comparison.window_s[0], 100);
        assert_figure(comparison.window_s[1], 150);
        assert_figure(comparison.window_ratio, 1.5);
        assert_figure(comparison.stall_share[0], 0.25);
        assert_figure(comparison.stall_share[1], 0.125);
        assert_true(isnan(comparison.startup_s[0]) && isnan(comparison.startup_s[1]));
        assert_true(comparison.runs[0] == NULL && comparison.runs[1] == NULL);
        assert_true(comparison.loader_count == 0 && comparison.rank_count == 0);
        const bool possible = rows[i].result != COMPARE_IMPOSSIBLE;
        assert_int_equal(isnan(comparison.throughput_ratio.mean), !possible);
        for (uint32_t k = 0; k < 2 && possible; k++)
            assert_figure(comparison.throughput[k],
                          rows[i].per_s[k] *
                              (rows[i].by_samples ? (double)rows[i].batch_sizes[k] : 1));
        if (rows[i].counts[0] < 5 || rows[i].counts[1] < 5)
            assert_true(isnan(comparison.throughput[0]) && isnan(comparison.throughput[1]));
    }
}

/* ---- what a run promised ---- */

/* A run of one loader whose batches were kept; of which the replay takes as long as it took. */
static struct side {
    struct recorded recorded;
    struct summary_process process;
    struct summary_loader loader;
    struct summary summary;
} sides[2];

static struct predict *promised(const struct side *side, uint32_t workers, uint32_t prefetch)
{
    const struct predict_options options = {.workers_from = workers,
                                            .workers_to = workers,
                                            .prefetch_from = prefetch,
                                            .prefetch_to = prefetch,
                                            .cpus = NAN,
                                            .goes_on = true};
    struct predict *predict =
        predict_make(side->process.data, side->loader.data, &side->loader.why, false, &options);
    assert_non_null(predict);
    return predict;
}

static void set_side(uint32_t i, const struct recorded_plan *plan)
{
    struct side *side = &sides[i];
    record_plan(plan);
    *side = (struct side){.recorded = recorded};
    struct recorded *r = &side->recorded;
    r->stretches.stretches = r->stretch;
    r->stretches.batches = r->batches;
    r->process.stretches = &r->stretches;
    r->loader.entry.batch_size = 4;
    side->process =
        (struct summary_process){.data = &r->process, .method = SUMMARY_METHOD_HOST_EXACT};
    side->loader = (struct summary_loader){.data = &r->loader, .why = r->why};
    side->loader.why.primary = CAUSE_BLOCKED;
    side->summary = (struct summary){.process_count = 1,
                                     .loader_count = 1,
                                     .processes = &side->process,
                                     .loaders = &side->loader};
    for (int pass = 0; pass < 3; pass++) {
        struct predict *predict = promised(side, plan->workers, plan->prefetch);
        side->loader.why.active_ns =
            (uint64_t)((double)side->loader.why.active_ns * (1 + predict->miss));
        free(predict);
    }
}

static struct compared_promise promise_of_sides(void)
{
    struct compared_promise promise;
    const struct compared_loader pair[2] = {{.first = &sides[0].loader},
                                            {.first = &sides[1].loader}};
    comparison = (struct comparison){.runs = {&sides[0].summary, &sides[1].summary}};
    memset(&promise, 0x55, sizeof promise);
    compare_promise(&comparison, pair, &promise);
    return promise;
}

static void what_was_promised_and_what_came(void **state)
{
    (void)state;
    static const struct {
        uint32_t before[2], now[2], epochs; /* workers, prefetch_factor */
        bool keeps;                         /* by the second */
    } rows[] = {{{2, 2}, {4, 2}, 1, false}, {{2, 2}, {4, 2}, 2, false}, {{2, 2}, {2, 4}, 1, false},
                {{2, 2}, {0, 3}, 1, false}, {{2, 2}, {2, 2}, 2, true},  {{4, 2}, {2, 2}, 2, false},
                {{1, 2}, {64, 2}, 1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const bool keeps = rows[i].keeps;
        struct recorded_plan plan = RECORDED_PLAN;
        plan.batches = 128 / rows[i].epochs;
        plan.epochs = rows[i].epochs;
        plan.workers = rows[i].before[0];
        plan.prefetch = rows[i].before[1];
        set_side(0, &plan);
        plan.workers = rows[i].now[0];
        plan.prefetch = rows[i].now[1];
        plan.persistent = keeps;
        set_side(1, &plan);
        const struct compared_promise promise = promise_of_sides();
        assert_true(promise.is_one);
        CHECK(promise.says[0] == '\0', "row %zu: %s", i, promise.says);
        assert_int_equal(promise.settings[0].num_workers, rows[i].before[0]);
        assert_int_equal(promise.settings[0].prefetch_factor, rows[i].before[1]);
        assert_false(promise.settings[0].persistent_workers);
        assert_int_equal(promise.settings[1].num_workers, rows[i].now[0]);
        const uint32_t window = rows[i].now[0] > 0 ? rows[i].now[1] : 0; /* without workers none */
        assert_int_equal(promise.settings[1].prefetch_factor, window);
        assert_int_equal(promise.settings[1].persistent_workers, keeps);
        struct predict *of_first = promised(&sides[0], rows[i].now[0], rows[i].now[1]);
        struct predict *of_second = promised(&sides[1], rows[i].now[0], rows[i].now[1]);
        const double rate = of_first->measured.samples_per_s.mean;
        const struct range *told = NULL;
        for (uint32_t k = 0; k < of_first->count; k++) {
            const struct predict_setting *one = &of_first->settings[k];
            if (one->num_workers == rows[i].now[0] && one->prefetch_factor == window &&
                one->persistent_workers == keeps)
                told = &one->samples_per_s;
        }
        assert_non_null(told);
        assert_figure(promise.faster.mean, told->mean / rate);
        assert_figure(promise.faster.lower, told->lower / rate);
        assert_figure(promise.faster.upper, told->upper / rate);
        assert_figure(promise.measured, of_second->measured.samples_per_s.mean / rate);
        assert_true(promise.faster.lower < promise.faster.mean);
        free(of_first);
        free(of_second);
    }
}

static void one_setting(void)
{
}
static void the_same_setting(void)
{
    sides[1].recorded.loader.entry.num_workers = 2;
}
static void other_batches(void)
{
    sides[1].recorded.loader.entry.batch_size = 5;
}
static void other_data(void)
{
    strcpy(sides[1].recorded.loader.entry.dataset_type, "Words");
}
static void other_pinning(void)
{
    sides[1].recorded.loader.entry.flags |= DATASTALL_LOADER_PIN_MEMORY;
}
static void half_a_cpu_more(void)
{
    sides[1].loader.why.host.cpus_usable = 8.5;
}
static void half_a_cpu_less(void)
{
    sides[1].loader.why.host.cpus_usable = 7.5;
}
static void nearly_as_many_cpus(void)
{
    sides[1].loader.why.host.cpus_usable = 8.49;
}
static void cpus_not_known(void)
{
    sides[1].loader.why.host.cpus_usable = NAN;
}
static void the_first_failed(void)
{
    sides[0].loader.why.primary = WHY_FAILED;
}
static void very_many_workers(void)
{
    sides[1].recorded.loader.entry.num_workers = 65;
}
static void workers_not_known_before(void)
{
    sides[0].recorded.loader.entry.num_workers = DATASTALL_UNKNOWN;
}
static void windows_not_known(void)
{
    sides[1].recorded.loader.entry.prefetch_factor = DATASTALL_UNKNOWN;
}
static void nothing_kept_of_the_first(void)
{
    sides[0].recorded.process.stretches_count = 0;
}
static void nothing_kept_of_the_second(void)
{
    sides[1].recorded.process.stretches_count = 0;
}
static void kept_workers_of_one_epoch(void)
{
    sides[1].recorded.loader.entry.num_workers = 2;
    sides[1].recorded.loader.entry.flags |= DATASTALL_LOADER_PERSISTENT_WORKERS;
}
static void samples_not_known(void)
{
    sides[0].recorded.loader.totals.counters[RF_COUNT_SAMPLES_BATCHES] = 0;
}
static void a_stream_that_is_not_split(void)
{
    sides[0].recorded.loader.entry.flags |= DATASTALL_LOADER_STREAM;
}

static void what_is_no_promise(void **state)
{
    (void)state;
    static const struct {
        void (*change)(void);
        bool is_one, is_told, is_measured;
        const char *says;
    } rows[] = {
        {one_setting, true, true, true, ""},
        {the_same_setting, false, false, false, ""},
        {other_batches, false, false, false, ""},
        {other_data, false, false, false, ""},
        {other_pinning, false, false, false, ""},
        {half_a_cpu_more, false, false, false, ""},
        {half_a_cpu_less, false, false, false, ""},
        {nearly_as_many_cpus, true, true, true, ""},
        {cpus_not_known, true, true, false, ""},
        {the_first_failed, false, false, false, ""},
        {very_many_workers, false, false, false, ""},
        {workers_not_known_before, false, false, false, ""},
        {windows_not_known, false, false, false, ""},
        {nothing_kept_of_the_first, true, false, false, "its batches were not recorded one by one"},
        {nothing_kept_of_the_second, true, true, false, ""},
        {kept_workers_of_one_epoch, true, false, false, "it does not show what this setting costs"},
        {samples_not_known, true, false, false, "how many samples its batches have is not known"},
        {a_stream_that_is_not_split, true, false, false,
         "it does not show what this setting costs"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = RECORDED_PLAN;
        set_side(0, &plan);
        plan.workers = 4;
        set_side(1, &plan);
        rows[i].change();
        const struct compared_promise promise = promise_of_sides();
        CHECK(promise.is_one == rows[i].is_one, "row %zu", i);
        CHECK(isnan(promise.faster.mean) != rows[i].is_told, "row %zu: %g", i, promise.faster.mean);
        CHECK(isnan(promise.measured) != rows[i].is_measured, "row %zu: %g", i, promise.measured);
        CHECK(strstr(promise.says, rows[i].says) == promise.says, "row %zu: %s", i, promise.says);
        assert_int_equal(promise.says[0] == '\0', rows[i].says[0] == '\0');
    }
    /* Of a loader that one of the runs has not. */
    for (uint32_t without = 0; without < 2; without++) {
        struct compared_promise promise;
        struct compared_loader pair[2] = {{.first = &sides[0].loader}, {.first = &sides[1].loader}};
        pair[without].first = NULL;
        memset(&promise, 0x55, sizeof promise);
        compare_promise(&comparison, pair, &promise);
        assert_false(promise.is_one);
        assert_true(isnan(promise.faster.mean) && isnan(promise.measured));
        assert_string_equal(promise.says, "");
    }
}

/* Three ranks and two: those that both have, by their number; of changes under half a point no word. */
static void ranks_are_compared_by_their_number(void **state)
{
    (void)state;
    static const uint64_t waits_s[2][3] = {{10, 20, 5}, {10, 4, 0}};
    char *text = NULL;
    size_t size;
    begin_world(3);
    for (uint32_t i = 0; i < 3; i++)
        set_wait(i, 100 * S, 140 * S, waits_s[0][i] * S);
    first = first_run();
    begin_world(2);
    for (uint32_t i = 0; i < 2; i++)
        set_wait(i, 100 * S, 140 * S, waits_s[1][i] * S);
    end_pair();
    assert_int_equal(comparison.rank_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(comparison.ranks[i].rank, i);
        for (uint32_t k = 0; k < 2; k++) {
            assert_figure(comparison.ranks[i].stall_share[k], (double)waits_s[k][i] / 40);
            assert_figure(comparison.ranks[i].batches_per_s[k], 1.0 / 40);
        }
    }
    FILE *file = open_memstream(&text, &size);
    const struct card_style style = {.width = 80};
    output_comparison(&comparison, &style, file);
    fclose(file);
    assert_non_null(strstr(text, "RANKS    3 -> 2\n"));
    assert_non_null(strstr(text, "RANKS    stall rank 1: 50.0 % -> 10.0 %\n"));
    free(text);
    free_pair();
}

static void a_page_is_no_wider_than_the_terminal(void **state)
{
    (void)state;
    char *text = NULL, *rest = NULL;
    size_t size;
    begin_pair(1000, 1500);
    memset(world.loaders[0].entry.name, 'n', sizeof world.loaders[0].entry.name - 1);
    end_pair();
    FILE *file = open_memstream(&text, &size);
    const struct card_style style = {.width = 80};
    output_comparison(&comparison, &style, file);
    fclose(file);
    assert_non_null(strstr(text, "RESULT "));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        assert_in_range(paragraphs_columns(line), 1, 80);
    free(text);
    free_pair();
}

/* Two loaders of the first run, and two of the second. */
static void begin_two_pairs(const char *const names[4], const char *const types[4])
{
    begin_pair(1000, 1000);
    summary_free(first);
    for (uint32_t i = 0; i < 2; i++) {
        kept.loaders[i] = kept.loaders[0];
        world.loaders[i] = world.loaders[0];
    }
    for (uint32_t i = 0; i < 2; i++) {
        strcpy(kept.loaders[i].entry.name, names[i]);
        strcpy(kept.loaders[i].entry.dataset_type, types[i]);
        strcpy(world.loaders[i].entry.name, names[2 + i]);
        strcpy(world.loaders[i].entry.dataset_type, types[2 + i]);
    }
    kept.processes[0].loader_count = world.processes[0].loader_count = 2;
    assert_int_equal(summary_make(&kept.data, 300 * S, &first), 0);
}

/* The surest partner is found first, whatever the order is; one that has none does not make two runs
 * incomparable. */
static void the_surest_partner_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *names[4], *types[4];
        const char *partners[2]; /* of the first run's; NULL: none */
        uint32_t count;
    } rows[] = {
        {{"a:1", "b:1", "b:1", "a:1"}, {"", "", "", ""}, {"a:1", "b:1"}, 2},
        {{"a:1", "b:1", "c:2", "a:2"}, {"P", "Q", "P", "P"}, {"a:2", NULL}, 3},
        {{"a:1", "b:1", "c:2", "a:1"}, {"P", "P", "P", ""}, {"a:1", "c:2"}, 2},
        {{"a:1", "b:1", "a:1", "d:1"}, {"P", "Q", "P", "R"}, {"a:1", NULL}, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_two_pairs(rows[i].names, rows[i].types);
        end_pair();
        assert_int_equal(comparison.loader_count, rows[i].count);
        assert_int_equal(comparison.result, COMPARE_SAME);
        for (uint32_t k = 0; k < 2; k++) {
            const struct summary_loader *other = comparison.loaders[k][1].first;
            assert_string_equal(comparison.loaders[k][0].first->data->entry.name, rows[i].names[k]);
            assert_int_equal(other != NULL, rows[i].partners[k] != NULL);
            if (other != NULL)
                assert_string_equal(other->data->entry.name, rows[i].partners[k]);
        }
        free_pair();
    }
}

/* Loaders of one name, as ranks have them, are one: their rates add up, their stall is of all their time, and
 * the one that waited longest stands for them, the first of equals. What is outside the verdict is none. */
static void loaders_of_one_name_are_one(void **state)
{
    (void)state;
    static const struct {
        uint64_t waits_s[3];
        uint32_t longest;
        uint64_t third_s; /* the window of the third; 0: it loaded nothing */
        double startup_s, stall_share, batches_per_s;
    } rows[] = {
        {{10, 4, 6}, 0, 40, 3, 20 / 120.0, 3}, {{4, 10, 6}, 1, 40, 3, 20 / 120.0, 3},
        {{6, 6, 6}, 0, 40, 3, 18 / 120.0, 3},  {{4, 6, 10}, 2, 80, 3, 20 / 160.0, 2.5},
        {{4, 6, 0}, 1, 0, 4.5, 10 / 80.0, 2}, /* start-up is of those that loaded */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(3);
        for (uint32_t k = 0; k < 3; k++) {
            if (k == 2 && rows[i].third_s == 0) {
                world.processes[2].loader_count = 0;
                continue;
            }
            const uint64_t span_s = k == 2 ? rows[i].third_s : 40;
            set_wait(k, 100 * S, (100 + span_s) * S, rows[i].waits_s[k] * S);
            world.loaders[k].totals.counters[RF_COUNT_BATCHES] = 40;
            world.loaders[k].totals.counters[RF_COUNT_STARTUP_NS] = 0;
        }
        first = first_run();
        end_pair();
        for (uint32_t k = 0; k < second->loader_count; k++)
            second->loaders[k].figures.startup.sum_ns = (k == 0 ? 9 : 0) * S;
        compare_runs(first, second, &comparison);
        assert_int_equal(comparison.loader_count, 1);
        const struct compared_loader *all = &comparison.loaders[0][1];
        CHECK(all->first == &second->loaders[rows[i].longest], "row %zu", i);
        assert_figure(all->stall_share, rows[i].stall_share);
        assert_figure(all->batches_per_s, rows[i].batches_per_s);
        assert_figure(comparison.startup_s[1], rows[i].startup_s);
        assert_figure(comparison.loaders[0][0].stall_share, rows[i].stall_share);
        assert_int_equal(comparison.ranks_of[1], 3);
        second->loaders[rows[i].longest].why.primary = WHY_WINDOW;
        assert_string_equal(compare_cause(second), "window");
        second->loaders[rows[i].longest].in_verdict = false;
        assert_string_not_equal(compare_cause(second), "window");
        for (uint32_t k = 0; k < second->loader_count; k++)
            second->loaders[k].in_verdict = false;
        compare_runs(first, second, &comparison);
        assert_null(compare_cause(second));
        assert_null(comparison.loaders[0][1].first);
        assert_figure(comparison.startup_s[1], 0);
        free_pair();
    }
    begin_world(1);
    first = first_run();
    end_pair();
    assert_true(isnan(comparison.startup_s[0]) && isnan(comparison.window_s[0]));
    free_pair();
}

/* The place of its making is surer than its file and data; a name surer than both. */
static void partners_by_place(void **state)
{
    (void)state;
    static const struct {
        const char *names[2], *sites[2], *types[2]; /* of the second run */
        const char *partner; /* of a.py:1, made at m.py:3, of P; NULL: none */
    } rows[] = {
        {{"a.py:9", "z:1"}, {"", "m.py:3"}, {"P", "Q"}, "z:1"},
        {{"a.py:9", "z:1"}, {"m.py:4", "m.py:5"}, {"P", "Q"}, "a.py:9"},
        {{"z:1", "a.py:1"}, {"m.py:3", "n.py:1"}, {"P", "Q"}, "a.py:1"},
        {{"y:1", "z:1"}, {"", ""}, {"Q", "P"}, "z:1"},
        {{"y:1", "z:1"}, {"", ""}, {"Q", ""}, NULL},
        {{"a.pyx:1", "a.py"}, {"", ""}, {"P", "P"}, "a.py"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const char *const names[4] = {"a.py:1", "b.py:1", "c", "d"};
        static const char *const types[4] = {"P", "R", "", ""};
        begin_two_pairs(names, types);
        strcpy(kept.loaders[0].entry.site, "m.py:3");
        for (uint32_t k = 0; k < 2; k++) {
            strcpy(world.loaders[k].entry.name, rows[i].names[k]);
            strcpy(world.loaders[k].entry.site, rows[i].sites[k]);
            strcpy(world.loaders[k].entry.dataset_type, rows[i].types[k]);
        }
        end_pair();
        const struct summary_loader *partner = comparison.loaders[0][1].first;
        assert_int_equal(partner != NULL, rows[i].partner != NULL);
        if (partner != NULL)
            CHECK(strcmp(partner->data->entry.name, rows[i].partner) == 0, "row %zu: %s", i,
                  partner->data->entry.name);
        free_pair();
    }
}

/* Where samples are not known, batches of another size are other work: of loaders that both runs have. */
static void batches_of_another_size(void **state)
{
    (void)state;
    static const struct {
        uint64_t sizes[4]; /* a and b, then a and c */
        enum compare_result result;
    } rows[] = {{{8, 8, 8, 8}, COMPARE_SAME},
                {{8, 9, 8, 10}, COMPARE_SAME}, /* b and c have no partner */
                {{8, 9, 9, 9}, COMPARE_IMPOSSIBLE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const char *const names[4] = {"a:1", "b:1", "a:1", "c:1"};
        static const char *const types[4] = {"", "", "", ""};
        begin_two_pairs(names, types);
        summary_free(first);
        for (uint32_t k = 0; k < 2; k++) {
            kept.loaders[k].entry.batch_size = rows[i].sizes[k];
            world.loaders[k].entry.batch_size = rows[i].sizes[2 + k];
            kept.loaders[k].totals.counters[RF_COUNT_SAMPLES_BATCHES] = 0;
            world.loaders[k].totals.counters[RF_COUNT_SAMPLES_BATCHES] = 0;
        }
        assert_int_equal(summary_make(&kept.data, 300 * S, &first), 0);
        end_pair();
        CHECK(comparison.result == rows[i].result, "row %zu: %d", i, (int)comparison.result);
        assert_false(comparison.by_samples);
        free_pair();
    }
}

static void names_of_results(void **state)
{
    (void)state;
    assert_string_equal(compare_result_name(COMPARE_SAME), "same");
    assert_string_equal(compare_result_name(COMPARE_FASTER), "faster");
    assert_string_equal(compare_result_name(COMPARE_SLOWER), "slower");
    assert_string_equal(compare_result_name(COMPARE_IMPOSSIBLE), "not_comparable");
}

static void figures_of_each_run(void **state)
{
    (void)state;
    begin_pair(1000, 1500);
    end_pair();
    second->loaders[0].figures.startup.sum_ns = 3 * S;
    first->loaders[0].figures.startup.sum_ns = S;
    compare_runs(first, second, &comparison);
    assert_figure(comparison.window_s[0], SECONDS);
    assert_figure(comparison.window_ratio, 1);
    assert_figure(comparison.startup_s[0], 1);
    assert_figure(comparison.startup_s[1], 3);
    assert_figure(comparison.loaders[0][0].stall_share, 0.25);
    assert_figure(comparison.loaders[0][1].stall_share, 0.1);
    assert_true(comparison.loaders[0][1].batches_per_s > 180);
    assert_int_equal(comparison.rank_count, 1);
    assert_int_equal(comparison.ranks[0].rank, 0);
    assert_figure(comparison.ranks[0].stall_share[0], 0.25);
    assert_figure(comparison.ranks[0].stall_share[1], 0.1);
    assert_string_equal(compare_cause(first), why_name(first->loaders[0].why.primary));
    /* One wait that took no time is a window of nothing, in which no rate is known. */
    datastall_statistics *figures = &second->loaders[0].figures;
    second->end_ns = second->begin_ns;
    figures->window_end_ns = figures->window_begin_ns;
    compare_runs(first, second, &comparison);
    assert_figure(comparison.window_s[1], 0);
    assert_true(isnan(comparison.loaders[0][1].batches_per_s));
    second->end_ns = second->begin_ns - 1;
    compare_runs(first, second, &comparison);
    assert_true(isnan(comparison.window_s[1]));
    free_pair();
}

/* Two processes side by side deliver together. */
static void rates_of_two_processes_add_up(void **state)
{
    (void)state;
    static struct rates one, two;
    set_run(&histories[0], 1000, 10);
    struct summary *summary = made(300 * S);
    rates_of(summary, &one);
    summary_free(summary);
    world.data.process_count = 2;
    world.processes[1] = world.processes[0];
    world.processes[1].view.fixed.rank = 1;
    world.loaders[1] = world.loaders[0];
    world.processes[1].loaders = &world.loaders[1];
    summary = made(300 * S);
    rates_of(summary, &two);
    assert_int_equal(one.count, SECONDS - 1);
    assert_int_equal(two.count, one.count);
    assert_true(two.samples_known);
    for (uint32_t i = 0; i < one.count; i++) {
        assert_figure(two.samples_per_s[i], 2 * one.samples_per_s[i]);
        assert_figure(two.batches_per_s[i], 2 * one.batches_per_s[i]);
    }
    assert_figure(one.batches_per_s[3], 125);
    summary_free(summary);
    /* What is outside the verdict, came to nothing or keeps no history is in none. */
    for (uint32_t how = 0; how < 4; how++) {
        summary = made(300 * S);
        if (how == 0)
            summary->loaders[1].in_verdict = false;
        if (how == 1)
            summary->loaders[1].figures.batches = 0;
        if (how == 2)
            summary->processes[1].begin_ns = DATASTALL_UNKNOWN;
        if (how == 3)
            world.loaders[1].history = NULL;
        rates_of(summary, &two);
        world.loaders[1].history = world.loaders[0].history;
        assert_int_equal(two.count, one.count);
        for (uint32_t i = 0; i < one.count; i++)
            assert_figure(two.batches_per_s[i], one.batches_per_s[i]);
        summary_free(summary);
    }
    world.loaders[1].totals.counters[RF_COUNT_SAMPLES_BATCHES]--; /* of one batch it is not known */
    summary = made(300 * S);
    rates_of(summary, &two);
    assert_false(two.samples_known);
    summary_free(summary);
}

/* The finest spans that still hold all of a run, and of those the whole ones. */
static void spans_of_runs_by_length(void **state)
{
    (void)state;
    static struct run_history history;
    static struct rates rates;
    const uint32_t top = RF_ROLLUP_LEVELS - 1;
    const uint64_t top_s = run_history_width_s(top);
    const uint64_t wide_s = run_history_width_s(1);
    const struct {
        uint64_t length_ms;
        uint32_t level, count;
    } rows[] = {
        {1999, 0, 0},
        {2000, 0, 1},
        {2999, 0, 1},
        {3000, 0, 2},
        {62000, 0, 61},
        {63000, 1, (uint32_t)(63 / wide_s) - 1},
        {62 * wide_s * 1000, 1, 61},
        {62 * top_s * 1000, top, 61},
        {64 * top_s * 1000, top, 63},
        {65 * top_s * 1000, top, 64},
        {100 * top_s * 1000, top, 64},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t width_s = run_history_width_s(rows[i].level);
        begin_world(1);
        set_wait(0, 100 * S + S / 2, 100 * S + S / 2 + rows[i].length_ms * MS, S);
        memset(&history, 0, sizeof history);
        /* The first whole one is behind the one in which it began; a later one is empty. */
        const uint64_t number = 100 / width_s + 2;
        history.spans[rows[i].level][number % RF_ROLLUP_BUCKETS] =
            (struct run_span){.number = number, .batches = 10 * width_s, .samples = 80 * width_s};
        world.loaders[0].history = &history;
        struct summary *summary = made(300 * S);
        rates_of(summary, &rates);
        CHECK(rates.count == rows[i].count && rates.width_s == width_s, "row %zu: %u of %u s", i,
              rates.count, (unsigned)rates.width_s);
        for (uint32_t k = 0; k < rates.count; k++) {
            assert_figure(rates.batches_per_s[k], k == 0 ? 10 : 0);
            assert_figure(rates.samples_per_s[k], k == 0 ? 80 : 0);
        }
        summary_free(summary);
    }
}

static void throughput_of_all_loaders(void **state)
{
    (void)state;
    static const struct {
        uint64_t batches[2], samples[2], told[2]; /* told: of how many batches */
        double batches_per_s, samples_per_s;      /* of 40 s */
        const char *text;
    } rows[] = {
        {{400, 0}, {3200, 0}, {400, 0}, 10, 80, "80 samples/s"},
        {{400, 80}, {3200, 160}, {400, 80}, 12, 84, "84 samples/s"},
        {{400, 80}, {3200, 160}, {400, 79}, 12, NAN, "12 batches/s"},
        {{0, 0}, {0, 0}, {0, 0}, NAN, NAN, ""},
        {{40, 0}, {360, 0}, {40, 0}, 1, 9, "9.00 samples/s"},
        {{400, 0}, {40000, 0}, {400, 0}, 10, 1000, "1.0 k samples/s"},
        {{400, 0}, {UINT64_C(100000000), 0}, {400, 0}, 10, 2.5e6, "2.5 M samples/s"},
        {{400, 0}, {39960, 0}, {400, 0}, 10, 999, "999 samples/s"},
        {{400, 0}, {400, 0}, {400, 0}, 10, 10, "10 samples/s"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(2);
        for (uint32_t k = 0; k < 2; k++) {
            set_wait(k, 100 * S, 140 * S, 10 * S);
            uint64_t *c = world.loaders[k].totals.counters;
            c[RF_COUNT_BATCHES] = rows[i].batches[k];
            c[RF_COUNT_SAMPLES] = rows[i].samples[k];
            c[RF_COUNT_SAMPLES_BATCHES] = rows[i].told[k];
        }
        struct summary *summary = made(300 * S);
        const struct throughput throughput = throughput_of(summary);
        char text[64];
        assert_figure(throughput.batches_per_s, rows[i].batches_per_s);
        assert_figure(throughput.samples_per_s, rows[i].samples_per_s);
        throughput_text(&throughput, text, sizeof text);
        assert_string_equal(text, rows[i].text);
        summary_free(summary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faster_slower_same),
        cmocka_unit_test(only_whole_seconds_after_the_start_count),
        cmocka_unit_test(not_comparable),
        cmocka_unit_test(loaders_find_each_other),
        cmocka_unit_test(conditions),
        cmocka_unit_test(each_figure_has_its_limits),
        cmocka_unit_test(jobs_side_by_side),
        cmocka_unit_test(what_was_promised_and_what_came),
        cmocka_unit_test(what_is_no_promise),
        cmocka_unit_test(ranks_are_compared_by_their_number),
        cmocka_unit_test(a_page_is_no_wider_than_the_terminal),
        cmocka_unit_test(the_surest_partner_is_taken),
        cmocka_unit_test(figures_of_each_run),
        cmocka_unit_test(names_of_results),
        cmocka_unit_test(loaders_of_one_name_are_one),
        cmocka_unit_test(partners_by_place),
        cmocka_unit_test(batches_of_another_size),
        cmocka_unit_test(rates_of_two_processes_add_up),
        cmocka_unit_test(spans_of_runs_by_length),
        cmocka_unit_test(throughput_of_all_loaders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
