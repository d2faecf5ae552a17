/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/series.h"

#include "diagnose/parts.h"

#define LEAST_OF_SPAN 0.25

static bool waited(const struct summary_process *process)
{
    return process->begin_ns != DATASTALL_UNKNOWN && process->end_ns >= process->begin_ns;
}

static uint64_t width_ns(uint32_t level)
{
    return run_history_width_s(level) * DS_NS_PER_S;
}

/* Spans that a run of this length touches, wherever in one it begins. */
static uint64_t spans_in(uint64_t length, uint32_t level)
{
    return length / width_ns(level) + 2;
}

uint32_t series_levels(const struct summary *summary)
{
    const uint64_t length = summary_length_ns(summary);
    uint32_t level = 0;
    if (length == 0)
        return 0;
    while (level + 1 < RF_ROLLUP_LEVELS && spans_in(length, level) > RF_ROLLUP_BUCKETS)
        level++;
    return level + 1;
}

/* Which spans of a level are asked for, by their place since the first wait of a machine. */
struct part {
    uint32_t level, count;
    uint64_t first;
};

static struct part part_of(const struct summary *summary, uint32_t level)
{
    const uint64_t length = summary_length_ns(summary);
    const uint64_t spans = spans_in(length, level);
    struct part part = {.level = level, .count = spans < SERIES_MOST ? spans : SERIES_MOST};
    part.first = spans - part.count;
    return part;
}

/* The number of a part's first span on a clock that was at begin_ns when its machine's first wait began. */
static uint64_t number_of(const struct part *part, uint64_t begin_ns)
{
    return begin_ns / width_ns(part->level) + 1 + part->first;
}

uint64_t series_first_number(const struct summary *summary, uint32_t process, uint32_t level)
{
    const struct part part = part_of(summary, level);
    return number_of(&part, summary_begin_of_machine(summary, &summary->processes[process]));
}

/* ---- waits ---- */

/* Seconds of each span. */
struct span_sums {
    double stall[SERIES_MOST], covered[SERIES_MOST], most_covered[SERIES_MOST];
    double batches[SERIES_MOST], samples[SERIES_MOST], tokens[SERIES_MOST];
    double waiting[SERIES_MOST], longest[SERIES_MOST];
};

/* A wait counts in the span in which it ended, however long it was: what is more than there was of the
 * span goes to the ones before. */
static void spread(const struct part *part, const double covered[], double stall[])
{
    for (uint32_t i = part->count; i-- > 0;) {
        if (stall[i] <= covered[i])
            continue;
        if (i > 0)
            stall[i - 1] += stall[i] - covered[i];
        stall[i] = covered[i];
    }
}

static void add_loader(const struct summary_loader *loader, const struct part *part, uint64_t first,
                       double stall[SERIES_MOST], struct span_sums *sums)
{
    for (uint32_t i = 0; i < part->count; i++) {
        const struct run_span *span =
            run_history_span(loader->data->history, part->level, first + i);
        if (span == NULL)
            continue;
        const double waiting = (double)span->stall.waiting_ns * 1e-9;
        stall[i] += (double)stall_most_ns(&span->stall) * 1e-9;
        sums->batches[i] += (double)span->batches;
        sums->samples[i] += (double)span->samples;
        sums->tokens[i] += (double)span->tokens;
        sums->waiting[i] += waiting;
        sums->longest[i] = fmax(sums->longest[i], (double)span->longest_ns * 1e-9);
    }
}

/* How much of each span lies in the window of a process: the second that was under way last is in the
 * finest spans only. */
static void cover(const struct summary_process *process, const struct part *part, uint64_t first,
                  double covered[SERIES_MOST])
{
    const uint64_t end_ns =
        part->level == 0 ? process->end_ns : process->end_ns / DS_NS_PER_S * DS_NS_PER_S;
    for (uint32_t i = 0; i < part->count; i++) {
        const uint64_t begin = (first + i - 1) * width_ns(part->level);
        const uint64_t end = begin + width_ns(part->level);
        covered[i] = (double)cause_overlap(begin, end, process->begin_ns, end_ns) * 1e-9;
    }
}

static void add_process(const struct summary *summary, uint32_t index, const struct part *part,
                        struct span_sums *sums)
{
    const struct summary_process *process = &summary->processes[index];
    double stall[SERIES_MOST] = {0}, covered[SERIES_MOST] = {0};
    if (!waited(process))
        return;
    const uint64_t first = number_of(part, summary_begin_of_machine(summary, process));
    cover(process, part, first, covered);
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        if (loader->process == index && loader->in_verdict && loader->data->history != NULL)
            add_loader(loader, part, first, stall, sums);
    }
    spread(part, covered, stall);
    for (uint32_t i = 0; i < part->count; i++) {
        sums->stall[i] += stall[i];
        sums->covered[i] += covered[i];
        sums->most_covered[i] = fmax(sums->most_covered[i], covered[i]);
    }
}

void series_of_process(const struct summary *summary, uint32_t process, uint32_t level,
                       double stall[SERIES_MOST])
{
    const struct part part = part_of(summary, level);
    struct span_sums sums = {.stall = {0}};
    add_process(summary, process, &part, &sums);
    for (uint32_t i = 0; i < part.count; i++)
        stall[i] = sums.covered[i] > 0 ? sums.stall[i] / sums.covered[i] : NAN;
}

/* ---- devices ---- */

/* The words of a device's span; NULL: it has none. */
static const uint64_t *gpu_span(const struct rf_gpu_view *gpu, uint32_t level, uint64_t number)
{
    const struct rf_gpu_layout *layout = &gpu->layout;
    if (gpu->block == NULL || level >= layout->rollup_levels || layout->rollup_buckets == 0 ||
        layout->rollup_words < RF_GPU_ROLLUP_WORDS)
        return NULL;
    const uint64_t place = level * layout->rollup_buckets + number % layout->rollup_buckets;
    const uint64_t *words = gpu->block + layout->rollup_at + place * layout->rollup_words;
    return words[RF_GPU_ROLLUP_NUMBER] == number ? words : NULL;
}

static double busy_of(const uint64_t *span)
{
    if (span[RF_GPU_ROLLUP_ACTIVITY_NS] > 0)
        return fmin(1.0,
                    (double)span[RF_GPU_ROLLUP_BUSY_NS] / (double)span[RF_GPU_ROLLUP_ACTIVITY_NS]);
    return span[RF_GPU_ROLLUP_BUSY_COUNT] == 0 ? NAN
                                               : (double)span[RF_GPU_ROLLUP_BUSY_PERCENT_SUM] *
                                                     0.01 / (double)span[RF_GPU_ROLLUP_BUSY_COUNT];
}

static double power_of(const uint64_t *span)
{
    return span[RF_GPU_ROLLUP_POWER_COUNT] == 0 ? NAN
                                                : (double)span[RF_GPU_ROLLUP_POWER_MW_SUM] * 1e-3 /
                                                      (double)span[RF_GPU_ROLLUP_POWER_COUNT];
}

static double memory_of(const uint64_t *span)
{
    return span[RF_GPU_ROLLUP_MEMORY_USED_MAX] == 0 ? NAN
                                                    : (double)span[RF_GPU_ROLLUP_MEMORY_USED_MAX];
}

void series_of_gpu(const struct summary *summary, uint32_t gpu, uint32_t level,
                   double busy[SERIES_MOST], double *memory_bytes, double *power_w)
{
    const struct part part = part_of(summary, level);
    const uint64_t first = number_of(&part, summary->begin_ns);
    for (uint32_t i = 0; i < part.count; i++) {
        const uint64_t *span = gpu_span(summary->gpus[gpu].data, level, first + i);
        busy[i] = span == NULL ? NAN : busy_of(span);
        if (memory_bytes != NULL)
            memory_bytes[i] = span == NULL ? NAN : memory_of(span);
        if (power_w != NULL)
            power_w[i] = span == NULL ? NAN : power_of(span);
    }
}

static void add_to(double *sum, double value)
{
    if (!isnan(value))
        *sum = isnan(*sum) ? value : *sum + value;
}

static void add_gpus(const struct summary *summary, const struct part *part, uint32_t i,
                     struct series *series)
{
    const uint64_t number = number_of(part, summary->begin_ns) + i;
    double busy = NAN, known = 0;
    for (uint32_t g = 0; g < summary->gpu_count; g++) {
        const uint64_t *span = gpu_span(summary->gpus[g].data, part->level, number);
        if (span == NULL)
            continue;
        const double share = busy_of(span);
        add_to(&busy, share);
        known += !isnan(share);
        add_to(&series->power_w[i], power_of(span));
        series->memory_bytes[i] = fmax(series->memory_bytes[i], memory_of(span)); /* not NaN */
    }
    series->busy[i] = busy / known; /* NaN / 0 stays NaN */
}

/* All that is counted is exact, and nothing of the waiting is a guess. */
static bool is_exact(const struct summary *summary)
{
    bool exact = summary->gpu_count > 0 && summary->method == SUMMARY_METHOD_GPU_EVENTS &&
                 !summary->upper_bound;
    for (uint32_t g = 0; g < summary->gpu_count; g++)
        exact = exact && summary_activity_is_exact(summary->gpus[g].data);
    return exact;
}

/* ---- all together ---- */

static void finish_span(const struct span_sums *sums, uint32_t i, bool exact, struct series *series)
{
    /* Of a span that the run only touches too little is known. */
    const double seconds = sums->most_covered[i] >= LEAST_OF_SPAN * (double)series->width_s
                               ? sums->most_covered[i]
                               : NAN;
    series->stall[i] = isnan(seconds) ? NAN : sums->stall[i] / sums->covered[i];
    series->batches_per_s[i] = sums->batches[i] / seconds;
    series->samples_per_s[i] = sums->samples[i] / seconds;
    series->tokens_per_s[i] = sums->tokens[i] / seconds;
    series->wait_mean_ms[i] =
        sums->batches[i] > 0 ? sums->waiting[i] * 1e3 / sums->batches[i] : NAN;
    series->wait_max_ms[i] = sums->batches[i] > 0 ? sums->longest[i] * 1e3 : NAN;
    const double other = 1.0 - series->busy[i] - series->stall[i];
    series->other[i] = !exact || other < -SUM_TOLERANCE ? NAN : fmax(0.0, other);
}

void series_of(const struct summary *summary, uint32_t level, struct series *series)
{
    const struct part part = part_of(summary, level);
    const bool exact = is_exact(summary);
    struct span_sums sums = {.stall = {0}};
    *series = (struct series){.width_s = run_history_width_s(level), .count = part.count};
    for (uint32_t i = 0; i < summary->process_count; i++)
        add_process(summary, i, &part, &sums);
    const uint64_t since = summary->begin_ns % width_ns(level);
    for (uint32_t i = 0; i < part.count; i++) {
        series->begin_s[i] = (double)((part.first + i) * series->width_s) - (double)since * 1e-9;
        series->power_w[i] = series->memory_bytes[i] = NAN;
        add_gpus(summary, &part, i, series);
        finish_span(&sums, i, exact, series);
    }
}
