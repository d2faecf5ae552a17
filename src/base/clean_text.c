/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clean_text.h"

#include <string.h>

static const char unknown_character[] = "\xef\xbf\xbd"; /* U+FFFD */

size_t ds_utf8_character(const char *text, uint32_t *character)
{
    const unsigned char *c = (const unsigned char *)text;
    *character = c[0];
    if (c[0] < 0x80)
        return 1;
    if (c[0] < 0xc2 || c[0] > 0xf4)
        return 0;
    const size_t bytes = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
    uint32_t value = c[0] & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (c[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[bytes] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *character = value;
    return bytes;
}

bool ds_is_hidden(uint32_t character)
{
    /* In rising order. Unicode 16: Cc, Zl, Zp, Bidi_Control, Default_Ignorable_Code_Point, the
     * annotation marks of U+FFF9 and the noncharacters of U+FDD0. */
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x0000, 0x001f}, {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f},
        {0x061c, 0x061c}, {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},
        {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},
        {0xfdd0, 0xfdef}, {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
        {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    if ((character & 0xfffe) == 0xfffe) /* the last two of each plane */
        return true;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges && ranges[i].first <= character; i++) {
        if (character <= ranges[i].last)
            return true;
    }
    return false;
}

/* Copies from, with `instead` in place of bytes that are no UTF-8 and, where asked for, of hidden
 * characters. */
static const char *copy(const char *from, char *to, size_t size, const char *instead, bool hide)
{
    size_t length = 0;
    while (*from != '\0') {
        uint32_t character;
        const size_t bytes = ds_utf8_character(from, &character);
        const bool kept = bytes > 0 && !(hide && ds_is_hidden(character));
        const size_t put = kept ? bytes : strlen(instead);
        if (length + put >= size)
            break;
        memcpy(to + length, kept ? from : instead, put);
        length += put;
        from += bytes > 0 ? bytes : 1;
    }
    to[length] = '\0';
    return to;
}

const char *ds_clean_text(const char *from, char *to, size_t size)
{
    return copy(from, to, size, "?", true);
}

const char *ds_shortened_text(const char *from, char *to, size_t size)
{
    const bool cut = strlen(from) >= size;
    ds_clean_text(from, to, cut ? size - 3 : size);
    if (cut)
        strcat(to, "...");
    return to;
}

const char *ds_valid_text(const char *from, char *to, size_t size)
{
    return copy(from, to, size, unknown_character, false);
}
