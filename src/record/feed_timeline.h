/* SPDX-License-Identifier: Apache-2.0 */
/* What the batch was in that a wait of a feed ended with, as the record of its worker tells. */
#ifndef DATASTALL_RECORD_FEED_TIMELINE_H
#define DATASTALL_RECORD_FEED_TIMELINE_H

#include "record/feed_state.h"

/* Of a worker's record, what is kept of it until the batch is taken. */
void feed_note_made(const uint64_t record[RF_WORK_WORDS], struct feed_made *made);

/* After a wait that the feed's blocker ended: its timeline and what else is told of it. */
void feed_cause_of_worker(struct feed *feed, uint64_t end_ns, struct wait_cause *cause);

/* The same where the loop's own process loads. *made: the batch, untouched where none was made. Returns how
 * many of feed->laid, from the first on, are in the timeline already. */
uint32_t feed_cause_of_own_loading(struct feed *feed, uint64_t end_ns, struct wait_cause *cause,
                                   struct feed_made *made);

#endif
