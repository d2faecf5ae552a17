/* SPDX-License-Identifier: Apache-2.0 */
/* A worker whose thread is put aside between two reads of its clocks, at every place in turn. The
 * clocks are this program's own (clock_gettime is wrapped), and so is what schedstat says. */
#include "cmocka_all.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/loop_look.h"
#include "record/worker.h"
#include "runfile/writer.h"
#include "support.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define PERIOD (90 * MS) /* of a CPU quota: what a thread is put aside for */
#define STEP (1 * US)    /* between two reads of a clock, on a CPU */
#define NEVER UINT32_MAX

static struct {
    uint64_t wall_ns, cpu_ns, delay_ns, others_cpu_ns;
    uint32_t reads;                  /* of the thread's CPU clock, after each of which */
    uint32_t put_aside_at, so_often; /* ... it is put aside, from this one on */
    int schedstat;
} machine;

int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __real_clock_gettime(clockid_t clock, struct timespec *time);

static void wait_for_cpu(uint64_t ns)
{
    char text[96];
    machine.wall_ns += ns;
    machine.delay_ns += ns;
    const int length =
        snprintf(text, sizeof text, "%llu %llu 1\n", 0ULL, (unsigned long long)machine.delay_ns);
    assert_int_equal(pwrite(machine.schedstat, text, (size_t)length, 0), length);
}

static void be_put_aside(void)
{
    wait_for_cpu(PERIOD);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    if (machine.wall_ns == 0) /* not ours yet: what opens a file, or cmocka */
        return __real_clock_gettime(clock, time);
    machine.wall_ns += STEP;
    machine.cpu_ns += STEP;
    const uint64_t ns = clock == CLOCK_THREAD_CPUTIME_ID    ? machine.cpu_ns
                        : clock == CLOCK_PROCESS_CPUTIME_ID ? machine.cpu_ns + machine.others_cpu_ns
                                                            : machine.wall_ns;
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

static void make_parts(struct worker *worker, uint64_t items_ns, uint64_t collate_ns,
                       uint64_t between_ns)
{
    worker_begin(worker);
    work(items_ns);
    worker_item(worker, ds_now_ns(), 0);
    worker_items_end(worker);
    work(collate_ns);
    worker_end(worker, RF_BATCH_MADE);
    work(between_ns);
}

static void make_batch(struct worker *worker)
{
    make_parts(worker, 3 * MS, 2 * MS, 1 * MS);
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

struct rig {
    struct rf_writer *writer;
    struct worker *worker;
    int schedstat;
};

/* The thread is put aside once, at this read of its clock. */
static void begin_rig(struct rig *rig, uint32_t put_aside_at)
{
    const struct rf_spec spec = {.workers = 1};
    const struct rf_process_static process = {.pid = 1};
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &rig->writer), 0);
    rig->worker = worker_open_own(rig->writer, 0);
    assert_non_null(rig->worker);
    rig->schedstat = rig->worker->clocks.schedstat;
    begin_machine(put_aside_at, 1);
    rig->worker->clocks.schedstat = machine.schedstat;
    rig->worker->opened_ns = machine.wall_ns;
}

static void end_rig(struct rig *rig)
{
    rig->worker->clocks.schedstat = rig->schedstat;
    end_machine();
    worker_close(rig->worker);
    rf_writer_destroy(rig->writer);
}

/* Returns how often the CPU clock was read. */
static uint32_t put_aside_once(uint32_t at)
{
    struct rig rig;
    begin_rig(&rig, at);
    make_batch(rig.worker);
    make_batch(rig.worker);
    const uint64_t *t = rig.worker->totals;
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
    end_rig(&rig);
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
        struct rig rig;
        begin_rig(&rig, NEVER);
        worker_begin(rig.worker);
        work(rows[i].batch_ns);
        worker_end(rig.worker, RF_BATCH_MADE);
        work(rows[i].between_ns);
        worker_begin(rig.worker);
        CHECK(rig.worker->clocks.begin.at.asked == rows[i].asked, "row %zu", i);
        end_rig(&rig);
    }
}

/* ---- batches that never wait ---- */

#define QUIET 64 /* of them in a row */
#define EVERY_NS (20 * MS)

static void make_short_batch(struct worker *worker, uint64_t cpu_ns, uint64_t between_ns)
{
    worker_begin(worker);
    work(cpu_ns);
    worker_end(worker, RF_BATCH_MADE);
    work(between_ns);
}

/* How many of so many batches began with all clocks. */
static uint32_t batches_asked(struct worker *worker, uint32_t count, uint64_t cpu_ns,
                              uint64_t between_ns)
{
    uint32_t asked = 0;
    for (uint32_t i = 0; i < count; i++) {
        make_short_batch(worker, cpu_ns, between_ns);
        asked += worker->clocks.begin.at.asked;
    }
    return asked;
}

static void short_batches_are_seldom_asked(void **state)
{
    (void)state;
    struct rig rig;
    begin_rig(&rig, NEVER);
    assert_int_equal(batches_asked(rig.worker, QUIET, 100 * US, 2 * MS), QUIET);
    const uint64_t begin_ns = machine.wall_ns;
    const uint32_t asked = batches_asked(rig.worker, 1000, 100 * US, 2 * MS);
    const uint64_t times = (machine.wall_ns - begin_ns) / EVERY_NS;
    assert_in_range(asked, times * 8 / 10, times + 1);
    end_rig(&rig);
}

/* A batch that is long is worth it, and of one that waited all are asked anew for a while. */
static void what_makes_them_asked_again(void **state)
{
    (void)state;
    static const struct {
        uint64_t cpu_ns, off_ns;
        uint32_t asked_after;
    } rows[] = {
        {900 * US, 0, 0},
        {1100 * US, 0, 8},
        {50 * US, 10 * US, 0},
        {50 * US, 30 * US, 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig rig;
        begin_rig(&rig, NEVER);
        batches_asked(rig.worker, QUIET, 100 * US, 60 * US);
        worker_begin(rig.worker);
        CHECK(!rig.worker->clocks.begin.at.asked, "row %zu", i);
        work(rows[i].cpu_ns);
        machine.wall_ns += rows[i].off_ns;
        worker_end(rig.worker, RF_BATCH_MADE);
        work(60 * US);
        const uint32_t asked = batches_asked(rig.worker, 8, 100 * US, 60 * US);
        CHECK(asked == rows[i].asked_after, "row %zu: %u", i, asked);
        end_rig(&rig);
    }
}

/* The first that waits after many that did not: what was waited for since the clocks were read is divided
 * as the time in which the thread did not run is. */
static void one_that_waits_all_the_same(void **state)
{
    (void)state;
    static const struct {
        uint64_t delay_before_ns, off_before_ns; /* in the loop, since the clocks were read */
        uint64_t delay_ns, blocked_ns, others_cpu_ns;
        uint64_t told_delay_ns, told_threads_ns;
    } rows[] = {
        {0, 0, 3 * MS, 0, 0, 3 * MS, 0},        {0, 0, 0, 3 * MS, 0, 0, 0},
        {0, 0, 1 * MS, 2 * MS, 0, 1 * MS, 0},   {0, 0, 0, 4 * MS, 3 * MS, 0, 3 * MS},
        {1 * MS, 0, 1 * MS, 0, 0, 1 * MS, 0},   {3 * MS, 0, 1 * MS, 0, 0, 1 * MS, 0},
        {0, 3 * MS, 1 * MS, 0, 0, 250 * US, 0}, {1 * MS, 0, 0, 3 * MS, 0, 750 * US, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig rig;
        begin_rig(&rig, NEVER);
        struct worker *worker = rig.worker;
        batches_asked(worker, QUIET, 100 * US, 60 * US);
        while (!worker->clocks.begin.at.asked)
            make_short_batch(worker, 100 * US, 2 * MS);
        if (rows[i].delay_before_ns > 0)
            wait_for_cpu(rows[i].delay_before_ns);
        machine.wall_ns += rows[i].off_before_ns;
        const uint64_t *t = worker->totals;
        const uint64_t delay_ns = t[RF_TOTAL_ITEMS_DELAY_NS], wall_ns = t[RF_TOTAL_ITEMS_NS],
                       threads_ns = t[RF_TOTAL_ITEMS_THREADS_NS],
                       gap_delay_ns = t[RF_TOTAL_GAP_DELAY_NS];
        worker_begin(worker);
        CHECK(!worker->clocks.begin.at.asked, "row %zu", i);
        work(50 * US);
        if (rows[i].delay_ns > 0)
            wait_for_cpu(rows[i].delay_ns);
        machine.wall_ns += rows[i].blocked_ns;
        machine.others_cpu_ns += rows[i].others_cpu_ns;
        worker_end(worker, RF_BATCH_MADE);
        const uint64_t told_ns = t[RF_TOTAL_ITEMS_DELAY_NS] - delay_ns;
        CHECK(told_ns <= rows[i].told_delay_ns + 20 * US &&
                  rows[i].told_delay_ns <= told_ns + 20 * US,
              "row %zu: %llu", i, (unsigned long long)told_ns);
        const uint64_t told_threads_ns = t[RF_TOTAL_ITEMS_THREADS_NS] - threads_ns;
        CHECK(told_threads_ns <= rows[i].told_threads_ns + 20 * US &&
                  rows[i].told_threads_ns <= told_threads_ns + 20 * US,
              "row %zu: %llu", i, (unsigned long long)told_threads_ns);
        CHECK(t[RF_TOTAL_ITEMS_NS] - wall_ns >= 50 * US + rows[i].delay_ns + rows[i].blocked_ns,
              "row %zu", i);
        /* Nothing is lost or told twice. */
        CHECK(told_ns + t[RF_TOTAL_GAP_DELAY_NS] - gap_delay_ns ==
                  rows[i].delay_before_ns + rows[i].delay_ns,
              "row %zu", i);
        end_rig(&rig);
    }
}

/* ---- batches of which nothing is asked ---- */

static void make_two_parts(struct worker *worker)
{
    make_parts(worker, 60 * US, 20 * US, 2 * MS);
}

/* Like make_two_parts(), unasked; how many in a row. */
static uint32_t leave_out(struct worker *worker, enum rf_worker_outcome outcome)
{
    uint32_t count = 0;
    for (; worker_leaves_out(worker); count++) {
        const uint32_t reads = machine.reads;
        const uint64_t begin_ns = worker_begin_left_out(worker);
        const uint64_t phase = ds_load(&worker->entry[RF_WORKER_PHASE]);
        assert_int_equal(phase, rf_pack_phase(begin_ns, RF_PHASE_FETCH));
        work(80 * US);
        worker_end_left_out(worker, begin_ns, 3, RF_UNKNOWN, outcome);
        assert_int_equal(machine.reads, reads);
        assert_int_equal(ds_load(&worker->entry[RF_WORKER_PHASE]) & 3, RF_PHASE_IDLE);
        work(2 * MS);
    }
    return count;
}

static void nothing_is_asked_of_most_short_batches(void **state)
{
    (void)state;
    struct rig rig;
    begin_rig(&rig, NEVER);
    struct worker *worker = rig.worker;
    assert_int_equal(leave_out(worker, RF_BATCH_MADE), 0);
    for (uint32_t i = 0; i < QUIET; i++) {
        assert_false(worker_leaves_out(worker));
        make_two_parts(worker);
    }
    uint64_t before[RF_TOTAL_WORDS];
    memcpy(before, worker->totals, sizeof before);
    const uint32_t count = leave_out(worker, RF_BATCH_MADE);
    assert_in_range(count, 7, 22);
    const uint64_t *t = worker->totals;
    assert_int_equal(t[RF_TOTAL_BATCHES], QUIET + count);
    assert_int_equal(t[RF_TOTAL_COUNT], QUIET + count);
    assert_int_equal(t[RF_TOTAL_ITEMS], QUIET + 3 * count);
    const uint64_t gaps_ns = t[RF_TOTAL_GAP_NS] - before[RF_TOTAL_GAP_NS];
    assert_in_range(gaps_ns, count * 2 * MS, count * (2 * MS + 3 * STEP));
    const uint64_t items_ns = t[RF_TOTAL_ITEMS_NS] - before[RF_TOTAL_ITEMS_NS];
    const uint64_t collate_ns = t[RF_TOTAL_COLLATE_NS] - before[RF_TOTAL_COLLATE_NS];
    assert_in_range(items_ns + collate_ns, count * 80 * US, count * 80 * US + count * 2 * STEP);
    assert_in_range(items_ns, 3 * collate_ns * 9 / 10, 3 * collate_ns * 11 / 10);
    assert_int_equal(t[RF_TOTAL_ITEMS_CPU_NS] - before[RF_TOTAL_ITEMS_CPU_NS], items_ns);
    assert_int_equal(t[RF_TOTAL_COLLATE_CPU_NS] - before[RF_TOTAL_COLLATE_CPU_NS], collate_ns);
    assert_int_equal(t[RF_TOTAL_ITEMS_TIMED], QUIET);
    uint64_t record[RF_WORK_WORDS];
    assert_true(rf_worker_record(worker->entry, &worker->layout, QUIET + count - 1, record));
    assert_int_equal(record[RF_WORK_ITEMS], 3 << 2 | RF_BATCH_MADE);
    assert_in_range(record[RF_WORK_GAP_NS], 2 * MS, 2 * MS + 3 * STEP);
    assert_int_equal(record[RF_WORK_SLOWEST_NS], 0);
    assert_in_range(record[RF_WORK_END_NS] - record[RF_WORK_BEGIN_NS], 80 * US, 80 * US + STEP);
    end_rig(&rig);
}

/* The one after them is asked about anew, and tells what the thread did between all of them. */
static void the_next_one_is_asked(void **state)
{
    (void)state;
    struct rig rig;
    begin_rig(&rig, NEVER);
    struct worker *worker = rig.worker;
    for (uint32_t i = 0; i < QUIET; i++)
        make_two_parts(worker);
    const uint64_t gap_ns = worker->totals[RF_TOTAL_GAP_NS];
    const uint64_t gap_cpu_ns = worker->totals[RF_TOTAL_GAP_CPU_NS];
    const uint64_t count = leave_out(worker, RF_BATCH_MADE);
    make_two_parts(worker);
    assert_in_range(worker->totals[RF_TOTAL_GAP_NS] - gap_ns, (count + 1) * 2 * MS,
                    (count + 1) * (2 * MS + 4 * STEP));
    assert_in_range(worker->totals[RF_TOTAL_GAP_CPU_NS] - gap_cpu_ns, (count + 1) * 2 * MS,
                    (count + 1) * (2 * MS + 4 * STEP));
    assert_true(worker_clocks_are_quiet(&worker->clocks));
    assert_in_range(leave_out(worker, RF_BATCH_MADE), 7, 22);
    /* One that waits ends it, and is told. */
    const uint64_t before_ns = worker->totals[RF_TOTAL_ITEMS_NS];
    const uint64_t cpu_ns = worker->totals[RF_TOTAL_ITEMS_CPU_NS];
    worker_begin(worker);
    machine.wall_ns += 5 * MS;
    worker_end(worker, RF_BATCH_MADE);
    assert_true(worker->totals[RF_TOTAL_ITEMS_NS] - before_ns >= 5 * MS);
    assert_true(worker->totals[RF_TOTAL_ITEMS_CPU_NS] - cpu_ns < MS);
    assert_false(worker_leaves_out(worker));
    end_rig(&rig);
}

/* What took long after all is told by what the thread did since it was last asked: the batch of a thread that
 * slept is blocked, and that of one that computed is not. */
static void a_long_one_is_told(void **state)
{
    (void)state;
    static const struct {
        uint64_t cpu_ns, off_ns, delay_ns;
    } rows[] = {
        {0, 500 * MS, 0}, {500 * MS, 0, 0}, {100 * MS, 300 * MS, 100 * MS}, {251 * US, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig rig;
        begin_rig(&rig, NEVER);
        struct worker *worker = rig.worker;
        for (uint32_t b = 0; b < QUIET; b++)
            make_two_parts(worker);
        assert_true(worker_leaves_out(worker));
        uint64_t before[RF_TOTAL_WORDS];
        memcpy(before, worker->totals, sizeof before);
        const uint64_t begin_ns = worker_begin_left_out(worker);
        work(rows[i].cpu_ns);
        machine.wall_ns += rows[i].off_ns;
        wait_for_cpu(rows[i].delay_ns);
        worker_end_left_out(worker, begin_ns, 1, 77, RF_BATCH_MADE);
        const uint64_t *t = worker->totals;
        const uint64_t all_ns = rows[i].cpu_ns + rows[i].off_ns + rows[i].delay_ns;
        const uint64_t items_ns = t[RF_TOTAL_ITEMS_NS] - before[RF_TOTAL_ITEMS_NS];
        const uint64_t cpu_ns = t[RF_TOTAL_ITEMS_CPU_NS] - before[RF_TOTAL_ITEMS_CPU_NS];
        const uint64_t delay_ns = t[RF_TOTAL_ITEMS_DELAY_NS] - before[RF_TOTAL_ITEMS_DELAY_NS];
        assert_in_range(items_ns, all_ns, all_ns + 20 * STEP);
        /* And what it did between the two: 2 ms here. */
        assert_in_range(cpu_ns, ds_least(rows[i].cpu_ns, items_ns), rows[i].cpu_ns + 3 * MS);
        assert_in_range(delay_ns, rows[i].delay_ns, rows[i].delay_ns + PERIOD);
        assert_int_equal(t[RF_TOTAL_COLLATE_NS], before[RF_TOTAL_COLLATE_NS]);
        const uint64_t *slowest = worker->memory + worker->layout.slow_at;
        bool is_kept = false;
        for (uint32_t k = 0; k < RF_WORKER_SLOWEST; k++)
            is_kept |= slowest[k * RF_ITEM_WORDS + RF_ITEM_INDEX] == 77 &&
                       slowest[k * RF_ITEM_WORDS + RF_ITEM_NS] >= all_ns;
        assert_true(is_kept);
        assert_false(worker_leaves_out(worker)); /* all are asked about for a while */
        end_rig(&rig);
    }
}

static void what_fails_is_counted_all_the_same(void **state)
{
    (void)state;
    static const struct {
        enum rf_worker_outcome outcome;
        uint32_t total;
    } rows[] = {{RF_BATCH_FAILED, RF_TOTAL_FAILED}, {RF_BATCH_END, RF_TOTAL_ENDED}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig rig;
        begin_rig(&rig, NEVER);
        for (uint32_t b = 0; b < QUIET; b++)
            make_two_parts(rig.worker);
        const uint32_t count = leave_out(rig.worker, rows[i].outcome);
        assert_int_equal(rig.worker->totals[rows[i].total], count);
        assert_int_equal(rig.worker->totals[RF_TOTAL_BATCHES], QUIET);
        assert_int_equal(rig.worker->totals[RF_TOTAL_ITEMS], QUIET);
        end_rig(&rig);
    }
}

/* A batch without any time is all items. */
static void no_time_is_not_divided(void **state)
{
    (void)state;
    struct rig rig;
    begin_rig(&rig, NEVER);
    for (uint32_t i = 0; i < QUIET; i++)
        make_short_batch(rig.worker, 0, 2 * MS);
    assert_true(rig.worker->items_share == WORKER_SHARES);
    end_rig(&rig);
}

/* ---- the loop's own thread ---- */

/* How many of so many waits, 1 ms apart, began with a look. */
static uint32_t looks(struct loop_look *look, uint32_t count, bool expects_short)
{
    uint32_t looked = 0;
    for (uint32_t i = 0; i < count; i++) {
        machine.wall_ns += 1 * MS;
        loop_look_begin(look, machine.wall_ns, expects_short);
        looked += look->looking;
    }
    return looked;
}

static void the_loop_is_seldom_looked_at_where_waits_are_short(void **state)
{
    (void)state;
    struct loop_look look = LOOP_LOOK_INIT;
    begin_machine(NEVER, 0);
    assert_int_equal(looks(&look, 100, false), 100);
    assert_in_range(looks(&look, 1000, true), 9, 11);
    assert_int_equal(looks(&look, 10, false), 10);
    look.was_long = true; /* where they are worth it, all are looked at */
    assert_int_equal(looks(&look, 100, true), 100);
    loop_look_close(&look);
    end_machine();
}

static atomic_bool ended;

static void *keep_the_cpu(void *nothing)
{
    while (!atomic_load(&ended))
        ;
    return nothing;
}

/* Runs beside the other thread, both on one CPU, so that each waits for it. */
static void run_for(uint64_t real_ns)
{
    struct timespec now, begin;
    __real_clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        __real_clock_gettime(CLOCK_MONOTONIC, &now);
    while ((uint64_t)(now.tv_sec - begin.tv_sec) * DS_NS_PER_S + (uint64_t)now.tv_nsec <
           (uint64_t)begin.tv_nsec + real_ns);
}

static struct cause_loop look_at_wait(struct loop_look *look, uint64_t wait_ns, uint64_t delay_ns)
{
    struct cause_loop loop = {.others_busy = 0};
    machine.wall_ns += 1 * MS;
    loop_look_begin(look, machine.wall_ns, false);
    wait_for_cpu(delay_ns);
    machine.others_cpu_ns += 1 * MS;
    loop_look_end(look, machine.wall_ns, wait_ns, &loop);
    return loop;
}

/* Another thread of this process waits for the CPU as long as it runs, which the kernel tells. */
static void others_are_looked_at_in_a_crowd(void **state)
{
    (void)state;
    cpu_set_t all, one;
    pthread_t other;
    struct loop_look look = LOOP_LOOK_INIT;
    if (access("/proc/self/schedstat", R_OK) != 0)
        skip(); /* this kernel does not tell */
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    atomic_store(&ended, false);
    assert_int_equal(pthread_create(&other, NULL, keep_the_cpu, NULL), 0);
    run_for(100 * MS);
    begin_machine(NEVER, 0);
    look.schedstat = machine.schedstat;
    look.thread = (uint64_t)syscall(SYS_gettid);
    /* short, without a sign of a crowd, with too little of it */
    assert_true(look_at_wait(&look, 3 * MS, 1 * MS).others_busy == 0);
    assert_true(look_at_wait(&look, 10 * MS, 0).others_busy == 0);
    assert_true(look_at_wait(&look, 10 * MS, 10 * US).others_busy == 0);
    assert_int_equal(look.others.cpu_ns, 0);
    const double first = look_at_wait(&look, 10 * MS, 1 * MS).others_busy;
    const uint64_t cpu_ns = look.others.cpu_ns;
    assert_true(first > 1.2);
    run_for(50 * MS);
    assert_true(look_at_wait(&look, 10 * MS, 1 * MS).others_busy == first); /* not yet again */
    assert_int_equal(look.others.cpu_ns, cpu_ns);
    run_for(50 * MS);
    machine.wall_ns += 500 * MS;
    assert_true(look_at_wait(&look, 10 * MS, 1 * MS).others_busy > 1.2);
    assert_true(look.others.cpu_ns > cpu_ns);
    atomic_store(&ended, true);
    pthread_join(other, NULL);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    end_machine();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_between),
        cmocka_unit_test(read_again),
        cmocka_unit_test(not_for_ever),
        cmocka_unit_test(a_moment_of_a_thread_that_ran),
        cmocka_unit_test(put_aside_anywhere),
        cmocka_unit_test(between_two_batches),
        cmocka_unit_test(short_batches_are_seldom_asked),
        cmocka_unit_test(what_makes_them_asked_again),
        cmocka_unit_test(one_that_waits_all_the_same),
        cmocka_unit_test(nothing_is_asked_of_most_short_batches),
        cmocka_unit_test(the_next_one_is_asked),
        cmocka_unit_test(a_long_one_is_told),
        cmocka_unit_test(what_fails_is_counted_all_the_same),
        cmocka_unit_test(no_time_is_not_divided),
        cmocka_unit_test(the_loop_is_seldom_looked_at_where_waits_are_short),
        cmocka_unit_test(others_are_looked_at_in_a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
