/* SPDX-License-Identifier: Apache-2.0 */
/* From what was read to what it means: a row per threshold and rule of docs/measuring.md. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "diagnose/check.h"
#include "diagnose/job.h"
#include "diagnose/parts.h"
#include "output/job_card.h"
#include "output/openmetrics.h"
#include "output/text.h"
#include "world.h"

/* ---- the verdict ---- */

/* A slight stall that is none but for CPUs that others use is theirs. */
static void beside_busy_neighbours(void **state)
{
    (void)state;
    static const struct {
        uint64_t wait_s, contention_s; /* of a hundred */
        uint64_t idle_milli;           /* of two CPUs, of which loop and worker use one */
        enum summary_severity severity;
    } rows[] = {
        {12, 8, 400, SUMMARY_SEVERITY_NONE},
        {12, 6, 400, SUMMARY_SEVERITY_SLIGHT},
        {12, 8, 600, SUMMARY_SEVERITY_SLIGHT},    /* nobody else uses much */
        {20, 20, 400, SUMMARY_SEVERITY_MODERATE}, /* that is more than slight */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 110 * S, rows[i].wait_s * S);
        world.loaders[0].totals.counters[RF_COUNT_CAUSE_NS + CAUSE_CPU_CONTENTION] =
            rows[i].contention_s * S;
        uint64_t *t = add_worker()->totals;
        t[RF_TOTAL_BEGIN_NS] = 10 * S;
        t[RF_TOTAL_END_NS] = 110 * S;
        t[RF_TOTAL_ITEMS_NS] = t[RF_TOTAL_ITEMS_CPU_NS] = 50 * S;
        set_cpus(2000, rows[i].idle_milli);
        world.processes[0].view.words[RF_PROCESS_CPU_NS] = 5 * S; /* half of one in ten seconds */
        struct summary *summary = made(0);
        assert_int_equal(summary->severity, rows[i].severity);
        char text[256];
        summary_verdict_text(summary, text, sizeof text);
        if (i == 0)
            assert_string_equal(text,
                                "none: the program waited for data 12.0 % of the time, about 67 % "
                                "of it for CPUs that others used");
        assert_int_equal(summary->loaders[0].why.primary == WHY_NONE, i == 0);
        summary_free(summary);
    }
}

/* What is not timed by thread waited for a CPU as what is did. Seconds of a hundred; the workers run for
 * a tenth of them, and of two CPUs none is idle. */
struct beside {
    uint64_t contention, loop_wait, computed, transfer, taken, startup, sampler;
    uint64_t iterators, iterators_s; /* the latter in what comes once for each */
    uint64_t flags;                  /* of the loader */
    uint64_t others_s;               /* what is said to be the others' */
    enum summary_severity severity;
    uint32_t primary;
};

static void set_beside(const struct beside *row)
{
    uint64_t *c = world.loaders[0].totals.counters;
    const uint64_t wait_s = row->contention + row->loop_wait + row->computed + row->transfer +
                            row->startup + row->sampler;
    set_wait(0, 10 * S, 110 * S, wait_s * S);
    c[RF_COUNT_CAUSE_NS + CAUSE_CPU_CONTENTION] = row->contention * S;
    c[RF_COUNT_CAUSE_NS + CAUSE_LOOP_CPU_WAIT] = row->loop_wait * S;
    c[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] = row->computed * S;
    c[RF_COUNT_CAUSE_NS + CAUSE_TRANSFER] = row->transfer * S;
    c[RF_COUNT_CAUSE_NS + CAUSE_STARTUP] = row->startup * S;
    c[RF_COUNT_CAUSE_NS + CAUSE_SAMPLER] = row->sampler * S;
    c[RF_COUNT_BATCHES] = 80; /* every eighth is asked */
    c[RF_COUNT_GET_CPU_NS] = row->taken * S / 8;
    c[RF_COUNT_GET_CPU_BATCHES] = row->taken > 0 ? 10 : 0;
    c[RF_COUNT_ITERATORS] = row->iterators;
    c[RF_COUNT_STARTUP_NS] = c[RF_COUNT_OTHER_NS] = row->iterators_s * S;
    c[RF_COUNT_STEADY_NS] -= row->iterators_s * S;
    world.loaders[0].entry.num_workers = 2;
    world.loaders[0].entry.flags = row->flags;
    uint64_t *t = add_worker()->totals;
    t[RF_TOTAL_BEGIN_NS] = 10 * S;
    t[RF_TOTAL_END_NS] = 110 * S;
    t[RF_TOTAL_ITEMS_NS] = t[RF_TOTAL_ITEMS_CPU_NS] = 10 * S;
    set_cpus(2000, 0);
    world.processes[0].view.words[RF_PROCESS_CPU_NS] = S / 2;
}

static void what_others_explain(void **state)
{
    (void)state;
    const uint64_t pinned = DATASTALL_LOADER_PIN_MEMORY;
    const enum summary_severity none = SUMMARY_SEVERITY_NONE, slight = SUMMARY_SEVERITY_SLIGHT;
    const struct beside rows[] = {
        /* as much of the way as of the taking: three of four parts */
        {0, 6, 0, 6, 2, 0, 0, 2, 0, 0, 9, none, WHY_NONE},
        {0, 6, 0, 9, 4, 0, 0, 2, 0, 0, 9, slight, CAUSE_LOOP_CPU_WAIT},
        /* taking runs for more than three quarters of what it waited: it is that work */
        {0, 6, 0, 9, 5, 0, 0, 2, 0, 0, 8, slight, CAUSE_TRANSFER},
        /* where taking is not timed nothing is reckoned of it */
        {0, 7, 0, 6, 0, 0, 0, 2, 0, 0, 7, slight, CAUSE_LOOP_CPU_WAIT},
        {0, 7, 0, 6, 2, 0, 0, 2, 0, pinned, 7, slight, CAUSE_LOOP_CPU_WAIT},
        /* no more than what was seen: a sampler that asks a database is not the others' */
        {2, 0, 0, 0, 0, 0, 9, 2, 0, 0, 4, slight, CAUSE_SAMPLER},
        /* what computes, computes also alone */
        {8, 0, 6, 0, 0, 0, 0, 2, 0, 0, 8, slight, CAUSE_CPU_CONTENTION},
        {8, 0, 4, 0, 0, 0, 0, 2, 0, 0, 8, none, WHY_NONE},
        /* the way is the largest state, but a lack of CPUs as well */
        {0, 8, 0, 11, 2, 0, 0, 2, 0, 0, 15, none, WHY_NONE},
        {0, 7, 2, 9, 4, 0, 0, 2, 0, 0, 9, slight, CAUSE_LOOP_CPU_WAIT},
        /* from a fifth on they starve it */
        {0, 10, 0, 10, 1, 0, 0, 2, 0, 0, 18, SUMMARY_SEVERITY_MODERATE, CAUSE_LOOP_CPU_WAIT},
        {0, 10, 0, 4, 4, 21, 0, 2, 21, 0, 20, SUMMARY_SEVERITY_MODERATE, CAUSE_STARTUP},
        {0, 14, 0, 1, 1, 15, 0, 2, 15, 0, 28, SUMMARY_SEVERITY_MODERATE, CAUSE_LOOP_CPU_WAIT},
        {60, 6, 20, 10, 2, 0, 0, 2, 0, 0, 72, SUMMARY_SEVERITY_SEVERE, CAUSE_CPU_CONTENTION},
        {24, 0, 1, 0, 0, 0, 0, 2, 0, 0, 24, SUMMARY_SEVERITY_MODERATE, CAUSE_CPU_CONTENTION},
        /* of what starts: the same */
        {0, 6, 0, 2, 2, 3, 0, 2, 3, 0, 8, none, WHY_NONE},
        {0, 6, 0, 2, 2, 6, 0, 2, 6, 0, 10, none, WHY_NONE},
        {0, 3, 0, 3, 3, 6, 0, 2, 6, 0, 6, slight, CAUSE_STARTUP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_beside(&rows[i]);
        struct summary *summary = made(0);
        const struct why *why = &summary->loaders[0].why;
        if (summary->severity != rows[i].severity || why->primary != rows[i].primary ||
            why->others.lack_ns / S != rows[i].others_s)
            fail_msg("row %zu: %s, %s, %.2f s", i, summary_severity_name(summary->severity),
                     why_name(why->primary), (double)why->others.lack_ns / (double)S);
        if (why->primary == CAUSE_LOOP_CPU_WAIT || why->primary == CAUSE_CPU_CONTENTION)
            assert_string_equal(
                why->suggestion,
                "more CPUs, or fewer other programs on them: others use the CPUs too");
        summary_free(summary);
    }
}

/* While a thread of the program waits, another may work: what that costs is a bound, and nothing is advised.
 * One that waits all the time is as fast as its loader. */
static void a_background_thread_that_waits(void **state)
{
    (void)state;
    static const struct {
        bool background;
        uint64_t computed;
        enum summary_severity severity;
        uint32_t primary;
        bool advised;
    } rows[] = {
        {false, 30, SUMMARY_SEVERITY_MODERATE, CAUSE_COMPUTE, true},
        {true, 30, SUMMARY_SEVERITY_UNKNOWN, CAUSE_UNKNOWN, false},
        {true, 94, SUMMARY_SEVERITY_UNKNOWN, CAUSE_UNKNOWN, false},
        {true, 96, SUMMARY_SEVERITY_UNKNOWN, CAUSE_COMPUTE, true},
        {true, 3, SUMMARY_SEVERITY_NONE, WHY_NONE, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_beside(&(struct beside){.computed = rows[i].computed, .iterators = 2});
        set_cpus(4000, 2000);
        world.loaders[0].background = rows[i].background;
        struct summary *summary = made(0);
        const struct why *why = &summary->loaders[0].why;
        if (summary->severity != rows[i].severity || why->primary != rows[i].primary ||
            (why->suggestion[0] != '\0') != rows[i].advised)
            fail_msg("row %zu: %s, %s, \"%s\"", i, summary_severity_name(summary->severity),
                     why_name(why->primary), why->suggestion);
        summary_free(summary);
    }
}

/* Of a slight loss of a job the same part is the others'; a larger one is charged, as of a process. */
static void what_a_job_loses_beside_others(void **state)
{
    (void)state;
    static const struct {
        uint64_t contention; /* of a wait of 12 s */
        double lost;
        enum summary_severity severity;
    } rows[] = {
        {8, 0.14, SUMMARY_SEVERITY_NONE}, /* a third of it is left */
        {8, 0.16, SUMMARY_SEVERITY_SLIGHT},
        {8, 0.20, SUMMARY_SEVERITY_MODERATE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_beside(&(struct beside){
            .contention = rows[i].contention, .computed = 12 - rows[i].contention, .iterators = 2});
        struct summary *summary = made(0);
        assert_int_equal(summary->severity, SUMMARY_SEVERITY_NONE);
        struct job_figures job = {.lost_s = {9, 9, 9}, .lost_share = {1, rows[i].lost, 1}};
        struct job_figures *const own = summary->job;
        summary->job = &job;
        summary_charge_job(summary);
        summary->job = own;
        if (summary->severity != rows[i].severity)
            fail_msg("row %zu: %s", i, summary_severity_name(summary->severity));
        summary_free(summary);
    }
}

/* The card of a job of several runs says the same of a slight loss. */
static void a_job_of_several_runs_beside_others(void **state)
{
    (void)state;
    static const struct {
        struct summary_others others;
        double lost, for_others;
        const char *verdict;
    } rows[] = {
        {{120, 80},
         0.12,
         0.08,
         "none: rank 1 made the others wait: 9.0 s of the 9.0 s (12 %) that "
         "the job lost; about 67 % of that for CPUs that other programs used"},
        {{120, 60},
         0.12,
         0,
         "slight: rank 1 made the others wait: 9.0 s of the 9.0 s (12 %) that "
         "the job lost"},
        {{120, 120},
         0.25,
         0,
         "moderate: rank 1 made the others wait: 9.0 s of the 9.0 s (25 %) "
         "that the job lost"}, /* they starve it */
        {{0, 0},
         0.12,
         0,
         "slight: rank 1 made the others wait: 9.0 s of the 9.0 s (12 %) that the "
         "job lost"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const double lost = rows[i].lost;
        struct job_document job = {
            .figures = {.ranks = 2,
                        .nodes = 1,
                        .active_s = 9 / lost,
                        .lost_s = {9, 9, 9},
                        .lost_share = {lost, lost, lost},
                        .cause_count = 1,
                        .causes = {{.rank = 1, .reason = JOB_INPUT, .lost_s = 9}}},
            .throughput = {NAN, NAN},
            .others = rows[i].others,
        };
        job_card_judge(&job);
        if (fabs(job.for_others_share - rows[i].for_others) > 1e-9)
            fail_msg("row %zu: %g", i, job.for_others_share);
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);
        assert_non_null(file);
        output_job_card(&job, &(struct card_style){.width = 400}, file);
        fclose(file);
        if (strstr(text, rows[i].verdict) == NULL)
            fail_msg("row %zu: %s", i, text);
        free(text);
    }
}

/* As a counter: of two CPUs none is idle, of 40 s of stall 30 lack one. */
static void a_counter_of_what_others_explain(void **state)
{
    (void)state;
    static const struct {
        bool has_worker, in_verdict;
        uint64_t ran_s; /* of a hundred */
        const char *said;
    } rows[] = {
        {true, true, 100, "} 30\n"},
        {true, true, 170, "} 0\n"}, /* nobody else uses much */
        {false, true, 100, NULL},   /* it is not known */
        {true, false, 100, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 110 * S, 40 * S);
        world.loaders[0].totals.counters[RF_COUNT_CAUSE_NS + CAUSE_CPU_CONTENTION] = 30 * S;
        world.loaders[0].totals.counters[RF_COUNT_CAUSE_NS + CAUSE_COMPUTE] = 10 * S;
        set_cpus(2000, 0);
        world.processes[0].view.words[RF_PROCESS_CPU_NS] = 0;
        uint64_t *t = rows[i].has_worker ? add_worker()->totals : world.workers[0].totals;
        t[RF_TOTAL_BEGIN_NS] = 10 * S;
        t[RF_TOTAL_END_NS] = 110 * S;
        t[RF_TOTAL_ITEMS_NS] = t[RF_TOTAL_ITEMS_CPU_NS] = rows[i].ran_s * S;
        struct summary *summary = made(0);
        const struct summary *const runs[] = {summary};
        const struct openmetrics_reading reading = {.runs = runs, .count = 1};
        summary->loaders[0].in_verdict = rows[i].in_verdict;
        char *text = NULL;
        size_t size;
        assert_int_equal(openmetrics_write(&reading, NULL, OPENMETRICS_PROMETHEUS, &text, &size),
                         0);
        const char *line = strstr(text, "\ndatastall_input_stall_for_others_seconds_total{");
        if (rows[i].said == NULL ? line != NULL
                                 : line == NULL || strstr(line, rows[i].said) == NULL ||
                                       strstr(line, rows[i].said) > strchr(line + 1, '\n'))
            fail_msg("row %zu: %.120s", i, line != NULL ? line : "nothing");
        free(text);
        summary_free(summary);
    }
}

/* Workers' threads run at once, and are no others' either; an older file tells what ran one after the other. */
static void cpus_of_a_process(void **state)
{
    (void)state;
    static const struct {
        uint64_t worker, in_turn_s, all_s;
        double cpus; /* of a hundred seconds: 10 of items, 5 of collation, half a CPU of the loop */
        uint64_t children_s, workers_children_s; /* in ten seconds */
    } rows[] = {{0, 20, 60, 1.25, 0, 0},
                {0, 20, 0, 0.85, 0, 0},
                {0, 0, 0, 0.65, 0, 0},
                {RF_WORKER_MAIN, 20, 60, 0.5, 0, 0},
                {0, 0, 0, 0.95, 3, 0},
                {0, 0, 0, 1.05, 0, 4},
                {0, 0, 0, 1.05, RF_UNKNOWN / S, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        struct rf_worker_view *worker = add_worker();
        worker->number = rows[i].worker;
        uint64_t *t = worker->totals;
        t[RF_TOTAL_BEGIN_NS] = 10 * S;
        t[RF_TOTAL_END_NS] = 110 * S;
        t[RF_TOTAL_ITEMS_CPU_NS] = 10 * S;
        t[RF_TOTAL_COLLATE_CPU_NS] = 5 * S;
        t[RF_TOTAL_ITEMS_THREADS_NS] = rows[i].in_turn_s * S;
        t[RF_TOTAL_ITEMS_THREADS_CPU_NS] = rows[i].all_s * S;
        set_cpus(2000, 0);
        uint64_t *w = world.processes[0].view.words;
        w[RF_PROCESS_CPU_NS] = 5 * S; /* in ten seconds */
        w[RF_PROCESS_CHILDREN_CPU_NS] =
            rows[i].children_s == RF_UNKNOWN / S ? RF_UNKNOWN : rows[i].children_s * S;
        w[RF_PROCESS_WORKERS_CHILDREN_CPU_NS] = rows[i].workers_children_s * S;
        const double cpus = why_cpus_of(&world.processes[0]);
        if (fabs(cpus - rows[i].cpus) > 1e-9)
            fail_msg("row %zu: %g CPUs", i, cpus);
    }
}

/* Of a process that others starve, a small loader that starts often is no cause either. */
static void a_second_loader_beside_others(void **state)
{
    (void)state;
    static const struct {
        uint64_t computed_s; /* of the first loader; 30 s it lacked a CPU */
        uint32_t second;
    } rows[] = {{0, WHY_NONE}, {4, CAUSE_STARTUP}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_beside(
            &(struct beside){.contention = 30, .computed = rows[i].computed_s, .iterators = 2});
        world.processes[0].loader_count = 2;
        world.loaders[1].index = 1;
        set_wait(1, 50 * S, 60 * S, 2 * S);
        uint64_t *c = world.loaders[1].totals.counters;
        c[RF_COUNT_ITERATORS] = 2;
        c[RF_COUNT_CAUSE_NS + CAUSE_STARTUP] = 2 * S;
        struct summary *summary = made(0);
        assert_int_equal(summary->severity, SUMMARY_SEVERITY_MODERATE);
        assert_int_equal(summary->loaders[0].why.primary, CAUSE_CPU_CONTENTION);
        assert_string_equal(why_name(summary->loaders[1].why.primary), why_name(rows[i].second));
        summary_free(summary);
    }
}

/* And of a check: what the verdict does not charge. */
static void a_check_beside_others(void **state)
{
    (void)state;
    begin_world(1);
    set_beside(&(struct beside){.contention = 8, .computed = 4, .iterators = 2});
    struct summary *summary = made(0);
    char sentence[256];
    assert_int_equal(check_condition(summary, "stall<5", sentence, sizeof sentence), CHECK_HOLDS);
    assert_string_equal(sentence, "check ok: input stall is 4.00 % beside what CPUs that others "
                                  "used explain, wanted < 5 %");
    assert_int_equal(check_condition(summary, "stall<3.9", sentence, sizeof sentence), CHECK_FAILS);
    /* A short one is of all that the process did, where that is known. */
    struct summary_process *worst = &summary->processes[summary->worst];
    worst->exposed.lower_ns = 300 * MS;
    worst->life_ns = 10 * S;
    for (uint32_t i = 0; i < 3; i++) {
        worst->is_brief = i > 0;
        if (i == 2)
            worst->life_ns = DATASTALL_UNKNOWN;
        check_condition(summary, "stall<5", sentence, sizeof sentence);
        assert_non_null(strstr(sentence, i == 1 ? "is 3.00 %" : "is 4.00 %"));
    }
    summary_free(summary);
}

/* Once, and less than a second: no cause beside what the others explain, and nothing charged. */
static void what_one_iterator_costs_beside_others(void **state)
{
    (void)state;
    static const struct {
        uint64_t iterators, startup_ms;
        enum summary_severity severity;
    } rows[] = {{1, 900, SUMMARY_SEVERITY_NONE},
                {1, 1001, SUMMARY_SEVERITY_SLIGHT},
                {2, 900, SUMMARY_SEVERITY_SLIGHT}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_beside(&(struct beside){.contention = 8, .computed = 5, .iterators = 1});
        uint64_t *c = world.loaders[0].totals.counters;
        c[RF_COUNT_ITERATORS] = rows[i].iterators;
        c[RF_COUNT_STARTUP_NS] = c[RF_COUNT_OTHER_NS] = rows[i].startup_ms * MS;
        c[RF_COUNT_STEADY_NS] +=
            (100 - rows[i].startup_ms) * MS; /* a little more than a twentieth */
        struct summary *summary = made(0);
        if (summary->severity != rows[i].severity)
            fail_msg("row %zu: %s", i, summary_severity_name(summary->severity));
        summary_free(summary);
    }
}

/* What another process of the run uses, on the same machine, is the run's own. */
static void other_ranks_are_no_other_programs(void **state)
{
    (void)state;
    static const struct {
        uint64_t cpu_ms; /* of ten seconds */
        bool same_machine;
        enum summary_severity severity;
    } rows[] = {
        {0, true, SUMMARY_SEVERITY_NONE},
        {14000, true, SUMMARY_SEVERITY_SLIGHT},
        {14000, false, SUMMARY_SEVERITY_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(2);
        set_beside(&(struct beside){.contention = 8, .computed = 4, .iterators = 2});
        set_wait(1, 10 * S, 110 * S, S);
        struct rf_process_view *view = &world.processes[1].view;
        memcpy(view->words, world.processes[0].view.words, sizeof view->words);
        view->words[RF_PROCESS_CPU_NS] = rows[i].cpu_ms * MS;
        strcpy(world.processes[0].view.fixed.hostname, "a");
        strcpy(view->fixed.hostname, rows[i].same_machine ? "a" : "b");
        struct summary *summary = made(0);
        if (summary->severity != rows[i].severity)
            fail_msg("row %zu: %s", i, summary_severity_name(summary->severity));
        summary_free(summary);
    }
}

static void severities(void **state)
{
    (void)state;
    static const struct {
        uint64_t stall_ms; /* of ten seconds */
        enum summary_severity severity;
    } rows[] = {
        {0, SUMMARY_SEVERITY_NONE},        {499, SUMMARY_SEVERITY_NONE},
        {500, SUMMARY_SEVERITY_SLIGHT},    {1999, SUMMARY_SEVERITY_SLIGHT},
        {2000, SUMMARY_SEVERITY_MODERATE}, {4999, SUMMARY_SEVERITY_MODERATE},
        {5000, SUMMARY_SEVERITY_SEVERE},   {10000, SUMMARY_SEVERITY_SEVERE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, rows[i].stall_ms * S / 1000);
        world.processes[0].view.words[RF_PROCESS_ENDED_MONO] = 20 * S;
        struct summary *summary = made(0);
        assert_int_equal(summary->severity, rows[i].severity);
        assert_float_equal(summary->stall_share, (double)rows[i].stall_ms / 1e4, NEAR);
        assert_false(summary->upper_bound);
        summary_free(summary);
    }
    begin_world(1);
    struct summary *summary = made(0);
    assert_int_equal(summary->severity, SUMMARY_SEVERITY_UNKNOWN);
    assert_true(isnan(summary->stall_share));
    summary_free(summary);
}

static void methods(void **state)
{
    (void)state;
    static const struct {
        enum rf_accelerator accelerator;
        uint64_t known_ms; /* of four seconds of waiting */
        uint32_t gpus;
        enum summary_method method;
    } rows[] = {
        {RF_ACCELERATOR_NONE, 0, 1, SUMMARY_METHOD_HOST_EXACT},
        {RF_ACCELERATOR_UNKNOWN, 0, 0, SUMMARY_METHOD_HOST_EXACT},
        {RF_ACCELERATOR_UNKNOWN, 0, 1, SUMMARY_METHOD_HOST_BOUND},
        {RF_ACCELERATOR_USED, 0, 1, SUMMARY_METHOD_HOST_BOUND},
        {RF_ACCELERATOR_USED, 0, 0, SUMMARY_METHOD_HOST_BOUND},
        {RF_ACCELERATOR_USED, 1999, 1, SUMMARY_METHOD_HOST_BOUND}, /* less than half of it */
        {RF_ACCELERATOR_USED, 2000, 1, SUMMARY_METHOD_GPU_EVENTS},
        {RF_ACCELERATOR_USED, 4000, 1, SUMMARY_METHOD_GPU_EVENTS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t known_ns = rows[i].known_ms * S / 1000;
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, 4 * S);
        if (known_ns > 0)
            set_stall(0, 0, known_ns, known_ns, known_ns);
        world.processes[0].view.words[RF_PROCESS_ACCELERATOR] = rows[i].accelerator;
        if (rows[i].gpus > 0) /* of which nothing is known: it narrows nothing */
            set_gpu(0, RF_ACTIVITY_GPM, 0, 0, 0);
        struct summary *summary = made(0);
        assert_int_equal(summary->method, rows[i].method);
        assert_float_equal(summary->stall_share, 0.4, NEAR); /* the unknown counts as stalled */
        if (rows[i].method == SUMMARY_METHOD_HOST_BOUND)
            assert_true(summary->upper_bound);
        summary_free(summary);
    }
}

/* Half a percent of the window is the error of the method; more is "at most". */
static void widths_that_make_a_bound(void **state)
{
    (void)state;
    static const struct {
        uint64_t known_ms, lower_ms, upper_ms; /* of ten seconds, of which four were waited */
        bool bound;
    } rows[] = {
        {4000, 2000, 2000, false}, {4000, 2000, 2050, false},
        {4000, 2000, 2051, true},  {4000, 0, 50, false},
        {3950, 2000, 2000, false}, {3949, 2000, 2000, true}, /* of 51 ms nothing is known */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, 4 * S);
        set_stall(0, 0, rows[i].known_ms * S / 1000, rows[i].lower_ms * S / 1000,
                  rows[i].upper_ms * S / 1000);
        set_gpu(0, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.5);
        struct summary *summary = made(0);
        const uint64_t most_ms = rows[i].upper_ms + 4000 - rows[i].known_ms;
        assert_int_equal(summary->upper_bound, rows[i].bound);
        assert_int_equal(summary->gpus[0].stall_is_bound, rows[i].bound);
        assert_int_equal(summary->processes[0].exposed.upper_ns, most_ms * S / 1000);
        assert_int_equal(summary->processes[0].exposed.lower_ns, rows[i].lower_ms * S / 1000);
        assert_float_equal(summary->gpus[0].stall_share, (double)most_ms / 1e4, NEAR);
        assert_float_equal(summary->gpus[0].other_idle_share, 0.5 - (double)most_ms / 1e4, NEAR);
        summary_free(summary);
    }
}

static void stall_and_busy_beyond_all_there_is(void **state)
{
    (void)state;
    static const struct {
        enum rf_activity_source source;
        double busy;
        bool bound;
        double other; /* NaN: not told */
    } rows[] = {
        {RF_ACTIVITY_GPM, 0.30, false, 0.10},    {RF_ACTIVITY_GPM, 0.40, false, 0.0},
        {RF_ACTIVITY_GPM, 0.419, false, -0.019}, {RF_ACTIVITY_GPM, 0.421, true, NAN},
        {RF_ACTIVITY_NVML, 0.9, false, NAN}, /* a symptom proves nothing */
        {RF_ACTIVITY_NVML, 0.2, false, NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, 6 * S);
        set_stall(0, 0, 6 * S, 6 * S, 6 * S);
        set_gpu(0, rows[i].source, 10 * S, 20 * S, rows[i].busy);
        struct summary *summary = made(0);
        assert_int_equal(summary->upper_bound, rows[i].bound);
        assert_int_equal(summary->gpus[0].stall_is_bound, rows[i].bound);
        assert_float_equal(summary->gpus[0].stall_share, 0.6, NEAR); /* never clamped silently */
        if (isnan(rows[i].other))
            assert_true(isnan(summary->gpus[0].other_idle_share));
        else
            assert_float_equal(summary->gpus[0].other_idle_share, rows[i].other, 1e-6);
        summary_free(summary);
    }
}

/* A rank whose window is less than a tenth of the longest is not the worst. */
static void the_least_window_that_counts(void **state)
{
    (void)state;
    static const struct {
        uint64_t window_ms;
        uint32_t worst;
    } rows[] = {{999, 0}, {1000, 1}, {1001, 1}, {10000, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t window_ns = rows[i].window_ms * S / 1000;
        begin_world(2);
        set_wait(0, 10 * S, 20 * S, S);
        set_wait(1, 10 * S, 10 * S + window_ns, window_ns);
        struct summary *summary = made(0);
        assert_int_equal(summary->worst, rows[i].worst);
        assert_int_equal(summary->processes[1].counts, rows[i].worst == 1);
        assert_int_equal(summary->severity,
                         rows[i].worst == 1 ? SUMMARY_SEVERITY_SEVERE : SUMMARY_SEVERITY_SLIGHT);
        assert_float_equal(summary->stall_share,
                           (double)(S + window_ns) / (double)(10 * S + window_ns), NEAR);
        summary_free(summary);
    }
}

static void a_stage_that_still_runs(void **state)
{
    (void)state;
    static const struct {
        bool running, current;
        uint64_t duration_s;
    } rows[] = {{true, true, 12}, {true, false, 5}, {false, true, 5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, S);
        struct run_process *process = &world.processes[0];
        uint64_t *words = process->view.words;
        strcpy(process->stage_names[1], "train");
        words[RF_PROCESS_STAGE_NS + 1] = 5 * S;
        words[RF_PROCESS_STAGE] = rows[i].current;
        words[RF_PROCESS_STAGE_SINCE] = 14 * S;
        words[RF_PROCESS_STATE] = rows[i].running ? RF_STATE_OPEN : RF_STATE_CLOSED;
        process->liveness = rows[i].running ? RF_ALIVE : RF_DEAD;
        struct summary *summary = made(21 * S);
        assert_int_equal(summary->stages[0].duration_ns, rows[i].duration_s * S);
        summary_free(summary);
    }
}

/* The ceiling is one process's; of several it says at most, as does a bound. */
static void the_ceiling_of_the_worst(void **state)
{
    (void)state;
    static const struct {
        uint32_t processes;
        enum rf_accelerator accelerator;
        bool bound;
    } rows[] = {
        {1, RF_ACCELERATOR_NONE, false},
        {1, RF_ACCELERATOR_USED, true},
        {2, RF_ACCELERATOR_NONE, true},
        {3, RF_ACCELERATOR_NONE, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(rows[i].processes);
        for (uint32_t p = 0; p < rows[i].processes; p++)
            set_wait(p, 10 * S, 20 * S, (5 - p) * S);
        world.processes[0].view.words[RF_PROCESS_ACCELERATOR] = rows[i].accelerator;
        struct summary *summary = made(0);
        assert_int_equal(summary->worst, 0);
        assert_float_equal(summary->speedup_ceiling, 2, NEAR);
        assert_int_equal(summary->ceiling_is_bound, rows[i].bound);
        assert_true(summary->processes[0].counts);
        summary_free(summary);
    }
    /* A second process that never waited is none. */
    begin_world(2);
    set_wait(0, 10 * S, 20 * S, S);
    struct summary *summary = made(0);
    assert_false(summary->ceiling_is_bound);
    assert_false(summary->processes[1].counts);
    summary_free(summary);
}

/* ---- energy ---- */

static void energy_while_stalled(void **state)
{
    (void)state;
    begin_world(1);
    set_wait(0, 10 * S, 20 * S, 4 * S);
    set_stall(0, 0, 4 * S, 2 * S, 3 * S);
    set_gpu(0, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.5);
    uint64_t *w = world.gpus[0].words;
    w[RF_GPU_ENERGY_UJ] = UINT64_C(3000) * 1000000; /* 300 W on average */
    w[RF_GPU_ENERGY_NS] = 10 * S;
    w[RF_GPU_POWER_MW_MIN] = 70000;
    struct summary *summary = made(0);
    assert_float_equal(summary->gpus[0].stalled_energy_lower_j, 140, 1e-6); /* 70 W for 2 s */
    assert_float_equal(summary->gpus[0].stalled_energy_upper_j, 900, 1e-6); /* 300 W for 3 s */
    summary_free(summary);
}

/* ---- one GPU, several processes ---- */

struct use_row {
    uint64_t begin, end, waiting, known, lower, upper;
};
struct shared_row {
    struct use_row uses[WORLD_PROCESSES];
    uint64_t lower, upper, most;
    uint32_t at_once;
};

static void shares_of_a_device(void **state)
{
    (void)state;
    static const struct shared_row rows[] = {
        {{{0, 0, 0, 0, 0, 0}}, 0, 0, 0, 0},
        {{{0, 100, 70, 70, 62, 62}}, 62, 62, 62, 1},
        {{{0, 100, 70, 60, 50, 55}}, 50, 55, 65, 1},
        /* both at once: of 100 they stall 62 each, so for 24 at least together */
        {{{0, 100, 62, 62, 62, 62}, {0, 100, 62, 62, 62, 62}}, 24, 100, 100, 2},
        {{{0, 100, 30, 30, 30, 30}, {0, 100, 40, 40, 40, 40}}, 0, 70, 70, 2},
        {{{0, 100, 99, 99, 99, 99}, {0, 100, 98, 98, 98, 98}, {0, 100, 97, 97, 97, 97}},
         94,
         100,
         100,
         3},
        /* one after the other: nobody else was there */
        {{{0, 100, 62, 62, 62, 62}, {100, 200, 62, 62, 62, 62}}, 124, 124, 124, 1},
        {{{100, 200, 62, 62, 62, 62}, {0, 100, 62, 62, 62, 62}}, 124, 124, 124, 1},
        /* for 10 together: one of the two may have worked for so long */
        {{{0, 100, 62, 62, 62, 62}, {90, 200, 62, 62, 62, 62}}, 114, 124, 124, 2},
        /* two together, a third one later */
        {{{0, 100, 62, 62, 62, 62}, {0, 100, 62, 62, 62, 62}, {200, 300, 50, 50, 50, 50}},
         74,
         150,
         150,
         2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stall_use uses[WORLD_PROCESSES];
        uint32_t count = 0;
        while (count < WORLD_PROCESSES && rows[i].uses[count].end > 0) {
            const struct use_row *u = &rows[i].uses[count];
            uses[count++] =
                (struct stall_use){u->begin, u->end, {u->waiting, u->known, u->lower, u->upper}};
        }
        const struct stall_shared shared = stall_share(uses, count);
        if (shared.stall.lower_ns != rows[i].lower || shared.stall.upper_ns != rows[i].upper ||
            shared.most_ns != rows[i].most || shared.at_once != rows[i].at_once)
            fail_msg("row %zu: %llu %llu %llu %u", i, (unsigned long long)shared.stall.lower_ns,
                     (unsigned long long)shared.stall.upper_ns, (unsigned long long)shared.most_ns,
                     shared.at_once);
    }
}

static void idle_time_of_a_shared_device(void **state)
{
    (void)state;
    static const struct {
        uint64_t lower, upper, most, idle, longest;
        bool exact;
        uint64_t new_lower, new_upper, new_most;
    } rows[] = {
        {25, 100, 100, 60, 62, true, 25, 60, 60},      {25, 100, 100, 60, 62, false, 25, 100, 100},
        {0, 100, 100, 60, 62, true, 22, 60, 60},       {0, 100, 100, 60, 62, false, 22, 100, 100},
        {25, 100, 100, 10, 62, true, 10, 10, 10},      {25, 40, 50, 60, 62, true, 25, 40, 50},
        {25, 100, 100, 100, 100, true, 100, 100, 100}, {0, 70, 70, 20, 40, true, 0, 20, 20},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stall_shared shared = {.stall = {100, 100, rows[i].lower, rows[i].upper},
                                      .most_ns = rows[i].most};
        stall_share_narrow(&shared, 100, rows[i].idle, rows[i].longest, rows[i].exact);
        assert_int_equal(shared.stall.lower_ns, rows[i].new_lower);
        assert_int_equal(shared.stall.upper_ns, rows[i].new_upper);
        assert_int_equal(shared.most_ns, rows[i].new_most);
    }
}

/* Two ranks on one GPU: both stall for 62.5 %, and it was busy for 40 %. */
static void two_ranks_on_one_gpu(void **state)
{
    (void)state;
    static const struct {
        enum rf_activity_source source;
        uint32_t second;  /* the device of the second rank */
        uint64_t known_s; /* of the ten seconds: for how long its activity is known */
        double upper, lower;
        bool bound;
        enum summary_severity severity;
    } rows[] = {
        {RF_ACTIVITY_GPM, 0, 10, 0.6, 0.25, true, SUMMARY_SEVERITY_MODERATE},
        {RF_ACTIVITY_GPM, 0, 9, 1.0, 0.25, true, SUMMARY_SEVERITY_MODERATE},
        {RF_ACTIVITY_NVML, 0, 10, 1.0, 0.25, true, SUMMARY_SEVERITY_MODERATE},
        {RF_ACTIVITY_NVML, 1, 10, 0.625, 0.625, false, SUMMARY_SEVERITY_SEVERE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t stall_ns = 6250 * S / 1000;
        begin_world(2);
        for (uint32_t rank = 0; rank < 2; rank++) {
            set_wait(rank, 10 * S, 20 * S, 7 * S);
            set_stall(rank, rank == 0 ? 0 : rows[i].second, 7 * S, stall_ns, stall_ns);
        }
        for (uint32_t g = 0; g < 2; g++)
            set_gpu(g, rows[i].source, (20 - rows[i].known_s) * S, 20 * S, 0.4);
        struct summary *summary = made(0);
        const struct summary_gpu *gpu = &summary->gpus[0];
        assert_float_equal(gpu->stall_share, rows[i].upper, 1e-6);
        assert_float_equal(gpu->stall_share_lower, rows[i].lower, 1e-6);
        assert_int_equal(gpu->stall_is_bound, rows[i].bound);
        assert_int_equal(gpu->processes, rows[i].second == 0 ? 2 : 1);
        assert_true(isnan(gpu->other_idle_share));
        assert_int_equal(summary->severity, rows[i].severity);
        if (rows[i].source == RF_ACTIVITY_GPM && rows[i].known_s == 10)
            assert_true(gpu->busy_share + gpu->stall_share <= 1.0 + 1e-6);
        for (uint32_t rank = 0; rank < 2; rank++) { /* each rank's own figures hold */
            assert_float_equal(summary->processes[rank].stall_share, 0.625, NEAR);
            assert_int_equal(summary->processes[rank].exposed.lower_ns, stall_ns);
            assert_false(summary->processes[rank].upper_bound);
        }
        summary_free(summary);
    }
}

/* Who stalls longest leaves the others the least time in which they may have worked. */
static void the_longest_stall_of_a_shared_device(void **state)
{
    (void)state;
    for (uint32_t longest = 0; longest < 2; longest++) {
        begin_world(2);
        for (uint32_t rank = 0; rank < 2; rank++) {
            const uint64_t stall_ns = (rank == longest ? 6250 : 4000) * MS;
            set_wait(rank, 10 * S, 20 * S, 7 * S);
            set_stall(rank, 0, 7 * S, stall_ns, stall_ns);
        }
        set_gpu(0, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.4);
        struct summary *summary = made(0);
        assert_float_equal(summary->gpus[0].stall_share_lower, 0.225, NEAR);
        assert_float_equal(summary->gpus[0].stall_share, 0.6, NEAR);
        summary_free(summary);
    }
}

static void assert_told(const struct summary *summary, const char *words)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    output_text(summary, file);
    fclose(file);
    if (strstr(text, words) == NULL)
        fail_msg("'%s' is not in:\n%s", words, text);
    free(text);
}

static void a_bound_is_called_one(void **state)
{
    (void)state;
    begin_world(2);
    for (uint32_t rank = 0; rank < 2; rank++) {
        set_wait(rank, 10 * S, 20 * S, 7 * S);
        set_stall(rank, 0, 7 * S, 6250 * S / 1000, 6250 * S / 1000);
    }
    set_gpu(0, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.4);
    struct summary *summary = made(0);
    assert_told(summary, "busy 40.0 %  input stall at most 60.0 % ");
    assert_told(summary, "at least 25.0 %: 2 processes use it");
    assert_told(summary, "moderate: rank 0 of 2 waited for data 62.5 % of the time");
    assert_told(summary, "no more than 25.0 % of that is known to be lost");
    summary_free(summary);
    world.data.process_count = 1;
    summary = made(0);
    assert_told(summary, "busy 40.0 %  input stall at most 62.5 % "); /* more than all there is */
    summary_free(summary);
    set_gpu(0, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.3);
    summary = made(0);
    assert_told(summary, "busy 30.0 %  input stall 62.5 %  other idle 7.5 %");
    summary_free(summary);
}

/* ---- a GPU that owes an answer ---- */

#define LONG_AGO (1000 * S) /* the sampler's call began then */

/* When sampling ends with the run, the age of the call tells who hung from who was just asked. */
static void a_device_that_owes_an_answer(void **state)
{
    (void)state;
    static const struct {
        uint64_t samples, longest_ms;
        uint64_t age_ms; /* of the call when sampling ended; 0: it goes on, or nobody noted it */
        uint64_t now_ms; /* after the call's begin; 0: the run is over */
        bool silent;
    } rows[] = {
        {0, 0, 20, 0, true}, /* never a sample: there is nothing to trust in */
        {0, 0, 20, 50, true},
        {1, 5, 160, 0, false},
        {1, 5, 500, 0, false},
        {1, 5, 501, 0, true},
        {1, 5, 160, 9000, false}, /* the program stopped the sampling, long ago */
        {9, 200, 800, 0, false},  /* usual here */
        {9, 200, 801, 0, true},
        {9, 60000, 3000, 0, false},
        {9, 60000, 3001, 0, true}, /* whatever is usual: the sampler gave up */
        {9, UINT64_C(1) << 50, 3001, 0, true},
        {1, 5, 0, 0, true}, /* a file in which nobody noted it */
        {1, 5, 0, 2000, false},
        {1, 5, 0, 2001, true},
        {0, 0, 0, 2000, false},
        {0, 0, 0, 2001, true},
        {1, 700, 0, 2800, false}, /* slow, and on its way */
        {1, 700, 0, 2801, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, 7 * S);
        set_gpu(0, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.4);
        if (rows[i].now_ms != 0) {
            world.processes[0].view.words[RF_PROCESS_STATE] = RF_STATE_OPEN;
            world.processes[0].liveness = RF_ALIVE;
        }
        uint64_t *w = world.gpus[0].words;
        w[RF_GPU_SAMPLES] = rows[i].samples;
        w[RF_GPU_CALL_NS] = LONG_AGO;
        w[RF_GPU_CALL_LONGEST_NS] = rows[i].longest_ms * 1000000;
        w[RF_GPU_UNANSWERED_NS] = rows[i].age_ms * 1000000;
        struct summary *summary = made(LONG_AGO + rows[i].now_ms * 1000000);
        if (summary->gpus[0].silent != rows[i].silent)
            fail_msg("row %zu: %s", i, rows[i].silent ? "it is silent" : "it is not silent");
        summary_free(summary);
    }
}

/* Without events: idle time bounds the stall from above only where nobody else made it busy. */
static void bounds_by_activity(void **state)
{
    (void)state;
    static const struct {
        uint32_t processes;
        enum rf_activity_source source;
        double coverage, upper, lower;
        uint64_t begin_s, end_s; /* of the second one */
        enum rf_accelerator accelerator;
    } rows[] = {
        {1, RF_ACTIVITY_GPM, 1.0, 0.6, 0.3, 0, 0, RF_ACCELERATOR_USED},
        {1, RF_ACTIVITY_NVML, 1.0, 0.7, 0.3, 0, 0, RF_ACCELERATOR_USED},
        {1, RF_ACTIVITY_GPM, 0.97, 0.7, 0.0, 0, 0, RF_ACCELERATOR_USED},
        {1, RF_ACTIVITY_GPM, 0.99, 0.6, 0.3, 0, 0, RF_ACCELERATOR_USED},
        {2, RF_ACTIVITY_GPM, 1.0, 0.7, 0.3, 10, 20, RF_ACCELERATOR_USED},
        {2, RF_ACTIVITY_GPM, 1.0, 0.7, 0.3, 19, 30, RF_ACCELERATOR_USED},
        {2, RF_ACTIVITY_GPM, 1.0, 0.7, 0.3, 1, 11, RF_ACCELERATOR_UNKNOWN},
        /* one that uses no GPU, is there at another time, or never waited, makes it busy for none */
        {2, RF_ACTIVITY_GPM, 1.0, 0.6, 0.3, 10, 20, RF_ACCELERATOR_NONE},
        {2, RF_ACTIVITY_GPM, 1.0, 0.6, 0.3, 20, 30, RF_ACCELERATOR_USED},
        {2, RF_ACTIVITY_GPM, 1.0, 0.6, 0.3, 0, 10, RF_ACCELERATOR_USED},
        {2, RF_ACTIVITY_GPM, 1.0, 0.6, 0.3, 15, 15, RF_ACCELERATOR_USED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(rows[i].processes);
        set_wait(0, 10 * S, 20 * S, 7 * S);
        world.processes[0].view.words[RF_PROCESS_ACCELERATOR] = RF_ACCELERATOR_USED;
        if (rows[i].processes > 1)
            set_wait(1, rows[i].begin_s * S, rows[i].end_s * S, S);
        world.processes[1].view.words[RF_PROCESS_ACCELERATOR] = rows[i].accelerator;
        set_gpu(0, rows[i].source, 20 * S - (uint64_t)(rows[i].coverage * 1e10), 20 * S, 0.4);
        struct summary *summary = made(0);
        assert_int_equal(summary->method, SUMMARY_METHOD_HOST_BOUND);
        assert_float_equal(summary->processes[0].stall_share, rows[i].upper, 1e-6);
        assert_float_equal((double)summary->processes[0].exposed.lower_ns * 1e-10, rows[i].lower,
                           1e-6);
        summary_free(summary);
    }
}

/* Two threads of one loader, each on a device of its own. */
static void a_loader_over_two_devices(void **state)
{
    (void)state;
    begin_world(1);
    set_wait(0, 10 * S, 20 * S, 3 * S);
    set_stall(0, 0, 3 * S, 2 * S, 2 * S);
    world.loaders[0].gpus[0].stall.waiting_ns = 3 * S;
    set_stall(0, 1, S, S, S);
    world.loaders[0].gpus[1].stall.waiting_ns = S;
    uint64_t *c = world.loaders[0].totals.counters;
    c[RF_COUNT_STEADY_NS] = c[RF_COUNT_STALL_KNOWN_NS] = 4 * S;
    c[RF_COUNT_STALL_LOWER_NS] = c[RF_COUNT_STALL_UPPER_NS] = 3 * S;
    set_gpu(0, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.5);
    set_gpu(1, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.5);
    struct summary *summary = made(0);
    assert_float_equal(summary->gpus[0].stall_share, 0.2, NEAR);
    assert_float_equal(summary->gpus[1].stall_share, 0.1, NEAR);
    assert_int_equal(summary->processes[0].gpu, UINT32_MAX);
    assert_true(summary_consumes(&summary->loaders[0], &world.gpus[0]));
    assert_true(summary_consumes(&summary->loaders[0], &world.gpus[1]));
    world.loaders[0].gpu_count = 1;
    assert_false(summary_consumes(&summary->loaders[0], &world.gpus[1]));
    world.loaders[0].gpu_count = 2;
    summary_free(summary);
    /* A thread that named no device may have waited on either. */
    c[RF_COUNT_STEADY_NS] = 5 * S;
    summary = made(0);
    assert_float_equal(summary->gpus[0].stall_share, 0.3, NEAR);
    assert_float_equal(summary->gpus[0].stall_share_lower, 0.2, NEAR);
    assert_true(summary->gpus[0].stall_is_bound);
    summary_free(summary);
}

/* ---- arithmetic ---- */

static void sums_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        uint64_t a, b, sum, difference;
    } rows[] = {
        {0, 0, 0, 0},
        {5, 3, 8, 2},
        {3, 5, 8, 0},
        {DS_MOST, 0, DS_MOST, DS_MOST},
        {DS_MOST - 1, 1, DS_MOST, DS_MOST - 2},
        {DS_MOST, 1, DS_MOST, DS_MOST - 1},
        {UINT64_MAX, 0, DS_MOST, UINT64_MAX},
        {0, UINT64_MAX, DS_MOST, 0},
        {UINT64_MAX, UINT64_MAX, DS_MOST, 0},
        {UINT64_C(1) << 63, UINT64_C(1) << 63, DS_MOST, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(ds_add(rows[i].a, rows[i].b), rows[i].sum);
        assert_int_equal(ds_subtract(rows[i].a, rows[i].b), rows[i].difference);
    }
    begin_world(2);
    world.data.process_count = 1;
    world.processes[0].loader_count = 2; /* the second one's place follows */
    for (uint32_t i = 0; i < 2; i++) {
        set_wait(i, 10 * S, 20 * S, UINT64_C(1) << 63);
        set_stall(i, 0, UINT64_C(1) << 63, UINT64_C(1) << 63, UINT64_C(1) << 63);
    }
    set_gpu(0, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.5);
    struct summary *summary = made(0);
    assert_int_equal(summary->processes[0].stall.waiting_ns, DS_MOST);
    assert_int_equal(summary->processes[0].stall.waiting_ns, DS_MOST);
    assert_float_equal(summary->processes[0].stall_share, 1.0, NEAR);
    assert_float_equal(summary->gpus[0].stall_share, 1.0, NEAR);
    summary_free(summary);
}

/* In a file that is written to, a stage's stalls may be read a moment after its waiting. */
static void a_stage_read_while_it_changes(void **state)
{
    (void)state;
    begin_world(1);
    set_wait(0, 10 * S, 20 * S, 4 * S);
    strcpy(world.processes[0].stage_names[1], "train");
    uint64_t *words = world.loaders[0].stages[1];
    words[RF_COUNT_STEADY_NS] = 3 * S;
    words[RF_COUNT_STALL_KNOWN_NS] = 5 * S;
    words[RF_COUNT_STALL_LOWER_NS] = 8 * S;
    words[RF_COUNT_STALL_UPPER_NS] = 7 * S;
    struct summary *summary = made(0);
    const struct stall *stall = &summary->stages[0].stall;
    assert_int_equal(stall->waiting_ns, 3 * S);
    assert_int_equal(stall->known_ns, 3 * S);
    assert_int_equal(stall->upper_ns, 3 * S);
    assert_int_equal(stall->lower_ns, 3 * S);
    summary_free(summary);
}

/* Loop and workers want as many CPUs as there are, or waited for them for a tenth of the stall. */
static void loops_that_share_their_cpus(void **state)
{
    (void)state;
    static const struct {
        uint64_t workers, loop_wait_s, contention_s; /* of 50 s of stall */
        double running, usable;                      /* CPUs: workers, and of so many */
        bool shares;
    } rows[] = {{2, 5, 0, 1, 8, false},  {2, 6, 0, 1, 8, true},    {2, 3, 3, 1, 8, true},
                {2, 0, 0, 6.9, 8, true}, {2, 0, 0, 6.7, 8, false}, {0, 50, 0, 8, 8, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 110 * S, 50 * S);
        world.loaders[0].entry.num_workers = rows[i].workers;
        uint64_t *c = world.loaders[0].totals.counters;
        c[RF_COUNT_CAUSES] = 1;
        c[RF_COUNT_CAUSE_NS + CAUSE_LOOP_CPU_WAIT] = rows[i].loop_wait_s * S;
        c[RF_COUNT_CAUSE_NS + CAUSE_CPU_CONTENTION] = rows[i].contention_s * S;
        c[RF_COUNT_CAUSE_NS + CAUSE_BLOCKED] =
            (50 - rows[i].loop_wait_s - rows[i].contention_s) * S;
        set_cpus((uint64_t)(rows[i].usable * 1000), RF_UNKNOWN);
        struct rf_worker_view *worker = add_worker();
        worker->totals[RF_TOTAL_COUNT] = worker->totals[RF_TOTAL_BATCHES] = 1;
        worker->totals[RF_TOTAL_ITEMS_NS] = worker->totals[RF_TOTAL_ITEMS_CPU_NS] =
            (uint64_t)(rows[i].running * 100e9);
        worker->totals[RF_TOTAL_BEGIN_NS] = 10 * S;
        worker->totals[RF_TOTAL_END_NS] = 110 * S;
        struct summary *summary = made(1000 * S);
        if (summary->processes[0].shares_cpus != rows[i].shares)
            fail_msg("row %zu: %g CPUs of %g", i, summary->loaders[0].why.work.running_cpus,
                     summary->loaders[0].why.host.cpus_usable);
        summary_free(summary);
    }
}

/* What is known is charged; a little that may be is no more than that. */
static void what_a_severity_follows(void **state)
{
    (void)state;
    static const struct {
        bool used;                                  /* a GPU, of which events told so much */
        uint64_t wait_s, known_s, lower_s, upper_s; /* of 100 s */
        double severe;
    } rows[] = {{false, 4, 0, 0, 0, 0.04},   {false, 30, 0, 0, 0, 0.3},
                {true, 4, 0, 0, 0, 0.04},    {true, 30, 0, 0, 0, NAN},
                {true, 30, 30, 3, 20, NAN},  {true, 30, 30, 10, 20, 0.1},
                {true, 30, 30, 20, 20, 0.2}, {true, 30, 30, 5, 20, 0.05}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 110 * S, rows[i].wait_s * S);
        if (rows[i].used)
            set_stall(0, 0, rows[i].known_s * S, rows[i].lower_s * S, rows[i].upper_s * S);
        struct summary *summary = made(1000 * S);
        const double severe = summary->processes[0].severe_share;
        if (isnan(rows[i].severe) ? !isnan(severe) : !(fabs(severe - rows[i].severe) < NEAR))
            fail_msg("row %zu: %g", i, severe);
        summary_free(summary);
    }
}

/* A worker that was killed is why the loader failed where the command did, by any status but 0. */
static void what_a_command_ended_with(void **state)
{
    (void)state;
    static const struct {
        bool has_launcher;
        uint64_t known, status;
        bool failed;
    } rows[] = {{true, 1, 0, false},  {true, 1, 1, true},    {true, 1, 2, true},
                {true, 1, 137, true}, {true, 0, 137, false}, {false, 1, 137, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, 5 * S);
        add_worker()->exit = rf_pack_exit(-9);
        set_launcher(RF_STATE_CLOSED, RF_DEAD);
        world.data.has_launcher = rows[i].has_launcher;
        world.data.launcher.view.words[RF_PROCESS_EXIT_KNOWN] = rows[i].known;
        world.data.launcher.view.words[RF_PROCESS_EXIT_STATUS] = rows[i].status;
        struct summary *summary = made(1000 * S);
        if ((summary->loaders[0].why.failure.kind == WHY_WORKER_KILLED) != rows[i].failed)
            fail_msg("row %zu: %d", i, (int)summary->loaders[0].why.failure.kind);
        summary_free(summary);
    }
}

/* What ends a program in next() is told, but not where it was Ctrl-C (130). */
static void a_command_that_was_interrupted(void **state)
{
    (void)state;
    static const struct {
        uint64_t status;
        enum why_failure_kind kind;
    } rows[] = {{1, WHY_TAKING_FAILED}, {130, WHY_NOTHING_FAILED}, {131, WHY_TAKING_FAILED}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, 5 * S);
        add_worker()->number = 0;
        world.loaders[0].entry.num_workers = 1;
        world.loaders[0].totals.counters[RF_COUNT_FAILED] = 1;
        set_launcher(RF_STATE_CLOSED, RF_DEAD);
        world.data.has_launcher = true;
        world.data.launcher.view.words[RF_PROCESS_EXIT_KNOWN] = 1;
        world.data.launcher.view.words[RF_PROCESS_EXIT_STATUS] = rows[i].status;
        struct summary *summary = made(1000 * S);
        if (summary->loaders[0].why.failure.kind != rows[i].kind)
            fail_msg("row %zu: %d", i, (int)summary->loaders[0].why.failure.kind);
        summary_free(summary);
    }
}

/* Two ranks are a job, and one is none. */
static void ranks_that_are_a_job(void **state)
{
    (void)state;
    static const struct {
        uint32_t processes;
        uint64_t ranks[3];
        bool job;
    } rows[] = {{1, {0}, false},
                {2, {0, 1}, true},
                {2, {0, DATASTALL_UNKNOWN}, false},
                {3, {0, DATASTALL_UNKNOWN, 1}, true},
                {3, {DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, DATASTALL_UNKNOWN}, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(rows[i].processes);
        for (uint32_t k = 0; k < rows[i].processes; k++) {
            set_wait(k, 10 * S, 20 * S, 5 * S);
            world.processes[k].view.fixed.rank = rows[i].ranks[k];
        }
        struct summary *summary = made(1000 * S);
        assert_int_equal(summary->job != NULL, rows[i].job);
        summary_free(summary);
        assert_int_equal(summary_make_bare(&world.data, 1000 * S, &summary), 0);
        assert_null(summary->job);
        summary_free(summary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beside_busy_neighbours),
        cmocka_unit_test(what_others_explain),
        cmocka_unit_test(a_background_thread_that_waits),
        cmocka_unit_test(what_a_job_loses_beside_others),
        cmocka_unit_test(a_job_of_several_runs_beside_others),
        cmocka_unit_test(a_counter_of_what_others_explain),
        cmocka_unit_test(a_check_beside_others),
        cmocka_unit_test(a_second_loader_beside_others),
        cmocka_unit_test(cpus_of_a_process),
        cmocka_unit_test(what_one_iterator_costs_beside_others),
        cmocka_unit_test(other_ranks_are_no_other_programs),
        cmocka_unit_test(severities),
        cmocka_unit_test(methods),
        cmocka_unit_test(widths_that_make_a_bound),
        cmocka_unit_test(stall_and_busy_beyond_all_there_is),
        cmocka_unit_test(the_least_window_that_counts),
        cmocka_unit_test(a_stage_that_still_runs),
        cmocka_unit_test(the_ceiling_of_the_worst),
        cmocka_unit_test(energy_while_stalled),
        cmocka_unit_test(shares_of_a_device),
        cmocka_unit_test(idle_time_of_a_shared_device),
        cmocka_unit_test(two_ranks_on_one_gpu),
        cmocka_unit_test(the_longest_stall_of_a_shared_device),
        cmocka_unit_test(a_bound_is_called_one),
        cmocka_unit_test(a_device_that_owes_an_answer),
        cmocka_unit_test(bounds_by_activity),
        cmocka_unit_test(a_loader_over_two_devices),
        cmocka_unit_test(sums_that_do_not_fit),
        cmocka_unit_test(a_stage_read_while_it_changes),
        cmocka_unit_test(loops_that_share_their_cpus),
        cmocka_unit_test(ranks_that_are_a_job),
        cmocka_unit_test(what_a_command_ended_with),
        cmocka_unit_test(a_command_that_was_interrupted),
        cmocka_unit_test(what_a_severity_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
