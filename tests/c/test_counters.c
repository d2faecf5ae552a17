/* SPDX-License-Identifier: Apache-2.0 */
/* How two values of a counter become one, and what one wait adds to which counter. */
#include "cmocka_all.h"

#include <math.h>
#include <string.h>

#include "datastall.h"
#include "runfile/counters.h"
#include "runfile/fold.h"
#include "runfile/writer.h"
#include "stats/counters.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

/* ---- the table's operations ---- */

enum { SUM, SEVERAL, KNOWN = 4, MOST, COUNT, LEAST, REALS, REAL_LEAST, WORDS };
static const struct counter table[] = {
    {"SUM", 1, COUNTER_SUM, 0, "", ""},         {"SEVERAL", 3, COUNTER_SUM, 0, "", ""},
    {"KNOWN", 1, COUNTER_KNOWN_SUM, 0, "", ""}, {"MOST", 1, COUNTER_MAX, 0, "", ""},
    {"COUNT", 1, COUNTER_SUM, 0, "", ""},       {"LEAST", 1, COUNTER_MIN, COUNT, "", ""},
    {"REALS", 1, COUNTER_REAL_SUM, 0, "", ""},  {"REAL_LEAST", 1, COUNTER_REAL_MIN, COUNT, "", ""},
};

static void add(uint64_t to[WORDS], const uint64_t from[WORDS])
{
    counters_add(table, sizeof table / sizeof *table, WORDS, to, from);
}

static void each_operation(void **state)
{
    (void)state;
    uint64_t to[WORDS] = {1, 10, 20, 30, 5, 7, 2, 9, bits_of(0.5), bits_of(0.25)};
    const uint64_t from[WORDS] = {2, 1, 2, 3, 6, 8, 1, 4, bits_of(1.5), bits_of(0.75)};
    const uint64_t wanted[WORDS] = {3, 11, 22, 33, 11, 8, 3, 4, bits_of(2.0), bits_of(0.25)};
    add(to, from);
    assert_memory_equal(to, wanted, sizeof to);
    uint64_t other[WORDS];
    memcpy(other, from, sizeof other);
    const uint64_t first[WORDS] = {1, 10, 20, 30, 5, 7, 2, 9, bits_of(0.5), bits_of(0.25)};
    add(other, first); /* in the other order */
    assert_memory_equal(other, wanted, sizeof other);
}

static void nothing_adds_nothing(void **state)
{
    (void)state;
    const uint64_t some[WORDS] = {1, 2, 3, 4, 5, 6, 7, 8, bits_of(0.5), bits_of(0.25)};
    const uint64_t none[WORDS] = {0};
    uint64_t to[WORDS];
    memcpy(to, some, sizeof to);
    add(to, none);
    assert_memory_equal(to, some, sizeof to);
    memset(to, 0, sizeof to);
    add(to, some);
    assert_memory_equal(to, some, sizeof to);
}

static void sums_do_not_wrap_and_unknown_stays(void **state)
{
    (void)state;
    uint64_t to[WORDS] = {UINT64_MAX - 5}, from[WORDS] = {10};
    to[KNOWN] = from[KNOWN] = UINT64_MAX;
    add(to, from);
    assert_int_equal(to[SUM], UINT64_MAX - 1);
    assert_int_equal(to[KNOWN], UINT64_MAX);
    from[KNOWN] = 3;
    add(to, from);
    assert_int_equal(to[KNOWN], 3);
    to[KNOWN] = 4;
    from[KNOWN] = UINT64_MAX;
    add(to, from);
    assert_int_equal(to[KNOWN], 4);
}

/* A shorter row: what is behind it is left alone. */
static void a_prefix_only(void **state)
{
    (void)state;
    for (uint32_t words = 0; words <= WORDS; words++) {
        uint64_t to[WORDS], from[WORDS];
        for (uint64_t i = 0; i < WORDS; i++)
            to[i] = from[i] = 0;
        to[MOST] = from[MOST] = to[COUNT] = from[COUNT] = 1;
        to[SUM] = from[SUM] = to[SEVERAL + 2] = from[SEVERAL + 2] = 1;
        counters_add(table, sizeof table / sizeof *table, words, to, from);
        assert_int_equal(to[SUM], words > SUM ? 2 : 1);
        assert_int_equal(to[SEVERAL + 2], words > SEVERAL + 2 ? 2 : 1);
        assert_int_equal(to[COUNT], words > COUNT ? 2 : 1);
    }
}

/* ---- the table of waits ---- */

static void the_table_names_every_word(void **state)
{
    (void)state;
    uint32_t words = 0;
    for (uint32_t i = 0; i < rf_wait_counter_count; i++) {
        const struct counter *counter = &rf_wait_counters[i];
        assert_true(counter->words > 0 && counter->name[0] != '\0' && counter->unit[0] != '\0');
        assert_true(counter->of < RF_COUNT_WORDS);
        words += counter->words;
    }
    assert_int_equal(words, RF_COUNT_WORDS);
    assert_true(RF_COUNT_SECOND_WORDS < RF_COUNT_STAGE_WORDS);
    assert_string_equal(rf_wait_counters[RF_COUNT_BATCHES].name, "BATCHES");
    assert_int_equal(RF_COUNT_STALL_LOWER_NS, RF_COUNT_SECOND_WORDS);
    assert_int_equal(RF_COUNT_SEQUENCE, RF_COUNT_STAGE_WORDS);
}

/* ---- what a wait adds ---- */

static struct rf_writer *writer;
static struct rf_slot_writer slot;

static int open_slot(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 1, .recent_waits = 64};
    const struct rf_process_static process = {0};
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &writer), 0);
    rf_slot_attach(writer, 0, &slot);
    rf_slot_assign(&slot, 1, 1);
    return 0;
}

static int close_slot(void **state)
{
    (void)state;
    rf_writer_destroy(writer);
    return 0;
}

static datastall_batch batch; /* of the wait that plain_wait() made last */

static struct wait plain_wait(enum datastall_wait_kind kind, uint64_t wait_ns)
{
    batch = (datastall_batch)DATASTALL_BATCH_INIT;
    return (struct wait){.begin_ns = 100 * SECOND,
                         .wait_ns = wait_ns,
                         .kind = kind,
                         .batch = &batch,
                         .exposed = STALL_BOUNDS_UNKNOWN};
}

/* The counters that are not 0 are those of `wanted`: pairs of counter and value. */
static void assert_counted(const struct wait *wait, const uint64_t (*wanted)[2], size_t pairs)
{
    uint64_t all[RF_COUNT_WORDS] = {0};
    for (size_t i = 0; i < pairs; i++)
        all[wanted[i][0]] = wanted[i][1];
    rf_slot_append(&slot, wait);
    rf_slot_flush(&slot);
    for (uint32_t i = 0; i < RF_COUNT_WORDS; i++) {
        if (slot.counters[i] != all[i])
            fail_msg("word %u is %llu, not %llu", i, (unsigned long long)slot.counters[i],
                     (unsigned long long)all[i]);
    }
}
#define ASSERT_COUNTED(wait, ...)                                     \
    do {                                                              \
        const uint64_t wanted[][2] = {__VA_ARGS__};                   \
        assert_counted(wait, wanted, sizeof wanted / sizeof *wanted); \
    } while (0)

static void a_steady_wait(void **state)
{
    (void)state;
    struct wait wait = plain_wait(DATASTALL_WAIT_STEADY, 60 * MS);
    batch.samples = 32;
    batch.tokens = 100;
    batch.longest_sequence = 10;
    batch.padded_tokens = 320;
    batch.mean_sequence_length = 3.5;
    batch.packing_efficiency = 0.79;
    batch.flags = DATASTALL_BATCH_TOKENS_SAMPLED;
    wait.exposed = (struct stall_bounds){20 * MS, 50 * MS};
    ASSERT_COUNTED(
        &wait, {RF_COUNT_BATCHES, 1}, {RF_COUNT_SAMPLES, 32}, {RF_COUNT_SAMPLES_BATCHES, 1},
        {RF_COUNT_TOKENS, 100}, {RF_COUNT_TOKENS_BATCHES, 1}, {RF_COUNT_TOKENS_SAMPLED, 1},
        {RF_COUNT_STEADY_NS, 60 * MS}, {RF_COUNT_STARVED, 1}, {RF_COUNT_MAX_NS, 60 * MS},
        {RF_COUNT_STALL_KNOWN_NS, 60 * MS}, {RF_COUNT_STALL_UPPER_NS, 50 * MS},
        {RF_COUNT_STALL_LOWER_NS, 20 * MS}, {RF_COUNT_STALL_WAITS, 1}, {RF_COUNT_STALL_BOUNDS, 1},
        {RF_COUNT_SEQUENCE, 1}, {RF_COUNT_BEGIN_NS, 100 * SECOND},
        {RF_COUNT_END_NS, 100 * SECOND + 60 * MS}, {RF_COUNT_STEADY, 1},
        {RF_COUNT_STEADY_MIN, 60 * MS}, {RF_COUNT_STEADY_MAX, 60 * MS},
        {RF_COUNT_QUEUE + DATASTALL_QUEUE_STARVED, 1}, {RF_COUNT_PACKED_TOKENS, 100},
        {RF_COUNT_PACKED_PADDED, 320}, {RF_COUNT_LONGEST_MAX, 10}, {RF_COUNT_LONGEST_SUM, 10},
        {RF_COUNT_LONGEST_BATCHES, 1}, {RF_COUNT_MEAN_LENGTH_SUM, bits_of(3.5)},
        {RF_COUNT_MEAN_LENGTH_BATCHES, 1}, {RF_COUNT_EFFICIENCY_SUM, bits_of(0.79)},
        {RF_COUNT_EFFICIENCY_MIN, bits_of(0.79)}, {RF_COUNT_EFFICIENCY_BATCHES, 1},
        {RF_COUNT_EFFICIENCY_LOW, 1});
}

static void an_iterator(void **state)
{
    (void)state;
    struct wait wait = plain_wait(DATASTALL_WAIT_ITER, 5 * MS);
    batch.samples = 32; /* no batch: stated or not, it has none */
    wait.exposed = (struct stall_bounds){5 * MS, 5 * MS};
    ASSERT_COUNTED(&wait, {RF_COUNT_OTHER_NS, 5 * MS}, {RF_COUNT_MAX_NS, 5 * MS},
                   {RF_COUNT_STALL_KNOWN_NS, 5 * MS}, {RF_COUNT_STALL_UPPER_NS, 5 * MS},
                   {RF_COUNT_STALL_LOWER_NS, 5 * MS}, {RF_COUNT_STALL_WAITS, 1},
                   {RF_COUNT_SEQUENCE, 1}, {RF_COUNT_BEGIN_NS, 100 * SECOND},
                   {RF_COUNT_END_NS, 100 * SECOND + 5 * MS}, {RF_COUNT_STARTUP, 1},
                   {RF_COUNT_STARTUP_NS, 5 * MS}, {RF_COUNT_STARTUP_MIN, 5 * MS},
                   {RF_COUNT_STARTUP_MAX, 5 * MS}, {RF_COUNT_ITERATORS, 1});
}

static void a_failed_wait(void **state)
{
    (void)state;
    const struct wait wait = plain_wait(DATASTALL_WAIT_FAILED, 5 * MS);
    ASSERT_COUNTED(&wait, {RF_COUNT_OTHER_NS, 5 * MS}, {RF_COUNT_MAX_NS, 5 * MS},
                   {RF_COUNT_SEQUENCE, 1}, {RF_COUNT_BEGIN_NS, 100 * SECOND},
                   {RF_COUNT_END_NS, 100 * SECOND + 5 * MS}, {RF_COUNT_FAILED, 1},
                   {RF_COUNT_FAILED_NS, 5 * MS});
}

static void a_wait_of_unknown_length(void **state)
{
    (void)state;
    struct wait wait = plain_wait(DATASTALL_WAIT_STEADY, RF_UNKNOWN);
    wait.exposed = (struct stall_bounds){1, 1}; /* of what? */
    ASSERT_COUNTED(&wait, {RF_COUNT_BATCHES, 1}, {RF_COUNT_SEQUENCE, 1},
                   {RF_COUNT_BEGIN_NS, 100 * SECOND}, {RF_COUNT_END_NS, 100 * SECOND},
                   {RF_COUNT_QUEUE + DATASTALL_QUEUE_UNKNOWN, 1});
}

/* Once one wait came with its cause, what the others stalled is of unknown cause. */
static void causes(void **state)
{
    (void)state;
    struct wait_cause cause = {.depth = rf_pack_depth(0, 1, 2, 8),
                               .sampler_ns = 1,
                               .pin_ns = 2,
                               .get_cpu_ns = 3,
                               .get_cpu_batches = 4,
                               .replayed = true,
                               .replay_ns = 5,
                               .replay_larger_ns = 6};
    struct wait wait = plain_wait(DATASTALL_WAIT_STEADY, 10 * MS);
    cause_add(&cause.timeline, wait.begin_ns, wait.begin_ns + 10 * MS, wait.begin_ns,
              wait.begin_ns + 10 * MS, CAUSE_COLLATE);
    uint64_t *c = slot.counters;
    rf_slot_append(&slot, &wait);
    rf_slot_flush(&slot);
    assert_int_equal(c[RF_COUNT_CAUSE_NS + CAUSE_UNKNOWN], 0);
    struct cause_share split;
    cause_of_stall(&cause, wait.begin_ns, wait.begin_ns + 10 * MS, 10 * MS, &split);
    wait.cause = &cause;
    wait.split = &split;
    rf_slot_append(&slot, &wait);
    wait.cause = NULL;
    rf_slot_append(&slot, &wait);
    wait.exposed = (struct stall_bounds){MS, 2 * MS};
    rf_slot_append(&slot, &wait);
    rf_slot_flush(&slot);
    assert_int_equal(c[RF_COUNT_CAUSES], 1);
    assert_int_equal(c[RF_COUNT_CAUSE_NS + CAUSE_COLLATE], 10 * MS);
    assert_int_equal(c[RF_COUNT_CAUSE_NS + CAUSE_UNKNOWN], 12 * MS);
    const uint64_t depth[] = {1, 0, 1, 2, 8, 1};
    assert_memory_equal(&c[RF_COUNT_DEPTH_WAITS], depth, sizeof depth);
    const uint64_t rest[] = {1, 2, 3, 4};
    assert_memory_equal(&c[RF_COUNT_SAMPLER_NS], rest, sizeof rest);
    const uint64_t replays[] = {1, 10 * MS, 5, 6};
    assert_memory_equal(&c[RF_COUNT_REPLAYED], replays, sizeof replays);
}

/* More causes than their ring holds: the rows are counted before one is written over. */
static void many_causes(void **state)
{
    (void)state;
    struct wait_cause cause = {.depth = RF_UNKNOWN, .pin_ns = 1};
    struct wait wait = plain_wait(DATASTALL_WAIT_STEADY, 10);
    const struct cause_share split = {.later_ready_ns = 1};
    wait.cause = &cause;
    wait.split = &split;
    for (uint64_t i = 0; i < 1000; i++) {
        wait.begin_ns += 100;
        rf_slot_append(&slot, &wait);
        assert_true(slot.cause_head - slot.counters[RF_COUNT_CAUSES] <= RF_CAUSE_ROWS);
    }
    rf_slot_flush(&slot);
    assert_int_equal(slot.counters[RF_COUNT_CAUSES], 1000);
    assert_int_equal(slot.counters[RF_COUNT_PIN_NS], 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_slot, close_slot)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation),
        cmocka_unit_test(nothing_adds_nothing),
        cmocka_unit_test(sums_do_not_wrap_and_unknown_stays),
        cmocka_unit_test(a_prefix_only),
        cmocka_unit_test(the_table_names_every_word),
        TEST(a_steady_wait),
        TEST(an_iterator),
        TEST(a_failed_wait),
        TEST(a_wait_of_unknown_length),
        TEST(causes),
        TEST(many_causes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
