/* Records waits and nothing else, for tools that count: instructions (callgrind), cache lines
 * (lackey).
 *
 *     record_count [WAITS [BYTES]]
 *
 * BYTES: so much other memory is written between two waits, as a training step does: then the
 * caches are cold, and the last line says what a wait cost, the clock of both kinds read in turn.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "datastall.h"

static void batch_of(uint64_t i, datastall_batch *batch)
{
    *batch = (datastall_batch)DATASTALL_BATCH_INIT;
    batch->batch_index = i;
    batch->samples = 32;
    batch->tokens = 4000;
    batch->longest_sequence = 128;
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Read and written, so that it displaces what the caches held. */
static void step(uint64_t *other, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof *other; i++)
        other[i] = other[i] * 3 + 1;
}

/* Median of the two calls around a wait, with other memory written in between. */
static uint64_t cold_ns(datastall_loader *loader, uint64_t waits, size_t bytes)
{
    uint64_t *other = calloc(1, bytes);
    uint64_t *took_ns = calloc(waits, sizeof *took_ns);
    if (other == NULL || took_ns == NULL)
        exit(1);
    for (uint64_t i = 0; i < waits; i++) {
        datastall_batch batch;
        step(other, bytes);
        const uint64_t begin_ns = datastall_clock_ns();
        datastall_wait wait = datastall_wait_begin(loader);
        batch_of(i, &batch);
        datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, &batch);
        took_ns[i] = datastall_clock_ns() - begin_ns;
    }
    qsort(took_ns, waits, sizeof *took_ns, compare);
    const uint64_t median_ns = took_ns[waits / 2];
    free(took_ns);
    free(other);
    return median_ns;
}

int main(int argc, char **argv)
{
    const uint64_t waits = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000;
    const size_t bytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    datastall_loader_options loader_options = DATASTALL_LOADER_OPTIONS_INIT;
    datastall_monitor *monitor;
    datastall_loader *loader;
    options.flags = DATASTALL_MEMORY_ONLY;
    loader_options.name = "bench";
    if (datastall_open(&options, &monitor) != DATASTALL_OK ||
        datastall_loader_register(monitor, &loader_options, &loader) != DATASTALL_OK) {
        fprintf(stderr, "%s\n", datastall_last_error());
        return 1;
    }
    if (bytes > 0)
        printf("cold_begin_end %llu ns\n", (unsigned long long)cold_ns(loader, waits, bytes));
    /* The window of an hour-old machine, so that no time is one that cannot be. */
    uint64_t now_ns = datastall_clock_ns() - waits * 100000;
    for (uint64_t i = 0; bytes == 0 && i < waits; i++) {
        datastall_batch batch;
        batch_of(i, &batch);
        now_ns += 100000;
        datastall_wait_record(loader, now_ns, 1000 + (i * 2654435761u & 0xffff) * 1000,
                              DATASTALL_WAIT_STEADY, &batch);
    }
    datastall_close(monitor);
    return 0;
}
