/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/random.h"
#include "runfile/layout.h"
#include "runfile/tmpfs.h"

#define MAX_NAME 40
#define LOCK_TRIES 100 /* of 2 ms */

const char *rf_base_directory(const char *directory)
{
    if (directory != NULL && directory[0] != '\0')
        return directory;
    const char *variable = getenv("DATASTALL_DIR");
    return variable != NULL && variable[0] != '\0' ? variable : RF_DEFAULT_BASE;
}

/* ---- making a folder ---- */

/* mkdir -p, mode 0700 for what is new. path is changed while it runs. */
static int make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        int failed = mkdir(path, 0700) != 0 && errno != EEXIST;
        if (failed)
            return ds_fail_errno(errno, "cannot create the folder %s", path);
        if (slash == NULL)
            return DATASTALL_OK;
        *slash = '/';
    }
}

static int absolute_path(const char *path, char *absolute)
{
    char here[PATH_MAX];
    int length;
    if (path[0] == '/')
        length = snprintf(absolute, PATH_MAX, "%s", path);
    else if (getcwd(here, sizeof here) == NULL)
        return ds_fail_errno(errno, "cannot tell the current folder");
    else
        length = snprintf(absolute, PATH_MAX, "%s/%s", here, path);
    if (length >= PATH_MAX)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
    while (length > 1 && absolute[length - 1] == '/')
        absolute[--length] = '\0';
    return DATASTALL_OK;
}

static void clean_name(const char *name, char clean[MAX_NAME + 1])
{
    size_t length = 0;
    for (; name != NULL && *name != '\0' && length < MAX_NAME; name++) {
        unsigned char c = (unsigned char)*name;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '.' || c == '_' || c == '-';
        clean[length++] = plain ? (char)c : '_';
    }
    clean[length] = '\0';
    if (length == 0)
        strcpy(clean, "run");
}

int rf_run_create(const char *base, const char *name, struct rf_run *run)
{
    char parent[PATH_MAX], clean[MAX_NAME + 1], stamp[32];
    int error = absolute_path(base, parent);
    if (error == DATASTALL_OK)
        error = make_parents(parent);
    if (error != DATASTALL_OK)
        return error;
    clean_name(name, clean);
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
    for (unsigned attempt = 1; attempt < 10000; attempt++) {
        char suffix[16] = "";
        if (attempt > 1)
            snprintf(suffix, sizeof suffix, "-%u", attempt);
        if (snprintf(run->path, sizeof run->path, "%s/%s-%s%s", parent, stamp, clean, suffix) >=
            PATH_MAX)
            return ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
        if (mkdir(run->path, 0700) == 0) {
            rf_tmpfs_choose(run);
            return DATASTALL_OK;
        }
        if (errno != EEXIST)
            return ds_fail_errno(errno, "cannot create the run folder %s", run->path);
    }
    return ds_fail(DATASTALL_ERR_EXISTS, "cannot find a free name for the run folder in %s",
                   parent);
}

/* ---- what a new file may cost ---- */

static uint64_t bytes_in(const char *folder)
{
    DIR *directory = opendir(folder);
    uint64_t total = 0;
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        struct stat status;
        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode))
            total += (uint64_t)status.st_size;
    }
    if (directory != NULL)
        closedir(directory);
    return total;
}

static uint64_t run_cap_bytes(void)
{
    const char *text = getenv("DATASTALL_RUN_CAP_MIB");
    char *end;
    if (text == NULL || *text == '\0')
        return RF_RUN_CAP_BYTES;
    unsigned long long mib = strtoull(text, &end, 10);
    return *end == '\0' && mib > 0 && mib < (1u << 30) ? (uint64_t)mib << 20 : RF_RUN_CAP_BYTES;
}

static int fail_at_cap(const char *folder, uint64_t cap)
{
    return ds_fail(DATASTALL_ERR_NO_SPACE,
                   "the run folder %s has reached its limit of %llu MiB "
                   "(DATASTALL_RUN_CAP_MIB)",
                   folder, (unsigned long long)(cap >> 20));
}

int rf_run_new_file(const char *folder, uint64_t bytes, char *path)
{
    uint64_t used = bytes_in(folder);
    uint64_t cap = run_cap_bytes();
    if (used + bytes > cap)
        return fail_at_cap(folder, cap);
    struct statvfs space;
    if (strncmp(folder, RF_TMPFS_PREFIX, strlen(RF_TMPFS_PREFIX)) == 0 &&
        statvfs(folder, &space) == 0 && bytes > (uint64_t)space.f_bavail * space.f_frsize / 16)
        return ds_fail(DATASTALL_ERR_NO_SPACE,
                       "recording needs %llu MiB in /dev/shm and may use a sixteenth of the %llu "
                       "MiB free there",
                       (unsigned long long)(bytes >> 20),
                       (unsigned long long)((uint64_t)space.f_bavail * space.f_frsize >> 20));
    const uint32_t random = (uint32_t)ds_random();
    if (snprintf(path, PATH_MAX, "%s/%ld-%08x" RF_FILE_SUFFIX, folder, (long)getpid(), random) >=
        PATH_MAX)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
    return DATASTALL_OK;
}

/* A lock of the folder, which a kill releases; -1 where that cannot be had in time. */
static int lock_folder(const char *folder)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        if (errno != EWOULDBLOCK && errno != EINTR)
            break; /* not on this file system */
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

int rf_run_admit_file(const char *folder, const char *path)
{
    const uint64_t cap = run_cap_bytes();
    if (rf_tmpfs_is_name(folder) && !rf_tmpfs_admits(folder)) {
        unlink(path);
        return ds_fail(DATASTALL_ERR_NOT_FOUND, "the run has left %s", folder);
    }
    /* One after the other: who is turned away makes room for the next. Without a lock two may both
     * be turned away, and still none passes. */
    const int lock = lock_folder(folder);
    const bool fits = bytes_in(folder) <= cap;
    if (!fits)
        unlink(path);
    if (lock >= 0) {
        flock(lock, LOCK_UN); /* also for a child that was forked meanwhile */
        close(lock);
    }
    return fits ? DATASTALL_OK : fail_at_cap(folder, cap);
}

/* ---- listing ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_run_file(const char *name)
{
    const size_t length = strlen(name), suffix = strlen(RF_FILE_SUFFIX);
    return length > suffix && strcmp(name + length - suffix, RF_FILE_SUFFIX) == 0;
}

struct file_list {
    char **names;
    uint32_t count, room;
    uint64_t left_out;
    bool failed;
};

static void add_file(struct file_list *list, const char *name)
{
    if (list->count == RF_MAX_RUN_FILES) {
        list->left_out++;
        /* The launcher's tells what the run was. */
        char *kept = strcmp(name, RF_LAUNCHER_FILE) == 0 ? strdup(name) : NULL;
        if (kept == NULL)
            return;
        free(list->names[list->count - 1]);
        list->names[list->count - 1] = kept;
        return;
    }
    if (list->count == list->room) {
        const uint32_t room = list->room == 0 ? 64 : 2 * list->room;
        char **more = realloc(list->names, room * sizeof *more);
        if (more == NULL) {
            list->failed = true;
            return;
        }
        list->names = more;
        list->room = room;
    }
    list->names[list->count] = strdup(name);
    list->failed |= list->names[list->count] == NULL;
    list->count += !list->failed;
}

int rf_run_files(const char *folder, char ***names, uint32_t *count, uint64_t *left_out)
{
    *names = NULL;
    *count = 0;
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return ds_fail_errno(errno, "cannot open the run folder %s", folder);
    struct file_list list = {.names = NULL};
    struct dirent *entry;
    while (!list.failed && (entry = readdir(directory)) != NULL) {
        if (is_run_file(entry->d_name))
            add_file(&list, entry->d_name);
    }
    closedir(directory);
    if (list.failed) {
        rf_run_files_free(list.names, list.count);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    if (list.count > 1)
        qsort(list.names, list.count, sizeof *list.names, compare_names);
    *names = list.names;
    *count = list.count;
    if (left_out != NULL)
        *left_out = list.left_out;
    return DATASTALL_OK;
}

void rf_run_files_free(char **names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}
