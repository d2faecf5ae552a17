/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/moments.h"

#include <stdlib.h>

#include "diagnose/predict_rows.h"

#define BASE_NS 1e15 /* so that times before the first row of a piece are no negative ones */
#define LEAST_WAITS 4u
#define AROUND 0.5 /* of a slow wait: what is shown before and after it */

/* When a row's batch was begun, had its items, was collated, was asked for: as row->got. */
static double begun(const struct row *row)
{
    return row->got - row->t[RF_BATCH_BEGUN];
}
static double with_items(const struct row *row)
{
    return begun(row) + row->t[RF_BATCH_ITEMS];
}
static double made(const struct row *row)
{
    return with_items(row) + or_else(row->t[RF_BATCH_COLLATE], 0);
}
static double asked(const struct row *row)
{
    return row->got - row->t[RF_BATCH_WAITED];
}

/* Rows of one stretch. */
struct stretch_rows {
    const struct row *rows;
    uint32_t count;
    double at_ns; /* of the call for the first of them */
};

/* ---- figures of a stretch ---- */

/* Of the rows behind which so many more are kept as may be made ahead: the others see no further than
 * the stretch. */
static double ready_mean(const struct stretch_rows *s, double possible)
{
    double sum = 0;
    uint32_t counted = 0;
    for (uint32_t i = 0; !isnan(possible) && i + possible <= s->count; i++) {
        const struct row *row = &s->rows[i];
        uint32_t ready = 0;
        while (ready < possible && row[ready].piece == row->piece &&
               made(&row[ready]) <= asked(row))
            ready++;
        if (row->ordinal == 0 || isnan(made(row)) || isnan(asked(row)))
            continue;
        sum += ready;
        counted++;
    }
    return counted == 0 ? NAN : sum / counted;
}

static uint64_t on_clock(double ns)
{
    return ns + BASE_NS > 0 ? (uint64_t)(ns + BASE_NS) : 0;
}

static void add_made(struct cause_timeline *timeline, const struct row *row, uint64_t from,
                     uint64_t to)
{
    const struct cause_batch batch = {
        .begin_ns = on_clock(begun(row)),
        .items_end_ns = on_clock(with_items(row)),
        .end_ns = on_clock(made(row)),
        .cpu_ns = (uint64_t)or_else(row->t[RF_BATCH_CPU], 0),
        .delay_ns = (uint64_t)or_else(row->t[RF_BATCH_DELAY], 0),
        .threads_ns = (uint64_t)or_else(row->t[RF_BATCH_THREADS], 0),
        .collate_delay_ns = (uint64_t)or_else(row->t[RF_BATCH_COLLATE_DELAY], 0),
    };
    cause_add_batch(timeline, from, to, &batch);
}

/* What its worker did for the batches behind it while the batch was on its way: Python code of theirs keeps
 * the thread that pickles from running. Less what pickling itself ran. */
static struct cause_work work_meanwhile(const struct stretch_rows *s, uint32_t i)
{
    const struct row *row = &s->rows[i];
    double cpu = 0, delay = 0, threads = 0, collate = 0;
    for (uint32_t k = i + 1; k < s->count && s->rows[k].piece == row->piece; k++) {
        const struct row *next = &s->rows[k];
        const double from = fmax(made(row), begun(next));
        const double items = fmin(row->got, with_items(next)) - from;
        if (next->worker != row->worker || isnan(made(next)) || !(items > 0))
            continue;
        const double part = items / fmax(1.0, next->t[RF_BATCH_ITEMS]);
        cpu += part * or_else(next->t[RF_BATCH_CPU], 0);
        delay += part * or_else(next->t[RF_BATCH_DELAY], 0);
        threads += part * or_else(next->t[RF_BATCH_THREADS], 0);
        collate += fmax(0, fmin(row->got, made(next)) - fmax(made(row), with_items(next)));
    }
    cpu = fmax(0, cpu - or_else(row->t[RF_BATCH_PICKLE_CPU], 0));
    return (struct cause_work){(uint64_t)cpu, (uint64_t)delay, (uint64_t)collate,
                               (uint64_t)threads};
}

/* What the batch of row i was in while the loop waited for it. What its worker made before came to the loop
 * before. */
static void split_wait(const struct stretch_rows *s, uint32_t i, bool in_loop,
                       uint64_t sums[CAUSE_STATES])
{
    const struct row *row = &s->rows[i];
    struct cause_timeline timeline = {.count = 0};
    const uint64_t from = on_clock(asked(row)), to = on_clock(row->got);
    const double exposed = or_else(row->t[RF_BATCH_EXPOSED_UPPER], row->t[RF_BATCH_WAITED]);
    if (isnan(row->t[RF_BATCH_WAITED]))
        return;
    if (!isnan(made(row))) {
        add_made(&timeline, row, from, to);
        const struct cause_work work = work_meanwhile(s, i);
        if (in_loop)
            cause_add(&timeline, from, to, on_clock(made(row)), to, CAUSE_OVERHEAD);
        else
            cause_add_handover(&timeline, from, to, on_clock(made(row)), to, &work);
    }
    const uint64_t stalled = (uint64_t)fmin(exposed, (double)(to - from));
    uint64_t split[CAUSE_STATES] = {0};
    cause_split(&timeline, to - stalled, to, split);
    if (row->ordinal == 0) { /* before its worker began: it was started */
        split[CAUSE_STARTUP] += split[CAUSE_UNKNOWN];
        split[CAUSE_UNKNOWN] = 0;
    }
    for (uint32_t c = 0; c < CAUSE_STATES; c++)
        sums[c] += split[c];
}

static void share_causes(const struct stretch_rows *s, bool in_loop, struct moment *moment)
{
    uint64_t sums[CAUSE_STATES] = {0}, whole = 0;
    for (uint32_t i = 0; i < s->count; i++)
        split_wait(s, i, in_loop, sums);
    for (uint32_t c = 0; c < CAUSE_STATES; c++)
        whole += sums[c];
    for (uint32_t c = 0; c < CAUSE_STATES; c++)
        moment->causes[c] = ds_mean_or_nan(sums[c], whole, 1.0);
}

static void add_moment(const struct stretch_rows *s, double possible, bool in_loop,
                       struct moments *moments)
{
    double waits[MOMENT_BATCHES];
    struct values values = {0, waits};
    for (uint32_t i = 0; i < s->count && i < MOMENT_BATCHES; i++)
        predict_add_value(&values, s->rows[i].t[RF_BATCH_WAITED]);
    if (values.count < LEAST_WAITS || moments->count == MOMENTS_MOST)
        return;
    struct moment *moment = &moments->of[moments->count++];
    *moment = (struct moment){.at_ns = s->at_ns, .waits = values.count};
    moment->wait_p50_ns = predict_quantile(&values, 0.5);
    moment->wait_p95_ns = predict_quantile(&values, 0.95);
    moment->wait_max_ns = predict_quantile(&values, 1.0);
    moment->ready_mean = ready_mean(s, possible);
    share_causes(s, in_loop, moment);
}

/* ---- slow waits ---- */

static void fill_slow(const struct stretch_rows *s, uint32_t at, const uint64_t *numbers,
                      struct moment_slow *slow)
{
    const struct row *row = &s->rows[at];
    const double zero = asked(row), wait = row->t[RF_BATCH_WAITED];
    *slow = (struct moment_slow){.at_ns = NAN, .wait_ns = wait, .batch = numbers[at]};
    if (row->piece == s->rows[0].piece) /* the others' begin is not told */
        slow->at_ns = s->at_ns + asked(row) - asked(&s->rows[0]);
    for (uint32_t i = 0; i < s->count && slow->count < MOMENT_BATCHES; i++) {
        const struct row *other = &s->rows[i];
        const double first = fmin(asked(other), begun(other)); /* leaves NaN out */
        if (other->piece != row->piece || first > zero + wait * (1 + AROUND) ||
            other->got < zero - wait * AROUND)
            continue;
        slow->batches[slow->count++] = (struct moment_batch){
            .batch = numbers[i],
            .worker = other->worker == 0xffff ? UINT32_MAX : other->worker,
            .begun_ns = begun(other) - zero,
            .items_ns = with_items(other) - zero,
            .made_ns = made(other) - zero,
            .asked_ns = asked(other) - zero,
            .got_ns = other->got - zero,
        };
    }
}

/* The longest wait of a stretch, if it is one of the longest of all. */
static void take_slow(const struct stretch_rows *s, const uint64_t *numbers,
                      struct moments *moments)
{
    uint32_t longest = UINT32_MAX, place = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct row *row = &s->rows[i];
        if (!isnan(row->t[RF_BATCH_WAITED]) && !isnan(row->t[RF_BATCH_ITEMS]) &&
            (longest == UINT32_MAX ||
             row->t[RF_BATCH_WAITED] > s->rows[longest].t[RF_BATCH_WAITED]))
            longest = i;
    }
    if (longest == UINT32_MAX)
        return;
    const double wait = s->rows[longest].t[RF_BATCH_WAITED];
    while (place < moments->slow_count && moments->slow[place].wait_ns >= wait)
        place++;
    if (place == MOMENTS_SLOW)
        return;
    moments->slow_count += moments->slow_count < MOMENTS_SLOW;
    for (uint32_t i = moments->slow_count - 1; i > place; i--)
        moments->slow[i] = moments->slow[i - 1];
    fill_slow(s, longest, numbers, &moments->slow[place]);
}

/* ---- a loader ---- */

static const struct run_stretches *stretches_of(const struct run_process *process, uint32_t loader)
{
    for (uint32_t i = 0; i < process->stretches_count; i++) {
        if (process->stretches[i].loader == loader)
            return &process->stretches[i];
    }
    return NULL;
}

static double possible_of(const struct rf_loader_entry *entry)
{
    if (entry->num_workers == 0 || entry->num_workers > 1024 || entry->prefetch_factor == 0 ||
        entry->prefetch_factor > 1024)
        return NAN;
    return (double)entry->num_workers * (double)entry->prefetch_factor;
}

static void add_stretch(const struct run_stretches *kept, uint32_t index, const struct row *rows,
                        uint64_t begin_ns, bool in_loop, struct moments *moments)
{
    const struct run_stretch *stretch = &kept->stretches[index];
    const struct stretch_rows s = {
        .rows = rows,
        .count = stretch->count < MOMENT_BATCHES ? stretch->count : MOMENT_BATCHES,
        .at_ns = (double)stretch->words[RF_STRETCH_BEGIN_NS] - (double)begin_ns,
    };
    uint64_t numbers[MOMENT_BATCHES];
    for (uint32_t i = 0; i < s.count; i++)
        numbers[i] = kept->batches[stretch->first + i].batch;
    add_moment(&s, moments->possible, in_loop, moments);
    take_slow(&s, numbers, moments);
}

bool moments_of(const struct summary *summary, const struct summary_loader *loader,
                struct moments *moments)
{
    const struct summary_process *process = &summary->processes[loader->process];
    const struct run_stretches *kept = stretches_of(process->data, loader->data->index);
    *moments = (struct moments){.possible = possible_of(&loader->data->entry)};
    struct row *rows =
        kept == NULL || kept->batch_count == 0 ? NULL : calloc(kept->batch_count, sizeof *rows);
    if (rows == NULL)
        return false;
    predict_take_rows(kept, rows);
    const struct row *next = rows;
    for (uint32_t i = 0; i < kept->count; i++) {
        add_stretch(kept, i, next, process->begin_ns, loader->data->entry.num_workers == 0,
                    moments);
        next += kept->stretches[i].count;
    }
    free(rows);
    return moments->count > 0;
}
