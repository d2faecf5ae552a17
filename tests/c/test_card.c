/* SPDX-License-Identifier: Apache-2.0 */
/* The card: never too long or too wide, the verdict last, ranks of one cause together. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/predict.h"
#include "output/card.h"
#include "output/paragraphs.h"
#include "world.h"

static char *card_of(const struct card_style *style)
{
    char *text = NULL;
    size_t size;
    struct summary *summary = made(30 * S);
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    output_card(summary, style, file);
    fclose(file);
    summary_free(summary);
    return text;
}

/* Lines of a card, each checked against the width; the last one is the verdict. */
static unsigned check_lines(const struct card_style *style)
{
    char *text = card_of(style), *rest = NULL;
    unsigned lines = 0;
    const char *last = "";
    const unsigned width = style->width < CARD_LEAST_WIDTH ? CARD_LEAST_WIDTH : style->width;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (paragraphs_columns(line) > width)
            fail_msg("%u columns: %s", paragraphs_columns(line), line);
        if (strncmp(line, "         ", 9) != 0)
            last = line;
        lines++;
    }
    if (strncmp(last, "VERDICT", 7) != 0)
        fail_msg("it ends with: %s", last);
    free(text);
    return lines;
}

static const struct card_style narrow = {.width = 80, .next = "datastall show -v run"};

/* Three ranks, each with a loader of its own long name and a class, that waited, and had trouble. */
static void set_everything(const char *letter)
{
    begin_world(3);
    set_launcher(RF_STATE_OPEN, RF_DEAD);
    for (uint32_t i = 0; i < 3; i++) {
        struct rf_loader_entry *entry = &world.loaders[i].entry;
        uint64_t *c = world.loaders[i].totals.counters;
        set_wait(i, 10 * S, 20 * S, (i + 3) * S);
        memset(entry->name, 0, sizeof entry->name);
        memset(entry->dataset_type, 0, sizeof entry->dataset_type);
        for (size_t n = 0; n + strlen(letter) < sizeof entry->name - 2; n += strlen(letter)) {
            strcat(entry->name, letter);
            strcat(entry->dataset_type, letter);
        }
        entry->name[0] = (char)('a' + i);
        entry->num_workers = 0;
        c[RF_COUNT_SAMPLES] = 123456789;
        c[RF_COUNT_BATCHES] = c[RF_COUNT_SAMPLES_BATCHES] = 1234567;
        c[RF_COUNT_STEADY] = c[RF_COUNT_QUEUE + DATASTALL_QUEUE_STARVED] = 1234567;
        c[RF_COUNT_CAUSES] = 3;
        c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] = (i + 3) * S;
        world.processes[i].view.words[RF_PROCESS_LOST_CONTENTION] = 1;
        world.processes[i].view.words[RF_PROCESS_IMPOSSIBLE_TIMES] = 1;
    }
    set_gpu(0, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.4);
    set_gpu(1, RF_ACTIVITY_NVML, 10 * S, 20 * S, 0.4);
    world.data.problems = 7;
    memset(world.data.first_problem, 'x', sizeof world.data.first_problem - 1);
}

static void never_wider_nor_longer(void **state)
{
    (void)state;
    static const char *const letters[] = {"n", "n ", "\u00e9", "\u6570", "\033[31m", "\xff"};
    static const unsigned widths[] = {0, 40, 80, 81, 120, 200, 500};
    for (size_t k = 0; k < sizeof letters / sizeof *letters; k++) {
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            struct card_style style = narrow;
            set_everything(letters[k]);
            style.width = widths[w];
            assert_in_range(check_lines(&style), 8, CARD_LINES);
            style.verbose = true;
            assert_in_range(check_lines(&style), 20, 200);
        }
    }
}

/* A plain one obeys no terminal; a coloured one has a bar. */
static void colours_only_where_they_are_wanted(void **state)
{
    (void)state;
    set_everything("n");
    struct card_style style = narrow;
    char *plain = card_of(&style);
    assert_null(strchr(plain, '\033'));
    assert_null(strstr(plain, "\nTIME"));
    style.colour = style.unicode = true;
    char *coloured = card_of(&style);
    assert_non_null(strstr(coloured, "\033[1;33m"));
    assert_non_null(strstr(coloured, "\u2588\u2588"));
    assert_non_null(strstr(coloured, "\u2591 waiting 50 %"));
    free(plain);
    free(coloured);
}

static void assert_on_card(const char *words, bool is)
{
    char *text = card_of(&narrow);
    if ((strstr(text, words) != NULL) != is)
        fail_msg("'%s' is %s:\n%s", words, is ? "not in" : "in", text);
    free(text);
}

/* What a loader that waits less is told gives way to what the one that waits most is. */
static void the_worst_loader_keeps_its_figures(void **state)
{
    (void)state;
    begin_world(2);
    for (uint32_t i = 0; i < 2; i++) {
        set_wait(i, 10 * S, 20 * S, (5 - i) * S);
        world.loaders[i].totals.counters[RF_COUNT_CAUSES] = 1;
        world.loaders[i].totals.counters[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = (5 - i) * S;
    }
    snprintf(world.loaders[1].entry.name, sizeof world.loaders[1].entry.name, "other");
    struct summary *summary = made(30 * S);
    for (uint32_t i = 0; i < 2; i++) {
        char *advice = summary->loaders[i].why.suggestion;
        for (uint32_t k = 0; k < 48; k++)
            memcpy(advice + 10 * k, i == 0 ? "the-worst " : "the-other ", 11);
    }
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    output_card(summary, &narrow, file);
    fclose(file);
    assert_non_null(strstr(text, "the-other")); /* what there is room for */
    assert_non_null(strstr(text, "\nLOADER"));
    uint32_t worst = 0;
    for (const char *at = text; (at = strstr(at, "the-worst")) != NULL; at++)
        worst++;
    assert_int_equal(worst, 48);
    free(text);
    summary_free(summary);
}

/* A prediction has a line of its own where the advice does not say it, and where it is surely a gain. */
static void a_prediction_is_said_once(void **state)
{
    (void)state;
    static const struct {
        const char *advice;
        double lower_gain;
        uint32_t workers;
        bool is_there;
    } rows[] = {{"make it cheaper", 1.6, 3, true},
                {"num_workers=3 instead of 1: 1.80x faster", 1.6, 3, false},
                {"make it cheaper", 1.01, 3, false},
                {"make it cheaper", 1.6, 1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, 5 * S);
        world.loaders[0].totals.counters[RF_COUNT_CAUSES] = 1;
        world.loaders[0].totals.counters[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = 5 * S;
        struct summary *summary = made(30 * S);
        struct predict *predict = calloc(1, sizeof *predict);
        assert_non_null(predict);
        predict->measured.num_workers = 1;
        predict->measured.window_s.mean = 10;
        predict->settings[predict->count++] =
            (struct predict_setting){.num_workers = rows[i].workers,
                                     .window_s = {10 / 1.8, 10 / 1.9, 10 / rows[i].lower_gain}};
        summary->loaders[0].predict = predict;
        snprintf(summary->loaders[0].why.suggestion, sizeof summary->loaders[0].why.suggestion,
                 "%s", rows[i].advice);
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);
        output_card(summary, &narrow, file);
        fclose(file);
        const char *wanted = "PREDICT  num_workers=3: 1.80x faster (1.60 to 1.90)\n";
        if ((strstr(text, wanted) != NULL) != rows[i].is_there ||
            (strstr(text, "PREDICT") != NULL) != rows[i].is_there)
            fail_msg("row %zu:\n%s", i, text);
        free(text);
        summary_free(summary);
    }
}

static void loaders_of_one_cause_are_one(void **state)
{
    (void)state;
    begin_world(3);
    for (uint32_t i = 0; i < 3; i++) {
        set_wait(i, 10 * S, 20 * S, (i + 3) * S);
        world.loaders[i].totals.counters[RF_COUNT_BATCHES] = 100;
    }
    assert_on_card("LOADER   train, 3 ranks: 300 batches, 30/s\n", true);
    assert_on_card("rank 2 of 3 waited for data 50.0 % of the time", true);
    assert_on_card("; 30 batches/s\n", true);
    strcpy(world.loaders[1].entry.name, "other");
    assert_on_card("LOADER   train, 2 ranks: 200 batches, 20/s\n", true);
    assert_on_card("LOADER   other, rank 1 of 3: 100 batches, 10/s\n", true);
    world.processes[1].view.fixed.world_size = 8; /* of which three recorded */
    assert_on_card("LOADER   other, rank 1 of 8: 100 batches, 10/s\n", true);
}

/* Of one name, and slow for different reasons: each has its own. */
static void loaders_of_two_causes_are_two(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    begin_world(2);
    for (uint32_t i = 0; i < 2; i++) {
        set_wait(i, 10 * S, 20 * S, (i + 3) * S);
        world.loaders[i].totals.counters[RF_COUNT_BATCHES] = 100;
    }
    struct summary *summary = made(30 * S);
    summary->loaders[0].why.primary = WHY_STORAGE;
    summary->loaders[1].why.primary = CAUSE_COLLATE;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    output_card(summary, &narrow, file);
    fclose(file);
    assert_non_null(strstr(text, "LOADER   train, rank 0 of 2: "));
    assert_non_null(strstr(text, "LOADER   train, rank 1 of 2: "));
    assert_non_null(strstr(text, "WHY      storage: the items wait for the disk\n"));
    assert_non_null(strstr(text, "WHY      collate: "));
    free(text);
    summary_free(summary);
}

/* A cause that is added has its words here as well. */
static void every_cause_is_said_in_words(void **state)
{
    (void)state;
    for (uint32_t cause = 0; cause < WHY_CAUSES; cause++) {
        if (cause == CAUSE_UNKNOWN || cause == WHY_NONE)
            continue;
        char *text = NULL, start[64];
        size_t size;
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, 3 * S);
        world.loaders[0].totals.counters[RF_COUNT_BATCHES] = 100;
        struct summary *summary = made(30 * S);
        summary->loaders[0].why.primary = cause;
        FILE *file = open_memstream(&text, &size);
        assert_non_null(file);
        output_card(summary, &narrow, file);
        fclose(file);
        snprintf(start, sizeof start, "WHY      %s: ", why_name(cause));
        const char *line = strstr(text, start);
        if (line == NULL || strncmp(line + strlen(start), "not known", 9) == 0)
            fail_msg("%s is not explained: %s", why_name(cause), text);
        free(text);
        summary_free(summary);
    }
}

static void what_is_kept_least_goes_first(void **state)
{
    (void)state;
    struct paragraphs all = {.width = 80};
    paragraphs_add(&all, 2, TONE_PLAIN, "A", "first");
    paragraphs_add(&all, 1, TONE_PLAIN, "B", "%s",
                   "one two three four five six seven eight nine ten eleven twelve thirteen "
                   "fourteen fifteen sixteen");
    paragraphs_add(&all, 3, TONE_PLAIN, "C", "last");
    assert_int_equal(all.count, 4);
    paragraphs_fit(&all, 3);
    assert_int_equal(all.count, 3);
    assert_true(all.lines[1].cut);
    assert_string_equal(all.lines[2].text, "last");
    paragraphs_fit(&all, 1);
    assert_string_equal(all.lines[0].label, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_loader_keeps_its_figures),
        cmocka_unit_test(a_prediction_is_said_once),
        cmocka_unit_test(never_wider_nor_longer),
        cmocka_unit_test(colours_only_where_they_are_wanted),
        cmocka_unit_test(loaders_of_one_cause_are_one),
        cmocka_unit_test(loaders_of_two_causes_are_two),
        cmocka_unit_test(every_cause_is_said_in_words),
        cmocka_unit_test(what_is_kept_least_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
