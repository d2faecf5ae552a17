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
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

#define PIECE 65536u
#define PAGE 4096u

static bool is_empty(const char *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Pages without a byte become holes: most of a run file is room that a short run did not need. */
static bool write_piece(int to, const char *piece, size_t size, off_t at)
{
    for (size_t done = 0; done < size; done += PAGE) {
        const size_t bytes = size - done < PAGE ? size - done : PAGE;
        if (!is_empty(piece + done, bytes) &&
            pwrite(to, piece + done, bytes, at + (off_t)done) != (ssize_t)bytes)
            return false;
    }
    return true;
}

static bool copy_bytes(int from, int to, off_t size)
{
    char *piece = malloc(PIECE);
    bool copied = piece != NULL;
    for (off_t at = 0; copied && at < size;) {
        const off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break; /* a hole to its end */
        at = data > at ? data / PAGE * PAGE : at;
        const ssize_t got = pread(from, piece, PIECE, at);
        copied = got > 0 && write_piece(to, piece, (size_t)got, at);
        at += got > 0 ? got : 0;
    }
    free(piece);
    return copied && ftruncate(to, size) == 0;
}

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
    bool copied = to >= 0 && copy_bytes(from, to, status.st_size);
    const int problem = errno;
    close(from);
    if (to >= 0)
        copied &= close(to) == 0;
    return copied ? DATASTALL_OK
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
