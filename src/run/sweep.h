/* Runs on tmpfs, for readers: brought home where nobody writes to them any more.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUN_SWEEP_H
#define DATASTALL_RUN_SWEEP_H

/* What is new in a folder on tmpfs is left alone so long: it may be in the making. Seconds. */
#define RUN_TMPFS_YOUNG_S 30
/* A run whose home was removed stays on tmpfs so long after that was first seen, in case the home
 * was moved. Seconds. */
#define RUN_TMPFS_GRACE_S 86400

/* Brings one run home if it is on tmpfs and nobody writes to it: for readers that found its folder.
 * Does nothing for a run of another owner, unless by root. Errors as rf_run_finish(). */
int run_settle(const char *folder);

enum run_orphan_kind {
    RUN_ORPHAN_HOMELESS,    /* its run folder was removed; it goes after RUN_TMPFS_GRACE_S */
    RUN_ORPHAN_UNREACHABLE, /* the folder of its run folder is not there either: not mounted? */
    RUN_ORPHAN_UNKNOWN,     /* its run folder does not know it, or it does not say whose it is */
    RUN_ORPHAN_STUCK,       /* it could not be brought home: see the sentence */
};
struct run_orphan {
    enum run_orphan_kind kind;
    const char *tmpfs;
    const char *home;     /* "": not known */
    const char *sentence; /* what is wrong, without the remedy */
};
/* Looks through all tmpfs folders of this user (as root: of everybody): brings home whose writers
 * are gone, removes what was left by a kill, and tells of the rest that nobody writes to. found may
 * be NULL. */
void run_sweep(void (*found)(void *context, const struct run_orphan *orphan), void *context);

#endif
