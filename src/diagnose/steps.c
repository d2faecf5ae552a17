/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/parts.h"

/* Less of a phase's questions than this says nothing of it. */
#define LEAST_ASKED 8u
/* The least allocated must have grown by so much, and by such a share of it, to be called creeping. */
#define LEAST_CREEP_BYTES (UINT64_C(32) << 20)
#define LEAST_CREEP_SHARE 0.02
#define LEAST_LOWS 6u

const char *summary_steps_method_name(enum summary_steps_method method)
{
    static const char *const names[] = {"host", "queue", "queue-bound"};
    return names[method];
}

/* ---- phases ---- */

#define NAME(name, key, what) key,
static const char *const phase_names[] = {STEP_PHASES(NAME)};
#undef NAME

/* Estimated from questions at random moments: of n the share p was empty. */
static void reckon_starved(const uint64_t *totals, enum step_phase i, struct summary_phase *phase)
{
    const double asked = (double)totals[RF_STEP_TOTAL_ASKED + i];
    const double empty = (double)totals[RF_STEP_TOTAL_EMPTY + i];
    if (asked < LEAST_ASKED || empty > asked)
        return;
    const double share = empty / asked;
    phase->starved_ns = share * (double)phase->host_ns;
    phase->gpu_ns = (double)phase->host_ns - phase->starved_ns;
    /* With one answer more of either kind: none of a kind does not say never. */
    const double likely = (empty + 1) / (asked + 2);
    phase->starved_error_ns = sqrt(likely * (1 - likely) / asked) * (double)phase->host_ns;
}

static void reckon_phases(const uint64_t *totals, struct summary_steps *steps)
{
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++)
        steps->window_ns = ds_add(steps->window_ns, totals[RF_STEP_TOTAL_HOST_NS + i]);
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        struct summary_phase *phase = &steps->phases[i];
        *phase = (struct summary_phase){
            .name = phase_names[i],
            .count = totals[RF_STEP_TOTAL_TIMES + i],
            .host_ns = totals[RF_STEP_TOTAL_HOST_NS + i],
            .longest_ns = totals[RF_STEP_TOTAL_LONGEST_NS + i],
            .share = ds_mean_or_nan(totals[RF_STEP_TOTAL_HOST_NS + i], steps->window_ns, 1.0),
            .asked = totals[RF_STEP_TOTAL_ASKED + i],
            .empty = totals[RF_STEP_TOTAL_EMPTY + i],
            .looks = totals[RF_STEP_TOTAL_LOOKS + i],
            .starved_ns = NAN,
            .starved_error_ns = NAN,
            .gpu_ns = NAN,
            .blocked_ns = NAN};
        if (steps->method != SUMMARY_STEPS_HOST)
            reckon_starved(totals, (enum step_phase)i, phase);
        if (totals[RF_STEP_TOTAL_LOOKS + i] > 0)
            phase->blocked_ns = 0;
    }
}

/* ---- lines that wait, and lines that work ---- */

static bool is_copy(const char *what)
{
    static const char *const copies[] = {"to", "cuda", "cpu", "copy_", "numpy", "tolist"};
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
        if (strcmp(what, copies[i]) == 0)
            return true;
    }
    return false;
}

/* The line in a list with room for `most`; NULL: it is full. */
static struct summary_line *line_of(struct summary_line *lines, uint32_t *count, uint32_t most,
                                    const struct rf_step_line *line)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (lines[i].phase == line->phase && strcmp(lines[i].what, line->what) == 0 &&
            strcmp(lines[i].where, line->where) == 0)
            return &lines[i];
    }
    if (*count == most)
        return NULL;
    lines[*count] = (struct summary_line){.what = line->what,
                                          .where = line->where,
                                          .phase = (enum step_phase)line->phase,
                                          .copies = is_copy(line->what)};
    return &lines[(*count)++];
}

/* A look stands for its share of the phase's time on that thread. */
static void add_lines(const struct run_steps *thread, struct summary_steps *steps)
{
    for (uint32_t i = 0; i < thread->line_count; i++) {
        const struct rf_step_line *line = &thread->lines[i];
        const uint64_t looks = thread->totals[RF_STEP_TOTAL_LOOKS + line->phase];
        const double host_ns = (double)thread->totals[RF_STEP_TOTAL_HOST_NS + line->phase];
        const double seen = fmin((double)line->seen, (double)looks);
        if (looks == 0)
            continue;
        const double ns = seen / (double)looks * host_ns;
        const double starved_ns = fmin((double)line->empty, seen) / (double)looks * host_ns;
        const bool works = line->kind == RF_STEP_LINE_WORKS;
        struct summary_phase *phase = &steps->phases[line->phase];
        if (!works)
            phase->blocked_ns = fmin(phase->blocked_ns + ns, host_ns);
        struct summary_line *told =
            works ? line_of(steps->working, &steps->working_count, SUMMARY_WORKING, line)
                  : line_of(steps->blocking, &steps->blocking_count, SUMMARY_BLOCKING, line);
        if (told == NULL)
            continue;
        told->seen = ds_add(told->seen, line->seen);
        told->ns += ns;
        told->starved_ns += starved_ns;
    }
}

static int longer_line(const void *a, const void *b)
{
    const struct summary_line *one = a, *other = b;
    return one->ns < other->ns ? 1 : one->ns > other->ns ? -1 : 0;
}

static void reckon_lines(const struct run_process *process, struct summary_steps *steps)
{
    for (uint32_t i = 0; i < process->steps_count; i++)
        add_lines(&process->steps[i], steps);
    qsort(steps->blocking, steps->blocking_count, sizeof *steps->blocking, longer_line);
    qsort(steps->working, steps->working_count, sizeof *steps->working, longer_line);
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        if (!isnan(steps->phases[i].blocked_ns) && isnan(steps->copies_ns))
            steps->copies_ns = 0;
    }
    for (uint32_t i = 0; i < steps->blocking_count; i++)
        steps->copies_ns += steps->blocking[i].copies ? steps->blocking[i].ns : 0;
}

/* Of the batches of torch's loaders, where the process uses a GPU that they may be copied to. */
static double pinned_share(const struct summary *summary, uint32_t process)
{
    uint64_t batches = 0, pinned = 0;
    const uint64_t *words = summary->processes[process].data->view.words;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        const struct rf_loader_entry *entry = &loader->data->entry;
        const uint64_t count = loader->data->totals.counters[RF_COUNT_BATCHES];
        if (loader->process != process || entry->source != DATASTALL_SOURCE_TORCH)
            continue;
        batches = ds_add(batches, count);
        pinned = ds_add(pinned, entry->flags & DATASTALL_LOADER_PIN_MEMORY ? count : 0);
    }
    return words[RF_PROCESS_ACCELERATOR] == RF_ACCELERATOR_USED ? ds_mean_or_nan(pinned, batches, 1)
                                                                : NAN;
}

/* ---- idle time ---- */

static void add_idle(struct summary_steps *steps, const char *what, const char *where, double ns)
{
    if (ns <= 0 || steps->idle_count == SUMMARY_IDLE)
        return;
    steps->idle[steps->idle_count++] = (struct summary_idle){
        .what = what, .where = where, .ns = ns, .share = ns / (double)steps->window_ns};
}

static int longer_idle(const void *a, const void *b)
{
    const struct summary_idle *one = a, *other = b;
    return one->ns < other->ns ? 1 : one->ns > other->ns ? -1 : 0;
}

/* Of `rest`, what the phase starved for: these lines' parts. Returns what is left. `what`: of each; NULL:
 * the line's own. */
static double split_lines(struct summary_steps *steps, enum step_phase p, const char *what,
                          const struct summary_line *lines, uint32_t count, double rest,
                          double scale)
{
    for (uint32_t i = 0; i < count; i++) {
        const double ns = lines[i].phase == p ? fmin(lines[i].starved_ns, rest) : 0;
        add_idle(steps, what == NULL ? lines[i].what : what, lines[i].where, ns * scale);
        rest -= ns;
    }
    return rest;
}

/* What a phase starved for, line by line where the program stood in one that waits or worked by itself,
 * and the rest. */
static void split_phase(struct summary_steps *steps, enum step_phase p, double scale)
{
    double rest = steps->phases[p].starved_ns;
    rest = split_lines(steps, p, NULL, steps->blocking, steps->blocking_count, rest, scale);
    rest = split_lines(steps, p, "work", steps->working, steps->working_count, rest, scale);
    add_idle(steps, steps->phases[p].name, NULL, rest * scale);
}

static uint64_t received_bytes(const struct summary *summary, const struct summary_process *process)
{
    const struct summary_gpu *gpu = summary_own_gpu(summary, process);
    if (gpu == NULL || isnan(gpu->gpm.pcie_rx_bytes_per_s))
        return DATASTALL_UNKNOWN;
    return gpu->data->words[RF_GPU_GPM + 2 * RF_GPM_PCIE_RX + 1];
}

/* The share of the window in which the GPU was idle beside the input, by its own counters; NaN. */
static double measured_idle(const struct summary *summary, const struct summary_process *process)
{
    const struct summary_gpu *gpu = summary_gpu_of(summary, process);
    return gpu == NULL || gpu->processes > 1 ? NAN : gpu->other_idle_share;
}

static void reckon_idle(const struct summary *summary, const struct summary_process *process,
                        struct summary_steps *steps)
{
    const double measured = measured_idle(summary, process);
    const double window_ns = (double)steps->window_ns;
    double sum = 0;
    bool known = false;
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        const double ns = steps->phases[i].starved_ns;
        known |= i != STEP_INPUT && !isnan(ns);
        sum += i != STEP_INPUT && !isnan(ns) ? ns : 0;
    }
    if (!known || window_ns <= 0)
        return;
    /* The queue is a moment longer empty or full than the GPU idles: what that counted is right. */
    steps->idle_is_measured = !isnan(measured) && measured >= 0;
    const double all = steps->idle_is_measured ? measured * window_ns : sum;
    const double scale = sum > all ? all / sum : 1;
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        if (i != STEP_INPUT && !isnan(steps->phases[i].starved_ns))
            split_phase(steps, (enum step_phase)i, scale);
    }
    add_idle(steps, "unknown", NULL, all - sum * scale);
    if (process->method == SUMMARY_METHOD_GPU_EVENTS)
        add_idle(steps, "input", NULL, (double)process->exposed.upper_ns);
    qsort(steps->idle, steps->idle_count, sizeof *steps->idle, longer_idle);
    steps->idle_share = all / window_ns;
}

/* ---- memory ---- */

/* The least allocated in each of some spans, the oldest first: it creeps when each of the later half is
 * above the one before, or equal, and they grew by something. */
static uint64_t creep_of(const uint64_t *head)
{
    const uint64_t *lows = &head[RF_STEPS_LOWS_AT];
    const uint64_t count = head[RF_STEPS_LOW_COUNT];
    if (count < LEAST_LOWS)
        return 0;
    const uint64_t first = lows[count / 2], last = lows[count - 1];
    for (uint64_t i = count / 2 + 1; i < count; i++) {
        if (lows[i] < lows[i - 1])
            return 0;
    }
    const uint64_t grown = ds_subtract(last, first);
    return grown >= LEAST_CREEP_BYTES && (double)grown >= LEAST_CREEP_SHARE * (double)first ? grown
                                                                                            : 0;
}

static void take_most(uint64_t *known, uint64_t value)
{
    if (*known == DATASTALL_UNKNOWN || value > *known)
        *known = value;
}

static void reckon_memory(const uint64_t *head, struct summary_steps *steps)
{
    if (head[RF_STEPS_MEMORY_READS] == 0)
        return;
    take_most(&steps->allocated_peak_bytes, head[RF_STEPS_MEMORY_ALLOCATED_PEAK]);
    take_most(&steps->reserved_peak_bytes, head[RF_STEPS_MEMORY_RESERVED_PEAK]);
    take_most(&steps->allocation_retries, head[RF_STEPS_MEMORY_RETRIES]);
    const uint64_t creep = creep_of(head);
    steps->creep_bytes = creep > steps->creep_bytes ? creep : steps->creep_bytes;
}

/* ---- a process ---- */

static void count_steps(const uint64_t *totals, struct summary_steps *steps)
{
    const struct {
        uint64_t count;
        const char *by;
    } ways[] = {
        {totals[RF_STEP_TOTAL_STATED], "step()"},
        {totals[RF_STEP_TOTAL_STEPS], "batches"},
        {totals[RF_STEP_TOTAL_TIMES + STEP_OPTIMIZER], "optimizer"},
        {totals[RF_STEP_TOTAL_TIMES + STEP_BACKWARD], "backward"},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways && steps->count == 0; i++) {
        steps->count = ways[i].count;
        steps->counted_by = ways[i].by;
    }
}

static void find_method(const struct run_process *process, struct summary_steps *steps)
{
    for (uint32_t i = 0; i < process->steps_count; i++) {
        const uint64_t clock = process->steps[i].head[RF_STEPS_CLOCK];
        if (clock == RF_STEPS_CLOCK_CAPTURERS)
            steps->has_capturers = true;
        else if (clock > (uint64_t)steps->method)
            steps->method =
                clock == RF_STEPS_CLOCK_BOUND ? SUMMARY_STEPS_BOUND : SUMMARY_STEPS_QUEUE;
    }
}

static void make_steps(const struct summary *summary, const struct summary_process *process,
                       struct summary_steps *steps)
{
    const struct run_process *data = process->data;
    uint64_t totals[RF_STEP_TOTAL_WORDS] = {0};
    *steps = (struct summary_steps){.threads = data->steps_count,
                                    .copies_ns = NAN,
                                    .idle_share = NAN,
                                    .method = SUMMARY_STEPS_HOST,
                                    .allocated_peak_bytes = DATASTALL_UNKNOWN,
                                    .reserved_peak_bytes = DATASTALL_UNKNOWN,
                                    .allocation_retries = DATASTALL_UNKNOWN};
    for (uint32_t i = 0; i < data->steps_count; i++) {
        rf_step_counters_add(totals, data->steps[i].totals);
        reckon_memory(data->steps[i].head, steps);
    }
    find_method(data, steps);
    count_steps(totals, steps);
    steps->replays = totals[RF_STEP_TOTAL_REPLAYS];
    reckon_phases(totals, steps);
    reckon_lines(data, steps);
    reckon_idle(summary, process, steps);
    steps->received_bytes = received_bytes(summary, process);
}

bool summary_make_steps(struct summary *summary)
{
    summary->steps = calloc(summary->process_count + 1, sizeof *summary->steps);
    if (summary->steps == NULL)
        return false;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        make_steps(summary, &summary->processes[i], &summary->steps[i]);
        summary->steps[i].pinned_share = pinned_share(summary, i);
    }
    return true;
}

const struct summary_steps *summary_steps_of_run(const struct summary *summary, uint32_t *process)
{
    const struct summary_steps *longest = NULL;
    if (summary->steps == NULL)
        return NULL;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const struct summary_steps *steps = &summary->steps[i];
        if (steps->count == 0 || (longest != NULL && steps->window_ns <= longest->window_ns))
            continue;
        longest = steps;
        *process = i;
    }
    if (summary->worst != UINT32_MAX && summary->steps[summary->worst].count > 0) {
        longest = &summary->steps[summary->worst];
        *process = summary->worst;
    }
    return longest;
}
