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

#define ALIKE 0.85     /* healthy ranks differ by less: 0.97 on two H200s */
#define LEAST_WORK 0.1 /* of the time: with less the GPU is not what a job waits for */
#define LEAST_HELD 0.05
#define LEAST_CLOCK 0.95 /* of the others' clock */

struct job_gpu job_gpu_of(const struct summary_gpu *gpu, uint64_t active_ns)
{
    struct job_gpu found = {NAN, NAN, NAN};
    /* Two ranks of one GPU cannot be told apart. */
    if (gpu == NULL || gpu->processes > 1 || isnan(gpu->gpm.sm_share) || active_ns == 0)
        return found;
    /* Before and after its loaders a rank's GPU has next to nothing to do. */
    const double sm_ns = (double)gpu->data->words[RF_GPU_GPM + 2 * RF_GPM_SM + 1];
    found.sm_share = fmin(1, sm_ns / (double)active_ns);
    found.sm_clock_mhz = gpu->sm_clock_mean_mhz;
    found.held_share =
        fmax(fmax(gpu->held_power_share, gpu->held_thermal_share), gpu->held_hardware_share);
    return found;
}

/* The member whose GPU had work for longest, and the one that comes next; NULL: of one of them it is
 * not known. Members of one process share its GPU: the first has the time. */
static const struct job_member *find_busiest(const struct job *job, const struct job_member **next)
{
    const struct job_member *busiest = NULL;
    *next = NULL;
    for (uint32_t i = 0; i < job->count; i++) {
        const struct job_member *member = &job->members[i];
        if (member->active_s <= 0)
            continue;
        if (isnan(member->gpu_work.sm_share))
            return NULL;
        if (busiest != NULL && busiest->rank == member->rank)
            return NULL; /* it was started anew: its times are not beside the others' */
        if (busiest == NULL || member->gpu_work.sm_share > busiest->gpu_work.sm_share) {
            *next = busiest;
            busiest = member;
        } else if (*next == NULL || member->gpu_work.sm_share > (*next)->gpu_work.sm_share) {
            *next = member;
        }
    }
    return *next == NULL ? NULL : busiest;
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
    const struct job_member *busiest = find_busiest(job, &next);
    char node[JOB_NAME_BYTES + 4] = "", clocks[160] = "";
    if (busiest == NULL || is_explained(figures, busiest->rank))
        return;
    const struct job_gpu *own = &busiest->gpu_work, *other = &next->gpu_work;
    if (own->sm_share < LEAST_WORK || other->sm_share > ALIKE * own->sm_share)
        return;
    if (job->nodes > 1)
        snprintf(node, sizeof node, " on %s", job->node[busiest->node]);
    if (own->sm_clock_mhz < LEAST_CLOCK * other->sm_clock_mhz && own->held_share >= LEAST_HELD)
        snprintf(clocks, sizeof clocks,
                 "; its clocks were held back for %.0f %% of the time, at %.0f MHz beside %.0f",
                 own->held_share * 100, own->sm_clock_mhz, other->sm_clock_mhz);
    figures->busiest_gpu = busiest->rank;
    snprintf(figures->gpu_text, sizeof figures->gpu_text,
             "the GPU of rank %llu%s had work for %.1f times as long as any other rank's (its "
             "multiprocessors %.0f %% of the time, the next %.0f %%): the others wait for it if "
             "they have as much to do%s",
             (unsigned long long)busiest->rank, node, own->sm_share / other->sm_share,
             own->sm_share * 100, other->sm_share * 100, clocks);
}
