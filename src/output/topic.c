/* SPDX-License-Identifier: Apache-2.0 */
#include "output/topic.h"

#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 16u
#define GAP 2u /* between two columns */
#define LIST_INDENT 4u

/* What scripts/topics.py puts before and behind words. */
enum mark { STRONG = 1, STRONG_END, CODE, CODE_END };

struct span {
    const char *begin, *end;
};
struct pen {
    FILE *file;
    unsigned width;
    bool colour;
    char style; /* the mark that is open, 0: none */
};

const struct topic *topic_find(const char *name)
{
    for (const struct topic *topic = topics; topic->name != NULL; topic++) {
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    return NULL;
}

/* ---- words ---- */

static bool is_mark(char c)
{
    return c >= STRONG && c <= CODE_END;
}

/* Columns of a character: without colours code stands between ticks. */
static unsigned columns_of(const struct pen *pen, char c)
{
    if (is_mark(c))
        return (c == CODE || c == CODE_END) && !pen->colour;
    return ((unsigned char)c & 0xc0) != 0x80;
}

static unsigned width_of(const struct pen *pen, struct span text)
{
    unsigned columns = 0;
    for (const char *c = text.begin; c < text.end; c++)
        columns += columns_of(pen, *c);
    return columns;
}

static unsigned widest_word(const struct pen *pen, struct span text)
{
    unsigned widest = 0, columns = 0;
    for (const char *c = text.begin; c < text.end; c++) {
        columns = *c == ' ' ? 0 : columns + columns_of(pen, *c);
        widest = columns > widest ? columns : widest;
    }
    return widest;
}

/* Takes the words that fit into a width off a text, one at least. */
static struct span take_line(const struct pen *pen, struct span *text, unsigned width)
{
    struct span line = {text->begin, text->end};
    const char *fits = NULL;
    unsigned columns = 0;
    for (const char *c = text->begin; c < text->end; c++) {
        if (*c == ' ')
            fits = c;
        columns += columns_of(pen, *c);
        if (columns > width && fits != NULL) {
            line.end = fits;
            break;
        }
    }
    text->begin = line.end;
    while (text->begin < text->end && *text->begin == ' ')
        text->begin++;
    return line;
}

static void put_style(const struct pen *pen, char style)
{
    static const char *const begin[] = {[STRONG] = "\033[1m", [CODE] = "\033[36m"};
    if (style != 0 && pen->colour)
        fputs(begin[(unsigned char)style], pen->file);
}

static void put_end(const struct pen *pen, char style)
{
    if (style != 0 && pen->colour)
        fputs("\033[0m", pen->file);
}

static void put_mark(struct pen *pen, char mark)
{
    if (!pen->colour && (mark == CODE || mark == CODE_END))
        putc('`', pen->file);
    if (mark == STRONG_END || mark == CODE_END) {
        put_end(pen, pen->style);
        pen->style = 0;
    } else {
        pen->style = mark;
        put_style(pen, mark);
    }
}

/* A style that goes on in the next line ends with this one and begins again with that. */
static void put_line(struct pen *pen, struct span line)
{
    put_style(pen, pen->style);
    for (const char *c = line.begin; c < line.end; c++) {
        if (is_mark(*c))
            put_mark(pen, *c);
        else
            putc(*c, pen->file);
    }
    put_end(pen, pen->style);
}

static void put_spaces(const struct pen *pen, unsigned count)
{
    fprintf(pen->file, "%*s", (int)count, "");
}

/* From the column on to which the cursor has come; the lines behind the first are indented. */
static void put_wrapped(struct pen *pen, struct span text, unsigned column, unsigned indent,
                        unsigned width)
{
    pen->style = 0;
    for (bool first = true; first || text.begin < text.end; first = false) {
        if (!first)
            put_spaces(pen, column = indent);
        put_line(pen, take_line(pen, &text, width > column ? width - column : 1));
        putc('\n', pen->file);
    }
}

/* ---- blocks ---- */

static void put_heading(struct pen *pen, struct span text)
{
    if (pen->colour)
        fputs("\033[1m", pen->file);
    for (const char *c = text.begin; c < text.end; c++) {
        if (!is_mark(*c))
            putc(*c, pen->file);
    }
    fputs(pen->colour ? "\033[0m\n" : "\n", pen->file);
}

static void put_paragraph(struct pen *pen, struct span text, unsigned indent)
{
    const char *tab = memchr(text.begin, '\t', (size_t)(text.end - text.begin));
    const unsigned width = pen->width < TOPIC_TEXT_WIDTH ? pen->width : TOPIC_TEXT_WIDTH;
    put_spaces(pen, indent);
    if (tab != NULL) {
        const int bullet = (int)(tab - text.begin);
        fprintf(pen->file, "%.*s ", bullet, text.begin);
        indent += (unsigned)bullet + 1;
        text.begin = tab + 1;
    }
    put_wrapped(pen, text, indent, indent, width);
}

static void put_code(const struct pen *pen, struct span text, unsigned indent)
{
    put_spaces(pen, text.begin == text.end ? 0 : indent + 4);
    fprintf(pen->file, "%.*s\n", (int)(text.end - text.begin), text.begin);
}

/* ---- tables ---- */

struct table {
    unsigned columns, widths[MAX_COLUMNS];
    struct span head[MAX_COLUMNS];
};

/* Cells of a row; those that it lacks are empty. */
static unsigned split_row(struct span row, struct span cells[MAX_COLUMNS])
{
    unsigned count = 0;
    for (unsigned i = 0; i < MAX_COLUMNS; i++)
        cells[i] = (struct span){row.end, row.end};
    while (count < MAX_COLUMNS) {
        const char *tab = memchr(row.begin, '\t', (size_t)(row.end - row.begin));
        cells[count++] = (struct span){row.begin, tab != NULL ? tab : row.end};
        if (tab == NULL)
            break;
        row.begin = tab + 1;
    }
    return count;
}

/* The block that begins at *text, without its first three characters, which go to head. False at the end. */
static bool next_block(const char **text, char head[2], struct span *block)
{
    const char *end = strchr(*text, '\n');
    if (end == NULL)
        return false;
    const bool empty = end - *text < 3;
    head[0] = empty ? '\0' : (*text)[0];
    head[1] = empty ? '0' : (*text)[1];
    *block = (struct span){empty ? end : *text + 3, end};
    *text = end + 1;
    return true;
}

static void measure(const struct pen *pen, const char *text, struct table *table,
                    unsigned words[MAX_COLUMNS])
{
    struct span row, cells[MAX_COLUMNS];
    char head[2];
    while (next_block(&text, head, &row) && head[0] == 'T') {
        const unsigned count = split_row(row, cells);
        table->columns = count > table->columns ? count : table->columns;
        for (unsigned i = 0; i < count; i++) {
            const unsigned width = width_of(pen, cells[i]), word = widest_word(pen, cells[i]);
            table->widths[i] = width > table->widths[i] ? width : table->widths[i];
            words[i] = word > words[i] ? word : words[i];
        }
    }
}

/* Takes columns off the widest until all fit, none below its widest word. False: they do not. */
static bool fit(struct table *table, const unsigned words[MAX_COLUMNS], unsigned width)
{
    unsigned sum = (table->columns - 1) * GAP;
    for (unsigned i = 0; i < table->columns; i++)
        sum += table->widths[i];
    for (; sum > width; sum--) {
        unsigned widest = MAX_COLUMNS;
        for (unsigned i = 0; i < table->columns; i++) {
            if (table->widths[i] > words[i] &&
                (widest == MAX_COLUMNS || table->widths[i] > table->widths[widest]))
                widest = i;
        }
        if (widest == MAX_COLUMNS)
            return false;
        table->widths[widest]--;
    }
    return true;
}

static void put_row(struct pen *pen, const struct table *table, struct span row)
{
    struct span cells[MAX_COLUMNS];
    char styles[MAX_COLUMNS] = {0};
    split_row(row, cells);
    for (bool more = true; more;) {
        unsigned due = 0;
        more = false;
        for (unsigned i = 0; i < table->columns; i++) {
            if (cells[i].begin < cells[i].end) {
                const struct span line = take_line(pen, &cells[i], table->widths[i]);
                put_spaces(pen, due);
                pen->style = styles[i];
                put_line(pen, line);
                styles[i] = pen->style;
                due = table->widths[i] - width_of(pen, line);
            } else {
                due += table->widths[i];
            }
            due += GAP;
            more |= cells[i].begin < cells[i].end;
        }
        putc('\n', pen->file);
    }
}

static void put_rule(const struct pen *pen, const struct table *table)
{
    for (unsigned i = 0; i < table->columns; i++) {
        put_spaces(pen, i > 0 ? GAP : 0);
        for (unsigned n = 0; n < table->widths[i]; n++)
            putc('-', pen->file);
    }
    putc('\n', pen->file);
}

/* Where columns have no room: each row as a list, its cells by the names of the columns. */
static void put_as_list(struct pen *pen, const struct table *table, struct span row)
{
    struct span cells[MAX_COLUMNS];
    split_row(row, cells);
    put_wrapped(pen, cells[0], 0, LIST_INDENT, pen->width);
    for (unsigned i = 1; i < table->columns; i++) {
        const unsigned named = width_of(pen, table->head[i]);
        if (cells[i].begin == cells[i].end)
            continue;
        put_spaces(pen, LIST_INDENT);
        pen->style = 0;
        put_line(pen, table->head[i]);
        fputs(named > 0 ? ": " : "", pen->file);
        put_wrapped(pen, cells[i], LIST_INDENT + (named > 0 ? named + 2 : 0), LIST_INDENT,
                    pen->width);
    }
}

/* Prints the table that begins at text; returns where it ends. */
static const char *put_table(struct pen *pen, const char *text)
{
    struct table table = {0};
    unsigned words[MAX_COLUMNS] = {0}, number = 0;
    struct span row;
    char head[2];
    const char *next = text;
    measure(pen, text, &table, words);
    const bool fits = fit(&table, words, pen->width);
    for (; next_block(&next, head, &row) && head[0] == 'T'; text = next, number++) {
        if (number == 0)
            split_row(row, table.head);
        if (fits)
            put_row(pen, &table, row);
        else if (number > 0)
            put_as_list(pen, &table, row);
        if (fits && number == 0)
            put_rule(pen, &table);
    }
    return text;
}

void topic_print(const char *text, unsigned width, bool colour, FILE *file)
{
    struct pen pen = {.file = file, .colour = colour, .width = width};
    struct span block;
    char head[2];
    if (pen.width < TOPIC_LEAST_WIDTH)
        pen.width = TOPIC_LEAST_WIDTH;
    for (const char *at = text, *next = text; next_block(&next, head, &block); at = next) {
        const unsigned indent = (unsigned)(head[1] - '0');
        switch (head[0]) {
        case '#':
            put_heading(&pen, block);
            break;
        case 'P':
            put_paragraph(&pen, block, indent);
            break;
        case 'C':
            put_code(&pen, block, indent);
            break;
        case 'T':
            next = put_table(&pen, at);
            break;
        default:
            putc('\n', file);
            break;
        }
    }
}
