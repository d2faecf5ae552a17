/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the waits of a thread on a loader are short for now, so that what is asked about each of them
 * may be asked about some. What is lost where waits turn out to be long is bounded: 1 / QUIET_PART of the
 * time, made good before the next may be lost (of which QUIET_MOST_NS may be saved up). Pure arithmetic. */
#ifndef DATASTALL_RECORD_QUIET_H
#define DATASTALL_RECORD_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sums.h"

#define QUIET_AFTER 64u               /* short waits in a row */
#define QUIET_WAIT_NS INT64_C(250000) /* so long is short */
#define QUIET_PART 1000
#define QUIET_MOST_NS INT64_C(10000000)

/* All zeros: nothing is known yet. */
struct quiet_waits {
    uint64_t noted_ns;    /* when the last wait ended */
    int64_t allowance_ns; /* so much of long waits may still be lost; less than 0: too much was */
    uint32_t in_row;
};

/* The next wait is taken to be short. */
static inline bool quiet_expected(const struct quiet_waits *quiet)
{
    return quiet->in_row == QUIET_AFTER && quiet->allowance_ns >= 0;
}

/* A wait ended. Of one that was known to be long before it began nothing is to be told. */
static inline void quiet_note(struct quiet_waits *quiet, uint64_t end_ns, uint64_t wait_ns)
{
    const bool expected = quiet_expected(quiet);
    if (quiet->noted_ns != 0)
        quiet->allowance_ns += (int64_t)(ds_subtract(end_ns, quiet->noted_ns) / QUIET_PART);
    if (quiet->allowance_ns > QUIET_MOST_NS)
        quiet->allowance_ns = QUIET_MOST_NS;
    quiet->noted_ns = end_ns;
    if (wait_ns <= (uint64_t)QUIET_WAIT_NS)
        quiet->in_row += quiet->in_row < QUIET_AFTER;
    else if (expected && wait_ns <= INT64_MAX / 2)
        quiet->allowance_ns -= (int64_t)wait_ns;
    else
        quiet->in_row = 0;
}

/* Of waits that are alike some are asked about in turn, after 7 to 22 that are not: no habit of a program's, like
 * something that it does at every eighth step, falls together with that. All zeros: the next one is. */
struct quiet_turns {
    uint32_t left, random;
};

static inline bool quiet_is_left_out(struct quiet_turns *turns)
{
    if (turns->left == 0)
        return false;
    turns->left--;
    return true;
}

static inline void quiet_begin_turn(struct quiet_turns *turns)
{
    turns->random = turns->random * 1664525u + 1013904223u; /* of Numerical Recipes */
    turns->left = 7 + (turns->random >> 16) % 16;
}

#endif
