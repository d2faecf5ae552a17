/* SPDX-License-Identifier: Apache-2.0 */
/* A page that needs nothing but itself: style, script and data in one text. The script is that of web/,
 * put into the program when it is built; a content security policy allows it, by its hash, and nothing
 * else. What names hold is data in it, and shown as text. */
#ifndef DATASTALL_OUTPUT_PAGE_H
#define DATASTALL_OUTPUT_PAGE_H

#include <stddef.h>

#include "base/emitter.h"

/* Of scripts/embed.py. */
extern const char page_style[], page_script[], page_style_source[], page_script_source[];

struct page {
    const char *title;
    const char *without_script; /* text for who has none; NULL: a sentence that says so */
    /* As the policy has it: where the script may read from, "" nowhere. */
    const char *connect;
    void (*shape)(const void *context, const struct emitter *emitter); /* its data */
    const void *context;
};

/* *text: free() it. 0 or DATASTALL_ERR_MEMORY. */
int page_write(const struct page *page, char **text, size_t *length);

#endif
