/* Where a run is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUNFILE_PLACE_H
#define DATASTALL_RUNFILE_PLACE_H

#include <limits.h>
#include <stdbool.h>

#define RF_TMPFS_PREFIX "/dev/shm/datastall-"

struct rf_run {
    char path[PATH_MAX];  /* absolute; where people find the run */
    char tmpfs[PATH_MAX]; /* absolute; where it is recorded: the same, or a folder on tmpfs */
};

#endif
