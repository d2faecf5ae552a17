/* SPDX-License-Identifier: Apache-2.0 */
#include "output/comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean_text.h"
#include "output/paragraphs.h"
#include "output/text.h"

#define MOST_RANKS 8u
#define USUAL_PREFETCH 2u  /* torch's, where there are workers */
#define LEAST_CHANGE 0.005 /* of a rank's stall share: less is the same on the screen */

static const char *rate_text(double rate, char text[16])
{
    output_rate_text(rate, text, 16);
    return text;
}

static void add_runs(const struct comparison *c, struct paragraphs *page)
{
    static const char *const labels[2] = {"FIRST", "SECOND"};
    char command[201];
    for (int i = 0; i < 2; i++)
        paragraphs_add(page, 1, TONE_PLAIN, labels[i], "%s: %s%s", c->runs[i]->data->id,
                       ds_shortened_text(c->runs[i]->command, command, sizeof command),
                       c->runs[i]->state == SUMMARY_RUNNING ? " (still running)" : "");
}

static void add_figures(const struct comparison *c, struct paragraphs *page)
{
    char a[32], b[32], ratio[32] = "";
    const char *causes[2] = {compare_cause(c->runs[0]), compare_cause(c->runs[1])};
    if (!isnan(c->throughput[0]) && !isnan(c->throughput[1]))
        paragraphs_add(page, 1, TONE_PLAIN, "", "throughput  %s -> %s %s/s",
                       rate_text(c->throughput[0], a), rate_text(c->throughput[1], b),
                       c->by_samples ? "samples" : "batches");
    summary_duration_text(c->window_s[0], a, sizeof a);
    summary_duration_text(c->window_s[1], b, sizeof b);
    if (isfinite(c->window_ratio))
        snprintf(ratio, sizeof ratio, "  (%.2fx as long)", c->window_ratio);
    paragraphs_add(page, 1, TONE_PLAIN, "", "window      %s -> %s%s", a, b, ratio);
    paragraphs_add(page, 1, TONE_PLAIN, "", "stall       %s -> %s of the time",
                   output_share_text(c->stall_share[0], a),
                   output_share_text(c->stall_share[1], b));
    paragraphs_add(page, 1, TONE_PLAIN, "", "cause       %s -> %s",
                   causes[0] == NULL ? "unknown" : causes[0],
                   causes[1] == NULL ? "unknown" : causes[1]);
    summary_duration_text(c->startup_s[0], a, sizeof a);
    summary_duration_text(c->startup_s[1], b, sizeof b);
    paragraphs_add(page, 1, TONE_PLAIN, "", "start-up    %s -> %s", a, b);
}

static void add_loader(const struct comparison *c, const struct compared_loader pair[2],
                       struct paragraphs *page)
{
    char rates[2][16], shares[2][16], other[96] = "";
    const struct compared_loader *known = pair[0].first != NULL ? &pair[0] : &pair[1];
    const char *name = known->first->data->entry.name;
    if (pair[0].first == NULL || pair[1].first == NULL) {
        paragraphs_add(page, 1, TONE_PLAIN, "LOADER", "%s: only in the %s run", name,
                       pair[0].first != NULL ? "first" : "second");
        return;
    }
    const char *second = pair[1].first->data->entry.name;
    if (strcmp(name, second) != 0)
        snprintf(other, sizeof other, " (%s in the second run)", second);
    for (int i = 0; i < 2; i++) {
        rate_text(c->by_samples ? pair[i].samples_per_s : pair[i].batches_per_s, rates[i]);
        output_share_text(pair[i].stall_share, shares[i]);
    }
    paragraphs_add(page, 1, TONE_PLAIN, "LOADER", "%s%s: %s -> %s %s/s, waiting %s -> %s, %s -> %s",
                   name, other, rates[0], rates[1], c->by_samples ? "samples" : "batches",
                   shares[0], shares[1], why_name(pair[0].first->why.primary),
                   why_name(pair[1].first->why.primary));
}

/* What of the setting differs: "num_workers=4, prefetch_factor=4". */
static void setting_text(const struct compared_setting settings[2], char *text, size_t size)
{
    const struct compared_setting *before = &settings[0], *now = &settings[1];
    const uint32_t usual = before->num_workers == 0 ? USUAL_PREFETCH : before->prefetch_factor;
    int length = snprintf(text, size, "num_workers=%u", now->num_workers);
    if (now->num_workers > 0 && now->prefetch_factor != usual)
        length += snprintf(text + length, size - (size_t)length, ", prefetch_factor=%u",
                           now->prefetch_factor);
    if (now->persistent_workers != before->persistent_workers)
        snprintf(text + length, size - (size_t)length, ", persistent_workers=%s",
                 now->persistent_workers ? "True" : "False");
}

/* What the first run promised of the second's setting, beside what came of it. */
static void add_promise(const struct compared_promise *promise, struct paragraphs *page)
{
    char text[128], came[64] = "";
    if (!promise->is_one)
        return;
    setting_text(promise->settings, text, sizeof text);
    if (promise->says[0] != '\0') {
        paragraphs_add(page, 1, TONE_PLAIN, "PREDICT", "%s: the first run predicts nothing: %s",
                       text, promise->says);
        return;
    }
    if (!isnan(promise->measured))
        snprintf(came, sizeof came, "; measured: %.2fx, %s", promise->measured,
                 promise->measured < promise->faster.lower   ? "less than that"
                 : promise->measured > promise->faster.upper ? "more than that"
                                                             : "as predicted");
    paragraphs_add(page, 1, TONE_PLAIN, "PREDICT",
                   "%s: from the first run, %.2fx as fast (%.2f to %.2f)%s", text,
                   promise->faster.mean, promise->faster.lower, promise->faster.upper, came);
}

static double change_of(const struct compared_rank *rank)
{
    const double share = fabs(rank->stall_share[1] - rank->stall_share[0]);
    return isnan(share) ? 0 : share;
}
static int by_change(const void *a, const void *b)
{
    const struct compared_rank *one = a, *other = b;
    const double x = change_of(one), y = change_of(other);
    return x < y ? 1 : x > y ? -1 : one->rank < other->rank ? -1 : one->rank > other->rank;
}

/* Those that changed the most; nothing where none did. */
static void add_ranks(const struct comparison *c, struct paragraphs *page)
{
    static struct compared_rank ranks[COMPARE_MOST_RANKS];
    char a[16], b[16], text[1024] = "";
    uint32_t told = 0, changed = 0;
    if (c->ranks_of[0] != c->ranks_of[1])
        paragraphs_add(page, 1, TONE_PLAIN, "RANKS", "%u -> %u", c->ranks_of[0], c->ranks_of[1]);
    memcpy(ranks, c->ranks, sizeof ranks);
    qsort(ranks, c->rank_count, sizeof *ranks, by_change);
    for (uint32_t i = 0; i < c->rank_count && c->rank_count > 1; i++)
        changed += change_of(&ranks[i]) >= LEAST_CHANGE;
    for (uint32_t i = 0; i < changed && i < MOST_RANKS; i++, told++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%srank %llu: %s -> %s",
                 text[0] == '\0' ? "" : ", ", (unsigned long long)ranks[i].rank,
                 output_share_text(ranks[i].stall_share[0], a),
                 output_share_text(ranks[i].stall_share[1], b));
    if (told > 0)
        paragraphs_add(page, 1, TONE_PLAIN, "RANKS", "stall %s%s", text,
                       changed > told ? ", ... (all: --json)" : "");
}

void output_comparison(const struct comparison *c, const struct card_style *style, FILE *file)
{
    static const enum paragraph_tone tones[] = {TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_WARNING};
    char text[320];
    struct paragraphs *page = calloc(1, sizeof *page);
    if (page == NULL)
        return;
    page->width = style->width < CARD_LEAST_WIDTH  ? CARD_LEAST_WIDTH
                  : style->width > CARD_MOST_WIDTH ? CARD_MOST_WIDTH
                                                   : style->width;
    add_runs(c, page);
    compare_result_text(c, text, sizeof text);
    paragraphs_add(page, 2, tones[c->result], "RESULT", "%s", text);
    add_figures(c, page);
    for (uint32_t i = 0; i < c->loader_count; i++) {
        add_loader(c, c->loaders[i], page);
        add_promise(&c->promises[i], page);
    }
    add_ranks(c, page);
    paragraphs_print(page, style->colour, file);
    free(page);
}
