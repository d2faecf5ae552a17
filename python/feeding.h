/* How batches are made and come to the loop, seen from torch's own functions: fetch() in workers
 * and in the loop's process; _try_get_data(), _next_index() and pin_memory() beside the loop. */
#ifndef DATASTALL_PYTHON_FEEDING_H
#define DATASTALL_PYTHON_FEEDING_H

#include <Python.h>
#include <stdbool.h>

#include "record/feed.h"

bool feeding_prepare(void);
int feeding_add(PyObject *module);

/* The wait of this thread that is under way: what feeds it, and its iterator (both borrowed). */
struct feeding_wait {
    struct feed *feed; /* NULL: no wait, or nothing is known of what feeds it */
    PyObject *iterator;
};

/* Begins a wait and returns the one before, for feeding_end(). */
struct feeding_wait feeding_begin(struct feed *feed, PyObject *iterator, uint64_t now_ns);
void feeding_end(struct feeding_wait before);

/* Time spent in samplers by this thread since this was last asked. */
uint64_t feeding_sampler_ns(void);

/* The feed of a Consumer object; NULL for anything else, and where it has none. */
struct feed *core_feed_of(PyObject *consumer);
/* The C monitor of a Monitor object; NULL for anything else. */
datastall_monitor *core_monitor_of(PyObject *monitor);

#endif
