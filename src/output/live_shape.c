/* SPDX-License-Identifier: Apache-2.0 */
#include "output/live_shape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "diagnose/compare.h"
#include "diagnose/throughput.h"
#include "output/json.h"
#include "output/put.h"
#include "output/recent.h"
#include "output/trim.h"

/* How much is said; what is larger is cut. */
struct live_size {
    uint32_t runs, ranks, loaders, gpus;
};

struct live_view {
    const struct summary *const *runs;
    uint32_t count;
    uint64_t now_ns;
    const struct live_size *size;
};

static void put_history(out e, const char *key, const double shares[HISTORY_S])
{
    e->open_array(e->context, key);
    for (uint32_t i = 0; i < HISTORY_S; i++)
        put_integer(e, NULL,
                    isnan(shares[i]) ? DATASTALL_UNKNOWN
                                     : (uint64_t)(fmin(1.0, shares[i]) * 100 + 0.5));
    e->close(e->context);
}

static double rounded(double value)
{
    return isfinite(value) ? round(value * 1000) / 1000 : value;
}

static void put_now(out e, const struct recent_waits *recent)
{
    e->open_object(e->context, "now");
    put_real(e, "stall_share", rounded(recent->stall_share));
    put_real(e, "samples_per_s", rounded(recent->samples_per_s));
    put_real(e, "batches_per_s", rounded(recent->batches_per_s));
    e->close(e->context);
}

static void put_loader(const struct summary *run, const struct summary_loader *loader, out e)
{
    e->open_object(e->context, NULL);
    put_string(e, "name", loader->data->entry.name);
    put_integer(e, "rank", summary_rank(&run->processes[loader->process]));
    put_integer(e, "num_workers", loader->data->entry.num_workers);
    put_integer(e, "batches", loader->figures.batches);
    put_integer(e, "samples", loader->figures.samples);
    put_real(e, "waiting_share", rounded(loader->waiting_share));
    put_real(e, "wait_p50_ms",
             loader->figures.steady.count == 0 ? NAN
                                               : (double)loader->figures.steady.p50_ns * 1e-6);
    put_real(e, "wait_p99_ms",
             loader->figures.steady.count == 0 ? NAN
                                               : (double)loader->figures.steady.p99_ns * 1e-6);
    put_string(e, "cause", why_name(loader->why.primary));
    put_seconds(e, "unfinished_wait_s",
                loader->unfinished_wait_ns == 0 ? DATASTALL_UNKNOWN : loader->unfinished_wait_ns);
    e->close(e->context);
}

static void put_rank(const struct live_view *view, const struct summary *run, uint32_t index, out e)
{
    const struct summary_process *process = &run->processes[index];
    struct recent_waits recent;
    recent_of_process(run, index, view->now_ns, &recent);
    e->open_object(e->context, NULL);
    put_integer(e, "rank", summary_rank(process));
    put_integer(e, "pid", process->data->view.fixed.pid);
    put_string(e, "hostname", process->data->view.fixed.hostname);
    put_string(e, "state", summary_state_name(process->state));
    put_real(e, "stall_share", rounded(process->stall_share));
    e->boolean(e->context, "upper_bound", process->upper_bound);
    put_now(e, &recent);
    if (run->process_count > 1)
        put_history(e, "stall", recent.stall);
    e->close(e->context);
}

static void put_gpu(const struct live_view *view, const struct summary *run, uint32_t index, out e)
{
    const struct summary_gpu *gpu = &run->gpus[index];
    struct recent_gpu recent;
    recent_of_gpu(run, index, view->now_ns, &recent);
    e->open_object(e->context, NULL);
    put_integer(e, "index", gpu->data->fixed.index);
    put_string(e, "name", gpu->data->fixed.name);
    put_real(e, "busy_share", rounded(recent.busy_share));
    put_string(e, "busy_source", gpu->busy_source);
    put_real(e, "stall_share", rounded(recent.stall_share));
    put_integer(e, "memory_used_bytes", recent.memory_used_bytes);
    put_integer(e, "memory_total_bytes", gpu->memory_total_bytes);
    put_real(e, "power_w", rounded(recent.power_w));
    put_history(e, "busy", recent.busy);
    e->close(e->context);
}

/* The one that waited the longest; NULL: none. */
static const struct summary_loader *longest(const struct summary *run)
{
    const struct summary_loader *found = NULL;
    for (uint32_t i = 0; i < run->loader_count; i++) {
        if (run->loaders[i].in_verdict &&
            (found == NULL || run->loaders[i].stall.waiting_ns > found->stall.waiting_ns))
            found = &run->loaders[i];
    }
    return found;
}

static void put_verdict(const struct summary *run, out e)
{
    const struct summary_process *worst =
        run->worst == UINT32_MAX ? NULL : &run->processes[run->worst];
    const struct summary_loader *loader = longest(run);
    const struct throughput throughput = throughput_of(run);
    char text[512];
    put_string(e, "severity", summary_severity_name(run->severity));
    put_real(e, "stall_share", worst == NULL ? NAN : rounded(worst->stall_share));
    e->boolean(e->context, "upper_bound", run->upper_bound);
    summary_verdict_text(run, text, sizeof text);
    put_string(e, "text", text);
    throughput_text(&throughput, text, sizeof text);
    put_string(e, "throughput", text);
    put_string(e, "cause", compare_cause(run));
    put_string(e, "suggestion", loader == NULL ? NULL : loader->why.suggestion);
}

/* Of the ranks that go on, each second's mean. */
static void mean_history(const struct live_view *view, const struct summary *run,
                         double stall[HISTORY_S])
{
    uint32_t known[HISTORY_S] = {0};
    struct recent_waits recent;
    for (uint32_t s = 0; s < HISTORY_S; s++)
        stall[s] = 0;
    for (uint32_t i = 0; i < run->process_count; i++) {
        if (run->processes[i].state != SUMMARY_RUNNING)
            continue;
        recent_of_process(run, i, view->now_ns, &recent);
        for (uint32_t s = 0; s < HISTORY_S; s++) {
            stall[s] += isnan(recent.stall[s]) ? 0 : recent.stall[s];
            known[s] += !isnan(recent.stall[s]);
        }
    }
    for (uint32_t s = 0; s < HISTORY_S; s++)
        stall[s] = known[s] == 0 ? NAN : stall[s] / known[s];
}

static void put_run(const struct live_view *view, const struct summary *run, out e)
{
    struct recent_waits recent;
    double stall[HISTORY_S];
    recent_of_run(run, view->now_ns, &recent);
    e->open_object(e->context, NULL);
    put_string(e, "id", run->data->id);
    put_string(e, "name", run->name);
    put_string(e, "command", run->command);
    put_string(e, "state", summary_state_name(run->state));
    put_integer(e, "started_real_s", run->started_real_ns / DS_NS_PER_S);
    put_seconds(e, "duration_s", run->duration_ns);
    put_integer(e, "exit_status", run->exit_status);
    put_verdict(run, e);
    put_now(e, &recent);
    mean_history(view, run, stall);
    put_history(e, "stall", stall);
    put_integer(e, "processes", run->process_count);
    e->open_array(e->context, "ranks");
    for (uint32_t i = 0; i < run->process_count && i < view->size->ranks; i++)
        put_rank(view, run, i, e);
    e->close(e->context);
    e->open_array(e->context, "loaders");
    for (uint32_t i = 0; i < run->loader_count && i < view->size->loaders; i++)
        put_loader(run, &run->loaders[i], e);
    e->close(e->context);
    e->open_array(e->context, "gpus");
    for (uint32_t i = 0; i < run->gpu_count && i < view->size->gpus; i++)
        put_gpu(view, run, i, e);
    e->close(e->context);
    e->close(e->context);
}

static void shape(const void *context, out to)
{
    static const struct trim_rule rules[] = {{NULL, 0}}; /* it cuts texts */
    const struct live_view *view = context;
    struct trim trim;
    const struct emitter cut = trim_emitter(&trim, to, rules), *e = &cut;
    uint32_t shown = 0;
    e->open_object(e->context, NULL);
    e->integer(e->context, "schema", 1);
    put_string(e, "datastall_version", datastall_version());
    put_integer(e, "time_ms", view->now_ns / 1000000);
    put_integer(e, "count", view->count);
    e->open_array(e->context, "runs");
    for (int running = 1; running >= 0; running--) {
        for (uint32_t i = 0; i < view->count && shown < view->size->runs; i++) {
            if ((view->runs[i]->state == SUMMARY_RUNNING) != (running == 1))
                continue;
            put_run(view, view->runs[i], e);
            shown++;
        }
    }
    e->close(e->context);
    e->close(e->context);
}

int live_json_write(const struct summary *const *runs, uint32_t count, uint64_t now_ns, char **text,
                    size_t *length)
{
    static const struct live_size sizes[] = {
        {64, 64, 16, 16}, {32, 32, 8, 8}, {32, 8, 4, 4}, {16, 2, 1, 1}};
    int error = DATASTALL_OK;
    *text = NULL;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && error == DATASTALL_OK; i++) {
        const struct live_view view = {runs, count, now_ns, &sizes[i]};
        free(*text);
        FILE *file = open_memstream(text, length);
        if (file == NULL)
            return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
        error = output_json_for_page(shape, &view, file);
        if (fclose(file) != 0 && error == DATASTALL_OK)
            error = ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
        if (error == DATASTALL_OK && *length <= LIVE_MOST_BYTES)
            return error;
    }
    if (error != DATASTALL_OK) {
        free(*text);
        *text = NULL;
    }
    return error;
}
