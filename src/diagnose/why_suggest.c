/* What to try: only what the evidence allows, and with what it would bring where that can be reckoned.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/sums.h"
#include "diagnose/summary.h"
#include "diagnose/why_sentences.h"
#include "diagnose/why_try.h"

#define LESS 0.7 /* loading in the loop must take so much less than what is waited */
/* Batches for each iterator: fewer, and it is made for one batch each time. */
#define ONE_BATCH 1.5
#define LEAST_STARTING 0.25 /* of what iterators begin with */
#define ONE_AT_A_TIME ", unless what they wait for serves one at a time: "

/* Workers that are kept, with the gain where that is told. */
static const char *kept_text(struct why *why, char *text, size_t size)
{
    char gain[64];
    const struct range *kept = &why->setting.faster_kept;
    snprintf(text, size, "%s%s", kept->mean > WHY_LEAST_WORTH ? ", " : "",
             kept->mean > WHY_LEAST_WORTH ? why_gain_text(why, kept, gain, sizeof gain) : "");
    return text;
}

/* ---- more workers, or none ---- */

static void suggest_workers(const struct run_loader *loader, struct why *why, const char *otherwise)
{
    const struct why_setting *setting = &why->setting;
    const uint64_t workers = why_workers_of(loader);
    const char *split = why_may_be_unsplit(loader, &why->work)
                            ? " once the stream is split between them"
                        : why_loader_is(loader, DATASTALL_LOADER_STREAM)
                            ? ", if each reads its own part and does not go through those of others"
                            : "";
    /* Of several workers it was seen whether they wait for a lock that the kernel knows. */
    const char *unless = why->primary != CAUSE_BLOCKED ? ""
                         : why->work.looks < WHY_LEAST_LOOKS
                             ? ONE_AT_A_TIME "a lock that all of them need, a server's limit"
                             : ONE_AT_A_TIME "a server's limit, a lock file";
    char gain[64];
    if (why_workers_share_a_lock(&why->work))
        why_try(why, "%s", otherwise);
    else if (setting->workers > 0 && setting->is_replayed)
        why_try(why, "num_workers=%u instead of %llu%s: %s, by a replay of this run%s; else %s",
                setting->workers, (unsigned long long)workers, split,
                why_gain_of(loader, why, &setting->faster, gain, sizeof gain), unless, otherwise);
    else if (setting->is_replayed)
        why_try(why, "%s (by a replay of this run no other num_workers is sure to be faster%s)",
                otherwise,
                why->others.cpus >= WHY_LEAST_OF_OTHERS ? " on the CPUs that other programs leave"
                                                        : "");
    else if (setting->workers > 0)
        why_try(
            why,
            "num_workers=%u instead of %llu%s: about %.0f %% less time, estimated from averages of "
            "this run, and there are CPUs for them%s; else %s",
            setting->workers, (unsigned long long)workers, split, setting->gain * 100, unless,
            otherwise);
    else if (setting->most_workers <= (double)workers && why->others.cpus >= WHY_LEAST_OF_OTHERS)
        why_try(why, "no CPU is free for more workers (other programs use %.1f); %s",
                why->others.cpus, otherwise);
    else if (setting->most_workers <= (double)workers)
        why_try(why, "no CPU is free for more workers; %s", otherwise);
    else
        why_try(why, "%s", otherwise);
}

/* Loading in the loop is reckoned to take much less than what is left otherwise. */
static bool none_is_better(const struct run_loader *loader, uint64_t otherwise_ns,
                           const struct why *why)
{
    const double in_loop_ns = why->setting.in_loop_ns;
    if (why->setting.is_replayed && !(why->setting.faster_in_loop.lower > 1))
        return false;
    return why_workers_of(loader) != 0 && !isnan(in_loop_ns) &&
           !why_starts_by_init(loader, &why->work) && !why_may_be_unsplit(loader, &why->work) &&
           in_loop_ns < LESS * (double)otherwise_ns && in_loop_ns < LESS * (double)why->stall_ns;
}

/* What torch refuses where there are no workers, and the program is seen to ask for. */
static const char *none_text(const struct run_loader *loader)
{
    const bool kept = why_loader_is(loader, DATASTALL_LOADER_PERSISTENT_WORKERS);
    const bool spawned = why_loader_is(loader, DATASTALL_LOADER_SPAWNED);
    return spawned ? "num_workers=0 (without multiprocessing_context and what else needs workers)"
           : kept  ? "num_workers=0 (without the arguments that need workers)"
                   : "num_workers=0";
}

static bool suggest_none(const struct run_loader *loader, uint64_t otherwise_ns, struct why *why)
{
    char in_loop[32], waited[32];
    if (!none_is_better(loader, otherwise_ns, why))
        return false;
    char gain[64];
    if (why->setting.is_replayed) {
        why_try(why, "%s: %s, by a replay of this run: the loop makes these batches itself",
                none_text(loader),
                why_gain_of(loader, why, &why->setting.faster_in_loop, gain, sizeof gain));
        return true;
    }
    summary_duration_text(why->setting.in_loop_ns * 1e-9, in_loop, sizeof in_loop);
    summary_duration_text((double)why->stall_ns * 1e-9, waited, sizeof waited);
    why_try(
        why,
        "%s: making these batches in the loop itself takes about %s of the %s that it waits now",
        none_text(loader), in_loop, waited);
    return true;
}

/* ---- start-up ---- */

/* What workers that start anew (spawn) are sent, and import, is paid once for each. */
static void suggest_for_one_start(const struct run_loader *loader, struct why *why)
{
    char or_none[80] = "", in_loop[32];
    if (none_is_better(loader, why->stall_ns, why)) {
        summary_duration_text(why->setting.in_loop_ns * 1e-9, in_loop, sizeof in_loop);
        snprintf(or_none, sizeof or_none, "; or num_workers=0, which takes about %s", in_loop);
    }
    if (why_loader_is(loader, DATASTALL_LOADER_SPAWNED))
        why_try(
            why,
            "it happens once: a data set that is cheaper to send to each worker (arrays or paths, "
            "not Python objects), fewer imports, or multiprocessing_context='fork' where nothing "
            "forbids it%s",
            or_none);
    else
        why_try(
            why,
            "it happens once: do less when the workers, the data set and the first batch start%s",
            or_none);
}

/* Of what starts and ends take, workers made batches for so much that nobody took: an iterator that is
 * dropped, and one that follows in workers that are kept, waits for those under way. */
#define LEAST_IN_VAIN 0.25
static bool made_in_vain(const struct run_loader *loader, const struct why *why)
{
    const uint64_t taken = loader->totals.counters[RF_COUNT_BATCHES];
    const double vain_ns = (double)ds_subtract(why->work.batches, taken) * why->setting.make_ns /
                           (double)why_workers_of(loader);
    return vain_ns >= LEAST_IN_VAIN * (double)why->states_ns[CAUSE_STARTUP];
}

static void suggest_for_startup(const struct run_loader *loader, struct why *why)
{
    const uint64_t *c = loader->totals.counters;
    const uint64_t iterators = c[RF_COUNT_ITERATORS], workers = why_workers_of(loader);
    const double each = iterators == 0 ? NAN : (double)c[RF_COUNT_BATCHES] / (double)iterators;
    const bool persistent = why_loader_is(loader, DATASTALL_LOADER_PERSISTENT_WORKERS);
    const uint64_t otherwise_ns =
        persistent ? why->stall_ns : why->stall_ns - why->states_ns[CAUSE_STARTUP];
    const bool dropped = iterators > 1 && 2 * loader->entry.dropped >= iterators;
    char kept[80];
    if (dropped && each <= ONE_BATCH)
        why_try(why,
                "keep the iterator: it = iter(loader) once, then next(it) for each batch; a new "
                "one starts everything again");
    else if (workers == 0 || workers == DATASTALL_UNKNOWN)
        why_try(why, "make fewer iterators: each one starts from scratch");
    else if (dropped && made_in_vain(loader, why))
        why_try(
            why,
            "iterate over no more than is taken (torch.utils.data.Subset), or keep the iterator "
            "and go on with it: the workers made %llu batches, of which the loop took %llu "
            "before it dropped the iterator",
            (unsigned long long)why->work.batches, (unsigned long long)c[RF_COUNT_BATCHES]);
    else if (dropped && !persistent)
        why_try(why,
                "keep the iterator when the loop breaks off and continue with it (a new one at its "
                "end), or persistent_workers=True: dropping an iterator ends its workers");
    else if (iterators <= 1)
        suggest_for_one_start(loader, why);
    else if (suggest_none(loader, otherwise_ns, why))
        return;
    else if (why->work.opened_ns > 0 &&
             2 * why->work.opened_ns >= workers * why->states_ns[CAUSE_STARTUP])
        why_try(
            why,
            "what the stream does in __iter__ takes %.0f ms in every epoch, in kept workers and "
            "without any as well: open and read less before the first item, or once (in the "
            "data set, with persistent_workers=True)",
            (double)why->work.opened_ns * 1e-6 / (double)(workers * iterators));
    else if (why_is_made_anew(loader))
        why_try(
            why,
            "make the loader once and keep it, with persistent_workers=True: %llu were made for "
            "%llu epochs, and the workers start again with each",
            (unsigned long long)loader->entry.objects, (unsigned long long)iterators);
    else if (persistent)
        why_try(why, "longer epochs, or do less when workers and data set start, and at their end");
    else
        why_try(why, "persistent_workers=True%s: the workers are started again for every epoch",
                kept_text(why, kept, sizeof kept));
}

/* A stream's iterator begins anew in every epoch, in workers that are kept as well: only what starting
 * the workers took is saved by keeping them. */
static void suggest_for_epoch_start(const struct run_loader *loader, struct why *why)
{
    const bool persistent = why_loader_is(loader, DATASTALL_LOADER_PERSISTENT_WORKERS);
    const bool starting =
        (double)why->states_ns[CAUSE_STARTUP] >= LEAST_STARTING * (double)why->first_ns;
    char kept[80];
    if (persistent && suggest_none(loader, why->stall_ns, why))
        return;
    if (why_loader_is(loader, DATASTALL_LOADER_STREAM) && (persistent || !starting))
        why_try(why, "the stream begins anew in every epoch: give its first items while a shuffle "
                     "buffer fills, and open or read ahead less before them; or one longer epoch");
    else if (why_is_made_anew(loader))
        why_try(
            why,
            "make the loader and its data set once and keep them, with persistent_workers=True: "
            "%llu were made for %llu epochs, and what the workers hold is rebuilt with each",
            (unsigned long long)loader->entry.objects,
            (unsigned long long)loader->totals.counters[RF_COUNT_ITERATORS]);
    else if (!persistent)
        why_try(why,
                "persistent_workers=True%s: what the workers hold is rebuilt for every epoch; "
                "or longer epochs, since nothing is fetched ahead for the next one",
                kept_text(why, kept, sizeof kept));
    else
        why_try(why, "longer epochs: one iterator over several (a sampler that goes on), since "
                     "nothing is fetched ahead for the next one");
}

/* ---- between worker and loop ---- */

/* By a replay, without what the cause is. */
static bool is_worth_nothing(const struct why *why)
{
    return why->setting.at_most.mean > 0 && why->setting.at_most.upper < WHY_LEAST_WORTH;
}

static void suggest_for_transfer(const struct run_loader *loader, struct why *why)
{
    const struct why_work *work = &why->work;
    const double sent = (double)work->sent;
    if (why_sends_many_tensors(work))
        why_try(
            why,
            "fewer tensors: %.0f a batch, and each is sent by a descriptor of its own; stack or "
            "concatenate them in collate_fn",
            (double)work->sent_tensors / sent);
    else if (why_sends_many_bytes(work))
        why_try(
            why,
            "send less between processes: %.3g MiB are pickled for each batch; tensors in place "
            "of Python objects and arrays, and of smaller types (torch's default collation makes "
            "them in shared memory)",
            (double)work->sent_bytes / sent / (1024 * 1024));
    else if (suggest_none(loader, why->stall_ns, why))
        return;
    else if (sent > 0 && is_worth_nothing(why))
        return;
    else if (sent > 0) {
        why_try(why,
                "larger batches: what handing one over costs does not depend on what is in it");
        why_add_worth(loader, why, "handed over for nothing");
    } else
        why_try(why, "send less between processes: smaller types, no copies of large objects; "
                     "tensors made by torch's default collation travel in shared memory");
}

static void suggest_for_overhead(const struct run_loader *loader, struct why *why)
{
    if (why_loader_is(loader, DATASTALL_LOADER_UNBATCHED))
        why_try(why,
                "larger batches: batch_size is None, and what the loader itself does for each item "
                "costs more than the item");
    else
        why_try(why,
                "larger batches: what the loader itself does for each costs more than what is in "
                "it; of rows in memory a slice of the tensor is a batch");
}

/* ---- the rest ---- */

#define OTHERS_USE_THEM "more CPUs, or fewer other programs on them: others use the CPUs too"
#define OWN_PROCESSES_USE_THEM                                                                  \
    "more CPUs, or less beside the loop and its workers: processes that they started and keep " \
    "use %.2f CPUs"
#define MANY_CHILDREN_CPUS 0.5

/* More CPUs, or less on them of whoever is seen to use them; else what the cause has to say. */
static void suggest_cpus(struct why *why, const char *otherwise)
{
    if (why->others.lack_ns > 0)
        why_try(why, OTHERS_USE_THEM);
    else if (why->host.children_cpus >= MANY_CHILDREN_CPUS)
        why_try(why, OWN_PROCESSES_USE_THEM, why->host.children_cpus);
    else
        why_try(why, "%s", otherwise);
}

/* Other threads of the workers ran for so much of what the items did. */
#define LEAST_IN_THREADS 0.2

/* There are too few CPUs for what is to be done; what of it need not be. */
static void suggest_for_contention(const struct run_loader *loader, struct why *why)
{
    const struct why_host *host = &why->host;
    const struct why_work *work = &why->work;
    const uint64_t workers = why_workers_of(loader);
    const bool too_many = host->cpus_usable >= 1 && workers != DATASTALL_UNKNOWN &&
                          (double)workers > host->cpus_usable;
    if (why->others.explain) { /* without them there is nothing to change */
        why_try(why, OTHERS_USE_THEM);
        return;
    }
    if (too_many)
        why_try(why, "fewer workers or more CPUs: %llu workers share %.3g%s%s%s",
                (unsigned long long)workers, host->cpus_usable, host->is_limited ? " (" : "",
                host->is_limited ? host->limit : "", host->is_limited ? ")" : "");
    else
        suggest_cpus(why, "more CPUs, or fewer threads in the training loop where it has several "
                          "(torch.set_num_threads): it and the workers want more than there are");
    if (why_sends_many_tensors(work))
        why_try_also(why, "; and less to do: %.0f tensors are sent for each batch, stack them",
                     (double)work->sent_tensors / (double)work->sent);
    else if (why_sends_many_bytes(work))
        why_try_also(why, "; and less to do: %.3g MiB are pickled for each batch, send tensors",
                     (double)work->sent_bytes / (double)work->sent / (1024 * 1024));
    /* Beside others fewer threads get less of the CPUs: the same work, and tried it took longer. Where
     * much is sent, the thread that does it is among them. */
    else if (why->others.lack_ns == 0 && work->threads_ns > 0 &&
             (double)work->threads_ns >=
                 LEAST_IN_THREADS * (double)ds_add(work->cpu_ns, work->threads_ns))
        why_try_also(why, "; one thread in each worker (torch.set_num_threads(1), "
                          "cv2.setNumThreads(0), OMP_NUM_THREADS=1): those that the items start "
                          "count too");
    else
        why_add_less_to_do(loader, why);
}

/* ---- the sampler ---- */

/* Of all that it took: what the draws at the begin of iterators took more than as many others. */
#define LEAST_AT_BEGIN 0.5

/* How many times indices are drawn at the begin of an iterator, in all. */
static double draws_at_begin(const struct run_loader *loader)
{
    const struct rf_loader_entry *entry = &loader->entry;
    const double ahead =
        entry->num_workers == 0 ? 0 : (double)entry->num_workers * (double)entry->prefetch_factor;
    return (1 + ahead) * (double)loader->totals.counters[RF_COUNT_ITERATORS];
}

/* For an index that the loop used, at the begin of an epoch that it went through to the end. Drawing an
 * order, which torch does in 0.2 us an index, is not what takes so long. */
#define MOST_FOR_AN_INDEX_NS 20e3

enum sampler_kind {
    SAMPLER_OF_ANY_KIND,
    SAMPLER_OF_BATCHES,
    SAMPLER_OF_EPOCHS,
    SAMPLER_OF_WHOLE_EPOCHS /* of which all is used, and it takes long */
};

/* An order drawn at once (torch's RandomSampler: randperm) is all in the first draw of an epoch. */
static enum sampler_kind kind_of_sampler(const struct run_loader *loader)
{
    const uint64_t *c = loader->totals.counters;
    const bool dropped = 2 * loader->entry.dropped >= c[RF_COUNT_ITERATORS];
    const double all_ns = (double)c[RF_COUNT_SAMPLER_NS];
    const double first_ns = fmin(all_ns, (double)c[RF_COUNT_SAMPLER_FIRST_NS]);
    const double first = draws_at_begin(loader);
    /* Who goes through to the end draws nothing for the last batches. */
    const double others =
        (double)c[RF_COUNT_BATCHES] - (dropped ? (double)c[RF_COUNT_ITERATORS] : first);
    if (!(others > 0) || !(all_ns > 0))
        return SAMPLER_OF_ANY_KIND;
    const double more_ns = first_ns - first * (all_ns - first_ns) / others;
    if (more_ns < LEAST_AT_BEGIN * all_ns)
        return SAMPLER_OF_BATCHES;
    return !dropped && more_ns >= MOST_FOR_AN_INDEX_NS * (double)c[RF_COUNT_SAMPLES] &&
                   c[RF_COUNT_SAMPLES_BATCHES] > 0
               ? SAMPLER_OF_WHOLE_EPOCHS
               : SAMPLER_OF_EPOCHS;
}

static void suggest_for_sampler(const struct run_loader *loader, struct why *why)
{
    const char *const keep =
        loader->entry.dropped > 1 ? "keep the iterator when the loop breaks off, or " : "";
    switch (kind_of_sampler(loader)) {
    case SAMPLER_OF_EPOCHS:
        why_try(why,
                "the order of a whole epoch is drawn in the loop when it begins: %sdraw only as "
                "much as is used (RandomSampler(dataset, replacement=True, num_samples=...)), or "
                "shuffle parts one after the other",
                keep);
        break;
    case SAMPLER_OF_WHOLE_EPOCHS:
        why_try(why, "what the sampler does when an epoch begins takes longer than drawing an "
                     "order: keep what is the same in every epoch (len(dataset), which it asks "
                     "for; lengths, weights, a sorted order)");
        break;
    case SAMPLER_OF_BATCHES:
        why_try(why, "the indices of every batch are drawn in the loop, one batch after the other: "
                     "draw those of a whole epoch in one go when it begins (in __iter__), or ahead "
                     "in a thread");
        break;
    default:
        why_try(why, "the sampler runs in the loop itself: draw its indices ahead, or in one go");
        break;
    }
}

static void suggest_for_failure(struct why *why)
{
    const struct why_failure *failure = &why->failure;
    const struct why_host *host = &why->host;
    char item[64] = "";
    if (failure->item != DATASTALL_UNKNOWN)
        snprintf(item, sizeof item, "load that item by itself: dataset[%llu]",
                 (unsigned long long)failure->item);
    if (failure->kind == WHY_WORKER_KILLED && failure->status == SIGKILL)
        why_try(why, "the kernel does this when memory runs out (dmesg says so): what one worker "
                     "holds, times the number of workers, must fit");
    else if (failure->kind == WHY_WORKER_KILLED && failure->status == SIGBUS &&
             !isnan(host->shm_size_bytes))
        why_try(why,
                "a full /dev/shm does this: it holds %.0f MiB, and batches stay there until they "
                "are taken; make it larger (--shm-size), or keep fewer of them ready",
                host->shm_size_bytes / (1024.0 * 1024));
    else if (failure->kind == WHY_BATCH_LOST)
        why_try(why,
                "return what can be pickled: tensors, arrays, plain objects; lambdas, open "
                "files, locks and generators cannot be sent (the worker's traceback names it)");
    else if (failure->kind == WHY_TAKING_FAILED)
        why_try(why, "the program's traceback says which; where it is 'Too many open files' or "
                     "'received 0 items of ancdata': every tensor of a batch that is kept holds a "
                     "file open; keep copies (clone()), raise the limit (ulimit -n), or "
                     "torch.multiprocessing.set_sharing_strategy('file_system')");
    else if (failure->kind == WHY_WORKER_HANGS)
        why_try(why, "see where it hangs: py-spy dump --pid %llu while it does%s%s",
                (unsigned long long)failure->pid, item[0] != '\0' ? ", or " : "", item);
    else
        why_try(why, "%s", item);
}

/* The data set has __getitems__: no item was timed by itself. */
static bool gives_whole_batches(const struct why_work *work)
{
    return work->items > work->batches && work->items_timed == 0;
}

void why_suggest(const struct run_loader *loader, struct why *why)
{
    const uint64_t prefetch = loader->entry.prefetch_factor;
    char gain[64];
    switch (why->primary) {
    case CAUSE_COMPUTE:
        suggest_workers(
            loader, why,
            why_loader_is(loader, DATASTALL_LOADER_STREAM)
                ? "make the stream's items cheaper: decode to the size that is used, prepare once "
                  "and store; and where a worker skips what others give, skip it before the work, "
                  "not after"
            : gives_whole_batches(&why->work)
                ? "make __getitems__ cheaper: decode to the size that is used, prepare once and "
                  "store"
                : "make __getitem__ cheaper: decode to the size that is used, prepare once and "
                  "store, whole batches at once (__getitems__)");
        why_add_worth(loader, why, "in half the CPU time");
        break;
    case CAUSE_COMPUTE_IN_THREADS:
        suggest_workers(
            loader, why,
            why_computes_in_children(why)
                ? "make cheaper what the processes do that were started for the items "
                  "(decode to the size that is used, prepare once and store), or start "
                  "as many as there are CPUs for"
            : why_workers_of(loader) == 0
                ? "make that work cheaper; or, where Python threads of the program compute "
                  "meanwhile, give them a process of their own: Python runs one at a time"
                : "make that work cheaper, or give the library fewer threads in each "
                  "worker (torch.set_num_threads, cv2.setNumThreads, OMP_NUM_THREADS)");
        why_add_worth(loader, why, "in half the CPU time");
        break;
    case CAUSE_CPU_CONTENTION:
        suggest_for_contention(loader, why);
        break;
    case WHY_STORAGE:
        suggest_workers(loader, why,
                        "move the data closer: to a local disk or into memory, larger reads in the "
                        "order of the file, fewer files");
        why_add_worth(loader, why, "with all of it in memory");
        break;
    case CAUSE_BLOCKED:
        suggest_workers(loader, why,
                        why_workers_share_a_lock(&why->work)
                            ? "let the workers not wait for one lock: a file or connection of its "
                              "own in each (opened in worker_init_fn), or the lock held for less; "
                              "more workers would wait for the same lock"
                            : "wait less for what the items wait for: fewer round trips, several "
                              "requests at once");
        why_add_worth(loader, why, "without any waiting");
        break;
    case CAUSE_COLLATE:
        why_try(why, "make collate_fn cheaper: %sfewer and larger tensors, pad once, convert in %s",
                gives_whole_batches(&why->work) ? "" : "whole batches at once (__getitems__), ",
                gives_whole_batches(&why->work) ? "__getitems__" : "__getitem__");
        why_add_worth(loader, why, "without any collation");
        break;
    case CAUSE_TRANSFER:
        suggest_for_transfer(loader, why);
        break;
    case CAUSE_LOOP_CPU_WAIT:
        suggest_cpus(why, "leave the loop's own thread a CPU: fewer workers or threads, or fewer "
                          "other programs on the CPUs");
        if (!why->others.explain)
            why_add_less_to_do(loader, why);
        break;
    case CAUSE_INTERPRETER:
        why_try(why,
                "move the work of the other Python threads into a process of its own: Python runs "
                "one thread of a process at a time, and the loop gets its turn only every 5 ms");
        break;
    case CAUSE_OVERHEAD:
        suggest_for_overhead(loader, why);
        break;
    case CAUSE_PIN:
        why_try(why,
                "pinning takes the time: send smaller types (uint8, made float on the GPU), or "
                "less of each sample");
        break;
    case CAUSE_SAMPLER:
        suggest_for_sampler(loader, why);
        break;
    case CAUSE_STARTUP:
        suggest_for_startup(loader, why);
        break;
    case WHY_EPOCH_START:
        suggest_for_epoch_start(loader, why);
        break;
    case WHY_UNEVEN_SHARDS:
        why_try(why,
                why_is_uneven_in_cost(loader, &why->work)
                    ? "split the stream so that each worker gets of the dear items: every n-th "
                      "item (itertools.islice), or more shards than workers, mixed"
                    : "more shards than workers, of like size; or as few workers as have data");
        break;
    case WHY_DUPLICATE_STREAM:
        why_try(why,
                "split the stream between the workers (torch.utils.data.get_worker_info() in "
                "__iter__): each goes through all of it, and every item comes %llu times",
                (unsigned long long)why_workers_of(loader));
        break;
    case WHY_WINDOW:
        if (!why_fits_shared_memory(why, (double)loader->entry.num_workers * (double)prefetch *
                                             RF_REPLAY_FACTOR)) {
            why_try(why,
                    "a larger /dev/shm (--shm-size), then a larger prefetch_factor: now it holds "
                    "%.0f MiB, and a batch takes %.3g MiB",
                    why->host.shm_size_bytes / (1024.0 * 1024),
                    (double)why->work.tensor_bytes / (1024.0 * 1024));
            break;
        }
        why_try(why, "prefetch_factor=%d instead of %d: %s",
                (int)(prefetch * RF_REPLAY_FACTOR % 1000000), (int)(prefetch % 1000000),
                why->setting.faster_window.mean > WHY_LEAST_WORTH
                    ? why_gain_text(why, &why->setting.faster_window, gain, sizeof gain)
                    : "a replay of this run with it loses far less");
        break;
    case WHY_HEAD_OF_LINE:
        why_try(why,
                "single slow items hold back batches that are ready: make those faster or drop "
                "them (slowest items: --json)%s",
                is_worth_nothing(why) ? "" : ", or in_order=False where the order does not matter");
        why_add_worth(loader, why, "out of order");
        break;
    case WHY_FAILED:
        suggest_for_failure(why);
        break;
    default:
        break;
    }
}
