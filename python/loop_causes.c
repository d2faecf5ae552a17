/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "loop_causes.h"

#include "base/clock.h"
#include "base/hot.h"
#include "beside.h"
#include "errors.h"
#include "record/pin_threads.h"
#include "standin.h"
#include "thread.h"
#include "types.h"

/* The CPU time of taking a batch off the queue is asked for at each so manieth. Not at the first: what it takes
 * to unpickle something for the first time (imports, memory) is paid once, and is no eighth of all. */
#define GET_CPU_EVERY 8u
#define GET_CPU_AT 1u

/* What torch's iterator counts and keeps. */
static PyObject *name_received, *name_sent, *name_tasks;

DS_EACH_WAIT static bool number_of(PyObject *object, PyObject *name, uint64_t *number)
{
    PyObject *value = beside_held(object, name);
    const long long got = value != NULL && PyLong_Check(value) ? PyLong_AsLongLong(value) : -1;
    errors_forget();
    *number = (uint64_t)got;
    return got >= 0;
}

/* The worker that has task `index`: _task_info[index] is (worker,) or (worker, data). */
DS_HOT static uint32_t worker_of(PyObject *tasks, uint64_t index)
{
    PyObject *key = PyLong_FromUnsignedLongLong(index);
    PyObject *task =
        key != NULL && PyDict_CheckExact(tasks) ? PyDict_GetItemWithError(tasks, key) : NULL;
    PyObject *worker = task != NULL && PyTuple_Check(task) && PyTuple_Size(task) > 0
                           ? PyTuple_GetItem(task, 0)
                           : NULL;
    const long number = worker != NULL && PyLong_Check(worker) ? PyLong_AsLong(worker) : -1;
    Py_XDECREF(key);
    errors_forget();
    return number >= 0 && number < (long)FEED_WORKERS ? (uint32_t)number : FEED_NO_ENTRY;
}

/* Tells the feed what was handed out since it was last told. */
DS_HOT static void follow_tasks(struct feed *feed, PyObject *iterator, uint64_t sent)
{
    if (sent < feed->sent_until) /* an epoch began that nobody told of */
        feed_next_epoch(feed);
    if (feed->sent_until >= sent)
        return;
    PyObject *tasks = beside_held(iterator, name_tasks);
    while (tasks != NULL && feed->sent_until < sent)
        feed_sent(feed, feed->sent_until, worker_of(tasks, feed->sent_until));
}

/* What the iterator counts; false: it cannot be read. */
DS_HOT static __attribute__((noinline)) bool ask_counts(struct feed *feed, PyObject *iterator,
                                                        uint64_t *next, uint64_t *sent)
{
    if (!number_of(iterator, name_received, next) || !number_of(iterator, name_sent, sent))
        return false;
    follow_tasks(feed, iterator, *sent);
    return true;
}

DS_EACH_WAIT struct loop_wait loop_wait_begin(struct feed *feed, PyObject *iterator,
                                              uint64_t now_ns, bool quiet)
{
    struct thread *const here = DS_KEPT(&thread);
    const struct loop_wait before = {here->feed, here->iterator};
    here->feed = NULL;
    here->iterator = NULL;
    if (feed != NULL)
        feed->may_be_short = false;
    if (DS_SELDOM(feed == NULL || iterator == NULL || !ds_fork_same_process(feed->fork_generation)))
        return before;
    uint64_t next = 0, sent = 0;
    if (feed->workers > 0 && !ask_counts(feed, iterator, &next, &sent))
        return before;
    feed_wait_begin(feed, now_ns, next, sent, quiet);
    here->feed = feed;
    here->iterator = iterator;
    return before;
}

DS_WAIT_END void loop_wait_end(struct loop_wait before)
{
    thread.feed = before.feed;
    thread.iterator = before.iterator;
}

/* The wait under way, if it is that of the iterator whose method is called. */
DS_EACH_WAIT static struct feed *feed_of_call(PyObject *const *args, size_t flagged_count)
{
    if (thread.feed == NULL || standin_count(flagged_count) == 0 || args[0] != thread.iterator ||
        !ds_fork_same_process(thread.feed->fork_generation))
        return NULL;
    return thread.feed;
}

/* Whose batch came: as it was told when its index was handed out, or as the iterator still knows. False:
 * nothing can be known. */
DS_HOT static bool worker_of_arrival(struct feed *feed, PyObject *iterator, uint64_t index,
                                     uint32_t *worker)
{
    if (feed_knows_worker(feed, index, worker))
        return true;
    PyObject *tasks = beside_held(iterator, name_tasks);
    if (tasks == NULL)
        return false;
    *worker = worker_of(tasks, index);
    while (feed->sent_until <= index) /* handed out during this very wait */
        feed_sent(feed, feed->sent_until, worker_of(tasks, feed->sent_until));
    return true;
}

/* What _try_get_data() returned: (True, (index, data)); index is a number for batches only, and for
 * an object of end_type, which says that a worker's stream has no more. */
DS_HOT static void note_arrival(struct feed *feed, PyObject *iterator, PyObject *result,
                                PyObject *end_type, uint64_t now_ns)
{
    if (!PyTuple_Check(result) || PyTuple_Size(result) != 2 ||
        PyTuple_GetItem(result, 0) != Py_True)
        return;
    PyObject *message = PyTuple_GetItem(result, 1);
    PyObject *first =
        PyTuple_Check(message) && PyTuple_Size(message) > 0 ? PyTuple_GetItem(message, 0) : NULL;
    uint64_t next;
    if (first == NULL || !PyLong_Check(first) || !number_of(iterator, name_received, &next))
        return;
    const long long index = PyLong_AsLongLong(first);
    errors_forget();
    uint32_t worker;
    if (index >= 0 && worker_of_arrival(feed, iterator, (uint64_t)index, &worker)) {
        if (PyTuple_Size(message) == 2 && Py_TYPE(PyTuple_GetItem(message, 1)) == (void *)end_type)
            feed_ended(feed, worker);
        else
            feed_arrived(feed, (uint64_t)index, worker, (uint64_t)index == next, now_ns);
    }
}

DS_HOT static PyObject *get_call(PyObject *callable, PyObject *const *args, size_t flagged_count,
                                 PyObject *names)
{
    Standin *self = (Standin *)callable;
    struct feed *feed = feed_of_call(args, flagged_count);
    if (feed == NULL)
        return standin_call_row(self, args, flagged_count, names);
    const bool ask_cpu = feed->gets++ % GET_CPU_EVERY == GET_CPU_AT;
    const uint64_t cpu_ns = ask_cpu ? ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID) : 0;
    PyObject *result = standin_call_row(self, args, flagged_count, names);
    const uint64_t now_ns = ds_now_ns();
    /* The wait may have ended meanwhile, in a signal handler that iterates. */
    if (result == NULL || feed_of_call(args, flagged_count) != feed)
        return result;
    if (ask_cpu) {
        feed->get_cpu_ns += ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
        feed->get_cpu_batches++;
    }
    note_arrival(feed, args[0], result, self->helper, now_ns);
    return result;
}

DS_EACH_WAIT static PyObject *sampler_call(PyObject *callable, PyObject *const *args,
                                           size_t flagged_count, PyObject *names)
{
    const uint64_t begin_ns = ds_now_ns();
    PyObject *index = standin_call_row((Standin *)callable, args, flagged_count, names);
    const uint64_t end_ns = ds_now_ns();
    thread.sampler_ns += end_ns - begin_ns;
    struct feed *feed = feed_of_call(args, flagged_count);
    if (feed != NULL)
        feed_laid_over(feed, begin_ns, end_ns, CAUSE_SAMPLER);
    return index;
}

/* pin_memory() calls itself for what is inside a batch: the outermost call counts. */
static PyObject *pin_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    if (thread.pin_depth > 0)
        return PyObject_Call(self->original, args, kwargs);
    thread.pin_depth++;
    const uint64_t begin_ns = ds_now_ns();
    PyObject *pinned = PyObject_Call(self->original, args, kwargs);
    const uint64_t end_ns = ds_now_ns();
    thread.pin_depth--;
    if (thread.feed == NULL)
        pin_threads_note(begin_ns, end_ns);
    else if (ds_fork_same_process(thread.feed->fork_generation))
        feed_laid_over(thread.feed, begin_ns, end_ns, CAUSE_PIN);
    return pinned;
}

STANDIN_ROW_NEW(get_new, get_call)
STANDIN_ROW_NEW(sampler_new, sampler_call)
static PyType_Slot get_slots[] = STANDIN_ROW_SLOTS(get_new, "Stands in for _try_get_data().");
static PyType_Slot sampler_slots[] = STANDIN_ROW_SLOTS(sampler_new, "Stands in for _next_index().");
static PyType_Slot pin_slots[] = STANDIN_SLOTS(pin_call, "Stands in for pin_memory().");
static PyType_Spec get_spec = STANDIN_ROW_SPEC("TimedGet", get_slots);
static PyType_Spec sampler_spec = STANDIN_ROW_SPEC("TimedSampler", sampler_slots);
static PyType_Spec pin_spec = STANDIN_SPEC("TimedPin", pin_slots);

int loop_causes_add(PyObject *module)
{
    name_received = PyUnicode_InternFromString("_rcvd_idx");
    name_sent = PyUnicode_InternFromString("_send_idx");
    name_tasks = PyUnicode_InternFromString("_task_info");
    if (name_received == NULL || name_sent == NULL || name_tasks == NULL)
        return -1;
    return types_add(module, &get_spec, NULL) < 0 || types_add(module, &sampler_spec, NULL) < 0
               ? -1
               : types_add(module, &pin_spec, NULL);
}
