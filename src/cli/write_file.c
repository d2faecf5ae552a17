/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/write_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/target_file.h"
#include "datastall.h"

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        const ssize_t put = write(fd, text, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        text += put;
        length -= (size_t)put;
    }
    return true;
}

/* Whole or not at all: who reads the file every few seconds never finds half of one. */
static int write_file(const char *path, const char *text, size_t length, bool force)
{
    struct ds_target target;
    if (!force && ds_target_exists(path))
        return ds_fail(DATASTALL_ERR_EXISTS, "%s exists already; --force replaces it", path);
    int error = ds_target_open(path, &target);
    if (error == 0) {
        const bool written = write_all(target.fd, text, length) &&
                             (target.temporary == NULL || fsync(target.fd) == 0);
        error = ds_target_finish(&target, written ? 0 : errno);
    }
    return error == 0 ? DATASTALL_OK : ds_fail_errno(error, "cannot write %s", path);
}

int cli_write_output(const char *path, const char *text, size_t length, bool force)
{
    if (path != NULL && strcmp(path, "-") != 0)
        return write_file(path, text, length, force);
    return write_all(STDOUT_FILENO, text, length)
               ? DATASTALL_OK
               : ds_fail_errno(errno, "cannot write to standard output");
}
