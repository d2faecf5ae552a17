/* Inside of screen.h: putting text into cells. */
#ifndef DATASTALL_OUTPUT_CANVAS_H
#define DATASTALL_OUTPUT_CANVAS_H

#include <stdbool.h>

#include "output/screen.h"

struct canvas {
    struct screen *screen;
    bool unicode;
    unsigned row; /* the one under way */
};

/* Text at a column of the row under way, cut to width; what a terminal might obey and what may be
 * wider than a cell becomes '?'. Right-aligned where width is negative. */
void canvas_put(struct canvas *canvas, unsigned column, int width, enum screen_style style,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The style of the whole row under way, for the cells that are plain. */
void canvas_style_row(struct canvas *canvas, enum screen_style style);
/* One block a second, the newest last: '_' to a full block (ASCII: '_' to '#') for 0 to 1, blank
 * where it is not known. */
void canvas_history(struct canvas *canvas, unsigned column, unsigned width, const double *shares,
                    unsigned count);
/* A percentage, blank where it is not known. */
void canvas_share(struct canvas *canvas, unsigned column, int width, double share, bool is_stall);
/* The same of a stall that is at most so much. */
void canvas_bound(struct canvas *canvas, unsigned column, int width, double share);

#endif
