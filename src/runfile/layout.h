/* The run file, word by word. docs/run-file.md is this page for people; keep the two together.
 *
 * A file is a header with a table of sections, and the sections. All numbers are 64-bit words in
 * the writer's byte order unless a struct below says otherwise; all offsets are in the table. A
 * zero word means "nothing here"; ~0 means "not known".
 *
 * Slots, GPU entries and the process entry are *blocks*: a version word, a redo journal, a payload.
 * A change is written to the journal, committed by making the version odd, copied to its place, and
 * closed by making the version even. Readers of a block with an odd version redo the journal on
 * their copy; so a change is there as a whole or not at all, however the writer stopped.
 */
#ifndef DATASTALL_RUNFILE_LAYOUT_H
#define DATASTALL_RUNFILE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats/histogram.h"

#define RF_MAGIC "DSTALLRF"
#define RF_FORMAT_MAJOR 1 /* a reader refuses a larger one */
#define RF_FORMAT_MINOR 1 /* a reader reads any: it skips what it does not know */
#define RF_BYTE_ORDER 0x01020304u
#define RF_HEADER_BYTES 4096u
#define RF_MAX_SECTIONS 24u
#define RF_FILE_SUFFIX ".dsrun"
#define RF_LAUNCHER_FILE "launcher" RF_FILE_SUFFIX
#define RF_MAX_FILE_BYTES (UINT64_C(256) << 20)

#define RF_UNKNOWN UINT64_MAX

enum rf_section_type {
    RF_SECTION_PROCESS = 1, /* one block: who wrote, when, how it ended, stage times */
    RF_SECTION_LOADERS = 2, /* struct rf_loader_entry; entry 0 is "other" */
    RF_SECTION_STAGES = 3,  /* struct rf_stage_entry; 0: no stage, the last: "other" */
    RF_SECTION_SLOTS = 4,   /* one block per (thread, loader); the last is the overflow slot */
    RF_SECTION_GPUS = 5,    /* one block per device */
    RF_SECTION_WORKERS = 6  /* one entry per DataLoader worker, see worker_slot.h */
};

#define RF_GEOMETRY_WORDS 12
struct rf_section {
    uint32_t type; /* enum rf_section_type */
    uint32_t reserved;
    uint64_t offset; /* bytes from the start of the file, a multiple of 64 */
    uint64_t entry_bytes;
    uint64_t entry_count;
    uint64_t geometry[RF_GEOMETRY_WORDS]; /* sizes inside an entry, see the enums below */
};

struct rf_header {
    char magic[8];
    uint32_t byte_order;
    uint16_t format_major;
    uint16_t format_minor;
    uint32_t header_bytes;
    uint32_t section_count;
    uint64_t file_bytes;
    uint64_t created_mono_ns;
    uint64_t created_real_ns;
    char boot_id[40]; /* /proc/sys/kernel/random/boot_id, without newline */
    char writer_version[16];
    uint64_t checksum; /* rf_checksum() of the header with this word 0 */
    struct rf_section sections[RF_MAX_SECTIONS];
};
_Static_assert(sizeof(struct rf_header) <= RF_HEADER_BYTES, "the header fits its page");

/* FNV-1a, 64 bit. Catches accidents, not attackers. */
uint64_t rf_checksum(const struct rf_header *header);

/* ---- blocks ---- */
#define RF_BLOCK_VERSION 0       /* even: whole; odd: journal committed, not yet copied */
#define RF_BLOCK_JOURNAL_COUNT 1 /* pairs in the journal */
#define RF_BLOCK_JOURNAL 2       /* pairs of (word index in the block, value) */
#define RF_JOURNAL_CAPACITY 128u
#define RF_BLOCK_PAYLOAD \
    (RF_BLOCK_JOURNAL + 2 * RF_JOURNAL_CAPACITY) /* first word of the payload */

/* ---- process ---- */
enum rf_process_kind { RF_PROCESS_RECORDER = 0, RF_PROCESS_LAUNCHER = 1 };
enum rf_process_state { RF_STATE_OPEN = 0, RF_STATE_CLOSED = 1 };

enum rf_accelerator {
    RF_ACCELERATOR_UNKNOWN = 0,
    RF_ACCELERATOR_NONE = 1,
    RF_ACCELERATOR_USED = 2
};

#define RF_STAGE_CAPACITY 66u /* 0: none, 1 .. 64, 65: other */
#define RF_STAGE_OTHER (RF_STAGE_CAPACITY - 1)
#define RF_LOADER_CAPACITY 33u /* 0: other, 1 .. 32 */

/* Words of the process block's payload. */
enum rf_process_word {
    RF_PROCESS_STATE,      /* enum rf_process_state */
    RF_PROCESS_ENDED_MONO, /* 0 until closed */
    RF_PROCESS_ENDED_REAL,
    RF_PROCESS_EXIT_KNOWN,  /* launcher: 1 once the command ended */
    RF_PROCESS_EXIT_STATUS, /* launcher: 0..255, 128 + signal when killed */
    RF_PROCESS_CHILD_PID,   /* launcher: the command */
    RF_PROCESS_STAGE,       /* current stage */
    RF_PROCESS_STAGE_SINCE,
    RF_PROCESS_GPU_STATE,   /* enum rf_gpu_state: the sampler as a whole */
    RF_PROCESS_GPU_ERROR,   /* the NVML code behind it */
    RF_PROCESS_ACCELERATOR, /* enum rf_accelerator: does this process use a GPU? */
    RF_PROCESS_RESERVED_0,
    RF_PROCESS_RESERVED_1,
    RF_PROCESS_LOST_CONTENTION, /* this and the next: plain atomic adds, outside the journal */
    RF_PROCESS_MERGED_OTHER,
    /* Around the loaders (src/host); plain stores, RF_UNKNOWN where not told. */
    RF_PROCESS_HOST_NS = 18,    /* when the words below were read last; 0: never */
    RF_PROCESS_HOST_FIRST_NS,   /* and first: sums below are since then */
    RF_PROCESS_CPUS_MILLI,      /* CPUs that the process may use, in thousandths */
    RF_PROCESS_CPUS_SOURCE,     /* enum host_limit_source */
    RF_PROCESS_CPUS_ONLINE,     /* of the machine */
    RF_PROCESS_CPU_NS,          /* that the process itself ran */
    RF_PROCESS_THROTTLED_NS,    /* its cgroup's quota held it back */
    RF_PROCESS_CPU_PRESSURE_NS, /* some task of the machine waited for a CPU */
    RF_PROCESS_IO_PRESSURE_NS,  /* or for storage */
    RF_PROCESS_SHM_BYTES,       /* size of /dev/shm */
    RF_PROCESS_SHM_USED_BYTES,  /* the most that was seen in use */
    RF_PROCESS_GPU_END,         /* enum rf_gpu_end: why GPU sampling ended before its time */
    RF_PROCESS_GPU_END_DETAIL,  /* a signal or an errno, see there */
    RF_PROCESS_DYNAMIC_WORDS = 32,
    RF_PROCESS_STAGE_NS = RF_PROCESS_DYNAMIC_WORDS, /* [RF_STAGE_CAPACITY] time spent in each */
    RF_PROCESS_STAGE_ENTRIES = RF_PROCESS_STAGE_NS + RF_STAGE_CAPACITY,
    RF_PROCESS_STATIC = RF_PROCESS_STAGE_ENTRIES + RF_STAGE_CAPACITY /* struct rf_process_static */
};

struct rf_process_static {
    uint64_t kind; /* enum rf_process_kind */
    uint64_t pid;
    uint64_t parent_pid;
    uint64_t start_ticks; /* field 22 of /proc/PID/stat: tells a reused pid */
    uint64_t rank;        /* RF_UNKNOWN: none, as are the next two */
    uint64_t local_rank;
    uint64_t world_size;
    uint64_t opened_mono_ns;
    uint64_t process_start_mono_ns; /* of the process itself; RF_UNKNOWN */
    uint64_t reserved[7];
    char hostname[64];
    char name[64]; /* launcher: --name */
    char directory[512];
    char command[2048]; /* arguments joined by spaces, cut */
};
#define RF_PROCESS_BLOCK_WORDS \
    (RF_BLOCK_PAYLOAD + RF_PROCESS_STATIC + sizeof(struct rf_process_static) / 8)

/* ---- loaders and stages: written once, then `state` is set to 1 (release) ---- */
struct rf_loader_entry {
    uint64_t state;
    uint64_t source; /* enum datastall_source */
    uint64_t num_workers;
    uint64_t prefetch_factor;
    uint64_t batch_size;
    uint64_t flags; /* DATASTALL_LOADER_* */
    uint64_t registered_ns;
    uint64_t reserved;
    char name[64];
    char site[128];
    char dataset_type[64];
};

struct rf_stage_entry {
    uint64_t state;
    uint64_t reserved[7];
    char name[64];
};

/* ---- slots ---- */
enum rf_slot_geometry {
    RF_GEO_RECENT,        /* records in the ring, a power of two */
    RF_GEO_RECORD_WORDS,  /* words of a record */
    RF_GEO_VERSIONS,      /* copies of the counters, a power of two */
    RF_GEO_COUNTER_WORDS, /* words of a copy */
    RF_GEO_HISTOGRAM,     /* buckets */
    RF_GEO_STAGES,        /* stage aggregates */
    RF_GEO_STAGE_WORDS,
    RF_GEO_ROLLUP_LEVELS,
    RF_GEO_ROLLUP_BUCKETS, /* per level */
    RF_GEO_ROLLUP_WORDS,
    RF_GEO_SLOWEST, /* entries kept of each of the two kinds */
    RF_GEO_JOURNAL
};

/* Words of a slot's payload before its tables. The version counts: 2 n after n records. */
enum rf_slot_word {
    RF_SLOT_USED, /* 1 once claimed */
    RF_SLOT_LOADER,
    RF_SLOT_THREAD,     /* kernel thread id of the last owner */
    RF_SLOT_WAITING_NS, /* begin of the wait under way, 0: none (plain store, no journal) */
    RF_SLOT_GPU_UUID_0, /* the device whose stalls these are: its UUID's bytes, zero: none */
    RF_SLOT_GPU_UUID_1,
    RF_SLOT_BACKGROUND, /* 1 once a thread other than the main one owned it */
    RF_SLOT_WORDS = 16
};

/* One wait. */
enum rf_record_word {
    RF_RECORD_SEQUENCE, /* 1 + index; 0: being written */
    RF_RECORD_BEGIN_NS,
    RF_RECORD_WAIT_NS,
    RF_RECORD_KIND,  /* kind | queue state << 8 | stage << 16 | batch flags << 32 */
    RF_RECORD_BATCH, /* batch index */
    RF_RECORD_SAMPLES,
    RF_RECORD_TOKENS,
    RF_RECORD_LONGEST,
    RF_RECORD_PADDED,
    RF_RECORD_MEAN_LENGTH, /* bits of a double; NaN: unknown */
    RF_RECORD_EFFICIENCY,  /* bits of a double; NaN: not stated */
    RF_RECORD_STALL_LOWER, /* exposed stall, at least and at most; RF_UNKNOWN until it is known */
    RF_RECORD_STALL_UPPER,
    RF_RECORD_DEPTH,      /* when the wait began, see rf_pack_depth(); RF_UNKNOWN */
    RF_RECORD_BLOCKER,    /* 1 + number of the worker whose batch ended the wait; 0: not known */
    RF_RECORD_SERVICE_NS, /* what that batch took in its worker; 0: not known */
    RF_RECORD_WORDS
};

/* Totals of a slot after SEQUENCE records. RF_GEO_VERSIONS copies, used in turn: readers find a
 * whole one however fast the writer is. */
enum rf_counter_word {
    RF_COUNT_SEQUENCE,
    RF_COUNT_STEADY, /* waits known, kind steady */
    RF_COUNT_STEADY_NS,
    RF_COUNT_STEADY_MIN,
    RF_COUNT_STEADY_MAX,
    RF_COUNT_STARTUP, /* waits known, kinds first, iter, end */
    RF_COUNT_STARTUP_NS,
    RF_COUNT_STARTUP_MIN,
    RF_COUNT_STARTUP_MAX,
    RF_COUNT_FAILED,
    RF_COUNT_FAILED_NS,
    RF_COUNT_BATCHES,
    RF_COUNT_ITERATORS,
    RF_COUNT_QUEUE, /* [4] by enum datastall_queue_state, kind steady */
    RF_COUNT_QUEUE_LAST = RF_COUNT_QUEUE + 3,
    RF_COUNT_SAMPLES,
    RF_COUNT_SAMPLES_BATCHES,
    RF_COUNT_TOKENS,
    RF_COUNT_TOKENS_BATCHES,
    RF_COUNT_TOKENS_SAMPLED,
    RF_COUNT_PACKED_TOKENS, /* over the batches that state tokens and padded size */
    RF_COUNT_PACKED_PADDED,
    RF_COUNT_BEGIN_NS, /* window: begin of the first wait */
    RF_COUNT_END_NS,   /* end of the last one */
    RF_COUNT_LONGEST_MAX,
    RF_COUNT_LONGEST_SUM,
    RF_COUNT_LONGEST_BATCHES,
    RF_COUNT_MEAN_LENGTH_SUM, /* bits of a double */
    RF_COUNT_MEAN_LENGTH_BATCHES,
    RF_COUNT_EFFICIENCY_SUM, /* bits of a double */
    RF_COUNT_EFFICIENCY_MIN, /* bits of a double */
    RF_COUNT_EFFICIENCY_BATCHES,
    RF_COUNT_EFFICIENCY_LOW,
    RF_COUNT_STALL_WAITS,    /* waits, of every kind, whose exposed stall is known */
    RF_COUNT_STALL_KNOWN_NS, /* their waiting time */
    RF_COUNT_STALL_LOWER_NS, /* at least so much of it was exposed */
    RF_COUNT_STALL_UPPER_NS, /* at most */
    RF_COUNT_STALL_BOUNDS,   /* those of which only an upper bound is known */
    /* Format 1.0 ended here. What follows: docs/causes.md. */
    RF_COUNT_LEAST_WORDS,
    /* [CAUSE_STATES] of stats/cause.h: how the stalls are split. Of a wait whose exposed stall is
     * known its upper bound, of any other one the wait; while the stall is under way, nothing. */
    RF_COUNT_CAUSE_NS = RF_COUNT_LEAST_WORDS,
    RF_COUNT_CAUSE_LAST = RF_COUNT_CAUSE_NS + 8,
    RF_COUNT_LATER_READY_NS,   /* part of the stalls during which a later batch was there already */
    RF_COUNT_OTHERS_IDLE_NS,   /* of that: other workers had no index, as a mean over them */
    RF_COUNT_WINDOW_FULL_NS,   /* of that: because the prefetch window was full */
    RF_COUNT_REPLAYED,         /* batches in the next three */
    RF_COUNT_REPLAYED_NS,      /* their waits as they were */
    RF_COUNT_REPLAY_NS,        /* replayed with the window as it is */
    RF_COUNT_REPLAY_LARGER_NS, /* and with RF_REPLAY_FACTOR times the window */
    RF_COUNT_DEPTH_WAITS,      /* waits whose depth is known; sums over them: */
    RF_COUNT_DEPTH_READY,
    RF_COUNT_DEPTH_EARLY,
    RF_COUNT_DEPTH_IN_FLIGHT,
    RF_COUNT_DEPTH_POSSIBLE,
    RF_COUNT_DEPTH_EMPTY,     /* waits that began with nothing ready */
    RF_COUNT_SAMPLER_NS,      /* time inside the sampler, in waits and in iter() */
    RF_COUNT_PIN_NS,          /* time in the pin thread */
    RF_COUNT_GET_CPU_NS,      /* CPU time of taking batches off the queue: unpickling */
    RF_COUNT_GET_CPU_BATCHES, /* over so many */
    RF_COUNT_USED_WORDS,
    RF_COUNT_WORDS = 68
};
_Static_assert((int)RF_COUNT_USED_WORDS <= (int)RF_COUNT_WORDS, "the counters fit their copy");
#define RF_REPLAY_FACTOR 4u

/* Totals of a slot's waits in one stage. Entry 0 (no stage) stays empty: it is the rest. */
enum rf_stage_word {
    RF_STAGE_BATCHES,
    RF_STAGE_SAMPLES,
    RF_STAGE_TOKENS,
    RF_STAGE_STEADY_NS,
    RF_STAGE_STARTUP_NS, /* and failed */
    RF_STAGE_STALL_KNOWN_NS,
    RF_STAGE_STALL_LOWER_NS,
    RF_STAGE_STALL_UPPER_NS,
    RF_STAGE_SAMPLES_BATCHES, /* batches that stated samples */
    RF_STAGE_TOKENS_BATCHES,
    RF_STAGE_RESERVED_0,
    RF_STAGE_RESERVED_1,
    RF_STAGE_WORDS
};

/* One span of time. Level l has buckets of RF_ROLLUP_RATIO^l seconds of CLOCK_MONOTONIC, each in
 * the place (number % buckets). Level 0 takes every wait when it ends; a second that is over is
 * added to all coarser levels, so those lack the second under way. */
enum rf_rollup_word {
    RF_ROLLUP_NUMBER, /* 1 + time / width; 0: empty */
    RF_ROLLUP_BATCHES,
    RF_ROLLUP_SAMPLES,
    RF_ROLLUP_TOKENS,
    RF_ROLLUP_STEADY_NS,
    RF_ROLLUP_STARTUP_NS, /* and failed */
    RF_ROLLUP_STARVED,
    RF_ROLLUP_MAX_NS,
    RF_ROLLUP_STALL_KNOWN_NS, /* of stalls that became known in this span */
    RF_ROLLUP_STALL_UPPER_NS,
    RF_ROLLUP_WORDS
};
#define RF_ROLLUP_RATIO 4u
#define RF_ROLLUP_LEVELS 8u
#define RF_ROLLUP_BUCKETS 64u

enum rf_slow_word {
    RF_SLOW_WAIT_NS, /* 0: empty */
    RF_SLOW_BEGIN_NS,
    RF_SLOW_KIND, /* as RF_RECORD_KIND */
    RF_SLOW_BATCH,
    RF_SLOW_SAMPLES,
    RF_SLOW_TOKENS,
    RF_SLOW_RECORD, /* 1 + index of the record */
    RF_SLOW_RESERVED,
    RF_SLOW_WORDS
};
#define RF_SLOWEST 16u /* steady ones, and as many start-up ones */

#define RF_COUNTER_VERSIONS 32u
#define RF_SLOT_SPARE_WORDS 64u /* reserved at the end of a slot */

/* A record that carries late stalls only: beside enum datastall_wait_kind, counted nowhere. */
#define RF_KIND_NOTE 5u

/* ---- GPUs ---- */
enum rf_gpu_geometry {
    RF_GPU_GEO_RECENT, /* a power of two */
    RF_GPU_GEO_SAMPLE_WORDS,
    RF_GPU_GEO_ROLLUP_LEVELS,
    RF_GPU_GEO_ROLLUP_BUCKETS,
    RF_GPU_GEO_ROLLUP_WORDS,
    RF_GPU_GEO_STAGES,
    RF_GPU_GEO_STAGE_WORDS,
    RF_GPU_GEO_JOURNAL
};

enum rf_gpu_state {
    RF_GPU_ABSENT = 0,   /* no device, or nothing tried yet */
    RF_GPU_OK = 1,       /* sampled */
    RF_GPU_FAILED = 2,   /* the last call failed, see the error */
    RF_GPU_LOST = 3,     /* NVML said the device is lost */
    RF_GPU_STARTING = 4, /* NVML is being opened; if it stays, it hangs */
    RF_GPU_ENDED = 5     /* the sampler as a whole: RF_PROCESS_GPU_END says why */
};

/* Why GPU sampling ended before its time. */
enum rf_gpu_end {
    RF_GPU_END_NONE = 0,
    RF_GPU_END_SIGNAL = 1,  /* the driver's library raised a signal; detail: which */
    RF_GPU_END_EXIT = 2,    /* the library called exit() */
    RF_GPU_END_KILLED = 3,  /* the sampler process went without a word */
    RF_GPU_END_PROCESS = 4, /* the process could not be started; detail: errno, 0: not known */
    RF_GPU_END_THREAD = 5,  /* nor the thread; detail: errno */
    RF_GPU_END_HUNG = 6     /* the driver stopped answering too often */
};
/* Says so, as in "GPU sampling ended: ..."; "" for RF_GPU_END_NONE. */
void rf_gpu_end_text(uint64_t end, uint64_t detail, char *text, size_t size);

enum rf_activity_source { RF_ACTIVITY_NVML = 0, RF_ACTIVITY_GPM = 1 };

/* What GPM says beside the activity. Sums of the first four are shares of time or of the peak,
 * integrated: nanoseconds. Sums of the others are bytes. */
enum rf_gpm_field {
    RF_GPM_SM,        /* SMs with work */
    RF_GPM_OCCUPANCY, /* warps resident, of those that fit */
    RF_GPM_TENSOR,    /* tensor pipes */
    RF_GPM_DRAM,      /* memory bandwidth, of the peak */
    RF_GPM_PCIE_TX,
    RF_GPM_PCIE_RX,
    RF_GPM_NVLINK_TX,
    RF_GPM_NVLINK_RX,
    RF_GPM_FIELDS
};

/* Words of a GPU block's payload before its tables; the version counts 2 n after n changes. */
enum rf_gpu_word {
    RF_GPU_STATE,
    RF_GPU_ERROR, /* NVML code of the last failure, 0: none */
    RF_GPU_SAMPLES,
    RF_GPU_FIRST_NS,
    RF_GPU_LAST_NS,
    RF_GPU_CALL_NS, /* begin of the sampling under way, 0: none: tells a hung device */
    RF_GPU_ERRORS,
    RF_GPU_BUSY_COUNT, /* samples with utilisation */
    RF_GPU_BUSY_PERCENT_SUM,
    RF_GPU_BUSY_PERCENT_MIN,
    RF_GPU_BUSY_PERCENT_MAX,
    RF_GPU_MEMORY_COUNT,
    RF_GPU_MEMORY_TOTAL, /* bytes */
    RF_GPU_MEMORY_USED_SUM_KIB,
    RF_GPU_MEMORY_USED_PEAK, /* bytes */
    RF_GPU_POWER_COUNT,
    RF_GPU_POWER_MW_SUM,
    RF_GPU_POWER_MW_MAX,
    RF_GPU_TEMPERATURE_COUNT,
    RF_GPU_TEMPERATURE_SUM,
    RF_GPU_TEMPERATURE_MAX,
    RF_GPU_SM_CLOCK_COUNT,
    RF_GPU_SM_CLOCK_MHZ_SUM,
    RF_GPU_SM_CLOCK_MHZ_MIN,
    RF_GPU_BUSY_NS, /* with the next two: the time from the first sample to the last */
    RF_GPU_IDLE_NS,
    RF_GPU_UNKNOWN_NS,
    RF_GPU_ACTIVITY_SOURCES, /* 1 << enum rf_activity_source of what was used so far */
    RF_GPU_ENERGY_UJ,        /* power integrated over ... */
    RF_GPU_ENERGY_NS,        /* ... the time for which it is known at both ends */
    RF_GPU_HELD_KNOWN_NS,    /* time for which it is known what held the clocks back */
    RF_GPU_HELD_POWER_NS,
    RF_GPU_HELD_THERMAL_NS,
    RF_GPU_HELD_HARDWARE_NS, /* a slowdown by the hardware for neither of these */
    RF_GPU_GPM,              /* [RF_GPM_FIELDS][2]: nanoseconds for which it is known; the sum */
    RF_GPU_GPM_LAST = RF_GPU_GPM + 15,
    RF_GPU_POWER_MW_MIN,
    RF_GPU_WORDS = 64,
    RF_GPU_STATIC = RF_GPU_WORDS /* struct rf_gpu_static */
};

struct rf_gpu_static {
    uint64_t index;        /* NVML index; of a MIG instance: of the GPU that it is part of */
    uint64_t mig;          /* 1: a MIG instance, with the next two */
    uint64_t gpu_instance; /* RF_UNKNOWN where NVML did not say, as is the next */
    uint64_t compute_instance;
    char uuid[96];
    char name[96];
};

enum rf_gpu_sample_word {
    RF_GPU_SAMPLE_SEQUENCE, /* 1 + index */
    RF_GPU_SAMPLE_NS,
    RF_GPU_SAMPLE_BUSY_PERCENT, /* this and below: RF_UNKNOWN where not read */
    RF_GPU_SAMPLE_MEMORY_USED,  /* bytes */
    RF_GPU_SAMPLE_POWER_MW,
    RF_GPU_SAMPLE_TEMPERATURE, /* Celsius */
    RF_GPU_SAMPLE_SM_CLOCK_MHZ,
    RF_GPU_SAMPLE_MEMORY_CLOCK_MHZ,
    RF_GPU_SAMPLE_STAGE,    /* of the monitor that samples; 0 under a launcher */
    RF_GPU_SAMPLE_ACTIVITY, /* rf_pack_activity(); 0: none */
    RF_GPU_SAMPLE_WORDS
};
#define RF_GPU_RECENT 128u

/* Totals of a device's samples in one stage; entry 0 (no stage) stays empty. */
enum rf_gpu_stage_word {
    RF_GPU_STAGE_SAMPLES,
    RF_GPU_STAGE_BUSY_COUNT,
    RF_GPU_STAGE_BUSY_PERCENT_SUM,
    RF_GPU_STAGE_MEMORY_USED_PEAK, /* bytes */
    RF_GPU_STAGE_RESERVED_0,
    RF_GPU_STAGE_RESERVED_1,
    RF_GPU_STAGE_RESERVED_2,
    RF_GPU_STAGE_RESERVED_3,
    RF_GPU_STAGE_WORDS
};

enum rf_gpu_rollup_word {
    RF_GPU_ROLLUP_NUMBER, /* as RF_ROLLUP_NUMBER */
    RF_GPU_ROLLUP_SAMPLES,
    RF_GPU_ROLLUP_BUSY_COUNT,
    RF_GPU_ROLLUP_BUSY_PERCENT_SUM,
    RF_GPU_ROLLUP_MEMORY_USED_MAX,
    RF_GPU_ROLLUP_POWER_COUNT,
    RF_GPU_ROLLUP_POWER_MW_SUM,
    RF_GPU_ROLLUP_BUSY_NS,
    RF_GPU_ROLLUP_ACTIVITY_NS, /* busy and idle: the time for which the activity is known */
    RF_GPU_ROLLUP_ENERGY_UJ,
    RF_GPU_ROLLUP_WORDS
};

/* ---- where the tables of a block are ---- */
/* Word offsets from the start of a block, computed from the geometry by writer and reader alike. */
struct rf_slot_layout {
    uint64_t recent, record_words, versions, counter_words, histogram, stages, stage_words;
    uint64_t rollup_levels, rollup_buckets, rollup_words, slowest;
    uint64_t counters_at, ring_at, steady_at, startup_at, stages_at, rollup_at, slow_at, spare_at;
    uint64_t words; /* of the whole block */
};

struct rf_gpu_layout {
    uint64_t recent, sample_words, rollup_levels, rollup_buckets, rollup_words;
    uint64_t stages, stage_words;
    uint64_t ring_at, rollup_at, stages_at;
    uint64_t words;
};

/* False when the geometry is impossible (sizes that overflow or exceed RF_MAX_FILE_BYTES, rings
 * that are no power of two, records shorter than this version's). */
bool rf_slot_layout_of(const uint64_t geometry[RF_GEOMETRY_WORDS], struct rf_slot_layout *layout);
bool rf_gpu_layout_of(const uint64_t geometry[RF_GEOMETRY_WORDS], struct rf_gpu_layout *layout);

/* What a writer lays out. */
struct rf_spec {
    uint32_t slots; /* including the overflow slot; 0: none */
    uint32_t recent_waits;
    uint32_t gpus;
    uint32_t gpu_samples; /* kept per GPU, a power of two; 0: RF_GPU_RECENT */
    uint32_t workers;
};

/* The section of a type in a header whose count is possible; NULL: there is none. */
static inline const struct rf_section *rf_section_of(const struct rf_header *header, uint32_t type)
{
    for (uint32_t i = 0; i < header->section_count && i < RF_MAX_SECTIONS; i++) {
        if (header->sections[i].type == type)
            return &header->sections[i];
    }
    return NULL;
}

/* Fills the section table and file size; everything else of the header is zero. */
void rf_layout_file(const struct rf_spec *spec, struct rf_header *header);

/* A sample's activity: the share of the time before it (microseconds) that the GPU was busy, in
 * millionths. */
static inline uint64_t rf_pack_activity(double share, uint64_t span_ns)
{
    const uint64_t span_us = span_ns / 1000 < UINT32_MAX ? span_ns / 1000 : UINT32_MAX;
    return (uint64_t)(share * 1e6 + 0.5) | span_us << 32;
}
static inline double rf_activity_share(uint64_t word)
{
    return (double)(word & UINT32_MAX) * 1e-6;
}
static inline uint64_t rf_activity_span_ns(uint64_t word)
{
    return (word >> 32) * 1000;
}

/* Packs RF_RECORD_KIND and takes it apart. */
static inline uint64_t rf_pack_kind(uint32_t kind, uint32_t queue, uint32_t stage, uint32_t flags)
{
    return kind | (uint64_t)queue << 8 | (uint64_t)stage << 16 | (uint64_t)flags << 32;
}
/* Packs RF_RECORD_DEPTH: 16 bits each, cut at 65534. */
static inline uint64_t rf_pack_depth(uint64_t ready, uint64_t early, uint64_t in_flight,
                                     uint64_t possible)
{
    const uint64_t values[4] = {ready, early, in_flight, possible};
    uint64_t word = 0;
    for (int i = 0; i < 4; i++)
        word |= (values[i] < 65534 ? values[i] : 65534) << (16 * i);
    return word;
}
static inline uint32_t rf_kind_of(uint64_t word)
{
    return (uint32_t)(word & 0xff);
}
static inline uint32_t rf_queue_of(uint64_t word)
{
    return (uint32_t)(word >> 8 & 0xff);
}
static inline uint32_t rf_stage_of(uint64_t word)
{
    return (uint32_t)(word >> 16 & 0xffff);
}

#endif
