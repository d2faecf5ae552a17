/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of openmetrics.h: runs as rows of numbers, one row per set of labels. */
#ifndef DATASTALL_OUTPUT_OPENMETRICS_ROWS_H
#define DATASTALL_OUTPUT_OPENMETRICS_ROWS_H

#include <stdbool.h>

#include "diagnose/job_watch.h"
#include "diagnose/summary.h"

/* The upper bounds of the histograms, nanoseconds; the last bucket (+Inf) has none. */
#define OPENMETRICS_WAIT_BOUNDS 12u
#define OPENMETRICS_STARTUP_BOUNDS 5u

enum row_kind {
    ROW_RUN,
    ROW_PROCESS,
    ROW_LOADER,
    ROW_STAGE,
    ROW_GPU,
    ROW_PHASE,
    ROW_JOB,      /* a rank among those of its job on this machine */
    ROW_JOB_LOSS, /* and a reason */
    ROW_KINDS
};

/* Values of each kind; those before the mark never go back. DATASTALL_UNKNOWN: no such series. */
enum run_value {
    RUN_MONOTONE_VALUES = 0,
    RUN_RUNNING = RUN_MONOTONE_VALUES,
    RUN_STARTED_REAL_NS,
    RUN_ENDED_REAL_NS,
    RUN_EXIT_STATUS,
    RUN_LAUNCHER_DIED,
    RUN_PROCESSES, /* by enum summary_state */
    RUN_PROBLEMS = RUN_PROCESSES + SUMMARY_STATES
};
enum process_value {
    PROCESS_WINDOW_NS,
    PROCESS_LOST,
    PROCESS_MERGED,
    PROCESS_IMPOSSIBLE_TIMES,
    PROCESS_IMPOSSIBLE_COUNTS,
    PROCESS_UNKNOWN_ARGUMENTS,
    PROCESS_STEPS,
    PROCESS_REPLAYS,
    PROCESS_MONOTONE_VALUES,
    PROCESS_ALLOCATED_PEAK = PROCESS_MONOTONE_VALUES,
    PROCESS_RESERVED_PEAK
};
enum loader_value {
    LOADER_BATCHES,
    LOADER_SAMPLES,
    LOADER_TOKENS,
    LOADER_ITERATORS,
    LOADER_ERRORS,
    LOADER_WAITING_NS,
    LOADER_KNOWN_NS,
    LOADER_STALL_NS,  /* by the row's method; another method is another series */
    LOADER_OTHERS_NS, /* of the stall */
    LOADER_READY,     /* sum over the waits, and how many they are */
    LOADER_READY_WAITS,
    LOADER_CAUSE_NS,                                /* [CAUSE_STATES] */
    LOADER_STEADY = LOADER_CAUSE_NS + CAUSE_STATES, /* counts by bound, count, sum */
    LOADER_STARTUP = LOADER_STEADY + OPENMETRICS_WAIT_BOUNDS + 2,
    LOADER_MONOTONE_VALUES = LOADER_STARTUP + OPENMETRICS_STARTUP_BOUNDS + 2,
    LOADER_UNFINISHED_NS = LOADER_MONOTONE_VALUES,
    LOADER_POSSIBLE, /* batches that may be under way */
    LOADER_VALUES
};
enum stage_value {
    STAGE_NS,
    STAGE_WAITING_NS,
    STAGE_STALL_NS,
    STAGE_BATCHES,
    STAGE_SAMPLES,
    STAGE_TOKENS,
    STAGE_MONOTONE_VALUES
};
enum gpu_value {
    GPU_STALL_NS,
    GPU_BUSY_NS, /* by the row's source, as is the next */
    GPU_IDLE_NS,
    GPU_UNKNOWN_NS,
    GPU_ENERGY_UJ,
    GPU_SAMPLES,
    GPU_ERRORS,
    GPU_MONOTONE_VALUES,
    GPU_UP = GPU_MONOTONE_VALUES,
    GPU_LOST,
    GPU_MEMORY_USED,
    GPU_MEMORY_TOTAL,
    GPU_POWER_MW,
    GPU_TEMPERATURE,
    GPU_SM_CLOCK_HZ
};
enum phase_value { PHASE_NS, PHASE_TIMES, PHASE_ASKED, PHASE_EMPTY, PHASE_MONOTONE_VALUES };
enum job_value { JOB_STEPS, JOB_TIME_NS, JOB_MONOTONE_VALUES };
enum job_loss_value { JOB_LOST_NS, JOB_LOST_UPPER_NS, JOB_LAST, JOB_LOSS_MONOTONE_VALUES };
#define ROW_VALUES LOADER_VALUES

struct row {
    char *labels;      /* escaped, without braces */
    char *info;        /* more of them, for the row's _info metric; NULL: none */
    const char *extra; /* one more, for the values that depend on it; NULL: none */
    uint64_t key;      /* of the labels and the run's folder */
    uint64_t values[ROW_VALUES];
};
struct rows {
    struct row *rows[ROW_KINDS];
    uint32_t count[ROW_KINDS], room[ROW_KINDS];
    bool failed; /* out of memory */
};

extern const uint64_t openmetrics_wait_bounds[OPENMETRICS_WAIT_BOUNDS];
extern const uint64_t openmetrics_startup_bounds[OPENMETRICS_STARTUP_BOUNDS];

/* How many of `count` waits took at most each bound, as said of the histogram: a log-linear bucket
 * that a bound cuts (its values differ by 1.6 % at most) counts above the bound. Exact at 1 ms (but
 * for waits of exactly 1 ms) and at 50 ms, which the queue states tell. queue: the counts by enum
 * datastall_queue_state; NULL: not known. Pure. */
void openmetrics_cumulate(const uint64_t *histogram, uint64_t count, const uint64_t *queue,
                          const uint64_t *bounds_ns, uint32_t bound_count, uint64_t *cumulative);

/* jobs: NULL: nobody watched the runs go on. */
void rows_collect(struct rows *rows, const struct summary *const *runs, uint32_t count,
                  const struct job_watch *jobs, uint64_t now_ns);
struct openmetrics_memory;
/* Raises what went back to what was said before, and remembers. */
void rows_hold(struct rows *rows, struct openmetrics_memory *memory, uint64_t now_ns);
void rows_free(struct rows *rows);

#endif
