/* SPDX-License-Identifier: Apache-2.0 */
/* Reads everything that can be read of a run file, as every part of the program would. */
#ifndef DATASTALL_TESTS_READ_ALL_H
#define DATASTALL_TESTS_READ_ALL_H

#include <stdint.h>

/* Returns what opening returned; *problems (where not NULL) what the reader found damaged. */
int read_all_of_file(const char *path, uint32_t *problems);

/* Reads a folder, makes its summary, words and document. Returns what reading returned. */
int read_all_of_folder(const char *folder, uint32_t *problems);

#endif
