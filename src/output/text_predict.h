/* SPDX-License-Identifier: Apache-2.0 */
/* What other settings of a loader would give, for people: a table of at most 80 columns. */
#ifndef DATASTALL_OUTPUT_TEXT_PREDICT_H
#define DATASTALL_OUTPUT_TEXT_PREDICT_H

#include <stdio.h>

#include "diagnose/predict.h"

/* name: of the loader, clean. */
void output_predict_text(const struct predict *predict, const char *name, FILE *file);

/* One line for the summary of a run: the setting that is worth a try, "" where there is none. */
void output_predict_line(const struct predict *predict, char *text, size_t size);

#endif
