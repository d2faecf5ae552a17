#include "diagnose/why.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/sums.h"
#include "base/unknown.h"
#include "diagnose/why_words.h"

/* A loader whose stalls are less of its window is not slow: as the severity "none". */
#define LEAST_STALL 0.05
/* Start-up that happens once is no cause to look for below this. */
#define LEAST_SINGLE_STARTUP_NS DS_NS_PER_S
/* Head of line and window are causes when they explain so much of what is not start-up. */
#define LEAST_LINE 0.5
/* The larger window must remove so much of the window's part. */
#define LEAST_REMOVED 0.5

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? NAN : (double)part / (double)whole;
}

/* ---- what was recorded ---- */

/* The value of rank n * p of the sampled items. */
static double item_quantile(const uint64_t *items, uint64_t count, double p)
{
    uint64_t rank = (uint64_t)((double)count * p), seen = 0;
    if (rank >= count)
        rank = count - 1;
    for (uint32_t i = 0; i < RF_WORKER_ITEM_BUCKETS; i++) {
        seen = ds_add(seen, items[i]);
        if (seen > rank)
            return (double)rf_item_bucket_ns(i);
    }
    return NAN;
}

static void add_work(const struct run_process *process, const struct run_loader *loader,
                     struct why_work *work)
{
    uint64_t items[RF_WORKER_ITEM_BUCKETS] = {0}, counted = 0, lived_ns = 0, busy_ns = 0;
    uint64_t slowest_ns = 0;
    uint64_t begin_ns = UINT64_MAX, end_ns = 0;
    *work = (struct why_work){.asked_bytes = DATASTALL_UNKNOWN,
                              .storage_bytes = DATASTALL_UNKNOWN,
                              .major_faults = DATASTALL_UNKNOWN,
                              .busy_share = NAN,
                              .running_cpus = NAN,
                              .item_p50_ns = NAN,
                              .item_p99_ns = NAN,
                              .item_max_ns = NAN};
    for (uint32_t i = 0; i < process->worker_count; i++) {
        const struct rf_worker_view *worker = &process->workers[i];
        const uint64_t *t = worker->totals;
        if (worker->loader != loader->index)
            continue;
        work->workers++;
        work->batches = ds_add(work->batches, t[RF_TOTAL_BATCHES]);
        work->items = ds_add(work->items, t[RF_TOTAL_ITEMS]);
        work->items_timed = ds_add(work->items_timed, t[RF_TOTAL_ITEMS_TIMED]);
        work->items_ns = ds_add(work->items_ns, t[RF_TOTAL_ITEMS_NS]);
        work->cpu_ns = ds_add(work->cpu_ns, t[RF_TOTAL_ITEMS_CPU_NS]);
        work->delay_ns = ds_add(work->delay_ns, t[RF_TOTAL_ITEMS_DELAY_NS]);
        work->collate_ns = ds_add(work->collate_ns, t[RF_TOTAL_COLLATE_NS]);
        work->gap_ns = ds_add(work->gap_ns, t[RF_TOTAL_GAP_NS]);
        work->gap_cpu_ns = ds_add(work->gap_cpu_ns, t[RF_TOTAL_GAP_CPU_NS]);
        work->startup_ns = ds_add(work->startup_ns, t[RF_TOTAL_STARTUP_NS]);
        work->generations = ds_add(work->generations, worker->generation);
        work->asked_bytes = ds_add_known(work->asked_bytes, t[RF_TOTAL_ASKED_BYTES]);
        work->storage_bytes = ds_add_known(work->storage_bytes, t[RF_TOTAL_STORAGE_BYTES]);
        work->major_faults = ds_add_known(work->major_faults, t[RF_TOTAL_MAJOR_FAULTS]);
        const uint64_t made_ns = t[RF_TOTAL_ITEMS_NS] + t[RF_TOTAL_COLLATE_NS]; /* <= RF_MOST_NS */
        busy_ns = ds_add(busy_ns, made_ns + t[RF_TOTAL_GAP_CPU_NS]);
        lived_ns = ds_add(lived_ns, made_ns + t[RF_TOTAL_GAP_NS]);
        if (t[RF_TOTAL_BEGIN_NS] < begin_ns)
            begin_ns = t[RF_TOTAL_BEGIN_NS];
        if (t[RF_TOTAL_END_NS] > end_ns)
            end_ns = t[RF_TOTAL_END_NS];
        for (uint32_t b = 0; b < RF_WORKER_ITEM_BUCKETS; b++) {
            items[b] = ds_add(items[b], worker->items[b]);
            counted = ds_add(counted, worker->items[b]);
        }
        if (worker->slowest_count > 0 && worker->slowest[0].ns > slowest_ns)
            slowest_ns = worker->slowest[0].ns;
    }
    work->blocked_ns = ds_subtract(work->items_ns, ds_add(work->cpu_ns, work->delay_ns));
    if (lived_ns > 0)
        work->busy_share = fmin(1.0, share(busy_ns, lived_ns));
    if (work->workers > 0 && end_ns > begin_ns)
        work->running_cpus = share(ds_add(ds_add(work->cpu_ns, work->gap_cpu_ns), work->collate_ns),
                                   end_ns - begin_ns);
    if (counted > 0) {
        work->item_p50_ns = item_quantile(items, counted, 0.50);
        work->item_p99_ns = item_quantile(items, counted, 0.99);
    }
    if (slowest_ns > 0)
        work->item_max_ns = (double)slowest_ns;
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
    *host = (struct why_host){NAN, NULL, NAN, NAN, NAN, NAN, NAN, NAN};
    if (w[RF_PROCESS_HOST_NS] == 0)
        return;
    const uint64_t source = w[RF_PROCESS_CPUS_SOURCE];
    host->cpus_usable = known(w[RF_PROCESS_CPUS_MILLI], 1e-3);
    host->limit = source < sizeof limits / sizeof *limits ? limits[source] : NULL;
    host->throttled_s = known(w[RF_PROCESS_THROTTLED_NS], 1e-9);
    host->shm_size_bytes = known(w[RF_PROCESS_SHM_BYTES], 1.0);
    host->shm_used_bytes = known(w[RF_PROCESS_SHM_USED_BYTES], 1.0);
    const uint64_t first_ns = w[RF_PROCESS_HOST_FIRST_NS], last_ns = w[RF_PROCESS_HOST_NS];
    if (last_ns <= first_ns)
        return;
    const double span_ns = (double)(last_ns - first_ns);
    host->loop_cpus = known(w[RF_PROCESS_CPU_NS], 1.0) / span_ns;
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
    const uint64_t begin_ns = c[RF_COUNT_BEGIN_NS], end_ns = c[RF_COUNT_END_NS];
    why->stall_share = end_ns > begin_ns ? fmin(1.0, share(why->stall_ns, end_ns - begin_ns)) : NAN;
}

static uint32_t choose(const struct run_loader *loader, const struct why *why)
{
    const uint64_t *c = loader->totals.counters;
    const uint64_t startup_ns = why->states_ns[CAUSE_STARTUP];
    const uint64_t rest_ns = why->stall_ns - startup_ns;
    uint32_t largest = CAUSE_COMPUTE;
    if (isnan(why->stall_share))
        return CAUSE_UNKNOWN;
    if (why->stall_share < LEAST_STALL)
        return WHY_NONE;
    if (c[RF_COUNT_ITERATORS] <= 1 && startup_ns < LEAST_SINGLE_STARTUP_NS &&
        why->stall_share * (double)rest_ns < LEAST_STALL * (double)why->stall_ns)
        return WHY_NONE;
    for (uint32_t i = 1; i < CAUSE_STATES; i++) {
        if (why->states_ns[i] > why->states_ns[largest])
            largest = i;
    }
    if (largest == CAUSE_STARTUP)
        return largest;
    if ((double)why->window_ns >= LEAST_LINE * (double)rest_ns)
        return WHY_WINDOW;
    if ((double)why->others_idle_ns >= LEAST_LINE * (double)rest_ns)
        return WHY_HEAD_OF_LINE;
    return largest;
}

void why_make(const struct run_process *process, const struct run_loader *loader,
              const struct stall *stall, struct why *why)
{
    memset(why, 0, sizeof *why);
    take_stall(loader, stall, why);
    take_depth(loader->totals.counters, &why->depth);
    take_host(process, &why->host);
    add_work(process, loader, &why->work);
    why->primary = choose(loader, why);
    why_tell(loader, why);
}
