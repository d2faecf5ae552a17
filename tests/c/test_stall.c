/* SPDX-License-Identifier: Apache-2.0 */
/* Exposed stall against a GPU that is a clock (tests/fake/cuda.c): what is exposed, hidden, a
 * bound, unknown; and that nothing is touched that must not be. test_stall LIBCUDA */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmocka_all.h"
#include "gpu/stall.h"
#include "runfile/view.h"

#define MS UINT64_C(1000000)
#define SLACK_NS 1000 /* CUDA tells distances as float milliseconds */

static void (*work)(void *, uint64_t);
static void (*pass)(uint64_t); /* time, on the GPU's clock */
static void (*set_context)(uintptr_t);
static void (*set_capture)(int);
static void (*set_failure)(const char *);
static int (*calls)(void);
static int (*capture_mode)(void);
static int (*live_events)(void);
static const char *library_path;

static datastall_monitor *monitor;
static datastall_loader *loader;
static struct monitor_slot *slot;

/* One next() of `ns`, as python/timed_next.c does it. */
static struct stall_bounds wait_for(uint64_t ns, uint64_t stream)
{
    struct stall_mark mark;
    struct stall_bounds stall = {1, 1, .carried = true}; /* of the last wait */
    datastall_wait wait = datastall_wait_begin(loader);
    stall_begin(slot, stream, &mark);
    pass(ns);
    const uint64_t end_ns = wait.begin_ns + ns;
    stall_end(slot, stream, &mark, end_ns - wait.begin_ns, slot->writer.head, 0, &stall);
    monitor_wait_end(&wait, end_ns, DATASTALL_WAIT_STEADY, NULL, &stall, NULL);
    return stall;
}

/* The same in a thread that goes from device to device. */
static void wait_on(uintptr_t context, uint64_t ns)
{
    struct stall_mark mark;
    struct stall_bounds stall;
    set_context(context);
    datastall_wait wait = datastall_wait_begin(loader);
    assert_true(monitor_wait_on_device(&wait, stall_current_device()));
    struct monitor_slot *own = wait.slot;
    stall_begin(own, 0, &mark);
    pass(ns);
    const uint64_t end_ns = wait.begin_ns + ns;
    stall_end(own, 0, &mark, ns, own->writer.head, 0, &stall);
    monitor_wait_end(&wait, end_ns, DATASTALL_WAIT_STEADY, NULL, &stall, NULL);
}

/* As a reader sees them: nothing of the slot is changed by looking. */
static const uint64_t *counters(void)
{
    static uint64_t seen[RF_COUNT_WORDS];
    const struct rf_slot_layout *layout = slot->writer.layout;
    const struct rf_source source = {
        .memory = slot->writer.commit.block, .fd = -1, .bytes = layout->words * 8};
    struct rf_slot_view view;
    assert_int_equal(rf_slot_view_read(&source, layout, 0, RF_PART_ALL, NULL, &view), RF_VIEW_OK);
    memcpy(seen, view.counters, sizeof seen);
    rf_slot_view_free(&view);
    return seen;
}

static void assert_about(uint64_t value_ns, uint64_t wanted_ns)
{
    assert_in_range(value_ns, wanted_ns > SLACK_NS ? wanted_ns - SLACK_NS : 0,
                    wanted_ns + SLACK_NS);
}

static int set_up(void **state)
{
    (void)state;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    datastall_loader_options loader_options = DATASTALL_LOADER_OPTIONS_INIT;
    options.flags = DATASTALL_MEMORY_ONLY;
    loader_options.name = "stall";
    if (datastall_open(&options, &monitor) != DATASTALL_OK ||
        datastall_loader_register(monitor, &loader_options, &loader) != DATASTALL_OK)
        return -1;
    slot = monitor_slot_of(loader);
    set_failure(NULL);
    set_capture(0);
    set_context(1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    datastall_close(monitor);
    pass(5000 * MS); /* no test's work is left for the next */
    return 0;
}

static void an_idle_gpu_feels_the_whole_wait(void **state)
{
    (void)state;
    struct stall_bounds stall = wait_for(20 * MS, 0);
    assert_about(stall.upper_ns, 20 * MS);
    assert_int_equal(stall.lower_ns, stall.upper_ns);
    assert_int_equal(counters()[RF_COUNT_STALL_WAITS], 1);
    assert_int_equal(counters()[RF_COUNT_STALL_KNOWN_NS], counters()[RF_COUNT_STALL_UPPER_NS]);
    assert_int_equal(counters()[RF_COUNT_STALL_CARRIED_NS], 0);
}

static void a_busy_gpu_hides_the_wait(void **state)
{
    (void)state;
    work(NULL, 60 * MS);
    struct stall_bounds stall = wait_for(20 * MS, 0);
    assert_int_equal(stall.upper_ns, 0);
    assert_int_equal(stall.lower_ns, 0);
    assert_about(counters()[RF_COUNT_STALL_KNOWN_NS], 20 * MS);
    pass(50 * MS);
}

static void the_rest_is_exposed_and_comes_late(void **state)
{
    (void)state;
    work(NULL, 15 * MS);
    struct stall_bounds stall = wait_for(40 * MS, 0);
    assert_true(stall.upper_ns == RF_UNKNOWN); /* read when the GPU has reached the second event */
    assert_int_equal(counters()[RF_COUNT_STALL_WAITS], 0);
    pass(MS);
    wait_for(MS, 0);
    assert_int_equal(counters()[RF_COUNT_STALL_WAITS], 2);
    /* 25 of the 40 ms, and the whole of the second wait */
    assert_about(counters()[RF_COUNT_STALL_UPPER_NS], 26 * MS);
    assert_int_equal(counters()[RF_COUNT_STALL_UPPER_NS], counters()[RF_COUNT_STALL_LOWER_NS]);
    /* It also stands in the record of the wait itself. */
    const uint64_t *record = slot->writer.commit.block + slot->writer.layout->ring_at;
    assert_about(record[RF_RECORD_STALL_UPPER], 25 * MS);
}

/* The same where the wait's row is in the totals by then. */
static void a_late_stall_of_a_counted_wait(void **state)
{
    (void)state;
    work(NULL, 15 * MS);
    wait_for(40 * MS, 0);
    rf_slot_flush(&slot->writer);
    assert_int_equal(counters()[RF_COUNT_STALL_WAITS], 0);
    pass(MS);
    wait_for(MS, 0);
    rf_slot_flush(&slot->writer);
    assert_int_equal(counters()[RF_COUNT_STALL_WAITS], 2);
    assert_about(counters()[RF_COUNT_STALL_UPPER_NS], 26 * MS);
    assert_int_equal(counters()[RF_COUNT_STALL_KNOWN_NS], counters()[RF_COUNT_STEADY_NS]);
    const uint64_t *record = slot->writer.commit.block + slot->writer.layout->ring_at;
    assert_about(record[RF_RECORD_STALL_UPPER], 25 * MS);
}

static void what_is_under_way_at_the_end_is_not_lost(void **state)
{
    (void)state;
    const int live = live_events();
    work(NULL, 5 * MS);
    wait_for(20 * MS, 0);
    assert_true(live_events() > live);
    assert_int_equal(counters()[RF_COUNT_STALL_WAITS], 0);
    pass(MS);
    const uint64_t batches = counters()[RF_COUNT_BATCHES], end_ns = counters()[RF_COUNT_END_NS];
    stall_finish(monitor);
    assert_int_equal(counters()[RF_COUNT_STALL_WAITS], 1);
    assert_about(counters()[RF_COUNT_STALL_UPPER_NS], 15 * MS);
    assert_int_equal(counters()[RF_COUNT_BATCHES], batches); /* the note is no wait */
    assert_int_equal(counters()[RF_COUNT_END_NS], end_ns);
    assert_int_equal(live_events(), live); /* given back */
    assert_true(wait_for(MS, 0).upper_ns == RF_UNKNOWN);
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    assert_int_equal(datastall_loader_statistics(loader, &s), DATASTALL_OK);
    assert_int_equal(s.steady.count, 2);
}

static void another_stream_gives_a_bound(void **state)
{
    (void)state;
    struct stall_bounds stall = wait_for(10 * MS, 3);
    assert_about(stall.upper_ns, 10 * MS);
    assert_int_equal(stall.lower_ns, 0);
    assert_int_equal(counters()[RF_COUNT_STALL_BOUNDS], 1);
}

static void *wait_in_a_thread(void *out)
{
    set_context(1);
    slot = monitor_slot_of(loader);
    *(struct stall_bounds *)out = wait_for(10 * MS, 0);
    return NULL;
}

static void another_thread_gives_a_bound(void **state)
{
    (void)state;
    pthread_t thread;
    struct stall_bounds stall;
    pthread_create(&thread, NULL, wait_in_a_thread, &stall);
    pthread_join(thread, NULL);
    assert_about(stall.upper_ns, 10 * MS);
    assert_int_equal(stall.lower_ns, 0);
}

static void a_capture_is_not_touched(void **state)
{
    (void)state;
    set_capture(1); /* the fake aborts when something that spoils a capture is called */
    struct stall_bounds stall = wait_for(5 * MS, 0);
    struct stall_mark mark;
    stall_probe_begin(0, &mark);
    stall_probe_end(&mark, MS, &stall);
    assert_true(stall.upper_ns == RF_UNKNOWN);
    assert_int_equal(stall_unknown_count(slot, STALL_CAPTURING), 1);
    set_capture(0);
    assert_true(wait_for(MS, 0).upper_ns != RF_UNKNOWN);
}

static void a_capture_that_begins_while_it_waits(void **state)
{
    (void)state;
    struct stall_mark mark;
    struct stall_bounds stall;
    work(NULL, 5 * MS);
    stall_begin(slot, 0, &mark);
    set_capture(1);
    stall_end(slot, 0, &mark, MS, 0, 0, &stall);
    assert_true(stall.upper_ns == RF_UNKNOWN);
    set_capture(0);
}

static void the_capture_mode_is_restored(void **state)
{
    (void)state;
    const int before = capture_mode();
    work(NULL, 3 * MS);
    wait_for(5 * MS, 0);
    wait_for(MS, 0);
    assert_int_equal(capture_mode(), before);
}

static void no_context_no_calls(void **state)
{
    (void)state;
    set_context(0);
    const int before = calls();
    struct stall_bounds stall = wait_for(MS, 0);
    assert_true(stall.upper_ns == RF_UNKNOWN);
    assert_int_equal(stall_unknown_count(slot, STALL_NO_CONTEXT), 1);
    assert_int_equal(calls() - before, 1); /* the question for the context itself */
    assert_int_equal(stall_current_device(), -1);
}

static void a_failing_driver_is_left_alone(void **state)
{
    (void)state;
    static const char *const functions[] = {"cuStreamQuery", "cuEventRecord", "cuEventQuery",
                                            "cuEventElapsedTime", "cuEventCreate"};
    for (uintptr_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        set_context(10 + i); /* events are off per context */
        set_failure(functions[i]);
        work(NULL, 5 * MS);
        for (int k = 0; k < 3; k++)
            wait_for(7 * MS, 0);
        const int before = calls();
        wait_for(MS, 0);
        assert_in_range(calls() - before, 1, 3); /* asks for the context, and no more */
        set_failure(NULL);
    }
    assert_true(stall_unknown_count(slot, STALL_FAILED) > 4);
    assert_int_equal(counters()[RF_COUNT_BATCHES], 20); /* every wait was recorded all the same */
}

static void a_context_that_goes_away(void **state)
{
    (void)state;
    struct stall_mark mark;
    struct stall_bounds stall;
    work(NULL, 5 * MS);
    wait_for(10 * MS, 0); /* two events are under way */
    work(NULL, 5 * MS);
    stall_begin(slot, 0, &mark);
    set_context(2);
    stall_end(slot, 0, &mark, MS, 1, 0, &stall);
    assert_true(stall.upper_ns == RF_UNKNOWN);
    pass(6 * MS);
    assert_true(wait_for(MS, 0).upper_ns != RF_UNKNOWN);
    unsigned char uuid[16];
    memcpy(uuid, slot->writer.commit.block + RF_BLOCK_PAYLOAD + RF_SLOT_GPU_UUID_0, 16);
    assert_int_equal(uuid[0], 0xa1); /* device 1 now */
}

static void a_forked_child_makes_no_call(void **state)
{
    (void)state;
    wait_for(MS, 0);
    pid_t child = fork();
    if (child == 0) {
        const int before = calls();
        struct stall_mark mark;
        struct stall_bounds stall;
        stall_probe_begin(0, &mark);
        stall_probe_end(&mark, MS, &stall);
        bool quiet = !stall_is_enabled() && !stall_enable() && calls() == before &&
                     stall_current_device() == -1;
        _exit(quiet && calls() == before ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void making_an_iterator(void **state)
{
    (void)state;
    struct stall_mark mark;
    struct stall_bounds stall;
    stall_probe_begin(0, &mark);
    stall_probe_end(&mark, 7 * MS, &stall);
    assert_int_equal(stall.upper_ns, 7 * MS);
    assert_int_equal(stall.lower_ns, 7 * MS);
    work(NULL, 30 * MS);
    stall_probe_begin(0, &mark);
    stall_probe_end(&mark, 7 * MS, &stall);
    assert_int_equal(stall.upper_ns, 0);
    work(NULL, 5 * MS);
    stall_probe_begin(0, &mark);
    pass(40 * MS);
    stall_probe_end(&mark, 40 * MS, &stall);
    assert_int_equal(stall.upper_ns, 40 * MS); /* the GPU ran dry at a time that nobody asked for */
    assert_int_equal(stall.lower_ns, 0);
}

/* One next() of `ns` that is taken to be short; asked: whether the GPU was asked all the same. */
static struct stall_bounds short_wait(uint64_t ns, bool *asked)
{
    struct stall_bounds stall;
    const int before = calls();
    *asked = !stall_carries(slot);
    if (*asked)
        return wait_for(ns, 0);
    datastall_wait wait = datastall_wait_begin(loader);
    pass(ns);
    stall_carried(slot, ns, &stall);
    assert_int_equal(calls(), before);
    monitor_wait_end(&wait, wait.begin_ns + ns, DATASTALL_WAIT_STEADY, NULL, &stall, NULL);
    return stall;
}

/* How many in a row, after so many questions that were asked all the same; then one is asked about. */
static uint32_t carried_after(uint32_t questions)
{
    bool asked;
    for (uint32_t i = 0; i < questions; i++) {
        short_wait(100000, &asked);
        assert_true(asked);
    }
    uint32_t count = 0;
    for (short_wait(100000, &asked); !asked; short_wait(100000, &asked))
        count++;
    return count;
}

/* Questions about other waits, which were not taken to be short, are no turn of these. */
static void every_so_many_short_ones_are_asked(void **state)
{
    (void)state;
    bool asked;
    carried_after(9);
    uint32_t in_a_row = 0, most = 0;
    for (int i = 0; i < 400; i++) {
        if (i % 4 == 0)
            wait_for(MS, 0);
        short_wait(100000, &asked);
        in_a_row = asked ? 0 : in_a_row + 1;
        most = in_a_row > most ? in_a_row : most;
    }
    assert_in_range(most, 7, 22);
}

static void short_waits_take_the_answers_of_those_before(void **state)
{
    (void)state;
    bool asked;
    assert_in_range(carried_after(9), 7, 22);
    assert_in_range(carried_after(0), 7, 22);
    const uint64_t known_ns = counters()[RF_COUNT_STALL_KNOWN_NS];
    const uint64_t carried_ns = counters()[RF_COUNT_STALL_CARRIED_NS];
    struct stall_bounds stall = short_wait(250000, &asked);
    assert_false(asked);
    assert_true(stall.lower_ns == 250000 && stall.upper_ns == 250000 && stall.carried);
    assert_int_equal(counters()[RF_COUNT_STALL_CARRIED_NS], carried_ns + 250000);
    assert_int_equal(counters()[RF_COUNT_STALL_KNOWN_NS], known_ns + 250000);
    stall = short_wait(250001, &asked); /* it was long after all: it may have been hidden */
    assert_false(asked);
    assert_true(stall.lower_ns == 0 && stall.upper_ns == 250001);
}

/* The GPU has work for all of them. */
static void short_waits_of_a_fed_gpu_are_taken_to_be_hidden(void **state)
{
    (void)state;
    bool asked;
    work(NULL, 400 * MS);
    assert_in_range(carried_after(9), 7, 22);
    const uint64_t known_ns = counters()[RF_COUNT_STALL_KNOWN_NS];
    const uint64_t upper_ns = counters()[RF_COUNT_STALL_UPPER_NS];
    struct stall_bounds stall = short_wait(250000, &asked);
    assert_false(asked);
    assert_true(stall.lower_ns == 0 && stall.upper_ns == 0 && stall.carried);
    assert_int_equal(counters()[RF_COUNT_STALL_KNOWN_NS], known_ns + 250000);
    assert_int_equal(counters()[RF_COUNT_STALL_UPPER_NS], upper_ns);
    stall = short_wait(250001, &asked); /* it was long after all: the GPU may have run dry */
    assert_false(asked);
    assert_true(stall.lower_ns == 0 && stall.upper_ns == 250001);
    /* It did: from the next question on nothing is taken for granted. */
    pass(400 * MS);
    for (asked = false; !asked;)
        stall = short_wait(100000, &asked);
    assert_true(stall.lower_ns == 100000 && stall.upper_ns == 100000);
    assert_in_range(carried_after(15), 7, 22); /* with that one twice as many as before */
    assert_int_equal(short_wait(100000, &asked).upper_ns, 100000);
    /* Work that ends during the wait is neither. */
    for (int i = 0; i < 40; i++) {
        work(NULL, 50000);
        short_wait(100000, &asked);
        pass(MS);
    }
    assert_true(asked);
}

/* Short waits of a program that does something else each so many steps: how many of what it does seldom were told
 * as if they were like the others, and how many questions there were. */
struct periodic {
    uint32_t waits, asked, wrong;
};
static struct periodic periodic_waits(uint32_t periods, uint32_t fed, uint32_t starved)
{
    struct periodic found = {0, 0, 0};
    bool asked;
    for (uint32_t i = 0; i < periods * (fed + starved); i++) {
        const bool has_work = i % (fed + starved) < fed;
        if (has_work)
            work(NULL, 10 * MS);
        const struct stall_bounds stall = short_wait(100000, &asked);
        pass(20 * MS);
        found.waits++;
        found.asked += asked;
        found.wrong += stall.upper_ns != (has_work ? 0 : 100000);
    }
    return found;
}

/* A program that synchronises each so many steps, logs, validates: its waits after that are found out. */
static void what_is_done_now_and_then_is_found_out(void **state)
{
    (void)state;
    const struct {
        uint32_t fed, starved;
    } patterns[] = {{8, 1}, {11, 1}, {49, 1}, {8, 7}, {8, 12}, {20, 5}, {7, 20}, {1, 30}, {30, 30}};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const uint32_t fed = patterns[i].fed, starved = patterns[i].starved;
        periodic_waits(200, fed, starved);
        const struct periodic found = periodic_waits(100, fed, starved);
        if (found.wrong > 0)
            fail_msg("%u and %u: %u of %u", fed, starved, found.wrong, found.waits);
    }
    /* What is seldom is not, and costs no question of each of the others. */
    periodic_waits(40, 299, 1);
    assert_true(periodic_waits(20, 299, 1).asked < 20 * 100);
    /* Where nothing is different any more, it is as before. */
    periodic_waits(6000, 1, 0);
    assert_in_range(periodic_waits(1500, 1, 0).asked, 60, 200);
    bool asked;
    for (asked = false; !asked;)
        short_wait(100000, &asked);
    assert_in_range(carried_after(15), 7, 22);
}

static void what_has_them_asked_again(void **state)
{
    (void)state;
    bool asked;
    carried_after(9);
    while (!short_wait(100000, &asked).carried)
        ;
    /* Work that is not done when it is asked about: from then on all are. */
    for (asked = false; !asked;) {
        work(NULL, 10 * MS);
        short_wait(100000, &asked);
        pass(20 * MS);
    }
    assert_in_range(carried_after(16), 7, 22); /* twice as many as before */
    /* A call that fails, another context, a capture. */
    set_failure("cuStreamQuery");
    for (asked = false; !asked;)
        short_wait(100000, &asked);
    assert_false(stall_carries(slot));
    set_failure(NULL);
    set_context(2);
    assert_in_range(carried_after(8), 7, 22);
    set_capture(1);
    for (asked = false; !asked;)
        short_wait(100000, &asked);
    set_capture(0);
    set_context(1);
}

/* Before the first question, and while the stall of another wait is not known yet. */
static void what_is_never_carried(void **state)
{
    (void)state;
    assert_false(stall_carries(slot));
    carried_after(9);
    wait_for(MS, 0);
    work(NULL, 3 * MS);
    wait_for(5 * MS, 0); /* under way until somebody looks */
    for (int i = 0; i < 8; i++)
        assert_false(stall_carries(slot));
}

static void side_streams_make_bounds(void **state)
{
    (void)state;
    stall_note_side_stream(); /* stays: the last test */
    struct stall_bounds stall = wait_for(5 * MS, 0);
    assert_about(stall.upper_ns, 5 * MS);
    assert_int_equal(stall.lower_ns, 0);
    bool asked;
    carried_after(8);
    stall = short_wait(1000, &asked);
    assert_true(!asked && stall.lower_ns == 0 && stall.upper_ns == 1000);
}

static void find(void *library, void *place, const char *name)
{
    void *symbol = dlsym(library, name);
    if (symbol == NULL)
        exit(2);
    memcpy(place, &symbol, sizeof symbol);
}

/* Each device has the stalls that it felt itself, however the thread changes between them. */
static void two_devices_share_no_stall(void **state)
{
    (void)state;
    const uint64_t claims = monitor->claims;
    for (int i = 0; i < 50; i++) {
        wait_on(1, 10 * MS);
        wait_on(2, 30 * MS);
        wait_on(2, 30 * MS);
    }
    assert_in_range(monitor->claims - claims, 1, 2); /* one for each: no lock at a change */
    uint64_t known[2] = {0}, upper[2] = {0};
    for (uint32_t i = 0; i < monitor->slot_count; i++) {
        struct monitor_slot *s = &monitor->slots[i];
        if (!s->used)
            continue;
        rf_slot_flush(&s->writer);
        const uint64_t *payload = s->writer.commit.block + RF_BLOCK_PAYLOAD;
        const uint64_t uuid = ds_load(&payload[RF_SLOT_GPU_UUID_0]);
        const int device = uuid == UINT64_C(0xa0a0a0a0a0a0a0a0) ? 0 : 1;
        assert_true(device == 0 || uuid == UINT64_C(0xa1a1a1a1a1a1a1a1));
        known[device] += s->writer.counters[RF_COUNT_STALL_KNOWN_NS];
        upper[device] += s->writer.counters[RF_COUNT_STALL_UPPER_NS];
    }
    assert_about(known[0], 50 * 10 * MS);
    assert_about(known[1], 100 * 30 * MS);
    assert_true(upper[0] == known[0] && upper[1] == known[1]);
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    assert_int_equal(datastall_loader_statistics(loader, &s), 0);
    assert_int_equal(s.batches, 150);
}

/* A slot that is not there leaves the stall unknown, and the wait where it was. */
static void without_a_slot_the_stall_is_unknown(void **state)
{
    (void)state;
    const uint32_t all = monitor->slot_count;
    wait_on(1, MS);
    monitor->slot_count = 1;
    set_context(2);
    datastall_wait wait = datastall_wait_begin(loader);
    struct monitor_slot *before = wait.slot;
    assert_false(monitor_wait_on_device(&wait, stall_current_device()));
    assert_ptr_equal(wait.slot, before);
    datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, NULL);
    monitor->slot_count = all;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    library_path = argv[1];
    if (stall_enable()) /* not loaded: never a second copy, never an initialisation */
        return 3;
    void *library = dlopen(library_path, RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    find(library, &work, "fake_cuda_work");
    find(library, &pass, "fake_cuda_advance");
    find(library, &set_context, "fake_cuda_context");
    find(library, &set_capture, "fake_cuda_capture");
    find(library, &set_failure, "fake_cuda_fail");
    find(library, &calls, "fake_cuda_calls");
    find(library, &capture_mode, "fake_cuda_mode");
    find(library, &live_events, "fake_cuda_live_events");
    if (!stall_enable() || calls() != 0)
        return 4;
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_idle_gpu_feels_the_whole_wait),
        TEST(a_busy_gpu_hides_the_wait),
        TEST(the_rest_is_exposed_and_comes_late),
        TEST(a_late_stall_of_a_counted_wait),
        TEST(what_is_under_way_at_the_end_is_not_lost),
        TEST(another_stream_gives_a_bound),
        TEST(another_thread_gives_a_bound),
        TEST(a_capture_is_not_touched),
        TEST(a_capture_that_begins_while_it_waits),
        TEST(the_capture_mode_is_restored),
        TEST(no_context_no_calls),
        TEST(a_failing_driver_is_left_alone),
        TEST(a_context_that_goes_away),
        TEST(a_forked_child_makes_no_call),
        TEST(making_an_iterator),
        TEST(short_waits_take_the_answers_of_those_before),
        TEST(what_has_them_asked_again),
        TEST(short_waits_of_a_fed_gpu_are_taken_to_be_hidden),
        TEST(what_is_done_now_and_then_is_found_out),
        TEST(what_is_never_carried),
        TEST(every_so_many_short_ones_are_asked),
        TEST(two_devices_share_no_stall),
        TEST(without_a_slot_the_stall_is_unknown),
        TEST(side_streams_make_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
