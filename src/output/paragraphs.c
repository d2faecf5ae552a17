/* SPDX-License-Identifier: Apache-2.0 */
#include "output/paragraphs.h"

#include <string.h>

#include "base/clean_text.h"

/* From here on (Hangul) a character may take two columns; few that take one are taken for more. */
#define FIRST_WIDE 0x1100u
#define BLOCKS_BEGIN 0x2000u /* punctuation, arrows, blocks: one column */
#define BLOCKS_END 0x2e80u

/* The bytes of the character at text, at least one, and the columns it takes. */
static size_t character_at(const char *text, unsigned *columns)
{
    uint32_t character;
    const size_t bytes = ds_utf8_character(text, &character);
    *columns = bytes > 0 && character >= FIRST_WIDE &&
                       !(character >= BLOCKS_BEGIN && character < BLOCKS_END)
                   ? 2
                   : 1;
    return bytes > 0 ? bytes : 1;
}

unsigned paragraphs_columns(const char *text)
{
    unsigned sum = 0, columns;
    for (; *text != '\0'; sum += columns)
        text += character_at(text, &columns);
    return sum;
}

/* Bytes of text that fit into the columns: to the last space within, else as much as there is room
 * for. */
static size_t line_bytes(const char *text, unsigned room)
{
    size_t at = 0, space = 0;
    unsigned used = 0, columns;
    while (text[at] != '\0') {
        const size_t bytes = character_at(text + at, &columns);
        if (used + columns > room)
            return space > 0 ? space : at;
        if (text[at] == ' ')
            space = at;
        at += bytes;
        used += columns;
    }
    return at;
}

void paragraphs_add(struct paragraphs *all, unsigned keep, enum paragraph_tone tone,
                    const char *label, const char *format, ...)
{
    char text[2048], clean[sizeof text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *rest = ds_clean_text(text, clean, sizeof clean);
    const unsigned paragraph = all->paragraph_count++;
    do {
        if (all->count == PARAGRAPHS_LINES)
            return;
        struct paragraph_line *line = &all->lines[all->count++];
        size_t bytes = line_bytes(rest, all->width - PARAGRAPHS_INDENT);
        bytes = bytes < sizeof line->text ? bytes : sizeof line->text - 1;
        *line = (struct paragraph_line){.keep = keep, .paragraph = paragraph, .tone = tone};
        snprintf(line->label, sizeof line->label, "%s", label);
        memcpy(line->text, rest, bytes);
        rest += bytes;
        rest += strspn(rest, " ");
        label = "";
    } while (*rest != '\0');
}

static void leave_out(struct paragraphs *all, unsigned index)
{
    struct paragraph_line *line = &all->lines[index];
    if (index > 0 && line[-1].paragraph == line->paragraph)
        line[-1].cut = true;
    all->count--;
    memmove(line, line + 1, (all->count - index) * sizeof *line);
}

void paragraphs_fit(struct paragraphs *all, unsigned lines)
{
    while (all->count > lines) {
        unsigned least = 0;
        for (unsigned i = 1; i < all->count; i++) {
            if (all->lines[i].keep <= all->lines[least].keep)
                least = i;
        }
        leave_out(all, least);
    }
}

static const char *colour_of(enum paragraph_tone tone)
{
    static const char *const codes[] = {[TONE_PLAIN] = "",
                                        [TONE_DIM] = "\033[2m",
                                        [TONE_GOOD] = "\033[1;32m",
                                        [TONE_WARNING] = "\033[1;33m",
                                        [TONE_BAD] = "\033[1;31m"};
    return codes[tone];
}

void paragraphs_print(const struct paragraphs *all, bool colour, FILE *file)
{
    const unsigned room = all->width - PARAGRAPHS_INDENT;
    for (unsigned i = 0; i < all->count; i++) {
        const struct paragraph_line *line = &all->lines[i];
        const bool toned = colour && line->tone != TONE_PLAIN;
        const char *more = !line->cut                                  ? ""
                           : paragraphs_columns(line->text) + 4 > room ? ""
                                                                       : " ...";
        fprintf(file, colour ? "\033[1m%-8s\033[0m " : "%-8s ", line->label);
        fprintf(file, "%s%s%s%s\n", toned ? colour_of(line->tone) : "", line->text, more,
                toned ? "\033[0m" : "");
    }
}
