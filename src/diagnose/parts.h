/* How a summary is made, each part from those before it and once: processes with their loaders,
 * windows and states; what the devices did; what each process and device stalled; the verdict.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_DIAGNOSE_PARTS_H
#define DATASTALL_DIAGNOSE_PARTS_H

#include "diagnose/summary.h"

#define EXACT_WITHIN 0.005 /* of the window: the error that docs/accuracy.md measures */
#define SUM_TOLERANCE 0.02 /* stall and busy may add up to so much more than all */
#define LEAST_COVERAGE 0.5 /* of the waiting: less told by events says nothing of the rest */

/* processes.c: processes, loaders and stages, all but what they stalled; and the run's window. */
void summary_make_processes(struct summary *summary, uint64_t now_ns);

/* The first wait on the machine of a process: each machine has a clock of its own. */
uint64_t summary_begin_of_machine(const struct summary *summary,
                                  const struct summary_process *process);
/* The longest of all processes, each from the first wait of its machine on. */
uint64_t summary_length_ns(const struct summary *summary);

/* run_state.c */
enum summary_state summary_state_of(const struct run_process *process, uint64_t now_ns);
/* When a process stopped, as well as it is known. */
uint64_t summary_end_of(const struct summary *summary, const struct summary_process *process,
                        uint64_t now_ns);
void summary_describe_run(struct summary *summary, uint64_t now_ns);

/* gpus.c: what the devices did, all but what they waited for. */
void summary_make_gpus(struct summary *summary, uint64_t now_ns);
/* Time of a window in which the device did nothing; DATASTALL_UNKNOWN: too little is known. */
uint64_t summary_idle_within(const struct rf_gpu_view *device, uint64_t begin_ns, uint64_t end_ns);
/* Only GPM's counters count as exact: NVML's utilisation is of moments, and of any one kernel. */
bool summary_activity_is_exact(const struct rf_gpu_view *device);

/* stalls.c: what devices and processes stalled. uses: room for one per process. */
void summary_settle_stalls(struct summary *summary, struct stall_use *uses);

/* verdict.c */
void summary_make_verdict(struct summary *summary);
/* The causes: none where the verdict has none. */
void summary_settle_causes(struct summary *summary);
/* And in words: nothing to try where it knows too little. */
void summary_tell_causes(struct summary *summary);
/* A job loses what each of its ranks makes the others wait: no rank may wait so much by itself. */
void summary_charge_job(struct summary *summary);

/* advise.c: what other settings would give, of loaders that have a cause; at most so many, since each
 * takes some milliseconds. */
#define SUMMARY_PREDICTED 16
void summary_predict(struct summary *summary);
/* steps.c: where the steps of each process spent their time. False: out of memory. */
bool summary_make_steps(struct summary *summary);
/* Whether waits of the process may be hidden behind GPU work. */
bool summary_may_hide_waits(const struct summary *summary, const struct summary_process *process);

/* Whether events told enough of the waiting to speak for all of it. */
static inline bool summary_is_told(const struct stall *stall)
{
    return stall->known_ns > 0 &&
           (double)stall->known_ns >= LEAST_COVERAGE * (double)stall->waiting_ns;
}

static inline bool summary_has_window(const struct summary_process *process)
{
    return process->begin_ns != DATASTALL_UNKNOWN && process->end_ns > process->begin_ns;
}

#endif
