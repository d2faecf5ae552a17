/* SPDX-License-Identifier: Apache-2.0 */
#include "run/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "runfile/layout.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

/* Real time at which the oldest run file of a folder was made, 0 if it holds none. */
static uint64_t created_ns_of(const char *folder)
{
    char place[PATH_MAX], **names;
    uint32_t count;
    uint64_t oldest = 0;
    rf_run_reading_place(folder, place);
    if (rf_run_files(place, &names, &count, NULL) != DATASTALL_OK)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct rf_header header;
        if (snprintf(path, sizeof path, "%s/%s", place, names[i]) >= PATH_MAX)
            continue;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
            continue;
        if (read(fd, &header, sizeof header) == (ssize_t)sizeof header &&
            memcmp(header.magic, RF_MAGIC, sizeof header.magic) == 0 &&
            (oldest == 0 || header.created_real_ns < oldest))
            oldest = header.created_real_ns;
        close(fd);
    }
    rf_run_files_free(names, count);
    return oldest;
}

static int compare_runs(const void *a, const void *b)
{
    const struct run_entry *one = a, *other = b;
    if (one->created_ns != other->created_ns)
        return one->created_ns < other->created_ns ? -1 : 1;
    return strcmp(one->id, other->id);
}

int run_list(const char *base, struct run_entry **runs, uint32_t *count)
{
    *runs = NULL;
    *count = 0;
    DIR *directory = opendir(base);
    if (directory == NULL)
        return errno == ENOENT ? DATASTALL_OK
                               : ds_fail_errno(errno, "cannot open the folder %s", base);
    uint32_t capacity = 0;
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char path[PATH_MAX];
        struct stat status;
        if (entry->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s", base, entry->d_name) >= PATH_MAX ||
            stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
            continue;
        if (*count == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            struct run_entry *more = realloc(*runs, capacity * sizeof **runs);
            if (more == NULL)
                break;
            *runs = more;
        }
        struct run_entry run = {strdup(entry->d_name), created_ns_of(path)};
        if (run.id != NULL)
            (*runs)[(*count)++] = run;
    }
    closedir(directory);
    if (*count > 1)
        qsort(*runs, *count, sizeof **runs, compare_runs);
    return DATASTALL_OK;
}

void run_list_free(struct run_entry *runs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(runs[i].id);
    free(runs);
}

void run_explain_absence(const char *folder, char *sentence, size_t size)
{
    char target[PATH_MAX];
    sentence[0] = '\0';
    if (!rf_note_read(folder, RF_TMPFS_NOTE, target) || rf_tmpfs_belongs(target, folder))
        return;
    if (rf_tmpfs_is_name(target) && access(target, F_OK) != 0)
        snprintf(sentence, size,
                 "it was recorded in %.300s, which is not here: on another machine, or lost when "
                 "this one was restarted",
                 target);
    else
        snprintf(sentence, size, "its note %s names %.300s, which is no folder of this run",
                 RF_TMPFS_NOTE, target);
}
