/* SPDX-License-Identifier: Apache-2.0 */
/* A rank whose GPU takes longer than the others' while all hosts keep step: they come to their next
 * batch together, since each waits for its own GPU and that for the collective. What differs is for how
 * long the multiprocessors had work: a collective that waits for another rank keeps a GPU busy, but
 * hardly any of its multiprocessors. That is evidence, and no loss: nothing is charged for it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diagnose/job_parts.h"
#include "runfile/layout.h"

#define ALIKE 0.85        /* healthy ranks differ by less: 0.97 on two H200s */
#define LEAST_WORK 0.1    /* of the loaders' time: with less the GPU is not what a job waits for */
#define LEAST_COUNTED 0.9 /* of the loaders' time: it was sampled */
#define LEAST_HELD 0.05
#define LEAST_CLOCK 0.95 /* of the others' clock */
#define MOST_TIMES 100

struct job_gpu job_gpu_of(const struct summary *summary, const struct summary_process *process)
{
    const struct summary_gpu *gpu = summary_own_gpu(summary, process);
    struct job_gpu found = {NAN, NAN, NAN};
    if (gpu == NULL || isnan(gpu->gpm.sm_share))
        return found;
    const uint64_t *counted = &gpu->data->words[RF_GPU_GPM + 2 * RF_GPM_SM];
    if ((double)counted[0] < LEAST_COUNTED * (double)process->active_ns)
        return found;
    found.sm_s = (double)counted[1] * 1e-9;
    found.sm_clock_mhz = gpu->sm_clock_mean_mhz;
    found.held_share =
        fmax(fmax(gpu->held_power_share, gpu->held_thermal_share), gpu->held_hardware_share);
    return found;
}

/* The member whose GPU had work for longest, and the one that comes next; NULL: of one of them it is
 * not known. Members of one process share its GPU: the first has the time. */
static const struct job_member *find_busiest(const struct job *job, uint32_t ranks,
                                             const struct job_member **next)
{
    const struct job_member *busiest = NULL;
    uint32_t processes = 0;
    *next = NULL;
    for (uint32_t i = 0; i < job->count; i++) {
        const struct job_member *member = &job->members[i];
        if (member->active_s <= 0)
            continue;
        if (isnan(member->gpu_work.sm_s))
            return NULL;
        processes++;
        if (busiest == NULL || member->gpu_work.sm_s > busiest->gpu_work.sm_s) {
            *next = busiest;
            busiest = member;
        } else if (*next == NULL || member->gpu_work.sm_s > (*next)->gpu_work.sm_s) {
            *next = member;
        }
    }
    /* A rank that was started anew has two times, which are not beside the others'. */
    return *next == NULL || processes != ranks ? NULL : busiest;
}

/* Ranks that wait for one which is charged already have less to do for that reason. */
static bool is_explained(const struct job_figures *figures, uint64_t rank)
{
    if (isnan(figures->lost_s.mean) || job_costs(figures, figures->lost_s.upper))
        return true;
    for (uint32_t i = 0; i < figures->cause_count; i++) {
        const struct job_cause *cause = &figures->causes[i];
        if (cause->rank != rank && job_costs(figures, cause->lost_s))
            return true;
    }
    return false;
}

void job_find_busiest_gpu(const struct job *job, struct job_figures *figures)
{
    const struct job_member *next;
    const struct job_member *busiest = find_busiest(job, figures->ranks, &next);
    char node[JOB_NAME_BYTES + 4] = "", times[48], longest[32], longer[32], clocks[120] = "";
    if (busiest == NULL || is_explained(figures, busiest->rank))
        return;
    const struct job_gpu *own = &busiest->gpu_work, *other = &next->gpu_work;
    if (own->sm_s < LEAST_WORK * busiest->active_s || other->sm_s > ALIKE * own->sm_s)
        return;
    if (job->nodes > 1)
        snprintf(node, sizeof node, " on %s", job->node[busiest->node]);
    if (own->sm_s < MOST_TIMES * other->sm_s)
        snprintf(times, sizeof times, "%.1f times as long as", own->sm_s / other->sm_s);
    else
        snprintf(times, sizeof times, "more than %d times as long as", MOST_TIMES);
    if (own->sm_clock_mhz < LEAST_CLOCK * other->sm_clock_mhz && own->held_share >= LEAST_HELD)
        snprintf(clocks, sizeof clocks,
                 "; its clocks were held back for %.0f %% of the time, at %.0f MHz beside %.0f",
                 own->held_share * 100, own->sm_clock_mhz, other->sm_clock_mhz);
    summary_duration_text(own->sm_s, longest, sizeof longest);
    summary_duration_text(other->sm_s, longer, sizeof longer);
    figures->busiest_gpu = busiest->rank;
    snprintf(figures->gpu_text, sizeof figures->gpu_text,
             "the GPU of rank %llu%s had work for %s any other rank's (its multiprocessors for %s, "
             "those of the next for %s): the others wait for it if they have as much to do%s",
             (unsigned long long)busiest->rank, node, times, longest, longer, clocks);
}
