/* SPDX-License-Identifier: Apache-2.0 */
/* The interval for the ratio of two rates, against series whose truth is known. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>

#include "stats/ratio.h"

#define NEAR 1e-9

static void students_table(void **state)
{
    (void)state;
    static const double rows[][2] = {{1, 12.7062}, {2.9, 4.3027}, {10, 2.2281},
                                     {30, 2.0423}, {60, 2.0003},  {120, 1.9799}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_true(fabs(ratio_student_t(rows[i][0]) - rows[i][1]) < 2e-4);
    assert_true(fabs(ratio_student_t(1e6) - 1.96) < 1e-4);
    /* From 1 to 30 as any book has them, and behind that by a series: it is better the more there are. */
    static const double book[] = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060,
                                  2.2622,  2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199,
                                  2.1098,  2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639,
                                  2.0595,  2.0555, 2.0518, 2.0484, 2.0452, 2.0423};
    static const double behind[] = {2.03951, 2.03693, 2.03452};
    for (int n = 1; n <= 30; n++) {
        assert_true(fabs(ratio_student_t(n) - book[n - 1]) < 5e-5);
        assert_true(fabs(ratio_student_t(n + 0.99) - book[n - 1]) < 5e-5); /* less is surer */
    }
    for (int n = 31; n <= 33; n++)
        assert_true(fabs(ratio_student_t(n) - behind[n - 31]) < 1e-4);
    assert_true(fabs(ratio_student_t(0.99) - book[0]) < 5e-5);
    assert_true(fabs(ratio_student_t(0) - book[0]) < 5e-5);
    assert_true(ratio_student_t(NAN) > 12);
}

static void the_mean_by_hand(void **state)
{
    (void)state;
    const double values[] = {9, 11, 9, 11, 10};
    struct ratio_mean mean;
    assert_true(ratio_mean_of(values, 5, &mean));
    assert_true(fabs(mean.mean - 10) < NEAR);
    assert_true(fabs(mean.relative_error - sqrt(4.0 / 4 / 5) / 10) < NEAR); /* r < 0 */
    assert_true(mean.freedom == 4);
    assert_false(ratio_mean_of(values, 4, &mean));
    assert_false(ratio_mean_of((const double[5]){0}, 5, &mean));
    /* Neighbours alike: off = -2 -1 0 1 2, r = (2 + 0 + 0 + 2) / 10. */
    assert_true(ratio_mean_of((const double[]){8, 9, 10, 11, 12}, 5, &mean));
    assert_true(fabs(mean.relative_error - sqrt(10.0 / 4 / 5 * 1.4 / 0.6) / 10) < NEAR);
    /* 33 values are 11 batches of 3. */
    double many[33];
    for (int i = 0; i < 33; i++)
        many[i] = i % 3;
    assert_true(ratio_mean_of(many, 33, &mean));
    assert_true(mean.freedom == 10 && fabs(mean.mean - 1) < NEAR && mean.relative_error < NEAR);
}

static void between_runs_counts_where_nothing_varied(void **state)
{
    (void)state;
    const struct ratio_mean a = {20, 0, 9}, b = {10, 0, 9};
    struct ratio ratio = ratio_of(&a, &b, 0);
    assert_true(ratio.mean == 2 && ratio.lower == 2 && ratio.upper == 2);
    ratio = ratio_of(&a, &b, 0.01);
    assert_true(fabs(ratio.upper - 2 * exp(1.96 * 0.01 * sqrt(2))) < 1e-4);
    assert_true(fabs(ratio.lower * ratio.upper - 4) < NEAR);
}

/* Two spreads together, of the freedom that the larger one leaves. */
static void two_spreads_by_hand(void **state)
{
    (void)state;
    static const struct {
        struct ratio_mean a, b;
        double between, half; /* of the interval's logarithm */
    } rows[] = {
        {{2, 0.3, 4}, {1, 0.1, 9}, 0, 2.7764 * 0.316227766}, /* 0.1^2 / 0.00203611: 4 */
        {{2, 0.1, 9}, {1, 0.3, 4}, 0, 2.7764 * 0.316227766}, /* the same, the other way round */
        {{2, 0.1, 9}, {1, 0.1, 9}, 0, 2.1009 * 0.141421356}, /* 18 */
        {{2, 0.1, 4}, {1, 0, 9}, 0, 2.7764 * 0.1},
        {{2, 0, 9}, {1, 0.1, 4}, 0, 2.7764 * 0.1},
        {{2, 0.03, 4}, {1, 0, 9}, 0.02, 0.1000536}, /* 0.083292 and 1.96 * 0.0282843 */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct ratio ratio = ratio_of(&rows[i].a, &rows[i].b, rows[i].between);
        assert_true(ratio.mean == 2);
        if (!(fabs(log(ratio.upper / 2) - rows[i].half) < 2e-4 &&
              fabs(log(2 / ratio.lower) - rows[i].half) < 2e-4))
            fail_msg("row %zu: %g to %g", i, log(ratio.lower / 2), log(ratio.upper / 2));
    }
}

/* Numbers of our own, the same on every machine. */
static double uniform(void)
{
    static uint64_t seed = 88172645463325252u;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (double)(seed >> 11) / 9007199254740992.0;
}
static double normal(void)
{
    return sqrt(-2 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform());
}

/* How many of 1000 intervals for pairs of one truth leave it out. */
static int misses(double truth, double correlation, uint32_t count)
{
    int missed = 0;
    for (int pair = 0; pair < 1000; pair++) {
        double values[2][64], now;
        struct ratio_mean means[2];
        for (int side = 0; side < 2; side++) {
            now = normal();
            for (uint32_t i = 0; i < count; i++) {
                now = correlation * now + sqrt(1 - correlation * correlation) * normal();
                values[side][i] = (side == 0 ? truth : 1) * (100 + 10 * now);
            }
            assert_true(ratio_mean_of(values[side], count, &means[side]));
        }
        const struct ratio ratio = ratio_of(&means[0], &means[1], 0);
        missed += ratio.lower > truth || ratio.upper < truth;
    }
    return missed;
}

static void intervals_hold(void **state)
{
    (void)state;
    assert_in_range(misses(1, 0, 60), 20, 80); /* 50 is what it promises */
    assert_in_range(misses(1.5, 0, 10), 10, 80);
    assert_in_range(misses(1.1, 0.5, 60), 10, 110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(students_table),
        cmocka_unit_test(the_mean_by_hand),
        cmocka_unit_test(between_runs_counts_where_nothing_varied),
        cmocka_unit_test(two_spreads_by_hand),
        cmocka_unit_test(intervals_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
