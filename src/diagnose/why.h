/* SPDX-License-Identifier: Apache-2.0 */
/* Why a loader is slow: the cause that its stalls show, with the evidence and what to try. Pure.
 * The terms and rules are those of docs/causes.md; keep the two together. */
#ifndef DATASTALL_DIAGNOSE_WHY_H
#define DATASTALL_DIAGNOSE_WHY_H

#include "base/clock.h"
#include "base/sums.h"
#include "diagnose/range.h"
#include "run/run_data.h"
#include "stats/cause.h"

enum why_cause { /* the first CAUSE_STATES are the states themselves */
                 WHY_HEAD_OF_LINE = CAUSE_STATES,
                 WHY_WINDOW,
                 WHY_STORAGE,          /* blocked, and storage was read meanwhile */
                 WHY_EPOCH_START,      /* the first batches of many epochs */
                 WHY_UNEVEN_SHARDS,    /* workers of a stream with little or nothing to do */
                 WHY_DUPLICATE_STREAM, /* each worker goes through all of a stream */
                 WHY_FAILED,           /* a worker was killed, hangs, or an item raised an error */
                 WHY_NONE,
                 WHY_CAUSES
};

/* Per batch of a loader's workers, all together: nanoseconds unless it says otherwise. */
struct why_work {
    uint32_t workers; /* entries that recorded something */
    uint64_t batches, items, items_timed;
    uint64_t items_ns, cpu_ns, delay_ns, threads_ns, blocked_ns; /* the first: sum of the rest */
    uint64_t children_ns; /* CPU time of processes that workers started and keep, while blocked */
    uint64_t collate_ns, collate_delay_ns, collate_threads_ns, gap_ns, gap_cpu_ns;
    uint64_t startup_ns, generations;
    uint64_t opened_ns;                      /* of making fetchers: a stream's __iter__ */
    uint64_t sent, sent_bytes, sent_tensors; /* batches pickled, and what was in them */
    uint64_t tensor_bytes;                   /* of one batch, in shared memory; 0: not told */
    uint64_t ended, asked_which;             /* of streams: see RF_TOTAL_ENDED */
    uint64_t looks,
        locked;   /* at workers that made a batch; of them they waited for a shared lock */
    uint32_t fed; /* workers that had items */
    uint64_t most_items, least_items; /* of one worker */
    uint64_t most_items_ns;           /* that one took for all of its own */
    bool same_data; /* the first batches of all workers are alike, and not like their second ones */
    uint64_t asked_bytes, storage_bytes, major_faults; /* DATASTALL_UNKNOWN: not told */
    double busy_share;   /* of the workers' time from their first to their last batch; NaN */
    double running_cpus; /* CPUs that they kept busy on average; NaN */
    double item_p50_ns, item_p99_ns, item_max_ns; /* NaN: items were not timed */
};

struct why_depth { /* when a wait began, means over the waits; NaN: not known */
    uint64_t waits;
    double ready, early, in_flight, possible, empty_share;
};

/* What the machine gave, as far as it is known; NaN where not. */
struct why_host {
    double cpus_usable; /* that the process may use */
    const char *limit;  /* what sets that number: "the machine", "its affinity" ... */
    double loop_cpus;   /* CPUs that the recording process itself kept busy on average */
    double throttled_s; /* time for which the cgroup's quota held it back */
    double cpu_pressure, io_pressure;      /* share of the time in which some task waited (PSI) */
    double shm_size_bytes, shm_used_bytes; /* /dev/shm; the most that was seen in use */
    double idle_cpus;     /* of the usable ones, idle on average while loaders were iterated over */
    double children_cpus; /* that processes kept busy which loop and workers started, and keep */
    /* Threads that ran or waited for a CPU, to each CPU of the machine; NaN also where the process may not
     * use all of those. */
    double threads_per_cpu;
    bool is_limited; /* by something else than the machine: `limit` says what */
};

/* What became of a worker that did not bring its batch. */
enum why_failure_kind {
    WHY_NOTHING_FAILED,
    WHY_WORKER_KILLED, /* status: the signal */
    WHY_WORKER_EXITED, /* status: its exit status */
    WHY_WORKER_HANGS,
    WHY_ITEM_RAISED,
    WHY_BATCH_LOST,   /* made, and not sent: pickling it raised an error */
    WHY_TAKING_FAILED /* next() raised in the loop, and all workers are well */
};
struct why_failure {
    enum why_failure_kind kind;
    uint64_t worker, pid; /* worker RF_WORKER_MAIN: the loop's own process */
    uint64_t status;
    uint64_t item;     /* index in the data set; DATASTALL_UNKNOWN */
    uint64_t since_ns; /* it hangs: how long already */
    uint64_t after;    /* items of a stream that came before; 0: not told */
};

/* What another setting gives, reckoned from the means of what was recorded: time per batch is the
 * longer of the loop's own work and the workers' share of the making. */
struct why_setting {
    double loop_ns, make_ns; /* per batch: the loop's own work, the making of it; NaN unknown */
    double cpus_each;        /* that one worker keeps busy while it makes batches */
    double most_workers;     /* that there are CPUs for; NaN unknown */
    uint32_t workers;        /* the fewest that give nearly the most; 0: none gives more */
    double gain;             /* with those: so much of the time is saved, 0..1 */
    double in_loop_ns;       /* all the waits with num_workers=0; NaN unknown, or it is so */
    /* A replay of the run (predict.h) says so, and not the means; how many times as fast, each, as this
     * run: with `workers`, without any, with RF_REPLAY_FACTOR times the window ...; NaN not told. */
    bool is_replayed;
    struct range faster, faster_in_loop, faster_window;
    struct range faster_kept; /* with persistent_workers */
    struct range at_most; /* without what the cause is of: half the computing, no collation ... */
    struct range
        less; /* where CPUs lack: of half the computing and no collation, what brings more */
    bool less_is_collation;
};

/* Other programs on the CPUs; of the stall nanoseconds. */
struct why_others {
    double cpus; /* that they used on average, of the usable ones; NaN not known */
    /* No CPU was free, and they used them: 0 where they used little. Of it reckoned, where threads are
     * not timed by themselves: what of it is in the hand-over, and all that is in what comes before and after
     * the making; lack_ns also has what items' other threads and programs waited (why_crowded_ns()). */
    uint64_t lack_ns, handed_ns, untimed_ns;
    uint64_t once_ns; /* of the rest, what the only iterator costs once */
    bool explain;     /* what is left beside these two is no stall to speak of */
};

#define WHY_EVIDENCE 8
struct why {
    uint32_t primary; /* enum why_cause, or enum cause_state */
    struct why_failure failure;
    struct why_setting setting;
    uint64_t active_ns;               /* the loader's window without its pauses */
    uint64_t first_ns;                /* of the waits: in iter(), in first batches, in ends */
    uint64_t stall_ns;                /* what is split: exposed where known, else waited */
    uint64_t states_ns[CAUSE_STATES]; /* sum to stall_ns */
    uint64_t later_ready_ns, others_idle_ns, window_ns;
    double shares[CAUSE_STATES]; /* of the stall; NaN without one */
    double head_of_line, window;
    double stall_share; /* of active_ns */
    struct why_others others;
    struct why_host host;
    struct why_work work;
    struct why_depth depth;
    uint32_t evidence_count;
    char evidence[WHY_EVIDENCE][160];
    bool gain_told;       /* the suggestion says how many times as fast, of active_ns */
    char suggestion[640]; /* "": none */
};

/* What is known beside the loader. */
struct why_around {
    uint64_t life_ns;    /* from the process's first wait to its end, or now; DATASTALL_UNKNOWN */
    uint64_t stopped_ns; /* when it stopped, or now; DATASTALL_UNKNOWN */
    uint64_t unfinished_ns; /* a wait that had not ended then; 0: none */
    bool failed;            /* the command ended with an error */
    bool interrupted;       /* by Ctrl-C */
    /* That all of the run's processes on this machine used on average; 0: not known. */
    double run_cpus;
};

/* So short a stall is not worth a word, whatever share of a loop it is: next to nothing by itself, or
 * short and little of what the process did since its first wait. (A long one is, also where the process
 * lives on for hours, as a notebook does.) */
#define WHY_NOTHING_NS (20 * DS_NS_PER_S / 1000)
#define WHY_SHORT_NS DS_NS_PER_S
#define WHY_LITTLE_OF_LIFE 0.05
static inline bool why_is_brief(uint64_t stall_ns, uint64_t life_ns)
{
    return stall_ns < WHY_NOTHING_NS || (stall_ns < WHY_SHORT_NS && life_ns != DATASTALL_UNKNOWN &&
                                         (double)stall_ns < WHY_LITTLE_OF_LIFE * (double)life_ns);
}

/* stall: of the loader. All but the sentences, see why_sentences.h. */
void why_make(const struct run_process *process, const struct run_loader *loader,
              const struct stall *stall, const struct why_around *around, struct why *why);

/* why_choose.c: the cause, from all that was recorded. */
uint32_t why_choose(const struct run_loader *loader, const struct why_around *around,
                    const struct why *why);
/* Storage was asked often enough to explain what items were blocked for. */
bool why_is_storage(const struct why_work *work);
/* Of a stream whose workers have about as many items each, one takes far longer for its own. */
bool why_is_uneven_in_cost(const struct run_loader *loader, const struct why_work *work);
/* Of the stall, for how long items' other threads, and programs, would have waited for a CPU beside so many:
 * never more than they were blocked for. 0: not known. */
uint64_t why_crowded_ns(const struct why *why);
/* Loop and workers want as many CPUs as there are: less loading may speed up the loop itself as well. */
bool why_shares_cpus(const struct run_loader *loader, const struct why *why);
/* How many times as fast without the stall, nanoseconds each; infinite: it only waited. */
static inline double why_ceiling(uint64_t active_ns, uint64_t stall_ns)
{
    return (double)active_ns / (double)(active_ns - stall_ns);
}
/* why_setting.c: what more workers, or none, would give. */
void why_reckon(const struct run_loader *loader, const struct why *why,
                struct why_setting *setting);
/* CPU time of a worker's batches, of all its threads: several keep several CPUs busy. An older file tells
 * of them only what they ran one after the other. */
static inline uint64_t why_made_cpu_ns(const uint64_t *totals)
{
    const uint64_t all = totals[RF_TOTAL_ITEMS_THREADS_CPU_NS];
    const uint64_t in_turn = totals[RF_TOTAL_ITEMS_THREADS_NS];
    return ds_add(ds_add(totals[RF_TOTAL_ITEMS_CPU_NS], all > in_turn ? all : in_turn),
                  totals[RF_TOTAL_COLLATE_CPU_NS]);
}
/* why_others.c: other programs on the CPUs. run_cpus: as in struct why_around. */
void why_find_others(const struct run_loader *loader, const struct why *why, double run_cpus,
                     struct why_others *others);
/* CPUs that a process and its workers kept busy on average; 0 where that is not known. */
double why_cpus_of(const struct run_process *process);
/* CPU time that taking the batches off the queue took: unpickling. */
double why_taking_ns(const struct run_loader *loader);
/* Of the stall, what one iterator costs once: its making, its first batch, its end. */
uint64_t why_once_ns(const struct run_loader *loader, const struct why *why);
/* Start-up that happens once is no cause to look for below this. */
#define WHY_LEAST_SINGLE_STARTUP_NS DS_NS_PER_S
static inline bool why_is_single(const struct run_loader *loader)
{
    return loader->totals.counters[RF_COUNT_ITERATORS] <= 1;
}
/* why_failure.c */
void why_find_failure(const struct run_process *process, const struct run_loader *loader,
                      const struct why_around *around, struct why_failure *failure);

/* Of the time in which loaders are iterated over: what is less is no stall to speak of. */
#define WHY_LEAST_STALL 0.05

/* A window without its pauses. More of those than there is window is damage. */
static inline uint64_t why_active_ns(uint64_t window_ns, uint64_t paused_ns)
{
    return paused_ns < window_ns ? window_ns - paused_ns : window_ns;
}

/* Of what items were blocked for, processes that the workers started and keep ran for so much: items wait
 * for those. Where no CPU is idle, they wait for one as well. */
#define WHY_LEAST_CHILDREN 0.5
#define WHY_LEAST_CHILDREN_CROWDED 0.2
#define WHY_LEAST_IDLE_CPUS 0.3
/* CPUs: less of them, and other programs are no reason for anything. */
#define WHY_LEAST_OF_OTHERS 0.5
static inline bool why_computes_in_children(const struct why *why)
{
    const double least =
        why->host.idle_cpus < WHY_LEAST_IDLE_CPUS ? WHY_LEAST_CHILDREN_CROWDED : WHY_LEAST_CHILDREN;
    return why->work.children_ns > 0 &&
           (double)why->work.children_ns >= least * (double)why->work.blocked_ns;
}

/* Items that waited for a CPU for so much of their time say that there is none free. */
#define WHY_MOST_DELAY 0.15
static inline bool why_items_lack_cpus(const struct why_work *work)
{
    return (double)work->delay_ns > WHY_MOST_DELAY * (double)work->items_ns;
}

/* Whether /dev/shm holds so many batches; also where that is not known. Each lies there until it was
 * taken, and a worker that finds no room is killed. */
static inline bool why_fits_shared_memory(const struct why *why, double batches)
{
    return why->work.tensor_bytes == 0 ||
           !(batches * (double)why->work.tensor_bytes > why->host.shm_size_bytes);
}

/* Workers that wait for one another behind a lock go no faster in larger numbers. */
#define WHY_LEAST_LOOKS 12
#define WHY_MOST_LOCKED 0.10
static inline bool why_workers_share_a_lock(const struct why_work *work)
{
    return work->looks >= WHY_LEAST_LOOKS &&
           (double)work->locked > WHY_MOST_LOCKED * (double)work->looks;
}

/* Of a batch on its way: tensors and pickled bytes that are worth a word. */
#define WHY_MANY_TENSORS 64
#define WHY_MANY_BYTES (256.0 * 1024)
static inline bool why_sends_many_tensors(const struct why_work *work)
{
    return work->sent > 0 &&
           (double)work->sent_tensors >= (double)WHY_MANY_TENSORS * (double)work->sent;
}
static inline bool why_sends_many_bytes(const struct why_work *work)
{
    return work->sent > 0 && (double)work->sent_bytes >= WHY_MANY_BYTES * (double)work->sent;
}

static inline bool why_loader_is(const struct run_loader *loader, uint64_t flag)
{
    return (loader->entry.flags & flag) != 0;
}
/* Its workers can have a part each: somebody asks which one he is in. */
static inline bool why_may_be_split(const struct run_loader *loader, const struct why_work *work)
{
    return work->asked_which > 0 || why_loader_is(loader, DATASTALL_LOADER_WORKER_INIT);
}
/* A stream whose workers do not ask which one they are gives each of them all of it. */
static inline bool why_may_be_unsplit(const struct run_loader *loader, const struct why_work *work)
{
    return why_loader_is(loader, DATASTALL_LOADER_STREAM) && !why_may_be_split(loader, work);
}
/* What a worker does itself before its first index, longer than starting a process takes where CPUs are
 * busy as well: worker_init_fn, which torch does not call in the loop's own process. */
#define WHY_LONGEST_START_NS (150 * DS_NS_PER_S / 1000)
static inline bool why_starts_by_init(const struct run_loader *loader, const struct why_work *work)
{
    return why_loader_is(loader, DATASTALL_LOADER_WORKER_INIT) &&
           !why_loader_is(loader, DATASTALL_LOADER_SPAWNED) && work->generations > 0 &&
           ds_subtract(work->startup_ns, work->opened_ns) / work->generations >=
               WHY_LONGEST_START_NS;
}
/* A loader of its own for most epochs. */
static inline bool why_is_made_anew(const struct run_loader *loader)
{
    return 2 * loader->entry.objects > loader->totals.counters[RF_COUNT_ITERATORS];
}
/* How many workers it has; DATASTALL_UNKNOWN: not told, or more than any machine has. */
static inline uint64_t why_workers_of(const struct run_loader *loader)
{
    return loader->entry.num_workers < 100000 ? loader->entry.num_workers : DATASTALL_UNKNOWN;
}

/* "compute", "head_of_line", "none" ... */
const char *why_name(uint32_t cause);

#endif
