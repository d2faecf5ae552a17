/* SPDX-License-Identifier: Apache-2.0 */
/* datastall.h's GPU sampling: a sampler that belongs to a monitor. */
#include "base/error.h"
#include "gpu/sampler.h"
#include "record/monitor.h"

static void stop_sampler(void *context)
{
    gpu_sampler_stop(context);
}

int datastall_gpu_sampling_start(datastall_monitor *monitor, double interval_s)
{
    if (monitor == NULL)
        return DATASTALL_OK;
    if (!ds_fork_same_process(monitor->generation))
        return ds_fail(DATASTALL_ERR_FORKED, "the monitor belongs to the parent process");
    if (interval_s == 0.0)
        interval_s = 1.0;
    if (!(interval_s >= 0.05 && interval_s <= 86400.0))
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the interval is %g s; 0.05 to 86400", interval_s);
    if (rf_entry_count(monitor->writer, RF_SECTION_GPUS) == 0)
        return DATASTALL_OK; /* the launcher samples */
    int error = DATASTALL_OK;
    pthread_mutex_lock(&monitor->mutex);
    if (monitor->on_close != NULL) {
        error = ds_fail(DATASTALL_ERR_EXISTS, "the GPUs are sampled already");
    } else {
        const struct gpu_sampler_options options = {.vendor = &gpu_nvml,
                                                    .writer = monitor->writer,
                                                    .interval_s = interval_s,
                                                    .stage = &monitor->current_stage};
        struct gpu_sampler *sampler = gpu_sampler_start(&options);
        if (sampler == NULL) {
            error = ds_fail(DATASTALL_ERR_MEMORY, "cannot start the sampling thread");
        } else {
            monitor->on_close_context = sampler;
            monitor->on_close = stop_sampler;
        }
    }
    pthread_mutex_unlock(&monitor->mutex);
    return error;
}

void datastall_gpu_sampling_stop(datastall_monitor *monitor)
{
    if (monitor == NULL || !ds_fork_same_process(monitor->generation))
        return;
    pthread_mutex_lock(&monitor->mutex);
    void (*stop)(void *) = monitor->on_close;
    void *sampler = monitor->on_close_context;
    monitor->on_close = NULL;
    pthread_mutex_unlock(&monitor->mutex);
    if (stop != NULL)
        stop(sampler);
}
