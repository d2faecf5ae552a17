/* SPDX-License-Identifier: Apache-2.0 */
/* A file that format 1.0 wrote (tests/c/data/format-1.0.dsrun) is read for ever, to the last
 * figure. When the format grows, this file stays and a new one is put beside it. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/summary.h"
#include "run/run_data.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static const char *fixture;

static struct run_data *read_run(void)
{
    struct run_data *run;
    size_t size;
    const char *folder = test_folder();
    unsigned char *bytes = test_read_file(fixture, &size);
    test_write_file(test_path(folder, "4242-0.dsrun"), bytes, size);
    free(bytes);
    assert_int_equal(run_data_read(folder, &run), 0);
    assert_int_equal(run->problems, 0);
    assert_int_equal(run->process_count, 1);
    return run;
}

static void who_wrote_it(void **state)
{
    (void)state;
    struct run_data *run = read_run();
    const struct run_process *process = &run->processes[0];
    const struct rf_process_static *fixed = &process->view.fixed;
    assert_int_equal(process->header.format_major, 1);
    assert_int_equal(process->header.format_minor, 0);
    assert_int_equal(process->header.created_real_ns, UINT64_C(1767225600) * SECOND);
    assert_int_equal(fixed->pid, 4242);
    assert_int_equal(fixed->rank, 3);
    assert_int_equal(fixed->world_size, 4);
    assert_string_equal(fixed->hostname, "host");
    assert_string_equal(fixed->name, "small");
    assert_string_equal(fixed->command, "python train.py");
    assert_int_equal(process->view.words[RF_PROCESS_STATE], RF_STATE_CLOSED);
    assert_int_equal(process->view.words[RF_PROCESS_ENDED_MONO], 112 * SECOND);
    assert_int_equal(process->view.words[RF_PROCESS_STAGE_NS + 2], 6 * SECOND);
    assert_string_equal(process->stage_names[1], "warm-up");
    assert_string_equal(process->stage_names[2], "train");
    assert_int_equal(process->liveness, RF_DEAD);
    run_data_free(run);
}

static void what_the_loader_did(void **state)
{
    (void)state;
    struct run_data *run = read_run();
    const struct run_loader *loader = &run->processes[0].loaders[0];
    datastall_statistics s;
    assert_int_equal(run->processes[0].loader_count, 1);
    assert_string_equal(loader->entry.name, "train");
    assert_string_equal(loader->entry.site, "train.py:42");
    assert_string_equal(loader->entry.dataset_type, "Images");
    assert_int_equal(loader->entry.source, DATASTALL_SOURCE_TORCH);
    assert_int_equal(loader->entry.num_workers, 4);
    assert_int_equal(loader->threads, 1);
    rf_totals_statistics(&loader->totals, &s);
    assert_int_equal(s.batches, 19);
    assert_int_equal(s.iterators, 1);
    assert_int_equal(s.steady.count, 18);
    assert_int_equal(s.steady.sum_ns, 1035 * MS);
    assert_int_equal(s.steady.min_ns, 15 * MS);
    assert_int_equal(s.steady.max_ns, 100 * MS);
    assert_in_range(s.steady.p50_ns, 59400000, 60600000);
    assert_int_equal(s.startup.count, 2);
    assert_int_equal(s.startup.sum_ns, 15 * MS);
    assert_int_equal(s.queue_normal, 8);
    assert_int_equal(s.queue_starved, 10);
    assert_int_equal(s.samples, 209);
    assert_int_equal(s.tokens, 2090);
    assert_true(s.packing_efficiency == 0.5);
    assert_true(s.mean_sequence_length == 10);
    assert_int_equal(s.stated_efficiency_batches, 1);
    assert_int_equal(s.window_begin_ns, 101 * SECOND);
    assert_int_equal(s.window_end_ns, 110 * SECOND + 600 * MS);
    assert_int_equal(loader->stages[1][RF_COUNT_BATCHES], 9);
    assert_int_equal(loader->stages[2][RF_COUNT_BATCHES], 10);
    assert_int_equal(loader->slowest[0].wait_ns, 100 * MS);
    assert_int_equal(loader->slowest[0].batch_index, 19);
    run_data_free(run);
}

static void what_it_means(void **state)
{
    (void)state;
    struct run_data *run = read_run();
    struct summary *summary;
    assert_int_equal(summary_make(run, 200 * SECOND, &summary), 0);
    assert_int_equal(summary->state, SUMMARY_ENDED);
    assert_true(fabs(summary->stall_share - 1.05 / 9.6) < 1e-12);
    /* Whether it used the GPU that was sampled nobody said: so much at most, and nothing for certain. */
    assert_true(summary->upper_bound);
    assert_int_equal(summary->severity, SUMMARY_SEVERITY_UNKNOWN);
    assert_int_equal(summary->stage_count, 2);
    summary_free(summary);
    run_data_free(run);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_wrote_it),
        cmocka_unit_test(what_the_loader_did),
        cmocka_unit_test(what_it_means),
    };
    if (argc < 2) {
        fprintf(stderr, "usage: test_format FIXTURE\n");
        return 2;
    }
    fixture = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
