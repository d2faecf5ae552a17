/* From the rows of a slot's ring to everything that is counted: one piece of code for the writer,
 * who makes it durable now and then, and for readers, who add to their copy what is not in it yet.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUNFILE_FOLD_H
#define DATASTALL_RUNFILE_FOLD_H

#include "runfile/commit.h"

struct rf_fold {
    struct rf_commit *commit; /* of the slot's block; direct for a reader's copy */
    const struct rf_slot_layout *layout;
    uint64_t *counters; /* RF_COUNT_WORDS: the totals with every row so far */
    bool has_tables;    /* false: a copy without them; only totals are kept */
    uint64_t open_second;
    uint64_t slow_ns[2][RF_SLOWEST]; /* what the block holds, and which of it is the least */
    uint32_t slow_least[2];
    /* Totals of the last rows, those of one second and one stage: rows mostly share both. */
    bool has_span;
    uint64_t second, stage;
    uint64_t span[RF_STAGE_WORDS];
};

/* Starts from what the block holds. has_tables false: the block has no tables behind the rings. */
void rf_fold_start(struct rf_fold *fold, struct rf_commit *commit,
                   const struct rf_slot_layout *layout, uint64_t *counters, bool has_tables);

/* Adds the next row; cause: its row of the other ring, NULL: none. The caller has checked that
 * kind, queue state and stage are possible, and rf_fold_has_room(). */
void rf_fold_row(struct rf_fold *fold, const uint64_t *row, const uint64_t *cause);

/* A stall that became known after its row was added; the second under way takes it. split: CAUSE_STATES words and the three that
 * follow them in enum rf_cause_word; NULL: not known. */
struct rf_late_stall {
    uint64_t wait_ns;
    uint32_t stage;
    uint64_t lower_ns, upper_ns;
    bool has_split;
    uint64_t split[RF_CAUSE_WINDOW_FULL_NS - RF_CAUSE_SPLIT_NS + 1];
};
void rf_fold_late(struct rf_fold *fold, const struct rf_late_stall *late);

/* Whether a further row, and settling, surely fit the journal. */
static inline bool rf_fold_has_room(const struct rf_fold *fold)
{
    /* Two spans (a second's end each), two stages, a bucket of a histogram, a slowest wait, the totals. */
    return rf_room(fold->commit) >= 2 * RF_ROLLUP_WORDS * RF_ROLLUP_LEVELS + 2 * RF_STAGE_WORDS +
                                        1 + RF_SLOW_WORDS + RF_COUNT_WORDS;
}
_Static_assert(2 * RF_ROLLUP_WORDS * RF_ROLLUP_LEVELS + 2 * RF_STAGE_WORDS + 1 +
                       (unsigned)RF_SLOW_WORDS + (unsigned)RF_COUNT_WORDS <=
                   RF_JOURNAL_CAPACITY,
               "a row and everything that follows from it fit the journal");

/* Stages what was collected and the totals; the caller publishes. */
void rf_fold_settle(struct rf_fold *fold);

#endif
