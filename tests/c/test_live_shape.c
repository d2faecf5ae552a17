/* SPDX-License-Identifier: Apache-2.0 */
/* The document of serve's page, from runs in memory: running ones first, and bounded. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/live_shape.h"
#include "world.h"

#define MANY 1000

static const struct summary *runs[MANY];

static char *written(uint32_t count, size_t *length)
{
    char *text = NULL;
    assert_int_equal(live_json_write(runs, count, 300 * S, &text, length), 0);
    assert_int_equal(strlen(text), *length);
    return text;
}

static void running_ones_come_first(void **state)
{
    size_t length;
    (void)state;
    begin_world(1);
    set_wait(0, 100 * S, 200 * S, 50 * S);
    snprintf(world.data.id, sizeof world.data.id, "ended");
    struct summary *ended = made(300 * S), *running = made(300 * S);
    struct run_data other = world.data;
    snprintf(other.id, sizeof other.id, "running");
    running->data = &other;
    running->state = SUMMARY_RUNNING;
    runs[0] = ended;
    runs[1] = running;
    char *text = written(2, &length);
    assert_non_null(strstr(text, "\"count\":2"));
    assert_true(strstr(text, "\"id\":\"running\"") < strstr(text, "\"id\":\"ended\""));
    free(text);
    summary_free(ended);
    summary_free(running);
}

/* Names of the worst kind: each of their bytes takes six. */
static void however_many_there_are_it_is_bounded(void **state)
{
    size_t length;
    (void)state;
    begin_world(WORLD_PROCESSES);
    for (uint32_t i = 0; i < WORLD_PROCESSES; i++) {
        set_wait(i, 100 * S, 200 * S, 50 * S);
        memset(world.loaders[i].entry.name, '<', sizeof world.loaders[i].entry.name - 1);
        memset(world.processes[i].view.fixed.command, '<', 2000);
        memset(world.processes[i].view.fixed.hostname, '&', 60);
    }
    memset(world.data.id, '>', 250);
    struct summary *summary = made(300 * S);
    summary->state = SUMMARY_RUNNING;
    summary->command = world.processes[0].view.fixed.command;
    for (uint32_t i = 0; i < MANY; i++)
        runs[i] = summary;
    char *text = written(MANY, &length);
    assert_true(length <= LIVE_MOST_BYTES);
    assert_null(strchr(text, '<'));
    assert_non_null(strstr(text, "\"count\":1000"));
    free(text);
    summary_free(summary);
}

static void without_runs_there_is_an_empty_list(void **state)
{
    size_t length;
    (void)state;
    char *text = written(0, &length);
    assert_non_null(strstr(text, "\"count\":0,\"runs\":[]"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_ones_come_first),
        cmocka_unit_test(however_many_there_are_it_is_bounded),
        cmocka_unit_test(without_runs_there_is_an_empty_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
