/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/sampling_loop.h"

#include "base/clock.h"

/* A last round completes the spans since the one before, where the driver answers fast enough to
 * wait for (a host waits 100 ms) and the spans are long enough to tell anything. */
#define QUICK_ROUND_NS (40 * 1000 * 1000ull)
#define LEAST_LAST_SPAN_NS (100 * 1000 * 1000ull)

struct loop {
    const struct gpu_vendor *vendor;
    const struct gpu_plan *plan;
    const struct gpu_port *port;
    struct gpu_library *library;
    uint32_t count;
    uint64_t wanted;   /* a bit for each device */
    uint64_t round_ns; /* what the last round took */
    uint64_t last_ns;  /* when it ended; 0: there was none */
    bool ended;        /* nobody listens any more */
};

static void tell(struct loop *loop, const struct gpu_message *message)
{
    if (!loop->ended)
        loop->ended = !loop->port->tell(loop->port->context, message);
}

static void tell_calling(struct loop *loop, uint32_t device)
{
    tell(loop,
         &(struct gpu_message){.kind = GPU_CALLING, .device = device, .time_ns = ds_now_ns()});
}

static void open_library(struct loop *loop)
{
    struct gpu_message opened = {.kind = GPU_OPENED};
    loop->port->enter(loop->port->context);
    opened.error = loop->vendor->open(&loop->library);
    if (opened.error == 0)
        loop->count = loop->vendor->count(loop->library);
    else
        loop->library = NULL;
    loop->port->leave(loop->port->context);
    if (loop->count > GPU_MAX_DEVICES)
        loop->count = GPU_MAX_DEVICES;
    opened.number = loop->count;
    tell(loop, &opened);
}

static void identify_all(struct loop *loop)
{
    for (uint32_t i = 0; i < loop->count && !loop->ended; i++) {
        struct gpu_message message = {.kind = GPU_IDENTITY, .device = i};
        if (loop->plan->skip & gpu_bit(i))
            continue;
        tell_calling(loop, i);
        loop->port->enter(loop->port->context);
        loop->vendor->identify(loop->library, i, &message.identity);
        loop->port->leave(loop->port->context);
        tell(loop, &message);
    }
    tell(loop, &(struct gpu_message){.kind = GPU_READY});
}

static void wait_for_go(struct loop *loop)
{
    struct gpu_message order;
    while (!loop->ended && !loop->port->wait(loop->port->context, UINT64_MAX, &order))
        ;
    if (!loop->ended && order.kind == GPU_GO)
        loop->wanted = order.number & ~loop->plan->skip;
}

static void sample_all(struct loop *loop)
{
    const uint64_t begin_ns = ds_now_ns();
    for (uint32_t i = 0; i < loop->count && !loop->ended; i++) {
        struct gpu_message message = {.kind = GPU_SAMPLE, .device = i};
        if (!(loop->wanted & gpu_bit(i)))
            continue;
        tell_calling(loop, i);
        message.sample = rf_gpu_nothing_read();
        loop->port->enter(loop->port->context);
        loop->vendor->sample(loop->library, i, &message.sample);
        loop->port->leave(loop->port->context);
        message.sample.time_ns = ds_now_ns();
        tell(loop, &message);
    }
    loop->last_ns = ds_now_ns();
    loop->round_ns = loop->last_ns - begin_ns;
}

static void sample_until_stopped(struct loop *loop)
{
    struct gpu_message order = {.kind = GPU_GO};
    const uint64_t interval_ns = loop->plan->interval_ns;
    uint64_t next = ds_now_ns();
    while (!loop->ended && order.kind != GPU_STOP) {
        sample_all(loop);
        next += interval_ns;
        const uint64_t now = ds_now_ns();
        if (next < now) /* a slow driver: skip what was missed instead of catching up */
            next = now + interval_ns - (now - next) % interval_ns;
        if (!loop->ended && !loop->port->wait(loop->port->context, next, &order))
            order.kind = GPU_GO;
    }
    if (loop->round_ns < QUICK_ROUND_NS && ds_now_ns() - loop->last_ns > LEAST_LAST_SPAN_NS)
        sample_all(loop);
}

void gpu_sampling_loop(const struct gpu_vendor *vendor, const struct gpu_plan *plan,
                       const struct gpu_port *port)
{
    struct loop loop = {.vendor = vendor, .plan = plan, .port = port};
    open_library(&loop);
    if (loop.library != NULL) {
        identify_all(&loop);
        wait_for_go(&loop);
        if (plan->interval_ns == 0)
            sample_all(&loop);
        else if (loop.wanted != 0)
            sample_until_stopped(&loop);
    }
    tell(&loop, &(struct gpu_message){.kind = GPU_ENDED});
    if (loop.library == NULL)
        return;
    port->enter(port->context);
    vendor->close(loop.library);
    port->leave(port->context);
}
