/* SPDX-License-Identifier: Apache-2.0 */
/* Where a thread's steps spend their time: phases by the host's clock (stats/step.h), told by the
 * places that every program passes. Belongs to the thread itself; nothing here allocates, locks or
 * logs but a thread's first event.
 *
 * A thread is followed from its first batch if it is the main one, else from its first backward: one
 * that only prefetches has no steps.
 */
#ifndef DATASTALL_RECORD_STEPS_H
#define DATASTALL_RECORD_STEPS_H

#include "record/monitor.h"
#include "runfile/steps.h"

enum step_place { STEP_IN_BACKWARD, STEP_IN_OPTIMIZER, STEP_IN_CHECKPOINT };
#define STEP_DEPTH 4u /* a backward inside an optimizer's closure; deeper ones count as theirs */

/* What the interval under way began with. */
enum step_since { STEP_SINCE_NOTHING, STEP_SINCE_BATCH, STEP_SINCE_WORK, STEP_SINCE_STATED };

/* What a look saw in an interval whose phase is not known yet; interval 0: empty. */
#define STEP_LINES_PENDING 8u
struct step_line_seen {
    uint64_t interval, seen, empty;
    uint64_t kind; /* enum rf_step_line_kind */
    char what[32], where[96];
};
#define STEP_PHASES_KEPT 256u /* intervals whose phase is remembered for it */

/* Of a phase: its part of the totals that changes at every place. Two and a half lie in a cache line. */
struct step_sum {
    uint64_t times, host_ns, longest_ns;
};

/* One thread's, what a place touches first, each group from a cache line on. `interval` and `answers` are
 * read and written by the thread that asks the GPU (gpu/probe.h) too. */
struct steps {
    uint64_t since_ns; /* where the interval under way began; 0: nothing did yet */
    uint64_t loader;   /* number of the one whose batch came last */
    uint64_t steps;    /* so far */
    uint64_t published_ns;
    uint64_t interval; /* number of the one under way, from 1 */
    enum step_since since;
    uint32_t place; /* of this among the monitor's */
    uint32_t depth, nested;
    uint8_t places[STEP_DEPTH]; /* enum step_place */
    bool stated;                /* step() says what a step is */

    uint64_t answers[2]; /* what the GPU answered during the interval, see steps_answer() */
    struct step_sum sums[STEP_PHASE_COUNT];

    datastall_monitor *monitor;
    uint64_t *entry;
    struct rf_steps_layout layout;
    uint64_t totals[RF_STEP_TOTAL_WORDS]; /* as they were published, but for what is in `sums` */
    void *context; /* of CUDA, where its work goes, and the stream; see gpu/probe.h */
    uint64_t stream;
    uint64_t python_thread;                            /* its number in Python; 0: not known */
    uint64_t phases[STEP_PHASES_KEPT];                 /* interval << 8 | phase, by interval */
    struct step_line_seen pending[STEP_LINES_PENDING]; /* of the asking thread alone */
} DS_LINE_ALIGNED;

/* A batch was waited for on the calling thread: an iter(), or a next() (got: a batch came). */
void steps_wait(const datastall_loader *loader, uint64_t begin_ns, uint64_t end_ns, bool got);
/* The program says that a step begins here. */
void steps_mark(datastall_monitor *monitor);
/* The calling thread comes to a place, and leaves it. */
void steps_enter(datastall_monitor *monitor, enum step_place place);
void steps_leave(datastall_monitor *monitor, enum step_place place);
/* It replays a CUDA graph, of which no phase shows. */
void steps_replay(datastall_monitor *monitor);
/* Publishes what is known of the calling thread up to now. */
void steps_finish(datastall_monitor *monitor);

/* The calling thread's; NULL: it is not followed there. */
struct steps *steps_of_this_thread(datastall_monitor *monitor);

/* For the thread that asks the GPU: what it was told while `interval` was under way, as far as it
 * still is. */
enum steps_answer { STEPS_BUSY, STEPS_EMPTY, STEPS_UNTOLD, STEPS_LOOKED, STEPS_ANSWERS };
void steps_answer(struct steps *steps, uint64_t interval, enum steps_answer answer);

/* What torch's allocator held on the calling thread's device, in bytes, and the most that it did;
 * retries: allocations that failed until its cache was given back. */
struct steps_memory {
    uint64_t allocated, allocated_peak, reserved, reserved_peak, retries;
};
void steps_memory(datastall_monitor *monitor, const struct steps_memory *memory);

#endif
