/* What the devices did: how busy they were, what they drew, what held them back.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/sums.h"
#include "base/unknown.h"
#include "diagnose/parts.h"
#include "runfile/rollup.h"

#define SILENT_AFTER_NS (2 * DS_NS_PER_S)
/* An answer that a device owes is late after four times the longest that it ever took, within these:
 * another process that begins or ends on the machine holds a driver up for some 100 ms, and after 3 s
 * the sampler itself gives up. */
#define LATE_TIMES_LONGEST 4u
#define EARLIEST_LATE_NS (DS_NS_PER_S / 2)
#define LATEST_LATE_NS (3 * DS_NS_PER_S)
#define MAX_ROLLUP_WORDS 64

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
        if (high > low) {
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

bool summary_activity_is_exact(const struct rf_gpu_view *device)
{
    return device->words[RF_GPU_ACTIVITY_SOURCES] == UINT64_C(1) << RF_ACTIVITY_GPM;
}

static void set_busy(const struct summary *summary, struct summary_gpu *gpu)
{
    const uint64_t *w = gpu->data->words;
    const struct busy busy = busy_within(gpu->data, summary->begin_ns, summary->end_ns);
    gpu->busy_samples = busy.samples;
    gpu->busy_share = NAN;
    if (busy.known_ns > 0) {
        gpu->busy_share = fmin(1.0, busy.busy_ns / busy.known_ns);
        gpu->busy_source = summary_activity_is_exact(gpu->data) ? "gpm" : "nvml";
    } else if (busy.samples > 0) { /* a run too short for the time between two samples */
        gpu->busy_share = ds_mean_or_nan(busy.percent, busy.samples, 0.01);
        gpu->busy_source = "nvml";
    } else if (w[RF_GPU_BUSY_COUNT] > 0) { /* no sample in the window: the whole run */
        gpu->busy_samples = w[RF_GPU_BUSY_COUNT];
        gpu->busy_share = ds_mean_or_nan(w[RF_GPU_BUSY_PERCENT_SUM], w[RF_GPU_BUSY_COUNT], 0.01);
        gpu->busy_source = "nvml";
    }
}

uint64_t summary_idle_within(const struct rf_gpu_view *device, uint64_t begin_ns, uint64_t end_ns)
{
    const struct busy busy = busy_within(device, begin_ns, end_ns);
    const double window_ns = (double)(end_ns - begin_ns);
    if (busy.known_ns < (1.0 - SUM_TOLERANCE) * window_ns)
        return DATASTALL_UNKNOWN;
    return (uint64_t)(fmax(0.0, 1.0 - busy.busy_ns / busy.known_ns) * window_ns);
}

const struct summary_gpu *summary_gpu_of(const struct summary *summary,
                                         const struct summary_process *process)
{
    return process->gpu < summary->gpu_count ? &summary->gpus[process->gpu] : NULL;
}

const struct summary_gpu *summary_own_gpu(const struct summary *summary,
                                          const struct summary_process *process)
{
    const struct summary_gpu *gpu = summary_gpu_of(summary, process);
    return gpu == NULL || gpu->processes != 1 ? NULL : gpu;
}

/* ---- clocks, GPM ---- */

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

static uint64_t late_after_ns(const uint64_t *words)
{
    const uint64_t longest_ns = ds_least(words[RF_GPU_CALL_LONGEST_NS], LATEST_LATE_NS);
    const uint64_t ns = ds_least(LATE_TIMES_LONGEST * longest_ns, LATEST_LATE_NS);
    return ns > EARLIEST_LATE_NS ? ns : EARLIEST_LATE_NS;
}

/* A call that never returned, as far as can be told; the sampler notes when it begins one, and how
 * old it is when sampling ends. A device that never gave a sample has no excuse but that the run is
 * young; of one that did, the call may have just begun. */
static bool driver_is_silent(const struct summary *summary, const uint64_t *words, uint64_t now_ns)
{
    const uint64_t since_ns = words[RF_GPU_CALL_NS], age_ns = words[RF_GPU_UNANSWERED_NS];
    const bool running = summary->state == SUMMARY_RUNNING;
    if (since_ns == 0 || summary->launcher == SUMMARY_LAUNCHER_DIED ||
        !(running || summary->state == SUMMARY_ENDED))
        return false; /* its sampler was killed in the middle of a call */
    if (age_ns != 0)
        return words[RF_GPU_SAMPLES] == 0 || age_ns > late_after_ns(words);
    const uint64_t late_ns = late_after_ns(words);
    return !running ||
           ds_subtract(now_ns, since_ns) > (late_ns > SILENT_AFTER_NS ? late_ns : SILENT_AFTER_NS);
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

static void make_gpu(struct summary *summary, const struct rf_gpu_view *data, uint64_t now_ns)
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
        .energy_uj = w[RF_GPU_ENERGY_NS] > 0 ? w[RF_GPU_ENERGY_UJ] : DATASTALL_UNKNOWN,
        .energy_ns = w[RF_GPU_ENERGY_NS],
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
}

void summary_make_gpus(struct summary *summary, uint64_t now_ns)
{
    for (uint32_t i = 0; i < summary->data->gpu_count; i++)
        make_gpu(summary, &summary->data->gpus[i], now_ns);
}
