/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on now: the last seconds of runs, devices, loaders and ranks, and the last minute second
 * by second. Pure functions of a summary and the time. Shares are 0..1; NaN: not known. */
#ifndef DATASTALL_OUTPUT_RECENT_H
#define DATASTALL_OUTPUT_RECENT_H

#include "diagnose/summary.h"

#define RECENT_S 10u  /* what "now" averages over */
#define HISTORY_S 60u /* seconds kept; [HISTORY_S - 1] is the last whole one */

struct recent_waits {
    double stall[HISTORY_S]; /* share of each second: exposed where told, else waited */
    double stall_share;      /* of the last RECENT_S */
    double samples_per_s, tokens_per_s, batches_per_s;
};

/* The waits of a process's loaders (verdict's only), NULL loader: of all of them. */
void recent_of_process(const struct summary *summary, uint32_t process, uint64_t now_ns,
                       struct recent_waits *recent);
void recent_of_loader(const struct summary *summary, const struct summary_loader *loader,
                      uint64_t now_ns, struct recent_waits *recent);
/* Rates are sums, shares are means over the processes that go on. */
void recent_of_run(const struct summary *summary, uint64_t now_ns, struct recent_waits *recent);

struct recent_gpu {
    double busy[HISTORY_S], stall[HISTORY_S];
    double busy_share, stall_share; /* of the last RECENT_S */
    bool stall_is_bound;            /* at most, as that of the whole window */
    double other_share;             /* what is left, from exact sources only */
    uint64_t memory_used_bytes;     /* of the last sample; DATASTALL_UNKNOWN */
    double power_w;
};
void recent_of_gpu(const struct summary *summary, uint32_t gpu, uint64_t now_ns,
                   struct recent_gpu *recent);

/* The rank that the others wait for: the one whose stall share is the largest and at least 5 points
 * above the median of two or more. shares: one per process. UINT32_MAX: none. */
uint32_t recent_straggler(const double *shares, uint32_t count);

#endif
