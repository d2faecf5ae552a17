/* SPDX-License-Identifier: Apache-2.0 */
/* Types of the module: how they are made, how their objects go. */
#ifndef DATASTALL_PYTHON_TYPES_H
#define DATASTALL_PYTHON_TYPES_H

#include <Python.h>

/* A new object of a type, zero but for its head; NULL with MemoryError. */
PyObject *types_new(PyTypeObject *type);

/* What every deallocation ends with: gives the memory back and lets go of the type. */
void types_free(PyObject *self);

/* Makes the type and adds it to the module under the last part of its name. It is also put in *type,
 * where that is not NULL. -1 with an error. */
int types_add(PyObject *module, PyType_Spec *spec, PyTypeObject **type);

#endif
