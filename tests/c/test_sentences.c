/* SPDX-License-Identifier: Apache-2.0 */
/* A summary in words, and the conditions on it: each word by what it says, each limit from both
 * sides. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/check.h"
#include "diagnose/job.h"
#include "diagnose/parts.h"
#include "support.h"
#include "world.h"

/* ---- conditions ---- */

static enum check_result checked(const struct summary *summary, const char *condition,
                                 const char *sentence)
{
    char said[256] = "";
    const enum check_result result = check_condition(summary, condition, said, sizeof said);
    if (sentence != NULL)
        assert_string_equal(said, sentence);
    return result;
}

/* Two processes of which the second waits more, and two devices of which one is another's. */
static struct summary *made_of_two(void)
{
    begin_world(2);
    for (uint32_t i = 0; i < 2; i++) {
        struct rf_totals *totals = &world.loaders[i].totals;
        set_wait(i, 10 * S, 20 * S, (1 + i) * S);
        for (uint32_t k = 0; k < 100; k++)
            totals->steady[histogram_bucket((10 + 10 * i + k) * MS / 10)]++;
        totals->counters[RF_COUNT_STEADY] = 100;
        totals->counters[RF_COUNT_STEADY_MIN] = (1 + i) * MS;
        totals->counters[RF_COUNT_STEADY_MAX] = (11 + i) * MS;
    }
    set_gpu(0, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0.75);
    set_gpu(1, RF_ACTIVITY_GPM, 10 * S, 20 * S, 0);
    world.gpus[0].words[RF_GPU_BUSY_PERCENT_MAX] = 90;
    return made(0);
}

static void conditions(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        enum check_result result;
        const char *sentence;
    } rows[] = {
        {"idle<25.01", CHECK_HOLDS, "check ok: GPU idle is 25.00 %, wanted < 25.01 %"},
        {"idle<24.99", CHECK_FAILS, "check failed: GPU idle is 25.00 %, wanted < 24.99 %"},
        {"idle<25", CHECK_FAILS, "check failed: GPU idle is 25.00 %, wanted < 25 %"},
        {"idle<=25", CHECK_HOLDS, "check ok: GPU idle is 25.00 %, wanted <= 25 %"},
        {"idle>25", CHECK_FAILS, "check failed: GPU idle is 25.00 %, wanted > 25 %"},
        {"idle>=25", CHECK_HOLDS, "check ok: GPU idle is 25.00 %, wanted >= 25 %"},
        {"idle>=25.1", CHECK_FAILS, "check failed: GPU idle is 25.00 %, wanted >= 25.1 %"},
        {"idle<=24.9", CHECK_FAILS, "check failed: GPU idle is 25.00 %, wanted <= 24.9 %"},
        {"idle>24.9", CHECK_HOLDS, "check ok: GPU idle is 25.00 %, wanted > 24.9 %"},
        {"stall<=20", CHECK_HOLDS, "check ok: input stall is 20.00 %, wanted <= 20 %"},
        {"stall<20%", CHECK_FAILS, "check failed: input stall is 20.00 %, wanted < 20 %"},
        {"max<=12ms", CHECK_HOLDS, "check ok: longest wait is 12.00 ms, wanted <= 12 ms"},
        {"mean>=20", CHECK_HOLDS, "check ok: mean wait is 20.00 ms, wanted >= 20 ms"},
        {"mean>20", CHECK_FAILS, "check failed: mean wait is 20.00 ms, wanted > 20 ms"},
    };
    struct summary *summary = made_of_two();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(checked(summary, rows[i].condition, rows[i].sentence), rows[i].result);
    summary_free(summary);
}

/* The worst of the loaders, each quantile by its own name. */
static void quantiles_of_waits(void **state)
{
    (void)state;
    static const char *const names[] = {"p50", "p95", "p99"};
    static const char *const words[] = {"median wait", "95th percentile wait",
                                        "99th percentile wait"};
    struct summary *summary = made_of_two();
    const datastall_distribution *waits = &summary->loaders[1].figures.steady;
    const uint64_t ns[] = {waits->p50_ns, waits->p95_ns, waits->p99_ns};
    for (size_t i = 0; i < 3; i++) {
        char condition[64], sentence[128];
        const double value = (double)ns[i] * 1e-6;
        snprintf(condition, sizeof condition, "%s < %.3f", names[i], value + 0.001);
        assert_int_equal(checked(summary, condition, NULL), CHECK_HOLDS);
        snprintf(condition, sizeof condition, "%s < %.3f", names[i], value - 0.001);
        assert_int_equal(checked(summary, condition, NULL), CHECK_FAILS);
        snprintf(condition, sizeof condition, "%s > 0", names[i]);
        snprintf(sentence, sizeof sentence, "check ok: %s is %.2f ms, wanted > 0 ms", words[i],
                 value);
        assert_int_equal(checked(summary, condition, sentence), CHECK_HOLDS);
    }
    assert_true(ns[0] < ns[1] && ns[1] < ns[2]);
    summary_free(summary);
}

static void conditions_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        enum check_result result;
        const char *hint; /* NULL: none */
    } rows[] = {
        {"", CHECK_INVALID},
        {" ", CHECK_INVALID},
        {"idle", CHECK_INVALID},
        {"idle<", CHECK_INVALID},
        {"idle<=", CHECK_INVALID},
        {"idle<x", CHECK_INVALID},
        {"idle=5", CHECK_INVALID},
        {"idle 5", CHECK_INVALID},
        {"idles<5", CHECK_INVALID, " (did you mean 'idle'?)"},
        {"idl<5", CHECK_INVALID, " (did you mean 'idle'?)"},
        {"wait<5", CHECK_INVALID},
        {"<5", CHECK_INVALID},
        {"idle<5ms", CHECK_INVALID},
        {"p95<5%", CHECK_INVALID},
        {"idle<5 % x", CHECK_INVALID},
        {"idle<5%%", CHECK_INVALID},
        {"idle<nan", CHECK_INVALID},
        {"idle<inf", CHECK_INVALID},
        {"idle<5,stall<3", CHECK_INVALID},
        {"idle<<5", CHECK_INVALID},
        {"idle<>5", CHECK_INVALID},
        {"idle==5", CHECK_INVALID},
        {"idle", CHECK_INVALID},
        {"idle<30", CHECK_HOLDS},
        {" idle < 30", CHECK_HOLDS},
        {"idle <= 30 %", CHECK_HOLDS},
        {"  idle  <  30  %  ", CHECK_HOLDS},
        {"idle<3e1", CHECK_HOLDS},
        {"idle<30 ", CHECK_HOLDS},
        {"idle>-1", CHECK_HOLDS},
        {"p95<5000ms", CHECK_HOLDS},
        {"p95<5000 ms ", CHECK_HOLDS},
    };
    struct summary *summary = made_of_two();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char sentence[200];
        snprintf(sentence, sizeof sentence,
                 "'%s' is not a condition%s; write for example 'idle<5', 'stall<10' (percent) or "
                 "'p95<50' (ms)",
                 rows[i].condition, rows[i].hint != NULL ? rows[i].hint : "");
        const bool invalid = rows[i].result == CHECK_INVALID;
        if (checked(summary, rows[i].condition, invalid ? sentence : NULL) != rows[i].result)
            fail_msg("'%s'", rows[i].condition);
    }
    summary_free(summary);
}

/* An unknown figure never holds. */
static void conditions_on_what_was_not_measured(void **state)
{
    (void)state;
    static const struct {
        const char *condition, *sentence;
    } rows[] = {
        {"idle<5", "check unknown: GPU idle was not measured, so 'idle < 5 %' cannot hold"},
        {"stall>=1.5", "check unknown: input stall was not measured, so 'stall >= 1.5 %' cannot "
                       "hold"},
        {"p50<=1", "check unknown: median wait was not measured, so 'p50 <= 1 ms' cannot hold"},
        {"max>1", "check unknown: longest wait was not measured, so 'max > 1 ms' cannot hold"},
    };
    begin_world(1);
    struct summary *summary = made(0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(checked(summary, rows[i].condition, rows[i].sentence), CHECK_UNKNOWN);
    summary_free(summary);
}

/* Devices that did nothing are another's, unless all did nothing; the worst of the others counts. */
static void which_device_is_idle(void **state)
{
    (void)state;
    static const struct {
        double busy[2]; /* NaN: not known */
        uint64_t most[2];
        const char *sentence;
    } rows[] = {
        {{0.75, 0.5}, {1, 1}, "check ok: GPU idle is 50.00 %, wanted < 1000 %"},
        {{0.5, 0.75}, {1, 1}, "check ok: GPU idle is 50.00 %, wanted < 1000 %"},
        {{0.75, 0.0}, {1, 0}, "check ok: GPU idle is 25.00 %, wanted < 1000 %"},
        {{0.0, 0.75}, {0, 1}, "check ok: GPU idle is 25.00 %, wanted < 1000 %"},
        {{0.0, 0.0}, {0, 0}, "check ok: GPU idle is 100.00 %, wanted < 1000 %"},
        {{0.75, 0.5}, {0, 0}, "check ok: GPU idle is 50.00 %, wanted < 1000 %"},
        {{NAN, 0.5}, {9, 0}, "check ok: GPU idle is 50.00 %, wanted < 1000 %"},
        {{0.5, NAN}, {0, 9}, "check ok: GPU idle is 50.00 %, wanted < 1000 %"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        for (uint32_t g = 0; g < 2; g++) {
            const bool known = !isnan(rows[i].busy[g]);
            set_gpu(g, RF_ACTIVITY_GPM, 10 * S, known ? 20 * S : 10 * S,
                    known ? rows[i].busy[g] : 0);
            world.gpus[g].words[RF_GPU_BUSY_PERCENT_MAX] = rows[i].most[g];
        }
        set_wait(0, 10 * S, 20 * S, S);
        struct summary *summary = made(0);
        checked(summary, "idle<1000", rows[i].sentence);
        summary_free(summary);
    }
}

/* What was reported by hand counts only where no hook saw the process. */
static void loaders_outside_the_verdict_are_not_asked(void **state)
{
    (void)state;
    begin_world(2);
    world.data.process_count = 1;
    world.processes[0].loader_count = 2;
    set_wait(0, 10 * S, 20 * S, S);
    set_wait(1, 10 * S, 20 * S, 5 * S);
    world.loaders[1].entry.source = DATASTALL_SOURCE_MANUAL;
    struct summary *summary = made(0);
    checked(summary, "max<=1000", "check ok: longest wait is 1000.00 ms, wanted <= 1000 ms");
    summary_free(summary);
    world.loaders[0].entry.source = DATASTALL_SOURCE_MANUAL;
    summary = made(0);
    checked(summary, "max<=1000", "check failed: longest wait is 5000.00 ms, wanted <= 1000 ms");
    summary_free(summary);
}

/* ---- lengths of time ---- */

static void durations(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } rows[] = {
        {NAN, "unknown"},    {0, "0 ms"},          {0.0004, "0 ms"},   {0.82, "820 ms"},
        {0.9994, "999 ms"},  {0.9995, "1.0 s"},    {0.9996, "1.0 s"},  {1, "1.0 s"},
        {12.34, "12.3 s"},   {59.94, "59.9 s"},    {59.95, "1m 00s"},  {59.96, "1m 00s"},
        {60, "1m 00s"},      {78, "1m 18s"},       {119.4, "1m 59s"},  {119.6, "2m 00s"},
        {3599.4, "59m 59s"}, {3599.5, "1h 00m"},   {3599.6, "1h 00m"}, {3600, "1h 00m"},
        {3629, "1h 00m"},    {3630, "1h 01m"},     {7169, "1h 59m"},   {7171, "2h 00m"},
        {7380, "2h 03m"},    {360000, "100h 00m"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[32];
        summary_duration_text(rows[i].seconds, text, sizeof text);
        assert_string_equal(text, rows[i].text);
    }
}

/* ---- the verdict ---- */

static void assert_verdict(const char *verdict, const char *prize)
{
    struct summary *summary = made(0);
    char text[256];
    summary_verdict_text(summary, text, sizeof text);
    assert_string_equal(text, verdict);
    summary_prize_text(summary, text, sizeof text);
    assert_string_equal(text, prize);
    summary_free(summary);
}

static void the_verdict_of_one_process(void **state)
{
    (void)state;
    begin_world(0);
    assert_verdict("unknown: no batch was recorded", "");
    begin_world(1);
    assert_verdict("unknown: no batch was recorded", "");
    set_wait(0, 10 * S, 20 * S, 4 * S);
    assert_verdict("moderate: the program waited for data 40.0 % of the time",
                   "a perfect input pipeline would make it at most 1.7x faster (waiting: 4.0 s of "
                   "10.0 s)");
    world.processes[0].view.words[RF_PROCESS_ENDED_MONO] = 20 * S;
    set_wait(0, 10 * S, 20 * S, 499 * MS);
    assert_verdict("none: the program waited for data 5.0 % of the time",
                   "a perfect input pipeline would save at most 499 ms of 10.0 s");
    set_wait(0, 10 * S, 20 * S, 500 * MS);
    assert_verdict("slight: the program waited for data 5.0 % of the time",
                   "a perfect input pipeline would make it at most 1.1x faster (waiting: 500 ms of "
                   "10.0 s)");
    set_wait(0, 10 * S, 20 * S, 9900 * MS);
    assert_verdict("severe: the program waited for data 99.0 % of the time",
                   "a perfect input pipeline would make it at most 100.0x faster (waiting: 9.9 s "
                   "of 10.0 s)");
    set_wait(0, 10 * S, 20 * S, 99005 * MS / 10); /* 100.5 times as fast */
    assert_verdict("severe: the program waited for data 99.0 % of the time",
                   "it spent nearly all of its time waiting (9.9 s of 10.0 s)");
    set_wait(0, 10 * S, 20 * S, 9901 * MS);
    assert_verdict("severe: the program waited for data 99.0 % of the time",
                   "it spent nearly all of its time waiting (9.9 s of 10.0 s)");
    set_wait(0, 10 * S, 20 * S, 10 * S);
    assert_verdict("severe: the program waited for data 100.0 % of the time",
                   "it spent nearly all of its time waiting (10.0 s of 10.0 s)");
    /* Short, and little of a long life. */
    set_wait(0, 10 * S, 11 * S, 900 * MS);
    world.processes[0].view.words[RF_PROCESS_ENDED_MONO] = 60 * S;
    assert_verdict(
        "none: the program waited for data for 900 ms in the 50.0 s since it first loaded "
        "any",
        "a perfect input pipeline would save at most 900 ms of 1.0 s");
}

static void the_verdict_by_its_method(void **state)
{
    (void)state;
    static const struct {
        uint64_t known_ms, lower_ms, upper_ms; /* of 4 s of waiting in 10 s */
        const char *verdict;
    } rows[] = {
        {4000, 3000, 3000, "moderate: the GPU waited for data 30.0 % of the time"},
        {4000, 3000, 3050, "moderate: the GPU waited for data 30.5 % of the time"}, /* no bound */
        {4000, 3000, 3100, "moderate: the GPU waited for data at most 31.0 % of the time"},
        {4000, 3000, 3101,
         "moderate: the GPU waited for data at most 31.0 % of the time, at least 30.0 %"},
        {4000, 0, 3500, "unknown: the GPU waited for data at most 35.0 % of the time"},
        {4000, 1, 3500,
         "unknown: the GPU waited for data at most 35.0 % of the time, at least 0.0 %"},
        {1000, 500, 600, "unknown: the program waited for data at most 40.0 % of the time"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, 20 * S, 4 * S);
        set_stall(0, 0, rows[i].known_ms * MS, rows[i].lower_ms * MS, rows[i].upper_ms * MS);
        struct summary *summary = made(0);
        char text[256];
        summary_verdict_text(summary, text, sizeof text);
        assert_string_equal(text, rows[i].verdict);
        summary_free(summary);
    }
}

/* The smallest lower bound is one. */
static void at_least_a_nanosecond(void **state)
{
    (void)state;
    begin_world(1);
    set_wait(0, 10 * S, 20 * S, 4 * S);
    set_stall(0, 0, 4 * S, 1, 3500 * MS);
    struct summary *summary = made(0);
    char text[256];
    summary_verdict_text(summary, text, sizeof text);
    assert_string_equal(text,
                        "unknown: the GPU waited for data at most 35.0 % of the time, at least "
                        "0.0 %");
    summary_free(summary);
}

static void the_verdict_of_several_processes(void **state)
{
    (void)state;
    begin_world(2);
    set_wait(0, 10 * S, 20 * S, S);
    set_wait(1, 10 * S, 20 * S, 4 * S);
    assert_verdict(
        "moderate: rank 1 of 2 waited for data 40.0 % of the time; the mean over 2 processes is "
        "25.0 %",
        "a perfect input pipeline would make it at most 1.7x faster (waiting: 4.0 s of "
        "10.0 s)");
    world.processes[1].view.fixed.rank = DATASTALL_UNKNOWN;
    world.processes[1].view.fixed.pid = 4711;
    world.processes[0].view.words[RF_PROCESS_ACCELERATOR] = RF_ACCELERATOR_USED;
    assert_verdict("moderate: process 4711 waited for data 40.0 % of the time; the mean over 2 "
                   "processes is at most 25.0 %",
                   "a perfect input pipeline would make it at most 1.7x faster (waiting: 4.0 s of "
                   "10.0 s)");
    world.processes[1].view.words[RF_PROCESS_ACCELERATOR] = RF_ACCELERATOR_USED;
    assert_verdict(
        "unknown: process 4711 waited for data at most 40.0 % of the time; the mean over 2 "
        "processes is at most 25.0 %",
        "a perfect input pipeline would make it at most 1.7x faster (waiting: 4.0 s of "
        "10.0 s)");
}

/* Of a job it is told what the job lost, where that is worth a word; else what the ranks waited, and what
 * else cost the job. The verdict is no milder than what the job lost for sure. */
static void the_verdict_of_a_job(void **state)
{
    (void)state;
    static const char ranks[] =
        ": rank 1 of 2 waited for data 8.0 % of the time; the mean over 2 processes is 6.0 %";
    static const struct {
        double lost_s, least_s, input_s, late_s; /* of 100 s */
        enum summary_severity severity;
        const char *words; /* "": those of the ranks, and these */
        const char *behind;
    } rows[] = {
        {NAN, NAN, 0, 0, SUMMARY_SEVERITY_SLIGHT, "", ""},
        {30, 30, 25, 0, SUMMARY_SEVERITY_MODERATE,
         ": rank 1 made the others wait: 25.0 s of the 30.0 s (30 %) that the job lost; why", ""},
        {59, 59, 25, 0, SUMMARY_SEVERITY_SEVERE,
         ": rank 1 made the others wait: 25.0 s of the 59.0 s (59 %) that the job lost; why", ""},
        {3, 0.3, 3, 0, SUMMARY_SEVERITY_SLIGHT, "", ""},
        {3, 3, 3, 9, SUMMARY_SEVERITY_SLIGHT, "",
         "; rank 1 came late for another reason than input, which cost the job 9.0 s (9 %): why"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(2);
        set_wait(0, 10 * S, 110 * S, 4 * S);
        set_wait(1, 10 * S, 110 * S, 8 * S);
        struct summary *summary = made(1000 * S);
        assert_int_equal(summary->severity, SUMMARY_SEVERITY_SLIGHT);
        struct job_figures *job = summary->job;
        assert_non_null(job);
        *job = (struct job_figures){.ranks = 2, .nodes = 1, .active_s = 100};
        job->lost_s = (struct range){rows[i].lost_s, rows[i].least_s, rows[i].lost_s};
        job->lost_share =
            (struct range){rows[i].lost_s / 100, rows[i].least_s / 100, rows[i].lost_s / 100};
        for (uint32_t reason = JOB_INPUT; reason <= JOB_NOT_INPUT; reason++) {
            const double lost_s = reason == JOB_INPUT ? rows[i].input_s : rows[i].late_s;
            if (lost_s > 0)
                job->causes[job->cause_count++] = (struct job_cause){
                    .rank = 1, .node = "one", .reason = reason, .lost_s = lost_s, .why = "why"};
        }
        summary_charge_job(summary);
        CHECK(summary->severity == rows[i].severity, "row %zu: %d", i, (int)summary->severity);
        char text[640], wanted[640];
        summary_verdict_text(summary, text, sizeof text);
        snprintf(wanted, sizeof wanted, "%s%s%s", summary_severity_name(rows[i].severity),
                 rows[i].words[0] != '\0' ? rows[i].words : ranks, rows[i].behind);
        CHECK(strcmp(text, wanted) == 0, "row %zu: '%s'", i, text);
        for (size_t size = 1; size <= strlen(text) + 1; size++) { /* into less room */
            char cut[sizeof text];
            memset(cut, 0x55, sizeof cut);
            summary_verdict_text(summary, cut, size);
            CHECK(strlen(cut) == size - 1 && memcmp(cut, text, size - 1) == 0, "row %zu: '%s'", i,
                  cut);
            for (size_t at = size; at < sizeof cut; at++)
                assert_int_equal(cut[at], 0x55);
        }
        summary_free(summary);
    }
    /* Half a second is the least, for sure; and nothing makes it milder. */
    static const struct {
        double least_s, share;
        enum summary_severity severity;
    } charges[] = {{0.5, 0.5, SUMMARY_SEVERITY_SEVERE},
                   {0.499, 0.5, SUMMARY_SEVERITY_SLIGHT},
                   {NAN, 0.5, SUMMARY_SEVERITY_SLIGHT},
                   {50, 0, SUMMARY_SEVERITY_SLIGHT}};
    for (size_t i = 0; i < sizeof charges / sizeof *charges; i++) {
        struct job_figures figures = {.lost_s.lower = charges[i].least_s,
                                      .lost_share.lower = charges[i].share};
        struct summary summary = {.severity = SUMMARY_SEVERITY_SLIGHT, .job = &figures};
        summary_charge_job(&summary);
        assert_int_equal(summary.severity, charges[i].severity);
        summary.job = NULL;
        summary.severity = SUMMARY_SEVERITY_SLIGHT;
        summary_charge_job(&summary);
        assert_int_equal(summary.severity, SUMMARY_SEVERITY_SLIGHT);
    }
}

/* Where loop and workers share the CPUs, loading less leaves the loop more of them. */
static void a_prize_that_may_be_more(void **state)
{
    (void)state;
    begin_world(1);
    set_wait(0, 10 * S, 20 * S, 4 * S);
    struct summary *summary = made(1000 * S);
    summary->processes[0].shares_cpus = true;
    char text[256];
    summary_prize_text(summary, text, sizeof text);
    assert_string_equal(text, "without this waiting it would be 1.7x as fast (4.0 s of 10.0 s), or "
                              "more: loop and workers share the CPUs");
    summary->loaders[0].why.primary = WHY_FAILED; /* nothing to gain */
    summary_prize_text(summary, text, sizeof text);
    assert_string_equal(text, "");
    summary->loaders[0].in_verdict = false;
    summary_prize_text(summary, text, sizeof text);
    assert_true(text[0] != '\0');
    summary_free(summary);
}

/* ---- what became of the launcher ---- */

static void the_launcher_in_words(void **state)
{
    (void)state;
    static const char died[] = "the launcher (datastall run) died, so the exit code is unknown; ";
    static const char missing[] =
        "the launcher's file cannot be read or is gone, so the exit code is unknown; ";
    static const char unseen[] =
        "the launcher (datastall run) cannot be seen from here, so the exit code is unknown; ";
    static const struct {
        enum summary_launcher launcher;
        enum summary_state state;
        enum summary_state processes[2];
        uint32_t count;
        const char *first, *rest;
    } rows[] = {
        {SUMMARY_LAUNCHER_NONE, SUMMARY_DIED, {SUMMARY_DIED}, 1, "", ""},
        {SUMMARY_LAUNCHER_RUNNING, SUMMARY_RUNNING, {SUMMARY_DIED}, 1, "", ""},
        {SUMMARY_LAUNCHER_ENDED, SUMMARY_ENDED, {SUMMARY_DIED}, 1, "", ""},
        {SUMMARY_LAUNCHER_UNSEEN, SUMMARY_ENDED, {SUMMARY_ENDED}, 1, "", ""},
        {SUMMARY_LAUNCHER_UNSEEN,
         SUMMARY_UNSEEN,
         {SUMMARY_UNSEEN},
         1,
         unseen,
         "whether the command is still running cannot be seen from here (another PID namespace)"},
        {SUMMARY_LAUNCHER_DIED,
         SUMMARY_UNSEEN,
         {SUMMARY_UNSEEN},
         1,
         died,
         "whether the command is still running cannot be seen from here (another PID namespace)"},
        {SUMMARY_LAUNCHER_DIED,
         SUMMARY_RUNNING,
         {SUMMARY_RUNNING},
         0,
         died,
         "the command is still running, and has recorded nothing yet"},
        {SUMMARY_LAUNCHER_DIED,
         SUMMARY_RUNNING,
         {SUMMARY_DIED},
         1,
         died,
         "the command is still running and is recorded to its end"},
        {SUMMARY_LAUNCHER_DIED,
         SUMMARY_DIED,
         {SUMMARY_DIED},
         0,
         died,
         "no process of the command recorded anything"},
        {SUMMARY_LAUNCHER_DIED,
         SUMMARY_ENDED,
         {SUMMARY_ENDED, SUMMARY_ENDED},
         2,
         died,
         "the command's processes ended by themselves, and all that they recorded is here"},
        {SUMMARY_LAUNCHER_DIED,
         SUMMARY_DIED,
         {SUMMARY_ENDED, SUMMARY_DIED},
         2,
         died,
         "some of the command's processes died as well; what all recorded is here"},
        {SUMMARY_LAUNCHER_DIED,
         SUMMARY_DIED,
         {SUMMARY_DIED, SUMMARY_DIED},
         2,
         died,
         "the command's processes died as well; what they recorded is here"},
        {SUMMARY_LAUNCHER_MISSING,
         SUMMARY_DIED,
         {SUMMARY_DIED},
         1,
         missing,
         "the command's processes died as well; what they recorded is here"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct summary_process processes[2] = {{.state = rows[i].processes[0]},
                                               {.state = rows[i].processes[1]}};
        struct summary summary = {.launcher = rows[i].launcher,
                                  .state = rows[i].state,
                                  .process_count = rows[i].count,
                                  .processes = processes};
        char text[256] = "?", wanted[256];
        summary_launcher_text(&summary, text, sizeof text);
        snprintf(wanted, sizeof wanted, "%s%s", rows[i].first, rows[i].rest);
        assert_string_equal(text, wanted);
    }
}

static void names(void **state)
{
    (void)state;
    static const char *const severities[] = {"unknown", "none", "slight", "moderate", "severe"};
    static const char *const methods[] = {"unknown", "host-exact", "gpu-events", "host-bound"};
    static const char *const states[] = {"running", "ended", "died", "unknown"};
    static const char *const launchers[] = {"running", "ended", "died", "unknown", "missing"};
    for (uint32_t i = 0; i <= SUMMARY_SEVERITY_SEVERE; i++)
        assert_string_equal(summary_severity_name((enum summary_severity)i), severities[i]);
    for (uint32_t i = 0; i <= SUMMARY_METHOD_HOST_BOUND; i++)
        assert_string_equal(summary_method_name((enum summary_method)i), methods[i]);
    for (uint32_t i = 0; i < SUMMARY_STATES; i++)
        assert_string_equal(summary_state_name((enum summary_state)i), states[i]);
    assert_null(summary_launcher_name(SUMMARY_LAUNCHER_NONE));
    for (uint32_t i = 0; i < SUMMARY_LAUNCHER_MISSING; i++)
        assert_string_equal(summary_launcher_name((enum summary_launcher)(i + 1)), launchers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions),
        cmocka_unit_test(quantiles_of_waits),
        cmocka_unit_test(conditions_that_are_none),
        cmocka_unit_test(conditions_on_what_was_not_measured),
        cmocka_unit_test(which_device_is_idle),
        cmocka_unit_test(loaders_outside_the_verdict_are_not_asked),
        cmocka_unit_test(durations),
        cmocka_unit_test(the_verdict_of_one_process),
        cmocka_unit_test(the_verdict_by_its_method),
        cmocka_unit_test(at_least_a_nanosecond),
        cmocka_unit_test(the_verdict_of_several_processes),
        cmocka_unit_test(the_verdict_of_a_job),
        cmocka_unit_test(a_prize_that_may_be_more),
        cmocka_unit_test(the_launcher_in_words),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
