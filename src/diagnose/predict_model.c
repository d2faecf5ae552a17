/* What each batch of a loader costs on CPUs that nobody else uses, from the stretches that were recorded.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "base/unknown.h"
#include "diagnose/predict.h"
#include "diagnose/predict_rows.h"

/* What handing a batch over costs where nobody did: measured with small batches, docs/prediction.md. */
#define SEND_NS 0.22e6
#define LATENCY_NS 0.35e6
#define GET_NS 0.50e6
#define TAIL_NS 0.15e6
#define INDEX_NS 0.25e6
#define GAP_NS 0.30e6
#define OVERHEAD_NS 0.15e6
#define FORK_NS 9e6
#define BOOT_NS 18e6
#define FIRST_SEND_NS 8e6
#define END_NS 8e6
#define SPAWN_NS 2.0e9

#define LEAST_ROWS 16u
#define LEAST_LIMIT \
    0.95 /* of its time a thread waits that is not held up by who takes its batches */
#define MOST_INTERPRETER \
    0.05                /* of the time: more, and what items in the loop would do is not known */
#define FIRST_TIMES 1.5 /* the first batch of a worker takes so much longer: it does more */
#define USUAL_STEPS 4.0 /* a batch may take so many times the mean */
#define LEAST_NEIGHBOURS 0.4 /* CPUs: less is what sending takes */

/* ---- what the machine costs ---- */

static bool is_among_first(const struct row *row, uint32_t workers)
{
    return row->ordinal != UINT32_MAX && row->ordinal < workers;
}

/* The first batch that a worker made in its life, or the loop. */
static bool is_made_first(const struct table *table, const struct predict_model *model,
                          const struct row *row)
{
    const uint32_t workers = model->setting.workers > 0 ? model->setting.workers : 1;
    const bool once = model->setting.persistent || model->setting.workers == 0;
    return is_among_first(row, workers) && (!once || row - table->rows < workers);
}

/* When a batch began in its worker, and was collated, as row->got is counted. */
static double begun(const struct row *row)
{
    return row->got - row->t[RF_BATCH_BEGUN];
}
static double made(const struct row *row)
{
    return begun(row) + row->t[RF_BATCH_ITEMS] + row->t[RF_BATCH_COLLATE];
}

/* The batch that the same worker made before, in the same piece; NULL. */
static const struct row *before_of(const struct table *table, uint32_t i, uint32_t workers)
{
    const struct row *row = &table->rows[i];
    for (uint32_t k = 1; k <= 2 * workers && k <= i && row->worker != 0xffff; k++) {
        if (row[-(int)k].worker == row->worker)
            return row[-(int)k].piece == row->piece ? row - k : NULL;
    }
    return NULL;
}

/* Of a worker between two batches, where the next index was there already. */
static double gap_of(struct table *table, uint32_t workers, uint32_t window)
{
    table->values.count = 0;
    for (uint32_t i = window; i < table->count; i++) {
        const struct row *row = &table->rows[i], *handed = row - window;
        const struct row *before = before_of(table, i, workers);
        if (before != NULL && handed->piece == row->piece && handed->got < made(before))
            predict_add_value(&table->values, begun(row) - made(before));
    }
    const double gap = predict_quantile(&table->values, 0.25);
    return isnan(gap) || table->values.count < LEAST_ROWS ? GAP_NS : fmax(gap, 0.02e6);
}

/* From the giving of an index to a worker that had been waiting for it until that worker's begin. */
static double index_of(struct table *table, uint32_t workers, uint32_t window, double gap)
{
    table->values.count = 0;
    for (uint32_t i = window; i < table->count; i++) {
        const struct row *row = &table->rows[i], *handed = row - window;
        const struct row *before = before_of(table, i, workers);
        if (before != NULL && handed->piece == row->piece && handed->got > made(before) + 4 * gap)
            predict_add_value(&table->values, begun(row) - handed->got);
    }
    const double index = predict_quantile(&table->values, 0.5);
    return isnan(index) || table->values.count < LEAST_ROWS ? INDEX_NS : fmax(index, 0);
}

/* Waits for batches that had been there for long: what next() costs the loop at least. */
static double ready_wait(struct table *table, double handover)
{
    table->values.count = 0;
    for (uint32_t i = 1; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        if (row->piece == row[-1].piece &&
            made(row) + 4 * handover < row->got - row->t[RF_BATCH_WAITED])
            predict_add_value(&table->values, row->t[RF_BATCH_WAITED]);
    }
    return table->values.count < LEAST_ROWS ? NAN : predict_quantile(&table->values, 0.5);
}

/* Drawing the indices of a batch, which the loop does itself whatever the setting. The first of an epoch,
 * which often puts all of them in order, is in what an epoch's start takes. */
static double cost_of_drawing(struct table *table)
{
    table->values.count = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        if (table->rows[i].ordinal != 0)
            predict_add_value(&table->values, table->rows[i].t[RF_BATCH_SAMPLER]);
    }
    return or_else(predict_mean(&table->values), 0);
}

static void cost_of_handing_over(struct table *table, struct predict_model *model)
{
    const double draw = cost_of_drawing(table);
    struct machine_costs *costs = &model->costs;
    const uint32_t workers = model->setting.workers;
    const uint32_t window = workers * model->setting.prefetch_factor;
    costs->send =
        or_else(predict_quantile(predict_column(table, RF_BATCH_PICKLE_CPU), 0.5), SEND_NS);
    costs->get = or_else(predict_mean(predict_column(table, RF_BATCH_GET_CPU)), GET_NS);
    costs->tail =
        or_else(predict_quantile(predict_column(table, RF_BATCH_TAIL), 0.5), TAIL_NS + draw);
    table->values.count = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        if (!is_made_first(table, model, row))
            predict_add_value(&table->values,
                              row->t[RF_BATCH_HANDOVER] - row->t[RF_BATCH_PICKLE_CPU]);
    }
    const double handover = predict_quantile(&table->values, 0.25);
    costs->latency = fmax(0.03e6, or_else(handover, costs->get + costs->pin + LATENCY_NS) -
                                      costs->get - costs->pin);
    const double ready = ready_wait(table, costs->send + costs->get + costs->pin + costs->latency);
    if (!isnan(ready) && costs->pin <= 0)
        costs->tail = fmax(costs->tail, ready - costs->get);
    table->values.count = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        if (is_made_first(table, model, &table->rows[i]))
            predict_add_value(&table->values, table->rows[i].t[RF_BATCH_HANDOVER]);
    }
    costs->first_send = fmax(0, or_else(predict_mean(&table->values), 0) - costs->send -
                                    costs->latency - costs->get);
    costs->gap = gap_of(table, workers, window);
    costs->index = index_of(table, workers, window, costs->gap);
    costs->overhead = OVERHEAD_NS + draw;
}

static double per(uint64_t sum, uint64_t count)
{
    return count == 0 ? NAN : (double)sum / (double)count;
}

static void cost_of_starting(const struct run_stretches *stretches, const struct why *why,
                             uint64_t iterators, struct predict_model *model)
{
    struct machine_costs *costs = &model->costs;
    const uint64_t *head = stretches->head;
    const uint32_t workers = model->setting.workers;
    const double iter = per(head[RF_STRETCH_NEW_ITER_NS], head[RF_STRETCH_NEW]);
    const double end = per(head[RF_STRETCH_ENDS_NS], head[RF_STRETCH_ENDS]);
    model->iter_ns = workers > 0 ? iter : NAN;
    const double again = or_else(per(head[RF_STRETCH_AGAIN_ITER_NS], head[RF_STRETCH_AGAIN]), 1e6);
    costs->again = again / 2; /* by and large: that each worker adds as much is not seen */
    costs->again_each = again / 2 / fmax(1, workers);
    costs->again_end = model->setting.persistent ? or_else(end, 0.1e6) : 0.1e6;
    model->first_wait_ns = per(head[RF_STRETCH_NEW_FIRST_NS], head[RF_STRETCH_NEW]);
    if (workers == 0) {
        costs->iter = or_else(iter, 0);
        costs->iter_each = FORK_NS;
        costs->boot = model->spawned ? SPAWN_NS : BOOT_NS;
        costs->first_send = FIRST_SEND_NS;
        costs->end_each = END_NS;
        return;
    }
    const double startup = per(why->work.startup_ns, why->work.generations);
    costs->open = (double)why->work.opened_ns / (double)(workers * iterators);
    costs->iter_each = or_else(iter, FORK_NS * workers) / workers;
    costs->boot = fmax(1e6, or_else(startup, BOOT_NS) - costs->iter_each * (workers + 1) / 2);
    costs->end_each =
        model->setting.persistent ? END_NS : or_else(end, END_NS) / fmax(1, workers / costs->cpus);
}

static void cost_of_own_loading(struct table *table, struct machine_costs *costs)
{
    table->values.count = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        predict_add_value(&table->values, row->t[RF_BATCH_WAITED] - row->t[RF_BATCH_ITEMS] -
                                              row->t[RF_BATCH_COLLATE]);
    }
    costs->overhead = fmax(0, or_else(predict_quantile(&table->values, 0.5), OVERHEAD_NS));
    costs->send = SEND_NS;
    costs->get = GET_NS;
    costs->tail = TAIL_NS + cost_of_drawing(table);
    costs->latency = LATENCY_NS;
    costs->index = INDEX_NS;
    costs->gap = GAP_NS;
}

/* ---- what a batch costs ---- */

/* Of an item's time in which its own thread neither ran nor waited for a CPU, other threads ran for it:
 * one after the other, or several at once. */
static void split_items(const struct row *row, double *running, double *blocked)
{
    const double told = row->t[RF_BATCH_CPU] + row->t[RF_BATCH_DELAY];
    const double rest = fmax(0, row->t[RF_BATCH_ITEMS] - told);
    *running = row->t[RF_BATCH_CPU] + row->t[RF_BATCH_THREADS];
    *blocked = fmax(0, rest - row->t[RF_BATCH_THREADS]);
}

/* How much longer running took for want of CPUs, as the workers knew it. */
static double slowed_by(struct table *table)
{
    double running = 0, delay = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const double *t = table->rows[i].t;
        if (isnan(t[RF_BATCH_ITEMS]))
            continue;
        running += t[RF_BATCH_CPU] + t[RF_BATCH_THREADS] + t[RF_BATCH_COLLATE_CPU];
        delay += t[RF_BATCH_DELAY] + t[RF_BATCH_COLLATE_DELAY];
    }
    return running <= 0 ? 1 : 1 + delay / running;
}

/* CPU time of the loop's process per batch, but for what loading takes. Where the loop loads for itself and uses no
 * GPU, of its own thread alone: those of OpenMP spin on after what items reckoned with tensors, 20 ms and
 * more, which in workers, where torch has one thread, they do not. With a GPU other threads do the backward. */
static double loop_cpu_of(const struct run_stretches *stretches, const struct table *table,
                          const struct why *why, uint64_t iterators, bool hides,
                          const struct predict_model *model)
{
    if (model->setting.workers == 0 && !hides && why->work.gap_cpu_ns > 0) {
        /* One between two fetches of an iterator, of which a stream has one more. */
        const uint64_t gaps = ds_subtract(why->work.batches + why->work.ended, iterators);
        return fmax(0, per(why->work.gap_cpu_ns, gaps > 0 ? gaps : 1) - model->costs.overhead);
    }
    double cpu = 0, batches = 0, loading = 0, known = 0;
    for (uint32_t i = 0; i < stretches->count; i++) {
        const uint64_t *words = stretches->stretches[i].words;
        if (words[RF_STRETCH_END_NS] == 0)
            continue;
        cpu += (double)ds_subtract(words[RF_STRETCH_END_CPU_NS], words[RF_STRETCH_BEGIN_CPU_NS]);
        batches += stretches->stretches[i].count;
    }
    for (uint32_t i = 0; i < table->count && model->setting.workers == 0; i++) {
        const double *t = table->rows[i].t;
        if (isnan(t[RF_BATCH_ITEMS]))
            continue;
        loading += t[RF_BATCH_CPU] + t[RF_BATCH_THREADS] + t[RF_BATCH_COLLATE_CPU];
        known++;
    }
    if (batches == 0)
        return NAN;
    const double own = model->setting.workers == 0
                           ? (known > 0 ? loading / known : 0) + model->costs.overhead
                           : model->costs.get + model->costs.tail;
    return fmax(0, cpu / batches - own);
}

/* The loop's own work with the batch before: what it did until it asked, and on a GPU what went on
 * there while it waited. */
static double consumed_before(const struct row *row, bool hides)
{
    const double *t = row->t;
    if (!hides)
        return t[RF_BATCH_CONSUMED];
    const double exposed = (t[RF_BATCH_EXPOSED_LOWER] + t[RF_BATCH_EXPOSED_UPPER]) / 2;
    return t[RF_BATCH_CONSUMED] + fmax(0, t[RF_BATCH_WAITED] - exposed);
}

struct consumption {
    double mean, running; /* per batch: in all, and of that on a CPU */
};

static void fill_batch(const struct row *row, const struct row *next,
                       const struct consumption *usual, const struct machine_batch *typical,
                       bool hides, bool is_usual, struct machine_batch *batch)
{
    double running, blocked;
    *batch = *typical;
    split_items(row, &running, &blocked);
    if (!is_usual && !isnan(running) && !isnan(blocked)) {
        batch->running = (float)running;
        batch->blocked = (float)blocked;
        batch->delayed = (float)(row->t[RF_BATCH_DELAY] + row->t[RF_BATCH_COLLATE_DELAY]);
        batch->collate = (float)row->t[RF_BATCH_COLLATE_CPU];
        batch->collate_blocked =
            (float)fmax(0, row->t[RF_BATCH_COLLATE] - row->t[RF_BATCH_COLLATE_CPU] -
                               row->t[RF_BATCH_COLLATE_DELAY]);
    }
    double consumed =
        next != NULL && next->piece == row->piece ? consumed_before(next, hides) : NAN;
    consumed = or_else(consumed, usual->mean);
    const double share = usual->mean > 0 ? consumed / usual->mean : 0;
    batch->consumed_running = (float)(usual->running * share);
    batch->consumed_else = (float)fmax(0, consumed - usual->running * share);
}

/* The mean over rows that are, or are not, made first. */
static struct machine_batch typical_batch(const struct table *table,
                                          const struct predict_model *model, bool first)
{
    double running = 0, blocked = 0, collate = 0, collate_blocked = 0, delayed = 0, known = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        double r, b;
        split_items(row, &r, &b);
        if (isnan(r) || isnan(b) || is_made_first(table, model, row) != first)
            continue;
        running += r;
        blocked += b;
        delayed += row->t[RF_BATCH_DELAY] + row->t[RF_BATCH_COLLATE_DELAY];
        collate += row->t[RF_BATCH_COLLATE_CPU];
        collate_blocked += fmax(0, row->t[RF_BATCH_COLLATE] - row->t[RF_BATCH_COLLATE_CPU] -
                                       row->t[RF_BATCH_COLLATE_DELAY]);
        known++;
    }
    known = fmax(known, 1);
    return (struct machine_batch){.running = (float)(running / known),
                                  .blocked = (float)(blocked / known),
                                  .delayed = (float)(delayed / known),
                                  .collate = (float)(collate / known),
                                  .collate_blocked = (float)(collate_blocked / known)};
}

static void fill_batches(struct table *table, const struct run_stretches *stretches,
                         const struct why *why, uint64_t iterators, bool hides,
                         struct predict_model *model)
{
    struct consumption usual;
    table->values.count = 0;
    for (uint32_t i = 0; i < table->count; i++)
        predict_add_value(&table->values, consumed_before(&table->rows[i], hides));
    usual.mean = or_else(predict_mean(&table->values), 0);
    const double cpu = or_else(loop_cpu_of(stretches, table, why, iterators, hides, model), 0);
    const double slowed = model->setting.workers == 0 ? 1 : slowed_by(table);
    /* Of the loop's own time, waiting for a CPU is not its work. */
    usual.running = fmin(cpu, usual.mean / fmax(1, slowed));
    usual.mean = usual.mean - usual.running * (slowed - 1);
    const uint64_t *head = stretches->head;
    const double usual_ns = (double)head[RF_STRETCH_ENDS] * usual.mean;
    model->costs.last_step =
        fmax(0, (double)head[RF_STRETCH_LAST_STEPS_NS] - usual_ns) / (double)iterators;
    const struct machine_batch typical = typical_batch(table, model, false);
    const struct machine_batch first = typical_batch(table, model, true);
    if (first.running + first.blocked > FIRST_TIMES * (typical.running + typical.blocked)) {
        model->costs.first_running = fmax(0, first.running - typical.running);
        model->costs.first_blocked = fmax(0, first.blocked - typical.blocked);
    }
    const bool does_more = model->costs.first_running + model->costs.first_blocked > 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        fill_batch(row, i + 1 < table->count ? row + 1 : NULL, &usual, &typical, hides,
                   does_more && is_made_first(table, model, row), &model->batches[i]);
    }
    model->costs.parallel = predict_threads_at_once(table);
}

/* ---- what cannot be predicted ---- */

static const struct run_stretches *find(const struct run_process *process,
                                        const struct run_loader *loader)
{
    for (uint32_t i = 0; i < process->stretches_count; i++) {
        if (process->stretches[i].loader == loader->index)
            return &process->stretches[i];
    }
    return NULL;
}

/* Rows whose exposed stall is known, of those whose wait is. */
static double told_share(const struct table *table)
{
    double told = 0, all = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        told += !isnan(table->rows[i].t[RF_BATCH_EXPOSED_UPPER]);
        all++;
    }
    return all > 0 ? told / all : 0;
}

static double made_share(const struct table *table)
{
    double known = 0;
    for (uint32_t i = 0; i < table->count; i++)
        known += !isnan(table->rows[i].t[RF_BATCH_ITEMS]);
    return table->count > 0 ? known / table->count : 0;
}

#define MOST_OF_ENDS 0.05 /* of a run */
static const char *cannot(const struct run_loader *loader, const struct run_stretches *stretches,
                          const struct why *why, uint64_t batches)
{
    if (why->failure.kind != WHY_NOTHING_FAILED)
        return "it did not run to its end";
    if (why_workers_of(loader) == DATASTALL_UNKNOWN)
        return "how many workers the loader has is not known";
    if (why_workers_share_a_lock(&why->work))
        return "its workers wait for a lock that they share: how long it is held, and so what "
               "other "
               "numbers of workers would give, is not known";
    if (why_computes_in_children(why))
        return "its items wait for processes that the workers started and keep: what each item "
               "costs them is not seen";
    if (loader->background && why->stall_share < LEAST_LIMIT)
        return "another thread than the main one iterates over it: whether that waits for batches "
               "or for the program to take them is not known";
    if (stretches == NULL || stretches->batch_count == 0)
        return "its batches were not recorded one by one: it is not a DataLoader, was recorded by "
               "hand, or is the fifth or a later loader of its process";
    if (batches < LEAST_ROWS || stretches->batch_count < LEAST_ROWS)
        return "too few batches were recorded to tell what one costs";
    if (batches > stretches->head[RF_STRETCH_BATCHES] * 1.02 + 2)
        return "several iterators of the loader were under way at once";
    /* Workers that stay do nothing at the end of an epoch. */
    if (why_loader_is(loader, DATASTALL_LOADER_STREAM) &&
        why_loader_is(loader, DATASTALL_LOADER_PERSISTENT_WORKERS) &&
        (double)stretches->head[RF_STRETCH_ENDS_NS] > MOST_OF_ENDS * (double)why->active_ns)
        return "its stream goes on working after its last item, for how long with another setting "
               "is "
               "not known";
    return NULL;
}

/* ---- all of it ---- */

/* CPUs that others used meanwhile: neither idle, nor the loop's, nor the workers', who also run while
 * they start. */
static double neighbours(const struct why *why)
{
    const struct why_host *host = &why->host;
    const double started = why->active_ns > 0 && why->work.workers > 0
                               ? 0.8 * (double)why->work.startup_ns / (double)why->active_ns
                               : 0;
    const double used =
        host->cpus_usable - host->idle_cpus - host->loop_cpus - why->work.running_cpus - started;
    return used > LEAST_NEIGHBOURS ? used : 0;
}

/* Relative, of the mean time of a batch, from stretch to stretch. */
static double noise_of(const struct table *table)
{
    double sum = 0, squares = 0, count = 0, time = 0;
    uint32_t rows = 0;
    for (uint32_t i = 1; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        const double step = row->t[RF_BATCH_CONSUMED] + row->t[RF_BATCH_WAITED];
        if (isnan(step))
            continue;
        time += step;
        if (++rows == RF_STRETCH_ROWS) {
            sum += time / rows;
            squares += time / rows * (time / rows);
            count++;
            rows = 0;
            time = 0;
        }
    }
    if (count < 3 || sum <= 0)
        return 0.05;
    const double mean = sum / count;
    const double variance = fmax(0, squares / count - mean * mean) * count / (count - 1);
    return sqrt(variance / count) / mean;
}

static bool fill(const struct run_loader *loader, const struct why *why, bool hides,
                 const struct run_stretches *stretches, struct table *table,
                 struct predict_model *model, char *says, size_t size)
{
    table->count = predict_take_rows(stretches, table->rows);
    if (made_share(table) < 0.5) {
        snprintf(says, size, "it is known for too few batches what the workers did");
        return false;
    }
    if (hides && told_share(table) < 0.5) {
        snprintf(says, size, "a GPU is used, and its clock covers too few of the waits");
        return false;
    }
    model->noise = noise_of(table);
    model->costs.cpus = fmax(0.5, why->host.cpus_usable - neighbours(why));
    model->costs.speed = 1;
    if (why_loader_is(loader, DATASTALL_LOADER_PIN_MEMORY) && model->setting.workers > 0)
        model->costs.pin = or_else(predict_mean(predict_column(table, RF_BATCH_PIN)), 0);
    if (model->setting.workers == 0) {
        cost_of_own_loading(table, &model->costs);
    } else {
        cost_of_handing_over(table, model);
    }
    const uint64_t iterators = loader->totals.counters[RF_COUNT_ITERATORS];
    cost_of_starting(stretches, why, iterators > 0 ? iterators : 1, model);
    fill_batches(table, stretches, why, iterators > 0 ? iterators : 1, hides, model);
    return true;
}

/* Items of a batch, each of which may block and then run. More than a few change nothing. */
#define MOST_PIECES 6u
static uint32_t pieces_of(const struct why_work *work)
{
    const uint64_t items = work->batches > 0 ? work->items / work->batches : 1;
    return items < 1 ? 1 : items > MOST_PIECES ? MOST_PIECES : (uint32_t)items;
}

/* An iterator that lives on when the loop is over (one that Ctrl-C left) ends late: what lies between its
 * last batch and its end is no iteration. */
static double after_the_last(const struct run_loader *loader, const struct run_stretches *stretches)
{
    const uint64_t *head = stretches->head, *c = loader->totals.counters;
    const double batches = (double)(c[RF_COUNT_BATCHES] > 0 ? c[RF_COUNT_BATCHES] : 1);
    const double window_ns = (double)ds_subtract(c[RF_COUNT_END_NS], c[RF_COUNT_BEGIN_NS]);
    if (head[RF_STRETCH_ENDS] > 0 &&
        head[RF_STRETCH_ENDS] == ds_add(head[RF_STRETCH_NEW], head[RF_STRETCH_AGAIN]))
        return 0; /* it is RF_STRETCH_LAST_STEPS_NS */
    const double after_ns = (double)ds_subtract(c[RF_COUNT_END_NS], head[RF_STRETCH_LAST_NS]);
    const double usual_ns = USUAL_STEPS * window_ns / batches +
                            or_else(per(head[RF_STRETCH_ENDS_NS], head[RF_STRETCH_ENDS]), 0);
    return head[RF_STRETCH_LAST_NS] > 0 && after_ns > usual_ns ? after_ns : 0;
}

bool predict_model_make(const struct run_process *process, const struct run_loader *loader,
                        const struct why *why, bool hides, struct predict_model *model, char *says,
                        size_t size)
{
    const uint64_t *c = loader->totals.counters;
    const uint64_t batches = c[RF_COUNT_BATCHES];
    const struct run_stretches *stretches = find(process, loader);
    *model = (struct predict_model){.samples = c[RF_COUNT_SAMPLES_BATCHES] > 0 ? c[RF_COUNT_SAMPLES]
                                                                               : DATASTALL_UNKNOWN};
    const char *reason = cannot(loader, stretches, why, batches);
    if (reason == NULL && isnan(why->host.cpus_usable))
        reason = "how many CPUs there are is not known";
    if (reason != NULL) {
        snprintf(says, size, "%s", reason);
        return false;
    }
    model->setting = (struct machine_setting){
        .workers = (uint32_t)why_workers_of(loader),
        .prefetch_factor = (uint32_t)ds_least(loader->entry.prefetch_factor, 1u << 20),
        .in_order = true,
        .persistent = why_loader_is(loader, DATASTALL_LOADER_PERSISTENT_WORKERS),
    };
    model->is_held_up =
        (double)why->states_ns[CAUSE_INTERPRETER] > MOST_INTERPRETER * (double)why->active_ns;
    model->batch_bytes = why->work.tensor_bytes > 0 ? (double)why->work.tensor_bytes : NAN;
    model->shm_bytes = why->host.shm_size_bytes;
    model->is_stream = why_loader_is(loader, DATASTALL_LOADER_STREAM);
    model->is_unsplit = why_may_be_unsplit(loader, &why->work);
    model->is_storage = why_is_storage(&why->work);
    model->is_made_anew = c[RF_COUNT_ITERATORS] > 1 && why_is_made_anew(loader);
    model->tensors = or_else(per(why->work.sent_tensors, why->work.sent), 0);
    model->spawned = why_loader_is(loader, DATASTALL_LOADER_SPAWNED);
    model->measured_ns = fmax(1, (double)why->active_ns - after_the_last(loader, stretches));
    model->measured_waited_ns = (double)why->stall_ns;
    const uint32_t count = stretches->batch_count;
    struct table table = {.rows = calloc(count, sizeof *table.rows),
                          .values = {0, calloc(count, sizeof(double))}};
    model->batches = calloc(count, sizeof *model->batches);
    bool whole = table.rows != NULL && table.values.of != NULL && model->batches != NULL;
    if (!whole)
        snprintf(says, size, "out of memory");
    whole = whole && fill(loader, why, hides, stretches, &table, model, says, size);
    free(table.rows);
    free(table.values.of);
    const uint64_t iterators = c[RF_COUNT_ITERATORS] > 0 ? c[RF_COUNT_ITERATORS] : 1;
    model->load = (struct machine_load){
        .batches = model->batches,
        .count = count,
        .epochs = iterators,
        .epoch_batches =
            (batches + iterators / 2) / iterators > 0 ? (batches + iterators / 2) / iterators : 1,
        .pieces = pieces_of(&why->work),
        .running_times = 1,
        .blocked_times = 1,
        .collate_times = 1,
        .delay_times = 0,
    };
    if (!whole) {
        free(model->batches);
        model->batches = NULL;
    }
    return whole;
}
