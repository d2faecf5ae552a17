/* SPDX-License-Identifier: Apache-2.0 */
/* Runs as text for Prometheus: format 0.0.4, or OpenMetrics 1.0 (docs/metrics.md has every metric).
 * Counters are exact, whole nanoseconds as decimal seconds. */
#ifndef DATASTALL_OUTPUT_OPENMETRICS_H
#define DATASTALL_OUTPUT_OPENMETRICS_H

#include <stddef.h>

#include "diagnose/job_watch.h"
#include "diagnose/summary.h"

enum openmetrics_format { OPENMETRICS_PROMETHEUS, OPENMETRICS_1_0 };

/* What was said last, by series, so that a counter never goes back: a rank whose file could not be
 * read this time, a share of a wait that is decided later, a run that leaves and comes back. */
struct openmetrics_memory;
struct openmetrics_memory *openmetrics_memory_new(void); /* NULL: out of memory */
void openmetrics_memory_free(struct openmetrics_memory *memory);

/* What was read at one moment. */
struct openmetrics_reading {
    const struct summary *const *runs;
    uint32_t count;
    uint64_t now_ns;              /* CLOCK_MONOTONIC */
    const struct job_watch *jobs; /* NULL: nobody watched the runs go on */
};

/* The text of a reading; free() it. memory: NULL remembers nothing. Returns 0 or DATASTALL_ERR_MEMORY. */
int openmetrics_write(const struct openmetrics_reading *reading, struct openmetrics_memory *memory,
                      enum openmetrics_format format, char **text, size_t *length);

/* Whether an Accept header prefers OpenMetrics 1.0 to the format of old; NULL: no header. Pure. */
enum openmetrics_format openmetrics_accepted(const char *accept);
const char *openmetrics_content_type(enum openmetrics_format format);

#endif
