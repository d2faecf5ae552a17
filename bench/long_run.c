/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a long run of many ranks in little time, on a clock of its own: what reads such a run is tried
 * with it (docs/report.md).
 *
 *     bench_long_run BASE RANKS HOURS GPUS NAME
 *
 * Every rank waits twice a second for a batch of NAME's loader, for 150 ms and more, of workers whose
 * batches are kept as a real run keeps them; a hundredth of the waits is a second long. Rank 3 is slower.
 * NAME stands in every text of the run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/monitor.h"
#include "record/stretches.h"
#include "runfile/liveness.h"
#include "runfile/worker_slot.h"

#define WORKERS 8u
#define PER_S 2u
#define MS UINT64_C(1000000)

static const char *name;
static uint64_t begin_ns;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void uuid_of(unsigned gpu, unsigned char uuid[16])
{
    memset(uuid, 0, 16);
    uuid[0] = 0xfa;
    uuid[15] = (unsigned char)gpu;
}

static void write_workers(struct rf_writer *writer, uint64_t batches)
{
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_worker_layout layout;
    rf_worker_geometry(geometry);
    rf_worker_layout_of(geometry, &layout);
    for (uint64_t w = 0; w < WORKERS; w++) {
        uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, (uint32_t)w);
        const uint64_t made = batches / WORKERS;
        uint64_t *totals = entry + layout.totals_at + made % layout.versions * layout.total_words;
        entry[RF_WORKER_LOADER] = 1;
        entry[RF_WORKER_NUMBER] = w;
        entry[RF_WORKER_PID] = 5000 + w;
        entry[RF_WORKER_GENERATION] = entry[RF_WORKER_ATTACHED] = 1;
        entry[RF_WORKER_EPOCH] = rf_pack_epoch(1, 0);
        entry[RF_WORKER_COUNT] = totals[RF_TOTAL_COUNT] = totals[RF_TOTAL_BATCHES] = made;
        totals[RF_TOTAL_ITEMS] = totals[RF_TOTAL_ITEMS_TIMED] = batches * 4;
        totals[RF_TOTAL_ITEM_NS] = totals[RF_TOTAL_ITEMS_NS] = made * 3000 * MS;
        totals[RF_TOTAL_ITEMS_CPU_NS] = made * 2900 * MS;
        totals[RF_TOTAL_BEGIN_NS] = begin_ns;
        totals[RF_TOTAL_END_NS] = begin_ns + batches / PER_S * DS_NS_PER_S;
        for (uint64_t i = 0; i < RF_WORKER_SLOWEST; i++) {
            entry[layout.slow_at + i * RF_ITEM_WORDS + RF_ITEM_NS] = (900 - 17 * i) * MS;
            entry[layout.slow_at + i * RF_ITEM_WORDS + RF_ITEM_INDEX] = 1000 * w + i;
        }
    }
}

static void add_batch(struct stretches *stretches, uint64_t i, uint64_t end_ns, uint64_t wait_ns,
                      uint64_t make_ns, const struct stall_bounds *stall)
{
    struct cause_row row;
    struct stretches_batch batch = {.worker = (uint32_t)(i % WORKERS),
                                    .begin_ns = end_ns - wait_ns};
    for (uint32_t t = 0; t < RF_BATCH_TIMES; t++)
        batch.times[t] = RF_STRETCH_UNKNOWN;
    batch.end_ns = end_ns;
    batch.times[RF_BATCH_BEGUN] = rf_stretch_units(make_ns + 12 * MS);
    batch.times[RF_BATCH_ITEMS] = rf_stretch_units(make_ns);
    batch.times[RF_BATCH_CPU] = rf_stretch_units(make_ns / 10 * 9);
    batch.times[RF_BATCH_DELAY] = rf_stretch_units(make_ns / 50);
    batch.times[RF_BATCH_THREADS] = rf_stretch_units(0);
    batch.times[RF_BATCH_COLLATE] = batch.times[RF_BATCH_COLLATE_CPU] = rf_stretch_units(8 * MS);
    batch.times[RF_BATCH_COLLATE_DELAY] = rf_stretch_units(0);
    batch.times[RF_BATCH_HANDOVER] = rf_stretch_units(4 * MS);
    batch.times[RF_BATCH_PICKLE_CPU] = rf_stretch_units(MS);
    stretches_add(stretches, &batch, &row);
    stretches_exposed(&row, stall);
}

static void record(unsigned rank, unsigned ranks, uint64_t batches, unsigned gpus)
{
    char text[16];
    datastall_monitor *monitor;
    datastall_loader *loader;
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    datastall_batch batch = DATASTALL_BATCH_INIT;
    struct stretches stretches;
    uint64_t state = rank + 88172645463325252u;
    unsigned char uuid[16];
    snprintf(text, sizeof text, "%u", rank);
    setenv("RANK", text, 1);
    snprintf(text, sizeof text, "%u", ranks);
    setenv("WORLD_SIZE", text, 1);
    options.name = name;
    options.dataset_type = name;
    options.site = name;
    options.source = DATASTALL_SOURCE_TORCH;
    options.num_workers = WORKERS;
    options.prefetch_factor = 2;
    options.batch_size = 32;
    if (datastall_open(NULL, &monitor) != 0 ||
        datastall_loader_register(monitor, &options, &loader) != 0) {
        fprintf(stderr, "rank %u: %s\n", rank, datastall_last_error());
        _exit(1);
    }
    monitor->earliest_end_ns = 0; /* the clock is the run's own */
    monitor->latest_end_ns = UINT64_MAX - 1;
    batch.samples = 32;
    if (gpus > 0) {
        uuid_of(rank % gpus, uuid);
        monitor_note_accelerator(monitor, RF_ACCELERATOR_USED);
        rf_slot_set_gpu(&monitor_slot_of(loader)->writer, uuid);
    }
    stretches_open(&stretches, monitor, 1, false, 0);
    for (uint64_t i = 0; i < batches; i++) {
        const bool slow = next_random(&state) % 100 == 0;
        const uint64_t usual = (rank == 3 ? 330 : 150) * MS + i * 40 * MS / batches;
        uint64_t wait_ns = slow ? 1000 * MS : usual + next_random(&state) % (60 * MS);
        const uint64_t end_ns = begin_ns + (i + 1) * DS_NS_PER_S / PER_S + (slow ? 500 * MS : 0);
        const struct stall_bounds stall = {wait_ns - MS, wait_ns};
        batch.batch_index = i;
        monitor_wait_record(loader, end_ns, wait_ns,
                            i == 0 ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY, &batch,
                            gpus > 0 ? &stall : NULL, NULL);
        add_batch(&stretches, i, end_ns, wait_ns, 2900 * MS + (slow ? 800 * MS : 0), &stall);
    }
    stretches_close(&stretches);
    write_workers(monitor->writer, batches);
    datastall_close(monitor);
}

static void sample_gpus(struct rf_writer *writer, unsigned gpus, uint64_t seconds)
{
    struct rf_gpu_writer entries[32];
    for (unsigned i = 0; i < gpus; i++) {
        unsigned char uuid[16];
        struct rf_gpu_static device = {.index = i};
        uuid_of(i, uuid);
        snprintf(device.uuid, sizeof device.uuid, "GPU-%02x000000-0000-0000-0000-0000000000%02x",
                 uuid[0], uuid[15]);
        snprintf(device.name, sizeof device.name, "%s", name);
        rf_gpu_attach(writer, i, &device, &entries[i]);
    }
    ds_store(&writer->process.block[RF_BLOCK_PAYLOAD + RF_PROCESS_GPU_STATE], RF_GPU_OK);
    for (uint64_t s = 0; s <= seconds; s++) {
        for (unsigned i = 0; i < gpus; i++) {
            struct rf_gpu_sample sample = rf_gpu_nothing_read();
            sample.time_ns = begin_ns + s * DS_NS_PER_S;
            sample.busy_percent = 50 + (s / 600 + i) % 12;
            sample.activity = (double)sample.busy_percent / 100;
            sample.activity_span_ns = s == 0 ? 0 : DS_NS_PER_S;
            sample.activity_source = RF_ACTIVITY_GPM;
            sample.memory_used = (UINT64_C(11) << 30) + s * 100000;
            sample.memory_total = UINT64_C(80) << 30;
            sample.power_mw = 320000 + 1000 * ((s / 300 + i) % 90);
            sample.temperature = 50;
            sample.state = RF_GPU_OK;
            rf_gpu_append(&entries[i], &sample);
        }
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
        .opened_mono_ns = begin_ns,
        .process_start_mono_ns = RF_UNKNOWN,
    };
    char path[PATH_MAX];
    snprintf(process.command, sizeof process.command, "torchrun train.py %s", name);
    snprintf(process.name, sizeof process.name, "%s", name);
    int error = rf_run_create(base, "long", run);
    if (error != 0 || snprintf(path, sizeof path, "%s/" RF_LAUNCHER_FILE, run->path) >= PATH_MAX)
        return error;
    setenv("DATASTALL_RUN_DIR", run->path, 1);
    return rf_writer_create(path, &spec, &process, writer);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: %s BASE RANKS HOURS GPUS NAME\n", argv[0]);
        return 2;
    }
    const unsigned ranks = (unsigned)atoi(argv[2]), gpus = (unsigned)atoi(argv[4]);
    const uint64_t seconds = (uint64_t)(atof(argv[3]) * 3600);
    struct rf_run run;
    struct rf_writer *writer = NULL;
    int failures = 0;
    name = argv[5];
    begin_ns = ds_now_ns();
    if (ranks == 0 || seconds == 0 || gpus > 32)
        return 2;
    if (make_launcher(argv[1], &run, &writer) != 0) {
        fprintf(stderr, "%s\n", datastall_last_error());
        return 1;
    }
    for (unsigned rank = 0; rank < ranks; rank++) {
        if (fork() == 0) {
            record(rank, ranks, seconds * PER_S, gpus);
            _exit(0);
        }
    }
    if (gpus > 0)
        sample_gpus(writer, gpus, seconds);
    for (int status; wait(&status) > 0;)
        failures += status != 0;
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_EXIT_KNOWN, 1);
    rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
    puts(run.path);
    return failures > 0;
}
