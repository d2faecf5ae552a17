/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps a program alive when a file that it has mapped is cut short from outside.
 *
 * Touching a page beyond a truncated file's end raises SIGBUS. The handler puts anonymous memory
 * over the whole guarded range, raises its flag and returns, so the store that faulted goes on
 * (into nothing that is kept). Any other SIGBUS is the program's: the handler steps aside for the
 * action that it covers and lets the fault happen again, or sends the signal again, so that the
 * program's own handler, or none, gets it from the kernel as it would without us.
 *
 * A program (or torch in a worker, or faulthandler) may set an action of its own at any time. So
 * the guard looks again before it is needed: whoever writes to a guarded range calls
 * ds_fault_guard_keep() first. It covers what it finds with another handler function than the one
 * that was there before: an owner who puts back what it once replaced gets just that.
 *
 * Not guarded: a thread that blocks SIGBUS (the kernel ends the process at a fault then), and what
 * is written within DS_FAULT_GUARD_LOOK_NS of the moment at which a new action was set. A program
 * that asks with sigaction() what handles SIGBUS may be told ours.
 */
#ifndef DATASTALL_BASE_FAULT_GUARD_H
#define DATASTALL_BASE_FAULT_GUARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"

/* A look costs a system call (0.1 to 0.6 us), so there is one in such a time at most. */
#define DS_FAULT_GUARD_LOOK_NS UINT64_C(1000000)

/* Guards [start, start + bytes). *lost becomes 1 when the range was replaced. Returns a handle for
 * ds_fault_unguard(), or -1 when no place is left (64 ranges) or the handler could not be set. */
int ds_fault_guard(void *start, size_t bytes, uint64_t *lost);
void ds_fault_unguard(int handle);

/* Puts the handler back in place if something else is there now. Any thread; never blocks. */
void ds_fault_guard_renew(void);

/* The same when the last look is DS_FAULT_GUARD_LOOK_NS old. now_ns: CLOCK_MONOTONIC; one that
 * went back means a look. */
extern uint64_t ds_fault_guard_looked_ns;
static inline void ds_fault_guard_keep(uint64_t now_ns)
{
    if (now_ns - ds_load(&ds_fault_guard_looked_ns) >= DS_FAULT_GUARD_LOOK_NS) {
        ds_store(&ds_fault_guard_looked_ns, now_ns);
        ds_fault_guard_renew();
    }
}

/* In a forked child, from an atfork handler: another thread of the parent may have held the lock.
 * The child keeps the ranges, which it has mapped as well. */
void ds_fault_guard_after_fork(void);

#endif
