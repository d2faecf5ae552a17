/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins for methods and functions of torch: C objects that call the original and do something
 * around it, without a frame in tracebacks, tracers and profilers.
 *
 * They look like the function that they stand for: they bind like one, isinstance() takes them for
 * one, they have and take its attributes (__code__, __defaults__, __dict__ ...), are pickled by its
 * name and copied as themselves. What is left to see is type(), which no such object can change. */
#ifndef DATASTALL_PYTHON_STANDIN_H
#define DATASTALL_PYTHON_STANDIN_H

#include <Python.h>
#include <stdbool.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD PyObject *original;
    PyObject *helper; /* what it is for differs by type; None where it has none */
    PyObject *before; /* None, or called without arguments before the original */
    PyObject *weak_references;
    bool is_function; /* the original: a plain function of Python */
} Standin;

/* Once, before the first type is made. */
bool standin_prepare(void);

/* The original, called as the method that it is: args begin with the instance. What others have put
 * in the place of a function (a partial, a mock, a wrapper with a __get__) is bound as it binds. */
PyObject *standin_call_method(Standin *self, PyObject *args, PyObject *kwargs);

/* Around calls of our own Python: no tracer or profiler of the program sees what runs between. */
void standin_hide(void);
void standin_show(void);

PyObject *standin_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
int standin_traverse(Standin *self, visitproc visit, void *arg);
int standin_clear(Standin *self);
void standin_dealloc(Standin *self);
PyObject *standin_bind(PyObject *self, PyObject *instance, PyObject *type);
PyObject *standin_getattr(Standin *self, PyObject *name);
int standin_setattr(Standin *self, PyObject *name, PyObject *value);
PyObject *standin_repr(Standin *self);
extern PyMethodDef standin_methods[];
extern PyMemberDef standin_members[];

/* The slots of a type whose objects are called by call(Standin *, args, kwargs). */
#define STANDIN_SLOTS(call, doc)                                                                  \
    {                                                                                             \
        {Py_tp_new, standin_new}, {Py_tp_dealloc, standin_dealloc},                               \
            {Py_tp_traverse, standin_traverse}, {Py_tp_clear, standin_clear}, {Py_tp_call, call}, \
            {Py_tp_descr_get, standin_bind}, {Py_tp_getattro, standin_getattr},                   \
            {Py_tp_setattro, standin_setattr}, {Py_tp_repr, standin_repr},                        \
            {Py_tp_methods, standin_methods}, {Py_tp_members, standin_members}, {Py_tp_doc, doc}, \
        {                                                                                         \
            0, NULL                                                                               \
        }                                                                                         \
    }
/* With METHOD_DESCRIPTOR the interpreter calls it with the instance first and makes no bound
 * method. */
#define STANDIN_SPEC(name, slots)                 \
    {"datastall._core." name, sizeof(Standin), 0, \
     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_METHOD_DESCRIPTOR, slots}

#endif
