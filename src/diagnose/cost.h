/* SPDX-License-Identifier: Apache-2.0 */
/* What the time cost in which GPUs had no input: GPU hours, energy, and money where somebody says what an
 * hour costs. Ranges where the stall is one. Pure. docs/cost.md. */
#ifndef DATASTALL_DIAGNOSE_COST_H
#define DATASTALL_DIAGNOSE_COST_H

#include "diagnose/summary.h"

struct cost_range {
    double lower, upper; /* NaN both: not known */
};

struct cost {
    uint32_t gpus;    /* that the run's processes used; 0: none is known */
    double gpu_hours; /* of the run: these GPUs for as long as it took; NaN */
    struct cost_range stalled_gpu_hours;
    double energy_j; /* of all sampled GPUs; NaN */
    struct cost_range stalled_energy_j;
    double price_per_gpu_hour;   /* NaN: not told */
    double shares[CAUSE_STATES]; /* of the stall, by cause; NaN: not known */
};

void cost_of(const struct summary *summary, struct cost *cost);

/* "the stall cost 10.24 to 12.35 of 24.80 (8 GPUs at 3.10 an hour): compute 61 %, blocked 30 %"; without a
 * price in GPU hours. "" where there is nothing to say. */
void cost_text(const struct cost *cost, char *text, size_t size);

/* A price as it is typed; NaN: it is none. */
double cost_price(const char *text);

#endif
