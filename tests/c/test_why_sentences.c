/* SPDX-License-Identifier: Apache-2.0 */
/* A cause in words: which evidence is told for it, and what is suggested. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/predict.h"
#include "diagnose/why_sentences.h"
#include "runfile/layout.h"
#include "support.h"

static struct run_loader loader;

/* A loader with three workers and nothing known but its cause. */
static struct why why_of(uint32_t cause)
{
    memset(&loader, 0, sizeof loader);
    loader.entry.num_workers = 3;
    loader.entry.prefetch_factor = 2;
    struct why why = {.primary = cause, .stall_ns = 1000};
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        why.shares[i] = NAN;
    why.host = (struct why_host){NAN, NULL, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    why.setting = (struct why_setting){NAN, NAN, NAN, NAN, 0, NAN, NAN};
    why.work.asked_bytes = why.work.storage_bytes = why.work.major_faults = DATASTALL_UNKNOWN;
    why.work.busy_share = why.work.running_cpus = NAN;
    why.work.item_p50_ns = why.work.item_p99_ns = why.work.item_max_ns = NAN;
    why.depth = (struct why_depth){0, NAN, NAN, NAN, NAN, NAN};
    return why;
}

/* The same with all that can be told. */
static struct why full_why_of(uint32_t cause)
{
    struct why why = why_of(cause);
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        why.shares[i] = 0;
    why.shares[CAUSE_COMPUTE] = 1;
    why.host.cpus_usable = 8;
    why.host.limit = "the machine";
    why.host.loop_cpus = 1;
    why.work = (struct why_work){.workers = 3,
                                 .batches = 10,
                                 .items_ns = 100000000,
                                 .cpu_ns = 60000000,
                                 .delay_ns = 10000000,
                                 .blocked_ns = 30000000,
                                 .collate_ns = 5000000,
                                 .startup_ns = 60000000,
                                 .generations = 3,
                                 .sent = 10,
                                 .sent_bytes = 20480,
                                 .sent_tensors = 20,
                                 .asked_bytes = 3 << 20,
                                 .storage_bytes = 1 << 20,
                                 .major_faults = 7,
                                 .busy_share = 0.75,
                                 .running_cpus = 2.5,
                                 .item_p50_ns = 1e6,
                                 .item_p99_ns = 2e7,
                                 .item_max_ns = 3e8};
    why.head_of_line = 0.6;
    why.host.idle_cpus = 4.5;
    loader.totals.counters[RF_COUNT_ITERATORS] = 5;
    loader.totals.counters[RF_COUNT_BATCHES] = 10;
    loader.totals.counters[RF_COUNT_STEADY_NS] = 600;
    why.first_ns = 400;
    why.states_ns[CAUSE_LOOP_CPU_WAIT] = why.states_ns[CAUSE_INTERPRETER] = 1500000000;
    why.depth = (struct why_depth){10, 1.5, 0, 0, 6, 0.25};
    return why;
}

static void assert_evidence(const struct why *why, uint32_t count, const char *const *lines)
{
    for (uint32_t i = 0; i < count; i++)
        assert_string_equal(why->evidence[i], i < why->evidence_count ? lines[i] : "(more)");
    assert_int_equal(why->evidence_count, count);
}

/* ---- which evidence ---- */

#define STATES "of the stall: 100 % compute"
#define WORKERS                                                                                    \
    "3 workers busy 75 % of the time; items 10 ms a batch (60 % running, 10 % waiting for a CPU, " \
    "30 % blocked), collate 0.50 ms"
#define CPUS "8 CPUs may be used (the machine); the workers used 2.50, the training loop 1.00"
#define IDLE "of those CPUs 4.50 were idle on average"
#define FAULTS "7 pages of mapped files had to be read from storage (major faults)"
#define SENT "each batch is 2 tensors and 2 KiB of pickled bytes"
#define EPOCHS "5 iterators of 2 batches each; 40 % of the waiting is at their begin and end"
#define ITEMS "half of the items take at most 1.00 ms, 99 % at most 20 ms; the slowest took 300 ms"
#define STORAGE \
    "the workers asked for 3.0 MiB of files; 1.0 MiB came from storage, the rest from memory"
#define LINE                                                                                    \
    "for 60 % of the stall a later batch was ready; for 50 % the other workers had nothing to " \
    "do"
#define STARTS "3 starts of a worker, 20 ms each until its first index"
#define DEPTH "ready batches: 1.5 of 6 on average when asked, none for 25 % of the waits"

static void evidence_by_cause(void **state)
{
    (void)state;
    static const struct {
        uint32_t cause;
        const char *lines[WHY_EVIDENCE];
    } rows[] = {
        {CAUSE_COMPUTE, {STATES, WORKERS, CPUS, IDLE, ITEMS, DEPTH}},
        {CAUSE_COMPUTE_IN_THREADS, {STATES, WORKERS, CPUS, IDLE, ITEMS, DEPTH}},
        {CAUSE_CPU_CONTENTION, {STATES, WORKERS, CPUS, IDLE, ITEMS, DEPTH}},
        {CAUSE_BLOCKED, {STATES, WORKERS, STORAGE, FAULTS, CPUS, IDLE, DEPTH}},
        {WHY_STORAGE, {STATES, WORKERS, STORAGE, FAULTS, CPUS, IDLE, DEPTH}},
        {CAUSE_COLLATE, {STATES, WORKERS, DEPTH}},
        {CAUSE_TRANSFER, {STATES, WORKERS, SENT, DEPTH}},
        {CAUSE_LOOP_CPU_WAIT,
         {STATES, WORKERS,
          "after the batch was made, the loop's own thread waited for a CPU: 1.5 s", CPUS, IDLE,
          DEPTH}},
        {CAUSE_INTERPRETER,
         {STATES, WORKERS,
          "after the batch was made, other Python threads of the loop's process ran: 1.5 s", CPUS,
          IDLE, DEPTH}},
        {CAUSE_OVERHEAD, {STATES, WORKERS, DEPTH}},
        {WHY_EPOCH_START, {STATES, WORKERS, EPOCHS, DEPTH}},
        {WHY_UNEVEN_SHARDS, {STATES, WORKERS, "0 of 3 workers had data", DEPTH}},
        {WHY_DUPLICATE_STREAM,
         {STATES, WORKERS,
          "each of the 3 workers made the same 0 items, and none asked which worker it is", DEPTH}},
        {WHY_FAILED, {"worker 0 (pid 0) raised an error at item 0"}},
        {CAUSE_PIN, {STATES, WORKERS, DEPTH}},
        {CAUSE_SAMPLER, {STATES, WORKERS, DEPTH}},
        {CAUSE_STARTUP, {STATES, WORKERS, EPOCHS, STARTS, DEPTH}},
        {CAUSE_UNKNOWN, {STATES, WORKERS, DEPTH}},
        {WHY_HEAD_OF_LINE, {STATES, WORKERS, LINE, ITEMS, DEPTH}},
        {WHY_WINDOW, {STATES, WORKERS, LINE, ITEMS, DEPTH}},
        {WHY_NONE, {NULL}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = full_why_of(rows[i].cause);
        uint32_t count = 0;
        while (count < WHY_EVIDENCE && rows[i].lines[count] != NULL)
            count++;
        why.others_idle_ns = 500;
        why_tell(&loader, &why);
        assert_evidence(&why, count, rows[i].lines);
        if (rows[i].cause == WHY_NONE)
            assert_string_equal(why.suggestion, "");
    }
}

static void nothing_known_is_not_told(void **state)
{
    (void)state;
    static const char *const line[] = {"for 0 % of the stall a later batch was ready; for 0 % the "
                                       "other workers had nothing to do"};
    for (uint32_t cause = 0; cause < WHY_CAUSES; cause++) {
        if (cause == CAUSE_LOOP_CPU_WAIT || cause == CAUSE_INTERPRETER ||
            cause == WHY_UNEVEN_SHARDS || cause == WHY_DUPLICATE_STREAM || cause == WHY_FAILED)
            continue; /* what they were chosen for is told */
        struct why why = why_of(cause);
        why.stall_ns = 0;
        why_tell(&loader, &why);
        assert_evidence(&why, cause == WHY_HEAD_OF_LINE || cause == WHY_WINDOW, line);
    }
}

/* Of no iterator there is no mean. */
static void epochs_without_an_iterator(void **state)
{
    (void)state;
    static const uint32_t causes[] = {WHY_EPOCH_START, CAUSE_STARTUP};
    for (uint32_t i = 0; i < 2; i++) {
        struct why why = full_why_of(causes[i]);
        const uint64_t iterators = loader.totals.counters[RF_COUNT_ITERATORS];
        loader.totals.counters[RF_COUNT_ITERATORS] = 0;
        why_tell(&loader, &why);
        for (uint32_t k = 0; k < why.evidence_count; k++)
            assert_null(strstr(why.evidence[k], "iterator"));
        loader.totals.counters[RF_COUNT_ITERATORS] = iterators;
    }
}

/* And of one it is one. */
static void one_iterator(void **state)
{
    (void)state;
    struct why why = full_why_of(WHY_EPOCH_START);
    const uint64_t iterators = loader.totals.counters[RF_COUNT_ITERATORS];
    loader.totals.counters[RF_COUNT_ITERATORS] = 1;
    why_tell(&loader, &why);
    loader.totals.counters[RF_COUNT_ITERATORS] = iterators;
    assert_true(why.evidence_count > 2);
    assert_string_equal(why.evidence[2], "1 iterator of 10 batches each; 40 % of the waiting is at "
                                         "their begin and end");
}

/* Where loop and workers share the CPUs, less loading makes the loop faster as well. */
static void what_leaves_the_loop_a_cpu_is_worth_more(void **state)
{
    (void)state;
    static const struct {
        uint64_t workers, loop_wait_ns, contention_ns; /* of a stall of 1000 ns */
        double running, loop;                          /* CPUs, of 8 */
        bool or_more;
    } rows[] = {
        {2, 0, 0, 2, 1, false},     {2, 100, 0, 2, 1, false},   {2, 101, 0, 2, 1, true},
        {2, 50, 50, 2, 1, false},   {2, 50, 51, 2, 1, true},    {2, 0, 0, 5.7, 1, false},
        {2, 0, 0, 5.9, 1, true},    {2, 0, 0, 6.7, NAN, false}, {2, 0, 0, 6.9, NAN, true},
        {0, 500, 500, 7, 1, false},
    };
    const uint64_t workers = loader.entry.num_workers;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = full_why_of(CAUSE_COLLATE);
        loader.entry.num_workers = rows[i].workers;
        why.stall_ns = 1000;
        why.states_ns[CAUSE_LOOP_CPU_WAIT] = rows[i].loop_wait_ns;
        why.states_ns[CAUSE_CPU_CONTENTION] = rows[i].contention_ns;
        why.work.running_cpus = rows[i].running;
        why.host.loop_cpus = rows[i].loop;
        why.setting.at_most = (struct range){1.5, 1.4, 1.6};
        why_tell(&loader, &why);
        const char *words = rows[i].or_more ? "(without any collation: up to 1.60x, or more: loop "
                                              "and workers share the CPUs)"
                                            : "(without any collation: up to 1.60x)";
        if (strstr(why.suggestion, words) == NULL)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
    loader.entry.num_workers = workers;
}

/* What the fault itself costs at most, where a replay told it and it is worth a word. */
static void what_it_would_be_worth(void **state)
{
    (void)state;
    static const struct {
        uint32_t cause;
        const char *words;
    } rows[] = {{CAUSE_COMPUTE, "(in half the CPU time: up to 1.60x)"},
                {CAUSE_COMPUTE_IN_THREADS, "(in half the CPU time: up to 1.60x)"},
                {WHY_STORAGE, "(with all of it in memory: up to 1.60x)"},
                {CAUSE_BLOCKED, "(without any waiting: up to 1.60x)"},
                {CAUSE_COLLATE, "(without any collation: up to 1.60x)"},
                {WHY_HEAD_OF_LINE, "(out of order: up to 1.60x)"}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (uint32_t known = 0; known < 2; known++) {
            struct why why = full_why_of(rows[i].cause);
            why.states_ns[CAUSE_CPU_CONTENTION] = why.states_ns[CAUSE_LOOP_CPU_WAIT] = 0;
            why.setting.at_most =
                known ? (struct range){1.5, 1.4, 1.6} : (struct range){NAN, NAN, NAN};
            why_tell(&loader, &why);
            if ((strstr(why.suggestion, rows[i].words) != NULL) != known)
                fail_msg("row %u: %s", i, why.suggestion);
            assert_int_equal(strstr(why.suggestion, "up to") != NULL, known);
        }
    }
    /* Never more than without any waiting, and of a thread of its own it is not known. */
    static const struct {
        uint64_t active_ns; /* of which 1000 stalled */
        bool background;
        const char *words;
    } limits[] = {{0, false, "up to 1.60x"},    {1000, false, "up to 1.60x"},
                  {1001, false, "up to 1.60x"}, {2600, false, "up to 1.60x"},
                  {3000, false, "up to 1.50x"}, {51000, false, "up to 1.02x"},
                  {52000, false, NULL},         {3000, true, NULL}};
    for (uint32_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct why why = full_why_of(CAUSE_COLLATE);
        why.stall_ns = 1000;
        why.active_ns = limits[i].active_ns;
        loader.background = limits[i].background;
        why.setting.at_most = (struct range){1.5, 1.4, 1.6};
        why_tell(&loader, &why);
        const char *told = strstr(why.suggestion, "up to");
        CHECK((told != NULL) == (limits[i].words != NULL) &&
                  (told == NULL || strncmp(told, limits[i].words, 11) == 0),
              "limit %u: %s", i, why.suggestion);
    }
    loader.background = false;
    /* What gains nothing is not offered. */
    for (uint32_t i = 0; i < 2; i++) {
        struct why why = full_why_of(WHY_HEAD_OF_LINE);
        why.setting.at_most = (struct range){1.0, 1.0, i == 0 ? 1.019 : 1.02};
        why_tell(&loader, &why);
        assert_int_equal(strstr(why.suggestion, "in_order=False") != NULL, i);
        const struct range worth = why.setting.at_most;
        why = full_why_of(CAUSE_TRANSFER);
        why.work.sent_bytes = why.work.sent_tensors = why.work.sent;
        why.setting.at_most = worth;
        why_tell(&loader, &why);
        assert_int_equal(strstr(why.suggestion, "larger batches") != NULL, i);
        assert_int_equal(strstr(why.suggestion, "for nothing: up to 1.02x") != NULL, i);
    }
}

/* From 1 MiB on it is files that they read. */
static void files_of_a_mebibyte(void **state)
{
    (void)state;
    for (uint64_t less = 0; less < 2; less++) {
        struct why why = full_why_of(CAUSE_BLOCKED);
        why.work.asked_bytes = (1 << 20) - less;
        why_tell(&loader, &why);
        bool told = false;
        for (uint32_t k = 0; k < why.evidence_count; k++)
            told |= strstr(why.evidence[k], "asked for 1.0 MiB of files") != NULL;
        assert_int_equal(told, less == 0);
    }
}

/* Each figure that a sentence needs, unknown alone: the sentence is left out, the others stand. */
static void sentences_without_their_figures(void **state)
{
    (void)state;
    static const char *const all[] = {STATES, WORKERS, STORAGE, FAULTS, CPUS, IDLE, DEPTH};
    static struct why why;
    static const struct {
        void *figure;
        double value;
        bool is_real, is_32;
        uint32_t first_lost, last_lost;
    } rows[] = {
        {&why.shares[CAUSE_COMPUTE], NAN, true, false, 0, 0},
        {&why.work.workers, 0, false, true, 1, 1},
        {&why.work.batches, 0, false, false, 1, 1},
        {&why.work.busy_share, NAN, true, false, 1, 1},
        {&why.work.asked_bytes, NAN, false, false, 2, 2},
        {&why.work.storage_bytes, NAN, false, false, 2, 2},
        {&why.work.asked_bytes, (1 << 20) - 1, false, false, 2,
         2}, /* it is not what they wait for */
        {&why.work.major_faults, NAN, false, false, 3, 3},
        {&why.work.major_faults, 0, false, false, 3, 3},
        {&why.host.cpus_usable, NAN, true, false, 4, 5}, /* the idle ones are of those */
        {&why.work.running_cpus, NAN, true, false, 4, 5},
        {&why.host.idle_cpus, NAN, true, false, 5, 5},
        {&why.depth.waits, 0, false, false, 6, 6},
        {&why.depth.possible, 0, true, false, 6, 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *lines[6];
        uint32_t count = 0;
        why = full_why_of(CAUSE_BLOCKED);
        if (rows[i].is_real)
            *(double *)rows[i].figure = rows[i].value;
        else if (rows[i].is_32)
            *(uint32_t *)rows[i].figure = (uint32_t)rows[i].value;
        else
            *(uint64_t *)rows[i].figure =
                isnan(rows[i].value) ? DATASTALL_UNKNOWN : (uint64_t)rows[i].value;
        for (uint32_t k = 0; k < 7; k++) {
            if (k < rows[i].first_lost || k > rows[i].last_lost)
                lines[count++] = all[k];
        }
        why_tell(&loader, &why);
        assert_evidence(&why, count, lines);
    }
}

static void assert_line(const struct why *why, uint32_t i, const char *text)
{
    assert_true(i < why->evidence_count);
    assert_string_equal(why->evidence[i], text);
}

static void states_from_a_twentieth_on(void **state)
{
    (void)state;
    struct why why = full_why_of(CAUSE_PIN);
    why.shares[CAUSE_COMPUTE] = 0.0499;
    why.shares[CAUSE_CPU_CONTENTION] = 0.05;
    why.shares[CAUSE_PIN] = 0.5001;
    why.shares[CAUSE_UNKNOWN] = 0.4;
    why_tell(&loader, &why);
    assert_line(&why, 0, "of the stall: 5 % cpu_contention, 50 % pin, 40 % unknown");
    why = full_why_of(CAUSE_PIN);
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        why.shares[i] = 0.04;
    why_tell(&loader, &why);
    assert_line(&why, 0, WORKERS);
    why = full_why_of(CAUSE_PIN);
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        why.shares[i] = 0.11;
    why_tell(&loader, &why); /* as many as fit the line */
    assert_line(&why, 0,
                "of the stall: 11 % compute, 11 % compute_in_threads, 11 % cpu_contention, 11 % "
                "blocked, 11 % collate, 11 % transfer, 11 % loop_cpu_wait");
}

static void lengths_with_three_figures(void **state)
{
    (void)state;
    static const struct {
        double ns;
        const char *text;
    } rows[] = {
        {0, "0.0000 ms"},     {99940, "0.0999 ms"}, {100001, "0.10 ms"},
        {9.994e6, "9.99 ms"}, {1e7, "10 ms"},       {1234e6, "1234 ms"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char wanted[128];
        struct why why = full_why_of(WHY_WINDOW);
        why.work.item_p50_ns = rows[i].ns;
        why_tell(&loader, &why);
        snprintf(wanted, sizeof wanted,
                 "half of the items take at most %s, 99 %% at most 20 ms; the slowest took 300 ms",
                 rows[i].text);
        assert_line(&why, 3, wanted);
    }
}

static void items_need_their_quantiles_and_the_slowest(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct why why = full_why_of(CAUSE_COMPUTE);
        *(i == 0 ? &why.work.item_p50_ns : &why.work.item_max_ns) = NAN;
        why_tell(&loader, &why);
        assert_int_equal(why.evidence_count, 5);
        assert_line(&why, 4, DEPTH);
    }
}

static void one_worker_or_none(void **state)
{
    (void)state;
    struct why why = full_why_of(CAUSE_COMPUTE);
    why.work.workers = 1;
    why.work.items_ns = 0; /* of which there are no shares then */
    why.host.cpus_usable = 1;
    why.host.limit = NULL;
    why.host.loop_cpus = NAN;
    why_tell(&loader, &why);
    assert_line(&why, 1,
                "1 worker busy 75 % of the time; items 0.0000 ms a batch (), collate 0.50 ms");
    assert_line(&why, 2,
                "1 CPU may be used (unknown); the workers used 2.50, the training loop 0.00");

    why = full_why_of(CAUSE_COMPUTE);
    loader.entry.num_workers = 0;
    why.host.throttled_s = 3; /* told with workers only */
    why_tell(&loader, &why);
    assert_line(
        &why, 1,
        "training stops while it loads each batch; items 10 ms a batch (60 % running, 10 % waiting "
        "for a CPU, 30 % blocked), collate 0.50 ms");
    assert_line(&why, 2, "8 CPUs may be used (the machine); loading used 2.50 CPUs");
    assert_line(&why, 3, ITEMS);

    why = full_why_of(CAUSE_COMPUTE);
    loader.entry.num_workers = 0;
    why.host.cpus_usable = 1;
    why.host.limit = NULL;
    why_tell(&loader, &why);
    assert_line(&why, 2, "1 CPU may be used (unknown); loading used 2.50 CPUs");
}

static void a_quota_that_held_it_back(void **state)
{
    (void)state;
    static const struct {
        double throttled_s;
        bool told;
    } rows[] = {{NAN, false}, {0, false}, {0.06, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = full_why_of(CAUSE_COMPUTE);
        why.host.throttled_s = rows[i].throttled_s;
        why_tell(&loader, &why);
        assert_line(&why, 2, CPUS);
        assert_line(&why, 3,
                    rows[i].told ? "the CPU quota held the container back for 0.1 s" : IDLE);
        assert_int_equal(why.evidence_count, rows[i].told ? 7 : 6);
    }
    /* There is room for eight. */
    struct why why = full_why_of(CAUSE_COMPUTE);
    why.evidence_count = 4;
    why_tell(&loader, &why);
    assert_int_equal(why.evidence_count, WHY_EVIDENCE);
    assert_line(&why, 7, IDLE);
}

static void one_batch_of_one(void **state)
{
    (void)state;
    struct why why = full_why_of(CAUSE_PIN);
    why.depth = (struct why_depth){1, 1, 0, 0, 1, 0};
    why.work.batches = 1;
    why_tell(&loader, &why);
    assert_line(&why, 1,
                "3 workers busy 75 % of the time; items 100 ms a batch (60 % running, 10 % waiting "
                "for a CPU, 30 % blocked), collate 5.00 ms");
    assert_line(&why, 2,
                "ready batches: 1.0 of 1 on average when asked, none for 0 % of the waits");
}

static void starts_of_workers(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct why why = full_why_of(CAUSE_STARTUP);
        *(i == 0 ? &why.work.generations : &why.work.startup_ns) = 0;
        why_tell(&loader, &why);
        assert_int_equal(why.evidence_count, 4);
        assert_line(&why, 3, DEPTH);
    }
}

static void what_became_of_workers(void **state)
{
    (void)state;
    static const struct {
        struct why_failure failure;
        const char *line, *suggestion;
    } rows[] = {
        {{WHY_WORKER_KILLED, 1, 71, 9, 100, 0},
         "worker 1 (pid 71) was killed by signal 9 (Killed) at item 100",
         "the kernel does this when memory runs out (dmesg says so): what one worker holds, times "
         "the number of workers, must fit"},
        {{WHY_WORKER_KILLED, 1, 71, 7, DATASTALL_UNKNOWN, 0},
         "worker 1 (pid 71) was killed by signal 7 (Bus error)",
         "a full /dev/shm does this: it holds 64 MiB, and batches stay there until they are taken; "
         "make it larger (--shm-size), or keep fewer of them ready"},
        {{WHY_WORKER_KILLED, 1, 71, 11, 100, 0},
         "worker 1 (pid 71) was killed by signal 11 (Segmentation fault) at item 100",
         "load that item by itself: dataset[100]"},
        {{WHY_WORKER_EXITED, 0, 71, 3, 100, 0},
         "worker 0 (pid 71) ended with exit status 3 at item 100",
         "load that item by itself: dataset[100]"},
        {{WHY_WORKER_HANGS, 2, 71, 0, 100, 3 * UINT64_C(1000000000)},
         "worker 2 (pid 71) has been stuck at item 100 for 3.0 s",
         "see where it hangs: py-spy dump --pid 71 while it does, or load that item by itself: "
         "dataset[100]"},
        {{WHY_WORKER_HANGS, 2, 71, 0, DATASTALL_UNKNOWN, 3 * UINT64_C(1000000000)},
         "worker 2 (pid 71) has been stuck for 3.0 s",
         "see where it hangs: py-spy dump --pid 71 while it does"},
        {{WHY_ITEM_RAISED, 2, 71, 0, 100, 0},
         "worker 2 (pid 71) raised an error at item 100",
         "load that item by itself: dataset[100]"},
        {{WHY_ITEM_RAISED, RF_WORKER_MAIN, 71, 0, DATASTALL_UNKNOWN, 0},
         "the training process raised an error",
         ""},
        {{WHY_ITEM_RAISED, 2, 71, 0, DATASTALL_UNKNOWN, 0, 333},
         "worker 2 (pid 71) raised an error after 333 items",
         ""},
        {{WHY_BATCH_LOST, 2, 71, 0, DATASTALL_UNKNOWN, 0, 0},
         "worker 2 (pid 71) made a batch that was never sent: pickling it raised an error",
         "return what can be pickled: tensors, arrays, plain objects; lambdas, open files, locks "
         "and generators cannot be sent (the worker's traceback names it)"},
        {{WHY_TAKING_FAILED, RF_WORKER_MAIN, DATASTALL_UNKNOWN, 0, DATASTALL_UNKNOWN, 0, 0},
         "taking a batch from the workers raised an error in the training process; the workers are "
         "well",
         "the program's traceback says which; where it is 'Too many open files' or 'received 0 "
         "items of ancdata': every tensor of a batch that is kept holds a file open; keep copies "
         "(clone()), raise the limit (ulimit -n), or "
         "torch.multiprocessing.set_sharing_strategy('file_system')"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = full_why_of(WHY_FAILED);
        why.failure = rows[i].failure;
        why.host.shm_size_bytes = 64 << 20;
        why.host.shm_used_bytes = 32 << 20;
        why_tell(&loader, &why);
        assert_line(&why, 0, rows[i].line);
        assert_line(&why, 1, "/dev/shm holds 64 MiB, of which at most 32 MiB were seen in use");
        assert_int_equal(why.evidence_count, 2);
        assert_string_equal(why.suggestion, rows[i].suggestion);
    }
}

static void shares_of_workers(void **state)
{
    (void)state;
    struct why why = full_why_of(WHY_UNEVEN_SHARDS);
    why.work.fed = 3;
    why.work.items = 200;
    why.work.most_items = 180;
    why_tell(&loader, &why);
    assert_line(&why, 2, "one of 3 workers made 90 % of the items");
    assert_string_equal(why.suggestion, "more shards than workers, of like size; or as few workers "
                                        "as have data");
    why = full_why_of(WHY_UNEVEN_SHARDS);
    loader.entry.flags |= DATASTALL_LOADER_STREAM;
    why.work.fed = 3;
    why.work.items = 200;
    why.work.most_items = 80;
    why.work.least_items = 60;
    why.work.items_ns = 1000;
    why.work.most_items_ns = 900;
    why_tell(&loader, &why);
    assert_line(&why, 2, "one of 3 workers took 90 % of the time of all items for 40 % of them");
    assert_string_equal(why.suggestion,
                        "split the stream so that each worker gets of the dear items: every n-th "
                        "item (itertools.islice), or more shards than workers, mixed");
    why = full_why_of(WHY_DUPLICATE_STREAM);
    why.work.same_data = true;
    why_tell(&loader, &why);
    assert_line(&why, 2, "the first batches of all 3 workers are the same");
}

/* ---- what to try ---- */

#define CHEAPER                                                                                 \
    "make __getitem__ cheaper: decode to the size that is used, prepare once and store, whole " \
    "batches at once (__getitems__)"
#define CHEAPER_STREAM                                                                           \
    "make the stream's items cheaper: decode to the size that is used, prepare once and store; " \
    "and where a worker skips what others give, skip it before the work, not after"
#define LESS_WAITING \
    "wait less for what the items wait for: fewer round trips, several requests at once"

static void suggestions_by_cause(void **state)
{
    (void)state;
    static const struct {
        uint32_t cause;
        const char *suggestion;
    } rows[] = {
        {CAUSE_COMPUTE, CHEAPER},
        {CAUSE_COMPUTE_IN_THREADS,
         "make that work cheaper, or give the library fewer threads in each worker "
         "(torch.set_num_threads, cv2.setNumThreads, OMP_NUM_THREADS)"},
        {CAUSE_CPU_CONTENTION, "more CPUs, or fewer threads in the training loop where it has "
                               "several (torch.set_num_threads): it and the "
                               "workers want more than there are"},
        {CAUSE_BLOCKED, LESS_WAITING},
        {WHY_STORAGE,
         "move the data closer: to a local disk or into memory, larger reads in the order of the "
         "file, fewer files"},
        {CAUSE_COLLATE, "make collate_fn cheaper: whole batches at once (__getitems__), fewer and "
                        "larger tensors, pad once, convert in __getitem__"},
        {CAUSE_TRANSFER, "send less between processes: smaller types, no copies of large objects; "
                         "tensors made by torch's default collation travel in shared memory"},
        {CAUSE_LOOP_CPU_WAIT,
         "leave the loop's own thread a CPU: fewer workers or threads, or fewer other "
         "programs on the CPUs"},
        {CAUSE_INTERPRETER,
         "move the work of the other Python threads into a process of its own: Python runs one "
         "thread of a process at a time, and the loop gets its turn only every 5 ms"},
        {CAUSE_OVERHEAD,
         "larger batches: what the loader itself does for each costs more than what is in it; of "
         "rows in memory a slice of the tensor is a batch"},
        {CAUSE_PIN, "pinning takes the time: send smaller types (uint8, made float on the GPU), or "
                    "less of each sample"},
        {CAUSE_SAMPLER,
         "the sampler runs in the loop itself: draw its indices ahead, or in one go"},
        {CAUSE_STARTUP, "persistent_workers=True: the workers are started again for every epoch"},
        {CAUSE_UNKNOWN, ""},
        {WHY_EPOCH_START,
         "persistent_workers=True: what the workers hold is rebuilt for every epoch; or longer "
         "epochs, since nothing is fetched ahead for the next one"},
        {WHY_UNEVEN_SHARDS,
         "more shards than workers, of like size; or as few workers as have data"},
        {WHY_DUPLICATE_STREAM,
         "split the stream between the workers (torch.utils.data.get_worker_info() in __iter__): "
         "each goes through all of it, and every item comes 3 times"},
        {WHY_HEAD_OF_LINE,
         "single slow items hold back batches that are ready: make those faster or drop them "
         "(slowest items: --json), or in_order=False where the order does not matter"},
        {WHY_WINDOW, "prefetch_factor=8 instead of 2: a replay of this run with it loses far less"},
        {WHY_NONE, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(rows[i].cause);
        loader.totals.counters[RF_COUNT_ITERATORS] = 3;
        loader.totals.counters[RF_COUNT_BATCHES] = 30;
        why_tell(&loader, &why);
        if (strcmp(why.suggestion, rows[i].suggestion) != 0)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
}

/* What a stream begins with comes again in workers that are kept. */
static void a_stream_begins_anew(void **state)
{
    (void)state;
    static const char *const says[] = {"persistent_workers=True: what the workers hold",
                                       "longer epochs: one iterator over several",
                                       "the stream begins anew in every epoch: give its first"};
    static const struct {
        uint64_t flags;
        double starting_s; /* of ten at the begin of epochs */
        uint32_t said;
    } rows[] = {
        {0, 0, 0},
        {DATASTALL_LOADER_PERSISTENT_WORKERS, 0, 1},
        {DATASTALL_LOADER_STREAM, 0, 2},
        {DATASTALL_LOADER_STREAM, 2.4, 2},
        {DATASTALL_LOADER_STREAM, 2.6, 0},
        {DATASTALL_LOADER_STREAM | DATASTALL_LOADER_PERSISTENT_WORKERS, 2.6, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(WHY_EPOCH_START);
        why.first_ns = UINT64_C(10000000000);
        why.states_ns[CAUSE_STARTUP] = (uint64_t)(rows[i].starting_s * 1e9);
        loader.entry.flags = rows[i].flags;
        why_tell(&loader, &why);
        if (strncmp(why.suggestion, says[rows[i].said], strlen(says[rows[i].said])) != 0)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
}

#define NONE_OF "num_workers=0 "
#define IN_LOOP ": making these batches in the loop itself takes about "
#define NONE "num_workers=0" IN_LOOP

static void start_up_by_what_starts(void **state)
{
    (void)state;
    static const char fewer[] = "make fewer iterators: each one starts from scratch";
    static const char longer[] =
        "longer epochs, or do less when workers and data set start, and at their end";
    static const char persistent[] =
        "persistent_workers=True: the workers are started again for every epoch";
    static const char keep[] = "keep the iterator: it = iter(loader) once, then next(it) for each "
                               "batch; a new one starts everything again";
    static const char broken_off[] =
        "keep the iterator when the loop breaks off and continue with it (a new one at its end), "
        "or persistent_workers=True: dropping an iterator ends its workers";
    static const char once[] =
        "it happens once: do less when the workers, the data set and the first batch start";
    static const struct {
        uint64_t workers, flags, iterators, batches, objects, dropped;
        double in_loop_s; /* of ten that are waited, nine of them for the start */
        const char *suggestion;
    } rows[] = {
        {0, 0, 3, 30, 1, 0, NAN, fewer},
        {0, DATASTALL_LOADER_PERSISTENT_WORKERS, 3, 30, 1, 0, NAN, fewer},
        {DATASTALL_UNKNOWN, 0, 3, 30, 1, 0, NAN, fewer},
        {1, 0, 3, 30, 1, 0, NAN, persistent},
        {3, DATASTALL_LOADER_PIN_MEMORY, 3, 30, 1, 0, NAN, persistent},
        {3, DATASTALL_LOADER_PERSISTENT_WORKERS, 3, 30, 1, 0, NAN, longer},
        {3, DATASTALL_LOADER_PERSISTENT_WORKERS | DATASTALL_LOADER_PIN_MEMORY, 3, 30, 1, 0, NAN,
         longer},
        {3, 0, 30, 30, 1, 15, NAN, keep},
        {3, 0, 30, 30, 1, 14, NAN, persistent},
        {0, 0, 30, 30, 1, 30, NAN, keep},
        {3, 0, 30, 46, 1, 30, NAN, broken_off},
        {3, DATASTALL_LOADER_PERSISTENT_WORKERS, 30, 46, 1, 30, NAN, longer},
        {3, 0, 3, 30, 3, 0, NAN,
         "make the loader once and keep it, with persistent_workers=True: 3 were made for 3 "
         "epochs, "
         "and the workers start again with each"},
        {3, 0, 30, 300, 15, 0, NAN, persistent},
        {3, 0, 1, 30, 1, 0, NAN, once},
        {3, 0, 1, 30, 1, 0, 2,
         "it happens once: do less when the workers, the data set and the first batch start; or "
         "num_workers=0, which takes about 2.0 s"},
        {3, DATASTALL_LOADER_SPAWNED, 1, 30, 1, 0, NAN,
         "it happens once: a data set that is cheaper to send to each worker (arrays or paths, not "
         "Python objects), fewer imports, or multiprocessing_context='fork' where nothing forbids "
         "it"},
        /* none at all against what is left once they persist */
        {3, 0, 3, 30, 1, 0, 0.69, NONE "690 ms of the 10.0 s that it waits now"},
        {3, 0, 3, 30, 1, 0, 0.71, persistent},
        {3, DATASTALL_LOADER_PERSISTENT_WORKERS, 3, 30, 1, 0, 6.9,
         NONE_OF "(without the arguments that need workers)" IN_LOOP
                 "6.9 s of the 10.0 s that it waits now"},
        {3, DATASTALL_LOADER_PERSISTENT_WORKERS | DATASTALL_LOADER_SPAWNED, 3, 30, 1, 0, 6.9,
         NONE_OF "(without multiprocessing_context and what else needs workers)" IN_LOOP
                 "6.9 s of the 10.0 s that it waits now"},
        {3, DATASTALL_LOADER_SPAWNED, 3, 30, 1, 0, 0.69,
         NONE_OF "(without multiprocessing_context and what else needs workers)" IN_LOOP
                 "690 ms of the 10.0 s that it waits now"},
        {3, DATASTALL_LOADER_PERSISTENT_WORKERS, 3, 30, 1, 0, 7.1, longer},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(CAUSE_STARTUP);
        loader.entry.num_workers = rows[i].workers;
        loader.entry.flags = rows[i].flags;
        loader.entry.objects = rows[i].objects;
        loader.entry.dropped = rows[i].dropped;
        loader.totals.counters[RF_COUNT_ITERATORS] = rows[i].iterators;
        loader.totals.counters[RF_COUNT_BATCHES] = rows[i].batches;
        why.stall_ns = UINT64_C(10000000000);
        why.states_ns[CAUSE_STARTUP] = UINT64_C(9000000000);
        why.setting.in_loop_ns = rows[i].in_loop_s * 1e9;
        why_tell(&loader, &why);
        if (strcmp(why.suggestion, rows[i].suggestion) != 0)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
}

static void on_the_way_to_the_loop(void **state)
{
    (void)state;
    static const struct {
        uint64_t tensors, bytes; /* of ten batches */
        const char *begin;
    } rows[] = {
        {639, 10 << 18, "send less between processes: 0.25 MiB are pickled for each batch"},
        {640, 10 << 18, "fewer tensors: 64 a batch, and each is sent by a descriptor of its own"},
        {10, (10 << 18) - 1, "larger batches: what handing one over costs"},
        {640, 100, "fewer tensors: 64 a batch"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = full_why_of(CAUSE_TRANSFER);
        why.work.sent_tensors = rows[i].tensors;
        why.work.sent_bytes = rows[i].bytes;
        why_tell(&loader, &why);
        if (strncmp(why.suggestion, rows[i].begin, strlen(rows[i].begin)) != 0)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
}

static void one_item_is_one_batch(void **state)
{
    (void)state;
    struct why why = why_of(CAUSE_OVERHEAD);
    loader.entry.flags = DATASTALL_LOADER_UNBATCHED;
    why_tell(&loader, &why);
    assert_string_equal(why.suggestion,
                        "larger batches: batch_size is None, and what the loader itself "
                        "does for each item costs more than the item");
}

/* Where loading in the loop takes much less, and the data would be the same. */
static void none_at_all(void **state)
{
    (void)state;
    static const struct {
        uint32_t cause;
        double in_loop_s; /* of ten that are waited */
        uint64_t workers, flags, asked_which;
        bool none;
    } rows[] = {
        {CAUSE_TRANSFER, 6.9, 2, 0, 0, true},
        {CAUSE_TRANSFER, 7.1, 2, 0, 0, false},
        {CAUSE_TRANSFER, NAN, 2, 0, 0, false},
        {CAUSE_TRANSFER, 6.9, 0, 0, 0, false},
        {CAUSE_TRANSFER, 6.9, 2, DATASTALL_LOADER_STREAM, 0,
         false}, /* each goes through all of it? */
        {CAUSE_TRANSFER, 6.9, 2, DATASTALL_LOADER_STREAM, 1, true},
        {CAUSE_CPU_CONTENTION, 6.9, 2, 0, 0, false}, /* nor there */
        {WHY_EPOCH_START, 6.9, 2, DATASTALL_LOADER_PERSISTENT_WORKERS, 0, true},
        {WHY_EPOCH_START, 6.9, 2, 0, 0, false},     /* they may only have to be kept */
        {CAUSE_LOOP_CPU_WAIT, 6.9, 2, 0, 0, false}, /* it would not have a CPU then either */
        {CAUSE_COMPUTE, 6.9, 2, 0, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(rows[i].cause);
        why.stall_ns = UINT64_C(10000000000);
        why.setting.in_loop_ns = rows[i].in_loop_s * 1e9;
        why.work.asked_which = rows[i].asked_which;
        loader.entry.num_workers = rows[i].workers;
        loader.entry.flags = rows[i].flags;
        why_tell(&loader, &why);
        const bool none = strncmp(why.suggestion, NONE_OF, strlen(NONE_OF) - 1) == 0 &&
                          strstr(why.suggestion, IN_LOOP) != NULL;
        if (none != rows[i].none)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
}

static void a_larger_window(void **state)
{
    (void)state;
    static const struct {
        uint64_t prefetch;
        const char *begin;
    } rows[] = {
        {1, "prefetch_factor=4 instead of 1:"},
        {64, "prefetch_factor=256 instead of 64:"},
        {1000003, "prefetch_factor=12 instead of 3:"}, /* damage: short all the same */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(WHY_WINDOW);
        loader.entry.prefetch_factor = rows[i].prefetch;
        why_tell(&loader, &why);
        assert_memory_equal(why.suggestion, rows[i].begin, strlen(rows[i].begin));
    }
}

/* Four workers, four batches of 4 MiB for each: 64 MiB hold them, and one byte less does not. */
static void a_window_that_shared_memory_does_not_hold(void **state)
{
    (void)state;
    static const struct {
        double bytes;
        bool fits;
    } rows[] = {{64 << 20, true}, {(64 << 20) - 1, false}, {NAN, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(WHY_WINDOW);
        loader.entry.num_workers = 4;
        loader.entry.prefetch_factor = 1;
        why.work.tensor_bytes = 4 << 20;
        why.host.shm_size_bytes = rows[i].bytes;
        why_tell(&loader, &why);
        const char *wanted =
            rows[i].fits ? "prefetch_factor=4 instead of 1:" : "a larger /dev/shm (--shm-size)";
        CHECK(strncmp(why.suggestion, wanted, strlen(wanted)) == 0, "row %zu: %s", i,
              why.suggestion);
    }
}

/* What the means say of more workers, with room for the batches of three, and of two that share a lock. */
static void means_that_are_not_enough(void **state)
{
    (void)state;
    static const struct {
        double shm_mib;
        uint64_t locked;
        uint32_t workers;
    } rows[] = {{NAN, 0, 8}, {24, 0, 3}, {NAN, 20, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = {.stall_ns = UINT64_C(9000000000), .active_ns = UINT64_C(10000000000)};
        struct why_setting setting;
        loader = (struct run_loader){.entry = {.num_workers = 2, .prefetch_factor = 2}};
        loader.totals.counters[RF_COUNT_BATCHES] = 100;
        loader.totals.counters[RF_COUNT_ITERATORS] = 1;
        why.states_ns[CAUSE_BLOCKED] = why.stall_ns;
        why.host = (struct why_host){.cpus_usable = 16, .loop_cpus = 0.1, .idle_cpus = 15};
        why.host.shm_size_bytes = rows[i].shm_mib * (1 << 20);
        why.work = (struct why_work){.workers = 2,
                                     .batches = 100,
                                     .items_ns = UINT64_C(20000000000),
                                     .running_cpus = 0.1,
                                     .tensor_bytes = 4 << 20,
                                     .looks = 40,
                                     .locked = rows[i].locked};
        why_reckon(&loader, &why, &setting);
        CHECK(setting.workers == rows[i].workers, "row %zu: %u workers", i, setting.workers);
    }
}

static void workers_that_share_too_few_cpus(void **state)
{
    (void)state;
    static const char fewer[] = "fewer workers or more CPUs: %u workers share %.3g";
    static const struct {
        double usable;
        uint32_t workers;
        bool fewer;
    } rows[] = {{2, 3, true},    {2, 2, false},  {1, 2, true}, {0.99, 3, false},
                {NAN, 3, false}, {2.5, 3, true}, {3, 3, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char wanted[256];
        struct why why = why_of(CAUSE_CPU_CONTENTION);
        why.host.cpus_usable = rows[i].usable;
        loader.entry.num_workers = rows[i].workers;
        why_tell(&loader, &why);
        snprintf(wanted, sizeof wanted, fewer, rows[i].workers, rows[i].usable);
        if (!rows[i].fewer) {
            assert_memory_equal(why.suggestion, "more CPUs, or fewer", 19);
            continue;
        }
        assert_string_equal(why.suggestion, wanted);
        /* Who is limited has to know by what. */
        why = why_of(CAUSE_CPU_CONTENTION);
        why.host.cpus_usable = rows[i].usable;
        why.host.limit = "the CPU quota of its container";
        why.host.is_limited = true;
        loader.entry.num_workers = rows[i].workers;
        why_tell(&loader, &why);
        strcat(wanted, " (the CPU quota of its container)");
        assert_string_equal(why.suggestion, wanted);
    }
}

/* Beside more of what is scarce: less to do. */
static void what_needs_the_cpus(void **state)
{
    (void)state;
#define OTHERS "more CPUs, or fewer other programs on them: others use the CPUs too"
#define MORE ", or more: loop and workers share the CPUs)"
#define LOOP                                                                 \
    "more CPUs, or fewer threads in the training loop where it has several " \
    "(torch.set_num_threads): it and the "                                   \
    "workers want more than there are"
    static const struct {
        uint64_t others_ns, cpu_ns, threads_ns, tensors, bytes; /* the last two of ten batches */
        const char *suggestion;
        double less; /* times as fast with less to do; the upper end is 0.5 more */
        bool of_collation;
    } rows[] = {
        {1, 81, 19, 0, 0, OTHERS},
        {1, 80, 20, 0, 0, OTHERS}, /* of the CPUs fewer threads get less */
        {0, 81, 19, 0, 0, LOOP},
        {0, 80, 20, 0, 0,
         LOOP "; one thread in each worker (torch.set_num_threads(1), cv2.setNumThreads(0), "
              "OMP_NUM_THREADS=1): those that the items start count too"},
        {1, 80, 20, 640, 10 << 20,
         OTHERS "; and less to do: 64 tensors are sent for each batch, stack them"},
        {0, 0, 0, 639, 10 << 20,
         LOOP "; and less to do: 1 MiB are pickled for each batch, send tensors", 2, true},
        {0, 81, 19, 0, 0, LOOP, 1.09, true},
        {0, 81, 19, 0, 0,
         LOOP "; and less to do: a cheaper collate_fn (without any collation: up to 1.60x" MORE,
         1.1, true},
        {1, 80, 20, 0, 0,
         OTHERS "; and less to do: cheaper items (in half the CPU time: up to 2.50x" MORE, 2,
         false},
    };
#undef MORE
#undef OTHERS
#undef LOOP
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(CAUSE_CPU_CONTENTION);
        why.others.lack_ns = rows[i].others_ns;
        why.work.cpu_ns = rows[i].cpu_ns;
        why.work.threads_ns = rows[i].threads_ns;
        why.states_ns[CAUSE_CPU_CONTENTION] = why.stall_ns;
        why.setting.less = (struct range){rows[i].less, 1, rows[i].less + 0.5};
        why.setting.less_is_collation = rows[i].of_collation;
        why.work.sent = 10;
        why.work.sent_tensors = rows[i].tensors;
        why.work.sent_bytes = rows[i].bytes;
        why_tell(&loader, &why);
        if (strcmp(why.suggestion, rows[i].suggestion) != 0)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
}

/* A loop without a CPU gets one where its workers have less to do; beside others that explain it all, it is
 * not for the workers to do less. */
static void what_a_loop_without_a_cpu_needs(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        const bool explained = i % 2 == 1, worth = i >= 2;
        struct why why = why_of(CAUSE_LOOP_CPU_WAIT);
        why.others.explain = explained;
        why.setting.less = (struct range){worth ? 1.5 : 1.0, 1, 1.75};
        why_tell(&loader, &why);
        CHECK((strstr(why.suggestion, "; and less to do: cheaper items (in half the CPU time: up "
                                      "to 1.75x") != NULL) == (worth && !explained),
              "%u: %s", i, why.suggestion);
    }
}

/* An order that is drawn at the begin of an epoch, or batch by batch. */
static void indices_drawn_at_once_or_one_by_one(void **state)
{
    (void)state;
    static const char *const says[] = {
        "the sampler runs in the loop itself: draw its indices ahead, or in one go",
        "the indices of every batch are drawn in the loop",
        "the order of a whole epoch is drawn in the loop when it begins: draw only",
        "the order of a whole epoch is drawn in the loop when it begins: keep the iterator",
        "what the sampler does when an epoch begins takes longer than drawing an order: keep what "
        "is the same in every epoch (len(dataset), which it asks for"};
    static const struct {
        uint64_t workers, iterators, batches, dropped, all_ns, first_ns;
        uint32_t said;
        uint64_t samples; /* 0: not told */
    } rows[] = {
        {0, 1, 100, 0, 1000, 10, 1}, /* each the same: one of a hundred draws */
        {0, 1, 100, 0, 1000, 900, 2},
        {0, 3, 90, 3, 1000, 900, 3},
        {0, 1, 100, 1, 1000, 900, 2}, /* the one iterator was not used up */
        {3, 1, 100, 0, 1000, 70, 1},  /* seven draws, six of them ahead */
        {3, 1, 14, 0, 1000, 500, 1},
        {3, 1, 14, 0, 1000, 740, 1},
        {3, 1, 14, 0, 1000, 760, 2},
        {3, 10, 80, 0, 1000, 875, 1},   /* eight batches each, of which seven are drawn first */
        {3, 10, 70, 0, 1000, 1000, 0},  /* all of them are: who can tell */
        {3, 10, 70, 10, 1000, 1000, 3}, /* more were drawn, and took nothing */
        {3, 1, 100, 0, 0, 0, 0},
        {0, 6, 120, 0, 60000000, 60000000, 4, 3000}, /* 20 us an index */
        {0, 6, 120, 0, 60000000, 60000000, 2, 3001},
        {0, 6, 120, 0, 60000000, 60000000, 2, 0},
        {0, 6, 120, 6, 60000000, 60000000, 3, 1000}, /* more was drawn than was used */
        {0, 6, 120, 0, 60000000, 20000000, 1, 1000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(CAUSE_SAMPLER);
        uint64_t *c = loader.totals.counters;
        loader.entry.num_workers = rows[i].workers;
        loader.entry.dropped = rows[i].dropped;
        c[RF_COUNT_ITERATORS] = rows[i].iterators;
        c[RF_COUNT_BATCHES] = rows[i].batches;
        c[RF_COUNT_SAMPLER_NS] = rows[i].all_ns;
        c[RF_COUNT_SAMPLER_FIRST_NS] = rows[i].first_ns;
        c[RF_COUNT_SAMPLES] = rows[i].samples;
        c[RF_COUNT_SAMPLES_BATCHES] = rows[i].samples > 0 ? rows[i].batches : 0;
        why_tell(&loader, &why);
        if (strncmp(why.suggestion, says[rows[i].said], strlen(says[rows[i].said])) != 0)
            fail_msg("row %zu: %s", i, why.suggestion);
        assert_int_equal(why.evidence_count, rows[i].all_ns > 0);
    }
    struct why why = why_of(CAUSE_SAMPLER);
    loader.totals.counters[RF_COUNT_ITERATORS] = 2;
    loader.totals.counters[RF_COUNT_SAMPLER_NS] = UINT64_C(2000000000);
    loader.totals.counters[RF_COUNT_SAMPLER_FIRST_NS] = UINT64_C(300000000);
    why_tell(&loader, &why);
    assert_line(&why, 0, "the sampler took 2.0 s, 300 ms of it when 2 iterators began");
}

/* Processes that workers started are made cheaper, and no threads in them. */
static void processes_that_compute(void **state)
{
    (void)state;
    for (uint64_t children_ns = 9; children_ns <= 10; children_ns++) {
        struct why why = why_of(CAUSE_COMPUTE_IN_THREADS);
        why.host.idle_cpus = 1;
        why.host.children_cpus = (double)children_ns / 100;
        why.host.cpus_usable = 2;
        why.work.running_cpus = 0.5;
        why.work.blocked_ns = 20;
        why.work.children_ns = children_ns;
        why_tell(&loader, &why);
        assert_int_equal(strstr(why.suggestion, "what the processes do that were started") != NULL,
                         children_ns == 10);
        assert_int_equal(strstr(why.suggestion, "cv2.setNumThreads") != NULL, children_ns == 9);
        bool told = false;
        for (uint32_t i = 0; i < why.evidence_count; i++)
            told |= strstr(why.evidence[i], "workers started and keep used 0.") != NULL;
        assert_true(told);
    }
}

/* What the program started itself it can end itself. */
static void own_processes_on_the_cpus(void **state)
{
    (void)state;
    static const char own[] = "more CPUs, or less beside the loop and its workers: processes that "
                              "they started and keep use 0.50 CPUs";
    static const struct {
        uint32_t cause;
        double cpus;
        uint64_t others_ns;
        bool own;
    } rows[] = {{CAUSE_CPU_CONTENTION, 0.5, 0, true},  {CAUSE_CPU_CONTENTION, 0.49, 0, false},
                {CAUSE_CPU_CONTENTION, 0.5, 1, false}, {CAUSE_CPU_CONTENTION, NAN, 0, false},
                {CAUSE_LOOP_CPU_WAIT, 0.5, 0, true},   {CAUSE_LOOP_CPU_WAIT, 0.49, 0, false},
                {CAUSE_LOOP_CPU_WAIT, 0.5, 1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(rows[i].cause);
        why.host.children_cpus = rows[i].cpus;
        why.others.lack_ns = rows[i].others_ns;
        why_tell(&loader, &why);
        if ((strncmp(why.suggestion, own, strlen(own)) == 0) != rows[i].own)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
}

/* A stream that reads much in __iter__ does so in every epoch, wherever it is: neither workers that are kept
 * nor none at all save it. Two workers, six iterators, 12 s of start-up. */
static void a_stream_that_opens_in_every_epoch(void **state)
{
    (void)state;
    static const struct {
        uint64_t opened_s, flags;
        const char *begin;
    } rows[] = {
        {0, 0, "persistent_workers=True"},
        {11, 0, "persistent_workers=True"},
        {12, 0, "what the stream does in __iter__ takes 1000 ms in every epoch, in kept workers"},
        {12, DATASTALL_LOADER_PERSISTENT_WORKERS, "what the stream does in __iter__"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(CAUSE_STARTUP);
        loader.entry.num_workers = 2;
        loader.entry.dropped = loader.entry.objects = 0;
        loader.entry.flags = rows[i].flags | DATASTALL_LOADER_STREAM;
        loader.totals.counters[RF_COUNT_ITERATORS] = 6;
        why.states_ns[CAUSE_STARTUP] = UINT64_C(12000000000);
        why.stall_ns = UINT64_C(12000000000);
        why.work.opened_ns = rows[i].opened_s * UINT64_C(1000000000);
        why.setting.in_loop_ns = NAN;
        why_tell(&loader, &why);
        if (strncmp(why.suggestion, rows[i].begin, strlen(rows[i].begin)) != 0)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
}

/* worker_init_fn is not called without workers: what long starts do there somebody has to do. */
static void workers_that_need_their_start(void **state)
{
    (void)state;
    const uint64_t init = DATASTALL_LOADER_WORKER_INIT;
    static const char none[] = "num_workers=0";
    const struct {
        uint64_t flags, startup_ms, opened_ms; /* of two starts */
        bool is_none;
    } rows[] = {{0, 400, 0, true},
                {init, 299, 0, true}, /* as long as a fork may take on busy CPUs */
                {init, 300, 0, false},
                {init, 300, 10, true}, /* that was the stream's */
                {init | DATASTALL_LOADER_SPAWNED, 3000, 0, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(CAUSE_STARTUP);
        loader.entry.num_workers = 2;
        loader.entry.dropped = loader.entry.objects = 0;
        loader.entry.flags = rows[i].flags;
        loader.totals.counters[RF_COUNT_ITERATORS] = 6;
        why.states_ns[CAUSE_STARTUP] = why.stall_ns = UINT64_C(12000000000);
        why.work.asked_which = 1;
        why.work.generations = 2;
        why.work.startup_ns = rows[i].startup_ms * 1000000;
        why.work.opened_ns = rows[i].opened_ms * 1000000;
        why.setting.in_loop_ns = 1;
        why.states_ns[CAUSE_STARTUP] = UINT64_C(10000000000);
        why_tell(&loader, &why);
        if ((strncmp(why.suggestion, none, strlen(none)) == 0) != rows[i].is_none)
            fail_msg("row %zu: %s", i, why.suggestion);
        assert_int_equal(predict_usual(&loader, &why).workers_from, !rows[i].is_none);
    }
}

/* A dropped iterator's workers make batches that nobody takes, and are waited for. */
static void batches_made_in_vain(void **state)
{
    (void)state;
    static const char less[] =
        "iterate over no more than is taken (torch.utils.data.Subset), or keep the iterator and go "
        "on with it: the workers made 60 batches, of which the loop took 20 before it dropped the "
        "iterator";
    static const struct {
        uint64_t make_ms, flags;
        bool less;
    } rows[] = {{149, 0, false}, {151, 0, true}, {151, DATASTALL_LOADER_PERSISTENT_WORKERS, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(CAUSE_STARTUP);
        loader.entry.num_workers = 2;
        loader.entry.flags = rows[i].flags;
        loader.entry.dropped = 10;
        loader.totals.counters[RF_COUNT_ITERATORS] = 10;
        loader.totals.counters[RF_COUNT_BATCHES] = 20;
        why.work.batches = 60;
        why.setting.make_ns = (double)rows[i].make_ms * 1e6;
        why.states_ns[CAUSE_STARTUP] = UINT64_C(12000000000);
        why.stall_ns = UINT64_C(12000000000);
        why_tell(&loader, &why);
        if ((strcmp(why.suggestion, less) == 0) != rows[i].less)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
}

/* Workers that are kept go with their loader. */
static void a_loader_for_each_epoch(void **state)
{
    (void)state;
    static const char once[] =
        "make the loader and its data set once and keep them, with persistent_workers=True: %u "
        "were made for 4 epochs, and what the workers hold is rebuilt with each";
    for (uint32_t objects = 1; objects <= 4; objects++) {
        char wanted[256];
        struct why why = why_of(WHY_EPOCH_START);
        loader.entry.objects = objects;
        loader.totals.counters[RF_COUNT_ITERATORS] = 4;
        why_tell(&loader, &why);
        snprintf(wanted, sizeof wanted, once, objects);
        if ((strcmp(why.suggestion, wanted) == 0) != (objects > 2))
            fail_msg("%u: %s", objects, why.suggestion);
    }
}

static void more_workers(void **state)
{
    (void)state;
    static const char no_room[] = "no CPU is free for more workers; ";
    static const struct {
        uint64_t workers, flags;
        uint32_t wanted;
        double most, others;
        const char *begin; /* before what else may be done */
    } rows[] = {
        {2, 0, 0, NAN, NAN, ""}, /* unknown: nothing is promised */
        {2, 0, 0, 4, NAN, ""},   /* there is room, and nothing to gain */
        {2, 0, 0, 2, NAN, no_room},
        {0, 0, 0, 0, NAN, no_room},
        {2, 0, 0, 2, 0.49, no_room},
        {2, 0, 0, 2, 0.5, "no CPU is free for more workers (other programs use 0.5); "},
        {2, 0, 0, 4, 0.5, ""},
        {2, 0, 4, 4, NAN,
         "num_workers=4 instead of 2: about 40 % less time, estimated from averages of this run, "
         "and there are CPUs for them; else "},
        {2, DATASTALL_LOADER_STREAM, 4, 4, NAN,
         "num_workers=4 instead of 2 once the stream is split between them: about 40 % less time, "
         "estimated from averages of this run, and there are CPUs for them; else "},
        {2, DATASTALL_LOADER_STREAM | DATASTALL_LOADER_WORKER_INIT, 4, 4, NAN,
         "num_workers=4 instead of 2, if each reads its own part and does not go through those of "
         "others: about 40 % less time, estimated from averages of this run, and there are CPUs "
         "for them; else "},
        {DATASTALL_UNKNOWN, 0, 0, NAN, NAN, ""},
    };
    static const uint32_t causes[] = {CAUSE_COMPUTE, CAUSE_BLOCKED};
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        char wanted[512];
        struct why why = why_of(causes[i % 2]);
        loader.entry.num_workers = rows[i / 2].workers;
        loader.entry.flags = rows[i / 2].flags;
        why.setting.workers = rows[i / 2].wanted;
        why.setting.most_workers = rows[i / 2].most;
        why.setting.gain = 0.4;
        why.others.cpus = rows[i / 2].others;
        why_tell(&loader, &why);
        /* What several may wait for at once, they can; a lock is none of that, nor a server's limit. */
        const char *mark = i % 2 == 0 ? NULL : strstr(rows[i / 2].begin, "; else ");
        snprintf(wanted, sizeof wanted, "%.*s%s%s%s",
                 mark == NULL ? 1000 : (int)(mark - rows[i / 2].begin), rows[i / 2].begin,
                 mark == NULL ? ""
                              : ", unless what they wait for serves one at a time: a lock that all "
                                "of them need, a server's limit",
                 mark == NULL ? "" : mark,
                 i % 2 != 0          ? LESS_WAITING
                 : rows[i / 2].flags ? CHEAPER_STREAM
                                     : CHEAPER);
        if (strcmp(why.suggestion, wanted) != 0)
            fail_msg("row %zu: %s", i / 2, why.suggestion);
    }
}

/* Who has __getitems__ is not told to write it: then no item is timed by itself. */
static void batches_that_are_given_whole(void **state)
{
    (void)state;
    static const struct {
        uint64_t batches, items, timed;
        bool whole;
    } rows[] = {{10, 80, 0, true},  {10, 80, 1, false}, {10, 80, 80, false},
                {10, 10, 0, false}, {10, 11, 0, true},  {0, 0, 0, false}};
    for (uint32_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        const bool collate = i % 2 == 1;
        struct why why = why_of(collate ? CAUSE_COLLATE : CAUSE_COMPUTE);
        why.work.batches = rows[i / 2].batches;
        why.work.items = rows[i / 2].items;
        why.work.items_timed = rows[i / 2].timed;
        why_tell(&loader, &why);
        assert_string_equal(
            why.suggestion,
            collate
                ? rows[i / 2].whole
                      ? "make collate_fn cheaper: fewer and larger tensors, pad once, convert in "
                        "__getitems__"
                      : "make collate_fn cheaper: whole batches at once (__getitems__), fewer and "
                        "larger tensors, pad once, convert in __getitem__"
            : rows[i / 2].whole ? "make __getitems__ cheaper: decode to the size that is used, "
                                  "prepare once and store"
                                : CHEAPER);
    }
}

/* A replay counts on the CPUs that others left; who could have them back is told that. */
static void no_other_number_of_workers_by_a_replay(void **state)
{
    (void)state;
    static const double others[] = {NAN, 0, 0.49, 0.5, 2};
    for (uint32_t i = 0; i < 5; i++) {
        struct why why = why_of(CAUSE_COMPUTE);
        why.setting.is_replayed = true;
        why.others.cpus = others[i];
        why_tell(&loader, &why);
        assert_string_equal(
            why.suggestion,
            i < 3 ? CHEAPER " (by a replay of this run no other num_workers is sure to be faster)"
                  : CHEAPER
                " (by a replay of this run no other num_workers is sure to be faster on "
                "the CPUs that other programs leave)");
    }
}

/* What a replay says is a gain of the loader. A thread beside the main one may fetch faster than the program
 * takes: then it is what the program gains at most. */
static void a_gain_of_a_thread_of_its_own_is_a_bound(void **state)
{
    (void)state;
    static const struct {
        bool background;
        struct range faster;
        const char *begin;
    } rows[] = {
        {false,
         {2.5, 2.25, 3},
         "num_workers=4 instead of 2: 2.50x faster (2.25 to 3.00), by a replay of this run"},
        {true,
         {2.5, 2.25, 3},
         "num_workers=4 instead of 2: up to 3.00x faster as far as the program keeps up, by a "
         "replay"},
        {true,
         {9, 8, 12},
         "num_workers=4 instead of 2: up to 12x faster as far as the program keeps up, by a "
         "replay"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(CAUSE_BLOCKED);
        loader.background = rows[i].background;
        loader.entry.num_workers = 2;
        loader.entry.flags = 0;
        why.setting.is_replayed = true;
        why.setting.workers = 4;
        why.setting.faster = rows[i].faster;
        why_tell(&loader, &why);
        if (strncmp(why.suggestion, rows[i].begin, strlen(rows[i].begin)) != 0)
            fail_msg("row %zu: %s", i, why.suggestion);
    }
    loader.background = false;
}

/* Of workers that were looked at it is known whether they wait for a lock that processes share: that is
 * worth a line and other advice, and no doubt any more. What else serves one at a time nobody sees. */
static void workers_that_share_a_lock(void **state)
{
    (void)state;
    static const struct {
        uint64_t looks, locked;
        bool is_lock, is_doubted;
    } rows[] = {{0, 0, false, true},     {11, 11, false, true},  {12, 0, false, false},
                {100, 10, false, false}, {100, 11, true, false}, {12, 12, true, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(CAUSE_BLOCKED);
        loader.entry.num_workers = 2;
        loader.entry.flags = 0;
        why.work.looks = rows[i].looks;
        why.work.locked = rows[i].locked;
        why.setting.workers = 4;
        why.setting.gain = 0.4;
        why_tell(&loader, &why);
        bool told = false;
        for (uint32_t k = 0; k < why.evidence_count; k++)
            told |= strstr(why.evidence[k], "waited for a lock that processes share") != NULL;
        CHECK(told == rows[i].is_lock, "row %zu", i);
        CHECK((strstr(why.suggestion, "num_workers=4") == NULL) == rows[i].is_lock, "row %zu: %s",
              i, why.suggestion);
        CHECK((strstr(why.suggestion, "wait for one lock") != NULL) == rows[i].is_lock,
              "row %zu: %s", i, why.suggestion);
        CHECK((strstr(why.suggestion, "a lock that all of them need") != NULL) ==
                  rows[i].is_doubted,
              "row %zu: %s", i, why.suggestion);
        CHECK((strstr(why.suggestion, "unless what they wait for serves one at a time") == NULL) ==
                  rows[i].is_lock,
              "row %zu: %s", i, why.suggestion);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_begins_anew),
        cmocka_unit_test(evidence_by_cause),
        cmocka_unit_test(nothing_known_is_not_told),
        cmocka_unit_test(sentences_without_their_figures),
        cmocka_unit_test(states_from_a_twentieth_on),
        cmocka_unit_test(lengths_with_three_figures),
        cmocka_unit_test(items_need_their_quantiles_and_the_slowest),
        cmocka_unit_test(one_worker_or_none),
        cmocka_unit_test(a_quota_that_held_it_back),
        cmocka_unit_test(one_batch_of_one),
        cmocka_unit_test(starts_of_workers),
        cmocka_unit_test(what_became_of_workers),
        cmocka_unit_test(shares_of_workers),
        cmocka_unit_test(on_the_way_to_the_loop),
        cmocka_unit_test(one_item_is_one_batch),
        cmocka_unit_test(none_at_all),
        cmocka_unit_test(suggestions_by_cause),
        cmocka_unit_test(start_up_by_what_starts),
        cmocka_unit_test(a_larger_window),
        cmocka_unit_test(a_window_that_shared_memory_does_not_hold),
        cmocka_unit_test(means_that_are_not_enough),
        cmocka_unit_test(workers_that_share_too_few_cpus),
        cmocka_unit_test(what_needs_the_cpus),
        cmocka_unit_test(what_a_loop_without_a_cpu_needs),
        cmocka_unit_test(indices_drawn_at_once_or_one_by_one),
        cmocka_unit_test(batches_made_in_vain),
        cmocka_unit_test(processes_that_compute),
        cmocka_unit_test(own_processes_on_the_cpus),
        cmocka_unit_test(a_stream_that_opens_in_every_epoch),
        cmocka_unit_test(workers_that_need_their_start),
        cmocka_unit_test(a_loader_for_each_epoch),
        cmocka_unit_test(more_workers),
        cmocka_unit_test(batches_that_are_given_whole),
        cmocka_unit_test(no_other_number_of_workers_by_a_replay),
        cmocka_unit_test(a_gain_of_a_thread_of_its_own_is_a_bound),
        cmocka_unit_test(workers_that_share_a_lock),
        cmocka_unit_test(epochs_without_an_iterator),
        cmocka_unit_test(one_iterator),
        cmocka_unit_test(files_of_a_mebibyte),
        cmocka_unit_test(what_leaves_the_loop_a_cpu_is_worth_more),
        cmocka_unit_test(what_it_would_be_worth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
