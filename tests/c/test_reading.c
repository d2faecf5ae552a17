/* SPDX-License-Identifier: Apache-2.0 */
/* What readers take of stretches, steps and rings, and what they leave out: each condition false alone. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/copy_run.h"
#include "run/rings.h"
#include "runfile/writer.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static const char *folder; /* a new one for each test */

static int new_folder(void **state)
{
    (void)state;
    folder = test_folder();
    return 0;
}

/* ---- in memory ---- */

static struct rf_stretch_layout stretch_layout;
static struct rf_steps_layout steps_layout;

static void make_layouts(void)
{
    uint64_t geometry[RF_GEOMETRY_WORDS];
    memset(geometry, 0x55, sizeof geometry);
    rf_stretch_geometry(geometry);
    assert_true(rf_stretch_layout_of(geometry, &stretch_layout));
    assert_int_equal(geometry[RF_GEOMETRY_WORDS - 1], 0); /* room for later versions */
    memset(geometry, 0x55, sizeof geometry);
    rf_steps_geometry(geometry);
    assert_true(rf_steps_layout_of(geometry, &steps_layout));
    assert_int_equal(geometry[RF_GEOMETRY_WORDS - 1], 0);
}

static void geometry_of_stretches_and_steps(void **state)
{
    (void)state;
    static const struct {
        bool steps;
        uint32_t word;
        uint64_t value;
        bool possible;
    } rows[] = {
        {false, RF_STRETCH_GEO_STRETCHES, 0, false},
        {false, RF_STRETCH_GEO_STRETCHES, 1, true},
        {false, RF_STRETCH_GEO_STRETCHES, 4096, true},
        {false, RF_STRETCH_GEO_STRETCHES, 4097, false},
        {false, RF_STRETCH_GEO_ROWS, 0, false},
        {false, RF_STRETCH_GEO_ROWS, 1, true},
        {false, RF_STRETCH_GEO_ROWS, RF_STRETCH_ROWS + 1, false},
        {false, RF_STRETCH_GEO_HEAD_WORDS, RF_STRETCH_HEAD_WORDS - 1, false},
        {false, RF_STRETCH_GEO_HEAD_WORDS, 1024, true},
        {false, RF_STRETCH_GEO_HEAD_WORDS, 1025, false},
        {false, RF_STRETCH_GEO_STRETCH_WORDS, RF_STRETCH_WORDS - 1, false},
        {false, RF_STRETCH_GEO_STRETCH_WORDS, 1024, true},
        {false, RF_STRETCH_GEO_STRETCH_WORDS, 1025, false},
        {false, RF_STRETCH_GEO_ROW_WORDS, RF_STRETCH_ROW_WORDS - 1, false},
        {false, RF_STRETCH_GEO_ROW_WORDS, 1024, true},
        {false, RF_STRETCH_GEO_ROW_WORDS, 1025, false},
        {true, RF_STEPS_GEO_HEAD_WORDS, RF_STEPS_HEAD_WORDS - 1, false},
        {true, RF_STEPS_GEO_HEAD_WORDS, 1024, true},
        {true, RF_STEPS_GEO_HEAD_WORDS, 1025, false},
        {true, RF_STEPS_GEO_COPIES, 2, false},
        {true, RF_STEPS_GEO_COPIES, 3, false},
        {true, RF_STEPS_GEO_COPIES, 4, true},
        {true, RF_STEPS_GEO_COPIES, 5, false},
        {true, RF_STEPS_GEO_COPIES, 6, false},
        {true, RF_STEPS_GEO_COPIES, 7, false},
        {true, RF_STEPS_GEO_COPIES, 8, true},
        {true, RF_STEPS_GEO_COPIES, 1024, true},
        {true, RF_STEPS_GEO_COPIES, 2048, false},
        {true, RF_STEPS_GEO_TOTAL_WORDS, RF_STEP_TOTAL_WORDS - 1, false},
        {true, RF_STEPS_GEO_TOTAL_WORDS, 1024, true},
        {true, RF_STEPS_GEO_TOTAL_WORDS, 1025, false},
        {true, RF_STEPS_GEO_PHASES, STEP_PHASE_COUNT - 1, false},
        {true, RF_STEPS_GEO_PHASES, STEP_PHASE_COUNT + 1, false},
        {true, RF_STEPS_GEO_LINES, 0, true},
        {true, RF_STEPS_GEO_LINES, 1024, true},
        {true, RF_STEPS_GEO_LINES, 1025, false},
        {true, RF_STEPS_GEO_LINE_WORDS, RF_STEP_LINE_WORDS - 1, false},
        {true, RF_STEPS_GEO_LINE_WORDS, 1024, true},
        {true, RF_STEPS_GEO_LINE_WORDS, 1025, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t geometry[RF_GEOMETRY_WORDS];
        (rows[i].steps ? rf_steps_geometry : rf_stretch_geometry)(geometry);
        geometry[rows[i].word] = rows[i].value;
        const bool possible = rows[i].steps ? rf_steps_layout_of(geometry, &steps_layout)
                                            : rf_stretch_layout_of(geometry, &stretch_layout);
        if (possible != rows[i].possible)
            fail_msg("row %zu", i);
    }
    make_layouts();
    assert_int_equal(stretch_layout.words,
                     stretch_layout.head_words +
                         RF_STRETCHES * (stretch_layout.stretch_words +
                                         RF_STRETCH_ROWS * stretch_layout.row_words));
    assert_int_equal(steps_layout.words, steps_layout.head_words +
                                             RF_STEPS_COPIES * steps_layout.total_words +
                                             RF_STEPS_LINES * steps_layout.line_words);
}

static uint64_t *row_at(uint64_t *entry, uint64_t place, uint64_t row)
{
    return entry + stretch_layout.head_words + place * stretch_layout.stretch_at_words +
           stretch_layout.stretch_words + row * stretch_layout.row_words;
}

/* Stretch `number` at a place, with so many batches. */
static void put_stretch(uint64_t *entry, uint64_t place, uint64_t number, uint64_t batches)
{
    uint64_t *words = entry + stretch_layout.head_words + place * stretch_layout.stretch_at_words;
    words[RF_STRETCH_NUMBER] = number + 1;
    words[RF_STRETCH_BEGIN_NS] = 100 * SECOND;
    words[RF_STRETCH_END_NS] = 101 * SECOND;
    for (uint64_t i = 0; i < batches; i++) {
        uint64_t *row = row_at(entry, place, i);
        row[0] = rf_pack_batch(number * RF_STRETCH_ROWS + i, i == 0, i % 3);
        for (uint32_t t = 0; t < RF_BATCH_TIMES / 2; t++)
            row[1 + t] = 1000 * i + 2 * t + ((1000 * i + 2 * t + 1) << 32);
    }
}

static void rows_of_a_stretch(void **state)
{
    (void)state;
    struct rf_stretch_batch batches[RF_STRETCH_ROWS];
    uint64_t words[RF_STRETCH_WORDS];
    make_layouts();
    uint64_t *entry = calloc(stretch_layout.words, 8);
    assert_int_equal(rf_stretch_read(entry, &stretch_layout, 0, words, batches), 0);
    put_stretch(entry, 0, 0, RF_STRETCH_ROWS);
    put_stretch(entry, 3, 5, 10);
    assert_int_equal(rf_stretch_read(entry, &stretch_layout, 0, words, batches), RF_STRETCH_ROWS);
    assert_int_equal(rf_stretch_read(entry, &stretch_layout, 2, words, batches), 0);
    row_at(entry, 3, 4)[0] = 0;                      /* not there yet */
    row_at(entry, 3, 6)[0] = rf_pack_batch(6, 0, 0); /* of another stretch */
    row_at(entry, 3, 7)[0] = rf_pack_batch(5 * RF_STRETCH_ROWS + 7, 0, 0x12345);
    assert_int_equal(rf_stretch_read(entry, &stretch_layout, 3, words, batches), 8);
    assert_int_equal(words[RF_STRETCH_NUMBER], 6);
    assert_int_equal(words[RF_STRETCH_END_NS], 101 * SECOND);
    static const uint32_t rows[] = {0, 1, 2, 3, 5, 7, 8, 9};
    for (uint32_t i = 0; i < 8; i++) {
        const uint32_t k = rows[i];
        assert_int_equal(batches[i].batch, 5 * RF_STRETCH_ROWS + k);
        assert_int_equal(batches[i].flags, k == 0);
        assert_int_equal(batches[i].worker, k == 7 ? 0xffff : k % 3);
        for (uint32_t t = 0; t < RF_BATCH_TIMES; t++)
            assert_int_equal(batches[i].times[t], 1000 * k + t);
    }
    /* A number that no run reaches. */
    static const uint64_t numbers[] = {UINT64_MAX, UINT64_MAX / 2 / RF_STRETCH_ROWS + 1};
    for (uint32_t i = 0; i < 2; i++) {
        entry[stretch_layout.head_words + RF_STRETCH_NUMBER] = numbers[i];
        assert_int_equal(rf_stretch_read(entry, &stretch_layout, 0, words, batches), 0);
    }
    free(entry);
}

static void totals_of_steps(void **state)
{
    (void)state;
    uint64_t totals[RF_STEP_TOTAL_WORDS];
    make_layouts();
    uint64_t *entry = calloc(steps_layout.words, 8);
    memset(totals, 7, sizeof totals);
    assert_true(rf_steps_totals(entry, &steps_layout, totals));
    for (uint32_t i = 0; i < RF_STEP_TOTAL_WORDS; i++)
        assert_int_equal(totals[i], 0);
    for (uint64_t count = 1; count < 10; count++) {
        uint64_t *copy = entry + steps_layout.totals_at + count % 4 * steps_layout.total_words;
        copy[RF_STEP_TOTAL_COUNT] = count;
        copy[RF_STEP_TOTAL_STEPS] = 100 * count;
        entry[RF_STEPS_COUNT] = count;
        assert_true(rf_steps_totals(entry, &steps_layout, totals));
        assert_int_equal(totals[RF_STEP_TOTAL_STEPS], 100 * count);
        copy[RF_STEP_TOTAL_COUNT] = count + 1;
        assert_false(rf_steps_totals(entry, &steps_layout, totals));
        copy[RF_STEP_TOTAL_COUNT] = count;
        copy[RF_STEP_TOTAL_HOST_NS] = RF_MOST_NS + 1;
        assert_false(rf_steps_totals(entry, &steps_layout, totals));
        copy[RF_STEP_TOTAL_HOST_NS] = RF_MOST_NS;
    }
    free(entry);
}

/* ---- in a file ---- */

static void make_stretches(struct rf_writer *writer)
{
    uint64_t *entry = rf_entry(writer, RF_SECTION_STRETCHES, 0);
    make_layouts();
    entry[RF_STRETCH_LOADER] = 3;
    entry[RF_STRETCH_EVERY] = 2;
    entry[RF_STRETCH_BATCHES] = 300;
    put_stretch(entry, 0, 4, 12);
    put_stretch(entry, 1, 0, RF_STRETCH_ROWS);
    put_stretch(entry, 2, 2, RF_STRETCH_ROWS);
    put_stretch(entry, 3, 3, RF_STRETCH_ROWS); /* is not kept any more */
}

static void put_line(uint64_t *entry, uint32_t index, uint64_t phase, uint64_t seen, uint64_t empty)
{
    struct rf_step_line line = {.state = 1, .phase = phase, .seen = seen, .empty = empty};
    memset(line.what, 'w', sizeof line.what); /* without an end */
    memset(line.where, 'p', sizeof line.where);
    memcpy(entry + steps_layout.lines_at + index * steps_layout.line_words, &line, sizeof line);
}

static void make_steps(struct rf_writer *writer)
{
    uint64_t *entry = rf_entry(writer, RF_SECTION_STEPS, 1);
    entry[RF_STEPS_COUNT] = 2;
    entry[RF_STEPS_THREAD] = 77;
    entry[RF_STEPS_CLOCK] = RF_STEPS_CLOCK_QUEUE;
    entry[RF_STEPS_LOW_COUNT] = 3;
    entry[RF_STEPS_MEMORY_ALLOCATED] = entry[RF_STEPS_MEMORY_ALLOCATED_PEAK] = 50;
    entry[RF_STEPS_MEMORY_RESERVED] = entry[RF_STEPS_MEMORY_RESERVED_PEAK] = 60;
    uint64_t *copy = entry + steps_layout.totals_at + 2 * steps_layout.total_words;
    copy[RF_STEP_TOTAL_COUNT] = 2;
    copy[RF_STEP_TOTAL_STEPS] = 9;
    put_line(entry, 0, STEP_FORWARD, 5, 3);
    put_line(entry, 1, STEP_PHASE_COUNT, 5, 3);
    put_line(entry, 2, STEP_PHASE_COUNT - 1, 5, 8);
    put_line(entry, 4, STEP_BACKWARD, 6, 6);
    put_line(entry, RF_STEPS_LINES - 1, STEP_INPUT, 4, 0);
}

/* A file with both, one word of a section's entry changed; NULL where it cannot be opened. */
static struct run_reader *open_changed(uint32_t section, uint32_t index, uint64_t word,
                                       uint64_t value)
{
    const struct rf_spec spec = {
        .slots = 1, .recent_waits = 8, .workers = 1, .stretches = 2, .steps = 2};
    const struct rf_process_static process = {.kind = RF_PROCESS_RECORDER, .pid = 1};
    const char *path = test_path(folder, "a.dsrun");
    struct rf_writer *writer;
    struct run_reader *reader = NULL;
    unlink(path);
    assert_int_equal(rf_writer_create(path, &spec, &process, &writer), 0);
    make_stretches(writer);
    make_steps(writer);
    if (section != 0)
        ((uint64_t *)rf_entry(writer, section, index))[word] = value;
    rf_writer_destroy(writer);
    assert_int_equal(run_reader_open(path, &reader), 0);
    return reader;
}

static void stretches_as_they_are_read(void **state)
{
    (void)state;
    struct run_stretches view;
    struct run_reader *reader = open_changed(0, 0, 0, 0);
    assert_int_equal(run_reader_count(reader, RF_SECTION_STRETCHES), 2);
    assert_true(run_reader_stretches(reader, 0, &view));
    assert_int_equal(view.loader, 2);
    const struct rf_header *header = &reader->file.header; /* no larger than need be */
    assert_int_equal(header->header_bytes, RF_HEADER_BYTES);
    assert_int_equal(header->format_major, RF_FORMAT_MAJOR);
    assert_true(header->created_mono_ns > 0 && header->created_mono_ns <= ds_now_ns());
    assert_true(header->created_real_ns > header->created_mono_ns);
    assert_int_equal(rf_section_of(header, RF_SECTION_STRETCHES)->entry_bytes,
                     8 * stretch_layout.words);
    assert_int_equal(rf_section_of(header, RF_SECTION_STEPS)->entry_bytes, 8 * steps_layout.words);
    assert_int_equal(rf_section_of(header, RF_SECTION_WORKERS)->entry_bytes,
                     8 * reader->worker_layout.words);
    assert_int_equal(rf_section_of(header, RF_SECTION_SLOTS)->entry_bytes,
                     8 * reader->slot_layout.words);
    assert_int_equal(run_reader_count(reader, RF_SECTION_STEPS), 2);
    assert_int_equal(view.head[RF_STRETCH_BATCHES], 300);
    assert_int_equal(view.count, 3);
    assert_int_equal(view.batch_count, 2 * RF_STRETCH_ROWS + 12);
    static const uint64_t numbers[] = {0, 2, 4};
    for (uint32_t i = 0; i < 3; i++) {
        const struct run_stretch *stretch = &view.stretches[i];
        assert_int_equal(stretch->words[RF_STRETCH_NUMBER], numbers[i] + 1);
        assert_int_equal(stretch->count, i == 2 ? 12 : RF_STRETCH_ROWS);
        assert_int_equal(view.batches[stretch->first].batch, numbers[i] * RF_STRETCH_ROWS);
    }
    run_stretches_free(&view);
    assert_null(view.batches);
    assert_false(run_reader_stretches(reader, 1, &view)); /* not used */
    assert_false(run_reader_stretches(reader, 2, &view)); /* there is none */
    assert_int_equal(reader->problems, 0);
    run_reader_close(reader);
    /* No more places than there are, however many batches it says. */
    reader = open_changed(RF_SECTION_STRETCHES, 0, RF_STRETCH_BATCHES, UINT64_C(1) << 50);
    assert_true(run_reader_stretches(reader, 0, &view));
    assert_int_equal(view.count, 3);
    run_stretches_free(&view);
    run_reader_close(reader);
    reader = open_changed(RF_SECTION_STRETCHES, 0, RF_STRETCH_EVERY, 0); /* all are kept */
    assert_true(run_reader_stretches(reader, 0, &view));
    assert_int_equal(view.count, 4);
    run_stretches_free(&view);
    run_reader_close(reader);
}

static void stretches_that_cannot_be(void **state)
{
    (void)state;
    make_layouts();
    const uint64_t at = stretch_layout.head_words, long_ns = RF_MOST_NS + 1;
    const struct {
        uint64_t word, value;
        bool possible;
    } rows[] = {
        {RF_STRETCH_LOADER, RF_LOADER_CAPACITY, true},
        {RF_STRETCH_LOADER, RF_LOADER_CAPACITY + 1, false},
        {RF_STRETCH_NEW_ITER_NS, RF_MOST_NS, true},
        {RF_STRETCH_NEW_ITER_NS, long_ns, false},
        {RF_STRETCH_NEW_FIRST_NS, long_ns, false},
        {RF_STRETCH_AGAIN_ITER_NS, long_ns, false},
        {RF_STRETCH_AGAIN_FIRST_NS, long_ns, false},
        {RF_STRETCH_ENDS_NS, long_ns, false},
        {RF_STRETCH_LAST_NS, long_ns, false},
        {RF_STRETCH_ENDS, long_ns, true}, /* a number of them */
        {at + RF_STRETCH_BEGIN_NS, long_ns, false},
        {at + RF_STRETCH_BEGIN_NS, 101 * SECOND, true},
        {at + RF_STRETCH_BEGIN_NS, 101 * SECOND + 1, false}, /* behind its end */
        {at + RF_STRETCH_END_NS, long_ns, false},
        {at + RF_STRETCH_END_NS, RF_MOST_NS, true},
        {at + RF_STRETCH_END_NS, 0, true}, /* it goes on */
        {at + RF_STRETCH_END_NS, 1, false},
        {at + RF_STRETCH_BEGIN_CPU_NS, RF_MOST_NS, true},
        {at + RF_STRETCH_BEGIN_CPU_NS, long_ns, false},
        {at + RF_STRETCH_END_CPU_NS, RF_MOST_NS, true},
        {at + RF_STRETCH_END_CPU_NS, long_ns, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run_stretches view;
        struct run_reader *reader =
            open_changed(RF_SECTION_STRETCHES, 0, rows[i].word, rows[i].value);
        if (run_reader_stretches(reader, 0, &view) != rows[i].possible)
            fail_msg("row %zu: %s", i, reader->first_problem);
        assert_int_equal(reader->problems, !rows[i].possible);
        if (!rows[i].possible)
            assert_string_equal(reader->first_problem,
                                "the stretches of loader entry 0 contradict themselves");
        run_stretches_free(&view);
        run_reader_close(reader);
    }
}

/* The file ends within the entry: within its head, or behind that. */
static void entries_that_are_cut(void **state)
{
    (void)state;
    static const uint32_t sections[] = {RF_SECTION_STRETCHES, RF_SECTION_STEPS, RF_SECTION_WORKERS,
                                        RF_SECTION_SLOTS};
    for (uint32_t s = 0; s < 4; s++) {
        for (uint64_t words = 1; words < 60; words += 50) {
            struct run_reader *reader =
                open_changed(RF_SECTION_WORKERS, 0, RF_WORKER_GENERATION, 1);
            const uint32_t index = sections[s] == RF_SECTION_STEPS;
            const uint64_t at = rf_file_entry(&reader->file, sections[s], index);
            run_reader_close(reader);
            const char *path = test_path(folder, "a.dsrun");
            assert_int_equal(truncate(path, (off_t)(8 * (at + words))), 0);
            assert_int_equal(run_reader_open(path, &reader), 0);
            assert_int_equal(reader->problems, 1); /* it is cut short */
            reader->problems = 0;
            struct run_stretches view;
            struct run_steps steps;
            struct rf_worker_view worker;
            struct rf_slot_view slot;
            bool there;
            switch (s) {
            case 0:
                there = run_reader_stretches(reader, 0, &view);
                assert_string_equal(reader->first_problem,
                                    "the file ends within the stretches of loader entry 0");
                break;
            case 1:
                there = run_reader_steps(reader, 1, &steps);
                assert_string_equal(reader->first_problem,
                                    "the file ends within the steps of entry 1");
                break;
            case 3:
                there = run_reader_slot(reader, 0, RF_PART_ALL, &slot) != RF_VIEW_CUT;
                assert_string_equal(reader->first_problem, "the file ends within slot 0");
                break;
            default:
                there = run_reader_worker(reader, 0, &worker);
                if (words < RF_WORKER_WORDS)
                    assert_string_equal(reader->first_problem,
                                        "the file ends within worker entry 0");
                break;
            }
            assert_false(there);
            run_reader_close(reader);
        }
    }
}

static void steps_as_they_are_read(void **state)
{
    (void)state;
    static struct run_steps view;
    struct run_reader *reader = open_changed(0, 0, 0, 0);
    memset(&view, 1, sizeof view);
    assert_false(run_reader_steps(reader, 0, &view)); /* published nothing */
    assert_int_equal(view.line_count, 0);
    memset(&view, 1, sizeof view);
    assert_false(run_reader_steps(reader, 2, &view));
    assert_int_equal(view.line_count, 0);
    assert_true(run_reader_steps(reader, 1, &view));
    assert_int_equal(reader->problems, 0);
    assert_int_equal(view.head[RF_STEPS_THREAD], 77);
    assert_int_equal(view.totals[RF_STEP_TOTAL_STEPS], 9);
    static const struct {
        uint64_t phase, seen, empty;
    } lines[] = {{STEP_FORWARD, 5, 3},
                 {STEP_PHASE_COUNT - 1, 5, 5},
                 {STEP_BACKWARD, 6, 6},
                 {STEP_INPUT, 4, 0}};
    assert_int_equal(view.line_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(view.lines[i].phase, lines[i].phase);
        assert_int_equal(view.lines[i].seen, lines[i].seen);
        assert_int_equal(view.lines[i].empty, lines[i].empty);
        assert_int_equal(strlen(view.lines[i].what), sizeof view.lines[i].what - 1);
        assert_int_equal(strlen(view.lines[i].where), sizeof view.lines[i].where - 1);
    }
    run_reader_close(reader);
}

static void steps_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        uint64_t word, value;
        bool possible;
    } rows[] = {
        {RF_STEPS_CLOCK, RF_STEPS_CLOCK_CAPTURERS, true},
        {RF_STEPS_CLOCK, RF_STEPS_CLOCK_CAPTURERS + 1, false},
        {RF_STEPS_LOW_COUNT, RF_STEPS_LOWS - 1, true},
        {RF_STEPS_LOW_COUNT, RF_STEPS_LOWS, false},
        {RF_STEPS_MEMORY_ALLOCATED, 51, false},
        {RF_STEPS_MEMORY_RESERVED, 61, false},
        {RF_STEPS_COUNT, 3, false}, /* its copy is of another count */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static struct run_steps view;
        struct run_reader *reader = open_changed(RF_SECTION_STEPS, 1, rows[i].word, rows[i].value);
        if (run_reader_steps(reader, 1, &view) != rows[i].possible)
            fail_msg("row %zu: %s", i, reader->first_problem);
        assert_int_equal(reader->problems, !rows[i].possible);
        if (!rows[i].possible)
            assert_string_equal(reader->first_problem,
                                "the steps of entry 1 contradict themselves");
        run_reader_close(reader);
    }
}

/* ---- rings ---- */

static struct rf_worker_layout worker_layout;

static void put_work(uint64_t *entry, uint64_t index, uint64_t begin_ns, uint64_t items_ns,
                     uint64_t end_ns, uint64_t outcome)
{
    uint64_t *row =
        entry + worker_layout.ring_at + index % worker_layout.recent * worker_layout.record_words;
    row[RF_WORK_SEQUENCE] = index + 1;
    row[RF_WORK_BEGIN_NS] = begin_ns;
    row[RF_WORK_ITEMS_END_NS] = items_ns;
    row[RF_WORK_END_NS] = end_ns;
    row[RF_WORK_CPU_NS] = 11;
    row[RF_WORK_DELAY_NS] = 12;
    row[RF_WORK_ITEMS] = 13 << 2 | outcome;
    row[RF_WORK_SLOWEST_NS] = 14;
    row[RF_WORK_SLOWEST_INDEX] = 15;
}

/* Slot `index` of a thread with waits of so many ms each, the latest first. */
static void put_waits(struct rf_writer *writer, uint32_t index, uint32_t count, uint64_t from_ns)
{
    struct rf_slot_writer slot;
    rf_slot_attach(writer, index, &slot);
    rf_slot_assign(&slot, 2 + index, 70 + index);
    for (uint32_t i = 0; i < count; i++) {
        datastall_batch batch = DATASTALL_BATCH_INIT;
        batch.batch_index = i;
        batch.samples = 3;
        batch.tokens = 30 + i;
        const struct wait wait = {.begin_ns = from_ns + i * SECOND,
                                  .wait_ns = (i + 1) * MS,
                                  .kind = i == 0 ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY,
                                  .stage = i % 2,
                                  .batch = &batch,
                                  .exposed = {i * MS / 4, i * MS / 2}};
        rf_slot_append(&slot, &wait);
    }
    rf_slot_flush(&slot);
}

static void read_rings(uint64_t *(*change)(struct rf_writer *), struct run_rings *rings)
{
    const struct rf_spec spec = {.slots = 4, .recent_waits = 8, .workers = 3};
    const struct rf_process_static process = {
        .kind = RF_PROCESS_RECORDER, .pid = 1, .process_start_mono_ns = RF_UNKNOWN};
    struct rf_writer *writer;
    struct run_data *run;
    uint64_t geometry[RF_GEOMETRY_WORDS];
    rf_worker_geometry(geometry);
    assert_true(rf_worker_layout_of(geometry, &worker_layout));
    unlink(test_path(folder, "a.dsrun"));
    assert_int_equal(rf_writer_create(test_path(folder, "a.dsrun"), &spec, &process, &writer), 0);
    for (uint32_t i = 0; i < 4; i++) {
        const struct rf_loader_entry loader = {.source = DATASTALL_SOURCE_TORCH};
        rf_write_loader(writer, i, &loader);
    }
    put_waits(writer, 0, 3, 200 * SECOND);
    put_waits(writer, 2, 20, 150 * SECOND); /* more than the ring holds */
    uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, 1);
    entry[RF_WORKER_GENERATION] = 1;
    entry[RF_WORKER_LOADER] = 2;
    entry[RF_WORKER_NUMBER] = 6;
    entry[RF_WORKER_COUNT] = 2;
    put_work(entry, 0, 100 * SECOND, 101 * SECOND, 102 * SECOND, RF_BATCH_MADE);
    put_work(entry, 1, 103 * SECOND, 103 * SECOND, 103 * SECOND, RF_BATCH_FAILED);
    if (change != NULL)
        change(writer);
    rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
    assert_int_equal(run_data_read(folder, &run), 0);
    assert_int_equal(run->process_count, 1);
    assert_int_equal(run_rings_read(run, &run->processes[0], rings), 0);
    run_data_free(run);
}

static void waits_in_the_rings(void **state)
{
    (void)state;
    struct run_rings rings;
    read_rings(NULL, &rings);
    assert_int_equal(rings.wait_count, 7 + 3);
    for (uint32_t i = 0; i < 10; i++) {
        const struct run_ring_wait *wait = &rings.waits[i];
        const uint64_t k = i < 7 ? 13 + i : i - 7; /* by their begin, whoever waited */
        assert_int_equal(wait->begin_ns, (i < 7 ? 150 : 200) * SECOND + k * SECOND);
        assert_int_equal(wait->end_ns, wait->begin_ns + (k + 1) * MS);
        assert_int_equal(wait->loader, i < 7 ? 4 : 2);
        assert_int_equal(wait->thread, i < 7 ? 72 : 70);
        assert_int_equal(wait->kind, k == 0 ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY);
        assert_int_equal(wait->stage, k % 2);
        assert_int_equal(wait->batch, k);
        assert_int_equal(wait->samples, 3);
        assert_int_equal(wait->exposed.lower_ns, k * MS / 4);
        assert_int_equal(wait->exposed.upper_ns, k * MS / 2);
    }
    assert_int_equal(rings.work_count, 2);
    const struct run_ring_work *work = rings.work;
    assert_int_equal(work[0].loader, 2);
    assert_int_equal(work[0].worker, 6);
    assert_int_equal(work[0].begin_ns, 100 * SECOND);
    assert_int_equal(work[0].items_end_ns, 101 * SECOND);
    assert_int_equal(work[0].end_ns, 102 * SECOND);
    assert_int_equal(work[0].cpu_ns, 11);
    assert_int_equal(work[0].delay_ns, 12);
    assert_int_equal(work[0].items, 13);
    assert_int_equal(work[0].slowest_ns, 14);
    assert_int_equal(work[0].slowest_index, 15);
    assert_true(!work[0].failed && work[1].failed);
    run_rings_free(&rings);
    assert_null(rings.waits);
}

static struct {
    uint64_t begin_ns, items_ns, end_ns, outcome;
} work;

static uint64_t *add_that_work(struct rf_writer *writer)
{
    uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, 1);
    put_work(entry, 2, work.begin_ns, work.items_ns, work.end_ns, work.outcome);
    entry[RF_WORKER_COUNT] = 3;
    return entry;
}

static void work_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        uint64_t begin_ns, items_ns, end_ns, outcome;
        bool taken;
    } rows[] = {
        {5, 6, 7, RF_BATCH_MADE, true},
        {0, 6, 7, RF_BATCH_MADE, false},
        {RF_MOST_NS, RF_MOST_NS, RF_MOST_NS, RF_BATCH_MADE, true},
        {RF_MOST_NS + 1, RF_MOST_NS + 1, RF_MOST_NS + 1, RF_BATCH_MADE, false},
        {5, 6, 5 + RF_MOST_WAIT_NS, RF_BATCH_MADE, true},
        {5, 6, 6 + RF_MOST_WAIT_NS, RF_BATCH_MADE, false},
        {5, 5, 5, RF_BATCH_MADE, true},
        {5, 5, 4, RF_BATCH_MADE, false},
        {5, 4, 7, RF_BATCH_MADE, false},
        {5, 7, 7, RF_BATCH_MADE, true},
        {5, 8, 7, RF_BATCH_MADE, false},
        {5, 6, 7, RF_BATCH_FAILED, true},
        {5, 6, 7, RF_BATCH_END, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run_rings rings;
        work.begin_ns = rows[i].begin_ns;
        work.items_ns = rows[i].items_ns;
        work.end_ns = rows[i].end_ns;
        work.outcome = rows[i].outcome;
        read_rings(add_that_work, &rings);
        if (rings.work_count != (rows[i].taken ? 3 : 2))
            fail_msg("row %zu: %u", i, rings.work_count);
        run_rings_free(&rings);
    }
}

/* Of a slot that is damaged nothing is taken, of a ring only what is there. */
static uint64_t *damage_a_slot(struct rf_writer *writer)
{
    uint64_t *slot = rf_entry(writer, RF_SECTION_SLOTS, 0);
    slot[writer->slot_layout.counters_at + RF_COUNT_BATCHES] = 99;
    return slot;
}
static uint64_t *leave_a_row_unwritten(struct rf_writer *writer)
{
    uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, 1);
    entry[worker_layout.ring_at + RF_WORK_SEQUENCE] = 0;
    return entry;
}
static uint64_t *count_more_than_is_kept(struct rf_writer *writer)
{
    uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, 1);
    const uint64_t count = worker_layout.recent + 2;
    for (uint64_t i = 0; i < count; i++)
        put_work(entry, i, 100 * SECOND + i, 100 * SECOND + i, 101 * SECOND, RF_BATCH_MADE);
    entry[RF_WORKER_COUNT] = count;
    return entry;
}
static uint64_t *name_a_loader_that_is_none(struct rf_writer *writer)
{
    uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, 1);
    entry[RF_WORKER_LOADER] = RF_LOADER_CAPACITY;
    return entry;
}
static uint64_t *give_it_to_nobody(struct rf_writer *writer)
{
    uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, 1);
    entry[RF_WORKER_GENERATION] = 0;
    return entry;
}

static uint64_t *stall_longer_than_it_waited(struct rf_writer *writer)
{
    uint64_t *slot = rf_entry(writer, RF_SECTION_SLOTS, 0);
    uint64_t *row =
        slot + writer->slot_layout.ring_at + RF_RECORD_WORDS; /* the second wait, of 2 ms */
    row[RF_RECORD_STALL_UPPER] = 2 * MS + 1;
    assert_int_equal(slot[RF_BLOCK_PAYLOAD + RF_SLOT_BACKGROUND], RF_OWNED_BY_OTHER);
    return slot;
}
static uint64_t *use_the_first_entry(struct rf_writer *writer)
{
    uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, 0);
    entry[RF_WORKER_GENERATION] = 1;
    entry[RF_WORKER_COUNT] = 1;
    put_work(entry, 0, 90 * SECOND, 91 * SECOND, 92 * SECOND, RF_BATCH_MADE);
    return entry;
}

static void rings_in_part(void **state)
{
    (void)state;
    struct run_rings rings;
    read_rings(stall_longer_than_it_waited, &rings);
    assert_int_equal(rings.waits[8].exposed.upper_ns, DS_UNKNOWN);
    assert_int_equal(rings.waits[8].exposed.lower_ns, DS_UNKNOWN);
    assert_int_equal(rings.waits[9].exposed.upper_ns, MS);
    run_rings_free(&rings);
    read_rings(use_the_first_entry, &rings);
    assert_int_equal(rings.work_count, 3);
    assert_int_equal(rings.work[0].begin_ns, 90 * SECOND);
    run_rings_free(&rings);
    read_rings(damage_a_slot, &rings);
    assert_int_equal(rings.wait_count, 7);
    run_rings_free(&rings);
    read_rings(leave_a_row_unwritten, &rings);
    assert_int_equal(rings.work_count, 1);
    assert_true(rings.work[0].failed);
    run_rings_free(&rings);
    read_rings(count_more_than_is_kept, &rings);
    assert_true(rings.work_count <= worker_layout.recent && rings.work_count > 2);
    assert_int_equal(rings.work[rings.work_count - 1].begin_ns,
                     100 * SECOND + worker_layout.recent + 1);
    run_rings_free(&rings);
    read_rings(name_a_loader_that_is_none, &rings);
    assert_int_equal(rings.work[0].loader, 0);
    run_rings_free(&rings);
    read_rings(give_it_to_nobody, &rings);
    assert_int_equal(rings.work_count, 0);
    run_rings_free(&rings);
}

static void rings_of_a_file_that_is_gone(void **state)
{
    (void)state;
    static struct run_data run;
    static struct run_process process;
    struct run_rings rings;
    memset(run.path, 'p', sizeof run.path - 1);
    strcpy(process.file, "a.dsrun");
    assert_int_equal(run_rings_read(&run, &process, &rings), DATASTALL_ERR_ARGUMENT);
    snprintf(run.path, sizeof run.path, "%s", folder);
    assert_int_equal(run_rings_read(&run, &process, &rings), DATASTALL_ERR_NOT_FOUND);
    assert_int_equal(rings.wait_count, 0);
}

/* A worker that was started and has recorded nothing: it is there, and all it did is 0. */
static void a_worker_that_recorded_nothing(void **state)
{
    (void)state;
    static const struct {
        uint64_t word, value;
        bool there;
    } rows[] = {{RF_WORKER_PHASE, 2, true}, {RF_WORKER_EXIT, 9, true}, {RF_WORKER_PID, 5, false}};
    for (uint32_t i = 0; i < 3; i++) {
        struct rf_worker_view view;
        struct run_reader *reader = open_changed(0, 0, 0, 0);
        const uint64_t at = rf_file_entry(&reader->file, RF_SECTION_WORKERS, 0);
        run_reader_close(reader);
        const char *path = test_path(folder, "a.dsrun");
        size_t size;
        unsigned char *bytes = test_read_file(path, &size);
        uint64_t *entry = (uint64_t *)(void *)bytes + at;
        entry[RF_WORKER_GENERATION] = 1;
        entry[rows[i].word] = rows[i].value;
        test_write_file(path, bytes, size);
        free(bytes);
        assert_int_equal(run_reader_open(path, &reader), 0);
        assert_int_equal(run_reader_worker(reader, 0, &view), rows[i].there);
        assert_int_equal(reader->problems, 0);
        if (rows[i].there) {
            assert_int_equal(view.totals[RF_TOTAL_BATCHES], 0);
            assert_int_equal(view.phase, i == 0 ? 2 : 0);
            assert_int_equal(view.exit, i == 1 ? 9 : 0);
        }
        run_reader_close(reader);
    }
}

/* ---- names ---- */

/* To the last character that there is room for. */
static void the_longest_names(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8};
    const struct rf_process_static process = {.kind = RF_PROCESS_RECORDER, .pid = 1};
    struct rf_loader_entry loader = {.source = DATASTALL_SOURCE_TORCH}, read;
    struct rf_stage_entry stage;
    struct rf_writer *writer;
    struct run_reader *reader;
    char name[200];
    const char *path = test_path(folder, "a.dsrun");
    unlink(path);
    memset(loader.name, 'n', sizeof loader.name - 1);
    memset(loader.site, 's', sizeof loader.site - 1);
    memset(loader.dataset_type, 't', sizeof loader.dataset_type - 1);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(rf_writer_create(path, &spec, &process, &writer), 0);
    rf_write_loader(writer, 2, &loader);
    rf_write_stage(writer, 3, name);
    rf_writer_destroy(writer);
    assert_int_equal(run_reader_open(path, &reader), 0);
    assert_true(run_reader_loader(reader, 2, &read));
    assert_string_equal(read.name, loader.name);
    assert_string_equal(read.site, loader.site);
    assert_string_equal(read.dataset_type, loader.dataset_type);
    assert_true(run_reader_stage(reader, 3, &stage));
    assert_int_equal(strlen(stage.name), sizeof stage.name - 1);
    assert_false(run_reader_stage(reader, 2, &stage));
    assert_false(run_reader_loader(reader, 1, &read));
    run_reader_close(reader);
}

/* Entries of a later version are longer: of each the part is read that this one knows. */
static void stages_of_a_later_version(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8};
    const struct rf_process_static process = {.kind = RF_PROCESS_RECORDER, .pid = 1};
    const uint64_t bytes = sizeof(struct rf_stage_entry);
    struct rf_stage_entry entries[RF_STAGE_CAPACITY];
    struct rf_writer *writer;
    struct run_reader *reader;
    const char *path = test_path(folder, "a.dsrun");
    unlink(path);
    assert_int_equal(rf_writer_create(path, &spec, &process, &writer), 0);
    rf_write_stage(writer, 2, "even");
    rf_write_stage(writer, 4, "more");
    rf_write_stage(writer, 5, "odd");
    struct rf_section *section = NULL;
    for (uint32_t i = 0; i < writer->header.section_count; i++) {
        if (writer->header.sections[i].type == RF_SECTION_STAGES)
            section = &writer->header.sections[i];
    }
    assert_non_null(section);
    section->entry_bytes = 2 * bytes;
    section->entry_count /= 2;
    writer->header.checksum = rf_checksum(&writer->header);
    memcpy(writer->map, &writer->header, sizeof writer->header);
    rf_writer_destroy(writer);
    assert_int_equal(run_reader_open(path, &reader), 0);
    memset(entries, 0x55, sizeof entries);
    assert_int_equal(run_reader_stages(reader, entries), RF_STAGE_CAPACITY / 2);
    assert_int_equal(entries[0].state, 0);
    assert_int_equal(entries[1].state, 1);
    assert_string_equal(entries[1].name, "even");
    assert_string_equal(entries[2].name, "more");
    assert_int_equal(entries[3].state, 0);
    uint64_t untouched;
    memset(&untouched, 0x55, sizeof untouched);
    assert_int_equal(entries[RF_STAGE_CAPACITY / 2].state, untouched);
    run_reader_close(reader);
}

static void entries_that_are_not_there(void **state)
{
    (void)state;
    struct run_reader *reader = open_changed(0, 0, 0, 0);
    struct rf_slot_view slot;
    struct rf_gpu_view gpu;
    struct rf_worker_view worker;
    assert_int_equal(run_reader_slot(reader, 1, RF_PART_ALL, &slot), RF_VIEW_UNUSED);
    assert_false(run_reader_gpu(reader, 0, &gpu));
    assert_false(run_reader_worker(reader, 1, &worker));
    struct rf_loader_entry loader;
    struct rf_stage_entry stage;
    assert_false(run_reader_loader(reader, RF_LOADER_CAPACITY, &loader));
    assert_false(run_reader_stage(reader, RF_STAGE_CAPACITY, &stage));
    assert_int_equal(reader->problems, 0);
    /* Cut since it was opened. */
    struct rf_process_view process;
    assert_true(run_reader_process(reader, &process));
    assert_int_equal(truncate(test_path(folder, "a.dsrun"), RF_HEADER_BYTES), 0);
    assert_false(run_reader_loader(reader, 0, &loader));
    assert_non_null(strstr(reader->first_problem, "the file ends within section"));
    assert_int_equal(reader->problems, 1);
    assert_false(run_reader_process(reader, &process));
    assert_int_equal(reader->problems, 2);
    assert_false(run_reader_stage(reader, 1, &stage));
    struct rf_stage_entry stages[RF_STAGE_CAPACITY];
    assert_int_equal(run_reader_stages(reader, stages), 0);
    assert_false(run_reader_worker(reader, 0, &worker));
    assert_int_not_equal(run_reader_slot(reader, 0, RF_PART_ALL, &slot), RF_VIEW_OK);
    assert_int_equal(reader->problems, 6);
    run_reader_close(reader);
}

/* ---- over time ---- */

/* Each second of a loader, by whichever of its threads: the waits that ended there. */
static void history_of_a_loader(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 4, .recent_waits = 8};
    const struct rf_process_static process = {
        .kind = RF_PROCESS_RECORDER, .pid = 1, .process_start_mono_ns = RF_UNKNOWN};
    const struct rf_loader_entry loader = {.source = DATASTALL_SOURCE_TORCH};
    struct rf_writer *writer;
    struct run_data *run;
    const char *path = test_path(folder, "a.dsrun");
    unlink(path);
    assert_int_equal(rf_writer_create(path, &spec, &process, &writer), 0);
    rf_write_loader(writer, 2, &loader);
    put_waits(writer, 0, RF_ROLLUP_BUCKETS, 150 * SECOND);
    rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
    assert_int_equal(run_data_read(folder, &run), 0);
    assert_int_equal(run->processes[0].loader_count, 1);
    const struct run_history *history = run->processes[0].loaders[0].history;
    assert_non_null(history);
    for (uint64_t i = 0; i < RF_ROLLUP_BUCKETS; i++) {
        const struct run_span *span = run_history_span(history, 0, 151 + i);
        assert_non_null(span);
        assert_int_equal(span->number, 151 + i);
        assert_int_equal(span->batches, 1);
        assert_int_equal(span->samples, 3);
        assert_int_equal(span->tokens, 30 + i);
        assert_int_equal(span->stall.waiting_ns, (i + 1) * MS);
        assert_int_equal(span->longest_ns, (i + 1) * MS);
    }
    assert_null(run_history_span(history, 0, 150));
    assert_null(run_history_span(history, 0, 151 + RF_ROLLUP_BUCKETS));
    run_data_free(run);
    /* Each level has its own: in the first place of the next one is another second's number. */
    unlink(path);
    assert_int_equal(rf_writer_create(path, &spec, &process, &writer), 0);
    rf_write_loader(writer, 2, &loader);
    /* Of two seconds the first is in the levels above, there in the place of number 64. */
    put_waits(writer, 0, 2, (RF_ROLLUP_BUCKETS - 1) * RF_ROLLUP_RATIO * SECOND);
    rf_writer_destroy(writer);
    assert_int_equal(run_data_read(folder, &run), 0);
    history = run->processes[0].loaders[0].history;
    assert_non_null(run_history_span(history, 0, (RF_ROLLUP_BUCKETS - 1) * RF_ROLLUP_RATIO + 1));
    assert_non_null(run_history_span(history, 1, RF_ROLLUP_BUCKETS));
    for (uint32_t level = 0, spans = 0; level < RF_ROLLUP_LEVELS; level++, spans = 0) {
        for (uint32_t i = 0; i < RF_ROLLUP_BUCKETS; i++)
            spans += history->spans[level][i].number != 0;
        assert_int_equal(spans, level == 0 ? 2 : 1);
    }
    run_data_free(run);
    uint64_t width = 1;
    for (uint32_t level = 0; level < RF_ROLLUP_LEVELS; level++, width *= RF_ROLLUP_RATIO)
        assert_int_equal(run_history_width_s(level), width);
}

/* ---- copies ---- */

/* Byte by byte, whatever its size; what nobody wrote to takes no room. */
static void a_copy_is_like_the_run(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 200001};
    char name[32], to[PATH_MAX];
    unsigned char *bytes = calloc(200001, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (uint32_t empty = 0; empty < 2; empty++) {
            memset(bytes, empty ? 0 : 7, sizes[i]);
            if (sizes[i] > 0)
                bytes[sizes[i] - 1] = empty ? 0 : 9;
            if (sizes[i] > 70000)
                bytes[70000] = 8; /* in a page that is empty else */
            snprintf(name, sizeof name, "%zu-%u.dsrun", i, empty);
            test_write_file(test_path(folder, name), bytes, sizes[i]);
        }
    }
    snprintf(to, sizeof to, "%s/copy", folder);
    const uint32_t descriptors = test_open_descriptors();
    assert_int_equal(run_copy(folder, to), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (uint32_t empty = 0; empty < 2; empty++) {
            size_t size, copied;
            struct stat status;
            snprintf(name, sizeof name, "%zu-%u.dsrun", i, empty);
            unsigned char *from = test_read_file(test_path(folder, name), &size);
            unsigned char *copy = test_read_file(test_path(to, name), &copied);
            assert_int_equal(size, sizes[i]);
            assert_int_equal(copied, sizes[i]);
            assert_memory_equal(from, copy, size);
            free(from);
            free(copy);
            assert_int_equal(stat(test_path(to, name), &status), 0);
            if (empty && size > 0)
                assert_true((size_t)status.st_blocks * 512 <= (size > 70000 ? 8192 : 0));
        }
    }
    free(bytes);
    assert_int_equal(run_copy(folder, to), DATASTALL_ERR_IO); /* it is there */
    assert_int_equal(run_copy(test_path(folder, "none"), test_path(folder, "other")),
                     DATASTALL_ERR_NOT_FOUND);
    assert_int_not_equal(access(test_path(folder, "other"), F_OK), 0);
    assert_int_equal(symlink("0-0.dsrun", test_path(folder, "z.dsrun")), 0);
    assert_int_equal(run_copy(folder, test_path(folder, "third")), DATASTALL_ERR_FOREIGN);
    /* One that can be opened is closed again. */
    assert_int_equal(unlink(test_path(folder, "z.dsrun")), 0);
    assert_int_equal(mkfifo(test_path(folder, "z.dsrun"), 0600), 0);
    assert_int_equal(run_copy(folder, test_path(folder, "fourth")), DATASTALL_ERR_FOREIGN);
    assert_int_equal(test_open_descriptors(), descriptors);
}

/* A section whose geometry cannot be, or whose entries are smaller than that says, is damage, whichever it
 * is. */
static void sections_that_cannot_be(void **state)
{
    (void)state;
    static const uint32_t types[] = {RF_SECTION_LOADERS, RF_SECTION_STAGES,  RF_SECTION_SLOTS,
                                     RF_SECTION_GPUS,    RF_SECTION_WORKERS, RF_SECTION_STRETCHES,
                                     RF_SECTION_STEPS};
    enum { NOTHING, GEOMETRY, SMALLER };
    const struct rf_spec spec = {
        .slots = 1, .recent_waits = 8, .gpus = 1, .workers = 1, .stretches = 1, .steps = 1};
    const struct rf_process_static process = {.kind = RF_PROCESS_RECORDER, .pid = 1};
    const char *path = test_path(folder, "a.dsrun");
    struct rf_writer *writer;
    struct run_reader *reader;
    size_t size;
    assert_int_equal(rf_writer_create(path, &spec, &process, &writer), 0);
    rf_writer_destroy(writer);
    unsigned char *bytes = test_read_file(path, &size);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        for (int change = NOTHING; change <= SMALLER; change++) {
            struct rf_header header;
            memcpy(&header, bytes, sizeof header);
            for (uint32_t k = 0; k < header.section_count; k++) {
                struct rf_section *section = &header.sections[k];
                if (section->type == types[i] && change == GEOMETRY)
                    memset(section->geometry, 0, sizeof section->geometry);
                if (section->type == types[i] && change == SMALLER)
                    section->entry_bytes -= 64;
            }
            header.checksum = rf_checksum(&header);
            unsigned char *changed = malloc(size);
            memcpy(changed, bytes, size);
            memcpy(changed, &header, sizeof header);
            test_write_file(path, changed, size);
            free(changed);
            /* Loaders and stages have none. */
            const bool wrong = change == SMALLER || (change == GEOMETRY && i >= 2);
            const int error = run_reader_open(path, &reader);
            CHECK(error == (wrong ? DATASTALL_ERR_DAMAGED : DATASTALL_OK), "section %u, change %d",
                  types[i], change);
            if (error == DATASTALL_OK)
                run_reader_close(reader);
            else
                assert_non_null(strstr(datastall_last_error(), "lies outside it"));
        }
    }
    free(bytes);
}

/* The file of open_changed(), with a worker: what each kind of reading takes of it. */
static void what_each_reading_takes(void **state)
{
    (void)state;
    static const struct {
        int (*read)(const char *, struct run_data **);
        bool history, items, stretches;
    } rows[] = {{run_data_read, true, true, true},
                {run_data_read_of_many, true, false, true},
                {run_data_read_live, false, false, false}};
    const struct rf_spec spec = {
        .slots = 3, .recent_waits = 8, .workers = 3, .stretches = 2, .steps = 2};
    const struct rf_process_static process = {.kind = RF_PROCESS_RECORDER, .pid = 1};
    struct rf_writer *writer;
    assert_int_equal(rf_writer_create(test_path(folder, "a.dsrun"), &spec, &process, &writer), 0);
    put_waits(writer, 2, 3, 200 * SECOND);
    make_stretches(writer);
    make_steps(writer);
    struct rf_worker_layout layout;
    assert_true(
        rf_worker_layout_of(rf_section_of(&writer->header, RF_SECTION_WORKERS)->geometry, &layout));
    rf_entry(writer, RF_SECTION_WORKERS, 0)[RF_WORKER_GENERATION] = 1; /* it has not begun */
    uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, 1);
    entry[RF_WORKER_GENERATION] = entry[RF_WORKER_COUNT] = 1;
    entry[layout.totals_at + layout.total_words + RF_TOTAL_COUNT] = 1;
    entry[layout.totals_at + layout.total_words + RF_TOTAL_ITEMS_CPU_NS] = 7;
    entry[layout.items_at] = 3;
    rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run_data *run;
        assert_int_equal(rows[i].read(folder, &run), 0);
        assert_int_equal(run->problems, 0);
        const struct run_process *read = &run->processes[0];
        assert_int_equal(read->loader_count, 1);
        assert_int_equal(read->loaders[0].totals.counters[RF_COUNT_BATCHES], 3);
        assert_int_equal(read->loaders[0].history != NULL, rows[i].history);
        assert_int_equal(read->worker_count, 1);
        assert_int_equal(read->workers[0].totals[RF_TOTAL_ITEMS_CPU_NS], 7);
        assert_int_equal(read->workers[0].items[0], rows[i].items ? 3 : 0);
        assert_int_equal(read->stretches_count, rows[i].stretches);
        assert_int_equal(read->steps_count, 1); /* of the two entries one has some */
        assert_int_equal(read->steps[0].totals[RF_STEP_TOTAL_STEPS], 9);
        run_data_free(run);
    }
}

/* A new file of that name, which its writer closed, or did not. */
static void end_file(const char *name, bool closed)
{
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8};
    const struct rf_process_static process = {.kind = RF_PROCESS_RECORDER, .pid = 1};
    struct rf_writer *writer;
    unlink(test_path(folder, name));
    assert_int_equal(rf_writer_create(test_path(folder, name), &spec, &process, &writer), 0);
    if (closed)
        rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
}

static int lowest_free_fd(void)
{
    const int fd = open("/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    close(fd);
    return fd;
}

/* A run whose files all ended by themselves; of none it is not known. */
static void runs_that_are_closed(void **state)
{
    (void)state;
    assert_false(run_is_closed(test_path(folder, "none")));
    assert_false(run_is_closed(folder));
    end_file("b.dsrun", true);
    assert_true(run_is_closed(folder));
    end_file("a.dsrun", true);
    end_file("c.dsrun", true);
    assert_true(run_is_closed(folder));
    test_write_file(test_path(folder, "notes"), "x", 1);
    assert_true(run_is_closed(folder));
    static const char *const names[] = {"a.dsrun", "b.dsrun", "c.dsrun"};
    const int free_before = lowest_free_fd();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        end_file(names[i], false);
        assert_false(run_is_closed(folder));
        test_write_file(test_path(folder, names[i]), "x", 1); /* it cannot be read */
        assert_false(run_is_closed(folder));
        end_file(names[i], true);
        assert_true(run_is_closed(folder));
    }
    assert_int_equal(lowest_free_fd(), free_before);
}

#define TEST(name) cmocka_unit_test_setup(name, new_folder)

int main(void)
{
    unsetenv("DATASTALL_RECORD_ON");
    const struct CMUnitTest tests[] = {
        TEST(geometry_of_stretches_and_steps),
        TEST(rows_of_a_stretch),
        TEST(totals_of_steps),
        TEST(stretches_as_they_are_read),
        TEST(stretches_that_cannot_be),
        TEST(entries_that_are_cut),
        TEST(steps_as_they_are_read),
        TEST(steps_that_cannot_be),
        TEST(waits_in_the_rings),
        TEST(work_that_cannot_be),
        TEST(rings_in_part),
        TEST(rings_of_a_file_that_is_gone),
        TEST(a_worker_that_recorded_nothing),
        TEST(a_copy_is_like_the_run),
        TEST(the_longest_names),
        TEST(stages_of_a_later_version),
        TEST(entries_that_are_not_there),
        TEST(history_of_a_loader),
        TEST(sections_that_cannot_be),
        TEST(what_each_reading_takes),
        TEST(runs_that_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
