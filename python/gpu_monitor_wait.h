/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of GpuMonitor.record_dataloader_wait(): numbers of Python, NumPy and torch. */
#ifndef DATASTALL_PYTHON_GPU_MONITOR_WAIT_H
#define DATASTALL_PYTHON_GPU_MONITOR_WAIT_H

#include <Python.h>
#include <stdbool.h>

#include "datastall.h"

bool gpu_monitor_wait_prepare(void); /* once, when the module is loaded */

/* Fills in the wait and the batch, which begins as DATASTALL_BATCH_INIT. args, count and names are
 * those of METH_FASTCALL | METH_KEYWORDS. False with TypeError or ValueError. May run code of the
 * program's. */
bool gpu_monitor_wait_take(PyObject *const *args, Py_ssize_t count, PyObject *names,
                           double *wait_ms, datastall_batch *batch);

#endif
