/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on on this machine, for a page that looks once a second (docs/live.md): the runs, running ones
 * first, each with its last minute, ranks and GPUs. Bounded, however many there are. */
#ifndef DATASTALL_OUTPUT_LIVE_SHAPE_H
#define DATASTALL_OUTPUT_LIVE_SHAPE_H

#include "base/emitter.h"
#include "diagnose/summary.h"

#define LIVE_MOST_BYTES 524288u

/* Of a reading made at now_ns (CLOCK_MONOTONIC), runs newest first. *text: free() it. 0 or
 * DATASTALL_ERR_MEMORY. */
int live_json_write(const struct summary *const *runs, uint32_t count, uint64_t now_ns, char **text,
                    size_t *length);

#endif
