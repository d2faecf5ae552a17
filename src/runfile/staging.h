/* Runs that are recorded on tmpfs and come home when nobody writes to them any more.
 *
 * While a run is recorded elsewhere its own folder (home) holds a note, recording-at, that names the
 * folder on tmpfs (staging), and that one a note belongs-to with the way back. Whoever finds that
 * nobody writes there any more brings the run home: the last process to end, the launcher, or any
 * reader of the same owner (or root, who leaves every file to its owner). Each step can be repeated
 * by anybody after a kill, and two at once do no harm; docs/run-file.md says why. */
#ifndef DATASTALL_RUNFILE_STAGING_H
#define DATASTALL_RUNFILE_STAGING_H

#include "runfile/rundir.h"

/* Notes of one line. In a run folder: the folder that is written now. In that: the run folder, under
 * the second name while (and after) its files are copied: then no new file may be made there. */
#define RF_STAGING_NOTE "recording-at"
#define RF_HOME_NOTE "belongs-to"
#define RF_SHUT_NOTE "coming-home"

/* What is new in a folder on tmpfs is left alone so long: it may be in the making. Seconds. */
#define RF_STAGING_YOUNG_S 30
/* A run whose home was removed stays on tmpfs so long after that was first seen, in case the home
 * was moved. Seconds. */
#define RF_STAGING_GRACE_S 86400

/* Sets run->staging: a new folder on tmpfs where run->path is on a network or FUSE file system or
 * $DATASTALL_RECORD_ON is "tmpfs", else run->path. */
void rf_staging_choose(struct rf_run *run);

/* True for /dev/shm/datastall-XXXXXX, as text. */
bool rf_staging_is_name(const char *folder);

/* Whether new files may be made in a staging folder. */
bool rf_staging_is_open(const char *folder);

/* The last step of making the file path in a staging folder: true, it stays. False: the run goes
 * home at this moment, and the file must go elsewhere. */
bool rf_staging_admits(const char *folder);

/* Brings one run home if it is staged and nobody writes to it: for readers that found its folder.
 * Does nothing for a run of another owner, unless by root. Errors as rf_run_finish(). */
int rf_staging_settle(const char *folder);

/* ---- between staging.c and homecoming.c ---- */
bool rf_note_write(const char *folder, const char *name, const char *text);
/* The way home from a staging folder, whether its door is open or shut. */
bool rf_staging_read_home(const char *staging, char home[PATH_MAX]);
/* Whether this process may bring home what is there. */
bool rf_staging_is_ours(const char *staging);
bool rf_run_names_staging(const char *home, const char *staging);
bool rf_run_is_staged(const struct rf_run *run);
int rf_open_folder(const char *path); /* a descriptor; links are not followed */

/* A staging folder, its run folder, and the note that is locked while one goes to the other. The
 * lock ends with its holder, however that ends. -1: not open. */
struct rf_way {
    int staging, home, lock;
};
void rf_way_close(struct rf_way *way);
int rf_way_open_lock(int staging);
/* False: another process is at it, or was and is done. Tries are 5 ms apart. */
bool rf_way_take_lock(int lock, int tries);
bool rf_way_shut(const struct rf_way *way);
bool rf_way_open(const struct rf_way *way);

/* ---- by readers ---- */
enum rf_orphan_kind {
    RF_ORPHAN_HOMELESS,    /* its run folder was removed; it goes after RF_STAGING_GRACE_S */
    RF_ORPHAN_UNREACHABLE, /* the folder of its run folder is not there either: not mounted? */
    RF_ORPHAN_UNKNOWN,     /* its run folder does not know it, or it does not say whose it is */
    RF_ORPHAN_STUCK,       /* it could not be brought home: see the sentence */
};
struct rf_orphan {
    enum rf_orphan_kind kind;
    const char *staging;
    const char *home;     /* "": not known */
    const char *sentence; /* what is wrong, without the remedy */
};
/* Looks through all staging folders of this user (as root: of everybody): brings home whose writers
 * are gone, removes what was left by a kill, and tells of the rest that nobody writes to. found may
 * be NULL. */
void rf_staging_sweep(void (*found)(void *context, const struct rf_orphan *orphan), void *context);

#endif
