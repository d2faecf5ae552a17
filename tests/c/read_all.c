/* SPDX-License-Identifier: Apache-2.0 */
#include "read_all.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/kept.h"
#include "diagnose/moments.h"
#include "diagnose/series.h"
#include "output/shape.h"
#include "run/reader.h"
#include "run/rings.h"
#include "run/run_data.h"
#include "runfile/rollup.h"
#include "support.h"

/* What is read is used, so that a sanitizer sees memory that was never written. */
static volatile uint64_t sink;

static void use_text(const char *text)
{
    sink += strlen(text);
}

static void read_slots(struct run_reader *reader)
{
    const uint64_t slots = run_reader_count(reader, RF_SECTION_SLOTS);
    for (uint64_t i = 0; i < slots; i++) {
        struct rf_slot_view view;
        enum rf_view_status status = run_reader_slot(reader, i, RF_PART_ALL, &view);
        if (status == RF_VIEW_CUT || status == RF_VIEW_NO_MEMORY)
            break;
        if (status == RF_VIEW_UNUSED)
            continue;
        CHECK(status == RF_VIEW_OK || strlen(view.damage) > 0, "damage without a sentence");
        for (uint64_t k = 0; k < view.ring_count; k++)
            sink += rf_view_record(&view, view.ring_first + k)[RF_RECORD_WORDS - 1];
        for (uint32_t s = 0; s < RF_STAGE_CAPACITY; s++)
            sink += rf_view_stage(&view, s)[RF_COUNT_BATCHES];
        rf_slot_view_free(&view);
    }
}

static void read_gpus(struct run_reader *reader)
{
    uint64_t gpus = run_reader_count(reader, RF_SECTION_GPUS);
    for (uint64_t i = 0; i < gpus && i < 64; i++) {
        struct rf_gpu_view view;
        if (!run_reader_gpu(reader, i, &view))
            continue;
        use_text(view.fixed.uuid);
        use_text(view.fixed.name);
        sink += view.block[view.layout.words - 1];
        free(view.block);
    }
}

static void read_workers(struct run_reader *reader)
{
    const uint64_t workers = run_reader_count(reader, RF_SECTION_WORKERS);
    for (uint64_t i = 0; i < workers && i < 64; i++) {
        struct rf_worker_view view;
        if (!run_reader_worker(reader, i, &view))
            continue;
        CHECK(view.loader < RF_LOADER_CAPACITY, "a loader that cannot be");
        sink += view.totals[RF_TOTAL_USED_WORDS - 1] + view.items[RF_WORKER_ITEM_BUCKETS - 1];
        for (uint32_t k = 0; k < view.slowest_count; k++)
            sink += view.slowest[k].ns;
    }
}

int read_all_of_file(const char *path, uint32_t *problems)
{
    struct run_reader *reader;
    struct rf_process_view process;
    struct rf_loader_entry loader;
    struct rf_stage_entry stage;
    int error = run_reader_open(path, &reader);
    if (error != DATASTALL_OK) {
        CHECK(strlen(datastall_last_error()) > 10, "error %d without a sentence", error);
        CHECK(reader == NULL, "a reader in spite of error %d", error);
        return error;
    }
    if (run_reader_process(reader, &process)) {
        use_text(process.fixed.hostname);
        use_text(process.fixed.name);
        use_text(process.fixed.directory);
        use_text(process.fixed.command);
        sink += (unsigned)rf_process_liveness(&reader->file.header, &process.fixed);
    }
    for (uint64_t i = 0; i < RF_LOADER_CAPACITY; i++) {
        if (run_reader_loader(reader, i, &loader))
            use_text(loader.name), use_text(loader.site), use_text(loader.dataset_type);
    }
    for (uint64_t i = 0; i < RF_STAGE_CAPACITY; i++) {
        if (run_reader_stage(reader, i, &stage))
            use_text(stage.name);
    }
    read_slots(reader);
    read_gpus(reader);
    read_workers(reader);
    CHECK(reader->problems == 0 || strlen(reader->first_problem) > 0, "no sentence");
    if (problems != NULL)
        *problems = reader->problems;
    run_reader_close(reader);
    return DATASTALL_OK;
}

/* ---- an emitter that checks what every emitter may rely on ---- */

static void opened(void *depth, const char *key)
{
    CHECK(*(int *)depth >= 0, "depth");
    ++*(int *)depth;
    if (key != NULL)
        use_text(key);
}
static void closed(void *depth)
{
    --*(int *)depth;
    CHECK(*(int *)depth >= 0, "more ends than beginnings");
}
static void got_integer(void *depth, const char *key, uint64_t value)
{
    (void)depth;
    (void)key;
    sink += value;
}
static void got_real(void *depth, const char *key, double value)
{
    (void)depth;
    (void)key;
    sink += value > 0;
}
static void got_boolean(void *depth, const char *key, bool value)
{
    (void)depth;
    (void)key;
    sink += value;
}
static void got_string(void *depth, const char *key, const char *value)
{
    (void)depth;
    (void)key;
    if (value != NULL)
        use_text(value);
}

/* ---- over time, and one by one ---- */

static void read_over_time(const struct summary *summary)
{
    static struct series series;
    static struct moments moments;
    for (uint32_t level = 0; level < series_levels(summary); level++) {
        series_of(summary, level, &series);
        CHECK(series.count <= SERIES_MOST, "%u spans", series.count);
        for (uint32_t i = 0; i < series.count; i++) {
            const double share = series.stall[i];
            CHECK(isnan(share) || (share >= 0 && share <= 1 + 1e-9), "a share of %g", share);
            sink += series.batches_per_s[i] > 0;
        }
    }
    for (uint32_t i = 0; i < summary->loader_count; i++)
        sink += moments_of(summary, &summary->loaders[i], &moments);
}

static void read_one_by_one(const struct run_data *data)
{
    for (uint32_t i = 0; i < data->process_count; i++) {
        const struct run_process *process = &data->processes[i];
        struct run_rings rings;
        if (run_rings_read(data, process, &rings) == DATASTALL_OK) {
            for (uint32_t w = 0; w < rings.wait_count; w++)
                CHECK(rings.waits[w].end_ns >= rings.waits[w].begin_ns, "a wait ends too early");
            for (uint32_t w = 0; w < rings.work_count; w++)
                CHECK(rings.work[w].items_end_ns <= rings.work[w].end_ns, "items end too late");
            run_rings_free(&rings);
        }
        for (uint32_t s = 0; s < process->stretches_count; s++) {
            const struct run_stretches *stretches = &process->stretches[s];
            struct kept_batch *kept = calloc((size_t)stretches->batch_count + 1, sizeof *kept);
            CHECK(kept != NULL && kept_batches(stretches, kept) <= stretches->batch_count, "kept");
            free(kept);
        }
    }
}

int read_all_of_folder(const char *folder, uint32_t *problems)
{
    struct run_data *data;
    struct summary *summary;
    char text[512];
    int depth = 0;
    const struct emitter emitter = {.context = &depth,
                                    .open_object = opened,
                                    .open_array = opened,
                                    .close = closed,
                                    .integer = got_integer,
                                    .real = got_real,
                                    .boolean = got_boolean,
                                    .string = got_string};
    int error = run_data_read(folder, &data);
    if (error != DATASTALL_OK)
        return error;
    CHECK(data->problems == 0 || strlen(data->first_problem) > 0, "no sentence");
    if (problems != NULL)
        *problems = data->problems;
    CHECK(summary_make(data, UINT64_C(1) << 50, &summary) == 0, "summary");
    summary_verdict_text(summary, text, sizeof text);
    summary_prize_text(summary, text, sizeof text);
    output_shape(summary, &emitter);
    read_over_time(summary);
    read_one_by_one(data);
    CHECK(depth == 0, "%d left open", depth);
    summary_free(summary);
    run_data_free(data);
    return DATASTALL_OK;
}
