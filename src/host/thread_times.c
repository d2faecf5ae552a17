/* SPDX-License-Identifier: Apache-2.0 */
#include "host/thread_times.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hot.h"
#include "host/host_file.h"

#define ONE_MOMENT_NS UINT64_C(100000)
#define MOST_READINGS 4
/* A thread that ran for all of a span but so much, and a part of it, is taken to have only run. */
#define NEARLY_NS UINT64_C(20000)
#define NEARLY_PART 256

int host_schedstat_open(void)
{
    return open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

uint64_t host_parse_schedstat(const char *text)
{
    const char *space = strchr(text, ' ');
    const uint64_t delay_ns = space == NULL ? HOST_UNKNOWN : host_number_of(space, "");
    return delay_ns == HOST_UNKNOWN ? 0 : delay_ns;
}

uint64_t host_delay_read(int schedstat)
{
    char text[96];
    const ssize_t length = schedstat < 0 ? -1 : pread(schedstat, text, sizeof text - 1, 0);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    return host_parse_schedstat(text);
}

static void read_the_rest(int schedstat, struct host_thread_times *times)
{
    times->process_cpu_ns = ds_clock_ns_of(CLOCK_PROCESS_CPUTIME_ID);
    /* Its first number is the CPU time as of the last switch only; hence the clock above. */
    times->delay_ns = host_delay_read(schedstat);
}

void host_thread_times_read(int schedstat, struct host_thread_times *times)
{
    times->cpu_ns = ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID);
    read_the_rest(schedstat, times);
}

/* CPU time of the programs that the process started and waited for: decoders that items are piped
 * through. They count when they end. */
static uint64_t children_cpu_ns(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_CHILDREN, &usage) != 0)
        return 0;
    const struct timeval *user = &usage.ru_utime, *system = &usage.ru_stime;
    return (uint64_t)(user->tv_sec + system->tv_sec) * DS_NS_PER_S +
           (uint64_t)(user->tv_usec + system->tv_usec) * 1000;
}

uint64_t host_moment_read(int schedstat, struct host_thread_times *times)
{
    uint64_t wall_ns = 0, least_ns = UINT64_MAX, before_ns = ds_now_ns();
    for (int i = 0; i < MOST_READINGS && least_ns >= ONE_MOMENT_NS; i++) {
        struct host_thread_times reading;
        host_thread_times_read(schedstat, &reading);
        reading.process_cpu_ns += children_cpu_ns();
        const uint64_t after_ns = ds_now_ns();
        if (after_ns - before_ns < least_ns) {
            least_ns = after_ns - before_ns;
            wall_ns = before_ns;
            *times = reading;
        }
        before_ns = after_ns;
    }
    return wall_ns;
}

DS_HOT static bool it_only_ran(uint64_t wall_ns, uint64_t cpu_ns)
{
    return wall_ns <= cpu_ns + NEARLY_NS + cpu_ns / NEARLY_PART;
}

DS_HOT bool host_moment_of_own(const struct host_moment *before, struct host_moment *moment)
{
    const uint64_t now_ns = ds_now_ns();
    const uint64_t own_ns = ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID) - before->times.cpu_ns;
    *moment = (struct host_moment){
        .wall_ns = now_ns,
        .times = {before->times.cpu_ns + own_ns, before->times.delay_ns,
                  before->times.process_cpu_ns + own_ns},
    };
    return ds_now_ns() - now_ns < ONE_MOMENT_NS;
}

DS_HOT void host_moment_since(int schedstat, const struct host_moment *before, uint64_t most_ns,
                              struct host_moment *moment)
{
    const uint64_t now_ns = ds_now_ns(), span_ns = now_ns - before->wall_ns;
    uint64_t own_ns = 0;
    if (span_ns <= most_ns)
        own_ns = ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID) - before->times.cpu_ns;
    moment->asked =
        span_ns > most_ns || !it_only_ran(span_ns, own_ns) || ds_now_ns() - now_ns >= ONE_MOMENT_NS;
    if (moment->asked) {
        moment->wall_ns = host_moment_read(schedstat, &moment->times);
        return;
    }
    moment->wall_ns = now_ns;
    moment->times =
        (struct host_thread_times){before->times.cpu_ns + own_ns, before->times.delay_ns,
                                   before->times.process_cpu_ns + own_ns};
}
