/* SPDX-License-Identifier: Apache-2.0 */
/* The one clock of every figure: CLOCK_MONOTONIC. Real time appears only in pairs with it. */
#ifndef DATASTALL_BASE_CLOCK_H
#define DATASTALL_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define DS_NS_PER_S UINT64_C(1000000000)

static inline uint64_t ds_clock_ns_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * DS_NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline uint64_t ds_now_ns(void)
{
    return ds_clock_ns_of(CLOCK_MONOTONIC);
}

static inline uint64_t ds_real_ns(void)
{
    return ds_clock_ns_of(CLOCK_REALTIME);
}

#endif
