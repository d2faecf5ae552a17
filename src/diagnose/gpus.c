#include "diagnose/gpus.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/sums.h"
#include "base/unknown.h"
#include "base/uuid.h"
#include "diagnose/shared.h"
#include "runfile/rollup.h"

#define SILENT_AFTER_NS (2 * DS_NS_PER_S)
#define MAX_ROLLUP_WORDS 64
#define SUM_TOLERANCE 0.02 /* stall and busy may add up to so much more than all */
#define LEAST_COVERAGE 0.5 /* of the waiting, for other idle time to mean anything */

/* ---- how busy ---- */

struct busy {
    double busy_ns, known_ns;  /* from activity */
    uint64_t samples, percent; /* from utilisation alone: the mean of samples */
};

/* Over a span of time from the single samples. False when the ring no longer holds them all. */
static bool busy_from_ring(const struct rf_gpu_view *data, uint64_t begin_ns, uint64_t end_ns,
                           struct busy *busy)
{
    const uint64_t samples = data->words[RF_GPU_SAMPLES];
    if (samples > data->layout.recent)
        return false;
    for (uint64_t i = 0; i < samples; i++) {
        const uint64_t *row = data->block + data->layout.ring_at + i * data->layout.sample_words;
        const uint64_t time_ns = row[RF_GPU_SAMPLE_NS];
        const uint64_t span_ns = rf_activity_span_ns(row[RF_GPU_SAMPLE_ACTIVITY]);
        const uint64_t from_ns = time_ns > span_ns ? time_ns - span_ns : 0;
        const uint64_t low = from_ns > begin_ns ? from_ns : begin_ns;
        const uint64_t high = time_ns < end_ns ? time_ns : end_ns;
        if (span_ns > 0 && high > low) {
            const double share = fmin(1.0, rf_activity_share(row[RF_GPU_SAMPLE_ACTIVITY]));
            busy->known_ns += (double)(high - low);
            busy->busy_ns += share * (double)(high - low);
        }
        if (time_ns >= begin_ns && time_ns <= end_ns && row[RF_GPU_SAMPLE_BUSY_PERCENT] <= 100) {
            busy->samples++;
            busy->percent += row[RF_GPU_SAMPLE_BUSY_PERCENT];
        }
    }
    return true;
}

/* The same from the rollups: right to a span's width at both ends. */
static void busy_from_rollups(const struct rf_gpu_view *data, uint64_t begin_ns, uint64_t end_ns,
                              struct busy *busy)
{
    const struct rf_rollup_shape shape = {data->layout.rollup_at, data->layout.rollup_levels,
                                          data->layout.rollup_buckets, data->layout.rollup_words,
                                          1u << RF_GPU_ROLLUP_MEMORY_USED_MAX};
    uint64_t sums[MAX_ROLLUP_WORDS];
    if (shape.words > MAX_ROLLUP_WORDS)
        return;
    rf_rollup_sum(data->block, &shape, begin_ns / DS_NS_PER_S, end_ns / DS_NS_PER_S, sums);
    busy->busy_ns = (double)sums[RF_GPU_ROLLUP_BUSY_NS];
    busy->known_ns = (double)sums[RF_GPU_ROLLUP_ACTIVITY_NS];
    busy->samples = sums[RF_GPU_ROLLUP_BUSY_COUNT];
    busy->percent = sums[RF_GPU_ROLLUP_BUSY_PERCENT_SUM];
}

static struct busy busy_within(const struct rf_gpu_view *data, uint64_t begin_ns, uint64_t end_ns)
{
    struct busy busy = {0};
    if (begin_ns == DATASTALL_UNKNOWN) { /* no window: all that was seen */
        const uint64_t *w = data->words;
        busy.busy_ns = (double)w[RF_GPU_BUSY_NS];
        busy.known_ns = (double)w[RF_GPU_BUSY_NS] + (double)w[RF_GPU_IDLE_NS];
        busy.samples = w[RF_GPU_BUSY_COUNT];
        busy.percent = w[RF_GPU_BUSY_PERCENT_SUM];
    } else if (!busy_from_ring(data, begin_ns, end_ns, &busy)) {
        busy_from_rollups(data, begin_ns, end_ns, &busy);
    }
    return busy;
}

/* Only GPM's counters count as exact: NVML's utilisation is of moments, and of any one kernel. */
static bool activity_is_exact(const uint64_t *words)
{
    return words[RF_GPU_ACTIVITY_SOURCES] == UINT64_C(1) << RF_ACTIVITY_GPM;
}

static void set_busy(const struct summary *summary, struct summary_gpu *gpu)
{
    const uint64_t *w = gpu->data->words;
    const struct busy busy = busy_within(gpu->data, summary->begin_ns, summary->end_ns);
    gpu->busy_samples = busy.samples;
    gpu->busy_share = NAN;
    if (busy.known_ns > 0) {
        gpu->busy_share = fmin(1.0, busy.busy_ns / busy.known_ns);
        gpu->busy_source = activity_is_exact(w) ? "gpm" : "nvml";
    } else if (busy.samples > 0) { /* a run too short for the time between two samples */
        gpu->busy_share = ds_mean_or_nan(busy.percent, busy.samples, 0.01);
        gpu->busy_source = "nvml";
    } else if (w[RF_GPU_BUSY_COUNT] > 0) { /* no sample in the window: the whole run */
        gpu->busy_samples = w[RF_GPU_BUSY_COUNT];
        gpu->busy_share = ds_mean_or_nan(w[RF_GPU_BUSY_PERCENT_SUM], w[RF_GPU_BUSY_COUNT], 0.01);
        gpu->busy_source = "nvml";
    }
}

/* ---- what it waited for ---- */

static const struct run_loader_gpu *part_of(const struct run_loader *loader,
                                            const struct rf_gpu_view *device)
{
    for (uint32_t i = 0; i < loader->gpu_count; i++) {
        if (ds_uuid_is(loader->gpus[i].uuid, device->fixed.uuid))
            return &loader->gpus[i];
    }
    return NULL;
}

bool summary_consumes(const struct summary_loader *loader, const struct rf_gpu_view *device)
{
    return part_of(loader->data, device) != NULL;
}

/* Adds what a loader waited on a device. Waiting of threads that named none may have been on any. */
static void add_part(const struct summary_loader *loader, const struct run_loader_gpu *part,
                     struct summary_stall *sum)
{
    struct summary_stall stall = {part->waiting_ns, part->known_ns, part->lower_ns, part->upper_ns};
    uint64_t named_ns = 0;
    for (uint32_t i = 0; i < loader->data->gpu_count; i++)
        named_ns = ds_add(named_ns, loader->data->gpus[i].waiting_ns);
    stall.waiting_ns = ds_add(stall.waiting_ns, ds_subtract(loader->waiting_ns, named_ns));
    summary_add_stall(sum, &stall);
}

/* What a process waited on a device; false: nothing. */
static bool use_of(const struct summary *summary, uint32_t process,
                   const struct rf_gpu_view *device, struct shared_use *use)
{
    bool used = false;
    *use = (struct shared_use){.begin_ns = summary->processes[process].begin_ns,
                               .end_ns = summary->processes[process].end_ns};
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        const struct run_loader_gpu *part =
            loader->process == process && loader->in_verdict ? part_of(loader->data, device) : NULL;
        if (part == NULL)
            continue;
        add_part(loader, part, &use->stall);
        used = true;
    }
    return used && use->begin_ns != DATASTALL_UNKNOWN && use->end_ns > use->begin_ns;
}

/* Time of a window in which the device did nothing; DATASTALL_UNKNOWN: too little is known. */
static uint64_t idle_within(const struct rf_gpu_view *device, uint64_t begin_ns, uint64_t end_ns)
{
    const struct busy busy = busy_within(device, begin_ns, end_ns);
    const double window_ns = (double)(end_ns - begin_ns);
    if (busy.known_ns < (1.0 - SUM_TOLERANCE) * window_ns)
        return DATASTALL_UNKNOWN;
    return (uint64_t)(fmax(0.0, 1.0 - busy.busy_ns / busy.known_ns) * window_ns);
}

static void narrow_shared(const struct summary *summary, const struct summary_gpu *gpu,
                          uint64_t longest_ns, struct shared_stall *shared)
{
    const uint64_t idle_ns = idle_within(gpu->data, summary->begin_ns, summary->end_ns);
    if (idle_ns != DATASTALL_UNKNOWN)
        shared_stall_narrow(shared, summary->end_ns - summary->begin_ns, idle_ns, longest_ns,
                            activity_is_exact(gpu->data->words));
}

/* The stalls of the processes that consumed a device, and what they make of its window. */
static void set_stall(const struct summary *summary, struct shared_use *uses,
                      struct summary_gpu *gpu)
{
    uint32_t count = 0;
    uint64_t longest_ns = 0;
    gpu->stall_share = gpu->stall_share_lower = NAN;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        if (!use_of(summary, i, gpu->data, &uses[count]))
            continue;
        if (uses[count].stall.lower_ns > longest_ns)
            longest_ns = uses[count].stall.lower_ns;
        count++;
    }
    struct shared_stall shared = shared_stall_of(uses, count);
    if (shared.at_once > 1)
        narrow_shared(summary, gpu, longest_ns, &shared);
    gpu->processes = shared.at_once;
    gpu->stall = shared.stall;
    if (gpu->stall.known_ns == 0 || summary->end_ns <= summary->begin_ns)
        return;
    const double window_ns = (double)(summary->end_ns - summary->begin_ns);
    gpu->stall_share = fmin(1.0, (double)shared.most_ns / window_ns);
    gpu->stall_share_lower = fmin(1.0, (double)gpu->stall.lower_ns / window_ns);
    gpu->stall_is_bound = gpu->stall_share - gpu->stall_share_lower > SUMMARY_EXACT_WITHIN ||
                          (activity_is_exact(gpu->data->words) &&
                           gpu->busy_share + gpu->stall_share > 1.0 + SUM_TOLERANCE);
}

static void set_other_idle(struct summary_gpu *gpu)
{
    const struct summary_stall *stall = &gpu->stall;
    gpu->other_idle_share = NAN;
    if (gpu->busy_source == NULL || strcmp(gpu->busy_source, "gpm") != 0 || stall->known_ns == 0 ||
        (double)stall->known_ns < LEAST_COVERAGE * (double)stall->waiting_ns ||
        (gpu->processes > 1 && gpu->stall_is_bound))
        return;
    const double rest = 1.0 - gpu->busy_share - gpu->stall_share;
    if (rest >= -SUM_TOLERANCE)
        gpu->other_idle_share = rest;
}

/* ---- energy, clocks, GPM ---- */

static void set_energy(struct summary_gpu *gpu)
{
    const uint64_t *w = gpu->data->words;
    gpu->energy_uj = w[RF_GPU_ENERGY_NS] > 0 ? w[RF_GPU_ENERGY_UJ] : DATASTALL_UNKNOWN;
    gpu->energy_ns = w[RF_GPU_ENERGY_NS];
    gpu->stalled_energy_lower_j = gpu->stalled_energy_upper_j = NAN;
    if (w[RF_GPU_ENERGY_NS] == 0 || gpu->stall.known_ns == 0)
        return;
    const double mean_w = (double)w[RF_GPU_ENERGY_UJ] * 1e3 / (double)w[RF_GPU_ENERGY_NS];
    gpu->stalled_energy_lower_j =
        (double)w[RF_GPU_POWER_MW_MIN] * 1e-3 * (double)gpu->stall.lower_ns * 1e-9;
    gpu->stalled_energy_upper_j = mean_w * (double)gpu->stall.upper_ns * 1e-9;
}

static double gpm_mean(const uint64_t *words, enum rf_gpm_field field, double unit)
{
    return ds_mean_or_nan(words[RF_GPU_GPM + 2 * field + 1], words[RF_GPU_GPM + 2 * field], unit);
}

static struct summary_gpm gpm_of(const uint64_t *words)
{
    return (struct summary_gpm){
        .sm_share = gpm_mean(words, RF_GPM_SM, 1.0),
        .occupancy_share = gpm_mean(words, RF_GPM_OCCUPANCY, 1.0),
        .tensor_share = gpm_mean(words, RF_GPM_TENSOR, 1.0),
        .dram_share = gpm_mean(words, RF_GPM_DRAM, 1.0),
        .pcie_tx_bytes_per_s = gpm_mean(words, RF_GPM_PCIE_TX, 1e9),
        .pcie_rx_bytes_per_s = gpm_mean(words, RF_GPM_PCIE_RX, 1e9),
        .nvlink_tx_bytes_per_s = gpm_mean(words, RF_GPM_NVLINK_TX, 1e9),
        .nvlink_rx_bytes_per_s = gpm_mean(words, RF_GPM_NVLINK_RX, 1e9),
    };
}

/* A call that never returned; the sampler notes when it begins one. */
static bool driver_is_silent(const struct summary *summary, const uint64_t *words, uint64_t now_ns)
{
    const uint64_t since = words[RF_GPU_CALL_NS];
    if (since == 0 || summary->launcher == SUMMARY_LAUNCHER_DIED)
        return false; /* its sampler was killed in the middle of a call */
    return summary->state == SUMMARY_ENDED ||
           (summary->state == SUMMARY_RUNNING && now_ns > ds_add(since, SILENT_AFTER_NS));
}

/* Time that passed since the driver last answered, or since sampling ended, is unknown; a little of
 * it the next answer may still explain. */
static uint64_t silence_ns(const struct summary *summary, const struct summary_gpu *gpu,
                           uint64_t now_ns)
{
    const uint64_t last_ns = gpu->data->words[RF_GPU_LAST_NS];
    const bool ended = summary->data->gpu_state == RF_GPU_ENDED;
    if (!(gpu->silent || ended) || summary->state != SUMMARY_RUNNING || last_ns == 0 ||
        now_ns < last_ns + SILENT_AFTER_NS)
        return 0;
    return now_ns - last_ns - SILENT_AFTER_NS;
}

void summary_add_gpu(struct summary *summary, const struct rf_gpu_view *data, uint64_t now_ns,
                     struct shared_use *uses)
{
    struct summary_gpu *gpu = &summary->gpus[summary->gpu_count++];
    const uint64_t *w = data->words;
    const bool memory = w[RF_GPU_MEMORY_COUNT] > 0;
    const uint64_t held_ns = w[RF_GPU_HELD_KNOWN_NS];
    *gpu = (struct summary_gpu){
        .data = data,
        .silent = driver_is_silent(summary, w, now_ns),
        .busy_ns = w[RF_GPU_BUSY_NS],
        .idle_ns = w[RF_GPU_IDLE_NS],
        .held_power_share = ds_mean_or_nan(w[RF_GPU_HELD_POWER_NS], held_ns, 1.0),
        .held_thermal_share = ds_mean_or_nan(w[RF_GPU_HELD_THERMAL_NS], held_ns, 1.0),
        .held_hardware_share = ds_mean_or_nan(w[RF_GPU_HELD_HARDWARE_NS], held_ns, 1.0),
        .gpm = gpm_of(w),
        .memory_used_peak_bytes = memory ? w[RF_GPU_MEMORY_USED_PEAK] : DATASTALL_UNKNOWN,
        .memory_total_bytes = memory ? w[RF_GPU_MEMORY_TOTAL] : DATASTALL_UNKNOWN,
        .power_mean_w = ds_mean_or_nan(w[RF_GPU_POWER_MW_SUM], w[RF_GPU_POWER_COUNT], 1e-3),
        .power_max_w = w[RF_GPU_POWER_COUNT] > 0 ? (double)w[RF_GPU_POWER_MW_MAX] * 1e-3 : NAN,
        .temperature_max_c =
            w[RF_GPU_TEMPERATURE_COUNT] > 0 ? (double)w[RF_GPU_TEMPERATURE_MAX] : NAN,
        .sm_clock_mean_mhz =
            ds_mean_or_nan(w[RF_GPU_SM_CLOCK_MHZ_SUM], w[RF_GPU_SM_CLOCK_COUNT], 1.0),
    };
    gpu->unknown_ns = ds_add(w[RF_GPU_UNKNOWN_NS], silence_ns(summary, gpu, now_ns));
    set_busy(summary, gpu);
    set_stall(summary, uses, gpu);
    set_other_idle(gpu);
    set_energy(gpu);
}

/* ---- what it says of the processes ---- */

void summary_stall_bounds(uint64_t window_ns, uint64_t wait_ns, uint64_t idle_ns,
                          uint64_t *lower_ns, uint64_t *upper_ns)
{
    const uint64_t working_ns = window_ns > wait_ns ? window_ns - wait_ns : 0;
    *lower_ns = idle_ns > working_ns ? idle_ns - working_ns : 0;
    *upper_ns = idle_ns < wait_ns ? idle_ns : wait_ns;
    if (*lower_ns > *upper_ns)
        *lower_ns = *upper_ns;
}

/* The device that a process consumes on: the one its events named, else the only one there is. */
static uint32_t device_of(const struct summary *summary, uint32_t process)
{
    uint32_t found = UINT32_MAX;
    struct shared_use use;
    for (uint32_t g = 0; g < summary->gpu_count; g++) {
        if (!use_of(summary, process, summary->gpus[g].data, &use))
            continue;
        if (found != UINT32_MAX)
            return UINT32_MAX;
        found = g;
    }
    return found == UINT32_MAX && summary->gpu_count == 1 ? 0 : found;
}

/* Whether another process may have kept a process's device busy. */
static bool is_shared(const struct summary *summary, uint32_t process)
{
    const struct summary_process *one = &summary->processes[process];
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const struct summary_process *other = &summary->processes[i];
        if (i != process && other->method > SUMMARY_METHOD_HOST_EXACT &&
            !isnan(other->stall_share) && other->gpu == one->gpu && other->begin_ns < one->end_ns &&
            other->end_ns > one->begin_ns)
            return true;
    }
    return false;
}

/* Without events. NVML's utilisation calls a GPU busy that ran one kernel: its idle time is too
 * small for an upper bound, but good for a lower one. So is that of a GPU that others use too. */
static void narrow(struct summary_process *process, const struct summary_gpu *gpu, bool shared)
{
    const uint64_t window_ns = process->end_ns - process->begin_ns;
    const uint64_t idle_ns = idle_within(gpu->data, process->begin_ns, process->end_ns);
    uint64_t lower_ns, upper_ns;
    /* A device of which too little is known says nothing. */
    if (idle_ns == DATASTALL_UNKNOWN)
        return;
    summary_stall_bounds(window_ns, ds_least(process->waiting_ns, window_ns), idle_ns, &lower_ns,
                         &upper_ns);
    process->stall_lower_ns = lower_ns;
    if (activity_is_exact(gpu->data->words) && !shared)
        process->stall_ns = upper_ns;
    summary_settle_stall(process);
}

void summary_apply_activity(struct summary *summary)
{
    for (uint32_t i = 0; i < summary->process_count; i++)
        summary->processes[i].gpu = device_of(summary, i);
    for (uint32_t i = 0; i < summary->process_count; i++) {
        struct summary_process *process = &summary->processes[i];
        process->severe_share = process->stall_share;
        if (isnan(process->stall_share) || process->gpu == UINT32_MAX)
            continue;
        const struct summary_gpu *gpu = &summary->gpus[process->gpu];
        const bool shared = is_shared(summary, i);
        if (process->method == SUMMARY_METHOD_HOST_BOUND)
            narrow(process, gpu, shared);
        else if (process->method == SUMMARY_METHOD_GPU_EVENTS && !shared &&
                 activity_is_exact(gpu->data->words) && !isnan(gpu->busy_share) &&
                 gpu->busy_share + gpu->stall_share > 1.0 + SUM_TOLERANCE)
            process->upper_bound = true;
        process->severe_share = process->stall_share;
        if (shared && !isnan(gpu->stall_share_lower))
            process->severe_share = fmin(process->stall_share, gpu->stall_share_lower);
    }
}
