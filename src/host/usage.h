/* SPDX-License-Identifier: Apache-2.0 */
/* What the process and the machine did meanwhile: bytes asked for and really read, major faults,
 * CPU and I/O pressure (PSI), shared memory. */
#ifndef DATASTALL_HOST_USAGE_H
#define DATASTALL_HOST_USAGE_H

#include "host/host_file.h"

/* Of one process, since its start; HOST_UNKNOWN where not told. */
struct host_process_io {
    uint64_t asked_bytes;   /* rchar: given to read() and the like, from the page cache or not */
    uint64_t storage_bytes; /* read_bytes: fetched from storage */
    uint64_t major_faults;  /* that had to read from storage */
};
void host_process_io_read(const char *root, struct host_process_io *io);

/* Pressure stall information: how long tasks of the machine waited, since boot. "some": at least
 * one task; microseconds. HOST_UNKNOWN where the kernel does not tell. */
struct host_pressure {
    uint64_t cpu_some_us, io_some_us, io_full_us;
};
void host_pressure_read(const char *root, struct host_pressure *pressure);

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234": the total of a line; HOST_UNKNOWN. */
uint64_t host_parse_pressure(const char *text, const char *kind);

/* Time for which the CPUs that the calling thread may use were idle since boot, all together;
 * HOST_UNKNOWN where the kernel does not tell. text: memory to read /proc/stat into. */
uint64_t host_idle_read(const char *root, char *text, size_t size);

/* Threads of the machine that run or wait for a CPU, the one that asks among them; HOST_UNKNOWN. Of what
 * host_idle_read() read into its text. */
uint64_t host_runnable_of(const char *text);

/* /dev/shm, where batches of worker processes travel. */
struct host_shared_memory {
    uint64_t size_bytes, used_bytes;
};
void host_shared_memory_read(const char *root, struct host_shared_memory *memory);

#endif
