/* SPDX-License-Identifier: Apache-2.0 */
/* The upper part of the screen of `top`: the list of runs, and what is to be known of the one that is
 * selected. Pure. */
#ifndef DATASTALL_OUTPUT_SCREEN_RUNS_H
#define DATASTALL_OUTPUT_SCREEN_RUNS_H

#include "diagnose/summary.h"
#include "output/canvas.h"

/* Those that hold the filter's words (NULL, "": all) in id, name, command, cause or severity, whatever their
 * case: running ones first, else in their order. ordered: room for count. Returns how many. */
uint32_t screen_order(const struct summary *const *runs, uint32_t count, const char *filter,
                      const struct summary **ordered);

/* The table, at most `most` runs of it; the header says how many more there are. */
void screen_put_runs(struct canvas *canvas, const struct summary *const *runs, uint32_t count,
                     const struct screen_view *view, uint32_t most);

/* Verdict, cause and what to try, damage: in the rows before `end`. */
void screen_put_detail(struct canvas *canvas, const struct summary *run,
                       const struct screen_view *view, unsigned end);
/* Rows that takes where there is room. */
unsigned screen_detail_rows(const struct summary *run);

#endif
