/* Counters that are kept for several spans at once (a run, a stage, a second) and added up over
 * threads, loaders and processes. What each of them is stands in one table; how two of them combine
 * follows from it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_STATS_COUNTERS_H
#define DATASTALL_STATS_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

/* How two values of a counter become one. Sums that would wrap round stop just below unknown. */
enum counter_op {
    COUNTER_SUM,
    COUNTER_KNOWN_SUM, /* UINT64_MAX: not known, adds nothing */
    COUNTER_MAX,
    COUNTER_MIN,      /* of the values that another counter counts: without any, it is none */
    COUNTER_REAL_SUM, /* the bits of a double */
    COUNTER_REAL_MIN  /* likewise, of the values that another counter counts */
};

struct counter {
    const char *name; /* "STEADY_NS" */
    uint16_t words;   /* 1, or as many of a kind: an array */
    uint8_t op;       /* enum counter_op */
    uint16_t of;      /* a minimum's counter of values */
    const char *unit; /* "ns", "batches" ... */
    const char *meaning;
};

/* Adds `from` to `to`: the first `words` words of a table of `count` counters. Values of which
 * there are none (all zero) add nothing. */
void counters_add(const struct counter *table, uint32_t count, uint32_t words, uint64_t *to,
                  const uint64_t *from);

#endif
