/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the program that were seen in calls that wait for the GPU, and such as were at work by
 * themselves, counted by phase. For one thread that looks (gpu/probe.h): in which phase a look was
 * shows only when that is over. */
#ifndef DATASTALL_RECORD_STEP_LINES_H
#define DATASTALL_RECORD_STEP_LINES_H

#include "record/steps.h"

/* A look found the thread of these steps in a call of `what` at `where`, or at work there (what: ""), in
 * the interval under way; empty: while the GPU had nothing to do. Texts are cut. Of more places at once
 * than there is room for, the rest is not counted. */
void step_lines_seen(struct steps *steps, uint64_t interval, enum rf_step_line_kind kind,
                     const char *what, const char *where, bool empty);
/* Counts what was seen in intervals whose phase is known by now. */
void step_lines_settle(struct steps *steps);

#endif
