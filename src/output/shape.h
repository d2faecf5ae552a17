/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON document of a run (docs/json.md), told to an emitter: the program builds it with
 * jansson, the Python extension as a dict. One shape, whoever asks. Uses libc only. */
#ifndef DATASTALL_OUTPUT_SHAPE_H
#define DATASTALL_OUTPUT_SHAPE_H

#include "base/emitter.h"
#include "diagnose/summary.h"

#define OUTPUT_SCHEMA 1

/* Emits the whole document. Strings come from the run file and may be no valid UTF-8: the emitter
 * replaces what it cannot take. */
void output_shape(const struct summary *summary, const struct emitter *emitter);
/* The same as a part of another document. */
void output_shape_in(const struct summary *summary, const char *key, const struct emitter *emitter);

#endif
