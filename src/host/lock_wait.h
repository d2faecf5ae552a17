/* SPDX-License-Identifier: Apache-2.0 */
/* Whether another process waits for a lock that processes share: one of multiprocessing, of a file. */
#ifndef DATASTALL_HOST_LOCK_WAIT_H
#define DATASTALL_HOST_LOCK_WAIT_H

#include <stdbool.h>
#include <stdint.h>

enum host_lock_wait {
    HOST_LOCK_UNKNOWN, /* the kernel does not say, it is not ours to see, or an emulator runs this */
    HOST_LOCK_NO,      /* it runs, or waits for something else */
    HOST_LOCK_YES
};

/* Of the main thread of a process, by the system call that it is in (/proc/PID/syscall): some 30 us, for
 * which that process is not stopped; the caller waits where it is being replaced by another program. */
enum host_lock_wait host_lock_wait_of(const char *root, uint64_t pid);

/* "202 0x7f1000 0x109 ...", "running": what that file holds. */
enum host_lock_wait host_parse_lock_wait(const char *text);

#endif
