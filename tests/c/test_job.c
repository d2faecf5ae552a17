/* SPDX-License-Identifier: Apache-2.0 */
/* What a job of ranks that wait for each other lost: jobs made up step by step, whose truth is known
 * because the same job is also made up without its delays. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "approved.h"
#include "diagnose/job_details.h"
#include "diagnose/job_parts.h"
#include "diagnose/job_watch.h"
#include "diagnose/rates.h"
#include "output/shape_job.h"
#include "support.h"

#define RANKS 4u
#define STEPS 240u
#define STEP_MS 20.0
#define START_MS 1e7

struct plan {
    double item_ms[RANKS];      /* each batch of the rank comes so late */
    uint32_t item_every[RANKS]; /* every so many; 0: each */
    double after_ms[RANKS];     /* it asks so late for its next batch */
    uint32_t after_every[RANKS];
    double slow_ms[RANKS];   /* its forward pass takes so much longer than the others' */
    bool meets_in_forward;   /* they wait for each other at its begin as well */
    uint32_t together_every; /* they wait for each other every so many batches; 0: never */
    double jitter_ms;
    uint32_t epoch; /* batches; 0: one epoch */
};

static struct job *job;

/* Up to so much, the same ones in every run. */
static double jitter(uint64_t *state, double most)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return most * (double)(*state >> 40) / (double)(UINT64_C(1) << 24);
}

static bool is_due(uint32_t k, uint32_t every, uint32_t rank)
{
    return every < 2 || k % every == rank % every;
}

static double forward_ms[RANKS]; /* what play() came to, per step as a mean */
#define FORWARD_MS 20.0

/* Ranks side by side; when the last one is done. Delays false: the same without them. */
static double play(const struct plan *plan, bool delays, struct job_step steps[RANKS][STEPS])
{
    double at[RANKS], last = 0;
    uint64_t random = 7;
    for (uint32_t r = 0; r < RANKS; r++) {
        at[r] = START_MS;
        forward_ms[r] = 0;
    }
    for (uint32_t k = 0; k < STEPS; k++) {
        double all = 0, ready = 0;
        for (uint32_t r = 0; r < RANKS; r++) {
            const bool late = is_due(k, plan->item_every[r], r);
            const double wait = 0.05 + (delays && late ? plan->item_ms[r] : 0);
            steps[r][k] = (struct job_step){
                .index = k,
                .begin_ns = (uint64_t)(at[r] * 1e6),
                .end_ns = (uint64_t)((at[r] + wait) * 1e6),
                .lower_ns = (uint64_t)(wait * 1e6),
                .upper_ns = (uint64_t)(wait * 1e6),
                .first = k == 0 || (plan->epoch > 0 && k % plan->epoch == 0),
            };
            at[r] += wait;
            ready = fmax(ready, at[r]);
        }
        for (uint32_t r = 0; r < RANKS; r++) {
            const double slow = delays ? plan->slow_ms[r] : 0;
            const double waits = plan->meets_in_forward ? ready - at[r] : 0;
            forward_ms[r] += (waits + FORWARD_MS + slow) / STEPS;
            at[r] += waits + STEP_MS + slow + jitter(&random, plan->jitter_ms);
            all = fmax(all, at[r]);
        }
        const bool together = plan->together_every > 0 && (k + 1) % plan->together_every == 0;
        for (uint32_t r = 0; r < RANKS; r++) {
            at[r] = together ? all : at[r];
            if (delays && plan->after_ms[r] > 0 && is_due(k, plan->after_every[r], r))
                at[r] += plan->after_ms[r];
            last = fmax(last, at[r]);
        }
    }
    return (last - START_MS) * 1e-3;
}

/* Adds the ranks of a plan that was played; shift_ns: of the second half's clocks. */
static void add_ranks(const struct plan *plan, uint64_t restart, int64_t shift_ns)
{
    static struct job_step steps[RANKS][STEPS];
    const double took_s = play(plan, true, steps);
    job->clocks = shift_ns != 0 ? 2 : 1;
    job->nodes = job->clocks;
    free(job->node); /* of ranks that were added before */
    job->node = calloc(2, sizeof *job->node);
    strcpy(job->node[0], "one");
    strcpy(job->node[1], "two");
    job->members = realloc(job->members, (job->count + RANKS) * sizeof *job->members);
    for (uint32_t r = RANKS; r-- > 0;) { /* in no order */
        struct job_member *member = &job->members[job->count++];
        *member = (struct job_member){.rank = r,
                                      .restart = restart,
                                      .world_size = RANKS,
                                      .batches = STEPS,
                                      .active_s = took_s,
                                      .count = STEPS};
        strcpy(member->loader, "train");
        strcpy(member->cause, "blocked at train.py:3");
        member->steps = malloc(sizeof steps[r]);
        memcpy(member->steps, steps[r], sizeof steps[r]);
        const bool other = shift_ns != 0 && r >= RANKS / 2;
        member->clock = member->node = other;
        for (uint32_t k = 0; k < STEPS; k++) {
            member->total.lower_ns += steps[r][k].lower_ns;
            member->total.upper_ns += steps[r][k].upper_ns;
            member->steps[k].begin_ns += other ? (uint64_t)shift_ns : 0;
            member->steps[k].end_ns += other ? (uint64_t)shift_ns : 0;
        }
    }
}

static double truth_s(const struct plan *plan)
{
    static struct job_step steps[RANKS][STEPS];
    return play(plan, true, steps) - play(plan, false, steps);
}

static int begin(void **state)
{
    (void)state;
    job = job_begin(RANKS);
    return job == NULL;
}

static int end(void **state)
{
    (void)state;
    job_free(job);
    return 0;
}

static void begin_anew(void)
{
    job_free(job);
    job = job_begin(RANKS);
}

static double lost_by(const struct job_figures *figures, uint64_t rank, enum job_reason reason)
{
    for (uint32_t i = 0; i < figures->cause_count; i++) {
        if (figures->causes[i].rank == rank && figures->causes[i].reason == reason)
            return figures->causes[i].lost_s;
    }
    return 0;
}

/* Both reasons together, to within 3 % of the time. */
static void check_truth(const char *what, const struct plan *plan,
                        const struct job_figures *figures)
{
    const double said = figures->lost_s.mean + figures->not_input_s, truth = truth_s(plan);
    CHECK(fabs(said - truth) <= 0.03 * figures->active_s, "%s: %g s said, %g s lost", what, said,
          truth);
    assert_true(figures->lost_s.lower <= figures->lost_s.mean);
    assert_true(figures->lost_s.mean <= figures->lost_s.upper);
}

static const struct {
    const char *what;
    struct plan plan;
    uint64_t rank; /* that has most of it */
    enum job_reason reason;
    uint32_t batches; /* per step of the job */
    const char *says; /* is in the sentence; NULL: there is none */
} jobs[] = {
    {"healthy", {.together_every = 1, .jitter_ms = 1}, 0, JOB_INPUT, 1, NULL},
    {"one rank is late",
     {.item_ms = {0, 30}, .together_every = 1, .jitter_ms = 1},
     1,
     JOB_INPUT,
     1,
     "rank 1 made the others wait"},
    {"now and then",
     {.item_ms = {[2] = 400}, .item_every = {[2] = 10}, .together_every = 1},
     2,
     JOB_INPUT,
     1,
     "rank 2 made the others wait"},
    {"in turns",
     {.item_ms = {80, 80, 80, 80}, .item_every = {4, 4, 4, 4}, .together_every = 1, .jitter_ms = 1},
     0,
     JOB_INPUT,
     1,
     "in turns"},
    {"all alike",
     {.item_ms = {30, 30, 30, 30}, .together_every = 1},
     0,
     JOB_INPUT,
     1,
     "all ranks waited alike"},
    {"a checkpoint",
     {.after_ms = {500}, .after_every = {20}, .together_every = 1, .jitter_ms = 1},
     0,
     JOB_NOT_INPUT,
     1,
     "rank 0 came late for another reason than input"},
    {"both",
     {.item_ms = {[3] = 30},
      .after_ms = {500},
      .after_every = {20},
      .together_every = 1,
      .jitter_ms = 1},
     3,
     JOB_INPUT,
     1,
     "rank 3 made the others wait"},
    {"accumulation of 4",
     {.item_ms = {0, 10}, .together_every = 4, .jitter_ms = 0.5},
     1,
     JOB_INPUT,
     4,
     "rank 1 made the others wait"},
    {"accumulation of 3",
     {.item_ms = {0, 20}, .together_every = 3, .jitter_ms = 0.5},
     1,
     JOB_INPUT,
     3,
     "rank 1 made the others wait"},
    {"epochs",
     {.item_ms = {0, 30}, .together_every = 1, .epoch = 24},
     1,
     JOB_INPUT,
     1,
     "rank 1 made the others wait"},
};

static void jobs_with_delays(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        struct job_figures figures;
        char text[640];
        begin_anew();
        add_ranks(&jobs[i].plan, 0, 0);
        assert_true(job_settle(job, &figures));
        CHECK(figures.says[0] == '\0', "%s: %s", jobs[i].what, figures.says);
        assert_int_equal(figures.ranks, RANKS);
        CHECK(figures.batches_per_step == jobs[i].batches, "%s: %u batches", jobs[i].what,
              figures.batches_per_step);
        check_truth(jobs[i].what, &jobs[i].plan, &figures);
        job_text(&figures, text, sizeof text);
        if (jobs[i].says == NULL)
            CHECK(text[0] == '\0', "%s: %s", jobs[i].what, text);
        else
            CHECK(strstr(text, jobs[i].says) != NULL, "%s: %s", jobs[i].what, text);
        if (jobs[i].says != NULL && strstr(jobs[i].says, "rank ") == jobs[i].says)
            CHECK(lost_by(&figures, jobs[i].rank, jobs[i].reason) > 0.3 * truth_s(&jobs[i].plan),
                  "%s: not of rank %d", jobs[i].what, (int)jobs[i].rank);
    }
}

/* A host that waits for its GPU in each step is in step as one without a GPU is. By their order alone,
 * ranks that meet at every fourth batch pass for ranks that meet at every second. */
static void ranks_that_meet_on_their_gpus(void **state)
{
    (void)state;
    const struct plan drifting = {.item_ms = {0, 18}, .together_every = 4, .jitter_ms = 0.5};
    for (uint32_t i = 0; i <= sizeof jobs / sizeof *jobs; i++) {
        const bool last = i == sizeof jobs / sizeof *jobs;
        const struct plan *plan = last ? &drifting : &jobs[i].plan;
        struct job_figures figures;
        begin_anew();
        add_ranks(plan, 0, 0);
        for (uint32_t m = 0; m < RANKS; m++)
            job->members[m].gpu = true;
        assert_true(job_settle(job, &figures));
        const char *what = last ? "drifting" : jobs[i].what;
        CHECK(figures.batches_per_step == (last ? 4 : jobs[i].batches), "%s: %u batches", what,
              figures.batches_per_step);
        check_truth(what, plan, &figures);
    }
}

static void ranks_that_do_not_wait_for_each_other(void **state)
{
    (void)state;
    static const struct plan plans[] = {{.item_ms = {0, 30}, .jitter_ms = 1},
                                        {.item_ms = {10, 10, 10, 10}, .jitter_ms = 20}};
    for (uint32_t i = 0; i < 2; i++) {
        struct job_figures figures;
        begin_anew();
        add_ranks(&plans[i], 0, 0);
        assert_true(job_settle(job, &figures));
        assert_true(isnan(figures.lost_s.mean) && isnan(figures.lost_share.upper));
        assert_non_null(strstr(figures.says, "not in step"));
        assert_int_equal(figures.cause_count, 0);
    }
}

/* As on one: what both machines recorded says how far their clocks are apart. */
static void two_machines_whose_clocks_differ(void **state)
{
    (void)state;
    static const int64_t shifts[] = {5000000000, -3600000000000, 1};
    for (uint32_t i = 1; i < sizeof jobs / sizeof *jobs; i++) {
        struct job_figures one, two;
        begin_anew();
        add_ranks(&jobs[i].plan, 0, 0);
        assert_true(job_settle(job, &one));
        begin_anew();
        add_ranks(&jobs[i].plan, 0, shifts[i % 2]);
        assert_true(job_settle(job, &two));
        assert_int_equal(two.nodes, 2);
        CHECK(fabs(one.lost_s.mean - two.lost_s.mean) <= 0.02 * one.active_s, "%s: %g and %g s",
              jobs[i].what, one.lost_s.mean, two.lost_s.mean);
        CHECK(two.clock_doubt_s < 0.002, "%s: %g s", jobs[i].what, two.clock_doubt_s);
    }
}

static void stretches_stand_for_the_rest(void **state)
{
    (void)state;
    const struct plan plan = {
        .item_ms = {0, 200}, .item_every = {0, 7}, .together_every = 1, .jitter_ms = 1};
    struct job_figures figures;
    add_ranks(&plan, 0, 0);
    for (uint32_t m = 0; m < RANKS; m++) { /* every other 32 of them, on one rank of every fourth */
        struct job_member *member = &job->members[m];
        uint32_t count = 0;
        for (uint32_t k = 0; k < STEPS; k++) {
            if (k / 32 % (m == 0 ? 4 : 2) == 0)
                member->steps[count++] = member->steps[k];
        }
        member->count = count;
    }
    assert_true(job_settle(job, &figures));
    assert_int_equal(figures.steps, STEPS);
    assert_int_equal(figures.steps_seen, 64);
    check_truth("thinned", &plan, &figures);
    assert_true(figures.lost_s.upper > figures.lost_s.mean);
}

static void what_a_gpu_hid_is_not_lost(void **state)
{
    (void)state;
    const struct plan plan = {.item_ms = {0, 30}, .together_every = 1, .jitter_ms = 1};
    struct job_figures figures;
    add_ranks(&plan, 0, 0);
    for (uint32_t m = 0; m < RANKS; m++) {
        struct job_member *member = &job->members[m];
        member->gpu = true;
        member->total = (struct stall_bounds){0, 0};
        for (uint32_t k = 0; k < STEPS; k++) {
            member->steps[k].lower_ns /= 3;
            member->steps[k].upper_ns /= 2;
            member->total.lower_ns += member->steps[k].lower_ns;
            member->total.upper_ns += member->steps[k].upper_ns;
        }
    }
    assert_true(job_settle(job, &figures));
    const double all_s = STEPS * 0.030;
    assert_true(figures.lost_s.lower >= all_s / 3 - 0.1 && figures.lost_s.upper <= all_s / 2 + 0.1);
    assert_true(figures.lost_s.lower < figures.lost_s.upper);
}

/* What a rank does before they meet makes all come late together: its forward pass tells, unless what the
 * others make it wait for there explains it. */
static void a_rank_that_is_slow_before_they_meet(void **state)
{
    (void)state;
    static const struct {
        struct plan plan;
        double forward_ms[RANKS];
        double lost_ms; /* per step, of rank 2 */
    } rows[] = {
        {{.together_every = 1, .jitter_ms = 1}, {20, 21, 50, 20}, 29},
        {{.together_every = 1, .jitter_ms = 1}, {20, 49, 50, 20}, 0},
        {{.together_every = 1, .jitter_ms = 1}, {20, 21, NAN, 20}, 0},
        {{.item_ms = {30}, .together_every = 1, .jitter_ms = 1}, {20, 21, 50, 20}, 0},
        {{.item_ms = {10}, .together_every = 1, .jitter_ms = 1}, {20, 21, 50, 20}, 19},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job_figures figures;
        begin_anew();
        add_ranks(&rows[i].plan, 0, 0);
        for (uint32_t m = 0; m < RANKS; m++)
            job->members[m].forward_ns = rows[i].forward_ms[job->members[m].rank] * 1e6;
        assert_true(job_settle(job, &figures));
        const double lost_s = lost_by(&figures, 2, JOB_NOT_INPUT);
        CHECK(fabs(lost_s - rows[i].lost_ms * STEPS * 1e-3) < 0.3, "row %u: %g s", i, lost_s);
    }
}

/* What it takes longer while another rank's batch is late costs nothing, where they meet behind it. */
static void a_slow_rank_beside_one_that_is_late(void **state)
{
    (void)state;
    static const struct {
        struct plan plan;
        double off; /* of the truth that may be said too little */
    } rows[] = {
        {{.slow_ms = {0, 30}, .item_ms = {50}, .item_every = {4}}, 0.03},
        {{.slow_ms = {0, 30}, .item_ms = {20}, .item_every = {4}}, 0.03},
        {{.slow_ms = {0, 30}, .item_ms = {50, 0, 40}, .item_every = {4, 0, 5}}, 0.03},
        {{.slow_ms = {0, 30}, .after_ms = {80}, .after_every = {8}}, 0.04},
        {{.slow_ms = {0, 30}, .item_ms = {50}, .item_every = {4}, .meets_in_forward = true}, 0.03},
        {{.slow_ms = {0, 30}, .item_ms = {20}, .item_every = {4}, .meets_in_forward = true}, 0.03},
        /* In each step alike: it cannot be told where they meet. */
        {{.slow_ms = {0, 30}, .item_ms = {10}}, 0.13},
        {{.slow_ms = {0, 30}, .item_ms = {10}, .meets_in_forward = true}, 0.17},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job_figures figures;
        struct plan plan = rows[i].plan;
        plan.together_every = 1;
        plan.jitter_ms = 1;
        begin_anew();
        add_ranks(&plan, 0, 0);
        for (uint32_t m = 0; m < RANKS; m++)
            job->members[m].forward_ns = forward_ms[job->members[m].rank] * 1e6;
        assert_true(job_settle(job, &figures));
        const double said_s = figures.lost_s.mean + figures.not_input_s, true_s = truth_s(&plan);
        CHECK(said_s <= true_s + 0.03 * figures.active_s &&
                  said_s >= true_s - rows[i].off * figures.active_s,
              "row %u: %g s (%g + %g, lag %u) of %g s, which lost %g", i, said_s,
              figures.lost_s.mean, figures.not_input_s, figures.batches_per_step, figures.active_s,
              true_s);
        CHECK(lost_by(&figures, 1, JOB_NOT_INPUT) > 0, "row %u", i);
    }
}

static void epochs_of_different_lengths(void **state)
{
    (void)state;
    const struct plan plan = {.item_ms = {0, 30}, .together_every = 1, .epoch = 40};
    struct job_figures figures;
    add_ranks(&plan, 0, 0);
    for (uint32_t k = 0; k < STEPS; k++)
        job->members[2].steps[k].first = k % 48 == 0;
    assert_true(job_settle(job, &figures));
    assert_true(isnan(figures.lost_s.mean));
    assert_non_null(strstr(figures.says, "uneven inputs"));
}

static void ranks_that_were_started_anew(void **state)
{
    (void)state;
    const struct plan plan = {.item_ms = {0, 30}, .together_every = 1, .jitter_ms = 1};
    struct job_figures once, twice;
    add_ranks(&plan, 0, 0);
    assert_true(job_settle(job, &once));
    add_ranks(&plan, 1, 0);
    assert_true(job_settle(job, &twice));
    assert_int_equal(twice.restarts, 1);
    assert_int_equal(twice.ranks, RANKS);
    assert_true(fabs(twice.lost_s.mean - 2 * once.lost_s.mean) < 1e-6);
    assert_true(fabs(twice.lost_share.mean - once.lost_share.mean) < 1e-6);
}

static void ranks_of_which_nothing_is_known(void **state)
{
    (void)state;
    const struct plan plan = {.item_ms = {0, 30}, .together_every = 1};
    struct job_figures figures;
    add_ranks(&plan, 0, 0);
    for (uint32_t m = 0; m < RANKS; m++)
        job->members[m].world_size = 8;
    assert_true(job_settle(job, &figures));
    assert_false(isnan(figures.lost_s.mean));
    assert_non_null(strstr(figures.note, "4 of 8 ranks"));
    begin_anew();
    assert_false(job_settle(job, &figures)); /* no rank at all */
    assert_true(figures.ranks == 0 && figures.restarts == 0 && isnan(figures.active_s));
    assert_true(figures.world_size == DATASTALL_UNKNOWN && isnan(figures.lost_s.mean));
}

/* ---- a job that goes on ---- */

/* Its ranks as a reader that polls finds them: one run, and of each rank the waits since the reading
 * before. */
static struct {
    struct run_data data;
    struct run_process processes[RANKS];
    struct run_loader loaders[RANKS];
    struct run_recent recent[RANKS];
    struct run_recent_wait waits[RANKS][STEPS + 64];
    struct summary summary;
    struct summary_process summary_processes[RANKS];
    struct summary_loader summary_loaders[RANKS];
} live;

static void open_live(uint64_t world_size)
{
    memset(&live, 0, sizeof live);
    strcpy(live.data.path, "/runs/one");
    live.data.processes = live.processes;
    live.summary = (struct summary){.data = &live.data,
                                    .processes = live.summary_processes,
                                    .loaders = live.summary_loaders,
                                    .process_count = RANKS,
                                    .loader_count = RANKS};
    for (uint32_t r = 0; r < RANKS; r++) {
        struct run_process *process = &live.processes[r];
        snprintf(process->file, sizeof process->file, "%u.dsrun", r);
        process->view.fixed.rank = r;
        process->view.fixed.world_size = world_size;
        process->view.fixed.opened_mono_ns = 1;
        process->recorded_ns = 2;
        process->recent = &live.recent[r];
        process->recent_count = 1;
        strcpy(live.loaders[r].entry.name, "train");
        live.loaders[r].threads = 1;
        live.summary_processes[r] = (struct summary_process){
            .data = process, .state = SUMMARY_RUNNING, .method = SUMMARY_METHOD_HOST_EXACT};
        live.summary_loaders[r] =
            (struct summary_loader){.data = &live.loaders[r], .process = r, .in_verdict = true};
    }
}

/* What ended between two moments, as far as the ring had room for it. */
static void read_live(struct job_step steps[RANKS][STEPS], uint64_t from_ns, uint64_t to_ns,
                      uint32_t room)
{
    for (uint32_t r = 0; r < RANKS; r++) {
        struct run_recent *recent = &live.recent[r];
        *recent = (struct run_recent){.begin_ns = 1, .waits = live.waits[r]};
        for (uint32_t k = 0; k < STEPS && steps[r][k].end_ns <= to_ns; k++) {
            const struct job_step *step = &steps[r][k];
            recent->batches++;
            recent->first += step->end_ns <= from_ns;
            if (step->end_ns > from_ns)
                live.waits[r][recent->count++] = (struct run_recent_wait){
                    .begin_ns = step->begin_ns,
                    .wait_ns = step->end_ns - step->begin_ns,
                    .exposed = {DATASTALL_UNKNOWN, DATASTALL_UNKNOWN},
                    .kind = step->first ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY};
        }
        if (recent->count > room) {
            const uint64_t missing = recent->count - room;
            memmove(live.waits[r], live.waits[r] + missing, room * sizeof *recent->waits);
            recent->first += missing;
            recent->count = room;
        }
    }
}

static struct job_watched sum_of(const struct job_watch *watch, struct job_watched ranks[RANKS])
{
    struct job_watched sum = {.steps = 0};
    memset(ranks, 0, RANKS * sizeof *ranks);
    for (uint32_t i = 0; i < job_watch_count(watch); i++) {
        const struct job_watched *one = job_watch_at(watch, i);
        ranks[one->rank] = *one;
        sum.steps = one->steps;
        sum.time_ns = one->time_ns;
        sum.input_lower_ns += one->input_lower_ns;
        sum.input_upper_ns += one->input_upper_ns;
        sum.not_input_ns += one->not_input_ns != DATASTALL_UNKNOWN ? one->not_input_ns : 0;
    }
    return sum;
}

/* Plays a plan and reads it every interval_ms; what was said in the end. */
static struct job_watched watch_job(const struct plan *plan, double interval_ms, uint32_t room,
                                    struct job_watched ranks[RANKS])
{
    static struct job_step steps[RANKS][STEPS];
    struct job_watch *watch = job_watch_new();
    struct job_watched before = {.steps = 0};
    const struct summary *const runs[] = {&live.summary};
    const double took_ms = play(plan, true, steps) * 1e3;
    uint64_t from_ns = 0;
    for (double ms = interval_ms; ms < took_ms + 2 * interval_ms; ms += interval_ms) {
        const uint64_t now_ns = (uint64_t)((START_MS + ms) * 1e6);
        read_live(steps, from_ns, now_ns, room);
        job_watch_add(watch, runs, 1, now_ns);
        job_watch_add(watch, runs, 1, now_ns); /* the same reading twice is one */
        const struct job_watched now = sum_of(watch, ranks);
        CHECK(now.steps >= before.steps && now.time_ns >= before.time_ns &&
                  now.input_lower_ns >= before.input_lower_ns &&
                  now.not_input_ns >= before.not_input_ns,
              "after %g ms something went back", ms);
        before = now;
        from_ns = now_ns;
    }
    for (uint32_t r = 0; r < RANKS; r++)
        live.summary_processes[r].state = SUMMARY_ENDED;
    job_watch_add(watch, runs, 1, from_ns); /* as many as there are in the end */
    const struct job_watched all = sum_of(watch, ranks);
    for (uint32_t r = 0; r < RANKS; r++)
        ranks[r].path = ranks[r].id = ranks[r].node = ranks[r].pod = NULL;
    job_watch_add(watch, runs, 0, from_ns);
    assert_int_equal(job_watch_count(watch), 0); /* the run is gone */
    job_watch_free(watch);
    return all;
}

static void a_job_that_goes_on(void **state)
{
    (void)state;
    static const double intervals_ms[] = {130, 900};
    for (uint32_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        for (uint32_t k = 0; k < 2; k++) {
            struct job_watched ranks[RANKS];
            open_live(RANKS);
            const struct job_watched all = watch_job(&jobs[i].plan, intervals_ms[k], 512, ranks);
            const uint32_t batches = jobs[i].batches;
            CHECK((all.steps + 2) * batches >= STEPS && all.steps * batches < STEPS, "%s: %u steps",
                  jobs[i].what, (unsigned)all.steps);
            const double said = (double)(all.input_lower_ns + all.not_input_ns) * 1e-9;
            const double seen = (double)(all.steps * batches) / STEPS;
            CHECK(fabs(said - seen * truth_s(&jobs[i].plan)) < 0.04 * (double)all.time_ns * 1e-9,
                  "%s: %g s said, %g s lost", jobs[i].what, said, truth_s(&jobs[i].plan));
            assert_true(all.input_lower_ns <= all.input_upper_ns);
            const struct job_watched *most = &ranks[jobs[i].rank];
            if (jobs[i].says != NULL && strncmp(jobs[i].says, "rank ", 5) == 0)
                CHECK((double)(jobs[i].reason == JOB_INPUT ? most->input_lower_ns
                                                           : most->not_input_ns) > 0.3e9 * said,
                      "%s: not of rank %d", jobs[i].what, (int)jobs[i].rank);
        }
    }
}

/* What a ring had no room for is in none of the sums: neither what was lost nor the time of it. */
static void a_job_of_which_part_is_seen(void **state)
{
    (void)state;
    const struct plan plan = {.item_ms = {0, 30}, .together_every = 1, .jitter_ms = 1};
    struct job_watched ranks[RANKS];
    open_live(RANKS);
    const struct job_watched all = watch_job(&plan, 2000, 24, ranks);
    assert_true(all.steps > STEPS / 4 && all.steps < STEPS * 3 / 4);
    const double share = (double)all.input_lower_ns / (double)all.time_ns;
    CHECK(fabs(share - 30 / 50.5) < 0.03, "%g", share);
    assert_true(ranks[1].input_lower_ns == all.input_lower_ns);
    assert_true(ranks[1].last_by_input == all.steps && ranks[0].last_by_input == 0);
}

static void a_job_of_which_nothing_is_said(void **state)
{
    (void)state;
    const struct plan apart = {.item_ms = {0, 30}, .jitter_ms = 1};
    const struct plan together = {.item_ms = {0, 30}, .together_every = 1, .jitter_ms = 1};
    struct job_watched ranks[RANKS];
    open_live(RANKS);
    assert_int_equal(watch_job(&apart, 900, 512, ranks).steps, 0);
    open_live(RANKS);
    live.loaders[3].threads = 2; /* the batches of that rank have no order */
    assert_true(watch_job(&together, 900, 512, ranks).steps > 0);
    assert_int_equal(ranks[3].steps, 0);
    assert_true(ranks[0].steps > 0);
    open_live(RANKS);
    live.processes[1].view.fixed.rank = 0; /* the same rank twice */
    assert_int_equal(watch_job(&together, 900, 512, ranks).steps, 0);
    open_live(1);
    live.summary.loader_count = 1; /* a process that is alone in the world */
    assert_int_equal(watch_job(&together, 900, 512, ranks).steps, 0);
}

/* Of a job on other machines too: what it stalls, it may cost them. */
static void a_rank_alone_on_its_machine(void **state)
{
    (void)state;
    const struct plan plan = {.item_ms = {30}, .together_every = 1, .jitter_ms = 1};
    struct job_watched ranks[RANKS];
    open_live(RANKS);
    live.summary.loader_count = 1;
    const struct job_watched all = watch_job(&plan, 900, 512, ranks);
    assert_true(all.steps > STEPS - 8);
    assert_true(fabs((double)all.input_lower_ns * 1e-9 - (double)all.steps * 0.03005) < 0.01);
    assert_true(ranks[0].not_input_ns == DATASTALL_UNKNOWN);
}

/* A job of the same id that was started again: who ended before that is not waited for. */
static void a_job_that_is_started_again_with_fewer_ranks(void **state)
{
    (void)state;
    const struct plan plan = {.item_ms = {0, 30}, .together_every = 1, .jitter_ms = 1};
    static const struct {
        uint32_t ended;
        uint64_t ended_ns; /* the others began at 6 */
        bool is_left;
    } rows[] = {{3, 5, true}, {0, 5, true}, {2, 5, true}, {0, 6, false}, {3, 6, false}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint32_t ended = rows[i].ended;
        struct job_watched ranks[RANKS];
        open_live(RANKS);
        live.summary_processes[ended].state = SUMMARY_ENDED;
        for (uint32_t r = 0; r < RANKS; r++) {
            live.processes[r].recorded_ns = r == ended ? rows[i].ended_ns : UINT64_MAX;
            live.processes[r].view.fixed.opened_mono_ns = r == ended ? 1 : 6;
        }
        CHECK(watch_job(&plan, 900, 512, ranks).steps > 0, "row %u", i);
        for (uint32_t r = 0; r < RANKS; r++)
            CHECK((ranks[r].steps == 0) == (rows[i].is_left && r == ended), "row %u, rank %u", i,
                  r);
        assert_true(ranks[1].input_lower_ns > 0);
    }
}

/* Two groups of two ranks each, told in no order: their ranks are put side by side by what the groups
 * differ in, however the readings list them. */
static void groups_that_are_told_in_any_order(void **state)
{
    (void)state;
    enum { BY_LOADER, BY_RESTART, BY_JOB, ONE_GROUP_OF_THREE };
    const struct plan plan = {.item_ms = {20, 0, 0, 20}, .together_every = 1, .jitter_ms = 1};
    static const uint32_t orders[][RANKS] = {
        {0, 1, 2, 3}, {3, 2, 1, 0}, {2, 1, 3, 0}, {1, 3, 0, 2}};
    static struct job_step steps[RANKS][STEPS];
    play(&plan, true, steps);
    for (uint32_t by = BY_LOADER; by <= ONE_GROUP_OF_THREE; by++) {
        for (uint32_t o = 0; o < sizeof orders / sizeof *orders; o++) {
            struct job_watch *watch = job_watch_new();
            const struct summary *const runs[] = {&live.summary};
            const bool three = by == ONE_GROUP_OF_THREE;
            uint32_t listed = 0;
            open_live(RANKS);
            for (uint32_t i = 0; i < RANKS; i++) { /* groups are 0 and 1, 2 and 3 */
                const uint32_t r = orders[o][i], second = r / 2;
                struct rf_process_static *fixed = &live.processes[r].view.fixed;
                fixed->rank = three ? r : r % 2;
                if (by == BY_LOADER)
                    strcpy(live.loaders[r].entry.name, second ? "train" : "valid");
                fixed->restart = by == BY_RESTART ? second : 0;
                if (by == BY_JOB)
                    strcpy(fixed->job, second ? "7" : "8");
                if (three && r == 3)
                    continue;
                live.summary_loaders[listed++] = (struct summary_loader){
                    .data = &live.loaders[r], .process = r, .in_verdict = true};
            }
            live.summary.loader_count = listed;
            uint64_t from_ns = 0;
            for (uint32_t look = 1; look <= 5; look++) {
                const uint64_t to_ns = steps[0][40 * look].end_ns;
                read_live(steps, from_ns, to_ns, 512);
                job_watch_add(watch, runs, 1, look * 2 * UINT64_C(1000000000));
                from_ns = to_ns;
            }
            CHECK(job_watch_count(watch) == listed, "%u, order %u: %u said", by, o,
                  job_watch_count(watch));
            for (uint32_t i = 0; i < job_watch_count(watch); i++) {
                const struct job_watched *one = job_watch_at(watch, i);
                CHECK(one->steps > 150 && one->not_input_ns != DATASTALL_UNKNOWN,
                      "%u, order %u: %u steps", by, o, (unsigned)one->steps);
            }
            job_watch_free(watch);
        }
    }
}

/* A look is worth it once a second, of 16 new batches, or of any after 5 s; the first of 32. */
static void how_often_a_job_is_looked_at(void **state)
{
    (void)state;
    const struct plan plan = {.item_ms = {0, 30}, .together_every = 1};
    static struct job_step steps[RANKS][STEPS];
    static const struct {
        uint32_t first, more; /* batches: two looks at so many, and at more of them then */
        double after_s;
        uint32_t counted; /* steps by then; of two looks all but the first batch */
    } rows[] = {{32, 16, 1, 63},    {32, 15, 1, 47},     {32, 17, 1, 64}, {32, 16, 0.999999999, 47},
                {32, 16, 1.5, 63},  {32, 15, 4.999, 47}, {32, 15, 5, 62}, {32, 1, 5, 48},
                {32, 0, 5, 47},     {31, 16, 1, 62},     {31, 15, 1, 0},  {33, 16, 1, 64},
                {32, 15, 5.001, 62}};
    play(&plan, true, steps);
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job_watch *watch = job_watch_new();
        struct job_watched ranks[RANKS];
        const struct summary *const runs[] = {&live.summary};
        const uint32_t counts[3] = {rows[i].first, rows[i].first + 16,
                                    rows[i].first + 16 + rows[i].more};
        uint64_t from_ns = 0, now_ns = 100 * UINT64_C(1000000000);
        open_live(RANKS);
        for (uint32_t look = 0; look < 3; look++) {
            const uint64_t to_ns = steps[1][counts[look] - 1].end_ns; /* the last of them to come */
            read_live(steps, from_ns, to_ns, 512);
            job_watch_add(watch, runs, 1, now_ns);
            from_ns = to_ns;
            now_ns += look == 0 ? UINT64_C(10000000000) : (uint64_t)(rows[i].after_s * 1e9);
        }
        const struct job_watched all = sum_of(watch, ranks);
        CHECK(all.steps == rows[i].counted, "row %u: %u steps", i, (unsigned)all.steps);
        job_watch_free(watch);
    }
}

/* ---- one rank, wait by wait ---- */

/* Batches of 50 ms: one in `epoch` is the first of its iterator, which took 10 ms to make, and waits 5 ms;
 * the others wait 20 ms. Its slot's records are one more for each iterator that is told. */
struct lone {
    enum summary_method method;
    uint32_t epoch, iterators; /* so many of these are told */
    bool iter_is_known;
    struct stall_bounds first, steady; /* exposed, of each, in ms; DATASTALL_UNKNOWN */
};

#define LONE_RECORDS 2000u
#define IN_MS UINT64_C(1000000)
static struct run_recent_wait lone_waits[LONE_RECORDS];

static struct stall_bounds exposed_of(const struct stall_bounds *ms)
{
    struct stall_bounds ns = {DATASTALL_UNKNOWN, DATASTALL_UNKNOWN};
    if (ms->upper_ns != DATASTALL_UNKNOWN)
        ns = (struct stall_bounds){ms->lower_ns * IN_MS, ms->upper_ns * IN_MS};
    return ns;
}

/* Records of batches [0, batches); returns how many. */
static uint64_t record_lone(const struct lone *lone, uint32_t batches)
{
    uint64_t count = 0, at_ns = 1000 * IN_MS;
    for (uint32_t k = 0; k < batches; k++, at_ns += 50 * IN_MS) {
        const bool first = lone->epoch > 0 && k % lone->epoch == 0;
        if (first && k / lone->epoch < lone->iterators)
            lone_waits[count++] = (struct run_recent_wait){
                .begin_ns = at_ns,
                .wait_ns = lone->iter_is_known ? 10 * IN_MS : DATASTALL_UNKNOWN,
                .exposed = {DATASTALL_UNKNOWN, DATASTALL_UNKNOWN},
                .kind = DATASTALL_WAIT_ITER};
        lone_waits[count++] =
            (struct run_recent_wait){.begin_ns = at_ns + (first ? 10 : 0) * IN_MS,
                                     .wait_ns = (first ? 5 : 20) * IN_MS,
                                     .exposed = exposed_of(first ? &lone->first : &lone->steady),
                                     .kind = first ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY};
    }
    assert_true(count <= LONE_RECORDS);
    return count;
}

static void open_lone(const struct lone *lone)
{
    open_live(RANKS);
    live.summary.loader_count = 1;
    live.summary_processes[0].method = lone->method;
    live.recent[0] = (struct run_recent){.begin_ns = 1};
}

/* A look when there are so many batches, two seconds after the one before. */
static void look_at_lone(struct job_watch *watch, const struct lone *lone, uint32_t batches,
                         uint64_t second)
{
    const struct summary *const runs[] = {&live.summary};
    struct run_recent *recent = &live.recent[0];
    const uint64_t first = recent->first + recent->count;
    const uint64_t records = record_lone(lone, batches);
    recent->first = first;
    recent->count = records - first;
    recent->waits = lone_waits + first;
    recent->batches = batches;
    job_watch_add(watch, runs, 1, second * UINT64_C(1000000000));
}

static void what_a_wait_stalled(void **state)
{
    (void)state;
#define MS_UNKNOWN {DATASTALL_UNKNOWN, DATASTALL_UNKNOWN}
    static const struct {
        struct lone lone;
        uint64_t steady[2], first[2]; /* stalled, at least and at most, in ms */
    } rows[] = {
        {{SUMMARY_METHOD_HOST_EXACT, 0, 0, true, MS_UNKNOWN, MS_UNKNOWN}, {20, 20}, {0, 0}},
        {{SUMMARY_METHOD_HOST_EXACT, 8, 99, true, {1, 2}, {4, 8}}, {20, 20}, {15, 15}},
        /* An iterator that is not told, or how long it took, is in no batch. */
        {{SUMMARY_METHOD_HOST_EXACT, 8, 0, true, MS_UNKNOWN, MS_UNKNOWN}, {20, 20}, {5, 5}},
        {{SUMMARY_METHOD_HOST_EXACT, 8, 1, true, MS_UNKNOWN, MS_UNKNOWN}, {20, 20}, {5, 5}},
        {{SUMMARY_METHOD_HOST_EXACT, 8, 99, false, MS_UNKNOWN, MS_UNKNOWN}, {20, 20}, {5, 5}},
        {{SUMMARY_METHOD_HOST_BOUND, 8, 99, true, {1, 2}, {4, 8}}, {0, 20}, {0, 15}},
        {{SUMMARY_METHOD_UNKNOWN, 8, 99, true, {1, 2}, {4, 8}}, {0, 20}, {0, 15}},
        /* Of the iterator it is not told what the GPU did meanwhile. */
        {{SUMMARY_METHOD_GPU_EVENTS, 8, 99, true, {1, 2}, {4, 8}}, {4, 8}, {1, 12}},
        {{SUMMARY_METHOD_GPU_EVENTS, 8, 99, true, {3, 5}, {20, 20}}, {20, 20}, {3, 15}},
        {{SUMMARY_METHOD_GPU_EVENTS, 8, 99, true, {3, 9}, {4, 30}}, {4, 20}, {3, 15}},
        {{SUMMARY_METHOD_GPU_EVENTS, 8, 99, true, MS_UNKNOWN, MS_UNKNOWN}, {0, 20}, {0, 15}},
        {{SUMMARY_METHOD_GPU_EVENTS, 8, 0, true, {1, 2}, {4, 8}}, {4, 8}, {1, 2}},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct lone *lone = &rows[i].lone;
        struct job_watch *watch = job_watch_new();
        struct job_watched ranks[RANKS];
        open_lone(lone);
        for (uint32_t look = 1; look <= 4; look++)
            look_at_lone(watch, lone, 25 + 20 * look, 2 * look);
        const struct job_watched all = sum_of(watch, ranks);
        const uint64_t firsts = lone->epoch > 0 ? 104 / lone->epoch : 0; /* but the very first */
        CHECK(all.steps == 104, "row %u: %u steps", i, (unsigned)all.steps);
        const uint64_t lower = rows[i].first[0] * firsts + rows[i].steady[0] * (104 - firsts);
        const uint64_t upper = rows[i].first[1] * firsts + rows[i].steady[1] * (104 - firsts);
        CHECK(all.input_lower_ns == lower * IN_MS && all.input_upper_ns == upper * IN_MS,
              "row %u: %g to %g ms, not %u to %u", i, (double)all.input_lower_ns * 1e-6,
              (double)all.input_upper_ns * 1e-6, (unsigned)lower, (unsigned)upper);
        assert_true(ranks[0].not_input_ns == DATASTALL_UNKNOWN);
        job_watch_free(watch);
    }
}

/* Each batch counts once, however many come between two looks: of more than there is room for, the newest. */
static void as_many_as_are_kept(void **state)
{
    (void)state;
    static const struct lone lone = {SUMMARY_METHOD_HOST_EXACT, 0, 0, true, MS_UNKNOWN, MS_UNKNOWN};
    static const struct {
        uint32_t looks, batches, steps; /* by each look so many more */
    } rows[] = {{2, 512, 1023},         /* all of the room */
                {2, 513, 1025 - 512},   /* one more: half of it is dropped */
                {3, 500, 999 + 500},    /* what was counted makes room */
                {15, 100, 1499},
                {80, 20, 1599}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job_watch *watch = job_watch_new();
        struct job_watched ranks[RANKS];
        open_lone(&lone);
        for (uint32_t look = 1; look <= rows[i].looks; look++)
            look_at_lone(watch, &lone, rows[i].batches * look, 2 * look);
        const struct job_watched all = sum_of(watch, ranks);
        CHECK(all.steps == rows[i].steps, "row %u: %u steps", i, (unsigned)all.steps);
        assert_int_equal(all.input_lower_ns, all.steps * 20 * IN_MS);
        assert_int_equal(all.time_ns, all.steps * 50 * IN_MS);
        job_watch_free(watch);
    }
}

static void who_is_watched(void **state)
{
    (void)state;
    static const struct lone lone = {SUMMARY_METHOD_HOST_EXACT, 0, 0, true, MS_UNKNOWN, MS_UNKNOWN};
    struct job_watch *watch = job_watch_new();
    open_lone(&lone);
    struct rf_process_static *fixed = &live.processes[0].view.fixed;
    strcpy(fixed->hostname, "machine-3");
    strcpy(fixed->pod, "train-0");
    look_at_lone(watch, &lone, 34, 2);
    look_at_lone(watch, &lone, 80, 4);
    assert_int_equal(job_watch_count(watch), 1);
    const struct job_watched *one = job_watch_at(watch, 0);
    assert_string_equal(one->path, "/runs/one");
    assert_string_equal(one->node, "machine-3");
    assert_string_equal(one->pod, "train-0");
    assert_int_equal(one->rank, 0);
    job_watch_free(watch);
}

/* A thread that comes to use a GPU goes on in another slot, where its records have numbers of their own; its
 * batches are counted on. What other loaders wait for is not its. */
static void a_loader_that_goes_on_in_another_slot(void **state)
{
    (void)state;
    static const struct lone lone = {SUMMARY_METHOD_HOST_EXACT, 0, 0, true, MS_UNKNOWN, MS_UNKNOWN};
    for (uint32_t order = 0; order < 3;
         order++) { /* the new slot behind, before, or another's beside it */
        struct job_watch *watch = job_watch_new();
        struct job_watched ranks[RANKS];
        struct run_recent recents[3];
        const struct summary *const runs[] = {&live.summary};
        open_lone(&lone);
        look_at_lone(watch, &lone, 34, 2);
        look_at_lone(watch, &lone, 50, 4);
        assert_int_equal(sum_of(watch, ranks).steps, 49);
        record_lone(&lone, 90);
        const struct run_recent old = {.slot = 0, .begin_ns = 1, .first = 50, .batches = 50};
        const struct run_recent next = {
            .slot = 1, .begin_ns = 2, .count = 40, .batches = 40, .waits = lone_waits + 50};
        const struct run_recent other = {.slot = 2,
                                         .loader = 9,
                                         .begin_ns = 3,
                                         .count = 40,
                                         .batches = 300,
                                         .waits = lone_waits};
        recents[0] = order == 1 ? next : old;
        recents[1] = order == 1 ? old : next;
        recents[2] = other;
        live.processes[0].recent = recents;
        live.processes[0].recent_count = order == 2 ? 3 : 2;
        job_watch_add(watch, runs, 1, 6 * UINT64_C(1000000000));
        const struct job_watched all = sum_of(watch, ranks);
        CHECK(all.steps == 89, "order %u: %u steps", order, (unsigned)all.steps);
        assert_int_equal(all.time_ns, 89 * 50 * IN_MS);
        job_watch_free(watch);
    }
}

/* Of machines whose histories have spans of other lengths. */
static void rates_of_several_machines(void **state)
{
    (void)state;
    struct rates sum = {.width_s = 0};
    struct rates fine = {.width_s = 1, .count = 10, .samples_known = true};
    struct rates wide = {.width_s = 4, .count = 3, .samples_known = true};
    for (uint32_t i = 0; i < 10; i++)
        fine.samples_per_s[i] = 8 * (fine.batches_per_s[i] = i);
    for (uint32_t i = 0; i < 3; i++)
        wide.samples_per_s[i] = 8 * (wide.batches_per_s[i] = 100);
    rates_add(&sum, &fine);
    assert_int_equal(sum.count, 10);
    rates_add(&sum, &wide);
    assert_int_equal(sum.width_s, 4);
    assert_int_equal(sum.count, 2); /* as far as both go */
    assert_true(sum.batches_per_s[0] == 101.5 && sum.batches_per_s[1] == 105.5);
    assert_true(sum.samples_per_s[0] == 812 && sum.samples_per_s[1] == 844);
    assert_true(sum.samples_known);
    fine.samples_known = false;
    rates_add(&sum, &fine);
    assert_true(sum.batches_per_s[1] == 111 && !sum.samples_known);
}

/* ---- many jobs ---- */

static bool are_round; /* then ranks are often as late as one another */

static double made_up_ms(uint64_t most)
{
    return are_round ? (double)(made_up_below(most) / 20 * 20)
                     : (double)made_up_below(most * 10) / 10;
}

static void make_up(struct plan *plan)
{
    const bool some = made_up_once_in(2);
    memset(plan, 0, sizeof *plan);
    for (uint32_t r = 0; r < RANKS; r++) {
        if (made_up_once_in(some ? 3 : 1)) {
            plan->item_ms[r] = made_up_ms(made_up_once_in(3) ? 400 : 60);
            plan->item_every[r] = (uint32_t)made_up_below(12);
        }
        if (made_up_once_in(4)) {
            plan->after_ms[r] = made_up_ms(600);
            plan->after_every[r] = (uint32_t)made_up_below(30);
        }
        plan->slow_ms[r] = made_up_once_in(6) ? made_up_ms(30) : 0;
    }
    plan->meets_in_forward = made_up_once_in(4);
    plan->together_every = made_up_once_in(8) ? 0 : 1 + (uint32_t)made_up_below(4);
    plan->jitter_ms = made_up_ms(2);
    plan->epoch = made_up_once_in(3) ? 10 + (uint32_t)made_up_below(100) : 0;
}

static void say_details(const struct job_details *details)
{
    const struct emitter *e = approved_emitter();
    for (uint32_t r = 0; r < details->rank_count; r++) {
        const struct job_rank *rank = &details->ranks[r];
        e->string(NULL, "node", rank->node);
        e->integer(NULL, "rank", rank->rank);
        e->integer(NULL, "batches", rank->batches);
        e->real(NULL, "active_s", rank->active_s);
        e->real(NULL, "stall_s", rank->stall_s);
        e->real(NULL, "input_s", rank->input_s);
        e->real(NULL, "not_input_s", rank->not_input_s);
        e->integer(NULL, "input_last", rank->input_last);
        e->integer(NULL, "late_last", rank->late_last);
    }
    e->real(NULL, "span_s", details->span_s);
    for (uint32_t i = 0; i < JOB_SPANS && details->span_s > 0; i++) {
        const struct job_span *span = &details->spans[i];
        e->integer(NULL, "steps", span->steps);
        e->real(NULL, "input_s", span->input_s);
        e->real(NULL, "not_input_s", span->not_input_s);
        e->real(NULL, "most_s", span->most_s);
        e->integer(NULL, "most", span->most);
    }
}

static void say_watched(const struct plan *plan, uint32_t room)
{
    struct job_watched ranks[RANKS];
    const struct emitter *e = approved_emitter();
    memset(ranks, 0, sizeof ranks);
    watch_job(plan, made_up_ms(2000) + 200, room, ranks);
    for (uint32_t r = 0; r < RANKS; r++) {
        e->integer(NULL, "steps", ranks[r].steps);
        e->integer(NULL, "time_ns", ranks[r].time_ns);
        e->integer(NULL, "input_lower_ns", ranks[r].input_lower_ns);
        e->integer(NULL, "input_upper_ns", ranks[r].input_upper_ns);
        e->integer(NULL, "not_input_ns", ranks[r].not_input_ns);
        e->integer(NULL, "last_by_input", ranks[r].last_by_input);
        e->integer(NULL, "last_by_other", ranks[r].last_by_other);
    }
}

/* As somebody approved them (approved.h). */
static void many_jobs(void **state)
{
    (void)state;
    approved_begin("many_jobs");
    for (uint32_t i = 0; i < 220; i++) {
        struct job_figures figures;
        struct job_details details;
        struct plan plan;
        char text[640];
        made_up_begin(i);
        are_round = i >= 120;
        make_up(&plan);
        begin_anew();
        add_ranks(&plan, 0, made_up_once_in(4) ? (int64_t)made_up_below(10000000) - 5000000 : 0);
        if (made_up_once_in(6)) /* cut: the ranks are not as long */
            job->members[made_up_below(RANKS)].count -= 1 + (uint32_t)made_up_below(STEPS / 2);
        for (uint32_t m = 0; m < job->count; m++)
            job->members[m].gpu = i % 3 == 0;
        approved_input();
        if (job_settle_in_detail(job, &figures, &details)) {
            output_job_shape(&figures, approved_emitter());
            job_text(&figures, text, sizeof text);
            fprintf(approved_stream(), "%s\n", text);
            say_details(&details);
            job_details_free(&details);
            approved_label("%.40s", figures.says[0] != '\0' ? figures.says : text);
        }
        say_watched(&plan, made_up_once_in(3) ? 24 : 512);
    }
    approved_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(jobs_with_delays, begin, end),
        cmocka_unit_test_setup_teardown(many_jobs, begin, end),
        cmocka_unit_test_setup_teardown(ranks_that_meet_on_their_gpus, begin, end),
        cmocka_unit_test_setup_teardown(ranks_that_do_not_wait_for_each_other, begin, end),
        cmocka_unit_test_setup_teardown(two_machines_whose_clocks_differ, begin, end),
        cmocka_unit_test_setup_teardown(stretches_stand_for_the_rest, begin, end),
        cmocka_unit_test_setup_teardown(what_a_gpu_hid_is_not_lost, begin, end),
        cmocka_unit_test_setup_teardown(a_rank_that_is_slow_before_they_meet, begin, end),
        cmocka_unit_test_setup_teardown(a_slow_rank_beside_one_that_is_late, begin, end),
        cmocka_unit_test_setup_teardown(epochs_of_different_lengths, begin, end),
        cmocka_unit_test_setup_teardown(ranks_that_were_started_anew, begin, end),
        cmocka_unit_test_setup_teardown(ranks_of_which_nothing_is_known, begin, end),
        cmocka_unit_test(rates_of_several_machines),
        cmocka_unit_test(a_job_that_goes_on),
        cmocka_unit_test(a_job_of_which_part_is_seen),
        cmocka_unit_test(a_job_of_which_nothing_is_said),
        cmocka_unit_test(a_rank_alone_on_its_machine),
        cmocka_unit_test(a_job_that_is_started_again_with_fewer_ranks),
        cmocka_unit_test(groups_that_are_told_in_any_order),
        cmocka_unit_test(how_often_a_job_is_looked_at),
        cmocka_unit_test(what_a_wait_stalled),
        cmocka_unit_test(as_many_as_are_kept),
        cmocka_unit_test(who_is_watched),
        cmocka_unit_test(a_loader_that_goes_on_in_another_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
