/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps a signal that a system call of ours may raise in this thread (SIGPIPE, SIGXFSZ) from the
 * program: its disposition is its own, and other threads may count on theirs. */
#ifndef DATASTALL_BASE_SIGNAL_GUARD_H
#define DATASTALL_BASE_SIGNAL_GUARD_H

#include <signal.h>
#include <stdbool.h>

struct ds_signal_guard {
    int signal_number;
    sigset_t before;
    bool was_pending;
};

/* From here on the signal waits; ds_signal_release() takes it back if it came. Leaves errno as it
 * is. One thread, both calls. */
void ds_signal_hold(int signal_number, struct ds_signal_guard *guard);
void ds_signal_release(const struct ds_signal_guard *guard);

/* Both that writing may raise: of a pipe without a reader, of a file that may not grow. */
struct ds_write_guard {
    struct ds_signal_guard pipe, size;
};
void ds_write_hold(struct ds_write_guard *guard);
void ds_write_release(const struct ds_write_guard *guard);

#endif
