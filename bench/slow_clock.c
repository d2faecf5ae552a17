/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by next_lines.py into a program that it steps through one instruction at a time, which makes a
 * wait of 10 us one of 50 ms: while the clock is slow, each reading is 0.7 us after the last. */
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define READING_NS 700

static int is_slow;
static int64_t now_ns;

void set_slow(int slow);

void set_slow(int slow)
{
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    is_slow = slow;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (!is_slow || clock != CLOCK_MONOTONIC)
        return (int)syscall(SYS_clock_gettime, clock, time);
    now_ns += READING_NS;
    time->tv_sec = now_ns / 1000000000;
    time->tv_nsec = now_ns % 1000000000;
    return 0;
}
