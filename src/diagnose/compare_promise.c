/* What the first run promised of the setting that the second one has.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/compare.h"
#include "diagnose/parts.h"
#include "diagnose/predict.h"

#define MOST_WORKERS 64u      /* as `predict` tells */
#define LEAST_CPUS_CHANGE 0.5 /* on fewer CPUs, or more, it is another question */

/* NULL: out of memory. Where the start of the only epoch is no small part of a short run, nobody wants
 * to know of it: what was promised is the pace. */
static struct predict *predict_of(const struct summary *run, const struct summary_loader *loader,
                                  uint32_t workers, uint32_t prefetch)
{
    const struct summary_process *process = &run->processes[loader->process];
    const struct predict_options options = {.workers_from = workers,
                                            .workers_to = workers,
                                            .prefetch_from = prefetch,
                                            .prefetch_to = prefetch,
                                            .cpus = NAN,
                                            .goes_on = true};
    return predict_make(process->data, loader->data, &loader->why,
                        summary_may_hide_waits(run, process), &options);
}

static struct compared_setting setting_of(const struct summary_loader *loader)
{
    const uint64_t workers = why_workers_of(loader->data);
    struct compared_setting setting = {.num_workers = UINT32_MAX};
    if (workers > MOST_WORKERS || loader->data->entry.prefetch_factor > UINT32_MAX)
        return setting;
    setting.num_workers = (uint32_t)workers;
    if (workers > 0) {
        setting.prefetch_factor = (uint32_t)loader->data->entry.prefetch_factor;
        setting.persistent_workers =
            why_loader_is(loader->data, DATASTALL_LOADER_PERSISTENT_WORKERS);
    }
    return setting;
}

static bool is_setting(const struct predict_setting *one, const struct compared_setting *wanted)
{
    return one->num_workers == wanted->num_workers &&
           one->prefetch_factor == wanted->prefetch_factor &&
           one->persistent_workers == wanted->persistent_workers && !one->if_split;
}

static bool same_settings(const struct compared_setting *a, const struct compared_setting *b)
{
    return a->num_workers == b->num_workers && a->prefetch_factor == b->prefetch_factor &&
           a->persistent_workers == b->persistent_workers;
}

/* Whether the setting is all that differs, as far as it is recorded. */
static bool only_the_setting_differs(const struct summary_loader *one,
                                     const struct summary_loader *other)
{
    const struct rf_loader_entry *a = &one->data->entry, *b = &other->data->entry;
    const double cpus = fabs(one->why.host.cpus_usable - other->why.host.cpus_usable);
    return a->batch_size == b->batch_size && strcmp(a->dataset_type, b->dataset_type) == 0 &&
           why_loader_is(one->data, DATASTALL_LOADER_PIN_MEMORY) ==
               why_loader_is(other->data, DATASTALL_LOADER_PIN_MEMORY) &&
           !(cpus >= LEAST_CPUS_CHANGE);
}

/* Samples a second of the second run's loader, as the first run's were measured; NaN unknown. */
static double measured(const struct summary *run, const struct summary_loader *loader,
                       const struct compared_setting *setting)
{
    struct predict *own = predict_of(run, loader, setting->num_workers, setting->prefetch_factor);
    const double rate = own == NULL || isnan(own->miss) ? NAN : own->measured.samples_per_s.mean;
    free(own);
    return rate;
}

static struct range times(const struct range *rate, double by)
{
    return (struct range){rate->mean / by, rate->lower / by, rate->upper / by};
}

void compare_promise(const struct comparison *c, const struct compared_loader pair[2],
                     struct compared_promise *promise)
{
    const struct summary_loader *one = pair[0].first, *other = pair[1].first;
    *promise = (struct compared_promise){.faster = {NAN, NAN, NAN}, .measured = NAN};
    if (one == NULL || other == NULL || one->why.primary == WHY_FAILED)
        return;
    const struct compared_setting *before = &promise->settings[0], *now = &promise->settings[1];
    promise->settings[0] = setting_of(one);
    promise->settings[1] = setting_of(other);
    promise->is_one = before->num_workers != UINT32_MAX && now->num_workers != UINT32_MAX &&
                      !same_settings(before, now) && only_the_setting_differs(one, other);
    struct predict *predict =
        !promise->is_one ? NULL
                         : predict_of(c->runs[0], one, now->num_workers, now->prefetch_factor);
    promise->is_one = predict != NULL;
    if (predict == NULL)
        return;
    const double rate = predict->measured.samples_per_s.mean;
    snprintf(promise->says, sizeof promise->says, "%s", predict->says);
    for (uint32_t i = 0; i < predict->count; i++) {
        if (predict->says[0] == '\0' && is_setting(&predict->settings[i], now))
            promise->faster = times(&predict->settings[i].samples_per_s, rate);
    }
    if (!isnan(promise->faster.mean))
        promise->measured = measured(c->runs[1], other, now) / rate;
    else if (promise->says[0] == '\0')
        snprintf(promise->says, sizeof promise->says, "%s",
                 isnan(rate) ? "how many samples its batches have is not known"
                             : "it does not show what this setting costs");
    free(predict);
}
