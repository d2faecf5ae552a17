/* SPDX-License-Identifier: Apache-2.0 */
/* What other settings of a loader would give, as the key "predicted" (docs/json.md). */
#ifndef DATASTALL_OUTPUT_SHAPE_PREDICT_H
#define DATASTALL_OUTPUT_SHAPE_PREDICT_H

#include "base/emitter.h"
#include "diagnose/predict.h"

/* predict NULL: null. */
void output_predict_shape(const struct predict *predict, const struct emitter *emitter);

#endif
