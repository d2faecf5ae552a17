/* Whole copies of blocks, taken from a file or from memory while their writer goes on.
 *
 * How a slot is copied: read the version, the data, the version again. Unchanged: the tables are
 * those after so many rows (after redoing the journal if the version is odd), and the rows behind
 * are there: they are added to the copy, so that it is the slot at one moment, with every wait that
 * had ended. Changed: it is tried again. A thread that records without a pause may change it in
 * every try; then totals and ring are still exact, and the tables (histograms, stages, rollups,
 * slowest) may be off by at most `skew` records.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUNFILE_VIEW_H
#define DATASTALL_RUNFILE_VIEW_H

#include "base/atomics.h"
#include "runfile/layout.h"

/* Where words come from: memory when it is not NULL, else the file. */
struct rf_source {
    const uint64_t *memory;
    int fd;
    uint64_t bytes; /* words beyond are refused */
};
/* Copies words [at, at + count) of the source. False: beyond the end, or the read failed. */
bool rf_source_read(const struct rf_source *source, uint64_t at, uint64_t count, uint64_t *to);

enum rf_parts { RF_PART_TABLES = 1, RF_PART_RING = 2, RF_PART_ALL = 3 };

enum rf_view_status {
    RF_VIEW_OK,
    RF_VIEW_UNUSED,  /* nobody claimed the slot */
    RF_VIEW_CUT,     /* the source ends within it */
    RF_VIEW_DAMAGED, /* what is there contradicts itself */
    RF_VIEW_NO_MEMORY
};

struct rf_slot_view {
    struct rf_slot_layout layout;
    uint64_t records; /* waits that had ended */
    uint64_t skew;    /* 0: counters, tables and ring are of one moment */
    uint64_t loader, thread, waiting_ns;
    uint64_t gpu_uuid[2];
    bool background;                 /* a thread other than the process's main one waited here */
    bool passed_on;                  /* so did others, and `thread` is the last of them */
    uint64_t ring_first, ring_count; /* indices [first, first + count) are in the ring */
    const char *damage;              /* RF_VIEW_DAMAGED: what is wrong */
    uint64_t counters[RF_COUNT_WORDS];
    uint64_t *block; /* the copy; parts that were not asked for are not there */
    bool borrowed;
};

/* at: first word of the slot. On RF_VIEW_OK and RF_VIEW_DAMAGED release the view with
 * rf_slot_view_free(); a damaged view's counters and ring are usable only as far as they agree.
 * scratch, where not NULL, is memory for layout->words words that the view borrows. */
enum rf_view_status rf_slot_view_read(const struct rf_source *source,
                                      const struct rf_slot_layout *layout, uint64_t at,
                                      unsigned parts, uint64_t *scratch, struct rf_slot_view *view);
void rf_slot_view_free(struct rf_slot_view *view);

/* Parts of a view. */
static inline const uint64_t *rf_view_record(const struct rf_slot_view *view, uint64_t index)
{
    return view->block + view->layout.ring_at +
           (index & (view->layout.recent - 1)) * view->layout.record_words;
}
static inline const uint64_t *rf_view_steady(const struct rf_slot_view *view)
{
    return view->block + view->layout.steady_at;
}
static inline const uint64_t *rf_view_startup(const struct rf_slot_view *view)
{
    return view->block + view->layout.startup_at;
}
static inline const uint64_t *rf_view_stage(const struct rf_slot_view *view, uint32_t stage)
{
    return view->block + view->layout.stages_at + stage * view->layout.stage_words;
}
static inline const uint64_t *rf_view_rollup(const struct rf_slot_view *view, uint64_t level,
                                             uint64_t bucket)
{
    return view->block + view->layout.rollup_at +
           (level * view->layout.rollup_buckets + bucket) * view->layout.rollup_words;
}
static inline const uint64_t *rf_view_slow(const struct rf_slot_view *view, uint32_t set,
                                           uint64_t entry)
{
    return view->block + view->layout.slow_at +
           (set * view->layout.slowest + entry) * RF_SLOW_WORDS;
}

/* A block that changes seldom (process, GPU): copies its first `words` words of `block_words`,
 * whole. False when the source ends within them or the journal is impossible. */
bool rf_block_read(const struct rf_source *source, uint64_t at, uint64_t words,
                   uint64_t block_words, uint64_t *to);

#endif
