/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is in the vendor's library of this process. */
#include <pthread.h>

#include "gpu/sampler.h"

/* A child starts with nobody in it. */
static pthread_mutex_t library_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void forget_parent(void)
{
    pthread_mutex_init(&library_mutex, NULL);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_parent);
}

void gpu_library_enter(void)
{
    pthread_once(&library_once, watch_forks);
    pthread_mutex_lock(&library_mutex);
}

void gpu_library_leave(void)
{
    pthread_mutex_unlock(&library_mutex);
}
