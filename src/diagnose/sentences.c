/* SPDX-License-Identifier: Apache-2.0 */
/* The summary in words. The wording follows the method: what was measured, and no more. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diagnose/job.h"
#include "diagnose/summary.h"

const char *summary_severity_name(enum summary_severity severity)
{
    static const char *const names[] = {"unknown", "none", "slight", "moderate", "severe"};
    return names[severity];
}

const char *summary_method_name(enum summary_method method)
{
    static const char *const names[] = {"unknown", "host-exact", "gpu-events", "host-bound"};
    return names[method];
}

const char *summary_state_name(enum summary_state state)
{
    static const char *const names[SUMMARY_STATES] = {"running", "ended", "died", "unknown"};
    return names[state];
}

const char *summary_launcher_name(enum summary_launcher launcher)
{
    static const char *const names[] = {NULL, "running", "ended", "died", "unknown", "missing"};
    return names[launcher];
}

static const char *fate_of_processes(const struct summary *summary)
{
    uint32_t died = 0;
    for (uint32_t i = 0; i < summary->process_count; i++)
        died += summary->processes[i].state == SUMMARY_DIED;
    if (summary->state == SUMMARY_RUNNING)
        return summary->process_count == 0
                   ? "the command is still running, and has recorded nothing yet"
                   : "the command is still running and is recorded to its end";
    if (summary->state == SUMMARY_UNSEEN)
        return "whether the command is still running cannot be seen from here (another PID "
               "namespace)";
    if (summary->process_count == 0)
        return "no process of the command recorded anything";
    if (died == 0)
        return "the command's processes ended by themselves, and all that they recorded is here";
    return died == summary->process_count
               ? "the command's processes died as well; what they recorded is here"
               : "some of the command's processes died as well; what all recorded is here";
}

void summary_launcher_text(const struct summary *summary, char *text, size_t size)
{
    const char *gone = "the launcher (datastall run) died";
    text[0] = '\0';
    if (summary->launcher == SUMMARY_LAUNCHER_MISSING)
        gone = "the launcher's file cannot be read or is gone";
    else if (summary->launcher == SUMMARY_LAUNCHER_UNSEEN && summary->state == SUMMARY_UNSEEN)
        gone = "the launcher (datastall run) cannot be seen from here";
    else if (summary->launcher != SUMMARY_LAUNCHER_DIED)
        return;
    snprintf(text, size, "%s, so the exit code is unknown; %s", gone, fate_of_processes(summary));
}

void summary_duration_text(double seconds, char *text, size_t size)
{
    if (isnan(seconds))
        snprintf(text, size, "unknown");
    else if (seconds < 0.9995)
        snprintf(text, size, "%.0f ms", seconds * 1e3);
    else if (seconds < 59.95)
        snprintf(text, size, "%.1f s", seconds);
    else if (seconds < 3599.5)
        snprintf(text, size, "%.0fm %02.0fs", floor((seconds + 0.5) / 60),
                 fmod(floor(seconds + 0.5), 60));
    else
        snprintf(text, size, "%.0fh %02.0fm", floor((seconds + 30) / 3600),
                 floor(fmod(seconds + 30, 3600) / 60));
}

/* Who waited: the GPU where its clock said so. */
static const char *who(const struct summary *summary, char *text, size_t size)
{
    const struct summary_process *worst = &summary->processes[summary->worst];
    if (summary->process_count <= 1)
        return worst->method == SUMMARY_METHOD_GPU_EVENTS ? "the GPU" : "the program";
    if (summary_rank(worst) != DATASTALL_UNKNOWN)
        snprintf(text, size, "rank %llu of %llu", (unsigned long long)summary_rank(worst),
                 (unsigned long long)summary_world_size(summary, worst));
    else
        snprintf(text, size, "process %llu", (unsigned long long)worst->data->view.fixed.pid);
    return text;
}

/* What each rank waited by itself. */
static void ranks_text(const struct summary *summary, char *text, size_t size)
{
    const struct summary_process *worst = &summary->processes[summary->worst];
    char name[64], share[96] = "", least[48] = "";
    const double window = (double)worst->active_ns;
    /* Less than a point apart the two are one figure for people. */
    if (worst->upper_bound && worst->exposed.lower_ns > 0 &&
        (double)(worst->exposed.upper_ns - worst->exposed.lower_ns) > 0.01 * window)
        snprintf(least, sizeof least, ", at least %.1f %%",
                 (double)worst->exposed.lower_ns * 100 / window);
    const char *bound = worst->upper_bound ? "at most " : "";
    if (summary->process_count > 1)
        snprintf(share, sizeof share, "; the mean over %u processes is %s%.1f %%",
                 summary->process_count, summary->upper_bound ? "at most " : "",
                 summary->stall_share * 100);
    if (summary->severity == SUMMARY_SEVERITY_NONE && worst->is_brief &&
        worst->stall_share >= WHY_LEAST_STALL) {
        char stall[32], life[32];
        summary_duration_text((double)worst->exposed.upper_ns * 1e-9, stall, sizeof stall);
        summary_duration_text((double)worst->life_ns * 1e-9, life, sizeof life);
        snprintf(text, size,
                 "none: %s waited for data for %s%s in the %s since it first loaded any",
                 who(summary, name, sizeof name), bound, stall, life);
        return;
    }
    char others[64] = "";
    if (worst->for_others_share > 0)
        snprintf(others, sizeof others, ", about %.0f %% of it for CPUs that others used",
                 100 * worst->for_others_share / worst->stall_share);
    snprintf(text, size, "%s: %s waited for data %s%.1f %% of the time%s%s%s",
             summary_severity_name(summary->severity), who(summary, name, sizeof name), bound,
             worst->stall_share * 100, others, least, share);
}

void summary_verdict_text(const struct summary *summary, char *text, size_t size)
{
    char job[640] = "";
    if (summary->worst == UINT32_MAX) {
        snprintf(text, size, "unknown: no batch was recorded");
        return;
    }
    if (summary->job != NULL)
        job_text(summary->job, job, sizeof job);
    if (job[0] != '\0' && job_is_lost(summary->job)) { /* which is more than any rank says */
        snprintf(text, size, "%s: %s", summary_severity_name(summary->severity), job);
        return;
    }
    ranks_text(summary, text, size);
    if (job[0] != '\0' && strlen(text) < size)
        snprintf(text + strlen(text), size - strlen(text), "; %s", job);
}

/* Who cannot load has nothing to gain from loading faster. */
static bool loading_failed(const struct summary *summary)
{
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        if (summary->loaders[i].in_verdict && summary->loaders[i].why.primary == WHY_FAILED)
            return true;
    }
    return false;
}

void summary_prize_text(const struct summary *summary, char *text, size_t size)
{
    text[0] = '\0';
    if (summary->worst == UINT32_MAX || loading_failed(summary))
        return;
    const struct summary_process *worst = &summary->processes[summary->worst];
    char stall[32], window[32];
    summary_duration_text((double)worst->exposed.upper_ns * 1e-9, stall, sizeof stall);
    summary_duration_text((double)worst->active_ns * 1e-9, window, sizeof window);
    if (summary->severity == SUMMARY_SEVERITY_NONE)
        snprintf(text, size, "a perfect input pipeline would save at most %s of %s", stall, window);
    else if (summary->upper_bound &&
             (!isfinite(summary->speedup_ceiling) || summary->speedup_ceiling > 100))
        snprintf(text, size,
                 "how much of the waiting (%s of %s) the program itself waited for is not known",
                 stall, window);
    else if (!isfinite(summary->speedup_ceiling) || summary->speedup_ceiling > 100)
        snprintf(text, size, "it spent nearly all of its time waiting (%s of %s)", stall, window);
    else if (worst->shares_cpus) /* less loading also leaves the loop more of the CPUs */
        snprintf(
            text, size,
            "without this waiting it would be %.1fx as fast (%s of %s), or more: loop and workers "
            "share the CPUs",
            summary->speedup_ceiling, stall, window);
    else
        snprintf(text, size,
                 "a perfect input pipeline would make it at most %.1fx faster (waiting: %s of %s)",
                 summary->speedup_ceiling, stall, window);
}
