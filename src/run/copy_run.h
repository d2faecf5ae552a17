/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of run folders: what nobody wrote to takes no room in them. */
#ifndef DATASTALL_RUN_COPY_RUN_H
#define DATASTALL_RUN_COPY_RUN_H

/* Copies the run files of a run folder, from where it is recorded, into a new folder `to`. A file that
 * is being written is copied as far as a reader would have it. Returns 0, or an error with its
 * sentence; then `to` holds what was copied. */
int run_copy(const char *folder, const char *to);

#endif
