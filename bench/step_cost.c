/* What following the phases of a step costs the loop, hot, and with other memory written between two
 * places, as a training step does: a batch, a backward, an optimizer (five readings of the clock).
 *
 *     step_cost [STEPS [BYTES]]        (for callgrind: --toggle-collect=follow)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "record/steps.h"

static datastall_monitor *monitor;
static datastall_loader *loader;
static uint64_t *other;
static size_t other_words;

static void work(void)
{
    for (size_t i = 0; i < other_words; i++)
        other[i] = other[i] * 3 + 1;
}

/* The places of one step, the times of its batch known already. Returns the time in them. */
static __attribute__((noinline)) uint64_t follow(uint64_t begin_ns, uint64_t end_ns)
{
    uint64_t took_ns = 0, before_ns = ds_now_ns();
    steps_wait(loader, begin_ns, end_ns, true);
    took_ns += ds_now_ns() - before_ns;
    for (int place = STEP_IN_BACKWARD; place <= STEP_IN_OPTIMIZER; place++) {
        work();
        before_ns = ds_now_ns();
        steps_enter(monitor, (enum step_place)place);
        took_ns += ds_now_ns() - before_ns;
        work();
        before_ns = ds_now_ns();
        steps_leave(monitor, (enum step_place)place);
        took_ns += ds_now_ns() - before_ns;
    }
    return took_ns;
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    const uint64_t steps = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    other_words = (argc > 2 ? strtoull(argv[2], NULL, 10) : 0) / sizeof *other;
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    options.name = "bench";
    other = calloc(other_words + 1, sizeof *other);
    uint64_t *took_ns = calloc(steps, sizeof *took_ns);
    if (other == NULL || took_ns == NULL || datastall_open(NULL, &monitor) != 0 ||
        datastall_loader_register(monitor, &options, &loader) != 0) {
        fprintf(stderr, "%s\n", datastall_last_error());
        return 1;
    }
    for (uint64_t i = 0; i < steps; i++) {
        const uint64_t now_ns = ds_now_ns();
        work();
        took_ns[i] = follow(now_ns, now_ns + 1);
    }
    qsort(took_ns, steps, sizeof *took_ns, compare);
    printf("%s: %llu ns a step (median), %llu (95 %%), with a reading of the clock around each of "
           "five places\n",
           other_words > 0 ? "cold" : "hot", (unsigned long long)took_ns[steps / 2],
           (unsigned long long)took_ns[steps * 95 / 100]);
    datastall_close(monitor);
    free(took_ns);
    free(other);
    return 0;
}
