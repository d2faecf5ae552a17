/* SPDX-License-Identifier: Apache-2.0 */
/* A job, or two side by side, as a page that needs nothing but itself (docs/report.md). */
#ifndef DATASTALL_OUTPUT_JOB_REPORT_H
#define DATASTALL_OUTPUT_JOB_REPORT_H

#include <stddef.h>

#include "output/job_card.h"

/* *text: free() it. jobs: one or two. 0 or DATASTALL_ERR_MEMORY. */
int job_report_write(const struct job_document *const *jobs, uint32_t count, char **text,
                     size_t *length);

#endif
