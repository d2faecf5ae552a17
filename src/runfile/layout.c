/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/layout.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"

uint64_t rf_checksum(const struct rf_header *header)
{
    struct rf_header copy = *header;
    copy.checksum = 0;
    return ds_hash(DS_HASH_OF_NOTHING, &copy, sizeof copy);
}

static bool is_power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* Takes a table of rows * columns words at *cursor; false when it gets too large. */
static bool take(uint64_t *cursor, uint64_t rows, uint64_t columns, uint64_t *at)
{
    const uint64_t limit = RF_MAX_FILE_BYTES / 8;
    *at = *cursor;
    if (rows > limit || columns > limit || rows * columns > limit)
        return false;
    *cursor += rows * columns;
    return *cursor <= limit;
}

/* To a cache line: what one wait writes is as few of them as can be. */
static bool align(uint64_t *cursor)
{
    *cursor = (*cursor + 7) / 8 * 8;
    return true;
}

bool rf_slot_layout_of(const uint64_t geometry[RF_GEOMETRY_WORDS], struct rf_slot_layout *layout)
{
    *layout = (struct rf_slot_layout){
        .recent = geometry[RF_GEO_RECENT],
        .record_words = geometry[RF_GEO_RECORD_WORDS],
        .causes = geometry[RF_GEO_CAUSES],
        .cause_words = geometry[RF_GEO_CAUSE_WORDS],
        .counter_words = geometry[RF_GEO_COUNTER_WORDS],
        .histogram = geometry[RF_GEO_HISTOGRAM],
        .stages = geometry[RF_GEO_STAGES],
        .stage_words = geometry[RF_GEO_STAGE_WORDS],
        .rollup_levels = geometry[RF_GEO_ROLLUP_SHAPE] & 0xffff,
        .rollup_buckets = geometry[RF_GEO_ROLLUP_SHAPE] >> 16 & 0xffff,
        .rollup_words = geometry[RF_GEO_ROLLUP_SHAPE] >> 32,
        .slowest = geometry[RF_GEO_SLOWEST],
    };
    struct rf_slot_layout *l = layout;
    /* Rows have at least this format's lengths. A version that makes one longer keeps these as the
     * minimum here, and its readers take a word beyond a file's row as 0. */
    if (!is_power_of_two(l->recent) || !is_power_of_two(l->causes) ||
        l->record_words < RF_RECORD_WORDS || l->cause_words < RF_CAUSE_WORDS ||
        l->counter_words < RF_COUNT_WORDS || l->histogram != HISTOGRAM_BUCKETS ||
        l->stages != RF_STAGE_CAPACITY || l->stage_words < RF_STAGE_WORDS ||
        l->rollup_levels == 0 || l->rollup_levels > 16 || l->rollup_buckets < 2 ||
        l->rollup_words < RF_ROLLUP_WORDS || geometry[RF_GEO_JOURNAL] != RF_JOURNAL_CAPACITY)
        return false;
    uint64_t cursor = RF_BLOCK_PAYLOAD + RF_SLOT_WORDS;
    bool fits =
        take(&cursor, 1, l->counter_words, &l->counters_at) && align(&cursor) &&
        take(&cursor, l->recent, l->record_words, &l->ring_at) &&
        take(&cursor, l->causes, l->cause_words, &l->causes_at) &&
        take(&cursor, 1, l->histogram, &l->steady_at) &&
        take(&cursor, 1, l->histogram, &l->startup_at) &&
        take(&cursor, l->stages, l->stage_words, &l->stages_at) &&
        take(&cursor, l->rollup_levels * l->rollup_buckets, l->rollup_words, &l->rollup_at) &&
        take(&cursor, 2 * (l->slowest < 4096 ? l->slowest : 4096), RF_SLOW_WORDS, &l->slow_at) &&
        take(&cursor, 1, RF_SLOT_SPARE_WORDS, &l->spare_at);
    l->words = cursor;
    return fits && l->slowest <= 4096;
}

bool rf_gpu_layout_of(const uint64_t geometry[RF_GEOMETRY_WORDS], struct rf_gpu_layout *layout)
{
    *layout = (struct rf_gpu_layout){
        .recent = geometry[RF_GPU_GEO_RECENT],
        .sample_words = geometry[RF_GPU_GEO_SAMPLE_WORDS],
        .rollup_levels = geometry[RF_GPU_GEO_ROLLUP_LEVELS],
        .rollup_buckets = geometry[RF_GPU_GEO_ROLLUP_BUCKETS],
        .rollup_words = geometry[RF_GPU_GEO_ROLLUP_WORDS],
        .stages = geometry[RF_GPU_GEO_STAGES],
        .stage_words = geometry[RF_GPU_GEO_STAGE_WORDS],
    };
    struct rf_gpu_layout *l = layout;
    if (!is_power_of_two(l->recent) || l->sample_words < RF_GPU_SAMPLE_WORDS ||
        l->rollup_levels == 0 || l->rollup_levels > 16 || l->rollup_buckets < 2 ||
        l->rollup_buckets > RF_MAX_FILE_BYTES / 8 || l->rollup_words < RF_GPU_ROLLUP_WORDS ||
        l->stages != RF_STAGE_CAPACITY || l->stage_words < RF_GPU_STAGE_WORDS ||
        geometry[RF_GPU_GEO_JOURNAL] != RF_JOURNAL_CAPACITY)
        return false;
    uint64_t cursor = RF_BLOCK_PAYLOAD + RF_GPU_STATIC + sizeof(struct rf_gpu_static) / 8;
    /* The ring last: what changes size stays behind what is read often. */
    bool fits =
        take(&cursor, l->stages, l->stage_words, &l->stages_at) &&
        take(&cursor, l->rollup_levels * l->rollup_buckets, l->rollup_words, &l->rollup_at) &&
        take(&cursor, l->recent, l->sample_words, &l->ring_at);
    l->words = cursor;
    return fits;
}

void rf_gpu_end_text(uint64_t end, uint64_t detail, char *text, size_t size)
{
    char why[128] = "";
    if (detail > 0 && detail < 4096)
        snprintf(why, sizeof why, ": %s", strerror((int)detail));
    switch (end) {
    case RF_GPU_END_NONE:
        snprintf(text, size, "%s", "");
        break;
    case RF_GPU_END_SIGNAL:
        snprintf(text, size, "signal %llu in the driver's library", (unsigned long long)detail);
        break;
    case RF_GPU_END_EXIT:
        snprintf(text, size, "the driver's library called exit()");
        break;
    case RF_GPU_END_KILLED:
        snprintf(text, size, "its process was killed");
        break;
    case RF_GPU_END_PROCESS:
        snprintf(text, size, "its process could not be started%s", why);
        break;
    case RF_GPU_END_THREAD:
        snprintf(text, size, "its thread could not be started%s", why);
        break;
    case RF_GPU_END_HUNG:
        snprintf(text, size, "the driver repeatedly stopped answering");
        break;
    default:
        snprintf(text, size, "reason %llu", (unsigned long long)end);
    }
}
