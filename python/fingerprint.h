/* SPDX-License-Identifier: Apache-2.0 */
/* A number that batches of the same content share: are two workers giving the loop the same data? */
#ifndef DATASTALL_PYTHON_FINGERPRINT_H
#define DATASTALL_PYTHON_FINGERPRINT_H

#include <Python.h>
#include <stdint.h>

/* Of what is known how to read without running code of the program: tensors on the CPU, numbers, text
 * and bytes, in lists, tuples and dicts; some kilobytes at most. 0: nothing of the batch could be
 * read. Sets no error. */
uint64_t fingerprint_of(PyObject *batch);

#endif
