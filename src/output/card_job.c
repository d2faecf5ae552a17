/* SPDX-License-Identifier: Apache-2.0 */
#include "output/card_job.h"

#include <math.h>
#include <string.h>

void card_add_job(const struct job_figures *job, struct paragraphs *card)
{
    char lost[32], lower[32], upper[32], machines[32] = "", range[80] = "";
    if (job == NULL)
        return;
    if (job->nodes > 1)
        snprintf(machines, sizeof machines, " on %u machines", job->nodes);
    summary_duration_text(job->lost_s.mean, lost, sizeof lost);
    summary_duration_text(job->lost_s.lower, lower, sizeof lower);
    summary_duration_text(job->lost_s.upper, upper, sizeof upper);
    if (strcmp(lower, upper) != 0)
        snprintf(range, sizeof range, " (%s to %s)", lower, upper);
    if (isnan(job->lost_s.mean))
        paragraphs_add(card, CARD_KEEP_DETAILS, TONE_PLAIN, "JOB",
                       "%u ranks%s; what the job lost is not known: %s", job->ranks, machines,
                       job->says);
    else
        paragraphs_add(card, CARD_KEEP_FIGURES, TONE_PLAIN, "JOB",
                       "%u ranks%s, %llu steps: lost %s%s to input, %.0f %% of its time",
                       job->ranks, machines, (unsigned long long)job->steps, lost, range,
                       job->lost_share.mean * 100);
    if (job->note[0] != '\0')
        paragraphs_add(card, CARD_KEEP_DETAILS, TONE_PLAIN, "", "%s", job->note);
    if (job->gpu_text[0] != '\0')
        paragraphs_add(card, CARD_KEEP_DETAILS, TONE_PLAIN, "", "%s", job->gpu_text);
}

enum paragraph_tone card_tone_of(enum summary_severity severity)
{
    static const enum paragraph_tone tones[] = {
        [SUMMARY_SEVERITY_UNKNOWN] = TONE_PLAIN, [SUMMARY_SEVERITY_NONE] = TONE_GOOD,
        [SUMMARY_SEVERITY_SLIGHT] = TONE_GOOD,   [SUMMARY_SEVERITY_MODERATE] = TONE_WARNING,
        [SUMMARY_SEVERITY_SEVERE] = TONE_BAD,
    };
    return tones[severity];
}
