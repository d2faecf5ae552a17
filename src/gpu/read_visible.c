/* SPDX-License-Identifier: Apache-2.0 */
/* One look at the devices that a process sees. */
#include <stdlib.h>

#include "base/clock.h"
#include "gpu/sampler.h"
#include "gpu/sampler_process.h"
#include "gpu/sampling_loop.h"
#include "gpu/visible.h"

#define PATIENCE_MS 20000 /* for the next word; a driver without persistence mode takes seconds */

struct look {
    uint32_t count;
    bool greeted, ended;
    struct rf_gpu_static devices[GPU_MAX_DEVICES];
    struct rf_gpu_sample samples[GPU_MAX_DEVICES];
};

static bool take(void *context, const struct gpu_message *message)
{
    struct look *look = context;
    look->greeted |= message->kind == GPU_HELLO;
    look->ended |= message->kind == GPU_ENDED;
    if (message->kind == GPU_OPENED)
        look->count =
            message->number < GPU_MAX_DEVICES ? (uint32_t)message->number : GPU_MAX_DEVICES;
    else if (message->kind == GPU_IDENTITY)
        look->devices[message->device] = message->identity;
    else if (message->kind == GPU_SAMPLE)
        look->samples[message->device] = message->sample;
    return true;
}

static bool go_at_once(void *context, uint64_t time_ns, struct gpu_message *order)
{
    (void)context;
    (void)time_ns;
    *order = (struct gpu_message){.kind = GPU_GO, .number = UINT64_MAX};
    return true;
}

static void enter(void *context)
{
    (void)context;
    gpu_library_enter();
}

static void leave(void *context)
{
    (void)context;
    gpu_library_leave();
}

/* False: there was nobody to ask. */
static bool look_by_process(const char *program, char *const *environment,
                            const struct gpu_plan *plan, struct look *look)
{
    struct gpu_process process;
    struct gpu_message message;
    if (gpu_process_start(program, environment, plan, &process) != 0)
        return false;
    /* Waits in the socket until the process asks. */
    gpu_process_send(&process, &(struct gpu_message){.kind = GPU_GO, .number = UINT64_MAX});
    while (!look->ended && gpu_process_receive(&process, PATIENCE_MS, &message) == GPU_RECEIVED)
        take(look, &message);
    gpu_process_close(&process);
    return look->greeted;
}

uint32_t gpu_read_visible(const struct gpu_vendor *vendor, const char *program,
                          char *const *environment, const char *visible, const char *order,
                          struct rf_gpu_sample *samples, uint32_t capacity)
{
    static const struct gpu_plan plan = {.interval_ns = 0};
    struct look *look = calloc(1, sizeof *look);
    uint32_t map[GPU_MAX_DEVICES];
    if (look == NULL)
        return 0;
    for (uint32_t i = 0; i < GPU_MAX_DEVICES; i++)
        look->samples[i] = rf_gpu_nothing_read();
    if (program == NULL || !look_by_process(program, environment, &plan, look)) {
        const struct gpu_port port = {look, take, go_at_once, enter, leave};
        gpu_sampling_loop(vendor, &plan, &port);
    }
    const uint32_t shown = gpu_ordinal_map(visible, order, look->devices, look->count, map,
                                           capacity < GPU_MAX_DEVICES ? capacity : GPU_MAX_DEVICES);
    for (uint32_t i = 0; i < shown; i++)
        samples[i] = look->samples[map[i]];
    free(look);
    return shown;
}
