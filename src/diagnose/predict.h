/* SPDX-License-Identifier: Apache-2.0 */
/* What another setting of a loader would give: what was recorded of its batches, replayed on the machine
 * of machine.h. The setting that ran is replayed first; what that misses by widens every interval, and
 * where it misses by more than PREDICT_MOST_MISS nothing is predicted. docs/prediction.md. */
#ifndef DATASTALL_DIAGNOSE_PREDICT_H
#define DATASTALL_DIAGNOSE_PREDICT_H

#include "diagnose/machine.h"
#include "diagnose/why.h"

#define PREDICT_MOST_MISS 0.10
#define PREDICT_SETTINGS 4200 /* 64 workers with 64 windows, and some */

struct predict_setting {
    uint32_t num_workers, prefetch_factor; /* prefetch_factor 0: there is none */
    bool persistent_workers;
    bool if_split; /* only where its workers share out the stream, which they do not, or not yet */
    struct range samples_per_s, window_s, stall_share;
};

/* One part taken away: what it is worth at most. */
enum predict_part {
    PREDICT_HALF_COMPUTE, /* items run half as long */
    PREDICT_NO_BLOCKING,  /* items wait for nothing: all of storage cached, the network at hand */
    PREDICT_NO_COLLATION,
    PREDICT_NO_STARTUP, /* one epoch in place of all */
    PREDICT_NO_ORDER,
    PREDICT_MORE_CPUS,   /* twice as many */
    PREDICT_NO_HANDOVER, /* from worker to loop */
    PREDICT_PARTS
};
const char *predict_part_name(enum predict_part part); /* in the JSON */
const char *predict_part_text(enum predict_part part);

struct predict_without {
    enum predict_part part;
    struct range samples_per_s, window_s;
};

/* Costs and batches of a loader, as they were recorded. */
struct predict_model {
    struct machine_costs costs;
    struct machine_setting setting; /* that ran */
    struct machine_load load;
    struct machine_batch *batches;
    uint64_t samples; /* of all batches; DATASTALL_UNKNOWN */
    double measured_ns, measured_waited_ns;
    double iter_ns, first_wait_ns; /* of an iterator with new workers, in the mean; NaN unknown */
    bool spawned, is_stream, is_unsplit;
    bool is_storage;               /* what items are blocked for */
    double tensors;                /* of a batch, sent by workers; 0: none, or not known */
    double batch_bytes, shm_bytes; /* of a batch's tensors; what /dev/shm holds; NaN unknown */
    bool is_made_anew;             /* the loader, for each epoch */
    bool is_held_up; /* the loop waits for the interpreter, which other threads hold */
    double noise;    /* standard error of the mean time per batch, relative */
};

struct predict {
    char says[240];                  /* why nothing is predicted; "": it is */
    double miss;                     /* replayed / measured - 1 of the time; NaN unknown */
    struct predict_setting measured; /* the one that ran: its means are measured */
    uint32_t count;
    struct predict_setting settings[PREDICT_SETTINGS];
    /* Settings that were asked for and left out, since /dev/shm does not hold their batches: a sentence,
     * "" where there are none. */
    char left_out[240];
    uint32_t best;          /* the smallest within 2 % of the best; UINT32_MAX: the one that ran */
    uint32_t best_if_split; /* the same with those that are so only then */
    uint32_t without_count;
    struct predict_without without[PREDICT_PARTS];
};

struct predict_options {
    uint32_t workers_from, workers_to, prefetch_from, prefetch_to;
    double cpus; /* NaN: those that there were */
    /* As if a run that was cut short in its first epoch had gone on for long: its start counts nothing. */
    bool goes_on;
};
/* What is told where nobody asks for anything else. */
struct predict_options predict_usual(const struct run_loader *loader, const struct why *why);

/* predict_model.c: false with the reason in `says`. hides: some of its waiting may be hidden behind GPU
 * work. Free model->batches. */
bool predict_model_make(const struct run_process *process, const struct run_loader *loader,
                        const struct why *why, bool hides, struct predict_model *model, char *says,
                        size_t size);

/* How many times as fast as the run that was measured is one that takes so long. */
struct range predict_faster(const struct predict *predict, const struct range *window_s);
#define PREDICT_SURE 1.02 /* of the lower bound: from here on a gain is surely one */

/* All of it; NULL: out of memory. free() it. */
struct predict *predict_make(const struct run_process *process, const struct run_loader *loader,
                             const struct why *why, bool hides,
                             const struct predict_options *options);

/* ---- one setting: predict_one.c, for predict.c ---- */

/* What giving back the tensors of a batch takes the loop, which workers sent. */
double predict_release_ns(const struct predict_model *model);

#define PREDICT_FULL_FROM 0.75 /* share of the CPUs that is in use: beyond it they take turns */

/* A replay. */
struct predict_outcome {
    double time, waited; /* ns */
    double used, busy;   /* share of the CPUs in use, and how many */
    double cpu_share; /* predict_run_usual(): so much longer it takes, relative, on slower CPUs */
};

/* What is known of the interval before anything is simulated. */
struct predict_doubt {
    double noise, miss;
    double used, busy; /* of the setting that ran: share of the CPUs in use, and how many */
    double computes;   /* share of making a batch that is computing */
    double splits;     /* a stream is shared out otherwise where the workers are others */
    double speed;      /* replayed / measured: what is told is corrected by it */
    double in_turns;   /* the same where CPUs are shared in turns; NaN: they were not */
};

bool predict_run(const struct predict_model *model, const struct machine_setting *setting,
                 struct predict_outcome *outcome);
/* The same for what is told, whose interval follows how far it depends on the CPUs' speed. */
bool predict_run_usual(const struct predict_model *model, const struct machine_setting *setting,
                       struct predict_outcome *outcome);
/* doubt->in_turns, of a run that took so long. */
double predict_in_turns_of(const struct predict_model *model, double measured_ns);

/* The interval around `usual`. slow and fast: what else it may be. */
void predict_tell(const struct predict_model *model, const struct predict_doubt *doubt,
                  const struct machine_setting *setting, const struct predict_outcome *slow,
                  const struct predict_outcome *usual, const struct predict_outcome *fast,
                  struct predict_setting *out);
/* False: it is not told. */
bool predict_one(const struct predict_model *model, const struct predict_doubt *doubt,
                 const struct machine_setting *setting, struct predict_setting *out);

bool predict_is_other_data(const struct predict_model *model, uint32_t workers);
/* More batches may be under way than shared memory holds: a worker would die of it. The setting that
 * ran did run. */
bool predict_fits_shared_memory(const struct predict_model *model,
                                const struct machine_setting *setting);

#endif
