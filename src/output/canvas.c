/* SPDX-License-Identifier: Apache-2.0 */
#include "output/canvas.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clean_text.h"

/* Whether every terminal gives it one column: Latin, Greek, Cyrillic, blocks, some signs. */
static bool is_narrow(uint32_t character)
{
    return character < 0x300 || (character >= 0x370 && character < 0x483) ||
           (character >= 0x2580 && character < 0x25a0) || character == 0x2026;
}

void canvas_put(struct canvas *canvas, unsigned column, int width, enum screen_style style,
                const char *format, ...)
{
    struct screen *screen = canvas->screen;
    char text[1024], clean[sizeof text];
    uint32_t characters[SCREEN_MOST_COLUMNS];
    unsigned count = 0;
    va_list arguments;
    if (canvas->row >= screen->rows)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *c = ds_clean_text(text, clean, sizeof clean);
    while (*c != '\0' && count < SCREEN_MOST_COLUMNS) {
        uint32_t character;
        c += ds_utf8_character(c, &character);
        const bool fits = canvas->unicode ? is_narrow(character) : character < 0x80;
        characters[count++] = fits ? character : '?';
    }
    const unsigned room = (unsigned)(width < 0 ? -width : width);
    unsigned cut = count > room ? room : count;
    const unsigned shift = width < 0 ? room - cut : 0;
    for (unsigned i = 0; i < cut && column + shift + i < screen->columns; i++)
        screen->cells[canvas->row * screen->columns + column + shift + i] =
            (struct screen_cell){characters[i], style};
}

void canvas_style_row(struct canvas *canvas, enum screen_style style)
{
    struct screen *screen = canvas->screen;
    for (unsigned i = 0; canvas->row < screen->rows && i < screen->columns; i++) {
        struct screen_cell *cell = &screen->cells[canvas->row * screen->columns + i];
        if (cell->style == STYLE_PLAIN || style == STYLE_SELECTED)
            cell->style = style;
    }
}

void canvas_history(struct canvas *canvas, unsigned column, unsigned width, const double *shares,
                    unsigned count)
{
    static const char ascii[] = "_.:-=+*#";
    struct screen *screen = canvas->screen;
    for (unsigned i = 0; i < width && canvas->row < screen->rows; i++) {
        if (i + count < width || column + i >= screen->columns)
            continue;
        const double share = shares[i + count - width];
        if (isnan(share))
            continue;
        /* A share that was summed up may lack the last bit of a whole eighth. */
        const double eighths = share * 8 + 1e-6;
        const unsigned level = eighths <= 0 ? 0 : eighths >= 7 ? 7 : (unsigned)eighths;
        screen->cells[canvas->row * screen->columns + column + i] = (struct screen_cell){
            canvas->unicode ? 0x2581 + level : (uint32_t)ascii[level], STYLE_HISTORY};
    }
}

void canvas_share(struct canvas *canvas, unsigned column, int width, double share, bool is_stall)
{
    enum screen_style style = STYLE_PLAIN;
    if (isnan(share))
        return;
    if (is_stall)
        style = share >= 0.5 ? STYLE_BAD : share >= 0.2 ? STYLE_WARNING : STYLE_PLAIN;
    canvas_put(canvas, column, width, style, "%.1f%%", share * 100);
}

void canvas_bound(struct canvas *canvas, unsigned column, int width, double share)
{
    if (!isnan(share))
        canvas_put(canvas, column, width, STYLE_PLAIN, "<=%.1f%%", share * 100);
}

size_t screen_put_utf8(uint32_t character, char *text)
{
    if (character < 0x80) {
        text[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        text[0] = (char)(0xc0 | character >> 6);
        text[1] = (char)(0x80 | (character & 0x3f));
        return 2;
    }
    text[0] = (char)(0xe0 | character >> 12);
    text[1] = (char)(0x80 | (character >> 6 & 0x3f));
    text[2] = (char)(0x80 | (character & 0x3f));
    return 3;
}

void screen_row_text(const struct screen *screen, unsigned row, char *text, size_t size)
{
    size_t length = 0, last = 0;
    for (unsigned i = 0; i < screen->columns && length + 4 < size; i++) {
        const uint32_t character = screen->cells[(size_t)row * screen->columns + i].character;
        length += screen_put_utf8(character, text + length);
        if (character != ' ')
            last = length;
    }
    text[last] = '\0';
}
