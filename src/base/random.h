/* SPDX-License-Identifier: Apache-2.0 */
/* A number that no other process gets. */
#ifndef DATASTALL_BASE_RANDOM_H
#define DATASTALL_BASE_RANDOM_H

#include <linux/random.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

/* Never waits: where the kernel has no random numbers yet, or refuses the call, the time. By its
 * number, since the C library has a name for it from glibc 2.25 on only. */
static inline uint64_t ds_random(void)
{
    uint64_t number = 0;
    if (syscall(SYS_getrandom, &number, sizeof number, GRND_NONBLOCK) != (long)sizeof number)
        number = ds_now_ns();
    return number;
}

#endif
