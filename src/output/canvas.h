/* SPDX-License-Identifier: Apache-2.0 */
/* A screen as cells, what a user asked to see on it, and putting text into cells. */
#ifndef DATASTALL_OUTPUT_CANVAS_H
#define DATASTALL_OUTPUT_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCREEN_LEAST_COLUMNS 80u
#define SCREEN_LEAST_ROWS 24u
#define SCREEN_MOST_COLUMNS 512u
#define SCREEN_MOST_ROWS 4096u

enum screen_style {
    STYLE_PLAIN,
    STYLE_TITLE,
    STYLE_HEADER, /* of a table */
    STYLE_SELECTED,
    STYLE_GOOD,
    STYLE_WARNING,
    STYLE_BAD,
    STYLE_HISTORY,
    STYLE_KEYS
};

struct screen_cell {
    uint32_t character; /* Unicode */
    uint32_t style;
};
struct screen {
    unsigned columns, rows;
    uint32_t selected;    /* as shown: the wish within what there is */
    uint32_t rank_offset; /* likewise */
    uint32_t rank_page;   /* ranks shown at once */
    struct screen_cell *cells;
};

enum screen_sort { SORT_RANK, SORT_STALL, SORT_NOW, SORT_SAMPLES, SORT_COUNT };

struct screen_view {
    unsigned columns, rows; /* rows 0: as many as it takes (and no line of keys) */
    bool unicode;           /* else ASCII only */
    bool help, paused, inverted;
    enum screen_sort sort;
    uint32_t selected, rank_offset;
    const char *filter; /* only runs that hold it are listed; NULL: all */
    bool typing;        /* it is being typed */
    const char *clock;  /* "12:34:56", for the first line */
    uint64_t now_ns;    /* CLOCK_MONOTONIC of the reading */
};

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

/* A cell's character as UTF-8: 1 to 3 bytes, without a NUL. Returns how many. */
size_t screen_put_utf8(uint32_t character, char *text);
/* A row as UTF-8 without spaces at its end; size: at least 4 * columns + 1. */
void screen_row_text(const struct screen *screen, unsigned row, char *text, size_t size);

#endif
