/* SPDX-License-Identifier: Apache-2.0 */
#include "output/job_comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "output/comparison.h"
#include "output/paragraphs.h"
#include "output/put.h"
#include "output/text.h"

#define MOST_RANKS 6u
#define LEAST_CHANGE 0.005 /* of what a rank costs its job: less is the same on the screen */

/* A rank that both jobs have, with what it costs each of them, as the share of the job's time. */
struct rank_pair {
    const struct job_rank *ranks[2];
    double cost[2];
};

static double cost_of(const struct job_document *job, const struct job_rank *rank)
{
    return (rank->input_s + rank->not_input_s) / job->figures.active_s;
}

/* Both lists are by rank. free() the result; NULL: out of memory. */
static struct rank_pair *pair_ranks(const struct job_comparison *c, uint32_t *count)
{
    const struct job_details *first = &c->jobs[0]->details, *second = &c->jobs[1]->details;
    struct rank_pair *pairs = malloc((first->rank_count + 1) * sizeof *pairs);
    *count = 0;
    for (uint32_t i = 0, k = 0; pairs != NULL && i < first->rank_count; i++) {
        const struct job_rank *one = &first->ranks[i];
        while (k < second->rank_count && second->ranks[k].rank < one->rank)
            k++;
        if (k == second->rank_count || second->ranks[k].rank != one->rank)
            continue;
        const struct job_rank *other = &second->ranks[k];
        pairs[(*count)++] = (struct rank_pair){
            {one, other}, {cost_of(c->jobs[0], one), cost_of(c->jobs[1], other)}};
    }
    return pairs;
}

/* ---- for people ---- */

static void add_jobs(const struct job_comparison *c, struct paragraphs *page)
{
    static const char *const labels[2] = {"FIRST", "SECOND"};
    for (int i = 0; i < 2; i++) {
        const struct job_figures *figures = &c->jobs[i]->figures;
        paragraphs_add(
            page, 1, TONE_PLAIN, labels[i], "job %s: %u rank%s on %u machine%s, %u run%s",
            figures->id[0] != '\0' ? figures->id : "(without an id)", figures->ranks,
            figures->ranks == 1 ? "" : "s", figures->nodes, figures->nodes == 1 ? "" : "s",
            c->jobs[i]->run_count, c->jobs[i]->run_count == 1 ? "" : "s");
    }
}

static void add_figures(const struct job_comparison *c, struct paragraphs *page)
{
    const struct job_figures *const figures[2] = {&c->jobs[0]->figures, &c->jobs[1]->figures};
    const struct comparison *all = &c->comparison;
    char a[32], b[32];
    if (!isnan(all->throughput[0]) && !isnan(all->throughput[1])) {
        output_rate_text(all->throughput[0], a, 16);
        output_rate_text(all->throughput[1], b, 16);
        paragraphs_add(page, 1, TONE_PLAIN, "", "throughput  %s -> %s %s/s, of all ranks", a, b,
                       all->by_samples ? "samples" : "batches");
    }
    summary_duration_text(all->window_s[0], a, sizeof a);
    summary_duration_text(all->window_s[1], b, sizeof b);
    paragraphs_add(page, 1, TONE_PLAIN, "", "window      %s -> %s", a, b);
    paragraphs_add(page, 1, TONE_PLAIN, "", "lost        %s -> %s of the time, to input",
                   output_share_text(figures[0]->lost_share.mean, a),
                   output_share_text(figures[1]->lost_share.mean, b));
    paragraphs_add(page, 1, TONE_PLAIN, "", "otherwise   %s -> %s, to ranks that came late",
                   output_share_text(figures[0]->not_input_s / figures[0]->active_s, a),
                   output_share_text(figures[1]->not_input_s / figures[1]->active_s, b));
    for (int i = 0; i < 2; i++) {
        if (figures[i]->says[0] != '\0')
            paragraphs_add(page, 1, TONE_PLAIN, "UNKNOWN", "what the %s job lost: %s",
                           i == 0 ? "first" : "second", figures[i]->says);
    }
}

static double change_of(const struct rank_pair *pair)
{
    const double change = fabs(pair->cost[1] - pair->cost[0]);
    return isnan(change) ? -1 : change;
}

static int by_change(const void *a, const void *b)
{
    const struct rank_pair *one = a, *other = b;
    const double x = change_of(one), y = change_of(other);
    if (x != y)
        return x < y ? 1 : -1;
    return one->ranks[0]->rank < other->ranks[0]->rank ? -1 : 1;
}

static void add_ranks(const struct job_comparison *c, struct paragraphs *page)
{
    char a[16], b[16], text[640] = "";
    uint32_t count;
    struct rank_pair *pairs = pair_ranks(c, &count);
    if (pairs == NULL || count == 0) {
        free(pairs);
        return;
    }
    qsort(pairs, count, sizeof *pairs, by_change);
    const bool known = change_of(&pairs[0]) >= 0;
    for (uint32_t i = 0; i < count && i < MOST_RANKS && change_of(&pairs[i]) >= LEAST_CHANGE; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%srank %llu: %s -> %s",
                 text[0] == '\0' ? "" : ", ", (unsigned long long)pairs[i].ranks[0]->rank,
                 output_share_text(pairs[i].cost[0], a), output_share_text(pairs[i].cost[1], b));
    if (known)
        paragraphs_add(page, 1, TONE_PLAIN, "RANKS", "%s%s%s",
                       text[0] == '\0' ? "each costs its job what it did" : "what each cost: ",
                       text, count > MOST_RANKS ? ", ... (all: --json)" : "");
    free(pairs);
}

void output_job_comparison(const struct job_comparison *c, const struct card_style *style,
                           FILE *file)
{
    static const enum paragraph_tone tones[] = {TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_WARNING};
    char text[320];
    struct paragraphs *page = calloc(1, sizeof *page);
    if (page == NULL)
        return;
    page->width = card_width_of(style);
    add_jobs(c, page);
    compare_result_text(&c->comparison, text, sizeof text);
    paragraphs_add(page, 2, tones[c->comparison.result], "RESULT", "%s", text);
    add_figures(c, page);
    add_ranks(c, page);
    if (c->jobs[0]->figures.ranks != c->jobs[1]->figures.ranks)
        paragraphs_add(page, 1, TONE_WARNING, "NOTE",
                       "the jobs have %u and %u ranks: the throughput is of all of them",
                       c->jobs[0]->figures.ranks, c->jobs[1]->figures.ranks);
    paragraphs_print(page, style->colour, file);
    free(page);
}

/* ---- as a document ---- */

static void put_job(out e, const struct job_document *job)
{
    char text[640];
    e->open_object(e->context, NULL);
    put_string(e, "id", job->figures.id[0] != '\0' ? job->figures.id : NULL);
    put_integer(e, "ranks", job->figures.ranks);
    put_integer(e, "nodes", job->figures.nodes);
    put_integer(e, "runs", job->run_count);
    put_integer(e, "steps", job->figures.steps);
    put_string(e, "severity", summary_severity_name(job->severity));
    job_text(&job->figures, text, sizeof text);
    put_string(e, "text", text[0] != '\0' ? text : NULL);
    put_string(e, "says", job->figures.says[0] != '\0' ? job->figures.says : NULL);
    e->close(e->context);
}

static void put_ranks(out e, const struct job_comparison *c)
{
    uint32_t count;
    struct rank_pair *pairs = pair_ranks(c, &count);
    e->open_array(e->context, "ranks");
    for (uint32_t i = 0; pairs != NULL && i < count; i++) {
        const struct job_rank *const *ranks = pairs[i].ranks;
        e->open_object(e->context, NULL);
        put_integer(e, "rank", ranks[0]->rank);
        e->open_array(e->context, "node");
        put_string(e, NULL, ranks[0]->node);
        put_string(e, NULL, ranks[1]->node);
        e->close(e->context);
        put_pair(e, "input_s", ranks[0]->input_s, ranks[1]->input_s);
        put_pair(e, "not_input_s", ranks[0]->not_input_s, ranks[1]->not_input_s);
        put_pair(e, "lost_share", pairs[i].cost[0], pairs[i].cost[1]);
        put_pair(e, "stall_s", ranks[0]->stall_s, ranks[1]->stall_s);
        e->close(e->context);
    }
    e->close(e->context);
    free(pairs);
}

void output_job_comparison_shape(const struct job_comparison *c, const char *key, out e)
{
    const struct job_figures *const figures[2] = {&c->jobs[0]->figures, &c->jobs[1]->figures};
    e->open_object(e->context, key);
    output_comparison_result_shape(&c->comparison, e);
    put_pair(e, "active_s", figures[0]->active_s, figures[1]->active_s);
    put_pair(e, "lost_share", figures[0]->lost_share.mean, figures[1]->lost_share.mean);
    put_pair(e, "lost_s", figures[0]->lost_s.mean, figures[1]->lost_s.mean);
    put_pair(e, "not_input_s", figures[0]->not_input_s, figures[1]->not_input_s);
    e->open_array(e->context, "jobs");
    put_job(e, c->jobs[0]);
    put_job(e, c->jobs[1]);
    e->close(e->context);
    put_ranks(e, c);
    e->close(e->context);
}
