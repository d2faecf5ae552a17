/* SPDX-License-Identifier: Apache-2.0 */
/* What the threads do that pin batches (torch's _pin_memory_loop): noted by each, read by the
 * consumer of its loader. */
#ifndef DATASTALL_RECORD_PIN_THREADS_H
#define DATASTALL_RECORD_PIN_THREADS_H

#include <stdint.h>

#include "stats/cause.h"

#define PIN_THREADS 16u /* that can be told apart at once */
#define PIN_SPANS 8u    /* kept of each */

/* In the pin thread, around pin_memory() of one batch. */
void pin_threads_note(uint64_t begin_ns, uint64_t end_ns);

/* Gives what the thread (its kernel id; 0: none) did between two moments to the pin state of a
 * timeline. Returns how long it pinned since *total_ns, and brings that up to date. */
uint64_t pin_threads_overlay(uint64_t thread, uint64_t from, uint64_t to, uint64_t *total_ns,
                             struct cause_timeline *timeline);

#endif
