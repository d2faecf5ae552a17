/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/ratio.h"

#include <math.h>

#define NORMAL 1.959963984540054 /* 97.5 % of the normal distribution */
#define MOST_CORRELATION 0.9

double ratio_student_t(double freedom)
{
    static const double table[] = {
        12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
        2.2010,  2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
        2.0796,  2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
    };
    const double n = floor(freedom);
    if (!(n >= 1))
        return table[0];
    if (n <= 30)
        return table[(int)n - 1];
    /* Abramowitz and Stegun, 26.7.5 */
    const double z = NORMAL, z3 = z * z * z, z5 = z3 * z * z;
    return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n);
}

/* Means of neighbouring values, of as many each; what is left over is at the begin. */
static uint32_t make_batches(const double *values, uint32_t count,
                             double batches[RATIO_MOST_BATCHES])
{
    const uint32_t length = (count + RATIO_MOST_BATCHES - 1) / RATIO_MOST_BATCHES;
    const uint32_t batch_count = count / length;
    const uint32_t skipped = count - batch_count * length;
    for (uint32_t i = 0; i < batch_count; i++) {
        batches[i] = 0;
        for (uint32_t k = 0; k < length; k++)
            batches[i] += values[skipped + i * length + k] / length;
    }
    return batch_count;
}

bool ratio_mean_of(const double *values, uint32_t count, struct ratio_mean *mean)
{
    double batches[RATIO_MOST_BATCHES], sum = 0, squares = 0, neighbours = 0;
    if (count < RATIO_LEAST_VALUES)
        return false;
    const uint32_t n = make_batches(values, count, batches);
    for (uint32_t i = 0; i < n; i++)
        sum += batches[i];
    mean->mean = sum / n;
    if (!(mean->mean > 0))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const double off = batches[i] - mean->mean;
        squares += off * off;
        if (i > 0)
            neighbours += off * (batches[i - 1] - mean->mean);
    }
    const double correlation =
        squares > 0 ? fmin(MOST_CORRELATION, fmax(0.0, neighbours / squares)) : 0.0;
    const double variance = squares / (n - 1) / n * (1 + correlation) / (1 - correlation);
    mean->relative_error = sqrt(variance) / mean->mean;
    mean->freedom = n - 1;
    return true;
}

struct ratio ratio_of(const struct ratio_mean *numerator, const struct ratio_mean *denominator,
                      double between)
{
    const double a = numerator->relative_error * numerator->relative_error;
    const double b = denominator->relative_error * denominator->relative_error;
    const double spread = a * a / numerator->freedom + b * b / denominator->freedom;
    const double freedom = spread > 0 ? (a + b) * (a + b) / spread : 1e6;
    const double mean = numerator->mean / denominator->mean;
    /* The two parts are independent; that between runs is not estimated from these. */
    const double within = ratio_student_t(freedom) * sqrt(a + b);
    const double half = sqrt(within * within + NORMAL * NORMAL * 2 * between * between);
    return (struct ratio){mean, mean * exp(-half), mean * exp(half)};
}
