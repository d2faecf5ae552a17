/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NCURSES_NOMACROS 1
#include <curses.h>
#include <term.h>
#undef columns /* term.h makes macros of all capabilities */
#undef lines

static SCREEN *terminal;
static bool coloured;

bool terminal_is_unicode(void)
{
    /* Not LC_NUMERIC: figures are written with a point everywhere. */
    return setlocale(LC_CTYPE, "") != NULL && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static void choose_colours(void)
{
    const char *refused = getenv("NO_COLOR");
    coloured = (refused == NULL || refused[0] == '\0') && has_colors();
    if (!coloured)
        return;
    start_color();
    use_default_colors();
    init_pair(STYLE_GOOD, COLOR_GREEN, -1);
    init_pair(STYLE_WARNING, COLOR_YELLOW, -1);
    init_pair(STYLE_BAD, COLOR_RED, -1);
    init_pair(STYLE_HISTORY, COLOR_CYAN, -1);
    init_pair(STYLE_SELECTED, COLOR_BLACK, COLOR_CYAN);
    init_pair(STYLE_HEADER, COLOR_BLACK, COLOR_GREEN);
    init_pair(STYLE_KEYS, COLOR_BLACK, COLOR_CYAN);
}

/* newterm() ends the program for some terminals that cannot place text: this asks first. */
static bool can_place_text(void)
{
    const char *name = getenv("TERM");
    int found;
    if (name == NULL || name[0] == '\0' || setupterm(name, STDOUT_FILENO, &found) != OK)
        return false;
    const char *move = tigetstr("cup");
    const bool can =
        move != NULL && move != (const char *)-1 && tigetflag("hc") <= 0 && tigetflag("gn") <= 0;
    del_curterm(cur_term);
    return can;
}

bool terminal_open(void)
{
    if (!can_place_text())
        return false;
    set_escdelay(25);
    terminal = newterm(NULL, stdout, stdin);
    if (terminal == NULL)
        return false;
    set_term(terminal);
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    curs_set(0);
    choose_colours();
    return true;
}

void terminal_close(void)
{
    if (terminal == NULL)
        return;
    endwin();
    delscreen(terminal);
    terminal = NULL;
}

void terminal_size(unsigned *columns, unsigned *rows)
{
    struct winsize size = {0, 0, 0, 0};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    /* Asked each time, since ncurses misses a change that follows another closely. */
    if (terminal != NULL && known && size.ws_row > 0 && size.ws_col > 0 &&
        (LINES != size.ws_row || COLS != size.ws_col)) {
        resizeterm(size.ws_row, size.ws_col);
        clearok(curscr, TRUE);
    }
    *columns = terminal != NULL ? (unsigned)COLS : size.ws_col;
    *rows = terminal != NULL ? (unsigned)LINES : size.ws_row;
}

static attr_t attribute_of(uint32_t style)
{
    static const attr_t plain[] = {
        [STYLE_PLAIN] = A_NORMAL,      [STYLE_TITLE] = A_BOLD,     [STYLE_HEADER] = A_REVERSE,
        [STYLE_SELECTED] = A_STANDOUT, [STYLE_GOOD] = A_NORMAL,    [STYLE_WARNING] = A_NORMAL,
        [STYLE_BAD] = A_BOLD,          [STYLE_HISTORY] = A_NORMAL, [STYLE_KEYS] = A_REVERSE};
    if (!coloured || style == STYLE_PLAIN || style == STYLE_TITLE)
        return plain[style];
    return COLOR_PAIR(style) | (style == STYLE_BAD ? A_BOLD : A_NORMAL);
}

void terminal_draw(const struct screen *screen)
{
    char text[4 * SCREEN_MOST_COLUMNS + 1];
    for (unsigned row = 0; row < screen->rows && row < (unsigned)LINES; row++) {
        move((int)row, 0);
        for (unsigned from = 0; from < screen->columns;) {
            const struct screen_cell *cells = screen->cells + (size_t)row * screen->columns;
            unsigned to = from + 1;
            while (to < screen->columns && cells[to].style == cells[from].style)
                to++;
            size_t length = 0;
            for (unsigned i = from; i < to; i++)
                length += screen_put_utf8(cells[i].character, text + length);
            text[length] = '\0';
            attrset((int)attribute_of(cells[from].style));
            addnstr(text, (int)length);
            from = to;
        }
        attrset(A_NORMAL);
    }
    refresh();
}

static enum terminal_key meaning_of(int key)
{
    switch (key) {
    case KEY_RESIZE:
        return KEY_OF_RESIZE;
    case 'q':
    case 'Q':
    case KEY_F(10):
        return KEY_OF_QUIT;
    case 'h':
    case '?':
    case KEY_F(1):
        return KEY_OF_HELP;
    case 27:
        return KEY_OF_ESCAPE;
    case KEY_UP:
    case 'k':
        return KEY_OF_UP;
    case KEY_DOWN:
    case 'j':
        return KEY_OF_DOWN;
    case KEY_PPAGE:
        return KEY_OF_PAGE_UP;
    case KEY_NPAGE:
        return KEY_OF_PAGE_DOWN;
    case KEY_HOME:
        return KEY_OF_FIRST;
    case KEY_END:
        return KEY_OF_LAST;
    case KEY_F(6):
    case '>':
    case '.':
        return KEY_OF_NEXT_SORT;
    case '<':
    case ',':
        return KEY_OF_PREVIOUS_SORT;
    case 'I':
    case 'i':
        return KEY_OF_INVERT;
    case 'Z':
    case 'z':
        return KEY_OF_HOLD;
    case KEY_F(3):
    case KEY_F(4):
    case '\\':
    case '/':
        return KEY_OF_FILTER;
    case 'L' & 0x1f:
        clearok(curscr, TRUE);
        return KEY_OF_REDRAW;
    default:
        return KEY_OF_OTHER;
    }
}

/* ERR: none came; *gone: nor will one. */
static int next_key(int wait_ms, const sigset_t *mask, bool *gone)
{
    int key = getch();
    if (key == ERR) {
        struct pollfd input = {STDIN_FILENO, POLLIN, 0};
        const struct timespec wait = {wait_ms / 1000, (long)(wait_ms % 1000) * 1000000};
        const int ready = ppoll(&input, 1, &wait, mask);
        key = getch(); /* also after a signal: the window's size may have changed */
        if (key == ERR && ready > 0 && (input.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
            *gone = true;
    }
    return key;
}

enum terminal_key terminal_key(int wait_ms, const sigset_t *mask)
{
    bool gone = false;
    const int key = next_key(wait_ms, mask, &gone);
    return gone ? KEY_OF_GONE : key == ERR ? KEY_OF_NOTHING : meaning_of(key);
}

enum terminal_key terminal_typed(int wait_ms, const sigset_t *mask, char *character)
{
    bool gone = false;
    const int key = next_key(wait_ms, mask, &gone);
    if (gone || key == ERR)
        return gone ? KEY_OF_GONE : KEY_OF_NOTHING;
    if (key == KEY_BACKSPACE || key == 0x7f || key == 8)
        return KEY_OF_ERASE;
    if (key == '\r' || key == '\n' || key == KEY_ENTER)
        return KEY_OF_ENTER;
    if (key < ' ' || key > '~')
        return meaning_of(key);
    *character = (char)key;
    return KEY_OF_CHARACTER;
}
