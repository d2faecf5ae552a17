/* SPDX-License-Identifier: Apache-2.0 */
#include "record/causes.h"

#include "base/hot.h"
#include "record/stretches.h"

static struct monitor_cause *place_of(struct monitor_slot *slot, uint64_t index)
{
    return &slot->causes[index % MONITOR_PENDING_CAUSES];
}

/* Of the stall that is taken: exposed where that is known, else the wait. No stall of the overflow
 * slot is ever under way, so its head, which threads share, is not read. */
DS_WAIT_END void cause_attach(struct monitor_slot *slot, const struct wait_cause *cause,
                              struct wait *wait, struct cause_share *split)
{
    const uint64_t end_ns = wait->begin_ns + wait->wait_ns;
    const bool known = wait->exposed.upper_ns != DS_UNKNOWN;
    if (wait->wait_ns == DS_UNKNOWN)
        return;
    wait->cause = cause;
    if (!known && cause->stall_is_under_way) {
        const uint64_t record = slot->writer.head;
        *place_of(slot, record) =
            (struct monitor_cause){record + 1, wait->begin_ns, end_ns, *cause};
        return;
    }
    stretches_exposed(&cause->row, &wait->exposed);
    cause_of_stall(cause, wait->begin_ns, end_ns, known ? wait->exposed.upper_ns : wait->wait_ns,
                   split);
    wait->split = split;
}

void cause_late_stall(struct monitor_slot *slot, uint64_t index, struct rf_late_stall *late)
{
    struct monitor_cause *pending = place_of(slot, index);
    late->has_split = pending->record == index + 1;
    if (late->has_split) {
        cause_of_stall(&pending->cause, pending->begin_ns, pending->end_ns, late->upper_ns,
                       &late->split);
        stretches_exposed(&pending->cause.row,
                          &(struct stall_bounds){late->lower_ns, late->upper_ns});
        pending->record = 0;
    }
    rf_slot_late_stall(&slot->writer, index, late);
}
