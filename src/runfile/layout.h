/* SPDX-License-Identifier: Apache-2.0 */
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

#include "base/atomics.h"
#include "runfile/counters.h"
#include "stats/histogram.h"

#define RF_MAGIC "DSTALLRF"
#define RF_FORMAT_MAJOR 1 /* a reader refuses a larger one */
#define RF_FORMAT_MINOR 0 /* a reader reads any: it skips what it does not know */
#define RF_BYTE_ORDER 0x01020304u
#define RF_HEADER_BYTES 4096u
#define RF_MAX_SECTIONS 24u
#define RF_FILE_SUFFIX ".dsrun"
#define RF_LAUNCHER_FILE "launcher" RF_FILE_SUFFIX
#define RF_MAX_FILE_BYTES (UINT64_C(256) << 20)

#define RF_UNKNOWN UINT64_MAX

enum rf_section_type {
    RF_SECTION_PROCESS = 1,   /* one block: who wrote, when, how it ended, stage times */
    RF_SECTION_LOADERS = 2,   /* struct rf_loader_entry; entry 0 is "other" */
    RF_SECTION_STAGES = 3,    /* struct rf_stage_entry; 0: no stage, the last: "other" */
    RF_SECTION_SLOTS = 4,     /* one block per (thread, loader, device); the last: overflow */
    RF_SECTION_GPUS = 5,      /* one block per device */
    RF_SECTION_WORKERS = 6,   /* one entry per DataLoader worker, see worker_slot.h */
    RF_SECTION_STRETCHES = 7, /* one entry per loader, see stretches.h */
    RF_SECTION_STEPS = 8      /* one entry per thread that trains, see steps.h */
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
#define RF_JOURNAL_CAPACITY 384u
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
    RF_PROCESS_CHILD_PID,   /* launcher: the command; plain stores, as is RF_PROCESS_CHILD_TICKS */
    RF_PROCESS_STAGE,       /* current stage */
    RF_PROCESS_STAGE_SINCE,
    RF_PROCESS_GPU_STATE,   /* enum rf_gpu_state: the sampler as a whole */
    RF_PROCESS_GPU_ERROR,   /* the NVML code behind it */
    RF_PROCESS_ACCELERATOR, /* enum rf_accelerator: does this process use a GPU? */
    RF_PROCESS_PAUSED_NS,   /* between two iterations, while no loader was iterated; plain add */
    RF_PROCESS_RESERVED_1,
    RF_PROCESS_LOST_CONTENTION, /* struct datastall_lost: plain atomic adds, outside the journal */
    RF_PROCESS_MERGED_OTHER,
    RF_PROCESS_IMPOSSIBLE_TIMES,
    RF_PROCESS_IMPOSSIBLE_COUNTS,
    RF_PROCESS_UNKNOWN_ARGUMENTS,
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
    RF_PROCESS_CHILD_TICKS,     /* launcher: the command's start_ticks */
    RF_PROCESS_IDLE_NS,         /* CPUs that the process may use were idle, all together ... */
    RF_PROCESS_IDLE_SPAN_NS,    /* ... of this time, while it iterated over loaders */
    RF_PROCESS_CHILDREN_CPU_NS, /* ran processes that it started and that live on, but workers */
    RF_PROCESS_WORKERS_CHILDREN_CPU_NS, /* and those that its workers started */
    RF_PROCESS_RUNNABLE, /* threads of the machine that ran or waited for a CPU: summed up over ... */
    RF_PROCESS_RUNNABLE_LOOKS, /* ... so many looks */
    RF_PROCESS_DYNAMIC_WORDS = 40,
    RF_PROCESS_STAGE_NS = RF_PROCESS_DYNAMIC_WORDS, /* [RF_STAGE_CAPACITY] time spent in each */
    RF_PROCESS_STAGE_ENTRIES = RF_PROCESS_STAGE_NS + RF_STAGE_CAPACITY,
    RF_PROCESS_STATIC = RF_PROCESS_STAGE_ENTRIES + RF_STAGE_CAPACITY /* struct rf_process_static */
};

/* What the hooks had to leave out of a recording: X(NAME, name in JSON, what). Each is counted at every
 * iter(). */
#define RF_REFUSALS(X)                                                                  \
    X(LOADERS, "loaders", "a loader that could not be registered")                      \
    X(ITERATORS, "iterators",                                                           \
      "an iterator of another kind than torch's, whose waits are not seen")             \
    X(SETTINGS, "settings", "a setting of a loader that cannot be read and is unknown") \
    X(FEEDS, "feeds", "what feeds an iterator, which is not known")
#define RF_REFUSAL_ENUM(name, key, what) RF_REFUSED_##name,
enum rf_refusal { RF_REFUSALS(RF_REFUSAL_ENUM) RF_REFUSAL_KINDS };
#undef RF_REFUSAL_ENUM

#define RF_SETTINGS_BYTES 256u

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
    uint64_t pid_namespace; /* inode of /proc/self/ns/pid, where pid means something; 0: unknown */
    uint64_t launched;      /* recorder: 1 under a launcher, which has a file of its own */
    uint64_t refused[RF_REFUSAL_KINDS]; /* these change: plain atomic adds, outside the journal */
    uint64_t restart; /* of an elastic job: how often its ranks were started anew; RF_UNKNOWN */
    char hostname[64];
    char name[64]; /* launcher: --name */
    char directory[512];
    char command[2048];               /* arguments joined by spaces, cut */
    char settings[RF_SETTINGS_BYTES]; /* launcher: --set, a line each */
    char job[128]; /* what processes of one job have in common on all machines; "": nothing told */
    char node[64]; /* the machine's name for people: $NODE_NAME, else the host name */
    char pod[64];  /* of Kubernetes; "": none */
};
_Static_assert((int)RF_PROCESS_UNKNOWN_ARGUMENTS < (int)RF_PROCESS_HOST_NS &&
                   (int)RF_PROCESS_RUNNABLE_LOOKS < (int)RF_PROCESS_DYNAMIC_WORDS,
               "no word of the process block stands for two things");
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
    uint64_t unknown_worker_batches; /* came from workers of which nothing is known; counted up */
    uint64_t paused_ns; /* from the end of an iteration to the next one's begin; counted up */
    uint64_t objects;   /* of the program's, iterated over under this name; counted up */
    uint64_t dropped;   /* iterators given up before their end; counted up */
    uint64_t reserved[5];
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
/* A wait is a row of the ring, and there once the row's sequence number is. Everything that is
 * counted (totals, histograms, stages, rollups, the slowest waits) follows from the rows in their
 * order: the writer adds them to the tables now and then, many at once and in one change of the
 * block, and a reader adds the rest to its copy. Until its row is counted nothing overwrites it. */
enum rf_slot_geometry {
    RF_GEO_RECENT,        /* rows of the ring, a power of two */
    RF_GEO_RECORD_WORDS,  /* words of a row */
    RF_GEO_CAUSES,        /* rows of the causes' ring, a power of two */
    RF_GEO_CAUSE_WORDS,   /* words of a row */
    RF_GEO_COUNTER_WORDS, /* totals */
    RF_GEO_HISTOGRAM,     /* buckets */
    RF_GEO_STAGES,        /* rows of totals per stage */
    RF_GEO_STAGE_WORDS,
    RF_GEO_ROLLUP_SHAPE, /* levels | buckets of each << 16 | words of a bucket << 32 */
    RF_GEO_SLOWEST,      /* entries kept of each of the two kinds */
    RF_GEO_JOURNAL
};

/* Words of a slot's payload before its tables. */
enum rf_slot_word {
    RF_SLOT_USED, /* 1 once claimed */
    RF_SLOT_LOADER,
    RF_SLOT_THREAD,     /* kernel thread id of the last owner */
    RF_SLOT_GPU_UUID_0, /* the device whose stalls these are: its UUID's bytes, zero: none */
    RF_SLOT_GPU_UUID_1,
    RF_SLOT_BACKGROUND, /* enum rf_slot_owners */
    RF_SLOT_WORDS = 16
};

enum rf_slot_owners {
    RF_OWNED_BY_MAIN = 0, /* the main thread alone */
    RF_OWNED_BY_OTHER =
        1, /* another thread alone; files of before 0.4 have this for the next, too */
    RF_OWNED_BY_SEVERAL = 2 /* one after the other, not all of them the main one */
};

/* One wait. The first cache line is all that most batches need. */
enum rf_record_word {
    RF_RECORD_SEQUENCE, /* 1 + index, stored last; with RF_RECORD_WAITING: under way since BEGIN */
    RF_RECORD_BEGIN_NS,
    RF_RECORD_WAIT_NS,
    RF_RECORD_KIND,  /* kind | queue state << 8 | stage << 16 | flags << 32 */
    RF_RECORD_BATCH, /* batch index */
    RF_RECORD_SAMPLES,
    RF_RECORD_STALL_LOWER, /* exposed stall, at least; with the next, which is stored last */
    RF_RECORD_STALL_UPPER, /* at most; RF_UNKNOWN until it is known */
    /* with RF_RECORD_COMPOSED only */
    RF_RECORD_TOKENS,
    RF_RECORD_LONGEST,
    RF_RECORD_PADDED,
    RF_RECORD_MEAN_LENGTH, /* bits of a double; NaN: unknown */
    RF_RECORD_EFFICIENCY,  /* bits of a double; NaN: not stated */
    RF_RECORD_WORDS = 16
};
#define RF_RECORD_WAITING (UINT64_C(1) << 63) /* in the sequence number */
#define RF_RECORD_COMPOSED 0x80000000u        /* beside the batch flags: the second half is there */
#define RF_RECORD_CARRIED 0x40000000u /* its stall is that of the waits before: see gpu/stall.h */

/* Why a wait took what it took; a ring of its own, in the order of the waits that have one. */
enum rf_cause_word {
    RF_CAUSE_RECORD,   /* 1 + index of the wait */
    RF_CAUSE_FLAGS,    /* RF_CAUSE_IS_PENDING, RF_CAUSE_IS_REPLAYED */
    RF_CAUSE_SPLIT_NS, /* [CAUSE_STATES]: as RF_COUNT_CAUSE_NS, likewise the next three */
    RF_CAUSE_SPLIT_LAST = RF_CAUSE_SPLIT_NS + CAUSE_STATES - 1,
    RF_CAUSE_LATER_READY_NS,
    RF_CAUSE_OTHERS_IDLE_NS,
    RF_CAUSE_WINDOW_FULL_NS,
    RF_CAUSE_REPLAY_NS,
    RF_CAUSE_REPLAY_LARGER_NS,
    RF_CAUSE_SAMPLER_NS,
    RF_CAUSE_PIN_NS,
    RF_CAUSE_GET_CPU_NS,
    RF_CAUSE_GET_CPU_BATCHES,
    RF_CAUSE_DEPTH,      /* when the wait began, see rf_pack_depth(); RF_UNKNOWN */
    RF_CAUSE_BLOCKER,    /* 1 + number of the worker whose batch ended the wait; 0: not known */
    RF_CAUSE_SERVICE_NS, /* what that batch took in its worker; 0: not known */
    RF_CAUSE_WORDS = 28
};
_Static_assert((int)RF_CAUSE_SERVICE_NS < (int)RF_CAUSE_WORDS, "a cause fits its row");
#define RF_CAUSE_IS_PENDING 1u  /* the split is there once the wait's stall is known */
#define RF_CAUSE_IS_REPLAYED 2u /* the replays are of this wait */

/* A stage's row: the totals of its waits, as far as RF_STAGE_COUNTERS goes. Row 0 (no stage) stays
 * empty: it is the rest. */
#define RF_STAGE_WORDS RF_COUNT_STAGE_WORDS

/* One span of time. Level l has buckets of RF_ROLLUP_RATIO^l seconds of CLOCK_MONOTONIC, each in
 * the place (number % buckets). Level 0 takes every wait in the second of its end; a second that is
 * over is added to all coarser levels, so those lack the second under way. */
#define RF_ROLLUP_NUMBER 0u /* 1 + time / width; 0: empty. Behind it the totals of the span: */
#define RF_ROLLUP_OF(counter) (1u + RF_COUNT_##counter)
#define RF_ROLLUP_WORDS (1u + RF_COUNT_SECOND_WORDS)
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

#define RF_CAUSE_ROWS 64u
#define RF_SLOT_SPARE_WORDS 64u /* reserved at the end of a slot */

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
    RF_GPU_CALL_NS, /* begin of the call that is not answered yet; tried anew: of the first; 0: none */
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
    RF_GPU_CALL_LONGEST_NS, /* the longest sampling that was answered; a plain store, as is ... */
    RF_GPU_UNANSWERED_NS,   /* ... how old the call of RF_GPU_CALL_NS was when sampling ended; 0: it
                               did not end */
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
    uint64_t recent, record_words, causes, cause_words, counter_words, histogram;
    uint64_t stages, stage_words, rollup_levels, rollup_buckets, rollup_words, slowest;
    uint64_t counters_at, ring_at, causes_at, steady_at, startup_at, stages_at, rollup_at, slow_at;
    uint64_t spare_at;
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

/* The section of a type in a header whose count is possible; NULL: there is none. */
static inline const struct rf_section *rf_section_of(const struct rf_header *header, uint32_t type)
{
    for (uint32_t i = 0; i < header->section_count && i < RF_MAX_SECTIONS; i++) {
        if (header->sections[i].type == type)
            return &header->sections[i];
    }
    return NULL;
}

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

/* Threads of the machine that ran or waited for a CPU, to each of its CPUs, in the mean of the looks; 0
 * where it is not known, as where a process may not use all of them: who shares them is not told then. */
static inline double rf_threads_per_cpu(const uint64_t *process_words)
{
    const uint64_t *w = process_words;
    const uint64_t looks = ds_load(&w[RF_PROCESS_RUNNABLE_LOOKS]);
    const uint64_t cpus = ds_load(&w[RF_PROCESS_CPUS_ONLINE]);
    const uint64_t usable_milli = ds_load(&w[RF_PROCESS_CPUS_MILLI]);
    if (looks == 0 || cpus == 0 || usable_milli == RF_UNKNOWN || usable_milli / 1000 < cpus)
        return 0;
    return (double)ds_load(&w[RF_PROCESS_RUNNABLE]) / (double)looks / (double)cpus;
}

/* Packs RF_RECORD_KIND and takes it apart. */
static inline uint64_t rf_pack_kind(uint32_t kind, uint32_t queue, uint32_t stage, uint32_t flags)
{
    return kind | (uint64_t)queue << 8 | (uint64_t)stage << 16 | (uint64_t)flags << 32;
}
/* Packs RF_CAUSE_DEPTH: 16 bits each, cut at 65534. */
static inline uint64_t rf_pack_depth(uint64_t ready, uint64_t early, uint64_t in_flight,
                                     uint64_t possible)
{
    const uint64_t values[4] = {ready, early, in_flight, possible};
    uint64_t word = 0;
    for (int i = 0; i < 4; i++)
        word |= (values[i] < 65534 ? values[i] : 65534) << (16 * i);
    return word;
}
static inline uint64_t rf_ready_of(uint64_t depth)
{
    return depth & 0xffff;
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
static inline uint32_t rf_flags_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

#endif
