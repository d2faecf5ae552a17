/* SPDX-License-Identifier: Apache-2.0 */
/* STEPS on the screen: where the time of a step goes, and what to try. */
#ifndef DATASTALL_OUTPUT_TEXT_STEPS_H
#define DATASTALL_OUTPUT_TEXT_STEPS_H

#include <stdio.h>

#include "diagnose/summary.h"

/* Nothing where no steps were followed. */
void output_steps_text(const struct summary *summary, FILE *file);

#endif
