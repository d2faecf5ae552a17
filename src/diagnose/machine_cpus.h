/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks of the machine and the CPUs that they share: who runs where, for how long, until when who sleeps.
 *
 * Those on a CPU either share it evenly at any moment, or take turns of a slice, as a kernel does that lets
 * who runs go on for it. Then who wakes stays on its CPU, or that of who woke it, also where another is
 * idle, and waits for its turn; an idle CPU takes over when one becomes idle, or a slice ends. */
#ifndef DATASTALL_DIAGNOSE_CPUS_MOST_H
#define DATASTALL_DIAGNOSE_CPUS_MOST_H

#include <stdbool.h>
#include <stdint.h>

#define CPUS_MOST 256u
#define CPUS_TASKS 130u
#define CPUS_SOON 1e-3 /* nanoseconds: the same moment */
#define CPUS_LEAST 0.25

enum task_state { TASK_IDLE, TASK_RUNNING, TASK_SLEEPING };

struct task {
    enum task_state state;
    double left;   /* running: on a CPU of its own */
    double until;  /* sleeping */
    uint32_t cpu;  /* where it runs, or ran last */
    uint64_t turn; /* with slices: of those on a CPU the least is next */
    double threads;
};

struct cpus {
    uint32_t count, idle;
    double speed, slice; /* slice 0: shared evenly */
    double now, ran;     /* ran: CPU time of all */
    uint32_t running[CPUS_MOST];
    uint32_t current[CPUS_MOST]; /* with slices: whose turn it is */
    double slice_left[CPUS_MOST];
    uint64_t turns;
    uint32_t tasks; /* that there are */
    struct task task[CPUS_TASKS];
};

/* So many CPUs, in parts as well, each so fast; all tasks idle at the time 0. */
void cpus_begin(struct cpus *cpus, double usable, double speed, double slice, uint32_t tasks);
void cpus_run(struct cpus *cpus, uint32_t task, double work);
void cpus_sleep(struct cpus *cpus, uint32_t task, double time);
void cpus_stop(struct cpus *cpus, uint32_t task);
/* An idle task is about to be woken by another that runs. */
void cpus_woken_by(struct cpus *cpus, uint32_t task, uint32_t by);

/* To the next moment at which something ends. False: nothing would ever happen again. */
bool cpus_go_on(struct cpus *cpus);
/* A task's running or sleeping is over: what it does next has to be said. */
bool cpus_is_over(const struct cpus *cpus, uint32_t task);

#endif
