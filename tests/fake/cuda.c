/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for libcuda.so.1 with a GPU that is a clock: work keeps a stream busy for so many
 * nanoseconds of real time, and two devices. Only what src/gpu uses, and knobs for its tests:
 *
 *   fake_cuda_work(stream, ns)        queues work
 *   fake_cuda_advance(ns)             the GPU's clock stands but for this, from the first call on:
 *                                     tests that are right however busy the machine is
 *   fake_cuda_context(n)              the thread's context from now on, 0: none
 *   fake_cuda_capture(1)              streams capture a graph; 2: one that the default stream waits for
 *   fake_cuda_fail("cuEventRecord")   that function fails from now on, NULL: none
 *   fake_cuda_calls()                 calls of any function so far
 *   fake_cuda_live_events()           events made and not destroyed
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STREAMS 8
#define SUCCESS 0
#define FAILURE 700
#define NOT_READY 600
#define CAPTURE_IMPLICIT 906

#define EVENTS 4096

/* In a place of their own: a context that goes takes its events with it, and nobody frees them. */
static struct event {
    uint64_t reached_ns; /* when the GPU comes to it */
} events[EVENTS];
static int made, destroyed;

static uint64_t busy_until_ns[STREAMS];
static __thread uintptr_t context = 1;
static int capturing, mode;
static const char *failing;
static int calls;

static uint64_t stands_at_ns; /* 0: real time */

static uint64_t now_ns(void)
{
    if (stands_at_ns != 0)
        return stands_at_ns;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int enter(const char *name)
{
    calls++;
    return failing != NULL && strcmp(failing, name) == 0 ? FAILURE : SUCCESS;
}

static uint64_t *queue_of(void *stream)
{
    return &busy_until_ns[(uintptr_t)stream % STREAMS];
}

void fake_cuda_work(void *stream, uint64_t ns);
void fake_cuda_advance(uint64_t ns);
void fake_cuda_context(uintptr_t number);
void fake_cuda_capture(int on);
void fake_cuda_fail(const char *function);
int fake_cuda_calls(void);
int fake_cuda_mode(void);
int fake_cuda_live_events(void);

void fake_cuda_work(void *stream, uint64_t ns)
{
    uint64_t *until = queue_of(stream), now = now_ns();
    *until = (*until > now ? *until : now) + ns;
}

void fake_cuda_advance(uint64_t ns)
{
    stands_at_ns = now_ns() + ns;
}

void fake_cuda_context(uintptr_t number)
{
    context = number;
}

void fake_cuda_capture(int on)
{
    capturing = on;
}

void fake_cuda_fail(const char *function)
{
    failing = function;
}

int fake_cuda_calls(void)
{
    return calls;
}

int fake_cuda_mode(void)
{
    return mode;
}

int cuDeviceGetCount(int *count);
int cuDeviceGet(int *device, int ordinal);
int cuCtxGetCurrent(void **current);
int cuCtxSetCurrent(void *current);
int cuCtxGetDevice(int *device);
int cuDeviceGetUuid_v2(unsigned char *uuid, int device);
int cuThreadExchangeStreamCaptureMode(int *other);
int cuStreamIsCapturing(void *stream, int *status);
int cuStreamQuery(void *stream);
int cuEventCreate(void **event, unsigned flags);
int cuEventDestroy_v2(void *event);
int cuEventRecord(void *event, void *stream);
int cuEventQuery(void *event);
int cuEventElapsedTime(float *ms, void *first, void *second);

int cuDeviceGetCount(int *count)
{
    *count = 2;
    return enter("cuDeviceGetCount");
}

int cuDeviceGet(int *device, int ordinal)
{
    *device = ordinal;
    return enter("cuDeviceGet");
}

int cuCtxGetCurrent(void **current)
{
    *current = (void *)context;
    return enter("cuCtxGetCurrent");
}

int cuCtxSetCurrent(void *current)
{
    context = (uintptr_t)current;
    return enter("cuCtxSetCurrent");
}

int cuCtxGetDevice(int *device)
{
    *device = (int)context - 1;
    return enter("cuCtxGetDevice");
}

int cuDeviceGetUuid_v2(unsigned char *uuid, int device)
{
    memset(uuid, 0xa0 + device, 16);
    return enter("cuDeviceGetUuid_v2");
}

int cuThreadExchangeStreamCaptureMode(int *other)
{
    int before = mode;
    mode = *other;
    *other = before;
    return enter("cuThreadExchangeStreamCaptureMode");
}

int cuStreamIsCapturing(void *stream, int *status)
{
    (void)stream;
    if (capturing == 2 && stream == NULL)
        return CAPTURE_IMPLICIT;
    *status = capturing == 1;
    return enter("cuStreamIsCapturing");
}

/* What would spoil a capture aborts: the code must not get so far. */
static void spoil(void)
{
    if (capturing)
        abort();
}

int cuStreamQuery(void *stream)
{
    spoil();
    int result = enter("cuStreamQuery");
    return result != SUCCESS ? result : *queue_of(stream) > now_ns() ? NOT_READY : SUCCESS;
}

int cuEventCreate(void **event, unsigned flags)
{
    (void)flags;
    *event = &events[made++ % EVENTS];
    return enter("cuEventCreate");
}

int cuEventDestroy_v2(void *event)
{
    (void)event;
    destroyed++;
    return enter("cuEventDestroy_v2");
}

int fake_cuda_live_events(void)
{
    return made - destroyed;
}

int cuEventRecord(void *event, void *stream)
{
    spoil();
    uint64_t until = *queue_of(stream), now = now_ns();
    ((struct event *)event)->reached_ns = until > now ? until : now;
    return enter("cuEventRecord");
}

int cuEventQuery(void *event)
{
    spoil();
    int result = enter("cuEventQuery");
    if (result != SUCCESS)
        return result;
    return ((struct event *)event)->reached_ns > now_ns() ? NOT_READY : SUCCESS;
}

int cuEventElapsedTime(float *ms, void *first, void *second)
{
    int64_t distance =
        (int64_t)(((struct event *)second)->reached_ns - ((struct event *)first)->reached_ns);
    *ms = (float)((double)distance * 1e-6);
    return enter("cuEventElapsedTime");
}
