/* What the workers of a process did.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "run/reader.h"

#define MAX_WORKERS 4096u

static int compare_items(const void *a, const void *b)
{
    const struct rf_worker_item *one = a, *other = b;
    return one->ns < other->ns ? 1 : one->ns > other->ns ? -1 : 0;
}

/* Rows that were being written when they were read have no time, or another one than before. */
static void take_slowest(const struct rf_worker_layout *layout, const uint64_t *entry,
                         const uint64_t *again, struct rf_worker_view *view)
{
    for (uint64_t i = 0; i < layout->slowest && view->slowest_count < RF_WORKER_SLOWEST; i++) {
        const uint64_t *row = entry + layout->slow_at + i * RF_ITEM_WORDS;
        if (row[RF_ITEM_NS] == 0 || row[RF_ITEM_NS] > RF_MOST_NS ||
            memcmp(row, again + i * RF_ITEM_WORDS, RF_ITEM_WORDS * 8) != 0)
            continue;
        view->slowest[view->slowest_count++] =
            (struct rf_worker_item){row[RF_ITEM_NS], row[RF_ITEM_INDEX], row[RF_ITEM_BEGIN_NS]};
    }
    qsort(view->slowest, view->slowest_count, sizeof *view->slowest, compare_items);
}

static bool worker_is_possible(const struct rf_worker_view *view)
{
    const uint64_t *t = view->totals;
    return rf_worker_counters_possible(t) && view->loader < RF_LOADER_CAPACITY &&
           t[RF_TOTAL_BEGIN_NS] <= t[RF_TOTAL_END_NS] && t[RF_TOTAL_BATCHES] <= t[RF_TOTAL_COUNT] &&
           t[RF_TOTAL_FAILED] <= t[RF_TOTAL_COUNT] && view->locked <= view->looks;
}

static void take_head(const uint64_t *head, struct rf_worker_view *view)
{
    view->generation = head[RF_WORKER_GENERATION];
    view->loader = head[RF_WORKER_LOADER];
    view->number = head[RF_WORKER_NUMBER];
    view->pid = head[RF_WORKER_PID];
    view->phase = head[RF_WORKER_PHASE];
    view->item = head[RF_WORKER_ITEM];
    view->exit = head[RF_WORKER_EXIT];
    view->looks = rf_looks_of(head[RF_WORKER_LOOKS]);
    view->locked = rf_locked_of(head[RF_WORKER_LOOKS]);
    memcpy(view->fingerprints, &head[RF_WORKER_FINGERPRINT_0], sizeof view->fingerprints);
}

/* False: the file is cut. *whole: its totals are of one moment. */
static bool read_entry(struct run_reader *reader, uint64_t at, bool items, uint64_t *entry,
                       struct rf_worker_view *view, bool *whole)
{
    const struct rf_worker_layout *layout = &reader->worker_layout;
    uint64_t *again = entry + layout->words;
    bool there = true;
    *whole = false;
    /* A copy of the totals lasts for some batches of its worker; a read takes less than one. */
    for (int attempt = 0; attempt < 16 && there && !*whole; attempt++) {
        there = rf_source_read(&reader->file.source, at, items ? layout->words : layout->ring_at,
                               entry) &&
                (!items || rf_source_read(&reader->file.source, at + layout->slow_at,
                                          layout->slowest * RF_ITEM_WORDS, again));
        *whole = there && rf_worker_totals(entry, layout, view->totals);
    }
    if (!*whole)
        return there;
    take_head(entry, view);
    if (items) {
        memcpy(view->items, entry + layout->items_at, sizeof view->items);
        take_slowest(layout, entry, again, view);
    }
    return true;
}

enum found { NEVER_GIVEN, NOTHING_TO_TELL, TAKEN };

static enum found read_worker(struct run_reader *reader, uint64_t index, bool items,
                              struct rf_worker_view *view)
{
    const struct rf_worker_layout *layout = &reader->worker_layout;
    const uint64_t at = rf_file_entry(&reader->file, RF_SECTION_WORKERS, index);
    memset(view, 0, sizeof *view);
    if (at == UINT64_MAX || !reader->has_workers)
        return NEVER_GIVEN;
    uint64_t head[RF_WORKER_WORDS];
    if (!rf_source_read(&reader->file.source, at, RF_WORKER_WORDS, head)) {
        run_reader_note(reader, "the file ends within worker entry %llu",
                        (unsigned long long)index);
        return NEVER_GIVEN;
    }
    if (head[RF_WORKER_GENERATION] == 0)
        return NEVER_GIVEN;
    if (head[RF_WORKER_COUNT] == 0 && head[RF_WORKER_PHASE] == 0 && head[RF_WORKER_EXIT] == 0)
        return NOTHING_TO_TELL;
    uint64_t *entry = malloc((layout->words + layout->slowest * RF_ITEM_WORDS) * 8);
    bool whole = false;
    const bool there = entry != NULL && read_entry(reader, at, items, entry, view, &whole);
    if (entry != NULL && !there)
        run_reader_note(reader, "the file ends within worker entry %llu",
                        (unsigned long long)index);
    free(entry);
    if (there && (!whole || !worker_is_possible(view))) {
        run_reader_note(reader, "worker entry %llu contradicts itself", (unsigned long long)index);
        return NOTHING_TO_TELL;
    }
    return whole ? TAKEN : NOTHING_TO_TELL;
}

bool run_reader_worker(struct run_reader *reader, uint64_t index, struct rf_worker_view *view)
{
    return read_worker(reader, index, true, view) == TAKEN;
}

static int compare_workers(const void *a, const void *b)
{
    const struct rf_worker_view *one = a, *other = b;
    if (one->loader != other->loader)
        return one->loader < other->loader ? -1 : 1;
    return one->number < other->number ? -1 : one->number > other->number;
}

/* For one more; room is a power of two. */
static bool make_room(struct rf_worker_view **workers, uint32_t count)
{
    if (*workers != NULL && (count & (count - 1)) != 0)
        return true;
    struct rf_worker_view *more =
        realloc(*workers, (count == 0 ? 1 : (size_t)2 * count) * sizeof *more);
    if (more != NULL)
        *workers = more;
    return more != NULL;
}

int run_reader_workers(struct run_reader *reader, bool items, struct rf_worker_view **workers,
                       uint32_t *count)
{
    const uint64_t entries = run_reader_count(reader, RF_SECTION_WORKERS);
    if (!reader->has_workers || entries == 0)
        return DATASTALL_OK;
    if (entries > MAX_WORKERS) {
        run_reader_note(reader, "%llu worker entries are too many to read",
                        (unsigned long long)entries);
        return DATASTALL_OK;
    }
    enum found found = TAKEN;
    for (uint64_t i = 0; i < entries && (items || found != NEVER_GIVEN); i++) {
        if (!make_room(workers, *count))
            return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
        found = read_worker(reader, i, items, &(*workers)[*count]);
        *count += found == TAKEN;
    }
    if (*count > 0)
        qsort(*workers, *count, sizeof **workers, compare_workers);
    return DATASTALL_OK;
}
