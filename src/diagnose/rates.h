/* SPDX-License-Identifier: Apache-2.0 */
/* What a run delivered over time, as a series of rates. Pure. */
#ifndef DATASTALL_DIAGNOSE_RATES_H
#define DATASTALL_DIAGNOSE_RATES_H

#include "diagnose/summary.h"

#define RATES_MOST RF_ROLLUP_BUCKETS

/* Of the verdict's loaders in all processes, in spans of one length: the whole ones between the
 * first span in which a batch came (start-up is told apart) and the last wait. Pauses count. */
struct rates {
    uint64_t width_s;
    uint32_t count;
    bool samples_known; /* of every batch */
    double batches_per_s[RATES_MOST], samples_per_s[RATES_MOST];
};
void rates_of(const struct summary *summary, struct rates *rates);

/* Adds those of another machine that works side by side with it, span by span from the first of each, in
 * the wider spans of the two, as far as both go. sum->width_s 0: nothing was added yet. */
void rates_add(struct rates *sum, const struct rates *other);

#endif
