/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that are recorded on tmpfs and come home when nobody writes to them any more.
 *
 * While a run is recorded elsewhere its own folder (home) holds a note, recording-at, that names the
 * folder on tmpfs, and that one a note belongs-to with the way back. Whoever finds that
 * nobody writes there any more brings the run home: the last process to end, the launcher, or any
 * reader of the same owner (or root, who leaves every file to its owner). Each step can be repeated
 * by anybody after a kill, and two at once do no harm; docs/run-file.md says why. */
#ifndef DATASTALL_RUNFILE_TMPFS_H
#define DATASTALL_RUNFILE_TMPFS_H

#include "runfile/place.h"

/* Notes of one line. In a run folder: the folder that is written now. In that: the run folder, under
 * the second name while (and after) its files are copied: then no new file may be made there. */
#define RF_TMPFS_NOTE "recording-at"
#define RF_HOME_NOTE "belongs-to"
#define RF_SHUT_NOTE "coming-home"

/* Sets run->tmpfs: a new folder on tmpfs where run->path is on a network or FUSE file system or
 * $DATASTALL_RECORD_ON is "tmpfs", else run->path. */
void rf_tmpfs_choose(struct rf_run *run);

/* True for /dev/shm/datastall-XXXXXX, as text. */
bool rf_tmpfs_is_name(const char *folder);

/* Whether new files may be made in a tmpfs folder. */
bool rf_tmpfs_is_open(const char *folder);

/* The last step of making the file path in a tmpfs folder: true, it stays. False: the run goes
 * home at this moment, and the file must go elsewhere. */
bool rf_tmpfs_admits(const char *folder);

/* Brings the files of a run on tmpfs home and removes the tmpfs folder; nothing for others. While
 * another process writes there, or the command that a launcher started still runs, it stays there
 * (*stays): the last one to end calls this too, and so does every reader. */
int rf_run_finish(const struct rf_run *run, bool *stays);

/* The run that is recorded in a folder other than its own; false: the folder is no such one, or of
 * another owner than the run, or not for this process to bring home. */
bool rf_run_of_tmpfs(const char *folder, struct rf_run *run);

/* Removes the folders of a run again unless something was recorded there; true: they are gone. */
bool rf_run_abandon(const struct rf_run *run);

/* The folder to read for a run: itself, or while it is recorded elsewhere on this machine, that. */
void rf_run_reading_place(const char *folder, char *place);

/* The folder to write to under a launcher that gave folder and home (NULL: none): folder, or home
 * where that has taken over. place has PATH_MAX bytes. */
void rf_run_writing_place(const char *folder, const char *home, char *place);

/* ---- for those who bring runs home: homecoming.c, and readers ---- */
/* False: there is none, or it is no line of text. */
bool rf_note_read(const char *folder, const char *name, char text[PATH_MAX]);
bool rf_note_write(const char *folder, const char *name, const char *text);
/* The way home from a tmpfs folder, whether its door is open or shut. */
bool rf_tmpfs_read_home(const char *tmpfs, char home[PATH_MAX]);
/* Whether this process may bring home what is there. */
bool rf_tmpfs_is_ours(const char *tmpfs);
bool rf_run_names_tmpfs(const char *home, const char *tmpfs);
bool rf_run_is_on_tmpfs(const struct rf_run *run);
/* Whether two folders are of one owner, and the first is a tmpfs folder of ours. */
bool rf_tmpfs_belongs(const char *tmpfs, const char *home);
/* True while another process (a forked child, the parent, one that outlives the command) writes a
 * file of the folder, or may do so: one that cannot be seen from here counts. */
bool rf_tmpfs_is_written(const char *tmpfs);
/* Removes an open tmpfs folder and what is in it, the notes last. */
void rf_tmpfs_remove(int tmpfs, const char *path);
int rf_open_folder(const char *path); /* a descriptor; links are not followed */

/* A tmpfs folder, its run folder, and the note that is locked while one goes to the other. The
 * lock ends with its holder, however that ends. -1: not open. */
struct rf_way {
    int tmpfs, home, lock;
};
void rf_way_close(struct rf_way *way);
int rf_way_open_lock(int tmpfs);
/* False: another process is at it, or was and is done. Tries are 5 ms apart. */
bool rf_way_take_lock(int lock, int tries);
bool rf_way_shut(const struct rf_way *way);
bool rf_way_open(const struct rf_way *way);

#endif
