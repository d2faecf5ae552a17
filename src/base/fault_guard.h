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
 * is written between two looks, after a new action was set. They are DS_FAULT_GUARD_LOOK_NS apart at
 * first, and twice as long after each that finds ours in place, up to DS_FAULT_GUARD_MOST_NS: who sets
 * handlers does so when it begins. A program that asks with sigaction() what handles SIGBUS may be told
 * ours.
 */
#ifndef DATASTALL_BASE_FAULT_GUARD_H
#define DATASTALL_BASE_FAULT_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"

/* A look costs a system call: 0.1 to 0.6 us, and some 3 us after a step that used the caches. */
#define DS_FAULT_GUARD_LOOK_NS UINT64_C(1000000)
#define DS_FAULT_GUARD_MOST_NS (128 * DS_FAULT_GUARD_LOOK_NS)

/* Guards [start, start + bytes). *lost becomes 1 when the range was replaced. Returns a handle for
 * ds_fault_unguard(), or -1 when no place is left (64 ranges) or the handler could not be set. */
int ds_fault_guard(void *start, size_t bytes, uint64_t *lost);
void ds_fault_unguard(int handle);

/* Puts the handler back in place if something else is there now. False: it was, or that could not be told.
 * Any thread; never blocks. */
bool ds_fault_guard_renew(void);

/* The same when it is time for the next look. now_ns: CLOCK_MONOTONIC; one that went back means a look. */
struct ds_fault_guard_looks {
    uint64_t looked_ns, every_ns;
};
extern struct ds_fault_guard_looks ds_fault_guard_looks;
void ds_fault_guard_look(uint64_t now_ns);
static inline void ds_fault_guard_keep(uint64_t now_ns)
{
    const struct ds_fault_guard_looks *looks = &ds_fault_guard_looks;
    if (now_ns - ds_load(&looks->looked_ns) >= ds_load(&looks->every_ns))
        ds_fault_guard_look(now_ns);
}

/* In a forked child, from an atfork handler: another thread of the parent may have held the lock.
 * The child keeps the ranges, which it has mapped as well. */
void ds_fault_guard_after_fork(void);

#endif
