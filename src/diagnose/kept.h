/* SPDX-License-Identifier: Apache-2.0 */
/* The batches that a run file keeps one by one (runfile/stretches.h), on the clock: where the times of a
 * stretch can be tied to it. Pure. */
#ifndef DATASTALL_DIAGNOSE_KEPT_H
#define DATASTALL_DIAGNOSE_KEPT_H

#include "run/reader.h"

/* Nanoseconds of CLOCK_MONOTONIC; DATASTALL_UNKNOWN. Each is within some microseconds: a stretch's rows
 * have times in units of 64 ns, which add up. */
struct kept_batch {
    uint64_t batch;
    uint32_t worker;                      /* UINT32_MAX: not known */
    uint64_t asked_ns, got_ns;            /* next() was called, and returned */
    uint64_t begun_ns, items_ns, made_ns; /* in its worker */
    uint64_t exposed_ns;                  /* stall, at most */
    uint64_t pin_begin_ns, pin_end_ns;    /* in the pin thread, where the loop waited for that */
};

/* batches: room for stretches->batch_count. Returns how many; those of a stretch are in their order. */
uint32_t kept_batches(const struct run_stretches *stretches, struct kept_batch *batches);

#endif
