/* SPDX-License-Identifier: Apache-2.0 */
/* Stretches of consecutive batches: what is written is read, however long the run, and spread over it. */
#include "cmocka_all.h"

#include <string.h>
#include <unistd.h>

#include "record/stretches.h"
#include "run/run_data.h"
#include "support.h"

#define US UINT64_C(1000)
#define PERIOD_NS (20 * US) /* one batch: 5 us of work, 15 us of waiting */

static datastall_monitor *monitor;

static int open_monitor(void **state)
{
    (void)state;
    setenv("DATASTALL_RUN_DIR", test_run_folder(), 1);
    assert_int_equal(datastall_open(NULL, &monitor), DATASTALL_OK);
    return 0;
}

static int close_monitor(void **state)
{
    (void)state;
    if (monitor != NULL)
        datastall_close(monitor);
    unsetenv("DATASTALL_RUN_DIR");
    return 0;
}

/* Times of batch i that nothing else has. */
static struct stretches_batch batch_of(uint64_t i)
{
    struct stretches_batch batch = {.worker = (uint32_t)(i % 3)};
    batch.begin_ns = i * PERIOD_NS + 5 * US;
    batch.end_ns = (i + 1) * PERIOD_NS;
    for (uint32_t t = 0; t < RF_BATCH_TIMES; t++)
        batch.times[t] = (uint32_t)(i % 1000 + t);
    batch.times[RF_BATCH_EXPOSED_LOWER] = batch.times[RF_BATCH_EXPOSED_UPPER] = RF_STRETCH_UNKNOWN;
    return batch;
}

static void add(struct stretches *s, uint64_t from, uint64_t to)
{
    struct cause_row row;
    for (uint64_t i = from; i < to; i++) {
        struct stretches_batch batch = batch_of(i);
        stretches_add(s, &batch, &row);
    }
}

/* The run as it is read, with the one loader's stretches. */
static const struct run_stretches *read_back(struct run_data **data)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", datastall_run_file(monitor));
    *strrchr(folder, '/') = '\0';
    assert_int_equal(run_data_read(folder, data), DATASTALL_OK);
    CHECK((*data)->problems == 0, "%s", (*data)->first_problem);
    assert_int_equal((*data)->process_count, 1);
    assert_int_equal((*data)->processes[0].stretches_count, 1);
    return &(*data)->processes[0].stretches[0];
}

/* gap_ns: from the loader's batch before, without iter_ns in iter(); DS_UNKNOWN: it was its first. */
static void check_first(const struct rf_stretch_batch *batch, uint64_t gap_ns, uint64_t iter_ns)
{
    assert_int_equal(batch->flags, RF_BATCH_IS_FIRST);
    assert_int_equal(batch->times[RF_BATCH_ITER], rf_stretch_units(iter_ns));
    assert_int_equal(batch->times[RF_BATCH_CONSUMED],
                     gap_ns == DS_UNKNOWN ? RF_STRETCH_UNKNOWN : rf_stretch_units(gap_ns));
}

static void check_batch(const struct rf_stretch_batch *batch, bool first)
{
    const struct stretches_batch want = batch_of(batch->batch);
    assert_int_equal(batch->worker, want.worker);
    assert_int_equal(batch->flags, first ? RF_BATCH_IS_FIRST : 0);
    for (uint32_t t = RF_BATCH_BEGUN; t < RF_BATCH_ITER; t++)
        assert_int_equal(batch->times[t], want.times[t]);
    assert_int_equal(batch->times[RF_BATCH_WAITED], rf_stretch_units(15 * US));
    if (!first)
        assert_int_equal(batch->times[RF_BATCH_CONSUMED], rf_stretch_units(5 * US));
}

static void a_short_run_is_there_as_a_whole(void **state)
{
    (void)state;
    struct stretches s;
    struct run_data *data;
    stretches_open(&s, monitor, 1, false, 700);
    add(&s, 0, 150);
    const uint64_t last_ns = batch_of(149).end_ns;
    stretches_end(&s, last_ns + 7, last_ns + 57);
    stretches_close(&s);
    stretches_open(&s, monitor, 1, true, 640);
    add(&s, 150, 200);
    stretches_close(&s);
    const struct run_stretches *read = read_back(&data);
    assert_int_equal(read->loader, 1);
    assert_int_equal(read->batch_count, 200);
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(read->batches[i].batch, i);
        check_batch(&read->batches[i], i == 0 || i == 150);
    }
    check_first(&read->batches[0], DS_UNKNOWN, 700);
    check_first(&read->batches[150], 5 * US - 640, 640);
    assert_int_equal(read->head[RF_STRETCH_BATCHES], 200);
    assert_int_equal(read->head[RF_STRETCH_NEW], 1);
    assert_int_equal(read->head[RF_STRETCH_NEW_ITER_NS], 700);
    assert_int_equal(read->head[RF_STRETCH_NEW_FIRST_NS], 15 * US);
    assert_int_equal(read->head[RF_STRETCH_AGAIN], 1);
    assert_int_equal(read->head[RF_STRETCH_AGAIN_ITER_NS], 640);
    assert_int_equal(read->head[RF_STRETCH_ENDS], 1);
    assert_int_equal(read->head[RF_STRETCH_ENDS_NS], 50);
    assert_int_equal(read->head[RF_STRETCH_LAST_STEPS_NS], 7); /* and nothing of the one given up */
    /* What is over has its end; the last stretch ended with its iterator. */
    for (uint32_t i = 0; i < read->count; i++) {
        assert_true(read->stretches[i].words[RF_STRETCH_END_NS] > 0);
        assert_true(read->stretches[i].words[RF_STRETCH_END_CPU_NS] >=
                    read->stretches[i].words[RF_STRETCH_BEGIN_CPU_NS]);
    }
    run_data_free(data);
}

/* So many batches: at least half the places are full, at the same distance all over the run. */
static void spread_over(uint64_t batches)
{
    struct stretches s;
    struct run_data *data;
    stretches_open(&s, monitor, 1, false, 0);
    add(&s, 0, batches);
    const struct run_stretches *read = read_back(&data);
    const uint64_t stretches = (batches + RF_STRETCH_ROWS - 1) / RF_STRETCH_ROWS;
    const uint64_t every = read->head[RF_STRETCH_EVERY];
    CHECK(read->count == (stretches + every - 1) / every, "%u of %llu, every %llu", read->count,
          (unsigned long long)stretches, (unsigned long long)every);
    assert_true(read->count <= RF_STRETCHES && (every == 1 || read->count > RF_STRETCHES / 2));
    for (uint32_t i = 0; i < read->count; i++) {
        const struct run_stretch *stretch = &read->stretches[i];
        assert_int_equal(stretch->words[RF_STRETCH_NUMBER], 1 + i * every);
        for (uint32_t b = 0; b < stretch->count; b++) {
            assert_int_equal(read->batches[stretch->first + b].batch,
                             i * every * RF_STRETCH_ROWS + b);
            check_batch(&read->batches[stretch->first + b], i == 0 && b == 0);
        }
    }
    run_data_free(data);
}

static void a_full_table(void **state)
{
    (void)state;
    spread_over(RF_STRETCHES * RF_STRETCH_ROWS);
}

static void one_more_than_fits(void **state)
{
    (void)state;
    spread_over(RF_STRETCHES * RF_STRETCH_ROWS + 1);
}

static void a_million_batches(void **state)
{
    (void)state;
    spread_over(1000003);
}

/* Two iterators of one loader at once: the newer one writes. */
static void the_newest_iterator_writes(void **state)
{
    (void)state;
    struct stretches older, newer;
    struct run_data *data;
    stretches_open(&older, monitor, 1, false, 0);
    add(&older, 0, 10);
    stretches_open(&newer, monitor, 1, false, 0);
    add(&older, 10, 20);
    stretches_end(&older, 1, 2);
    add(&newer, 10, 12);
    stretches_close(&older);
    add(&newer, 12, 14);
    const struct run_stretches *read = read_back(&data);
    assert_int_equal(read->batch_count, 14);
    assert_int_equal(read->head[RF_STRETCH_ENDS], 0);
    for (uint32_t i = 0; i < 14; i++)
        check_batch(&read->batches[i], i == 0 || i == 10);
    run_data_free(data);
}

static void exposed_stalls_come_later(void **state)
{
    (void)state;
    struct stretches s;
    struct run_data *data;
    struct cause_row rows[3];
    stretches_open(&s, monitor, 1, false, 0);
    for (uint64_t i = 0; i < 3; i++) {
        struct stretches_batch batch = batch_of(i);
        stretches_add(&s, &batch, &rows[i]);
    }
    stretches_exposed(&rows[0], &(struct stall_bounds){640, 1280});
    stretches_exposed(&rows[1], &(struct stall_bounds)STALL_BOUNDS_UNKNOWN);
    rows[2].word++; /* its place is another's by now */
    stretches_exposed(&rows[2], &(struct stall_bounds){640, 1280});
    const struct run_stretches *read = read_back(&data);
    assert_int_equal(read->batches[0].times[RF_BATCH_EXPOSED_LOWER], 10);
    assert_int_equal(read->batches[0].times[RF_BATCH_EXPOSED_UPPER], 20);
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(read->batches[i].times[RF_BATCH_EXPOSED_LOWER], RF_STRETCH_UNKNOWN);
        assert_int_equal(read->batches[i].times[RF_BATCH_EXPOSED_UPPER], RF_STRETCH_UNKNOWN);
    }
    run_data_free(data);
}

static void later_loaders_have_none(void **state)
{
    (void)state;
    struct stretches s;
    for (uint32_t loader = 1; loader <= RF_STRETCH_LOADERS + 1; loader++) {
        stretches_open(&s, monitor, loader, false, 0);
        assert_true((s.entry != NULL) == (loader <= RF_STRETCH_LOADERS));
        add(&s, 0, 1);
        stretches_end(&s, 1, 2);
        stretches_close(&s);
    }
}

static void long_times_stop(void **state)
{
    (void)state;
    assert_int_equal(rf_stretch_units(0), 0);
    assert_int_equal(rf_stretch_units(31), 0);
    assert_int_equal(rf_stretch_units(32), 1);
    assert_int_equal(rf_stretch_units(UINT64_C(1000000000000)), RF_STRETCH_UNKNOWN - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_short_run_is_there_as_a_whole, open_monitor,
                                        close_monitor),
        cmocka_unit_test_setup_teardown(a_full_table, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(one_more_than_fits, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(a_million_batches, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(the_newest_iterator_writes, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(exposed_stalls_come_later, open_monitor, close_monitor),
        cmocka_unit_test_setup_teardown(later_loaders_have_none, open_monitor, close_monitor),
        cmocka_unit_test(long_times_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
