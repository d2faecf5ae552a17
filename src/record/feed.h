/* SPDX-License-Identifier: Apache-2.0 */
/* What feeds one iterator of a loader: its workers, what is on the way, and for each wait what the
 * batch that ended it was in meanwhile. Belongs to the thread that consumes the iterator.
 *
 * Batches of one worker come in the order in which it made them, so the n-th that comes from a
 * worker is its n-th record of the epoch; the payload need not say anything.
 */
#ifndef DATASTALL_RECORD_FEED_H
#define DATASTALL_RECORD_FEED_H

#include "record/loop_look.h"
#include "record/monitor.h"
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

struct feed {
    datastall_monitor *monitor;
    uint64_t fork_generation;
    struct rf_worker_layout layout;
    uint64_t *entries;
    uint64_t entry_words;

    uint32_t workers;  /* of the loader; 0: it loads in this process */
    uint64_t possible; /* prefetch_factor * workers */
    uint64_t epoch;    /* as the workers count it, from 1 */
    bool in_order;
    struct worker *own; /* workers 0: what this process records of itself */
    uint32_t own_entry;
    struct feed_worker by_worker[FEED_WORKERS];
    uint32_t loader;          /* index */
    uint64_t unknown_batches; /* came from workers that have no place in by_worker */

    /* indices under way, each at its number */
    uint64_t sent_until;
    struct {
        uint32_t worker; /* FEED_NO_ENTRY: not known */
        uint64_t ordinal, service_ns;
    } indices[FEED_INDICES];
    uint64_t held; /* batches that came too early and wait for their turn */

    uint64_t last_end_ns;
    bool replaying;
    struct replay as_is, larger;

    /* the wait under way */
    bool waiting, has_blocker;
    uint64_t begin_ns, next_index, later_ready_ns, depth, own_count;
    bool window_full;
    uint32_t blocker; /* worker */
    uint64_t blocker_index, blocker_ordinal, blocker_ns;
    uint32_t laid_count; /* what the loop's own thread did meanwhile */
    struct {
        uint64_t begin_ns, end_ns;
        uint32_t state;
    } laid[FEED_LAID_SPANS];
    uint64_t sampler_ns, pin_ns, get_cpu_ns, get_cpu_batches, gets;
    uint64_t pin_thread, pin_total_ns;

    struct loop_look look; /* at the loop's own thread, where there are workers */
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

/* Gives every worker an entry and begins an epoch. NULL: not recording, or out of memory. */
struct feed *feed_open(datastall_loader *loader, const struct feed_options *options);
void feed_close(struct feed *feed);

/* An epoch of the same workers began. */
void feed_next_epoch(struct feed *feed);

/* Index `index` was handed to a worker; calls in order, each once. */
void feed_sent(struct feed *feed, uint64_t index, uint32_t worker);

/* A wait begins: the loop takes next_index next, and indices below sent_until were handed out. */
void feed_wait_begin(struct feed *feed, uint64_t now_ns, uint64_t next_index, uint64_t sent_until);
/* A message of a worker came off the queue; in_turn: it is what the loop takes next. */
void feed_arrived(struct feed *feed, uint64_t index, uint32_t worker, bool in_turn,
                  uint64_t now_ns);
/* Instead of a batch the worker's stream said that there is no more. */
void feed_ended(struct feed *feed, uint32_t worker);
/* The process of a worker ended: its exit status, negative for a signal. */
void feed_worker_ended(struct feed *feed, uint32_t worker, int status);
/* The loop's own thread was in the sampler, or pinned. */
void feed_laid_over(struct feed *feed, uint64_t begin_ns, uint64_t end_ns, enum cause_state state);
/* Fills in what the wait was spent on. feed NULL: nothing is known. */
void feed_wait_end(struct feed *feed, uint64_t end_ns, enum datastall_wait_kind kind,
                   struct wait_cause *cause);

/* The same for iter(): sampler_ns of it went into the sampler. */
void feed_iter_cause(uint64_t begin_ns, uint64_t end_ns, uint64_t sampler_ns,
                     struct wait_cause *cause);

#endif
