/* SPDX-License-Identifier: Apache-2.0 */
/* More text than a terminal has lines: through $PAGER, less where that is not set. */
#ifndef DATASTALL_CLI_PAGER_H
#define DATASTALL_CLI_PAGER_H

#include <stdio.h>
#include <sys/types.h>

struct pager {
    FILE *file; /* where to print */
    pid_t pid;  /* 0: none, file is standard output */
};

/* What is printed into the file goes through a pager where standard output is a terminal and a pager is
 * there; else it is standard output. Never NULL. */
FILE *pager_open(struct pager *pager);

/* Returns when the user has left the pager. */
void pager_close(struct pager *pager);

#endif
