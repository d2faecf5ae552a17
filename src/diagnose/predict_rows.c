/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/predict_rows.h"

#include <stdlib.h>

/* ---- rows as times ---- */

static double ns_of(uint32_t units)
{
    return units == RF_STRETCH_UNKNOWN ? NAN : (double)units * RF_STRETCH_UNIT_NS;
}

uint32_t predict_take_rows(const struct run_stretches *stretches, struct row *rows)
{
    uint32_t count = 0, piece = 0;
    for (uint32_t s = 0; s < stretches->count; s++) {
        const struct run_stretch *stretch = &stretches->stretches[s];
        const struct rf_stretch_batch *batches = &stretches->batches[stretch->first];
        uint32_t ordinal = UINT32_MAX;
        for (uint32_t i = 0; i < stretch->count; i++) {
            struct row *row = &rows[count++];
            const bool first = (batches[i].flags & RF_BATCH_IS_FIRST) != 0;
            const bool follows = i > 0 && !first && batches[i].batch == batches[i - 1].batch + 1;
            piece += !follows;
            ordinal = first ? 0 : follows && ordinal != UINT32_MAX ? ordinal + 1 : UINT32_MAX;
            for (uint32_t t = 0; t < RF_BATCH_TIMES; t++)
                row->t[t] = ns_of(batches[i].times[t]);
            if (first) /* what lies between two iterators is no part of the loop's work */
                row->t[RF_BATCH_CONSUMED] = NAN;
            const double step = row->t[RF_BATCH_CONSUMED] + row->t[RF_BATCH_WAITED];
            row->got = follows && !isnan(step) ? row[-1].got + step : 0;
            row->worker = batches[i].worker;
            row->piece = piece;
            row->ordinal = ordinal;
        }
    }
    return count;
}

/* ---- statistics of rows ---- */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void predict_add_value(struct values *values, double value)
{
    if (!isnan(value))
        values->of[values->count++] = value;
}

double predict_mean(const struct values *values)
{
    double sum = 0;
    for (uint32_t i = 0; i < values->count; i++)
        sum += values->of[i];
    return values->count == 0 ? NAN : sum / values->count;
}

double predict_quantile(struct values *values, double p)
{
    if (values->count == 0)
        return NAN;
    qsort(values->of, values->count, sizeof *values->of, compare);
    return values->of[(uint32_t)((double)(values->count - 1) * p)];
}

/* A column, of the rows that know it. */
struct values *predict_column(struct table *table, enum rf_stretch_time time)
{
    table->values.count = 0;
    for (uint32_t i = 0; i < table->count; i++)
        predict_add_value(&table->values, table->rows[i].t[time]);
    return &table->values;
}

double predict_threads_at_once(const struct table *table)
{
    double threads = 0, rest = 0, items = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        if (isnan(row->t[RF_BATCH_ITEMS]))
            continue;
        threads += row->t[RF_BATCH_THREADS];
        items += row->t[RF_BATCH_ITEMS];
        /* Those run on while the item's own thread, which they wake, waits for a CPU. */
        rest += fmax(0, row->t[RF_BATCH_ITEMS] - row->t[RF_BATCH_CPU]);
    }
    return threads < 0.1 * items || rest <= 0 ? 1 : fmax(1, threads / rest);
}
