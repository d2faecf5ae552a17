/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall show` word by word, where it depends on a number or a name. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/text.h"
#include "world.h"

/* The text of world; to be freed. */
static char *told(void)
{
    char *text = NULL;
    size_t size;
    struct summary *summary = made(30 * S);
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    output_text(summary, file);
    fclose(file);
    summary_free(summary);
    return text;
}

static void assert_told(const char *words)
{
    char *text = told();
    if (strstr(text, words) == NULL)
        fail_msg("'%s' is not in:\n%s", words, text);
    free(text);
}

static void assert_not_told(const char *words)
{
    char *text = told();
    if (strstr(text, words) != NULL)
        fail_msg("'%s' is in:\n%s", words, text);
    free(text);
}

static uint64_t *one_batch(const char *name, const char *dataset_type)
{
    begin_world(1);
    set_wait(0, 10 * S, 20 * S, 5 * S);
    strcpy(world.loaders[0].entry.name, name);
    strcpy(world.loaders[0].entry.dataset_type, dataset_type);
    return world.loaders[0].totals.counters;
}

static void one_is_no_plural(void **state)
{
    (void)state;
    uint64_t *c = one_batch("train.py:12", "");
    c[RF_COUNT_STARTUP] = c[RF_COUNT_ITERATORS] = c[RF_COUNT_FAILED] = 1;
    c[RF_COUNT_SAMPLES] = c[RF_COUNT_SAMPLES_BATCHES] = 1;
    assert_told("LOADER   train.py:12: 1 batch, 1 sample (");
    assert_told("over 1 iterator (iter");
    assert_told("1 call raised an error");
    c[RF_COUNT_BATCHES] = c[RF_COUNT_ITERATORS] = c[RF_COUNT_FAILED] = c[RF_COUNT_SAMPLES] = 2;
    assert_told("LOADER   train.py:12: 2 batches, 2 samples (");
    assert_told("over 2 iterators (iter");
    assert_told("2 calls raised an error");
    uint64_t *lost = &world.processes[0].view.words[RF_PROCESS_LOST_CONTENTION];
    uint64_t *unknown = &world.loaders[0].entry.unknown_worker_batches;
    *lost = *unknown = 1;
    assert_told("1 wait was lost: ");
    assert_told("1 batch came from workers of which nothing is known");
    *lost = *unknown = 2;
    assert_told("2 waits were lost: ");
    assert_told("2 batches came from workers of which nothing is known");
}

static void the_class_of_a_data_set(void **state)
{
    (void)state;
    one_batch("train.py:12", "ImageFolder");
    assert_told("LOADER   train.py:12 (ImageFolder): 1 batch\n");
    one_batch("train.py:12 (ImageFolder)", "ImageFolder");
    assert_told("LOADER   train.py:12 (ImageFolder): 1 batch\n");
    one_batch("train.py:12", "");
    assert_told("LOADER   train.py:12: 1 batch\n");
}

/* As much of it as 100 columns hold: what was counted comes first. */
static void a_class_leaves_room_for_figures(void **state)
{
    (void)state;
    uint64_t *c = one_batch("names_that_are_long.py:3 from names_that_are_long.py:7",
                            "ADatasetOfThisProgramWithAVeryLongNameIndeed");
    assert_told("long.py:7 (ADatasetOfTh~ngNameIndeed): 1 batch\n");
    c[RF_COUNT_SAMPLES] = 1234567;
    c[RF_COUNT_SAMPLES_BATCHES] = 1;
    assert_not_told("(A");
    strcpy(world.loaders[0].entry.dataset_type, "Mine"); /* which tells all there is */
    c[RF_COUNT_SAMPLES] = 7;
    assert_told("long.py:7 (Mine): 1 batch, 7 samples (");
}

static void a_run_without_batches_is_shown_the_way(void **state)
{
    (void)state;
    begin_world(1);
    assert_told(SUMMARY_WATCH_HINT);
    set_wait(0, 10 * S, 20 * S, 5 * S);
    assert_not_told(SUMMARY_WATCH_HINT);
    begin_world(1);
    set_launcher(RF_STATE_OPEN, RF_ALIVE);
    assert_not_told(SUMMARY_WATCH_HINT); /* not yet */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_no_plural),
        cmocka_unit_test(the_class_of_a_data_set),
        cmocka_unit_test(a_class_leaves_room_for_figures),
        cmocka_unit_test(a_run_without_batches_is_shown_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
