/* SPDX-License-Identifier: Apache-2.0 */
/* Where a process's steps spend their time, and what the GPU did meanwhile: docs/steps.md. */
#ifndef DATASTALL_DIAGNOSE_STEPS_H
#define DATASTALL_DIAGNOSE_STEPS_H

#include "diagnose/summary.h"

struct summary_phase {
    const char *name;
    uint64_t count, host_ns, longest_ns; /* by the host's clock */
    double share;                        /* of the steps' window */
    uint64_t asked, empty;               /* random moments at which the GPU was asked for work */
    uint64_t looks;                      /* at the line that the program was at */
    /* With nothing to do for the GPU while the host was there, and the error of that (one standard
     * deviation); NaN: not known. */
    double starved_ns, starved_error_ns;
    double gpu_ns;     /* host_ns - starved_ns */
    double blocked_ns; /* in calls that wait for the GPU; NaN: not known */
};

/* A line of the program that waits for the GPU in a call, or whose own code works, outside of torch and
 * its modules. */
struct summary_line {
    const char *what, *where; /* what: the call; "": not known, or it works */
    enum step_phase phase;
    uint64_t seen;     /* looks that found the program there */
    double ns;         /* estimated from them */
    double starved_ns; /* of that, with nothing to do for the GPU */
    bool copies;       /* it moves data between the host and the GPU */
};

/* What a share of idle GPU time was spent on. */
struct summary_idle {
    const char *what;  /* "input", a phase's name, a blocking call, "work", "unknown" */
    const char *where; /* of a blocking call or of work; NULL */
    double ns, share;  /* of the steps' window */
};

enum summary_steps_method { SUMMARY_STEPS_HOST, SUMMARY_STEPS_QUEUE, SUMMARY_STEPS_BOUND };

#define SUMMARY_BLOCKING 8
#define SUMMARY_WORKING 8
#define SUMMARY_IDLE (STEP_PHASE_COUNT + SUMMARY_BLOCKING + SUMMARY_WORKING + 1)

struct summary_steps {
    uint64_t count;         /* steps; 0: none was followed, and nothing below means anything */
    const char *counted_by; /* "batches", "step()", "optimizer", "backward" */
    uint64_t replays;       /* of CUDA graphs, in which phases do not show */
    uint64_t window_ns;     /* of the phases, which add up to it; of several threads their sum */
    uint32_t threads;
    enum summary_steps_method method;
    bool has_capturers; /* the GPU was not asked, so that no capture of another library is spoilt */
    struct summary_phase phases[STEP_PHASE_COUNT];
    uint32_t blocking_count;
    struct summary_line blocking[SUMMARY_BLOCKING]; /* the longest first */
    uint32_t working_count;
    struct summary_line working[SUMMARY_WORKING]; /* the longest first */
    double copies_ns;                             /* in lines that copy; NaN: not known */
    /* That its GPU took from the host while it was sampled, by its own counters: copies, commands, and what
     * other programs send it. DATASTALL_UNKNOWN: not counted, or ranks share the GPU. */
    uint64_t received_bytes;
    double pinned_share; /* of the batches: from a loader with pin_memory=True; NaN: no GPU */
    uint32_t idle_count; /* 0: not known */
    struct summary_idle idle[SUMMARY_IDLE]; /* disjoint; the largest first */
    double idle_share; /* of all but the input: measured by the GPU, or what the phases add up to */
    bool idle_is_measured; /* by the GPU's own counters */
    /* torch's allocator; DATASTALL_UNKNOWN: not read. */
    uint64_t allocated_peak_bytes, reserved_peak_bytes, allocation_retries;
    uint64_t creep_bytes; /* by which the least allocated grew over the last half of the run; 0: it
                             does not creep */
};

const char *summary_steps_method_name(enum summary_steps_method method);

/* Why the GPU was not asked; NULL: it was, there is none, or nobody wanted it. */
const char *summary_steps_says(const struct summary_steps *steps);

/* What is known of the GPU's idle time beside the input, in one line; "": nothing, or too little to
 * speak of. Pure. */
void summary_steps_text(const struct summary *summary, char *text, size_t size);
/* What to try against the `place`-th of it; false: there is no more. Pure. */
bool summary_steps_advice(const struct summary_steps *steps, uint32_t place, char *text,
                          size_t size);
/* That memory creeps; "": it does not. */
void summary_memory_text(const struct summary_steps *steps, char *text, size_t size);

/* The process whose steps stand for the run: the worst one, else that with the longest window. NULL:
 * no steps were followed. */
const struct summary_steps *summary_steps_of_run(const struct summary *summary, uint32_t *process);

#endif
