/* SPDX-License-Identifier: Apache-2.0 */
/* What a job needs of each rank, taken from a run as it was read. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "diagnose/job_parts.h"
#include "diagnose/steps.h"

#define STEPS_BYTES (UINT64_C(256) << 20) /* of all ranks together */
#define SAME_CLOCK_NS 5000000000 /* two looks at real time less monotonic, unless it was set */
#define LEAST_HELD 0.05

struct job *job_begin(uint32_t expected)
{
    struct job *job = calloc(1, sizeof *job);
    if (job != NULL)
        job->expected = expected;
    return job;
}

void job_free(struct job *job)
{
    if (job == NULL)
        return;
    for (uint32_t i = 0; i < job->count; i++)
        free(job->members[i].steps);
    free(job->members);
    free(job->clock);
    free(job->node);
    free(job);
}

/* Room for one more, made in powers of two; false: no memory. */
static bool make_room(void **table, uint32_t count, size_t bytes)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return true;
    void *more = realloc(*table, (count == 0 ? 1 : (size_t)2 * count) * bytes);
    if (more != NULL)
        *table = more;
    return more != NULL;
}

/* ---- machines ---- */

/* Processes of one boot share a clock, unless one of them has a time namespace of its own. */
bool job_clock_of(struct job *job, const struct rf_header *header, uint32_t *index)
{
    const int64_t real_ns = (int64_t)(header->created_real_ns - header->created_mono_ns);
    for (uint32_t i = 0; i < job->clocks; i++) {
        const struct job_clock *clock = &job->clock[i];
        *index = i;
        if (memcmp(clock->boot_id, header->boot_id, sizeof clock->boot_id) == 0 &&
            llabs((long long)(clock->real_ns - real_ns)) < SAME_CLOCK_NS)
            return true;
    }
    if (!make_room((void **)&job->clock, job->clocks, sizeof *job->clock))
        return false;
    *index = job->clocks++;
    struct job_clock *clock = &job->clock[*index];
    clock->real_ns = real_ns;
    memcpy(clock->boot_id, header->boot_id, sizeof clock->boot_id);
    return true;
}

static bool node_of(struct job *job, const struct rf_process_static *fixed, uint32_t *index)
{
    const char *name = summary_node(fixed);
    for (uint32_t i = job->nodes; i > 0; i--) { /* ranks of a machine come together */
        *index = i - 1;
        if (strncmp(job->node[i - 1], name, JOB_NAME_BYTES - 1) == 0)
            return true;
    }
    if (!make_room((void **)&job->node, job->nodes, sizeof *job->node))
        return false;
    *index = job->nodes++;
    snprintf(job->node[*index], JOB_NAME_BYTES, "%s", name);
    return true;
}

/* ---- steps ---- */

static double ns_of(uint32_t units)
{
    return (double)units * RF_STRETCH_UNIT_NS;
}

static bool is_told(uint32_t units)
{
    return units < RF_STRETCH_UNKNOWN - 1; /* the largest stands for all that are longer */
}

static uint64_t known_ns(uint32_t units)
{
    return is_told(units) ? (uint64_t)ns_of(units) : 0;
}

static void set_stall(const struct rf_stretch_batch *batch, enum summary_method method,
                      uint64_t iter_ns, struct job_step *step)
{
    const uint64_t waited_ns = known_ns(batch->times[RF_BATCH_WAITED]) + iter_ns;
    step->lower_ns = step->upper_ns = waited_ns;
    if (method == SUMMARY_METHOD_HOST_EXACT)
        return;
    step->lower_ns = 0;
    if (method != SUMMARY_METHOD_GPU_EVENTS || !is_told(batch->times[RF_BATCH_EXPOSED_UPPER]))
        return;
    step->lower_ns = known_ns(batch->times[RF_BATCH_EXPOSED_LOWER]);
    step->upper_ns = ds_least(waited_ns, known_ns(batch->times[RF_BATCH_EXPOSED_UPPER]) + iter_ns);
}

/* The batches of a stretch, as far as their times are known from its beginning on. */
static uint32_t take_stretch(const struct rf_stretch_batch *batches,
                             const struct run_stretch *stretch, enum summary_method method,
                             struct job_step *steps)
{
    uint64_t at_ns = 0; /* the coming of the batch before */
    for (uint32_t i = 0; i < stretch->count; i++) {
        const struct rf_stretch_batch *batch = &batches[i];
        const bool first = (batch->flags & RF_BATCH_IS_FIRST) != 0;
        const uint64_t iter_ns = first ? known_ns(batch->times[RF_BATCH_ITER]) : 0;
        const uint32_t gap = batch->times[RF_BATCH_CONSUMED];
        if (!is_told(batch->times[RF_BATCH_WAITED]) ||
            (i > 0 && (!is_told(gap) || batch->batch != batches[i - 1].batch + 1)))
            return i;
        struct job_step *step = &steps[i];
        *step = (struct job_step){.index = batch->batch, .first = first};
        step->begin_ns = i > 0 ? at_ns + (uint64_t)ns_of(gap)
                               : ds_subtract(stretch->words[RF_STRETCH_BEGIN_NS], iter_ns);
        step->end_ns = step->begin_ns + iter_ns + (uint64_t)ns_of(batch->times[RF_BATCH_WAITED]);
        set_stall(batch, method, iter_ns, step);
        at_ns = step->end_ns;
    }
    return stretch->count;
}

/* Of very many ranks each keeps fewer stretches; the same ones, since it is by their numbers. */
static uint64_t thinned(const struct job *job, const struct run_stretches *stretches)
{
    uint64_t every = stretches->head[RF_STRETCH_EVERY] > 0 ? stretches->head[RF_STRETCH_EVERY] : 1;
    const uint64_t most =
        STEPS_BYTES / sizeof(struct job_step) / RF_STRETCH_ROWS / (job->expected + 1);
    uint64_t kept = stretches->count;
    for (; kept > most && kept > 1 && every < UINT64_MAX / 2; kept = (kept + 1) / 2)
        every *= 2;
    return every;
}

static bool take_steps(const struct job *job, const struct run_stretches *stretches,
                       enum summary_method method, struct job_member *member)
{
    uint32_t count = 0;
    const uint64_t every = thinned(job, stretches);
    member->steps = calloc(stretches->batch_count + 1, sizeof *member->steps);
    if (member->steps == NULL)
        return false;
    for (uint32_t s = 0; s < stretches->count; s++) {
        const struct run_stretch *stretch = &stretches->stretches[s];
        if ((stretch->words[RF_STRETCH_NUMBER] - 1) % every == 0)
            count += take_stretch(&stretches->batches[stretch->first], stretch, method,
                                  &member->steps[count]);
    }
    member->count = count;
    struct job_step *fitting = realloc(member->steps, (count + 1) * sizeof *fitting);
    if (fitting != NULL)
        member->steps = fitting;
    return true;
}

/* ---- members ---- */

void job_loader_text(const struct rf_loader_entry *entry, char *text, size_t size)
{
    snprintf(text, size, "%s\n%s\n%s", entry->name, entry->site, entry->dataset_type);
}

static void describe_loader(const struct summary_loader *loader, struct job_member *member)
{
    const struct rf_loader_entry *entry = &loader->data->entry;
    job_loader_text(entry, member->loader, sizeof member->loader);
    if (loader->why.primary != WHY_NONE && loader->why.primary != CAUSE_UNKNOWN)
        snprintf(member->cause, sizeof member->cause, "%s at %s", why_name(loader->why.primary),
                 entry->site[0] != '\0' ? entry->site : entry->name);
    else
        snprintf(member->cause, sizeof member->cause, "%s",
                 entry->site[0] != '\0' ? entry->site : entry->name);
}

/* What the machine did to the rank: for those that are late for another reason than input. */
static void describe_machine(const struct summary *summary, const struct summary_process *process,
                             const struct summary_loader *loader, struct job_member *member)
{
    const struct summary_gpu *gpu = summary_gpu_of(summary, process);
    const struct why_host *host = &loader->why.host;
    char *text = member->machine;
    if (gpu != NULL && fmax(gpu->held_thermal_share, gpu->held_hardware_share) >= LEAST_HELD)
        snprintf(text, sizeof member->machine,
                 "its GPU's clocks were held back by %s for %.0f %% of the time, at %.0f MHz",
                 gpu->held_thermal_share >= LEAST_HELD ? "heat" : "the hardware",
                 fmax(gpu->held_thermal_share, gpu->held_hardware_share) * 100,
                 gpu->sm_clock_mean_mhz);
    else if (host->throttled_s * 1e9 >= LEAST_HELD * (double)process->active_ns)
        snprintf(text, sizeof member->machine, "its cgroup's CPU quota held it back for %.1f s",
                 host->throttled_s);
    member->cpu_pressure = host->cpu_pressure;
    member->gpu_work = job_gpu_of(summary, process);
}

/* By the host's clock, on a GPU too: what its kernels take is not in it, but a rank whose host is slow is. */
static double forward_of(const struct summary *summary, uint32_t process)
{
    const struct summary_steps *steps = &summary->steps[process];
    const struct summary_phase *forward = &steps->phases[STEP_FORWARD];
    if (steps->count == 0 || forward->count == 0)
        return NAN;
    return (double)forward->host_ns / (double)forward->count;
}

static struct stall_bounds total_of(const struct summary_loader *loader, enum summary_method method)
{
    const struct stall *stall = &loader->stall;
    if (method == SUMMARY_METHOD_HOST_EXACT)
        return (struct stall_bounds){stall->waiting_ns, stall->waiting_ns};
    if (method == SUMMARY_METHOD_GPU_EVENTS)
        return (struct stall_bounds){stall->lower_ns, stall_most_ns(stall)};
    return (struct stall_bounds){0, stall->waiting_ns};
}

static const struct run_stretches *stretches_of(const struct run_process *process, uint32_t loader)
{
    for (uint32_t i = 0; i < process->stretches_count; i++) {
        if (process->stretches[i].loader == loader)
            return &process->stretches[i];
    }
    return NULL;
}

static bool add_member(struct job *job, const struct summary *summary,
                       const struct summary_loader *loader, bool is_first)
{
    const struct summary_process *process = &summary->processes[loader->process];
    const struct rf_process_static *fixed = &process->data->view.fixed;
    const struct run_stretches *stretches = stretches_of(process->data, loader->data->index);
    if (!make_room((void **)&job->members, job->count, sizeof *job->members))
        return false;
    struct job_member *member = &job->members[job->count];
    *member = (struct job_member){
        .rank = fixed->rank,
        .restart = fixed->restart == DATASTALL_UNKNOWN ? 0 : fixed->restart,
        .world_size = fixed->world_size,
        .opened_ns = fixed->opened_mono_ns,
        .batches = loader->data->totals.counters[RF_COUNT_BATCHES],
        .total = total_of(loader, process->method),
        .active_s = is_first ? (double)process->active_ns * 1e-9 : 0,
        .forward_ns = forward_of(summary, loader->process),
        .gpu = process->method != SUMMARY_METHOD_HOST_EXACT,
    };
    if (!job_clock_of(job, &process->data->header, &member->clock) ||
        !node_of(job, fixed, &member->node))
        return false;
    describe_loader(loader, member);
    describe_machine(summary, process, loader, member);
    job->count++;
    return stretches == NULL || take_steps(job, stretches, process->method, member);
}

bool job_add(struct job *job, const struct summary *summary)
{
    uint32_t before = UINT32_MAX;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        const struct rf_process_static *fixed =
            &summary->processes[loader->process].data->view.fixed;
        if (!loader->in_verdict || fixed->rank == DATASTALL_UNKNOWN)
            continue;
        if (job->id[0] == '\0')
            snprintf(job->id, sizeof job->id, "%s", fixed->job);
        if (!add_member(job, summary, loader, loader->process != before))
            return false;
        before = loader->process;
    }
    return true;
}
