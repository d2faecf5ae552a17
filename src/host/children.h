/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that a process started and that live on, and what they run: a pool, a decoder, a server. */
#ifndef DATASTALL_HOST_CHILDREN_H
#define DATASTALL_HOST_CHILDREN_H

#include "host/host_file.h"

#define HOST_CHILDREN 64u /* of more some are not looked at */

struct host_child {
    uint64_t pid, start_ticks;
    uint64_t cpu_ns; /* that it ran so far, with those that it waited for */
    bool of_worker;  /* a worker started it, or one that a worker started */
};

/* As of the last look; zeros before the first. */
struct host_children {
    uint32_t count;
    struct host_child child[HOST_CHILDREN];
    /* What they ran from look to look, as far as both saw them: those of the process itself, and of its
     * workers. Who lives from no look to the next is not in it: whoever waits for it has its time. */
    uint64_t own_cpu_ns, workers_cpu_ns;
};

/* Looks at the descendants of the calling process, whose pid is `pid`, along the links from parent to
 * child. Its workers are left out, and theirs are told apart. False: the kernel does not tell. */
bool host_children_look(const char *root, uint64_t pid, const uint64_t *workers,
                        uint32_t worker_count, struct host_children *children);

#endif
