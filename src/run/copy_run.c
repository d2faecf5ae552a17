/* SPDX-License-Identifier: Apache-2.0 */
#include "run/copy_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "runfile/layout.h"
#include "runfile/opened.h"
#include "runfile/rundir.h"
#include "runfile/sparse_copy.h"
#include "runfile/tmpfs.h"

static int copy_file(const char *from_path, const char *to_path)
{
    struct stat status;
    const int from = open(from_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (from < 0 || fstat(from, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_size > (off_t)RF_MAX_FILE_BYTES) {
        const int error =
            ds_fail(DATASTALL_ERR_FOREIGN, "%s is no run file that can be copied", from_path);
        if (from >= 0)
            close(from);
        return error;
    }
    const int to = open(to_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int problem = to < 0 ? errno : rf_copy_sparse(from, to);
    close(from);
    if (to >= 0 && close(to) != 0 && problem == 0)
        problem = errno;
    return problem == 0 ? DATASTALL_OK
                        : ds_fail(DATASTALL_ERR_IO, "cannot copy %s to %s: %s", from_path, to_path,
                                  strerror(problem));
}

int run_copy(const char *folder, const char *to)
{
    char place[PATH_MAX], from_path[PATH_MAX], to_path[PATH_MAX], **names;
    uint32_t count;
    rf_run_reading_place(folder, place);
    int error = rf_run_files(place, &names, &count, NULL);
    if (error != DATASTALL_OK)
        return error;
    if (mkdir(to, 0700) != 0)
        error = ds_fail(DATASTALL_ERR_IO, "cannot make the folder %s: %s", to, strerror(errno));
    for (uint32_t i = 0; i < count && error == DATASTALL_OK; i++) {
        const bool fits = snprintf(from_path, PATH_MAX, "%s/%s", place, names[i]) < PATH_MAX &&
                          snprintf(to_path, PATH_MAX, "%s/%s", to, names[i]) < PATH_MAX;
        error = fits ? copy_file(from_path, to_path)
                     : ds_fail(DATASTALL_ERR_ARGUMENT, "the path of %s is too long", names[i]);
    }
    rf_run_files_free(names, count);
    return error;
}

static bool is_closed(const char *path)
{
    struct rf_file file;
    struct rf_process_view view;
    if (rf_file_open(path, &file) != DATASTALL_OK)
        return false;
    const bool closed =
        rf_file_process(&file, &view) && view.words[RF_PROCESS_STATE] == RF_STATE_CLOSED;
    rf_file_close(&file);
    return closed;
}

bool run_is_closed(const char *folder)
{
    char place[PATH_MAX], path[PATH_MAX], **names;
    uint32_t count;
    rf_run_reading_place(folder, place);
    if (rf_run_files(place, &names, &count, NULL) != DATASTALL_OK)
        return false;
    bool closed = count > 0;
    for (uint32_t i = 0; i < count && closed; i++)
        closed =
            snprintf(path, sizeof path, "%s/%s", place, names[i]) < PATH_MAX && is_closed(path);
    rf_run_files_free(names, count);
    return closed;
}
