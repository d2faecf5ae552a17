/* SPDX-License-Identifier: Apache-2.0 */
/* All that is said of many runs made up at random, whole summaries of them and comparisons, as somebody
 * approved it (approved.h): what the rows of other tests were not written for. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "approved.h"
#include "diagnose/check.h"
#include "diagnose/compare.h"
#include "diagnose/cost.h"
#include "diagnose/why_sentences.h"
#include "output/card.h"
#include "output/comparison.h"
#include "output/report.h"
#include "output/shape.h"
#include "output/shape_predict.h"
#include "output/text.h"
#include "output/text_predict.h"
#include "recorded.h"
#include "world.h"

#define RUNS 1000u
#define PLANS 120u
/* From there on round ones. */
#define ROUND_RUNS 600u
#define ROUND_PLANS 60u
#define LOADERS 3u
#define WORKERS 6u
#define STAGES 3u

/* A run of up to three ranks, of up to three loaders each. */
struct many {
    struct world world;
    struct run_loader loaders[WORLD_PROCESSES][LOADERS];
    struct rf_worker_view workers[WORLD_PROCESSES][WORKERS];
    struct run_history histories[WORLD_PROCESSES][LOADERS];
    struct run_steps steps[WORLD_PROCESSES];
};
static struct many runs[2];

/* How a whole is spread over parts, one of which is likely to have most of it. */
static void spread(uint64_t whole, uint64_t *parts, uint32_t count)
{
    const uint32_t most = (uint32_t)made_up_below(count);
    uint64_t left = whole;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t part = i == most            ? left / 10 * (4 + made_up_below(6))
                              : made_up_once_in(3) ? left / 100 * made_up_below(20)
                                                   : 0;
        parts[i] = part;
        left -= part;
    }
    parts[most] += left;
}

/* ---- loaders ---- */

static void make_entry(struct rf_loader_entry *entry, uint32_t l)
{
    static const uint64_t workers[] = {0, 1, 1, 2, 2, 4, 8, 64, DATASTALL_UNKNOWN};
    static const uint64_t prefetch[] = {2, 2, 2, 1, 4, DATASTALL_UNKNOWN};
    static const char *const names[] = {"train", "val", "train.py:12"};
    snprintf(entry->name, sizeof entry->name, "%s", names[l]);
    snprintf(entry->site, sizeof entry->site, "train.py:%u", 12 + l);
    if (made_up_once_in(2))
        snprintf(entry->dataset_type, sizeof entry->dataset_type, "Rows");
    entry->source = made_up_once_in(8) ? DATASTALL_SOURCE_MANUAL : DATASTALL_SOURCE_TORCH;
    entry->num_workers = workers[made_up_below(sizeof workers / sizeof *workers)];
    entry->prefetch_factor = prefetch[made_up_below(sizeof prefetch / sizeof *prefetch)];
    entry->batch_size = made_up_once_in(4) ? DATASTALL_UNKNOWN : 1 + made_up_below(64);
    entry->flags = made_up() & made_up() & 0x7f;
    entry->objects = 1 + (made_up_once_in(4) ? made_up_below(40) : 0);
    entry->dropped = made_up_once_in(6) ? made_up_below(20) : 0;
    entry->unknown_worker_batches = made_up_once_in(10) ? made_up_below(9) : 0;
}

static void make_waits(struct run_loader *loader, uint64_t window_ns)
{
    uint64_t *c = loader->totals.counters;
    const uint64_t stall_ns =
        made_up_once_in(4) ? made_up_part(window_ns) : window_ns / 20 * (1 + made_up_below(20));
    const uint64_t batches = made_up_size(0, 16);
    const uint64_t epochs = made_up_once_in(2) ? 1 : 1 + made_up_below(batches);
    const uint64_t first_ns =
        made_up_once_in(3) ? made_up_part(stall_ns) : stall_ns / 100 * made_up_below(10);
    c[RF_COUNT_BATCHES] = batches;
    c[RF_COUNT_ITERATORS] = epochs;
    c[RF_COUNT_SEQUENCE] = batches + epochs;
    c[RF_COUNT_STEADY] = batches > epochs ? batches - epochs : 0;
    c[RF_COUNT_STARTUP] = 2 * epochs;
    c[RF_COUNT_STARTUP_NS] = c[RF_COUNT_OTHER_NS] = first_ns;
    c[RF_COUNT_STEADY_NS] = stall_ns - first_ns;
    c[RF_COUNT_STEADY_MIN] = c[RF_COUNT_STEADY_NS] / (2 * batches);
    c[RF_COUNT_STEADY_MAX] = c[RF_COUNT_MAX_NS] = c[RF_COUNT_STEADY_NS] / 2 + 1;
    c[RF_COUNT_STARTUP_MIN] = first_ns / (4 * epochs);
    c[RF_COUNT_STARTUP_MAX] = first_ns / 2;
    c[RF_COUNT_STARVED] = made_up_part(c[RF_COUNT_STEADY]);
    if (made_up_once_in(10)) {
        c[RF_COUNT_FAILED] = 1 + made_up_below(3);
        c[RF_COUNT_FAILED_NS] = made_up_part(first_ns);
    }
    if (!made_up_once_in(4)) {
        c[RF_COUNT_SAMPLES_BATCHES] = batches;
        c[RF_COUNT_SAMPLES] = batches * (1 + made_up_below(32));
    }
    if (made_up_once_in(3)) {
        c[RF_COUNT_TOKENS_BATCHES] = batches;
        c[RF_COUNT_TOKENS] = c[RF_COUNT_PACKED_TOKENS] = batches * made_up_below(4096);
        c[RF_COUNT_PACKED_PADDED] = c[RF_COUNT_TOKENS] + made_up_part(c[RF_COUNT_TOKENS]);
        c[RF_COUNT_LONGEST_MAX] = c[RF_COUNT_LONGEST_SUM] = made_up_below(9000);
        c[RF_COUNT_LONGEST_BATCHES] = made_up_below(3);
        c[RF_COUNT_TOKENS_SAMPLED] = made_up_part(batches);
    }
    for (uint32_t i = 0; i < 4; i++)
        c[RF_COUNT_QUEUE + i] = made_up_part(c[RF_COUNT_STEADY] / 4);
    for (uint32_t i = 0; i < 6; i++) {
        loader->totals.steady[made_up_below(HISTOGRAM_BUCKETS)] += made_up_part(batches);
        loader->totals.startup[made_up_below(HISTOGRAM_BUCKETS)] += made_up_part(epochs);
    }
}

static void make_causes(struct run_loader *loader)
{
    uint64_t *c = loader->totals.counters;
    const uint64_t stall_ns = c[RF_COUNT_STEADY_NS] + c[RF_COUNT_STARTUP_NS];
    const uint64_t batches = c[RF_COUNT_BATCHES];
    spread(stall_ns, &c[RF_COUNT_CAUSE_NS], CAUSE_STATES - (uint32_t)made_up_below(2));
    c[RF_COUNT_CAUSES] = batches;
    if (made_up_once_in(3)) {
        c[RF_COUNT_LATER_READY_NS] = made_up_part(stall_ns);
        c[RF_COUNT_OTHERS_IDLE_NS] = made_up_part(c[RF_COUNT_LATER_READY_NS]);
        c[RF_COUNT_WINDOW_FULL_NS] = made_up_part(c[RF_COUNT_OTHERS_IDLE_NS]);
        c[RF_COUNT_REPLAYED] = made_up_part(batches);
        c[RF_COUNT_REPLAYED_NS] = c[RF_COUNT_REPLAY_NS] = made_up_part(stall_ns);
        c[RF_COUNT_REPLAY_LARGER_NS] = made_up_part(c[RF_COUNT_REPLAY_NS]);
    }
    c[RF_COUNT_DEPTH_WAITS] = made_up_part(batches);
    c[RF_COUNT_DEPTH_POSSIBLE] = 4 * c[RF_COUNT_DEPTH_WAITS];
    c[RF_COUNT_DEPTH_READY] = made_up_part(c[RF_COUNT_DEPTH_POSSIBLE]);
    c[RF_COUNT_DEPTH_EARLY] = made_up_part(c[RF_COUNT_DEPTH_READY]);
    c[RF_COUNT_DEPTH_IN_FLIGHT] = c[RF_COUNT_DEPTH_POSSIBLE] - c[RF_COUNT_DEPTH_READY];
    c[RF_COUNT_DEPTH_EMPTY] = made_up_part(c[RF_COUNT_DEPTH_WAITS]);
    if (made_up_once_in(3)) {
        c[RF_COUNT_SAMPLER_NS] = made_up_part(stall_ns);
        c[RF_COUNT_SAMPLER_FIRST_NS] = made_up_part(c[RF_COUNT_SAMPLER_NS]);
    }
    c[RF_COUNT_PIN_NS] = made_up_once_in(4) ? made_up_part(stall_ns) : 0;
    c[RF_COUNT_GET_CPU_BATCHES] = made_up_part(batches);
    c[RF_COUNT_GET_CPU_NS] = c[RF_COUNT_GET_CPU_BATCHES] * made_up_below(3 * MS);
}

/* What events told of its waits, on one device or two. */
static void make_exposed(struct run_loader *loader, uint32_t gpus)
{
    uint64_t *c = loader->totals.counters;
    const uint64_t waiting_ns = c[RF_COUNT_STEADY_NS] + c[RF_COUNT_OTHER_NS];
    if (made_up_once_in(4))
        return;
    c[RF_COUNT_STALL_WAITS] = made_up_part(c[RF_COUNT_BATCHES]);
    c[RF_COUNT_STALL_BOUNDS] = made_up_part(c[RF_COUNT_STALL_WAITS]);
    c[RF_COUNT_STALL_KNOWN_NS] = made_up_part(waiting_ns);
    c[RF_COUNT_STALL_UPPER_NS] = made_up_part(c[RF_COUNT_STALL_KNOWN_NS]);
    c[RF_COUNT_STALL_LOWER_NS] =
        made_up_once_in(2) ? c[RF_COUNT_STALL_UPPER_NS] : made_up_part(c[RF_COUNT_STALL_UPPER_NS]);
    loader->gpu_count = gpus == 0 ? 0 : 1 + (uint32_t)made_up_below(gpus);
    for (uint32_t g = 0; g < loader->gpu_count; g++) {
        struct run_loader_gpu *part = &loader->gpus[g];
        const uint64_t of = loader->gpu_count;
        memcpy(part->uuid, world_uuids[g], sizeof part->uuid);
        part->stall =
            (struct stall){waiting_ns / of, c[RF_COUNT_STALL_KNOWN_NS] / of,
                           c[RF_COUNT_STALL_LOWER_NS] / of, c[RF_COUNT_STALL_UPPER_NS] / of};
    }
}

static void make_history(struct run_loader *loader, struct run_history *history)
{
    const uint64_t *c = loader->totals.counters;
    memset(history, 0, sizeof *history);
    const uint64_t from = c[RF_COUNT_BEGIN_NS] / S, to = c[RF_COUNT_END_NS] / S;
    const uint64_t rate = made_up_below(50), noise = made_up_below(20);
    const uint64_t wait_ns = made_up_part(S);
    for (uint64_t second = to - from > 3000 ? to - 3000 : from; second <= to; second++) {
        const uint64_t batches = rate + made_up_below(noise + 1);
        const struct run_span span = {.batches = batches,
                                      .samples = 8 * batches,
                                      .tokens = 100 * batches,
                                      .stall = {.waiting_ns = wait_ns},
                                      .longest_ns = wait_ns / 2};
        add_second(history, second, &span);
    }
    loader->history = history;
}

static void make_slowest(struct run_loader *loader)
{
    uint64_t ns = loader->totals.counters[RF_COUNT_STEADY_MAX];
    const uint64_t count = made_up_below(RUN_SLOW_WAITS + 1);
    for (uint64_t i = 0; i < count && ns > 1; i++, ns = ns / 4 * 3)
        loader->slowest[i] = (struct run_slow_wait){
            .wait_ns = ns,
            .begin_ns = loader->totals.counters[RF_COUNT_BEGIN_NS] + made_up_below(S),
            .batch_index = made_up_below(1000),
            .samples = made_up_once_in(3) ? DATASTALL_UNKNOWN : 8,
            .tokens = DATASTALL_UNKNOWN,
            .kind = (uint32_t)made_up_below(3),
            .stage = (uint32_t)made_up_below(STAGES)};
}

static void make_loader(struct many *run, uint32_t p, uint32_t l, uint32_t gpus)
{
    struct run_loader *loader = &run->loaders[p][l];
    uint64_t *c = loader->totals.counters;
    const uint64_t window_ns = made_up_once_in(12)  ? made_up_size(5, 12)
                               : made_up_once_in(6) ? made_up_size(24, 30)
                                                    : made_up_size(31, 42);
    memset(loader, 0, sizeof *loader);
    make_entry(&loader->entry, l);
    loader->index = 1 + l;
    loader->threads = 1 + (made_up_once_in(8) ? 1 : 0);
    loader->thread_ids[0] = 100 + p;
    loader->thread_ids[1] = 200 + p;
    loader->background = made_up_once_in(8);
    c[RF_COUNT_BEGIN_NS] = 100 * S + made_up_below(S);
    c[RF_COUNT_END_NS] = c[RF_COUNT_BEGIN_NS] + window_ns;
    loader->entry.paused_ns = made_up_once_in(5) ? made_up_part(window_ns) : 0;
    make_waits(loader, window_ns - loader->entry.paused_ns);
    make_causes(loader);
    make_exposed(loader, gpus);
    make_slowest(loader);
    for (uint32_t s = 0; s < STAGES && made_up_once_in(2); s++)
        memcpy(loader->stages[s], c, sizeof loader->stages[s]);
    if (made_up_once_in(4))
        loader->waiting_since_ns = c[RF_COUNT_END_NS] + made_up_below(2 * S);
    if (!made_up_once_in(3))
        make_history(loader, &run->histories[p][l]);
}

/* ---- workers ---- */

static void make_items(struct rf_worker_view *worker, uint64_t lived_ns)
{
    uint64_t parts[6], items[4], *t = worker->totals;
    enum { ITEMS, COLLATE, GAP, STARTUP, PICKLE, OPENED };
    spread(lived_ns, parts, 6);
    if (made_up_once_in(3)) /* at work all the time */
        parts[ITEMS] += parts[GAP], parts[GAP] = 0;
    spread(parts[ITEMS], items, 4);
    t[RF_TOTAL_COUNT] = t[RF_TOTAL_BATCHES] = made_up_size(0, 12);
    t[RF_TOTAL_ITEMS] = t[RF_TOTAL_BATCHES] * (1 + made_up_below(64));
    t[RF_TOTAL_ITEMS_TIMED] = made_up_part(t[RF_TOTAL_ITEMS]);
    t[RF_TOTAL_ITEM_NS] = made_up_part(parts[ITEMS]);
    t[RF_TOTAL_ITEMS_NS] = parts[ITEMS];
    t[RF_TOTAL_ITEMS_CPU_NS] = items[0];
    t[RF_TOTAL_ITEMS_DELAY_NS] = items[1];
    t[RF_TOTAL_ITEMS_THREADS_NS] = items[2]; /* the fourth: blocked */
    t[RF_TOTAL_ITEMS_THREADS_CPU_NS] = items[2] * (1 + made_up_below(3));
    t[RF_TOTAL_COLLATE_NS] = parts[COLLATE];
    t[RF_TOTAL_COLLATE_CPU_NS] = made_up_part(parts[COLLATE]);
    t[RF_TOTAL_COLLATE_DELAY_NS] = parts[COLLATE] - t[RF_TOTAL_COLLATE_CPU_NS];
    t[RF_TOTAL_GAP_NS] = parts[GAP];
    t[RF_TOTAL_GAP_CPU_NS] = made_up_part(parts[GAP]);
    t[RF_TOTAL_PICKLE_NS] = parts[PICKLE];
    t[RF_TOTAL_PICKLE_CPU_NS] = made_up_part(parts[PICKLE]);
    t[RF_TOTAL_STARTUP_NS] = parts[STARTUP];
    t[RF_TOTAL_OPENED_NS] = made_up_part(parts[STARTUP]);
    t[RF_TOTAL_BEGIN_NS] = 100 * S;
    t[RF_TOTAL_END_NS] = 100 * S + lived_ns;
    for (uint32_t i = 0; i < 4; i++)
        worker->items[made_up_below(RF_WORKER_ITEM_BUCKETS)] = made_up_part(t[RF_TOTAL_ITEMS]);
}

static void make_sent(struct rf_worker_view *worker)
{
    uint64_t *t = worker->totals;
    t[RF_TOTAL_SENT] = made_up_once_in(5) ? 0 : t[RF_TOTAL_BATCHES];
    t[RF_TOTAL_SENT_BYTES] = t[RF_TOTAL_SENT] * made_up_size(7, 20);
    t[RF_TOTAL_SENT_TENSORS] = t[RF_TOTAL_SENT] * made_up_size(0, 8);
    t[RF_TOTAL_TENSOR_BYTES] = made_up_once_in(3) ? 0 : made_up_size(10, 30);
    t[RF_TOTAL_ENDED] = made_up_once_in(2) ? made_up_below(3) : 0;
    t[RF_TOTAL_ASKED_WHICH] = made_up_once_in(3);
    t[RF_TOTAL_ASKED_BYTES] = made_up_once_in(4) ? RF_UNKNOWN : made_up_size(4, 36);
    t[RF_TOTAL_STORAGE_BYTES] = made_up_once_in(2) ? 0 : made_up_part(made_up_size(4, 36));
    t[RF_TOTAL_MAJOR_FAULTS] = made_up_once_in(2) ? 0 : made_up_size(0, 14);
}

static void make_workers(struct many *run, uint32_t p)
{
    struct run_process *process = &run->world.processes[p];
    process->workers = run->workers[p];
    memset(run->workers[p], 0, sizeof run->workers[p]);
    for (uint32_t l = 0; l < process->loader_count; l++) {
        const struct run_loader *loader = &run->loaders[p][l];
        const uint64_t told = loader->entry.num_workers, batches = made_up_below(5);
        const uint64_t *c = loader->totals.counters;
        for (uint64_t w = 0; w < (told == 0 ? 1 : told) && w < 2; w++) {
            if (process->worker_count == WORKERS || made_up_once_in(8))
                continue;
            struct rf_worker_view *worker = &run->workers[p][process->worker_count++];
            rf_worker_counters_clear(worker->totals);
            worker->loader = loader->index;
            worker->number = told == 0 ? RF_WORKER_MAIN : w;
            worker->pid = 1000 + w;
            worker->generation = 1 + (made_up_once_in(3) ? made_up_below(20) : 0);
            make_items(worker, c[RF_COUNT_END_NS] - c[RF_COUNT_BEGIN_NS]);
            make_sent(worker);
            worker->looks = made_up_below(30);
            worker->locked = made_up_once_in(4) ? made_up_part(worker->looks) : 0;
            worker->fingerprints[0] = made_up_below(3);
            worker->fingerprints[1] = 10 + batches;
            worker->item = made_up_below(50);
            if (made_up_once_in(8))
                worker->phase = rf_pack_phase(101 * S, (enum rf_worker_phase)made_up_below(3));
            worker->slowest_count = (uint32_t)made_up_below(3);
            for (uint32_t i = 0; i < worker->slowest_count; i++)
                worker->slowest[i] = (struct rf_worker_item){made_up_size(10, 30) / (i + 1), i, S};
        }
    }
}

/* ---- processes ---- */

static void make_host(uint64_t *w)
{
    const uint64_t span_ns = made_up_size(30, 40), online = 1 + made_up_below(16);
    if (made_up_once_in(6))
        return;
    w[RF_PROCESS_HOST_FIRST_NS] = 100 * S;
    w[RF_PROCESS_HOST_NS] = 100 * S + span_ns;
    w[RF_PROCESS_CPUS_ONLINE] = online;
    w[RF_PROCESS_CPUS_MILLI] =
        made_up_once_in(4) ? 500 + made_up_below(1000 * online) : 1000 * online;
    w[RF_PROCESS_CPUS_SOURCE] = made_up_below(5);
    w[RF_PROCESS_CPU_NS] = made_up_part(span_ns);
    w[RF_PROCESS_CHILDREN_CPU_NS] = made_up_once_in(3) ? RF_UNKNOWN : made_up_part(span_ns) / 2;
    w[RF_PROCESS_WORKERS_CHILDREN_CPU_NS] =
        made_up_once_in(3) ? made_up_part(span_ns) : w[RF_PROCESS_CHILDREN_CPU_NS];
    w[RF_PROCESS_THROTTLED_NS] = made_up_once_in(3) ? made_up_part(span_ns) : 0;
    w[RF_PROCESS_CPU_PRESSURE_NS] = made_up_once_in(3) ? RF_UNKNOWN : made_up_part(span_ns);
    w[RF_PROCESS_IO_PRESSURE_NS] = made_up_once_in(3) ? RF_UNKNOWN : made_up_part(span_ns);
    w[RF_PROCESS_SHM_BYTES] = made_up_once_in(3) ? RF_UNKNOWN : made_up_size(20, 34);
    w[RF_PROCESS_SHM_USED_BYTES] = made_up_part(w[RF_PROCESS_SHM_BYTES] / 2);
    w[RF_PROCESS_IDLE_SPAN_NS] = made_up_once_in(4) ? 0 : span_ns;
    w[RF_PROCESS_IDLE_NS] = made_up_part(span_ns) * (made_up_once_in(2) ? 1 : online);
    w[RF_PROCESS_RUNNABLE_LOOKS] = made_up_below(9);
    w[RF_PROCESS_RUNNABLE] = w[RF_PROCESS_RUNNABLE_LOOKS] * (1 + made_up_below(3 * online));
}

static void make_steps(struct run_process *process, struct run_steps *steps)
{
    static const char *const what[] = {"item", "to", "synchronize", ""};
    uint64_t *t = steps->totals;
    memset(steps, 0, sizeof *steps);
    process->steps = steps;
    process->steps_count = 1;
    steps->head[RF_STEPS_COUNT] = 1;
    steps->head[RF_STEPS_IS_MAIN] = 1;
    steps->head[RF_STEPS_CLOCK] = made_up_below(4);
    steps->head[RF_STEPS_MEMORY_READS] = made_up_once_in(2) ? 0 : 10 + made_up_below(1000);
    uint64_t bytes = made_up_size(28, 36);
    for (uint32_t i = RF_STEPS_MEMORY_ALLOCATED; i <= RF_STEPS_MEMORY_RESERVED_PEAK; i++)
        steps->head[i] = bytes += made_up_part(bytes / 4);
    steps->head[RF_STEPS_MEMORY_RETRIES] = made_up_once_in(4);
    steps->head[RF_STEPS_LOW_COUNT] = made_up_below(RF_STEPS_LOWS + 1);
    for (uint32_t i = 0; i < RF_STEPS_LOWS; i++)
        steps->head[RF_STEPS_LOWS_AT + i] = bytes += made_up_part(bytes / 8);
    t[RF_STEP_TOTAL_COUNT] = 1;
    t[RF_STEP_TOTAL_STEPS] = made_up_size(0, 14);
    t[RF_STEP_TOTAL_STATED] = made_up_once_in(4) ? t[RF_STEP_TOTAL_STEPS] : 0;
    t[RF_STEP_TOTAL_REPLAYS] = made_up_once_in(5) ? made_up_below(50) : 0;
    t[RF_STEP_TOTAL_BEGIN_NS] = 100 * S;
    /* Now and then so short that a nanosecond shows. */
    t[RF_STEP_TOTAL_END_NS] =
        100 * S + (made_up_once_in(8) ? made_up_size(5, 10) : made_up_size(24, 40));
    spread(t[RF_STEP_TOTAL_END_NS] - 100 * S, &t[RF_STEP_TOTAL_HOST_NS], STEP_PHASE_COUNT);
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        t[RF_STEP_TOTAL_TIMES + i] = made_up_below(2 * t[RF_STEP_TOTAL_STEPS]);
        t[RF_STEP_TOTAL_LONGEST_NS + i] = made_up_part(t[RF_STEP_TOTAL_HOST_NS + i]);
        t[RF_STEP_TOTAL_ASKED + i] = made_up_part(400);
        t[RF_STEP_TOTAL_EMPTY + i] = made_up_part(t[RF_STEP_TOTAL_ASKED + i]);
        t[RF_STEP_TOTAL_UNTOLD + i] = made_up_once_in(4) ? made_up_below(20) : 0;
        t[RF_STEP_TOTAL_LOOKS + i] = made_up_part(200);
    }
    steps->line_count = (uint32_t)made_up_below(6);
    for (uint32_t i = 0; i < steps->line_count; i++) {
        struct rf_step_line *line = &steps->lines[i];
        line->state = 1;
        line->phase = made_up_below(STEP_PHASE_COUNT);
        line->kind = made_up_below(2);
        line->seen = made_up_part(t[RF_STEP_TOTAL_LOOKS + line->phase] / 2);
        line->empty = made_up_part(line->seen);
        if (line->kind == RF_STEP_LINE_WAITS)
            snprintf(line->what, sizeof line->what, "%s", what[made_up_below(4)]);
        snprintf(line->where, sizeof line->where, "train.py:%u", 40 + i);
    }
}

static void make_process(struct many *run, uint32_t p, uint32_t gpus)
{
    struct run_process *process = &run->world.processes[p];
    uint64_t *w = process->view.words;
    const bool uses = gpus > 0 && !made_up_once_in(5);
    w[RF_PROCESS_ACCELERATOR] = uses                 ? RF_ACCELERATOR_USED
                                : made_up_once_in(6) ? RF_ACCELERATOR_UNKNOWN
                                                     : RF_ACCELERATOR_NONE;
    if (made_up_once_in(6)) {
        w[RF_PROCESS_STATE] = RF_STATE_OPEN;
        w[RF_PROCESS_ENDED_MONO] = 0;
        process->liveness = (enum rf_liveness)made_up_below(3);
        process->recorded_ns = 150 * S;
    } else {
        w[RF_PROCESS_ENDED_MONO] = 200 * S + made_up_size(20, 42);
    }
    w[RF_PROCESS_PAUSED_NS] = made_up_once_in(4) ? made_up_size(20, 36) : 0;
    process->view.fixed.pid = 4000 + p;
    process->view.fixed.opened_mono_ns = 90 * S;
    process->view.fixed.process_start_mono_ns = 89 * S;
    process->view.fixed.world_size = made_up_once_in(3) ? DATASTALL_UNKNOWN : 3;
    process->view.fixed.restart = DATASTALL_UNKNOWN;
    snprintf(process->view.fixed.hostname, sizeof process->view.fixed.hostname, "one");
    make_host(w);
    for (uint32_t i = 0; i < 3; i++)
        w[RF_PROCESS_LOST_CONTENTION + i] = made_up_once_in(8) ? made_up_below(50) : 0;
    for (uint32_t i = 0; i < RF_REFUSAL_KINDS; i++)
        process->view.fixed.refused[i] = made_up_once_in(20);
    snprintf(process->stage_names[1], 64, "train");
    snprintf(process->stage_names[2], 64, "test");
    for (uint32_t s = 1; s < STAGES; s++) {
        w[RF_PROCESS_STAGE_NS + s] = made_up_part(made_up_size(24, 40));
        w[RF_PROCESS_STAGE_ENTRIES + s] = made_up_below(4);
    }
    process->loaders = run->loaders[p];
    process->loader_count = (uint32_t)made_up_below(LOADERS) + 1;
    for (uint32_t l = 0; l < process->loader_count; l++)
        make_loader(run, p, l, gpus);
    make_workers(run, p);
    if (made_up_once_in(2))
        make_steps(process, &run->steps[p]);
}

static void make_gpu(uint32_t g)
{
    static const enum rf_activity_source sources[] = {RF_ACTIVITY_GPM, RF_ACTIVITY_NVML};
    const uint64_t end_ns = 101 * S + made_up_size(26, 40);
    struct rf_gpu_view *gpu = &world.gpus[g];
    memset(gpu, 0, sizeof *gpu);
    set_gpu(g, sources[made_up_below(2)], 100 * S, end_ns, (double)made_up_below(101) / 100);
    if (made_up_once_in(2))
        add_sample(g, end_ns, end_ns + S, (double)made_up_below(101) / 100);
    uint64_t *w = gpu->words;
    w[RF_GPU_STATE] = made_up_once_in(6) ? made_up_below(6) : RF_GPU_OK;
    w[RF_GPU_ERROR] = made_up_once_in(6) ? made_up_below(20) : 0;
    w[RF_GPU_FIRST_NS] = 100 * S;
    w[RF_GPU_LAST_NS] = end_ns;
    w[RF_GPU_CALL_NS] = made_up_once_in(8) ? end_ns : 0;
    w[RF_GPU_BUSY_COUNT] = 10;
    w[RF_GPU_BUSY_PERCENT_SUM] = made_up_below(1000);
    spread(end_ns - 100 * S, &w[RF_GPU_BUSY_NS], 3);
    w[RF_GPU_MEMORY_COUNT] = w[RF_GPU_POWER_COUNT] = made_up_below(3) * 5;
    w[RF_GPU_MEMORY_TOTAL] = UINT64_C(1) << 36;
    w[RF_GPU_MEMORY_USED_PEAK] = made_up_part(UINT64_C(1) << 36);
    w[RF_GPU_POWER_MW_SUM] = made_up_below(3000000);
    w[RF_GPU_POWER_MW_MAX] = made_up_below(700000);
    w[RF_GPU_POWER_MW_MIN] = made_up_below(90000);
    w[RF_GPU_TEMPERATURE_COUNT] = w[RF_GPU_SM_CLOCK_COUNT] = made_up_below(2) * 5;
    w[RF_GPU_TEMPERATURE_SUM] = made_up_below(400);
    w[RF_GPU_TEMPERATURE_MAX] = made_up_below(95);
    w[RF_GPU_SM_CLOCK_MHZ_SUM] = made_up_below(9000);
    w[RF_GPU_ENERGY_NS] = made_up_part(end_ns - 100 * S);
    w[RF_GPU_ENERGY_UJ] = w[RF_GPU_ENERGY_NS] / 1000 * made_up_below(600);
    w[RF_GPU_HELD_KNOWN_NS] = made_up_part(end_ns - 100 * S);
    for (uint32_t i = RF_GPU_HELD_POWER_NS; i <= RF_GPU_HELD_HARDWARE_NS; i++)
        w[i] = made_up_once_in(2) ? made_up_part(w[RF_GPU_HELD_KNOWN_NS]) : 0;
    for (uint32_t i = RF_GPU_GPM; i <= RF_GPU_GPM_LAST; i++)
        w[i] = made_up_part(end_ns - 100 * S);
    gpu->fixed.index = g;
    snprintf(gpu->fixed.name, sizeof gpu->fixed.name, "Some GPU");
}

static void make_launcher(void)
{
    static const enum rf_liveness alive[] = {RF_DEAD, RF_ALIVE, RF_UNSEEN};
    if (made_up_once_in(4))
        return;
    set_launcher(made_up_once_in(3) ? RF_STATE_OPEN : RF_STATE_CLOSED, alive[made_up_below(3)]);
    struct run_process *launcher = &world.data.launcher;
    launcher->view.words[RF_PROCESS_EXIT_KNOWN] = !made_up_once_in(3);
    launcher->view.words[RF_PROCESS_EXIT_STATUS] = made_up_once_in(3) ? made_up_below(140) : 0;
    launcher->view.words[RF_PROCESS_ENDED_MONO] = 300 * S;
    launcher->view.fixed.opened_mono_ns = 80 * S;
    snprintf(launcher->view.fixed.command, sizeof launcher->view.fixed.command, "python train.py");
    if (made_up_once_in(4))
        snprintf(launcher->view.fixed.settings, sizeof launcher->view.fixed.settings,
                 "num_workers=4");
    world.data.command = alive[made_up_below(3)];
}

/* One of the two runs, from the seed on. `world` is that run until the next one is made. */
static struct summary *make_run(uint32_t side, uint64_t seed)
{
    struct many *run = &runs[side];
    made_up_begin(seed);
    const uint32_t ranks = 1 + (uint32_t)made_up_below(WORLD_PROCESSES);
    const uint32_t gpus = (uint32_t)made_up_below(WORLD_GPUS + 1);
    begin_world(ranks);
    make_launcher();
    for (uint32_t g = 0; g < gpus; g++)
        make_gpu(g);
    world.data.files = ranks + 1;
    world.data.unreadable_files = made_up_once_in(10);
    world.data.problems = made_up_once_in(10);
    snprintf(world.data.first_problem, sizeof world.data.first_problem, "a slot is damaged");
    world.data.gpu_state = made_up_once_in(5) ? made_up_below(6) : RF_GPU_OK;
    world.data.gpu_end = made_up_once_in(6) ? made_up_below(7) : 0;
    world.data.gpu_end_detail = made_up_below(12);
    snprintf(world.data.id, sizeof world.data.id, "run-%u", side);
    /* What points into it moves along. */
    run->world = world;
    run->world.data.processes = run->world.processes;
    run->world.data.gpus = run->world.gpus;
    for (uint32_t g = 0; g < gpus; g++)
        run->world.gpus[g].block = run->world.samples[g];
    for (uint32_t p = 0; p < ranks; p++)
        make_process(run, p, gpus);
    struct summary *summary = NULL;
    assert_int_equal(summary_make(&run->world.data, 5000 * S, &summary), 0);
    summary->price_per_gpu_hour = made_up_once_in(3) ? 2.5 : NAN;
    return summary;
}

/* ---- what is said ---- */

static void say_checks(const struct summary *summary)
{
    static const char *const conditions[] = {"stall<10", "stall<90", "wait-mean<5ms",
                                             "samples/s>100", "severity<severe"};
    char sentence[400];
    for (uint32_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const enum check_result result =
            check_condition(summary, conditions[i], sentence, sizeof sentence);
        fprintf(approved_stream(), "%d %s\n", (int)result, sentence);
    }
}

static struct range made_up_range(void)
{
    static const double bounds[] = {1, 10, 9.99, 100};
    const double lower =
        made_up_once_in(4) ? bounds[made_up_below(4)] : 0.5 + (double)made_up_below(3000) / 100;
    const double width = made_up_once_in(4) ? 0 : (double)made_up_below(400) / 100;
    return (struct range){lower + width / 2, lower, lower + width};
}

/* What would be said of a loader if it were of this cause, and a replay had told something. */
static void say_cause(const struct summary_loader *loader, uint32_t cause)
{
    struct why why = loader->why;
    struct why_setting *setting = &why.setting;
    why.primary = cause;
    why.evidence_count = 0;
    why.suggestion[0] = '\0';
    setting->is_replayed = made_up_once_in(2);
    setting->workers = made_up_once_in(3) ? 0 : 1 + (uint32_t)made_up_below(8);
    setting->gain = (double)made_up_below(100) / 100;
    setting->most_workers = made_up_once_in(4) ? NAN : (double)made_up_below(90) / 10;
    setting->in_loop_ns = made_up_once_in(2) ? NAN : (double)made_up_part(why.stall_ns);
    setting->faster = made_up_range();
    setting->faster_in_loop = made_up_range();
    setting->faster_window = made_up_range();
    setting->faster_kept = made_up_range();
    setting->at_most = made_up_range();
    if (cause == WHY_FAILED && why.failure.kind == WHY_NOTHING_FAILED)
        why.failure = (struct why_failure){
            .kind = (enum why_failure_kind)(1 + made_up_below(WHY_TAKING_FAILED)),
            .worker = made_up_once_in(4) ? RF_WORKER_MAIN : made_up_below(4),
            .pid = 77,
            .status = 1 + made_up_below(15),
            .item = made_up_once_in(2) ? DATASTALL_UNKNOWN : made_up_below(100),
            .since_ns = made_up_size(20, 40),
            .after = made_up_below(3)};
    why_tell(loader->data, &why);
    fprintf(approved_stream(), "%s\n", why_name(cause));
    for (uint32_t i = 0; i < why.evidence_count; i++)
        fprintf(approved_stream(), "  %s\n", why.evidence[i]);
    fprintf(approved_stream(), "  try: %s\n", why.suggestion);
}

static void say(const struct summary *summary)
{
    static const struct report_size size = {4, 4, 4, 4, 4};
    const struct card_style style = {.width = 100, .verbose = true};
    struct cost cost;
    char text[400];
    output_text(summary, approved_stream());
    output_details(summary, approved_stream());
    output_card(summary, &style, approved_stream());
    cost_of(summary, &cost);
    cost_text(&cost, text, sizeof text);
    fprintf(approved_stream(), "%s\n", text);
    say_checks(summary);
    output_shape(summary, approved_emitter());
    report_run_shape(summary, &size, NULL, approved_emitter());
    for (uint32_t cause = 0; cause < WHY_CAUSES && summary->loader_count > 0; cause++)
        say_cause(&summary->loaders[0], cause);
    approved_label("%s, %s", summary_severity_name(summary->severity),
                   summary->loader_count > 0 ? why_name(summary->loaders[0].why.primary) : "-");
}

static void say_comparison(const struct summary *first, const struct summary *second)
{
    static const char *const conditions[] = {"samples/s<-5%", "window>5%", "stall>2", "startup>1"};
    struct comparison *comparison = calloc(1, sizeof *comparison);
    const struct card_style style = {.width = 100};
    char sentence[400];
    assert_non_null(comparison);
    compare_runs(first, second, comparison);
    output_comparison(comparison, &style, approved_stream());
    output_comparison_shape(comparison, NULL, approved_emitter());
    for (uint32_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const enum compare_check result =
            compare_check(comparison, conditions[i], sentence, sizeof sentence);
        fprintf(approved_stream(), "%d %s\n", (int)result, sentence);
    }
    free(comparison);
}

static void summaries_and_comparisons(void **state)
{
    (void)state;
    approved_begin("many_worlds");
    struct summary *before = NULL;
    for (uint32_t i = 0; i < RUNS; i++) {
        approved_input();
        made_up_round(i >= ROUND_RUNS);
        struct summary *summary = make_run(i % 2, i);
        say(summary);
        if (before != NULL)
            say_comparison(before, summary);
        summary_free(before);
        before = summary;
    }
    summary_free(before);
    approved_end();
}

/* ---- predictions ---- */

static void make_plan(struct recorded_plan *plan)
{
    *plan = (struct recorded_plan)RECORDED_PLAN;
    plan->workers = (uint32_t)made_up_below(4);
    plan->prefetch = 1 + (uint32_t)made_up_below(4);
    plan->epochs = made_up_once_in(3) ? 4 : 1;
    plan->batches = RECORDED_BATCHES / (made_up_once_in(3) ? 1 : 2) / plan->epochs;
    plan->items = 5 + (uint32_t)made_up_below(250);
    plan->cpu = (uint32_t)made_up_part(plan->items);
    plan->threads = made_up_once_in(3) ? (uint32_t)made_up_part(plan->items - plan->cpu) : 0;
    plan->delay =
        made_up_once_in(3) ? (uint32_t)made_up_part(plan->items - plan->cpu - plan->threads) : 0;
    plan->collate = (uint32_t)made_up_below(60);
    plan->collate_cpu = (uint32_t)made_up_part(plan->collate);
    plan->collate_delay = (uint32_t)made_up_part(plan->collate - plan->collate_cpu);
    plan->gap = (uint32_t)made_up_below(12);
    plan->send = (uint32_t)made_up_below(20);
    plan->latency = (uint32_t)made_up_below(20);
    plan->get = (uint32_t)made_up_below(20);
    plan->pin = made_up_once_in(3) ? 1 + (uint32_t)made_up_below(20) : 0;
    plan->consumed = (uint32_t)made_up_below(120);
    plan->loop_cpu = (uint32_t)made_up_part(plan->consumed);
    plan->first_items = made_up_once_in(3) ? (uint32_t)made_up_below(500) : 0;
    plan->first_handover = made_up_once_in(3) ? (uint32_t)made_up_below(100) : 0;
    plan->persistent = made_up_once_in(2);
}

static void predictions(void **state)
{
    (void)state;
    approved_begin("many_plans");
    for (uint32_t i = 0; i < PLANS; i++) {
        struct recorded_plan plan;
        made_up_begin(i);
        made_up_round(i >= ROUND_PLANS);
        make_plan(&plan);
        record_plan(&plan);
        struct why *why = &recorded.why;
        why->primary = (uint32_t)made_up_below(WHY_CAUSES);
        why->host.cpus_usable = 1 + (double)made_up_below(8);
        why->host.idle_cpus = why->host.cpus_usable * (double)made_up_below(11) / 10;
        why->host.loop_cpus = (double)made_up_below(10) / 10;
        why->host.shm_size_bytes = made_up_once_in(3) ? 1e9 : NAN;
        why->work.running_cpus = (double)made_up_below(20) / 10;
        why->work.tensor_bytes = made_up_once_in(2) ? made_up_size(12, 30) : 0;
        why->work.sent = why->work.batches;
        why->work.sent_tensors = why->work.batches * made_up_size(0, 7);
        why->work.asked_which = made_up_once_in(2);
        if (made_up_once_in(4))
            recorded.loader.entry.flags |= DATASTALL_LOADER_STREAM;
        const struct predict_options options = {
            .workers_to = 4,
            .prefetch_from = made_up_once_in(2) ? 1 : 0,
            .prefetch_to = made_up_once_in(2) ? 3 : 0,
            .cpus = made_up_once_in(4) ? 2 + (double)made_up_below(6) : NAN,
            .goes_on = made_up_once_in(4)};
        approved_input();
        struct predict *predict =
            predict_make(&recorded.process, &recorded.loader, why, made_up_once_in(4), &options);
        assert_non_null(predict);
        output_predict_text(predict, "train", approved_stream());
        output_predict_shape(predict, approved_emitter());
        approved_label("%s", predict->says[0] != '\0' ? "refused" : "predicted");
        free(predict);
    }
    approved_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summaries_and_comparisons),
        cmocka_unit_test(predictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
