/* SPDX-License-Identifier: Apache-2.0 */
#include "output/perfetto.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean_text.h"
#include "base/error.h"
#include "diagnose/kept.h"
#include "output/protobuf.h"
#include "run/rings.h"

/* Field numbers of perfetto/trace/: trace_packet.proto and those that it includes. */
enum { TRACE_PACKET = 1 };
enum {
    PACKET_CLOCK_SNAPSHOT = 6,
    PACKET_TIMESTAMP = 8,
    PACKET_SEQUENCE_ID = 10,
    PACKET_TRACK_EVENT = 11,
    PACKET_TRACK_DESCRIPTOR = 60
};
enum { SNAPSHOT_CLOCKS = 1, CLOCK_ID = 1, CLOCK_TIMESTAMP = 2 };
enum { CLOCK_OF_REALTIME = 1, CLOCK_OF_BOOTTIME = 6 };
enum { TRACK_UUID = 1, TRACK_NAME = 2, TRACK_PROCESS = 3, TRACK_PARENT = 5, TRACK_COUNTER = 8 };
enum { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum { COUNTER_UNIT_NAME = 6 };
enum {
    EVENT_NOTES = 4,
    EVENT_TYPE = 9,
    EVENT_TRACK = 11,
    EVENT_CATEGORY = 22,
    EVENT_NAME = 23,
    EVENT_DOUBLE = 44
};
enum { SLICE_BEGIN = 1, SLICE_END = 2, COUNTER = 4 };
enum { NOTE_UINT = 3, NOTE_DOUBLE = 5, NOTE_NAME = 10 };

#define SEQUENCE 1
#define NAME_BYTES 160

enum kind { KIND_WAIT, KIND_STALL, KIND_WORK, KIND_PIN };

struct slice {
    enum kind kind;
    uint64_t begin_ns, end_ns;
    uint64_t items_end_ns;                              /* of work; 0: not told */
    uint64_t batch, samples, slowest_ns, slowest_index; /* DATASTALL_UNKNOWN: not told */
    uint32_t loader;                                    /* in the process's loaders */
    uint32_t wait_kind;
};

/* Slices of one row of the picture, which do not overlap. */
struct lane {
    enum kind kind;
    uint64_t key; /* a thread, or a worker */
    uint32_t loader;
    struct slice *slices;
    uint32_t count;
};

struct trace {
    FILE *file;
    uint64_t next_track;
    bool failed;
};

/* ---- packets ---- */

static void put_packet(struct trace *trace, struct pb *packet)
{
    unsigned char head[12];
    pb_integer(packet, PACKET_SEQUENCE_ID, SEQUENCE);
    head[0] = TRACE_PACKET << 3 | 2;
    const size_t length = 1 + pb_varint(packet->length, head + 1);
    trace->failed |= fwrite(head, 1, length, trace->file) != length ||
                     fwrite(packet->bytes, 1, packet->length, trace->file) != packet->length;
}

static void put_name(struct pb *pb, uint32_t field, const char *name)
{
    char clean[NAME_BYTES];
    pb_string(pb, field, ds_clean_text(name, clean, sizeof clean));
}

/* The machine's clocks at one moment: the picture can show the time of day. */
static void put_clocks(struct trace *trace, const struct rf_header *header)
{
    const uint64_t times[2][2] = {{CLOCK_OF_BOOTTIME, header->created_mono_ns},
                                  {CLOCK_OF_REALTIME, header->created_real_ns}};
    struct pb packet = {0}, snapshot = {0};
    for (int i = 0; i < 2; i++) {
        struct pb clock = {0};
        pb_integer(&clock, CLOCK_ID, times[i][0]);
        pb_integer(&clock, CLOCK_TIMESTAMP, times[i][1]);
        pb_message(&snapshot, SNAPSHOT_CLOCKS, &clock);
    }
    pb_message(&packet, PACKET_CLOCK_SNAPSHOT, &snapshot);
    put_packet(trace, &packet);
}

/* A row under `parent` (0: none). Returns its number. */
static uint64_t put_track(struct trace *trace, const char *name, uint64_t parent,
                          const char *counter_unit)
{
    struct pb packet = {0}, track = {0}, counter = {0};
    pb_integer(&track, TRACK_UUID, ++trace->next_track);
    put_name(&track, TRACK_NAME, name);
    if (parent != 0)
        pb_integer(&track, TRACK_PARENT, parent);
    if (counter_unit != NULL) {
        pb_string(&counter, COUNTER_UNIT_NAME, counter_unit);
        pb_message(&track, TRACK_COUNTER, &counter);
    }
    pb_message(&packet, PACKET_TRACK_DESCRIPTOR, &track);
    put_packet(trace, &packet);
    return trace->next_track;
}

static uint64_t put_process(struct trace *trace, uint64_t pid, const char *name)
{
    struct pb packet = {0}, track = {0}, process = {0};
    pb_integer(&process, PROCESS_PID, pid);
    put_name(&process, PROCESS_NAME, name);
    pb_integer(&track, TRACK_UUID, ++trace->next_track);
    pb_message(&track, TRACK_PROCESS, &process);
    pb_message(&packet, PACKET_TRACK_DESCRIPTOR, &track);
    put_packet(trace, &packet);
    return trace->next_track;
}

static void put_event(struct trace *trace, uint64_t track, uint64_t time_ns, uint32_t type,
                      struct pb *event)
{
    struct pb packet = {0};
    pb_integer(event, EVENT_TYPE, type);
    pb_integer(event, EVENT_TRACK, track);
    pb_integer(&packet, PACKET_TIMESTAMP, time_ns);
    pb_message(&packet, PACKET_TRACK_EVENT, event);
    put_packet(trace, &packet);
}

static void put_counter(struct trace *trace, uint64_t track, uint64_t time_ns, double value)
{
    struct pb event = {0};
    pb_double(&event, EVENT_DOUBLE, value);
    put_event(trace, track, time_ns, COUNTER, &event);
}

static void note(struct pb *event, const char *name, uint64_t value)
{
    struct pb annotation = {0};
    if (value == DATASTALL_UNKNOWN)
        return;
    pb_string(&annotation, NOTE_NAME, name);
    pb_integer(&annotation, NOTE_UINT, value);
    pb_message(event, EVENT_NOTES, &annotation);
}

static void note_ms(struct pb *event, const char *name, uint64_t ns)
{
    struct pb annotation = {0};
    if (ns == DATASTALL_UNKNOWN)
        return;
    pb_string(&annotation, NOTE_NAME, name);
    pb_double(&annotation, NOTE_DOUBLE, (double)ns * 1e-6);
    pb_message(event, EVENT_NOTES, &annotation);
}

/* ---- slices ---- */

static const char *wait_name(uint32_t kind)
{
    static const char *const names[] = {"wait", "wait, first batch", "iter()", "wait, end of data",
                                        "wait, failed"};
    return kind < sizeof names / sizeof *names ? names[kind] : "wait";
}

static void put_part(struct trace *trace, uint64_t track, const char *name, uint64_t begin_ns,
                     uint64_t end_ns)
{
    struct pb begin = {0}, end = {0};
    if (end_ns <= begin_ns)
        return;
    pb_string(&begin, EVENT_NAME, name);
    put_event(trace, track, begin_ns, SLICE_BEGIN, &begin);
    put_event(trace, track, end_ns, SLICE_END, &end);
}

static void put_slice(struct trace *trace, uint64_t track, const struct run_process *process,
                      const struct slice *slice)
{
    static const char *const names[] = {"", "stall", "batch", "pin"};
    static const char *const categories[] = {"wait", "stall", "worker", "pin"};
    struct pb begin = {0}, end = {0};
    char name[NAME_BYTES];
    if (slice->kind == KIND_WAIT && slice->loader < process->loader_count)
        snprintf(name, sizeof name, "%s: %s", wait_name(slice->wait_kind),
                 process->loaders[slice->loader].entry.name);
    else
        snprintf(name, sizeof name, "%s",
                 slice->kind == KIND_WAIT ? wait_name(slice->wait_kind) : names[slice->kind]);
    put_name(&begin, EVENT_NAME, name);
    pb_string(&begin, EVENT_CATEGORY, categories[slice->kind]);
    note(&begin, "batch", slice->batch);
    note(&begin, "samples", slice->samples);
    note_ms(&begin, "slowest_item_ms", slice->slowest_ns);
    note(&begin, "slowest_item_index", slice->slowest_index);
    put_event(trace, track, slice->begin_ns, SLICE_BEGIN, &begin);
    if (slice->items_end_ns != 0) {
        put_part(trace, track, "items", slice->begin_ns, slice->items_end_ns);
        put_part(trace, track, "collation", slice->items_end_ns, slice->end_ns);
    }
    put_event(trace, track, slice->end_ns, SLICE_END, &end);
}

/* ---- lanes ---- */

struct lanes {
    struct lane *of;
    uint32_t count;
    bool failed;
};

static struct lane *lane_for(struct lanes *lanes, enum kind kind, uint64_t key, uint32_t loader)
{
    for (uint32_t i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->of[i];
        if (lane->kind == kind && lane->key == key && lane->loader == loader)
            return lane;
    }
    struct lane *more = realloc(lanes->of, (lanes->count + 1) * sizeof *more);
    lanes->failed |= more == NULL;
    if (more == NULL)
        return NULL;
    lanes->of = more;
    more[lanes->count] = (struct lane){.kind = kind, .key = key, .loader = loader};
    return &more[lanes->count++];
}

static void add_slice(struct lanes *lanes, struct lane *lane, const struct slice *slice)
{
    if (lane == NULL || slice->end_ns <= slice->begin_ns || slice->end_ns == DATASTALL_UNKNOWN)
        return;
    if (lane->count == 0 || (lane->count & (lane->count - 1)) == 0) { /* room is a power of two */
        const size_t room = lane->count == 0 ? 1 : (size_t)2 * lane->count;
        struct slice *more = realloc(lane->slices, room * sizeof *more);
        lanes->failed |= more == NULL;
        if (more == NULL)
            return;
        lane->slices = more;
    }
    lane->slices[lane->count++] = *slice;
}

static struct slice slice_of(enum kind kind, uint64_t begin_ns, uint64_t end_ns, uint64_t batch)
{
    return (struct slice){.kind = kind,
                          .begin_ns = begin_ns,
                          .end_ns = end_ns,
                          .batch = batch,
                          .samples = DATASTALL_UNKNOWN,
                          .slowest_ns = DATASTALL_UNKNOWN,
                          .slowest_index = DATASTALL_UNKNOWN};
}

/* A stall is the end of its wait: the device ran dry then, and stayed so. */
static void add_stall(struct lanes *lanes, uint64_t thread, uint64_t begin_ns, uint64_t end_ns,
                      uint64_t exposed_ns, uint64_t batch)
{
    if (exposed_ns == DATASTALL_UNKNOWN || exposed_ns == 0 || exposed_ns > end_ns - begin_ns)
        return;
    const struct slice slice = slice_of(KIND_STALL, end_ns - exposed_ns, end_ns, batch);
    add_slice(lanes, lane_for(lanes, KIND_STALL, thread, 0), &slice);
}

/* By its number in the file's loader table; loader_count: it has no records. */
static uint32_t place_of(const struct run_process *process, uint64_t number)
{
    uint32_t i = 0;
    while (i < process->loader_count && process->loaders[i].index != number)
        i++;
    return i;
}

static void add_rings(const struct run_process *process, const struct run_rings *rings,
                      struct lanes *lanes)
{
    for (uint32_t i = 0; i < rings->wait_count; i++) {
        const struct run_ring_wait *wait = &rings->waits[i];
        struct slice slice = slice_of(KIND_WAIT, wait->begin_ns, wait->end_ns, wait->batch);
        slice.samples = wait->samples;
        slice.wait_kind = wait->kind;
        slice.loader = place_of(process, wait->loader);
        add_slice(lanes, lane_for(lanes, KIND_WAIT, wait->thread, 0), &slice);
        add_stall(lanes, wait->thread, wait->begin_ns, wait->end_ns, wait->exposed.upper_ns,
                  wait->batch);
    }
    for (uint32_t i = 0; i < rings->work_count; i++) {
        const struct run_ring_work *work = &rings->work[i];
        struct slice slice = slice_of(KIND_WORK, work->begin_ns, work->end_ns, DATASTALL_UNKNOWN);
        slice.items_end_ns = work->items_end_ns;
        slice.slowest_ns = work->slowest_ns == 0 ? DATASTALL_UNKNOWN : work->slowest_ns;
        slice.slowest_index = work->slowest_ns == 0 ? DATASTALL_UNKNOWN : work->slowest_index;
        add_slice(lanes, lane_for(lanes, KIND_WORK, work->worker, place_of(process, work->loader)),
                  &slice);
    }
}

/* From when on the rings have a loader's waits, and the worker's batches. */
static uint64_t waits_since(const struct run_rings *rings, uint64_t loader)
{
    for (uint32_t i = 0; i < rings->wait_count; i++) {
        if (rings->waits[i].loader == loader)
            return rings->waits[i].begin_ns;
    }
    return DATASTALL_UNKNOWN;
}
static uint64_t work_since(const struct run_rings *rings, uint64_t loader, uint64_t worker)
{
    uint64_t since_ns = DATASTALL_UNKNOWN;
    for (uint32_t i = 0; i < rings->work_count; i++) {
        const struct run_ring_work *work = &rings->work[i];
        if (work->loader == loader && work->worker == worker && work->begin_ns < since_ns)
            since_ns = work->begin_ns;
    }
    return since_ns;
}

static void add_kept_batch(const struct run_process *process, const struct run_rings *rings,
                           uint64_t loader, const struct kept_batch *kept, struct lanes *lanes)
{
    const uint32_t place = place_of(process, loader);
    const uint64_t worker = kept->worker == UINT32_MAX ? RF_WORKER_MAIN : kept->worker;
    const uint64_t thread =
        place < process->loader_count ? process->loaders[place].thread_ids[0] : 0;
    if (kept->got_ns <= waits_since(rings, loader)) {
        struct slice slice = slice_of(KIND_WAIT, kept->asked_ns, kept->got_ns, kept->batch);
        slice.loader = place;
        add_slice(lanes, lane_for(lanes, KIND_WAIT, thread, 0), &slice);
        add_stall(lanes, thread, kept->asked_ns, kept->got_ns, kept->exposed_ns, kept->batch);
    }
    if (kept->made_ns <= work_since(rings, loader, worker)) {
        struct slice slice = slice_of(KIND_WORK, kept->begun_ns, kept->made_ns, kept->batch);
        slice.items_end_ns = kept->items_ns == DATASTALL_UNKNOWN ? 0 : kept->items_ns;
        add_slice(lanes, lane_for(lanes, KIND_WORK, worker, place), &slice);
    }
    const struct slice pin = slice_of(KIND_PIN, kept->pin_begin_ns, kept->pin_end_ns, kept->batch);
    if (pin.end_ns != DATASTALL_UNKNOWN)
        add_slice(lanes, lane_for(lanes, KIND_PIN, 0, place), &pin);
}

static void add_kept(const struct run_process *process, const struct run_rings *rings,
                     struct lanes *lanes)
{
    for (uint32_t i = 0; i < process->stretches_count; i++) {
        const struct run_stretches *stretches = &process->stretches[i];
        struct kept_batch *batches = calloc((size_t)stretches->batch_count + 1, sizeof *batches);
        const uint32_t count = batches == NULL ? 0 : kept_batches(stretches, batches);
        lanes->failed |= batches == NULL;
        for (uint32_t b = 0; b < count; b++)
            add_kept_batch(process, rings, stretches->loader, &batches[b], lanes);
        free(batches);
    }
}

static int compare_slices(const void *a, const void *b)
{
    const struct slice *one = a, *other = b;
    return one->begin_ns < other->begin_ns ? -1 : one->begin_ns > other->begin_ns;
}

/* Cut where they overlap: a stretch's times add up from rounded ones. */
static void put_lane(struct trace *trace, const struct run_process *process, struct lane *lane,
                     uint64_t parent)
{
    char name[NAME_BYTES];
    uint64_t since_ns = 0;
    const char *loader =
        lane->loader < process->loader_count ? process->loaders[lane->loader].entry.name : "";
    if (lane->kind == KIND_WORK && lane->key == RF_WORKER_MAIN)
        snprintf(name, sizeof name, "loading in the loop, %s", loader);
    else if (lane->kind == KIND_WORK)
        snprintf(name, sizeof name, "worker %llu, %s", (unsigned long long)lane->key, loader);
    else if (lane->kind == KIND_PIN)
        snprintf(name, sizeof name, "pin thread, %s", loader);
    else
        snprintf(name, sizeof name, "%s, thread %llu",
                 lane->kind == KIND_WAIT ? "loop" : "GPU without input",
                 (unsigned long long)lane->key);
    if (lane->count == 0)
        return;
    const uint64_t track = put_track(trace, name, parent, NULL);
    qsort(lane->slices, lane->count, sizeof *lane->slices, compare_slices);
    for (uint32_t i = 0; i < lane->count; i++) {
        struct slice *slice = &lane->slices[i];
        if (slice->begin_ns < since_ns)
            slice->begin_ns = since_ns;
        if (slice->items_end_ns != 0 && slice->items_end_ns < slice->begin_ns)
            slice->items_end_ns = slice->begin_ns;
        if (slice->end_ns <= slice->begin_ns || slice->items_end_ns > slice->end_ns)
            continue;
        put_slice(trace, track, process, slice);
        since_ns = slice->end_ns;
    }
}

static void put_process_lanes(struct trace *trace, const struct summary *summary,
                              const struct run_process *process)
{
    struct lanes lanes = {0};
    struct run_rings rings;
    char name[NAME_BYTES];
    const uint64_t rank = process->view.fixed.rank;
    if (rank != DATASTALL_UNKNOWN)
        snprintf(name, sizeof name, "rank %llu on %s", (unsigned long long)rank,
                 process->view.fixed.hostname);
    else
        snprintf(name, sizeof name, "%.128s", process->view.fixed.command);
    const uint64_t parent = put_process(trace, process->view.fixed.pid, name);
    if (run_rings_read(summary->data, process, &rings) != DATASTALL_OK)
        rings = (struct run_rings){0}; /* it is gone since; the rest of it is in memory */
    add_rings(process, &rings, &lanes);
    add_kept(process, &rings, &lanes);
    run_rings_free(&rings);
    static const enum kind order[] = {KIND_WAIT, KIND_STALL, KIND_PIN, KIND_WORK};
    for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
        for (uint32_t i = 0; i < lanes.count; i++) {
            if (lanes.of[i].kind == order[k])
                put_lane(trace, process, &lanes.of[i], parent);
        }
    }
    trace->failed |= lanes.failed;
    for (uint32_t i = 0; i < lanes.count; i++)
        free(lanes.of[i].slices);
    free(lanes.of);
}

/* ---- counters ---- */

struct gpu_counters {
    uint64_t busy, memory, power;
};

/* The samples of the ring. */
static void put_samples(struct trace *trace, const struct rf_gpu_view *gpu,
                        const struct gpu_counters *tracks)
{
    const uint64_t samples = gpu->words[RF_GPU_SAMPLES];
    const uint64_t kept = samples < gpu->layout.recent ? samples : gpu->layout.recent;
    for (uint64_t i = samples - kept; i < samples; i++) {
        const uint64_t *row = gpu->block + gpu->layout.ring_at +
                              (i & (gpu->layout.recent - 1)) * gpu->layout.sample_words;
        const uint64_t activity = row[RF_GPU_SAMPLE_ACTIVITY], time_ns = row[RF_GPU_SAMPLE_NS];
        if (row[RF_GPU_SAMPLE_SEQUENCE] != i + 1 || time_ns > RF_MOST_NS)
            continue;
        if (activity != 0) /* of the time before it, as far as that went */
            put_counter(trace, tracks->busy,
                        time_ns - ds_least(time_ns, rf_activity_span_ns(activity)),
                        rf_activity_share(activity) * 100);
        if (row[RF_GPU_SAMPLE_MEMORY_USED] != RF_UNKNOWN)
            put_counter(trace, tracks->memory, time_ns, (double)row[RF_GPU_SAMPLE_MEMORY_USED]);
        if (row[RF_GPU_SAMPLE_POWER_MW] != RF_UNKNOWN)
            put_counter(trace, tracks->power, time_ns, (double)row[RF_GPU_SAMPLE_POWER_MW] * 1e-3);
    }
}

/* The begin of what the ring holds: before it, spans tell. */
static uint64_t samples_since(const struct rf_gpu_view *gpu)
{
    const uint64_t samples = gpu->words[RF_GPU_SAMPLES];
    const uint64_t kept = samples < gpu->layout.recent ? samples : gpu->layout.recent;
    const uint64_t *row = gpu->block + gpu->layout.ring_at +
                          ((samples - kept) & (gpu->layout.recent - 1)) * gpu->layout.sample_words;
    return samples == 0 ? 0 : row[RF_GPU_SAMPLE_NS];
}

static int compare_spans(const void *a, const void *b)
{
    const uint64_t x = (*(const uint64_t *const *)a)[RF_GPU_ROLLUP_NUMBER];
    const uint64_t y = (*(const uint64_t *const *)b)[RF_GPU_ROLLUP_NUMBER];
    return x < y ? -1 : x > y;
}

/* The spans of one level before a time. */
static void put_spans(struct trace *trace, const struct rf_gpu_view *gpu, uint32_t level,
                      uint64_t until_ns, const struct gpu_counters *tracks)
{
    const struct rf_gpu_layout *layout = &gpu->layout;
    const uint64_t width_ns = run_history_width_s(level) * DS_NS_PER_S;
    const uint64_t **spans = calloc(layout->rollup_buckets + 1, sizeof *spans);
    uint64_t count = 0;
    trace->failed |= spans == NULL;
    for (uint64_t i = 0; spans != NULL && i < layout->rollup_buckets; i++) {
        const uint64_t *words = gpu->block + layout->rollup_at +
                                (level * layout->rollup_buckets + i) * layout->rollup_words;
        if (words[RF_GPU_ROLLUP_NUMBER] != 0 && words[RF_GPU_ROLLUP_NUMBER] <= until_ns / width_ns)
            spans[count++] = words;
    }
    if (count > 1)
        qsort(spans, count, sizeof *spans, compare_spans);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t *w = spans[i];
        const uint64_t begin_ns = (w[RF_GPU_ROLLUP_NUMBER] - 1) * width_ns;
        if (w[RF_GPU_ROLLUP_ACTIVITY_NS] > 0)
            put_counter(trace, tracks->busy, begin_ns,
                        100 * (double)w[RF_GPU_ROLLUP_BUSY_NS] /
                            (double)w[RF_GPU_ROLLUP_ACTIVITY_NS]);
        if (w[RF_GPU_ROLLUP_MEMORY_USED_MAX] > 0)
            put_counter(trace, tracks->memory, begin_ns, (double)w[RF_GPU_ROLLUP_MEMORY_USED_MAX]);
        if (w[RF_GPU_ROLLUP_POWER_COUNT] > 0)
            put_counter(trace, tracks->power, begin_ns,
                        (double)w[RF_GPU_ROLLUP_POWER_MW_SUM] * 1e-3 /
                            (double)w[RF_GPU_ROLLUP_POWER_COUNT]);
    }
    free(spans);
}

/* The finest level that reaches back to the device's first sample. */
static uint32_t level_of(const struct rf_gpu_view *gpu)
{
    const uint64_t length_ns = ds_subtract(gpu->words[RF_GPU_LAST_NS], gpu->words[RF_GPU_FIRST_NS]);
    uint32_t level = 0;
    while (level + 1 < gpu->layout.rollup_levels && level + 1 < RF_ROLLUP_LEVELS &&
           length_ns / (run_history_width_s(level) * DS_NS_PER_S) + 2 > gpu->layout.rollup_buckets)
        level++;
    return level;
}

static void put_gpu(struct trace *trace, const struct rf_gpu_view *gpu)
{
    char name[NAME_BYTES];
    if (gpu->block == NULL || gpu->layout.sample_words < RF_GPU_SAMPLE_WORDS)
        return;
    snprintf(name, sizeof name, "GPU %llu: %s", (unsigned long long)gpu->fixed.index,
             gpu->fixed.name);
    const uint64_t parent = put_track(trace, name, 0, NULL);
    const struct gpu_counters tracks = {put_track(trace, "busy", parent, "%"),
                                        put_track(trace, "memory in use", parent, "bytes"),
                                        put_track(trace, "power", parent, "W")};
    if (gpu->layout.rollup_words >= RF_GPU_ROLLUP_WORDS && gpu->layout.rollup_levels > 0)
        put_spans(trace, gpu, level_of(gpu), samples_since(gpu), &tracks);
    put_samples(trace, gpu, &tracks);
}

int perfetto_write(const struct summary *summary, char **bytes, size_t *length)
{
    const struct run_data *data = summary->data;
    struct trace trace = {.file = open_memstream(bytes, length)};
    if (trace.file == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    if (data->has_launcher)
        put_clocks(&trace, &data->launcher.header);
    else if (data->process_count > 0)
        put_clocks(&trace, &data->processes[0].header);
    for (uint32_t i = 0; i < data->process_count; i++)
        put_process_lanes(&trace, summary, &data->processes[i]);
    for (uint32_t i = 0; i < data->gpu_count; i++)
        put_gpu(&trace, &data->gpus[i]);
    trace.failed |= fclose(trace.file) != 0;
    if (!trace.failed)
        return DATASTALL_OK;
    free(*bytes);
    *bytes = NULL;
    return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
}
