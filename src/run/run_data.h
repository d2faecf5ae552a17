/* SPDX-License-Identifier: Apache-2.0 */
/* A whole run in memory: every run file of a folder, read once, slots added up to loaders. */
#ifndef DATASTALL_RUN_RUN_DATA_H
#define DATASTALL_RUN_RUN_DATA_H

#include <limits.h>

#include "run/history.h"
#include "run/reader.h"
#include "run/recent_waits.h"
#include "runfile/totals.h"

struct run_slow_wait {
    uint64_t wait_ns, begin_ns, batch_index, samples, tokens;
    uint32_t kind, stage;
};
#define RUN_SLOW_WAITS 8
#define RUN_THREADS 64

/* What the threads of a loader that consumed on one device waited. */
struct run_loader_gpu {
    unsigned char uuid[16];
    struct stall stall;
};
#define RUN_LOADER_GPUS 32 /* waits of more are in none of them */

struct run_loader {
    struct rf_loader_entry entry;
    uint32_t index;                   /* in the file's loader table */
    uint32_t threads;                 /* slots with records, at most RUN_THREADS */
    uint64_t thread_ids[RUN_THREADS]; /* the last owner of each: kernel thread ids */
    uint64_t
        waiting_since_ns; /* a wait under way when it was read or when the writer died; 0: none */
    /* A thread waited that was neither the main one nor the one that trains: the program may have worked
     * meanwhile. */
    bool background;
    bool passed_on; /* of some slot more threads were owners than thread_ids has */
    uint32_t gpu_count;
    struct run_loader_gpu gpus[RUN_LOADER_GPUS]; /* the devices that its threads named */
    uint64_t skew; /* records that the tables may be ahead, see view.h */
    struct run_slow_wait slowest[RUN_SLOW_WAITS]; /* steady ones, longest first; wait_ns 0: none */
    uint64_t stages[RF_STAGE_CAPACITY][RF_STAGE_WORDS];
    struct run_history *history; /* over the whole run; NULL: not read (live) */
    struct rf_totals totals;
};

struct run_process {
    char file[NAME_MAX + 1];
    struct rf_header header;
    struct rf_process_view view;
    enum rf_liveness liveness; /* of its writer; RF_DEAD once the file is closed */
    uint64_t recorded_ns;      /* when it last recorded something, as far as the file tells */
    uint32_t loader_count;
    struct run_loader *loaders; /* those with records */
    uint32_t worker_count;
    struct rf_worker_view *workers; /* those that recorded something, by loader and number */
    uint32_t stretches_count;
    struct run_stretches *stretches; /* of some loaders */
    uint32_t recent_count;
    struct run_recent *recent; /* of its slots; run_data_read_next() only, and only of ranks */
    uint32_t steps_count;
    struct run_steps *steps;                 /* of the threads that train or infer */
    char stage_names[RF_STAGE_CAPACITY][64]; /* "" where unused */
};

struct run_data {
    char path[PATH_MAX];
    char id[NAME_MAX + 1];
    char recorded_at[PATH_MAX]; /* where it is recorded until it comes home, "": it is there */
    bool has_launcher;
    struct run_process launcher;
    enum rf_liveness command; /* the launcher's; RF_DEAD where it never started */
    uint32_t process_count;
    struct run_process *processes; /* by rank, then pid */
    uint32_t gpu_count;
    struct rf_gpu_view *gpus;
    uint64_t gpu_state, gpu_error;    /* of the sampler that wrote them, enum rf_gpu_state */
    uint64_t gpu_end, gpu_end_detail; /* enum rf_gpu_end, where it ended before its time */
    uint32_t files, unreadable_files, newer_files;
    uint32_t problems;
    char first_problem[512];
};

/* Reads a run folder. Returns 0 (damage is in `problems`), or DATASTALL_ERR_NOT_FOUND when there is
 * no such folder, or another error. *data is to be freed with run_data_free(). */
int run_data_read(const char *folder, struct run_data **data);
/* The same for a job of very many ranks, without the rings, and of the workers what they counted. Most of a
 * file is room that its run did not need, and reading that takes as long as reading what is there. */
int run_data_read_of_many(const char *folder, struct run_data **data);
/* The same for a reader that polls, without the rings, of which no figure is made, and without the
 * stretches and the workers' single items, which explain a cause but do not make it. */
int run_data_read_live(const char *folder, struct run_data **data);
/* The same with the waits of ranks that `before` (NULL: nothing) did not have, one by one, as far as
 * the rings still hold them. */
int run_data_read_next(const char *folder, const struct run_data *before, struct run_data **data);
void run_data_free(struct run_data *data);

/* training_thread.c: `background` is no longer true of loaders whose waits are all those of the one thread that
 * trains. Of a process whose loaders and steps were read. */
void run_find_background(struct run_process *process);

#endif
