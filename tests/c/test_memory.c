/* SPDX-License-Identifier: Apache-2.0 */
/* Memory runs out at each single allocation of what reads a run and says what it means: it is said, or the
 * rest is told without; nothing is lost, and nothing is read that was never had. */
#include "cmocka_all.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "diagnose/job.h"
#include "diagnose/job_details.h"
#include "diagnose/predict.h"
#include "recorded.h"
#include "run/listing.h"
#include "run/rings.h"
#include "run/run_data.h"
#include "runfile/rundir.h"
#include "runfile/writer.h"
#include "small_file.h"
#include "support.h"
#include "world.h"

static uint64_t allocations, failing; /* the failing-th of them fails; 0: none */

static bool fails(void)
{
    return ++allocations == failing;
}

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __real_realloc(old, bytes);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* Tries something with each of its allocations failing in turn, until there is none that fails; returns how
 * many failed. */
static uint64_t at_each_allocation(void (*try)(void))
{
    for (uint64_t n = 1;; n++) {
        allocations = 0;
        failing = n;
        try();
        failing = 0;
        if (allocations < n)
            return n - 1;
    }
}

/* Whatever cannot be had is an error of memory, and there is no result then. */
static void expect_said(int error, const void *result)
{
    CHECK((error == 0) == (result != NULL), "allocation %llu: %d", (unsigned long long)failing,
          error);
    if (error == 0)
        return;
    CHECK(error == DATASTALL_ERR_MEMORY && allocations >= failing, "allocation %llu: %d",
          (unsigned long long)failing, error);
    CHECK(strcmp(datastall_last_error(), "out of memory") == 0, "it says so");
}

/* ---- reading ---- */

static char folder[PATH_MAX];

/* Of everything that a file may have, something. */
static void make_run(void)
{
    const struct rf_spec spec = {
        .slots = 2, .recent_waits = 8, .workers = 2, .stretches = 1, .steps = 1};
    const struct rf_process_static process = {.kind = RF_PROCESS_RECORDER, .pid = 1, .rank = 1};
    const struct rf_loader_entry loader = {.source = DATASTALL_SOURCE_TORCH};
    struct rf_writer *writer;
    snprintf(folder, sizeof folder, "%s", test_path(test_folder(), "run"));
    assert_int_equal(mkdir(folder, 0700), 0);
    small_file_make(test_path(folder, "a.dsrun"), true);
    assert_int_equal(rf_writer_create(test_path(folder, "b.dsrun"), &spec, &process, &writer), 0);
    rf_write_loader(writer, 0, &loader);
    struct rf_slot_writer slot;
    rf_slot_attach(writer, 0, &slot);
    rf_slot_assign(&slot, 0, 1);
    for (uint64_t i = 0; i < 5; i++) {
        datastall_batch batch = DATASTALL_BATCH_INIT;
        const struct wait wait = {.begin_ns = (100 + i) * S,
                                  .wait_ns = MS,
                                  .kind = DATASTALL_WAIT_STEADY,
                                  .batch = &batch,
                                  .exposed = STALL_BOUNDS_UNKNOWN};
        rf_slot_append(&slot, &wait);
    }
    rf_slot_flush(&slot);
    uint64_t *worker = rf_entry(writer, RF_SECTION_WORKERS, 0);
    worker[RF_WORKER_GENERATION] = worker[RF_WORKER_COUNT] = 1;
    uint64_t *stretches = rf_entry(writer, RF_SECTION_STRETCHES, 0);
    stretches[RF_STRETCH_LOADER] = 1;
    stretches[RF_STRETCH_BATCHES] = 4;
    uint64_t *steps = rf_entry(writer, RF_SECTION_STEPS, 0);
    steps[RF_STEPS_THREAD] = 1;
    rf_writer_destroy(writer);
}

static uint32_t damaged; /* in a read that nothing fails in */

static void read_it(void)
{
    struct run_data *data = (void *)1;
    const int error = run_data_read(folder, &data);
    expect_said(error, data);
    if (error == 0) {
        CHECK(data->process_count == 2, "%u processes", data->process_count);
        if (failing == 0)
            damaged = data->problems;
        CHECK(failing == 0 || data->problems <= damaged,
              "allocation %llu: what there is no memory for is no damage: %u, %s",
              (unsigned long long)failing, data->problems, data->first_problem);
        struct run_rings rings;
        const int failed = run_rings_read(data, &data->processes[0], &rings);
        CHECK(failed == 0 || failed == DATASTALL_ERR_MEMORY, "rings: %d", failed);
        if (failed == 0)
            run_rings_free(&rings);
    }
    run_data_free(data);
}

static void read_live(void)
{
    struct run_data *before = (void *)1, *data = (void *)1;
    const int error = run_data_read_live(folder, &before);
    expect_said(error, before);
    if (error == 0) {
        const int next = run_data_read_next(folder, before, &data);
        expect_said(next, data);
        run_data_free(data);
    }
    run_data_free(before);
}

static void list_it(void)
{
    struct run_entry *runs;
    char **names = NULL;
    uint32_t count;
    CHECK(run_list(test_path(folder, ".."), &runs, &count) == 0, "list");
    run_list_free(runs, count);
    const int error = rf_run_files(folder, &names, &count, NULL);
    expect_said(error, names);
    if (error == 0) {
        CHECK(count == 2, "%u files", count);
        rf_run_files_free(names, count);
    }
}

static void reading(void **state)
{
    (void)state;
    make_run();
    read_it();
    assert_true(at_each_allocation(read_it) > 20);
    assert_true(at_each_allocation(read_live) > 10);
    assert_true(at_each_allocation(list_it) > 3);
}

/* ---- meaning ---- */

static void make_world(void)
{
    static const struct recorded_plan plan = RECORDED_PLAN;
    record_plan(&plan);
    begin_world(2);
    for (uint32_t i = 0; i < 2; i++) {
        set_wait(i, 100 * S, 110 * S, S);
        uint64_t *c = world.loaders[i].totals.counters;
        c[RF_COUNT_BATCHES] = c[RF_COUNT_STEADY] = c[RF_COUNT_SAMPLES_BATCHES] = 128;
        c[RF_COUNT_ITERATORS] = 1;
        c[RF_COUNT_SAMPLES] = 512;
        world.loaders[i].entry = recorded.loader.entry;
        world.processes[i].view.fixed.rank = i;
        world.processes[i].view.fixed.world_size = 2;
        world.processes[i].stretches = &recorded.stretches;
        world.processes[i].stretches_count = 1;
    }
}

static void say_what_it_means(void)
{
    struct summary *summary = (void *)1;
    const int error = summary_make(&world.data, 1000 * S, &summary);
    expect_said(error, summary);
    summary_free(summary);
}

static void settle_a_job(void)
{
    const uint64_t fails_at = failing;
    struct summary *summary;
    failing = 0;
    assert_int_equal(summary_make_bare(&world.data, 1000 * S, &summary), 0);
    allocations = 0;
    failing = fails_at;
    struct job *job = job_begin(2);
    struct job_figures figures;
    const bool settled = job != NULL && job_add(job, summary) && job_settle(job, &figures);
    CHECK(settled || (allocations >= failing && failing > 0), "allocation %llu of %llu",
          (unsigned long long)failing, (unsigned long long)allocations);
    const uint64_t made = allocations;
    /* What is settled all the same lacks nothing: of both ranks all steps. */
    CHECK(!settled || (figures.ranks == 2 && figures.steps_seen == 128),
          "allocation %llu: %u, %llu", (unsigned long long)failing, figures.ranks,
          (unsigned long long)figures.steps_seen);
    job_free(job);
    failing = 0;
    summary_free(summary);
    allocations = made;
    failing = fails_at;
}

/* The world's job, with all the memory it takes; what comes then may fail. */
static struct job *put_together(struct summary **summary)
{
    const uint64_t fails_at = failing;
    failing = 0;
    assert_int_equal(summary_make_bare(&world.data, 1000 * S, summary), 0);
    struct job *job = job_begin(2);
    assert_true(job_add(job, *summary));
    allocations = 0;
    failing = fails_at;
    return job;
}

static void take_apart(struct job *job, struct summary *summary)
{
    job_free(job);
    summary_free(summary);
}

/* Once it is put together, each allocation is needed: without one there is no figure at all. */
static void settle_what_was_added(void)
{
    const uint64_t fails_at = failing;
    struct summary *summary;
    struct job_figures figures;
    struct job *job = put_together(&summary);
    const bool settled = job_settle(job, &figures);
    const uint64_t made = allocations;
    failing = 0;
    CHECK(settled == (made < fails_at), "allocation %llu of %llu", (unsigned long long)fails_at,
          (unsigned long long)made);
    take_apart(job, summary);
    allocations = made;
    failing = fails_at;
}

/* Details of a job are all there, or it is said that there are none. */
static void settle_in_detail(void)
{
    const uint64_t fails_at = failing;
    struct summary *summary;
    struct job_figures figures;
    struct job_details details;
    struct job *job = put_together(&summary);
    const bool settled = job_settle_in_detail(job, &figures, &details);
    const uint64_t made = allocations;
    failing = 0;
    uint64_t steps = 0;
    for (uint32_t s = 0; s < JOB_SPANS; s++)
        steps += details.spans[s].steps;
    CHECK(settled == (made < fails_at), "allocation %llu of %llu", (unsigned long long)fails_at,
          (unsigned long long)made);
    CHECK(!settled || (details.rank_count == 2 && steps == figures.steps_seen), "%u, %llu of %llu",
          details.rank_count, (unsigned long long)steps, (unsigned long long)figures.steps_seen);
    if (settled)
        job_details_free(&details);
    take_apart(job, summary);
    allocations = made;
    failing = fails_at;
}

/* Of the settings those are told that were replayed to the end. */
static void predict_it(void)
{
    const struct predict_options options = {.workers_to = 4, .cpus = NAN};
    struct predict *predict =
        predict_make(&recorded.process, &recorded.loader, &recorded.why, false, &options);
    if (predict == NULL)
        return;
    const bool whole = allocations < failing || failing == 0;
    CHECK(!whole || (predict->says[0] == '\0' && predict->count > 5), "%s", predict->says);
    for (uint32_t i = 0; i < predict->count; i++) {
        const struct range *window = &predict->settings[i].window_s;
        CHECK(window->mean > 0 && window->lower <= window->mean && window->mean <= window->upper,
              "allocation %llu, setting %u: %g (%g to %g)", (unsigned long long)failing, i,
              window->mean, window->lower, window->upper);
    }
    for (uint32_t i = 0; i < predict->without_count; i++)
        CHECK(predict->without[i].window_s.mean > 0, "allocation %llu",
              (unsigned long long)failing);
    free(predict);
}

static void meaning(void **state)
{
    (void)state;
    make_world();
    assert_true(at_each_allocation(settle_in_detail) > 5);
    assert_true(at_each_allocation(predict_it) > 5);
    assert_true(at_each_allocation(say_what_it_means) > 5);
    assert_true(at_each_allocation(settle_a_job) > 5);
    assert_true(at_each_allocation(settle_what_was_added) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(meaning),
    };
    unsetenv("DATASTALL_RECORD_ON");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
