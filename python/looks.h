/* SPDX-License-Identifier: Apache-2.0 */
/* Which line of the program a thread that trains is at, seen from the thread that asks the GPU
 * (gpu/probe.h): some twelve times a second, for what waits for the GPU. */
#ifndef DATASTALL_PYTHON_LOOKS_H
#define DATASTALL_PYTHON_LOOKS_H

#include <Python.h>

int looks_add(PyObject *module);

#endif
