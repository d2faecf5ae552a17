/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a run and its processes go on, and since when: from states of files and processes. */
#include "cmocka_all.h"

#include <string.h>

#include "world.h"

#define OPEN RF_STATE_OPEN
#define CLOSED RF_STATE_CLOSED
#define NOW (500 * S)

/* ---- one process ---- */

static void states_of_a_process(void **state)
{
    (void)state;
    static const struct {
        enum rf_process_state file;
        enum rf_liveness liveness;
        uint64_t recorded_ns; /* when it last recorded something */
        enum summary_state state;
    } rows[] = {
        {CLOSED, RF_DEAD, 0, SUMMARY_ENDED},
        {CLOSED, RF_ALIVE, 0, SUMMARY_ENDED},
        {CLOSED, RF_UNSEEN, NOW, SUMMARY_ENDED},
        {OPEN, RF_ALIVE, 0, SUMMARY_RUNNING},
        {OPEN, RF_DEAD, NOW, SUMMARY_DIED},
        {OPEN, RF_UNSEEN, NOW, SUMMARY_RUNNING},
        {OPEN, RF_UNSEEN, NOW - 60 * S, SUMMARY_RUNNING},
        {OPEN, RF_UNSEEN, NOW - 60 * S - 1, SUMMARY_UNSEEN},
        {OPEN, RF_UNSEEN, 0, SUMMARY_UNSEEN},
        {OPEN, RF_UNSEEN, NOW + 1, SUMMARY_UNSEEN}, /* of another clock */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        world.processes[0].view.words[RF_PROCESS_STATE] = rows[i].file;
        world.processes[0].liveness = rows[i].liveness;
        world.processes[0].recorded_ns = rows[i].recorded_ns;
        struct summary *summary = made(NOW);
        assert_int_equal(summary->processes[0].state, rows[i].state);
        assert_int_equal(summary->state, rows[i].state); /* used as a library */
        assert_int_equal(summary->launcher, SUMMARY_LAUNCHER_NONE);
        summary_free(summary);
    }
}

/* A process that died stopped when its launcher did, if that tells, else with its last wait. */
static void a_wait_that_never_ended(void **state)
{
    (void)state;
    static const struct {
        enum rf_process_state file;
        enum rf_liveness liveness;
        int launcher; /* enum rf_process_state; -1: none */
        uint64_t unfinished_s;
    } rows[] = {
        {OPEN, RF_ALIVE, -1, 485},    /* until now */
        {CLOSED, RF_DEAD, -1, 85},    /* until it ended */
        {OPEN, RF_DEAD, -1, 5},       /* until the end of its last wait */
        {OPEN, RF_DEAD, OPEN, 5},     /* its launcher was killed too */
        {OPEN, RF_DEAD, CLOSED, 285}, /* until the launcher's end */
        {CLOSED, RF_DEAD, CLOSED, 85},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, S);
        uint64_t *words = world.processes[0].view.words;
        words[RF_PROCESS_STATE] = rows[i].file;
        words[RF_PROCESS_ENDED_MONO] = 100 * S;
        world.processes[0].liveness = rows[i].liveness;
        if (rows[i].launcher >= 0)
            set_launcher((enum rf_process_state)rows[i].launcher, RF_DEAD);
        world.data.launcher.view.words[RF_PROCESS_ENDED_MONO] = 300 * S;
        struct summary *summary = made(NOW);
        assert_int_equal(summary->loaders[0].unfinished_wait_ns, 0);
        summary_free(summary);
        world.loaders[0].waiting_since_ns = 15 * S;
        summary = made(NOW);
        assert_int_equal(summary->loaders[0].unfinished_wait_ns, rows[i].unfinished_s * S);
        summary_free(summary);
        world.loaders[0].waiting_since_ns = 600 * S; /* damage: it has not begun yet */
        summary = made(NOW);
        assert_int_equal(summary->loaders[0].unfinished_wait_ns, 0);
        summary_free(summary);
    }
    /* Nothing recorded: when it stopped is not known. */
    begin_world(1);
    world.processes[0].view.words[RF_PROCESS_STATE] = OPEN;
    world.loaders[0].waiting_since_ns = 15 * S;
    struct summary *summary = made(NOW);
    assert_int_equal(summary->loaders[0].unfinished_wait_ns, 0);
    summary_free(summary);
}

static void a_stage_of_a_process_that_is_gone(void **state)
{
    (void)state;
    static const struct {
        enum rf_process_state file;
        enum rf_liveness liveness;
        uint64_t stage, since_s, duration_s;
    } rows[] = {
        {OPEN, RF_ALIVE, 1, 14, 5 + 486},
        {OPEN, RF_ALIVE, 2, 14, 5},
        {CLOSED, RF_DEAD, 1, 14, 5},
        {OPEN, RF_DEAD, 1, 14, 5 + 6}, /* until the end of its last wait */
        {OPEN, RF_DEAD, 1, 20, 5},
        {OPEN, RF_DEAD, 1, 21, 5},
        {OPEN, RF_UNSEEN, 1, 14, 5 + 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, S);
        struct run_process *process = &world.processes[0];
        strcpy(process->stage_names[1], "train");
        process->liveness = rows[i].liveness;
        process->view.words[RF_PROCESS_STATE] = rows[i].file;
        process->view.words[RF_PROCESS_STAGE] = rows[i].stage;
        process->view.words[RF_PROCESS_STAGE_SINCE] = rows[i].since_s * S;
        process->view.words[RF_PROCESS_STAGE_NS + 1] = 5 * S;
        process->view.words[RF_PROCESS_STAGE_ENTRIES + 1] = 3;
        struct summary *summary = made(NOW);
        assert_int_equal(summary->stage_count, 1);
        assert_int_equal(summary->stages[0].duration_ns, rows[i].duration_s * S);
        assert_int_equal(summary->stages[0].entries, 3);
        summary_free(summary);
    }
}

/* ---- the run, by its launcher ---- */

struct run_row {
    int file; /* of the launcher, enum rf_process_state; -1: it has none */
    enum rf_liveness liveness;
    bool launched;                   /* the processes say that there was one */
    enum rf_liveness command;        /* as it is found */
    enum summary_state processes[2]; /* SUMMARY_STATES: no such process */
    enum summary_launcher launcher;
    enum summary_state state;
};
#define NOBODY {SUMMARY_STATES, SUMMARY_STATES}
#define R SUMMARY_RUNNING
#define E SUMMARY_ENDED
#define D SUMMARY_DIED
#define U SUMMARY_UNSEEN
static const struct run_row run_rows[] = {
    {OPEN, RF_ALIVE, true, RF_DEAD, {D, D}, SUMMARY_LAUNCHER_RUNNING, R},
    {CLOSED, RF_DEAD, true, RF_DEAD, {D, E}, SUMMARY_LAUNCHER_ENDED, E},
    {CLOSED, RF_DEAD, true, RF_ALIVE, {R, R}, SUMMARY_LAUNCHER_ENDED, E},
    /* killed: as its command and the processes are */
    {OPEN, RF_DEAD, true, RF_DEAD, {R, D}, SUMMARY_LAUNCHER_DIED, R},
    {OPEN, RF_DEAD, true, RF_DEAD, {E, R}, SUMMARY_LAUNCHER_DIED, R},
    {OPEN, RF_DEAD, true, RF_ALIVE, {D, D}, SUMMARY_LAUNCHER_DIED, R},
    {OPEN, RF_DEAD, true, RF_ALIVE, NOBODY, SUMMARY_LAUNCHER_DIED, R},
    {OPEN, RF_DEAD, true, RF_DEAD, {U, D}, SUMMARY_LAUNCHER_DIED, U},
    {OPEN, RF_DEAD, true, RF_DEAD, {E, U}, SUMMARY_LAUNCHER_DIED, U},
    {OPEN, RF_DEAD, true, RF_UNSEEN, {E, E}, SUMMARY_LAUNCHER_DIED, U},
    {OPEN, RF_DEAD, true, RF_UNSEEN, {R, E}, SUMMARY_LAUNCHER_DIED, R},
    {OPEN, RF_DEAD, true, RF_DEAD, {D, E}, SUMMARY_LAUNCHER_DIED, D},
    {OPEN, RF_DEAD, true, RF_DEAD, {E, E}, SUMMARY_LAUNCHER_DIED, E},
    {OPEN, RF_DEAD, true, RF_DEAD, NOBODY, SUMMARY_LAUNCHER_DIED, D},
    {OPEN, RF_UNSEEN, true, RF_UNSEEN, {E, E}, SUMMARY_LAUNCHER_UNSEEN, U},
    /* its file is gone */
    {-1, RF_DEAD, true, RF_DEAD, {D, E}, SUMMARY_LAUNCHER_MISSING, D},
    {-1, RF_DEAD, true, RF_DEAD, {E, E}, SUMMARY_LAUNCHER_MISSING, E},
    {-1, RF_DEAD, true, RF_DEAD, {E, R}, SUMMARY_LAUNCHER_MISSING, R},
    /* used as a library: the first process is the run */
    {-1, RF_DEAD, false, RF_DEAD, {D, R}, SUMMARY_LAUNCHER_NONE, D},
    {-1, RF_DEAD, false, RF_ALIVE, {E, R}, SUMMARY_LAUNCHER_NONE, E},
};

static void set_state(uint32_t i, enum summary_state state)
{
    struct run_process *process = &world.processes[i];
    process->view.words[RF_PROCESS_STATE] = state == SUMMARY_ENDED ? CLOSED : OPEN;
    process->liveness = state == SUMMARY_RUNNING  ? RF_ALIVE
                        : state == SUMMARY_UNSEEN ? RF_UNSEEN
                                                  : RF_DEAD;
}

static void states_of_a_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof run_rows / sizeof *run_rows; i++) {
        const struct run_row *row = &run_rows[i];
        begin_world(row->processes[0] == SUMMARY_STATES ? 0 : 2);
        for (uint32_t p = 0; p < world.data.process_count; p++) {
            set_state(p, row->processes[p]);
            world.processes[p].view.fixed.launched = p == 1 && row->launched;
        }
        world.data.command = row->command;
        if (row->file >= 0)
            set_launcher((enum rf_process_state)row->file, row->liveness);
        struct summary *summary = made(NOW);
        if (summary->launcher != row->launcher || summary->state != row->state)
            fail_msg("row %zu: launcher %u, run %u", i, summary->launcher, summary->state);
        summary_free(summary);
    }
}

static void a_run_of_nothing(void **state)
{
    (void)state;
    begin_world(0);
    struct summary *summary = made(NOW);
    assert_string_equal(summary->command, "");
    assert_string_equal(summary->name, "");
    assert_int_equal(summary->launcher, SUMMARY_LAUNCHER_NONE);
    assert_int_equal(summary->exit_status, DATASTALL_UNKNOWN);
    assert_int_equal(summary->setup_ns, DATASTALL_UNKNOWN);
    assert_int_equal(summary->begin_ns, DATASTALL_UNKNOWN);
    assert_int_equal(summary->end_ns, DATASTALL_UNKNOWN);
    assert_int_equal(summary->duration_ns, 0);
    assert_int_equal(summary->worst, UINT32_MAX);
    summary_free(summary);
    summary_free(NULL);
}

static void words_of_a_run(void **state)
{
    (void)state;
    begin_world(1);
    strcpy(world.processes[0].view.fixed.command, "python a.py");
    strcpy(world.processes[0].view.fixed.name, "inner");
    struct summary *summary = made(NOW);
    assert_string_equal(summary->command, "python a.py");
    assert_string_equal(summary->name, "inner");
    assert_int_equal(summary->exit_status, DATASTALL_UNKNOWN);
    summary_free(summary);
    set_launcher(CLOSED, RF_DEAD);
    strcpy(world.data.launcher.view.fixed.command, "torchrun a.py");
    strcpy(world.data.launcher.view.fixed.name, "outer");
    uint64_t *words = world.data.launcher.view.words;
    words[RF_PROCESS_EXIT_STATUS] = 137;
    summary = made(NOW);
    assert_string_equal(summary->command, "torchrun a.py");
    assert_string_equal(summary->name, "outer");
    assert_int_equal(summary->exit_status, DATASTALL_UNKNOWN);
    summary_free(summary);
    words[RF_PROCESS_EXIT_KNOWN] = 1;
    summary = made(NOW);
    assert_int_equal(summary->exit_status, 137);
    summary_free(summary);
    words[RF_PROCESS_EXIT_STATUS] = 0;
    summary = made(NOW);
    assert_int_equal(summary->exit_status, 0);
    summary_free(summary);
}

/* ---- how long it took ---- */

static void the_run_of_a_library_begins_with_its_process(void **state)
{
    (void)state;
    static const struct {
        bool launcher;
        uint64_t process_start_s; /* RF_UNKNOWN: not told */
        uint64_t began_s;         /* the file was made at 8 s, real time 1000 s */
    } rows[] = {
        {false, RF_UNKNOWN, 8}, {false, 3, 3}, {false, 8, 8}, {false, 9, 8}, {true, 3, 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, S);
        world.processes[0].view.words[RF_PROCESS_ENDED_MONO] = 30 * S;
        if (rows[i].launcher)
            set_launcher(CLOSED, RF_DEAD);
        struct run_process *first = rows[i].launcher ? &world.data.launcher : &world.processes[0];
        first->view.words[RF_PROCESS_ENDED_MONO] = 30 * S;
        first->header.created_mono_ns = 8 * S;
        first->header.created_real_ns = 1000 * S;
        first->view.fixed.process_start_mono_ns =
            rows[i].process_start_s == RF_UNKNOWN ? RF_UNKNOWN : rows[i].process_start_s * S;
        struct summary *summary = made(NOW);
        assert_int_equal(summary->started_real_ns, (992 + rows[i].began_s) * S);
        assert_int_equal(summary->duration_ns, (30 - rows[i].began_s) * S);
        assert_int_equal(summary->setup_ns, (10 - rows[i].began_s) * S);
        summary_free(summary);
        first->header.created_real_ns = S; /* a clock that was never set */
        summary = made(NOW);
        assert_int_equal(summary->started_real_ns, rows[i].began_s == 3 ? 0 : S);
        summary_free(summary);
    }
}

/* Until now, the launcher's end, or as long as anything is known of its processes. */
static void duration_of_a_run(void **state)
{
    (void)state;
    static const struct {
        int file;
        enum rf_liveness liveness;
        enum summary_state processes[2];
        uint64_t ended_s[2]; /* of the processes; their last waits end at 20 s and 25 s */
        uint64_t end_s;
    } rows[] = {
        {OPEN, RF_ALIVE, {D, D}, {0, 0}, 500},
        {CLOSED, RF_DEAD, {E, E}, {30, 40}, 300},
        {OPEN, RF_DEAD, {R, E}, {0, 40}, 500},
        {OPEN, RF_DEAD, {E, E}, {30, 40}, 40},
        {OPEN, RF_DEAD, {E, E}, {40, 30}, 40},
        {OPEN, RF_DEAD, {D, E}, {90, 24}, 25}, /* who died did not say when */
        {OPEN, RF_DEAD, {E, D}, {30, 90}, 30},
        {OPEN, RF_DEAD, {D, D}, {90, 90}, 25},
        {-1, RF_DEAD, {E, E}, {30, 40}, 40}, /* the first one is not the launcher */
        {-1, RF_DEAD, {D, D}, {0, 0}, 25},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(2);
        for (uint32_t p = 0; p < 2; p++) {
            set_wait(p, 10 * S, (20 + 5 * p) * S, S);
            set_state(p, rows[i].processes[p]);
            world.processes[p].view.fixed.launched = 1;
            world.processes[p].view.words[RF_PROCESS_ENDED_MONO] = rows[i].ended_s[p] * S;
            world.processes[p].view.fixed.process_start_mono_ns = RF_UNKNOWN;
        }
        if (rows[i].file >= 0)
            set_launcher((enum rf_process_state)rows[i].file, rows[i].liveness);
        world.data.launcher.view.words[RF_PROCESS_ENDED_MONO] = 300 * S;
        struct summary *summary = made(NOW);
        assert_int_equal(summary->duration_ns, rows[i].end_s * S);
        assert_int_equal(summary->setup_ns, 10 * S);
        assert_int_equal(summary->begin_ns, 10 * S);
        assert_int_equal(summary->end_ns, 25 * S);
        summary_free(summary);
    }
}

static void a_run_that_began_after_its_end(void **state)
{
    (void)state;
    begin_world(1);
    set_wait(0, 10 * S, 20 * S, S);
    world.processes[0].header.created_mono_ns = 15 * S;
    world.processes[0].view.fixed.process_start_mono_ns = RF_UNKNOWN;
    world.processes[0].view.words[RF_PROCESS_ENDED_MONO] = 14 * S;
    struct summary *summary = made(NOW);
    assert_int_equal(summary->duration_ns, 0);
    assert_int_equal(summary->setup_ns, 0);
    summary_free(summary);
    /* No wait, no word of its end. */
    begin_world(1);
    set_state(0, SUMMARY_DIED);
    world.processes[0].header.created_mono_ns = 15 * S;
    world.processes[0].view.fixed.process_start_mono_ns = RF_UNKNOWN;
    summary = made(NOW);
    assert_int_equal(summary->duration_ns, 0);
    assert_int_equal(summary->setup_ns, DATASTALL_UNKNOWN);
    summary_free(summary);
}

/* The window over all processes that waited. */
static void the_window_of_a_run(void **state)
{
    (void)state;
    begin_world(3);
    set_wait(1, 12 * S, 18 * S, S);
    struct summary *summary = made(NOW);
    assert_int_equal(summary->begin_ns, 12 * S);
    assert_int_equal(summary->end_ns, 18 * S);
    summary_free(summary);
    set_wait(0, 13 * S, 17 * S, S);
    set_wait(2, 11 * S, 19 * S, S);
    summary = made(NOW);
    assert_int_equal(summary->begin_ns, 11 * S);
    assert_int_equal(summary->end_ns, 19 * S);
    summary_free(summary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_of_a_process),
        cmocka_unit_test(a_wait_that_never_ended),
        cmocka_unit_test(a_stage_of_a_process_that_is_gone),
        cmocka_unit_test(states_of_a_run),
        cmocka_unit_test(a_run_of_nothing),
        cmocka_unit_test(words_of_a_run),
        cmocka_unit_test(the_run_of_a_library_begins_with_its_process),
        cmocka_unit_test(duration_of_a_run),
        cmocka_unit_test(a_run_that_began_after_its_end),
        cmocka_unit_test(the_window_of_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
