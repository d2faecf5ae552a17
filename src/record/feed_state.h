/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of what feeds an iterator (feed.h), and how one is opened. */
#ifndef DATASTALL_RECORD_FEED_STATE_H
#define DATASTALL_RECORD_FEED_STATE_H

#include "record/loop_look.h"
#include "record/monitor.h"
#include "record/stretches.h"
#include "record/worker.h"
#include "stats/replay.h"

#define FEED_WORKERS REPLAY_WORKERS
#define FEED_INDICES REPLAY_WINDOW /* that may be under way; a power of two */
#define FEED_LAID_SPANS 4u
/* Shorter waits are not worth a look at every other worker's entry. */
#define FEED_SHORT_NS UINT64_C(100000)
#define FEED_NO_ENTRY UINT32_MAX

struct feed_worker {
    uint32_t entry; /* index in the worker section; FEED_NO_ENTRY: not recorded */
    uint64_t generation;
    uint64_t sent, arrived; /* batches of this epoch, given to it and come from it */
    uint64_t came;          /* of all epochs of this feed */
    bool done;              /* its stream said in this epoch that there is no more */
};

/* What a batch cost in its worker, in units of RF_STRETCH_UNIT_NS but for the moments. */
struct feed_made {
    uint64_t begin_ns, end_ns; /* end_ns 0: not known */
    uint32_t items, cpu, threads, delay;
    uint32_t collate, collate_cpu, collate_delay, pickle_cpu;
};

/* Looks at the workers, see lock_look.h. */
struct lock_look {
    uint64_t next_ns; /* the next one, at the earliest */
    uint32_t looks, failed;
    uint32_t worker; /* whose turn it is */
};

struct feed {
    /* what every wait touches, together */
    datastall_monitor *monitor;
    uint64_t fork_generation;
    uint32_t workers; /* of the loader; 0: it loads in this process */
    uint32_t own_entry;
    uint64_t possible;  /* prefetch_factor * workers */
    struct worker *own; /* workers 0: what this process records of itself */
    bool in_order, replaying;
    uint64_t last_end_ns;
    uint64_t held; /* batches that came too early and wait for their turn */

    /* the wait under way */
    bool waiting, has_blocker, quiet, may_be_short, window_full;
    uint32_t blocker;    /* worker */
    uint32_t laid_count; /* what the loop's own thread did meanwhile */
    uint64_t begin_ns, next_index, later_ready_ns, depth, own_count;
    uint64_t blocker_index, blocker_ordinal, blocker_ns;
    uint64_t sampler_ns, pin_ns, get_cpu_ns, get_cpu_batches, gets;
    struct {
        uint64_t begin_ns, end_ns;
        uint32_t state;
    } laid[FEED_LAID_SPANS];

    struct stretches stretches;
    struct rf_worker_layout layout;
    uint64_t *entries;
    uint64_t entry_words;
    uint64_t epoch; /* as the workers count it, from 1 */
    uint64_t sent_until;
    uint32_t loader;          /* index */
    uint64_t unknown_batches; /* came from workers that have no place in by_worker */
    uint64_t pin_thread, pin_total_ns;
    struct loop_look look; /* at the loop's own thread, where there are workers */
    struct lock_look lock_look;

    struct feed_worker by_worker[FEED_WORKERS];
    /* indices under way, each at its number */
    struct {
        uint32_t worker; /* FEED_NO_ENTRY: not known */
        uint64_t ordinal, service_ns;
        struct feed_made made;
    } indices[FEED_INDICES];
    struct replay as_is, larger;
};

struct feed_options {
    uint32_t workers; /* of the loader; 0: it loads in this process */
    uint64_t prefetch_factor;
    const uint64_t *pids; /* of the first FEED_WORKERS, in the order of their numbers */
    uint64_t epoch; /* 1 with a new iterator; one more with each epoch of persistent workers */
    uint64_t iter_begin_ns;
    uint64_t pin_thread; /* kernel thread id; 0: none */
    bool in_order;
};

#endif
