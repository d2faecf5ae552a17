/* SPDX-License-Identifier: Apache-2.0 */
/* Labelled paragraphs on a terminal: broken at spaces to a width, and of those that do not all fit
 * the least important left out. Pure. */
#ifndef DATASTALL_OUTPUT_PARAGRAPHS_H
#define DATASTALL_OUTPUT_PARAGRAPHS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#define PARAGRAPHS_INDENT 9u
#define PARAGRAPHS_LINES 128u

enum paragraph_tone { TONE_PLAIN, TONE_DIM, TONE_GOOD, TONE_WARNING, TONE_BAD };

struct paragraph_line {
    char label[10], text[640];
    unsigned keep, paragraph; /* larger: left out later */
    enum paragraph_tone tone;
    bool cut; /* the line behind it was left out */
};
struct paragraphs {
    unsigned width, count, paragraph_count;
    struct paragraph_line lines[PARAGRAPHS_LINES];
};

/* Adds one; what a terminal might obey becomes '?'. Beyond PARAGRAPHS_LINES nothing is added. */
void paragraphs_add(struct paragraphs *all, unsigned keep, enum paragraph_tone tone,
                    const char *label, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Leaves out lines until there are at most so many: of those kept least, the last one first. */
void paragraphs_fit(struct paragraphs *all, unsigned lines);

void paragraphs_print(const struct paragraphs *all, bool colour, FILE *file);

/* Columns that UTF-8 text takes. */
unsigned paragraphs_columns(const char *text);

#endif
