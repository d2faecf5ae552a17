/* SPDX-License-Identifier: Apache-2.0 */
/* What was said last of each row: an open hash table by the row's key. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "output/openmetrics.h"
#include "output/openmetrics_rows.h"

#define FORGET_AFTER_NS (3600 * DS_NS_PER_S) /* a row that was not said for so long */
#define MAX_ENTRIES (1u << 17)

struct entry {
    uint64_t key; /* 0: free */
    uint64_t said_ns;
    uint32_t kind;
    const char *extra;
    uint64_t values[LOADER_MONOTONE_VALUES];
};
struct openmetrics_memory {
    uint32_t count, room; /* a power of two */
    struct entry *entries;
};

static const uint32_t monotone[ROW_KINDS] = {
    [ROW_RUN] = RUN_MONOTONE_VALUES,       [ROW_PROCESS] = PROCESS_MONOTONE_VALUES,
    [ROW_LOADER] = LOADER_MONOTONE_VALUES, [ROW_STAGE] = STAGE_MONOTONE_VALUES,
    [ROW_GPU] = GPU_MONOTONE_VALUES,       [ROW_PHASE] = PHASE_MONOTONE_VALUES,
    [ROW_JOB] = JOB_MONOTONE_VALUES,       [ROW_JOB_LOSS] = JOB_LOSS_MONOTONE_VALUES,
};

struct openmetrics_memory *openmetrics_memory_new(void)
{
    return calloc(1, sizeof(struct openmetrics_memory));
}

void openmetrics_memory_free(struct openmetrics_memory *memory)
{
    if (memory != NULL)
        free(memory->entries);
    free(memory);
}

/* The key's entry, or the free one where it belongs. */
static struct entry *entry_of(struct entry *entries, uint32_t room, uint64_t key)
{
    uint32_t i = (uint32_t)(key ^ key >> 32) & (room - 1);
    while (entries[i].key != 0 && entries[i].key != key)
        i = (i + 1) & (room - 1);
    return &entries[i];
}

/* Makes room for `more` entries and drops what was not said for long. False: out of memory, or
 * more series than one machine has. */
static bool make_room(struct openmetrics_memory *memory, uint32_t more, uint64_t now_ns)
{
    if (memory->room > 0 && memory->count + more <= memory->room / 2)
        return true;
    uint32_t room = 256, kept = 0;
    for (uint32_t i = 0; i < memory->room; i++)
        kept +=
            memory->entries[i].key != 0 && now_ns - memory->entries[i].said_ns < FORGET_AFTER_NS;
    while (room < 4 * (kept + more) && room < MAX_ENTRIES)
        room *= 2;
    if (kept + more > room / 2)
        return false;
    struct entry *entries = calloc(room, sizeof *entries);
    if (entries == NULL)
        return false;
    for (uint32_t i = 0; i < memory->room; i++) {
        const struct entry *old = &memory->entries[i];
        if (old->key != 0 && now_ns - old->said_ns < FORGET_AFTER_NS)
            *entry_of(entries, room, old->key) = *old;
    }
    free(memory->entries);
    *memory = (struct openmetrics_memory){kept, room, entries};
    return true;
}

static void hold_row(struct openmetrics_memory *memory, uint32_t kind, struct row *row,
                     uint64_t now_ns)
{
    const uint64_t key = row->key == 0 ? 1 : row->key;
    struct entry *entry = entry_of(memory->entries, memory->room, key);
    const bool known = entry->key == key && entry->kind == kind;
    if (entry->key == 0)
        memory->count++;
    for (uint32_t v = 0; v < monotone[kind]; v++) {
        const bool depends = (kind == ROW_LOADER && v == LOADER_STALL_NS) ||
                             (kind == ROW_GPU && (v == GPU_BUSY_NS || v == GPU_IDLE_NS));
        const bool other_series = depends && known && entry->extra != row->extra;
        if (known && !other_series && entry->values[v] != DATASTALL_UNKNOWN &&
            (row->values[v] == DATASTALL_UNKNOWN || row->values[v] < entry->values[v]))
            row->values[v] = entry->values[v];
        entry->values[v] = row->values[v];
    }
    entry->key = key;
    entry->kind = kind;
    entry->extra = row->extra;
    entry->said_ns = now_ns;
}

void rows_hold(struct rows *rows, struct openmetrics_memory *memory, uint64_t now_ns)
{
    uint32_t total = 0;
    for (uint32_t kind = ROW_PROCESS; kind < ROW_KINDS; kind++)
        total += rows->count[kind];
    if (memory == NULL || !make_room(memory, total, now_ns))
        return;
    for (uint32_t kind = ROW_PROCESS; kind < ROW_KINDS; kind++) {
        for (uint32_t i = 0; i < rows->count[kind]; i++)
            hold_row(memory, kind, &rows->rows[kind][i], now_ns);
    }
}
