/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that go on, as far as one machine knows them: what each of its ranks cost the others so far, step
 * by step as in job.h, from the waits that a reader which polls has had since its last reading
 * (run_data_read_next()). Pure: who reads tells it of every reading. */
#ifndef DATASTALL_DIAGNOSE_JOB_WATCH_H
#define DATASTALL_DIAGNOSE_JOB_WATCH_H

#include "diagnose/job.h"

struct job_watch;

/* What was seen of a rank with one of its loaders, in steps that could be put beside those of the
 * machine's other ranks: sums that only grow. */
struct job_watched {
    const char *path;       /* of its run's folder */
    const char *id;         /* of the job, as it was told; "": nothing */
    const char *node, *pod; /* pod "": none was told */
    uint64_t rank;
    uint64_t steps;                          /* of the job */
    uint64_t time_ns;                        /* that they took */
    uint64_t input_lower_ns, input_upper_ns; /* lost where it came last, by its input */
    uint64_t not_input_ns; /* by another reason; DATASTALL_UNKNOWN: it has nobody beside it */
    uint64_t last_by_input, last_by_other; /* steps in which it was the last and cost something */
};

struct job_watch *job_watch_new(void); /* NULL: no memory */
void job_watch_free(struct job_watch *watch);

/* Takes a reading of all runs of the machine that are of interest. A run that is not among them any more
 * is forgotten. Where there is no memory for it, it is as if the waits had not been seen. */
void job_watch_add(struct job_watch *watch, const struct summary *const *runs, uint32_t count,
                   uint64_t now_ns);

/* Those of whom anything can be said; valid until the next reading. NULL watch: none. */
uint32_t job_watch_count(const struct job_watch *watch);
const struct job_watched *job_watch_at(const struct job_watch *watch, uint32_t index);

#endif
