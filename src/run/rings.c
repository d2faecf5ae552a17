/* SPDX-License-Identifier: Apache-2.0 */
#include "run/rings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define MOST_ROWS (UINT32_C(1) << 20) /* of either kind: a larger file's rest is left out */

static void *room_for_one(void *rows, uint32_t count, size_t size)
{
    if (count == MOST_ROWS)
        return NULL;
    /* Room is a power of two. */
    if (count != 0 && (count & (count - 1)) != 0)
        return rows;
    return realloc(rows, (count == 0 ? 1 : (size_t)2 * count) * size);
}

/* ---- waits ---- */

static bool is_possible(uint64_t begin_ns, uint64_t length_ns)
{
    return begin_ns > 0 && begin_ns <= RF_MOST_NS && length_ns <= RF_MOST_WAIT_NS;
}

static bool add_wait(const struct rf_slot_view *view, const uint64_t *row, struct run_rings *rings)
{
    if (!is_possible(row[RF_RECORD_BEGIN_NS], row[RF_RECORD_WAIT_NS]))
        return true;
    struct run_ring_wait *more = room_for_one(rings->waits, rings->wait_count, sizeof *more);
    if (more == NULL)
        return false;
    rings->waits = more;
    struct run_ring_wait *wait = &more[rings->wait_count++];
    *wait = (struct run_ring_wait){
        .loader = view->loader < RF_LOADER_CAPACITY ? (uint32_t)view->loader : 0,
        .kind = rf_kind_of(row[RF_RECORD_KIND]),
        .stage = rf_stage_of(row[RF_RECORD_KIND]),
        .thread = view->thread,
        .begin_ns = row[RF_RECORD_BEGIN_NS],
        .end_ns = row[RF_RECORD_BEGIN_NS] + row[RF_RECORD_WAIT_NS],
        .batch = row[RF_RECORD_BATCH],
        .samples = row[RF_RECORD_SAMPLES],
        .exposed = {row[RF_RECORD_STALL_LOWER], row[RF_RECORD_STALL_UPPER]},
    };
    if (wait->exposed.upper_ns > row[RF_RECORD_WAIT_NS])
        wait->exposed = (struct stall_bounds)STALL_BOUNDS_UNKNOWN;
    return true;
}

static bool add_slot(struct run_reader *reader, uint64_t slot, struct run_rings *rings)
{
    struct rf_slot_view view;
    const enum rf_view_status status = run_reader_slot(reader, slot, RF_PART_ALL, &view);
    bool room = status != RF_VIEW_NO_MEMORY;
    if (status != RF_VIEW_OK && status != RF_VIEW_DAMAGED)
        return room;
    /* Of a damaged slot nothing can be trusted. */
    for (uint64_t i = 0; status == RF_VIEW_OK && i < view.ring_count && room; i++) {
        const uint64_t *row = rf_view_record(&view, view.ring_first + i);
        if (row[RF_RECORD_SEQUENCE] == view.ring_first + i + 1)
            room = add_wait(&view, row, rings);
    }
    rf_slot_view_free(&view);
    return room;
}

static int compare_waits(const void *a, const void *b)
{
    const struct run_ring_wait *one = a, *other = b;
    return one->begin_ns < other->begin_ns ? -1 : one->begin_ns > other->begin_ns;
}

/* ---- workers ---- */

static bool add_work(const uint64_t *entry, const uint64_t record[RF_WORK_WORDS],
                     struct run_rings *rings)
{
    const uint64_t begin_ns = record[RF_WORK_BEGIN_NS], end_ns = record[RF_WORK_END_NS];
    if (end_ns < begin_ns || !is_possible(begin_ns, end_ns - begin_ns) ||
        record[RF_WORK_ITEMS_END_NS] < begin_ns || record[RF_WORK_ITEMS_END_NS] > end_ns ||
        rf_work_outcome(record) == RF_BATCH_END)
        return true;
    struct run_ring_work *more = room_for_one(rings->work, rings->work_count, sizeof *more);
    if (more == NULL)
        return false;
    rings->work = more;
    more[rings->work_count++] = (struct run_ring_work){
        .loader =
            entry[RF_WORKER_LOADER] < RF_LOADER_CAPACITY ? (uint32_t)entry[RF_WORKER_LOADER] : 0,
        .worker = entry[RF_WORKER_NUMBER],
        .begin_ns = begin_ns,
        .items_end_ns = record[RF_WORK_ITEMS_END_NS],
        .end_ns = end_ns,
        .cpu_ns = record[RF_WORK_CPU_NS],
        .delay_ns = record[RF_WORK_DELAY_NS],
        .items = record[RF_WORK_ITEMS] >> 2,
        .slowest_ns = record[RF_WORK_SLOWEST_NS],
        .slowest_index = record[RF_WORK_SLOWEST_INDEX],
        .failed = rf_work_outcome(record) == RF_BATCH_FAILED,
    };
    return true;
}

static bool add_worker(struct run_reader *reader, uint64_t index, struct run_rings *rings)
{
    const struct rf_worker_layout *layout = &reader->worker_layout;
    const uint64_t at = rf_file_entry(&reader->file, RF_SECTION_WORKERS, index);
    uint64_t head[RF_WORKER_WORDS], record[RF_WORK_WORDS];
    if (at == UINT64_MAX || !rf_source_read(&reader->file.source, at, RF_WORKER_WORDS, head) ||
        head[RF_WORKER_GENERATION] == 0 || head[RF_WORKER_COUNT] == 0)
        return true;
    uint64_t *entry = malloc(layout->words * 8);
    bool room = entry != NULL;
    if (room && rf_source_read(&reader->file.source, at, layout->words, entry)) {
        const uint64_t count = entry[RF_WORKER_COUNT];
        const uint64_t kept = count < layout->recent ? count : layout->recent;
        for (uint64_t i = count - kept; i < count && room; i++) {
            if (rf_worker_record(entry, layout, i, record))
                room = add_work(entry, record, rings);
        }
    }
    free(entry);
    return room;
}

int run_rings_read(const struct run_data *data, const struct run_process *process,
                   struct run_rings *rings)
{
    char path[PATH_MAX];
    struct run_reader *reader;
    const char *place = data->recorded_at[0] != '\0' ? data->recorded_at : data->path;
    *rings = (struct run_rings){0};
    if (snprintf(path, sizeof path, "%s/%s", place, process->file) >= PATH_MAX)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
    int error = run_reader_open(path, &reader);
    if (error != DATASTALL_OK)
        return error;
    bool room = true;
    for (uint64_t i = 0; i < run_reader_count(reader, RF_SECTION_SLOTS) && room; i++)
        room = add_slot(reader, i, rings);
    for (uint64_t i = 0;
         reader->has_workers && i < run_reader_count(reader, RF_SECTION_WORKERS) && room; i++)
        room = add_worker(reader, i, rings);
    run_reader_close(reader);
    if (rings->wait_count > 1)
        qsort(rings->waits, rings->wait_count, sizeof *rings->waits, compare_waits);
    return DATASTALL_OK;
}

void run_rings_free(struct run_rings *rings)
{
    free(rings->waits);
    free(rings->work);
    *rings = (struct run_rings){0};
}
