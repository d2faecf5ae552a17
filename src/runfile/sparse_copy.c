/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/sparse_copy.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536u
#define PAGE 4096u

static bool is_empty(const char *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static size_t page_at(size_t size, size_t done)
{
    return size - done < PAGE ? size - done : PAGE;
}

static int write_all(int out, const char *bytes, size_t size, off_t at)
{
    for (size_t done = 0; done < size;) {
        const ssize_t put = pwrite(out, bytes + done, size - done, at + (off_t)done);
        if (put < 0 && errno != EINTR)
            return errno;
        done += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static int write_piece(int out, const char *piece, size_t size, off_t at)
{
    int error = 0;
    for (size_t from = 0, done = 0; from < size && error == 0; from = done) {
        for (done = from; done < size && !is_empty(piece + done, page_at(size, done));)
            done += page_at(size, done);
        error = write_all(out, piece + from, done - from, at + (off_t)from);
        if (done == from)
            done += page_at(size, done);
    }
    return error;
}

/* [at, end) of what is there: reading a hole takes as much as reading data does. */
static int copy_part(int in, int out, off_t at, off_t end)
{
    char piece[PIECE];
    int error = 0;
    while (at < end && error == 0) {
        const size_t wanted = end - at < (off_t)PIECE ? (size_t)(end - at) : PIECE;
        const ssize_t got = pread(in, piece, wanted, at);
        if (got == 0)
            return 0; /* it was cut meanwhile */
        if (got > 0)
            error = write_piece(out, piece, (size_t)got, at);
        else if (errno != EINTR)
            error = errno;
        at += got > 0 ? got : 0;
    }
    return error;
}

/* The data from `at` on: its begin and end; false: there is none. Where a file system knows no holes, all
 * is data. */
static bool find_data(int in, off_t size, off_t at, off_t *begin, off_t *end)
{
    const off_t data = lseek(in, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        return false;
    *begin = data > at ? data / PAGE * PAGE : at;
    const off_t hole = lseek(in, *begin, SEEK_HOLE);
    *end = hole > *begin && hole < size ? hole : size;
    return true;
}

int rf_copy_sparse(int in, int out)
{
    struct stat status;
    off_t begin, end = 0;
    if (fstat(in, &status) != 0)
        return errno;
    int error = 0;
    while (error == 0 && end < status.st_size && find_data(in, status.st_size, end, &begin, &end))
        error = copy_part(in, out, begin, end);
    return error != 0 || ftruncate(out, status.st_size) == 0 ? error : errno;
}
