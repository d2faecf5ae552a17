/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a card that a run and a job have in common. */
#ifndef DATASTALL_OUTPUT_CARD_JOB_H
#define DATASTALL_OUTPUT_CARD_JOB_H

#include "diagnose/job.h"
#include "output/card_loaders.h"
#include "output/paragraphs.h"

/* The line of what the ranks lost together; figures NULL: none. */
void card_add_job(const struct job_figures *figures, struct paragraphs *card);

enum paragraph_tone card_tone_of(enum summary_severity severity);

#endif
