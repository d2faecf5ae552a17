/* SPDX-License-Identifier: Apache-2.0 */
/* A file that a user names for something to be written to. A regular file, also behind a link, is
 * replaced once the new one is whole: who reads it finds the old one or the new one. Nothing else is
 * replaced: a pipe, a terminal, a device, and what standard output or error lead to, is written to
 * as it stands. */
#ifndef DATASTALL_BASE_TARGET_FILE_H
#define DATASTALL_BASE_TARGET_FILE_H

#include <stdbool.h>

struct ds_target {
    int fd;          /* to write to */
    char *path;      /* of the file that `temporary` will replace; NULL: written to directly */
    char *temporary; /* beside it */
};

/* True where opening the path would overwrite something: there is a file, and it is neither a pipe
 * nor a terminal or another character device. */
bool ds_target_exists(const char *path);

/* Returns 0 or an errno value; then there is nothing to finish. */
int ds_target_open(const char *path, struct ds_target *target);

/* Closes the file. error: an errno value when what was written is not whole, and the file that was
 * there stays; 0: it takes its place. Returns error, else 0 or an errno value. */
int ds_target_finish(struct ds_target *target, int error);

#endif
