/* SPDX-License-Identifier: Apache-2.0 */
/* datastall._core: the recorder for Python, limited API of 3.10. Here is its table only.
 *
 * What runs between a program's call of next() and its return is C (timed_next.c): it adds no frame to
 * a traceback and costs some hundred nanoseconds. Nothing here may change what the program sees: every
 * error of our own is swallowed, every error of the program's passes through untouched (errors.h).
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "beside.h"
#include "captures.h"
#include "composition.h"
#include "consumer_type.h"
#include "datastall.h"
#include "exposed_stall.h"
#include "fetch_causes.h"
#include "fetch_items.h"
#include "gpu_driver.h"
#include "gpu_monitor_type.h"
#include "loader_type.h"
#include "looks.h"
#include "loop_causes.h"
#include "method_standins.h"
#include "monitor_type.h"
#include "phases.h"
#include "standin.h"
#include "timed_iter.h"
#include "timed_iterator_type.h"

static PyObject *core_set_tensor_type(PyObject *module, PyObject *arg)
{
    (void)module;
    composition_set_tensor_type(arg);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {{"set_tensor_type", core_set_tensor_type, METH_O,
                                   "Tell torch.Tensor, whose memory may be read."},
                                  {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                        "datastall._core",
                                        "The recorder of datastall.",
                                        -1,
                                        functions,
                                        NULL,
                                        NULL,
                                        NULL,
                                        NULL};

/* Each adds its types and functions; -1 with an error. */
static int (*const parts[])(PyObject *module) = {
    monitor_type_add,        loader_type_add,     consumer_type_add, timed_iter_add,
    timed_iterator_type_add, method_standins_add, loop_causes_add,   fetch_causes_add,
    fetch_items_add,         exposed_stall_add,   beside_add,        gpu_monitor_type_add,
    gpu_driver_add,          phases_add,          looks_add,         captures_add,
};

static bool add_parts(PyObject *module)
{
    if (!standin_prepare() || !composition_prepare())
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i](module) < 0)
            return false;
    }
    return PyModule_AddStringConstant(module, "__version__", datastall_version()) == 0;
}

PyMODINIT_FUNC PyInit__core(void); /* no header declares it */

PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && !add_parts(module))
        Py_CLEAR(module);
    return module;
}
