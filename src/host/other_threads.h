/* SPDX-License-Identifier: Apache-2.0 */
/* What the other threads of this process did so far, by the kernel's books. */
#ifndef DATASTALL_HOST_OTHER_THREADS_H
#define DATASTALL_HOST_OTHER_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "host/host_file.h"

#define HOST_OTHER_THREADS 128u /* of more some are not looked at */

/* Sums over the threads: they shrink when one ends. */
struct host_other_threads {
    uint64_t cpu_ns;   /* as of each one's last switch */
    uint64_t delay_ns; /* runnable and waiting for a CPU */
};

/* Sums over all threads but `own`, a kernel thread id. Some 3 us a thread. False: the kernel does not
 * tell; sums are left as they are. */
bool host_other_threads_read(const char *root, uint64_t own, struct host_other_threads *sums);

#endif
