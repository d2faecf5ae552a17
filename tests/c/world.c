/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "world.h"

struct world world;
const unsigned char world_uuids[WORLD_GPUS][16] = {{0x10}, {0x20}};

void begin_world(uint32_t processes)
{
    memset(&world, 0, sizeof world);
    world.data.processes = world.processes;
    world.data.process_count = processes;
    for (uint32_t i = 0; i < processes; i++) {
        struct run_process *process = &world.processes[i];
        process->view.words[RF_PROCESS_STATE] = RF_STATE_CLOSED;
        process->view.words[RF_PROCESS_ENDED_MONO] = 1000 * S;
        process->view.words[RF_PROCESS_ACCELERATOR] = RF_ACCELERATOR_NONE;
        process->view.fixed.rank = i;
        process->loader_count = 1;
        process->loaders = &world.loaders[i];
    }
}

void set_wait(uint32_t i, uint64_t begin_ns, uint64_t end_ns, uint64_t wait_ns)
{
    struct run_loader *loader = &world.loaders[i];
    uint64_t *c = loader->totals.counters;
    snprintf(loader->entry.name, sizeof loader->entry.name, "train");
    loader->entry.source = DATASTALL_SOURCE_TORCH;
    loader->threads = 1;
    loader->thread_ids[0] = i;
    c[RF_COUNT_SEQUENCE] = c[RF_COUNT_STEADY] = c[RF_COUNT_BATCHES] = 1;
    c[RF_COUNT_STEADY_NS] = c[RF_COUNT_STEADY_MIN] = c[RF_COUNT_STEADY_MAX] = wait_ns;
    c[RF_COUNT_BEGIN_NS] = begin_ns;
    c[RF_COUNT_END_NS] = end_ns;
}

void set_stall(uint32_t i, uint32_t gpu, uint64_t known_ns, uint64_t lower_ns, uint64_t upper_ns)
{
    struct run_loader *loader = &world.loaders[i];
    uint64_t *c = loader->totals.counters;
    world.processes[i].view.words[RF_PROCESS_ACCELERATOR] = RF_ACCELERATOR_USED;
    c[RF_COUNT_STALL_KNOWN_NS] = known_ns;
    c[RF_COUNT_STALL_LOWER_NS] = lower_ns;
    c[RF_COUNT_STALL_UPPER_NS] = upper_ns;
    struct run_loader_gpu *part = &loader->gpus[loader->gpu_count++];
    part->stall = (struct stall){c[RF_COUNT_STEADY_NS], known_ns, lower_ns, upper_ns};
    memcpy(part->uuid, world_uuids[gpu], sizeof part->uuid);
}

void add_sample(uint32_t g, uint64_t begin_ns, uint64_t end_ns, double busy)
{
    struct rf_gpu_view *gpu = &world.gpus[g];
    const uint64_t count = gpu->words[RF_GPU_SAMPLES]++;
    assert_true(count < WORLD_SAMPLES);
    uint64_t *row = world.samples[g] + count * RF_GPU_SAMPLE_WORDS;
    row[RF_GPU_SAMPLE_SEQUENCE] = 1 + count;
    row[RF_GPU_SAMPLE_NS] = end_ns;
    row[RF_GPU_SAMPLE_BUSY_PERCENT] = RF_UNKNOWN;
    row[RF_GPU_SAMPLE_ACTIVITY] = rf_pack_activity(busy, end_ns - begin_ns);
}

void set_gpu(uint32_t g, enum rf_activity_source source, uint64_t begin_ns, uint64_t end_ns,
             double busy)
{
    struct rf_gpu_view *gpu = &world.gpus[g];
    world.data.gpus = world.gpus;
    world.data.gpu_count = g + 1;
    gpu->layout.recent = WORLD_SAMPLES;
    gpu->layout.sample_words = RF_GPU_SAMPLE_WORDS;
    gpu->block = world.samples[g];
    snprintf(gpu->fixed.uuid, sizeof gpu->fixed.uuid, "GPU-%02x000000-0000-0000-0000-000000000000",
             world_uuids[g][0]);
    gpu->words[RF_GPU_STATE] = RF_GPU_OK;
    gpu->words[RF_GPU_ACTIVITY_SOURCES] = UINT64_C(1) << source;
    gpu->words[RF_GPU_SAMPLES] = 0;
    add_sample(g, begin_ns, end_ns, busy);
}

void set_cpus(uint64_t usable_milli, uint64_t idle_milli)
{
    uint64_t *w = world.processes[0].view.words;
    w[RF_PROCESS_HOST_FIRST_NS] = 10 * S;
    w[RF_PROCESS_HOST_NS] = 20 * S;
    w[RF_PROCESS_CPUS_MILLI] = usable_milli;
    w[RF_PROCESS_IDLE_NS] = idle_milli == RF_UNKNOWN ? 0 : idle_milli * MS;
    w[RF_PROCESS_IDLE_SPAN_NS] = idle_milli == RF_UNKNOWN ? 0 : S;
}

struct rf_worker_view *add_worker(void)
{
    struct run_process *process = &world.processes[0];
    assert_true(process->worker_count < WORLD_WORKERS);
    process->workers = world.workers;
    struct rf_worker_view *worker = &world.workers[process->worker_count++];
    worker->loader = world.loaders[0].index;
    worker->generation = 1;
    rf_worker_counters_clear(worker->totals);
    return worker;
}

void add_second(struct run_history *history, uint64_t second, const struct run_span *of_it)
{
    for (uint32_t level = 0; level < RF_ROLLUP_LEVELS; level++) {
        const uint64_t number = second / run_history_width_s(level) + 1;
        struct run_span *span = &history->spans[level][number % RF_ROLLUP_BUCKETS];
        if (span->number != number)
            *span = (struct run_span){.number = number};
        span->batches += of_it->batches;
        span->samples += of_it->samples;
        span->tokens += of_it->tokens;
        span->stall.waiting_ns += of_it->stall.waiting_ns;
        span->longest_ns = of_it->longest_ns;
    }
}

void set_launcher(enum rf_process_state state, enum rf_liveness liveness)
{
    struct run_process *launcher = &world.data.launcher;
    world.data.has_launcher = true;
    launcher->view.words[RF_PROCESS_STATE] = state;
    launcher->liveness = liveness;
    launcher->view.fixed.kind = RF_PROCESS_LAUNCHER;
}

void assert_figure(double value, double wanted)
{
    if (isnan(wanted))
        assert_true(isnan(value));
    else
        assert_float_equal(value, wanted, NEAR);
}

struct summary *made(uint64_t now_ns)
{
    struct summary *summary = NULL;
    assert_int_equal(summary_make(&world.data, now_ns, &summary), 0);
    return summary;
}
