/* Whether a run and its processes go on, and since when.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "diagnose/parts.h"

#define UNSEEN_FOR_NS (60 * DS_NS_PER_S) /* silent so long, a process may as well be gone */

enum summary_state summary_state_of(const struct run_process *process, uint64_t now_ns)
{
    if (process->view.words[RF_PROCESS_STATE] == RF_STATE_CLOSED)
        return SUMMARY_ENDED;
    if (process->liveness != RF_UNSEEN)
        return process->liveness == RF_ALIVE ? SUMMARY_RUNNING : SUMMARY_DIED;
    return now_ns >= process->recorded_ns && now_ns - process->recorded_ns <= UNSEEN_FOR_NS
               ? SUMMARY_RUNNING
               : SUMMARY_UNSEEN;
}

uint64_t summary_end_of(const struct summary *summary, const struct summary_process *process,
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

static enum summary_launcher launcher_of(const struct run_data *data, uint64_t now_ns)
{
    if (data->has_launcher)
        return SUMMARY_LAUNCHER_RUNNING +
               (enum summary_launcher)summary_state_of(&data->launcher, now_ns);
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
        return summary_state_of(first, now_ns);
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

void summary_describe_run(struct summary *summary, uint64_t now_ns)
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
