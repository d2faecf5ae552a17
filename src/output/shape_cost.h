/* SPDX-License-Identifier: Apache-2.0 */
/* What a stall cost, in the document of output/shape.h. */
#ifndef DATASTALL_OUTPUT_SHAPE_COST_H
#define DATASTALL_OUTPUT_SHAPE_COST_H

#include "base/emitter.h"
#include "diagnose/summary.h"

void output_cost_shape(const struct summary *summary, const struct emitter *emitter);

#endif
