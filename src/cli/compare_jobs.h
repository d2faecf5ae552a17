/* SPDX-License-Identifier: Apache-2.0 */
/* The part of `datastall compare` that takes jobs. */
#ifndef DATASTALL_CLI_COMPARE_JOBS_H
#define DATASTALL_CLI_COMPARE_JOBS_H

#include <limits.h>

#include "diagnose/compare.h"

/* A job: the folder of its runs, and its id where the folder may hold others (NULL: it holds none). */
struct named_job {
    const char *folder, *id;
};
struct compared_jobs {
    const struct named_job
        *jobs; /* the first is the baseline; a run may stand for a job of its own */
    uint32_t count, condition_count;
    const char *const *conditions;
    bool json;
};
int cli_compare_jobs(const struct compared_jobs *options);

/* Of cmd_compare.c: what the conditions say of one comparison, as an exit code; the more serious of two. */
int compare_check_all(const struct comparison *comparison, const char *const *conditions,
                      uint32_t count);
int compare_worse(int one, int other);

#endif
