/* SPDX-License-Identifier: Apache-2.0 */
#include "output/text_why.h"

/* In one line: card.c breaks it where the terminal ends. */
static void put_labelled(const char *label, const char *text, FILE *file)
{
    fprintf(file, "%-8s %s\n", label, text);
}

void output_why_text(const struct summary_loader *loader, FILE *file)
{
    const struct why *why = &loader->why;
    /* Nothing could be told: waits that somebody else reported, a file of an older version. */
    if (why->primary == WHY_NONE || (why->primary == CAUSE_UNKNOWN && why->work.workers == 0))
        return;
    char first[256];
    snprintf(first, sizeof first, "%s: %s", why_name(why->primary),
             why->evidence_count > 0 ? why->evidence[0] : "");
    put_labelled("WHY", first, file);
    for (uint32_t i = 1; i < why->evidence_count; i++)
        put_labelled("", why->evidence[i], file);
    if (why->suggestion[0] != '\0')
        put_labelled("TRY", why->suggestion, file);
}
