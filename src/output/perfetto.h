/* SPDX-License-Identifier: Apache-2.0 */
/* A run as a trace for ui.perfetto.dev (docs/export.md): what its rings and the batches that are kept one
 * by one still hold, and counters of its spans. */
#ifndef DATASTALL_OUTPUT_PERFETTO_H
#define DATASTALL_OUTPUT_PERFETTO_H

#include <stddef.h>

#include "diagnose/summary.h"

/* *bytes: free() them. 0 or DATASTALL_ERR_MEMORY. */
int perfetto_write(const struct summary *summary, char **bytes, size_t *length);

#endif
