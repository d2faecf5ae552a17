/* SPDX-License-Identifier: Apache-2.0 */
#include "output/screen_ranks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/recent.h"
#include "output/text.h"

struct rank {
    uint32_t index; /* in processes[] */
    bool straggles;
    double stall, now, samples_per_s;
    uint64_t number, p95_ns;
    struct recent_waits recent;
};

unsigned screen_rank_rows(const struct summary *run)
{
    return run->process_count > 0 ? run->process_count + 1 : 0;
}

/* The 95th percentile of the process's most waited-for loader. */
static uint64_t p95_of(const struct summary *run, uint32_t process)
{
    const struct summary_loader *most = NULL;
    for (uint32_t i = 0; i < run->loader_count; i++) {
        const struct summary_loader *loader = &run->loaders[i];
        if (loader->process == process && loader->in_verdict &&
            (most == NULL || loader->stall.waiting_ns > most->stall.waiting_ns))
            most = loader;
    }
    return most == NULL ? DATASTALL_UNKNOWN : most->figures.steady.p95_ns;
}

static struct rank *collect(const struct summary *run, uint64_t now_ns)
{
    struct rank *ranks = calloc(run->process_count + 1, sizeof *ranks);
    double *shares = calloc(run->process_count + 1, sizeof *shares);
    for (uint32_t i = 0; ranks != NULL && shares != NULL && i < run->process_count; i++) {
        const struct summary_process *process = &run->processes[i];
        struct rank *rank = &ranks[i];
        recent_of_process(run, i, now_ns, &rank->recent);
        rank->index = i;
        rank->number = summary_rank(process);
        rank->stall = process->stall_share;
        rank->now = process->state == SUMMARY_RUNNING ? rank->recent.stall_share : NAN;
        rank->samples_per_s = process->state == SUMMARY_RUNNING ? rank->recent.samples_per_s : NAN;
        rank->p95_ns = p95_of(run, i);
        shares[i] = run->state == SUMMARY_RUNNING ? rank->now : rank->stall;
    }
    if (ranks != NULL && shares != NULL) {
        const uint32_t straggler = recent_straggler(shares, run->process_count);
        if (straggler != UINT32_MAX)
            ranks[straggler].straggles = true;
    }
    free(shares);
    return ranks;
}

/* Largest first but for rank numbers; what is not known comes last. */
static int compare(const void *a, const void *b, void *context)
{
    const struct screen_view *view = context;
    const struct rank *one = a, *other = b;
    double x = 0, y = 0;
    switch (view->sort) {
    case SORT_STALL:
        x = one->stall;
        y = other->stall;
        break;
    case SORT_NOW:
        x = one->now;
        y = other->now;
        break;
    case SORT_SAMPLES:
        x = one->samples_per_s;
        y = other->samples_per_s;
        break;
    default:
        break;
    }
    if (isnan(x) != isnan(y))
        return isnan(x) ? 1 : -1;
    int order = x < y ? 1 : x > y ? -1 : 0;
    if (order == 0 || (isnan(x) && isnan(y)))
        order = one->index < other->index ? -1 : 1;
    return view->inverted ? -order : order;
}

static void put_head(struct canvas *canvas, const struct screen_view *view, unsigned width)
{
    static const char *const names[SORT_COUNT] = {"RANK", "STALL", "NOW", "SMPL/S"};
    static const unsigned columns[SORT_COUNT] = {0, 22, 30, 46};
    for (unsigned i = 0; i < SORT_COUNT; i++) {
        char head[16];
        snprintf(head, sizeof head, "%s%s", names[i],
                 i == (unsigned)view->sort ? (view->inverted ? "-" : "+") : "");
        canvas_put(canvas, columns[i], i == 0 ? 7 : -8, STYLE_HEADER, "%s", head);
    }
    canvas_put(canvas, 7, 8, STYLE_HEADER, "PID");
    canvas_put(canvas, 15, 7, STYLE_HEADER, "STATE");
    canvas_put(canvas, 38, -8, STYLE_HEADER, "p95 ms");
    canvas_put(canvas, 56, 10, STYLE_HEADER, "STAGE");
    canvas_put(canvas, 67, (int)width, STYLE_HEADER, width >= 16 ? "STALL, LAST %u s" : "STALL",
               width);
    canvas_style_row(canvas, STYLE_HEADER);
    canvas->row++;
}

static void put_rank(struct canvas *canvas, const struct summary *run, const struct rank *rank,
                     unsigned width)
{
    const struct summary_process *process = &run->processes[rank->index];
    const uint64_t stage = process->data->view.words[RF_PROCESS_STAGE];
    char samples[16] = "";
    if (rank->number != DATASTALL_UNKNOWN)
        canvas_put(canvas, 0, 6, STYLE_PLAIN, "%llu", (unsigned long long)rank->number);
    canvas_put(canvas, 7, 8, STYLE_PLAIN, "%llu",
               (unsigned long long)process->data->view.fixed.pid);
    canvas_put(canvas, 15, 7, process->state == SUMMARY_DIED ? STYLE_BAD : STYLE_PLAIN, "%s",
               summary_state_name(process->state));
    canvas_share(canvas, 22, -8, rank->stall, true);
    canvas_share(canvas, 30, -8, rank->now, true);
    if (rank->p95_ns != DATASTALL_UNKNOWN)
        canvas_put(canvas, 38, -8, STYLE_PLAIN, "%.2f", (double)rank->p95_ns * 1e-6);
    if (!isnan(rank->samples_per_s))
        output_rate_text(rank->samples_per_s, samples, sizeof samples);
    canvas_put(canvas, 46, -8, STYLE_PLAIN, "%s", samples);
    if (rank->straggles)
        canvas_put(canvas, 56, 10, STYLE_BAD, "STRAGGLER");
    else if (process->state == SUMMARY_RUNNING && stage > 0 && stage < RF_STAGE_CAPACITY)
        canvas_put(canvas, 56, 10, STYLE_PLAIN, "%s", process->data->stage_names[stage]);
    if (process->state == SUMMARY_RUNNING)
        canvas_history(canvas, 67, width, rank->recent.stall, HISTORY_S);
    canvas->row++;
}

void screen_put_ranks(struct canvas *canvas, const struct summary *run,
                      const struct screen_view *view, unsigned end)
{
    const unsigned room = view->columns > 67 ? view->columns - 67 : 0;
    const unsigned width = room > HISTORY_S ? HISTORY_S : room;
    if (run->process_count == 0 || canvas->row + 2 > end)
        return;
    struct rank *ranks = collect(run, view->now_ns);
    if (ranks == NULL)
        return;
    qsort_r(ranks, run->process_count, sizeof *ranks, compare, (void *)(uintptr_t)view);
    put_head(canvas, view, width);
    const uint32_t page = end - canvas->row;
    uint32_t offset = view->rank_offset;
    if (offset + page > run->process_count)
        offset = run->process_count > page ? run->process_count - page : 0;
    canvas->screen->rank_offset = offset;
    canvas->screen->rank_page = page;
    for (uint32_t i = offset; i < run->process_count && i < offset + page; i++)
        put_rank(canvas, run, &ranks[i], width);
    free(ranks);
}
