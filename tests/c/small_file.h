/* SPDX-License-Identifier: Apache-2.0 */
/* A small run file with the same content each time: what the hostile, fixture and fuzz tests read.
 */
#ifndef DATASTALL_TESTS_SMALL_FILE_H
#define DATASTALL_TESTS_SMALL_FILE_H

#include <stdbool.h>

struct rf_writer;

/* One slot with 20 waits in two stages, rings of 8; with_gpu adds one device with 10 samples. */
void small_file_make(const char *path, bool with_gpu);
/* The header says when and on which boot a file was made: that is replaced by constants. */
void small_file_header(struct rf_writer *writer);

#endif
