/* What other settings would give, for the advice that a loader gets.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "diagnose/parts.h"
#include "diagnose/predict.h"

/* Of a gain that is surely one: it is worth an edit. */
#define LEAST_LIKELY 1.08

#define LEAST_MOST 8u
#define MOST_WORKERS 16u /* that are looked at where nobody asks for more */

struct predict_options predict_usual(const struct run_loader *loader, const struct why *why)
{
    const uint64_t workers = why_workers_of(loader);
    const double own = workers == DATASTALL_UNKNOWN ? 0 : 2.0 * (double)workers;
    const double cpus = isnan(why->host.cpus_usable) ? 2 : why->host.cpus_usable;
    return (struct predict_options){
        .workers_from = why_starts_by_init(loader, &why->work),
        .workers_to = (uint32_t)fmin(MOST_WORKERS, fmax(LEAST_MOST, fmax(2 * cpus, own))),
        .cpus = NAN};
}

/* A process that only waited on a GPU machine, whose GPUs did nothing, has no hidden waits. */
bool summary_may_hide_waits(const struct summary *summary, const struct summary_process *process)
{
    if (process->method == SUMMARY_METHOD_HOST_EXACT)
        return false;
    bool idle = summary->gpu_count > 0;
    for (uint32_t i = 0; i < summary->gpu_count; i++)
        idle = idle && summary->gpus[i].busy_share <= EXACT_WITHIN &&
               summary_activity_is_exact(summary->gpus[i].data);
    return !idle;
}

/* Of all the time that the loader is iterated. What comes after the last batch of an iterator that did not
 * end is not replayed, and takes as long with any setting. */
static struct range gain_of(const struct predict *predict, const struct why *why,
                            const struct range *window_s)
{
    const double after_s = fmax(0, (double)why->active_ns * 1e-9 - predict->measured.window_s.mean);
    const double now_s = predict->measured.window_s.mean + after_s;
    return (struct range){now_s / (window_s->mean + after_s), now_s / (window_s->upper + after_s),
                          now_s / (window_s->lower + after_s)};
}

static bool is_worth_it(const struct range *faster)
{
    return faster->lower >= PREDICT_SURE && faster->mean >= LEAST_LIKELY;
}

static void take_setting(const struct predict *predict, const struct predict_setting *one,
                         struct why *why)
{
    struct why_setting *setting = &why->setting;
    const struct predict_setting *own = &predict->measured;
    const struct range gain = gain_of(predict, why, &one->window_s);
    if (one->num_workers == 0 && own->num_workers > 0 && !one->if_split) {
        setting->faster_in_loop = gain;
        setting->in_loop_ns = one->window_s.mean * one->stall_share.mean * 1e9;
    }
    if (one->num_workers == own->num_workers &&
        one->prefetch_factor == own->prefetch_factor * RF_REPLAY_FACTOR)
        setting->faster_window = gain;
    if (one->persistent_workers && !own->persistent_workers)
        setting->faster_kept = gain;
}

/* The part that the cause is of; PREDICT_PARTS: none. */
static enum predict_part part_of(uint32_t cause)
{
    switch (cause) {
    case CAUSE_COMPUTE:
    case CAUSE_COMPUTE_IN_THREADS:
        return PREDICT_HALF_COMPUTE;
    case CAUSE_BLOCKED:
    case WHY_STORAGE:
        return PREDICT_NO_BLOCKING;
    case CAUSE_COLLATE:
        return PREDICT_NO_COLLATION;
    case CAUSE_STARTUP:
    case WHY_EPOCH_START:
        return PREDICT_NO_STARTUP;
    case WHY_HEAD_OF_LINE:
        return PREDICT_NO_ORDER;
    case CAUSE_CPU_CONTENTION:
    case CAUSE_LOOP_CPU_WAIT:
        return PREDICT_MORE_CPUS;
    case CAUSE_TRANSFER:
        return PREDICT_NO_HANDOVER;
    default:
        return PREDICT_PARTS;
    }
}

static void take_less(const struct predict *predict, struct why *why)
{
    struct why_setting *setting = &why->setting;
    for (uint32_t i = 0; i < predict->without_count; i++) {
        const enum predict_part part = predict->without[i].part;
        const struct range gain = gain_of(predict, why, &predict->without[i].window_s);
        if ((part != PREDICT_HALF_COMPUTE && part != PREDICT_NO_COLLATION) ||
            gain.mean <= setting->less.mean)
            continue;
        setting->less = gain;
        setting->less_is_collation = part == PREDICT_NO_COLLATION;
    }
}

/* Over what the means say stands what the replay says. */
static void take_predicted(const struct predict *predict, struct why *why)
{
    const uint32_t cause = why->primary;
    struct why_setting *setting = &why->setting;
    setting->is_replayed = true;
    setting->workers = 0;
    setting->gain = NAN;
    for (uint32_t i = 0; i < predict->count; i++)
        take_setting(predict, &predict->settings[i], why);
    for (uint32_t i = 0; i < predict->without_count; i++) {
        if (predict->without[i].part == part_of(cause))
            setting->at_most = gain_of(predict, why, &predict->without[i].window_s);
    }
    if (cause == CAUSE_CPU_CONTENTION || cause == CAUSE_LOOP_CPU_WAIT)
        take_less(predict, why);
    if (predict->best_if_split == UINT32_MAX)
        return;
    /* The advice says "once the stream is split". */
    const struct predict_setting *best = &predict->settings[predict->best_if_split];
    const struct range gain = gain_of(predict, why, &best->window_s);
    if (best->num_workers > predict->measured.num_workers && is_worth_it(&gain)) {
        setting->workers = best->num_workers;
        setting->faster = gain;
        setting->gain = 1 - 1 / gain.mean;
    }
}

void summary_predict(struct summary *summary)
{
    uint32_t made = 0;
    for (uint32_t i = 0; i < summary->loader_count && made < SUMMARY_PREDICTED; i++) {
        struct summary_loader *loader = &summary->loaders[i];
        const struct summary_process *process = &summary->processes[loader->process];
        if (!loader->in_verdict || loader->why.primary == WHY_NONE ||
            loader->why.primary == WHY_FAILED || process->data->stretches_count == 0)
            continue;
        const struct predict_options usual = predict_usual(loader->data, &loader->why);
        loader->predict = predict_make(process->data, loader->data, &loader->why,
                                       summary_may_hide_waits(summary, process), &usual);
        made++;
        if (loader->predict != NULL && loader->predict->says[0] == '\0')
            take_predicted(loader->predict, &loader->why);
    }
}
