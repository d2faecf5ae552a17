/* SPDX-License-Identifier: Apache-2.0 */
/* What of a run cannot be read, or contradicts itself: what is left out, and what is said of it. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/run_data.h"
#include "runfile/writer.h"
#include "small_file.h"
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

static struct run_data *read_run(void)
{
    struct run_data *run = NULL;
    assert_int_equal(run_data_read(folder, &run), 0);
    return run;
}

/* ---- what cannot be read ---- */

static void files_that_cannot_be_read(void **state)
{
    (void)state;
    small_file_make(test_path(folder, "a.dsrun"), true);
    test_write_file(test_path(folder, "b.dsrun"), "x", 1);
    test_write_file(test_path(folder, "c.dsrun"), "", 0);
    size_t size;
    unsigned char *bytes = test_read_file(test_path(folder, "a.dsrun"), &size);
    struct rf_header *header = (struct rf_header *)(void *)bytes;
    header->format_major = RF_FORMAT_MAJOR + 1;
    header->checksum = rf_checksum(header);
    test_write_file(test_path(folder, "d.dsrun"), bytes, size);
    test_write_file(test_path(folder, "e.dsrun"), bytes, size);
    free(bytes);
    test_write_file(test_path(folder, "f.dsrun"), "x", 1);
    struct run_data *run = read_run();
    assert_int_equal(run->files, 6);
    assert_int_equal(run->unreadable_files, 5);
    assert_int_equal(run->newer_files, 2);
    assert_int_equal(run->problems, 5);
    assert_non_null(strstr(run->first_problem, "b.dsrun is cut short"));
    assert_int_equal(run->process_count, 1);
    run_data_free(run);
}

/* A file that ends somewhere: what is before is read, and the rest is said to be missing. */
static void files_that_are_cut(void **state)
{
    (void)state;
    small_file_make(test_path(folder, "a.dsrun"), true);
    struct rf_file file;
    assert_int_equal(rf_file_open(test_path(folder, "a.dsrun"), &file), 0);
    const struct rf_header header = file.header;
    rf_file_close(&file);
    for (uint32_t i = 0; i < header.section_count; i++) {
        assert_int_equal(
            truncate(test_path(folder, "a.dsrun"), (off_t)(header.sections[i].offset + 8)), 0);
        struct run_data *run = read_run();
        const bool has_process = header.sections[i].type != RF_SECTION_PROCESS;
        assert_int_equal(run->process_count, has_process);
        assert_int_equal(run->unreadable_files, !has_process);
        assert_int_equal(run->problems, 1); /* one for the file, however much is missing */
        assert_non_null(strstr(run->first_problem, "is cut short"));
        run_data_free(run);
        unlink(test_path(folder, "a.dsrun"));
        small_file_make(test_path(folder, "a.dsrun"), true);
    }
}

static void folders_that_cannot_be_read(void **state)
{
    (void)state;
    struct run_data *run = (struct run_data *)1;
    assert_int_equal(run_data_read(test_path(folder, "none"), &run), DATASTALL_ERR_NOT_FOUND);
    assert_null(run);
    assert_int_equal(run_data_read(folder, &run), 0);
    assert_int_equal(run->files, 0);
    assert_int_equal(run->process_count, 0);
    assert_string_equal(run->recorded_at, "");
    const char *slash = strrchr(folder, '/');
    assert_string_equal(run->id, slash + 1);
    run_data_free(run);
    run_data_free(NULL);
}

/* ---- devices and workers that contradict themselves ---- */

/* The small file with one word changed, at so many words behind a section's first entry. */
static struct run_data *read_changed(uint32_t section, uint64_t word, uint64_t value)
{
    size_t size;
    const char *path = test_path(folder, "a.dsrun");
    unlink(path);
    small_file_make(path, true);
    unsigned char *bytes = test_read_file(path, &size);
    const struct rf_header *header = (const struct rf_header *)(const void *)bytes;
    const struct rf_section *place = rf_section_of(header, section);
    memcpy(bytes + place->offset + word * 8, &value, 8);
    test_write_file(path, bytes, size);
    free(bytes);
    return read_run();
}

static void devices_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        uint32_t word;
        uint64_t value;
        bool possible;
    } rows[] = {
        {RF_GPU_FIRST_NS, RF_MOST_NS, true},
        {RF_GPU_FIRST_NS, RF_MOST_NS + 1, false},
        {RF_GPU_LAST_NS, RF_MOST_NS + 1, false},
        {RF_GPU_CALL_NS, RF_MOST_NS + 1, false},
        {RF_GPU_BUSY_NS, RF_MOST_NS + 1, false},
        {RF_GPU_IDLE_NS, RF_MOST_NS + 1, false},
        {RF_GPU_UNKNOWN_NS, RF_MOST_NS + 1, false},
        {RF_GPU_ENERGY_NS, RF_MOST_NS + 1, false},
        {RF_GPU_HELD_KNOWN_NS, RF_MOST_NS + 1, false},
        {RF_GPU_HELD_POWER_NS, RF_MOST_NS + 1, false},
        {RF_GPU_HELD_THERMAL_NS, RF_MOST_NS + 1, false},
        {RF_GPU_HELD_HARDWARE_NS, RF_MOST_NS + 1, false},
        {RF_GPU_BUSY_COUNT, 10, true}, /* of ten samples */
        {RF_GPU_BUSY_COUNT, 11, false},
        {RF_GPU_ENERGY_UJ, UINT64_MAX, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run_data *run =
            read_changed(RF_SECTION_GPUS, RF_BLOCK_PAYLOAD + rows[i].word, rows[i].value);
        if (run->gpu_count != rows[i].possible || run->problems != !rows[i].possible)
            fail_msg("row %zu: %u, %s", i, run->gpu_count, run->first_problem);
        if (!rows[i].possible)
            assert_string_equal(run->first_problem, "a.dsrun: GPU entry 0 contradicts itself");
        run_data_free(run);
    }
    struct run_data *run = read_changed(RF_SECTION_GPUS, RF_BLOCK_VERSION, 0);
    assert_int_equal(run->gpu_count, 0); /* never attached */
    assert_int_equal(run->problems, 0);
    run_data_free(run);
    run = read_changed(RF_SECTION_GPUS, RF_BLOCK_VERSION, 1); /* the first change under way */
    assert_int_equal(run->gpu_count, 1);
    run_data_free(run);
}

static void workers_that_cannot_be(void **state)
{
    (void)state;
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_worker_layout layout;
    rf_worker_geometry(geometry);
    assert_true(rf_worker_layout_of(geometry, &layout));
    const uint64_t totals = layout.totals_at + 5 % layout.versions * layout.total_words;
    const struct {
        uint64_t word, value;
        uint32_t workers, problems;
    } rows[] = {
        {RF_WORKER_PID, 4251, 1, 0},
        {RF_WORKER_GENERATION, 0, 0, 0}, /* never given */
        {RF_WORKER_COUNT, 0, 0, 0},      /* nothing recorded */
        {RF_WORKER_COUNT, 6, 0, 1},      /* the copy is of another count */
        {RF_WORKER_LOADER, RF_LOADER_CAPACITY - 1, 1, 0},
        {RF_WORKER_LOADER, RF_LOADER_CAPACITY, 0, 1},
        {totals + RF_TOTAL_COUNT, 4, 0, 1},
        {totals + RF_TOTAL_BATCHES, 6, 0, 1},
        {totals + RF_TOTAL_FAILED, 5, 1, 0},
        {totals + RF_TOTAL_FAILED, 6, 0, 1},
        {totals + RF_TOTAL_BEGIN_NS, 103 * SECOND, 1, 0},
        {totals + RF_TOTAL_BEGIN_NS, 103 * SECOND + 1, 0, 1},
        {totals + RF_TOTAL_ITEMS_NS, RF_MOST_NS, 1, 0},
        {totals + RF_TOTAL_ITEMS_NS, RF_MOST_NS + 1, 0, 1},
        {totals + RF_TOTAL_ASKED_BYTES, UINT64_MAX, 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run_data *run = read_changed(RF_SECTION_WORKERS, rows[i].word, rows[i].value);
        if (run->processes[0].worker_count != rows[i].workers || run->problems != rows[i].problems)
            fail_msg("row %zu: %u, %s", i, run->processes[0].worker_count, run->first_problem);
        if (rows[i].problems > 0)
            assert_string_equal(run->first_problem, "a.dsrun: worker entry 0 contradicts itself");
        run_data_free(run);
    }
}

static void items_of_a_worker(void **state)
{
    (void)state;
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_worker_layout layout;
    rf_worker_geometry(geometry);
    assert_true(rf_worker_layout_of(geometry, &layout));
    static const struct {
        uint64_t ns;
        uint32_t count;
    } rows[] = {{0, 0}, {1, 1}, {RF_MOST_NS, 1}, {RF_MOST_NS + 1, 0}};
    for (size_t i = 0; i < 4; i++) {
        struct run_data *run =
            read_changed(RF_SECTION_WORKERS, layout.slow_at + RF_ITEM_NS, rows[i].ns);
        const struct rf_worker_view *worker = &run->processes[0].workers[0];
        assert_int_equal(worker->slowest_count, rows[i].count);
        if (rows[i].count > 0) {
            assert_int_equal(worker->slowest[0].ns, rows[i].ns);
            assert_int_equal(worker->slowest[0].index, 77);
        }
        assert_int_equal(worker->generation, 1);
        assert_int_equal(worker->loader, 1);
        assert_int_equal(worker->number, 2);
        assert_int_equal(worker->pid, 4250);
        assert_int_equal(worker->totals[RF_TOTAL_BATCHES], 5);
        assert_int_equal(worker->items[rf_item_bucket(3 * MS)], 10);
        run_data_free(run);
    }
    /* Longest first, wherever they stand. */
    struct run_data *run =
        read_changed(RF_SECTION_WORKERS, layout.slow_at + 3 * RF_ITEM_WORDS + RF_ITEM_NS, 9 * MS);
    assert_int_equal(run->processes[0].workers[0].slowest_count, 2);
    assert_int_equal(run->processes[0].workers[0].slowest[0].ns, 9 * MS);
    assert_int_equal(run->processes[0].workers[0].slowest[1].ns, 4 * MS);
    run_data_free(run);
}

/* A file may say any number. */
static void more_workers_than_are_read(void **state)
{
    (void)state;
    const struct rf_process_static process = {.kind = RF_PROCESS_RECORDER, .pid = 1};
    for (uint32_t workers = 4096; workers <= 4097; workers++) {
        const struct rf_spec spec = {.slots = 1, .recent_waits = 8, .workers = workers};
        const char *path = test_path(folder, "a.dsrun");
        struct rf_writer *writer;
        assert_int_equal(rf_writer_create(path, &spec, &process, &writer), 0);
        uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, workers - 1);
        assert_null(rf_entry(writer, RF_SECTION_WORKERS, workers));
        entry[RF_WORKER_GENERATION] = 1;
        entry[RF_WORKER_PHASE] = 1;
        rf_writer_destroy(writer);
        struct run_data *run = read_run();
        assert_int_equal(run->process_count, 1);
        assert_int_equal(run->problems, workers - 4096);
        assert_int_equal(run->processes[0].worker_count, workers == 4096);
        if (workers > 4096)
            assert_non_null(strstr(run->first_problem, "4097 worker entries are too many to read"));
        run_data_free(run);
        unlink(path);
    }
}

/* ---- notes ---- */

static void only_the_first_problem_is_told(void **state)
{
    (void)state;
    struct run_reader reader = {.problems = 0};
    run_reader_note(&reader, "the %s", "first");
    run_reader_note(&reader, "the second");
    assert_int_equal(reader.problems, 2);
    assert_string_equal(reader.first_problem, "the first");
}

#define TEST(name) cmocka_unit_test_setup(name, new_folder)

int main(void)
{
    unsetenv("DATASTALL_RECORD_ON");
    const struct CMUnitTest tests[] = {
        TEST(files_that_cannot_be_read),      TEST(files_that_are_cut),
        TEST(folders_that_cannot_be_read),    TEST(devices_that_cannot_be),
        TEST(workers_that_cannot_be),         TEST(items_of_a_worker),
        TEST(only_the_first_problem_is_told), TEST(more_workers_than_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
