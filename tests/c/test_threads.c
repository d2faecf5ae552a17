/* SPDX-License-Identifier: Apache-2.0 */
/* Four threads write at full speed while another process reads the file and another thread asks for
 * statistics: whatever they see is whole. Also the program for the thread sanitizer. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/clock.h"
#include "pattern.h"
#include "run/reader.h"
#include "support.h"

#define WRITERS 4
#define SLOTS 5  /* one more than writers, and the overflow slot */
#define READS 10 /* of slots, at least: the writers go on until then */

static datastall_monitor *monitor;
static datastall_loader *loaders[2];
static uint64_t stop;
static uint64_t written[WRITERS];

/* ---- the other process ---- */

struct seen {
    uint64_t reads, exact, records, ring_records, most_skew;
    uint64_t last[SLOTS + 1];
};

static void check_ring(const struct rf_slot_view *view, struct seen *seen)
{
    for (uint64_t i = 0; i < view->ring_count; i++) {
        const char *wrong =
            pattern_check_record(rf_view_record(view, view->ring_first + i), view->ring_first + i);
        CHECK(wrong == NULL, "record %llu of %llu is torn: %s",
              (unsigned long long)(view->ring_first + i), (unsigned long long)view->records, wrong);
    }
    seen->ring_records += view->ring_count;
}

static void check_tables(const struct rf_slot_view *view)
{
    const uint64_t n = view->counters[RF_COUNT_BATCHES];
    const uint64_t counted =
        histogram_total(rf_view_steady(view)) + histogram_total(rf_view_startup(view));
    CHECK(counted + view->skew >= n && counted <= n + view->skew,
          "histograms hold %llu of %llu, skew %llu", (unsigned long long)counted,
          (unsigned long long)n, (unsigned long long)view->skew);
    for (uint64_t level = 0; level < view->layout.rollup_levels; level++) {
        for (uint64_t b = 0; b < view->layout.rollup_buckets; b++) {
            const uint64_t *bucket = rf_view_rollup(view, level, b);
            CHECK(bucket[RF_ROLLUP_OF(SAMPLES)] <=
                      13 * (bucket[RF_ROLLUP_OF(BATCHES)] + view->skew),
                  "a span of %llu batches with %llu samples",
                  (unsigned long long)bucket[RF_ROLLUP_OF(BATCHES)],
                  (unsigned long long)bucket[RF_ROLLUP_OF(SAMPLES)]);
        }
    }
}

static void check_slot(struct run_reader *reader, uint64_t index, struct seen *seen)
{
    struct rf_slot_view view;
    enum rf_view_status status = run_reader_slot(reader, index, RF_PART_ALL, &view);
    if (status == RF_VIEW_UNUSED)
        return;
    CHECK(status == RF_VIEW_OK, "slot %llu: status %d, %s", (unsigned long long)index, status,
          status == RF_VIEW_DAMAGED ? view.damage : "");
    CHECK(view.records >= seen->last[index], "slot %llu went from %llu to %llu records",
          (unsigned long long)index, (unsigned long long)seen->last[index],
          (unsigned long long)view.records);
    seen->last[index] = view.records;
    if (view.records > 0) {
        const char *wrong = pattern_check_counters(view.counters, view.records);
        CHECK(wrong == NULL, "totals after %llu records: %s", (unsigned long long)view.records,
              wrong);
    }
    check_ring(&view, seen);
    check_tables(&view);
    seen->reads++;
    seen->exact += view.skew == 0;
    if (view.skew > seen->most_skew)
        seen->most_skew = view.skew;
    rf_slot_view_free(&view);
}

/* Reads until the pipe says how much was written in all, then once more: now exactly. */
static void read_from_outside(const char *path, int pipe_end, int enough)
{
    struct run_reader *reader;
    struct seen seen = {0};
    uint64_t total = 0;
    fd_set set;
    CHECK(run_reader_open(path, &reader) == 0, "open");
    for (bool told = false;;) {
        for (uint64_t i = 0; i < SLOTS; i++)
            check_slot(reader, i, &seen);
        if (!told && seen.reads >= READS) {
            CHECK(write(enough, "x", 1) == 1, "pipe");
            told = true;
        }
        struct timeval now = {0, 0};
        FD_ZERO(&set);
        FD_SET(pipe_end, &set);
        if (select(pipe_end + 1, &set, NULL, NULL, &now) > 0)
            break;
    }
    CHECK(read(pipe_end, &total, 8) == 8, "the writers failed");
    const uint64_t exact = seen.exact, reads = seen.reads;
    printf("other process: %llu reads, %llu with skew 0, largest skew %llu, %llu ring records\n",
           (unsigned long long)reads, (unsigned long long)exact, (unsigned long long)seen.most_skew,
           (unsigned long long)seen.ring_records);
    for (uint64_t i = 0; i < SLOTS; i++) {
        check_slot(reader, i, &seen);
        total -= seen.last[i];
    }
    CHECK(total == 0, "the last read lacks %lld records", (long long)total);
    CHECK(seen.exact - exact == WRITERS, "the last reads are not exact");
    CHECK(reader->problems == 0, "%s", reader->first_problem);
    CHECK(reads >= READS, "only %llu reads", (unsigned long long)reads);
    run_reader_close(reader);
}

/* ---- this process ---- */

static void *write_waits(void *context)
{
    uint64_t *count = context;
    datastall_loader *loader = loaders[(count - written) % 2];
    uint64_t i = 0;
    for (; ds_load(&stop) == 0; i++) {
        datastall_batch batch = pattern_batch(i);
        datastall_wait wait = datastall_wait_begin(loader);
        datastall_wait_end_at(&wait, wait.begin_ns + pattern_wait_ns(i), pattern_kind(i), &batch);
    }
    *count = i;
    return NULL;
}

static void check_statistics(const datastall_statistics *s, const datastall_statistics *last)
{
    CHECK(s->batches >= last->batches && s->steady.count >= last->steady.count &&
              s->samples + 1 >= last->samples + 1,
          "totals went back from %llu to %llu", (unsigned long long)last->batches,
          (unsigned long long)s->batches);
    CHECK(s->steady.count + s->startup.count == s->batches && s->samples_batches == s->batches,
          "waits do not add up");
    if (s->steady.count == 0)
        return;
    CHECK(s->samples >= s->batches && s->samples <= 13 * s->batches, "samples");
    CHECK(s->steady.min_ns <= s->steady.p50_ns && s->steady.p50_ns <= s->steady.p95_ns &&
              s->steady.p95_ns <= s->steady.p99_ns && s->steady.p99_ns <= s->steady.max_ns,
          "quantiles are out of order");
    CHECK(s->steady.mean_ns >= (double)s->steady.min_ns &&
              s->steady.mean_ns <= (double)s->steady.max_ns,
          "mean");
    CHECK(s->packing_efficiency > 0 && s->packing_efficiency < 1, "packing");
}

static void *ask_for_statistics(void *count)
{
    datastall_statistics last[3] = {{0}, {0}, {0}};
    for (int i = 0; i < 3; i++)
        last[i].samples = UINT64_MAX; /* unknown: one below 0 */
    while (ds_load(&stop) == 0) {
        for (int i = 0; i < 3; i++) {
            datastall_statistics s = DATASTALL_STATISTICS_INIT;
            int error = i < 2 ? datastall_loader_statistics(loaders[i], &s)
                              : datastall_monitor_statistics(monitor, &s);
            CHECK(error == 0, "statistics");
            check_statistics(&s, &last[i]);
            last[i] = s;
            ++*(uint64_t *)count;
        }
    }
    return NULL;
}

static void check_end(void)
{
    uint64_t all = 0, samples = 0;
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    for (int i = 0; i < WRITERS; i++) {
        all += written[i];
        samples += pattern_sum_mod(written[i], 13) + written[i];
    }
    CHECK(datastall_monitor_statistics(monitor, &s) == 0, "statistics");
    CHECK(s.batches == all && s.samples == samples, "%llu of %llu batches",
          (unsigned long long)s.batches, (unsigned long long)all);
    datastall_lost lost = DATASTALL_LOST_INIT;
    CHECK(datastall_lost_get(monitor, &lost) == 0, "lost");
    CHECK(lost.contention + lost.merged_other + lost.after_fork == 0, "something was lost");
}

static void write_for(double seconds, int pipe_end, int enough)
{
    char byte;
    pthread_t threads[WRITERS], asking;
    uint64_t asked = 0, total = 0;
    const uint64_t begin = ds_now_ns();
    for (int i = 0; i < WRITERS; i++)
        CHECK(pthread_create(&threads[i], NULL, write_waits, &written[i]) == 0, "thread");
    CHECK(pthread_create(&asking, NULL, ask_for_statistics, &asked) == 0, "thread");
    while ((double)(ds_now_ns() - begin) < seconds * 1e9)
        usleep(20000);
    CHECK(read(enough, &byte, 1) == 1, "the reader failed");
    ds_store(&stop, 1);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        total += written[i];
    }
    pthread_join(asking, NULL);
    check_end();
    printf("this process: %llu records, %.0f ns each; %llu statistics\n", (unsigned long long)total,
           seconds * 1e9 / (double)total, (unsigned long long)asked);
    fflush(NULL);
    CHECK(write(pipe_end, &total, 8) == 8, "pipe");
}

int main(int argc, char **argv)
{
    const double seconds = test_seconds(argc, argv, 60);
    datastall_options options = DATASTALL_OPTIONS_INIT;
    int ends[2], enough[2], status;
    test_run_folder();
    options.max_slots = SLOTS - 1;
    CHECK(datastall_open(&options, &monitor) == 0, "open");
    loaders[0] = test_loader(monitor, "even");
    loaders[1] = test_loader(monitor, "odd");
    CHECK(pipe(ends) == 0 && pipe(enough) == 0, "pipe");
    pid_t reading = fork(); /* before there are threads */
    if (reading == 0) {
        close(ends[1]);
        close(enough[0]);
        read_from_outside(datastall_run_file(monitor), ends[0], enough[1]);
        fflush(NULL);
        _exit(0);
    }
    close(ends[0]);
    close(enough[1]);
    signal(SIGPIPE, SIG_IGN);
    write_for(seconds, ends[1], enough[0]);
    CHECK(waitpid(reading, &status, 0) == reading && status == 0, "the reader ended with %#x",
          status);
    datastall_close(monitor);
    return 0;
}
