/* SPDX-License-Identifier: Apache-2.0 */
/* A job rank by rank and over time: what its figures (job.h) are sums of. */
#ifndef DATASTALL_DIAGNOSE_JOB_DETAILS_H
#define DATASTALL_DIAGNOSE_JOB_DETAILS_H

#include "diagnose/job.h"

#define JOB_SPANS 120u

struct job_rank {
    uint64_t rank;
    char node[JOB_NAME_BYTES];
    uint64_t batches;
    double active_s;             /* in which its loaders were iterated over */
    double stall_s;              /* by itself; the middle where bounds are known */
    double input_s, not_input_s; /* what it cost the job; NaN where the job has no number */
    uint64_t input_last,
        late_last; /* steps in which it was the last one, of those that were seen */
};

/* A span of the job's time: what the steps lost that were seen in it, and the rank that most of it
 * is of. */
struct job_span {
    uint64_t steps; /* seen; 0: nothing is known of this span */
    double input_s, not_input_s;
    double most_s; /* of one rank, for both reasons; 0: nothing was lost */
    uint64_t most; /* whose; DATASTALL_UNKNOWN without */
};

struct job_details {
    uint32_t rank_count;
    struct job_rank *ranks; /* by rank; free with job_details_free() */
    double span_s;          /* 0: there are no spans */
    struct job_span spans[JOB_SPANS];
};

/* As job_settle(), with the details. False: no job, or no memory. */
bool job_settle_in_detail(struct job *job, struct job_figures *figures,
                          struct job_details *details);
void job_details_free(struct job_details *details);

#endif
