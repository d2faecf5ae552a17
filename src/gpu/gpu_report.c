/* What a GPU monitor tells others: documents, exports, the log file. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "gpu/gpu_monitor.h"

#define LOG_LIMIT_BYTES (UINT64_C(64) << 20)
#define MIB (1024.0 * 1024.0)

/* ---- documents ---- */

typedef const struct emitter *out;

struct figure {
    const char *key;
    double value; /* NaN: unknown */
    bool whole;   /* a count: told as an integer */
};

/* Every figure under its key, then `known`: which of them are. */
static void put_figures(out e, const struct figure *figures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (figures[i].whole && !isnan(figures[i].value))
            e->integer(e->context, figures[i].key, (uint64_t)figures[i].value);
        else
            e->real(e->context, figures[i].key, figures[i].value);
    }
    e->open_object(e->context, "known");
    for (size_t i = 0; i < count; i++)
        e->boolean(e->context, figures[i].key, !isnan(figures[i].value));
    e->close(e->context);
}
#define PUT_FIGURES(e, figures) put_figures(e, figures, sizeof(figures) / sizeof *(figures))

static double or_nan(uint64_t value)
{
    return value == DATASTALL_UNKNOWN ? NAN : (double)value;
}

static double ms(uint64_t ns)
{
    return or_nan(ns) * 1e-6;
}

void gpu_report_dataloader(const void *subject, out e)
{
    const datastall_statistics *s = subject;
    const bool stated = s->stated_efficiency_batches > 0;
    const struct figure figures[] = {
        {"avg_wait_time_ms", s->steady.mean_ns * 1e-6, false},
        {"max_wait_time_ms", ms(s->steady.max_ns), false},
        {"min_wait_time_ms", ms(s->steady.min_ns), false},
        {"p50_wait_time_ms", ms(s->steady.p50_ns), false},
        {"p95_wait_time_ms", ms(s->steady.p95_ns), false},
        {"p99_wait_time_ms", ms(s->steady.p99_ns), false},
        {"pct_starved",
         s->batches == 0 ? NAN : 100.0 * (double)s->queue_starved / (double)s->batches, false},
        {"avg_sequence_length", s->mean_sequence_length, false},
        {"avg_max_length", s->mean_longest, false},
        {"packing_efficiency", s->packing_efficiency, false},
        {"avg_packing_efficiency", stated ? s->stated_efficiency_mean : s->packing_efficiency,
         false},
        {"min_packing_efficiency", stated ? s->stated_efficiency_min : 0.0, false},
        {"batches_below_threshold", (double)s->stated_efficiency_low, true},
        {"total_batches", (double)s->batches, true},
        {"total_sequences", s->samples == DATASTALL_UNKNOWN ? 0 : (double)s->samples, true},
        {"total_tokens", s->tokens == DATASTALL_UNKNOWN ? 0 : (double)s->tokens, true},
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
    datastall_stage_statistics stage = {.struct_size = sizeof stage};
    for (uint32_t i = 0; datastall_gpu_monitor_stage_statistics(device->monitor, device->device_id,
                                                                i, &stage) == DATASTALL_OK;
         i++) {
        if (i == 0)
            e->open_object(e->context, "by_stage");
        const struct figure figures[] = {
            {"gpu_util_avg", stage.gpu_util_avg, false},
            {"mem_used_peak", or_nan(stage.mem_used_peak), true},
            {"duration_seconds", stage.duration_seconds, false},
        };
        e->open_object(e->context, stage.name);
        PUT_FIGURES(e, figures);
        e->close(e->context);
    }
    if (stage.name[0] != '\0')
        e->close(e->context);
}

void gpu_report_device(const void *subject, out e)
{
    const struct gpu_report_device *device = subject;
    datastall_device_statistics s = {.struct_size = sizeof s};
    e->open_object(e->context, NULL);
    if (datastall_gpu_monitor_device_statistics(device->monitor, device->device_id, &s) ==
        DATASTALL_OK) {
        const struct figure figures[] = {
            {"gpu_util_avg", s.gpu_util_avg, false},
            {"gpu_util_min", s.gpu_util_min, false},
            {"gpu_util_max", s.gpu_util_max, false},
            {"mem_used_avg", s.mem_used_avg, false},
            {"mem_used_peak", or_nan(s.mem_used_peak), true},
            {"mem_percent_avg", s.mem_percent_avg, false},
            {"power_draw_avg", s.power_draw_avg, false},
            {"temperature_max", s.temperature_max, false},
            {"sample_count", (double)s.sample_count, true},
        };
        PUT_FIGURES(e, figures);
        put_stages(device, e);
    }
    e->close(e->context);
}

void gpu_report_throughput(const void *subject, out e)
{
    const datastall_throughput *t = subject;
    const struct figure rates[] = {
        {"sequences_per_sec", t->sequences_per_s, false},
        {"tokens_per_sec", t->tokens_per_s, false},
        {"elapsed_seconds", t->elapsed_s, false},
    };
    e->open_object(e->context, NULL);
    PUT_FIGURES(e, rates);
    if (!isnan(t->elapsed_s)) {
        e->integer(e->context, "total_sequences", t->total_sequences);
        e->integer(e->context, "total_tokens", t->total_tokens);
    }
    e->close(e->context);
}

/* ---- JSON as text: the library links no JSON library ---- */

struct text_builder {
    FILE *file;
    bool comma; /* the container under way has an element already */
};

static void put_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(file, "\\%c", *c);
        else if (*c < 0x20 || *c >= 0x7f) /* bytes beyond ASCII need not be valid UTF-8 */
            fprintf(file, "\\u%04x", *c < 0x80 ? *c : 0xfffd);
        else
            fputc(*c, file);
    }
    fputc('"', file);
}

static struct text_builder *begin_value(void *context, const char *key)
{
    struct text_builder *builder = context;
    if (builder->comma)
        fputc(',', builder->file);
    if (key != NULL) {
        put_text(builder->file, key);
        fputs(": ", builder->file);
    }
    builder->comma = true;
    return builder;
}

static void open_object(void *context, const char *key)
{
    struct text_builder *builder = begin_value(context, key);
    fputc('{', builder->file);
    builder->comma = false;
}

static void close_object(void *context)
{
    struct text_builder *builder = context;
    fputc('}', builder->file);
    builder->comma = true;
}

static void put_real(void *context, const char *key, double value)
{
    struct text_builder *builder = begin_value(context, key);
    if (isfinite(value))
        fprintf(builder->file, "%.15g", value);
    else
        fputs("null", builder->file);
}

static void put_integer(void *context, const char *key, uint64_t value)
{
    struct text_builder *builder = begin_value(context, key);
    if (value == DATASTALL_UNKNOWN)
        fputs("null", builder->file);
    else
        fprintf(builder->file, "%llu", (unsigned long long)value);
}

static void put_boolean(void *context, const char *key, bool value)
{
    fputs(value ? "true" : "false", begin_value(context, key)->file);
}

static void put_string(void *context, const char *key, const char *value)
{
    struct text_builder *builder = begin_value(context, key);
    if (value == NULL || *value == '\0')
        fputs("null", builder->file);
    else
        put_text(builder->file, value);
}

/* ---- exports ---- */

/* Oldest kept sample first. Returns false when there is none at this place any more. */
static bool sample_from_oldest(const datastall_gpu_monitor *monitor, int device_id, uint32_t kept,
                               uint32_t index, datastall_gpu_metrics *metrics)
{
    *metrics = (datastall_gpu_metrics){.struct_size = sizeof *metrics};
    return datastall_gpu_monitor_sample(monitor, device_id, kept - 1 - index, metrics) ==
           DATASTALL_OK;
}

static uint32_t kept_samples(const datastall_gpu_monitor *monitor, int device_id)
{
    datastall_device_statistics statistics = {.struct_size = sizeof statistics};
    if (datastall_gpu_monitor_device_statistics(monitor, device_id, &statistics) != DATASTALL_OK)
        return 0;
    return statistics.sample_count < DATASTALL_GPU_MONITOR_SAMPLES
               ? (uint32_t)statistics.sample_count
               : DATASTALL_GPU_MONITOR_SAMPLES;
}

static void put_cell(FILE *file, double value, const char *format)
{
    if (isfinite(value))
        fprintf(file, format, value);
}

/* A CSV cell of a name: quoted where it must be. */
static void put_name_cell(FILE *file, const char *name)
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

static void export_csv(const datastall_gpu_monitor *monitor, FILE *file)
{
    datastall_gpu_metrics m;
    fputs("timestamp,device_id,gpu_util,mem_used,mem_percent,stage\n", file);
    for (uint32_t d = 0; d < monitor->device_count; d++) {
        uint32_t kept = kept_samples(monitor, monitor->device_ids[d]);
        for (uint32_t i = 0; i < kept; i++) {
            if (!sample_from_oldest(monitor, monitor->device_ids[d], kept, i, &m))
                continue;
            fprintf(file, "%.6f,%d,", m.timestamp, m.device_id);
            put_cell(file, m.gpu_util, "%g");
            fputc(',', file);
            put_cell(file, or_nan(m.mem_used), "%.0f");
            fputc(',', file);
            put_cell(file, m.mem_percent, "%.4f");
            fputc(',', file);
            put_name_cell(file, m.stage);
            fputc('\n', file);
        }
    }
}

static void export_samples(const datastall_gpu_monitor *monitor, out e)
{
    struct text_builder *builder = e->context;
    datastall_gpu_metrics m;
    begin_value(builder, "samples");
    fputc('[', builder->file);
    builder->comma = false;
    for (uint32_t d = 0; d < monitor->device_count; d++) {
        uint32_t kept = kept_samples(monitor, monitor->device_ids[d]);
        for (uint32_t i = 0; i < kept; i++) {
            if (!sample_from_oldest(monitor, monitor->device_ids[d], kept, i, &m))
                continue;
            open_object(builder, NULL);
            put_real(builder, "timestamp", m.timestamp);
            put_integer(builder, "device_id", (uint64_t)m.device_id);
            put_real(builder, "gpu_util", m.gpu_util);
            put_integer(builder, "mem_used", m.mem_used);
            put_integer(builder, "mem_total", m.mem_total);
            put_real(builder, "mem_percent", m.mem_percent);
            put_real(builder, "temperature", m.temperature);
            put_real(builder, "power_draw", m.power_draw);
            put_string(builder, "stage", m.stage);
            close_object(builder);
        }
    }
    fputc(']', builder->file);
    builder->comma = true;
}

/* A document whose outermost object gets a key: gpu_report_*() open it without one. */
static void put_document(out e, const char *key, void (*tell)(const void *, out),
                         const void *subject)
{
    struct text_builder *builder = e->context;
    begin_value(builder, key);
    builder->comma = false;
    tell(subject, e);
}

static void export_json(const datastall_gpu_monitor *monitor, FILE *file)
{
    struct text_builder builder = {.file = file};
    const struct emitter emitter = {&builder,    open_object, open_object, close_object,
                                    put_integer, put_real,    put_boolean, put_string};
    datastall_statistics statistics = DATASTALL_STATISTICS_INIT;
    open_object(&builder, NULL);
    open_object(&builder, "statistics");
    for (uint32_t d = 0; d < monitor->device_count; d++) {
        char key[16];
        snprintf(key, sizeof key, "%d", monitor->device_ids[d]);
        const struct gpu_report_device device = {monitor, monitor->device_ids[d]};
        put_document(&emitter, key, gpu_report_device, &device);
    }
    if (datastall_gpu_monitor_dataloader_statistics(monitor, &statistics) == DATASTALL_OK &&
        statistics.batches > 0)
        put_document(&emitter, "dataloader", gpu_report_dataloader, &statistics);
    close_object(&builder);
    export_samples(monitor, &emitter);
    close_object(&builder);
    fputc('\n', file);
}

int datastall_gpu_monitor_export_metrics(const datastall_gpu_monitor *monitor, const char *path,
                                         enum datastall_export_format format)
{
    if (monitor == NULL || path == NULL)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "monitor or path is NULL");
    if (format != DATASTALL_EXPORT_JSON && format != DATASTALL_EXPORT_CSV)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the format is neither JSON nor CSV");
    if (!ds_fork_same_process(monitor->monitor->generation))
        return ds_fail(DATASTALL_ERR_FORKED, "the monitor belongs to the parent process");
    char *temporary;
    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    FILE *file = fopen(temporary, "we");
    int error = file == NULL ? errno : 0;
    if (file != NULL) {
        if (format == DATASTALL_EXPORT_CSV)
            export_csv(monitor, file);
        else
            export_json(monitor, file);
        bool failed = ferror(file) != 0;
        if (fclose(file) != 0 || failed)
            error = errno != 0 ? errno : EIO;
        if (error == 0 && rename(temporary, path) != 0)
            error = errno;
        if (error != 0)
            unlink(temporary);
    }
    free(temporary);
    return error == 0 ? DATASTALL_OK : ds_fail_errno(error, "cannot write %s", path);
}

/* ---- the log file ---- */

static void local_time(char text[32])
{
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(text, 32, "%Y-%m-%d %H:%M:%S", &local);
}

int gpu_log_open(struct datastall_gpu_monitor *monitor)
{
    if (monitor->log_path == NULL || monitor->log != NULL)
        return DATASTALL_OK;
    char when[32];
    monitor->log = fopen(monitor->log_path, "ae");
    if (monitor->log == NULL)
        return ds_fail_errno(errno, "cannot write the log file %s", monitor->log_path);
    local_time(when);
    fprintf(monitor->log, "# GPU Monitoring Log\n# Started: %s\n# Devices: [", when);
    for (uint32_t i = 0; i < monitor->device_count; i++)
        fprintf(monitor->log, "%s%d", i > 0 ? ", " : "", monitor->device_ids[i]);
    fprintf(monitor->log,
            "]\n# Source: datastall %s, NVML every %g s\n#\n"
            "# timestamp,device_id,gpu_util,mem_used_mb,mem_percent,temperature,power_draw,stage\n",
            datastall_version(), monitor->interval_s);
    fflush(monitor->log);
    monitor->log_bytes = (uint64_t)ftell(monitor->log);
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
    int before =
        fprintf(log, "%.3f,%d,", (double)sample->time_ns * 1e-9 + monitor->real_minus_mono_s,
                monitor->device_ids[entry]);
    put_cell(log, or_nan(sample->busy_percent), "%.0f");
    fputc(',', log);
    put_cell(log, or_nan(sample->memory_used) / MIB, "%.1f");
    fputc(',', log);
    put_cell(log, memory ? 100.0 * (double)sample->memory_used / (double)sample->memory_total : NAN,
             "%.2f");
    fputc(',', log);
    put_cell(log, or_nan(sample->temperature), "%.0f");
    fputc(',', log);
    put_cell(log, or_nan(sample->power_mw) * 1e-3, "%.1f");
    fputc(',', log);
    put_name_cell(log, monitor->monitor->stage_names[sample->stage]);
    fputc('\n', log);
    fflush(log);
    monitor->log_bytes += (uint64_t)(before > 0 ? before : 0) + 100;
    if (monitor->log_bytes > LOG_LIMIT_BYTES)
        fprintf(log, "# The log ends here: it reached its limit of 64 MiB.\n");
}

static void log_device_summary(struct datastall_gpu_monitor *monitor, int device_id)
{
    datastall_device_statistics s = {.struct_size = sizeof s};
    if (datastall_gpu_monitor_device_statistics(monitor, device_id, &s) != DATASTALL_OK)
        return;
    fprintf(monitor->log, "# GPU %d: samples %llu", device_id, (unsigned long long)s.sample_count);
    if (!isnan(s.gpu_util_avg))
        fprintf(monitor->log, ", utilization mean %.1f%% min %.0f%% max %.0f%%", s.gpu_util_avg,
                s.gpu_util_min, s.gpu_util_max);
    if (s.mem_used_peak != DATASTALL_UNKNOWN)
        fprintf(monitor->log, ", memory peak %.1f MB", (double)s.mem_used_peak / MIB);
    if (!isnan(s.power_draw_avg))
        fprintf(monitor->log, ", power mean %.1f W", s.power_draw_avg);
    fputc('\n', monitor->log);
}

void gpu_log_close(struct datastall_gpu_monitor *monitor)
{
    if (monitor->log == NULL)
        return;
    char when[32];
    local_time(when);
    fprintf(monitor->log, "#\n# Ended: %s\n", when);
    for (uint32_t i = 0; i < monitor->device_count; i++)
        log_device_summary(monitor, monitor->device_ids[i]);
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    if (datastall_gpu_monitor_dataloader_statistics(monitor, &s) == DATASTALL_OK && s.batches > 0)
        fprintf(monitor->log, "# DataLoader: batches %llu, mean wait %.2f ms, p95 %.2f ms\n",
                (unsigned long long)s.batches, s.steady.mean_ns * 1e-6,
                s.steady.p95_ns == DATASTALL_UNKNOWN ? NAN : (double)s.steady.p95_ns * 1e-6);
    fclose(monitor->log);
    monitor->log = NULL;
}

int datastall_gpu_monitor_save_logs(datastall_gpu_monitor *monitor)
{
    if (monitor == NULL || !ds_fork_same_process(monitor->monitor->generation))
        return DATASTALL_OK;
    int error = 0;
    pthread_mutex_lock(&monitor->mutex);
    /* stdio locks the stream itself; each sample was flushed already. */
    if (monitor->log != NULL && (fflush(monitor->log) != 0 || fdatasync(fileno(monitor->log)) != 0))
        error = errno;
    pthread_mutex_unlock(&monitor->mutex);
    return error == 0 ? DATASTALL_OK
                      : ds_fail_errno(error, "cannot write the log file %s", monitor->log_path);
}
