/* SPDX-License-Identifier: Apache-2.0 */
/* One next(), timed and recorded: what runs between a program's call and its return. */
#ifndef DATASTALL_PYTHON_TIMED_NEXT_H
#define DATASTALL_PYTHON_TIMED_NEXT_H

#include "consumer_type.h"

/* Calls call(context), which returns a new reference, or NULL with or without an error (tp_iternext
 * may say "no more" with neither), and returns that. iterator: torch's, NULL for any other. */
PyObject *timed_next(Consumer *consumer, PyObject *(*call)(void *context), void *context,
                     PyObject *iterator);

#endif
