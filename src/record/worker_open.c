/* SPDX-License-Identifier: Apache-2.0 */
/* Where a worker writes: found, mapped, and given back. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault_guard.h"
#include "base/fork_guard.h"
#include "record/worker.h"
#include "runfile/liveness.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

static struct worker *make(uint64_t *entries, uint64_t entry_words, uint64_t entry_count,
                           const struct rf_worker_layout *layout)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->memory = calloc(layout->words, 8);
    worker->fork_generation = ds_fork_generation();
    if (worker->memory == NULL || worker->fork_generation == 0) {
        free(worker->memory);
        free(worker);
        return NULL;
    }
    worker->entries = entries;
    worker->entry_words = entry_words;
    worker->entry_count = entry_count;
    worker->layout = *layout;
    worker->guard = -1;
    worker->entry = worker->memory;
    worker->pid = (uint64_t)getpid();
    worker->start_ticks = rf_start_ticks_of(worker->pid);
    worker->given = &entries[RF_WORKER_GIVEN];
    worker->given_seen = UINT64_MAX;
    worker_clocks_open(&worker->clocks);
    worker->opened_ns = ds_now_ns();
    rf_worker_counters_clear(worker->totals);
    worker_read_io(worker, worker->opened_ns);
    return worker;
}

static const struct rf_section *worker_section(const struct rf_header *header,
                                               struct rf_worker_layout *layout)
{
    const struct rf_section *section = rf_section_of(header, RF_SECTION_WORKERS);
    return section != NULL && rf_worker_layout_of(section->geometry, layout) &&
                   section->entry_bytes % 8 == 0 && section->entry_bytes >= layout->words * 8
               ? section
               : NULL;
}

struct worker *worker_open_inherited(const struct rf_writer *writer)
{
    struct rf_worker_layout layout;
    const struct rf_section *section = worker_section(&writer->header, &layout);
    if (section == NULL)
        return NULL;
    return make(writer->map + section->offset / 8, section->entry_bytes / 8, section->entry_count,
                &layout);
}

struct worker *worker_open_own(const struct rf_writer *writer, uint64_t index)
{
    struct worker *worker = worker_open_inherited(writer);
    if (worker == NULL)
        return NULL;
    if (index < worker->entry_count) {
        worker->entries += index * worker->entry_words;
        worker->entry_count = 1;
    }
    return worker;
}

/* Maps one run file and makes the worker; NULL when it is no file of this version. */
static struct worker *open_file(const char *path)
{
    struct rf_header header;
    struct rf_worker_layout layout;
    struct stat status;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    struct worker *worker = NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header &&
        memcmp(header.magic, RF_MAGIC, sizeof header.magic) == 0 &&
        header.format_major == RF_FORMAT_MAJOR && header.checksum == rf_checksum(&header) &&
        (uint64_t)status.st_size >= header.file_bytes) {
        const struct rf_section *section = worker_section(&header, &layout);
        if (section != NULL && section->entry_count <= RF_MAX_FILE_BYTES / section->entry_bytes &&
            section->offset <= header.file_bytes &&
            section->entry_bytes * section->entry_count <= header.file_bytes - section->offset) {
            void *map = mmap(NULL, header.file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (map != MAP_FAILED) {
                worker = make((uint64_t *)map + section->offset / 8, section->entry_bytes / 8,
                              section->entry_count, &layout);
                if (worker == NULL) {
                    munmap(map, header.file_bytes);
                } else {
                    worker->own_map = map;
                    worker->own_map_bytes = header.file_bytes;
                    worker->guard = ds_fault_guard(map, header.file_bytes, &worker->lost);
                }
            }
        }
    }
    close(fd);
    return worker;
}

struct worker *worker_open_in_folder(const char *folder, uint64_t parent_pid)
{
    char given[PATH_MAX], place[PATH_MAX], path[PATH_MAX], prefix[32], **names;
    uint32_t count;
    struct worker *worker = NULL;
    rf_run_writing_place(folder, getenv("DATASTALL_RUN_HOME"), given);
    rf_run_reading_place(given, place);
    if (rf_run_files(place, &names, &count, NULL) != 0)
        return NULL;
    snprintf(prefix, sizeof prefix, "%llu-", (unsigned long long)parent_pid);
    /* A pid may have been used before in a long run: the newest file is the parent's. */
    uint64_t newest_ns = 0;
    char best[PATH_MAX] = "";
    for (uint32_t i = 0; i < count; i++) {
        struct stat status;
        if (strncmp(names[i], prefix, strlen(prefix)) != 0 ||
            snprintf(path, sizeof path, "%s/%s", place, names[i]) >= (int)sizeof path ||
            lstat(path, &status) != 0)
            continue;
        const uint64_t changed_ns =
            (uint64_t)status.st_ctim.tv_sec * DS_NS_PER_S + (uint64_t)status.st_ctim.tv_nsec;
        if (changed_ns > newest_ns) {
            newest_ns = changed_ns;
            strcpy(best, path);
        }
    }
    rf_run_files_free(names, count);
    if (best[0] != '\0')
        worker = open_file(best);
    return worker;
}

void worker_close(struct worker *worker)
{
    if (worker == NULL)
        return;
    ds_fault_unguard(worker->guard);
    if (worker->own_map != NULL)
        munmap(worker->own_map, worker->own_map_bytes);
    if (worker_is_ours(worker))
        worker_clocks_close(&worker->clocks);
    free(worker->memory);
    free(worker);
}
