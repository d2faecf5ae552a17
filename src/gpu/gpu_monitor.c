/* SPDX-License-Identifier: Apache-2.0 */
/* The GPU monitor of datastall.h: a memory-only monitor, a sampling thread, and questions to both.
 */
#include "gpu/gpu_monitor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/unknown.h"
#include "base/versioned.h"

#define CRITICAL_BELOW_PERCENT 50.0
#define MILD_BELOW_PERCENT 80.0

/* ---- opening and closing ---- */

static int take_devices(const datastall_gpu_monitor_options *options,
                        struct datastall_gpu_monitor *monitor)
{
    if (options->device_count > GPU_MONITOR_DEVICES)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "%u devices; at most %u", options->device_count,
                       GPU_MONITOR_DEVICES);
    if (options->device_count > 0 && options->device_ids == NULL)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "device_ids is NULL");
    for (uint32_t i = 0; i < options->device_count; i++) {
        int id = options->device_ids[i];
        if (id < 0)
            return ds_fail(DATASTALL_ERR_ARGUMENT, "device id %d is negative", id);
        if (gpu_monitor_entry_of(monitor, id) >= 0)
            return ds_fail(DATASTALL_ERR_ARGUMENT, "device id %d is given twice", id);
        monitor->device_ids[monitor->device_count++] = id;
    }
    return DATASTALL_OK;
}

static int open_inner(struct datastall_gpu_monitor *monitor)
{
    datastall_options options = DATASTALL_OPTIONS_INIT;
    datastall_loader_options loader = DATASTALL_LOADER_OPTIONS_INIT;
    options.flags = DATASTALL_MEMORY_ONLY;
    options.recent_gpu_samples = DATASTALL_GPU_MONITOR_SAMPLES;
    loader.name = "gpu_monitor";
    int error = datastall_open(&options, &monitor->monitor);
    if (error == DATASTALL_OK)
        error = datastall_loader_register(monitor->monitor, &loader, &monitor->loader);
    return error;
}

int datastall_gpu_monitor_open(const datastall_gpu_monitor_options *given,
                               datastall_gpu_monitor **result)
{
    datastall_gpu_monitor_options options = DATASTALL_GPU_MONITOR_OPTIONS_INIT;
    if (result == NULL)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "monitor is NULL");
    *result = NULL;
    int error = ds_take_struct(&options, sizeof options, given, "options");
    if (error != DATASTALL_OK)
        return error;
    if (options.flags != 0)
        return ds_fail(DATASTALL_ERR_ARGUMENT,
                       "options->flags has bits that datastall " DATASTALL_VERSION
                       " does not know: 0x%x",
                       options.flags);
    if (options.log_interval_s == 0.0)
        options.log_interval_s = 1.0;
    if (!(options.log_interval_s >= 0.05 && options.log_interval_s <= 86400.0))
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the interval is %g s; 0.05 to 86400",
                       options.log_interval_s);
    struct datastall_gpu_monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    monitor->interval_s = options.log_interval_s;
    monitor->real_minus_mono_s = ((double)ds_real_ns() - (double)ds_now_ns()) * 1e-9;
    error = take_devices(&options, monitor);
    if (error == DATASTALL_OK && options.log_file != NULL) {
        monitor->log_path = strdup(options.log_file);
        if (monitor->log_path == NULL)
            error = ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    if (error == DATASTALL_OK)
        error = open_inner(monitor);
    if (error != DATASTALL_OK) {
        datastall_close(monitor->monitor);
        free(monitor->log_path);
        free(monitor);
        return error;
    }
    pthread_mutex_init(&monitor->mutex, NULL);
    monitor->numbers = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    *result = monitor;
    return DATASTALL_OK;
}

static bool is_forked(const struct datastall_gpu_monitor *monitor)
{
    return !ds_fork_same_process(monitor->monitor->generation);
}

static int fail_forked(void)
{
    return ds_fail(DATASTALL_ERR_FORKED, "the monitor belongs to the parent process");
}

void datastall_gpu_monitor_close(datastall_gpu_monitor *monitor)
{
    if (monitor == NULL)
        return;
    if (!is_forked(monitor))
        datastall_gpu_monitor_stop_monitoring(monitor);
    datastall_close(monitor->monitor);
    if (monitor->numbers != (locale_t)0)
        freelocale(monitor->numbers);
    free(monitor->log_path);
    free(monitor);
}

int gpu_monitor_entry_of(const struct datastall_gpu_monitor *monitor, int device_id)
{
    for (uint32_t i = 0; i < monitor->device_count; i++) {
        if (monitor->device_ids[i] == device_id)
            return (int)i;
    }
    return -1;
}

int datastall_gpu_monitor_start_monitoring(datastall_gpu_monitor *monitor)
{
    if (monitor == NULL)
        return DATASTALL_OK;
    if (is_forked(monitor))
        return fail_forked();
    int error = DATASTALL_OK;
    pthread_mutex_lock(&monitor->mutex);
    if (monitor->sampler == NULL) {
        error = gpu_log_open(monitor);
        const struct gpu_sampler_options options = {
            .vendor = &gpu_nvml,
            .writer = monitor->monitor->writer,
            .interval_s = monitor->interval_s,
            .stage = &monitor->monitor->current_stage,
            .ordinals = monitor->device_ids,
            .ordinal_count = monitor->device_count,
            .on_sample = gpu_log_sample,
            .context = monitor,
        };
        monitor->sampler = gpu_sampler_start(&options);
        if (monitor->sampler == NULL)
            error = ds_fail(DATASTALL_ERR_MEMORY, "cannot start the sampling thread");
    }
    pthread_mutex_unlock(&monitor->mutex);
    return error;
}

int datastall_gpu_monitor_stop_monitoring(datastall_gpu_monitor *monitor)
{
    if (monitor == NULL)
        return 0;
    if (is_forked(monitor))
        return fail_forked();
    pthread_mutex_lock(&monitor->mutex);
    struct gpu_sampler *sampler = monitor->sampler;
    monitor->sampler = NULL;
    if (sampler != NULL) {
        gpu_sampler_stop(sampler);
        gpu_log_close(monitor);
    }
    pthread_mutex_unlock(&monitor->mutex);
    return sampler != NULL;
}

int datastall_gpu_monitor_set_stage(datastall_gpu_monitor *monitor, const char *name)
{
    return datastall_stage_set(monitor == NULL ? NULL : monitor->monitor, name, NULL);
}

/* ---- waits ---- */

enum datastall_queue_state datastall_infer_queue_state_ms(double wait_time_ms)
{
    if (!isfinite(wait_time_ms) || wait_time_ms < 0)
        return DATASTALL_QUEUE_UNKNOWN;
    if (wait_time_ms < 1.0)
        return DATASTALL_QUEUE_FULL;
    return wait_time_ms > 50.0 ? DATASTALL_QUEUE_STARVED : DATASTALL_QUEUE_NORMAL;
}

/* Rounding must not carry 0.9999999 ms over the limit that it is below of. */
uint64_t gpu_monitor_wait_ns(double wait_time_ms, uint64_t now_ns)
{
    const enum datastall_queue_state state = datastall_infer_queue_state_ms(wait_time_ms);
    const double ns = wait_time_ms * 1e6 + 0.5;
    if (state == DATASTALL_QUEUE_UNKNOWN || !(ns < (double)now_ns))
        return DATASTALL_UNKNOWN;
    uint64_t wait_ns = (uint64_t)ns;
    if (state == DATASTALL_QUEUE_FULL && wait_ns >= DATASTALL_QUEUE_FULL_BELOW_NS)
        wait_ns = DATASTALL_QUEUE_FULL_BELOW_NS - 1;
    if (state == DATASTALL_QUEUE_STARVED && wait_ns <= DATASTALL_QUEUE_STARVED_ABOVE_NS)
        wait_ns = DATASTALL_QUEUE_STARVED_ABOVE_NS + 1;
    return wait_ns;
}

int datastall_gpu_monitor_record_dataloader_wait(datastall_gpu_monitor *monitor,
                                                 double wait_time_ms, const datastall_batch *batch,
                                                 enum datastall_queue_state *queue_state)
{
    if (queue_state != NULL)
        *queue_state = datastall_infer_queue_state_ms(wait_time_ms);
    if (monitor == NULL)
        return DATASTALL_OK;
    if (is_forked(monitor))
        return fail_forked();
    const uint64_t now = ds_now_ns();
    uint64_t wait_ns = gpu_monitor_wait_ns(wait_time_ms, now);
    if (wait_ns == DATASTALL_UNKNOWN && !isnan(wait_time_ms))
        wait_ns = DATASTALL_UNKNOWN - 1; /* it was said and cannot be: counted as that */
    datastall_wait_record(monitor->loader, now, wait_ns, DATASTALL_WAIT_STEADY, batch);
    return DATASTALL_OK;
}

int datastall_gpu_monitor_dataloader_statistics(const datastall_gpu_monitor *monitor,
                                                datastall_statistics *statistics)
{
    return datastall_loader_statistics(monitor == NULL ? NULL : monitor->loader, statistics);
}

/* ---- throughput ---- */

void datastall_gpu_monitor_start_inference_timer(datastall_gpu_monitor *monitor)
{
    datastall_statistics statistics = DATASTALL_STATISTICS_INIT;
    if (monitor == NULL || is_forked(monitor))
        return;
    pthread_mutex_lock(&monitor->mutex);
    datastall_gpu_monitor_dataloader_statistics(monitor, &statistics);
    monitor->timer_start_ns = ds_now_ns();
    monitor->timer_sequences = ds_known_or_zero(statistics.samples);
    monitor->timer_tokens = ds_known_or_zero(statistics.tokens);
    pthread_mutex_unlock(&monitor->mutex);
}

int datastall_gpu_monitor_throughput(const datastall_gpu_monitor *monitor,
                                     datastall_throughput *throughput)
{
    datastall_statistics statistics = DATASTALL_STATISTICS_INIT;
    if (monitor == NULL)
        return monitor_fail_off();
    if (is_forked(monitor))
        return fail_forked();
    struct datastall_gpu_monitor *m = (struct datastall_gpu_monitor *)monitor; /* the mutex */
    pthread_mutex_lock(&m->mutex);
    /* Inside: a timer that starts meanwhile would take away more than was counted. */
    datastall_gpu_monitor_dataloader_statistics(monitor, &statistics);
    const uint64_t start = m->timer_start_ns;
    const uint64_t sequences = ds_known_or_zero(statistics.samples) - m->timer_sequences;
    const uint64_t tokens = ds_known_or_zero(statistics.tokens) - m->timer_tokens;
    pthread_mutex_unlock(&m->mutex);
    const double elapsed_s = start == 0 ? NAN : (double)(ds_now_ns() - start) * 1e-9;
    const bool timed = elapsed_s > 0;
    const datastall_throughput whole = {
        .elapsed_s = elapsed_s,
        .sequences_per_s =
            timed && statistics.samples != DATASTALL_UNKNOWN ? (double)sequences / elapsed_s : NAN,
        .tokens_per_s =
            timed && statistics.tokens != DATASTALL_UNKNOWN ? (double)tokens / elapsed_s : NAN,
        .total_sequences = statistics.samples,
        .total_tokens = statistics.tokens,
    };
    return ds_give_struct(throughput, &whole, sizeof whole, "throughput");
}

/* ---- samples ---- */

static struct rf_source memory_of(const struct datastall_gpu_monitor *monitor)
{
    const struct rf_writer *writer = monitor->monitor->writer;
    return (struct rf_source){.memory = writer->map, .fd = -1, .bytes = writer->bytes};
}

static uint64_t block_at(const struct datastall_gpu_monitor *monitor, int entry)
{
    const struct rf_writer *writer = monitor->monitor->writer;
    return (uint64_t)(rf_entry(writer, RF_SECTION_GPUS, (uint64_t)entry) - writer->map);
}

/* Copies row `index` of a device's ring; false when it is no longer (or not yet) there. */
static bool read_row(const struct datastall_gpu_monitor *monitor, int entry, uint64_t index,
                     uint64_t row[RF_GPU_SAMPLE_WORDS])
{
    const struct rf_gpu_layout *layout = &monitor->monitor->writer->gpu_layout;
    const struct rf_source source = memory_of(monitor);
    const uint64_t at = block_at(monitor, entry) + layout->ring_at +
                        (index & (layout->recent - 1)) * layout->sample_words;
    uint64_t again;
    return rf_source_read(&source, at, RF_GPU_SAMPLE_WORDS, row) &&
           (ds_fence_acquire(), rf_source_read(&source, at, 1, &again)) &&
           row[RF_GPU_SAMPLE_SEQUENCE] == index + 1 && again == index + 1;
}

static uint64_t sample_count(const struct datastall_gpu_monitor *monitor, int entry)
{
    const struct rf_source source = memory_of(monitor);
    uint64_t count = 0;
    rf_source_read(&source, block_at(monitor, entry) + RF_BLOCK_PAYLOAD + RF_GPU_SAMPLES, 1,
                   &count);
    ds_fence_acquire();
    return count;
}

/* Mean utilisation over a device's last `wanted` readings; NaN when there are fewer. */
static double recent_utilization(const struct datastall_gpu_monitor *monitor, int entry,
                                 uint32_t wanted)
{
    const uint64_t count = sample_count(monitor, entry);
    const uint64_t kept = monitor->monitor->writer->gpu_layout.recent;
    uint64_t row[RF_GPU_SAMPLE_WORDS], sum = 0;
    uint32_t found = 0;
    for (uint64_t back = 0; back < count && back < kept && found < wanted; back++) {
        if (!read_row(monitor, entry, count - 1 - back, row))
            break;
        if (row[RF_GPU_SAMPLE_BUSY_PERCENT] == RF_UNKNOWN)
            continue;
        sum += row[RF_GPU_SAMPLE_BUSY_PERCENT];
        found++;
    }
    return found == wanted ? (double)sum / wanted : NAN;
}

int datastall_gpu_monitor_check_bottleneck(const datastall_gpu_monitor *monitor,
                                           uint32_t recent_samples,
                                           datastall_bottleneck *bottleneck)
{
    datastall_bottleneck whole = {.device_id = -1};
    if (monitor == NULL)
        return monitor_fail_off();
    if (recent_samples < 1)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "recent_samples is %u; at least 1", recent_samples);
    if (is_forked(monitor))
        return fail_forked();
    double lowest = NAN;
    for (uint32_t i = 0; i < monitor->device_count; i++) {
        double mean = recent_utilization(monitor, (int)i, recent_samples);
        if (isnan(mean) || (!isnan(lowest) && mean >= lowest))
            continue;
        lowest = mean;
        whole.device_id = monitor->device_ids[i];
    }
    whole.average_utilization = isnan(lowest) ? 0.0 : lowest;
    whole.level = isnan(lowest) || lowest >= MILD_BELOW_PERCENT ? DATASTALL_BOTTLENECK_NONE
                  : lowest >= CRITICAL_BELOW_PERCENT            ? DATASTALL_BOTTLENECK_MILD
                                                                : DATASTALL_BOTTLENECK_CRITICAL;
    return ds_give_struct(bottleneck, &whole, sizeof whole, "bottleneck");
}

static int check_device(const datastall_gpu_monitor *monitor, int device_id, int *entry)
{
    if (monitor == NULL)
        return monitor_fail_off();
    if (is_forked(monitor))
        return fail_forked();
    *entry = gpu_monitor_entry_of(monitor, device_id);
    if (*entry < 0)
        return ds_fail(DATASTALL_ERR_NOT_FOUND, "device %d is not monitored", device_id);
    return DATASTALL_OK;
}

int datastall_gpu_monitor_sample(const datastall_gpu_monitor *monitor, int device_id, uint32_t back,
                                 datastall_gpu_metrics *metrics)
{
    int entry;
    int error = check_device(monitor, device_id, &entry);
    if (error != DATASTALL_OK)
        return error;
    uint64_t row[RF_GPU_SAMPLE_WORDS], total = 0;
    const uint64_t count = sample_count(monitor, entry);
    const struct rf_source source = memory_of(monitor);
    if (back >= count || !read_row(monitor, entry, count - 1 - back, row))
        return ds_fail(DATASTALL_ERR_NOT_FOUND, "device %d has no such sample", device_id);
    rf_source_read(&source, block_at(monitor, entry) + RF_BLOCK_PAYLOAD + RF_GPU_MEMORY_TOTAL, 1,
                   &total);
    const uint64_t used = row[RF_GPU_SAMPLE_MEMORY_USED];
    const uint64_t stage = row[RF_GPU_SAMPLE_STAGE];
    datastall_gpu_metrics whole = {.device_id = device_id};
#define OR_NAN(word, unit) (row[word] == RF_UNKNOWN ? NAN : (double)row[word] * (unit))
    whole.timestamp = (double)row[RF_GPU_SAMPLE_NS] * 1e-9 + monitor->real_minus_mono_s;
    whole.gpu_util = OR_NAN(RF_GPU_SAMPLE_BUSY_PERCENT, 1.0);
    whole.mem_used = used;
    whole.mem_total = total == 0 ? DATASTALL_UNKNOWN : total;
    whole.mem_percent =
        used == RF_UNKNOWN || total == 0 ? NAN : 100.0 * (double)used / (double)total;
    whole.temperature = OR_NAN(RF_GPU_SAMPLE_TEMPERATURE, 1.0);
    whole.power_draw = OR_NAN(RF_GPU_SAMPLE_POWER_MW, 1e-3);
#undef OR_NAN
    memcpy(whole.stage, monitor->monitor->stage_names[stage < RF_STAGE_CAPACITY ? stage : 0],
           sizeof whole.stage);
    return ds_give_struct(metrics, &whole, sizeof whole, "metrics");
}

int datastall_gpu_monitor_current(const datastall_gpu_monitor *monitor, int device_id,
                                  datastall_gpu_metrics *metrics)
{
    return datastall_gpu_monitor_sample(monitor, device_id, 0, metrics);
}

/* ---- statistics ---- */

/* Copies the counters of a GPU block, whole. */
static bool read_counters(const struct datastall_gpu_monitor *monitor, int entry,
                          uint64_t words[RF_GPU_WORDS])
{
    uint64_t block[RF_BLOCK_PAYLOAD + RF_GPU_WORDS];
    const struct rf_source source = memory_of(monitor);
    if (!rf_block_read(&source, block_at(monitor, entry), RF_BLOCK_PAYLOAD + RF_GPU_WORDS,
                       monitor->monitor->writer->gpu_layout.words, block))
        return false;
    memcpy(words, block + RF_BLOCK_PAYLOAD, RF_GPU_WORDS * sizeof *words);
    return true;
}

int datastall_gpu_monitor_device_statistics(const datastall_gpu_monitor *monitor, int device_id,
                                            datastall_device_statistics *statistics)
{
    uint64_t w[RF_GPU_WORDS];
    int entry;
    int error = check_device(monitor, device_id, &entry);
    if (error != DATASTALL_OK)
        return error;
    if (!read_counters(monitor, entry, w))
        return ds_fail(DATASTALL_ERR_DAMAGED, "the samples of device %d are damaged", device_id);
    const bool busy = w[RF_GPU_BUSY_COUNT] > 0, memory = w[RF_GPU_MEMORY_COUNT] > 0;
    datastall_device_statistics whole = {.sample_count = w[RF_GPU_SAMPLES]};
    whole.gpu_util_avg = ds_mean_or_nan(w[RF_GPU_BUSY_PERCENT_SUM], w[RF_GPU_BUSY_COUNT], 1.0);
    whole.gpu_util_min = busy ? (double)w[RF_GPU_BUSY_PERCENT_MIN] : NAN;
    whole.gpu_util_max = busy ? (double)w[RF_GPU_BUSY_PERCENT_MAX] : NAN;
    whole.mem_used_avg =
        ds_mean_or_nan(w[RF_GPU_MEMORY_USED_SUM_KIB], w[RF_GPU_MEMORY_COUNT], 1024.0);
    whole.mem_used_peak = memory ? w[RF_GPU_MEMORY_USED_PEAK] : DATASTALL_UNKNOWN;
    whole.mem_total = memory ? w[RF_GPU_MEMORY_TOTAL] : DATASTALL_UNKNOWN;
    whole.mem_percent_avg = memory && w[RF_GPU_MEMORY_TOTAL] > 0
                                ? 100.0 * whole.mem_used_avg / (double)w[RF_GPU_MEMORY_TOTAL]
                                : NAN;
    whole.power_draw_avg = ds_mean_or_nan(w[RF_GPU_POWER_MW_SUM], w[RF_GPU_POWER_COUNT], 1e-3);
    whole.temperature_max =
        w[RF_GPU_TEMPERATURE_COUNT] > 0 ? (double)w[RF_GPU_TEMPERATURE_MAX] : NAN;
    return ds_give_struct(statistics, &whole, sizeof whole, "statistics");
}

struct stage_clock {
    uint32_t place; /* in the file */
    uint64_t duration_ns;
};

/* Stage 0 of the file is "no stage"; once 64 names are used up, the last one is "other". */
static bool read_stage_clock(const struct datastall_gpu_monitor *monitor, uint32_t stage,
                             char name[64], struct stage_clock *clock)
{
    struct datastall_monitor *inner = monitor->monitor;
    const struct rf_source source = memory_of(monitor);
    const uint64_t process = (uint64_t)(inner->writer->process.block - inner->writer->map);
    uint64_t words[RF_BLOCK_PAYLOAD + RF_PROCESS_STATIC];
    const uint64_t *p = words + RF_BLOCK_PAYLOAD;
    if (stage >= RF_STAGE_OTHER)
        return false;
    const uint32_t place = stage + 1;
    pthread_mutex_lock(&inner->mutex);
    bool exists = rf_block_read(&source, process, RF_BLOCK_PAYLOAD + RF_PROCESS_STATIC,
                                RF_PROCESS_BLOCK_WORDS, words) &&
                  (place < inner->stage_count ||
                   (place == RF_STAGE_OTHER && p[RF_PROCESS_STAGE_ENTRIES + place] > 0));
    if (exists)
        memcpy(name, inner->stage_names[place], sizeof inner->stage_names[place]);
    pthread_mutex_unlock(&inner->mutex);
    if (!exists)
        return false;
    clock->place = place;
    clock->duration_ns = p[RF_PROCESS_STAGE_NS + place];
    if (p[RF_PROCESS_STAGE] == place)
        clock->duration_ns += ds_now_ns() - p[RF_PROCESS_STAGE_SINCE];
    return true;
}

int datastall_gpu_monitor_stage_statistics(const datastall_gpu_monitor *monitor, int device_id,
                                           uint32_t stage, datastall_stage_statistics *statistics)
{
    int entry;
    int error = check_device(monitor, device_id, &entry);
    if (error != DATASTALL_OK)
        return error;
    datastall_stage_statistics whole = {.sample_count = 0};
    struct stage_clock clock;
    if (!read_stage_clock(monitor, stage, whole.name, &clock))
        return ds_fail(DATASTALL_ERR_NOT_FOUND, "there is no stage number %u", stage);
    const struct rf_gpu_layout *layout = &monitor->monitor->writer->gpu_layout;
    const struct rf_source source = memory_of(monitor);
    const uint64_t prefix = layout->stages_at + layout->stages * layout->stage_words;
    uint64_t *block = malloc(prefix * 8);
    if (block == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    const bool read =
        rf_block_read(&source, block_at(monitor, entry), prefix, layout->words, block);
    const uint64_t *w = block + layout->stages_at + clock.place * layout->stage_words;
    if (read) {
        const uint64_t peak = w[RF_GPU_STAGE_MEMORY_USED_PEAK];
        whole.sample_count = w[RF_GPU_STAGE_SAMPLES];
        whole.gpu_util_avg =
            ds_mean_or_nan(w[RF_GPU_STAGE_BUSY_PERCENT_SUM], w[RF_GPU_STAGE_BUSY_COUNT], 1.0);
        whole.mem_used_peak = peak > 0 ? peak : DATASTALL_UNKNOWN;
        whole.duration_seconds = (double)clock.duration_ns * 1e-9;
    }
    free(block);
    return read ? ds_give_struct(statistics, &whole, sizeof whole, "statistics")
                : ds_fail(DATASTALL_ERR_DAMAGED, "the samples of device %d are damaged", device_id);
}

double datastall_gpu_monitor_average_utilization(const datastall_gpu_monitor *monitor,
                                                 int device_id)
{
    uint64_t count = 0, sum = 0;
    uint64_t w[RF_GPU_WORDS];
    for (uint32_t i = 0; monitor != NULL && i < monitor->device_count; i++) {
        bool wanted = device_id == DATASTALL_ALL_DEVICES || device_id == monitor->device_ids[i];
        if (!wanted || is_forked(monitor) || !read_counters(monitor, (int)i, w))
            continue;
        count += w[RF_GPU_BUSY_COUNT];
        sum += w[RF_GPU_BUSY_PERCENT_SUM];
    }
    return ds_mean_or_nan(sum, count, 1.0);
}

uint64_t datastall_gpu_monitor_peak_memory_usage(const datastall_gpu_monitor *monitor,
                                                 int device_id)
{
    uint64_t peak = DATASTALL_UNKNOWN;
    for (uint32_t i = 0; monitor != NULL && i < monitor->device_count; i++) {
        datastall_device_statistics statistics = DATASTALL_DEVICE_STATISTICS_INIT;
        if ((device_id != DATASTALL_ALL_DEVICES && device_id != monitor->device_ids[i]) ||
            datastall_gpu_monitor_device_statistics(monitor, monitor->device_ids[i], &statistics) !=
                DATASTALL_OK ||
            statistics.mem_used_peak == DATASTALL_UNKNOWN)
            continue;
        if (peak == DATASTALL_UNKNOWN || statistics.mem_used_peak > peak)
            peak = statistics.mem_used_peak;
    }
    return peak;
}
