#include "diagnose/gpus.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/sums.h"
#include "diagnose/shared.h"

#define UNSEEN_FOR_NS (60 * DS_NS_PER_S) /* silent so long, a process may as well be gone */
#define SHORT_NS (5 * DS_NS_PER_S / 2)   /* two sampling intervals and a half */
#define LEAST_COUNTED_WINDOW 0.1         /* of the longest */
#define LEAST_COVERAGE 0.5               /* of the waiting, for the GPU's clock to be the method */

/* ---- processes ---- */

static bool process_has_hooked_loader(const struct run_process *process)
{
    for (uint32_t i = 0; i < process->loader_count; i++) {
        const struct run_loader *loader = &process->loaders[i];
        if (loader->entry.source != DATASTALL_SOURCE_MANUAL && loader->threads > 0)
            return true;
    }
    return false;
}

static enum summary_state state_of(const struct run_process *process, uint64_t now_ns)
{
    if (process->view.words[RF_PROCESS_STATE] == RF_STATE_CLOSED)
        return SUMMARY_ENDED;
    if (process->liveness != RF_UNSEEN)
        return process->liveness == RF_ALIVE ? SUMMARY_RUNNING : SUMMARY_DIED;
    return now_ns >= process->recorded_ns && now_ns - process->recorded_ns <= UNSEEN_FOR_NS
               ? SUMMARY_RUNNING
               : SUMMARY_UNSEEN;
}

static enum summary_method method_of(const struct summary *summary,
                                     const struct summary_process *process)
{
    switch (process->data->view.words[RF_PROCESS_ACCELERATOR]) {
    case RF_ACCELERATOR_NONE:
        return SUMMARY_METHOD_HOST_EXACT;
    case RF_ACCELERATOR_USED:
        return process->stall.known_ns > 0 && (double)process->stall.known_ns >=
                                                  LEAST_COVERAGE * (double)process->stall.waiting_ns
                   ? SUMMARY_METHOD_GPU_EVENTS
                   : SUMMARY_METHOD_HOST_BOUND;
    default: /* nobody looked: a machine without GPUs settles it */
        return summary->data->gpu_count == 0 ? SUMMARY_METHOD_HOST_EXACT
                                             : SUMMARY_METHOD_HOST_BOUND;
    }
}

/* When the process stopped, as well as it is known. */
static uint64_t end_of(const struct summary *summary, const struct summary_process *process,
                       uint64_t now_ns)
{
    const struct run_data *data = summary->data;
    if (process->state == SUMMARY_RUNNING)
        return now_ns;
    if (process->state == SUMMARY_ENDED)
        return process->data->view.words[RF_PROCESS_ENDED_MONO];
    if (data->has_launcher && data->launcher.view.words[RF_PROCESS_STATE] == RF_STATE_CLOSED)
        return data->launcher.view.words[RF_PROCESS_ENDED_MONO];
    return process->end_ns;
}

/* Each a part of the one before. A stage's words need not be of one moment in a file that is
 * written to while it is read (view.h); where they must be, the reader has checked. */
static struct summary_stall stall_of(uint64_t waiting_ns, uint64_t known_ns, uint64_t lower_ns,
                                     uint64_t upper_ns)
{
    struct summary_stall stall = {.waiting_ns = waiting_ns};
    stall.known_ns = ds_least(known_ns, stall.waiting_ns);
    stall.upper_ns = ds_least(upper_ns, stall.known_ns);
    stall.lower_ns = ds_least(lower_ns, stall.upper_ns);
    return stall;
}

void summary_add_stall(struct summary_stall *to, const struct summary_stall *from)
{
    to->waiting_ns = ds_add(to->waiting_ns, from->waiting_ns);
    to->known_ns = ds_add(to->known_ns, from->known_ns);
    to->lower_ns = ds_add(to->lower_ns, from->lower_ns);
    to->upper_ns = ds_add(to->upper_ns, from->upper_ns);
}

uint64_t summary_stall_most(const struct summary_stall *stall)
{
    return ds_add(stall->upper_ns, ds_subtract(stall->waiting_ns, stall->known_ns));
}

static void make_loader(struct summary *summary, uint32_t process_index,
                        const struct run_loader *data, bool in_verdict, uint64_t now_ns)
{
    struct summary_process *process = &summary->processes[process_index];
    struct summary_loader *loader = &summary->loaders[summary->loader_count++];
    loader->data = data;
    loader->process = process_index;
    loader->in_verdict = in_verdict;
    rf_totals_statistics(&data->totals, &loader->figures);
    loader->waiting_ns = rf_totals_waiting_ns(&data->totals);
    const uint64_t *c = data->totals.counters;
    loader->stall = stall_of(loader->waiting_ns, c[RF_COUNT_STALL_KNOWN_NS],
                             c[RF_COUNT_STALL_LOWER_NS], c[RF_COUNT_STALL_UPPER_NS]);
    why_make(process->data, data, &loader->why);
    loader->waiting_share = NAN;
    const uint64_t begin = loader->figures.window_begin_ns, end = loader->figures.window_end_ns;
    if (begin != DATASTALL_UNKNOWN && end > begin)
        loader->waiting_share = fmin(1.0, (double)loader->waiting_ns / (double)(end - begin));
    if (in_verdict && begin != DATASTALL_UNKNOWN) {
        process->waiting_ns = ds_add(process->waiting_ns, loader->waiting_ns);
        summary_add_stall(&process->stall, &loader->stall);
        if (process->begin_ns == DATASTALL_UNKNOWN || begin < process->begin_ns)
            process->begin_ns = begin;
        if (process->end_ns == DATASTALL_UNKNOWN || end > process->end_ns)
            process->end_ns = end;
    }
    uint64_t stopped = end_of(summary, process, now_ns);
    if (data->waiting_since_ns != 0 && stopped != DATASTALL_UNKNOWN &&
        stopped > data->waiting_since_ns)
        loader->unfinished_wait_ns = stopped - data->waiting_since_ns;
}

/* Counts the threads that waited in the verdict's loaders of a process. */
static void count_threads(struct summary *summary, uint32_t index)
{
    struct summary_process *process = &summary->processes[index];
    uint64_t seen[RUN_THREADS];
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        if (loader->process != index || !loader->in_verdict)
            continue;
        process->background |= loader->data->background;
        for (uint32_t t = 0; t < loader->data->threads; t++) {
            uint64_t id = loader->data->thread_ids[t];
            uint32_t k = 0;
            while (k < process->threads && seen[k] != id)
                k++;
            if (k < process->threads || k == RUN_THREADS)
                continue;
            seen[process->threads++] = id;
        }
    }
}

void summary_settle_stall(struct summary_process *process)
{
    const uint64_t window = process->end_ns - process->begin_ns;
    if (process->stall_ns > window)
        process->stall_ns = window;
    if (process->stall_lower_ns > process->stall_ns)
        process->stall_lower_ns = process->stall_ns;
    process->stall_share = (double)process->stall_ns / (double)window;
    process->speedup_ceiling = (double)window / (double)(window - process->stall_ns);
}

static void make_process(struct summary *summary, const struct run_process *data, uint64_t now_ns)
{
    uint32_t index = summary->process_count++;
    struct summary_process *process = &summary->processes[index];
    const bool hooked = process_has_hooked_loader(data);
    *process = (struct summary_process){.data = data,
                                        .state = state_of(data, now_ns),
                                        .begin_ns = DATASTALL_UNKNOWN,
                                        .end_ns = DATASTALL_UNKNOWN,
                                        .stall_share = NAN,
                                        .severe_share = NAN,
                                        .speedup_ceiling = NAN};
    for (uint32_t i = 0; i < data->loader_count; i++) {
        const struct run_loader *loader = &data->loaders[i];
        bool in_verdict = !hooked || loader->entry.source != DATASTALL_SOURCE_MANUAL;
        make_loader(summary, index, loader, in_verdict, now_ns);
    }
    if (process->begin_ns == DATASTALL_UNKNOWN || process->end_ns <= process->begin_ns)
        return;
    const uint64_t window = process->end_ns - process->begin_ns;
    process->method = method_of(summary, process);
    /* Waits of the main thread stop the program and cannot overlap. A background thread's may
     * overlap others, and the program may have worked meanwhile. */
    count_threads(summary, index);
    process->stall_ns = process->waiting_ns;
    process->stall_lower_ns = process->method == SUMMARY_METHOD_HOST_EXACT && !process->background
                                  ? process->waiting_ns
                                  : 0;
    process->upper_bound = process->background || process->method == SUMMARY_METHOD_HOST_BOUND;
    if (process->method == SUMMARY_METHOD_GPU_EVENTS) {
        /* Waiting that no event saw counts as exposed: with it the figure is at most so much. */
        process->stall_ns = summary_stall_most(&process->stall);
        process->stall_lower_ns = process->stall.lower_ns;
        process->upper_bound = (double)(process->stall_ns - process->stall.lower_ns) >
                               SUMMARY_EXACT_WITHIN * (double)window;
    }
    summary_settle_stall(process);
}

/* ---- stages ---- */

/* A sum over the batches that stated something; unknown while none did. */
static void add_if_stated(uint64_t *sum, uint64_t value, uint64_t batches)
{
    if (batches > 0)
        *sum = ds_add(*sum == DATASTALL_UNKNOWN ? 0 : *sum, value);
}

static void make_stages(struct summary *summary, uint32_t process_index, uint64_t now_ns)
{
    const struct summary_process *process = &summary->processes[process_index];
    const struct run_process *data = process->data;
    for (uint32_t s = 1; s < RF_STAGE_CAPACITY; s++) {
        if (data->stage_names[s][0] == '\0')
            continue;
        struct summary_stage *stage = &summary->stages[summary->stage_count++];
        *stage = (struct summary_stage){
            .name = data->stage_names[s],
            .process = process_index,
            .duration_ns = data->view.words[RF_PROCESS_STAGE_NS + s],
            .entries = data->view.words[RF_PROCESS_STAGE_ENTRIES + s],
            .samples = DATASTALL_UNKNOWN,
            .tokens = DATASTALL_UNKNOWN,
            .waiting_share = NAN,
        };
        uint64_t since = data->view.words[RF_PROCESS_STAGE_SINCE];
        uint64_t stopped = end_of(summary, process, now_ns);
        if (data->view.words[RF_PROCESS_STAGE] == s && process->state != SUMMARY_ENDED &&
            stopped != DATASTALL_UNKNOWN && stopped > since)
            stage->duration_ns = ds_add(stage->duration_ns, stopped - since);
        for (uint32_t i = 0; i < summary->loader_count; i++) {
            const struct summary_loader *loader = &summary->loaders[i];
            if (loader->process != process_index || !loader->in_verdict)
                continue;
            const uint64_t *words = loader->data->stages[s];
            stage->batches = ds_add(stage->batches, words[RF_COUNT_BATCHES]);
            add_if_stated(&stage->samples, words[RF_COUNT_SAMPLES],
                          words[RF_COUNT_SAMPLES_BATCHES]);
            add_if_stated(&stage->tokens, words[RF_COUNT_TOKENS], words[RF_COUNT_TOKENS_BATCHES]);
            const struct summary_stall stall =
                stall_of(ds_add(words[RF_COUNT_STEADY_NS], words[RF_COUNT_OTHER_NS]),
                         words[RF_COUNT_STALL_KNOWN_NS], words[RF_COUNT_STALL_LOWER_NS],
                         words[RF_COUNT_STALL_UPPER_NS]);
            stage->waiting_ns = ds_add(stage->waiting_ns, stall.waiting_ns);
            summary_add_stall(&stage->stall, &stall);
        }
        if (stage->duration_ns > 0)
            stage->waiting_share =
                fmin(1.0, (double)stage->waiting_ns / (double)stage->duration_ns);
    }
}

/* ---- the run ---- */

static enum summary_severity severity_of(double share)
{
    if (isnan(share))
        return SUMMARY_SEVERITY_UNKNOWN;
    if (share >= 0.50)
        return SUMMARY_SEVERITY_CRITICAL;
    if (share >= 0.20)
        return SUMMARY_SEVERITY_MILD;
    return share >= 0.05 ? SUMMARY_SEVERITY_MINOR : SUMMARY_SEVERITY_NONE;
}

static void find_window(struct summary *summary)
{
    summary->begin_ns = summary->end_ns = DATASTALL_UNKNOWN;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const struct summary_process *process = &summary->processes[i];
        if (process->begin_ns == DATASTALL_UNKNOWN)
            continue;
        if (summary->begin_ns == DATASTALL_UNKNOWN || process->begin_ns < summary->begin_ns)
            summary->begin_ns = process->begin_ns;
        if (summary->end_ns == DATASTALL_UNKNOWN || process->end_ns > summary->end_ns)
            summary->end_ns = process->end_ns;
    }
}

static void make_verdict(struct summary *summary)
{
    double longest = 0.0, windows = 0.0, stalls = 0.0, severe = 0.0;
    uint32_t measured = 0;
    summary->worst = UINT32_MAX;
    summary->stall_share = summary->speedup_ceiling = NAN;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const struct summary_process *process = &summary->processes[i];
        if (isnan(process->stall_share))
            continue;
        double window = (double)(process->end_ns - process->begin_ns);
        longest = fmax(longest, window);
        windows += window;
        stalls += (double)process->stall_ns;
        measured++;
    }
    if (measured == 0)
        return;
    summary->stall_share = stalls / windows;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        struct summary_process *process = &summary->processes[i];
        if (isnan(process->stall_share))
            continue;
        double window = (double)(process->end_ns - process->begin_ns);
        process->counts = window >= LEAST_COUNTED_WINDOW * longest;
        summary->upper_bound |= process->upper_bound;
        if (process->method > summary->method)
            summary->method = process->method;
        if (process->counts)
            severe = fmax(severe, process->severe_share);
        if (process->counts &&
            (summary->worst == UINT32_MAX ||
             process->stall_share > summary->processes[summary->worst].stall_share))
            summary->worst = i;
    }
    const struct summary_process *worst = &summary->processes[summary->worst];
    summary->severity = severity_of(severe);
    summary->speedup_ceiling = worst->speedup_ceiling;
    summary->ceiling_is_bound = measured > 1 || worst->upper_bound;
}

static enum summary_launcher launcher_of(const struct run_data *data, uint64_t now_ns)
{
    if (data->has_launcher)
        return SUMMARY_LAUNCHER_RUNNING + (enum summary_launcher)state_of(&data->launcher, now_ns);
    for (uint32_t i = 0; i < data->process_count; i++) {
        if (data->processes[i].view.fixed.launched == 1)
            return SUMMARY_LAUNCHER_MISSING;
    }
    return SUMMARY_LAUNCHER_NONE;
}

/* Of a run whose launcher no longer tells: as its command and its processes are. */
static enum summary_state state_of_orphan(const struct summary *summary)
{
    uint32_t in[SUMMARY_STATES] = {0};
    for (uint32_t i = 0; i < summary->process_count; i++)
        in[summary->processes[i].state]++;
    if (in[SUMMARY_RUNNING] > 0 || summary->data->command == RF_ALIVE)
        return SUMMARY_RUNNING;
    if (in[SUMMARY_UNSEEN] > 0 || summary->data->command == RF_UNSEEN)
        return SUMMARY_UNSEEN;
    return in[SUMMARY_DIED] > 0 || in[SUMMARY_ENDED] == 0 ? SUMMARY_DIED : SUMMARY_ENDED;
}

static enum summary_state state_of_run(const struct summary *summary,
                                       const struct run_process *first, uint64_t now_ns)
{
    switch (summary->launcher) {
    case SUMMARY_LAUNCHER_RUNNING:
        return SUMMARY_RUNNING;
    case SUMMARY_LAUNCHER_ENDED:
        return SUMMARY_ENDED;
    case SUMMARY_LAUNCHER_NONE:
        return state_of(first, now_ns);
    default:
        return state_of_orphan(summary);
    }
}

/* When the last of its processes stopped; they all have. */
static uint64_t end_of_orphan(const struct summary *summary)
{
    uint64_t end_ns = summary->end_ns == DATASTALL_UNKNOWN ? 0 : summary->end_ns;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const uint64_t *words = summary->processes[i].data->view.words;
        if (words[RF_PROCESS_STATE] == RF_STATE_CLOSED && words[RF_PROCESS_ENDED_MONO] > end_ns)
            end_ns = words[RF_PROCESS_ENDED_MONO];
    }
    return end_ns;
}

static uint64_t end_of_run(const struct summary *summary, const struct run_process *first,
                           uint64_t now_ns)
{
    if (summary->state == SUMMARY_RUNNING)
        return now_ns;
    return first->view.words[RF_PROCESS_STATE] == RF_STATE_CLOSED &&
                   summary->launcher != SUMMARY_LAUNCHER_MISSING
               ? first->view.words[RF_PROCESS_ENDED_MONO]
               : end_of_orphan(summary);
}

static void describe_run(struct summary *summary, uint64_t now_ns)
{
    const struct run_data *data = summary->data;
    const struct run_process *first = data->has_launcher        ? &data->launcher
                                      : data->process_count > 0 ? &data->processes[0]
                                                                : NULL;
    summary->launcher = launcher_of(data, now_ns);
    summary->exit_status = summary->setup_ns = DATASTALL_UNKNOWN;
    summary->command = summary->name = "";
    if (first == NULL)
        return;
    summary->command = first->view.fixed.command;
    summary->name = first->view.fixed.name;
    uint64_t start_ns = first->header.created_mono_ns;
    summary->started_real_ns = first->header.created_real_ns;
    if (!data->has_launcher && first->view.fixed.process_start_mono_ns != RF_UNKNOWN &&
        first->view.fixed.process_start_mono_ns < start_ns) {
        /* Used as a library: the run began with the process, before the file was made. */
        summary->started_real_ns = ds_subtract(summary->started_real_ns,
                                               start_ns - first->view.fixed.process_start_mono_ns);
        start_ns = first->view.fixed.process_start_mono_ns;
    }
    summary->state = state_of_run(summary, first, now_ns);
    if (first->view.words[RF_PROCESS_EXIT_KNOWN] != 0)
        summary->exit_status = first->view.words[RF_PROCESS_EXIT_STATUS];
    const uint64_t end_ns = end_of_run(summary, first, now_ns);
    summary->duration_ns = end_ns > start_ns ? end_ns - start_ns : 0;
    if (summary->begin_ns != DATASTALL_UNKNOWN)
        summary->setup_ns = summary->begin_ns > start_ns ? summary->begin_ns - start_ns : 0;
}

int summary_make(const struct run_data *data, uint64_t now_ns, struct summary **result)
{
    *result = NULL;
    struct summary *summary = calloc(1, sizeof *summary);
    if (summary == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    summary->data = data;
    uint32_t loaders = 1;
    for (uint32_t i = 0; i < data->process_count; i++)
        loaders += data->processes[i].loader_count;
    summary->loaders = calloc(loaders, sizeof *summary->loaders);
    summary->stages =
        calloc((size_t)data->process_count * RF_STAGE_CAPACITY + 1, sizeof *summary->stages);
    summary->processes = calloc(data->process_count + 1, sizeof *summary->processes);
    summary->gpus = calloc(data->gpu_count + 1, sizeof *summary->gpus);
    struct shared_use *uses = calloc(data->process_count + 1, sizeof *uses);
    if (summary->loaders == NULL || summary->stages == NULL || summary->processes == NULL ||
        summary->gpus == NULL || uses == NULL) {
        summary_free(summary);
        free(uses);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < data->process_count; i++)
        make_process(summary, &data->processes[i], now_ns);
    for (uint32_t i = 0; i < data->process_count; i++)
        make_stages(summary, i, now_ns);
    find_window(summary);
    describe_run(summary, now_ns);
    for (uint32_t i = 0; i < data->gpu_count; i++)
        summary_add_gpu(summary, &data->gpus[i], now_ns, uses);
    free(uses);
    summary_apply_activity(summary);
    make_verdict(summary);
    *result = summary;
    return DATASTALL_OK;
}

void summary_free(struct summary *summary)
{
    if (summary == NULL)
        return;
    free(summary->loaders);
    free(summary->stages);
    free(summary->processes);
    free(summary->gpus);
    free(summary);
}
