/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "captures.h"

#include "gpu/capturers.h"
#include "standin.h"
#include "types.h"

static PyObject *begins_call(PyObject *callable, PyObject *const *args, size_t flagged_count,
                             PyObject *names)
{
    capturers_note();
    return standin_call_function_row((Standin *)callable, args, flagged_count, names);
}

STANDIN_ROW_NEW(begins_new, begins_call)
static PyType_Slot begins_slots[] =
    STANDIN_ROW_SLOTS(begins_new, "Stands in for a function that begins to capture a CUDA graph.");
static PyType_Spec begins_spec = STANDIN_ROW_SPEC("BeginsCapture", begins_slots);

/* Nothing is taken from the dictionary while it is counted. */
static PyObject *holders(PyObject *module, PyObject *args)
{
    PyObject *mapping, *name;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!U:holders", &PyDict_Type, &mapping, &name))
        return NULL;
    PyObject *value = PyDict_GetItemWithError(mapping, name);
    if (value == NULL && PyErr_Occurred())
        return NULL;
    return PyLong_FromSsize_t(value == NULL ? 0 : Py_REFCNT(value));
}

static PyObject *trust_cuda_bindings(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    capturers_trust_bindings();
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"holders", holders, METH_VARARGS,
     "holders(dictionary, name): how many hold what it has under the name, itself among them."},
    {"trust_cuda_bindings", trust_cuda_bindings, METH_NOARGS,
     "What of cuda.bindings begins a capture says so from now on."},
    {NULL, NULL, 0, NULL}};

int captures_add(PyObject *module)
{
    return types_add(module, &begins_spec, NULL) < 0 ? -1
                                                     : PyModule_AddFunctions(module, functions);
}
