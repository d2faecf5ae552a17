/* SPDX-License-Identifier: Apache-2.0 */
#include "output/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean_text.h"
#include "base/short_name.h"
#include "base/sums.h"
#include "output/names.h"
#include "output/text_steps.h"
#include "output/text_why.h"

#define MAX_LOADERS 8
#define MAX_STAGES 6
#define MAX_RANKS 8
#define LEAST_HELD_SHARE 0.05
#define WIDTH 100           /* of a line that may leave something out */
#define LEAST_CLASS_BYTES 8 /* shorter, a class tells nothing */
#define GIB (1024.0 * 1024 * 1024)

/* ---- numbers ---- */

void output_count_text(uint64_t value, char *text, size_t size)
{
    if (value == DATASTALL_UNKNOWN)
        snprintf(text, size, "unknown");
    else if (value < 1000)
        snprintf(text, size, "%llu", (unsigned long long)value);
    else if (value < 1000000)
        snprintf(text, size, "%llu,%03llu", (unsigned long long)value / 1000,
                 (unsigned long long)value % 1000);
    else if (value < UINT64_C(1000000000))
        snprintf(text, size, "%.2f M", (double)value * 1e-6);
    else
        snprintf(text, size, "%.2f G", (double)value * 1e-9);
}

const char *output_share_text(double share, char text[16])
{
    if (isnan(share))
        snprintf(text, 16, "unknown");
    else
        snprintf(text, 16, "%.1f %%", share * 100);
    return text;
}

void output_rate_text(double value, char *text, size_t size)
{
    if (isnan(value))
        snprintf(text, size, "unknown");
    else if (value < 10)
        snprintf(text, size, "%.2f", value);
    else if (value < 1000)
        snprintf(text, size, "%.0f", value);
    else if (value < 1e6)
        snprintf(text, size, "%.1f k", value * 1e-3);
    else
        snprintf(text, size, "%.1f M", value * 1e-6);
}

/* Milliseconds with three figures, the unit left to the line. */
static const char *ms(uint64_t ns, char text[16])
{
    double value = (double)ns * 1e-6;
    if (ns == DATASTALL_UNKNOWN)
        snprintf(text, 16, "-");
    else if (value < 9.995)
        snprintf(text, 16, value < 0.0995 ? "%.3f" : "%.2f", value);
    else if (value < 99.95)
        snprintf(text, 16, "%.1f", value);
    else if (value < 999.5)
        snprintf(text, 16, "%.0f", value);
    else
        output_count_text((uint64_t)(value + 0.5), text, 16);
    return text;
}

const char *output_state_text(enum summary_state state)
{
    return state == SUMMARY_RUNNING ? "still running"
           : state == SUMMARY_DIED  ? "killed or lost"
                                    : "cannot be seen from here";
}

/* The ending of a noun after this number. */
static const char *plural(uint64_t number)
{
    return number == 1 ? "" : "s";
}

/* ---- lines: a label in the first nine columns, then text, whatever it holds ---- */

static void __attribute__((format(printf, 3, 4))) line(FILE *file, const char *label,
                                                       const char *format, ...)
{
    char text[1024], clean[sizeof text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(file, "%-8s %s\n", label, ds_clean_text(text, clean, sizeof clean));
}

void output_bounds(const struct summary *s, FILE *file)
{
    char text[64];
    const struct summary_process *worst = s->worst == UINT32_MAX ? NULL : &s->processes[s->worst];
    if (worst != NULL && worst->method == SUMMARY_METHOD_GPU_EVENTS)
        line(file, "",
             "by the GPU's clock for %.1f %% of the waiting; the program itself waited %.1f %%",
             100.0 * stall_coverage(&worst->stall),
             100.0 * (double)worst->stall.waiting_ns / (double)worst->active_ns);
    if (worst != NULL && worst->gpu != UINT32_MAX && s->gpus[worst->gpu].processes > 1 &&
        worst->severe_share < worst->stall_share_lower)
        line(file, "",
             "%s, because its GPU is shared, and no more than %.1f %% of that is known to be lost",
             summary_severity_name(s->severity), worst->severe_share * 100);
    if (worst != NULL && worst->paused_ns > worst->active_ns / 100 &&
        worst->paused_ns > DS_NS_PER_S / 10) {
        summary_duration_text((double)worst->paused_ns * 1e-9, text, sizeof text);
        line(file, "",
             "of the time in which loaders were iterated over; for %s between them none was "
             "(evaluation, a checkpoint, another cell)",
             text);
    }
    if (s->method == SUMMARY_METHOD_HOST_BOUND)
        line(file, "",
             "at most, because the GPU may have been busy during a wait (host clock only)");
    else if (s->upper_bound && worst != NULL && worst->method == SUMMARY_METHOD_GPU_EVENTS)
        line(file, "", "at most, because other streams or threads may have kept the GPU busy");
    else if (s->upper_bound)
        line(file, "",
             "at most, because a background thread waited and the program may have worked "
             "meanwhile");
}

static void put_verdict(const struct summary *s, FILE *file)
{
    char text[512];
    summary_prize_text(s, text, sizeof text);
    if (text[0] != '\0')
        line(file, "GAIN", "%s", text);
    output_bounds(s, file);
    if (s->worst == UINT32_MAX && s->state != SUMMARY_RUNNING)
        line(file, "TRY", SUMMARY_WATCH_HINT);
    summary_verdict_text(s, text, sizeof text);
    line(file, "VERDICT", "%s", text);
}

/* What a launcher that died leaves to say, and where a run is that has not come home. */
static void put_launcher(const struct summary *s, FILE *file)
{
    char text[256];
    summary_launcher_text(s, text, sizeof text);
    if (text[0] == '\0')
        return;
    line(file, "", "%s", text);
    if (s->data->recorded_at[0] != '\0')
        line(file, "", "it stays in %s until no process writes there any more",
             s->data->recorded_at);
}

static void put_run(const struct summary *s, FILE *file)
{
    char command[61], duration[32], setup[32], end[64] = "";
    ds_shortened_text(s->command, command, sizeof command);
    summary_duration_text((double)s->duration_ns * 1e-9, duration, sizeof duration);
    summary_duration_text(s->setup_ns == DATASTALL_UNKNOWN ? NAN : (double)s->setup_ns * 1e-9,
                          setup, sizeof setup);
    if (s->exit_status != DATASTALL_UNKNOWN)
        snprintf(end, sizeof end, ", exit %llu", (unsigned long long)s->exit_status);
    else if (s->state != SUMMARY_ENDED)
        snprintf(end, sizeof end, ", %s", output_state_text(s->state));
    if (s->setup_ns == DATASTALL_UNKNOWN)
        line(file, "RUN", "%s  (%s%s)", command, duration, end);
    else
        line(file, "RUN", "%s  (%s, including %s set-up%s)", command, duration, setup, end);
    put_launcher(s, file);
}

/* What held the clocks back for a share of the time that matters. */
static void put_held(const struct summary_gpu *gpu, FILE *file)
{
    const struct {
        double share;
        const char *cause;
    } held[] = {{gpu->held_power_share, "the power limit"},
                {gpu->held_thermal_share, "heat"},
                {gpu->held_hardware_share, "the hardware (power or heat)"}};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        if (held[i].share >= LEAST_HELD_SHARE)
            line(file, "", "clocks held back by %s for %.0f %% of the time", held[i].cause,
                 held[i].share * 100);
    }
}

void output_gpu_text(const struct summary_gpu *gpu, char label[24], char busy[64])
{
    snprintf(label, 24, "%s %llu", gpu->data->fixed.mig ? "MIG" : "GPU",
             (unsigned long long)(gpu->data->fixed.index % 1000));
    if (isnan(gpu->busy_share))
        snprintf(busy, 64, "busy unknown");
    else
        snprintf(busy, 64, "busy %.1f %%%s", gpu->busy_share * 100,
                 strcmp(gpu->busy_source, "gpm") == 0 ? "" : " (NVML utilisation)");
}

static void put_gpu(const struct summary_gpu *gpu, FILE *file)
{
    char label[24], memory[64] = "", power[32] = "", busy[64], stall[64] = "";
    char other[48] = "";
    const uint64_t state = gpu->data->words[RF_GPU_STATE];
    const char *error = output_nvml_error(gpu->data->words[RF_GPU_ERROR]);
    output_gpu_text(gpu, label, busy);
    if (!isnan(gpu->stall_share))
        snprintf(stall, sizeof stall, "  input stall %s%.1f %%",
                 gpu->stall_is_bound ? "at most " : "", gpu->stall_share * 100);
    if (!isnan(gpu->other_idle_share))
        snprintf(other, sizeof other, "  other idle %.1f %%", gpu->other_idle_share * 100);
    if (gpu->memory_used_peak_bytes != DATASTALL_UNKNOWN)
        snprintf(memory, sizeof memory, ", mem %.1f/%.1f GiB",
                 (double)gpu->memory_used_peak_bytes / GIB, (double)gpu->memory_total_bytes / GIB);
    if (!isnan(gpu->power_mean_w))
        snprintf(power, sizeof power, ", %.0f W", gpu->power_mean_w);
    line(file, label, "%s%s%s   %s%s%s", busy, stall, other, gpu->data->fixed.name, memory, power);
    if (gpu->processes > 1 && gpu->stall_is_bound)
        line(file, "",
             "at least %.1f %%: %u processes use it, and one may keep it busy while another waits",
             gpu->stall_share_lower * 100, gpu->processes);
    put_held(gpu, file);
    if (gpu->silent)
        line(file, "", "the driver (NVML) did not answer its last call");
    else if (state == RF_GPU_LOST || state == RF_GPU_FAILED)
        line(file, "", "its last reading failed: %s", error != NULL ? error : "unknown error");
}

static void put_gpus(const struct summary *s, FILE *file)
{
    const struct run_data *data = s->data;
    char reason[160];
    rf_gpu_end_text(data->gpu_end, data->gpu_end_detail, reason, sizeof reason);
    for (uint32_t i = 0; i < s->gpu_count; i++)
        put_gpu(&s->gpus[i], file);
    if (data->gpu_state == RF_GPU_ENDED)
        line(file, s->gpu_count > 0 ? "" : "GPU", "%sGPU sampling ended: %s",
             s->gpu_count > 0 ? "" : "unknown: ", reason);
    if (s->gpu_count > 0)
        return;
    const char *error = output_nvml_error(data->gpu_error);
    if (data->gpu_state == RF_GPU_STARTING)
        line(file, "GPU", "unknown: the driver (NVML) did not answer");
    else if (data->gpu_state == RF_GPU_FAILED)
        line(file, "GPU", "unknown: NVML failed: %s (%llu)", error != NULL ? error : "error",
             (unsigned long long)data->gpu_error);
    else if (error != NULL && data->gpu_state != RF_GPU_ENDED)
        line(file, "GPU", "none seen (%s)", error);
}

static int by_waiting(const void *a, const void *b)
{
    const struct summary_loader *one = *(const struct summary_loader *const *)a;
    const struct summary_loader *other = *(const struct summary_loader *const *)b;
    if (one->stall.waiting_ns != other->stall.waiting_ns)
        return one->stall.waiting_ns < other->stall.waiting_ns ? 1 : -1;
    return one < other ? -1 : one > other;
}

/* What it delivered: ": 12 batches, 96 samples (1.0 k/s)". */
static void delivered_text(const datastall_statistics *f, char *text, size_t size)
{
    char batches[24], samples[24], tokens[24], rate[24], token_rate[24];
    char of_samples[64] = "", of_tokens[80] = "";
    output_count_text(f->batches, batches, sizeof batches);
    output_count_text(f->samples, samples, sizeof samples);
    output_count_text(f->tokens, tokens, sizeof tokens);
    output_rate_text(f->samples_per_s, rate, sizeof rate);
    output_rate_text(f->tokens_per_s, token_rate, sizeof token_rate);
    if (f->samples != DATASTALL_UNKNOWN)
        snprintf(of_samples, sizeof of_samples, ", %s sample%s (%s/s)", samples, plural(f->samples),
                 rate);
    if (f->tokens != DATASTALL_UNKNOWN)
        snprintf(of_tokens, sizeof of_tokens, ", %s token%s (%s/s%s)", tokens, plural(f->tokens),
                 token_rate, f->tokens_sampled > 0 ? ", sampled" : "");
    snprintf(text, size, ": %s batch%s%s%s", batches, f->batches == 1 ? "" : "es", of_samples,
             of_tokens);
}

/* " (ImageFolder)": the data set's class, as much of it as the line has room for; "" where the name
 * says it. */
static void class_text(const struct summary_loader *loader, size_t taken, char text[64])
{
    const struct rf_loader_entry *entry = &loader->data->entry;
    char name[sizeof entry->dataset_type];
    text[0] = '\0';
    if (entry->dataset_type[0] == '\0' || strstr(entry->name, entry->dataset_type) != NULL)
        return;
    const size_t around = strlen(" ()"), bytes = strlen(entry->dataset_type);
    size_t room = taken + around < WIDTH ? WIDTH - taken - around : 0;
    if (room < bytes && room < LEAST_CLASS_BYTES)
        return;
    room = room < sizeof name - around ? room : sizeof name - around;
    snprintf(text, 64, " (%s)", ds_short_name(entry->dataset_type, name, room + 1));
}

static void put_loader_head(const struct summary *s, const struct summary_loader *loader,
                            FILE *file)
{
    char who[48] = "", delivered[256], class[64];
    const struct summary_process *process = &s->processes[loader->process];
    if (s->process_count > 1 && summary_rank(process) != DATASTALL_UNKNOWN)
        snprintf(who, sizeof who, " [rank %llu]", (unsigned long long)summary_rank(process));
    else if (s->process_count > 1)
        snprintf(who, sizeof who, " [pid %llu]", (unsigned long long)process->data->view.fixed.pid);
    delivered_text(&loader->figures, delivered, sizeof delivered);
    const char *name = loader->data->entry.name;
    class_text(loader, strlen("LOADER   ") + strlen(name) + strlen(who) + strlen(delivered), class);
    line(file, "LOADER", "%s%s%s%s", name, class, who, delivered);
}

static void put_loader(const struct summary *s, const struct summary_loader *loader, FILE *file)
{
    const datastall_statistics *f = &loader->figures;
    const datastall_distribution *w = &f->steady;
    char a[16], b[16], c[16], d[16], startup[32], packing[48] = "";
    const struct summary_process *process = &s->processes[loader->process];
    put_loader_head(s, loader, file);
    if (w->count > 0 && ds_add(f->queue_full, ds_add(f->queue_normal, f->queue_starved)) > 0) {
        const double all =
            ((double)f->queue_full + (double)f->queue_normal + (double)f->queue_starved) / 100;
        line(file, "",
             "wait p50 %s  p95 %s  p99 %s  max %s ms  under 1 ms %.0f %%"
             "  over 50 ms %.0f %%",
             ms(w->p50_ns, a), ms(w->p95_ns, b), ms(w->p99_ns, c), ms(w->max_ns, d),
             (double)f->queue_full / all, (double)f->queue_starved / all);
    }
    summary_duration_text((double)f->startup.sum_ns * 1e-9, startup, sizeof startup);
    if (!isnan(f->packing_efficiency))
        snprintf(packing, sizeof packing, "   packing efficiency %.1f %%",
                 f->packing_efficiency * 100);
    if (f->startup.count > 0)
        line(file, "", "start-up %s over %llu iterator%s (iter, first batch, end)%s", startup,
             (unsigned long long)f->iterators, plural(f->iterators), packing);
    else if (packing[0] != '\0')
        line(file, "", "%s", packing + 3);
    if (w->count == 0 && f->batches > 1)
        line(file, "", "every batch came from a new iterator, so all waiting is start-up");
    if (f->failed > 0)
        line(file, "", "%llu call%s raised an error", (unsigned long long)f->failed,
             plural(f->failed));
    output_why_text(loader, file);
    if (!loader->in_verdict)
        line(file, "", "reported by hand; not in the verdict, which the hooks saw");
    if (loader->unfinished_wait_ns > 1000000000) {
        summary_duration_text((double)loader->unfinished_wait_ns * 1e-9, startup, sizeof startup);
        line(file, "",
             process->state == SUMMARY_RUNNING
                 ? "it has been waiting for %s, which is not counted yet"
                 : "it had been waiting for %s when the process ended, which is not counted",
             startup);
    }
}

static void put_loaders(const struct summary *s, FILE *file)
{
    const struct summary_loader **order = calloc(s->loader_count + 1, sizeof *order);
    if (order == NULL)
        return;
    for (uint32_t i = 0; i < s->loader_count; i++)
        order[i] = &s->loaders[i];
    qsort(order, s->loader_count, sizeof *order, by_waiting);
    for (uint32_t i = 0; i < s->loader_count && i < MAX_LOADERS; i++)
        put_loader(s, order[i], file);
    if (s->loader_count > MAX_LOADERS)
        line(file, "", "and %u more loader%s (see --json)", s->loader_count - MAX_LOADERS,
             plural(s->loader_count - MAX_LOADERS));
    free(order);
}

static void put_stages(const struct summary *s, FILE *file)
{
    for (uint32_t i = 0; i < s->stage_count && i < MAX_STAGES; i++) {
        const struct summary_stage *stage = &s->stages[i];
        char duration[32], batches[24];
        summary_duration_text((double)stage->duration_ns * 1e-9, duration, sizeof duration);
        output_count_text(stage->batches, batches, sizeof batches);
        if (stage->batches == 0)
            continue;
        line(file, "STAGE", "%s: %s, waiting %.1f %% of it, %s batch%s", stage->name, duration,
             stage->waiting_share * 100, batches, stage->batches == 1 ? "" : "es");
    }
    if (s->stage_count > MAX_STAGES)
        line(file, "", "and %u more stage%s (see --json)", s->stage_count - MAX_STAGES,
             plural(s->stage_count - MAX_STAGES));
}

static void put_ranks(const struct summary *s, FILE *file)
{
    if (s->process_count < 2)
        return;
    uint32_t shown = 0;
    fprintf(file, "%-8s ", "RANKS");
    for (uint32_t i = 0; i < s->process_count && shown < MAX_RANKS; i++) {
        const struct summary_process *process = &s->processes[i];
        if (isnan(process->stall_share))
            continue;
        const bool ranked = summary_rank(process) != DATASTALL_UNKNOWN;
        fprintf(
            file, "%s%s %llu: %.1f %%%s", shown == 0 ? "" : ", ", ranked ? "rank" : "pid",
            (unsigned long long)(ranked ? summary_rank(process) : process->data->view.fixed.pid),
            process->stall_share * 100, i == s->worst ? " (worst)" : "");
        shown++;
    }
    fprintf(file, "%s\n", s->process_count > MAX_RANKS ? ", ..." : "");
}

/* A line for each reason for which the hooks left something out. */
static void put_refusals(const struct summary *s, FILE *file)
{
#define WHAT(name, key, what) what,
    static const char *const whats[] = {RF_REFUSALS(WHAT)};
#undef WHAT
    for (uint32_t k = 0; k < RF_REFUSAL_KINDS; k++) {
        uint64_t times = 0;
        for (uint32_t i = 0; i < s->process_count; i++)
            times = ds_add(times, s->processes[i].data->view.fixed.refused[k]);
        if (times > 0)
            line(file, "NOTE", "the hooks left out, %llu time%s: %s", (unsigned long long)times,
                 plural(times), whats[k]);
    }
}

static void put_notes(const struct summary *s, FILE *file)
{
    uint64_t lost = 0, merged = 0, refused[3] = {0};
    for (uint32_t i = 0; i < s->process_count; i++) {
        lost = ds_add(lost, s->processes[i].data->view.words[RF_PROCESS_LOST_CONTENTION]);
        merged = ds_add(merged, s->processes[i].data->view.words[RF_PROCESS_MERGED_OTHER]);
        for (uint32_t k = 0; k < 3; k++) /* three words in a row */
            refused[k] = ds_add(refused[k],
                                s->processes[i].data->view.words[RF_PROCESS_IMPOSSIBLE_TIMES + k]);
    }
    if (lost > 0)
        line(file, "NOTE", "%llu wait%s lost: too many threads recorded at once",
             (unsigned long long)lost, lost == 1 ? " was" : "s were");
    if (merged > 0)
        line(file, "NOTE",
             "more loaders, threads or stages than there is room for: the rest is in "
             "\"other\"");
    uint64_t unknown = 0;
    for (uint32_t i = 0; i < s->loader_count; i++)
        unknown = ds_add(unknown, s->loaders[i].data->entry.unknown_worker_batches);
    if (unknown > 0)
        line(file, "NOTE",
             "%llu batch%s from workers of which nothing is known, in no figure of workers",
             (unsigned long long)unknown, unknown == 1 ? " came" : "es came");
    if ((refused[0] | refused[1] | refused[2]) != 0)
        line(file, "NOTE",
             "the program reported impossible values, shown as unknown: %llu time%s, %llu "
             "figure%s of batches, %llu unknown kind%s, flags or sizes",
             (unsigned long long)refused[0], plural(refused[0]), (unsigned long long)refused[1],
             plural(refused[1]), (unsigned long long)refused[2], plural(refused[2]));
    put_refusals(s, file);
    if (s->data->problems > 0)
        line(file, "DAMAGED", "%u problem%s; the first: %s", s->data->problems,
             plural(s->data->problems), s->data->first_problem);
}

void output_details(const struct summary *s, FILE *file)
{
    put_run(s, file);
    put_gpus(s, file);
    put_loaders(s, file);
    output_steps_text(s, file);
    put_stages(s, file);
    put_ranks(s, file);
    put_notes(s, file);
}

void output_text(const struct summary *s, FILE *file)
{
    output_details(s, file);
    put_verdict(s, file);
}

uint32_t output_note_count(const struct summary *s)
{
    char *text = NULL;
    size_t size;
    uint32_t count = 0;
    FILE *file = open_memstream(&text, &size);
    if (file == NULL)
        return 0;
    put_notes(s, file);
    fclose(file);
    for (const char *at = text; at != NULL && (at = strstr(at, "NOTE  ")) != NULL; at++)
        count += at == text || at[-1] == '\n';
    free(text);
    return count;
}
