/* SPDX-License-Identifier: Apache-2.0 */
/* The making of an iterator, timed: iter() of a watched iterable, __iter__() of a loader. */
#ifndef DATASTALL_PYTHON_TIMED_ITER_H
#define DATASTALL_PYTHON_TIMED_ITER_H

#include <Python.h>

#include "gpu/stall.h"

int timed_iter_add(PyObject *module);

struct timed_iter {
    uint64_t begin_ns, end_ns;
    struct stall_mark mark;
    bool stall_asked;
    int device; /* on which */
};

/* Around the call. Between them the thread is in a timed call. */
void timed_iter_begin(struct timed_iter *timed);
void timed_iter_end(struct timed_iter *timed);

/* Records the iter() that this thread timed last, between these times, as a wait without a batch. */
void timed_iter_record(datastall_loader *loader, uint64_t begin_ns, uint64_t end_ns,
                       enum datastall_wait_kind kind);

#endif
