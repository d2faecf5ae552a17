/* SPDX-License-Identifier: Apache-2.0 */
/* datastall._core.Items: iterates over a batch's indices and notes when the next one is asked for:
 * then the item of the one before is there. Nothing else is changed: what the data set sees are the
 * indices themselves. */
#ifndef DATASTALL_PYTHON_FETCH_ITEMS_H
#define DATASTALL_PYTHON_FETCH_ITEMS_H

#include <Python.h>

#include "record/worker.h"

int fetch_items_add(PyObject *module);

/* indices: a list or a tuple. A new reference, or NULL with an error. */
PyObject *fetch_items_new(PyObject *indices, struct worker *worker);

#endif
