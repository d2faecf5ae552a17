/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks of a thread that makes batches: at the begin of each, where its items are there, and at its
 * end. All of them are four system calls, which cost a loop some 10 us where the caches are cold, so
 * what follows without asking is derived (host_moment_since()), and of batches that are short and never
 * waited for anything the begins as well. Neither allocates nor blocks.
 */
#ifndef DATASTALL_RECORD_WORKER_CLOCKS_H
#define DATASTALL_RECORD_WORKER_CLOCKS_H

#include <stdbool.h>

#include "host/thread_times.h"

/* A moment, with what of the sending thread's time is in the process's clock: where that is derived,
 * what was in it when it was read. */
struct worker_moment {
    struct host_moment at;
    uint64_t pickle_cpu_ns;
};

struct worker_clocks {
    int schedstat;
    struct worker_moment gap; /* where the batch before ended; wall_ns 0: none */
    struct worker_moment begin, items_end, end;
    struct worker_moment asked; /* when all clocks were read last */
    uint32_t
        quiet; /* batches in a row that were short and only ran, up to the number that counts */
    bool has_items_end;
    bool begin_is_taken; /* to be alike: but for the thread's own CPU time nothing was asked */
};

void worker_clocks_open(struct worker_clocks *clocks);
void worker_clocks_close(struct worker_clocks *clocks);

/* pickle_cpu_ns: of the sending thread, as of now. */
void worker_clocks_begin(struct worker_clocks *clocks, uint64_t pickle_cpu_ns);
void worker_clocks_items_end(struct worker_clocks *clocks, uint64_t pickle_cpu_ns);
/* Where the end of the items was not told, it is this. */
void worker_clocks_end(struct worker_clocks *clocks, uint64_t pickle_cpu_ns);

/* The next batch begins after this one: before it is told, the gap is the one before this batch. */
static inline void worker_clocks_next(struct worker_clocks *clocks)
{
    clocks->gap = clocks->end;
}

/* Batches are short for now, and only run. */
bool worker_clocks_are_quiet(const struct worker_clocks *clocks);

/* The end of a batch whose begin was not asked: what it did is what the thread did since the last end that was
 * told, as far as it fits in. */
void worker_clocks_end_of(struct worker_clocks *clocks, uint64_t begin_ns, uint64_t pickle_cpu_ns);

#endif
