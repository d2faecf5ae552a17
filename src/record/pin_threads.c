/* SPDX-License-Identifier: Apache-2.0 */
#include "record/pin_threads.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomics.h"

#define CLAIMED UINT64_MAX /* somebody is moving in */

/* Written by one pin thread each. */
static struct pin_thread {
    uint64_t thread; /* kernel thread id; 0: free */
    uint64_t count;
    uint64_t total_ns;
    struct {
        uint64_t begin_ns, end_ns;
    } spans[PIN_SPANS];
} pin_threads[PIN_THREADS];

static _Thread_local struct pin_thread *own_place;
static _Thread_local uint64_t own_thread;

/* When the thread pinned last; 0: not yet. */
static uint64_t last_end_ns(const struct pin_thread *place)
{
    const uint64_t count = ds_load(&place->count);
    return count == 0 ? 0 : ds_load(&place->spans[(count - 1) % PIN_SPANS].end_ns);
}

/* One that an ended thread with the same id had, a free one, else that of the thread that pinned least
 * lately: it has ended, most likely. */
static struct pin_thread *choose_place(void)
{
    struct pin_thread *oldest = &pin_threads[0], *unused = NULL;
    for (uint32_t i = 0; i < PIN_THREADS; i++) {
        struct pin_thread *place = &pin_threads[i];
        const uint64_t thread = ds_load(&place->thread);
        if (thread == own_thread)
            return place;
        if (thread == 0 && unused == NULL)
            unused = place;
        if (last_end_ns(place) < last_end_ns(oldest))
            oldest = place;
    }
    return unused != NULL ? unused : oldest;
}

/* Once in a thread, and again when another took its place. NULL: two at once; the next batch will
 * do. */
static struct pin_thread *claim_place(void)
{
    struct pin_thread *place = choose_place();
    uint64_t before = ds_load(&place->thread);
    if (before == CLAIMED || !__atomic_compare_exchange_n(&place->thread, &before, CLAIMED, false,
                                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return NULL;
    ds_store(&place->total_ns, 0);
    ds_store(&place->count, 0);
    for (uint32_t i = 0; i < PIN_SPANS; i++) {
        ds_store(&place->spans[i].begin_ns, 0);
        ds_store(&place->spans[i].end_ns, 0);
    }
    ds_store_release(&place->thread, own_thread);
    return place;
}

void pin_threads_note(uint64_t begin_ns, uint64_t end_ns)
{
    if (own_thread == 0)
        own_thread = (uint64_t)syscall(SYS_gettid);
    if (own_place == NULL || ds_load(&own_place->thread) != own_thread)
        own_place = claim_place();
    struct pin_thread *own = own_place;
    if (own == NULL)
        return;
    const uint64_t count = ds_load(&own->count);
    ds_store(&own->spans[count % PIN_SPANS].end_ns, 0);
    ds_fence_release();
    ds_store(&own->spans[count % PIN_SPANS].begin_ns, begin_ns);
    ds_store_release(&own->spans[count % PIN_SPANS].end_ns, end_ns);
    ds_store(&own->total_ns, ds_load(&own->total_ns) + (end_ns - begin_ns));
    ds_store_release(&own->count, count + 1);
}

static void overlay(const struct pin_thread *place, uint64_t from, uint64_t to,
                    struct cause_timeline *timeline)
{
    for (uint32_t k = 0; k < PIN_SPANS; k++) {
        const uint64_t end_ns = ds_load_acquire(&place->spans[k].end_ns);
        const uint64_t begin_ns = ds_load(&place->spans[k].begin_ns);
        if (end_ns == 0 || end_ns <= from || begin_ns >= to || begin_ns > end_ns)
            continue;
        cause_overlay(timeline, begin_ns > from ? begin_ns : from, end_ns < to ? end_ns : to,
                      CAUSE_PIN);
    }
}

uint64_t pin_threads_overlay(uint64_t thread, uint64_t from, uint64_t to, uint64_t *total_ns,
                             struct cause_timeline *timeline)
{
    for (uint32_t i = 0; thread != 0 && i < PIN_THREADS; i++) {
        const struct pin_thread *place = &pin_threads[i];
        if (ds_load_acquire(&place->thread) != thread)
            continue;
        const uint64_t before_ns = *total_ns;
        *total_ns = ds_load(&place->total_ns);
        overlay(place, from, to, timeline);
        return *total_ns > before_ns ? *total_ns - before_ns : 0;
    }
    return 0;
}
