/* SPDX-License-Identifier: Apache-2.0 */
/* Two runs side by side, for people and as a document (docs/compare.md). */
#ifndef DATASTALL_OUTPUT_COMPARISON_H
#define DATASTALL_OUTPUT_COMPARISON_H

#include "base/emitter.h"
#include "diagnose/compare.h"
#include "output/card.h"

/* The result first, within style->width columns. */
void output_comparison(const struct comparison *comparison, const struct card_style *style,
                       FILE *file);

/* Told to an emitter, as one object; key NULL for the outermost. */
void output_comparison_shape(const struct comparison *comparison, const char *key,
                             const struct emitter *emitter);

/* Its members for runs and jobs alike, into an open object: result, reason, throughput and window. */
void output_comparison_result_shape(const struct comparison *comparison,
                                    const struct emitter *emitter);
/* `comparison_text`: the result in words. */
void output_comparison_text_shape(const struct comparison *comparison,
                                  const struct emitter *emitter);

#endif
