/* SPDX-License-Identifier: Apache-2.0 */
/* The header as programs include it: compiled by test_symbols.sh as C99, C11 and C++, with every
 * warning an error. Uses every _INIT macro and every public constant once. */
#include "datastall.h"

#include <stdio.h>

static int unknown_words(const void *object, size_t bytes)
{
    const unsigned char *byte = (const unsigned char *)object;
    int count = 0;
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        int ones = 0;
        for (size_t k = 0; k < 8; k++)
            ones += byte[i + k] == 0xff;
        count += ones == 8;
    }
    return count;
}

int main(void)
{
    datastall_options options = DATASTALL_OPTIONS_INIT;
    datastall_lost lost = DATASTALL_LOST_INIT;
    datastall_loader_options loader = DATASTALL_LOADER_OPTIONS_INIT;
    datastall_batch batch = DATASTALL_BATCH_INIT;
    datastall_wait wait = DATASTALL_WAIT_INIT;
    datastall_distribution distribution = DATASTALL_DISTRIBUTION_INIT;
    datastall_statistics statistics = DATASTALL_STATISTICS_INIT;
    datastall_gpu_monitor_options gpu_options = DATASTALL_GPU_MONITOR_OPTIONS_INIT;
    datastall_bottleneck bottleneck = DATASTALL_BOTTLENECK_INIT;
    datastall_throughput throughput = DATASTALL_THROUGHPUT_INIT;
    datastall_device_statistics device = DATASTALL_DEVICE_STATISTICS_INIT;
    datastall_stage_statistics stage = DATASTALL_STAGE_STATISTICS_INIT;
    datastall_gpu_metrics metrics = DATASTALL_GPU_METRICS_INIT;
    const size_t sizes[] = {
        options.struct_size == sizeof options,
        lost.struct_size == sizeof lost,
        loader.struct_size == sizeof loader,
        batch.struct_size == sizeof batch,
        statistics.struct_size == sizeof statistics,
        gpu_options.struct_size == sizeof gpu_options,
        bottleneck.struct_size == sizeof bottleneck,
        throughput.struct_size == sizeof throughput,
        device.struct_size == sizeof device,
        stage.struct_size == sizeof stage,
        metrics.struct_size == sizeof metrics,
        /* The last field ends the struct: a later one would stand where older programs have
         * nothing but padding. */
        offsetof(datastall_options, reserved) + sizeof options.reserved == sizeof options,
        offsetof(datastall_loader_options, flags) + sizeof loader.flags == sizeof loader,
        offsetof(datastall_batch, reserved) + sizeof batch.reserved == sizeof batch,
        offsetof(datastall_wait, reserved) + sizeof wait.reserved == sizeof wait,
        offsetof(datastall_distribution, reserved) + sizeof distribution.reserved ==
            sizeof distribution,
        offsetof(datastall_gpu_metrics, stage) + sizeof metrics.stage == sizeof metrics,
        unknown_words(&distribution, sizeof distribution) == 15, /* all but the mean, NaN */
        unknown_words(&lost, sizeof lost) == sizeof lost / 8 - 1,
        distribution.mean_ns != distribution.mean_ns,
        statistics.recent_tokens_per_s != statistics.recent_tokens_per_s,
        throughput.total_tokens == DATASTALL_UNKNOWN,
        wait.loader == NULL,
        DATASTALL_VERSION_NUMBER == 100,
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (!sizes[i]) {
            fprintf(stderr, "check %d of test_header.c fails\n", (int)i);
            return 1;
        }
    }
    return 0;
}
