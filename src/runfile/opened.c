/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/opened.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean_text.h"
#include "base/error.h"

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

static int check_sections(const struct rf_header *header, const char *path)
{
    if (header->section_count > RF_MAX_SECTIONS || header->file_bytes > RF_MAX_FILE_BYTES)
        return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: its header is impossible", path);
    for (uint32_t i = 0; i < header->section_count; i++) {
        const struct rf_section *section = &header->sections[i];
        const bool is_process = section->type == RF_SECTION_PROCESS;
        if (section != rf_section_of(header, section->type))
            return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: section %u appears twice", path,
                           section->type);
        if (!section_is_possible(header, section) ||
            (is_process && section->entry_bytes < RF_PROCESS_BLOCK_WORDS * 8))
            return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: section %u lies outside it", path,
                           i);
    }
    const struct rf_section *process = rf_section_of(header, RF_SECTION_PROCESS);
    if (process == NULL || process->entry_count == 0)
        return ds_fail(DATASTALL_ERR_DAMAGED, "%s is damaged: it has no process section", path);
    return DATASTALL_OK;
}

static int read_header(struct rf_file *file, const char *path)
{
    struct stat status;
    if (fstat(file->source.fd, &status) != 0 || !S_ISREG(status.st_mode))
        return ds_fail(DATASTALL_ERR_FOREIGN, "%s is not a regular file", path);
    if (status.st_size < (off_t)RF_HEADER_BYTES)
        return ds_fail(DATASTALL_ERR_DAMAGED, "%s is cut short: %lld bytes are no header", path,
                       (long long)status.st_size);
    file->source.bytes = (uint64_t)status.st_size;
    if (!rf_source_read(&file->source, 0, sizeof file->header / 8,
                        (uint64_t *)(void *)&file->header))
        return ds_fail(DATASTALL_ERR_IO, "cannot read %s", path);
    const int error = check_identity(&file->header, path);
    return error != DATASTALL_OK ? error : check_sections(&file->header, path);
}

int rf_file_open(const char *path, struct rf_file *file)
{
    file->source =
        (struct rf_source){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    if (file->source.fd < 0)
        return ds_fail_errno(errno, "cannot open %s", path);
    const int error = read_header(file, path);
    if (error != DATASTALL_OK)
        rf_file_close(file);
    return error;
}

void rf_file_close(struct rf_file *file)
{
    close(file->source.fd);
}

uint64_t rf_file_entry(const struct rf_file *file, uint32_t section_type, uint64_t index)
{
    const struct rf_section *section = rf_section_of(&file->header, section_type);
    if (section == NULL || index >= section->entry_count)
        return UINT64_MAX;
    return (section->offset + index * section->entry_bytes) / 8;
}

bool rf_file_process(const struct rf_file *file, struct rf_process_view *view)
{
    uint64_t block[RF_PROCESS_BLOCK_WORDS];
    if (!rf_block_read(&file->source, rf_file_entry(file, RF_SECTION_PROCESS, 0),
                       RF_PROCESS_BLOCK_WORDS, RF_PROCESS_BLOCK_WORDS, block))
        return false;
    memcpy(view->words, block + RF_BLOCK_PAYLOAD, sizeof view->words);
    memcpy(&view->fixed, block + RF_BLOCK_PAYLOAD + RF_PROCESS_STATIC, sizeof view->fixed);
    DS_END_STRING(view->fixed.hostname);
    DS_END_STRING(view->fixed.job);
    DS_END_STRING(view->fixed.node);
    DS_END_STRING(view->fixed.pod);
    DS_END_STRING(view->fixed.name);
    DS_END_STRING(view->fixed.directory);
    DS_END_STRING(view->fixed.command);
    DS_END_STRING(view->fixed.settings);
    return true;
}
