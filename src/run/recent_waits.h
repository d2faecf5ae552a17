/* SPDX-License-Identifier: Apache-2.0 */
/* The waits of a slot that a reader which polls has not had yet, one by one, from the ring of a file
 * that its writer goes on with. */
#ifndef DATASTALL_RUN_RECENT_WAITS_H
#define DATASTALL_RUN_RECENT_WAITS_H

#include "run/reader.h"

struct run_recent_wait {
    uint64_t begin_ns, wait_ns;  /* wait_ns: RF_UNKNOWN where it is not known */
    struct stall_bounds exposed; /* RF_UNKNOWN both: not told */
    uint32_t kind;               /* enum datastall_wait_kind */
};

/* Of one slot that has recorded something. */
struct run_recent {
    uint64_t slot, loader;         /* indices in the file */
    uint64_t begin_ns;             /* of its first wait */
    uint64_t first, count;         /* records [first, first + count) are here */
    uint64_t batches;              /* that the slot had up to the end of these */
    struct run_recent_wait *waits; /* free(); NULL without any */
};

/* Reads the records of a slot from number `since` on that are still there. view: the slot as it was just
 * read. patient: what the GPU's clock will tell later is waited for, as long as that can take. False: no
 * memory, or a file cut short. */
bool run_recent_read(struct run_reader *reader, uint64_t slot, const struct rf_slot_view *view,
                     uint64_t since, bool patient, struct run_recent *recent);

#endif
