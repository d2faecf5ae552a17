/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "diagnose/job.h"
#include "diagnose/parts.h"

/* Exactly as many as there are; none are a place that nobody looks at. */
static void *zeroed(size_t count, size_t bytes)
{
    return calloc(count > 0 ? count : 1, bytes);
}

static uint32_t count_ranks(const struct run_data *data)
{
    uint32_t ranks = 0;
    for (uint32_t i = 0; i < data->process_count; i++)
        ranks += data->processes[i].view.fixed.rank != DATASTALL_UNKNOWN;
    return ranks;
}

/* Where there is no memory for it, the summary is without. */
static void make_job(struct summary *summary)
{
    const uint32_t ranks = count_ranks(summary->data);
    struct job *job = ranks > 1 ? job_begin(ranks) : NULL;
    if (job == NULL)
        return;
    summary->job = malloc(sizeof *summary->job);
    if (summary->job != NULL && !(job_add(job, summary) && job_settle(job, summary->job))) {
        free(summary->job);
        summary->job = NULL;
    }
    job_free(job);
}

static int make(const struct run_data *data, uint64_t now_ns, bool bare, struct summary **result)
{
    *result = NULL;
    struct summary *summary = calloc(1, sizeof *summary);
    if (summary == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    summary->data = data;
    summary->price_per_gpu_hour = NAN;
    uint32_t loaders = 0;
    for (uint32_t i = 0; i < data->process_count; i++)
        loaders += data->processes[i].loader_count;
    summary->loaders = zeroed(loaders, sizeof *summary->loaders);
    summary->stages =
        zeroed((size_t)data->process_count * RF_STAGE_CAPACITY, sizeof *summary->stages);
    summary->processes = zeroed(data->process_count, sizeof *summary->processes);
    summary->gpus = zeroed(data->gpu_count, sizeof *summary->gpus);
    struct stall_use *uses = zeroed(data->process_count, sizeof *uses);
    if (summary->loaders == NULL || summary->stages == NULL || summary->processes == NULL ||
        summary->gpus == NULL || uses == NULL) {
        summary_free(summary);
        free(uses);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    summary_make_processes(summary, now_ns);
    summary_describe_run(summary, now_ns);
    summary_make_gpus(summary, now_ns);
    summary_settle_stalls(summary, uses);
    summary_make_verdict(summary);
    summary_settle_causes(summary);
    if (!bare)
        summary_predict(summary);
    free(uses);
    if (!summary_make_steps(summary)) {
        summary_free(summary);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    summary_tell_causes(summary);
    if (!bare)
        make_job(summary);
    summary_charge_job(summary);
    *result = summary;
    return DATASTALL_OK;
}

int summary_make(const struct run_data *data, uint64_t now_ns, struct summary **summary)
{
    return make(data, now_ns, false, summary);
}

int summary_make_bare(const struct run_data *data, uint64_t now_ns, struct summary **summary)
{
    return make(data, now_ns, true, summary);
}

void summary_free(struct summary *summary)
{
    if (summary == NULL)
        return;
    for (uint32_t i = 0; summary->loaders != NULL && i < summary->loader_count; i++)
        free(summary->loaders[i].predict);
    free(summary->loaders);
    free(summary->stages);
    free(summary->processes);
    free(summary->gpus);
    free(summary->job);
    free(summary->steps);
    free(summary);
}
