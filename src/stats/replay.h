/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded run of a loader once more, with another prefetch window.
 *
 * With W workers and a window of so many batches under way (prefetch_factor * W), batch i is handed
 * out when batch i - window was taken, is begun when its worker is free, and is taken in order:
 *
 *   dispatch D_i = Y_(i - window); start S_i = max(F_(previous of its worker), D_i);
 *   finish F_i = S_i + service_i;  request Q_i = Y_(i-1) + consumer_i;  Y_i = max(Q_i, F_i)
 *
 * and the wait is Y_i - Q_i. Service times stay as they were measured: that they depend on how many
 * workers run at once is not modelled. Constant memory, constant time per batch.
 */
#ifndef DATASTALL_STATS_REPLAY_H
#define DATASTALL_STATS_REPLAY_H

#include <stdint.h>

#define REPLAY_WORKERS 64u
#define REPLAY_WINDOW 1024u

struct replay {
    uint32_t window; /* 1 .. REPLAY_WINDOW */
    uint64_t batches;
    uint64_t taken_ns;                    /* Y of the last batch */
    uint64_t finished_ns[REPLAY_WORKERS]; /* F of each worker's last batch */
    uint64_t window_ns[REPLAY_WINDOW];    /* Y of the last `window` batches */
};

void replay_start(struct replay *replay, uint32_t window);

/* The next batch: made by `worker` in service_ns, asked for consumer_ns after the one before it was
 * taken. Returns its wait. */
uint64_t replay_batch(struct replay *replay, uint32_t worker, uint64_t service_ns,
                      uint64_t consumer_ns);

#endif
