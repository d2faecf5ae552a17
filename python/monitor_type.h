/* SPDX-License-Identifier: Apache-2.0 */
/* datastall._core.Monitor: the recording of a process. */
#ifndef DATASTALL_PYTHON_MONITOR_TYPE_H
#define DATASTALL_PYTHON_MONITOR_TYPE_H

#include "recording.h"

int monitor_type_add(PyObject *module);

/* The C monitor of a Monitor object; NULL, without an error, for anything else. */
datastall_monitor *monitor_type_inner(PyObject *object);

/* Asks whether a GPU is used, and notes it. Sets no error. */
void monitor_type_ask_gpu(const Monitor *self);

#endif
