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

/* What stands around the loaders is looked at at most so often. */
#define HOST_NOTES_NS (DS_NS_PER_S / 4)

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
    struct thread *thread;
    Consumer *consumer;
    uint64_t end_ns;
    datastall_wait wait;
    PyObject *iterator; /* borrowed; NULL: not one of torch's */
    struct stall_bounds stall;
    bool is_asked_about; /* what feeds the loop, and the GPU */
    bool may_be_short, stall_is_under_way;
    struct loop_wait before;    /* where it is */
    struct exposed_stall asked; /* where it is */
};

DS_EACH_WAIT static void begin_questions(struct next *next)
{
    Consumer *consumer = next->consumer;
    struct feed *feed = consumer->feed;
    /* The first of an epoch opens files, shuffles ... */
    const bool quiet = consumer->batches > 0 && monitor_is_quiet(&next->wait);
    next->before = loop_wait_begin(feed, next->iterator, next->wait.begin_ns, quiet);
    next->may_be_short = feed == NULL ? next->iterator == NULL : feed->may_be_short;
    exposed_stall_begin(&next->wait, quiet && next->may_be_short, &next->asked);
}

DS_WAIT_END static void end_questions(struct next *next)
{
    loop_wait_end(next->before);
    next->stall_is_under_way =
        exposed_stall_end(&next->asked, &next->wait, next->end_ns, &next->stall);
}

DS_WAIT_END static void record(struct next *next, enum datastall_wait_kind kind,
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

/* Read for every batch: not from where the compiler puts constants. */
static datastall_batch nothing_known DS_HOT_DATA = DATASTALL_BATCH_INIT;

/* Looks at what came and records it. No error is set before or after. */
DS_WAIT_END static void end_with_batch(struct next *next, PyObject *batch)
{
    Consumer *self = next->consumer;
    datastall_batch out = nothing_known;
    if (next->may_be_short)
        monitor_note_quiet(&next->wait, next->end_ns);
    next->thread->timed_depth++; /* whatever measure() iterates is not the program's waiting */
    if (DS_SELDOM(self->measure != NULL))
        measure_by_callable(self, batch, &out);
    else
        composition_measure(&self->composition, batch, &out);
    record(next, self->batches == 0 ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY, &out);
    monitor_note_ahead(self->inner, &next->wait, &self->ahead);
    self->batches++;
    if (DS_SELDOM(next->end_ns - self->host_noted_ns > HOST_NOTES_NS)) {
        self->host_noted_ns = next->end_ns;
        monitor_note_host(self->loader->owner->monitor, next->end_ns, false);
    }
    /* At batches 1, 2, 4, 8 ...: a program may start to use the GPU after its first batch. */
    if (DS_SELDOM((self->batches & (self->batches - 1)) == 0))
        monitor_type_ask_gpu(self->loader->owner);
    next->thread->timed_depth--;
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

DS_EACH_WAIT PyObject *timed_next(Consumer *consumer, PyObject *(*call)(void *context),
                                  void *context, PyObject *iterator)
{
    struct next next;
    next.thread = DS_KEPT(&thread);
    if (DS_SELDOM(next.thread->timed_depth > 0 || consumer->inner == NULL))
        return call(context);
    monitor_fetch_ahead(&consumer->ahead);
    tensor_fetch_ahead();
    Py_INCREF(consumer); /* the program may drop the iterator while it waits */
    Py_XINCREF(iterator);
    if (DS_SELDOM(!consumer->feed_asked))
        consumer_type_ask_feed(consumer, iterator);
    next.consumer = consumer;
    next.iterator = iterator;
    next.wait = datastall_wait_begin(consumer->inner);
    next.is_asked_about = consumer->feed != NULL || stall_is_enabled();
    next.may_be_short = next.stall_is_under_way = false;
    if (next.is_asked_about)
        begin_questions(&next);
    else
        next.stall = (struct stall_bounds)STALL_BOUNDS_UNKNOWN;
    next.thread->timed_depth++;
    PyObject *batch = call(context);
    next.thread->timed_depth--;
    next.end_ns = ds_now_ns();
    /* Nothing below may meet the program's error: whatever runs Python code drops its own. */
    struct errors_raised raised = ERRORS_NONE_RAISED;
    if (DS_SELDOM(batch == NULL))
        errors_set_aside(&raised);
    if (next.is_asked_about)
        end_questions(&next);
    phases_wait(consumer->inner, next.wait.begin_ns, next.end_ns, batch != NULL);
    if (next.is_asked_about && next.asked.slot != NULL)
        phases_stream(&next.asked, next.end_ns);
    if (DS_SELDOM(batch == NULL)) {
        end_without_batch(&next, &raised);
        errors_put_back(&raised);
    } else {
        end_with_batch(&next, batch);
    }
    if (errors_raise_kept()) /* a signal handler raised while we looked */
        Py_CLEAR(batch);
    Py_XDECREF(iterator);
    Py_DECREF(consumer);
    return batch;
}
