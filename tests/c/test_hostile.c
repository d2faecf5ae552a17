/* SPDX-License-Identifier: Apache-2.0 */
/* Files of any content: the reader never crashes, and says what is wrong in one sentence. */
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "diagnose/summary.h"
#include "read_all.h"
#include "run/run_data.h"
#include "runfile/layout.h"
#include "small_file.h"
#include "support.h"

static char folder[256], path[300];
static unsigned char *sound; /* the small file as it should be */
static size_t sound_size;

static struct rf_header *header_of(unsigned char *bytes)
{
    return (struct rf_header *)(void *)bytes;
}

static unsigned char *copy_of_sound(void)
{
    unsigned char *bytes = malloc(sound_size);
    memcpy(bytes, sound, sound_size);
    return bytes;
}

static void seal(unsigned char *bytes)
{
    header_of(bytes)->checksum = rf_checksum(header_of(bytes));
}

static struct rf_section *section_of(unsigned char *bytes, uint32_t type)
{
    struct rf_header *header = header_of(bytes);
    for (uint32_t i = 0; i < header->section_count; i++) {
        if (header->sections[i].type == type)
            return &header->sections[i];
    }
    return NULL;
}

/* Writes the bytes, reads everything, and frees them. */
static int try_bytes(unsigned char *bytes, size_t size)
{
    uint32_t problems = 0;
    test_write_file(path, bytes, size);
    free(bytes);
    int error = read_all_of_file(path, &problems);
    CHECK(read_all_of_folder(folder, NULL) == 0, "the folder is still read");
    return error != 0 ? error : problems > 0 ? 1 : 0;
}

/* ---- bytes that changed ---- */

static void write_byte(int fd, size_t at, unsigned char value)
{
    CHECK(pwrite(fd, &value, 1, (off_t)at) == 1, "cannot write");
}

/* Each byte inverted, and each with one bit changed. In the header that is always refused. */
static void flip_every_byte(void)
{
    const char *stride_text = getenv("DATASTALL_TEST_STRIDE");
    const size_t stride = stride_text == NULL ? 1 : strtoul(stride_text, NULL, 10);
    uint64_t random = 9, refused = 0, begin = ds_now_ns();
    test_write_file(path, sound, sound_size);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    for (size_t i = 0; i < sound_size; i += i < RF_HEADER_BYTES ? test_every() : stride) {
        for (int way = 0; way < 2; way++) {
            const unsigned char mask =
                way == 0 ? 0xff : (unsigned char)(1u << (test_random(&random) % 8));
            write_byte(fd, i, sound[i] ^ mask);
            int error = read_all_of_file(path, NULL);
            CHECK(error != 0 || i >= sizeof(struct rf_header), "byte %zu of the header", i);
            refused += error != 0;
            CHECK(read_all_of_folder(folder, NULL) == 0, "the folder is still read");
        }
        write_byte(fd, i, sound[i]);
    }
    close(fd);
    CHECK(read_all_of_file(path, NULL) == 0, "the last byte was restored");
    printf("%zu bytes flipped twice each, %llu refused, %.1f s\n", sound_size,
           (unsigned long long)refused, (double)(ds_now_ns() - begin) * 1e-9);
}

static void cut_anywhere(void)
{
    uint64_t random = 4;
    for (size_t size = 0; size < sound_size; size += 1 + test_random(&random) % 400) {
        int result = try_bytes(copy_of_sound(), size);
        CHECK(result != 0, "%zu of %zu bytes pass for a whole file", size, sound_size);
        CHECK(size >= RF_HEADER_BYTES || result == DATASTALL_ERR_DAMAGED, "%zu: %d", size, result);
    }
    CHECK(try_bytes(copy_of_sound(), 0) == DATASTALL_ERR_DAMAGED, "nothing at all");
    CHECK(try_bytes(calloc(1, sound_size), sound_size) == DATASTALL_ERR_DAMAGED, "only zeros");
    CHECK(strstr(datastall_last_error(), "header") != NULL, "it says why");
}

static void foreign_bytes(void)
{
    static const char text[] = "step,loss\n1,0.5\n2,0.25\n3,0.125\n";
    uint64_t random = 77;
    unsigned char *bytes = malloc(20000);
    for (size_t i = 0; i < 20000; i++)
        bytes[i] = (unsigned char)text[i % (sizeof text - 1)];
    CHECK(try_bytes(bytes, 20000) == DATASTALL_ERR_FOREIGN, "a text file");
    for (int round = 0; round < 100; round++) {
        size_t size = RF_HEADER_BYTES + test_random(&random) % 100000;
        bytes = malloc(size);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)test_random(&random);
        CHECK(try_bytes(bytes, size) == DATASTALL_ERR_FOREIGN, "random bytes");
    }
}

/* ---- headers with a right checksum and impossible content ---- */

/* Every word of the section table becomes each of these. */
static void impossible_sections(void)
{
    static const uint64_t values[] = {0,
                                      1,
                                      63,
                                      64,
                                      4096,
                                      UINT64_C(1) << 20,
                                      UINT64_C(1) << 28,
                                      UINT64_C(1) << 31,
                                      UINT64_C(1) << 32,
                                      UINT64_C(1) << 60,
                                      UINT64_C(1) << 61,
                                      UINT64_C(1) << 62,
                                      UINT64_C(1) << 63,
                                      UINT64_MAX - 63,
                                      UINT64_MAX};
    const size_t from = offsetof(struct rf_header, sections);
    const size_t to = from + header_of(sound)->section_count * sizeof(struct rf_section);
    for (size_t at = from; at < to; at += 8) {
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            unsigned char *bytes = copy_of_sound();
            memcpy(bytes + at, &values[v], 8);
            seal(bytes);
            try_bytes(bytes, sound_size);
        }
    }
}

static void impossible_counts(void)
{
    unsigned char *bytes = copy_of_sound();
    header_of(bytes)->section_count = RF_MAX_SECTIONS + 1;
    seal(bytes);
    CHECK(try_bytes(bytes, sound_size) == DATASTALL_ERR_DAMAGED, "too many sections");
    bytes = copy_of_sound();
    header_of(bytes)->section_count = 0;
    seal(bytes);
    CHECK(try_bytes(bytes, sound_size) == DATASTALL_ERR_DAMAGED, "no sections");
    bytes = copy_of_sound();
    header_of(bytes)->file_bytes = UINT64_MAX;
    seal(bytes);
    CHECK(try_bytes(bytes, sound_size) == DATASTALL_ERR_DAMAGED, "an endless file");
    bytes = copy_of_sound();
    section_of(bytes, RF_SECTION_SLOTS)->offset = sound_size;
    seal(bytes);
    CHECK(try_bytes(bytes, sound_size) == DATASTALL_ERR_DAMAGED, "slots outside the file");
    bytes = copy_of_sound();
    section_of(bytes, RF_SECTION_SLOTS)->entry_count = UINT64_C(1) << 60;
    seal(bytes);
    CHECK(try_bytes(bytes, sound_size) == DATASTALL_ERR_DAMAGED, "endless slots");
}

/* 16 levels of 2^60 buckets are 0 words in 64 bits; of a slot's shape nothing is that large. */
static void sizes_that_overflow(void)
{
    unsigned char *bytes = copy_of_sound();
    struct rf_section *slots = section_of(bytes, RF_SECTION_SLOTS);
    slots->geometry[RF_GEO_ROLLUP_SHAPE] = UINT64_MAX;
    seal(bytes);
    CHECK(try_bytes(bytes, sound_size) == DATASTALL_ERR_DAMAGED, "buckets that overflow");
    struct rf_section *gpus = section_of(sound, RF_SECTION_GPUS);
    if (gpus == NULL)
        return;
    bytes = copy_of_sound();
    gpus = section_of(bytes, RF_SECTION_GPUS);
    gpus->geometry[RF_GPU_GEO_ROLLUP_LEVELS] = 16;
    gpus->geometry[RF_GPU_GEO_ROLLUP_BUCKETS] = UINT64_C(1) << 60;
    seal(bytes);
    CHECK(try_bytes(bytes, sound_size) == DATASTALL_ERR_DAMAGED, "buckets that overflow");
}

static void other_versions(void)
{
    unsigned char *bytes = copy_of_sound();
    header_of(bytes)->format_major = RF_FORMAT_MAJOR + 1;
    seal(bytes);
    test_write_file(path, bytes, sound_size);
    CHECK(read_all_of_file(path, NULL) == DATASTALL_ERR_NEWER, "a newer major version");
    CHECK(strstr(datastall_last_error(), "newer") != NULL, "it says so");
    struct run_data *run;
    CHECK(run_data_read(folder, &run) == 0 && run->newer_files == 1 && run->problems == 1, "run");
    CHECK(strstr(run->first_problem, "newer") != NULL, "%s", run->first_problem);
    run_data_free(run);
    free(bytes);

    bytes = copy_of_sound(); /* a newer minor version with a section nobody knows yet */
    struct rf_header *header = header_of(bytes);
    header->format_minor = RF_FORMAT_MINOR + 1;
    header->sections[header->section_count++] = (struct rf_section){
        .type = 999, .offset = RF_HEADER_BYTES, .entry_bytes = 64, .entry_count = 1};
    seal(bytes);
    CHECK(try_bytes(bytes, sound_size) == 0, "a newer minor version");

    bytes = copy_of_sound();
    header_of(bytes)->byte_order = __builtin_bswap32(RF_BYTE_ORDER);
    seal(bytes);
    CHECK(try_bytes(bytes, sound_size) == DATASTALL_ERR_FOREIGN, "the other byte order");
    test_write_file(path, sound, sound_size);
}

static void endless_strings(void)
{
    unsigned char *bytes = copy_of_sound();
    const struct rf_section *process = section_of(bytes, RF_SECTION_PROCESS);
    uint64_t at = process->offset + (RF_BLOCK_PAYLOAD + RF_PROCESS_STATIC) * 8 +
                  offsetof(struct rf_process_static, hostname);
    memset(bytes + at, 'x',
           sizeof(struct rf_process_static) - offsetof(struct rf_process_static, hostname));
    for (uint32_t type = RF_SECTION_LOADERS; type <= RF_SECTION_STAGES; type++) {
        const struct rf_section *section = section_of(bytes, type);
        memset(bytes + section->offset, 0xfe, section->entry_bytes * section->entry_count);
    }
    CHECK(try_bytes(bytes, sound_size) == 0, "strings without end");
}

/* Numbers at the ends of their range in every place of a slot that the checks do not compare. */
static void largest_numbers(void)
{
    struct rf_slot_layout l;
    rf_slot_layout_of(section_of(sound, RF_SECTION_SLOTS)->geometry, &l);
    const uint64_t base = section_of(sound, RF_SECTION_SLOTS)->offset;
    const uint64_t from = l.stages_at * 8, size = (l.words - l.stages_at) * 8;
    unsigned char *bytes = copy_of_sound();
    memset(bytes + base + from, 0xff, size);
    CHECK(try_bytes(bytes, sound_size) == 1, "stages of the largest numbers");
    bytes = copy_of_sound();
    memset(bytes + base + l.rollup_at * 8, 0xff, (l.words - l.rollup_at) * 8);
    CHECK(try_bytes(bytes, sound_size) == 0, "tables of the largest numbers");
    for (uint64_t word = 0; word < RF_COUNT_WORDS; word++) {
        const uint64_t values[] = {UINT64_MAX, UINT64_C(1) << 63, 0x7ff0000000000000, 0};
        for (int v = 0; v < 4; v++) {
            bytes = copy_of_sound();
            uint64_t at = base + (l.counters_at + word) * 8;
            memcpy(bytes + at, &values[v], 8);
            try_bytes(bytes, sound_size);
        }
    }
}

/* ---- figures that contradict each other ---- */

/* Where the totals are: all 20 records are in them. */
static uint64_t counters_at(void)
{
    struct rf_slot_layout l;
    rf_slot_layout_of(section_of(sound, RF_SECTION_SLOTS)->geometry, &l);
    return section_of(sound, RF_SECTION_SLOTS)->offset + l.counters_at * 8;
}

static uint64_t stage_at(uint32_t stage)
{
    struct rf_slot_layout l;
    rf_slot_layout_of(section_of(sound, RF_SECTION_SLOTS)->geometry, &l);
    return section_of(sound, RF_SECTION_SLOTS)->offset + (l.stages_at + stage * l.stage_words) * 8;
}

static void set_word(unsigned char *bytes, uint64_t at, uint64_t value)
{
    memcpy(bytes + at, &value, 8);
}

/* A file in which one of these is off says so, and none of its figures is shown. */
static void assert_refused(unsigned char *bytes, const char *says)
{
    struct run_data *run;
    struct summary *summary;
    CHECK(try_bytes(bytes, sound_size) == 1, "%s: no problem", says);
    CHECK(run_data_read(folder, &run) == 0 && run->problems == 1, "%s", says);
    CHECK(strstr(run->first_problem, says) != NULL, "'%s' is not '%s'", run->first_problem, says);
    CHECK(summary_make(run, 0, &summary) == 0 && summary->loader_count == 0, "%s: shown", says);
    summary_free(summary);
    run_data_free(run);
}

static void stalls_that_are_more_than_the_waiting(void)
{
    const uint64_t c = counters_at(), whole = 1050 * UINT64_C(1000000); /* 5 + 10 + ... 100 ms */
    unsigned char *bytes = copy_of_sound();
    for (uint32_t word = RF_COUNT_STALL_KNOWN_NS; word <= RF_COUNT_STALL_LOWER_NS; word++)
        set_word(bytes, c + word * 8, whole);
    CHECK(try_bytes(bytes, sound_size) == 0, "all of the waiting, to the nanosecond");
    bytes = copy_of_sound();
    set_word(bytes, c + RF_COUNT_STALL_KNOWN_NS * 8, whole + 1);
    assert_refused(bytes, "totals contradict each other");
    bytes = copy_of_sound();
    set_word(bytes, c + RF_COUNT_STALL_UPPER_NS * 8, 1);
    assert_refused(bytes, "totals contradict each other");
    bytes = copy_of_sound();
    set_word(bytes, stage_at(1) + RF_COUNT_STALL_KNOWN_NS * 8, whole);
    assert_refused(bytes, "stages contradict each other");
}

static void times_beyond_the_universe(void)
{
    static const uint8_t words[] = {RF_COUNT_STEADY_NS,    RF_COUNT_STARTUP_NS, RF_COUNT_FAILED_NS,
                                    RF_COUNT_END_NS,       RF_COUNT_SAMPLER_NS, RF_COUNT_REPLAY_NS,
                                    RF_COUNT_CAUSE_NS_LAST};
    for (size_t i = 0; i < sizeof words; i++) {
        unsigned char *bytes = copy_of_sound();
        set_word(bytes, counters_at() + words[i] * UINT64_C(8), RF_MOST_NS + 1);
        assert_refused(bytes, "times are impossibly long");
        bytes = copy_of_sound();
        set_word(bytes, counters_at() + words[i] * UINT64_C(8), RF_MOST_NS);
        CHECK(try_bytes(bytes, sound_size) == 0, "word %u", words[i]);
    }
}

/* A count as large as it can be is shown, as "at least", and called damage. */
static void counts_that_no_sum_holds(void)
{
    static const uint64_t values[] = {UINT64_MAX, UINT64_MAX - 1};
    for (size_t i = 0; i < 2; i++) {
        struct run_data *run;
        struct summary *summary;
        unsigned char *bytes = copy_of_sound();
        set_word(bytes, counters_at() + RF_COUNT_SAMPLES * 8, values[i]);
        CHECK(try_bytes(bytes, sound_size) == 0, "by itself a number like any other");
        CHECK(run_data_read(folder, &run) == 0 && run->problems == 1, "they are a problem");
        CHECK(strstr(run->first_problem, "at least") != NULL, "%s", run->first_problem);
        CHECK(summary_make(run, 0, &summary) == 0 && summary->loader_count == 1, "summary");
        CHECK(summary->loaders[0].figures.samples == UINT64_MAX - 1, "and not unknown");
        CHECK(summary->loaders[0].figures.batches == 19, "the rest is as it was");
        summary_free(summary);
        run_data_free(run);
    }
}

/* The same in a worker's entry and in the sizes of its tables. */
static void impossible_workers(void)
{
    const uint64_t values[] = {UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 60, 0, 3};
    struct rf_worker_layout l;
    const struct rf_section *section = section_of(sound, RF_SECTION_WORKERS);
    CHECK(rf_worker_layout_of(section->geometry, &l), "a sound geometry");
    for (uint64_t word = 0; word < l.words; word++) {
        if (word >= l.ring_at && word < l.items_at)
            continue;
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            unsigned char *bytes = copy_of_sound();
            memcpy(bytes + section->offset + word * 8, &values[v], 8);
            CHECK(try_bytes(bytes, sound_size) >= 0, "word %llu of a worker's entry",
                  (unsigned long long)word);
        }
    }
    for (uint32_t word = 0; word <= RF_WORKER_GEO_SLOWEST; word++) {
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            unsigned char *bytes = copy_of_sound();
            uint64_t at = (uint64_t)((const unsigned char *)section - sound) +
                          offsetof(struct rf_section, geometry) + word * 8;
            memcpy(bytes + at, &values[v], 8);
            seal(bytes);
            try_bytes(bytes, sound_size);
        }
    }
}

/* ---- things that are no files ---- */

static void things_that_are_no_files(void)
{
    const char *at = test_path(folder, "x.dsrun");
    CHECK(mkdir(at, 0700) == 0, "mkdir");
    CHECK(read_all_of_file(at, NULL) == DATASTALL_ERR_FOREIGN, "a folder");
    CHECK(read_all_of_folder(folder, NULL) == 0, "beside a folder");
    CHECK(rmdir(at) == 0 && mkfifo(at, 0600) == 0, "mkfifo");
    CHECK(read_all_of_file(at, NULL) == DATASTALL_ERR_FOREIGN, "a fifo");
    uint32_t problems = 0;
    CHECK(read_all_of_folder(folder, &problems) == 0 && problems == 1, "beside a fifo");
    CHECK(unlink(at) == 0 && symlink(path, at) == 0, "symlink");
    CHECK(read_all_of_file(at, NULL) < 0, "a link is followed");
    CHECK(read_all_of_folder(folder, &problems) == 0 && problems == 1, "beside a link");
    CHECK(unlink(at) == 0, "unlink");
    CHECK(read_all_of_file(at, NULL) == DATASTALL_ERR_NOT_FOUND, "nothing");
    struct run_data *run;
    CHECK(run_data_read(test_path(folder, "none"), &run) == DATASTALL_ERR_NOT_FOUND && run == NULL,
          "no folder");
}

static void all_of_it(bool with_gpu, bool every_byte)
{
    unlink(path);
    small_file_make(path, with_gpu);
    sound = test_read_file(path, &sound_size);
    uint32_t problems = 9;
    CHECK(read_all_of_file(path, &problems) == 0 && problems == 0, "the file itself");
    CHECK(read_all_of_folder(folder, &problems) == 0 && problems == 0, "the run itself");
    impossible_counts();
    other_versions();
    endless_strings();
    cut_anywhere();
    foreign_bytes();
    largest_numbers();
    stalls_that_are_more_than_the_waiting();
    times_beyond_the_universe();
    counts_that_no_sum_holds();
    if (with_gpu) /* that file has a worker too */
        impossible_workers();
    sizes_that_overflow();
    impossible_sections();
    test_write_file(path, sound, sound_size);
    things_that_are_no_files();
    if (every_byte)
        flip_every_byte();
    free(sound);
}

int main(void)
{
    char made[] = "/dev/shm/hostile-XXXXXX"; /* memory: a quarter of a million writes */
    const char *place = mkdtemp(made);
    snprintf(folder, sizeof folder, "%s", place == NULL ? test_folder() : place);
    snprintf(path, sizeof path, "%s/1-a.dsrun", folder);
    all_of_it(true, false);
    all_of_it(false, true);
    test_remove(folder);
    puts("no file crashes the reader");
    return 0;
}
