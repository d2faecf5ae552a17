/* SPDX-License-Identifier: Apache-2.0 */
/* A cause in words: evidence in numbers, and what to try. Pure. */
#ifndef DATASTALL_DIAGNOSE_WHY_SENTENCES_H
#define DATASTALL_DIAGNOSE_WHY_SENTENCES_H

#include "diagnose/why.h"

/* Fills in evidence and suggestion of a cause that was chosen. */
void why_tell(const struct run_loader *loader, struct why *why);

/* why_suggest.c: the latter. */
void why_suggest(const struct run_loader *loader, struct why *why);

#endif
