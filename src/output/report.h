/* SPDX-License-Identifier: Apache-2.0 */
/* One run, or two side by side, as a page that needs nothing but itself (docs/report.md). */
#ifndef DATASTALL_OUTPUT_REPORT_H
#define DATASTALL_OUTPUT_REPORT_H

#include <stddef.h>

#include "base/emitter.h"
#include "diagnose/compare.h"

#define REPORT_MOST_BYTES 1000000u

/* How much of a run a report shows; what is larger is cut, and the report says so. */
struct report_size {
    uint32_t loaders; /* in full, those that waited the longest */
    uint32_t groups;  /* loaders of one name in all ranks: waits, moments, slow waits */
    uint32_t ranks, gpus, workers;
};

/* *text: free() it; at most REPORT_MOST_BYTES. runs: one or two. 0 or DATASTALL_ERR_MEMORY. */
int report_write(const struct summary *const *runs, uint32_t count, char **text, size_t *length);

/* A run's part of the data, as one object; key NULL for an element. */
void report_run_shape(const struct summary *summary, const struct report_size *size,
                      const char *key, const struct emitter *emitter);

#endif
