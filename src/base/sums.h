/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on figures that a file holds, each of which may be anything. */
#ifndef DATASTALL_BASE_SUMS_H
#define DATASTALL_BASE_SUMS_H

#include <stdint.h>

/* What a sum becomes that does not fit: "at least so much". Not DATASTALL_UNKNOWN. */
#define DS_MOST (UINT64_MAX - 1)

static inline uint64_t ds_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) || sum > DS_MOST ? DS_MOST : sum;
}

/* 0 where more is taken away than there is. */
static inline uint64_t ds_subtract(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static inline uint64_t ds_least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Where the least of some values is; the first of several. count 1 or more. */
static inline uint32_t ds_place_of_least(const uint64_t *values, uint32_t count)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (values[i] < values[least])
            least = i;
    }
    return least;
}

#endif
