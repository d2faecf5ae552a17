/* SPDX-License-Identifier: Apache-2.0 */
#include "output/csv.h"

#include <math.h>
#include <string.h>

#include "base/clean_text.h"
#include "diagnose/series.h"

/* A spreadsheet would take what begins so for a formula: it gets an apostrophe. */
static bool looks_like_formula(const char *text)
{
    return text[0] != '\0' && strchr("=+-@", text[0]) != NULL;
}

static void put_text(const char *text, FILE *file)
{
    char clean[256];
    ds_clean_text(text, clean, sizeof clean);
    fprintf(file, "\"%s", looks_like_formula(clean) ? "'" : "");
    for (const char *c = clean; *c != '\0'; c++)
        fprintf(file, *c == '"' ? "\"\"" : "%c", *c);
    fputs("\",", file);
}

static void put_whole(uint64_t value, const char *end, FILE *file)
{
    if (value != DATASTALL_UNKNOWN)
        fprintf(file, "%llu", (unsigned long long)value);
    fputs(end, file);
}

static void put_real(double value, const char *end, FILE *file)
{
    if (isfinite(value))
        fprintf(file, "%.9g", value);
    fputs(end, file);
}

static void put_seconds(uint64_t ns, const char *end, FILE *file)
{
    fprintf(file, "%llu.%09llu%s", (unsigned long long)(ns / DS_NS_PER_S),
            (unsigned long long)(ns % DS_NS_PER_S), end);
}

void csv_head(FILE *file)
{
    fputs("run,what,rank,pid,hostname,name,begin_s,span_s,batches,samples,tokens,waiting_s,"
          "stall_s,longest_wait_s,busy_share,memory_used_bytes,power_w\r\n",
          file);
}

static void put_who(const struct summary *s, const char *what, uint64_t rank, uint64_t pid,
                    const char *hostname, const char *name, FILE *file)
{
    put_text(s->data->id, file);
    fprintf(file, "%s,", what);
    put_whole(rank, ",", file);
    put_whole(pid, ",", file);
    put_text(hostname, file);
    put_text(name, file);
}

static void put_loader(const struct summary *s, const struct summary_loader *loader, uint32_t level,
                       const struct series *series, FILE *file)
{
    const struct rf_process_static *process = &s->processes[loader->process].data->view.fixed;
    const bool samples = loader->figures.samples != DATASTALL_UNKNOWN;
    const bool tokens = loader->figures.tokens != DATASTALL_UNKNOWN;
    const uint64_t first = series_first_number(s, loader->process, level);
    for (uint32_t i = 0; i < series->count && loader->data->history != NULL; i++) {
        const struct run_span *span = run_history_span(loader->data->history, level, first + i);
        if (span == NULL)
            continue;
        put_who(s, "loader", process->rank, process->pid, process->hostname,
                loader->data->entry.name, file);
        put_real(series->begin_s[i], ",", file);
        put_whole(series->width_s, ",", file);
        put_whole(span->batches, ",", file);
        put_whole(samples ? span->samples : DATASTALL_UNKNOWN, ",", file);
        put_whole(tokens ? span->tokens : DATASTALL_UNKNOWN, ",", file);
        put_seconds(span->stall.waiting_ns, ",", file);
        put_seconds(stall_most_ns(&span->stall), ",", file);
        put_seconds(span->longest_ns, ",,,\r\n", file);
    }
}

static void put_gpu(const struct summary *s, uint32_t index, uint32_t level,
                    const struct series *series, FILE *file)
{
    double busy[SERIES_MOST], memory[SERIES_MOST], power[SERIES_MOST];
    const struct rf_gpu_static *fixed = &s->gpus[index].data->fixed;
    const char *hostname = s->process_count == 0 ? "" : s->processes[0].data->view.fixed.hostname;
    char name[128];
    series_of_gpu(s, index, level, busy, memory, power);
    snprintf(name, sizeof name, "GPU %llu: %s", (unsigned long long)fixed->index, fixed->name);
    for (uint32_t i = 0; i < series->count; i++) {
        if (isnan(busy[i]) && isnan(memory[i]) && isnan(power[i]))
            continue;
        put_who(s, "gpu", DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, hostname, name, file);
        put_real(series->begin_s[i], ",", file);
        put_whole(series->width_s, ",,,,,,,", file);
        put_real(busy[i], ",", file);
        put_real(memory[i], ",", file);
        put_real(power[i], "\r\n", file);
    }
}

void csv_write(const struct summary *summary, FILE *file)
{
    static struct series series;
    const uint32_t levels = series_levels(summary);
    if (levels == 0)
        return;
    series_of(summary, levels - 1, &series);
    for (uint32_t i = 0; i < summary->loader_count; i++)
        put_loader(summary, &summary->loaders[i], levels - 1, &series, file);
    for (uint32_t i = 0; i < summary->gpu_count; i++)
        put_gpu(summary, i, levels - 1, &series, file);
}
