/* SPDX-License-Identifier: Apache-2.0 */
/* The samples and figures of a GPU monitor as a JSON or CSV file. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/signal_guard.h"
#include "base/target_file.h"
#include "gpu/gpu_monitor.h"

/* ---- JSON as text: the library links no JSON library ---- */

#define MAX_DEPTH 16u /* statistics, device, by_stage, stage, known: 6 are in use */

struct text_builder {
    FILE *file;
    bool comma; /* the container under way has an element already */
    uint32_t depth;
    char closing[MAX_DEPTH]; /* of the containers under way, outermost first */
};

/* All of it ASCII: no reader has to guess, and no terminal obeys. */
static void put_text(FILE *file, const char *text)
{
    fputc('"', file);
    while (*text != '\0') {
        uint32_t c;
        const size_t bytes = ds_utf8_character(text, &c);
        if (bytes == 0)
            fputs("\\ufffd", file);
        else if (c == '"' || c == '\\')
            fprintf(file, "\\%c", (char)c);
        else if (c >= 0x10000)
            fprintf(file, "\\u%04x\\u%04x", (c - 0x10000) >> 10 | 0xd800, (c & 0x3ff) | 0xdc00);
        else if (c < 0x20 || c >= 0x7f)
            fprintf(file, "\\u%04x", c);
        else
            fputc((char)c, file);
        text += bytes > 0 ? bytes : 1;
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

static void open_container(void *context, const char *key, char opening, char closing)
{
    struct text_builder *builder = begin_value(context, key);
    fputc(opening, builder->file);
    builder->comma = false;
    if (builder->depth < MAX_DEPTH)
        builder->closing[builder->depth] = closing;
    builder->depth++;
}

static void open_object(void *context, const char *key)
{
    open_container(context, key, '{', '}');
}

static void open_array(void *context, const char *key)
{
    open_container(context, key, '[', ']');
}

static void close_container(void *context)
{
    struct text_builder *builder = context;
    builder->depth--;
    if (builder->depth < MAX_DEPTH)
        fputc(builder->closing[builder->depth], builder->file);
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
    *metrics = (datastall_gpu_metrics)DATASTALL_GPU_METRICS_INIT;
    return datastall_gpu_monitor_sample(monitor, device_id, kept - 1 - index, metrics) ==
           DATASTALL_OK;
}

static uint32_t kept_samples(const datastall_gpu_monitor *monitor, int device_id)
{
    datastall_device_statistics statistics = DATASTALL_DEVICE_STATISTICS_INIT;
    if (datastall_gpu_monitor_device_statistics(monitor, device_id, &statistics) != DATASTALL_OK)
        return 0;
    return statistics.sample_count < DATASTALL_GPU_MONITOR_SAMPLES
               ? (uint32_t)statistics.sample_count
               : DATASTALL_GPU_MONITOR_SAMPLES;
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
            gpu_put_cell(file, m.gpu_util, "%g");
            fputc(',', file);
            gpu_put_cell(file, gpu_or_nan(m.mem_used), "%.0f");
            fputc(',', file);
            gpu_put_cell(file, m.mem_percent, "%.4f");
            fputc(',', file);
            gpu_put_name_cell(file, m.stage);
            fputc('\n', file);
        }
    }
}

static void export_samples(const datastall_gpu_monitor *monitor, const struct emitter *e)
{
    datastall_gpu_metrics m;
    e->open_array(e->context, "samples");
    for (uint32_t d = 0; d < monitor->device_count; d++) {
        uint32_t kept = kept_samples(monitor, monitor->device_ids[d]);
        for (uint32_t i = 0; i < kept; i++) {
            if (!sample_from_oldest(monitor, monitor->device_ids[d], kept, i, &m))
                continue;
            e->open_object(e->context, NULL);
            e->real(e->context, "timestamp", m.timestamp);
            e->integer(e->context, "device_id", (uint64_t)m.device_id);
            e->real(e->context, "gpu_util", m.gpu_util);
            e->integer(e->context, "mem_used", m.mem_used);
            e->integer(e->context, "mem_total", m.mem_total);
            e->real(e->context, "mem_percent", m.mem_percent);
            e->real(e->context, "temperature", m.temperature);
            e->real(e->context, "power_draw", m.power_draw);
            e->string(e->context, "stage", m.stage);
            e->close(e->context);
        }
    }
    e->close(e->context);
}

/* The key of the document told next, whose outermost object has none. */
static void put_key(struct text_builder *builder, const char *key)
{
    begin_value(builder, key);
    builder->comma = false;
}

static void export_json(const datastall_gpu_monitor *monitor, FILE *file)
{
    struct text_builder builder = {.file = file};
    const struct emitter emitter = {
        .context = &builder,
        .open_object = open_object,
        .open_array = open_array,
        .close = close_container,
        .integer = put_integer,
        .real = put_real,
        .boolean = put_boolean,
        .string = put_string,
    };
    datastall_statistics statistics = DATASTALL_STATISTICS_INIT;
    open_object(&builder, NULL);
    open_object(&builder, "statistics");
    for (uint32_t d = 0; d < monitor->device_count; d++) {
        char key[16];
        snprintf(key, sizeof key, "%d", monitor->device_ids[d]);
        const struct gpu_report_device device = {monitor, monitor->device_ids[d]};
        put_key(&builder, key);
        gpu_report_device(&device, &emitter);
    }
    if (datastall_gpu_monitor_dataloader_statistics(monitor, &statistics) == DATASTALL_OK &&
        statistics.batches > 0) {
        put_key(&builder, "dataloader");
        gpu_report_dataloader(&statistics, &emitter);
    }
    close_container(&builder);
    export_samples(monitor, &emitter);
    close_container(&builder);
    fputc('\n', file);
}

/* ---- where an export goes ---- */

/* Returns 0 or an errno value; the descriptor stays open. */
static int write_export(const datastall_gpu_monitor *monitor, enum datastall_export_format format,
                        int fd)
{
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *file = copy < 0 ? NULL : fdopen(copy, "w");
    if (file == NULL) {
        const int error = errno;
        if (copy >= 0)
            close(copy);
        return error;
    }
    struct ds_write_guard guard;
    ds_write_hold(&guard);
    errno = 0;
    const locale_t before = uselocale(monitor->numbers);
    if (format == DATASTALL_EXPORT_CSV)
        export_csv(monitor, file);
    else
        export_json(monitor, file);
    uselocale(before);
    const bool failed = ferror(file) != 0;
    const bool whole = fclose(file) == 0 && !failed;
    ds_write_release(&guard);
    return whole ? 0 : errno != 0 ? errno : EIO;
}

int datastall_gpu_monitor_export_metrics(const datastall_gpu_monitor *monitor, const char *path,
                                         enum datastall_export_format format)
{
    if (monitor == NULL)
        return monitor_fail_off();
    if (path == NULL)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "path is NULL");
    if (format != DATASTALL_EXPORT_JSON && format != DATASTALL_EXPORT_CSV)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the format is neither JSON nor CSV");
    if (!ds_fork_same_process(monitor->monitor->generation))
        return ds_fail(DATASTALL_ERR_FORKED, "the monitor belongs to the parent process");
    struct ds_target target;
    int error = ds_target_open(path, &target);
    if (error == 0)
        error = ds_target_finish(&target, write_export(monitor, format, target.fd));
    return error == 0 ? DATASTALL_OK : ds_fail_errno(error, "cannot write %s", path);
}
