/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about GPUs and their drivers that are no monitor's: functions of the module. */
#ifndef DATASTALL_PYTHON_GPU_DRIVER_H
#define DATASTALL_PYTHON_GPU_DRIVER_H

#include <Python.h>

int gpu_driver_add(PyObject *module);

#endif
