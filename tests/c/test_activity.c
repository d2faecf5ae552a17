/* SPDX-License-Identifier: Apache-2.0 */
/* What a GPU's samples add up to, and the bounds that follow from its activity. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>

#include "diagnose/summary.h"
#include "runfile/writer.h"
#include "support.h"

#define MS UINT64_C(1000000)

static struct rf_writer *writer_in_memory(void)
{
    const struct rf_spec spec = {.gpus = 1};
    const struct rf_process_static process = {.pid = 1};
    struct rf_writer *writer;
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &writer), 0);
    return writer;
}

/* Busy, idle and unknown time add up to the time observed, whatever is read and whatever is not. */
static void time_adds_up(void **state)
{
    (void)state;
    struct rf_writer *writer = writer_in_memory();
    const struct rf_gpu_static device = {.index = 0};
    struct rf_gpu_writer gpu;
    const uint64_t *w = rf_entry(writer, RF_SECTION_GPUS, 0) + RF_BLOCK_PAYLOAD;
    uint64_t time_ns = 1000 * MS, seen_busy = 0;
    rf_gpu_attach(writer, 0, &device, &gpu);
    srand(7);
    for (int i = 0; i < 20000; i++) {
        struct rf_gpu_sample sample = rf_gpu_nothing_read();
        const int kind = rand() % 4;
        time_ns += (uint64_t)(rand() % 3000) * MS + (uint64_t)rand() % MS;
        sample.time_ns = time_ns;
        sample.state = RF_GPU_OK;
        if (kind < 2) {
            sample.activity = rand() % 1001 * 1e-3;
            sample.activity_span_ns = (uint64_t)(rand() % 4000) * MS;
            sample.activity_source = (uint64_t)kind;
            sample.gpm[RF_GPM_SM] = sample.activity / 2;
        }
        sample.activity_pending = kind == 2;
        if (rand() % 2)
            sample.power_mw = (uint64_t)(rand() % 700000);
        if (rand() % 2)
            sample.held = (uint64_t)(rand() % 8);
        rf_gpu_append(&gpu, &sample);
        const uint64_t sum = w[RF_GPU_BUSY_NS] + w[RF_GPU_IDLE_NS] + w[RF_GPU_UNKNOWN_NS];
        /* A pending sample's time waits for the one that covers it. */
        if (!sample.activity_pending)
            assert_int_equal(sum, w[RF_GPU_LAST_NS] - w[RF_GPU_FIRST_NS]);
        assert_true(sum <= w[RF_GPU_LAST_NS] - w[RF_GPU_FIRST_NS]);
        assert_true(w[RF_GPU_BUSY_NS] >= seen_busy); /* counters never go back */
        seen_busy = w[RF_GPU_BUSY_NS];
        assert_true(w[RF_GPU_ENERGY_NS] <= w[RF_GPU_LAST_NS] - w[RF_GPU_FIRST_NS]);
        assert_true(w[RF_GPU_HELD_POWER_NS] <= w[RF_GPU_HELD_KNOWN_NS]);
    }
    assert_int_equal(w[RF_GPU_ACTIVITY_SOURCES], 3);
    rf_writer_destroy(writer);
}

static void energy_is_power_over_time(void **state)
{
    (void)state;
    struct rf_writer *writer = writer_in_memory();
    const struct rf_gpu_static device = {.index = 0};
    struct rf_gpu_writer gpu;
    const uint64_t *w = rf_entry(writer, RF_SECTION_GPUS, 0) + RF_BLOCK_PAYLOAD;
    rf_gpu_attach(writer, 0, &device, &gpu);
    /* 100 W, 300 W, not read, 500 W, and after a long silence 100 W: 200 J + 800 J. */
    static const struct {
        uint64_t at_s, mw;
    } readings[] = {{1, 100000}, {2, 300000}, {3, RF_UNKNOWN}, {4, 500000}, {100, 100000}};
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        struct rf_gpu_sample sample = rf_gpu_nothing_read();
        sample.time_ns = readings[i].at_s * 1000 * MS;
        sample.power_mw = readings[i].mw;
        rf_gpu_append(&gpu, &sample);
    }
    assert_int_equal(w[RF_GPU_ENERGY_UJ], UINT64_C(1000000000));
    assert_int_equal(w[RF_GPU_ENERGY_NS], 3000 * MS);
    rf_writer_destroy(writer);
}

/* What a sample says of the GPU's activity stands for the time since the sample before. */
static void activity_is_weighted_by_time(void **state)
{
    (void)state;
    struct rf_writer *writer = writer_in_memory();
    const struct rf_gpu_static device = {.index = 0};
    struct rf_gpu_writer gpu;
    const uint64_t *w = rf_entry(writer, RF_SECTION_GPUS, 0) + RF_BLOCK_PAYLOAD;
    static const struct {
        uint64_t at_ms;
        double activity;
    } readings[] = {{1000, 0.1}, {2000, 0.3}, {3000, 0.8}, {3500, 0.8}};
    rf_gpu_attach(writer, 0, &device, &gpu);
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        struct rf_gpu_sample sample = rf_gpu_nothing_read();
        sample.time_ns = readings[i].at_ms * MS;
        sample.activity = readings[i].activity;
        sample.activity_span_ns = i == 0 ? 0 : (readings[i].at_ms - readings[i - 1].at_ms) * MS;
        rf_gpu_append(&gpu, &sample);
    }
    assert_int_equal(w[RF_GPU_BUSY_NS], 1500 * MS); /* 0.3 + 0.8 + half of 0.8 */
    assert_int_equal(w[RF_GPU_IDLE_NS], 1000 * MS);
    assert_int_equal(w[RF_GPU_UNKNOWN_NS], 0);
    rf_writer_destroy(writer);
}

static void bounds(void **state)
{
    (void)state;
    static const struct {
        uint64_t window, wait, idle, lower, upper;
    } cases[] = {
        {100, 0, 0, 0, 0},     {100, 100, 100, 100, 100}, /* it only waited, all of it idle */
        {100, 75, 15, 0, 15},                             /* long waits behind a busy GPU */
        {100, 75, 60, 35, 60}, {100, 20, 90, 10, 20},
        {100, 50, 50, 0, 50},  {100, 0, 100, 0, 0},       /* idle, but never waiting */
        {100, 100, 0, 0, 0},   {100, 130, 140, 130, 130}, /* more than there is: background */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct stall_bounds stall =
            stall_of_idle(cases[i].window, cases[i].wait, cases[i].idle);
        assert_int_equal(stall.lower_ns, cases[i].lower);
        assert_int_equal(stall.upper_ns, cases[i].upper);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_adds_up),
        cmocka_unit_test(energy_is_power_over_time),
        cmocka_unit_test(activity_is_weighted_by_time),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
