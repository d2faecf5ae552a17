/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/counters.h"

#include <string.h>

#include "base/unknown.h"

/* A minimum needs the numbers of values as they were, so these come first. */
static void take_minima(const struct counter *table, uint32_t count, uint32_t words, uint64_t *to,
                        const uint64_t *from)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < count && at < words; at += table[i++].words) {
        const uint32_t of = table[i].of;
        const bool real = table[i].op == COUNTER_REAL_MIN;
        if ((!real && table[i].op != COUNTER_MIN) || from[of] == 0)
            continue;
        const bool less = real ? ds_double_of(from[at]) < ds_double_of(to[at]) : from[at] < to[at];
        if (to[of] == 0 || less)
            to[at] = from[at];
    }
}

static uint64_t combine(enum counter_op op, uint64_t to, uint64_t from)
{
    switch (op) {
    case COUNTER_SUM:
        return ds_add(to, from);
    case COUNTER_KNOWN_SUM:
        return ds_add_known(to, from);
    case COUNTER_MAX:
        return from > to ? from : to;
    case COUNTER_REAL_SUM:
        return ds_bits_of(ds_double_of(to) + ds_double_of(from));
    default: /* a minimum, taken already */
        return to;
    }
}

void counters_add(const struct counter *table, uint32_t count, uint32_t words, uint64_t *to,
                  const uint64_t *from)
{
    take_minima(table, count, words, to, from);
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < table[i].words && at < words; k++, at++)
            to[at] = combine((enum counter_op)table[i].op, to[at], from[at]);
    }
}
