/* The recording path: what runs once per batch. No allocation, lock, log or blocking call. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault_guard.h"
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

datastall_wait datastall_wait_begin(datastall_loader *loader)
{
    datastall_wait wait = {NULL, 0, NULL};
    if (loader == NULL)
        return wait;
    struct monitor_slot *slot = monitor_slot_of(loader);
    if (slot == NULL)
        return wait;
    wait.loader = loader;
    wait.slot = slot;
    wait.begin_ns = ds_now_ns();
    ds_fault_guard_keep(wait.begin_ns); /* the program ran since the last wait */
    if (slot != &loader->monitor->overflow)
        rf_slot_waiting(&slot->writer, wait.begin_ns);
    return wait;
}

static void take_batch(const datastall_batch *batch, struct rf_wait *wait)
{
    datastall_batch grown;
    if (batch->struct_size != sizeof *batch) {
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
    if (wait->padded == DATASTALL_UNKNOWN && wait->samples != DATASTALL_UNKNOWN &&
        wait->longest != DATASTALL_UNKNOWN &&
        __builtin_mul_overflow(wait->samples, wait->longest, &wait->padded))
        wait->padded = DATASTALL_UNKNOWN;
    wait->mean_length = batch->mean_sequence_length;
    wait->efficiency = batch->packing_efficiency;
    wait->flags = batch->flags;
}

static void append(struct monitor_slot *slot, struct rf_wait *wait)
{
    if (wait->batch_index == DATASTALL_UNKNOWN)
        wait->batch_index = slot->writer.counters[RF_COUNT_BATCHES];
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
    struct rf_wait wait = {
        .begin_ns = begin_ns,
        .wait_ns = wait_ns,
        .kind = (unsigned)kind <= DATASTALL_WAIT_FAILED ? kind : DATASTALL_WAIT_STEADY,
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
        take_batch(batch, &wait);
    bool kept = true;
    ds_fault_guard_keep(wait_ns == RF_UNKNOWN ? begin_ns : begin_ns + wait_ns);
    if (slot == &monitor->overflow)
        kept = append_to_overflow(monitor, &wait);
    else
        append(slot, &wait);
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
    uint64_t wait_ns = end_ns > wait->begin_ns ? end_ns - wait->begin_ns : 0;
    record(monitor, slot, wait->begin_ns, wait_ns, kind, batch, stall, cause);
    if (slot != &monitor->overflow)
        rf_slot_waiting(&slot->writer, 0);
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
    /* Longer than the machine runs: no wait at all, and a sum must not overflow with it. */
    if (wait_ns > end_ns)
        wait_ns = DATASTALL_UNKNOWN;
    const uint64_t begin_ns = wait_ns == DATASTALL_UNKNOWN ? end_ns : end_ns - wait_ns;
    record(loader->monitor, slot, begin_ns, wait_ns, kind, batch, stall, cause);
}
