#include "runfile/run_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "runfile/rundir.h"

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

static void add_slot(struct run_loader *loader, const struct rf_slot_view *view)
{
    if (view->records > 0 && loader->threads < RUN_THREADS)
        loader->thread_ids[loader->threads++] = view->thread;
    if (view->waiting_ns != 0 &&
        (loader->waiting_since_ns == 0 || view->waiting_ns < loader->waiting_since_ns))
        loader->waiting_since_ns = view->waiting_ns;
    loader->background |= view->background;
    if (view->gpu_uuid[0] != 0 || view->gpu_uuid[1] != 0)
        memcpy(loader->gpu_uuid, view->gpu_uuid, sizeof loader->gpu_uuid);
    if (view->skew > loader->skew)
        loader->skew = view->skew;
    merge_slowest(loader, view);
    for (uint32_t stage = 1; stage < RF_STAGE_CAPACITY; stage++) {
        for (uint32_t w = 0; w < RF_STAGE_WORDS; w++)
            loader->stages[stage][w] += rf_view_stage(view, stage)[w];
    }
    rf_totals_add(&loader->totals, view);
}

/* Adds every slot to its loader's entry of by_index, making the entry when it is the first. */
static int read_slots(struct rf_reader *reader, unsigned parts, struct run_loader **by_index)
{
    const uint64_t slots = rf_reader_count(reader, RF_SECTION_SLOTS);
    for (uint64_t i = 0; i < slots; i++) {
        struct rf_slot_view view;
        enum rf_view_status status = rf_reader_slot(reader, i, parts, &view);
        if (status == RF_VIEW_NO_MEMORY)
            return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
        if (status == RF_VIEW_CUT)
            break;
        if (status == RF_VIEW_UNUSED)
            continue;
        uint64_t index = view.loader < RF_LOADER_CAPACITY ? view.loader : 0;
        /* Of a damaged slot nothing can be trusted; it is reported, not shown. */
        if (status == RF_VIEW_OK && by_index[index] == NULL)
            by_index[index] = calloc(1, sizeof **by_index);
        if (status == RF_VIEW_OK && by_index[index] != NULL)
            add_slot(by_index[index], &view);
        rf_slot_view_free(&view);
    }
    return DATASTALL_OK;
}

static int read_loaders(struct rf_reader *reader, unsigned parts, struct run_process *process)
{
    struct run_loader *by_index[RF_LOADER_CAPACITY] = {NULL};
    int error = read_slots(reader, parts, by_index);
    uint32_t count = 0;
    for (uint32_t i = 0; i < RF_LOADER_CAPACITY; i++)
        count += by_index[i] != NULL;
    /* As many as there are: one is 50 KiB, and who reads live reads often. */
    process->loaders = calloc(count + 1, sizeof *process->loaders);
    if (process->loaders == NULL && error == DATASTALL_OK)
        error = ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    for (uint32_t i = 0; i < RF_LOADER_CAPACITY; i++) {
        if (by_index[i] != NULL && error == DATASTALL_OK) {
            struct run_loader *loader = &process->loaders[process->loader_count++];
            *loader = *by_index[i];
            loader->index = i;
            if (!rf_reader_loader(reader, i, &loader->entry))
                snprintf(loader->entry.name, sizeof loader->entry.name, "loader %u", i);
        }
        free(by_index[i]);
    }
    return error;
}

static int compare_workers(const void *a, const void *b)
{
    const struct rf_worker_view *one = a, *other = b;
    if (one->loader != other->loader)
        return one->loader < other->loader ? -1 : 1;
    return one->number < other->number ? -1 : one->number > other->number;
}

static int read_workers(struct rf_reader *reader, struct run_process *process)
{
    const uint64_t entries = rf_reader_count(reader, RF_SECTION_WORKERS);
    if (!reader->has_workers || entries == 0 || entries > 4096)
        return DATASTALL_OK;
    process->workers = calloc(entries, sizeof *process->workers);
    if (process->workers == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    for (uint64_t i = 0; i < entries; i++) {
        if (rf_reader_worker(reader, i, &process->workers[process->worker_count]))
            process->worker_count++;
    }
    qsort(process->workers, process->worker_count, sizeof *process->workers, compare_workers);
    return DATASTALL_OK;
}

static void read_stage_names(struct rf_reader *reader, struct run_process *process)
{
    struct rf_stage_entry entries[RF_STAGE_CAPACITY];
    const uint32_t count = rf_reader_stages(reader, entries);
    for (uint32_t i = 1; i < count; i++) {
        if (entries[i].state == 1)
            memcpy(process->stage_names[i], entries[i].name, sizeof entries[i].name);
    }
}

static void read_gpus(struct rf_reader *reader, const struct run_process *process,
                      struct run_data *data)
{
    uint64_t entries = rf_reader_count(reader, RF_SECTION_GPUS);
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
        if (rf_reader_gpu(reader, i, &data->gpus[data->gpu_count]))
            data->gpu_count++;
    }
}

static int read_file(struct run_data *data, const char *place, const char *name, unsigned parts)
{
    char path[PATH_MAX];
    struct rf_reader *reader;
    data->files++;
    if (snprintf(path, sizeof path, "%s/%s", place, name) >= PATH_MAX)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
    int error = rf_reader_open(path, &reader);
    if (error != DATASTALL_OK) {
        data->unreadable_files++;
        data->newer_files += error == DATASTALL_ERR_NEWER;
        note_problem(data, datastall_last_error());
        return error == DATASTALL_ERR_MEMORY ? error : DATASTALL_OK;
    }
    struct run_process process = {.header = reader->header};
    snprintf(process.file, sizeof process.file, "%s", name);
    bool readable = rf_reader_process(reader, &process.view);
    if (readable) {
        process.alive = process.view.words[RF_PROCESS_STATE] == RF_STATE_OPEN &&
                        rf_process_is_alive(&reader->header, &process.view.fixed);
        read_stage_names(reader, &process);
        read_gpus(reader, &process, data);
        error = read_loaders(reader, parts, &process);
        /* Who only looks at what changes does not need them: the causes are in the loaders. */
        if (error == DATASTALL_OK && parts == RF_PART_ALL)
            error = read_workers(reader, &process);
    } else {
        data->unreadable_files++;
    }
    if (reader->problems > 0) {
        char sentence[512];
        snprintf(sentence, sizeof sentence, "%s: %s", name, reader->first_problem);
        note_problem(data, sentence);
    }
    rf_reader_close(reader);
    if (!readable || error != DATASTALL_OK) {
        free(process.loaders);
        free(process.workers);
    } else if (process.view.fixed.kind == RF_PROCESS_LAUNCHER && !data->has_launcher) {
        data->has_launcher = true;
        data->launcher = process;
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

static int read_run(const char *folder, unsigned parts, struct run_data **result)
{
    *result = NULL;
    char place[PATH_MAX], **names;
    uint32_t count;
    rf_run_reading_place(folder, place);
    int error = rf_run_files(place, &names, &count);
    if (error != DATASTALL_OK)
        return error;
    struct run_data *data = calloc(1, sizeof *data);
    if (data != NULL)
        data->processes = calloc(count + 1, sizeof *data->processes);
    if (data == NULL || data->processes == NULL) {
        rf_run_files_free(names, count);
        free(data);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    if (realpath(folder, data->path) == NULL)
        snprintf(data->path, sizeof data->path, "%s", folder);
    const char *slash = strrchr(data->path, '/');
    snprintf(data->id, sizeof data->id, "%.255s", slash != NULL ? slash + 1 : data->path);
    /* The launcher first: its GPUs are the ones to take. */
    for (uint32_t pass = 0; pass < 2 && error == DATASTALL_OK; pass++) {
        for (uint32_t i = 0; i < count && error == DATASTALL_OK; i++) {
            bool is_launcher = strcmp(names[i], RF_LAUNCHER_FILE) == 0;
            if (is_launcher == (pass == 0))
                error = read_file(data, place, names[i], parts);
        }
    }
    rf_run_files_free(names, count);
    if (error != DATASTALL_OK) {
        run_data_free(data);
        return error;
    }
    qsort(data->processes, data->process_count, sizeof *data->processes, compare_processes);
    *result = data;
    return DATASTALL_OK;
}

int run_data_read(const char *folder, struct run_data **data)
{
    return read_run(folder, RF_PART_ALL, data);
}

int run_data_read_live(const char *folder, struct run_data **data)
{
    return read_run(folder, RF_PART_TABLES, data);
}

void run_data_free(struct run_data *data)
{
    if (data == NULL)
        return;
    for (uint32_t i = 0; i < data->process_count; i++) {
        free(data->processes[i].loaders);
        free(data->processes[i].workers);
    }
    for (uint32_t i = 0; i < data->gpu_count; i++)
        free(data->gpus[i].block);
    free(data->launcher.loaders);
    free(data->launcher.workers);
    free(data->processes);
    free(data->gpus);
    free(data);
}
