/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of time coarsen with age, and no wait is lost or counted twice where the levels meet. */
#include "cmocka_all.h"

#include <string.h>

#include "runfile/view.h"
#include "runfile/writer.h"
#include "support.h"

#define SECOND UINT64_C(1000000000)
#define DAY_S UINT64_C(86400)
#define START_S UINT64_C(1234567)

static struct rf_writer *writer;
static struct rf_slot_writer slot;
static uint64_t sums[RF_ROLLUP_WORDS]; /* what was recorded, added up here */

static int open_slot(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8};
    const struct rf_process_static process = {0};
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &writer), 0);
    rf_slot_attach(writer, 0, &slot);
    rf_slot_assign(&slot, 1, 1);
    memset(sums, 0, sizeof sums);
    return 0;
}

static int close_slot(void **state)
{
    (void)state;
    rf_writer_destroy(writer);
    return 0;
}

static void put(uint64_t end_ns, uint64_t wait_ns, uint32_t kind, uint64_t samples)
{
    const bool steady = kind == DATASTALL_WAIT_STEADY;
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.samples = samples;
    batch.tokens = 3 * samples;
    struct wait wait = {.batch = &batch,
                        .begin_ns = end_ns - wait_ns,
                        .wait_ns = wait_ns,
                        .kind = kind,
                        .exposed = {wait_ns / 3, wait_ns / 2}};
    rf_slot_append(&slot, &wait);
    const bool is_batch = steady || kind == DATASTALL_WAIT_FIRST;
    sums[RF_ROLLUP_OF(BATCHES)] += is_batch;
    sums[RF_ROLLUP_OF(SAMPLES)] += is_batch ? samples : 0;
    sums[RF_ROLLUP_OF(TOKENS)] += is_batch ? 3 * samples : 0;
    sums[steady ? RF_ROLLUP_OF(STEADY_NS) : RF_ROLLUP_OF(OTHER_NS)] += wait_ns;
    sums[RF_ROLLUP_OF(STALL_KNOWN_NS)] += wait_ns;
    sums[RF_ROLLUP_OF(STALL_UPPER_NS)] += wait_ns / 2;
    sums[RF_ROLLUP_OF(STARVED)] += steady && wait_queue_state(wait_ns) == DATASTALL_QUEUE_STARVED;
    if (wait_ns > sums[RF_ROLLUP_OF(MAX_NS)])
        sums[RF_ROLLUP_OF(MAX_NS)] = wait_ns;
}

static void sum_window(uint64_t from_s, uint64_t to_s, uint64_t values[RF_ROLLUP_WORDS])
{
    const struct rf_slot_layout *l = &writer->slot_layout;
    const struct rf_rollup_shape shape = {l->rollup_at, l->rollup_levels, l->rollup_buckets,
                                          l->rollup_words, 1u << RF_ROLLUP_OF(MAX_NS)};
    rf_slot_flush(&slot);
    rf_rollup_sum(slot.commit.block, &shape, from_s, to_s, values);
}

static void assert_whole_sum(void)
{
    uint64_t values[RF_ROLLUP_WORDS];
    sum_window(0, UINT64_MAX, values);
    for (uint32_t w = 1; w < RF_ROLLUP_WORDS; w++)
        assert_int_equal(values[w], sums[w]);
}

/* A wait of any kind and size about every `distance` ns, in an irregular rhythm. */
static uint64_t put_irregular(uint64_t *random, uint64_t end_ns, uint64_t distance)
{
    static const uint32_t kinds[] = {DATASTALL_WAIT_STEADY, DATASTALL_WAIT_STEADY,
                                     DATASTALL_WAIT_STEADY, DATASTALL_WAIT_FIRST,
                                     DATASTALL_WAIT_ITER,   DATASTALL_WAIT_FAILED};
    uint64_t wait_ns = test_random(random) % (SECOND / 5);
    end_ns += wait_ns + test_random(random) % (2 * distance);
    put(end_ns, wait_ns, kinds[test_random(random) % 6], test_random(random) % 100);
    return end_ns;
}

static void totals_hold_at_every_moment(void **state)
{
    (void)state;
    uint64_t random = 3, end_ns = START_S * SECOND;
    for (int i = 0; i < 3000; i++) {
        end_ns = put_irregular(&random, end_ns, SECOND / 4);
        assert_whole_sum();
    }
    for (int i = 0; i < 120000; i++) {
        end_ns = put_irregular(&random, end_ns, 7 * SECOND);
        if (i % 97 == 0)
            assert_whole_sum();
    }
    assert_true(end_ns / SECOND - START_S > 9 * DAY_S);
    assert_true(end_ns / SECOND - START_S < 12 * DAY_S);
    assert_whole_sum();
}

/* Any cuts: the parts add up to the whole. */
static void windows_add_up(void **state)
{
    (void)state;
    uint64_t random = 5, end_ns = START_S * SECOND;
    for (int i = 0; i < 60000; i++)
        end_ns = put_irregular(&random, end_ns, 8 * SECOND);
    const uint64_t last_s = end_ns / SECOND, length = last_s - START_S;
    for (int round = 0; round < 50; round++) {
        uint64_t from = 0, total[RF_ROLLUP_WORDS] = {0};
        while (from <= last_s) {
            uint64_t values[RF_ROLLUP_WORDS];
            uint64_t to = from == 0 ? START_S + test_random(&random) % length
                                    : from + test_random(&random) % length;
            sum_window(from, to, values);
            for (uint32_t w = 1; w < RF_ROLLUP_WORDS; w++)
                total[w] = w == RF_ROLLUP_OF(MAX_NS) ? (values[w] > total[w] ? values[w] : total[w])
                                                     : total[w] + values[w];
            from = to + 1;
        }
        for (uint32_t w = 1; w < RF_ROLLUP_WORDS; w++)
            assert_int_equal(total[w], sums[w]);
    }
}

/* The last minute is known to the second; further back the error is at most one span at each end.
 */
static void recent_time_is_fine_and_old_time_coarse(void **state)
{
    (void)state;
    uint64_t values[RF_ROLLUP_WORDS];
    const uint64_t count = 1000000; /* one sample a second */
    for (uint64_t i = 0; i < count; i++)
        put((START_S + i) * SECOND + SECOND / 2, 1000, DATASTALL_WAIT_STEADY, 1);
    const uint64_t last_s = START_S + count - 1;
    for (uint64_t back = 0; back < 60; back++) {
        sum_window(last_s - back, last_s, values);
        assert_int_equal(values[RF_ROLLUP_OF(SAMPLES)], back + 1);
        sum_window(last_s - back, last_s - back, values);
        assert_int_equal(values[RF_ROLLUP_OF(SAMPLES)], 1);
    }
    uint64_t width = 4;
    for (uint64_t age = 100; age < count / 2; age *= 2) {
        while (width * 60 < 2 * age + 200)
            width *= RF_ROLLUP_RATIO;
        sum_window(last_s - 2 * age, last_s - age, values);
        assert_in_range(values[RF_ROLLUP_OF(SAMPLES)],
                        age + 1 > 2 * width ? age + 1 - 2 * width : 0, age + 1 + 2 * width);
    }
    sum_window(0, START_S - RF_ROLLUP_RATIO * 16384, values);
    assert_int_equal(values[RF_ROLLUP_OF(SAMPLES)], 0);
}

static void idle_times_lose_nothing(void **state)
{
    (void)state;
    uint64_t random = 11, end_ns = START_S * SECOND;
    static const uint64_t pauses_s[] = {1,   3,   59,   63,   64,   65,    255,
                                        256, 257, 1024, 4097, 3600, DAY_S, 2 * DAY_S + 5};
    for (size_t p = 0; p < sizeof pauses_s / sizeof *pauses_s; p++) {
        for (int i = 0; i < 50; i++) {
            end_ns = put_irregular(&random, end_ns, SECOND / 3);
            assert_whole_sum();
        }
        end_ns += pauses_s[p] * SECOND;
    }
    end_ns = put_irregular(&random, end_ns, SECOND);
    assert_whole_sum();
}

/* A thread that takes a slot over may hand in an earlier end: it goes to the open second. */
static void an_earlier_end_is_counted_once(void **state)
{
    (void)state;
    const uint64_t end_ns = START_S * SECOND;
    put(end_ns, 1000, DATASTALL_WAIT_STEADY, 5);
    put(end_ns - 90 * SECOND, 1000, DATASTALL_WAIT_STEADY, 7);
    put(end_ns + SECOND, 1000, DATASTALL_WAIT_STEADY, 9);
    assert_whole_sum();
    uint64_t values[RF_ROLLUP_WORDS];
    sum_window(START_S, START_S, values);
    assert_int_equal(values[RF_ROLLUP_OF(SAMPLES)], 12);
}

/* After the coarsest level is full (12 days), what is left is recent and exact. */
static void very_long_runs_keep_the_last_days(void **state)
{
    (void)state;
    uint64_t values[RF_ROLLUP_WORDS];
    const uint64_t count = 40 * DAY_S / 60;
    for (uint64_t i = 0; i < count; i++)
        put((START_S + 60 * i) * SECOND, 1000, DATASTALL_WAIT_STEADY, 1);
    const uint64_t last_s = START_S + 60 * (count - 1);
    sum_window(last_s - 10 * DAY_S, last_s, values);
    assert_in_range(values[RF_ROLLUP_OF(SAMPLES)], 10 * DAY_S / 60 - 16384 / 60 - 2,
                    10 * DAY_S / 60 + 16384 / 60 + 2);
    sum_window(0, UINT64_MAX, values);
    assert_in_range(values[RF_ROLLUP_OF(SAMPLES)], 11 * DAY_S / 60, 13 * DAY_S / 60);
}

/* A later version may have longer buckets: what this one does not know is a sum, not a maximum. */
static void longer_buckets_are_summed(void **state)
{
    (void)state;
    enum { WORDS = 60, BUCKETS = 4 };
    uint64_t block[BUCKETS * WORDS], values[WORDS];
    const struct rf_rollup_shape shape = {0, 1, BUCKETS, WORDS, 1u << RF_ROLLUP_OF(MAX_NS)};
    for (uint64_t b = 0; b < BUCKETS; b++) {
        block[b * WORDS] = b == 0 ? 4 : b;
        for (uint64_t w = 1; w < WORDS; w++)
            block[b * WORDS + w] = w;
    }
    rf_rollup_sum(block, &shape, 0, 100, values);
    for (uint64_t w = 1; w < WORDS; w++)
        assert_int_equal(values[w], w == RF_ROLLUP_OF(MAX_NS) ? w : BUCKETS * w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_slot, close_slot)

/* ---- the journal ---- */

/* Waits of which each changes all that one can: another second for which every level has another
 * span, another stage, another bucket of the histogram, the longest so far; and late stalls of
 * stages of their own. However many are counted at once, no change outgrows the journal. */
static void the_largest_changes_fit_the_journal(void **state)
{
    (void)state;
    uint64_t samples = 0;
    for (uint64_t i = 0; i < 400; i++) {
        const datastall_batch batch = {.struct_size = sizeof batch,
                                       .samples = i,
                                       .tokens = 7,
                                       .longest_sequence = 3 + i,
                                       .padded_tokens = 9,
                                       .mean_sequence_length = (double)i,
                                       .packing_efficiency = 0.5};
        struct wait wait = {.batch = &batch,
                            .begin_ns = (START_S + i * 64 * 16384) * SECOND,
                            .wait_ns = (i + 1) * 100000000,
                            .kind = i % 2 ? DATASTALL_WAIT_STEADY : DATASTALL_WAIT_FIRST,
                            .stage = (uint32_t)(i % 60 + 1),
                            .exposed = STALL_BOUNDS_UNKNOWN};
        rf_slot_append(&slot, &wait);
        samples += i;
        for (uint32_t k = 0; k < 3; k++) {
            const struct rf_late_stall late = {
                .wait_ns = wait.wait_ns, .stage = wait.stage, .lower_ns = 400, .upper_ns = 500};
            if (k == 0)
                rf_slot_flush(&slot);
            if (i % 40 == 3)
                rf_slot_late_stall(&slot, i, &late);
        }
        if (i % 7 == 0)
            rf_slot_flush(&slot);
    }
    rf_slot_flush(&slot);
    assert_int_equal(slot.commit.refused, 0);
    assert_int_equal(slot.counters[RF_COUNT_SAMPLES], samples);
    assert_int_equal(slot.counters[RF_COUNT_STALL_WAITS], 30);
    for (uint32_t i = 0; i < RF_COUNT_WORDS; i++)
        assert_int_equal(slot.commit.block[slot.layout->counters_at + i], slot.counters[i]);
}

/* The same where all that a ring holds is counted at once. */
static void a_ring_full_of_large_changes(void **state)
{
    (void)state;
    struct rf_writer *large;
    static struct rf_slot_writer rows;
    const struct rf_spec spec = {.slots = 1, .recent_waits = 512};
    const struct rf_process_static process = {0};
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &large), 0);
    rf_slot_attach(large, 0, &rows);
    for (uint64_t i = 0; i < 250; i++) {
        const datastall_batch batch = {.struct_size = sizeof batch, .samples = 1};
        struct wait wait = {.batch = &batch,
                            .begin_ns = (START_S + i * 64 * 16384) * SECOND,
                            .wait_ns = (i + 1) * 100000000,
                            .stage = (uint32_t)(i % 60 + 1),
                            .exposed = {1, 2}};
        rows.counted_at_ns = UINT64_MAX / 2; /* the time is never ripe */
        rf_slot_append(&rows, &wait);
    }
    rf_slot_flush(&rows);
    assert_int_equal(rows.commit.refused, 0);
    assert_int_equal(rows.counters[RF_COUNT_SAMPLES], 250);
    assert_int_equal(rows.counters[RF_COUNT_STALL_UPPER_NS], 500);
    rf_writer_destroy(large);
}

/* One that did not fit would be cut and counted, and leave what stands beside it alone. */
static void a_change_that_does_not_fit_is_cut(void **state)
{
    (void)state;
    const uint32_t more = 20;
    const uint64_t at = slot.layout->steady_at;
    struct rf_commit *commit = &slot.commit;
    const struct rf_commit before = *commit;
    for (uint32_t i = 0; i < RF_JOURNAL_CAPACITY + more; i++)
        rf_put(commit, at + i, i + 1);
    assert_int_equal(commit->refused, more);
    assert_int_equal(commit->block[RF_BLOCK_PAYLOAD + RF_SLOT_USED],
                     1); /* it follows the journal */
    assert_ptr_equal(commit->block, before.block);
    rf_publish(commit);
    for (uint32_t i = 0; i < RF_JOURNAL_CAPACITY + more; i++)
        assert_int_equal(commit->block[at + i], i < RF_JOURNAL_CAPACITY ? i + 1 : 0);
    assert_int_equal(commit->block[RF_BLOCK_VERSION], before.version + 2);
    rf_put(commit, at, 5);
    rf_publish(commit);
    assert_int_equal(commit->block[at], 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(totals_hold_at_every_moment),
        TEST(windows_add_up),
        TEST(recent_time_is_fine_and_old_time_coarse),
        TEST(idle_times_lose_nothing),
        TEST(an_earlier_end_is_counted_once),
        TEST(very_long_runs_keep_the_last_days),
        TEST(longer_buckets_are_summed),
        TEST(the_largest_changes_fit_the_journal),
        TEST(a_ring_full_of_large_changes),
        TEST(a_change_that_does_not_fit_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
