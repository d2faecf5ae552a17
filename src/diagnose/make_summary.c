/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/error.h"
#include "diagnose/parts.h"

/* Exactly as many as there are; none are a place that nobody looks at. */
static void *zeroed(size_t count, size_t bytes)
{
    return calloc(count > 0 ? count : 1, bytes);
}

int summary_make(const struct run_data *data, uint64_t now_ns, struct summary **result)
{
    *result = NULL;
    struct summary *summary = calloc(1, sizeof *summary);
    if (summary == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    summary->data = data;
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
    summary_predict(summary);
    const bool has_steps = summary_make_steps(summary);
    summary_tell_causes(summary);
    free(uses);
    if (!has_steps) {
        summary_free(summary);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    *result = summary;
    return DATASTALL_OK;
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
    free(summary->steps);
    free(summary);
}
