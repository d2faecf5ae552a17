/* SPDX-License-Identifier: Apache-2.0 */
/* When loaders are iterated over. What lies between two iterations is a pause: the program was about
 * something else (a notebook's next cell, a checkpoint), and no wait is a share of it. */
#include "base/fault_guard.h"
#include "base/sums.h"
#include "record/monitor.h"

static uint64_t begin(struct monitor_iterations *iterations, uint64_t begin_ns)
{
    const bool paused = iterations->under_way++ == 0 && iterations->last_end_ns != 0;
    return paused ? ds_subtract(begin_ns, iterations->last_end_ns) : 0;
}

static void end(struct monitor_iterations *iterations, uint64_t end_ns)
{
    if (iterations->under_way > 0)
        iterations->under_way--;
    if (end_ns > iterations->last_end_ns)
        iterations->last_end_ns = end_ns;
}

void monitor_count_object(datastall_loader *loader)
{
    if (monitor_is_recording(loader->monitor))
        rf_count_object(loader->monitor->writer, loader->index);
}

void monitor_iteration_begins(datastall_loader *loader, uint64_t begin_ns)
{
    datastall_monitor *monitor = loader->monitor;
    if (!monitor_is_recording(monitor))
        return;
    ds_fault_guard_keep(begin_ns);
    pthread_mutex_lock(&monitor->mutex);
    rf_count_pause(monitor->writer, loader->index, begin(&loader->iterations, begin_ns),
                   begin(&monitor->iterations, begin_ns));
    pthread_mutex_unlock(&monitor->mutex);
}

void monitor_iteration_ends(datastall_loader *loader, uint64_t end_ns, bool dropped)
{
    datastall_monitor *monitor = loader->monitor;
    if (!monitor_is_recording(monitor))
        return;
    if (dropped)
        rf_count_dropped(monitor->writer, loader->index);
    pthread_mutex_lock(&monitor->mutex);
    end(&loader->iterations, end_ns);
    end(&monitor->iterations, end_ns);
    pthread_mutex_unlock(&monitor->mutex);
}
