/* SPDX-License-Identifier: Apache-2.0 */
/* What a stall cost, from runs in memory. */
#include "cmocka_all.h"

#include <math.h>
#include <string.h>

#include "diagnose/cost.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_devices_as_a_range),
        cmocka_unit_test(a_shared_device_counts_once),
        cmocka_unit_test(causes_share_it),
        cmocka_unit_test(without_a_gpu_nothing_is_known),
        cmocka_unit_test(a_price_is_a_number_above_nothing),
        cmocka_unit_test(of_processes_where_no_device_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
