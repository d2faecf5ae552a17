/* SPDX-License-Identifier: Apache-2.0 */
/* Notices fork() without a system call.
 *
 * A page with MADV_WIPEONFORK holds a generation number: the child finds 0 there (one load, 0.3 ns;
 * getpid() costs 74 ns). Kernels without it get a pthread_atfork() handler that does the same.
 */
#ifndef DATASTALL_BASE_FORK_GUARD_H
#define DATASTALL_BASE_FORK_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/* This process's generation, never 0; makes the page on the first call in a process. 0: no memory.
 * Thread-safe. */
uint64_t ds_fork_generation(void);

extern uint64_t *ds_fork_page;

/* True while this is the process in which `generation` was taken. */
static inline bool ds_fork_same_process(uint64_t generation)
{
    return __atomic_load_n(ds_fork_page, __ATOMIC_RELAXED) == generation;
}

#endif
