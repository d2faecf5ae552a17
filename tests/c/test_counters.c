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
    const uint64_t rest[] = {1, 0, 2, 3, 4};
    assert_memory_equal(&c[RF_COUNT_SAMPLER_NS], rest, sizeof rest);
    const uint64_t replays[] = {1, 10 * MS, 5, 6};
    assert_memory_equal(&c[RF_COUNT_REPLAYED], replays, sizeof replays);
}

/* What the sampler takes at the begin of an iterator is told apart. */
static void the_sampler_at_the_begin(void **state)
{
    (void)state;
    static const struct {
        enum datastall_wait_kind kind;
        uint64_t first;
    } rows[] = {{DATASTALL_WAIT_STEADY, 0},
                {DATASTALL_WAIT_FIRST, 7},
                {DATASTALL_WAIT_ITER, 14},
                {DATASTALL_WAIT_END, 14}};
    struct wait_cause cause = {.depth = RF_UNKNOWN, .sampler_ns = 7};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wait wait = plain_wait(rows[i].kind, 10 * MS);
        struct cause_share split = {.states_ns = {0}};
        wait.cause = &cause;
        wait.split = &split;
        rf_slot_append(&slot, &wait);
        rf_slot_flush(&slot);
        assert_int_equal(slot.counters[RF_COUNT_SAMPLER_NS], 7 * (i + 1));
        assert_int_equal(slot.counters[RF_COUNT_SAMPLER_FIRST_NS], rows[i].first);
    }
}

/* More causes than their ring holds: the rows are counted before one is written over. */
static void many_causes(void **state)
{
    (void)state;
    struct wait_cause cause = {.depth = RF_UNKNOWN, .pin_ns = 1};
    struct wait wait = plain_wait(DATASTALL_WAIT_STEADY, 10);
    const struct cause_share split = {
        .later_ready_ns = 9, .others_idle_ns = 7, .window_full_ns = 5};
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
    assert_int_equal(slot.counters[RF_COUNT_LATER_READY_NS], 9000);
    assert_int_equal(slot.counters[RF_COUNT_OTHERS_IDLE_NS], 7000);
    assert_int_equal(slot.counters[RF_COUNT_WINDOW_FULL_NS], 5000);
}

/* In a ring of as many rows as a program has, where rows are counted by hundreds. */
static void causes_are_counted_before_their_rows_are_many(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 1, .recent_waits = 1024};
    const struct rf_process_static process = {.pid = 1};
    struct rf_writer *own;
    struct rf_slot_writer large;
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &own), 0);
    rf_slot_attach(own, 0, &large);
    struct wait wait = plain_wait(DATASTALL_WAIT_STEADY, 10);
    struct wait_cause cause = {.depth = RF_UNKNOWN};
    const struct cause_share split = {.later_ready_ns = 1};
    wait.cause = &cause;
    wait.split = &split;
    uint64_t pinned = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        wait.begin_ns += 100;
        cause.pin_ns = i;
        pinned += i;
        rf_slot_append(&large, &wait);
        assert_true(large.cause_head - large.causes_counted < RF_CAUSE_ROWS);
        /* Not before: a counting makes readers begin anew. */
        assert_true(large.causes_counted % RF_CAUSE_ROWS == 0);
    }
    rf_slot_flush(&large);
    assert_int_equal(large.counters[RF_COUNT_CAUSES], 1000);
    assert_int_equal(large.counters[RF_COUNT_PIN_NS], pinned);
    rf_writer_destroy(own);
}

/* Puts rows of which the last ends at end_ns, and all others before; returns how many are counted then, and
 * whether the last made it so. */
static uint64_t put_rows(struct rf_slot_writer *to, uint32_t count, uint64_t end_ns, bool *now)
{
    for (uint32_t i = 1; i <= count; i++) {
        struct wait wait = plain_wait(DATASTALL_WAIT_STEADY, 10);
        wait.begin_ns = end_ns - 10 - (i < count);
        *now = rf_slot_append(to, &wait);
        assert_true(i == count || !*now);
    }
    assert_int_equal(to->counters[RF_COUNT_SEQUENCE], to->counted);
    return to->counted;
}

/* When there are many rows, or some and the last counting was a while ago; in a small ring of half of it. */
static void when_rows_are_counted(void **state)
{
    (void)state;
    static const struct {
        uint32_t recent, fair, most;
    } rings[] = {{8, 4, 4}, {64, 32, 32}, {256, 128, 128}, {512, 128, 256}, {1024, 128, 256}};
    const struct rf_process_static process = {.pid = 1};
    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++) {
        const uint32_t fair = rings[i].fair, most = rings[i].most;
        const struct rf_spec spec = {.slots = 1, .recent_waits = rings[i].recent};
        struct rf_writer *own;
        struct rf_slot_writer of;
        bool now;
        uint64_t time_ns = 100 * SECOND;
        assert_int_equal(rf_writer_create(NULL, &spec, &process, &own), 0);
        rf_slot_attach(own, 0, &of);
        assert_int_equal(put_rows(&of, fair - 1, time_ns, &now), 0);
        assert_false(now);
        assert_int_equal(put_rows(&of, 1, time_ns, &now), fair); /* for the first time */
        assert_true(now);
        if (most > fair) {
            assert_int_equal(put_rows(&of, most - 1, time_ns + MS - 1, &now), fair);
            assert_false(now);
            assert_int_equal(put_rows(&of, 1, time_ns + MS - 1, &now), fair + most);
            assert_true(now);
            time_ns += MS - 1;
            assert_int_equal(put_rows(&of, fair, time_ns + MS - 1, &now), fair + most);
            assert_false(now);
            assert_int_equal(put_rows(&of, 1, time_ns + MS, &now), 2 * fair + most + 1);
            assert_true(now);
        } else {
            assert_int_equal(put_rows(&of, most - 1, time_ns, &now), fair);
            assert_false(now);
            assert_int_equal(put_rows(&of, 1, time_ns, &now), fair + most);
            assert_true(now);
        }
        rf_writer_destroy(own);
    }
}

/* A stall that is told late goes into its row as long as that is there, and nowhere where it is not known. */
static void late_stalls_in_their_rows(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8};
    const struct rf_process_static process = {.pid = 1};
    struct rf_writer *own;
    struct rf_slot_writer of;
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &own), 0);
    rf_slot_attach(own, 0, &of);
    for (uint32_t i = 0; i < 11; i++) {
        struct wait wait = plain_wait(DATASTALL_WAIT_STEADY, 10 * MS);
        rf_slot_append(&of, &wait);
    }
    for (uint64_t index = 0; index < 11; index++) {
        const uint64_t *row = of.ring + (index & 7) * RF_RECORD_WORDS;
        const bool is_there = index > 3; /* 3 is where the next one comes */
        struct rf_late_stall late = {
            .wait_ns = 10 * MS, .lower_ns = index, .upper_ns = 100 + index};
        struct rf_late_stall unknown = late;
        unknown.upper_ns = RF_UNKNOWN;
        rf_slot_late_stall(&of, index, &unknown);
        unknown = late;
        unknown.wait_ns = RF_UNKNOWN;
        rf_slot_late_stall(&of, index, &unknown);
        assert_int_equal(row[RF_RECORD_STALL_UPPER], RF_UNKNOWN);
        const uint64_t waiting = of.late_count;
        rf_slot_late_stall(&of, index, &late);
        assert_int_equal(row[RF_RECORD_STALL_UPPER], is_there ? 100 + index : RF_UNKNOWN);
        assert_int_equal(row[RF_RECORD_STALL_LOWER], is_there ? index : RF_UNKNOWN);
        assert_int_equal(of.late_count - waiting, index < of.counted); /* else with its row */
        assert_int_equal(of.counted, 8);
    }
    rf_slot_flush(&of);
    assert_int_equal(of.counters[RF_COUNT_STALL_WAITS], 11);
    rf_writer_destroy(own);
}

/* ---- several waits ---- */

/* Shorter and longer ones, earlier and later ones, in whatever order they come. */
static void extremes_of_several_waits(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind;
        uint64_t begin_s, wait_ms, longest;
        double efficiency;
    } rows[] = {
        {DATASTALL_WAIT_STEADY, 100, 5, 7, 0.9},  {DATASTALL_WAIT_STEADY, 99, 3, 9, 0.5},
        {DATASTALL_WAIT_STEADY, 103, 8, 8, 0.8},  {DATASTALL_WAIT_STEADY, 101, 4, 1, 0.79},
        {DATASTALL_WAIT_FIRST, 98, 60, 2, 0.95},  {DATASTALL_WAIT_ITER, 97, 70, 0, NAN},
        {DATASTALL_WAIT_FAILED, 104, 90, 0, NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wait wait = plain_wait(rows[i].kind, rows[i].wait_ms * MS);
        wait.begin_ns = rows[i].begin_s * SECOND;
        wait.exposed = (struct stall_bounds){MS, i == 1 ? MS : 2 * MS};
        batch.packing_efficiency = rows[i].efficiency;
        batch.longest_sequence = rows[i].longest > 0 ? rows[i].longest : DATASTALL_UNKNOWN;
        rf_slot_append(&slot, &wait);
    }
    rf_slot_flush(&slot);
    static const uint64_t wanted[][2] = {
        {RF_COUNT_BATCHES, 5},
        {RF_COUNT_STEADY, 4},
        {RF_COUNT_STEADY_NS, 20 * MS},
        {RF_COUNT_STEADY_MIN, 3 * MS},
        {RF_COUNT_STEADY_MAX, 8 * MS},
        {RF_COUNT_STARTUP, 2},
        {RF_COUNT_STARTUP_NS, 130 * MS},
        {RF_COUNT_STARTUP_MIN, 60 * MS},
        {RF_COUNT_STARTUP_MAX, 70 * MS},
        {RF_COUNT_OTHER_NS, 220 * MS},
        {RF_COUNT_MAX_NS, 90 * MS},
        {RF_COUNT_FAILED, 1},
        {RF_COUNT_FAILED_NS, 90 * MS},
        {RF_COUNT_ITERATORS, 1},
        {RF_COUNT_SEQUENCE, 7},
        {RF_COUNT_BEGIN_NS, 97 * SECOND},
        {RF_COUNT_END_NS, 104 * SECOND + 90 * MS},
        {RF_COUNT_LONGEST_MAX, 9},
        {RF_COUNT_LONGEST_SUM, 27},
        {RF_COUNT_LONGEST_BATCHES, 5},
        {RF_COUNT_EFFICIENCY_BATCHES, 5},
        {RF_COUNT_EFFICIENCY_LOW, 2},
        {RF_COUNT_STALL_WAITS, 7},
        {RF_COUNT_STALL_BOUNDS, 6},
        {RF_COUNT_STALL_UPPER_NS, 13 * MS},
        {RF_COUNT_STALL_LOWER_NS, 7 * MS},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (slot.counters[wanted[i][0]] != wanted[i][1])
            fail_msg("row %zu: %llu", i, (unsigned long long)slot.counters[wanted[i][0]]);
    }
    assert_int_equal(slot.counters[RF_COUNT_EFFICIENCY_MIN], bits_of(0.5));
}

/* Of each kind the longest stay, with all that is known of them. */
static void the_slowest_of_many_waits(void **state)
{
    (void)state;
    const struct rf_slot_layout *layout = &writer->slot_layout;
    const uint64_t *block = rf_entry(writer, RF_SECTION_SLOTS, 0);
    for (uint64_t i = 0; i < 200; i++) {
        const uint64_t ms = 1 + i * 37 % 101; /* each of 1 .. 101, once or twice */
        const bool steady = i % 2 == 0;
        struct wait wait =
            plain_wait(steady ? DATASTALL_WAIT_STEADY : DATASTALL_WAIT_FIRST, ms * MS);
        wait.begin_ns = (200 + i) * SECOND;
        batch.batch_index = i;
        batch.samples = ms;
        if (i % 4 < 2)
            batch.tokens = 10 * ms;
        rf_slot_append(&slot, &wait);
    }
    rf_slot_flush(&slot);
    for (uint32_t set = 0; set < 2; set++) {
        uint64_t least = UINT64_MAX;
        uint32_t longer = 0;
        for (uint32_t k = 0; k < layout->slowest; k++) {
            const uint64_t *row =
                block + layout->slow_at + (set * layout->slowest + k) * RF_SLOW_WORDS;
            const uint64_t i = row[RF_SLOW_RECORD] - 1, ms = 1 + i * 37 % 101;
            assert_int_equal(i % 2, set);
            assert_int_equal(row[RF_SLOW_WAIT_NS], ms * MS);
            assert_int_equal(row[RF_SLOW_BEGIN_NS], (200 + i) * SECOND);
            assert_int_equal(row[RF_SLOW_BATCH], i);
            assert_int_equal(row[RF_SLOW_SAMPLES], ms);
            assert_int_equal(row[RF_SLOW_TOKENS], i % 4 < 2 ? 10 * ms : RF_UNKNOWN);
            assert_int_equal(rf_kind_of(row[RF_SLOW_KIND]),
                             set == 0 ? DATASTALL_WAIT_STEADY : DATASTALL_WAIT_FIRST);
            least = ms < least ? ms : least;
        }
        for (uint64_t i = set; i < 200; i += 2)
            longer += 1 + i * 37 % 101 > least;
        assert_true(longer < layout->slowest);
    }
}

/* ---- rows of a file ---- */

static void rows_that_can_be(void **state)
{
    (void)state;
    const uint64_t kind = rf_pack_kind(DATASTALL_WAIT_STEADY, DATASTALL_QUEUE_FULL, 1, 0);
    const uint64_t composed =
        rf_pack_kind(DATASTALL_WAIT_STEADY, DATASTALL_QUEUE_FULL, 1, RF_RECORD_COMPOSED);
    const struct {
        uint32_t word;
        uint64_t value;
        bool possible, composed; /* without and with a second half */
    } rows[] = {
        {RF_RECORD_BEGIN_NS, RF_MOST_NS, true, true},
        {RF_RECORD_BEGIN_NS, RF_MOST_NS + 1, false, false},
        {RF_RECORD_BEGIN_NS, RF_UNKNOWN, false, false},
        {RF_RECORD_WAIT_NS, RF_MOST_WAIT_NS, true, true},
        {RF_RECORD_WAIT_NS, RF_MOST_WAIT_NS + 1, false, false},
        {RF_RECORD_WAIT_NS, RF_UNKNOWN, true, true},
        {RF_RECORD_STALL_LOWER, RF_MOST_WAIT_NS, true, true},
        {RF_RECORD_STALL_LOWER, RF_MOST_WAIT_NS + 1, false, false},
        {RF_RECORD_STALL_LOWER, RF_UNKNOWN, true, true},
        {RF_RECORD_STALL_UPPER, RF_MOST_WAIT_NS + 1, false, false},
        {RF_RECORD_STALL_UPPER, RF_UNKNOWN, true, true},
        {RF_RECORD_SAMPLES, DATASTALL_MAX_COUNT, true, true},
        {RF_RECORD_SAMPLES, DATASTALL_MAX_COUNT + 1, false, false},
        {RF_RECORD_SAMPLES, RF_UNKNOWN, true, true},
        {RF_RECORD_TOKENS, DATASTALL_MAX_COUNT, true, true},
        {RF_RECORD_TOKENS, DATASTALL_MAX_COUNT + 1, true, false},
        {RF_RECORD_LONGEST, DATASTALL_MAX_COUNT + 1, true, false},
        {RF_RECORD_PADDED, DATASTALL_MAX_COUNT + 1, true, false},
        {RF_RECORD_PADDED, RF_UNKNOWN, true, true},
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        uint64_t row[RF_RECORD_WORDS] = {[RF_RECORD_KIND] = i % 2 == 0 ? kind : composed};
        assert_true(rf_row_is_possible(row));
        row[rows[i / 2].word] = rows[i / 2].value;
        if (rf_row_is_possible(row) != (i % 2 == 0 ? rows[i / 2].possible : rows[i / 2].composed))
            fail_msg("row %zu", i / 2);
    }
    static const struct {
        uint32_t kind, queue, stage;
        bool possible;
    } kinds[] = {
        {DATASTALL_WAIT_FAILED, DATASTALL_QUEUE_STARVED, RF_STAGE_CAPACITY - 1, true},
        {DATASTALL_WAIT_FAILED + 1, DATASTALL_QUEUE_STARVED, 0, false},
        {DATASTALL_WAIT_FAILED, DATASTALL_QUEUE_STARVED + 1, 0, false},
        {DATASTALL_WAIT_FAILED, DATASTALL_QUEUE_STARVED, RF_STAGE_CAPACITY, false},
    };
    for (size_t i = 0; i < 4; i++) {
        const uint64_t row[RF_RECORD_WORDS] = {
            [RF_RECORD_KIND] = rf_pack_kind(kinds[i].kind, kinds[i].queue, kinds[i].stage, 0)};
        assert_int_equal(rf_row_is_possible(row), kinds[i].possible);
    }
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
        TEST(the_sampler_at_the_begin),
        TEST(many_causes),
        TEST(late_stalls_in_their_rows),
        TEST(when_rows_are_counted),
        TEST(causes_are_counted_before_their_rows_are_many),
        TEST(extremes_of_several_waits),
        TEST(the_slowest_of_many_waits),
        cmocka_unit_test(rows_that_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
