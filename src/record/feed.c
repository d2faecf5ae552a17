/* SPDX-License-Identifier: Apache-2.0 */
#include "record/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault_guard.h"
#include "base/hot.h"
#include "record/feed_entries.h"
#include "record/feed_timeline.h"
#include "record/lock_look.h"

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

/* ---- before a wait ---- */

DS_HOT void feed_sent(struct feed *feed, uint64_t index, uint32_t worker)
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
DS_HOT static uint64_t depth_now(const struct feed *feed, uint64_t next_index, uint64_t sent_until)
{
    uint64_t done[FEED_WORKERS], base, ready = 0, all = 0;
    if (feed->workers > FEED_WORKERS || sent_until < next_index ||
        sent_until - next_index > FEED_INDICES)
        return RF_UNKNOWN;
    for (uint32_t i = 0; i < feed->workers; i++) {
        /* A worker that has not begun yet has made nothing; one without an entry is not known. */
        if (feed->by_worker[i].entry == FEED_NO_ENTRY)
            return RF_UNKNOWN;
        if (!feed_progress(feed, i, &base, &done[i]))
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

DS_EACH_WAIT void feed_wait_begin(struct feed *feed, uint64_t now_ns, uint64_t next_index,
                                  uint64_t sent_until, bool quiet)
{
    feed->waiting = true;
    feed->has_blocker = false;
    feed->begin_ns = now_ns;
    feed->next_index = next_index;
    feed->later_ready_ns = feed->held > 0 && feed->in_order ? now_ns : 0;
    feed->window_full = sent_until - next_index >= feed->possible;
    feed->laid_count = 0;
    feed->sampler_ns = feed->pin_ns = feed->get_cpu_ns = feed->get_cpu_batches = 0;
    feed->depth = feed->workers == 0 ? RF_UNKNOWN : depth_now(feed, next_index, sent_until);
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

DS_HOT void feed_arrived(struct feed *feed, uint64_t index, uint32_t worker, bool in_turn,
                         uint64_t now_ns)
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
    feed->indices[place].made.end_ns = 0;
    if (feed_read_batch(feed, worker, ordinal, record)) {
        feed->indices[place].service_ns = record[RF_WORK_END_NS] - record[RF_WORK_BEGIN_NS] + 1;
        feed_note_made(record, &feed->indices[place].made);
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

DS_EACH_WAIT void feed_laid_over(struct feed *feed, uint64_t begin_ns, uint64_t end_ns,
                                 enum cause_state state)
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

DS_WAIT_END static void clear(struct wait_cause *cause)
{
    /* All but the spans, which these two cover. */
    cause->timeline.count = 0;
    cause->own.end_ns = 0;
    memset((char *)cause + offsetof(struct wait_cause, stall_is_under_way), 0,
           sizeof *cause - offsetof(struct wait_cause, stall_is_under_way));
    cause->depth = RF_UNKNOWN;
}

/* Both replays take every batch in turn, or begin anew. */
DS_HOT __attribute__((noinline)) static void
replay(struct feed *feed, enum datastall_wait_kind kind, struct wait_cause *cause)
{
    const uint64_t index = feed->has_blocker ? feed->blocker_index : feed->next_index;
    const uint32_t place = (uint32_t)(index % FEED_INDICES);
    const uint64_t service_ns = feed->indices[place].service_ns;
    const uint64_t window = feed->possible;
    if (feed->workers > FEED_WORKERS || !feed->in_order || window == 0 ||
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

/* The batch that ended a wait, with all that is known of it, to the loader's stretches. */
DS_WAIT_END static void add_to_stretches(struct feed *feed, const struct feed_made *own,
                                         uint64_t end_ns, struct wait_cause *cause)
{
    const uint64_t index = feed->has_blocker ? feed->blocker_index : feed->next_index;
    const uint32_t place = (uint32_t)(index % FEED_INDICES);
    const struct feed_made *made = feed->workers == 0 ? own : &feed->indices[place].made;
    struct stretches_batch batch = {
        .worker = FEED_NO_ENTRY, .begin_ns = feed->begin_ns, .end_ns = end_ns};
    uint32_t *times = batch.times;
    memset(times, 0xff, sizeof batch.times); /* RF_STRETCH_UNKNOWN */
    if (feed->workers > 0)
        batch.worker = feed->indices[place].worker;
    if (made->end_ns != 0 && made->end_ns <= end_ns) {
        times[RF_BATCH_BEGUN] = rf_stretch_units(ds_subtract(end_ns, made->begin_ns));
        times[RF_BATCH_ITEMS] = made->items;
        times[RF_BATCH_CPU] = made->cpu;
        times[RF_BATCH_THREADS] = made->threads;
        times[RF_BATCH_DELAY] = made->delay;
        times[RF_BATCH_COLLATE] = made->collate;
        times[RF_BATCH_COLLATE_CPU] = made->collate_cpu;
        times[RF_BATCH_COLLATE_DELAY] = made->collate_delay;
        times[RF_BATCH_PICKLE_CPU] = made->pickle_cpu;
        if (feed->has_blocker && made->end_ns >= feed->begin_ns)
            times[RF_BATCH_HANDOVER] =
                rf_stretch_units(ds_subtract(feed->blocker_ns, made->end_ns));
    }
    if (feed->get_cpu_batches > 0)
        times[RF_BATCH_GET_CPU] = rf_stretch_units(feed->get_cpu_ns / feed->get_cpu_batches);
    times[RF_BATCH_PIN] = rf_stretch_units(cause->pin_ns);
    times[RF_BATCH_SAMPLER] = rf_stretch_units(feed->sampler_ns);
    if (feed->has_blocker)
        times[RF_BATCH_TAIL] = rf_stretch_units(ds_subtract(end_ns, feed->blocker_ns));
    stretches_add(&feed->stretches, &batch, &cause->row);
}

DS_COLD static void end_look(struct feed *feed, uint64_t end_ns, struct wait_cause *cause)
{
    const uint64_t wait_ns = end_ns - feed->begin_ns;
    loop_look_end(&feed->look, end_ns, wait_ns, &cause->loop);
    const uint64_t *process = feed->monitor->writer->process.block;
    if (wait_ns >= CAUSE_INTERPRETER_TURN_NS && cause->loop.others_busy == 0)
        cause->loop.others_busy = rf_threads_per_cpu(&process[RF_BLOCK_PAYLOAD]);
}

/* The workers are told to end, and waited for. */
DS_COLD static void end_of_epoch(struct feed *feed, uint64_t end_ns, struct wait_cause *cause)
{
    const uint64_t from = feed->has_blocker ? feed->blocker_ns : feed->begin_ns;
    cause->own.end_ns = 0; /* over that too */
    cause_overlay(&cause->timeline, from, end_ns, CAUSE_STARTUP);
    stretches_end(&feed->stretches, feed->begin_ns, end_ns);
}

/* What was told of apart and is in no span yet. */
static __attribute__((noinline)) void lay_over(const struct feed *feed, uint32_t laid,
                                               struct wait_cause *cause)
{
    for (; laid < feed->laid_count; laid++)
        cause_overlay(&cause->timeline, feed->laid[laid].begin_ns, feed->laid[laid].end_ns,
                      feed->laid[laid].state);
}

/* What workers sent: the batch that ended the wait, or one that had come before its turn. */
DS_WAIT_END static __attribute__((noinline)) void
take_of_workers(struct feed *feed, uint64_t end_ns, bool batch, struct wait_cause *cause)
{
    if (feed->has_blocker) {
        feed_cause_of_worker(feed, end_ns, cause);
    } else if (batch && feed->held > 0) {
        cause_add(&cause->timeline, feed->begin_ns, end_ns, feed->begin_ns, end_ns, CAUSE_TRANSFER);
        if (feed->in_order)
            feed->held--;
    }
}

DS_WAIT_END void feed_wait_end(struct feed *feed, uint64_t end_ns, enum datastall_wait_kind kind,
                               struct wait_cause *cause)
{
    clear(cause);
    if (DS_SELDOM(feed == NULL || !feed->waiting))
        return;
    feed->waiting = false;
    const bool batch = kind == DATASTALL_WAIT_STEADY || kind == DATASTALL_WAIT_FIRST;
    cause->depth = batch ? feed->depth : RF_UNKNOWN;
    cause->sampler_ns = feed->sampler_ns;
    cause->pin_ns = feed->pin_ns;
    cause->get_cpu_ns = feed->get_cpu_ns;
    cause->get_cpu_batches = feed->get_cpu_batches;
    const bool is_long = end_ns - feed->begin_ns >= FEED_SHORT_NS;
    if (DS_SELDOM(feed->look.looking))
        feed->look.was_long = is_long;
    if (DS_SELDOM(feed->look.looking && batch && is_long))
        end_look(feed, end_ns, cause);
    struct feed_made own = {.end_ns = 0};
    uint32_t laid = 0;
    if (feed->own != NULL)
        laid = feed_cause_of_own_loading(feed, end_ns, cause, &own);
    else if (feed->workers > 0)
        take_of_workers(feed, end_ns, batch, cause);
    if (DS_SELDOM(kind == DATASTALL_WAIT_END)) {
        end_of_epoch(feed, end_ns, cause);
        laid = 0; /* over that as well */
    }
    if (DS_SELDOM(laid < feed->laid_count))
        lay_over(feed, laid, cause);
    if (DS_MOSTLY(batch)) {
        add_to_stretches(feed, &own, end_ns, cause);
        if (feed->workers > 1)
            replay(feed, kind, cause);
    }
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
