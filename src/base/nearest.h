/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": the known name that is nearest to a mistyped word. The program's only. */
#ifndef DATASTALL_BASE_NEAREST_H
#define DATASTALL_BASE_NEAREST_H

#include <stddef.h>

/* Set word and leave the rest 0. The strings are the caller's and must outlive it. */
struct nearest {
    const char *word; /* what was typed */
    const char *best; /* NULL: nothing near enough was offered */
    size_t distance;  /* of best */
};

/* Offers a name, by what somebody may have typed for it (mostly the name itself). Of two that are as
 * near, the later one stays. Near enough is one slip in three letters: a letter too many, missing or
 * wrong, or two that are swapped; case does not count. */
void nearest_offer(struct nearest *nearest, const char *typed, const char *name);

/* " (did you mean 'DASHESNAME'?)", or "" where nothing is near enough; in text (size bytes). */
const char *nearest_hint(const struct nearest *nearest, const char *dashes, char *text,
                         size_t size);

#endif
