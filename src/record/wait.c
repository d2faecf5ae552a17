/* SPDX-License-Identifier: Apache-2.0 */
/* The recording path: what runs once per batch. No allocation, lock, log or blocking call. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault_guard.h"
#include "base/hot.h"
#include "base/versioned.h"
#include "record/causes.h"
#include "record/monitor.h"

/* Turns of waiting for the overflow slot, which another thread holds for some 100 ns. */
#define OVERFLOW_SPINS 1000

uint64_t datastall_clock_ns(void)
{
    return ds_now_ns();
}

enum datastall_queue_state datastall_infer_queue_state(uint64_t wait_ns)
{
    return wait_queue_state(wait_ns);
}

/* ---- what cannot be ---- */

/* So far ahead of our own reading of the clock an end may be. */
#define FUTURE_NS DS_NS_PER_S
/* A ratio of two counts that are equal may come out so much above 1. */
#define MOST_EFFICIENCY 1.000001

static __attribute__((noinline)) bool is_possible_now(datastall_monitor *monitor, uint64_t end_ns)
{
    const uint64_t latest_ns = ds_now_ns() + FUTURE_NS;
    if (latest_ns > ds_load(&monitor->latest_end_ns))
        ds_store(&monitor->latest_end_ns, latest_ns);
    return end_ns >= monitor->earliest_end_ns && end_ns <= latest_ns;
}

/* The clock is read about once a second: until then an end is not in the future. */
static inline bool is_possible_end(datastall_monitor *monitor, uint64_t end_ns)
{
    return (end_ns <= ds_load(&monitor->latest_end_ns) && end_ns >= monitor->earliest_end_ns) ||
           is_possible_now(monitor, end_ns);
}

static void forget_count(datastall_monitor *monitor, uint64_t *count)
{
    if (*count == DATASTALL_UNKNOWN || *count <= DATASTALL_MAX_COUNT)
        return;
    *count = DATASTALL_UNKNOWN;
    rf_count_loss(monitor->writer, RF_PROCESS_IMPOSSIBLE_COUNTS);
}

static void forget_real(datastall_monitor *monitor, double *value, double most)
{
    if (!(*value < 0 || *value > most))
        return; /* NaN, unknown, as well */
    *value = NAN;
    rf_count_loss(monitor->writer, RF_PROCESS_IMPOSSIBLE_COUNTS);
}

static void forget_impossible(datastall_monitor *monitor, datastall_batch *batch)
{
    forget_count(monitor, &batch->batch_index);
    forget_count(monitor, &batch->samples);
    forget_count(monitor, &batch->tokens);
    forget_count(monitor, &batch->longest_sequence);
    forget_count(monitor, &batch->padded_tokens);
    forget_real(monitor, &batch->mean_sequence_length, (double)DATASTALL_MAX_COUNT);
    forget_real(monitor, &batch->packing_efficiency, MOST_EFFICIENCY);
    if (batch->packing_efficiency > 1.0)
        batch->packing_efficiency = 1.0;
    if ((batch->flags & ~DATASTALL_BATCH_TOKENS_SAMPLED) != 0)
        rf_count_loss(monitor->writer, RF_PROCESS_UNKNOWN_ARGUMENTS);
    batch->flags &= DATASTALL_BATCH_TOKENS_SAMPLED;
}

/* All at once, since they hardly ever are: unknown becomes 0, and what is large leaves high bits.
 */
static inline bool may_be_impossible(const datastall_batch *batch)
{
    const uint64_t bits = (batch->batch_index + 1) | (batch->samples + 1) | (batch->tokens + 1) |
                          (batch->longest_sequence + 1) | (batch->padded_tokens + 1);
    if (bits >= DATASTALL_MAX_COUNT || (batch->flags & ~DATASTALL_BATCH_TOKENS_SAMPLED) != 0)
        return true;
    if (DS_MOSTLY(isnan(batch->mean_sequence_length) && isnan(batch->packing_efficiency)))
        return false; /* no constants are read */
    return batch->mean_sequence_length < 0 ||
           batch->mean_sequence_length > (double)DATASTALL_MAX_COUNT ||
           batch->packing_efficiency < 0 || batch->packing_efficiency > 1.0;
}

static const datastall_batch nothing_stated = DATASTALL_BATCH_INIT;

/* A batch as it can be recorded, where the caller's is not: built against another version of the
 * header (what that does not have is unknown), or with figures that cannot be. */
static __attribute__((noinline)) const datastall_batch *
corrected(datastall_monitor *monitor, const datastall_batch *batch, datastall_batch *own)
{
    if (!ds_is_struct_size(batch->struct_size)) {
        rf_count_loss(monitor->writer, RF_PROCESS_UNKNOWN_ARGUMENTS);
        return &nothing_stated;
    }
    *own = nothing_stated;
    memcpy(own, batch, batch->struct_size < sizeof *own ? batch->struct_size : sizeof *own);
    forget_impossible(monitor, own);
    return own;
}

/* ---- a wait under way ---- */

/* A thread waits for one thing at a time: a wait on another loader of the monitor says that the one
 * that is shown is over, forgotten, or around it. */
static void show_wait(const datastall_monitor *monitor, struct monitor_slot *slot,
                      struct monitor_thread *here, uint64_t begin_ns)
{
    const uint64_t number = monitor->loaders[0].number;
    if (slot == &monitor->overflow)
        return;
    if (DS_SELDOM(here->shown_slot != slot)) {
        if (here->shown_monitor == number)
            rf_slot_waiting(&here->shown_slot->writer, 0);
        here->shown_monitor = number;
        here->shown_slot = slot;
    }
    rf_slot_waiting(&slot->writer, begin_ns);
}

DS_EACH_WAIT datastall_wait datastall_wait_begin(datastall_loader *loader)
{
    datastall_wait wait = DATASTALL_WAIT_INIT;
    if (loader == NULL)
        return wait;
    struct monitor_thread *const here = DS_KEPT(&monitor_thread);
    struct monitor_slot *slot = monitor_slot_here(here, loader);
    if (DS_SELDOM(slot == NULL))
        return wait;
    wait.loader = loader;
    wait.slot = slot;
    wait.begin_ns = ds_now_ns();
    ds_fault_guard_keep(wait.begin_ns); /* the program ran since the last wait */
    show_wait(loader->monitor, slot, here, wait.begin_ns);
    return wait;
}

bool monitor_wait_on_device(datastall_wait *wait, int device)
{
    if (wait->loader == NULL)
        return false;
    datastall_monitor *monitor = wait->loader->monitor;
    struct monitor_slot *slot = wait->slot;
    if (slot == &monitor->overflow)
        return false; /* threads share it */
    if (slot->device == (uint32_t)device + 1)
        return true;
    struct monitor_slot *before = slot;
    slot = monitor_slot_on_device(wait->loader, device);
    if (slot == NULL)
        return false;
    if (before->device != 0)
        before->alternates = slot->alternates = true;
    wait->slot = slot;
    show_wait(monitor, slot, &monitor_thread, wait->begin_ns);
    return true;
}

/* The slot of a wait under way that no other thread writes to. */
static struct monitor_slot *own_slot_of(const datastall_wait *wait)
{
    struct monitor_slot *slot = wait->slot;
    return wait->loader == NULL || slot == &wait->loader->monitor->overflow ? NULL : slot;
}

DS_WAIT_END void monitor_note_ahead(datastall_loader *loader, const datastall_wait *wait,
                                    struct monitor_ahead *ahead)
{
    const struct monitor_slot *slot = wait->slot;
    if (slot == NULL)
        return;
    const struct monitor_thread *const here = DS_KEPT(&monitor_thread);
    *ahead = (struct monitor_ahead){.loader = loader,
                                    .monitor = loader->monitor,
                                    .thread = here,
                                    .slot = &slot->writer,
                                    .row = rf_slot_next_row(&slot->writer),
                                    .steps = here->steps};
}

DS_EACH_WAIT bool monitor_is_quiet(const datastall_wait *wait)
{
    const struct monitor_slot *slot = own_slot_of(wait);
    return slot != NULL && !slot->alternates && quiet_expected(&slot->quiet);
}

DS_WAIT_END void monitor_note_quiet(const datastall_wait *wait, uint64_t end_ns)
{
    struct monitor_slot *slot = own_slot_of(wait);
    if (slot != NULL)
        quiet_note(&slot->quiet, end_ns, ds_subtract(end_ns, wait->begin_ns));
}

void datastall_wait_cancel(datastall_wait *wait)
{
    if (wait == NULL || wait->loader == NULL)
        return;
    const datastall_monitor *monitor = wait->loader->monitor;
    struct monitor_slot *slot = wait->slot;
    wait->loader = NULL;
    if (monitor_is_recording(monitor) && slot != &monitor->overflow &&
        rf_slot_waiting_since(&slot->writer) == wait->begin_ns)
        rf_slot_waiting(&slot->writer, 0);
}

/* ---- a wait that ended ---- */

/* All threads that found no slot of their own share one. False: it stayed busy, the wait is lost.
 */
static bool append_to_overflow(datastall_monitor *monitor, const struct wait *wait)
{
    for (int spin = 0; spin < OVERFLOW_SPINS; spin++) {
        uint64_t expected = 0;
        if (__atomic_compare_exchange_n(&monitor->overflow_busy, &expected, 1, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            rf_slot_append(&monitor->overflow.writer, wait);
            ds_store_release(&monitor->overflow_busy, 0);
            return true;
        }
    }
    rf_count_loss(monitor->writer, RF_PROCESS_LOST_CONTENTION);
    return false;
}

/* A wait of no kind: to call it a batch would make one up. */
static __attribute__((noinline)) void refuse(datastall_monitor *monitor, struct monitor_slot *slot)
{
    rf_count_loss(monitor->writer, RF_PROCESS_UNKNOWN_ARGUMENTS);
    if (slot != &monitor->overflow)
        rf_slot_waiting(&slot->writer, 0);
}

/* The file is gone: see base/fault_guard.h. */
static void switch_off_if_lost(datastall_monitor *monitor)
{
    if (ds_load(&monitor->writer->lost) != 0)
        ds_store(&monitor->off, 1);
}

/* Of loaders or stages beyond those that have a name: loader 0, which the overflow slot is of. */
static __attribute__((noinline)) void
append_to_other(datastall_monitor *monitor, struct monitor_slot *slot, const struct wait *wait)
{
    if (slot != &monitor->overflow)
        rf_slot_append(&slot->writer, wait);
    else if (!append_to_overflow(monitor, wait))
        return;
    rf_count_loss(monitor->writer, RF_PROCESS_MERGED_OTHER);
    switch_off_if_lost(monitor);
}

/* Over the row that showed the wait as under way. */
static inline void append(datastall_monitor *monitor, struct monitor_slot *slot,
                          const struct wait *wait)
{
    if (DS_SELDOM(slot->loader == 0 || wait->stage == RF_STAGE_OTHER))
        append_to_other(monitor, slot, wait);
    else if (rf_slot_append(&slot->writer, wait))
        switch_off_if_lost(monitor);
}

/* batch NULL: there was none, or nothing is known of it. wait: all but its batch and stage. */
static inline void record(datastall_monitor *monitor, struct monitor_slot *slot,
                          const datastall_batch *batch, struct wait *wait)
{
    datastall_batch own;
    if (DS_SELDOM(wait->kind > DATASTALL_WAIT_FAILED)) {
        refuse(monitor, slot);
        return;
    }
    if (DS_SELDOM(batch == NULL))
        batch = &nothing_stated;
    else if (DS_SELDOM(batch->struct_size != sizeof *batch || may_be_impossible(batch)))
        batch = corrected(monitor, batch, &own);
    wait->batch = batch;
    wait->stage = (uint32_t)ds_load(&monitor->current_stage);
    ds_fault_guard_keep(wait->begin_ns + ds_known_or_zero(wait->wait_ns));
    append(monitor, slot, wait);
}

void datastall_wait_end_at(datastall_wait *wait, uint64_t end_ns, enum datastall_wait_kind kind,
                           const datastall_batch *batch)
{
    static const struct stall_bounds unknown = STALL_BOUNDS_UNKNOWN;
    monitor_wait_end(wait, end_ns, kind, batch, &unknown, NULL);
}

DS_WAIT_END void monitor_wait_end(datastall_wait *wait, uint64_t end_ns,
                                  enum datastall_wait_kind kind, const datastall_batch *batch,
                                  const struct stall_bounds *exposed,
                                  const struct wait_cause *cause)
{
    if (DS_SELDOM(wait == NULL || wait->loader == NULL))
        return;
    datastall_monitor *monitor = wait->loader->monitor;
    struct monitor_slot *slot = wait->slot;
    wait->loader = NULL;
    if (DS_SELDOM(!monitor_is_recording(monitor))) /* forked, or switched off, while it waited */
        return;
    struct wait ended = {.begin_ns = wait->begin_ns,
                         .wait_ns = end_ns - wait->begin_ns,
                         .kind = kind,
                         .exposed = *exposed};
    if (DS_SELDOM(end_ns < wait->begin_ns || ended.wait_ns > RF_MOST_WAIT_NS ||
                  !is_possible_end(monitor, end_ns))) {
        rf_count_loss(monitor->writer, RF_PROCESS_IMPOSSIBLE_TIMES);
        ended.begin_ns = ds_now_ns();
        ended.wait_ns = DATASTALL_UNKNOWN;
    }
    struct cause_share split;
    if (cause != NULL)
        cause_attach(slot, cause, &ended, &split);
    record(monitor, slot, batch, &ended);
}

void datastall_wait_end(datastall_wait *wait, enum datastall_wait_kind kind,
                        const datastall_batch *batch)
{
    datastall_wait_end_at(wait, ds_now_ns(), kind, batch);
}

/* A wait that ended when none can, or is longer than the machine runs or any wait can be, or of
 * unknown length. */
static __attribute__((noinline)) void mend_times(datastall_monitor *monitor, uint64_t end_ns,
                                                 struct wait *ended)
{
    const bool late = !is_possible_end(monitor, end_ns);
    if (late)
        end_ns = ds_now_ns();
    if (late || ended->wait_ns != DATASTALL_UNKNOWN)
        rf_count_loss(monitor->writer, RF_PROCESS_IMPOSSIBLE_TIMES);
    if (ended->wait_ns > end_ns || ended->wait_ns > RF_MOST_WAIT_NS)
        ended->wait_ns = DATASTALL_UNKNOWN;
    ended->begin_ns = end_ns - ds_known_or_zero(ended->wait_ns);
}

/* Inlined twice: a native loop tells of no stall and no cause. */
static inline __attribute__((always_inline)) void
record_ended(datastall_loader *loader, uint64_t end_ns, uint64_t wait_ns,
             enum datastall_wait_kind kind, const datastall_batch *batch,
             const struct stall_bounds *exposed, const struct wait_cause *cause)
{
    if (loader == NULL)
        return;
    struct monitor_slot *slot = monitor_slot_of(loader);
    if (slot == NULL)
        return;
    datastall_monitor *monitor = loader->monitor;
    struct wait ended = {
        .begin_ns = end_ns - wait_ns, .wait_ns = wait_ns, .kind = kind, .exposed = *exposed};
    if (!is_possible_end(monitor, end_ns) || wait_ns > end_ns || wait_ns > RF_MOST_WAIT_NS)
        mend_times(monitor, end_ns, &ended);
    struct cause_share split;
    if (cause != NULL)
        cause_attach(slot, cause, &ended, &split);
    record(monitor, slot, batch, &ended);
}

void datastall_wait_record(datastall_loader *loader, uint64_t end_ns, uint64_t wait_ns,
                           enum datastall_wait_kind kind, const datastall_batch *batch)
{
    record_ended(loader, end_ns, wait_ns, kind, batch, &(struct stall_bounds)STALL_BOUNDS_UNKNOWN,
                 NULL);
}

void monitor_wait_record(datastall_loader *loader, uint64_t end_ns, uint64_t wait_ns,
                         enum datastall_wait_kind kind, const datastall_batch *batch,
                         const struct stall_bounds *exposed, const struct wait_cause *cause)
{
    record_ended(loader, end_ns, wait_ns, kind, batch, exposed, cause);
}
