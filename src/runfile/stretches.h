/* SPDX-License-Identifier: Apache-2.0 */
/* RF_SECTION_STRETCHES: of some loaders, stretches of consecutive batches, each with what it cost in
 * its worker, on its way and in the loop. They are spread evenly over the run, whatever its length:
 * when all places are full every second stretch is given up, and from then on half as many are kept.
 * What another setting of the loader would give is reckoned from them (docs/prediction.md).
 *
 * One writer: the thread that iterates over the loader, for as long as its iterator is the loader's
 * newest. A row is valid when its first word is the one expected before and after it was read.
 */
#ifndef DATASTALL_RUNFILE_STRETCHES_H
#define DATASTALL_RUNFILE_STRETCHES_H

#include "base/atomics.h"
#include "runfile/layout.h"

enum rf_stretch_geometry {
    RF_STRETCH_GEO_STRETCHES, /* of a loader */
    RF_STRETCH_GEO_ROWS,      /* of a stretch */
    RF_STRETCH_GEO_HEAD_WORDS,
    RF_STRETCH_GEO_STRETCH_WORDS, /* before the rows */
    RF_STRETCH_GEO_ROW_WORDS
};

#define RF_STRETCH_LOADERS 4u
#define RF_STRETCHES 32u /* even */
#define RF_STRETCH_ROWS 64u

/* Words of a loader's entry before its stretches; sums over all its iterators but those of
 * RF_STRETCH_SKIPPED. New: workers were started, or there are none; again: they were there already. */
enum rf_stretch_head_word {
    RF_STRETCH_LOADER,  /* 1 + index in the loader table, stored last; 0: unused */
    RF_STRETCH_EVERY,   /* a stretch is kept when its number divides by this */
    RF_STRETCH_BATCHES, /* so far: batch i belongs to stretch i / rows */
    RF_STRETCH_NEW, /* iterators, in iter() so long, in the wait for their first batch so long */
    RF_STRETCH_NEW_ITER_NS,
    RF_STRETCH_NEW_FIRST_NS,
    RF_STRETCH_AGAIN,
    RF_STRETCH_AGAIN_ITER_NS,
    RF_STRETCH_AGAIN_FIRST_NS,
    RF_STRETCH_ENDS, /* waits in which an iterator ended, and how long they took */
    RF_STRETCH_ENDS_NS,
    RF_STRETCH_LAST_NS, /* when the last batch came */
    RF_STRETCH_LAST_STEPS_NS, /* of iterators that ended: from the last batch to the wait in which they did */
    RF_STRETCH_HEAD_WORDS = 16
};

/* Words of a stretch before its rows. CPU time is the recording process's, of all its threads. */
enum rf_stretch_word {
    RF_STRETCH_NUMBER, /* 1 + number; 0: empty */
    RF_STRETCH_BEGIN_NS,
    RF_STRETCH_BEGIN_CPU_NS,
    RF_STRETCH_END_NS, /* of its last batch; with the next, stored when it is full or its iterator ends */
    RF_STRETCH_END_CPU_NS,
    RF_STRETCH_WORDS = 8
};

/* Times of a batch, in units of RF_STRETCH_UNIT_NS; RF_STRETCH_UNKNOWN: not known. Two in a word. */
#define RF_STRETCH_UNIT_NS 64u
#define RF_STRETCH_UNKNOWN UINT32_MAX
enum rf_stretch_time {
    RF_BATCH_CONSUMED,      /* from the loader's batch before to the call of next(), without ... */
    RF_BATCH_WAITED,        /* in next() */
    RF_BATCH_EXPOSED_LOWER, /* of that, by the GPU's clock */
    RF_BATCH_EXPOSED_UPPER,
    RF_BATCH_BEGUN, /* from its begin in the worker to the return of next() */
    RF_BATCH_ITEMS, /* from there to the last item */
    RF_BATCH_CPU,   /* of that: running, other threads running, waiting for a CPU */
    RF_BATCH_THREADS,
    RF_BATCH_DELAY,
    RF_BATCH_COLLATE, /* from there to the collated batch */
    RF_BATCH_COLLATE_CPU,
    RF_BATCH_COLLATE_DELAY,
    RF_BATCH_HANDOVER,   /* from there to the loop, where that waited for it all the time */
    RF_BATCH_PICKLE_CPU, /* in the worker's thread that sends */
    RF_BATCH_GET_CPU,    /* in the loop: taking it off the queue */
    RF_BATCH_PIN,
    RF_BATCH_SAMPLER,
    RF_BATCH_TAIL, /* from its coming to the return of next() */
    RF_BATCH_ITER, /* ... the time in iter(), where it is the first of its iterator */
    RF_BATCH_RESERVED,
    RF_BATCH_TIMES
};
#define RF_STRETCH_ROW_WORDS (1u + RF_BATCH_TIMES / 2)

/* The first word of a row: 1 + batch << 24 | flags << 16 | worker (all ones: not known). */
enum rf_stretch_flag { RF_BATCH_IS_FIRST = 1 /* of its iterator */ };
static inline uint64_t rf_pack_batch(uint64_t batch, uint32_t flags, uint32_t worker)
{
    return (batch + 1) << 24 | (uint64_t)(flags & 0xff) << 16 | (worker < 0xffff ? worker : 0xffff);
}
static inline uint64_t rf_batch_of(uint64_t word)
{
    return (word >> 24) - 1;
}
static inline uint32_t rf_batch_flags(uint64_t word)
{
    return word >> 16 & 0xff;
}
static inline uint32_t rf_batch_worker(uint64_t word)
{
    return word & 0xffff;
}

static inline uint32_t rf_stretch_units(uint64_t ns)
{
    const uint64_t units = (ns + RF_STRETCH_UNIT_NS / 2) / RF_STRETCH_UNIT_NS;
    return units < RF_STRETCH_UNKNOWN ? (uint32_t)units : RF_STRETCH_UNKNOWN - 1;
}
static inline uint32_t rf_stretch_units_known(uint64_t ns)
{
    return ns == UINT64_MAX ? RF_STRETCH_UNKNOWN : rf_stretch_units(ns);
}

struct rf_stretch_layout {
    uint64_t stretches, rows, head_words, stretch_words, row_words;
    uint64_t stretch_at_words; /* from one stretch to the next */
    uint64_t words;            /* of a loader's entry */
};

/* False when the geometry is impossible. */
bool rf_stretch_layout_of(const uint64_t geometry[RF_GEOMETRY_WORDS],
                          struct rf_stretch_layout *layout);
/* What a writer of this version lays out. */
void rf_stretch_geometry(uint64_t geometry[RF_GEOMETRY_WORDS]);

/* One batch, as it is read. */
struct rf_stretch_batch {
    uint64_t batch;
    uint32_t flags, worker;
    uint32_t times[RF_BATCH_TIMES];
};

/* Stretch `place` of an entry, in memory that its writer may be changing: its words, and those of its
 * batches that are there, in their order. Returns how many; 0: it is empty. */
uint32_t rf_stretch_read(const uint64_t *entry, const struct rf_stretch_layout *layout,
                         uint64_t place, uint64_t words[RF_STRETCH_WORDS],
                         struct rf_stretch_batch batches[RF_STRETCH_ROWS]);

#endif
