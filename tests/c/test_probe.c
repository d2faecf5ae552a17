/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the GPU has work while a step is in a phase, against a GPU that is a clock
 * (tests/fake/cuda.c). test_probe LIBCUDA */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmocka_all.h"
#include "gpu/probe.h"
#include "gpu/stall.h"
#include "support.h"

#define MS UINT64_C(1000000)

static void (*work)(void *, uint64_t);
static void (*pass)(uint64_t); /* time, on the GPU's clock */
static void (*set_context)(uintptr_t);
static void (*set_capture)(int);
static void (*set_failure)(const char *);
static int (*calls)(void);
static const char *library_path;

static datastall_monitor *monitor;
static datastall_loader *loader;
static struct steps *steps;

static int open_monitor(void **state)
{
    (void)state;
    test_run_folder();
    assert_int_equal(datastall_open(NULL, &monitor), DATASTALL_OK);
    loader = test_loader(monitor, "a");
    const uint64_t now_ns = ds_now_ns();
    steps_wait(loader, now_ns, now_ns, true);
    steps = steps_of_this_thread(monitor);
    assert_non_null(steps);
    set_context(1);
    set_capture(0);
    set_failure(NULL);
    return 0;
}

static int close_monitor(void **state)
{
    (void)state;
    probe_stop(monitor);
    datastall_close(monitor);
    pass(1000 * MS); /* what was queued is done */
    return 0;
}

static uint64_t total(uint32_t counter, enum step_phase phase)
{
    return steps->totals[counter + phase];
}

static void rounds(int count, uint64_t each_ns)
{
    for (int i = 0; i < count; i++) {
        probe_ask(false);
        pass(each_ns);
    }
}

static void what_starves_shows_in_its_phase(void **state)
{
    (void)state;
    probe_follow(steps, stall_current_context(), 0);
    /* The forward queues 5 ms of work and takes 2; the backward takes 6: for the last 3 of them, and in
     * the optimizer, there is nothing to do. */
    work(NULL, 5 * MS);
    rounds(20, MS / 10);
    steps_enter(monitor, STEP_IN_BACKWARD);
    rounds(60, MS / 10);
    steps_leave(monitor, STEP_IN_BACKWARD);
    steps_enter(monitor, STEP_IN_OPTIMIZER);
    rounds(10, MS / 10);
    steps_leave(monitor, STEP_IN_OPTIMIZER);
    assert_int_equal(total(RF_STEP_TOTAL_ASKED, STEP_FORWARD), 20);
    assert_int_equal(total(RF_STEP_TOTAL_EMPTY, STEP_FORWARD), 0);
    assert_int_equal(total(RF_STEP_TOTAL_ASKED, STEP_BACKWARD), 60);
    assert_int_equal(total(RF_STEP_TOTAL_EMPTY, STEP_BACKWARD), 30);
    assert_int_equal(total(RF_STEP_TOTAL_ASKED, STEP_OPTIMIZER), 10);
    assert_int_equal(total(RF_STEP_TOTAL_EMPTY, STEP_OPTIMIZER), 10);
    assert_int_equal(steps->entry[RF_STEPS_CLOCK], RF_STEPS_CLOCK_QUEUE);
}

static void a_capture_is_not_touched(void **state)
{
    (void)state;
    probe_follow(steps, stall_current_context(), 0);
    set_capture(1); /* the fake aborts where it is spoilt */
    rounds(10, MS);
    set_capture(0);
    rounds(5, MS);
    steps_enter(monitor, STEP_IN_BACKWARD);
    assert_int_equal(total(RF_STEP_TOTAL_UNTOLD, STEP_FORWARD), 10);
    assert_int_equal(total(RF_STEP_TOTAL_ASKED, STEP_FORWARD), 5);
}

/* The next capture may begin right after the question whether one is under way. */
static void where_blocking_streams_capture_nothing_is_asked_again(void **state)
{
    (void)state;
    probe_follow(steps, stall_current_context(), 0);
    rounds(5, MS);
    set_capture(2);
    rounds(10, MS);
    set_capture(0);
    const int before = calls();
    rounds(5, MS);
    assert_int_equal(calls(), before);
    steps_enter(monitor, STEP_IN_BACKWARD);
    assert_int_equal(total(RF_STEP_TOTAL_UNTOLD, STEP_FORWARD), 15);
    assert_int_equal(total(RF_STEP_TOTAL_ASKED, STEP_FORWARD), 5);
}

static void a_stream_of_the_programs_own_is_not_asked(void **state)
{
    (void)state;
    probe_follow(steps, stall_current_context(), 3);
    const int before = calls();
    rounds(10, MS);
    assert_int_equal(calls(), before);
    steps_enter(monitor, STEP_IN_BACKWARD);
    assert_int_equal(total(RF_STEP_TOTAL_UNTOLD, STEP_FORWARD), 10);
    assert_int_equal(total(RF_STEP_TOTAL_ASKED, STEP_FORWARD), 0);
    assert_int_equal(steps->entry[RF_STEPS_CLOCK], RF_STEPS_CLOCK_HOST);
}

static void a_call_that_fails_is_the_last_of_its_context(void **state)
{
    (void)state;
    probe_follow(steps, stall_current_context(), 0);
    set_failure("cuStreamQuery");
    rounds(1, MS);
    set_failure(NULL);
    const int before = calls();
    rounds(9, MS);
    assert_int_equal(calls(), before);
    set_context(2);
    probe_follow(steps, stall_current_context(), 0); /* another device */
    rounds(5, MS);
    steps_enter(monitor, STEP_IN_BACKWARD);
    assert_int_equal(total(RF_STEP_TOTAL_UNTOLD, STEP_FORWARD), 10);
    assert_int_equal(total(RF_STEP_TOTAL_ASKED, STEP_FORWARD), 5);
}

static uint32_t looks, empty_looks;

static void look(struct steps *at, uint64_t interval, bool empty)
{
    assert_ptr_equal(at, steps);
    assert_int_equal(interval, ds_load(&steps->interval));
    looks++;
    empty_looks += empty;
}

static void looks_know_whether_it_starves(void **state)
{
    (void)state;
    probe_follow(steps, stall_current_context(), 0);
    probe_set_look(look);
    work(NULL, 3 * MS);
    for (int i = 0; i < 10; i++) {
        probe_ask(i % 2 == 0);
        pass(MS);
    }
    set_capture(1);
    probe_ask(true); /* nothing is known: nothing to look at */
    probe_set_look(NULL);
    assert_int_equal(looks, 5);
    assert_int_equal(empty_looks, 3);
}

static void what_ended_is_not_asked_about(void **state)
{
    (void)state;
    probe_follow(steps, stall_current_context(), 0);
    probe_stop(monitor);
    const int before = calls();
    rounds(3, MS);
    assert_int_equal(calls(), before);
}

static void ask_in_a_child(void *unused)
{
    (void)unused;
    const int before = calls();
    rounds(3, MS);
    CHECK(calls() == before, "a forked child asked the driver");
}

static void a_forked_child_asks_nothing(void **state)
{
    (void)state;
    probe_follow(steps, stall_current_context(), 0);
    assert_int_equal(test_in_child(ask_in_a_child, NULL), 0);
}

static uint64_t asking;

static void *ask_without_pause(void *unused)
{
    (void)unused;
    while (ds_load(&asking) != 0)
        probe_ask(false);
    return NULL;
}

#ifdef __SANITIZE_THREAD__
#define FORKS 8 /* of a second each */
#else
#define FORKS 100
#endif

static int nothing(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)info;
    (void)size;
    (void)unused;
    return 1;
}

/* The loader's list as every import goes through it. */
static void count_in_a_child(void *unused)
{
    (void)unused;
    alarm(20); /* ends one that waits for a lock whose holder it lacks */
    CHECK(probe_rounds() < UINT64_MAX, "never");
    dl_iterate_phdr(nothing, NULL);
}

static void a_child_does_not_wait_for_its_parents_thread(void **state)
{
    (void)state;
    pthread_t thread;
    probe_follow(steps, stall_current_context(), 0);
    ds_store(&asking, 1);
    assert_int_equal(pthread_create(&thread, NULL, ask_without_pause, NULL), 0);
    int failed = 0;
    for (int i = 0; i < FORKS && failed == 0; i++)
        failed = test_in_child(count_in_a_child, NULL);
    ds_store(&asking, 0);
    pthread_join(thread, NULL);
    assert_int_equal(failed, 0);
}

/* Without hand: the thread, which the program may fork under and which it can stop. */
static void the_thread_asks_by_itself(void)
{
    const uint64_t before = probe_rounds();
    probe_follow(steps, stall_current_context(), 0);
    for (int i = 0; i < 6000 && probe_rounds() < before + 20; i++)
        usleep(10000);
    CHECK(probe_rounds() >= before + 20, "no thread asks");
    CHECK(test_in_child(ask_in_a_child, NULL) == 0, "the child");
    probe_stop(monitor);
    const uint64_t stopped = probe_rounds();
    usleep(100000);
    CHECK(probe_rounds() == stopped, "it goes on asking");
    probe_follow(steps, stall_current_context(), 0); /* and begins again */
    for (int i = 0; i < 6000 && probe_rounds() == stopped; i++)
        usleep(10000);
    CHECK(probe_rounds() > stopped, "it does not begin again");
    steps_enter(monitor, STEP_IN_BACKWARD);
    CHECK(total(RF_STEP_TOTAL_ASKED, STEP_FORWARD) > 0, "nothing was counted");
}

static void find_functions(void)
{
    void *library = dlopen(library_path, RTLD_NOW | RTLD_GLOBAL);
    CHECK(library != NULL, "%s", dlerror());
    *(void **)&work = dlsym(library, "fake_cuda_work");
    *(void **)&pass = dlsym(library, "fake_cuda_advance");
    *(void **)&set_context = dlsym(library, "fake_cuda_context");
    *(void **)&set_capture = dlsym(library, "fake_cuda_capture");
    *(void **)&set_failure = dlsym(library, "fake_cuda_fail");
    *(void **)&calls = dlsym(library, "fake_cuda_calls");
    CHECK(stall_enable(), "the fake driver is not found");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_starves_shows_in_its_phase, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(a_capture_is_not_touched, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(where_blocking_streams_capture_nothing_is_asked_again,
                                        open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(a_stream_of_the_programs_own_is_not_asked, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(a_call_that_fails_is_the_last_of_its_context, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(looks_know_whether_it_starves, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(what_ended_is_not_asked_about, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(a_forked_child_asks_nothing, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(a_child_does_not_wait_for_its_parents_thread, open_monitor,
                                        close_monitor),
    };
    if (argc < 2)
        return 2;
    library_path = argv[1];
    find_functions();
    void *none = NULL;
    open_monitor(&none); /* first: from then on the tests ask themselves */
    the_thread_asks_by_itself();
    close_monitor(&none);
    probe_by_hand();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
