/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a slot whose writer stopped: at every point of a record a reader sees the record as a
 * whole or not at all. The stops are made by hand here, from a copy before and a copy after a
 * record; test_stopped_writer stops a real one. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runfile/view.h"
#include "runfile/writer.h"
#include "support.h"

#define SECOND UINT64_C(1000000000)
#define RECENT 8

static struct rf_writer *writer;
static struct rf_slot_writer slot;
static uint64_t words; /* of the slot's block */
/* What a slot is after so many records, all counted: by a writer that nobody disturbs. */
static struct rf_writer *calm_writer;
static struct rf_slot_writer calm;

static int open_slot(void **state)
{
    (void)state;
    const struct rf_spec spec = {.slots = 1, .recent_waits = RECENT};
    const struct rf_process_static process = {0};
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &writer), 0);
    rf_slot_attach(writer, 0, &slot);
    rf_slot_assign(&slot, 1, 77);
    words = writer->slot_layout.words;
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &calm_writer), 0);
    rf_slot_attach(calm_writer, 0, &calm);
    rf_slot_assign(&calm, 1, 77);
    return 0;
}

static int close_slot(void **state)
{
    (void)state;
    rf_writer_destroy(writer);
    rf_writer_destroy(calm_writer);
    return 0;
}

static void put_into(struct rf_slot_writer *place, uint64_t i)
{
    const datastall_batch batch = {.struct_size = sizeof batch,
                                   .batch_index = i,
                                   .samples = i + 1,
                                   .tokens = 10 * i,
                                   .longest_sequence = i,
                                   .padded_tokens = i * (i + 1),
                                   .mean_sequence_length = 2.5,
                                   .packing_efficiency = 0.5};
    struct wait wait = {.batch = &batch,
                        .exposed = STALL_BOUNDS_UNKNOWN,
                        .begin_ns = (1000 + i / 3) * SECOND,
                        .wait_ns = (i * 7919 % 101 + 1) * 1000000,
                        .kind = i % 10 == 0 ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY,
                        .stage = i % 3};
    rf_slot_append(place, &wait);
}

static void put(uint64_t i)
{
    put_into(&slot, i);
}

static uint64_t *copy_of(const uint64_t *block)
{
    uint64_t *copy = malloc(words * 8);
    assert_non_null(copy);
    memcpy(copy, block, words * 8);
    return copy;
}

static enum rf_view_status read_block(const uint64_t *block, struct rf_slot_view *view)
{
    const struct rf_source source = {.memory = block, .fd = -1, .bytes = words * 8};
    return rf_slot_view_read(&source, &writer->slot_layout, 0, RF_PART_ALL, NULL, view);
}

static const uint64_t *calm_block(uint64_t records)
{
    while (calm.head < records) {
        put_into(&calm, calm.head);
        rf_slot_flush(&calm);
    }
    return calm.commit.block;
}

/* The block reads as `records` waits: same totals, same tables; and the ring's records are right.
 */
static void assert_reads_as(const uint64_t *block, uint64_t records)
{
    const struct rf_slot_layout *l = &writer->slot_layout;
    const uint64_t *whole = calm_block(records);
    struct rf_slot_view view;
    assert_int_equal(calm.head, records);
    assert_int_equal(read_block(block, &view), RF_VIEW_OK);
    assert_int_equal(view.records, records);
    assert_int_equal(view.skew, 0);
    assert_memory_equal(view.counters, whole + l->counters_at, RF_COUNT_WORDS * 8);
    assert_memory_equal(view.block + l->steady_at, whole + l->steady_at,
                        (l->words - l->steady_at) * 8);
    assert_int_equal(view.ring_first + view.ring_count, records);
    assert_int_equal(view.ring_count, records < RECENT ? records : RECENT - 1);
    for (uint64_t i = view.ring_first; i < records; i++) {
        assert_int_equal(rf_view_record(&view, i)[RF_RECORD_BATCH], i);
        assert_int_equal(rf_view_record(&view, i)[RF_RECORD_SAMPLES], i + 1);
        assert_int_equal(rf_view_record(&view, i)[RF_RECORD_TOKENS], 10 * i);
    }
    rf_slot_view_free(&view);
}

/* Applies, word by word, what a writer stores of record n: it is there with its sequence number. */
static void stop_in_the_row(uint64_t *block, const uint64_t *after, uint64_t n)
{
    const struct rf_slot_layout *l = &writer->slot_layout;
    const uint64_t row = l->ring_at + (n & (l->recent - 1)) * l->record_words;
    for (uint64_t word = row + 1; word < row + l->record_words; word++) {
        block[word] = after[word];
        assert_reads_as(block, n);
    }
    block[row] = after[row];
    assert_reads_as(block, n + 1);
}

/* The same of what makes the counting durable: journal, version, places, version. */
static void stop_in_the_counting(uint64_t *block, const uint64_t *after, uint64_t n)
{
    const uint64_t count = after[RF_BLOCK_JOURNAL_COUNT];
    assert_in_range(count, 1, RF_JOURNAL_CAPACITY);
    for (uint64_t word = RF_BLOCK_JOURNAL_COUNT; word < RF_BLOCK_PAYLOAD; word++) {
        if (block[word] == after[word])
            continue;
        block[word] = after[word];
        assert_reads_as(block, n + 1);
    }
    block[RF_BLOCK_VERSION]++;
    assert_reads_as(block, n + 1);
    for (uint64_t i = 0; i < count; i++) {
        block[after[RF_BLOCK_JOURNAL + 2 * i]] = after[RF_BLOCK_JOURNAL + 2 * i + 1];
        assert_reads_as(block, n + 1);
    }
    block[RF_BLOCK_VERSION]++;
}

static void a_writer_may_stop_anywhere(void **state)
{
    (void)state;
    uint64_t countings = 0;
    for (uint64_t n = 0; n < 120; n++) {
        uint64_t *before = copy_of(slot.commit.block), *block = copy_of(before);
        put(n);
        uint64_t *after = copy_of(slot.commit.block);
        stop_in_the_row(block, after, n);
        if (after[RF_BLOCK_VERSION] != before[RF_BLOCK_VERSION]) {
            assert_int_equal(after[RF_BLOCK_VERSION], before[RF_BLOCK_VERSION] + 2);
            stop_in_the_counting(block, after, n);
            countings++;
        }
        /* Nothing was written that is in none of these steps. */
        assert_memory_equal(block, after, words * 8);
        assert_reads_as(block, n + 1);
        free(before);
        free(block);
        free(after);
    }
    assert_int_equal(countings, 120 / (RECENT / 2));
}

static void a_whole_block_ignores_its_journal(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 20; i++)
        put(i);
    uint64_t *block = copy_of(slot.commit.block);
    block[RF_BLOCK_JOURNAL_COUNT] = UINT64_MAX;
    memset(block + RF_BLOCK_JOURNAL, 0xA5, 2 * RF_JOURNAL_CAPACITY * 8);
    assert_reads_as(block, 20);
    free(block);
}

/* A wait under way is in the row that will be its own. */
static void a_wait_under_way_is_seen(void **state)
{
    (void)state;
    struct rf_slot_view view;
    for (uint64_t i = 0; i < 30; i++) {
        rf_slot_waiting(&slot, 5 + i);
        assert_int_equal(read_block(slot.commit.block, &view), RF_VIEW_OK);
        assert_int_equal(view.waiting_ns, 5 + i);
        rf_slot_view_free(&view);
        assert_reads_as(slot.commit.block, i);
        rf_slot_waiting(&slot, 0);
        assert_int_equal(read_block(slot.commit.block, &view), RF_VIEW_OK);
        assert_int_equal(view.waiting_ns, 0);
        rf_slot_view_free(&view);
        rf_slot_waiting(&slot, 6 + i);
        put(i);
        assert_int_equal(read_block(slot.commit.block, &view), RF_VIEW_OK);
        assert_int_equal(view.waiting_ns, 0);
        rf_slot_view_free(&view);
    }
}

static void assert_damaged(const uint64_t *block)
{
    struct rf_slot_view view;
    assert_int_equal(read_block(block, &view), RF_VIEW_DAMAGED);
    assert_non_null(view.damage);
    rf_slot_view_free(&view);
}

static void an_impossible_journal_is_damage(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 20; i++)
        put(i);
    uint64_t *after = copy_of(slot.commit.block);
    after[RF_BLOCK_VERSION]--;
    const uint64_t targets[] = {0, RF_BLOCK_PAYLOAD - 1, words, UINT64_MAX};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        uint64_t *block = copy_of(after);
        block[RF_BLOCK_JOURNAL] = targets[i];
        assert_damaged(block);
        free(block);
    }
    uint64_t *block = copy_of(after);
    block[RF_BLOCK_JOURNAL_COUNT] = RF_JOURNAL_CAPACITY + 1;
    assert_damaged(block);
    free(block);
    free(after);
}

/* A file may keep fewer of the slowest waits, or none: what lies behind its table is left alone. */
static void no_room_for_the_slowest(void **state)
{
    (void)state;
    struct rf_slot_layout l = writer->slot_layout;
    const uint64_t at = l.slow_at;
    for (uint64_t i = 0; i < 3; i++)
        put(i);
    for (l.slowest = 0; l.slowest < 3; l.slowest++) {
        const struct rf_source source = {.memory = slot.commit.block, .fd = -1, .bytes = words * 8};
        const uint64_t second = at + l.slowest * RF_SLOW_WORDS; /* set, which the waits are of */
        struct rf_slot_view view;
        assert_int_equal(rf_slot_view_read(&source, &l, 0, RF_PART_TABLES, NULL, &view),
                         RF_VIEW_OK);
        assert_int_equal(view.records, 3);
        const uint64_t behind = second + l.slowest * RF_SLOW_WORDS;
        assert_memory_equal(view.block + behind, slot.commit.block + behind, 4 * RF_SLOW_WORDS * 8);
        rf_slot_view_free(&view);
    }
}

/* One that is not counted yet, wherever it is among them. */
static void an_impossible_row_is_damage(void **state)
{
    (void)state;
    static const struct {
        uint32_t word;
        uint64_t value;
        bool damages;
    } rows[] = {
        {RF_RECORD_SAMPLES, 7, false},
        {RF_RECORD_BEGIN_NS, RF_MOST_NS + 1, true},
        {RF_RECORD_WAIT_NS, UINT64_MAX - 1, true},
        {RF_RECORD_SAMPLES, UINT64_MAX - 1, true},
        {RF_RECORD_TOKENS, UINT64_MAX - 1, true},
        {RF_RECORD_KIND, UINT64_MAX, true},
    };
    const struct rf_slot_layout *l = &writer->slot_layout;
    put(0);
    rf_slot_flush(&slot);
    const uint64_t first = slot.head;
    for (uint64_t i = first; i < first + 3; i++)
        put(i);
    for (size_t i = 0; i < 3 * sizeof rows / sizeof *rows; i++) {
        const uint64_t row = first + i % 3;
        uint64_t *block = copy_of(slot.commit.block);
        assert_int_equal(block[l->counters_at + RF_COUNT_SEQUENCE], first);
        block[l->ring_at + (row & (l->recent - 1)) * l->record_words + rows[i / 3].word] =
            rows[i / 3].value;
        /* Also who wants the totals alone is told. */
        const struct rf_source source = {.memory = block, .fd = -1, .bytes = words * 8};
        struct rf_slot_view view;
        const enum rf_view_status status =
            rf_slot_view_read(&source, &writer->slot_layout, 0, RF_PART_TABLES, NULL, &view);
        CHECK(status == (rows[i / 3].damages ? RF_VIEW_DAMAGED : RF_VIEW_OK), "row %zu: %s", i,
              view.damage);
        CHECK(!rows[i / 3].damages || strstr(view.damage, "a record in its ring") != NULL,
              "row %zu: %s", i, view.damage);
        rf_slot_view_free(&view);
        free(block);
    }
}

/* A stall is part of the waiting whose stall is known, which is part of the waiting: in all, and in each
 * stage, whose times are no longer than any machine ran. */
static void parts_of_the_waiting(void **state)
{
    (void)state;
    const struct rf_slot_layout *l = &writer->slot_layout;
    for (uint64_t i = 0; i < 20; i++)
        put(i);
    const uint64_t in_all = l->counters_at, in_stage = l->stages_at + l->stage_words;
    const uint64_t bases[] = {in_all, in_stage};
    for (size_t b = 0; b < 2; b++) {
        const uint64_t *now = slot.commit.block + bases[b];
        const uint64_t waiting = now[RF_COUNT_STEADY_NS] + now[RF_COUNT_OTHER_NS];
        const struct {
            uint64_t lower, upper, known;
            bool fit;
        } rows[] = {{0, 0, 0, true},  {1, 2, 3, true},           {2, 2, 2, true},
                    {3, 2, 3, false}, {1, 3, 2, false},          {waiting, waiting, waiting, true},
                    {0, 0, 1, true},  {0, 0, waiting + 1, false}};
        assert_true(waiting > 3);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct rf_slot_view view;
            uint64_t *block = copy_of(slot.commit.block);
            block[bases[b] + RF_COUNT_STALL_LOWER_NS] = rows[i].lower;
            block[bases[b] + RF_COUNT_STALL_UPPER_NS] = rows[i].upper;
            block[bases[b] + RF_COUNT_STALL_KNOWN_NS] = rows[i].known;
            const bool fit = read_block(block, &view) == RF_VIEW_OK;
            CHECK(fit == rows[i].fit, "%zu, row %zu: %s", b, i,
                  view.damage != NULL ? view.damage : "");
            rf_slot_view_free(&view);
            free(block);
        }
    }
    static const uint32_t times[] = {RF_COUNT_STEADY_NS, RF_COUNT_OTHER_NS};
    for (size_t i = 0; i < 2; i++) {
        for (uint64_t beyond = 0; beyond < 2; beyond++) {
            struct rf_slot_view view;
            uint64_t *block = copy_of(slot.commit.block);
            block[in_stage + times[i]] = RF_MOST_NS + beyond;
            assert_int_equal(read_block(block, &view), beyond ? RF_VIEW_DAMAGED : RF_VIEW_OK);
            if (beyond)
                assert_string_equal(view.damage, "its stages contradict each other");
            rf_slot_view_free(&view);
            free(block);
        }
    }
}

/* Words that contradict each other are found, whichever they are. */
static void contradictions_are_damage(void **state)
{
    (void)state;
    const struct rf_slot_layout *l = &writer->slot_layout;
    for (uint64_t i = 0; i < 20; i++)
        put(i);
    const uint64_t at = l->counters_at;
    const uint64_t counted = l->ring_at + (19 & (l->recent - 1)) * l->record_words;
    const uint64_t behind = l->ring_at + (21 & (l->recent - 1)) * l->record_words;
    const uint64_t wrong[] = {
        at + RF_COUNT_SEQUENCE, at + RF_COUNT_STEADY,   at + RF_COUNT_STARTUP,
        at + RF_COUNT_BATCHES,  at + RF_COUNT_BEGIN_NS, at + RF_COUNT_QUEUE,
        l->steady_at + 100,     l->startup_at + 100,    counted + RF_RECORD_SEQUENCE};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint64_t *block = copy_of(slot.commit.block);
        block[wrong[i]] += UINT64_C(1) << 62;
        assert_damaged(block);
        free(block);
    }
    put(20); /* two that are not counted yet */
    put(21);
    const uint64_t first =
        l->ring_at + ((22 - (l->recent - 1)) & (l->recent - 1)) * l->record_words;
    const uint64_t rows[] = {counted, behind, first};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t kinds[] = {0xff, 0xff00, 0xffff0000};
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            uint64_t *block = copy_of(slot.commit.block);
            block[rows[i] + RF_RECORD_KIND] |= kinds[k];
            assert_damaged(block);
            free(block);
        }
    }
}

/* Rows over others that had more to tell: each says of itself only. */
static void rows_that_tell_less(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 20; i++)
        put(i);
    for (uint64_t i = 0; i < 5; i++) {
        const datastall_batch batch = DATASTALL_BATCH_INIT;
        const struct wait wait = {.batch = &batch,
                                  .exposed = STALL_BOUNDS_UNKNOWN,
                                  .begin_ns = (2000 + i) * SECOND,
                                  .wait_ns = 1000000,
                                  .kind = DATASTALL_WAIT_STEADY};
        rf_slot_append(&slot, &wait);
    }
    rf_slot_flush(&slot);
    struct rf_slot_view view;
    assert_int_equal(read_block(slot.commit.block, &view), RF_VIEW_OK);
    assert_int_equal(view.ring_first + view.ring_count, 25);
    for (uint64_t index = view.ring_first; index < 25; index++) {
        const uint64_t *row = rf_view_record(&view, index);
        assert_int_equal(row[RF_RECORD_TOKENS], index < 20 ? 10 * index : RF_UNKNOWN);
        assert_int_equal(row[RF_RECORD_LONGEST], index < 20 ? index : RF_UNKNOWN);
    }
    rf_slot_view_free(&view);
}

static void a_source_that_ends_is_cut(void **state)
{
    (void)state;
    put(0);
    struct rf_slot_view view;
    for (uint64_t bytes = 0; bytes < words * 8; bytes += 997) {
        const struct rf_source source = {
            .memory = slot.commit.block, .fd = -1, .bytes = bytes & ~UINT64_C(7)};
        assert_int_equal(
            rf_slot_view_read(&source, &writer->slot_layout, 0, RF_PART_ALL, NULL, &view),
            RF_VIEW_CUT);
    }
}

static bool read_process(const struct rf_source *source, uint64_t *copy)
{
    return rf_block_read(source, 0, RF_PROCESS_BLOCK_WORDS, RF_PROCESS_BLOCK_WORDS, copy);
}

/* The same journal serves the process block. */
static void a_process_block_is_whole(void **state)
{
    (void)state;
    const uint64_t at = RF_BLOCK_PAYLOAD;
    uint64_t *block = rf_entry(writer, RF_SECTION_PROCESS, 0), copy[RF_PROCESS_BLOCK_WORDS];
    rf_put(&writer->process, at + RF_PROCESS_STAGE, 7);
    rf_put(&writer->process, at + RF_PROCESS_STAGE_SINCE, 8);
    const struct rf_source source = {.memory = block, .fd = -1, .bytes = sizeof copy};
    assert_true(read_process(&source, copy));
    assert_int_equal(copy[at + RF_PROCESS_STAGE] + copy[at + RF_PROCESS_STAGE_SINCE], 0);
    rf_publish(&writer->process);
    block[RF_BLOCK_VERSION]--;
    block[at + RF_PROCESS_STAGE] = 0; /* committed, half copied */
    assert_true(read_process(&source, copy));
    assert_int_equal(copy[at + RF_PROCESS_STAGE], 7);
    assert_int_equal(copy[at + RF_PROCESS_STAGE_SINCE], 8);
    block[RF_BLOCK_JOURNAL] = RF_PROCESS_BLOCK_WORDS;
    assert_false(read_process(&source, copy));
}

/* ---- stalls that are known after their row was counted ---- */

static struct rf_late_stall late_of(uint64_t i, bool has_split)
{
    struct rf_late_stall late = {.wait_ns = (i * 7919 % 101 + 1) * 1000000,
                                 .stage = i % 3,
                                 .lower_ns = 100000,
                                 .upper_ns = 300000,
                                 .has_split = has_split};
    late.split.states_ns[CAUSE_BLOCKED] = 300000;
    return late;
}

/* They wait for the next counting together, as many as there is room for. */
static void late_stalls_are_counted_together(void **state)
{
    (void)state;
    const uint32_t count = RF_LATE_STALLS + 3;
    for (uint64_t i = 0; i < count; i++)
        put(i);
    rf_slot_flush(&slot);
    for (uint64_t i = 0; i < count; i++) {
        const struct rf_late_stall late = late_of(i, false);
        rf_slot_late_stall(&slot, i, &late);
        assert_int_equal(slot.late_count, i < RF_LATE_STALLS ? i + 1 : i + 1 - RF_LATE_STALLS);
    }
    struct rf_late_stall unknown = late_of(0, false);
    unknown.upper_ns = RF_UNKNOWN;
    rf_slot_late_stall(&slot, 0, &unknown);
    assert_int_equal(slot.late_count, 3);
    rf_slot_flush(&slot);
    assert_int_equal(slot.late_count, 0);
    struct rf_slot_view view;
    assert_int_equal(read_block(slot.commit.block, &view), RF_VIEW_OK);
    uint64_t known = 0;
    for (uint64_t i = 0; i < count; i++)
        known += late_of(i, false).wait_ns;
    assert_int_equal(view.counters[RF_COUNT_STALL_WAITS], count);
    assert_int_equal(view.counters[RF_COUNT_STALL_KNOWN_NS], known);
    assert_int_equal(view.counters[RF_COUNT_STALL_LOWER_NS], count * 100000);
    assert_int_equal(view.counters[RF_COUNT_STALL_UPPER_NS], count * 300000);
    assert_int_equal(view.counters[RF_COUNT_CAUSE_NS + CAUSE_UNKNOWN],
                     0); /* none came with causes */
    rf_slot_view_free(&view);
    assert_null(view.block);
}

/* Where waits come with causes, a late one without is of none that is known; else of its own. */
static void causes_of_late_stalls(void **state)
{
    (void)state;
    for (uint32_t has_split = 0; has_split < 2; has_split++) {
        for (uint32_t with_cause = 0; with_cause < 2; with_cause++) {
            close_slot(NULL);
            assert_int_equal(open_slot(NULL), 0);
            struct wait_cause cause = {.blocker = 1};
            struct cause_share split = {.later_ready_ns = 0};
            const datastall_batch batch = DATASTALL_BATCH_INIT;
            struct wait wait = {.batch = &batch,
                                .exposed = STALL_BOUNDS_UNKNOWN,
                                .begin_ns = 1000 * SECOND,
                                .wait_ns = 2000000,
                                .kind = DATASTALL_WAIT_STEADY};
            if (with_cause) {
                wait.cause = &cause;
                wait.split = &split;
            }
            rf_slot_append(&slot, &wait);
            rf_slot_flush(&slot);
            struct rf_late_stall late = late_of(0, has_split);
            late.wait_ns = 2000000;
            rf_slot_late_stall(&slot, 0, &late);
            rf_slot_flush(&slot);
            struct rf_slot_view view;
            assert_int_equal(read_block(slot.commit.block, &view), RF_VIEW_OK);
            assert_int_equal(view.counters[RF_COUNT_CAUSES], with_cause);
            assert_int_equal(view.counters[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED],
                             has_split ? 300000 : 0);
            assert_int_equal(view.counters[RF_COUNT_CAUSE_NS + CAUSE_UNKNOWN],
                             with_cause && !has_split ? 300000 : 0);
            rf_slot_view_free(&view);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_slot, close_slot)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_writer_may_stop_anywhere), TEST(a_whole_block_ignores_its_journal),
        TEST(a_wait_under_way_is_seen),   TEST(an_impossible_journal_is_damage),
        TEST(no_room_for_the_slowest),    TEST(an_impossible_row_is_damage),
        TEST(contradictions_are_damage),  TEST(rows_that_tell_less),
        TEST(parts_of_the_waiting),       TEST(a_source_that_ends_is_cut),
        TEST(a_process_block_is_whole),   TEST(late_stalls_are_counted_together),
        TEST(causes_of_late_stalls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
