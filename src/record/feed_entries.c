/* Which entry of the run file each worker of a feed writes to.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/hot.h"
#include "record/feed_entries.h"
#include "runfile/liveness.h"

/* The process that an entry was given to is gone, whoever has its pid now. */
bool feed_entry_has_ended(const uint64_t *entry)
{
    const uint64_t pid = ds_load(&entry[RF_WORKER_PID]);
    const uint64_t start_ticks = ds_load(&entry[RF_WORKER_START_TICKS]);
    const uint64_t now = rf_start_ticks_of(pid);
    if (start_ticks != 0)
        return now != start_ticks;
    /* Without /proc: */
    return now == 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* Whether nobody writes to an entry any more. A loop's own process writes as long as its feed is
 * open: `busy` says so. */
static bool is_free(const datastall_monitor *monitor, const uint64_t *entry, uint32_t index)
{
    if (ds_load(&entry[RF_WORKER_NUMBER]) == RF_WORKER_MAIN)
        return 0 == ds_load_acquire(&monitor->entry_busy[index]);
    return feed_entry_has_ended(entry);
}

/* An unused entry, or that of the ended worker with the same number of the same loader. The
 * caller holds the monitor's mutex. */
static uint32_t find_entry(const struct feed *feed, uint32_t loader, uint64_t number)
{
    const uint64_t count = rf_entry_count(feed->monitor->writer, RF_SECTION_WORKERS);
    uint32_t unused = FEED_NO_ENTRY;
    for (uint32_t i = 0; i < count && i < MONITOR_WORKER_ENTRIES; i++) {
        const uint64_t *entry = feed_entry(feed, i);
        if (ds_load(&entry[RF_WORKER_GENERATION]) == 0)
            unused = unused == FEED_NO_ENTRY ? i : unused;
        else if (ds_load(&entry[RF_WORKER_LOADER]) == loader &&
                 ds_load(&entry[RF_WORKER_NUMBER]) == number && is_free(feed->monitor, entry, i))
            return i;
    }
    return unused;
}

static uint32_t give_entry(struct feed *feed, uint32_t loader, uint64_t number, uint64_t pid,
                           uint64_t begin_ns, uint64_t *generation)
{
    const uint32_t index = find_entry(feed, loader, number);
    if (index == FEED_NO_ENTRY)
        return index;
    uint64_t *entry = feed_entry(feed, index);
    *generation = ds_load(&entry[RF_WORKER_GENERATION]) + 1;
    ds_store(&entry[RF_WORKER_LOADER], loader);
    ds_store(&entry[RF_WORKER_NUMBER], number);
    ds_store(&entry[RF_WORKER_PID], pid);
    ds_store(&entry[RF_WORKER_START_TICKS], rf_start_ticks_of(pid));
    ds_store(&entry[RF_WORKER_EXIT], 0);
    ds_store(&entry[RF_WORKER_ASSIGNED_NS], begin_ns);
    ds_store_release(&entry[RF_WORKER_GENERATION], *generation);
    __atomic_fetch_add(&feed_entry(feed, 0)[RF_WORKER_GIVEN], 1, __ATOMIC_RELEASE);
    if (number == RF_WORKER_MAIN)
        ds_store(&feed->monitor->entry_busy[index], 1);
    return index;
}

/* The same entries as in the epoch before, of persistent workers; FEED_NO_ENTRY: there are none. */
static uint32_t entry_of_pid(const struct feed *feed, uint32_t loader, uint64_t number,
                             uint64_t pid, uint64_t *generation)
{
    const uint64_t count = rf_entry_count(feed->monitor->writer, RF_SECTION_WORKERS);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t *entry = feed_entry(feed, i);
        *generation = ds_load(&entry[RF_WORKER_GENERATION]);
        if (*generation != 0 && ds_load(&entry[RF_WORKER_PID]) == pid &&
            ds_load(&entry[RF_WORKER_NUMBER]) == number &&
            ds_load(&entry[RF_WORKER_LOADER]) == loader && !feed_entry_has_ended(entry))
            return i;
    }
    return FEED_NO_ENTRY;
}

bool feed_find_section(struct feed *feed)
{
    const struct rf_section *section =
        rf_section_of(&feed->monitor->writer->header, RF_SECTION_WORKERS);
    feed->entries = rf_entry(feed->monitor->writer, RF_SECTION_WORKERS, 0);
    if (section == NULL || feed->entries == NULL)
        return false;
    feed->entry_words = section->entry_bytes / 8;
    return rf_worker_layout_of(section->geometry, &feed->layout);
}

void feed_give_entries(struct feed *feed, uint32_t loader, const struct feed_options *options)
{
    datastall_monitor *monitor = feed->monitor;
    pthread_mutex_lock(&monitor->mutex);
    if (options->workers == 0) {
        uint64_t generation;
        feed->own_entry = give_entry(feed, loader, RF_WORKER_MAIN, (uint64_t)getpid(),
                                     options->iter_begin_ns, &generation);
    }
    for (uint32_t i = 0; i < FEED_WORKERS; i++) {
        struct feed_worker *worker = &feed->by_worker[i];
        worker->entry = FEED_NO_ENTRY;
        if (i >= options->workers)
            continue;
        if (options->epoch > 1)
            worker->entry = entry_of_pid(feed, loader, i, options->pids[i], &worker->generation);
        else
            worker->entry = give_entry(feed, loader, i, options->pids[i], options->iter_begin_ns,
                                       &worker->generation);
    }
    pthread_mutex_unlock(&monitor->mutex);
}

/* ---- what workers have done ---- */

DS_HOT bool feed_progress(const struct feed *feed, uint32_t number, uint64_t *base, uint64_t *done)
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

DS_HOT bool feed_read_batch(const struct feed *feed, uint32_t number, uint64_t ordinal,
                            uint64_t record[RF_WORK_WORDS])
{
    uint64_t base, done;
    return number < FEED_WORKERS && feed_progress(feed, number, &base, &done) && ordinal < done &&
           rf_worker_record(feed_entry(feed, feed->by_worker[number].entry), &feed->layout,
                            base + ordinal, record);
}
