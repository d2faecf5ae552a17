/* What keeping stretches of batches costs the loop: stretches_add() once a batch, hot, and with other
 * memory written between two, as a training step does.
 *
 *     stretch_cost [BATCHES [BYTES]]        (for callgrind: --toggle-collect=stretches_add)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "record/stretches.h"

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void add(struct stretches *s, uint64_t i)
{
    struct cause_row row;
    struct stretches_batch batch = {.worker = (uint32_t)(i % 4)};
    batch.begin_ns = ds_now_ns();
    batch.end_ns = batch.begin_ns + 1000;
    for (uint32_t t = 0; t < RF_BATCH_TIMES; t++)
        batch.times[t] = rf_stretch_units(1000 * t + i);
    stretches_add(s, &batch, &row);
}

int main(int argc, char **argv)
{
    const uint64_t batches = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    const size_t bytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    datastall_monitor *monitor;
    struct stretches s;
    if (datastall_open(NULL, &monitor) != 0) {
        fprintf(stderr, "%s\n", datastall_last_error());
        return 1;
    }
    stretches_open(&s, monitor, 1, false, 0);
    uint64_t *other = calloc(1, bytes + 8), *took_ns = calloc(batches, sizeof *took_ns);
    if (other == NULL || took_ns == NULL)
        return 1;
    const uint64_t all_ns = ds_now_ns();
    for (uint64_t i = 0; i < batches; i++) {
        for (size_t k = 0; k < bytes / sizeof *other; k++)
            other[k] = other[k] * 3 + 1;
        const uint64_t begin_ns = ds_now_ns();
        add(&s, i);
        took_ns[i] = ds_now_ns() - begin_ns;
    }
    const double mean_ns = (double)(ds_now_ns() - all_ns) / (double)batches;
    qsort(took_ns, batches, sizeof *took_ns, compare);
    printf("%llu batches: median %llu ns, three clock readings of %s included\n",
           (unsigned long long)batches, (unsigned long long)took_ns[batches / 2],
           bytes == 0 ? "some 30 ns each" : "cold caches");
    if (bytes == 0)
        printf("mean of the whole loop: %.0f ns\n", mean_ns);
    datastall_close(monitor);
    return 0;
}
