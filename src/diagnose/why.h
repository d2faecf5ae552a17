/* SPDX-License-Identifier: Apache-2.0 */
/* Why a loader is slow: the cause that its stalls show, with the evidence and what to try. Pure.
 * The terms and rules are those of docs/causes.md; keep the two together. */
#ifndef DATASTALL_DIAGNOSE_WHY_H
#define DATASTALL_DIAGNOSE_WHY_H

#include "run/run_data.h"
#include "stats/cause.h"

enum why_cause { /* the first CAUSE_STATES are the states themselves */
                 WHY_HEAD_OF_LINE = CAUSE_STATES,
                 WHY_WINDOW,
                 WHY_NONE,
                 WHY_CAUSES
};

/* Per batch of a loader's workers, all together: nanoseconds unless it says otherwise. */
struct why_work {
    uint32_t workers; /* entries that recorded something */
    uint64_t batches, items, items_timed;
    uint64_t items_ns, cpu_ns, delay_ns, blocked_ns, collate_ns, gap_ns, gap_cpu_ns;
    uint64_t startup_ns, generations;
    uint64_t asked_bytes, storage_bytes, major_faults; /* DATASTALL_UNKNOWN: not told */
    double busy_share;   /* of the workers' time from their first to their last batch; NaN */
    double running_cpus; /* CPUs that they kept busy on average; NaN */
    double item_p50_ns, item_p99_ns, item_max_ns; /* NaN: items were not timed */
};

struct why_depth { /* when a wait began, means over the waits; NaN: not known */
    uint64_t waits;
    double ready, early, in_flight, possible, empty_share;
};

/* What the machine gave, as far as it is known; NaN where not. */
struct why_host {
    double cpus_usable; /* that the process may use */
    const char *limit;  /* what sets that number: "the machine", "its affinity" ... */
    double loop_cpus;   /* CPUs that the recording process itself kept busy on average */
    double throttled_s; /* time for which the cgroup's quota held it back */
    double cpu_pressure, io_pressure;      /* share of the time in which some task waited (PSI) */
    double shm_size_bytes, shm_used_bytes; /* /dev/shm; the most that was seen in use */
};

#define WHY_EVIDENCE 6
struct why {
    uint32_t primary;                 /* enum why_cause, or enum cause_state */
    uint64_t stall_ns;                /* what is split: exposed where known, else waited */
    uint64_t states_ns[CAUSE_STATES]; /* sum to stall_ns */
    uint64_t later_ready_ns, others_idle_ns, window_ns;
    double shares[CAUSE_STATES]; /* of the stall; NaN without one */
    double head_of_line, window;
    double stall_share; /* of the loader's window */
    struct why_host host;
    struct why_work work;
    struct why_depth depth;
    uint32_t evidence_count;
    char evidence[WHY_EVIDENCE][160];
    char suggestion[256]; /* "": none */
};

/* stall: of the loader. All but the sentences, see why_sentences.h. */
void why_make(const struct run_process *process, const struct run_loader *loader,
              const struct stall *stall, struct why *why);

/* "compute", "head_of_line", "none" ... */
const char *why_name(uint32_t cause);

#endif
