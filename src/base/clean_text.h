/* SPDX-License-Identifier: Apache-2.0 */
/* Text from elsewhere (names, commands, paths, what a file or another program says) on its way to
 * people. Pure, and no locale: text is UTF-8. */
#ifndef DATASTALL_BASE_CLEAN_TEXT_H
#define DATASTALL_BASE_CLEAN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the UTF-8 character that begins here, which goes to *character; 0: none does. */
size_t ds_utf8_character(const char *text, uint32_t *character);

/* Whether a character does something other than showing itself: controls (C0, C1, DEL), line and
 * paragraph separators, what turns the direction of writing, what takes no room (Unicode's
 * Default_Ignorable_Code_Point: zero-width characters and joiners, variation selectors, fillers,
 * tags) and noncharacters. Two names that differ in such a character only look the same. */
bool ds_is_hidden(uint32_t character);

/* For terminals, messages and labels: each hidden character, and each byte that is no UTF-8, becomes
 * '?'. What does not fit into size bytes with its NUL is left out by whole characters. Returns to. */
const char *ds_clean_text(const char *from, char *to, size_t size);

/* The same, and what is cut says so: its last three characters are "..." then. size: at least 4. */
const char *ds_shortened_text(const char *from, char *to, size_t size);

/* For JSON, which keeps the value: only bytes that are no UTF-8 are replaced, by U+FFFD. At most
 * three times as long. Returns to. */
const char *ds_valid_text(const char *from, char *to, size_t size);

/* A string that came from a file: whatever it holds, it ends within its array. */
#define DS_END_STRING(array) ((array)[sizeof(array) - 1] = '\0')

#endif
