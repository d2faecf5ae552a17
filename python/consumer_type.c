/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "consumer_type.h"

#include "base/clock.h"
#include "base/hot.h"
#include "errors.h"
#include "loader_type.h"
#include "phases.h"
#include "standin.h"
#include "timed_iter.h"
#include "types.h"

static PyTypeObject *consumer_type;
/* of the hooks: callable(consumer, iterator) */
static PyObject *feed_opener, *failure_teller;

static PyObject *consumer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loader", "measure", "ask_feed", NULL};
    PyObject *object, *measure = Py_None;
    int ask_feed = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|Op:Consumer", names, &object, &measure,
                                     &ask_feed))
        return NULL;
    Loader *loader = loader_type_cast(object);
    Consumer *self = loader == NULL ? NULL : (Consumer *)types_new(type);
    if (self == NULL)
        return NULL;
    Py_INCREF(loader);
    self->loader = loader;
    self->inner = loader->loader;
    self->feed_asked = ask_feed == 0;
    if (measure != Py_None) {
        Py_INCREF(measure);
        self->measure = measure;
    }
    return (PyObject *)self;
}

static int consumer_traverse(Consumer *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->measure);
    return 0;
}

void consumer_type_end(Consumer *self, uint64_t end_ns, bool dropped)
{
    if (self->iterating && self->inner != NULL)
        monitor_iteration_ends(self->inner, end_ns, dropped);
    self->iterating = false;
    self->ended = self->ended || !dropped;
}

static int consumer_clear(Consumer *self)
{
    consumer_type_end(self, ds_now_ns(), true);
    feed_close(self->feed);
    self->feed = NULL;
    self->inner = NULL;
    Py_CLEAR(self->loader);
    Py_CLEAR(self->measure);
    return 0;
}

static void consumer_dealloc(Consumer *self)
{
    PyObject_GC_UnTrack(self);
    consumer_clear(self);
    types_free((PyObject *)self);
}

static PyObject *consumer_open_feed(Consumer *self, PyObject *args)
{
    struct feed_options options = {0};
    unsigned long long prefetch, epoch, begin_ns, pin_thread;
    uint64_t pids[FEED_WORKERS] = {0};
    PyObject *pid_tuple;
    int in_order;
    if (!PyArg_ParseTuple(args, "IKO!KKKp:open_feed", &options.workers, &prefetch, &PyTuple_Type,
                          &pid_tuple, &epoch, &begin_ns, &pin_thread, &in_order))
        return NULL;
    for (Py_ssize_t i = 0; i < PyTuple_Size(pid_tuple) && i < (Py_ssize_t)FEED_WORKERS; i++)
        pids[i] = PyLong_AsUnsignedLongLong(PyTuple_GetItem(pid_tuple, i));
    if (PyErr_Occurred())
        return NULL;
    options.prefetch_factor = prefetch;
    options.pids = pids;
    options.epoch = epoch;
    options.iter_begin_ns = begin_ns;
    options.pin_thread = pin_thread;
    options.in_order = in_order != 0;
    self->feed_asked = true;
    if (self->feed == NULL && self->inner != NULL)
        self->feed = feed_open(self->inner, &options);
    return PyBool_FromLong(self->feed != NULL);
}

static PyObject *consumer_begin(Consumer *self, PyObject *args)
{
    unsigned long long begin_ns, end_ns;
    if (!PyArg_ParseTuple(args, "KK:begin", &begin_ns, &end_ns))
        return NULL;
    if (self->inner != NULL && !self->iterating) {
        monitor_iteration_begins(self->inner, begin_ns);
        self->iterating = true;
        self->ended = false;
        timed_iter_record(self->inner, begin_ns, end_ns, DATASTALL_WAIT_ITER);
        phases_wait(self->inner, begin_ns, end_ns, false);
    }
    Py_RETURN_NONE;
}

static PyObject *consumer_end(Consumer *self, PyObject *args)
{
    unsigned long long begin_ns, end_ns;
    int kept;
    if (!PyArg_ParseTuple(args, "KKp:end", &begin_ns, &end_ns, &kept))
        return NULL;
    /* Whose last next() came has ended its workers, unless it keeps them. */
    if (self->inner != NULL && (!self->ended || kept))
        timed_iter_record(self->inner, begin_ns, end_ns, DATASTALL_WAIT_END);
    consumer_type_end(self, end_ns, true);
    Py_RETURN_NONE;
}

static PyObject *consumer_worker_ended(Consumer *self, PyObject *args)
{
    unsigned int number;
    int status;
    if (!PyArg_ParseTuple(args, "Ii:worker_ended", &number, &status))
        return NULL;
    if (self->feed != NULL)
        feed_worker_ended(self->feed, number, status);
    Py_RETURN_NONE;
}

static PyObject *consumer_epoch(Consumer *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(self->feed == NULL ? 0 : self->feed->epoch);
}

DS_EACH_WAIT Consumer *consumer_type_cast(PyObject *object)
{
    return Py_TYPE(object) == consumer_type ? (Consumer *)object : NULL;
}

static void call_hook(PyObject *hook, Consumer *self, PyObject *iterator)
{
    if (hook == NULL || iterator == NULL)
        return;
    standin_hide();
    PyObject *answer = PyObject_CallFunctionObjArgs(hook, (PyObject *)self, iterator, NULL);
    standin_show();
    Py_XDECREF(answer);
    errors_forget();
}

DS_COLD void consumer_type_ask_feed(Consumer *self, PyObject *iterator)
{
    self->feed_asked = true;
    call_hook(feed_opener, self, iterator);
}

DS_COLD void consumer_type_tell_failure(Consumer *self, PyObject *iterator)
{
    call_hook(failure_teller, self, iterator);
}

static void take_hook(PyObject **place, PyObject *hook)
{
    PyObject *before = *place;
    Py_INCREF(hook);
    *place = hook;
    Py_XDECREF(before);
}

static PyObject *set_feed_hooks(PyObject *module, PyObject *args)
{
    PyObject *opener, *teller;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:set_feed_hooks", &opener, &teller))
        return NULL;
    take_hook(&feed_opener, opener);
    take_hook(&failure_teller, teller);
    Py_RETURN_NONE;
}

static PyMethodDef consumer_methods[] = {
    {"open_feed", (PyCFunction)consumer_open_feed, METH_VARARGS,
     "open_feed(workers, prefetch_factor, pids, epoch, iter_begin_ns, pin_thread, in_order) -> "
     "bool: say what feeds the iterator."},
    {"begin", (PyCFunction)consumer_begin, METH_VARARGS,
     "begin(begin_ns, end_ns): its iterator was made, between these two times."},
    {"end", (PyCFunction)consumer_end, METH_VARARGS,
     "end(begin_ns, end_ns, kept): its iterator was ended by other than its last next(). kept: its "
     "workers go on from epoch to epoch."},
    {"worker_ended", (PyCFunction)consumer_worker_ended, METH_VARARGS,
     "worker_ended(number, status): the exit status of a worker's process, negative: a signal."},
    {"epoch", (PyCFunction)consumer_epoch, METH_NOARGS,
     "The epoch of its workers, from 1; 0: nothing is known of what feeds it."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot consumer_slots[] = {{Py_tp_new, consumer_new},
                                       {Py_tp_dealloc, consumer_dealloc},
                                       {Py_tp_traverse, consumer_traverse},
                                       {Py_tp_clear, consumer_clear},
                                       {Py_tp_methods, consumer_methods},
                                       {Py_tp_doc, "Records what one iterator hands out."},
                                       {0, NULL}};
static PyType_Spec consumer_spec = {"datastall._core.Consumer", sizeof(Consumer), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, consumer_slots};

static PyMethodDef functions[] = {{"set_feed_hooks", set_feed_hooks, METH_VARARGS,
                                   "set_feed_hooks(opener, teller): opener(consumer, iterator) "
                                   "says what feeds an iterator, teller "
                                   "what became of its workers once next() raised."},
                                  {NULL, NULL, 0, NULL}};

int consumer_type_add(PyObject *module)
{
    return types_add(module, &consumer_spec, &consumer_type) < 0
               ? -1
               : PyModule_AddFunctions(module, functions);
}
