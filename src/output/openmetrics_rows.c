/* SPDX-License-Identifier: Apache-2.0 */
#include "output/openmetrics_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean_text.h"
#include "base/clock.h"
#include "base/sums.h"
#include "diagnose/steps.h"
#include "output/names.h"

#define FRESH_NS (10 * DS_NS_PER_S) /* an older GPU sample says nothing about now */
#define LABELS_BYTES 2048u

#define MS UINT64_C(1000000)
const uint64_t openmetrics_wait_bounds[OPENMETRICS_WAIT_BOUNDS] = {
    MS / 10,  MS / 2,   MS,        5 * MS,    10 * MS,    50 * MS,
    100 * MS, 500 * MS, 1000 * MS, 5000 * MS, 10000 * MS, 60000 * MS};
const uint64_t openmetrics_startup_bounds[OPENMETRICS_STARTUP_BOUNDS] = {
    100 * MS, 1000 * MS, 10000 * MS, 60000 * MS, 600000 * MS};

/* ---- histograms ---- */

void openmetrics_cumulate(const uint64_t *histogram, uint64_t count, const uint64_t *queue,
                          const uint64_t *bounds_ns, uint32_t bound_count, uint64_t *cumulative)
{
    uint64_t sum = 0, least = 0;
    uint32_t bucket = 0;
    for (uint32_t i = 0; i < bound_count; i++) {
        while (bucket < HISTOGRAM_BUCKETS && histogram_bucket_high(bucket) - 1 <= bounds_ns[i])
            sum = ds_add(sum, histogram[bucket++]);
        /* The histogram may be some records ahead of the totals (view.h); those say how many waits
         * there are, and how many of them up to the limits of the queue states. */
        uint64_t most = count;
        if (queue != NULL && bounds_ns[i] <= DATASTALL_QUEUE_FULL_BELOW_NS)
            most = queue[DATASTALL_QUEUE_FULL];
        else if (queue != NULL && bounds_ns[i] <= DATASTALL_QUEUE_STARVED_ABOVE_NS)
            most = ds_add(queue[DATASTALL_QUEUE_FULL], queue[DATASTALL_QUEUE_NORMAL]);
        if (queue != NULL && (bounds_ns[i] == DATASTALL_QUEUE_FULL_BELOW_NS ||
                              bounds_ns[i] == DATASTALL_QUEUE_STARVED_ABOVE_NS))
            least = most;
        cumulative[i] = ds_least(sum < least ? least : sum, ds_least(most, count));
    }
}

/* ---- rows ---- */

static uint64_t hash_more(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

/* Appends NAME="VALUE" with what the formats want escaped. An empty label is none. */
static void add_label(char labels[LABELS_BYTES], const char *name, const char *value)
{
    char clean[1024];
    size_t length = strlen(labels);
    if (value[0] == '\0')
        return;
    length += (size_t)snprintf(labels + length, LABELS_BYTES - length, "%s%s=\"",
                               length > 0 ? "," : "", name);
    ds_clean_text(value, clean, sizeof clean);
    for (const char *c = clean; *c != '\0' && length + 4 < LABELS_BYTES; c++) {
        if (*c == '"' || *c == '\\')
            labels[length++] = '\\';
        labels[length++] = *c;
    }
    labels[length++] = '"';
    labels[length] = '\0';
}

static void add_number_label(char labels[LABELS_BYTES], const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    if (value != DATASTALL_UNKNOWN)
        add_label(labels, name, text);
}

/* The row with these labels; made when it is the first. Several processes of one rank (a restart)
 * and several loaders of one name share a row. NULL: out of memory. */
static struct row *row_of(struct rows *rows, enum row_kind kind, const char *labels,
                          const struct summary *run)
{
    const uint64_t key =
        hash_more(hash_more(UINT64_C(14695981039346656037) + kind, labels), run->data->path);
    for (uint32_t i = rows->count[kind]; i-- > 0;) {
        if (rows->rows[kind][i].key == key)
            return &rows->rows[kind][i];
    }
    if (rows->count[kind] == rows->room[kind]) {
        const uint32_t room = rows->room[kind] == 0 ? 32 : 2 * rows->room[kind];
        struct row *more = realloc(rows->rows[kind], room * sizeof *more);
        if (more == NULL) {
            rows->failed = true;
            return NULL;
        }
        rows->rows[kind] = more;
        rows->room[kind] = room;
    }
    struct row *row = &rows->rows[kind][rows->count[kind]];
    *row = (struct row){.labels = strdup(labels), .key = key};
    memset(row->values, 0xff, sizeof row->values);
    if (row->labels == NULL) {
        rows->failed = true;
        return NULL;
    }
    rows->count[kind]++;
    return row;
}

static void set_info(struct rows *rows, struct row *row, const char *labels)
{
    if (row->info != NULL)
        return;
    row->info = strdup(labels);
    rows->failed |= row->info == NULL;
}

static void add(struct row *row, uint32_t value, uint64_t amount)
{
    if (amount != DATASTALL_UNKNOWN)
        row->values[value] =
            ds_add(row->values[value] == DATASTALL_UNKNOWN ? 0 : row->values[value], amount);
}

static void add_known(struct row *row, uint32_t value, uint64_t amount, uint64_t batches_stating_it)
{
    if (batches_stating_it > 0)
        add(row, value, amount);
}

void rows_free(struct rows *rows)
{
    for (uint32_t kind = 0; kind < ROW_KINDS; kind++) {
        for (uint32_t i = 0; i < rows->count[kind]; i++) {
            free(rows->rows[kind][i].labels);
            free(rows->rows[kind][i].info);
        }
        free(rows->rows[kind]);
    }
}

/* ---- a run ---- */

/* What --name said, else the folder's name without its time. */
static const char *name_of(const struct summary *run)
{
    const char *id = run->data->id;
    if (run->name[0] != '\0')
        return run->name;
    return strlen(id) > 16 && id[8] == '-' && id[15] == '-' ? id + 16 : id;
}

/* When the launcher ended it; where it did not, its last process; without one, the first. */
static uint64_t end_of(const struct summary *run)
{
    const struct run_data *data = run->data;
    uint64_t last_ns = 0;
    if (run->state != SUMMARY_ENDED)
        return DATASTALL_UNKNOWN;
    if (run->launcher == SUMMARY_LAUNCHER_ENDED)
        return data->launcher.view.words[RF_PROCESS_ENDED_REAL];
    if (run->launcher == SUMMARY_LAUNCHER_NONE)
        return data->processes[0].view.words[RF_PROCESS_ENDED_REAL];
    for (uint32_t i = 0; i < data->process_count; i++) {
        const uint64_t ns = data->processes[i].view.words[RF_PROCESS_ENDED_REAL];
        last_ns = ns > last_ns ? ns : last_ns;
    }
    return last_ns;
}

static void collect_run(struct rows *rows, const struct summary *run, const char *label)
{
    const struct run_data *data = run->data;
    char labels[LABELS_BYTES] = "", info[LABELS_BYTES] = "";
    add_label(labels, "run", label);
    struct row *row = row_of(rows, ROW_RUN, labels, run);
    if (row == NULL)
        return;
    add_label(info, "name", name_of(run));
    const struct run_process *first = data->has_launcher        ? &data->launcher
                                      : data->process_count > 0 ? &data->processes[0]
                                                                : NULL;
    if (first != NULL)
        add_label(info, "host", first->view.fixed.hostname);
    for (uint32_t i = 0; i < SUMMARY_STATES; i++)
        row->values[RUN_PROCESSES + i] = 0;
    for (uint32_t i = 0; i < run->process_count; i++) {
        const uint64_t world_size = run->processes[i].data->view.fixed.world_size;
        add(row, RUN_PROCESSES + run->processes[i].state, 1);
        if (i == 0)
            add_number_label(info, "world_size", world_size);
    }
    set_info(rows, row, info);
    row->values[RUN_RUNNING] = run->state == SUMMARY_RUNNING;
    if (run->launcher != SUMMARY_LAUNCHER_NONE)
        row->values[RUN_LAUNCHER_DIED] = run->launcher == SUMMARY_LAUNCHER_DIED;
    if (run->started_real_ns != 0)
        row->values[RUN_STARTED_REAL_NS] = run->started_real_ns;
    row->values[RUN_ENDED_REAL_NS] = end_of(run);
    row->values[RUN_EXIT_STATUS] = run->exit_status;
    row->values[RUN_PROBLEMS] = data->problems;
}

static void collect_processes(struct rows *rows, const struct summary *run, const char *label)
{
    for (uint32_t i = 0; i < run->process_count; i++) {
        const struct summary_process *process = &run->processes[i];
        char labels[LABELS_BYTES] = "";
        add_label(labels, "run", label);
        add_number_label(labels, "rank", summary_rank(process));
        struct row *row = row_of(rows, ROW_PROCESS, labels, run);
        if (row == NULL)
            return;
        if (process->begin_ns != DATASTALL_UNKNOWN)
            add(row, PROCESS_WINDOW_NS, process->active_ns);
        const uint64_t *words = process->data->view.words;
        add(row, PROCESS_LOST, words[RF_PROCESS_LOST_CONTENTION]);
        add(row, PROCESS_MERGED, words[RF_PROCESS_MERGED_OTHER]);
        add(row, PROCESS_IMPOSSIBLE_TIMES, words[RF_PROCESS_IMPOSSIBLE_TIMES]);
        add(row, PROCESS_IMPOSSIBLE_COUNTS, words[RF_PROCESS_IMPOSSIBLE_COUNTS]);
        add(row, PROCESS_UNKNOWN_ARGUMENTS, words[RF_PROCESS_UNKNOWN_ARGUMENTS]);
        const struct summary_steps *steps = &run->steps[i];
        if (steps->count == 0)
            continue;
        add(row, PROCESS_STEPS, steps->count);
        add(row, PROCESS_REPLAYS, steps->replays);
        add(row, PROCESS_ALLOCATED_PEAK, steps->allocated_peak_bytes);
        add(row, PROCESS_RESERVED_PEAK, steps->reserved_peak_bytes);
    }
}

/* Counts of answers, and not what is reckoned from them: any two scrapes say it of the time between. */
static void collect_phases(struct rows *rows, const struct summary *run, uint32_t process,
                           const char *label)
{
    const struct summary_steps *steps = &run->steps[process];
    for (uint32_t i = 0; i < STEP_PHASE_COUNT && steps->count > 0; i++) {
        const struct summary_phase *phase = &steps->phases[i];
        char labels[LABELS_BYTES] = "";
        add_label(labels, "run", label);
        add_number_label(labels, "rank", summary_rank(&run->processes[process]));
        add_label(labels, "phase", phase->name);
        struct row *row = phase->count == 0 ? NULL : row_of(rows, ROW_PHASE, labels, run);
        if (row == NULL)
            continue;
        add(row, PHASE_NS, phase->host_ns);
        add(row, PHASE_TIMES, phase->count);
        if (steps->method == SUMMARY_STEPS_HOST)
            continue;
        add(row, PHASE_ASKED, phase->asked);
        add(row, PHASE_EMPTY, phase->empty);
    }
}

/* ---- loaders ---- */

static void add_waits(struct row *row, uint32_t at, const uint64_t *counts, uint32_t bound_count,
                      uint64_t number, uint64_t sum_ns)
{
    for (uint32_t i = 0; i < bound_count; i++)
        add(row, at + i, counts[i]);
    add(row, at + bound_count, number);
    add(row, at + bound_count + 1, sum_ns);
}

/* The stall of a loader, and by which method it is known. That changes in one direction only while
 * it runs (host-exact, host-bound, gpu-events: the GPU comes up, its first event is read), and each
 * method is a series of its own; none of them goes back. At its end a process that had a driver
 * loaded and never entered it goes from host-bound to host-exact. Waiting that no event told, and
 * whose stall may be told later, is therefore left out of gpu-events: it is waiting less known
 * waiting. */
static void collect_stall(struct row *row, const struct summary *run,
                          const struct summary_loader *loader)
{
    static const char *const labels[] = {
        [SUMMARY_METHOD_HOST_EXACT] = "method=\"host-exact\"",
        [SUMMARY_METHOD_GPU_EVENTS] = "method=\"gpu-events\"",
        [SUMMARY_METHOD_HOST_BOUND] = "method=\"host-bound\"",
    };
    const uint64_t accelerator =
        run->processes[loader->process].data->view.words[RF_PROCESS_ACCELERATOR];
    enum summary_method method = SUMMARY_METHOD_HOST_EXACT;
    if (!loader->in_verdict)
        return; /* the hooks saw the same waiting */
    if (loader->stall.known_ns > 0)
        method = SUMMARY_METHOD_GPU_EVENTS;
    else if (accelerator == RF_ACCELERATOR_USED ||
             (accelerator != RF_ACCELERATOR_NONE && run->gpu_count > 0))
        method = SUMMARY_METHOD_HOST_BOUND;
    row->extra = labels[method];
    add(row, LOADER_STALL_NS,
        method == SUMMARY_METHOD_GPU_EVENTS ? loader->stall.upper_ns : loader->stall.waiting_ns);
    if (loader->stall.known_ns > 0)
        add(row, LOADER_KNOWN_NS, loader->stall.known_ns);
    if (!isnan(loader->why.others.cpus))
        add(row, LOADER_OTHERS_NS, loader->why.others.lack_ns);
}

/* How full the queue was found, and what the stalls came from. A state without any time is left
 * out: nine series for each loader would be mostly zeros. */
static void collect_feeding(struct row *row, const uint64_t *c)
{
    const uint64_t waits = c[RF_COUNT_DEPTH_WAITS];
    if (waits > 0) {
        add(row, LOADER_READY, c[RF_COUNT_DEPTH_READY]);
        add(row, LOADER_READY_WAITS, waits);
        add(row, LOADER_POSSIBLE, ds_add(c[RF_COUNT_DEPTH_POSSIBLE], waits / 2) / waits);
    }
    uint64_t told_ns = 0;
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        told_ns = ds_add(told_ns, i == CAUSE_UNKNOWN ? 0 : c[RF_COUNT_CAUSE_NS + i]);
    for (uint32_t i = 0; i < CAUSE_STATES && told_ns > 0; i++) {
        if (c[RF_COUNT_CAUSE_NS + i] > 0)
            add(row, LOADER_CAUSE_NS + i, c[RF_COUNT_CAUSE_NS + i]);
    }
}

static void collect_loader(struct rows *rows, const struct summary *run,
                           const struct summary_loader *loader, const char *label)
{
    const struct rf_totals *totals = &loader->data->totals;
    const struct rf_loader_entry *entry = &loader->data->entry;
    const uint64_t *c = totals->counters;
    char labels[LABELS_BYTES] = "", info[LABELS_BYTES] = "";
    uint64_t counts[OPENMETRICS_WAIT_BOUNDS];
    add_label(labels, "run", label);
    add_number_label(labels, "rank", summary_rank(&run->processes[loader->process]));
    add_label(labels, "loader", entry->name);
    struct row *row = row_of(rows, ROW_LOADER, labels, run);
    if (row == NULL)
        return;
    add_label(info, "source", output_source_name(entry->source));
    add_label(info, "site", entry->site);
    add_label(info, "dataset", entry->dataset_type);
    add_number_label(info, "num_workers", entry->num_workers);
    add_number_label(info, "prefetch_factor", entry->prefetch_factor);
    add_number_label(info, "batch_size", entry->batch_size);
    set_info(rows, row, info);
    add(row, LOADER_BATCHES, c[RF_COUNT_BATCHES]);
    add_known(row, LOADER_SAMPLES, c[RF_COUNT_SAMPLES], c[RF_COUNT_SAMPLES_BATCHES]);
    add_known(row, LOADER_TOKENS, c[RF_COUNT_TOKENS], c[RF_COUNT_TOKENS_BATCHES]);
    add(row, LOADER_ITERATORS, c[RF_COUNT_ITERATORS]);
    add(row, LOADER_ERRORS, c[RF_COUNT_FAILED]);
    add(row, LOADER_WAITING_NS, loader->stall.waiting_ns);
    collect_feeding(row, c);
    openmetrics_cumulate(totals->steady, c[RF_COUNT_STEADY], &c[RF_COUNT_QUEUE],
                         openmetrics_wait_bounds, OPENMETRICS_WAIT_BOUNDS, counts);
    add_waits(row, LOADER_STEADY, counts, OPENMETRICS_WAIT_BOUNDS, c[RF_COUNT_STEADY],
              c[RF_COUNT_STEADY_NS]);
    openmetrics_cumulate(totals->startup, c[RF_COUNT_STARTUP], NULL, openmetrics_startup_bounds,
                         OPENMETRICS_STARTUP_BOUNDS, counts);
    add_waits(row, LOADER_STARTUP, counts, OPENMETRICS_STARTUP_BOUNDS, c[RF_COUNT_STARTUP],
              c[RF_COUNT_STARTUP_NS]);
    if (run->processes[loader->process].state == SUMMARY_RUNNING)
        add(row, LOADER_UNFINISHED_NS, loader->unfinished_wait_ns);
    collect_stall(row, run, loader);
}

static void collect_stages(struct rows *rows, const struct summary *run, const char *label)
{
    for (uint32_t i = 0; i < run->stage_count; i++) {
        const struct summary_stage *stage = &run->stages[i];
        char labels[LABELS_BYTES] = "";
        add_label(labels, "run", label);
        add_number_label(labels, "rank", summary_rank(&run->processes[stage->process]));
        add_label(labels, "stage", stage->name);
        struct row *row = row_of(rows, ROW_STAGE, labels, run);
        if (row == NULL)
            return;
        add(row, STAGE_NS, stage->duration_ns);
        add(row, STAGE_WAITING_NS, stage->stall.waiting_ns);
        if (stage->stall.known_ns > 0)
            add(row, STAGE_STALL_NS, stage->stall.upper_ns);
        add(row, STAGE_BATCHES, stage->batches);
        add(row, STAGE_SAMPLES, stage->samples);
        add(row, STAGE_TOKENS, stage->tokens);
    }
}

/* ---- GPUs ---- */

/* The newest sample, NULL when there is none or it says nothing about now. */
static const uint64_t *newest_sample(const struct rf_gpu_view *gpu, uint64_t now_ns)
{
    const uint64_t samples = gpu->words[RF_GPU_SAMPLES];
    if (samples == 0)
        return NULL;
    const uint64_t *row = gpu->block + gpu->layout.ring_at +
                          ((samples - 1) & (gpu->layout.recent - 1)) * gpu->layout.sample_words;
    const bool fresh = ds_subtract(now_ns, row[RF_GPU_SAMPLE_NS]) < FRESH_NS;
    return row[RF_GPU_SAMPLE_SEQUENCE] == samples && fresh ? row : NULL;
}

static void collect_gpu_now(struct row *row, const struct summary *run,
                            const struct summary_gpu *gpu, uint64_t now_ns)
{
    const uint64_t *w = gpu->data->words;
    if (run->state != SUMMARY_RUNNING || run->launcher == SUMMARY_LAUNCHER_DIED)
        return;
    const uint64_t *sample = newest_sample(gpu->data, now_ns);
    row->values[GPU_LOST] = w[RF_GPU_STATE] == RF_GPU_LOST;
    row->values[GPU_UP] =
        w[RF_GPU_STATE] == RF_GPU_OK && !gpu->silent && run->data->gpu_state != RF_GPU_ENDED;
    if (sample == NULL || gpu->silent)
        return;
    row->values[GPU_MEMORY_USED] = sample[RF_GPU_SAMPLE_MEMORY_USED];
    row->values[GPU_MEMORY_TOTAL] = gpu->memory_total_bytes;
    row->values[GPU_POWER_MW] = sample[RF_GPU_SAMPLE_POWER_MW];
    row->values[GPU_TEMPERATURE] = sample[RF_GPU_SAMPLE_TEMPERATURE];
    if (sample[RF_GPU_SAMPLE_SM_CLOCK_MHZ] < UINT32_MAX) /* RF_UNKNOWN, or damage */
        row->values[GPU_SM_CLOCK_HZ] = sample[RF_GPU_SAMPLE_SM_CLOCK_MHZ] * 1000000;
}

/* Busy, idle and unknown time, whose sum is the time observed. The source of activity changes once
 * at most, from GPM alone to NVML as well. */
static void collect_activity(struct row *row, const struct summary_gpu *gpu)
{
    const uint64_t sources = gpu->data->words[RF_GPU_ACTIVITY_SOURCES];
    if (sources != 0) {
        row->extra =
            sources == UINT64_C(1) << RF_ACTIVITY_GPM ? "source=\"gpm\"" : "source=\"nvml\"";
        row->values[GPU_BUSY_NS] = gpu->busy_ns;
        row->values[GPU_IDLE_NS] = gpu->idle_ns;
    }
    row->values[GPU_UNKNOWN_NS] = gpu->unknown_ns;
    row->values[GPU_ENERGY_UJ] = gpu->energy_uj;
}

static void collect_gpus(struct rows *rows, const struct summary *run, const char *label,
                         uint64_t now_ns)
{
    for (uint32_t i = 0; i < run->gpu_count; i++) {
        const struct summary_gpu *gpu = &run->gpus[i];
        const uint64_t *w = gpu->data->words;
        char labels[LABELS_BYTES] = "", info[LABELS_BYTES] = "";
        add_label(labels, "run", label);
        add_number_label(labels, "gpu", gpu->data->fixed.index);
        add_label(labels, "uuid", gpu->data->fixed.uuid);
        struct row *row = row_of(rows, ROW_GPU, labels, run);
        if (row == NULL)
            return;
        add_label(info, "name", gpu->data->fixed.name);
        set_info(rows, row, info);
        row->values[GPU_SAMPLES] = w[RF_GPU_SAMPLES];
        row->values[GPU_ERRORS] = w[RF_GPU_ERRORS];
        if (gpu->stall.known_ns > 0)
            row->values[GPU_STALL_NS] = gpu->stall.upper_ns;
        collect_activity(row, gpu);
        collect_gpu_now(row, run, gpu, now_ns);
    }
}

/* ---- jobs ---- */

static void job_labels(const struct job_watched *rank, const char *label, char labels[LABELS_BYTES])
{
    labels[0] = '\0';
    add_label(labels, "run", label);
    add_number_label(labels, "rank", rank->rank);
    add_label(labels, "job_id", rank->id[0] != '\0' ? rank->id : label);
    add_label(labels, "node", rank->node);
    add_label(labels, "pod", rank->pod);
}

static void collect_loss(struct rows *rows, const struct summary *run, const char *labels,
                         const struct job_watched *rank, enum job_reason reason)
{
    char with_reason[LABELS_BYTES];
    snprintf(with_reason, sizeof with_reason, "%.*s", (int)sizeof with_reason - 64, labels);
    add_label(with_reason, "reason", job_reason_name(reason));
    struct row *row = row_of(rows, ROW_JOB_LOSS, with_reason, run);
    if (row == NULL)
        return;
    const bool input = reason == JOB_INPUT;
    add(row, JOB_LOST_NS, input ? rank->input_lower_ns : rank->not_input_ns);
    add(row, JOB_LOST_UPPER_NS, input ? rank->input_upper_ns : DATASTALL_UNKNOWN);
    add(row, JOB_LAST, input ? rank->last_by_input : rank->last_by_other);
}

/* A rank with several loaders is the last one in the steps of each. */
static void collect_jobs(struct rows *rows, const struct job_watch *jobs, const struct summary *run,
                         const char *label)
{
    char labels[LABELS_BYTES];
    for (uint32_t i = 0; i < job_watch_count(jobs); i++) {
        const struct job_watched *rank = job_watch_at(jobs, i);
        if (strcmp(rank->path, run->data->path) != 0)
            continue;
        job_labels(rank, label, labels);
        struct row *row = row_of(rows, ROW_JOB, labels, run);
        if (row == NULL)
            return;
        add(row, JOB_STEPS, rank->steps);
        add(row, JOB_TIME_NS, rank->time_ns);
        collect_loss(rows, run, labels, rank, JOB_INPUT);
        if (rank->not_input_ns != DATASTALL_UNKNOWN)
            collect_loss(rows, run, labels, rank, JOB_NOT_INPUT);
    }
}

/* ---- all runs ---- */

/* The run's id; of several with one id (two users, one second) the first keeps it. */
static void label_of(const struct summary *const *runs, uint32_t count, uint32_t index,
                     char label[NAME_MAX + 32])
{
    const struct run_data *data = runs[index]->data;
    snprintf(label, NAME_MAX + 32, "%s", data->id);
    /* Newest first: the first of them is the last in the list. */
    for (uint32_t i = index + 1; i < count; i++) {
        if (strcmp(runs[i]->data->id, data->id) == 0) {
            snprintf(label, NAME_MAX + 32, "%s~%08x", data->id,
                     (unsigned)hash_more(UINT64_C(14695981039346656037), data->path));
            return;
        }
    }
}

void rows_collect(struct rows *rows, const struct summary *const *runs, uint32_t count,
                  const struct job_watch *jobs, uint64_t now_ns)
{
    for (uint32_t i = 0; i < count && !rows->failed; i++) {
        char label[NAME_MAX + 32];
        label_of(runs, count, i, label);
        collect_run(rows, runs[i], label);
        collect_processes(rows, runs[i], label);
        for (uint32_t k = 0; k < runs[i]->process_count; k++)
            collect_phases(rows, runs[i], k, label);
        for (uint32_t k = 0; k < runs[i]->loader_count; k++)
            collect_loader(rows, runs[i], &runs[i]->loaders[k], label);
        collect_stages(rows, runs[i], label);
        collect_gpus(rows, runs[i], label, now_ns);
        collect_jobs(rows, jobs, runs[i], label);
    }
}
