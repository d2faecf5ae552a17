/* SPDX-License-Identifier: Apache-2.0 */
/* What other settings would give: beside the machine itself, whose results are corrected and get a width. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/parts.h"
#include "recorded.h"
#include "support.h"
#include "world.h"

#define SIMULATED 1600u

/* Items that block for the most part: more workers are faster, and 8 CPUs do for all of them. */
static const struct recorded_plan sleeping = RECORDED_PLAN;

static struct predict_model model; /* as it is when settings are tried */
static struct predict *predict;
static double own_time, speed; /* of the replay; and against what was measured */
static struct predict_options options;

static double time_of(const struct predict_model *of, const struct machine_costs *costs,
                      const struct machine_setting *setting, struct machine_result *result)
{
    struct machine_result unused;
    result = result != NULL ? result : &unused;
    assert_true(machine_run(costs, setting, &of->load, SIMULATED, result));
    return result->time;
}

/* What was recorded, as a model whose replay takes so much more than the run did. */
static void model_what_was_recorded(double miss)
{
    char says[256];
    assert_true(predict_model_make(&recorded.process, &recorded.loader, &recorded.why, false,
                                   &model, says, sizeof says));
    model.load.delay_times = 1; /* nothing waited for a CPU */
    own_time = time_of(&model, &model.costs, &model.setting, NULL);
    recorded.why.active_ns = (uint64_t)(own_time / (1 + miss));
    model.measured_ns = (double)recorded.why.active_ns;
    speed = own_time / model.measured_ns;
}

/* The plan's run, which took so much less than its replay takes. */
static void record(const struct recorded_plan *plan, double miss)
{
    record_plan(plan);
    model_what_was_recorded(miss);
    options = (struct predict_options){.workers_to = 4, .cpus = NAN};
}

static void make(void)
{
    predict = predict_make(&recorded.process, &recorded.loader, &recorded.why, false, &options);
    assert_non_null(predict);
}

static void release(void)
{
    free(predict);
    free(model.batches);
    predict = NULL;
    model.batches = NULL;
}

static void is(const char *what, double got, double wanted)
{
    CHECK(fabs(got - wanted) <= fabs(wanted) * 1e-9, "%s: %.12g in place of %.12g", what, got,
          wanted);
}

static const struct predict_setting *told_of(uint32_t workers, uint32_t prefetch, bool persistent)
{
    for (uint32_t i = 0; i < predict->count; i++) {
        const struct predict_setting *one = &predict->settings[i];
        if (one->num_workers == workers && one->prefetch_factor == prefetch &&
            one->persistent_workers == persistent)
            return one;
    }
    return NULL;
}

/* ---- the run itself ---- */

static void a_run_that_its_batches_explain(void **state)
{
    (void)state;
    static const struct {
        double miss;
        const char *says;
    } rows[] = {
        {0, ""},
        {0.099, ""},
        {-0.099, ""},
        {0.101, "the run itself, replayed, takes 10 % more than it took: something that its "
                "batches do not show limits its speed"},
        {-0.25, "the run itself, replayed, takes 25 % less than it took: something that its "
                "batches do not show limits its speed"},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        record(&sleeping, rows[i].miss);
        make();
        assert_string_equal(predict->says, rows[i].says);
        assert_true(fabs(predict->miss - rows[i].miss) < 1e-6);
        assert_int_equal(predict->count > 0, rows[i].says[0] == '\0');
        assert_int_equal(predict->without_count > 0, rows[i].says[0] == '\0');
        const struct predict_setting *m = &predict->measured;
        assert_int_equal(m->num_workers, 2);
        assert_int_equal(m->prefetch_factor, 2);
        assert_false(m->persistent_workers);
        is("window", m->window_s.mean, model.measured_ns * 1e-9);
        is("lower", m->window_s.lower, m->window_s.mean);
        is("upper", m->window_s.upper, m->window_s.mean);
        is("samples", m->samples_per_s.mean, 512 / m->window_s.mean);
        is("lower", m->samples_per_s.lower, m->samples_per_s.mean);
        is("upper", m->samples_per_s.upper, m->samples_per_s.mean);
        is("stall", m->stall_share.mean, recorded.waited / model.measured_ns);
        is("lower", m->stall_share.lower, m->stall_share.mean);
        is("upper", m->stall_share.upper, m->stall_share.mean);
        release();
    }
}

static void a_run_of_kept_workers_or_none(void **state)
{
    (void)state;
    struct recorded_plan plan = sleeping;
    plan.persistent = true;
    record(&plan, 0);
    make();
    assert_true(predict->measured.persistent_workers);
    assert_true(predict->settings[1].persistent_workers);
    release();
    plan.workers = 1;
    record(&plan, 0);
    make();
    assert_true(predict->measured.persistent_workers);
    assert_int_equal(predict->measured.prefetch_factor, 2);
    release();
    plan.workers = 0;
    plan.prefetch = 7;
    record(&plan, 0);
    make();
    assert_int_equal(predict->measured.prefetch_factor, 0);
    assert_false(predict->measured.persistent_workers || predict->settings[0].persistent_workers);
    release();
}

static void a_run_that_cannot_be_replayed(void **state)
{
    (void)state;
    record(&sleeping, 0);
    recorded.loader.entry.num_workers = MACHINE_WORKERS + 1;
    make();
    assert_string_equal(predict->says, "more batches are under way than can be replayed");
    assert_true(isnan(predict->miss) && predict->count == 0);
    assert_true(predict->best == UINT32_MAX);
    release();
    record(&sleeping, 0);
    recorded.why.failure.kind = WHY_WORKER_KILLED;
    make();
    assert_string_equal(predict->says, "it did not run to its end");
    release();
}

/* What the loop did with a batch is what passed until it asked for the next, to the last of which that is
 * known; with the last it did what it did with the others. */
static void what_the_loop_did_with_each(void **state)
{
    (void)state;
    record_plan(&sleeping);
    for (uint32_t k = 0; k < 128; k++)
        recorded.batches[k].times[RF_BATCH_CONSUMED] = (100 + k) * TICK_UNITS;
    model_what_was_recorded(0);
    assert_int_equal(model.load.count, 128);
    for (uint32_t k = 0; k < 128; k++) {
        const double with = model.batches[k].consumed_running + model.batches[k].consumed_else;
        CHECK(fabs(with / ((k < 127 ? 101 + k : 100 + 64) * TICK) - 1) < 1e-4, "batch %u: %g", k,
              with);
    }
    release();
}

/* What the loop computes took longer where its workers waited for a CPU, by as much as theirs did: in
 * whichever batch that was. */
static void computing_that_was_slowed(void **state)
{
    (void)state;
    static const uint32_t rows[] = {0, 1, 127};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double with[2], running = 0;
        for (uint32_t slow = 0; slow < 2; slow++) {
            record_plan(&sleeping);
            running = 0;
            for (uint32_t k = 0; k < 128; k++) {
                uint32_t *t = recorded.batches[k].times;
                t[RF_BATCH_CPU] = 10 * TICK_UNITS;
                t[RF_BATCH_DELAY] = t[RF_BATCH_COLLATE_DELAY] = 0;
                running += t[RF_BATCH_CPU] + t[RF_BATCH_THREADS] + t[RF_BATCH_COLLATE_CPU];
            }
            recorded.batches[rows[i]].times[RF_BATCH_DELAY] = slow * 40 * TICK_UNITS;
            model_what_was_recorded(0);
            const struct machine_batch *last = &model.batches[127]; /* does what is usual */
            with[slow] = last->consumed_running + last->consumed_else;
            if (slow)
                is("slower", with[0] - with[1],
                   (double)last->consumed_running * 40 * TICK_UNITS / running);
            release();
        }
        assert_true(with[1] < with[0]);
    }
}

/* ---- which settings ---- */

struct setting {
    uint32_t workers, prefetch;
    bool kept;
};

static void settings_that_are_asked_for(void **state)
{
    (void)state;
    static const struct {
        uint32_t own_workers, epochs;
        bool kept, is_held_up;
        struct predict_options options;
        struct setting settings[12];
        uint32_t count;
    } rows[] = {
        {2,
         1,
         false,
         false,
         {0, 3, 0, 0, NAN, false},
         {{0, 0, 0}, {1, 2, 0}, {2, 2, 0}, {3, 2, 0}, {2, 4, 0}, {2, 8, 0}},
         6},
        {2,
         1,
         false,
         false,
         {1, 2, 1, 3, NAN, false},
         {{1, 1, 0}, {1, 2, 0}, {1, 3, 0}, {2, 1, 0}, {2, 2, 0}, {2, 3, 0}},
         6},
        {2,
         2,
         false,
         false,
         {2, 2, 0, 0, NAN, false},
         {{2, 2, 0}, {2, 4, 0}, {2, 8, 0}, {2, 2, 1}},
         4},
        {2, 2, true, false, {2, 2, 2, 2, NAN, false}, {{2, 2, 1}}, 1},
        {2, 1, false, true, {0, 1, 2, 2, NAN, false}, {{1, 2, 0}}, 1},
        {0, 2, false, true, {0, 1, 0, 0, NAN, false}, {{0, 0, 0}, {1, 2, 0}}, 2},
        {2, 1, false, false, {0, 0, 1, 3, NAN, false}, {{0, 0, 0}}, 1},
        {2, 1, false, false, {64, 66, 2, 2, NAN, false}, {{64, 2, 0}}, 1},
        {2, 1, false, false, {3, 2, 2, 2, NAN, false}, {{0}}, 0},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = sleeping;
        plan.workers = rows[i].own_workers;
        plan.batches = 64 / rows[i].epochs;
        plan.epochs = rows[i].epochs;
        plan.persistent = rows[i].kept;
        record(&plan, 0);
        recorded.why.states_ns[CAUSE_INTERPRETER] = rows[i].is_held_up ? UINT64_MAX / 2 : 0;
        options = rows[i].options;
        make();
        assert_string_equal(predict->says, "");
        CHECK(predict->count == rows[i].count, "row %u: %u settings", i, predict->count);
        for (uint32_t k = 0; k < rows[i].count; k++) {
            const struct predict_setting *one = &predict->settings[k];
            const struct setting *wanted = &rows[i].settings[k];
            CHECK(one->num_workers == wanted->workers && one->prefetch_factor == wanted->prefetch &&
                      one->persistent_workers == wanted->kept,
                  "row %u: %u workers, %u batches each", i, one->num_workers, one->prefetch_factor);
        }
        if (rows[i].count == 0)
            assert_true(predict->best == UINT32_MAX);
        release();
    }
}

static void settings_where_nobody_asks(void **state)
{
    (void)state;
    static const struct {
        uint64_t workers;
        double cpus;
        uint32_t to;
    } rows[] = {{0, 2, 8},  {4, 2, 8},   {5, 2, 10},
                {8, 2, 16}, {9, 2, 16},  {0, 5, 10},
                {0, 9, 16}, {0, NAN, 8}, {DATASTALL_UNKNOWN, 4.5, 9}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run_loader loader = {.entry.num_workers = rows[i].workers};
        struct why why = {.host.cpus_usable = rows[i].cpus};
        const struct predict_options usual = predict_usual(&loader, &why);
        CHECK(usual.workers_to == rows[i].to, "row %u: %u", i, usual.workers_to);
        assert_true(usual.workers_from == 0 && usual.prefetch_from == 0 && usual.prefetch_to == 0);
        assert_true(isnan(usual.cpus) && !usual.goes_on);
    }
}

/* ---- what is told of one ---- */

static double beyond(double used)
{
    return used > 0.75 ? (used - 0.75) / 0.25 : 0;
}

/* Up to 12 % where CPUs become full, and 24 % of what computes where twice as many are at work. */
static double loss_of(const struct machine_result *result, double cpus,
                      const struct machine_result *own, double own_cpus, double computes)
{
    const double busy = result->running / result->time, own_busy = own->running / own->time;
    return 0.12 * (beyond(fmin(1, busy / cpus)) - beyond(fmin(1, own_busy / own_cpus))) +
           0.24 * computes * log2(busy / own_busy);
}

/* In the mean half of it; what is lost from one setting to another is won back from that to the first. */
static double with_loss(double loss)
{
    return loss < 0 ? 1 / (1 - loss / 2) : 1 + loss / 2;
}

/* The same where CPUs are shared in turns: a slice of 8 ms, corrected as the run's own replay is, which counts
 * where it misses by 10 % at most. */
static void spread_turns(const struct predict_model *mean, const struct machine_setting *setting,
                         struct machine_result *slow, struct machine_result *fast)
{
    struct machine_costs turns = model.costs;
    struct machine_result taken;
    turns.slice = 8e6;
    const double own = time_of(&model, &turns, &model.setting, NULL) / model.measured_ns;
    if (fabs(own - 1) > 0.10)
        return;
    time_of(mean, &turns, setting, &taken);
    taken.time *= speed / own;
    *slow = taken.time > slow->time ? taken : *slow;
    *fast = taken.time < fast->time ? taken : *fast;
}

/* The interval of docs/prediction.md around what the machine says: 1.5 % for it, 12 % as far as slower CPUs
 * make it slower and what stretches differ by, 90 of 100 of that; 0.7 of what the replay misses by; a stream with
 * other workers; and what CPUs lose that fill, or work beside more others, of which half is in the mean and
 * a quarter to either side. What the mean is of: `model_of_mean`. */
static void check_setting_of(const struct predict_model *model_of_mean,
                             const struct predict_setting *told,
                             const struct machine_setting *setting,
                             const struct machine_result *slowest,
                             const struct machine_result *usual,
                             const struct machine_result *fastest, double computes)
{
    struct machine_result own, slow = *slowest, fast = *fastest;
    spread_turns(model_of_mean, setting, &slow, &fast);
    time_of(&model, &model.costs, &model.setting, &own);
    struct machine_costs slower = model.costs;
    slower.speed = 1 / 1.1;
    const double longer = time_of(model_of_mean, &slower, setting, NULL) / usual->time - 1;
    const double cpu = 0.12 * longer / 0.1;
    double both = 1.645 * sqrt(model.noise * model.noise + 0.015 * 0.015 + cpu * cpu);
    both += 0.7 * fabs(own_time / model.measured_ns - 1);
    if (setting->workers != model.setting.workers && model.is_stream)
        both += 0.10;
    const double loss = loss_of(usual, model.costs.cpus, &own, model.costs.cpus, computes);
    const double half = both + fabs(loss) / 4, times = with_loss(loss) / speed * 1e-9;
    const double mean = usual->time * times, share = usual->waited / usual->time;
    const double upper = fmax(mean, slow.time * times / (1 - fmin(0.9, half)));
    const double lower = fmin(mean, fast.time * times / (1 + half));
    const double samples = (double)model.samples;
    is("window", told->window_s.mean, mean);
    is("window, upper", told->window_s.upper, upper);
    is("window, lower", told->window_s.lower, lower);
    is("samples", told->samples_per_s.mean, samples / mean);
    is("samples, upper", told->samples_per_s.upper, samples / lower);
    is("samples, lower", told->samples_per_s.lower, samples / upper);
    is("stall", told->stall_share.mean, share);
    is("stall, lower", told->stall_share.lower, fmax(0, 1 - (1 - share) * mean / lower));
    is("stall, upper", told->stall_share.upper, 1 - (1 - share) * mean / upper);
}

static void check_setting(const struct predict_setting *told, const struct machine_setting *setting,
                          const struct machine_result *slowest, const struct machine_result *usual,
                          const struct machine_result *fastest, double computes)
{
    check_setting_of(&model, told, setting, slowest, usual, fastest, computes);
}

static void settings_with_workers(void **state)
{
    (void)state;
    static const struct {
        uint32_t workers, cpu;
        double cpus, miss;
        bool is_stream;
    } rows[] = {{2, 45, 8, 0, false},   {2, 45, 8, 0.05, true}, {2, 120, 2.5, -0.05, false},
                {4, 120, 3, 0, false},  {1, 120, 16, 0, true},  {4, 0, 8, 0, false},
                {4, 120, 1.2, 0, false}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = sleeping;
        plan.workers = rows[i].workers;
        plan.cpu = rows[i].cpu;
        plan.batches = 64;
        record(&plan, 0);
        recorded.why.host.cpus_usable = recorded.why.host.idle_cpus = rows[i].cpus;
        recorded.loader.entry.flags |= rows[i].is_stream ? DATASTALL_LOADER_STREAM : 0;
        free(model.batches);
        model_what_was_recorded(rows[i].miss);
        options.workers_from = 1;
        options.workers_to = 5;
        make();
        assert_string_equal(predict->says, "");
        const double computes = (rows[i].cpu + 10.0) / (125 + 16);
        for (uint32_t k = 0; k < predict->count; k++) {
            const struct predict_setting *told = &predict->settings[k];
            struct machine_setting setting = model.setting;
            struct machine_result result;
            setting.workers = told->num_workers;
            setting.prefetch_factor = told->prefetch_factor;
            time_of(&model, &model.costs, &setting, &result);
            check_setting(told, &setting, &result, &result, &result, computes);
        }
        release();
    }
}

/* From workers to none or back: the interval spans what handing over and the copy may cost. */
static void settings_of_the_other_kind(void **state)
{
    (void)state;
    static const struct {
        uint32_t workers;
        uint32_t collate_units; /* CPU time of a collation; 1 ms is not a long one yet */
        float running, collate;
    } rows[] = {{2, 10000, 0.87f, 0.5f}, {2, 15625, 0.87f, 0.5f}, {2, 15626, 0.5f, 0.25f},
                {0, 10000, 1.1f, 1.5f},  {0, 15625, 1.1f, 1.5f},  {0, 15626, 2.2f, 3.5f}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = sleeping;
        plan.workers = rows[i].workers;
        plan.collate = 20;
        plan.batches = 64;
        record(&plan, 0);
        free(model.batches);
        for (uint32_t k = 0; k < 64; k++)
            recorded.batches[k].times[RF_BATCH_COLLATE_CPU] = rows[i].collate_units;
        recorded.batches[0].times[RF_BATCH_CPU] += 45 * TICK_UNITS;
        /* The first wait of a loop without workers says nothing of how some would start. */
        recorded.stretches.head[RF_STRETCH_NEW] = plan.workers == 0;
        recorded.stretches.head[RF_STRETCH_NEW_FIRST_NS] = 500 * MS;
        model_what_was_recorded(0);
        make();
        const bool hands = rows[i].workers == 0;
        struct machine_setting setting = model.setting;
        setting.workers = hands ? 3 : 0;
        setting.prefetch_factor = 2;
        struct predict_model other = model;
        struct machine_costs dear = model.costs, cheap = model.costs;
        other.load.running_times = rows[i].running;
        other.load.collate_times = rows[i].collate;
        double *const dears[] = {&dear.send, &dear.latency,    &dear.get,       &dear.tail,
                                 &dear.boot, &dear.first_send, &dear.iter_each, &dear.end_each};
        double *const cheaps[] = {&cheap.send,      &cheap.latency, &cheap.get,
                                  &cheap.tail,      &cheap.boot,    &cheap.first_send,
                                  &cheap.iter_each, &cheap.end_each};
        for (uint32_t k = 0; hands && k < 8; k++) {
            *dears[k] *= 2;
            *cheaps[k] *= 0.7;
        }
        struct machine_result slow, usual, fast;
        time_of(&model, &model.costs, &setting, &usual);
        time_of(hands ? &other : &model, &dear, &setting, &slow);
        time_of(hands ? &model : &other, &cheap, &setting, &fast);
        const double collate_ns = rows[i].collate_units * 64.0;
        const double computes = (45 * TICK * 65 / 64 + collate_ns) / (145 * TICK);
        const struct predict_setting *told = told_of(setting.workers, hands ? 2 : 0, false);
        assert_non_null(told);
        CHECK(slow.time > fast.time, "row %u", i);
        check_setting(told, &setting, &slow, &usual, &fast, computes);
        release();
    }
}

/* From none to workers where a batch's bytes are known: so much of them is copied. */
static void workers_that_copy_what_was_measured(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        double items; /* at the slow end, of their time; 0: by the bytes */
    } rows[] = {{4000000, 0}, {400000000, 2.2}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = sleeping;
        plan.workers = 0;
        plan.collate = 20;
        plan.batches = 64;
        plan.cpu = 45;
        record(&plan, 0);
        free(model.batches);
        for (uint32_t k = 0; k < 64; k++)
            recorded.batches[k].times[RF_BATCH_COLLATE_CPU] = 20000; /* 1.28 ms */
        recorded.why.work.tensor_bytes = rows[i].bytes;
        recorded.why.host.shm_size_bytes = INFINITY;
        recorded.stretches.head[RF_STRETCH_NEW] = 1;
        recorded.stretches.head[RF_STRETCH_NEW_FIRST_NS] = 500 * MS;
        model_what_was_recorded(0);
        make();
        struct machine_setting setting = model.setting;
        setting.workers = 3;
        setting.prefetch_factor = 2;
        double running = 0, blocked = 0;
        for (uint32_t k = 0; k < 64; k++) {
            const struct machine_batch *batch = &model.batches[k];
            running += (double)batch->running / 64;
            blocked += ((double)batch->blocked + (double)batch->collate_blocked) / 64;
        }
        const double bytes = (double)rows[i].bytes;
        struct predict_model least = model, mean = model, most = model;
        least.load.collate_more = (float)(0.1 * bytes);
        mean.load.collate_more = (float)(0.3 * bytes);
        most.load.collate_more = (float)(0.6 * bytes);
        most.load.running_times =
            (float)(rows[i].items > 0 ? rows[i].items : 1 + 0.25 * bytes / running);
        struct machine_costs dear = model.costs, cheap = model.costs;
        double *const dears[] = {&dear.send, &dear.latency,    &dear.get,       &dear.tail,
                                 &dear.boot, &dear.first_send, &dear.iter_each, &dear.end_each};
        double *const cheaps[] = {&cheap.send,      &cheap.latency, &cheap.get,
                                  &cheap.tail,      &cheap.boot,    &cheap.first_send,
                                  &cheap.iter_each, &cheap.end_each};
        for (uint32_t k = 0; k < 8; k++) {
            *dears[k] *= 2;
            *cheaps[k] *= 0.7;
        }
        struct machine_result slow, usual, fast;
        time_of(&mean, &model.costs, &setting, &usual);
        time_of(&most, &dear, &setting, &slow);
        time_of(&least, &cheap, &setting, &fast);
        const struct predict_setting *told = told_of(3, 2, false);
        assert_non_null(told);
        CHECK(slow.time > fast.time, "row %u", i);
        const double runs = running + 1.28e6;
        check_setting_of(&mean, told, &setting, &slow, &usual, &fast, runs / (runs + blocked));
        release();
    }
}

static void samples_that_are_not_known(void **state)
{
    (void)state;
    record(&sleeping, 0);
    recorded.loader.totals.counters[RF_COUNT_SAMPLES_BATCHES] = 0;
    make();
    assert_true(isnan(predict->measured.samples_per_s.mean));
    assert_true(predict->count > 0 && isnan(predict->settings[0].samples_per_s.mean));
    assert_true(predict->settings[0].window_s.mean > 0);
    release();
}

static void cpus_that_are_asked_for(void **state)
{
    (void)state;
    struct recorded_plan plan = sleeping;
    plan.cpu = 120;
    record(&plan, 0);
    options.cpus = 1;
    make();
    const double cpus = model.costs.cpus;
    struct machine_result own, fewer;
    time_of(&model, &model.costs, &model.setting, &own);
    model.costs.cpus = 1;
    struct machine_setting setting = model.setting;
    setting.workers = 4;
    time_of(&model, &model.costs, &setting, &fewer);
    const double loss = loss_of(&fewer, 1, &own, cpus, 130.0 / 141);
    is("window", told_of(4, 2, false)->window_s.mean, fewer.time * with_loss(loss) / speed * 1e-9);
    release();
}

/* ---- the best ---- */

static uint32_t by_the_rule(void)
{
    double least = INFINITY;
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < predict->count; i++) {
        if (!predict->settings[i].persistent_workers || predict->measured.persistent_workers)
            least = fmin(least, predict->settings[i].window_s.mean);
    }
    for (uint32_t i = 0; i < predict->count; i++) {
        const struct predict_setting *one = &predict->settings[i];
        if ((one->persistent_workers && !predict->measured.persistent_workers) ||
            one->window_s.mean > 1.02 * least)
            continue;
        const struct predict_setting *than = best == UINT32_MAX ? NULL : &predict->settings[best];
        if (than == NULL || one->num_workers < than->num_workers ||
            (one->num_workers == than->num_workers && one->prefetch_factor < than->prefetch_factor))
            best = i;
    }
    return best;
}

static void the_smallest_of_the_best(void **state)
{
    (void)state;
    static const struct {
        uint32_t workers, prefetch, items, consumed, epochs;
        uint32_t from, to; /* windows that are asked for */
        uint32_t best_workers, best_prefetch;
    } rows[] = {
        {2, 2, 125, 31, 1, 0, 0, 4, 2}, /* the loop takes 36 of 146 ticks: 4 workers feed it */
        {2, 2, 45, 300, 1, 0, 0, 1, 2}, /* one does */
        {2, 2, 45, 300, 1, 3, 1, 1, 0}, /* nothing is asked for */
        {2, 2, 45, 300, 2, 1, 3, 1,
         1}, /* the smallest window of equals; kept workers do not count */
        {4, 2, 45, 300, 2, 0, 0, 1, 2},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = sleeping;
        plan.workers = rows[i].workers;
        plan.prefetch = rows[i].prefetch;
        plan.items = rows[i].items;
        plan.cpu = plan.items < 45 ? plan.items : 45;
        plan.consumed = rows[i].consumed;
        plan.batches = 128 / rows[i].epochs;
        plan.epochs = rows[i].epochs;
        record(&plan, 0);
        options.workers_from = 1;
        options.workers_to = 8;
        options.prefetch_from = rows[i].from;
        options.prefetch_to = rows[i].to;
        make();
        assert_int_equal(predict->best, by_the_rule());
        if (rows[i].from > rows[i].to) {
            assert_true(predict->count == 0);
        } else {
            const struct predict_setting *best = &predict->settings[predict->best];
            CHECK(best->num_workers == rows[i].best_workers &&
                      best->prefetch_factor == rows[i].best_prefetch,
                  "row %u: %u workers, %u each", i, best->num_workers, best->prefetch_factor);
        }
        release();
    }
}

static void how_many_times_as_fast(void **state)
{
    (void)state;
    struct predict made = {.measured.window_s = {12, 12, 12}};
    const struct range window = {6, 4, 8};
    const struct range faster = predict_faster(&made, &window);
    is("mean", faster.mean, 2);
    is("lower", faster.lower, 1.5);
    is("upper", faster.upper, 3);
}

/* ---- without a part ---- */

static double computing_share(void)
{
    double computes = 0, all = 0;
    for (uint32_t i = 0; i < model.load.count; i++) {
        const struct machine_batch *batch = &model.batches[i];
        computes += batch->running + batch->collate;
        all += batch->blocked + batch->collate_blocked;
    }
    return computes / (computes + all);
}

static void what_each_part_is_worth(void **state)
{
    (void)state;
    for (uint32_t workers = 0; workers < 3; workers++) {
        struct recorded_plan plan = sleeping;
        plan.workers = workers;
        plan.batches = 32;
        plan.epochs = 4;
        record(&plan, 0.03);
        /* Uneven items, so that their order costs something. */
        for (uint32_t i = 0; i < 128; i += 9)
            recorded.batches[i].times[RF_BATCH_ITEMS] += 500 * TICK_UNITS;
        recorded.why.host.cpus_usable = recorded.why.host.idle_cpus = 1;
        free(model.batches);
        model_what_was_recorded(0.03);
        make();
        assert_int_equal(predict->without_count, 5 + (workers > 0) + (workers > 1));
        struct machine_result own;
        time_of(&model, &model.costs, &model.setting, &own);
        for (uint32_t i = 0; i < predict->without_count; i++) {
            const struct predict_without *part = &predict->without[i];
            struct predict_model other = model;
            struct machine_costs *costs = &other.costs;
            switch (part->part) {
            case PREDICT_HALF_COMPUTE:
                other.load.running_times = 0.5f;
                break;
            case PREDICT_NO_BLOCKING:
                other.load.blocked_times = 0;
                break;
            case PREDICT_NO_COLLATION:
                other.load.collate_times = 0;
                break;
            case PREDICT_NO_STARTUP:
                *costs = (struct machine_costs){.cpus = costs->cpus,
                                                .speed = 1,
                                                .gap = costs->gap,
                                                .send = costs->send,
                                                .latency = costs->latency,
                                                .index = costs->index,
                                                .get = costs->get,
                                                .tail = costs->tail,
                                                .overhead = costs->overhead,
                                                .parallel = costs->parallel,
                                                .first_blocked = costs->first_blocked,
                                                .first_running = costs->first_running};
                other.load.epochs = 1;
                other.load.epoch_batches = 128;
                break;
            case PREDICT_NO_ORDER:
                assert_true(workers > 1);
                other.setting.in_order = false;
                break;
            case PREDICT_NO_HANDOVER:
                assert_true(workers > 0);
                costs->send = costs->latency = costs->index = 0;
                costs->get = costs->tail = costs->first_send = 0;
                other.load.consumed_less = (float)(9e3 * model.tensors);
                break;
            default:
                costs->cpus = 2;
                break;
            }
            struct machine_result result;
            const double time = time_of(&other, costs, &other.setting, &result);
            const double loss =
                loss_of(&result, costs->cpus, &own, model.costs.cpus, computing_share());
            is(predict_part_name(part->part), part->window_s.mean,
               time * with_loss(loss) / speed * 1e-9);
            is("samples", part->samples_per_s.mean, 512 / part->window_s.mean);
            assert_true(part->window_s.lower < part->window_s.mean);
            assert_true(part->window_s.upper > part->window_s.mean);
            const bool nothing = workers == 0 && (part->part == PREDICT_NO_STARTUP ||
                                                  part->part == PREDICT_MORE_CPUS);
            CHECK((time == own_time) == nothing, "part %u", (unsigned)part->part);
        }
        release();
    }
}

static void each_part_has_a_name(void **state)
{
    (void)state;
    static const char *const names[] = {"half_compute", "blocking",     "collation", "epoch_starts",
                                        "order",        "cpus_doubled", "handover"};
    _Static_assert(sizeof names / sizeof *names == PREDICT_PARTS, "each has one");
    for (uint32_t i = 0; i < PREDICT_PARTS; i++) {
        assert_string_equal(predict_part_name(i), names[i]);
        assert_true(strlen(predict_part_text(i)) > 8);
    }
    assert_string_equal(predict_part_text(PREDICT_MORE_CPUS), "twice the CPUs");
}

/* ---- what is not in the batches ---- */

static struct predict_setting setting_of(uint32_t workers)
{
    const struct predict_setting *one = told_of(workers, workers == 0 ? 0 : 2, false);
    assert_non_null(one);
    return *one;
}

/* Items that wait for a disk: more of them at once are served side by side at best, and half of those that
 * are more have to wait for the others at worst; and another part of the files may lie in memory. */
static void storage_may_put_readers_in_line(void **state)
{
    (void)state;
    for (uint32_t own = 1; own <= 2; own++) {
        struct recorded_plan plan = sleeping;
        plan.workers = own;
        plan.cpu = 0;
        record(&plan, 0);
        recorded.why.host.cpus_usable = recorded.why.host.idle_cpus = 64; /* no turns of CPUs */
        model.costs.cpus = 64;
        options.workers_to = 8;
        recorded.why.work.storage_bytes = 0;
        make();
        struct predict_setting without[9], with[9];
        for (uint32_t n = 0; n <= 8; n++)
            without[n] = setting_of(n);
        free(predict);
        recorded.why.work.storage_bytes = UINT64_C(1) << 40;
        make();
        for (uint32_t n = 0; n <= 8; n++) {
            with[n] = setting_of(n);
            struct predict_model slow = model, usual = model;
            const struct machine_setting setting = {n, 2, true, false};
            const double line = 0.5 * ((n > 0 ? n : 1.0) / own - 1);
            usual.load.blocked_times = (float)(1 + line / 2);
            struct machine_result ran, result;
            time_of(&model, &model.costs, &model.setting, &ran);
            const double time = time_of(&usual, &usual.costs, &setting, &result);
            const double loss = loss_of(&result, 64, &ran, 64, computing_share());
            is("usual", with[n].window_s.mean, time * with_loss(loss) * 1e-9);
            slow.load.blocked_times = (float)((1 + fmax(0, line)) * 1.25);
            CHECK(with[n].window_s.upper >=
                      time_of(&slow, &slow.costs, &setting, NULL) * 1e-9 * (1 - 1e-9),
                  "%u workers", n);
            CHECK(with[n].window_s.lower < without[n].window_s.mean &&
                      with[n].window_s.upper > without[n].window_s.upper,
                  "%u workers", n);
            if (n == 0)
                continue; /* more than storage is not known of it */
            /* About as wide around those two as around the mean of what waits for no storage. */
            struct predict_model fast = model;
            fast.load.blocked_times = (float)((1 + fmin(0, line)) / 1.25);
            const double slowest = time_of(&slow, &slow.costs, &setting, NULL) * 1e-9 *
                                   without[n].window_s.upper / without[n].window_s.mean;
            const double fastest = time_of(&fast, &fast.costs, &setting, NULL) * 1e-9 *
                                   without[n].window_s.lower / without[n].window_s.mean;
            CHECK(fabs(with[n].window_s.upper / slowest - 1) < 0.1, "%u workers: %g s, not %g", n,
                  with[n].window_s.upper, slowest);
            CHECK(fabs(with[n].window_s.lower / fastest - 1) < 0.1, "%u workers: %g s, not %g", n,
                  with[n].window_s.lower, fastest);
        }
        /* Where there are more readers the gain is less, and there is one. */
        const double now = predict->measured.window_s.mean;
        assert_true(with[8].window_s.mean > without[8].window_s.mean);
        assert_true(with[8].window_s.mean < now);
        release();
    }
}

/* A batch of hundreds of tensors: without workers none is received, and so none is given back. */
static void tensors_that_are_not_sent_cost_the_loop_nothing(void **state)
{
    (void)state;
    double times[2];
    for (uint32_t many = 0; many < 2; many++) {
        struct recorded_plan plan = sleeping;
        plan.consumed = 100; /* ticks of 64 us */
        plan.cpu = plan.collate_cpu = 0;
        record(&plan, 0);
        recorded.why.work.sent = 10;
        recorded.why.work.sent_tensors = many ? 3000 : 10;
        make();
        times[many] = setting_of(0).window_s.mean;
        release();
    }
    const double batches = (double)recorded.loader.totals.counters[RF_COUNT_BATCHES];
    is("less", times[0] - times[1], batches * 299 * 9e-6);
}

/* A thread beside the main one fetches batches ahead: unless it does nothing but wait, it waits for who
 * takes them. */
static void a_thread_that_may_be_held_up(void **state)
{
    (void)state;
    static const struct {
        bool background;
        double stall_share;
        bool told;
    } rows[] = {{false, 0.3, true}, {true, 0.3, false}, {true, 0.96, true}, {true, NAN, true}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        record(&sleeping, 0);
        recorded.loader.background = rows[i].background;
        recorded.why.stall_share = rows[i].stall_share;
        make();
        CHECK((predict->says[0] == '\0') == rows[i].told, "row %u: '%s'", i, predict->says);
        if (!rows[i].told)
            assert_non_null(strstr(predict->says, "another thread than the main one"));
        release();
    }
}

/* ---- what is fitted to the run ---- */

/* Forks, and what workers do until their first index, share the CPUs, and come out as they were together. */
static void forks_are_fitted_to_iter(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 8; workers *= 2) {
        struct recorded_plan plan = sleeping;
        plan.workers = workers;
        plan.batches = 32;
        plan.epochs = 4;
        record(&plan, 0);
        recorded.stretches.head[RF_STRETCH_NEW] = 4;
        recorded.stretches.head[RF_STRETCH_NEW_ITER_NS] = 4 * workers * 20 * MS;
        recorded.stretches.head[RF_STRETCH_NEW_FIRST_NS] = 4 * 90 * MS;
        recorded.why.host.cpus_usable = recorded.why.host.idle_cpus = 2;
        free(model.batches);
        model_what_was_recorded(0);
        struct machine_load one = model.load;
        struct machine_result r;
        one.epochs = 1;
        for (uint32_t k = 0; k < 40; k++) { /* what gives both */
            double least[2] = {0.1e6, 1e6}, most[2] = {1e9, 1e9};
            double *const costs[2] = {&model.costs.iter_each, &model.costs.boot};
            for (uint32_t n = 0; n < 2 * 50; n++) {
                const uint32_t of = n / 50;
                *costs[of] = (least[of] + most[of]) / 2;
                assert_true(machine_run(&model.costs, &model.setting, &one, 32, &r));
                const bool less =
                    of == 0 ? r.first_iter < workers * 20.0 * MS : r.first_wait < 90.0 * MS;
                *(less ? &least[of] : &most[of]) = *costs[of];
            }
        }
        recorded.why.active_ns = (uint64_t)time_of(&model, &model.costs, &model.setting, NULL);
        make();
        CHECK(fabs(predict->miss) < 0.005, "%u workers: %g", workers, predict->miss);
        release();
    }
}

/* The wait for the first batch comes out as it was. */
static void the_start_is_fitted_to_the_first_wait(void **state)
{
    (void)state;
    static const struct {
        double first_wait_ns,
            boot_ns; /* of workers that do nothing else: what is more than the rest */
        bool fitted;
    } rows[] = {{80e6, 0, true}, {300e6, 0, true}, {1e6, 1e6, false}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = sleeping;
        plan.batches = 16;
        plan.epochs = 8;
        record(&plan, 0);
        recorded.stretches.head[RF_STRETCH_NEW] = 8;
        recorded.stretches.head[RF_STRETCH_NEW_ITER_NS] = 8 * 18000000;
        recorded.stretches.head[RF_STRETCH_NEW_FIRST_NS] = 8 * (uint64_t)rows[i].first_wait_ns;
        struct machine_load one = model.load;
        struct machine_result result;
        double low = 1e6, high = 1e9;
        one.epochs = 1;
        for (uint32_t k = 0; k < 60 && rows[i].fitted; k++) { /* what gives that wait */
            model.costs.boot = (low + high) / 2;
            assert_true(machine_run(&model.costs, &model.setting, &one, 32, &result));
            *(result.first_wait < rows[i].first_wait_ns ? &low : &high) = model.costs.boot;
        }
        if (!rows[i].fitted)
            model.costs.boot = rows[i].boot_ns;
        const double time = time_of(&model, &model.costs, &model.setting, NULL);
        recorded.why.active_ns = (uint64_t)time;
        make();
        CHECK(fabs(predict->miss) < 1e-6, "row %u: %g", i, predict->miss);
        release();
    }
}

/* Waiting for CPUs that others used stays as far as the replay needs it. */
static void waiting_for_cpus_of_others(void **state)
{
    (void)state;
    static const struct {
        double part; /* of the waiting, in what was measured */
        double cpus, miss;
        bool fits;
    } rows[] = {
        {0.4, 8, 0, true},   {1, 8, 0, true},    {1.5, 8, 0, false},
        {-0.2, 8, 0, false}, {0.4, 1, 0, false}, /* its own work fills the CPUs */
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorded_plan plan = sleeping;
        plan.delay = 20;
        record(&plan, 0);
        recorded.why.host.cpus_usable = recorded.why.host.idle_cpus = rows[i].cpus;
        free(model.batches);
        model_what_was_recorded(0);
        model.load.delay_times = 0;
        const double without = time_of(&model, &model.costs, &model.setting, NULL);
        model.load.delay_times = 1;
        const double with = time_of(&model, &model.costs, &model.setting, NULL);
        const double measured = without + rows[i].part * (with - without);
        recorded.why.active_ns = (uint64_t)measured;
        make();
        /* Of the part that is needed the time is not quite linear. */
        const double off = rows[i].part > 1 ? with : without;
        if (rows[i].fits)
            CHECK(fabs(predict->miss) < 0.002, "row %u: %g", i, predict->miss);
        else
            CHECK(fabs(predict->miss - (off / measured - 1)) < 1e-6, "row %u: %g", i,
                  predict->miss);
        release();
    }
}

/* As if a run that was cut short had gone on: a million batches, without what its start took. */
static void a_run_that_goes_on(void **state)
{
    (void)state;
    struct recorded_plan plan = sleeping;
    for (uint32_t epochs = 1; epochs <= 2; epochs++) {
        plan.batches = 128 / epochs;
        plan.epochs = epochs;
        record(&plan, 0);
        struct predict_model longer = model;
        longer.load.epoch_batches = 1000000;
        const double time = time_of(&longer, &model.costs, &model.setting, NULL) / 1e6 * 128;
        recorded.why.first_ns = 40000000;
        if (epochs == 1)
            recorded.why.active_ns = (uint64_t)time + recorded.why.first_ns;
        recorded.why.stall_ns = recorded.why.active_ns / 2;
        options.goes_on = true;
        make();
        assert_string_equal(predict->says, "");
        assert_true(fabs(predict->miss) < 1e-6);
        const struct predict_setting *m = &predict->measured;
        const double times = epochs == 1 ? 1e6 / 128 : 1;
        const double start = epochs == 1 ? 0.04 : 0;
        const double window = ((double)recorded.why.active_ns * 1e-9 - start) * times;
        is("window", m->window_s.mean, window);
        is("stall", m->stall_share.mean,
           ((double)recorded.why.stall_ns * 1e-9 - start) * times / window);
        is("samples", m->samples_per_s.mean, 512 * times / window);
        release();
    }
    /* Where it only started, nothing is left; and nothing changes in a run that is long already. */
    plan = sleeping;
    record(&plan, 0);
    recorded.why.first_ns = recorded.why.active_ns + 5;
    recorded.why.stall_ns = recorded.why.first_ns;
    options.goes_on = true;
    make();
    assert_true(predict->says[0] != '\0' && predict->measured.stall_share.mean == 0);
    is("window", predict->measured.window_s.mean, 1e-9 * 1e6 / 128);
    release();
}

/* ---- the advice ---- */

/* The recorded loader, as the first process's. */
static void into_the_world(const struct recorded_plan *plan, enum cause_state cause)
{
    record(plan, 0);
    begin_world(1);
    const uint64_t end = 100 * S + (uint64_t)own_time, stall = (uint64_t)own_time / 2;
    set_wait(0, 100 * S, end, stall);
    set_cpus(8000, 8000);
    world.processes[0].view.words[RF_PROCESS_ENDED_MONO] = end;
    struct run_loader *loader = &world.loaders[0];
    snprintf(recorded.loader.entry.name, sizeof recorded.loader.entry.name, "train");
    recorded.loader.entry.source = DATASTALL_SOURCE_TORCH;
    loader->entry = recorded.loader.entry;
    uint64_t *c = loader->totals.counters;
    c[RF_COUNT_BATCHES] = c[RF_COUNT_SAMPLES_BATCHES] = c[RF_COUNT_STEADY] = 128;
    c[RF_COUNT_SAMPLES] = 512;
    c[RF_COUNT_ITERATORS] = plan->epochs;
    c[RF_COUNT_CAUSES] = 128;
    c[RF_COUNT_CAUSE_NS + cause] = stall;
    world.processes[0].stretches = &recorded.stretches;
    world.processes[0].stretches_count = 1;
}

static const struct predict_without *part_of(enum predict_part part)
{
    for (uint32_t i = 0; i < predict->without_count; i++) {
        if (predict->without[i].part == part)
            return &predict->without[i];
    }
    return NULL;
}

static void same_range(const char *what, const struct range *got, const struct predict *of,
                       const struct range *window_s)
{
    const struct range wanted = predict_faster(of, window_s);
    is(what, got->mean, wanted.mean);
    is(what, got->lower, wanted.lower);
    is(what, got->upper, wanted.upper);
}

static void the_advice_is_what_the_replay_says(void **state)
{
    (void)state;
    struct recorded_plan plan = sleeping;
    plan.batches = 64;
    plan.epochs = 2;
    into_the_world(&plan, CAUSE_BLOCKED);
    struct summary *summary = made(1000 * S);
    predict = summary->loaders[0].predict;
    const struct why_setting *setting = &summary->loaders[0].why.setting;
    assert_non_null(predict);
    CHECK(predict->says[0] == '\0', "%s", predict->says);
    assert_true(setting->is_replayed);
    const struct predict_setting *best = &predict->settings[predict->best];
    assert_int_equal(setting->workers, best->num_workers);
    assert_true(setting->workers > 2);
    same_range("workers", &setting->faster, predict, &best->window_s);
    is("gain", setting->gain, 1 - 1 / setting->faster.mean);
    const struct predict_setting *loop = told_of(0, 0, false);
    same_range("in the loop", &setting->faster_in_loop, predict, &loop->window_s);
    is("in the loop", setting->in_loop_ns, loop->window_s.mean * loop->stall_share.mean * 1e9);
    same_range("window", &setting->faster_window, predict, &told_of(2, 8, false)->window_s);
    same_range("kept", &setting->faster_kept, predict, &told_of(2, 2, true)->window_s);
    same_range("at most", &setting->at_most, predict, &part_of(PREDICT_NO_BLOCKING)->window_s);
    predict = NULL;
    summary_free(summary);
    release();
}

/* Whoever loads in one worker may load in the loop instead. */
static void in_the_loop_instead_of_one_worker(void **state)
{
    (void)state;
    struct recorded_plan plan = sleeping;
    plan.batches = 64;
    plan.epochs = 2;
    plan.workers = 1;
    into_the_world(&plan, CAUSE_BLOCKED);
    struct summary *summary = made(1000 * S);
    predict = summary->loaders[0].predict;
    assert_non_null(predict);
    CHECK(predict->says[0] == '\0', "%s", predict->says);
    same_range("in the loop", &summary->loaders[0].why.setting.faster_in_loop, predict,
               &told_of(0, 0, false)->window_s);
    predict = NULL;
    summary_free(summary);
    release();
}

/* The part of the replay that each cause is of. */
static void causes_and_their_parts(void **state)
{
    (void)state;
    static const struct {
        enum cause_state cause;
        enum predict_part part;
    } rows[] = {
        {CAUSE_COMPUTE, PREDICT_HALF_COMPUTE},     {CAUSE_COMPUTE_IN_THREADS, PREDICT_HALF_COMPUTE},
        {CAUSE_BLOCKED, PREDICT_NO_BLOCKING},      {CAUSE_COLLATE, PREDICT_NO_COLLATION},
        {CAUSE_CPU_CONTENTION, PREDICT_MORE_CPUS}, {CAUSE_LOOP_CPU_WAIT, PREDICT_MORE_CPUS},
        {CAUSE_TRANSFER, PREDICT_NO_HANDOVER},     {CAUSE_PIN, PREDICT_PARTS}};
    for (uint32_t n = 0; n < 2 * sizeof rows / sizeof *rows; n++) {
        const uint32_t i = n / 2;
        struct recorded_plan plan = sleeping;
        if (n % 2 == 1) /* it computes in collate_fn instead */
            plan.collate = plan.collate_cpu = plan.items;
        into_the_world(&plan, rows[i].cause);
        struct summary *summary = made(1000 * S);
        const struct summary_loader *loader = &summary->loaders[0];
        predict = loader->predict;
        assert_non_null(predict);
        CHECK(loader->why.primary == rows[i].cause, "row %u: %s", i, why_name(loader->why.primary));
        const struct range *at_most = &loader->why.setting.at_most;
        if (rows[i].part == PREDICT_PARTS)
            CHECK(isnan(at_most->mean), "row %u: %g", i, at_most->mean);
        else
            same_range("at most", at_most, predict, &part_of(rows[i].part)->window_s);
        /* Where CPUs lack: of the work that may be cheaper, what brings more. */
        const struct why_setting *setting = &loader->why.setting;
        const struct range *all[] = {&part_of(PREDICT_HALF_COMPUTE)->window_s,
                                     &part_of(PREDICT_NO_COLLATION)->window_s};
        const bool collation = all[1]->mean < all[0]->mean;
        if (rows[i].cause == CAUSE_CPU_CONTENTION || rows[i].cause == CAUSE_LOOP_CPU_WAIT) {
            same_range("less", &setting->less, predict, all[collation]);
            CHECK(setting->less_is_collation == collation && collation == (n % 2 == 1), "row %u",
                  i);
        } else {
            CHECK(!(setting->less.mean > 0), "row %u: %g", i, setting->less.mean);
        }
        predict = NULL;
        summary_free(summary);
        release();
    }
}

/* By the means of what its workers made in all, more of them would be faster. */
static void more_workers_by_the_means(void)
{
    uint64_t *t = add_worker()->totals;
    t[RF_TOTAL_BATCHES] = 128;
    t[RF_TOTAL_ITEMS] = 512;
    t[RF_TOTAL_ITEMS_NS] = 4 * (uint64_t)own_time;
    t[RF_TOTAL_BEGIN_NS] = 100 * S;
    t[RF_TOTAL_END_NS] = 100 * S + (uint64_t)own_time;
}

/* One worker feeds the loop: more are no faster, and the advice names none, whatever the means say. */
static void no_more_workers_where_they_gain_nothing(void **state)
{
    (void)state;
    struct recorded_plan plan = sleeping;
    plan.items = 45;
    plan.consumed = 300;
    into_the_world(&plan, CAUSE_BLOCKED);
    more_workers_by_the_means();
    struct summary *summary = made(1000 * S);
    assert_true(summary->loaders[0].why.setting.is_replayed);
    assert_int_equal(summary->loaders[0].why.setting.workers, 0);
    assert_true(isnan(summary->loaders[0].why.setting.gain));
    summary_free(summary);
    release();
    /* What is not asked about, is not predicted. */
    into_the_world(&plan, CAUSE_BLOCKED);
    more_workers_by_the_means();
    world.processes[0].stretches_count = 0;
    summary = made(1000 * S);
    assert_null(summary->loaders[0].predict);
    assert_true(summary->loaders[0].why.setting.workers > 0);
    summary_free(summary);
    release();
    into_the_world(&plan, CAUSE_BLOCKED);
    recorded.stretches.batch_count = 3; /* too few */
    summary = made(1000 * S);
    assert_non_null(summary->loaders[0].predict);
    assert_false(summary->loaders[0].why.setting.is_replayed);
    summary_free(summary);
    release();
}

/* Each takes some milliseconds. */
static void of_many_loaders_the_first_are_predicted(void **state)
{
    (void)state;
    static struct run_loader loaders[SUMMARY_PREDICTED + 2];
    into_the_world(&sleeping, CAUSE_BLOCKED);
    for (uint32_t i = 0; i < SUMMARY_PREDICTED + 2; i++) {
        loaders[i] = world.loaders[0];
        loaders[i].index = i;
    }
    world.processes[0].loaders = loaders;
    world.processes[0].loader_count = SUMMARY_PREDICTED + 2;
    struct summary *summary = made(1000 * S);
    uint32_t predicted = 0;
    for (uint32_t i = 0; i < summary->loader_count; i++)
        predicted += summary->loaders[i].predict != NULL;
    assert_int_equal(predicted, SUMMARY_PREDICTED);
    assert_non_null(summary->loaders[SUMMARY_PREDICTED - 1].predict);
    summary_free(summary);
    release();
}

/* Waits are not hidden where no GPU is used, or each was seen to do nothing. */
static void waits_that_may_be_hidden(void **state)
{
    (void)state;
    static const struct {
        bool used;
        double busy[2];
        enum rf_activity_source source[2];
        uint32_t gpus;
        bool may;
    } rows[] = {
        {false, {0.9, 0.9}, {RF_ACTIVITY_GPM, RF_ACTIVITY_GPM}, 2, false},
        {true, {0, 0}, {RF_ACTIVITY_GPM, RF_ACTIVITY_GPM}, 2, false},
        {true, {0.5, 0}, {RF_ACTIVITY_GPM, RF_ACTIVITY_GPM}, 2, true},
        {true, {0, 0.5}, {RF_ACTIVITY_GPM, RF_ACTIVITY_GPM}, 2, true},
        {true, {0, 0}, {RF_ACTIVITY_NVML, RF_ACTIVITY_GPM}, 2, true},
        {true, {0, 0}, {RF_ACTIVITY_GPM, RF_ACTIVITY_GPM}, 0, true},
        {true, {0, 0}, {RF_ACTIVITY_GPM, RF_ACTIVITY_GPM}, 1, false},
        {true, {0.5, 0}, {RF_ACTIVITY_GPM, RF_ACTIVITY_GPM}, 1, true},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 100 * S, 200 * S, 50 * S);
        if (rows[i].used)
            set_stall(0, 0, 0, 0, 0);
        for (uint32_t g = 0; g < rows[i].gpus; g++)
            set_gpu(g, rows[i].source[g], 100 * S, 200 * S, rows[i].busy[g]);
        struct summary *summary = made(1000 * S);
        CHECK(summary_may_hide_waits(summary, &summary->processes[0]) == rows[i].may, "row %u", i);
        summary_free(summary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_its_batches_explain),
        cmocka_unit_test(a_run_of_kept_workers_or_none),
        cmocka_unit_test(what_the_loop_did_with_each),
        cmocka_unit_test(computing_that_was_slowed),
        cmocka_unit_test(a_run_that_cannot_be_replayed),
        cmocka_unit_test(settings_that_are_asked_for),
        cmocka_unit_test(settings_where_nobody_asks),
        cmocka_unit_test(settings_with_workers),
        cmocka_unit_test(settings_of_the_other_kind),
        cmocka_unit_test(workers_that_copy_what_was_measured),
        cmocka_unit_test(samples_that_are_not_known),
        cmocka_unit_test(cpus_that_are_asked_for),
        cmocka_unit_test(the_smallest_of_the_best),
        cmocka_unit_test(how_many_times_as_fast),
        cmocka_unit_test(what_each_part_is_worth),
        cmocka_unit_test(each_part_has_a_name),
        cmocka_unit_test(storage_may_put_readers_in_line),
        cmocka_unit_test(tensors_that_are_not_sent_cost_the_loop_nothing),
        cmocka_unit_test(a_thread_that_may_be_held_up),
        cmocka_unit_test(forks_are_fitted_to_iter),
        cmocka_unit_test(the_start_is_fitted_to_the_first_wait),
        cmocka_unit_test(waiting_for_cpus_of_others),
        cmocka_unit_test(a_run_that_goes_on),
        cmocka_unit_test(the_advice_is_what_the_replay_says),
        cmocka_unit_test(in_the_loop_instead_of_one_worker),
        cmocka_unit_test(causes_and_their_parts),
        cmocka_unit_test(no_more_workers_where_they_gain_nothing),
        cmocka_unit_test(of_many_loaders_the_first_are_predicted),
        cmocka_unit_test(waits_that_may_be_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
