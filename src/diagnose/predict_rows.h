/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded batches as rows of times, and figures of their columns. */
#ifndef DATASTALL_DIAGNOSE_PREDICT_ROWS_H
#define DATASTALL_DIAGNOSE_PREDICT_ROWS_H

#include <math.h>

#include "run/reader.h"

/* A recorded batch; nanoseconds, NaN unknown. */
struct row {
    double t[RF_BATCH_TIMES];
    double got;             /* since the first row of its piece of an iterator */
    uint32_t worker, piece; /* rows of one piece follow each other */
    uint32_t ordinal;       /* in its iterator; UINT32_MAX: not known */
};

struct values {
    uint32_t count;
    double *of; /* room for one per row */
};

struct table {
    struct row *rows;
    uint32_t count;
    struct values values; /* scratch */
};

/* The batches of a loader in their order; rows has room for all. Returns how many. */
uint32_t predict_take_rows(const struct run_stretches *stretches, struct row *rows);

/* NaN is left out. */
void predict_add_value(struct values *values, double value);
double predict_mean(const struct values *values);
/* Sorts them. */
double predict_quantile(struct values *values, double p);

/* A column, of the rows that know it. */
struct values *predict_column(struct table *table, enum rf_stretch_time time);

/* How many other threads run for items while their own does not, in the mean; at least 1. */
double predict_threads_at_once(const struct table *table);

static inline double or_else(double value, double otherwise)
{
    return isnan(value) ? otherwise : value;
}

#endif
