/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/worker_slot.h"

#include <string.h>

#include "base/hot.h"

#define ATTEMPTS 8

static bool is_power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

void rf_worker_geometry(uint64_t geometry[RF_GEOMETRY_WORDS])
{
    memset(geometry, 0, RF_GEOMETRY_WORDS * sizeof *geometry);
    geometry[RF_WORKER_GEO_RECENT] = RF_WORKER_RECENT;
    geometry[RF_WORKER_GEO_RECORD_WORDS] = RF_WORK_WORDS;
    geometry[RF_WORKER_GEO_VERSIONS] = RF_WORKER_VERSIONS;
    geometry[RF_WORKER_GEO_TOTAL_WORDS] = RF_TOTAL_WORDS;
    geometry[RF_WORKER_GEO_ITEM_BUCKETS] = RF_WORKER_ITEM_BUCKETS;
    geometry[RF_WORKER_GEO_SLOWEST] = RF_WORKER_SLOWEST;
}

bool rf_worker_layout_of(const uint64_t geometry[RF_GEOMETRY_WORDS],
                         struct rf_worker_layout *layout)
{
    *layout = (struct rf_worker_layout){
        .recent = geometry[RF_WORKER_GEO_RECENT],
        .record_words = geometry[RF_WORKER_GEO_RECORD_WORDS],
        .versions = geometry[RF_WORKER_GEO_VERSIONS],
        .total_words = geometry[RF_WORKER_GEO_TOTAL_WORDS],
        .item_buckets = geometry[RF_WORKER_GEO_ITEM_BUCKETS],
        .slowest = geometry[RF_WORKER_GEO_SLOWEST],
    };
    struct rf_worker_layout *l = layout;
    if (!is_power_of_two(l->recent) || l->recent > 65536 || l->record_words < RF_WORK_WORDS ||
        l->record_words > 1024 || !is_power_of_two(l->versions) || l->versions < 4 ||
        l->versions > 1024 || l->total_words < RF_TOTAL_USED_WORDS || l->total_words > 1024 ||
        l->item_buckets != RF_WORKER_ITEM_BUCKETS || l->slowest > 4096)
        return false;
    l->totals_at = RF_WORKER_WORDS;
    l->ring_at = l->totals_at + l->versions * l->total_words;
    l->items_at = l->ring_at + l->recent * l->record_words;
    l->slow_at = l->items_at + l->item_buckets;
    l->words = l->slow_at + l->slowest * RF_ITEM_WORDS;
    return true;
}

DS_WAIT_END bool rf_worker_record(const uint64_t *entry, const struct rf_worker_layout *layout,
                                  uint64_t index, uint64_t record[RF_WORK_WORDS])
{
    const uint64_t *place =
        entry + layout->ring_at + (index & (layout->recent - 1)) * layout->record_words;
    if (ds_load_acquire(&place[RF_WORK_SEQUENCE]) != index + 1)
        return false;
    ds_copy_words(record, place, RF_WORK_WORDS);
    ds_fence_acquire();
    return ds_load(&place[RF_WORK_SEQUENCE]) == index + 1;
}

bool rf_worker_totals(const uint64_t *entry, const struct rf_worker_layout *layout,
                      uint64_t totals[RF_TOTAL_WORDS])
{
    memset(totals, 0, RF_TOTAL_WORDS * sizeof *totals);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        const uint64_t count = ds_load_acquire(&entry[RF_WORKER_COUNT]);
        if (count == 0)
            return true;
        ds_copy_words(totals,
                      entry + layout->totals_at +
                          (count & (layout->versions - 1)) * layout->total_words,
                      RF_TOTAL_USED_WORDS);
        ds_fence_acquire();
        /* The copy after the newest is the one being written. */
        if (ds_load(&entry[RF_WORKER_COUNT]) - count < layout->versions - 1)
            return totals[RF_TOTAL_COUNT] == count;
    }
    return false;
}
