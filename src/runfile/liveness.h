/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the process that wrote a run file still runs, as far as that can be seen from here. */
#ifndef DATASTALL_RUNFILE_LIVENESS_H
#define DATASTALL_RUNFILE_LIVENESS_H

#include "runfile/layout.h"

enum rf_liveness {
    RF_DEAD,   /* it is gone, for certain */
    RF_ALIVE,  /* it runs */
    RF_UNSEEN, /* of this boot, but in a PID namespace that cannot be seen from here */
};

/* Any thread. Looks through /proc for a process of another namespace, at most once a second for
 * all that are asked about. */
enum rf_liveness rf_process_liveness(const struct rf_header *header,
                                     const struct rf_process_static *process);

/* The same for a process of the same namespace as the writer of a file: a launcher's command. */
enum rf_liveness rf_liveness_beside(const struct rf_header *header,
                                    const struct rf_process_static *process, uint64_t pid,
                                    uint64_t start_ticks);

/* True when the file is known to be of another boot than this process runs in, or of another machine. */
bool rf_is_of_another_boot(const struct rf_header *header);

/* True when the process that wrote the file is this one. */
bool rf_process_is_self(const struct rf_header *header, const struct rf_process_static *process);

/* Whether any process has the file mapped, by /proc/PID/maps of those that may be looked at; also
 * true when that cannot be told. For files whose writer cannot be read. Slow. */
bool rf_file_may_be_mapped(const char *path);

/* Field 22 of /proc/PID/task/PID/stat (that of /proc/PID/stat), 0 when there is no such process, or
 * it has ended with all of its threads and is not waited for yet. */
uint64_t rf_start_ticks_of(uint64_t pid);

/* The calling process's own, whatever /proc's namespace is; async-signal-safe. 0: no /proc. */
uint64_t rf_own_start_ticks(void);

/* Inode of the calling process's PID namespace, 0: not known. */
uint64_t rf_own_pid_namespace(void);

/* This machine's boot id, "" where it cannot be read. */
const char *rf_own_boot_id(void);

#endif
