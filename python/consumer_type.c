/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "consumer_type.h"

#include "base/hot.h"
#include "errors.h"
#include "loader_type.h"
#include "standin.h"
#include "types.h"

static PyTypeObject *consumer_type;
static PyObject *feed_opener; /* callable(consumer, iterator) of the hooks */

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

static int consumer_clear(Consumer *self)
{
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

static PyObject *consumer_epoch(Consumer *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(self->feed == NULL ? 0 : self->feed->epoch);
}

Consumer *consumer_type_cast(PyObject *object)
{
    return Py_TYPE(object) == consumer_type ? (Consumer *)object : NULL;
}

DS_COLD void consumer_type_ask_feed(Consumer *self, PyObject *iterator)
{
    self->feed_asked = true;
    if (feed_opener == NULL || iterator == NULL)
        return;
    standin_hide();
    PyObject *answer = PyObject_CallFunctionObjArgs(feed_opener, (PyObject *)self, iterator, NULL);
    standin_show();
    Py_XDECREF(answer);
    errors_forget();
}

static PyObject *set_feed_opener(PyObject *module, PyObject *opener)
{
    (void)module;
    Py_INCREF(opener);
    Py_XDECREF(feed_opener);
    feed_opener = opener;
    Py_RETURN_NONE;
}

static PyMethodDef consumer_methods[] = {
    {"open_feed", (PyCFunction)consumer_open_feed, METH_VARARGS,
     "open_feed(workers, prefetch_factor, pids, epoch, iter_begin_ns, pin_thread, in_order) -> "
     "bool: say what feeds the iterator."},
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

static PyMethodDef functions[] = {
    {"set_feed_opener", set_feed_opener, METH_O,
     "set_feed_opener(opener): opener(consumer, iterator) says what feeds an iterator."},
    {NULL, NULL, 0, NULL}};

int consumer_type_add(PyObject *module)
{
    return types_add(module, &consumer_spec, &consumer_type) < 0
               ? -1
               : PyModule_AddFunctions(module, functions);
}
