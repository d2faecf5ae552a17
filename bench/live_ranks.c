/* SPDX-License-Identifier: Apache-2.0 */
/* Many ranks on one machine that record at a fixed rate, for trying what reads them meanwhile.
 *
 *     bench_live_ranks BASE RANKS BATCHES_PER_S SECONDS GPUS
 *
 * Makes one run in the folder BASE: a launcher's file with GPUS sampled once a second, and RANKS
 * processes. Every batch holds SAMPLES samples and TOKENS tokens and was waited for WAIT_NS, of
 * which STALL_NS were exposed, so that who reads a torn value sees that the totals do not divide.
 * At the end it prints what recording cost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/monitor.h"
#include "run/reader.h"

#define SAMPLES 3u
#define TOKENS 21u
#define WAIT_NS UINT64_C(2000003)
#define STALL_NS UINT64_C(1000001)
#define KEPT 65536u /* costs kept per rank */

struct outcome {
    uint64_t batches, elapsed_ns, cpu_ns;
    uint32_t costs_ns[KEPT];
};

static void uuid_of(unsigned gpu, unsigned char uuid[16])
{
    memset(uuid, 0, 16);
    uuid[0] = 0xfa;
    uuid[15] = (unsigned char)gpu;
}

static void sleep_until(uint64_t time_ns)
{
    const struct timespec until = {(time_t)(time_ns / DS_NS_PER_S), (long)(time_ns % DS_NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

static uint64_t cpu_ns(void)
{
    return ds_clock_ns_of(CLOCK_PROCESS_CPUTIME_ID);
}

/* Every rank waits for the same moment, so that making 64 files does not count. */
static void record(unsigned rank, unsigned rate, unsigned seconds, unsigned gpus, uint64_t start_ns,
                   struct outcome *outcome)
{
    char text[16];
    datastall_monitor *monitor;
    datastall_loader *loader;
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    datastall_batch batch = DATASTALL_BATCH_INIT;
    struct stall_bounds stall = {RF_UNKNOWN, RF_UNKNOWN};
    snprintf(text, sizeof text, "%u", rank);
    setenv("RANK", text, 1);
    setenv("LOCAL_RANK", text, 1);
    options.name = "train";
    options.source = DATASTALL_SOURCE_WATCH;
    batch.samples = SAMPLES;
    batch.tokens = TOKENS;
    if (datastall_open(NULL, &monitor) != 0 ||
        datastall_loader_register(monitor, &options, &loader) != 0) {
        fprintf(stderr, "rank %u: %s\n", rank, datastall_last_error());
        _exit(1);
    }
    datastall_stage_set(monitor, "train", NULL);
    if (gpus > 0) {
        unsigned char uuid[16];
        uuid_of(rank % gpus, uuid);
        stall = (struct stall_bounds){STALL_NS, STALL_NS};
        monitor_note_accelerator(monitor, RF_ACCELERATOR_USED);
        rf_slot_set_gpu(&monitor_slot_of(loader)->writer, uuid);
    }
    const uint64_t interval_ns = DS_NS_PER_S / rate;
    const uint64_t total = (uint64_t)rate * seconds;
    uint64_t due = start_ns + interval_ns * rank / 64;
    sleep_until(due);
    const uint64_t cpu_before = cpu_ns();
    for (uint64_t i = 0; i < total; i++) {
        due += interval_ns;
        sleep_until(due);
        const uint64_t before = ds_now_ns();
        monitor_wait_record(loader, before, WAIT_NS, DATASTALL_WAIT_STEADY, &batch, &stall, NULL);
        outcome->costs_ns[i % KEPT] = (uint32_t)(ds_now_ns() - before);
    }
    outcome->batches = total;
    outcome->cpu_ns = cpu_ns() - cpu_before;
    outcome->elapsed_ns = ds_now_ns() - start_ns;
    datastall_close(monitor);
}

static void sample_gpus(struct rf_writer *writer, unsigned gpus, uint64_t end_ns)
{
    struct rf_gpu_writer entries[32];
    for (unsigned i = 0; i < gpus; i++) {
        unsigned char uuid[16];
        struct rf_gpu_static device = {.index = i};
        uuid_of(i, uuid);
        snprintf(device.uuid, sizeof device.uuid, "GPU-%02x000000-0000-0000-0000-0000000000%02x",
                 uuid[0], uuid[15]);
        snprintf(device.name, sizeof device.name, "Bench GPU");
        rf_gpu_attach(writer, i, &device, &entries[i]);
    }
    ds_store(&writer->process.block[RF_BLOCK_PAYLOAD + RF_PROCESS_GPU_STATE], RF_GPU_OK);
    for (uint64_t round = 0; ds_now_ns() < end_ns; round++) {
        for (unsigned i = 0; i < gpus; i++) {
            struct rf_gpu_sample sample = rf_gpu_nothing_read();
            sample.time_ns = ds_now_ns();
            sample.busy_percent = 30 + (round * 7 + i * 11) % 60;
            sample.activity = (double)sample.busy_percent / 100;
            sample.activity_span_ns = round == 0 ? 0 : DS_NS_PER_S;
            sample.activity_source = RF_ACTIVITY_GPM;
            sample.memory_used = UINT64_C(11) << 30;
            sample.memory_total = UINT64_C(80) << 30;
            sample.memory_free = UINT64_C(69) << 30;
            sample.power_mw = 200000 + 10000 * (round % 7);
            sample.temperature = 50;
            sample.sm_clock_mhz = 1980;
            sample.memory_clock_mhz = 2619;
            sample.state = RF_GPU_OK;
            rf_gpu_append(&entries[i], &sample);
        }
        sleep_until(ds_now_ns() + DS_NS_PER_S);
    }
}

static int make_launcher(const char *base, struct rf_run *run, struct rf_writer **writer)
{
    const struct rf_spec spec = {.gpus = 32};
    struct rf_process_static process = {
        .kind = RF_PROCESS_LAUNCHER,
        .pid = (uint64_t)getpid(),
        .start_ticks = rf_own_start_ticks(),
        .pid_namespace = rf_own_pid_namespace(),
        .rank = RF_UNKNOWN,
        .local_rank = RF_UNKNOWN,
        .world_size = RF_UNKNOWN,
        .opened_mono_ns = ds_now_ns(),
        .process_start_mono_ns = RF_UNKNOWN,
        .command = "torchrun train.py",
        .name = "bench",
    };
    char path[PATH_MAX];
    int error = rf_run_create(base, "train.py", run);
    if (error != 0 || snprintf(path, sizeof path, "%s/" RF_LAUNCHER_FILE, run->path) >= PATH_MAX)
        return error;
    setenv("DATASTALL_RUN_DIR", run->path, 1);
    return rf_writer_create(path, &spec, &process, writer);
}

static int compare(const void *a, const void *b)
{
    const uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return one < other ? -1 : one > other;
}

static void print_outcome(const struct outcome *outcomes, unsigned ranks)
{
    uint64_t batches = 0, cpu = 0, longest = 0;
    size_t count = 0;
    uint32_t *costs = malloc((size_t)ranks * KEPT * sizeof *costs);
    for (unsigned r = 0; r < ranks; r++) {
        const struct outcome *o = &outcomes[r];
        batches += o->batches;
        cpu += o->cpu_ns;
        longest = o->elapsed_ns > longest ? o->elapsed_ns : longest;
        for (uint64_t i = 0; costs != NULL && i < o->batches && i < KEPT; i++)
            costs[count++] = o->costs_ns[i];
    }
    if (costs == NULL || count == 0)
        return;
    qsort(costs, count, sizeof *costs, compare);
    printf("{\"batches\": %llu, \"seconds\": %.4f, \"cpu_us_per_batch\": %.3f, "
           "\"record_p50_ns\": %u, \"record_p99_ns\": %u}\n",
           (unsigned long long)batches, (double)longest * 1e-9,
           (double)cpu * 1e-3 / (double)batches, costs[count / 2], costs[count / 100 * 99]);
    free(costs);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: %s BASE RANKS BATCHES_PER_S SECONDS GPUS\n", argv[0]);
        return 2;
    }
    const unsigned ranks = (unsigned)atoi(argv[2]), rate = (unsigned)atoi(argv[3]);
    const unsigned seconds = (unsigned)atoi(argv[4]), gpus = (unsigned)atoi(argv[5]);
    struct rf_run run;
    struct rf_writer *writer = NULL;
    int failures = 0;
    if (ranks == 0 || rate == 0 || seconds == 0 || gpus > 32)
        return 2;
    struct outcome *outcomes = mmap(NULL, ranks * sizeof *outcomes, PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (outcomes == MAP_FAILED || make_launcher(argv[1], &run, &writer) != 0) {
        fprintf(stderr, "%s\n", datastall_last_error());
        return 1;
    }
    const uint64_t start_ns = ds_now_ns() + DS_NS_PER_S + 30 * ranks * UINT64_C(1000000);
    for (unsigned rank = 0; rank < ranks; rank++) {
        if (fork() == 0) {
            record(rank, rate, seconds, gpus, start_ns, &outcomes[rank]);
            _exit(0);
        }
    }
    if (gpus > 0)
        sample_gpus(writer, gpus, start_ns + seconds * DS_NS_PER_S);
    for (int status; wait(&status) > 0;)
        failures += status != 0;
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_EXIT_KNOWN, 1);
    rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
    print_outcome(outcomes, ranks);
    return failures > 0;
}
