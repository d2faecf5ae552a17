/* What more workers, or none, would give: by the means of what was recorded, and no further than the
 * CPUs go that were seen idle.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/sums.h"
#include "diagnose/why.h"

/* What handing a batch to the loop's process costs the two at least, and what the loader itself takes
 * per batch without workers: docs/causes.md has the measurement. */
#define HANDOVER_NS 300e3
#define OVERHEAD_NS 20e3
/* Of one worker, where there were none: forked, on an idle machine. */
#define START_NS 30e6
#define LEAST_CPUS 0.05 /* of a worker that sleeps */
/* Who needs so little of a CPU finds a turn where others keep all of them busy: so much of them. */
#define SLEEPS 0.2
#define LEAST_TURNS 0.25
#define MOST_WORKERS 32.0
#define MOST_TIMES 4.0 /* as many workers as there are */
#define MOST_FROM_NONE 8.0
#define NEARLY 1.05 /* times the best */
#define LEAST_GAIN 0.10

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

/* CPUs for workers, at what one uses: those that were idle, and those that the present ones use. */
static double cpus_for_workers(const struct run_loader *loader, const struct why *why)
{
    const struct why_work *work = &why->work;
    const struct why_host *host = &why->host;
    const double used = work->running_cpus;
    if (isnan(host->cpus_usable) || isnan(used))
        return NAN;
    const double loop = isnan(host->loop_cpus) ? 1.0 : host->loop_cpus;
    /* Loading in the loop's own process, the two are one. */
    const double own = loader->entry.num_workers == 0 ? fmax(loop, used) : loop + used;
    double idle = fmax(0.0, host->cpus_usable - own);
    if (!isnan(host->idle_cpus))
        idle = fmin(idle, host->idle_cpus);
    if (why_items_lack_cpus(work))
        idle = 0;
    return idle + used;
}

/* Workers whose batches under way shared memory holds. */
static double room_for_workers(const struct run_loader *loader, const struct why *why)
{
    double workers = MOST_WORKERS;
    while (workers > 1 &&
           !why_fits_shared_memory(why, workers * (double)loader->entry.prefetch_factor))
        workers--;
    return workers;
}

/* What a batch costs that no number of workers takes away, and what each of them adds. */
struct per_batch {
    double fixed_ns, each_worker_ns;
};

static double per_batch(const struct why_setting *setting, const struct per_batch *costs,
                        double workers)
{
    return fmax(setting->loop_ns, setting->make_ns / workers) + costs->fixed_ns +
           costs->each_worker_ns * workers;
}

/* The fewest workers that come near what the most give. */
static void choose_workers(double now_ns, double now_workers, double room,
                           const struct per_batch *costs, struct why_setting *setting)
{
    const double limit = now_workers == 0 ? MOST_FROM_NONE : MOST_TIMES * now_workers;
    const double most = fmin(fmin(limit, MOST_WORKERS), fmin(setting->most_workers, room));
    if (!(most >= 1))
        return;
    double best_ns = INFINITY;
    for (double n = 1; n <= most; n++)
        best_ns = fmin(best_ns, per_batch(setting, costs, n));
    for (double n = 1; n <= most; n++) {
        if (per_batch(setting, costs, n) > NEARLY * best_ns)
            continue;
        const double gain = 1 - per_batch(setting, costs, n) / now_ns;
        if (n > now_workers && gain >= LEAST_GAIN) {
            setting->workers = (uint32_t)n;
            setting->gain = gain;
        }
        return;
    }
}

/* Where there are workers their start and the way to the loop are as they were. */
static struct per_batch costs_of(const struct run_loader *loader, const struct why *why,
                                 double batches)
{
    const uint64_t startup_ns = why->states_ns[CAUSE_STARTUP];
    const double iterators = (double)loader->totals.counters[RF_COUNT_ITERATORS];
    if (loader->entry.num_workers == 0)
        return (struct per_batch){HANDOVER_NS, START_NS * iterators / batches};
    uint64_t made_ns = 0;
    for (uint32_t i = CAUSE_COMPUTE; i <= CAUSE_COLLATE; i++)
        made_ns += why->states_ns[i];
    return (struct per_batch){(double)ds_subtract(why->stall_ns, ds_add(made_ns, startup_ns)) /
                                  batches,
                              (double)startup_ns / (double)loader->entry.num_workers / batches};
}

void why_reckon(const struct run_loader *loader, const struct why *why, struct why_setting *setting)
{
    const struct why_work *work = &why->work;
    const double batches = (double)loader->totals.counters[RF_COUNT_BATCHES];
    const uint64_t workers = why_workers_of(loader);
    const struct range unknown = {NAN, NAN, NAN};
    *setting = (struct why_setting){NAN,   NAN,     NAN,     NAN,     0,       NAN,    NAN,
                                    false, unknown, unknown, unknown, unknown, unknown};
    if (work->batches == 0 || batches == 0 || workers == DATASTALL_UNKNOWN ||
        why_workers_share_a_lock(work))
        return;
    const double made = (double)work->batches;
    const double make_ns = (double)ds_subtract(ds_add(work->items_ns, work->collate_ns),
                                               ds_add(work->delay_ns, work->collate_delay_ns));
    const double ran_ns = (double)work->cpu_ns + (double)work->threads_ns +
                          (double)work->children_ns +
                          (double)ds_subtract(work->collate_ns, work->collate_delay_ns);
    setting->loop_ns = (double)ds_subtract(why->active_ns, why->stall_ns) / batches;
    setting->make_ns = make_ns / made;
    /* Processes that an item waits for may be several. */
    const double most =
        fmax(1.0, work->blocked_ns > 0 ? ratio((double)work->children_ns, (double)work->blocked_ns)
                                       : 1.0);
    setting->cpus_each = fmax(LEAST_CPUS, fmin(most, ratio(ran_ns, make_ns)));
    double cpus = cpus_for_workers(loader, why);
    const double turns = LEAST_TURNS * why->host.cpus_usable;
    if (setting->cpus_each <= SLEEPS && !why_items_lack_cpus(work) && cpus < turns)
        cpus = turns;
    setting->most_workers = floor(cpus / setting->cpus_each + 0.25);
    if (workers > 0)
        setting->in_loop_ns =
            (setting->make_ns + OVERHEAD_NS) * batches + (double)work->opened_ns / (double)workers;
    const struct per_batch costs = costs_of(loader, why, batches);
    choose_workers((double)why->active_ns / batches, (double)workers, room_for_workers(loader, why),
                   &costs, setting);
}
