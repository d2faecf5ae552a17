/* SPDX-License-Identifier: Apache-2.0 */
/* Handles of datastall.h: opening, loaders, stages, slots, NULLs, and structs of other versions. */
#include "cmocka_all.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/monitor.h"
#include "run/reader.h"
#include "run/run_data.h"
#include "support.h"

#define MS UINT64_C(1000000)

static datastall_monitor *open_monitor(uint32_t flags, uint32_t max_slots)
{
    datastall_options options = DATASTALL_OPTIONS_INIT;
    datastall_monitor *monitor;
    options.flags = flags;
    options.max_slots = max_slots;
    assert_int_equal(datastall_open(&options, &monitor), 0);
    return monitor;
}

static datastall_statistics figures_of(const datastall_loader *loader)
{
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    assert_int_equal(datastall_loader_statistics(loader, &s), 0);
    return s;
}

static datastall_statistics figures_of_all(const datastall_monitor *monitor)
{
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    assert_int_equal(datastall_monitor_statistics(monitor, &s), 0);
    return s;
}

static datastall_lost lost_of(const datastall_monitor *monitor)
{
    datastall_lost lost = DATASTALL_LOST_INIT;
    assert_int_equal(datastall_lost_get(monitor, &lost), 0);
    return lost;
}

static void put(datastall_loader *loader, uint64_t wait_ns, const datastall_batch *batch)
{
    datastall_wait_record(loader, datastall_clock_ns(), wait_ns, DATASTALL_WAIT_STEADY, batch);
}

/* ---- errors ---- */

static void every_error_has_its_sentence(void **state)
{
    (void)state;
    int codes = 0;
#define CHECK_ERROR(name, value, text)                    \
    assert_int_equal(DATASTALL_##name, value);            \
    assert_string_equal(datastall_strerror(value), text); \
    codes++;
    DATASTALL_ERRORS(CHECK_ERROR)
#undef CHECK_ERROR
    assert_int_equal(codes, 15);
    assert_non_null(datastall_strerror(1));
    assert_string_equal(datastall_strerror(-1000), "unknown error");
    assert_string_equal(datastall_strerror(INT_MIN), "unknown error");
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", DATASTALL_VERSION_MAJOR, DATASTALL_VERSION_MINOR,
             DATASTALL_VERSION_PATCH);
    assert_string_equal(datastall_version(), version);
    assert_string_equal(DATASTALL_VERSION, version);
}

static void refused_options_say_why(void **state)
{
    (void)state;
    datastall_monitor *monitor = (void *)1;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    assert_int_equal(datastall_open(NULL, NULL), DATASTALL_ERR_ARGUMENT);
    options.max_slots = 257;
    assert_int_equal(datastall_open(&options, &monitor), DATASTALL_ERR_ARGUMENT);
    assert_null(monitor);
    assert_non_null(strstr(datastall_last_error(), "max_slots"));
    options = (datastall_options)DATASTALL_OPTIONS_INIT;
    options.recent_waits = 65537;
    monitor = (void *)1;
    assert_int_equal(datastall_open(&options, &monitor), DATASTALL_ERR_ARGUMENT);
    assert_null(monitor);
    assert_non_null(strstr(datastall_last_error(), "recent_waits"));
    options = (datastall_options)DATASTALL_OPTIONS_INIT;
    options.recent_gpu_samples = 65537;
    assert_int_equal(datastall_open(&options, &monitor), DATASTALL_ERR_ARGUMENT);
    options = (datastall_options)DATASTALL_OPTIONS_INIT;
    options.flags = 0x12;
    assert_int_equal(datastall_open(&options, &monitor), DATASTALL_ERR_ARGUMENT);
    assert_non_null(strstr(datastall_last_error(), "0x12"));
    options = (datastall_options)DATASTALL_OPTIONS_INIT;
    options.reserved = 1;
    assert_int_equal(datastall_open(&options, &monitor), DATASTALL_ERR_ARGUMENT);
    monitor = open_monitor(DATASTALL_MEMORY_ONLY, 1);
    assert_int_equal(datastall_loader_register(monitor, NULL, NULL), DATASTALL_ERR_ARGUMENT);
    assert_int_equal(datastall_gpu_sampling_start(monitor, 0.01), DATASTALL_ERR_ARGUMENT);
    assert_int_equal(datastall_gpu_sampling_start(monitor, NAN), DATASTALL_ERR_ARGUMENT);
    datastall_close(monitor);
}

/* ---- structs of other versions ---- */

/* An exact copy on the heap, so that a sanitizer sees a read beyond struct_size. */
static void *cut(const void *whole, size_t size)
{
    char *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, whole, size);
    memcpy(copy, &size, sizeof size);
    return copy;
}

static void older_structs_work(void **state)
{
    (void)state;
    datastall_options whole = DATASTALL_OPTIONS_INIT;
    whole.flags = DATASTALL_MEMORY_ONLY;
    datastall_options *options = cut(&whole, offsetof(datastall_options, max_slots));
    datastall_monitor *monitor;
    assert_int_equal(datastall_open(options, &monitor), 0);
    free(options);

    datastall_loader_options all = DATASTALL_LOADER_OPTIONS_INIT;
    all.name = "old";
    datastall_loader_options *some = cut(&all, offsetof(datastall_loader_options, site));
    datastall_loader *loader;
    assert_int_equal(datastall_loader_register(monitor, some, &loader), 0);
    free(some);

    datastall_batch full = DATASTALL_BATCH_INIT;
    full.samples = 3;
    datastall_batch *batch = cut(&full, offsetof(datastall_batch, tokens));
    put(loader, 2 * MS, batch);
    free(batch);

    const size_t size = offsetof(datastall_statistics, steady);
    unsigned char *memory = malloc(sizeof(datastall_statistics));
    assert_non_null(memory);
    memset(memory, 0xAA, sizeof(datastall_statistics));
    memcpy(memory, &size, sizeof size);
    datastall_statistics *old = (datastall_statistics *)(void *)memory;
    assert_int_equal(datastall_loader_statistics(loader, old), 0);
    assert_int_equal(old->struct_size, size);
    assert_int_equal(old->batches, 1);
    for (size_t i = size; i < sizeof(datastall_statistics); i++)
        assert_int_equal(memory[i], 0xAA);
    free(memory);

    datastall_lost before = DATASTALL_LOST_INIT;
    datastall_lost *some_lost = cut(&before, offsetof(datastall_lost, impossible_times));
    uint64_t merged_other;
    assert_int_equal(datastall_lost_get(monitor, some_lost), 0);
    memcpy(&merged_other, (char *)some_lost + offsetof(datastall_lost, merged_other), 8);
    assert_int_equal(merged_other, 0);
    free(some_lost);

    datastall_statistics s = figures_of(loader);
    assert_int_equal(s.samples, 3);
    assert_true(s.tokens == DATASTALL_UNKNOWN);
    datastall_close(monitor);
}

static void newer_structs_work(void **state)
{
    (void)state;
    struct {
        datastall_options known;
        char more[64];
    } options = {DATASTALL_OPTIONS_INIT, {0}};
    struct {
        datastall_batch known;
        char more[64];
    } batch = {DATASTALL_BATCH_INIT, {0}};
    struct {
        datastall_statistics known;
        char more[64];
    } statistics;
    datastall_monitor *monitor;
    options.known.struct_size = sizeof options;
    options.known.flags = DATASTALL_MEMORY_ONLY;
    /* What only a newer version knows must not be asked for; zero and unknown ask for nothing. */
    options.more[9] = 1;
    assert_int_equal(datastall_open(&options.known, &monitor), DATASTALL_ERR_ARGUMENT);
    assert_non_null(strstr(datastall_last_error(), "does not know"));
    memset(options.more, 0xff, sizeof options.more / 2);
    options.more[9] = options.more[63] = 0;
    assert_int_equal(datastall_open(&options.known, &monitor), 0);
    datastall_loader *loader = test_loader(monitor, "new");
    batch.known.struct_size = sizeof batch;
    batch.known.samples = 9;
    batch.known.tokens = 90;
    memset(batch.more, 0x5A, sizeof batch.more);
    put(loader, MS, &batch.known);
    memset(&statistics, 0xAA, sizeof statistics);
    statistics.known.struct_size = sizeof statistics;
    assert_int_equal(datastall_monitor_statistics(monitor, &statistics.known), 0);
    assert_int_equal(statistics.known.struct_size, sizeof statistics);
    assert_int_equal(statistics.known.samples, 9);
    assert_int_equal(statistics.known.tokens, 90);
    for (size_t i = 0; i < sizeof statistics.more; i++)
        assert_int_equal((unsigned char)statistics.more[i], 0xAA);
    datastall_close(monitor);
}

/* What cannot be a size: nobody set it, or it is what stood on the stack. */
static const size_t no_sizes[] = {0, 1, sizeof(size_t), 4097, SIZE_MAX};

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(DATASTALL_MEMORY_ONLY, 1), *other = (void *)1;
    datastall_loader *l = test_loader(m, "l");
    for (size_t i = 0; i < sizeof no_sizes / sizeof *no_sizes; i++) {
        datastall_options options = DATASTALL_OPTIONS_INIT;
        datastall_loader_options loader_options = DATASTALL_LOADER_OPTIONS_INIT;
        datastall_gpu_monitor_options gpu_options = DATASTALL_GPU_MONITOR_OPTIONS_INIT;
        datastall_statistics s = DATASTALL_STATISTICS_INIT;
        datastall_lost lost = DATASTALL_LOST_INIT;
        datastall_loader *none = (void *)1;
        datastall_gpu_monitor *gpus = (void *)1;
        options.struct_size = loader_options.struct_size = gpu_options.struct_size = no_sizes[i];
        s.struct_size = lost.struct_size = no_sizes[i];
        assert_int_equal(datastall_open(&options, &other), DATASTALL_ERR_ARGUMENT);
        assert_null(other);
        assert_non_null(strstr(datastall_last_error(), "struct_size"));
        assert_int_equal(datastall_loader_register(m, &loader_options, &none),
                         DATASTALL_ERR_ARGUMENT);
        assert_null(none);
        assert_int_equal(datastall_gpu_monitor_open(&gpu_options, &gpus), DATASTALL_ERR_ARGUMENT);
        assert_null(gpus);
        assert_int_equal(datastall_loader_statistics(l, &s), DATASTALL_ERR_ARGUMENT);
        assert_int_equal(datastall_lost_get(m, &lost), DATASTALL_ERR_ARGUMENT);
        assert_true(s.batches == DATASTALL_UNKNOWN && lost.contention == DATASTALL_UNKNOWN);
        /* A wait cannot fail: it counts without the batch that is none. */
        datastall_batch batch = DATASTALL_BATCH_INIT;
        batch.struct_size = no_sizes[i];
        batch.samples = 3;
        put(l, MS, &batch);
    }
    const uint64_t tried = sizeof no_sizes / sizeof *no_sizes;
    assert_int_equal(figures_of(l).batches, tried);
    assert_int_equal(figures_of(l).samples_batches, 0);
    assert_int_equal(lost_of(m).unknown_arguments, tried);
    datastall_close(m);
}

static void unknown_flags_and_sources_are_refused(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(DATASTALL_MEMORY_ONLY, 1);
    datastall_loader *l = (void *)1;
    datastall_gpu_monitor *gpus;
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    options.flags = DATASTALL_LOADER_PIN_MEMORY | DATASTALL_LOADER_PERSISTENT_WORKERS;
    assert_int_equal(datastall_loader_register(m, &options, &l), 0);
    options.flags |= 0x100000;
    assert_int_equal(datastall_loader_register(m, &options, &l), DATASTALL_ERR_ARGUMENT);
    assert_null(l);
    assert_non_null(strstr(datastall_last_error(), "0x100000"));
    options = (datastall_loader_options)DATASTALL_LOADER_OPTIONS_INIT;
    options.source = 4;
    assert_int_equal(datastall_loader_register(m, &options, &l), DATASTALL_ERR_ARGUMENT);
    datastall_gpu_monitor_options gpu_options = DATASTALL_GPU_MONITOR_OPTIONS_INIT;
    gpu_options.flags = 1;
    assert_int_equal(datastall_gpu_monitor_open(&gpu_options, &gpus), DATASTALL_ERR_ARGUMENT);
    datastall_close(m);
}

/* ---- loaders ---- */

static void loader_name(const datastall_monitor *monitor, uint64_t index, char name[64])
{
    struct run_reader *reader;
    struct rf_loader_entry entry = {0};
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    assert_true(run_reader_loader(reader, index, &entry));
    memcpy(name, entry.name, sizeof entry.name);
    run_reader_close(reader);
}

static datastall_loader *register_loader(datastall_monitor *monitor, const char *name,
                                         const char *site, const char *type, const char *identity)
{
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    datastall_loader *loader;
    options.name = name;
    options.site = site;
    options.dataset_type = type;
    options.identity = identity;
    assert_int_equal(datastall_loader_register(monitor, &options, &loader), 0);
    assert_non_null(loader);
    return loader;
}

static void equal_identity_is_one_loader(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 4);
    datastall_loader *a = register_loader(m, "a", "x.py:1", "T", NULL);
    assert_ptr_equal(a, register_loader(m, "a", "x.py:1", "T", NULL));
    datastall_loader *site = register_loader(m, "a", "x.py:2", "T", NULL);
    datastall_loader *type = register_loader(m, "a", "x.py:1", "U", NULL);
    assert_ptr_not_equal(a, site);
    assert_ptr_not_equal(a, type);
    assert_ptr_not_equal(site, type);
    datastall_loader *one = register_loader(m, "b", "x.py:1", "T", "same");
    assert_ptr_equal(one, register_loader(m, "c", "y.py:1", "V", "same"));
    char name[64];
    const char *const expected[] = {"other", "a", "a (2)", "a (3)", "b"};
    for (uint64_t i = 0; i < 5; i++) {
        loader_name(m, i, name);
        assert_string_equal(name, expected[i]);
    }
    datastall_close(m);
}

static void a_loader_without_a_name_gets_one(void **state)
{
    (void)state;
    char name[64], long_name[101] = "";
    memset(long_name, 'n', 100);
    datastall_monitor *m = open_monitor(0, 4);
    register_loader(m, NULL, NULL, NULL, "1");
    register_loader(m, NULL, "t.py:9", NULL, "2");
    datastall_stage_set(m, "validate", NULL);
    register_loader(m, NULL, "t.py:9", NULL, "3");
    register_loader(m, long_name, NULL, NULL, "4");
    register_loader(m, long_name, NULL, NULL, "5");
    loader_name(m, 1, name);
    assert_string_equal(name, "loader");
    loader_name(m, 2, name);
    assert_string_equal(name, "t.py:9");
    loader_name(m, 3, name);
    assert_string_equal(name, "validate");
    loader_name(m, 4, name);
    assert_int_equal(strlen(name), 63);
    loader_name(m, 5, name);
    assert_non_null(strstr(name, " (2)"));
    datastall_close(m);
}

static void after_32_loaders_the_rest_share_other(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 64);
    datastall_loader *loaders[40];
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "l%d", i);
        loaders[i] = test_loader(m, name);
        for (int k = 0; k <= i; k++)
            put(loaders[i], MS, NULL);
    }
    for (int i = 0; i < 32; i++) {
        assert_int_equal(figures_of(loaders[i]).batches, i + 1);
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(loaders[i], loaders[k]);
    }
    for (int i = 33; i < 40; i++)
        assert_ptr_equal(loaders[i], loaders[32]);
    assert_int_equal(figures_of(loaders[32]).batches, 33 + 34 + 35 + 36 + 37 + 38 + 39 + 40);
    assert_int_equal(figures_of_all(m).batches, 40 * 41 / 2);
    char name[64];
    loader_name(m, 0, name);
    assert_string_equal(name, "other");
    assert_true(lost_of(m).merged_other > 0);
    assert_ptr_equal(test_loader(m, "l7"), loaders[7]); /* the known ones stay known */
    datastall_close(m);
}

static void several_monitors_at_once(void **state)
{
    (void)state;
    datastall_monitor *m[3] = {open_monitor(0, 2), open_monitor(DATASTALL_MEMORY_ONLY, 2),
                               open_monitor(0, 2)};
    datastall_loader *l[3];
    for (int i = 0; i < 3; i++)
        l[i] = test_loader(m[i], "same name");
    for (int k = 0; k < 300; k++) {
        for (int i = 0; i <= k % 3; i++)
            put(l[i], MS, NULL);
    }
    assert_string_not_equal(datastall_run_file(m[0]), datastall_run_file(m[2]));
    assert_int_equal(figures_of_all(m[0]).batches, 300);
    assert_int_equal(figures_of_all(m[1]).batches, 200);
    datastall_close(m[1]);
    assert_int_equal(figures_of(l[2]).batches, 100);
    datastall_close(m[0]);
    put(l[2], MS, NULL);
    assert_int_equal(figures_of(l[2]).batches, 101);
    datastall_close(m[2]);
}

/* ---- stages ---- */

static void read_process(const char *path, struct rf_process_view *view)
{
    struct run_reader *reader;
    assert_int_equal(run_reader_open(path, &reader), 0);
    assert_true(run_reader_process(reader, view));
    run_reader_close(reader);
}

static uint64_t stage_batches(const datastall_monitor *monitor, const char *wanted)
{
    struct run_reader *reader;
    struct rf_stage_entry entry;
    struct rf_slot_view view;
    uint64_t batches = 0;
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    assert_int_equal(run_reader_slot(reader, 0, RF_PART_ALL, &view), RF_VIEW_OK);
    for (uint32_t i = 1; i < RF_STAGE_CAPACITY; i++) {
        if (run_reader_stage(reader, i, &entry) && strcmp(entry.name, wanted) == 0)
            batches += rf_view_stage(&view, i)[RF_COUNT_BATCHES];
    }
    rf_slot_view_free(&view);
    run_reader_close(reader);
    return batches;
}

static void a_wait_belongs_to_the_stage_at_its_end(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 2);
    datastall_loader *l = test_loader(m, "l");
    const char *previous = NULL;
    put(l, MS, NULL);
    assert_int_equal(datastall_stage_set(m, "train", &previous), 0);
    assert_string_equal(previous, "");
    datastall_wait wait = datastall_wait_begin(l);
    assert_int_equal(datastall_stage_set(m, "validate", &previous), 0);
    assert_string_equal(previous, "train");
    datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, NULL);
    datastall_stage_set(m, previous, &previous);
    assert_string_equal(previous, "validate");
    put(l, MS, NULL);
    put(l, MS, NULL);
    datastall_stage_set(m, NULL, &previous);
    assert_string_equal(previous, "train");
    put(l, MS, NULL);
    assert_int_equal(stage_batches(m, "train"), 2);
    assert_int_equal(stage_batches(m, "validate"), 1);
    assert_int_equal(figures_of(l).batches, 5);
    datastall_close(m);
}

static void after_64_stages_the_rest_share_other(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 2);
    datastall_loader *l = test_loader(m, "l");
    const char *previous;
    char name[128];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 70; i++) {
            snprintf(name, sizeof name, "stage %d", i);
            assert_int_equal(datastall_stage_set(m, name, NULL), 0);
            put(l, MS, NULL);
        }
    }
    datastall_stage_set(m, "stage 69", &previous);
    assert_string_equal(previous, "other");
    assert_int_equal(stage_batches(m, "stage 0"), 2);
    assert_int_equal(stage_batches(m, "stage 63"), 2);
    assert_int_equal(stage_batches(m, "stage 64"), 0);
    assert_int_equal(stage_batches(m, "other"), 12);
    datastall_close(m);

    m = open_monitor(DATASTALL_MEMORY_ONLY, 1);
    memset(name, 's', sizeof name);
    name[100] = '\0';
    datastall_stage_set(m, name, NULL);
    datastall_stage_set(m, "", &previous);
    assert_int_equal(strlen(previous), 63);
    datastall_close(m);
}

static void stage_times_and_entries(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 2);
    char path[PATH_MAX];
    struct rf_process_view view;
    snprintf(path, sizeof path, "%s", datastall_run_file(m));
    uint64_t begin = datastall_clock_ns();
    datastall_stage_set(m, "one", NULL);
    usleep(20000);
    datastall_stage_set(m, "two", NULL);
    read_process(path, &view);
    assert_int_equal(view.words[RF_PROCESS_STATE], RF_STATE_OPEN);
    assert_int_equal(view.words[RF_PROCESS_STAGE], 2);
    usleep(10000);
    datastall_close(m);
    uint64_t whole = datastall_clock_ns() - begin;
    read_process(path, &view);
    assert_int_equal(view.words[RF_PROCESS_STATE], RF_STATE_CLOSED);
    assert_in_range(view.words[RF_PROCESS_ENDED_MONO], begin, datastall_clock_ns());
    assert_in_range(view.words[RF_PROCESS_STAGE_NS + 1], 20 * MS, whole);
    assert_in_range(view.words[RF_PROCESS_STAGE_NS + 2], 10 * MS, whole);
    assert_int_equal(view.words[RF_PROCESS_STAGE_ENTRIES + 1], 1);
    assert_int_equal(view.words[RF_PROCESS_STAGE_ENTRIES + 2], 1); /* closing is no entry */
}

/* ---- the file ---- */

static void the_file_says_who_wrote_it(void **state)
{
    (void)state;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    datastall_monitor *m;
    struct rf_process_view view;
    options.command = "python train.py";
    options.run_name = "name";
    setenv("SLURM_PROCID", "5", 1);
    setenv("LOCAL_RANK", "1", 1);
    setenv("WORLD_SIZE", "8", 1);
    assert_int_equal(datastall_open(&options, &m), 0);
    read_process(datastall_run_file(m), &view);
    assert_int_equal(view.fixed.pid, getpid());
    assert_int_equal(view.fixed.parent_pid, getppid());
    assert_int_equal(view.fixed.rank, 5);
    assert_int_equal(view.fixed.local_rank, 1);
    assert_int_equal(view.fixed.world_size, 8);
    assert_string_equal(view.fixed.command, "python train.py");
    assert_true(view.fixed.process_start_mono_ns < view.fixed.opened_mono_ns);
    datastall_close(m);
    setenv("RANK", "0", 1); /* the first of the list */
    m = open_monitor(0, 1);
    read_process(datastall_run_file(m), &view);
    assert_int_equal(view.fixed.rank, 0);
    datastall_close(m);
    setenv("RANK", "two", 1);
    unsetenv("SLURM_PROCID");
    m = open_monitor(0, 1);
    read_process(datastall_run_file(m), &view);
    assert_true(view.fixed.rank == RF_UNKNOWN);
    datastall_close(m);
    unsetenv("RANK");
}

static void the_wait_under_way_is_visible(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 1);
    datastall_loader *l = test_loader(m, "l");
    struct run_reader *reader;
    struct rf_slot_view view;
    put(l, MS, NULL);
    assert_int_equal(run_reader_open(datastall_run_file(m), &reader), 0);
    datastall_wait wait = datastall_wait_begin(l);
    assert_int_equal(run_reader_slot(reader, 100000, RF_PART_ALL, &view), RF_VIEW_UNUSED);
    assert_int_equal(reader->problems, 0);
    assert_int_equal(run_reader_slot(reader, 0, RF_PART_ALL, &view), RF_VIEW_OK);
    assert_int_equal(view.waiting_ns, wait.begin_ns);
    rf_slot_view_free(&view);
    datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, NULL);
    assert_int_equal(run_reader_slot(reader, 0, RF_PART_ALL, &view), RF_VIEW_OK);
    assert_int_equal(view.waiting_ns, 0);
    rf_slot_view_free(&view);
    run_reader_close(reader);
    datastall_close(m);
}

static uint64_t shown_wait(const datastall_monitor *monitor, uint64_t slot)
{
    struct run_reader *reader;
    struct rf_slot_view view;
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    assert_int_equal(run_reader_slot(reader, slot, RF_PART_ALL, &view), RF_VIEW_OK);
    const uint64_t waiting_ns = view.waiting_ns;
    rf_slot_view_free(&view);
    run_reader_close(reader);
    return waiting_ns;
}

static void a_cancelled_wait_was_none(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 2);
    datastall_loader *l = test_loader(m, "l");
    datastall_wait wait = datastall_wait_begin(l);
    assert_true(shown_wait(m, 0) != 0);
    datastall_wait_cancel(&wait);
    assert_int_equal(shown_wait(m, 0), 0);
    datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, NULL); /* over: nothing */
    datastall_wait_cancel(&wait);
    /* One inside another: the inner one shows, and stays when the outer one is cancelled. */
    datastall_wait outer = datastall_wait_begin(l), inner = datastall_wait_begin(l);
    datastall_wait_cancel(&outer);
    assert_int_equal(shown_wait(m, 0), inner.begin_ns);
    datastall_wait_end(&inner, DATASTALL_WAIT_STEADY, NULL);
    assert_int_equal(shown_wait(m, 0), 0);
    assert_int_equal(figures_of(l).batches, 1);
    datastall_close(m);
}

static void *begin_and_forget(void *loader)
{
    datastall_wait_begin(loader);
    return NULL;
}

/* It would be a stall that grows until the end of time. */
static void a_forgotten_wait_does_not_show_for_ever(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 4), *other = open_monitor(0, 1);
    datastall_loader *a = test_loader(m, "a"), *b = test_loader(m, "b");
    datastall_loader *elsewhere = test_loader(other, "c");
    pthread_t thread;
    begin_and_forget(a);
    const uint64_t first = shown_wait(m, 0);
    assert_true(first != 0);
    begin_and_forget(a); /* the next one on the same loader */
    assert_true(shown_wait(m, 0) > first);
    begin_and_forget(elsewhere); /* another monitor knows nothing of this one */
    begin_and_forget(a);
    begin_and_forget(b); /* the next one on another */
    assert_int_equal(shown_wait(m, 0), 0);
    assert_true(shown_wait(m, 1) != 0);
    put(b, MS, NULL); /* one that is recorded afterwards */
    assert_int_equal(shown_wait(m, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, begin_and_forget, a), 0);
    pthread_join(thread, NULL); /* the end of its thread */
    assert_int_equal(shown_wait(m, 2), 0);
    assert_int_equal(figures_of_all(m).batches, 1);
    char path[PATH_MAX];
    struct run_reader *reader;
    struct rf_slot_view view;
    begin_and_forget(a); /* the end of the monitor */
    snprintf(path, sizeof path, "%s", datastall_run_file(m));
    datastall_close(m);
    assert_int_equal(run_reader_open(path, &reader), 0);
    assert_int_equal(run_reader_slot(reader, 0, RF_PART_ALL, &view), RF_VIEW_OK);
    assert_int_equal(view.waiting_ns, 0);
    rf_slot_view_free(&view);
    run_reader_close(reader);
    datastall_close(other);
}

/* Without a launcher: $DATASTALL_DIR, one folder per process, private. */
static void in_a_folder_of_its_own(void *context)
{
    (void)context;
    const char *base = test_path(test_folder(), "a/b");
    char first[PATH_MAX], folder[PATH_MAX];
    struct stat status;
    unsetenv("DATASTALL_RUN_DIR");
    setenv("DATASTALL_DIR", base, 1);
    datastall_options options = DATASTALL_OPTIONS_INIT;
    options.run_name = "my/run";
    datastall_monitor *m, *other;
    CHECK(datastall_open(&options, &m) == 0, "open");
    snprintf(first, sizeof first, "%s", datastall_run_file(m));
    CHECK(strncmp(first, base, strlen(base)) == 0, "%s is not in %s", first, base);
    CHECK(strstr(first, "-my_run/") != NULL, "%s", first);
    CHECK(stat(first, &status) == 0 && (status.st_mode & 07777) == 0600, "%o", status.st_mode);
    CHECK(status.st_size <= 8 << 20, "%lld bytes", (long long)status.st_size);
    snprintf(folder, sizeof folder, "%s", first);
    *strrchr(folder, '/') = '\0';
    CHECK(stat(folder, &status) == 0 && (status.st_mode & 07777) == 0700, "%o", status.st_mode);
    CHECK(datastall_open(NULL, &other) == 0, "open");
    CHECK(strncmp(datastall_run_file(other), folder, strlen(folder)) == 0, "one run per process");
    datastall_close(m);
    datastall_close(other);
    CHECK(stat(first, &status) == 0, "the file stays");
}

static void a_run_has_a_folder(void **state)
{
    (void)state;
    assert_int_equal(test_in_child(in_a_folder_of_its_own, NULL), 0);
}

/* ---- slots ---- */

static void *record_one(void *loader)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.samples = 3;
    put(loader, 2 * MS, &batch);
    return NULL;
}

static uint64_t used_slots(const datastall_monitor *monitor)
{
    struct run_reader *reader;
    struct rf_slot_view view;
    uint64_t used = 0;
    assert_int_equal(run_reader_open(datastall_run_file(monitor), &reader), 0);
    for (uint64_t i = 0; i < run_reader_count(reader, RF_SECTION_SLOTS); i++) {
        enum rf_view_status status = run_reader_slot(reader, i, RF_PART_ALL, &view);
        if (status == RF_VIEW_UNUSED)
            continue;
        assert_int_equal(status, RF_VIEW_OK);
        used++;
        rf_slot_view_free(&view);
    }
    run_reader_close(reader);
    return used;
}

static void a_thread_per_epoch_uses_one_slot(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 4);
    datastall_loader *l = test_loader(m, "l");
    for (int i = 0; i < 1000; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, record_one, l), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    datastall_statistics s = figures_of(l);
    assert_int_equal(s.batches, 1000);
    assert_int_equal(s.samples, 3000);
    assert_int_equal(s.steady.sum_ns, 2000 * MS);
    assert_int_equal(used_slots(m), 1);
    assert_int_equal(lost_of(m).merged_other, 0);
    datastall_close(m);
}

/* A thread that consumes one loader on two devices: each has its own part of the stalls. */
static void one_loader_on_two_devices(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 4);
    datastall_loader *l = test_loader(m, "l");
    char folder[PATH_MAX];
    struct run_data *run;
    snprintf(folder, sizeof folder, "%s", datastall_run_file(m));
    *strrchr(folder, '/') = '\0';
    for (int i = 0; i < 12; i++) {
        const int device = i % 3 == 0 ? 0 : 1;
        unsigned char uuid[16];
        const uint64_t wait_ns = device == 0 ? 10 * MS : 20 * MS;
        const struct stall_bounds stall = {wait_ns / 4, wait_ns / 2};
        memset(uuid, 0xb0 + device, sizeof uuid);
        struct monitor_slot *slot = monitor_slot_on_device(l, device);
        assert_non_null(slot);
        rf_slot_set_gpu(&slot->writer, uuid);
        monitor_wait_record(l, datastall_clock_ns(), wait_ns, DATASTALL_WAIT_STEADY, NULL, &stall,
                            NULL);
    }
    assert_int_equal(run_data_read(folder, &run), 0);
    const struct run_loader *loader = NULL;
    for (uint32_t i = 0; i < run->process_count; i++) {
        if (strcmp(run->processes[i].file, strrchr(datastall_run_file(m), '/') + 1) == 0)
            loader = &run->processes[i].loaders[0];
    }
    assert_non_null(loader);
    assert_int_equal(loader->gpu_count, 2);
    assert_int_equal(loader->threads, 1);
    for (uint32_t i = 0; i < 2; i++) {
        const struct run_loader_gpu *device = &loader->gpus[i];
        const uint64_t ns = device->uuid[0] == 0xb0 ? 4 * 10 * MS : 8 * 20 * MS;
        assert_int_equal(device->stall.waiting_ns, ns);
        assert_int_equal(device->stall.known_ns, ns);
        assert_int_equal(device->stall.lower_ns, ns / 4);
        assert_int_equal(device->stall.upper_ns, ns / 2);
    }
    run_data_free(run);
    datastall_close(m);
}

#define MONITORS 3
#define LOADERS 32

/* After its first wait on a loader a thread takes no lock, however the loaders' numbers fall. */
static void warm_waits_take_no_lock(void **state)
{
    (void)state;
    datastall_monitor *m[MONITORS];
    datastall_loader *l[MONITORS][LOADERS];
    char name[32];
    for (int i = 0; i < MONITORS; i++) {
        m[i] = open_monitor(DATASTALL_MEMORY_ONLY, LOADERS);
        for (int k = 0; k < LOADERS; k++) {
            snprintf(name, sizeof name, "loader %d", k);
            l[i][k] = test_loader(m[i], name);
        }
    }
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < MONITORS * LOADERS; i++)
            put(l[i % MONITORS][i / MONITORS], MS, NULL);
    }
    for (int i = 0; i < MONITORS; i++) {
        /* One for each loader; and as much again, for the table may have been full once. */
        assert_in_range(m[i]->claims, LOADERS, 2 * LOADERS);
        assert_int_equal(figures_of_all(m[i]).batches, 1000 * LOADERS);
        assert_int_equal(lost_of(m[i]).merged_other, 0);
        datastall_close(m[i]);
    }
}

/* Also in a thread that has seen the loaders of many monitors that are closed. */
static void closed_monitors_are_not_remembered(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++) {
        datastall_monitor *m = open_monitor(DATASTALL_MEMORY_ONLY, 2);
        datastall_loader *a = test_loader(m, "a"), *b = test_loader(m, "b");
        for (int k = 0; k < 100; k++) {
            put(a, MS, NULL);
            put(b, MS, NULL);
        }
        assert_in_range(m->claims, 2, 4);
        datastall_close(m);
    }
}

#define CROWD 6
#define CROWD_WAITS 20000

static pthread_barrier_t crowd_barrier;

static void *record_many(void *loader)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.samples = 2;
    record_one(loader); /* claims the slot */
    pthread_barrier_wait(&crowd_barrier);
    for (int i = 1; i < CROWD_WAITS; i++)
        put(loader, MS, &batch);
    pthread_barrier_wait(&crowd_barrier); /* a thread that ends would give its slot away */
    return NULL;
}

static void beyond_max_slots_nothing_is_lost_uncounted(void **state)
{
    (void)state;
    datastall_monitor *m = open_monitor(0, 2);
    datastall_loader *l = test_loader(m, "l");
    pthread_t threads[CROWD];
    pthread_barrier_init(&crowd_barrier, NULL, CROWD);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_many, l), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&crowd_barrier);
    datastall_lost lost = lost_of(m);
    datastall_statistics mine = figures_of(l), all = figures_of_all(m);
    assert_int_equal(mine.batches, 2 * CROWD_WAITS);
    assert_int_equal(lost.merged_other + lost.contention, (CROWD - 2) * CROWD_WAITS);
    assert_int_equal(all.batches, 2 * CROWD_WAITS + lost.merged_other);
    assert_int_equal(all.steady.count, all.batches);
    assert_int_equal(lost.after_fork, 0);
    assert_int_equal(used_slots(m), 3); /* two and the overflow slot */
    if (lost.contention == 0)
        assert_int_equal(all.samples, UINT64_C(2) * CROWD * CROWD_WAITS + CROWD);
    print_message("merged %llu, dropped %llu\n", (unsigned long long)lost.merged_other,
                  (unsigned long long)lost.contention);
    datastall_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_its_sentence),
        cmocka_unit_test(refused_options_say_why),
        cmocka_unit_test(older_structs_work),
        cmocka_unit_test(newer_structs_work),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(unknown_flags_and_sources_are_refused),
        cmocka_unit_test(equal_identity_is_one_loader),
        cmocka_unit_test(a_loader_without_a_name_gets_one),
        cmocka_unit_test(after_32_loaders_the_rest_share_other),
        cmocka_unit_test(several_monitors_at_once),
        cmocka_unit_test(a_wait_belongs_to_the_stage_at_its_end),
        cmocka_unit_test(after_64_stages_the_rest_share_other),
        cmocka_unit_test(stage_times_and_entries),
        cmocka_unit_test(the_file_says_who_wrote_it),
        cmocka_unit_test(the_wait_under_way_is_visible),
        cmocka_unit_test(a_cancelled_wait_was_none),
        cmocka_unit_test(a_forgotten_wait_does_not_show_for_ever),
        cmocka_unit_test(a_run_has_a_folder),
        cmocka_unit_test(a_thread_per_epoch_uses_one_slot),
        cmocka_unit_test(one_loader_on_two_devices),
        cmocka_unit_test(warm_waits_take_no_lock),
        cmocka_unit_test(closed_monitors_are_not_remembered),
        cmocka_unit_test(beyond_max_slots_nothing_is_lost_uncounted),
    };
    test_run_folder();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
