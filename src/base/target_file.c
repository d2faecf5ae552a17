/* SPDX-License-Identifier: Apache-2.0 */
#include "base/target_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"

#define NAMES_TRIED 100

bool ds_target_exists(const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return lstat(path, &file) == 0;
    return !S_ISFIFO(file.st_mode) && !S_ISCHR(file.st_mode);
}

/* A new file beside path, with the mode that the umask leaves. O_EXCL follows no link and takes
 * over no file, and no name is used twice: writers of one path do not meet. */
static int open_temporary(struct ds_target *target)
{
    for (int i = 0; i < NAMES_TRIED; i++) {
        const uint64_t number = ds_random();
        if (asprintf(&target->temporary, "%s.%016llx.tmp", target->path,
                     (unsigned long long)number) < 0) {
            target->temporary = NULL;
            return ENOMEM;
        }
        target->fd = open(target->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (target->fd >= 0)
            return 0;
        const int error = errno;
        free(target->temporary);
        target->temporary = NULL;
        if (error != EEXIST)
            return error;
    }
    return EEXIST;
}

/* /dev/stdout with standard output sent to a file is a path to that file. To replace it would
 * throw away what others write there, or, with >>, what was in it. */
static int standard_stream_of(const struct stat *file)
{
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        struct stat stream;
        if (fstat(fd, &stream) == 0 && stream.st_dev == file->st_dev &&
            stream.st_ino == file->st_ino)
            return fd;
    }
    return -1;
}

static int open_directly(const char *path, int flags, struct ds_target *target)
{
    target->fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC | flags, 0666);
    return target->fd < 0 ? errno : 0;
}

static int open_regular(const char *path, const struct stat *file, struct ds_target *target)
{
    const int stream = standard_stream_of(file);
    if (stream >= 0) {
        target->fd = fcntl(stream, F_DUPFD_CLOEXEC, 0);
        return target->fd < 0 ? errno : 0;
    }
    target->path = realpath(path, NULL);
    if (target->path != NULL)
        return open_temporary(target);
    return open_directly(path, O_TRUNC, target); /* /proc/self/fd/N of a file without a name */
}

static int open_new(const char *path, struct ds_target *target)
{
    struct stat link;
    if (lstat(path, &link) ==
        0) /* a link that leads nowhere: where it leads, there the file goes */
        return open_directly(path, O_CREAT, target);
    target->path = strdup(path);
    return target->path == NULL ? ENOMEM : open_temporary(target);
}

int ds_target_open(const char *path, struct ds_target *target)
{
    struct stat file;
    int error;
    *target = (struct ds_target){.fd = -1};
    if (stat(path, &file) != 0)
        error = errno == ENOENT ? open_new(path, target) : errno;
    else if (S_ISREG(file.st_mode))
        error = open_regular(path, &file, target);
    else
        error = open_directly(path, 0, target);
    if (error != 0)
        free(target->path);
    return error;
}

int ds_target_finish(struct ds_target *target, int error)
{
    if (close(target->fd) != 0 && error == 0)
        error = errno;
    if (error == 0 && target->temporary != NULL && rename(target->temporary, target->path) != 0)
        error = errno;
    if (error != 0 && target->temporary != NULL)
        unlink(target->temporary);
    free(target->temporary);
    free(target->path);
    return error;
}
