/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault_guard.h"
#include "base/signal_guard.h"

/* ---- making the file ---- */

static void read_boot_id(char *text, size_t size)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    for (ssize_t i = 0; i < length; i++) {
        if (text[i] == '\n')
            text[i] = '\0';
    }
}

/* A file without a name: a writer that is killed before it is whole leaves nothing behind. fd < 0:
 * not on this file system. */
static int open_unnamed(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (length == 0 || length >= sizeof folder || access("/proc/self/fd", X_OK) != 0)
        return -1;
    memcpy(folder, path, length);
    folder[length] = '\0';
    return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int allocate_file(int fd, const char *path, uint64_t bytes, void **map)
{
    int error;
    struct ds_signal_guard guard;
    ds_signal_hold(SIGXFSZ, &guard); /* past the limit of a file's size (ulimit -f) */
    do {
        error = posix_fallocate(fd, 0, (off_t)bytes);
    } while (error == EINTR);
    ds_signal_release(&guard);
    if (error == 0) {
        *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        error = *map == MAP_FAILED ? errno : 0;
    }
    return error == 0 ? DATASTALL_OK
                      : ds_fail_errno(error, "cannot allocate %llu bytes for %s",
                                      (unsigned long long)bytes, path);
}

/* Gives it its name, which must be free. */
static bool name_file(int fd, const char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

static void touch_pages(uint64_t *map, uint64_t bytes)
{
    const uint64_t words_per_page = (uint64_t)sysconf(_SC_PAGESIZE) / 8;
    for (uint64_t i = 0; i < bytes / 8; i += words_per_page)
        ds_store(&map[i], 0);
}

void rf_write_words(uint64_t *to, const void *from, size_t bytes)
{
    const uint64_t *words = from;
    for (size_t i = 0; i < bytes / 8; i++)
        ds_store(&to[i], words[i]);
}

static void write_header(struct rf_writer *writer)
{
    struct rf_header *header = &writer->header;
    header->byte_order = RF_BYTE_ORDER;
    header->format_major = RF_FORMAT_MAJOR;
    header->format_minor = RF_FORMAT_MINOR;
    header->created_mono_ns = ds_now_ns();
    header->created_real_ns = ds_real_ns();
    read_boot_id(header->boot_id, sizeof header->boot_id);
    strncpy(header->writer_version, DATASTALL_VERSION, sizeof header->writer_version - 1);
    memcpy(header->magic, RF_MAGIC, sizeof header->magic);
    header->checksum = rf_checksum(header);
    /* The magic is the first word and is stored last: a file without it is not there yet. */
    const uint64_t *words = (const uint64_t *)header;
    rf_write_words(writer->map + 1, words + 1, sizeof *header - 8);
    ds_store_release(&writer->map[0], words[0]);
}

/* Everything that is known from the start goes into the mapped, zeroed file. */
static void fill(struct rf_writer *writer, const struct rf_process_static *process)
{
    for (uint32_t i = 0; i < writer->header.section_count; i++) {
        const struct rf_section *section = &writer->header.sections[i];
        if (section->type == RF_SECTION_SLOTS)
            rf_slot_layout_of(section->geometry, &writer->slot_layout);
        if (section->type == RF_SECTION_GPUS)
            rf_gpu_layout_of(section->geometry, &writer->gpu_layout);
    }
    uint64_t *block = rf_entry(writer, RF_SECTION_PROCESS, 0);
    rf_commit_attach(&writer->process, block);
    rf_write_words(block + RF_BLOCK_PAYLOAD + RF_PROCESS_STATIC, process, sizeof *process);
    write_header(writer);
}

/* fd is open on a new file, with a name or without. */
static int make_in_file(struct rf_writer *writer, int fd, const struct rf_process_static *process)
{
    void *map = NULL;
    const int status = allocate_file(fd, writer->path, writer->bytes, &map);
    if (status != DATASTALL_OK)
        return status;
    writer->map = map;
    writer->guard = ds_fault_guard(map, writer->bytes, &writer->lost);
    touch_pages(writer->map, writer->bytes);
    fill(writer, process);
    return DATASTALL_OK;
}

static void unmap(struct rf_writer *writer)
{
    ds_fault_unguard(writer->guard);
    writer->guard = -1;
    if (writer->map != NULL)
        munmap(writer->map, writer->bytes);
    writer->map = NULL;
}

/* False: not possible here, nothing is left; *status: how it ended otherwise. */
static bool make_unnamed(struct rf_writer *writer, const struct rf_process_static *process,
                         int *status)
{
    const int fd = open_unnamed(writer->path);
    if (fd < 0)
        return false;
    *status = make_in_file(writer, fd, process);
    const bool named = *status == DATASTALL_OK && name_file(fd, writer->path);
    close(fd);
    if (*status == DATASTALL_OK && !named)
        unmap(writer);
    return *status != DATASTALL_OK || named;
}

static int make_named(struct rf_writer *writer, const struct rf_process_static *process)
{
    const int fd = open(writer->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return ds_fail_errno(errno, "cannot create %s", writer->path);
    const int status = make_in_file(writer, fd, process);
    close(fd);
    if (status != DATASTALL_OK)
        unlink(writer->path);
    return status;
}

static int make_in_memory(struct rf_writer *writer, const struct rf_process_static *process)
{
    void *map =
        mmap(NULL, writer->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return ds_fail_errno(errno, "cannot map %llu bytes", (unsigned long long)writer->bytes);
    writer->map = map;
    fill(writer, process);
    return DATASTALL_OK;
}

int rf_writer_create(const char *path, const struct rf_spec *spec,
                     const struct rf_process_static *process, struct rf_writer **result)
{
    *result = NULL;
    struct rf_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    writer->guard = -1;
    rf_layout_file(spec, &writer->header);
    writer->bytes = writer->header.file_bytes;
    int status = DATASTALL_OK;
    if (path == NULL)
        status = make_in_memory(writer, process);
    else if ((writer->path = strdup(path)) == NULL)
        status = ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    else if (!make_unnamed(writer, process, &status))
        status = make_named(writer, process);
    if (status != DATASTALL_OK) {
        free(writer->path);
        free(writer);
        return status;
    }
    *result = writer;
    return DATASTALL_OK;
}

void rf_writer_destroy(struct rf_writer *writer)
{
    if (writer == NULL)
        return;
    unmap(writer);
    free(writer->path);
    free(writer);
}

void rf_writer_mark_closed(struct rf_writer *writer)
{
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_STATE, RF_STATE_CLOSED);
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_ENDED_MONO, ds_now_ns());
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_ENDED_REAL, ds_real_ns());
    rf_publish(&writer->process);
}

void rf_count_loss(struct rf_writer *writer, uint32_t process_word)
{
    __atomic_fetch_add(&writer->process.block[RF_BLOCK_PAYLOAD + process_word], 1,
                       __ATOMIC_RELAXED);
}

static void add_to_loader(struct rf_writer *writer, uint32_t loader, size_t offset, uint64_t value)
{
    uint64_t *entry = rf_entry(writer, RF_SECTION_LOADERS, loader);
    if (entry != NULL)
        __atomic_fetch_add(&entry[offset / 8], value, __ATOMIC_RELAXED);
}

void rf_count_object(struct rf_writer *writer, uint32_t loader)
{
    add_to_loader(writer, loader, offsetof(struct rf_loader_entry, objects), 1);
}

void rf_count_dropped(struct rf_writer *writer, uint32_t loader)
{
    add_to_loader(writer, loader, offsetof(struct rf_loader_entry, dropped), 1);
}

void rf_count_unknown_worker(struct rf_writer *writer, uint32_t loader, uint64_t batches)
{
    add_to_loader(writer, loader, offsetof(struct rf_loader_entry, unknown_worker_batches),
                  batches);
}

void rf_count_pause(struct rf_writer *writer, uint32_t loader, uint64_t loader_ns,
                    uint64_t process_ns)
{
    add_to_loader(writer, loader, offsetof(struct rf_loader_entry, paused_ns), loader_ns);
    __atomic_fetch_add(&writer->process.block[RF_BLOCK_PAYLOAD + RF_PROCESS_PAUSED_NS], process_ns,
                       __ATOMIC_RELAXED);
}

uint64_t *rf_entry(const struct rf_writer *writer, uint32_t section_type, uint64_t index)
{
    const struct rf_section *section = rf_section_of(&writer->header, section_type);
    if (section == NULL || index >= section->entry_count)
        return NULL;
    return writer->map + (section->offset + index * section->entry_bytes) / 8;
}

uint64_t rf_entry_count(const struct rf_writer *writer, uint32_t section_type)
{
    const struct rf_section *section = rf_section_of(&writer->header, section_type);
    return section == NULL ? 0 : section->entry_count;
}

void rf_write_loader(struct rf_writer *writer, uint32_t index, const struct rf_loader_entry *entry)
{
    uint64_t *words = rf_entry(writer, RF_SECTION_LOADERS, index);
    rf_write_words(words + 1, (const char *)entry + 8, sizeof *entry - 8);
    ds_store_release(words, 1);
}

void rf_write_stage(struct rf_writer *writer, uint32_t index, const char *name)
{
    struct rf_stage_entry entry = {.state = 1};
    strncpy(entry.name, name, sizeof entry.name - 1);
    uint64_t *words = rf_entry(writer, RF_SECTION_STAGES, index);
    rf_write_words(words + 1, (const char *)&entry + 8, sizeof entry - 8);
    ds_store_release(words, 1);
}
