/* SPDX-License-Identifier: Apache-2.0 */
/* How a job's figures are made: members (a rank's batches of one loader), put side by side in groups
 * of one loader and one start of the ranks; their clocks; what each step lost. */
#ifndef DATASTALL_DIAGNOSE_JOB_PARTS_H
#define DATASTALL_DIAGNOSE_JOB_PARTS_H

#include "diagnose/job.h"

/* One batch: from the call that asked for it (iter(), where it is the first) to its coming. */
struct job_step {
    uint64_t index;
    uint64_t begin_ns, end_ns;   /* on the rank's own clock */
    uint64_t lower_ns, upper_ns; /* stalled, at least and at most */
    bool first;                  /* of its iterator */
};

/* Of a rank's GPU; NaN: not known. */
struct job_gpu {
    double sm_s; /* for which its multiprocessors had work, their mean, while it was sampled */
    double sm_clock_mhz, held_share;
};

struct job_member {
    uint64_t rank, restart, world_size, opened_ns;
    uint32_t clock, node; /* in job's tables */
    char loader[256];     /* name, site and data set: the same loader on every rank */
    uint64_t batches;
    struct stall_bounds total; /* stalled, over the whole run */
    double active_s;           /* of its process; 0 but for the first of its loaders */
    double
        forward_ns;  /* of a step, before the backward pass, by the host's clock; NaN: not known */
    bool gpu;        /* its stalls are by the GPU's clock or bounds of it */
    char cause[200]; /* of its stalls, in words */
    double
        cpu_pressure; /* share of the time in which some task of its machine waited for a CPU; NaN */
    struct job_gpu gpu_work;
    char machine[120]; /* what held the rank itself back, in words; "" */
    struct job_step *steps;
    uint32_t count;
    uint32_t *at; /* of its group's common steps: which of `steps` */
};

/* One step of the job: when, what was lost in it, and to whom. */
struct job_moment {
    double real_ns, input_ns, late_ns;
    uint64_t input_rank, late_rank;
};
struct job_moments {
    struct job_moment *moments; /* free() */
    uint32_t count, room;
};

/* Members that share a loader and a restart, by rank. */
struct job_group {
    struct job_member **members;
    uint32_t count;
    uint64_t *indices; /* of the common steps, growing */
    uint32_t steps;
    int64_t *offsets;     /* [clock][segment] to be added to that clock's times */
    uint32_t *segment_of; /* [step]: of the run of consecutive steps that it is in */
    uint32_t segments;
    double doubt_ns;
    /* Batches of a rank per step of the job, which begins at those whose index is `phase` modulo lag; lag
     * 0: the ranks are not in step. */
    uint32_t lag, phase;
    /* Who watches a job that goes on: steps of the job from this index on count, where the one before is
     * known. 0: all that are there. */
    uint64_t count_from;
    struct job_moments *moments; /* each step of the job is added; NULL: nobody asks */
    double real_ns;              /* real time less the common clock */
};

struct job {
    uint32_t expected;
    struct job_member *members;
    uint32_t count;
    char id[128];
    uint32_t clocks, nodes;
    struct job_clock {
        char boot_id[40];
        int64_t real_ns; /* real time minus monotonic */
    } *clock;
    char (*node)[JOB_NAME_BYTES];
};

/* What a group lost; sums over its steps that were looked at, in nanoseconds. */
struct job_loss {
    double mean, lower, upper, not_input;
    double stalls;        /* the mean over ranks of what each stalled in them */
    double *input, *late; /* [member]: of `mean` and `not_input`, whose it is */
    double *input_lower, *input_upper;
    uint64_t *last, *last_late; /* [member]: steps in which it was that */
    double *late_squares;
    double *of_segment; /* [segment]: of `mean` */
    double *stall_of_segment;
    uint64_t steps;
    double time;   /* of the steps whose predecessor is known, from one to the next */
    uint64_t next; /* the index behind the last step of the job */
};

/* job_members.c: the clock that a process reads, as an index in job's table. False: no memory. */
bool job_clock_of(struct job *job, const struct rf_header *header, uint32_t *index);
/* A loader's name, site and data set, which are the same on every rank. */
void job_loader_text(const struct rf_loader_entry *entry, char *text, size_t size);

/* job_align.c: common steps, how often ranks are in step, clocks. Each false: no memory. */
bool job_find_common(struct job_group *group);
/* What they made; not the list of members, which is the caller's. */
void job_group_free(struct job_group *group);
bool job_find_clocks(struct job_group *group, uint32_t clocks);
/* Sets `lag` and `phase`, lag 0 where they are not in step. by_host: no rank uses a GPU. */
bool job_find_lag(struct job_group *group, bool by_host);
bool job_epochs_agree(const struct job_group *group); /* in the common steps */
bool job_is_by_host(const struct job_group *group);   /* no rank uses a GPU */

/* A time of a member's step on the common clock. */
static inline double job_time(const struct job_group *group, const struct job_member *member,
                              uint32_t step, uint64_t ns)
{
    return (double)(int64_t)(ns +
                             (uint64_t)group->offsets[(uint64_t)member->clock * group->segments +
                                                      group->segment_of[step]]);
}

static inline const struct job_step *job_step_of(const struct job_member *member, uint32_t step)
{
    return &member->steps[member->at[step]];
}

/* What job_settle() finds on its way: what every rank cost, not the dearest only. */
struct job_settling {
    uint32_t cause_count;
    struct job_cause *causes;    /* free() */
    struct job_moments *moments; /* NULL: not wanted */
};
bool job_settle_with(struct job *job, struct job_figures *figures, struct job_settling *settling);

/* job_gpus.c */
struct job_gpu job_gpu_of(const struct summary *summary, const struct summary_process *process);
/* Sets `busiest_gpu` and `gpu_text` where one rank's GPU works for longer than all others'. */
void job_find_busiest_gpu(const struct job *job, struct job_figures *figures);

/* job_loss.c */
bool job_lose(const struct job_group *group, struct job_loss *loss);
void job_loss_free(struct job_loss *loss);

/* The members whose forward pass takes longest, and the next of them. */
struct job_slowest {
    uint32_t slow, next;
    double slow_ns, next_ns;
};
/* False: of one of them it is not known, or there is no other. */
bool job_find_slowest(const struct job_group *group, struct job_slowest *found);
/* What of its taking longer costs nothing, per step as a mean: where ranks first meet behind it, as long as another
 * rank waits for its batch; where they meet in it (buffers that are sent round), what it waits there for
 * others. NaN: the steps do not tell. */
double job_hidden_ns(const struct job_group *group, const struct job_slowest *slowest);

#endif
