/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 at a random moment, two hundred times (fewer under a sanitizer): every batch that was announced is in the file,
 * none twice, and all totals are those of exactly these batches. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "pattern.h"
#include "run/run_data.h"
#include "support.h"

#define ROUNDS 200
#define THREADS 2
#define SHARED 2 /* index of the loader that both threads use */

/* Thread t records its wait k on loader t, every third one on the shared loader. */
struct message {
    uint64_t thread, kernel_id, done; /* done: records of this thread so far */
};

static datastall_monitor *monitor;
static datastall_loader *loaders[THREADS + 1];
static int announce;

static void *record_for_ever(void *number)
{
    struct message message = {(uint64_t)(uintptr_t)number, (uint64_t)syscall(SYS_gettid), 0};
    uint64_t own = 0, shared = 0;
    for (;;) {
        const bool is_shared = message.done % 3 == 2;
        const uint64_t i = is_shared ? shared++ : own++;
        datastall_batch batch = pattern_batch(i);
        datastall_wait_record(loaders[is_shared ? SHARED : message.thread], datastall_clock_ns(),
                              pattern_wait_ns(i), pattern_kind(i), &batch);
        if (message.thread == 0 && message.done % 16 == 0)
            datastall_stage_set(monitor, message.done % 32 == 0 ? "one" : "two", NULL);
        message.done++;
        if (write(announce, &message, sizeof message) != (ssize_t)sizeof message)
            _exit(1);
    }
    return NULL;
}

static void be_the_writer(void)
{
    datastall_options options = DATASTALL_OPTIONS_INIT;
    pthread_t thread;
    options.max_slots = 8;
    options.recent_waits = 64;
    CHECK(datastall_open(&options, &monitor) == 0, "open");
    loaders[0] = test_loader(monitor, "zero");
    loaders[1] = test_loader(monitor, "one");
    loaders[SHARED] = test_loader(monitor, "shared");
    datastall_stage_set(monitor, "begin", NULL);
    CHECK(pthread_create(&thread, NULL, record_for_ever, (void *)1) == 0, "thread");
    record_for_ever((void *)0);
}

/* Reads announcements until the writer is gone; kills it `after_ns` after the first one. */
static void collect(pid_t writer, int from, uint64_t after_ns, struct message last[THREADS])
{
    uint64_t kill_at = UINT64_MAX;
    struct message messages[256];
    for (;;) {
        struct pollfd wait = {.fd = from, .events = POLLIN};
        poll(&wait, 1, kill_at == UINT64_MAX ? 10000 : 1);
        if (ds_now_ns() >= kill_at) {
            kill(writer, SIGKILL);
            kill_at = UINT64_MAX - 1; /* killed: now only read on */
        }
        if (!(wait.revents & (POLLIN | POLLHUP)))
            continue;
        ssize_t got = read(from, messages, sizeof messages);
        CHECK(got >= 0 && got % (ssize_t)sizeof *messages == 0, "half a message");
        if (got == 0)
            break;
        for (size_t i = 0; i < (size_t)got / sizeof *messages; i++)
            last[messages[i].thread] = messages[i];
        if (kill_at == UINT64_MAX)
            kill_at = ds_now_ns() + after_ns;
    }
}

static void check_slot(const struct rf_slot_view *view, const struct message last[THREADS],
                       uint64_t found[THREADS])
{
    const uint64_t n = view->records;
    /* One that announced nothing yet may have a wait all the same. */
    const bool is_first = view->thread == last[0].kernel_id ||
                          (view->thread != last[1].kernel_id && last[0].done == 0);
    uint64_t thread = is_first ? 0 : 1, in_stages = 0;
    CHECK(n == 0 || view->thread == last[thread].kernel_id || last[thread].done == 0,
          "a slot of nobody");
    CHECK(view->skew == 0, "skew %llu of a dead writer", (unsigned long long)view->skew);
    const char *wrong = n == 0 ? NULL : pattern_check_counters(view->counters, n);
    CHECK(wrong == NULL, "totals after %llu records: %s", (unsigned long long)n, wrong);
    for (uint64_t i = 0; i < view->ring_count; i++) {
        wrong =
            pattern_check_record(rf_view_record(view, view->ring_first + i), view->ring_first + i);
        CHECK(wrong == NULL, "record %llu: %s", (unsigned long long)(view->ring_first + i), wrong);
    }
    CHECK(view->ring_first + view->ring_count == n && view->ring_count >= (n < 63 ? n : 63),
          "the ring has %llu of %llu", (unsigned long long)view->ring_count, (unsigned long long)n);
    CHECK(histogram_total(rf_view_steady(view)) + histogram_total(rf_view_startup(view)) == n,
          "the histograms");
    for (uint32_t s = 1; s < RF_STAGE_CAPACITY; s++)
        in_stages += rf_view_stage(view, s)[RF_COUNT_BATCHES];
    CHECK(in_stages == n, "stages hold %llu of %llu batches", (unsigned long long)in_stages,
          (unsigned long long)n);
    found[thread] += n;
}

static void check_file(const char *path, const struct message last[THREADS])
{
    struct run_reader *reader;
    uint64_t found[THREADS] = {0};
    CHECK(run_reader_open(path, &reader) == 0, "open");
    for (uint64_t i = 0; i < run_reader_count(reader, RF_SECTION_SLOTS); i++) {
        struct rf_slot_view view;
        enum rf_view_status status = run_reader_slot(reader, i, RF_PART_ALL, &view);
        if (status == RF_VIEW_UNUSED)
            continue;
        CHECK(status == RF_VIEW_OK, "slot %llu: %s", (unsigned long long)i, view.damage);
        check_slot(&view, last, found);
        rf_slot_view_free(&view);
    }
    CHECK(reader->problems == 0, "%s", reader->first_problem);
    for (int t = 0; t < THREADS; t++)
        CHECK(found[t] == last[t].done || found[t] == last[t].done + 1,
              "thread %d announced %llu, the file has %llu", t, (unsigned long long)last[t].done,
              (unsigned long long)found[t]);
    run_reader_close(reader);
}

static uint64_t check_run(const char *folder, const struct message last[THREADS])
{
    struct run_data *run;
    uint64_t batches = 0;
    CHECK(run_data_read(folder, &run) == 0, "read");
    CHECK(run->problems == 0, "%s", run->first_problem);
    CHECK(run->process_count == 1 && run->processes[0].liveness == RF_DEAD, "one dead process");
    CHECK(run->processes[0].view.words[RF_PROCESS_STATE] == RF_STATE_OPEN, "it was not closed");
    for (uint32_t i = 0; i < run->processes[0].loader_count; i++)
        batches += run->processes[0].loaders[i].totals.counters[RF_COUNT_BATCHES];
    CHECK(batches >= last[0].done + last[1].done && batches <= last[0].done + last[1].done + 2,
          "%llu batches", (unsigned long long)batches);
    check_file(test_path(folder, run->processes[0].file), last);
    run_data_free(run);
    return batches;
}

static uint64_t one_round(uint64_t after_ns)
{
    char folder[] = "/tmp/datastall-kill9-XXXXXX";
    struct message last[THREADS] = {{0}};
    int ends[2], status;
    CHECK(mkdtemp(folder) != NULL && pipe(ends) == 0, "set up");
    setenv("DATASTALL_RUN_DIR", folder, 1);
    pid_t writer = fork();
    if (writer == 0) {
        close(ends[0]);
        announce = ends[1];
        be_the_writer();
    }
    close(ends[1]);
    collect(writer, ends[0], after_ns, last);
    close(ends[0]);
    CHECK(waitpid(writer, &status, 0) == writer, "wait");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the writer ended with %#x", status);
    uint64_t batches = check_run(folder, last);
    test_remove(folder);
    return batches;
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS / (int)test_every();
    uint64_t random = ds_now_ns() | 1, batches = 0;
    for (int i = 0; i < rounds; i++)
        batches += one_round(test_random(&random) % 20000000);
    printf("%d kills, %llu batches, none lost and none twice\n", rounds,
           (unsigned long long)batches);
    return 0;
}
