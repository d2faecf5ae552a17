/* SPDX-License-Identifier: Apache-2.0 */
/* Why a loader is slow: what was recorded, row by row, and the cause that it shows. The rules are
 * those of docs/causes.md. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/why_try.h"
#include "support.h"
#include "world.h"

#define WINDOW (100 * S) /* of the loader, unless a row has another */

/* A loader that waited for stall_ns of its window, of which nothing is known. */
static uint64_t *begin_loader(uint64_t stall_ns)
{
    begin_world(1);
    set_wait(0, 10 * S, 10 * S + WINDOW, stall_ns);
    world.loaders[0].totals.counters[RF_COUNT_ITERATORS] = 1;
    return world.loaders[0].totals.counters;
}

static struct why_around around = {.life_ns = DATASTALL_UNKNOWN, .stopped_ns = DATASTALL_UNKNOWN};

/* What the counters say of it; every function below takes the answer of the last one asked. */
static const struct why *asked(void)
{
    static struct why why;
    const struct stall stall = rf_stall_of(world.loaders[0].totals.counters);
    why_make(&world.processes[0], &world.loaders[0], &stall, &around, &why);
    return &why;
}

static void assert_cause(size_t row, uint32_t wanted)
{
    const struct why *why = asked();
    if (why->primary != wanted)
        fail_msg("row %zu: %s instead of %s", row, why_name(why->primary), why_name(wanted));
}

/* ---- which cause ---- */

static void the_least_stall_that_has_a_cause(void **state)
{
    (void)state;
    static const struct {
        uint64_t stall_ms; /* of a hundred seconds */
        uint32_t cause;
    } rows[] = {
        {0, WHY_NONE},           {1, WHY_NONE},         {4999, WHY_NONE},
        {5000, CAUSE_COMPUTE},   {5001, CAUSE_COMPUTE}, {100000, CAUSE_COMPUTE},
        {200000, CAUSE_COMPUTE}, /* of several threads */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(rows[i].stall_ms * MS);
        c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] = rows[i].stall_ms * MS;
        assert_cause(i, rows[i].cause);
        assert_figure(asked()->stall_share, fmin(1.0, (double)rows[i].stall_ms * 1e-5));
    }
}

static void without_a_window_there_is_no_cause(void **state)
{
    (void)state;
    static const uint64_t ends[] = {0, 1, 9 * S, 10 * S, 10 * S + 1};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        uint64_t *c = begin_loader(10 * S);
        c[RF_COUNT_CAUSE_NS + CAUSE_PIN] = 10 * S;
        c[RF_COUNT_END_NS] = ends[i];
        assert_cause(i, ends[i] > 10 * S ? CAUSE_PIN : CAUSE_UNKNOWN);
        assert_figure(asked()->stall_share, ends[i] > 10 * S ? 1.0 : NAN);
    }
}

static void the_largest_state_is_the_cause(void **state)
{
    (void)state;
    for (uint32_t largest = 0; largest < CAUSE_STATES; largest++) {
        uint64_t *c = begin_loader((2 * CAUSE_STATES + 2) * S);
        c[RF_COUNT_ITERATORS] = 2; /* start-up counts as well */
        for (uint32_t i = 0; i < CAUSE_STATES; i++)
            c[RF_COUNT_CAUSE_NS + i] = 2 * S + (i == largest ? 2 * S : 0);
        assert_cause(largest, largest);
        const struct why *why = asked();
        for (uint32_t i = 0; i < CAUSE_STATES; i++) {
            assert_int_equal(why->states_ns[i], (i == largest ? 4 : 2) * S);
            assert_figure(why->shares[i], (i == largest ? 4 : 2) / (2.0 * CAUSE_STATES + 2));
        }
    }
    /* Of two that are equal the first. */
    uint64_t *c = begin_loader(20 * S);
    c[RF_COUNT_CAUSE_NS + CAUSE_COLLATE] = c[RF_COUNT_CAUSE_NS + CAUSE_PIN] = 10 * S;
    assert_cause(0, CAUSE_COLLATE);
}

/* What no state has is unknown, and no more than there is can have a state. */
static void states_are_the_whole_of_the_stall(void **state)
{
    (void)state;
    static const struct {
        uint64_t compute_s, startup_s, unknown_s; /* as the file has them */
        uint64_t compute, startup, unknown;       /* as they are taken, of 20 s */
    } rows[] = {
        {0, 0, 0, 0, 0, 20},  {8, 0, 0, 8, 0, 12},    {8, 4, 1, 8, 4, 8},
        {8, 4, 8, 8, 4, 8},   {20, 0, 0, 20, 0, 0},   {19, 1, 0, 19, 1, 0},
        {30, 0, 0, 20, 0, 0}, {15, 15, 15, 15, 5, 0}, {8, 4, 100, 8, 4, 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(20 * S);
        c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] = rows[i].compute_s * S;
        c[RF_COUNT_CAUSE_NS + CAUSE_STARTUP] = rows[i].startup_s * S;
        c[RF_COUNT_CAUSE_NS + CAUSE_UNKNOWN] = rows[i].unknown_s * S;
        const struct why *why = asked();
        assert_int_equal(why->stall_ns, 20 * S);
        assert_int_equal(why->states_ns[CAUSE_COMPUTE], rows[i].compute * S);
        assert_int_equal(why->states_ns[CAUSE_STARTUP], rows[i].startup * S);
        assert_int_equal(why->states_ns[CAUSE_UNKNOWN], rows[i].unknown * S);
    }
    begin_loader(0);
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        assert_true(isnan(asked()->shares[i]));
    assert_true(isnan(asked()->head_of_line) && isnan(asked()->window));
}

/* Exposed where events told, and the wait where they did not. */
static void the_stall_is_what_the_verdict_takes(void **state)
{
    (void)state;
    static const struct {
        uint64_t known_s, upper_s, stall_s; /* of 20 s of waiting */
    } rows[] = {{0, 0, 20}, {20, 20, 20}, {20, 6, 6}, {15, 6, 11}, {20, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(20 * S);
        c[RF_COUNT_STALL_KNOWN_NS] = rows[i].known_s * S;
        c[RF_COUNT_STALL_UPPER_NS] = rows[i].upper_s * S;
        c[RF_COUNT_STALL_LOWER_NS] = rows[i].upper_s * S / 2;
        assert_int_equal(asked()->stall_ns, rows[i].stall_s * S);
        assert_figure(asked()->stall_share, (double)rows[i].stall_s * 0.01);
    }
}

/* What happens once is a cause from a second on, or where the rest is one. */
static void start_up(void **state)
{
    (void)state;
    static const struct {
        uint64_t iterators, startup_ms, rest_ms, window_ms;
        uint32_t cause;
    } rows[] = {
        /* one: long enough by itself */
        {1, 999, 0, 10000, WHY_NONE},
        {1, 1000, 0, 10000, CAUSE_STARTUP},
        {1, 1001, 0, 10000, CAUSE_STARTUP},
        {0, 999, 0, 10000, WHY_NONE},
        {0, 1000, 0, 10000, CAUSE_STARTUP},
        /* or a rest that is a twentieth of the window */
        {1, 900, 498, 10000, WHY_NONE},
        {1, 900, 500, 10000, CAUSE_PIN}, /* then it is that rest */
        {1, 900, 502, 10000, CAUSE_PIN},
        {1, 600, 700, 10000, CAUSE_PIN},
        {1, 999, 990, 10000, CAUSE_PIN},
        {1, 1000, 990, 10000, CAUSE_STARTUP}, /* from then on it is a state as any other */
        /* several: each one counts */
        {2, 999, 0, 10000, CAUSE_STARTUP},
        {2, 600, 0, 10000, CAUSE_STARTUP},
        {2, 499, 0, 10000, WHY_NONE}, /* too little of the window, whatever it is */
        {100, 600, 10, 10000, CAUSE_STARTUP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(0);
        c[RF_COUNT_OTHER_NS] = rows[i].startup_ms * MS;
        c[RF_COUNT_STEADY_NS] = rows[i].rest_ms * MS;
        c[RF_COUNT_END_NS] = 10 * S + rows[i].window_ms * MS;
        c[RF_COUNT_ITERATORS] = rows[i].iterators;
        c[RF_COUNT_CAUSE_NS + CAUSE_STARTUP] = rows[i].startup_ms * MS;
        c[RF_COUNT_CAUSE_NS + CAUSE_PIN] = rows[i].rest_ms * MS;
        assert_cause(i, rows[i].cause);
    }
}

/* Of one iterator: the order of one long epoch is drawn once, and is the sampler's; of several, and where
 * the rest is a stall too, the largest state. */
static void one_long_epoch(void **state)
{
    (void)state;
    static const struct {
        uint64_t iterators, sampler_ms, startup_ms,
            rest_ms; /* of twenty seconds; the first two once */
        uint32_t cause;
    } rows[] = {
        {1, 2000, 500, 0, CAUSE_SAMPLER}, {1, 500, 2000, 0, CAUSE_STARTUP},
        {1, 600, 399, 0, WHY_NONE}, /* less than a second */
        {1, 600, 500, 0, CAUSE_SAMPLER},  {1, 2000, 500, 990, CAUSE_SAMPLER},
        {1, 1100, 100, 1900, CAUSE_PIN},  {2, 2000, 500, 0, CAUSE_SAMPLER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t once_ms = rows[i].sampler_ms + rows[i].startup_ms;
        uint64_t *c = begin_loader(0);
        c[RF_COUNT_OTHER_NS] = c[RF_COUNT_STARTUP_NS] = once_ms * MS;
        c[RF_COUNT_STEADY_NS] = rows[i].rest_ms * MS;
        c[RF_COUNT_END_NS] = 30 * S;
        c[RF_COUNT_ITERATORS] = rows[i].iterators;
        c[RF_COUNT_CAUSE_NS + CAUSE_SAMPLER] = rows[i].sampler_ms * MS;
        c[RF_COUNT_CAUSE_NS + CAUSE_STARTUP] = rows[i].startup_ms * MS;
        c[RF_COUNT_CAUSE_NS + CAUSE_PIN] = rows[i].rest_ms * MS;
        assert_cause(i, rows[i].cause);
    }
}

/* Half of what is not start-up, by what the other workers could not do. */
static void head_of_line(void **state)
{
    (void)state;
    static const struct {
        uint64_t startup_ms, ready_ms, idle_ms; /* of ten seconds of stall */
        uint32_t cause;
    } rows[] = {
        {0, 10000, 0, CAUSE_BLOCKED},
        {0, 10000, 4999, CAUSE_BLOCKED},
        {0, 10000, 5000, WHY_HEAD_OF_LINE},
        {0, 10000, 10000, WHY_HEAD_OF_LINE},
        {0, 4999, 10000, CAUSE_BLOCKED}, /* idle only while one was ready */
        {0, 5000, 10000, WHY_HEAD_OF_LINE},
        {0, 20000, 20000, WHY_HEAD_OF_LINE}, /* damage: no more than there is */
        {4000, 10000, 2999, CAUSE_BLOCKED},
        {4000, 10000, 3000, WHY_HEAD_OF_LINE},
        {5001, 10000, 10000, CAUSE_STARTUP}, /* which no order of batches helps */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(10 * S);
        c[RF_COUNT_CAUSE_NS + CAUSE_STARTUP] = rows[i].startup_ms * MS;
        c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = 10 * S - rows[i].startup_ms * MS;
        c[RF_COUNT_LATER_READY_NS] = rows[i].ready_ms * MS;
        c[RF_COUNT_OTHERS_IDLE_NS] = rows[i].idle_ms * MS;
        assert_cause(i, rows[i].cause);
        const struct why *why = asked();
        const uint64_t ready_ms = rows[i].ready_ms < 10000 ? rows[i].ready_ms : 10000;
        assert_int_equal(why->later_ready_ns, ready_ms * MS);
        assert_int_equal(why->others_idle_ns,
                         (rows[i].idle_ms < ready_ms ? rows[i].idle_ms : ready_ms) * MS);
        assert_figure(why->head_of_line, (double)ready_ms * 1e-4);
        assert_figure(why->window, 0);
    }
}

/* The window is the cause where a larger one removes half of its part in a replay. */
static void the_window(void **state)
{
    (void)state;
    static const struct {
        uint64_t idle_ms, full_ms, before_ms, after_ms; /* of ten seconds of stall */
        uint64_t window_ms;
        uint32_t cause;
    } rows[] = {
        {10000, 8000, 9000, 1000, 8000, WHY_WINDOW},
        {10000, 5000, 9000, 1000, 5000, WHY_WINDOW},
        {10000, 4999, 9000, 1000, 4999, WHY_HEAD_OF_LINE},
        {4000, 8000, 9000, 1000, 4000, CAUSE_COLLATE}, /* full only while they were idle */
        {6000, 8000, 9000, 1000, 6000, WHY_WINDOW},
        {10000, 8000, 9000, 5000, 8000, WHY_WINDOW}, /* exactly half of it is removed */
        {10000, 8000, 9000, 5001, 0, WHY_HEAD_OF_LINE},
        {10000, 8000, 9000, 9000, 0, WHY_HEAD_OF_LINE},
        {10000, 8000, 5000, 9000, 0, WHY_HEAD_OF_LINE},
        {10000, 0, 5000, 5000, 0, WHY_HEAD_OF_LINE},
        {10000, 8000, 0, 0, 0, WHY_HEAD_OF_LINE}, /* nothing was replayed */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(10 * S);
        c[RF_COUNT_CAUSE_NS + CAUSE_COLLATE] = 10 * S;
        c[RF_COUNT_LATER_READY_NS] = 10 * S;
        c[RF_COUNT_OTHERS_IDLE_NS] = rows[i].idle_ms * MS;
        c[RF_COUNT_WINDOW_FULL_NS] = rows[i].full_ms * MS;
        c[RF_COUNT_REPLAY_NS] = rows[i].before_ms * MS;
        c[RF_COUNT_REPLAY_LARGER_NS] = rows[i].after_ms * MS;
        assert_cause(i, rows[i].cause);
        assert_int_equal(asked()->window_ns, rows[i].window_ms * MS);
        assert_figure(asked()->window, (double)rows[i].window_ms * 1e-4);
    }
}

static void start_up_does_not_count_for_the_window(void **state)
{
    (void)state;
    static const struct {
        uint64_t full_ms;
        uint32_t cause;
    } rows[] = {{2999, WHY_HEAD_OF_LINE}, {3000, WHY_WINDOW}};
    for (size_t i = 0; i < 2; i++) {
        uint64_t *c = begin_loader(10 * S);
        c[RF_COUNT_CAUSE_NS + CAUSE_STARTUP] = 4 * S;
        c[RF_COUNT_CAUSE_NS + CAUSE_COLLATE] = 6 * S;
        c[RF_COUNT_LATER_READY_NS] = c[RF_COUNT_OTHERS_IDLE_NS] = 10 * S;
        c[RF_COUNT_WINDOW_FULL_NS] = rows[i].full_ms * MS;
        c[RF_COUNT_REPLAY_NS] = 10 * S;
        assert_cause(i, rows[i].cause);
    }
}

/* ---- what the workers show ---- */

/* Three workers of a stream that are blocked for all of the stall, each with so many items. */
static uint64_t *begin_stream(const uint64_t items[3], uint64_t ended, uint64_t asked_which)
{
    uint64_t *c = begin_loader(20 * S);
    world.loaders[0].entry.num_workers = 3;
    world.loaders[0].entry.flags = DATASTALL_LOADER_STREAM;
    c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = 20 * S;
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t *t = add_worker()->totals;
        t[RF_TOTAL_ITEMS] = items[i];
        t[RF_TOTAL_ITEMS_NS] = 20 * S;
        t[RF_TOTAL_ENDED] = ended;
        t[RF_TOTAL_ASKED_WHICH] = asked_which;
    }
    return c;
}

/* Head of line in a stream whose workers have as many items each: one has the dear ones. */
static void dear_items_of_one_worker(void **state)
{
    (void)state;
    static const struct {
        uint64_t items[3], seconds[3], flags;
        uint32_t state, cause;
    } rows[] = {
        {{50, 50, 50}, {1, 1, 20}, DATASTALL_LOADER_STREAM, CAUSE_BLOCKED, WHY_UNEVEN_SHARDS},
        {{50, 50, 50}, {50, 51, 100}, DATASTALL_LOADER_STREAM, CAUSE_COLLATE, WHY_UNEVEN_SHARDS},
        {{50, 50, 50}, {51, 51, 100}, DATASTALL_LOADER_STREAM, CAUSE_BLOCKED, WHY_HEAD_OF_LINE},
        {{50, 50, 50}, {1, 1, 20}, 0, CAUSE_BLOCKED, WHY_HEAD_OF_LINE},
        {{50, 50, 50}, {1, 1, 20}, DATASTALL_LOADER_STREAM, CAUSE_TRANSFER, WHY_HEAD_OF_LINE},
        {{80, 20, 50}, {1, 1, 20}, DATASTALL_LOADER_STREAM, CAUSE_BLOCKED, WHY_HEAD_OF_LINE},
        {{60, 60, 60}, {1, 1, 20}, DATASTALL_LOADER_STREAM, CAUSE_BLOCKED, WHY_UNEVEN_SHARDS},
        {{75, 75, 75}, {1, 1, 20}, DATASTALL_LOADER_STREAM, CAUSE_BLOCKED, WHY_UNEVEN_SHARDS},
        {{50, 50, 0}, {10, 10, 0}, DATASTALL_LOADER_STREAM, CAUSE_BLOCKED, WHY_HEAD_OF_LINE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_stream(rows[i].items, 0, 1);
        world.loaders[0].entry.flags = rows[i].flags;
        for (uint32_t w = 0; w < 3; w++)
            world.workers[w].totals[RF_TOTAL_ITEMS_NS] = rows[i].seconds[w] * S;
        c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = 0;
        c[RF_COUNT_CAUSE_NS + rows[i].state] = 20 * S;
        c[RF_COUNT_LATER_READY_NS] = c[RF_COUNT_OTHERS_IDLE_NS] = 20 * S;
        assert_cause(i, rows[i].cause);
    }
    /* As many items as 1.5 times those of the one with the fewest are alike. */
    const uint64_t least[][3] = {{85, 40, 55}, {85, 40, 56}};
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t *c = begin_stream(least[i], 0, 1);
        world.workers[0].totals[RF_TOTAL_ITEMS_NS] = 200 * S;
        c[RF_COUNT_LATER_READY_NS] = c[RF_COUNT_OTHERS_IDLE_NS] = 20 * S;
        assert_cause(i, i == 0 ? WHY_UNEVEN_SHARDS : WHY_HEAD_OF_LINE);
    }
    /* One worker of it has no other to wait for it. */
    uint64_t *c = begin_stream(least[0], 0, 1);
    world.loaders[0].entry.num_workers = 1;
    c[RF_COUNT_LATER_READY_NS] = c[RF_COUNT_OTHERS_IDLE_NS] = 20 * S;
    assert_cause(0, WHY_HEAD_OF_LINE);
}

static void workers_of_a_stream(void **state)
{
    (void)state;
    static const struct {
        uint64_t items[3], ended, asked_which, flags;
        uint32_t cause;
    } rows[] = {
        {{50, 0, 0}, 1, 1, 0, WHY_UNEVEN_SHARDS},
        {{50, 0, 0}, 0, 1, 0, CAUSE_BLOCKED}, /* more may come */
        {{50, 25, 25}, 1, 1, 0, WHY_UNEVEN_SHARDS},
        {{50, 26, 26}, 1, 1, 0, CAUSE_BLOCKED}, /* as good as two of three */
        {{100, 51, 50}, 1, 1, 0, WHY_UNEVEN_SHARDS},
        {{100, 51, 51}, 1, 1, 0, CAUSE_BLOCKED},
        {{50, 50, 50}, 1, 1, 0, CAUSE_BLOCKED},
        {{50, 50, 50}, 1, 0, 0, WHY_DUPLICATE_STREAM}, /* nobody asked which part is its own */
        {{50, 50, 50}, 0, 0, 0, CAUSE_BLOCKED},
        {{50, 50, 49}, 1, 0, 0, CAUSE_BLOCKED},
        {{50, 50, 50}, 1, 0, DATASTALL_LOADER_WORKER_INIT, CAUSE_BLOCKED},
        {{1, 0, 0}, 1, 1, 0, WHY_UNEVEN_SHARDS},
        {{0, 0, 0}, 1, 0, 0, CAUSE_BLOCKED}, /* nothing to tell by */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_stream(rows[i].items, rows[i].ended, rows[i].asked_which);
        world.loaders[0].entry.flags |= rows[i].flags;
        assert_cause(i, rows[i].cause);
    }
    const uint64_t items[] = {50, 17, 0};
    begin_stream(items, 1, 1);
    world.loaders[0].entry.num_workers = 2; /* 67 of a hundred */
    assert_cause(0, WHY_UNEVEN_SHARDS);
    /* Uneven shards show in the making of batches, whichever part of it is the longest, and only there. */
    static const struct {
        uint32_t state, cause;
    } states[] = {{CAUSE_COMPUTE, WHY_UNEVEN_SHARDS},
                  {CAUSE_COMPUTE_IN_THREADS, WHY_UNEVEN_SHARDS},
                  {CAUSE_BLOCKED, WHY_UNEVEN_SHARDS},
                  {CAUSE_CPU_CONTENTION, WHY_UNEVEN_SHARDS},
                  {CAUSE_COLLATE, WHY_UNEVEN_SHARDS},
                  {CAUSE_TRANSFER, CAUSE_TRANSFER},
                  {CAUSE_PIN, CAUSE_PIN}};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        uint64_t *state_ns = begin_stream(rows[0].items, 1, 1) + RF_COUNT_CAUSE_NS;
        state_ns[states[i].state] += state_ns[CAUSE_BLOCKED];
        if (states[i].state != CAUSE_BLOCKED)
            state_ns[CAUSE_BLOCKED] = 0;
        else
            state_ns[CAUSE_BLOCKED] /= 2;
        assert_cause(i, states[i].cause);
    }
    /* Two workers are enough to be uneven, and one is not. */
    for (uint64_t workers = 1; workers <= 2; workers++) {
        begin_stream(rows[0].items, 1, 1);
        world.loaders[0].entry.num_workers = workers;
        world.processes[0].worker_count = (uint32_t)workers;
        assert_cause(workers, workers == 2 ? WHY_UNEVEN_SHARDS : CAUSE_BLOCKED);
    }
    /* A map of items is not gone through. */
    begin_stream(rows[0].items, 1, 1);
    world.loaders[0].entry.flags = 0;
    assert_cause(0, CAUSE_BLOCKED);
    /* What starts is not the stream's fault. */
    uint64_t *c = begin_stream(rows[0].items, 1, 1);
    c[RF_COUNT_ITERATORS] = 2;
    c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = 8 * S;
    c[RF_COUNT_CAUSE_NS + CAUSE_STARTUP] = 12 * S;
    assert_cause(0, CAUSE_STARTUP);
}

static void the_same_data_from_each_worker(void **state)
{
    (void)state;
    static const uint64_t items[3] = {50, 40, 50};
    static const struct {
        uint64_t prints[3][2], asked_which;
        uint32_t cause;
    } rows[] = {
        {{{7, 8}, {7, 8}, {7, 8}}, 0, WHY_DUPLICATE_STREAM},
        {{{7, 8}, {7, 8}, {7, 8}}, 1, CAUSE_BLOCKED}, /* shards of like content */
        {{{7, 8}, {7, 8}, {7, 9}}, 0, CAUSE_BLOCKED},
        {{{7, 8}, {6, 8}, {7, 8}}, 0, CAUSE_BLOCKED},
        {{{7, 7}, {7, 7}, {7, 7}},
         0,
         CAUSE_BLOCKED}, /* all batches are alike: nothing to tell by */
        {{{0, 0}, {0, 0}, {0, 0}}, 0, CAUSE_BLOCKED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_stream(items, 0, rows[i].asked_which);
        for (uint32_t k = 0; k < 3; k++)
            memcpy(world.workers[k].fingerprints, rows[i].prints[k], 16);
        assert_cause(i, rows[i].cause);
    }
}

/* So few workers are alike to anybody. */
static void figures_of_one_worker_and_of_two(void **state)
{
    (void)state;
    for (uint32_t workers = 0; workers <= 2; workers++) {
        begin_loader(50 * S);
        world.loaders[0].entry.num_workers = workers;
        for (uint32_t k = 0; k < workers; k++) {
            struct rf_worker_view *worker = add_worker();
            worker->number = k;
            worker->totals[RF_TOTAL_COUNT] = worker->totals[RF_TOTAL_BATCHES] = 1;
            worker->totals[RF_TOTAL_ITEMS] = 30 + k;
            worker->totals[RF_TOTAL_BEGIN_NS] = 10 * S;
            worker->totals[RF_TOTAL_END_NS] = 20 * S;
            worker->fingerprints[0] = 7;
            worker->fingerprints[1] = 8;
        }
        const struct why_work *work = &asked()->work;
        assert_int_equal(work->workers, workers);
        assert_int_equal(work->least_items, workers > 0 ? 30 : 0);
        assert_int_equal(work->most_items, workers > 0 ? 29 + workers : 0);
        assert_int_equal(work->fed, workers);
        assert_int_equal(work->same_data, workers == 2);
    }
}

/* One item is data. */
static void workers_that_had_data(void **state)
{
    (void)state;
    static const uint64_t items[] = {0, 1, 2, 0};
    begin_loader(50 * S);
    world.loaders[0].entry.num_workers = 4;
    for (uint32_t k = 0; k < 4; k++) {
        struct rf_worker_view *worker = add_worker();
        worker->number = k;
        worker->totals[RF_TOTAL_ITEMS] = items[k];
    }
    const struct why_work *work = &asked()->work;
    assert_int_equal(work->fed, 2);
    assert_int_equal(work->most_items, 2);
    assert_int_equal(work->least_items, 0);
}

/* A batch that was made, and that the loop waits for in vain. */
static void a_batch_that_was_never_sent(void **state)
{
    (void)state;
    static const struct {
        uint64_t made, sent, idle_since_s, failed, unfinished_s;
        uint32_t number;
        enum why_failure_kind kind;
    } rows[] = {
        {20, 18, 100, 1, 0, 1, WHY_BATCH_LOST},
        {20, 18, 100, 0, 6, 1, WHY_BATCH_LOST},
        {20, 18, 100, 0, 4, 1, WHY_NOTHING_FAILED},
        {20, 18, 100, 0, 0, 1, WHY_NOTHING_FAILED},
        {20, 19, 100, 1, 0, 1, WHY_NOTHING_FAILED}, /* the last is not counted yet */
        {20, 18, 110, 1, 0, 1, WHY_NOTHING_FAILED}, /* it may be on its way */
        {20, 0, 100, 1, 0, 1, WHY_NOTHING_FAILED},  /* nobody counts them */
        {20, 18, 100, 1, 0, RF_WORKER_MAIN, WHY_NOTHING_FAILED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(50 * S);
        c[RF_COUNT_FAILED] = rows[i].failed;
        c[RF_COUNT_CAUSE_NS + CAUSE_PIN] = 50 * S;
        struct rf_worker_view *worker = add_worker();
        worker->number = rows[i].number;
        worker->pid = 4711;
        worker->phase = rf_pack_phase(rows[i].idle_since_s * S, RF_PHASE_IDLE);
        worker->totals[RF_TOTAL_BATCHES] = rows[i].made;
        worker->totals[RF_TOTAL_SENT] = rows[i].sent;
        around = (struct why_around){.life_ns = DATASTALL_UNKNOWN,
                                     .stopped_ns = 110 * S,
                                     .unfinished_ns = rows[i].unfinished_s * S};
        const struct why_failure *failure = &asked()->failure;
        if (failure->kind != rows[i].kind)
            fail_msg("row %zu: %u", i, failure->kind);
        if (rows[i].kind == WHY_BATCH_LOST)
            assert_int_equal(failure->pid, 4711);
    }
    around = (struct why_around){.life_ns = DATASTALL_UNKNOWN, .stopped_ns = DATASTALL_UNKNOWN};
}

/* next() raised in the loop's own process, which ended the program. */
static void a_batch_that_could_not_be_taken(void **state)
{
    (void)state;
    static const struct {
        uint64_t workers, raised, in_worker;
        bool failed, interrupted;
        enum why_failure_kind kind;
    } rows[] = {
        {2, 1, 0, true, false, WHY_TAKING_FAILED},   {2, 1, 1, true, false, WHY_ITEM_RAISED},
        {2, 0, 0, true, false, WHY_NOTHING_FAILED}, /* the loop's own code did */
        {2, 1, 0, false, false, WHY_NOTHING_FAILED}, {2, 1, 0, true, true, WHY_NOTHING_FAILED},
        {0, 1, 0, true, false, WHY_NOTHING_FAILED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_loader(50 * S)[RF_COUNT_FAILED] = rows[i].raised;
        world.loaders[0].entry.num_workers = rows[i].workers;
        struct rf_worker_view *worker = add_worker();
        worker->number = rows[i].workers > 0 ? 0 : RF_WORKER_MAIN;
        worker->totals[RF_TOTAL_FAILED] = rows[i].in_worker;
        around = (struct why_around){.life_ns = DATASTALL_UNKNOWN,
                                     .stopped_ns = 110 * S,
                                     .failed = rows[i].failed,
                                     .interrupted = rows[i].interrupted};
        const struct why *why = asked();
        if (why->failure.kind != rows[i].kind ||
            (why->primary == WHY_FAILED) != (rows[i].kind != WHY_NOTHING_FAILED))
            fail_msg("row %zu: %u", i, why->failure.kind);
    }
    around = (struct why_around){.life_ns = DATASTALL_UNKNOWN, .stopped_ns = DATASTALL_UNKNOWN};
}

/* Who was killed is to blame, and not who raised an error or hung meanwhile, whichever comes first. */
static void the_gravest_failure(void **state)
{
    (void)state;
    enum { RAISED = 1, KILLED, HANGS, HANGS_LONGER, LOST, OF_ANOTHER };
    static const struct {
        unsigned workers[3];
        enum why_failure_kind kind;
        uint32_t worker;
    } rows[] = {{{RAISED, KILLED, 0}, WHY_WORKER_KILLED, 1},
                {{0, RAISED, KILLED}, WHY_WORKER_KILLED, 2},
                {{0, RAISED, RAISED}, WHY_ITEM_RAISED, 1},
                {{0, KILLED, KILLED}, WHY_WORKER_KILLED, 1},
                {{HANGS, RAISED, LOST}, WHY_ITEM_RAISED, 1},
                {{LOST, HANGS, 0}, WHY_WORKER_HANGS, 1},
                {{HANGS, HANGS_LONGER, HANGS}, WHY_WORKER_HANGS, 1}, /* the longest */
                {{HANGS_LONGER, HANGS, 0}, WHY_WORKER_HANGS, 0},
                {{0, HANGS, HANGS}, WHY_WORKER_HANGS, 1}, /* the first of equals */
                {{0, LOST, LOST}, WHY_BATCH_LOST, 1},
                {{OF_ANOTHER, OF_ANOTHER, 0}, WHY_NOTHING_FAILED, 0},
                {{OF_ANOTHER, 0, LOST}, WHY_BATCH_LOST, 2},
                {{0, 0, 0}, WHY_NOTHING_FAILED, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(50 * S);
        c[RF_COUNT_FAILED] = 1;
        for (uint32_t k = 0; k < 3; k++) {
            struct rf_worker_view *worker = add_worker();
            worker->number = k;
            worker->totals[RF_TOTAL_FAILED] = rows[i].workers[k] == RAISED;
            worker->exit = rows[i].workers[k] == KILLED ? 1 + 256 + 9 : 0;
            if (rows[i].workers[k] == HANGS)
                worker->phase = rf_pack_phase(100 * S, RF_PHASE_FETCH);
            if (rows[i].workers[k] == HANGS_LONGER)
                worker->phase = rf_pack_phase(99 * S, RF_PHASE_FETCH);
            if (rows[i].workers[k] == OF_ANOTHER) {
                worker->loader = world.loaders[0].index + 1;
                worker->exit = 1 + 256 + 9;
            }
            if (rows[i].workers[k] == LOST) {
                worker->phase = rf_pack_phase(100 * S, RF_PHASE_IDLE);
                worker->totals[RF_TOTAL_BATCHES] = 20;
                worker->totals[RF_TOTAL_SENT] = 18;
            }
        }
        struct why_failure failure;
        why_find_failure(&world.processes[0], &world.loaders[0], &around, &failure);
        assert_int_equal(failure.kind, rows[i].kind);
        if (failure.kind != WHY_NOTHING_FAILED)
            assert_int_equal(failure.worker, rows[i].worker);
    }
}

/* Who hangs, or whose batch was lost, is to blame where the loop gave up or still waits, and it is known
 * when; not where the program failed for a reason of its own. */
static void in_vain(void **state)
{
    (void)state;
    static const struct {
        uint64_t failed, unfinished_s, stopped_s; /* 0: not known when */
        bool command_failed, is_in_vain;
    } rows[] = {{1, 0, 0, false, true},   {0, 5, 110, false, true}, {0, 5, 0, false, false},
                {0, 4, 110, true, false}, {0, 0, 110, true, false}, {0, 6, 110, true, true},
                {1, 0, 110, true, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (uint32_t lost = 0; lost < 2; lost++) {
            uint64_t *c = begin_loader(50 * S);
            c[RF_COUNT_FAILED] = rows[i].failed;
            struct rf_worker_view *worker = add_worker();
            worker->phase = rf_pack_phase(100 * S, lost ? RF_PHASE_IDLE : RF_PHASE_FETCH);
            worker->totals[RF_TOTAL_BATCHES] = 20;
            worker->totals[RF_TOTAL_SENT] = 18;
            const struct why_around how = {
                .life_ns = DATASTALL_UNKNOWN,
                .stopped_ns = rows[i].stopped_s == 0 ? DATASTALL_UNKNOWN : rows[i].stopped_s * S,
                .unfinished_ns = rows[i].unfinished_s * S,
                .failed = rows[i].command_failed};
            struct why_failure failure;
            why_find_failure(&world.processes[0], &world.loaders[0], &how, &failure);
            CHECK(failure.kind == (!rows[i].is_in_vain ? WHY_NOTHING_FAILED
                                   : lost              ? WHY_BATCH_LOST
                                                       : WHY_WORKER_HANGS),
                  "row %zu: %d", i, (int)failure.kind);
        }
    }
}

static void first_batches_of_many_epochs(void **state)
{
    (void)state;
    static const struct {
        uint64_t iterators, first_s, longest_s, steady_s, workers;
        uint32_t cause;
    } rows[] = {
        {10, 10, 0, 10, 2, WHY_EPOCH_START},
        {10, 9, 0, 11, 2, CAUSE_COMPUTE},
        {10, 20, 2, 0, 2, WHY_EPOCH_START},
        {10, 20, 0, 0, 0, CAUSE_COMPUTE}, /* nothing is fetched ahead anyway */
        {1, 20, 20, 0, 2, CAUSE_STARTUP}, /* once */
        {1, 10, 10, 10, 2, CAUSE_COMPUTE},
        {10, 12, 4, 8, 2, WHY_EPOCH_START},
        {10, 12, 5, 8, 2, CAUSE_COMPUTE}, /* 7.8 of 15.8 without what the longest is longer */
        {3, 16, 15, 4, 2, CAUSE_COMPUTE},
        {2, 12, 6, 8, 2, WHY_EPOCH_START}, /* both alike */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(0);
        world.loaders[0].entry.num_workers = rows[i].workers;
        c[RF_COUNT_ITERATORS] = rows[i].iterators;
        c[RF_COUNT_STARTUP_NS] = c[RF_COUNT_OTHER_NS] = rows[i].first_s * S;
        c[RF_COUNT_STARTUP_MAX] = rows[i].longest_s * S;
        c[RF_COUNT_STEADY_NS] = rows[i].steady_s * S;
        c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] = 20 * S;
        assert_cause(i, rows[i].cause);
    }
}

/* Workers that are always at work: not what a batch was in when it was waited for, but what making it
 * takes. In order: items that run, their threads, waiting for a CPU, blocked; collating. */
static void what_busy_workers_do(void **state)
{
    (void)state;
    static const struct {
        uint32_t seen; /* the largest state of the stall */
        uint64_t workers, work_s[5];
        uint64_t gap_ms, empty;  /* of a hundred waits none was ready */
        uint64_t tensors, bytes; /* sent for each batch */
        uint32_t cause;
    } rows[] = {
        {CAUSE_TRANSFER, 1, {40, 10, 5, 30, 10}, 5000, 50, 1, 300, CAUSE_COMPUTE},
        {CAUSE_TRANSFER, 1, {40, 10, 5, 30, 10}, 5001, 50, 1, 300, CAUSE_TRANSFER},
        {CAUSE_TRANSFER, 1, {40, 10, 5, 30, 10}, 5000, 49, 1, 300, CAUSE_TRANSFER},
        {CAUSE_TRANSFER, 0, {40, 10, 5, 30, 10}, 5000, 50, 1, 300, CAUSE_TRANSFER},
        {CAUSE_TRANSFER, DATASTALL_UNKNOWN, {40, 10, 5, 30, 10}, 0, 50, 1, 300, CAUSE_TRANSFER},
        {CAUSE_TRANSFER, 1, {40, 10, 5, 30, 10}, 5000, 50, 64, 300, CAUSE_TRANSFER},
        {CAUSE_TRANSFER, 1, {40, 10, 5, 30, 10}, 5000, 50, 1, 256 << 10, CAUSE_TRANSFER},
        {CAUSE_COLLATE, 1, {30, 10, 5, 31, 20}, 0, 100, 1, 300, CAUSE_BLOCKED},
        {CAUSE_COLLATE, 1, {30, 10, 5, 25, 31}, 0, 100, 1, 300, CAUSE_COLLATE},
        {CAUSE_BLOCKED, 1, {30, 10, 5, 25, 31}, 0, 100, 64, 300, CAUSE_COLLATE},
        {CAUSE_COMPUTE, 1, {20, 30, 5, 10, 10}, 0, 100, 1, 300, CAUSE_COMPUTE_IN_THREADS},
        {CAUSE_COMPUTE, 1, {20, 10, 30, 10, 10}, 0, 100, 1, 300, CAUSE_CPU_CONTENTION},
        {CAUSE_CPU_CONTENTION, 1, {40, 10, 5, 30, 10}, 0, 100, 1, 300, CAUSE_CPU_CONTENTION},
        {CAUSE_PIN, 1, {40, 10, 5, 30, 10}, 0, 100, 1, 300, CAUSE_PIN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(20 * S);
        c[RF_COUNT_CAUSE_NS + rows[i].seen] = 20 * S;
        c[RF_COUNT_DEPTH_WAITS] = 100;
        c[RF_COUNT_DEPTH_EMPTY] = rows[i].empty;
        world.loaders[0].entry.num_workers = rows[i].workers;
        uint64_t *t = add_worker()->totals;
        const uint64_t *work_s = rows[i].work_s;
        t[RF_TOTAL_ITEMS_NS] = (work_s[0] + work_s[1] + work_s[2] + work_s[3]) * S;
        t[RF_TOTAL_ITEMS_CPU_NS] = work_s[0] * S;
        t[RF_TOTAL_ITEMS_THREADS_NS] = work_s[1] * S;
        t[RF_TOTAL_ITEMS_DELAY_NS] = work_s[2] * S;
        t[RF_TOTAL_COLLATE_NS] = work_s[4] * S;
        t[RF_TOTAL_GAP_NS] = rows[i].gap_ms * MS;
        t[RF_TOTAL_SENT] = 1;
        t[RF_TOTAL_SENT_TENSORS] = rows[i].tensors;
        t[RF_TOTAL_SENT_BYTES] = rows[i].bytes;
        assert_cause(i, rows[i].cause);
    }
    /* What collating waited for a CPU is no collating. */
    uint64_t *t = world.workers[0].totals;
    uint64_t *c = world.loaders[0].totals.counters;
    c[RF_COUNT_CAUSE_NS + CAUSE_PIN] = 0;
    c[RF_COUNT_CAUSE_NS + CAUSE_COLLATE] = 20 * S;
    t[RF_TOTAL_COLLATE_NS] = 80 * S;
    t[RF_TOTAL_COLLATE_DELAY_NS] = 39 * S;
    assert_cause(100, CAUSE_CPU_CONTENTION);
    t[RF_TOTAL_COLLATE_DELAY_NS] = 35 * S;
    assert_cause(101, CAUSE_COLLATE);
    /* Nor what it waited for while other threads ran: they have the interpreter. */
    t[RF_TOTAL_COLLATE_DELAY_NS] = 0;
    t[RF_TOTAL_COLLATE_THREADS_NS] = 36 * S;
    assert_cause(110, CAUSE_COMPUTE_IN_THREADS);
    t[RF_TOTAL_COLLATE_THREADS_NS] = 34 * S;
    assert_cause(111, CAUSE_COLLATE);
    t[RF_TOTAL_COLLATE_THREADS_NS] = 0;
    /* First batches come when they came, whoever is at work meanwhile. */
    t[RF_TOTAL_COLLATE_NS] = 0;
    c[RF_COUNT_ITERATORS] = 10;
    c[RF_COUNT_CAUSE_NS + CAUSE_COLLATE] = 0;
    c[RF_COUNT_CAUSE_NS + CAUSE_TRANSFER] = 20 * S;
    c[RF_COUNT_STARTUP_NS] = c[RF_COUNT_OTHER_NS] = 10 * S;
    c[RF_COUNT_STEADY_NS] = 10 * S;
    assert_cause(102, CAUSE_TRANSFER);
    c[RF_COUNT_STARTUP_NS] = c[RF_COUNT_OTHER_NS] = 10 * S - MS;
    c[RF_COUNT_STEADY_NS] = 10 * S + MS;
    assert_cause(103, CAUSE_COMPUTE);
}

static void what_items_were_blocked_for(void **state)
{
    (void)state;
    static const struct {
        uint64_t storage_mib, faults, blocked_s;
        uint32_t cause;
    } rows[] = {
        {0, 0, 20, CAUSE_BLOCKED},
        {DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, 20, CAUSE_BLOCKED},
        {125, 0, 20, WHY_STORAGE}, /* a thousand requests, 20 ms each */
        {124, 0, 20, CAUSE_BLOCKED},
        {0, 1000, 20, WHY_STORAGE},
        {DATASTALL_UNKNOWN, 999, 20, CAUSE_BLOCKED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(20 * S);
        c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = 20 * S;
        uint64_t *t = add_worker()->totals;
        t[RF_TOTAL_ITEMS_NS] = rows[i].blocked_s * S;
        t[RF_TOTAL_STORAGE_BYTES] = rows[i].storage_mib == DATASTALL_UNKNOWN
                                        ? DATASTALL_UNKNOWN
                                        : rows[i].storage_mib << 20;
        t[RF_TOTAL_MAJOR_FAULTS] = rows[i].faults;
        assert_cause(i, rows[i].cause);
    }
}

/* Where items read storage nearly each time, what they run for is that as well. */
static void items_that_fault(void **state)
{
    (void)state;
    static const struct {
        uint64_t faults, blocked_s;
        uint32_t cause;
    } rows[] = {{250, 2, WHY_STORAGE}, {249, 2, CAUSE_COMPUTE}, {1000, 1, CAUSE_COMPUTE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(20 * S);
        c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] = 20 * S;
        uint64_t *t = add_worker()->totals;
        t[RF_TOTAL_ITEMS] = 1000;
        t[RF_TOTAL_ITEMS_NS] = 10 * S;
        t[RF_TOTAL_ITEMS_CPU_NS] = (10 - rows[i].blocked_s) * S;
        t[RF_TOTAL_MAJOR_FAULTS] = rows[i].faults;
        assert_cause(i, rows[i].cause);
    }
}

/* Other threads of the items that wait for a CPU look like nothing: told where no CPU is idle. */
static void other_threads_on_a_full_machine(void **state)
{
    (void)state;
    static const struct {
        uint64_t items_ns, threads_ns, idle_milli;
        uint32_t cause;
    } rows[] = {{20 * S, 4 * S, 290, CAUSE_COMPUTE_IN_THREADS},
                {20 * S, 3 * S, 290, CAUSE_BLOCKED},
                {20 * S, 4 * S, 300, CAUSE_BLOCKED},
                {20 * S, 4 * S, 310, CAUSE_BLOCKED},
                {5, 1, 299, CAUSE_COMPUTE_IN_THREADS},
                {0, 0, 290, CAUSE_BLOCKED}};
    uint64_t *unread = begin_loader(20 * S);
    unread[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = 20 * S;
    set_cpus(2000, 290);
    assert_cause(0, CAUSE_BLOCKED);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(20 * S);
        c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = 20 * S;
        uint64_t *t = add_worker()->totals;
        t[RF_TOTAL_ITEMS_NS] = rows[i].items_ns;
        t[RF_TOTAL_ITEMS_THREADS_NS] = rows[i].threads_ns;
        set_cpus(2000, rows[i].idle_milli);
        assert_cause(i, rows[i].cause);
    }
}

/* How long they waited is reckoned from how many threads want a CPU, where the machine is the program's
 * to use: of 20 s it is enough that half were computing, and waiting to. */
static void other_threads_beside_a_crowd(void **state)
{
    (void)state;
    static const struct {
        uint64_t threads_s; /* of 20 s of stall; the rest is blocked */
        uint64_t runnable, looks, online;
        uint64_t idle_milli;
        uint64_t delay_ms; /* the items' own thread waited for a CPU */
        uint32_t cause;
        uint64_t others_s; /* of the stall */
    } rows[] = {
        {2, 50, 5, 2, 0, 40, CAUSE_COMPUTE_IN_THREADS, 8},
        {2, 50, 5, 2, 0, 39, CAUSE_BLOCKED, 0},
        {2, 48, 5, 2, 0, 100, CAUSE_BLOCKED, 7},
        {2, 50, 5, 2, 310, 100, CAUSE_BLOCKED, 8},
        {2, 50, 5, 3, 0, 100, CAUSE_BLOCKED, 0},
        {2, 50, 0, 2, 0, 100, CAUSE_BLOCKED, 0},
        {2, 50, 5, 0, 0, 100, CAUSE_BLOCKED, 0},
        {2, 50, 5, RF_UNKNOWN, 0, 100, CAUSE_BLOCKED, 0},
        {2, 5, 5, 2, 0, 100, CAUSE_BLOCKED, 0},
        {2, 500, 5, 2, 0, 100, CAUSE_CPU_CONTENTION, 18},
        {0, 500, 5, 2, 0, 100, CAUSE_BLOCKED, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(20 * S);
        c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = (20 - rows[i].threads_s) * S;
        c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE_IN_THREADS] = rows[i].threads_s * S;
        uint64_t *t = add_worker()->totals;
        t[RF_TOTAL_ITEMS_NS] = 20 * S;
        t[RF_TOTAL_ITEMS_DELAY_NS] = rows[i].delay_ms * MS;
        t[RF_TOTAL_ITEMS_THREADS_NS] = rows[i].threads_s * S;
        t[RF_TOTAL_BEGIN_NS] = 10 * S;
        t[RF_TOTAL_END_NS] = 110 * S;
        set_cpus(2000, rows[i].idle_milli);
        uint64_t *w = world.processes[0].view.words;
        w[RF_PROCESS_CPU_NS] = S / 2;
        w[RF_PROCESS_CPUS_ONLINE] = rows[i].online;
        w[RF_PROCESS_RUNNABLE] = rows[i].runnable;
        w[RF_PROCESS_RUNNABLE_LOOKS] = rows[i].looks;
        assert_cause(i, rows[i].cause);
        struct summary *summary = made(0);
        assert_int_equal(summary->loaders[0].why.others.lack_ns / S, rows[i].others_s);
        summary_free(summary);
    }
}

/* Items that wait for a process which the worker started and keeps, or for the pool of a loop that loads by
 * itself: computing, and it is no other program that uses the CPUs. Of two CPUs so much is idle. */
static void processes_that_compute_for_items(void **state)
{
    (void)state;
    static const struct {
        uint64_t workers, idle_milli;
        uint64_t own_s, workers_s; /* of children, while items were blocked for 20 s */
        uint64_t other_blocked_s;  /* of a worker of another loader */
        uint32_t cause;
        double running, each; /* CPUs: of the workers in a hundred seconds, and of one at work */
    } rows[] = {
        {1, 1000, 0, 10, 0, CAUSE_COMPUTE_IN_THREADS, 0.10, 0.5},
        {1, 1000, 0, 9, 0, CAUSE_BLOCKED, 0.09, 0.45},
        {1, 290, 0, 4, 0, CAUSE_COMPUTE_IN_THREADS, 0.04, 0.2}, /* they wait for a CPU as well */
        {1, 290, 0, 3, 0, CAUSE_BLOCKED, 0.03, 0.15},
        {1, 1000, 20, 0, 0, CAUSE_BLOCKED, 0, 0.05}, /* a server of the program's: it may be idle */
        {0, 1000, 30, 0, 0, CAUSE_COMPUTE_IN_THREADS, 0.30, 1.5},
        {0, 1000, 0, 30, 0, CAUSE_BLOCKED, 0, 0.05},
        {1, 1000, 0, 15, 20, CAUSE_BLOCKED, 0.075, 0.375}, /* half of it is the other's */
        {1, 1000, 0, RF_UNKNOWN / S, 0, CAUSE_BLOCKED, 0, 0.05},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(20 * S);
        c[RF_COUNT_BATCHES] = 100;
        c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = 20 * S;
        world.loaders[0].entry.num_workers = rows[i].workers;
        set_cpus(2000, rows[i].idle_milli);
        uint64_t *w = world.processes[0].view.words;
        w[RF_PROCESS_CHILDREN_CPU_NS] = rows[i].own_s * S;
        w[RF_PROCESS_WORKERS_CHILDREN_CPU_NS] =
            rows[i].workers_s == RF_UNKNOWN / S ? RF_UNKNOWN : rows[i].workers_s * S;
        struct rf_worker_view *worker = add_worker();
        worker->number = rows[i].workers > 0 ? 0 : RF_WORKER_MAIN;
        worker->totals[RF_TOTAL_BATCHES] = 100;
        worker->totals[RF_TOTAL_ITEMS_NS] = 20 * S;
        worker->totals[RF_TOTAL_BEGIN_NS] = 10 * S;
        worker->totals[RF_TOTAL_END_NS] = 110 * S;
        if (rows[i].other_blocked_s > 0) {
            worker = add_worker();
            worker->loader = 9;
            worker->totals[RF_TOTAL_ITEMS_NS] = rows[i].other_blocked_s * S;
        }
        const struct why *why = asked();
        if (why->primary != rows[i].cause ||
            fabs(why->work.running_cpus - rows[i].running) > 1e-9 ||
            fabs(why->setting.cpus_each - rows[i].each) > 1e-9)
            fail_msg("row %zu: %s, %g CPUs, %g each", i, why_name(why->primary),
                     why->work.running_cpus, why->setting.cpus_each);
    }
}

/* Whose lack of a CPU it is, where that is the largest. */
static void no_cpu_is_free(void **state)
{
    (void)state;
    static const struct {
        uint64_t transfer_s, contention_s, loop_s; /* of 20 s of stall */
        uint64_t workers, delay_s, taking_s;       /* of ten that items took */
        uint64_t tensors, kib;                     /* of each batch */
        uint32_t cause;
    } rows[] = {
        {4, 0, 16, 1, 0, 0, 1, 1, CAUSE_LOOP_CPU_WAIT},
        {12, 0, 8, 1, 0, 0, 1, 1, CAUSE_TRANSFER},
        {8, 6, 6, 1, 0, 0, 1, 1, CAUSE_CPU_CONTENTION}, /* the two are one lack */
        {8, 5, 7, 1, 0, 0, 1, 1, CAUSE_LOOP_CPU_WAIT},
        {8, 5, 7, 1, 2, 0, 1, 1, CAUSE_CPU_CONTENTION}, /* the workers have none either */
        {8, 3, 9, 1, 2, 0, 1, 1, CAUSE_LOOP_CPU_WAIT},  /* for which it seldom waited */
        {8, 5, 7, 3, 0, 0, 1, 1, CAUSE_CPU_CONTENTION}, /* three of them on two */
        {4, 0, 16, 1, 0, 12, 1, 1, CAUSE_TRANSFER},     /* taking a batch takes one */
        {4, 0, 16, 1, 0, 11, 1, 1, CAUSE_LOOP_CPU_WAIT},
        /* sending one does */
        {8, 6, 6, 1, 2, 0, 64, 1, CAUSE_TRANSFER},
        {8, 6, 6, 1, 2, 0, 63, 255, CAUSE_CPU_CONTENTION},
        {8, 6, 6, 1, 2, 0, 1, 256, CAUSE_TRANSFER},
        {6, 7, 7, 1, 2, 0, 64, 256, CAUSE_CPU_CONTENTION},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(20 * S);
        world.loaders[0].entry.num_workers = rows[i].workers;
        c[RF_COUNT_CAUSE_NS + CAUSE_TRANSFER] = rows[i].transfer_s * S;
        c[RF_COUNT_CAUSE_NS + CAUSE_CPU_CONTENTION] = rows[i].contention_s * S;
        c[RF_COUNT_CAUSE_NS + CAUSE_LOOP_CPU_WAIT] = rows[i].loop_s * S;
        c[RF_COUNT_BATCHES] = 80;
        c[RF_COUNT_GET_CPU_BATCHES] = 10;
        c[RF_COUNT_GET_CPU_NS] = rows[i].taking_s * S / 8;
        uint64_t *t = add_worker()->totals;
        t[RF_TOTAL_ITEMS_NS] = 10 * S;
        t[RF_TOTAL_ITEMS_DELAY_NS] = rows[i].delay_s * S;
        t[RF_TOTAL_SENT] = 80;
        t[RF_TOTAL_SENT_TENSORS] = 80 * rows[i].tensors;
        t[RF_TOTAL_SENT_BYTES] = 80 * rows[i].kib * 1024;
        set_cpus(2000, RF_UNKNOWN);
        assert_cause(i, rows[i].cause);
    }
}

static void what_is_too_short_for_a_cause(void **state)
{
    (void)state;
    static const struct {
        uint64_t stall_ms, life_ms;
        uint32_t cause;
    } rows[] = {
        {19, 100, WHY_NONE},       {20, 100, CAUSE_PIN},   {20, DATASTALL_UNKNOWN, CAUSE_PIN},
        {900, 18000, CAUSE_PIN},   {900, 18001, WHY_NONE}, {999, 100000, WHY_NONE},
        {1000, 100000, CAUSE_PIN}, /* a notebook lives on */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(rows[i].stall_ms * MS);
        c[RF_COUNT_CAUSE_NS + CAUSE_PIN] = rows[i].stall_ms * MS;
        c[RF_COUNT_END_NS] = c[RF_COUNT_BEGIN_NS] + rows[i].stall_ms * MS;
        around.life_ns =
            rows[i].life_ms == DATASTALL_UNKNOWN ? DATASTALL_UNKNOWN : rows[i].life_ms * MS;
        assert_cause(i, rows[i].cause);
    }
    around.life_ns = DATASTALL_UNKNOWN;
}

static void a_pause_is_not_the_window(void **state)
{
    (void)state;
    static const uint64_t paused_s[] = {0, 50, 99, 100, 1000}; /* the last two cannot be */
    static const double shares[] = {0.04, 0.08, 1, 0.04, 0.04};
    for (size_t i = 0; i < 5; i++) {
        begin_loader(4 * S)[RF_COUNT_CAUSE_NS + CAUSE_PIN] = 4 * S;
        world.loaders[0].entry.paused_ns = paused_s[i] * S;
        assert_figure(asked()->stall_share, shares[i]);
        assert_cause(i, shares[i] < 0.05 ? WHY_NONE : CAUSE_PIN);
    }
}

/* ---- what failed ---- */

static void a_worker_that_failed(void **state)
{
    (void)state;
    static const struct {
        uint64_t failed, batches, exit, phase, raised, unfinished_s;
        bool command_failed;
        enum why_failure_kind kind;
    } rows[] = {
        {0, 10, 1 + 256 + 9, 0, 0, 0, true,
         WHY_WORKER_KILLED}, /* torch raised in the loop's body */
        {0, 10, 1 + 256 + 9, 0, 0, 0, false, WHY_NOTHING_FAILED}, /* and nobody minded */
        {1, 10, 1 + 256 + 9, 0, 0, 0, true, WHY_WORKER_KILLED},
        {1, 10, 1 + 256 + 15, 0, 0, 0, true, WHY_NOTHING_FAILED}, /* torch ends the others so */
        {1, 10, 1 + 3, 0, 0, 0, true, WHY_WORKER_EXITED},
        {1, 10, 1, 0, 0, 0, true, WHY_NOTHING_FAILED}, /* by itself */
        {1, 10, 0, 100, 0, 0, true, WHY_WORKER_HANGS},
        {1, 10, 0, 109, 0, 0, true, WHY_WORKER_HANGS},
        {1, 10, 0, 110, 0, 0, true, WHY_NOTHING_FAILED}, /* it only just began */
        {1, 10, 0, 100, 1, 0, true, WHY_ITEM_RAISED},
        {1, 19, 0, 110, 1, 0, false, WHY_ITEM_RAISED},
        {1, 40, 0, 110, 1, 0, false, WHY_NOTHING_FAILED}, /* caught, and gone on */
        {1, 40, 0, 110, 1, 0, true, WHY_ITEM_RAISED},
        {0, 10, 0, 100, 0, 4, false, WHY_NOTHING_FAILED},
        {0, 10, 0, 100, 0, 6, false, WHY_WORKER_HANGS}, /* and it still waits */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(50 * S);
        c[RF_COUNT_FAILED] = rows[i].failed;
        c[RF_COUNT_BATCHES] = rows[i].batches;
        c[RF_COUNT_CAUSE_NS + CAUSE_PIN] = 50 * S;
        struct rf_worker_view *worker = add_worker();
        worker->number = 1;
        worker->pid = 4711;
        worker->item = 101;
        worker->exit = rows[i].exit;
        worker->phase = rows[i].phase == 0 ? 0 : rf_pack_phase(rows[i].phase * S, RF_PHASE_FETCH);
        worker->totals[RF_TOTAL_FAILED] = rows[i].raised;
        around = (struct why_around){.life_ns = DATASTALL_UNKNOWN,
                                     .stopped_ns = 110 * S,
                                     .unfinished_ns = rows[i].unfinished_s * S,
                                     .failed = rows[i].command_failed};
        const struct why_failure *failure = &asked()->failure;
        if (failure->kind != rows[i].kind)
            fail_msg("row %zu: %u", i, failure->kind);
        assert_cause(i, rows[i].kind == WHY_NOTHING_FAILED ? CAUSE_PIN : WHY_FAILED);
        if (rows[i].kind == WHY_NOTHING_FAILED)
            continue;
        assert_int_equal(failure->worker, 1);
        assert_int_equal(failure->pid, 4711);
        assert_int_equal(failure->item, 100);
        if (rows[i].kind == WHY_WORKER_KILLED)
            assert_int_equal(failure->status, 9);
        if (rows[i].kind == WHY_WORKER_EXITED)
            assert_int_equal(failure->status, 3);
        if (rows[i].kind == WHY_WORKER_HANGS)
            assert_int_equal(failure->since_ns, (110 - rows[i].phase) * S);
    }
    around = (struct why_around){.life_ns = DATASTALL_UNKNOWN, .stopped_ns = DATASTALL_UNKNOWN};
}

/* Of a stream it is told behind how many items it raised, where one iterator had all of them and no index
 * says which it was. */
static void behind_how_many_items(void **state)
{
    (void)state;
    static const struct {
        bool stream;
        uint64_t iterators, item, after;
    } rows[] = {{true, 1, 0, 77}, {true, 0, 0, 77}, {true, 2, 0, 0},
                {true, 1, 5, 0},  {true, 1, 1, 0},  {false, 1, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(50 * S);
        c[RF_COUNT_FAILED] = 1;
        c[RF_COUNT_ITERATORS] = rows[i].iterators;
        world.loaders[0].entry.flags = rows[i].stream ? DATASTALL_LOADER_STREAM : 0;
        struct rf_worker_view *worker = add_worker();
        worker->item = rows[i].item;
        worker->totals[RF_TOTAL_FAILED] = 1;
        worker->totals[RF_TOTAL_ITEMS] = 77;
        const struct why_failure *failure = &asked()->failure;
        assert_int_equal(failure->kind, WHY_ITEM_RAISED);
        CHECK(failure->after == rows[i].after, "row %zu: %u", i, (unsigned)failure->after);
        assert_true(failure->item == (rows[i].item > 0 ? rows[i].item - 1 : DATASTALL_UNKNOWN));
    }
}

/* ---- what another setting gives ---- */

static void workers_reckoned(void **state)
{
    (void)state;
    static const struct {
        uint64_t workers, make_ms, loop_ms, wait_ms; /* per batch, of a hundred */
        uint64_t cpus, idle;
        double each; /* CPUs of a worker at work */
        uint32_t wanted;
        double in_loop_s; /* 0: not known */
    } rows[] = {
        /* they sleep: as many as make the loop's own work the longer */
        {2, 100, 10, 40, 8, 8, 0, 8, 10.002}, /* four times as many at most */
        {4, 100, 10, 15, 8, 8, 0, 10, 10.002},
        {2, 100, 50, 0, 8, 8, 0, 0, 10.002},  /* nothing to gain */
        {2, 20, 10, 40, 8, 8, 1, 0, 2.002},   /* with as many as there are */
        {2, 100, 10, 40, 2, 0, 0, 8, 10.002}, /* and find a turn where others compute */
        {2, 100, 10, 40, 2, 0, 0.25, 0, 10.002},
        {2, 100, 10, 40, 8, 0, 0.19, 8, 10.002},
        {2, 100, 10, 40, 8, 0, 0.21, 0, 10.002},
        /* they compute: as many as there are CPUs */
        {2, 100, 10, 40, 8, 8, 1, 8, 10.002},
        {2, 100, 10, 40, 4, 1, 1, 3, 10.002},
        {2, 100, 10, 40, 4, 0, 1, 0, 10.002},
        {2, 100, 10, 40, 2, 2, 1, 0, 10.002},
        /* in the loop: the hand-over must pay */
        {0, 100, 10, 100, 8, 8, 1, 8, 0},
        {0, 100, 100, 100, 8, 8, 1, 1, 0},
        {0, 0, 10, 1, 8, 8, 1, 0, 0},
        {0, 100, 100, 100, 1, 1, 1, 1, 0}, /* room for one */
        {1, 100, 10, 90, 8, 8, 1, 4, 10.002},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(100 * rows[i].wait_ms * MS);
        const uint64_t active_ns = 100 * (rows[i].loop_ms + rows[i].wait_ms) * MS;
        world.loaders[0].entry.num_workers = rows[i].workers;
        c[RF_COUNT_END_NS] = 10 * S + active_ns;
        c[RF_COUNT_BATCHES] = 100;
        c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] = 100 * rows[i].wait_ms * MS;
        set_cpus(rows[i].cpus * 1000, rows[i].idle * 1000);
        uint64_t *t = add_worker()->totals; /* all of them together */
        t[RF_TOTAL_BATCHES] = 100;
        t[RF_TOTAL_ITEMS_NS] = 100 * rows[i].make_ms * MS;
        t[RF_TOTAL_ITEMS_CPU_NS] = (uint64_t)(rows[i].each * (double)t[RF_TOTAL_ITEMS_NS]);
        t[RF_TOTAL_BEGIN_NS] = 10 * S;
        t[RF_TOTAL_END_NS] = 10 * S + active_ns;
        t[RF_TOTAL_OPENED_NS] = rows[i].workers * S; /* one of them has it to do in any case */
        const struct why_setting *setting = &asked()->setting;
        if (setting->workers != rows[i].wanted)
            fail_msg("row %zu: %u workers (gain %g, most %g)", i, setting->workers, setting->gain,
                     setting->most_workers);
        const double now_ms = (double)(rows[i].loop_ms + rows[i].wait_ms);
        const double then_ms =
            fmax((double)rows[i].loop_ms, (double)rows[i].make_ms / setting->workers);
        if (setting->workers == 0)
            assert_true(isnan(setting->gain));
        else if (!(fabs(setting->gain - (1 - then_ms / now_ms)) < 0.06))
            fail_msg("row %zu: a gain of %g", i, setting->gain);
        if (rows[i].in_loop_s == 0)
            assert_true(isnan(setting->in_loop_ns));
        else
            assert_true(fabs(setting->in_loop_ns * 1e-9 - rows[i].in_loop_s - 1) < NEAR);
    }
}

/* CPUs for workers: those that they use, and those that are idle, unless items wait for one; of what is not
 * known of them follows nothing. */
static void cpus_for_more_workers(void **state)
{
    (void)state;
    static const struct {
        uint64_t delay_ms, usable_milli, idle_milli, span_s; /* of 10 s of items, of which 8 ran */
        double most;
    } rows[] = {
        {1500, 8000, 4000, 5, 6}, /* (4 + 8 / 5) / (8 / 8.5) */
        {1501, 8000, 4000, 5, 1}, /* none is free: 8 / 5 / (8 / 8.5) */
        {1500, 3000, 4000, 5, 3}, /* no more than there are beside the used ones */
        {1500, 8000, 0, 5, 1},    /* as many as there are */
        {1500, RF_UNKNOWN, 4000, 5, NAN},
        {1500, 8000, 4000, 0, NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(40 * S);
        world.loaders[0].entry.num_workers = 2;
        c[RF_COUNT_BATCHES] = 100;
        set_cpus(rows[i].usable_milli, rows[i].idle_milli);
        uint64_t *t = add_worker()->totals;
        t[RF_TOTAL_COUNT] = t[RF_TOTAL_BATCHES] = 100;
        t[RF_TOTAL_ITEMS_NS] = 10 * S;
        t[RF_TOTAL_ITEMS_CPU_NS] = 8 * S;
        t[RF_TOTAL_ITEMS_DELAY_NS] = rows[i].delay_ms * MS;
        t[RF_TOTAL_BEGIN_NS] = 10 * S;
        t[RF_TOTAL_END_NS] = (10 + rows[i].span_s) * S;
        const double most = asked()->setting.most_workers;
        CHECK(isnan(rows[i].most) ? isnan(most) : most == rows[i].most, "row %zu: %g", i, most);
    }
}

/* From one batch on; of none, or where the workers are not known or share a lock, nothing. */
static void what_is_reckoned_of_one_batch(void **state)
{
    (void)state;
    static const struct {
        uint64_t made, batches, workers, locked;
        bool is_known;
    } rows[] = {{1, 1, 2, 0, true},
                {0, 1, 2, 0, false},
                {1, 0, 2, 0, false},
                {1, 1, DATASTALL_UNKNOWN, 0, false},
                {1, 1, 2, 20, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(40 * S);
        world.loaders[0].entry.num_workers = rows[i].workers;
        c[RF_COUNT_BATCHES] = rows[i].batches;
        struct rf_worker_view *worker = add_worker();
        worker->looks = 40;
        worker->locked = rows[i].locked;
        worker->totals[RF_TOTAL_BATCHES] = rows[i].made;
        worker->totals[RF_TOTAL_ITEMS_NS] = 30 * S;
        worker->totals[RF_TOTAL_ITEMS_DELAY_NS] = 4 * S;
        worker->totals[RF_TOTAL_COLLATE_NS] = 5 * S;
        worker->totals[RF_TOTAL_COLLATE_DELAY_NS] = 1 * S;
        const struct why_setting *setting = &asked()->setting;
        assert_figure(setting->loop_ns, rows[i].is_known ? 60e9 : NAN);
        assert_figure(setting->make_ns, rows[i].is_known ? 30e9 : NAN);
        assert_true(isnan(setting->cpus_each) != rows[i].is_known);
        assert_true(isnan(setting->faster.mean) && !setting->is_replayed);
    }
}

/* Who has the lock computes; where the others wait for it and CPUs are idle, it is the lock. */
static void a_lock_that_is_held_while_items_are_made(void **state)
{
    (void)state;
    static const struct {
        uint64_t blocked_ms; /* of a stall of 20 s; the rest computes */
        uint64_t looks, locked, idle_milli;
        uint32_t cause;
    } rows[] = {
        {9000, 40, 20, 1000, CAUSE_BLOCKED},  {6000, 40, 20, 1000, CAUSE_BLOCKED},
        {5999, 40, 20, 1000, CAUSE_COMPUTE},  {9000, 40, 12, 1000, CAUSE_BLOCKED},
        {9000, 40, 11, 1000, CAUSE_COMPUTE},  {9000, 12, 6, 1000, CAUSE_BLOCKED},
        {9000, 11, 6, 1000, CAUSE_COMPUTE},   {9000, 40, 20, 300, CAUSE_BLOCKED},
        {9000, 40, 20, 290, CAUSE_COMPUTE},   {9000, 40, 0, 1000, CAUSE_COMPUTE},
        {11000, 40, 20, 1000, CAUSE_BLOCKED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *c = begin_loader(20 * S);
        c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = rows[i].blocked_ms * MS;
        c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] = 20 * S - rows[i].blocked_ms * MS;
        struct rf_worker_view *worker = add_worker();
        worker->looks = rows[i].looks;
        worker->locked = rows[i].locked;
        worker->totals[RF_TOTAL_ITEMS_NS] = 20 * S;
        worker->totals[RF_TOTAL_ITEMS_CPU_NS] = 20 * S - rows[i].blocked_ms * MS;
        set_cpus(2000, rows[i].idle_milli);
        assert_cause(i, rows[i].cause);
    }
}

static void names_of_causes(void **state)
{
    (void)state;
    static const char *const names[] = {"compute",
                                        "compute_in_threads",
                                        "cpu_contention",
                                        "blocked",
                                        "collate",
                                        "transfer",
                                        "loop_cpu_wait",
                                        "interpreter",
                                        "overhead",
                                        "pin",
                                        "sampler",
                                        "startup",
                                        "unknown",
                                        "head_of_line",
                                        "window",
                                        "storage",
                                        "epoch_start",
                                        "uneven_shards",
                                        "duplicate_stream",
                                        "failed",
                                        "none"};
    _Static_assert(sizeof names / sizeof *names == WHY_CAUSES, "one name each");
    for (uint32_t i = 0; i < WHY_CAUSES; i++)
        assert_string_equal(why_name(i), names[i]);
    assert_null(why_name(WHY_CAUSES));
}

/* ---- the queue ---- */

static void depth_of_the_queue(void **state)
{
    (void)state;
    uint64_t *c = begin_loader(10 * S);
    assert_int_equal(asked()->depth.waits, 0);
    assert_true(isnan(asked()->depth.ready) && isnan(asked()->depth.early) &&
                isnan(asked()->depth.in_flight) && isnan(asked()->depth.possible) &&
                isnan(asked()->depth.empty_share));
    c[RF_COUNT_DEPTH_WAITS] = 8;
    c[RF_COUNT_DEPTH_READY] = 4;
    c[RF_COUNT_DEPTH_EARLY] = 2;
    c[RF_COUNT_DEPTH_IN_FLIGHT] = 24;
    c[RF_COUNT_DEPTH_POSSIBLE] = 64;
    c[RF_COUNT_DEPTH_EMPTY] = 6;
    const struct why_depth *depth = &asked()->depth;
    assert_int_equal(depth->waits, 8);
    assert_figure(depth->ready, 0.5);
    assert_figure(depth->early, 0.25);
    assert_figure(depth->in_flight, 3);
    assert_figure(depth->possible, 8);
    assert_figure(depth->empty_share, 0.75);
}

/* ---- the machine ---- */

struct host_row {
    uint64_t milli, source, cpu_ns, throttled_ns, cpu_pressure_ns, io_pressure_ns, shm, used;
    uint64_t first_s, last_s;
    struct why_host host;
};
#define NONE RF_UNKNOWN
#define ALL_BUT_RATES 4.5, "the machine"
static const struct host_row host_rows[] = {
    /* never read */
    {4500, 0, 1, 1, 1, 1, 1, 1, 0, 0, {NAN, NULL, NAN, NAN, NAN, NAN, NAN, NAN}},
    /* all told, over ten seconds */
    {4500, 0, 5 * S, 3 * S, 2 * S, S, 100, 40, 10, 20, {ALL_BUT_RATES, 0.5, 3, 0.2, 0.1, 100, 40}},
    {2000, 1, 0, 0, 0, 0, 0, 0, 10, 20, {2, "its CPU affinity", 0, 0, 0, 0, 0, 0}},
    {2000, 2, 0, 0, 0, 0, 0, 0, 10, 20, {2, "its cpuset", 0, 0, 0, 0, 0, 0}},
    {2000, 3, 0, 0, 0, 0, 0, 0, 10, 20, {2, "the CPU quota of its container", 0, 0, 0, 0, 0, 0}},
    {2000, 4, 0, 0, 0, 0, 0, 0, 10, 20, {2, NULL, 0, 0, 0, 0, 0, 0}},
    {2000, NONE, 0, 0, 0, 0, 0, 0, 10, 20, {2, NULL, 0, 0, 0, 0, 0, 0}},
    /* more pressure than time: no more than all of it */
    {4500, 0, 20 * S, 0, 30 * S, 11 * S, 0, 0, 10, 20, {ALL_BUT_RATES, 2, 0, 1, 1, 0, 0}},
    /* read once: there is no rate yet */
    {4500, 0, S, S, S, S, 8, 7, 10, 10, {ALL_BUT_RATES, NAN, 1, NAN, NAN, 8, 7}},
    {4500, 0, S, S, S, S, 8, 7, 11, 10, {ALL_BUT_RATES, NAN, 1, NAN, NAN, 8, 7}},
    /* each one unknown alone */
    {NONE, 0, S, S, S, S, 8, 7, 10, 20, {NAN, "the machine", 0.1, 1, 0.1, 0.1, 8, 7}},
    {4500, 0, NONE, S, S, S, 8, 7, 10, 20, {ALL_BUT_RATES, NAN, 1, 0.1, 0.1, 8, 7}},
    {4500, 0, S, NONE, S, S, 8, 7, 10, 20, {ALL_BUT_RATES, 0.1, NAN, 0.1, 0.1, 8, 7}},
    {4500, 0, S, S, NONE, S, 8, 7, 10, 20, {ALL_BUT_RATES, 0.1, 1, NAN, 0.1, 8, 7}},
    {4500, 0, S, S, S, NONE, 8, 7, 10, 20, {ALL_BUT_RATES, 0.1, 1, 0.1, NAN, 8, 7}},
    {4500, 0, S, S, S, S, NONE, 7, 10, 20, {ALL_BUT_RATES, 0.1, 1, 0.1, 0.1, NAN, 7}},
    {4500, 0, S, S, S, S, 8, NONE, 10, 20, {ALL_BUT_RATES, 0.1, 1, 0.1, 0.1, 8, NAN}},
};

static void what_the_machine_gave(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof host_rows / sizeof *host_rows; i++) {
        const struct host_row *row = &host_rows[i];
        begin_loader(10 * S);
        uint64_t *w = world.processes[0].view.words;
        w[RF_PROCESS_HOST_NS] = row->last_s * S;
        w[RF_PROCESS_HOST_FIRST_NS] = row->first_s * S;
        w[RF_PROCESS_CPUS_MILLI] = row->milli;
        w[RF_PROCESS_CPUS_SOURCE] = row->source;
        w[RF_PROCESS_CPU_NS] = row->cpu_ns;
        w[RF_PROCESS_THROTTLED_NS] = row->throttled_ns;
        w[RF_PROCESS_CPU_PRESSURE_NS] = row->cpu_pressure_ns;
        w[RF_PROCESS_IO_PRESSURE_NS] = row->io_pressure_ns;
        w[RF_PROCESS_SHM_BYTES] = row->shm;
        w[RF_PROCESS_SHM_USED_BYTES] = row->used;
        const struct why_host *host = &asked()->host;
        assert_figure(host->cpus_usable, row->host.cpus_usable);
        if (row->host.limit == NULL)
            assert_null(host->limit);
        else
            assert_string_equal(host->limit, row->host.limit);
        assert_int_equal(host->is_limited,
                         row->host.limit != NULL && strcmp(row->host.limit, "the machine") != 0);
        assert_figure(host->loop_cpus, row->host.loop_cpus);
        assert_figure(host->throttled_s, row->host.throttled_s);
        assert_figure(host->cpu_pressure, row->host.cpu_pressure);
        assert_figure(host->io_pressure, row->host.io_pressure);
        assert_figure(host->shm_size_bytes, row->host.shm_size_bytes);
        assert_figure(host->shm_used_bytes, row->host.shm_used_bytes);
    }
}

/* ---- the workers ---- */

static void without_workers_nothing_is_said_of_them(void **state)
{
    (void)state;
    begin_loader(10 * S);
    add_worker()->loader = 1; /* another loader's */
    world.workers[0].totals[RF_TOTAL_BATCHES] = 5;
    world.workers[0].totals[RF_TOTAL_END_NS] = 9 * S;
    const struct why_work *work = &asked()->work;
    assert_int_equal(work->workers, 0);
    assert_int_equal(work->batches, 0);
    assert_int_equal(work->generations, 0);
    assert_int_equal(work->asked_bytes, DATASTALL_UNKNOWN);
    assert_int_equal(work->storage_bytes, DATASTALL_UNKNOWN);
    assert_int_equal(work->major_faults, DATASTALL_UNKNOWN);
    assert_true(isnan(work->busy_share) && isnan(work->running_cpus));
    assert_true(isnan(work->item_p50_ns) && isnan(work->item_p99_ns) && isnan(work->item_max_ns));
}

/* Worker k of three: sums of it are told apart by their last figure. */
static void fill_worker(uint64_t k)
{
    struct rf_worker_view *worker = add_worker();
    uint64_t *t = worker->totals;
    worker->generation = k;
    t[RF_TOTAL_COUNT] = k;
    t[RF_TOTAL_BATCHES] = 10 * k;
    t[RF_TOTAL_ITEMS] = 100 * k;
    t[RF_TOTAL_ITEMS_TIMED] = 50 * k;
    t[RF_TOTAL_ITEMS_NS] = 1000 * k;
    t[RF_TOTAL_ITEMS_CPU_NS] = 500 * k;
    t[RF_TOTAL_ITEMS_DELAY_NS] = 200 * k;
    t[RF_TOTAL_ITEMS_THREADS_NS] = 100 * k;
    t[RF_TOTAL_ITEMS_THREADS_CPU_NS] = 250 * k; /* several at once */
    t[RF_TOTAL_COLLATE_NS] = 300 * k;
    t[RF_TOTAL_COLLATE_CPU_NS] = 200 * k;
    t[RF_TOTAL_GAP_NS] = 700 * k;
    t[RF_TOTAL_GAP_CPU_NS] = 70 * k;
    t[RF_TOTAL_STARTUP_NS] = 7 * k;
    t[RF_TOTAL_BEGIN_NS] = 10000 - k;
    t[RF_TOTAL_END_NS] = 20000 + k;
    t[RF_TOTAL_ASKED_BYTES] = k == 2 ? DATASTALL_UNKNOWN : 1000 * k;
    t[RF_TOTAL_STORAGE_BYTES] = 10 * k;
    t[RF_TOTAL_MAJOR_FAULTS] = k == 3 ? 4 : DATASTALL_UNKNOWN;
}

static void workers_of_a_loader_are_added_up(void **state)
{
    (void)state;
    begin_loader(10 * S);
    world.loaders[0].index = 7;
    world.loaders[0].entry.num_workers = 3;
    for (uint64_t k = 1; k <= 3; k++)
        fill_worker(k);
    add_worker()->loader = 6;
    world.workers[3].totals[RF_TOTAL_BATCHES] = 1000;
    const struct why_work *work = &asked()->work;
    assert_int_equal(work->workers, 3);
    assert_int_equal(work->generations, 6);
    assert_int_equal(work->batches, 60);
    assert_int_equal(work->items, 600);
    assert_int_equal(work->items_timed, 300);
    assert_int_equal(work->items_ns, 6000);
    assert_int_equal(work->cpu_ns, 3000);
    assert_int_equal(work->delay_ns, 1200);
    assert_int_equal(work->threads_ns, 600);
    assert_int_equal(work->blocked_ns, 1200);
    assert_int_equal(work->collate_ns, 1800);
    assert_int_equal(work->gap_ns, 4200);
    assert_int_equal(work->gap_cpu_ns, 420);
    assert_int_equal(work->startup_ns, 42);
    assert_int_equal(work->asked_bytes, 4000);
    assert_int_equal(work->storage_bytes, 60);
    assert_int_equal(work->major_faults, 4);
    /* items and collation, and what of the gaps ran, of all that they lived */
    assert_figure(work->busy_share, (6000 + 1800 + 420) / 12000.0);
    /* what ran, from the first batch of any to the last one */
    assert_figure(work->running_cpus, (3000 + 1500 + 420 + 1200) / (20003.0 - 9997.0));
    /* In the loop's own process the gaps are its own work. */
    world.loaders[0].entry.num_workers = 0;
    assert_figure(asked()->work.running_cpus, (3000 + 1500 + 1200) / (20003.0 - 9997.0));
}

/* Figures of a file may contradict each other. */
static void figures_of_workers_that_cannot_be(void **state)
{
    (void)state;
    begin_loader(10 * S);
    fill_worker(1);
    uint64_t *t = world.workers[0].totals;
    t[RF_TOTAL_ITEMS_CPU_NS] = 2000; /* of 1000 */
    t[RF_TOTAL_GAP_CPU_NS] = 5000;   /* of 700 */
    assert_int_equal(asked()->work.blocked_ns, 0);
    assert_figure(asked()->work.busy_share, 1);
    t[RF_TOTAL_END_NS] = t[RF_TOTAL_BEGIN_NS]; /* no span: no rate */
    assert_true(isnan(asked()->work.running_cpus));
    t[RF_TOTAL_END_NS] = 1;
    assert_true(isnan(asked()->work.running_cpus));
    t[RF_TOTAL_ITEMS_NS] = t[RF_TOTAL_COLLATE_NS] = t[RF_TOTAL_GAP_NS] = 0; /* not lived */
    assert_true(isnan(asked()->work.busy_share));
    t[RF_TOTAL_GAP_NS] = 1;
    assert_figure(asked()->work.busy_share, 1);
}

static void quantiles_of_items(void **state)
{
    (void)state;
    static const struct {
        uint64_t counts[4]; /* of the buckets 10, 20, 30 and of the last one */
        uint32_t p50, p99;  /* buckets */
    } rows[] = {
        {{1, 0, 0, 0}, 10, 10},   {{0, 0, 0, 1}, 191, 191},
        {{1, 1, 0, 0}, 20, 20},   /* rank 1 of 0 and 1 */
        {{2, 1, 0, 0}, 10, 20},   /* rank 1 of 0, 1, 2 */
        {{50, 50, 0, 0}, 20, 20}, /* rank 50 is the first of the second fifty */
        {{51, 49, 0, 0}, 10, 20}, /* and here the last of the first */
        {{50, 49, 1, 0}, 20, 30}, /* rank 99 */
        {{50, 50, 1, 0}, 20, 20}, /* rank 99 of 101 */
        {{99, 0, 1, 0}, 10, 30},  {{100, 0, 1, 0}, 10, 10},
        {{990, 9, 1, 0}, 10, 20},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_loader(10 * S);
        static const uint32_t buckets[] = {10, 20, 30, 191};
        for (uint32_t b = 0; b < 4; b++) { /* over two workers */
            if (b == 0) {
                add_worker();
                add_worker();
            }
            world.workers[0].items[buckets[b]] = rows[i].counts[b] / 2;
            world.workers[1].items[buckets[b]] = rows[i].counts[b] - rows[i].counts[b] / 2;
        }
        assert_figure(asked()->work.item_p50_ns, (double)rf_item_bucket_ns(rows[i].p50));
        assert_figure(asked()->work.item_p99_ns, (double)rf_item_bucket_ns(rows[i].p99));
        assert_true(isnan(asked()->work.item_max_ns));
    }
}

static void the_slowest_item_of_all_workers(void **state)
{
    (void)state;
    static const struct {
        uint64_t counts[2], ns[2];
        double slowest;
    } rows[] = {
        {{1, 1}, {5, 9}, 9}, {{1, 1}, {9, 5}, 9},   {{0, 1}, {9, 5}, 5},
        {{1, 0}, {5, 9}, 5}, {{0, 0}, {5, 9}, NAN}, {{1, 1}, {1, 0}, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_loader(10 * S);
        for (uint32_t k = 0; k < 2; k++) {
            struct rf_worker_view *worker = add_worker();
            worker->slowest_count = (uint32_t)rows[i].counts[k];
            worker->slowest[0].ns = rows[i].ns[k];
        }
        assert_figure(asked()->work.item_max_ns, rows[i].slowest);
    }
}

/* A bucket's middle is beyond the slowest item in it: no item took that long. */
static void no_item_takes_longer_than_the_slowest(void **state)
{
    (void)state;
    static const struct {
        uint64_t items[2], slowest_ns; /* in the buckets 30 and 40 */
        double p50, p99;               /* 0: the slowest; else the middle of that bucket */
    } rows[] = {{{1, 0}, 1, 0, 0}, {{0, 9}, 1, 0, 0}, {{9, 1}, 2, 30, 0}, {{9, 1}, 3, 30, 40}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t middles[2] = {rf_item_bucket_ns(30), rf_item_bucket_ns(40)};
        const uint64_t slowest[4] = {0, middles[0] - 1, middles[1] - 1, middles[1] + 1};
        begin_loader(10 * S);
        struct rf_worker_view *worker = add_worker();
        worker->items[30] = rows[i].items[0];
        worker->items[40] = rows[i].items[1];
        worker->slowest_count = 1;
        worker->slowest[0].ns = slowest[rows[i].slowest_ns];
        const struct why_work *work = &asked()->work;
        assert_figure(work->item_max_ns, (double)worker->slowest[0].ns);
        assert_figure(work->item_p50_ns, rows[i].p50 == 0 ? work->item_max_ns : (double)middles[0]);
        assert_figure(work->item_p99_ns, rows[i].p99 == 0 ? work->item_max_ns : (double)middles[1]);
    }
}

/* The buckets of item times: each begins where the one before ends, and has its middle inside. */
static void buckets_of_items(void **state)
{
    (void)state;
    static const struct {
        uint64_t ns;
        uint32_t bucket;
        uint64_t middle;
    } rows[] = {
        {0, 0, 8},   {15, 0, 8},  {16, 1, 18}, {19, 1, 18},           {20, 2, 22},
        {24, 3, 26}, {28, 4, 30}, {31, 4, 30}, {32, 5, 36},           {39, 5, 36},
        {40, 6, 44}, {63, 8, 60}, {64, 9, 72}, {1000000, 64, 983040},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(rf_item_bucket(rows[i].ns), rows[i].bucket);
        assert_int_equal(rf_item_bucket_ns(rows[i].bucket), rows[i].middle);
    }
    assert_int_equal(rf_item_bucket(UINT64_MAX), RF_WORKER_ITEM_BUCKETS - 1);
    for (uint32_t b = 0; b < RF_WORKER_ITEM_BUCKETS; b++)
        assert_int_equal(rf_item_bucket(rf_item_bucket_ns(b)), b);
}

/* A validation loader is iterated for a part of the program's time, and its gain is of that. */
static void a_gain_says_of_what_it_is(void **state)
{
    const struct range faster = {.lower = 3.32, .mean = 4.32, .upper = 6.16};
    struct why why = {.active_ns = 8 * DS_NS_PER_S};
    char text[64];
    (void)state;
    why_try(&why, "num_workers=0");
    why_add_part(&why, 25 * DS_NS_PER_S);
    assert_string_equal(why.suggestion, "num_workers=0"); /* no gain is told */
    why_try(&why, "num_workers=0: %s", why_gain_text(&why, &faster, text, sizeof text));
    why_add_part(&why, DS_NS_PER_S * 88 / 10); /* nearly all of it */
    assert_string_equal(why.suggestion, "num_workers=0: 4.32x faster (3.32 to 6.16)");
    why_add_part(&why, 25 * DS_NS_PER_S);
    assert_string_equal(why.suggestion,
                        "num_workers=0: 4.32x faster (3.32 to 6.16); counted in the "
                        "8.0 s of 25.0 s that this loader is iterated");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_stall_that_has_a_cause),
        cmocka_unit_test(without_a_window_there_is_no_cause),
        cmocka_unit_test(the_largest_state_is_the_cause),
        cmocka_unit_test(states_are_the_whole_of_the_stall),
        cmocka_unit_test(the_stall_is_what_the_verdict_takes),
        cmocka_unit_test(start_up),
        cmocka_unit_test(one_long_epoch),
        cmocka_unit_test(head_of_line),
        cmocka_unit_test(the_window),
        cmocka_unit_test(start_up_does_not_count_for_the_window),
        cmocka_unit_test(behind_how_many_items),
        cmocka_unit_test(what_is_reckoned_of_one_batch),
        cmocka_unit_test(cpus_for_more_workers),
        cmocka_unit_test(no_item_takes_longer_than_the_slowest),
        cmocka_unit_test(a_lock_that_is_held_while_items_are_made),
        cmocka_unit_test(names_of_causes),
        cmocka_unit_test(depth_of_the_queue),
        cmocka_unit_test(dear_items_of_one_worker),
        cmocka_unit_test(workers_of_a_stream),
        cmocka_unit_test(the_same_data_from_each_worker),
        cmocka_unit_test(first_batches_of_many_epochs),
        cmocka_unit_test(what_busy_workers_do),
        cmocka_unit_test(what_items_were_blocked_for),
        cmocka_unit_test(items_that_fault),
        cmocka_unit_test(other_threads_on_a_full_machine),
        cmocka_unit_test(other_threads_beside_a_crowd),
        cmocka_unit_test(processes_that_compute_for_items),
        cmocka_unit_test(no_cpu_is_free),
        cmocka_unit_test(what_is_too_short_for_a_cause),
        cmocka_unit_test(a_pause_is_not_the_window),
        cmocka_unit_test(a_worker_that_failed),
        cmocka_unit_test(workers_reckoned),
        cmocka_unit_test(what_the_machine_gave),
        cmocka_unit_test(without_workers_nothing_is_said_of_them),
        cmocka_unit_test(workers_of_a_loader_are_added_up),
        cmocka_unit_test(figures_of_workers_that_cannot_be),
        cmocka_unit_test(quantiles_of_items),
        cmocka_unit_test(the_slowest_item_of_all_workers),
        cmocka_unit_test(buckets_of_items),
        cmocka_unit_test(figures_of_one_worker_and_of_two),
        cmocka_unit_test(workers_that_had_data),
        cmocka_unit_test(the_gravest_failure),
        cmocka_unit_test(in_vain),
        cmocka_unit_test(a_batch_that_was_never_sent),
        cmocka_unit_test(a_batch_that_could_not_be_taken),
        cmocka_unit_test(a_gain_says_of_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
