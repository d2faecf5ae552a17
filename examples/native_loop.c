/* SPDX-License-Identifier: Apache-2.0 */
/* A native input loop that says how long it waits for its data.
 *
 *     cc native_loop.c $(pkg-config --cflags --libs datastall) -o native_loop
 *     ./native_loop FILE            # default: its own executable
 *     datastall show
 *
 * Each "sample" is a line's worth of bytes of the file, each "batch" 32 of them; the work on a
 * batch is a checksum. What is measured is the time in next_batch().
 */
#include <datastall.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_BYTES 80
#define BATCH_SAMPLES 32

struct batch {
    unsigned char bytes[BATCH_SAMPLES * SAMPLE_BYTES];
    size_t size;
};

static int next_batch(FILE *file, struct batch *batch)
{
    batch->size = fread(batch->bytes, 1, sizeof batch->bytes, file);
    return batch->size > 0;
}

static uint32_t work_on(const struct batch *batch, uint32_t sum)
{
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < batch->size; i++)
            sum = (sum ^ batch->bytes[i]) * 16777619u;
    }
    return sum;
}

/* What the batch was made of: every position but the padding of the last sample counts. */
static datastall_batch describe(const struct batch *batch)
{
    datastall_batch composition = DATASTALL_BATCH_INIT;
    composition.samples = (batch->size + SAMPLE_BYTES - 1) / SAMPLE_BYTES;
    composition.tokens = batch->size;
    composition.longest_sequence = batch->size < SAMPLE_BYTES ? batch->size : SAMPLE_BYTES;
    return composition;
}

static uint32_t run_epoch(FILE *file, datastall_loader *loader)
{
    struct batch batch;
    uint32_t sum = 2166136261u;
    enum datastall_wait_kind kind = DATASTALL_WAIT_FIRST;
    datastall_wait wait = datastall_wait_begin(loader);
    rewind(file);
    datastall_wait_end(&wait, DATASTALL_WAIT_ITER, NULL);
    for (;;) {
        wait = datastall_wait_begin(loader);
        int got_one = next_batch(file, &batch);
        uint64_t end_ns = datastall_clock_ns(); /* looking into the batch is no waiting */
        if (!got_one) {
            datastall_wait_end_at(&wait, end_ns, DATASTALL_WAIT_END, NULL);
            return sum;
        }
        datastall_batch composition = describe(&batch);
        datastall_wait_end_at(&wait, end_ns, kind, &composition);
        kind = DATASTALL_WAIT_STEADY;
        sum = work_on(&batch, sum);
    }
}

static void print_figures(const datastall_loader *loader)
{
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    if (datastall_loader_statistics(loader, &s) != DATASTALL_OK) {
        printf("nothing was recorded\n");
        return;
    }
    printf("batches %" PRIu64 ", samples %" PRIu64 ", bytes %" PRIu64 ", epochs %" PRIu64 "\n",
           s.batches, s.samples, s.tokens, s.iterators);
    printf("steady waits: %" PRIu64 ", mean %.1f us, p99 %.1f us, longest %.1f us\n",
           s.steady.count, s.steady.mean_ns * 1e-3, (double)s.steady.p99_ns * 1e-3,
           (double)s.steady.max_ns * 1e-3);
    printf("start-up waits: %" PRIu64 ", %.1f us in all\n", s.startup.count,
           (double)s.startup.sum_ns * 1e-3);
    printf("packing efficiency %.4f, %.0f samples/s\n", s.packing_efficiency, s.samples_per_s);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "/proc/self/exe";
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    datastall_monitor *monitor = NULL;
    datastall_loader *loader = NULL;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    options.run_name = "native-loop";
    if (datastall_open(&options, &monitor) != DATASTALL_OK) /* the program runs on without it */
        fprintf(stderr, "not recording: %s\n", datastall_last_error());
    datastall_loader_options settings = DATASTALL_LOADER_OPTIONS_INIT;
    settings.name = "file";
    settings.dataset_type = "bytes";
    settings.batch_size = BATCH_SAMPLES;
    datastall_loader_register(monitor, &settings, &loader);

    const char *const stages[] = {"warm-up", "train"};
    for (int i = 0; i < 2; i++) {
        datastall_stage_set(monitor, stages[i], NULL);
        printf("%s: checksum %08" PRIx32 "\n", stages[i], run_epoch(file, loader));
    }
    print_figures(loader);
    printf("run file: %s\n", datastall_run_file(monitor));
    datastall_close(monitor);
    fclose(file);
    return 0;
}
