/* SPDX-License-Identifier: Apache-2.0 */
/* Documents told to an emitter, as Python dicts. */
#ifndef DATASTALL_PYTHON_DOCUMENT_H
#define DATASTALL_PYTHON_DOCUMENT_H

#include <Python.h>
#include <stdbool.h>

#include "base/emitter.h"

/* What tell() tells about subject. New reference, or NULL with an error. Unknown numbers become nan
 * or None. */
PyObject *document_build(void (*tell)(const void *subject, const struct emitter *emitter),
                         const void *subject, bool unknown_is_nan);

#endif
