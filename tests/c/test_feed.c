/* SPDX-License-Identifier: Apache-2.0 */
/* Workers as processes, and the loop that learns from their entries what its waits were spent on. */
#include "cmocka_all.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/causes.h"
#include "record/feed.h"
#include "record/pin_threads.h"
#include "run/reader.h"
#include "support.h"

#define MS UINT64_C(1000000)

static datastall_monitor *monitor;
static datastall_loader *loader;

static int open_monitor(void **state)
{
    (void)state;
    setenv("DATASTALL_RUN_DIR", test_run_folder(), 1);
    assert_int_equal(datastall_open(NULL, &monitor), DATASTALL_OK);
    loader = test_loader(monitor, "train");
    return 0;
}

static int close_monitor(void **state)
{
    (void)state;
    datastall_close(monitor);
    unsetenv("DATASTALL_RUN_DIR");
    return 0;
}

static void wait_ms(uint64_t ms)
{
    const struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000 * 1000000)};
    nanosleep(&pause, NULL);
}

/* So much CPU time of a thread of its own. */
#define SPIN_NS UINT64_C(20000000)
static void *spin(void *unused)
{
    struct timespec ran = {0, 0};
    (void)unused;
    while ((uint64_t)ran.tv_sec * DS_NS_PER_S + (uint64_t)ran.tv_nsec < SPIN_NS)
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ran);
    return NULL;
}

#define SPINNERS 4
static void spin_in_threads(void)
{
    pthread_t threads[SPINNERS];
    for (int i = 0; i < SPINNERS; i++)
        CHECK(pthread_create(&threads[i], NULL, spin, NULL) == 0, "no thread");
    for (int i = 0; i < SPINNERS; i++)
        pthread_join(threads[i], NULL);
}

/* One batch of two items: the first sleeps, the second too. */
static void make_batch(struct worker *worker, uint64_t item_ms, uint64_t collate_ms, bool threads)
{
    worker_begin(worker);
    if (threads)
        spin_in_threads();
    for (uint64_t i = 0; i < 2; i++) {
        wait_ms(item_ms);
        worker_item(worker, ds_now_ns(), 40 + i);
    }
    worker_items_end(worker);
    if (threads)
        spin_in_threads();
    wait_ms(collate_ms);
    worker_end(worker, RF_BATCH_MADE);
}

struct plan {
    int ready[2], go[2], batches;
    bool by_folder, threads;
    uint64_t epochs;
};

/* A worker process: starts, makes a batch for each byte it is sent, and dies without a word. */
static pid_t start_worker(struct plan *plan)
{
    assert_int_equal(pipe(plan->ready), 0);
    assert_int_equal(pipe(plan->go), 0);
    const pid_t parent = getpid();
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    struct worker *worker =
        plan->by_folder ? worker_open_in_folder(getenv("DATASTALL_RUN_DIR"), (uint64_t)parent)
                        : worker_open_inherited(monitor->writer);
    CHECK(worker != NULL, "the file was not found");
    close(plan->go[1]);
    for (uint64_t i = 0; i < (plan->epochs > 0 ? plan->epochs : 1); i++)
        worker_epoch(worker, 7);
    char byte;
    while (read(plan->go[0], &byte, 1) == 1) {
        make_batch(worker, 4, 6, plan->threads);
        CHECK(write(plan->ready[1], "x", 1) == 1, "the pipe broke");
    }
    worker_finish(worker);
    _exit(0);
}

static void let_make(struct plan *plan, int batches)
{
    char byte;
    for (int i = 0; i < batches; i++) {
        assert_int_equal(write(plan->go[1], "g", 1), 1);
        assert_int_equal(read(plan->ready[0], &byte, 1), 1);
    }
}

static struct feed *feed_for(const pid_t *pids, uint32_t workers, uint64_t epoch)
{
    uint64_t numbers[8];
    for (uint32_t i = 0; i < workers; i++)
        numbers[i] = (uint64_t)pids[i];
    const struct feed_options options = {.workers = workers,
                                         .prefetch_factor = 2,
                                         .pids = numbers,
                                         .epoch = epoch,
                                         .iter_begin_ns = ds_now_ns(),
                                         .in_order = true};
    return feed_open(loader, &options);
}

static uint64_t split(const struct wait_cause *cause, uint64_t from, uint64_t to, uint32_t state)
{
    uint64_t sums[CAUSE_STATES] = {0};
    cause_split_wait(cause, from, to, sums);
    return sums[state];
}

static void end_worker(struct plan *plan, pid_t pid, int signal_number)
{
    int status;
    if (signal_number != 0)
        kill(pid, signal_number);
    close(plan->go[1]);
    waitpid(pid, &status, 0);
    close(plan->go[0]);
    close(plan->ready[0]);
    close(plan->ready[1]);
}

static void kill_worker(struct plan *plan, pid_t pid)
{
    end_worker(plan, pid, SIGKILL);
}

static uint64_t unknown_worker_batches(void)
{
    struct run_reader *reader;
    struct rf_loader_entry entry = {0};
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    assert_true(run_reader_loader(reader, 1, &entry));
    run_reader_close(reader);
    return entry.unknown_worker_batches;
}

static bool view_of(uint64_t number, struct rf_worker_view *view)
{
    struct run_reader *reader;
    bool found = false;
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    for (uint64_t i = 0; i < run_reader_count(reader, RF_SECTION_WORKERS) && !found; i++)
        found = run_reader_worker(reader, i, view) && view->number == number;
    assert_int_equal(reader->problems, 0);
    run_reader_close(reader);
    return found;
}

static void a_wait_is_split_by_its_batch(bool spawned)
{
    struct plan plan = {.by_folder = spawned};
    struct rf_worker_view view;
    struct wait_cause cause;
    const pid_t pid = start_worker(&plan);
    struct feed *feed = feed_for(&pid, 1, 1);
    assert_non_null(feed);
    feed_sent(feed, 0, 0);
    feed_sent(feed, 1, 0);
    const uint64_t begin_ns = ds_now_ns();
    feed_wait_begin(feed, begin_ns, 0, 2, false);
    assert_int_equal(feed->depth, rf_pack_depth(0, 0, 2, 2));
    let_make(&plan, 1);
    const uint64_t came_ns = ds_now_ns();
    feed_arrived(feed, 0, 0, true, came_ns);
    const uint64_t end_ns = ds_now_ns();
    feed_wait_end(feed, end_ns, DATASTALL_WAIT_FIRST, &cause);
    const uint64_t blocked_ns = split(&cause, begin_ns, end_ns, CAUSE_BLOCKED);
    const uint64_t collate_ns = split(&cause, begin_ns, end_ns, CAUSE_COLLATE);
    assert_true(blocked_ns >= 7 * MS && blocked_ns <= end_ns - begin_ns - collate_ns);
    assert_true(collate_ns >= 6 * MS);
    assert_int_equal(split(&cause, begin_ns, end_ns, CAUSE_UNKNOWN), 0);
    assert_int_equal(cause.blocker, 1);
    assert_true(cause.service_ns >= 14 * MS);

    /* The next one is there when it is asked for. */
    let_make(&plan, 1);
    feed_wait_begin(feed, ds_now_ns(), 1, 2, false);
    assert_int_equal(feed->depth, rf_pack_depth(1, 0, 0, 2));
    feed_arrived(feed, 1, 0, true, ds_now_ns());
    feed_wait_end(feed, ds_now_ns(), DATASTALL_WAIT_STEADY, &cause);
    assert_int_equal(cause.later_ready_ns, 0);

    /* What it did stays when it is killed. */
    kill_worker(&plan, pid);
    assert_true(view_of(0, &view));
    assert_int_equal(view.pid, pid);
    assert_int_equal(view.totals[RF_TOTAL_BATCHES], 2);
    assert_int_equal(view.totals[RF_TOTAL_ITEMS], 4);
    assert_int_equal(view.totals[RF_TOTAL_ITEMS_TIMED], 4);
    assert_true(view.totals[RF_TOTAL_ITEMS_NS] >= 16 * MS);
    assert_true(view.totals[RF_TOTAL_COLLATE_NS] >= 12 * MS);
    assert_true(view.totals[RF_TOTAL_ITEMS_CPU_NS] < view.totals[RF_TOTAL_ITEMS_NS] / 2);
    assert_int_equal(view.slowest_count, 2);
    assert_true(view.slowest[0].ns >= view.slowest[1].ns && view.slowest[1].ns >= 4 * MS);
    assert_true(view.slowest[0].index == 40 || view.slowest[0].index == 41);
    feed_close(feed);
}

static void test_a_wait_of_a_forked_worker(void **state)
{
    (void)state;
    a_wait_is_split_by_its_batch(false);
}

/* ---- pin threads ---- */

#define PINNING ((int)PIN_THREADS + 4)

struct pinning {
    pthread_t thread;
    pthread_barrier_t *turn;
    int number, notes;
    uint64_t id;
};

/* Thread n pins from n * 100 to n * 100 + 50 ms; then again, the later ones only. */
static void *pin(void *context)
{
    struct pinning *own = context;
    own->id = (uint64_t)syscall(SYS_gettid);
    for (int i = 0; i < PINNING; i++) {
        const uint64_t begin_ns = (uint64_t)(own->number + 1) * 100 * MS;
        if (i == own->number) {
            for (int k = 0; k < own->notes; k++)
                pin_threads_note(begin_ns + (uint64_t)k * MS, begin_ns + (uint64_t)k * MS + MS / 2);
        }
        pthread_barrier_wait(own->turn);
    }
    pthread_barrier_wait(own->turn); /* nobody ends before all was looked at */
    return NULL;
}

/* Of more threads than places those go that pinned least lately, and the last ones stay, whether
 * they pinned once or a hundred times. */
static void test_the_oldest_pin_thread_goes(void **state)
{
    (void)state;
    struct pinning all[PINNING];
    pthread_barrier_t turn;
    pthread_barrier_init(&turn, NULL, PINNING + 1);
    for (int i = 0; i < PINNING; i++) {
        all[i] = (struct pinning){.turn = &turn, .number = i, .notes = i % 2 == 0 ? 1 : 20};
        assert_int_equal(pthread_create(&all[i].thread, NULL, pin, &all[i]), 0);
    }
    for (int i = 0; i < PINNING; i++)
        pthread_barrier_wait(&turn);
    for (int i = 0; i < PINNING; i++) {
        struct cause_timeline timeline = {.count = 0};
        uint64_t total_ns = 0;
        const uint64_t begin_ns = (uint64_t)(i + 1) * 100 * MS, end_ns = begin_ns + 100 * MS;
        cause_add(&timeline, begin_ns, end_ns, begin_ns, end_ns, CAUSE_TRANSFER);
        const uint64_t pinned_ns =
            pin_threads_overlay(all[i].id, begin_ns, end_ns, &total_ns, &timeline);
        const bool kept = i >= PINNING - (int)PIN_THREADS;
        assert_int_equal(pinned_ns, kept ? (uint64_t)all[i].notes * MS / 2 : 0);
        assert_int_equal(total_ns, pinned_ns);
    }
    pthread_barrier_wait(&turn);
    for (int i = 0; i < PINNING; i++)
        pthread_join(all[i].thread, NULL);
    pthread_barrier_destroy(&turn);
}

/* ---- many loops at once ---- */

/* Loops in several threads, each with an entry of its own while it runs (the thread sanitizer
 * watches). */
static void *open_and_close_feeds(void *context)
{
    (void)context;
    for (int i = 0; i < 300; i++) {
        const struct feed_options options = {.iter_begin_ns = ds_now_ns(), .in_order = true};
        struct feed *feed = feed_open(loader, &options);
        if (feed == NULL)
            return (void *)1;
        if (feed->own != NULL) {
            worker_begin(feed->own);
            worker_end(feed->own, RF_BATCH_MADE);
        }
        feed_close(feed);
    }
    return NULL;
}

static void test_loops_share_no_entry(void **state)
{
    (void)state;
    pthread_t threads[4];
    struct run_reader *reader;
    struct rf_worker_view view;
    uint64_t batches = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close_feeds, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    for (uint64_t i = 0; i < run_reader_count(reader, RF_SECTION_WORKERS); i++) {
        if (run_reader_worker(reader, i, &view))
            batches += view.totals[RF_TOTAL_BATCHES];
    }
    assert_int_equal(reader->problems, 0);
    run_reader_close(reader);
    assert_int_equal(batches, 4 * 300);
}

/* It finds the file by its parent's pid, as spawned workers must. */
static void test_a_wait_of_a_spawned_worker(void **state)
{
    (void)state;
    a_wait_is_split_by_its_batch(true);
}

static void test_the_entry_goes_on_with_the_next_worker(void **state)
{
    struct rf_worker_view view;
    (void)state;
    for (uint64_t generation = 1; generation <= 3; generation++) {
        struct plan plan = {0};
        const pid_t pid = start_worker(&plan);
        let_make(&plan, 1); /* before it has an entry: kept in its memory */
        struct feed *feed = feed_for(&pid, 1, 1);
        let_make(&plan, 1);
        kill_worker(&plan, pid);
        feed_close(feed);
        assert_true(view_of(0, &view));
        assert_int_equal(view.generation, generation);
        assert_int_equal(view.totals[RF_TOTAL_BATCHES], 2 * generation);
        uint64_t items = 0;
        for (int i = 0; i < (int)RF_WORKER_ITEM_BUCKETS; i++)
            items += view.items[i];
        assert_int_equal(items, 4 * generation);
    }
}

/* An epoch of a few batches: they are all made before the parent says whose entry it is, and the
 * worker makes no other at which it would look. */
static void test_a_worker_that_ends_leaves_its_batches(void **state)
{
    struct rf_worker_view view;
    (void)state;
    for (uint64_t generation = 1; generation <= 3; generation++) {
        struct plan plan = {0};
        const pid_t pid = start_worker(&plan);
        let_make(&plan, 2);
        struct feed *feed = feed_for(&pid, 1, 1);
        feed_sent(feed, 0, 0);
        feed_sent(feed, 1, 0);
        feed_arrived(feed, 0, 0, true, ds_now_ns());
        feed_arrived(feed, 1, 0, true, ds_now_ns());
        end_worker(&plan, pid, 0);
        feed_close(feed);
        assert_true(view_of(0, &view));
        assert_int_equal(view.totals[RF_TOTAL_BATCHES], 2 * generation);
        assert_int_equal(unknown_worker_batches(), 0);
    }
}

/* Killed before it looked: nothing is known of its batches but their number. */
static void test_batches_of_a_killed_worker_are_said(void **state)
{
    struct rf_worker_view view;
    struct plan plan = {0};
    (void)state;
    const pid_t pid = start_worker(&plan);
    let_make(&plan, 2);
    struct feed *feed = feed_for(&pid, 1, 1);
    feed_sent(feed, 0, 0);
    feed_sent(feed, 1, 0);
    feed_arrived(feed, 0, 0, true, ds_now_ns());
    feed_arrived(feed, 1, 0, true, ds_now_ns());
    kill_worker(&plan, pid);
    feed_close(feed);
    assert_false(view_of(0, &view));
    assert_int_equal(unknown_worker_batches(), 2);
    /* Of a worker beyond those that can be told apart, too. */
    feed = feed_for(&pid, 1, 1);
    feed_arrived(feed, 0, FEED_WORKERS, true, ds_now_ns());
    feed_close(feed);
    assert_int_equal(unknown_worker_batches(), 3);
}

/* A pid comes again: an entry is its worker's only with the start of that process. */
static void test_a_reused_pid_is_another_worker(void **state)
{
    struct rf_worker_view view;
    struct plan plan = {0};
    (void)state;
    const pid_t pid = start_worker(&plan);
    let_make(&plan, 1); /* it runs, and looks for an entry at its next batch, not in between */
    struct feed *feed = feed_for(&pid, 1, 1);
    uint64_t *entry = feed->entries + feed->by_worker[0].entry * feed->entry_words;
    const uint64_t start_ticks = ds_load(&entry[RF_WORKER_START_TICKS]);
    assert_int_equal(start_ticks, rf_start_ticks_of((uint64_t)pid));
    ds_store(&entry[RF_WORKER_START_TICKS], start_ticks - 1); /* an earlier process */
    let_make(&plan, 1);
    assert_false(view_of(0, &view));
    feed_close(feed);
    /* Its entry is free, though a process has its pid; the new one is found there. */
    feed = feed_for(&pid, 1, 1);
    assert_ptr_equal(entry, feed->entries + feed->by_worker[0].entry * feed->entry_words);
    let_make(&plan, 1);
    assert_true(view_of(0, &view));
    assert_int_equal(view.totals[RF_TOTAL_BATCHES], 3);
    kill_worker(&plan, pid);
    feed_close(feed);
}

/* Two workers, each with two of four indices. */
struct pair {
    struct plan plans[2];
    pid_t pids[2];
};

static struct feed *feed_of_two(struct pair *pair)
{
    memset(pair, 0, sizeof *pair);
    for (int i = 0; i < 2; i++)
        pair->pids[i] = start_worker(&pair->plans[i]);
    struct feed *feed = feed_for(pair->pids, 2, 1);
    for (uint64_t i = 0; i < 4; i++)
        feed_sent(feed, i, (uint32_t)(i % 2));
    return feed;
}

static void end_feed_of_two(struct pair *pair, struct feed *feed)
{
    for (int i = 0; i < 2; i++)
        kill_worker(&pair->plans[i], pair->pids[i]);
    feed_close(feed);
}

static void test_a_later_batch_was_ready(void **state)
{
    struct wait_cause cause;
    struct pair pair;
    (void)state;
    struct feed *feed = feed_of_two(&pair);
    const uint64_t begin_ns = ds_now_ns();
    feed_wait_begin(feed, begin_ns, 0, 4, false);
    let_make(&pair.plans[1], 2); /* batches 1 and 3; worker 1 has no more to do */
    const uint64_t early_ns = ds_now_ns();
    feed_arrived(feed, 1, 1, false, early_ns);
    feed_arrived(feed, 3, 1, false, ds_now_ns());
    wait_ms(20);
    let_make(&pair.plans[0], 1);
    const uint64_t end_ns = ds_now_ns();
    feed_arrived(feed, 0, 0, true, end_ns);
    feed_wait_end(feed, end_ns, DATASTALL_WAIT_FIRST, &cause);
    assert_int_equal(cause.later_ready_ns, early_ns);
    assert_true(cause.window_full);
    assert_true(cause.others_idle_ns >= 30 * MS && cause.others_idle_ns <= end_ns - early_ns);
    assert_int_equal(feed->held, 2);
    /* Batch 1 is there, 2 is being made, and 3 is early. */
    feed_wait_begin(feed, ds_now_ns(), 1, 4, false);
    assert_int_equal(feed->depth, rf_pack_depth(1, 1, 1, 4));
    feed_wait_end(feed, ds_now_ns(), DATASTALL_WAIT_STEADY, &cause);
    assert_int_equal(feed->held, 1);
    end_feed_of_two(&pair, feed);
}

/* That a worker's stream has ended is no batch, and who is done waits for no index. */
static void test_a_stream_that_ended(void **state)
{
    struct wait_cause cause;
    struct pair pair;
    (void)state;
    struct feed *feed = feed_of_two(&pair);
    feed_wait_begin(feed, ds_now_ns(), 0, 4, false);
    let_make(&pair.plans[1], 1);
    feed_ended(feed, 1);
    wait_ms(20);
    let_make(&pair.plans[0], 1);
    const uint64_t end_ns = ds_now_ns();
    feed_arrived(feed, 0, 0, true, end_ns);
    feed_wait_end(feed, end_ns, DATASTALL_WAIT_FIRST, &cause);
    assert_int_equal(feed->held, 0);
    assert_int_equal(cause.later_ready_ns, 0);
    assert_int_equal(cause.others_idle_ns, 0);
    assert_int_equal(feed->by_worker[1].came, 0);
    /* Nothing comes for 1 and 3. */
    feed_wait_begin(feed, ds_now_ns(), 1, 4, false);
    assert_int_equal(feed->depth, rf_pack_depth(0, 0, 1, 4));
    feed_wait_end(feed, ds_now_ns(), DATASTALL_WAIT_STEADY, &cause);
    feed_ended(feed, FEED_WORKERS); /* beyond those that are known */
    feed_next_epoch(feed);
    assert_false(feed->by_worker[1].done);
    end_feed_of_two(&pair, feed);
}

static void test_how_a_worker_ended(void **state)
{
    struct rf_worker_view view;
    struct plan plan = {0};
    (void)state;
    const pid_t pid = start_worker(&plan);
    struct feed *feed = feed_for(&pid, 1, 1);
    feed_worker_ended(feed, 0, -9);
    assert_true(view_of(0, &view)); /* it made nothing, and ended */
    assert_int_equal(view.exit, 1 + 256 + 9);
    feed_worker_ended(feed, 0, 3);
    assert_true(view_of(0, &view));
    assert_int_equal(view.exit, 1 + 3);
    feed_worker_ended(feed, 1, 3); /* there is none */
    kill_worker(&plan, pid);
    feed_close(feed);
    /* The next one that has the entry did not end so. */
    const pid_t next = start_worker(&plan);
    feed = feed_for(&next, 1, 1);
    let_make(&plan, 1);
    assert_true(view_of(0, &view));
    assert_int_equal(view.exit, 0);
    kill_worker(&plan, next);
    feed_close(feed);
}

static void assert_paused(uint64_t loader_ns, uint64_t process_ns)
{
    const uint64_t *words = rf_entry(monitor->writer, RF_SECTION_LOADERS, loader->index);
    assert_int_equal(ds_load(&words[offsetof(struct rf_loader_entry, paused_ns) / 8]), loader_ns);
    assert_int_equal(
        ds_load(&monitor->writer->process.block[RF_BLOCK_PAYLOAD + RF_PROCESS_PAUSED_NS]),
        process_ns);
}

/* Between two iterations nobody iterates; of a process only where no other loader is under way. */
static void test_pauses(void **state)
{
    (void)state;
    datastall_loader *other = test_loader(monitor, "validation");
    monitor_iteration_begins(loader, 100);
    monitor_iteration_ends(loader, 200, false);
    assert_paused(0, 0);
    monitor_iteration_begins(other, 230);
    assert_paused(0, 30);
    monitor_iteration_begins(loader, 250); /* beside the other */
    assert_paused(50, 30);
    monitor_iteration_begins(loader, 260); /* twice at once */
    monitor_iteration_ends(loader, 270, false);
    monitor_iteration_ends(other, 280, true);
    monitor_iteration_ends(loader, 300, true);
    monitor_iteration_begins(loader, 300);
    assert_paused(50, 30);
    monitor_iteration_ends(loader, 290, false); /* clocks of two threads */
    monitor_iteration_begins(loader, 310);
    assert_paused(60, 40);
    monitor_iteration_ends(loader, 320, false);
    monitor_iteration_ends(loader, 330, false); /* once too often */
    monitor_iteration_begins(loader, 335);
    monitor_iteration_ends(loader, 340, false);
    assert_paused(65, 45);
    const uint64_t *words = rf_entry(monitor->writer, RF_SECTION_LOADERS, loader->index);
    assert_int_equal(ds_load(&words[offsetof(struct rf_loader_entry, dropped) / 8]), 1);
}

/* Threads that compute for an item at once have run for longer than the item took: all of their CPU time is
 * told, and as a part of the item's time no more than there is. */
static void test_threads_at_once(void **state)
{
    struct rf_worker_view view;
    struct plan plan = {.threads = true};
    (void)state;
    const pid_t pid = start_worker(&plan);
    struct feed *feed = feed_for(&pid, 1, 1);
    let_make(&plan, 3);
    assert_true(view_of(0, &view));
    const uint64_t *t = view.totals;
    CHECK(t[RF_TOTAL_ITEMS_THREADS_CPU_NS] >= 3 * SPINNERS * (SPIN_NS - SPIN_NS / 100), "%llu ns",
          (unsigned long long)t[RF_TOTAL_ITEMS_THREADS_CPU_NS]);
    assert_true(t[RF_TOTAL_ITEMS_CPU_NS] + t[RF_TOTAL_ITEMS_DELAY_NS] +
                    t[RF_TOTAL_ITEMS_THREADS_NS] <=
                t[RF_TOTAL_ITEMS_NS]);
    assert_true(t[RF_TOTAL_COLLATE_THREADS_NS] >= 3 * (SPIN_NS - SPIN_NS / 100));
    assert_true(t[RF_TOTAL_COLLATE_CPU_NS] + t[RF_TOTAL_COLLATE_DELAY_NS] +
                    t[RF_TOTAL_COLLATE_THREADS_NS] <=
                t[RF_TOTAL_COLLATE_NS]);
    kill_worker(&plan, pid);
    feed_close(feed);
}

/* Two clocks are never read at once: what they say together is never more than there was. */
static void test_parts_of_a_batch_add_up(void **state)
{
    struct rf_worker_view view;
    struct plan plan = {0};
    (void)state;
    const pid_t pid = start_worker(&plan);
    struct feed *feed = feed_for(&pid, 1, 1);
    let_make(&plan, 5);
    assert_true(view_of(0, &view));
    const uint64_t *t = view.totals;
    assert_true(t[RF_TOTAL_ITEMS_CPU_NS] + t[RF_TOTAL_ITEMS_DELAY_NS] +
                    t[RF_TOTAL_ITEMS_THREADS_NS] <=
                t[RF_TOTAL_ITEMS_NS]);
    assert_true(t[RF_TOTAL_COLLATE_CPU_NS] + t[RF_TOTAL_COLLATE_DELAY_NS] +
                    t[RF_TOTAL_COLLATE_THREADS_NS] <=
                t[RF_TOTAL_COLLATE_NS]);
    kill_worker(&plan, pid);
    feed_close(feed);
}

static void test_another_epoch_is_not_mistaken(void **state)
{
    struct plan plan = {.epochs = 2};
    struct wait_cause cause;
    (void)state;
    const pid_t pid = start_worker(&plan);
    struct feed *feed = feed_for(&pid, 1, 1); /* the worker is in its second epoch already */
    feed_sent(feed, 0, 0);
    const uint64_t begin_ns = ds_now_ns();
    feed_wait_begin(feed, begin_ns, 0, 1, false);
    let_make(&plan, 1);
    const uint64_t end_ns = ds_now_ns();
    feed_arrived(feed, 0, 0, true, end_ns);
    feed_wait_end(feed, end_ns, DATASTALL_WAIT_FIRST, &cause);
    assert_int_equal(split(&cause, begin_ns, end_ns, CAUSE_UNKNOWN), end_ns - begin_ns);
    feed_next_epoch(feed);
    feed_sent(feed, 0, 0);
    feed_wait_begin(feed, begin_ns, 0, 1, false);
    feed_arrived(feed, 0, 0, true, end_ns);
    feed_wait_end(feed, end_ns, DATASTALL_WAIT_FIRST, &cause);
    assert_int_equal(split(&cause, begin_ns, end_ns, CAUSE_UNKNOWN), 0);
    kill_worker(&plan, pid);
    feed_close(feed);
}

/* A batch that lay there: the same whether the wait is so short that its record is not read again. */
static void test_a_batch_that_was_ready(void **state)
{
    struct plan plan = {0};
    struct wait_cause cause;
    uint64_t service_ns[2];
    (void)state;
    const pid_t pid = start_worker(&plan);
    struct feed *feed = feed_for(&pid, 1, 1);
    feed_sent(feed, 0, 0);
    feed_sent(feed, 1, 0);
    for (uint64_t i = 0; i < 2; i++) {
        let_make(&plan, 1);
        const uint64_t begin_ns = ds_now_ns(), end_ns = begin_ns + (i == 0 ? 200000 : 60000);
        feed_wait_begin(feed, begin_ns, i, 2, false);
        feed_arrived(feed, i, 0, true, end_ns - 20000);
        feed_laid_over(feed, end_ns - 10000, end_ns - 7000, CAUSE_SAMPLER);
        feed_wait_end(feed, end_ns, DATASTALL_WAIT_STEADY, &cause);
        assert_int_equal(split(&cause, begin_ns, end_ns, CAUSE_SAMPLER), 3000);
        assert_int_equal(split(&cause, begin_ns, end_ns, CAUSE_TRANSFER), end_ns - begin_ns - 3000);
        assert_int_equal(cause.blocker, 1);
        assert_int_equal(cause.blocker_ns, end_ns - 20000);
        service_ns[i] = cause.service_ns;
    }
    assert_true(service_ns[0] >= 8 * MS && service_ns[1] >= 8 * MS);
    /* One that is made only then has its items in the wait, however short that is. */
    feed_sent(feed, 2, 0);
    feed_wait_begin(feed, ds_now_ns(), 2, 3, false);
    let_make(&plan, 1);
    feed_arrived(feed, 2, 0, true, ds_now_ns());
    const uint64_t made_ns = feed->indices[2].made.end_ns;
    feed->begin_ns = made_ns - 10000;
    feed->blocker_ns = made_ns + 20000;
    feed_wait_end(feed, made_ns + 30000, DATASTALL_WAIT_STEADY, &cause);
    assert_int_equal(split(&cause, made_ns - 10000, made_ns + 30000, CAUSE_TRANSFER), 30000);
    kill_worker(&plan, pid);
    feed_close(feed);
}

static void wait_us(uint64_t us)
{
    const uint64_t until_ns = ds_now_ns() + us * 1000;
    while (ds_now_ns() < until_ns)
        ;
}

static void test_loading_in_the_loop(void **state)
{
    struct wait_cause cause;
    (void)state;
    struct feed *feed = feed_for(NULL, 0, 1);
    assert_non_null(feed);
    assert_non_null(feed->own);
    const uint64_t begin_ns = ds_now_ns();
    feed_wait_begin(feed, begin_ns, 0, 0, false);
    wait_ms(5);
    feed_laid_over(feed, begin_ns, ds_now_ns(), CAUSE_SAMPLER);
    make_batch(feed->own, 3, 3, false);
    const uint64_t pin_ns = ds_now_ns();
    wait_ms(4);
    const uint64_t end_ns = ds_now_ns();
    feed_laid_over(feed, pin_ns, end_ns, CAUSE_PIN);
    feed_wait_end(feed, end_ns, DATASTALL_WAIT_STEADY, &cause);
    assert_true(split(&cause, begin_ns, end_ns, CAUSE_SAMPLER) >= 5 * MS);
    assert_true(split(&cause, begin_ns, end_ns, CAUSE_BLOCKED) >= 5 * MS);
    assert_true(split(&cause, begin_ns, end_ns, CAUSE_COLLATE) >= 3 * MS);
    assert_true(split(&cause, begin_ns, end_ns, CAUSE_PIN) >= 4 * MS);
    /* A second iterator of the loader, while the first is there, has an entry of its own. */
    struct feed *other = feed_for(NULL, 0, 1);
    assert_int_not_equal(other->own_entry, feed->own_entry);
    const uint32_t entry = other->own_entry;
    feed_close(other);
    other = feed_for(NULL, 0, 1);
    assert_int_equal(other->own_entry, entry);
    feed_close(other);
    feed_close(feed);
}

/* The wait that ends an epoch of a stream, which the fetch tells: what its indices took is told all the same. */
static void test_the_end_of_a_stream_in_the_loop(void **state)
{
    struct wait_cause cause;
    (void)state;
    struct feed *feed = feed_for(NULL, 0, 1);
    for (int left_out = 0; left_out < 2; left_out++) {
        const uint64_t begin_ns = ds_now_ns();
        feed_wait_begin(feed, begin_ns, 0, 0, left_out);
        wait_us(300);
        const uint64_t drawn_ns = ds_now_ns();
        feed_laid_over(feed, begin_ns, drawn_ns, CAUSE_SAMPLER);
        if (left_out) {
            worker_end_left_out(feed->own, worker_begin_left_out(feed->own), 0, RF_UNKNOWN,
                                RF_BATCH_END);
        } else {
            worker_begin(feed->own);
            worker_end(feed->own, RF_BATCH_END);
        }
        const uint64_t end_ns = ds_now_ns();
        feed_wait_end(feed, end_ns, DATASTALL_WAIT_END, &cause);
        assert_int_equal(split(&cause, begin_ns, end_ns, CAUSE_SAMPLER), drawn_ns - begin_ns);
        assert_int_equal(split(&cause, begin_ns, end_ns, CAUSE_STARTUP), end_ns - drawn_ns);
    }
    feed_close(feed);
}

/* A batch of which nothing was asked, of 30 us or so, between the moments that are told of it. */
static struct worker_left_out make_left_out(struct feed *feed, uint64_t *begin_ns)
{
    feed->own->items_share = WORKER_SHARES / 4 * 3;
    *begin_ns = ds_now_ns();
    feed_wait_begin(feed, *begin_ns, 0, 0, true);
    wait_us(10);
    const uint64_t at_ns = worker_begin_left_out(feed->own);
    wait_us(10);
    worker_end_left_out(feed->own, at_ns, 5, RF_UNKNOWN, RF_BATCH_MADE);
    wait_us(10);
    return feed->own->left_out;
}

/* It only ran, and what the loop did besides is told where it was: before the batch, behind it, or across it. */
static void test_a_short_batch_of_the_loop(void **state)
{
    struct wait_cause cause;
    uint64_t begin_ns, short_ones = 0;
    (void)state;
    struct feed *feed = feed_for(NULL, 0, 1);
    for (int i = 0; i < 50; i++) {
        const struct worker_left_out at = make_left_out(feed, &begin_ns);
        const uint64_t end_ns = ds_now_ns() + 1000;
        if (!feed->own->is_left_out) { /* kept from running for longer than a short one takes */
            feed_wait_end(feed, end_ns, DATASTALL_WAIT_STEADY, &cause);
            continue;
        }
        short_ones++;
        assert_int_equal(at.items_end_ns - at.begin_ns,
                         (at.end_ns - at.begin_ns) / 4 * 3 + (at.end_ns - at.begin_ns) % 4 * 3 / 4);
        const bool across = i % 2 == 1;
        feed_laid_over(feed, begin_ns + 100, begin_ns + 2100, CAUSE_SAMPLER);
        feed_laid_over(feed, across ? at.items_end_ns - 70 : at.end_ns + 300, end_ns - 50,
                       CAUSE_PIN);
        feed_wait_end(feed, end_ns, DATASTALL_WAIT_STEADY, &cause);
        const uint64_t items_ns = at.items_end_ns - at.begin_ns;
        const uint64_t rest_ns = end_ns - 50 - (across ? at.items_end_ns - 70 : at.end_ns + 300);
        const uint64_t want[CAUSE_STATES] = {
            [CAUSE_COMPUTE] = across ? items_ns - 70 : items_ns,
            [CAUSE_COLLATE] = across ? 0 : at.end_ns - at.items_end_ns,
            [CAUSE_OVERHEAD] = at.begin_ns - begin_ns - 2000 + 50 + (across ? 0 : 300),
            [CAUSE_SAMPLER] = 2000,
            [CAUSE_PIN] = rest_ns,
        };
        for (uint32_t c = 0; c < CAUSE_STATES; c++)
            assert_int_equal(split(&cause, begin_ns, end_ns, c), want[c]);
        assert_int_equal(cause.service_ns, at.end_ns - at.begin_ns);
        assert_int_equal(cause.sampler_ns, 2000);
        /* Of its last part: pinning, and the overhead at its end. */
        assert_int_equal(split(&cause, end_ns - 90, end_ns, CAUSE_OVERHEAD), 50);
        assert_int_equal(split(&cause, end_ns - 90, end_ns, CAUSE_PIN), 40);
    }
    assert_true(short_ones > 0);
    feed_close(feed);
}

/* More workers than entries: the rest is not recorded, and nothing breaks. */
static void test_the_entries_are_bounded(void **state)
{
    struct feed *feeds[70];
    uint32_t without = 0;
    (void)state;
    for (int i = 0; i < 70; i++) {
        feeds[i] = feed_for(NULL, 0, 1);
        assert_non_null(feeds[i]);
        without += feeds[i]->own == NULL;
    }
    assert_int_equal(without, 70 - MONITOR_WORKER_ENTRIES);
    for (int i = 0; i < 70; i++)
        feed_close(feeds[i]);
}

/* A wait of 100 ms whose stall is under way: 70 ms of items, then collation. */
static uint64_t end_a_wait_later(void)
{
    static const struct stall_bounds unknown = STALL_BOUNDS_UNKNOWN;
    struct wait_cause cause;
    datastall_wait wait = datastall_wait_begin(loader);
    memset(&cause, 0, sizeof cause);
    cause.depth = RF_UNKNOWN;
    const uint64_t begin_ns = wait.begin_ns, end_ns = begin_ns + 100 * MS;
    const struct cause_batch batch = {begin_ns, begin_ns + 70 * MS, end_ns, 70 * MS, 0, 0, 0, 0};
    cause_add_batch(&cause.timeline, begin_ns, end_ns, &batch);
    cause.stall_is_under_way = true;
    struct monitor_slot *slot = wait.slot;
    monitor_wait_end(&wait, end_ns, DATASTALL_WAIT_STEADY, NULL, &unknown, &cause);
    return slot->writer.head - 1;
}

/* A stall that becomes known later is split with the wait's own timeline, its tail only: whether or
 * not its row was counted meanwhile, and whichever of several it is. */
static void test_a_late_stall(void **state)
{
    (void)state;
    for (int counted = 0; counted < 2; counted++) {
        const uint64_t first = end_a_wait_later(), second = end_a_wait_later();
        struct monitor_slot *slot = monitor_slot_of(loader);
        uint64_t *c = slot->writer.counters;
        uint64_t before[CAUSE_STATES];
        memcpy(before, &c[RF_COUNT_CAUSE_NS], sizeof before);
        if (counted)
            rf_slot_flush(&slot->writer);
        assert_memory_equal(before, &c[RF_COUNT_CAUSE_NS], sizeof before);
        struct rf_late_stall late = {.wait_ns = 100 * MS, .lower_ns = 40 * MS, .upper_ns = 40 * MS};
        cause_late_stall(slot, first, &late);
        assert_true(late.has_split);
        late.lower_ns = late.upper_ns = 20 * MS;
        cause_late_stall(slot, second, &late);
        cause_late_stall(slot, second + 7, &late); /* of which nothing was kept */
        assert_false(late.has_split);
        rf_slot_flush(&slot->writer);
        assert_int_equal(c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] - before[CAUSE_COMPUTE], 10 * MS);
        assert_int_equal(c[RF_COUNT_CAUSE_NS + CAUSE_COLLATE] - before[CAUSE_COLLATE], 50 * MS);
        if (!counted)
            assert_int_equal(c[RF_COUNT_STALL_UPPER_NS], 60 * MS);
    }
}

/* One that is told without a split leaves the wait the one that it has. */
static void test_a_late_stall_without_a_split(void **state)
{
    (void)state;
    static const struct stall_bounds unknown = STALL_BOUNDS_UNKNOWN;
    struct wait_cause cause = {.depth = RF_UNKNOWN};
    datastall_wait wait = datastall_wait_begin(loader);
    const uint64_t begin_ns = wait.begin_ns, end_ns = begin_ns + 100 * MS;
    const struct cause_batch batch = {begin_ns, begin_ns + 70 * MS, end_ns, 70 * MS, 0, 0, 0, 0};
    struct monitor_slot *slot = wait.slot;
    const struct rf_late_stall late = {.wait_ns = 100 * MS, .lower_ns = 0, .upper_ns = 100 * MS};
    cause_add_batch(&cause.timeline, begin_ns, end_ns, &batch);
    monitor_wait_end(&wait, end_ns, DATASTALL_WAIT_STEADY, NULL, &unknown, &cause);
    const uint64_t *c = slot->writer.counters;
    const uint64_t compute = c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE];
    rf_slot_late_stall(&slot->writer, slot->writer.head - 1, &late);
    rf_slot_flush(&slot->writer);
    assert_int_equal(c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] - compute, 70 * MS);
}

/* The cause of a wait goes with that wait's stall, and with no later one's in the same place. */
static void test_a_late_stall_of_another_wait(void **state)
{
    (void)state;
    static const struct stall_bounds unknown = STALL_BOUNDS_UNKNOWN;
    struct wait_cause cause = {.depth = RF_UNKNOWN, .stall_is_under_way = true};
    struct rf_late_stall late = {.wait_ns = MS, .lower_ns = MS, .upper_ns = MS};
    datastall_wait wait = datastall_wait_begin(loader);
    struct monitor_slot *slot = wait.slot;
    const uint64_t record = slot->writer.head;
    monitor_wait_end(&wait, wait.begin_ns + MS, DATASTALL_WAIT_STEADY, NULL, &unknown, &cause);
    cause_late_stall(slot, record + MONITOR_PENDING_CAUSES, &late);
    assert_false(late.has_split);
    cause_late_stall(slot, record, &late);
    assert_true(late.has_split);
    cause_late_stall(slot, record, &late); /* and once */
    assert_false(late.has_split);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_late_stall_without_a_split, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_a_late_stall_of_another_wait, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_a_wait_of_a_forked_worker, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_a_wait_of_a_spawned_worker, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_the_entry_goes_on_with_the_next_worker, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_a_worker_that_ends_leaves_its_batches, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_batches_of_a_killed_worker_are_said, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_a_reused_pid_is_another_worker, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_a_later_batch_was_ready, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(test_a_stream_that_ended, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(test_how_a_worker_ended, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(test_pauses, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(test_threads_at_once, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(test_parts_of_a_batch_add_up, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(test_another_epoch_is_not_mistaken, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_loading_in_the_loop, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(test_the_end_of_a_stream_in_the_loop, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_a_batch_that_was_ready, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(test_a_short_batch_of_the_loop, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(test_the_entries_are_bounded, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(test_a_late_stall, open_monitor, close_monitor),
        cmocka_unit_test(test_the_oldest_pin_thread_goes),
        cmocka_unit_test_setup_teardown(test_loops_share_no_entry, open_monitor, close_monitor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
