/* SPDX-License-Identifier: Apache-2.0 */
/* A cause in words: which evidence is told for it, and what is suggested. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diagnose/why_sentences.h"
#include "runfile/layout.h"

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
    why.host = (struct why_host){NAN, NULL, NAN, NAN, NAN, NAN, NAN, NAN};
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
                                 .asked_bytes = 3 << 20,
                                 .storage_bytes = 1 << 20,
                                 .busy_share = 0.75,
                                 .running_cpus = 2.5,
                                 .item_p50_ns = 1e6,
                                 .item_p99_ns = 2e7,
                                 .item_max_ns = 3e8};
    why.head_of_line = 0.6;
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
#define CPUS "8 CPUs may be used (the machine); the workers kept 2.50 busy, the loop's process 1.00"
#define ITEMS "items: half take up to 1.00 ms, 99 % up to 20 ms, the slowest 300 ms"
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
        {CAUSE_COMPUTE, {STATES, WORKERS, CPUS, ITEMS, DEPTH}},
        {CAUSE_CPU_CONTENTION, {STATES, WORKERS, CPUS, ITEMS, DEPTH}},
        {CAUSE_BLOCKED_IO, {STATES, WORKERS, STORAGE, CPUS, DEPTH}},
        {CAUSE_COLLATE, {STATES, WORKERS, DEPTH}},
        {CAUSE_TRANSFER, {STATES, WORKERS, DEPTH}},
        {CAUSE_PIN, {STATES, WORKERS, DEPTH}},
        {CAUSE_SAMPLER, {STATES, WORKERS, DEPTH}},
        {CAUSE_STARTUP, {STATES, WORKERS, STARTS, DEPTH}},
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
        struct why why = why_of(cause);
        why.stall_ns = 0;
        why_tell(&loader, &why);
        assert_evidence(&why, cause == WHY_HEAD_OF_LINE || cause == WHY_WINDOW, line);
    }
}

/* Each figure that a sentence needs, unknown alone: the sentence is left out, the others stand. */
static void sentences_without_their_figures(void **state)
{
    (void)state;
    static const char *const all[] = {STATES, WORKERS, STORAGE, CPUS, DEPTH};
    for (uint32_t i = 0; i < 11; i++) {
        struct why why = full_why_of(CAUSE_BLOCKED_IO);
        uint32_t lost = 1; /* the workers' */
        switch (i) {
        case 0:
            why.shares[CAUSE_COMPUTE] = NAN;
            lost = 0;
            break;
        case 1:
            why.work.workers = 0;
            break;
        case 2:
            why.work.batches = 0;
            break;
        case 3:
            why.work.busy_share = NAN;
            break;
        case 4:
            why.work.asked_bytes = DATASTALL_UNKNOWN;
            lost = 2;
            break;
        case 5:
            why.work.storage_bytes = DATASTALL_UNKNOWN;
            lost = 2;
            break;
        case 6:
            why.work.asked_bytes = (1 << 20) - 1; /* too little to be what they wait for */
            lost = 2;
            break;
        case 7:
            why.host.cpus_usable = NAN;
            lost = 3;
            break;
        case 8:
            why.work.running_cpus = NAN;
            lost = 3;
            break;
        case 9:
            why.depth.waits = 0;
            lost = 4;
            break;
        default:
            why.depth.possible = 0;
            lost = 4;
            break;
        }
        const char *lines[4];
        for (uint32_t k = 0, n = 0; k < 5; k++) {
            if (k != lost)
                lines[n++] = all[k];
        }
        why_tell(&loader, &why);
        assert_evidence(&why, 4, lines);
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
                "of the stall: 11 % compute, 11 % cpu_contention, 11 % blocked_io, 11 % collate, "
                "11 % transfer, 11 % pin, 11 % sampler, 11 % startup");
    why = full_why_of(CAUSE_PIN);
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        why.shares[i] = i < 3 ? 0.06 : 0.11;
    why_tell(&loader, &why);
    assert_line(&why, 0,
                "of the stall: 6 % compute, 6 % cpu_contention, 6 % blocked_io, 11 % collate, "
                "11 % transfer, 11 % pin, 11 % sampler, 11 % startup, 11 % unknown");
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
                 "items: half take up to %s, 99 %% up to 20 ms, the slowest 300 ms", rows[i].text);
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
        assert_int_equal(why.evidence_count, 4);
        assert_line(&why, 3, DEPTH);
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
                "1 worker busy 75 % of the time; items 0.0000 ms a batch (0 % running, 0 % waiting "
                "for a CPU, 0 % blocked), collate 0.50 ms");
    assert_line(&why, 2,
                "1 CPU may be used (unknown); the workers kept 2.50 busy, the loop's process 0.00");

    why = full_why_of(CAUSE_COMPUTE);
    loader.entry.num_workers = 0;
    why.host.throttled_s = 3; /* told with workers only */
    why_tell(&loader, &why);
    assert_line(&why, 1,
                "loaded in the loop's own process: items 10 ms a batch (60 % running, 10 % waiting "
                "for a CPU, 30 % blocked), collate 0.50 ms");
    assert_line(&why, 2, "8 CPUs may be used (the machine); loading kept 2.50 busy");
    assert_line(&why, 3, ITEMS);

    why = full_why_of(CAUSE_COMPUTE);
    loader.entry.num_workers = 0;
    why.host.cpus_usable = 1;
    why.host.limit = NULL;
    why_tell(&loader, &why);
    assert_line(&why, 2, "1 CPU may be used (unknown); loading kept 2.50 busy");
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
                    rows[i].told ? "the CPU quota held the container back for 0.1 s" : ITEMS);
        assert_int_equal(why.evidence_count, rows[i].told ? 6 : 5);
    }
    /* There is room for six. */
    struct why why = full_why_of(CAUSE_COMPUTE);
    why.evidence_count = 3;
    why_tell(&loader, &why);
    assert_int_equal(why.evidence_count, WHY_EVIDENCE);
    assert_line(&why, 5, CPUS);
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
        assert_int_equal(why.evidence_count, 3);
        assert_line(&why, 2, DEPTH);
    }
}

/* ---- what to try ---- */

#define CHEAPER "make __getitem__ cheaper (decode less, prepare ahead)"
#define NEARER \
    "bring the data nearer: local disk or memory, larger reads, fewer round trips and locks"

static void suggestions_by_cause(void **state)
{
    (void)state;
    static const struct {
        uint32_t cause;
        const char *suggestion;
    } rows[] = {
        {CAUSE_COMPUTE, CHEAPER},
        {CAUSE_CPU_CONTENTION,
         "more CPUs, or less beside the workers: others use the CPUs too, and "
         "so do threads inside the items (OpenMP, OpenCV, BLAS)"},
        {CAUSE_BLOCKED_IO, NEARER},
        {CAUSE_COLLATE, "make collate_fn cheaper: fewer and larger tensors, pad once, convert in "
                        "__getitem__"},
        {CAUSE_TRANSFER, "send less between processes: smaller types, no copies of large objects; "
                         "tensors made by torch's default collation travel in shared memory"},
        {CAUSE_PIN, "pinning takes the time: smaller batches or types, or pin_memory=False and a "
                    "pinned buffer of your own"},
        {CAUSE_SAMPLER,
         "the sampler runs in the loop itself: draw its indices ahead, or in one go"},
        {CAUSE_STARTUP, "persistent_workers=True: the workers start anew for every epoch"},
        {CAUSE_UNKNOWN, ""},
        {WHY_HEAD_OF_LINE, "single slow items hold back batches that are ready: make those faster "
                           "or drop them (slowest items: --json), or in_order=False where order is "
                           "free"},
        {WHY_WINDOW, "prefetch_factor=8 instead of 2: a replay of this run with it loses far less"},
        {WHY_NONE, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(rows[i].cause);
        why_tell(&loader, &why);
        assert_string_equal(why.suggestion, rows[i].suggestion);
    }
}

static void start_up_by_what_starts(void **state)
{
    (void)state;
    static const char fewer[] = "make fewer iterators: each one starts anew";
    static const char longer[] = "longer epochs, or less to do when workers and data set start";
    static const char persistent[] =
        "persistent_workers=True: the workers start anew for every epoch";
    static const struct {
        uint64_t workers, flags;
        const char *suggestion;
    } rows[] = {
        {0, 0, fewer},
        {0, DATASTALL_LOADER_PERSISTENT_WORKERS, fewer},
        {DATASTALL_UNKNOWN, 0, fewer},
        {1, 0, persistent},
        {3, DATASTALL_LOADER_PIN_MEMORY, persistent},
        {3, DATASTALL_LOADER_PERSISTENT_WORKERS, longer},
        {3, DATASTALL_LOADER_PERSISTENT_WORKERS | DATASTALL_LOADER_PIN_MEMORY, longer},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = why_of(CAUSE_STARTUP);
        loader.entry.num_workers = rows[i].workers;
        loader.entry.flags = rows[i].flags;
        why_tell(&loader, &why);
        assert_string_equal(why.suggestion, rows[i].suggestion);
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

static void workers_that_share_too_few_cpus(void **state)
{
    (void)state;
    static const char fewer[] =
        "fewer workers or more CPUs: %u workers share %.3g; threads inside the items (OpenMP, "
        "OpenCV, BLAS) count too";
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
        why.work.workers = rows[i].workers;
        why_tell(&loader, &why);
        snprintf(wanted, sizeof wanted, fewer, rows[i].workers, rows[i].usable);
        if (rows[i].fewer)
            assert_string_equal(why.suggestion, wanted);
        else
            assert_memory_equal(why.suggestion, "more CPUs, or less", 18);
    }
}

#define NO_ROOM "no CPU is free for more workers; "
#define INSTEAD(more, less) \
    "num_workers=" #more " instead of " #less ": there are CPUs for them; else "
#define FIRST(more) "num_workers=" #more ": the loop waits while it loads itself; "

static void room_for_more_workers(void **state)
{
    (void)state;
    static const struct {
        uint64_t num_workers;
        uint32_t workers; /* that recorded something */
        double usable, loop, running;
        const char *begin; /* before what else may be done */
    } rows[] = {
        /* unknown: nothing is promised */
        {2, 2, NAN, 1, 2, ""},
        {2, 2, 8, 1, NAN, ""},
        {2, 0, 8, 1, 2, ""},
        {0, 0, 8, 1, 2, ""},
        /* each takes one CPU: 8 - (1 + 2) are free */
        {2, 2, 8, 1, 2, INSTEAD(4, 2)}, /* no more than twice as many */
        {2, 2, 4, 1, 2, INSTEAD(3, 2)},
        {2, 2, 3.75, 1, 2, INSTEAD(3, 2)}, /* nearly one is one */
        {2, 2, 3.74, 1, 2, NO_ROOM},
        {2, 2, 3, 1, 2, NO_ROOM},
        {2, 2, 2, 1, 2, NO_ROOM},
        {6, 6, 12, 1, 6, INSTEAD(11, 6)},
        {6, 6, 12, NAN, 6, INSTEAD(11, 6)}, /* the loop is taken to need one */
        {6, 6, 12, 3, 6, INSTEAD(9, 6)},
        {4, 4, 8, 1, 2, INSTEAD(8, 4)},       /* half a CPU each */
        {4, 4, 2, 1, 0.01, INSTEAD(8, 4)},    /* a twentieth at the least: 19 more */
        {40, 4, 2, 1, 0.01, INSTEAD(60, 40)}, /* (2 - 1.01) / 0.05 + 0.25 = 20 */
        /* the loop's own process: it is counted once */
        {0, 1, 8, 1, 1, FIRST(4)}, /* for a start */
        {0, 1, 4, 1, 1, FIRST(3)},
        {0, 1, 2, 1, 1, FIRST(1)},
        {0, 1, 1.75, 1, 1, FIRST(1)},
        {0, 1, 1.74, 1, 1, NO_ROOM},
        {0, 1, 1, 1, 1, NO_ROOM},
        {0, 1, 3, 0.5, 1, FIRST(2)},
        {0, 1, 3, 2, 1, FIRST(1)},
        /* a number that no machine has is not repeated */
        {99999, 2, 1000, 1, 0.1, INSTEAD(119977, 99999)},
        {100000, 2, 1000, 1, 0.1, NO_ROOM},
        {DATASTALL_UNKNOWN, 2, 8, 1, 2, NO_ROOM},
        {DATASTALL_UNKNOWN, 2, NAN, 1, 2, ""},
        {5, 2, 1e9, 1, 0.1, INSTEAD(10, 5)},
    };
    static const uint32_t causes[] = {CAUSE_COMPUTE, CAUSE_BLOCKED_IO};
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        char wanted[256];
        struct why why = why_of(causes[i % 2]);
        loader.entry.num_workers = rows[i / 2].num_workers;
        why.work.workers = rows[i / 2].workers;
        why.host.cpus_usable = rows[i / 2].usable;
        why.host.loop_cpus = rows[i / 2].loop;
        why.work.running_cpus = rows[i / 2].running;
        why_tell(&loader, &why);
        snprintf(wanted, sizeof wanted, "%s%s", rows[i / 2].begin, i % 2 == 0 ? CHEAPER : NEARER);
        if (strcmp(why.suggestion, wanted) != 0)
            fail_msg("row %zu: %s", i / 2, why.suggestion);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        cmocka_unit_test(suggestions_by_cause),
        cmocka_unit_test(start_up_by_what_starts),
        cmocka_unit_test(a_larger_window),
        cmocka_unit_test(workers_that_share_too_few_cpus),
        cmocka_unit_test(room_for_more_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
