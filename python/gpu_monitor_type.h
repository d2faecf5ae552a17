/* datastall._core.GpuMonitor: the C side of datastall.gpu_monitor. */
#ifndef DATASTALL_PYTHON_GPU_MONITOR_TYPE_H
#define DATASTALL_PYTHON_GPU_MONITOR_TYPE_H

#include <Python.h>

#include "datastall.h"

/* Adds the type and infer_queue_state to the module; -1 with an error. */
int gpu_monitor_type_add(PyObject *module);

/* In _core.c: the C loader of a datastall._core.Loader, NULL with TypeError. */
datastall_loader *core_loader_of(PyObject *loader);

#endif
