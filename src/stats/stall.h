/* What of the waiting for data the GPU felt: one kind of figure for a wait, a loader, a stage, a
 * device, a process. Pure arithmetic; the terms are those of docs/measuring.md.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_STATS_STALL_H
#define DATASTALL_STATS_STALL_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/sums.h"
#include "base/unknown.h"

/* The exposed part of one wait: at least lower_ns, at most upper_ns. DS_UNKNOWN both: not known, or
 * not yet. */
struct stall_bounds {
    uint64_t lower_ns, upper_ns;
    bool carried; /* nobody asked: it is taken to be like the short waits before it */
};
#define STALL_BOUNDS_UNKNOWN {DS_UNKNOWN, DS_UNKNOWN}

/* Of waiting_ns, known_ns is the waiting whose exposed part is known; of that between lower_ns and
 * upper_ns were exposed, the rest was hidden behind GPU work. Each is a part of the one before. */
struct stall {
    uint64_t waiting_ns, known_ns, lower_ns, upper_ns;
};

/* Each cut to the one before: figures of a file that is being written need not be of one moment. */
static inline struct stall stall_of(uint64_t waiting_ns, uint64_t known_ns, uint64_t lower_ns,
                                    uint64_t upper_ns)
{
    struct stall stall = {.waiting_ns = waiting_ns};
    stall.known_ns = ds_least(known_ns, stall.waiting_ns);
    stall.upper_ns = ds_least(upper_ns, stall.known_ns);
    stall.lower_ns = ds_least(lower_ns, stall.upper_ns);
    return stall;
}

static inline void stall_add(struct stall *to, const struct stall *from)
{
    to->waiting_ns = ds_add(to->waiting_ns, from->waiting_ns);
    to->known_ns = ds_add(to->known_ns, from->known_ns);
    to->lower_ns = ds_add(to->lower_ns, from->lower_ns);
    to->upper_ns = ds_add(to->upper_ns, from->upper_ns);
}

/* Waiting of which nothing is known. */
static inline uint64_t stall_unknown_ns(const struct stall *stall)
{
    return ds_subtract(stall->waiting_ns, stall->known_ns);
}

/* Surely hidden behind GPU work. */
static inline uint64_t stall_hidden_ns(const struct stall *stall)
{
    return ds_subtract(stall->known_ns, stall->upper_ns);
}

/* The exposed stall at most: waiting of which nothing is known counts as exposed. */
static inline uint64_t stall_most_ns(const struct stall *stall)
{
    return ds_add(stall->upper_ns, stall_unknown_ns(stall));
}

/* The share of the waiting whose exposed part is known; NaN where nothing was told. */
static inline double stall_coverage(const struct stall *stall)
{
    return stall->known_ns == 0 ? NAN : (double)stall->known_ns / (double)stall->waiting_ns;
}

/* What fits into a span of time in which it all was: a union of waits is no longer than that. */
struct stall stall_within(const struct stall *stall, uint64_t span_ns);

/* Where nobody saw the waits: of a window in which the program waited for waiting_ns and the GPU was
 * idle for idle_ns, at least so much idling must have been while it waited, and at most so much can.
 */
struct stall_bounds stall_of_idle(uint64_t window_ns, uint64_t waiting_ns, uint64_t idle_ns);

/* ---- a device that several processes consume ---- */

/* What one process did with the device, in its window. */
struct stall_use {
    uint64_t begin_ns, end_ns;
    struct stall stall;
};

struct stall_shared {
    /* In the device's time, which passes once however many processes wait: at most the union of what
     * the processes say, and lower_ns what all of them that were there at a time must have stalled
     * together. A stall of one says nothing of the device while another one may keep it busy. */
    struct stall stall;
    uint64_t most_ns; /* upper_ns, and the waiting of which nothing is known */
    uint32_t at_once; /* processes whose windows overlap, directly or through others: the most */
};

/* Sorts the uses by their beginning. */
struct stall_shared stall_share(struct stall_use *uses, uint32_t count);

/* Narrows it by the time in which the device did nothing, of a window of window_ns: there is no
 * stall of a busy device, and what was idle beyond the time in which a process may have worked (all
 * but longest_ns, the longest stall of one) was stalled. is_exact: else idle_ns is too small (NVML),
 * which is good for "at least" only. */
void stall_share_narrow(struct stall_shared *shared, uint64_t window_ns, uint64_t idle_ns,
                        uint64_t longest_ns, bool is_exact);

#endif
