/* SPDX-License-Identifier: Apache-2.0 */
#include "base/short_name.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define MOST_WORDS 16u
#define SHORT_WORD 4u /* "from", "cell", "line": more is lost than won by shortening them */

/* A word of a name: a body that may be shortened to `kept` bytes, and a tail that may not. */
struct word {
    const char *text;
    size_t body, tail, kept;
    bool is_file; /* FILE:LINE */
};

/* Least bytes of a body, round by round. */
static const struct {
    size_t least;
    bool files_only, short_words;
} rounds[] = {{8, true, false}, {6, false, false}, {1, false, false}, {1, false, true}};

static size_t digits_at_end(const char *text, size_t length)
{
    size_t digits = 0;
    while (digits < length && isdigit((unsigned char)text[length - 1 - digits]))
        digits++;
    return digits;
}

static bool has_digit(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (isdigit((unsigned char)text[i]))
            return true;
    }
    return false;
}

static struct word word_of(const char *text, size_t length)
{
    struct word word = {.text = text, .body = length};
    const size_t digits = digits_at_end(text, length);
    if (digits > 0 && digits < length && text[length - 1 - digits] == ':') {
        word.tail = digits + 1;
        word.is_file = true;
    } else if (length > 2 && memcmp(text + length - 2, "()", 2) == 0) {
        word.tail = 2;
    } else if (length <= 2 * SHORT_WORD && has_digit(text, length)) {
        word.tail = length; /* "2," of a cell, a counter's "(2)" */
    }
    word.body = word.kept = length - word.tail;
    return word;
}

/* The words of a name that says where a loader was made; else the whole as one. Returns how many. */
static unsigned split(const char *from, struct word words[MOST_WORDS])
{
    unsigned count = 0;
    bool has_line = strncmp(from, "cell ", 5) == 0 && isdigit((unsigned char)from[5]);
    for (const char *text = from; count < MOST_WORDS; text++) {
        const size_t length = strcspn(text, " ");
        words[count] = word_of(text, length);
        has_line |= words[count++].is_file;
        text += length;
        if (*text == '\0')
            break;
    }
    const struct word *last = &words[count - 1];
    if (has_line && last->text[last->body + last->tail] == '\0')
        return count;
    const size_t whole = strlen(from);
    words[0] = (struct word){.text = from, .body = whole, .kept = whole};
    return 1;
}

/* Bytes that words and the spaces between them take. */
static size_t bytes_of(const struct word *words, unsigned count)
{
    size_t bytes = count - 1;
    for (unsigned i = 0; i < count; i++)
        bytes += words[i].kept + words[i].tail;
    return bytes;
}

/* Takes bytes from the longest bodies, so that they end up alike. */
static void shrink(struct word *words, unsigned count, size_t room, size_t round)
{
    for (size_t bytes; (bytes = bytes_of(words, count)) > room;) {
        struct word *longest = NULL;
        size_t next = rounds[round].least;
        for (unsigned i = 0; i < count; i++) {
            if ((rounds[round].files_only && !words[i].is_file) ||
                (!rounds[round].short_words && !words[i].is_file && words[i].body <= SHORT_WORD) ||
                words[i].kept <= rounds[round].least)
                continue;
            if (longest == NULL || words[i].kept > longest->kept) {
                next = longest != NULL ? longest->kept : next;
                longest = &words[i];
            } else if (words[i].kept > next) {
                next = words[i].kept;
            }
        }
        if (longest == NULL)
            return;
        size_t step = longest->kept > next ? longest->kept - next : 1;
        longest->kept -= step < bytes - room ? step : bytes - room;
    }
}

static bool continues_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Puts a word as short as it was made; never half of a character. Returns the bytes put. */
static size_t put_word(const struct word *word, char *to)
{
    size_t put = word->kept;
    if (word->kept == word->body) {
        memcpy(to, word->text, word->body);
    } else {
        size_t head = (word->kept - 1) / 2, end = word->body - (word->kept - 1 - head);
        while (head > 0 && continues_character(word->text[head]))
            head--;
        while (end < word->body && continues_character(word->text[end]))
            end++;
        memcpy(to, word->text, head);
        to[head] = '~';
        memcpy(to + head + 1, word->text + end, word->body - end);
        put = head + 1 + word->body - end;
    }
    memcpy(to + put, word->text + word->body, word->tail);
    return put + word->tail;
}

/* Nothing may be shortened any more: the end tells more than the beginning. */
static void put_end(const char *from, char *to, size_t room)
{
    const char *rest = from + strlen(from) - (room - 1);
    while (continues_character(*rest))
        rest++;
    to[0] = '~';
    memcpy(to + 1, rest, strlen(rest));
}

const char *ds_short_name(const char *from, char *to, size_t size)
{
    struct word words[MOST_WORDS];
    const size_t room = size - 1, length = from == NULL ? 0 : strlen(from);
    memset(to, 0, size);
    if (length <= room) {
        if (length > 0)
            memcpy(to, from, length);
        return to;
    }
    const unsigned count = split(from, words);
    for (size_t round = 0; round < sizeof rounds / sizeof *rounds; round++)
        shrink(words, count, room, round);
    if (bytes_of(words, count) > room) {
        if (room > 0)
            put_end(from, to, room);
        return to;
    }
    size_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            to[at++] = ' ';
        at += put_word(&words[i], to + at);
    }
    return to;
}
