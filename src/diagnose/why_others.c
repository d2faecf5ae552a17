/* What of a stall is there because other programs use the CPUs: no fault of the input pipeline.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/sums.h"
#include "base/unknown.h"
#include "diagnose/why.h"

#define LEAST_CPUS_SHARED 0.85 /* of those that may be used */

/* CPUs that the workers of a process kept busy, of all its loaders, from the first batch to the last. */
static double workers_cpus(const struct run_process *process)
{
    uint64_t ran_ns = 0, begin_ns = UINT64_MAX, end_ns = 0;
    for (uint32_t i = 0; i < process->worker_count; i++) {
        const struct rf_worker_view *worker = &process->workers[i];
        const uint64_t *t = worker->totals;
        /* What loads in the process itself is in the process's own time. */
        if (worker->number == RF_WORKER_MAIN || t[RF_TOTAL_END_NS] == 0)
            continue;
        ran_ns = ds_add(ran_ns, why_made_cpu_ns(t));
        ran_ns = ds_add(ran_ns, ds_add(t[RF_TOTAL_GAP_CPU_NS], t[RF_TOTAL_PICKLE_CPU_NS]));
        begin_ns = ds_least(begin_ns, t[RF_TOTAL_BEGIN_NS]);
        end_ns = t[RF_TOTAL_END_NS] > end_ns ? t[RF_TOTAL_END_NS] : end_ns;
    }
    return end_ns > begin_ns ? (double)ran_ns / (double)(end_ns - begin_ns) : 0;
}

double why_cpus_of(const struct run_process *process)
{
    const uint64_t *w = process->view.words;
    const uint64_t span_ns = ds_subtract(w[RF_PROCESS_HOST_NS], w[RF_PROCESS_HOST_FIRST_NS]);
    uint64_t ran_ns = ds_known_or_zero(w[RF_PROCESS_CPU_NS]);
    /* What they started and keep is no other program. */
    ran_ns = ds_add(ran_ns, ds_known_or_zero(w[RF_PROCESS_CHILDREN_CPU_NS]));
    ran_ns = ds_add(ran_ns, ds_known_or_zero(w[RF_PROCESS_WORKERS_CHILDREN_CPU_NS]));
    return workers_cpus(process) + (span_ns > 0 ? (double)ran_ns / (double)span_ns : 0);
}

double why_taking_ns(const struct run_loader *loader)
{
    const uint64_t *c = loader->totals.counters;
    return c[RF_COUNT_GET_CPU_BATCHES] == 0
               ? 0
               : (double)c[RF_COUNT_GET_CPU_NS] / (double)c[RF_COUNT_GET_CPU_BATCHES] *
                     (double)c[RF_COUNT_BATCHES];
}

/* What the thread on the other side of a hand-over did, and what start-up and the loader itself take, is
 * not timed by thread. Beside others those threads wait for a CPU in the proportion in which the ones
 * that are timed did: as often as they ran so long, and together no longer than those. */
static void reckon_untimed(const struct run_loader *loader, const uint64_t *states_ns,
                           uint64_t lack_ns, struct why_others *others)
{
    const bool is_pinned = (loader->entry.flags & DATASTALL_LOADER_PIN_MEMORY) != 0;
    const double transfer_ns = (double)states_ns[CAUSE_TRANSFER];
    const double taking_ns = fmin(transfer_ns, why_taking_ns(loader));
    const double ran_ns =
        (double)states_ns[CAUSE_COMPUTE] + (double)states_ns[CAUSE_COLLATE] + taking_ns;
    /* Where taking is not timed (it runs in the pin thread), what is left of the way is not known. */
    const double handed_ns = taking_ns > 0 && !is_pinned ? transfer_ns - taking_ns : 0;
    const double untimed_ns = handed_ns + (double)states_ns[CAUSE_STARTUP] +
                              (double)states_ns[CAUSE_OVERHEAD] + (double)states_ns[CAUSE_SAMPLER];
    if (lack_ns == 0 || !(untimed_ns > 0))
        return;
    const double part =
        fmin((double)lack_ns / ((double)lack_ns + ran_ns), (double)lack_ns / untimed_ns);
    others->handed_ns = (uint64_t)(part * handed_ns);
    others->untimed_ns = (uint64_t)(part * untimed_ns);
}

bool why_shares_cpus(const struct run_loader *loader, const struct why *why)
{
    if (loader->entry.num_workers == 0)
        return false;
    const double loop = isnan(why->host.loop_cpus) ? 0 : why->host.loop_cpus;
    return why->states_ns[CAUSE_LOOP_CPU_WAIT] + why->states_ns[CAUSE_CPU_CONTENTION] >
               why->stall_ns / 10 ||
           why->work.running_cpus + loop > LEAST_CPUS_SHARED * why->host.cpus_usable;
}

uint64_t why_crowded_ns(const struct why *why)
{
    const struct why_work *work = &why->work;
    const double blocked_ns = (double)why->states_ns[CAUSE_BLOCKED];
    /* Programs that live on ran while items were blocked, other threads and programs that ended not. */
    double ran_ns = (double)why->states_ns[CAUSE_COMPUTE_IN_THREADS];
    if (work->blocked_ns > 0)
        ran_ns += blocked_ns * fmin(1.0, (double)work->children_ns / (double)work->blocked_ns);
    const double waited_ns = ran_ns * (why->host.threads_per_cpu - 1);
    /* The crowd may be another group's, whose threads take nothing from these. */
    if ((double)work->delay_ns <
        CAUSE_LEAST_SEEN * (double)ds_add(work->threads_ns, work->children_ns))
        return 0;
    return waited_ns > 0 ? (uint64_t)fmin(waited_ns, blocked_ns) : 0;
}

static uint64_t once_of(const struct run_loader *loader, const struct why *why, uint64_t rest_ns)
{
    const uint64_t once_ns = why_once_ns(loader, why);
    if (!why_is_single(loader) || once_ns >= WHY_LEAST_SINGLE_STARTUP_NS || why->stall_ns == 0)
        return 0;
    return (uint64_t)((double)rest_ns / (double)why->stall_ns * (double)once_ns);
}

void why_find_others(const struct run_loader *loader, const struct why *why, double run_cpus,
                     struct why_others *others)
{
    const struct why_host *host = &why->host;
    const uint64_t *states_ns = why->states_ns;
    const double own = fmax(host->loop_cpus + why->work.running_cpus, run_cpus);
    *others = (struct why_others){.cpus = NAN};
    if (isnan(host->cpus_usable - host->idle_cpus) || isnan(host->loop_cpus) ||
        isnan(why->work.running_cpus))
        return;
    others->cpus = fmax(0.0, host->cpus_usable - host->idle_cpus - own);
    if (others->cpus < WHY_LEAST_OF_OTHERS)
        return;
    const uint64_t lack_ns =
        ds_add(states_ns[CAUSE_CPU_CONTENTION], states_ns[CAUSE_LOOP_CPU_WAIT]);
    reckon_untimed(loader, states_ns, lack_ns, others);
    others->lack_ns = ds_add(ds_add(lack_ns, others->untimed_ns), why_crowded_ns(why));
    const uint64_t rest_ns = ds_subtract(why->stall_ns, others->lack_ns);
    others->once_ns = once_of(loader, why, rest_ns);
    others->explain = others->lack_ns > 0 && (double)(rest_ns - others->once_ns) <
                                                 WHY_LEAST_STALL * (double)why->active_ns;
}
