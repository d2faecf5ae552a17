/* From the rows of a slot's ring to everything that is counted: one piece of code for the writer,
 * who makes it durable now and then, and for readers, who add to their copy what is not in it yet.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUNFILE_FOLD_H
#define DATASTALL_RUNFILE_FOLD_H

#include "runfile/commit.h"
#include "stats/cause.h"

struct rf_fold {
    struct rf_commit *commit; /* of the slot's block; direct for a reader's copy */
    const struct rf_slot_layout *layout;
    uint64_t *counters; /* RF_COUNT_WORDS: the totals with every row so far */
    bool has_tables;    /* false: a copy without them; only totals are kept */
    uint64_t open_second;
    uint64_t slow_ns[2][RF_SLOWEST]; /* what the block holds, and which of it is the least */
    uint32_t slow_least[2];
    /* Totals of the last rows, those of one second and one stage: rows mostly share both. */
    uint64_t second, stage; /* second 0: none */
    uint64_t span[RF_STAGE_WORDS];
};

/* Starts from what the block holds. has_tables false: the block has no tables behind the rings. */
void rf_fold_start(struct rf_fold *fold, struct rf_commit *commit,
                   const struct rf_slot_layout *layout, uint64_t *counters, bool has_tables);

/* Whether a row is one: no kind, queue state or stage that there is not, and no time or count that
 * cannot be (above DATASTALL_MAX_COUNT, RF_MOST_NS, RF_MOST_WAIT_NS). For rows from a file.
 * What is summed over the rows of one counting cannot wrap then. */
bool rf_row_is_possible(const uint64_t *row);

/* Rows and their causes, where they are: rings of 1 + mask rows of so many words. */
struct rf_rows {
    const uint64_t *rows, *causes;
    uint64_t row_mask, row_words, cause_mask, cause_words;
};

/* Adds rows [from, to), which are possible. Returns where it stopped: `to`, or earlier where the
 * journal may be full; the caller publishes then and goes on. */
uint64_t rf_fold_rows(struct rf_fold *fold, const struct rf_rows *rows, uint64_t from, uint64_t to);

/* A stall that became known after its row was added; the second under way takes it. */
struct rf_late_stall {
    uint64_t wait_ns;
    uint32_t stage;
    uint64_t lower_ns, upper_ns;
    bool has_split; /* false: its cause is not known */
    struct cause_share split;
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

/* Puts what was collected and the totals; the caller publishes. */
void rf_fold_settle(struct rf_fold *fold);

#endif
