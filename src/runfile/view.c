#include "runfile/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/sums.h"
#include "datastall.h"

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

static bool read_tables(const struct rf_source *source, const struct rf_slot_layout *layout,
                        uint64_t at, uint64_t *block)
{
    return rf_source_read(source, at + layout->steady_at, layout->words - layout->steady_at,
                          block + layout->steady_at);
}

/* Table entries of several words that changed between two reads may be a mixture: they are emptied.
 */
static bool drop_unsteady_entries(const struct rf_source *source,
                                  const struct rf_slot_layout *layout, uint64_t at, uint64_t *block)
{
    const uint64_t from = layout->rollup_at;
    const uint64_t count = layout->words - from;
    uint64_t *again = malloc(count * 8);
    if (again == NULL || !rf_source_read(source, at + from, count, again)) {
        free(again);
        return false;
    }
    for (uint64_t i = 0; i < layout->rollup_levels * layout->rollup_buckets; i++) {
        uint64_t word = layout->rollup_at + i * layout->rollup_words;
        if (block[word] != again[word - from])
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

/* One try. Returns false when the source ends; *settled says whether the copy is worth keeping. */
static bool try_copy(const struct rf_source *source, uint64_t at, unsigned parts,
                     struct rf_slot_view *view, bool *settled)
{
    const struct rf_slot_layout *layout = &view->layout;
    uint64_t *block = view->block;
    uint64_t before, between, after;
    if (!rf_source_read(source, at, 1, &before))
        return false;
    ds_fence_acquire();
    const uint64_t head = before / 2 + before % 2;
    const uint64_t copy =
        layout->counters_at + (head & (layout->versions - 1)) * layout->counter_words;
    /* The counters by themselves: their copies last for some 30 records only. */
    const uint64_t known =
        layout->counter_words < RF_COUNT_USED_WORDS ? layout->counter_words : RF_COUNT_USED_WORDS;
    if (!rf_source_read(source, at + copy, known, view->counters))
        return false;
    memset(view->counters + known, 0, (RF_COUNT_WORDS - known) * sizeof *view->counters);
    ds_fence_acquire();
    if (!rf_source_read(source, at, 1, &between) ||
        !rf_source_read(source, at, layout->counters_at, block))
        return false;
    const uint64_t head_between = between / 2 + between % 2;
    *settled =
        before == between || (between > before && head_between - head < layout->versions - 1);
    if (parts & RF_PART_TABLES && !read_tables(source, layout, at, block))
        return false;
    if (parts & RF_PART_RING &&
        !rf_source_read(source, at + layout->ring_at, layout->recent * layout->record_words,
                        block + layout->ring_at))
        return false;
    ds_fence_acquire();
    if (!rf_source_read(source, at, 1, &after))
        return false;
    const uint64_t head_after = after / 2 + after % 2;
    block[RF_BLOCK_VERSION] = before;
    view->records = head;
    view->skew = before == after ? 0 : head_after - head + 1;
    *settled = *settled && after >= before;
    if (parts & RF_PART_RING && *settled) {
        const uint64_t first = head_after >= layout->recent ? head_after - layout->recent + 1 : 0;
        view->ring_first = first < head ? first : head;
        view->ring_count = head - view->ring_first;
    }
    return true;
}

static bool times_are_possible(const uint64_t *c)
{
    static const uint8_t times[] = {
        RF_COUNT_STEADY_NS,      RF_COUNT_STARTUP_NS,       RF_COUNT_FAILED_NS,
        RF_COUNT_END_NS,         RF_COUNT_STALL_KNOWN_NS,   RF_COUNT_LATER_READY_NS,
        RF_COUNT_OTHERS_IDLE_NS, RF_COUNT_WINDOW_FULL_NS,   RF_COUNT_REPLAYED_NS,
        RF_COUNT_REPLAY_NS,      RF_COUNT_REPLAY_LARGER_NS, RF_COUNT_SAMPLER_NS,
        RF_COUNT_PIN_NS,         RF_COUNT_GET_CPU_NS};
    for (size_t i = 0; i < sizeof times; i++) {
        if (c[times[i]] > RF_MOST_NS)
            return false;
    }
    for (uint32_t i = RF_COUNT_CAUSE_NS; i <= RF_COUNT_CAUSE_LAST; i++) {
        if (c[i] > RF_MOST_NS)
            return false;
    }
    return true;
}

/* A stall is part of the waiting whose stall is known, which is part of the waiting. */
static bool stalls_fit(uint64_t waiting_ns, uint64_t known_ns, uint64_t lower_ns, uint64_t upper_ns)
{
    return lower_ns <= upper_ns && upper_ns <= known_ns && known_ns <= waiting_ns;
}

static bool stages_fit(const struct rf_slot_view *view)
{
    for (uint32_t stage = 1; stage < RF_STAGE_CAPACITY; stage++) {
        const uint64_t *w = rf_view_stage(view, stage);
        if (w[RF_STAGE_STEADY_NS] > RF_MOST_NS || w[RF_STAGE_STARTUP_NS] > RF_MOST_NS ||
            !stalls_fit(w[RF_STAGE_STEADY_NS] + w[RF_STAGE_STARTUP_NS], w[RF_STAGE_STALL_KNOWN_NS],
                        w[RF_STAGE_STALL_LOWER_NS], w[RF_STAGE_STALL_UPPER_NS]))
            return false;
    }
    return true;
}

static const char *contradiction(const struct rf_slot_view *view, unsigned parts)
{
    const uint64_t *c = view->counters;
    if (view->records == 0)
        return NULL;
    if (c[RF_COUNT_SEQUENCE] != view->records)
        return "its totals are not of its last record";
    if (!times_are_possible(c))
        return "its times are more than can be";
    uint64_t queue = 0;
    for (int i = 0; i < 4; i++)
        queue = ds_add(queue, c[RF_COUNT_QUEUE + i]);
    if (c[RF_COUNT_BEGIN_NS] > c[RF_COUNT_END_NS] || c[RF_COUNT_BATCHES] > view->records ||
        queue > c[RF_COUNT_BATCHES] || c[RF_COUNT_STEADY] > queue ||
        !stalls_fit(c[RF_COUNT_STEADY_NS] + c[RF_COUNT_STARTUP_NS] + c[RF_COUNT_FAILED_NS],
                    c[RF_COUNT_STALL_KNOWN_NS], c[RF_COUNT_STALL_LOWER_NS],
                    c[RF_COUNT_STALL_UPPER_NS]))
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
        if (record[RF_RECORD_SEQUENCE] != view->ring_first + i + 1 ||
            rf_kind_of(record[RF_RECORD_KIND]) > RF_KIND_NOTE ||
            rf_queue_of(record[RF_RECORD_KIND]) > DATASTALL_QUEUE_STARVED ||
            rf_stage_of(record[RF_RECORD_KIND]) >= RF_STAGE_CAPACITY)
            return "a record in its ring is not one";
    }
    return NULL;
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
    /* After `attempts` tries any whole counters will do; more tries are made only for those. */
    for (int attempt = 0; attempt < 4 * attempts; attempt++) {
        pause_before(source, attempt);
        if (!try_copy(source, at, parts, view, &settled)) {
            rf_slot_view_free(view);
            return RF_VIEW_CUT;
        }
        if (settled && (view->skew == 0 || attempt + 1 >= attempts))
            break;
    }
    if (!settled)
        view->damage = "it changes faster than it can be read";
    else if (view->skew == 0 && view->block[RF_BLOCK_VERSION] % 2 == 1 &&
             !redo_journal(view->block, layout->words, layout->words))
        view->damage = "its journal points outside it";
    else if (view->skew != 0 && parts & RF_PART_TABLES &&
             !drop_unsteady_entries(source, layout, at, view->block))
        view->damage = "it could not be read twice";
    view->loader = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_LOADER];
    view->thread = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_THREAD];
    view->waiting_ns = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_WAITING_NS];
    view->background = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_BACKGROUND] != 0;
    view->gpu_uuid[0] = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_GPU_UUID_0];
    view->gpu_uuid[1] = view->block[RF_BLOCK_PAYLOAD + RF_SLOT_GPU_UUID_1];
    if (view->damage == NULL)
        view->damage = contradiction(view, parts);
    return view->damage == NULL ? RF_VIEW_OK : RF_VIEW_DAMAGED;
}

void rf_slot_view_free(struct rf_slot_view *view)
{
    if (!view->borrowed)
        free(view->block);
    view->block = NULL;
}
