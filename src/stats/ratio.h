/* The ratio of two rates with an interval, from how each varied in time. Pure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_STATS_RATIO_H
#define DATASTALL_STATS_RATIO_H

#include <stdbool.h>
#include <stdint.h>

#define RATIO_LEAST_VALUES 5u
#define RATIO_MOST_BATCHES 16u

/* The mean of a series whose neighbours may resemble one another, and how well it is known: the
 * method of batch means. The series is cut into at most RATIO_MOST_BATCHES batches of one length
 * (Schmeiser, "Batch size effects in the analysis of simulation output", Operations Research 30,
 * 1982: 10 to 30 are enough), and the variance of their mean is widened by (1 + r) / (1 - r) where
 * neighbouring batches still correlate with r > 0 (the variance of the mean of a first-order
 * autoregressive series). */
struct ratio_mean {
    double mean, relative_error; /* the standard error of the mean / the mean */
    double freedom;              /* degrees of it */
};
/* False where there are fewer than RATIO_LEAST_VALUES or their mean is not above 0. */
bool ratio_mean_of(const double *values, uint32_t count, struct ratio_mean *mean);

struct ratio {
    double mean, lower, upper; /* of 95 % */
};
/* numerator / denominator, on the logarithm's scale (delta method), with Welch's degrees of freedom
 * ("The generalization of Student's problem ...", Biometrika 34, 1947). between: the relative
 * standard deviation of one run against the next of the same program, which no run by itself shows;
 * it counts once for each side. */
struct ratio ratio_of(const struct ratio_mean *numerator, const struct ratio_mean *denominator,
                      double between);

/* Student's t: 97.5 % lie below. freedom >= 1, rounded down. */
double ratio_student_t(double freedom);

#endif
