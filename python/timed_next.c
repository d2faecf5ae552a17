/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "timed_next.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/hot.h"
#include "errors.h"
#include "exposed_stall.h"
#include "loop_causes.h"
#include "monitor_type.h"
#include "phases.h"
#include "thread.h"

/* Says once in a process what went wrong in a measure(). */
DS_COLD static void say_measure_failed(void)
{
    static bool said;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *text = said || value == NULL ? NULL : PyObject_Repr(value);
    PyObject *bytes = text == NULL ? NULL : PyUnicode_AsEncodedString(text, "utf-8", "replace");
    if (bytes != NULL) {
        said = true;
        ds_say("measure() failed: %s; what its batches are made of is unknown",
               PyBytes_AsString(bytes));
    }
    errors_forget();
    Py_XDECREF(bytes);
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

DS_COLD static void measure_by_callable(Consumer *self, PyObject *batch, datastall_batch *out)
{
    PyObject *answer = PyObject_CallFunctionObjArgs(self->measure, batch, NULL);
    if (answer == NULL || !composition_from_answer(answer, out)) {
        *out = (datastall_batch)DATASTALL_BATCH_INIT;
        if (PyErr_ExceptionMatches(PyExc_Exception))
            say_measure_failed();
        else
            errors_forget(); /* kept, and raised when the batch is recorded */
    }
    Py_XDECREF(answer);
}

/* One next() from its call to its return. */
struct next {
    Consumer *consumer;
    uint64_t end_ns;
    bool may_be_short, stall_is_under_way;
    struct stall_bounds stall;
    datastall_wait wait;
    struct exposed_stall asked;
    PyObject *iterator; /* borrowed; NULL: not one of torch's */
};

DS_HOT static void record(struct next *next, enum datastall_wait_kind kind,
                          const datastall_batch *batch)
{
    struct wait_cause cause;
    struct feed *feed = next->consumer->feed;
    /* Of a loop around any iterable nothing more is known; a stall that becomes known later is counted
     * once, with the cause that says so. */
    if (feed == NULL && !next->stall_is_under_way) {
        monitor_wait_end(&next->wait, next->end_ns, kind, batch, &next->stall, NULL);
        return;
    }
    feed_wait_end(feed, next->end_ns, kind, &cause);
    cause.stall_is_under_way = next->stall_is_under_way;
    monitor_wait_end(&next->wait, next->end_ns, kind, batch, &next->stall, &cause);
}

/* Looks at what came and records it. No error is set before or after. */
DS_HOT static void end_with_batch(struct next *next, PyObject *batch)
{
    Consumer *self = next->consumer;
    datastall_batch out = DATASTALL_BATCH_INIT;
    if (next->may_be_short)
        monitor_note_quiet(&next->wait, next->end_ns);
    thread.timed_depth++; /* whatever measure() iterates is not the program's waiting */
    if (self->measure != NULL)
        measure_by_callable(self, batch, &out);
    else
        composition_measure(&self->composition, batch, &out);
    record(next, self->batches == 0 ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY, &out);
    self->batches++;
    const Monitor *monitor = self->loader->owner;
    monitor_type_note_host(monitor, next->end_ns, &self->host_noted_ns);
    /* At batches 1, 2, 4, 8 ...: a program may start to use the GPU after its first batch. */
    if ((self->batches & (self->batches - 1)) == 0)
        monitor_type_ask_gpu(monitor);
    thread.timed_depth--;
}

/* Records the end of the iterator, or its failure. */
DS_COLD static void end_without_batch(struct next *next, const struct errors_raised *raised)
{
    const bool no_more =
        raised->type == NULL || PyErr_GivenExceptionMatches(raised->type, PyExc_StopIteration);
    record(next, no_more ? DATASTALL_WAIT_END : DATASTALL_WAIT_FAILED, NULL);
    if (no_more)
        consumer_type_end(next->consumer, next->end_ns, false);
    else
        consumer_type_tell_failure(next->consumer, next->iterator);
}

DS_HOT PyObject *timed_next(Consumer *consumer, PyObject *(*call)(void *context), void *context,
                            PyObject *iterator)
{
    if (thread.timed_depth > 0 || consumer->inner == NULL)
        return call(context);
    Py_INCREF(consumer); /* the program may drop the iterator while it waits */
    if (!consumer->feed_asked)
        consumer_type_ask_feed(consumer, iterator);
    struct next next;
    next.consumer = consumer;
    next.iterator = iterator;
    next.wait = datastall_wait_begin(consumer->inner);
    /* The first of an epoch opens files, shuffles ... */
    const bool quiet = consumer->batches > 0 && monitor_is_quiet(&next.wait);
    const struct loop_wait before =
        loop_wait_begin(consumer->feed, iterator, next.wait.begin_ns, quiet);
    next.may_be_short = consumer->feed == NULL ? iterator == NULL : consumer->feed->may_be_short;
    exposed_stall_begin(&next.wait, quiet && next.may_be_short, &next.asked);
    thread.timed_depth++;
    PyObject *batch = call(context);
    thread.timed_depth--;
    next.end_ns = ds_now_ns();
    /* Nothing below may meet the program's error: whatever runs Python code drops its own. */
    struct errors_raised raised = ERRORS_NONE_RAISED;
    if (batch == NULL)
        errors_set_aside(&raised);
    loop_wait_end(before);
    const uint64_t begin_ns = next.wait.begin_ns;
    next.stall_is_under_way = exposed_stall_end(&next.asked, &next.wait, next.end_ns, &next.stall);
    phases_wait(consumer->inner, begin_ns, next.end_ns, batch != NULL);
    if (next.asked.slot != NULL)
        phases_stream(&next.asked, next.end_ns);
    if (batch == NULL) {
        end_without_batch(&next, &raised);
        errors_put_back(&raised);
    } else {
        end_with_batch(&next, batch);
    }
    if (errors_raise_kept()) /* a signal handler raised while we looked */
        Py_CLEAR(batch);
    Py_DECREF(consumer);
    return batch;
}
