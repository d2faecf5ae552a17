/* SPDX-License-Identifier: Apache-2.0 */
#include "run/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean_text.h"
#include "base/error.h"

void run_reader_note(struct run_reader *reader, const char *format, ...)
{
    if (reader->problems++ > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reader->first_problem, sizeof reader->first_problem, format, arguments);
    va_end(arguments);
}

/* ---- opening ---- */

static uint64_t least_entry_bytes(struct run_reader *reader, const struct rf_section *section)
{
    switch (section->type) {
    case RF_SECTION_LOADERS:
        return sizeof(struct rf_loader_entry);
    case RF_SECTION_STAGES:
        return sizeof(struct rf_stage_entry);
    case RF_SECTION_SLOTS:
        reader->has_slots = rf_slot_layout_of(section->geometry, &reader->slot_layout);
        return reader->has_slots ? reader->slot_layout.words * 8 : UINT64_MAX;
    case RF_SECTION_GPUS:
        reader->has_gpus = rf_gpu_layout_of(section->geometry, &reader->gpu_layout);
        return reader->has_gpus ? reader->gpu_layout.words * 8 : UINT64_MAX;
    case RF_SECTION_WORKERS:
        reader->has_workers = rf_worker_layout_of(section->geometry, &reader->worker_layout);
        return reader->has_workers ? reader->worker_layout.words * 8 : UINT64_MAX;
    case RF_SECTION_STRETCHES:
        reader->has_stretches = rf_stretch_layout_of(section->geometry, &reader->stretch_layout);
        return reader->has_stretches ? reader->stretch_layout.words * 8 : UINT64_MAX;
    case RF_SECTION_STEPS:
        reader->has_steps = rf_steps_layout_of(section->geometry, &reader->steps_layout);
        return reader->has_steps ? reader->steps_layout.words * 8 : UINT64_MAX;
    default:
        return 0; /* a section of a later version: skipped */
    }
}

/* Whether the entries are as large as the geometry says that they are. */
static int check_entries(struct run_reader *reader, const char *path)
{
    const struct rf_header *header = &reader->file.header;
    for (uint32_t i = 0; i < header->section_count; i++) {
        if (header->sections[i].entry_bytes < least_entry_bytes(reader, &header->sections[i]))
            return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: section %u lies outside it", path,
                           i);
    }
    return DATASTALL_OK;
}

int run_reader_open(const char *path, struct run_reader **result)
{
    *result = NULL;
    struct run_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    int error = rf_file_open(path, &reader->file);
    if (error != DATASTALL_OK) {
        free(reader);
        return error;
    }
    error = check_entries(reader, path);
    if (error != DATASTALL_OK) {
        run_reader_close(reader);
        return error;
    }
    if (reader->file.source.bytes < reader->file.header.file_bytes)
        run_reader_note(reader, "%s is cut short: %llu of %llu bytes", path,
                        (unsigned long long)reader->file.source.bytes,
                        (unsigned long long)reader->file.header.file_bytes);
    *result = reader;
    return DATASTALL_OK;
}

void run_reader_close(struct run_reader *reader)
{
    if (reader == NULL)
        return;
    rf_file_close(&reader->file);
    free(reader);
}

/* ---- sections ---- */

uint64_t run_reader_count(const struct run_reader *reader, uint32_t section_type)
{
    const struct rf_section *section = rf_section_of(&reader->file.header, section_type);
    return section == NULL ? 0 : section->entry_count;
}

bool run_reader_process(struct run_reader *reader, struct rf_process_view *view)
{
    if (rf_file_process(&reader->file, view))
        return true;
    run_reader_note(reader, "the process section cannot be read");
    return false;
}

static bool read_entry(struct run_reader *reader, uint32_t type, uint64_t index, void *entry,
                       size_t bytes)
{
    uint64_t at = rf_file_entry(&reader->file, type, index);
    if (at == UINT64_MAX)
        return false;
    uint64_t state;
    if (!rf_source_read(&reader->file.source, at, 1, &state)) {
        run_reader_note(reader, "the file ends within section %u", type);
        return false;
    }
    ds_fence_acquire();
    return state == 1 && rf_source_read(&reader->file.source, at, bytes / 8, entry);
}

bool run_reader_loader(struct run_reader *reader, uint64_t index, struct rf_loader_entry *entry)
{
    if (!read_entry(reader, RF_SECTION_LOADERS, index, entry, sizeof *entry))
        return false;
    DS_END_STRING(entry->name);
    DS_END_STRING(entry->site);
    DS_END_STRING(entry->dataset_type);
    return true;
}

bool run_reader_stage(struct run_reader *reader, uint64_t index, struct rf_stage_entry *entry)
{
    if (!read_entry(reader, RF_SECTION_STAGES, index, entry, sizeof *entry))
        return false;
    DS_END_STRING(entry->name);
    return true;
}

uint32_t run_reader_stages(struct run_reader *reader,
                           struct rf_stage_entry entries[RF_STAGE_CAPACITY])
{
    const uint32_t room = RF_STAGE_CAPACITY;
    const struct rf_section *section = rf_section_of(&reader->file.header, RF_SECTION_STAGES);
    if (section == NULL)
        return 0;
    uint32_t count = section->entry_count < room ? (uint32_t)section->entry_count : room;
    if (section->entry_bytes != sizeof *entries) { /* of a later version */
        for (uint32_t i = 0; i < count; i++) {
            if (!run_reader_stage(reader, i, &entries[i]))
                entries[i].state = 0;
        }
        return count;
    }
    /* Twice: a name is whole if its state was set before the name was read. */
    uint64_t states[RF_STAGE_CAPACITY] = {0};
    for (int pass = 0; pass < 2; pass++) {
        if (!rf_source_read(&reader->file.source, section->offset / 8, count * sizeof *entries / 8,
                            (uint64_t *)(void *)entries)) {
            run_reader_note(reader, "the file ends within section %u", RF_SECTION_STAGES);
            return 0;
        }
        ds_fence_acquire();
        for (uint32_t i = 0; i < count && pass == 0; i++)
            states[i] = entries[i].state;
    }
    for (uint32_t i = 0; i < count; i++) {
        DS_END_STRING(entries[i].name);
        entries[i].state = states[i];
    }
    return count;
}

enum rf_view_status run_reader_slot(struct run_reader *reader, uint64_t index, unsigned parts,
                                    struct rf_slot_view *view)
{
    uint64_t at = rf_file_entry(&reader->file, RF_SECTION_SLOTS, index);
    if (at == UINT64_MAX || !reader->has_slots)
        return RF_VIEW_UNUSED;
    enum rf_view_status status =
        rf_slot_view_read(&reader->file.source, &reader->slot_layout, at, parts, NULL, view);
    if (status == RF_VIEW_CUT)
        run_reader_note(reader, "the file ends within slot %llu", (unsigned long long)index);
    if (status == RF_VIEW_DAMAGED)
        run_reader_note(reader, "slot %llu is damaged: %s", (unsigned long long)index,
                        view->damage);
    return status;
}

static bool gpu_is_possible(const uint64_t *w)
{
    static const uint8_t times[] = {
        RF_GPU_FIRST_NS,        RF_GPU_LAST_NS,          RF_GPU_CALL_NS,
        RF_GPU_BUSY_NS,         RF_GPU_IDLE_NS,          RF_GPU_UNKNOWN_NS,
        RF_GPU_ENERGY_NS,       RF_GPU_HELD_KNOWN_NS,    RF_GPU_HELD_POWER_NS,
        RF_GPU_HELD_THERMAL_NS, RF_GPU_HELD_HARDWARE_NS, RF_GPU_CALL_LONGEST_NS,
        RF_GPU_UNANSWERED_NS};
    for (size_t i = 0; i < sizeof times; i++) {
        if (w[times[i]] > RF_MOST_NS)
            return false;
    }
    return w[RF_GPU_BUSY_COUNT] <= w[RF_GPU_SAMPLES];
}

bool run_reader_gpu(struct run_reader *reader, uint64_t index, struct rf_gpu_view *view)
{
    uint64_t at = rf_file_entry(&reader->file, RF_SECTION_GPUS, index);
    if (at == UINT64_MAX || !reader->has_gpus)
        return false;
    memset(view, 0, sizeof *view);
    uint64_t version;
    if (rf_source_read(&reader->file.source, at + RF_BLOCK_VERSION, 1, &version) && version == 0)
        return false; /* most entries of a launcher's file */
    view->layout = reader->gpu_layout;
    view->block = malloc(view->layout.words * 8);
    if (view->block == NULL)
        return false;
    bool whole = rf_block_read(&reader->file.source, at, view->layout.words, view->layout.words,
                               view->block);
    const bool possible = whole && gpu_is_possible(view->block + RF_BLOCK_PAYLOAD);
    if (!possible)
        run_reader_note(reader, "GPU entry %llu %s", (unsigned long long)index,
                        whole ? "contradicts itself" : "cannot be read");
    if (!possible || view->block[RF_BLOCK_VERSION] == 0) {
        free(view->block);
        view->block = NULL;
        return false;
    }
    memcpy(view->words, view->block + RF_BLOCK_PAYLOAD, sizeof view->words);
    memcpy(&view->fixed, view->block + RF_BLOCK_PAYLOAD + RF_GPU_STATIC, sizeof view->fixed);
    DS_END_STRING(view->fixed.uuid);
    DS_END_STRING(view->fixed.name);
    return true;
}
