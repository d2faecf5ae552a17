/* SPDX-License-Identifier: Apache-2.0 */
/* Phases of a step (record/steps.h), told from the places of torch that every program passes: stand-ins
 * for torch's backward and for torch.save, what the hooks around an optimizer's step call, the waits. */
#ifndef DATASTALL_PYTHON_PHASES_H
#define DATASTALL_PYTHON_PHASES_H

#include <Python.h>

#include "exposed_stall.h"
#include "record/steps.h"
#include "thread.h"

int phases_add(PyObject *module);

/* Whose steps are followed: the hooks' recording; NULL: nobody's. */
extern datastall_monitor *phases_monitor;

/* An iter() or a next() of the loader, outside of any other, is over; got: a batch came. */
static inline void phases_wait(const datastall_loader *loader, uint64_t begin_ns, uint64_t end_ns,
                               bool got)
{
    if (loader->monitor == phases_monitor)
        steps_wait(loader, begin_ns, end_ns, got);
}

/* The wait knew the stream that the thread's work goes to: it is asked from now on, and torch's
 * allocator about once a second. */
void phases_stream(const struct exposed_stall *asked, uint64_t now_ns);

#endif
