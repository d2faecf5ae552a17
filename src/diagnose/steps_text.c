/* SPDX-License-Identifier: Apache-2.0 */
/* The steps in words: what the GPU idled for beside the input, and what to try against it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "diagnose/steps.h"

#define LEAST_IDLE_SHARE 0.05 /* less is not worth a line */
#define LEAST_PART_SHARE 0.01 /* nor a part of it */
#define LEAST_TRY_SHARE 0.03  /* of the window, for something to be tried */
#define LEAST_COPY_SHARE 0.02
#define MOST_PARTS 4u

static void append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...)
{
    const size_t length = strlen(text);
    va_list values;
    va_start(values, format);
    vsnprintf(text + length, size - length, format, values);
    va_end(values);
}

/* "optimizer", ".item() at train.py:88", "between steps". */
static void part_text(const struct summary_idle *idle, char *text, size_t size)
{
    if (idle->where != NULL && idle->what[0] == '\0')
        snprintf(text, size, "a call at %s", idle->where);
    else if (idle->where != NULL)
        snprintf(text, size, "%s() at %s", idle->what, idle->where);
    else if (strcmp(idle->what, "between") == 0)
        snprintf(text, size, "between steps");
    else if (strcmp(idle->what, "no_backward") == 0)
        snprintf(text, size, "steps without a backward");
    else if (strcmp(idle->what, "checkpoint") == 0)
        snprintf(text, size, "checkpoints");
    else
        snprintf(text, size, "%s", idle->what);
}

void summary_steps_text(const struct summary *summary, char *text, size_t size)
{
    uint32_t process = 0, shown = 0;
    const struct summary_steps *steps = summary_steps_of_run(summary, &process);
    text[0] = '\0';
    if (steps == NULL || !(steps->idle_share >= LEAST_IDLE_SHARE) ||
        summary->processes[process].stall_share > steps->idle_share)
        return;
    append(text, size, "GPU idle %s%.0f %% beside the input:",
           steps->method == SUMMARY_STEPS_BOUND && !steps->idle_is_measured ? "at most " : "",
           steps->idle_share * 100);
    for (uint32_t i = 0; i < steps->idle_count && shown < MOST_PARTS; i++) {
        const struct summary_idle *idle = &steps->idle[i];
        char part[160];
        if (idle->share < LEAST_PART_SHARE || strcmp(idle->what, "input") == 0)
            continue;
        part_text(idle, part, sizeof part);
        append(text, size, "%s %.0f %s%s", shown == 0 ? "" : ",", idle->share * 100,
               strcmp(part, "unknown") == 0 ? "" : "in ", part);
        shown++;
    }
}

/* ---- advice ---- */

struct advice {
    uint32_t place; /* how many come before the one that is asked for */
    char *text;
    size_t size;
    bool given;
};

static bool is_next(struct advice *advice)
{
    if (advice->given || advice->place-- > 0)
        return false;
    advice->given = true;
    advice->text[0] = '\0';
    return true;
}

static double share_of(const struct summary_steps *steps, double ns)
{
    return steps->window_ns == 0 ? NAN : ns / (double)steps->window_ns;
}

static void advise_line(const struct summary_steps *steps, const struct summary_blocking *line,
                        struct advice *advice)
{
    const double share = share_of(steps, line->ns);
    const bool to_gpu = strcmp(line->what, "to") == 0 || strcmp(line->what, "cuda") == 0 ||
                        strcmp(line->what, "copy_") == 0;
    if (!(share >= (to_gpu ? LEAST_COPY_SHARE : LEAST_TRY_SHARE)) || !is_next(advice))
        return;
    if (to_gpu)
        append(advice->text, advice->size,
               "pin_memory=True in the loader and non_blocking=True in %s() at %s: the program "
               "waited there for %.0f %% of the time",
               line->what, line->where, share * 100);
    else
        append(advice->text, advice->size,
               "call %s%s less often, or later, at %s: the program waited there for the GPU for "
               "%.0f %% of the time, and none is queued meanwhile",
               line->what[0] == '\0' ? "what blocks" : line->what,
               line->what[0] == '\0' ? "" : "()", line->where, share * 100);
}

static double starved_share(const struct summary_steps *steps, enum step_phase phase)
{
    return share_of(steps, steps->phases[phase].starved_ns);
}

static void advise_phases(const struct summary_steps *steps, struct advice *advice)
{
    const double launching =
        fmax(0, starved_share(steps, STEP_FORWARD)) + fmax(0, starved_share(steps, STEP_BACKWARD));
    if (starved_share(steps, STEP_OPTIMIZER) >= LEAST_TRY_SHARE && is_next(advice))
        append(advice->text, advice->size,
               "fused=True (or foreach=True) in the optimizer: the GPU had nothing to do for %.0f "
               "%% of the time while it launched its kernels",
               starved_share(steps, STEP_OPTIMIZER) * 100);
    if (launching >= LEAST_TRY_SHARE && is_next(advice))
        append(advice->text, advice->size,
               "torch.compile(model, mode=\"reduce-overhead\") or a larger batch: the GPU had "
               "nothing to do for %.0f %% of the time while forward and backward were launched",
               launching * 100);
    if (starved_share(steps, STEP_CHECKPOINT) >= LEAST_COPY_SHARE && is_next(advice))
        append(advice->text, advice->size,
               "write checkpoints beside the training (torch.distributed.checkpoint.async_save) or "
               "less often: the GPU waited for them for %.0f %% of the time",
               starved_share(steps, STEP_CHECKPOINT) * 100);
    if (starved_share(steps, STEP_BETWEEN) >= LEAST_TRY_SHARE && is_next(advice))
        append(
            advice->text, advice->size,
            "do less between the optimizer and the next batch (logging, metrics), or do it every "
            "few steps: the GPU had nothing to do there for %.0f %% of the time",
            starved_share(steps, STEP_BETWEEN) * 100);
}

bool summary_steps_advice(const struct summary_steps *steps, uint32_t place, char *text,
                          size_t size)
{
    struct advice advice = {.place = place, .text = text, .size = size};
    for (uint32_t i = 0; i < steps->blocking_count; i++)
        advise_line(steps, &steps->blocking[i], &advice);
    advise_phases(steps, &advice);
    return advice.given;
}

void summary_memory_text(const struct summary_steps *steps, char *text, size_t size)
{
    text[0] = '\0';
    if (steps->creep_bytes > 0)
        append(
            text, size,
            "GPU memory creeps: the least that tensors held grew by %.0f MiB over the last half of "
            "the run",
            (double)steps->creep_bytes / 1048576.0);
}

const char *summary_steps_says(const struct summary_steps *steps)
{
    return steps->has_capturers
               ? "the GPU was not asked what it did in each phase: a library in the process may "
                 "capture CUDA graphs by itself, which a question could spoil"
               : NULL;
}
