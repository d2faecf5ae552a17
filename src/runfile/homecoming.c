/* Bringing a run on tmpfs home.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "runfile/liveness.h"
#include "runfile/opened.h"
#include "runfile/rundir.h"
#include "runfile/sparse_copy.h"
#include "runfile/tmpfs.h"

#define COPY_NAME ".coming-home" /* a file on its way, in the run folder */
#define LOCK_TRIES 20            /* of 5 ms */

/* ---- who writes? ---- */

/* A launcher that was killed left a command that may make further processes record. */
static bool command_goes_on(const struct rf_header *header, const struct rf_process_view *view)
{
    const uint64_t pid = view->words[RF_PROCESS_CHILD_PID];
    const uint64_t ticks = view->words[RF_PROCESS_CHILD_TICKS];
    const bool self = pid == (uint64_t)getpid() && ticks == rf_own_start_ticks();
    return view->fixed.kind == RF_PROCESS_LAUNCHER && pid != 0 && !self &&
           view->words[RF_PROCESS_EXIT_KNOWN] == 0 &&
           rf_liveness_beside(header, &view->fixed, pid, ticks) != RF_DEAD;
}

static bool other_writes(const char *path)
{
    struct rf_file file;
    struct rf_process_view view;
    if (rf_file_open(path, &file) != DATASTALL_OK)
        return rf_file_may_be_mapped(path); /* of another version, say: no less alive */
    /* A whole file of which that cannot be read is being changed. */
    const bool told = rf_file_process(&file, &view);
    const bool busy = !told && file.source.bytes >= file.header.file_bytes;
    const bool open = told && view.words[RF_PROCESS_STATE] == RF_STATE_OPEN &&
                      !rf_process_is_self(&file.header, &view.fixed);
    /* A tmpfs does not outlive the boot that it was made in: where boots have two names (a container's
     * own, a restored checkpoint), process numbers say nothing. */
    const bool another_boot = rf_is_of_another_boot(&file.header);
    const bool writes = open && !another_boot &&
                        (rf_process_liveness(&file.header, &view.fixed) != RF_DEAD ||
                         command_goes_on(&file.header, &view));
    rf_file_close(&file);
    return writes || busy || (open && another_boot && rf_file_may_be_mapped(path));
}

static bool any_is_written(const char *folder, char *const *names, uint32_t count)
{
    char path[PATH_MAX];
    bool found = false;
    for (uint32_t i = 0; i < count && !found; i++)
        found =
            snprintf(path, sizeof path, "%s/%s", folder, names[i]) < PATH_MAX && other_writes(path);
    return found;
}

/* True while another process (a forked child, the parent, one that outlives the command) writes a
 * file of the folder, or may do so: one that cannot be seen from here counts. */
bool rf_tmpfs_is_written(const char *folder)
{
    char **names;
    uint32_t count;
    if (rf_run_files(folder, &names, &count, NULL) != DATASTALL_OK)
        return access(folder, F_OK) == 0;
    const bool found = any_is_written(folder, names, count);
    rf_run_files_free(names, count);
    return found;
}

/* ---- bringing a run on tmpfs home ---- */

/* Root leaves a file to its owner. */
static int keep_owner(int in, int out)
{
    struct stat status;
    if (fstat(in, &status) != 0)
        return errno;
    if (!S_ISREG(status.st_mode))
        return EINVAL;
    return status.st_uid == geteuid() || fchown(out, status.st_uid, status.st_gid) == 0 ? 0 : errno;
}

/* Under another name until it is whole and on the disk; so a repetition does no harm. */
static int copy_file(const struct rf_way *way, const char *name)
{
    int error = 0;
    const int in = openat(way->tmpfs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (in < 0)
        return errno == ENOENT ? DATASTALL_OK /* its maker took it back */
                               : ds_fail_errno(errno, "cannot copy %s", name);
    unlinkat(way->home, COPY_NAME, 0);
    const int out =
        openat(way->home, COPY_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        error = errno;
    if (error == 0)
        error = keep_owner(in, out);
    if (error == 0)
        error = rf_copy_sparse(in, out);
    if (error == 0 && fsync(out) != 0)
        error = errno;
    if (out >= 0 && close(out) != 0 && error == 0)
        error = errno;
    if (error == 0 && renameat(way->home, COPY_NAME, way->home, name) != 0)
        error = errno;
    if (out >= 0 && error != 0)
        unlinkat(way->home, COPY_NAME, 0);
    close(in);
    return error == 0 ? DATASTALL_OK : ds_fail_errno(error, "cannot copy %s", name);
}

/* Copies all files, unless one of them is still written. The door is shut: what is there now was
 * admitted, and is as it will stay; what comes later is taken back by its maker. */
static int copy_files(const struct rf_way *way, const struct rf_run *run, bool *stays)
{
    char **names;
    uint32_t count;
    uint64_t left_out;
    int error = rf_run_files(run->tmpfs, &names, &count, &left_out);
    if (error != DATASTALL_OK)
        return error;
    *stays = any_is_written(run->tmpfs, names, count);
    for (uint32_t i = 0; i < count && error == DATASTALL_OK && !*stays; i++)
        error = copy_file(way, names[i]);
    rf_run_files_free(names, count);
    if (error == DATASTALL_OK && left_out > 0)
        error = ds_fail(DATASTALL_ERR_NO_SPACE, "there are more than %u files", RF_MAX_RUN_FILES);
    return error;
}

/* Everything in a tmpfs folder that nobody writes to; the notes go last, so that what a kill
 * leaves still says what it is. */
void rf_tmpfs_remove(int tmpfs, const char *path)
{
    static const char *const last[] = {RF_HOME_NOTE, RF_SHUT_NOTE};
    const int copy = dup(tmpfs);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;
    if (directory == NULL && copy >= 0)
        close(copy);
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, last[0]) != 0 && strcmp(entry->d_name, last[1]) != 0 &&
            strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(tmpfs, entry->d_name, 0);
    }
    if (directory != NULL)
        closedir(directory);
    for (size_t i = 0; i < sizeof last / sizeof *last; i++)
        unlinkat(tmpfs, last[i], 0);
    rmdir(path);
}

/* The lock is held, the door is shut. */
static int move_home(const struct rf_way *way, const struct rf_run *run, bool *stays)
{
    const int error = copy_files(way, run, stays);
    if (error != DATASTALL_OK || *stays)
        return error;
    if (fsync(way->home) != 0 && errno != EINVAL && errno != EBADF)
        return ds_fail_errno(errno, "cannot copy the run to %s", run->path);
    /* From here on it is read at home, and what is left on tmpfs is waste. */
    if (unlinkat(way->home, RF_TMPFS_NOTE, 0) != 0 && errno != ENOENT)
        return ds_fail_errno(errno, "cannot write to %s", run->path);
    fsync(way->home);
    rf_tmpfs_remove(way->tmpfs, run->tmpfs);
    return DATASTALL_OK;
}

static int go_home(const struct rf_way *way, const struct rf_run *run, bool *stays)
{
    static const char sentence[] = "cannot bring home what %s holds";
    if (!rf_way_shut(way))
        return ds_fail_errno(errno, sentence, run->tmpfs);
    const int error = move_home(way, run, stays);
    if (error != DATASTALL_OK || *stays)
        rf_way_open(way);
    return error;
}

int rf_run_finish(const struct rf_run *run, bool *stays)
{
    *stays = rf_run_is_on_tmpfs(run) && rf_tmpfs_is_written(run->tmpfs);
    if (!rf_run_is_on_tmpfs(run) || *stays)
        return DATASTALL_OK;
    struct rf_way way = {rf_open_folder(run->tmpfs),
                         open(run->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), -1};
    int failed = errno, error = DATASTALL_OK;
    if (way.tmpfs >= 0)
        way.lock = rf_way_open_lock(way.tmpfs);
    if (way.tmpfs >= 0 && way.lock >= 0 && way.home < 0)
        error = ds_fail_errno(failed, "cannot bring home what %s holds", run->tmpfs);
    else if (way.lock >= 0 && rf_way_take_lock(way.lock, LOCK_TRIES))
        error = go_home(&way, run, stays);
    /* else: another process brought it home, or does */
    rf_way_close(&way);
    return error;
}
