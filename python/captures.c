/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "captures.h"

#include "gpu/capturers.h"
#include "standin.h"
#include "types.h"

static PyTypeObject *begins_type;

static PyObject *begins_call(PyObject *callable, PyObject *const *args, size_t flagged_count,
                             PyObject *names)
{
    Py_BEGIN_ALLOW_THREADS
    capturers_note();
    Py_END_ALLOW_THREADS
    return standin_call_function_row((Standin *)callable, args, flagged_count, names);
}

STANDIN_ROW_NEW(begins_new, begins_call)
static PyType_Slot begins_slots[] =
    STANDIN_ROW_SLOTS(begins_new, "Stands in for a function that begins to capture a CUDA graph.");
static PyType_Spec begins_spec = STANDIN_ROW_SPEC("BeginsCapture", begins_slots);

static PyObject *holds_alone(PyObject *module, PyObject *thing)
{
    (void)module;
    return PyBool_FromLong(Py_TYPE(thing) == begins_type &&
                           Py_REFCNT(((Standin *)thing)->original) == 1);
}

static PyObject *trust_cuda_bindings(PyObject *module, PyObject *folder)
{
    (void)module;
    const char *text = PyUnicode_AsUTF8AndSize(folder, NULL);
    if (text == NULL)
        return NULL;
    capturers_trust_bindings(text);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"holds_alone", holds_alone, METH_O,
     "Whether nobody but this BeginsCapture has the function that it stands for."},
    {"trust_cuda_bindings", trust_cuda_bindings, METH_O,
     "What of cuda.bindings, which lie in this folder, begins a capture says so from now on."},
    {NULL, NULL, 0, NULL}};

int captures_add(PyObject *module)
{
    return types_add(module, &begins_spec, &begins_type) < 0
               ? -1
               : PyModule_AddFunctions(module, functions);
}
