/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of run folders: what nobody wrote to takes no room in them. */
#ifndef DATASTALL_RUN_COPY_RUN_H
#define DATASTALL_RUN_COPY_RUN_H

#include <stdbool.h>

/* Copies the run files of a run folder, from where it is recorded, into a new folder `to`. A file that
 * is being written is copied as far as a reader would have it. Returns 0, or an error with its
 * sentence; then `to` holds what was copied. */
int run_copy(const char *folder, const char *to);

/* Whether every process of a run closed its file, by the first pages of each: then nobody writes to them.
 * Where one did not (it was killed), who still writes takes a longer look. */
bool run_is_closed(const char *folder);

#endif
