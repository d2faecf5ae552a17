/* SPDX-License-Identifier: Apache-2.0 */
/* What the hooks know of a program's objects, kept beside them and not in them: who looks into a
 * loader, an iterator or a fetcher, copies or pickles it, sees what it would see without us. A
 * table by address; an entry goes with its object (a weak reference). All calls need the GIL. */
#ifndef DATASTALL_PYTHON_BESIDE_H
#define DATASTALL_PYTHON_BESIDE_H

#include <Python.h>
#include <stdbool.h>

/* Keeps value for object, instead of what was there before. False with an error: the object cannot
 * be referred to weakly (TypeError), or memory is short. */
bool beside_put(PyObject *object, PyObject *value);

/* Borrowed; NULL, without an error, where nothing is kept. Some nanoseconds; runs no code of the
 * object's class. */
PyObject *beside_get(PyObject *object);

/* The dictionary that an object has of its own, borrowed from it; NULL, without an error: it has
 * none. Runs no code of its class. */
PyObject *beside_attributes(PyObject *object);

/* What an object holds under this name, borrowed; NULL, without an error: nothing. Not by asking for
 * the attribute: its class may be somebody's, and do something then. */
PyObject *beside_held(PyObject *object, PyObject *name);

int beside_add(PyObject *module);

#endif
