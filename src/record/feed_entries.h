/* SPDX-License-Identifier: Apache-2.0 */
/* Which entry of the run file each worker of a feed writes to: given by the recording process, by pid
 * and start, once the worker runs; and what is read from there. */
#ifndef DATASTALL_RECORD_FEED_ENTRIES_H
#define DATASTALL_RECORD_FEED_ENTRIES_H

#include "record/feed_state.h"

static inline uint64_t *feed_entry(const struct feed *feed, uint32_t index)
{
    return feed->entries + index * feed->entry_words;
}

/* False: the file has no such section. */
bool feed_find_section(struct feed *feed);

/* To every worker of the feed, or to the loop's own process. Takes the monitor's mutex. */
void feed_give_entries(struct feed *feed, uint32_t loader, const struct feed_options *options);

/* The process that an entry was given to is gone, whoever has its pid now. */
bool feed_entry_has_ended(const uint64_t *entry);

/* How many records a worker has of this epoch, and the index of the first. False: its entry is
 * another's, or it has not come that far. */
bool feed_progress(const struct feed *feed, uint32_t number, uint64_t *base, uint64_t *done);
/* The record of the worker's batch of this epoch; ordinal from 0. False: it is not there (any more). */
bool feed_read_batch(const struct feed *feed, uint32_t number, uint64_t ordinal,
                     uint64_t record[RF_WORK_WORDS]);

#endif
