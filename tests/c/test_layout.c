/* SPDX-License-Identifier: Apache-2.0 */
/* What a file says of itself: each condition of its geometry, header and counters false alone, and
 * each limit from both sides. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unknown.h"
#include "runfile/file_spec.h"
#include "runfile/opened.h"
#include "runfile/rollup.h"
#include "runfile/worker_slot.h"
#include "small_file.h"
#include "support.h"

#define WORDS_OF_FILE (RF_MAX_FILE_BYTES / 8)

/* ---- geometry: one word changed at a time ---- */

struct geometry_row {
    uint32_t word;
    uint64_t value;
    bool possible;
};

static const uint64_t slot_geometry[RF_GEOMETRY_WORDS] = {
    [RF_GEO_RECENT] = 8,
    [RF_GEO_RECORD_WORDS] = RF_RECORD_WORDS,
    [RF_GEO_CAUSES] = 4,
    [RF_GEO_CAUSE_WORDS] = RF_CAUSE_WORDS,
    [RF_GEO_COUNTER_WORDS] = RF_COUNT_WORDS,
    [RF_GEO_HISTOGRAM] = HISTOGRAM_BUCKETS,
    [RF_GEO_STAGES] = RF_STAGE_CAPACITY,
    [RF_GEO_STAGE_WORDS] = RF_STAGE_WORDS,
    [RF_GEO_ROLLUP_SHAPE] = 8 | 64 << 16 | (uint64_t)RF_ROLLUP_WORDS << 32,
    [RF_GEO_SLOWEST] = 16,
    [RF_GEO_JOURNAL] = RF_JOURNAL_CAPACITY,
};
#define SHAPE(levels, buckets, words) \
    ((uint64_t)(levels) | (uint64_t)(buckets) << 16 | (uint64_t)(words) << 32)

static void geometry_of_slots(void **state)
{
    (void)state;
    static const struct geometry_row rows[] = {
        {RF_GEO_RECENT, 0, false},
        {RF_GEO_RECENT, 1, true},
        {RF_GEO_RECENT, 2, true},
        {RF_GEO_RECENT, 3, false},
        {RF_GEO_RECENT, 6, false},
        {RF_GEO_RECENT, 65536, true},
        {RF_GEO_RECENT, UINT64_C(1) << 25, false}, /* too large */
        {RF_GEO_RECENT, UINT64_C(1) << 60, false}, /* and not by wrapping */
        {RF_GEO_RECENT, UINT64_MAX, false},
        {RF_GEO_RECORD_WORDS, RF_RECORD_WORDS - 1, false},
        {RF_GEO_RECORD_WORDS, RF_RECORD_WORDS + 1, true},
        {RF_GEO_RECORD_WORDS, 0, false},
        {RF_GEO_RECORD_WORDS, UINT64_C(1) << 61, false},
        {RF_GEO_CAUSES, 0, false},
        {RF_GEO_CAUSES, 1, true},
        {RF_GEO_CAUSES, 3, false},
        {RF_GEO_CAUSES, UINT64_C(1) << 62, false},
        {RF_GEO_CAUSE_WORDS, RF_CAUSE_WORDS - 1, false},
        {RF_GEO_CAUSE_WORDS, RF_CAUSE_WORDS + 1, true},
        {RF_GEO_CAUSE_WORDS, UINT64_C(1) << 62, false},
        {RF_GEO_COUNTER_WORDS, RF_COUNT_WORDS - 1, false},
        {RF_GEO_COUNTER_WORDS, RF_COUNT_WORDS + 1, true},
        {RF_GEO_COUNTER_WORDS, WORDS_OF_FILE + 1, false},
        {RF_GEO_COUNTER_WORDS, UINT64_MAX, false},
        {RF_GEO_HISTOGRAM, HISTOGRAM_BUCKETS - 1, false},
        {RF_GEO_HISTOGRAM, HISTOGRAM_BUCKETS + 1, false},
        {RF_GEO_STAGES, RF_STAGE_CAPACITY - 1, false},
        {RF_GEO_STAGES, RF_STAGE_CAPACITY + 1, false},
        {RF_GEO_STAGE_WORDS, RF_STAGE_WORDS - 1, false},
        {RF_GEO_STAGE_WORDS, RF_STAGE_WORDS + 1, true},
        {RF_GEO_STAGE_WORDS, UINT64_C(1) << 60, false},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(0, 64, RF_ROLLUP_WORDS), false},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(1, 64, RF_ROLLUP_WORDS), true},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(16, 64, RF_ROLLUP_WORDS), true},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(17, 64, RF_ROLLUP_WORDS), false},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(8, 0, RF_ROLLUP_WORDS), false},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(8, 1, RF_ROLLUP_WORDS), false},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(8, 2, RF_ROLLUP_WORDS), true},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(8, 64, RF_ROLLUP_WORDS - 1), false},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(8, 64, RF_ROLLUP_WORDS + 1), true},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(16, 65535, 65535), false},
        {RF_GEO_ROLLUP_SHAPE, SHAPE(8, 64, UINT32_MAX), false},
        {RF_GEO_SLOWEST, 0, true},
        {RF_GEO_SLOWEST, 4096, true},
        {RF_GEO_SLOWEST, 4097, false},
        {RF_GEO_SLOWEST, UINT64_MAX, false},
        {RF_GEO_JOURNAL, RF_JOURNAL_CAPACITY - 1, false},
        {RF_GEO_JOURNAL, RF_JOURNAL_CAPACITY + 1, false},
        {RF_GEO_JOURNAL, 0, false},
        {RF_GEOMETRY_WORDS - 1, 7, true}, /* of a later version */
    };
    struct rf_slot_layout layout;
    assert_true(rf_slot_layout_of(slot_geometry, &layout));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t geometry[RF_GEOMETRY_WORDS];
        memcpy(geometry, slot_geometry, sizeof geometry);
        geometry[rows[i].word] = rows[i].value;
        if (rf_slot_layout_of(geometry, &layout) != rows[i].possible)
            fail_msg("row %zu", i);
    }
}

/* Where each table begins: behind the one before, and the rows on a cache line. */
static void layout_of_slots(void **state)
{
    (void)state;
    struct rf_slot_layout l;
    assert_true(rf_slot_layout_of(slot_geometry, &l));
    const uint64_t counters_end = l.counters_at + RF_COUNT_WORDS;
    assert_int_equal(l.counters_at, RF_BLOCK_PAYLOAD + RF_SLOT_WORDS);
    assert_int_equal(l.ring_at % 8, 0);
    assert_true(l.ring_at >= counters_end && l.ring_at < counters_end + 8);
    assert_int_equal(l.causes_at, l.ring_at + UINT64_C(8) * RF_RECORD_WORDS);
    assert_int_equal(l.steady_at, l.causes_at + UINT64_C(4) * RF_CAUSE_WORDS);
    assert_int_equal(l.startup_at, l.steady_at + HISTOGRAM_BUCKETS);
    assert_int_equal(l.stages_at, l.startup_at + HISTOGRAM_BUCKETS);
    assert_int_equal(l.rollup_at, l.stages_at + RF_STAGE_CAPACITY * RF_STAGE_WORDS);
    assert_int_equal(l.slow_at, l.rollup_at + UINT64_C(8) * 64 * RF_ROLLUP_WORDS);
    assert_int_equal(l.spare_at, l.slow_at + UINT64_C(2) * 16 * RF_SLOW_WORDS);
    assert_int_equal(l.words, l.spare_at + RF_SLOT_SPARE_WORDS);
    assert_int_equal(l.rollup_levels, 8);
    assert_int_equal(l.rollup_buckets, 64);
    assert_int_equal(l.rollup_words, RF_ROLLUP_WORDS);
    /* Counters that end on a cache line: nothing is left free. */
    uint64_t geometry[RF_GEOMETRY_WORDS];
    memcpy(geometry, slot_geometry, sizeof geometry);
    for (uint64_t more = 0; more < 8; more++) {
        geometry[RF_GEO_COUNTER_WORDS] = RF_COUNT_WORDS + more;
        assert_true(rf_slot_layout_of(geometry, &l));
        const uint64_t end = l.counters_at + RF_COUNT_WORDS + more;
        assert_int_equal(l.ring_at, (end + 7) & ~UINT64_C(7));
    }
}

/* The largest block there can be is as large as the largest file. */
static void the_largest_slot(void **state)
{
    (void)state;
    struct rf_slot_layout layout;
    uint64_t geometry[RF_GEOMETRY_WORDS];
    memcpy(geometry, slot_geometry, sizeof geometry);
    assert_true(rf_slot_layout_of(geometry, &layout));
    const uint64_t rest = WORDS_OF_FILE - layout.words;
    const uint64_t longer = rest / 8;
    geometry[RF_GEO_RECORD_WORDS] += longer;
    assert_true(rf_slot_layout_of(geometry, &layout));
    assert_true(layout.words <= WORDS_OF_FILE && layout.words + 8 > WORDS_OF_FILE);
    geometry[RF_GEO_RECORD_WORDS]++;
    assert_false(rf_slot_layout_of(geometry, &layout));
}

static const uint64_t gpu_geometry[RF_GEOMETRY_WORDS] = {
    [RF_GPU_GEO_RECENT] = 8,
    [RF_GPU_GEO_SAMPLE_WORDS] = RF_GPU_SAMPLE_WORDS,
    [RF_GPU_GEO_ROLLUP_LEVELS] = 8,
    [RF_GPU_GEO_ROLLUP_BUCKETS] = 64,
    [RF_GPU_GEO_ROLLUP_WORDS] = RF_GPU_ROLLUP_WORDS,
    [RF_GPU_GEO_STAGES] = RF_STAGE_CAPACITY,
    [RF_GPU_GEO_STAGE_WORDS] = RF_GPU_STAGE_WORDS,
    [RF_GPU_GEO_JOURNAL] = RF_JOURNAL_CAPACITY,
};

static void geometry_of_gpus(void **state)
{
    (void)state;
    static const struct geometry_row rows[] = {
        {RF_GPU_GEO_RECENT, 0, false},
        {RF_GPU_GEO_RECENT, 1, true},
        {RF_GPU_GEO_RECENT, 3, false},
        {RF_GPU_GEO_RECENT, UINT64_C(1) << 25, false},
        {RF_GPU_GEO_RECENT, UINT64_C(1) << 61, false},
        {RF_GPU_GEO_SAMPLE_WORDS, RF_GPU_SAMPLE_WORDS - 1, false},
        {RF_GPU_GEO_SAMPLE_WORDS, RF_GPU_SAMPLE_WORDS + 1, true},
        {RF_GPU_GEO_SAMPLE_WORDS, UINT64_C(1) << 61, false},
        {RF_GPU_GEO_ROLLUP_LEVELS, 0, false},
        {RF_GPU_GEO_ROLLUP_LEVELS, 1, true},
        {RF_GPU_GEO_ROLLUP_LEVELS, 16, true},
        {RF_GPU_GEO_ROLLUP_LEVELS, 17, false},
        {RF_GPU_GEO_ROLLUP_LEVELS, UINT64_C(1) << 58, false},
        {RF_GPU_GEO_ROLLUP_BUCKETS, 0, false},
        {RF_GPU_GEO_ROLLUP_BUCKETS, 1, false},
        {RF_GPU_GEO_ROLLUP_BUCKETS, 2, true},
        {RF_GPU_GEO_ROLLUP_BUCKETS, UINT64_C(1) << 61, false}, /* times 8 levels it wraps to 0 */
        {RF_GPU_GEO_ROLLUP_BUCKETS, WORDS_OF_FILE, false},
        {RF_GPU_GEO_ROLLUP_WORDS, RF_GPU_ROLLUP_WORDS - 1, false},
        {RF_GPU_GEO_ROLLUP_WORDS, RF_GPU_ROLLUP_WORDS + 1, true},
        {RF_GPU_GEO_ROLLUP_WORDS, UINT64_C(1) << 55, false},
        {RF_GPU_GEO_STAGES, RF_STAGE_CAPACITY - 1, false},
        {RF_GPU_GEO_STAGES, RF_STAGE_CAPACITY + 1, false},
        {RF_GPU_GEO_STAGE_WORDS, RF_GPU_STAGE_WORDS - 1, false},
        {RF_GPU_GEO_STAGE_WORDS, RF_GPU_STAGE_WORDS + 1, true},
        {RF_GPU_GEO_STAGE_WORDS, UINT64_C(1) << 58, false},
        {RF_GPU_GEO_JOURNAL, RF_JOURNAL_CAPACITY - 1, false},
        {RF_GPU_GEO_JOURNAL, RF_JOURNAL_CAPACITY + 1, false},
    };
    struct rf_gpu_layout l;
    assert_true(rf_gpu_layout_of(gpu_geometry, &l));
    assert_int_equal(l.stages_at,
                     RF_BLOCK_PAYLOAD + RF_GPU_STATIC + sizeof(struct rf_gpu_static) / 8);
    assert_int_equal(l.rollup_at, l.stages_at + RF_STAGE_CAPACITY * RF_GPU_STAGE_WORDS);
    assert_int_equal(l.ring_at, l.rollup_at + UINT64_C(8) * 64 * RF_GPU_ROLLUP_WORDS);
    assert_int_equal(l.words, l.ring_at + UINT64_C(8) * RF_GPU_SAMPLE_WORDS);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t geometry[RF_GEOMETRY_WORDS];
        memcpy(geometry, gpu_geometry, sizeof geometry);
        geometry[rows[i].word] = rows[i].value;
        if (rf_gpu_layout_of(geometry, &l) != rows[i].possible)
            fail_msg("row %zu", i);
    }
}

static void geometry_of_workers(void **state)
{
    (void)state;
    static const struct geometry_row rows[] = {
        {RF_WORKER_GEO_RECENT, 0, false},
        {RF_WORKER_GEO_RECENT, 1, true},
        {RF_WORKER_GEO_RECENT, 3, false},
        {RF_WORKER_GEO_RECENT, 65536, true},
        {RF_WORKER_GEO_RECENT, 131072, false},
        {RF_WORKER_GEO_RECORD_WORDS, RF_WORK_WORDS - 1, false},
        {RF_WORKER_GEO_RECORD_WORDS, 1024, true},
        {RF_WORKER_GEO_RECORD_WORDS, 1025, false},
        {RF_WORKER_GEO_VERSIONS, 0, false},
        {RF_WORKER_GEO_VERSIONS, 2, false},
        {RF_WORKER_GEO_VERSIONS, 4, true},
        {RF_WORKER_GEO_VERSIONS, 6, false},
        {RF_WORKER_GEO_VERSIONS, 1024, true},
        {RF_WORKER_GEO_VERSIONS, 2048, false},
        {RF_WORKER_GEO_TOTAL_WORDS, RF_TOTAL_USED_WORDS - 1, false},
        {RF_WORKER_GEO_TOTAL_WORDS, RF_TOTAL_USED_WORDS, true},
        {RF_WORKER_GEO_TOTAL_WORDS, 1024, true},
        {RF_WORKER_GEO_TOTAL_WORDS, 1025, false},
        {RF_WORKER_GEO_ITEM_BUCKETS, RF_WORKER_ITEM_BUCKETS - 1, false},
        {RF_WORKER_GEO_ITEM_BUCKETS, RF_WORKER_ITEM_BUCKETS + 1, false},
        {RF_WORKER_GEO_SLOWEST, 0, true},
        {RF_WORKER_GEO_SLOWEST, 4096, true},
        {RF_WORKER_GEO_SLOWEST, 4097, false},
    };
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_worker_layout l;
    memset(geometry, 0xff, sizeof geometry);
    rf_worker_geometry(geometry);
    assert_int_equal(geometry[RF_GEOMETRY_WORDS - 1], 0);
    assert_true(rf_worker_layout_of(geometry, &l));
    assert_int_equal(l.totals_at, RF_WORKER_WORDS);
    assert_int_equal(l.ring_at, l.totals_at + RF_WORKER_VERSIONS * RF_TOTAL_WORDS);
    assert_int_equal(l.items_at, l.ring_at + RF_WORKER_RECENT * RF_WORK_WORDS);
    assert_int_equal(l.slow_at, l.items_at + RF_WORKER_ITEM_BUCKETS);
    assert_int_equal(l.words, l.slow_at + RF_WORKER_SLOWEST * RF_ITEM_WORDS);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_worker_geometry(geometry);
        geometry[rows[i].word] = rows[i].value;
        if (rf_worker_layout_of(geometry, &l) != rows[i].possible)
            fail_msg("row %zu", i);
    }
}

/* ---- counters, word by word ---- */

static void totals_that_cannot_be(void **state)
{
    (void)state;
    uint64_t totals[RF_COUNT_WORDS] = {0};
    assert_true(rf_counters_possible(totals) && rf_counters_fit(totals));
    for (uint32_t i = 0, at = 0; i < rf_wait_counter_count; i++) {
        const struct counter *counter = &rf_wait_counters[i];
        const bool is_time = strcmp(counter->unit, "ns") == 0;
        const bool real = counter->op == COUNTER_REAL_SUM || counter->op == COUNTER_REAL_MIN;
        for (uint32_t k = 0; k < counter->words; k++, at++) {
            totals[at] = RF_MOST_NS;
            assert_true(rf_counters_possible(totals));
            totals[at] = RF_MOST_NS + 1;
            assert_int_equal(rf_counters_possible(totals), !is_time);
            totals[at] = DS_MOST - 1;
            assert_true(rf_counters_fit(totals));
            totals[at] = DS_MOST;
            assert_int_equal(rf_counters_fit(totals), real);
            totals[at] = 0;
        }
    }
}

static void totals_of_workers_that_cannot_be(void **state)
{
    (void)state;
    uint64_t totals[RF_TOTAL_USED_WORDS];
    memset(totals, 0xff, sizeof totals);
    rf_worker_counters_clear(totals);
    for (uint32_t i = 0; i < RF_TOTAL_USED_WORDS; i++) {
        const bool known_sum =
            i == RF_TOTAL_ASKED_BYTES || i == RF_TOTAL_STORAGE_BYTES || i == RF_TOTAL_MAJOR_FAULTS;
        const uint64_t before = totals[i];
        assert_int_equal(before, known_sum ? DS_UNKNOWN : 0);
        totals[i] = RF_MOST_NS;
        assert_true(rf_worker_counters_possible(totals));
        totals[i] = RF_MOST_NS + 1;
        assert_int_equal(rf_worker_counters_possible(totals), known_sum);
        totals[i] = before;
    }
}

/* ---- headers ---- */

static char path[300];

static int opened(void)
{
    struct rf_file file;
    const int error = rf_file_open(path, &file);
    if (error == DATASTALL_OK)
        rf_file_close(&file);
    return error;
}

/* The small file with one word of its header changed: of `bytes` bytes at an offset. */
static int opened_with(size_t offset, size_t bytes, uint64_t value, bool sealed)
{
    size_t size;
    unsigned char *sound = test_read_file(path, &size);
    unsigned char *changed = malloc(size);
    memcpy(changed, sound, size);
    memcpy(changed + offset, &value, bytes);
    struct rf_header *header = (struct rf_header *)(void *)changed;
    if (sealed)
        header->checksum = rf_checksum(header);
    test_write_file(path, changed, size);
    const int error = opened();
    test_write_file(path, sound, size);
    free(changed);
    free(sound);
    return error;
}

#define FIELD(name) offsetof(struct rf_header, name), sizeof(((struct rf_header *)0)->name)

/* A file has the sections that it is asked for, from one entry on, one after the other. */
static void sections_that_are_asked_for(void **state)
{
    (void)state;
    static const uint32_t types[] = {RF_SECTION_SLOTS, RF_SECTION_GPUS, RF_SECTION_WORKERS,
                                     RF_SECTION_STRETCHES, RF_SECTION_STEPS};
    for (uint32_t asked = 0; asked < 5; asked++) {
        for (uint32_t count = 0; count <= 2; count++) {
            struct rf_spec spec = {.recent_waits = 8};
            uint32_t *const counts[] = {&spec.slots, &spec.gpus, &spec.workers, &spec.stretches,
                                        &spec.steps};
            struct rf_header header;
            *counts[asked] = count;
            memset(&header, 0x55, sizeof header);
            rf_layout_file(&spec, &header);
            assert_int_equal(rf_section_of(&header, RF_SECTION_PROCESS)->entry_count, 1);
            for (uint32_t t = 0; t < 5; t++) {
                const struct rf_section *section = rf_section_of(&header, types[t]);
                CHECK((section != NULL) == (t == asked && count > 0), "%u of %u: section %u", count,
                      types[asked], types[t]);
                if (section != NULL)
                    assert_int_equal(section->entry_count, count);
            }
            const bool has_loaders = asked == 0 && count > 0; /* and stages: of what slots are of */
            assert_int_equal(rf_section_of(&header, RF_SECTION_LOADERS) != NULL, has_loaders);
            assert_int_equal(rf_section_of(&header, RF_SECTION_STAGES) != NULL, has_loaders);
            uint64_t end = RF_HEADER_BYTES;
            for (uint32_t i = 0; i < header.section_count; i++) {
                const struct rf_section *section = &header.sections[i];
                assert_true(section->offset >= end && section->offset % 64 == 0);
                end = section->offset + section->entry_bytes * section->entry_count;
            }
            assert_true(header.file_bytes >= end);
        }
    }
}

static void headers_that_are_none(void **state)
{
    (void)state;
    static const struct {
        size_t offset, bytes;
        uint64_t value;
        bool sealed;
        int error;
        const char *says;
    } rows[] = {
        {FIELD(magic), 0, true, DATASTALL_ERR_DAMAGED, "has no header"},
        {FIELD(magic), 1, true, DATASTALL_ERR_FOREIGN, "is not a datastall run file"},
        {FIELD(byte_order), 0x04030201, true, DATASTALL_ERR_FOREIGN, "other byte order"},
        {FIELD(byte_order), 0x01020305, true, DATASTALL_ERR_DAMAGED, "byte-order mark"},
        {FIELD(format_major), RF_FORMAT_MAJOR + 1, true, DATASTALL_ERR_NEWER, "newer datastall"},
        {FIELD(format_major), RF_FORMAT_MAJOR, true, DATASTALL_OK, ""},
        {FIELD(format_major), 0, true, DATASTALL_OK, ""},
        {FIELD(format_minor), 999, true, DATASTALL_OK, ""},
        {FIELD(created_real_ns), 1, true, DATASTALL_OK, ""},
        {FIELD(created_real_ns), 1, false, DATASTALL_ERR_DAMAGED, "checksum"},
        {FIELD(section_count), RF_MAX_SECTIONS + 1, true, DATASTALL_ERR_DAMAGED, "impossible"},
        {FIELD(section_count), RF_MAX_SECTIONS, true, DATASTALL_ERR_DAMAGED, "outside"},
        {FIELD(section_count), 0, true, DATASTALL_ERR_DAMAGED, "no process section"},
        {FIELD(file_bytes), RF_MAX_FILE_BYTES, true, DATASTALL_OK, ""},
        {FIELD(file_bytes), RF_MAX_FILE_BYTES + 1, true, DATASTALL_ERR_DAMAGED, "impossible"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int error = opened_with(rows[i].offset, rows[i].bytes, rows[i].value, rows[i].sealed);
        if (error != rows[i].error)
            fail_msg("row %zu: %d", i, error);
        if (error != DATASTALL_OK)
            assert_non_null(strstr(datastall_last_error(), rows[i].says));
    }
}

/* The first section is the process's: it ends in front of the next, within the file. */
static void sections_that_lie_outside(void **state)
{
    (void)state;
    struct rf_file file;
    assert_int_equal(rf_file_open(path, &file), 0);
    const struct rf_section process = file.header.sections[0];
    const uint64_t bytes = file.header.file_bytes;
    rf_file_close(&file);
    assert_int_equal(process.type, RF_SECTION_PROCESS);
    const size_t at = offsetof(struct rf_header, sections);
    const struct {
        size_t field;
        uint64_t value;
        int error;
    } rows[] = {
        {offsetof(struct rf_section, offset), process.offset + 64, DATASTALL_OK},
        {offsetof(struct rf_section, offset), process.offset + 8, DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, offset), bytes - process.entry_bytes, DATASTALL_OK},
        {offsetof(struct rf_section, offset), bytes - process.entry_bytes + 64,
         DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, offset), bytes + 64, DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, offset), UINT64_MAX - 63, DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, entry_bytes), process.entry_bytes + 64, DATASTALL_OK},
        {offsetof(struct rf_section, entry_bytes), process.entry_bytes + 8, DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, entry_bytes), 0, DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, entry_bytes), RF_PROCESS_BLOCK_WORDS * 8 / 64 * 64,
         RF_PROCESS_BLOCK_WORDS * 8 % 64 == 0 ? DATASTALL_OK : DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, entry_bytes), (RF_PROCESS_BLOCK_WORDS * 8 - 1) / 64 * 64,
         DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, entry_bytes), UINT64_MAX - 63, DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, entry_count), 0, DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, entry_count), UINT64_MAX, DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, entry_count), UINT64_C(1) << 58, DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, entry_count), (bytes - process.offset) / process.entry_bytes,
         DATASTALL_OK},
        {offsetof(struct rf_section, entry_count),
         (bytes - process.offset) / process.entry_bytes + 1, DATASTALL_ERR_DAMAGED},
        {offsetof(struct rf_section, type), RF_SECTION_LOADERS, DATASTALL_ERR_DAMAGED}, /* twice */
        {offsetof(struct rf_section, type), 77, DATASTALL_ERR_DAMAGED}, /* then there is none */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t size = rows[i].field == offsetof(struct rf_section, type) ? 4 : 8;
        const int error = opened_with(at + rows[i].field, size, rows[i].value, true);
        if (error != rows[i].error)
            fail_msg("row %zu: %d", i, error);
    }
}

static void files_that_are_no_files(void **state)
{
    (void)state;
    size_t size;
    unsigned char *sound = test_read_file(path, &size);
    static const struct {
        size_t bytes;
        int error;
        const char *says;
    } rows[] = {
        {0, DATASTALL_ERR_DAMAGED, "0 bytes are no header"},
        {RF_HEADER_BYTES - 1, DATASTALL_ERR_DAMAGED, "4095 bytes are no header"},
        {RF_HEADER_BYTES, DATASTALL_OK, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        test_write_file(path, sound, rows[i].bytes);
        assert_int_equal(opened(), rows[i].error);
        if (rows[i].error != DATASTALL_OK)
            assert_non_null(strstr(datastall_last_error(), rows[i].says));
    }
    unlink(path);
    assert_int_equal(opened(), DATASTALL_ERR_NOT_FOUND);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(opened(), DATASTALL_ERR_FOREIGN);
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(opened(), DATASTALL_ERR_FOREIGN);
    unlink(path);
    test_write_file(path, sound, size);
    free(sound);
}

/* No descriptor is left behind, however a file is refused. */
static void nothing_stays_open(void **state)
{
    (void)state;
    const uint32_t before = test_open_descriptors();
    assert_int_equal(opened(), DATASTALL_OK);
    assert_int_equal(opened_with(FIELD(magic), 1, true), DATASTALL_ERR_FOREIGN);
    assert_int_equal(test_open_descriptors(), before);
}

/* Every byte of the header counts, that of the checksum alone does not. */
static void the_checksum(void **state)
{
    (void)state;
    struct rf_header header;
    unsigned char *bytes = (unsigned char *)&header;
    memset(&header, 0, sizeof header);
    const uint64_t nothing = rf_checksum(&header);
    for (size_t i = 0; i < sizeof header; i++) {
        bytes[i] = 1;
        const bool own =
            i >= offsetof(struct rf_header, checksum) && i < offsetof(struct rf_header, sections);
        assert_int_equal(rf_checksum(&header) == nothing, own);
        bytes[i] = 0;
    }
    assert_int_equal(nothing, UINT64_C(0x1bb841893bee6be5)); /* FNV-1a, as files have it */
}

/* ---- entries ---- */

static void entries_of_sections(void **state)
{
    (void)state;
    struct rf_file file;
    assert_int_equal(rf_file_open(path, &file), 0);
    const struct rf_section *section = rf_section_of(&file.header, RF_SECTION_LOADERS);
    assert_non_null(section);
    const uint64_t first = section->offset / 8, step = section->entry_bytes / 8;
    for (uint64_t i = 0; i < section->entry_count; i++)
        assert_int_equal(rf_file_entry(&file, RF_SECTION_LOADERS, i), first + i * step);
    assert_int_equal(rf_file_entry(&file, RF_SECTION_LOADERS, section->entry_count), UINT64_MAX);
    assert_int_equal(rf_file_entry(&file, 77, 0), UINT64_MAX);
    rf_file_close(&file);
}

/* ---- why sampling ended ---- */

static void why_sampling_ended(void **state)
{
    (void)state;
    static const struct {
        uint64_t end, detail;
        const char *text;
    } rows[] = {
        {RF_GPU_END_NONE, 5, ""},
        {RF_GPU_END_SIGNAL, 11, "signal 11 in the driver's library"},
        {RF_GPU_END_EXIT, 0, "the driver's library called exit()"},
        {RF_GPU_END_KILLED, 0, "its process was killed"},
        {RF_GPU_END_PROCESS, 0, "its process could not be started"},
        {RF_GPU_END_PROCESS, 1, "its process could not be started: Operation not permitted"},
        {RF_GPU_END_PROCESS, 12, "its process could not be started: Cannot allocate memory"},
        {RF_GPU_END_PROCESS, 4095, "its process could not be started: Unknown error 4095"},
        {RF_GPU_END_PROCESS, 4096, "its process could not be started"},
        {RF_GPU_END_THREAD, 0, "its thread could not be started"},
        {RF_GPU_END_THREAD, 12, "its thread could not be started: Cannot allocate memory"},
        {RF_GPU_END_HUNG, 3, "the driver repeatedly stopped answering"},
        {99, 3, "reason 99"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[160] = "?";
        rf_gpu_end_text(rows[i].end, rows[i].detail, text, sizeof text);
        assert_string_equal(text, rows[i].text);
    }
}

static int make_file(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/a.dsrun", test_folder());
    small_file_make(path, true);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(geometry_of_slots),
        cmocka_unit_test(layout_of_slots),
        cmocka_unit_test(the_largest_slot),
        cmocka_unit_test(geometry_of_gpus),
        cmocka_unit_test(geometry_of_workers),
        cmocka_unit_test(totals_that_cannot_be),
        cmocka_unit_test(totals_of_workers_that_cannot_be),
        cmocka_unit_test(sections_that_are_asked_for),
        cmocka_unit_test(headers_that_are_none),
        cmocka_unit_test(sections_that_lie_outside),
        cmocka_unit_test(files_that_are_no_files),
        cmocka_unit_test(nothing_stays_open),
        cmocka_unit_test(the_checksum),
        cmocka_unit_test(entries_of_sections),
        cmocka_unit_test(why_sampling_ended),
    };
    return cmocka_run_group_tests(tests, make_file, NULL);
}
