/* Processes with their loaders and stages: windows, waiting, what is under way.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <signal.h>
#include <string.h>

#include "base/sums.h"
#include "diagnose/parts.h"

/* ---- loaders ---- */

static bool process_has_hooked_loader(const struct run_process *process)
{
    for (uint32_t i = 0; i < process->loader_count; i++) {
        const struct run_loader *loader = &process->loaders[i];
        if (loader->entry.source != DATASTALL_SOURCE_MANUAL && loader->threads > 0)
            return true;
    }
    return false;
}

static void widen(struct summary_process *process, uint64_t begin_ns, uint64_t end_ns)
{
    if (process->begin_ns == DATASTALL_UNKNOWN || begin_ns < process->begin_ns)
        process->begin_ns = begin_ns;
    if (process->end_ns == DATASTALL_UNKNOWN || end_ns > process->end_ns)
        process->end_ns = end_ns;
}

static bool command_failed(const struct run_data *data)
{
    const uint64_t *words = data->launcher.view.words;
    return data->has_launcher && words[RF_PROCESS_EXIT_KNOWN] == 1 &&
           words[RF_PROCESS_EXIT_STATUS] != 0;
}

static bool was_interrupted(const struct run_data *data)
{
    const uint64_t *words = data->launcher.view.words;
    return command_failed(data) && words[RF_PROCESS_EXIT_STATUS] == 128 + SIGINT;
}

static bool are_on_one_machine(const struct run_process *one, const struct run_process *other)
{
    return strcmp(one->view.fixed.hostname, other->view.fixed.hostname) == 0;
}

/* Other ranks of a job are no other programs. Ranks of one machine follow each other as a rule. */
static double run_cpus(const struct summary *summary, uint32_t index)
{
    const struct run_data *data = summary->data;
    const struct run_process *process = summary->processes[index].data;
    if (index > 0 && are_on_one_machine(summary->processes[index - 1].data, process))
        return summary->processes[index - 1].run_cpus;
    double cpus = 0;
    for (uint32_t i = 0; i < data->process_count; i++) {
        if (are_on_one_machine(&data->processes[i], process))
            cpus += why_cpus_of(&data->processes[i]);
    }
    return cpus;
}

static void make_loader(struct summary *summary, uint32_t process_index,
                        const struct run_loader *data, bool in_verdict, uint64_t now_ns)
{
    struct summary_process *process = &summary->processes[process_index];
    struct summary_loader *loader = &summary->loaders[summary->loader_count++];
    *loader = (struct summary_loader){.data = data,
                                      .process = process_index,
                                      .in_verdict = in_verdict,
                                      .stall = rf_stall_of(data->totals.counters),
                                      .waiting_share = NAN};
    rf_totals_statistics(&data->totals, &loader->figures);
    const uint64_t begin_ns = loader->figures.window_begin_ns;
    const uint64_t end_ns = loader->figures.window_end_ns;
    if (begin_ns != DATASTALL_UNKNOWN && end_ns > begin_ns)
        loader->waiting_share =
            fmin(1.0, (double)loader->stall.waiting_ns / (double)(end_ns - begin_ns));
    if (in_verdict && begin_ns != DATASTALL_UNKNOWN) {
        stall_add(&process->stall, &loader->stall);
        widen(process, begin_ns, end_ns);
    }
    const uint64_t stopped_ns = summary_end_of(summary, process, now_ns);
    if (data->waiting_since_ns != 0 && stopped_ns != DATASTALL_UNKNOWN)
        loader->unfinished_wait_ns = ds_subtract(stopped_ns, data->waiting_since_ns);
    const struct why_around around = {
        .life_ns = process->life_ns,
        .stopped_ns = stopped_ns,
        .unfinished_ns = loader->unfinished_wait_ns,
        .failed = command_failed(summary->data),
        .interrupted = was_interrupted(summary->data),
        .run_cpus = process->run_cpus,
    };
    why_make(process->data, data, &loader->stall, &around, &loader->why);
}

/* ---- processes ---- */

/* Of the usable CPUs, in use by loop and workers: together they then want more. */

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

static enum summary_method method_of(const struct summary *summary,
                                     const struct summary_process *process)
{
    switch (process->data->view.words[RF_PROCESS_ACCELERATOR]) {
    case RF_ACCELERATOR_NONE:
        return SUMMARY_METHOD_HOST_EXACT;
    case RF_ACCELERATOR_USED:
        return summary_is_told(&process->stall) ? SUMMARY_METHOD_GPU_EVENTS
                                                : SUMMARY_METHOD_HOST_BOUND;
    default: /* nobody looked: a machine without GPUs settles it */
        return summary->data->gpu_count == 0 ? SUMMARY_METHOD_HOST_EXACT
                                             : SUMMARY_METHOD_HOST_BOUND;
    }
}

/* From its first wait, so that what it set up before is not counted. */
static uint64_t life_of(const struct summary *summary, const struct summary_process *process,
                        uint64_t now_ns)
{
    uint64_t began_ns = DATASTALL_UNKNOWN;
    for (uint32_t i = 0; i < process->data->loader_count; i++) {
        const uint64_t *c = process->data->loaders[i].totals.counters;
        if (c[RF_COUNT_SEQUENCE] > 0)
            began_ns = ds_least(began_ns, c[RF_COUNT_BEGIN_NS]);
    }
    const uint64_t ended_ns = summary_end_of(summary, process, now_ns);
    return ended_ns == DATASTALL_UNKNOWN || ended_ns <= began_ns ? DATASTALL_UNKNOWN
                                                                 : ended_ns - began_ns;
}

static bool shares_cpus(const struct summary *summary, uint32_t index)
{
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        if (loader->process == index && why_shares_cpus(loader->data, &loader->why))
            return true;
    }
    return false;
}

static void make_process(struct summary *summary, const struct run_process *data, uint64_t now_ns)
{
    const uint32_t index = summary->process_count++;
    struct summary_process *process = &summary->processes[index];
    const bool hooked = process_has_hooked_loader(data);
    *process = (struct summary_process){.data = data,
                                        .state = summary_state_of(data, now_ns),
                                        .begin_ns = DATASTALL_UNKNOWN,
                                        .end_ns = DATASTALL_UNKNOWN};
    process->life_ns = life_of(summary, process, now_ns);
    process->run_cpus = run_cpus(summary, index);
    for (uint32_t i = 0; i < data->loader_count; i++) {
        const struct run_loader *loader = &data->loaders[i];
        const bool in_verdict = !hooked || loader->entry.source != DATASTALL_SOURCE_MANUAL;
        make_loader(summary, index, loader, in_verdict, now_ns);
    }
    if (!summary_has_window(process))
        return;
    const uint64_t window_ns = process->end_ns - process->begin_ns;
    process->active_ns = why_active_ns(window_ns, data->view.words[RF_PROCESS_PAUSED_NS]);
    process->paused_ns = window_ns - process->active_ns;
    process->shares_cpus = shares_cpus(summary, index);
    process->method = method_of(summary, process);
    count_threads(summary, index);
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
        const uint64_t since = data->view.words[RF_PROCESS_STAGE_SINCE];
        const uint64_t stopped = summary_end_of(summary, process, now_ns);
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
            const struct stall stall = rf_stall_of(words);
            stall_add(&stage->stall, &stall);
        }
        if (stage->duration_ns > 0)
            stage->waiting_share =
                fmin(1.0, (double)stage->stall.waiting_ns / (double)stage->duration_ns);
    }
}

/* ---- all of them ---- */

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

void summary_make_processes(struct summary *summary, uint64_t now_ns)
{
    const struct run_data *data = summary->data;
    for (uint32_t i = 0; i < data->process_count; i++)
        make_process(summary, &data->processes[i], now_ns);
    for (uint32_t i = 0; i < data->process_count; i++)
        make_stages(summary, i, now_ns);
    find_window(summary);
}

uint64_t summary_begin_of_machine(const struct summary *summary,
                                  const struct summary_process *process)
{
    uint64_t begin_ns = process->begin_ns;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const struct summary_process *other = &summary->processes[i];
        if (other->begin_ns < begin_ns && are_on_one_machine(other->data, process->data))
            begin_ns = other->begin_ns;
    }
    return begin_ns;
}

uint64_t summary_length_ns(const struct summary *summary)
{
    uint64_t longest = 0;
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const struct summary_process *process = &summary->processes[i];
        if (process->begin_ns == DATASTALL_UNKNOWN || process->end_ns < process->begin_ns)
            continue;
        const uint64_t length = process->end_ns - summary_begin_of_machine(summary, process);
        longest = length > longest ? length : longest;
    }
    return longest;
}
