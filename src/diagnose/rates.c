/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/rates.h"

#include "diagnose/parts.h"

/* The finest level that still has all of it. */
static uint32_t level_for(uint64_t seconds)
{
    uint32_t level = 0;
    while (level + 1 < RF_ROLLUP_LEVELS && seconds + 2 * run_history_width_s(level) >
                                               RF_ROLLUP_BUCKETS * run_history_width_s(level))
        level++;
    return level;
}

static void add_loader(const struct run_history *history, uint32_t level, uint64_t first,
                       struct rates *rates)
{
    for (uint32_t i = 0; i < rates->count; i++) {
        const struct run_span *span = run_history_span(history, level, first + i);
        if (span == NULL)
            continue;
        rates->batches_per_s[i] += (double)span->batches / (double)rates->width_s;
        rates->samples_per_s[i] += (double)span->samples / (double)rates->width_s;
    }
}

static void skip_start(struct rates *rates)
{
    uint32_t skipped = 0;
    while (skipped < rates->count && !(rates->batches_per_s[skipped] > 0))
        skipped++;
    rates->count -= skipped;
    memmove(rates->batches_per_s, rates->batches_per_s + skipped, rates->count * sizeof(double));
    memmove(rates->samples_per_s, rates->samples_per_s + skipped, rates->count * sizeof(double));
}

void rates_of(const struct summary *summary, struct rates *rates)
{
    const uint64_t whole_ns = summary_length_ns(summary);
    const uint32_t level = level_for(whole_ns / DS_NS_PER_S);
    const uint64_t width_ns = run_history_width_s(level) * DS_NS_PER_S;
    *rates = (struct rates){.width_s = run_history_width_s(level), .samples_known = true};
    const uint64_t spans = whole_ns / width_ns; /* the first and the last one are cut */
    rates->count = spans < 2 ? 0 : spans > RATES_MOST ? RATES_MOST : (uint32_t)spans - 1;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        const struct summary_process *process = &summary->processes[loader->process];
        if (!loader->in_verdict || loader->figures.batches == 0 || loader->data->history == NULL ||
            process->begin_ns == DATASTALL_UNKNOWN)
            continue;
        rates->samples_known &= loader->figures.samples_batches == loader->figures.batches;
        add_loader(loader->data->history, level,
                   summary_begin_of_machine(summary, process) / width_ns + 2, rates);
    }
    skip_start(rates);
}

/* In spans that are so many times as wide. */
static void widen(struct rates *rates, uint64_t times)
{
    const uint32_t count = (uint32_t)(rates->count / times);
    for (uint32_t i = 0; i < count; i++) {
        double batches = 0, samples = 0;
        for (uint64_t k = i * times; k < (i + 1) * times; k++) {
            batches += rates->batches_per_s[k];
            samples += rates->samples_per_s[k];
        }
        rates->batches_per_s[i] = batches / (double)times;
        rates->samples_per_s[i] = samples / (double)times;
    }
    rates->count = count;
    rates->width_s *= times;
}

void rates_add(struct rates *sum, const struct rates *other)
{
    struct rates own = *other;
    if (sum->width_s == 0) {
        *sum = own;
        return;
    }
    if (sum->width_s < own.width_s)
        widen(sum, own.width_s / sum->width_s);
    else if (own.width_s < sum->width_s)
        widen(&own, sum->width_s / own.width_s);
    sum->count = own.count < sum->count ? own.count : sum->count;
    sum->samples_known &= own.samples_known;
    for (uint32_t i = 0; i < sum->count; i++) {
        sum->batches_per_s[i] += own.batches_per_s[i];
        sum->samples_per_s[i] += own.samples_per_s[i];
    }
}
