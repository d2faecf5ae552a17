/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of causes: an interval split by phases, and a run replayed with another window. */
#include "cmocka_all.h"

#include <string.h>

#include "stats/cause.h"
#include "stats/replay.h"
#include "support.h"

#define MS UINT64_C(1000000)

static struct cause_timeline line;
static uint64_t sums[CAUSE_STATES];

static int clean(void **state)
{
    (void)state;
    memset(&line, 0, sizeof line);
    memset(sums, 0, sizeof sums);
    return 0;
}

static uint64_t total(void)
{
    uint64_t all = 0;
    for (int i = 0; i < CAUSE_STATES; i++)
        all += sums[i];
    return all;
}

static void test_a_batch_that_was_being_made(void **state)
{
    /* The wait [100, 200) ms: the batch began at 80, items until 160 (half ran, a quarter waited
     * for a CPU), collated until 180 (a quarter of it waiting for a CPU, while other threads had the
     * interpreter for a fifth), came at 200. */
    const struct cause_batch batch = {80 * MS, 160 * MS, 180 * MS, 40 * MS,
                                      20 * MS, 0,        5 * MS,   4 * MS};
    (void)state;
    cause_add(&line, 100 * MS, 200 * MS, 100 * MS, batch.begin_ns, CAUSE_STARTUP);
    cause_add_batch(&line, 100 * MS, 200 * MS, &batch);
    cause_add(&line, 100 * MS, 200 * MS, batch.end_ns, 200 * MS, CAUSE_TRANSFER);
    cause_split(&line, 100 * MS, 200 * MS, sums);
    assert_int_equal(sums[CAUSE_STARTUP], 0);
    assert_int_equal(sums[CAUSE_COMPUTE], 30 * MS); /* of 60 ms of items in the wait */
    assert_int_equal(sums[CAUSE_CPU_CONTENTION], 20 * MS);
    assert_int_equal(sums[CAUSE_BLOCKED], 15 * MS);
    assert_int_equal(sums[CAUSE_COLLATE], 11 * MS);
    assert_int_equal(sums[CAUSE_COMPUTE_IN_THREADS], 4 * MS);
    assert_int_equal(sums[CAUSE_TRANSFER], 20 * MS);
    assert_int_equal(total(), 100 * MS);
}

static void test_only_the_tail_stalled(void **state)
{
    const struct cause_batch batch = {0, 50 * MS, 90 * MS, 50 * MS, 0, 0, 0, 0};
    (void)state;
    cause_add_batch(&line, 0, 100 * MS, &batch);
    cause_split(&line, 80 * MS, 100 * MS, sums);
    assert_int_equal(sums[CAUSE_COMPUTE], 0);
    assert_int_equal(sums[CAUSE_COLLATE], 10 * MS);
    assert_int_equal(sums[CAUSE_UNKNOWN], 10 * MS); /* nothing was said of it */
}

static void test_what_was_measured_may_pass_the_wall_time(void **state)
{
    const struct cause_batch batch = {0, 10 * MS, 10 * MS, 9 * MS, 3 * MS, 0, 0, 0};
    (void)state;
    cause_add_batch(&line, 0, 10 * MS, &batch);
    cause_split(&line, 0, 10 * MS, sums);
    assert_int_equal(sums[CAUSE_COMPUTE], 9 * MS);
    assert_int_equal(sums[CAUSE_CPU_CONTENTION], MS);
    assert_int_equal(total(), 10 * MS);
}

/* A batch that came at once, and a loop that took it late: for want of a CPU, of the interpreter, or
 * since taking it is work. */
static void test_what_the_loop_itself_waited_for(void **state)
{
    (void)state;
    static const struct {
        struct cause_loop loop; /* in a wait of 20 ms, of which 16 are the way */
        uint64_t transfer_ms, cpu_wait_ms, interpreter_ms;
    } rows[] = {
        {{0, 0, 0}, 16, 0, 0}, /* not looked at */
        {{1 * MS, 6 * MS, 0}, 10, 6, 0},
        {{1 * MS, 18 * MS, 0}, 0, 16, 0}, /* no more than the way */
        {{1 * MS, 0, 10 * MS}, 1, 0, 15}, /* others ran for half of the wait */
        {{1 * MS, 0, 10 * MS - 1}, 16, 0, 0},
        {{12 * MS, 0, 20 * MS}, 12, 0, 4}, /* stood still for a turn of Python's */
        {{12 * MS + 1, 0, 20 * MS}, 16, 0, 0},
        {{1 * MS, 6 * MS, 20 * MS}, 1, 6, 9},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cause_share share;
        struct wait_cause cause = {.loop = rows[i].loop};
        cause_add(&cause.timeline, 0, 20 * MS, 0, 4 * MS, CAUSE_STARTUP);
        cause_add(&cause.timeline, 0, 20 * MS, 4 * MS, 20 * MS, CAUSE_TRANSFER);
        cause_of_stall(&cause, 0, 20 * MS, 20 * MS, &share);
        assert_int_equal(share.states_ns[CAUSE_STARTUP], 4 * MS);
        assert_int_equal(share.states_ns[CAUSE_TRANSFER] / MS, rows[i].transfer_ms);
        assert_int_equal(share.states_ns[CAUSE_LOOP_CPU_WAIT], rows[i].cpu_wait_ms * MS);
        assert_int_equal(share.states_ns[CAUSE_INTERPRETER] / MS, rows[i].interpreter_ms);
    }
}

static void test_the_way_to_the_loop(void **state)
{
    (void)state;
    const struct cause_work work = {20 * MS, 8 * MS, 4 * MS};
    cause_add_handover(&line, 10 * MS, 50 * MS, 10 * MS, 50 * MS, &work);
    cause_split(&line, 30 * MS, 50 * MS, sums);
    assert_int_equal(sums[CAUSE_COMPUTE], 10 * MS);
    assert_int_equal(sums[CAUSE_CPU_CONTENTION], 4 * MS);
    assert_int_equal(sums[CAUSE_COLLATE], 2 * MS);
    assert_int_equal(sums[CAUSE_TRANSFER], 4 * MS);
    assert_int_equal(sums[CAUSE_BLOCKED], 0);
}

static void test_overlays(void **state)
{
    (void)state;
    cause_add(&line, 0, 100, 0, 100, CAUSE_TRANSFER);
    cause_overlay(&line, 40, 60, CAUSE_PIN); /* cuts in two */
    cause_overlay(&line, 90, 120, CAUSE_SAMPLER);
    cause_overlay(&line, 50, 50, CAUSE_COLLATE); /* empty */
    assert_int_equal(line.count, 4);
    cause_split(&line, 0, 120, sums);
    assert_int_equal(sums[CAUSE_TRANSFER], 70);
    assert_int_equal(sums[CAUSE_PIN], 20);
    assert_int_equal(sums[CAUSE_SAMPLER], 30);
    cause_overlay(&line, 0, 200, CAUSE_STARTUP); /* covers all */
    memset(sums, 0, sizeof sums);
    cause_split(&line, 0, 200, sums);
    assert_int_equal(sums[CAUSE_STARTUP], 200);
}

/* Whatever is put in, and in whatever order, what comes out is the length asked for. */
static void test_the_sum_is_the_interval(void **state)
{
    uint64_t seed = 99;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        memset(&line, 0, sizeof line);
        memset(sums, 0, sizeof sums);
        const uint64_t from = test_random(&seed) % 500, to = from + test_random(&seed) % 500;
        for (int i = 0; i < 12; i++) {
            const uint64_t a = test_random(&seed) % 1000, b = a + test_random(&seed) % 300;
            const uint64_t c = b + test_random(&seed) % 100;
            const struct cause_batch batch = {a,
                                              b,
                                              c,
                                              test_random(&seed) % 400,
                                              test_random(&seed) % 400,
                                              0,
                                              test_random(&seed) % 99};
            switch (test_random(&seed) % 4) {
            case 0:
                cause_add_batch(&line, from, to, &batch);
                break;
            case 1:
                cause_add(&line, from, to, a, b, CAUSE_TRANSFER);
                break;
            case 2:
                cause_add_handover(&line, from, to, a, b,
                                   &(struct cause_work){c, a, test_random(&seed) % 300});
                break;
            default:
                if (b > from && a < to)
                    cause_overlay(&line, a > from ? a : from, b < to ? b : to, CAUSE_SAMPLER);
            }
        }
        for (uint32_t i = 0; i < line.count; i++) {
            assert_true(line.spans[i].begin_ns < line.spans[i].end_ns);
            assert_true(i == 0 || line.spans[i - 1].end_ns <= line.spans[i].begin_ns);
        }
        cause_split(&line, from, to, sums);
        assert_int_equal(total(), to - from);
    }
}

/* Every eighth batch takes twelve times as long; the loop takes a little more than the workers
 * make on average. */
static uint64_t waits_with_window(uint32_t window)
{
    static struct replay run;
    uint64_t all = 0;
    replay_start(&run, window);
    for (uint32_t i = 0; i < 4000; i++)
        all += replay_batch(&run, i % 3, i % 8 == 3 ? 60 * MS : 5 * MS, 5 * MS);
    return all;
}

static void test_a_larger_window_rides_out_single_batches(void **state)
{
    (void)state;
    const uint64_t one = waits_with_window(3), four = waits_with_window(12);
    assert_true(four < one / 2);
    assert_true(waits_with_window(48) <= four);
}

static void test_a_larger_window_does_not_help_slow_workers(void **state)
{
    static struct replay small, large;
    uint64_t as_is = 0, larger = 0;
    (void)state;
    replay_start(&small, 4);
    replay_start(&large, 16);
    for (uint32_t i = 0; i < 1000; i++) {
        as_is += replay_batch(&small, i % 2, 10 * MS, MS);
        larger += replay_batch(&large, i % 2, 10 * MS, MS);
    }
    /* Two workers, 10 ms: a batch each 5 ms, of which the loop takes one. */
    assert_true(as_is > 3900 * MS && as_is < 4100 * MS);
    assert_true(larger * 100 > as_is * 99);
}

static void test_a_replay_by_hand(void **state)
{
    static struct replay run;
    (void)state;
    /* One worker, a window of one: each batch is begun when the one before was taken. */
    replay_start(&run, 1);
    assert_int_equal(replay_batch(&run, 0, 10, 0), 10);
    assert_int_equal(replay_batch(&run, 0, 10, 4), 6);
    assert_int_equal(replay_batch(&run, 0, 10, 30), 0);
    assert_int_equal(run.taken_ns, 50);
    assert_int_equal(replay_batch(&run, 0, 7, 0), 7);
}

/* What the loop had of a CPU on the way of a batch, and what it waited for one, whatever they are to each
 * other. */
static void a_loop_that_waited_for_its_cpu(void **state)
{
    (void)state;
    static const struct {
        uint64_t cpu, delay, others;
        double others_busy;
        uint64_t waits, interpreter;
    } rows[] = {
        {0, 0, 50, 0, 0, 0},
        {10, 0, 0, 0, 0, 0},
        {0, 10, 0, 0, 10, 0},
        {10, 10, 0, 0, 10, 0},
        {5, 10, 0, 0, 10, 0},
        {10, 10, 50, 0, 10, 80},
        {90, 7, 50, 0, 7, 0},
        /* whoever has the interpreter waits for a CPU in a crowd, where the loop does as well */
        {10, 10, 25, 0, 10, 0},
        {10, 10, 25, 1.96, 10, 0},
        {10, 10, 25, 2, 10, 80},
        {10, 10, 50, 0.5, 10, 80},
        {9, 1, 50, 0.5, 1, 90},
        {9, 1, 25, 2, 1, 90},
        {10, 0, 25, 4, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wait_cause cause = {.loop = {.cpu_ns = rows[i].cpu * MS,
                                            .delay_ns = rows[i].delay * MS,
                                            .others_cpu_ns = rows[i].others * MS,
                                            .others_busy = rows[i].others_busy}};
        struct cause_share share;
        cause_add(&cause.timeline, 100 * MS, 200 * MS, 100 * MS, 200 * MS, CAUSE_TRANSFER);
        cause_of_stall(&cause, 100 * MS, 200 * MS, 100 * MS, &share);
        assert_int_equal(share.states_ns[CAUSE_LOOP_CPU_WAIT], rows[i].waits * MS);
        assert_int_equal(share.states_ns[CAUSE_INTERPRETER], rows[i].interpreter * MS);
        assert_int_equal(share.states_ns[CAUSE_TRANSFER],
                         (100 - rows[i].waits - rows[i].interpreter) * MS);
    }
}

/* A batch of the loop's own in spans of its own is split as the timeline with the same spans, of whatever part
 * of the wait. */
static void test_a_batch_of_the_loops_own(void **state)
{
    uint32_t random = 7;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        uint64_t at[7]; /* begin, sampler, its end, batch, items end, its end, end */
        struct cause_timeline spans = {.count = 0};
        uint64_t apart[CAUSE_STATES] = {0}, together[CAUSE_STATES] = {0};
        at[0] = 1000;
        for (int i = 1; i < 7; i++) {
            random = random * 1664525u + 1013904223u;
            at[i] = at[i - 1] + (random >> 16) % 4; /* some are empty */
        }
        static const uint32_t states[] = {CAUSE_OVERHEAD, CAUSE_SAMPLER, CAUSE_OVERHEAD,
                                          CAUSE_COMPUTE,  CAUSE_COLLATE, CAUSE_OVERHEAD};
        for (int i = 0; i < 6; i++)
            cause_add(&spans, at[0], at[6], at[i], at[i + 1], states[i]);
        const struct cause_own own = {at[1], at[2], at[3], at[4], at[5]};
        const uint64_t from = at[0] + (random >> 8) % (at[6] - at[0] + 1);
        cause_split(&spans, from, at[6], together);
        cause_split_own(&own, from, at[6], apart);
        assert_memory_equal(apart, together, sizeof apart);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_batch_that_was_being_made, clean),
        cmocka_unit_test_setup(test_only_the_tail_stalled, clean),
        cmocka_unit_test_setup(test_what_was_measured_may_pass_the_wall_time, clean),
        cmocka_unit_test(test_what_the_loop_itself_waited_for),
        cmocka_unit_test_setup(test_the_way_to_the_loop, clean),
        cmocka_unit_test_setup(test_overlays, clean),
        cmocka_unit_test_setup(test_the_sum_is_the_interval, clean),
        cmocka_unit_test(test_a_larger_window_rides_out_single_batches),
        cmocka_unit_test(test_a_larger_window_does_not_help_slow_workers),
        cmocka_unit_test(test_a_replay_by_hand),
        cmocka_unit_test(a_loop_that_waited_for_its_cpu),
        cmocka_unit_test(test_a_batch_of_the_loops_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
