#include "runfile/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

void rf_reader_note(struct rf_reader *reader, const char *format, ...)
{
    if (reader->problems++ > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reader->first_problem, sizeof reader->first_problem, format, arguments);
    va_end(arguments);
}

/* ---- opening ---- */

static int check_identity(const struct rf_header *header, const char *path)
{
    static const char nothing[8];
    if (memcmp(header->magic, nothing, 8) == 0)
        return ds_fail(DATASTALL_ERR_DAMAGED,
                       "%s has no header: its writer stopped while making it", path);
    if (memcmp(header->magic, RF_MAGIC, 8) != 0)
        return ds_fail(DATASTALL_ERR_FOREIGN, "%s is not a datastall run file", path);
    if (header->byte_order == __builtin_bswap32(RF_BYTE_ORDER))
        return ds_fail(DATASTALL_ERR_FOREIGN, "%s was written on a machine of the other byte order",
                       path);
    if (header->byte_order != RF_BYTE_ORDER)
        return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: its byte-order mark is wrong", path);
    if (header->format_major > RF_FORMAT_MAJOR)
        return ds_fail(DATASTALL_ERR_NEWER,
                       "%s was written by a newer datastall (format %u; this one reads up to %u)",
                       path, header->format_major, RF_FORMAT_MAJOR);
    if (header->checksum != rf_checksum(header))
        return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: its header's checksum is wrong",
                       path);
    return DATASTALL_OK;
}

static bool section_is_possible(const struct rf_header *header, const struct rf_section *section)
{
    const uint64_t limit = header->file_bytes;
    return section->offset % 64 == 0 && section->entry_bytes % 64 == 0 &&
           section->entry_bytes > 0 && section->offset <= limit &&
           section->entry_count <= limit / section->entry_bytes &&
           section->entry_bytes * section->entry_count <= limit - section->offset;
}

static uint64_t least_entry_bytes(struct rf_reader *reader, const struct rf_section *section)
{
    switch (section->type) {
    case RF_SECTION_PROCESS:
        return RF_PROCESS_BLOCK_WORDS * 8;
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
        /* Format 1.0 reserved the space and wrote nothing: its geometry is zero. */
        reader->has_workers = rf_worker_layout_of(section->geometry, &reader->worker_layout);
        return reader->has_workers                            ? reader->worker_layout.words * 8
               : section->geometry[RF_WORKER_GEO_RECENT] == 0 ? 0
                                                              : UINT64_MAX;
    default:
        return 0; /* a section of a later version: skipped */
    }
}

static int check_sections(struct rf_reader *reader, const char *path)
{
    const struct rf_header *header = &reader->header;
    if (header->section_count > RF_MAX_SECTIONS || header->file_bytes > RF_MAX_FILE_BYTES)
        return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: its header is impossible", path);
    for (uint32_t i = 0; i < header->section_count; i++) {
        const struct rf_section *section = &header->sections[i];
        if (section != rf_section_of(&reader->header, section->type))
            return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: section %u stands twice", path,
                           section->type);
        if (!section_is_possible(header, section) ||
            section->entry_bytes < least_entry_bytes(reader, section))
            return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: section %u lies outside it", path,
                           i);
    }
    if (rf_reader_count(reader, RF_SECTION_PROCESS) == 0)
        return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: it has no process section", path);
    return DATASTALL_OK;
}

int rf_reader_open(const char *path, struct rf_reader **result)
{
    *result = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return ds_fail_errno(errno, "cannot open %s", path);
    struct stat status;
    struct rf_reader *reader = calloc(1, sizeof *reader);
    int error = DATASTALL_OK;
    if (reader == NULL)
        error = ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    else if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        error = ds_fail(DATASTALL_ERR_FOREIGN, "%s is not a regular file", path);
    else if (status.st_size < (off_t)RF_HEADER_BYTES)
        error = ds_fail(DATASTALL_ERR_DAMAGED, "%s is cut short: %lld bytes are no header", path,
                        (long long)status.st_size);
    if (error != DATASTALL_OK) {
        close(fd);
        free(reader);
        return error;
    }
    reader->source = (struct rf_source){.fd = fd, .bytes = (uint64_t)status.st_size};
    if (!rf_source_read(&reader->source, 0, sizeof reader->header / 8,
                        (uint64_t *)(void *)&reader->header))
        error = ds_fail(DATASTALL_ERR_IO, "cannot read %s", path);
    else
        error = check_identity(&reader->header, path);
    if (error == DATASTALL_OK)
        error = check_sections(reader, path);
    if (error != DATASTALL_OK) {
        rf_reader_close(reader);
        return error;
    }
    if (reader->source.bytes < reader->header.file_bytes)
        rf_reader_note(reader, "%s is cut short: %llu of %llu bytes", path,
                       (unsigned long long)reader->source.bytes,
                       (unsigned long long)reader->header.file_bytes);
    *result = reader;
    return DATASTALL_OK;
}

void rf_reader_close(struct rf_reader *reader)
{
    if (reader == NULL)
        return;
    close(reader->source.fd);
    free(reader);
}

/* ---- sections ---- */

uint64_t rf_reader_count(const struct rf_reader *reader, uint32_t section_type)
{
    const struct rf_section *section = rf_section_of(&reader->header, section_type);
    return section == NULL ? 0 : section->entry_count;
}

/* First word of an entry, UINT64_MAX if there is none. */
static uint64_t entry_at(const struct rf_reader *reader, uint32_t type, uint64_t index)
{
    const struct rf_section *section = rf_section_of(&reader->header, type);
    if (section == NULL || index >= section->entry_count)
        return UINT64_MAX;
    return (section->offset + index * section->entry_bytes) / 8;
}

#define END_STRING(array) ((array)[sizeof(array) - 1] = '\0')

bool rf_reader_process(struct rf_reader *reader, struct rf_process_view *view)
{
    uint64_t block[RF_PROCESS_BLOCK_WORDS];
    uint64_t at = entry_at(reader, RF_SECTION_PROCESS, 0);
    if (!rf_block_read(&reader->source, at, RF_PROCESS_BLOCK_WORDS, RF_PROCESS_BLOCK_WORDS,
                       block)) {
        rf_reader_note(reader, "the process section cannot be read");
        return false;
    }
    memcpy(view->words, block + RF_BLOCK_PAYLOAD, sizeof view->words);
    memcpy(&view->fixed, block + RF_BLOCK_PAYLOAD + RF_PROCESS_STATIC, sizeof view->fixed);
    END_STRING(view->fixed.hostname);
    END_STRING(view->fixed.name);
    END_STRING(view->fixed.directory);
    END_STRING(view->fixed.command);
    return true;
}

static bool read_entry(struct rf_reader *reader, uint32_t type, uint64_t index, void *entry,
                       size_t bytes)
{
    uint64_t at = entry_at(reader, type, index);
    if (at == UINT64_MAX)
        return false;
    uint64_t state;
    if (!rf_source_read(&reader->source, at, 1, &state)) {
        rf_reader_note(reader, "the file ends within section %u", type);
        return false;
    }
    ds_fence_acquire();
    return state == 1 && rf_source_read(&reader->source, at, bytes / 8, entry);
}

bool rf_reader_loader(struct rf_reader *reader, uint64_t index, struct rf_loader_entry *entry)
{
    if (!read_entry(reader, RF_SECTION_LOADERS, index, entry, sizeof *entry))
        return false;
    END_STRING(entry->name);
    END_STRING(entry->site);
    END_STRING(entry->dataset_type);
    return true;
}

bool rf_reader_stage(struct rf_reader *reader, uint64_t index, struct rf_stage_entry *entry)
{
    if (!read_entry(reader, RF_SECTION_STAGES, index, entry, sizeof *entry))
        return false;
    END_STRING(entry->name);
    return true;
}

uint32_t rf_reader_stages(struct rf_reader *reader,
                          struct rf_stage_entry entries[RF_STAGE_CAPACITY])
{
    const uint32_t room = RF_STAGE_CAPACITY;
    const struct rf_section *section = rf_section_of(&reader->header, RF_SECTION_STAGES);
    if (section == NULL)
        return 0;
    uint32_t count = section->entry_count < room ? (uint32_t)section->entry_count : room;
    if (section->entry_bytes != sizeof *entries) { /* of a later version */
        for (uint32_t i = 0; i < count; i++) {
            if (!rf_reader_stage(reader, i, &entries[i]))
                entries[i].state = 0;
        }
        return count;
    }
    /* Twice: a name is whole if its state was set before the name was read. */
    uint64_t states[RF_STAGE_CAPACITY] = {0};
    for (int pass = 0; pass < 2; pass++) {
        if (!rf_source_read(&reader->source, section->offset / 8, count * sizeof *entries / 8,
                            (uint64_t *)(void *)entries)) {
            rf_reader_note(reader, "the file ends within section %u", RF_SECTION_STAGES);
            return 0;
        }
        ds_fence_acquire();
        for (uint32_t i = 0; i < count && pass == 0; i++)
            states[i] = entries[i].state;
    }
    for (uint32_t i = 0; i < count; i++) {
        END_STRING(entries[i].name);
        entries[i].state = states[i];
    }
    return count;
}

enum rf_view_status rf_reader_slot(struct rf_reader *reader, uint64_t index, unsigned parts,
                                   struct rf_slot_view *view)
{
    uint64_t at = entry_at(reader, RF_SECTION_SLOTS, index);
    if (at == UINT64_MAX || !reader->has_slots)
        return RF_VIEW_UNUSED;
    enum rf_view_status status =
        rf_slot_view_read(&reader->source, &reader->slot_layout, at, parts, NULL, view);
    if (status == RF_VIEW_CUT)
        rf_reader_note(reader, "the file ends within slot %llu", (unsigned long long)index);
    if (status == RF_VIEW_DAMAGED)
        rf_reader_note(reader, "slot %llu is damaged: %s", (unsigned long long)index, view->damage);
    return status;
}

static bool gpu_is_possible(const uint64_t *w)
{
    static const uint8_t times[] = {
        RF_GPU_FIRST_NS,      RF_GPU_LAST_NS,         RF_GPU_CALL_NS,         RF_GPU_BUSY_NS,
        RF_GPU_IDLE_NS,       RF_GPU_UNKNOWN_NS,      RF_GPU_ENERGY_NS,       RF_GPU_HELD_KNOWN_NS,
        RF_GPU_HELD_POWER_NS, RF_GPU_HELD_THERMAL_NS, RF_GPU_HELD_HARDWARE_NS};
    for (size_t i = 0; i < sizeof times; i++) {
        if (w[times[i]] > RF_MOST_NS)
            return false;
    }
    return w[RF_GPU_BUSY_COUNT] <= w[RF_GPU_SAMPLES];
}

bool rf_reader_gpu(struct rf_reader *reader, uint64_t index, struct rf_gpu_view *view)
{
    uint64_t at = entry_at(reader, RF_SECTION_GPUS, index);
    if (at == UINT64_MAX || !reader->has_gpus)
        return false;
    memset(view, 0, sizeof *view);
    uint64_t version;
    if (rf_source_read(&reader->source, at + RF_BLOCK_VERSION, 1, &version) && version == 0)
        return false; /* most entries of a launcher's file */
    view->layout = reader->gpu_layout;
    view->block = malloc(view->layout.words * 8);
    if (view->block == NULL)
        return false;
    bool whole =
        rf_block_read(&reader->source, at, view->layout.words, view->layout.words, view->block);
    const bool possible = whole && gpu_is_possible(view->block + RF_BLOCK_PAYLOAD);
    if (!possible)
        rf_reader_note(reader, "GPU entry %llu %s", (unsigned long long)index,
                       whole ? "contradicts itself" : "cannot be read");
    if (!possible || view->block[RF_BLOCK_VERSION] == 0) {
        free(view->block);
        view->block = NULL;
        return false;
    }
    memcpy(view->words, view->block + RF_BLOCK_PAYLOAD, sizeof view->words);
    memcpy(&view->fixed, view->block + RF_BLOCK_PAYLOAD + RF_GPU_STATIC, sizeof view->fixed);
    END_STRING(view->fixed.uuid);
    END_STRING(view->fixed.name);
    return true;
}

/* ---- workers ---- */

static int compare_items(const void *a, const void *b)
{
    const struct rf_worker_item *one = a, *other = b;
    return one->ns < other->ns ? 1 : one->ns > other->ns ? -1 : 0;
}

/* Rows that were being written when they were read have no time, or another one than before. */
static void take_slowest(const struct rf_worker_layout *layout, const uint64_t *entry,
                         const uint64_t *again, struct rf_worker_view *view)
{
    for (uint64_t i = 0; i < layout->slowest && view->slowest_count < RF_WORKER_SLOWEST; i++) {
        const uint64_t *row = entry + layout->slow_at + i * RF_ITEM_WORDS;
        if (row[RF_ITEM_NS] == 0 || row[RF_ITEM_NS] > RF_MOST_NS ||
            memcmp(row, again + i * RF_ITEM_WORDS, RF_ITEM_WORDS * 8) != 0)
            continue;
        view->slowest[view->slowest_count++] =
            (struct rf_worker_item){row[RF_ITEM_NS], row[RF_ITEM_INDEX], row[RF_ITEM_BEGIN_NS]};
    }
    qsort(view->slowest, view->slowest_count, sizeof *view->slowest, compare_items);
}

static bool worker_is_possible(const struct rf_worker_view *view)
{
    const uint64_t *t = view->totals;
    for (uint32_t i = RF_TOTAL_COUNT; i < RF_TOTAL_ASKED_BYTES; i++) {
        if (t[i] > RF_MOST_NS)
            return false;
    }
    return view->loader < RF_LOADER_CAPACITY && t[RF_TOTAL_BEGIN_NS] <= t[RF_TOTAL_END_NS] &&
           t[RF_TOTAL_BATCHES] <= t[RF_TOTAL_COUNT] && t[RF_TOTAL_FAILED] <= t[RF_TOTAL_COUNT];
}

bool rf_reader_worker(struct rf_reader *reader, uint64_t index, struct rf_worker_view *view)
{
    const struct rf_worker_layout *layout = &reader->worker_layout;
    const uint64_t at = entry_at(reader, RF_SECTION_WORKERS, index);
    memset(view, 0, sizeof *view);
    if (at == UINT64_MAX || !reader->has_workers)
        return false;
    uint64_t head[RF_WORKER_WORDS];
    if (!rf_source_read(&reader->source, at, RF_WORKER_WORDS, head)) {
        rf_reader_note(reader, "the file ends within worker entry %llu", (unsigned long long)index);
        return false;
    }
    if (head[RF_WORKER_GENERATION] == 0 || head[RF_WORKER_COUNT] == 0)
        return false;
    uint64_t *entry = malloc((layout->words + layout->slowest * RF_ITEM_WORDS) * 8);
    uint64_t *again = entry == NULL ? NULL : entry + layout->words;
    bool whole = false, there = entry != NULL;
    /* A copy of the totals lasts for some batches of its worker; a read takes less than one. */
    for (int attempt = 0; attempt < 16 && there && !whole; attempt++) {
        there = rf_source_read(&reader->source, at, layout->words, entry) &&
                rf_source_read(&reader->source, at + layout->slow_at,
                               layout->slowest * RF_ITEM_WORDS, again);
        whole = there && rf_worker_totals(entry, layout, view->totals);
    }
    if (entry != NULL && !there)
        rf_reader_note(reader, "the file ends within worker entry %llu", (unsigned long long)index);
    if (whole) {
        view->generation = entry[RF_WORKER_GENERATION];
        view->loader = entry[RF_WORKER_LOADER];
        view->number = entry[RF_WORKER_NUMBER];
        view->pid = entry[RF_WORKER_PID];
        memcpy(view->items, entry + layout->items_at, sizeof view->items);
        take_slowest(layout, entry, again, view);
    }
    free(entry);
    if (there && (!whole || !worker_is_possible(view))) {
        rf_reader_note(reader, "worker entry %llu contradicts itself", (unsigned long long)index);
        return false;
    }
    return whole;
}
