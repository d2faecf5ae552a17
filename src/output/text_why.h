/* SPDX-License-Identifier: Apache-2.0 */
/* WHY and TRY of a loader on the screen. */
#ifndef DATASTALL_OUTPUT_TEXT_WHY_H
#define DATASTALL_OUTPUT_TEXT_WHY_H

#include <stdio.h>

#include "diagnose/summary.h"

/* Nothing for a loader that is not slow or of which nothing is known. */
void output_why_text(const struct summary_loader *loader, FILE *file);

#endif
