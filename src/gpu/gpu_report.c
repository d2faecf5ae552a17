/* SPDX-License-Identifier: Apache-2.0 */
/* What a GPU monitor tells others: documents and the log file. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/signal_guard.h"
#include "gpu/gpu_monitor.h"

#define LOG_LIMIT_BYTES (UINT64_C(64) << 20)

/* ---- documents ---- */

typedef const struct emitter *out;

enum figure_kind {
    REAL,
    COUNT, /* told as an integer */
    TOTAL  /* a sum, told as an integer: 0 when nobody gave a summand, and then not known */
};
struct figure {
    const char *key;
    double value; /* NaN: unknown */
    enum figure_kind kind;
};

/* Every figure under its key, then `known`: which of them are. */
static void put_figures(out e, const struct figure *figures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double value = figures[i].value;
        if (figures[i].kind != REAL && !isnan(value))
            e->integer(e->context, figures[i].key, (uint64_t)value);
        else if (figures[i].kind == TOTAL)
            e->integer(e->context, figures[i].key, 0);
        else
            e->real(e->context, figures[i].key, value);
    }
    e->open_object(e->context, "known");
    for (size_t i = 0; i < count; i++)
        e->boolean(e->context, figures[i].key, !isnan(figures[i].value));
    e->close(e->context);
}
#define PUT_FIGURES(e, figures) put_figures(e, figures, sizeof(figures) / sizeof *(figures))

static double ms(uint64_t ns)
{
    return gpu_or_nan(ns) * 1e-6;
}

void gpu_report_dataloader(const void *subject, out e)
{
    const datastall_statistics *s = subject;
    const bool stated = s->stated_efficiency_batches > 0;
    const struct figure figures[] = {
        {"avg_wait_time_ms", s->steady.mean_ns * 1e-6, REAL},
        {"max_wait_time_ms", ms(s->steady.max_ns), REAL},
        {"min_wait_time_ms", ms(s->steady.min_ns), REAL},
        {"p50_wait_time_ms", ms(s->steady.p50_ns), REAL},
        {"p95_wait_time_ms", ms(s->steady.p95_ns), REAL},
        {"p99_wait_time_ms", ms(s->steady.p99_ns), REAL},
        {"pct_starved",
         s->batches == 0 ? NAN : 100.0 * (double)s->queue_starved / (double)s->batches, REAL},
        {"avg_sequence_length", s->mean_sequence_length, REAL},
        {"avg_max_length", s->mean_longest, REAL},
        {"packing_efficiency", s->packing_efficiency, REAL},
        {"avg_packing_efficiency", stated ? s->stated_efficiency_mean : s->packing_efficiency,
         REAL},
        {"min_packing_efficiency", s->stated_efficiency_min, REAL},
        {"batches_below_threshold", (double)s->stated_efficiency_low, COUNT},
        {"total_batches", (double)s->batches, COUNT},
        {"total_sequences", gpu_or_nan(s->samples), TOTAL},
        {"total_tokens", gpu_or_nan(s->tokens), TOTAL},
    };
    e->open_object(e->context, NULL);
    e->open_object(e->context, "queue_state_distribution");
    e->integer(e->context, "full", s->queue_full);
    e->integer(e->context, "normal", s->queue_normal);
    e->integer(e->context, "starved", s->queue_starved);
    e->close(e->context);
    e->integer(e->context, "unknown_waits", s->queue_unknown);
    PUT_FIGURES(e, figures);
    e->close(e->context);
}

static void put_stages(const struct gpu_report_device *device, out e)
{
    datastall_stage_statistics stage = DATASTALL_STAGE_STATISTICS_INIT;
    bool opened = false;
    for (uint32_t i = 0; datastall_gpu_monitor_stage_statistics(device->monitor, device->device_id,
                                                                i, &stage) == DATASTALL_OK;
         i++) {
        if (!opened)
            e->open_object(e->context, "by_stage");
        opened = true;
        const struct figure figures[] = {
            {"gpu_util_avg", stage.gpu_util_avg, REAL},
            {"mem_used_peak", gpu_or_nan(stage.mem_used_peak), COUNT},
            {"duration_seconds", stage.duration_seconds, REAL},
        };
        e->open_object(e->context, stage.name);
        PUT_FIGURES(e, figures);
        e->close(e->context);
    }
    if (opened)
        e->close(e->context);
}

void gpu_report_device(const void *subject, out e)
{
    const struct gpu_report_device *device = subject;
    datastall_device_statistics s = DATASTALL_DEVICE_STATISTICS_INIT;
    e->open_object(e->context, NULL);
    if (datastall_gpu_monitor_device_statistics(device->monitor, device->device_id, &s) ==
        DATASTALL_OK) {
        const struct figure figures[] = {
            {"gpu_util_avg", s.gpu_util_avg, REAL},
            {"gpu_util_min", s.gpu_util_min, REAL},
            {"gpu_util_max", s.gpu_util_max, REAL},
            {"mem_used_avg", s.mem_used_avg, REAL},
            {"mem_used_peak", gpu_or_nan(s.mem_used_peak), COUNT},
            {"mem_percent_avg", s.mem_percent_avg, REAL},
            {"power_draw_avg", s.power_draw_avg, REAL},
            {"temperature_max", s.temperature_max, REAL},
            {"sample_count", (double)s.sample_count, COUNT},
        };
        PUT_FIGURES(e, figures);
        put_stages(device, e);
    }
    e->close(e->context);
}

void gpu_report_throughput(const void *subject, out e)
{
    const datastall_throughput *t = subject;
    const struct figure figures[] = {
        {"sequences_per_sec", t->sequences_per_s, REAL},
        {"tokens_per_sec", t->tokens_per_s, REAL},
        {"elapsed_seconds", t->elapsed_s, REAL},
        {"total_sequences", gpu_or_nan(t->total_sequences), TOTAL},
        {"total_tokens", gpu_or_nan(t->total_tokens), TOTAL},
    };
    const size_t totals = 2, count = sizeof figures / sizeof *figures;
    e->open_object(e->context, NULL);
    put_figures(e, figures, isnan(t->elapsed_s) ? count - totals : count);
    e->close(e->context);
}

/* ---- cells of CSV ---- */

void gpu_put_cell(FILE *file, double value, const char *format)
{
    if (isfinite(value))
        fprintf(file, format, value);
}

void gpu_put_name_cell(FILE *file, const char *name)
{
    if (strpbrk(name, ",\"\n\r") == NULL) {
        fputs(name, file);
        return;
    }
    fputc('"', file);
    for (; *name != '\0'; name++) {
        if (*name == '"')
            fputc('"', file);
        fputc(*name, file);
    }
    fputc('"', file);
}

/* ---- the log file ---- */

static void local_time(char text[32])
{
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(text, 32, "%Y-%m-%d %H:%M:%S", &local);
}

/* Bytes in the log; 0 for a pipe, which fills no disk. */
static uint64_t log_size(FILE *log)
{
    const long position = ftell(log);
    return position < 0 ? 0 : (uint64_t)position;
}

int gpu_log_open(struct datastall_gpu_monitor *monitor)
{
    if (monitor->log_path == NULL || monitor->log != NULL)
        return DATASTALL_OK;
    char when[32];
    struct ds_write_guard guard;
    monitor->log = fopen(monitor->log_path, "ae");
    if (monitor->log == NULL)
        return ds_fail_errno(errno, "cannot write the log file %s", monitor->log_path);
    ds_write_hold(&guard);
    local_time(when);
    const locale_t before = uselocale(monitor->numbers);
    fprintf(monitor->log, "# GPU Monitoring Log\n# Started: %s\n# Devices: [", when);
    for (uint32_t i = 0; i < monitor->device_count; i++)
        fprintf(monitor->log, "%s%d", i > 0 ? ", " : "", monitor->device_ids[i]);
    fprintf(monitor->log,
            "]\n# Source: datastall %s, NVML every %g s\n#\n"
            "# timestamp,device_id,gpu_util,mem_used_mb,mem_percent,temperature,power_draw,stage\n",
            datastall_version(), monitor->interval_s);
    uselocale(before);
    fflush(monitor->log);
    ds_write_release(&guard);
    monitor->log_bytes = log_size(monitor->log);
    return DATASTALL_OK;
}

/* In the sampling thread; no other thread touches the stream while that runs. */
void gpu_log_sample(void *gpu_monitor, uint32_t entry, const struct rf_gpu_sample *sample)
{
    struct datastall_gpu_monitor *monitor = gpu_monitor;
    FILE *log = monitor->log;
    if (log == NULL || monitor->log_bytes > LOG_LIMIT_BYTES)
        return;
    const bool memory = sample->memory_used != RF_UNKNOWN && sample->memory_total > 0;
    const locale_t before = uselocale(monitor->numbers);
    fprintf(log, "%.3f,%d,", (double)sample->time_ns * 1e-9 + monitor->real_minus_mono_s,
            monitor->device_ids[entry]);
    gpu_put_cell(log, gpu_or_nan(sample->busy_percent), "%.0f");
    fputc(',', log);
    gpu_put_cell(log, gpu_or_nan(sample->memory_used) / GPU_MIB, "%.1f");
    fputc(',', log);
    gpu_put_cell(log,
                 memory ? 100.0 * (double)sample->memory_used / (double)sample->memory_total : NAN,
                 "%.2f");
    fputc(',', log);
    gpu_put_cell(log, gpu_or_nan(sample->temperature), "%.0f");
    fputc(',', log);
    gpu_put_cell(log, gpu_or_nan(sample->power_mw) * 1e-3, "%.1f");
    fputc(',', log);
    char stage[64]; /* the log is looked at */
    gpu_put_name_cell(
        log, ds_clean_text(monitor->monitor->stage_names[sample->stage], stage, sizeof stage));
    fputc('\n', log);
    uselocale(before);
    fflush(log);
    monitor->log_bytes = log_size(log);
    if (monitor->log_bytes > LOG_LIMIT_BYTES) {
        fprintf(log, "# The log ends here: it reached its limit of 64 MiB.\n");
        fflush(log);
    }
}

static void log_device_summary(struct datastall_gpu_monitor *monitor, int device_id)
{
    datastall_device_statistics s = DATASTALL_DEVICE_STATISTICS_INIT;
    if (datastall_gpu_monitor_device_statistics(monitor, device_id, &s) != DATASTALL_OK)
        return;
    fprintf(monitor->log, "# GPU %d: samples %llu", device_id, (unsigned long long)s.sample_count);
    if (!isnan(s.gpu_util_avg))
        fprintf(monitor->log, ", utilization mean %.1f%% min %.0f%% max %.0f%%", s.gpu_util_avg,
                s.gpu_util_min, s.gpu_util_max);
    if (s.mem_used_peak != DATASTALL_UNKNOWN)
        fprintf(monitor->log, ", memory peak %.1f MB", (double)s.mem_used_peak / GPU_MIB);
    if (!isnan(s.power_draw_avg))
        fprintf(monitor->log, ", power mean %.1f W", s.power_draw_avg);
    fputc('\n', monitor->log);
}

static void log_end_of_sampling(struct datastall_gpu_monitor *monitor)
{
    const uint64_t *words = monitor->monitor->writer->process.block + RF_BLOCK_PAYLOAD;
    char reason[160];
    rf_gpu_end_text(ds_load(&words[RF_PROCESS_GPU_END]), ds_load(&words[RF_PROCESS_GPU_END_DETAIL]),
                    reason, sizeof reason);
    if (reason[0] != '\0')
        fprintf(monitor->log, "# GPU sampling ended: %s\n", reason);
}

void gpu_log_close(struct datastall_gpu_monitor *monitor)
{
    if (monitor->log == NULL)
        return;
    char when[32];
    struct ds_write_guard guard;
    ds_write_hold(&guard);
    local_time(when);
    const locale_t before = uselocale(monitor->numbers);
    fprintf(monitor->log, "#\n# Ended: %s\n", when);
    log_end_of_sampling(monitor);
    for (uint32_t i = 0; i < monitor->device_count; i++)
        log_device_summary(monitor, monitor->device_ids[i]);
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    if (datastall_gpu_monitor_dataloader_statistics(monitor, &s) == DATASTALL_OK && s.batches > 0)
        fprintf(monitor->log, "# DataLoader: batches %llu, mean wait %.2f ms, p95 %.2f ms\n",
                (unsigned long long)s.batches, s.steady.mean_ns * 1e-6,
                s.steady.p95_ns == DATASTALL_UNKNOWN ? NAN : (double)s.steady.p95_ns * 1e-6);
    uselocale(before);
    fclose(monitor->log);
    ds_write_release(&guard);
    monitor->log = NULL;
}

int datastall_gpu_monitor_save_logs(datastall_gpu_monitor *monitor)
{
    if (monitor == NULL || !ds_fork_same_process(monitor->monitor->generation))
        return DATASTALL_OK;
    int error = 0;
    struct ds_write_guard guard;
    pthread_mutex_lock(&monitor->mutex);
    ds_write_hold(&guard);
    /* stdio locks the stream itself; each sample was flushed already. */
    if (monitor->log != NULL && (fflush(monitor->log) != 0 || fdatasync(fileno(monitor->log)) != 0))
        error = errno;
    ds_write_release(&guard);
    pthread_mutex_unlock(&monitor->mutex);
    return error == 0 ? DATASTALL_OK
                      : ds_fail_errno(error, "cannot write the log file %s", monitor->log_path);
}
