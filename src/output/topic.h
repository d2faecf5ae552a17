/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of docs/ in a terminal: what scripts/topics.py made of them, broken to a width. */
#ifndef DATASTALL_OUTPUT_TOPIC_H
#define DATASTALL_OUTPUT_TOPIC_H

#include <stdbool.h>
#include <stdio.h>

struct topic {
    const char *name;  /* `datastall help NAME`; NULL ends the table */
    const char *title; /* one line */
    const char *text;  /* blocks, as scripts/topics.py says */
};

/* Of scripts/topics.py, in the order of docs/topics.txt. */
extern const struct topic topics[];

/* NULL: there is none of that name. */
const struct topic *topic_find(const char *name);

/* width: columns, at least TOPIC_LEAST_WIDTH. Text is no wider than TOPIC_TEXT_WIDTH, which reads well;
 * tables take what they need. A line of code, and a word that is wider than all, is left as it is. */
#define TOPIC_LEAST_WIDTH 40u
#define TOPIC_TEXT_WIDTH 100u
void topic_print(const char *text, unsigned width, bool colour, FILE *file);

#endif
