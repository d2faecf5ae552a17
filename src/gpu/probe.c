/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/probe.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/random.h"
#include "gpu/capturers.h"
#include "gpu/stall.h"

/* The driver and the interpreter have one lock each, for which a loop that launches all the time may
 * wait. What that costs was too little to be told at one question each 25 ms (docs/steps.md). */
#define MEAN_PAUSE_NS (DS_NS_PER_S / 40)
#define LOOK_EVERY 3u /* rounds */
#define STACK_BYTES (UINT64_C(512) << 10)
#define MOST_PATIENCE_NS (2 * DS_NS_PER_S)

struct target {
    struct steps *steps; /* NULL: free */
    void *context;
    uint64_t stream;
    bool failed; /* a call failed in this context: it is not asked again */
};

/* The lock is held for some instructions only, never in a call of the driver or of Python: who takes
 * it may hold what these wait for. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t stop;
    pthread_t thread;
    uint64_t generation; /* of the process that the thread is of; 0: there is none */
    bool by_hand, ending, exits_with_us;
    struct target targets[RF_STEPS_ENTRIES];
    uint64_t rounds;
    probe_look *look;
} probe = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- asking ---- */

/* What was told goes to the thread's steps, if they are still asked about. */
static bool take_answer(uint32_t place, const struct target *asked, uint64_t interval,
                        enum stall_peek told)
{
    struct target *target = &probe.targets[place];
    struct steps *s = asked->steps;
    const uint64_t clock = stall_has_side_streams() ? RF_STEPS_CLOCK_BOUND : RF_STEPS_CLOCK_QUEUE;
    const bool known = told == STALL_PEEK_BUSY || told == STALL_PEEK_EMPTY;
    pthread_mutex_lock(&probe.mutex);
    const bool same = target->steps == s && target->context == asked->context;
    if (same) {
        target->failed |= told == STALL_PEEK_FAILED;
        if (known && ds_load(&s->entry[RF_STEPS_CLOCK]) != clock)
            ds_store(&s->entry[RF_STEPS_CLOCK], clock);
        steps_answer(s, interval,
                     !known                     ? STEPS_UNTOLD
                     : told == STALL_PEEK_EMPTY ? STEPS_EMPTY
                                                : STEPS_BUSY);
    }
    pthread_mutex_unlock(&probe.mutex);
    return same && known;
}

static enum stall_peek question(const struct target *target)
{
    if (target->failed || !capturers_question_begins())
        return STALL_PEEK_UNTOLD;
    const enum stall_peek told = stall_peek(target->context, target->stream);
    capturers_question_ends();
    return told;
}

static void ask(uint32_t place, bool look)
{
    pthread_mutex_lock(&probe.mutex);
    const struct target target = probe.targets[place];
    probe_look *const call = probe.look;
    const bool asks = target.steps != NULL && monitor_is_recording(target.steps->monitor);
    const uint64_t interval = asks ? ds_load(&target.steps->interval) : 0;
    pthread_mutex_unlock(&probe.mutex);
    if (!asks)
        return;
    const enum stall_peek told = question(&target);
    if (take_answer(place, &target, interval, told) && look && call != NULL)
        call(target.steps, interval, told == STALL_PEEK_EMPTY);
}

/* Asks nothing, and notes why where nothing was asked before. */
static void leave_alone(uint32_t place)
{
    pthread_mutex_lock(&probe.mutex);
    struct steps *s = probe.targets[place].steps;
    if (s != NULL && monitor_is_recording(s->monitor)) {
        if (ds_load(&s->entry[RF_STEPS_CLOCK]) == RF_STEPS_CLOCK_HOST)
            ds_store(&s->entry[RF_STEPS_CLOCK], RF_STEPS_CLOCK_CAPTURERS);
        steps_answer(s, ds_load(&s->interval), STEPS_UNTOLD);
    }
    pthread_mutex_unlock(&probe.mutex);
}

void probe_ask(bool look)
{
    const bool asks = !capturers_there();
    for (uint32_t i = 0; i < RF_STEPS_ENTRIES; i++) {
        if (asks)
            ask(i, look);
        else
            leave_alone(i);
    }
    pthread_mutex_lock(&probe.mutex);
    probe.rounds++;
    pthread_mutex_unlock(&probe.mutex);
}

/* ---- the thread ---- */

/* From half of the mean to one and a half: no rhythm of a program hides from it. */
static struct timespec next_round(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    const uint64_t at_ns = ds_now_ns() + MEAN_PAUSE_NS / 2 + *random % (MEAN_PAUSE_NS + 1);
    return (struct timespec){(time_t)(at_ns / DS_NS_PER_S), (long)(at_ns % DS_NS_PER_S)};
}

/* False: it is to end. */
static bool pause_for_a_moment(uint64_t *random)
{
    const struct timespec at = next_round(random);
    pthread_mutex_lock(&probe.mutex);
    while (!probe.ending && pthread_cond_timedwait(&probe.stop, &probe.mutex, &at) == 0)
        ;
    const bool goes_on = !probe.ending;
    pthread_mutex_unlock(&probe.mutex);
    return goes_on;
}

static void *run(void *unused)
{
    (void)unused;
    uint64_t random = ds_random() | 1;
    for (uint64_t round = 0; pause_for_a_moment(&random); round++)
        probe_ask(round % LOOK_EVERY == 0);
    return NULL;
}

static void make_condition(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&probe.stop, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* The caller holds the lock. Without the thread nothing is known of the GPU, no more. */
static void start_thread(void)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    const uint64_t generation = ds_fork_generation();
    if (probe.by_hand || probe.generation == generation || generation == 0)
        return;
    make_condition();
    probe.ending = false;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&probe.thread, &attributes, run, NULL) == 0)
        probe.generation = generation;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

static bool thread_is_there(void)
{
    return probe.generation != 0 && ds_fork_same_process(probe.generation);
}

/* It may be in a call of the driver that hangs, or wait for what whoever ends the process holds: then
 * it is left where it is. */
static bool join_in_time(pthread_t thread)
{
    const uint64_t until_ns = ds_real_ns() + MOST_PATIENCE_NS;
    const struct timespec until = {(time_t)(until_ns / DS_NS_PER_S),
                                   (long)(until_ns % DS_NS_PER_S)};
    return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

static void end_thread(void)
{
    pthread_mutex_lock(&probe.mutex);
    const bool there = thread_is_there() && !probe.ending;
    const pthread_t thread = probe.thread;
    probe.ending = true;
    if (there)
        pthread_cond_signal(&probe.stop);
    pthread_mutex_unlock(&probe.mutex);
    if (!there || !join_in_time(thread))
        return;
    pthread_mutex_lock(&probe.mutex);
    probe.generation = 0;
    pthread_mutex_unlock(&probe.mutex);
}

/* ---- whom it asks about ---- */

/* In a forked child: the parent's thread may have held the lock, and is not there. */
static void forget_parent(void)
{
    pthread_mutex_init(&probe.mutex, NULL);
    capturers_in_child();
    for (uint32_t i = 0; i < RF_STEPS_ENTRIES; i++)
        probe.targets[i].steps = NULL;
    probe.generation = 0;
    probe.ending = false;
}

static void exit_with_the_process(void)
{
    if (probe.exits_with_us)
        return;
    probe.exits_with_us = true;
    /* Registered after CUDA's, so called before it: nobody asks a driver that has gone. */
    atexit(end_thread);
    pthread_atfork(capturers_before_fork, capturers_after_fork, forget_parent);
}

static struct target *target_of(const struct steps *steps)
{
    for (uint32_t i = 0; i < RF_STEPS_ENTRIES; i++) {
        if (probe.targets[i].steps == steps)
            return &probe.targets[i];
    }
    return NULL;
}

void probe_follow(struct steps *steps, void *context, uint64_t stream)
{
    if (__atomic_load_n(&steps->context, __ATOMIC_RELAXED) == context && steps->stream == stream)
        return;
    if (pthread_mutex_trylock(&probe.mutex) != 0)
        return; /* at the next step, then */
    __atomic_store_n(&steps->context, context, __ATOMIC_RELAXED);
    steps->stream = stream;
    exit_with_the_process();
    struct target *target = target_of(steps);
    if (target == NULL)
        target = target_of(NULL);
    if (target != NULL)
        *target = (struct target){steps, context, stream, false};
    start_thread();
    pthread_mutex_unlock(&probe.mutex);
}

void probe_set_look(probe_look *look)
{
    pthread_mutex_lock(&probe.mutex);
    probe.look = look;
    pthread_mutex_unlock(&probe.mutex);
}

void probe_stop(const datastall_monitor *monitor)
{
    bool any = false, others = false;
    pthread_mutex_lock(&probe.mutex);
    for (uint32_t i = 0; i < RF_STEPS_ENTRIES; i++) {
        struct target *target = &probe.targets[i];
        if (target->steps != NULL && target->steps->monitor == monitor) {
            __atomic_store_n(&target->steps->context, NULL, __ATOMIC_RELAXED);
            target->steps = NULL;
            any = true;
        }
        others |= target->steps != NULL;
    }
    pthread_mutex_unlock(&probe.mutex);
    if (!any)
        return;
    end_thread(); /* it may be in a look at what the caller frees */
    if (!others)
        return;
    pthread_mutex_lock(&probe.mutex);
    start_thread();
    pthread_mutex_unlock(&probe.mutex);
}

uint64_t probe_rounds(void)
{
    pthread_mutex_lock(&probe.mutex);
    const uint64_t rounds = probe.rounds;
    pthread_mutex_unlock(&probe.mutex);
    return rounds;
}

void probe_by_hand(void)
{
    probe.by_hand = true;
}
