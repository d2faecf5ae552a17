/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of a loader as a run keeps them one by one, made from costs that are known: for tests of what
 * is read from them. */
#ifndef DATASTALL_TESTS_RECORDED_H
#define DATASTALL_TESTS_RECORDED_H

#include "diagnose/predict.h"

/* Times are in ticks, of which each is a thousand units of a stretch: nothing is rounded. */
#define TICK_UNITS 1000u
#define TICK (TICK_UNITS * (double)RF_STRETCH_UNIT_NS) /* ns */

#define RECORDED_STRETCHES 4u
#define RECORDED_BATCHES (RECORDED_STRETCHES * RF_STRETCH_ROWS)

/* What each batch of it cost; and what is told, of a loader whose times these are. */
struct recorded_plan {
    uint32_t workers, prefetch, batches, epochs; /* of so many batches each */
    uint32_t items, cpu, delay, threads;
    uint32_t collate, collate_cpu, collate_delay;
    uint32_t gap, send, latency, get, pin, tail;
    uint32_t consumed;       /* by the loop, between two batches */
    uint32_t ready;          /* next() takes so long where the batch was there; 0: get + tail */
    uint32_t first_items;    /* more of each worker's first batch */
    uint32_t first_handover; /* likewise */
    uint32_t loop_cpu;       /* CPU time of the loop's process, per batch */
    bool persistent;         /* else each epoch has first batches */
};

/* Two workers that are the bottleneck: 8 ms of items, which block for the most part, 1 ms of collation. */
#define RECORDED_PLAN   \
    {.workers = 2,      \
     .prefetch = 2,     \
     .batches = 128,    \
     .epochs = 1,       \
     .items = 125,      \
     .cpu = 45,         \
     .collate = 16,     \
     .collate_cpu = 10, \
     .gap = 9,          \
     .send = 4,         \
     .latency = 6,      \
     .get = 3,          \
     .tail = 2,         \
     .consumed = 31,    \
     .loop_cpu = 20}

struct recorded {
    struct rf_stretch_batch batches[RECORDED_BATCHES];
    struct run_stretch stretch[RECORDED_STRETCHES];
    struct run_stretches stretches;
    struct run_process process;
    struct run_loader loader;
    struct why why;
    double took, waited; /* ns: the loop's, without what nothing tells of */
};
extern struct recorded recorded;

/* Plays it, as a loader on 8 CPUs of which none is used by others. Where next() had to wait for a batch
 * all the time, its way is told, and else not, as in a run. */
void record_plan(const struct recorded_plan *plan);

#endif
