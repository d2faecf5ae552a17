/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "timed_iter.h"

#include "base/clock.h"
#include "exposed_stall.h"
#include "record/feed.h"
#include "thread.h"

static const struct stall_bounds unknown_stall = {RF_UNKNOWN, RF_UNKNOWN};

/* What is known of the iter() that this thread timed last, for the timed_iter_record() that follows
 * it. */
static _Thread_local struct {
    struct stall_bounds stall;
    int device; /* on which it was */
    uint64_t sampler_ns;
} last = {{RF_UNKNOWN, RF_UNKNOWN}, 0, 0};

static uint64_t take_sampler_ns(void)
{
    const uint64_t ns = thread.sampler_ns;
    thread.sampler_ns = 0;
    return ns;
}

void timed_iter_begin(struct timed_iter *timed)
{
    timed->device = 0;
    timed->stall_asked = exposed_stall_begin_iter(&timed->mark, &timed->device);
    timed->begin_ns = ds_now_ns();
    take_sampler_ns();
    thread.timed_depth++;
}

void timed_iter_end(struct timed_iter *timed)
{
    thread.timed_depth--;
    timed->end_ns = ds_now_ns();
    last.sampler_ns = take_sampler_ns();
    last.stall = unknown_stall;
    last.device = timed->device;
    if (timed->stall_asked)
        stall_probe_end(&timed->mark, timed->end_ns - timed->begin_ns, &last.stall);
}

void timed_iter_record(datastall_loader *loader, uint64_t begin_ns, uint64_t end_ns,
                       enum datastall_wait_kind kind)
{
    struct wait_cause cause;
    feed_iter_cause(begin_ns, end_ns > begin_ns ? end_ns : begin_ns, last.sampler_ns, &cause);
    last.sampler_ns = 0;
    if (last.stall.upper_ns != RF_UNKNOWN)
        monitor_slot_on_device(loader, last.device);
    monitor_wait_record(loader, end_ns, end_ns > begin_ns ? end_ns - begin_ns : 0, kind, NULL,
                        &last.stall, &cause);
    last.stall = unknown_stall;
}

/* iter(), timed: (iterator, begin_ns, end_ns); begin_ns is None inside another timed call. */
static PyObject *timed_iter(PyObject *module, PyObject *iterable)
{
    (void)module;
    PyObject *iterator;
    if (thread.timed_depth > 0) {
        iterator = PyObject_GetIter(iterable);
        return iterator == NULL ? NULL : Py_BuildValue("(NOO)", iterator, Py_None, Py_None);
    }
    struct timed_iter timed;
    timed_iter_begin(&timed);
    iterator = PyObject_GetIter(iterable);
    timed_iter_end(&timed);
    return iterator == NULL ? NULL
                            : Py_BuildValue("(NKK)", iterator, (unsigned long long)timed.begin_ns,
                                            (unsigned long long)timed.end_ns);
}

static PyMethodDef functions[] = {
    {"timed_iter", timed_iter, METH_O, "iter(), timed: (iterator, begin_ns, end_ns)."},
    {NULL, NULL, 0, NULL}};

int timed_iter_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
