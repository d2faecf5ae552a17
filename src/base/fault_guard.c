/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault_guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/hot.h"

#define MAX_RANGES 64
#define MAX_COVERED 8

/* Read by the signal handler: a range counts while its start is not 0. */
static struct guarded_range {
    uint64_t start;
    uint64_t bytes;
    uint64_t *lost;
} ranges[MAX_RANGES];

/* Guards what follows, and who adds to the ranges. */
static pthread_mutex_t ranges_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction covered[MAX_COVERED]; /* by the handler function of the same index */
DS_HOT_DATA static uint64_t covered_count;    /* 0: the guard was never put in place */

DS_HOT_DATA struct ds_fault_guard_looks ds_fault_guard_looks;

static void look_soon(void)
{
    ds_store(&ds_fault_guard_looks.looked_ns, 0);
    ds_store(&ds_fault_guard_looks.every_ns, DS_FAULT_GUARD_LOOK_NS);
}

static bool replace_range_of(uint64_t address)
{
    for (int i = 0; i < MAX_RANGES; i++) {
        uint64_t start = ds_load_acquire(&ranges[i].start);
        if (start == 0 || address < start || address - start >= ds_load(&ranges[i].bytes))
            continue;
        void *place = mmap((void *)start, ds_load(&ranges[i].bytes), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (place == MAP_FAILED)
            return false;
        __atomic_store_n(ranges[i].lost, 1, __ATOMIC_RELAXED);
        return true;
    }
    return false;
}

/* A fault that repeats when the handler returns; any other was sent, and comes but once. */
static bool repeats(const siginfo_t *info)
{
    return info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
}

static void on_sigbus(int index, siginfo_t *info)
{
    if (info->si_code > 0 && replace_range_of((uint64_t)info->si_addr))
        return;
    /* Not by a call: its flags, its mask and its stack are the kernel's business. */
    sigaction(SIGBUS, &covered[index], NULL);
    look_soon();
    if (!repeats(info) &&
        syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), SIGBUS, info) != 0)
        raise(SIGBUS);
}

#define HANDLER(index)                                                               \
    static void on_sigbus_##index(int signal_number, siginfo_t *info, void *context) \
    {                                                                                \
        (void)signal_number;                                                         \
        (void)context;                                                               \
        on_sigbus(index, info);                                                      \
    }
HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)
HANDLER(4)
HANDLER(5)
HANDLER(6)
HANDLER(7)
static void (*const handlers[MAX_COVERED])(int, siginfo_t *, void *) = {
    on_sigbus_0, on_sigbus_1, on_sigbus_2, on_sigbus_3,
    on_sigbus_4, on_sigbus_5, on_sigbus_6, on_sigbus_7};

static bool is_ours(const struct sigaction *action)
{
    for (int i = 0; i < MAX_COVERED; i++) {
        if ((action->sa_flags & SA_SIGINFO) && action->sa_sigaction == handlers[i])
            return true;
    }
    return false;
}

static bool is_same(const struct sigaction *a, const struct sigaction *b)
{
    return a->sa_flags == b->sa_flags && a->sa_handler == b->sa_handler;
}

/* The handler function that covers this action; -1: none is left. */
static int cover(const struct sigaction *action)
{
    const uint64_t count = ds_load(&covered_count);
    for (uint64_t i = 0; i < count; i++) {
        if (is_same(&covered[i], action))
            return (int)i;
    }
    if (count == MAX_COVERED)
        return -1;
    covered[count] = *action;
    ds_store(&covered_count, count + 1);
    return (int)count;
}

/* Under the mutex. was_there: nothing had to be done. */
static bool put_in_place(bool *was_there)
{
    struct sigaction found = {0};
    if (sigaction(SIGBUS, NULL, &found) != 0)
        return false;
    *was_there = is_ours(&found);
    for (int tries = 0; tries < MAX_COVERED && !is_ours(&found); tries++) {
        const struct sigaction before = found;
        const int index = cover(&before);
        if (index < 0)
            return false;
        struct sigaction ours = {.sa_sigaction = handlers[index],
                                 .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&ours.sa_mask);
        if (sigaction(SIGBUS, &ours, &found) != 0)
            return false;
        if (is_same(&found, &before)) /* else: another thread set one just now, to be covered */
            return true;
    }
    return is_ours(&found);
}

/* Asked of the kernel itself: a step of the program lies between two looks, none of libc's way is in a
 * cache then. False: not so, or not known. A sanitizer, which has handlers of its own there, takes
 * the long way. */
DS_HOT static bool is_in_place(void)
{
#if defined __x86_64__ || defined __aarch64__
    uint64_t action[8]; /* handler, flags, restorer, mask */
    if (syscall(SYS_rt_sigaction, SIGBUS, NULL, action, sizeof(uint64_t)) != 0 ||
        !(action[1] & SA_SIGINFO))
        return false;
    for (int i = 0; i < MAX_COVERED; i++) {
        if (action[0] == (uint64_t)handlers[i])
            return true;
    }
#endif
    return false;
}

bool ds_fault_guard_renew(void)
{
    if (ds_load(&covered_count) == 0 || is_in_place())
        return true;
    if (pthread_mutex_trylock(&ranges_mutex) != 0)
        return false;
    bool was_there = false;
    put_in_place(&was_there);
    pthread_mutex_unlock(&ranges_mutex);
    return was_there;
}

void ds_fault_guard_look(uint64_t now_ns)
{
    const uint64_t every_ns = ds_load(&ds_fault_guard_looks.every_ns);
    ds_store(&ds_fault_guard_looks.looked_ns, now_ns);
    if (!ds_fault_guard_renew() || every_ns < DS_FAULT_GUARD_LOOK_NS)
        ds_store(&ds_fault_guard_looks.every_ns, DS_FAULT_GUARD_LOOK_NS);
    else if (every_ns < DS_FAULT_GUARD_MOST_NS)
        ds_store(&ds_fault_guard_looks.every_ns, 2 * every_ns);
}

void ds_fault_guard_after_fork(void)
{
    pthread_mutex_init(&ranges_mutex, NULL);
    look_soon();
}

int ds_fault_guard(void *start, size_t bytes, uint64_t *lost)
{
    int handle = -1;
    bool was_there;
    pthread_mutex_lock(&ranges_mutex);
    const bool in_place = put_in_place(&was_there);
    for (int i = 0; in_place && i < MAX_RANGES; i++) {
        if (ds_load(&ranges[i].start) != 0)
            continue;
        ranges[i].lost = lost;
        ds_store(&ranges[i].bytes, bytes);
        ds_store_release(&ranges[i].start, (uint64_t)start);
        handle = i;
        break;
    }
    pthread_mutex_unlock(&ranges_mutex);
    return handle;
}

void ds_fault_unguard(int handle)
{
    if (handle >= 0)
        ds_store_release(&ranges[handle].start, 0);
}
