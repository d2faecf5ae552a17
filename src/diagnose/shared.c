#include "diagnose/shared.h"

#include <stdlib.h>

#include "base/sums.h"
#include "diagnose/gpus.h"

static int by_beginning(const void *a, const void *b)
{
    const struct shared_use *one = a, *other = b;
    return one->begin_ns < other->begin_ns ? -1 : one->begin_ns > other->begin_ns;
}

/* Processes whose windows overlap. */
struct group {
    uint64_t begin_ns, end_ns;
    uint64_t windows_ns; /* all of them */
    uint32_t count;
    struct summary_stall sum;
};

/* k(t) processes stall at a time and T(t) are there: where not all of them stall, k <= T - 1. So all
 * of them stall for at least the integral of k - (T - 1), which is the stalls less the windows plus
 * the time that the windows cover together. */
static void close_group(struct shared_stall *to, const struct group *group)
{
    const uint64_t span_ns = group->end_ns - group->begin_ns;
    const struct summary_stall stall = {
        .waiting_ns = ds_least(group->sum.waiting_ns, span_ns),
        .known_ns = ds_least(group->sum.known_ns, span_ns),
        .upper_ns = ds_least(group->sum.upper_ns, span_ns),
        .lower_ns = ds_least(
            ds_subtract(group->sum.lower_ns, ds_subtract(group->windows_ns, span_ns)), span_ns),
    };
    summary_add_stall(&to->stall, &stall);
    to->most_ns = ds_add(to->most_ns, ds_least(summary_stall_most(&group->sum), span_ns));
    if (group->count > to->at_once)
        to->at_once = group->count;
}

struct shared_stall shared_stall_of(struct shared_use *uses, uint32_t count)
{
    struct shared_stall shared = {.at_once = 0};
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
        summary_add_stall(&group.sum, &uses[i].stall);
    }
    if (group.count > 0)
        close_group(&shared, &group);
    return shared;
}

void shared_stall_narrow(struct shared_stall *shared, uint64_t window_ns, uint64_t idle_ns,
                         uint64_t longest_ns, bool is_exact)
{
    struct summary_stall *stall = &shared->stall;
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
