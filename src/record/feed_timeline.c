/* SPDX-License-Identifier: Apache-2.0 */
#include "record/feed_timeline.h"

#include "base/hot.h"
#include "record/feed_entries.h"
#include "record/pin_threads.h"

/* Batches that a worker makes while one is on its way: further ones do not come into question. */
#define HANDOVER_BATCHES 8u

DS_WAIT_END void feed_note_made(const uint64_t record[RF_WORK_WORDS], struct feed_made *made)
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

/* Of a batch's items, as a part of their time, what other threads ran while its own did not: several at once
 * run for longer than that. */
DS_WAIT_END static uint64_t threads_of(const uint64_t record[RF_WORK_WORDS])
{
    const uint64_t items_ns = ds_subtract(record[RF_WORK_ITEMS_END_NS], record[RF_WORK_BEGIN_NS]);
    const uint64_t told_ns = ds_add(record[RF_WORK_CPU_NS], record[RF_WORK_DELAY_NS]);
    return ds_least(record[RF_WORK_THREADS_NS], ds_subtract(items_ns, told_ns));
}

DS_WAIT_END static struct cause_batch batch_of(const uint64_t record[RF_WORK_WORDS])
{
    return (struct cause_batch){
        record[RF_WORK_BEGIN_NS],         record[RF_WORK_ITEMS_END_NS],      record[RF_WORK_END_NS],
        record[RF_WORK_CPU_NS],           record[RF_WORK_DELAY_NS],          threads_of(record),
        record[RF_WORK_COLLATE_DELAY_NS], record[RF_WORK_COLLATE_THREADS_NS]};
}

/* How long the other workers sat without an index while a later batch was ready, as a mean. */
DS_HOT static uint64_t others_idle(const struct feed *feed, uint64_t from, uint64_t to)
{
    uint64_t sum_ns = 0, others = 0;
    for (uint32_t i = 0; i < feed->workers && i < FEED_WORKERS; i++) {
        uint64_t base, done;
        if (i == feed->blocker || feed->by_worker[i].done)
            continue; /* one that is done does not wait for an index */
        others++;
        if (!feed_progress(feed, i, &base, &done))
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
                         feed_read_batch(feed, feed->blocker, feed->blocker_ordinal + i, next);
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

static void add_pinning(struct feed *feed, uint64_t made_ns, struct wait_cause *cause)
{
    if (feed->pin_thread != 0)
        cause->pin_ns = pin_threads_overlay(
            feed->pin_thread, made_ns > feed->begin_ns ? made_ns : feed->begin_ns, feed->blocker_ns,
            &feed->pin_total_ns, &cause->timeline);
}

/* A short wait for a batch that was made before it: all of it is the way, and no record need be read. */
DS_WAIT_END static bool cause_of_handover(struct feed *feed, uint64_t end_ns,
                                          struct wait_cause *cause)
{
    const struct feed_made *made = &feed->indices[feed->blocker_index % FEED_INDICES].made;
    const uint64_t from = feed->begin_ns;
    if (end_ns - from >= FEED_SHORT_NS || made->end_ns == 0 || made->end_ns > from)
        return false;
    cause_add(&cause->timeline, from, end_ns, from, end_ns, CAUSE_TRANSFER);
    add_pinning(feed, made->end_ns, cause);
    cause->service_ns = made->end_ns - made->begin_ns;
    return true;
}

DS_WAIT_END void feed_cause_of_worker(struct feed *feed, uint64_t end_ns, struct wait_cause *cause)
{
    uint64_t record[RF_WORK_WORDS];
    const uint64_t from = feed->begin_ns, came_ns = feed->blocker_ns;
    uint64_t made_ns = came_ns;
    cause->blocker = feed->blocker + 1;
    cause->blocker_ns = came_ns;
    if (cause_of_handover(feed, end_ns, cause))
        return;
    if (feed_read_batch(feed, feed->blocker, feed->blocker_ordinal, record)) {
        const struct cause_batch batch = batch_of(record);
        /* Before the worker's first batch of the epoch it was starting; before any other it had
         * handed over the one before, which was taken already, and the index was on its way. */
        cause_add(&cause->timeline, from, came_ns, from, batch.begin_ns,
                  feed->blocker_ordinal == 0 ? CAUSE_STARTUP : CAUSE_TRANSFER);
        cause_add_batch(&cause->timeline, from, came_ns, &batch);
        const uint64_t held_up_ns = add_handover(feed, record, end_ns - from, cause);
        add_pinning(feed, batch.end_ns, cause);
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

/* The loader's own work between two moments, but for what was told of it apart: from *laid on, as far as it
 * is over by then. */
DS_WAIT_END static void add_overhead(const struct feed *feed, uint64_t from, uint64_t to,
                                     uint32_t *laid, struct cause_timeline *timeline)
{
    for (; *laid < feed->laid_count && feed->laid[*laid].begin_ns >= from &&
           feed->laid[*laid].end_ns <= to;
         ++*laid) {
        const uint64_t begin_ns = feed->laid[*laid].begin_ns, end_ns = feed->laid[*laid].end_ns;
        cause_add(timeline, from, to, from, begin_ns, CAUSE_OVERHEAD);
        cause_add(timeline, from, to, begin_ns, end_ns, feed->laid[*laid].state);
        from = end_ns;
    }
    cause_add(timeline, from, to, from, to, CAUSE_OVERHEAD);
}

/* A batch of which nothing was asked only ran: what feed_note_made() finds in its record. */
DS_WAIT_END static void note_left_out(const struct worker_left_out *at, struct feed_made *made)
{
    const uint32_t items = rf_stretch_units(ds_subtract(at->items_end_ns, at->begin_ns));
    const uint32_t collate = rf_stretch_units(ds_subtract(at->end_ns, at->items_end_ns));
    *made = (struct feed_made){.begin_ns = at->begin_ns,
                               .end_ns = at->end_ns,
                               .items = items,
                               .cpu = items,
                               .collate = collate,
                               .collate_cpu = collate};
}

/* Where nothing but an index was told of the wait apart, before the batch, its spans need no timeline. */
DS_WAIT_END static bool is_simple(const struct feed *feed, const struct worker_left_out *at)
{
    return feed->laid_count == 1 && feed->laid[0].state == CAUSE_SAMPLER &&
           feed->laid[0].end_ns <= at->begin_ns;
}

/* Of such a batch whose wait isn't simple. Returns how many of what was told of apart are in the spans, as the next does. */
static __attribute__((noinline)) uint32_t add_left_out(const struct feed *feed,
                                                       const struct worker_left_out *at,
                                                       uint64_t end_ns,
                                                       struct cause_timeline *timeline)
{
    const uint64_t from = feed->begin_ns;
    uint32_t laid = 0;
    add_overhead(feed, from, at->begin_ns, &laid, timeline);
    cause_add(timeline, from, end_ns, at->begin_ns, at->items_end_ns, CAUSE_COMPUTE);
    cause_add(timeline, from, end_ns, at->items_end_ns, at->end_ns, CAUSE_COLLATE);
    add_overhead(feed, at->end_ns, end_ns, &laid, timeline);
    return laid;
}

/* A batch that was asked about, from its record. */
static __attribute__((noinline)) uint32_t add_recorded(const struct feed *feed, uint64_t end_ns,
                                                       struct cause_timeline *timeline,
                                                       struct feed_made *made)
{
    uint64_t record[RF_WORK_WORDS];
    const uint64_t *entry = feed->own->entry, from = feed->begin_ns;
    uint32_t laid = 0;
    if (!rf_worker_record(entry, &feed->layout, ds_load(&entry[RF_WORKER_COUNT]) - 1, record))
        return 0;
    feed_note_made(record, made);
    const struct cause_batch batch = batch_of(record);
    add_overhead(feed, from, batch.begin_ns, &laid, timeline);
    cause_add_batch(timeline, from, end_ns, &batch);
    add_overhead(feed, batch.end_ns, end_ns, &laid, timeline);
    return laid;
}

DS_WAIT_END uint32_t feed_cause_of_own_loading(struct feed *feed, uint64_t end_ns,
                                               struct wait_cause *cause, struct feed_made *made)
{
    const struct worker *own = feed->own;
    const struct worker_left_out *at = &own->left_out;
    uint32_t laid = 1;
    if (DS_SELDOM(ds_load(&own->entry[RF_WORKER_COUNT]) == feed->own_count))
        return 0;
    if (DS_SELDOM(!own->is_left_out)) {
        laid = add_recorded(feed, end_ns, &cause->timeline, made);
    } else {
        note_left_out(at, made);
        if (DS_MOSTLY(is_simple(feed, at)))
            cause->own = (struct cause_own){.sampler_begin_ns = feed->laid[0].begin_ns,
                                            .sampler_end_ns = feed->laid[0].end_ns,
                                            .begin_ns = at->begin_ns,
                                            .items_end_ns = at->items_end_ns,
                                            .end_ns = at->end_ns};
        else
            laid = add_left_out(feed, at, end_ns, &cause->timeline);
    }
    cause->service_ns = made->end_ns - made->begin_ns;
    return laid;
}
