/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence of what to try, and what it would bring. Pure. */
#ifndef DATASTALL_DIAGNOSE_WHY_TRY_H
#define DATASTALL_DIAGNOSE_WHY_TRY_H

#include "diagnose/why.h"

#define WHY_LEAST_WORTH 1.02 /* times as fast: less is not worth a word */

/* Begins it, and goes on with it; what has no room is cut. */
void why_try(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));
void why_try_also(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "1.80x faster (1.60 to 1.90)", for the suggestion; returns text. */
const char *why_gain_text(struct why *why, const struct range *faster, char *text, size_t size);
/* The same of a loader that a thread of its own may iterate over: how fast the program takes from it is
 * not seen. */
const char *why_gain_of(const struct run_loader *loader, struct why *why,
                        const struct range *faster, char *text, size_t size);

/* What it is worth at most, where a replay of the run told: in that the loop is as fast as it was. */
void why_add_worth(const struct run_loader *loader, struct why *why, const char *what);
/* What of the workers' work would be worth most, made cheaper, and how much at most. */
void why_add_less_to_do(const struct run_loader *loader, struct why *why);
/* A gain is of the time in which the loader is iterated: says so where the program does other things as well. */
void why_add_part(struct why *why, uint64_t program_ns);

#endif
