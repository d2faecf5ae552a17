/* Runs on tmpfs that nobody writes to any more, as readers find them: they are brought home, and
 * what kills have left there is removed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "run/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

#define SHM "/dev/shm"
#define HOMELESS_MARK "home-is-gone"

/* The run folder may have been moved since: then the note on tmpfs names a folder that is not
 * there. A copy of a run folder is no home. */
static bool is_home_of(const char *folder, const char *tmpfs)
{
    char home[PATH_MAX];
    struct stat one, other;
    if (!rf_tmpfs_read_home(tmpfs, home) || stat(folder, &one) != 0)
        return false;
    if (stat(home, &other) == 0)
        return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
    return errno == ENOENT;
}

static double seconds_since(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return difftime(now.tv_sec, then->tv_sec);
}

static bool is_empty_of_runs(const char *folder)
{
    char **names;
    uint32_t count;
    if (rf_run_files(folder, &names, &count, NULL) != DATASTALL_OK)
        return false;
    rf_run_files_free(names, count);
    return count == 0;
}

/* Its notes or its first file may be about to come. */
static bool is_in_the_making(const char *tmpfs)
{
    struct stat status;
    char shut[PATH_MAX];
    snprintf(shut, sizeof shut, "%.200s/" RF_SHUT_NOTE, tmpfs);
    return lstat(tmpfs, &status) == 0 && seconds_since(&status.st_ctim) < RUN_TMPFS_YOUNG_S &&
           lstat(shut, &status) != 0 && is_empty_of_runs(tmpfs);
}

int run_settle(const char *folder)
{
    struct rf_run run;
    bool stays;
    if (realpath(folder, run.path) == NULL)
        return DATASTALL_OK;
    rf_run_reading_place(run.path, run.tmpfs);
    if (!rf_run_is_on_tmpfs(&run) || !rf_tmpfs_is_ours(run.tmpfs) ||
        !is_home_of(run.path, run.tmpfs) || is_in_the_making(run.tmpfs))
        return DATASTALL_OK;
    return rf_run_finish(&run, &stays);
}

struct sweep {
    void (*found)(void *context, const struct run_orphan *orphan);
    void *context;
};

static void tell(const struct sweep *sweep, enum run_orphan_kind kind, const char *tmpfs,
                 const char *home, const char *sentence)
{
    const struct run_orphan orphan = {kind, tmpfs, home, sentence};
    if (sweep->found != NULL)
        sweep->found(sweep->context, &orphan);
}

static void remove_path(const char *tmpfs)
{
    const int fd = rf_open_folder(tmpfs);
    if (fd < 0)
        return;
    rf_tmpfs_remove(fd, tmpfs);
    close(fd);
}

/* Since when its home is known to be gone; the first to see it notes that. */
static double homeless_s(const char *tmpfs)
{
    char mark[PATH_MAX];
    struct stat status;
    snprintf(mark, sizeof mark, "%.200s/" HOMELESS_MARK, tmpfs);
    if (lstat(mark, &status) == 0)
        return seconds_since(&status.st_mtim);
    rf_note_write(tmpfs, HOMELESS_MARK, "since this file was made");
    return 0;
}

static void sweep_homeless(const struct sweep *sweep, const char *tmpfs, const char *home)
{
    char parent[PATH_MAX], sentence[256];
    snprintf(parent, sizeof parent, "%s", home);
    char *slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent)
        *slash = '\0';
    if (is_empty_of_runs(tmpfs)) {
        remove_path(tmpfs);
        return;
    }
    if (rf_tmpfs_is_written(tmpfs))
        return;
    if (access(parent, F_OK) != 0) {
        tell(sweep, RUN_ORPHAN_UNREACHABLE, tmpfs, home, "the folder of its run cannot be reached");
        return;
    }
    if (homeless_s(tmpfs) > RUN_TMPFS_GRACE_S) {
        remove_path(tmpfs);
        return;
    }
    snprintf(sentence, sizeof sentence, "its run folder was removed; it goes a day after that");
    tell(sweep, RUN_ORPHAN_HOMELESS, tmpfs, home, sentence);
}

/* There is a way home, and the run folder there does not know this one. */
static void sweep_unknown(const struct sweep *sweep, const char *tmpfs, const char *home)
{
    struct stat status;
    if (stat(home, &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            sweep_homeless(sweep, tmpfs, home);
        else
            tell(sweep, RUN_ORPHAN_UNREACHABLE, tmpfs, home, strerror(errno));
        return;
    }
    /* Shut, it came home before its name was taken away there. Open and empty, it was never used. */
    if (!rf_tmpfs_is_open(tmpfs) || is_empty_of_runs(tmpfs))
        remove_path(tmpfs);
    else if (!rf_tmpfs_is_written(tmpfs))
        tell(sweep, RUN_ORPHAN_UNKNOWN, tmpfs, home, "its run folder does not name it");
}

static void sweep_one(const struct sweep *sweep, const char *tmpfs)
{
    struct rf_run run;
    bool stays;
    if (is_in_the_making(tmpfs))
        return;
    if (!rf_tmpfs_read_home(tmpfs, run.path)) {
        if (is_empty_of_runs(tmpfs))
            remove_path(tmpfs); /* its maker was killed before the first note */
        else if (access(tmpfs, F_OK) == 0)
            tell(sweep, RUN_ORPHAN_UNKNOWN, tmpfs, "", "it does not say which run it belongs to");
    } else if (!rf_run_names_tmpfs(run.path, tmpfs)) {
        sweep_unknown(sweep, tmpfs, run.path);
    } else if (rf_run_of_tmpfs(tmpfs, &run) && rf_run_finish(&run, &stays) != DATASTALL_OK) {
        tell(sweep, RUN_ORPHAN_STUCK, tmpfs, run.path, datastall_last_error());
    }
}

void run_sweep(void (*found)(void *context, const struct run_orphan *orphan), void *context)
{
    const struct sweep sweep = {found, context};
    DIR *directory = opendir(SHM);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char path[sizeof SHM + NAME_MAX + 1];
        snprintf(path, sizeof path, SHM "/%s", entry->d_name);
        if (rf_tmpfs_is_name(path) && rf_tmpfs_is_ours(path))
            sweep_one(&sweep, path);
    }
    if (directory != NULL)
        closedir(directory);
}
