/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of each thread of the program, together, so that a wait finds it in one place. */
#ifndef DATASTALL_PYTHON_THREAD_H
#define DATASTALL_PYTHON_THREAD_H

#include <Python.h>
#include <stdint.h>

#include "base/hot.h"

struct feed;
struct worker;

/* An error of Python that is set aside. */
struct errors_raised {
    PyObject *type, *value, *traceback;
};

struct thread {
    /* Only the outermost timed call counts: a loader inside a loader is part of its wait. */
    int timed_depth;
    int fetch_depth, pin_depth; /* the same for fetch() and pin_memory() */
    /* The wait under way: what feeds it (NULL: no wait, or nothing is known of that), and its
     * iterator; both borrowed. */
    struct feed *feed;
    PyObject *iterator;
    struct worker *fetching;   /* whose fetch() is under way */
    uint64_t sampler_ns;       /* spent in samplers since it was last taken */
    struct errors_raised kept; /* see errors_forget() */
} DS_LINE_ALIGNED;

extern _Thread_local struct thread thread;

#endif
