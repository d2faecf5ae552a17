/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of the prediction, against what can be worked out by hand or by another formula. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/machine.h"
#include "support.h"

#define MS 1e6
#define MOST 4000u
#define BATCHES 300

static struct machine_batch batches[BATCHES];

/* Nothing costs anything, on more CPUs than anybody uses. */
static struct machine_costs free_of_charge(void)
{
    return (struct machine_costs){.cpus = 200, .speed = 1, .parallel = 1};
}

static struct machine_load load_of(uint32_t count)
{
    return (struct machine_load){.batches = batches,
                                 .count = count,
                                 .epochs = 1,
                                 .epoch_batches = count,
                                 .pieces = 1,
                                 .running_times = 1,
                                 .blocked_times = 1,
                                 .collate_times = 1,
                                 .delay_times = 1};
}

static void all_alike(struct machine_batch batch)
{
    for (uint32_t i = 0; i < BATCHES; i++)
        batches[i] = batch;
}

static double time_of(const struct machine_costs *costs, uint32_t workers, uint32_t prefetch,
                      const struct machine_load *load)
{
    struct machine_result result;
    const struct machine_setting setting = {workers, prefetch, true, false};
    assert_true(machine_run(costs, &setting, load, MOST, &result));
    return result.time;
}

static void close_to(double got, double want, double relative)
{
    CHECK(fabs(got - want) <= relative * want, "%.6f in place of %.6f ms", got / MS, want / MS);
}

/* One CPU, a worker whose batches take 10 ms, and turns of 4 ms. The first batch is made at 10; what sends it
 * waits for the end of the worker's third slice at 12, the loop for that of its fourth at 16, and then goes
 * about its own 5 ms. The second is made at 20 and waits for the loop until 21. Shared evenly, both are taken when
 * they are made. */
static void who_wakes_waits_for_its_turn(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.running = 10 * MS, .consumed_else = 5 * MS});
    struct machine_costs costs = free_of_charge();
    const struct machine_load load = load_of(2);
    costs.cpus = 1;
    costs.send = costs.get = 1e-4 * MS; /* what costs nothing waits for nothing */
    close_to(time_of(&costs, 1, 2, &load), 25 * MS, 1e-4);
    costs.slice = 4 * MS;
    close_to(time_of(&costs, 1, 2, &load), 26 * MS, 1e-4);
}

/* Turns cost what waits for one, and nothing of the CPUs' time: where all of that is in use, as many batches
 * are made. */
static void turns_use_all_cpus(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.running = 30 * MS});
    struct machine_costs costs = free_of_charge();
    const struct machine_load load = load_of(240);
    costs.cpus = 2;
    for (uint32_t workers = 2; workers <= 6; workers++) {
        costs.slice = 0;
        close_to(time_of(&costs, workers, 2, &load), 240 * 30 * MS / 2, 0.03);
        costs.slice = 8 * MS;
        close_to(time_of(&costs, workers, 2, &load), 240 * 30 * MS / 2, 0.03);
    }
}

static void without_workers_everything_adds_up(void **state)
{
    (void)state;
    all_alike((struct machine_batch){2 * MS, 3 * MS, 1 * MS, 0.5 * MS, 1.5 * MS, 4 * MS, 5 * MS});
    struct machine_costs costs = free_of_charge();
    costs.overhead = 0.25 * MS;
    const struct machine_load load = load_of(100);
    close_to(time_of(&costs, 0, 0, &load), 100 * 17.25 * MS, 1e-6);
}

/* A loop without workers, whose batches are all different: of each kind of time the sum, over so many
 * epochs of so many batches; more than are simulated go on as the second half of those. */
static void each_kind_of_time_adds_up(void **state)
{
    (void)state;
    static const struct {
        uint64_t epochs, epoch_batches;
        uint32_t most;
        double times; /* as often as what is simulated */
    } rows[] = {{1, 300, 4000, 1},   {4, 300, 4000, 4}, {3, 100, 4000, 1},
                {20, 300, 1200, 20}, {1, 600, 300, 2},  {6, 300, 600, 6}};
    struct machine_costs costs = free_of_charge();
    costs.overhead = 1 * MS;
    costs.iter = 7 * MS;
    costs.iter_each = costs.end_each = 100 * MS; /* of no worker */
    double making = 0, consuming = 0, running = 0;
    for (uint32_t i = 0; i < BATCHES; i++) {
        const float x = (float)(1 + i % 50) * 1e6f;
        batches[i] = (struct machine_batch){x, 2 * x, 3 * x, 4 * x, 0, 5 * x, 6 * x};
        making += 10 * (double)x + 1e6;
        consuming += 11 * (double)x;
        running += 10 * (double)x + 1e6;
    }
    for (uint32_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct machine_load load = load_of(BATCHES);
        struct machine_result result;
        load.epochs = rows[r].epochs;
        load.epoch_batches = rows[r].epoch_batches;
        const struct machine_setting setting = {0, 0, true, false};
        assert_true(machine_run(&costs, &setting, &load, rows[r].most, &result));
        const double iters = (double)load.epochs * 7 * MS;
        close_to(result.time, rows[r].times * (making + consuming) + iters, 1e-6);
        close_to(result.waited, rows[r].times * making + iters, 1e-6);
        close_to(result.running, rows[r].times * running, 1e-6);
        close_to(result.first_wait, 11 * MS, 1e-6);
    }
}

/* Of as few as two, the second goes on. */
static void a_few_stand_for_many(void **state)
{
    (void)state;
    const struct machine_costs costs = free_of_charge();
    const struct machine_load load = load_of(20);
    const struct machine_setting setting = {0, 0, true, false};
    all_alike((struct machine_batch){.blocked = 5 * MS, .consumed_else = 1 * MS});
    for (uint32_t most = 2; most <= 5; most++) {
        struct machine_result result;
        assert_true(machine_run(&costs, &setting, &load, most, &result));
        close_to(result.time, 120 * MS, 1e-6);
        close_to(result.waited, 100 * MS, 1e-6);
    }
}

/* The loop waits or has a batch: what it does with them is the rest of the time. */
static void what_is_not_waiting_is_consuming(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < BATCHES; i++)
        batches[i] = (struct machine_batch){.blocked = (float)(i % 7) * 4e6f,
                                            .running = (float)(i % 3) * 2e6f,
                                            .collate = 1e6f,
                                            .consumed_running = (float)(i % 5) * 1e6f,
                                            .consumed_else = (float)(i % 4) * 3e6f};
    double consuming = 0, running = 0;
    for (uint32_t i = 0; i < BATCHES; i++) {
        consuming += (double)batches[i].consumed_running + (double)batches[i].consumed_else;
        running += (double)batches[i].running + 1e6 + (double)batches[i].consumed_running;
    }
    struct machine_costs costs = free_of_charge();
    costs.latency = 0.5 * MS;
    costs.iter_each = 3 * MS;
    costs.end_each = 2 * MS;
    for (uint32_t workers = 1; workers <= 5; workers++) {
        for (uint32_t kept = 0; kept < 2; kept++) {
            struct machine_load load = load_of(BATCHES);
            struct machine_result result;
            load.epochs = 3;
            const struct machine_setting setting = {workers, 1 + workers % 3, true, kept};
            assert_true(machine_run(&costs, &setting, &load, MOST, &result));
            close_to(result.time - result.waited, 3 * consuming, 1e-6);
            const double forks = (kept ? 1 : 3) * workers * 3 * MS;
            close_to(result.running, 3 * running + forks, 1e-4); /* and moments between */
            assert_true(result.first_wait >= 0.5 * MS && result.first_wait < 60 * MS);
        }
    }
}

/* ---- all costs at once, by another formula ---- */

/* One epoch in order, of new workers, on more CPUs than anybody uses: when each batch is given, sent, and
 * taken, one after the other, without events. */
struct ledger {
    const struct machine_costs *costs;
    const struct machine_load *load;
    uint32_t workers, window, count;
    double free_at[MACHINE_WORKERS], sender_at[MACHINE_WORKERS];
    double
        came[BATCHES]; /* on the queue to the loop, or to the pin thread; INFINITY: not yet sent */
    bool off[BATCHES]; /* the queue */
    double now, pin_at, waited, running;
};

static double making(const struct ledger *l, uint32_t i, double *running)
{
    const struct machine_load *load = l->load;
    const struct machine_batch *b = &load->batches[i];
    const bool first = i < (l->workers > 0 ? l->workers : 1);
    const double runs = (double)b->running * load->running_times +
                        (first ? l->costs->first_running : 0) +
                        (double)b->collate * load->collate_times + (double)load->collate_more;
    *running = runs;
    return runs + (double)b->blocked * load->blocked_times +
           (double)b->delayed * load->delay_times + (first ? l->costs->first_blocked : 0) +
           (double)b->collate_blocked * load->collate_times;
}

static void give(struct ledger *l, uint32_t i)
{
    const struct machine_costs *c = l->costs;
    const uint32_t w = i % l->workers;
    double runs;
    if (i >= l->count)
        return;
    const double made = fmax(l->now, l->free_at[w]) + making(l, i, &runs);
    l->free_at[w] = made + c->gap;
    l->came[i] = l->sender_at[w] =
        fmax(made, l->sender_at[w]) + c->send + c->latency + (i < l->workers ? c->first_send : 0);
}

/* The next message of the queue, in the order in which they came. */
static uint32_t next_message(const struct ledger *l)
{
    uint32_t next = UINT32_MAX;
    for (uint32_t i = 0; i < l->count; i++) {
        if (!l->off[i] && (next == UINT32_MAX || l->came[i] < l->came[next]))
            next = i;
    }
    return next;
}

static void take(struct ledger *l, uint32_t i)
{
    const struct machine_costs *c = l->costs;
    double runs;
    if (l->workers == 0)
        l->now += making(l, i, &runs) + c->overhead;
    while (l->workers > 0 && !l->off[i]) {
        const uint32_t message = next_message(l);
        l->off[message] = true;
        if (c->pin > 0) {
            l->pin_at = fmax(l->pin_at, l->came[message]) + c->get + c->pin;
            l->now = fmax(l->now, l->pin_at);
        } else {
            l->now = fmax(l->now, l->came[message]) + c->get;
        }
    }
    l->now += l->workers > 0 ? c->tail : 0;
}

static void epoch_by_ledger(struct ledger *l)
{
    const struct machine_costs *c = l->costs;
    for (uint32_t w = 0; w < l->workers; w++)
        l->free_at[w] = c->iter + c->iter_each * (w + 1) + c->boot;
    l->waited = l->now = c->iter + c->iter_each * l->workers;
    for (uint32_t i = 0; i < l->count; i++)
        l->came[i] = INFINITY;
    for (uint32_t i = 0; i < l->window && l->workers > 0; i++)
        give(l, i);
    for (uint32_t i = 0; i < l->count; i++) {
        const struct machine_batch *b = &l->load->batches[i];
        const double asked = l->now;
        take(l, i);
        if (l->workers > 0)
            give(l, i + l->window);
        l->waited += l->now - asked;
        l->now += (double)b->consumed_running +
                  fmax(0, (double)b->consumed_else - l->load->consumed_less);
    }
    const double end = l->workers > 0 ? c->end + c->end_each : 0;
    l->now += end;
    l->waited += end;
}

static const struct machine_costs all_costs = {.cpus = 200,
                                               .speed = 1,
                                               .gap = 0.3 * MS,
                                               .send = 0.4 * MS,
                                               .latency = 0.5 * MS,
                                               .get = 0.6 * MS,
                                               .tail = 0.2 * MS,
                                               .overhead = 0.35 * MS,
                                               .iter = 1.5 * MS,
                                               .iter_each = 9 * MS,
                                               .boot = 18 * MS,
                                               .first_send = 2 * MS,
                                               .first_running = 7 * MS,
                                               .first_blocked = 3 * MS,
                                               .end = 1 * MS,
                                               .end_each = 8 * MS,
                                               .again = 1.25 * MS,
                                               .again_end = 0.5 * MS,
                                               .parallel = 1};

static struct machine_load load_of_all_costs(void)
{
    for (uint32_t i = 0; i < BATCHES; i++)
        batches[i] = (struct machine_batch){.blocked = (float)(i * 7 % 23) * 1e6f,
                                            .running = (float)(i * 5 % 17) * 1e6f,
                                            .collate = (float)(i % 3) * 1e6f,
                                            .collate_blocked = (float)(i % 4) * 0.5e6f,
                                            .delayed = (float)(i % 6) * 1e6f,
                                            .consumed_running = (float)(i % 5) * 0.75e6f,
                                            .consumed_else = (float)(i % 7) * 0.5e6f};
    struct machine_load load = load_of(BATCHES);
    load.pieces = 3;
    load.running_times = 1.25f;
    load.blocked_times = 0.75f;
    load.collate_times = 1.5f;
    load.delay_times = 0.5f;
    load.consumed_less = 0.7e6f;
    return load;
}

static const struct {
    double pin;
    uint32_t workers, prefetch;
} settings_of_all_costs[] = {{0, 0, 0},   {0, 1, 1},   {0, 1, 3},  {0, 2, 2},
                             {0, 3, 1},   {0, 4, 4},   {0, 9, 2},  {0.7, 1, 2},
                             {0.7, 3, 2}, {2.5, 6, 3}, {5, 12, 1}, {0, 30, 2}};
#define SETTINGS_OF_ALL_COSTS (sizeof settings_of_all_costs / sizeof *settings_of_all_costs)

static void all_costs_follow_the_ledger(void **state)
{
    (void)state;
    struct machine_load load = load_of_all_costs();
    struct machine_costs costs = all_costs;
    for (size_t k = 0; k < 2 * SETTINGS_OF_ALL_COSTS; k++) {
        const size_t i = k / 2;
        load.collate_more = k % 2 == 0 ? 0 : 1.3e6f;
        const struct machine_setting setting = {settings_of_all_costs[i].workers,
                                                settings_of_all_costs[i].prefetch, true, false};
        struct machine_result r;
        costs.pin = settings_of_all_costs[i].pin * MS;
        static struct ledger ledger;
        ledger = (struct ledger){.costs = &costs,
                                 .load = &load,
                                 .workers = setting.workers,
                                 .window = setting.workers * setting.prefetch_factor,
                                 .count = BATCHES};
        epoch_by_ledger(&ledger);
        assert_true(machine_run(&costs, &setting, &load, MOST, &r));
        close_to(r.time, ledger.now, 1e-6);
        close_to(r.waited, ledger.waited, 1e-6);
    }
}

/* On few CPUs, all of which work while there is any: no faster than on many, nor than all work takes on
 * them, and no slower than the two one after the other. */
static void few_cpus_are_between_two_bounds(void **state)
{
    (void)state;
    const struct machine_load load = load_of_all_costs();
    for (size_t i = 0; i < SETTINGS_OF_ALL_COSTS; i++) {
        const struct machine_setting setting = {settings_of_all_costs[i].workers,
                                                settings_of_all_costs[i].prefetch, true, false};
        struct machine_costs costs = all_costs;
        struct machine_result many, few;
        costs.pin = settings_of_all_costs[i].pin * MS;
        assert_true(machine_run(&costs, &setting, &load, MOST, &many));
        const double ends = costs.end_each * setting.workers;
        for (double cpus = 0.5; cpus < 5; cpus += 0.5) {
            costs.cpus = cpus;
            assert_true(machine_run(&costs, &setting, &load, MOST, &few));
            close_to(few.running, many.running, 1e-3); /* a last gap may not be over */
            const double work = (many.running + ends) / cpus;
            CHECK(few.time > many.time * 0.999 && few.time > many.running / cpus * 0.999,
                  "row %zu on %.1f CPUs: %.1f", i, cpus, few.time / MS);
            CHECK(few.time < many.time / fmin(1, cpus) + work, "row %zu on %.1f CPUs: %.1f", i,
                  cpus, few.time / MS);
        }
    }
}

/* CPUs of half the speed take what runs twice the time, and nothing else. */
static void slower_cpus_take_longer_for_what_runs(void **state)
{
    (void)state;
    all_alike(
        (struct machine_batch){.blocked = 3 * MS, .running = 5 * MS, .consumed_else = 2 * MS});
    struct machine_costs costs = free_of_charge();
    costs.iter = 40 * MS;
    const struct machine_load load = load_of(100);
    close_to(time_of(&costs, 0, 0, &load), 100 * 10 * MS + 40 * MS, 1e-6);
    costs.speed = 0.5;
    close_to(time_of(&costs, 0, 0, &load), 100 * 15 * MS + 80 * MS, 1e-6);
    costs.end_each = 20 * MS;
    costs.iter = 0;
    costs.iter_each = 30 * MS;
    close_to(time_of(&costs, 1, 2, &load), 100 * 13 * MS + 2 * MS + 40 * MS + 60 * MS, 1e-6);
}

/* Who starts up takes a CPU from the next fork where there is but one. */
static void forks_and_starts_share_the_cpus(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.blocked = 0.001f * MS});
    struct machine_costs costs = free_of_charge();
    costs.iter_each = 10 * MS;
    costs.boot = 30 * MS;
    const struct machine_load load = load_of(4);
    struct machine_result result;
    const struct machine_setting setting = {4, 1, true, false};
    assert_true(machine_run(&costs, &setting, &load, MOST, &result));
    close_to(result.first_iter, 40 * MS, 1e-6);
    close_to(result.time, 70 * MS, 1e-3);
    costs.cpus = 1;
    assert_true(machine_run(&costs, &setting, &load, MOST, &result));
    /* A fork alone; then beside one that starts, beside two, beside three: none of those is done. */
    close_to(result.first_iter, (10 + 20 + 30 + 40) * MS, 1e-6);
    close_to(result.time, 4 * 40 * MS, 1e-3);
}

/* Kept workers are woken one by one in each epoch but the first; where there are none, nobody is. */
static void kept_workers_are_woken(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.blocked = 5 * MS, .consumed_else = 20 * MS});
    struct machine_costs costs = free_of_charge();
    struct machine_load load = load_of(20);
    load.epochs = 11;
    for (uint32_t workers = 0; workers <= 4; workers++) {
        struct machine_result free_of, woken;
        const struct machine_setting setting = {workers, 2, true, true};
        costs.again = costs.again_each = 0;
        assert_true(machine_run(&costs, &setting, &load, MOST, &free_of));
        costs.again = 3 * MS;
        costs.again_each = 2 * MS;
        assert_true(machine_run(&costs, &setting, &load, MOST, &woken));
        const double each = workers == 0 ? 0 : 3 + 2.0 * workers;
        close_to(woken.time, free_of.time + 10 * each * MS, 1e-6);
    }
}

/* Of eleven epochs: a data set that is made for each is opened in each, without workers too; one that is
 * kept in the first. A stream's __iter__ comes in all of them, but in workers' starts it is already. */
static void what_is_made_anew_costs_anew(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.blocked = 5 * MS, .consumed_else = 20 * MS});
    struct machine_load load = load_of(20);
    load.epochs = 11;
    for (uint32_t workers = 0; workers <= 1; workers++) {
        for (int kept = 0; kept <= (int)workers; kept++) {
            struct machine_costs costs = free_of_charge();
            struct machine_result usual, once, anew, opened;
            const struct machine_setting setting = {workers, 2, true, kept == 1};
            assert_true(machine_run(&costs, &setting, &load, MOST, &usual));
            costs.first_blocked = 100 * MS;
            assert_true(machine_run(&costs, &setting, &load, MOST, &once));
            load.anew = true;
            assert_true(machine_run(&costs, &setting, &load, MOST, &anew));
            load.anew = false;
            costs.first_blocked = 0;
            costs.open = 100 * MS;
            assert_true(machine_run(&costs, &setting, &load, MOST, &opened));
            const double starts = workers == 1 && kept == 0 ? 11 : 1;
            close_to(once.time, usual.time + starts * 100 * MS, 1e-6);
            close_to(once.first_wait, usual.first_wait + 100 * MS, 1e-6);
            close_to(anew.time, usual.time + (workers == 0 ? 11 : starts) * 100 * MS, 1e-6);
            close_to(opened.time,
                     usual.time + (workers == 0 ? 11
                                   : kept == 1  ? 10
                                                : 0) *
                                      100 * MS,
                     1e-6);
        }
    }
}

static void what_it_has_no_room_for(void **state)
{
    (void)state;
    static const struct {
        uint32_t workers, prefetch, count;
        uint64_t epochs, epoch_batches;
        bool runs;
    } rows[] = {{1, 2, 20, 1, 20, true},
                {MACHINE_WORKERS, 1, 20, 1, 20, true},
                {MACHINE_WORKERS + 1, 1, 20, 1, 20, false},
                {MACHINE_WORKERS, MACHINE_WINDOW / MACHINE_WORKERS, 20, 1, 20, true},
                {MACHINE_WORKERS, MACHINE_WINDOW / MACHINE_WORKERS + 1, 20, 1, 20, false},
                {1, MACHINE_WINDOW, 20, 1, 20, true},
                {1, MACHINE_WINDOW + 1, 20, 1, 20, false},
                {1, 0, 20, 1, 20, false},
                {0, 0, 20, 1, 20, true}, /* no window without workers */
                {1, 2, 0, 1, 20, false},
                {1, 2, 20, 0, 20, false},
                {1, 2, 20, 1, 0, false}};
    const struct machine_costs costs = free_of_charge();
    all_alike((struct machine_batch){.blocked = 5 * MS, .consumed_else = 1 * MS});
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct machine_load load = load_of(rows[i].count);
        const struct machine_setting setting = {rows[i].workers, rows[i].prefetch, true, false};
        struct machine_result result;
        load.epochs = rows[i].epochs;
        load.epoch_batches = rows[i].epoch_batches;
        CHECK(machine_run(&costs, &setting, &load, MOST, &result) == rows[i].runs, "row %u", i);
        CHECK((result.time > 0) == rows[i].runs, "row %u: %g", i, result.time);
    }
}

/* Workers end side by side, as far as there are CPUs. */
static void workers_end_side_by_side(void **state)
{
    (void)state;
    static const struct {
        uint32_t workers;
        double cpus, ends_ms;
    } rows[] = {{1, 2, 12}, {2, 2, 12}, {3, 2, 18}, {6, 2, 36}, {4, 8, 12}, {4, 1, 48}};
    all_alike((struct machine_batch){.blocked = 5 * MS});
    const struct machine_load load = load_of(40);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct machine_costs costs = free_of_charge();
        costs.cpus = rows[i].cpus;
        const double without = time_of(&costs, rows[i].workers, 2, &load);
        costs.end_each = 12 * MS;
        close_to(time_of(&costs, rows[i].workers, 2, &load) - without, rows[i].ends_ms * MS, 1e-6);
    }
}

/* The recursion of docs/prediction.md: no CPU is short, nothing but making takes time. */
static double by_recursion(uint32_t count, uint32_t workers, uint32_t window)
{
    double finished[64] = {0}, taken[BATCHES], last = 0;
    for (uint32_t i = 0; i < count; i++) {
        const double given = i < window ? 0 : taken[i - window];
        const double begun = fmax(finished[i % workers], given);
        finished[i % workers] = begun + batches[i].blocked;
        const double asked = i == 0 ? 0 : last + batches[i - 1].consumed_else;
        taken[i] = last = fmax(asked, finished[i % workers]);
    }
    return last + batches[count - 1].consumed_else;
}

static void sleeping_items_follow_the_recursion(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (uint32_t i = 0; i < BATCHES; i++) {
        random = random * 1664525 + 1013904223;
        const float part = (float)(random >> 16) / 65536.0f;
        batches[i] = (struct machine_batch){.blocked = (0.2f + 30 * part * part * part) * 1e6f,
                                            .consumed_else = (1 + part) * 1e6f};
    }
    const struct machine_costs costs = free_of_charge();
    const struct machine_load load = load_of(BATCHES);
    for (uint32_t workers = 1; workers <= 8; workers++) {
        for (uint32_t prefetch = 1; prefetch <= 6; prefetch++)
            close_to(time_of(&costs, workers, prefetch, &load),
                     by_recursion(BATCHES, workers, workers * prefetch), 1e-6);
    }
}

static void computing_items_share_the_cpus(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.running = 10 * MS});
    struct machine_costs costs = free_of_charge();
    const struct machine_load load = load_of(240);
    for (uint32_t cpus = 1; cpus <= 4; cpus++) {
        costs.cpus = cpus;
        for (uint32_t workers = 1; workers <= 8; workers++) {
            const double least = 240 * 10 * MS / fmin(cpus, workers);
            const double got = time_of(&costs, workers, 4, &load);
            CHECK(got >= least * (1 - 1e-6) && got <= least * 1.06,
                  "%u workers on %u CPUs: %.1f, %.1f", workers, cpus, got / MS, least / MS);
        }
    }
}

static void part_of_a_cpu_is_slower(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.running = 10 * MS});
    struct machine_costs costs = free_of_charge();
    costs.cpus = 1.5;
    const struct machine_load load = load_of(200);
    close_to(time_of(&costs, 1, 2, &load), 200 * 10 * MS / 0.75, 0.01);
    close_to(time_of(&costs, 2, 2, &load), 200 * 10 * MS / 1.5, 0.02);
}

static void a_loop_that_computes_takes_part(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.running = 10 * MS, .consumed_running = 10 * MS});
    struct machine_costs costs = free_of_charge();
    costs.cpus = 1;
    const struct machine_load load = load_of(100);
    close_to(time_of(&costs, 1, 2, &load), 100 * 20 * MS, 0.01);
    costs.cpus = 2;
    close_to(time_of(&costs, 1, 2, &load), 100 * 10 * MS, 0.02);
}

static void what_handing_over_costs_the_loop_is_no_workers(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.blocked = 0.1 * MS});
    struct machine_costs costs = free_of_charge();
    costs.get = 2 * MS;
    costs.tail = 1 * MS;
    const struct machine_load load = load_of(200);
    for (uint32_t workers = 1; workers <= 4; workers++)
        close_to(time_of(&costs, workers, 2, &load), 200 * 3 * MS, 0.02);
    /* In the pin thread it goes on beside the loop. */
    costs.pin = 0.5 * MS;
    close_to(time_of(&costs, 4, 2, &load), 200 * 2.5 * MS, 0.02);
}

static void several_threads_of_an_item(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.running = 12 * MS});
    struct machine_costs costs = free_of_charge();
    costs.parallel = 3;
    costs.cpus = 4;
    const struct machine_load load = load_of(100);
    close_to(time_of(&costs, 1, 2, &load), 100 * 4 * MS, 0.01);
    costs.cpus = 2;
    close_to(time_of(&costs, 1, 2, &load), 100 * 6 * MS, 0.01);
}

static void order_costs_where_items_are_uneven(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.blocked = 2 * MS, .consumed_else = 1 * MS});
    for (uint32_t i = 0; i < BATCHES; i += 20)
        batches[i].blocked = 60 * MS;
    const struct machine_costs costs = free_of_charge();
    const struct machine_load load = load_of(BATCHES);
    struct machine_result result;
    const struct machine_setting setting = {3, 2, false, false};
    assert_true(machine_run(&costs, &setting, &load, MOST, &result));
    const double in_order = time_of(&costs, 3, 2, &load);
    CHECK(result.time < 0.9 * in_order, "%.1f, in order %.1f", result.time / MS, in_order / MS);
}

static void epochs_start_anew_unless_workers_are_kept(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.blocked = 5 * MS, .consumed_else = 1 * MS});
    struct machine_costs costs = free_of_charge();
    costs.iter_each = 10 * MS;
    costs.end_each = 4 * MS;
    costs.again = 1 * MS;
    struct machine_load load = load_of(20);
    load.epochs = 50;
    struct machine_result anew, kept;
    struct machine_setting setting = {2, 2, true, false};
    assert_true(machine_run(&costs, &setting, &load, MOST, &anew));
    setting.persistent = true;
    assert_true(machine_run(&costs, &setting, &load, MOST, &kept));
    /* 2 forks in each epoch and 2 ends side by side, against one set of forks and an again each. */
    close_to(anew.time - kept.time, 49 * (24 - 1) * MS + 4 * MS, 0.03);
    CHECK(anew.waited <= anew.time && kept.waited < anew.waited, "%.1f", anew.waited / MS);
}

static void long_runs_are_simulated_in_part(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.blocked = 8 * MS, .consumed_else = 3 * MS});
    const struct machine_costs costs = free_of_charge();
    struct machine_load load = load_of(BATCHES);
    load.epoch_batches = 1000000;
    close_to(time_of(&costs, 2, 2, &load), 1e6 * 4 * MS, 0.001);
    load.epoch_batches = 20000;
    load.epochs = 50;
    close_to(time_of(&costs, 2, 2, &load), 1e6 * 4 * MS, 0.002);
}

/* Workers are ended once an epoch, however much of it is simulated; and one batch is consumed for each
 * that is waited for. */
static void what_an_epoch_costs_once_does_not_grow_with_it(void **state)
{
    (void)state;
    all_alike((struct machine_batch){.blocked = 8 * MS, .consumed_else = 3 * MS});
    struct machine_costs costs = free_of_charge();
    costs.end = 200 * MS;
    costs.end_each = 100 * MS;
    costs.iter_each = 50 * MS;
    struct machine_result result;
    struct machine_load load = load_of(BATCHES);
    for (uint64_t epochs = 1; epochs <= 3; epochs++) {
        for (uint64_t batches_each = 100; batches_each <= 1000000; batches_each *= 100) {
            load.epochs = epochs;
            load.epoch_batches = batches_each;
            const struct machine_setting setting = {1, 2, true, false};
            assert_true(machine_run(&costs, &setting, &load, 1000, &result));
            /* The worker is the slower one: the loop consumes its last batch alone. */
            const double each = (double)batches_each * 8 * MS + 3 * MS + 350 * MS;
            close_to(result.time, (double)epochs * each, 1e-6);
            close_to(result.time - result.waited, (double)epochs * (double)batches_each * 3 * MS,
                     1e-6);
        }
    }
}

static void too_much_is_refused(void **state)
{
    (void)state;
    struct machine_result result;
    const struct machine_costs costs = free_of_charge();
    struct machine_load load = load_of(10);
    struct machine_setting setting = {MACHINE_WORKERS + 1, 2, true, false};
    assert_false(machine_run(&costs, &setting, &load, MOST, &result));
    setting = (struct machine_setting){MACHINE_WORKERS, MACHINE_WINDOW, true, false};
    assert_false(machine_run(&costs, &setting, &load, MOST, &result));
    setting = (struct machine_setting){2, 0, true, false};
    assert_false(machine_run(&costs, &setting, &load, MOST, &result));
    setting = (struct machine_setting){2, 2, true, false};
    load.count = 0;
    assert_false(machine_run(&costs, &setting, &load, MOST, &result));
    load = load_of(10);
    load.epoch_batches = 0;
    assert_false(machine_run(&costs, &setting, &load, MOST, &result));
}

static void the_smallest_loads_end(void **state)
{
    (void)state;
    all_alike((struct machine_batch){0, 0, 0, 0, 0, 0, 0});
    const struct machine_costs costs = free_of_charge();
    for (uint32_t count = 1; count <= 3; count++) {
        const struct machine_load load = load_of(count);
        for (uint32_t workers = 0; workers <= MACHINE_WORKERS; workers += 16)
            assert_true(time_of(&costs, workers, 2, &load) < MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_workers_everything_adds_up),
        cmocka_unit_test(who_wakes_waits_for_its_turn),
        cmocka_unit_test(turns_use_all_cpus),
        cmocka_unit_test(each_kind_of_time_adds_up),
        cmocka_unit_test(what_is_not_waiting_is_consuming),
        cmocka_unit_test(all_costs_follow_the_ledger),
        cmocka_unit_test(few_cpus_are_between_two_bounds),
        cmocka_unit_test(slower_cpus_take_longer_for_what_runs),
        cmocka_unit_test(forks_and_starts_share_the_cpus),
        cmocka_unit_test(kept_workers_are_woken),
        cmocka_unit_test(what_is_made_anew_costs_anew),
        cmocka_unit_test(a_few_stand_for_many),
        cmocka_unit_test(what_it_has_no_room_for),
        cmocka_unit_test(workers_end_side_by_side),
        cmocka_unit_test(sleeping_items_follow_the_recursion),
        cmocka_unit_test(computing_items_share_the_cpus),
        cmocka_unit_test(part_of_a_cpu_is_slower),
        cmocka_unit_test(a_loop_that_computes_takes_part),
        cmocka_unit_test(what_handing_over_costs_the_loop_is_no_workers),
        cmocka_unit_test(several_threads_of_an_item),
        cmocka_unit_test(order_costs_where_items_are_uneven),
        cmocka_unit_test(epochs_start_anew_unless_workers_are_kept),
        cmocka_unit_test(long_runs_are_simulated_in_part),
        cmocka_unit_test(what_an_epoch_costs_once_does_not_grow_with_it),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(the_smallest_loads_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
