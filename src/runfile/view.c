/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/sums.h"
#include "datastall.h"
#include "runfile/fold.h"

/* A live writer is outrun by a read that falls between two of its records; the first tries are
 * free, later ones wait a little for a pause. */
#define ATTEMPTS_MEMORY 4
#define ATTEMPTS_FILE 16

bool rf_source_read(const struct rf_source *source, uint64_t at, uint64_t count, uint64_t *to)
{
    if (at > source->bytes / 8 || count > source->bytes / 8 - at)
        return false;
    if (source->memory != NULL) {
        ds_copy_words(to, source->memory + at, count);
        return true;
    }
    /* pread and not a mapping: a file cut short under us is a short read instead of a SIGBUS, and
     * what was checked cannot change afterwards. The kernel copies aligned words whole. */
    char *place = (char *)to;
    uint64_t left = count * 8;
    off_t offset = (off_t)(at * 8);
    while (left > 0) {
        ssize_t got = pread(source->fd, place, left, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        place += got;
        offset += got;
        left -= (uint64_t)got;
    }
    return true;
}

/* Redoes a committed change on a copy of a block's first words. False when the journal points
 * outside the payload of the whole block. */
static bool redo_journal(uint64_t *block, uint64_t words, uint64_t block_words)
{
    uint64_t count = block[RF_BLOCK_JOURNAL_COUNT];
    if (count > RF_JOURNAL_CAPACITY)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t word = block[RF_BLOCK_JOURNAL + 2 * i];
        if (word < RF_BLOCK_PAYLOAD || word >= block_words)
            return false;
        if (word < words)
            block[word] = block[RF_BLOCK_JOURNAL + 2 * i + 1];
    }
    return true;
}

static void pause_before(const struct rf_source *source, int attempt)
{
    if (attempt < 4 || source->memory != NULL) /* who reads memory is the program itself */
        return;
    const struct timespec pause = {0, 10000L * attempt};
    nanosleep(&pause, NULL);
}

bool rf_block_read(const struct rf_source *source, uint64_t at, uint64_t words,
                   uint64_t block_words, uint64_t *to)
{
    for (int attempt = 0; attempt < 64; attempt++) {
        uint64_t after;
        pause_before(source, attempt);
        if (!rf_source_read(source, at + RF_BLOCK_VERSION, 1, to))
            return false;
        uint64_t before = to[RF_BLOCK_VERSION];
        ds_fence_acquire();
        if (!rf_source_read(source, at, words, to))
            return false;
        ds_fence_acquire();
        if (!rf_source_read(source, at + RF_BLOCK_VERSION, 1, &after))
            return false;
        if (before == after && to[RF_BLOCK_VERSION] == before)
            return (before & 1) == 0 || redo_journal(to, words, block_words);
    }
    /* These blocks change at most a few times a second: a version that never rests is damage. */
    return false;
}

/* ---- slots ---- */

/* One try at a slot. */
struct attempt {
    const struct rf_source *source;
    uint64_t at; /* first word of the slot */
    struct rf_slot_view *view;
    uint64_t version; /* at its begin */
    uint64_t counted; /* rows in the copy's totals */
    bool cut;         /* the source ends within the slot */
};

static bool read_part(struct attempt *copy, uint64_t from, uint64_t count)
{
    if (rf_source_read(copy->source, copy->at + from, count, copy->view->block + from))
        return true;
    copy->cut = true;
    return false;
}

/* Whether nothing was counted since the try began. */
static bool is_unchanged(struct attempt *copy)
{
    uint64_t version;
    ds_fence_acquire();
    if (!rf_source_read(copy->source, copy->at + RF_BLOCK_VERSION, 1, &version)) {
        copy->cut = true;
        return false;
    }
    return version == copy->version;
}

static uint64_t *row_of(const struct rf_slot_view *view, uint64_t index)
{
    return view->block + view->layout.ring_at +
           (index & (view->layout.recent - 1)) * view->layout.record_words;
}

/* Journal, head and totals. */
static bool read_head(struct attempt *copy)
{
    const struct rf_slot_layout *layout = &copy->view->layout;
    uint64_t *block = copy->view->block;
    if (!rf_source_read(copy->source, copy->at + RF_BLOCK_VERSION, 1, &copy->version)) {
        copy->cut = true;
        return false;
    }
    ds_fence_acquire();
    if (!read_part(copy, 0, layout->counters_at + layout->counter_words))
        return false;
    block[RF_BLOCK_VERSION] = copy->version;
    return true;
}

/* The row before the uncounted ones, and those, as far as they are there; or all rows. */
static bool read_rows(struct attempt *copy, bool all)
{
    struct rf_slot_view *view = copy->view;
    const struct rf_slot_layout *layout = &view->layout;
    if (all)
        return read_part(copy, layout->ring_at, layout->recent * layout->record_words);
    const uint64_t first = copy->counted > 0 ? copy->counted - 1 : 0;
    for (uint64_t index = first; index - first < layout->recent;) {
        /* Some at a time, and not beyond the ring's end. */
        const uint64_t place = index & (layout->recent - 1);
        const uint64_t count = layout->recent - place < 32 ? layout->recent - place : 32;
        if (!read_part(copy, layout->ring_at + place * layout->record_words,
                       count * layout->record_words))
            return false;
        index += count;
        if (row_of(view, index - 1)[RF_RECORD_SEQUENCE] != index)
            break;
    }
    return true;
}

/* How many rows there are in the copy. */
static uint64_t head_of(const struct attempt *copy)
{
    const struct rf_slot_view *view = copy->view;
    uint64_t head = copy->counted;
    while (head - copy->counted < view->layout.recent &&
           row_of(view, head)[RF_RECORD_SEQUENCE] == head + 1)
        head++;
    return head;
}

/* Rows that were there when the copy began, once more: of one whose number came just in time, the
 * rest may have been copied before it was written. */
static bool read_rows_again(struct attempt *copy, uint64_t head)
{
    const struct rf_slot_layout *layout = &copy->view->layout;
    ds_fence_acquire();
    for (uint64_t index = copy->counted; index < head;) {
        const uint64_t place = index & (layout->recent - 1);
        const uint64_t rest = layout->recent - place;
        const uint64_t count = head - index < rest ? head - index : rest;
        if (!read_part(copy, layout->ring_at + place * layout->record_words,
                       count * layout->record_words))
            return false;
        index += count;
    }
    ds_fence_acquire();
    return true;
}

/* Begin of the wait under way, which is in the row behind the last; 0: there is none. */
static uint64_t waiting_since(const struct attempt *copy, uint64_t head)
{
    const struct rf_slot_layout *layout = &copy->view->layout;
    const uint64_t at =
        copy->at + layout->ring_at + (head & (layout->recent - 1)) * layout->record_words;
    uint64_t before, begin_ns, after;
    if (!rf_source_read(copy->source, at + RF_RECORD_SEQUENCE, 1, &before))
        return 0;
    ds_fence_acquire();
    if (!rf_source_read(copy->source, at + RF_RECORD_BEGIN_NS, 1, &begin_ns))
        return 0;
    ds_fence_acquire();
    const bool same =
        rf_source_read(copy->source, at + RF_RECORD_SEQUENCE, 1, &after) && before == after;
    return same && before == ((head + 1) | RF_RECORD_WAITING) ? begin_ns : 0;
}

/* How many there are by now: rows that were written meanwhile took the places of others. */
static uint64_t newest_head(struct attempt *copy, uint64_t head)
{
    const struct rf_slot_layout *layout = &copy->view->layout;
    for (uint64_t i = 0; i < layout->recent; i++, head++) {
        uint64_t sequence;
        const uint64_t place = head & (layout->recent - 1);
        if (!rf_source_read(copy->source, copy->at + layout->ring_at + place * layout->record_words,
                            1, &sequence) ||
            sequence != head + 1)
            break;
    }
    return head;
}

static bool read_tables(struct attempt *copy)
{
    const struct rf_slot_layout *layout = &copy->view->layout;
    return read_part(copy, layout->steady_at, layout->words - layout->steady_at);
}

/* Table entries of several words that changed between two reads may be a mixture: they are emptied.
 */
static bool drop_unsteady_entries(const struct attempt *copy)
{
    const struct rf_slot_layout *layout = &copy->view->layout;
    uint64_t *block = copy->view->block;
    const uint64_t from = layout->rollup_at;
    const uint64_t count = layout->words - from;
    uint64_t *again = malloc(count * 8);
    if (again == NULL || !rf_source_read(copy->source, copy->at + from, count, again)) {
        free(again);
        return false;
    }
    for (uint64_t i = 0; i < layout->rollup_levels * layout->rollup_buckets; i++) {
        uint64_t word = layout->rollup_at + i * layout->rollup_words;
        if (memcmp(block + word, again + (word - from), layout->rollup_words * 8) != 0)
            memset(block + word, 0, layout->rollup_words * 8);
    }
    for (uint64_t i = 0; i < 2 * layout->slowest; i++) {
        uint64_t word = layout->slow_at + i * RF_SLOW_WORDS;
        if (memcmp(block + word, again + (word - from), RF_SLOW_WORDS * 8) != 0)
            memset(block + word, 0, RF_SLOW_WORDS * 8);
    }
    free(again);
    return true;
}

/* Redoes a change that was committed but not copied yet, as far as the parts are there. */
static bool redo(struct rf_slot_view *view, uint64_t words)
{
    return view->block[RF_BLOCK_VERSION] % 2 == 0 ||
           redo_journal(view->block, words, view->layout.words);
}

/* Adds the rows that are not counted yet to the copy. False: one of them is no row. */
static bool count_rows(const struct attempt *copy, uint64_t head, bool has_tables)
{
    struct rf_slot_view *view = copy->view;
    const struct rf_slot_layout *layout = &view->layout;
    struct rf_commit commit = {.block = view->block, .direct = true};
    struct rf_fold fold;
    rf_fold_start(&fold, &commit, layout, view->counters, has_tables);
    const struct rf_rows rows = {.rows = view->block + layout->ring_at,
                                 .row_mask = layout->recent - 1,
                                 .row_words = layout->record_words,
                                 .causes = view->block + layout->causes_at,
                                 .cause_mask = layout->causes - 1,
                                 .cause_words = layout->cause_words};
    for (uint64_t index = copy->counted; index < head; index++) {
        uint64_t *row = row_of(view, index);
        if (!rf_row_is_possible(row))
            return false;
        /* The two are stored one after the other. */
        if (row[RF_RECORD_STALL_LOWER] > row[RF_RECORD_STALL_UPPER] ||
            (row[RF_RECORD_STALL_UPPER] != RF_UNKNOWN &&
             row[RF_RECORD_STALL_UPPER] > row[RF_RECORD_WAIT_NS]))
            row[RF_RECORD_STALL_LOWER] = row[RF_RECORD_STALL_UPPER] = RF_UNKNOWN;
    }
    rf_fold_rows(&fold, &rows, copy->counted, head); /* a copy has room for all of them */
    rf_fold_settle(&fold);
    return true;
}

/* One try. *settled: totals and rows are of one moment; the tables are unless skew says. */
static const char *copy_slot(struct attempt *copy, unsigned parts, bool *settled)
{
    struct rf_slot_view *view = copy->view;
    const struct rf_slot_layout *layout = &view->layout;
    const bool ring = parts & RF_PART_RING, tables = parts & RF_PART_TABLES;
    *settled = false;
    if (!read_head(copy))
        return NULL;
    if (!redo(view, layout->counters_at + layout->counter_words))
        return is_unchanged(copy) ? "its journal points outside it" : NULL;
    copy->counted = view->block[layout->counters_at + RF_COUNT_SEQUENCE];
    if (!read_rows(copy, ring))
        return NULL;
    const uint64_t head = head_of(copy);
    if (!read_rows_again(copy, head) ||
        !read_part(copy, layout->causes_at, layout->causes * layout->cause_words))
        return NULL;
    /* Now: while nothing was counted, no row was written over more than once. */
    const uint64_t newest = ring ? newest_head(copy, head) : head;
    *settled = is_unchanged(copy);
    if (!*settled)
        return NULL;
    view->records = head;
    view->waiting_ns = waiting_since(copy, head);
    view->skew = 0;
    if (tables && !read_tables(copy))
        return NULL;
    if (tables && !is_unchanged(copy)) {
        uint64_t counted = copy->counted;
        if (copy->cut || !drop_unsteady_entries(copy) ||
            !rf_source_read(copy->source, copy->at + layout->counters_at + RF_COUNT_SEQUENCE, 1,
                            &counted))
            return "it could not be read twice";
        view->skew = (counted > head ? counted : head) - copy->counted + layout->recent;
    }
    const bool exact = tables && view->skew == 0;
    if (exact && !redo(view, layout->words))
        return "its journal points outside it";
    if (ring) {
        const uint64_t first = newest >= layout->recent ? newest - layout->recent + 1 : 0;
        view->ring_first = first < head ? first : head;
        view->ring_count = head - view->ring_first;
    }
    if (copy->counted > 0 && row_of(view, copy->counted - 1)[RF_RECORD_SEQUENCE] != copy->counted)
        return "its totals are not of its last record";
    return count_rows(copy, head, exact) ? NULL : "a record in its ring is invalid";
}

/* A stall is part of the waiting whose stall is known, which is part of the waiting. */
static bool stalls_fit(const uint64_t *totals)
{
    return totals[RF_COUNT_STALL_LOWER_NS] <= totals[RF_COUNT_STALL_UPPER_NS] &&
           totals[RF_COUNT_STALL_UPPER_NS] <= totals[RF_COUNT_STALL_KNOWN_NS] &&
           totals[RF_COUNT_STALL_KNOWN_NS] <=
               ds_add(totals[RF_COUNT_STEADY_NS], totals[RF_COUNT_OTHER_NS]);
}

static bool stages_fit(const struct rf_slot_view *view)
{
    for (uint32_t stage = 1; stage < RF_STAGE_CAPACITY; stage++) {
        const uint64_t *totals = rf_view_stage(view, stage);
        if (totals[RF_COUNT_STEADY_NS] > RF_MOST_NS || totals[RF_COUNT_OTHER_NS] > RF_MOST_NS ||
            !stalls_fit(totals))
            return false;
    }
    return true;
}

static const char *contradiction(const struct rf_slot_view *view, unsigned parts)
{
    const uint64_t *c = view->counters;
    if (view->records == 0)
        return NULL;
    if (!rf_counters_possible(c))
        return "its times are impossibly long";
    uint64_t queue = 0;
    for (int i = 0; i < 4; i++)
        queue = ds_add(queue, c[RF_COUNT_QUEUE + i]);
    if (c[RF_COUNT_SEQUENCE] != view->records || c[RF_COUNT_BEGIN_NS] > c[RF_COUNT_END_NS] ||
        c[RF_COUNT_BATCHES] > view->records || queue > c[RF_COUNT_BATCHES] ||
        c[RF_COUNT_STEADY] > queue || !stalls_fit(c))
        return "its totals contradict each other";
    if (parts & RF_PART_TABLES && view->skew == 0) {
        if (histogram_total(rf_view_steady(view)) != c[RF_COUNT_STEADY] ||
            histogram_total(rf_view_startup(view)) != c[RF_COUNT_STARTUP])
            return "its histogram does not match its totals";
        if (!stages_fit(view))
            return "its stages contradict each other";
    }
    for (uint64_t i = 0; i < view->ring_count; i++) {
        const uint64_t *record = rf_view_record(view, view->ring_first + i);
        if (record[RF_RECORD_SEQUENCE] != view->ring_first + i + 1 || !rf_row_is_possible(record))
            return "a record in its ring is invalid";
    }
    return NULL;
}

/* Rows whose second half was not needed say what it would. */
static void complete_rows(struct rf_slot_view *view)
{
    for (uint64_t i = 0; i < view->ring_count; i++) {
        uint64_t *row = row_of(view, view->ring_first + i);
        if (rf_flags_of(row[RF_RECORD_KIND]) & RF_RECORD_COMPOSED)
            continue;
        for (uint32_t w = RF_RECORD_TOKENS; w <= RF_RECORD_EFFICIENCY; w++)
            row[w] = RF_UNKNOWN; /* as a double: NaN */
    }
}

enum rf_view_status rf_slot_view_read(const struct rf_source *source,
                                      const struct rf_slot_layout *layout, uint64_t at,
                                      unsigned parts, uint64_t *scratch, struct rf_slot_view *view)
{
    memset(view, 0, sizeof *view);
    view->layout = *layout;
    uint64_t used;
    if (!rf_source_read(source, at + RF_BLOCK_PAYLOAD + RF_SLOT_USED, 1, &used))
        return RF_VIEW_CUT;
    if (used == 0)
        return RF_VIEW_UNUSED;
    view->borrowed = scratch != NULL;
    view->block = scratch != NULL ? scratch : malloc(layout->words * 8);
    if (view->block == NULL)
        return RF_VIEW_NO_MEMORY;
    const int attempts = source->memory != NULL ? ATTEMPTS_MEMORY : ATTEMPTS_FILE;
    bool settled = false;
    /* After `attempts` tries exact totals will do; more tries are made only for those. */
    for (int attempt = 0; attempt < 8 * attempts; attempt++) {
        struct attempt copy = {.source = source, .at = at, .view = view};
        pause_before(source, attempt);
        view->damage = copy_slot(&copy, parts, &settled);
        if (copy.cut) {
            rf_slot_view_free(view);
            return RF_VIEW_CUT;
        }
        if (view->damage != NULL || (settled && (view->skew == 0 || attempt + 1 >= attempts)))
            break;
    }
    if (!settled && view->damage == NULL)
        view->damage = "it changes faster than it can be read";
    view->loader = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_LOADER];
    view->thread = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_THREAD];
    const uint64_t owners = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_BACKGROUND];
    view->background = owners != RF_OWNED_BY_MAIN;
    view->passed_on = owners == RF_OWNED_BY_SEVERAL;
    view->gpu_uuid[0] = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_GPU_UUID_0];
    view->gpu_uuid[1] = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_GPU_UUID_1];
    if (view->damage == NULL)
        view->damage = contradiction(view, parts);
    complete_rows(view);
    return view->damage == NULL ? RF_VIEW_OK : RF_VIEW_DAMAGED;
}

void rf_slot_view_free(struct rf_slot_view *view)
{
    if (!view->borrowed)
        free(view->block);
    view->block = NULL;
}
