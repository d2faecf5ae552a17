/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins for the methods that a program waits in, and for those after which the hooks have
 * something to do: TimedNext, Around, After. */
#ifndef DATASTALL_PYTHON_METHOD_STANDINS_H
#define DATASTALL_PYTHON_METHOD_STANDINS_H

#include <Python.h>

int method_standins_add(PyObject *module);

#endif
