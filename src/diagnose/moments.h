/* SPDX-License-Identifier: Apache-2.0 */
/* What the batches that a run file keeps one by one (runfile/stretches.h: spread evenly over the run) say
 * of the waits for them. Pure. Times are nanoseconds from the first wait of the machine; NaN: not known. */
#ifndef DATASTALL_DIAGNOSE_MOMENTS_H
#define DATASTALL_DIAGNOSE_MOMENTS_H

#include "diagnose/summary.h"

#define MOMENTS_MOST RF_STRETCHES
#define MOMENTS_SLOW 3u /* slow waits that are shown with all that went on */
#define MOMENT_BATCHES RF_STRETCH_ROWS

/* A stretch of consecutive batches. */
struct moment {
    double at_ns;
    uint32_t waits;
    double wait_p50_ns, wait_p95_ns, wait_max_ns;
    double ready_mean; /* batches in turn that were made when the loop asked for one */
    double causes
        [CAUSE_STATES]; /* shares of the waiting, or of its exposed part where that is known */
};

/* A batch around a slow wait; times from the begin of that wait. */
struct moment_batch {
    uint64_t batch;
    uint32_t worker;                    /* UINT32_MAX: not known */
    double begun_ns, items_ns, made_ns; /* in its worker: begun, items there, collated */
    double asked_ns, got_ns;            /* in the loop: next() was called, and returned */
};
struct moment_slow {
    double at_ns, wait_ns;
    uint64_t batch;
    uint32_t count;
    struct moment_batch batches[MOMENT_BATCHES];
};

struct moments {
    uint32_t count, slow_count;
    struct moment of[MOMENTS_MOST];        /* in the order of time */
    struct moment_slow slow[MOMENTS_SLOW]; /* the longest first, each of another stretch */
    double possible;                       /* batches that may be made ahead; NaN */
};

/* Of a loader of whom stretches are kept; false: there are none, or no memory. */
bool moments_of(const struct summary *summary, const struct summary_loader *loader,
                struct moments *moments);

#endif
