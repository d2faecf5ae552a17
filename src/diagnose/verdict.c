/* The verdict over all processes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "diagnose/parts.h"

#define LEAST_COUNTED_WINDOW 0.1 /* of the longest */

static enum summary_severity severity_of(double share)
{
    if (isnan(share))
        return SUMMARY_SEVERITY_UNKNOWN;
    if (share >= 0.50)
        return SUMMARY_SEVERITY_CRITICAL;
    if (share >= 0.20)
        return SUMMARY_SEVERITY_MILD;
    return share >= 0.05 ? SUMMARY_SEVERITY_MINOR : SUMMARY_SEVERITY_NONE;
}

void summary_make_verdict(struct summary *summary)
{
    double longest = 0.0, windows = 0.0, stalls = 0.0, severe = 0.0;
    uint32_t measured = 0;
    summary->worst = UINT32_MAX;
    summary->stall_share = summary->speedup_ceiling = NAN;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const struct summary_process *process = &summary->processes[i];
        if (isnan(process->stall_share))
            continue;
        double window = (double)(process->end_ns - process->begin_ns);
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
        double window = (double)(process->end_ns - process->begin_ns);
        process->counts = window >= LEAST_COUNTED_WINDOW * longest;
        summary->upper_bound |= process->upper_bound;
        if (process->method > summary->method)
            summary->method = process->method;
        if (process->counts)
            severe = fmax(severe, process->severe_share);
        if (process->counts &&
            (summary->worst == UINT32_MAX ||
             process->stall_share > summary->processes[summary->worst].stall_share))
            summary->worst = i;
    }
    const struct summary_process *worst = &summary->processes[summary->worst];
    summary->severity = severity_of(severe);
    summary->speedup_ceiling = worst->speedup_ceiling;
    summary->ceiling_is_bound = measured > 1 || worst->upper_bound;
}
