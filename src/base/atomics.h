/* SPDX-License-Identifier: Apache-2.0 */
/* Relaxed atomic words and the two fences of the commit protocol.
 *
 * Everything that two threads or processes may see at once is a 64-bit word accessed through these.
 * On x86-64 and aarch64 a relaxed access is a plain mov/ldr, so this costs nothing and keeps both
 * the compiler and the thread sanitizer honest.
 */
#ifndef DATASTALL_BASE_ATOMICS_H
#define DATASTALL_BASE_ATOMICS_H

#include <stdint.h>

static inline uint64_t ds_load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint64_t ds_load_acquire(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void ds_store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void ds_store_release(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Stores before it are visible before stores after it. */
static inline void ds_fence_release(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Loads before it happen before loads after it. */
static inline void ds_fence_acquire(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void ds_copy_words(uint64_t *to, const uint64_t *from, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        to[i] = ds_load(&from[i]);
}

#endif
