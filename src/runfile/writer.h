/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a run file and writes to it. One writer per block; nothing here locks. */
#ifndef DATASTALL_RUNFILE_WRITER_H
#define DATASTALL_RUNFILE_WRITER_H

#include "runfile/commit.h"
#include "runfile/file_spec.h"
#include "runfile/fold.h"
#include "runfile/layout.h"
#include "runfile/rollup.h"
#include "stats/wait.h"

struct rf_writer {
    uint64_t *map;
    uint64_t bytes;
    char *path;    /* NULL: memory only */
    uint64_t lost; /* set to 1 by the fault guard: the file is gone, writes go nowhere */
    int guard;
    struct rf_header header; /* as written; offsets are taken from here, never from the file */
    struct rf_slot_layout slot_layout;
    struct rf_gpu_layout gpu_layout;
    struct rf_commit process; /* the caller serialises changes */
};

/* Allocates the whole file (posix_fallocate), maps it and touches every page, so that a full disk
 * is an error here and never a SIGBUS later; then writes the header, the magic last, and gives the
 * file its name (on file systems without O_TMPFILE it has that from the start). The name must be
 * free (mode 0600, links are not followed). path NULL: anonymous memory. On failure nothing is
 * left behind. Returns 0 or a datastall error with its sentence. */
int rf_writer_create(const char *path, const struct rf_spec *spec,
                     const struct rf_process_static *process, struct rf_writer **writer);

/* Unmaps; the file stays. */
void rf_writer_destroy(struct rf_writer *writer);

/* Marks the file as ended, with a pair of monotonic and real time. */
void rf_writer_mark_closed(struct rf_writer *writer);

/* Counts a loss (RF_PROCESS_LOST_CONTENTION and what follows it); any thread. */
void rf_count_loss(struct rf_writer *writer, uint32_t process_word);

/* Counts an object of the program's that is a loader, and an iterator that was given up; any thread. */
void rf_count_object(struct rf_writer *writer, uint32_t loader);
void rf_count_dropped(struct rf_writer *writer, uint32_t loader);

/* Counts batches of a loader that came from workers of which nothing is known; any thread. */
void rf_count_unknown_worker(struct rf_writer *writer, uint32_t loader, uint64_t batches);

/* Adds to the pauses of a loader and of the process; any thread. */
void rf_count_pause(struct rf_writer *writer, uint32_t loader, uint64_t loader_ns,
                    uint64_t process_ns);

/* The block or entry `index` of a section, NULL if there is none. */
uint64_t *rf_entry(const struct rf_writer *writer, uint32_t section_type, uint64_t index);
uint64_t rf_entry_count(const struct rf_writer *writer, uint32_t section_type);

/* Copies whole words, each visible by itself. */
void rf_write_words(uint64_t *to, const void *from, size_t bytes);

/* Publishes a loader's or a stage's entry; its `state` becomes 1 last. */
void rf_write_loader(struct rf_writer *writer, uint32_t index, const struct rf_loader_entry *entry);
void rf_write_stage(struct rf_writer *writer, uint32_t index, const char *name);

/* ---- slots ---- */
#define RF_LATE_STALLS 32u /* known after their row was counted: wait for the next counting */

struct rf_slot_writer {
    /* what every wait touches */
    uint64_t *ring, *causes;
    uint64_t ring_mask, cause_mask, cause_words;
    uint64_t head;           /* rows written */
    uint64_t counted;        /* of them in the tables */
    uint64_t batches;        /* of the rows */
    uint64_t look_at;        /* from this head on it may be time to count; 0: it is */
    uint64_t cause_head;     /* rows of causes written */
    uint64_t causes_counted; /* of them in the tables */
    /* now and then */
    uint64_t most_rows;     /* so many uncounted ones are counted at once ... */
    uint64_t fair_rows;     /* ... or so many after a while, since ... */
    uint64_t counted_at_ns; /* ... the end of the last row counted */
    const struct rf_slot_layout *layout;
    struct rf_fold fold;
    uint64_t counters[RF_COUNT_WORDS]; /* the fold's */
    uint32_t late_count;
    struct rf_late_stall late[RF_LATE_STALLS];
    struct rf_commit commit;
};

/* Attaches to slot `index`, which nobody used before. */
void rf_slot_attach(struct rf_writer *writer, uint32_t index, struct rf_slot_writer *slot);
/* Says whose slot it is (before the first record, or when a new thread takes it over). */
void rf_slot_assign(struct rf_slot_writer *slot, uint32_t loader, uint64_t thread_id);
/* One record: there as a whole when it returns. Now and then (true) counts the rows up to here. */
bool rf_slot_append(struct rf_slot_writer *slot, const struct wait *wait);

/* The stall of record `index` became known; with split: how it is split over its cause. */
void rf_slot_late_stall(struct rf_slot_writer *slot, uint64_t index,
                        const struct rf_late_stall *late);
/* Counts every row and late stall. */
void rf_slot_flush(struct rf_slot_writer *slot);
/* Notes the device whose stalls the slot holds (16 bytes). */
void rf_slot_set_gpu(struct rf_slot_writer *slot, const unsigned char uuid[16]);

/* Where the next record goes. */
static inline uint64_t *rf_slot_next_row(const struct rf_slot_writer *slot)
{
    return slot->ring + (slot->head & slot->ring_mask) * RF_RECORD_WORDS;
}

/* A wait begins, in the row that it will be recorded in; begin_ns 0: it is given up. */
static inline void rf_slot_waiting(struct rf_slot_writer *slot, uint64_t begin_ns)
{
    uint64_t *row = rf_slot_next_row(slot);
    ds_fence_release(); /* see rf_slot_append() */
    ds_store(&row[RF_RECORD_SEQUENCE], 0);
    ds_store_release(&row[RF_RECORD_BEGIN_NS], begin_ns);
    if (begin_ns != 0)
        ds_store_release(&row[RF_RECORD_SEQUENCE], (slot->head + 1) | RF_RECORD_WAITING);
}

/* Begin of the wait that shows as under way; 0: none does. */
static inline uint64_t rf_slot_waiting_since(const struct rf_slot_writer *slot)
{
    const uint64_t *row = rf_slot_next_row(slot);
    const bool waits = ds_load(&row[RF_RECORD_SEQUENCE]) == ((slot->head + 1) | RF_RECORD_WAITING);
    return waits ? ds_load(&row[RF_RECORD_BEGIN_NS]) : 0;
}

/* ---- GPUs ---- */
struct rf_gpu_writer {
    struct rf_commit commit;
    const struct rf_gpu_layout *layout;
    uint64_t open_second;
    uint64_t last_ns;      /* of the last sample; 0: none yet */
    uint64_t accounted_ns; /* busy, idle and unknown time reach up to here */
    uint64_t power_ns;     /* when power was read last, and what it was; 0: not */
    uint64_t power_mw;
};

/* Clocks that are lower than they could be, and why. */
enum rf_held { RF_HELD_POWER = 1, RF_HELD_THERMAL = 2, RF_HELD_HARDWARE = 4 };

struct rf_gpu_sample { /* RF_UNKNOWN where not read */
    uint64_t time_ns;
    uint64_t busy_percent;
    uint64_t memory_used, memory_total; /* bytes */
    uint64_t memory_free;               /* bytes; total - used less what the driver reserves */
    uint64_t power_mw;
    uint64_t temperature; /* Celsius */
    uint64_t sm_clock_mhz, memory_clock_mhz;
    uint64_t stage;
    uint64_t state; /* enum rf_gpu_state */
    uint64_t error; /* NVML code of the last failed call of this sample, 0: none */
    uint64_t held;  /* bits of enum rf_held */
    /* The share (0..1) of activity_span_ns before time_ns in which the GPU was busy; NaN: unknown.
     * Then the time since the sample before counts as unknown, unless the activity is pending: a
     * later sample will cover it. */
    double activity;
    uint64_t activity_span_ns;
    uint64_t activity_source; /* enum rf_activity_source */
    bool activity_pending;
    double gpm[RF_GPM_FIELDS]; /* over activity_span_ns: shares 0..1, bytes a second; NaN */
};

/* A sample of which nothing was read. */
struct rf_gpu_sample rf_gpu_nothing_read(void);

void rf_gpu_attach(struct rf_writer *writer, uint32_t index, const struct rf_gpu_static *device,
                   struct rf_gpu_writer *gpu);
void rf_gpu_append(struct rf_gpu_writer *gpu, const struct rf_gpu_sample *sample);
/* Notes since when the device has owed an answer; 0: it owes none. */
void rf_gpu_calling(struct rf_gpu_writer *gpu, uint64_t since_ns);
/* Notes that a sample came, after so long: it owes none, and so long is usual. */
void rf_gpu_answered(struct rf_gpu_writer *gpu, uint64_t took_ns);
/* Notes that nobody waits for the answer any more, which had been owed for so long. */
void rf_gpu_unanswered(struct rf_gpu_writer *gpu, uint64_t age_ns);

#endif
