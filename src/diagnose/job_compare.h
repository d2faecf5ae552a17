/* SPDX-License-Identifier: Apache-2.0 */
/* Two jobs side by side: as compare.h does of runs, over all their machines. Pure. */
#ifndef DATASTALL_DIAGNOSE_JOB_COMPARE_H
#define DATASTALL_DIAGNOSE_JOB_COMPARE_H

#include "diagnose/compare.h"
#include "diagnose/job_details.h"
#include "diagnose/rates.h"

/* What is known of one job. */
struct job_side {
    const struct job_figures *figures;
    const struct job_details *details;
    const struct rates *rates; /* of all its runs together */
    uint64_t batch_size;       /* of all its loaders; DATASTALL_UNKNOWN: not told, or several */
    double window_s;           /* of the run that took longest, first wait to last */
};

/* Fills what compare_result_text() and compare_check() take; `runs` stay NULL. stall_share is what the job
 * lost to input, as the share of its time. */
void compare_jobs(const struct job_side *first, const struct job_side *second,
                  struct comparison *comparison);

#endif
