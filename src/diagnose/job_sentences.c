/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diagnose/job.h"

#define ALIKE 0.8 /* what the ranks stall by themselves is so much of the job's loss */
#define WIDE 0.1  /* of the mean: bounds so far apart are both said */

const char *job_reason_name(enum job_reason reason)
{
    return reason == JOB_INPUT ? "input" : "not_input";
}

bool job_costs(const struct job_figures *figures, double lost_s)
{
    return lost_s >= JOB_LEAST_S && lost_s >= JOB_LEAST_SHARE * figures->active_s;
}

static const struct job_cause *dearest(const struct job_figures *figures, enum job_reason reason)
{
    for (uint32_t i = 0; i < figures->cause_count; i++) {
        if (figures->causes[i].reason == reason)
            return &figures->causes[i];
    }
    return NULL;
}

static void name_rank(const struct job_figures *figures, const struct job_cause *cause, char *text,
                      size_t size)
{
    if (figures->nodes > 1)
        snprintf(text, size, "rank %llu on %s", (unsigned long long)cause->rank, cause->node);
    else
        snprintf(text, size, "rank %llu", (unsigned long long)cause->rank);
}

static bool is_wide(const struct job_figures *figures)
{
    return figures->lost_s.upper - figures->lost_s.lower > WIDE * figures->lost_s.mean;
}

/* "9.7 s (46 %)"; where its bounds are far apart "at most 19.4 s (91 %)", "12 to 19.4 s (56 to 91 %)". */
static void lost_text(const struct job_figures *figures, char *text, size_t size)
{
    const struct range *lost_s = &figures->lost_s, *share = &figures->lost_share;
    char lower[32], upper[32];
    summary_duration_text(is_wide(figures) ? lost_s->upper : lost_s->mean, upper, sizeof upper);
    summary_duration_text(lost_s->lower, lower, sizeof lower);
    if (!is_wide(figures))
        snprintf(text, size, "%s (%.0f %%)", upper, 100 * share->mean);
    else if (!job_costs(figures, lost_s->lower))
        snprintf(text, size, "at most %s (%.0f %%)", upper, 100 * share->upper);
    else
        snprintf(text, size, "%s to %s (%.0f to %.0f %%)", lower, upper, 100 * share->lower,
                 100 * share->upper);
}

/* What a rank cost of it: a time, or a share where the time is not known. */
static void part_text(const struct job_figures *figures, const struct job_cause *cause, char *text,
                      size_t size)
{
    if (is_wide(figures))
        snprintf(text, size, "%.0f %%", 100 * cause->lost_s / figures->lost_s.mean);
    else
        summary_duration_text(cause->lost_s, text, size);
}

static void input_text(const struct job_figures *figures, const struct job_cause *cause, char *text,
                       size_t size)
{
    char rank[96], lost[128], part[32];
    name_rank(figures, cause, rank, sizeof rank);
    lost_text(figures, lost, sizeof lost);
    part_text(figures, cause, part, sizeof part);
    char because[sizeof cause->why + 2];
    snprintf(because, sizeof because, "%s%s", cause->why[0] != '\0' ? "; " : "", cause->why);
    if (figures->mean_stall_s >= ALIKE * figures->lost_s.mean)
        snprintf(text, size, "all ranks waited alike: the job lost %s to input", lost);
    else if (figures->in_turns)
        snprintf(
            text, size,
            "the ranks made each other wait in turns: the job lost %s to input, most of one to "
            "%s (%s)",
            lost, rank, part);
    else
        snprintf(text, size, "%s made the others wait: %s%s%s%s%s", rank, part,
                 is_wide(figures) ? " of what the job lost, " : " of the ", lost,
                 is_wide(figures) ? "" : " that the job lost", because);
}

static void late_text(const struct job_figures *figures, const struct job_cause *cause, char *text,
                      size_t size)
{
    char rank[96], lost[32];
    name_rank(figures, cause, rank, sizeof rank);
    summary_duration_text(cause->lost_s, lost, sizeof lost);
    snprintf(text, size,
             "%s came late for another reason than input, which cost the job %s (%.0f %%): %s",
             rank, lost, 100 * cause->lost_s / figures->active_s, cause->why);
}

bool job_is_lost(const struct job_figures *figures)
{
    return job_costs(figures, figures->lost_s.mean);
}

void job_text(const struct job_figures *figures, char *text, size_t size)
{
    const struct job_cause *input = dearest(figures, JOB_INPUT);
    const struct job_cause *late = dearest(figures, JOB_NOT_INPUT);
    text[0] = '\0';
    if (input != NULL && job_is_lost(figures))
        input_text(figures, input, text, size);
    const size_t used = strlen(text);
    if (late == NULL || !job_costs(figures, late->lost_s) || used + 3 >= size)
        return;
    snprintf(text + used, size - used, "%s", used > 0 ? "; " : "");
    late_text(figures, late, text + strlen(text), size - strlen(text));
}
