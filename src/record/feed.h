/* SPDX-License-Identifier: Apache-2.0 */
/* What feeds one iterator of a loader: its workers, what is on the way, and for each wait what the
 * batch that ended it was in meanwhile. Belongs to the thread that consumes the iterator.
 *
 * Batches of one worker come in the order in which it made them, so the n-th that comes from a
 * worker is its n-th record of the epoch; the payload need not say anything.
 */
#ifndef DATASTALL_RECORD_FEED_H
#define DATASTALL_RECORD_FEED_H

#include "record/feed_state.h"

/* Gives every worker an entry and begins an epoch. NULL: not recording, or out of memory. */
struct feed *feed_open(datastall_loader *loader, const struct feed_options *options);
void feed_close(struct feed *feed);

/* An epoch of the same workers began. */
void feed_next_epoch(struct feed *feed);

/* Index `index` was handed to a worker; calls in order, each once. */
void feed_sent(struct feed *feed, uint64_t index, uint32_t worker);

/* The worker to which an index was handed (FEED_NO_ENTRY: one that is not kept). False: the index was not
 * told of yet, or too many were since. */
static inline bool feed_knows_worker(const struct feed *feed, uint64_t index, uint32_t *worker)
{
    *worker = feed->indices[index % FEED_INDICES].worker;
    return index < feed->sent_until && feed->sent_until - index <= FEED_INDICES;
}

/* A wait begins: the loop takes next_index next, and indices below sent_until were handed out. quiet: its
 * waits are short for now (quiet.h), which this one may be where feed->may_be_short. */
void feed_wait_begin(struct feed *feed, uint64_t now_ns, uint64_t next_index, uint64_t sent_until,
                     bool quiet);
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
