/* SPDX-License-Identifier: Apache-2.0 */
#include "small_file.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "runfile/worker_slot.h"
#include "runfile/writer.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

/* Nothing of the machine it is made on. */
static const struct rf_process_static process = {
    .kind = RF_PROCESS_RECORDER,
    .pid = 4242,
    .parent_pid = 4241,
    .start_ticks = 1,
    .rank = 3,
    .local_rank = 1,
    .world_size = 4,
    .opened_mono_ns = 100 * SECOND,
    .process_start_mono_ns = 99 * SECOND,
    .hostname = "host",
    .name = "small",
    .directory = "/data",
    .command = "python train.py",
};

static void write_waits(struct rf_slot_writer *slot)
{
    for (uint64_t i = 0; i < 20; i++) {
        const datastall_batch batch = {
            .struct_size = sizeof batch,
            .batch_index = i,
            .samples = i + 1,
            .tokens = 10 * (i + 1),
            .longest_sequence = 20,
            .padded_tokens = 20 * (i + 1),
            .mean_sequence_length = 10,
            .packing_efficiency = i == 19 ? 0.5 : NAN,
        };
        struct wait wait = {
            .batch = &batch,
            .exposed = STALL_BOUNDS_UNKNOWN,
            .begin_ns = 101 * SECOND + i * SECOND / 2,
            .wait_ns = (i + 1) * 5 * MS,
            .kind = i == 0   ? DATASTALL_WAIT_ITER
                    : i == 1 ? DATASTALL_WAIT_FIRST
                             : DATASTALL_WAIT_STEADY,
            .stage = i < 10 ? 1 : 2,
        };
        struct wait_cause cause = {.depth = rf_pack_depth(1, 1, 2, 8), .blocker = 1};
        const struct cause_batch made = {
            wait.begin_ns, wait.begin_ns + 3 * MS, wait.begin_ns + 4 * MS, 2 * MS, MS / 2, 0};
        cause_add_batch(&cause.timeline, wait.begin_ns, wait.begin_ns + wait.wait_ns, &made);
        cause.later_ready_ns = wait.begin_ns + MS;
        cause.blocker_ns = wait.begin_ns + 3 * MS;
        cause.others_idle_ns = MS;
        struct cause_share split;
        cause_of_stall(&cause, wait.begin_ns, wait.begin_ns + wait.wait_ns, wait.wait_ns, &split);
        if (i >= 2) {
            wait.cause = &cause;
            wait.split = &split;
        }
        rf_slot_append(slot, &wait);
    }
}

/* One worker's entry, word by word: 5 batches of 2 items. */
static void write_worker(struct rf_writer *writer)
{
    uint64_t *entry = rf_entry(writer, RF_SECTION_WORKERS, 0);
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_worker_layout layout;
    rf_worker_geometry(geometry);
    CHECK(rf_worker_layout_of(geometry, &layout), "the geometry is impossible");
    entry[RF_WORKER_LOADER] = 1;
    entry[RF_WORKER_NUMBER] = 2;
    entry[RF_WORKER_PID] = 4250;
    entry[RF_WORKER_ASSIGNED_NS] = 101 * SECOND;
    entry[RF_WORKER_GENERATION] = entry[RF_WORKER_ATTACHED] = 1;
    entry[RF_WORKER_EPOCH] = rf_pack_epoch(1, 0);
    entry[RF_WORKER_COUNT] = 5;
    uint64_t *totals = entry + layout.totals_at + 5 % layout.versions * layout.total_words;
    totals[RF_TOTAL_COUNT] = totals[RF_TOTAL_BATCHES] = 5;
    totals[RF_TOTAL_ITEMS] = totals[RF_TOTAL_ITEMS_TIMED] = 10;
    totals[RF_TOTAL_ITEM_NS] = totals[RF_TOTAL_ITEMS_NS] = 30 * MS;
    totals[RF_TOTAL_ITEMS_CPU_NS] = 20 * MS;
    totals[RF_TOTAL_COLLATE_NS] = 5 * MS;
    totals[RF_TOTAL_GAP_NS] = 10 * MS;
    totals[RF_TOTAL_BEGIN_NS] = 102 * SECOND;
    totals[RF_TOTAL_END_NS] = 103 * SECOND;
    entry[layout.items_at + rf_item_bucket(3 * MS)] = 10;
    entry[layout.slow_at + RF_ITEM_NS] = 4 * MS;
    entry[layout.slow_at + RF_ITEM_INDEX] = 77;
    for (uint64_t i = 0; i < 5; i++)
        entry[layout.ring_at + i * layout.record_words + RF_WORK_SEQUENCE] = i + 1;
}

static void write_gpu(struct rf_writer *writer)
{
    struct rf_gpu_static device = {.index = 0, .uuid = "GPU-0", .name = "a device"};
    struct rf_gpu_writer gpu;
    rf_gpu_attach(writer, 0, &device, &gpu);
    for (uint64_t i = 0; i < 10; i++) {
        struct rf_gpu_sample sample = {.time_ns = 101 * SECOND + i * SECOND,
                                       .busy_percent = 40,
                                       .memory_used = UINT64_C(1) << 30,
                                       .memory_total = UINT64_C(1) << 33,
                                       .power_mw = 100000,
                                       .temperature = 60,
                                       .sm_clock_mhz = 1400,
                                       .memory_clock_mhz = 900,
                                       .state = RF_GPU_OK};
        rf_gpu_append(&gpu, &sample);
    }
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_GPU_STATE, RF_GPU_OK);
    rf_publish(&writer->process);
}

void small_file_header(struct rf_writer *writer)
{
    struct rf_header header = writer->header;
    memset(header.boot_id, 0, sizeof header.boot_id);
    strcpy(header.boot_id, "00000000-0000-0000-0000-000000000000");
    header.created_mono_ns = 100 * SECOND;
    header.created_real_ns = UINT64_C(1767225600) * SECOND;
    header.checksum = rf_checksum(&header);
    memcpy(writer->map, &header, sizeof header);
}

static void write_end(struct rf_writer *writer)
{
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_STATE, RF_STATE_CLOSED);
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_ENDED_MONO, 112 * SECOND);
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_ENDED_REAL,
           UINT64_C(1767225612) * SECOND);
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_STAGE_NS + 1, 5 * SECOND);
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_STAGE_NS + 2, 6 * SECOND);
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_STAGE_ENTRIES + 1, 1);
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_STAGE_ENTRIES + 2, 1);
    rf_publish(&writer->process);
}

void small_file_make(const char *path, bool with_gpu)
{
    const struct rf_spec spec = {
        .slots = 1, .recent_waits = 8, .gpus = with_gpu ? 1 : 0, .workers = with_gpu ? 1 : 0};
    const struct rf_loader_entry loader = {.source = DATASTALL_SOURCE_TORCH,
                                           .num_workers = 4,
                                           .prefetch_factor = 2,
                                           .batch_size = 32,
                                           .registered_ns = 100 * SECOND,
                                           .name = "train",
                                           .site = "train.py:42",
                                           .dataset_type = "Images"};
    struct rf_writer *writer;
    struct rf_slot_writer slot;
    CHECK(rf_writer_create(path, &spec, &process, &writer) == 0, "cannot make %s", path);
    rf_write_loader(writer, 1, &loader);
    rf_write_stage(writer, 1, "warm-up");
    rf_write_stage(writer, 2, "train");
    rf_slot_attach(writer, 0, &slot);
    rf_slot_assign(&slot, 1, 4242);
    write_waits(&slot);
    if (with_gpu) {
        write_gpu(writer);
        write_worker(writer);
    }
    small_file_header(writer);
    write_end(writer);
    rf_writer_destroy(writer);
}
