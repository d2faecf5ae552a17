/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a loader's document that says why it is slow: `why`, `depth`, `workers`. */
#ifndef DATASTALL_OUTPUT_SHAPE_WHY_H
#define DATASTALL_OUTPUT_SHAPE_WHY_H

#include "base/emitter.h"
#include "diagnose/summary.h"

void output_why_shape(const struct summary *summary, const struct summary_loader *loader,
                      const struct emitter *emitter);

#endif
