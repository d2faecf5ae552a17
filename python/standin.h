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

/* What PEP 590 calls a vectorcallfunc: the arguments as the interpreter has them, without a tuple being made of
 * them; those with a name come last. Of a method args[0] is the instance. */
typedef PyObject *(*standin_row)(PyObject *self, PyObject *const *args, size_t flagged_count,
                                 PyObject *names);

typedef struct {
    PyObject_HEAD PyObject *original;
    PyObject *helper; /* what it is for differs by type; None where it has none */
    PyObject *before; /* None, or called without arguments before the original */
    PyObject *weak_references;
    standin_row row;  /* of the types that are called with their arguments in a row */
    bool is_function; /* the original: a plain function of Python */
} Standin;

/* Once, before the first type is made. False with an error. */
bool standin_prepare(void);

/* The original, called as the method that it is: args begin with the instance. What others have put
 * in the place of a function (a partial, a mock, a wrapper with a __get__) is bound as it binds. */
PyObject *standin_call_method(Standin *self, PyObject *args, PyObject *kwargs);
PyObject *standin_call_row(Standin *self, PyObject *const *args, size_t flagged_count,
                           PyObject *names);
/* The same, but that the original is a function of a module: whatever stands there is called as it is. */
PyObject *standin_call_function_row(Standin *self, PyObject *const *args, size_t flagged_count,
                                    PyObject *names);

/* How many arguments without a name there are: the highest bit says that args[-1] may be used. */
static inline size_t standin_count(size_t flagged_count)
{
    return flagged_count & (SIZE_MAX >> 1);
}

/* Around calls of our own Python: no tracer or profiler of the program sees what runs between. */
void standin_hide(void);
void standin_show(void);

PyObject *standin_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
PyObject *standin_row_new(PyTypeObject *type, PyObject *args, PyObject *kwargs, standin_row row);
PyObject *standin_row_call(PyObject *self, PyObject *args, PyObject *kwargs); /* calls its row */
int standin_traverse(Standin *self, visitproc visit, void *arg);
int standin_clear(Standin *self);
void standin_dealloc(Standin *self);
PyObject *standin_bind(PyObject *self, PyObject *instance, PyObject *type);
PyObject *standin_getattr(Standin *self, PyObject *name);
int standin_setattr(Standin *self, PyObject *name, PyObject *value);
PyObject *standin_repr(Standin *self);
extern PyMethodDef standin_methods[];
extern PyMemberDef standin_members[], standin_row_members[];

#define STANDIN_SLOTS_OF(new, call, members, doc)                                               \
    {                                                                                           \
        {Py_tp_new, new}, {Py_tp_dealloc, standin_dealloc}, {Py_tp_traverse, standin_traverse}, \
            {Py_tp_clear, standin_clear}, {Py_tp_call, call}, {Py_tp_descr_get, standin_bind},  \
            {Py_tp_getattro, standin_getattr}, {Py_tp_setattro, standin_setattr},               \
            {Py_tp_repr, standin_repr}, {Py_tp_methods, standin_methods},                       \
            {Py_tp_members, members}, {Py_tp_doc, doc},                                         \
        {                                                                                       \
            0, NULL                                                                             \
        }                                                                                       \
    }
/* The slots of a type whose objects are called by call(Standin *, args, kwargs). */
#define STANDIN_SLOTS(call, doc) STANDIN_SLOTS_OF(standin_new, call, standin_members, doc)
/* Of one whose objects are called by the standin_row `call`; defines new() for it. */
#define STANDIN_ROW_NEW(new, call)                                                 \
    static PyObject *new (PyTypeObject * type, PyObject * args, PyObject * kwargs) \
    {                                                                              \
        return standin_row_new(type, args, kwargs, call);                          \
    }
#define STANDIN_ROW_SLOTS(new, doc) \
    STANDIN_SLOTS_OF(new, standin_row_call, standin_row_members, doc)

/* With METHOD_DESCRIPTOR the interpreter calls it with the instance first and makes no bound
 * method. */
#define STANDIN_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_METHOD_DESCRIPTOR)
/* Py_TPFLAGS_HAVE_VECTORCALL, of the limited API from 3.12 on; taken from 3.9 on. */
#define STANDIN_HAS_ROW (1UL << 11)
#define STANDIN_SPEC(name, slots) \
    {"datastall._core." name, sizeof(Standin), 0, STANDIN_FLAGS, slots}
#define STANDIN_ROW_SPEC(name, slots) \
    {"datastall._core." name, sizeof(Standin), 0, STANDIN_FLAGS | STANDIN_HAS_ROW, slots}

#endif
