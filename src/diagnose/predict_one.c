/* SPDX-License-Identifier: Apache-2.0 */
/* One setting, replayed, and between what it may lie: what was not seen is replayed at both ends. */
#include "diagnose/predict.h"

#include <math.h>

#include "base/unknown.h"

#define SIMULATED 1600u /* batches of a setting, at most */

/* The width of an interval, half of it relative to the mean; fitted to bench/prediction, docs/prediction.md. */
#define MODEL_ERROR 0.015 /* standard error of the machine itself */
#define CPU_ERROR 0.120   /* more where all the time is CPU time: CPUs are not always as fast */
#define FULL_LOSS 0.12    /* of CPUs that take turns, up to so much */
#define BESIDE_LOSS 0.24  /* twice as many CPUs at work: each may be so much slower */
#define SPLIT_ERROR 0.10  /* of a stream, with other workers */
#define MISS_PART 0.7     /* of what the replay misses by */
#define IN_LINE 0.5       /* of what more readers ask storage for at once, at most */
#define CACHED_ERROR 0.25 /* of what items wait for storage, from run to run */
#define SLICE_NS 8e6      /* for which a kernel lets go on who runs: two ticks of 4 ms */

bool predict_run(const struct predict_model *model, const struct machine_setting *setting,
                 struct predict_outcome *outcome)
{
    struct machine_result result;
    if (!machine_run(&model->costs, setting, &model->load, SIMULATED, &result) || result.time <= 0)
        return false;
    const double busy = result.running / result.time;
    *outcome = (struct predict_outcome){result.time, result.waited,
                                        fmin(1, busy / model->costs.cpus), busy, NAN};
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

bool predict_run_usual(const struct predict_model *model, const struct machine_setting *setting,
                       struct predict_outcome *outcome)
{
    if (!predict_run(model, setting, outcome))
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

static double beyond(double used)
{
    return fmax(0, used - PREDICT_FULL_FROM) / (1 - PREDICT_FULL_FROM);
}

/* Where each worker goes through all of a stream, another number of them is another amount of data. */
bool predict_is_other_data(const struct predict_model *model, uint32_t workers)
{
    const uint32_t streams = workers > 1 ? workers : 1;
    const uint32_t ran = model->setting.workers > 1 ? model->setting.workers : 1;
    return model->is_unsplit && streams != ran;
}

/* What computes loses to the others that do, as far as the run that was recorded had not lost it: up to so
 * much; below 0, what it gains where fewer do. */
static double loss_of(const struct predict_doubt *doubt, const struct predict_outcome *outcome)
{
    const double more = beyond(outcome->used) - beyond(doubt->used);
    const double doubled =
        doubt->busy > 0 && outcome->busy > 0 ? log2(outcome->busy / doubt->busy) : 0;
    return FULL_LOSS * more + BESIDE_LOSS * doubt->computes * doubled;
}

/* Half the interval's width. */
static double width_of(const struct predict_doubt *doubt, const struct predict_outcome *outcome,
                       bool other_workers, double loss)
{
    const double cpu = CPU_ERROR * outcome->cpu_share;
    const double error = sqrt(doubt->noise * doubt->noise + MODEL_ERROR * MODEL_ERROR + cpu * cpu);
    return RANGE_Z90 * error + MISS_PART * fabs(doubt->miss) +
           (other_workers ? SPLIT_ERROR * doubt->splits : 0) + fabs(loss) / 4;
}

static struct range range_of(double low, double mean, double high)
{
    return (struct range){mean, fmin(low, mean), fmax(high, mean)};
}

void predict_tell(const struct predict_model *model, const struct predict_doubt *doubt,
                  const struct machine_setting *setting, const struct predict_outcome *slow,
                  const struct predict_outcome *usual, const struct predict_outcome *fast,
                  struct predict_setting *out)
{
    const double loss = loss_of(doubt, usual);
    const double width = width_of(doubt, usual, setting->workers != model->setting.workers, loss);
    const double half = loss / 2; /* is in the mean; and back the same way */
    const double times = (half > 0 ? 1 + half : 1 / (1 - half)) / doubt->speed;
    const double window = usual->time * times;
    const struct range time = range_of(fast->time * times / (1 + width), window,
                                       slow->time * times / (1 - fmin(0.9, width)));
    const double samples = model->samples == DATASTALL_UNKNOWN ? NAN : (double)model->samples;
    const double share = usual->waited / usual->time;
    *out = (struct predict_setting){
        .num_workers = setting->workers,
        .prefetch_factor = setting->workers == 0 ? 0 : setting->prefetch_factor,
        .persistent_workers = setting->workers > 0 && setting->persistent,
        .if_split = predict_is_other_data(model, setting->workers),
        .samples_per_s = range_of(samples / time.upper * 1e9, samples / window * 1e9,
                                  samples / time.lower * 1e9),
        .window_s = range_of(time.lower * 1e-9, window * 1e-9, time.upper * 1e-9),
        /* What is not waiting stays as it is. */
        .stall_share = range_of(fmax(0, 1 - (1 - share) * window / time.lower), share,
                                1 - (1 - share) * window / time.upper),
    };
}

/* What a worker collates is copied into shared memory, and what the loop collates is not. Where the loop's own
 * batches were measured, of each byte so much in the mean and at both ends (pages that are new are most of it),
 * measured with ten programs, docs/prediction.md; and items that are copies themselves may cost more in memory
 * that is not used again. */
#define COPY_NS 0.3 /* a byte */
#define COPY_LEAST_NS 0.1
#define COPY_MOST_NS 0.6
#define ITEMS_MOST_NS 0.25
#define ITEMS_MOST_TIMES 2.2

/* Else how much of the time the copy is, was not seen: nothing of a short collation, perhaps most of a long one,
 * whose items then cost less as well, in memory that is used again. */
#define LONG_COLLATION_NS 1e6f
static const struct copying {
    float running, collate;
} from_worker_to_loop[2] = {{0.87f, 0.5f}, {0.5f, 0.25f}},
  from_loop_to_worker[2] = {{1.1f, 1.5f}, {2.2f, 3.5f}};
#define RELEASE_NS 9e3 /* of each tensor that was received: unmapped and closed in the loop */

double predict_release_ns(const struct predict_model *model)
{
    return RELEASE_NS * model->tensors;
}

static bool collates_long(const struct predict_model *model)
{
    double sum = 0;
    for (uint32_t i = 0; i < model->load.count; i++)
        sum += model->batches[i].collate;
    return sum > LONG_COLLATION_NS * model->load.count;
}

static double mean_running(const struct predict_model *model)
{
    double sum = 0;
    for (uint32_t i = 0; i < model->load.count; i++)
        sum += model->batches[i].running;
    return sum / fmax(1, model->load.count);
}

/* What is predicted, and between what: some of it was not seen. */
struct spread {
    struct predict_model slow, usual, fast;
};

/* A batch whose bytes are known, handed over by workers. */
static void spread_copy(const struct predict_model *model, struct spread *spread)
{
    const double bytes = model->batch_bytes, items = mean_running(model);
    spread->slow.load.collate_more = (float)(COPY_MOST_NS * bytes);
    spread->usual.load.collate_more = (float)(COPY_NS * bytes);
    spread->fast.load.collate_more = (float)(COPY_LEAST_NS * bytes);
    if (items > 0)
        spread->slow.load.running_times *=
            (float)fmin(ITEMS_MOST_TIMES, 1 + ITEMS_MOST_NS * bytes / items);
}

static void spread_copying(const struct predict_model *model, bool hands, struct spread *spread)
{
    const bool is_long = collates_long(model);
    const struct copying *copying =
        hands ? &from_loop_to_worker[is_long] : &from_worker_to_loop[is_long];
    struct machine_load *other = hands ? &spread->slow.load : &spread->fast.load;
    other->running_times *= copying->running;
    other->collate_times *= copying->collate;
}

/* From workers to none, or from none to some: between the costs that were seen, and those that what was not
 * seen may have. */
static void spread_handing(const struct predict_model *model, bool hands, struct spread *spread)
{
    if (hands && !isnan(model->batch_bytes))
        spread_copy(model, spread);
    else
        spread_copying(model, hands, spread);
    if (hands) {
        spread->slow.costs = with_handing(&model->costs, 2.0);
        spread->fast.costs = with_handing(&model->costs, 0.7);
        return;
    }
    spread->slow.load.consumed_less = spread->usual.load.consumed_less =
        spread->fast.load.consumed_less = (float)predict_release_ns(model);
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

bool predict_fits_shared_memory(const struct predict_model *model,
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
                         struct predict_outcome *outcome)
{
    struct predict_model turns = *model;
    turns.costs.slice = SLICE_NS;
    return predict_run(&turns, setting, outcome);
}

/* What a run takes then, as far as what was recorded went so. */
double predict_in_turns_of(const struct predict_model *model, double measured_ns)
{
    struct predict_outcome own;
    if (!run_in_turns(model, &model->setting, &own))
        return NAN;
    const double speed = own.time / measured_ns;
    return fabs(speed - 1) <= PREDICT_MOST_MISS ? speed : NAN;
}

static void spread_turns(const struct predict_model *model, const struct predict_doubt *doubt,
                         const struct machine_setting *setting, struct predict_outcome *slow,
                         struct predict_outcome *fast)
{
    struct predict_outcome turns;
    if (isnan(doubt->in_turns) || !run_in_turns(model, setting, &turns))
        return;
    turns.time *= doubt->speed / doubt->in_turns;
    if (turns.time > slow->time)
        *slow = turns;
    if (turns.time < fast->time)
        *fast = turns;
}

bool predict_one(const struct predict_model *model, const struct predict_doubt *doubt,
                 const struct machine_setting *setting, struct predict_setting *out)
{
    struct spread spread = {*model, *model, *model};
    const bool hands = setting->workers > 0, other_kind = hands != (model->setting.workers > 0);
    struct predict_outcome slow, usual, fast;
    if (!predict_fits_shared_memory(model, setting) || (!hands && other_kind && model->is_held_up))
        return false;
    if (model->is_storage)
        spread_storage(model, setting->workers, &spread);
    if (other_kind)
        spread_handing(model, hands, &spread);
    if (!predict_run_usual(&spread.usual, setting, &usual))
        return false;
    slow = fast = usual;
    if ((model->is_storage || other_kind) &&
        (!predict_run(&spread.slow, setting, &slow) || !predict_run(&spread.fast, setting, &fast)))
        return false;
    spread_turns(&spread.usual, doubt, setting, &slow, &fast);
    predict_tell(model, doubt, setting, &slow, &usual, &fast, out);
    return true;
}
