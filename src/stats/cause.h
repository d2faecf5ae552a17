/* SPDX-License-Identifier: Apache-2.0 */
/* What a batch was in while the program waited for it: a timeline of spans, and how much of an
 * interval each state takes. Pure arithmetic; the words are those of docs/causes.md.
 */
#ifndef DATASTALL_STATS_CAUSE_H
#define DATASTALL_STATS_CAUSE_H

#include <stdbool.h>
#include <stdint.h>

/* Disjoint states; together they are the whole of what is split. */
enum cause_state {
    CAUSE_COMPUTE,            /* items: running on a CPU */
    CAUSE_COMPUTE_IN_THREADS, /* items: waiting for other threads of the process, which ran */
    CAUSE_CPU_CONTENTION,     /* items: runnable, no CPU free */
    CAUSE_BLOCKED,            /* items: storage, sockets, sleep, locks */
    CAUSE_COLLATE,
    CAUSE_TRANSFER,      /* pickling, pipe, unpickling; handing over indices */
    CAUSE_LOOP_CPU_WAIT, /* the batch is made; the loop's own thread waits for a CPU */
    CAUSE_INTERPRETER,   /* the same, for the interpreter, which another thread holds */
    CAUSE_OVERHEAD,      /* the loader's own work per batch, where the loop itself loads */
    CAUSE_PIN,
    CAUSE_SAMPLER,
    CAUSE_STARTUP, /* of iterator and workers, and their end */
    CAUSE_UNKNOWN,
    CAUSE_STATES,
    /* Of a span only: split by what a thread did. */
    CAUSE_ITEMS = CAUSE_STATES, /* the rest was blocked */
    CAUSE_HANDOVER,             /* the rest was transfer */
    CAUSE_COLLATION             /* the rest was collate */
};

struct cause_span {
    uint64_t begin_ns, end_ns;
    uint32_t state; /* the last three of the states are allowed */
    /* For those: of the whole phase, of which the span may be a part. */
    uint64_t wall_ns, cpu_ns, delay_ns, collate_ns, threads_ns;
};

/* Spans in order of time, not overlapping. What a wait has beyond them is unknown. */
#define CAUSE_SPANS 16
struct cause_timeline {
    uint32_t count;
    struct cause_span spans[CAUSE_SPANS];
};

/* The phases of one batch as its worker recorded them. */
struct cause_batch {
    uint64_t begin_ns, items_end_ns, end_ns; /* fetch begins; items are there; collated */
    uint64_t cpu_ns, delay_ns;               /* of the items: running, waiting for a CPU */
    uint64_t threads_ns;                     /* CPU time of other threads meanwhile */
    uint64_t collate_delay_ns;               /* of the collation: waiting for a CPU */
    uint64_t collate_threads_ns;             /* of the rest of it: other threads ran */
};

/* Appends [begin, end) cut to [from, to); nothing where that is empty or no place is left. A span
 * that begins before the last one's end is cut there. */
void cause_add(struct cause_timeline *timeline, uint64_t from, uint64_t to, uint64_t begin_ns,
               uint64_t end_ns, uint32_t state);

/* Appends a batch's items and its collation. */
void cause_add_batch(struct cause_timeline *timeline, uint64_t from, uint64_t to,
                     const struct cause_batch *batch);

/* What the thread that makes batches did meanwhile: ran for items, waited for a CPU, ran for
 * collation. */
struct cause_work {
    uint64_t cpu_ns, delay_ns, collate_ns;
    uint64_t threads_ns; /* other threads of its process ran, for items */
};

/* Appends the way of a batch from its worker to the loop, [begin, end): transfer, but for what the
 * worker's next batches took of the interpreter meanwhile. (They and the thread that pickles cannot
 * both run Python code.) */
void cause_add_handover(struct cause_timeline *timeline, uint64_t from, uint64_t to,
                        uint64_t begin_ns, uint64_t end_ns, const struct cause_work *work);

/* Gives [begin, end) to a state, whatever was there. Where no place is left the spans that would
 * have to be cut in two stay as they are. */
void cause_overlay(struct cause_timeline *timeline, uint64_t begin_ns, uint64_t end_ns,
                   uint32_t state);

/* Adds to sums how [from, to) is split over the states; what no span covers is unknown. The sum of
 * what is added is exactly to - from. */
void cause_split(const struct cause_timeline *timeline, uint64_t from, uint64_t to,
                 uint64_t sums[CAUSE_STATES]);

/* The spans of a wait for a batch that the loop's own thread made, and of which nothing was asked: it only ran. The rest of
 * the wait is the loader's own work. */
struct cause_own {
    uint64_t sampler_begin_ns, sampler_end_ns; /* the same: none, or not told */
    uint64_t begin_ns, items_end_ns, end_ns;   /* end_ns 0: there is no such batch */
};

/* What cause_split() does for these spans. */
void cause_split_own(const struct cause_own *own, uint64_t from, uint64_t to,
                     uint64_t sums[CAUSE_STATES]);

/* Of the 5 ms after which Python lets another thread run, most: a shorter wait is not for the interpreter. */
#define CAUSE_INTERPRETER_TURN_NS UINT64_C(4000000)

/* Of what others ran, so much a thread waited for a CPU itself where a crowd is taken to have held up
 * both. */
#define CAUSE_LEAST_SEEN 0.02

/* What the thread that waits did itself during a wait; all zero where that was not looked at. */
struct cause_loop {
    uint64_t cpu_ns, delay_ns; /* running, waiting for a CPU */
    uint64_t others_cpu_ns;    /* CPU time of the other threads of its process */
    /* For how long they ran or waited for a CPU, to what they ran: lately, where they were looked at,
     * else rf_threads_per_cpu(). 0: not known, or the wait too short. */
    double others_busy;
};

/* The thread that waits had to wait for a CPU as well. */
static inline bool cause_is_crowded(const struct cause_loop *loop)
{
    return loop->delay_ns > 0 &&
           (double)loop->delay_ns >= CAUSE_LEAST_SEEN * (double)loop->others_cpu_ns;
}

/* The row of a batch (runfile/stretches.h) that takes the wait's exposed stall as well, also when that
 * becomes known later: while its first word is this one. */
struct cause_row {
    uint64_t *row; /* NULL: there is none */
    uint64_t word;
};

/* What a wait was spent on, as its consumer found it; depth is unknown and all else zero where
 * nothing is known. */
struct wait_cause {
    struct cause_timeline timeline;
    struct cause_own own;    /* where it is there, in place of the timeline */
    bool stall_is_under_way; /* becomes known later: it is split then */
    uint64_t later_ready_ns; /* from then to blocker_ns a later batch was there; 0: none was */
    uint64_t blocker_ns;     /* when the batch that ended the wait came */
    uint64_t others_idle_ns; /* between the two, as a mean over the other workers */
    bool window_full;        /* they had no index since the window was full */
    uint64_t depth;          /* rf_pack_depth(); UINT64_MAX: not known */
    uint64_t blocker;        /* 1 + worker; 0 not known */
    uint64_t service_ns;     /* of the blocking batch; 0 not known */
    bool replayed;
    uint64_t replay_ns, replay_larger_ns;
    uint64_t sampler_ns, pin_ns, get_cpu_ns, get_cpu_batches;
    struct cause_loop loop;
    struct cause_row row;
};

/* The same for a wait, whichever of the two tells of it. */
void cause_split_wait(const struct wait_cause *cause, uint64_t from, uint64_t to,
                      uint64_t sums[CAUSE_STATES]);

/* How a stall is split. */
struct cause_share {
    uint64_t states_ns[CAUSE_STATES];
    uint64_t later_ready_ns; /* a later batch was there already */
    uint64_t others_idle_ns; /* of that: the other workers had no index, as a mean over them */
    uint64_t window_full_ns; /* of that: because the prefetch window was full */
};

/* Of the wait [begin, end) the last stall_ns stalled the program: the GPU ran dry then, and stayed
 * so. */
void cause_of_stall(const struct wait_cause *cause, uint64_t begin_ns, uint64_t end_ns,
                    uint64_t stall_ns, struct cause_share *share);

/* Length of the common part of [a, b) and [c, d). */
static inline uint64_t cause_overlap(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t begin = a > c ? a : c, end = b < d ? b : d;
    return end > begin ? end - begin : 0;
}

#endif
