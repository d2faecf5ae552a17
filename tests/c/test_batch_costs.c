/* SPDX-License-Identifier: Apache-2.0 */
/* What the batches that a run keeps say of their costs: for predictions, and on the clock. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/kept.h"
#include "diagnose/predict_rows.h"
#include "recorded.h"
#include "support.h"

/* Workers are the bottleneck: 8 ms of items, 1 ms of collation each. */
static const struct recorded_plan usual = RECORDED_PLAN;

static struct predict_model model;
static char says[256];

static bool make(bool hides)
{
    says[0] = '\0';
    return predict_model_make(&recorded.process, &recorded.loader, &recorded.why, hides, &model,
                              says, sizeof says);
}

static void release(void)
{
    free(model.batches);
    model.batches = NULL;
}

/* What its worker did is not known. */
static void hide_making(uint32_t batch)
{
    for (uint32_t t = RF_BATCH_BEGUN; t <= RF_BATCH_COLLATE_DELAY; t++)
        recorded.batches[batch].times[t] = RF_STRETCH_UNKNOWN;
}

static void is(const char *what, double got, double wanted)
{
    const double off = fabs(got - wanted);
    CHECK(off <= fabs(wanted) * 1e-7, "%s: %.3f ns in place of %.3f", what, got, wanted);
}

static void workers_that_are_the_bottleneck(void **state)
{
    (void)state;
    record_plan(&usual);
    assert_true(make(false));
    const struct machine_costs *c = &model.costs;
    is("send", c->send, 4 * TICK);
    is("get", c->get, 3 * TICK);
    is("tail", c->tail, 2 * TICK);
    is("latency", c->latency, 6 * TICK);
    is("gap", c->gap, 9 * TICK);
    is("pin", c->pin, 0);
    is("first send", c->first_send, 0);
    is("overhead", c->overhead, 0.15e6);
    is("parallel", c->parallel, 1);
    is("cpus", c->cpus, 8);
    is("first items", c->first_running + c->first_blocked, 0);
    is("end", c->end, 0);
    is("measured", model.measured_ns, recorded.took);
    is("waited", model.measured_waited_ns, recorded.waited);
    assert_int_equal(model.load.count, 128);
    assert_int_equal(model.load.epochs, 1);
    assert_int_equal(model.load.epoch_batches, 128);
    assert_int_equal(model.load.pieces, 1);
    is("running times", model.load.running_times, 1);
    is("blocked times", model.load.blocked_times, 1);
    is("collate times", model.load.collate_times, 1);
    is("delay times", model.load.delay_times, 0);
    assert_int_equal(model.samples, 4 * 128);
    assert_int_equal(model.setting.workers, 2);
    assert_int_equal(model.setting.prefetch_factor, 2);
    assert_true(model.setting.in_order && !model.setting.persistent);
    assert_false(model.is_held_up || model.is_stream || model.spawned);
    assert_true(isnan(model.first_wait_ns));
    for (uint32_t i = 0; i < 128; i++) {
        const struct machine_batch *b = &model.batches[i];
        is("running", b->running, 45 * TICK);
        is("blocked", b->blocked, 80 * TICK);
        is("collate", b->collate, 10 * TICK);
        is("collate blocked", b->collate_blocked, 6 * TICK);
        is("delayed", b->delayed, 0);
        is("loop running", b->consumed_running, 15 * TICK); /* without taking the batch */
        is("loop else", b->consumed_else, 16 * TICK);
    }
    release();
}

/* Its batches are there long before they are asked for: no way is told, and what next() takes then is
 * what taking one costs. */
static void a_loop_that_is_the_bottleneck(void **state)
{
    (void)state;
    static const struct {
        uint32_t ready, pin;
        double tail_ns;
    } rows[] = {{30, 0, 27 * TICK}, {4, 0, 2 * TICK}, {30, 1, 2 * TICK}};
    for (uint32_t i = 0; i < 3; i++) {
        struct recorded_plan plan = usual;
        plan.items = 45;
        plan.consumed = 300;
        plan.ready = rows[i].ready;
        plan.pin = rows[i].pin;
        record_plan(&plan);
        assert_true(make(false));
        is("tail", model.costs.tail, rows[i].tail_ns);
        is("pin", model.costs.pin, rows[i].pin * TICK);
        is("gap", model.costs.gap, 0.30e6); /* an index comes when a batch is taken, much later */
        release();
    }
}

/* What is told of fewer than 16 batches is not taken for the usual. */
static void too_few_to_tell(void **state)
{
    (void)state;
    static const struct {
        uint32_t batches, workers;
        double gap_ns;
    } rows[] = {{20, 2, 9 * TICK}, {19, 2, 0.30e6}, {22, 3, 9 * TICK}, {21, 3, 0.30e6}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = usual;
        plan.batches = rows[i].batches;
        plan.workers = rows[i].workers;
        record_plan(&plan);
        assert_true(make(false));
        CHECK(fabs(model.costs.gap - rows[i].gap_ns) < 1, "row %u: %g", i, model.costs.gap);
        release();
    }
    /* A gap is 20 us at least. */
    struct recorded_plan plan = usual;
    plan.gap = 0;
    record_plan(&plan);
    assert_true(make(false));
    is("gap", model.costs.gap, 0.02e6);
    release();
    /* Nobody tells which worker made them. */
    record_plan(&usual);
    for (uint32_t i = 0; i < 128; i++)
        recorded.batches[i].worker = 0xffff;
    assert_true(make(false));
    is("gap", model.costs.gap, 0.30e6);
    release();
}

/* Waits of batches that had been there are told from 16 on; `far`: so long before the call. */
static void waits_for_batches_that_were_there(void **state)
{
    (void)state;
    for (uint32_t ready = 15; ready <= 16; ready++) {
        record_plan(&usual);
        for (uint32_t i = 40; i < 40 + ready; i++) {
            /* Made 4 times the way of one before it was asked for, and a tick more. */
            recorded.batches[i].times[RF_BATCH_WAITED] = 10 * TICK_UNITS;
            recorded.batches[i].times[RF_BATCH_BEGUN] =
                (10 + 4 * (4 + 3 + 6) + 1 + 125 + 16) * TICK_UNITS;
        }
        assert_true(make(false));
        is("tail", model.costs.tail, ready == 16 ? 7 * TICK : 2 * TICK);
        release();
    }
    record_plan(&usual);
    for (uint32_t i = 40; i < 60; i++) { /* just so long: no more */
        recorded.batches[i].times[RF_BATCH_WAITED] = 10 * TICK_UNITS;
        recorded.batches[i].times[RF_BATCH_BEGUN] = (10 + 4 * (4 + 3 + 6) + 125 + 16) * TICK_UNITS;
    }
    assert_true(make(false));
    is("tail", model.costs.tail, 2 * TICK);
    release();
}

static void the_first_batches_of_workers(void **state)
{
    (void)state;
    static const struct {
        uint32_t items, handover;
        double blocked;
    } rows[] = {
        {63, 40, 63}, /* more than half as long again */
        {62, 40, 0},  /* no more than that: they are like all */
        {63, 0, 63},
    };
    for (uint32_t persistent = 0; persistent < 2; persistent++) {
        for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct recorded_plan plan = usual;
            plan.batches = 64;
            plan.epochs = 2;
            plan.first_items = rows[i].items;
            plan.first_handover = rows[i].handover;
            plan.persistent = persistent;
            plan.consumed = 0;
            record_plan(&plan);
            if (rows[i].blocked > 0) { /* in the mean of them */
                recorded.batches[0].times[RF_BATCH_ITEMS] += 3 * TICK_UNITS;
                recorded.batches[1].times[RF_BATCH_ITEMS] -= 3 * TICK_UNITS;
            }
            assert_true(make(false));
            is("blocked", model.costs.first_blocked, rows[i].blocked * TICK);
            is("running", model.costs.first_running, 0);
            is("latency", model.costs.latency, 6 * TICK);
            /* Of the kept workers' second epoch the first batch is sent as any. */
            is("first send", model.costs.first_send, rows[i].handover * TICK);
            /* The rest of a first batch is as the others are. */
            is("items", model.batches[0].blocked,
               rows[i].blocked > 0 ? 80 * TICK : (80 + 62) * TICK);
            is("items", model.batches[10].blocked, 80 * TICK);
            release();
        }
    }
}

/* ---- how a loader starts and ends ---- */

static void starting_and_ending(void **state)
{
    (void)state;
    enum { NEW = 1, AGAIN = 2, ENDS = 4, STARTUP = 8 }; /* what is told */
    static const struct {
        uint32_t workers;
        bool persistent, spawned;
        unsigned told;
        double iter, iter_each, boot, end_each, again, again_end, first_wait;
    } rows[] = {
        {2, false, false, NEW | AGAIN | ENDS | STARTUP, 0, 30, 205, 120, 20, 0, 500},
        {2, false, false, 0, 0, 0, 0, 0, 0, 0, NAN},
        {2, true, false, NEW | AGAIN | ENDS | STARTUP, 0, 30, 205, 0, 20, 120, 500},
        {2, true, false, NEW, 0, 30, 0, 0, 0, 0, 500},
        {0, false, false, NEW | AGAIN | ENDS, 60, 0, 0, 0, 20, 0, 500},
        {0, false, false, 0, 0, 0, 0, 0, 0, 0, NAN},
        {0, false, true, NEW, 60, 0, 0, 0, 0, 0, 500},
        {1, false, false, NEW | AGAIN | ENDS | STARTUP, 0, 60, 190, 120, 20, 0, 500},
        {1, true, false, NEW | AGAIN | ENDS | STARTUP, 0, 60, 190, 0, 20, 120, 500},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = usual;
        plan.workers = rows[i].workers;
        plan.persistent = rows[i].persistent;
        record_plan(&plan);
        uint64_t *head = recorded.stretches.head;
        const uint64_t tick = (uint64_t)TICK;
        if (rows[i].told & NEW) {
            head[RF_STRETCH_NEW] = 3;
            head[RF_STRETCH_NEW_ITER_NS] = 3 * 60 * tick;
            head[RF_STRETCH_NEW_FIRST_NS] = 3 * 500 * tick;
        }
        if (rows[i].told & AGAIN) {
            head[RF_STRETCH_AGAIN] = 2;
            head[RF_STRETCH_AGAIN_ITER_NS] = 2 * 20 * tick;
        }
        if (rows[i].told & ENDS) {
            head[RF_STRETCH_ENDS] = 5;
            head[RF_STRETCH_ENDS_NS] = 5 * 120 * tick;
        }
        if (rows[i].told & STARTUP) {
            recorded.why.work.startup_ns = 4 * 250 * tick;
            recorded.why.work.generations = 4;
        }
        if (rows[i].spawned)
            recorded.loader.entry.flags |= DATASTALL_LOADER_SPAWNED;
        assert_true(make(false));
        const struct machine_costs *c = &model.costs;
        const bool new_told = rows[i].told & NEW;
        is("iter", c->iter, rows[i].iter * TICK);
        is("iter each", c->iter_each,
           rows[i].workers > 0 && new_told ? rows[i].iter_each * TICK : 9e6);
        /* From the fork: workers are forked one after the other, in the mean half of them before. */
        const double none = rows[i].workers == 0 ? 18e6 : 18e6 - c->iter_each * 3 / 2;
        is("boot", c->boot,
           rows[i].spawned          ? 2e9
           : rows[i].told & STARTUP ? rows[i].boot * TICK
                                    : none);
        is("end each", c->end_each, rows[i].end_each > 0 ? rows[i].end_each * TICK : 8e6);
        const double again = rows[i].again > 0 ? rows[i].again * TICK : 1e6;
        is("again", c->again, again / 2);
        is("again each", c->again_each, again / 2 / (rows[i].workers > 0 ? rows[i].workers : 1));
        is("again end", c->again_end, rows[i].again_end > 0 ? rows[i].again_end * TICK : 0.1e6);
        if (rows[i].workers == 0)
            is("first send", c->first_send, 8e6);
        if (isnan(rows[i].first_wait))
            assert_true(isnan(model.first_wait_ns));
        else
            is("first wait", model.first_wait_ns, rows[i].first_wait * TICK);
        if (rows[i].workers > 0 && new_told)
            is("iter of workers", model.iter_ns, 60 * TICK);
        else
            assert_true(isnan(model.iter_ns));
        assert_int_equal(model.setting.persistent, rows[i].persistent);
        assert_int_equal(model.spawned, rows[i].spawned);
        release();
    }
    /* Of sixteen workers on eight CPUs two end one after the other. */
    struct recorded_plan many = usual;
    many.workers = 16;
    record_plan(&many);
    recorded.stretches.head[RF_STRETCH_ENDS] = 5;
    recorded.stretches.head[RF_STRETCH_ENDS_NS] = 5 * 120 * (uint64_t)TICK;
    assert_true(make(false));
    is("end each", model.costs.end_each, 60 * TICK);
    release();
    /* What a stream does in __iter__, of each worker in each of its epochs. */
    for (uint64_t iterators = 1; iterators <= 3; iterators += 2) {
        record_plan(&usual);
        recorded.loader.totals.counters[RF_COUNT_ITERATORS] = iterators;
        recorded.why.work.opened_ns = usual.workers * iterators * 30 * (uint64_t)TICK;
        assert_true(make(false));
        is("open", model.costs.open, 30 * TICK);
        release();
    }
    /* A loader that is made for most of its epochs. */
    static const uint64_t objects[][3] = {{3, 4, true}, {2, 4, false}, {1, 1, false}, {4, 4, true}};
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        record_plan(&usual);
        recorded.loader.entry.objects = objects[i][0];
        recorded.loader.totals.counters[RF_COUNT_ITERATORS] = objects[i][1];
        assert_true(make(false));
        assert_int_equal(model.is_made_anew, objects[i][2]);
        release();
    }
    /* A start of workers that took less than their forks takes 1 ms at least. */
    record_plan(&usual);
    recorded.why.work.startup_ns = 1;
    recorded.why.work.generations = 1;
    assert_true(make(false));
    is("boot", model.costs.boot, 1e6);
    release();
}

static void without_workers(void **state)
{
    (void)state;
    struct recorded_plan plan = usual;
    plan.workers = plan.prefetch = 0;
    plan.tail = 7;
    plan.loop_cpu = 45 + 10 + 7 + 12;
    record_plan(&plan);
    assert_true(make(false));
    is("overhead", model.costs.overhead, 7 * TICK); /* of a wait: what making does not explain */
    is("send", model.costs.send, 0.22e6);
    is("latency", model.costs.latency, 0.35e6);
    is("get", model.costs.get, 0.50e6);
    is("tail", model.costs.tail, 0.15e6);
    is("gap", model.costs.gap, 0.30e6);
    is("pin", model.costs.pin, 0);
    is("running", model.batches[5].running, 45 * TICK);
    /* Its CPU time without that of loading. */
    is("loop running", model.batches[5].consumed_running, 12 * TICK);
    is("loop else", model.batches[5].consumed_else, (31 - 12) * TICK);
    release();
    /* Of its own thread, where that is known: what others of the process run goes with the items. */
    record_plan(&plan);
    const uint64_t iterators = recorded.loader.totals.counters[RF_COUNT_ITERATORS];
    recorded.why.work.batches = 96 + iterators;
    recorded.why.work.ended = 4;
    recorded.why.work.gap_cpu_ns = (uint64_t)((3 + 7) * TICK) * 100;
    assert_true(make(false));
    is("loop's own running", model.batches[5].consumed_running, 3 * TICK);
    is("loop else", model.batches[5].consumed_else, (31 - 3) * TICK);
    release();
    /* With a GPU others of its threads are the program's own work. */
    for (uint32_t i = 0; i < 128; i++) {
        uint32_t *times = recorded.batches[i].times;
        times[RF_BATCH_EXPOSED_LOWER] = times[RF_BATCH_EXPOSED_UPPER] = times[RF_BATCH_WAITED];
    }
    assert_true(make(true));
    is("loop running", model.batches[5].consumed_running, 12 * TICK);
    release();
    recorded.why.work = (struct why_work){0};
    /* The median of them. */
    record_plan(&plan);
    for (uint32_t i = 64; i < 128; i++)
        recorded.batches[i].times[RF_BATCH_WAITED] += TICK_UNITS;
    assert_true(make(false));
    is("overhead", model.costs.overhead, 7 * TICK);
    release();
    recorded.batches[0].times[RF_BATCH_WAITED] += TICK_UNITS;
    assert_true(make(false));
    is("overhead", model.costs.overhead, 8 * TICK);
    release();
    /* A wait that is shorter than what is in it, by rounding: nothing is left, and not less. */
    plan.tail = 0;
    record_plan(&plan);
    for (uint32_t i = 0; i < 128; i++)
        recorded.batches[i].times[RF_BATCH_WAITED]--;
    assert_true(make(false));
    is("overhead", model.costs.overhead, 0);
    release();
}

/* ---- what CPUs and threads do to a batch ---- */

static void running_waiting_and_threads(void **state)
{
    (void)state;
    static const struct {
        uint32_t items, cpu, delay, threads, collate, collate_cpu, collate_delay;
        double running, blocked, delayed, collate_blocked, parallel;
    } rows[] = {
        {125, 45, 0, 0, 16, 10, 0, 45, 80, 0, 6, 1},
        {125, 45, 20, 0, 16, 10, 4, 45, 60, 24, 2, 1},
        {125, 45, 20, 30, 16, 10, 4, 75, 30, 24, 2, 1},     /* threads, one after the other */
        {125, 45, 0, 160, 16, 10, 0, 205, 0, 0, 6, 2},      /* two of them at once */
        {200, 180, 0, 20, 16, 10, 0, 200, 0, 0, 6, 1},      /* a tenth of the items: as many */
        {200, 190, 0, 20, 16, 10, 0, 210, 0, 0, 6, 2},      /* of what the own thread did not do */
        {200, 190, 0, 19, 16, 10, 0, 209, 0, 0, 6, 1},      /* less than a tenth: not to be told */
        {125, 100, 25, 50, 16, 10, 0, 150, 0, 25, 6, 2},    /* while it waited for a CPU */
        {200, 100, 40, 120, 16, 10, 0, 220, 0, 40, 6, 1.2}, /* in part */
        {125, 100, 40, 0, 16, 10, 8, 100, 0, 48, 0, 1},     /* more than there was */
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = usual;
        plan.items = rows[i].items;
        plan.cpu = rows[i].cpu;
        plan.delay = rows[i].delay;
        plan.threads = rows[i].threads;
        plan.collate = rows[i].collate;
        plan.collate_cpu = rows[i].collate_cpu;
        plan.collate_delay = rows[i].collate_delay;
        record_plan(&plan);
        hide_making(77); /* it is as all of them */
        assert_true(make(false));
        for (uint32_t k = 76; k < 79; k++) {
            const struct machine_batch *b = &model.batches[k];
            is("running", b->running, rows[i].running * TICK);
            is("blocked", b->blocked, rows[i].blocked * TICK);
            is("delayed", b->delayed, rows[i].delayed * TICK);
            is("collate", b->collate, rows[i].collate_cpu * TICK);
            is("collate blocked", b->collate_blocked, rows[i].collate_blocked * TICK);
        }
        is("parallel", model.costs.parallel, rows[i].parallel);
        release();
    }
}

static void each_batch_has_its_own_costs(void **state)
{
    (void)state;
    record_plan(&usual);
    static const struct {
        enum rf_stretch_time time;
        uint32_t ticks;
    } own[] = {{RF_BATCH_ITEMS, 253},       {RF_BATCH_CPU, 109},    {RF_BATCH_THREADS, 64},
               {RF_BATCH_DELAY, 32},        {RF_BATCH_COLLATE, 80}, {RF_BATCH_COLLATE_CPU, 42},
               {RF_BATCH_COLLATE_DELAY, 16}};
    for (uint32_t i = 0; i < sizeof own / sizeof *own; i++)
        recorded.batches[50].times[own[i].time] = own[i].ticks * TICK_UNITS;
    hide_making(127);
    hide_making(1);
    recorded.batches[0].times[RF_BATCH_ITEMS] +=
        2 * TICK_UNITS; /* so first batches are no others */
    assert_true(make(false));
    static const struct {
        uint32_t batch;
        double running, blocked, delayed, collate, collate_blocked;
    } rows[] = {
        {50, 173, 48, 48, 42, 22},
        {49, 45, 80, 0, 10, 6},
        /* what is not known, is as the mean of those that no worker made first */
        {127, 45 + 128 / 125.0, 80 - 32 / 125.0, 48 / 125.0, 10 + 32 / 125.0, 6 + 16 / 125.0}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct machine_batch *b = &model.batches[rows[i].batch];
        is("running", b->running, rows[i].running * TICK);
        is("blocked", b->blocked, rows[i].blocked * TICK);
        is("delayed", b->delayed, rows[i].delayed * TICK);
        is("collate", b->collate, rows[i].collate * TICK);
        is("collate blocked", b->collate_blocked, rows[i].collate_blocked * TICK);
    }
    release();
}

/* Where workers waited for CPUs the loop did, too: what it waited is no work of its own. */
static void a_loop_that_waited_for_a_cpu(void **state)
{
    (void)state;
    static const struct {
        uint32_t cpu, loop_cpu; /* less 5 of handing over */
        double running, rest;
    } rows[] = {
        {40, 5 + 16, 16.0 * 40 / 36, 40 - 16.0 * 40 / 36},
        {40, 5 + 60, 40, 0},
        {0, 5 + 16, 16, 24}, /* nothing ran: by how much it was slowed is not known */
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = usual;
        plan.cpu = rows[i].cpu;
        plan.delay = 10;
        plan.collate_cpu = plan.cpu > 0 ? 8 : 0;
        plan.collate_delay = 2;
        plan.consumed = 40;
        plan.loop_cpu = rows[i].loop_cpu;
        record_plan(&plan);
        assert_true(make(false));
        is("loop running", model.batches[9].consumed_running, rows[i].running * TICK);
        is("loop else", model.batches[9].consumed_else, rows[i].rest * TICK);
        release();
    }
}

/* What a batch of its own took longer is the loop's work with the one before. */
static void each_batch_has_its_own_consumption(void **state)
{
    (void)state;
    record_plan(&usual);
    recorded.batches[10].times[RF_BATCH_CONSUMED] = (31 + 127) * TICK_UNITS;
    assert_true(make(false));
    is("loop", model.batches[9].consumed_running, 15 * TICK * 158 / 32);
    is("loop", model.batches[9].consumed_else, 158 * TICK * 17 / 32);
    is("loop", model.batches[10].consumed_running, 15 * TICK * 31 / 32);
    /* Behind the last of a stretch, and of all, comes nothing that is known. */
    is("loop", model.batches[63].consumed_running, 15 * TICK);
    is("loop", model.batches[127].consumed_running + model.batches[127].consumed_else, 32 * TICK);
    release();
    /* CPU time is told by stretches that have an end, and is none where there is less than taking costs. */
    record_plan(&usual);
    recorded.stretch[1].words[RF_STRETCH_END_NS] = 0;
    recorded.stretch[1].words[RF_STRETCH_END_CPU_NS] = 0;
    assert_true(make(false));
    is("loop", model.batches[9].consumed_running, 15 * TICK);
    release();
    recorded.stretch[0].words[RF_STRETCH_END_NS] = 0;
    assert_true(make(false));
    is("loop", model.batches[9].consumed_running, 0);
    is("loop", model.batches[9].consumed_else, 31 * TICK);
    release();
    struct recorded_plan plan = usual;
    plan.loop_cpu = 4;
    record_plan(&plan);
    assert_true(make(false));
    is("loop", model.batches[9].consumed_running, 0);
    release();
}

/* On a GPU the part of a wait that its work hid is the loop's own. */
static void hidden_waits_are_work(void **state)
{
    (void)state;
    record_plan(&usual);
    for (uint32_t i = 0; i < 128; i++) {
        struct rf_stretch_batch *row = &recorded.batches[i];
        row->times[RF_BATCH_WAITED] = 50 * TICK_UNITS;
        row->times[RF_BATCH_EXPOSED_LOWER] = 10 * TICK_UNITS;
        row->times[RF_BATCH_EXPOSED_UPPER] = (i == 20 ? 130 : 20) * TICK_UNITS;
    }
    assert_true(make(true));
    const double mean = (126 * (31 + 35) + 31) / 127.0; /* of all but the first */
    is("loop", model.batches[19].consumed_running + model.batches[19].consumed_else, 31 * TICK);
    is("loop", model.batches[20].consumed_running + model.batches[20].consumed_else, 66 * TICK);
    is("loop", model.batches[127].consumed_running + model.batches[127].consumed_else, mean * TICK);
    release();
    assert_true(make(false));
    is("loop", model.batches[20].consumed_running + model.batches[20].consumed_else, 31 * TICK);
    release();
    for (uint32_t known = 63; known <= 64; known++) {
        for (uint32_t i = known; i < 128; i++)
            recorded.batches[i].times[RF_BATCH_EXPOSED_UPPER] = RF_STRETCH_UNKNOWN;
        for (uint32_t i = 0; i < known; i++)
            recorded.batches[i].times[RF_BATCH_EXPOSED_UPPER] = 20 * TICK_UNITS;
        assert_int_equal(make(true), known == 64);
        CHECK(known == 64 || strstr(says, "its clock covers too few") != NULL, "%s", says);
        release();
    }
}

/* ---- what is known of the machine ---- */

static void cpus_that_others_use(void **state)
{
    (void)state;
    static const struct {
        double usable, idle, loop, running;
        uint64_t startup_ticks; /* of 1000 */
        double cpus;
        bool in_loop;
    } rows[] = {
        {8, 8, 0, 0, 0, 8},
        {8, 3, 1, 2, 0, 6},
        {0.9, 0.5, 0, 0, 0, 0.9}, /* what sending takes, and no more */
        {8, 2.5, 1, 4, 0, 7.5},
        {8, 2.5, 1, 4, 250, 8}, /* workers use them while they start */
        {8, 2.0, 1, 4, 250, 7.2},
        {1, 0.1, 0.1, 0.1, 0, 0.5}, /* half of one is left, whatever others do */
        {8, NAN, 1, 4, 0, 8},
        {8, 2.5, 1, 4, 250, 7.5, .in_loop = true}, /* there are none */
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        record_plan(&usual);
        recorded.why.host.cpus_usable = rows[i].usable;
        recorded.why.host.idle_cpus = rows[i].idle;
        recorded.why.host.loop_cpus = rows[i].loop;
        recorded.why.work.running_cpus = rows[i].running;
        recorded.why.work.workers = rows[i].in_loop ? 0 : 2;
        recorded.why.active_ns = 1000000;
        recorded.why.work.startup_ns = rows[i].startup_ticks * 1000;
        recorded.why.work.generations = 1;
        assert_true(make(false));
        is("cpus", model.costs.cpus, rows[i].cpus);
        release();
    }
}

/* Standard error of the mean of a batch's time, from 64 batches to 64; at least three of them. */
static void noise_from_stretch_to_stretch(void **state)
{
    (void)state;
    static const struct {
        uint32_t batches;
        uint32_t ticks[4]; /* of a step, in a run of 64 */
        double noise;
    } rows[] = {
        {256, {50, 50, 50, 50}, 0.05}, /* the last run is not whole */
        {192, {50, 60, 70, 0}, 0.05},
        {257 - 1, {50, 60, 70, 80}, -1},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = usual;
        plan.batches = rows[i].batches;
        record_plan(&plan);
        for (uint32_t k = 1; k < plan.batches; k++) {
            recorded.batches[k].times[RF_BATCH_CONSUMED] = 10 * TICK_UNITS;
            recorded.batches[k].times[RF_BATCH_WAITED] =
                (rows[i].ticks[(k - 1) / 64] - 10) * TICK_UNITS;
        }
        assert_true(make(false));
        double noise = 0.05;
        if (i != 1) { /* three whole runs */
            const double a = rows[i].ticks[0], b = rows[i].ticks[1], c = rows[i].ticks[2];
            const double mean = (a + b + c) / 3;
            const double variance =
                ((a - mean) * (a - mean) + (b - mean) * (b - mean) + (c - mean) * (c - mean)) / 2;
            noise = sqrt(variance / 3) / mean;
        }
        CHECK(fabs(model.noise - noise) < 1e-9, "row %u: %g in place of %g", i, model.noise, noise);
        release();
    }
    /* What is not known of a batch is in no mean. */
    record_plan(&usual);
    recorded.batches[5].times[RF_BATCH_CONSUMED] = RF_STRETCH_UNKNOWN;
    assert_true(make(false));
    is("noise", model.noise, 0.05);
    release();
}

/* An iterator that was left, and ended long after its last batch: that is no iteration. */
static void what_lies_behind_the_last_batch(void **state)
{
    (void)state;
    static const struct {
        uint64_t last_ns, ends_ns;
        uint64_t measured_ns;
    } rows[] = {
        {0, 0, 12800},                           /* not told */
        {14000, 0, 12800},                       /* it ended soon after */
        {12401, 0, 12800},                       /* within 4 batches of 100 ns ... */
        {12400, 0, 12800},    {12399, 0, 12399}, /* ... and later: 401 ns */
        {12399, 1, 12800},                       /* its usual end takes a moment */
        {11400, 1000, 12800}, {11399, 1000, 11399},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        record_plan(&usual);
        uint64_t *c = recorded.loader.totals.counters;
        c[RF_COUNT_BEGIN_NS] = 100000;
        c[RF_COUNT_END_NS] = 112800;
        recorded.why.active_ns = 12800;
        uint64_t *head = recorded.stretches.head;
        head[RF_STRETCH_LAST_NS] = rows[i].last_ns > 0 ? 100000 + rows[i].last_ns : 0;
        head[RF_STRETCH_ENDS] = rows[i].ends_ns > 0 ? 2 : 0;
        head[RF_STRETCH_ENDS_NS] = 2 * rows[i].ends_ns;
        assert_true(make(false));
        CHECK(model.measured_ns == (double)rows[i].measured_ns, "row %u: %g", i, model.measured_ns);
        release();
    }
    record_plan(&usual);
    recorded.why.active_ns = 0;
    assert_true(make(false));
    is("measured", model.measured_ns, 1);
    release();
}

/* What the loop does with an epoch's last batch before it asks for another (it validates) is replayed, and
 * belongs to the run where all iterators ended. */
static void the_last_step_of_an_epoch(void **state)
{
    (void)state;
    const struct {
        uint64_t begun, again, ended, last_steps_ns;
        bool is_longer, is_whole;
    } rows[] = {
        {2, 1, 3, 0, false, true},
        {2, 1, 3, 1, false, true}, /* no longer than any other step */
        {2, 1, 3, 60 * UINT64_C(1000000000), true, true},
        {3, 1, 3, 60 * UINT64_C(1000000000), true, false}, /* one was left within the loop */
        {3, 0, 0, 0, false, false},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        record_plan(&usual);
        uint64_t *c = recorded.loader.totals.counters, *head = recorded.stretches.head;
        c[RF_COUNT_ITERATORS] = 4;
        c[RF_COUNT_BEGIN_NS] = 100000;
        c[RF_COUNT_END_NS] = 112800;
        recorded.why.active_ns = 12800;
        head[RF_STRETCH_LAST_NS] = 100001;
        head[RF_STRETCH_NEW] = rows[i].begun;
        head[RF_STRETCH_AGAIN] = rows[i].again;
        head[RF_STRETCH_ENDS] = rows[i].ended;
        head[RF_STRETCH_ENDS_NS] = 0;
        head[RF_STRETCH_LAST_STEPS_NS] = rows[i].last_steps_ns;
        assert_true(make(false));
        const double most = (double)rows[i].last_steps_ns / 4;
        CHECK(model.measured_ns == (rows[i].is_whole ? 12800 : 1), "row %u: %g", i,
              model.measured_ns);
        CHECK(rows[i].is_longer
                  ? model.costs.last_step > 0.99 * most && model.costs.last_step < most
                  : model.costs.last_step == 0,
              "row %u: %g", i, model.costs.last_step);
        release();
    }
}

static void the_load(void **state)
{
    (void)state;
    static const struct {
        uint64_t iterators, batches, items;
        uint64_t epochs, epoch_batches;
        uint32_t pieces;
    } rows[] = {
        {1, 128, 128, 1, 128, 1},   {0, 128, 128, 1, 128, 1},     {3, 128, 255, 3, 43, 1},
        {3, 127, 127, 3, 42, 1},    {4, 128, 256, 4, 32, 2},      {128, 128, 768, 128, 1, 6},
        {256, 128, 896, 256, 1, 6}, {257, 128, 99999, 257, 1, 6}, {500, 128, 0, 500, 1, 1},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        record_plan(&usual);
        uint64_t *c = recorded.loader.totals.counters;
        c[RF_COUNT_ITERATORS] = rows[i].iterators;
        c[RF_COUNT_BATCHES] = rows[i].batches;
        recorded.why.work.batches = i == 8 ? 0 : 128;
        recorded.why.work.items = rows[i].items;
        assert_true(make(false));
        assert_int_equal(model.load.epochs, rows[i].epochs);
        assert_int_equal(model.load.epoch_batches, rows[i].epoch_batches);
        CHECK(model.load.pieces == rows[i].pieces, "row %u: %u", i, model.load.pieces);
        release();
    }
    record_plan(&usual);
    recorded.loader.totals.counters[RF_COUNT_SAMPLES_BATCHES] = 0;
    recorded.loader.entry.flags |= DATASTALL_LOADER_STREAM;
    recorded.loader.entry.prefetch_factor = UINT64_C(1) << 40; /* no machine is so large */
    recorded.why.active_ns = 1000;
    recorded.why.states_ns[CAUSE_INTERPRETER] = 51;
    assert_true(make(false));
    assert_true(model.samples == DATASTALL_UNKNOWN);
    assert_true(model.is_stream && model.is_held_up);
    assert_int_equal(model.setting.prefetch_factor, 1 << 20);
    release();
    recorded.why.states_ns[CAUSE_INTERPRETER] = 50;
    recorded.loader.totals.counters[RF_COUNT_SAMPLES_BATCHES] = 1;
    assert_true(make(false));
    assert_false(model.is_held_up);
    assert_int_equal(model.samples, 4 * 128);
    release();
}

/* ---- what cannot be predicted ---- */

static void make_failed(void)
{
    recorded.why.failure.kind = WHY_ITEM_RAISED;
}
static void hide_workers(void)
{
    recorded.loader.entry.num_workers = DATASTALL_UNKNOWN;
}
static void have_other_stretches(void)
{
    recorded.stretches.loader = 1;
}
static void have_no_batches(void)
{
    recorded.stretches.batch_count = 0;
}
static void have_few_batches(void)
{
    recorded.loader.totals.counters[RF_COUNT_BATCHES] = 15;
}
static void have_16_batches(void)
{
    recorded.loader.totals.counters[RF_COUNT_BATCHES] = 16;
}
static void keep_few_batches(void)
{
    recorded.stretches.batch_count = 15;
    recorded.stretch[0].count = 15;
    recorded.stretches.count = 1;
}
static void keep_16_batches(void)
{
    recorded.stretches.batch_count = 16;
    recorded.stretch[0].count = 16;
    recorded.stretches.count = 1;
}
static void have_more_than_came_in_turn(void)
{
    recorded.loader.totals.counters[RF_COUNT_BATCHES] = 105;
    recorded.stretches.head[RF_STRETCH_BATCHES] = 100;
}
static void have_a_few_more(void)
{
    recorded.loader.totals.counters[RF_COUNT_BATCHES] = 104;
    recorded.stretches.head[RF_STRETCH_BATCHES] = 100;
}
static void hide_cpus(void)
{
    recorded.why.host.cpus_usable = NAN;
}
static void hide_most_items(void)
{
    for (uint32_t i = 0; i < 65; i++)
        hide_making(i);
}
static void hide_half_the_items(void)
{
    for (uint32_t i = 64; i < 128; i++) /* the first is known */
        hide_making(i);
}
static void have_computing_children(void)
{
    recorded.why.work.blocked_ns = 20;
    recorded.why.work.children_ns = 10;
}
static void have_idle_children(void)
{
    recorded.why.host.idle_cpus = 1;
    recorded.why.work.blocked_ns = 20;
    recorded.why.work.children_ns = 9;
}
/* The workers of a stream end an epoch for so much of the run. */
static void end_a_stream(uint32_t flags, double share)
{
    recorded.loader.entry.flags |= DATASTALL_LOADER_STREAM | flags;
    recorded.loader.entry.flags &= flags | ~(uint64_t)DATASTALL_LOADER_PERSISTENT_WORKERS;
    recorded.stretches.head[RF_STRETCH_ENDS] = 1;
    recorded.stretches.head[RF_STRETCH_ENDS_NS] =
        (uint64_t)(share * (double)recorded.why.active_ns);
}
static void work_after_the_last_item(void)
{
    end_a_stream(DATASTALL_LOADER_PERSISTENT_WORKERS, 0.051);
}
static void end_quickly(void)
{
    end_a_stream(DATASTALL_LOADER_PERSISTENT_WORKERS, 0.049);
}
static void end_with_their_stream(void)
{
    end_a_stream(0, 0.051);
}
static void nothing(void)
{
}

static void what_cannot_be_predicted(void **state)
{
    (void)state;
    static const struct {
        void (*change)(void);
        const char *says; /* NULL: it can */
    } rows[] = {
        {nothing, NULL},
        {make_failed, "it did not run to its end"},
        {hide_workers, "how many workers the loader has is not known"},
        {have_other_stretches, "its batches were not recorded one by one"},
        {have_no_batches, "its batches were not recorded one by one"},
        {have_few_batches, "too few batches were recorded to tell what one costs"},
        {have_16_batches, NULL},
        {keep_few_batches, "too few batches were recorded to tell what one costs"},
        {keep_16_batches, NULL},
        {have_more_than_came_in_turn, "several iterators of the loader were under way at once"},
        {have_a_few_more, NULL},
        {work_after_the_last_item, "its stream goes on working after its last item"},
        {end_quickly, NULL},
        {end_with_their_stream, NULL},
        {have_computing_children, "its items wait for processes that the workers started"},
        {have_idle_children, NULL},
        {hide_cpus, "how many CPUs there are is not known"},
        {hide_most_items, "it is known for too few batches what the workers did"},
        {hide_half_the_items, NULL},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        record_plan(&usual);
        rows[i].change();
        assert_int_equal(make(false), rows[i].says == NULL);
        if (rows[i].says != NULL)
            CHECK(strstr(says, rows[i].says) == says, "row %u: %s", i, says);
        else
            assert_string_equal(says, "");
        assert_int_equal(model.batches != NULL, rows[i].says == NULL);
        release();
    }
}

/* ---- rows ---- */

static struct row rows_of[RECORDED_BATCHES];

static void rows_of_pieces(void **state)
{
    (void)state;
    struct recorded_plan plan = usual;
    plan.batches = 24;
    plan.epochs = 4; /* the third goes on in the second stretch */
    record_plan(&plan);
    recorded.batches[10].times[RF_BATCH_CONSUMED] = RF_STRETCH_UNKNOWN;
    recorded.batches[80].batch =
        recorded.batches[79].batch + 2; /* one is missing, the next follow it */
    for (uint32_t i = 81; i < 96; i++)
        recorded.batches[i].batch = recorded.batches[i - 1].batch + 1;
    assert_int_equal(predict_take_rows(&recorded.stretches, rows_of), 96);
    uint32_t piece = 0, ordinal = UINT32_MAX;
    for (uint32_t i = 0; i < 96; i++) {
        const struct row *row = &rows_of[i];
        const bool first = i % 24 == 0, follows = !first && i != 64 && i != 80;
        piece += !follows;
        ordinal = first ? 0 : follows && ordinal != UINT32_MAX ? ordinal + 1 : UINT32_MAX;
        assert_int_equal(row->piece, piece);
        assert_int_equal(row->ordinal, ordinal);
        assert_int_equal(row->worker, i % 2);
        assert_int_equal(isnan(row->t[RF_BATCH_CONSUMED]), first || i == 10);
        const double step = row->t[RF_BATCH_CONSUMED] + row->t[RF_BATCH_WAITED];
        assert_true(row->got == (follows && i != 10 ? rows_of[i - 1].got + step : 0));
        assert_true(row->t[RF_BATCH_ITEMS] == 125 * TICK);
        assert_true(isnan(row->t[RF_BATCH_PIN]));
    }
}

static void figures_of_a_column(void **state)
{
    (void)state;
    double room[16];
    struct values values = {0, room};
    assert_true(isnan(predict_mean(&values)) && isnan(predict_quantile(&values, 0.5)));
    static const double added[] = {5, NAN, 1, 4, NAN, 2, 3};
    for (uint32_t i = 0; i < sizeof added / sizeof *added; i++)
        predict_add_value(&values, added[i]);
    assert_int_equal(values.count, 5);
    assert_true(predict_mean(&values) == 3);
    static const struct {
        double p, value;
    } quantiles[] = {{0, 1}, {0.2, 1}, {0.25, 2}, {0.5, 3}, {0.75, 4}, {0.99, 4}, {1, 5}};
    for (uint32_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        assert_true(predict_quantile(&values, quantiles[i].p) == quantiles[i].value);
    struct row rows[3] = {0};
    struct table table = {rows, 3, {7, room}};
    rows[0].t[RF_BATCH_PIN] = 7;
    rows[1].t[RF_BATCH_PIN] = NAN;
    rows[2].t[RF_BATCH_PIN] = 9;
    assert_int_equal(predict_column(&table, RF_BATCH_PIN)->count, 2);
    assert_true(predict_mean(&table.values) == 8);
}

/* ---- on the clock ---- */

#define CLOCK UINT64_C(1000000000000)

static const struct kept_batch *kept_of(const struct kept_batch *batches, uint32_t count,
                                        uint64_t number)
{
    for (uint32_t i = 0; i < count; i++) {
        if (batches[i].batch == number)
            return &batches[i];
    }
    return NULL;
}

/* A stretch is tied to the clock where it begins, and where it ends: a piece between them is not. */
static void batches_on_the_clock(void **state)
{
    (void)state;
    static struct kept_batch kept[RECORDED_BATCHES];
    struct recorded_plan plan = usual;
    const uint64_t tick = (uint64_t)TICK;
    plan.batches = 20;
    plan.epochs = 6; /* 0, 20, 40 and 60 in the first stretch, 80 and 100 in the second */
    record_plan(&plan);
    recorded.stretch[0].words[RF_STRETCH_BEGIN_NS] = CLOCK;
    recorded.stretch[0].words[RF_STRETCH_END_NS] = 2 * CLOCK;
    recorded.stretch[1].words[RF_STRETCH_BEGIN_NS] = 3 * CLOCK;
    recorded.stretch[1].words[RF_STRETCH_END_NS] = 0; /* it goes on */
    recorded.batches[3].worker = 0xffff;
    recorded.batches[3].times[RF_BATCH_COLLATE] = RF_STRETCH_UNKNOWN;
    recorded.batches[3].times[RF_BATCH_EXPOSED_UPPER] = 5 * TICK_UNITS;
    recorded.batches[4].times[RF_BATCH_BEGUN] = RF_STRETCH_UNKNOWN;
    recorded.batches[5].times[RF_BATCH_PIN] = 0;
    recorded.batches[6].times[RF_BATCH_PIN] = TICK_UNITS;
    recorded.batches[7].times[RF_BATCH_PIN] = TICK_UNITS;
    recorded.batches[7].times[RF_BATCH_TAIL] = RF_STRETCH_UNKNOWN;
    const uint32_t count = kept_batches(&recorded.stretches, kept);
    assert_int_equal(count, 20 + 4 + 16);
    uint64_t got = CLOCK + recorded.batches[0].times[RF_BATCH_WAITED] * UINT64_C(64);
    for (uint32_t i = 0; i < 20; i++) {
        const struct kept_batch *b = kept_of(kept, count, i);
        const uint64_t waited = recorded.batches[i].times[RF_BATCH_WAITED] * UINT64_C(64);
        if (i > 0)
            got += 31 * tick + waited;
        assert_non_null(b);
        assert_int_equal(b->worker, i == 3 ? UINT32_MAX : i % 2);
        assert_int_equal(b->got_ns, got);
        assert_int_equal(b->asked_ns, got - waited);
        const uint64_t begun = i == 4
                                   ? DATASTALL_UNKNOWN
                                   : got - recorded.batches[i].times[RF_BATCH_BEGUN] * UINT64_C(64);
        assert_int_equal(b->begun_ns, begun);
        assert_int_equal(b->items_ns, i == 4 ? DATASTALL_UNKNOWN : begun + 125 * tick);
        assert_int_equal(b->made_ns,
                         i == 4 ? DATASTALL_UNKNOWN : begun + (i == 3 ? 125 : 141) * tick);
        assert_int_equal(b->exposed_ns, i == 3 ? 5 * tick : DATASTALL_UNKNOWN);
        assert_int_equal(b->pin_end_ns, i == 6 ? got - 2 * tick : DATASTALL_UNKNOWN);
        assert_int_equal(b->pin_begin_ns, i == 6 ? got - 3 * tick : DATASTALL_UNKNOWN);
    }
    assert_null(kept_of(kept, count, 20));
    assert_null(kept_of(kept, count, 59));
    assert_int_equal(kept_of(kept, count, 63)->got_ns, 2 * CLOCK);
    assert_int_equal(kept_of(kept, count, 62)->got_ns,
                     kept_of(kept, count, 63)->asked_ns - 31 * tick);
    assert_int_equal(kept_of(kept, count, 64)->asked_ns, 3 * CLOCK);
    assert_null(kept_of(kept, count, 80));
    assert_null(kept_of(kept, count, 119));
    /* What would be before the clock began is not known; nor when a batch came whose wait is not. */
    record_plan(&usual);
    recorded.stretch[0].words[RF_STRETCH_BEGIN_NS] = 0;
    recorded.batches[2].times[RF_BATCH_WAITED] = RF_STRETCH_UNKNOWN;
    const uint32_t rest = kept_batches(&recorded.stretches, kept);
    assert_int_equal(rest, 127);
    assert_int_equal(kept[0].asked_ns, 0);
    recorded.batches[0].times[RF_BATCH_BEGUN] += TICK_UNITS;
    assert_int_equal(kept_batches(&recorded.stretches, kept), 127);
    assert_true(kept[0].begun_ns == DATASTALL_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_that_are_the_bottleneck),
        cmocka_unit_test(a_loop_that_is_the_bottleneck),
        cmocka_unit_test(too_few_to_tell),
        cmocka_unit_test(waits_for_batches_that_were_there),
        cmocka_unit_test(the_first_batches_of_workers),
        cmocka_unit_test(starting_and_ending),
        cmocka_unit_test(without_workers),
        cmocka_unit_test(running_waiting_and_threads),
        cmocka_unit_test(each_batch_has_its_own_costs),
        cmocka_unit_test(a_loop_that_waited_for_a_cpu),
        cmocka_unit_test(each_batch_has_its_own_consumption),
        cmocka_unit_test(hidden_waits_are_work),
        cmocka_unit_test(cpus_that_others_use),
        cmocka_unit_test(noise_from_stretch_to_stretch),
        cmocka_unit_test(what_lies_behind_the_last_batch),
        cmocka_unit_test(the_last_step_of_an_epoch),
        cmocka_unit_test(the_load),
        cmocka_unit_test(what_cannot_be_predicted),
        cmocka_unit_test(rows_of_pieces),
        cmocka_unit_test(figures_of_a_column),
        cmocka_unit_test(batches_on_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
