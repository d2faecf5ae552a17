/* The writer's side of a block: changes that are there as a whole or not at all.
 *
 * The pending changes stay in the writer's own memory as well as in the file's journal: addresses
 * are never taken from the file, which somebody else may have overwritten.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUNFILE_COMMIT_H
#define DATASTALL_RUNFILE_COMMIT_H

#include <stdbool.h>
#include <string.h>

#include "base/atomics.h"
#include "runfile/layout.h"

#define RF_COMMIT_PLACES (2u * RF_JOURNAL_CAPACITY)

struct rf_commit {
    uint64_t *block;
    uint64_t version; /* even; of the block as it is */
    bool direct;      /* a reader's own copy: changes need no journal */
    uint32_t count;
    uint32_t refused; /* words that found no room, of all changes: 0, see rf_put() */
    uint32_t words[RF_JOURNAL_CAPACITY];
    uint64_t values[RF_JOURNAL_CAPACITY];
    uint16_t taken[RF_JOURNAL_CAPACITY]; /* the place of each */
    uint16_t places[RF_COMMIT_PLACES];   /* by word: 1 + where it is pending; 0: free */
};

static inline void rf_commit_attach(struct rf_commit *commit, uint64_t *block)
{
    commit->block = block;
    commit->version = ds_load(&block[RF_BLOCK_VERSION]) & ~UINT64_C(1);
    commit->direct = false;
    commit->count = commit->refused = 0;
    memset(commit->places, 0, sizeof commit->places);
}

/* Where a word is pending, or would be. */
static inline uint32_t rf_place_of(const struct rf_commit *commit, uint64_t word)
{
    uint32_t place = (uint32_t)(word * 0x9E3779B1u >> 7) % RF_COMMIT_PLACES;
    while (commit->places[place] != 0 && commit->words[commit->places[place] - 1] != word)
        place = (place + 1) % RF_COMMIT_PLACES;
    return place;
}

/* How many further words can become pending; of a reader's copy nothing ever is. */
static inline uint32_t rf_room(const struct rf_commit *commit)
{
    return RF_JOURNAL_CAPACITY - commit->count;
}

/* The value that the block will have once everything pending is published. */
static inline uint64_t rf_current(const struct rf_commit *commit, uint64_t word)
{
    if (commit->count > 0) {
        const uint32_t at = commit->places[rf_place_of(commit, word)];
        if (at != 0)
            return commit->values[at - 1];
    }
    return ds_load(&commit->block[word]);
}

/* Makes a place's word pending with a value. */
static inline void rf_put_at(struct rf_commit *commit, uint32_t place, uint64_t word,
                             uint64_t value)
{
    uint32_t i = commit->places[place];
    if (i == 0) {
        if (commit->count == RF_JOURNAL_CAPACITY) {
            commit->refused++;
            return;
        }
        i = ++commit->count;
        commit->places[place] = (uint16_t)i;
        commit->taken[i - 1] = (uint16_t)place;
        commit->words[i - 1] = (uint32_t)word;
        ds_store(&commit->block[RF_BLOCK_JOURNAL + 2 * (i - 1)], word);
    }
    commit->values[i - 1] = value;
    ds_store(&commit->block[RF_BLOCK_JOURNAL + 2 * (i - 1) + 1], value);
}

/* Makes a word's new value pending. Whoever puts asks rf_room() before, or knows that the largest
 * change fits (static assertions beside the writers count it, test_rollup makes it). One that did
 * not would be cut at the journal's end, whole up to there, and the rest counted; nothing beside
 * the journal is touched. */
static inline void rf_put(struct rf_commit *commit, uint64_t word, uint64_t value)
{
    if (commit->direct)
        commit->block[word] = value;
    else
        rf_put_at(commit, rf_place_of(commit, word), word, value);
}

static inline void rf_put_add(struct rf_commit *commit, uint64_t word, uint64_t delta)
{
    if (commit->direct) {
        commit->block[word] += delta;
        return;
    }
    const uint32_t place = rf_place_of(commit, word), at = commit->places[place];
    const uint64_t old = at != 0 ? commit->values[at - 1] : ds_load(&commit->block[word]);
    rf_put_at(commit, place, word, old + delta);
}

/* Commits what is pending. From the first store of the version on, it survives the writer. */
static inline void rf_publish(struct rf_commit *commit)
{
    uint64_t *block = commit->block;
    if (commit->direct)
        return;
    ds_store(&block[RF_BLOCK_JOURNAL_COUNT], commit->count);
    ds_store_release(&block[RF_BLOCK_VERSION], commit->version + 1);
    ds_fence_release();
    for (uint32_t i = 0; i < commit->count; i++)
        ds_store(&block[commit->words[i]], commit->values[i]);
    commit->version += 2;
    for (uint32_t i = 0; i < commit->count; i++)
        commit->places[commit->taken[i]] = 0;
    commit->count = 0;
    ds_store_release(&block[RF_BLOCK_VERSION], commit->version);
    /* The next change's journal and ring stores must not be seen before this version is. */
    ds_fence_release();
}

#endif
