/* SPDX-License-Identifier: Apache-2.0 */
#include "output/page.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clean_text.h"
#include "base/error.h"
#include "output/json.h"

#define MOST_TEXT 16384

/* As the text of an element. */
static void put_text(const char *text, FILE *file)
{
    static char clean[MOST_TEXT];
    for (const char *c = ds_valid_text(text, clean, sizeof clean); *c != '\0'; c++) {
        if (*c == '<')
            fputs("&lt;", file);
        else if (*c == '>')
            fputs("&gt;", file);
        else if (*c == '&')
            fputs("&amp;", file);
        else
            fputc(*c, file);
    }
}

static void put_head(const struct page *page, FILE *file)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ",
          file);
    fprintf(file, "script-src %s; style-src %s; %s%s%sbase-uri 'none'; form-action 'none'\">\n",
            page_script_source, page_style_source, page->connect[0] != '\0' ? "connect-src " : "",
            page->connect, page->connect[0] != '\0' ? "; " : "");
    fputs("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n"
          "<meta name=\"referrer\" content=\"no-referrer\">\n<title>",
          file);
    put_text(page->title, file);
    fprintf(file, "</title>\n<style>%s</style>\n</head>\n", page_style);
}

static int put_page(const struct page *page, FILE *file)
{
    put_head(page, file);
    fputs("<body>\n<main id=\"page\"></main>\n<noscript><pre>", file);
    put_text(page->without_script != NULL ? page->without_script
                                          : "This page needs its script, which this browser does "
                                            "not run.",
             file);
    fputs("</pre></noscript>\n<script type=\"application/json\" id=\"data\">", file);
    const int error = output_json_for_page(page->shape, page->context, file);
    fprintf(file, "</script>\n<script>%s</script>\n</body>\n</html>\n", page_script);
    return error;
}

int page_write(const struct page *page, char **text, size_t *length)
{
    FILE *file = open_memstream(text, length);
    if (file == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    int error = put_page(page, file);
    if (ferror(file) && error == DATASTALL_OK)
        error = ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    if (fclose(file) != 0 && error == DATASTALL_OK)
        error = ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    if (error != DATASTALL_OK) {
        free(*text);
        *text = NULL;
    }
    return error;
}
