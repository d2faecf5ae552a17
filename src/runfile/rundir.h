/* SPDX-License-Identifier: Apache-2.0 */
/* Run folders: where they are, what they are called, what they may cost.
 *
 *     ./datastall-runs/20261124-054500-train/
 *         launcher.dsrun           datastall run: the command, the GPUs
 *         12345-9f3c21aa.dsrun     one per recording process
 */
#ifndef DATASTALL_RUNFILE_RUNDIR_H
#define DATASTALL_RUNFILE_RUNDIR_H

#include <stddef.h>
#include <stdint.h>

#include "runfile/place.h"

#define RF_DEFAULT_BASE "datastall-runs"
#define RF_RUN_CAP_BYTES (UINT64_C(1) << 30)
#define RF_MAX_RUN_FILES 8192u /* read of one folder; the rest is counted */

/* The folder of runs: directory, else $DATASTALL_DIR, else ./datastall-runs. */
const char *rf_base_directory(const char *directory);

/* Makes base/YYYYmmdd-HHMMSS-NAME (local time; -2, -3 ... when taken), mode 0700, and its parents.
 * NAME is cut to 40 bytes and cleaned. When base is on a network or FUSE file system (mapped pages
 * of such a file can stall the program) or $DATASTALL_RECORD_ON is "tmpfs", run->tmpfs is a folder in
 * /dev/shm. Returns 0 or a datastall error with its sentence. */
int rf_run_create(const char *base, const char *name, struct rf_run *run);

/* Picks a new file's path in a run folder that is being written and checks what it may cost: all
 * files of a run together at most 1 GiB ($DATASTALL_RUN_CAP_MIB), on tmpfs at most a sixteenth of
 * what is free there. path has PATH_MAX bytes. */
int rf_run_new_file(const char *folder, uint64_t bytes, char *path);

/* Once the file is made: checks its cost again, now that it counts for everybody, and that the run
 * has not gone home meanwhile. Of processes that make their files at once none passes the cap. Waits for at most a fifth of a second. Otherwise the file is
 * removed: DATASTALL_ERR_NO_SPACE, DATASTALL_ERR_NOT_FOUND when the run has gone home. */
int rf_run_admit_file(const char *folder, const char *path);

/* The run files of a folder, sorted, at most RF_MAX_RUN_FILES; free each and the array.
 * *left_out (may be NULL): how many there are beyond these. */
int rf_run_files(const char *folder, char ***names, uint32_t *count, uint64_t *left_out);
void rf_run_files_free(char **names, uint32_t count);

#endif
