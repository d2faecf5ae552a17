/* The verdict over all processes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/sums.h"
#include "diagnose/job.h"
#include "diagnose/parts.h"
#include "diagnose/why_sentences.h"
#include "diagnose/why_try.h"

#define LEAST_COUNTED_WINDOW 0.1 /* of the longest */

enum summary_severity summary_severity_of(double share)
{
    if (isnan(share))
        return SUMMARY_SEVERITY_UNKNOWN;
    if (share >= 0.50)
        return SUMMARY_SEVERITY_SEVERE;
    if (share >= SUMMARY_SLIGHT)
        return SUMMARY_SEVERITY_MODERATE;
    return share >= WHY_LEAST_STALL ? SUMMARY_SEVERITY_SLIGHT : SUMMARY_SEVERITY_NONE;
}

void summary_make_verdict(struct summary *summary)
{
    double longest = 0.0, windows = 0.0, stalls = 0.0, severe = NAN;
    bool unknown = false;
    uint32_t measured = 0;
    summary->worst = UINT32_MAX;
    summary->stall_share = summary->speedup_ceiling = NAN;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const struct summary_process *process = &summary->processes[i];
        if (isnan(process->stall_share))
            continue;
        double window = (double)process->active_ns;
        longest = fmax(longest, window);
        windows += window;
        stalls += (double)process->exposed.upper_ns;
        measured++;
    }
    if (measured == 0)
        return;
    summary->stall_share = stalls / windows;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        struct summary_process *process = &summary->processes[i];
        if (isnan(process->stall_share))
            continue;
        double window = (double)process->active_ns;
        process->counts = window >= LEAST_COUNTED_WINDOW * longest;
        summary->upper_bound |= process->upper_bound;
        if (process->method > summary->method)
            summary->method = process->method;
        if (process->counts) { /* fmax() leaves NaN out */
            severe = fmax(severe, process->severe_share);
            unknown |= isnan(process->severe_share);
        }
        if (process->counts &&
            (summary->worst == UINT32_MAX ||
             process->stall_share > summary->processes[summary->worst].stall_share))
            summary->worst = i;
    }
    const struct summary_process *worst = &summary->processes[summary->worst];
    /* "none" must be known of all. */
    if (unknown && !(severe >= WHY_LEAST_STALL))
        severe = NAN;
    summary->severity = summary_severity_of(severe);
    summary->speedup_ceiling = worst->speedup_ceiling;
    summary->ceiling_is_bound = measured > 1 || worst->upper_bound;
}

/* A background thread that waits nearly always takes batches as fast as they come: whatever the program
 * does meanwhile, it is no faster than its loader. */
#define LEAST_LIMIT 0.95

static bool is_unknown(const struct summary_loader *loader, const struct summary_process *process)
{
    return loader->in_verdict && isnan(process->severe_share) && loader->why.primary != WHY_FAILED;
}

static bool limits_the_program(const struct summary_process *process)
{
    return process->background && process->stall_share >= LEAST_LIMIT;
}

/* Where others explain what a process stalled, nothing else is worth a word; but that of a stream every
 * item comes several times is no matter of time. */
static bool is_of_others(const struct why *why)
{
    return why->primary == CAUSE_CPU_CONTENTION || why->primary == CAUSE_LOOP_CPU_WAIT ||
           why->primary == WHY_DUPLICATE_STREAM;
}

void summary_settle_causes(struct summary *summary)
{
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        struct summary_loader *loader = &summary->loaders[i];
        const struct summary_process *process = &summary->processes[loader->process];
        if (loader->in_verdict && loader->why.primary != WHY_FAILED &&
            (process->severe_share < WHY_LEAST_STALL ||
             (process->others_explain && !is_of_others(&loader->why))))
            loader->why.primary = WHY_NONE;
        else if (is_unknown(loader, process) && process->background && !limits_the_program(process))
            loader->why.primary = CAUSE_UNKNOWN;
    }
}

void summary_tell_causes(struct summary *summary)
{
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        struct summary_loader *loader = &summary->loaders[i];
        const struct summary_process *process = &summary->processes[loader->process];
        why_tell(loader->data, &loader->why);
        if (loader->in_verdict)
            why_add_part(&loader->why, process->active_ns);
        if (is_unknown(loader, process) && !limits_the_program(process))
            loader->why.suggestion[0] = '\0';
    }
}

void summary_add_others(const struct summary *summary, struct summary_others *sum)
{
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        if (!summary->loaders[i].in_verdict)
            continue;
        sum->stall_ns = ds_add(sum->stall_ns, summary->loaders[i].why.stall_ns);
        sum->others_ns = ds_add(sum->others_ns, summary->loaders[i].why.others.lack_ns);
    }
}

double summary_for_others_of_job(double lost_share, const struct summary_others *sum)
{
    const double part =
        sum->stall_ns > 0 ? fmin(1.0, (double)sum->others_ns / (double)sum->stall_ns) : 0;
    const bool slight = summary_severity_of(lost_share) == SUMMARY_SEVERITY_SLIGHT;
    return slight && lost_share * (1 - part) < WHY_LEAST_STALL ? lost_share * part : 0;
}

void summary_charge_job(struct summary *summary)
{
    if (summary->job == NULL || !(summary->job->lost_s.lower >= JOB_LEAST_S))
        return;
    const double lost = summary->job->lost_share.lower;
    struct summary_others sum = {0, 0};
    summary_add_others(summary, &sum);
    const enum summary_severity severity =
        summary_severity_of(lost - summary_for_others_of_job(lost, &sum));
    if (severity > summary->severity)
        summary->severity = severity;
}
