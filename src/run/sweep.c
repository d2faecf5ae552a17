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
#include "runfile/staging.h"

#define SHM "/dev/shm"
#define HOMELESS_MARK "home-is-gone"

/* The run folder may have been moved since: then the note in staging names a folder that is not
 * there. A copy of a run folder is no home. */
static bool is_home_of(const char *folder, const char *staging)
{
    char home[PATH_MAX];
    struct stat one, other;
    if (!rf_staging_read_home(staging, home) || stat(folder, &one) != 0)
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
static bool is_in_the_making(const char *staging)
{
    struct stat status;
    char shut[PATH_MAX];
    snprintf(shut, sizeof shut, "%.200s/" RF_SHUT_NOTE, staging);
    return lstat(staging, &status) == 0 && seconds_since(&status.st_ctim) < RUN_STAGING_YOUNG_S &&
           lstat(shut, &status) != 0 && is_empty_of_runs(staging);
}

int run_settle(const char *folder)
{
    struct rf_run run;
    bool stays;
    if (realpath(folder, run.path) == NULL)
        return DATASTALL_OK;
    rf_run_reading_place(run.path, run.staging);
    if (!rf_run_is_staged(&run) || !rf_staging_is_ours(run.staging) ||
        !is_home_of(run.path, run.staging) || is_in_the_making(run.staging))
        return DATASTALL_OK;
    return rf_run_finish(&run, &stays);
}

struct sweep {
    void (*found)(void *context, const struct run_orphan *orphan);
    void *context;
};

static void tell(const struct sweep *sweep, enum run_orphan_kind kind, const char *staging,
                 const char *home, const char *sentence)
{
    const struct run_orphan orphan = {kind, staging, home, sentence};
    if (sweep->found != NULL)
        sweep->found(sweep->context, &orphan);
}

static void remove_path(const char *staging)
{
    const int fd = rf_open_folder(staging);
    if (fd < 0)
        return;
    rf_staging_remove(fd, staging);
    close(fd);
}

/* Since when its home is known to be gone; the first to see it notes that. */
static double homeless_s(const char *staging)
{
    char mark[PATH_MAX];
    struct stat status;
    snprintf(mark, sizeof mark, "%.200s/" HOMELESS_MARK, staging);
    if (lstat(mark, &status) == 0)
        return seconds_since(&status.st_mtim);
    rf_note_write(staging, HOMELESS_MARK, "since this file was made");
    return 0;
}

static void sweep_homeless(const struct sweep *sweep, const char *staging, const char *home)
{
    char parent[PATH_MAX], sentence[256];
    snprintf(parent, sizeof parent, "%s", home);
    char *slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent)
        *slash = '\0';
    if (is_empty_of_runs(staging)) {
        remove_path(staging);
        return;
    }
    if (rf_staging_is_written(staging))
        return;
    if (access(parent, F_OK) != 0) {
        tell(sweep, RUN_ORPHAN_UNREACHABLE, staging, home,
             "the folder of its run cannot be reached");
        return;
    }
    if (homeless_s(staging) > RUN_STAGING_GRACE_S) {
        remove_path(staging);
        return;
    }
    snprintf(sentence, sizeof sentence, "its run folder was removed; it goes a day after that");
    tell(sweep, RUN_ORPHAN_HOMELESS, staging, home, sentence);
}

/* There is a way home, and the run folder there does not know this one. */
static void sweep_unknown(const struct sweep *sweep, const char *staging, const char *home)
{
    struct stat status;
    if (stat(home, &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            sweep_homeless(sweep, staging, home);
        else
            tell(sweep, RUN_ORPHAN_UNREACHABLE, staging, home, strerror(errno));
        return;
    }
    /* Shut, it came home before its name was taken away there. Open and empty, it was never used. */
    if (!rf_staging_is_open(staging) || is_empty_of_runs(staging))
        remove_path(staging);
    else if (!rf_staging_is_written(staging))
        tell(sweep, RUN_ORPHAN_UNKNOWN, staging, home, "its run folder does not name it");
}

static void sweep_one(const struct sweep *sweep, const char *staging)
{
    struct rf_run run;
    bool stays;
    if (is_in_the_making(staging))
        return;
    if (!rf_staging_read_home(staging, run.path)) {
        if (is_empty_of_runs(staging))
            remove_path(staging); /* its maker was killed before the first note */
        else if (access(staging, F_OK) == 0)
            tell(sweep, RUN_ORPHAN_UNKNOWN, staging, "", "it does not say which run it belongs to");
    } else if (!rf_run_names_staging(run.path, staging)) {
        sweep_unknown(sweep, staging, run.path);
    } else if (rf_run_of_staging(staging, &run) && rf_run_finish(&run, &stays) != DATASTALL_OK) {
        tell(sweep, RUN_ORPHAN_STUCK, staging, run.path, datastall_last_error());
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
        if (rf_staging_is_name(path) && rf_staging_is_ours(path))
            sweep_one(&sweep, path);
    }
    if (directory != NULL)
        closedir(directory);
}
