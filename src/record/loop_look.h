/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at the thread that takes batches: what it and its process did during a wait. Belongs to that
 * thread, and neither allocates nor blocks. */
#ifndef DATASTALL_RECORD_LOOP_LOOK_H
#define DATASTALL_RECORD_LOOP_LOOK_H

#include <stdbool.h>

#include "host/thread_times.h"
#include "stats/cause.h"

struct loop_look {
    int schedstat;
    uint64_t thread;    /* that it tells of; 0: not opened */
    uint64_t looked_ns; /* when a wait last began with a look */
    bool looking;       /* the wait under way did */
    bool was_long;      /* the last that did was worth it */
    struct host_thread_times begin;
};

#define LOOP_LOOK_INIT {.schedstat = -1}

/* A wait begins: three system calls, where the last such look is old enough. */
void loop_look_begin(struct loop_look *look, uint64_t now_ns, bool expects_short);
/* It ended; only of one that began with a look. */
void loop_look_end(const struct loop_look *look, struct cause_loop *loop);
void loop_look_close(struct loop_look *look);

#endif
