/* SPDX-License-Identifier: Apache-2.0 */
/* What a wait cost the GPU (gpu/stall.h), asked of the device and stream that the waiting thread uses
 * as torch's own functions name them. None of these sets an error. */
#ifndef DATASTALL_PYTHON_EXPOSED_STALL_H
#define DATASTALL_PYTHON_EXPOSED_STALL_H

#include <Python.h>

#include "gpu/stall.h"

int exposed_stall_add(PyObject *module);

struct exposed_stall {
    struct monitor_slot *slot; /* NULL: nothing is asked */
    bool carries;              /* what was true of the waits before is taken to be of this one */
    uint64_t stream;
    struct stall_mark mark;
};

/* Right after a wait's begin: the program waits for this as well. May move the wait to a slot of its
 * device. */
void exposed_stall_ask(datastall_wait *wait, struct exposed_stall *asked);

/* True: the stall becomes known later. */
bool exposed_stall_end(struct exposed_stall *asked, const datastall_wait *wait, uint64_t end_ns,
                       struct stall_bounds *stall);

/* For a wait without a slot: making an iterator. False: nothing can be asked. */
bool exposed_stall_begin_iter(struct stall_mark *mark, int *device);

/* The thread's CUDA context and stream, where one asks outside of a wait; false: not known. */
bool exposed_stall_place(void **context, uint64_t *stream);

static inline void exposed_stall_begin(datastall_wait *wait, bool expects_short,
                                       struct exposed_stall *asked)
{
    asked->slot = NULL;
    asked->carries = false;
    if (!stall_is_enabled() || wait->loader == NULL)
        return;
    asked->carries = expects_short && stall_carries(wait->slot);
    if (!asked->carries)
        exposed_stall_ask(wait, asked);
}

#endif
