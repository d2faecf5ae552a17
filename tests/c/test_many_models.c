/* SPDX-License-Identifier: Apache-2.0 */
/* What batches that are all different are taken to have cost, and what such costs make of other settings,
 * as somebody approved it (approved.h): in the plans of many_worlds one batch is like another. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "approved.h"
#include "diagnose/machine.h"
#include "diagnose/moments.h"
#include "diagnose/predict.h"
#include "recorded.h"
#include "world.h"

#define MODELS 250u
#define ROUND_MODELS 150u /* from there on round ones */
#define MACHINES 450u
#define ROUND_MACHINES 250u
#define BATCHES 96u
#define IN_MS 1e6

static bool are_round;

static void begin_input(uint64_t seed, bool is_round)
{
    made_up_begin(seed);
    made_up_round(is_round);
    are_round = is_round;
}

static double made_up_ms(uint64_t most)
{
    if (are_round)
        return (double)made_up_below(most + 1) * IN_MS;
    return (double)made_up_below(1000 * most + 1) * 1e-3 * IN_MS;
}

/* ---- what batches cost ---- */

static void make_plan(struct recorded_plan *plan)
{
    *plan = (struct recorded_plan)RECORDED_PLAN;
    plan->workers = (uint32_t)made_up_below(5);
    plan->prefetch = 1 + (uint32_t)made_up_below(3);
    plan->epochs = made_up_once_in(2) ? 4 : 1;
    plan->batches = RECORDED_BATCHES / plan->epochs;
    plan->items = 20 + (uint32_t)made_up_below(250);
    plan->cpu = (uint32_t)made_up_part(plan->items / 2);
    plan->threads = made_up_once_in(3) ? plan->items / 4 : 0;
    plan->delay = made_up_once_in(3) ? plan->items / 8 : 0;
    plan->collate = (uint32_t)made_up_below(60);
    plan->collate_cpu = (uint32_t)made_up_part(plan->collate / 2);
    plan->collate_delay = made_up_once_in(2) ? plan->collate / 4 : 0;
    plan->send = (uint32_t)made_up_below(20);
    plan->latency = (uint32_t)made_up_below(20);
    plan->pin = made_up_once_in(3) ? 1 + (uint32_t)made_up_below(20) : 0;
    plan->consumed = 10 + (uint32_t)made_up_below(120);
    plan->loop_cpu = (uint32_t)made_up_part(plan->consumed);
    plan->first_items = made_up_once_in(2) ? (uint32_t)made_up_below(900) : 0;
    plan->first_handover = made_up_once_in(3) ? (uint32_t)made_up_below(100) : 0;
    plan->persistent = made_up_once_in(3);
}

/* Each time of each batch between half of what it was and half as much again; one in so many is not known. */
static void vary_batches(uint64_t unknown_in, bool hides)
{
    for (uint32_t i = 0; i < RECORDED_BATCHES; i++) {
        struct rf_stretch_batch *row = &recorded.batches[i];
        for (uint32_t t = 0; t < RF_BATCH_TIMES; t++) {
            if (row->times[t] == RF_STRETCH_UNKNOWN)
                continue;
            row->times[t] = row->times[t] / 2 + (uint32_t)made_up_below(row->times[t] + 1);
            if (unknown_in > 0 && t != RF_BATCH_WAITED && made_up_once_in(unknown_in))
                row->times[t] = RF_STRETCH_UNKNOWN;
        }
        row->times[RF_BATCH_SAMPLER] = (uint32_t)made_up_below(3 * TICK_UNITS);
        if (!hides || row->times[RF_BATCH_WAITED] == RF_STRETCH_UNKNOWN)
            continue;
        row->times[RF_BATCH_EXPOSED_UPPER] = (uint32_t)made_up_part(row->times[RF_BATCH_WAITED]);
        row->times[RF_BATCH_EXPOSED_LOWER] =
            (uint32_t)made_up_part(row->times[RF_BATCH_EXPOSED_UPPER]);
    }
}

static void make_why(struct why *why, const struct recorded_plan *plan)
{
    why->host.cpus_usable = 1 + (double)made_up_below(8);
    why->host.idle_cpus = why->host.cpus_usable * (double)made_up_below(11) / 10;
    why->host.loop_cpus = (double)made_up_below(10) / 10;
    why->host.shm_size_bytes = made_up_once_in(3) ? 1e9 : NAN;
    why->work.running_cpus = (double)made_up_below(20) / 10;
    why->work.tensor_bytes = made_up_once_in(2) ? made_up_size(12, 30) : 0;
    why->work.sent = why->work.batches;
    why->work.sent_tensors = why->work.batches * made_up_size(0, 7);
    why->work.opened_ns = made_up_once_in(3) ? made_up_size(20, 30) : 0;
    why->work.generations = plan->workers * (plan->persistent ? 1 : plan->epochs);
    why->work.startup_ns = why->work.generations * made_up_size(20, 28);
}

static void make_head(uint64_t *head, const struct recorded_plan *plan)
{
    head[RF_STRETCH_NEW] = plan->persistent ? 1 : plan->epochs;
    head[RF_STRETCH_NEW_ITER_NS] = head[RF_STRETCH_NEW] * made_up_size(20, 28);
    head[RF_STRETCH_NEW_FIRST_NS] = head[RF_STRETCH_NEW] * made_up_size(20, 30);
    head[RF_STRETCH_AGAIN] = plan->epochs - head[RF_STRETCH_NEW];
    head[RF_STRETCH_AGAIN_ITER_NS] = head[RF_STRETCH_AGAIN] * made_up_size(18, 24);
    head[RF_STRETCH_ENDS] = made_up_once_in(2) ? plan->epochs : 0;
    head[RF_STRETCH_ENDS_NS] = head[RF_STRETCH_ENDS] * made_up_size(20, 28);
}

static void say_costs(FILE *out, const struct machine_costs *costs)
{
    const double told[] = {
        costs->cpus,      costs->speed,         costs->gap,           costs->send,
        costs->latency,   costs->get,           costs->tail,          costs->pin,
        costs->index,     costs->overhead,      costs->iter,          costs->boot,
        costs->iter_each, costs->open,          costs->first_send,    costs->end,
        costs->end_each,  costs->first_running, costs->first_blocked, costs->again,
        costs->slice,     costs->parallel,      costs->again_each,    costs->again_end};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        fprintf(out, "%.5g ", told[i]);
    fputs("\n", out);
}

static void say_model(FILE *out, const struct predict_model *model)
{
    const double told[] = {
        model->measured_ns,     model->measured_waited_ns, model->iter_ns,   model->first_wait_ns,
        model->tensors,         model->batch_bytes,        model->shm_bytes, model->noise,
        (double)model->samples, (double)model->spawned};
    const struct machine_load *load = &model->load;
    say_costs(out, &model->costs);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        fprintf(out, "%.5g ", told[i]);
    fprintf(out, "%d %d %d %d %d %d\n", model->is_stream, model->is_unsplit, model->is_storage,
            model->is_made_anew, model->is_held_up, load->anew);
    fprintf(out, "%u %u %d %d\n", model->setting.workers, model->setting.prefetch_factor,
            model->setting.in_order, model->setting.persistent);
    fprintf(out, "%u of %llu times %llu in %u: %.5g %.5g %.5g %.5g %.5g\n", load->count,
            (unsigned long long)load->epochs, (unsigned long long)load->epoch_batches, load->pieces,
            load->running_times, load->blocked_times, load->collate_times, load->delay_times,
            load->consumed_less);
    for (uint32_t i = 0; i < load->count; i++) {
        const struct machine_batch *b = &model->batches[i];
        fprintf(out, "%.5g %.5g %.5g %.5g %.5g %.5g %.5g\n", b->blocked, b->running, b->collate,
                b->collate_blocked, b->delayed, b->consumed_running, b->consumed_else);
    }
}

/* The same batches as the run of a process, whose waits they were. */
static void say_moments(FILE *out)
{
    static struct moments moments;
    begin_world(1);
    set_wait(0, 1, 1 + (uint64_t)recorded.took, (uint64_t)recorded.took / 2);
    struct run_loader *loader = &world.loaders[0];
    loader->entry = recorded.loader.entry;
    loader->totals.counters[RF_COUNT_BATCHES] = RECORDED_BATCHES;
    world.processes[0].stretches = &recorded.stretches;
    world.processes[0].stretches_count = 1;
    struct summary *summary = made(1000 * S);
    if (!moments_of(summary, &summary->loaders[0], &moments))
        moments.count = moments.slow_count = 0;
    fprintf(out, "%u moments, %u slow waits, %.5g\n", moments.count, moments.slow_count,
            moments.possible);
    for (uint32_t i = 0; i < moments.count; i++) {
        const struct moment *m = &moments.of[i];
        fprintf(out, "%.5g %u %.5g %.5g %.5g %.5g", m->at_ns, m->waits, m->wait_p50_ns,
                m->wait_p95_ns, m->wait_max_ns, m->ready_mean);
        for (uint32_t c = 0; c < CAUSE_STATES; c++)
            fprintf(out, " %.5g", m->causes[c]);
        fputs("\n", out);
    }
    for (uint32_t i = 0; i < moments.slow_count; i++) {
        const struct moment_slow *slow = &moments.slow[i];
        fprintf(out, "%.5g %.5g %llu\n", slow->at_ns, slow->wait_ns,
                (unsigned long long)slow->batch);
        for (uint32_t k = 0; k < slow->count; k++) {
            const struct moment_batch *b = &slow->batches[k];
            fprintf(out, "%llu %u %.5g %.5g %.5g %.5g %.5g\n", (unsigned long long)b->batch,
                    b->worker, b->begun_ns, b->items_ns, b->made_ns, b->asked_ns, b->got_ns);
        }
    }
    summary_free(summary);
}

static void models(void **state)
{
    (void)state;
    approved_begin("many_models");
    for (uint32_t i = 0; i < MODELS; i++) {
        struct recorded_plan plan;
        struct predict_model model;
        char says[256];
        begin_input(i, i >= ROUND_MODELS);
        make_plan(&plan);
        record_plan(&plan);
        const bool hides = made_up_once_in(4);
        vary_batches(i % 3 == 0 ? 12 : 0, hides);
        make_why(&recorded.why, &plan);
        make_head(recorded.stretches.head, &plan);
        if (made_up_once_in(4))
            recorded.loader.entry.flags |= DATASTALL_LOADER_STREAM;
        if (made_up_once_in(4))
            recorded.loader.entry.flags |= DATASTALL_LOADER_SPAWNED;
        approved_input();
        if (predict_model_make(&recorded.process, &recorded.loader, &recorded.why, hides, &model,
                               says, sizeof says)) {
            say_model(approved_stream(), &model);
            approved_label("%u workers", plan.workers);
            free(model.batches);
        } else {
            fputs(says, approved_stream());
            approved_label("refused");
        }
        say_moments(approved_stream());
    }
    approved_end();
}

/* ---- what costs make of a setting ---- */

static void make_costs(struct machine_costs *costs)
{
    *costs = (struct machine_costs){.cpus = 1 + (double)made_up_below(16) / 2,
                                    .speed = 0.5 + (double)made_up_below(11) / 10,
                                    .parallel = 1 + (double)made_up_below(5) / 2,
                                    .slice = made_up_once_in(3) ? 8 * IN_MS : 0};
    double *const times[] = {
        &costs->gap,      &costs->send,       &costs->latency,       &costs->get,
        &costs->tail,     &costs->pin,        &costs->index,         &costs->overhead,
        &costs->open,     &costs->first_send, &costs->first_running, &costs->first_blocked,
        &costs->iter,     &costs->iter_each,  &costs->boot,          &costs->end,
        &costs->end_each, &costs->again,      &costs->again_each,    &costs->again_end};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        *times[i] = made_up_once_in(3) ? 0 : made_up_ms(i < 8 ? 1 : 20);
}

static void machines(void **state)
{
    (void)state;
    static struct machine_batch batches[BATCHES];
    approved_begin("many_machines");
    for (uint32_t i = 0; i < MACHINES; i++) {
        struct machine_costs costs;
        struct machine_result result;
        begin_input(1000 + i, i >= ROUND_MACHINES);
        make_costs(&costs);
        const uint64_t blocked = made_up_below(20), running = made_up_below(20),
                       collate = made_up_below(4), consumed = made_up_below(12);
        for (uint32_t k = 0; k < BATCHES; k++)
            batches[k] = (struct machine_batch){
                .blocked = (float)made_up_ms(blocked),
                .running = (float)made_up_ms(running),
                .collate = (float)made_up_ms(collate),
                .collate_blocked = made_up_once_in(3) ? (float)made_up_ms(collate) : 0,
                .delayed = made_up_once_in(3) ? (float)made_up_ms(3) : 0,
                .consumed_running = (float)made_up_ms(consumed),
                .consumed_else = (float)made_up_ms(consumed)};
        const struct machine_setting setting = {.workers = (uint32_t)made_up_below(7),
                                                .prefetch_factor = 1 + (uint32_t)made_up_below(4),
                                                .in_order = !made_up_once_in(4),
                                                .persistent = made_up_once_in(2)};
        const struct machine_load load = {
            .batches = batches,
            .count = 1 + (uint32_t)made_up_below(BATCHES),
            .epochs = 1 + made_up_below(4),
            .epoch_batches = 1 + made_up_below(120),
            .pieces = 1 + (uint32_t)made_up_below(4),
            .running_times = made_up_once_in(4) ? 0.5f : 1,
            .blocked_times = made_up_once_in(4) ? 0 : 1,
            .collate_times = made_up_once_in(4) ? 0 : 1,
            .collate_more = made_up_once_in(4) ? (float)made_up_ms(2) : 0,
            .delay_times = (float)made_up_below(3) / 2,
            .consumed_less = made_up_once_in(4) ? (float)made_up_ms(2) : 0,
            .anew = made_up_once_in(3)};
        approved_input();
        const bool runs =
            machine_run(&costs, &setting, &load, 20 + (uint32_t)made_up_below(400), &result);
        fprintf(approved_stream(), "%d %.5g %.5g %.5g %.5g %.5g\n", runs, result.time,
                result.waited, result.running, result.first_iter, result.first_wait);
        approved_label("%u workers, %.4g s", setting.workers, result.time * 1e-9);
    }
    approved_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models),
        cmocka_unit_test(machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
