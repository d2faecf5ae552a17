/* SPDX-License-Identifier: Apache-2.0 */
/* Names of loaders where there is less room than they need. Pure. */
#ifndef DATASTALL_BASE_SHORT_NAME_H
#define DATASTALL_BASE_SHORT_NAME_H

#include <stddef.h>

/* Copies a name (NULL: nothing) into size bytes with its NUL, and fills the rest with zeros. What
 * tells loaders apart stays: of "a_long_script.py:12 get_train_dataloader() from main.py:7" the
 * files' names are shortened in their middle first, then functions, then the rest, never a line's
 * number or a counter while anything else is left. A name without a line is shortened in its middle.
 * '~' stands for what is left out; no UTF-8 character is cut. Returns to. */
const char *ds_short_name(const char *from, char *to, size_t size);

#endif
