/* SPDX-License-Identifier: Apache-2.0 */
/* A run over time: what its files still hold of each span of it, as finely as they do. Pure. Shares are
 * 0..1; NaN: not known. */
#ifndef DATASTALL_DIAGNOSE_SERIES_H
#define DATASTALL_DIAGNOSE_SERIES_H

#include "diagnose/summary.h"

#define SERIES_MOST RF_ROLLUP_BUCKETS

/* The last spans of one length, of all processes. Times are seconds since the first wait of the machine
 * that a process is on. */
struct series {
    uint64_t width_s;
    uint32_t count;
    double begin_s[SERIES_MOST];
    double stall[SERIES_MOST]; /* of the time in which processes waited or could have */
    double batches_per_s[SERIES_MOST], samples_per_s[SERIES_MOST], tokens_per_s[SERIES_MOST];
    double wait_mean_ms[SERIES_MOST], wait_max_ms[SERIES_MOST];
    /* Of the devices: mean share, sum of their power, the most memory that one of them had in use. */
    double busy[SERIES_MOST], power_w[SERIES_MOST], memory_bytes[SERIES_MOST];
    double other[SERIES_MOST]; /* neither busy nor stalled: from exact sources only */
};

/* Level 0 has spans of a second, each further one four times as long; the coarsest that is needed has
 * all of the run. Returns how many levels there are, 0 without waits. */
uint32_t series_levels(const struct summary *summary);
void series_of(const struct summary *summary, uint32_t level, struct series *series);

/* One process's stall; one device's busy share, memory in use (bytes) and power (watts): in the spans of
 * series_of(). memory and power may be NULL. */
void series_of_process(const struct summary *summary, uint32_t process, uint32_t level,
                       double stall[SERIES_MOST]);
void series_of_gpu(const struct summary *summary, uint32_t gpu, uint32_t level,
                   double busy[SERIES_MOST], double *memory_bytes, double *power_w);

/* The number of the first of these spans in the histories of a process (run/history.h). */
uint64_t series_first_number(const struct summary *summary, uint32_t process, uint32_t level);

#endif
