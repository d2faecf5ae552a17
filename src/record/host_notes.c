/* SPDX-License-Identifier: Apache-2.0 */
/* What stands around the loaders, noted in the process block now and then. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault_guard.h"
#include "base/sums.h"
#include "host/children.h"
#include "host/limits.h"
#include "host/usage.h"
#include "record/monitor.h"
#include "runfile/worker_slot.h"

#define HOST_EVERY_NS (2 * DS_NS_PER_S)
/* The first notes are closer together, so that a short run has some. */
#define HOST_SOON_NS (DS_NS_PER_S / 4)
/* Further apart than this, the program was about something else than its loaders between two notes. */
#define HOST_APART_NS (2 * HOST_EVERY_NS)
#define STAT_BYTES 65536

struct monitor_host {
    struct host_limits limits;
    uint64_t first_cpu_ns, first_throttled_ns;
    struct host_pressure first_pressure;
    uint64_t shm_used_bytes;
    uint64_t idle_ns, idle_total_ns, idle_span_ns, noted_ns; /* as of the last note */
    struct host_children children;
    char stat[STAT_BYTES];
    uint64_t busy; /* 1: a thread is reading */
};

static uint64_t *word(datastall_monitor *monitor, uint32_t process_word)
{
    return &monitor->writer->process.block[RF_BLOCK_PAYLOAD + process_word];
}

static uint64_t difference(uint64_t now, uint64_t first, uint64_t unit)
{
    if (now == HOST_UNKNOWN || first == HOST_UNKNOWN)
        return RF_UNKNOWN;
    return now > first ? (now - first) * unit : 0;
}

static void begin(datastall_monitor *monitor, struct monitor_host *host, uint64_t now_ns)
{
    struct host_throttling throttling;
    host_limits_read("", &host->limits);
    host_throttling_read(&host->limits, &throttling);
    host_pressure_read("", &host->first_pressure);
    host->first_throttled_ns = throttling.throttled_ns;
    host->idle_ns = host_idle_read("", host->stat, sizeof host->stat);
    host->noted_ns = now_ns;
    host->first_cpu_ns = ds_clock_ns_of(CLOCK_PROCESS_CPUTIME_ID);
    const double cpus = host->limits.cpus_usable;
    ds_store(word(monitor, RF_PROCESS_CPUS_MILLI),
             isnan(cpus) ? RF_UNKNOWN : (uint64_t)(cpus * 1000 + 0.5));
    ds_store(word(monitor, RF_PROCESS_CPUS_SOURCE), host->limits.source);
    ds_store(word(monitor, RF_PROCESS_CPUS_ONLINE), host->limits.cpus_online);
    ds_store(word(monitor, RF_PROCESS_HOST_FIRST_NS), now_ns);
}

/* stat: as note_idle() read it. */
static void note_runnable(datastall_monitor *monitor, const char *stat)
{
    const uint64_t runnable = host_runnable_of(stat);
    uint64_t *sum = word(monitor, RF_PROCESS_RUNNABLE);
    uint64_t *looks = word(monitor, RF_PROCESS_RUNNABLE_LOOKS);
    if (runnable == HOST_UNKNOWN)
        return;
    ds_store(sum, ds_add(ds_load(sum), runnable));
    ds_store(looks, ds_load(looks) + 1);
}

/* Idle time is counted from note to note, but for pauses. */
static void note_idle(datastall_monitor *monitor, struct monitor_host *host, uint64_t now_ns)
{
    const uint64_t before_ns = host->idle_ns;
    const uint64_t span_ns = now_ns > host->noted_ns ? now_ns - host->noted_ns : 0;
    host->idle_ns = host_idle_read("", host->stat, sizeof host->stat);
    host->noted_ns = now_ns;
    if (span_ns > HOST_APART_NS || before_ns == HOST_UNKNOWN || host->idle_ns == HOST_UNKNOWN ||
        host->idle_ns < before_ns)
        return;
    host->idle_total_ns += host->idle_ns - before_ns;
    host->idle_span_ns += span_ns;
    ds_store(word(monitor, RF_PROCESS_IDLE_NS), host->idle_total_ns);
    ds_store(word(monitor, RF_PROCESS_IDLE_SPAN_NS), host->idle_span_ns);
}

/* A decoder that a worker keeps, or a pool of the data set's, is no other program. */
static void note_children(datastall_monitor *monitor, struct monitor_host *host)
{
    uint64_t workers[MONITOR_WORKER_ENTRIES];
    uint32_t count = 0;
    const uint64_t entries = rf_entry_count(monitor->writer, RF_SECTION_WORKERS);
    for (uint32_t i = 0; i < entries && count < MONITOR_WORKER_ENTRIES; i++) {
        const uint64_t *entry = rf_entry(monitor->writer, RF_SECTION_WORKERS, i);
        if (ds_load_acquire(&entry[RF_WORKER_GENERATION]) == 0)
            break; /* they are given in order */
        workers[count++] = ds_load(&entry[RF_WORKER_PID]);
    }
    const bool told = host_children_look("", (uint64_t)getpid(), workers, count, &host->children);
    ds_store(word(monitor, RF_PROCESS_CHILDREN_CPU_NS),
             told ? host->children.own_cpu_ns : RF_UNKNOWN);
    ds_store(word(monitor, RF_PROCESS_WORKERS_CHILDREN_CPU_NS),
             told ? host->children.workers_cpu_ns : RF_UNKNOWN);
}

static void note(datastall_monitor *monitor, struct monitor_host *host, uint64_t now_ns)
{
    struct host_throttling throttling;
    struct host_pressure pressure;
    struct host_shared_memory memory;
    host_throttling_read(&host->limits, &throttling);
    host_pressure_read("", &pressure);
    host_shared_memory_read("", &memory);
    note_idle(monitor, host, now_ns);
    note_runnable(monitor, host->stat);
    note_children(monitor, host);
    if (memory.used_bytes != HOST_UNKNOWN && memory.used_bytes > host->shm_used_bytes)
        host->shm_used_bytes = memory.used_bytes;
    ds_store(word(monitor, RF_PROCESS_CPU_NS),
             ds_clock_ns_of(CLOCK_PROCESS_CPUTIME_ID) - host->first_cpu_ns);
    ds_store(word(monitor, RF_PROCESS_THROTTLED_NS),
             difference(throttling.throttled_ns, host->first_throttled_ns, 1));
    ds_store(word(monitor, RF_PROCESS_CPU_PRESSURE_NS),
             difference(pressure.cpu_some_us, host->first_pressure.cpu_some_us, 1000));
    ds_store(word(monitor, RF_PROCESS_IO_PRESSURE_NS),
             difference(pressure.io_some_us, host->first_pressure.io_some_us, 1000));
    ds_store(word(monitor, RF_PROCESS_SHM_BYTES), memory.size_bytes);
    ds_store(word(monitor, RF_PROCESS_SHM_USED_BYTES),
             memory.used_bytes == HOST_UNKNOWN ? RF_UNKNOWN : host->shm_used_bytes);
    ds_store_release(word(monitor, RF_PROCESS_HOST_NS), now_ns);
}

void monitor_note_host(datastall_monitor *monitor, uint64_t now_ns, bool at_any_rate)
{
    if (!monitor_is_recording(monitor) || monitor->writer->path == NULL)
        return;
    ds_fault_guard_keep(now_ns);
    const uint64_t last_ns = ds_load(word(monitor, RF_PROCESS_HOST_NS));
    const uint64_t first_ns = ds_load(word(monitor, RF_PROCESS_HOST_FIRST_NS));
    const uint64_t every_ns = last_ns - first_ns < HOST_EVERY_NS ? HOST_SOON_NS : HOST_EVERY_NS;
    if (!at_any_rate && last_ns != 0 && now_ns - last_ns < every_ns && now_ns >= last_ns)
        return;
    struct monitor_host *host = __atomic_load_n(&monitor->host, __ATOMIC_ACQUIRE);
    if (host == NULL) {
        struct monitor_host *fresh = calloc(1, sizeof *fresh);
        if (fresh == NULL)
            return;
        begin(monitor, fresh, now_ns);
        if (!__atomic_compare_exchange_n(&monitor->host, &host, fresh, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE))
            free(fresh); /* another thread was quicker */
        else
            host = fresh;
    }
    if (__atomic_exchange_n(&host->busy, 1, __ATOMIC_ACQUIRE) != 0)
        return;
    note(monitor, host, now_ns);
    __atomic_store_n(&host->busy, 0, __ATOMIC_RELEASE);
}
