/* SPDX-License-Identifier: Apache-2.0 */
#include "run/run_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/sums.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

#define READ_ATTEMPTS 5

/* How a run is read. */
struct reading {
    unsigned parts; /* of slots, enum rf_parts */
    bool history, stretches;
    bool workers;                  /* with their single items; else their totals only */
    bool recent;                   /* the waits that `before` did not have, one by one */
    const struct run_data *before; /* NULL: nothing was read before */
};

static void note_problem(struct run_data *data, const char *sentence)
{
    if (data->problems++ == 0)
        snprintf(data->first_problem, sizeof data->first_problem, "%s", sentence);
}

static int compare_slow(const void *a, const void *b)
{
    const struct run_slow_wait *one = a, *other = b;
    return one->wait_ns < other->wait_ns ? 1 : one->wait_ns > other->wait_ns ? -1 : 0;
}

/* Keeps the longest of what the loader has and what the slot has. */
static void merge_slowest(struct run_loader *loader, const struct rf_slot_view *view)
{
    struct run_slow_wait all[RUN_SLOW_WAITS + RF_SLOWEST];
    size_t count = RUN_SLOW_WAITS;
    memcpy(all, loader->slowest, sizeof loader->slowest);
    for (uint64_t i = 0; i < view->layout.slowest && count < sizeof all / sizeof *all; i++) {
        const uint64_t *entry = rf_view_slow(view, 0, i);
        all[count++] = (struct run_slow_wait){entry[RF_SLOW_WAIT_NS],
                                              entry[RF_SLOW_BEGIN_NS],
                                              entry[RF_SLOW_BATCH],
                                              entry[RF_SLOW_SAMPLES],
                                              entry[RF_SLOW_TOKENS],
                                              rf_kind_of(entry[RF_SLOW_KIND]),
                                              rf_stage_of(entry[RF_SLOW_KIND])};
    }
    qsort(all, count, sizeof *all, compare_slow);
    memcpy(loader->slowest, all, sizeof loader->slowest);
}

static void add_gpu(struct run_loader *loader, const struct rf_slot_view *view)
{
    const struct stall stall = rf_stall_of(view->counters);
    uint32_t i = 0;
    while (i < loader->gpu_count && memcmp(loader->gpus[i].uuid, view->gpu_uuid, 16) != 0)
        i++;
    if (i == RUN_LOADER_GPUS)
        return;
    struct run_loader_gpu *gpu = &loader->gpus[i];
    loader->gpu_count += i == loader->gpu_count;
    memcpy(gpu->uuid, view->gpu_uuid, sizeof gpu->uuid);
    stall_add(&gpu->stall, &stall);
}

/* A thread has a slot for each device that it consumes on. */
static void add_thread(struct run_loader *loader, uint64_t thread)
{
    for (uint32_t i = 0; i < loader->threads; i++) {
        if (loader->thread_ids[i] == thread)
            return;
    }
    if (loader->threads < RUN_THREADS)
        loader->thread_ids[loader->threads++] = thread;
}

static void add_slot(struct run_loader *loader, const struct rf_slot_view *view, bool with_history)
{
    if (view->records > 0)
        add_thread(loader, view->thread);
    if (view->waiting_ns != 0 &&
        (loader->waiting_since_ns == 0 || view->waiting_ns < loader->waiting_since_ns))
        loader->waiting_since_ns = view->waiting_ns;
    loader->background |= view->background;
    loader->passed_on |= view->passed_on;
    if (view->gpu_uuid[0] != 0 || view->gpu_uuid[1] != 0)
        add_gpu(loader, view);
    if (view->skew > loader->skew)
        loader->skew = view->skew;
    merge_slowest(loader, view);
    for (uint32_t stage = 1; stage < RF_STAGE_CAPACITY; stage++)
        rf_counters_add(loader->stages[stage], rf_view_stage(view, stage), RF_STAGE_WORDS);
    rf_totals_add(&loader->totals, view);
    if (with_history)
        run_history_add(&loader->history, view);
}

static bool sums_fit(const struct run_loader *loader)
{
    bool fit = rf_totals_fit(&loader->totals);
    for (uint32_t stage = 1; stage < RF_STAGE_CAPACITY; stage++) {
        for (uint32_t w = 0; w < RF_STAGE_WORDS; w++)
            fit &= loader->stages[stage][w] < DS_MOST;
    }
    return fit;
}

/* A loader's entry, made when its first slot is read; NULL: out of memory. */
static struct run_loader *loader_at(struct run_process *process, uint32_t index)
{
    for (uint32_t i = 0; i < process->loader_count; i++) {
        if (process->loaders[i].index == index)
            return &process->loaders[i];
    }
    /* As many as there are: one is 50 KiB, and who reads live reads often. */
    struct run_loader *more =
        realloc(process->loaders, (process->loader_count + 1) * sizeof *process->loaders);
    if (more == NULL)
        return NULL;
    process->loaders = more;
    struct run_loader *loader = &more[process->loader_count++];
    memset(loader, 0, sizeof *loader);
    loader->index = index;
    return loader;
}

static int out_of_memory(void)
{
    return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
}

/* ---- the waits since the reading before ---- */

static const struct run_process *process_before(const struct reading *how,
                                                const struct run_process *process)
{
    for (uint32_t i = 0; how->before != NULL && i < how->before->process_count; i++) {
        const struct run_process *one = &how->before->processes[i];
        if (strcmp(one->file, process->file) == 0 &&
            one->header.created_mono_ns == process->header.created_mono_ns)
            return one;
    }
    return NULL;
}

static uint64_t end_before(const struct run_process *before, uint64_t slot)
{
    for (uint32_t i = 0; before != NULL && i < before->recent_count; i++) {
        if (before->recent[i].slot == slot)
            return before->recent[i].first + before->recent[i].count;
    }
    return 0;
}

/* Where it cannot be read they are missing, as those are that a ring has no room for. */
static void add_recent(struct run_reader *reader, uint64_t slot, const struct rf_slot_view *view,
                       const struct run_process *before, struct run_process *process)
{
    const bool patient = process->view.words[RF_PROCESS_ACCELERATOR] == RF_ACCELERATOR_USED &&
                         process->view.words[RF_PROCESS_STATE] == RF_STATE_OPEN &&
                         process->liveness != RF_DEAD;
    struct run_recent recent, *more;
    if (process->view.fixed.rank == DATASTALL_UNKNOWN || view->records == 0 ||
        !run_recent_read(reader, slot, view, end_before(before, slot), patient, &recent))
        return;
    more = realloc(process->recent, (process->recent_count + 1) * sizeof *more);
    if (more == NULL) {
        free(recent.waits);
        return;
    }
    process->recent = more;
    more[process->recent_count++] = recent;
}

/* Adds every slot to its loader. */
static int read_slots(struct run_reader *reader, const struct reading *how,
                      struct run_process *process)
{
    const uint64_t slots = run_reader_count(reader, RF_SECTION_SLOTS);
    const struct run_process *before = process_before(how, process);
    for (uint64_t i = 0; i < slots; i++) {
        struct rf_slot_view view;
        enum rf_view_status status = run_reader_slot(reader, i, how->parts, &view);
        if (status == RF_VIEW_NO_MEMORY)
            return out_of_memory();
        if (status == RF_VIEW_CUT)
            break;
        if (status == RF_VIEW_UNUSED)
            continue;
        const uint32_t index = view.loader < RF_LOADER_CAPACITY ? (uint32_t)view.loader : 0;
        /* Of a damaged slot nothing can be trusted; it is reported, not shown. */
        struct run_loader *loader = status == RF_VIEW_OK ? loader_at(process, index) : NULL;
        if (loader != NULL)
            add_slot(loader, &view, how->history);
        if (loader != NULL && how->recent)
            add_recent(reader, i, &view, before, process);
        rf_slot_view_free(&view);
        if (status == RF_VIEW_OK && loader == NULL)
            return out_of_memory();
    }
    return DATASTALL_OK;
}

static int compare_loaders(const void *a, const void *b)
{
    const struct run_loader *one = a, *other = b;
    return one->index < other->index ? -1 : one->index > other->index;
}

static int read_loaders(struct run_reader *reader, const struct reading *how,
                        struct run_process *process)
{
    const int error = read_slots(reader, how, process);
    if (process->loader_count > 1)
        qsort(process->loaders, process->loader_count, sizeof *process->loaders, compare_loaders);
    for (uint32_t i = 0; i < process->loader_count && error == DATASTALL_OK; i++) {
        struct run_loader *loader = &process->loaders[i];
        if (!run_reader_loader(reader, loader->index, &loader->entry))
            snprintf(loader->entry.name, sizeof loader->entry.name, "loader %u", loader->index);
        if (!sums_fit(loader))
            run_reader_note(reader,
                            "the totals of loader %u are too large: read them as \"at least\"",
                            loader->index);
    }
    return error;
}

static int read_stretches(struct run_reader *reader, struct run_process *process)
{
    const uint64_t entries = run_reader_count(reader, RF_SECTION_STRETCHES);
    if (!reader->has_stretches || entries == 0)
        return DATASTALL_OK;
    const uint64_t most = entries < RF_LOADER_CAPACITY ? entries : RF_LOADER_CAPACITY;
    process->stretches = calloc(most, sizeof *process->stretches);
    if (process->stretches == NULL)
        return out_of_memory();
    for (uint64_t i = 0; i < most; i++) {
        if (run_reader_stretches(reader, i, &process->stretches[process->stretches_count]))
            process->stretches_count++;
    }
    return DATASTALL_OK;
}

static int read_steps(struct run_reader *reader, struct run_process *process)
{
    const uint64_t entries = run_reader_count(reader, RF_SECTION_STEPS);
    const uint64_t most = entries < RF_STEPS_ENTRIES ? entries : RF_STEPS_ENTRIES;
    if (!reader->has_steps || most == 0)
        return DATASTALL_OK;
    process->steps = calloc(most, sizeof *process->steps);
    if (process->steps == NULL)
        return out_of_memory();
    for (uint64_t i = 0; i < most; i++) {
        if (run_reader_steps(reader, i, &process->steps[process->steps_count]))
            process->steps_count++;
    }
    return DATASTALL_OK;
}

static void free_loaders(struct run_process *process)
{
    for (uint32_t i = 0; i < process->loader_count; i++)
        free(process->loaders[i].history);
    free(process->loaders);
}

static void free_parts(struct run_process *process)
{
    for (uint32_t i = 0; i < process->stretches_count; i++)
        run_stretches_free(&process->stretches[i]);
    free(process->stretches);
    for (uint32_t i = 0; i < process->recent_count; i++)
        free(process->recent[i].waits);
    free(process->recent);
    free(process->steps);
    free(process->workers);
    free_loaders(process);
}

static void read_stage_names(struct run_reader *reader, struct run_process *process)
{
    struct rf_stage_entry entries[RF_STAGE_CAPACITY];
    const uint32_t count = run_reader_stages(reader, entries);
    for (uint32_t i = 1; i < count; i++) {
        if (entries[i].state == 1)
            memcpy(process->stage_names[i], entries[i].name, sizeof entries[i].name);
    }
}

static void read_gpus(struct run_reader *reader, const struct run_process *process,
                      struct run_data *data)
{
    uint64_t entries = run_reader_count(reader, RF_SECTION_GPUS);
    if (entries == 0 || entries > 1024 || data->gpus != NULL)
        return; /* two samplers in one run see the same machine: the first one is enough */
    uint64_t state = process->view.words[RF_PROCESS_GPU_STATE];
    if (state == RF_GPU_ABSENT && process->view.words[RF_PROCESS_GPU_ERROR] == 0)
        return; /* it never sampled */
    data->gpu_state = state;
    data->gpu_error = process->view.words[RF_PROCESS_GPU_ERROR];
    data->gpu_end = process->view.words[RF_PROCESS_GPU_END];
    data->gpu_end_detail = process->view.words[RF_PROCESS_GPU_END_DETAIL];
    data->gpus = calloc(entries, sizeof *data->gpus);
    for (uint64_t i = 0; data->gpus != NULL && i < entries; i++) {
        if (run_reader_gpu(reader, i, &data->gpus[data->gpu_count]))
            data->gpu_count++;
    }
}

static void keep_latest(uint64_t *latest_ns, uint64_t ns)
{
    if (ns != RF_UNKNOWN && ns > *latest_ns)
        *latest_ns = ns;
}

/* What tells that a process was there, of all that it writes with a time. */
static uint64_t last_recorded_ns(const struct run_process *process, const struct run_data *data)
{
    uint64_t latest_ns = process->header.created_mono_ns;
    keep_latest(&latest_ns, process->view.words[RF_PROCESS_ENDED_MONO]);
    keep_latest(&latest_ns, process->view.words[RF_PROCESS_STAGE_SINCE]);
    keep_latest(&latest_ns, process->view.words[RF_PROCESS_HOST_NS]);
    for (uint32_t i = 0; i < process->loader_count; i++) {
        keep_latest(&latest_ns, process->loaders[i].totals.counters[RF_COUNT_END_NS]);
        keep_latest(&latest_ns, process->loaders[i].waiting_since_ns);
    }
    for (uint32_t i = 0; process->view.fixed.kind == RF_PROCESS_LAUNCHER && i < data->gpu_count;
         i++) {
        keep_latest(&latest_ns, data->gpus[i].words[RF_GPU_LAST_NS]);
        keep_latest(&latest_ns, data->gpus[i].words[RF_GPU_CALL_NS]);
    }
    return latest_ns;
}

static enum rf_liveness command_of(const struct run_process *launcher)
{
    const uint64_t *words = launcher->view.words;
    if (words[RF_PROCESS_EXIT_KNOWN] != 0 || words[RF_PROCESS_CHILD_PID] == 0)
        return RF_DEAD;
    return rf_liveness_beside(&launcher->header, &launcher->view.fixed, words[RF_PROCESS_CHILD_PID],
                              words[RF_PROCESS_CHILD_TICKS]);
}

/* For one process more. */
static bool make_room(struct run_data *data)
{
    const uint32_t n = data->process_count;
    if (data->processes != NULL && (n & (n - 1)) != 0)
        return true; /* room is a power of two */
    struct run_process *more =
        realloc(data->processes, (n == 0 ? 1 : (size_t)2 * n) * sizeof *more);
    if (more != NULL)
        data->processes = more;
    return more != NULL;
}

static int read_file(struct run_data *data, const char *place, const char *name,
                     const struct reading *how)
{
    char path[PATH_MAX];
    struct run_reader *reader;
    data->files++;
    if (snprintf(path, sizeof path, "%s/%s", place, name) >= PATH_MAX)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
    int error = run_reader_open(path, &reader);
    if (error != DATASTALL_OK) {
        data->unreadable_files++;
        data->newer_files += error == DATASTALL_ERR_NEWER;
        note_problem(data, datastall_last_error());
        return error == DATASTALL_ERR_MEMORY ? error : DATASTALL_OK;
    }
    struct run_process process = {.header = reader->file.header};
    snprintf(process.file, sizeof process.file, "%s", name);
    bool readable = run_reader_process(reader, &process.view);
    if (readable) {
        if (process.view.words[RF_PROCESS_STATE] == RF_STATE_OPEN)
            process.liveness = rf_process_liveness(&reader->file.header, &process.view.fixed);
        read_stage_names(reader, &process);
        read_gpus(reader, &process, data);
        error = read_loaders(reader, how, &process);
        if (error == DATASTALL_OK)
            error =
                run_reader_workers(reader, how->workers, &process.workers, &process.worker_count);
        if (error == DATASTALL_OK && how->stretches)
            error = read_stretches(reader, &process);
        if (error == DATASTALL_OK)
            error = read_steps(reader, &process);
        run_find_background(&process);
        process.recorded_ns = last_recorded_ns(&process, data);
    } else {
        data->unreadable_files++;
    }
    if (reader->problems > 0) {
        char sentence[512];
        snprintf(sentence, sizeof sentence, "%s: %s", name, reader->first_problem);
        note_problem(data, sentence);
    }
    run_reader_close(reader);
    if (readable && error == DATASTALL_OK && !make_room(data))
        error = out_of_memory();
    if (!readable || error != DATASTALL_OK) {
        free_parts(&process);
    } else if (process.view.fixed.kind == RF_PROCESS_LAUNCHER && !data->has_launcher) {
        data->has_launcher = true;
        data->launcher = process;
        data->command = command_of(&process);
    } else {
        data->processes[data->process_count++] = process;
    }
    return error;
}

static int compare_processes(const void *a, const void *b)
{
    const struct rf_process_static *one = &((const struct run_process *)a)->view.fixed;
    const struct rf_process_static *other = &((const struct run_process *)b)->view.fixed;
    if (one->rank != other->rank)
        return one->rank < other->rank ? -1 : 1; /* unknown ranks are largest */
    if (one->opened_mono_ns != other->opened_mono_ns)
        return one->opened_mono_ns < other->opened_mono_ns ? -1 : 1;
    return one->pid < other->pid ? -1 : one->pid > other->pid;
}

/* The launcher's file first: its GPUs are the ones to take. */
static int read_files(struct run_data *data, const char *place, char **names, uint32_t count,
                      const struct reading *how)
{
    int error = DATASTALL_OK;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < count && error == DATASTALL_OK; i++) {
            bool is_launcher = strcmp(names[i], RF_LAUNCHER_FILE) == 0;
            if (is_launcher == (pass == 0))
                error = read_file(data, place, names[i], how);
        }
    }
    return error;
}

static struct run_data *new_data(const char *folder, const char *place)
{
    struct run_data *data = calloc(1, sizeof *data);
    if (data == NULL)
        return NULL;
    if (realpath(folder, data->path) == NULL)
        snprintf(data->path, sizeof data->path, "%s", folder);
    const char *slash = strrchr(data->path, '/');
    snprintf(data->id, sizeof data->id, "%.255s", slash != NULL ? slash + 1 : data->path);
    if (strcmp(place, folder) != 0)
        snprintf(data->recorded_at, sizeof data->recorded_at, "%s", place);
    return data;
}

static void note_left_out(struct run_data *data, uint64_t left_out)
{
    char sentence[128];
    if (left_out == 0)
        return;
    snprintf(sentence, sizeof sentence, "%llu files beyond the first %u were not read",
             (unsigned long long)left_out, RF_MAX_RUN_FILES);
    data->files += left_out < UINT32_MAX / 2 ? (uint32_t)left_out : UINT32_MAX / 2;
    note_problem(data, sentence);
}

/* While a run is on tmpfs, a process may have found the door there shut and recorded at home. What
 * is in both places are copies. */
static int read_rest(struct run_data *data, const char *folder, char **known, uint32_t known_count,
                     const struct reading *how)
{
    char **names;
    uint32_t count;
    int error = rf_run_files(folder, &names, &count, NULL);
    for (uint32_t i = 0, k = 0; i < count && error == DATASTALL_OK; i++) {
        while (k < known_count && strcmp(known[k], names[i]) < 0)
            k++;
        if (k == known_count || strcmp(known[k], names[i]) != 0)
            error = read_file(data, folder, names[i], how);
    }
    rf_run_files_free(names, count);
    return error;
}

static int read_place(const char *folder, const char *place, const struct reading *how,
                      struct run_data **result)
{
    char **names;
    uint32_t count;
    uint64_t left_out;
    int error = rf_run_files(place, &names, &count, &left_out);
    if (error != DATASTALL_OK)
        return error;
    struct run_data *data = new_data(folder, place);
    error = data == NULL ? out_of_memory() : read_files(data, place, names, count, how);
    if (error == DATASTALL_OK && data->recorded_at[0] != '\0')
        error = read_rest(data, folder, names, count, how);
    rf_run_files_free(names, count);
    if (error != DATASTALL_OK) {
        run_data_free(data);
        return error;
    }
    note_left_out(data, left_out);
    if (data->process_count > 1)
        qsort(data->processes, data->process_count, sizeof *data->processes, compare_processes);
    *result = data;
    return DATASTALL_OK;
}

static int read_run(const char *folder, const struct reading *how, struct run_data **result)
{
    char place[PATH_MAX], after[PATH_MAX];
    int error = DATASTALL_OK;
    *result = NULL;
    /* It may come home while it is read: then what is left on tmpfs is no longer all of it. */
    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        rf_run_reading_place(folder, place);
        error = read_place(folder, place, how, result);
        rf_run_reading_place(folder, after);
        if (strcmp(place, after) == 0)
            break;
        run_data_free(*result);
        *result = NULL;
    }
    return *result == NULL && error == DATASTALL_OK
               ? ds_fail(DATASTALL_ERR_IO, "%s keeps being moved while it is read; try again",
                         folder)
               : error;
}

int run_data_read(const char *folder, struct run_data **data)
{
    const struct reading how = {
        .parts = RF_PART_ALL, .history = true, .workers = true, .stretches = true};
    return read_run(folder, &how, data);
}

int run_data_read_of_many(const char *folder, struct run_data **data)
{
    const struct reading how = {.parts = RF_PART_TABLES, .history = true, .stretches = true};
    return read_run(folder, &how, data);
}

int run_data_read_live(const char *folder, struct run_data **data)
{
    return read_run(folder, &(struct reading){.parts = RF_PART_TABLES}, data);
}

int run_data_read_next(const char *folder, const struct run_data *before, struct run_data **data)
{
    const struct reading how = {.parts = RF_PART_TABLES, .recent = true, .before = before};
    return read_run(folder, &how, data);
}

void run_data_free(struct run_data *data)
{
    if (data == NULL)
        return;
    for (uint32_t i = 0; i < data->process_count; i++) {
        free_parts(&data->processes[i]);
    }
    for (uint32_t i = 0; i < data->gpu_count; i++)
        free(data->gpus[i].block);
    free_parts(&data->launcher);
    free(data->processes);
    free(data->gpus);
    free(data);
}
