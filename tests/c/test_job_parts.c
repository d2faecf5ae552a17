/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a job's figures, each by itself: what is taken of a rank, batches side by side, what a step
 * lost, and the words. Numbers are small enough to be reckoned by hand. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/job_details.h"
#include "diagnose/job_parts.h"
#include "diagnose/steps.h"
#include "support.h"
#include "world.h"

#define UNIT RF_STRETCH_UNIT_NS
#define NEAR 1e-9

/* ---- what is taken of a rank ---- */

#define BATCHES 8u
static struct rf_stretch_batch batches[BATCHES];
static struct run_stretch stretch[2];
static struct run_stretches stretches;
static struct run_loader loaders[3];
static struct run_process processes[3];
static struct summary_loader told_loaders[3];
static struct summary_process told_processes[3];
static struct summary_steps told_steps[3];
static struct summary_gpu gpu;
static struct summary summary;
static struct job *job;

/* A rank with one loader, 4 batches of which are kept: it asks 10 units after the one before and waits 20. */
static void begin_rank(void)
{
    memset(loaders, 0, sizeof loaders);
    memset(processes, 0, sizeof processes);
    memset(told_loaders, 0, sizeof told_loaders);
    memset(told_processes, 0, sizeof told_processes);
    memset(told_steps, 0, sizeof told_steps);
    memset(stretch, 0, sizeof stretch);
    for (uint32_t i = 0; i < BATCHES; i++) {
        batches[i] = (struct rf_stretch_batch){.batch = 100 + i};
        for (uint32_t t = 0; t < RF_BATCH_TIMES; t++)
            batches[i].times[t] = RF_STRETCH_UNKNOWN;
        batches[i].times[RF_BATCH_CONSUMED] = 10;
        batches[i].times[RF_BATCH_WAITED] = 20;
    }
    for (uint32_t s = 0; s < 2; s++) {
        stretch[s].words[RF_STRETCH_NUMBER] = s + 1;
        stretch[s].words[RF_STRETCH_BEGIN_NS] = (s + 1) * 1000000;
        stretch[s].first = 4 * s;
        stretch[s].count = 4;
    }
    stretches = (struct run_stretches){
        .count = 1, .stretches = stretch, .batches = batches, .batch_count = BATCHES};
    for (uint32_t i = 0; i < 3; i++) {
        strcpy(loaders[i].entry.name, "train");
        loaders[i].index = i;
        loaders[i].totals.counters[RF_COUNT_BATCHES] = 50 + i;
        processes[i].view.fixed.rank = i;
        processes[i].view.fixed.world_size = 3;
        processes[i].view.fixed.restart = DATASTALL_UNKNOWN;
        told_processes[i] = (struct summary_process){.data = &processes[i],
                                                     .method = SUMMARY_METHOD_HOST_EXACT,
                                                     .active_ns = 2000000000,
                                                     .gpu = UINT32_MAX};
        told_loaders[i] = (struct summary_loader){
            .data = &loaders[i], .process = i, .in_verdict = true, .why.primary = WHY_NONE};
        told_loaders[i].why.host.throttled_s = 0;
        told_loaders[i].why.host.cpu_pressure = NAN;
    }
    processes[0].stretches = &stretches;
    processes[0].stretches_count = 1;
    gpu = (struct summary_gpu){
        .gpm.sm_share = NAN, .held_thermal_share = NAN, .held_hardware_share = NAN};
    summary = (struct summary){.loader_count = 1,
                               .process_count = 3,
                               .loaders = told_loaders,
                               .processes = told_processes,
                               .gpus = &gpu,
                               .gpu_count = 1,
                               .steps = told_steps};
}

static void add(uint32_t expected)
{
    job = job_begin(expected);
    assert_non_null(job);
    assert_true(job_add(job, &summary));
}

static void batches_on_the_clock(void **state)
{
    (void)state;
    begin_rank();
    batches[0].flags = batches[2].flags = RF_BATCH_IS_FIRST;
    batches[0].times[RF_BATCH_ITER] = 5;
    batches[2].times[RF_BATCH_ITER] = 3;
    batches[3].times[RF_BATCH_ITER] = 99; /* no first one */
    add(1);
    assert_int_equal(job->count, 1);
    const struct job_member *m = &job->members[0];
    static const struct {
        int64_t begin, end; /* units from the call of the first next() */
        uint64_t stall;
        bool first;
    } rows[] = {{-5, 20, 25, true}, {30, 50, 20, false}, {60, 83, 23, true}, {93, 113, 20, false}};
    assert_int_equal(m->count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        const struct job_step *step = &m->steps[i];
        assert_int_equal(step->index, 100 + i);
        assert_int_equal((int64_t)step->begin_ns, 1000000 + rows[i].begin * UNIT);
        assert_int_equal((int64_t)step->end_ns, 1000000 + rows[i].end * UNIT);
        assert_int_equal(step->lower_ns, rows[i].stall * UNIT);
        assert_int_equal(step->upper_ns, rows[i].stall * UNIT);
        assert_int_equal(step->first, rows[i].first);
    }
    job_free(job);
}

/* What is not known of a batch ends what is taken of its stretch. */
static void a_stretch_ends_where_it_is_not_known(void **state)
{
    (void)state;
    static const struct {
        uint32_t batch;
        enum rf_stretch_time time;
        uint32_t units, count;
    } rows[] = {{0, RF_BATCH_WAITED, RF_STRETCH_UNKNOWN, 0},
                {0, RF_BATCH_WAITED, RF_STRETCH_UNKNOWN - 1, 0}, /* longer than can be told */
                {0, RF_BATCH_WAITED, RF_STRETCH_UNKNOWN - 2, 4},
                {0, RF_BATCH_CONSUMED, RF_STRETCH_UNKNOWN, 4}, /* before it nothing is taken */
                {1, RF_BATCH_CONSUMED, RF_STRETCH_UNKNOWN, 1},
                {2, RF_BATCH_CONSUMED, RF_STRETCH_UNKNOWN, 2},
                {2, RF_BATCH_CONSUMED, RF_STRETCH_UNKNOWN - 1, 2},
                {2, RF_BATCH_CONSUMED, RF_STRETCH_UNKNOWN - 2, 4},
                {3, RF_BATCH_WAITED, RF_STRETCH_UNKNOWN, 3}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_rank();
        stretches.count = 2;
        batches[rows[i].batch].times[rows[i].time] = rows[i].units;
        add(1);
        CHECK(job->members[0].count == rows[i].count + 4, "row %u: %u", i, job->members[0].count);
        assert_int_equal(job->members[0].steps[rows[i].count].index, 104);
        assert_int_equal(job->members[0].steps[rows[i].count].begin_ns, 2000000);
        job_free(job);
    }
    begin_rank();
    batches[2].batch++;
    batches[3].batch++;
    add(1);
    assert_int_equal(job->members[0].count, 2);
    job_free(job);
}

static void what_a_batch_stalled(void **state)
{
    (void)state;
    static const struct {
        enum summary_method method;
        uint32_t iter, lower, upper; /* exposed */
        uint64_t least, most;        /* of 20 in next() */
    } rows[] = {
        {SUMMARY_METHOD_HOST_EXACT, 0, 3, 7, 20, 20},
        {SUMMARY_METHOD_HOST_EXACT, 4, 3, 7, 24, 24},
        {SUMMARY_METHOD_HOST_BOUND, 0, 3, 7, 0, 20},
        {SUMMARY_METHOD_UNKNOWN, 0, 3, 7, 0, 20},
        {SUMMARY_METHOD_GPU_EVENTS, 0, 3, 7, 3, 7},
        {SUMMARY_METHOD_GPU_EVENTS, 4, 3, 7, 3, 11},
        {SUMMARY_METHOD_GPU_EVENTS, 4, 3, 30, 3, 24}, /* no more than it waited */
        {SUMMARY_METHOD_GPU_EVENTS, 0, RF_STRETCH_UNKNOWN, 7, 0, 7},
        {SUMMARY_METHOD_GPU_EVENTS, 0, 3, RF_STRETCH_UNKNOWN, 0, 20},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_rank();
        told_processes[0].method = rows[i].method;
        if (rows[i].iter > 0) {
            batches[0].flags = RF_BATCH_IS_FIRST;
            batches[0].times[RF_BATCH_ITER] = rows[i].iter;
        }
        batches[0].times[RF_BATCH_EXPOSED_LOWER] = rows[i].lower;
        batches[0].times[RF_BATCH_EXPOSED_UPPER] = rows[i].upper;
        add(1);
        const struct job_step *step = &job->members[0].steps[0];
        CHECK(step->lower_ns == rows[i].least * UNIT && step->upper_ns == rows[i].most * UNIT,
              "row %u: %llu to %llu", i, (unsigned long long)step->lower_ns,
              (unsigned long long)step->upper_ns);
        assert_int_equal(job->members[0].gpu, rows[i].method != SUMMARY_METHOD_HOST_EXACT);
        job_free(job);
    }
}

/* What its loader stalled in all, by the same methods. */
static void what_a_loader_stalled(void **state)
{
    (void)state;
    static const struct {
        enum summary_method method;
        uint64_t least, most;
    } rows[] = {{SUMMARY_METHOD_HOST_EXACT, 900, 900},
                {SUMMARY_METHOD_GPU_EVENTS, 300, 900 - 700 + 400},
                {SUMMARY_METHOD_HOST_BOUND, 0, 900}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_rank();
        told_processes[0].method = rows[i].method;
        told_loaders[0].stall = (struct stall){900, 700, 300, 400};
        add(1);
        assert_int_equal(job->members[0].total.lower_ns, rows[i].least);
        assert_int_equal(job->members[0].total.upper_ns, rows[i].most);
        job_free(job);
    }
}

/* Of very many ranks fewer stretches are kept of each, the same ones of all. */
static void stretches_of_very_many_ranks(void **state)
{
    (void)state;
    static struct run_stretch many[32];
    static struct rf_stretch_batch one[32];
    static const struct {
        uint32_t ranks, count; /* of 32 stretches: as many as 256 MB hold of 64 batches each */
        uint64_t every, kept;
    } rows[] = {{1, 32, 1, 32},      {1000, 32, 1, 32},     {2729, 32, 1, 32},
                {2730, 32, 2, 16},   {5460, 32, 2, 16},     {5461, 32, 4, 8},
                {100000, 32, 32, 1}, {10000000, 32, 32, 1}, {1, 32, 4, 8}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_rank();
        for (uint32_t s = 0; s < 32; s++) {
            one[s] = batches[0];
            one[s].batch = 64 * s;
            many[s] = stretch[0];
            many[s].words[RF_STRETCH_NUMBER] = 1 + s;
            many[s].first = s;
            many[s].count = 1;
        }
        stretches = (struct run_stretches){
            .count = 32, .stretches = many, .batches = one, .batch_count = 32};
        stretches.head[RF_STRETCH_EVERY] = i == 8 ? 4 : i % 2;
        add(rows[i].ranks);
        CHECK(job->members[0].count == rows[i].kept, "row %u: %u kept", i, job->members[0].count);
        for (uint32_t k = 0; k < rows[i].kept; k++)
            assert_int_equal(job->members[0].steps[k].index, 64 * k * rows[i].every);
        job_free(job);
    }
}

static void ranks_and_their_names(void **state)
{
    (void)state;
    begin_rank();
    summary.loader_count = 3;
    told_loaders[1].process = 0; /* a second loader of the first process */
    told_loaders[2].process = 2;
    strcpy(loaders[1].entry.site, "train.py:7");
    strcpy(loaders[1].entry.dataset_type, "Pictures");
    told_loaders[1].why.primary = CAUSE_BLOCKED;
    told_loaders[2].why.primary = CAUSE_UNKNOWN;
    processes[2].view.fixed.restart = 4;
    processes[2].view.fixed.opened_mono_ns = 77;
    strcpy(processes[0].view.fixed.job, "job 9");
    strcpy(processes[2].view.fixed.job, "job 10");
    add(3);
    assert_string_equal(job->id, "job 9");
    assert_int_equal(job->count, 3);
    const struct job_member *m = job->members;
    assert_string_equal(m[0].loader, "train\n\n");
    assert_string_equal(m[0].cause, "train");
    assert_string_equal(m[1].loader, "train\ntrain.py:7\nPictures");
    assert_string_equal(m[1].cause, "blocked at train.py:7");
    assert_string_equal(m[2].cause, "train");
    assert_int_equal(m[1].rank, 0);
    assert_int_equal(m[2].rank, 2);
    assert_int_equal(m[0].restart, 0);
    assert_int_equal(m[2].restart, 4);
    assert_int_equal(m[2].opened_ns, 77);
    assert_int_equal(m[1].batches, 51);
    assert_int_equal(m[1].world_size, 3);
    /* Of a process once. */
    assert_float_equal(m[0].active_s, 2, NEAR);
    assert_float_equal(m[1].active_s, 0, NEAR);
    assert_float_equal(m[2].active_s, 2, NEAR);
    assert_int_equal(m[0].count, 4);
    assert_int_equal(m[1].count, 0); /* no stretches of that one */
    assert_null(m[1].steps);
    job_free(job);
    begin_rank();
    summary.loader_count = 2;
    told_loaders[0].in_verdict = false;
    processes[1].view.fixed.rank = DATASTALL_UNKNOWN;
    add(2);
    assert_int_equal(job->count, 0);
    job_free(job);
}

/* Processes of one boot have one clock, unless real time less monotonic differs by 5 s. */
static void machines_and_their_clocks(void **state)
{
    (void)state;
    static const struct {
        const char *boot[3], *node[3];
        int64_t real_ns[3];
        uint32_t clock[3], its_node[3], clocks, nodes;
    } rows[] = {
        {{"a", "a", "a"}, {"x", "x", "x"}, {100, 100, 100}, {0, 0, 0}, {0, 0, 0}, 1, 1},
        {{"a", "b", "a"}, {"x", "y", "x"}, {100, 100, 100}, {0, 1, 0}, {0, 1, 0}, 2, 2},
        {{"a", "a", "a"},
         {"x", "x", "y"},
         {100, 4999999999 + 100, -4999999999 + 100},
         {0, 0, 0},
         {0, 0, 1},
         1,
         2},
        {{"a", "a", "a"},
         {"x", "y", "z"},
         {100, 5000000100, -4999999900},
         {0, 1, 2},
         {0, 1, 2},
         3,
         3},
        {{"a", "b", "b"}, {"x", "x", "y"}, {100, 100, 100}, {0, 1, 1}, {0, 0, 1}, 2, 2},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_rank();
        summary.loader_count = 3;
        for (uint32_t k = 0; k < 3; k++) {
            strcpy(processes[k].header.boot_id, rows[i].boot[k]);
            strcpy(processes[k].view.fixed.node, rows[i].node[k]);
            processes[k].header.created_mono_ns = 10000000000 * (k + 1);
            processes[k].header.created_real_ns =
                processes[k].header.created_mono_ns + (uint64_t)rows[i].real_ns[k];
        }
        add(3);
        CHECK(job->clocks == rows[i].clocks && job->nodes == rows[i].nodes, "row %u: %u, %u", i,
              job->clocks, job->nodes);
        for (uint32_t k = 0; k < 3; k++) {
            assert_int_equal(job->members[k].clock, rows[i].clock[k]);
            assert_int_equal(job->members[k].node, rows[i].its_node[k]);
            assert_string_equal(job->node[rows[i].its_node[k]], rows[i].node[k]);
        }
        job_free(job);
    }
}

/* Of more machines than a table first holds each has its own clock and name, and is found again. */
static void many_machines(void **state)
{
    (void)state;
    job = job_begin(20);
    assert_non_null(job);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 9; i++) {
            begin_rank();
            snprintf(processes[0].header.boot_id, sizeof processes[0].header.boot_id, "boot %u", i);
            snprintf(processes[0].view.fixed.node, sizeof processes[0].view.fixed.node, "node %u",
                     i);
            processes[0].view.fixed.rank = i;
            assert_true(job_add(job, &summary));
            const uint32_t at = 9 * round + i;
            assert_int_equal(job->count, at + 1);
            assert_int_equal(job->members[at].clock, i);
            assert_int_equal(job->members[at].node, i);
        }
        assert_int_equal(job->clocks, 9);
        assert_int_equal(job->nodes, 9);
    }
    for (uint32_t i = 0; i < 18; i++) {
        char name[16];
        snprintf(name, sizeof name, "node %u", i % 9);
        assert_string_equal(job->node[job->members[i].node], name);
        assert_int_equal(job->members[i].rank, i % 9);
        assert_int_equal(job->members[i].count, 4);
    }
    job_free(job);
    job_free(NULL);
}

static void what_the_machine_did_to_it(void **state)
{
    (void)state;
    static const struct {
        bool has_gpu;
        double thermal, hardware, throttled_s; /* of 2 s */
        const char *text;
    } rows[] = {
        {true, 0.05, NAN, 0,
         "its GPU's clocks were held back by heat for 5 % of the time, at 900 MHz"},
        {true, 0.049, 0.02, 0, ""},
        {true, NAN, 0.6, 0,
         "its GPU's clocks were held back by the hardware for 60 % of the time, at 900 MHz"},
        {true, 0.06, 0.3, 1,
         "its GPU's clocks were held back by heat for 30 % of the time, at 900 MHz"},
        {false, 0.5, 0.5, 0.125, "its cgroup's CPU quota held it back for 0.1 s"},
        {true, NAN, NAN, 0.1, "its cgroup's CPU quota held it back for 0.1 s"},
        {true, NAN, NAN, 0.0999, ""},
        {true, NAN, NAN, NAN, ""},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_rank();
        gpu = (struct summary_gpu){.gpm.sm_share = NAN,
                                   .held_thermal_share = rows[i].thermal,
                                   .held_hardware_share = rows[i].hardware,
                                   .sm_clock_mean_mhz = 900};
        told_processes[0].gpu = rows[i].has_gpu ? 0 : UINT32_MAX;
        told_loaders[0].why.host.throttled_s = rows[i].throttled_s;
        told_loaders[0].why.host.cpu_pressure = 0.25;
        add(1);
        assert_string_equal(job->members[0].machine, rows[i].text);
        assert_float_equal(job->members[0].cpu_pressure, 0.25, NEAR);
        job_free(job);
    }
}

/* For how long a rank's GPU had work, where it is its own and was counted all along. */
static void how_long_a_gpu_works(void **state)
{
    (void)state;
    static const struct {
        uint32_t processes, gpu;
        double mean, known_s, sm_s, power, thermal, hardware;
        double told_s, held;
    } rows[] = {
        {1, 0, 0.3, 2.5, 0.5, 0.2, NAN, 0.1, 0.5, 0.2},
        {1, 0, 0.3, 9, 2.5, NAN, 0.3, NAN, 2.5, 0.3}, /* it worked before its loaders as well */
        {1, 0, 0.3, 1.8, 0, NAN, NAN, NAN, 0, NAN},
        {1, 0, 0.3, 1.79, 0.5, 0.2, NAN, NAN, NAN, NAN},         /* for less of its 2 s */
        {2, 0, 0.3, 2.5, 0.5, 0.2, NAN, NAN, NAN, NAN},          /* shared */
        {0, 0, 0.3, 2.5, 0.5, 0.2, NAN, NAN, NAN, NAN},          /* nobody was seen to use it */
        {1, 0, NAN, 2.5, 0.5, 0.2, NAN, NAN, NAN, NAN},          /* not counted */
        {1, UINT32_MAX, 0.3, 2.5, 0.5, 0.2, NAN, NAN, NAN, NAN}, /* not known which */
    };
    static struct rf_gpu_view view;
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_rank();
        uint64_t *counted = &view.words[RF_GPU_GPM + 2 * RF_GPM_SM];
        counted[0] = (uint64_t)(rows[i].known_s * 1e9);
        counted[1] = (uint64_t)(rows[i].sm_s * 1e9);
        gpu = (struct summary_gpu){.data = &view,
                                   .processes = rows[i].processes,
                                   .gpm.sm_share = rows[i].mean,
                                   .sm_clock_mean_mhz = 1500,
                                   .held_power_share = rows[i].power,
                                   .held_thermal_share = rows[i].thermal,
                                   .held_hardware_share = rows[i].hardware};
        told_processes[0].gpu = rows[i].gpu;
        const struct job_gpu found = job_gpu_of(&summary, &told_processes[0]);
        assert_figure(found.sm_s, rows[i].told_s);
        assert_figure(found.held_share, rows[i].held);
        assert_figure(found.sm_clock_mhz, isnan(rows[i].told_s) ? NAN : 1500);
    }
}

#define FOUR_TIMES                                                                               \
    "the GPU of rank 1 had work for 4.0 times as long as any other rank's (its multiprocessors " \
    "for 8.0 s, those of the next for 2.0 s): the others wait for it if they have as much to do"
#define HELD "; its clocks were held back for 5 % of the time, at 1400 MHz beside 1500"

/* Which rank's GPU works for longer than all others', where nothing that is charged explains it. */
static void the_busiest_gpu(void **state)
{
    (void)state;
    static const struct job_gpu shown[] = {{2, 1500, 0}, {8, 1500, 0}, {1, 1500, 0}};
    static const struct {
        const char *what;
        struct job_gpu gpu[3];
        double lost_s, own_s, other_s; /* to input; to lateness of rank 1, of rank 2 */
        uint32_t nodes;
        const char *text; /* "": nothing */
    } rows[] = {
        {"one", {shown[0], shown[1], shown[2]}, 0, 0, 0, 1, FOUR_TIMES},
        {"the other way round", {shown[2], shown[1], shown[0]}, 0, 0, 0, 1, FOUR_TIMES},
        {"charged as well", {shown[0], shown[1], shown[2]}, 0.4, 9, 0.4, 1, FOUR_TIMES},
        {"input is charged", {shown[0], shown[1], shown[2]}, 0.5, 0, 0, 1, ""},
        {"another is charged", {shown[0], shown[1], shown[2]}, 0, 0, 0.5, 1, ""},
        {"no number", {shown[0], shown[1], shown[2]}, NAN, 0, 0, 1, ""},
        {"alike", {{7, 1500, 0}, shown[1], shown[2]}, 0, 0, 0, 1, ""},
        {"as good as alike", {{6.81, 1500, 0}, shown[1], shown[2]}, 0, 0, 0, 1, ""},
        {"hardly any work", {{0.01, 1500, 0}, {0.99, 1500, 0}, {0, 1500, 0}}, 0, 0, 0, 1, ""},
        {"one not known", {{NAN, NAN, NAN}, shown[1], shown[2]}, 0, 0, 0, 1, ""},
        {"held back", {shown[0], {8, 1400, 0.05}, shown[2]}, 0, 0, 0, 1, FOUR_TIMES HELD},
        {"not by anything", {shown[0], {8, 1400, 0.04}, shown[2]}, 0, 0, 0, 1, FOUR_TIMES},
        {"hardly slower", {shown[0], {8, 1430, 0.5}, shown[2]}, 0, 0, 0, 1, FOUR_TIMES},
        {"clock not known", {shown[0], {8, NAN, NAN}, shown[2]}, 0, 0, 0, 1, FOUR_TIMES},
        {"no work at all",
         {{0, 1500, 0}, {1, 1500, 0}, {0, 1500, 0}},
         0,
         0,
         0,
         2,
         "the GPU of rank 1 on b had work for more than 100 times as long as any other rank's (its "
         "multiprocessors for 1.0 s, those of the next for 0 ms): the others wait for it if they "
         "have as much to do"},
    };
    static char nodes[2][JOB_NAME_BYTES] = {"a", "b"};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job_member members[4] = {0};
        struct job told = {.members = members, .count = 4, .node = nodes, .nodes = rows[i].nodes};
        for (uint32_t r = 0; r < 3; r++)
            members[r] = (struct job_member){
                .rank = r, .node = r == 1, .active_s = 10, .gpu_work = rows[i].gpu[r]};
        members[3] = (struct job_member){.rank = 1}; /* a second loader of a process */
        struct job_figures figures = {.busiest_gpu = DATASTALL_UNKNOWN,
                                      .ranks = 3,
                                      .active_s = 10,
                                      .lost_s.upper = rows[i].lost_s,
                                      .lost_s.mean = rows[i].lost_s,
                                      .cause_count = 2,
                                      .causes = {{.rank = 1, .lost_s = rows[i].own_s},
                                                 {.rank = 2, .lost_s = rows[i].other_s}}};
        job_find_busiest_gpu(&told, &figures);
        assert_string_equal(figures.gpu_text, rows[i].text);
        assert_int_equal(figures.busiest_gpu, rows[i].text[0] == '\0' ? DATASTALL_UNKNOWN : 1);
        members[3] = (struct job_member){.rank = 0, .active_s = 1, .gpu_work = {1, 1, 0}};
        figures.busiest_gpu = DATASTALL_UNKNOWN; /* started anew */
        job_find_busiest_gpu(&told, &figures);
        assert_int_equal(figures.busiest_gpu, DATASTALL_UNKNOWN);
    }
}

/* By the host, on a GPU too: there it is its launch and what the program does beside it. */
static void how_long_a_forward_pass_takes(void **state)
{
    (void)state;
    static const struct {
        uint64_t steps, count, host_ns;
        enum summary_method method;
        double forward;
    } rows[] = {{9, 3, 900, SUMMARY_METHOD_HOST_EXACT, 300},
                {0, 3, 900, SUMMARY_METHOD_HOST_EXACT, NAN},
                {9, 0, 900, SUMMARY_METHOD_HOST_EXACT, NAN},
                {9, 3, 900, SUMMARY_METHOD_GPU_EVENTS, 300}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_rank();
        told_processes[0].method = rows[i].method;
        told_steps[0].count = rows[i].steps;
        told_steps[0].phases[STEP_FORWARD].count = rows[i].count;
        told_steps[0].phases[STEP_FORWARD].host_ns = rows[i].host_ns;
        add(1);
        const double got = job->members[0].forward_ns;
        CHECK(isnan(rows[i].forward) ? isnan(got) : got == rows[i].forward, "row %u: %g", i, got);
        job_free(job);
    }
}

/* ---- side by side ---- */

#define RANKS 3u
#define STEPS 40u
static struct job_member members[RANKS], *of_group[RANKS];
static struct job_step steps[RANKS][STEPS];
static struct job_group group;

static void begin_group(uint32_t ranks)
{
    memset(members, 0, sizeof members);
    memset(steps, 0, sizeof steps);
    for (uint32_t m = 0; m < RANKS; m++) {
        members[m] = (struct job_member){.rank = m, .steps = steps[m]};
        of_group[m] = &members[m];
    }
    group = (struct job_group){.members = of_group, .count = ranks};
}

static void free_group(void)
{
    for (uint32_t m = 0; m < group.count; m++)
        free(members[m].at);
    free(group.indices);
    free(group.segment_of);
    free(group.offsets);
}

#define END UINT64_MAX
static void batches_that_all_ranks_have(void **state)
{
    (void)state;
    static const struct {
        uint64_t have[RANKS][8];
        uint64_t common[8];
        uint32_t segment_of[8], segments;
    } rows[] = {
        {{{0, 1, 2, 3, END}, {0, 1, 2, 3, END}, {0, 1, 2, 3, END}}, {0, 1, 2, 3, END}, {0}, 1},
        {{{0, 1, 2, 3, END}, {1, 2, 3, 4, END}, {0, 2, 3, 9, END}}, {2, 3, END}, {0}, 1},
        {{{0, 1, 5, 6, END}, {0, 1, 5, 6, END}, {0, 1, 4, 5, 6, END}},
         {0, 1, 5, 6, END},
         {0, 0, 1, 1},
         2},
        {{{1, 3, 5, END}, {0, 1, 3, 5, END}, {1, 2, 3, 4, 5, END}}, {1, 3, 5, END}, {0, 1, 2}, 3},
        {{{7, END}, {1, 7, END}, {0, 7, 8, END}}, {7, END}, {0}, 1},
        {{{0, 2, END}, {1, 3, END}, {0, 1, END}}, {END}, {0}, 0},
        {{{END}, {0, END}, {0, END}}, {END}, {0}, 0},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_group(RANKS);
        for (uint32_t m = 0; m < RANKS; m++) {
            for (; rows[i].have[m][members[m].count] != END; members[m].count++)
                steps[m][members[m].count].index = rows[i].have[m][members[m].count];
        }
        assert_true(job_find_common(&group));
        uint32_t k = 0;
        for (; rows[i].common[k] != END; k++) {
            CHECK(k < group.steps && group.indices[k] == rows[i].common[k], "row %u, step %u", i,
                  k);
            assert_int_equal(group.segment_of[k], rows[i].segment_of[k]);
            for (uint32_t m = 0; m < RANKS; m++)
                assert_int_equal(job_step_of(&members[m], k)->index, rows[i].common[k]);
        }
        CHECK(group.steps == k && group.segments == rows[i].segments, "row %u: %u, %u", i,
              group.steps, group.segments);
        free_group();
    }
}

/* Each clock is off by what its first rank differs, in the median of a run of steps; what single ones are
 * off that is the doubt. */
static void clocks_that_differ(void **state)
{
    (void)state;
    static const struct {
        uint32_t clock[RANKS];
        int64_t off[6]; /* of the third rank, per step */
        uint64_t index[6];
        int64_t offsets[2]; /* of its clock, by segment */
        double doubt;
    } rows[] = {
        {{0, 0, 0}, {50, 50, 50, 50, 50, 50}, {0, 1, 2, 3, 4, 5}, {0, 0}, 0},
        {{0, 0, 1}, {50, 50, 50, 50, 50, 50}, {0, 1, 2, 3, 4, 5}, {-50, -50}, 0},
        {{0, 0, 1}, {50, 52, 49, 90, 50, 51}, {0, 1, 2, 3, 4, 5}, {-50, -50}, 1},
        {{0, 0, 1}, {50, 50, 50, -70, -70, -70}, {0, 1, 2, 7, 8, 9}, {-50, 70}, 0},
        {{0, 0, 1}, {50, 54, 46, -70, -70, -70}, {0, 1, 2, 7, 8, 9}, {-50, 70}, 2},
        {{1, 1, 0}, {50, 50, 50, 50, 50, 50}, {0, 1, 2, 3, 4, 5}, {-50, -50}, 0},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_group(RANKS);
        for (uint32_t m = 0; m < RANKS; m++) {
            members[m].count = 6;
            members[m].clock = rows[i].clock[m];
            for (uint32_t k = 0; k < 6; k++) {
                steps[m][k].index = rows[i].index[k];
                /* The second rank is later: the first of each clock counts. */
                steps[m][k].begin_ns = 1000000 + 1000 * k + (m == 1 ? 30 : 0) +
                                       (uint64_t)(m == 2 ? rows[i].off[k] : 0);
            }
        }
        assert_true(job_find_common(&group));
        assert_true(job_find_clocks(&group, 2));
        CHECK(fabs(group.doubt_ns - rows[i].doubt) < NEAR, "row %u: doubt %g", i, group.doubt_ns);
        for (uint32_t k = 0; k < 6; k++) {
            const uint32_t segment = rows[i].index[5] == 5 ? 0 : k / 3;
            const double time = job_time(&group, &members[2], k, 5000);
            CHECK(time == 5000 + (double)rows[i].offsets[segment], "row %u, step %u: %g", i, k,
                  time);
            CHECK(job_time(&group, &members[0], k, 5000) == 5000, "row %u", i);
        }
        free_group();
    }
}

/* Ranks that ask for a batch before all had the one before do not wait for each other; so say 8 pairs of
 * steps, of which 19 of 20 hold. */
static void ranks_in_step(void **state)
{
    (void)state;
    static const struct {
        uint32_t steps, early; /* of them: asked for too early */
        uint64_t by_ns;        /* so much: two clocks are read within 200 us */
        double doubt_ns;
        uint32_t lag;
    } rows[] = {
        {9, 0, 0, 0, 1},
        {8, 0, 0, 0, 0},
        {21, 1, 300000, 0, 1},
        {20, 1, 300000, 0, 2}, /* 1 of 19; of every other batch it holds */
        {21, 2, 300000, 0, 2},
        {21, 20, 200000, 0, 1},
        {21, 20, 200001, 0, 2},
        {21, 20, 300000, 50000, 1},
        {21, 20, 300001, 50000, 2},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_group(2);
        for (uint32_t m = 0; m < 2; m++) {
            members[m].count = rows[i].steps;
            for (uint32_t k = 0; k < rows[i].steps; k++) {
                steps[m][k].index = k;
                steps[m][k].begin_ns = 1000000000 + UINT64_C(100000000) * k;
                steps[m][k].end_ns = steps[m][k].begin_ns + 10000000;
                if (m == 1 && k > 0 && k <= rows[i].early)
                    steps[m][k].begin_ns = steps[m][k - 1].end_ns - rows[i].by_ns;
            }
        }
        assert_true(job_find_common(&group));
        assert_true(job_find_clocks(&group, 1));
        group.doubt_ns = rows[i].doubt_ns;
        assert_true(job_find_lag(&group, false)); /* on GPUs the order alone counts */
        CHECK(group.lag == rows[i].lag, "row %u: %u", i, group.lag);
        free_group();
    }
}

/* Who waits for the last one is held up by as much more as that is later; who does not, goes on as it did.
 * Nine steps are enough to tell by, and all of them count. */
static void ranks_that_only_seem_to_be_in_step(void **state)
{
    (void)state;
    static const uint64_t waits_ms[] = {300, 20, 150, 40, 260, 10, 330, 90, 200};
    for (uint32_t follows = 0; follows < 2; follows++) {
        uint64_t begin_ns = 1000000000;
        begin_group(2);
        for (uint32_t k = 0; k < 9; k++) {
            for (uint32_t m = 0; m < 2; m++) {
                members[m].count = 9;
                steps[m][k].index = k;
                steps[m][k].begin_ns = begin_ns;
                steps[m][k].end_ns = begin_ns + (m == 1 ? waits_ms[k] : 5) * 1000000;
            }
            begin_ns += 1000000000 + (follows ? waits_ms[k] * 1000000 : 0);
        }
        assert_true(job_find_common(&group));
        assert_true(job_find_clocks(&group, 1));
        assert_true(job_find_lag(&group, true));
        assert_int_equal(group.lag, follows);
        free_group();
    }
}

/* ---- what a step lost ---- */

struct rank_of_step {
    uint64_t come, wait, lower, upper;
};

static void set_steps(uint32_t count, const struct rank_of_step rank[RANKS])
{
    begin_group(RANKS);
    for (uint32_t m = 0; m < RANKS; m++) {
        members[m].count = count;
        for (uint32_t k = 0; k < count; k++)
            steps[m][k] = (struct job_step){.index = k,
                                            .begin_ns = 10000 * (k + 1) + rank[m].come,
                                            .end_ns = 10000 * (k + 1) + rank[m].come + rank[m].wait,
                                            .lower_ns = rank[m].lower,
                                            .upper_ns = rank[m].upper};
    }
    assert_true(job_find_common(&group));
    assert_true(job_find_clocks(&group, 1));
    group.lag = 1;
}

static void what_one_step_lost(void **state)
{
    (void)state;
    static const struct {
        struct rank_of_step rank[RANKS];
        double doubt;
        uint32_t whose;
        double mean, lower, upper; /* lost to input */
        double late;               /* for another reason */
        uint32_t whose_late;
    } rows[] = {
        /* Ready at 50, 300 and 330; without what they stalled, in the mean, at 5, 125 and 80. */
        {{{0, 50, 40, 50}, {100, 200, 150, 200}, {30, 300, 200, 300}}, 0, 2, 205, 180, 230, 0, 0},
        {{{0, 50, 40, 50}, {100, 200, 150, 200}, {30, 300, 200, 300}}, 10, 2, 205, 170, 240, 0, 0},
        {{{0, 50, 40, 50}, {100, 200, 150, 200}, {30, 300, 200, 300}}, 200, 2, 205, 0, 300, 0, 0},
        /* The last to come is the last to be ready, by more and by less than it came late. */
        {{{0, 50, 50, 50}, {100, 250, 250, 250}, {30, 100, 100, 100}}, 0, 1, 250, 250, 250, 70, 1},
        {{{0, 340, 340, 340}, {100, 250, 250, 250}, {30, 100, 100, 100}},
         0,
         1,
         250,
         250,
         250,
         10,
         1},
        {{{0, 350, 350, 350}, {100, 250, 250, 250}, {30, 100, 100, 100}},
         0,
         0,
         250,
         250,
         250,
         0,
         0},
        /* Nobody stalled. */
        {{{0, 50, 0, 0}, {0, 50, 0, 0}, {40, 50, 0, 0}}, 0, 2, 0, 0, 0, 40, 2},
        {{{0, 50, 0, 0}, {0, 50, 0, 0}, {0, 50, 0, 0}}, 0, 0, 0, 0, 0, 0, 0},
    };
    for (uint32_t n = 0; n < 2 * (sizeof rows / sizeof *rows); n++) {
        struct job_loss loss;
        double stalls = 0;
        const uint32_t i = n / 2;
        set_steps(5, rows[i].rank);
        members[2].gpu = n % 2 == 1; /* of one batch a step it is the same on a GPU */
        group.doubt_ns = rows[i].doubt;
        for (uint32_t m = 0; m < RANKS; m++)
            stalls += (double)(rows[i].rank[m].lower + rows[i].rank[m].upper) / 2 / RANKS;
        assert_true(job_lose(&group, &loss));
        assert_int_equal(loss.steps, 5);
        CHECK(fabs(loss.mean - 5 * rows[i].mean) < NEAR, "row %u: %g", i, loss.mean);
        CHECK(fabs(loss.lower - 5 * rows[i].lower) < NEAR, "row %u: %g", i, loss.lower);
        CHECK(fabs(loss.upper - 5 * rows[i].upper) < NEAR, "row %u: %g", i, loss.upper);
        CHECK(fabs(loss.not_input - 5 * rows[i].late) < NEAR, "row %u: %g", i, loss.not_input);
        assert_float_equal(loss.stalls, 5 * stalls, 1e-6);
        assert_float_equal(loss.of_segment[0], loss.mean, NEAR);
        assert_float_equal(loss.stall_of_segment[0], loss.stalls, NEAR);
        for (uint32_t m = 0; m < RANKS; m++) {
            const bool its = m == rows[i].whose && rows[i].mean > 0;
            const bool late = m == rows[i].whose_late && rows[i].late > 0;
            assert_float_equal(loss.input[m], its ? loss.mean : 0, NEAR);
            assert_int_equal(loss.last[m], its ? 5 : 0);
            assert_float_equal(loss.late[m], late ? loss.not_input : 0, NEAR);
            assert_int_equal(loss.last_late[m], late ? 5 : 0);
            assert_float_equal(loss.late_squares[m], late ? 5 * rows[i].late * rows[i].late : 0,
                               1e-6);
        }
        job_loss_free(&loss);
        free_group();
    }
}

/* A step of the job that is several batches of each rank: from its first ask to its last batch. */
static void steps_of_several_batches(void **state)
{
    (void)state;
    static const struct rank_of_step rank[RANKS] = {
        {0, 50, 40, 50}, {100, 200, 150, 200}, {30, 300, 200, 300}};
    static const struct {
        uint32_t lag, phase, skip; /* an index that nobody has */
        bool gpu;
        uint64_t rounds;
        uint64_t per_segment[2];
        double upper;
    } rows[] = {
        {2, 0, 0, false, 6, {6, 0}, 330 - (-100)}, {2, 1, 0, false, 5, {5, 0}, 330 - (-100)},
        {2, 0, 0, true, 6, {6, 0}, 600}, /* the largest stall of each batch */
        {3, 1, 0, false, 3, {3, 0}, 330 - (-300)}, {2, 0, 5, false, 5, {2, 3}, 330 - (-100)},
        {4, 3, 5, false, 1, {0, 1}, 330 - (-500)},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job_loss loss;
        const double lag = rows[i].lag;
        set_steps(12, rank);
        free_group();
        if (rows[i].skip > 0) {
            for (uint32_t m = 0; m < RANKS; m++) {
                for (uint32_t k = rows[i].skip; k < 12; k++)
                    steps[m][k].index++;
            }
        }
        group = (struct job_group){.members = of_group, .count = RANKS};
        assert_true(job_find_common(&group));
        assert_true(job_find_clocks(&group, 1));
        group.lag = rows[i].lag;
        group.phase = rows[i].phase;
        members[2].gpu = rows[i].gpu;
        assert_true(job_lose(&group, &loss));
        CHECK(loss.steps == rows[i].rounds, "row %u: %u", i, (unsigned)loss.steps);
        const double mean = 330 - fmax(fmax(50 - 45 * lag, 300 - 175 * lag), 330 - 250 * lag);
        const double lower = 330 - fmax(fmax(50 - 40 * lag, 300 - 150 * lag), 330 - 200 * lag);
        const double most = 330 - fmax(fmax(50 - 50 * lag, 300 - 200 * lag), 330 - 300 * lag);
        const double rounds = (double)rows[i].rounds;
        assert_float_equal(loss.mean, rounds * mean, 1e-6);
        assert_float_equal(loss.lower, rounds * lower, 1e-6);
        assert_float_equal(loss.upper, rounds * (rows[i].gpu ? 300 * lag : most), 1e-6);
        for (uint32_t s = 0; s < 2; s++) {
            if (s < group.segments)
                assert_float_equal(loss.of_segment[s], (double)rows[i].per_segment[s] * mean, 1e-6);
        }
        job_loss_free(&loss);
        free_group();
    }
}

/* ---- the figures of a job ---- */

/* Two ranks in step, each step of a second: rank r waits so long for each batch of a run of 8, in ms; of
 * each of `runs`, whose steps have the numbers from 16 * run on. They stalled so much in all. */
struct two_ranks {
    uint32_t runs, batches[2];
    uint32_t wait_ms[2][3]; /* by rank and run */
    uint32_t total_ms[2];
    uint32_t late_ms; /* so much later rank 1 asks for each batch but the first of a run */
};

static void begin_job(void)
{
    job = job_begin(2);
    assert_non_null(job);
    job->clocks = job->nodes = 1;
    job->node = calloc(1, sizeof *job->node);
    strcpy(job->node[0], "one");
}

static struct job_member *add_rank(uint64_t rank, const struct two_ranks *plan)
{
    job->members = realloc(job->members, (job->count + 1) * sizeof *job->members);
    struct job_member *member = &job->members[job->count++];
    const uint32_t r = rank % 2;
    *member = (struct job_member){
        .rank = rank,
        .world_size = 2,
        .batches = plan->batches[r],
        .total = {plan->total_ms[r] * UINT64_C(1000000), plan->total_ms[r] * UINT64_C(1000000)},
        .active_s = 100,
        .forward_ns = NAN,
        .cpu_pressure = NAN,
        .count = 8 * plan->runs};
    strcpy(member->loader, "train");
    strcpy(member->cause, "blocked");
    member->steps = calloc(member->count, sizeof *member->steps);
    for (uint32_t i = 0; i < member->count; i++) {
        const uint32_t k = 16 * (i / 8) + i % 8;
        struct job_step *step = &member->steps[i];
        step->index = k;
        step->begin_ns = UINT64_C(1000000000) * (k + 1);
        if (r == 1 && i % 8 > 0)
            step->begin_ns += plan->late_ms * 1000000;
        step->lower_ns = step->upper_ns = plan->wait_ms[r][i / 8] * UINT64_C(1000000);
        step->end_ns = step->begin_ns + step->upper_ns;
    }
    return member;
}

static void settled(const struct two_ranks *plan, struct job_figures *figures)
{
    begin_job();
    add_rank(1, plan);
    add_rank(0, plan);
    assert_true(job_settle(job, figures));
}

static void a_job_whose_batches_were_all_seen(void **state)
{
    (void)state;
    /* Rank 1 makes it wait 10 and 30 ms, 8 times each, and stalled 40 ms more when its iterators ended:
     * of that half is lost, give or take the other half. */
    const struct two_ranks plan = {
        .runs = 2, .batches = {16, 16}, .wait_ms = {{0, 0}, {10, 30}}, .total_ms = {0, 400}};
    struct job_figures f;
    settled(&plan, &f);
    assert_int_equal(f.ranks, 2);
    assert_int_equal(f.nodes, 1);
    assert_int_equal(f.restarts, 0);
    assert_int_equal(f.world_size, 2);
    assert_int_equal(f.steps, 16);
    assert_int_equal(f.steps_seen, 16);
    assert_int_equal(f.batches_per_step, 1);
    assert_float_equal(f.active_s, 100, NEAR);
    assert_float_equal(f.mean_stall_s, 0.2, NEAR);
    assert_float_equal(f.lost_s.mean, 0.32 + 0.02, NEAR);
    assert_float_equal(f.lost_s.lower, 0.32, NEAR);
    assert_float_equal(f.lost_s.upper, 0.32 + 0.04, NEAR);
    assert_float_equal(f.lost_share.mean, 0.0034, NEAR);
    assert_float_equal(f.lost_share.lower, 0.0032, NEAR);
    assert_float_equal(f.lost_share.upper, 0.0036, NEAR);
    assert_float_equal(f.not_input_s, 0, NEAR);
    assert_float_equal(f.clock_doubt_s, 0, NEAR);
    assert_int_equal(f.cause_count, 1);
    assert_int_equal(f.causes[0].rank, 1);
    assert_int_equal(f.causes[0].reason, JOB_INPUT);
    assert_float_equal(f.causes[0].lost_s, 0.32, NEAR);
    assert_int_equal(f.causes[0].steps_last, 16);
    assert_string_equal(f.causes[0].why, "blocked");
    assert_string_equal(f.causes[0].node, "one");
    assert_string_equal(f.note, "");
    assert_false(f.in_turns);
    job_free(job);
}

/* Of its time a job loses no more than all, though more was lost than its loaders were iterated over. */
static void a_job_that_lost_all_of_its_time(void **state)
{
    (void)state;
    const struct two_ranks plan = {
        .runs = 2, .batches = {16, 16}, .wait_ms = {{0, 0}, {10, 30}}, .total_ms = {0, 400}};
    static const struct {
        double active_s, mean, lower, upper; /* shares */
        double upper_s;
    } rows[] = {{0.1, 1, 1, 1, 0.34},
                {0.33, 1, 0.32 / 0.33, 1, 0.34},
                {0.35, 0.34 / 0.35, 0.32 / 0.35, 1, 0.35},
                {0.4, 0.34 / 0.4, 0.32 / 0.4, 0.36 / 0.4, 0.36}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job_figures f;
        begin_job();
        for (uint32_t r = 0; r < 2; r++)
            add_rank(r, &plan)->active_s = rows[i].active_s;
        assert_true(job_settle(job, &f));
        assert_float_equal(f.lost_s.mean, 0.34, NEAR);
        assert_float_equal(f.lost_s.upper, rows[i].upper_s, NEAR);
        assert_float_equal(f.lost_share.mean, rows[i].mean, NEAR);
        assert_float_equal(f.lost_share.lower, rows[i].lower, NEAR);
        assert_float_equal(f.lost_share.upper, rows[i].upper, NEAR);
        job_free(job);
    }
}

/* Of several loaders it is the sum. */
static void a_job_of_two_loaders(void **state)
{
    (void)state;
    const struct two_ranks plan = {
        .runs = 2, .batches = {32, 32}, .wait_ms = {{0, 0}, {10, 30}}, .total_ms = {0, 640}};
    struct job_figures one, two;
    settled(&plan, &one);
    for (uint32_t r = 0; r < 2; r++) {
        struct job_member *other = add_rank(r, &plan);
        strcpy(other->loader, "test");
        other->active_s = 0;
    }
    for (uint32_t i = 0; i < job->count; i++)
        job->members[i].at = NULL;
    assert_true(job_settle(job, &two));
    assert_float_equal(two.lost_s.mean, 2 * one.lost_s.mean, NEAR);
    assert_float_equal(two.lost_s.lower, 2 * one.lost_s.lower, NEAR);
    assert_float_equal(two.lost_s.upper, 2 * one.lost_s.upper, NEAR);
    assert_float_equal(two.mean_stall_s, 2 * one.mean_stall_s, NEAR);
    assert_float_equal(two.active_s, one.active_s, NEAR);
    assert_int_equal(two.steps, 2 * one.steps);
    assert_int_equal(two.steps_seen, 2 * one.steps_seen);
    assert_int_equal(two.cause_count, 1);
    assert_float_equal(two.causes[0].lost_s, 2 * one.causes[0].lost_s, NEAR);
    job_free(job);
}

/* A script may start its ranks more than once: the first processes belong together, and the second. */
static void ranks_that_were_started_twice(void **state)
{
    (void)state;
    const struct two_ranks plan = {
        .runs = 2, .batches = {16, 16}, .wait_ms = {{0, 0}, {10, 30}}, .total_ms = {0, 320}};
    struct job_figures one, two;
    settled(&plan, &one);
    job_free(job);
    begin_job();
    for (uint32_t i = 0; i < 4; i++) {
        struct job_member *member = add_rank(i % 2, &plan);
        member->opened_ns = i % 2 == 0 ? 10 - i : 10 + i; /* in another order for each rank */
        for (uint32_t k = 0; k < member->count; k++) {    /* the second ones much later */
            const uint64_t later = i == 0 || i == 3 ? UINT64_C(1000000000000) : 0;
            member->steps[k].begin_ns += later;
            member->steps[k].end_ns += later;
        }
    }
    assert_true(job_settle(job, &two));
    assert_int_equal(two.ranks, 2);
    assert_int_equal(two.restarts, 0);
    assert_float_equal(two.lost_s.mean, 2 * one.lost_s.mean, NEAR);
    assert_float_equal(two.lost_s.upper, 2 * one.lost_s.upper, NEAR);
    assert_float_equal(two.not_input_s, 0, NEAR);
    assert_int_equal(two.steps, 2 * one.steps);
    job_free(job);
}

/* A launcher that restarts them counts, whichever is told first. */
static void ranks_that_were_restarted(void **state)
{
    (void)state;
    const struct two_ranks plan = {
        .runs = 2, .batches = {16, 16}, .wait_ms = {{0, 0}, {10, 30}}, .total_ms = {0, 320}};
    static const uint64_t restarts[][4] = {{0, 0, 1, 1}, {1, 1, 0, 0}, {0, 1, 1, 0}, {1, 0, 0, 1}};
    struct job_figures one, two;
    settled(&plan, &one);
    job_free(job);
    for (uint32_t o = 0; o < sizeof restarts / sizeof *restarts; o++) {
        begin_job();
        for (uint32_t i = 0; i < 4; i++) {
            struct job_member *member = add_rank(i % 2, &plan);
            member->restart = restarts[o][i];
            for (uint32_t k = 0; k < member->count; k++) {
                const uint64_t later = member->restart * UINT64_C(1000000000000);
                member->steps[k].begin_ns += later;
                member->steps[k].end_ns += later;
            }
        }
        assert_true(job_settle(job, &two));
        CHECK(two.ranks == 2 && two.restarts == 1, "order %u: %u, %u", o, two.ranks, two.restarts);
        assert_float_equal(two.lost_s.mean, 2 * one.lost_s.mean, NEAR);
        assert_int_equal(two.steps, 2 * one.steps);
        assert_int_equal(two.steps_seen, 2 * one.steps_seen);
        job_free(job);
    }
}

/* Half of the batches were seen: the rest is like them, but for what runs differ by. */
static void a_job_of_which_half_was_seen(void **state)
{
    (void)state;
    const struct two_ranks plan = {
        .runs = 2, .batches = {32, 32}, .wait_ms = {{0, 30}, {10, 30}}, .total_ms = {480, 640}};
    struct job_figures f;
    settled(&plan, &f);
    /* Lost 80 ms of the ranks' mean of 40, and 240 of 240: 320 of 280; they stalled twice as much. */
    const double ratio = 320.0 / 280;
    const double off[2] = {80 - ratio * 40, 240 - ratio * 240};
    const double variance = (off[0] * off[0] + off[1] * off[1]) * 2 / 1 * 2 * 2 * (1 - 1 / 2.0);
    assert_int_equal(f.steps, 32);
    assert_int_equal(f.steps_seen, 16);
    assert_float_equal(f.lost_s.mean, 0.64, NEAR);
    assert_float_equal(f.lost_s.lower, 0.64 - 1.645 * sqrt(variance) * 1e-3, NEAR);
    assert_float_equal(f.lost_s.upper, 0.64 + 1.645 * sqrt(variance) * 1e-3, NEAR);
    assert_float_equal(f.mean_stall_s, 0.56, NEAR);
    assert_int_equal(f.cause_count, 2);
    assert_float_equal(f.causes[0].lost_s + f.causes[1].lost_s, 0.64, NEAR);
    assert_true(f.causes[0].lost_s >= f.causes[1].lost_s);
    /* With a second loader like it, whose runs differ by themselves: variances add up. */
    struct job_figures two;
    for (uint32_t r = 0; r < 2; r++)
        strcpy(add_rank(r, &plan)->loader, "test");
    for (uint32_t i = 0; i < job->count; i++)
        job->members[i].at = NULL;
    assert_true(job_settle(job, &two));
    assert_float_equal(two.lost_s.mean, 2 * 0.64, NEAR);
    assert_float_equal(two.lost_s.upper - two.lost_s.mean, 1.645 * sqrt(2 * variance) * 1e-3, NEAR);
    job_free(job);
}

/* The dearest come first, whichever is reckoned first; no more than there is room for. */
static void causes_in_their_order(void **state)
{
    (void)state;
    const struct two_ranks plan = {.runs = 2, .batches = {16, 16}};
    struct job_figures f;
    begin_job();
    for (uint32_t rank = 0; rank < 10; rank++) {
        struct job_member *member = add_rank(rank, &plan);
        for (uint32_t i = 0; i < 16; i++) { /* each is the last of some steps, by 10 ms a rank */
            const bool last = i % 8 == rank % 8;
            const uint64_t wait = last ? (5 + rank * 7 % 10) * 10000000 : 1000000;
            member->steps[i].lower_ns = member->steps[i].upper_ns = wait;
            member->steps[i].end_ns = member->steps[i].begin_ns + wait;
            member->total.lower_ns = member->total.upper_ns += wait;
        }
    }
    assert_true(job_settle(job, &f));
    assert_int_equal(f.ranks, 10);
    assert_int_equal(f.cause_count, JOB_CAUSES);
    double sum = 0;
    for (uint32_t i = 0; i < f.cause_count; i++) {
        assert_true(i == 0 || f.causes[i].lost_s <= f.causes[i - 1].lost_s);
        sum += f.causes[i].lost_s;
    }
    assert_true(f.causes[0].lost_s > f.causes[7].lost_s && sum <= f.lost_s.mean + NEAR);
    assert_true(f.in_turns); /* none has 6 of 10 parts */
    job_free(job);
}

/* A rank that comes late: by how much, in how many steps, and what its machine says of it. */
static void a_rank_that_comes_late(void **state)
{
    (void)state;
    static const struct {
        uint32_t nodes, late_ms;
        double pressure;
        const char *machine, *why;
    } rows[] = {
        {1, 40, NAN, "",
         "it asked for its next batch 40 ms after the others, in 88 % of the steps"},
        {1, 9, NAN, "",
         "it asked for its next batch 9.0 ms after the others, in 88 % of the steps"},
        {1, 10, NAN, "",
         "it asked for its next batch 10 ms after the others, in 88 % of the steps"},
        {1, 40, 0.5, "",
         "it asked for its next batch 40 ms after the others, in 88 % of the steps"},
        {2, 40, 0.05, "",
         "it asked for its next batch 40 ms after the others, in 88 % of the steps; tasks of its "
         "machine waited for a CPU for 5 % of the time"},
        {2, 40, 0.049, "",
         "it asked for its next batch 40 ms after the others, in 88 % of the steps"},
        {2, 40, 0.5, "heat",
         "it asked for its next batch 40 ms after the others, in 88 % of the steps; heat"},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct two_ranks plan = {.runs = 2, .batches = {16, 16}, .late_ms = rows[i].late_ms};
        struct job_figures f;
        begin_job();
        job->nodes = rows[i].nodes;
        add_rank(0, &plan);
        struct job_member *late = add_rank(1, &plan);
        strcpy(late->machine, rows[i].machine);
        late->cpu_pressure = rows[i].pressure;
        assert_true(job_settle(job, &f));
        assert_float_equal(f.not_input_s, 14e-3 * rows[i].late_ms, NEAR);
        assert_int_equal(f.cause_count, 1);
        assert_int_equal(f.causes[0].reason, JOB_NOT_INPUT);
        assert_int_equal(f.causes[0].steps_last, 14);
        assert_float_equal(f.causes[0].lost_s, 14e-3 * rows[i].late_ms, NEAR);
        CHECK(strcmp(f.causes[0].why, rows[i].why) == 0, "row %u: %s", i, f.causes[0].why);
        job_free(job);
    }
}

static void have_uneven_batches(void)
{
    job->members[0].batches = 99;
}
static void have_nearly_even_batches(void)
{
    job->members[0].batches = 17;
}
static void have_another_first_batch(void)
{
    job->members[0].steps[0].first = true;
}
static void have_another_later_epoch(void)
{
    job->members[1].steps[7].first = true;
}
static void have_few_steps(void)
{
    job->members[0].count = 7;
}
static void have_other_loaders(void)
{
    strcpy(job->members[0].loader, "test");
}
static void have_other_restarts(void)
{
    job->members[0].restart = 1;
}
static void be_one_rank(void)
{
    job->members[0].rank = 1;
}
static void be_of_more(void)
{
    job->members[1].world_size = 5;
}
static void not_know_how_many(void)
{
    job->members[0].world_size = job->members[1].world_size = DATASTALL_UNKNOWN;
}
static void nothing(void)
{
}

static void what_limits_the_figures(void **state)
{
    (void)state;
    static const struct {
        void (*change)(void);
        bool is_job, has_number;
        const char *says, *note;
    } rows[] = {
        {nothing, true, true, "", ""},
        {have_uneven_batches, true, true, "",
         "uneven inputs: the ranks loaded 16 to 99 batches, of which the first 16 are compared"},
        {have_nearly_even_batches, true, true, "", ""},
        {have_another_first_batch, true, false, "the ranks' epochs differ in length", ""},
        {have_another_later_epoch, true, false, "the ranks' epochs differ in length", ""},
        {have_few_steps, true, false, "too few batches were recorded on all ranks", ""},
        {have_other_loaders, true, false, "no loader was recorded batch by batch on two ranks", ""},
        {have_other_restarts, true, false, "no loader was recorded batch by batch on two ranks",
         ""},
        {be_one_rank, false, false, "", ""},
        {be_of_more, true, true, "", "2 of 5 ranks loaded data here"},
        {not_know_how_many, true, true, "", ""},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct two_ranks plan = {
            .runs = 2, .batches = {16, 16}, .wait_ms = {{0}, {900, 900}}, .total_ms = {0, 14400}};
        struct job_figures f;
        begin_job();
        add_rank(0, &plan);
        add_rank(1, &plan);
        rows[i].change();
        assert_int_equal(job_settle(job, &f), rows[i].is_job);
        if (rows[i].is_job) {
            CHECK(isnan(f.lost_s.mean) != rows[i].has_number, "row %u: %g", i, f.lost_s.mean);
            CHECK(strstr(f.says, rows[i].says) == f.says, "row %u: %s", i, f.says);
            CHECK(strstr(f.note, rows[i].note) == f.note, "row %u: %s", i, f.note);
            CHECK((f.note[0] == '\0') == (rows[i].note[0] == '\0'), "row %u: %s", i, f.note);
            assert_int_equal(f.restarts, rows[i].change == have_other_restarts);
        }
        job_free(job);
    }
}

/* A loader that has no number of its own leaves the job one, unless it may have cost as much as is worth a
 * word: 5 % of the time. */
static void a_loader_without_a_number(void **state)
{
    (void)state;
    static const struct {
        uint32_t total_ms; /* that each rank stalled in it: 5 of 100 s are worth a word */
        bool has_number;
    } rows[] = {{0, true}, {4999, true}, {5000, false}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct two_ranks plan = {
            .runs = 2, .batches = {16, 16}, .wait_ms = {{0}, {900, 900}}, .total_ms = {0, 14400}};
        struct job_figures f;
        begin_job();
        add_rank(0, &plan);
        add_rank(1, &plan);
        for (uint32_t r = 0; r < 2; r++) {
            struct job_member *member = add_rank(r, &plan);
            strcpy(member->loader, "test");
            member->count = 7;
            member->active_s = 0;
            member->total.lower_ns = member->total.upper_ns = rows[i].total_ms * UINT64_C(1000000);
        }
        assert_true(job_settle(job, &f));
        CHECK(isnan(f.lost_s.mean) != rows[i].has_number, "row %u: %g", i, f.lost_s.mean);
        CHECK((f.says[0] == '\0') == rows[i].has_number, "row %u: %s", i, f.says);
        CHECK(isnan(f.lost_share.upper) != rows[i].has_number, "row %u", i);
        assert_int_equal(f.cause_count, rows[i].has_number);
        assert_float_equal(f.mean_stall_s, 7.2 + rows[i].total_ms * 1e-3, NEAR);
        job_free(job);
    }
}

/* ---- rank by rank, and over time ---- */

static struct job_details details;

/* Two loaders, of which the second was iterated over by two processes of rank 1, one after the other. */
static void the_ranks_of_a_job(void **state)
{
    (void)state;
    const struct two_ranks plan = {
        .runs = 2, .batches = {16, 16}, .wait_ms = {{0, 0}, {10, 30}}, .total_ms = {0, 320}};
    struct job_figures f;
    begin_job();
    job->nodes = 2;
    job->node = realloc(job->node, 2 * sizeof *job->node);
    strcpy(job->node[1], "two");
    for (uint32_t i = 0; i < 5; i++) { /* ranks 1, 0, 1, 0, 1 */
        struct job_member *member = add_rank(1 - i % 2, &plan);
        member->node = 1 - i % 2;
        if (i < 2)
            continue;
        strcpy(member->loader, "test");
        member->batches = 4 * i;
        member->active_s = i;
        member->total = (struct stall_bounds){i * UINT64_C(1000000), i * UINT64_C(3000000)};
        member->opened_ns = i;
    }
    assert_true(job_settle_in_detail(job, &f, &details));
    assert_int_equal(details.rank_count, 2);
    static const struct {
        const char *node;
        uint64_t batches;
        double active_s, stall_s;
    } rows[] = {{"one", 16 + 12, 103, 0.006}, {"two", 16 + 8 + 16, 106, 0.32 + 0.004 + 0.008}};
    double input_s = 0;
    for (uint32_t r = 0; r < 2; r++) {
        const struct job_rank *rank = &details.ranks[r];
        assert_int_equal(rank->rank, r);
        assert_string_equal(rank->node, rows[r].node);
        assert_int_equal(rank->batches, rows[r].batches);
        assert_float_equal(rank->active_s, rows[r].active_s, NEAR);
        assert_float_equal(rank->stall_s, rows[r].stall_s, NEAR);
        assert_float_equal(rank->not_input_s, 0, NEAR);
        assert_int_equal(rank->late_last, 0);
        input_s += rank->input_s;
    }
    assert_float_equal(details.ranks[0].input_s, 0, NEAR);
    assert_int_equal(details.ranks[0].input_last, 0);
    assert_int_equal(details.ranks[1].input_last, 32); /* of each loader 16 */
    assert_float_equal(input_s, f.causes[0].lost_s, NEAR);
    assert_true(input_s > 0.32);
    job_details_free(&details);
    assert_null(details.ranks);
    assert_int_equal(details.rank_count, 0);
    job_free(job);
}

/* A rank that comes late is told apart from one whose input does. */
static void ranks_that_came_late(void **state)
{
    (void)state;
    const struct two_ranks plan = {
        .runs = 2, .batches = {16, 16}, .wait_ms = {{0}, {0}}, .late_ms = 40};
    struct job_figures f;
    for (uint32_t count = 1; count <= 2; count++) {
        begin_job();
        strcpy(job->id, "job 9");
        for (uint32_t i = 0; i < 2 * count; i++) {
            struct job_member *member = add_rank(1 - i % 2, &plan);
            member->restart = 3;
            if (i >= 2)
                strcpy(member->loader, "test");
        }
        assert_true(job_settle_in_detail(job, &f, &details));
        assert_string_equal(f.id, "job 9");
        assert_int_equal(f.restarts, 0); /* of one start, whichever it was */
        assert_float_equal(f.not_input_s, 0.56 * count, NEAR);
        assert_int_equal(f.cause_count, 1);
        assert_float_equal(f.causes[0].lost_s, 0.56 * count, NEAR);
        assert_int_equal(f.causes[0].steps_last, 14 * count);
        assert_float_equal(details.ranks[1].not_input_s, 0.56 * count, NEAR);
        assert_int_equal(details.ranks[1].late_last, 14 * count);
        assert_float_equal(details.ranks[1].input_s, 0, NEAR);
        assert_float_equal(details.ranks[0].not_input_s, 0, NEAR);
        job_details_free(&details);
        job_free(job);
    }
}

/* Steps a second apart, three to a span of the 360 s and four in the last: which rank waited for its
 * batch, and which was late to ask for it, goes round by the step in its span. */
#define SPAN_STEPS 361u
struct span_plan {
    struct {
        uint32_t rank, input_ms, late_ms;
    } of[3];
    double input_s, late_s; /* of a span */
    uint64_t most;          /* that rank has most of it */
    double most_s;
};

static uint64_t begin_of_step(uint32_t k)
{
    const uint64_t half = k > 0 && k < SPAN_STEPS - 1 ? 500000000 : 0; /* within the spans */
    return UINT64_C(1000000000) * (k + 1) + half;
}

static void play_spans(const struct span_plan *plan)
{
    const struct two_ranks none = {.runs = 1, .batches = {SPAN_STEPS, SPAN_STEPS}};
    begin_job();
    for (uint32_t r = 0; r < 2; r++) {
        struct job_member *member = add_rank(r, &none);
        member->count = SPAN_STEPS;
        member->gpu = true; /* the order alone counts */
        member->steps = realloc(member->steps, SPAN_STEPS * sizeof *member->steps);
        for (uint32_t k = 0; k < SPAN_STEPS; k++) {
            const bool its = plan->of[k % 3].rank == r;
            struct job_step *step = &member->steps[k];
            *step = (struct job_step){.index = k, .begin_ns = begin_of_step(k)};
            step->begin_ns += its && k > 0 ? plan->of[k % 3].late_ms * UINT64_C(1000000) : 0;
            step->lower_ns = step->upper_ns =
                its ? plan->of[k % 3].input_ms * UINT64_C(1000000) : 0;
            step->end_ns = step->begin_ns + step->upper_ns;
            member->total.lower_ns = member->total.upper_ns += step->upper_ns;
        }
    }
}

static void a_job_over_time(void **state)
{
    (void)state;
    static const struct span_plan plans[] = {
        /* Two steps of rank 1 together outweigh the dearest one. */
        {{{0, 40, 0}, {1, 30, 0}, {1, 20, 0}}, 0.09, 0, 1, 0.05},
        {{{0, 60, 0}, {1, 30, 0}, {1, 20, 0}}, 0.11, 0, 0, 0.06},
        /* Both reasons count for whose it is. */
        {{{0, 50, 0}, {1, 30, 0}, {1, 0, 30}}, 0.08, 0.03, 1, 0.06},
        {{{0, 0, 0}, {1, 0, 0}, {1, 0, 0}}, 0, 0, DATASTALL_UNKNOWN, 0},
    };
    for (uint32_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct job_figures f;
        play_spans(&plans[i]);
        assert_true(job_settle_in_detail(job, &f, &details));
        assert_int_equal(f.batches_per_step, 1);
        /* The last step is ready when its batch is there. */
        assert_float_equal(details.span_s, 3, 0.001);
        double input_s = 0, late_s = 0;
        for (uint32_t s = 0; s < JOB_SPANS; s++) {
            const struct job_span *span = &details.spans[s];
            CHECK(span->steps == (s < JOB_SPANS - 1 ? 3 : 4), "row %u, span %u: %u steps", i, s,
                  (unsigned)span->steps);
            input_s += span->input_s;
            late_s += span->not_input_s;
            if (s == 0)
                CHECK(span->most == plans[i].most && fabs(span->most_s - plans[i].most_s) < NEAR,
                      "row %u, first span: %g of %u", i, span->most_s, (unsigned)span->most);
            if (s == 0 || s == JOB_SPANS - 1)
                continue;
            CHECK(fabs(span->input_s - plans[i].input_s) < NEAR &&
                      fabs(span->not_input_s - plans[i].late_s) < NEAR,
                  "row %u, span %u: %g and %g", i, s, span->input_s, span->not_input_s);
            CHECK(span->most == plans[i].most && fabs(span->most_s - plans[i].most_s) < NEAR,
                  "row %u, span %u: %g of %u", i, s, span->most_s, (unsigned)span->most);
        }
        assert_float_equal(input_s, f.lost_s.mean, 1e-6);
        assert_float_equal(late_s, f.not_input_s, 1e-6);
        job_details_free(&details);
        job_free(job);
    }
}

/* Where all steps are of one moment there is no time to tell of. */
static void a_job_of_one_moment(void **state)
{
    (void)state;
    static const struct span_plan plan = {{{0, 0, 0}, {1, 0, 0}, {1, 0, 0}}, 0, 0, 0, 0};
    struct job_figures f;
    play_spans(&plan);
    for (uint32_t r = 0; r < 2; r++) {
        for (uint32_t k = 0; k < SPAN_STEPS; k++)
            job->members[r].steps[k].begin_ns = job->members[r].steps[k].end_ns = 1000000000;
    }
    assert_true(job_settle_in_detail(job, &f, &details));
    CHECK(f.steps_seen == SPAN_STEPS && f.lost_s.mean == 0, "%s", f.says);
    assert_true(details.span_s == 0);
    for (uint32_t s = 0; s < JOB_SPANS; s++)
        assert_true(details.spans[s].steps == 0 && details.spans[s].most == DATASTALL_UNKNOWN);
    job_details_free(&details);
    job_free(job);
}

/* Of a job without a number ranks are told by what they did, and there are no spans; of no job nothing. */
static void details_without_a_number(void **state)
{
    (void)state;
    static const struct {
        void (*change)(void);
        bool is_job;
    } rows[] = {{have_few_steps, true}, {have_other_loaders, true}, {be_one_rank, false}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct two_ranks plan = {
            .runs = 2, .batches = {16, 16}, .wait_ms = {{0}, {900, 900}}, .total_ms = {0, 14400}};
        struct job_figures f;
        begin_job();
        add_rank(0, &plan);
        add_rank(1, &plan);
        rows[i].change();
        assert_int_equal(job_settle_in_detail(job, &f, &details), rows[i].is_job);
        assert_int_equal(details.rank_count, rows[i].is_job ? 2 : 0);
        assert_int_equal(details.ranks != NULL, rows[i].is_job);
        assert_true(details.span_s == 0);
        for (uint32_t s = 0; s < JOB_SPANS; s++)
            assert_true(details.spans[s].steps == 0 && details.spans[s].most == DATASTALL_UNKNOWN);
        for (uint32_t r = 0; r < details.rank_count; r++) {
            assert_true(isnan(details.ranks[r].input_s) && isnan(details.ranks[r].not_input_s));
            assert_float_equal(details.ranks[r].stall_s, 14.4 * r, NEAR);
        }
        job_details_free(&details);
        job_free(job);
    }
}

/* Who takes longer before the backward pass makes the others wait there. */
static void a_slow_forward_pass(void **state)
{
    (void)state;
    static const struct {
        double forward_ms[2];
        uint32_t total_ms; /* what rank 0 stalled: per batch it explains that */
        double lost_s;     /* of 16 batches, to rank 1; from 5 s on it is said */
    } rows[] = {{{100, 900}, 0, 12.8}, {{100, 412.499}, 0, 0},   {{100, 412.501}, 0, 5.000016},
                {{NAN, 900}, 0, 0},    {{100, 900}, 1600, 11.2}, {{100, 900}, 7801, 0},
                {{900, 100}, 0, -12.8}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct two_ranks plan = {
            .runs = 2, .batches = {16, 16}, .total_ms = {rows[i].total_ms, 0}};
        struct job_figures f;
        begin_job();
        for (uint32_t r = 0; r < 2; r++)
            add_rank(r, &plan)->forward_ns = rows[i].forward_ms[r] * 1e6;
        assert_true(job_settle(job, &f));
        CHECK(fabs(f.not_input_s - fabs(rows[i].lost_s)) < 1e-7, "row %u: %g s", i, f.not_input_s);
        assert_int_equal(f.cause_count, rows[i].lost_s != 0);
        if (rows[i].lost_s != 0) {
            const struct job_cause *cause = &f.causes[0];
            assert_int_equal(cause->rank, rows[i].lost_s > 0);
            assert_int_equal(cause->reason, JOB_NOT_INPUT);
            assert_int_equal(cause->steps_last, 16);
            CHECK(i != 0 || strcmp(cause->why, "its steps take 900 ms before the backward pass, "
                                               "those of the next slowest rank 100 ms") == 0,
                  "%s", cause->why);
        }
        job_free(job);
    }
}

/* ---- the words ---- */

static void a_job_that_no_gpu_is_used_in(void **state)
{
    (void)state;
    for (uint32_t m = 0; m <= RANKS; m++) { /* the last: none does */
        set_steps(5,
                  (const struct rank_of_step[RANKS]){{0, 50, 0, 0}, {0, 50, 0, 0}, {0, 50, 0, 0}});
        for (uint32_t i = 0; i < RANKS; i++)
            members[i].gpu = i == m;
        assert_int_equal(job_is_by_host(&group), m == RANKS);
        free_group();
    }
}

static struct range around(double mean, double below, double above)
{
    return (struct range){mean, mean - below, mean + above};
}

static void a_job_in_words(void **state)
{
    (void)state;
    static const struct {
        uint32_t nodes;
        double lost_s, mean_stall_s, input_s, late_s; /* of 100 s */
        bool in_turns;
        const char *text;
        double below_s, above_s; /* the bounds of what was lost: so far from it */
    } rows[] = {
        {1, 20, 5, 15, 0, false,
         "rank 3 made the others wait: 15.0 s of the 20.0 s (20 %) that the job lost; blocked", 1,
         1},
        {1, 20, 5, 15, 0, false,
         "rank 3 made the others wait: 75 % of what the job lost, 18.9 s to 21.0 s (19 to 21 %); "
         "blocked",
         1.1, 1},
        {1, 20, 5, 15, 0, false,
         "rank 3 made the others wait: 75 % of what the job lost, at most 40.0 s (40 %); blocked",
         20, 20},
        {1, 20, 20, 15, 0, false,
         "all ranks waited alike: the job lost at most 35.1 s (35 %) to input", 15.1, 15.1},
        {1, 30, 30, 15, 0, false,
         "all ranks waited alike: the job lost at most 58.0 s (58 %) to input", 29, 28},
        {1, 20, 5, 15, 0, true,
         "the ranks made each other wait in turns: the job lost 5.0 s to 35.0 s (5 to 35 %) to "
         "input, most of one to rank 3 (75 %)",
         15, 15},
        {1, 20, 5, 15, 0, false,
         "rank 3 made the others wait: 15.0 s of the 20.0 s (20 %) that the job lost; blocked"},
        {2, 20, 5, 15, 0, false,
         "rank 3 on two made the others wait: 15.0 s of the 20.0 s (20 %) that the job lost; "
         "blocked"},
        {1, 20, 16, 15, 0, false, "all ranks waited alike: the job lost 20.0 s (20 %) to input"},
        {1, 20, 15.9, 15, 0, true,
         "the ranks made each other wait in turns: the job lost 20.0 s (20 %) to input, most of "
         "one "
         "to rank 3 (15.0 s)"},
        {1, 5, 0, 5, 0, false,
         "rank 3 made the others wait: 5.0 s of the 5.0 s (5 %) that the job lost; blocked"},
        {1, 4.99, 0, 4.99, 0, false, ""},
        {1, 4.99, 0, 4.99, 6, false,
         "rank 5 came late for another reason than input, which cost the job 6.0 s (6 %): heat"},
        {1, 20, 0, 20, 5, false,
         "rank 3 made the others wait: 20.0 s of the 20.0 s (20 %) that the job lost; blocked; "
         "rank 5 "
         "came late for another reason than input, which cost the job 5.0 s (5 %): heat"},
        {1, 20, 0, 20, 4.99, false,
         "rank 3 made the others wait: 20.0 s of the 20.0 s (20 %) that the job lost; blocked"},
        {1, 20, 0, 0, 0, false, ""},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job_figures figures = {
            .nodes = rows[i].nodes,
            .active_s = 100,
            .lost_s = around(rows[i].lost_s, rows[i].below_s, rows[i].above_s),
            .lost_share =
                around(rows[i].lost_s / 100, rows[i].below_s / 100, rows[i].above_s / 100),
            .mean_stall_s = rows[i].mean_stall_s,
            .in_turns = rows[i].in_turns};
        if (rows[i].late_s > 0)
            figures.causes[figures.cause_count++] = (struct job_cause){.rank = 5,
                                                                       .node = "one",
                                                                       .reason = JOB_NOT_INPUT,
                                                                       .lost_s = rows[i].late_s,
                                                                       .why = "heat"};
        if (rows[i].input_s > 0)
            figures.causes[figures.cause_count++] = (struct job_cause){.rank = 3,
                                                                       .node = "two",
                                                                       .reason = JOB_INPUT,
                                                                       .lost_s = rows[i].input_s,
                                                                       .why = "blocked"};
        char text[640];
        job_text(&figures, text, sizeof text);
        CHECK(strcmp(text, rows[i].text) == 0, "row %u: %s", i, text);
    }
    assert_string_equal(job_reason_name(JOB_INPUT), "input");
    assert_string_equal(job_reason_name(JOB_NOT_INPUT), "not_input");
}

static void what_is_worth_a_word(void **state)
{
    (void)state;
    static const struct {
        double lost_s, active_s;
        bool costs;
    } rows[] = {{0.5, 10, true},     {0.499, 1, false}, {5, 100, true},
                {4.999, 100, false}, {NAN, 10, false},  {1, 1, true}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct job_figures figures = {.active_s = rows[i].active_s,
                                            .lost_s = {rows[i].lost_s, 0, 0}};
        assert_int_equal(job_costs(&figures, rows[i].lost_s), rows[i].costs);
        assert_int_equal(job_is_lost(&figures), rows[i].costs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_on_the_clock),
        cmocka_unit_test(a_stretch_ends_where_it_is_not_known),
        cmocka_unit_test(what_a_batch_stalled),
        cmocka_unit_test(what_a_loader_stalled),
        cmocka_unit_test(stretches_of_very_many_ranks),
        cmocka_unit_test(ranks_and_their_names),
        cmocka_unit_test(machines_and_their_clocks),
        cmocka_unit_test(many_machines),
        cmocka_unit_test(what_the_machine_did_to_it),
        cmocka_unit_test(how_long_a_gpu_works),
        cmocka_unit_test(the_busiest_gpu),
        cmocka_unit_test(how_long_a_forward_pass_takes),
        cmocka_unit_test(batches_that_all_ranks_have),
        cmocka_unit_test(clocks_that_differ),
        cmocka_unit_test(ranks_in_step),
        cmocka_unit_test(what_one_step_lost),
        cmocka_unit_test(steps_of_several_batches),
        cmocka_unit_test(a_job_whose_batches_were_all_seen),
        cmocka_unit_test(ranks_that_were_restarted),
        cmocka_unit_test(a_job_of_which_half_was_seen),
        cmocka_unit_test(causes_in_their_order),
        cmocka_unit_test(a_rank_that_comes_late),
        cmocka_unit_test(what_limits_the_figures),
        cmocka_unit_test(a_loader_without_a_number),
        cmocka_unit_test(a_job_that_lost_all_of_its_time),
        cmocka_unit_test(the_ranks_of_a_job),
        cmocka_unit_test(ranks_that_came_late),
        cmocka_unit_test(a_job_over_time),
        cmocka_unit_test(a_job_of_one_moment),
        cmocka_unit_test(details_without_a_number),
        cmocka_unit_test(a_slow_forward_pass),
        cmocka_unit_test(a_job_that_no_gpu_is_used_in),
        cmocka_unit_test(a_job_in_words),
        cmocka_unit_test(what_is_worth_a_word),
        cmocka_unit_test(a_job_of_two_loaders),
        cmocka_unit_test(ranks_that_only_seem_to_be_in_step),
        cmocka_unit_test(ranks_that_were_started_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
