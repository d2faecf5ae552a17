/* SPDX-License-Identifier: Apache-2.0 */
/* datastall._core.Monitor: the recording of a process. */
#ifndef DATASTALL_PYTHON_MONITOR_TYPE_H
#define DATASTALL_PYTHON_MONITOR_TYPE_H

#include "recording.h"

int monitor_type_add(PyObject *module);

/* The C monitor of a Monitor object; NULL, without an error, for anything else. */
datastall_monitor *monitor_type_inner(PyObject *object);

/* monitor_note_host(), at most every two seconds by *noted_ns. */
void monitor_type_note_host(const Monitor *self, uint64_t now_ns, uint64_t *noted_ns);

/* Asks whether a GPU is used, and notes it. Sets no error. */
void monitor_type_ask_gpu(const Monitor *self);

#endif
