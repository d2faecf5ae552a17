/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions from batches in memory: what is taken of them, fitted, left out, and refused. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/predict.h"
#include "output/text_predict.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define BATCHES 320u
#define MIB (UINT64_C(1) << 20)

static struct rf_stretch_batch batches[BATCHES];
static struct run_stretch stretch;
static struct run_stretches stretches;
static struct run_process process;
static struct run_loader loader;
static struct why why;

/* What one batch costs, in ms. */
struct cost {
    double blocked, running, delayed;
};

static uint32_t units(double ms)
{
    return rf_stretch_units((uint64_t)(ms * 1e6));
}

static void set_batch(uint32_t i, const struct cost *cost, uint32_t epoch_batches)
{
    uint32_t *t = batches[i].times;
    const double items = cost->blocked + cost->running + cost->delayed;
    batches[i] = (struct rf_stretch_batch){.batch = i};
    batches[i].flags = i % epoch_batches == 0 ? RF_BATCH_IS_FIRST : 0;
    for (uint32_t k = 0; k < RF_BATCH_TIMES; k++)
        t[k] = 0;
    t[RF_BATCH_EXPOSED_LOWER] = t[RF_BATCH_EXPOSED_UPPER] = RF_STRETCH_UNKNOWN;
    t[RF_BATCH_CONSUMED] = units(1);
    t[RF_BATCH_WAITED] = units(items);
    t[RF_BATCH_ITEMS] = units(items);
    t[RF_BATCH_CPU] = units(cost->running);
    t[RF_BATCH_DELAY] = units(cost->delayed);
    t[RF_BATCH_BEGUN] = units(items + 0.5);
    t[RF_BATCH_HANDOVER] = units(0.5);
    t[RF_BATCH_PICKLE_CPU] = units(0.1);
    t[RF_BATCH_GET_CPU] = units(0.1);
    t[RF_BATCH_TAIL] = units(0.05);
}

/* One worker with a window of two, on eight CPUs that nobody else uses; its batches all alike, in so many
 * epochs. */
static void begin(const struct cost *cost, uint32_t epochs)
{
    memset(&why, 0, sizeof why);
    memset(&loader, 0, sizeof loader);
    for (uint32_t i = 0; i < BATCHES; i++)
        set_batch(i, cost, BATCHES / epochs);
    stretch = (struct run_stretch){.count = BATCHES};
    stretch.words[RF_STRETCH_END_NS] = 4 * S;
    stretch.words[RF_STRETCH_END_CPU_NS] = BATCHES * MS / 5; /* of the loop, 0.2 ms a batch */
    stretches = (struct run_stretches){
        .count = 1, .stretches = &stretch, .batches = batches, .batch_count = BATCHES};
    stretches.head[RF_STRETCH_BATCHES] = BATCHES;
    process = (struct run_process){.stretches_count = 1, .stretches = &stretches};
    loader.entry.num_workers = 1;
    loader.entry.prefetch_factor = 2;
    loader.totals.counters[RF_COUNT_BATCHES] = BATCHES;
    loader.totals.counters[RF_COUNT_SAMPLES] = loader.totals.counters[RF_COUNT_SAMPLES_BATCHES] =
        BATCHES;
    loader.totals.counters[RF_COUNT_ITERATORS] = epochs;
    why.active_ns = 4 * S;
    why.stall_ns = 3 * S;
    why.work = (struct why_work){.workers = 1, .batches = BATCHES, .items = BATCHES};
    why.work.running_cpus = 0.1;
    why.host.cpus_usable = 8;
    why.host.idle_cpus = 7.8;
    why.host.loop_cpus = 0.1;
    why.host.shm_size_bytes = NAN;
}

/* Four workers at most, with the window as it is; free() it. */
static struct predict *predicted(void)
{
    const struct predict_options options = {.workers_to = 4, .cpus = NAN};
    struct predict *predict = predict_make(&process, &loader, &why, false, &options);
    assert_non_null(predict);
    return predict;
}

/* What the run takes, replayed, in ns; whatever was measured. */
static double replayed(void)
{
    struct predict *predict = predicted();
    const double time = (predict->miss + 1) * (double)why.active_ns;
    free(predict);
    return time;
}

/* The run took what its replay takes. */
static void measure_as_replayed(void)
{
    for (int i = 0; i < 3; i++)
        why.active_ns = (uint64_t)replayed();
}

static const struct predict_setting *find(const struct predict *predict, uint32_t workers,
                                          uint32_t prefetch)
{
    for (uint32_t i = 0; i < predict->count; i++) {
        if (predict->settings[i].num_workers == workers &&
            predict->settings[i].prefetch_factor == prefetch)
            return &predict->settings[i];
    }
    return NULL;
}

static const struct cost sleeping = {10, 0, 0}, computing = {0, 10, 5};

static void what_sleeps_goes_side_by_side(void **state)
{
    (void)state;
    begin(&sleeping, 1);
    measure_as_replayed();
    struct predict *predict = predicted();
    assert_string_equal(predict->says, "");
    assert_true(fabs(predict->miss) < 0.01);
    for (uint32_t workers = 1; workers <= 4; workers++) {
        const struct predict_setting *one = find(predict, workers, 2);
        assert_non_null(one);
        const double faster = predict_faster(predict, &one->window_s).mean;
        CHECK(fabs(faster - workers) < 0.08 * workers, "%u workers: %.2fx", workers, faster);
    }
    char line[128], wanted[64];
    output_predict_line(predict, line, sizeof line);
    const struct predict_setting *best = &predict->settings[predict->best];
    snprintf(wanted, sizeof wanted, "num_workers=%u: %.2fx faster (", best->num_workers,
             predict_faster(predict, &best->window_s).mean);
    CHECK(strncmp(line, wanted, strlen(wanted)) == 0, "'%s', not '%s'", line, wanted);
    free(predict);
}

/* A worker computes 6.5 ms a batch beside a loop that sleeps 5 ms of it, on two CPUs. Two workers are faster
 * where each of the three has a CPU when it wakes; where it waits for the slice of who runs there they are
 * not, and one worker does not show which it is: no gain is promised. */
static void who_wakes_may_wait_for_a_cpu(void **state)
{
    (void)state;
    static const struct cost bare = {0, 6.5, 0};
    begin(&bare, 1);
    why.host.cpus_usable = 2;
    why.host.idle_cpus = 0.85;
    why.work.running_cpus = 0.95;
    for (uint32_t i = 0; i < BATCHES; i++) {
        batches[i].times[RF_BATCH_CONSUMED] = units(5);
        batches[i].times[RF_BATCH_WAITED] = units(1.5);
    }
    stretch.words[RF_STRETCH_END_CPU_NS] = BATCHES * MS / 4;
    measure_as_replayed();
    struct predict *predict = predicted();
    assert_string_equal(predict->says, "");
    for (uint32_t workers = 2; workers <= 4; workers++) {
        const struct predict_setting *one = find(predict, workers, 2);
        const struct range faster = predict_faster(predict, &one->window_s);
        CHECK(faster.mean > 1.1 && faster.lower < 1, "%u workers: %.2fx (%.2f to %.2f)", workers,
              faster.mean, faster.lower, faster.upper);
    }
    free(predict);
}

/* Two threads of the one worker run for 30 ms each while an item waits for them for 30 ms, and its own thread
 * for a CPU now and then: the replay of that is the run, on the two CPUs that they fill. */
static void threads_of_an_item_run_at_once(void **state)
{
    (void)state;
    static const struct cost waits = {26, 0.5, 4};
    begin(&waits, 1);
    for (uint32_t i = 0; i < BATCHES; i++)
        batches[i].times[RF_BATCH_THREADS] = units(59.5);
    why.host.cpus_usable = 2;
    why.host.idle_cpus = 0.05;
    why.work.running_cpus = 1.9;
    why.active_ns = BATCHES * 31 * MS;
    struct predict *predict = predicted();
    assert_string_equal(predict->says, "");
    CHECK(fabs(predict->miss) < 0.05, "%.3f", predict->miss);
    const struct predict_setting *one = find(predict, 2, 2);
    const double faster = predict_faster(predict, &one->window_s).mean;
    CHECK(faster < 1.15, "two workers, as the CPUs are full: %.2fx", faster);
    free(predict);
}

/* A sampler that takes 8 ms a batch takes them in the loop, with workers and without. */
static void drawing_indices_is_of_the_loop_in_every_setting(void **state)
{
    (void)state;
    static const struct cost quick = {0, 1, 0};
    for (uint32_t measured = 0; measured <= 1; measured++) {
        begin(&quick, 1);
        loader.entry.num_workers = measured;
        why.work.workers = measured;
        for (uint32_t i = 0; i < BATCHES; i++) {
            uint32_t *t = batches[i].times;
            t[RF_BATCH_SAMPLER] = units(8);
            t[RF_BATCH_TAIL] = measured > 0 ? units(8.05) : RF_STRETCH_UNKNOWN;
            t[RF_BATCH_WAITED] = units(measured > 0 ? 8.2 : 9.1);
        }
        measure_as_replayed();
        struct predict *predict = predicted();
        CHECK(predict->says[0] == '\0', "%u workers: %s", measured, predict->says);
        for (uint32_t i = 0; i < predict->count; i++) {
            const struct predict_setting *one = &predict->settings[i];
            CHECK(one->window_s.mean > 0.008 * BATCHES && one->window_s.mean < 0.012 * BATCHES,
                  "measured with %u, predicted for %u: %.3f s", measured, one->num_workers,
                  one->window_s.mean);
        }
        free(predict);
    }
}

/* CPUs that neither were idle nor are the program's are others'; next to none of them is what sending
 * takes, and what workers use while they start is the program's. */
static void neighbours_use_cpus(void **state)
{
    (void)state;
    static const struct {
        double usable, idle, loop, running;
        uint64_t startup_ns;
        double cpus;
    } rows[] = {
        {4, 1, 0.5, 1, 0, 2.5},     {4, 2.2, 0.5, 1, 0, 4},     {4, 2.05, 0.5, 1, 0, 3.55},
        {2, 0, 0.25, 0.25, 0, 0.5}, {4, 1, 0.5, 1, S / 2, 2.9}, {4, NAN, 0.5, 1, 0, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct predict_model model;
        char says[240] = "";
        begin(&sleeping, 1);
        why.active_ns = S;
        why.host.cpus_usable = rows[i].usable;
        why.host.idle_cpus = rows[i].idle;
        why.host.loop_cpus = rows[i].loop;
        why.work.running_cpus = rows[i].running;
        why.work.startup_ns = rows[i].startup_ns;
        assert_true(predict_model_make(&process, &loader, &why, false, &model, says, sizeof says));
        CHECK(fabs(model.costs.cpus - rows[i].cpus) < 1e-6, "row %zu: %.3f CPUs", i,
              model.costs.cpus);
        free(model.batches);
    }
}

/* Ten epochs whose first batch is waited for by so much longer take so much longer. */
static void the_start_is_fitted_to_the_first_wait(void **state)
{
    (void)state;
    double times[2];
    for (int i = 0; i < 2; i++) {
        begin(&sleeping, 10);
        stretches.head[RF_STRETCH_NEW] = 10;
        stretches.head[RF_STRETCH_NEW_ITER_NS] = 10 * 20 * MS;
        stretches.head[RF_STRETCH_NEW_FIRST_NS] = 10 * (i == 0 ? 100 : 500) * MS;
        why.work.generations = 10;
        why.work.startup_ns = 10 * 50 * MS;
        measure_as_replayed();
        times[i] = (double)why.active_ns;
    }
    const double more_ms = (times[1] - times[0]) / 10 / MS;
    CHECK(fabs(more_ms - 400) < 20, "an epoch takes %.0f ms more", more_ms);
}

/* Batches waited for a CPU though the program leaves some idle: others took it. As much of that stays as
 * brings the replay to what was measured, and no more than all of it. */
static void waiting_for_a_cpu_is_fitted(void **state)
{
    (void)state;
    begin(&computing, 1);
    why.active_ns = 1; /* less than any replay: nothing of it stays */
    const double without = replayed();
    why.active_ns = 1000 * S; /* more than any: all of it */
    const double with = replayed();
    CHECK(with > 1.3 * without, "%.2f s with all of it, %.2f without", with * 1e-9, without * 1e-9);
    why.active_ns = (uint64_t)((without + with) / 2);
    struct predict *predict = predicted();
    CHECK(fabs(predict->miss) < 0.03, "it misses by %.3f", predict->miss);
    free(predict);
    why.active_ns = (uint64_t)(with * 1.05);
    predict = predicted();
    CHECK(fabs(predict->miss + 0.05 / 1.05) < 0.005, "it misses by %.3f", predict->miss);
    free(predict);
}

/* Batches of 10 MiB, of which 64 MiB of shared memory hold six. */
static void what_shared_memory_does_not_hold_is_left_out(void **state)
{
    (void)state;
    begin(&sleeping, 1);
    why.work.tensor_bytes = 10 * MIB;
    why.host.shm_size_bytes = 64.0 * (double)MIB;
    measure_as_replayed();
    struct predict *predict = predicted();
    assert_string_equal(predict->says, "");
    assert_non_null(find(predict, 0, 0));
    assert_non_null(find(predict, 3, 2));
    assert_null(find(predict, 4, 2));
    assert_non_null(find(predict, 1, 4));
    assert_null(find(predict, 1, 8));
    assert_non_null(strstr(predict->left_out, "a batch takes 10 MiB"));
    assert_non_null(strstr(predict->left_out, "/dev/shm holds 64 MiB"));
    free(predict);
    why.host.shm_size_bytes = 81.0 * (double)MIB;
    predict = predicted();
    assert_non_null(find(predict, 4, 2));
    assert_string_equal(predict->left_out, "");
    free(predict);
    why.host.shm_size_bytes = 1; /* the setting that ran did run */
    predict = predicted();
    assert_non_null(find(predict, 1, 2));
    assert_null(find(predict, 2, 2));
    free(predict);
    why.host.shm_size_bytes = NAN;
    predict = predicted();
    assert_non_null(find(predict, 4, 2));
    free(predict);
}

/* A stream whose workers do not ask which one they are: more of them would be other data, which no run is
 * told to try; the advice may say what a split would bring. */
static void a_stream_that_is_not_split(void **state)
{
    (void)state;
    for (uint64_t asked = 0; asked < 2; asked++) {
        begin(&sleeping, 1);
        measure_as_replayed();
        loader.entry.flags = DATASTALL_LOADER_STREAM;
        why.work.asked_which = asked;
        struct predict *predict = predicted();
        for (uint32_t workers = 0; workers <= 4; workers++) {
            const struct predict_setting *one = find(predict, workers, workers == 0 ? 0 : 2);
            assert_non_null(one);
            assert_int_equal(one->if_split, asked == 0 && workers > 1);
        }
        assert_int_equal(predict->settings[predict->best_if_split].num_workers, 4);
        if (asked == 0)
            assert_in_range(predict->settings[predict->best].num_workers, 0, 1);
        else
            assert_int_equal(predict->best, predict->best_if_split);
        free(predict);
    }
}

static void a_lock_that_workers_share_is_not_predicted(void **state)
{
    (void)state;
    begin(&sleeping, 1);
    measure_as_replayed();
    why.work.looks = 40;
    why.work.locked = 20;
    struct predict *predict = predicted();
    assert_non_null(strstr(predict->says, "a lock that they share"));
    assert_int_equal(predict->count, 0);
    free(predict);
}

/* ---- what cannot be predicted ---- */

static void it_failed(void)
{
    why.failure.kind = WHY_WORKER_KILLED;
}
static void workers_not_told(void)
{
    loader.entry.num_workers = DATASTALL_UNKNOWN;
}
static void an_older_version(void)
{
    process.stretches_count = 0;
}
static void another_loader_was_kept(void)
{
    loader.index = 4;
}
static void killed_before_a_batch(void)
{
    stretches.count = stretches.batch_count = 0;
    stretches.head[RF_STRETCH_BATCHES] = 0;
    loader.totals.counters[RF_COUNT_BATCHES] = loader.totals.counters[RF_COUNT_SAMPLES] = 0;
}
static void so_many_batches(uint32_t count)
{
    stretch.count = stretches.batch_count = count;
    stretches.head[RF_STRETCH_BATCHES] = loader.totals.counters[RF_COUNT_BATCHES] = count;
}
static void one_batch(void)
{
    so_many_batches(1);
}
static void two_batches(void)
{
    so_many_batches(2);
}
static void fifteen_batches(void)
{
    so_many_batches(15);
}
static void few_were_kept(void)
{
    stretch.count = stretches.batch_count = 15;
}
static void two_iterators_at_once(void)
{
    loader.totals.counters[RF_COUNT_BATCHES] = 2 * (uint64_t)BATCHES;
}
static void cpus_not_told(void)
{
    why.host.cpus_usable = NAN;
}
static void workers_told_nothing(void)
{
    for (uint32_t i = 0; i < BATCHES; i++)
        batches[i].times[RF_BATCH_ITEMS] = RF_STRETCH_UNKNOWN;
}
static void a_window_beyond_all(void)
{
    loader.entry.prefetch_factor = 5000;
}
static void workers_beyond_all(void)
{
    loader.entry.num_workers = why.work.workers = MACHINE_WORKERS + 1;
}
static void it_took_twice_as_long(void)
{
    measure_as_replayed();
    why.active_ns *= 2;
}
static void it_took_no_time(void)
{
    why.active_ns = 0;
}

/* One sentence, and no number of any setting. */
static void what_cannot_be_predicted_is_one_sentence(void **state)
{
    (void)state;
    static const struct {
        void (*change)(void);
        const char *says;
    } rows[] = {
        {it_failed, "did not run to its end"},
        {workers_not_told, "how many workers the loader has is not known"},
        {an_older_version, "its batches were not recorded one by one"},
        {another_loader_was_kept, "is the fifth or a later loader of its process"},
        {killed_before_a_batch, "its batches were not recorded one by one"},
        {one_batch, "too few batches were recorded"},
        {two_batches, "too few batches were recorded"},
        {fifteen_batches, "too few batches were recorded"},
        {few_were_kept, "too few batches were recorded"},
        {two_iterators_at_once, "several iterators of the loader were under way at once"},
        {cpus_not_told, "how many CPUs there are is not known"},
        {workers_told_nothing, "it is known for too few batches what the workers did"},
        {a_window_beyond_all, "more batches are under way than can be replayed"},
        {workers_beyond_all, "more batches are under way than can be replayed"},
        {it_took_twice_as_long, "takes 50 % less than it took"},
        {it_took_no_time, "than it took"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(&sleeping, 1);
        measure_as_replayed();
        rows[i].change();
        struct predict *predict = predicted();
        CHECK(strstr(predict->says, rows[i].says) != NULL, "row %zu: '%s'", i, predict->says);
        CHECK(strchr(predict->says, '\n') == NULL, "row %zu: %s", i, predict->says);
        CHECK(predict->count == 0 && predict->without_count == 0 && predict->left_out[0] == '\0' &&
                  predict->best == UINT32_MAX && predict->best_if_split == UINT32_MAX,
              "row %zu: %u settings", i, predict->count);
        free(predict);
    }
}

/* Sixteen batches are enough; and a million, of which stretches were kept, more workers than CPUs. */
static void what_can_just_be_predicted(void **state)
{
    (void)state;
    begin(&sleeping, 1);
    so_many_batches(16);
    measure_as_replayed();
    struct predict *predict = predicted();
    assert_string_equal(predict->says, "");
    free(predict);
    begin(&sleeping, 1);
    stretches.head[RF_STRETCH_BATCHES] = loader.totals.counters[RF_COUNT_BATCHES] =
        loader.totals.counters[RF_COUNT_SAMPLES] = 1000000;
    measure_as_replayed();
    CHECK(fabs((double)why.active_ns / (1e6 * 11 * MS) - 1) < 0.1, "%.0f s",
          (double)why.active_ns * 1e-9);
    const struct predict_options options = {.workers_from = 1,
                                            .workers_to = MACHINE_WORKERS,
                                            .prefetch_from = 1,
                                            .prefetch_to = 1,
                                            .cpus = NAN};
    predict = predict_make(&process, &loader, &why, false, &options);
    assert_non_null(predict);
    assert_string_equal(predict->says, "");
    for (uint32_t i = 0; i < predict->count; i++) {
        const struct range *rate = &predict->settings[i].samples_per_s;
        CHECK(rate->lower > 0 && rate->lower <= rate->mean && rate->mean <= rate->upper &&
                  rate->upper < 1e4,
              "%u workers: %f", predict->settings[i].num_workers, rate->mean);
    }
    assert_int_equal(predict->count, MACHINE_WORKERS);
    free(predict);
}

/* Where a GPU may hide waits, those whose exposed part is not known say nothing of the loop. */
static void a_gpu_without_its_clock_is_not_predicted(void **state)
{
    (void)state;
    begin(&sleeping, 1);
    measure_as_replayed();
    const struct predict_options options = {.workers_to = 4, .cpus = NAN};
    struct predict *predict = predict_make(&process, &loader, &why, true, &options);
    assert_non_null(predict);
    assert_non_null(strstr(predict->says, "its clock covers too few of the waits"));
    assert_int_equal(predict->count, 0);
    free(predict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_sleeps_goes_side_by_side),
        cmocka_unit_test(who_wakes_may_wait_for_a_cpu),
        cmocka_unit_test(threads_of_an_item_run_at_once),
        cmocka_unit_test(drawing_indices_is_of_the_loop_in_every_setting),
        cmocka_unit_test(neighbours_use_cpus),
        cmocka_unit_test(the_start_is_fitted_to_the_first_wait),
        cmocka_unit_test(waiting_for_a_cpu_is_fitted),
        cmocka_unit_test(what_shared_memory_does_not_hold_is_left_out),
        cmocka_unit_test(a_stream_that_is_not_split),
        cmocka_unit_test(a_lock_that_workers_share_is_not_predicted),
        cmocka_unit_test(what_cannot_be_predicted_is_one_sentence),
        cmocka_unit_test(what_can_just_be_predicted),
        cmocka_unit_test(a_gpu_without_its_clock_is_not_predicted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
