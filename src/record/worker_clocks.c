/* SPDX-License-Identifier: Apache-2.0 */
#include "record/worker_clocks.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/hot.h"
#include "base/sums.h"

/* Clocks that need not be read: for so long at most, and not from batch to batch where longer passed
 * between the two, since what other threads of the process ran then would be the items'. */
#define ASKED_FOR_NS (5 * DS_NS_PER_S / 1000)
#define MOST_GAP_NS UINT64_C(50000)
/* After so many batches in a row, each so short at most, that only ran, the next is taken to be such a
 * one: a loop whose batches wait now and then has all its clocks read for each. */
#define QUIET_BATCHES 64u
#define QUIET_NS (DS_NS_PER_S / 1000)
#define QUIET_ASKED_FOR_NS (20 * DS_NS_PER_S / 1000)

void worker_clocks_open(struct worker_clocks *clocks)
{
    clocks->schedstat = host_schedstat_open();
}

void worker_clocks_close(struct worker_clocks *clocks)
{
    if (clocks->schedstat >= 0)
        close(clocks->schedstat);
    clocks->schedstat = -1;
}

DS_HOT static void take(struct worker_clocks *clocks, struct worker_moment *moment,
                        uint64_t pickle_cpu_ns)
{
    if (moment->at.asked) {
        moment->pickle_cpu_ns = pickle_cpu_ns;
        clocks->asked = *moment;
    } else {
        moment->pickle_cpu_ns = clocks->asked.pickle_cpu_ns;
    }
}

DS_EACH_WAIT bool worker_clocks_are_quiet(const struct worker_clocks *clocks)
{
    return clocks->quiet == QUIET_BATCHES;
}

DS_HOT static bool expects_no_wait(const struct worker_clocks *clocks, uint64_t asked_for_ns)
{
    return worker_clocks_are_quiet(clocks) && clocks->gap.at.wall_ns != 0 &&
           asked_for_ns < QUIET_ASKED_FOR_NS;
}

DS_HOT void worker_clocks_begin(struct worker_clocks *clocks, uint64_t pickle_cpu_ns)
{
    const struct host_moment *gap = &clocks->gap.at;
    const uint64_t asked_for_ns = ds_subtract(gap->wall_ns, clocks->asked.at.wall_ns);
    clocks->has_items_end = false;
    clocks->begin_is_taken =
        expects_no_wait(clocks, asked_for_ns) && host_moment_of_own(gap, &clocks->begin.at);
    if (!clocks->begin_is_taken)
        host_moment_since(clocks->schedstat, gap, asked_for_ns < ASKED_FOR_NS ? MOST_GAP_NS : 0,
                          &clocks->begin.at);
    take(clocks, &clocks->begin, pickle_cpu_ns);
}

/* ---- a batch that waited all the same ---- */

/* Of the time from one moment to another in which the thread did not run. */
static uint64_t off_cpu_ns(const struct host_moment *from, const struct host_moment *to)
{
    return ds_subtract(ds_subtract(to->wall_ns, from->wall_ns),
                       ds_subtract(to->times.cpu_ns, from->times.cpu_ns));
}

static uint64_t others_cpu_ns(const struct host_moment *from, const struct host_moment *to)
{
    return ds_subtract(ds_subtract(to->times.process_cpu_ns, from->times.process_cpu_ns),
                       ds_subtract(to->times.cpu_ns, from->times.cpu_ns));
}

static uint64_t part(uint64_t whole, double share)
{
    return (uint64_t)((double)whole * share);
}

/* The begin was derived, and all clocks read at `now` only, which tell of the time since they were read
 * before: what was waited for since then is divided as the time is in which the thread did not run, before the
 * batch began and since. Exact where it ran all the time before. */
static void tell_begin_apart(struct worker_clocks *clocks, const struct worker_moment *asked,
                             const struct worker_moment *now)
{
    struct worker_moment *begin = &clocks->begin;
    const uint64_t before_ns = off_cpu_ns(&asked->at, &begin->at);
    const uint64_t since_ns = off_cpu_ns(&begin->at, &now->at);
    const double share =
        before_ns == 0 ? 1.0 : (double)since_ns / ((double)before_ns + (double)since_ns);
    const struct host_thread_times *a = &asked->at.times, *b = &now->at.times;
    struct host_thread_times *times = &begin->at.times;
    times->delay_ns = b->delay_ns - part(ds_subtract(b->delay_ns, a->delay_ns), share);
    times->process_cpu_ns = b->process_cpu_ns - ds_subtract(b->cpu_ns, times->cpu_ns) -
                            part(others_cpu_ns(&asked->at, &now->at), share);
    begin->pickle_cpu_ns =
        now->pickle_cpu_ns - part(ds_subtract(now->pickle_cpu_ns, asked->pickle_cpu_ns), share);
    if (!clocks->has_items_end)
        return;
    /* Its items only ran. */
    struct host_thread_times *items = &clocks->items_end.at.times;
    items->delay_ns = times->delay_ns;
    items->process_cpu_ns = times->process_cpu_ns + ds_subtract(items->cpu_ns, times->cpu_ns);
    clocks->items_end.pickle_cpu_ns = begin->pickle_cpu_ns;
}

/* ---- the moments that follow ---- */

DS_HOT static void read_since(struct worker_clocks *clocks, const struct worker_moment *before,
                              struct worker_moment *moment, uint64_t pickle_cpu_ns)
{
    const struct worker_moment asked = clocks->asked;
    host_moment_since(clocks->schedstat, &before->at, UINT64_MAX, &moment->at);
    take(clocks, moment, pickle_cpu_ns);
    if (moment->at.asked && clocks->begin_is_taken && asked.at.wall_ns < clocks->begin.at.wall_ns)
        tell_begin_apart(clocks, &asked, moment);
}

DS_HOT void worker_clocks_items_end(struct worker_clocks *clocks, uint64_t pickle_cpu_ns)
{
    read_since(clocks, &clocks->begin, &clocks->items_end, pickle_cpu_ns);
    clocks->has_items_end = true;
}

void worker_clocks_end_of(struct worker_clocks *clocks, uint64_t begin_ns, uint64_t pickle_cpu_ns)
{
    clocks->begin = clocks->gap;
    clocks->begin.at.wall_ns = begin_ns;
    clocks->begin_is_taken = false;
    clocks->end.at.asked = true;
    clocks->end.at.wall_ns = host_moment_read(clocks->schedstat, &clocks->end.at.times);
    take(clocks, &clocks->end, pickle_cpu_ns);
    clocks->items_end = clocks->end;
    clocks->quiet = 0;
}

DS_HOT void worker_clocks_end(struct worker_clocks *clocks, uint64_t pickle_cpu_ns)
{
    read_since(clocks, clocks->has_items_end ? &clocks->items_end : &clocks->begin, &clocks->end,
               pickle_cpu_ns);
    if (!clocks->has_items_end)
        clocks->items_end = clocks->end;
    const bool quiet = !clocks->items_end.at.asked && !clocks->end.at.asked &&
                       ds_subtract(clocks->end.at.wall_ns, clocks->begin.at.wall_ns) <= QUIET_NS;
    if (!quiet)
        clocks->quiet = 0;
    else if (clocks->quiet < QUIET_BATCHES)
        clocks->quiet++;
}
