/* SPDX-License-Identifier: Apache-2.0 */
/* What a command writes into a file that the user names. */
#ifndef DATASTALL_CLI_WRITE_FILE_H
#define DATASTALL_CLI_WRITE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Into the file, whole or not at all (base/target_file.h); NULL and "-": standard output. An existing file
 * is replaced with `force` only. 0, or an error with its sentence in datastall_last_error(). */
int cli_write_output(const char *path, const char *text, size_t length, bool force);

#endif
