/* SPDX-License-Identifier: Apache-2.0 */
/* All that a run says, for people: ASCII but for names. The card (card.h) is the short form. */
#ifndef DATASTALL_OUTPUT_TEXT_H
#define DATASTALL_OUTPUT_TEXT_H

#include <stdio.h>

#include "diagnose/summary.h"

void output_text(const struct summary *summary, FILE *file);
/* The same without the verdict. */
void output_details(const struct summary *summary, FILE *file);
/* What qualifies the verdict's figure: "at most, because ...". */
void output_bounds(const struct summary *summary, FILE *file);
/* Notes about what could not be recorded. */
uint32_t output_note_count(const struct summary *summary);
/* "GPU 0", and how busy it was: "busy 38.8 % (NVML utilisation)". */
void output_gpu_text(const struct summary_gpu *gpu, char label[24], char busy[64]);
/* Of a run that did not end: "still running" ... */
const char *output_state_text(enum summary_state state);

/* Numbers for people: 1204 -> "1,204"; 19700000 -> "19.7 M". */
void output_count_text(uint64_t value, char *text, size_t size);
void output_rate_text(double value, char *text, size_t size);
/* "12.3 %", "unknown"; returns text. */
const char *output_share_text(double share, char text[16]);

#endif
