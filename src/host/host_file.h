/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of /proc and /sys, below a root that tests choose. */
#ifndef DATASTALL_HOST_HOST_FILE_H
#define DATASTALL_HOST_HOST_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_UNKNOWN UINT64_MAX

/* Reads root + path into text, cut to size - 1 and ended with NUL. root "" is the machine itself.
 * False: it is not there or cannot be read; text is "" then. */
bool host_file_read(const char *root, const char *path, char *text, size_t size);

/* The number behind `key` at the begin of a line of text ("nr_throttled 12", "rchar: 7"), or at the
 * begin of text when key is "". HOST_UNKNOWN: there is none. */
uint64_t host_number_of(const char *text, const char *key);

#endif
