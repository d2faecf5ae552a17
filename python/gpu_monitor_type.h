/* SPDX-License-Identifier: Apache-2.0 */
/* datastall._core.GpuMonitor: the C side of datastall.gpu_monitor. */
#ifndef DATASTALL_PYTHON_GPU_MONITOR_TYPE_H
#define DATASTALL_PYTHON_GPU_MONITOR_TYPE_H

#include <Python.h>

/* Adds the type and infer_queue_state(); -1 with an error. */
int gpu_monitor_type_add(PyObject *module);

#endif
