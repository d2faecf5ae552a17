/* SPDX-License-Identifier: Apache-2.0 */
#include "output/text_predict.h"

#include <math.h>
#include <stdlib.h>

#include "diagnose/summary.h"
#include "output/names.h"
#include "output/paragraphs.h"
#include "output/text.h"

#define TABLE_WIDTH 80u

/* With three figures at least, so that a small difference shows. */
static const char *rate(double value, char text[16])
{
    if (value >= 10 && value < 1e5)
        snprintf(text, 16, "%.*f", value < 100 ? 1 : 0, value);
    else
        output_rate_text(value, text, 16);
    return text;
}

static void put_row(const struct predict *predict, const struct predict_setting *one,
                    const char *mark, const char *note, FILE *file)
{
    char prefetch[16] = "-", mean[16], lower[16], upper[16], interval[40] = "-", window[32];
    if (one->prefetch_factor > 0)
        snprintf(prefetch, sizeof prefetch, "%u", one->prefetch_factor);
    if (one != &predict->measured)
        snprintf(interval, sizeof interval, "%s to %s", rate(one->samples_per_s.lower, lower),
                 rate(one->samples_per_s.upper, upper));
    summary_duration_text(one->window_s.mean, window, sizeof window);
    fprintf(file, "%-2s%7u %8s %9s  %-16s %5.2fx %8s %4.0f %%%s\n", mark, one->num_workers,
            prefetch, rate(one->samples_per_s.mean, mean), interval,
            predict_faster(predict, &one->window_s).mean, window, 100 * one->stall_share.mean,
            note);
}

static bool is_own(const struct predict *predict, const struct predict_setting *one)
{
    const struct predict_setting *own = &predict->measured;
    return one->num_workers == own->num_workers && one->prefetch_factor == own->prefetch_factor &&
           one->persistent_workers == own->persistent_workers;
}

static void put_settings(const struct predict *predict, FILE *file)
{
    fprintf(file, "  %7s %8s %9s  %-16s %6s %8s %6s\n", "workers", "prefetch", "samples/s",
            "9 of 10 between", "faster", "takes", "waits");
    put_row(predict, &predict->measured, "=", "  measured", file);
    for (uint32_t i = 0; i < predict->count; i++) {
        const struct predict_setting *one = &predict->settings[i];
        const bool kept = one->persistent_workers && !predict->measured.persistent_workers;
        put_row(predict, one, i == predict->best ? "*" : "",
                one->if_split          ? "  if split"
                : kept                 ? "  kept"
                : is_own(predict, one) ? "  replayed"
                : i == predict->best   ? "  best"
                                       : "",
                file);
    }
}

static void put_without(const struct predict *predict, FILE *file)
{
    fprintf(file, "\nUpper bounds, with everything else as it was:\n");
    for (uint32_t i = 0; i < predict->without_count; i++) {
        const struct predict_without *without = &predict->without[i];
        const struct range faster = predict_faster(predict, &without->window_s);
        fprintf(file, "  %-46s %6.2fx  (%.2f to %.2f)\n", predict_part_text(without->part),
                faster.mean, faster.lower, faster.upper);
    }
}

/* Broken where the table ends. */
static void put_broken(const char *label, const char *text, FILE *file)
{
    struct paragraphs *page = calloc(1, sizeof *page);
    if (page == NULL)
        return;
    page->width = TABLE_WIDTH;
    paragraphs_add(page, 1, TONE_PLAIN, label, "%s", text);
    paragraphs_print(page, false, file);
    free(page);
}

static void put_reason(const char *name, const char *says, FILE *file)
{
    char text[320];
    snprintf(text, sizeof text, "no prediction: %s", says);
    put_broken("LOADER", name, file);
    put_broken("", text, file);
}

static bool has_unsplit(const struct predict *predict)
{
    bool any = false;
    for (uint32_t i = 0; i < predict->count; i++)
        any = any || predict->settings[i].if_split;
    return any;
}

void output_predict_text(const struct predict *predict, const char *name, FILE *file)
{
    if (predict->says[0] != '\0') {
        put_reason(name, predict->says, file);
        return;
    }
    fprintf(file, "LOADER   %s\n", name);
    fprintf(file, "         its own setting, replayed, takes %.1f %% %s time (corrected below)\n\n",
            100 * fabs(predict->miss), predict->miss < 0 ? "less" : "more");
    put_settings(predict, file);
    if (has_unsplit(predict))
        put_broken("",
                   "if split: none of its workers asks which part of the stream is its own, so "
                   "with more of them each would go through all of it",
                   file);
    if (predict->left_out[0] != '\0')
        put_broken("", predict->left_out, file);
    put_without(predict, file);
}

void output_predict_line(const struct predict *predict, char *text, size_t size)
{
    text[0] = '\0';
    if (predict == NULL || predict->says[0] != '\0' || predict->best == UINT32_MAX)
        return;
    const struct predict_setting *best = &predict->settings[predict->best];
    const struct range faster = predict_faster(predict, &best->window_s);
    if (best->num_workers == predict->measured.num_workers || faster.lower < PREDICT_SURE)
        return;
    snprintf(text, size, "num_workers=%u: %.2fx faster (%.2f to %.2f)", best->num_workers,
             faster.mean, faster.lower, faster.upper);
}
