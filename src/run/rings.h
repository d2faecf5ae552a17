/* SPDX-License-Identifier: Apache-2.0 */
/* The last waits and the last batches of the workers, one by one, as the rings of a process's file still
 * hold them. Damage is left out: run_data_read() has counted it. */
#ifndef DATASTALL_RUN_RINGS_H
#define DATASTALL_RUN_RINGS_H

#include "run/run_data.h"

struct run_ring_wait {
    uint32_t loader, kind, stage; /* kind: enum datastall_wait_kind */
    uint64_t thread;
    uint64_t begin_ns, end_ns, batch, samples;
    struct stall_bounds exposed; /* DATASTALL_UNKNOWN both: not told */
};

/* One batch in its worker. */
struct run_ring_work {
    uint32_t loader;
    uint64_t worker; /* RF_WORKER_MAIN: the loop's own process */
    uint64_t begin_ns, items_end_ns, end_ns;
    uint64_t cpu_ns, delay_ns, items, slowest_ns, slowest_index; /* as RF_WORK_... */
    bool failed;
};

struct run_rings {
    uint32_t wait_count, work_count;
    struct run_ring_wait *waits; /* in the order of their begin */
    struct run_ring_work *work;
};

/* Of the process's file in the run's folder. 0, or an error with its sentence. Free them. */
int run_rings_read(const struct run_data *data, const struct run_process *process,
                   struct run_rings *rings);
void run_rings_free(struct run_rings *rings);

#endif
