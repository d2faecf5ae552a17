/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at the workers of a feed, seldom, at the begin of a wait with nothing ready: whether they wait
 * for a lock that they share. A clock cannot tell that from a server that is slow to answer, and more
 * workers help with the one and not with the other. Belongs to the thread that consumes. */
#ifndef DATASTALL_RECORD_LOCK_LOOK_H
#define DATASTALL_RECORD_LOCK_LOOK_H

#include "record/feed_state.h"

/* Looks at some of the workers that make a batch, where it is time to. */
void lock_look_at_workers(struct feed *feed, uint64_t now_ns);

#endif
