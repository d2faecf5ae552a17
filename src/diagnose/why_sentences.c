/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/why_sentences.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define MIB (1024.0 * 1024)

const char *why_name(uint32_t cause)
{
    static const char *const names[WHY_CAUSES] = {
        [CAUSE_COMPUTE] = "compute",       [CAUSE_CPU_CONTENTION] = "cpu_contention",
        [CAUSE_BLOCKED_IO] = "blocked_io", [CAUSE_COLLATE] = "collate",
        [CAUSE_TRANSFER] = "transfer",     [CAUSE_PIN] = "pin",
        [CAUSE_SAMPLER] = "sampler",       [CAUSE_STARTUP] = "startup",
        [CAUSE_UNKNOWN] = "unknown",       [WHY_HEAD_OF_LINE] = "head_of_line",
        [WHY_WINDOW] = "window",           [WHY_NONE] = "none",
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

static void __attribute__((format(printf, 2, 3))) suggest(struct why *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->suggestion, sizeof why->suggestion, format, arguments);
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

static void tell_workers(const struct run_loader *loader, struct why *why)
{
    const struct why_work *work = &why->work;
    char items[24], collate[24];
    if (work->workers == 0 || work->batches == 0 || isnan(work->busy_share))
        return;
    const double whole_ns = (double)work->items_ns;
    const double cpu = whole_ns > 0 ? (double)work->cpu_ns / whole_ns : 0;
    const double delay = whole_ns > 0 ? (double)work->delay_ns / whole_ns : 0;
    const double blocked = whole_ns > 0 ? (double)work->blocked_ns / whole_ns : 0;
    if (loader->entry.num_workers == 0)
        add(why,
            "loaded in the loop's own process: items %s a batch (%.0f %% running, %.0f %% waiting "
            "for a CPU, %.0f %% blocked), collate %s",
            ms(per_batch(work, work->items_ns), items), percent(cpu), percent(delay),
            percent(blocked), ms(per_batch(work, work->collate_ns), collate));
    else
        add(why,
            "%u worker%s busy %.0f %% of the time; items %s a batch (%.0f %% running, %.0f %% "
            "waiting for a CPU, %.0f %% blocked), collate %s",
            work->workers, work->workers == 1 ? "" : "s", percent(work->busy_share),
            ms(per_batch(work, work->items_ns), items), percent(cpu), percent(delay),
            percent(blocked), ms(per_batch(work, work->collate_ns), collate));
}

static void tell_cpus(const struct run_loader *loader, struct why *why)
{
    const struct why_host *host = &why->host;
    if (isnan(host->cpus_usable) || isnan(why->work.running_cpus))
        return;
    if (loader->entry.num_workers == 0) {
        add(why, "%.3g CPU%s may be used (%s); loading kept %.2f busy", host->cpus_usable,
            host->cpus_usable == 1.0 ? "" : "s", host->limit != NULL ? host->limit : "unknown",
            why->work.running_cpus);
        return;
    }
    add(why, "%.3g CPU%s may be used (%s); the workers kept %.2f busy, the loop's process %.2f",
        host->cpus_usable, host->cpus_usable == 1.0 ? "" : "s",
        host->limit != NULL ? host->limit : "unknown", why->work.running_cpus,
        isnan(host->loop_cpus) ? 0.0 : host->loop_cpus);
    if (host->throttled_s > 0)
        add(why, "the CPU quota held the container back for %.1f s", host->throttled_s);
}

static void tell_items(struct why *why)
{
    char p50[24], p99[24], most[24];
    if (isnan(why->work.item_p50_ns) || isnan(why->work.item_max_ns))
        return;
    add(why, "items: half take up to %s, 99 %% up to %s, the slowest %s",
        ms(why->work.item_p50_ns, p50), ms(why->work.item_p99_ns, p99),
        ms(why->work.item_max_ns, most));
}

static void tell_storage(struct why *why)
{
    const struct why_work *work = &why->work;
    if (work->asked_bytes == DATASTALL_UNKNOWN || work->storage_bytes == DATASTALL_UNKNOWN ||
        (double)work->asked_bytes < MIB) /* it is not files that they wait for */
        return;
    add(why,
        "the workers asked for %.1f MiB of files; %.1f MiB came from storage, the rest from memory",
        (double)work->asked_bytes / MIB, (double)work->storage_bytes / MIB);
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

/* ---- what to try ---- */

/* How many more workers the CPUs have room for, at what one uses now; negative: not known. */
static double room_for_workers(const struct run_loader *loader, const struct why *why)
{
    const struct why_work *work = &why->work;
    const struct why_host *host = &why->host;
    if (isnan(host->cpus_usable) || isnan(work->running_cpus) || work->workers == 0)
        return -1;
    const double loop = isnan(host->loop_cpus) ? 1.0 : host->loop_cpus;
    /* Loading in the loop's own process, the two are one. */
    const double used =
        loader->entry.num_workers == 0 ? fmax(loop, work->running_cpus) : loop + work->running_cpus;
    const double free = host->cpus_usable - used;
    const double each = fmax(0.05, work->running_cpus / work->workers);
    return free <= 0 ? 0 : floor(free / each + 0.25);
}

static void suggest_workers(const struct run_loader *loader, struct why *why, const char *otherwise)
{
    /* More than any machine has: of a damaged file. */
    const uint64_t workers =
        loader->entry.num_workers < 100000 ? loader->entry.num_workers : DATASTALL_UNKNOWN;
    const double room = fmin(100000, room_for_workers(loader, why));
    if (workers == 0 && room >= 1)
        suggest(why, "num_workers=%d: the loop waits while it loads itself; %s", (int)fmin(room, 4),
                otherwise);
    else if (workers != DATASTALL_UNKNOWN && room >= 1)
        suggest(why, "num_workers=%d instead of %d: there are CPUs for them; else %s",
                (int)fmin((double)workers * 2, (double)workers + room), (int)workers, otherwise);
    else if (room >= 0)
        suggest(why, "no CPU is free for more workers; %s", otherwise);
    else
        suggest(why, "%s", otherwise);
}

static void suggest_for(const struct run_loader *loader, struct why *why)
{
    const uint64_t prefetch = loader->entry.prefetch_factor;
    switch (why->primary) {
    case CAUSE_COMPUTE:
        suggest_workers(loader, why, "make __getitem__ cheaper (decode less, prepare ahead)");
        break;
    case CAUSE_CPU_CONTENTION:
        if (why->host.cpus_usable >= 1 && (double)why->work.workers > why->host.cpus_usable)
            suggest(why,
                    "fewer workers or more CPUs: %u workers share %.3g; threads inside the items "
                    "(OpenMP, OpenCV, BLAS) count too",
                    why->work.workers, why->host.cpus_usable);
        else
            suggest(why, "more CPUs, or less beside the workers: others use the CPUs too, and so "
                         "do threads inside the items (OpenMP, OpenCV, BLAS)");
        break;
    case CAUSE_BLOCKED_IO:
        suggest_workers(loader, why,
                        "bring the data nearer: local disk or memory, larger reads, fewer round "
                        "trips and locks");
        break;
    case CAUSE_COLLATE:
        suggest(why, "make collate_fn cheaper: fewer and larger tensors, pad once, convert in "
                     "__getitem__");
        break;
    case CAUSE_TRANSFER:
        suggest(why, "send less between processes: smaller types, no copies of large objects; "
                     "tensors made by torch's default collation travel in shared memory");
        break;
    case CAUSE_PIN:
        suggest(why, "pinning takes the time: smaller batches or types, or pin_memory=False and a "
                     "pinned buffer of your own");
        break;
    case CAUSE_SAMPLER:
        suggest(why, "the sampler runs in the loop itself: draw its indices ahead, or in one go");
        break;
    case CAUSE_STARTUP:
        if (loader->entry.num_workers == 0 || loader->entry.num_workers == DATASTALL_UNKNOWN)
            suggest(why, "make fewer iterators: each one starts anew");
        else if (loader->entry.flags & DATASTALL_LOADER_PERSISTENT_WORKERS)
            suggest(why, "longer epochs, or less to do when workers and data set start");
        else
            suggest(why, "persistent_workers=True: the workers start anew for every epoch");
        break;
    case WHY_WINDOW:
        suggest(why,
                "prefetch_factor=%d instead of %d: a replay of this run with it loses far less",
                (int)(prefetch * RF_REPLAY_FACTOR % 1000000), (int)(prefetch % 1000000));
        break;
    case WHY_HEAD_OF_LINE:
        suggest(why, "single slow items hold back batches that are ready: make those faster or "
                     "drop them (slowest items: --json), or in_order=False where order is free");
        break;
    default:
        break;
    }
}

void why_tell(const struct run_loader *loader, struct why *why)
{
    if (why->primary == WHY_NONE)
        return;
    tell_states(why);
    tell_workers(loader, why);
    switch (why->primary) {
    case WHY_HEAD_OF_LINE:
    case WHY_WINDOW:
        tell_line(why);
        tell_items(why);
        break;
    case CAUSE_BLOCKED_IO:
        tell_storage(why);
        tell_cpus(loader, why);
        break;
    case CAUSE_COMPUTE:
    case CAUSE_CPU_CONTENTION:
        tell_cpus(loader, why);
        tell_items(why);
        break;
    case CAUSE_STARTUP:
        if (why->work.generations > 0 && why->work.startup_ns > 0)
            add(why, "%llu starts of a worker, %.0f ms each until its first index",
                (unsigned long long)why->work.generations,
                (double)why->work.startup_ns * 1e-6 / (double)why->work.generations);
        break;
    default:
        break;
    }
    tell_depth(why);
    suggest_for(loader, why);
}
