/* What devices and processes stalled, from all the evidence that there is: waits, events on the
 * GPU's clock, the devices' activity.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/sums.h"
#include "base/uuid.h"
#include "diagnose/parts.h"

/* ---- devices ---- */

static const struct run_loader_gpu *part_of(const struct run_loader *loader,
                                            const struct rf_gpu_view *device)
{
    for (uint32_t i = 0; i < loader->gpu_count; i++) {
        if (ds_uuid_is(loader->gpus[i].uuid, device->fixed.uuid))
            return &loader->gpus[i];
    }
    return NULL;
}

bool summary_consumes(const struct summary_loader *loader, const struct rf_gpu_view *device)
{
    return part_of(loader->data, device) != NULL;
}

/* Adds what a loader waited on a device. Waiting of threads that named none may have been on any. */
static void add_part(const struct summary_loader *loader, const struct run_loader_gpu *part,
                     struct stall *sum)
{
    struct stall stall = part->stall;
    uint64_t named_ns = 0;
    for (uint32_t i = 0; i < loader->data->gpu_count; i++)
        named_ns = ds_add(named_ns, loader->data->gpus[i].stall.waiting_ns);
    stall.waiting_ns = ds_add(stall.waiting_ns, ds_subtract(loader->stall.waiting_ns, named_ns));
    stall_add(sum, &stall);
}

/* What a process waited on a device; false: nothing. */
static bool use_of(const struct summary *summary, uint32_t process,
                   const struct rf_gpu_view *device, struct stall_use *use)
{
    bool used = false;
    *use = (struct stall_use){.begin_ns = summary->processes[process].begin_ns,
                              .end_ns = summary->processes[process].end_ns};
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        const struct run_loader_gpu *part =
            loader->process == process && loader->in_verdict ? part_of(loader->data, device) : NULL;
        if (part == NULL)
            continue;
        add_part(loader, part, &use->stall);
        used = true;
    }
    return used && summary_has_window(&summary->processes[process]);
}

static void narrow_shared(const struct summary *summary, const struct summary_gpu *gpu,
                          uint64_t longest_ns, struct stall_shared *shared)
{
    const uint64_t idle_ns = summary_idle_within(gpu->data, summary->begin_ns, summary->end_ns);
    if (idle_ns != DATASTALL_UNKNOWN)
        stall_share_narrow(shared, summary->end_ns - summary->begin_ns, idle_ns, longest_ns,
                           summary_activity_is_exact(gpu->data));
}

/* Stall and busy are more than there is. */
static bool is_too_much(const struct summary_gpu *gpu)
{
    return summary_activity_is_exact(gpu->data) &&
           gpu->busy_share + gpu->stall_share > 1.0 + SUM_TOLERANCE;
}

/* The stalls of the processes that consumed a device, and what they make of its window. */
static void set_stall(const struct summary *summary, struct stall_use *uses,
                      struct summary_gpu *gpu)
{
    uint32_t count = 0;
    uint64_t longest_ns = 0;
    gpu->stall_share = gpu->stall_share_lower = NAN;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        if (!use_of(summary, i, gpu->data, &uses[count]))
            continue;
        if (uses[count].stall.lower_ns > longest_ns)
            longest_ns = uses[count].stall.lower_ns;
        count++;
    }
    struct stall_shared shared = stall_share(uses, count);
    if (shared.at_once > 1)
        narrow_shared(summary, gpu, longest_ns, &shared);
    gpu->processes = shared.at_once;
    gpu->stall = shared.stall;
    if (gpu->stall.known_ns == 0 || summary->end_ns <= summary->begin_ns)
        return;
    const double window_ns = (double)(summary->end_ns - summary->begin_ns);
    gpu->stall_share = fmin(1.0, (double)shared.most_ns / window_ns);
    gpu->stall_share_lower = fmin(1.0, (double)gpu->stall.lower_ns / window_ns);
    gpu->stall_is_bound =
        gpu->stall_share - gpu->stall_share_lower > EXACT_WITHIN || is_too_much(gpu);
}

static void set_other_idle(struct summary_gpu *gpu)
{
    gpu->other_idle_share = NAN;
    if (gpu->busy_source == NULL || strcmp(gpu->busy_source, "gpm") != 0 ||
        !summary_is_told(&gpu->stall) || (gpu->processes > 1 && gpu->stall_is_bound))
        return;
    const double rest = 1.0 - gpu->busy_share - gpu->stall_share;
    if (rest >= -SUM_TOLERANCE)
        gpu->other_idle_share = rest;
}

/* What the GPU drew during exposed stalls. */
static void set_stalled_energy(struct summary_gpu *gpu)
{
    const uint64_t *w = gpu->data->words;
    gpu->stalled_energy_lower_j = gpu->stalled_energy_upper_j = NAN;
    if (w[RF_GPU_ENERGY_NS] == 0 || gpu->stall.known_ns == 0)
        return;
    const double mean_w = (double)w[RF_GPU_ENERGY_UJ] * 1e3 / (double)w[RF_GPU_ENERGY_NS];
    gpu->stalled_energy_lower_j =
        (double)w[RF_GPU_POWER_MW_MIN] * 1e-3 * (double)gpu->stall.lower_ns * 1e-9;
    gpu->stalled_energy_upper_j = mean_w * (double)gpu->stall.upper_ns * 1e-9;
}

/* ---- processes ---- */

/* The device that a process consumes on: the one its events named, else the only one there is. */
static uint32_t device_of(const struct summary *summary, uint32_t process)
{
    uint32_t found = UINT32_MAX;
    struct stall_use use;
    for (uint32_t g = 0; g < summary->gpu_count; g++) {
        if (!use_of(summary, process, summary->gpus[g].data, &use))
            continue;
        if (found != UINT32_MAX)
            return UINT32_MAX;
        found = g;
    }
    return found == UINT32_MAX && summary->gpu_count == 1 ? 0 : found;
}

/* Whether another process may have kept a process's device busy. */
static bool is_shared(const struct summary *summary, uint32_t process)
{
    const struct summary_process *one = &summary->processes[process];
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const struct summary_process *other = &summary->processes[i];
        if (i != process && other->method > SUMMARY_METHOD_HOST_EXACT &&
            summary_has_window(other) && other->gpu == one->gpu && other->begin_ns < one->end_ns &&
            other->end_ns > one->begin_ns)
            return true;
    }
    return false;
}

/* By the waits alone, and by the events that saw them. Waits of the main thread, or of the only one
 * that trains, stop the program and cannot overlap; a background thread's may overlap others, and the
 * program may have worked meanwhile. */
static struct stall_bounds stall_by_waits(const struct summary_process *process)
{
    const uint64_t waiting_ns = process->stall.waiting_ns;
    if (process->method == SUMMARY_METHOD_GPU_EVENTS)
        return (struct stall_bounds){process->stall.lower_ns, stall_most_ns(&process->stall)};
    const bool certain = process->method == SUMMARY_METHOD_HOST_EXACT && !process->background;
    return (struct stall_bounds){certain ? waiting_ns : 0, waiting_ns};
}

/* Without events. NVML's utilisation calls a GPU busy that ran one kernel: its idle time is too
 * small for an upper bound, but good for a lower one. So is that of a GPU that others use too. */
static void narrow(struct summary_process *process, const struct summary_gpu *gpu, bool shared)
{
    const uint64_t window_ns = process->end_ns - process->begin_ns;
    const uint64_t idle_ns = summary_idle_within(gpu->data, process->begin_ns, process->end_ns);
    /* A device of which too little is known says nothing. */
    if (idle_ns == DATASTALL_UNKNOWN)
        return;
    const struct stall_bounds idle =
        stall_of_idle(window_ns, ds_least(process->stall.waiting_ns, window_ns), idle_ns);
    if (!process->background) /* else the program may have had another reason to leave it idle */
        process->exposed.lower_ns = idle.lower_ns;
    if (summary_activity_is_exact(gpu->data) && !shared)
        process->exposed.upper_ns = idle.upper_ns;
}

static bool is_bound(const struct summary_process *process, const struct summary_gpu *gpu,
                     bool shared)
{
    const double window_ns = (double)process->active_ns;
    const double width_ns = (double)(stall_most_ns(&process->stall) - process->stall.lower_ns);
    if (process->method != SUMMARY_METHOD_GPU_EVENTS)
        return process->background || process->method == SUMMARY_METHOD_HOST_BOUND;
    return width_ns > EXACT_WITHIN * window_ns || (gpu != NULL && !shared && is_too_much(gpu));
}

/* What is known is charged. Where that is little and what may be is much, nothing is. */
static double severe_share(const struct summary_process *process)
{
    const double lower = process->stall_share_lower, upper = process->stall_share;
    if (process->is_brief)
        return 0;
    if (!process->upper_bound || upper < WHY_LEAST_STALL)
        return upper;
    return lower < WHY_LEAST_STALL ? NAN : lower;
}

/* A healthy program beside busy neighbours waits a little more, and not for its loader. */
static void take_off_others(struct summary *summary, uint32_t index)
{
    struct summary_process *process = &summary->processes[index];
    uint64_t others_ns = 0, once_ns = 0;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        if (loader->process != index || !loader->in_verdict)
            continue;
        others_ns = ds_add(others_ns, loader->why.others.lack_ns);
        once_ns = ds_add(once_ns, loader->why.others.once_ns);
    }
    const double share = (double)others_ns / (double)process->active_ns;
    const double left =
        process->severe_share - share - (double)once_ns / (double)process->active_ns;
    if (process->severe_share < WHY_LEAST_STALL || others_ns == 0 || !(left < WHY_LEAST_STALL))
        return;
    process->others_explain = true;
    if (process->severe_share >= SUMMARY_SLIGHT) /* they starve it */
        return;
    process->for_others_share = share;
    process->severe_share = fmax(0.0, left);
}

static void settle_process(struct summary *summary, uint32_t index)
{
    struct summary_process *process = &summary->processes[index];
    process->stall_share = process->severe_share = process->speedup_ceiling = NAN;
    process->stall_share_lower = NAN;
    if (!summary_has_window(process))
        return;
    const struct summary_gpu *gpu = summary_gpu_of(summary, process);
    const bool shared = gpu != NULL && is_shared(summary, index);
    const uint64_t active_ns = process->active_ns;
    process->exposed = stall_by_waits(process);
    if (gpu != NULL && process->method == SUMMARY_METHOD_HOST_BOUND)
        narrow(process, gpu, shared);
    process->upper_bound = is_bound(process, gpu, shared);
    process->exposed.upper_ns = ds_least(process->exposed.upper_ns, active_ns);
    process->exposed.lower_ns = ds_least(process->exposed.lower_ns, process->exposed.upper_ns);
    process->stall_share = (double)process->exposed.upper_ns / (double)active_ns;
    process->stall_share_lower = (double)process->exposed.lower_ns / (double)active_ns;
    process->speedup_ceiling = why_ceiling(active_ns, process->exposed.upper_ns);
    process->is_brief = why_is_brief(process->exposed.upper_ns, process->life_ns);
    process->severe_share = severe_share(process);
    take_off_others(summary, index);
    if (shared && !isnan(gpu->stall_share_lower))
        process->severe_share = fmin(process->severe_share, gpu->stall_share_lower);
}

void summary_settle_stalls(struct summary *summary, struct stall_use *uses)
{
    for (uint32_t i = 0; i < summary->gpu_count; i++) {
        struct summary_gpu *gpu = &summary->gpus[i];
        set_stall(summary, uses, gpu);
        set_other_idle(gpu);
        set_stalled_energy(gpu);
    }
    for (uint32_t i = 0; i < summary->process_count; i++)
        summary->processes[i].gpu = device_of(summary, i);
    for (uint32_t i = 0; i < summary->process_count; i++)
        settle_process(summary, i);
}
