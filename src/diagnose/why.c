/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/why.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/sums.h"
#include "base/unknown.h"

/* The larger window must remove so much of the window's part. */
#define LEAST_REMOVED 0.5

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? NAN : (double)part / (double)whole;
}

/* ---- what was recorded ---- */

/* The value of rank n * p of the sampled items; p is less than 1. */
static double item_quantile(const uint64_t *items, uint64_t count, double p)
{
    const uint64_t rank = (uint64_t)((double)count * p);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < RF_WORKER_ITEM_BUCKETS; i++) {
        seen = ds_add(seen, items[i]);
        if (seen > rank)
            return (double)rf_item_bucket_ns(i);
    }
    return NAN;
}

struct item_times {
    uint64_t buckets[RF_WORKER_ITEM_BUCKETS], counted, slowest_ns;
};

/* All workers of a loader. */
static void add_workers(const struct run_process *process, const struct run_loader *loader,
                        uint64_t *totals, struct why_work *work, struct item_times *items)
{
    rf_worker_counters_clear(totals);
    work->least_items = UINT64_MAX;
    for (uint32_t i = 0; i < process->worker_count; i++) {
        const struct rf_worker_view *worker = &process->workers[i];
        if (worker->loader != loader->index)
            continue;
        work->workers++;
        rf_worker_counters_add(totals, worker->totals);
        work->generations = ds_add(work->generations, worker->generation);
        work->looks = ds_add(work->looks, worker->looks);
        work->locked = ds_add(work->locked, worker->locked);
        const uint64_t made = worker->totals[RF_TOTAL_ITEMS];
        work->fed += made > 0;
        work->most_items = made > work->most_items ? made : work->most_items;
        work->least_items = ds_least(work->least_items, made);
        const uint64_t took_ns = worker->totals[RF_TOTAL_ITEMS_NS];
        work->most_items_ns = took_ns > work->most_items_ns ? took_ns : work->most_items_ns;
        for (uint32_t b = 0; b < RF_WORKER_ITEM_BUCKETS; b++) {
            items->buckets[b] = ds_add(items->buckets[b], worker->items[b]);
            items->counted = ds_add(items->counted, worker->items[b]);
        }
        if (worker->slowest_count > 0 && worker->slowest[0].ns > items->slowest_ns)
            items->slowest_ns = worker->slowest[0].ns;
    }
    if (work->workers == 0)
        work->least_items = 0;
}

static void take_items(const struct item_times *items, struct why_work *work)
{
    work->item_p50_ns = work->item_p99_ns = work->item_max_ns = NAN;
    if (items->counted > 0) {
        work->item_p50_ns = item_quantile(items->buckets, items->counted, 0.50);
        work->item_p99_ns = item_quantile(items->buckets, items->counted, 0.99);
    }
    if (items->slowest_ns == 0)
        return;
    /* A bucket's middle may be beyond the slowest in it. */
    work->item_max_ns = (double)items->slowest_ns;
    work->item_p50_ns = fmin(work->item_p50_ns, work->item_max_ns);
    work->item_p99_ns = fmin(work->item_p99_ns, work->item_max_ns);
}

/* Workers of ended iterators are there as well. */
static bool is_same_data(const struct run_process *process, const struct run_loader *loader)
{
    const struct rf_worker_view *first = NULL;
    uint32_t alike = 0;
    for (uint32_t i = 0; i < process->worker_count; i++) {
        const struct rf_worker_view *worker = &process->workers[i];
        if (worker->loader != loader->index)
            continue;
        if (worker->fingerprints[0] == 0 || worker->fingerprints[0] == worker->fingerprints[1])
            return false;
        if (first == NULL)
            first = worker;
        if (memcmp(worker->fingerprints, first->fingerprints, sizeof first->fingerprints) != 0)
            return false;
        alike++;
    }
    return alike >= 2;
}

/* What the processes ran that the workers started, or the loop's process where it loads itself: of several
 * loaders by what their items were blocked for. */
static uint64_t children_of(const struct run_process *process, const struct run_loader *loader,
                            uint64_t blocked_ns)
{
    const bool own = loader->entry.num_workers == 0;
    const uint64_t ran_ns = ds_known_or_zero(
        process->view.words[own ? RF_PROCESS_CHILDREN_CPU_NS : RF_PROCESS_WORKERS_CHILDREN_CPU_NS]);
    uint64_t all_ns = 0;
    for (uint32_t i = 0; i < process->worker_count; i++) {
        const uint64_t *t = process->workers[i].totals;
        if ((process->workers[i].number == RF_WORKER_MAIN) != own)
            continue;
        const uint64_t told_ns =
            ds_add(ds_add(t[RF_TOTAL_ITEMS_CPU_NS], t[RF_TOTAL_ITEMS_DELAY_NS]),
                   t[RF_TOTAL_ITEMS_THREADS_NS]);
        all_ns = ds_add(all_ns, ds_subtract(t[RF_TOTAL_ITEMS_NS], told_ns));
    }
    return all_ns == 0 ? 0 : (uint64_t)((double)ran_ns * (double)blocked_ns / (double)all_ns);
}

static void add_work(const struct run_process *process, const struct run_loader *loader,
                     uint64_t active_ns, struct why_work *work)
{
    uint64_t t[RF_TOTAL_USED_WORDS];
    struct item_times items = {.counted = 0};
    *work = (struct why_work){.busy_share = NAN, .running_cpus = NAN};
    add_workers(process, loader, t, work, &items);
    work->same_data = is_same_data(process, loader);
    work->batches = t[RF_TOTAL_BATCHES];
    work->items = t[RF_TOTAL_ITEMS];
    work->items_timed = t[RF_TOTAL_ITEMS_TIMED];
    work->items_ns = t[RF_TOTAL_ITEMS_NS];
    work->cpu_ns = t[RF_TOTAL_ITEMS_CPU_NS];
    work->delay_ns = t[RF_TOTAL_ITEMS_DELAY_NS];
    work->threads_ns = t[RF_TOTAL_ITEMS_THREADS_NS];
    work->collate_ns = t[RF_TOTAL_COLLATE_NS];
    work->collate_delay_ns = t[RF_TOTAL_COLLATE_DELAY_NS];
    work->collate_threads_ns = t[RF_TOTAL_COLLATE_THREADS_NS];
    work->gap_ns = t[RF_TOTAL_GAP_NS];
    work->gap_cpu_ns = t[RF_TOTAL_GAP_CPU_NS];
    work->startup_ns = t[RF_TOTAL_STARTUP_NS];
    work->opened_ns = t[RF_TOTAL_OPENED_NS];
    work->sent = t[RF_TOTAL_SENT];
    work->sent_bytes = t[RF_TOTAL_SENT_BYTES];
    work->sent_tensors = t[RF_TOTAL_SENT_TENSORS];
    work->tensor_bytes = t[RF_TOTAL_TENSOR_BYTES];
    work->ended = t[RF_TOTAL_ENDED];
    work->asked_which = t[RF_TOTAL_ASKED_WHICH];
    work->asked_bytes = t[RF_TOTAL_ASKED_BYTES];
    work->storage_bytes = t[RF_TOTAL_STORAGE_BYTES];
    work->major_faults = t[RF_TOTAL_MAJOR_FAULTS];
    const uint64_t told_ns = ds_add(ds_add(work->cpu_ns, work->delay_ns), work->threads_ns);
    work->blocked_ns = ds_subtract(work->items_ns, told_ns);
    work->children_ns = children_of(process, loader, work->blocked_ns);
    const uint64_t made_ns = ds_add(work->items_ns, work->collate_ns);
    const uint64_t lived_ns = ds_add(made_ns, work->gap_ns);
    /* Between two batches the loop's own process is about its own work. */
    const uint64_t gap_cpu_ns = loader->entry.num_workers == 0 ? 0 : work->gap_cpu_ns;
    const uint64_t ran_ns = ds_add(ds_add(why_made_cpu_ns(t), gap_cpu_ns), work->children_ns);
    /* A loader that is seldom iterated over keeps no CPU busy meanwhile. */
    const uint64_t span_ns =
        ds_least(ds_subtract(t[RF_TOTAL_END_NS], t[RF_TOTAL_BEGIN_NS]), active_ns);
    if (lived_ns > 0)
        work->busy_share = fmin(1.0, share(ds_add(made_ns, work->gap_cpu_ns), lived_ns));
    if (work->workers > 0)
        work->running_cpus = share(ran_ns, span_ns);
    take_items(&items, work);
}

static void take_depth(const uint64_t *c, struct why_depth *depth)
{
    const uint64_t waits = c[RF_COUNT_DEPTH_WAITS];
    *depth = (struct why_depth){waits,
                                share(c[RF_COUNT_DEPTH_READY], waits),
                                share(c[RF_COUNT_DEPTH_EARLY], waits),
                                share(c[RF_COUNT_DEPTH_IN_FLIGHT], waits),
                                share(c[RF_COUNT_DEPTH_POSSIBLE], waits),
                                share(c[RF_COUNT_DEPTH_EMPTY], waits)};
}

static double known(uint64_t value, double unit)
{
    return value == DATASTALL_UNKNOWN ? NAN : (double)value * unit;
}

static void take_host(const struct run_process *process, struct why_host *host)
{
    static const char *const limits[] = {"the machine", "its CPU affinity", "its cpuset",
                                         "the CPU quota of its container"};
    const uint64_t *w = process->view.words;
    *host = (struct why_host){NAN, NULL, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, false};
    if (w[RF_PROCESS_HOST_NS] == 0)
        return;
    const uint64_t source = w[RF_PROCESS_CPUS_SOURCE];
    host->cpus_usable = known(w[RF_PROCESS_CPUS_MILLI], 1e-3);
    host->limit = source < sizeof limits / sizeof *limits ? limits[source] : NULL;
    host->is_limited = host->limit != NULL && host->limit != limits[0];
    if (w[RF_PROCESS_IDLE_SPAN_NS] > 0)
        host->idle_cpus = fmin(host->cpus_usable,
                               (double)w[RF_PROCESS_IDLE_NS] / (double)w[RF_PROCESS_IDLE_SPAN_NS]);
    const double threads_per_cpu = rf_threads_per_cpu(w);
    if (threads_per_cpu > 0)
        host->threads_per_cpu = threads_per_cpu;
    host->throttled_s = known(w[RF_PROCESS_THROTTLED_NS], 1e-9);
    host->shm_size_bytes = known(w[RF_PROCESS_SHM_BYTES], 1.0);
    host->shm_used_bytes = known(w[RF_PROCESS_SHM_USED_BYTES], 1.0);
    const uint64_t first_ns = w[RF_PROCESS_HOST_FIRST_NS], last_ns = w[RF_PROCESS_HOST_NS];
    if (last_ns <= first_ns)
        return;
    const double span_ns = (double)(last_ns - first_ns);
    host->loop_cpus = known(w[RF_PROCESS_CPU_NS], 1.0) / span_ns;
    host->children_cpus = (known(w[RF_PROCESS_CHILDREN_CPU_NS], 1.0) +
                           known(w[RF_PROCESS_WORKERS_CHILDREN_CPU_NS], 1.0)) /
                          span_ns;
    host->cpu_pressure = fmin(1.0, known(w[RF_PROCESS_CPU_PRESSURE_NS], 1.0) / span_ns);
    host->io_pressure = fmin(1.0, known(w[RF_PROCESS_IO_PRESSURE_NS], 1.0) / span_ns);
    if (isnan(known(w[RF_PROCESS_CPU_PRESSURE_NS], 1.0)))
        host->cpu_pressure = NAN;
    if (isnan(known(w[RF_PROCESS_IO_PRESSURE_NS], 1.0)))
        host->io_pressure = NAN;
}

/* ---- what it means ---- */

static void take_stall(const struct run_loader *loader, const struct stall *stall, struct why *why)
{
    const uint64_t *c = loader->totals.counters;
    uint64_t told_ns = 0;
    /* As the verdict takes it: exposed where the GPU told, else the wait. */
    why->stall_ns = stall_most_ns(stall);
    for (uint32_t i = 0; i < CAUSE_STATES; i++) {
        /* A damaged file may hold anything: never more than there is. */
        const uint64_t left_ns = why->stall_ns - told_ns;
        why->states_ns[i] = ds_least(c[RF_COUNT_CAUSE_NS + i], left_ns);
        told_ns += why->states_ns[i];
    }
    why->states_ns[CAUSE_UNKNOWN] += why->stall_ns - told_ns;
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        why->shares[i] = share(why->states_ns[i], why->stall_ns);

    why->later_ready_ns = ds_least(c[RF_COUNT_LATER_READY_NS], why->stall_ns);
    why->others_idle_ns = ds_least(c[RF_COUNT_OTHERS_IDLE_NS], why->later_ready_ns);
    const uint64_t full_ns = c[RF_COUNT_WINDOW_FULL_NS];
    const uint64_t before_ns = c[RF_COUNT_REPLAY_NS], after_ns = c[RF_COUNT_REPLAY_LARGER_NS];
    const bool helps =
        before_ns > after_ns && (double)(before_ns - after_ns) >= LEAST_REMOVED * (double)full_ns;
    why->window_ns = helps ? ds_least(full_ns, why->others_idle_ns) : 0;
    why->head_of_line = share(why->later_ready_ns, why->stall_ns);
    why->window = share(why->window_ns, why->stall_ns);
    why->stall_share = why->active_ns > 0 ? fmin(1.0, share(why->stall_ns, why->active_ns)) : NAN;
}

void why_make(const struct run_process *process, const struct run_loader *loader,
              const struct stall *stall, const struct why_around *around, struct why *why)
{
    memset(why, 0, sizeof *why);
    const uint64_t *c = loader->totals.counters;
    why->active_ns = why_active_ns(ds_subtract(c[RF_COUNT_END_NS], c[RF_COUNT_BEGIN_NS]),
                                   loader->entry.paused_ns);
    why->first_ns = c[RF_COUNT_STARTUP_NS];
    take_stall(loader, stall, why);
    take_depth(c, &why->depth);
    take_host(process, &why->host);
    add_work(process, loader, why->active_ns, &why->work);
    why_find_others(loader, why, around->run_cpus, &why->others);
    why_find_failure(process, loader, around, &why->failure);
    why_reckon(loader, why, &why->setting);
    why->primary = why_choose(loader, around, why);
}
