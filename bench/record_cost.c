/* SPDX-License-Identifier: Apache-2.0 */
/* What one wait costs from C, and what statistics cost after ever longer runs.
 *
 *     bench_record [file|memory]
 *
 * Prints "name value unit" lines; scripts/bench.sh puts them beside the plain-Python recorder's.
 * Each figure is the median of 21 rounds, so that a neighbour's burst does not count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "datastall.h"
#include "record/monitor.h"

#define ROUNDS 21
#define PER_ROUND 50000

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_ns(void (*round)(datastall_loader *), datastall_loader *loader)
{
    double times[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t begin = ds_now_ns();
        round(loader);
        times[r] = (double)(ds_now_ns() - begin) / PER_ROUND;
    }
    qsort(times, ROUNDS, sizeof *times, compare);
    return times[ROUNDS / 2];
}

static volatile uint64_t sink;
static uint64_t next_index;

static void clock_round(datastall_loader *loader)
{
    (void)loader;
    for (int i = 0; i < PER_ROUND; i++)
        sink = datastall_clock_ns();
}

/* Waits of 1 us to 65 ms without reading a clock: the recording alone. */
static void record_round(datastall_loader *loader)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    static uint64_t now = UINT64_C(1000000000000);
    for (int i = 0; i < PER_ROUND; i++) {
        next_index++;
        now += 100000;
        batch.batch_index = next_index;
        batch.samples = 32;
        batch.tokens = 4000;
        batch.longest_sequence = 128;
        datastall_wait_record(loader, now, 1000 + (next_index * 2654435761u & 0xffff) * 1000,
                              DATASTALL_WAIT_STEADY, &batch);
    }
}

static void begin_end_round(datastall_loader *loader)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    for (int i = 0; i < PER_ROUND; i++) {
        batch.batch_index = next_index++;
        batch.samples = 32;
        datastall_wait wait = datastall_wait_begin(loader);
        datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, &batch);
    }
}

static uint64_t resident_kib(void)
{
    unsigned long long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &size, &resident) != 2)
            resident = 0;
        fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void statistics_cost(datastall_loader *loader, uint64_t recorded)
{
    double times[ROUNDS];
    datastall_statistics statistics = DATASTALL_STATISTICS_INIT;
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t begin = ds_now_ns();
        datastall_loader_statistics(loader, &statistics);
        times[r] = (double)(ds_now_ns() - begin);
    }
    qsort(times, ROUNDS, sizeof *times, compare);
    if (statistics.batches != recorded)
        exit(1);
    printf("statistics_after_%llu %.1f us\n", (unsigned long long)recorded,
           times[ROUNDS / 2] / 1000);
    printf("resident_after_%llu %llu KiB\n", (unsigned long long)recorded,
           (unsigned long long)resident_kib());
}

static void record_many(datastall_loader *loader, uint64_t *recorded, uint64_t until)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.samples = 32;
    for (; *recorded < until; (*recorded)++)
        datastall_wait_record(loader, *recorded * 1000000, 1000 + *recorded % 100000,
                              DATASTALL_WAIT_STEADY, &batch);
}

static datastall_loader *open_loader(const char *name, datastall_monitor **monitor, int memory)
{
    datastall_options options = DATASTALL_OPTIONS_INIT;
    datastall_loader_options loader_options = DATASTALL_LOADER_OPTIONS_INIT;
    datastall_loader *loader;
    options.flags = memory ? DATASTALL_MEMORY_ONLY : 0;
    loader_options.name = name;
    if (datastall_open(&options, monitor) != DATASTALL_OK ||
        datastall_loader_register(*monitor, &loader_options, &loader) != DATASTALL_OK) {
        fprintf(stderr, "%s\n", datastall_last_error());
        exit(1);
    }
    /* The waits' time is their own: no clock is read for it. */
    (*monitor)->earliest_end_ns = 0;
    (*monitor)->latest_end_ns = UINT64_MAX - 1;
    return loader;
}

int main(int argc, char **argv)
{
    int memory = argc > 1 && strcmp(argv[1], "memory") == 0;
    datastall_monitor *monitor, *growing;
    uint64_t recorded = 0;
    datastall_loader *loader = open_loader("bench", &monitor, memory);
    printf("clock_read %.1f ns\n", median_ns(clock_round, loader));
    printf("record_without_clock %.1f ns\n", median_ns(record_round, loader));
    printf("begin_end_with_clock %.1f ns\n", median_ns(begin_end_round, loader));
    loader = open_loader("growing", &growing, memory);
    for (uint64_t until = 10000; until <= 10000000; until *= until == 10000 ? 100 : 10) {
        record_many(loader, &recorded, until);
        statistics_cost(loader, recorded);
    }
    datastall_close(growing);
    datastall_close(monitor);
    return 0;
}
