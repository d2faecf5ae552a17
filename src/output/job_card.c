/* SPDX-License-Identifier: Apache-2.0 */
#include "output/job_card.h"

#include <math.h>
#include <stdlib.h>

#include "output/card_job.h"
#include "output/put.h"
#include "output/shape.h"
#include "output/shape_job.h"

#define CAUSES_SHOWN 4u

void job_card_judge(struct job_document *job)
{
    const double lost = job->figures.lost_share.lower;
    job->for_others_share = summary_for_others_of_job(lost, &job->others);
    job->severity = summary_severity_of(lost - job->for_others_share);
}

static void verdict_text(const struct job_document *job, char *text, size_t size)
{
    char said[640], others[80] = "";
    job_text(&job->figures, said, sizeof said);
    if (job->for_others_share > 0 && said[0] != '\0')
        snprintf(others, sizeof others, "; about %.0f %% of that for CPUs that other programs used",
                 100 * job->for_others_share / job->figures.lost_share.lower);
    snprintf(text, size, "%s: %s%s", summary_severity_name(job->severity),
             said[0] != '\0'                   ? said
             : isnan(job->figures.lost_s.mean) ? job->figures.says
                                               : "no rank made the others wait to speak of",
             others);
}

static void add_causes(const struct job_figures *figures, struct paragraphs *card)
{
    for (uint32_t i = 0; i < figures->cause_count && i < CAUSES_SHOWN; i++) {
        const struct job_cause *cause = &figures->causes[i];
        char lost[32];
        if (!job_costs(figures, cause->lost_s))
            break;
        summary_duration_text(cause->lost_s, lost, sizeof lost);
        paragraphs_add(card, CARD_KEEP_DETAILS, TONE_PLAIN, i == 0 ? "RANKS" : "",
                       "rank %llu on %s: %s, %s%s%s", (unsigned long long)cause->rank, cause->node,
                       lost, cause->reason == JOB_INPUT ? "by its input" : "not by its input",
                       cause->why[0] != '\0' ? ": " : "", cause->why);
    }
}

void output_job_card(const struct job_document *job, const struct card_style *style, FILE *file)
{
    char text[800], rate[48];
    struct paragraphs *card = calloc(1, sizeof *card);
    if (card == NULL)
        return;
    card->width = card_width_of(style);
    paragraphs_add(card, CARD_KEEP_FIGURES, TONE_PLAIN, "RUNS", "%u run%s of job %s",
                   job->run_count, job->run_count == 1 ? "" : "s",
                   job->figures.id[0] != '\0' ? job->figures.id : "(without an id)");
    card_add_job(&job->figures, card);
    add_causes(&job->figures, card);
    if (job->figures.nodes > 1 && !isnan(job->figures.lost_s.mean))
        paragraphs_add(card, CARD_KEEP_DETAILS, TONE_PLAIN, "CLOCKS",
                       "of the machines put together by their batches, to within %.1f ms a step",
                       job->figures.clock_doubt_s * 1e3);
    if (job->problems > 0)
        paragraphs_add(card, CARD_KEEP_WARNINGS, TONE_WARNING, "DAMAGED",
                       "%u problem%s; the first: %s", job->problems, job->problems == 1 ? "" : "s",
                       job->first_problem);
    if (style->next != NULL)
        paragraphs_add(card, CARD_KEEP_NEXT, TONE_PLAIN, "NEXT", "%s", style->next);
    verdict_text(job, text, sizeof text);
    throughput_text(&job->throughput, rate, sizeof rate);
    paragraphs_add(card, CARD_KEEP_VERDICT, card_tone_of(job->severity), "VERDICT", "%s%s%s", text,
                   rate[0] != '\0' ? "; " : "", rate);
    paragraphs_fit(card, CARD_LINES);
    paragraphs_print(card, style->colour, file);
    free(card);
}

struct job_side output_job_side(const struct job_document *job)
{
    return (struct job_side){&job->figures, &job->details, &job->rates, job->batch_size,
                             job->window_s};
}

void output_job_document(const void *context, const struct emitter *e)
{
    output_job_parts(context, NULL, e);
}

void output_job_parts(const struct job_document *job, const char *key, const struct emitter *e)
{
    char text[800];
    e->open_object(e->context, key);
    put_integer(e, "schema", OUTPUT_SCHEMA);
    put_string(e, "datastall_version", DATASTALL_VERSION);
    output_job_shape(&job->figures, e);
    e->open_object(e->context, "verdict");
    put_string(e, "severity", summary_severity_name(job->severity));
    verdict_text(job, text, sizeof text);
    put_string(e, "text", text);
    put_real(e, "for_others_share", job->for_others_share);
    put_real(e, "samples_per_s", job->throughput.samples_per_s);
    put_real(e, "batches_per_s", job->throughput.batches_per_s);
    e->close(e->context);
    e->open_array(e->context, "runs");
    for (uint32_t i = 0; i < job->run_count; i++) {
        const struct job_run *run = &job->runs[i];
        e->open_object(e->context, NULL);
        put_string(e, "id", run->id);
        put_string(e, "node", run->node);
        put_integer(e, "processes", run->processes);
        put_string(e, "state", summary_state_name(run->state));
        put_seconds(e, "duration_s", run->duration_ns);
        e->close(e->context);
    }
    e->close(e->context);
    e->open_object(e->context, "damage");
    put_integer(e, "problems", job->problems);
    put_string(e, "first_problem", job->problems > 0 ? job->first_problem : NULL);
    e->close(e->context);
    e->close(e->context);
}
