/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the GPU has something to do while a step is in a phase: a thread of ours asks, at random
 * moments, some hundred times a second, whether the stream of each followed thread has work left. The
 * share of "no" among the answers in a phase is the share of its time for which the GPU starved there.
 *
 * The thread that trains does nothing for it but to say where its work goes. Nothing is recorded into
 * a stream, no event is made, nothing is synchronised. The thread takes no signals; it is there from
 * the first step that uses CUDA to the end of the recording, or of the process.
 */
#ifndef DATASTALL_GPU_PROBE_H
#define DATASTALL_GPU_PROBE_H

#include "record/steps.h"

/* The calling thread's steps put their work into this stream of this context, from now on. Starts
 * asking at the first call. Cheap where nothing changed. */
void probe_follow(struct steps *steps, void *context, uint64_t stream);

/* Called by the asking thread now and then, after it was told: empty, the GPU had nothing to do. For
 * what can see which line of the program a thread is at. NULL: nobody. */
typedef void probe_look(struct steps *steps, uint64_t interval, bool empty);
void probe_set_look(probe_look *look);

/* One round of questions; look: and of looks. What the thread does; tests call it themselves. */
void probe_ask(bool look);

/* Ends asking about the monitor's threads, and waits for the asking thread's end (some seconds at
 * most): it may be in a look, which the caller must let it end. */
void probe_stop(const datastall_monitor *monitor);

/* For tests: rounds so far, and no thread: they ask themselves. */
uint64_t probe_rounds(void);
void probe_by_hand(void);

#endif
