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
    return (struct machine_costs){.cpus = 64, .parallel = 1};
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

static void without_workers_everything_adds_up(void **state)
{
    (void)state;
    all_alike((struct machine_batch){2 * MS, 3 * MS, 1 * MS, 0.5 * MS, 1.5 * MS, 4 * MS, 5 * MS});
    struct machine_costs costs = free_of_charge();
    costs.overhead = 0.25 * MS;
    const struct machine_load load = load_of(100);
    close_to(time_of(&costs, 0, 0, &load), 100 * 17.25 * MS, 1e-6);
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
    /* 2 forks and 2 ends in each epoch, against one set of forks and an again each. */
    close_to(anew.time - kept.time, 49 * (28 - 1) * MS + 8 * MS, 0.03);
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
        cmocka_unit_test(sleeping_items_follow_the_recursion),
        cmocka_unit_test(computing_items_share_the_cpus),
        cmocka_unit_test(part_of_a_cpu_is_slower),
        cmocka_unit_test(a_loop_that_computes_takes_part),
        cmocka_unit_test(what_handing_over_costs_the_loop_is_no_workers),
        cmocka_unit_test(several_threads_of_an_item),
        cmocka_unit_test(order_costs_where_items_are_uneven),
        cmocka_unit_test(epochs_start_anew_unless_workers_are_kept),
        cmocka_unit_test(long_runs_are_simulated_in_part),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(the_smallest_loads_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
