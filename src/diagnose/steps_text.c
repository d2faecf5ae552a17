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
    if (idle->where != NULL && strcmp(idle->what, "work") == 0)
        snprintf(text, size, "the program's own code at %s", idle->where);
    else if (idle->where != NULL && idle->what[0] == '\0')
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

#define LEAST_LOOKS 8u   /* fewer may have met the call by chance */
#define LEAST_PINNED 0.5 /* of the batches: then a copy waits for another reason */
#define MOST_ADVICE (SUMMARY_BLOCKING + SUMMARY_WORKING + 4u)
#define LONGEST_ADVICE 512u

/* What could be tried, the most promising first. */
struct advice {
    uint32_t count;
    struct {
        double share; /* of the window: what it is about */
        char text[LONGEST_ADVICE];
    } of[MOST_ADVICE];
};

static void advise(struct advice *advice, double share, double least, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void advise(struct advice *advice, double share, double least, const char *format, ...)
{
    if (!(share >= least) || advice->count == MOST_ADVICE)
        return;
    uint32_t place = advice->count++;
    for (; place > 0 && advice->of[place - 1].share < share; place--)
        advice->of[place] = advice->of[place - 1];
    advice->of[place].share = share;
    va_list values;
    va_start(values, format);
    vsnprintf(advice->of[place].text, LONGEST_ADVICE, format, values);
    va_end(values);
}

static double share_of(const struct summary_steps *steps, double ns)
{
    return steps->window_ns == 0 ? NAN : ns / (double)steps->window_ns;
}

/* Where the GPU is busy all the time, a call that waits for it costs nothing: without it the program
 * waits elsewhere. */
static double worth_of(const struct summary_steps *steps, double share)
{
    return fmin(share, steps->idle_count > 0 ? steps->idle_share : NAN);
}

static void advise_line(const struct summary_steps *steps, const struct summary_line *line,
                        struct advice *advice)
{
    const double share = share_of(steps, line->ns), worth = worth_of(steps, share);
    const bool to_gpu = strcmp(line->what, "to") == 0 || strcmp(line->what, "cuda") == 0 ||
                        strcmp(line->what, "copy_") == 0;
    if (line->seen < LEAST_LOOKS)
        return;
    if (to_gpu && steps->pinned_share >= LEAST_PINNED)
        advise(advice, worth, LEAST_TRY_SHARE,
               "non_blocking=True in %s() at %s: the program waited there for %.0f %% of the time, "
               "and the loader's memory is pinned; worth at most %.0f %%",
               line->what, line->where, share * 100, worth * 100);
    else if (to_gpu)
        advise(advice, worth, LEAST_COPY_SHARE,
               "pin_memory=True in the loader and non_blocking=True in %s() at %s: the program "
               "waited there for %.0f %% of the time; worth at most %.0f %%",
               line->what, line->where, share * 100, worth * 100);
    else
        advise(advice, worth, LEAST_TRY_SHARE,
               "call %s%s less often, or later, at %s: the program waited there for the GPU for "
               "%.0f %% of the time, and queued nothing meanwhile; worth at most %.0f %%",
               line->what[0] == '\0' ? "what blocks" : line->what,
               line->what[0] == '\0' ? "" : "()", line->where, share * 100, worth * 100);
}

/* By itself, and so not for launches: nothing that is done to the model makes it shorter. */
static void advise_work(const struct summary_steps *steps, const struct summary_line *line,
                        struct advice *advice)
{
    const double share = share_of(steps, line->starved_ns);
    if (line->seen < LEAST_LOOKS)
        return;
    const bool between = line->phase == STEP_BETWEEN;
    advise(
        advice, share, LEAST_TRY_SHARE,
        "do less at %s%s: the program's own code there, outside of the model, left the GPU without "
        "work for %.0f %% of the time%s",
        line->where, between ? ", or every few steps" : "", share * 100,
        between ? ""
                : " (what the CPU reckons there, the loader's workers can; tensors on the GPU: "
                  "torch.compile)");
}

/* Of what a phase starved for, the most that such code took, as far as looks tell: with twice their
 * standard error, as what is left over is somebody else's. */
static double worked_ns(const struct summary_steps *steps, enum step_phase p)
{
    const struct summary_phase *phase = &steps->phases[p];
    double ns = 0;
    for (uint32_t i = 0; i < steps->working_count; i++)
        ns += steps->working[i].phase == p ? steps->working[i].starved_ns : 0;
    if (ns <= 0 || phase->looks == 0 || phase->host_ns == 0)
        return ns;
    const double looks = (double)phase->looks;
    const double likely = (fmin(1, ns / (double)phase->host_ns) * looks + 1) / (looks + 2);
    return ns + 2 * sqrt(likely * (1 - likely) / looks) * (double)phase->host_ns;
}

static double starved_share(const struct summary_steps *steps, enum step_phase phase)
{
    return share_of(steps, steps->phases[phase].starved_ns - worked_ns(steps, phase));
}

static void advise_phases(const struct summary_steps *steps, struct advice *advice)
{
    const double optimizer = starved_share(steps, STEP_OPTIMIZER),
                 checkpoint = starved_share(steps, STEP_CHECKPOINT),
                 between = starved_share(steps, STEP_BETWEEN),
                 launching = fmax(0, starved_share(steps, STEP_FORWARD)) +
                             fmax(0, starved_share(steps, STEP_BACKWARD));
    advise(
        advice, optimizer, LEAST_TRY_SHARE,
        "fused=True (or foreach=True) in the optimizer: the GPU had nothing to do for %.0f %% of "
        "the time while it launched its kernels",
        optimizer * 100);
    advise(advice, launching, LEAST_TRY_SHARE,
           "torch.compile(model, mode=\"reduce-overhead\") or a larger batch: the GPU had nothing "
           "to do for %.0f %% of the time while forward and backward were launched",
           launching * 100);
    advise(
        advice, checkpoint, LEAST_COPY_SHARE,
        "write checkpoints less often, or large ones (of a gigabyte and more) beside the training "
        "(torch.distributed.checkpoint.async_save): the GPU waited for them for %.0f %% of the "
        "time",
        checkpoint * 100);
    advise(advice, between, LEAST_TRY_SHARE,
           "do less between the optimizer and the next batch (logging, metrics), or do it every "
           "few steps: the GPU had nothing to do there for %.0f %% of the time",
           between * 100);
}

bool summary_steps_advice(const struct summary_steps *steps, uint32_t place, char *text,
                          size_t size)
{
    struct advice advice = {.count = 0};
    for (uint32_t i = 0; i < steps->blocking_count; i++)
        advise_line(steps, &steps->blocking[i], &advice);
    for (uint32_t i = 0; i < steps->working_count; i++)
        advise_work(steps, &steps->working[i], &advice);
    advise_phases(steps, &advice);
    if (place >= advice.count)
        return false;
    snprintf(text, size, "%s", advice.of[place].text);
    return true;
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
