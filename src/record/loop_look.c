/* SPDX-License-Identifier: Apache-2.0 */
#include "record/loop_look.h"

#include <math.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sums.h"

/* Less than 1 % of the loop's time. */
#define LOOK_EVERY_NS UINT64_C(200000)
/* Where short waits are expected: cold caches make a look some 10 us, in vain. */
#define QUIET_EVERY_NS (DS_NS_PER_S / 10)
/* At most 0.4 ms, where there are 128 threads. */
#define OTHERS_EVERY_NS (DS_NS_PER_S / 2)
/* Of less nothing follows. */
#define OTHERS_LEAST_NS UINT64_C(1000000)
#define OTHERS_MOST 1e4 /* what no crowd makes */

void loop_look_begin(struct loop_look *look, uint64_t now_ns, bool expects_short)
{
    const bool seldom = expects_short && !look->was_long;
    look->looking = now_ns - look->looked_ns >= (seldom ? QUIET_EVERY_NS : LOOK_EVERY_NS);
    if (!look->looking)
        return;
    const uint64_t thread = (uint64_t)syscall(SYS_gettid);
    look->looked_ns = now_ns;
    if (look->thread != thread) {
        loop_look_close(look);
        look->schedstat = host_schedstat_open();
        look->thread = thread;
        look->others = (struct host_other_threads){0, 0};
        look->others_busy = 0;
    }
    host_thread_times_read(look->schedstat, &look->begin);
}

/* Whoever has the interpreter may wait for a CPU itself, and for longer than the mean thread of the
 * machine: schedulers serve sessions and groups in turn, and a process may be one of many in its own. */
static void look_at_others(struct loop_look *look, uint64_t now_ns)
{
    const struct host_other_threads before = look->others;
    look->others_next_ns = now_ns + OTHERS_EVERY_NS;
    look->others_busy = 0;
    look->others = (struct host_other_threads){0, 0};
    if (!host_other_threads_read("", look->thread, &look->others))
        return;
    /* Less than before: one ended. */
    const uint64_t ran_ns = ds_subtract(look->others.cpu_ns, before.cpu_ns);
    const uint64_t waited_ns = ds_subtract(look->others.delay_ns, before.delay_ns);
    if (ran_ns >= OTHERS_LEAST_NS && look->others.delay_ns >= before.delay_ns)
        look->others_busy = fmin(1 + (double)waited_ns / (double)ran_ns, OTHERS_MOST);
}

void loop_look_end(struct loop_look *look, uint64_t now_ns, uint64_t wait_ns,
                   struct cause_loop *loop)
{
    struct host_thread_times end;
    host_thread_times_read(look->schedstat, &end);
    const struct host_thread_times *begin = &look->begin;
    loop->cpu_ns = ds_subtract(end.cpu_ns, begin->cpu_ns);
    loop->delay_ns = ds_subtract(end.delay_ns, begin->delay_ns);
    loop->others_cpu_ns =
        ds_subtract(ds_subtract(end.process_cpu_ns, begin->process_cpu_ns), loop->cpu_ns);
    if (wait_ns < CAUSE_INTERPRETER_TURN_NS || !cause_is_crowded(loop))
        return;
    if (now_ns >= look->others_next_ns)
        look_at_others(look, now_ns);
    loop->others_busy = look->others_busy;
}

void loop_look_close(struct loop_look *look)
{
    if (look->schedstat >= 0)
        close(look->schedstat);
    look->schedstat = -1;
}
