/* SPDX-License-Identifier: Apache-2.0 */
/* RF_SECTION_STEPS: of some threads, how the time of their steps is spread over phases (stats/step.h),
 * which lines of the program the host waited for the GPU at, and what torch's allocator held.
 *
 * One writer, the thread itself, but for the lines, which the thread that looks at it writes. The
 * totals are kept in several copies, of which the one that RF_STEPS_COUNT names is whole; they are
 * published some twenty times a second.
 */
#ifndef DATASTALL_RUNFILE_STEPS_H
#define DATASTALL_RUNFILE_STEPS_H

#include "base/atomics.h"
#include "runfile/layout.h"

enum rf_steps_geometry {
    RF_STEPS_GEO_HEAD_WORDS,
    RF_STEPS_GEO_COPIES, /* a power of two */
    RF_STEPS_GEO_TOTAL_WORDS,
    RF_STEPS_GEO_PHASES,
    RF_STEPS_GEO_LINES,
    RF_STEPS_GEO_LINE_WORDS
};

#define RF_STEPS_ENTRIES 4u /* threads that train, of a process */
#define RF_STEPS_COPIES 4u
#define RF_STEPS_LINES 28u /* of an entry; a file stays below 8 MiB */
#define RF_STEPS_LOWS 16u

/* Words of an entry before its copies. */
enum rf_steps_head_word {
    RF_STEPS_COUNT,  /* times published; 0: unused */
    RF_STEPS_THREAD, /* kernel thread id */
    RF_STEPS_IS_MAIN,
    RF_STEPS_CLOCK, /* enum rf_steps_clock: whose emptiness was asked for */
    /* What torch's allocator held on the thread's device, in bytes; plain stores. */
    RF_STEPS_MEMORY_READS, /* 0: never read, and the rest means nothing */
    RF_STEPS_MEMORY_ALLOCATED,
    RF_STEPS_MEMORY_ALLOCATED_PEAK,
    RF_STEPS_MEMORY_RESERVED,
    RF_STEPS_MEMORY_RESERVED_PEAK,
    RF_STEPS_MEMORY_RETRIES, /* allocations that failed until the cache was given back */
    /* The least that was allocated in each of the last spans of so many readings: when all places are
     * full two become one. */
    RF_STEPS_LOW_READS,
    RF_STEPS_LOW_COUNT, /* places that are full */
    RF_STEPS_LOW_UNDER_WAY,
    RF_STEPS_LOW_TAKEN, /* readings in that one */
    RF_STEPS_LOWS_AT = 16,
    RF_STEPS_HEAD_WORDS = RF_STEPS_LOWS_AT + RF_STEPS_LOWS
};

enum rf_steps_clock {
    RF_STEPS_CLOCK_HOST = 0,  /* nothing was asked of a GPU */
    RF_STEPS_CLOCK_QUEUE = 1, /* the stream's queue, at random moments */
    RF_STEPS_CLOCK_BOUND = 2, /* the same, while other streams had work too */
    /* Nothing is asked any more: a library of the process may capture graphs by itself. */
    RF_STEPS_CLOCK_CAPTURERS = 3
};

/* What a thread was seen in at a line. */
enum rf_step_line_kind {
    RF_STEP_LINE_WAITS = 0, /* a call that waits for the GPU */
    RF_STEP_LINE_WORKS = 1  /* the program's own code, outside of torch and its modules */
};
/* Of the rows of an entry, those before this one take lines of either kind, the rest such as wait. */
#define RF_STEPS_WORK_LINES 16u

/* A line of the program at which it was seen. Written once, then `state` is set to 1; `seen` and `empty`
 * are counted up. */
struct rf_step_line {
    uint64_t state;
    uint64_t phase; /* enum step_phase */
    uint64_t
        seen; /* looks that found the thread there; of those of the phase (RF_STEP_TOTAL_LOOKS) */
    uint64_t empty; /* of them, with nothing to do for the GPU */
    uint64_t kind;  /* enum rf_step_line_kind */
    uint64_t reserved[3];
    char what[32]; /* of one that waits: "item", "to" ...; "": not known */
    char where[96];
};
#define RF_STEP_LINE_WORDS (sizeof(struct rf_step_line) / 8)

struct rf_steps_layout {
    uint64_t head_words, copies, total_words, lines, line_words;
    uint64_t totals_at, lines_at;
    uint64_t words; /* of an entry */
};

/* False when the geometry is impossible. */
bool rf_steps_layout_of(const uint64_t geometry[RF_GEOMETRY_WORDS], struct rf_steps_layout *layout);
/* What a writer of this version lays out. */
void rf_steps_geometry(uint64_t geometry[RF_GEOMETRY_WORDS]);

/* The totals of an entry that its writer may be changing. False: it changed too fast, or they
 * contradict themselves. Without any: true, and all are 0. */
bool rf_steps_totals(const uint64_t *entry, const struct rf_steps_layout *layout,
                     uint64_t totals[RF_STEP_TOTAL_WORDS]);

#endif
