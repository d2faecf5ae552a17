/* SPDX-License-Identifier: Apache-2.0 */
/* datastall._core.Loader: a loader of a Monitor. */
#ifndef DATASTALL_PYTHON_LOADER_TYPE_H
#define DATASTALL_PYTHON_LOADER_TYPE_H

#include "recording.h"

int loader_type_add(PyObject *module);

/* Monitor.loader(): a new reference, or NULL with an error. */
PyObject *loader_type_register(Monitor *owner, PyObject *args, PyObject *kwargs);

/* The object as a Loader; NULL with TypeError for anything else. */
Loader *loader_type_cast(PyObject *object);

#endif
