/* SPDX-License-Identifier: Apache-2.0 */
/* A slot that its writer goes on with while it is read: before each single read of it in turn. pread() is
 * wrapped, so that a race is the same in every run. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/reader.h"
#include "run/recent_waits.h"
#include "runfile/opened.h"
#include "runfile/sparse_copy.h"
#include "runfile/view.h"
#include "runfile/writer.h"
#include "support.h"

#define SECOND UINT64_C(1000000000)
#define RECENT 8
#define ATTEMPTS 16 /* of a reader of a file: after so many it takes totals without their tables */

static const char *path;
static struct rf_writer *writer;
static struct rf_slot_writer slot;
/* The same waits by a writer that nobody reads meanwhile. */
static struct rf_writer *calm_writer;
static struct rf_slot_writer calm;

static void (*before_read)(off_t offset);
static void (*after_read)(off_t offset, void *bytes);
static uint32_t reads;
static int seek_error; /* what looking for data or a hole fails with; 0: it does not */

off_t __real_lseek64(int fd, off_t offset, int whence);
off_t __wrap_lseek64(int fd, off_t offset, int whence);
off_t __wrap_lseek64(int fd, off_t offset, int whence)
{
    if (seek_error == 0 || (whence != SEEK_DATA && whence != SEEK_HOLE))
        return __real_lseek64(fd, offset, whence);
    errno = seek_error;
    return -1;
}

ssize_t __real_pread64(int fd, void *to, size_t bytes, off_t offset);
ssize_t __wrap_pread64(int fd, void *to, size_t bytes, off_t offset);
ssize_t __wrap_pread64(int fd, void *to, size_t bytes, off_t offset)
{
    reads++;
    if (before_read != NULL)
        before_read(offset);
    const ssize_t got = __real_pread64(fd, to, bytes, offset);
    if (after_read != NULL)
        after_read(offset, to);
    return got;
}

static int open_slot(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 1, .recent_waits = RECENT};
    const struct rf_process_static process = {.pid = 1};
    if (path == NULL) {
        static char room[PATH_MAX];
        snprintf(room, sizeof room, "%s/a.dsrun", test_folder());
        path = room;
    }
    unlink(path);
    assert_int_equal(rf_writer_create(path, &spec, &process, &writer), 0);
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &calm_writer), 0);
    rf_slot_attach(writer, 0, &slot);
    rf_slot_attach(calm_writer, 0, &calm);
    rf_slot_assign(&slot, 1, 77);
    rf_slot_assign(&calm, 1, 77);
    before_read = NULL;
    return 0;
}

static int close_slot(void **state)
{
    (void)state;
    before_read = NULL;
    rf_writer_destroy(writer);
    rf_writer_destroy(calm_writer);
    return 0;
}

static void put_into(struct rf_slot_writer *place, uint64_t i)
{
    const datastall_batch batch = {
        .struct_size = sizeof batch, .batch_index = i, .samples = i + 1, .tokens = 10 * i};
    const struct wait wait = {.batch = &batch,
                              .exposed = STALL_BOUNDS_UNKNOWN,
                              .begin_ns = (1000 + i / 3) * SECOND,
                              .wait_ns = (i * 7919 % 101 + 1) * 1000000,
                              .kind = i % 10 == 0 ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY,
                              .stage = i % 3};
    rf_slot_append(place, &wait);
}

static void put(uint32_t count)
{
    while (count-- > 0)
        put_into(&slot, slot.head);
}

static enum rf_view_status read_slot(unsigned parts, struct rf_slot_view *view)
{
    struct rf_file file;
    reads = 0;
    void (*const hook)(off_t) = before_read;
    before_read = NULL;
    assert_int_equal(rf_file_open(path, &file), 0);
    before_read = hook;
    reads = 0;
    const uint64_t at = rf_file_entry(&file, RF_SECTION_SLOTS, 0);
    const enum rf_view_status status =
        rf_slot_view_read(&file.source, &writer->slot_layout, at, parts, NULL, view);
    before_read = NULL;
    rf_file_close(&file);
    return status;
}

/* What was read is what the slot was at one moment: after so many records. */
static void check_moment(const struct rf_slot_view *view, unsigned parts, uint32_t step,
                         uint64_t from, uint64_t to)
{
    const struct rf_slot_layout *l = &writer->slot_layout;
    CHECK(view->records >= from && view->records <= to, "read %u: %llu records", step,
          (unsigned long long)view->records);
    if (calm.head > view->records) { /* from the beginning again */
        rf_writer_destroy(calm_writer);
        const struct rf_spec spec = {.slots = 1, .recent_waits = RECENT};
        const struct rf_process_static process = {.pid = 1};
        assert_int_equal(rf_writer_create(NULL, &spec, &process, &calm_writer), 0);
        rf_slot_attach(calm_writer, 0, &calm);
        rf_slot_assign(&calm, 1, 77);
    }
    while (calm.head < view->records) {
        put_into(&calm, calm.head);
        rf_slot_flush(&calm);
    }
    const uint64_t *whole = calm.commit.block;
    CHECK(memcmp(view->counters, whole + l->counters_at, RF_COUNT_WORDS * 8) == 0,
          "read %u: other totals than after %llu records", step, (unsigned long long)view->records);
    if ((parts & RF_PART_TABLES) && view->skew == 0)
        CHECK(memcmp(view->block + l->steady_at, whole + l->steady_at,
                     (l->words - l->steady_at) * 8) == 0,
              "read %u: other tables", step);
    if (!(parts & RF_PART_RING))
        return;
    CHECK(view->ring_first + view->ring_count == view->records, "read %u", step);
    for (uint64_t i = view->ring_first; i < view->records; i++) {
        const uint64_t *row = rf_view_record(view, i);
        CHECK(row[RF_RECORD_SEQUENCE] == i + 1 && row[RF_RECORD_BATCH] == i &&
                  row[RF_RECORD_SAMPLES] == i + 1,
              "read %u: row %llu", step, (unsigned long long)i);
    }
}

/* Used, version, head, ring, causes, and the row behind the last. */
#define READS_TO_NEWEST 6

static uint32_t change_at, rows_before_it, rows_after_it;
static bool counts_them;

static void change_once(off_t offset)
{
    (void)offset;
    if (reads != change_at)
        return;
    before_read = NULL; /* what is read within a write is no reading */
    put(rows_before_it);
    if (counts_them)
        rf_slot_flush(&slot);
    put(rows_after_it);
    before_read = change_once;
}

/* One change at each read: rows alone, counted ones, so many that the ring is written anew. */
static void a_change_at_each_read(void **state)
{
    (void)state;
    static const struct {
        uint32_t start, before, after;
        bool counts, start_is_counted;
    } rows[] = {{0, 1, 0, false, false}, {3, 1, 0, false, false}, {3, 2, 0, true, false},
                {3, 0, 2, true, false},  {3, 2, 1, true, true},   {12, 1, 0, false, true},
                {12, 3, 2, true, false}, {12, 7, 0, true, true},  {20, 4, 3, true, true},
                {20, 30, 3, true, true}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (uint32_t parts = 0; parts < 4; parts++) {
            for (change_at = 1;; change_at++) {
                struct rf_slot_view view;
                close_slot(NULL);
                open_slot(NULL);
                put(rows[i].start);
                if (rows[i].start_is_counted)
                    rf_slot_flush(&slot);
                rows_before_it = rows[i].before;
                rows_after_it = rows[i].after;
                counts_them = rows[i].counts;
                before_read = change_once;
                const enum rf_view_status status = read_slot(parts, &view);
                CHECK(status == RF_VIEW_OK, "row %u, read %u: %s", i, change_at,
                      view.damage != NULL ? view.damage : "no view");
                CHECK(view.skew == 0, "row %u, read %u", i, change_at);
                check_moment(&view, parts, change_at, rows[i].start,
                             rows[i].start + rows[i].before + rows[i].after);
                /* What the writer may be about to take is left out, where it did not count meanwhile,
                 * and not when the copy was made and its newest row looked for. */
                if ((parts & RF_PART_RING) && reads >= change_at && slot.head >= RECENT &&
                    !rows[i].counts && change_at <= READS_TO_NEWEST)
                    CHECK(view.ring_count == 0 || view.ring_first >= slot.head - RECENT + 1,
                          "row %u, read %u: from %u of %u on", i, change_at,
                          (unsigned)view.ring_first, (unsigned)slot.head);
                rf_slot_view_free(&view);
                if (reads < change_at)
                    break; /* it was read before that */
            }
            assert_true(change_at > 4);
        }
    }
}

static uint32_t table_reads;
static void change_the_tables(off_t offset)
{
    const struct rf_slot_layout *l = &writer->slot_layout;
    const off_t at = (off_t)(((uint64_t *)(void *)slot.commit.block - (uint64_t *)writer->map) * 8);
    if (offset != at + (off_t)l->steady_at * 8)
        return;
    table_reads++;
    before_read = NULL;
    put(2);
    rf_slot_flush(&slot);
    before_read = change_the_tables;
}

/* Where each try finds the tables changed, totals are taken without: it is said by how many rows they may
 * differ, and what changed while it was read is empty. */
static void tables_that_never_rest(void **state)
{
    (void)state;
    struct rf_slot_view view;
    const struct rf_slot_layout *l = &writer->slot_layout;
    put(20);
    rf_slot_flush(&slot);
    table_reads = 0;
    before_read = change_the_tables;
    assert_int_equal(read_slot(RF_PART_ALL, &view), RF_VIEW_OK);
    assert_int_equal(table_reads, ATTEMPTS);
    const uint64_t records = 20 + 2 * (ATTEMPTS - 1);
    assert_int_equal(view.records, records);
    assert_int_equal(view.skew, 2 + RECENT);
    check_moment(&view, RF_PART_ALL, 0, records, records);
    /* The rollups' present is of the tables after the change, or empty. */
    for (uint64_t i = 0; i < l->rollup_levels * l->rollup_buckets; i++) {
        const uint64_t word = l->rollup_at + i * l->rollup_words;
        const bool same =
            memcmp(view.block + word, slot.commit.block + word, l->rollup_words * 8) == 0;
        assert_true(same || view.block[word] == 0);
    }
    rf_slot_view_free(&view);
}

static void change_a_rollup(off_t offset)
{
    const struct rf_slot_layout *l = &writer->slot_layout;
    const off_t at = (off_t)(((uint64_t *)(void *)slot.commit.block - (uint64_t *)writer->map) * 8);
    before_read = NULL;
    if (offset == at + (off_t)l->steady_at * 8) {
        put(1);
        rf_slot_flush(&slot);
    }
    if (offset == at + (off_t)l->rollup_at * 8) { /* the second time */
        table_reads++;
        put(40);
        rf_slot_flush(&slot);
    }
    before_read = change_a_rollup;
}

static void entries_that_changed_are_emptied(void **state)
{
    (void)state;
    struct rf_slot_view view;
    const struct rf_slot_layout *l = &writer->slot_layout;
    put(20);
    rf_slot_flush(&slot);
    uint64_t *old = malloc(l->words * 8);
    memcpy(old, slot.commit.block, l->words * 8);
    table_reads = 0;
    before_read = change_a_rollup;
    assert_int_equal(read_slot(RF_PART_ALL, &view), RF_VIEW_OK);
    assert_true(table_reads > 0 && view.skew > RECENT);
    uint32_t emptied = 0, kept = 0;
    for (uint64_t i = 0; i < l->rollup_levels * l->rollup_buckets; i++) {
        const uint64_t *now = slot.commit.block + l->rollup_at + i * l->rollup_words;
        const uint64_t *got = view.block + l->rollup_at + i * l->rollup_words;
        if (now[0] == 0)
            continue;
        const bool same = memcmp(got, now, l->rollup_words * 8) == 0;
        kept += same;
        emptied += !same;
        for (uint64_t w = 0; !same && w < l->rollup_words; w++)
            assert_int_equal(got[w], 0);
    }
    assert_true(emptied > 0 && kept > 0);
    emptied = 0;
    for (uint64_t i = 0; i < 2 * l->slowest; i++) {
        const uint64_t *now = slot.commit.block + l->slow_at + i * RF_SLOW_WORDS;
        const uint64_t *got = view.block + l->slow_at + i * RF_SLOW_WORDS;
        const bool same = memcmp(got, now, RF_SLOW_WORDS * 8) == 0;
        emptied += !same;
        for (uint64_t w = 0; !same && w < RF_SLOW_WORDS; w++)
            assert_int_equal(got[w], 0);
    }
    free(old);
    rf_slot_view_free(&view);
}

static void change_always(off_t offset)
{
    (void)offset;
    before_read = NULL;
    put(1);
    rf_slot_flush(&slot);
    before_read = change_always;
}

static void a_slot_that_never_rests(void **state)
{
    (void)state;
    struct rf_slot_view view;
    put(5);
    before_read = change_always;
    assert_int_equal(read_slot(RF_PART_ALL, &view), RF_VIEW_DAMAGED);
    assert_string_equal(view.damage, "it changes faster than it can be read");
    rf_slot_view_free(&view);
    assert_null(view.block);
}

static off_t cut_to;
static void cut(off_t offset)
{
    (void)offset;
    if (reads == change_at)
        CHECK(truncate(path, cut_to) == 0, "cannot cut it");
}

static void change_then_cut(off_t offset)
{
    const struct rf_slot_layout *l = &writer->slot_layout;
    const off_t at = (off_t)(((uint64_t *)(void *)slot.commit.block - (uint64_t *)writer->map) * 8);
    before_read = NULL;
    if (offset == at + (off_t)l->steady_at * 8) {
        put(1);
        rf_slot_flush(&slot);
    }
    if (offset == at + (off_t)l->rollup_at * 8) /* the second time */
        CHECK(truncate(path, offset) == 0, "cannot cut it");
    before_read = change_then_cut;
}

/* A file that is cut short before any read of it is said to be, and read no further, or was read as a whole
 * before: but for the wait under way, which takes three reads. */
static void a_file_that_is_cut_meanwhile(void **state)
{
    (void)state;
    struct rf_slot_view view;
    for (uint32_t row = 0; row < 8; row++) {
        const uint32_t parts = row / 2;
        const uint64_t waiting_ns = row % 2 == 0 ? 0 : 5 * SECOND;
        const uint32_t may_be_missing = (parts & RF_PART_TABLES) ? 0 : 3;
        uint32_t cuts = 0, wholes = 0;
        for (change_at = 1;; change_at++) {
            close_slot(NULL);
            open_slot(NULL);
            put(20);
            rf_slot_flush(&slot);
            put(3);
            if (waiting_ns > 0)
                rf_slot_waiting(&slot, waiting_ns);
            cut_to = 4096;
            before_read = cut;
            const enum rf_view_status status = read_slot(parts, &view);
            if (reads < change_at) {
                assert_int_equal(status, RF_VIEW_OK);
                assert_int_equal(view.waiting_ns, waiting_ns);
                rf_slot_view_free(&view);
                break;
            }
            CHECK(status == RF_VIEW_CUT || (status == RF_VIEW_OK && view.records == 23),
                  "row %u, read %u: %d", row, change_at, (int)status);
            if (status != RF_VIEW_OK) {
                CHECK(reads <= change_at + 1 && view.block == NULL, "row %u, read %u: %u reads",
                      row, change_at, reads);
                cuts++;
                continue;
            }
            wholes++;
            check_moment(&view, parts, change_at, 23, 23);
            CHECK(view.waiting_ns == 0 || view.waiting_ns == waiting_ns, "row %u, read %u", row,
                  change_at);
            rf_slot_view_free(&view);
        }
        CHECK(cuts >= 7 && wholes == may_be_missing, "row %u: %u cut, %u whole", row, cuts, wholes);
    }
    close_slot(NULL);
    open_slot(NULL);
    put(20);
    rf_slot_flush(&slot);
    before_read = change_then_cut;
    assert_int_equal(read_slot(RF_PART_ALL, &view), RF_VIEW_DAMAGED);
    assert_string_equal(view.damage, "it could not be read twice");
    rf_slot_view_free(&view);
}

/* The process's block likewise: each change of it is whole or not there. */
static void change_the_process(off_t offset)
{
    (void)offset;
    if (change_at != 0 && reads != change_at)
        return;
    rf_put_add(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_PAUSED_NS, 1);
    rf_put_add(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_STAGE_SINCE, 1);
    rf_publish(&writer->process);
}

static void a_process_that_goes_on(void **state)
{
    (void)state;
    struct rf_file file;
    struct rf_process_view view;
    assert_int_equal(rf_file_open(path, &file), 0);
    for (change_at = 1;; change_at++) {
        reads = 0;
        before_read = change_the_process;
        assert_true(rf_file_process(&file, &view));
        before_read = NULL;
        assert_int_equal(view.words[RF_PROCESS_PAUSED_NS], view.words[RF_PROCESS_STAGE_SINCE]);
        if (reads < change_at)
            break;
    }
    assert_true(change_at > 3);
    change_at = 0;
    before_read = change_the_process;
    assert_false(rf_file_process(&file, &view));
    before_read = NULL;
    rf_file_close(&file);
}

/* And one whose file is cut before any read of it is none. */
static void a_process_that_is_cut(void **state)
{
    (void)state;
    struct rf_process_view view;
    for (change_at = 1;; change_at++) {
        struct rf_file file;
        close_slot(NULL);
        open_slot(NULL);
        assert_int_equal(rf_file_open(path, &file), 0);
        reads = 0;
        cut_to = 4096;
        before_read = cut;
        const bool told = rf_file_process(&file, &view);
        before_read = NULL;
        rf_file_close(&file);
        CHECK(told == (reads < change_at), "read %u", change_at);
        if (told)
            break;
    }
    assert_true(change_at > 3);
}

/* Waits one by one while the writer goes on: those whose rows it took meanwhile are left out, and so is the
 * one that it may be about to take. */
static void recent_waits_meanwhile(void **state)
{
    (void)state;
    static const struct {
        uint32_t start, more;
        uint64_t since, first,
            first_of_all; /* where nothing changes, and where it does before all reads */
    } rows[] = {{6, 0, 0, 0, 0},    {6, 1, 0, 0, 0},    {6, 2, 0, 0, 1},     {6, 3, 0, 0, 2},
                {6, 3, 4, 4, 4},    {6, 7, 0, 0, 6},    {6, 9, 0, 0, 6},     {6, 40, 0, 0, 6},
                {20, 0, 0, 13, 13}, {20, 1, 0, 13, 14}, {20, 3, 15, 15, 16}, {20, 2, 20, 20, 20},
                {20, 2, 25, 20, 20}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (change_at = 1;; change_at++) {
            struct run_reader *reader;
            struct rf_slot_view view;
            struct run_recent recent;
            close_slot(NULL);
            open_slot(NULL);
            put(rows[i].start);
            rf_slot_flush(&slot);
            assert_int_equal(run_reader_open(path, &reader), 0);
            assert_int_equal(run_reader_slot(reader, 0, 0, &view), RF_VIEW_OK);
            rows_before_it = rows[i].more;
            rows_after_it = 0;
            counts_them = false;
            reads = 0;
            before_read = change_once;
            assert_true(run_recent_read(reader, 0, &view, rows[i].since, false, &recent));
            before_read = NULL;
            const uint64_t first = recent.first;
            CHECK(first + recent.count == rows[i].start, "row %zu, read %u", i, change_at);
            CHECK(first == rows[i].first || first == rows[i].first_of_all, "row %zu, read %u: %u",
                  i, change_at, (unsigned)first);
            CHECK(change_at > 1 || first == rows[i].first_of_all, "row %zu: %u", i,
                  (unsigned)first);
            for (uint64_t k = 0; k < recent.count; k++) {
                const uint64_t n = first + k;
                assert_int_equal(recent.waits[k].begin_ns, (1000 + n / 3) * SECOND);
                assert_int_equal(recent.waits[k].wait_ns, (n * 7919 % 101 + 1) * 1000000);
            }
            free(recent.waits);
            rf_slot_view_free(&view);
            run_reader_close(reader);
            if (reads < change_at)
                break;
        }
    }
}

/* A stall that cannot be is not known. */
static void stalls_of_recent_waits(void **state)
{
    (void)state;
    static const struct {
        uint64_t more, lower_ns; /* than the wait took; at least */
        bool is_told;
    } rows[] = {{0, 0, true}, {0, 1, true}, {1, 0, false}, {1, UINT64_MAX / 2, false}};
    struct run_reader *reader;
    struct rf_slot_view view;
    struct run_recent recent;
    close_slot(NULL);
    open_slot(NULL);
    put(6);
    for (size_t i = 0; i < 4; i++) {
        uint64_t *row = slot.ring + i * RF_RECORD_WORDS;
        row[RF_RECORD_STALL_UPPER] = row[RF_RECORD_WAIT_NS] + rows[i].more;
        row[RF_RECORD_STALL_LOWER] = rows[i].lower_ns == 1 ? row[RF_RECORD_STALL_UPPER] : 0;
    }
    uint64_t *row = slot.ring + 4 * RF_RECORD_WORDS; /* at least more than at most */
    row[RF_RECORD_STALL_UPPER] = 10;
    row[RF_RECORD_STALL_LOWER] = 11;
    assert_int_equal(run_reader_open(path, &reader), 0);
    assert_int_equal(run_reader_slot(reader, 0, 0, &view), RF_VIEW_OK);
    before_read = NULL;
    assert_true(run_recent_read(reader, 0, &view, 0, false, &recent));
    assert_true(recent.first == 0 && recent.count >= 5);
    for (size_t i = 0; i < 5; i++) {
        const struct run_recent_wait *wait = &recent.waits[i];
        const bool told = i < 4 && rows[i].is_told;
        assert_int_equal(wait->exposed.upper_ns, told ? wait->wait_ns : DS_UNKNOWN);
        assert_int_equal(wait->exposed.lower_ns, !told ? DS_UNKNOWN : i == 1 ? wait->wait_ns : 0);
    }
    free(recent.waits);
    rf_slot_view_free(&view);
    run_reader_close(reader);
}

/* And of a file that is cut meanwhile none; nothing of them is left. */
static void recent_waits_that_are_cut(void **state)
{
    (void)state;
    struct run_reader *reader;
    struct rf_slot_view view;
    struct run_recent recent;
    put(20);
    rf_slot_flush(&slot);
    assert_int_equal(run_reader_open(path, &reader), 0);
    assert_int_equal(run_reader_slot(reader, 0, 0, &view), RF_VIEW_OK);
    reads = 0;
    change_at = 1;
    cut_to = 4096;
    before_read = cut;
    assert_false(run_recent_read(reader, 0, &view, 0, false, &recent));
    before_read = NULL;
    assert_null(recent.waits);
    rf_slot_view_free(&view);
    run_reader_close(reader);
}

/* A stage that is named while the names are read: its state came before its name did. */
static uint64_t stages_at;
static uint32_t stage_reads, torn_in;
static void tear_a_name(off_t offset, void *bytes)
{
    if ((uint64_t)offset != stages_at || ++stage_reads != torn_in)
        return;
    struct rf_stage_entry *entries = bytes;
    entries[1].state = 1;
    memcpy(entries[1].name, "warm", 4); /* of "warm-up" */
}

static void a_stage_that_is_named_meanwhile(void **state)
{
    (void)state;
    static struct rf_stage_entry entries[RF_STAGE_CAPACITY];
    struct run_reader *reader;
    rf_write_stage(writer, 2, "main");
    rf_write_stage(writer, RF_STAGE_CAPACITY - 1, "last");
    assert_int_equal(run_reader_open(path, &reader), 0);
    stages_at = rf_section_of(&reader->file.header, RF_SECTION_STAGES)->offset;
    for (torn_in = 0; torn_in <= 2; torn_in++) {
        if (torn_in == 2) /* after the first reading of them it is whole */
            memset(entries, 0x55, sizeof entries);
        stage_reads = 0;
        after_read = tear_a_name;
        assert_int_equal(run_reader_stages(reader, entries), RF_STAGE_CAPACITY);
        after_read = NULL;
        assert_int_equal(stage_reads, 2);
        assert_int_equal(entries[2].state, 1);
        assert_string_equal(entries[2].name, "main");
        /* Named by the first reading, it is told as the second has it. */
        assert_int_equal(entries[1].state, torn_in == 1);
        assert_int_equal(entries[3].state, 0);
        assert_int_equal(entries[RF_STAGE_CAPACITY - 1].state, 1);
        assert_string_equal(entries[RF_STAGE_CAPACITY - 1].name, "last");
    }
    run_reader_close(reader);
}

/* A copy is the same file, whether its file system tells of holes or not; of a hole at the end that is told
 * nothing is read. */
static void copies_with_holes_and_without(void **state)
{
    (void)state;
    static const struct {
        int seek_error;
        bool is_read; /* all of it */
    } rows[] = {{0, false}, {EINVAL, true}, {ENXIO, false}};
    char from[PATH_MAX], to[PATH_MAX];
    const size_t size = 1 << 20;
    unsigned char *bytes = calloc(size, 1);
    memset(bytes, 7, 4096);
    snprintf(from, sizeof from, "%s/from", test_folder());
    snprintf(to, sizeof to, "%s/to", test_folder());
    test_write_file(from, bytes, 4096);
    assert_int_equal(truncate(from, (off_t)size), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t copied;
        const int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        const bool has_holes = lseek(in, 0, SEEK_HOLE) < (off_t)size;
        reads = 0;
        seek_error = rows[i].seek_error;
        assert_int_equal(rf_copy_sparse(in, out), 0);
        seek_error = 0;
        CHECK((reads > 4) == (rows[i].is_read || (rows[i].seek_error == 0 && !has_holes)),
              "row %zu: %u reads", i, reads);
        close(in);
        close(out);
        unsigned char *copy = test_read_file(to, &copied);
        assert_int_equal(copied, size);
        if (rows[i].seek_error != ENXIO) /* which says that there is no data */
            assert_memory_equal(copy, bytes, size);
        free(copy);
    }
    const int closed = open(from, O_RDONLY), out = open(to, O_WRONLY);
    close(closed);
    assert_int_equal(rf_copy_sparse(closed, out), EBADF);
    close(out);
    const int in = open(from, O_RDONLY), unwritable = open(to, O_RDONLY);
    assert_int_equal(rf_copy_sparse(in, unwritable), EBADF);
    close(in);
    close(unwritable);
    free(bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_slot, close_slot)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_at_each_read),
        TEST(tables_that_never_rest),
        TEST(entries_that_changed_are_emptied),
        TEST(a_slot_that_never_rests),
        TEST(a_process_that_goes_on),
        TEST(a_file_that_is_cut_meanwhile),
        TEST(a_process_that_is_cut),
        TEST(recent_waits_meanwhile),
        TEST(stalls_of_recent_waits),
        TEST(recent_waits_that_are_cut),
        TEST(a_stage_that_is_named_meanwhile),
        TEST(copies_with_holes_and_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
