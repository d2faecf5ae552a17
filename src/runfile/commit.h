/* The writer's side of a block: changes that are there as a whole or not at all.
 *
 * The pending changes stay in the writer's own memory as well as in the file's journal: addresses
 * are never taken from the file, which somebody else may have overwritten.
 */
#ifndef DATASTALL_RUNFILE_COMMIT_H
#define DATASTALL_RUNFILE_COMMIT_H

#include "base/atomics.h"
#include "base/unknown.h"
#include "runfile/layout.h"

struct rf_commit {
    uint64_t *block;
    uint64_t version; /* even; of the block as it is */
    uint32_t count;
    uint32_t refused; /* words that found no room, of all changes: 0, see rf_stage() */
    uint32_t words[RF_JOURNAL_CAPACITY];
    uint64_t values[RF_JOURNAL_CAPACITY];
};

static inline void rf_commit_attach(struct rf_commit *commit, uint64_t *block)
{
    commit->block = block;
    commit->version = ds_load(&block[RF_BLOCK_VERSION]) & ~UINT64_C(1);
    commit->count = commit->refused = 0;
}

/* The value that the block will have once everything pending is published. Pending words are not
 * looked up: a word is staged once per change. */
static inline uint64_t rf_current(const struct rf_commit *commit, uint64_t word)
{
    return ds_load(&commit->block[word]);
}

/* The largest change fits: static assertions beside the writers count it, test_rollup makes it. One
 * that did not would be cut at the journal's end, whole up to there, and the rest counted; nothing
 * beside the journal is touched. */
static inline void rf_stage(struct rf_commit *commit, uint64_t word, uint64_t value)
{
    const uint32_t i = commit->count;
    if (i >= RF_JOURNAL_CAPACITY) {
        commit->refused++;
        return;
    }
    commit->count = i + 1;
    commit->words[i] = (uint32_t)word;
    commit->values[i] = value;
    ds_store(&commit->block[RF_BLOCK_JOURNAL + 2 * i], word);
    ds_store(&commit->block[RF_BLOCK_JOURNAL + 2 * i + 1], value);
}

static inline void rf_stage_add(struct rf_commit *commit, uint64_t word, uint64_t delta)
{
    rf_stage(commit, word, ds_add_saturated(rf_current(commit, word), delta));
}

/* Commits what was staged. From the first store of the version on, it survives the writer. */
static inline void rf_publish(struct rf_commit *commit)
{
    uint64_t *block = commit->block;
    ds_store(&block[RF_BLOCK_JOURNAL_COUNT], commit->count);
    ds_store_release(&block[RF_BLOCK_VERSION], commit->version + 1);
    ds_fence_release();
    for (uint32_t i = 0; i < commit->count; i++)
        ds_store(&block[commit->words[i]], commit->values[i]);
    commit->version += 2;
    commit->count = 0;
    ds_store_release(&block[RF_BLOCK_VERSION], commit->version);
    /* The next change's journal and ring stores must not be seen before this version is. */
    ds_fence_release();
}

#endif
