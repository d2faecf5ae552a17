/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/replay.h"

#include <string.h>

void replay_start(struct replay *replay, uint32_t window)
{
    memset(replay, 0, sizeof *replay);
    replay->window = window < 1 ? 1 : window > REPLAY_WINDOW ? REPLAY_WINDOW : window;
}

uint64_t replay_batch(struct replay *replay, uint32_t worker, uint64_t service_ns,
                      uint64_t consumer_ns)
{
    uint64_t *place = &replay->window_ns[replay->batches % replay->window];
    uint64_t *finished = &replay->finished_ns[worker % REPLAY_WORKERS];
    const uint64_t dispatched = *place; /* 0 in the first window */
    const uint64_t asked = replay->taken_ns + consumer_ns;
    *finished = (*finished > dispatched ? *finished : dispatched) + service_ns;
    replay->taken_ns = asked > *finished ? asked : *finished;
    *place = replay->taken_ns;
    replay->batches++;
    return replay->taken_ns - asked;
}
