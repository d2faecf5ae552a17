/* SPDX-License-Identifier: Apache-2.0 */
#include "run/recent_waits.h"

#include <stdlib.h>
#include <string.h>

#include "datastall.h"
#include "runfile/fold.h"

#define PATIENCE 32u /* records: more than a writer has stalls under way */

struct ring {
    struct run_reader *reader;
    const struct rf_slot_layout *layout;
    uint64_t at; /* first word of the ring in the file */
};

static uint64_t place_of(const struct ring *ring, uint64_t index)
{
    return ring->at + (index & (ring->layout->recent - 1)) * ring->layout->record_words;
}

/* Rows [first, end) into `rows`, in their order. */
static bool read_rows(const struct ring *ring, uint64_t first, uint64_t end, uint64_t *rows)
{
    const uint64_t words = ring->layout->record_words;
    while (first < end) {
        const uint64_t rest = ring->layout->recent - (first & (ring->layout->recent - 1));
        const uint64_t count = end - first < rest ? end - first : rest;
        if (!rf_source_read(&ring->reader->file.source, place_of(ring, first), count * words, rows))
            return false;
        rows += count * words;
        first += count;
    }
    return true;
}

/* The oldest record that cannot have been written over while rows up to `head` were read. */
static uint64_t oldest_whole(const struct ring *ring, uint64_t head)
{
    uint64_t sequence, newest = head;
    ds_fence_acquire();
    while (newest - head < ring->layout->recent &&
           rf_source_read(&ring->reader->file.source, place_of(ring, newest) + RF_RECORD_SEQUENCE,
                          1, &sequence) &&
           sequence == newest + 1)
        newest++;
    return newest >= ring->layout->recent ? newest - ring->layout->recent + 1 : 0;
}

static struct run_recent_wait wait_of(const uint64_t *row)
{
    struct run_recent_wait wait = {
        .begin_ns = row[RF_RECORD_BEGIN_NS],
        .wait_ns = row[RF_RECORD_WAIT_NS],
        .exposed = {row[RF_RECORD_STALL_LOWER], row[RF_RECORD_STALL_UPPER]},
        .kind = rf_kind_of(row[RF_RECORD_KIND]),
    };
    if (wait.exposed.upper_ns > wait.wait_ns || wait.exposed.lower_ns > wait.exposed.upper_ns)
        wait.exposed = (struct stall_bounds)STALL_BOUNDS_UNKNOWN;
    return wait;
}

static bool is_batch(const struct run_recent_wait *wait)
{
    return wait->kind == DATASTALL_WAIT_STEADY || wait->kind == DATASTALL_WAIT_FIRST;
}

/* The rows that are whole, to the last of them. */
static void take(const struct ring *ring, const uint64_t *rows, uint64_t first, uint64_t head,
                 struct run_recent *recent)
{
    const uint64_t oldest = oldest_whole(ring, head);
    for (uint64_t index = first; index < head; index++) {
        const uint64_t *row = rows + (index - first) * ring->layout->record_words;
        if (index < oldest || row[RF_RECORD_SEQUENCE] != index + 1 || !rf_row_is_possible(row)) {
            recent->first = index + 1;
            recent->count = 0;
            continue;
        }
        recent->waits[recent->count++] = wait_of(row);
    }
}

/* Takes back those behind the first one whose stall may still be told. */
static void leave_untold(struct run_recent *recent)
{
    uint64_t kept = recent->count > PATIENCE ? recent->count - PATIENCE : 0;
    while (kept < recent->count &&
           (!is_batch(&recent->waits[kept]) || recent->waits[kept].exposed.upper_ns != RF_UNKNOWN))
        kept++;
    while (recent->count > kept)
        recent->batches -= is_batch(&recent->waits[--recent->count]);
}

bool run_recent_read(struct run_reader *reader, uint64_t slot, const struct rf_slot_view *view,
                     uint64_t since, bool patient, struct run_recent *recent)
{
    const struct rf_slot_layout *layout = &reader->slot_layout;
    const uint64_t at = rf_file_entry(&reader->file, RF_SECTION_SLOTS, slot);
    const struct ring ring = {reader, layout, at + layout->ring_at};
    const uint64_t head = view->records;
    const uint64_t oldest = head >= layout->recent ? head - layout->recent + 1 : 0;
    const uint64_t first = since > oldest ? (since < head ? since : head) : oldest;
    *recent = (struct run_recent){.slot = slot,
                                  .loader = view->loader,
                                  .begin_ns = view->counters[RF_COUNT_BEGIN_NS],
                                  .first = first,
                                  .batches = view->counters[RF_COUNT_BATCHES]};
    if (first == head)
        return true;
    uint64_t *rows = malloc((head - first) * layout->record_words * 8);
    recent->waits = malloc((head - first) * sizeof *recent->waits);
    const bool read = rows != NULL && recent->waits != NULL && read_rows(&ring, first, head, rows);
    if (read)
        take(&ring, rows, first, head, recent);
    if (read && patient)
        leave_untold(recent);
    free(rows);
    if (!read) {
        free(recent->waits);
        recent->waits = NULL;
    }
    return read;
}
