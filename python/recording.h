/* SPDX-License-Identifier: Apache-2.0 */
/* What objects of Monitor and Loader hold: a recording and one of its loaders. */
#ifndef DATASTALL_PYTHON_RECORDING_H
#define DATASTALL_PYTHON_RECORDING_H

#include <Python.h>

#include "record/monitor.h"

typedef struct {
    PyObject_HEAD datastall_monitor *monitor; /* stays until the object goes */
    PyObject *uses_gpu; /* called now and then: does the process use a GPU? NULL: not asked */
} Monitor;

typedef struct {
    PyObject_HEAD Monitor *owner;
    datastall_loader *loader;
} Loader;

#endif
