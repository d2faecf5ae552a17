/* SPDX-License-Identifier: Apache-2.0 */
/* What a loop's wait went into, seen beside the loop: stand-ins for taking a batch off the queue, for
 * the sampler and for pinning, and what torch's iterator has handed out and received. */
#ifndef DATASTALL_PYTHON_LOOP_CAUSES_H
#define DATASTALL_PYTHON_LOOP_CAUSES_H

#include <Python.h>

#include "record/feed.h"

/* TimedGet, TimedSampler, TimedPin. */
int loop_causes_add(PyObject *module);

/* The wait of this thread that is under way (thread.h). */
struct loop_wait {
    struct feed *feed;
    PyObject *iterator;
};

/* Begins a wait and returns the one before, for loop_wait_end(). quiet: as for feed_wait_begin(). */
struct loop_wait loop_wait_begin(struct feed *feed, PyObject *iterator, uint64_t now_ns,
                                 bool quiet);
void loop_wait_end(struct loop_wait before);

#endif
