/* SPDX-License-Identifier: Apache-2.0 */
/* From what was read to what it means: the words and formulas of docs/measuring.md as numbers.
 * Pure: no clock, no file, no environment. Shares are 0..1; NaN and DATASTALL_UNKNOWN: not known.
 */
#ifndef DATASTALL_DIAGNOSE_SUMMARY_H
#define DATASTALL_DIAGNOSE_SUMMARY_H

#include "datastall.h"
#include "diagnose/why.h"
#include "run/run_data.h"

enum summary_method {
    SUMMARY_METHOD_UNKNOWN,    /* nothing was recorded */
    SUMMARY_METHOD_HOST_EXACT, /* no GPU in the process: a wait stopped the program */
    SUMMARY_METHOD_GPU_EVENTS, /* the GPU's own clock, for most of the waiting */
    SUMMARY_METHOD_HOST_BOUND  /* a GPU is used and may have been busy meanwhile: at most */
};

#define SUMMARY_SLIGHT 0.20 /* less is slight */

enum summary_severity {
    SUMMARY_SEVERITY_UNKNOWN,
    SUMMARY_SEVERITY_NONE,     /* stall share below 5 % */
    SUMMARY_SEVERITY_SLIGHT,   /* from 5 % */
    SUMMARY_SEVERITY_MODERATE, /* from 20 % */
    SUMMARY_SEVERITY_SEVERE    /* from 50 % */
};

enum summary_state {
    SUMMARY_RUNNING,
    SUMMARY_ENDED,
    SUMMARY_DIED,
    SUMMARY_UNSEEN, /* in a PID namespace that cannot be seen from here, and silent for a while */
    SUMMARY_STATES
};

/* The process of `datastall run`, which outlives the command unless it is killed. */
enum summary_launcher {
    SUMMARY_LAUNCHER_NONE,    /* used as a library */
    SUMMARY_LAUNCHER_RUNNING, /* this and the next three as enum summary_state */
    SUMMARY_LAUNCHER_ENDED,
    SUMMARY_LAUNCHER_DIED,
    SUMMARY_LAUNCHER_UNSEEN,
    SUMMARY_LAUNCHER_MISSING /* there was one, its file is gone or cannot be read */
};

struct summary_loader {
    const struct run_loader *data;
    uint32_t process; /* index in processes[] */
    bool in_verdict;  /* false: reported by hand while hooks saw the same process */
    datastall_statistics figures;
    struct stall stall;   /* waits of all kinds */
    double waiting_share; /* of the loader's own window */
    struct why why;
    struct predict *predict; /* what other settings would give; NULL: nobody asked */
    uint64_t
        unfinished_wait_ns; /* a wait that had not ended when the process did, or now; 0 none */
};

struct summary_stage {
    const char *name;
    uint32_t process;
    uint64_t duration_ns; /* the stage's window: time spent in it */
    uint64_t entries, batches, samples, tokens;
    struct stall stall;
    double waiting_share;
};

struct summary_process {
    const struct run_process *data;
    enum summary_state state;
    enum summary_method method;
    bool upper_bound;          /* a background thread waited, or the method is a bound */
    uint32_t threads;          /* that waited, each counted once */
    bool background;           /* see struct run_loader: the program may have worked meanwhile */
    uint64_t begin_ns, end_ns; /* window; DATASTALL_UNKNOWN without waits */
    /* Of the window, while no loader was iterated over: another cell of a notebook, a checkpoint. */
    uint64_t paused_ns;
    uint64_t active_ns; /* the rest of it, which shares are of */
    uint64_t life_ns;   /* from its first wait to its end, or now; DATASTALL_UNKNOWN */
    double run_cpus;    /* that the run's processes on its machine used on average; 0: not known */
    struct stall stall; /* of the verdict's loaders: host waits, and what events told of them */
    /* What all the evidence says: the verdict takes the upper one, exposed where known, else the
     * wait. At least lower_ns; 0 where nothing is known. */
    struct stall_bounds exposed;
    double stall_share;       /* exposed.upper_ns of active_ns; NaN without one */
    double stall_share_lower; /* exposed.lower_ns of it */
    double speedup_ceiling;   /* active / (active - stall); NaN unknown, infinite: it only waited */
    bool shares_cpus;         /* loop and workers: less loading may also speed up the loop itself */
    bool is_brief;            /* what it waited is nothing beside its life */
    /* It is a slight stall, and none but for CPUs that others used: that share of active_ns; 0: not so. */
    double for_others_share;
    bool others_explain; /* its stall, but for less than is worth a word; a slight one or not */
    uint32_t gpu;        /* index in gpus[] of the one it uses; UINT32_MAX: not known, or several */
    /* What its severity follows: what is known of its stall, and of a shared GPU's no more than is known
     * of that; NaN: too little is known. */
    double severe_share;
    bool counts; /* for the worst rank: its window is at least a tenth of the longest */
};

/* Shares of the time for which GPM knows them, 0..1, and means in bytes a second; NaN: unknown. */
struct summary_gpm {
    double sm_share, occupancy_share, tensor_share, dram_share;
    double pcie_tx_bytes_per_s, pcie_rx_bytes_per_s, nvlink_tx_bytes_per_s, nvlink_rx_bytes_per_s;
};

struct summary_gpu {
    const struct rf_gpu_view *data;
    bool silent;        /* the driver did not answer the last call */
    uint32_t processes; /* that consumed it at the same time, the most: it is shared from 2 on */
    /* Of the loaders that this device consumed, in its own time: see stats/stall.h. */
    struct stall stall;
    double stall_share;       /* of the window, at most; NaN unknown */
    double stall_share_lower; /* at least */
    bool stall_is_bound;     /* the two are further apart than the error of the method, or stall and
                                 busy are more than all */
    double busy_share;       /* of the window; NaN unknown */
    const char *busy_source; /* "gpm": the GPU's own counters; "nvml": at least in part NVML's
                                   utilisation, a symptom; NULL: unknown */
    double other_idle_share; /* 1 - busy - stall, from exact sources only; else NaN */
    uint64_t busy_samples;
    /* Since sampling began: counters, whose sum is the time observed. */
    uint64_t busy_ns, idle_ns, unknown_ns;
    uint64_t energy_uj; /* power integrated over energy_ns; DATASTALL_UNKNOWN: never read */
    uint64_t energy_ns;
    /* What the GPU drew during exposed stalls: at least at the lowest power seen, at most at the
     * mean power. NaN unknown. */
    double stalled_energy_lower_j, stalled_energy_upper_j;
    /* Shares of the time in which clocks were held back; NaN unknown. */
    double held_power_share, held_thermal_share, held_hardware_share;
    struct summary_gpm gpm;
    uint64_t memory_used_peak_bytes, memory_total_bytes;
    double power_mean_w, power_max_w, temperature_max_c, sm_clock_mean_mhz;
};

struct job_figures;

struct summary {
    const struct run_data *data;
    enum summary_state state; /* of the run: it goes on while its command or any process does */
    enum summary_launcher launcher;
    const char *command;
    const char *name;
    uint64_t started_real_ns;
    uint64_t duration_ns;      /* so far, while it runs */
    uint64_t setup_ns;         /* before the first iter(); DATASTALL_UNKNOWN without waits */
    uint64_t exit_status;      /* DATASTALL_UNKNOWN: not known */
    uint64_t begin_ns, end_ns; /* window over all processes */

    enum summary_severity severity;
    double stall_share; /* mean over processes, by the time of each */
    uint32_t worst;     /* index in processes[]; UINT32_MAX: none */
    enum summary_method method;
    bool upper_bound;
    double speedup_ceiling; /* of the worst process */
    bool ceiling_is_bound;
    double price_per_gpu_hour; /* NaN: not told; whoever is told sets it */

    uint32_t loader_count, stage_count, process_count, gpu_count;
    struct summary_loader *loaders;
    struct summary_stage *stages;
    struct summary_process *processes;
    struct summary_gpu *gpus;
    struct job_figures *job; /* what its ranks lost together (job.h); NULL: it has no two ranks */
    struct summary_steps *steps; /* diagnose/steps.h: one per process */
};

/* now_ns: CLOCK_MONOTONIC, for runs and waits that still go on. data must outlive the summary.
 * Returns 0 or DATASTALL_ERR_MEMORY. Free with summary_free(). */
int summary_make(const struct run_data *data, uint64_t now_ns, struct summary **summary);
/* The same without what takes time and one rank alone cannot tell: predictions, the job. */
int summary_make_bare(const struct run_data *data, uint64_t now_ns, struct summary **summary);
void summary_free(struct summary *summary);

/* Whether a loader's batches were consumed on a device. */
bool summary_consumes(const struct summary_loader *loader, const struct rf_gpu_view *device);
/* The GPU that a process consumes on, whoever else does; NULL: not known. */
const struct summary_gpu *summary_gpu_of(const struct summary *summary,
                                         const struct summary_process *process);
/* The GPU that a process was seen to use, alone; NULL: not known, or others of the run use it too. */
const struct summary_gpu *summary_own_gpu(const struct summary *summary,
                                          const struct summary_process *process);

/* What loaders stalled, and what of it other programs' use of the CPUs explains; of several runs as well. */
struct summary_others {
    uint64_t stall_ns, others_ns;
};
void summary_add_others(const struct summary *summary, struct summary_others *sum);
/* Of a job's slight loss, the share that is the others', where no more than a loss that is none is left
 * without it; else 0: all of it is charged. */
double summary_for_others_of_job(double lost_share, const struct summary_others *sum);

/* What a share of the time is called; NaN: unknown. */
enum summary_severity summary_severity_of(double share);
const char *summary_severity_name(enum summary_severity severity);
const char *summary_method_name(enum summary_method method); /* "host-exact", "host-bound" */
const char *summary_state_name(enum summary_state state);
const char *summary_launcher_name(enum summary_launcher launcher); /* NULL: none */

/* What became of a run whose launcher did not end it, as one sentence; "" where nothing is amiss. */
void summary_launcher_text(const struct summary *summary, char *text, size_t size);

/* The name of its machine, for people. */
static inline const char *summary_node(const struct rf_process_static *fixed)
{
    return fixed->node[0] != '\0' ? fixed->node : fixed->hostname;
}

/* The rank of a process for people: its rank, else DATASTALL_UNKNOWN. */
static inline uint64_t summary_rank(const struct summary_process *process)
{
    return process->data->view.fixed.rank;
}

/* How many ranks the job of a process has: as it was told, else the processes that recorded. */
static inline uint64_t summary_world_size(const struct summary *summary,
                                          const struct summary_process *process)
{
    const uint64_t told = process->data->view.fixed.world_size;
    return told != DATASTALL_UNKNOWN && told > summary_rank(process) ? told
                                                                     : summary->process_count;
}

/* The verdict in words that fit the method; two lines at most, each below size. Pure. */
void summary_verdict_text(const struct summary *summary, char *text, size_t size);
void summary_prize_text(const struct summary *summary, char *text, size_t size);

/* Where nothing was recorded, because the program loops over an array, a queue, a generator. */
#define SUMMARY_WATCH_HINT \
    "a loop without a DataLoader is recorded with: for batch in datastall.watch(loader)"

/* Seconds for people: "820 ms", "12.3 s", "1m 18s", "2h 03m". */
void summary_duration_text(double seconds, char *text, size_t size);

#endif
