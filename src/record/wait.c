/* The recording path: what runs once per batch. No allocation, lock, log or blocking call. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault_guard.h"
#include "base/versioned.h"
#include "record/monitor.h"

/* Turns of waiting for the overflow slot, which another thread holds for some 100 ns. */
#define OVERFLOW_SPINS 1000

uint64_t datastall_clock_ns(void)
{
    return ds_now_ns();
}

enum datastall_queue_state datastall_infer_queue_state(uint64_t wait_ns)
{
    if (wait_ns == DATASTALL_UNKNOWN)
        return DATASTALL_QUEUE_UNKNOWN;
    if (wait_ns < DATASTALL_QUEUE_FULL_BELOW_NS)
        return DATASTALL_QUEUE_FULL;
    if (wait_ns > DATASTALL_QUEUE_STARVED_ABOVE_NS)
        return DATASTALL_QUEUE_STARVED;
    return DATASTALL_QUEUE_NORMAL;
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

static __attribute__((noinline)) void forget_impossible(datastall_monitor *monitor,
                                                        struct rf_wait *wait)
{
    forget_count(monitor, &wait->batch_index);
    forget_count(monitor, &wait->samples);
    forget_count(monitor, &wait->tokens);
    forget_count(monitor, &wait->longest);
    forget_count(monitor, &wait->padded);
    forget_real(monitor, &wait->mean_length, (double)DATASTALL_MAX_COUNT);
    forget_real(monitor, &wait->efficiency, MOST_EFFICIENCY);
    if (wait->efficiency > 1.0)
        wait->efficiency = 1.0;
    if ((wait->flags & ~DATASTALL_BATCH_TOKENS_SAMPLED) != 0)
        rf_count_loss(monitor->writer, RF_PROCESS_UNKNOWN_ARGUMENTS);
    wait->flags &= DATASTALL_BATCH_TOKENS_SAMPLED;
}

/* All at once, since they hardly ever are: unknown becomes 0, and what is large leaves high bits.
 */
static inline bool may_be_impossible(const struct rf_wait *wait)
{
    const uint64_t bits = (wait->batch_index + 1) | (wait->samples + 1) | (wait->tokens + 1) |
                          (wait->longest + 1) | (wait->padded + 1);
    return bits >= DATASTALL_MAX_COUNT || wait->mean_length < 0 ||
           wait->mean_length > (double)DATASTALL_MAX_COUNT || wait->efficiency < 0 ||
           wait->efficiency > 1.0 || (wait->flags & ~DATASTALL_BATCH_TOKENS_SAMPLED) != 0;
}

/* ---- a wait under way ---- */

/* Where this thread's newest wait shows as under way. A thread waits for one thing at a time: a
 * wait on another loader of the monitor says that this one is over, forgotten, or around it. */
static _Thread_local struct {
    uint64_t monitor; /* the number of its loader 0, never reused: the slot is there while it is */
    struct monitor_slot *slot;
} shown;

static void show_wait(const datastall_monitor *monitor, struct monitor_slot *slot,
                      uint64_t begin_ns)
{
    const uint64_t number = monitor->loaders[0].number;
    if (slot == &monitor->overflow)
        return;
    if (shown.slot != slot) {
        if (shown.monitor == number)
            rf_slot_waiting(&shown.slot->writer, 0);
        shown.monitor = number;
        shown.slot = slot;
    }
    rf_slot_waiting(&slot->writer, begin_ns);
}

datastall_wait datastall_wait_begin(datastall_loader *loader)
{
    datastall_wait wait = DATASTALL_WAIT_INIT;
    if (loader == NULL)
        return wait;
    struct monitor_slot *slot = monitor_slot_of(loader);
    if (slot == NULL)
        return wait;
    wait.loader = loader;
    wait.slot = slot;
    wait.begin_ns = ds_now_ns();
    ds_fault_guard_keep(wait.begin_ns); /* the program ran since the last wait */
    show_wait(loader->monitor, slot, wait.begin_ns);
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
    slot = monitor_slot_on_device(wait->loader, device);
    if (slot == NULL)
        return false;
    wait->slot = slot;
    show_wait(monitor, slot, wait->begin_ns);
    return true;
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

static void take_batch(datastall_monitor *monitor, const datastall_batch *batch,
                       struct rf_wait *wait)
{
    datastall_batch grown;
    if (batch->struct_size != sizeof *batch) {
        if (!ds_is_struct_size(batch->struct_size)) {
            rf_count_loss(monitor->writer, RF_PROCESS_UNKNOWN_ARGUMENTS);
            return;
        }
        /* Built against another version of the header: what it does not have is unknown. */
        size_t size = batch->struct_size < sizeof grown ? batch->struct_size : sizeof grown;
        grown = (datastall_batch)DATASTALL_BATCH_INIT;
        memcpy(&grown, batch, size);
        batch = &grown;
    }
    wait->batch_index = batch->batch_index;
    wait->samples = batch->samples;
    wait->tokens = batch->tokens;
    wait->longest = batch->longest_sequence;
    wait->padded = batch->padded_tokens;
    wait->mean_length = batch->mean_sequence_length;
    wait->efficiency = batch->packing_efficiency;
    wait->flags = batch->flags;
    if (may_be_impossible(wait))
        forget_impossible(monitor, wait);
    if (wait->padded == DATASTALL_UNKNOWN && wait->samples != DATASTALL_UNKNOWN &&
        wait->longest != DATASTALL_UNKNOWN &&
        (__builtin_mul_overflow(wait->samples, wait->longest, &wait->padded) ||
         wait->padded > DATASTALL_MAX_COUNT))
        wait->padded = DATASTALL_UNKNOWN;
}

static void append(struct monitor_slot *slot, struct rf_wait *wait)
{
    if (wait->batch_index == DATASTALL_UNKNOWN)
        wait->batch_index = slot->writer.batches;
    rf_slot_append(&slot->writer, wait);
}

/* All threads that found no slot of their own share one. False: it stayed busy, the wait is lost.
 */
static bool append_to_overflow(datastall_monitor *monitor, struct rf_wait *wait)
{
    for (int spin = 0; spin < OVERFLOW_SPINS; spin++) {
        uint64_t expected = 0;
        if (__atomic_compare_exchange_n(&monitor->overflow_busy, &expected, 1, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            append(&monitor->overflow, wait);
            ds_store_release(&monitor->overflow_busy, 0);
            return true;
        }
    }
    rf_count_loss(monitor->writer, RF_PROCESS_LOST_CONTENTION);
    return false;
}

static void record(datastall_monitor *monitor, struct monitor_slot *slot, uint64_t begin_ns,
                   uint64_t wait_ns, enum datastall_wait_kind kind, const datastall_batch *batch,
                   const struct rf_stall *stall, const struct rf_cause *cause)
{
    if ((unsigned)kind > DATASTALL_WAIT_FAILED) { /* to call it a batch would make one up */
        rf_count_loss(monitor->writer, RF_PROCESS_UNKNOWN_ARGUMENTS);
        if (slot != &monitor->overflow)
            rf_slot_waiting(&slot->writer, 0);
        return;
    }
    struct rf_wait wait = {
        .begin_ns = begin_ns,
        .wait_ns = wait_ns,
        .kind = kind,
        .queue = datastall_infer_queue_state(wait_ns),
        .stage = (uint32_t)ds_load(&monitor->current_stage),
        .batch_index = DATASTALL_UNKNOWN,
        .samples = DATASTALL_UNKNOWN,
        .tokens = DATASTALL_UNKNOWN,
        .longest = DATASTALL_UNKNOWN,
        .padded = DATASTALL_UNKNOWN,
        .mean_length = NAN,
        .efficiency = NAN,
        .stall = *stall,
        .cause = cause,
    };
    if (batch != NULL)
        take_batch(monitor, batch, &wait);
    bool kept = true;
    ds_fault_guard_keep(wait_ns == RF_UNKNOWN ? begin_ns : begin_ns + wait_ns);
    if (slot == &monitor->overflow)
        kept = append_to_overflow(monitor, &wait);
    else
        append(slot, &wait); /* over the row that showed a wait as under way */
    if (kept && (slot->loader == 0 || wait.stage == RF_STAGE_OTHER))
        rf_count_loss(monitor->writer, RF_PROCESS_MERGED_OTHER);
    if (ds_load(&monitor->writer->lost) != 0)
        ds_store(&monitor->off, 1);
}

static const struct rf_stall unknown_stall = {RF_UNKNOWN, RF_UNKNOWN};

void datastall_wait_end_at(datastall_wait *wait, uint64_t end_ns, enum datastall_wait_kind kind,
                           const datastall_batch *batch)
{
    monitor_wait_end(wait, end_ns, kind, batch, &unknown_stall, NULL);
}

void monitor_wait_end(datastall_wait *wait, uint64_t end_ns, enum datastall_wait_kind kind,
                      const datastall_batch *batch, const struct rf_stall *stall,
                      const struct rf_cause *cause)
{
    if (wait == NULL || wait->loader == NULL)
        return;
    datastall_monitor *monitor = wait->loader->monitor;
    struct monitor_slot *slot = wait->slot;
    wait->loader = NULL;
    if (!monitor_is_recording(monitor)) /* forked, or switched off, while it waited */
        return;
    uint64_t begin_ns = wait->begin_ns, wait_ns = end_ns - begin_ns;
    if (end_ns < begin_ns || !is_possible_end(monitor, end_ns)) {
        rf_count_loss(monitor->writer, RF_PROCESS_IMPOSSIBLE_TIMES);
        begin_ns = ds_now_ns();
        wait_ns = DATASTALL_UNKNOWN;
    }
    record(monitor, slot, begin_ns, wait_ns, kind, batch, stall, cause);
}

void datastall_wait_end(datastall_wait *wait, enum datastall_wait_kind kind,
                        const datastall_batch *batch)
{
    datastall_wait_end_at(wait, ds_now_ns(), kind, batch);
}

void datastall_wait_record(datastall_loader *loader, uint64_t end_ns, uint64_t wait_ns,
                           enum datastall_wait_kind kind, const datastall_batch *batch)
{
    monitor_wait_record(loader, end_ns, wait_ns, kind, batch, &unknown_stall, NULL);
}

void monitor_wait_record(datastall_loader *loader, uint64_t end_ns, uint64_t wait_ns,
                         enum datastall_wait_kind kind, const datastall_batch *batch,
                         const struct rf_stall *stall, const struct rf_cause *cause)
{
    if (loader == NULL)
        return;
    struct monitor_slot *slot = monitor_slot_of(loader);
    if (slot == NULL)
        return;
    datastall_monitor *monitor = loader->monitor;
    const bool late = !is_possible_end(monitor, end_ns);
    if (late)
        end_ns = ds_now_ns();
    /* Longer than the machine runs: no wait at all. */
    const bool endless = wait_ns > end_ns;
    if (late || (endless && wait_ns != DATASTALL_UNKNOWN))
        rf_count_loss(monitor->writer, RF_PROCESS_IMPOSSIBLE_TIMES);
    record(monitor, slot, endless ? end_ns : end_ns - wait_ns,
           endless ? DATASTALL_UNKNOWN : wait_ns, kind, batch, stall, cause);
}
