/* SPDX-License-Identifier: Apache-2.0 */
/* The histogram: every value has its bucket, and quantiles are what sorting says, to within 1 %. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/histogram.h"
#include "support.h"

#define VALUES 20000

static void buckets_follow_each_other(void **state)
{
    (void)state;
    assert_int_equal(histogram_bucket_low(0), 0);
    for (uint32_t b = 0; b + 1 < HISTOGRAM_BUCKETS; b++) {
        assert_true(histogram_bucket_low(b) < histogram_bucket_high(b));
        assert_int_equal(histogram_bucket_high(b), histogram_bucket_low(b + 1));
    }
    assert_int_equal(histogram_bucket_low(HISTOGRAM_BUCKETS - 1),
                     (UINT64_C(1) << HISTOGRAM_MAX_BITS) -
                         (UINT64_C(1) << (HISTOGRAM_MAX_BITS - 7)));
    assert_true(histogram_bucket_high(HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
}

static void check_value(uint64_t value)
{
    uint32_t b = histogram_bucket(value);
    assert_true(b < HISTOGRAM_BUCKETS);
    assert_true(value >= histogram_bucket_low(b));
    assert_true(value < histogram_bucket_high(b) || value == UINT64_MAX);
}

static void every_value_is_in_its_bucket(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
        assert_int_equal(histogram_bucket(histogram_bucket_low(b)), b);
        assert_int_equal(histogram_bucket(histogram_bucket_high(b) - 1), b);
    }
    for (int i = 0; i < 200000; i++)
        check_value(test_random(&random) >> (test_random(&random) % 64));
    for (int bit = 0; bit < 64; bit++) {
        check_value(UINT64_C(1) << bit);
        check_value((UINT64_C(1) << bit) - 1);
    }
    check_value(UINT64_MAX);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;
    return *one < *other ? -1 : *one > *other;
}

static uint64_t rank_of(uint64_t n, double p)
{
    uint64_t rank = (uint64_t)((double)n * p);
    return rank < n - 1 ? rank : n - 1;
}

static void check_quantiles(uint64_t *values, uint64_t n)
{
    static uint64_t buckets[HISTOGRAM_BUCKETS];
    static const double p[] = {0.0, 0.001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0};
    enum { COUNT = sizeof p / sizeof *p };
    uint64_t found[COUNT];
    memset(buckets, 0, sizeof buckets);
    for (uint64_t i = 0; i < n; i++)
        buckets[histogram_bucket(values[i])]++;
    qsort(values, n, sizeof *values, compare);
    assert_int_equal(histogram_total(buckets), n);
    histogram_quantiles(buckets, p, found, COUNT, values[0], values[n - 1]);
    for (int i = 0; i < COUNT; i++) {
        double exact = (double)values[rank_of(n, p[i])];
        assert_true(fabs((double)found[i] - exact) <= 0.01 * exact);
        assert_true(found[i] == histogram_quantile(buckets, p[i], values[0], values[n - 1]));
    }
}

static double uniform(uint64_t *random)
{
    return ((double)(test_random(random) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *random)
{
    return sqrt(-2 * log(uniform(random))) * cos(2 * M_PI * uniform(random));
}

static void quantiles_match_sorting(void **state)
{
    (void)state;
    static uint64_t values[VALUES];
    uint64_t random = 7;
    for (int i = 0; i < VALUES; i++)
        values[i] = (uint64_t)(uniform(&random) * 1e8);
    check_quantiles(values, VALUES);
    for (int i = 0; i < VALUES; i++)
        values[i] = (uint64_t)exp(14 + 2.5 * normal(&random));
    check_quantiles(values, VALUES);
    for (int i = 0; i < VALUES; i++) /* a full queue, and one that is empty now and then */
        values[i] = (uint64_t)((i % 20 == 0 ? 8e8 : 3e4) * (1 + 0.1 * uniform(&random)));
    check_quantiles(values, VALUES);
    for (int i = 0; i < VALUES; i++)
        values[i] = 123456789;
    check_quantiles(values, VALUES);
    for (uint64_t n = 1; n <= 300; n++) {
        for (uint64_t i = 0; i < n; i++)
            values[i] = test_random(&random) >> (20 + test_random(&random) % 30);
        check_quantiles(values, n);
    }
}

/* Values below 128 have a bucket each: there the rank can be seen exactly. */
static void rank_is_the_documented_one(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 120; n++) {
        uint64_t buckets[HISTOGRAM_BUCKETS] = {0};
        for (uint64_t i = 0; i < n; i++)
            buckets[i] = 1;
        for (int percent = 0; percent <= 100; percent++) {
            double p = percent / 100.0;
            assert_int_equal(histogram_quantile(buckets, p, 0, n - 1), rank_of(n, p));
        }
    }
}

static void constant_is_exact(void **state)
{
    (void)state;
    uint64_t buckets[HISTOGRAM_BUCKETS] = {0};
    buckets[histogram_bucket(987654321)] = 1000;
    assert_int_equal(histogram_quantile(buckets, 0.5, 987654321, 987654321), 987654321);
}

static void empty_zero_and_largest(void **state)
{
    (void)state;
    uint64_t buckets[HISTOGRAM_BUCKETS] = {0};
    assert_int_equal(histogram_total(buckets), 0);
    assert_true(histogram_quantile(buckets, 0.5, 0, 0) == UINT64_MAX);
    buckets[histogram_bucket(0)]++;
    assert_int_equal(histogram_quantile(buckets, 0.5, 0, 0), 0);
    buckets[histogram_bucket(UINT64_MAX)]++;
    assert_int_equal(histogram_quantile(buckets, 0.0, 0, UINT64_MAX), 0);
    assert_true(histogram_quantile(buckets, 1.0, 0, UINT64_MAX) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_follow_each_other), cmocka_unit_test(every_value_is_in_its_bucket),
        cmocka_unit_test(quantiles_match_sorting),   cmocka_unit_test(rank_is_the_documented_one),
        cmocka_unit_test(constant_is_exact),         cmocka_unit_test(empty_zero_and_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
