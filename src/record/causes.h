/* From what a wait was spent on to how its stall is split, at once or once the stall is known.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RECORD_CAUSES_H
#define DATASTALL_RECORD_CAUSES_H

#include "record/monitor.h"

/* Gives a wait its cause and, in memory of the caller's, its split; while its stall is under way that
 * is made by cause_late_stall(). The slot is the calling thread's. */
void cause_attach(struct monitor_slot *slot, const struct wait_cause *cause, struct wait *wait,
                  struct cause_share *split);

/* The stall of record `index` of the slot became known; its split is filled in here. */
void cause_late_stall(struct monitor_slot *slot, uint64_t index, struct rf_late_stall *late);

#endif
