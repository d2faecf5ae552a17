/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fork_guard.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hot.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

/* Before the first monitor the page is this static 0, which matches no generation. */
static uint64_t no_generation;
DS_HOT_DATA uint64_t *ds_fork_page = &no_generation;

static pthread_mutex_t page_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t handler_once = PTHREAD_ONCE_INIT;

static void wipe_in_child(void)
{
    __atomic_store_n(ds_fork_page, 0, __ATOMIC_RELAXED);
    /* A fork in the middle of ds_fork_generation() would leave the mutex held for ever. */
    pthread_mutex_init(&page_mutex, NULL);
}

/* Before the mutex is taken for the first time, so that no fork finds it held without the handler.
 * It also serves kernels before 4.14, which do not wipe. */
static void register_handler(void)
{
    pthread_atfork(NULL, NULL, wipe_in_child);
}

uint64_t ds_fork_generation(void)
{
    /* Copied by fork(), so that a child's new generation differs from every one of its parent. */
    static uint64_t last_generation;
    pthread_once(&handler_once, register_handler);
    pthread_mutex_lock(&page_mutex);
    if (ds_fork_page == &no_generation) {
        void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) {
            pthread_mutex_unlock(&page_mutex);
            return 0;
        }
        madvise(page, (size_t)sysconf(_SC_PAGESIZE), MADV_WIPEONFORK);
        __atomic_store_n(&ds_fork_page, page, __ATOMIC_RELEASE);
    }
    uint64_t generation = __atomic_load_n(ds_fork_page, __ATOMIC_RELAXED);
    if (generation == 0) {
        generation = ++last_generation;
        __atomic_store_n(ds_fork_page, generation, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&page_mutex);
    return generation;
}
