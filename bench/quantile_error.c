/* SPDX-License-Identifier: Apache-2.0 */
/* Error of the histogram's quantiles against sorting, on four kinds of waits.
 *
 *     bench_quantiles [count]
 *
 * Prints "distribution quantile exact_us estimated_us error_percent" lines.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats/histogram.h"

static uint64_t state = 88172645463325252u;

static double uniform(void) /* xorshift64, in (0, 1) */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

static double uniform_ns(void)
{
    return uniform() * 100e6;
}
static double lognormal_ns(void)
{
    return exp(log(5e6) + 1.2 * normal());
}
static double bimodal_ns(void)
{
    return uniform() < 0.7 ? fabs(50e3 + 10e3 * normal()) : fabs(80e6 + 8e6 * normal());
}
static double constant_ns(void)
{
    return 12345678;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int measure(const char *name, double (*draw)(void), uint64_t count)
{
    static const double p[] = {0.5, 0.9, 0.95, 0.99, 0.999};
    uint64_t *values = malloc(count * sizeof *values);
    uint64_t *buckets = calloc(HISTOGRAM_BUCKETS, sizeof *buckets);
    if (values == NULL || buckets == NULL)
        return 1;
    for (uint64_t i = 0; i < count; i++) {
        values[i] = (uint64_t)draw();
        buckets[histogram_bucket(values[i])]++;
    }
    qsort(values, count, sizeof *values, compare);
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) {
        uint64_t rank = (uint64_t)((double)count * p[i]);
        double exact = (double)values[rank < count - 1 ? rank : count - 1];
        double estimated = (double)histogram_quantile(buckets, p[i], values[0], values[count - 1]);
        printf("%-10s p%-5g exact %12.3f us  estimated %12.3f us  error %+.3f %%\n", name,
               p[i] * 100, exact / 1e3, estimated / 1e3, 100 * (estimated - exact) / exact);
    }
    free(values);
    free(buckets);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    return measure("uniform", uniform_ns, count) | measure("lognormal", lognormal_ns, count) |
           measure("bimodal", bimodal_ns, count) | measure("constant", constant_ns, count);
}
