/* SPDX-License-Identifier: Apache-2.0 */
/* How much a run got through: what all its loaders delivered to the program. Pure. */
#ifndef DATASTALL_DIAGNOSE_THROUGHPUT_H
#define DATASTALL_DIAGNOSE_THROUGHPUT_H

#include "diagnose/summary.h"

/* Per second of the time in which loaders were iterated over (pauses left out), over all processes,
 * which work side by side: a sum of rates. Of the loaders that the verdict is about. NaN: unknown. */
struct throughput {
    double batches_per_s, samples_per_s;
};
struct throughput throughput_of(const struct summary *summary);

/* "133 samples/s", or batches where samples are not known; "" where neither is. */
void throughput_text(const struct throughput *throughput, char *text, size_t size);

#endif
