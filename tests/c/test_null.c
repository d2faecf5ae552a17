/* SPDX-License-Identifier: Apache-2.0 */
/* Every function of datastall.h with NULL in every place that a pointer can have: it answers, and
 * what works with the other pointers works on. test_symbols.sh sees to it that none is left out. */
#include "cmocka_all.h"

#include <math.h>
#include <string.h>

#include "support.h"

static datastall_monitor *monitor;
static datastall_loader *loader;
static datastall_gpu_monitor *gpus;

static int open_all(void **state)
{
    (void)state;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    options.flags = DATASTALL_MEMORY_ONLY;
    assert_int_equal(datastall_open(&options, &monitor), 0);
    assert_int_equal(datastall_gpu_monitor_open(NULL, &gpus), 0);
    loader = test_loader(monitor, "l");
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    datastall_close(monitor);
    datastall_gpu_monitor_close(gpus);
    return 0;
}

#define OFF(call)                                    \
    do {                                             \
        assert_int_equal(call, DATASTALL_ERR_OFF);   \
        assert_true(datastall_last_error()[0] != 0); \
    } while (0)
#define NO_PLACE(call) assert_int_equal(call, DATASTALL_ERR_ARGUMENT)

static void text(void **state)
{
    (void)state;
    assert_non_null(datastall_strerror(0));
    assert_non_null(datastall_last_error());
    assert_non_null(datastall_version());
    assert_int_equal(datastall_version_number(), DATASTALL_VERSION_NUMBER);
    assert_true(datastall_clock_ns() > 0);
    assert_int_equal(datastall_infer_queue_state(0), DATASTALL_QUEUE_FULL);
    assert_int_equal(datastall_infer_queue_state_ms(0), DATASTALL_QUEUE_FULL);
}

static void monitors(void **state)
{
    (void)state;
    datastall_monitor *other = NULL;
    datastall_options options = DATASTALL_OPTIONS_INIT; /* with NULL in every pointer */
    datastall_lost lost = DATASTALL_LOST_INIT;
    const char *previous = NULL;
    options.flags = DATASTALL_MEMORY_ONLY;
    assert_int_equal(datastall_open(&options, &other), 0);
    datastall_close(other);
    NO_PLACE(datastall_open(&options, NULL));
    NO_PLACE(datastall_open(NULL, NULL));
    datastall_close(NULL);
    assert_string_equal(datastall_run_file(NULL), "");
    OFF(datastall_monitor_state(NULL));
    assert_int_equal(datastall_stage_set(NULL, "train", &previous), 0);
    assert_string_equal(previous, "");
    assert_int_equal(datastall_stage_set(NULL, NULL, NULL), 0);
    assert_int_equal(datastall_stage_set(monitor, NULL, NULL), 0);
    assert_int_equal(datastall_stage_set(monitor, "train", NULL), 0);
    assert_int_equal(datastall_stage_set(monitor, NULL, &previous), 0);
    assert_string_equal(previous, "train");
    assert_int_equal(datastall_gpu_sampling_start(NULL, 1), 0);
    datastall_gpu_sampling_stop(NULL);
    OFF(datastall_lost_get(NULL, &lost));
    assert_true(lost.contention == DATASTALL_UNKNOWN);
    OFF(datastall_lost_get(NULL, NULL));
    NO_PLACE(datastall_lost_get(monitor, NULL));
}

static void loaders_and_waits(void **state)
{
    (void)state;
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    datastall_loader *other = (void *)1;
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    assert_int_equal(datastall_loader_register(NULL, &options, &other), 0);
    assert_null(other);
    NO_PLACE(datastall_loader_register(NULL, NULL, NULL));
    NO_PLACE(datastall_loader_register(monitor, &options, NULL));
    assert_int_equal(datastall_loader_register(monitor, NULL, &other), 0);
    assert_non_null(other);
    datastall_wait wait = datastall_wait_begin(NULL);
    datastall_wait none = DATASTALL_WAIT_INIT;
    assert_memory_equal(&wait, &none, sizeof wait);
    datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, NULL);
    datastall_wait_end(NULL, DATASTALL_WAIT_STEADY, NULL);
    datastall_wait_end_at(&wait, 1, DATASTALL_WAIT_STEADY, NULL);
    datastall_wait_end_at(NULL, 1, DATASTALL_WAIT_STEADY, NULL);
    datastall_wait_cancel(&wait);
    datastall_wait_cancel(NULL);
    datastall_wait_record(NULL, 1, 1, DATASTALL_WAIT_STEADY, NULL);
    OFF(datastall_loader_statistics(NULL, &s));
    OFF(datastall_loader_statistics(NULL, NULL));
    OFF(datastall_monitor_statistics(NULL, &s));
    OFF(datastall_monitor_statistics(NULL, NULL));
    assert_true(s.batches == DATASTALL_UNKNOWN && isnan(s.steady.mean_ns));
    NO_PLACE(datastall_loader_statistics(loader, NULL));
    NO_PLACE(datastall_monitor_statistics(monitor, NULL));
    datastall_wait_record(loader, datastall_clock_ns(), 1, DATASTALL_WAIT_STEADY, NULL);
    assert_int_equal(datastall_monitor_statistics(monitor, &s), 0);
    assert_int_equal(s.batches, 1);
}

static void no_gpu_monitor(void **state)
{
    (void)state;
    enum datastall_queue_state queue = DATASTALL_QUEUE_UNKNOWN;
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    datastall_bottleneck bottleneck = DATASTALL_BOTTLENECK_INIT;
    datastall_throughput throughput = DATASTALL_THROUGHPUT_INIT;
    datastall_device_statistics device = DATASTALL_DEVICE_STATISTICS_INIT;
    datastall_stage_statistics stage = DATASTALL_STAGE_STATISTICS_INIT;
    datastall_gpu_metrics metrics = DATASTALL_GPU_METRICS_INIT;
    datastall_gpu_monitor_close(NULL);
    assert_int_equal(datastall_gpu_monitor_start_monitoring(NULL), 0);
    assert_int_equal(datastall_gpu_monitor_stop_monitoring(NULL), 0);
    assert_int_equal(datastall_gpu_monitor_set_stage(NULL, "train"), 0);
    assert_int_equal(datastall_gpu_monitor_set_stage(NULL, NULL), 0);
    assert_int_equal(datastall_gpu_monitor_record_dataloader_wait(NULL, 60, NULL, &queue), 0);
    assert_int_equal(queue, DATASTALL_QUEUE_STARVED);
    assert_int_equal(datastall_gpu_monitor_record_dataloader_wait(NULL, 60, NULL, NULL), 0);
    OFF(datastall_gpu_monitor_check_bottleneck(NULL, 10, &bottleneck));
    OFF(datastall_gpu_monitor_dataloader_statistics(NULL, &s));
    datastall_gpu_monitor_start_inference_timer(NULL);
    OFF(datastall_gpu_monitor_throughput(NULL, &throughput));
    OFF(datastall_gpu_monitor_device_statistics(NULL, 0, &device));
    OFF(datastall_gpu_monitor_stage_statistics(NULL, 0, 0, &stage));
    assert_true(isnan(datastall_gpu_monitor_average_utilization(NULL, 0)));
    assert_true(datastall_gpu_monitor_peak_memory_usage(NULL, 0) == DATASTALL_UNKNOWN);
    OFF(datastall_gpu_monitor_current(NULL, 0, &metrics));
    OFF(datastall_gpu_monitor_sample(NULL, 0, 0, &metrics));
    OFF(datastall_gpu_monitor_export_metrics(NULL, "x", DATASTALL_EXPORT_CSV));
    OFF(datastall_gpu_monitor_export_metrics(NULL, NULL, DATASTALL_EXPORT_CSV));
    assert_int_equal(datastall_gpu_monitor_save_logs(NULL), 0);
    assert_true(isnan(device.gpu_util_avg) && isnan(throughput.elapsed_s));
    assert_int_equal(bottleneck.device_id, -1);
}

static void a_gpu_monitor(void **state)
{
    (void)state;
    datastall_gpu_monitor *other = NULL;
    datastall_gpu_monitor_options options = DATASTALL_GPU_MONITOR_OPTIONS_INIT;
    assert_int_equal(datastall_gpu_monitor_open(&options, &other), 0);
    datastall_gpu_monitor_close(other);
    NO_PLACE(datastall_gpu_monitor_open(&options, NULL));
    NO_PLACE(datastall_gpu_monitor_open(NULL, NULL));
    options.device_count = 1;
    NO_PLACE(datastall_gpu_monitor_open(&options, &other));
    assert_null(other);
    assert_int_equal(datastall_gpu_monitor_set_stage(gpus, NULL), 0);
    assert_int_equal(datastall_gpu_monitor_record_dataloader_wait(gpus, 1, NULL, NULL), 0);
    NO_PLACE(datastall_gpu_monitor_check_bottleneck(gpus, 10, NULL));
    NO_PLACE(datastall_gpu_monitor_dataloader_statistics(gpus, NULL));
    NO_PLACE(datastall_gpu_monitor_throughput(gpus, NULL));
    assert_int_equal(datastall_gpu_monitor_device_statistics(gpus, 0, NULL),
                     DATASTALL_ERR_NOT_FOUND);
    assert_int_equal(datastall_gpu_monitor_stage_statistics(gpus, 0, 0, NULL),
                     DATASTALL_ERR_NOT_FOUND);
    assert_int_equal(datastall_gpu_monitor_current(gpus, 0, NULL), DATASTALL_ERR_NOT_FOUND);
    assert_int_equal(datastall_gpu_monitor_sample(gpus, 0, 0, NULL), DATASTALL_ERR_NOT_FOUND);
    NO_PLACE(datastall_gpu_monitor_export_metrics(gpus, NULL, DATASTALL_EXPORT_JSON));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),
        cmocka_unit_test_setup_teardown(monitors, open_all, close_all),
        cmocka_unit_test_setup_teardown(loaders_and_waits, open_all, close_all),
        cmocka_unit_test_setup_teardown(no_gpu_monitor, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_gpu_monitor, open_all, close_all),
    };
    test_run_folder();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
