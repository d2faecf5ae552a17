/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal, through ncurses. One at a time. */
#ifndef DATASTALL_CLI_TERMINAL_H
#define DATASTALL_CLI_TERMINAL_H

#include <signal.h>
#include <stdbool.h>

#include "output/screen.h"

/* Whether the locale's characters are UTF-8; sets the locale of characters. */
bool terminal_is_unicode(void);

/* Takes the terminal over. False: it cannot place text (TERM=dumb, unknown). */
bool terminal_open(void);
/* Gives it back as it was; harmless when it is not open. */
void terminal_close(void);

void terminal_size(unsigned *columns, unsigned *rows);
void terminal_draw(const struct screen *screen);

enum terminal_key {
    KEY_OF_NOTHING, /* the time is over, or a signal came */
    KEY_OF_GONE,    /* the terminal is */
    KEY_OF_RESIZE,
    KEY_OF_QUIT,
    KEY_OF_HELP,
    KEY_OF_ESCAPE,
    KEY_OF_UP,
    KEY_OF_DOWN,
    KEY_OF_PAGE_UP,
    KEY_OF_PAGE_DOWN,
    KEY_OF_FIRST,
    KEY_OF_LAST,
    KEY_OF_NEXT_SORT,
    KEY_OF_PREVIOUS_SORT,
    KEY_OF_INVERT,
    KEY_OF_HOLD,
    KEY_OF_FILTER,
    KEY_OF_CHARACTER, /* text, while it is typed */
    KEY_OF_ERASE,
    KEY_OF_ENTER,
    KEY_OF_REDRAW,
    KEY_OF_OTHER
};
/* Waits for a key at most so long; signals are let in meanwhile (mask: as for ppoll). */
enum terminal_key terminal_key(int wait_ms, const sigset_t *mask);
/* The same while text is typed: KEY_OF_CHARACTER with *character (ASCII), or one of the keys that no text
 * has. */
enum terminal_key terminal_typed(int wait_ms, const sigset_t *mask, char *character);

#endif
