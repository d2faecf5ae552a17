/* SPDX-License-Identifier: Apache-2.0 */
/* Every run on this machine that the user may read, found again as runs come and go, and read again
 * and again while they are written. For `top`, `serve` and `export`. Writes nothing, but for runs on
 * tmpfs that it brings home (runfile/tmpfs.h). */
#ifndef DATASTALL_CLI_LIVE_H
#define DATASTALL_CLI_LIVE_H

#include "diagnose/summary.h"

#define LIVE_KEEP_S 600 /* a run stays listed so long after its end */
#define LIVE_MAX_BASES 64u
#define LIVE_MAX_RUNS 1024u /* listed at once; the newest are kept */

struct live;

struct live_options {
    const char *const *bases; /* folders of runs; none: the default one, and those of processes */
    uint32_t base_count;
    const char *const *folders; /* these run folders and no others, however old */
    uint32_t folder_count;
    bool one_by_one; /* with the waits of ranks since the reading before: run_data_read_next() */
};

/* NULL: out of memory. The strings are copied. */
struct live *live_open(const struct live_options *options);
void live_close(struct live *live);

/* Looks for runs and reads those that may have changed. What could not be read this time keeps its
 * last figures. now_ns: CLOCK_MONOTONIC. */
void live_refresh(struct live *live, uint64_t now_ns);

/* The runs of the last refresh, newest first; they live until the next one. */
const struct summary *const *live_runs(const struct live *live, uint32_t *count);

/* Things found damaged in the files of runs that are listed, or would be if they could be read. */
uint32_t live_problems(const struct live *live);
/* One sentence about the first of them, "" without any; lives until the next refresh. */
const char *live_first_problem(const struct live *live);

/* Folders of runs that processes of this machine use, by their environment and working folder:
 * calls found(context, path) for each, some of them more than once and not all of them there (yet).
 * Keeps what it knows of a
 * process in *known (free() it at the end), so that each is looked at about twice. */
struct search_known;
void search_processes(struct search_known **known, void (*found)(void *context, const char *base),
                      void *context);
void search_free(struct search_known *known);

#endif
