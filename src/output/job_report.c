/* SPDX-License-Identifier: Apache-2.0 */
/* The data of a job's report: the document of `show --json`, and beside it what each rank cost and what was
 * lost over time. web/job.js shows it. */
#include "output/job_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/comparison.h"
#include "output/job_comparison.h"
#include "output/page.h"
#include "output/put.h"

#define MOST_RANKS 256u /* those that cost most */
#define MOST_RUNS 256u

struct report {
    const struct job_document *const *jobs;
    uint32_t count;
    const struct job_comparison *comparison; /* NULL: of one job */
};

static int by_cost(const void *a, const void *b)
{
    const struct job_rank *one = *(const struct job_rank *const *)a;
    const struct job_rank *other = *(const struct job_rank *const *)b;
    const double x = isnan(one->input_s) ? one->stall_s : one->input_s + one->not_input_s;
    const double y = isnan(other->input_s) ? other->stall_s : other->input_s + other->not_input_s;
    if (x != y)
        return x < y ? 1 : -1;
    return one->rank < other->rank ? -1 : one->rank > other->rank;
}

static void put_ranks(const struct job_details *details, out e)
{
    const struct job_rank **ranks = malloc((details->rank_count + 1) * sizeof(*ranks));
    e->open_array(e->context, "ranks");
    for (uint32_t i = 0; ranks != NULL && i < details->rank_count; i++)
        ranks[i] = &details->ranks[i];
    if (ranks != NULL && details->rank_count > 0)
        qsort(ranks, details->rank_count, sizeof(*ranks), by_cost);
    for (uint32_t i = 0; ranks != NULL && i < details->rank_count && i < MOST_RANKS; i++) {
        e->open_object(e->context, NULL);
        put_integer(e, "rank", ranks[i]->rank);
        put_string(e, "node", ranks[i]->node);
        put_integer(e, "batches", ranks[i]->batches);
        put_real(e, "stall_s", ranks[i]->stall_s);
        put_real(e, "input_s", ranks[i]->input_s);
        put_real(e, "not_input_s", ranks[i]->not_input_s);
        put_integer(e, "input_last", ranks[i]->input_last);
        put_integer(e, "late_last", ranks[i]->late_last);
        e->close(e->context);
    }
    e->close(e->context);
    free(ranks);
}

static void put_spans(const struct job_details *details, out e)
{
    put_real(e, "span_s", details->span_s > 0 ? details->span_s : NAN);
    e->open_array(e->context, "spans");
    for (uint32_t i = 0; i < JOB_SPANS && details->span_s > 0; i++) {
        const struct job_span *span = &details->spans[i];
        e->open_object(e->context, NULL);
        put_integer(e, "steps", span->steps);
        put_real(e, "input_s", span->steps > 0 ? span->input_s : NAN);
        put_real(e, "not_input_s", span->steps > 0 ? span->not_input_s : NAN);
        put_integer(e, "most", span->most);
        put_real(e, "most_s", span->steps > 0 ? span->most_s : NAN);
        e->close(e->context);
    }
    e->close(e->context);
}

/* Of a job of very many machines the page does not list each. */
static struct job_document cut(const struct job_document *job)
{
    struct job_document shown = *job;
    shown.run_count = job->run_count < MOST_RUNS ? job->run_count : MOST_RUNS;
    return shown;
}

static void shape(const void *context, out e)
{
    const struct report *report = context;
    e->open_object(e->context, NULL);
    put_string(e, "kind", "job");
    put_string(e, "datastall_version", datastall_version());
    e->open_array(e->context, "jobs");
    for (uint32_t i = 0; i < report->count; i++) {
        const struct job_document shown = cut(report->jobs[i]);
        char rate[48];
        throughput_text(&shown.throughput, rate, sizeof rate);
        e->open_object(e->context, NULL);
        output_job_parts(&shown, "summary", e);
        put_string(e, "throughput_text", rate[0] != '\0' ? rate : NULL);
        put_integer(e, "run_count", report->jobs[i]->run_count);
        put_integer(e, "rank_count", shown.details.rank_count);
        put_ranks(&shown.details, e);
        put_spans(&shown.details, e);
        e->close(e->context);
    }
    e->close(e->context);
    if (report->comparison != NULL) {
        output_job_comparison_shape(report->comparison, "comparison", e);
        output_comparison_text_shape(&report->comparison->comparison, e);
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
    if (report->comparison != NULL)
        output_job_comparison(report->comparison, &style, file);
    for (uint32_t i = 0; i < report->count; i++) {
        fputs(i > 0 || report->comparison != NULL ? "\n" : "", file);
        output_job_card(report->jobs[i], &style, file);
    }
    fclose(file);
    return text;
}

int job_report_write(const struct job_document *const *jobs, uint32_t count, char **text,
                     size_t *length)
{
    struct job_comparison comparison = {.jobs = {jobs[0], jobs[count - 1]}};
    struct report report = {jobs, count, count > 1 ? &comparison : NULL};
    char title[320];
    if (count > 1) {
        const struct job_side first = output_job_side(jobs[0]), second = output_job_side(jobs[1]);
        compare_jobs(&first, &second, &comparison.comparison);
    }
    snprintf(title, sizeof title, "job %s%s%s - datastall", jobs[0]->figures.id,
             count > 1 ? " and " : "", count > 1 ? jobs[1]->figures.id : "");
    char *cards = cards_of(&report);
    const struct page page = {title, cards, "", shape, &report};
    const int error = page_write(&page, text, length);
    free(cards);
    return error;
}
