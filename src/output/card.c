/* SPDX-License-Identifier: Apache-2.0 */
#include "output/card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean_text.h"
#include "diagnose/cost.h"
#include "diagnose/steps.h"
#include "diagnose/throughput.h"
#include "output/card_job.h"
#include "output/card_loaders.h"
#include "output/names.h"
#include "output/paragraphs.h"
#include "output/text.h"

#define GPUS_APART 2u /* more are told together */
#define BAR_COLUMNS 40u
#define LEAST_HELD_SHARE 0.05

/* What print() prints, a paragraph of each of its lines. */
static void add_printed(const struct summary *s, void (*print)(const struct summary *, FILE *),
                        enum card_keep keep, struct paragraphs *card)
{
    char *text = NULL, *rest, label[10];
    size_t size;
    FILE *file = open_memstream(&text, &size);
    if (file == NULL)
        return;
    print(s, file);
    fclose(file);
    for (char *line = text == NULL ? NULL : strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        /* The first columns, without the spaces at their end: "GPU 0" is a label of two words. */
        snprintf(label, sizeof label, "%.*s", (int)PARAGRAPHS_INDENT - 1, line);
        for (size_t n = strlen(label); n > 0 && label[n - 1] == ' '; n--)
            label[n - 1] = '\0';
        paragraphs_add(card, keep, TONE_PLAIN, label, "%s",
                       strlen(line) > PARAGRAPHS_INDENT ? line + PARAGRAPHS_INDENT : "");
    }
    free(text);
}

/* ---- the run ---- */

#define COMMAND_BYTES 91 /* a line more costs one of what the card says of the run */

static void add_run(const struct summary *s, struct paragraphs *card)
{
    char duration[32], setup[32], with_setup[64] = "", end[64] = "", text[256];
    char name[41], command[COMMAND_BYTES];
    summary_duration_text((double)s->duration_ns * 1e-9, duration, sizeof duration);
    if (s->setup_ns != DATASTALL_UNKNOWN) {
        summary_duration_text((double)s->setup_ns * 1e-9, setup, sizeof setup);
        snprintf(with_setup, sizeof with_setup, ", including %s set-up", setup);
    }
    if (s->exit_status != DATASTALL_UNKNOWN)
        snprintf(end, sizeof end, ", exit %llu", (unsigned long long)s->exit_status);
    else if (s->state != SUMMARY_ENDED)
        snprintf(end, sizeof end, ", %s", output_state_text(s->state));
    const bool named = s->name != NULL && s->name[0] != '\0';
    paragraphs_add(card, CARD_KEEP_FIGURES, TONE_PLAIN, "RUN", "%s%s%s (%s%s%s)",
                   ds_shortened_text(named ? s->name : "", name, sizeof name), named ? ": " : "",
                   ds_shortened_text(s->command, command, sizeof command), duration, with_setup,
                   end);
    summary_launcher_text(s, text, sizeof text);
    if (text[0] != '\0')
        paragraphs_add(card, CARD_KEEP_WARNINGS, TONE_WARNING, "", "%s", text);
}

/* ---- GPUs ---- */

static void add_gpu(const struct summary_gpu *gpu, struct paragraphs *card)
{
    char label[24], busy[64], stall[64] = "", other[48] = "";
    output_gpu_text(gpu, label, busy);
    if (!isnan(gpu->stall_share))
        snprintf(stall, sizeof stall, ", waited for input %s%.1f %%",
                 gpu->stall_is_bound ? "at most " : "", gpu->stall_share * 100);
    if (!isnan(gpu->other_idle_share))
        snprintf(other, sizeof other, ", idle otherwise %.1f %%", gpu->other_idle_share * 100);
    paragraphs_add(card, CARD_KEEP_FIGURES, TONE_PLAIN, label, "%s%s%s  (%s)", busy, stall, other,
                   gpu->data->fixed.name);
    if (gpu->held_power_share >= LEAST_HELD_SHARE)
        paragraphs_add(card, CARD_KEEP_DETAILS, TONE_PLAIN, "",
                       "clocks held back by the power limit for %.0f %% of the time",
                       gpu->held_power_share * 100);
    if (gpu->held_thermal_share >= LEAST_HELD_SHARE)
        paragraphs_add(card, CARD_KEEP_WARNINGS, TONE_WARNING, "",
                       "clocks held back by heat for %.0f %% of the time",
                       gpu->held_thermal_share * 100);
    if (gpu->silent)
        paragraphs_add(card, CARD_KEEP_WARNINGS, TONE_WARNING, "",
                       "the driver (NVML) did not answer its last call");
}

/* "busy 12.0 to 61.2 %" over all of them. */
static void add_gpus_together(const struct summary *s, struct paragraphs *card)
{
    double busy[2] = {NAN, NAN}, stall[2] = {NAN, NAN};
    char told[128] = "busy unknown", stalled[64] = "";
    for (uint32_t i = 0; i < s->gpu_count; i++) {
        busy[0] = fmin(busy[0], s->gpus[i].busy_share); /* they leave NaN out */
        busy[1] = fmax(busy[1], s->gpus[i].busy_share);
        stall[0] = fmin(stall[0], s->gpus[i].stall_share);
        stall[1] = fmax(stall[1], s->gpus[i].stall_share);
    }
    if (!isnan(busy[0]))
        snprintf(told, sizeof told, "busy %.1f to %.1f %%", busy[0] * 100, busy[1] * 100);
    if (!isnan(stall[0]))
        snprintf(stalled, sizeof stalled, ", waited for input %.1f to %.1f %%", stall[0] * 100,
                 stall[1] * 100);
    paragraphs_add(card, CARD_KEEP_FIGURES, TONE_PLAIN, "GPUS", "%u GPUs: %s%s", s->gpu_count, told,
                   stalled);
}

static void add_gpus(const struct summary *s, struct paragraphs *card)
{
    char reason[160];
    if (s->gpu_count > GPUS_APART)
        add_gpus_together(s, card);
    for (uint32_t i = 0; i < s->gpu_count && s->gpu_count <= GPUS_APART; i++)
        add_gpu(&s->gpus[i], card);
    rf_gpu_end_text(s->data->gpu_end, s->data->gpu_end_detail, reason, sizeof reason);
    if (s->data->gpu_state == RF_GPU_ENDED)
        paragraphs_add(card, CARD_KEEP_WARNINGS, TONE_WARNING, s->gpu_count > 0 ? "" : "GPU",
                       "GPU sampling ended: %s", reason);
}

/* ---- notes and verdict ---- */

static void add_notes(const struct summary *s, struct paragraphs *card)
{
    if (s->data->problems > 0)
        paragraphs_add(card, CARD_KEEP_WARNINGS, TONE_WARNING, "DAMAGED",
                       "%u problem%s; the first: %s", s->data->problems,
                       s->data->problems == 1 ? "" : "s", s->data->first_problem);
    const uint32_t notes = output_note_count(s);
    if (notes > 0)
        paragraphs_add(card, CARD_KEEP_WARNINGS, TONE_PLAIN, "NOTE",
                       "%u note%s about what was recorded: -v shows %s", notes,
                       notes == 1 ? "" : "s", notes == 1 ? "it" : "them");
}

/* Where the worst process's time went, as a bar. */
static void add_bar(const struct summary *s, const struct card_style *style,
                    struct paragraphs *card)
{
    char bar[BAR_COLUMNS * 3 + 1] = "";
    const double share = s->worst == UINT32_MAX ? NAN : s->processes[s->worst].stall_share;
    if (!style->colour || isnan(share))
        return;
    const unsigned filled = (unsigned)(fmin(1.0, share) * BAR_COLUMNS + 0.5);
    for (unsigned i = 0; i < BAR_COLUMNS; i++)
        strcat(bar,
               i < filled ? (style->unicode ? "\u2588" : "#") : (style->unicode ? "\u2591" : "."));
    paragraphs_add(card, CARD_KEEP_NEXT, card_tone_of(s->severity), "TIME", "%s waiting %s%.0f %%",
                   bar, s->processes[s->worst].upper_bound ? "at most " : "", share * 100);
}

/* Asked for by its price; otherwise with the evidence only. */
static void add_cost(const struct summary *s, bool verbose, struct paragraphs *card)
{
    struct cost cost;
    char text[320];
    cost_of(s, &cost);
    cost_text(&cost, text, sizeof text);
    if (text[0] != '\0' && (verbose || !isnan(s->price_per_gpu_hour)))
        paragraphs_add(card, CARD_KEEP_ADVICE, TONE_PLAIN, "COST", "%s", text);
}

/* What the GPU idled for where the input is not to blame, and the first thing to try. */
static void add_steps(const struct summary *s, struct paragraphs *card)
{
    char text[512];
    uint32_t process;
    const struct summary_steps *steps = summary_steps_of_run(s, &process);
    summary_steps_text(s, text, sizeof text);
    if (text[0] != '\0')
        paragraphs_add(card, CARD_KEEP_FIGURES, TONE_PLAIN, "STEPS", "%s", text);
    if (text[0] != '\0' && summary_steps_advice(steps, 0, text, sizeof text))
        paragraphs_add(card, CARD_KEEP_ADVICE, TONE_PLAIN, "TRY", "%s", text);
    if (steps != NULL) {
        summary_memory_text(steps, text, sizeof text);
        if (text[0] != '\0')
            paragraphs_add(card, CARD_KEEP_WARNINGS, TONE_WARNING, "MEMORY", "%s", text);
    }
}

static void add_verdict(const struct summary *s, const struct card_style *style,
                        struct paragraphs *card)
{
    char text[512], rate[48];
    const struct throughput throughput = throughput_of(s);
    summary_prize_text(s, text, sizeof text);
    if (text[0] != '\0')
        paragraphs_add(card, CARD_KEEP_ADVICE, TONE_PLAIN, "GAIN", "%s", text);
    add_cost(s, style->verbose, card);
    add_printed(s, output_bounds, CARD_KEEP_WARNINGS, card);
    if (s->worst == UINT32_MAX && s->state != SUMMARY_RUNNING)
        paragraphs_add(card, CARD_KEEP_ADVICE, TONE_PLAIN, "TRY", SUMMARY_WATCH_HINT);
    if (style->next != NULL)
        paragraphs_add(card, CARD_KEEP_NEXT, TONE_PLAIN, "NEXT", "%s", style->next);
    add_bar(s, style, card);
    summary_verdict_text(s, text, sizeof text);
    throughput_text(&throughput, rate, sizeof rate);
    paragraphs_add(card, CARD_KEEP_VERDICT, card_tone_of(s->severity), "VERDICT", "%s%s%s", text,
                   rate[0] != '\0' ? "; " : "", rate);
}

void output_card(const struct summary *summary, const struct card_style *style, FILE *file)
{
    struct paragraphs *card = calloc(1, sizeof *card);
    if (card == NULL)
        return;
    card->width = card_width_of(style);
    if (style->verbose) {
        add_printed(summary, output_details, CARD_KEEP_DETAILS, card);
    } else {
        add_run(summary, card);
        add_gpus(summary, card);
        card_add_loaders(summary, card);
        card_add_job(summary->job, card);
        add_steps(summary, card);
        add_notes(summary, card);
    }
    add_verdict(summary, style, card);
    if (!style->verbose)
        paragraphs_fit(card, CARD_LINES);
    paragraphs_print(card, style->colour, file);
    free(card);
}
