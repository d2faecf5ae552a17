/* SPDX-License-Identifier: Apache-2.0 */
#include "output/shape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/sums.h"
#include "output/names.h"
#include "output/put.h"
#include "output/shape_cost.h"
#include "output/shape_job.h"
#include "output/shape_predict.h"
#include "output/shape_steps.h"
#include "output/shape_why.h"

static void put_time(out e, const char *key, uint64_t real_ns)
{
    char text[40];
    struct tm utc;
    time_t seconds = (time_t)(real_ns / DS_NS_PER_S);
    if (real_ns == 0 || gmtime_r(&seconds, &utc) == NULL ||
        strftime(text, sizeof text - 8, "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        e->string(e->context, key, NULL);
        return;
    }
    snprintf(text + strlen(text), 8, ".%03uZ", (unsigned)(real_ns % DS_NS_PER_S / 1000000));
    e->string(e->context, key, text);
}

static void put_distribution(out e, const char *key, const datastall_distribution *d)
{
    e->open_object(e->context, key);
    put_integer(e, "count", d->count);
    put_real(e, "mean", d->mean_ns * 1e-6);
    put_ms(e, "min", d->min_ns);
    put_ms(e, "p50", d->p50_ns);
    put_ms(e, "p95", d->p95_ns);
    put_ms(e, "p99", d->p99_ns);
    put_ms(e, "max", d->max_ns);
    put_ms(e, "sum", d->sum_ns);
    e->close(e->context);
}

static void put_owner(out e, const struct summary *s, uint32_t process)
{
    put_integer(e, "rank", summary_rank(&s->processes[process]));
    put_integer(e, "pid", s->processes[process].data->view.fixed.pid);
}

static void put_run(out e, const struct summary *s)
{
    const struct run_data *data = s->data;
    char text[256];
    e->open_object(e->context, "run");
    put_string(e, "id", data->id);
    put_string(e, "path", data->path);
    put_string(e, "name", s->name);
    put_string(e, "command", s->command);
    put_time(e, "started_at", s->started_real_ns);
    put_seconds(e, "duration_s", s->duration_ns);
    put_seconds(e, "setup_s", s->setup_ns);
    put_string(e, "state", summary_state_name(s->state));
    put_string(e, "launcher", summary_launcher_name(s->launcher));
    summary_launcher_text(s, text, sizeof text);
    put_string(e, "launcher_text", text[0] == '\0' ? NULL : text);
    put_string(e, "recorded_in", data->recorded_at[0] == '\0' ? NULL : data->recorded_at);
    put_integer(e, "exit_status", s->exit_status);
    e->close(e->context);
}

static void put_window(out e, const struct summary *s)
{
    const bool known = s->begin_ns != DATASTALL_UNKNOWN;
    e->open_object(e->context, "window");
    put_integer(e, "start_ns", s->begin_ns);
    put_integer(e, "end_ns", s->end_ns);
    put_seconds(e, "duration_s", known ? s->end_ns - s->begin_ns : DATASTALL_UNKNOWN);
    e->close(e->context);
}

static void put_verdict(out e, const struct summary *s)
{
    const struct summary_process *worst = s->worst == UINT32_MAX ? NULL : &s->processes[s->worst];
    char text[512];
    e->open_object(e->context, "verdict");
    put_string(e, "severity", summary_severity_name(s->severity));
    put_real(e, "input_stall_share", s->stall_share);
    put_real(e, "worst_share", worst == NULL ? NAN : worst->stall_share);
    put_real(e, "worst_share_lower", worst == NULL ? NAN : worst->stall_share_lower);
    put_real(e, "event_coverage",
             worst == NULL || worst->method != SUMMARY_METHOD_GPU_EVENTS
                 ? NAN
                 : stall_coverage(&worst->stall));
    put_integer(e, "worst_rank", worst == NULL ? DATASTALL_UNKNOWN : summary_rank(worst));
    put_integer(e, "worst_pid", worst == NULL ? DATASTALL_UNKNOWN : worst->data->view.fixed.pid);
    put_string(e, "method", worst == NULL ? NULL : summary_method_name(s->method));
    e->boolean(e->context, "upper_bound", s->upper_bound);
    put_real(e, "speedup_ceiling", s->speedup_ceiling);
    e->boolean(e->context, "speedup_ceiling_is_bound", s->ceiling_is_bound);
    summary_verdict_text(s, text, sizeof text);
    put_string(e, "text", text);
    summary_prize_text(s, text, sizeof text);
    put_string(e, "prize", text);
    e->close(e->context);
}

/* exposed_stall_s, hidden_wait_s, unknown_wait_s; null where no GPU clock told anything. */
static void put_stall(out e, const struct stall *stall)
{
    const bool known = stall->known_ns > 0;
    e->open_object(e->context, "exposed_stall_s");
    put_seconds(e, "sum", known ? stall->upper_ns : DATASTALL_UNKNOWN);
    put_seconds(e, "lower", known ? stall->lower_ns : DATASTALL_UNKNOWN);
    put_seconds(e, "upper", known ? stall->upper_ns : DATASTALL_UNKNOWN);
    put_real(e, "event_coverage", stall_coverage(stall));
    e->close(e->context);
    put_seconds(e, "hidden_wait_s", known ? stall_hidden_ns(stall) : DATASTALL_UNKNOWN);
    put_seconds(e, "unknown_wait_s", stall_unknown_ns(stall));
}

static void put_slowest(out e, const struct summary *s, const struct summary_loader *loader)
{
    const struct run_process *process = s->processes[loader->process].data;
    e->open_array(e->context, "slowest_waits");
    for (uint32_t i = 0; i < RUN_SLOW_WAITS; i++) {
        const struct run_slow_wait *slow = &loader->data->slowest[i];
        if (slow->wait_ns == 0)
            break;
        e->open_object(e->context, NULL);
        put_ms(e, "wait_ms", slow->wait_ns);
        put_integer(e, "begin_ns", slow->begin_ns);
        put_integer(e, "batch_index", slow->batch_index);
        put_string(e, "stage",
                   slow->stage < RF_STAGE_CAPACITY ? process->stage_names[slow->stage] : NULL);
        put_integer(e, "samples", slow->samples);
        put_integer(e, "tokens", slow->tokens);
        e->close(e->context);
    }
    e->close(e->context);
}

static void put_loader_settings(out e, const struct rf_loader_entry *entry)
{
    put_string(e, "site", entry->site);
    put_string(e, "dataset_type", entry->dataset_type);
    put_integer(e, "num_workers", entry->num_workers);
    put_integer(e, "prefetch_factor", entry->prefetch_factor);
    put_integer(e, "batch_size", entry->batch_size);
    if (entry->source == DATASTALL_SOURCE_TORCH) {
        e->boolean(e->context, "pin_memory", entry->flags & DATASTALL_LOADER_PIN_MEMORY);
        e->boolean(e->context, "persistent_workers",
                   entry->flags & DATASTALL_LOADER_PERSISTENT_WORKERS);
    }
}

static void put_loader(out e, const struct summary *s, const struct summary_loader *loader)
{
    const datastall_statistics *f = &loader->figures;
    e->open_object(e->context, NULL);
    put_string(e, "name", loader->data->entry.name);
    put_string(e, "source", output_source_name(loader->data->entry.source));
    e->boolean(e->context, "in_verdict", loader->in_verdict);
    put_owner(e, s, loader->process);
    put_loader_settings(e, &loader->data->entry);
    put_integer(e, "threads", loader->data->threads);
    put_integer(e, "iterators", f->iterators);
    put_integer(e, "batches", f->batches);
    put_integer(e, "samples", f->samples);
    put_integer(e, "tokens", f->tokens);
    put_string(e, "tokens_method", output_tokens_method(f));
    put_distribution(e, "wait_ms", &f->steady);
    put_distribution(e, "startup_ms", &f->startup);
    e->open_object(e->context, "failed_ms");
    put_integer(e, "count", f->failed);
    put_ms(e, "sum", f->failed_ns);
    e->close(e->context);
    e->open_object(e->context, "queue_state");
    put_integer(e, "full", f->queue_full);
    put_integer(e, "normal", f->queue_normal);
    put_integer(e, "starved", f->queue_starved);
    put_integer(e, "unknown", f->queue_unknown);
    e->close(e->context);
    put_real(e, "packing_efficiency", f->packing_efficiency);
    put_integer(e, "longest_sequence", f->longest_sequence);
    put_real(e, "samples_per_s", f->samples_per_s);
    put_real(e, "tokens_per_s", f->tokens_per_s);
    put_real(e, "recent_samples_per_s", f->recent_samples_per_s);
    put_real(e, "recent_tokens_per_s", f->recent_tokens_per_s);
    put_integer(e, "window_start_ns", f->window_begin_ns);
    put_integer(e, "window_end_ns", f->window_end_ns);
    put_seconds(e, "waiting_s", loader->stall.waiting_ns);
    put_real(e, "waiting_share", loader->waiting_share);
    put_stall(e, &loader->stall);
    put_seconds(e, "carried_wait_s", loader->data->totals.counters[RF_COUNT_STALL_CARRIED_NS]);
    put_seconds(e, "unfinished_wait_s",
                loader->unfinished_wait_ns == 0 ? DATASTALL_UNKNOWN : loader->unfinished_wait_ns);
    put_integer(e, "records_ahead", loader->data->skew);
    put_slowest(e, s, loader);
    output_why_shape(s, loader, e);
    output_predict_shape(loader->predict, e);
    e->close(e->context);
}

static void put_gpm(out e, const struct summary_gpm *gpm)
{
    e->open_object(e->context, "gpm");
    put_real(e, "sm_share", gpm->sm_share);
    put_real(e, "sm_occupancy_share", gpm->occupancy_share);
    put_real(e, "tensor_share", gpm->tensor_share);
    put_real(e, "dram_bandwidth_share", gpm->dram_share);
    put_real(e, "pcie_tx_bytes_per_s", gpm->pcie_tx_bytes_per_s);
    put_real(e, "pcie_rx_bytes_per_s", gpm->pcie_rx_bytes_per_s);
    put_real(e, "nvlink_tx_bytes_per_s", gpm->nvlink_tx_bytes_per_s);
    put_real(e, "nvlink_rx_bytes_per_s", gpm->nvlink_rx_bytes_per_s);
    e->close(e->context);
}

static void put_gpu(out e, const struct summary *s, uint32_t place)
{
    const struct summary_gpu *gpu = &s->gpus[place];
    const uint64_t *w = gpu->data->words;
    const struct rf_gpu_static *fixed = &gpu->data->fixed;
    e->open_object(e->context, NULL);
    put_integer(e, "index", gpu->data->fixed.index);
    put_string(e, "uuid", gpu->data->fixed.uuid);
    put_string(e, "name", gpu->data->fixed.name);
    put_integer(e, "gpu_instance", fixed->mig ? fixed->gpu_instance : DATASTALL_UNKNOWN);
    put_integer(e, "compute_instance", fixed->mig ? fixed->compute_instance : DATASTALL_UNKNOWN);
    put_string(e, "state", gpu->silent ? "silent" : output_gpu_state_name(w[RF_GPU_STATE]));
    put_integer(e, "error", w[RF_GPU_ERROR] == 0 ? DATASTALL_UNKNOWN : w[RF_GPU_ERROR]);
    put_real(e, "busy_share", gpu->busy_share);
    put_string(e, "busy_source", gpu->busy_source);
    put_integer(e, "busy_samples", gpu->busy_samples);
    put_real(e, "input_stall_share", gpu->stall_share);
    put_real(e, "input_stall_share_lower", gpu->stall_share_lower);
    e->boolean(e->context, "upper_bound", gpu->stall_is_bound);
    put_integer(e, "processes", gpu->processes);
    put_real(e, "other_idle_share", gpu->other_idle_share);
    put_seconds(e, "busy_s", gpu->busy_ns);
    put_seconds(e, "idle_s", gpu->idle_ns);
    put_seconds(e, "unknown_s", gpu->unknown_ns);
    output_idle_shape(s, place, e);
    put_stall(e, &gpu->stall);
    put_gpm(e, &gpu->gpm);
    put_integer(e, "samples", w[RF_GPU_SAMPLES]);
    put_integer(e, "mem_used_peak_bytes", gpu->memory_used_peak_bytes);
    put_integer(e, "mem_total_bytes", gpu->memory_total_bytes);
    put_real(e, "power_w_mean", gpu->power_mean_w);
    put_real(e, "power_w_max", gpu->power_max_w);
    put_real(e, "temperature_c_max", gpu->temperature_max_c);
    put_real(e, "sm_clock_mhz_mean", gpu->sm_clock_mean_mhz);
    put_real(e, "energy_j",
             gpu->energy_uj == DATASTALL_UNKNOWN ? NAN : (double)gpu->energy_uj * 1e-6);
    e->open_object(e->context, "energy_while_stalled_j");
    put_real(e, "lower", gpu->stalled_energy_lower_j);
    put_real(e, "upper", gpu->stalled_energy_upper_j);
    e->close(e->context);
    e->open_object(e->context, "clocks_held_share");
    put_real(e, "power", gpu->held_power_share);
    put_real(e, "thermal", gpu->held_thermal_share);
    put_real(e, "hardware", gpu->held_hardware_share);
    e->close(e->context);
    e->close(e->context);
}

static void put_stage(out e, const struct summary *s, const struct summary_stage *stage)
{
    e->open_object(e->context, NULL);
    put_string(e, "name", stage->name);
    put_owner(e, s, stage->process);
    put_seconds(e, "duration_s", stage->duration_ns);
    put_integer(e, "entries", stage->entries);
    put_integer(e, "batches", stage->batches);
    put_integer(e, "samples", stage->samples);
    put_integer(e, "tokens", stage->tokens);
    put_seconds(e, "waiting_s", stage->stall.waiting_ns);
    put_real(e, "waiting_share", stage->waiting_share);
    put_stall(e, &stage->stall);
    e->close(e->context);
}

static void put_refusals(out e, const uint64_t *refused)
{
#define KEY(name, key, what) key,
    static const char *const keys[] = {RF_REFUSALS(KEY)};
#undef KEY
    e->open_object(e->context, "hooks_refused");
    for (uint32_t i = 0; i < RF_REFUSAL_KINDS; i++)
        put_integer(e, keys[i], refused[i]);
    e->close(e->context);
}

static void put_process(out e, const struct summary_process *process)
{
    const struct rf_process_static *fixed = &process->data->view.fixed;
    const bool known = process->begin_ns != DATASTALL_UNKNOWN;
    e->open_object(e->context, NULL);
    put_integer(e, "rank", fixed->rank);
    put_integer(e, "local_rank", fixed->local_rank);
    put_integer(e, "world_size", fixed->world_size);
    put_integer(e, "pid", fixed->pid);
    put_string(e, "hostname", fixed->hostname);
    put_string(e, "command", fixed->command);
    put_string(e, "state", summary_state_name(process->state));
    put_seconds(e, "window_s", known ? process->end_ns - process->begin_ns : DATASTALL_UNKNOWN);
    put_seconds(e, "paused_s", known ? process->paused_ns : DATASTALL_UNKNOWN);
    put_seconds(e, "life_s", process->life_ns);
    put_seconds(e, "input_stall_s", known ? process->exposed.upper_ns : DATASTALL_UNKNOWN);
    put_seconds(e, "input_stall_lower_s", known ? process->exposed.lower_ns : DATASTALL_UNKNOWN);
    put_real(e, "input_stall_share", process->stall_share);
    put_string(e, "method", known ? summary_method_name(process->method) : NULL);
    e->boolean(e->context, "upper_bound", process->upper_bound);
    put_real(e, "for_others_share", process->for_others_share);
    put_integer(e, "waiting_threads", process->threads);
    put_integer(e, "lost_records", process->data->view.words[RF_PROCESS_LOST_CONTENTION]);
    put_integer(e, "merged_other", process->data->view.words[RF_PROCESS_MERGED_OTHER]);
    put_integer(e, "impossible_times", process->data->view.words[RF_PROCESS_IMPOSSIBLE_TIMES]);
    put_integer(e, "impossible_counts", process->data->view.words[RF_PROCESS_IMPOSSIBLE_COUNTS]);
    put_integer(e, "unknown_arguments", process->data->view.words[RF_PROCESS_UNKNOWN_ARGUMENTS]);
    put_refusals(e, fixed->refused);
    put_string(e, "file", process->data->file);
    e->close(e->context);
}

static void put_gpu_sampling(out e, const struct run_data *data)
{
    char reason[160];
    rf_gpu_end_text(data->gpu_end, data->gpu_end_detail, reason, sizeof reason);
    e->open_object(e->context, "gpu_sampling");
    put_string(e, "state", output_gpu_state_name(data->gpu_state));
    put_integer(e, "error", data->gpu_error == 0 ? DATASTALL_UNKNOWN : data->gpu_error);
    put_string(e, "ended", reason);
    e->close(e->context);
}

void output_shape(const struct summary *s, out e)
{
    output_shape_in(s, NULL, e);
}

void output_shape_in(const struct summary *s, const char *key, out e)
{
    const struct run_data *data = s->data;
    e->open_object(e->context, key);
    e->integer(e->context, "schema", OUTPUT_SCHEMA);
    put_string(e, "datastall_version", datastall_version());
    put_run(e, s);
    put_window(e, s);
    put_verdict(e, s);
    output_job_shape(s->job, e);
    output_cost_shape(s, e);
    e->open_array(e->context, "loaders");
    for (uint32_t i = 0; i < s->loader_count; i++)
        put_loader(e, s, &s->loaders[i]);
    e->close(e->context);
    e->open_array(e->context, "gpus");
    for (uint32_t i = 0; i < s->gpu_count; i++)
        put_gpu(e, s, i);
    e->close(e->context);
    put_gpu_sampling(e, data);
    output_steps_shape(s, e);
    e->open_array(e->context, "stages");
    for (uint32_t i = 0; i < s->stage_count; i++)
        put_stage(e, s, &s->stages[i]);
    e->close(e->context);
    e->open_array(e->context, "processes");
    for (uint32_t i = 0; i < s->process_count; i++)
        put_process(e, &s->processes[i]);
    e->close(e->context);
    e->open_object(e->context, "damage");
    put_integer(e, "files", data->files);
    put_integer(e, "unreadable_files", data->unreadable_files);
    put_integer(e, "problems", data->problems);
    put_string(e, "first_problem", data->first_problem);
    e->close(e->context);
    e->close(e->context);
}
