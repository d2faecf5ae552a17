/* SPDX-License-Identifier: Apache-2.0 */
/* A run in memory, as run_data_read() would have it, and what it means: for tests of diagnose that
 * have no need of a file. */
#ifndef DATASTALL_TESTS_WORLD_H
#define DATASTALL_TESTS_WORLD_H

#include "diagnose/summary.h"

#define S UINT64_C(1000000000)
#define MS (S / 1000)
#define NEAR 1e-9

#define WORLD_PROCESSES 3
#define WORLD_GPUS 2    /* whose numbers are world_uuids[] */
#define WORLD_SAMPLES 4 /* of each device */
#define WORLD_WORKERS 4 /* all of the first process */

struct world {
    struct run_data data;
    struct run_process processes[WORLD_PROCESSES];
    struct run_loader loaders[WORLD_PROCESSES];
    struct rf_worker_view workers[WORLD_WORKERS];
    struct rf_gpu_view gpus[WORLD_GPUS];
    uint64_t samples[WORLD_GPUS][WORLD_SAMPLES * RF_GPU_SAMPLE_WORDS];
};
extern struct world world;
extern const unsigned char world_uuids[WORLD_GPUS][16];

/* Processes that ended by themselves, of ranks 0, 1 ..., with a loader each that waited for nothing
 * yet; no GPU, no launcher. */
void begin_world(uint32_t processes);

/* What process i waited in its window of [begin, end), all times in nanoseconds. */
void set_wait(uint32_t i, uint64_t begin_ns, uint64_t end_ns, uint64_t wait_ns);

/* What events told of it, on a device. */
void set_stall(uint32_t i, uint32_t gpu, uint64_t known_ns, uint64_t lower_ns, uint64_t upper_ns);

/* A device that was busy for a share of [begin, end), in one sample. */
void set_gpu(uint32_t g, enum rf_activity_source source, uint64_t begin_ns, uint64_t end_ns,
             double busy);
/* One more sample of it. */
void add_sample(uint32_t g, uint64_t begin_ns, uint64_t end_ns, double busy);

/* The CPUs that the first process may use, in thousandths, and of those idle on average; RF_UNKNOWN:
 * not told. */
void set_cpus(uint64_t usable_milli, uint64_t idle_milli);

/* A worker of the first process's loader; its totals are those of none. */
struct rf_worker_view *add_worker(void);

/* One more second of a history, at every level that it has. */
void add_second(struct run_history *history, uint64_t second, const struct run_span *span);

/* `datastall run` around the processes, in a state of its file and of its process. */
void set_launcher(enum rf_process_state state, enum rf_liveness liveness);

/* Equal, or both unknown. */
void assert_figure(double value, double wanted);

/* To be freed with summary_free(). Ends the test where there is none. */
struct summary *made(uint64_t now_ns);

#endif
