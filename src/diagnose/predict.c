/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/predict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/unknown.h"

#define FIRST_BATCHES 32u /* that are enough to see how workers start */
#define LEAST_GAIN 0.02   /* less than that from the best is as good */

/* ---- all settings ---- */

static void predict_settings(const struct predict_model *model, const struct predict_doubt *doubt,
                             const struct predict_options *options, struct predict *predict)
{
    const uint32_t own = model->setting.workers > 0 ? model->setting.prefetch_factor : 2;
    const uint32_t from = options->prefetch_from > 0 ? options->prefetch_from : own;
    const uint32_t to = options->prefetch_to > 0 ? options->prefetch_to : own;
    for (uint32_t workers = options->workers_from; workers <= options->workers_to; workers++) {
        for (uint32_t prefetch = from; prefetch <= to; prefetch++) {
            struct machine_setting setting = model->setting;
            setting.workers = workers;
            setting.prefetch_factor = prefetch;
            if (predict->count < PREDICT_SETTINGS &&
                predict_one(model, doubt, &setting, &predict->settings[predict->count]))
                predict->count++;
            if (workers == 0)
                break;
        }
    }
}

/* Where nobody asks for windows: larger ones with the workers that ran. */
static void predict_windows(const struct predict_model *model, const struct predict_doubt *doubt,
                            const struct predict_options *options, struct predict *predict)
{
    if (options->prefetch_from > 0 || model->setting.workers == 0)
        return;
    for (uint32_t times = 2; times <= RF_REPLAY_FACTOR; times *= 2) {
        struct machine_setting setting = model->setting;
        setting.prefetch_factor *= times;
        if (predict->count < PREDICT_SETTINGS &&
            predict_one(model, doubt, &setting, &predict->settings[predict->count]))
            predict->count++;
    }
}

/* Workers that are kept from epoch to epoch, for which their loader has to be. */
static void predict_kept(const struct predict_model *model, const struct predict_doubt *doubt,
                         struct predict *predict)
{
    struct machine_setting setting = model->setting;
    if (setting.workers == 0 || setting.persistent || model->load.epochs < 2 || model->is_made_anew)
        return;
    setting.persistent = true;
    if (predict->count < PREDICT_SETTINGS &&
        predict_one(model, doubt, &setting, &predict->settings[predict->count]))
        predict->count++;
}

/* Batches that may be under way, which cost memory. */
static uint32_t window_of(const struct predict_setting *setting)
{
    return setting->num_workers * setting->prefetch_factor;
}

/* It also differs in whether workers are kept. */
static bool is_other_kind(const struct predict *predict, const struct predict_setting *one)
{
    return one->persistent_workers && !predict->measured.persistent_workers;
}

/* It is not one to choose, or only where the stream is split. */
static bool is_out(const struct predict *predict, const struct predict_setting *one, bool if_split)
{
    return is_other_kind(predict, one) || (one->if_split && !if_split);
}

/* The smallest setting within 2 % of the best. */
static uint32_t choose(const struct predict *predict, bool if_split)
{
    double least = INFINITY;
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < predict->count; i++) {
        if (!is_out(predict, &predict->settings[i], if_split))
            least = fmin(least, predict->settings[i].window_s.mean);
    }
    for (uint32_t i = 0; i < predict->count; i++) {
        const struct predict_setting *one = &predict->settings[i];
        if (is_out(predict, one, if_split) || one->window_s.mean > least * (1 + LEAST_GAIN))
            continue;
        const struct predict_setting *before = best == UINT32_MAX ? NULL : &predict->settings[best];
        if (before == NULL || one->num_workers < before->num_workers ||
            (one->num_workers == before->num_workers && window_of(one) < window_of(before)))
            best = i;
    }
    return best;
}

#define MIB (1024.0 * 1024)
static void tell_left_out(const struct predict_model *model, const struct predict_options *options,
                          struct predict *predict)
{
    const uint32_t own = model->setting.workers > 0 ? model->setting.prefetch_factor : 2;
    const struct machine_setting largest = {
        .workers = options->workers_to,
        .prefetch_factor = options->prefetch_to > 0 ? options->prefetch_to : own};
    struct machine_setting window = model->setting;
    if (options->prefetch_from == 0)
        window.prefetch_factor *= RF_REPLAY_FACTOR;
    if (!predict_fits_shared_memory(model, &largest) || !predict_fits_shared_memory(model, &window))
        snprintf(predict->left_out, sizeof predict->left_out,
                 "settings that need more shared memory than there is are left out: a batch takes "
                 "%.0f MiB, num_workers * prefetch_factor of them may be in flight, and /dev/shm "
                 "holds %.0f MiB",
                 model->batch_bytes / MIB, model->shm_bytes / MIB);
}

/* ---- with one part taken away ---- */

const char *predict_part_name(enum predict_part part)
{
    static const char *const names[] = {"half_compute", "blocking",     "collation", "epoch_starts",
                                        "order",        "cpus_doubled", "handover"};
    return names[part];
}

const char *predict_part_text(enum predict_part part)
{
    static const char *const texts[] = {"items computed in half the CPU time",
                                        "items that never wait (all of storage cached)",
                                        "collation free",
                                        "no start-up of epochs",
                                        "batches taken out of order",
                                        "twice the CPUs",
                                        "batches handed over for nothing"};
    return texts[part];
}

/* The run as it was, without a part of it. False: it has no such part. */
static bool take_away(enum predict_part part, struct predict_model *model)
{
    struct machine_costs *costs = &model->costs;
    switch (part) {
    case PREDICT_HALF_COMPUTE:
        model->load.running_times = 0.5f;
        return true;
    case PREDICT_NO_BLOCKING:
        model->load.blocked_times = 0;
        return true;
    case PREDICT_NO_COLLATION:
        model->load.collate_times = 0;
        return true;
    case PREDICT_NO_STARTUP:
        costs->iter = costs->iter_each = costs->boot = costs->first_send = costs->open = 0;
        costs->again = costs->again_each = costs->again_end = costs->end = costs->end_each = 0;
        model->load.epoch_batches *= model->load.epochs;
        model->load.epochs = 1;
        return true;
    case PREDICT_NO_ORDER:
        model->setting.in_order = false;
        return model->setting.workers > 1;
    case PREDICT_NO_HANDOVER:
        costs->send = costs->latency = costs->get = costs->tail = costs->index = 0;
        costs->first_send = 0;
        model->load.consumed_less = (float)predict_release_ns(model);
        return model->setting.workers > 0;
    default:
        costs->cpus *= 2;
        return true;
    }
}

static void predict_without(const struct predict_model *model, const struct predict_doubt *doubt,
                            struct predict *predict)
{
    for (enum predict_part part = 0; part < PREDICT_PARTS; part++) {
        struct predict_model other = *model;
        struct predict_outcome outcome;
        struct predict_setting out;
        if (!take_away(part, &other) || !predict_run_usual(&other, &other.setting, &outcome))
            continue;
        predict_tell(model, doubt, &other.setting, &outcome, &outcome, &outcome, &out);
        predict->without[predict->without_count++] =
            (struct predict_without){part, out.samples_per_s, out.window_s};
    }
}

/* ---- the whole ---- */

static double computing_share(const struct predict_model *model)
{
    double computes = 0, all = 0;
    for (uint32_t i = 0; i < model->load.count; i++) {
        const struct machine_batch *batch = &model->batches[i];
        computes += batch->running + batch->collate;
        all += batch->running + batch->collate + batch->blocked + batch->collate_blocked;
    }
    return all > 0 ? computes / all : 0;
}

/* The start of workers is known as a whole only: forks and what workers do until their first index, which
 * go on side by side, are made so long that iter() and the wait for the first batch come out as they were. */
#define FITTINGS 12
static void fit_start(struct predict_model *model)
{
    struct machine_load one = model->load;
    struct machine_costs *costs = &model->costs;
    struct machine_result result;
    one.epochs = 1;
    for (int i = 0; i < FITTINGS && model->setting.workers > 0 && !isnan(model->first_wait_ns);
         i++) {
        if (!machine_run(costs, &model->setting, &one, FIRST_BATCHES, &result))
            return;
        if (model->iter_ns > 0 && result.first_iter > 0)
            costs->iter_each *= model->iter_ns / result.first_iter;
        /* Where they take turns, what one needs more all of them wait for. */
        costs->boot = fmax(1e6, costs->boot + (model->first_wait_ns - result.first_wait) /
                                                  fmax(1, model->setting.workers / costs->cpus));
    }
}

/* Where the program's own work does not fill the CPUs, waiting for one comes from others on this computer,
 * which the machine does not have: as much of it stays as brings the replay to what was measured. */
static void fit_delay(struct predict_model *model)
{
    struct predict_outcome without, with;
    if (!predict_run(model, &model->setting, &without) || without.used >= PREDICT_FULL_FROM ||
        without.time >= model->measured_ns)
        return;
    model->load.delay_times = 1;
    if (predict_run(model, &model->setting, &with) && with.time > model->measured_ns)
        model->load.delay_times =
            (float)((model->measured_ns - without.time) / (with.time - without.time));
}

#define LONG_BATCHES UINT64_C(1000000)
static void let_go_on(const struct why *why, struct predict_model *model)
{
    if (model->load.epochs != 1 || model->load.epoch_batches >= LONG_BATCHES)
        return;
    const double times = (double)LONG_BATCHES / (double)model->load.epoch_batches;
    const double start_ns = (double)why->first_ns, last_step_ns = model->costs.last_step;
    model->load.epoch_batches = LONG_BATCHES;
    if (model->samples != DATASTALL_UNKNOWN)
        model->samples = (uint64_t)((double)model->samples * times);
    model->costs.last_step = 0;
    model->measured_ns = fmax(1, model->measured_ns - start_ns - last_step_ns) * times;
    model->measured_waited_ns = fmax(0, model->measured_waited_ns - start_ns) * times;
}

/* Replays what ran. False: it misses by too much. */
static bool replay(const struct predict_model *model, struct predict_doubt *doubt,
                   struct predict *predict)
{
    struct predict_outcome own;
    const double samples = model->samples == DATASTALL_UNKNOWN ? NAN : (double)model->samples;
    if (!predict_run(model, &model->setting, &own) || model->measured_ns <= 0) {
        snprintf(predict->says, sizeof predict->says,
                 "more batches are under way than can be replayed");
        return false;
    }
    predict->miss = own.time / model->measured_ns - 1;
    predict->measured.num_workers = model->setting.workers;
    predict->measured.prefetch_factor =
        model->setting.workers > 0 ? model->setting.prefetch_factor : 0;
    predict->measured.persistent_workers = model->setting.workers > 0 && model->setting.persistent;
    const double rate = samples / model->measured_ns * 1e9;
    predict->measured.samples_per_s = (struct range){rate, rate, rate};
    const double window = model->measured_ns * 1e-9;
    predict->measured.window_s = (struct range){window, window, window};
    const double share = model->measured_waited_ns / model->measured_ns;
    predict->measured.stall_share = (struct range){share, share, share};
    if (fabs(predict->miss) > PREDICT_MOST_MISS) {
        snprintf(predict->says, sizeof predict->says,
                 "the run itself, replayed, takes %.0f %% %s than it took: something that its "
                 "batches do not show limits its speed",
                 100 * fabs(predict->miss), predict->miss < 0 ? "less" : "more");
        return false;
    }
    *doubt = (struct predict_doubt){.noise = model->noise,
                                    .miss = predict->miss,
                                    .used = own.used,
                                    .busy = own.busy,
                                    .computes = computing_share(model),
                                    .splits = model->is_stream,
                                    .speed = own.time / model->measured_ns,
                                    .in_turns = predict_in_turns_of(model, model->measured_ns)};
    return true;
}

struct range predict_faster(const struct predict *predict, const struct range *window_s)
{
    const double now = predict->measured.window_s.mean;
    return (struct range){now / window_s->mean, now / window_s->upper, now / window_s->lower};
}

struct predict *predict_make(const struct run_process *process, const struct run_loader *loader,
                             const struct why *why, bool hides,
                             const struct predict_options *options)
{
    struct predict *predict = calloc(1, sizeof *predict);
    struct predict_model model;
    struct predict_doubt doubt;
    if (predict == NULL)
        return NULL;
    predict->miss = NAN;
    predict->best = predict->best_if_split = UINT32_MAX;
    if (!predict_model_make(process, loader, why, hides, &model, predict->says,
                            sizeof predict->says))
        return predict;
    fit_start(&model);
    if (options->goes_on)
        let_go_on(why, &model);
    fit_delay(&model);
    if (replay(&model, &doubt, predict)) {
        if (!isnan(options->cpus))
            model.costs.cpus = options->cpus;
        predict_settings(&model, &doubt, options, predict);
        predict_windows(&model, &doubt, options, predict);
        predict_kept(&model, &doubt, predict);
        tell_left_out(&model, options, predict);
        predict->best = choose(predict, false);
        predict->best_if_split = choose(predict, true);
        predict_without(&model, &doubt, predict);
    }
    free(model.batches);
    return predict;
}
