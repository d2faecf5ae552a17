/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stall.h"

#include <stdlib.h>

struct stall stall_within(const struct stall *stall, uint64_t span_ns)
{
    return stall_of(ds_least(stall->waiting_ns, span_ns), stall->known_ns, stall->lower_ns,
                    stall->upper_ns);
}

struct stall_bounds stall_of_idle(uint64_t window_ns, uint64_t waiting_ns, uint64_t idle_ns)
{
    const uint64_t least_ns = ds_subtract(idle_ns, ds_subtract(window_ns, waiting_ns));
    const uint64_t most_ns = ds_least(idle_ns, waiting_ns);
    return (struct stall_bounds){ds_least(least_ns, most_ns), most_ns};
}

/* ---- a device that several processes consume ---- */

static int by_beginning(const void *a, const void *b)
{
    const struct stall_use *one = a, *other = b;
    return one->begin_ns < other->begin_ns ? -1 : one->begin_ns > other->begin_ns;
}

/* Processes whose windows overlap. */
struct group {
    uint64_t begin_ns, end_ns;
    uint64_t windows_ns; /* all of them */
    uint32_t count;
    struct stall sum;
};

/* k(t) processes stall at a time and T(t) are there: where not all of them stall, k <= T - 1. So all
 * of them stall for at least the integral of k - (T - 1), which is the stalls less the windows plus
 * the time that the windows cover together. */
static void close_group(struct stall_shared *to, const struct group *group)
{
    const uint64_t span_ns = group->end_ns - group->begin_ns;
    struct stall sum = group->sum;
    sum.lower_ns = ds_subtract(sum.lower_ns, ds_subtract(group->windows_ns, span_ns));
    const struct stall stall = stall_within(&sum, span_ns);
    stall_add(&to->stall, &stall);
    to->most_ns = ds_add(to->most_ns, ds_least(stall_most_ns(&group->sum), span_ns));
    if (group->count > to->at_once)
        to->at_once = group->count;
}

struct stall_shared stall_share(struct stall_use *uses, uint32_t count)
{
    struct stall_shared shared = {.at_once = 0};
    struct group group = {.count = 0};
    qsort(uses, count, sizeof *uses, by_beginning);
    for (uint32_t i = 0; i < count; i++) {
        if (group.count > 0 && uses[i].begin_ns >= group.end_ns) {
            close_group(&shared, &group);
            group = (struct group){.count = 0};
        }
        if (group.count == 0)
            group.begin_ns = group.end_ns = uses[i].begin_ns;
        if (uses[i].end_ns > group.end_ns)
            group.end_ns = uses[i].end_ns;
        group.windows_ns = ds_add(group.windows_ns, uses[i].end_ns - uses[i].begin_ns);
        group.count++;
        stall_add(&group.sum, &uses[i].stall);
    }
    if (group.count > 0)
        close_group(&shared, &group);
    return shared;
}

void stall_share_narrow(struct stall_shared *shared, uint64_t window_ns, uint64_t idle_ns,
                        uint64_t longest_ns, bool is_exact)
{
    struct stall *stall = &shared->stall;
    const uint64_t rest_ns = ds_subtract(window_ns, longest_ns);
    const uint64_t least_ns = ds_subtract(idle_ns, rest_ns);
    if (least_ns > stall->lower_ns)
        stall->lower_ns = least_ns;
    if (is_exact) {
        stall->upper_ns = ds_least(stall->upper_ns, idle_ns);
        shared->most_ns = ds_least(shared->most_ns, idle_ns);
    }
    stall->lower_ns = ds_least(stall->lower_ns, stall->upper_ns);
}
