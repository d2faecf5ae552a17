/* Which cause it is. docs/causes.md has the rules in the same order; keep the two together.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/sums.h"
#include "diagnose/why.h"

/* Head of line and window are causes when they explain so much of what is not start-up; first batches
 * when they hold so much of all waiting. */
#define LEAST_LINE 0.5
#define LEAST_FIRST 0.5
/* A stream's workers are as good as so many, by the one that has most to do. */
#define MOST_EVEN 0.67
#define LEAST_ALIKE 1.5 /* items of all workers, to as many as the one with the fewest has */
/* Storage explains what items were blocked for when it was asked at least every so often. One request
 * fetches so much. */
#define STORAGE_EVERY_NS 20e6
#define STORAGE_REQUEST_BYTES (128.0 * 1024)

static bool is_too_little(const struct why_around *around, const struct why *why)
{
    return why->stall_share < WHY_LEAST_STALL || why_is_brief(why->stall_ns, around->life_ns);
}

uint64_t why_once_ns(const struct run_loader *loader, const struct why *why)
{
    const double waits_ns =
        (double)loader->totals.counters[RF_COUNT_STEADY_NS] + (double)why->first_ns;
    const double first = waits_ns > 0 ? (double)why->first_ns / waits_ns : 0;
    const uint64_t first_ns = (uint64_t)(first * (double)why->stall_ns);
    const uint64_t startup_ns = why->states_ns[CAUSE_STARTUP];
    return ds_least(why->stall_ns, first_ns > startup_ns ? first_ns : startup_ns);
}

static bool is_in_the_making(uint32_t state)
{
    return state == CAUSE_COMPUTE || state == CAUSE_COMPUTE_IN_THREADS || state == CAUSE_BLOCKED ||
           state == CAUSE_CPU_CONTENTION || state == CAUSE_COLLATE;
}

/* Of an iterable data set with several workers, whose streams ended. */
static uint32_t fault_of_stream(const struct run_loader *loader, const struct why *why)
{
    const struct why_work *work = &why->work;
    const uint64_t workers = why_workers_of(loader);
    if (!why_loader_is(loader, DATASTALL_LOADER_STREAM) || workers < 2 ||
        workers == DATASTALL_UNKNOWN || work->items == 0)
        return WHY_NONE;
    /* Nobody asked which worker it is in, and each began with the same data, or had the same number of
     * items: all of them. */
    if (!why_may_be_split(loader, work) &&
        (work->same_data ||
         (work->workers == workers && work->ended > 0 && work->most_items == work->least_items)))
        return WHY_DUPLICATE_STREAM;
    if (work->ended == 0)
        return WHY_NONE;
    const double even = (double)work->items / (double)work->most_items / (double)workers;
    return even <= MOST_EVEN ? WHY_UNEVEN_SHARDS : WHY_NONE;
}

/* Of a stream whose parts are as long, one has the dear items: its worker is late with each batch, and
 * the others wait for it. Of a data set that is not a stream every worker gets of all items in turns. */
bool why_is_uneven_in_cost(const struct run_loader *loader, const struct why_work *work)
{
    const uint64_t workers = why_workers_of(loader);
    return why_loader_is(loader, DATASTALL_LOADER_STREAM) && workers >= 2 &&
           workers != DATASTALL_UNKNOWN && work->fed == workers &&
           (double)work->items <= LEAST_ALIKE * (double)work->least_items * (double)workers &&
           (double)work->items_ns <= MOST_EVEN * (double)work->most_items_ns * (double)workers;
}

static double requests_of(const struct why_work *work)
{
    double requests = 0;
    if (work->storage_bytes != DATASTALL_UNKNOWN)
        requests = (double)work->storage_bytes / STORAGE_REQUEST_BYTES;
    if (work->major_faults != DATASTALL_UNKNOWN)
        requests = fmax(requests, (double)work->major_faults);
    return requests;
}

bool why_is_storage(const struct why_work *work)
{
    const double requests = requests_of(work);
    return requests > 0 && requests * STORAGE_EVERY_NS >= (double)work->blocked_ns;
}

/* Storage was read for every few items, and they waited for it: what else it costs (faults, copying)
 * the thread runs for. */
#define ITEMS_FOR_REQUEST 4.0
#define LEAST_BLOCKED 0.2
static bool is_storage_of_items(const struct why_work *work)
{
    return why_is_storage(work) && work->items > 0 &&
           requests_of(work) * ITEMS_FOR_REQUEST >= (double)work->items &&
           (double)work->blocked_ns >= LEAST_BLOCKED * (double)work->items_ns;
}

/* Where no CPU is idle, other threads that have work wait for one as well, and the items with them: that
 * looks as if they were blocked. How long is reckoned where it is known how many threads want a CPU. */
#define LEAST_IN_THREADS 0.2
#define LEAST_CROWDED 0.5
static bool computes_in_threads(const struct why *why)
{
    const double threads_ns = (double)why->work.threads_ns;
    const double blocked_ns = (double)why->work.blocked_ns;
    const double ran_ns = (double)why->states_ns[CAUSE_COMPUTE_IN_THREADS];
    if (!(why->host.idle_cpus < WHY_LEAST_IDLE_CPUS) || threads_ns == 0)
        return false;
    return threads_ns >= LEAST_IN_THREADS * (threads_ns + blocked_ns) ||
           ran_ns + (double)why_crowded_ns(why) >=
               LEAST_CROWDED * (ran_ns + (double)why->states_ns[CAUSE_BLOCKED]);
}

/* Items that waited for a CPU for so much of their time, or more workers than CPUs: there are none for
 * the workers, and so not for the loop either; but where the loop seldom waited for such items, that is
 * not what it lacks. And who has much to do with a CPU waits for one now and then wherever it is
 * shared: it is that work. */
#define LEAST_TAKING 0.75
#define LEAST_SENDING 0.5
#define LEAST_OF_ITEMS 0.33
static uint32_t whose_cpu(const struct run_loader *loader, const struct why *why)
{
    const struct why_work *work = &why->work;
    const uint64_t *states_ns = why->states_ns;
    const uint64_t workers = why_workers_of(loader);
    const bool too_many = workers != DATASTALL_UNKNOWN && (double)workers > why->host.cpus_usable;
    const double lack_ns =
        (double)states_ns[CAUSE_LOOP_CPU_WAIT] + (double)states_ns[CAUSE_CPU_CONTENTION];
    if (why_taking_ns(loader) >= LEAST_TAKING * (double)states_ns[CAUSE_LOOP_CPU_WAIT] &&
        states_ns[CAUSE_LOOP_CPU_WAIT] >= states_ns[CAUSE_CPU_CONTENTION])
        return CAUSE_TRANSFER;
    if ((why_sends_many_tensors(work) || why_sends_many_bytes(work)) &&
        (double)states_ns[CAUSE_TRANSFER] >= LEAST_SENDING * lack_ns)
        return CAUSE_TRANSFER;
    const bool items_lack = why_items_lack_cpus(work) &&
                            (double)states_ns[CAUSE_CPU_CONTENTION] >= LEAST_OF_ITEMS * lack_ns;
    return too_many || items_lack ||
                   states_ns[CAUSE_CPU_CONTENTION] >= states_ns[CAUSE_LOOP_CPU_WAIT]
               ? CAUSE_CPU_CONTENTION
               : CAUSE_LOOP_CPU_WAIT;
}

/* What of the way to the loop is the others' is a lack of CPUs as well. */
static uint32_t largest_state(const struct run_loader *loader, const struct why *why,
                              bool with_startup)
{
    uint64_t states_ns[CAUSE_STATES];
    memcpy(states_ns, why->states_ns, sizeof states_ns);
    states_ns[CAUSE_TRANSFER] = ds_subtract(states_ns[CAUSE_TRANSFER], why->others.handed_ns);
    const uint64_t no_cpu_ns =
        states_ns[CAUSE_CPU_CONTENTION] + states_ns[CAUSE_LOOP_CPU_WAIT] + why->others.handed_ns;
    uint32_t largest = CAUSE_COMPUTE;
    for (uint32_t i = 1; i < CAUSE_STATES; i++) {
        if (states_ns[i] > states_ns[largest] && (with_startup || i != CAUSE_STARTUP))
            largest = i;
    }
    /* The two are one lack. */
    if (largest != CAUSE_STARTUP &&
        (no_cpu_ns > states_ns[largest] || largest == CAUSE_LOOP_CPU_WAIT))
        return whose_cpu(loader, why);
    return largest;
}

/* Workers that make batches all the time, and have none ready, are what the loop waits for, whichever part
 * of a batch it sees: its own work hides the first ones. Then it is what they do that counts, and not
 * what they did while it waited; how long a batch is on its way delays only the first. Where first batches
 * are what is waited for, it does. */
#define LEAST_BINDING 0.95
#define LEAST_EMPTY 0.5
static bool workers_bind(const struct run_loader *loader, const struct why *why)
{
    const uint64_t workers = why_workers_of(loader);
    return workers != 0 && workers != DATASTALL_UNKNOWN && why->work.busy_share >= LEAST_BINDING &&
           why->depth.empty_share >= LEAST_EMPTY;
}

static uint32_t largest_of_making(const struct why_work *work)
{
    const uint64_t parts_ns[CAUSE_STATES] = {
        [CAUSE_COMPUTE] = work->cpu_ns,
        [CAUSE_COMPUTE_IN_THREADS] = ds_add(work->threads_ns, work->collate_threads_ns),
        [CAUSE_CPU_CONTENTION] = ds_add(work->delay_ns, work->collate_delay_ns),
        [CAUSE_BLOCKED] = work->blocked_ns,
        [CAUSE_COLLATE] =
            ds_subtract(work->collate_ns, ds_add(work->collate_delay_ns, work->collate_threads_ns)),
    };
    uint32_t largest = CAUSE_COMPUTE;
    for (uint32_t i = 1; i < CAUSE_STATES; i++)
        largest = parts_ns[i] > parts_ns[largest] ? i : largest;
    return largest;
}

/* Where much is sent, sending takes the workers' interpreter from the making. */
static bool is_of_the_workers(const struct why *why, uint32_t largest)
{
    if (largest == CAUSE_TRANSFER)
        return !why_sends_many_tensors(&why->work) && !why_sends_many_bytes(&why->work);
    return is_in_the_making(largest) && largest != CAUSE_CPU_CONTENTION;
}

/* Whoever has the lock computes, and the others wait for it beside CPUs that are idle: what holds them up
 * is the lock. */
#define LEAST_LOCKED 0.3
static bool waits_for_the_lock(const struct why *why, uint32_t largest)
{
    const struct why_work *work = &why->work;
    return largest == CAUSE_COMPUTE && why_workers_share_a_lock(work) &&
           (double)work->locked >= LEAST_LOCKED * (double)work->looks &&
           (double)why->states_ns[CAUSE_BLOCKED] >= LEAST_LOCKED * (double)why->stall_ns &&
           why->host.idle_cpus >= WHY_LEAST_IDLE_CPUS;
}

/* Every epoch's begin, and not what one of them alone did (an import, a compilation at the first item): also without
 * what the longest of these waits is longer than an epoch's begin else is. */
static bool waits_at_each_begin(const struct run_loader *loader, const struct why *why,
                                uint64_t once)
{
    const uint64_t *c = loader->totals.counters;
    const double first_ns = (double)why->first_ns, longest_ns = (double)c[RF_COUNT_STARTUP_MAX];
    const double waits_ns = (double)c[RF_COUNT_STEADY_NS] + first_ns;
    const double else_ns = (first_ns - longest_ns) / (double)(c[RF_COUNT_ITERATORS] - 1);
    const double stall_ns = (double)why->stall_ns;
    const double alone = waits_ns > 0 ? fmax(0, longest_ns - else_ns) / waits_ns * stall_ns : 0;
    return (double)once - alone >= LEAST_FIRST * (stall_ns - alone);
}

uint32_t why_choose(const struct run_loader *loader, const struct why_around *around,
                    const struct why *why)
{
    const bool single = why_is_single(loader);
    const uint64_t once = why_once_ns(loader, why);
    const uint64_t rest_ns = why->stall_ns - why->states_ns[CAUSE_STARTUP];
    uint32_t largest = largest_state(loader, why, !single || once >= WHY_LEAST_SINGLE_STARTUP_NS);
    if (why->failure.kind != WHY_NOTHING_FAILED)
        return WHY_FAILED;
    if (isnan(why->stall_share))
        return CAUSE_UNKNOWN;
    if (is_too_little(around, why))
        return WHY_NONE;
    if (single && (double)(why->stall_ns - once) < WHY_LEAST_STALL * (double)why->active_ns)
        return once < WHY_LEAST_SINGLE_STARTUP_NS ? WHY_NONE
               : largest == CAUSE_SAMPLER         ? CAUSE_SAMPLER /* the order of one long epoch */
                                                  : CAUSE_STARTUP;
    const uint32_t stream = fault_of_stream(loader, why);
    if (why->others.explain && stream != WHY_DUPLICATE_STREAM)
        return why->states_ns[CAUSE_CPU_CONTENTION] >= why->states_ns[CAUSE_LOOP_CPU_WAIT]
                   ? CAUSE_CPU_CONTENTION
                   : CAUSE_LOOP_CPU_WAIT;
    if (largest == CAUSE_STARTUP)
        return largest;
    if (stream == WHY_DUPLICATE_STREAM || (stream != WHY_NONE && is_in_the_making(largest)))
        return stream;
    if (!single && loader->entry.num_workers != 0 && is_in_the_making(largest) &&
        waits_at_each_begin(loader, why, once))
        return WHY_EPOCH_START;
    if ((double)why->window_ns >= LEAST_LINE * (double)rest_ns)
        return WHY_WINDOW;
    if ((double)why->others_idle_ns >= LEAST_LINE * (double)rest_ns)
        return is_in_the_making(largest) && why_is_uneven_in_cost(loader, &why->work)
                   ? WHY_UNEVEN_SHARDS
                   : WHY_HEAD_OF_LINE;
    if (workers_bind(loader, why) && is_of_the_workers(why, largest) &&
        (double)once < LEAST_FIRST * (double)why->stall_ns)
        largest = largest_of_making(&why->work);
    if (waits_for_the_lock(why, largest))
        return CAUSE_BLOCKED;
    if (largest == CAUSE_BLOCKED && (computes_in_threads(why) || why_computes_in_children(why)))
        return CAUSE_COMPUTE_IN_THREADS;
    if (largest == CAUSE_BLOCKED ? why_is_storage(&why->work)
                                 : is_in_the_making(largest) && is_storage_of_items(&why->work))
        return WHY_STORAGE;
    return largest;
}
