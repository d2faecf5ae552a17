/* SPDX-License-Identifier: Apache-2.0 */
/* What a step's time is called, by programs of every kind, each as a line of events on a clock that
 * only they move; who is followed, what a reader sees, and what it refuses. */
#include "cmocka_all.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "record/step_lines.h"
#include "run/run_data.h"
#include "support.h"

#define MS UINT64_C(1000000)

/* ---- a clock of our own ---- */

static uint64_t clock_ns;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_MONOTONIC || clock_ns == 0)
        return __real_clock_gettime(clock, now);
    now->tv_sec = (time_t)(clock_ns / 1000000000u);
    now->tv_nsec = (long)(clock_ns % 1000000000u);
    return 0;
}

static void start_clock(void)
{
    struct timespec now;
    __real_clock_gettime(CLOCK_MONOTONIC, &now);
    clock_ns = (uint64_t)now.tv_sec * 1000000000u;
}

/* ---- a program, as a line of events ---- */

static datastall_monitor *monitor;
static datastall_loader *loaders[2];

static int open_in(const char *folder)
{
    setenv("DATASTALL_RUN_DIR", folder, 1);
    start_clock();
    assert_int_equal(datastall_open(NULL, &monitor), DATASTALL_OK);
    loaders[0] = test_loader(monitor, "a");
    loaders[1] = test_loader(monitor, "b");
    return 0;
}

static int open_monitor(void **state)
{
    (void)state;
    return open_in(test_run_folder());
}

static int close_monitor(void **state)
{
    (void)state;
    datastall_close(monitor);
    unsetenv("DATASTALL_RUN_DIR");
    clock_ns = 0;
    return 0;
}

static uint32_t last; /* the loader whose batch came last */

static void wait_for(uint32_t loader, uint64_t ms, bool got)
{
    last = loader;
    const uint64_t begin_ns = clock_ns;
    clock_ns += ms * MS;
    steps_wait(loaders[loader], begin_ns, clock_ns, got);
}

/* B b backward begins, ends; O o an optimizer; C c a checkpoint; S step(); R a replay; .N time passes;
 * nN a batch of loader 0 after a wait, mN of loader 1; eN an iterator of that which was waited for last ended,
 * or was made. */
static void play(const char *events)
{
    for (const char *at = events; *at != '\0'; at++) {
        const char event = *at;
        const uint64_t ms = strchr(".nme", event) != NULL ? strtoull(at + 1, (char **)&at, 10) : 0;
        switch (event) {
        case '.':
            clock_ns += ms * MS;
            break;
        case 'n':
        case 'm':
            wait_for(event == 'm', ms, true);
            break;
        case 'e':
            wait_for(last, ms, false);
            break;
        case 'B':
        case 'O':
        case 'C':
            steps_enter(monitor, event == 'B'   ? STEP_IN_BACKWARD
                                 : event == 'O' ? STEP_IN_OPTIMIZER
                                                : STEP_IN_CHECKPOINT);
            break;
        case 'b':
        case 'o':
        case 'c':
            steps_leave(monitor, event == 'b'   ? STEP_IN_BACKWARD
                                 : event == 'o' ? STEP_IN_OPTIMIZER
                                                : STEP_IN_CHECKPOINT);
            break;
        case 'S':
            steps_mark(monitor);
            break;
        case 'R':
            steps_replay(monitor);
            break;
        default:
            continue; /* a space */
        }
        if (ms > 0 || strchr(".nme", event) != NULL)
            at--;
    }
}

/* ---- what is read ---- */

static struct run_data *read_folder(const char *folder)
{
    struct run_data *data;
    assert_int_equal(run_data_read(folder, &data), DATASTALL_OK);
    CHECK(data->problems == 0, "%s", data->first_problem);
    assert_int_equal(data->process_count, 1);
    return data;
}

static struct run_data *read_back(void)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", datastall_run_file(monitor));
    *strrchr(folder, '/') = '\0';
    return read_folder(folder);
}

static void check_sum(const uint64_t *totals)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++)
        sum += totals[RF_STEP_TOTAL_HOST_NS + i];
    assert_int_equal(sum, totals[RF_STEP_TOTAL_END_NS] - totals[RF_STEP_TOTAL_BEGIN_NS]);
}

/* Milliseconds and times of each phase, as "input 4/2 forward 6/2". */
static void describe(const uint64_t *totals, char *text, size_t size)
{
#define NAME(name, key, what) key,
    static const char *const names[] = {STEP_PHASES(NAME)};
#undef NAME
    text[0] = '\0';
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        const uint64_t ns = totals[RF_STEP_TOTAL_HOST_NS + i];
        const uint64_t times = totals[RF_STEP_TOTAL_TIMES + i];
        assert_int_equal(ns % MS, 0);
        if (ns > 0 || times > 0)
            snprintf(text + strlen(text), size - strlen(text), "%s%s %llu/%llu",
                     text[0] == '\0' ? "" : " ", names[i], (unsigned long long)(ns / MS),
                     (unsigned long long)times);
    }
}

static void each_program_shows_its_phases(void **state)
{
    static const struct {
        const char *what, *events;
        uint64_t steps;
        const char *phases;
    } programs[] = {
        {"plain", "e1 n2 .3 B.4b .1 O.5o .6 n2 .3 B.4b .1 O.5o .6 e1", 2,
         "input 6/4 forward 6/2 backward 8/2 gradients 2/2 optimizer 10/2 between 12/2"},
        {"accumulation", "n1 .3 B.4b .1 n1 .3 B.4b .2 O.5o n1", 3,
         "input 3/3 forward 6/2 backward 8/2 gradients 2/1 optimizer 5/1 between 1/2"},
        {"two optimizers", "n1 .3 B.4b .1 O.5o .1 O.5o n1", 2,
         "input 2/2 forward 3/1 backward 4/1 gradients 2/2 optimizer 10/2 between 0/1"},
        {"a GAN", "n1 .3 B.4b O.5o .7 B.4b O.5o .2 n1", 2,
         "input 2/2 forward 10/2 backward 8/2 gradients 0/2 optimizer 10/2 between 2/1"},
        {"two backwards", "n1 .3 B.4b .2 B.4b .1 O.5o n1", 2,
         "input 2/2 forward 5/2 backward 8/2 gradients 1/1 optimizer 5/1 between 0/1"},
        {"inference", "n1 .3 n1 .3 n1 .3 e1", 3, "input 4/4 no_backward 9/3"},
        {"evaluation between", "n1 .3 B.4b O.5o .1 e2 m1 .3 m1 .3 e1 .2 n1", 4,
         "input 7/6 forward 3/1 backward 4/1 gradients 0/1 optimizer 5/1 no_backward 6/2 "
         "between 3/1"},
        {"a closure", "n1 .1 O.2 .3 B.4b .1o .6 n1", 2,
         "input 2/2 forward 6/1 backward 4/1 optimizer 1/1 between 6/1"},
        {"a closure called twice", "n1 .1 O.2 .3 B.4b .1 .2 B.4b .1o n1", 2,
         "input 2/2 forward 9/2 backward 8/2 optimizer 1/1 between 0/1"},
        {"checkpoints", "n1 .3 B.4b O.5o .1 C.9c .1 n1", 2,
         "input 2/2 forward 3/1 backward 4/1 gradients 0/1 optimizer 5/1 checkpoint 9/1 between "
         "2/1"},
        {"outputs saved", "n1 .3 C.9c n1 .3 C.9c e1", 2,
         "input 3/3 checkpoint 18/2 no_backward 6/2"},
        {"a backward in a backward", "n1 .3 B.1B.2b.1b O.5o n1", 2,
         "input 2/2 forward 3/1 backward 4/1 gradients 0/1 optimizer 5/1 between 0/1"},
        {"an optimizer in a backward", "n1 .3 B.1O.2o.1b n1", 2,
         "input 2/2 forward 3/1 backward 2/1 optimizer 2/1 between 0/1"},
        {"an optimizer that raises", "n1 .3 B.4b O.5 n1 .3 B.4b O.5o n1", 3,
         "input 3/3 forward 6/2 backward 8/2 gradients 0/2 optimizer 10/2 between 0/2"},
        {"zipped loaders", "n1 m1 .3 B.4b O.5o n1 m1 .3 B.4b O.5o", 2,
         "input 4/4 forward 6/2 backward 8/2 gradients 0/2 optimizer 10/2 between 0/1"},
        {"a loader that looks ahead", "n1 n1 .3 B.4b O.5o n1 .3 B.4b O.5o", 3,
         "input 3/3 forward 6/2 backward 8/2 gradients 0/2 optimizer 10/2 no_backward 0/1 "
         "between 0/1"},
        {"no loader", "S .3 B.4b O.5o .1 S .3 B.4b O.5o .1 S", 3,
         "forward 6/2 backward 8/2 gradients 0/2 optimizer 10/2 between 2/2"},
        {"step() beside a loader", "n1 .3 B.4b O.5o .1 S n1 .3 B.4b O.5o .1 S", 2,
         "input 2/2 forward 6/2 backward 8/2 gradients 0/2 optimizer 10/2 between 2/3"},
        {"step() of inference", "S .3 S .3 S", 3, "no_backward 6/2"},
        {"graphs", "n1 .3 R n1 .3 R n1", 3, "input 3/3 no_backward 6/2"},
        {"an end without a begin", "n1 .3 o b c n1", 2, "input 2/2 no_backward 3/1"},
        {"a wait in a backward", "n1 .1 B.2 n3 .2b O.1o n1", 3,
         "input 5/3 forward 1/1 backward 4/1 gradients 0/1 optimizer 1/1 between 0/1"},
        {"an optimizer alone", "n1 .3 O.5o n1", 2,
         "input 2/2 forward 3/0 optimizer 5/1 between 0/1"},
    };
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        char text[256];
        void *none = NULL;
        open_monitor(&none);
        play(programs[i].events);
        steps_finish(monitor);
        struct run_data *data = read_back();
        assert_int_equal(data->processes[0].steps_count, 1);
        const uint64_t *totals = data->processes[0].steps[0].totals;
        describe(totals, text, sizeof text);
        if (strcmp(text, programs[i].phases) != 0 ||
            totals[RF_STEP_TOTAL_STEPS] != programs[i].steps)
            wrong += fprintf(stderr, "%s: %llu steps, %s\n", programs[i].what,
                             (unsigned long long)totals[RF_STEP_TOTAL_STEPS], text);
        check_sum(totals);
        run_data_free(data);
        close_monitor(&none);
    }
    assert_int_equal(wrong, 0);
}

static void what_is_deeper_than_known_counts_as_the_outer(void **state)
{
    (void)state;
    char text[256];
    play("n1 .1 C.1 O.1 B.1 O.1 B.5b.1o.1b.1o.1c n1");
    steps_finish(monitor);
    struct run_data *data = read_back();
    describe(data->processes[0].steps[0].totals, text, sizeof text);
    assert_string_equal(text, "input 2/2 forward 1/1 backward 2/1 optimizer 8/2 checkpoint 2/1 "
                              "no_backward 1/0 between 0/1");
    check_sum(data->processes[0].steps[0].totals);
    run_data_free(data);
}

/* ---- when the file says so ---- */

static void it_is_published_now_and_then(void **state)
{
    (void)state;
    play("n1 .3 B.4b O.5o");
    struct run_data *data = read_back();
    assert_int_equal(data->processes[0].steps_count, 0); /* 13 ms: not yet */
    run_data_free(data);
    for (int i = 0; i < 100; i++)
        play("n1 .3 B.4b O.5o");
    data = read_back();
    assert_int_equal(data->processes[0].steps_count, 1);
    const uint64_t *totals = data->processes[0].steps[0].totals;
    check_sum(totals); /* a whole copy, at most 200 ms and a step old */
    assert_true(clock_ns - totals[RF_STEP_TOTAL_END_NS] <= 213 * MS);
    assert_int_equal(totals[RF_STEP_TOTAL_COUNT], data->processes[0].steps[0].head[RF_STEPS_COUNT]);
    run_data_free(data);
}

static void die_in_a_backward(void *folder)
{
    open_in(folder);
    for (int i = 0; i < 100; i++)
        play("n1 .3 B.4b O.5o");
    play("n1 .3 B.4");
    kill(getpid(), SIGKILL);
}

static void a_killed_program_leaves_its_steps(void **state)
{
    (void)state;
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", test_run_folder());
    const int status = test_in_child(die_in_a_backward, folder);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct run_data *data = read_folder(folder);
    assert_int_equal(data->processes[0].steps_count, 1);
    const uint64_t *totals = data->processes[0].steps[0].totals;
    check_sum(totals);
    assert_true(totals[RF_STEP_TOTAL_STEPS] >= 84); /* all but the last 200 ms */
    run_data_free(data);
    unsetenv("DATASTALL_RUN_DIR");
    clock_ns = 0;
}

/* ---- who is followed ---- */

static void *prefetch(void *unused)
{
    (void)unused;
    play("n1 .1 n1 .1 n1 O.1o C.1c");
    return NULL;
}
static void *train(void *unused)
{
    (void)unused;
    play("n1 .1 B.2b O.3o n1 .1 B.2b O.3o");
    steps_finish(monitor);
    return NULL;
}

static void in_thread(void *(*function)(void *))
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, function, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void who_trains_is_followed_and_who_prefetches_is_not(void **state)
{
    (void)state;
    char text[256];
    play("n1 .3");
    in_thread(prefetch);
    play("B.1");
    in_thread(train); /* the engine's: a backward within a backward */
    play("b O.5o");
    steps_finish(monitor);
    struct run_data *data = read_back();
    assert_int_equal(data->processes[0].steps_count, 1);
    assert_int_equal(data->processes[0].steps[0].head[RF_STEPS_IS_MAIN], 1);
    run_data_free(data);
    in_thread(train); /* one of the program's */
    data = read_back();
    assert_int_equal(data->processes[0].steps_count, 2);
    assert_int_equal(data->processes[0].steps[1].head[RF_STEPS_IS_MAIN], 0);
    describe(data->processes[0].steps[1].totals, text, sizeof text);
    /* From its first backward. */
    assert_string_equal(text, "input 1/1 forward 1/1 backward 4/2 gradients 0/2 optimizer 6/2 "
                              "between 0/1");
    run_data_free(data);
    for (int i = 0; i < 8; i++)
        in_thread(train); /* more than there is room for */
    data = read_back();
    assert_int_equal(data->processes[0].steps_count, RF_STEPS_ENTRIES);
    run_data_free(data);
}

static void fork_and_train(void *unused)
{
    (void)unused;
    play("n1 .1 B.2b O.3o");
    steps_finish(monitor);
}

static void a_forked_child_records_nothing(void **state)
{
    (void)state;
    play("n1 .1 B.2b O.3o");
    assert_int_equal(test_in_child(fork_and_train, NULL), 0);
    steps_finish(monitor);
    struct run_data *data = read_back();
    assert_int_equal(data->processes[0].steps_count, 1);
    assert_int_equal(data->processes[0].steps[0].totals[RF_STEP_TOTAL_STEPS], 1);
    run_data_free(data);
}

/* ---- what cannot be ---- */

static void steps_that_cannot_be_are_refused(void **state)
{
    (void)state;
    play("n1 .3 B.4b O.5o n1");
    steps_finish(monitor);
    uint64_t *entry = monitor->steps[0].entry;
    const struct rf_steps_layout *layout = &monitor->steps[0].layout;
    const uint64_t copy = layout->totals_at + layout->total_words; /* the first one published */
    const struct {
        uint64_t word, value;
        uint32_t steps;
    } rows[] = {
        {RF_STEPS_THREAD, 4, 1},
        {RF_STEPS_CLOCK, RF_STEPS_CLOCK_CAPTURERS, 1},
        {RF_STEPS_CLOCK, RF_STEPS_CLOCK_CAPTURERS + 1, 0},
        {RF_STEPS_LOW_COUNT, RF_STEPS_LOWS - 1, 1},
        {RF_STEPS_LOW_COUNT, RF_STEPS_LOWS, 0},
        {RF_STEPS_MEMORY_ALLOCATED, 1, 0}, /* more than its peak */
        {RF_STEPS_MEMORY_RESERVED, 1, 0},
        {RF_STEPS_COUNT, 2, 0}, /* the copy is of another count */
        {copy + RF_STEP_TOTAL_COUNT, 2, 0},
        {copy + RF_STEP_TOTAL_STATED, 3, 0},
        {copy + RF_STEP_TOTAL_END_NS, 1, 0},
        {copy + RF_STEP_TOTAL_HOST_NS + STEP_BETWEEN, RF_MOST_NS, 1},
        {copy + RF_STEP_TOTAL_HOST_NS + STEP_BETWEEN, RF_MOST_NS + 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t before = entry[rows[i].word];
        struct run_data *data;
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%s", datastall_run_file(monitor));
        *strrchr(folder, '/') = '\0';
        entry[rows[i].word] = rows[i].value;
        assert_int_equal(run_data_read(folder, &data), DATASTALL_OK);
        entry[rows[i].word] = before;
        if (data->processes[0].steps_count != rows[i].steps || data->problems != 1 - rows[i].steps)
            fail_msg("row %zu: %u, %s", i, data->processes[0].steps_count, data->first_problem);
        if (rows[i].steps == 0)
            assert_non_null(strstr(data->first_problem, "the steps of entry 0 contradict"));
        run_data_free(data);
    }
}

static void a_line_that_cannot_be_is_left_out(void **state)
{
    (void)state;
    play("n1 .3 B.4b O.5o n1");
    steps_finish(monitor);
    const struct rf_step_line lines[] = {
        {.state = 1,
         .phase = STEP_FORWARD,
         .seen = 3,
         .empty = 3,
         .what = "item",
         .where = "a.py:1"},
        {.state = 0, .phase = STEP_FORWARD, .seen = 3, .where = "b.py:1"},
        {.state = 1, .phase = STEP_PHASE_COUNT, .seen = 3, .where = "c.py:1"},
    };
    uint64_t *at = monitor->steps[0].entry + monitor->steps[0].layout.lines_at;
    memcpy(at, lines, sizeof lines);
    memset((char *)at + offsetof(struct rf_step_line, where), 'x', sizeof lines[0].where);
    struct run_data *data = read_back();
    const struct run_steps *steps = &data->processes[0].steps[0];
    assert_int_equal(steps->line_count, 1);
    assert_int_equal(steps->lines[0].empty, 3);
    assert_string_equal(steps->lines[0].what, "item");
    assert_int_equal(strlen(steps->lines[0].where), sizeof lines[0].where - 1);
    run_data_free(data);
}

/* ---- answers of the GPU ---- */

static void answers_go_to_the_phase_that_they_were_in(void **state)
{
    (void)state;
    play("n1 .1");
    struct steps *s = &monitor->steps[0];
    const uint64_t forward = ds_load(&s->interval);
    for (int i = 0; i < 5; i++)
        steps_answer(s, forward, i < 2 ? STEPS_EMPTY : STEPS_BUSY);
    play("B");
    steps_answer(s, forward, STEPS_EMPTY); /* too late: of an interval that is over */
    const uint64_t backward = ds_load(&s->interval);
    steps_answer(s, backward, STEPS_UNTOLD);
    steps_answer(s, backward, STEPS_LOOKED);
    steps_answer(s, backward, STEPS_BUSY);
    play(".1b");
    const uint64_t gradients = ds_load(&s->interval);
    for (int i = 0; i < 3 * 60000; i++) /* more than are counted of one interval: the share stays */
        steps_answer(s, gradients, i % 3 == 0 ? STEPS_EMPTY : STEPS_BUSY);
    play("O.1o");
    const uint64_t *totals = s->totals;
    assert_int_equal(totals[RF_STEP_TOTAL_ASKED + STEP_FORWARD], 5);
    assert_int_equal(totals[RF_STEP_TOTAL_EMPTY + STEP_FORWARD], 2);
    assert_int_equal(totals[RF_STEP_TOTAL_ASKED + STEP_BACKWARD], 1);
    assert_int_equal(totals[RF_STEP_TOTAL_EMPTY + STEP_BACKWARD], 0);
    assert_int_equal(totals[RF_STEP_TOTAL_UNTOLD + STEP_BACKWARD], 1);
    assert_int_equal(totals[RF_STEP_TOTAL_LOOKS + STEP_BACKWARD], 1);
    assert_in_range(totals[RF_STEP_TOTAL_ASKED + STEP_GRADIENTS], 60000, 180000);
    const double share = (double)totals[RF_STEP_TOTAL_EMPTY + STEP_GRADIENTS] /
                         (double)totals[RF_STEP_TOTAL_ASKED + STEP_GRADIENTS];
    assert_true(share > 0.333 && share < 0.334);
}

static void lines_are_counted_once_their_phase_is_known(void **state)
{
    (void)state;
    char name[16];
    play("n1 .1");
    struct steps *s = &monitor->steps[0];
    for (int i = 0; i < 3; i++)
        step_lines_seen(s, s->interval, RF_STEP_LINE_WAITS, "item", "a.py:1", i == 0);
    step_lines_seen(s, s->interval, RF_STEP_LINE_WAITS, "to", "a.py:2", true);
    const uint64_t forward = s->interval;
    step_lines_settle(s); /* not yet */
    play("B");
    step_lines_settle(s);
    play(".1b .1");
    step_lines_seen(s, s->interval, RF_STEP_LINE_WAITS, "item", "a.py:1", false);
    play("O.1o");
    step_lines_seen(s, forward, RF_STEP_LINE_WAITS, "item", "b.py:1",
                    false); /* long over, but remembered */
    step_lines_settle(s);
    for (int i = 0; i < 300; i++)
        play("n1 .1");
    step_lines_seen(s, forward, RF_STEP_LINE_WAITS, "item", "c.py:1", false); /* forgotten */
    step_lines_settle(s);
    steps_finish(monitor);
    struct run_data *data = read_back();
    const struct run_steps *steps = &data->processes[0].steps[0];
    static const struct {
        enum step_phase phase;
        uint64_t seen, empty;
        const char *what, *where;
    } rows[] = {
        {STEP_FORWARD, 3, 1, "item", "a.py:1"},
        {STEP_FORWARD, 1, 1, "to", "a.py:2"},
        {STEP_GRADIENTS, 1, 0, "item", "a.py:1"},
        {STEP_FORWARD, 1, 0, "item", "b.py:1"},
    };
    assert_int_equal(steps->line_count, sizeof rows / sizeof *rows);
    for (uint32_t i = 0; i < steps->line_count; i++) {
        assert_int_equal(steps->lines[i].phase, rows[i].phase);
        assert_int_equal(steps->lines[i].seen, rows[i].seen);
        assert_int_equal(steps->lines[i].empty, rows[i].empty);
        assert_string_equal(steps->lines[i].what, rows[i].what);
        assert_string_equal(steps->lines[i].where, rows[i].where);
    }
    run_data_free(data);
    for (uint32_t i = 0; i < 2 * RF_STEPS_LINES; i++) { /* more lines than there is room for */
        snprintf(name, sizeof name, "%u.py:1", i);
        step_lines_seen(s, s->interval, RF_STEP_LINE_WAITS, "item", name, false);
        play("n1 .1");
        step_lines_settle(s);
    }
    data = read_back();
    assert_int_equal(data->processes[0].steps[0].line_count, RF_STEPS_LINES);
    run_data_free(data);
}

/* The program's own code counts in the phases where it is nobody else's, and leaves room for calls that
 * wait. */
static void lines_at_work(void **state)
{
    (void)state;
    char name[32];
    play("n1 .1");
    struct steps *s = &monitor->steps[0];
    for (int i = 0; i < 2; i++)
        step_lines_seen(s, s->interval, RF_STEP_LINE_WORKS, "", "a.py:1", i == 0);
    step_lines_seen(s, s->interval, RF_STEP_LINE_WAITS, "", "a.py:1", false);
    play("B");
    step_lines_seen(s, s->interval, RF_STEP_LINE_WORKS, "", "backward.py:1", false);
    step_lines_seen(s, s->interval, RF_STEP_LINE_WAITS, "item", "backward.py:1", false);
    play(".1b");
    step_lines_seen(s, s->interval, RF_STEP_LINE_WORKS, "", "a.py:1", false);
    play("O");
    step_lines_seen(s, s->interval, RF_STEP_LINE_WORKS, "", "optimizer.py:1", false);
    play(".1o");
    step_lines_seen(s, s->interval, RF_STEP_LINE_WORKS, "", "a.py:1", true);
    play("n1");
    step_lines_settle(s);
    steps_finish(monitor);
    static const struct {
        enum step_phase phase;
        enum rf_step_line_kind kind;
        uint64_t seen, empty;
    } rows[] = {{STEP_FORWARD, RF_STEP_LINE_WORKS, 2, 1},
                {STEP_FORWARD, RF_STEP_LINE_WAITS, 1, 0},
                {STEP_BACKWARD, RF_STEP_LINE_WAITS, 1, 0},
                {STEP_GRADIENTS, RF_STEP_LINE_WORKS, 1, 0},
                {STEP_BETWEEN, RF_STEP_LINE_WORKS, 1, 1}};
    struct run_data *data = read_back();
    const struct run_steps *steps = &data->processes[0].steps[0];
    assert_int_equal(steps->line_count, sizeof rows / sizeof *rows);
    for (uint32_t i = 0; i < steps->line_count; i++) {
        assert_int_equal(steps->lines[i].phase, rows[i].phase);
        assert_int_equal(steps->lines[i].kind, rows[i].kind);
        assert_int_equal(steps->lines[i].seen, rows[i].seen);
        assert_int_equal(steps->lines[i].empty, rows[i].empty);
    }
    run_data_free(data);
    for (uint32_t i = 0; i < 2 * RF_STEPS_LINES; i++) {
        snprintf(name, sizeof name, "%u.py:1", i);
        step_lines_seen(s, s->interval, RF_STEP_LINE_WORKS, "", name, false);
        play(".1 B.1b O.1o n1");
        step_lines_settle(s);
    }
    data = read_back();
    assert_int_equal(data->processes[0].steps[0].line_count, RF_STEPS_WORK_LINES);
    run_data_free(data);
}

/* ---- memory ---- */

static void the_least_of_each_span_is_kept(void **state)
{
    (void)state;
    play("n1 .1");
    const uint64_t *head = monitor->steps[0].entry;
    /* Twelve of 100 to 111, and again; then one that is less. */
    for (uint64_t i = 0; i < 100; i++)
        steps_memory(monitor, &(struct steps_memory){100 + i % 12, i < 50 ? 130 : 0, 500 + i, 0,
                                                     i / 50}); /* the peaks were reset */
    assert_int_equal(head[RF_STEPS_MEMORY_READS], 100);
    assert_int_equal(head[RF_STEPS_MEMORY_ALLOCATED], 103);
    assert_int_equal(head[RF_STEPS_MEMORY_ALLOCATED_PEAK], 130);
    assert_int_equal(head[RF_STEPS_MEMORY_RESERVED], 599);
    assert_int_equal(head[RF_STEPS_MEMORY_RESERVED_PEAK], 599);
    assert_int_equal(head[RF_STEPS_MEMORY_RETRIES], 1);
    /* 16 of one reading became 8 of 2, then 8 of 4, then 8 of 8: 12 of 8 are full, 4 under way. */
    assert_int_equal(head[RF_STEPS_LOW_READS], 8);
    assert_int_equal(head[RF_STEPS_LOW_COUNT], 12);
    assert_int_equal(head[RF_STEPS_LOW_TAKEN], 4);
    for (uint32_t i = 0; i < 12; i++) {
        uint64_t least = UINT64_MAX;
        for (uint64_t k = 8 * i; k < 8 * i + 8; k++)
            least = 100 + k % 12 < least ? 100 + k % 12 : least;
        assert_int_equal(head[RF_STEPS_LOWS_AT + i], least);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_program_shows_its_phases),
        cmocka_unit_test_setup_teardown(what_is_deeper_than_known_counts_as_the_outer, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(it_is_published_now_and_then, open_monitor, close_monitor),
        cmocka_unit_test(a_killed_program_leaves_its_steps),
        cmocka_unit_test_setup_teardown(who_trains_is_followed_and_who_prefetches_is_not,
                                        open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(a_forked_child_records_nothing, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(steps_that_cannot_be_are_refused, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(a_line_that_cannot_be_is_left_out, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(answers_go_to_the_phase_that_they_were_in, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(lines_are_counted_once_their_phase_is_known, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(lines_at_work, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(the_least_of_each_span_is_kept, open_monitor,
                                        close_monitor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
