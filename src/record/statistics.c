/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the statistics back in the process that records, without stopping it. */
#include <string.h>

#include "base/versioned.h"
#include "record/monitor.h"

#define ALL_LOADERS UINT32_MAX

static void add_slot(const datastall_monitor *monitor, uint64_t index, struct rf_totals *totals)
{
    const struct rf_writer *writer = monitor->writer;
    const struct rf_source source = {.memory = writer->map, .fd = -1, .bytes = writer->bytes};
    const uint64_t at = (uint64_t)(rf_entry(writer, RF_SECTION_SLOTS, index) - writer->map);
    struct rf_slot_view view;
    enum rf_view_status status = rf_slot_view_read(&source, &writer->slot_layout, at,
                                                   RF_PART_TABLES, monitor->scratch, &view);
    /* Damage can only come from outside; the counters are then still the best that there is. */
    if (status == RF_VIEW_OK || status == RF_VIEW_DAMAGED)
        rf_totals_add(totals, &view);
}

static int statistics_of(const datastall_monitor *monitor, uint32_t loader,
                         datastall_statistics *statistics)
{
    if (!ds_fork_same_process(monitor->generation))
        return monitor_fail_forked();
    /* The mutex and the scratch space are no part of what a caller may see change. */
    datastall_monitor *m = (datastall_monitor *)monitor;
    pthread_mutex_lock(&m->mutex);
    memset(m->totals, 0, sizeof *m->totals);
    for (uint32_t i = 0; i < m->slot_count; i++) {
        if (m->slots[i].used && (loader == ALL_LOADERS || m->slots[i].loader == loader))
            add_slot(monitor, i, m->totals);
    }
    if (m->overflow.used && (loader == ALL_LOADERS || loader == 0))
        add_slot(monitor, m->slot_count, m->totals);
    datastall_statistics whole;
    rf_totals_statistics(m->totals, &whole);
    pthread_mutex_unlock(&m->mutex);
    return ds_give_struct(statistics, &whole, sizeof whole, "statistics");
}

int datastall_loader_statistics(const datastall_loader *loader, datastall_statistics *statistics)
{
    if (loader == NULL)
        return monitor_fail_off();
    return statistics_of(loader->monitor, loader->index, statistics);
}

int datastall_monitor_statistics(const datastall_monitor *monitor, datastall_statistics *statistics)
{
    if (monitor == NULL)
        return monitor_fail_off();
    return statistics_of(monitor, ALL_LOADERS, statistics);
}
