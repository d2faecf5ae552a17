/* SPDX-License-Identifier: Apache-2.0 */
/* Adds slots up: the figures of a loader over all its threads, or of all loaders. */
#ifndef DATASTALL_RUNFILE_TOTALS_H
#define DATASTALL_RUNFILE_TOTALS_H

#include "datastall.h"
#include "runfile/view.h"

#define RF_TOTALS_SECONDS 64u

struct rf_totals {
    uint64_t slots; /* added so far */
    uint64_t counters[RF_COUNT_WORDS];
    uint64_t steady[HISTOGRAM_BUCKETS];
    uint64_t startup[HISTOGRAM_BUCKETS];
    /* the last ones, each in the place (number % RF_TOTALS_SECONDS), as buckets of a rollup */
    uint64_t seconds[RF_TOTALS_SECONDS][RF_ROLLUP_WORDS];
};

/* Start from a zeroed struct; the view must hold its tables. A sum that does not fit stays at
 * DS_MOST (base/sums.h). */
void rf_totals_add(struct rf_totals *totals, const struct rf_slot_view *view);

/* False where a sum did not fit: what is there is "at least". */
bool rf_totals_fit(const struct rf_totals *totals);

/* Minimum and the rest of the steady waits (startup: of the start-up waits). */
void rf_totals_distribution(const struct rf_totals *totals, bool startup,
                            datastall_distribution *distribution);

/* Everything that datastall.h promises; struct_size is set. */
void rf_totals_statistics(const struct rf_totals *totals, datastall_statistics *statistics);

#endif
