/* SPDX-License-Identifier: Apache-2.0 */
#include "output/card_loaders.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "output/text.h"
#include "output/text_predict.h"

#define MOST_GROUPS 4u /* shown; the rest is counted */

struct group {
    const struct summary_loader *worst; /* that waited the longest */
    uint32_t loaders;
    uint64_t waiting_ns, batches, samples;
    double samples_per_s, batches_per_s;
};

static bool are_alike(const struct summary_loader *one, const struct summary_loader *other)
{
    return strcmp(one->data->entry.name, other->data->entry.name) == 0 &&
           strcmp(one->data->entry.dataset_type, other->data->entry.dataset_type) == 0 &&
           one->in_verdict == other->in_verdict && one->why.primary == other->why.primary;
}

static void add_to_group(struct group *group, const struct summary_loader *loader)
{
    const datastall_statistics *f = &loader->figures;
    const uint64_t span_ns = ds_subtract(f->window_end_ns, f->window_begin_ns);
    if (group->worst == NULL || loader->stall.waiting_ns > group->worst->stall.waiting_ns)
        group->worst = loader;
    group->loaders++;
    group->waiting_ns = ds_add(group->waiting_ns, loader->stall.waiting_ns);
    group->batches = ds_add(group->batches, f->batches);
    group->samples = group->samples == DATASTALL_UNKNOWN || f->samples == DATASTALL_UNKNOWN
                         ? DATASTALL_UNKNOWN
                         : ds_add(group->samples, f->samples);
    group->samples_per_s += f->samples_per_s;
    group->batches_per_s += span_ns > 0 ? (double)f->batches / ((double)span_ns * 1e-9) : NAN;
}

static uint32_t make_groups(const struct summary *s, struct group *groups)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->loader_count; i++) {
        uint32_t k = 0;
        while (k < count && !are_alike(groups[k].worst, &s->loaders[i]))
            k++;
        if (k == count)
            groups[count++] = (struct group){0};
        add_to_group(&groups[k], &s->loaders[i]);
    }
    return count;
}

static int by_waiting(const void *a, const void *b)
{
    const struct group *one = a, *other = b;
    if (one->waiting_ns != other->waiting_ns)
        return one->waiting_ns < other->waiting_ns ? 1 : -1;
    return one->worst < other->worst ? -1 : one->worst > other->worst;
}

/* " in rank 2 of 4", " on 4 ranks": where the loaders of a group are. */
static void where_text(const struct summary *s, const struct group *group, char *text, size_t size)
{
    const struct summary_process *process = &s->processes[group->worst->process];
    text[0] = '\0';
    if (s->process_count < 2)
        return;
    const bool ranked = summary_rank(process) != DATASTALL_UNKNOWN;
    if (group->loaders > 1)
        snprintf(text, size, ", %u %s", group->loaders, ranked ? "ranks" : "processes");
    else if (ranked)
        snprintf(text, size, ", rank %llu of %llu", (unsigned long long)summary_rank(process),
                 (unsigned long long)summary_world_size(s, process));
    else
        snprintf(text, size, ", process %llu", (unsigned long long)process->data->view.fixed.pid);
}

static void add_head(const struct summary *s, const struct group *group, enum card_keep keep,
                     struct paragraphs *card)
{
    char where[64], count[24], rate[24], what[64] = "";
    const struct rf_loader_entry *entry = &group->worst->data->entry;
    const bool samples = group->samples != DATASTALL_UNKNOWN;
    where_text(s, group, where, sizeof where);
    output_count_text(samples ? group->samples : group->batches, count, sizeof count);
    output_rate_text(samples ? group->samples_per_s : group->batches_per_s, rate, sizeof rate);
    if (entry->dataset_type[0] != '\0' && strstr(entry->name, entry->dataset_type) == NULL)
        snprintf(what, sizeof what, " (%.30s)", entry->dataset_type);
    const char *noun = samples ? (group->samples == 1 ? "sample" : "samples")
                               : (group->batches == 1 ? "batch" : "batches");
    paragraphs_add(card, keep, TONE_PLAIN, "LOADER", "%s%s%s: %s %s, %s/s", entry->name, what,
                   where, count, noun, rate);
}

/* Of several loaders the one that waited the longest, which it names. */
static void add_waits(const struct summary *s, const struct group *group, enum card_keep keep,
                      struct paragraphs *card)
{
    const datastall_statistics *f = &group->worst->figures;
    const double steady = (double)ds_add(f->queue_full, ds_add(f->queue_normal, f->queue_starved));
    const uint64_t rank = summary_rank(&s->processes[group->worst->process]);
    char who[48] = "";
    if (f->steady.count == 0 || steady == 0)
        return;
    if (group->loaders > 1 && rank != DATASTALL_UNKNOWN)
        snprintf(who, sizeof who, "rank %llu waited most: ", (unsigned long long)rank);
    else if (group->loaders > 1)
        snprintf(who, sizeof who, "the one that waited most: ");
    paragraphs_add(card, keep, TONE_PLAIN, "",
                   "%smedian %.3g ms, p99 %.3g ms; waits under 1 ms %.0f %%, over 50 ms %.0f %%",
                   who, (double)f->steady.p50_ns * 1e-6, (double)f->steady.p99_ns * 1e-6,
                   100.0 * (double)f->queue_full / steady,
                   100.0 * (double)f->queue_starved / steady);
}

/* What a cause is, for people; the evidence says how that is known. */
static const char *cause_text(const struct summary_loader *loader)
{
    static const char *const texts[WHY_CAUSES] = {
        [CAUSE_COMPUTE] = "making the items keeps the CPUs busy",
        [CAUSE_COMPUTE_IN_THREADS] = "making the items takes CPUs, in other threads than their own",
        [CAUSE_CPU_CONTENTION] = "the items wait for a CPU: too few are free",
        [CAUSE_BLOCKED] = "the items wait for something: a server, a lock, a sleep",
        [CAUSE_COLLATE] = "putting items together into a batch (collate_fn) takes the time",
        [CAUSE_TRANSFER] = "the way from the workers to the training loop takes the time",
        [CAUSE_LOOP_CPU_WAIT] = "the training loop itself has to wait for a CPU",
        [CAUSE_INTERPRETER] = "another Python thread of the training process computes",
        [CAUSE_OVERHEAD] = "what the loader does for each batch takes the time",
        [CAUSE_PIN] = "pinning memory takes the time",
        [CAUSE_SAMPLER] = "drawing the indices (the sampler) takes the time",
        [CAUSE_STARTUP] = "starting workers and iterators takes the time",
        [CAUSE_UNKNOWN] = "the run does not tell what the batches waited for",
        [WHY_HEAD_OF_LINE] = "single slow items hold back batches that are ready",
        [WHY_WINDOW] = "too few batches are prefetched to bridge slow ones",
        [WHY_STORAGE] = "the items wait for the disk",
        [WHY_EPOCH_START] = "nothing is ready yet when an epoch starts",
        [WHY_UNEVEN_SHARDS] = "some workers have little or nothing to do",
        [WHY_DUPLICATE_STREAM] = "each worker goes through the whole stream",
        [WHY_FAILED] = "loading failed",
    };
    const uint32_t cause = loader->why.primary;
    return cause < WHY_CAUSES && texts[cause] != NULL ? texts[cause] : "not known";
}

static bool loads_in_loop(const struct summary_loader *loader)
{
    return loader->data->entry.num_workers == 0 && loader->why.work.workers > 0 &&
           loader->why.primary < CAUSE_STATES && loader->why.primary != CAUSE_STARTUP;
}

/* keep: of what is no failure. */
static void add_why(const struct group *group, enum card_keep keep, struct paragraphs *card)
{
    const struct why *why = &group->worst->why;
    if (why->primary == WHY_NONE || (why->primary == CAUSE_UNKNOWN && why->work.workers == 0))
        return;
    if (why->primary == WHY_FAILED && why->evidence_count > 0)
        paragraphs_add(card, CARD_KEEP_ADVICE, TONE_BAD, "WHY", "failed: %s", why->evidence[0]);
    else if (loads_in_loop(group->worst))
        paragraphs_add(card, keep, TONE_PLAIN, "WHY",
                       "%s: training stops while it loads each batch%s%s", why_name(why->primary),
                       why->primary == CAUSE_COMPUTE ? "" : "; ",
                       why->primary == CAUSE_COMPUTE ? "" : cause_text(group->worst));
    else
        paragraphs_add(card, keep, TONE_PLAIN, "WHY", "%s: %s", why_name(why->primary),
                       cause_text(group->worst));
    if (why->suggestion[0] != '\0')
        paragraphs_add(card, keep, TONE_PLAIN, "TRY", "%s", why->suggestion);
    /* Where the advice does not say it already. */
    char predicted[128];
    output_predict_line(group->worst->predict, predicted, sizeof predicted);
    if (predicted[0] != '\0' && strstr(why->suggestion, "num_workers=") == NULL)
        paragraphs_add(card, CARD_KEEP_DETAILS, TONE_PLAIN, "PREDICT", "%s", predicted);
}

static void add_unfinished(const struct summary *s, const struct summary_loader *loader,
                           struct paragraphs *card)
{
    char duration[32];
    if (loader->unfinished_wait_ns <= DS_NS_PER_S)
        return;
    summary_duration_text((double)loader->unfinished_wait_ns * 1e-9, duration, sizeof duration);
    paragraphs_add(card, CARD_KEEP_WARNINGS, TONE_WARNING, "",
                   s->processes[loader->process].state == SUMMARY_RUNNING
                       ? "it has been waiting for %s, which is not counted yet"
                       : "it had been waiting for %s when the process ended, which is not counted",
                   duration);
}

void card_add_loaders(const struct summary *s, struct paragraphs *card)
{
    struct group *groups = calloc(s->loader_count + 1, sizeof *groups);
    if (groups == NULL)
        return;
    const uint32_t count = make_groups(s, groups);
    qsort(groups, count, sizeof *groups, by_waiting);
    for (uint32_t i = 0; i < count && i < MOST_GROUPS; i++) {
        const enum card_keep keep = i == 0 ? CARD_KEEP_FIGURES : CARD_KEEP_LESSER;
        add_head(s, &groups[i], keep, card);
        add_waits(s, &groups[i], keep, card);
        add_why(&groups[i], i == 0 ? CARD_KEEP_ADVICE : CARD_KEEP_LESSER, card);
        add_unfinished(s, groups[i].worst, card);
    }
    if (count > MOST_GROUPS)
        paragraphs_add(card, CARD_KEEP_LESSER, TONE_PLAIN, "", "and %u more: -v shows them",
                       count - MOST_GROUPS);
    free(groups);
}
