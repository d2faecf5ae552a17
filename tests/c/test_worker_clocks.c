/* SPDX-License-Identifier: Apache-2.0 */
/* A worker whose thread is put aside between two reads of its clocks, at every place in turn. The
 * clocks are this program's own (clock_gettime is wrapped), and so is what schedstat says. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/worker.h"
#include "runfile/writer.h"
#include "support.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define PERIOD (90 * MS) /* of a CPU quota: what a thread is put aside for */
#define STEP (1 * US)    /* between two reads of a clock, on a CPU */
#define NEVER UINT32_MAX

static struct {
    uint64_t wall_ns, cpu_ns, delay_ns;
    uint32_t reads;                  /* of the thread's CPU clock, after each of which */
    uint32_t put_aside_at, so_often; /* ... it is put aside, from this one on */
    int schedstat;
} machine;

int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __real_clock_gettime(clockid_t clock, struct timespec *time);

static void be_put_aside(void)
{
    char text[96];
    machine.wall_ns += PERIOD;
    machine.delay_ns += PERIOD;
    const int length =
        snprintf(text, sizeof text, "%llu %llu 1\n", 0ULL, (unsigned long long)machine.delay_ns);
    assert_int_equal(pwrite(machine.schedstat, text, (size_t)length, 0), length);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    if (machine.wall_ns == 0) /* not ours yet: what opens a file, or cmocka */
        return __real_clock_gettime(clock, time);
    machine.wall_ns += STEP;
    machine.cpu_ns += STEP;
    const uint64_t ns = clock == CLOCK_THREAD_CPUTIME_ID ? machine.cpu_ns : machine.wall_ns;
    *time = (struct timespec){(time_t)(ns / DS_NS_PER_S), (long)(ns % DS_NS_PER_S)};
    if (clock == CLOCK_THREAD_CPUTIME_ID) {
        const uint32_t read = machine.reads++;
        if (read >= machine.put_aside_at && read - machine.put_aside_at < machine.so_often)
            be_put_aside();
    }
    return 0;
}

static void begin_machine(uint32_t put_aside_at, uint32_t so_often)
{
    memset(&machine, 0, sizeof machine);
    machine.put_aside_at = put_aside_at;
    machine.so_often = so_often;
    machine.schedstat = memfd_create("schedstat", MFD_CLOEXEC);
    assert_true(machine.schedstat >= 0);
    machine.wall_ns = 1000 * DS_NS_PER_S;
}

static void end_machine(void)
{
    close(machine.schedstat);
    machine.wall_ns = 0;
}

/* ---- one moment ---- */

static void work(uint64_t cpu_ns)
{
    machine.wall_ns += cpu_ns;
    machine.cpu_ns += cpu_ns;
}

static void nothing_between(void **state)
{
    (void)state;
    struct host_thread_times times;
    begin_machine(NEVER, 0);
    assert_int_equal(host_moment_read(machine.schedstat, &times), 1000 * DS_NS_PER_S + STEP);
    assert_int_equal(times.cpu_ns, 2 * STEP);
    assert_int_equal(machine.reads, 1);
    end_machine();
}

static void read_again(void **state)
{
    (void)state;
    struct host_thread_times times;
    begin_machine(0, 1);
    const uint64_t wall_ns = host_moment_read(machine.schedstat, &times);
    assert_int_equal(machine.reads, 2);
    assert_int_equal(wall_ns, 1000 * DS_NS_PER_S + PERIOD + 4 * STEP);
    assert_int_equal(times.cpu_ns, 5 * STEP);
    assert_int_equal(times.delay_ns, PERIOD);
    end_machine();
}

/* A machine on which it never fits: an end all the same, and some reading. */
static void not_for_ever(void **state)
{
    (void)state;
    struct host_thread_times times;
    begin_machine(0, NEVER);
    assert_true(host_moment_read(machine.schedstat, &times) > 1000 * DS_NS_PER_S);
    assert_int_equal(machine.reads, 4);
    assert_true(times.delay_ns > 0);
    end_machine();
}

/* Who only ran has waited for nothing: that is not asked. */
static void a_moment_of_a_thread_that_ran(void **state)
{
    (void)state;
    static const struct {
        uint64_t ran_ns, off_ns, most_ns;
        bool asked;
    } rows[] = {
        {3 * MS, 0, UINT64_MAX, false},       {3 * MS, 25 * US, UINT64_MAX, false},
        {3 * MS, 40 * US, UINT64_MAX, true},  {300 * MS, 1 * MS, UINT64_MAX, false},
        {300 * MS, 2 * MS, UINT64_MAX, true}, {0, 15 * US, UINT64_MAX, false},
        {0, 25 * US, UINT64_MAX, true},       {40 * US, 0, 50 * US, false},
        {60 * US, 0, 50 * US, true},          {0, 0, 0, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct host_moment before, moment;
        begin_machine(NEVER, 0);
        machine.delay_ns = 5 * MS - PERIOD;
        be_put_aside(); /* which schedstat tells now */
        before.wall_ns = host_moment_read(machine.schedstat, &before.times);
        before.times.delay_ns = 4 * MS; /* what a derived moment takes over */
        work(rows[i].ran_ns);
        machine.wall_ns += rows[i].off_ns;
        const uint32_t reads = machine.reads;
        host_moment_since(machine.schedstat, &before, rows[i].most_ns, &moment);
        const struct host_thread_times *a = &before.times, *b = &moment.times;
        CHECK(moment.asked == rows[i].asked, "row %zu", i);
        const bool twice = rows[i].asked && rows[i].most_ns == UINT64_MAX;
        CHECK(machine.reads == reads + 1 + twice, "row %zu: %u reads", i, machine.reads);
        CHECK(b->delay_ns == (rows[i].asked ? 5 * MS : 4 * MS), "row %zu", i);
        CHECK(b->cpu_ns - a->cpu_ns >= rows[i].ran_ns, "row %zu", i);
        CHECK(moment.wall_ns - before.wall_ns >= rows[i].ran_ns + rows[i].off_ns, "row %zu", i);
        CHECK(rows[i].asked || b->process_cpu_ns - a->process_cpu_ns == b->cpu_ns - a->cpu_ns,
              "row %zu", i);
        end_machine();
    }
}

/* ---- a worker ---- */

static void make_batch(struct worker *worker)
{
    worker_begin(worker);
    work(3 * MS);
    worker_item(worker, ds_now_ns(), 0);
    worker_items_end(worker);
    work(2 * MS);
    worker_end(worker, RF_BATCH_MADE);
    work(1 * MS);
}

/* Whatever part the time counts to, it is there with both: no part waited for a CPU for longer than it
 * took, and none that did not stop counts as blocked. */
static void assert_consistent(const uint64_t *t, uint32_t part, uint64_t *told_ns)
{
    const uint64_t wall_ns = t[part], accounted_ns = t[part + 1] + t[part + 2];
    assert_true(accounted_ns <= wall_ns + 10 * STEP);
    assert_true(wall_ns <= accounted_ns + 10 * STEP);
    *told_ns += wall_ns;
}

/* Returns how often the CPU clock was read. */
static uint32_t put_aside_once(uint32_t at)
{
    const struct rf_spec spec = {.workers = 1};
    const struct rf_process_static process = {.pid = 1};
    struct rf_writer *writer;
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &writer), 0);
    struct worker *worker = worker_open_own(writer, 0);
    assert_non_null(worker);
    const int real = worker->schedstat;
    begin_machine(at, 1);
    worker->schedstat = machine.schedstat;
    worker->opened_ns = machine.wall_ns;
    make_batch(worker);
    make_batch(worker);
    const uint64_t *t = worker->totals;
    uint64_t told_ns = 0;
    _Static_assert(RF_TOTAL_ITEMS_CPU_NS == RF_TOTAL_ITEMS_NS + 1 &&
                       RF_TOTAL_ITEMS_DELAY_NS == RF_TOTAL_ITEMS_NS + 2 &&
                       RF_TOTAL_COLLATE_CPU_NS == RF_TOTAL_COLLATE_NS + 1 &&
                       RF_TOTAL_COLLATE_DELAY_NS == RF_TOTAL_COLLATE_NS + 2 &&
                       RF_TOTAL_GAP_CPU_NS == RF_TOTAL_GAP_NS + 1 &&
                       RF_TOTAL_GAP_DELAY_NS == RF_TOTAL_GAP_NS + 2,
                   "a part, its CPU time, its wait for a CPU");
    assert_consistent(t, RF_TOTAL_ITEMS_NS, &told_ns);
    assert_consistent(t, RF_TOTAL_COLLATE_NS, &told_ns);
    assert_consistent(t, RF_TOTAL_GAP_NS, &told_ns);
    assert_int_equal(told_ns, t[RF_TOTAL_END_NS] - t[RF_TOTAL_BEGIN_NS]); /* all of it, once */
    const uint32_t reads = machine.reads;
    worker->schedstat = real;
    end_machine();
    worker_close(worker);
    rf_writer_destroy(writer);
    return reads;
}

static void put_aside_anywhere(void **state)
{
    (void)state;
    const uint32_t reads = put_aside_once(NEVER);
    assert_int_equal(reads, 6); /* three moments of each batch */
    for (uint32_t at = 0; at < reads; at++)
        assert_int_equal(put_aside_once(at), reads + 1);
}

/* Between two batches other threads of the process may run, whose time would be the items': the clocks
 * are read where that was long, and where they were not read for long. */
static void between_two_batches(void **state)
{
    (void)state;
    static const struct {
        uint64_t batch_ns, between_ns;
        bool asked;
    } rows[] = {
        {1 * MS, 40 * US, false}, {1 * MS, 60 * US, true}, {4900 * US, 40 * US, false},
        {5 * MS, 40 * US, true},  {1 * MS, 20 * MS, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct rf_spec spec = {.workers = 1};
        const struct rf_process_static process = {.pid = 1};
        struct rf_writer *writer;
        assert_int_equal(rf_writer_create(NULL, &spec, &process, &writer), 0);
        struct worker *worker = worker_open_own(writer, 0);
        assert_non_null(worker);
        const int real = worker->schedstat;
        begin_machine(NEVER, 0);
        worker->schedstat = machine.schedstat;
        worker->opened_ns = machine.wall_ns;
        worker_begin(worker);
        work(rows[i].batch_ns);
        worker_end(worker, RF_BATCH_MADE);
        work(rows[i].between_ns);
        worker_begin(worker);
        CHECK(worker->begin.asked == rows[i].asked, "row %zu", i);
        worker->schedstat = real;
        end_machine();
        worker_close(worker);
        rf_writer_destroy(writer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_between),    cmocka_unit_test(read_again),
        cmocka_unit_test(not_for_ever),       cmocka_unit_test(a_moment_of_a_thread_that_ran),
        cmocka_unit_test(put_aside_anywhere), cmocka_unit_test(between_two_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
