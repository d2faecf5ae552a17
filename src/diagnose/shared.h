/* A device that several processes consume: what their stalls say of it. Pure. */
#ifndef DATASTALL_DIAGNOSE_SHARED_H
#define DATASTALL_DIAGNOSE_SHARED_H

#include <stddef.h>

#include "diagnose/summary.h"

/* What one process did with the device, in its window. */
struct shared_use {
    uint64_t begin_ns, end_ns;
    struct summary_stall stall;
};

struct shared_stall {
    /* In the device's time, which passes once however many processes wait: at most the union of what
     * the processes say, and lower_ns what all of them that were there at a time must have stalled
     * together. A stall of one says nothing of the device while another one may keep it busy. */
    struct summary_stall stall;
    uint64_t most_ns; /* upper_ns, and the waiting of which nothing is known */
    uint32_t at_once; /* processes whose windows overlap, directly or through others: the most */
};

/* Sorts the uses by their beginning. */
struct shared_stall shared_stall_of(struct shared_use *uses, uint32_t count);

/* Narrows it by the time in which the device did nothing, of a window of window_ns: there is no
 * stall of a busy device, and what was idle beyond the time in which a process may have worked was
 * stalled. is_exact: else idle_ns is too small (NVML), which is good for "at least" only. */
void shared_stall_narrow(struct shared_stall *shared, uint64_t window_ns, uint64_t idle_ns,
                         uint64_t longest_ns, bool is_exact);

#endif
