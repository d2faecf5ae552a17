/* SPDX-License-Identifier: Apache-2.0 */
/* What the calling thread did so far, by the kernel's books: ran on a CPU, waited for one. The rest
 * of the time it was blocked: storage, sockets, sleep, locks. */
#ifndef DATASTALL_HOST_THREAD_TIMES_H
#define DATASTALL_HOST_THREAD_TIMES_H

#include <stdbool.h>
#include <stdint.h>

struct host_thread_times {
    uint64_t cpu_ns;   /* CLOCK_THREAD_CPUTIME_ID */
    uint64_t delay_ns; /* runnable and waiting for a CPU; 0 where the kernel does not tell */
    /* Of all threads of its process: CLOCK_PROCESS_CPUTIME_ID; of a moment also of the programs that
     * it started and waited for. */
    uint64_t process_cpu_ns;
};

/* Opens /proc/thread-self/schedstat for the calling thread, -1 where there is none. The descriptor
 * tells of this thread, whichever reads it: open it anew after a fork. */
int host_schedstat_open(void);

/* The second of them alone: one system call. 0 where the kernel does not tell. */
uint64_t host_delay_read(int schedstat);

/* Three system calls, some 0.6 us together; none blocks. */
void host_thread_times_read(int schedstat, struct host_thread_times *times);

/* The times and, returned, the wall clock (ds_now_ns()) of one moment. A thread that is put aside
 * between two clocks (a CPU quota does so at the return from a system call) has waited for longer
 * than the wall clock says: then they are read again. They are less than 0.1 ms apart, or the nearest
 * of four readings. */
uint64_t host_moment_read(int schedstat, struct host_thread_times *times);

/* A moment of a thread, for host_moment_since(). */
struct host_moment {
    uint64_t wall_ns;
    struct host_thread_times times;
    bool asked; /* all of it; else it is derived */
};

/* The same as a moment after another. A thread that ran for all of the time between but 20 us and a 256th
 * can have waited for no more: the delay is then taken to be as it was, and what it ran itself all that
 * its process ran. That is one system call in place of three. Not where the time between is longer than
 * most_ns: others of the process may have run beside it. */
void host_moment_since(int schedstat, const struct host_moment *before, uint64_t most_ns,
                       struct host_moment *moment);

/* The same of a thread of which nothing but its own CPU time is asked: it may have waited in between, and
 * what for is not known. False: it was put aside just now, so the two clocks are not of one moment. */
bool host_moment_of_own(const struct host_moment *before, struct host_moment *moment);

/* The second number of "cpu_ns delay_ns slices"; 0 when there is none. */
uint64_t host_parse_schedstat(const char *text);

#endif
