/* SPDX-License-Identifier: Apache-2.0 */
/* Strings in fixed places. */
#ifndef DATASTALL_BASE_TEXT_H
#define DATASTALL_BASE_TEXT_H

#include <stddef.h>
#include <string.h>

/* Copies as much of `from` (NULL: nothing) as fits with its NUL, never half of a UTF-8 character,
 * and fills the rest with zeros. */
static inline void ds_copy_text(char *to, size_t size, const char *from)
{
    size_t length = from == NULL ? 0 : strlen(from);
    if (length >= size) {
        length = size - 1;
        /* Back to the beginning of the character that the cut falls into: 10xxxxxx continues one.
         */
        while (length > 0 && ((unsigned char)from[length] & 0xc0) == 0x80)
            length--;
    }
    memset(to, 0, size);
    if (length > 0)
        memcpy(to, from, length);
}

#endif
