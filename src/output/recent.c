/* SPDX-License-Identifier: Apache-2.0 */
#include "output/recent.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sums.h"

#define LEAST_LEAD 0.05
#define FRESH_S 5u /* an older GPU sample says nothing about now */

/* ---- waits ---- */

/* Seconds of CLOCK_MONOTONIC: [begin, end) of the history, of which [from, end) is the run's, the
 * first of them perhaps in part: since from_s. */
struct span {
    uint64_t begin, end, from;
    double from_s;
};

static struct span span_of(uint64_t window_begin_ns, uint64_t now_ns)
{
    struct span span = {.end = now_ns / DS_NS_PER_S};
    span.begin = span.end > HISTORY_S ? span.end - HISTORY_S : 0;
    span.from = window_begin_ns == DATASTALL_UNKNOWN ? span.end : window_begin_ns / DS_NS_PER_S;
    span.from = span.from < span.begin ? span.begin : span.from > span.end ? span.end : span.from;
    span.from_s = (double)span.from;
    if (window_begin_ns != DATASTALL_UNKNOWN)
        span.from_s = fmin((double)span.end, fmax(span.from_s, (double)window_begin_ns * 1e-9));
    return span;
}

/* A wait counts in the second in which it ended, however long it was: what is more than a second
 * goes to the seconds before. */
static void spread(double seconds[HISTORY_S])
{
    for (uint32_t i = HISTORY_S; i-- > 0;) {
        if (seconds[i] <= 1.0)
            continue;
        if (i > 0)
            seconds[i - 1] += seconds[i] - 1.0;
        seconds[i] = 1.0;
    }
}

static void add_loader(const struct summary *summary, const struct summary_loader *loader,
                       const struct span *span, uint64_t now_ns, struct recent_waits *recent)
{
    const struct rf_totals *totals = &loader->data->totals;
    double stall[HISTORY_S] = {0};
    for (uint32_t i = 0; i < RF_TOTALS_SECONDS; i++) {
        const uint64_t *totals_of_it = totals->seconds[i];
        const uint64_t number = totals_of_it[RF_ROLLUP_NUMBER];
        if (number == 0 || number - 1 < span->begin || number - 1 >= span->end)
            continue;
        const uint64_t second = number - 1 + HISTORY_S - span->end;
        const struct stall of_it = rf_stall_of_second(totals_of_it + 1);
        stall[second] += (double)stall_most_ns(&of_it) * 1e-9;
        if (number - 1 + RECENT_S >= span->end) {
            recent->batches_per_s += (double)totals_of_it[RF_ROLLUP_OF(BATCHES)];
            recent->samples_per_s += (double)totals_of_it[RF_ROLLUP_OF(SAMPLES)];
            recent->tokens_per_s += (double)totals_of_it[RF_ROLLUP_OF(TOKENS)];
        }
    }
    spread(stall);
    /* The wait under way is in no total yet; no event tells of it either. */
    const bool runs = summary->processes[loader->process].state == SUMMARY_RUNNING;
    if (runs && loader->unfinished_wait_ns > DS_NS_PER_S) {
        const uint64_t since = (now_ns - loader->unfinished_wait_ns) / DS_NS_PER_S + 1;
        for (uint64_t s = since > span->begin ? since : span->begin; s < span->end; s++)
            stall[s + HISTORY_S - span->end] = 1.0;
    }
    for (uint32_t i = 0; i < HISTORY_S; i++)
        recent->stall[i] = fmin(1.0, recent->stall[i] + stall[i]);
}

static void finish_waits(const struct span *span, bool samples, bool tokens,
                         struct recent_waits *recent)
{
    const uint64_t since = span->end > RECENT_S ? span->end - RECENT_S : 0;
    const uint64_t from = span->from > since ? span->from : since;
    const double seconds = (double)span->end - fmax((double)from, span->from_s);
    recent->stall_share = 0;
    for (uint64_t s = from; s < span->end; s++)
        recent->stall_share += recent->stall[s + HISTORY_S - span->end] / seconds;
    recent->stall_share = fmin(1.0, recent->stall_share);
    for (uint64_t s = span->begin; s < span->from; s++)
        recent->stall[s + HISTORY_S - span->end] = NAN;
    for (uint64_t i = 0; i + span->end - span->begin < HISTORY_S; i++)
        recent->stall[i] = NAN;
    recent->batches_per_s /= seconds;
    recent->samples_per_s = samples ? recent->samples_per_s / seconds : NAN;
    recent->tokens_per_s = tokens ? recent->tokens_per_s / seconds : NAN;
    if (seconds <= 0)
        recent->stall_share = recent->batches_per_s = recent->samples_per_s = recent->tokens_per_s =
            NAN;
}

void recent_of_process(const struct summary *summary, uint32_t process, uint64_t now_ns,
                       struct recent_waits *recent)
{
    const struct span span = span_of(summary->processes[process].begin_ns, now_ns);
    bool samples = false, tokens = false;
    memset(recent, 0, sizeof *recent);
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        if (loader->process != process || !loader->in_verdict)
            continue;
        add_loader(summary, loader, &span, now_ns, recent);
        samples |= loader->figures.samples != DATASTALL_UNKNOWN;
        tokens |= loader->figures.tokens != DATASTALL_UNKNOWN;
    }
    finish_waits(&span, samples, tokens, recent);
}

void recent_of_loader(const struct summary *summary, const struct summary_loader *loader,
                      uint64_t now_ns, struct recent_waits *recent)
{
    const struct span span = span_of(loader->figures.window_begin_ns, now_ns);
    memset(recent, 0, sizeof *recent);
    add_loader(summary, loader, &span, now_ns, recent);
    finish_waits(&span, loader->figures.samples != DATASTALL_UNKNOWN,
                 loader->figures.tokens != DATASTALL_UNKNOWN, recent);
}

static void add_known(double *sum, double value)
{
    if (!isnan(value))
        *sum = isnan(*sum) ? value : *sum + value;
}

void recent_of_run(const struct summary *summary, uint64_t now_ns, struct recent_waits *recent)
{
    uint32_t known = 0;
    *recent = (struct recent_waits){
        .stall_share = NAN, .samples_per_s = NAN, .tokens_per_s = NAN, .batches_per_s = NAN};
    for (uint32_t s = 0; s < HISTORY_S; s++)
        recent->stall[s] = NAN;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        struct recent_waits one;
        if (summary->processes[i].state != SUMMARY_RUNNING)
            continue;
        recent_of_process(summary, i, now_ns, &one);
        add_known(&recent->stall_share, one.stall_share);
        add_known(&recent->batches_per_s, one.batches_per_s);
        add_known(&recent->samples_per_s, one.samples_per_s);
        add_known(&recent->tokens_per_s, one.tokens_per_s);
        known += !isnan(one.stall_share);
    }
    recent->stall_share /= known; /* NaN / 0 stays NaN */
}

/* ---- GPUs ---- */

/* Gives each second of the history the share that the samples over it tell. */
static void busy_history(const struct rf_gpu_view *gpu, const struct span *span,
                         double busy[HISTORY_S])
{
    double known[HISTORY_S] = {0}, sum[HISTORY_S] = {0};
    const uint64_t samples = gpu->words[RF_GPU_SAMPLES];
    const uint64_t kept = samples < gpu->layout.recent ? samples : gpu->layout.recent;
    for (uint64_t i = samples - kept; i < samples; i++) {
        const uint64_t *row = gpu->block + gpu->layout.ring_at +
                              (i & (gpu->layout.recent - 1)) * gpu->layout.sample_words;
        const uint64_t span_ns = rf_activity_span_ns(row[RF_GPU_SAMPLE_ACTIVITY]);
        const double end = (double)row[RF_GPU_SAMPLE_NS] * 1e-9 - (double)span->end + HISTORY_S;
        const double begin = end - (double)span_ns * 1e-9;
        if (row[RF_GPU_SAMPLE_SEQUENCE] != i + 1 || span_ns == 0)
            continue;
        for (double s = fmax(0.0, floor(begin)); s < end && s < HISTORY_S; s++) {
            const double part = fmin(end, s + 1) - fmax(begin, s);
            known[(int)s] += part;
            sum[(int)s] += part * rf_activity_share(row[RF_GPU_SAMPLE_ACTIVITY]);
        }
    }
    for (uint32_t s = 0; s < HISTORY_S; s++)
        busy[s] = known[s] > 0.05 ? fmin(1.0, sum[s] / known[s]) : NAN;
}

/* Where no stall of the device was told the history stays unknown. */
static void stall_history(const struct summary *summary, const struct summary_gpu *gpu,
                          const struct span *span, uint64_t now_ns, double stall[HISTORY_S])
{
    struct recent_waits waits = {.stall_share = 0};
    bool told = false;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        if (!loader->in_verdict || !summary_consumes(loader, gpu->data))
            continue;
        add_loader(summary, loader, span, now_ns, &waits);
        told = true;
    }
    for (uint32_t s = 0; s < HISTORY_S; s++)
        stall[s] = told && s + span->end - HISTORY_S >= span->from ? waits.stall[s] : NAN;
}

static double mean_of_last(const double *history)
{
    double sum = 0;
    uint32_t known = 0;
    for (uint32_t s = HISTORY_S - RECENT_S; s < HISTORY_S; s++) {
        sum += isnan(history[s]) ? 0 : history[s];
        known += !isnan(history[s]);
    }
    return known == 0 ? NAN : sum / known;
}

void recent_of_gpu(const struct summary *summary, uint32_t index, uint64_t now_ns,
                   struct recent_gpu *recent)
{
    const struct summary_gpu *gpu = &summary->gpus[index];
    const struct rf_gpu_view *data = gpu->data;
    const struct span span = span_of(summary->begin_ns, now_ns);
    const uint64_t samples = data->words[RF_GPU_SAMPLES];
    *recent = (struct recent_gpu){.memory_used_bytes = DATASTALL_UNKNOWN, .power_w = NAN};
    busy_history(data, &span, recent->busy);
    stall_history(summary, gpu, &span, now_ns, recent->stall);
    recent->busy_share = mean_of_last(recent->busy);
    recent->stall_share = mean_of_last(recent->stall);
    recent->other_share = NAN;
    recent->stall_is_bound = gpu->stall_is_bound;
    const bool exact = gpu->busy_source != NULL && strcmp(gpu->busy_source, "gpm") == 0;
    if (exact && gpu->processes > 1 && recent->busy_share + recent->stall_share > 1.0)
        recent->stall_share = 1.0 - recent->busy_share; /* there is no stall of a busy device */
    if (exact && !(gpu->processes > 1 && gpu->stall_is_bound))
        recent->other_share = 1.0 - recent->busy_share - recent->stall_share;
    if (recent->other_share < 0)
        recent->other_share = NAN; /* the two contradict each other */
    const uint64_t *row = data->block + data->layout.ring_at +
                          ((samples - 1) & (data->layout.recent - 1)) * data->layout.sample_words;
    if (samples == 0 || gpu->silent || row[RF_GPU_SAMPLE_NS] + FRESH_S * DS_NS_PER_S < now_ns)
        return;
    recent->memory_used_bytes = row[RF_GPU_SAMPLE_MEMORY_USED];
    if (row[RF_GPU_SAMPLE_POWER_MW] != RF_UNKNOWN)
        recent->power_w = (double)row[RF_GPU_SAMPLE_POWER_MW] * 1e-3;
}

/* ---- who is waited for ---- */

static int compare(const void *a, const void *b)
{
    const double one = *(const double *)a, other = *(const double *)b;
    return one < other ? -1 : one > other;
}

uint32_t recent_straggler(const double *shares, uint32_t count)
{
    double *known = malloc((count + 1) * sizeof *known);
    uint32_t n = 0, largest = UINT32_MAX;
    for (uint32_t i = 0; known != NULL && i < count; i++) {
        if (isnan(shares[i]))
            continue;
        known[n++] = shares[i];
        if (largest == UINT32_MAX || shares[i] > shares[largest])
            largest = i;
    }
    if (n < 2) {
        free(known);
        return UINT32_MAX;
    }
    qsort(known, n, sizeof *known, compare);
    const double median = known[(n - 1) / 2];
    free(known);
    return shares[largest] >= median + LEAST_LEAD ? largest : UINT32_MAX;
}
