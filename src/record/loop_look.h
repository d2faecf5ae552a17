/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at the thread that takes batches: what it and its process did during a wait. Belongs to that
 * thread, and neither allocates nor blocks. */
#ifndef DATASTALL_RECORD_LOOP_LOOK_H
#define DATASTALL_RECORD_LOOP_LOOK_H

#include <stdbool.h>

#include "host/other_threads.h"
#include "host/thread_times.h"
#include "stats/cause.h"

struct loop_look {
    int schedstat;
    uint64_t thread;    /* that it tells of; 0: not opened */
    uint64_t looked_ns; /* when a wait last began with a look */
    bool looking;       /* the wait under way did */
    bool was_long;      /* the last that did was worth it */
    struct host_thread_times begin;
    /* At the other threads, once in a while in a crowd. */
    uint64_t others_next_ns; /* the next look, at the earliest */
    struct host_other_threads others;
    double others_busy; /* see cause_loop; 0: not known */
};

#define LOOP_LOOK_INIT {.schedstat = -1}

/* A wait begins: three system calls, where the last such look is old enough. */
void loop_look_begin(struct loop_look *look, uint64_t now_ns, bool expects_short);
/* It ended after so long; only of one that began with a look. Where it was long and the loop's thread
 * waited for a CPU, the other threads are looked at, each half a second. */
void loop_look_end(struct loop_look *look, uint64_t now_ns, uint64_t wait_ns,
                   struct cause_loop *loop);
void loop_look_close(struct loop_look *look);

#endif
