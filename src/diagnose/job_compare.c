/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/job_compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const sides[2] = {"first", "second"};

/* "": they can be compared. */
static void say_why_not(const struct job_side *const jobs[2], struct comparison *c)
{
    for (int i = 0; i < 2; i++) {
        if (jobs[i]->rates->count < RATIO_LEAST_VALUES && c->reason[0] == '\0')
            snprintf(c->reason, sizeof c->reason,
                     "the %s job is too short: batches came in %u whole spans of %llu s, and %u "
                     "are needed",
                     sides[i], jobs[i]->rates->count, (unsigned long long)jobs[i]->rates->width_s,
                     RATIO_LEAST_VALUES);
    }
    if (c->reason[0] == '\0' && !c->by_samples && jobs[0]->batch_size != jobs[1]->batch_size)
        snprintf(c->reason, sizeof c->reason,
                 "the samples of a batch are not known, and the batch sizes differ");
}

static void compare_throughput(const struct job_side *const jobs[2], struct comparison *c)
{
    struct ratio_mean means[2];
    for (int i = 0; i < 2; i++) {
        const struct rates *rates = jobs[i]->rates;
        if (!ratio_mean_of(c->by_samples ? rates->samples_per_s : rates->batches_per_s,
                           rates->count, &means[i])) {
            snprintf(c->reason, sizeof c->reason, "the %s job delivered nothing", sides[i]);
            return;
        }
        c->throughput[i] = means[i].mean;
    }
    c->throughput_ratio = ratio_of(&means[1], &means[0], COMPARE_BETWEEN_RUNS);
    c->result = c->throughput_ratio.lower > 1   ? COMPARE_FASTER
                : c->throughput_ratio.upper < 1 ? COMPARE_SLOWER
                                                : COMPARE_SAME;
}

void compare_jobs(const struct job_side *first, const struct job_side *second, struct comparison *c)
{
    const struct job_side *const jobs[2] = {first, second};
    memset(c, 0, sizeof *c);
    c->result = COMPARE_IMPOSSIBLE;
    c->throughput_ratio = (struct ratio){NAN, NAN, NAN};
    for (int i = 0; i < 2; i++) {
        c->throughput[i] = c->startup_s[i] = NAN;
        c->window_s[i] = jobs[i]->window_s;
        c->stall_share[i] = jobs[i]->figures->lost_share.mean;
    }
    c->window_ratio = c->window_s[1] / c->window_s[0];
    c->by_samples = first->rates->samples_known && second->rates->samples_known;
    say_why_not(jobs, c);
    if (c->reason[0] == '\0')
        compare_throughput(jobs, c);
}
