/* SPDX-License-Identifier: Apache-2.0 */
/* Writes stretches of consecutive batches of a loader (runfile/stretches.h). Belongs to the thread
 * that consumes an iterator; nothing here allocates, locks or logs, but stretches_open().
 */
#ifndef DATASTALL_RECORD_STRETCHES_H
#define DATASTALL_RECORD_STRETCHES_H

#include "record/monitor.h"
#include "runfile/stretches.h"

struct stretches {
    datastall_monitor *monitor;
    uint64_t *entry; /* NULL: none is written */
    struct rf_stretch_layout layout;
    uint32_t place;    /* of the entry in its section */
    uint64_t token;    /* of this iterator: it writes while it is the loader's newest */
    bool again;        /* its workers were there already */
    uint64_t batch;    /* of the loader */
    uint64_t *stretch; /* the one under way; NULL: it is not kept */
    uint64_t iter_ns;  /* in the iter() that made the iterator */
    uint64_t since_ns; /* the return of the next() before; 0: none of this iterator */
};

/* What is told of a batch, but for what its wait and the one before tell. Times are as a row has them: in units,
 * RF_STRETCH_UNKNOWN where not known. */
struct stretches_batch {
    uint32_t worker;
    uint64_t begin_ns, end_ns; /* of the wait */
    uint32_t times[RF_BATCH_TIMES];
};

/* An iterator of the loader began; iter_ns DS_UNKNOWN: in iter() for a time that is not known. */
void stretches_open(struct stretches *s, datastall_monitor *monitor, uint32_t loader, bool again,
                    uint64_t iter_ns);
/* One more batch came. */
void stretches_add(struct stretches *s, struct stretches_batch *batch, struct cause_row *row);
/* The iterator ended, in this wait. */
void stretches_end(struct stretches *s, uint64_t begin_ns, uint64_t end_ns);
/* The program gives the iterator up, or it ended. */
void stretches_close(struct stretches *s);

/* The exposed stall of a batch is known. */
void stretches_exposed(const struct cause_row *row, const struct stall_bounds *exposed);

#endif
