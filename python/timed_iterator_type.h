/* SPDX-License-Identifier: Apache-2.0 */
/* datastall._core.TimedIterator: an iterator around any iterator, whose next() is timed. */
#ifndef DATASTALL_PYTHON_TIMED_ITERATOR_TYPE_H
#define DATASTALL_PYTHON_TIMED_ITERATOR_TYPE_H

#include <Python.h>

int timed_iterator_type_add(PyObject *module);

#endif
