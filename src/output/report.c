/* SPDX-License-Identifier: Apache-2.0 */
#include "output/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "output/card.h"
#include "output/comparison.h"
#include "output/page.h"
#include "output/put.h"

struct report {
    const struct summary *const *runs;
    uint32_t count;
    const struct comparison *comparison; /* NULL: of one run */
    const struct report_size *size;
};

static void shape(const void *context, out e)
{
    const struct report *report = context;
    e->open_object(e->context, NULL);
    put_string(e, "kind", "report");
    put_string(e, "datastall_version", datastall_version());
    e->open_array(e->context, "runs");
    for (uint32_t i = 0; i < report->count; i++)
        report_run_shape(report->runs[i], report->size, NULL, e);
    e->close(e->context);
    if (report->comparison != NULL) {
        output_comparison_shape(report->comparison, "comparison", e);
        output_comparison_text_shape(report->comparison, e);
    }
    e->close(e->context);
}

/* For a browser that runs no script. */
static char *cards_of(const struct report *report)
{
    const struct card_style style = {.width = 100};
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    if (file == NULL)
        return NULL;
    for (uint32_t i = 0; i < report->count; i++) {
        fprintf(file, "%s%s\n", i > 0 ? "\n" : "", report->runs[i]->data->id);
        output_card(report->runs[i], &style, file);
    }
    fclose(file);
    return text;
}

int report_write(const struct summary *const *runs, uint32_t count, char **text, size_t *length)
{
    /* Each smaller than the one before; the last holds for whatever a run has. */
    static const struct report_size sizes[] = {
        {16, 6, 256, 32, 24}, {8, 4, 128, 16, 16}, {4, 2, 64, 8, 8}, {1, 1, 16, 4, 4}};
    struct comparison *comparison = count > 1 ? malloc(sizeof *comparison) : NULL;
    struct report report = {runs, count, comparison, NULL};
    char title[PATH_MAX];
    snprintf(title, sizeof title, "%s%s%s - datastall", runs[0]->data->id, count > 1 ? " and " : "",
             count > 1 ? runs[1]->data->id : "");
    if (comparison != NULL)
        compare_runs(runs[0], runs[1], comparison);
    char *cards = cards_of(&report);
    int error = DATASTALL_OK;
    *text = NULL;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && error == DATASTALL_OK; i++) {
        const struct page page = {title, cards, "", shape, &report};
        free(*text);
        report.size = &sizes[i];
        error = page_write(&page, text, length);
        if (error == DATASTALL_OK && *length <= REPORT_MOST_BYTES)
            break;
    }
    free(cards);
    free(comparison);
    return error;
}
