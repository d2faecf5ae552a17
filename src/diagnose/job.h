/* SPDX-License-Identifier: Apache-2.0 */
/* One job of many ranks that wait for each other: what each step lost, and to whom. Where ranks work
 * in step, a step begins on all of them when the last one is ready, so a late rank costs the job what
 * it is late, however busy the others look meanwhile. docs/jobs.md has the method. Pure: what was read
 * goes in rank by rank, so that a job of thousands of files is never in memory as a whole.
 */
#ifndef DATASTALL_DIAGNOSE_JOB_H
#define DATASTALL_DIAGNOSE_JOB_H

#include "diagnose/range.h"
#include "diagnose/summary.h"

#define JOB_CAUSES 8u
#define JOB_NAME_BYTES 64u

enum job_reason {
    JOB_INPUT,     /* it waited for its data while the others could have gone on */
    JOB_NOT_INPUT, /* it came late to its next batch, after other work of its own */
};

/* What a rank cost the job, for one reason. */
struct job_cause {
    uint64_t rank;
    char node[JOB_NAME_BYTES];
    enum job_reason reason;
    double lost_s;
    uint64_t steps_last; /* in which it was the last one; of those that were looked at */
    char why[200];       /* what is known of it; "": nothing */
};

struct job_figures {
    char id[128]; /* as the processes were told; "": nothing */
    uint32_t ranks, nodes, restarts;
    uint64_t world_size;        /* as they were told; DATASTALL_UNKNOWN */
    uint64_t steps, steps_seen; /* of all loaders; those that were recorded one by one */
    uint32_t batches_per_step; /* of each rank: more than 1 where ranks are in step only so often */
    double active_s;           /* in which loaders were iterated over: the mean over ranks */
    /* Lost to input; to ranks that were late for another reason; NaN: no number, `says` has why. */
    struct range lost_s, lost_share;
    double not_input_s;
    double mean_stall_s;  /* of the ranks, each by itself: what is smaller than the job's loss */
    double clock_doubt_s; /* of times on different machines, at most; 0: one clock; NaN */
    uint32_t cause_count;
    struct job_cause causes[JOB_CAUSES]; /* the dearest first */
    bool in_turns;                       /* no rank has most of it */
    char says[256];                      /* why there is no number; "" */
    char note[256]; /* what limits it: ranks that loaded nothing, uneven inputs; "" */
    /* The rank whose GPU had work for longer than any other's, where nothing that is charged explains
     * it; DATASTALL_UNKNOWN: there is none, or it is not known. */
    uint64_t busiest_gpu;
    char gpu_text[360];
};

struct job;

/* expected: ranks that will be added, 0 where it is not known: of very many fewer steps are kept each.
 * NULL: no memory. */
struct job *job_begin(uint32_t expected);
/* Takes what it needs of every rank in a run. False: no memory. */
bool job_add(struct job *job, const struct summary *summary);
/* The figures of what was added; false where it is no job: fewer than two ranks loaded anything. */
bool job_settle(struct job *job, struct job_figures *figures);
void job_free(struct job *job);

const char *job_reason_name(enum job_reason reason); /* "input", "not_input" */

/* "rank 2 made the others wait: 8.7 of 9.3 s"; "" where nothing was lost to speak of. */
/* Whether so much is worth a word; and whether what the job lost to input is. */
bool job_costs(const struct job_figures *figures, double lost_s);
bool job_is_lost(const struct job_figures *figures);
void job_text(const struct job_figures *figures, char *text, size_t size);

/* Of the job's time: what is lost for less is not said. */
#define JOB_LEAST_SHARE 0.05
#define JOB_LEAST_S 0.5

#endif
