/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "standin.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "base/hot.h"
#include "types.h"

static PyObject *method_type, *function_type; /* of types */
static PyObject *object_attributes;           /* object.__dict__ */
/* Of 3.11 and later, not of the limited API, so looked for at run time: NULL, our helpers can be seen. */
static void (*enter_tracing)(PyThreadState *), (*leave_tracing)(PyThreadState *);
/* Of the limited API from 3.12 on; the first is a function of its own from 3.11 on, the last two are there in
 * every Python that we run in. */
static standin_row vectorcall DS_HOT_DATA;
static PyObject *(*vectorcall_dict)(PyObject *, PyObject *const *, size_t, PyObject *);
static PyObject *(*call_by_row)(PyObject *, PyObject *, PyObject *);

/* PyObject_Vectorcall() of Python 3.10: what has a name goes through a dictionary. */
static PyObject *vectorcall_by_dict(PyObject *callable, PyObject *const *args, size_t flagged_count,
                                    PyObject *names)
{
    if (names == NULL)
        return vectorcall_dict(callable, args, flagged_count, NULL);
    PyObject *const *named = args + standin_count(flagged_count);
    PyObject *keywords = PyDict_New(), *result = NULL;
    bool whole = keywords != NULL;
    for (Py_ssize_t i = 0; whole && i < PyTuple_Size(names); i++)
        whole = PyDict_SetItem(keywords, PyTuple_GetItem(names, i), named[i]) == 0;
    if (whole)
        result = vectorcall_dict(callable, args, flagged_count, keywords);
    Py_XDECREF(keywords);
    return result;
}

bool standin_prepare(void)
{
    *(void **)&enter_tracing = dlsym(RTLD_DEFAULT, "PyThreadState_EnterTracing");
    *(void **)&leave_tracing = dlsym(RTLD_DEFAULT, "PyThreadState_LeaveTracing");
    *(void **)&vectorcall = dlsym(RTLD_DEFAULT, "PyObject_Vectorcall");
    *(void **)&vectorcall_dict = dlsym(RTLD_DEFAULT, "PyObject_VectorcallDict");
    *(void **)&call_by_row = dlsym(RTLD_DEFAULT, "PyVectorcall_Call");
    if (vectorcall_dict == NULL || call_by_row == NULL) {
        PyErr_SetString(PyExc_ImportError, "this Python has no PyObject_VectorcallDict()");
        return false;
    }
    if (vectorcall == NULL)
        vectorcall = vectorcall_by_dict;
    PyObject *types = PyImport_ImportModule("types");
    if (types != NULL)
        method_type = PyObject_GetAttrString(types, "MethodType");
    if (method_type != NULL)
        function_type = PyObject_GetAttrString(types, "FunctionType");
    Py_XDECREF(types);
    object_attributes = PyObject_GetAttrString((PyObject *)&PyBaseObject_Type, "__dict__");
    return function_type != NULL && object_attributes != NULL;
}

void standin_hide(void)
{
    if (enter_tracing != NULL && leave_tracing != NULL)
        enter_tracing(PyThreadState_Get());
}

void standin_show(void)
{
    if (enter_tracing != NULL && leave_tracing != NULL)
        leave_tracing(PyThreadState_Get());
}

PyObject *standin_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"original", "helper", "before", NULL};
    PyObject *original, *helper = Py_None, *before = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO", names, &original, &helper, &before))
        return NULL;
    Standin *self = (Standin *)types_new(type);
    if (self == NULL)
        return NULL;
    Py_INCREF(original);
    Py_INCREF(helper);
    Py_INCREF(before);
    self->original = original;
    self->helper = helper;
    self->before = before;
    self->is_function = (PyObject *)Py_TYPE(original) == function_type;
    return (PyObject *)self;
}

PyObject *standin_row_new(PyTypeObject *type, PyObject *args, PyObject *kwargs, standin_row row)
{
    PyObject *self = standin_new(type, args, kwargs);
    if (self != NULL)
        ((Standin *)self)->row = row;
    return self;
}

PyObject *standin_row_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return call_by_row(self, args, kwargs);
}

int standin_traverse(Standin *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->original);
    Py_VISIT(self->helper);
    Py_VISIT(self->before);
    return 0;
}

int standin_clear(Standin *self)
{
    Py_CLEAR(self->original);
    Py_CLEAR(self->helper);
    Py_CLEAR(self->before);
    return 0;
}

void standin_dealloc(Standin *self)
{
    PyObject_GC_UnTrack(self);
    if (self->weak_references != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    standin_clear(self);
    types_free((PyObject *)self);
}

PyObject *standin_bind(PyObject *self, PyObject *instance, PyObject *type)
{
    (void)type;
    if (instance == NULL || instance == Py_None) {
        Py_INCREF(self);
        return self;
    }
    return PyObject_CallFunctionObjArgs(method_type, self, instance, NULL);
}

/* Attributes that every object has by its type: hash, comparison, how it is pickled. */
static bool is_of_every_object(PyObject *name)
{
    const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
    if (text == NULL || strcmp(text, "__class__") == 0 || strcmp(text, "__doc__") == 0)
        return false;
    return strcmp(text, "__call__") == 0 || strcmp(text, "__get__") == 0 ||
           PyMapping_HasKey(object_attributes, name);
}

PyObject *standin_getattr(Standin *self, PyObject *name)
{
    if (is_of_every_object(name))
        return PyObject_GenericGetAttr((PyObject *)self, name);
    if (PyErr_Occurred())
        return NULL;
    return PyObject_GetAttr(self->original, name);
}

int standin_setattr(Standin *self, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(self->original, name, value);
}

PyObject *standin_repr(Standin *self)
{
    if (!self->is_function)
        return PyObject_Repr(self->original);
    PyObject *name = PyObject_GetAttrString(self->original, "__qualname__");
    PyObject *text = name == NULL ? NULL : PyUnicode_FromFormat("<function %U at %p>", name, self);
    Py_XDECREF(name);
    return text;
}

/* A function is pickled by its name: a string says just that to pickle, and to copy that it is its
 * own copy. */
static PyObject *standin_reduce(PyObject *self, PyObject *args)
{
    PyObject *original = ((Standin *)self)->original;
    if (((Standin *)self)->is_function)
        return PyObject_GetAttrString(original, "__qualname__");
    PyObject *reduce = PyObject_GetAttrString(original, "__reduce_ex__");
    PyObject *protocol = PyTuple_Size(args) == 0 ? PyLong_FromLong(0) : PySequence_GetItem(args, 0);
    PyObject *answer = reduce == NULL || protocol == NULL
                           ? NULL
                           : PyObject_CallFunctionObjArgs(reduce, protocol, NULL);
    Py_XDECREF(reduce);
    Py_XDECREF(protocol);
    return answer;
}

PyMethodDef standin_methods[] = {{"__reduce_ex__", standin_reduce, METH_VARARGS, NULL},
                                 {"__reduce__", standin_reduce, METH_VARARGS, NULL},
                                 {NULL, NULL, 0, NULL}};
#define WEAK_REFERENCES \
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Standin, weak_references), READONLY, NULL}
PyMemberDef standin_members[] = {WEAK_REFERENCES, {NULL, 0, 0, 0, NULL}};
PyMemberDef standin_row_members[] = {
    WEAK_REFERENCES,
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Standin, row), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};

/* What is called with the arguments after the instance, where the original is no plain function. */
static PyObject *bound_to(PyObject *original, PyObject *instance)
{
    const descrgetfunc bind = (descrgetfunc)PyType_GetSlot(Py_TYPE(original), Py_tp_descr_get);
    if (bind != NULL)
        return bind(original, instance, (PyObject *)Py_TYPE(instance));
    Py_INCREF(original);
    return original;
}

PyObject *standin_call_method(Standin *self, PyObject *args, PyObject *kwargs)
{
    if (self->is_function || PyTuple_Size(args) < 1)
        return PyObject_Call(self->original, args, kwargs);
    PyObject *bound = bound_to(self->original, PyTuple_GetItem(args, 0));
    PyObject *rest = bound == NULL ? NULL : PyTuple_GetSlice(args, 1, PyTuple_Size(args));
    PyObject *result = rest == NULL ? NULL : PyObject_Call(bound, rest, kwargs);
    Py_XDECREF(rest);
    Py_XDECREF(bound);
    return result;
}

static __attribute__((noinline)) PyObject *call_bound(PyObject *original, PyObject *const *args,
                                                      size_t flagged_count, PyObject *names)
{
    PyObject *bound = bound_to(original, args[0]);
    PyObject *result =
        bound == NULL ? NULL : vectorcall(bound, args + 1, standin_count(flagged_count) - 1, names);
    Py_XDECREF(bound);
    return result;
}

DS_EACH_WAIT PyObject *standin_call_row(Standin *self, PyObject *const *args, size_t flagged_count,
                                        PyObject *names)
{
    if (self->is_function || standin_count(flagged_count) == 0)
        return vectorcall(self->original, args, flagged_count, names);
    return call_bound(self->original, args, flagged_count, names);
}

DS_HOT PyObject *standin_call_function_row(Standin *self, PyObject *const *args,
                                           size_t flagged_count, PyObject *names)
{
    return vectorcall(self->original, args, flagged_count, names);
}
