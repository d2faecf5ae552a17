/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/job_compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* "": they can be compared. */
static void say_why_not(const struct job_side *const jobs[2], struct comparison *c)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (compare_is_too_short(c, i, jobs[i]->rates, "job"))
            return;
    }
    if (!c->by_samples && jobs[0]->batch_size != jobs[1]->batch_size)
        snprintf(c->reason, sizeof c->reason,
                 "the samples of a batch are not known, and the batch sizes differ");
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
        compare_rates(c, (const struct rates *const[]){first->rates, second->rates}, "job");
}
