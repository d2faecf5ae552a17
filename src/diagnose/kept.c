/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/kept.h"

#include <math.h>
#include <stdlib.h>

#include "base/unknown.h"
#include "diagnose/predict_rows.h"

static uint64_t at(double zero_ns, double ns)
{
    const double time = zero_ns + ns;
    return isnan(time) || time < 0 ? DS_UNKNOWN : (uint64_t)time;
}

static void fill(const struct row *row, uint64_t number, double zero_ns, struct kept_batch *batch)
{
    const double *t = row->t;
    const double begun = row->got - t[RF_BATCH_BEGUN], came = row->got - t[RF_BATCH_TAIL];
    *batch = (struct kept_batch){
        .batch = number,
        .worker = row->worker == 0xffff ? UINT32_MAX : row->worker,
        .asked_ns = at(zero_ns, row->got - t[RF_BATCH_WAITED]),
        .got_ns = at(zero_ns, row->got),
        .begun_ns = at(zero_ns, begun),
        .items_ns = at(zero_ns, begun + t[RF_BATCH_ITEMS]),
        .made_ns = at(zero_ns, begun + t[RF_BATCH_ITEMS] + or_else(t[RF_BATCH_COLLATE], 0)),
        .exposed_ns = at(0, t[RF_BATCH_EXPOSED_UPPER]),
        .pin_begin_ns = DS_UNKNOWN,
        .pin_end_ns = DS_UNKNOWN,
    };
    if (t[RF_BATCH_PIN] > 0 && !isnan(came)) {
        batch->pin_begin_ns = at(zero_ns, came - t[RF_BATCH_PIN]);
        batch->pin_end_ns = at(zero_ns, came);
    }
}

/* When the time of a piece of a stretch was 0, by the clock; NaN: nothing ties it to that. */
static double zero_of(const struct run_stretch *stretch, const struct row *rows, uint32_t piece)
{
    const struct row *last = &rows[stretch->count - 1];
    if (piece == rows[0].piece)
        return (double)stretch->words[RF_STRETCH_BEGIN_NS] + rows[0].t[RF_BATCH_WAITED] -
               rows[0].got;
    if (piece == last->piece && stretch->words[RF_STRETCH_END_NS] != 0)
        return (double)stretch->words[RF_STRETCH_END_NS] - last->got;
    return NAN;
}

uint32_t kept_batches(const struct run_stretches *stretches, struct kept_batch *batches)
{
    struct row *rows = calloc((size_t)stretches->batch_count + 1, sizeof *rows);
    uint32_t count = 0;
    if (rows == NULL)
        return 0;
    predict_take_rows(stretches, rows);
    const struct row *next = rows;
    for (uint32_t s = 0; s < stretches->count; s++) {
        const struct run_stretch *stretch = &stretches->stretches[s];
        for (uint32_t i = 0; i < stretch->count; i++) {
            const double zero = zero_of(stretch, next, next[i].piece);
            if (!isnan(zero) && !isnan(next[i].t[RF_BATCH_WAITED]))
                fill(&next[i], stretches->batches[stretch->first + i].batch, zero,
                     &batches[count++]);
        }
        next += stretch->count;
    }
    free(rows);
    return count;
}
