/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/predict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/unknown.h"

#define FIRST_BATCHES 32u /* that are enough to see how workers start */
#define SIMULATED 1600u   /* batches of a setting, at most */
#define LEAST_GAIN 0.02   /* less than that from the best is as good */

/* The width of an interval, half of it relative to the mean; fitted to bench/prediction, docs/prediction.md. */
#define MODEL_ERROR 0.015 /* standard error of the machine itself */
#define CPU_ERROR 0.120   /* more where all the time is CPU time: CPUs are not always as fast */
#define FULL_FROM 0.75    /* share of the CPUs that is in use: beyond it they take turns ... */
#define FULL_LOSS 0.12    /* ... which costs up to so much */
#define BESIDE_LOSS 0.12  /* twice as many CPUs at work: each may be so much slower */
#define SPLIT_ERROR 0.10  /* of a stream, with other workers */
#define MISS_PART 0.7     /* of what the replay misses by */
#define IN_LINE 0.5       /* of what more readers ask storage for at once, at most */
#define CACHED_ERROR 0.25 /* of what items wait for storage, from run to run */
#define SLICE_NS 8e6      /* for which a kernel lets go on who runs: two ticks of 4 ms */

/* ---- one setting ---- */

struct outcome {
    double time, waited; /* ns */
    double used, busy;   /* share of the CPUs in use, and how many */
    double cpu_share; /* by run_usual(): so much longer, relative, it takes where CPUs are slower */
};

static bool run(const struct predict_model *model, const struct machine_setting *setting,
                struct outcome *outcome)
{
    struct machine_result result;
    if (!machine_run(&model->costs, setting, &model->load, SIMULATED, &result) || result.time <= 0)
        return false;
    const double busy = result.running / result.time;
    *outcome =
        (struct outcome){result.time, result.waited, fmin(1, busy / model->costs.cpus), busy, NAN};
    return true;
}

#define LITTLE 0.1
static double cpu_share(const struct predict_model *model, const struct machine_setting *setting,
                        double time)
{
    struct machine_costs slower = model->costs;
    struct machine_result result;
    slower.speed /= 1 + LITTLE;
    return machine_run(&slower, setting, &model->load, SIMULATED, &result)
               ? fmax(0, (result.time / time - 1) / LITTLE)
               : 1;
}

/* The same for what is told, whose interval follows how far it depends on the CPUs' speed. */
static bool run_usual(const struct predict_model *model, const struct machine_setting *setting,
                      struct outcome *outcome)
{
    if (!run(model, setting, outcome))
        return false;
    outcome->cpu_share = cpu_share(model, setting, outcome->time);
    return true;
}

/* The same where handing over, which was not seen, costs otherwise. */
static struct machine_costs with_handing(const struct machine_costs *costs, double times)
{
    struct machine_costs other = *costs;
    other.send *= times;
    other.latency *= times;
    other.get *= times;
    other.tail *= times;
    other.first_send *= times;
    other.boot *= times;
    other.iter_each *= times;
    other.end_each *= times;
    return other;
}

/* What is known of the interval before anything is simulated. */
struct doubt {
    double noise, miss;
    double used, busy; /* of the setting that ran: share of the CPUs in use, and how many */
    double computes;   /* share of making a batch that is computing */
    double splits;     /* a stream is shared out otherwise where the workers are others */
    double speed;      /* replayed / measured: what is told is corrected by it */
    double in_turns;   /* the same where CPUs are shared in turns; NaN: they were not */
};

static double beyond(double used)
{
    return fmax(0, used - FULL_FROM) / (1 - FULL_FROM);
}

/* Where each worker goes through all of a stream, another number of them is another amount of data. */
static bool is_other_data(const struct predict_model *model, uint32_t workers)
{
    const uint32_t streams = workers > 1 ? workers : 1;
    const uint32_t ran = model->setting.workers > 1 ? model->setting.workers : 1;
    return model->is_unsplit && streams != ran;
}

/* Half the interval's width, downwards and upwards. */
static void widths(const struct doubt *doubt, const struct outcome *outcome, bool other_workers,
                   double *down, double *up)
{
    const double cpu = CPU_ERROR * outcome->cpu_share;
    const double error = sqrt(doubt->noise * doubt->noise + MODEL_ERROR * MODEL_ERROR + cpu * cpu);
    const double both = RANGE_Z90 * error + MISS_PART * fabs(doubt->miss) +
                        (other_workers ? SPLIT_ERROR * doubt->splits : 0);
    const double more = beyond(outcome->used) - beyond(doubt->used);
    const double doubled =
        doubt->busy > 0 && outcome->busy > 0 ? log2(outcome->busy / doubt->busy) : 0;
    const double together = BESIDE_LOSS * doubt->computes * doubled;
    *down = fmin(0.9, both + FULL_LOSS * fmax(0, more) + fmax(0, together));
    *up = both + FULL_LOSS * fmax(0, -more) + fmax(0, -together);
}

static struct range range_of(double low, double mean, double high)
{
    return (struct range){mean, fmin(low, mean), fmax(high, mean)};
}

static void tell(const struct predict_model *model, const struct doubt *doubt,
                 const struct machine_setting *setting, const struct outcome *slow,
                 const struct outcome *usual, const struct outcome *fast,
                 struct predict_setting *out)
{
    double down, up;
    widths(doubt, usual, setting->workers != model->setting.workers, &down, &up);
    const double window = usual->time / doubt->speed;
    const struct range time = range_of(fast->time / doubt->speed / (1 + up), window,
                                       slow->time / doubt->speed / (1 - down));
    const double samples = model->samples == DATASTALL_UNKNOWN ? NAN : (double)model->samples;
    const double share = usual->waited / usual->time;
    *out = (struct predict_setting){
        .num_workers = setting->workers,
        .prefetch_factor = setting->workers == 0 ? 0 : setting->prefetch_factor,
        .persistent_workers = setting->workers > 0 && setting->persistent,
        .if_split = is_other_data(model, setting->workers),
        .samples_per_s = range_of(samples / time.upper * 1e9, samples / window * 1e9,
                                  samples / time.lower * 1e9),
        .window_s = range_of(time.lower * 1e-9, window * 1e-9, time.upper * 1e-9),
        /* What is not waiting stays as it is. */
        .stall_share = range_of(fmax(0, 1 - (1 - share) * window / time.lower), share,
                                1 - (1 - share) * window / time.upper),
    };
}

/* What a worker collates is copied into shared memory, and what the loop collates is not. How much of
 * the time that is, was not seen: nothing of a short collation, perhaps most of a long one, whose items
 * then cost less as well, in memory that is used again. */
#define LONG_COLLATION_NS 1e6f
#define RELEASE_NS 9e3 /* of each tensor that was received: unmapped and closed in the loop */
static const struct copying {
    float running, collate;
} from_worker_to_loop[2] = {{0.87f, 0.5f}, {0.5f, 0.25f}},
  from_loop_to_worker[2] = {{1.1f, 1.5f}, {2.2f, 3.5f}};

static bool collates_long(const struct predict_model *model)
{
    double sum = 0;
    for (uint32_t i = 0; i < model->load.count; i++)
        sum += model->batches[i].collate;
    return sum > LONG_COLLATION_NS * model->load.count;
}

/* What is predicted, and between what: some of it was not seen. */
struct spread {
    struct predict_model slow, usual, fast;
};

/* From workers to none, or from none to some: between the costs that were seen, and those that what was not
 * seen may have. */
static void spread_handing(const struct predict_model *model, bool hands, struct spread *spread)
{
    const bool is_long = collates_long(model);
    const struct copying *copying =
        hands ? &from_loop_to_worker[is_long] : &from_worker_to_loop[is_long];
    struct machine_load *other = hands ? &spread->slow.load : &spread->fast.load;
    other->running_times *= copying->running;
    other->collate_times *= copying->collate;
    if (hands) {
        spread->slow.costs = with_handing(&model->costs, 2.0);
        spread->fast.costs = with_handing(&model->costs, 0.7);
        return;
    }
    spread->slow.load.consumed_less = spread->usual.load.consumed_less =
        spread->fast.load.consumed_less = (float)(RELEASE_NS * model->tensors);
    /* Whether the data set is new as well was not seen. */
    spread->slow.load.anew = spread->usual.load.anew = model->is_made_anew;
}

/* More readers at once: a disk may serve all of them side by side, or put half of what they ask for more in
 * line; in the mean it is halfway. And of what is read, more or less may lie in memory already than when the
 * run was recorded. */
static void spread_storage(const struct predict_model *model, uint32_t workers,
                           struct spread *spread)
{
    const double readers = fmax(1, workers) / fmax(1, model->setting.workers);
    const double line = (readers - 1) * IN_LINE;
    spread->usual.load.blocked_times = (float)(1 + line / 2);
    spread->slow.load.blocked_times = (float)((1 + fmax(0, line)) * (1 + CACHED_ERROR));
    spread->fast.load.blocked_times = (float)((1 + fmin(0, line)) / (1 + CACHED_ERROR));
}

/* More batches may be under way than shared memory holds: a worker would die of it. The setting that
 * ran did run. */
static bool fits_shared_memory(const struct predict_model *model,
                               const struct machine_setting *setting)
{
    const double batches = (double)setting->workers * setting->prefetch_factor;
    const double ran = (double)model->setting.workers * model->setting.prefetch_factor;
    return batches <= ran || !(batches * model->batch_bytes > model->shm_bytes);
}

/* How CPUs are shared is the kernel's business. Those that run may share them evenly, an idle one being found
 * at once; or who wakes waits beside who runs for the end of its slice, which costs nothing while one
 * worker computes and the CPUs are as many. Which of the two it is a run may not show. */
static bool run_in_turns(const struct predict_model *model, const struct machine_setting *setting,
                         struct outcome *outcome)
{
    struct predict_model turns = *model;
    turns.costs.slice = SLICE_NS;
    return run(&turns, setting, outcome);
}

/* What a run takes then, as far as what was recorded went so. */
static double in_turns_of(const struct predict_model *model, double measured_ns)
{
    struct outcome own;
    if (!run_in_turns(model, &model->setting, &own))
        return NAN;
    const double speed = own.time / measured_ns;
    return fabs(speed - 1) <= PREDICT_MOST_MISS ? speed : NAN;
}

static void spread_turns(const struct predict_model *model, const struct doubt *doubt,
                         const struct machine_setting *setting, struct outcome *slow,
                         struct outcome *fast)
{
    struct outcome turns;
    if (isnan(doubt->in_turns) || !run_in_turns(model, setting, &turns))
        return;
    turns.time *= doubt->speed / doubt->in_turns;
    if (turns.time > slow->time)
        *slow = turns;
    if (turns.time < fast->time)
        *fast = turns;
}

static bool predict_one(const struct predict_model *model, const struct doubt *doubt,
                        const struct machine_setting *setting, struct predict_setting *out)
{
    struct spread spread = {*model, *model, *model};
    const bool hands = setting->workers > 0, other_kind = hands != (model->setting.workers > 0);
    struct outcome slow, usual, fast;
    if (!fits_shared_memory(model, setting) || (!hands && other_kind && model->is_held_up))
        return false;
    if (model->is_storage)
        spread_storage(model, setting->workers, &spread);
    if (other_kind)
        spread_handing(model, hands, &spread);
    if (!run_usual(&spread.usual, setting, &usual))
        return false;
    slow = fast = usual;
    if ((model->is_storage || other_kind) &&
        (!run(&spread.slow, setting, &slow) || !run(&spread.fast, setting, &fast)))
        return false;
    spread_turns(&spread.usual, doubt, setting, &slow, &fast);
    tell(model, doubt, setting, &slow, &usual, &fast, out);
    return true;
}

/* ---- all settings ---- */

static void predict_settings(const struct predict_model *model, const struct doubt *doubt,
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
static void predict_windows(const struct predict_model *model, const struct doubt *doubt,
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
static void predict_kept(const struct predict_model *model, const struct doubt *doubt,
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
    if (!fits_shared_memory(model, &largest) || !fits_shared_memory(model, &window))
        snprintf(predict->left_out, sizeof predict->left_out,
                 "settings that need more shared memory than there is are left out: a batch takes "
                 "%.0f MiB, num_workers * prefetch_factor of them may be in flight, and /dev/shm "
                 "holds %.0f MiB",
                 model->batch_bytes / MIB, model->shm_bytes / MIB);
}

/* ---- with one part taken away ---- */

const char *predict_part_name(enum predict_part part)
{
    static const char *const names[] = {"half_compute", "blocking", "collation",
                                        "epoch_starts", "order",    "cpus_doubled"};
    return names[part];
}

const char *predict_part_text(enum predict_part part)
{
    static const char *const texts[] = {"items computed in half the CPU time",
                                        "items that never wait (all of storage cached)",
                                        "collation free",
                                        "no start-up of epochs",
                                        "batches taken out of order",
                                        "twice the CPUs"};
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
    default:
        costs->cpus *= 2;
        return true;
    }
}

static void predict_without(const struct predict_model *model, const struct doubt *doubt,
                            struct predict *predict)
{
    for (enum predict_part part = 0; part < PREDICT_PARTS; part++) {
        struct predict_model other = *model;
        struct outcome outcome;
        struct predict_setting out;
        if (!take_away(part, &other) || !run_usual(&other, &other.setting, &outcome))
            continue;
        tell(model, doubt, &other.setting, &outcome, &outcome, &outcome, &out);
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
    struct outcome without, with;
    if (!run(model, &model->setting, &without) || without.used >= FULL_FROM ||
        without.time >= model->measured_ns)
        return;
    model->load.delay_times = 1;
    if (run(model, &model->setting, &with) && with.time > model->measured_ns)
        model->load.delay_times =
            (float)((model->measured_ns - without.time) / (with.time - without.time));
}

#define LONG_BATCHES UINT64_C(1000000)
static void let_go_on(const struct why *why, struct predict_model *model)
{
    if (model->load.epochs != 1 || model->load.epoch_batches >= LONG_BATCHES)
        return;
    const double times = (double)LONG_BATCHES / (double)model->load.epoch_batches;
    const double start_ns = (double)why->first_ns;
    model->load.epoch_batches = LONG_BATCHES;
    if (model->samples != DATASTALL_UNKNOWN)
        model->samples = (uint64_t)((double)model->samples * times);
    model->measured_ns = fmax(1, model->measured_ns - start_ns) * times;
    model->measured_waited_ns = fmax(0, model->measured_waited_ns - start_ns) * times;
}

/* Replays what ran. False: it misses by too much. */
static bool replay(const struct predict_model *model, struct doubt *doubt, struct predict *predict)
{
    struct outcome own;
    const double samples = model->samples == DATASTALL_UNKNOWN ? NAN : (double)model->samples;
    if (!run(model, &model->setting, &own) || model->measured_ns <= 0) {
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
    *doubt = (struct doubt){.noise = model->noise,
                            .miss = predict->miss,
                            .used = own.used,
                            .busy = own.busy,
                            .computes = computing_share(model),
                            .splits = model->is_stream,
                            .speed = own.time / model->measured_ns,
                            .in_turns = in_turns_of(model, model->measured_ns)};
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
    struct doubt doubt;
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
