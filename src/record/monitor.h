/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the handles of datastall.h, for record/ and for the rooms above it. */
#ifndef DATASTALL_RECORD_MONITOR_H
#define DATASTALL_RECORD_MONITOR_H

#include <pthread.h>
#include <stdbool.h>

#include "base/fork_guard.h"
#include "base/hot.h"
#include "datastall.h"
#include "record/quiet.h"
#include "runfile/rundir.h"
#include "runfile/steps.h"
#include "runfile/stretches.h"
#include "runfile/totals.h"
#include "runfile/writer.h"

#define MONITOR_NAME_BYTES 64
#define MONITOR_WORKER_ENTRIES 64u

#define MONITOR_PENDING_CAUSES 32u /* more than stalls can be under way */
struct monitor_slot {
    uint64_t owner; /* thread number (never reused), 0: free to take over */
    uint32_t loader;
    uint32_t device; /* 1 + CUDA's number of the device whose stalls are here; 0: none was told */
    bool used;
    bool alternates;            /* its thread goes from device to device */
    struct stall_queue *stalls; /* src/gpu: events whose outcome is not known yet; NULL: none */
    struct quiet_waits quiet;   /* not of the overflow slot, which threads share */
    struct rf_slot_writer writer;
    /* Causes of waits whose stall is under way, each at its record's index. */
    struct monitor_cause {
        uint64_t record; /* 1 + index; 0: empty */
        uint64_t begin_ns, end_ns;
        struct wait_cause cause;
    } causes[MONITOR_PENDING_CAUSES];
};

/* Of one loader, or of all of a process; guarded by the monitor's mutex. */
struct monitor_iterations {
    uint64_t under_way;
    uint64_t last_end_ns; /* 0: none ended yet */
};

struct datastall_loader {
    datastall_monitor *monitor;
    uint64_t number; /* unique in the process: what a thread's cache is keyed by */
    uint32_t index;  /* in the file's table; 0: other */
    char *identity;
    struct monitor_iterations iterations;
};

struct datastall_monitor {
    uint64_t generation; /* of the process that opened it, see base/fork_guard.h */
    struct rf_writer *writer;
    uint64_t off;             /* 1: switched off */
    uint64_t current_stage;   /* read by every wait */
    uint64_t calls_in_child;  /* ignored because this is a forked child */
    uint64_t earliest_end_ns; /* no wait ended before the process began */
    uint64_t latest_end_ns;   /* nor in the future, as the clock was read last */
    uint64_t stretches_token[RF_STRETCH_LOADERS]; /* of the newest iterator that writes there */
    uint64_t steps_in_backward[RF_STEPS_ENTRIES]; /* of each of `steps` */
    uint32_t slot_count;                          /* without the overflow slot */
    struct monitor_slot *slots;
    struct datastall_loader
        loaders[RF_LOADER_CAPACITY]; /* read beside these; written under the mutex */
    struct monitor_slot overflow;
    uint64_t overflow_busy;
    bool ended;

    pthread_mutex_t mutex; /* guards what follows; never taken while recording */
    struct monitor_iterations iterations;
    char loader_names[RF_LOADER_CAPACITY][MONITOR_NAME_BYTES];
    uint32_t loader_count;
    char stage_names[RF_STAGE_CAPACITY][MONITOR_NAME_BYTES];
    uint32_t stage_count;
    struct monitor_host *host; /* record/host_notes.c */
    /* 1: a loop of this process fills that worker entry. Set under the mutex, cleared without. */
    uint64_t entry_busy[MONITOR_WORKER_ENTRIES];
    struct steps *steps; /* record/steps.h: of the threads that are followed; NULL: none yet */
    uint64_t steps_count;
    uint64_t claims;   /* threads that took this lock to find their slot */
    uint64_t *scratch; /* one slot's copy, for statistics */
    struct rf_totals *totals;

    void (*on_close)(void *context); /* src/gpu stops its thread */
    void *on_close_context;
    datastall_monitor *next; /* list of open monitors */
};

/* True in the process that opened the monitor, while it records. */
static inline bool monitor_is_recording(const datastall_monitor *monitor)
{
    return ds_fork_same_process(monitor->generation) && ds_load(&monitor->off) == 0;
}

/* The errors of a call on no monitor, on a parent's, and with flags of a newer version. */
int monitor_fail_off(void);
int monitor_fail_forked(void);
int monitor_refuse_flags(uint32_t unknown);

/* For struct datastall_loader. */
uint64_t monitor_new_loader_number(void);

/* What slots of the calling thread have as owner. */
uint64_t monitor_thread_number(void);

/* datastall_wait_end_at() with what is known of the exposed stall already, and of the cause (NULL:
 * nothing). */
void monitor_wait_end(datastall_wait *wait, uint64_t end_ns, enum datastall_wait_kind kind,
                      const datastall_batch *batch, const struct stall_bounds *stall,
                      const struct wait_cause *cause);

/* datastall_wait_record() with the exposed stall. */
void monitor_wait_record(datastall_loader *loader, uint64_t end_ns, uint64_t wait_ns,
                         enum datastall_wait_kind kind, const datastall_batch *batch,
                         const struct stall_bounds *stall, const struct wait_cause *cause);

/* A thread finds its slots here without a lock: a table with linear probing, keyed by the loader's number,
 * which is never reused, and a device, so an entry of a closed monitor can never match. */
#define MONITOR_CACHE_ENTRIES 128u
#define MONITOR_CACHE_DEVICES 64u
struct monitor_cached {
    uint64_t key; /* number * MONITOR_CACHE_DEVICES + device; 0: empty */
    struct monitor_slot *slot;
};

/* What is kept of each thread, what a wait touches in one cache line. Monitors are told apart by the
 * number of their loader 0, which is never reused: what is found by it is there while the monitor is. */
struct monitor_thread {
    struct monitor_cached last; /* found, with device 0 */
    /* Where its newest wait shows as under way. */
    uint64_t shown_monitor;
    struct monitor_slot *shown_slot;
    /* Of steps.h; NULL: the thread is not followed there. */
    uint64_t steps_monitor;
    struct steps *steps;
    struct monitor_cached cache[MONITOR_CACHE_ENTRIES];
} DS_LINE_ALIGNED;
extern _Thread_local struct monitor_thread monitor_thread;

struct monitor_slot *monitor_look_for_slot(datastall_loader *loader);

/* The slot in which this thread's waits on the loader go; NULL: not recording. */
static inline struct monitor_slot *monitor_slot_here(const struct monitor_thread *here,
                                                     datastall_loader *loader)
{
    if (DS_MOSTLY(here->last.key == loader->number * MONITOR_CACHE_DEVICES &&
                  monitor_is_recording(loader->monitor)))
        return here->last.slot;
    return monitor_look_for_slot(loader);
}
static inline struct monitor_slot *monitor_slot_of(datastall_loader *loader)
{
    return monitor_slot_here(&monitor_thread, loader);
}

/* The calling thread's slot for the loader's waits on a device (CUDA's number), from now on: one slot
 * holds the stalls of one device. NULL: not recording, or no slot is left. */
struct monitor_slot *monitor_slot_on_device(datastall_loader *loader, int device);

/* Where this thread's next wait on the loader will read and write, as the last one tells: to be fetched
 * before it is looked for. Addresses alone, which may be gone. */
struct monitor_ahead {
    const void *loader, *monitor, *thread, *slot, *row, *steps;
};
void monitor_note_ahead(datastall_loader *loader, const datastall_wait *wait,
                        struct monitor_ahead *ahead);
static inline void monitor_fetch_ahead(const struct monitor_ahead *ahead)
{
    ds_fetch(ahead->loader);
    ds_fetch(ahead->monitor);
    ds_fetch(ds_fork_page);
    ds_fetch(ahead->thread);
    ds_fetch_lines(ahead->slot, 2);
    ds_fetch_lines(ahead->row, 2);
    ds_fetch_lines(ahead->steps, 2);
}

/* Whether the wait's slot expects it to be short (quiet.h), and what it was, when it ended with a batch. Not
 * of one that was known to be long before it began. */
bool monitor_is_quiet(const datastall_wait *wait);
void monitor_note_quiet(const datastall_wait *wait, uint64_t end_ns);

/* Moves a wait under way there. False: its stall has no place and stays unknown. */
bool monitor_wait_on_device(datastall_wait *wait, int device);

/* What datastall_close() does, but for freeing: the file is complete and marked as ended, and
 * recording threads that go on do nothing. For hosts whose threads cannot be stopped first. */
void monitor_end(datastall_monitor *monitor);

/* An iteration over the loader begins and ends: what lies between two is a pause, of the loader and,
 * where no other loader is iterated over, of the process. Any thread; once per epoch, takes the lock. */
void monitor_iteration_begins(datastall_loader *loader, uint64_t begin_ns);
/* dropped: there may have been more. */
void monitor_iteration_ends(datastall_loader *loader, uint64_t end_ns, bool dropped);

/* One more object of the program's is iterated over as this loader. */
void monitor_count_object(datastall_loader *loader);

/* Reads what the machine gives and how hard it is pressed, when the last reading is some seconds
 * old, or at any rate. */
void monitor_note_host(datastall_monitor *monitor, uint64_t now_ns, bool at_any_rate);

/* Notes whether the process uses a GPU (enum rf_accelerator); once used stays used. */
void monitor_note_accelerator(datastall_monitor *monitor, uint64_t accelerator);

/* Counts what the hooks had to leave out (enum rf_refusal); any thread. */
void monitor_refuse(datastall_monitor *monitor, enum rf_refusal reason, uint64_t times);

/* The run folder of this process: $DATASTALL_RUN_DIR, or where that run is now, or one made on the
 * first call. folder has PATH_MAX bytes. */
int process_run_folder(const datastall_options *options, char *folder);
/* True when a launcher made the folder and samples the GPUs. */
bool process_has_launcher(void);
/* In a forked child: another thread of the parent may have held a lock. */
void process_forget_parent(void);
/* Brings a run on tmpfs home; called when the last monitor closes. */
void process_run_finish(void);
/* The next monitor makes a run folder of its own. Nothing changes under a launcher, whose run it is. */
void process_run_leave(void);
/* Removes the run folder again if nothing is in it: no file could be made. */
void process_run_abandon(void);
/* Two clocks at one moment. */
struct process_clocks {
    uint64_t boot_ns, monotonic_ns; /* CLOCK_BOOTTIME, CLOCK_MONOTONIC */
};
/* When a process that began at start_boot_ns did so on CLOCK_MONOTONIC. at_load: when the library
 * came into the process or into one that it was forked from. Exact unless the machine was suspended
 * between its begin and the earliest of the two readings that it made itself. Pure. */
uint64_t process_start_on_monotonic(uint64_t start_boot_ns, const struct process_clocks *at_load,
                                    const struct process_clocks *now);
/* Makes a file of `bytes` in the run folder, within what a run may cost. */
int process_make_file(const datastall_options *options, const struct rf_spec *spec,
                      const struct rf_process_static *process, uint64_t bytes,
                      struct rf_writer **writer);
/* Fills in who this process is. */
void process_describe(const datastall_options *options, struct rf_process_static *process);

#endif
