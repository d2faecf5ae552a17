/* SPDX-License-Identifier: Apache-2.0 */
#include "output/screen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/short_name.h"
#include "base/sums.h"
#include "output/canvas.h"
#include "output/names.h"
#include "output/recent.h"
#include "output/screen_ranks.h"
#include "output/screen_runs.h"
#include "output/text.h"

#define GIB (1024.0 * 1024 * 1024)
#define MOST_LOADERS 64u

/* What is left of the screen for lines that may come or not. */
struct page {
    struct canvas canvas;
    const struct screen_view *view;
    unsigned end; /* first row that is not for tables */
};

static unsigned rows_left(const struct page *page)
{
    return page->canvas.row < page->end ? page->end - page->canvas.row : 0;
}

static void rate_text(double rate, char text[16])
{
    text[0] = '\0';
    if (!isnan(rate))
        output_rate_text(rate, text, 16);
}

static void ms_text(uint64_t ns, char text[16])
{
    const double ms = (double)ns * 1e-6;
    text[0] = '\0';
    if (ns != DATASTALL_UNKNOWN)
        snprintf(text, 16, ms < 9.995 ? "%.2f" : ms < 99.95 ? "%.1f" : "%.0f", ms);
}

static void next_row(struct page *page)
{
    page->canvas.row++;
}

/* ---- runs ---- */

static void put_title(struct page *page, const struct summary *const *runs, uint32_t count)
{
    uint32_t going = 0, ranks = 0, gpus = 0;
    for (uint32_t i = 0; i < count; i++) {
        going += runs[i]->state == SUMMARY_RUNNING;
        for (uint32_t k = 0; k < runs[i]->process_count; k++)
            ranks += runs[i]->processes[k].state == SUMMARY_RUNNING;
        gpus = runs[i]->gpu_count > gpus ? runs[i]->gpu_count : gpus;
    }
    const unsigned columns = page->view->columns;
    canvas_put(&page->canvas, 0, (int)columns, STYLE_TITLE,
               "datastall top - %u run%s, %u running; %u GPU%s, %u recording process%s", count,
               count == 1 ? "" : "s", going, gpus, gpus == 1 ? "" : "s", ranks,
               ranks == 1 ? "" : "es");
    if (columns > 20)
        canvas_put(&page->canvas, columns - 18, -18, STYLE_TITLE, "%s%s",
                   page->view->paused ? "paused  " : "", page->view->clock);
    next_row(page);
}

/* ---- GPUs ---- */

static void put_gpu(struct page *page, const struct summary *run, uint32_t index, unsigned width)
{
    struct canvas *c = &page->canvas;
    const struct summary_gpu *gpu = &run->gpus[index];
    const uint64_t state = gpu->data->words[RF_GPU_STATE];
    struct recent_gpu recent;
    recent_of_gpu(run, index, page->view->now_ns, &recent);
    canvas_put(c, 0, 4, STYLE_PLAIN, "%llu", (unsigned long long)gpu->data->fixed.index);
    const bool going = run->state == SUMMARY_RUNNING;
    canvas_share(c, 4, -7, going ? recent.busy_share : gpu->busy_share, false);
    if (gpu->stall_is_bound)
        canvas_bound(c, 11, -7, going ? recent.stall_share : gpu->stall_share);
    else
        canvas_share(c, 11, -7, going ? recent.stall_share : gpu->stall_share, true);
    canvas_share(c, 18, -7, going ? recent.other_share : gpu->other_idle_share, false);
    const bool ended = run->data->gpu_state == RF_GPU_ENDED;
    if (going && (gpu->silent || ended || state == RF_GPU_LOST || state == RF_GPU_FAILED)) {
        canvas_put(c, 26, 24, STYLE_BAD, "%s",
                   gpu->silent ? "no answer"
                   : ended     ? "sampling ended"
                               : output_gpu_state_name(state));
    } else {
        if (recent.memory_used_bytes != DATASTALL_UNKNOWN &&
            gpu->memory_total_bytes != DATASTALL_UNKNOWN)
            canvas_put(c, 26, -12, STYLE_PLAIN, "%.1f/%.1f", (double)recent.memory_used_bytes / GIB,
                       (double)gpu->memory_total_bytes / GIB);
        if (!isnan(recent.power_w))
            canvas_put(c, 38, -7, STYLE_PLAIN, "%.0f W", recent.power_w);
    }
    if (going) {
        canvas_history(c, 47, width, recent.busy, HISTORY_S);
        canvas_history(c, 48 + width, width, recent.stall, HISTORY_S);
    }
    next_row(page);
}

static void put_gpus(struct page *page, const struct summary *run, unsigned most)
{
    struct canvas *c = &page->canvas;
    unsigned width = (page->view->columns - 48) / 2;
    width = width > HISTORY_S ? HISTORY_S : width;
    if (run->gpu_count == 0 || most < 2)
        return;
    canvas_put(c, 0, 4, STYLE_HEADER, "GPU");
    canvas_put(c, 4, -7, STYLE_HEADER, "BUSY");
    canvas_put(c, 11, -7, STYLE_HEADER, "STALL");
    canvas_put(c, 18, -7, STYLE_HEADER, "OTHER");
    canvas_put(c, 26, -12, STYLE_HEADER, "MEMORY GiB");
    canvas_put(c, 38, -7, STYLE_HEADER, "POWER");
    canvas_put(c, 47, (int)width, STYLE_HEADER, "BUSY, LAST %u s", width);
    canvas_put(c, 48 + width, (int)width, STYLE_HEADER, "STALL, LAST %u s", width);
    canvas_style_row(c, STYLE_HEADER);
    next_row(page);
    const uint32_t shown = run->gpu_count < most ? run->gpu_count : most - 2;
    for (uint32_t i = 0; i < shown; i++)
        put_gpu(page, run, i, width);
    if (shown < run->gpu_count) {
        canvas_put(c, 0, 80, STYLE_PLAIN, "and %u more", run->gpu_count - shown);
        next_row(page);
    }
}

/* ---- loaders ---- */

/* A loader over all ranks of a run: those of one name. */
struct joined {
    const char *name;
    uint32_t ranks;
    struct rf_totals *totals;
    double samples_per_s, tokens_per_s;
    bool running;
    const struct why *why; /* of the rank whose loader stalled longest */
};

static void add_totals(struct rf_totals *to, const struct rf_totals *from)
{
    rf_counters_add(to->counters, from->counters, RF_COUNT_WORDS);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->steady[i] = ds_add(to->steady[i], from->steady[i]);
}

static uint32_t join_loaders(const struct summary *run, uint64_t now_ns, struct joined *joined)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < run->loader_count; i++) {
        const struct summary_loader *loader = &run->loaders[i];
        struct recent_waits recent;
        uint32_t k = 0;
        while (k < count && strcmp(joined[k].name, loader->data->entry.name) != 0)
            k++;
        if (k == count) {
            if (count == MOST_LOADERS)
                continue;
            joined[count] = (struct joined){.name = loader->data->entry.name,
                                            .totals = calloc(1, sizeof *joined->totals),
                                            .samples_per_s = NAN,
                                            .tokens_per_s = NAN};
            if (joined[count].totals == NULL)
                continue;
            count++;
        }
        joined[k].ranks++;
        if (joined[k].why == NULL || loader->why.stall_ns > joined[k].why->stall_ns)
            joined[k].why = &loader->why;
        add_totals(joined[k].totals, &loader->data->totals);
        if (run->processes[loader->process].state != SUMMARY_RUNNING)
            continue;
        recent_of_loader(run, loader, now_ns, &recent);
        joined[k].running = true;
        if (!isnan(recent.samples_per_s))
            joined[k].samples_per_s =
                (isnan(joined[k].samples_per_s) ? 0 : joined[k].samples_per_s) +
                recent.samples_per_s;
        if (!isnan(recent.tokens_per_s))
            joined[k].tokens_per_s =
                (isnan(joined[k].tokens_per_s) ? 0 : joined[k].tokens_per_s) + recent.tokens_per_s;
    }
    return count;
}

/* Columns of a loader behind its name. A narrow screen leaves out the first ones to go. */
enum loader_column { BATCHES, P50, P95, P99, READY, WHY, FULL, NORM, STARV, SAMPLES, TOKENS };
static const struct {
    const char *head;
    unsigned width;
    bool wide; /* on wide screens only */
} loader_columns[] = {
    [BATCHES] = {"BATCHES", 8, false}, [P50] = {"p50 ms", 7, true},
    [P95] = {"p95 ms", 7, false},      [P99] = {"p99 ms", 7, true},
    [READY] = {"READY", 6, false},     [WHY] = {"WHY", 15, false},
    [FULL] = {"FULL", 7, false},       [NORM] = {"NORM", 7, true},
    [STARV] = {"STARV", 7, false},     [SAMPLES] = {"SMPL/S", 8, false},
    [TOKENS] = {"TOK/S", 7, false},
};
#define LOADER_COLUMNS (sizeof loader_columns / sizeof *loader_columns)
#define WIDE_COLUMNS 110u

static bool has_column(const struct page *page, size_t column)
{
    return page->view->columns >= WIDE_COLUMNS || !loader_columns[column].wide;
}

/* What is left of a row for the name. */
static unsigned loader_name_width(const struct page *page)
{
    unsigned width = page->view->columns;
    for (size_t i = 0; i < LOADER_COLUMNS; i++)
        width -= has_column(page, i) ? loader_columns[i].width : 0;
    return width;
}

static void loader_cell(const struct joined *loader, enum loader_column column, char cell[32],
                        bool *bad)
{
    const uint64_t *c = loader->totals->counters;
    const uint64_t *queue = &c[RF_COUNT_QUEUE];
    const double known = (double)queue[DATASTALL_QUEUE_FULL] +
                         (double)queue[DATASTALL_QUEUE_NORMAL] +
                         (double)queue[DATASTALL_QUEUE_STARVED];
    static const unsigned states[] = {[FULL] = DATASTALL_QUEUE_FULL,
                                      [NORM] = DATASTALL_QUEUE_NORMAL,
                                      [STARV] = DATASTALL_QUEUE_STARVED};
    datastall_distribution waits;
    char text[16] = "";
    cell[0] = '\0';
    *bad = false;
    switch (column) {
    case BATCHES:
        output_count_text(c[RF_COUNT_BATCHES], cell, 24);
        return;
    case P50:
    case P95:
    case P99:
        rf_totals_distribution(loader->totals, false, &waits);
        ms_text(column == P50 ? waits.p50_ns : column == P95 ? waits.p95_ns : waits.p99_ns, text);
        break;
    case READY:
        if (c[RF_COUNT_DEPTH_WAITS] > 0)
            snprintf(text, sizeof text, "%.1f",
                     (double)c[RF_COUNT_DEPTH_READY] / (double)c[RF_COUNT_DEPTH_WAITS]);
        break;
    case WHY:
        if (loader->why->primary != CAUSE_UNKNOWN)
            snprintf(text, sizeof text, "%s", why_name(loader->why->primary));
        break;
    case FULL:
    case NORM:
    case STARV:
        if (known > 0) {
            const double share = (double)queue[states[column]] / known;
            snprintf(text, sizeof text, "%.1f%%", share * 100);
            *bad = column == STARV && share >= 0.5;
        }
        break;
    case SAMPLES:
        rate_text(loader->samples_per_s, text);
        break;
    case TOKENS:
        rate_text(loader->tokens_per_s, text);
        break;
    }
    strcpy(cell, text);
}

static void put_loader(struct page *page, const struct joined *loader)
{
    struct canvas *c = &page->canvas;
    unsigned at = loader_name_width(page);
    char name[sizeof((struct rf_loader_entry *)0)->name], cell[32];
    const size_t size = at + 1 < sizeof name ? at + 1 : sizeof name;
    canvas_put(c, 0, (int)at, STYLE_PLAIN, "%s", ds_short_name(loader->name, name, size));
    for (size_t i = 0; i < LOADER_COLUMNS; i++) {
        bool bad;
        if (!has_column(page, i))
            continue;
        loader_cell(loader, (enum loader_column)i, cell, &bad);
        canvas_put(c, at, -(int)loader_columns[i].width, bad ? STYLE_BAD : STYLE_PLAIN, "%s", cell);
        at += loader_columns[i].width;
    }
    next_row(page);
}

static void put_loaders(struct page *page, const struct summary *run, unsigned most)
{
    struct canvas *c = &page->canvas;
    struct joined joined[MOST_LOADERS];
    const uint32_t count = join_loaders(run, page->view->now_ns, joined);
    if (count > 0 && most >= 2) {
        unsigned at = loader_name_width(page);
        canvas_put(c, 0, (int)at, STYLE_HEADER, "LOADER");
        for (size_t i = 0; i < LOADER_COLUMNS; i++) {
            if (!has_column(page, i))
                continue;
            canvas_put(c, at, -(int)loader_columns[i].width, STYLE_HEADER, "%s",
                       loader_columns[i].head);
            at += loader_columns[i].width;
        }
        canvas_style_row(c, STYLE_HEADER);
        next_row(page);
        const uint32_t shown = count < most ? count : most - 2;
        for (uint32_t i = 0; i < shown; i++)
            put_loader(page, &joined[i]);
        if (shown < count) {
            canvas_put(c, 0, 80, STYLE_PLAIN, "and %u more", count - shown);
            next_row(page);
        }
    }
    for (uint32_t i = 0; i < count; i++)
        free(joined[i].totals);
}

/* ---- help and keys ---- */

static void put_help(struct page *page)
{
    static const char *const lines[] = {
        "STALL   share of the time that the GPU (without one: the program) waited for data",
        "NOW     the same over the last 10 seconds; so are BUSY and STALL of a GPU",
        "        <= of a GPU: at most, where no CUDA event shows it or processes share it",
        "OTHER   idle for another reason; blank where the sources are not exact enough",
        "FULL, NORM, STARV   waits below 1 ms, up to 50 ms, above (NORM: on wide screens)",
        "READY   batches that were ready when the program asked for one, on average",
        "WHY     what its stalls come from, of the rank that stalled longest (help causes)",
        "STRAGGLER   the rank that the others wait for: 5 points above the median, or more",
        "A blank cell is a figure that is not known.",
        "",
        "Up Down      select a run            PgUp PgDn Home End   scroll the ranks",
        "F4 \\ /       show only runs with what you type; Esc shows all again",
        "F6 > <       sort the ranks by the next, the previous column",
        "I            reverse the order       Z                    pause the display",
        "F1 h ?       this help               F10 q                quit",
    };
    next_row(page);
    for (size_t i = 0; i < sizeof lines / sizeof *lines && rows_left(page) > 0; i++) {
        canvas_put(&page->canvas, 2, (int)page->view->columns, STYLE_PLAIN, "%s", lines[i]);
        next_row(page);
    }
}

static void put_keys(struct page *page)
{
    const struct screen_view *view = page->view;
    const bool filtered = view->filter != NULL && view->filter[0] != '\0';
    page->canvas.row = view->rows - 1;
    if (view->typing || filtered)
        canvas_put(&page->canvas, 0, (int)view->columns, STYLE_KEYS, "Filter: %s%s   %s",
                   filtered ? view->filter : "", view->typing ? "_" : "",
                   view->typing ? "Enter Done  Esc Clear" : "F4 Change  Esc Clear  F10 Quit");
    else
        canvas_put(&page->canvas, 0, (int)view->columns, STYLE_KEYS,
                   "F1 Help  F4 Filter  F6 Sort  I Invert  Z Pause  PgUp/PgDn Ranks  F10 Quit");
    canvas_style_row(&page->canvas, STYLE_KEYS);
}

/* ---- all of it ---- */

static unsigned natural_rows(const struct summary *const *runs, uint32_t count)
{
    unsigned rows = 3 + count;
    for (uint32_t i = 0; i < count; i++)
        rows += 9 + screen_detail_rows(runs[i]) + runs[i]->gpu_count + runs[i]->loader_count +
                screen_rank_rows(runs[i]);
    return rows < SCREEN_MOST_ROWS ? rows : SCREEN_MOST_ROWS;
}

static struct screen *blank(unsigned columns, unsigned rows)
{
    struct screen *screen = calloc(1, sizeof *screen);
    if (screen != NULL)
        screen->cells = calloc((size_t)columns * rows, sizeof *screen->cells);
    if (screen == NULL || screen->cells == NULL) {
        free(screen);
        return NULL;
    }
    screen->columns = columns;
    screen->rows = rows;
    for (size_t i = 0; i < (size_t)columns * rows; i++)
        screen->cells[i].character = ' ';
    return screen;
}

/* As many as join_loaders() makes of them. */
static uint32_t loader_names(const struct summary *run)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < run->loader_count && count < MOST_LOADERS; i++) {
        uint32_t k = 0;
        while (strcmp(run->loaders[k].data->entry.name, run->loaders[i].data->entry.name) != 0)
            k++;
        count += k == i;
    }
    return count;
}

/* What the selected run would fill. */
static unsigned wanted_rows(const struct summary *run)
{
    return screen_detail_rows(run) + (run->gpu_count > 0 ? 1 + run->gpu_count : 0) +
           (run->loader_count > 0 ? 1 + loader_names(run) : 0) + screen_rank_rows(run);
}

/* The list of runs gets what the selected one leaves, an eighth of the screen at least. */
static uint32_t most_runs(const struct page *page, const struct summary *const *runs,
                          uint32_t count)
{
    const unsigned rows = page->view->rows, head = 3; /* title, header, keys */
    if (rows == 0 || count == 0)
        return count;
    const unsigned wanted = head + wanted_rows(runs[page->canvas.screen->selected]);
    const unsigned least = rows / 8 > 0 ? rows / 8 : 1;
    return rows > wanted + least ? rows - wanted : least;
}

/* Every table gets what it needs while the ranks keep three rows. */
static void put_run_tables(struct page *page, const struct summary *run)
{
    const unsigned ranks = run->process_count > 1 ? 4 : screen_rank_rows(run);
    screen_put_detail(&page->canvas, run, page->view, page->end);
    put_gpus(page, run, rows_left(page) > ranks + 3 ? rows_left(page) - ranks - 3 : 0);
    put_loaders(page, run, rows_left(page) > ranks ? rows_left(page) - ranks : 0);
    screen_put_ranks(&page->canvas, run, page->view, page->end);
}

struct screen *screen_layout(const struct summary *const *runs, uint32_t count,
                             const struct screen_view *wish)
{
    struct screen_view view = *wish;
    if (view.columns < SCREEN_LEAST_COLUMNS)
        view.columns = SCREEN_LEAST_COLUMNS;
    const bool endless = view.rows == 0;
    const unsigned rows = endless ? natural_rows(runs, count) : view.rows;
    const unsigned columns = wish->columns > SCREEN_MOST_COLUMNS ? SCREEN_MOST_COLUMNS
                             : wish->columns == 0                ? SCREEN_LEAST_COLUMNS
                                                                 : wish->columns;
    view.columns = view.columns > SCREEN_MOST_COLUMNS ? SCREEN_MOST_COLUMNS : view.columns;
    struct screen *screen = blank(columns, rows > SCREEN_MOST_ROWS ? SCREEN_MOST_ROWS : rows);
    if (screen == NULL)
        return NULL;
    struct page page = {{screen, view.unicode, 0}, &view, endless ? rows : rows - 1};
    screen->selected = view.selected < count ? view.selected : count > 0 ? count - 1 : 0;
    put_title(&page, runs, count);
    if (view.help) {
        put_help(&page);
    } else {
        screen_put_runs(&page.canvas, runs, count, &view, most_runs(&page, runs, count));
        for (uint32_t i = endless ? 0 : screen->selected; i < count; i++) {
            if (endless)
                next_row(&page);
            put_run_tables(&page, runs[i]);
            if (!endless)
                break;
        }
    }
    if (!endless)
        put_keys(&page);
    return screen;
}

void screen_free(struct screen *screen)
{
    if (screen != NULL)
        free(screen->cells);
    free(screen);
}
