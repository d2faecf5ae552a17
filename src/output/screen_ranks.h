/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of screen.h: the table of a run's processes. */
#ifndef DATASTALL_OUTPUT_SCREEN_RANKS_H
#define DATASTALL_OUTPUT_SCREEN_RANKS_H

#include "diagnose/summary.h"
#include "output/canvas.h"

/* From the canvas's row up to `end`. Out of memory: no table. */
void screen_put_ranks(struct canvas *canvas, const struct summary *run,
                      const struct screen_view *view, unsigned end);
/* Rows that it would like to have. */
unsigned screen_rank_rows(const struct summary *run);

#endif
