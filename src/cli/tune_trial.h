/* SPDX-License-Identifier: Apache-2.0 */
/* One trial of `datastall tune`: the command under `datastall run`, for a bounded time. */
#ifndef DATASTALL_CLI_TUNE_TRIAL_H
#define DATASTALL_CLI_TUNE_TRIAL_H

#include <limits.h>
#include <stdbool.h>

struct tune_trial {
    const char *directory;   /* of runs; NULL: the usual one */
    const char *name;        /* of the run */
    const char *const *sets; /* for --set; NULL ends them */
    char **command;
    double seconds; /* after the first iter() it is ended, as Ctrl-C would */
    bool (*has_begun)(struct tune_trial *trial); /* the first iter() was recorded */
    char folder[PATH_MAX];                       /* of its run, found by has_begun(); "": not yet */
    const char *label; /* for who watches: "trial 1 of 3: num_workers=4" */
};

enum tune_end {
    TUNE_ENDED,       /* by itself, or by us at its time */
    TUNE_FAILED,      /* with an error before its time: *code is its code */
    TUNE_INTERRUPTED, /* the user ended it */
    TUNE_IMPOSSIBLE   /* it could not be started: said */
};

/* Runs it and waits for its end. */
enum tune_end tune_trial_run(struct tune_trial *trial, int *code);

/* For `run` that a trial started: the process whose signals the whole group gets, so that they are not
 * passed on as well; 0: there is none. Takes the word out of the environment. */
long tune_trial_take_sender(void);

#endif
