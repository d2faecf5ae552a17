/* Stand-ins for methods and functions of torch: C objects that call the original and do something
 * around it, without a frame in tracebacks. They bind like a Python function, show its attributes
 * (__name__, __doc__, __code__ ...), and inspect.signature() finds it as __wrapped__. */
#ifndef DATASTALL_PYTHON_STANDIN_H
#define DATASTALL_PYTHON_STANDIN_H

#include <Python.h>
#include <stdbool.h>

typedef struct {
    PyObject_HEAD PyObject *original;
    PyObject *helper; /* what it is for differs by type; None where it has none */
    PyObject *before; /* None, or called without arguments before the original */
} Standin;

/* Once, before the first type is made. */
bool standin_prepare(void);

/* What every type of ours ends with: gives the memory back and lets go of the type. */
void standin_free(PyObject *self);

PyObject *standin_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
int standin_traverse(Standin *self, visitproc visit, void *arg);
int standin_clear(Standin *self);
void standin_dealloc(Standin *self);
PyObject *standin_bind(PyObject *self, PyObject *instance, PyObject *type);
PyObject *standin_getattr(Standin *self, PyObject *name);

/* The slots of a type whose objects are called by call(Standin *, args, kwargs). */
#define STANDIN_SLOTS(call, doc)                                                                  \
    {                                                                                             \
        {Py_tp_new, standin_new}, {Py_tp_dealloc, standin_dealloc},                               \
            {Py_tp_traverse, standin_traverse}, {Py_tp_clear, standin_clear}, {Py_tp_call, call}, \
            {Py_tp_descr_get, standin_bind}, {Py_tp_getattro, standin_getattr}, {Py_tp_doc, doc}, \
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
