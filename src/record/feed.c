/* SPDX-License-Identifier: Apache-2.0 */
#include "record/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault_guard.h"
#include "base/hot.h"
#include "record/feed_entries.h"
#include "record/lock_look.h"
#include "record/pin_threads.h"

/* Batches that a worker makes while one is on its way: further ones do not come into question. */
#define HANDOVER_BATCHES 8u

struct feed *feed_open(datastall_loader *loader, const struct feed_options *options)
{
    datastall_monitor *monitor = loader->monitor;
    if (!monitor_is_recording(monitor))
        return NULL;
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL)
        return NULL;
    feed->monitor = monitor;
    feed->fork_generation = monitor->generation;
    feed->own_entry = FEED_NO_ENTRY;
    if (!feed_find_section(feed)) { /* recording in memory only */
        free(feed);
        return NULL;
    }
    feed->workers = options->workers;
    feed->loader = loader->index;
    feed->possible = options->prefetch_factor * options->workers;
    feed->epoch = options->epoch;
    feed->in_order = options->in_order;
    ds_fault_guard_keep(ds_now_ns());
    feed->pin_thread = options->pin_thread;
    for (uint32_t i = 0; i < FEED_INDICES; i++)
        feed->indices[i].worker = FEED_NO_ENTRY;
    feed->look = (struct loop_look)LOOP_LOOK_INIT;
    feed_give_entries(feed, loader->index, options);
    stretches_open(&feed->stretches, monitor, loader->index, options->epoch > 1,
                   options->iter_begin_ns == 0 ? DS_UNKNOWN : ds_now_ns() - options->iter_begin_ns);
    if (feed->own_entry != FEED_NO_ENTRY) {
        feed->own = worker_open_own(monitor->writer, feed->own_entry);
        if (feed->own != NULL)
            worker_epoch(feed->own, 0); /* it is in iter(), which the loop waited for */
    }
    return feed;
}

/* Batches of workers that ended and left nothing (killed before they had an entry, no entry was
 * left), and of those beyond FEED_WORKERS. One that runs may still find its entry. */
static uint64_t unknown_batches(const struct feed *feed)
{
    uint64_t sum = feed->unknown_batches;
    for (uint32_t i = 0; i < FEED_WORKERS; i++) {
        const struct feed_worker *worker = &feed->by_worker[i];
        if (worker->came == 0)
            continue;
        const uint64_t *entry =
            worker->entry == FEED_NO_ENTRY ? NULL : feed_entry(feed, worker->entry);
        if (entry == NULL || (ds_load(&entry[RF_WORKER_GENERATION]) == worker->generation &&
                              ds_load_acquire(&entry[RF_WORKER_ATTACHED]) != worker->generation &&
                              feed_entry_has_ended(entry)))
            sum += worker->came;
    }
    return sum;
}

void feed_close(struct feed *feed)
{
    if (feed == NULL)
        return;
    if (monitor_is_recording(feed->monitor) && feed->workers > 0) {
        const uint64_t batches = unknown_batches(feed);
        if (batches > 0)
            rf_count_unknown_worker(feed->monitor->writer, feed->loader, batches);
    }
    if (feed->own_entry != FEED_NO_ENTRY && ds_fork_same_process(feed->fork_generation))
        ds_store_release(&feed->monitor->entry_busy[feed->own_entry], 0); /* after its last word */
    worker_close(feed->own);
    if (monitor_is_recording(feed->monitor))
        stretches_close(&feed->stretches);
    if (ds_fork_same_process(feed->fork_generation))
        loop_look_close(&feed->look);
    free(feed);
}

void feed_next_epoch(struct feed *feed)
{
    feed->epoch++;
    feed->sent_until = feed->held = 0;
    feed->replaying = false;
    for (uint32_t i = 0; i < FEED_WORKERS; i++) {
        feed->by_worker[i].sent = feed->by_worker[i].arrived = 0;
        feed->by_worker[i].done = false;
    }
}

/* ---- what workers have done ---- */

/* How many records the worker has of this epoch, and the index of the first. False: its entry is
 * another's, or it has not come that far. */
static bool progress(const struct feed *feed, uint32_t number, uint64_t *base, uint64_t *done)
{
    const struct feed_worker *worker = &feed->by_worker[number];
    if (worker->entry == FEED_NO_ENTRY)
        return false;
    const uint64_t *entry = feed_entry(feed, worker->entry);
    if (ds_load_acquire(&entry[RF_WORKER_ATTACHED]) != worker->generation)
        return false;
    const uint64_t epoch = ds_load_acquire(&entry[RF_WORKER_EPOCH]);
    const uint64_t count = ds_load_acquire(&entry[RF_WORKER_COUNT]);
    *base = epoch & ((UINT64_C(1) << 48) - 1);
    *done = count > *base ? count - *base : 0;
    return epoch >> 48 == (feed->epoch & 0xffff);
}

static bool read_batch(const struct feed *feed, uint32_t number, uint64_t ordinal,
                       uint64_t record[RF_WORK_WORDS])
{
    uint64_t base, done;
    return number < FEED_WORKERS && progress(feed, number, &base, &done) && ordinal < done &&
           rf_worker_record(feed_entry(feed, feed->by_worker[number].entry), &feed->layout,
                            base + ordinal, record);
}

/* Of a batch's items, as a part of their time, what other threads ran while its own did not: several at once
 * run for longer than that. */
static uint64_t threads_of(const uint64_t record[RF_WORK_WORDS])
{
    const uint64_t items_ns = ds_subtract(record[RF_WORK_ITEMS_END_NS], record[RF_WORK_BEGIN_NS]);
    const uint64_t told_ns = ds_add(record[RF_WORK_CPU_NS], record[RF_WORK_DELAY_NS]);
    return ds_least(record[RF_WORK_THREADS_NS], ds_subtract(items_ns, told_ns));
}

static struct cause_batch batch_of(const uint64_t record[RF_WORK_WORDS])
{
    return (struct cause_batch){
        record[RF_WORK_BEGIN_NS],         record[RF_WORK_ITEMS_END_NS],      record[RF_WORK_END_NS],
        record[RF_WORK_CPU_NS],           record[RF_WORK_DELAY_NS],          threads_of(record),
        record[RF_WORK_COLLATE_DELAY_NS], record[RF_WORK_COLLATE_THREADS_NS]};
}

/* ---- before a wait ---- */

void feed_sent(struct feed *feed, uint64_t index, uint32_t worker)
{
    feed->sent_until = index + 1;
    const uint32_t place = (uint32_t)(index % FEED_INDICES);
    feed->indices[place].worker = worker < FEED_WORKERS ? worker : FEED_NO_ENTRY;
    feed->indices[place].service_ns = 0;
    feed->indices[place].made.end_ns = 0;
    if (worker < FEED_WORKERS)
        feed->indices[place].ordinal = feed->by_worker[worker].sent++;
}

/* What could be taken at once, what came too early, what is still being made. */
static uint64_t depth_now(const struct feed *feed, uint64_t next_index, uint64_t sent_until)
{
    uint64_t done[FEED_WORKERS], base, ready = 0, all = 0;
    if (feed->workers == 0 || feed->workers > FEED_WORKERS || sent_until < next_index ||
        sent_until - next_index > FEED_INDICES)
        return RF_UNKNOWN;
    for (uint32_t i = 0; i < feed->workers; i++) {
        /* A worker that has not begun yet has made nothing; one without an entry is not known. */
        if (feed->by_worker[i].entry == FEED_NO_ENTRY)
            return RF_UNKNOWN;
        if (!progress(feed, i, &base, &done[i]))
            done[i] = 0;
    }
    bool in_row = true;
    uint64_t coming = 0;
    for (uint64_t index = next_index; index < sent_until; index++) {
        const uint32_t place = (uint32_t)(index % FEED_INDICES);
        const uint32_t worker = feed->indices[place].worker;
        if (worker < feed->workers && feed->by_worker[worker].done)
            continue; /* nothing comes for it */
        const bool made = worker < feed->workers && feed->indices[place].ordinal < done[worker];
        in_row = in_row && made;
        ready += in_row;
        all += made;
        coming++;
    }
    return rf_pack_depth(ready, all - ready, coming - all, feed->possible);
}

void feed_wait_begin(struct feed *feed, uint64_t now_ns, uint64_t next_index, uint64_t sent_until,
                     bool quiet)
{
    feed->waiting = true;
    feed->has_blocker = false;
    feed->begin_ns = now_ns;
    feed->next_index = next_index;
    feed->later_ready_ns = feed->held > 0 && feed->in_order ? now_ns : 0;
    feed->window_full = sent_until - next_index >= feed->possible;
    feed->laid_count = 0;
    feed->sampler_ns = feed->pin_ns = feed->get_cpu_ns = feed->get_cpu_batches = 0;
    feed->depth = depth_now(feed, next_index, sent_until);
    const bool is_known = feed->depth != RF_UNKNOWN;
    const bool is_ready = is_known && rf_ready_of(feed->depth) > 0;
    if (feed->workers > 0 && is_known && !is_ready)
        lock_look_at_workers(feed, now_ns);
    feed->quiet = quiet;
    feed->may_be_short = feed->workers == 0 || is_ready;
    if (feed->workers > 0)
        loop_look_begin(&feed->look, now_ns, quiet && is_ready);
    if (feed->own != NULL)
        feed->own_count = ds_load(&feed->own->entry[RF_WORKER_COUNT]);
}

/* ---- during it ---- */

static void note_made(const uint64_t record[RF_WORK_WORDS], struct feed_made *made)
{
    const uint64_t begin_ns = record[RF_WORK_BEGIN_NS], end_ns = record[RF_WORK_END_NS];
    *made = (struct feed_made){
        .begin_ns = begin_ns,
        .end_ns = end_ns,
        .items = rf_stretch_units(ds_subtract(record[RF_WORK_ITEMS_END_NS], begin_ns)),
        .cpu = rf_stretch_units(record[RF_WORK_CPU_NS]),
        .threads = rf_stretch_units(record[RF_WORK_THREADS_NS]),
        .delay = rf_stretch_units(record[RF_WORK_DELAY_NS]),
        .collate = rf_stretch_units(ds_subtract(end_ns, record[RF_WORK_ITEMS_END_NS])),
        .collate_cpu = rf_stretch_units(record[RF_WORK_COLLATE_CPU_NS]),
        .collate_delay = rf_stretch_units(record[RF_WORK_COLLATE_DELAY_NS]),
        .pickle_cpu = rf_stretch_units(record[RF_WORK_PICKLE_CPU_NS]),
    };
}

void feed_arrived(struct feed *feed, uint64_t index, uint32_t worker, bool in_turn, uint64_t now_ns)
{
    uint64_t record[RF_WORK_WORDS];
    if (worker >= FEED_WORKERS) {
        feed->unknown_batches++;
        return;
    }
    feed->by_worker[worker].came++;
    const uint64_t ordinal = feed->by_worker[worker].arrived++;
    const uint32_t place = (uint32_t)(index % FEED_INDICES);
    feed->indices[place].service_ns = 0; /* not known; else 1 more */
    if (read_batch(feed, worker, ordinal, record)) {
        feed->indices[place].service_ns = record[RF_WORK_END_NS] - record[RF_WORK_BEGIN_NS] + 1;
        note_made(record, &feed->indices[place].made);
    }
    if (in_turn || !feed->in_order) {
        feed->has_blocker = true;
        feed->blocker = worker;
        feed->blocker_index = index;
        feed->blocker_ordinal = ordinal;
        feed->blocker_ns = now_ns;
        return;
    }
    feed->held++;
    if (feed->later_ready_ns == 0)
        feed->later_ready_ns = now_ns;
}

void feed_ended(struct feed *feed, uint32_t worker)
{
    if (worker >= FEED_WORKERS)
        return;
    feed->by_worker[worker].arrived++; /* it is a record of the worker's */
    feed->by_worker[worker].done = true;
}

void feed_worker_ended(struct feed *feed, uint32_t worker, int status)
{
    if (worker >= FEED_WORKERS || feed->by_worker[worker].entry == FEED_NO_ENTRY ||
        !ds_fork_same_process(feed->fork_generation) || !monitor_is_recording(feed->monitor))
        return;
    uint64_t *entry = feed_entry(feed, feed->by_worker[worker].entry);
    if (ds_load(&entry[RF_WORKER_GENERATION]) == feed->by_worker[worker].generation)
        ds_store(&entry[RF_WORKER_EXIT], rf_pack_exit(status));
}

void feed_laid_over(struct feed *feed, uint64_t begin_ns, uint64_t end_ns, enum cause_state state)
{
    if (state == CAUSE_SAMPLER)
        feed->sampler_ns += end_ns - begin_ns;
    else
        feed->pin_ns += end_ns - begin_ns;
    if (feed->laid_count == FEED_LAID_SPANS)
        return; /* it stays what it was without them */
    const uint32_t i = feed->laid_count++;
    feed->laid[i].begin_ns = begin_ns;
    feed->laid[i].end_ns = end_ns;
    feed->laid[i].state = state;
}

/* ---- after it ---- */

static void clear(struct wait_cause *cause)
{
    /* All but the spans, which the count covers. */
    cause->timeline.count = 0;
    memset((char *)cause + offsetof(struct wait_cause, stall_is_under_way), 0,
           sizeof *cause - offsetof(struct wait_cause, stall_is_under_way));
    cause->depth = RF_UNKNOWN;
}

/* How long the other workers sat without an index while a later batch was ready, as a mean. */
static uint64_t others_idle(const struct feed *feed, uint64_t from, uint64_t to)
{
    uint64_t sum_ns = 0, others = 0;
    for (uint32_t i = 0; i < feed->workers && i < FEED_WORKERS; i++) {
        uint64_t base, done;
        if (i == feed->blocker || feed->by_worker[i].done)
            continue; /* one that is done does not wait for an index */
        others++;
        if (!progress(feed, i, &base, &done))
            continue;
        const uint64_t phase =
            ds_load(&feed_entry(feed, feed->by_worker[i].entry)[RF_WORKER_PHASE]);
        if ((phase & 3) == RF_PHASE_IDLE)
            sum_ns += cause_overlap(phase >> 2, to, from, to);
    }
    return others > 0 ? sum_ns / others : 0;
}

static double ratio(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

/* Of a batch that is still being made nothing is known but its begin: it will be like the worker's
 * others. */
static void add_unfinished(const struct feed *feed, const uint64_t *entry, uint64_t part_ns,
                           struct cause_work *work)
{
    uint64_t t[RF_TOTAL_WORDS];
    if (!rf_worker_totals(entry, &feed->layout, t))
        return;
    const uint64_t whole_ns = t[RF_TOTAL_ITEMS_NS] + t[RF_TOTAL_COLLATE_NS];
    const uint64_t delay_ns = t[RF_TOTAL_ITEMS_DELAY_NS] + t[RF_TOTAL_COLLATE_DELAY_NS];
    const uint64_t threads_ns = t[RF_TOTAL_ITEMS_THREADS_NS] + t[RF_TOTAL_COLLATE_THREADS_NS];
    work->cpu_ns += (uint64_t)(ratio(t[RF_TOTAL_ITEMS_CPU_NS], whole_ns) * (double)part_ns);
    work->threads_ns += (uint64_t)(ratio(threads_ns, whole_ns) * (double)part_ns);
    work->delay_ns += (uint64_t)(ratio(delay_ns, whole_ns) * (double)part_ns);
    work->collate_ns += (uint64_t)(ratio(t[RF_TOTAL_COLLATE_CPU_NS], whole_ns) * (double)part_ns);
}

/* What of a batch's making fell between two moments. */
static void add_finished(const uint64_t record[RF_WORK_WORDS], uint64_t from, uint64_t to,
                         struct cause_work *work)
{
    const uint64_t begin_ns = record[RF_WORK_BEGIN_NS], items_ns = record[RF_WORK_ITEMS_END_NS];
    const uint64_t end_ns = record[RF_WORK_END_NS];
    const double items = (double)cause_overlap(begin_ns, items_ns, from, to);
    const double collation = (double)cause_overlap(items_ns, end_ns, from, to);
    work->cpu_ns += (uint64_t)(ratio(record[RF_WORK_CPU_NS], items_ns - begin_ns) * items);
    work->threads_ns +=
        (uint64_t)(ratio(threads_of(record), items_ns - begin_ns) * items +
                   ratio(record[RF_WORK_COLLATE_THREADS_NS], end_ns - items_ns) * collation);
    work->delay_ns +=
        (uint64_t)(ratio(record[RF_WORK_DELAY_NS], items_ns - begin_ns) * items +
                   ratio(record[RF_WORK_COLLATE_DELAY_NS], end_ns - items_ns) * collation);
    work->collate_ns +=
        (uint64_t)(ratio(record[RF_WORK_COLLATE_CPU_NS], end_ns - items_ns) * collation);
}

/* The way of a batch to the loop, where the wait was worth it. Meanwhile its worker may make the next ones,
 * and Python code of theirs keeps the thread that pickles from running: so much of the way is theirs, and
 * returned. */
static uint64_t add_handover(struct feed *feed, const uint64_t record[RF_WORK_WORDS],
                             uint64_t wait_ns, struct wait_cause *cause)
{
    const uint64_t begin_ns = record[RF_WORK_END_NS], came_ns = feed->blocker_ns;
    if (wait_ns < FEED_SHORT_NS) { /* other cores' memory, for next to nothing */
        cause_add(&cause->timeline, feed->begin_ns, came_ns, begin_ns, came_ns, CAUSE_TRANSFER);
        return 0;
    }
    const uint64_t *entry = feed_entry(feed, feed->by_worker[feed->blocker].entry);
    uint64_t next[RF_WORK_WORDS], ended_ns = begin_ns;
    struct cause_work work = {0, 0, 0, 0};
    for (uint64_t i = 1; i <= HANDOVER_BATCHES && ended_ns < came_ns &&
                         read_batch(feed, feed->blocker, feed->blocker_ordinal + i, next);
         i++) {
        add_finished(next, begin_ns, came_ns, &work);
        ended_ns = next[RF_WORK_END_NS];
    }
    const uint64_t phase = ds_load(&entry[RF_WORKER_PHASE]);
    if ((phase & 3) == RF_PHASE_FETCH && phase >> 2 >= ended_ns)
        add_unfinished(feed, entry, cause_overlap(phase >> 2, came_ns, begin_ns, came_ns), &work);
    work.delay_ns += record[RF_WORK_SEND_DELAY_NS]; /* of the thread that sends */
    /* What pickling itself ran is its own. */
    uint64_t *const running[] = {&work.cpu_ns, &work.collate_ns, &work.threads_ns};
    uint64_t own_ns = record[RF_WORK_PICKLE_CPU_NS];
    for (int i = 0; i < 3; i++) {
        const uint64_t taken_ns = own_ns < *running[i] ? own_ns : *running[i];
        *running[i] -= taken_ns;
        own_ns -= taken_ns;
    }
    cause_add_handover(&cause->timeline, feed->begin_ns, came_ns, begin_ns, came_ns, &work);
    return work.cpu_ns + work.delay_ns + work.collate_ns + work.threads_ns;
}

static void cause_of_worker(struct feed *feed, uint64_t end_ns, struct wait_cause *cause)
{
    uint64_t record[RF_WORK_WORDS];
    const uint64_t from = feed->begin_ns, came_ns = feed->blocker_ns;
    uint64_t made_ns = came_ns;
    cause->blocker = feed->blocker + 1;
    cause->blocker_ns = came_ns;
    if (read_batch(feed, feed->blocker, feed->blocker_ordinal, record)) {
        const struct cause_batch batch = batch_of(record);
        /* Before the worker's first batch of the epoch it was starting; before any other it had
         * handed over the one before, which was taken already, and the index was on its way. */
        cause_add(&cause->timeline, from, came_ns, from, batch.begin_ns,
                  feed->blocker_ordinal == 0 ? CAUSE_STARTUP : CAUSE_TRANSFER);
        cause_add_batch(&cause->timeline, from, came_ns, &batch);
        const uint64_t held_up_ns = add_handover(feed, record, end_ns - from, cause);
        if (feed->pin_thread != 0)
            cause->pin_ns =
                pin_threads_overlay(feed->pin_thread, batch.end_ns > from ? batch.end_ns : from,
                                    came_ns, &feed->pin_total_ns, &cause->timeline);
        cause->service_ns = batch.end_ns - batch.begin_ns;
        if (batch.end_ns + held_up_ns < came_ns)
            made_ns = batch.end_ns + held_up_ns;
    }
    /* What follows is the next index being handed out; the sampler's part is laid over it. */
    cause_add(&cause->timeline, from, end_ns, came_ns, end_ns, CAUSE_TRANSFER);
    if (end_ns - from >= FEED_SHORT_NS && feed->later_ready_ns != 0) {
        cause->later_ready_ns = feed->later_ready_ns;
        /* While its worker worked. Where sending is what takes the time, others send too. */
        cause->others_idle_ns = others_idle(feed, feed->later_ready_ns, made_ns);
        cause->window_full = feed->window_full;
    }
}

static void cause_of_own_loading(struct feed *feed, uint64_t end_ns, struct wait_cause *cause,
                                 struct feed_made *made)
{
    uint64_t record[RF_WORK_WORDS];
    const uint64_t from = feed->begin_ns;
    const uint64_t count = ds_load(&feed->own->entry[RF_WORKER_COUNT]);
    if (count == feed->own_count ||
        !rf_worker_record(feed->own->entry, &feed->layout, count - 1, record))
        return;
    note_made(record, made);
    const struct cause_batch batch = batch_of(record);
    cause_add(&cause->timeline, from, end_ns, from, batch.begin_ns, CAUSE_OVERHEAD);
    cause_add_batch(&cause->timeline, from, end_ns, &batch);
    cause_add(&cause->timeline, from, end_ns, batch.end_ns, end_ns, CAUSE_OVERHEAD);
    cause->service_ns = batch.end_ns - batch.begin_ns;
}

/* Both replays take every batch in turn, or begin anew. */
static void replay(struct feed *feed, enum datastall_wait_kind kind, struct wait_cause *cause)
{
    const uint64_t index = feed->has_blocker ? feed->blocker_index : feed->next_index;
    const uint32_t place = (uint32_t)(index % FEED_INDICES);
    const uint64_t service_ns = feed->indices[place].service_ns;
    const uint64_t window = feed->possible;
    if (feed->workers < 2 || feed->workers > FEED_WORKERS || !feed->in_order || window == 0 ||
        window * RF_REPLAY_FACTOR > REPLAY_WINDOW)
        return;
    if (service_ns == 0 || feed->indices[place].worker >= feed->workers) {
        feed->replaying = false;
        return;
    }
    const bool first = !feed->replaying;
    if (first) {
        replay_start(&feed->as_is, (uint32_t)window);
        replay_start(&feed->larger, (uint32_t)(window * RF_REPLAY_FACTOR));
        feed->replaying = true;
    }
    const uint64_t consumer_ns = first ? 0 : feed->begin_ns - feed->last_end_ns;
    const uint32_t worker = feed->indices[place].worker;
    cause->replay_ns = replay_batch(&feed->as_is, worker, service_ns - 1, consumer_ns);
    cause->replay_larger_ns = replay_batch(&feed->larger, worker, service_ns - 1, consumer_ns);
    cause->replayed = !first && kind == DATASTALL_WAIT_STEADY;
}

static uint64_t ns_of(uint32_t units)
{
    return (uint64_t)units * RF_STRETCH_UNIT_NS;
}

/* The batch that ended a wait, with all that is known of it, to the loader's stretches. */
DS_HOT static void add_to_stretches(struct feed *feed, const struct feed_made *own, uint64_t end_ns,
                                    struct wait_cause *cause)
{
    const uint64_t index = feed->has_blocker ? feed->blocker_index : feed->next_index;
    const uint32_t place = (uint32_t)(index % FEED_INDICES);
    const struct feed_made *made = feed->workers == 0 ? own : &feed->indices[place].made;
    struct stretches_batch batch = {
        .worker = FEED_NO_ENTRY, .begin_ns = feed->begin_ns, .end_ns = end_ns};
    uint64_t *times = batch.times_ns;
    for (uint32_t i = 0; i < RF_BATCH_TIMES; i++)
        times[i] = DS_UNKNOWN;
    if (feed->workers > 0)
        batch.worker = feed->indices[place].worker;
    if (made->end_ns != 0 && made->end_ns <= end_ns) {
        times[RF_BATCH_BEGUN] = ds_subtract(end_ns, made->begin_ns);
        times[RF_BATCH_ITEMS] = ns_of(made->items);
        times[RF_BATCH_CPU] = ns_of(made->cpu);
        times[RF_BATCH_THREADS] = ns_of(made->threads);
        times[RF_BATCH_DELAY] = ns_of(made->delay);
        times[RF_BATCH_COLLATE] = ns_of(made->collate);
        times[RF_BATCH_COLLATE_CPU] = ns_of(made->collate_cpu);
        times[RF_BATCH_COLLATE_DELAY] = ns_of(made->collate_delay);
        times[RF_BATCH_PICKLE_CPU] = ns_of(made->pickle_cpu);
        if (feed->has_blocker && made->end_ns >= feed->begin_ns)
            times[RF_BATCH_HANDOVER] = ds_subtract(feed->blocker_ns, made->end_ns);
    }
    if (feed->get_cpu_batches > 0)
        times[RF_BATCH_GET_CPU] = feed->get_cpu_ns / feed->get_cpu_batches;
    times[RF_BATCH_PIN] = cause->pin_ns;
    times[RF_BATCH_SAMPLER] = feed->sampler_ns;
    if (feed->has_blocker)
        times[RF_BATCH_TAIL] = ds_subtract(end_ns, feed->blocker_ns);
    stretches_add(&feed->stretches, &batch, &cause->row);
}

DS_HOT void feed_wait_end(struct feed *feed, uint64_t end_ns, enum datastall_wait_kind kind,
                          struct wait_cause *cause)
{
    clear(cause);
    if (feed == NULL || !feed->waiting)
        return;
    feed->waiting = false;
    const bool batch = kind == DATASTALL_WAIT_STEADY || kind == DATASTALL_WAIT_FIRST;
    cause->depth = batch ? feed->depth : RF_UNKNOWN;
    cause->sampler_ns = feed->sampler_ns;
    cause->pin_ns = feed->pin_ns;
    cause->get_cpu_ns = feed->get_cpu_ns;
    cause->get_cpu_batches = feed->get_cpu_batches;
    const bool is_long = end_ns - feed->begin_ns >= FEED_SHORT_NS;
    if (feed->look.looking)
        feed->look.was_long = is_long;
    if (feed->look.looking && batch && is_long) {
        const uint64_t wait_ns = end_ns - feed->begin_ns;
        loop_look_end(&feed->look, end_ns, wait_ns, &cause->loop);
        const uint64_t *process = feed->monitor->writer->process.block;
        if (wait_ns >= CAUSE_INTERPRETER_TURN_NS && cause->loop.others_busy == 0)
            cause->loop.others_busy = rf_threads_per_cpu(&process[RF_BLOCK_PAYLOAD]);
    }
    struct feed_made own = {.end_ns = 0};
    if (feed->own != NULL)
        cause_of_own_loading(feed, end_ns, cause, &own);
    else if (feed->has_blocker)
        cause_of_worker(feed, end_ns, cause);
    else if (batch && feed->held > 0) /* it had come before */
        cause_add(&cause->timeline, feed->begin_ns, end_ns, feed->begin_ns, end_ns, CAUSE_TRANSFER);
    if (batch && feed->workers > 0 && feed->in_order && !feed->has_blocker && feed->held > 0)
        feed->held--;
    if (kind == DATASTALL_WAIT_END) { /* the workers are told to end, and waited for */
        const uint64_t from = feed->has_blocker ? feed->blocker_ns : feed->begin_ns;
        cause_overlay(&cause->timeline, from, end_ns, CAUSE_STARTUP);
    }
    for (uint32_t i = 0; i < feed->laid_count; i++)
        cause_overlay(&cause->timeline, feed->laid[i].begin_ns, feed->laid[i].end_ns,
                      feed->laid[i].state);
    if (batch) {
        add_to_stretches(feed, &own, end_ns, cause);
        replay(feed, kind, cause);
    }
    if (kind == DATASTALL_WAIT_END)
        stretches_end(&feed->stretches, feed->begin_ns, end_ns);
    feed->last_end_ns = end_ns;
}

void feed_iter_cause(uint64_t begin_ns, uint64_t end_ns, uint64_t sampler_ns,
                     struct wait_cause *cause)
{
    clear(cause);
    if (sampler_ns > end_ns - begin_ns)
        sampler_ns = end_ns - begin_ns;
    cause->sampler_ns = sampler_ns;
    /* The first indices are drawn at its end. */
    cause_add(&cause->timeline, begin_ns, end_ns, begin_ns, end_ns - sampler_ns, CAUSE_STARTUP);
    cause_add(&cause->timeline, begin_ns, end_ns, end_ns - sampler_ns, end_ns, CAUSE_SAMPLER);
}
