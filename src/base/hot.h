/* SPDX-License-Identifier: Apache-2.0 */
/* What runs for every batch lies together in the program, apart from what runs once in a while. After
 * a step of the host's program none of it is in a cache: what counts is how many lines and pages are
 * touched, then how many instructions run, each for the first time; hot, it would be some tenth of that. */
#ifndef DATASTALL_BASE_HOT_H
#define DATASTALL_BASE_HOT_H

#include <stddef.h>

/* A function that runs for every batch, and one that is called from such and hardly ever runs. */
#define DS_HOT __attribute__((hot))
#define DS_COLD __attribute__((cold, noinline))

/* What each wait passes, in as few pages as it has: up to the call of what is waited for, and what follows it. The
 * linker puts such sections together, in the order of their names. */
#define DS_EACH_WAIT __attribute__((hot, section(".text.sorted.datastall.1")))
#define DS_WAIT_END __attribute__((hot, section(".text.sorted.datastall.2")))

/* What hardly any wait comes to: out of the way of the rest, which then lies in fewer lines. */
#define DS_SELDOM(condition) __builtin_expect(!!(condition), 0)
#define DS_MOSTLY(condition) __builtin_expect(!!(condition), 1)

/* A small variable of the process that is read for every batch. */
#define DS_HOT_DATA __attribute__((section("datastall_hot")))

/* The address of a thread-local variable, in a register: the compiler would ask for it by a call after each
 * call. No function of ours goes on in another thread. */
#define DS_KEPT(address)                       \
    __extension__({                            \
        __typeof__(address) kept_ = (address); \
        __asm__("" : "+r"(kept_));             \
        kept_;                                 \
    })

/* A struct that begins with a cache line. */
#define DS_LINE_BYTES 64
#define DS_LINE_ALIGNED __attribute__((aligned(DS_LINE_BYTES)))

/* Lines that are read or written soon. Each that is not in a cache is waited for in turn where one leads to
 * the next; asked for together they come together. Any address will do, also one that is gone; NULL
 * fetches nothing. */
static inline void ds_fetch(const void *address)
{
    __builtin_prefetch(address);
}
static inline void ds_fetch_lines(const void *address, int count)
{
    for (int i = 0; address != NULL && i < count; i++)
        ds_fetch((const char *)address + i * DS_LINE_BYTES);
}

#endif
