/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to tensors and arrays, none of which runs code of the program or changes anything.
 *
 * torch's and NumPy's own C getters are fetched once and called past whatever a subclass overrides.
 * While a TorchFunctionMode is active they are called with it disabled. Nothing is asked of a tensor
 * whose class has a __torch_dispatch__ (its shape may be Python), and no shape during torch.jit.trace
 * (it would be traced). A lazily copied tensor stays lazy. What cannot be asked in this way with this
 * torch stays unknown. Called with the GIL held; none leaves a Python error.
 */
#ifndef DATASTALL_PYTHON_TENSOR_H
#define DATASTALL_PYTHON_TENSOR_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "datastall.h"
#include "record/quiet.h"

/* The questions about one batch; zero at the start. */
struct tensor_questions {
    bool modes_known, tracing_known, tracing;
    PyObject *disabled; /* torch functions are, until tensor_questions_end() */
};
void tensor_questions_end(struct tensor_questions *questions);

struct tensor_shape {
    int dimensions;   /* -1: none that can be told */
    uint64_t size[2]; /* of the first two; DATASTALL_UNKNOWN where there is none */
    uint64_t elements;
};

struct tensor_memory {
    const void *address; /* readable, aligned, contiguous: all elements of the shape */
    unsigned element_bytes;
    bool is_float; /* IEEE or bfloat16; else an integer or bool */
};

/* Of tensors that come one after another: of which kind the last one was that was found contiguous. Zero at
 * the start. */
struct tensor_layout {
    uint64_t size[2];
    const void *dtype; /* borrowed, to be compared alone */
    struct quiet_turns turns;
    bool varies; /* one was not */
};

/* Takes the getters from torch.Tensor's base class; without them tensors stay unknown. */
void tensor_set_type(PyObject *type);

/* torch.Tensor once it is known, else NULL. Most batches hold plain ones, which need no further look
 * at their class. */
extern PyTypeObject *tensor_plain_type;
static inline bool tensor_is_plain(PyObject *object)
{
    return Py_TYPE(object) == tensor_plain_type;
}

/* tensor_length() of a plain one is asked soon: torch's code for it is fetched. */
void tensor_fetch_ahead(void);

/* torch.Tensor, numpy.ndarray or a subclass. */
bool tensor_is_one(PyObject *object);

/* The first dimension; DATASTALL_UNKNOWN for what is no tensor, has none, or cannot be asked. */
uint64_t tensor_length(struct tensor_questions *questions, PyObject *object);

struct tensor_shape tensor_shape(struct tensor_questions *questions, PyObject *object);

/* The memory of a plain torch.Tensor of that shape; false when it cannot or must not be read: not on
 * the CPU, of another layout, another order or an odd type, or not wholly inside its storage. seen: its
 * order is asked of one in 8 to 23 of those that are all of their storage and have the size and dtype of
 * the one before, until one is in another; NULL: of it. */
bool tensor_memory(struct tensor_questions *questions, PyObject *object,
                   const struct tensor_shape *shape, struct tensor_layout *seen,
                   struct tensor_memory *memory);

#endif
