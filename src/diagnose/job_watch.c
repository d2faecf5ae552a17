/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/job_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/unknown.h"
#include "diagnose/job_parts.h"

#define KEPT_STEPS 1024u  /* of a rank: of those that it is ahead of the others, and those before */
#define JUDGED_STEPS 256u /* before the new ones: whether ranks are in step is told by them too */
#define LEAST_STEPS 32u
#define LOOK_NS DS_NS_PER_S /* seldom enough that it costs nothing beside the reading */
#define LEAST_NEW 16u       /* or fewer, when the last look was so long ago: */
#define MOST_LAG 32u        /* batches a step */
#define MOST_FOUND 8u
#define PATIENCE_NS (5 * DS_NS_PER_S)

/* A rank with one of its loaders. */
struct watched {
    uint64_t key; /* of the run's folder, the file and the loader */
    uint64_t job; /* hash of what its ranks have in common */
    bool seen, ended;
    uint64_t ended_ns;
    struct job_member member; /* its steps are those from the last JUDGED_STEPS before `next` on */
    uint64_t next;            /* the first index that is not counted yet; 0: not known */
    uint64_t looked_ns, newest; /* the last look: when, and the newest index by then */
    uint8_t
        found[MOST_LAG + 1]; /* how often it was found to have so many batches a step; 0: none */
    uint32_t lag;            /* what was found most often */
    uint64_t slot, record;   /* the next one to take */
    uint64_t iter_begin_ns, iter_ns; /* of an iterator whose first batch is to come; 0: none */
    char *path;
    char id[sizeof((struct rf_process_static *)0)->job];
    char node[sizeof((struct rf_process_static *)0)->node];
    char pod[sizeof((struct rf_process_static *)0)->pod];
    struct job_watched said;
};

struct job_watch {
    struct watched **watched;
    uint32_t count, room, cursor; /* cursor: where the next one is likely to be found */
    struct job clocks;            /* its table of clocks, and nothing else */
    struct job_watched **said;
    uint32_t said_count;
};

struct job_watch *job_watch_new(void)
{
    return calloc(1, sizeof(struct job_watch));
}

static void forget(struct watched *one)
{
    if (one == NULL)
        return;
    free(one->member.steps);
    free(one->path);
    free(one);
}

void job_watch_free(struct job_watch *watch)
{
    if (watch == NULL)
        return;
    for (uint32_t i = 0; i < watch->count; i++)
        forget(watch->watched[i]);
    free(watch->watched);
    free(watch->said);
    free(watch->clocks.clock);
    free(watch);
}

/* ---- who is watched ---- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return ds_hash(hash, text, strlen(text) + 1);
}

static uint64_t key_of(const struct run_data *data, const struct run_process *process,
                       uint32_t loader)
{
    const uint64_t started[] = {process->header.created_mono_ns, loader};
    return ds_hash(hash_text(hash_text(DS_HASH_OF_NOTHING, data->path), process->file), started,
                   sizeof started);
}

/* They are told in the same order each time. */
static struct watched *find(struct job_watch *watch, uint64_t key)
{
    for (uint32_t i = 0; i < watch->count; i++) {
        const uint32_t at = (watch->cursor + i) % watch->count;
        if (watch->watched[at]->key == key) {
            watch->cursor = at + 1;
            return watch->watched[at];
        }
    }
    return NULL;
}

static bool make_room(struct job_watch *watch)
{
    if (watch->count < watch->room)
        return true;
    const uint32_t room = watch->room == 0 ? 16 : 2 * watch->room;
    struct watched **more = realloc(watch->watched, room * sizeof(struct watched *));
    if (more == NULL)
        return false;
    watch->watched = more;
    watch->room = room;
    return true;
}

/* Of one job on this machine: by what its processes were told, else of one run. */
static uint64_t job_hash(const struct run_data *data, const struct rf_process_static *fixed)
{
    return hash_text(DS_HASH_OF_NOTHING, fixed->job[0] != '\0' ? fixed->job : data->path);
}

static struct watched *watch_one(struct job_watch *watch, const struct run_data *data,
                                 const struct summary_process *process,
                                 const struct summary_loader *loader)
{
    const struct rf_process_static *fixed = &process->data->view.fixed;
    struct watched *one = make_room(watch) ? calloc(1, sizeof *one) : NULL;
    if (one == NULL)
        return NULL;
    one->key = key_of(data, process->data, loader->data->index);
    one->job = job_hash(data, fixed);
    one->path = strdup(data->path);
    one->member = (struct job_member){
        .rank = fixed->rank,
        .restart = fixed->restart == DATASTALL_UNKNOWN ? 0 : fixed->restart,
        .world_size = fixed->world_size,
        .opened_ns = fixed->opened_mono_ns,
        .steps = calloc(KEPT_STEPS, sizeof *one->member.steps),
    };
    job_loader_text(&loader->data->entry, one->member.loader, sizeof one->member.loader);
    snprintf(one->id, sizeof one->id, "%s", fixed->job);
    snprintf(one->node, sizeof one->node, "%s", summary_node(fixed));
    snprintf(one->pod, sizeof one->pod, "%s", fixed->pod);
    one->said = (struct job_watched){.path = one->path,
                                     .id = one->id,
                                     .node = one->node,
                                     .pod = one->pod,
                                     .rank = fixed->rank,
                                     .not_input_ns = DATASTALL_UNKNOWN};
    if (one->path == NULL || one->member.steps == NULL ||
        !job_clock_of(&watch->clocks, &process->data->header, &one->member.clock)) {
        forget(one);
        return NULL;
    }
    watch->watched[watch->count++] = one;
    return one;
}

/* ---- its steps ---- */

static void drop_steps(struct job_member *member, uint32_t count)
{
    member->count -= count;
    memmove(member->steps, member->steps + count, member->count * sizeof *member->steps);
}

static struct job_step step_of(struct watched *one, const struct run_recent_wait *wait,
                               enum summary_method method)
{
    const bool first = wait->kind == DATASTALL_WAIT_FIRST && one->iter_begin_ns != 0;
    const uint64_t iter_ns = first ? one->iter_ns : 0, waited_ns = wait->wait_ns + iter_ns;
    struct job_step step = {.begin_ns = first ? one->iter_begin_ns : wait->begin_ns,
                            .end_ns = wait->begin_ns + wait->wait_ns,
                            .lower_ns = waited_ns,
                            .upper_ns = waited_ns,
                            .first = wait->kind == DATASTALL_WAIT_FIRST};
    if (method == SUMMARY_METHOD_HOST_EXACT)
        return step;
    step.lower_ns = 0;
    if (method == SUMMARY_METHOD_GPU_EVENTS && wait->exposed.upper_ns != DATASTALL_UNKNOWN) {
        step.lower_ns = wait->exposed.lower_ns;
        step.upper_ns = ds_least(waited_ns, wait->exposed.upper_ns + iter_ns);
    }
    return step;
}

static void take_wait(struct watched *one, const struct run_recent_wait *wait, uint64_t index,
                      enum summary_method method)
{
    const bool known = wait->wait_ns != DATASTALL_UNKNOWN;
    if (wait->kind == DATASTALL_WAIT_ITER) {
        one->iter_begin_ns = known ? wait->begin_ns : 0;
        one->iter_ns = wait->wait_ns;
        return;
    }
    if (known && (wait->kind == DATASTALL_WAIT_STEADY || wait->kind == DATASTALL_WAIT_FIRST)) {
        struct job_member *member = &one->member;
        if (member->count == KEPT_STEPS)
            drop_steps(member, KEPT_STEPS / 2);
        member->steps[member->count] = step_of(one, wait, method);
        member->steps[member->count++].index = index;
    }
    one->iter_begin_ns = 0;
}

/* The slot that the loop goes on in: a thread that comes to use a GPU gets another one. */
static const struct run_recent *newest_of(const struct run_process *process, uint32_t loader,
                                          uint64_t *before)
{
    const struct run_recent *newest = NULL;
    *before = 0;
    for (uint32_t i = 0; i < process->recent_count; i++) {
        const struct run_recent *recent = &process->recent[i];
        if (recent->loader != loader)
            continue;
        *before += recent->batches;
        newest = newest == NULL || recent->begin_ns > newest->begin_ns ? recent : newest;
    }
    *before -= newest != NULL ? newest->batches : 0;
    return newest;
}

/* A batch's number is how many the loader had before it. */
static void take_waits(struct watched *one, const struct summary_process *process, uint32_t loader)
{
    uint64_t before;
    const struct run_recent *recent = newest_of(process->data, loader, &before);
    if (recent == NULL)
        return;
    if (recent->slot != one->slot)
        one->record = 0;
    one->slot = recent->slot;
    one->member.gpu = process->method != SUMMARY_METHOD_HOST_EXACT;
    uint64_t index = before + recent->batches;
    for (uint64_t i = recent->count; i-- > 0;)
        index -= recent->waits[i].kind <= DATASTALL_WAIT_FIRST;
    for (uint64_t i = 0; i < recent->count; i++) {
        const struct run_recent_wait *wait = &recent->waits[i];
        if (recent->first + i >= one->record)
            take_wait(one, wait, index, process->method);
        index += wait->kind <= DATASTALL_WAIT_FIRST;
    }
    if (recent->first + recent->count > one->record)
        one->record = recent->first + recent->count;
}

/* Two threads that share a loader have no order in which its batches came. */
static void add_loader(struct job_watch *watch, const struct summary *run,
                       const struct summary_loader *loader)
{
    const struct summary_process *process = &run->processes[loader->process];
    if (!loader->in_verdict || summary_rank(process) == DATASTALL_UNKNOWN ||
        loader->data->threads > 1)
        return;
    struct watched *one = find(watch, key_of(run->data, process->data, loader->data->index));
    if (one == NULL)
        one = watch_one(watch, run->data, process, loader);
    if (one == NULL)
        return;
    one->seen = true;
    one->ended = process->state != SUMMARY_RUNNING;
    one->ended_ns = process->data->recorded_ns;
    take_waits(one, process, loader->data->index);
}

static void forget_unseen(struct job_watch *watch)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < watch->count; i++) {
        if (watch->watched[i]->seen)
            watch->watched[kept++] = watch->watched[i];
        else
            forget(watch->watched[i]);
    }
    watch->count = kept;
}

/* ---- what they cost each other ---- */

static int compare(const void *a, const void *b)
{
    const struct watched *one = *(struct watched *const *)a, *other = *(struct watched *const *)b;
    if (one->job != other->job)
        return one->job < other->job ? -1 : 1;
    const int loader = strcmp(one->member.loader, other->member.loader);
    if (loader != 0)
        return loader;
    if (one->member.restart != other->member.restart)
        return one->member.restart < other->member.restart ? -1 : 1;
    if (one->member.rank != other->member.rank)
        return one->member.rank < other->member.rank ? -1 : 1;
    return one->key < other->key ? -1 : one->key > other->key;
}

static bool belong_together(const struct watched *one, const struct watched *other)
{
    return one->job == other->job && one->member.restart == other->member.restart &&
           strcmp(one->member.loader, other->member.loader) == 0;
}

static uint64_t ns_of(double value)
{
    return value > 0 ? (uint64_t)value : 0;
}

static void add_loss(const struct job_group *group, struct watched *const *ranks,
                     const struct job_loss *loss)
{
    for (uint32_t m = 0; m < group->count; m++) {
        struct job_watched *said = &ranks[m]->said;
        said->steps += loss->steps;
        said->time_ns += ns_of(loss->time);
        said->input_lower_ns += ns_of(loss->input_lower[m]);
        said->input_upper_ns += ns_of(loss->input_upper[m]);
        said->last_by_input += loss->last[m];
        said->last_by_other += loss->last_late[m];
        if (group->count > 1)
            said->not_input_ns = ds_known_or_zero(said->not_input_ns) + ns_of(loss->late[m]);
    }
}

/* Whether its ranks wait for each other, and for how many batches each; one alone has a step of its own. */
static bool is_in_step(struct job_group *group, uint32_t clocks, bool *made)
{
    *made = job_find_clocks(group, clocks);
    group->lag = 1;
    if (*made && group->count > 1)
        *made = job_find_lag(group, job_is_by_host(group));
    return *made && group->lag > 0 && job_epochs_agree(group);
}

/* Steps up to `next` are done with, and of those before it only so many are needed any more. */
static void go_on_from(const struct job_group *group, struct watched *const *ranks, uint64_t next)
{
    for (uint32_t m = 0; m < group->count; m++) {
        struct job_member *member = &ranks[m]->member;
        uint32_t old = 0;
        while (old < member->count && member->steps[old].index + JUDGED_STEPS < next)
            old++;
        drop_steps(member, old);
        ranks[m]->next = next;
    }
}

/* Few steps may seem to hang together in another way than all do: what counts is what was found most often,
 * and twice at least. Whether that is what was found now. */
static bool is_usual(struct watched *one, uint32_t lag)
{
    if (one->found[lag] == MOST_FOUND) {
        for (uint32_t i = 0; i <= MOST_LAG; i++)
            one->found[i] /= 2;
    }
    one->found[lag]++;
    if (one->found[lag] > one->found[one->lag])
        one->lag = lag;
    return one->lag == lag && one->found[lag] > 1;
}

/* Where ranks are not in step, steps are passed over; where it is not clear, they wait for more of them, as
 * long as there will be any. */
static void count_new(struct job_group *group, struct watched *const *ranks, uint32_t clocks,
                      bool over)
{
    bool made;
    struct job_loss loss = {0};
    const bool in_step = is_in_step(group, clocks, &made);
    if (!made || (!is_usual(ranks[0], in_step ? group->lag : 0) && !over))
        return;
    if (!in_step) {
        go_on_from(group, ranks, group->indices[group->steps - 1] + 1);
    } else if (job_lose(group, &loss)) {
        add_loss(group, ranks, &loss);
        go_on_from(group, ranks, loss.next);
    }
    job_loss_free(&loss);
}

/* A step has to have one before it, from which its time is taken. */
static uint64_t first_to_count(const struct job_group *group, struct watched *const *ranks)
{
    uint64_t from = group->indices[0] + 1;
    for (uint32_t m = 0; m < group->count; m++)
        from = ranks[m]->next > from ? ranks[m]->next : from;
    return from;
}

static bool is_over(struct watched *const *ranks, uint32_t count)
{
    bool over = true;
    for (uint32_t m = 0; m < count; m++)
        over &= ranks[m]->ended;
    return over;
}

/* Seldom, but for the last time. */
static bool is_time_to_look(struct watched *const *ranks, uint32_t count, uint64_t now_ns)
{
    return now_ns - ranks[0]->looked_ns >= LOOK_NS || is_over(ranks, count);
}

static void look_at(struct job_group *group, struct watched *const *ranks, uint32_t clocks,
                    uint64_t now_ns)
{
    if (group->steps < LEAST_STEPS)
        return;
    const uint64_t newest = group->indices[group->steps - 1];
    const bool waited = now_ns - ranks[0]->looked_ns >= PATIENCE_NS && newest > ranks[0]->newest;
    const bool over = is_over(ranks, group->count);
    group->count_from = first_to_count(group, ranks);
    if (over && newest < group->count_from)
        return;
    if (!over && newest < ranks[0]->newest + LEAST_NEW && !waited)
        return;
    for (uint32_t m = 0; m < group->count; m++) {
        ranks[m]->looked_ns = now_ns;
        ranks[m]->newest = newest;
    }
    count_new(group, ranks, clocks, over);
}

/* One rank alone of a job: what it stalls it may cost the others. Two processes that are the same rank
 * cannot be told apart. */
static bool is_group(struct watched *const *ranks, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (ranks[i]->member.rank == ranks[i - 1]->member.rank)
            return false;
    }
    const uint64_t world_size = count > 0 ? ranks[0]->member.world_size : 0;
    return count > 1 || (count == 1 && world_size != DATASTALL_UNKNOWN && world_size > 1);
}

static void look_at_ranks(struct watched *const *ranks, uint32_t count, uint32_t clocks,
                          uint64_t now_ns)
{
    if (!is_group(ranks, count) || !is_time_to_look(ranks, count, now_ns))
        return;
    struct job_group group = {.members = calloc(count, sizeof(struct job_member *)),
                              .count = count};
    if (group.members == NULL)
        return;
    for (uint32_t m = 0; m < count; m++)
        group.members[m] = &ranks[m]->member;
    if (job_find_common(&group))
        look_at(&group, ranks, clocks, now_ns);
    job_group_free(&group);
    free(group.members);
}

/* Those that had ended when the newest one began are of another start of the job. Moves the others to the
 * front and returns how many. */
static uint32_t leave_ended(struct watched **ranks, uint32_t count)
{
    uint64_t opened_ns = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        opened_ns = ranks[i]->member.opened_ns > opened_ns ? ranks[i]->member.opened_ns : opened_ns;
    for (uint32_t i = 0; i < count; i++) {
        struct watched *one = ranks[i];
        if (one->ended && one->ended_ns < opened_ns)
            continue;
        ranks[i] = ranks[kept];
        ranks[kept++] = one;
    }
    return kept;
}

static void list_said(struct job_watch *watch)
{
    struct job_watched **more =
        realloc(watch->said, (watch->count + 1) * sizeof(struct job_watched *));
    watch->said_count = 0;
    if (more == NULL)
        return;
    watch->said = more;
    for (uint32_t i = 0; i < watch->count; i++) {
        if (watch->watched[i]->said.steps > 0)
            more[watch->said_count++] = &watch->watched[i]->said;
    }
}

void job_watch_add(struct job_watch *watch, const struct summary *const *runs, uint32_t count,
                   uint64_t now_ns)
{
    for (uint32_t i = 0; i < watch->count; i++)
        watch->watched[i]->seen = false;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < runs[i]->loader_count; k++)
            add_loader(watch, runs[i], &runs[i]->loaders[k]);
    }
    forget_unseen(watch);
    if (watch->count > 0)
        qsort(watch->watched, watch->count, sizeof(struct watched *), compare);
    for (uint32_t first = 0, end; first < watch->count; first = end) {
        end = first + 1;
        while (end < watch->count && belong_together(watch->watched[first], watch->watched[end]))
            end++;
        const uint32_t ranks = leave_ended(watch->watched + first, end - first);
        look_at_ranks(watch->watched + first, ranks, watch->clocks.clocks, now_ns);
    }
    list_said(watch);
}

uint32_t job_watch_count(const struct job_watch *watch)
{
    return watch == NULL ? 0 : watch->said_count;
}

const struct job_watched *job_watch_at(const struct job_watch *watch, uint32_t index)
{
    return watch->said[index];
}
