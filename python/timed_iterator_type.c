/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "timed_iterator_type.h"

#include "base/hot.h"
#include "timed_next.h"
#include "types.h"

typedef struct {
    PyObject_HEAD PyObject *iterator;
    iternextfunc next; /* of its type, which cannot change; NULL: ask the type each time */
    Consumer *consumer;
} TimedIterator;

/* The slot itself, and not PyIter_Next(): that would drop what a generator returns. */
static iternextfunc next_of(PyTypeObject *type)
{
    return (iternextfunc)PyType_GetSlot(type, Py_tp_iternext);
}

static PyObject *timed_iterator_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"iterator", "consumer", NULL};
    PyObject *iterator, *consumer;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:TimedIterator", names, &iterator, &consumer))
        return NULL;
    if (!PyIter_Check(iterator) || consumer_type_cast(consumer) == NULL) {
        PyErr_SetString(PyExc_TypeError, "TimedIterator needs an iterator and a Consumer");
        return NULL;
    }
    TimedIterator *self = (TimedIterator *)types_new(type);
    if (self == NULL)
        return NULL;
    Py_INCREF(iterator);
    Py_INCREF(consumer);
    self->iterator = iterator;
    if (!(PyType_GetFlags(Py_TYPE(iterator)) & Py_TPFLAGS_HEAPTYPE))
        self->next = next_of(Py_TYPE(iterator));
    self->consumer = (Consumer *)consumer;
    return (PyObject *)self;
}

static int timed_iterator_traverse(TimedIterator *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->iterator);
    Py_VISIT(self->consumer);
    return 0;
}

static int timed_iterator_clear(TimedIterator *self)
{
    Py_CLEAR(self->iterator);
    Py_CLEAR(self->consumer);
    return 0;
}

static void timed_iterator_dealloc(TimedIterator *self)
{
    PyObject_GC_UnTrack(self);
    timed_iterator_clear(self);
    types_free((PyObject *)self);
}

DS_EACH_WAIT static PyObject *call_iterator(void *context)
{
    const TimedIterator *self = context;
    PyObject *iterator = self->iterator;
    return self->next != NULL ? self->next(iterator) : next_of(Py_TYPE(iterator))(iterator);
}

DS_EACH_WAIT static PyObject *timed_iterator_next(TimedIterator *self)
{
    if (self->iterator == NULL) /* being collected */
        return NULL;
    return timed_next(self->consumer, call_iterator, self, NULL);
}

static PyObject *timed_iterator_iter(PyObject *self)
{
    Py_INCREF(self);
    return self;
}

static PyObject *timed_iterator_getattr(TimedIterator *self, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr((PyObject *)self, name);
    if (value == NULL && self->iterator != NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        value = PyObject_GetAttr(self->iterator, name); /* close(), send() and the like */
    }
    return value;
}

static PyType_Slot timed_iterator_slots[] = {{Py_tp_new, timed_iterator_new},
                                             {Py_tp_dealloc, timed_iterator_dealloc},
                                             {Py_tp_traverse, timed_iterator_traverse},
                                             {Py_tp_clear, timed_iterator_clear},
                                             {Py_tp_iter, timed_iterator_iter},
                                             {Py_tp_iternext, timed_iterator_next},
                                             {Py_tp_getattro, timed_iterator_getattr},
                                             {Py_tp_doc, "An iterator whose next() is timed."},
                                             {0, NULL}};
static PyType_Spec timed_iterator_spec = {"datastall._core.TimedIterator", sizeof(TimedIterator), 0,
                                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                          timed_iterator_slots};

int timed_iterator_type_add(PyObject *module)
{
    return types_add(module, &timed_iterator_spec, NULL);
}
