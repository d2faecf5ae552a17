/* SPDX-License-Identifier: Apache-2.0 */
/* A run on one screen, for people: ASCII but for names, at most 100 columns. */
#ifndef DATASTALL_OUTPUT_TEXT_H
#define DATASTALL_OUTPUT_TEXT_H

#include <stdio.h>

#include "diagnose/summary.h"

void output_text(const struct summary *summary, FILE *file);

/* Numbers for people: 1204 -> "1,204"; 19700000 -> "19.7 M". */
void output_count_text(uint64_t value, char *text, size_t size);
void output_rate_text(double value, char *text, size_t size);

#endif
