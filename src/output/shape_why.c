/* SPDX-License-Identifier: Apache-2.0 */
#include "output/shape_why.h"

#include <math.h>

#include "base/sums.h"
#include "output/put.h"

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? NAN : (double)part / (double)whole;
}

static void put_host(out e, const struct why_host *host, const struct why_others *others)
{
    e->open_object(e->context, "host");
    put_real(e, "cpus_usable", host->cpus_usable);
    e->string(e->context, "cpus_limited_by", host->limit);
    put_real(e, "loop_cpus", host->loop_cpus);
    put_real(e, "idle_cpus", host->idle_cpus);
    put_real(e, "others_cpus", others->cpus);
    put_real(e, "children_cpus", host->children_cpus);
    put_real(e, "threads_per_cpu", host->threads_per_cpu);
    put_real(e, "throttled_s", host->throttled_s);
    put_real(e, "cpu_pressure", host->cpu_pressure);
    put_real(e, "io_pressure", host->io_pressure);
    put_real(e, "shm_size_bytes", host->shm_size_bytes);
    put_real(e, "shm_used_bytes", host->shm_used_bytes);
    e->close(e->context);
}

static const char *failure_name(enum why_failure_kind kind)
{
    static const char *const names[] = {NULL,     "killed", "exited", "hangs",
                                        "raised", "lost",   "taking"};
    return names[kind];
}

static void put_failure(out e, const struct why_failure *failure)
{
    const bool failed = failure->kind != WHY_NOTHING_FAILED;
    const bool ended = failure->kind == WHY_WORKER_KILLED || failure->kind == WHY_WORKER_EXITED;
    e->open_object(e->context, "failure");
    e->string(e->context, "kind", failure_name(failure->kind));
    put_integer(e, "worker",
                failed && failure->worker != RF_WORKER_MAIN ? failure->worker : DATASTALL_UNKNOWN);
    put_integer(e, "pid", failed ? failure->pid : DATASTALL_UNKNOWN);
    put_integer(e, "item", failure->item);
    put_integer(e, "status", ended ? failure->status : DATASTALL_UNKNOWN);
    put_seconds(e, "since_s",
                failure->kind == WHY_WORKER_HANGS ? failure->since_ns : DATASTALL_UNKNOWN);
    e->close(e->context);
}

/* What other numbers of workers are reckoned to give: diagnose/why_setting.c. */
static void put_setting(out e, const struct why_setting *setting)
{
    e->open_object(e->context, "setting");
    put_real(e, "loop_ms_per_batch", setting->loop_ns * 1e-6);
    put_real(e, "make_ms_per_batch", setting->make_ns * 1e-6);
    put_real(e, "cpus_per_worker", setting->cpus_each);
    put_real(e, "most_workers", setting->most_workers);
    put_integer(e, "workers", setting->workers > 0 ? setting->workers : DATASTALL_UNKNOWN);
    put_real(e, "gain", setting->gain);
    put_real(e, "in_loop_s", setting->in_loop_ns * 1e-9);
    e->close(e->context);
}

static void put_why(out e, const struct summary_loader *loader)
{
    const struct why *why = &loader->why;
    const uint64_t *c = loader->data->totals.counters;
    e->open_object(e->context, "why");
    e->string(e->context, "primary", why_name(why->primary));
    e->open_object(e->context, "shares");
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        put_real(e, why_name(i), why->shares[i]);
    e->close(e->context);
    put_real(e, "head_of_line", why->head_of_line);
    put_real(e, "window", why->window);
    put_seconds(e, "stall_s", why->stall_ns);
    put_real(e, "stall_share", why->stall_share);
    put_seconds(e, "for_others_s",
                isnan(why->others.cpus) ? DATASTALL_UNKNOWN : why->others.lack_ns);
    e->open_array(e->context, "evidence");
    for (uint32_t i = 0; i < why->evidence_count; i++)
        e->string(e->context, NULL, why->evidence[i]);
    e->close(e->context);
    e->string(e->context, "suggestion", why->suggestion[0] == '\0' ? NULL : why->suggestion);
    put_real(e, "others_idle", share(why->others_idle_ns, why->stall_ns));
    e->open_object(e->context, "replay");
    put_integer(e, "batches", c[RF_COUNT_REPLAYED]);
    put_seconds(e, "waited_s", c[RF_COUNT_REPLAYED_NS]);
    put_seconds(e, "replayed_s", c[RF_COUNT_REPLAY_NS]);
    put_seconds(e, "replayed_larger_s", c[RF_COUNT_REPLAY_LARGER_NS]);
    put_integer(e, "larger_factor", RF_REPLAY_FACTOR);
    e->close(e->context);
    put_seconds(e, "sampler_s", c[RF_COUNT_SAMPLER_NS]);
    put_seconds(e, "sampler_first_s", c[RF_COUNT_SAMPLER_FIRST_NS]);
    put_seconds(e, "pin_s", c[RF_COUNT_PIN_NS]);
    put_real(e, "unpickle_cpu_ms_per_batch",
             c[RF_COUNT_GET_CPU_BATCHES] == 0
                 ? NAN
                 : (double)c[RF_COUNT_GET_CPU_NS] * 1e-6 / (double)c[RF_COUNT_GET_CPU_BATCHES]);
    put_seconds(e, "active_s", why->active_ns);
    put_seconds(e, "first_waits_s", why->first_ns);
    put_setting(e, &why->setting);
    put_failure(e, &why->failure);
    put_host(e, &why->host, &why->others);
    e->close(e->context);
}

static void put_depth(out e, const struct why_depth *depth)
{
    e->open_object(e->context, "depth");
    put_integer(e, "waits", depth->waits);
    put_real(e, "ready_mean", depth->ready);
    put_real(e, "early_mean", depth->early);
    put_real(e, "in_flight_mean", depth->in_flight);
    put_real(e, "possible_mean", depth->possible);
    put_real(e, "empty_share", depth->empty_share);
    e->close(e->context);
}

static void put_items(out e, const struct rf_worker_view *worker)
{
    e->open_array(e->context, "slowest_items");
    for (uint32_t i = 0; i < worker->slowest_count; i++) {
        e->open_object(e->context, NULL);
        put_real(e, "ms", (double)worker->slowest[i].ns * 1e-6);
        put_integer(e, "index", worker->slowest[i].index);
        put_integer(e, "begin_ns", worker->slowest[i].begin_ns);
        e->close(e->context);
    }
    e->close(e->context);
}

static void put_worker(out e, const struct rf_worker_view *worker)
{
    const uint64_t *t = worker->totals;
    const uint64_t running_ns =
        t[RF_TOTAL_ITEMS_CPU_NS] + t[RF_TOTAL_ITEMS_DELAY_NS] + t[RF_TOTAL_ITEMS_THREADS_NS];
    const uint64_t idle_ns = ds_subtract(t[RF_TOTAL_GAP_NS], t[RF_TOTAL_GAP_CPU_NS]);
    const uint64_t whole_ns = t[RF_TOTAL_ITEMS_NS] + t[RF_TOTAL_COLLATE_NS] + t[RF_TOTAL_GAP_NS];
    e->open_object(e->context, NULL);
    /* The loop's own process has no worker number. */
    put_integer(e, "worker", worker->number == RF_WORKER_MAIN ? DATASTALL_UNKNOWN : worker->number);
    put_integer(e, "pid", worker->pid);
    put_integer(e, "generations", worker->generation);
    put_integer(e, "batches", t[RF_TOTAL_BATCHES]);
    put_integer(e, "failed", t[RF_TOTAL_FAILED]);
    put_integer(e, "items", t[RF_TOTAL_ITEMS]);
    put_real(e, "busy_share", whole_ns == 0 ? NAN : 1.0 - share(idle_ns, whole_ns));
    put_seconds(e, "idle_s", idle_ns);
    put_seconds(e, "handover_cpu_s", t[RF_TOTAL_GAP_CPU_NS]);
    put_seconds(e, "gap_s", t[RF_TOTAL_GAP_NS]);
    put_seconds(e, "running_s",
                t[RF_TOTAL_ITEMS_CPU_NS] + t[RF_TOTAL_COLLATE_CPU_NS] + t[RF_TOTAL_GAP_CPU_NS]);
    put_seconds(e, "cpu_wait_s",
                t[RF_TOTAL_ITEMS_DELAY_NS] + t[RF_TOTAL_COLLATE_DELAY_NS] +
                    t[RF_TOTAL_GAP_DELAY_NS]);
    put_seconds(e, "items_s", t[RF_TOTAL_ITEMS_NS]);
    put_seconds(e, "items_running_s", t[RF_TOTAL_ITEMS_CPU_NS]);
    put_seconds(e, "items_in_threads_s", t[RF_TOTAL_ITEMS_THREADS_NS]);
    put_seconds(e, "items_cpu_wait_s", t[RF_TOTAL_ITEMS_DELAY_NS]);
    put_seconds(e, "items_blocked_s", ds_subtract(t[RF_TOTAL_ITEMS_NS], running_ns));
    put_seconds(e, "collate_s", t[RF_TOTAL_COLLATE_NS]);
    put_seconds(e, "pickle_s", t[RF_TOTAL_PICKLE_NS]);
    put_seconds(e, "pickle_running_s", t[RF_TOTAL_PICKLE_CPU_NS]);
    put_integer(e, "sent_batches", t[RF_TOTAL_SENT]);
    put_integer(e, "sent_bytes", t[RF_TOTAL_SENT_BYTES]);
    put_integer(e, "sent_tensors", t[RF_TOTAL_SENT_TENSORS]);
    put_integer(e, "tensor_bytes",
                t[RF_TOTAL_TENSOR_BYTES] == 0 ? DATASTALL_UNKNOWN : t[RF_TOTAL_TENSOR_BYTES]);
    put_integer(e, "streams_ended", t[RF_TOTAL_ENDED]);
    put_integer(e, "asked_which", t[RF_TOTAL_ASKED_WHICH]);
    put_integer(e, "looks", worker->looks);
    put_integer(e, "looks_in_lock", worker->locked);
    put_seconds(e, "startup_s", t[RF_TOTAL_STARTUP_NS]);
    put_real(e, "item_ms_mean",
             t[RF_TOTAL_ITEMS_TIMED] == 0
                 ? NAN
                 : (double)t[RF_TOTAL_ITEM_NS] * 1e-6 / (double)t[RF_TOTAL_ITEMS_TIMED]);
    put_integer(e, "asked_bytes", t[RF_TOTAL_ASKED_BYTES]);
    put_integer(e, "storage_bytes", t[RF_TOTAL_STORAGE_BYTES]);
    put_integer(e, "major_faults", t[RF_TOTAL_MAJOR_FAULTS]);
    put_items(e, worker);
    e->close(e->context);
}

void output_why_shape(const struct summary *s, const struct summary_loader *loader, out e)
{
    const struct run_process *process = s->processes[loader->process].data;
    put_why(e, loader);
    put_depth(e, &loader->why.depth);
    const uint64_t unknown = loader->data->entry.unknown_worker_batches;
    bool known = unknown > 0;
    e->open_array(e->context, "workers");
    for (uint32_t i = 0; i < process->worker_count; i++) {
        if (process->workers[i].loader != loader->data->index)
            continue;
        put_worker(e, &process->workers[i]);
        known = true;
    }
    e->close(e->context);
    put_integer(e, "unknown_worker_batches", known ? unknown : DATASTALL_UNKNOWN);
}
