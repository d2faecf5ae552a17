/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/why_sentences.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/sums.h"
#include "diagnose/summary.h"

#define MIB (1024.0 * 1024)

const char *why_name(uint32_t cause)
{
    static const char *const names[WHY_CAUSES] = {
        [CAUSE_COMPUTE] = "compute",
        [CAUSE_COMPUTE_IN_THREADS] = "compute_in_threads",
        [CAUSE_CPU_CONTENTION] = "cpu_contention",
        [CAUSE_BLOCKED] = "blocked",
        [CAUSE_COLLATE] = "collate",
        [CAUSE_TRANSFER] = "transfer",
        [CAUSE_LOOP_CPU_WAIT] = "loop_cpu_wait",
        [CAUSE_INTERPRETER] = "interpreter",
        [CAUSE_OVERHEAD] = "overhead",
        [CAUSE_PIN] = "pin",
        [CAUSE_SAMPLER] = "sampler",
        [CAUSE_STARTUP] = "startup",
        [CAUSE_UNKNOWN] = "unknown",
        [WHY_HEAD_OF_LINE] = "head_of_line",
        [WHY_WINDOW] = "window",
        [WHY_STORAGE] = "storage",
        [WHY_EPOCH_START] = "epoch_start",
        [WHY_UNEVEN_SHARDS] = "uneven_shards",
        [WHY_DUPLICATE_STREAM] = "duplicate_stream",
        [WHY_FAILED] = "failed",
        [WHY_NONE] = "none",
    };
    return cause < WHY_CAUSES ? names[cause] : NULL;
}

static void __attribute__((format(printf, 2, 3))) add(struct why *why, const char *format, ...)
{
    if (why->evidence_count == WHY_EVIDENCE)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->evidence[why->evidence_count++], sizeof why->evidence[0], format, arguments);
    va_end(arguments);
}

static double percent(double share)
{
    return share * 100;
}

/* Milliseconds with three figures. */
static const char *ms(double ns, char text[24])
{
    const double value = ns * 1e-6;
    snprintf(text, 24, value < 0.1 ? "%.4f ms" : value < 10 ? "%.2f ms" : "%.0f ms", value);
    return text;
}

static double per_batch(const struct why_work *work, uint64_t ns)
{
    return (double)ns / (double)work->batches;
}

/* ---- evidence ---- */

static void tell_states(struct why *why)
{
    char text[160] = "of the stall:";
    size_t length = 13;
    for (uint32_t i = 0; i < CAUSE_STATES; i++) {
        if (isnan(why->shares[i]) || why->shares[i] < 0.05 || length + 32 > sizeof text)
            continue;
        length += (size_t)snprintf(text + length, sizeof text - length, "%s %.0f %% %s",
                                   length > 13 ? "," : "", percent(why->shares[i]), why_name(i));
    }
    if (length > 13)
        add(why, "%s", text);
}

/* "40 % running, 60 % blocked": the parts of the items' time, without those of nearly nothing. */
static const char *parts_of_items(const struct why_work *work, char *text, size_t size)
{
    const struct {
        uint64_t ns;
        const char *what;
    } parts[] = {{work->cpu_ns, "running"},
                 {work->threads_ns, "running in other threads"},
                 {work->delay_ns, "waiting for a CPU"},
                 {work->blocked_ns, "blocked"}};
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const double share = percent((double)parts[i].ns / (double)work->items_ns);
        if (work->items_ns > 0 && share >= 0.5 && length < size)
            length += (size_t)snprintf(text + length, size - length, "%s%.0f %% %s",
                                       length > 0 ? ", " : "", share, parts[i].what);
    }
    return text;
}

static void tell_workers(const struct run_loader *loader, struct why *why)
{
    const struct why_work *work = &why->work;
    /* Entries of ended workers may be there beside those of the next ones. */
    const uint64_t workers = ds_least(work->workers, why_workers_of(loader));
    char items[24], collate[24], parts[96], who[48] = "training stops while it loads each batch";
    if (work->workers == 0 || work->batches == 0 || isnan(work->busy_share))
        return;
    if (loader->entry.num_workers != 0)
        snprintf(who, sizeof who, "%llu worker%s busy %.0f %% of the time",
                 (unsigned long long)workers, workers == 1 ? "" : "s", percent(work->busy_share));
    add(why, "%s; items %s a batch (%s), collate %s", who,
        ms(per_batch(work, work->items_ns), items), parts_of_items(work, parts, sizeof parts),
        ms(per_batch(work, work->collate_ns), collate));
}

#define LEAST_CHILDREN_CPUS 0.05
static void tell_children(const struct why_host *host, struct why *why)
{
    if (host->children_cpus >= LEAST_CHILDREN_CPUS)
        add(why, "processes that the program or its workers started and keep used %.2f CPUs",
            host->children_cpus);
}

static void tell_cpus(const struct run_loader *loader, struct why *why)
{
    const struct why_host *host = &why->host;
    if (isnan(host->cpus_usable) || isnan(why->work.running_cpus))
        return;
    if (loader->entry.num_workers == 0) {
        add(why, "%.3g CPU%s may be used (%s); loading used %.2f CPUs", host->cpus_usable,
            host->cpus_usable == 1.0 ? "" : "s", host->limit != NULL ? host->limit : "unknown",
            why->work.running_cpus);
        tell_children(host, why);
        return;
    }
    add(why, "%.3g CPU%s may be used (%s); the workers used %.2f, the training loop %.2f",
        host->cpus_usable, host->cpus_usable == 1.0 ? "" : "s",
        host->limit != NULL ? host->limit : "unknown", why->work.running_cpus,
        isnan(host->loop_cpus) ? 0.0 : host->loop_cpus);
    if (host->throttled_s > 0)
        add(why, "the CPU quota held the container back for %.1f s", host->throttled_s);
    tell_children(host, why);
    if (!isnan(host->idle_cpus) && why->others.lack_ns > 0)
        add(why, "other programs use the CPUs: %.2f of them on average; %.2f were idle",
            why->others.cpus, host->idle_cpus);
    else if (!isnan(host->idle_cpus))
        add(why, "of those CPUs %.2f were idle on average", host->idle_cpus);
}

static void tell_items(struct why *why)
{
    char p50[24], p99[24], most[24];
    if (isnan(why->work.item_p50_ns) || isnan(why->work.item_max_ns))
        return;
    add(why, "half of the items take at most %s, 99 %% at most %s; the slowest took %s",
        ms(why->work.item_p50_ns, p50), ms(why->work.item_p99_ns, p99),
        ms(why->work.item_max_ns, most));
}

static void tell_lock(struct why *why)
{
    if (why_workers_share_a_lock(&why->work))
        add(why, "in %.0f %% of %llu looks a worker waited for a lock that processes share",
            percent((double)why->work.locked / (double)why->work.looks),
            (unsigned long long)why->work.looks);
}

static void tell_storage(struct why *why)
{
    const struct why_work *work = &why->work;
    if (work->asked_bytes != DATASTALL_UNKNOWN && work->storage_bytes != DATASTALL_UNKNOWN &&
        (double)work->asked_bytes >= MIB) /* else it is not files that they wait for */
        add(why,
            "the workers asked for %.1f MiB of files; %.1f MiB came from storage, the rest from "
            "memory",
            (double)work->asked_bytes / MIB, (double)work->storage_bytes / MIB);
    if (work->major_faults != DATASTALL_UNKNOWN && work->major_faults > 0)
        add(why, "%llu page%s of mapped files had to be read from storage (major faults)",
            (unsigned long long)work->major_faults, work->major_faults == 1 ? "" : "s");
}

static void tell_sent(struct why *why)
{
    const struct why_work *work = &why->work;
    if (work->sent > 0)
        add(why, "each batch is %.3g tensor%s and %.3g KiB of pickled bytes",
            (double)work->sent_tensors / (double)work->sent,
            work->sent_tensors == work->sent ? "" : "s",
            (double)work->sent_bytes / 1024 / (double)work->sent);
}

static void tell_epochs(const struct run_loader *loader, struct why *why)
{
    const uint64_t *c = loader->totals.counters;
    const double waits_ns = (double)c[RF_COUNT_STEADY_NS] + (double)why->first_ns;
    if (c[RF_COUNT_ITERATORS] > 0 && waits_ns > 0)
        add(why,
            "%llu iterator%s of %.3g batches each; %.0f %% of the waiting is at their begin and "
            "end",
            (unsigned long long)c[RF_COUNT_ITERATORS], c[RF_COUNT_ITERATORS] == 1 ? "" : "s",
            (double)c[RF_COUNT_BATCHES] / (double)c[RF_COUNT_ITERATORS],
            percent((double)why->first_ns / waits_ns));
}

static void tell_sampler(const struct run_loader *loader, struct why *why)
{
    const uint64_t *c = loader->totals.counters;
    char all[32], first[32];
    if (c[RF_COUNT_SAMPLER_NS] == 0)
        return;
    summary_duration_text((double)c[RF_COUNT_SAMPLER_NS] * 1e-9, all, sizeof all);
    summary_duration_text((double)c[RF_COUNT_SAMPLER_FIRST_NS] * 1e-9, first, sizeof first);
    add(why, "the sampler took %s, %s of it when %llu iterator%s began", all, first,
        (unsigned long long)c[RF_COUNT_ITERATORS], c[RF_COUNT_ITERATORS] == 1 ? "" : "s");
}

static void tell_shards(const struct run_loader *loader, struct why *why)
{
    const struct why_work *work = &why->work;
    const uint64_t workers = why_workers_of(loader);
    if (why->primary == WHY_DUPLICATE_STREAM && work->same_data)
        add(why, "the first batches of all %llu workers are the same", (unsigned long long)workers);
    else if (why->primary == WHY_DUPLICATE_STREAM)
        add(why,
            "each of the %llu workers made the same %llu items, and none asked which worker it is",
            (unsigned long long)workers, (unsigned long long)work->most_items);
    else if (work->fed < workers)
        add(why, "%u of %llu workers had data", work->fed, (unsigned long long)workers);
    else if (why_is_uneven_in_cost(loader, work))
        add(why, "one of %llu workers took %.0f %% of the time of all items for %.0f %% of them",
            (unsigned long long)workers,
            percent((double)work->most_items_ns / (double)work->items_ns),
            percent((double)work->most_items / (double)work->items));
    else
        add(why, "one of %llu workers made %.0f %% of the items", (unsigned long long)workers,
            percent((double)work->most_items / (double)work->items));
}

/* "in worker 1 (pid 123), at item 100" */
static void tell_failure(struct why *why)
{
    const struct why_failure *failure = &why->failure;
    char who[64] = "the training process", item[48] = "", since[32];
    if (failure->worker != RF_WORKER_MAIN)
        snprintf(who, sizeof who, "worker %llu (pid %llu)", (unsigned long long)failure->worker,
                 (unsigned long long)failure->pid);
    if (failure->item != DATASTALL_UNKNOWN)
        snprintf(item, sizeof item, " at item %llu", (unsigned long long)failure->item);
    else if (failure->after > 0)
        snprintf(item, sizeof item, " after %llu items", (unsigned long long)failure->after);
    summary_duration_text((double)failure->since_ns * 1e-9, since, sizeof since);
    switch (failure->kind) {
    case WHY_WORKER_KILLED:
        add(why, "%s was killed by signal %llu (%s)%s", who, (unsigned long long)failure->status,
            strsignal((int)failure->status), item);
        break;
    case WHY_WORKER_EXITED:
        add(why, "%s ended with exit status %llu%s", who, (unsigned long long)failure->status,
            item);
        break;
    case WHY_WORKER_HANGS:
        add(why, "%s has been stuck%s for %s", who, item, since);
        break;
    case WHY_BATCH_LOST:
        add(why, "%s made a batch that was never sent: pickling it raised an error", who);
        break;
    case WHY_TAKING_FAILED:
        add(why, "taking a batch from the workers raised an error in the training process; the "
                 "workers are well");
        break;
    default:
        add(why, "%s raised an error%s", who, item);
        break;
    }
    if (!isnan(why->host.shm_size_bytes))
        add(why, "/dev/shm holds %.0f MiB, of which at most %.0f MiB were seen in use",
            why->host.shm_size_bytes / MIB, why->host.shm_used_bytes / MIB);
}

static void tell_line(struct why *why)
{
    add(why,
        "for %.0f %% of the stall a later batch was ready; for %.0f %% the other workers had "
        "nothing to do",
        percent(why->head_of_line),
        why->stall_ns == 0 ? 0.0 : percent((double)why->others_idle_ns / (double)why->stall_ns));
}

static void tell_depth(struct why *why)
{
    if (why->depth.waits > 0 && why->depth.possible > 0)
        add(why, "ready batches: %.1f of %.0f on average when asked, none for %.0f %% of the waits",
            why->depth.ready, why->depth.possible, percent(why->depth.empty_share));
}

static void tell_the_loop(const struct run_loader *loader, struct why *why)
{
    const char *const what = why->primary == CAUSE_LOOP_CPU_WAIT
                                 ? "the loop's own thread waited for a CPU"
                                 : "other Python threads of the loop's process ran";
    add(why, "after the batch was made, %s: %.1f s", what,
        (double)why->states_ns[why->primary] * 1e-9);
    tell_cpus(loader, why);
}

void why_tell(const struct run_loader *loader, struct why *why)
{
    if (why->primary == WHY_NONE)
        return;
    if (why->primary == WHY_FAILED) { /* nothing of speed: it did not come to that */
        tell_failure(why);
        why_suggest(loader, why);
        return;
    }
    tell_states(why);
    tell_workers(loader, why);
    switch (why->primary) {
    case WHY_HEAD_OF_LINE:
    case WHY_WINDOW:
        tell_line(why);
        tell_items(why);
        break;
    case CAUSE_BLOCKED:
    case WHY_STORAGE:
        tell_lock(why);
        tell_storage(why);
        tell_cpus(loader, why);
        break;
    case CAUSE_COMPUTE:
    case CAUSE_COMPUTE_IN_THREADS:
    case CAUSE_CPU_CONTENTION:
        tell_cpus(loader, why);
        tell_items(why);
        break;
    case CAUSE_TRANSFER:
        tell_sent(why);
        break;
    case CAUSE_LOOP_CPU_WAIT:
    case CAUSE_INTERPRETER:
        tell_the_loop(loader, why);
        break;
    case CAUSE_SAMPLER:
        tell_sampler(loader, why);
        break;
    case WHY_EPOCH_START:
        tell_epochs(loader, why);
        break;
    case WHY_UNEVEN_SHARDS:
    case WHY_DUPLICATE_STREAM:
        tell_shards(loader, why);
        break;
    case CAUSE_STARTUP:
        tell_epochs(loader, why);
        if (why->work.generations > 0 && why->work.startup_ns > 0)
            add(why, "%llu start%s of a worker, %.0f ms each until its first index",
                (unsigned long long)why->work.generations, why->work.generations == 1 ? "" : "s",
                (double)why->work.startup_ns * 1e-6 / (double)why->work.generations);
        break;
    default:
        break;
    }
    tell_depth(why);
    why_suggest(loader, why);
}
