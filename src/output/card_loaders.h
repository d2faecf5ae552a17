/* SPDX-License-Identifier: Apache-2.0 */
/* The loaders on a card: those of one name and one cause, of all ranks, together. */
#ifndef DATASTALL_OUTPUT_CARD_LOADERS_H
#define DATASTALL_OUTPUT_CARD_LOADERS_H

#include "diagnose/summary.h"
#include "output/paragraphs.h"

/* What stays when not all fits: the larger, the longer. */
enum card_keep {
    CARD_KEEP_DETAILS,
    CARD_KEEP_LESSER, /* all but the loader that waits most */
    CARD_KEEP_FIGURES,
    CARD_KEEP_WARNINGS,
    CARD_KEEP_ADVICE,
    CARD_KEEP_NEXT,
    CARD_KEEP_VERDICT
};

void card_add_loaders(const struct summary *summary, struct paragraphs *card);

#endif
