#define PY_SSIZE_T_CLEAN
#include "standin.h"

#include <string.h>

static PyObject *method_type; /* types.MethodType */

bool standin_prepare(void)
{
    PyObject *types = PyImport_ImportModule("types");
    if (types != NULL)
        method_type = PyObject_GetAttrString(types, "MethodType");
    Py_XDECREF(types);
    return method_type != NULL;
}

void standin_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

PyObject *standin_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"original", "helper", "before", NULL};
    PyObject *original, *helper = Py_None, *before = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO", names, &original, &helper, &before))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Standin *self = (Standin *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(original);
    Py_INCREF(helper);
    Py_INCREF(before);
    self->original = original;
    self->helper = helper;
    self->before = before;
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
    standin_clear(self);
    standin_free((PyObject *)self);
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

PyObject *standin_getattr(Standin *self, PyObject *name)
{
    const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
    if (text == NULL)
        return NULL;
    if (strcmp(text, "__wrapped__") == 0) {
        Py_INCREF(self->original);
        return self->original;
    }
    if (strcmp(text, "__class__") == 0 || strcmp(text, "__call__") == 0 ||
        strcmp(text, "__get__") == 0)
        return PyObject_GenericGetAttr((PyObject *)self, name);
    return PyObject_GetAttr(self->original, name);
}
