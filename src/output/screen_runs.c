/* SPDX-License-Identifier: Apache-2.0 */
#include "output/screen_runs.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean_text.h"
#include "base/short_name.h"
#include "diagnose/compare.h"
#include "diagnose/steps.h"
#include "output/recent.h"
#include "output/text.h"

#define FIGURES 54u /* columns of figures behind a run's name */
#define BAR 14u     /* on wide screens: a bar of its stall, and its cause */
#define CAUSE 16u
#define MOST_NAME 64u
#define WIDE 110u
#define ROOMY 30u /* rows: then what to try may take two of them */
#define TRY_INDENT 5u

/* ---- which runs ---- */

static bool holds(const char *text, const char *words)
{
    return text != NULL && strcasestr(text, words) != NULL;
}

static bool is_wanted(const struct summary *run, const char *filter)
{
    return filter == NULL || filter[0] == '\0' || holds(run->data->id, filter) ||
           holds(run->name, filter) || holds(run->command, filter) ||
           holds(compare_cause(run), filter) || holds(summary_severity_name(run->severity), filter);
}

uint32_t screen_order(const struct summary *const *runs, uint32_t count, const char *filter,
                      const struct summary **ordered)
{
    uint32_t found = 0;
    for (int running = 1; running >= 0; running--) {
        for (uint32_t i = 0; i < count; i++) {
            if ((runs[i]->state == SUMMARY_RUNNING) == (running == 1) && is_wanted(runs[i], filter))
                ordered[found++] = runs[i];
        }
    }
    return found;
}

/* ---- the list ---- */

static bool is_wide(const struct screen_view *view)
{
    return view->columns >= WIDE;
}

static unsigned name_width(const struct screen_view *view)
{
    const unsigned left = view->columns - FIGURES - (is_wide(view) ? BAR + CAUSE : 0);
    return left < MOST_NAME ? left : MOST_NAME; /* the eye is to find its figures */
}

/* "20261128-154430-train.py" as "train.py 20261128-154430": the name first, and cut in its middle. */
static void name_text(const struct summary *run, unsigned width, char *text, size_t size)
{
    char clean[NAME_MAX + 1], turned[NAME_MAX + 2];
    ds_clean_text(run->data->id, clean, sizeof clean);
    const char *dash = strchr(clean, '-');
    dash = dash != NULL ? strchr(dash + 1, '-') : NULL;
    if (dash != NULL && dash[1] != '\0')
        snprintf(turned, sizeof turned, "%s %.*s", dash + 1, (int)(dash - clean), clean);
    else
        snprintf(turned, sizeof turned, "%s", clean);
    ds_short_name(turned, text, width + 1 < size ? width + 1 : size);
}

static void rate_text(double rate, char text[16])
{
    text[0] = '\0';
    if (!isnan(rate))
        output_rate_text(rate, text, 16);
}

static void put_bar(struct canvas *canvas, unsigned column, double share)
{
    char bar[3 * BAR + 1] = "";
    const unsigned filled = isnan(share) ? 0 : (unsigned)(fmin(1.0, share) * (BAR - 2) + 0.5);
    for (unsigned i = 0; i < filled; i++)
        strcat(bar, canvas->unicode ? "\u2588" : "#");
    canvas_put(canvas, column, (int)BAR - 2, STYLE_HISTORY, "%s", bar);
}

static void put_run(struct canvas *c, const struct summary *run, const struct screen_view *view,
                    bool selected)
{
    const unsigned name = name_width(view);
    const unsigned bar = is_wide(view) ? BAR : 0;
    char text[NAME_MAX + 1], duration[32], samples[16], tokens[16];
    struct recent_waits recent;
    recent_of_run(run, view->now_ns, &recent);
    name_text(run, name, text, sizeof text);
    summary_duration_text((double)run->duration_ns * 1e-9, duration, sizeof duration);
    rate_text(recent.samples_per_s, samples);
    rate_text(recent.tokens_per_s, tokens);
    canvas_put(c, 0, (int)name, STYLE_PLAIN, "%s", text);
    canvas_put(c, name + 1, 7, run->state == SUMMARY_DIED ? STYLE_BAD : STYLE_PLAIN, "%s",
               summary_state_name(run->state));
    canvas_put(c, name + 9, -8, STYLE_PLAIN, "%s", duration);
    canvas_put(c, name + 17, -6, STYLE_PLAIN, "%u", run->process_count);
    canvas_share(c, name + 23, -8, run->stall_share, true);
    if (bar > 0)
        put_bar(c, name + 32, run->stall_share);
    canvas_share(c, name + bar + 31, -7, recent.stall_share, true);
    canvas_put(c, name + bar + 38, -8, STYLE_PLAIN, "%s", samples);
    canvas_put(c, name + bar + 46, -8, STYLE_PLAIN, "%s", tokens);
    const char *cause = compare_cause(run);
    if (bar > 0 && cause != NULL && strcmp(cause, "none") != 0)
        canvas_put(c, name + bar + 55, (int)CAUSE - 1, STYLE_PLAIN, "%s", cause);
    if (selected)
        canvas_style_row(c, STYLE_SELECTED);
    c->row++;
}

static void put_header(struct canvas *c, const struct screen_view *view, uint32_t more)
{
    const unsigned name = name_width(view);
    const unsigned bar = is_wide(view) ? BAR : 0;
    if (more > 0)
        canvas_put(c, 0, (int)name, STYLE_HEADER, "RUN, and %u more", more);
    else
        canvas_put(c, 0, (int)name, STYLE_HEADER, "RUN");
    canvas_put(c, name + 1, 7, STYLE_HEADER, "STATE");
    canvas_put(c, name + 9, -8, STYLE_HEADER, "TIME");
    canvas_put(c, name + 17, -6, STYLE_HEADER, "PROCS");
    canvas_put(c, name + 23, -8, STYLE_HEADER, "STALL");
    canvas_put(c, name + bar + 31, -7, STYLE_HEADER, "NOW");
    canvas_put(c, name + bar + 38, -8, STYLE_HEADER, "SMPL/S");
    canvas_put(c, name + bar + 46, -8, STYLE_HEADER, "TOK/S");
    if (bar > 0)
        canvas_put(c, name + bar + 55, (int)CAUSE - 1, STYLE_HEADER, "WHY");
    canvas_style_row(c, STYLE_HEADER);
    c->row++;
}

void screen_put_runs(struct canvas *canvas, const struct summary *const *runs, uint32_t count,
                     const struct screen_view *view, uint32_t most)
{
    const uint32_t selected = canvas->screen->selected;
    const uint32_t shown = count < most ? count : most;
    put_header(canvas, view, count - shown);
    if (count == 0) {
        const bool filtered = view->filter != NULL && view->filter[0] != '\0';
        canvas_put(canvas, 0, 80, STYLE_PLAIN, "%s",
                   filtered ? "no run has that in its name, command or cause"
                            : "nothing is running; start a run with: datastall run python "
                              "train.py");
        canvas->row++;
    }
    const uint32_t first = selected >= shown && shown > 0 ? selected + 1 - shown : 0;
    for (uint32_t i = first; i < first + shown; i++)
        put_run(canvas, runs[i], view, i == selected && view->rows > 0);
}

/* ---- the one that is selected ---- */

static const struct summary_loader *longest(const struct summary *run)
{
    const struct summary_loader *found = NULL;
    for (uint32_t i = 0; i < run->loader_count; i++) {
        if (run->loaders[i].in_verdict &&
            (found == NULL || run->loaders[i].stall.waiting_ns > found->stall.waiting_ns))
            found = &run->loaders[i];
    }
    return found != NULL && found->why.primary != WHY_NONE ? found : NULL;
}

static bool put_line(struct canvas *c, const struct screen_view *view, unsigned end,
                     enum screen_style style, const char *text)
{
    if (c->row >= end)
        return false;
    canvas_put(c, 0, (int)view->columns, style, "%s", text);
    c->row++;
    return true;
}

/* As many whole words as fit in a row; returns where the rest begins. */
static const char *fitting(const char *text, unsigned width, size_t *length)
{
    *length = strlen(text);
    if (*length <= width)
        return text + *length;
    *length = width;
    while (*length > 0 && text[*length] != ' ')
        --*length;
    if (*length == 0)
        *length = width;
    return text + *length + (text[*length] == ' ');
}

/* "TRY  " and what to try, in one or two rows. */
static void put_try(struct canvas *c, const struct screen_view *view, unsigned end,
                    const char *suggestion)
{
    char line[SCREEN_MOST_COLUMNS + 1];
    const unsigned rows = view->rows == 0 || view->rows >= ROOMY ? 2 : 1;
    const char *rest = suggestion;
    for (unsigned i = 0; i < rows && *rest != '\0'; i++) {
        size_t length;
        const char *next =
            fitting(rest, view->columns - TRY_INDENT - (i + 1 == rows ? 3 : 0), &length);
        snprintf(line, sizeof line, "%-*s%.*s%s", (int)TRY_INDENT, i == 0 ? "TRY" : "", (int)length,
                 rest, i + 1 == rows && *next != '\0' ? "..." : "");
        put_line(c, view, end, STYLE_PLAIN, line);
        rest = next;
    }
}

static enum screen_style style_of(enum summary_severity severity)
{
    return severity == SUMMARY_SEVERITY_SEVERE     ? STYLE_BAD
           : severity == SUMMARY_SEVERITY_MODERATE ? STYLE_WARNING
           : severity == SUMMARY_SEVERITY_NONE     ? STYLE_GOOD
                                                   : STYLE_PLAIN;
}

void screen_put_detail(struct canvas *canvas, const struct summary *run,
                       const struct screen_view *view, unsigned end)
{
    char text[768], clean[1024];
    const struct summary_loader *loader = longest(run);
    summary_verdict_text(run, text, sizeof text);
    put_line(canvas, view, end, style_of(run->severity), text);
    if (loader != NULL && loader->why.primary != CAUSE_UNKNOWN) {
        snprintf(text, sizeof text, "%-*s%s%s%s", (int)TRY_INDENT, "WHY",
                 why_name(loader->why.primary), loader->why.evidence_count > 0 ? "; " : "",
                 loader->why.evidence_count > 0 ? loader->why.evidence[0] : "");
        put_line(canvas, view, end, STYLE_PLAIN, text);
        put_try(canvas, view, end, ds_clean_text(loader->why.suggestion, clean, sizeof clean));
    }
    summary_steps_text(run, text, sizeof text);
    if (text[0] != '\0')
        put_line(canvas, view, end, STYLE_PLAIN, text);
    if (run->data->problems > 0) {
        snprintf(text, sizeof text, "DAMAGED: %u problem%s; the first: %s", run->data->problems,
                 run->data->problems == 1 ? "" : "s", run->data->first_problem);
        put_line(canvas, view, end, STYLE_BAD, text);
    }
    summary_launcher_text(run, text, sizeof text);
    if (text[0] != '\0')
        put_line(canvas, view, end, STYLE_WARNING, text);
}

unsigned screen_detail_rows(const struct summary *run)
{
    char text[256], steps[512];
    const struct summary_loader *loader = longest(run);
    summary_steps_text(run, steps, sizeof steps);
    const bool caused = loader != NULL && loader->why.primary != CAUSE_UNKNOWN;
    summary_launcher_text(run, text, sizeof text);
    return 1 + (caused ? 1 + (loader->why.suggestion[0] != '\0' ? 2 : 0) : 0) +
           (run->data->problems > 0) + (text[0] != '\0') + (steps[0] != '\0');
}
