/* The screen of `datastall top`: a pure function from runs to cells. It knows no terminal. */
#ifndef DATASTALL_OUTPUT_SCREEN_H
#define DATASTALL_OUTPUT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diagnose/summary.h"

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
    const char *clock; /* "12:34:56", for the first line */
    uint64_t now_ns;   /* CLOCK_MONOTONIC of the reading */
};

/* NULL: out of memory. */
struct screen *screen_layout(const struct summary *const *runs, uint32_t count,
                             const struct screen_view *view);
void screen_free(struct screen *screen);

/* A cell's character as UTF-8: 1 to 3 bytes, without a NUL. Returns how many. */
size_t screen_put_utf8(uint32_t character, char *text);
/* A row as UTF-8 without spaces at its end; size: at least 4 * columns + 1. */
void screen_row_text(const struct screen *screen, unsigned row, char *text, size_t size);

#endif
