/* SPDX-License-Identifier: Apache-2.0 */
/* Who begins to capture a CUDA graph through the bindings of the driver for Python says so (gpu/capturers.h). */
#ifndef DATASTALL_PYTHON_CAPTURES_H
#define DATASTALL_PYTHON_CAPTURES_H

#include <Python.h>

int captures_add(PyObject *module);

#endif
