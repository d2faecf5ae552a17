/* SPDX-License-Identifier: Apache-2.0 */
/* RF_SECTION_WORKERS: one entry per DataLoader worker (loader, worker number), or per loop that
 * loads in its own process. docs/run-file.md is this page for people.
 *
 * Two writers, each with words of its own. The recording process says whose entry it is (the words
 * up to RF_WORKER_OWN); that worker writes the rest, from its own process, through a shared
 * mapping, so that what it wrote survives its end however it comes. A worker that takes over the
 * entry of an ended one goes on counting where that stopped.
 *
 * Totals rotate through copies: a reader takes the one that RF_WORKER_COUNT names and is right when
 * that has not moved by a whole round meanwhile. A record of the ring is valid when its sequence is
 * the one expected before and after it was read.
 */
#ifndef DATASTALL_RUNFILE_WORKER_SLOT_H
#define DATASTALL_RUNFILE_WORKER_SLOT_H

#include "base/atomics.h"
#include "runfile/layout.h"

enum rf_worker_geometry {
    RF_WORKER_GEO_RECENT, /* records in the ring, a power of two */
    RF_WORKER_GEO_RECORD_WORDS,
    RF_WORKER_GEO_VERSIONS, /* copies of the totals, a power of two */
    RF_WORKER_GEO_TOTAL_WORDS,
    RF_WORKER_GEO_ITEM_BUCKETS,
    RF_WORKER_GEO_SLOWEST
};

#define RF_WORKER_RECENT 32u /* more than a worker makes ahead: prefetch_factor */
#define RF_WORKER_VERSIONS 4u
#define RF_WORKER_SLOWEST 8u
#define RF_WORKER_ITEM_BUCKETS 192u

/* The number of a "worker" that is the loop's own process (num_workers = 0). */
#define RF_WORKER_MAIN UINT64_C(0xffffffff)

enum rf_worker_word {
    /* written by the recording process */
    RF_WORKER_GENERATION, /* 1 with the first worker of this entry, stored last; 0: unused */
    RF_WORKER_LOADER,     /* index in the loader table */
    RF_WORKER_NUMBER,     /* the worker's id, or RF_WORKER_MAIN */
    RF_WORKER_PID,
    RF_WORKER_ASSIGNED_NS,
    RF_WORKER_START_TICKS, /* of that process, with the pid: a pid may come again; 0: not told */
    RF_WORKER_GIVEN,       /* of entry 0 only: how often any entry was given, counted last */
    RF_WORKER_EXIT, /* 1 + exit status of its process, 1 + 256 + signal; 0: it runs, or not told */
    /* written by the worker */
    RF_WORKER_OWN = 8,
    RF_WORKER_ATTACHED = RF_WORKER_OWN, /* the generation of the worker that writes here */
    RF_WORKER_COUNT,                    /* records so far, of all generations */
    RF_WORKER_EPOCH, /* number of the epoch in this generation << 48 | count at its begin */
    RF_WORKER_PHASE, /* since when (ns) << 2 | enum rf_worker_phase */
    RF_WORKER_ITEM,  /* 1 + index in the data set of the item under way; 0: not told */
    /* Of a stream: what batches of the same content share, of the first and the second one of an epoch;
     * 0: not told. */
    RF_WORKER_FINGERPRINT_0,
    RF_WORKER_FINGERPRINT_1,
    RF_WORKER_LOOKS, /* by the recording process again: see rf_pack_looks() */
    RF_WORKER_WORDS = 16
};

enum rf_worker_phase { RF_PHASE_NONE, RF_PHASE_IDLE, RF_PHASE_FETCH };

enum rf_worker_outcome {
    RF_BATCH_MADE,
    RF_BATCH_END,
    RF_BATCH_FAILED,
    RF_BATCH_INTERRUPTED /* by the program's end (Ctrl-C, exit()): no fault of an item */
};

/* One call of fetch(). */
enum rf_worker_record_word {
    RF_WORK_SEQUENCE,     /* 1 + index; 0: being written */
    RF_WORK_BEGIN_NS,     /* an index came */
    RF_WORK_ITEMS_END_NS, /* the items are there */
    RF_WORK_END_NS,       /* collated */
    RF_WORK_GAP_NS,       /* between the end of the batch before and BEGIN; RF_UNKNOWN: the first */
    RF_WORK_CPU_NS,       /* of the items: running on a CPU */
    RF_WORK_DELAY_NS,     /* of the items: runnable, waiting for one */
    RF_WORK_THREADS_NS, /* meanwhile: CPU time of the process's other threads, several at once as well */
    RF_WORK_COLLATE_CPU_NS,
    RF_WORK_COLLATE_DELAY_NS,   /* of the collation: waiting for a CPU */
    RF_WORK_COLLATE_THREADS_NS, /* of the rest of it: other threads of the process ran */
    RF_WORK_ITEMS,              /* 4 * how many + enum rf_worker_outcome: the record has 16 words */
    RF_WORK_SLOWEST_NS,         /* the slowest item, 0: items were not timed */
    RF_WORK_SLOWEST_INDEX,      /* its index in the data set; RF_UNKNOWN: no whole number */
    RF_WORK_PICKLE_CPU_NS, /* of the thread that sends it; written later than the rest, as the next */
    RF_WORK_SEND_DELAY_NS, /* that thread waited for a CPU since it sent the one before */
    RF_WORK_WORDS
};

static inline enum rf_worker_outcome rf_work_outcome(const uint64_t record[RF_WORK_WORDS])
{
    return (enum rf_worker_outcome)(record[RF_WORK_ITEMS] & 3);
}

enum rf_worker_slow_word {
    RF_ITEM_NS, /* 0: empty */
    RF_ITEM_INDEX,
    RF_ITEM_BEGIN_NS,
    RF_ITEM_WORDS
};

struct rf_worker_layout {
    uint64_t recent, record_words, versions, total_words, item_buckets, slowest;
    uint64_t totals_at, ring_at, items_at, slow_at;
    uint64_t words;
};

/* False when the geometry is impossible. */
bool rf_worker_layout_of(const uint64_t geometry[RF_GEOMETRY_WORDS],
                         struct rf_worker_layout *layout);
/* What a writer of this version lays out. */
void rf_worker_geometry(uint64_t geometry[RF_GEOMETRY_WORDS]);

/* Item times: a quarter of a power of two each, from 16 ns on. */
static inline uint32_t rf_item_bucket(uint64_t ns)
{
    if (ns < 16)
        return 0;
    const uint32_t exponent = 63u - (uint32_t)__builtin_clzll(ns);
    const uint32_t bucket = 1 + (exponent - 4) * 4 + (uint32_t)(ns >> (exponent - 2) & 3);
    return bucket < RF_WORKER_ITEM_BUCKETS ? bucket : RF_WORKER_ITEM_BUCKETS - 1;
}
/* The middle of a bucket. */
static inline uint64_t rf_item_bucket_ns(uint32_t bucket)
{
    if (bucket == 0)
        return 8;
    const uint32_t exponent = (bucket - 1) / 4 + 4;
    const uint64_t quarter = UINT64_C(1) << (exponent - 2);
    return (UINT64_C(1) << exponent) + (bucket - 1) % 4 * quarter + quarter / 2;
}

/* ---- words that two processes look at ---- */
static inline uint64_t rf_pack_phase(uint64_t since_ns, enum rf_worker_phase phase)
{
    return since_ns << 2 | (uint64_t)phase;
}
/* Times that somebody looked what a worker was about while it made a batch; of them it waited for a lock
 * that processes share. Over all generations. */
static inline uint64_t rf_pack_looks(uint64_t looks, uint64_t locked)
{
    return looks << 32 | locked;
}
static inline uint64_t rf_looks_of(uint64_t word)
{
    return word >> 32;
}
static inline uint64_t rf_locked_of(uint64_t word)
{
    return word & UINT32_MAX;
}
/* RF_WORKER_EXIT; status as multiprocessing has it: negative for a signal. */
#define RF_EXIT_SIGNALS (1 + UINT64_C(256))
static inline uint64_t rf_pack_exit(int status)
{
    return status < 0 ? RF_EXIT_SIGNALS + (uint64_t)-(int64_t)status : 1 + (uint64_t)status;
}
static inline bool rf_exit_is_signal(uint64_t exit)
{
    return exit >= RF_EXIT_SIGNALS;
}
/* The signal, or the exit status. */
static inline uint64_t rf_exit_status(uint64_t exit)
{
    return exit - (rf_exit_is_signal(exit) ? RF_EXIT_SIGNALS : 1);
}
static inline uint64_t rf_pack_epoch(uint64_t epoch, uint64_t base)
{
    return epoch << 48 | (base & ((UINT64_C(1) << 48) - 1));
}

/* Record `index` of an entry, in memory that its writer may be changing. False: it is not there, or
 * no longer. */
bool rf_worker_record(const uint64_t *entry, const struct rf_worker_layout *layout, uint64_t index,
                      uint64_t record[RF_WORK_WORDS]);
/* The totals of an entry in the same way; zeros of an unused one. False: the writer is too fast. */
bool rf_worker_totals(const uint64_t *entry, const struct rf_worker_layout *layout,
                      uint64_t totals[RF_TOTAL_WORDS]);

#endif
