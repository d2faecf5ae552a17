/* SPDX-License-Identifier: Apache-2.0 */
#include "record/worker.h"

#include <string.h>

#include "base/clock.h"
#include "base/fault_guard.h"
#include "base/fork_guard.h"
#include "base/hot.h"
#include "base/sums.h"
#include "base/unknown.h"
#include "host/usage.h"

#define IO_EVERY_NS (DS_NS_PER_S / 2)

DS_COLD static void read_io(struct worker *worker, uint64_t now_ns)
{
    struct host_process_io io;
    host_process_io_read("", &io);
    const uint64_t now[3] = {io.asked_bytes, io.storage_bytes, io.major_faults};
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t *total = &worker->totals[RF_TOTAL_ASKED_BYTES + i];
        if (now[i] == HOST_UNKNOWN)
            continue;
        /* The first reading is where the worker stood when it began. */
        const bool first = worker->io_read_ns == 0;
        *total = ds_add_known(*total, first || now[i] < worker->io[i] ? 0 : now[i] - worker->io[i]);
        worker->io[i] = now[i];
    }
    worker->io_read_ns = now_ns;
}

DS_WAIT_END void worker_read_io(struct worker *worker, uint64_t now_ns)
{
    if (worker->io_read_ns == 0 || now_ns - worker->io_read_ns >= IO_EVERY_NS)
        read_io(worker, now_ns);
}

bool worker_is_ours(const struct worker *worker)
{
    return ds_fork_same_process(worker->fork_generation);
}

/* ---- from memory into the entry ---- */

DS_WAIT_END static void write_totals(struct worker *worker, uint64_t count)
{
    uint64_t *copy = worker->entry + worker->layout.totals_at +
                     (count & (worker->layout.versions - 1)) * worker->layout.total_words;
    worker->totals[RF_TOTAL_COUNT] = count;
    for (uint32_t i = 0; i < RF_TOTAL_USED_WORDS; i++)
        ds_store(&copy[i], worker->totals[i]);
}

static uint32_t place_of_least(const struct worker *worker)
{
    return ds_place_of_least(worker->slow_ns, RF_WORKER_SLOWEST);
}

/* One that took longer than slow_least_ns. */
DS_COLD static void put_slow(struct worker *worker, uint64_t ns, uint64_t index, uint64_t begin_ns)
{
    const uint32_t least = place_of_least(worker);
    if (worker->layout.slowest < RF_WORKER_SLOWEST)
        return;
    worker->slow_ns[least] = ns;
    worker->slow_least_ns = worker->slow_ns[place_of_least(worker)];
    uint64_t *row = worker->entry + worker->layout.slow_at + least * RF_ITEM_WORDS;
    ds_store(&row[RF_ITEM_NS], 0);
    ds_fence_release();
    ds_store(&row[RF_ITEM_INDEX], index);
    ds_store(&row[RF_ITEM_BEGIN_NS], begin_ns);
    ds_store_release(&row[RF_ITEM_NS], ns);
}

static void move_into(struct worker *worker, uint64_t *entry)
{
    const struct rf_worker_layout *layout = &worker->layout;
    uint64_t *memory = worker->memory;
    uint64_t before[RF_TOTAL_WORDS];
    if (!rf_worker_totals(entry, layout, before))
        memset(before, 0, sizeof before); /* its writer was killed in its first batches */
    const uint64_t base = ds_load(&entry[RF_WORKER_COUNT]);
    const uint64_t count = ds_load(&memory[RF_WORKER_COUNT]);
    worker->entry = entry;
    ds_store(&worker->first_sent, base);
    if (before[RF_TOTAL_COUNT] > 0) /* ended workers of this entry */
        rf_worker_counters_add(worker->totals, before);
    const uint64_t kept = count < layout->recent ? count : layout->recent;
    for (uint64_t i = count - kept; i < count; i++) {
        const uint64_t *from =
            memory + layout->ring_at + (i & (layout->recent - 1)) * layout->record_words;
        uint64_t *to =
            entry + layout->ring_at + ((base + i) & (layout->recent - 1)) * layout->record_words;
        ds_store(&to[RF_WORK_SEQUENCE], 0);
        ds_fence_release();
        for (uint32_t w = 1; w < RF_WORK_WORDS; w++)
            ds_store(&to[w], from[w]);
        ds_store_release(&to[RF_WORK_SEQUENCE], base + i + 1);
    }
    for (uint32_t i = 0; i < RF_WORKER_ITEM_BUCKETS; i++)
        ds_store(&entry[layout->items_at + i],
                 ds_load(&entry[layout->items_at + i]) + memory[layout->items_at + i]);
    for (uint32_t i = 0; i < RF_WORKER_SLOWEST; i++)
        worker->slow_ns[i] = ds_load(&entry[layout->slow_at + i * RF_ITEM_WORDS + RF_ITEM_NS]);
    worker->slow_least_ns = worker->slow_ns[place_of_least(worker)];
    for (uint32_t i = 0; i < RF_WORKER_SLOWEST; i++) {
        const uint64_t *row = memory + layout->slow_at + i * RF_ITEM_WORDS;
        if (row[RF_ITEM_NS] > worker->slow_least_ns)
            put_slow(worker, row[RF_ITEM_NS], row[RF_ITEM_INDEX], row[RF_ITEM_BEGIN_NS]);
    }
    write_totals(worker, base + count);
    const uint64_t epoch = ds_load(&memory[RF_WORKER_EPOCH]);
    ds_store(&entry[RF_WORKER_EPOCH],
             rf_pack_epoch(epoch >> 48, base + (epoch & ((UINT64_C(1) << 48) - 1))));
    for (uint32_t i = RF_WORKER_ITEM; i <= RF_WORKER_FINGERPRINT_1; i++)
        ds_store(&entry[i], ds_load(&memory[i]));
    ds_store(&entry[RF_WORKER_PHASE], ds_load(&memory[RF_WORKER_PHASE]));
    ds_store_release(&entry[RF_WORKER_COUNT], base + count);
    ds_store_release(&entry[RF_WORKER_ATTACHED], ds_load(&entry[RF_WORKER_GENERATION]));
    worker->attached = true;
}

/* From the making of the iterator to the worker's first index. */
static void count_startup(struct worker *worker)
{
    worker->totals[RF_TOTAL_STARTUP_NS] +=
        ds_subtract(worker->first_begin_ns, ds_load(&worker->entry[RF_WORKER_ASSIGNED_NS]));
}

/* One that an earlier process with this pid took is not ours. */
static bool is_given_to(const struct worker *worker, const uint64_t *entry, uint64_t generation)
{
    const uint64_t start_ticks = ds_load(&entry[RF_WORKER_START_TICKS]);
    return generation != 0 && ds_load(&entry[RF_WORKER_PID]) == worker->pid &&
           (start_ticks == 0 || worker->start_ticks == 0 || start_ticks == worker->start_ticks) &&
           ds_load(&entry[RF_WORKER_ATTACHED]) != generation;
}

static void try_to_attach(struct worker *worker)
{
    /* Nothing to look for until another entry was given. */
    const uint64_t given = ds_load_acquire(worker->given);
    if (given == worker->given_seen)
        return;
    worker->given_seen = given;
    for (uint64_t i = 0; i < worker->entry_count; i++) {
        uint64_t *entry = worker->entries + i * worker->entry_words;
        const uint64_t generation = ds_load_acquire(&entry[RF_WORKER_GENERATION]);
        if (!is_given_to(worker, entry, generation))
            continue;
        move_into(worker, entry);
        if (worker->first_begin_ns != 0)
            count_startup(worker);
        return;
    }
}

/* ---- recording ---- */

void worker_epoch(struct worker *worker, uint64_t opened_ns)
{
    ds_fault_guard_renew(); /* torch's worker has set handlers of its own by now */
    if (!worker->attached)
        try_to_attach(worker);
    const uint64_t count = ds_load(&worker->entry[RF_WORKER_COUNT]);
    const uint64_t epoch = ds_load(&worker->entry[RF_WORKER_EPOCH]) >> 48;
    /* Another generation's epochs are over. */
    const bool first = ds_load(&worker->memory[RF_WORKER_EPOCH]) == 0;
    const uint64_t next = first ? 1 : (epoch + 1) & 0xffff;
    ds_store(&worker->memory[RF_WORKER_EPOCH], rf_pack_epoch(next, count));
    ds_store_release(&worker->entry[RF_WORKER_EPOCH], rf_pack_epoch(next, count));
    worker->totals[RF_TOTAL_OPENED_NS] += opened_ns;
    worker->clocks.gap.at.wall_ns = worker->ended_ns =
        0; /* what is between two epochs is no idling */
}

static uint64_t pickled_so_far(const struct worker *worker)
{
    return __atomic_load_n(&worker->pickle_cpu_total_ns, __ATOMIC_RELAXED);
}

DS_HOT void worker_begin(struct worker *worker)
{
    worker_clocks_begin(&worker->clocks, pickled_so_far(worker));
    const uint64_t now_ns = worker->clocks.begin.at.wall_ns;
    ds_fault_guard_keep(now_ns);
    if (!worker->attached)
        try_to_attach(worker);
    if (worker->first_begin_ns == 0) {
        worker->first_begin_ns = now_ns;
        if (worker->attached)
            count_startup(worker);
    }
    ds_store(&worker->entry[RF_WORKER_PHASE], rf_pack_phase(now_ns, RF_PHASE_FETCH));
    worker->item_begin_ns = now_ns;
    worker->items = 0;
    worker->slowest_ns = 0;
    worker->slowest_index = RF_UNKNOWN;
    worker->items_ended = false;
    worker->fetching = true;
}

DS_HOT void worker_item(struct worker *worker, uint64_t now_ns, uint64_t index)
{
    const uint64_t item_ns = now_ns - worker->item_begin_ns;
    uint64_t *bucket = worker->entry + worker->layout.items_at + rf_item_bucket(item_ns);
    ds_store(bucket, ds_load(bucket) + 1);
    worker->items++;
    worker->totals[RF_TOTAL_ITEM_NS] += item_ns;
    worker->totals[RF_TOTAL_ITEMS_TIMED]++;
    if (item_ns > worker->slowest_ns) {
        worker->slowest_ns = item_ns;
        worker->slowest_index = index;
    }
    worker->item_begin_ns = now_ns;
}

DS_HOT void worker_items_end(struct worker *worker)
{
    if (!worker->fetching || worker->items_ended)
        return;
    worker_clocks_items_end(&worker->clocks, pickled_so_far(worker));
    worker->items_ended = true;
}

void worker_fingerprint(struct worker *worker, uint32_t batch, uint64_t fingerprint)
{
    ds_store(&worker->entry[RF_WORKER_FINGERPRINT_0 + batch], fingerprint);
}

void worker_asked_which(struct worker *worker)
{
    worker->asked_which++;
}

/* A part of a span of which `told` is told already: two clocks are never read at once, so that together
 * they may be more than there is. */
static uint64_t part_of(uint64_t span_ns, uint64_t told_ns, uint64_t part_ns)
{
    const uint64_t left_ns = ds_subtract(span_ns, told_ns);
    return part_ns < left_ns ? part_ns : left_ns;
}

/* How a batch's items and its collation were spent. */
struct spent {
    uint64_t items_ns, cpu_ns, delay_ns, threads_ns, threads_cpu_ns;
    uint64_t collate_ns, collate_cpu_ns, collate_delay_ns, collate_threads_ns;
};

/* CPU time of the process's other threads, but for the one that sends. */
DS_HOT static uint64_t others_cpu_ns(const struct worker_moment *from,
                                     const struct worker_moment *to)
{
    const struct host_thread_times *a = &from->at.times, *b = &to->at.times;
    return ds_subtract(ds_subtract(b->process_cpu_ns, a->process_cpu_ns),
                       ds_subtract(b->cpu_ns, a->cpu_ns) +
                           ds_subtract(to->pickle_cpu_ns, from->pickle_cpu_ns));
}

DS_HOT static struct spent spent_on(const struct worker_clocks *clocks)
{
    const struct worker_moment *begin = &clocks->begin, *items_end = &clocks->items_end;
    const struct host_thread_times *a = &begin->at.times, *b = &items_end->at.times,
                                   *end = &clocks->end.at.times;
    struct spent spent = {.items_ns = ds_subtract(items_end->at.wall_ns, begin->at.wall_ns),
                          .collate_ns = ds_subtract(clocks->end.at.wall_ns, items_end->at.wall_ns)};
    spent.cpu_ns = part_of(spent.items_ns, 0, ds_subtract(b->cpu_ns, a->cpu_ns));
    spent.delay_ns = part_of(spent.items_ns, spent.cpu_ns, ds_subtract(b->delay_ns, a->delay_ns));
    spent.threads_cpu_ns = others_cpu_ns(begin, items_end);
    spent.threads_ns = part_of(spent.items_ns, spent.cpu_ns + spent.delay_ns, spent.threads_cpu_ns);
    spent.collate_cpu_ns = part_of(spent.collate_ns, 0, ds_subtract(end->cpu_ns, b->cpu_ns));
    spent.collate_delay_ns =
        part_of(spent.collate_ns, spent.collate_cpu_ns, ds_subtract(end->delay_ns, b->delay_ns));
    spent.collate_threads_ns =
        part_of(spent.collate_ns, spent.collate_cpu_ns + spent.collate_delay_ns,
                others_cpu_ns(items_end, &clocks->end));
    return spent;
}

/* A batch as it is counted and kept. */
struct made {
    uint64_t begin_ns, items_end_ns, end_ns;
    uint64_t gap_ns; /* RF_UNKNOWN: not told */
    struct spent spent;
    enum rf_worker_outcome outcome;
};

DS_WAIT_END static void add_to_totals(struct worker *worker, const struct made *made)
{
    uint64_t *t = worker->totals;
    const struct spent *spent = &made->spent;
    t[RF_TOTAL_BATCHES] += made->outcome == RF_BATCH_MADE;
    t[RF_TOTAL_FAILED] += made->outcome == RF_BATCH_FAILED;
    t[RF_TOTAL_ITEMS] += worker->items;
    t[RF_TOTAL_ENDED] += made->outcome == RF_BATCH_END;
    t[RF_TOTAL_ITEMS_NS] += spent->items_ns;
    t[RF_TOTAL_ITEMS_CPU_NS] += spent->cpu_ns;
    t[RF_TOTAL_ITEMS_DELAY_NS] += spent->delay_ns;
    t[RF_TOTAL_ITEMS_THREADS_NS] += spent->threads_ns;
    t[RF_TOTAL_ITEMS_THREADS_CPU_NS] += spent->threads_cpu_ns;
    t[RF_TOTAL_COLLATE_NS] += spent->collate_ns;
    t[RF_TOTAL_COLLATE_CPU_NS] += spent->collate_cpu_ns;
    t[RF_TOTAL_COLLATE_DELAY_NS] += spent->collate_delay_ns;
    t[RF_TOTAL_COLLATE_THREADS_NS] += spent->collate_threads_ns;
    if (t[RF_TOTAL_BEGIN_NS] == 0)
        t[RF_TOTAL_BEGIN_NS] = made->begin_ns;
    t[RF_TOTAL_END_NS] = made->end_ns;
    t[RF_TOTAL_ASKED_WHICH] += worker->asked_which;
    worker->asked_which = 0;
}

DS_WAIT_END static void write_record(struct worker *worker, uint64_t count, const struct made *made)
{
    uint64_t *record = worker->entry + worker->layout.ring_at +
                       (count & (worker->layout.recent - 1)) * worker->layout.record_words;
    const struct spent *spent = &made->spent;
    ds_store(&record[RF_WORK_SEQUENCE], 0);
    ds_fence_release();
    ds_store(&record[RF_WORK_BEGIN_NS], made->begin_ns);
    ds_store(&record[RF_WORK_ITEMS_END_NS], made->items_end_ns);
    ds_store(&record[RF_WORK_END_NS], made->end_ns);
    ds_store(&record[RF_WORK_GAP_NS], made->gap_ns);
    ds_store(&record[RF_WORK_CPU_NS], spent->cpu_ns);
    ds_store(&record[RF_WORK_DELAY_NS], spent->delay_ns);
    ds_store(&record[RF_WORK_THREADS_NS], spent->threads_cpu_ns);
    ds_store(&record[RF_WORK_COLLATE_CPU_NS], spent->collate_cpu_ns);
    ds_store(&record[RF_WORK_COLLATE_DELAY_NS], spent->collate_delay_ns);
    ds_store(&record[RF_WORK_COLLATE_THREADS_NS], spent->collate_threads_ns);
    ds_store(&record[RF_WORK_ITEMS], worker->items << 2 | made->outcome);
    ds_store(&record[RF_WORK_SLOWEST_NS], worker->slowest_ns);
    ds_store(&record[RF_WORK_SLOWEST_INDEX], worker->slowest_index);
    ds_store(&record[RF_WORK_PICKLE_CPU_NS], 0); /* this and the next are told when it was sent */
    ds_store(&record[RF_WORK_SEND_DELAY_NS], 0);
    ds_store_release(&record[RF_WORK_SEQUENCE], count + 1);
}

DS_WAIT_END static void keep(struct worker *worker, const struct made *made)
{
    const uint64_t count = ds_load(&worker->entry[RF_WORKER_COUNT]);
    worker->ended_ns = made->end_ns;
    add_to_totals(worker, made);
    worker_read_io(worker, made->end_ns);
    write_record(worker, count, made);
    if (worker->slowest_ns > worker->slow_least_ns)
        put_slow(worker, worker->slowest_ns, worker->slowest_index, made->begin_ns);
    write_totals(worker, count + 1);
    ds_store_release(&worker->entry[RF_WORKER_COUNT], count + 1);
    ds_store_release(&worker->entry[RF_WORKER_PHASE], rf_pack_phase(made->end_ns, RF_PHASE_IDLE));
    ds_store(&worker->entry[RF_WORKER_ITEM], 0);
}

/* Between two batches; RF_UNKNOWN: not told. */
DS_WAIT_END static uint64_t add_gap(struct worker *worker, uint64_t begin_ns)
{
    if (worker->ended_ns == 0)
        return RF_UNKNOWN;
    const uint64_t gap_ns = ds_subtract(begin_ns, worker->ended_ns);
    worker->totals[RF_TOTAL_GAP_NS] += gap_ns;
    return gap_ns;
}

/* What the thread did in those since the last batch that was asked about. */
DS_HOT static void add_work_between(struct worker *worker)
{
    const struct host_moment *gap = &worker->clocks.gap.at, *begin = &worker->clocks.begin.at;
    uint64_t *t = worker->totals;
    if (gap->wall_ns != 0) {
        const uint64_t cpu_ns = ds_subtract(begin->times.cpu_ns, gap->times.cpu_ns);
        t[RF_TOTAL_GAP_CPU_NS] += ds_subtract(cpu_ns, worker->left_out_cpu_ns);
        t[RF_TOTAL_GAP_DELAY_NS] += ds_subtract(begin->times.delay_ns, gap->times.delay_ns);
    }
    worker->left_out_cpu_ns = 0;
}

DS_HOT void worker_end(struct worker *worker, enum rf_worker_outcome outcome)
{
    struct worker_clocks *clocks = &worker->clocks;
    if (!worker->fetching)
        return;
    worker->fetching = false;
    worker_clocks_end(clocks, pickled_so_far(worker));
    const struct made made = {
        .begin_ns = clocks->begin.at.wall_ns,
        .items_end_ns = clocks->items_end.at.wall_ns,
        .end_ns = clocks->end.at.wall_ns,
        .gap_ns = add_gap(worker, clocks->begin.at.wall_ns),
        .spent = spent_on(clocks),
        .outcome = outcome,
    };
    ds_fault_guard_keep(made.end_ns);
    if (!worker->attached)
        try_to_attach(worker);
    add_work_between(worker);
    const uint64_t whole_ns = made.spent.items_ns + made.spent.collate_ns;
    worker->items_share =
        whole_ns == 0 ? WORKER_SHARES
                      : (uint32_t)((double)made.spent.items_ns / (double)whole_ns * WORKER_SHARES);
    worker->is_left_out = false;
    worker_take_sent(worker);
    quiet_begin_turn(&worker->turns);
    keep(worker, &made);
    worker_clocks_next(clocks);
}

/* ---- a batch that is like the one before ---- */

DS_EACH_WAIT bool worker_leaves_out(struct worker *worker)
{
    return worker_clocks_are_quiet(&worker->clocks) && quiet_is_left_out(&worker->turns);
}

DS_EACH_WAIT uint64_t worker_begin_left_out(struct worker *worker)
{
    const uint64_t now_ns = ds_now_ns();
    ds_store(&worker->entry[RF_WORKER_PHASE], rf_pack_phase(now_ns, RF_PHASE_FETCH));
    return now_ns;
}

/* It was long: all of it is its items'. */
DS_COLD static struct spent spent_on_long(struct worker *worker, uint64_t begin_ns)
{
    worker_clocks_end_of(&worker->clocks, begin_ns, pickled_so_far(worker));
    return spent_on(&worker->clocks);
}

DS_WAIT_END static struct spent spent_as_before(const struct worker *worker, uint64_t whole_ns)
{
    const uint64_t items_ns = whole_ns * worker->items_share / WORKER_SHARES; /* a short time */
    return (struct spent){.items_ns = items_ns,
                          .cpu_ns = items_ns,
                          .collate_ns = whole_ns - items_ns,
                          .collate_cpu_ns = whole_ns - items_ns};
}

DS_WAIT_END void worker_end_left_out(struct worker *worker, uint64_t begin_ns, uint64_t items,
                                     uint64_t index, enum rf_worker_outcome outcome)
{
    const uint64_t end_ns = ds_now_ns(), whole_ns = ds_subtract(end_ns, begin_ns);
    const bool is_long = whole_ns > (uint64_t)QUIET_WAIT_NS;
    struct made made = {
        .begin_ns = begin_ns,
        .end_ns = end_ns,
        .gap_ns = add_gap(worker, begin_ns),
        .spent = DS_SELDOM(is_long) ? spent_on_long(worker, begin_ns)
                                    : spent_as_before(worker, whole_ns),
        .outcome = outcome,
    };
    if (DS_SELDOM(is_long))
        made.end_ns = worker->clocks.end.at.wall_ns;
    made.items_end_ns = begin_ns + made.spent.items_ns;
    worker->items = outcome == RF_BATCH_MADE ? items : 0;
    worker->slowest_ns = index == RF_UNKNOWN ? 0 : whole_ns;
    worker->slowest_index = index;
    worker->is_left_out = !is_long;
    worker->left_out = (struct worker_left_out){begin_ns, made.items_end_ns, made.end_ns};
    keep(worker, &made);
    if (DS_SELDOM(is_long)) {
        worker->left_out_cpu_ns = 0;
        worker_clocks_next(&worker->clocks);
    } else {
        worker->left_out_cpu_ns += whole_ns;
    }
}

void worker_finish(struct worker *worker)
{
    if (!worker->attached && !worker->fetching)
        try_to_attach(worker);
}
