/* SPDX-License-Identifier: Apache-2.0 */
/* fork(): a child never writes as its parent, and can record for itself, whatever the parent's
 * other threads were doing at that moment. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomics.h"
#include "run/run_data.h"
#include "support.h"

/* The allocators of both sanitizers can hang in a child of a process with threads: only libc's own
 * takes its locks around fork(). Seen with a debugger, one child in some ten thousand on a busy machine,
 * in a malloc() of the child's datastall_open() beside threads that only used their handles. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_HANGS_AFTER_FORK
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MALLOC_HANGS_AFTER_FORK
#endif
#endif

#define MS UINT64_C(1000000)

static datastall_monitor *monitor;
static datastall_loader *loader;
static datastall_wait begun;

static void put(datastall_loader *where, uint64_t count)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.samples = 4;
    for (uint64_t i = 0; i < count; i++)
        datastall_wait_record(where, datastall_clock_ns(), 2 * MS, DATASTALL_WAIT_STEADY, &batch);
}

/* Calls everything there is on handles of the parent. */
static void use_foreign_handles(void)
{
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    datastall_statistics statistics = DATASTALL_STATISTICS_INIT;
    datastall_lost lost = DATASTALL_LOST_INIT;
    datastall_loader *own = (void *)1;
    const int forked = DATASTALL_ERR_FORKED;
    CHECK(datastall_monitor_state(monitor) == forked, "state");
    CHECK(datastall_stage_set(monitor, "child", NULL) == forked, "stage");
    options.name = "child";
    CHECK(datastall_loader_register(monitor, &options, &own) == forked && own == NULL, "loader");
    CHECK(datastall_loader_statistics(loader, &statistics) == forked, "statistics");
    CHECK(datastall_monitor_statistics(monitor, &statistics) == forked, "statistics");
    CHECK(strlen(datastall_last_error()) > 0, "a sentence");
    CHECK(datastall_gpu_sampling_start(monitor, 1) == forked, "sampling");
    datastall_gpu_sampling_stop(monitor);
    datastall_wait_end(&begun, DATASTALL_WAIT_STEADY, NULL);
    datastall_wait wait = datastall_wait_begin(loader);
    datastall_wait_end_at(&wait, datastall_clock_ns(), DATASTALL_WAIT_STEADY, NULL);
    put(loader, 100);
    CHECK(datastall_run_file(monitor)[0] == '/', "the path is known");
    CHECK(datastall_lost_get(monitor, &lost) == 0 && lost.after_fork >= 100, "%llu ignored calls",
          (unsigned long long)lost.after_fork);
}

static void grandchild(void *own)
{
    datastall_monitor *parents = own;
    datastall_monitor *mine;
    use_foreign_handles();
    CHECK(datastall_monitor_state(parents) == DATASTALL_ERR_FORKED, "grandchild");
    CHECK(datastall_open(NULL, &mine) == 0, "grandchild opens");
    put(test_loader(mine, "grandchild"), 30);
    datastall_close(parents);
    datastall_close(monitor);
    datastall_close(mine);
}

static void child(void *context)
{
    (void)context;
    datastall_monitor *mine;
    use_foreign_handles();
    CHECK(datastall_open(NULL, &mine) == 0, "child opens");
    CHECK(datastall_monitor_state(mine) == 0, "child records");
    datastall_loader *own = test_loader(mine, "child");
    put(own, 20);
    CHECK(test_in_child(grandchild, mine) == 0, "grandchild");
    put(own, 1);
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    CHECK(datastall_monitor_statistics(mine, &s) == 0 && s.batches == 21, "%llu batches",
          (unsigned long long)s.batches);
    datastall_close(monitor); /* the child's copy: the file is left alone */
    datastall_close(mine);
}

static void check_parents_file_is_left_alone(void)
{
    size_t before_size, after_size;
    put(loader, 50);
    datastall_stage_set(monitor, "train", NULL);
    begun = datastall_wait_begin(loader);
    unsigned char *before = test_read_file(datastall_run_file(monitor), &before_size);
    CHECK(test_in_child(child, NULL) == 0, "child");
    unsigned char *after = test_read_file(datastall_run_file(monitor), &after_size);
    CHECK(before_size == after_size && memcmp(before, after, before_size) == 0,
          "the child changed its parent's file");
    free(before);
    free(after);
    datastall_wait_end(&begun, DATASTALL_WAIT_STEADY, NULL);
    put(loader, 49);
}

static void check_three_files(const char *folder)
{
    struct run_data *run;
    CHECK(run_data_read(folder, &run) == 0, "read");
    CHECK(run->process_count == 3 && run->problems == 0, "%u processes, %u problems: %s",
          run->process_count, run->problems, run->first_problem);
    const char *const names[] = {"parent", "child", "grandchild"};
    const uint64_t batches[] = {100, 21, 30};
    for (int i = 0; i < 3; i++) { /* sorted by the time of opening */
        const struct run_process *process = &run->processes[i];
        CHECK(process->loader_count == 1, "%u loaders", process->loader_count);
        CHECK(strcmp(process->loaders[0].entry.name, names[i]) == 0, "%s is not %s",
              process->loaders[0].entry.name, names[i]);
        CHECK(process->loaders[0].totals.counters[RF_COUNT_BATCHES] == batches[i], "%s", names[i]);
        CHECK(process->view.words[RF_PROCESS_STATE] == RF_STATE_CLOSED, "%s", names[i]);
        CHECK(i == 0 || process->view.fixed.parent_pid == run->processes[i - 1].view.fixed.pid,
              "%s", names[i]);
    }
    run_data_free(run);
}

/* ---- with other threads at work ---- */

static uint64_t stop;

static void *use_handles(void *context)
{
    (void)context;
    while (ds_load(&stop) == 0) {
        datastall_statistics s = DATASTALL_STATISTICS_INIT;
        datastall_monitor_statistics(monitor, &s);
        datastall_stage_set(monitor, "busy", NULL);
        put(loader, 10);
    }
    return NULL;
}

static void *open_and_close(void *context)
{
    (void)context;
    while (ds_load(&stop) == 0) {
        datastall_options options = DATASTALL_OPTIONS_INIT;
        datastall_monitor *short_lived;
        options.max_slots = 1;
        options.recent_waits = 8;
        CHECK(datastall_open(&options, &short_lived) == 0, "open");
        put(test_loader(short_lived, "short"), 1);
        char path[4096];
        snprintf(path, sizeof path, "%s", datastall_run_file(short_lived));
        datastall_close(short_lived);
        unlink(path);
    }
    return NULL;
}

static void child_of_a_busy_parent(void *context)
{
    (void)context;
    alarm(60); /* a mutex that stayed locked in the child ends here; opening takes 0.1 s */
    use_foreign_handles();
#ifndef MALLOC_HANGS_AFTER_FORK
    datastall_monitor *mine;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    options.max_slots = 1;
    options.recent_waits = 8;
    CHECK(datastall_open(&options, &mine) == 0, "open");
    put(test_loader(mine, "child"), 1);
    char path[4096];
    snprintf(path, sizeof path, "%s", datastall_run_file(mine));
    datastall_close(monitor);
    datastall_close(mine);
    unlink(path);
#endif
    _exit(0); /* no destructors of a copy of a program with threads */
}

static void check_forks_beside_threads(void *(*work)(void *), const char *what)
{
    pthread_t threads[2];
    ds_store(&stop, 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0, "thread");
    int hung = 0;
    for (int i = 0; i < 100 && hung == 0; i++) {
        int status = test_in_child(child_of_a_busy_parent, NULL);
        hung += WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
        CHECK(status == 0 || hung > 0, "child ended with %#x", status);
    }
    ds_store(&stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(hung == 0, "a child hung that was forked while a thread was %s", what);
}

int main(void)
{
    const char *folder = test_run_folder();
    CHECK(datastall_open(NULL, &monitor) == 0, "open");
    loader = test_loader(monitor, "parent");
    check_parents_file_is_left_alone();
    datastall_close(monitor);
    check_three_files(folder);

    CHECK(datastall_open(NULL, &monitor) == 0, "open");
    loader = test_loader(monitor, "parent");
    put(loader, 1);
    check_forks_beside_threads(use_handles, "using its handles");
#ifndef MALLOC_HANGS_AFTER_FORK
    check_forks_beside_threads(open_and_close, "opening and closing");
#else
    (void)open_and_close;
#endif
    datastall_close(monitor);
    puts("a child leaves its parent's file alone and records for itself");
    return 0;
}
