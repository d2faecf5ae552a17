/* SPDX-License-Identifier: Apache-2.0 */
/* What is not known: UINT64_MAX as a whole number, NaN as a real one. It is never 0. */
#ifndef DATASTALL_BASE_UNKNOWN_H
#define DATASTALL_BASE_UNKNOWN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/sums.h"

#define DS_UNKNOWN UINT64_MAX

/* For sums to which something unknown adds nothing. */
static inline uint64_t ds_known_or_zero(uint64_t value)
{
    return value == DS_UNKNOWN ? 0 : value;
}

/* The sum of what is known of two; unknown where neither is. */
static inline uint64_t ds_add_known(uint64_t a, uint64_t b)
{
    return a == DS_UNKNOWN ? b : b == DS_UNKNOWN ? a : ds_add(a, b);
}

/* sum / count in units of `unit`; NaN without any. */
static inline double ds_mean_or_nan(uint64_t sum, uint64_t count, double unit)
{
    return count == 0 ? NAN : (double)sum / (double)count * unit;
}

/* A double that is kept in a word, and the word that it is kept in. */
static inline double ds_double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, 8);
    return value;
}
static inline uint64_t ds_bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

#endif
