/* Run folders: where they are, what they are called, what they may cost.
 *
 *     ./datastall-runs/20261124-054500-train/
 *         launcher.dsrun           datastall run: the command, the GPUs
 *         12345-9f3c21aa.dsrun     one per recording process
 */
#ifndef DATASTALL_RUNFILE_RUNDIR_H
#define DATASTALL_RUNFILE_RUNDIR_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define RF_DEFAULT_BASE "datastall-runs"
#define RF_RUN_CAP_BYTES (UINT64_C(1) << 30)
#define RF_STAGING_PREFIX "/dev/shm/datastall-"
/* Notes of one line. In a run folder: the folder that is written now. In that: the run folder. */
#define RF_STAGING_NOTE "recording-at"
#define RF_HOME_NOTE "belongs-to"

/* The folder of runs: directory, else $DATASTALL_DIR, else ./datastall-runs. */
const char *rf_base_directory(const char *directory);

struct rf_run {
    char path[PATH_MAX];    /* absolute; where people find the run */
    char staging[PATH_MAX]; /* absolute; where it is recorded: the same, or a folder on tmpfs */
};

/* Makes base/YYYYmmdd-HHMMSS-NAME (local time; -2, -3 ... when taken), mode 0700, and its parents.
 * NAME is cut to 40 bytes and cleaned. When base is on a network or FUSE file system (mapped pages
 * of such a file can stall the program) or $DATASTALL_RECORD_ON is "tmpfs", staging is a folder in
 * /dev/shm. Returns 0 or a datastall error with its sentence. */
int rf_run_create(const char *base, const char *name, struct rf_run *run);

/* Brings the files of a staged run home and removes the staging folder; nothing for others. While
 * another process writes there, it stays there (*stays): the last writer to end calls this too. */
int rf_run_finish(const struct rf_run *run, bool *stays);

/* The run that is recorded in a folder other than its own; false: the folder is no such one. */
bool rf_run_of_staging(const char *folder, struct rf_run *run);

/* Removes the folders of a run again unless something was recorded there; true: they are gone. */
bool rf_run_abandon(const struct rf_run *run);

/* Picks a new file's path in a run folder that is being written and checks what it may cost: all
 * files of a run together at most 1 GiB ($DATASTALL_RUN_CAP_MIB), on tmpfs at most a sixteenth of
 * what is free there. path has PATH_MAX bytes. */
int rf_run_new_file(const char *folder, uint64_t bytes, char *path);

/* The folder to read for a run: itself, or while it is recorded elsewhere on this machine, that. */
void rf_run_reading_place(const char *folder, char *place);

struct rf_run_entry {
    char *id;            /* folder name */
    uint64_t created_ns; /* real time of its oldest file, 0: none is readable */
};
/* The runs of a base folder, oldest first; *runs is to be freed with rf_run_list_free(). An absent
 * folder is an empty list. */
int rf_run_list(const char *base, struct rf_run_entry **runs, uint32_t *count);
void rf_run_list_free(struct rf_run_entry *runs, uint32_t count);

/* The run files of a folder, sorted, at most 4096; free each and the array. */
int rf_run_files(const char *folder, char ***names, uint32_t *count);
void rf_run_files_free(char **names, uint32_t count);

#endif
