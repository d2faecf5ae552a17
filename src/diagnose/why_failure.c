/* A worker that did not bring its batch: which, at which item, and what became of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "base/clock.h"
#include "base/sums.h"
#include "diagnose/why.h"

/* A wait that had not ended when the process did, or now, is one for a worker that hangs when it is
 * so long. */
#define LEAST_HANG_NS (5 * DS_NS_PER_S)
/* Whoever goes on after an item's error had this many batches for each; it is not why it is slow. */
#define BATCHES_PER_ERROR 20

static void take_worker(const struct rf_worker_view *worker, enum why_failure_kind kind,
                        struct why_failure *failure)
{
    *failure = (struct why_failure){
        .kind = kind,
        .worker = worker->number,
        .pid = worker->pid,
        .item = worker->item == 0 ? DATASTALL_UNKNOWN : worker->item - 1,
    };
}

/* torch ends the other workers with SIGTERM. */
static bool is_an_end_of_its_own(uint64_t exit)
{
    return exit > 1 && exit != rf_pack_exit(-SIGTERM);
}

static bool find_ended(const struct rf_worker_view *worker, struct why_failure *failure)
{
    if (!is_an_end_of_its_own(worker->exit))
        return false;
    take_worker(worker, rf_exit_is_signal(worker->exit) ? WHY_WORKER_KILLED : WHY_WORKER_EXITED,
                failure);
    failure->status = rf_exit_status(worker->exit);
    return true;
}

/* The one that has been at its batch longest, where the loop gave up or still waits. */
static void find_hanging(const struct rf_worker_view *worker, uint64_t now_ns,
                         struct why_failure *failure)
{
    const uint64_t since_ns = ds_subtract(now_ns, worker->phase >> 2);
    if ((worker->phase & 3) != RF_PHASE_FETCH || worker->number == RF_WORKER_MAIN ||
        since_ns < DS_NS_PER_S || since_ns <= failure->since_ns)
        return;
    take_worker(worker, WHY_WORKER_HANGS, failure);
    failure->since_ns = since_ns;
}

static bool find_raised(const struct rf_worker_view *worker, struct why_failure *failure)
{
    if (worker->totals[RF_TOTAL_FAILED] == 0)
        return false;
    take_worker(worker, WHY_ITEM_RAISED, failure);
    return true;
}

/* Its batches were made and the loop waits for one all the same. The last one counts as sent with the
 * next one only. */
#define LEAST_UNSENT 2
static bool find_lost(const struct rf_worker_view *worker, uint64_t now_ns,
                      struct why_failure *failure)
{
    const uint64_t *t = worker->totals;
    if (worker->number == RF_WORKER_MAIN || (worker->phase & 3) != RF_PHASE_IDLE ||
        ds_subtract(now_ns, worker->phase >> 2) < DS_NS_PER_S || t[RF_TOTAL_SENT] == 0 ||
        ds_subtract(t[RF_TOTAL_BATCHES], t[RF_TOTAL_SENT]) < LEAST_UNSENT)
        return false;
    take_worker(worker, WHY_BATCH_LOST, failure);
    return true;
}

/* All workers are well, and what next() did in the loop's own process raised: taking the batch off its
 * queue, the sampler, pinning. Where that ended the program. */
static void find_taking(const struct run_loader *loader, const struct why_around *around,
                        struct why_failure *failure)
{
    const uint64_t workers = why_workers_of(loader);
    if (!around->failed || around->interrupted || workers == 0 || workers == DATASTALL_UNKNOWN)
        return;
    failure->kind = WHY_TAKING_FAILED;
    failure->worker = RF_WORKER_MAIN;
    failure->pid = DATASTALL_UNKNOWN;
}

/* A stream's items have no index; of several epochs their sum says nothing. */
static uint64_t items_before(const struct rf_worker_view *worker, const struct run_loader *loader)
{
    const bool single = loader->totals.counters[RF_COUNT_ITERATORS] <= 1;
    return single && worker->item == 0 && why_loader_is(loader, DATASTALL_LOADER_STREAM)
               ? worker->totals[RF_TOTAL_ITEMS]
               : 0;
}

void why_find_failure(const struct run_process *process, const struct run_loader *loader,
                      const struct why_around *around, struct why_failure *failure)
{
    const uint64_t *c = loader->totals.counters;
    const bool gave_up = c[RF_COUNT_FAILED] > 0, waits = around->unfinished_ns >= LEAST_HANG_NS;
    /* When the loop gave up, or now. */
    const uint64_t now_ns = gave_up ? c[RF_COUNT_END_NS] : around->stopped_ns;
    const bool matters =
        around->failed || c[RF_COUNT_BATCHES] / BATCHES_PER_ERROR <= c[RF_COUNT_FAILED];
    *failure = (struct why_failure){.kind = WHY_NOTHING_FAILED, .item = DATASTALL_UNKNOWN};
    if (!gave_up && !waits && !around->failed)
        return;
    for (int look = 0; look < 4 && failure->kind == WHY_NOTHING_FAILED; look++) {
        for (uint32_t i = 0; i < process->worker_count; i++) {
            const struct rf_worker_view *worker = &process->workers[i];
            if (worker->loader != loader->index)
                continue;
            if (look == 0 && find_ended(worker, failure))
                break;
            if (look == 1 && gave_up && matters && find_raised(worker, failure)) {
                failure->after = items_before(worker, loader);
                break;
            }
            const bool in_vain = (gave_up || waits) && now_ns != DATASTALL_UNKNOWN;
            if (look == 2 && in_vain)
                find_hanging(worker, now_ns, failure); /* of several the longest */
            if (look == 3 && in_vain && find_lost(worker, now_ns, failure))
                break;
        }
    }
    if (failure->kind == WHY_NOTHING_FAILED && gave_up && process->worker_count > 0)
        find_taking(loader, around, failure);
}
