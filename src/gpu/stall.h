/* SPDX-License-Identifier: Apache-2.0 */
/* Exposed stall: what of a wait the GPU felt, by the GPU's own clock.
 *
 * At the call of next() the consumer's stream is asked whether it has work left. If not, the whole
 * wait is exposed, and the host's clock is exact. If it has, an event goes behind that work; when
 * next() returns and the event has not been reached, the GPU was busy all along and nothing of the
 * wait was exposed; otherwise a second event goes into the stream, and the distance of the two, by
 * the GPU's clock, is the stall. It is read when it is there, never waited for.
 *
 * The driver is used as the program left it: found with dlopen(RTLD_NOLOAD), never initialised,
 * never synchronised, untouched while the stream captures a graph, after fork, and in threads
 * without a context. Every query runs between cuThreadExchangeStreamCaptureMode(THREAD_LOCAL) and
 * its restore, so that a capture in another thread is not disturbed.
 */
#ifndef DATASTALL_GPU_STALL_H
#define DATASTALL_GPU_STALL_H

#include "record/monitor.h"

/* Why the stall of a wait is not known; counted per slot in memory, for tests and `doctor`. */
enum stall_unknown {
    STALL_NO_DRIVER,  /* not loaded, or lacks a function */
    STALL_NO_CONTEXT, /* this thread has none */
    STALL_CAPTURING,  /* the stream records a graph */
    STALL_FAILED,     /* a driver call failed; events are off for this context from then on */
    STALL_NO_EVENT,   /* all events of the pool wait for the GPU */
    STALL_REASONS
};

struct stall_mark {
    uint32_t state; /* enum in stall.c */
    uint32_t event;
    void *context; /* in which it began */
    bool bound; /* another thread or stream may have kept the GPU busy: the stall is an upper bound
                 */
};

/* Looks for the driver in the process; call when the program is known to use CUDA. True: found. */
bool stall_enable(void);
/* CUDA does not survive a fork: in a child nothing is asked. */
extern uint64_t stall_cuda_ready; /* the generation in which it was found; 0: not yet */
static inline bool stall_is_enabled(void)
{
    const uint64_t ready = ds_load_acquire(&stall_cuda_ready);
    return ready != 0 && ds_fork_same_process(ready);
}

/* The consumer's device as CUDA numbers it in this process, -1: this thread has no context. */
int stall_current_device(void);

/* Around a wait: begin before its clock starts, end after its clock stopped. stream is the
 * consumer's current one, 0 the default stream. On return from stall_end() *stall is known, or the
 * events are under way (true) and will be handed to the slot by a later stall_collect(). record is
 * the index that the wait's record will have. */
void stall_begin(struct monitor_slot *slot, uint64_t stream, struct stall_mark *mark);
bool stall_end(struct monitor_slot *slot, uint64_t stream, struct stall_mark *mark,
               uint64_t wait_ns, uint64_t record, uint32_t stage, struct stall_bounds *stall);

/* Instead of both, of a wait that is taken to be short (record/quiet.h): true, and nothing is asked, where
 * the stream was empty at each of the last waits that were asked about, or had work throughout each of them.
 * stall_carried() then says of it what was true of them: all of it was exposed, or none; of one that was longer
 * than QUIET_WAIT_NS after all, at most all. Every 8th to 23rd wait is asked about, in no order: what is wrong where
 * the program's habits change is at most 22 waits of QUIET_WAIT_NS. Each time that one turns out to be different, twice as many have to
 * be alike before one is carried again, up to 64: so what a program does at each 64th step or more often is asked
 * about after some dozens of times, and of what it does less often all but one in 8 to 23 times is taken to be as
 * the others. */
bool stall_carries(struct monitor_slot *slot);
void stall_carried(const struct monitor_slot *slot, uint64_t wait_ns, struct stall_bounds *stall);

/* The same for a wait without a slot (making an iterator): nothing is read later, so a wait during
 * which the GPU ran out of work has an upper bound only. */
void stall_probe_begin(uint64_t stream, struct stall_mark *mark);
void stall_probe_end(struct stall_mark *mark, uint64_t wait_ns, struct stall_bounds *stall);

/* The calling thread's context; NULL: none, or nothing can be asked. */
void *stall_current_context(void);

/* Whether a stream of a context has work left, asked from a thread of ours that does nothing else: it
 * takes the context as its own and never captures. Only of the default stream, which no program can
 * capture: between asking whether another one is capturing and asking it for work, it may begin to. */
enum stall_peek { STALL_PEEK_BUSY, STALL_PEEK_EMPTY, STALL_PEEK_UNTOLD, STALL_PEEK_FAILED };
enum stall_peek stall_peek(void *context, uint64_t stream);
/* True once the program has work on streams of its own: an empty one does not say that the GPU idles. */
bool stall_has_side_streams(void);

/* Hands over what the GPU has reached. */
void stall_collect(struct monitor_slot *slot);

/* Says that the program has work on streams of its own: from now on every stall is an upper bound,
 * since such work does not keep the consumer's stream busy. */
void stall_note_side_stream(void);

/* The same for the slots of a monitor that are this thread's or nobody's, and writes it out: when the
 * recording ends. Their events are given back; nothing more is asked for these slots. */
void stall_finish(datastall_monitor *monitor);

/* How many waits of a slot have no known stall, by reason. */
uint64_t stall_unknown_count(const struct monitor_slot *slot, enum stall_unknown reason);

#endif
