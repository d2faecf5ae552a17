/* datastall.h - how long a program waits for its data, recorded in nanoseconds.
 *
 * Copyright 2026 the datastall authors. SPDX-License-Identifier: Apache-2.0
 *
 * This is the only public header of libdatastall. A minimal native input loop:
 *
 *     datastall_monitor *monitor = NULL;
 *     datastall_loader *loader = NULL;
 *     datastall_open(NULL, &monitor);
 *     datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
 *     options.name = "train";
 *     datastall_loader_register(monitor, &options, &loader);
 *     for (;;) {
 *         datastall_wait wait = datastall_wait_begin(loader);
 *         size_t samples = next_batch(...);
 *         datastall_batch batch = DATASTALL_BATCH_INIT;
 *         batch.samples = samples;
 *         datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, &batch);
 *     }
 *     datastall_close(monitor);
 *
 * Contract, for every function below:
 *
 * - Times are CLOCK_MONOTONIC nanoseconds. Counts are plain numbers. A figure that is not known is
 *   DATASTALL_UNKNOWN (integers) or NaN (doubles); it is never 0.
 * - Functions that can fail return 0 or a negative `enum datastall_error`;
 *   datastall_last_error() then holds one sentence for people, for the calling thread.
 * - A NULL monitor, loader or wait is accepted everywhere, so that a program whose datastall_open()
 *   failed runs on unchanged without checking again. What records, names or ends something then does
 *   nothing (and returns 0); what asks for something answers DATASTALL_ERR_OFF, "", NaN or
 *   DATASTALL_UNKNOWN. NULL where a result should go is DATASTALL_ERR_ARGUMENT.
 * - Recording never fails, blocks, allocates, locks or logs after a thread's first wait on a
 *   loader. What could not be recorded, or not as it was said, is counted by reason
 *   (struct datastall_lost).
 * - Every function may be called from any thread. Several monitors may be open at once.
 * - After fork() the child's copies of all handles are detached: calls on them do nothing (queries
 *   return DATASTALL_ERR_FORKED), so a child never writes as its parent. Open a new monitor there.
 * - Structs come from their *_INIT macro, which sets `struct_size` where there is one and leaves
 *   options at their defaults and figures unknown. Newer versions append fields (or use reserved
 *   ones), so programs built against an older or a newer header keep working: a library fills the
 *   fields that both know and leaves the rest, and a call that fails leaves all of a result. A
 *   struct_size that is no struct's, flags that this version does not know, and options beyond its
 *   own that are set (neither zero nor all ones) are refused with DATASTALL_ERR_ARGUMENT.
 */
#ifndef DATASTALL_H
#define DATASTALL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DATASTALL_VERSION_MAJOR 0
#define DATASTALL_VERSION_MINOR 1
#define DATASTALL_VERSION_PATCH 0
#define DATASTALL_VERSION "0.1.0"
/** Grows with every release: compare with datastall_version_number(). */
#define DATASTALL_VERSION_NUMBER \
    (DATASTALL_VERSION_MAJOR * 10000 + DATASTALL_VERSION_MINOR * 100 + DATASTALL_VERSION_PATCH)

#if defined(DATASTALL_STATIC)
#define DATASTALL_API
#else
#define DATASTALL_API __attribute__((visibility("default")))
#endif

/** An integer figure that is not known. */
#define DATASTALL_UNKNOWN UINT64_MAX
/** A real figure that is not known; it compares unequal to itself. */
#define DATASTALL_NAN __builtin_nan("")
/** No batch has more samples, tokens or positions than this (2^40), nor a longer sequence. */
#define DATASTALL_MAX_COUNT (UINT64_C(1) << 40)

/** Waits shorter than this many nanoseconds mean a full queue (exclusive limit). */
#define DATASTALL_QUEUE_FULL_BELOW_NS UINT64_C(1000000)
/** Waits longer than this many nanoseconds mean a starved queue (exclusive limit). */
#define DATASTALL_QUEUE_STARVED_ABOVE_NS UINT64_C(50000000)

/* ---- errors: the one table. X(NAME, value, sentence) ------------------------------------------
 */
#define DATASTALL_ERRORS(X)                                        \
    X(OK, 0, "success")                                            \
    X(ERR_ARGUMENT, -1, "an argument is not valid")                \
    X(ERR_MEMORY, -2, "out of memory")                             \
    X(ERR_IO, -3, "a file operation failed")                       \
    X(ERR_NO_SPACE, -4, "no space is left for the run file")       \
    X(ERR_PERMISSION, -5, "permission was denied")                 \
    X(ERR_NOT_FOUND, -6, "no such run, file or device")            \
    X(ERR_FOREIGN, -7, "not a datastall run file")                 \
    X(ERR_NEWER, -8, "written by a newer datastall")               \
    X(ERR_DAMAGED, -9, "the run file is damaged")                  \
    X(ERR_FORKED, -10, "the handle belongs to the parent process") \
    X(ERR_OFF, -11, "recording is switched off")                   \
    X(ERR_FULL, -12, "a fixed table is full")                      \
    X(ERR_UNSUPPORTED, -13, "not supported on this machine")       \
    X(ERR_EXISTS, -14, "it exists already")

enum datastall_error {
#define DATASTALL_ERROR_ENUM(name, value, text) DATASTALL_##name = (value),
    DATASTALL_ERRORS(DATASTALL_ERROR_ENUM)
#undef DATASTALL_ERROR_ENUM
};

/** The sentence of an error code; never NULL. Thread-safe. */
DATASTALL_API const char *datastall_strerror(int error);

/** What went wrong last in this thread, with its circumstances ("cannot create /x: Permission
 * denied"); "" when nothing did. Valid until the thread's next failing call. */
DATASTALL_API const char *datastall_last_error(void);

/** The version of the library that is linked, as "MAJOR.MINOR.PATCH". */
DATASTALL_API const char *datastall_version(void);
/** The same as a number, DATASTALL_VERSION_NUMBER of that library. */
DATASTALL_API uint32_t datastall_version_number(void);

/* ---- monitor: one per run file ----------------------------------------------------------------
 */
typedef struct datastall_monitor datastall_monitor;

/** Keep everything in memory: no run file, statistics only. */
#define DATASTALL_MEMORY_ONLY 0x1u

typedef struct datastall_options {
    size_t struct_size;
    uint32_t flags;     /**< DATASTALL_MEMORY_ONLY */
    uint32_t max_slots; /**< threads of loaders (and devices of threads) with figures of their own;
                             0: 32, at most 256 */
    uint32_t recent_waits; /**< waits kept in full per slot; 0: 512, at most 65536 */
    const char *directory; /**< folder of runs; NULL: $DATASTALL_DIR, else ./datastall-runs. Ignored
                                under `datastall run`, whose run folder is $DATASTALL_RUN_DIR */
    const char *run_name;  /**< part of a new run folder's name; NULL: the program's name */
    const char *command;   /**< the command line to note in the file; NULL: /proc/self/cmdline */
    uint32_t recent_gpu_samples; /**< samples kept in full per GPU; 0: 128, at most 65536 */
    uint32_t reserved;           /**< 0 */
} datastall_options;
#define DATASTALL_OPTIONS_INIT {sizeof(datastall_options), 0, 0, 0, NULL, NULL, NULL, 0, 0}

/** Opens a monitor and makes its run file: allocated, mapped and touched before the call returns
 * (a few milliseconds). options may be NULL. On failure *monitor is NULL and nothing is left
 * behind. The rank is read from RANK, SLURM_PROCID, OMPI_COMM_WORLD_RANK or PMI_RANK, in that
 * order. */
DATASTALL_API int datastall_open(const datastall_options *options, datastall_monitor **monitor);

/** Marks the run file as ended and frees the monitor and its loaders. No other thread may use them
 * during or after the call. In a forked child it frees the child's copy and leaves the file alone.
 */
DATASTALL_API void datastall_close(datastall_monitor *monitor);

/** Path of the monitor's run file, "" for a memory-only monitor. Lives as long as the monitor. */
DATASTALL_API const char *datastall_run_file(const datastall_monitor *monitor);

/** 0 while the monitor records; DATASTALL_ERR_FORKED in a forked child; DATASTALL_ERR_OFF once it
 * switched itself off (datastall_last_error() then says why: a run file truncated from outside). */
DATASTALL_API int datastall_monitor_state(const datastall_monitor *monitor);

/** Names the phase that the program is in ("train", "validate"); NULL or "" for none. Process-wide
 * for the monitor: every wait that ends from now on belongs to it, whichever thread waits. Names
 * are cut to 63 bytes. After 64 different names the rest share "other". Takes a lock; not for the
 * inner loop. *previous, where not NULL, receives the name that was current, for restoring it; it
 * stays valid as long as the monitor. */
DATASTALL_API int datastall_stage_set(datastall_monitor *monitor, const char *name,
                                      const char **previous);

/** Samples the machine's GPUs through NVML every interval_s seconds (0: 1.0, at least 0.05), until
 * datastall_gpu_sampling_stop() or datastall_close(). The library is entered by a process of its
 * own where the program `datastall` is there ($DATASTALL_PROGRAM, else on the PATH; no child that
 * this program would see), else by one thread of this process: a driver that is absent, fails or
 * hangs costs figures and nothing else, in a process of its own also one that crashes.
 * Under `datastall run` this does nothing and returns 0, since the launcher samples already. A
 * second start is an error (DATASTALL_ERR_EXISTS). */
DATASTALL_API int datastall_gpu_sampling_start(datastall_monitor *monitor, double interval_s);
/** Ends the sampling; waits at most 100 ms for a last sample. Nothing if none runs. */
DATASTALL_API void datastall_gpu_sampling_stop(datastall_monitor *monitor);

/** What was not recorded, or not as it was said, by reason. The run file holds the same counters;
 * what cannot be is also said once, in one line on standard error, when the monitor ends. */
typedef struct datastall_lost {
    size_t struct_size;
    uint64_t contention;        /**< dropped: two threads met in the shared overflow slot */
    uint64_t after_fork;        /**< always 0 in the parent; calls ignored in this forked child */
    uint64_t merged_other;      /**< kept, but under "other": no slot or loader entry was left */
    uint64_t impossible_times;  /**< waits of which a time cannot be: see datastall_wait_end_at() */
    uint64_t impossible_counts; /**< figures of batches and loaders that cannot be, each taken as
                                     unknown: see struct datastall_batch */
    uint64_t unknown_arguments; /**< kinds, flags and struct sizes that this version does not know:
                                     a wait of such a kind is dropped, the rest is ignored */
} datastall_lost;
#define DATASTALL_LOST_INIT                                                           \
    {sizeof(datastall_lost), DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, \
     DATASTALL_UNKNOWN,      DATASTALL_UNKNOWN, DATASTALL_UNKNOWN}
/** Works in a forked child as well. */
DATASTALL_API int datastall_lost_get(const datastall_monitor *monitor, datastall_lost *lost);

/* ---- loaders ----------------------------------------------------------------------------------
 */
typedef struct datastall_loader datastall_loader;

enum datastall_source {
    DATASTALL_SOURCE_MANUAL = 1, /**< waits reported by the program */
    DATASTALL_SOURCE_WATCH = 2,  /**< datastall.watch() around an iterable */
    DATASTALL_SOURCE_TORCH = 3   /**< hooks in torch.utils.data */
};

typedef struct datastall_loader_options {
    size_t struct_size;
    const char *name; /**< what people call it; NULL: the stage, else the site, else "loader". Kept
                           in 63 bytes: of a longer one parts of words are left out ('~'), never the
                           number of a line in "train.py:42"; " (2)" where the name is taken */
    const char *site; /**< where it was made, "train.py:42"; NULL: unknown */
    const char *dataset_type; /**< NULL: unknown */
    const char *identity;     /**< equal strings are one loader; NULL: name + site + dataset_type */
    uint64_t num_workers;     /**< DATASTALL_UNKNOWN, or above DATASTALL_MAX_COUNT: unknown;
                                   likewise below */
    uint64_t prefetch_factor;
    uint64_t batch_size;
    uint32_t source; /**< enum datastall_source; 0: manual */
    uint32_t flags;  /**< DATASTALL_LOADER_* */
} datastall_loader_options;
#define DATASTALL_LOADER_PIN_MEMORY 0x1u
#define DATASTALL_LOADER_PERSISTENT_WORKERS 0x2u
#define DATASTALL_LOADER_STREAM 0x4u /**< an iterable data set: the workers go through it */
#define DATASTALL_LOADER_SPAWNED \
    0x8u                                 /**< workers start again (spawn, forkserver): the data set
                                                is sent to each */
#define DATASTALL_LOADER_UNBATCHED 0x10u /**< one item is one batch (batch_size=None) */
#define DATASTALL_LOADER_WORKER_INIT 0x20u /**< a function of the program's prepares each worker */
#define DATASTALL_LOADER_SET 0x40u /**< has settings that are not the program's: `run --set` */
#define DATASTALL_LOADER_OPTIONS_INIT  \
    {sizeof(datastall_loader_options), \
     NULL,                             \
     NULL,                             \
     NULL,                             \
     NULL,                             \
     DATASTALL_UNKNOWN,                \
     DATASTALL_UNKNOWN,                \
     DATASTALL_UNKNOWN,                \
     0,                                \
     0}

/** Finds or makes the loader with this identity. The handle belongs to the monitor and lives as
 * long as it. After 32 loaders the rest share one called "other" (and the call still succeeds). */
DATASTALL_API int datastall_loader_register(datastall_monitor *monitor,
                                            const datastall_loader_options *options,
                                            datastall_loader **loader);

/* ---- recording --------------------------------------------------------------------------------
 */
enum datastall_wait_kind {
    DATASTALL_WAIT_STEADY = 0, /**< a batch that is not the first of its epoch */
    DATASTALL_WAIT_FIRST = 1,  /**< start-up: the first batch of an epoch */
    DATASTALL_WAIT_ITER = 2,   /**< start-up: making the iterator (no batch) */
    DATASTALL_WAIT_END = 3,    /**< start-up: the call that said "no more" (no batch) */
    DATASTALL_WAIT_FAILED = 4  /**< the call raised an error (no batch) */
};

/** What one batch was made of. Start from DATASTALL_BATCH_INIT: everything unknown. A figure that
 * cannot be (a count above DATASTALL_MAX_COUNT, a mean length that is negative, not finite or above
 * it, an efficiency outside 0..1 beyond rounding) is taken as unknown and counted in struct
 * datastall_lost; the rest of the batch counts. */
typedef struct datastall_batch {
    size_t struct_size;
    uint64_t batch_index; /**< unknown: the number of batches this thread had from the loader */
    uint64_t samples;     /**< sequences, images, rows */
    uint64_t tokens;      /**< without padding */
    uint64_t longest_sequence;   /**< tokens */
    uint64_t padded_tokens;      /**< positions computed; unknown: samples * longest_sequence */
    double mean_sequence_length; /**< tokens; NaN: unknown */
    double packing_efficiency;   /**< as the caller states it, 0..1; NaN: not stated */
    uint32_t flags;              /**< DATASTALL_BATCH_* */
    uint32_t reserved;           /**< 0 */
} datastall_batch;
/** `tokens` was estimated from earlier batches, not counted. */
#define DATASTALL_BATCH_TOKENS_SAMPLED 0x1u
#define DATASTALL_BATCH_INIT  \
    {sizeof(datastall_batch), \
     DATASTALL_UNKNOWN,       \
     DATASTALL_UNKNOWN,       \
     DATASTALL_UNKNOWN,       \
     DATASTALL_UNKNOWN,       \
     DATASTALL_UNKNOWN,       \
     DATASTALL_NAN,           \
     DATASTALL_NAN,           \
     0,                       \
     0}

/** A wait under way. Lives on the stack of the thread that waits; hand it to datastall_wait_end() or
 * datastall_wait_cancel() in the same thread. One that is forgotten is not counted, and is shown as
 * under way until the thread ends, begins another wait of this monitor or records one of this loader.
 */
typedef struct datastall_wait {
    datastall_loader *loader; /**< NULL: not recorded, ended or cancelled */
    uint64_t begin_ns;
    void *slot;           /**< the library's */
    uint64_t reserved[5]; /**< the library's */
} datastall_wait;
#define DATASTALL_WAIT_INIT {NULL, 0, NULL, {0, 0, 0, 0, 0}}

/** The waiting begins. One clock read. */
DATASTALL_API datastall_wait datastall_wait_begin(datastall_loader *loader);

/** CLOCK_MONOTONIC now, in nanoseconds: the end of a wait for datastall_wait_end_at(), for callers
 * that look into the batch before they report it. Stops nothing. */
DATASTALL_API uint64_t datastall_clock_ns(void);

/** The waiting ended now; batch may be NULL (nothing known, or no batch). One clock read. */
DATASTALL_API void datastall_wait_end(datastall_wait *wait, enum datastall_wait_kind kind,
                                      const datastall_batch *batch);

/** The same with the end read earlier by datastall_clock_ns(). An end that cannot be (before the
 * wait began or before the process did, or more than a second from now: another clock, another unit)
 * is counted in datastall_lost.impossible_times: the batch counts with an unknown wait, as of now. So
 * does one whose wait is longer than 2^54 ns (208 days). */
DATASTALL_API void datastall_wait_end_at(datastall_wait *wait, uint64_t end_ns,
                                         enum datastall_wait_kind kind,
                                         const datastall_batch *batch);

/** The wait is over and was none: nothing is recorded, and nothing is shown as under way. */
DATASTALL_API void datastall_wait_cancel(datastall_wait *wait);

/** Records a wait that was measured elsewhere and ended at about end_ns. wait_ns may be
 * DATASTALL_UNKNOWN: the batch is counted, its queue state is unknown and it is in no mean and no
 * quantile. So it is with a wait longer than the machine has run or than 2^54 ns (208 days); an end
 * that cannot be, as above, is taken as now. Both are counted in datastall_lost.impossible_times. */
DATASTALL_API void datastall_wait_record(datastall_loader *loader, uint64_t end_ns,
                                         uint64_t wait_ns, enum datastall_wait_kind kind,
                                         const datastall_batch *batch);

/* ---- statistics -------------------------------------------------------------------------------
 */
enum datastall_queue_state {
    DATASTALL_QUEUE_UNKNOWN = 0,
    DATASTALL_QUEUE_FULL = 1,   /**< wait < 1 ms */
    DATASTALL_QUEUE_NORMAL = 2, /**< 1 ms <= wait <= 50 ms */
    DATASTALL_QUEUE_STARVED = 3 /**< wait > 50 ms */
};
/** The queue state inferred from a wait (PyTorch's DataLoader publishes no depth). Pure. */
DATASTALL_API enum datastall_queue_state datastall_infer_queue_state(uint64_t wait_ns);

/** A set of waits. Minimum, maximum, count and sum are exact; a quantile p is the value of rank
 * min(n - 1, (uint64_t)(n * p)) of the sorted waits, to within 1 % (log-linear histogram).
 * With count 0 everything but count and sum is DATASTALL_UNKNOWN or NaN. */
typedef struct datastall_distribution {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t min_ns;
    uint64_t max_ns;
    uint64_t p50_ns;
    uint64_t p95_ns;
    uint64_t p99_ns;
    double mean_ns;
    uint64_t reserved[8]; /**< all ones: unknown, as a whole number and as a real one */
} datastall_distribution;
#define DATASTALL_RESERVED_INIT_8                                                \
    {DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, \
     DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, DATASTALL_UNKNOWN}
#define DATASTALL_DISTRIBUTION_INIT                           \
    {DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, \
     DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, DATASTALL_UNKNOWN, \
     DATASTALL_UNKNOWN, DATASTALL_NAN,     DATASTALL_RESERVED_INIT_8}

typedef struct datastall_statistics {
    size_t struct_size;
    uint64_t batches;               /**< every batch: steady and first */
    uint64_t iterators;             /**< iterators made (epochs) */
    uint64_t failed;                /**< calls that raised */
    uint64_t failed_ns;             /**< time in them */
    datastall_distribution steady;  /**< waits for all but the first batch of each epoch */
    datastall_distribution startup; /**< iter(), first batches, final StopIteration */
    uint64_t queue_full;            /**< of the steady waits, as are the next three */
    uint64_t queue_normal;
    uint64_t queue_starved;
    uint64_t queue_unknown;
    uint64_t samples;          /**< over samples_batches batches; unknown when that is 0 */
    uint64_t samples_batches;  /**< batches that stated samples */
    uint64_t tokens;           /**< over tokens_batches batches; unknown when that is 0 */
    uint64_t tokens_batches;   /**< batches that stated tokens */
    uint64_t tokens_sampled;   /**< of these, batches whose tokens were estimated */
    double packing_efficiency; /**< sum of tokens / sum of padded tokens over the batches that state
                                    both; NaN: none did */
    uint64_t longest_sequence; /**< of all batches that stated one */
    double mean_longest;       /**< mean of the batches' longest sequences; NaN: none stated */
    double mean_sequence_length;   /**< mean of the batches' stated means; NaN: none stated */
    double stated_efficiency_mean; /**< of packing_efficiency as stated by callers; NaN: none */
    double stated_efficiency_min;  /**< NaN: none */
    uint64_t stated_efficiency_batches;
    uint64_t stated_efficiency_low; /**< of these, below 0.80 */
    uint64_t window_begin_ns;       /**< begin of the first wait; unknown before it ended */
    uint64_t window_end_ns;         /**< end of the last wait */
    double samples_per_s;           /**< over the window; NaN: unknown */
    double tokens_per_s;
    double recent_samples_per_s; /**< over the window's last 10 s (whole seconds) */
    double recent_tokens_per_s;
} datastall_statistics;
#define DATASTALL_STATISTICS_INIT  \
    {sizeof(datastall_statistics), \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_DISTRIBUTION_INIT,  \
     DATASTALL_DISTRIBUTION_INIT,  \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_NAN,                \
     DATASTALL_UNKNOWN,            \
     DATASTALL_NAN,                \
     DATASTALL_NAN,                \
     DATASTALL_NAN,                \
     DATASTALL_NAN,                \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN,            \
     DATASTALL_NAN,                \
     DATASTALL_NAN,                \
     DATASTALL_NAN,                \
     DATASTALL_NAN}

/** Statistics of one loader, over all its threads. Some 8 us for each thread that consumed it,
 * whatever the length of the run; safe while other threads record. Fields beyond
 * statistics->struct_size are left alone. */
DATASTALL_API int datastall_loader_statistics(const datastall_loader *loader,
                                              datastall_statistics *statistics);

/** The same over all loaders of a monitor. */
DATASTALL_API int datastall_monitor_statistics(const datastall_monitor *monitor,
                                               datastall_statistics *statistics);

/* clang-format off */
/* ---- GPU monitor ------------------------------------------------------------------------------
 *
 * What datastall.gpu_monitor does in Python ('datastall help migrating'), under the same names: one object
 * that samples GPUs, records DataLoader waits by hand and answers questions about both. It is a
 * memory-only monitor with one loader and a sampling thread; its memory does not grow.
 *
 *     Python                      C
 *     NvitopMonitor(...)          datastall_gpu_monitor_open()
 *     start_monitoring            datastall_gpu_monitor_start_monitoring()
 *     stop_monitoring             datastall_gpu_monitor_stop_monitoring()
 *     set_stage                   datastall_gpu_monitor_set_stage()
 *     record_dataloader_wait      datastall_gpu_monitor_record_dataloader_wait()
 *     infer_queue_state           datastall_infer_queue_state_ms()
 *     check_bottleneck            datastall_gpu_monitor_check_bottleneck()
 *     get_dataloader_statistics   datastall_gpu_monitor_dataloader_statistics()
 *     start_inference_timer       datastall_gpu_monitor_start_inference_timer()
 *     get_throughput              datastall_gpu_monitor_throughput()
 *     get_statistics              datastall_gpu_monitor_device_statistics()
 *     get_statistics: by_stage    datastall_gpu_monitor_stage_statistics()
 *     get_average_utilization     datastall_gpu_monitor_average_utilization()
 *     get_peak_memory_usage       datastall_gpu_monitor_peak_memory_usage()
 *     get_latest                  datastall_gpu_monitor_current()
 *     export_metrics              datastall_gpu_monitor_export_metrics()
 *     save_logs                   datastall_gpu_monitor_save_logs()
 *
 * Device ids are CUDA ordinals of this process: CUDA_VISIBLE_DEVICES is honoured, with indices in
 * NVML's order (by PCI bus). That is CUDA's own order with CUDA_DEVICE_ORDER=PCI_BUS_ID and where
 * all GPUs are of one kind; elsewhere set that variable, or name GPUs by UUID. MIG entries are not
 * resolved yet: such a device has no samples.
 */
/* clang-format on */
typedef struct datastall_gpu_monitor datastall_gpu_monitor;

#define DATASTALL_ALL_DEVICES (-1)
/** GPU samples kept in full per device for check_bottleneck and export_metrics; older ones live on
 * in the statistics only. */
#define DATASTALL_GPU_MONITOR_SAMPLES 4096u

typedef struct datastall_gpu_monitor_options {
    size_t struct_size;
    const int *device_ids; /**< CUDA ordinals of this process, see above */
    uint32_t device_count; /**< 0: no device is sampled; at most 32 */
    uint32_t flags;        /**< none yet */
    double log_interval_s; /**< seconds between samples; 0: 1.0, at least 0.05 */
    const char *log_file;  /**< samples as CSV, made when monitoring starts; NULL: none. Ends at
                                64 MiB with a note, so that a long run cannot fill the disk */
} datastall_gpu_monitor_options;
#define DATASTALL_GPU_MONITOR_OPTIONS_INIT \
    {sizeof(datastall_gpu_monitor_options), NULL, 0, 0, 0.0, NULL}

/** Opens a monitor; samples nothing yet. DATASTALL_ERR_ARGUMENT for a negative or repeated device
 * id, or device_ids NULL with a device_count. A device that does not exist, or no driver at all, is
 * no error here: it has no samples. */
DATASTALL_API int datastall_gpu_monitor_open(const datastall_gpu_monitor_options *options,
                                             datastall_gpu_monitor **monitor);
/** Stops and frees. No other thread may use the monitor during or after the call. */
DATASTALL_API void datastall_gpu_monitor_close(datastall_gpu_monitor *monitor);

/** Starts the sampling thread; running already is no error and changes nothing. DATASTALL_ERR_IO,
 * _PERMISSION ... when the log file cannot be made: sampling runs all the same. */
DATASTALL_API int datastall_gpu_monitor_start_monitoring(datastall_gpu_monitor *monitor);
/** Stops it and completes the log file. Returns 1 if it ran, 0 if not (a second stop). */
DATASTALL_API int datastall_gpu_monitor_stop_monitoring(datastall_gpu_monitor *monitor);

/** Names the phase; samples and waits from now on belong to it. As datastall_stage_set(). */
DATASTALL_API int datastall_gpu_monitor_set_stage(datastall_gpu_monitor *monitor, const char *name);

/** datastall_infer_queue_state() for milliseconds: negative and not finite are unknown. */
DATASTALL_API enum datastall_queue_state datastall_infer_queue_state_ms(double wait_time_ms);

/** Records one batch that was waited for wait_time_ms milliseconds and came now. A wait that is
 * negative, not finite or longer than the machine has been up makes the batch count with an unknown
 * wait. *queue_state, where not NULL, receives the inferred state. Any thread. */
DATASTALL_API int
datastall_gpu_monitor_record_dataloader_wait(datastall_gpu_monitor *monitor, double wait_time_ms,
                                             const datastall_batch *batch,
                                             enum datastall_queue_state *queue_state);

enum datastall_bottleneck_level {
    DATASTALL_BOTTLENECK_NONE = 0,
    DATASTALL_BOTTLENECK_MILD = 1,    /**< mean utilisation below 80 % */
    DATASTALL_BOTTLENECK_CRITICAL = 2 /**< below 50 % */
};
typedef struct datastall_bottleneck {
    size_t struct_size;
    enum datastall_bottleneck_level level;
    int device_id;              /**< the device with the lowest mean; -1: none had enough samples */
    double average_utilization; /**< its mean, percent; 0 with device_id -1 */
} datastall_bottleneck;
#define DATASTALL_BOTTLENECK_INIT {sizeof(datastall_bottleneck), DATASTALL_BOTTLENECK_NONE, -1, 0.0}
/** Looks at each device's last recent_samples utilisation readings (1 to
 * DATASTALL_GPU_MONITOR_SAMPLES); devices with fewer are left out, and a device whose utilisation
 * cannot be read is never a bottleneck. */
DATASTALL_API int datastall_gpu_monitor_check_bottleneck(const datastall_gpu_monitor *monitor,
                                                         uint32_t recent_samples,
                                                         datastall_bottleneck *bottleneck);

/** As datastall_loader_statistics(): every wait is steady. */
DATASTALL_API int datastall_gpu_monitor_dataloader_statistics(const datastall_gpu_monitor *monitor,
                                                              datastall_statistics *statistics);

/** Starts the timer of datastall_gpu_monitor_throughput(), or starts it again. */
DATASTALL_API void datastall_gpu_monitor_start_inference_timer(datastall_gpu_monitor *monitor);
typedef struct datastall_throughput {
    size_t struct_size;
    double sequences_per_s;   /**< recorded since the timer started / elapsed; NaN: no timer, or no
                                   batch ever said its number */
    double tokens_per_s;      /**< likewise */
    double elapsed_s;         /**< NaN: no timer */
    uint64_t total_sequences; /**< all recorded batches, also those before the timer;
                                   DATASTALL_UNKNOWN: no batch ever said its number */
    uint64_t total_tokens;    /**< likewise */
} datastall_throughput;
#define DATASTALL_THROUGHPUT_INIT  \
    {sizeof(datastall_throughput), \
     DATASTALL_NAN,                \
     DATASTALL_NAN,                \
     DATASTALL_NAN,                \
     DATASTALL_UNKNOWN,            \
     DATASTALL_UNKNOWN}
/** Since datastall_gpu_monitor_start_inference_timer(); without it rates are NaN. Any thread. */
DATASTALL_API int datastall_gpu_monitor_throughput(const datastall_gpu_monitor *monitor,
                                                   datastall_throughput *throughput);

/** Over all samples since the monitor was opened. Unknown: NaN, DATASTALL_UNKNOWN. */
typedef struct datastall_device_statistics {
    size_t struct_size;
    uint64_t sample_count;
    double gpu_util_avg, gpu_util_min, gpu_util_max; /**< percent */
    double mem_used_avg;                             /**< bytes */
    uint64_t mem_used_peak;                          /**< bytes */
    uint64_t mem_total;                              /**< bytes */
    double mem_percent_avg;
    double power_draw_avg;  /**< watts */
    double temperature_max; /**< Celsius */
} datastall_device_statistics;
#define DATASTALL_DEVICE_STATISTICS_INIT  \
    {sizeof(datastall_device_statistics), \
     DATASTALL_UNKNOWN,                   \
     DATASTALL_NAN,                       \
     DATASTALL_NAN,                       \
     DATASTALL_NAN,                       \
     DATASTALL_NAN,                       \
     DATASTALL_UNKNOWN,                   \
     DATASTALL_UNKNOWN,                   \
     DATASTALL_NAN,                       \
     DATASTALL_NAN,                       \
     DATASTALL_NAN}
/** DATASTALL_ERR_NOT_FOUND for a device that is not one of the monitor's. */
DATASTALL_API int datastall_gpu_monitor_device_statistics(const datastall_gpu_monitor *monitor,
                                                          int device_id,
                                                          datastall_device_statistics *statistics);

typedef struct datastall_stage_statistics {
    size_t struct_size;
    char name[64];
    double gpu_util_avg;    /**< percent */
    uint64_t mem_used_peak; /**< bytes */
    uint64_t sample_count;
    double duration_seconds; /**< time spent in the stage so far */
} datastall_stage_statistics;
#define DATASTALL_STAGE_STATISTICS_INIT  \
    {sizeof(datastall_stage_statistics), \
     "",                                 \
     DATASTALL_NAN,                      \
     DATASTALL_UNKNOWN,                  \
     DATASTALL_UNKNOWN,                  \
     DATASTALL_NAN}
/** Stages in the order of their first use, stage = 0, 1, ..., after 64 names "other" as the last;
 * DATASTALL_ERR_NOT_FOUND past it. */
DATASTALL_API int datastall_gpu_monitor_stage_statistics(const datastall_gpu_monitor *monitor,
                                                         int device_id, uint32_t stage,
                                                         datastall_stage_statistics *statistics);

/** Mean utilisation in percent over all samples of a device or DATASTALL_ALL_DEVICES; NaN: none. */
DATASTALL_API double datastall_gpu_monitor_average_utilization(const datastall_gpu_monitor *monitor,
                                                               int device_id);
/** Largest memory use in bytes; DATASTALL_UNKNOWN: not read. */
DATASTALL_API uint64_t datastall_gpu_monitor_peak_memory_usage(const datastall_gpu_monitor *monitor,
                                                               int device_id);

/** One reading. Unknown: NaN, DATASTALL_UNKNOWN. */
typedef struct datastall_gpu_metrics {
    size_t struct_size;
    double timestamp; /**< seconds since 1970 */
    int device_id;
    double gpu_util;    /**< percent */
    uint64_t mem_used;  /**< bytes */
    uint64_t mem_total; /**< bytes */
    double mem_percent;
    double temperature; /**< Celsius */
    double power_draw;  /**< watts */
    char stage[64];
} datastall_gpu_metrics;
#define DATASTALL_GPU_METRICS_INIT  \
    {sizeof(datastall_gpu_metrics), \
     DATASTALL_NAN,                 \
     -1,                            \
     DATASTALL_NAN,                 \
     DATASTALL_UNKNOWN,             \
     DATASTALL_UNKNOWN,             \
     DATASTALL_NAN,                 \
     DATASTALL_NAN,                 \
     DATASTALL_NAN,                 \
     ""}
/** The newest sample of a device; DATASTALL_ERR_NOT_FOUND while there is none. */
DATASTALL_API int datastall_gpu_monitor_current(const datastall_gpu_monitor *monitor, int device_id,
                                                datastall_gpu_metrics *metrics);
/** Sample `back` places before the newest (0: the newest) of those kept. */
DATASTALL_API int datastall_gpu_monitor_sample(const datastall_gpu_monitor *monitor, int device_id,
                                               uint32_t back, datastall_gpu_metrics *metrics);

enum datastall_export_format { DATASTALL_EXPORT_JSON = 0, DATASTALL_EXPORT_CSV = 1 };
/** Writes the kept samples (the last DATASTALL_GPU_MONITOR_SAMPLES of each device, oldest first),
 * as JSON with the statistics beside them. CSV columns:
 * timestamp,device_id,gpu_util,mem_used,mem_percent,stage; unknown cells are empty, in JSON null.
 * A regular file, also behind a link, is replaced once the new one is whole; a pipe or a device is
 * written to. Threads may export to one path at once: the file is that of the last one. */
DATASTALL_API int datastall_gpu_monitor_export_metrics(const datastall_gpu_monitor *monitor,
                                                       const char *path,
                                                       enum datastall_export_format format);
/** Brings the log file up to date on disk. 0 also when there is none. */
DATASTALL_API int datastall_gpu_monitor_save_logs(datastall_gpu_monitor *monitor);

#ifdef __cplusplus
}
#endif
#endif
