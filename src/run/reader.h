/* Opens run files of any origin. The file is hostile until each thing read from it was checked.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUN_READER_H
#define DATASTALL_RUN_READER_H

#include "runfile/liveness.h"
#include "runfile/opened.h"
#include "runfile/steps.h"
#include "runfile/stretches.h"
#include "runfile/worker_slot.h"

struct run_reader {
    struct rf_file file;
    uint32_t problems;                                    /* things found damaged so far */
    char first_problem[256];                              /* one sentence about the first */
    bool has_slots, has_gpus, has_workers, has_stretches; /* their geometry was checked */
    bool has_steps;
    struct rf_slot_layout slot_layout;
    struct rf_gpu_layout gpu_layout;
    struct rf_worker_layout worker_layout;
    struct rf_stretch_layout stretch_layout;
    struct rf_steps_layout steps_layout;
};

/* Opens a file for reading while its writer may go on. Links are not followed; anything but a
 * regular file is refused. Returns 0 or DATASTALL_ERR_NOT_FOUND, _PERMISSION, _FOREIGN, _NEWER,
 * _DAMAGED, with the sentence in datastall_last_error(). A file that is only partly damaged opens;
 * see `problems`. */
int run_reader_open(const char *path, struct run_reader **reader);
void run_reader_close(struct run_reader *reader);

/* Counts something found damaged; the sentence about the first one is kept. */
void run_reader_note(struct run_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As rf_file_process(); failure is also noted in `problems`. */
bool run_reader_process(struct run_reader *reader, struct rf_process_view *view);

/* True and a copy (strings end with NUL) when entry `index` is there. */
bool run_reader_loader(struct run_reader *reader, uint64_t index, struct rf_loader_entry *entry);
bool run_reader_stage(struct run_reader *reader, uint64_t index, struct rf_stage_entry *entry);
/* All stages at one go; state 0: not there. Returns how many were read. */
uint32_t run_reader_stages(struct run_reader *reader,
                           struct rf_stage_entry entries[RF_STAGE_CAPACITY]);

uint64_t run_reader_count(const struct run_reader *reader, uint32_t section_type);

/* As rf_slot_view_read(); damage is also noted in `problems`. */
enum rf_view_status run_reader_slot(struct run_reader *reader, uint64_t index, unsigned parts,
                                    struct rf_slot_view *view);

struct rf_gpu_view {
    struct rf_gpu_layout layout;
    uint64_t words[RF_GPU_WORDS];
    struct rf_gpu_static fixed;
    uint64_t *block; /* free() */
};
/* True when the entry was ever attached. */
bool run_reader_gpu(struct run_reader *reader, uint64_t index, struct rf_gpu_view *view);

/* What one worker did. */
struct rf_worker_view {
    uint64_t generation, loader, number, pid;
    uint64_t phase;         /* as RF_WORKER_PHASE */
    uint64_t item, exit;    /* as RF_WORKER_ITEM and RF_WORKER_EXIT */
    uint64_t looks, locked; /* see rf_pack_looks() */
    uint64_t fingerprints[2];
    uint64_t totals[RF_TOTAL_WORDS];
    /* May be ahead of the totals by a batch; none, and none of the slowest, where only what is counted
     * was read. */
    uint64_t items[RF_WORKER_ITEM_BUCKETS];
    uint32_t slowest_count;
    struct rf_worker_item {
        uint64_t ns, index, begin_ns;
    } slowest[RF_WORKER_SLOWEST]; /* longest first */
};
/* Stretches of consecutive batches of a loader. */
struct run_stretches {
    uint64_t loader; /* index in the file's loader table */
    uint64_t head[RF_STRETCH_HEAD_WORDS];
    uint32_t count;
    struct run_stretch {
        uint64_t words[RF_STRETCH_WORDS];
        uint32_t first, count;        /* of `batches` */
    } *stretches;                     /* in the order of their numbers; free() */
    struct rf_stretch_batch *batches; /* free() */
    uint32_t batch_count;
};
/* True when a loader has that entry and something was read. Free it with run_stretches_free(). */
bool run_reader_stretches(struct run_reader *reader, uint64_t index, struct run_stretches *view);
void run_stretches_free(struct run_stretches *view);

/* What a thread's steps were made of. */
struct run_steps {
    uint64_t head[RF_STEPS_HEAD_WORDS];
    uint64_t totals[RF_STEP_TOTAL_WORDS];
    uint32_t line_count;
    struct rf_step_line lines[RF_STEPS_LINES]; /* strings end with NUL */
};
/* True when a thread has that entry and published something. */
bool run_reader_steps(struct run_reader *reader, uint64_t index, struct run_steps *view);

/* True when the entry was ever given to a worker that has recorded something, or ended. */
bool run_reader_worker(struct run_reader *reader, uint64_t index, struct rf_worker_view *view);
/* All of them, by loader and number; free(*workers), which is NULL before. Without `items` only what is
 * counted, and no further than the first entry that was never given: they are given in order, and most
 * never are. Returns 0 or DATASTALL_ERR_MEMORY. */
int run_reader_workers(struct run_reader *reader, bool items, struct rf_worker_view **workers,
                       uint32_t *count);

#endif
