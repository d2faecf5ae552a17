/* SPDX-License-Identifier: Apache-2.0 */
#include "record/lock_look.h"

#include "host/lock_wait.h"
#include "record/feed_entries.h"

/* Of a run of some seconds enough to tell, of a long one less than 0.1 % of the loop's time. */
#define SOON_LOOKS 64u
#define SOON_NS UINT64_C(50000000)
#define LATER_NS UINT64_C(500000000)
#define WORKERS_AT_ONCE 4u
#define MOST_FAILED 8u /* without one that told: nobody will */

/* Makes a batch, as far as its entry says; the one that it was given to. */
static bool is_at_work(const struct feed_worker *worker, const uint64_t *entry)
{
    return ds_load_acquire(&entry[RF_WORKER_ATTACHED]) == worker->generation &&
           (ds_load(&entry[RF_WORKER_PHASE]) & 3) == RF_PHASE_FETCH;
}

/* False: not told. */
static bool look_at(uint64_t *entry)
{
    const enum host_lock_wait waits = host_lock_wait_of("", ds_load(&entry[RF_WORKER_PID]));
    if (waits == HOST_LOCK_UNKNOWN)
        return false;
    ds_store(&entry[RF_WORKER_LOOKS],
             ds_load(&entry[RF_WORKER_LOOKS]) + rf_pack_looks(1, waits == HOST_LOCK_YES));
    return true;
}

void lock_look_at_workers(struct feed *feed, uint64_t now_ns)
{
    struct lock_look *look = &feed->lock_look;
    const uint32_t workers = feed->workers < FEED_WORKERS ? feed->workers : FEED_WORKERS;
    if (now_ns < look->next_ns || (look->failed >= MOST_FAILED && look->looks == 0))
        return;
    look->next_ns = now_ns + (look->looks < SOON_LOOKS ? SOON_NS : LATER_NS);
    for (uint32_t i = 0, seen = 0; i < workers && seen < WORKERS_AT_ONCE; i++) {
        const struct feed_worker *worker = &feed->by_worker[look->worker++ % workers];
        if (worker->entry == FEED_NO_ENTRY || worker->done)
            continue;
        uint64_t *entry = feed_entry(feed, worker->entry);
        if (!is_at_work(worker, entry))
            continue;
        seen++;
        if (look_at(entry))
            look->looks++;
        else
            look->failed++;
    }
}
