/* SPDX-License-Identifier: Apache-2.0 */
/* What a batch is made of, from shapes only: samples, tokens, longest sequence, padded tokens.
 *
 * Looks past the methods of the program's classes: at what a dict, a tuple, a list or an object's
 * __dict__ holds, and at tensors and arrays (tensor.h). No code of the program runs, nothing is
 * changed; what would need that stays unknown.
 *
 * A CUDA tensor's data is never touched. Of a plain CPU torch.Tensor the attention mask or
 * cu_seqlens are read in C: every batch while they have at most 64 KiB, else every k-th (k = size /
 * 64 KiB, rounded up), and the batches between are estimated from the share of tokens last seen.
 * docs/measuring.md lists the shapes that are understood.
 */
#ifndef DATASTALL_PYTHON_COMPOSITION_H
#define DATASTALL_PYTHON_COMPOSITION_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "datastall.h"
#include "tensor.h"

/* Kept per iterator; zero at the start. */
struct composition {
    uint64_t masks_seen;
    double token_share; /* tokens / padded tokens of the last mask that was read; 0: none yet */
    struct tensor_layout layout; /* of masks */
};

bool composition_prepare(void);                   /* once, when the module is loaded */
void composition_set_tensor_type(PyObject *type); /* torch.Tensor */

/* Fills what can be told; leaves the rest unknown. Sets no Python error. */
void composition_measure(struct composition *state, PyObject *batch, datastall_batch *out);

/* From what a user's measure() returned: None, a number of samples, or a mapping with some of
 * samples, tokens, longest_sequence, padded_tokens, batch_index. False with a Python error if it is
 * neither. */
bool composition_from_answer(PyObject *answer, datastall_batch *out);

#endif
