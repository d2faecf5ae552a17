/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/throughput.h"

#include <math.h>
#include <stdio.h>

struct throughput throughput_of(const struct summary *summary)
{
    struct throughput sum = {0, 0};
    bool any = false, samples_known = true;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        const datastall_statistics *figures = &loader->figures;
        const uint64_t active_ns = summary->processes[loader->process].active_ns;
        if (!loader->in_verdict || figures->batches == 0 || active_ns == 0 ||
            active_ns == DATASTALL_UNKNOWN)
            continue;
        any = true;
        sum.batches_per_s += (double)figures->batches / ((double)active_ns * 1e-9);
        samples_known &= figures->samples_batches == figures->batches;
        if (figures->samples != DATASTALL_UNKNOWN)
            sum.samples_per_s += (double)figures->samples / ((double)active_ns * 1e-9);
    }
    if (!any)
        sum.batches_per_s = NAN;
    if (!any || !samples_known) /* some of them are no sum of all */
        sum.samples_per_s = NAN;
    return sum;
}

void throughput_text(const struct throughput *throughput, char *text, size_t size)
{
    const bool samples = !isnan(throughput->samples_per_s);
    const double value = samples ? throughput->samples_per_s : throughput->batches_per_s;
    text[0] = '\0';
    if (isnan(value))
        return;
    /* As output_rate_text() rounds. */
    const double shown = value < 1000 ? value : value < 1e6 ? value * 1e-3 : value * 1e-6;
    const char *unit = value < 1000 ? "" : value < 1e6 ? " k" : " M";
    snprintf(text, size, "%.*f%s %s/s",
             value < 10     ? 2
             : value < 1000 ? 0
                            : 1,
             shown, unit, samples ? "samples" : "batches");
}
