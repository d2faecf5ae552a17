/* SPDX-License-Identifier: Apache-2.0 */
/* A whole run of several files: how slots add up to loaders, and files to processes. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/run_data.h"
#include "runfile/liveness.h"
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

/* ---- files ---- */

static struct rf_process_static process_of(uint64_t pid, uint64_t rank)
{
    return (struct rf_process_static){.kind = RF_PROCESS_RECORDER,
                                      .pid = pid,
                                      .rank = rank,
                                      .opened_mono_ns = 100 * SECOND,
                                      .process_start_mono_ns = RF_UNKNOWN,
                                      .command = "python a.py"};
}

static struct rf_writer *begin_file(const char *name, const struct rf_spec *spec,
                                    const struct rf_process_static *process)
{
    struct rf_writer *writer;
    assert_int_equal(rf_writer_create(test_path(folder, name), spec, process, &writer), 0);
    return writer;
}

static void end_file(struct rf_writer *writer)
{
    rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
}

static void set_word(struct rf_writer *writer, uint32_t word, uint64_t value)
{
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + word, value);
    rf_publish(&writer->process);
}

struct wait_row {
    uint64_t begin_ns, wait_ns;
    uint32_t stage;
};

/* Slot `index` with one wait. */
static void add_slot(struct rf_writer *writer, uint32_t index, uint32_t loader, uint64_t thread,
                     const unsigned char *uuid, const struct wait_row *row)
{
    struct rf_slot_writer slot;
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.batch_index = 7;
    batch.samples = 3;
    batch.tokens = 30;
    const struct wait wait = {.begin_ns = row->begin_ns,
                              .wait_ns = row->wait_ns,
                              .kind = DATASTALL_WAIT_STEADY,
                              .stage = row->stage,
                              .batch = &batch,
                              .exposed = {row->wait_ns / 4, row->wait_ns / 2}};
    rf_slot_attach(writer, index, &slot);
    if (uuid != NULL)
        rf_slot_set_gpu(&slot, uuid);
    rf_slot_assign(&slot, loader, thread);
    if (row->wait_ns > 0)
        rf_slot_append(&slot, &wait);
    rf_slot_flush(&slot);
}

static struct run_data *read_run(void)
{
    struct run_data *run = NULL;
    assert_int_equal(run_data_read(folder, &run), 0);
    return run;
}

/* ---- slots of a loader ---- */

static void slots_of_a_loader_are_one(void **state)
{
    (void)state;
    const uint64_t pid = (uint64_t)getpid();
    const unsigned char one[16] = {1}, other[16] = {[15] = 2};
    const struct rf_spec spec = {.slots = 7, .recent_waits = 8};
    const struct rf_process_static process = process_of(pid, 0);
    struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
    const struct rf_loader_entry entry = {.source = DATASTALL_SOURCE_TORCH, .name = "train"};
    rf_write_loader(writer, 2, &entry);
    rf_write_stage(writer, 1, "warm-up");
    /* The main thread on two devices, a second thread on one of them, a third one on none. */
    add_slot(writer, 0, 2, pid, one, &(struct wait_row){101 * SECOND, 8 * MS, 1});
    add_slot(writer, 1, 2, pid, other, &(struct wait_row){102 * SECOND, 4 * MS, 1});
    add_slot(writer, 2, 2, 77, one, &(struct wait_row){103 * SECOND, 16 * MS, 2});
    add_slot(writer, 3, 2, 78, NULL, &(struct wait_row){104 * SECOND, 2 * MS, 0});
    add_slot(writer, 4, 2, 79, NULL, &(struct wait_row){0}); /* claimed, nothing recorded */
    add_slot(writer, 5, 1, pid, NULL, &(struct wait_row){105 * SECOND, 32 * MS, 1});
    end_file(writer);

    struct run_data *run = read_run();
    assert_int_equal(run->problems, 0);
    assert_int_equal(run->files, 1);
    assert_int_equal(run->process_count, 1);
    assert_int_equal(run->processes[0].loader_count, 2);
    const struct run_loader *first = &run->processes[0].loaders[0];
    assert_int_equal(first->index, 1);                  /* in their order, not the slots' */
    assert_string_equal(first->entry.name, "loader 1"); /* of which no entry is there */
    assert_false(first->background);
    assert_int_equal(first->threads, 1);
    assert_int_equal(first->gpu_count, 0);
    const struct run_loader *loader = &run->processes[0].loaders[1];
    assert_int_equal(loader->index, 2);
    assert_string_equal(loader->entry.name, "train");
    assert_true(loader->background);
    assert_int_equal(loader->threads, 3);
    assert_int_equal(loader->thread_ids[0], pid);
    assert_int_equal(loader->thread_ids[1], 77);
    assert_int_equal(loader->thread_ids[2], 78);
    assert_int_equal(loader->waiting_since_ns, 0);
    assert_int_equal(loader->skew, 0);
    assert_int_equal(loader->gpu_count, 2);
    assert_memory_equal(loader->gpus[0].uuid, one, 16);
    assert_int_equal(loader->gpus[0].stall.waiting_ns, 24 * MS);
    assert_int_equal(loader->gpus[0].stall.known_ns, 24 * MS);
    assert_int_equal(loader->gpus[0].stall.upper_ns, 12 * MS);
    assert_int_equal(loader->gpus[0].stall.lower_ns, 6 * MS);
    assert_memory_equal(loader->gpus[1].uuid, other, 16);
    assert_int_equal(loader->gpus[1].stall.waiting_ns, 4 * MS);
    assert_int_equal(loader->totals.slots, 5);
    assert_int_equal(loader->totals.counters[RF_COUNT_STEADY_NS], 30 * MS);
    assert_int_equal(loader->totals.counters[RF_COUNT_BEGIN_NS], 101 * SECOND);
    assert_int_equal(loader->stages[1][RF_COUNT_STEADY_NS], 12 * MS);
    assert_int_equal(loader->stages[2][RF_COUNT_STEADY_NS], 16 * MS);
    static const uint64_t slowest_ms[] = {16, 8, 4, 2, 0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(loader->slowest[i].wait_ns, slowest_ms[i] * MS);
    assert_int_equal(loader->slowest[0].begin_ns, 103 * SECOND);
    assert_int_equal(loader->slowest[0].batch_index, 7);
    assert_int_equal(loader->slowest[0].samples, 3);
    assert_int_equal(loader->slowest[0].tokens, 30);
    assert_int_equal(loader->slowest[0].kind, DATASTALL_WAIT_STEADY);
    assert_int_equal(loader->slowest[0].stage, 2);
    assert_string_equal(run->processes[0].stage_names[1], "warm-up");
    assert_string_equal(run->processes[0].stage_names[2], "");
    run_data_free(run);
}

/* The longest of many, from whichever slots they are. */
static void the_slowest_of_many_slots(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 13, .recent_waits = 8};
    const struct rf_process_static process = process_of(1, 0);
    struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
    for (uint32_t i = 0; i < 12; i++)
        add_slot(writer, i, 1, i, NULL,
                 &(struct wait_row){(101 + i) * SECOND, (1 + i * 5 % 12) * MS, 0});
    end_file(writer);
    struct run_data *run = read_run();
    for (uint32_t i = 0; i < RUN_SLOW_WAITS; i++)
        assert_int_equal(run->processes[0].loaders[0].slowest[i].wait_ns, (12 - i) * MS);
    run_data_free(run);
}

static void more_devices_and_threads_than_are_kept(void **state)
{
    (void)state;
    const uint32_t slots = RUN_THREADS + 6;
    const struct rf_spec spec = {.slots = slots + 1, .recent_waits = 8};
    const struct rf_process_static process = process_of(1, 0);
    struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
    for (uint32_t i = 0; i < slots; i++) {
        const unsigned char uuid[16] = {(unsigned char)(1 + i)};
        add_slot(writer, i, 1, 1000 + i, uuid, &(struct wait_row){101 * SECOND, MS, 0});
    }
    end_file(writer);
    struct run_data *run = read_run();
    const struct run_loader *loader = &run->processes[0].loaders[0];
    assert_int_equal(loader->gpu_count, RUN_LOADER_GPUS);
    assert_int_equal(loader->gpus[RUN_LOADER_GPUS - 1].uuid[0], RUN_LOADER_GPUS);
    assert_int_equal(loader->threads, RUN_THREADS);
    assert_int_equal(loader->thread_ids[RUN_THREADS - 1], 1000 + RUN_THREADS - 1);
    assert_int_equal(loader->totals.counters[RF_COUNT_STEADY_NS], slots * MS);
    run_data_free(run);
}

/* The earliest of the waits under way. */
static void waits_under_way(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 4, .recent_waits = 8};
    const struct rf_process_static process = process_of(1, 0);
    struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
    static const uint64_t begins[] = {300 * SECOND, 200 * SECOND, 250 * SECOND};
    for (uint32_t i = 0; i < 3; i++) {
        struct rf_slot_writer slot;
        rf_slot_attach(writer, i, &slot);
        rf_slot_assign(&slot, 1, i);
        rf_slot_waiting(&slot, begins[i]);
    }
    end_file(writer);
    struct run_data *run = read_run();
    assert_int_equal(run->processes[0].loaders[0].waiting_since_ns, 200 * SECOND);
    assert_int_equal(run->processes[0].loaders[0].threads, 0); /* nothing ended yet */
    run_data_free(run);
}

/* A run is told by where it is and not by how one came there, and its id is what its folder is called. */
static void where_a_run_is(void **state)
{
    (void)state;
    char real[PATH_MAX], link[PATH_MAX], dotted[PATH_MAX];
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8};
    const struct rf_process_static process = process_of(1, 0);
    end_file(begin_file("a.dsrun", &spec, &process));
    assert_non_null(realpath(folder, real));
    snprintf(link, sizeof link, "%s/link", test_folder());
    snprintf(dotted, sizeof dotted, "%s/./", folder);
    assert_int_equal(symlink(folder, link), 0);
    const char *const ways[] = {folder, link, dotted};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct run_data *run;
        assert_int_equal(run_data_read(ways[i], &run), 0);
        assert_string_equal(run->path, real);
        assert_string_equal(run->id, strrchr(real, '/') + 1);
        assert_string_equal(run->recorded_at, "");
        assert_int_equal(run->process_count, 1);
        run_data_free(run);
    }
    unlink(link);
}

/* Texts of a file that have no end are cut where their room ends. */
static void texts_without_an_end(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8};
    static struct rf_process_static process;
    process = process_of(1, 0);
    const struct {
        char *text;
        size_t size;
    } texts[] = {
        {process.hostname, sizeof process.hostname},   {process.name, sizeof process.name},
        {process.directory, sizeof process.directory}, {process.command, sizeof process.command},
        {process.settings, sizeof process.settings},   {process.job, sizeof process.job},
        {process.node, sizeof process.node},           {process.pod, sizeof process.pod}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        memset(texts[i].text, 'a' + (int)i, texts[i].size);
    end_file(begin_file("a.dsrun", &spec, &process));
    struct run_data *run = read_run();
    const struct rf_process_static *fixed = &run->processes[0].view.fixed;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *read = (const char *)fixed + (texts[i].text - (char *)&process);
        CHECK(memcmp(read, texts[i].text, texts[i].size - 1) == 0 &&
                  read[texts[i].size - 1] == '\0',
              "text %zu", i);
    }
    run_data_free(run);
}

/* ---- readings one after another ---- */

#define RING 64u

/* So many more waits of a slot, each a batch but for each fifth, which is an iterator's; the stall of one of
 * them is not told. */
static void append_waits(struct rf_slot_writer *slot, uint32_t count, uint64_t untold)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t n = slot->head;
        datastall_batch batch = DATASTALL_BATCH_INIT;
        struct wait wait = {.begin_ns = (200 + n) * SECOND,
                            .wait_ns = 8 * MS + n,
                            .kind = n % 5 == 0   ? DATASTALL_WAIT_ITER
                                    : n % 5 == 1 ? DATASTALL_WAIT_FIRST
                                                 : DATASTALL_WAIT_STEADY,
                            .batch = &batch,
                            .exposed = {n, 2 * MS + n}};
        if (n == untold)
            wait.exposed = (struct stall_bounds)STALL_BOUNDS_UNKNOWN;
        rf_slot_append(slot, &wait);
    }
    rf_slot_flush(slot);
}

/* The reading after `before`, of which nothing is left. */
static struct run_data *read_next(struct run_data *before)
{
    struct run_data *run = NULL;
    assert_int_equal(run_data_read_next(folder, before, &run), 0);
    run_data_free(before);
    return run;
}

static void check_recent(const struct run_recent *recent, uint64_t first, uint64_t count)
{
    CHECK(recent->first == first && recent->count == count, "%u and %u, not %u and %u",
          (unsigned)recent->first, (unsigned)recent->count, (unsigned)first, (unsigned)count);
    const uint64_t end = first + count;
    assert_int_equal(recent->batches, end - (end + 4) / 5);
    assert_int_equal(recent->begin_ns, 200 * SECOND);
    assert_int_equal(recent->loader, 2);
    for (uint64_t i = 0; i < count; i++) {
        const struct run_recent_wait *wait = &recent->waits[i];
        const uint64_t n = first + i;
        assert_int_equal(wait->begin_ns, (200 + n) * SECOND);
        assert_int_equal(wait->wait_ns, 8 * MS + n);
        assert_int_equal(wait->exposed.lower_ns, n);
        assert_int_equal(wait->exposed.upper_ns, 2 * MS + n);
        assert_int_equal(wait->kind, n % 5 == 0   ? DATASTALL_WAIT_ITER
                                     : n % 5 == 1 ? DATASTALL_WAIT_FIRST
                                                  : DATASTALL_WAIT_STEADY);
    }
}

/* Each reading has what the one before had not, as far as the ring still holds it. */
static void waits_since_the_reading_before(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 3, .recent_waits = RING};
    struct rf_process_static process = process_of(1, 0);
    struct rf_slot_writer slot;
    static const struct {
        uint32_t more;
        uint64_t first, count;
    } rows[] = {{3, 0, 3},    {2, 3, 2},     {0, 5, 0},      {1, 5, 1},   {58, 6, 58},
                {63, 64, 63}, {64, 128, 63}, {500, 628, 63}, {0, 691, 0}, {1, 691, 1}};
    for (int known = 1; known >= 0; known--) { /* whether its rank is */
        process.rank = known ? 0 : RF_UNKNOWN;
        unlink(test_path(folder, "a.dsrun"));
        struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
        rf_slot_attach(writer, 1, &slot);
        rf_slot_assign(&slot, 2, 77);
        struct run_data *run = read_next(NULL);
        assert_int_equal(run->processes[0].recent_count, 0); /* nothing was recorded */
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            append_waits(&slot, rows[i].more, UINT64_MAX);
            run = read_next(run);
            assert_int_equal(run->processes[0].recent_count, known);
            if (known) {
                assert_int_equal(run->processes[0].recent[0].slot, 1);
                check_recent(&run->processes[0].recent[0], rows[i].first, rows[i].count);
            }
            /* No worker was given an entry; of the history no figure is made. */
            assert_int_equal(run->processes[0].worker_count, 0);
            assert_null(run->processes[0].loaders[0].history);
        }
        run_data_free(run);
        assert_int_equal(run_data_read_live(folder, &run), 0);
        assert_int_equal(run->processes[0].recent_count, 0);
        run_data_free(run);
        end_file(writer);
    }
}

/* Two slots go on each by itself; another file of the same name begins anew. */
static void readings_of_several_slots(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 3, .recent_waits = RING};
    const struct rf_process_static process = process_of(1, 0);
    struct rf_slot_writer slots[2];
    struct run_data *run = NULL;
    for (uint32_t file = 0; file < 2; file++) {
        unlink(test_path(folder, "a.dsrun"));
        struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
        for (uint32_t i = 0; i < 2; i++) {
            rf_slot_attach(writer, i, &slots[i]);
            rf_slot_assign(&slots[i], 2, 70 + i);
            append_waits(&slots[i], 10 + i, UINT64_MAX);
        }
        run = read_next(run);
        assert_int_equal(run->processes[0].recent_count, 2);
        check_recent(&run->processes[0].recent[0], 0, 10);
        check_recent(&run->processes[0].recent[1], 0, 11);
        append_waits(&slots[1], 4, UINT64_MAX);
        run = read_next(run);
        check_recent(&run->processes[0].recent[0], 10, 0);
        check_recent(&run->processes[0].recent[1], 11, 4);
        end_file(writer);
    }
    run_data_free(run);
}

/* Where a GPU is used, who reads waits for what its clock will tell of the last 32 records, while the
 * process may still tell it. */
static void stalls_that_are_told_later(void **state)
{
    (void)state;
    enum { ALIVE, CLOSED, DEAD, NO_GPU };
    static const struct {
        uint64_t untold;
        int how;
        uint64_t count; /* of 40 */
    } rows[] = {{UINT64_MAX, ALIVE, 40}, {39, ALIVE, 39}, {38, ALIVE, 38}, {9, ALIVE, 9},
                {8, ALIVE, 8},           {7, ALIVE, 40},  {20, ALIVE, 40}, /* it is no batch */
                {21, ALIVE, 21}, /* the first of an iterator is one */
                {38, CLOSED, 40},        {38, DEAD, 40},  {38, NO_GPU, 40}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct rf_spec spec = {.slots = 1, .recent_waits = RING};
        struct rf_process_static process = process_of((uint64_t)getpid(), 0);
        struct rf_slot_writer slot;
        process.start_ticks = rf_own_start_ticks() + (rows[i].how == DEAD);
        process.pid_namespace = rf_own_pid_namespace();
        unlink(test_path(folder, "a.dsrun"));
        struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
        if (rows[i].how != NO_GPU)
            set_word(writer, RF_PROCESS_ACCELERATOR, RF_ACCELERATOR_USED);
        rf_slot_attach(writer, 0, &slot);
        rf_slot_assign(&slot, 2, 77);
        append_waits(&slot, 40, rows[i].untold);
        if (rows[i].how == CLOSED)
            rf_writer_mark_closed(writer);
        struct run_data *run = read_next(NULL);
        const struct run_recent *recent = &run->processes[0].recent[0];
        CHECK(recent->count == rows[i].count, "row %zu: %u", i, (unsigned)recent->count);
        if (rows[i].count < 40) {
            check_recent(recent, 0, rows[i].count);
            run = read_next(run); /* they come when they are told, or too old */
            check_recent(&run->processes[0].recent[0], rows[i].count, 0);
            append_waits(&slot, 32, UINT64_MAX);
            run = read_next(run);
            recent = &run->processes[0].recent[0];
            const uint64_t oldest = 72 - RING + 1; /* that a ring holds for sure */
            assert_int_equal(recent->first, rows[i].count < oldest ? oldest : rows[i].count);
            assert_int_equal(recent->first + recent->count, 72);
        }
        run_data_free(run);
        rf_writer_destroy(writer);
    }
}

/* A loader that no table holds is "other"'s. */
static void a_loader_beyond_the_table(void **state)
{
    (void)state;
    for (uint32_t loader = RF_LOADER_CAPACITY - 1; loader <= RF_LOADER_CAPACITY; loader++) {
        char name[16];
        const struct rf_spec spec = {.slots = 2, .recent_waits = 8};
        const struct rf_process_static process = process_of(loader, loader);
        snprintf(name, sizeof name, "%u.dsrun", loader);
        struct rf_writer *writer = begin_file(name, &spec, &process);
        add_slot(writer, 0, loader, 1, NULL, &(struct wait_row){101 * SECOND, MS, 0});
        end_file(writer);
    }
    struct run_data *run = read_run();
    assert_int_equal(run->processes[0].loaders[0].index, RF_LOADER_CAPACITY - 1);
    assert_int_equal(run->processes[1].loaders[0].index, 0);
    run_data_free(run);
}

/* Sums of what each file may hold need not fit: "at least", and it is said. */
static void sums_that_are_at_least(void **state)
{
    (void)state;
    for (uint32_t place = 0; place < 3; place++) {
        const struct rf_spec spec = {.slots = 3, .recent_waits = 8};
        const struct rf_process_static process = process_of(1, 0);
        struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
        for (uint32_t i = 0; i < 2; i++) {
            add_slot(writer, i, 1, i, NULL, &(struct wait_row){101 * SECOND, MS, 1});
            uint64_t *block = rf_entry(writer, RF_SECTION_SLOTS, i);
            const struct rf_slot_layout *layout = &writer->slot_layout;
            if (place == 1)
                block[layout->counters_at + RF_COUNT_SAMPLES] = UINT64_C(1) << 63;
            if (place == 2)
                block[layout->stages_at + 2 * layout->stage_words + RF_COUNT_SAMPLES] = UINT64_C(1)
                                                                                        << 63;
        }
        end_file(writer);
        struct run_data *run = read_run();
        assert_int_equal(run->problems, place == 0 ? 0 : 1);
        if (place > 0)
            assert_string_equal(
                run->first_problem,
                "a.dsrun: the totals of loader 1 are too large: read them as \"at least\"");
        run_data_free(run);
        unlink(test_path(folder, "a.dsrun"));
    }
}

/* ---- processes of a run ---- */

static void processes_in_their_order(void **state)
{
    (void)state;
    static const struct {
        uint64_t pid, rank, opened_s;
    } rows[] = {{30, RF_UNKNOWN, 100}, {20, 1, 100}, {10, 1, 99}, {40, 0, 500},
                {5, RF_UNKNOWN, 100},  {7, 1, 100},  {8, 1, 100}};
    static const uint64_t order[] = {40, 10, 7, 8, 20, 5, 30};
    for (uint32_t i = 0; i < 7; i++) {
        char name[16];
        const struct rf_spec spec = {.slots = 0};
        struct rf_process_static process = process_of(rows[i].pid, rows[i].rank);
        process.opened_mono_ns = rows[i].opened_s * SECOND;
        snprintf(name, sizeof name, "%u.dsrun", i);
        end_file(begin_file(name, &spec, &process));
    }
    struct run_data *run = read_run();
    assert_int_equal(run->process_count, 7);
    assert_int_equal(run->files, 7);
    assert_false(run->has_launcher);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(run->processes[i].view.fixed.pid, order[i]);
    run_data_free(run);
}

static void make_device(struct rf_writer *writer, uint32_t index, const char *uuid)
{
    struct rf_gpu_static device = {.index = index};
    struct rf_gpu_writer gpu;
    snprintf(device.uuid, sizeof device.uuid, "%s", uuid);
    rf_gpu_attach(writer, index, &device, &gpu);
    struct rf_gpu_sample sample = rf_gpu_nothing_read();
    sample.time_ns = 200 * SECOND;
    rf_gpu_append(&gpu, &sample);
    rf_gpu_calling(&gpu, 201 * SECOND);
}

/* The launcher's devices are taken, whatever the names of the files are. */
static void the_launcher_is_read_first(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 0, .gpus = 2};
    struct rf_process_static process = process_of(1, 0);
    struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
    make_device(writer, 0, "GPU-a");
    set_word(writer, RF_PROCESS_GPU_STATE, RF_GPU_OK);
    end_file(writer);
    process.kind = RF_PROCESS_LAUNCHER;
    writer = begin_file("launcher.dsrun", &spec, &process);
    make_device(writer, 0, "GPU-l");
    make_device(writer, 1, "GPU-m");
    set_word(writer, RF_PROCESS_GPU_STATE, RF_GPU_ENDED);
    set_word(writer, RF_PROCESS_GPU_ERROR, 9);
    set_word(writer, RF_PROCESS_GPU_END, RF_GPU_END_SIGNAL);
    set_word(writer, RF_PROCESS_GPU_END_DETAIL, 11);
    end_file(writer);
    writer = begin_file("z.dsrun", &spec, &process); /* a second one is a process like others */
    end_file(writer);

    struct run_data *run = read_run();
    assert_int_equal(run->problems, 0);
    assert_true(run->has_launcher);
    assert_string_equal(run->launcher.file, "launcher.dsrun");
    assert_int_equal(run->process_count, 2);
    assert_int_equal(run->files, 3);
    assert_int_equal(run->gpu_count, 2);
    assert_string_equal(run->gpus[0].fixed.uuid, "GPU-l");
    assert_string_equal(run->gpus[1].fixed.uuid, "GPU-m");
    assert_int_equal(run->gpu_state, RF_GPU_ENDED);
    assert_int_equal(run->gpu_error, 9);
    assert_int_equal(run->gpu_end, RF_GPU_END_SIGNAL);
    assert_int_equal(run->gpu_end_detail, 11);
    assert_int_equal(run->command, RF_DEAD);
    run_data_free(run);
}

/* Who never sampled has no devices to show; who failed at once says why. */
static void samplers_that_never_sampled(void **state)
{
    (void)state;
    static const struct {
        uint64_t state, error;
        uint64_t shown; /* the error */
    } rows[] = {{RF_GPU_ABSENT, 0, 0}, {RF_GPU_ABSENT, 9, 9}, {RF_GPU_OK, 0, 0}};
    for (size_t i = 0; i < 3; i++) {
        const struct rf_spec spec = {.slots = 0, .gpus = 2};
        struct rf_process_static process = process_of(1, 0);
        process.kind = RF_PROCESS_LAUNCHER;
        struct rf_writer *writer = begin_file("launcher.dsrun", &spec, &process);
        make_device(writer, 1, "GPU-b");
        set_word(writer, RF_PROCESS_GPU_STATE, rows[i].state);
        set_word(writer, RF_PROCESS_GPU_ERROR, rows[i].error);
        end_file(writer);
        struct run_data *run = read_run();
        assert_int_equal(run->gpu_count, i == 0 ? 0 : 1);
        assert_int_equal(run->gpu_error, rows[i].shown);
        assert_int_equal(run->gpu_state, rows[i].state);
        run_data_free(run);
        unlink(test_path(folder, "launcher.dsrun"));
    }
    /* Nor has one without a place for any, whatever its words say. */
    const struct rf_spec spec = {.slots = 0};
    struct rf_process_static process = process_of(1, 0);
    process.kind = RF_PROCESS_LAUNCHER;
    struct rf_writer *writer = begin_file("launcher.dsrun", &spec, &process);
    set_word(writer, RF_PROCESS_GPU_STATE, RF_GPU_FAILED);
    set_word(writer, RF_PROCESS_GPU_ERROR, 9);
    end_file(writer);
    struct run_data *run = read_run();
    assert_true(run->gpu_count == 0 && run->gpu_error == 0 && run->gpu_state == RF_GPU_ABSENT);
    run_data_free(run);
}

/* The latest of all times in a file tells when its process was last seen. */
static void when_a_process_was_seen_last(void **state)
{
    (void)state;
    enum { CREATED, STAGE, HOST, WAIT, WAITING, GPU_LAST, GPU_CALL, TIMES };
    for (uint32_t latest = 0; latest < TIMES; latest++) {
        const struct rf_spec spec = {.slots = 2, .recent_waits = 8, .gpus = 1};
        struct rf_process_static process = process_of(1, 0);
        process.kind = RF_PROCESS_LAUNCHER;
        struct rf_writer *writer = begin_file("launcher.dsrun", &spec, &process);
        struct rf_header header = writer->header;
        header.created_mono_ns = latest == CREATED ? 900 * SECOND : 50 * SECOND;
        header.checksum = rf_checksum(&header);
        memcpy(writer->map, &header, sizeof header);
        set_word(writer, RF_PROCESS_STAGE_SINCE, latest == STAGE ? 900 * SECOND : 60 * SECOND);
        set_word(writer, RF_PROCESS_HOST_NS, latest == HOST ? 900 * SECOND : RF_UNKNOWN);
        const uint64_t end_ns = latest == WAIT ? 900 * SECOND : 70 * SECOND;
        struct rf_slot_writer slot;
        add_slot(writer, 0, 1, 1, NULL, &(struct wait_row){end_ns - MS, MS, 0});
        rf_slot_attach(writer, 1, &slot);
        rf_slot_assign(&slot, 2, 1);
        rf_slot_waiting(&slot, latest == WAITING ? 900 * SECOND : 80 * SECOND);
        struct rf_gpu_static device = {.uuid = "GPU-a"};
        struct rf_gpu_writer gpu;
        struct rf_gpu_sample sample = rf_gpu_nothing_read();
        rf_gpu_attach(writer, 0, &device, &gpu);
        sample.time_ns = latest == GPU_LAST ? 900 * SECOND : 90 * SECOND;
        rf_gpu_append(&gpu, &sample);
        rf_gpu_calling(&gpu, latest == GPU_CALL ? 900 * SECOND : 91 * SECOND);
        set_word(writer, RF_PROCESS_GPU_STATE, RF_GPU_OK);
        rf_writer_destroy(writer); /* not closed: that would be a time too */
        struct run_data *run = read_run();
        assert_int_equal(run->launcher.recorded_ns, 900 * SECOND);
        run_data_free(run);
        unlink(test_path(folder, "launcher.dsrun"));
    }
}

static void a_closed_file_was_written_at_its_end(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 0};
    const struct rf_process_static process = process_of(1, 0);
    struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
    rf_writer_mark_closed(writer);
    set_word(writer, RF_PROCESS_ENDED_MONO, UINT64_C(1) << 59);
    rf_writer_destroy(writer);
    struct run_data *run = read_run();
    assert_int_equal(run->processes[0].recorded_ns, UINT64_C(1) << 59);
    assert_int_equal(run->processes[0].liveness, RF_DEAD);
    run_data_free(run);
}

/* The command of a launcher: looked for only where it was started and has not ended. */
static void the_command_of_a_launcher(void **state)
{
    (void)state;
    static const struct {
        bool exit_known, started;
        enum rf_liveness command;
    } rows[] = {{false, true, RF_ALIVE}, {true, true, RF_DEAD}, {false, false, RF_DEAD}};
    for (size_t i = 0; i < 3; i++) {
        const struct rf_spec spec = {.slots = 0};
        struct rf_process_static process = process_of((uint64_t)getpid(), RF_UNKNOWN);
        process.kind = RF_PROCESS_LAUNCHER;
        process.start_ticks = rf_own_start_ticks();
        process.pid_namespace = rf_own_pid_namespace();
        struct rf_writer *writer = begin_file("launcher.dsrun", &spec, &process);
        set_word(writer, RF_PROCESS_EXIT_KNOWN, rows[i].exit_known);
        set_word(writer, RF_PROCESS_CHILD_PID, rows[i].started ? (uint64_t)getpid() : 0);
        set_word(writer, RF_PROCESS_CHILD_TICKS, process.start_ticks);
        rf_writer_destroy(writer);
        struct run_data *run = read_run();
        assert_int_equal(run->launcher.liveness, RF_ALIVE);
        assert_int_equal(run->command, rows[i].command);
        run_data_free(run);
        unlink(test_path(folder, "launcher.dsrun"));
    }
}

/* ---- workers ---- */

/* Who reads live stops at an entry that was never given: they are given in order. */
static void workers_in_their_order(void **state)
{
    (void)state;
    static const uint64_t workers[][2] = {{2, 1}, {1, 5}, {2, 0}, {1, 4}};
    static const uint64_t order[][2] = {{1, 4}, {1, 5}, {2, 0}, {2, 1}};
    const struct rf_spec spec = {.slots = 0, .workers = 6};
    const struct rf_process_static process = process_of(1, 0);
    struct rf_writer *writer = begin_file("a.dsrun", &spec, &process);
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_worker_layout layout;
    rf_worker_geometry(geometry);
    assert_true(rf_worker_layout_of(geometry, &layout));
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, i + (i > 1));
        entry[RF_WORKER_LOADER] = workers[i][0];
        entry[RF_WORKER_NUMBER] = workers[i][1];
        entry[RF_WORKER_GENERATION] = entry[RF_WORKER_COUNT] = 1;
        entry[layout.totals_at + layout.total_words + RF_TOTAL_COUNT] = 1;
    }
    end_file(writer);
    struct run_data *run = read_run();
    assert_int_equal(run->problems, 0);
    assert_int_equal(run->processes[0].worker_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(run->processes[0].workers[i].loader, order[i][0]);
        assert_int_equal(run->processes[0].workers[i].number, order[i][1]);
    }
    run_data_free(run);
    assert_int_equal(run_data_read_live(folder, &run), 0);
    assert_int_equal(run->problems, 0);
    assert_int_equal(run->processes[0].worker_count, 2);
    assert_int_equal(run->processes[0].workers[0].number, 5);
    assert_int_equal(run->processes[0].workers[1].number, 1);
    run_data_free(run);
}

#define TEST(name) cmocka_unit_test_setup(name, new_folder)

/* ---- whose waits stop the program ---- */

/* A thread that did something with a batch. */
struct trained {
    uint64_t thread;
    enum step_phase phase;
};

static void add_steps(struct rf_writer *writer, uint32_t index, const struct trained *trained)
{
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_steps_layout layout;
    rf_steps_geometry(geometry);
    assert_true(rf_steps_layout_of(geometry, &layout));
    uint64_t *entry = rf_entry(writer, RF_SECTION_STEPS, index);
    uint64_t *totals = entry + layout.totals_at + layout.total_words;
    entry[RF_STEPS_THREAD] = trained->thread;
    entry[RF_STEPS_IS_MAIN] = trained->thread == (uint64_t)getpid();
    totals[RF_STEP_TOTAL_COUNT] = entry[RF_STEPS_COUNT] = 1;
    totals[RF_STEP_TOTAL_BEGIN_NS] = 101 * SECOND;
    totals[RF_STEP_TOTAL_END_NS] = 102 * SECOND;
    totals[RF_STEP_TOTAL_TIMES + trained->phase] = 1;
    totals[RF_STEP_TOTAL_HOST_NS + trained->phase] = MS;
}

/* Whether the first loader's waits are taken for those of a thread beside the program. */
static void the_thread_that_trains_stops_the_program(void **state)
{
    (void)state;
    enum { T = 77, P = 78 };
    const uint64_t main = (uint64_t)getpid();
    const struct {
        struct trained trained[2];
        uint64_t first, second; /* threads that waited, each with a loader of its own; 0: none */
        uint64_t before;        /* that had the first's slot; 0: none */
        bool background;
    } rows[] = {
        {{{0}}, main, 0, 0, false},
        {{{main, STEP_BACKWARD}}, main, 0, 0, false},
        {{{0}}, T, 0, 0, true}, /* who knows what it does with them */
        {{{T, STEP_BACKWARD}}, T, 0, 0, false},
        {{{T, STEP_OPTIMIZER}}, T, 0, 0, false},
        {{{T, STEP_NO_BACKWARD}}, T, 0, 0, true},
        {{{T, STEP_BACKWARD}}, T, T, 0, false}, /* and validates */
        {{{main, STEP_NO_BACKWARD}, {T, STEP_BACKWARD}}, T, 0, 0, false},
        {{{main, STEP_BACKWARD}}, T, 0, 0, true},                  /* it fetches for the main one */
        {{{T, STEP_BACKWARD}}, P, 0, 0, true},                     /* it fetches for another */
        {{{T, STEP_BACKWARD}, {P, STEP_BACKWARD}}, T, 0, 0, true}, /* they may overlap */
        {{{T, STEP_BACKWARD}, {P, STEP_BACKWARD}}, T, P, 0, true},
        {{{main, STEP_BACKWARD}, {T, STEP_BACKWARD}}, T, 0, 0, true},
        {{{T, STEP_BACKWARD}}, T, P, 0, true},
        {{{T, STEP_BACKWARD}}, T, main, 0, true},
        {{{T, STEP_BACKWARD}}, T, 0, T, false},
        {{{T, STEP_BACKWARD}}, T, 0, P, true}, /* some of the waits are P's */
        {{{T, STEP_BACKWARD}}, T, 0, main, true},
        {{{0}}, main, 0, T, true},
        {{{0}}, 0, 0, 0, true}, /* threads for which there was no slot left */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[16];
        snprintf(name, sizeof name, "%02zu.dsrun", i);
        const struct rf_spec spec = {.slots = 2, .recent_waits = 8, .steps = 2};
        const struct rf_process_static process = process_of(main, i);
        struct rf_writer *writer = begin_file(name, &spec, &process);
        struct rf_slot_writer slot;
        rf_slot_attach(writer, 0, &slot);
        if (rows[i].before != 0)
            rf_slot_assign(&slot, 1, rows[i].before);
        add_slot(writer, 0, 1, rows[i].first, NULL, &(struct wait_row){101 * SECOND, MS, 0});
        if (rows[i].second != 0)
            add_slot(writer, 1, 2, rows[i].second, NULL, &(struct wait_row){102 * SECOND, MS, 0});
        for (uint32_t k = 0; k < 2 && rows[i].trained[k].thread != 0; k++)
            add_steps(writer, k, &rows[i].trained[k]);
        end_file(writer);
    }
    struct run_data *run = read_run();
    assert_int_equal(run->problems, 0);
    assert_int_equal(run->process_count, sizeof rows / sizeof *rows);
    for (size_t i = 0; i < run->process_count; i++) {
        if (run->processes[i].loaders[0].background != rows[i].background)
            fail_msg("row %zu", i);
    }
    run_data_free(run);
}

int main(void)
{
    unsetenv("DATASTALL_RECORD_ON");
    const struct CMUnitTest tests[] = {
        TEST(slots_of_a_loader_are_one),
        TEST(the_thread_that_trains_stops_the_program),
        TEST(the_slowest_of_many_slots),
        TEST(more_devices_and_threads_than_are_kept),
        TEST(waits_under_way),
        TEST(where_a_run_is),
        TEST(texts_without_an_end),
        TEST(waits_since_the_reading_before),
        TEST(readings_of_several_slots),
        TEST(stalls_that_are_told_later),
        TEST(a_loader_beyond_the_table),
        TEST(sums_that_are_at_least),
        TEST(processes_in_their_order),
        TEST(the_launcher_is_read_first),
        TEST(samplers_that_never_sampled),
        TEST(when_a_process_was_seen_last),
        TEST(a_closed_file_was_written_at_its_end),
        TEST(the_command_of_a_launcher),
        TEST(workers_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
