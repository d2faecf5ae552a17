/* SPDX-License-Identifier: Apache-2.0 */
/* A run on a card: what a person needs when a command ends, the verdict last. */
#ifndef DATASTALL_OUTPUT_CARD_H
#define DATASTALL_OUTPUT_CARD_H

#include <stdbool.h>
#include <stdio.h>

#include "diagnose/summary.h"

#define CARD_LINES 20u
#define CARD_LEAST_WIDTH 80u
#define CARD_MOST_WIDTH 512u

struct card_style {
    unsigned width;   /* columns; cut to the two above */
    bool colour;      /* ANSI colours, and a bar of where the time went */
    bool unicode;     /* the bar may be of block characters */
    bool verbose;     /* with all the evidence: as many lines as it takes */
    const char *next; /* the command that says more; NULL: none */
};

/* Columns, within what a card may have. */
static inline unsigned card_width_of(const struct card_style *style)
{
    return style->width < CARD_LEAST_WIDTH  ? CARD_LEAST_WIDTH
           : style->width > CARD_MOST_WIDTH ? CARD_MOST_WIDTH
                                            : style->width;
}

/* At most CARD_LINES lines (unless verbose), none wider than style->width (a character of East Asia
 * counts as two). */
void output_card(const struct summary *summary, const struct card_style *style, FILE *file);

#endif
