/* SPDX-License-Identifier: Apache-2.0 */
#include "output/text_why.h"

#define WIDTH 100
#define INDENT 9

/* A label and a text, broken at spaces. */
static void put_wrapped(const char *label, const char *text, FILE *file)
{
    int column = fprintf(file, "%-8s ", label);
    for (const char *word = text; *word != '\0';) {
        int length = 0;
        while (word[length] != '\0' && word[length] != ' ')
            length++;
        if (column > INDENT && column + 1 + length > WIDTH) {
            fputc('\n', file);
            column = fprintf(file, "%*s", INDENT, "");
        }
        column += fprintf(file, "%s%.*s", column > INDENT ? " " : "", length, word);
        word += length;
        while (*word == ' ')
            word++;
    }
    fputc('\n', file);
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
    put_wrapped("WHY", first, file);
    for (uint32_t i = 1; i < why->evidence_count; i++)
        put_wrapped("", why->evidence[i], file);
    if (why->suggestion[0] != '\0')
        put_wrapped("TRY", why->suggestion, file);
}
