/* SPDX-License-Identifier: Apache-2.0 */
/* What the making of a batch went into, seen where it is made: stand-ins for a fetcher's fetch(), its
 * collate_fn and the pickling of what is sent; in workers, and in the loop's own process with
 * num_workers=0. */
#ifndef DATASTALL_PYTHON_FETCH_CAUSES_H
#define DATASTALL_PYTHON_FETCH_CAUSES_H

#include <Python.h>

/* TimedFetch, TimedDumps, Collate, Fetch, worker_epoch(), worker_end(). */
int fetch_causes_add(PyObject *module);

#endif
