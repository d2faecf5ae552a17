/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of many run files that are damaged at random, and what is said of the damage, as somebody
 * approved it (approved.h). That nothing crashes is tests/c/test_hostile.c's; here it is whether what cannot
 * be is noticed, said, and left out. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "approved.h"
#include "diagnose/moments.h"
#include "diagnose/series.h"
#include "diagnose/summary.h"
#include "output/shape.h"
#include "run/reader.h"
#include "run/rings.h"
#include "run/run_data.h"
#include "runfile/writer.h"
#include "small_file.h"
#include "support.h"

#define FILES 900u
#define SECOND UINT64_C(1000000000)
#define NAMES 2u

static char folder[300];
static const char *const names[NAMES] = {"1-a.dsrun", "2-b.dsrun"};
static unsigned char *sound[NAMES];
static size_t sizes[NAMES];

/* ---- two files ---- */

static const struct rf_process_static process = {.kind = RF_PROCESS_RECORDER,
                                                 .pid = 4343,
                                                 .parent_pid = 4241,
                                                 .start_ticks = 1,
                                                 .rank = 2,
                                                 .world_size = 4,
                                                 .opened_mono_ns = 100 * SECOND,
                                                 .process_start_mono_ns = 99 * SECOND,
                                                 .hostname = "host",
                                                 .job = "job",
                                                 .name = "other",
                                                 .command = "python train.py"};

static void write_stretches(struct rf_writer *writer)
{
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_stretch_layout layout;
    rf_stretch_geometry(geometry);
    assert_true(rf_stretch_layout_of(geometry, &layout));
    uint64_t *entry = rf_entry(writer, RF_SECTION_STRETCHES, 0);
    entry[RF_STRETCH_EVERY] = 1;
    entry[RF_STRETCH_BATCHES] = 3 * layout.rows;
    entry[RF_STRETCH_NEW] = 1;
    entry[RF_STRETCH_NEW_ITER_NS] = SECOND / 50;
    entry[RF_STRETCH_NEW_FIRST_NS] = SECOND / 25;
    entry[RF_STRETCH_LAST_NS] = 111 * SECOND;
    for (uint64_t s = 0; s < 3; s++) {
        uint64_t *stretch = entry + layout.head_words + s * layout.stretch_at_words;
        stretch[RF_STRETCH_BEGIN_NS] = (101 + 3 * s) * SECOND;
        stretch[RF_STRETCH_END_NS] = stretch[RF_STRETCH_BEGIN_NS] + 3 * SECOND;
        stretch[RF_STRETCH_BEGIN_CPU_NS] = s * SECOND;
        stretch[RF_STRETCH_END_CPU_NS] = s * SECOND + SECOND / 2;
        for (uint64_t r = 0; r < layout.rows; r++) {
            uint64_t *row = stretch + layout.stretch_words + r * layout.row_words;
            const uint64_t batch = s * layout.rows + r;
            row[0] = rf_pack_batch(batch, batch == 0 ? RF_BATCH_IS_FIRST : 0, (uint32_t)(r % 2));
            for (uint32_t t = 0; t < RF_BATCH_TIMES / 2; t++)
                row[1 + t] = (made_up_below(200000) << 32) + made_up_below(200000);
        }
        stretch[RF_STRETCH_NUMBER] = s + 1;
    }
    entry[RF_STRETCH_LOADER] = 2;
}

static void write_steps(struct rf_writer *writer)
{
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_steps_layout layout;
    rf_steps_geometry(geometry);
    assert_true(rf_steps_layout_of(geometry, &layout));
    uint64_t *entry = rf_entry(writer, RF_SECTION_STEPS, 0);
    uint64_t *totals = entry + layout.totals_at + 5 % layout.copies * layout.total_words;
    entry[RF_STEPS_THREAD] = 4343;
    entry[RF_STEPS_IS_MAIN] = 1;
    entry[RF_STEPS_CLOCK] = RF_STEPS_CLOCK_QUEUE;
    entry[RF_STEPS_MEMORY_READS] = 9;
    entry[RF_STEPS_MEMORY_ALLOCATED] = UINT64_C(1) << 28;
    entry[RF_STEPS_MEMORY_ALLOCATED_PEAK] = UINT64_C(1) << 29;
    entry[RF_STEPS_MEMORY_RESERVED] = entry[RF_STEPS_MEMORY_RESERVED_PEAK] = UINT64_C(1) << 30;
    totals[RF_STEP_TOTAL_COUNT] = 5;
    totals[RF_STEP_TOTAL_BEGIN_NS] = 101 * SECOND;
    totals[RF_STEP_TOTAL_END_NS] = 111 * SECOND;
    for (uint32_t p = 0; p < STEP_PHASE_COUNT; p++) {
        totals[RF_STEP_TOTAL_TIMES + p] = 10 + p;
        totals[RF_STEP_TOTAL_HOST_NS + p] = SECOND + p * SECOND / 100;
        totals[RF_STEP_TOTAL_LONGEST_NS + p] = SECOND / 4;
        totals[RF_STEP_TOTAL_ASKED + p] = totals[RF_STEP_TOTAL_LOOKS + p] = 40;
        totals[RF_STEP_TOTAL_EMPTY + p] = 4 * p;
    }
    for (uint64_t i = 0; i < 4; i++) {
        struct rf_step_line *line =
            (struct rf_step_line *)(void *)(entry + layout.lines_at + i * layout.line_words);
        *line = (struct rf_step_line){
            .state = 1, .phase = i, .seen = 10 + i, .empty = i, .kind = i % 2};
        snprintf(line->what, sizeof line->what, "%s", i % 2 == 0 ? "item" : "");
        snprintf(line->where, sizeof line->where, "train.py:%u", (unsigned)i);
    }
    entry[RF_STEPS_COUNT] = 5;
}

static void make_other_file(const char *path)
{
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8, .stretches = 1, .steps = 1};
    const struct rf_loader_entry loader = {.source = DATASTALL_SOURCE_TORCH,
                                           .num_workers = 2,
                                           .prefetch_factor = 2,
                                           .batch_size = 4,
                                           .registered_ns = 100 * SECOND,
                                           .name = "valid",
                                           .site = "train.py:50",
                                           .dataset_type = "Images"};
    struct rf_writer *writer;
    struct rf_slot_writer slot;
    assert_int_equal(rf_writer_create(path, &spec, &process, &writer), 0);
    rf_write_loader(writer, 1, &loader);
    rf_slot_attach(writer, 0, &slot);
    rf_slot_assign(&slot, 1, 4343);
    for (uint64_t i = 0; i < 12; i++) {
        const datastall_batch batch = {.struct_size = sizeof batch,
                                       .batch_index = i,
                                       .samples = 4,
                                       .tokens = DATASTALL_UNKNOWN,
                                       .longest_sequence = DATASTALL_UNKNOWN,
                                       .padded_tokens = DATASTALL_UNKNOWN};
        const struct wait wait = {.batch = &batch,
                                  .exposed = {SECOND / 100, SECOND / 50},
                                  .begin_ns = (101 + i / 2) * SECOND,
                                  .wait_ns = SECOND / 20,
                                  .kind = i == 0 ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY};
        rf_slot_append(&slot, &wait);
    }
    rf_slot_flush(&slot);
    write_stretches(writer);
    write_steps(writer);
    small_file_header(writer);
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_STATE, RF_STATE_CLOSED);
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_ENDED_MONO, 112 * SECOND);
    rf_publish(&writer->process);
    rf_writer_destroy(writer);
}

/* ---- damage ---- */

static uint64_t changed(uint64_t word)
{
    switch (made_up_below(7)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return word + 1;
    case 3:
        return word - 1;
    case 4:
        return word ^ UINT64_C(1) << made_up_below(64);
    case 5:
        return word * 2;
    default:
        return made_up();
    }
}

/* A word of the header, or of one of its sections, there mostly where an entry begins; and mostly one that
 * is not 0, as most of a file is. */
static uint64_t *word_in(unsigned char *bytes, size_t size)
{
    uint64_t *words = (uint64_t *)(void *)bytes;
    const struct rf_header *header = (const struct rf_header *)(const void *)bytes;
    const uint64_t count = header->section_count < RF_MAX_SECTIONS ? header->section_count : 0;
    const struct rf_section *section = &header->sections[made_up_below(count + 2)];
    uint64_t from = 0, most = RF_HEADER_BYTES / 8;
    if (section < &header->sections[count] && section->offset < size) {
        from = section->offset / 8;
        most = made_up_once_in(2) ? 64 : size / 8 - from;
    }
    for (;;) {
        const uint64_t at = from + made_up_below(ds_least(most, size / 8 - from));
        if (words[at] != 0 || made_up_once_in(20))
            return &words[at];
    }
}

static size_t damage(unsigned char *bytes, size_t size)
{
    struct rf_header *header = (struct rf_header *)(void *)bytes;
    const uint64_t times = 1 + made_up_below(3);
    for (uint64_t i = 0; i < times; i++) {
        uint64_t *word = word_in(bytes, size);
        if (made_up_once_in(8)) { /* a text without an end, say */
            const size_t rest = size - (size_t)((unsigned char *)word - bytes);
            memset(word, 'x', ds_least(rest, made_up_below(300)));
        } else {
            *word = changed(*word);
        }
    }
    if (!made_up_once_in(10))
        header->checksum = rf_checksum(header);
    return made_up_once_in(10) ? made_up_below(size) & ~UINT64_C(7) : size;
}

/* ---- what is said ---- */

/* Without the folder, which is another one each time. */
static void say(const char *sentence)
{
    const size_t length = strlen(folder);
    for (const char *at = sentence; *at != '\0';) {
        if (strncmp(at, folder, length) == 0) {
            at += length;
            continue;
        }
        fputc(*at++, approved_stream());
    }
    fputc('\n', approved_stream());
}

static void say_words(const char *what, const uint64_t *words, uint64_t count)
{
    fprintf(approved_stream(), "%s", what);
    for (uint64_t i = 0; i < count; i++)
        fprintf(approved_stream(), " %llx", (unsigned long long)words[i]);
    fputc('\n', approved_stream());
}

static void say_entries(struct run_reader *reader)
{
    struct rf_slot_view slot;
    for (uint64_t i = 0; i < 3; i++) {
        const enum rf_view_status status = run_reader_slot(reader, i, RF_PART_ALL, &slot);
        fprintf(approved_stream(), "slot %d\n", (int)status);
        if (status == RF_VIEW_DAMAGED)
            say(slot.damage);
        for (uint64_t k = 0; status == RF_VIEW_OK && k < slot.ring_count; k++)
            say_words("row", rf_view_record(&slot, slot.ring_first + k), RF_RECORD_WORDS);
        if (status == RF_VIEW_OK || status == RF_VIEW_DAMAGED)
            rf_slot_view_free(&slot);
    }
    static struct rf_gpu_view gpu;
    if (run_reader_gpu(reader, 0, &gpu)) {
        fprintf(approved_stream(), "%s, %s\n", gpu.fixed.uuid, gpu.fixed.name);
        say_words("gpu", gpu.words, RF_GPU_WORDS);
        free(gpu.block);
    }
    static struct rf_worker_view worker;
    if (run_reader_worker(reader, 0, &worker)) {
        say_words("worker", &worker.generation, 11); /* up to its fingerprints */
        say_words("totals", worker.totals, RF_TOTAL_USED_WORDS);
        say_words("items", worker.items, RF_WORKER_ITEM_BUCKETS);
    }
    static struct run_steps steps;
    if (run_reader_steps(reader, 0, &steps)) {
        say_words("steps", steps.totals, RF_STEP_TOTAL_WORDS);
        for (uint32_t i = 0; i < steps.line_count; i++)
            fprintf(approved_stream(), "%s at %s\n", steps.lines[i].what, steps.lines[i].where);
    }
}

static void say_file(const char *name)
{
    struct run_reader *reader;
    struct rf_process_view view;
    struct rf_loader_entry loader;
    struct rf_stage_entry stage;
    const int error = run_reader_open(test_path(folder, name), &reader);
    fprintf(approved_stream(), "%s: %d\n", name, error);
    if (error != DATASTALL_OK) {
        say(datastall_last_error());
        return;
    }
    if (run_reader_process(reader, &view)) {
        say_words("process", view.words, sizeof view.words / 8);
        say(view.fixed.hostname), say(view.fixed.job), say(view.fixed.name), say(view.fixed.node);
        say(view.fixed.directory), say(view.fixed.command), say(view.fixed.settings);
    }
    for (uint64_t i = 0; i < 3; i++) {
        if (run_reader_loader(reader, i, &loader))
            say(loader.name), say(loader.site), say(loader.dataset_type);
        if (run_reader_stage(reader, i, &stage))
            say(stage.name);
    }
    say_entries(reader);
    fprintf(approved_stream(), "%u problems\n", reader->problems);
    say(reader->first_problem);
    run_reader_close(reader);
}

static void say_rings(const struct run_data *data)
{
    for (uint32_t i = 0; i < data->process_count; i++) {
        const struct run_process *one = &data->processes[i];
        struct run_rings rings;
        if (run_rings_read(data, one, &rings) != DATASTALL_OK)
            continue;
        for (uint32_t w = 0; w < rings.wait_count; w++)
            say_words("wait", &rings.waits[w].begin_ns, 4);
        for (uint32_t w = 0; w < rings.work_count; w++)
            say_words("work", &rings.work[w].begin_ns, 3);
        run_rings_free(&rings);
        for (uint32_t s = 0; s < one->stretches_count; s++) {
            const struct run_stretches *stretches = &one->stretches[s];
            say_words("stretches", stretches->head, RF_STRETCH_HEAD_WORDS);
            for (uint32_t k = 0; k < stretches->batch_count; k++)
                fprintf(approved_stream(), "%llu %u\n",
                        (unsigned long long)stretches->batches[k].batch,
                        stretches->batches[k].times[RF_BATCH_WAITED]);
        }
    }
}

static void say_run(void)
{
    static struct series series;
    static struct moments moments;
    struct run_data *data;
    struct summary *summary;
    const int error = run_data_read(folder, &data);
    fprintf(approved_stream(), "run: %d\n", error);
    if (error != DATASTALL_OK) {
        say(datastall_last_error());
        return;
    }
    say_rings(data);
    say(data->first_problem);
    data->first_problem[0] = '\0';
    strcpy(data->path, "/runs/one");
    assert_int_equal(summary_make(data, 1000 * SECOND, &summary), 0);
    output_shape(summary, approved_emitter());
    for (uint32_t i = 0; i < summary->loader_count; i++)
        fprintf(approved_stream(), "moments %d\n",
                (int)moments_of(summary, &summary->loaders[i], &moments));
    for (uint32_t level = 0; level < series_levels(summary); level++) {
        series_of(summary, level, &series);
        for (uint32_t i = 0; i < series.count; i++)
            fprintf(approved_stream(), "%.6g %.6g\n", series.stall[i], series.batches_per_s[i]);
    }
    approved_label("%u processes, %u problems", data->process_count, data->problems);
    summary_free(summary);
    run_data_free(data);
}

static void damaged_files(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path(test_folder(), "run"));
    assert_int_equal(mkdir(folder, 0700), 0);
    made_up_begin(99);
    small_file_make(test_path(folder, names[0]), true);
    make_other_file(test_path(folder, names[1]));
    for (uint32_t n = 0; n < NAMES; n++)
        sound[n] = test_read_file(test_path(folder, names[n]), &sizes[n]);
    approved_begin("many_files");
    for (uint32_t i = 0; i < FILES; i++) {
        const uint32_t n = i % NAMES;
        unsigned char *bytes = malloc(sizes[n]);
        memcpy(bytes, sound[n], sizes[n]);
        made_up_begin(i);
        const size_t size = i < NAMES ? sizes[n] : damage(bytes, sizes[n]); /* first as they are */
        test_write_file(test_path(folder, names[n]), bytes, size);
        free(bytes);
        approved_input();
        say_file(names[n]);
        say_run();
        test_write_file(test_path(folder, names[n]), sound[n], sizes[n]);
    }
    approved_end();
    for (uint32_t n = 0; n < NAMES; n++)
        free(sound[n]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
