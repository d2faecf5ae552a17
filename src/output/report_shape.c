/* SPDX-License-Identifier: Apache-2.0 */
/* The data of a report: the summary as `show --json` has it, cut to a size, and beside it what a run's
 * files hold over time. web/report.js shows it, and what it does not know as plain tables. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/moments.h"
#include "diagnose/series.h"
#include "diagnose/throughput.h"
#include "output/put.h"
#include "output/report.h"
#include "output/shape.h"
#include "output/trim.h"

#define BINS_PER_OCTAVE 4u
#define MOST_SETTINGS 48u
#define MOST_EVIDENCE 8u

/* ---- the summary, cut ---- */

static int by_waiting(const void *a, const void *b)
{
    const struct summary_loader *one = a, *other = b;
    if (one->stall.waiting_ns != other->stall.waiting_ns)
        return one->stall.waiting_ns < other->stall.waiting_ns ? 1 : -1;
    return one->data < other->data ? -1 : one->data > other->data;
}

/* With its loaders in the order of what they waited. */
static void put_summary(const struct summary *summary, const struct report_size *size, out e)
{
    const struct trim_rule rules[] = {
        {"loaders", size->loaders},  {"processes", size->ranks / 8}, {"gpus", size->gpus},
        {"stages", size->ranks / 4}, {"workers", size->workers},     {"slowest_items", 4},
        {"settings", MOST_SETTINGS}, {"evidence", MOST_EVIDENCE},    {NULL, 0},
    };
    struct trim trim;
    const struct emitter cut = trim_emitter(&trim, e, rules);
    struct summary sorted = *summary;
    sorted.loaders = malloc((summary->loader_count + 1) * sizeof *sorted.loaders);
    if (sorted.loaders != NULL) {
        memcpy(sorted.loaders, summary->loaders, summary->loader_count * sizeof *sorted.loaders);
        qsort(sorted.loaders, sorted.loader_count, sizeof *sorted.loaders, by_waiting);
        if (sorted.loader_count > size->loaders)
            sorted.loader_count = size->loaders; /* the others are not made, to be left out */
    }
    const struct summary *shown = sorted.loaders != NULL ? &sorted : summary;
    output_shape_in(shown, "summary", &cut);
    free(sorted.loaders);
}

static void put_counts(const struct summary *summary, out e)
{
    e->open_object(e->context, "counts");
    put_integer(e, "loaders", summary->loader_count);
    put_integer(e, "processes", summary->process_count);
    put_integer(e, "gpus", summary->gpu_count);
    put_integer(e, "stages", summary->stage_count);
    e->close(e->context);
}

/* ---- over time ---- */

/* Four figures are enough for a picture. */
static double round_off(double value)
{
    if (!isfinite(value) || value == 0)
        return value;
    const double scale = pow(10.0, 3 - floor(log10(fabs(value))));
    return round(value * scale) / scale;
}

static void put_reals(out e, const char *key, const double *values, uint32_t count)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++)
        any |= isfinite(values[i]);
    e->open_array(e->context, key);
    for (uint32_t i = 0; any && i < count; i++) /* empty: nothing of it is known */
        put_real(e, NULL, round_off(values[i]));
    e->close(e->context);
}

static void put_level(const struct series *series, bool samples, bool tokens, out e)
{
    e->open_object(e->context, NULL);
    put_integer(e, "span_s", series->width_s);
    e->open_array(e->context, "begin_s");
    for (uint32_t i = 0; i < series->count; i++)
        put_real(e, NULL, round(series->begin_s[i] * 100) / 100);
    e->close(e->context);
    put_reals(e, "stall", series->stall, series->count);
    put_reals(e, "busy", series->busy, series->count);
    put_reals(e, "other", series->other, series->count);
    put_reals(e, "batches_per_s", series->batches_per_s, series->count);
    put_reals(e, "samples_per_s", series->samples_per_s, samples ? series->count : 0);
    put_reals(e, "tokens_per_s", series->tokens_per_s, tokens ? series->count : 0);
    put_reals(e, "wait_mean_ms", series->wait_mean_ms, series->count);
    put_reals(e, "wait_max_ms", series->wait_max_ms, series->count);
    put_reals(e, "power_w", series->power_w, series->count);
    put_reals(e, "memory_bytes", series->memory_bytes, series->count);
    e->close(e->context);
}

static void put_over_time(const struct summary *summary, out e)
{
    const uint32_t levels = series_levels(summary);
    struct series *series = malloc(sizeof *series);
    bool samples = false, tokens = false;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        samples |= summary->loaders[i].figures.samples != DATASTALL_UNKNOWN;
        tokens |= summary->loaders[i].figures.tokens != DATASTALL_UNKNOWN;
    }
    e->open_array(e->context, "over_time");
    for (uint32_t level = 0; level < levels && series != NULL; level++) {
        series_of(summary, level, series);
        put_level(series, samples, tokens, e);
    }
    e->close(e->context);
    free(series);
}

/* ---- ranks and devices: a row of colours each ---- */

static void put_shares(out e, const double *shares, uint32_t count)
{
    e->open_array(e->context, "percent");
    for (uint32_t i = 0; i < count; i++)
        put_integer(e, NULL,
                    isnan(shares[i]) ? DATASTALL_UNKNOWN
                                     : (uint64_t)(fmin(1.0, shares[i]) * 100 + 0.5));
    e->close(e->context);
}

/* What a process got through, and the loader of it that waited the longest. */
static const struct summary_loader *loader_of(const struct summary *summary, uint32_t process,
                                              double *samples_per_s)
{
    const struct summary_loader *longest = NULL;
    *samples_per_s = NAN;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        if (loader->process != process || !loader->in_verdict)
            continue;
        if (longest == NULL || loader->stall.waiting_ns > longest->stall.waiting_ns)
            longest = loader;
        if (isfinite(loader->figures.samples_per_s))
            *samples_per_s =
                (isnan(*samples_per_s) ? 0 : *samples_per_s) + loader->figures.samples_per_s;
    }
    return longest;
}

static void put_rank(const struct summary *summary, uint32_t index, uint32_t level, uint32_t count,
                     out e)
{
    const struct summary_process *process = &summary->processes[index];
    double stall[SERIES_MOST], samples_per_s;
    const struct summary_loader *loader = loader_of(summary, index, &samples_per_s);
    e->open_object(e->context, NULL);
    put_integer(e, "rank", summary_rank(process));
    put_integer(e, "pid", process->data->view.fixed.pid);
    put_string(e, "hostname", process->data->view.fixed.hostname);
    put_string(e, "state", summary_state_name(process->state));
    put_real(e, "stall_share", process->stall_share);
    e->boolean(e->context, "upper_bound", process->upper_bound);
    put_real(e, "samples_per_s", round_off(samples_per_s));
    put_string(e, "cause", loader == NULL ? NULL : why_name(loader->why.primary));
    series_of_process(summary, index, level, stall);
    put_shares(e, stall, count);
    e->close(e->context);
}

static int by_share(const void *a, const void *b)
{
    const struct summary_process *one = *(const struct summary_process *const *)a;
    const struct summary_process *other = *(const struct summary_process *const *)b;
    const double x = isnan(one->stall_share) ? -1 : one->stall_share;
    const double y = isnan(other->stall_share) ? -1 : other->stall_share;
    return x < y ? 1 : x > y ? -1 : one < other ? -1 : one > other;
}

static int by_place(const void *a, const void *b)
{
    const struct summary_process *one = *(const struct summary_process *const *)a;
    const struct summary_process *other = *(const struct summary_process *const *)b;
    return one < other ? -1 : one > other;
}

/* Those that stalled most, in the order of their ranks. */
static void put_ranks(const struct summary *summary, const struct report_size *size, uint32_t level,
                      uint32_t count, out e)
{
    const uint32_t all = summary->process_count;
    const struct summary_process **chosen = malloc((all + 1) * sizeof(void *));
    const uint32_t shown = all < size->ranks ? all : size->ranks;
    e->open_array(e->context, "ranks");
    for (uint32_t i = 0; i < all && chosen != NULL; i++)
        chosen[i] = &summary->processes[i];
    if (chosen != NULL && all > 0) {
        qsort(chosen, all, sizeof(void *), by_share);
        qsort(chosen, shown, sizeof(void *), by_place);
    }
    for (uint32_t i = 0; i < shown && chosen != NULL; i++)
        put_rank(summary, (uint32_t)(chosen[i] - summary->processes), level, count, e);
    e->close(e->context);
    free(chosen);
}

static void put_gpus(const struct summary *summary, const struct report_size *size, uint32_t level,
                     uint32_t count, out e)
{
    double busy[SERIES_MOST];
    e->open_array(e->context, "gpus");
    for (uint32_t i = 0; i < summary->gpu_count && i < size->gpus; i++) {
        e->open_object(e->context, NULL);
        put_integer(e, "index", summary->gpus[i].data->fixed.index);
        put_string(e, "name", summary->gpus[i].data->fixed.name);
        series_of_gpu(summary, i, level, busy, NULL, NULL);
        put_shares(e, busy, count);
        e->close(e->context);
    }
    e->close(e->context);
}

/* In the spans of the coarsest level of over_time. */
static void put_rows(const struct summary *summary, const struct report_size *size, out e)
{
    const uint32_t levels = series_levels(summary);
    struct series *series = levels == 0 ? NULL : malloc(sizeof *series);
    e->open_object(e->context, "rows");
    if (series != NULL) {
        series_of(summary, levels - 1, series);
        put_integer(e, "span_s", series->width_s);
        put_real(e, "begin_s", series->begin_s[0]);
        put_ranks(summary, size, levels - 1, series->count, e);
        put_gpus(summary, size, levels - 1, series->count, e);
    }
    e->close(e->context);
    free(series);
}

/* ---- loaders of one name ---- */

struct group {
    const struct summary_loader *worst; /* that waited the longest */
    uint32_t loaders;
    uint64_t waiting_ns;
};

static bool are_alike(const struct summary_loader *one, const struct summary_loader *other)
{
    return strcmp(one->data->entry.name, other->data->entry.name) == 0 &&
           strcmp(one->data->entry.dataset_type, other->data->entry.dataset_type) == 0;
}

static int by_group(const void *a, const void *b)
{
    const struct group *one = a, *other = b;
    if (one->waiting_ns != other->waiting_ns)
        return one->waiting_ns < other->waiting_ns ? 1 : -1;
    return one->worst < other->worst ? -1 : one->worst > other->worst;
}

static uint32_t make_groups(const struct summary *s, struct group *groups)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->loader_count; i++) {
        const struct summary_loader *loader = &s->loaders[i];
        uint32_t k = 0;
        while (k < count && !are_alike(groups[k].worst, loader))
            k++;
        if (k == count)
            groups[count++] = (struct group){.worst = loader};
        if (loader->stall.waiting_ns > groups[k].worst->stall.waiting_ns)
            groups[k].worst = loader;
        groups[k].loaders++;
        groups[k].waiting_ns += loader->stall.waiting_ns;
    }
    qsort(groups, count, sizeof *groups, by_group);
    return count;
}

/* [low_ms, high_ms, count] of what there is. */
static void put_bins(const uint64_t *buckets, const char *key, out e)
{
    const uint32_t step = HISTOGRAM_SUB_BUCKETS / BINS_PER_OCTAVE;
    e->open_array(e->context, key);
    for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b += step) {
        uint64_t sum = 0;
        for (uint32_t i = b; i < b + step; i++)
            sum += buckets[i];
        if (sum == 0)
            continue;
        e->open_array(e->context, NULL);
        put_real(e, NULL, (double)histogram_bucket_low(b) * 1e-6);
        put_real(e, NULL, (double)histogram_bucket_high(b + step - 1) * 1e-6);
        put_integer(e, NULL, sum);
        e->close(e->context);
    }
    e->close(e->context);
}

static void put_waits(const struct summary *s, const struct group *group, out e)
{
    uint64_t *sums = calloc(2 * (size_t)HISTOGRAM_BUCKETS, sizeof *sums);
    for (uint32_t i = 0; i < s->loader_count && sums != NULL; i++) {
        if (!are_alike(group->worst, &s->loaders[i]))
            continue;
        for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
            sums[b] += s->loaders[i].data->totals.steady[b];
            sums[HISTOGRAM_BUCKETS + b] += s->loaders[i].data->totals.startup[b];
        }
    }
    if (sums != NULL) {
        put_bins(sums, "steady", e);
        put_bins(sums + HISTOGRAM_BUCKETS, "startup", e);
    }
    free(sums);
}

static double ms(double ns)
{
    return round_off(ns * 1e-6);
}

static void put_moment(const struct moment *moment, out e)
{
    e->open_object(e->context, NULL);
    put_real(e, "at_s", round(moment->at_ns * 1e-7) / 100);
    put_integer(e, "waits", moment->waits);
    put_real(e, "p50_ms", ms(moment->wait_p50_ns));
    put_real(e, "p95_ms", ms(moment->wait_p95_ns));
    put_real(e, "max_ms", ms(moment->wait_max_ns));
    put_real(e, "ready", round_off(moment->ready_mean));
    e->open_array(e->context, "causes");
    for (uint32_t c = 0; c < CAUSE_STATES; c++)
        put_real(e, NULL, round_off(moment->causes[c]));
    e->close(e->context);
    e->close(e->context);
}

/* [batch, worker, begun, items, made, asked, got]: milliseconds from the begin of the wait. */
static void put_slow(const struct moment_slow *slow, out e)
{
    e->open_object(e->context, NULL);
    put_real(e, "at_s", round(slow->at_ns * 1e-7) / 100);
    put_real(e, "wait_ms", ms(slow->wait_ns));
    put_integer(e, "batch", slow->batch);
    e->open_array(e->context, "batches");
    for (uint32_t i = 0; i < slow->count; i++) {
        const struct moment_batch *batch = &slow->batches[i];
        const double times[] = {batch->begun_ns, batch->items_ns, batch->made_ns, batch->asked_ns,
                                batch->got_ns};
        e->open_array(e->context, NULL);
        put_integer(e, NULL, batch->batch);
        put_integer(e, NULL, batch->worker == UINT32_MAX ? DATASTALL_UNKNOWN : batch->worker);
        for (size_t t = 0; t < sizeof times / sizeof *times; t++)
            put_real(e, NULL, ms(times[t]));
        e->close(e->context);
    }
    e->close(e->context);
    e->close(e->context);
}

static void put_moments(const struct summary *s, const struct group *group, out e)
{
    struct moments *moments = malloc(sizeof *moments);
    const bool known = moments != NULL && moments_of(s, group->worst, moments);
    put_real(e, "possible", known ? moments->possible : NAN);
    e->open_array(e->context, "moments");
    for (uint32_t i = 0; known && i < moments->count; i++)
        put_moment(&moments->of[i], e);
    e->close(e->context);
    e->open_array(e->context, "slow");
    for (uint32_t i = 0; known && i < moments->slow_count; i++)
        put_slow(&moments->slow[i], e);
    e->close(e->context);
    free(moments);
}

static void put_groups(const struct summary *s, const struct report_size *size, out e)
{
    struct group *groups = calloc(s->loader_count + 1, sizeof *groups);
    const uint32_t count = groups == NULL ? 0 : make_groups(s, groups);
    e->open_array(e->context, "groups");
    for (uint32_t i = 0; i < count && i < size->groups; i++) {
        const struct summary_process *process = &s->processes[groups[i].worst->process];
        e->open_object(e->context, NULL);
        put_string(e, "name", groups[i].worst->data->entry.name);
        put_integer(e, "loaders", groups[i].loaders);
        put_integer(e, "rank", summary_rank(process));
        put_integer(e, "pid", process->data->view.fixed.pid);
        put_waits(s, &groups[i], e);
        put_moments(s, &groups[i], e);
        e->close(e->context);
    }
    e->close(e->context);
    free(groups);
}

void report_run_shape(const struct summary *summary, const struct report_size *size,
                      const char *key, out e)
{
    const struct throughput throughput = throughput_of(summary);
    char text[64];
    e->open_object(e->context, key);
    put_summary(summary, size, e);
    put_counts(summary, e);
    throughput_text(&throughput, text, sizeof text);
    put_string(e, "throughput_text", text);
    put_over_time(summary, e);
    put_rows(summary, size, e);
    put_groups(summary, size, e);
    e->open_array(e->context, "cause_names");
    for (uint32_t c = 0; c < CAUSE_STATES; c++)
        put_string(e, NULL, why_name(c));
    e->close(e->context);
    e->close(e->context);
}
