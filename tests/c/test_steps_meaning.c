/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of a run mean: what starved, what the GPU idled for and whether that adds up, lines
 * that wait, memory that creeps; and in words, from either side of each threshold. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "diagnose/steps.h"
#include "support.h"
#include "world.h"

static struct run_steps threads[2];

/* A process of 100 s on one GPU, whose steps took so many seconds of each phase. */
static void begin(double busy, const double seconds[STEP_PHASE_COUNT])
{
    begin_world(1);
    memset(threads, 0, sizeof threads);
    set_wait(0, 1000 * S, 1100 * S, MS);
    set_gpu(0, RF_ACTIVITY_GPM, 1000 * S, 1100 * S, busy);
    set_stall(0, 0, 1 * MS, 0, 0);
    uint64_t *totals = threads[0].totals;
    totals[RF_STEP_TOTAL_COUNT] = 1;
    totals[RF_STEP_TOTAL_STEPS] = 1000;
    threads[0].head[RF_STEPS_CLOCK] = RF_STEPS_CLOCK_QUEUE;
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        totals[RF_STEP_TOTAL_HOST_NS + i] = (uint64_t)(seconds[i] * 1e9);
        totals[RF_STEP_TOTAL_TIMES + i] = seconds[i] > 0 ? 1000 : 0;
    }
    world.processes[0].steps = threads;
    world.processes[0].steps_count = 1;
}

static void starve(enum step_phase phase, uint64_t asked, uint64_t empty)
{
    threads[0].totals[RF_STEP_TOTAL_ASKED + phase] = asked;
    threads[0].totals[RF_STEP_TOTAL_EMPTY + phase] = empty;
}

static void see(enum step_phase phase, const char *what, const char *where, uint64_t seen,
                uint64_t empty)
{
    struct rf_step_line *line = &threads[0].lines[threads[0].line_count++];
    *line = (struct rf_step_line){.state = 1, .phase = phase, .seen = seen, .empty = empty};
    snprintf(line->what, sizeof line->what, "%s", what);
    snprintf(line->where, sizeof line->where, "%s", where);
}

static void looks(enum step_phase phase, uint64_t looks)
{
    threads[0].totals[RF_STEP_TOTAL_LOOKS + phase] = looks;
}

static const double usual[STEP_PHASE_COUNT] = {
    [STEP_INPUT] = 10, [STEP_FORWARD] = 40, [STEP_BACKWARD] = 30, [STEP_OPTIMIZER] = 20};

static void what_is_not_known_is_not_zero(void **state)
{
    (void)state;
    begin(0.9, usual);
    threads[0].head[RF_STEPS_CLOCK] = RF_STEPS_CLOCK_HOST;
    starve(STEP_FORWARD, 100, 50); /* of nobody's */
    struct summary *summary = made(1200 * S);
    const struct summary_steps *steps = &summary->steps[0];
    assert_int_equal(steps->method, SUMMARY_STEPS_HOST);
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        assert_true(isnan(steps->phases[i].starved_ns) && isnan(steps->phases[i].gpu_ns));
        assert_true(isnan(steps->phases[i].blocked_ns));
    }
    assert_int_equal(steps->idle_count, 0);
    assert_true(isnan(steps->idle_share) && isnan(steps->copies_ns));
    assert_true(steps->allocated_peak_bytes == DATASTALL_UNKNOWN);
    assert_int_equal(steps->window_ns, 100 * S);
    char text[512];
    summary_steps_text(summary, text, sizeof text);
    assert_string_equal(text, "");
    assert_false(summary_steps_advice(steps, 0, text, sizeof text));
    summary_free(summary);
}

/* One look is enough to know that nobody waited when it was made. */
static void a_phase_that_was_looked_at_is_known(void **state)
{
    (void)state;
    begin(0.9, usual);
    looks(STEP_FORWARD, 1);
    struct summary *summary = made(1200 * S);
    const struct summary_phase *phases = summary->steps[0].phases;
    assert_figure(phases[STEP_FORWARD].blocked_ns, 0);
    assert_true(isnan(phases[STEP_BACKWARD].blocked_ns));
    summary_free(summary);
}

static void a_share_of_answers_is_a_share_of_the_time(void **state)
{
    (void)state;
    begin(0.9, usual);
    starve(STEP_FORWARD, 400, 100);
    starve(STEP_BACKWARD, 7, 7); /* too few */
    starve(STEP_OPTIMIZER, 8, 0);
    struct summary *summary = made(1200 * S);
    const struct summary_phase *phases = summary->steps[0].phases;
    assert_figure(phases[STEP_FORWARD].starved_ns, 10e9);
    assert_figure(phases[STEP_FORWARD].gpu_ns, 30e9);
    /* sqrt(p (1 - p) / n) of 40 s, p with one answer more of either kind */
    assert_figure(phases[STEP_FORWARD].starved_error_ns,
                  sqrt(101.0 / 402 * 301.0 / 402 / 400) * 40e9);
    assert_figure(phases[STEP_BACKWARD].starved_ns, NAN);
    assert_figure(phases[STEP_OPTIMIZER].starved_ns, 0);
    assert_true(phases[STEP_OPTIMIZER].starved_error_ns > 1e9);
    summary_free(summary);
}

/* The parts, and their sum, of an idle time. */
static double sum_of(const struct summary_steps *steps, const char *leave_out)
{
    double sum = 0;
    for (uint32_t i = 0; i < steps->idle_count; i++) {
        if (strcmp(steps->idle[i].what, leave_out) != 0)
            sum += steps->idle[i].share;
    }
    return sum;
}

static double part_of(const struct summary_steps *steps, const char *what)
{
    for (uint32_t i = 0; i < steps->idle_count; i++) {
        if (strcmp(steps->idle[i].what, what) == 0)
            return steps->idle[i].share;
    }
    return 0;
}

static void idle_time_adds_up_to_what_the_gpu_measured(void **state)
{
    (void)state;
    static const struct {
        double busy;
        uint64_t forward, optimizer; /* empty, of 100 */
        double in_forward, in_optimizer, unknown;
    } rows[] = {
        /* the queue tells less than the GPU: gaps between kernels, or what nobody saw */
        {0.60, 25, 50, 0.10, 0.10, 0.20},
        /* just as much */
        {0.80, 25, 50, 0.10, 0.10, 0.00},
        /* more: it is a moment longer empty */
        {0.90, 25, 50, 0.05, 0.05, 0.00},
        {0.90, 0, 0, 0, 0, 0.10},
        /* it was busy all the time */
        {1.00, 25, 0, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(rows[i].busy, usual);
        starve(STEP_FORWARD, 100, rows[i].forward);
        starve(STEP_BACKWARD, 100, 0);
        starve(STEP_OPTIMIZER, 100, rows[i].optimizer);
        struct summary *summary = made(1200 * S);
        const struct summary_steps *steps = &summary->steps[0];
        assert_true(steps->idle_is_measured);
        assert_true(fabs(steps->idle_share - (1 - rows[i].busy)) < NEAR);
        assert_true(fabs(sum_of(steps, "input") - steps->idle_share) < NEAR);
        assert_true(fabs(part_of(steps, "forward") - rows[i].in_forward) < NEAR);
        assert_true(fabs(part_of(steps, "optimizer") - rows[i].in_optimizer) < NEAR);
        assert_true(fabs(part_of(steps, "unknown") - rows[i].unknown) < NEAR);
        for (uint32_t k = 1; k < steps->idle_count; k++)
            assert_true(steps->idle[k - 1].ns >= steps->idle[k].ns);
        summary_free(summary);
    }
}

/* Of a GPU that is its own, where it counts what comes over the bus. */
static void what_the_gpu_received(void **state)
{
    (void)state;
    static const struct {
        uint64_t known_ns, bytes, told;
        bool shared, has_gpu;
    } rows[] = {
        {50 * S, 123456789012, 123456789012, false, true},
        {50 * S, 0, 0, false, true},
        {0, 0, DATASTALL_UNKNOWN, false, true},
        {50 * S, 123456789012, DATASTALL_UNKNOWN, true, true},
        {50 * S, 123456789012, DATASTALL_UNKNOWN, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].shared) {
            begin_world(2);
            for (uint32_t k = 0; k < 2; k++)
                set_wait(k, 1000 * S, 1100 * S, MS);
            set_gpu(0, RF_ACTIVITY_GPM, 1000 * S, 1100 * S, 0.9);
            set_stall(0, 0, 1 * MS, 0, 0);
            set_stall(1, 0, 1 * MS, 0, 0);
        } else {
            begin(0.9, usual);
        }
        uint64_t *words = world.gpus[0].words;
        words[RF_GPU_GPM + 2 * RF_GPM_PCIE_RX] = rows[i].known_ns;
        words[RF_GPU_GPM + 2 * RF_GPM_PCIE_RX + 1] = rows[i].bytes;
        if (!rows[i].has_gpu)
            world.data.gpu_count = 0;
        struct summary *summary = made(1200 * S);
        if (summary->steps[0].received_bytes != rows[i].told)
            fail_msg("row %zu: %llu", i, (unsigned long long)summary->steps[0].received_bytes);
        summary_free(summary);
    }
}

static void without_its_counters_it_is_what_the_phases_add_up_to(void **state)
{
    (void)state;
    begin(0.9, usual);
    world.data.gpu_count = 0;
    starve(STEP_FORWARD, 100, 25);
    starve(STEP_OPTIMIZER, 100, 50);
    struct summary *summary = made(1200 * S);
    const struct summary_steps *steps = &summary->steps[0];
    assert_false(steps->idle_is_measured);
    assert_true(fabs(steps->idle_share - 0.20) < NEAR);
    assert_true(part_of(steps, "unknown") == 0);
    summary_free(summary);
}

static void lines_take_their_part_of_a_phase(void **state)
{
    (void)state;
    begin(0.70, usual);
    starve(STEP_FORWARD, 100, 50); /* 20 s */
    starve(STEP_OPTIMIZER, 100, 50);
    looks(STEP_FORWARD, 80);
    see(STEP_FORWARD, "to", "train.py:88", 24, 16); /* 12 s, of which 8 s starved */
    see(STEP_FORWARD, "item", "train.py:90", 8, 0);
    struct summary *summary = made(1200 * S);
    const struct summary_steps *steps = &summary->steps[0];
    assert_int_equal(steps->blocking_count, 2);
    assert_string_equal(steps->blocking[0].where, "train.py:88");
    assert_figure(steps->blocking[0].ns, 12e9);
    assert_figure(steps->blocking[0].starved_ns, 8e9);
    assert_true(steps->blocking[0].copies && !steps->blocking[1].copies);
    assert_figure(steps->phases[STEP_FORWARD].blocked_ns, 16e9);
    assert_figure(steps->phases[STEP_BACKWARD].blocked_ns, NAN);
    assert_figure(steps->copies_ns, 12e9);
    assert_true(fabs(part_of(steps, "forward") - 0.12) < NEAR);
    assert_true(fabs(part_of(steps, "to") - 0.08) < NEAR);
    assert_true(fabs(part_of(steps, "optimizer") - 0.10) < NEAR);
    char text[512];
    summary_steps_text(summary, text, sizeof text);
    assert_string_equal(text,
                        "GPU idle 30 % beside the input: 12 in forward, 10 in optimizer, 8 in "
                        "to() at train.py:88");
    static const char *const in_order[] = {
        "reduce-overhead",
        "pin_memory=True in the loader and non_blocking=True in to() at train.py:88: the program "
        "waited there for 12 % of the time; worth at most 12 %",
        "fused=True", "item() less often, or later, at train.py:90"};
    for (uint32_t i = 0; i < sizeof in_order / sizeof *in_order; i++) {
        assert_true(summary_steps_advice(steps, i, text, sizeof text));
        assert_non_null(strstr(text, in_order[i]));
    }
    assert_false(summary_steps_advice(steps, 4, text, sizeof text));
    summary_free(summary);
}

static void work(enum step_phase phase, const char *where, uint64_t seen, uint64_t empty)
{
    see(phase, "", where, seen, empty);
    threads[0].lines[threads[0].line_count - 1].kind = RF_STEP_LINE_WORKS;
}

/* The program's own code is no call that waits, and what it left the GPU idle for is no launch's. */
static void work_of_the_program_is_apart(void **state)
{
    (void)state;
    begin(0.70, usual);
    starve(STEP_FORWARD, 100, 50); /* 20 s */
    starve(STEP_OPTIMIZER, 100, 50);
    looks(STEP_FORWARD, 80);
    work(STEP_FORWARD, "train.py:30", 40, 32); /* 20 s, of which 16 starved */
    work(STEP_FORWARD, "train.py:31", 2, 0);
    see(STEP_FORWARD, "item", "train.py:30", 2, 0);
    work(STEP_FORWARD, "train.py:32", 100, 0); /* no more than there were looks */
    struct summary *summary = made(1200 * S);
    const struct summary_steps *steps = &summary->steps[0];
    assert_int_equal(steps->blocking_count, 1);
    assert_int_equal(steps->working_count, 3);
    assert_string_equal(steps->working[0].where, "train.py:32");
    assert_figure(steps->working[0].ns, 40e9);
    assert_string_equal(steps->working[1].where, "train.py:30");
    assert_int_equal(steps->working[1].seen, 40);
    assert_figure(steps->working[1].ns, 20e9);
    assert_figure(steps->working[1].starved_ns, 16e9);
    assert_int_equal(steps->working[1].phase, STEP_FORWARD);
    assert_figure(steps->phases[STEP_FORWARD].blocked_ns, 1e9);
    assert_true(fabs(part_of(steps, "work") - 0.16) < NEAR);
    assert_true(fabs(part_of(steps, "forward") - 0.04) < NEAR);
    char text[512];
    summary_steps_text(summary, text, sizeof text);
    assert_string_equal(text, "GPU idle 30 % beside the input: 16 in the program's own code at "
                              "train.py:30, 10 in optimizer, 4 in forward");
    static const char *const in_order[] = {
        "do less at train.py:30: the program's own code there, outside of the model, left the GPU "
        "without work for 16 % of the time (what the CPU reckons there, the loader's workers can; "
        "tensors on the GPU: torch.compile)",
        "fused=True"};
    for (uint32_t i = 0; i < sizeof in_order / sizeof *in_order; i++) {
        assert_true(summary_steps_advice(steps, i, text, sizeof text));
        assert_non_null(strstr(text, in_order[i]));
    }
    /* What is left of the forward pass is less than the looks' error. */
    assert_false(summary_steps_advice(steps, 2, text, sizeof text));
    summary_free(summary);
    threads[0].totals[RF_STEP_TOTAL_LOOKS + STEP_FORWARD] = 80000;
    threads[0].lines[0].seen = threads[0].lines[0].empty = 32000;
    summary = made(1200 * S);
    assert_true(summary_steps_advice(&summary->steps[0], 2, text, sizeof text));
    assert_non_null(strstr(text, "for 4 % of the time while forward and backward"));
    summary_free(summary);
}

static void what_to_do_about_work(void **state)
{
    (void)state;
    static const struct {
        enum step_phase phase;
        uint64_t seen;
        double share;
        const char *begins;
    } rows[] = {
        {STEP_FORWARD, 8, 0.03, "do less at f:1: the program's own code there"},
        {STEP_NO_BACKWARD, 8, 0.6, "do less at f:1: the program's own code there"},
        {STEP_BETWEEN, 8, 0.6, "do less at f:1, or every few steps: the program's own"},
        {STEP_BETWEEN, 7, 0.6, NULL},
        {STEP_FORWARD, 8, 0.0299, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct summary_steps steps = {.window_ns = 1000 * S, .working_count = 1};
        char text[512] = "";
        for (uint32_t p = 0; p < STEP_PHASE_COUNT; p++)
            steps.phases[p].starved_ns = NAN;
        steps.phases[rows[i].phase].starved_ns = rows[i].share * 1e12; /* all of it is that */
        steps.working[0] = (struct summary_line){.where = "f:1",
                                                 .phase = rows[i].phase,
                                                 .seen = rows[i].seen,
                                                 .starved_ns = rows[i].share * 1e12};
        const bool given = summary_steps_advice(&steps, 0, text, sizeof text);
        if (given != (rows[i].begins != NULL) || (given && strstr(text, rows[i].begins) != text))
            fail_msg("row %zu: %s", i, text);
        assert_false(summary_steps_advice(&steps, 1, text, sizeof text));
    }
}

static void one_line_when_the_input_is_not_to_blame(void **state)
{
    (void)state;
    static const struct {
        double busy;
        uint64_t wait_s;
        bool said;
    } rows[] = {
        {0.96, 0, false}, /* 4 %: not worth it */
        {0.94, 0, true},
        {0.60, 10, true},
        {0.60, 30, false}, /* the input stalls for more than all else */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512];
        begin(rows[i].busy, usual);
        const uint64_t wait_ns = rows[i].wait_s * S + MS;
        world.loaders[0].gpu_count = 0;
        set_wait(0, 1000 * S, 1100 * S, wait_ns);
        set_stall(0, 0, wait_ns, rows[i].wait_s * S, rows[i].wait_s * S);
        starve(STEP_OPTIMIZER, 100, 10);
        struct summary *summary = made(1200 * S);
        summary_steps_text(summary, text, sizeof text);
        if ((text[0] != '\0') != rows[i].said)
            fail_msg("row %zu: \"%s\"", i, text);
        summary_free(summary);
    }
}

static void other_streams_make_it_a_bound(void **state)
{
    (void)state;
    char text[512];
    begin(0.9, usual);
    world.data.gpu_count = 0;
    threads[0].head[RF_STEPS_CLOCK] = RF_STEPS_CLOCK_BOUND;
    starve(STEP_CHECKPOINT, 100, 10);
    starve(STEP_OPTIMIZER, 100, 50);
    struct summary *summary = made(1200 * S);
    assert_int_equal(summary->steps[0].method, SUMMARY_STEPS_BOUND);
    summary_steps_text(summary, text, sizeof text);
    assert_string_equal(text, "GPU idle at most 10 % beside the input: 10 in optimizer");
    summary_free(summary);
}

static void creep(uint64_t *head, const uint64_t *lows_mib, uint32_t count)
{
    head[RF_STEPS_MEMORY_READS] = 100;
    head[RF_STEPS_LOW_COUNT] = count;
    for (uint32_t i = 0; i < count; i++)
        head[RF_STEPS_LOWS_AT + i] = lows_mib[i] << 20;
}

static void memory_that_creeps(void **state)
{
    (void)state;
    static const struct {
        uint64_t lows_mib[8];
        uint32_t count;
        uint64_t creeps_mib;
    } rows[] = {
        {{10, 900, 1000, 1000, 1000, 1000, 1000, 1000}, 8, 0}, /* it begins, and stays */
        {{10, 900, 1000, 1000, 1000, 1016, 1024, 1032}, 8, 32},
        {{10, 900, 1000, 1000, 1000, 1016, 1024, 1031}, 8, 0},  /* too little */
        {{10, 900, 1000, 1000, 1000, 1200, 1190, 1300}, 8, 0},  /* it comes back */
        {{10, 900, 1100, 1050, 1000, 1016, 1024, 1032}, 8, 32}, /* in the first half it may */
        {{10, 900, 1000, 1000, 1000, 999, 1024, 1032}, 8, 0},   /* and not from there on */
        {{10, 900, 1000, 1100, 1200}, 5, 0},                    /* too short a time */
        {{10, 900, 1000, 1000, 1100, 1200}, 6, 200},
        {{10, 90, 9000, 9000, 9000, 9100}, 6, 0}, /* little beside what there is */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];
        begin(0.9, usual);
        creep(threads[0].head, rows[i].lows_mib, rows[i].count);
        struct summary *summary = made(1200 * S);
        const struct summary_steps *steps = &summary->steps[0];
        if (steps->creep_bytes != rows[i].creeps_mib << 20)
            fail_msg("row %zu: %llu", i, (unsigned long long)steps->creep_bytes);
        summary_memory_text(steps, text, sizeof text);
        assert_int_equal(text[0] != '\0', rows[i].creeps_mib > 0);
        summary_free(summary);
    }
}

/* Threads share one allocator: of what each read of it the most counts. */
static void memory_that_threads_read(void **state)
{
    (void)state;
    static const struct {
        uint64_t reads[2], values[2], most;
    } rows[] = {{{0, 0}, {7, 9}, DATASTALL_UNKNOWN},
                {{1, 0}, {7, 9}, 7},
                {{0, 3}, {7, 5}, 5},
                {{1, 1}, {7, 9}, 9},
                {{1, 1}, {9, 7}, 9},
                {{1, 1}, {0, 0}, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(0.9, usual);
        world.processes[0].steps_count = 2;
        for (uint32_t t = 0; t < 2; t++) {
            uint64_t *head = threads[t].head;
            head[RF_STEPS_MEMORY_READS] = rows[i].reads[t];
            head[RF_STEPS_MEMORY_ALLOCATED_PEAK] = rows[i].values[t];
            head[RF_STEPS_MEMORY_RESERVED_PEAK] = 10 * rows[i].values[t];
            head[RF_STEPS_MEMORY_RETRIES] = 100 * rows[i].values[t];
        }
        struct summary *summary = made(1200 * S);
        const struct summary_steps *steps = &summary->steps[0];
        const bool known = rows[i].most != DATASTALL_UNKNOWN;
        assert_int_equal(steps->allocated_peak_bytes, rows[i].most);
        assert_int_equal(steps->reserved_peak_bytes, known ? 10 * rows[i].most : DATASTALL_UNKNOWN);
        assert_int_equal(steps->allocation_retries, known ? 100 * rows[i].most : DATASTALL_UNKNOWN);
        summary_free(summary);
    }
}

/* Of several threads the surest way counts; one that could not be asked is said. */
static void how_it_was_asked(void **state)
{
    (void)state;
    static const struct {
        uint64_t clocks[2];
        enum summary_steps_method method;
        const char *name;
        bool says;
    } rows[] = {
        {{RF_STEPS_CLOCK_HOST, RF_STEPS_CLOCK_HOST}, SUMMARY_STEPS_HOST, "host", false},
        {{RF_STEPS_CLOCK_HOST, RF_STEPS_CLOCK_QUEUE}, SUMMARY_STEPS_QUEUE, "queue", false},
        {{RF_STEPS_CLOCK_QUEUE, RF_STEPS_CLOCK_HOST}, SUMMARY_STEPS_QUEUE, "queue", false},
        {{RF_STEPS_CLOCK_BOUND, RF_STEPS_CLOCK_HOST}, SUMMARY_STEPS_BOUND, "queue-bound", false},
        {{RF_STEPS_CLOCK_BOUND, RF_STEPS_CLOCK_QUEUE}, SUMMARY_STEPS_BOUND, "queue-bound", false},
        {{RF_STEPS_CLOCK_QUEUE, RF_STEPS_CLOCK_BOUND}, SUMMARY_STEPS_BOUND, "queue-bound", false},
        {{RF_STEPS_CLOCK_CAPTURERS, RF_STEPS_CLOCK_HOST}, SUMMARY_STEPS_HOST, "host", true},
        {{RF_STEPS_CLOCK_CAPTURERS, RF_STEPS_CLOCK_QUEUE}, SUMMARY_STEPS_QUEUE, "queue", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(0.9, usual);
        world.processes[0].steps_count = 2;
        for (uint32_t t = 0; t < 2; t++)
            threads[t].head[RF_STEPS_CLOCK] = rows[i].clocks[t];
        struct summary *summary = made(1200 * S);
        const struct summary_steps *steps = &summary->steps[0];
        CHECK(steps->method == rows[i].method, "row %zu: %d", i, (int)steps->method);
        assert_string_equal(summary_steps_method_name(steps->method), rows[i].name);
        assert_int_equal(steps->has_capturers, rows[i].says);
        assert_int_equal(summary_steps_says(steps) != NULL, rows[i].says);
        if (rows[i].says)
            assert_non_null(strstr(summary_steps_says(steps), "may capture CUDA graphs by itself"));
        summary_free(summary);
    }
}

/* Eight lines have a place, the first that are seen; the rest counts for the phase only. Of a phase in which
 * nobody looked nothing is known. */
static void more_lines_than_there_is_room_for(void **state)
{
    (void)state;
    for (uint32_t lines = SUMMARY_BLOCKING - 1; lines <= SUMMARY_BLOCKING + 1; lines++) {
        begin(0.9, usual);
        looks(STEP_FORWARD, 100);
        for (uint32_t i = 0; i < lines; i++) {
            char where[16];
            snprintf(where, sizeof where, "a.py:%u", i);
            see(STEP_FORWARD, "item", where, 2, 1);
        }
        see(STEP_BACKWARD, "item", "b.py:1", 2, 1);
        struct summary *summary = made(1200 * S);
        const struct summary_steps *steps = &summary->steps[0];
        assert_int_equal(steps->blocking_count,
                         lines < SUMMARY_BLOCKING ? lines : SUMMARY_BLOCKING);
        for (uint32_t i = 0; i < steps->blocking_count; i++) {
            assert_int_equal(steps->blocking[i].phase, STEP_FORWARD);
            assert_int_equal(steps->blocking[i].seen, 2);
            assert_figure(steps->blocking[i].ns, 0.02 * 40e9);
            assert_figure(steps->blocking[i].starved_ns, 0.01 * 40e9);
        }
        assert_figure(steps->phases[STEP_FORWARD].blocked_ns, lines * 0.02 * 40e9);
        assert_true(isnan(steps->phases[STEP_BACKWARD].blocked_ns));
        summary_free(summary);
    }
}

static void two_threads_are_added_up(void **state)
{
    (void)state;
    begin(0.9, usual);
    threads[1] = threads[0];
    threads[1].head[RF_STEPS_CLOCK] = RF_STEPS_CLOCK_HOST;
    world.processes[0].steps_count = 2;
    struct summary *summary = made(1200 * S);
    const struct summary_steps *steps = &summary->steps[0];
    assert_int_equal(steps->count, 2000);
    assert_int_equal(steps->window_ns, 200 * S);
    assert_int_equal(steps->threads, 2);
    assert_int_equal(steps->phases[STEP_FORWARD].host_ns, 80 * S);
    summary_free(summary);
}

static void pinned_batches_are_those_of_a_loader_that_pins(void **state)
{
    (void)state;
    begin(0.9, usual);
    struct summary *summary = made(1200 * S);
    assert_figure(summary->steps[0].pinned_share, 0);
    summary_free(summary);
    world.loaders[0].entry.flags = DATASTALL_LOADER_PIN_MEMORY;
    summary = made(1200 * S);
    assert_figure(summary->steps[0].pinned_share, 1);
    summary_free(summary);
    world.processes[0].view.words[RF_PROCESS_ACCELERATOR] = RF_ACCELERATOR_NONE;
    summary = made(1200 * S);
    assert_figure(summary->steps[0].pinned_share, NAN);
    summary_free(summary);
}

static void steps_are_counted_by_what_there_is(void **state)
{
    (void)state;
    begin(0.9, usual);
    struct summary *summary = made(1200 * S);
    assert_string_equal(summary->steps[0].counted_by, "batches");
    summary_free(summary);
    threads[0].totals[RF_STEP_TOTAL_STATED] = 7;
    summary = made(1200 * S);
    assert_string_equal(summary->steps[0].counted_by, "step()");
    assert_int_equal(summary->steps[0].count, 7);
    summary_free(summary);
    threads[0].totals[RF_STEP_TOTAL_STATED] = threads[0].totals[RF_STEP_TOTAL_STEPS] = 0;
    summary = made(1200 * S);
    assert_string_equal(summary->steps[0].counted_by, "optimizer");
    assert_int_equal(summary->steps[0].count, 1000);
    summary_free(summary);
}

/* Each phase has its own figures, of its own words. */
static void each_phase_has_its_own_figures(void **state)
{
    (void)state;
    double seconds[STEP_PHASE_COUNT];
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++)
        seconds[i] = 1 + i;
    begin(0.9, seconds);
    double all = 0;
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        all += seconds[i];
        starve((enum step_phase)i, 100 + i, 10 + i);
        threads[0].totals[RF_STEP_TOTAL_LONGEST_NS + i] = 7 + i;
        threads[0].totals[RF_STEP_TOTAL_TIMES + i] = 50 + i;
    }
    struct summary *summary = made(1200 * S);
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        const struct summary_phase *phase = &summary->steps[0].phases[i];
        assert_int_equal(phase->asked, 100 + i);
        assert_int_equal(phase->empty, 10 + i);
        assert_int_equal(phase->longest_ns, 7 + i);
        assert_int_equal(phase->count, 50 + i);
        assert_int_equal(phase->host_ns, (1 + i) * S);
        assert_figure(phase->share, seconds[i] / all);
    }
    summary_free(summary);
}

/* Of several processes the worst speaks, where it has steps; else the one whose steps took longest. */
static void whose_steps_are_told(void **state)
{
    (void)state;
    begin(0.9, usual);
    struct summary *summary = made(1200 * S);
    struct summary_process processes[3] = {summary->processes[0], summary->processes[0],
                                           summary->processes[0]};
    struct summary_steps steps[3] = {summary->steps[0], summary->steps[0], summary->steps[0]};
    struct summary several = *summary;
    several.processes = processes;
    several.steps = steps;
    several.process_count = 3;
    static const struct {
        uint64_t count[3], window_s[3];
        uint32_t worst, whose; /* UINT32_MAX: none */
    } rows[] = {{{5, 5, 5}, {10, 30, 20}, UINT32_MAX, 1}, {{5, 5, 5}, {10, 30, 20}, 2, 2},
                {{5, 5, 0}, {10, 30, 50}, 2, 1},          {{5, 5, 5}, {30, 30, 20}, UINT32_MAX, 0},
                {{0, 0, 0}, {10, 30, 20}, 1, UINT32_MAX}, {{5, 0, 0}, {10, 30, 20}, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t process = UINT32_MAX;
        several.worst = rows[i].worst;
        for (uint32_t k = 0; k < 3; k++) {
            steps[k].count = rows[i].count[k];
            steps[k].window_ns = rows[i].window_s[k] * S;
        }
        const struct summary_steps *told = summary_steps_of_run(&several, &process);
        assert_int_equal(process, rows[i].whose);
        assert_true(told == (rows[i].whose == UINT32_MAX ? NULL : &steps[rows[i].whose]));
    }
    several.steps = NULL;
    uint32_t process;
    assert_null(summary_steps_of_run(&several, &process));
    summary_free(summary);
}

/* The parts of an idle time by their names, from 1 % on. */
static void parts_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *what, *where;
        double share;
        const char *text; /* NULL: it is not told */
    } rows[] = {{"forward", NULL, 0.6, "60 in forward"},
                {"between", NULL, 0.6, "60 in between steps"},
                {"no_backward", NULL, 0.6, "60 in steps without a backward"},
                {"checkpoint", NULL, 0.6, "60 in checkpoints"},
                {"unknown", NULL, 0.6, "60 unknown"},
                {"to", "train.py:8", 0.6, "60 in to() at train.py:8"},
                {"", "train.py:8", 0.6, "60 in a call at train.py:8"},
                {"forward", NULL, 0.01, "1 in forward"},
                {"forward", NULL, 0.0099, NULL},
                {"input", NULL, 0.6, NULL}};
    begin(0.9, usual);
    struct summary *summary = made(1200 * S);
    struct summary_steps *steps = &summary->steps[0];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512], wanted[128];
        steps->idle_share = 0.7;
        steps->idle_count = 1;
        steps->idle[0] = (struct summary_idle){
            .what = rows[i].what, .where = rows[i].where, .share = rows[i].share};
        summary_steps_text(summary, text, sizeof text);
        snprintf(wanted, sizeof wanted, "GPU idle 70 %% beside the input:%s%s",
                 rows[i].text != NULL ? " " : "", rows[i].text != NULL ? rows[i].text : "");
        assert_string_equal(text, wanted);
    }
    for (uint32_t i = 0; i < 6; i++)
        steps->idle[i] = (struct summary_idle){.what = "forward", .share = 0.1};
    steps->idle_count = 6;
    char text[512];
    summary_steps_text(summary, text, sizeof text);
    assert_string_equal(text, "GPU idle 70 % beside the input: 10 in forward, 10 in forward, 10 in "
                              "forward, 10 in forward");
    summary_free(summary);
}

/* What is tried against which starving, from how much on. */
static void what_to_try(void **state)
{
    (void)state;
    static const struct {
        enum step_phase phase;
        double share;
        const char *begins, *says; /* NULL: nothing */
    } rows[] = {
        {STEP_OPTIMIZER, 0.6, "fused=True (or foreach=True)", " 60 % of the time"},
        {STEP_OPTIMIZER, 0.03, "fused=True (or foreach=True)", " 3 % of the time"},
        {STEP_OPTIMIZER, 0.0299, NULL, NULL},
        {STEP_FORWARD, 0.6, "torch.compile(model", " 60 % of the time"},
        {STEP_BACKWARD, 0.03, "torch.compile(model", " 3 % of the time"},
        {STEP_BACKWARD, 0.0299, NULL, NULL},
        {STEP_CHECKPOINT, 0.6, "write checkpoints less often", " 60 % of the time"},
        {STEP_CHECKPOINT, 0.02, "write checkpoints less often", " 2 % of the time"},
        {STEP_CHECKPOINT, 0.0199, NULL, NULL},
        {STEP_BETWEEN, 0.6, "do less between the optimizer", " 60 % of the time"},
        {STEP_BETWEEN, 0.03, "do less between the optimizer", " 3 % of the time"},
        {STEP_BETWEEN, 0.0299, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct summary_steps steps = {.window_ns = 1000 * S};
        char text[512] = "";
        for (uint32_t p = 0; p < STEP_PHASE_COUNT; p++)
            steps.phases[p].starved_ns = NAN;
        steps.phases[rows[i].phase].starved_ns = rows[i].share * 1e12;
        /* Few looks, none of which saw code of the program's: nothing is taken off for that. */
        steps.phases[rows[i].phase].looks = 4;
        steps.phases[rows[i].phase].host_ns = 1000 * S;
        assert_int_equal(summary_steps_advice(&steps, 0, text, sizeof text),
                         rows[i].begins != NULL);
        if (rows[i].begins == NULL)
            continue;
        assert_true(strstr(text, rows[i].begins) == text);
        if (strstr(text, rows[i].says) == NULL)
            fail_msg("row %zu: %s", i, text);
        assert_false(summary_steps_advice(&steps, 1, text, sizeof text));
    }
    static const struct {
        const char *what;
        uint64_t seen;
        double share, pinned, idle; /* idle NaN: not known */
        const char *begins, *ends;
    } lines[] = {
        {"to", 8, 0.02, 0, NAN,
         "pin_memory=True in the loader and non_blocking=True in to() at f:1",
         "waited there for 2 % of the time; worth at most 2 %"},
        {"to", 7, 0.02, 0, NAN, NULL, NULL},
        {"cuda", 8, 0.6, NAN, 0.3, "pin_memory=True in the loader and non_blocking=True in cuda()",
         "waited there for 60 % of the time; worth at most 30 %"},
        {"copy_", 8, 0.6, 0.49, 0.9, "pin_memory=True in the loader", "worth at most 60 %"},
        {"copy_", 8, 0.6, 0.5, 0.9, "non_blocking=True in copy_() at f:1",
         "and the loader's memory is pinned; worth at most 60 %"},
        {"to", 8, 0.0299, 0.5, NAN, NULL, NULL},
        {"to", 8, 0.0199, 0, NAN, NULL, NULL},
        {"item", 8, 0.03, 0, NAN, "call item() less often, or later, at f:1", "at most 3 %"},
        {"item", 8, 0.03, 0, 0.03, "call item() less often, or later, at f:1", "at most 3 %"},
        {"item", 8, 0.6, 0, 0.0299, NULL, NULL}, /* the GPU is busy meanwhile */
        {"item", 8, 0.0299, 0, NAN, NULL, NULL},
        {"", 8, 0.6, 0, NAN, "call what blocks less often, or later, at f:1", "at most 60 %"}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct summary_steps steps = {.window_ns = 1000 * S,
                                      .blocking_count = 1,
                                      .pinned_share = lines[i].pinned,
                                      .idle_count = isnan(lines[i].idle) ? 0 : 1,
                                      .idle_share = lines[i].idle};
        char text[512] = "";
        for (uint32_t p = 0; p < STEP_PHASE_COUNT; p++)
            steps.phases[p].starved_ns = NAN;
        steps.blocking[0] = (struct summary_line){.what = lines[i].what,
                                                  .where = "f:1",
                                                  .seen = lines[i].seen,
                                                  .ns = lines[i].share * 1e12};
        const bool given = summary_steps_advice(&steps, 0, text, sizeof text);
        assert_int_equal(given, lines[i].begins != NULL);
        if (!given)
            continue;
        assert_true(strstr(text, lines[i].begins) == text);
        if (strlen(text) < strlen(lines[i].ends) ||
            strcmp(text + strlen(text) - strlen(lines[i].ends), lines[i].ends) != 0)
            fail_msg("line %zu: %s", i, text);
    }
}

/* The same line is one in all threads; in another phase it is another. */
static void lines_of_threads_are_added_up(void **state)
{
    (void)state;
    begin(0.9, usual);
    looks(STEP_FORWARD, 10);
    looks(STEP_BACKWARD, 10);
    see(STEP_FORWARD, "item", "train.py:8", 2, 1);
    see(STEP_BACKWARD, "item", "train.py:8", 3, 0);
    see(STEP_FORWARD, "to", "train.py:8", 1, 1);
    see(STEP_FORWARD, "item", "train.py:9", 4, 0);
    threads[1] = threads[0];
    world.processes[0].steps_count = 2;
    struct summary *summary = made(1200 * S);
    const struct summary_steps *steps = &summary->steps[0];
    static const struct {
        const char *what, *where;
        enum step_phase phase;
        uint64_t seen;
        double seconds, starved_s;
    } rows[] = {{"item", "train.py:9", STEP_FORWARD, 8, 32, 0},
                {"item", "train.py:8", STEP_BACKWARD, 6, 18, 0},
                {"item", "train.py:8", STEP_FORWARD, 4, 16, 8},
                {"to", "train.py:8", STEP_FORWARD, 2, 8, 8}};
    assert_int_equal(steps->blocking_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        const struct summary_line *line = &steps->blocking[i];
        assert_string_equal(line->what, rows[i].what);
        assert_string_equal(line->where, rows[i].where);
        assert_int_equal(line->phase, rows[i].phase);
        assert_int_equal(line->seen, rows[i].seen);
        assert_true(fabs(line->ns - rows[i].seconds * 1e9) < 1);
        assert_true(fabs(line->starved_ns - rows[i].starved_s * 1e9) < 1);
        assert_int_equal(line->copies, i == 3);
    }
    assert_true(fabs(steps->copies_ns - 8e9) < 1);
    summary_free(summary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_is_not_zero),
        cmocka_unit_test(a_phase_that_was_looked_at_is_known),
        cmocka_unit_test(a_share_of_answers_is_a_share_of_the_time),
        cmocka_unit_test(idle_time_adds_up_to_what_the_gpu_measured),
        cmocka_unit_test(what_the_gpu_received),
        cmocka_unit_test(without_its_counters_it_is_what_the_phases_add_up_to),
        cmocka_unit_test(lines_take_their_part_of_a_phase),
        cmocka_unit_test(work_of_the_program_is_apart),
        cmocka_unit_test(what_to_do_about_work),
        cmocka_unit_test(one_line_when_the_input_is_not_to_blame),
        cmocka_unit_test(other_streams_make_it_a_bound),
        cmocka_unit_test(memory_that_creeps),
        cmocka_unit_test(two_threads_are_added_up),
        cmocka_unit_test(how_it_was_asked),
        cmocka_unit_test(memory_that_threads_read),
        cmocka_unit_test(more_lines_than_there_is_room_for),
        cmocka_unit_test(pinned_batches_are_those_of_a_loader_that_pins),
        cmocka_unit_test(steps_are_counted_by_what_there_is),
        cmocka_unit_test(each_phase_has_its_own_figures),
        cmocka_unit_test(whose_steps_are_told),
        cmocka_unit_test(parts_in_words),
        cmocka_unit_test(what_to_try),
        cmocka_unit_test(lines_of_threads_are_added_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
