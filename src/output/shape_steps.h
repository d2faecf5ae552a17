/* SPDX-License-Identifier: Apache-2.0 */
/* `steps` of the document, and what a GPU idled for. */
#ifndef DATASTALL_OUTPUT_SHAPE_STEPS_H
#define DATASTALL_OUTPUT_SHAPE_STEPS_H

#include "base/emitter.h"
#include "diagnose/summary.h"

void output_steps_shape(const struct summary *summary, const struct emitter *emitter);
/* `idle` of a GPU: of the one process that uses it. */
void output_idle_shape(const struct summary *summary, uint32_t gpu, const struct emitter *emitter);

#endif
