/* Keeps a program alive when a file that it has mapped is cut short from outside.
 *
 * Touching a page beyond a truncated file's end raises SIGBUS. The handler puts anonymous memory
 * over the whole guarded range, raises its flag and returns, so the store that faulted goes on
 * (into nothing that is kept). Any other SIGBUS goes to the handler that was there before. A
 * program that installs its own SIGBUS handler later, without calling the old one, loses this
 * protection.
 */
#ifndef DATASTALL_BASE_FAULT_GUARD_H
#define DATASTALL_BASE_FAULT_GUARD_H

#include <stddef.h>
#include <stdint.h>

/* Guards [start, start + bytes). *lost becomes 1 when the range was replaced. Returns a handle for
 * ds_fault_unguard(), or -1 when no place is left (64 ranges) or the handler could not be set. */
int ds_fault_guard(void *start, size_t bytes, uint64_t *lost);
void ds_fault_unguard(int handle);

/* In a forked child, from an atfork handler: another thread of the parent may have held the lock.
 * The child keeps the ranges, which it has mapped as well. */
void ds_fault_guard_after_fork(void);

#endif
