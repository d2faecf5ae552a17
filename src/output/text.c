#include "output/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "output/names.h"
#include "output/text_why.h"

#define MAX_LOADERS 8
#define MAX_STAGES 6
#define MAX_RANKS 8
#define LEAST_HELD_SHARE 0.05
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

/* ---- text from elsewhere ---- */

/* Bytes of the UTF-8 character that begins here, 0: none does. */
static size_t character_bytes(const unsigned char *c)
{
    if (c[0] < 0x80)
        return 1;
    const size_t bytes = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
    if (c[0] < 0xc2 || c[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < bytes; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    }
    const bool overlong = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xf0 && c[1] < 0x90);
    const bool surrogate = c[0] == 0xed && c[1] >= 0xa0;
    const bool too_large = c[0] == 0xf4 && c[1] >= 0x90;
    return overlong || surrogate || too_large ? 0 : bytes;
}

const char *output_clean_text(const char *from, char *to, size_t size)
{
    size_t length = 0;
    while (*from != '\0') {
        const unsigned char *c = (const unsigned char *)from;
        const size_t bytes = character_bytes(c);
        const bool control = c[0] < 0x20 || c[0] == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0);
        const bool kept = bytes > 0 && !control;
        if (length + (kept ? bytes : 1) >= size)
            break;
        if (kept)
            memcpy(to + length, from, bytes);
        else
            to[length] = '?';
        length += kept ? bytes : 1;
        from += bytes > 0 ? bytes : 1;
    }
    to[length] = '\0';
    return to;
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
    fprintf(file, "%-8s %s\n", label, output_clean_text(text, clean, sizeof clean));
}

static void put_verdict(const struct summary *s, FILE *file)
{
    char text[512];
    summary_verdict_text(s, text, sizeof text);
    line(file, "VERDICT", "%s", text);
    summary_prize_text(s, text, sizeof text);
    if (text[0] != '\0')
        line(file, "", "%s", text);
    const struct summary_process *worst = s->worst == UINT32_MAX ? NULL : &s->processes[s->worst];
    if (worst != NULL && worst->method == SUMMARY_METHOD_GPU_EVENTS)
        line(file, "",
             "by the GPU's clock for %.1f %% of the waiting; the program itself waited %.1f %%",
             100.0 * (double)worst->stall.known_ns / (double)worst->stall.waiting_ns,
             100.0 * (double)worst->waiting_ns / (double)(worst->end_ns - worst->begin_ns));
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

static void put_run(const struct summary *s, FILE *file)
{
    char command[61], duration[32], setup[32], end[64] = "";
    const bool cut = strlen(s->command) >= sizeof command;
    output_clean_text(s->command, command, cut ? sizeof command - 3 : sizeof command);
    strcat(command, cut ? "..." : "");
    summary_duration_text((double)s->duration_ns * 1e-9, duration, sizeof duration);
    summary_duration_text(s->setup_ns == DATASTALL_UNKNOWN ? NAN : (double)s->setup_ns * 1e-9,
                          setup, sizeof setup);
    if (s->exit_status != DATASTALL_UNKNOWN)
        snprintf(end, sizeof end, ", exit %llu", (unsigned long long)s->exit_status);
    else if (s->state != SUMMARY_ENDED)
        snprintf(end, sizeof end, ", %s",
                 s->state == SUMMARY_RUNNING ? "still running" : "killed or lost");
    if (s->setup_ns == DATASTALL_UNKNOWN)
        line(file, "RUN", "%s  (%s%s)", command, duration, end);
    else
        line(file, "RUN", "%s  (%s, of it set-up %s%s)", command, duration, setup, end);
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

static void put_gpu(const struct summary_gpu *gpu, FILE *file)
{
    char label[24], memory[64] = "", power[32] = "", busy[64] = "busy unknown", stall[64] = "";
    char other[48] = "";
    const uint64_t state = gpu->data->words[RF_GPU_STATE];
    const char *error = output_nvml_error(gpu->data->words[RF_GPU_ERROR]);
    snprintf(label, sizeof label, "%s %llu", gpu->data->fixed.mig ? "MIG" : "GPU",
             (unsigned long long)(gpu->data->fixed.index % 1000));
    if (!isnan(gpu->busy_share))
        snprintf(busy, sizeof busy, "busy %.1f %%%s", gpu->busy_share * 100,
                 strcmp(gpu->busy_source, "gpm") == 0 ? "" : " (NVML utilisation)");
    if (!isnan(gpu->stall_share))
        snprintf(stall, sizeof stall, "  input stall %.1f %%", gpu->stall_share * 100);
    if (!isnan(gpu->other_idle_share))
        snprintf(other, sizeof other, "  other idle %.1f %%", gpu->other_idle_share * 100);
    if (gpu->memory_used_peak_bytes != DATASTALL_UNKNOWN)
        snprintf(memory, sizeof memory, ", mem %.1f/%.1f GiB",
                 (double)gpu->memory_used_peak_bytes / GIB, (double)gpu->memory_total_bytes / GIB);
    if (!isnan(gpu->power_mean_w))
        snprintf(power, sizeof power, ", %.0f W", gpu->power_mean_w);
    line(file, label, "%s%s%s   %s%s%s", busy, stall, other, gpu->data->fixed.name, memory, power);
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
    if (one->waiting_ns != other->waiting_ns)
        return one->waiting_ns < other->waiting_ns ? 1 : -1;
    return one < other ? -1 : one > other;
}

static void put_loader(const struct summary *s, const struct summary_loader *loader, FILE *file)
{
    const datastall_statistics *f = &loader->figures;
    const datastall_distribution *w = &f->steady;
    char name[65], who[48] = "", batches[24], samples[24], tokens[24], rate[24], token_rate[24];
    char a[16], b[16], c[16], d[16], startup[32], packing[48] = "";
    const struct summary_process *process = &s->processes[loader->process];
    if (s->process_count > 1 && summary_rank(process) != DATASTALL_UNKNOWN)
        snprintf(who, sizeof who, " [rank %llu]", (unsigned long long)summary_rank(process));
    else if (s->process_count > 1)
        snprintf(who, sizeof who, " [pid %llu]", (unsigned long long)process->data->view.fixed.pid);
    output_count_text(f->batches, batches, sizeof batches);
    output_count_text(f->samples, samples, sizeof samples);
    output_count_text(f->tokens, tokens, sizeof tokens);
    output_rate_text(f->samples_per_s, rate, sizeof rate);
    output_rate_text(f->tokens_per_s, token_rate, sizeof token_rate);
    fprintf(file, "%-8s %s%s: %s batches", "LOADER",
            output_clean_text(loader->data->entry.name, name, sizeof name), who, batches);
    if (f->samples != DATASTALL_UNKNOWN)
        fprintf(file, ", %s samples (%s/s)", samples, rate);
    if (f->tokens != DATASTALL_UNKNOWN)
        fprintf(file, ", %s tokens (%s/s%s)", tokens, token_rate,
                f->tokens_sampled > 0 ? ", sampled" : "");
    fputc('\n', file);
    if (w->count > 0) {
        const double all = (double)(f->queue_full + f->queue_normal + f->queue_starved) / 100;
        line(file, "",
             "wait p50 %s  p95 %s  p99 %s  max %s ms   queue full %.0f %%  normal %.0f %%"
             "  starved %.0f %%",
             ms(w->p50_ns, a), ms(w->p95_ns, b), ms(w->p99_ns, c), ms(w->max_ns, d),
             (double)f->queue_full / all, (double)f->queue_normal / all,
             (double)f->queue_starved / all);
    }
    summary_duration_text((double)f->startup.sum_ns * 1e-9, startup, sizeof startup);
    if (!isnan(f->packing_efficiency))
        snprintf(packing, sizeof packing, "   packing efficiency %.1f %%",
                 f->packing_efficiency * 100);
    if (f->startup.count > 0)
        line(file, "", "start-up %s over %llu iterator%s (iter, first batch, end)%s", startup,
             (unsigned long long)f->iterators, f->iterators == 1 ? "" : "s", packing);
    else if (packing[0] != '\0')
        line(file, "", "%s", packing + 3);
    if (w->count == 0 && f->batches > 1)
        line(file, "", "every batch came from a new iterator, so all waiting is start-up");
    if (f->failed > 0)
        line(file, "", "%llu call%s raised an error", (unsigned long long)f->failed,
             f->failed == 1 ? "" : "s");
    output_why_text(loader, file);
    if (!loader->in_verdict)
        line(file, "", "reported by hand; not in the verdict, which the hooks saw");
    if (loader->unfinished_wait_ns > 1000000000) {
        summary_duration_text((double)loader->unfinished_wait_ns * 1e-9, startup, sizeof startup);
        line(file, "",
             process->state == SUMMARY_RUNNING
                 ? "a wait is under way for %s, not counted yet"
                 : "it had been waiting for %s when the process ended, not counted",
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
        line(file, "", "and %u more loaders (see --json)", s->loader_count - MAX_LOADERS);
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
        line(file, "STAGE", "%s: %s, waiting %.1f %% of it, %s batches", stage->name, duration,
             stage->waiting_share * 100, batches);
    }
    if (s->stage_count > MAX_STAGES)
        line(file, "", "and %u more stages (see --json)", s->stage_count - MAX_STAGES);
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

static void put_notes(const struct summary *s, FILE *file)
{
    uint64_t lost = 0, merged = 0;
    for (uint32_t i = 0; i < s->process_count; i++) {
        lost += s->processes[i].data->view.words[RF_PROCESS_LOST_CONTENTION];
        merged += s->processes[i].data->view.words[RF_PROCESS_MERGED_OTHER];
    }
    if (lost > 0)
        line(file, "NOTE", "%llu waits were lost: too many threads recorded at once",
             (unsigned long long)lost);
    if (merged > 0)
        line(file, "NOTE",
             "more loaders, threads or stages than there is room for: the rest is in "
             "\"other\"");
    if (s->data->problems > 0)
        line(file, "DAMAGED", "%u problem%s; the first: %s", s->data->problems,
             s->data->problems == 1 ? "" : "s", s->data->first_problem);
}

void output_text(const struct summary *s, FILE *file)
{
    put_verdict(s, file);
    put_run(s, file);
    put_gpus(s, file);
    put_loaders(s, file);
    put_stages(s, file);
    put_ranks(s, file);
    put_notes(s, file);
}
