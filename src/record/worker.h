/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side: one per process that loads (a DataLoader worker, or the loop's own process
 * with num_workers = 0). Writes one entry of the recording process's run file (worker_slot.h).
 *
 * A worker does not know its entry when it starts: the recording process gives entries to processes
 * by pid and start, once they run. Until the entry is found the figures go into memory of the same shape, and
 * move then. After worker_open() nothing allocates, locks or logs.
 */
#ifndef DATASTALL_RECORD_WORKER_H
#define DATASTALL_RECORD_WORKER_H

#include <stdbool.h>

#include "record/quiet.h"
#include "record/worker_clocks.h"
#include "runfile/worker_slot.h"
#include "runfile/writer.h"

#define WORKER_SHARES (UINT32_C(1) << 20)

struct worker {
    /* the section as it is mapped; entries NULL: only memory */
    uint64_t *entries;
    uint64_t entry_words, entry_count;
    struct rf_worker_layout layout;
    void *own_map; /* mapped by this process itself; NULL: inherited */
    uint64_t own_map_bytes;
    uint64_t lost; /* set by the fault guard */
    int guard;

    uint64_t *entry;  /* where it writes now */
    uint64_t *memory; /* until it has an entry */
    bool attached;
    uint64_t pid, start_ticks;
    const uint64_t *given; /* RF_WORKER_GIVEN of the file */
    uint64_t given_seen;   /* entries were looked through when it was this */
    uint64_t fork_generation;

    uint64_t opened_ns, first_begin_ns, io_read_ns;
    uint64_t io[3]; /* asked, storage, faults: as read last */
    uint64_t totals[RF_TOTAL_WORDS];
    uint64_t slow_ns[RF_WORKER_SLOWEST]; /* what the entry holds */
    uint64_t measure_at; /* batches made: from then on the tensors of one are measured again */

    /* of the thread that sends; written there */
    uint64_t sent;       /* messages of this process */
    uint64_t first_sent; /* which record in `entry` the first of them is */
    uint64_t pickle_ns, pickle_cpu_ns, sent_messages, sent_bytes,
        sent_tensors;      /* since the last batch ended */
    uint64_t tensor_bytes; /* of one batch, the most seen */
    uint64_t pickle_cpu_total_ns;

    /* the batch under way */
    bool fetching, items_ended;
    struct worker_clocks clocks;
    uint64_t items, item_begin_ns, slowest_ns, slowest_index;
    uint64_t slow_least_ns; /* of slow_ns */
    struct quiet_turns turns;
    uint32_t items_share; /* of the time of the batch that was last asked about, in WORKER_SHARES */
    bool is_left_out;     /* the last batch; then: */
    struct worker_left_out {
        uint64_t begin_ns, items_end_ns, end_ns;
    } left_out;
    uint64_t ended_ns;        /* the last batch; 0: none of this epoch */
    uint64_t left_out_cpu_ns; /* of those since the last that was asked about */
    uint64_t asked_which; /* the data set asked which worker it is in, since the last batch ended */
};

/* Makes a worker that writes into the run file of a recording process whose mapping this process
 * inherited (fork). NULL: out of memory, or the file has no worker section. */
struct worker *worker_open_inherited(const struct rf_writer *writer);

/* The same for a process that shares no memory with the recording one (spawn, forkserver): its run
 * file is one of `folder` with parent_pid in its name. NULL: there is none. */
struct worker *worker_open_in_folder(const char *folder, uint64_t parent_pid);

/* One that writes to an entry of its own process's file from the start (num_workers = 0). */
struct worker *worker_open_own(const struct rf_writer *writer, uint64_t entry);

void worker_close(struct worker *worker);

/* Counts what the process read since the last time, if that was a while ago; at its begin it stands at nothing. */
void worker_read_io(struct worker *worker, uint64_t now_ns);

/* A fetcher was made, which took so long: an epoch begins. */
void worker_epoch(struct worker *worker, uint64_t opened_ns);

/* Around one fetch(). Items: a call for each as it is there; index RF_UNKNOWN where there is none.
 * worker_items_end() may be left out (items and collation are then one: items). */
void worker_begin(struct worker *worker);
void worker_item(struct worker *worker, uint64_t now_ns, uint64_t index);
void worker_items_end(struct worker *worker);
void worker_end(struct worker *worker, enum rf_worker_outcome outcome);

/* Instead of these, where waits are short (quiet.h): true, and of this batch nothing is asked but when it
 * began and ended. It is taken to have only run, and to be split into items and collation as the one before
 * was (left_out says it, with is_left_out); where it took more than QUIET_WAIT_NS after all, what the thread did
 * then is asked. index: of its only item; else RF_UNKNOWN. */
bool worker_leaves_out(struct worker *worker);
uint64_t worker_begin_left_out(struct worker *worker); /* when it began */
void worker_end_left_out(struct worker *worker, uint64_t begin_ns, uint64_t items, uint64_t index,
                         enum rf_worker_outcome outcome);

/* The data set is about to make this item; index RF_UNKNOWN: not told. For who looks at a worker
 * that hangs or was killed. */
static inline void worker_item_begins(struct worker *worker, uint64_t index)
{
    ds_store(&worker->entry[RF_WORKER_ITEM], index + 1);
}

/* Its index; RF_UNKNOWN: not told. */
static inline uint64_t worker_item_under_way(const struct worker *worker)
{
    return ds_load(&worker->entry[RF_WORKER_ITEM]) - 1;
}

/* Of one of the first two batches (0, 1) of an epoch of a stream: see RF_WORKER_FINGERPRINT_0. */
void worker_fingerprint(struct worker *worker, uint32_t batch, uint64_t fingerprint);

/* The data set asked which worker it is in, or whether it did cannot be seen. */
void worker_asked_which(struct worker *worker);

/* In the thread that sends: the next message (one for each fetch) was pickled. */
struct worker_message {
    uint64_t wall_ns, cpu_ns, delay_ns, bytes, tensors;
    uint64_t tensor_bytes; /* at least; 0: not looked at */
    bool lost;             /* pickling it raised an error: nothing was sent */
};
/* Whether the bytes of the next message's tensors are to be told. */
static inline bool worker_wants_tensor_bytes(const struct worker *worker)
{
    return worker->sent < 4 || worker->sent % 16 == 0;
}
void worker_pickled(struct worker *worker, const struct worker_message *message);

/* The same where the loop makes its batches itself and nobody sends them: of an iterator's first, and then of one
 * in 64, since the loop pays for it. 0: not all of it can be told. It shows with the next batch. */
static inline bool worker_wants_own_tensor_bytes(const struct worker *worker)
{
    return worker->totals[RF_TOTAL_BATCHES] >= worker->measure_at;
}
void worker_measured(struct worker *worker, uint64_t tensor_bytes);

/* In the thread that makes batches: what was counted there since the last one. */
void worker_take_sent(struct worker *worker);

/* The process ends: what is still in memory goes to the entry, which its parent has given it by
 * now. */
void worker_finish(struct worker *worker);

/* The process that opened it is this one. */
bool worker_is_ours(const struct worker *worker);

#endif
