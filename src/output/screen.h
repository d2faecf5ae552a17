/* SPDX-License-Identifier: Apache-2.0 */
/* The screen of `datastall top`: a pure function from runs to cells. It knows no terminal. */
#ifndef DATASTALL_OUTPUT_SCREEN_H
#define DATASTALL_OUTPUT_SCREEN_H

#include "diagnose/summary.h"
#include "output/canvas.h"

/* NULL: out of memory. */
struct screen *screen_layout(const struct summary *const *runs, uint32_t count,
                             const struct screen_view *view);
void screen_free(struct screen *screen);

#endif
