/* SPDX-License-Identifier: Apache-2.0 */
#include "record/loop_look.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sums.h"

/* Less than 1 % of the loop's time. */
#define LOOK_EVERY_NS UINT64_C(200000)
/* After so many short waits in a row another one is taken to be short: cold caches make a look some
 * 10 us, in vain. */
#define QUIET_WAITS 64u
#define QUIET_EVERY_NS (20 * DS_NS_PER_S / 1000)

void loop_look_begin(struct loop_look *look, uint64_t now_ns, bool is_ready)
{
    const bool quiet = is_ready && look->quiet == QUIET_WAITS;
    look->looking = now_ns - look->looked_ns >= (quiet ? QUIET_EVERY_NS : LOOK_EVERY_NS);
    if (!look->looking)
        return;
    const uint64_t thread = (uint64_t)syscall(SYS_gettid);
    look->looked_ns = now_ns;
    if (look->thread != thread) {
        loop_look_close(look);
        look->schedstat = host_schedstat_open();
        look->thread = thread;
    }
    host_thread_times_read(look->schedstat, &look->begin);
}

void loop_look_end(const struct loop_look *look, struct cause_loop *loop)
{
    struct host_thread_times end;
    host_thread_times_read(look->schedstat, &end);
    const struct host_thread_times *begin = &look->begin;
    loop->cpu_ns = ds_subtract(end.cpu_ns, begin->cpu_ns);
    loop->delay_ns = ds_subtract(end.delay_ns, begin->delay_ns);
    loop->others_cpu_ns =
        ds_subtract(ds_subtract(end.process_cpu_ns, begin->process_cpu_ns), loop->cpu_ns);
}

void loop_look_note(struct loop_look *look, bool was_long)
{
    if (was_long)
        look->quiet = 0;
    else if (look->quiet < QUIET_WAITS)
        look->quiet++;
}

void loop_look_close(struct loop_look *look)
{
    if (look->schedstat >= 0)
        close(look->schedstat);
    look->schedstat = -1;
}
