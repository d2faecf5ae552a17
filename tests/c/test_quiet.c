/* SPDX-License-Identifier: Apache-2.0 */
/* When waits are taken to be short, what that may cost, and whose turn it is to be asked about. */
#include "cmocka_all.h"

#include "record/quiet.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static struct quiet_waits quiet;
static uint64_t now_ns;

/* So many waits, each as long, one at the end of each period. */
static void wait_for(uint32_t count, uint64_t wait_ns, uint64_t period_ns)
{
    for (uint32_t i = 0; i < count; i++) {
        now_ns += period_ns;
        quiet_note(&quiet, now_ns, wait_ns);
    }
}

static int begin(void **state)
{
    (void)state;
    quiet = (struct quiet_waits){0};
    now_ns = SECOND;
    return 0;
}

static void after_so_many_short_ones(void **state)
{
    (void)state;
    assert_false(quiet_expected(&quiet));
    wait_for(QUIET_AFTER - 1, 250 * US, MS);
    assert_false(quiet_expected(&quiet));
    wait_for(1, 250 * US, MS);
    assert_true(quiet_expected(&quiet));
    wait_for(1000, 1, MS);
    assert_true(quiet_expected(&quiet));
}

static void a_long_one_begins_anew(void **state)
{
    (void)state;
    wait_for(QUIET_AFTER - 1, US, MS);
    wait_for(1, 250 * US + 1, MS);
    wait_for(QUIET_AFTER - 1, US, MS);
    assert_false(quiet_expected(&quiet));
    wait_for(1, US, MS);
    assert_true(quiet_expected(&quiet));
}

/* 1 ms of each second may be lost. */
static void what_a_long_one_costs(void **state)
{
    (void)state;
    wait_for(QUIET_AFTER, US, 10 * MS); /* 0.63 ms: the first wait's time is not known */
    wait_for(1, 600 * US, 10 * MS);
    assert_true(quiet_expected(&quiet));
    wait_for(1, 600 * US, 10 * MS); /* 0.55 ms too much */
    assert_false(quiet_expected(&quiet));
    wait_for(54, US, 10 * MS);
    assert_false(quiet_expected(&quiet));
    wait_for(1, US, 10 * MS);
    assert_true(quiet_expected(&quiet));
}

static void in_debt_a_long_one_was_asked_about(void **state)
{
    (void)state;
    wait_for(QUIET_AFTER, US, MS);
    wait_for(1, 2 * SECOND, 2 * SECOND);
    assert_false(quiet_expected(&quiet));
    wait_for(1, 2 * SECOND, 2 * SECOND); /* costs nothing */
    wait_for(63, US, 1996 * SECOND / 63);
    assert_false(quiet_expected(&quiet)); /* it began anew */
    wait_for(1, US, 10 * SECOND);
    assert_true(quiet_expected(&quiet));
}

static void not_more_at_once_than_so_much(void **state)
{
    (void)state;
    wait_for(QUIET_AFTER, US, 100 * SECOND);
    assert_true(quiet_expected(&quiet));
    wait_for(1, 10 * MS, 0);
    assert_true(quiet_expected(&quiet));
    wait_for(1, 300 * US, 0);
    assert_false(quiet_expected(&quiet));
}

static void a_wait_that_is_no_time_at_all(void **state)
{
    (void)state;
    wait_for(QUIET_AFTER, 0, 0);
    assert_true(quiet_expected(&quiet));
    quiet_note(&quiet, now_ns + SECOND, UINT64_MAX); /* of unknown length: nothing is taken off */
    assert_false(quiet_expected(&quiet));
    wait_for(QUIET_AFTER, 0, 0);
    assert_true(quiet_expected(&quiet));
    quiet_note(&quiet, 1, 0); /* ended before the one before */
    assert_true(quiet_expected(&quiet));
}

static void turns(void **state)
{
    (void)state;
    struct quiet_turns turns = {0};
    uint32_t times[32] = {0}, alike = 0, before = 0;
    assert_false(quiet_is_left_out(&turns));
    for (int i = 0; i < 1600; i++) {
        uint32_t left_out = 0;
        quiet_begin_turn(&turns);
        while (quiet_is_left_out(&turns))
            left_out++;
        assert_in_range(left_out, 7, 22);
        times[left_out]++;
        alike += left_out == before;
        before = left_out;
    }
    for (int i = 7; i <= 22; i++)
        assert_in_range(times[i], 50, 150);
    assert_in_range(alike, 50, 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(after_so_many_short_ones, begin),
        cmocka_unit_test_setup(a_long_one_begins_anew, begin),
        cmocka_unit_test_setup(what_a_long_one_costs, begin),
        cmocka_unit_test_setup(in_debt_a_long_one_was_asked_about, begin),
        cmocka_unit_test_setup(not_more_at_once_than_so_much, begin),
        cmocka_unit_test_setup(a_wait_that_is_no_time_at_all, begin),
        cmocka_unit_test(turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
