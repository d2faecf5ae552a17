/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/sums.h"
#include "diagnose/rates.h"

/* ---- each run by itself ---- */

static double seconds(uint64_t ns)
{
    return ns == DATASTALL_UNKNOWN ? NAN : (double)ns * 1e-9;
}

static double window_s(const struct summary *run)
{
    return run->begin_ns == DATASTALL_UNKNOWN || run->end_ns < run->begin_ns
               ? NAN
               : seconds(run->end_ns - run->begin_ns);
}

/* Start-up waits of a process, the mean over those that loaded anything. */
static double startup_s(const struct summary *run)
{
    uint64_t sum_ns = 0;
    uint32_t processes = 0;
    for (uint32_t i = 0; i < run->loader_count; i++)
        sum_ns =
            ds_add(sum_ns, run->loaders[i].in_verdict ? run->loaders[i].figures.startup.sum_ns : 0);
    for (uint32_t i = 0; i < run->process_count; i++)
        processes += run->processes[i].begin_ns != DATASTALL_UNKNOWN;
    return processes == 0 ? NAN : seconds(sum_ns) / processes;
}

const char *compare_cause(const struct summary *run)
{
    const struct summary_loader *longest = NULL;
    for (uint32_t i = 0; i < run->loader_count; i++) {
        const struct summary_loader *loader = &run->loaders[i];
        if (loader->in_verdict &&
            (longest == NULL || loader->stall.waiting_ns > longest->stall.waiting_ns))
            longest = loader;
    }
    return longest == NULL ? NULL : why_name(longest->why.primary);
}

/* ---- loaders ---- */

static struct compared_loader gather(const struct summary *run, const struct summary_loader *like)
{
    struct compared_loader all = {.first = NULL, .stall_share = NAN};
    double waiting = 0, active = 0;
    for (uint32_t i = 0; i < run->loader_count; i++) {
        const struct summary_loader *loader = &run->loaders[i];
        const datastall_statistics *f = &loader->figures;
        if (strcmp(loader->data->entry.name, like->data->entry.name) != 0)
            continue;
        if (all.first == NULL || loader->stall.waiting_ns > all.first->stall.waiting_ns)
            all.first = loader;
        const double span_s = seconds(ds_subtract(f->window_end_ns, f->window_begin_ns));
        all.samples_per_s += f->samples_per_s;
        all.batches_per_s += span_s > 0 ? (double)f->batches / span_s : NAN;
        waiting += (double)loader->why.stall_ns;
        active += (double)loader->why.active_ns;
    }
    if (active > 0)
        all.stall_share = waiting / active;
    return all;
}

static bool is_first_of_name(const struct summary *run, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(run->loaders[i].data->entry.name, run->loaders[index].data->entry.name) == 0)
            return false;
    }
    return run->loaders[index].in_verdict;
}

/* Up to the line's number, which an edit of the program moves. */
static size_t file_bytes(const char *name)
{
    const char *colon = strchr(name, ':');
    return colon == NULL ? strlen(name) : (size_t)(colon - name);
}

/* How sure it is that two are the same: by name, by site, by file and data set, by data set. */
static unsigned likeness(const struct rf_loader_entry *a, const struct rf_loader_entry *b)
{
    const bool same_data =
        a->dataset_type[0] != '\0' && strcmp(a->dataset_type, b->dataset_type) == 0;
    const size_t bytes = file_bytes(a->name);
    if (strcmp(a->name, b->name) == 0)
        return 4;
    if (a->site[0] != '\0' && strcmp(a->site, b->site) == 0)
        return 3;
    if (same_data && bytes == file_bytes(b->name) && strncmp(a->name, b->name, bytes) == 0)
        return 2;
    return same_data ? 1 : 0;
}

static bool is_taken(const struct comparison *c, const struct summary_loader *loader)
{
    for (uint32_t i = 0; i < c->loader_count; i++) {
        if (c->loaders[i][1].first != NULL &&
            strcmp(c->loaders[i][1].first->data->entry.name, loader->data->entry.name) == 0)
            return true;
    }
    return false;
}

/* Gives each loader of the first run without a partner the one of the second that is so alike. */
static void match_loaders(struct comparison *c, unsigned wanted)
{
    const struct summary *second = c->runs[1];
    for (uint32_t i = 0; i < c->loader_count; i++) {
        for (uint32_t k = 0; k < second->loader_count && c->loaders[i][1].first == NULL; k++) {
            const struct summary_loader *other = &second->loaders[k];
            if (is_first_of_name(second, k) && !is_taken(c, other) &&
                likeness(&c->loaders[i][0].first->data->entry, &other->data->entry) >= wanted)
                c->loaders[i][1] = gather(second, other);
        }
    }
}

/* Returns how many have a partner. */
static uint32_t compare_loaders(struct comparison *c)
{
    uint32_t matched = 0;
    for (uint32_t i = 0; i < c->runs[0]->loader_count && c->loader_count < COMPARE_MOST_LOADERS;
         i++) {
        if (is_first_of_name(c->runs[0], i))
            c->loaders[c->loader_count++][0] = gather(c->runs[0], &c->runs[0]->loaders[i]);
    }
    for (unsigned wanted = 4; wanted > 0; wanted--)
        match_loaders(c, wanted);
    for (uint32_t i = 0; i < c->loader_count; i++)
        matched += c->loaders[i][1].first != NULL;
    for (uint32_t k = 0; k < c->runs[1]->loader_count && c->loader_count < COMPARE_MOST_LOADERS;
         k++) {
        if (is_first_of_name(c->runs[1], k) && !is_taken(c, &c->runs[1]->loaders[k]))
            c->loaders[c->loader_count++][1] = gather(c->runs[1], &c->runs[1]->loaders[k]);
    }
    return matched;
}

/* Of the verdict's loaders in one process. */
static void rates_of_process(const struct summary *run, uint32_t process, double *samples,
                             double *batches)
{
    *samples = *batches = 0;
    for (uint32_t i = 0; i < run->loader_count; i++) {
        const struct summary_loader *loader = &run->loaders[i];
        if (loader->process != process || !loader->in_verdict)
            continue;
        const double active_s = seconds(run->processes[process].active_ns);
        const datastall_statistics *f = &loader->figures;
        *batches += active_s > 0 ? (double)f->batches / active_s : NAN;
        *samples +=
            active_s > 0 && f->samples != DATASTALL_UNKNOWN && f->samples_batches == f->batches
                ? (double)f->samples / active_s
                : NAN;
    }
}

static uint32_t ranks_of(const struct summary *run)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < run->process_count; i++)
        count += summary_rank(&run->processes[i]) != DATASTALL_UNKNOWN;
    return count;
}

static struct compared_rank rank_pair(const struct comparison *c, uint32_t one, uint32_t other)
{
    const uint32_t of[2] = {one, other};
    struct compared_rank pair = {.rank = summary_rank(&c->runs[0]->processes[one])};
    for (int i = 0; i < 2; i++) {
        rates_of_process(c->runs[i], of[i], &pair.samples_per_s[i], &pair.batches_per_s[i]);
        pair.stall_share[i] = c->runs[i]->processes[of[i]].stall_share;
    }
    return pair;
}

static void compare_ranks(struct comparison *c)
{
    for (int i = 0; i < 2; i++)
        c->ranks_of[i] = ranks_of(c->runs[i]);
    for (uint32_t i = 0; i < c->runs[0]->process_count; i++) {
        const uint64_t rank = summary_rank(&c->runs[0]->processes[i]);
        for (uint32_t k = 0; k < c->runs[1]->process_count && rank != DATASTALL_UNKNOWN; k++) {
            if (summary_rank(&c->runs[1]->processes[k]) != rank ||
                c->rank_count == COMPARE_MOST_RANKS)
                continue;
            c->ranks[c->rank_count++] = rank_pair(c, i, k);
            break;
        }
    }
}

/* ---- the throughput ---- */

static const char *const sides[2] = {"first", "second"};

bool compare_is_too_short(struct comparison *c, uint32_t side, const struct rates *rates,
                          const char *what)
{
    if (rates->count >= RATIO_LEAST_VALUES)
        return false;
    snprintf(c->reason, sizeof c->reason,
             "the %s %s is too short: batches came in %u whole spans of %llu s, and %u are needed",
             sides[side], what, rates->count, (unsigned long long)rates->width_s,
             RATIO_LEAST_VALUES);
    return true;
}

void compare_rates(struct comparison *c, const struct rates *const rates[2], const char *what)
{
    struct ratio_mean means[2];
    for (int i = 0; i < 2; i++) {
        const double *values = c->by_samples ? rates[i]->samples_per_s : rates[i]->batches_per_s;
        if (!ratio_mean_of(values, rates[i]->count, &means[i])) {
            snprintf(c->reason, sizeof c->reason, "the %s %s delivered nothing", sides[i], what);
            return;
        }
        c->throughput[i] = means[i].mean;
    }
    c->throughput_ratio = ratio_of(&means[1], &means[0], COMPARE_BETWEEN_RUNS);
    c->result = c->throughput_ratio.lower > 1   ? COMPARE_FASTER
                : c->throughput_ratio.upper < 1 ? COMPARE_SLOWER
                                                : COMPARE_SAME;
}

/* False after saying why not. */
static bool rates_can_be_compared(const struct rates rates[2], struct comparison *c)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (c->runs[i]->worst == UINT32_MAX) {
            snprintf(c->reason, sizeof c->reason, "no batch was recorded in the %s run", sides[i]);
            return false;
        }
        if (compare_is_too_short(c, i, &rates[i], "run"))
            return false;
    }
    return true;
}

static void compare_throughput(struct comparison *c)
{
    struct rates rates[2];
    rates_of(c->runs[0], &rates[0]);
    rates_of(c->runs[1], &rates[1]);
    c->by_samples = rates[0].samples_known && rates[1].samples_known;
    if (rates_can_be_compared(rates, c))
        compare_rates(c, (const struct rates *const[]){&rates[0], &rates[1]}, "run");
}

/* A batch of another size is another amount of work. */
static bool batch_sizes_differ(const struct comparison *c)
{
    for (uint32_t i = 0; i < c->loader_count; i++) {
        const struct summary_loader *one = c->loaders[i][0].first, *other = c->loaders[i][1].first;
        if (one != NULL && other != NULL &&
            one->data->entry.batch_size != other->data->entry.batch_size)
            return true;
    }
    return false;
}

void compare_runs(const struct summary *first, const struct summary *second, struct comparison *c)
{
    memset(c, 0, sizeof *c);
    c->runs[0] = first;
    c->runs[1] = second;
    c->throughput[0] = c->throughput[1] = NAN;
    c->throughput_ratio = (struct ratio){NAN, NAN, NAN};
    c->result = COMPARE_IMPOSSIBLE;
    for (int i = 0; i < 2; i++) {
        const struct summary *run = c->runs[i];
        c->window_s[i] = window_s(run);
        c->startup_s[i] = startup_s(run);
        c->stall_share[i] = run->worst == UINT32_MAX ? NAN : run->processes[run->worst].stall_share;
    }
    c->window_ratio = c->window_s[1] / c->window_s[0];
    const uint32_t matched = compare_loaders(c);
    for (uint32_t i = 0; i < c->loader_count; i++)
        compare_promise(c, c->loaders[i], &c->promises[i]);
    compare_ranks(c);
    compare_throughput(c);
    if (c->result == COMPARE_IMPOSSIBLE)
        return;
    if (matched == 0)
        snprintf(c->reason, sizeof c->reason,
                 "no loader of the one is in the other, by name, place or data set");
    else if (!c->by_samples && batch_sizes_differ(c))
        snprintf(c->reason, sizeof c->reason,
                 "the samples of a batch are not known, and the batch sizes differ");
    if (c->reason[0] == '\0')
        return;
    c->result = COMPARE_IMPOSSIBLE;
    c->throughput_ratio = (struct ratio){NAN, NAN, NAN};
}

/* ---- in words ---- */

const char *compare_result_name(enum compare_result result)
{
    static const char *const names[] = {"same", "faster", "slower", "not_comparable"};
    return names[result];
}

void compare_result_text(const struct comparison *c, char *text, size_t size)
{
    const struct ratio *ratio = &c->throughput_ratio;
    switch (c->result) {
    case COMPARE_FASTER:
        snprintf(text, size, "%.2fx faster (%.2f to %.2f)", ratio->mean, ratio->lower,
                 ratio->upper);
        break;
    case COMPARE_SLOWER:
        snprintf(text, size, "%.2fx slower (%.2f to %.2f)", 1 / ratio->mean, 1 / ratio->upper,
                 1 / ratio->lower);
        break;
    case COMPARE_SAME:
        snprintf(text, size,
                 "no difference that can be told (%+.1f %%, between %+.1f and %+.1f %%)",
                 (ratio->mean - 1) * 100, (ratio->lower - 1) * 100, (ratio->upper - 1) * 100);
        break;
    default:
        snprintf(text, size, "not comparable: %s", c->reason);
        break;
    }
}
