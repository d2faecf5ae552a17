/* SPDX-License-Identifier: Apache-2.0 */
/* What a stall cost, from runs in memory. */
#include "cmocka_all.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/cost.h"
#include "support.h"
#include "world.h"

#define HOUR (3600 * S)

static struct cost cost;

static void reckon(uint64_t duration_ns, double price)
{
    struct summary *summary = made(1000 * S);
    summary->duration_ns = duration_ns;
    summary->price_per_gpu_hour = price;
    cost_of(summary, &cost);
    summary_free(summary);
}

static void assert_text(const char *wanted)
{
    char text[320];
    cost_text(&cost, text, sizeof text);
    assert_string_equal(text, wanted);
}

/* Two processes with a GPU each: an hour of 30 and 60 minutes of stall, known within 6 minutes. */
static void two_gpus(void)
{
    begin_world(2);
    for (uint32_t i = 0; i < 2; i++) {
        const uint64_t stall = (i + 1) * HOUR / 2;
        set_wait(i, 100 * S, 100 * S + 2 * HOUR, stall);
        set_stall(i, i, stall, stall - HOUR / 10, stall);
        set_gpu(i, RF_ACTIVITY_GPM, 100 * S, 100 * S + 2 * HOUR, 0.4);
    }
}

static void of_devices_as_a_range(void **state)
{
    (void)state;
    two_gpus();
    reckon(3 * HOUR, 2.5);
    assert_int_equal(cost.gpus, 2);
    assert_float_equal(cost.gpu_hours, 6, NEAR);
    assert_float_equal(cost.stalled_gpu_hours.lower, 1.3, NEAR);
    assert_float_equal(cost.stalled_gpu_hours.upper, 1.5, NEAR);
    assert_text("the stall cost 3.25 to 3.75 of 15.00 (2 GPUs at 2.5 an hour)");
    reckon(3 * HOUR, NAN);
    assert_text("1.30 to 1.50 of 6 GPU hours (2 GPUs) went by without input");
}

/* A command that had GPUs and no batch cost what it took, to the nanosecond. */
static void without_a_window(void **state)
{
    (void)state;
    two_gpus();
    struct summary *summary = made(1000 * S);
    summary->begin_ns = summary->end_ns = DATASTALL_UNKNOWN;
    summary->duration_ns = 36;
    cost_of(summary, &cost);
    assert_int_equal(cost.gpus, 2);
    assert_float_equal(cost.gpu_hours * 1e11, 2, NEAR);
    summary_free(summary);
}

/* One device that two processes share is lost once. */
static void a_shared_device_counts_once(void **state)
{
    (void)state;
    begin_world(2);
    for (uint32_t i = 0; i < 2; i++) {
        set_wait(i, 100 * S, 100 * S + HOUR, HOUR / 2);
        set_stall(i, 0, HOUR / 2, HOUR / 2, HOUR / 2);
    }
    set_gpu(0, RF_ACTIVITY_GPM, 100 * S, 100 * S + HOUR, 0.4);
    reckon(HOUR, 1);
    assert_int_equal(cost.gpus, 1);
    assert_true(cost.stalled_gpu_hours.upper <= 0.6 + NEAR); /* what it did not work */
}

static void causes_share_it(void **state)
{
    (void)state;
    two_gpus();
    uint64_t *c = world.loaders[0].totals.counters;
    c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] = 3 * HOUR / 8;
    c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] = HOUR / 8;
    world.processes[1].loader_count = 0;
    reckon(2 * HOUR, 10);
    assert_float_equal(cost.shares[CAUSE_COMPUTE], 0.75, NEAR);
    assert_float_equal(cost.shares[CAUSE_BLOCKED], 0.25, NEAR);
    char text[320];
    cost_text(&cost, text, sizeof text);
    assert_non_null(strstr(text, ": compute 75 %, blocked 25 %"));
}

static void without_a_gpu_nothing_is_known(void **state)
{
    (void)state;
    begin_world(1);
    set_wait(0, 100 * S, 100 * S + HOUR, HOUR / 2);
    reckon(HOUR, NAN);
    assert_int_equal(cost.gpus, 0);
    assert_true(isnan(cost.stalled_gpu_hours.upper) && isnan(cost.gpu_hours));
    assert_text("");
    reckon(HOUR, 3);
    assert_text("unknown: no GPU was seen in use");
}

static void a_price_is_a_number_above_nothing(void **state)
{
    (void)state;
    assert_float_equal(cost_price("2.50"), 2.5, NEAR);
    assert_float_equal(cost_price("1000000"), 1e6, NEAR);
    static const char *const wrong[] = {"", "0", "-1", "2,50", "1e99", "nan", "inf", "3 EUR"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_true(isnan(cost_price(wrong[i])));
}

/* Where no device says whose it was, each process that uses one has its own. */
static void of_processes_where_no_device_was_seen(void **state)
{
    (void)state;
    begin_world(3);
    for (uint32_t i = 0; i < 2; i++) {
        set_wait(i, 100 * S, 100 * S + 2 * HOUR, (i + 1) * HOUR / 2);
        set_stall(i, i, (i + 1) * HOUR / 2, (i + 1) * HOUR / 4, (i + 1) * HOUR / 2);
    }
    set_wait(2, 100 * S, 100 * S + 2 * HOUR, HOUR); /* that uses none */
    reckon(HOUR, 1);
    assert_int_equal(cost.gpus, 2);
    assert_float_equal(cost.gpu_hours, 4, NEAR); /* the window is longer */
    assert_float_equal(cost.stalled_gpu_hours.lower, 0.75, NEAR);
    assert_float_equal(cost.stalled_gpu_hours.upper, 1.5, NEAR);
}

/* What each device drew adds up, as far as it is known. */
static void energy_of_devices(void **state)
{
    (void)state;
    static const struct {
        uint64_t drawn_uj[2];
        double lower_j[2], upper_j[2];
        double drawn_j, sum_lower_j, sum_upper_j;
    } rows[] = {
        {{3000000, 500000}, {10, 20}, {15, 40}, 3.5, 30, 55},
        {{3000000, DATASTALL_UNKNOWN}, {10, NAN}, {15, 40}, 3, 10, 15},
        {{DATASTALL_UNKNOWN, 500000}, {10, 20}, {NAN, 40}, 0.5, 20, 40},
        {{DATASTALL_UNKNOWN, DATASTALL_UNKNOWN}, {NAN, NAN}, {NAN, NAN}, NAN, NAN, NAN},
        {{0, 0}, {0, 0}, {0, 0}, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct summary_gpu gpus[2];
        for (uint32_t g = 0; g < 2; g++)
            gpus[g] = (struct summary_gpu){.energy_uj = rows[i].drawn_uj[g],
                                           .stalled_energy_lower_j = rows[i].lower_j[g],
                                           .stalled_energy_upper_j = rows[i].upper_j[g]};
        const struct summary summary = {.gpus = gpus,
                                        .gpu_count = 2,
                                        .begin_ns = DATASTALL_UNKNOWN,
                                        .end_ns = DATASTALL_UNKNOWN,
                                        .price_per_gpu_hour = 2};
        cost_of(&summary, &cost);
        assert_figure(cost.energy_j, rows[i].drawn_j);
        assert_figure(cost.stalled_energy_j.lower, rows[i].sum_lower_j);
        assert_figure(cost.stalled_energy_j.upper, rows[i].sum_upper_j);
        assert_int_equal(cost.gpus, 0); /* nobody consumed them */
        assert_figure(cost.price_per_gpu_hour, 2);
        assert_true(isnan(cost.shares[CAUSE_COMPUTE]));
    }
}

/* Digits by size, joules and kilowatt-hours, one figure or two, one GPU or several, and the three largest
 * causes from a twentieth on. */
static void in_words(void **state)
{
    (void)state;
    static const struct {
        uint32_t gpus;
        double hours, lower, upper, price, joules[2];
        double compute, blocked, collate, pin;
        const char *text;
    } rows[] = {
        {1,
         2,
         0.5,
         0.5,
         NAN,
         {NAN, NAN},
         NAN,
         NAN,
         NAN,
         NAN,
         "0.5000 of 2 GPU hours (1 GPU) went by without input"},
        {1,
         2,
         0.99994,
         0.99994,
         NAN,
         {NAN, NAN},
         NAN,
         NAN,
         NAN,
         NAN,
         "0.9999 of 2 GPU hours (1 GPU) went by without input"},
        {2,
         2,
         0.5,
         1,
         NAN,
         {0, 0},
         0.04,
         0.049,
         0,
         0,
         "0.50 to 1.00 of 2 GPU hours (2 GPUs) went by without input"},
        {8,
         4000,
         999.994,
         999.994,
         NAN,
         {NAN, NAN},
         0.05,
         0.5,
         0.2,
         0.25,
         "999.99 of 4000 GPU hours (8 GPUs) went by without input: blocked 50 %, pin 25 %, "
         "collate 20 %"},
        {8,
         4000,
         900,
         1000,
         NAN,
         {NAN, NAN},
         0.05,
         0.95,
         0,
         0,
         "900 to 1000 of 4000 GPU hours (8 GPUs) went by without input: blocked 95 %, compute 5 %"},
        {1,
         2,
         0.5,
         0.5,
         NAN,
         {1, 35999},
         NAN,
         NAN,
         NAN,
         NAN,
         "0.5000 of 2 GPU hours (1 GPU) went by without input; energy while stalled 1 to 35999 J"},
        {1,
         2,
         0.5,
         0.5,
         NAN,
         {18000, 36000},
         NAN,
         NAN,
         NAN,
         NAN,
         "0.5000 of 2 GPU hours (1 GPU) went by without input; energy while stalled 0.0050 to "
         "0.0100 kWh"},
        {1,
         2,
         0.5,
         0.5,
         1,
         {5, 5},
         NAN,
         NAN,
         NAN,
         NAN,
         "the stall cost 0.5000 of 2.00 (1 GPU at 1 an hour); energy while stalled 5.00 J"},
        {2,
         2,
         0.1,
         0.25,
         0.49,
         {NAN, NAN},
         1,
         0,
         0,
         0,
         "the stall cost 0.0490 to 0.1225 of 0.9800 (2 GPUs at 0.49 an hour): compute 100 %"},
        {2,
         2,
         0.1,
         0.25,
         0.5,
         {NAN, NAN},
         NAN,
         NAN,
         NAN,
         NAN,
         "the stall cost 0.0500 to 0.1250 of 1.00 (2 GPUs at 0.5 an hour)"},
        {0, 2, 0.1, 0.25, 0.5, {5, 5}, 1, 0, 0, 0, "unknown: no GPU was seen in use"},
        {0, 2, 0.1, 0.25, NAN, {5, 5}, 1, 0, 0, 0, ""},
        {1, NAN, 0.1, 0.25, 0.5, {5, 5}, 1, 0, 0, 0, ""},
        {1, 2, NAN, NAN, 0.5, {5, 5}, 1, 0, 0, 0, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[320];
        cost = (struct cost){.gpus = rows[i].gpus,
                             .gpu_hours = rows[i].hours,
                             .stalled_gpu_hours = {rows[i].lower, rows[i].upper},
                             .stalled_energy_j = {rows[i].joules[0], rows[i].joules[1]},
                             .price_per_gpu_hour = rows[i].price};
        cost.shares[CAUSE_COMPUTE] = rows[i].compute;
        cost.shares[CAUSE_BLOCKED] = rows[i].blocked;
        cost.shares[CAUSE_COLLATE] = rows[i].collate;
        cost.shares[CAUSE_PIN] = rows[i].pin;
        cost.shares[CAUSE_UNKNOWN] = 1; /* which is no cause to tell */
        cost_text(&cost, text, sizeof text);
        CHECK(strcmp(text, rows[i].text) == 0, "row %zu: '%s'", i, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_devices_as_a_range),
        cmocka_unit_test(without_a_window),
        cmocka_unit_test(a_shared_device_counts_once),
        cmocka_unit_test(causes_share_it),
        cmocka_unit_test(energy_of_devices),
        cmocka_unit_test(in_words),
        cmocka_unit_test(without_a_gpu_nothing_is_known),
        cmocka_unit_test(a_price_is_a_number_above_nothing),
        cmocka_unit_test(of_processes_where_no_device_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
