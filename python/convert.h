/* SPDX-License-Identifier: Apache-2.0 */
/* Values of C as Python objects and the other way round. Every answer that is an object is a new
 * reference, or NULL with an error. */
#ifndef DATASTALL_PYTHON_CONVERT_H
#define DATASTALL_PYTHON_CONVERT_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

/* A string for C: UTF-8, what cannot be encoded replaced, cut at a NUL. *bytes keeps it alive; None
 * and NULL give NULL. False with an error. */
bool convert_text(PyObject *object, PyObject **bytes, const char **text);

/* A str of UTF-8 that may come from a file or a program: what is none is replaced. */
PyObject *convert_str(const char *text);

/* A number, or None where it is not known: not finite, DATASTALL_UNKNOWN. */
PyObject *convert_real(double value);
PyObject *convert_count(uint64_t value);

#endif
