/* SPDX-License-Identifier: Apache-2.0 */
/* The GPU monitor from C: a native inference loop over a real file that samples the GPU, reports
 * how it waited for its input, and says whether the input starves the GPU. Uses every function of
 * that part of datastall.h.
 *
 *     cc gpu_monitor.c -o gpu_monitor $(pkg-config --cflags --libs datastall)
 *     ./gpu_monitor FILE [LOG]
 */
#include <datastall.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_PER_BATCH 16

static volatile unsigned long long work;

/* Stands for a model: touches every byte of the batch some times. */
static void infer(const char *text, size_t length)
{
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < length; i++)
            work = work * 31 + (unsigned char)text[i];
    }
}

struct batch {
    uint64_t lines, bytes, longest;
    char text[LINES_PER_BATCH * 512];
};

/* The next lines of the file: a line is a sequence, a byte a token. 0 at the end. */
static int read_batch(FILE *file, struct batch *batch)
{
    char line[512];
    memset(batch, 0, sizeof *batch);
    while (batch->lines < LINES_PER_BATCH && fgets(line, sizeof line, file) != NULL) {
        size_t length = strlen(line);
        memcpy(batch->text + batch->bytes, line, length);
        batch->lines++;
        batch->bytes += length;
        if (length > batch->longest)
            batch->longest = length;
    }
    return batch->lines > 0;
}

static void run(datastall_gpu_monitor *monitor, FILE *file)
{
    static struct batch batch;
    datastall_gpu_monitor_start_inference_timer(monitor);
    for (uint64_t index = 0;; index++) {
        uint64_t began = datastall_clock_ns();
        if (!read_batch(file, &batch))
            break;
        double wait_time_ms = (double)(datastall_clock_ns() - began) * 1e-6;
        datastall_batch metrics = DATASTALL_BATCH_INIT;
        metrics.batch_index = index;
        metrics.samples = batch.lines;
        metrics.tokens = batch.bytes;
        metrics.mean_sequence_length = (double)batch.bytes / (double)batch.lines;
        metrics.longest_sequence = batch.longest;
        metrics.packing_efficiency = (double)batch.bytes / (double)(batch.lines * batch.longest);
        enum datastall_queue_state state;
        datastall_gpu_monitor_record_dataloader_wait(monitor, wait_time_ms, &metrics, &state);
        if (state != datastall_infer_queue_state_ms(wait_time_ms))
            exit(1);
        infer(batch.text, batch.bytes);
    }
}

static void report_waits(const datastall_gpu_monitor *monitor)
{
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    datastall_gpu_monitor_dataloader_statistics(monitor, &s);
    printf("batches %llu, sequences %llu, tokens %llu\n", (unsigned long long)s.batches,
           (unsigned long long)s.samples, (unsigned long long)s.tokens);
    printf("wait mean %.4f ms, p95 %.4f ms, max %.4f ms, starved %.1f %%\n",
           s.steady.mean_ns * 1e-6, (double)s.steady.p95_ns * 1e-6, (double)s.steady.max_ns * 1e-6,
           100.0 * (double)s.queue_starved / (double)s.batches);
    printf("packing %.3f, stated mean %.3f, least %.3f, %llu below 0.80\n", s.packing_efficiency,
           s.stated_efficiency_mean, s.stated_efficiency_min,
           (unsigned long long)s.stated_efficiency_low);
    datastall_throughput t = DATASTALL_THROUGHPUT_INIT;
    datastall_gpu_monitor_throughput(monitor, &t);
    printf("%.0f sequences/s, %.0f tokens/s over %.3f s\n", t.sequences_per_s, t.tokens_per_s,
           t.elapsed_s);
}

static void report_gpu(const datastall_gpu_monitor *monitor)
{
    datastall_device_statistics d = DATASTALL_DEVICE_STATISTICS_INIT;
    datastall_stage_statistics stage = DATASTALL_STAGE_STATISTICS_INIT;
    datastall_gpu_metrics now = DATASTALL_GPU_METRICS_INIT;
    datastall_bottleneck bottleneck = DATASTALL_BOTTLENECK_INIT;
    datastall_gpu_monitor_device_statistics(monitor, 0, &d);
    printf("GPU 0: %llu samples", (unsigned long long)d.sample_count);
    if (!isnan(d.gpu_util_avg))
        printf(", utilization mean %.1f %%", d.gpu_util_avg);
    printf("\n");
    for (uint32_t i = 0;
         datastall_gpu_monitor_stage_statistics(monitor, 0, i, &stage) == DATASTALL_OK; i++)
        printf("stage %s: %.3f s\n", stage.name, stage.duration_seconds);
    if (datastall_gpu_monitor_current(monitor, 0, &now) == DATASTALL_OK &&
        datastall_gpu_monitor_sample(monitor, 0, 0, &now) == DATASTALL_OK)
        printf("now %.0f %%, %.1f W\n", now.gpu_util, now.power_draw);
    datastall_gpu_monitor_check_bottleneck(monitor, 10, &bottleneck);
    printf("bottleneck level %d\n", (int)bottleneck.level);
    if (isnan(datastall_gpu_monitor_average_utilization(monitor, DATASTALL_ALL_DEVICES)) &&
        datastall_gpu_monitor_peak_memory_usage(monitor, 0) == DATASTALL_UNKNOWN)
        printf("no GPU was read\n");
}

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: gpu_monitor FILE [LOG]\n");
        return 2;
    }
    const int device = 0;
    datastall_gpu_monitor_options options = DATASTALL_GPU_MONITOR_OPTIONS_INIT;
    options.device_ids = &device;
    options.device_count = 1;
    options.log_interval_s = 0.1;
    options.log_file = argc > 2 ? argv[2] : NULL;
    datastall_gpu_monitor *monitor;
    if (datastall_gpu_monitor_open(&options, &monitor) != DATASTALL_OK)
        fprintf(stderr, "%s\n", datastall_last_error()); /* and go on: NULL is accepted below */
    datastall_gpu_monitor_start_monitoring(monitor);
    datastall_gpu_monitor_set_stage(monitor, "infer");
    run(monitor, file);
    fclose(file);
    datastall_gpu_monitor_set_stage(monitor, NULL);
    datastall_gpu_monitor_save_logs(monitor);
    datastall_gpu_monitor_stop_monitoring(monitor);
    report_waits(monitor);
    report_gpu(monitor);
    if (datastall_gpu_monitor_export_metrics(monitor, "gpu_metrics.json", DATASTALL_EXPORT_JSON) !=
            DATASTALL_OK ||
        datastall_gpu_monitor_export_metrics(monitor, "gpu_metrics.csv", DATASTALL_EXPORT_CSV) !=
            DATASTALL_OK)
        fprintf(stderr, "%s\n", datastall_last_error());
    datastall_gpu_monitor_close(monitor);
    return 0;
}
