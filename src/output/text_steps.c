/* SPDX-License-Identifier: Apache-2.0 */
#include "output/text_steps.h"

#include <math.h>

#include "diagnose/steps.h"

#define LEAST_SHARE 0.0005 /* of the window, for a phase to be shown */

static void put_phase(const struct summary_phase *phase, uint64_t window_ns, FILE *file)
{
    char idle[96] = "";
    if (phase->count == 0 || !(phase->share >= LEAST_SHARE))
        return;
    if (!isnan(phase->starved_ns))
        snprintf(idle, sizeof idle, ", GPU idle for %.1f %%",
                 phase->starved_ns / (double)window_ns * 100);
    fprintf(file, "%-8s %-12s %5.1f %%  %.2f ms each, %llu time%s%s\n", "", phase->name,
            phase->share * 100, (double)phase->host_ns * 1e-6 / (double)phase->count,
            (unsigned long long)phase->count, phase->count == 1 ? "" : "s", idle);
}

static void put_blocking(const struct summary_steps *steps, FILE *file)
{
    for (uint32_t i = 0; i < steps->blocking_count; i++) {
        const struct summary_line *line = &steps->blocking[i];
        fprintf(file, "%-8s %.1f %% in %s%s at %s, waiting for the GPU (seen %llu time%s)\n", "",
                line->ns / (double)steps->window_ns * 100,
                line->what[0] == '\0' ? "a call" : line->what, line->what[0] == '\0' ? "" : "()",
                line->where, (unsigned long long)line->seen, line->seen == 1 ? "" : "s");
    }
}

#define LEAST_WORKING 0.01 /* of the window */

static void put_working(const struct summary_steps *steps, FILE *file)
{
    for (uint32_t i = 0; i < steps->working_count; i++) {
        const struct summary_line *line = &steps->working[i];
        if (line->ns >= LEAST_WORKING * (double)steps->window_ns)
            fprintf(file,
                    "%-8s %.1f %% at %s, the program's own code outside of the model (seen %llu "
                    "time%s), GPU idle for %.1f %%\n",
                    "", line->ns / (double)steps->window_ns * 100, line->where,
                    (unsigned long long)line->seen, line->seen == 1 ? "" : "s",
                    line->starved_ns / (double)steps->window_ns * 100);
    }
}

void output_steps_text(const struct summary *s, FILE *file)
{
    uint32_t process = 0;
    char text[512];
    const struct summary_steps *steps = summary_steps_of_run(s, &process);
    if (steps == NULL)
        return;
    fprintf(file, "%-8s %llu, counted by %s; shares of their time by the %s\n", "STEPS",
            (unsigned long long)steps->count, steps->counted_by,
            steps->method == SUMMARY_STEPS_HOST ? "host's clock"
                                                : "host's clock and the GPU's queue");
    if (summary_steps_says(steps) != NULL)
        fprintf(file, "%-8s %s\n", "", summary_steps_says(steps));
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++)
        put_phase(&steps->phases[i], steps->window_ns, file);
    if (steps->replays > 0)
        fprintf(file, "%-8s %llu replays of CUDA graphs, inside of which no phase shows\n", "",
                (unsigned long long)steps->replays);
    put_blocking(steps, file);
    put_working(steps, file);
    if (steps->allocated_peak_bytes != DATASTALL_UNKNOWN)
        fprintf(file, "%-8s memory: tensors held at most %.2f GiB, the allocator %.2f GiB\n", "",
                (double)steps->allocated_peak_bytes / 1073741824.0,
                (double)steps->reserved_peak_bytes / 1073741824.0);
    for (uint32_t i = 0; summary_steps_advice(steps, i, text, sizeof text); i++)
        fprintf(file, "%-8s %s\n", "TRY", text);
    summary_memory_text(steps, text, sizeof text);
    if (text[0] != '\0')
        fprintf(file, "%-8s %s\n", "NOTE", text);
}
