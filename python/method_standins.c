/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "method_standins.h"

#include "base/clock.h"
#include "base/hot.h"
#include "beside.h"
#include "errors.h"
#include "standin.h"
#include "thread.h"
#include "timed_iter.h"
#include "timed_next.h"
#include "types.h"

struct next_call {
    Standin *self;
    PyObject *const *args;
    size_t flagged_count;
};

DS_EACH_WAIT static PyObject *call_original(void *context)
{
    struct next_call *call = context;
    return standin_call_row(call->self, call->args, call->flagged_count, NULL);
}

/* The consumer of an iterator whose making was not seen: helper(iterator) makes it. A new reference;
 * NULL, without an error, where there is none. */
static PyObject *adopt(const Standin *self, PyObject *iterator)
{
    standin_hide();
    PyObject *consumer = PyObject_CallFunctionObjArgs(self->helper, iterator, NULL);
    standin_show();
    errors_forget();
    return consumer;
}

DS_EACH_WAIT static PyObject *next_call(PyObject *callable, PyObject *const *args,
                                        size_t flagged_count, PyObject *names)
{
    Standin *self = (Standin *)callable;
    /* A wrapper of the program's may hand on keywords of which there are none. */
    const bool has_keywords = names != NULL && PyTuple_Size(names) > 0;
    if (DS_SELDOM(thread.timed_depth > 0 || has_keywords || standin_count(flagged_count) != 1))
        return standin_call_row(self, args, flagged_count, names);
    PyObject *iterator = args[0], *kept = beside_get(iterator), *batch = NULL;
    Py_XINCREF(kept);
    if (DS_SELDOM(kept == NULL))
        kept = adopt(self, iterator);
    Consumer *consumer = kept == NULL ? NULL : consumer_type_cast(kept);
    struct next_call call = {self, args, flagged_count};
    if (errors_raise_kept())
        batch = NULL;
    else if (DS_SELDOM(consumer == NULL))
        batch = standin_call_row(self, args, flagged_count, NULL);
    else
        batch = timed_next(consumer, call_original, &call, iterator);
    Py_XDECREF(kept);
    return batch;
}

/* Calls before(); false with an error that is the program's. */
static bool call_before(const Standin *self)
{
    if (self->before == Py_None)
        return true;
    standin_hide();
    PyObject *done = PyObject_CallFunctionObjArgs(self->before, NULL);
    standin_show();
    Py_XDECREF(done);
    errors_forget();
    return !errors_raise_kept();
}

/* Drops a helper's answer and any error of ours. result, or NULL with an error of the program's. */
static PyObject *result_after(PyObject *answer, PyObject *result)
{
    Py_XDECREF(answer);
    errors_forget();
    if (errors_raise_kept())
        Py_CLEAR(result);
    return result;
}

/* helper(args, kwargs, result, begin_ns, end_ns) once the original returned; only the outermost timed
 * call of a thread. */
static PyObject *around_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    if (thread.timed_depth > 0)
        return standin_call_method(self, args, kwargs);
    if (!call_before(self))
        return NULL;
    struct timed_iter timed;
    timed_iter_begin(&timed);
    PyObject *result = standin_call_method(self, args, kwargs);
    timed_iter_end(&timed);
    if (result == NULL)
        return NULL;
    thread.timed_depth++;
    standin_hide();
    PyObject *answer = PyObject_CallFunction(
        self->helper, "OOOKK", args, kwargs != NULL ? kwargs : Py_None, result,
        (unsigned long long)timed.begin_ns, (unsigned long long)timed.end_ns);
    standin_show();
    thread.timed_depth--;
    return result_after(answer, result);
}

/* helper(args, kwargs, result, ns) once the original returned, after so long; in every process and at every
 * depth. */
static PyObject *after_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    const uint64_t begin_ns = ds_now_ns();
    PyObject *result = PyObject_Call(self->original, args, kwargs);
    if (result == NULL)
        return NULL;
    const uint64_t took_ns = ds_now_ns() - begin_ns;
    standin_hide();
    PyObject *answer =
        PyObject_CallFunction(self->helper, "OOOK", args, kwargs != NULL ? kwargs : Py_None, result,
                              (unsigned long long)took_ns);
    standin_show();
    return result_after(answer, result);
}

STANDIN_ROW_NEW(next_new, next_call)
static PyType_Slot next_slots[] =
    STANDIN_ROW_SLOTS(next_new, "Stands in for an iterator's __next__.");
static PyType_Slot around_slots[] =
    STANDIN_SLOTS(around_call, "Stands in for a method; calls helper after it.");
static PyType_Spec next_spec = STANDIN_ROW_SPEC("TimedNext", next_slots);
static PyType_Spec around_spec = STANDIN_SPEC("Around", around_slots);
static PyType_Slot after_slots[] =
    STANDIN_SLOTS(after_call, "Stands in for a function; calls helper after it.");
static PyType_Spec after_spec = STANDIN_SPEC("After", after_slots);

int method_standins_add(PyObject *module)
{
    return types_add(module, &next_spec, NULL) < 0 || types_add(module, &around_spec, NULL) < 0
               ? -1
               : types_add(module, &after_spec, NULL);
}
