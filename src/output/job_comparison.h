/* SPDX-License-Identifier: Apache-2.0 */
/* Two jobs side by side, for people and as a document (docs/compare.md). */
#ifndef DATASTALL_OUTPUT_JOB_COMPARISON_H
#define DATASTALL_OUTPUT_JOB_COMPARISON_H

#include "output/job_card.h"

struct job_comparison {
    const struct job_document *jobs[2];
    struct comparison comparison;
};
struct job_comparisons {
    uint32_t count;
    struct job_comparison *comparisons;
};

/* The result first, within style->width columns. */
void output_job_comparison(const struct job_comparison *comparison, const struct card_style *style,
                           FILE *file);
/* Told to an emitter, as one object; key NULL for the outermost. */
void output_job_comparison_shape(const struct job_comparison *comparison, const char *key,
                                 const struct emitter *emitter);

#endif
