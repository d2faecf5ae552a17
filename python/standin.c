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

bool standin_prepare(void)
{
    *(void **)&enter_tracing = dlsym(RTLD_DEFAULT, "PyThreadState_EnterTracing");
    *(void **)&leave_tracing = dlsym(RTLD_DEFAULT, "PyThreadState_LeaveTracing");
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
PyMemberDef standin_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Standin, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};

DS_EACH_WAIT PyObject *standin_call_method(Standin *self, PyObject *args, PyObject *kwargs)
{
    if (self->is_function || PyTuple_Size(args) < 1)
        return PyObject_Call(self->original, args, kwargs);
    PyObject *instance = PyTuple_GetItem(args, 0), *bound = self->original;
    descrgetfunc bind = (descrgetfunc)PyType_GetSlot(Py_TYPE(bound), Py_tp_descr_get);
    if (bind != NULL)
        bound = bind(bound, instance, (PyObject *)Py_TYPE(instance));
    else
        Py_INCREF(bound);
    PyObject *rest = bound == NULL ? NULL : PyTuple_GetSlice(args, 1, PyTuple_Size(args));
    PyObject *result = rest == NULL ? NULL : PyObject_Call(bound, rest, kwargs);
    Py_XDECREF(rest);
    Py_XDECREF(bound);
    return result;
}
