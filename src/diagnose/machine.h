/* SPDX-License-Identifier: Apache-2.0 */
/* A DataLoader as a machine: workers make batches, a loop takes them, all share CPUs. Given what each
 * batch costs, it says how long an epoch takes with any setting. Pure; docs/prediction.md has the model.
 *
 * Batch i is handed to worker i mod W when batch i - W * prefetch_factor was taken. A worker makes one
 * batch at a time, its items in turn blocked and running; it then goes on with the next while a thread
 * of it sends the batch. The loop consumes a batch, asks for the next, and takes messages off the
 * queue until that has come. Whoever runs is on one of the CPUs: beside k others there it goes at
 * 1 / (k + 1); who wakes takes an idle CPU, else the one with the fewest; an idle one takes over.
 */
#ifndef DATASTALL_DIAGNOSE_MACHINE_H
#define DATASTALL_DIAGNOSE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_WORKERS 64u
#define MACHINE_WINDOW 1024u /* batches under way: workers * prefetch_factor, at most */
#define MACHINE_CPUS 256u

/* Of one batch, in nanoseconds, on CPUs that nobody else uses. */
struct machine_batch {
    float blocked, running; /* its items: waiting for something, computing */
    float collate, collate_blocked;
    float delayed;                         /* waited for a CPU: counts as far as delay_times says */
    float consumed_running, consumed_else; /* the loop's own work with it: on a CPU, and not */
};

/* What does not depend on the batch; nanoseconds, but for the CPUs. */
struct machine_costs {
    double cpus;            /* for all of them together */
    double speed;           /* of each of them: 1, as when it was recorded */
    double gap;             /* of a worker between two batches, running */
    double send, latency;   /* of a batch: pickled by a thread of the worker; on its way, waiting */
    double get, tail, pin;  /* in the loop: taken off the queue, the rest; in the pin thread */
    double index;           /* of an index on its way to a worker that waits for it, waiting */
    double overhead;        /* of a batch that the loop makes itself, beside making it */
    double iter, iter_each; /* of making an iterator with new workers, and each of them, running */
    double boot;            /* from a worker's fork to its first index, running */
    double open; /* of what a stream does when an iterator begins; of new workers it is in `boot` */
    double first_send;                   /* more of the first batch of each worker */
    double first_running, first_blocked; /* more of the items of each worker's first batch */
    double
        last_step; /* more of what the loop does with an epoch's last batch (it validates), waiting */
    double end, end_each;     /* of ending an iterator; of each worker, side by side on the CPUs */
    double again, again_each; /* of an iterator whose workers are there: each is woken */
    double again_end;
    double parallel; /* threads that compute for an item, at least 1 */
    double
        slice; /* those on a CPU take turns of so long, see machine_cpus.h; 0: they share it evenly */
};

struct machine_setting {
    uint32_t workers, prefetch_factor;
    bool in_order, persistent;
};

/* So many epochs of so many batches, taken from `batches` in their order and round again. */
struct machine_load {
    const struct machine_batch *batches;
    uint32_t count;
    uint64_t epochs, epoch_batches;
    uint32_t pieces; /* of a batch's items, each blocked and then running; 1 to 64 */
    float running_times, blocked_times, collate_times,
        delay_times;     /* what of them is to be multiplied by */
    float collate_more;  /* ns of running that a collation takes more */
    float consumed_less; /* so much less of what the loop does with a batch, beside running */
    bool anew; /* what first batches cost more, a loop that loads itself pays in every epoch */
};

/* What all of it takes, nanoseconds: from the first iter() on; of that waiting; CPU time of all; in the
 * first iter(), and in the wait for the very first batch. */
struct machine_result {
    double time, waited, running, first_iter, first_wait;
};

/* Simulates at most `most` batches: of longer loads the rest goes on as the second half of those.
 * False: the setting is larger than the machine can be. */
bool machine_run(const struct machine_costs *costs, const struct machine_setting *setting,
                 const struct machine_load *load, uint32_t most, struct machine_result *result);

#endif
