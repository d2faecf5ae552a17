/* A run on one screen, for people: ASCII but for names, at most 100 columns. */
#ifndef DATASTALL_OUTPUT_TEXT_H
#define DATASTALL_OUTPUT_TEXT_H

#include <stdio.h>

#include "diagnose/summary.h"

void output_text(const struct summary *summary, FILE *file);

/* Text of a run file or a folder's name, fit for a terminal: what it might obey (control
 * characters, also C1) and what is no valid UTF-8 becomes '?'. Cut to size between characters.
 * Returns `to`. */
const char *output_clean_text(const char *from, char *to, size_t size);

/* Numbers for people: 1204 -> "1,204"; 19700000 -> "19.7 M". */
void output_count_text(uint64_t value, char *text, size_t size);
void output_rate_text(double value, char *text, size_t size);

#endif
