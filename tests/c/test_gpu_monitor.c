/* SPDX-License-Identifier: Apache-2.0 */
/* The GPU monitor of datastall.h: what the Python tests cannot reach. Figures of GPUs are tested
 * there, with the fake driver. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "datastall.h"
#include "gpu/gpu_monitor.h"
#include "gpu/visible.h"

/* A forked child cannot join the sampling thread, which it does not have. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "report_thread_leaks=0";
}

static datastall_gpu_monitor *open_on(const int *ids, uint32_t count)
{
    datastall_gpu_monitor_options options = DATASTALL_GPU_MONITOR_OPTIONS_INIT;
    datastall_gpu_monitor *monitor;
    options.device_ids = ids;
    options.device_count = count;
    assert_int_equal(datastall_gpu_monitor_open(&options, &monitor), DATASTALL_OK);
    return monitor;
}

static void limits_hold_in_the_recording_too(void **state)
{
    (void)state;
    static const double waits[] = {0.9999999, 1.0, 50.0, 50.0000001, -1.0, NAN, INFINITY};
    const int device = 0;
    datastall_gpu_monitor *monitor = open_on(&device, 1);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        enum datastall_queue_state queue_state;
        datastall_gpu_monitor_record_dataloader_wait(monitor, waits[i], NULL, &queue_state);
        assert_int_equal(queue_state, datastall_infer_queue_state_ms(waits[i]));
    }
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    assert_int_equal(datastall_gpu_monitor_dataloader_statistics(monitor, &s), DATASTALL_OK);
    assert_int_equal(s.queue_full, 1);
    assert_int_equal(s.queue_normal, 2);
    assert_int_equal(s.queue_starved, 1);
    assert_int_equal(s.queue_unknown, 3);
    assert_int_equal(s.batches, 7);
    assert_int_equal(s.steady.count, 4);
    datastall_gpu_monitor_close(monitor);
}

static void options_that_make_no_sense(void **state)
{
    (void)state;
    static const int twice[] = {1, 1}, negative[] = {-1};
    datastall_gpu_monitor_options options = DATASTALL_GPU_MONITOR_OPTIONS_INIT;
    datastall_gpu_monitor *monitor;
    options.device_ids = twice;
    options.device_count = 2;
    assert_int_equal(datastall_gpu_monitor_open(&options, &monitor), DATASTALL_ERR_ARGUMENT);
    assert_null(monitor);
    assert_string_equal(datastall_last_error(), "device id 1 is given twice");
    options.device_ids = NULL;
    assert_int_equal(datastall_gpu_monitor_open(&options, &monitor), DATASTALL_ERR_ARGUMENT);
    assert_null(monitor);
    options.device_ids = negative;
    options.device_count = 1;
    assert_int_equal(datastall_gpu_monitor_open(&options, &monitor), DATASTALL_ERR_ARGUMENT);
    options.device_count = 0;
    options.log_interval_s = 0.01;
    assert_int_equal(datastall_gpu_monitor_open(&options, &monitor), DATASTALL_ERR_ARGUMENT);
    options.log_interval_s = 0.0;
    assert_int_equal(datastall_gpu_monitor_open(&options, &monitor), DATASTALL_OK);
    datastall_gpu_monitor_close(monitor);
}

static void waits_longer_than_the_uptime(void **state)
{
    (void)state;
    static const double waits[] = {1e10 * 1e3 * 86400, 9.3e12, 1e300, 1.7e308};
    datastall_gpu_monitor *monitor = open_on(NULL, 0);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        enum datastall_queue_state queue_state;
        datastall_gpu_monitor_record_dataloader_wait(monitor, waits[i], NULL, &queue_state);
        assert_int_equal(queue_state, DATASTALL_QUEUE_STARVED);
        assert_true(gpu_monitor_wait_ns(waits[i], UINT64_C(1) << 62) == DATASTALL_UNKNOWN);
    }
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    datastall_gpu_monitor_dataloader_statistics(monitor, &s);
    assert_int_equal(s.batches, 4);
    assert_int_equal(s.steady.count, 0);
    assert_int_equal(s.queue_unknown, 4);
    assert_int_equal(gpu_monitor_wait_ns(1000.0, UINT64_C(1000000002)), 1000000000);
    assert_true(gpu_monitor_wait_ns(1000.0, UINT64_C(999999999)) == DATASTALL_UNKNOWN);
    datastall_gpu_monitor_close(monitor);
}

/* Results of a header that lacked the last field, or has one more: the rest is left alone. */
static void structs_of_other_headers(void **state)
{
    (void)state;
    const int device = 0;
    datastall_gpu_monitor *monitor = open_on(&device, 1);
    datastall_gpu_monitor_set_stage(monitor, "x");

    datastall_device_statistics d = {.struct_size =
                                         offsetof(datastall_device_statistics, temperature_max),
                                     .sample_count = 7,
                                     .temperature_max = -3.0};
    const size_t size = d.struct_size;
    assert_int_equal(datastall_gpu_monitor_device_statistics(monitor, 0, &d), DATASTALL_OK);
    assert_int_equal(d.struct_size, size);
    assert_int_equal(d.sample_count, 0);
    assert_true(isnan(d.power_draw_avg));
    assert_true(d.temperature_max == -3.0);

    datastall_stage_statistics stage = {.struct_size =
                                            offsetof(datastall_stage_statistics, duration_seconds),
                                        .duration_seconds = -3.0};
    assert_int_equal(datastall_gpu_monitor_stage_statistics(monitor, 0, 0, &stage), DATASTALL_OK);
    assert_string_equal(stage.name, "x");
    assert_true(stage.duration_seconds == -3.0);

    datastall_throughput t = {.struct_size = offsetof(datastall_throughput, total_tokens),
                              .total_tokens = 3};
    assert_int_equal(datastall_gpu_monitor_throughput(monitor, &t), DATASTALL_OK);
    assert_true(isnan(t.elapsed_s));
    assert_true(t.total_sequences == DATASTALL_UNKNOWN);
    assert_int_equal(t.total_tokens, 3);

    struct {
        datastall_bottleneck known;
        uint64_t unheard_of;
    } b = {.known = {.struct_size = sizeof b, .device_id = 5}, .unheard_of = 3};
    assert_int_equal(datastall_gpu_monitor_check_bottleneck(monitor, 1, &b.known), DATASTALL_OK);
    assert_int_equal(b.known.device_id, -1);
    assert_int_equal(b.known.struct_size, sizeof b);
    assert_int_equal(b.unheard_of, 3);

    d.struct_size = 0;
    assert_int_equal(datastall_gpu_monitor_device_statistics(monitor, 0, &d),
                     DATASTALL_ERR_ARGUMENT);
    assert_int_equal(datastall_gpu_monitor_device_statistics(monitor, 0, NULL),
                     DATASTALL_ERR_ARGUMENT);
    datastall_gpu_monitor_close(monitor);
}

static void stages_past_the_last_name(void **state)
{
    (void)state;
    const int device = 0;
    char name[32];
    datastall_stage_statistics s = DATASTALL_STAGE_STATISTICS_INIT;
    datastall_gpu_monitor *monitor = open_on(&device, 1);
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "stage %d", i);
        datastall_gpu_monitor_set_stage(monitor, name);
    }
    assert_int_equal(datastall_gpu_monitor_stage_statistics(monitor, 0, 63, &s), DATASTALL_OK);
    assert_string_equal(s.name, "stage 63");
    assert_int_equal(datastall_gpu_monitor_stage_statistics(monitor, 0, 64, &s),
                     DATASTALL_ERR_NOT_FOUND);
    datastall_gpu_monitor_set_stage(monitor, "one too many");
    usleep(2000);
    datastall_gpu_monitor_set_stage(monitor, "another");
    assert_int_equal(datastall_gpu_monitor_stage_statistics(monitor, 0, 64, &s), DATASTALL_OK);
    assert_string_equal(s.name, "other");
    assert_true(s.duration_seconds >= 0.002);
    assert_int_equal(datastall_gpu_monitor_stage_statistics(monitor, 0, 65, &s),
                     DATASTALL_ERR_NOT_FOUND);
    assert_int_equal(datastall_gpu_monitor_stage_statistics(monitor, 0, UINT32_MAX, &s),
                     DATASTALL_ERR_NOT_FOUND);
    datastall_gpu_monitor_close(monitor);
}

static void a_child_is_detached(void **state)
{
    (void)state;
    const int device = 0;
    datastall_gpu_monitor *monitor = open_on(&device, 1);
    datastall_gpu_monitor_start_monitoring(monitor);
    datastall_gpu_monitor_record_dataloader_wait(monitor, 5.0, NULL, NULL);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        datastall_bottleneck b = DATASTALL_BOTTLENECK_INIT;
        datastall_device_statistics d = DATASTALL_DEVICE_STATISTICS_INIT;
        int forked =
            datastall_gpu_monitor_record_dataloader_wait(monitor, 5.0, NULL, NULL) ==
                DATASTALL_ERR_FORKED &&
            datastall_gpu_monitor_check_bottleneck(monitor, 1, &b) == DATASTALL_ERR_FORKED &&
            datastall_gpu_monitor_device_statistics(monitor, 0, &d) == DATASTALL_ERR_FORKED &&
            datastall_gpu_monitor_stop_monitoring(monitor) == DATASTALL_ERR_FORKED;
        datastall_gpu_monitor_close(monitor);
        _exit(forked ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    datastall_gpu_monitor_dataloader_statistics(monitor, &s);
    assert_int_equal(s.batches, 1);
    assert_int_equal(datastall_gpu_monitor_stop_monitoring(monitor), 1);
    assert_int_equal(datastall_gpu_monitor_stop_monitoring(monitor), 0);
    datastall_gpu_monitor_close(monitor);
}

static void visible_devices(void **state)
{
    (void)state;
    static const struct {
        const char *variable;
        uint32_t count;
        uint32_t map[4];
    } cases[] = {
        {NULL, 3, {0, 1, 2}}, {"", 0, {0}},
        {"2", 1, {2}},        {" 1 , 0", 2, {1, 0}},
        {"0,7,1", 1, {0}},                       /* an invalid entry ends the list */
        {"0,-1,1", 1, {0}},   {"0,1,0", 0, {0}}, /* an entry twice leaves none */
        {"GPU-bb", 1, {1}},   {"GPU-b", 1, {1}},
        {"GPU-", 0, {0}}, /* not unique */
        {"GPU-zz,0", 0, {0}}, {"MIG-abc", 0, {0}},
        {"1x", 0, {0}},       {"99999999999999999999", 0, {0}},
    };
    struct rf_gpu_static devices[3] = {{.index = 0}, {.index = 1}, {.index = 2}};
    strcpy(devices[0].uuid, "GPU-aa11");
    strcpy(devices[1].uuid, "GPU-bb22");
    strcpy(devices[2].uuid, "GPU-cc33");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t map[4] = {9, 9, 9, 9};
        assert_int_equal(gpu_ordinal_map(cases[i].variable, NULL, devices, 3, map, 4),
                         cases[i].count);
        for (uint32_t k = 0; k < cases[i].count; k++)
            assert_int_equal(map[k], cases[i].map[k]);
    }
}

static void device_order(void **state)
{
    (void)state;
    struct rf_gpu_static devices[2] = {{.index = 0, .uuid = "GPU-aa", .name = "small"},
                                       {.index = 1, .uuid = "GPU-bb", .name = "large"}};
    uint32_t map[2];
    /* Which of two unlike GPUs CUDA counts first is not known, unless the order is by bus. */
    assert_int_equal(gpu_ordinal_map(NULL, NULL, devices, 2, map, 2), 0);
    assert_int_equal(gpu_ordinal_map("0", "FASTEST_FIRST", devices, 2, map, 2), 0);
    assert_int_equal(gpu_ordinal_map("1", "PCI_BUS_ID", devices, 2, map, 2), 1);
    assert_int_equal(map[0], 1);
    assert_int_equal(gpu_ordinal_map("GPU-bb,GPU-aa", NULL, devices, 2, map, 2), 2);
    assert_int_equal(map[0], 1);
    strcpy(devices[1].name, "small");
    assert_int_equal(gpu_ordinal_map("1", "FASTEST_FIRST", devices, 2, map, 2), 1);
}

static void mig_instances(void **state)
{
    (void)state;
    const struct rf_gpu_static devices[4] = {
        {.index = 0, .uuid = "GPU-aa"},
        {.index = 0, .uuid = "MIG-11", .mig = 1, .gpu_instance = 3, .compute_instance = 0},
        {.index = 0, .uuid = "MIG-12", .mig = 1, .gpu_instance = 5, .compute_instance = 1},
        {.index = 1, .uuid = "GPU-bb"},
    };
    static const struct {
        const char *variable;
        uint32_t count, place;
    } cases[] = {
        {NULL, 1, 1},
        {"MIG-12", 1, 2},
        {"MIG-1", 0, 0}, /* not unique */
        {"MIG-12,MIG-11", 1, 2},
        {"MIG-11,1", 1, 1},
        {"MIG-GPU-aa/5/1", 1, 2},
        {"MIG-GPU-aa/5/0", 0, 0},
        {"MIG-GPU-bb/5/1", 0, 0},
        {"MIG-GPU-aa/5/1x", 0, 0},
        {"0", 1, 1}, /* the GPU's first instance */
        {"GPU-aa", 1, 1},
        {"1", 1, 3}, /* indices count GPUs */
        {"1,MIG-11", 1, 3},
        {"2", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t map[4] = {9, 9, 9, 9};
        assert_int_equal(gpu_ordinal_map(cases[i].variable, NULL, devices, 4, map, 4),
                         cases[i].count);
        if (cases[i].count > 0)
            assert_int_equal(map[0], cases[i].place);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_hold_in_the_recording_too),
        cmocka_unit_test(options_that_make_no_sense),
        cmocka_unit_test(waits_longer_than_the_uptime),
        cmocka_unit_test(structs_of_other_headers),
        cmocka_unit_test(stages_past_the_last_name),
        cmocka_unit_test(a_child_is_detached),
        cmocka_unit_test(visible_devices),
        cmocka_unit_test(device_order),
        cmocka_unit_test(mig_instances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
