/* SPDX-License-Identifier: Apache-2.0 */
/* Two runs side by side, from runs in memory. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/compare.h"
#include "diagnose/rates.h"
#include "diagnose/throughput.h"
#include "output/comparison.h"
#include "output/paragraphs.h"
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
    world.loaders[1].totals.counters[RF_COUNT_SAMPLES_BATCHES]--; /* of one batch it is not known */
    summary = made(300 * S);
    rates_of(summary, &two);
    assert_false(two.samples_known);
    summary_free(summary);
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
        cmocka_unit_test(ranks_are_compared_by_their_number),
        cmocka_unit_test(a_page_is_no_wider_than_the_terminal),
        cmocka_unit_test(the_surest_partner_is_taken),
        cmocka_unit_test(figures_of_each_run),
        cmocka_unit_test(rates_of_two_processes_add_up),
        cmocka_unit_test(throughput_of_all_loaders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
