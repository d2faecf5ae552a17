/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/stall.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hot.h"
#include "record/causes.h"

/* The driver API as far as it is used; values from cuda.h, whose ABI is stable. */
typedef int cu_result;
typedef void *cu_context;
typedef void *cu_stream;
typedef void *cu_event;
typedef int cu_device;
#define CU_SUCCESS 0
#define CU_NOT_READY 600
#define CU_CAPTURE_MODE_THREAD_LOCAL 1
#define CU_CAPTURE_STATUS_NONE 0
#define CU_EVENT_DEFAULT 0

#define POOL_PAIRS 16u
/* Answers that were alike before one is taken for granted: so many, and twice as many each time that one was
 * not like those after all. What a program does at each so manieth step is found out so. */
#define ALIKE 8u
#define MOST_ALIKE 64u
/* The second event is recorded some microseconds after the clock stopped; more than this between
 * the events than in the wait means that something else was in the stream. */
#define TOLERANCE_NS UINT64_C(50000)

enum { MARK_UNKNOWN, MARK_IDLE, MARK_QUEUED };

static struct {
    uint64_t side_streams; /* 1: the program uses streams of its own */
    cu_result (*get_context)(cu_context *);
    cu_result (*get_device)(cu_device *);
    cu_result (*get_uuid)(unsigned char *, cu_device);
    cu_result (*exchange_mode)(int *);
    cu_result (*is_capturing)(cu_stream, int *);
    cu_result (*query_stream)(cu_stream);
    cu_result (*create_event)(cu_event *, unsigned);
    cu_result (*destroy_event)(cu_event);
    cu_result (*record_event)(cu_event, cu_stream);
    cu_result (*query_event)(cu_event);
    cu_result (*elapsed_ms)(float *, cu_event, cu_event);
    cu_result (*set_context)(cu_context); /* NULL: stall_peek() tells nothing */
} cuda;
/* The fork generation in which all was found, 0: not yet. */
uint64_t stall_cuda_ready DS_HOT_DATA;

struct pending_stall {
    uint32_t pair;
    bool bound;
    uint32_t stage;
    uint64_t record, wait_ns;
};

/* Belongs to a slot, and so to one thread at a time. */
struct stall_queue {
    cu_context context; /* whose events these are */
    bool failed;        /* a call in this context failed: no more are made */
    bool has_events;
    uint64_t unknown[STALL_REASONS];
    cu_event first[POOL_PAIRS], second[POOL_PAIRS];
    bool in_use[POOL_PAIRS];
    uint32_t alike; /* the answer to the last question: MARK_IDLE, or MARK_QUEUED all along */
    uint32_t alike_in_row; /* so many were; 0: the last told something else */
    uint32_t alike_needed; /* before one is taken for granted */
    struct quiet_turns turns;
    bool bound; /* at the last question */
    uint32_t count;
    struct pending_stall pending[POOL_PAIRS]; /* in the order of their waits */
};

bool stall_enable(void)
{
    static const struct {
        void *place;
        const char *name, *older;
    } functions[] = {
        {&cuda.get_context, "cuCtxGetCurrent", NULL},
        {&cuda.get_device, "cuCtxGetDevice", NULL},
        {&cuda.get_uuid, "cuDeviceGetUuid_v2", "cuDeviceGetUuid"},
        {&cuda.exchange_mode, "cuThreadExchangeStreamCaptureMode", NULL},
        {&cuda.is_capturing, "cuStreamIsCapturing", NULL},
        {&cuda.query_stream, "cuStreamQuery", NULL},
        {&cuda.create_event, "cuEventCreate", NULL},
        {&cuda.destroy_event, "cuEventDestroy_v2", "cuEventDestroy"},
        {&cuda.record_event, "cuEventRecord", NULL},
        {&cuda.query_event, "cuEventQuery", NULL},
        {&cuda.elapsed_ms, "cuEventElapsedTime", NULL},
    };
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    if (stall_is_enabled())
        return true;
    if (ds_load_acquire(&stall_cuda_ready) != 0)
        return false; /* a forked child */
    /* A fork in between costs the child its stalls, not more: it does not wait for the mutex. */
    if (pthread_mutex_trylock(&mutex) != 0)
        return false;
    /* The handle is kept: the functions must stay where they are. */
    void *library = dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_NOW);
    bool found = library != NULL;
    for (size_t i = 0; found && i < sizeof functions / sizeof *functions; i++) {
        void *symbol = dlsym(library, functions[i].name);
        if (symbol == NULL && functions[i].older != NULL)
            symbol = dlsym(library, functions[i].older);
        memcpy(functions[i].place, &symbol, sizeof symbol);
        found = symbol != NULL;
    }
    if (found) {
        void *symbol = dlsym(library, "cuCtxSetCurrent");
        memcpy(&cuda.set_context, &symbol, sizeof symbol);
        ds_store_release(&stall_cuda_ready, ds_fork_generation());
    }
    pthread_mutex_unlock(&mutex);
    return found;
}

void stall_note_side_stream(void)
{
    ds_store(&cuda.side_streams, 1);
}

/* Whether other work than the consumer's own may keep the GPU busy: another stream, another thread.
 */
static bool is_bound(uint64_t stream)
{
    return stream != 0 || ds_load(&cuda.side_streams) != 0 || syscall(SYS_gettid) != getpid();
}

int stall_current_device(void)
{
    cu_context context = NULL;
    cu_device device = -1;
    if (!stall_is_enabled() || cuda.get_context(&context) != CU_SUCCESS || context == NULL ||
        cuda.get_device(&device) != CU_SUCCESS)
        return -1;
    return device;
}

/* ---- from a thread of ours ---- */

void *stall_current_context(void)
{
    cu_context context = NULL;
    return stall_is_enabled() && cuda.get_context(&context) == CU_SUCCESS ? context : NULL;
}

bool stall_has_side_streams(void)
{
    return ds_load(&cuda.side_streams) != 0;
}

/* The context that this thread was given, and whether its captures are its own affair. */
static _Thread_local cu_context peeking;
static _Thread_local bool peeks_alone;

static bool enter_context(cu_context context)
{
    int mode = CU_CAPTURE_MODE_THREAD_LOCAL;
    if (!peeks_alone && cuda.exchange_mode(&mode) != CU_SUCCESS)
        return false;
    peeks_alone = true; /* for good: this thread does nothing else */
    if (peeking == context)
        return true;
    peeking = NULL;
    if (cuda.set_context(context) != CU_SUCCESS)
        return false;
    peeking = context;
    return true;
}

enum stall_peek stall_peek(void *context, uint64_t stream)
{
    int status = CU_CAPTURE_STATUS_NONE;
    if (stream != 0 || context == NULL || !stall_is_enabled() || cuda.set_context == NULL)
        return STALL_PEEK_UNTOLD;
    if (!enter_context(context))
        return STALL_PEEK_FAILED;
    /* An error: another stream, for which the default one waits, captures. It may do so again, just
     * after this question. */
    if (cuda.is_capturing(NULL, &status) != CU_SUCCESS)
        return STALL_PEEK_FAILED;
    if (status != CU_CAPTURE_STATUS_NONE)
        return STALL_PEEK_UNTOLD;
    const cu_result result = cuda.query_stream(NULL);
    return result == CU_SUCCESS     ? STALL_PEEK_EMPTY
           : result == CU_NOT_READY ? STALL_PEEK_BUSY
                                    : STALL_PEEK_FAILED;
}

/* ---- the queue of a slot ---- */

static void give_up(struct stall_queue *queue, enum stall_unknown reason)
{
    queue->unknown[reason]++;
}

/* What is under way in a context that went away stays unknown. The events went with it. */
static void change_context(struct monitor_slot *slot, struct stall_queue *queue, cu_context context)
{
    queue->unknown[STALL_FAILED] += queue->count;
    queue->count = 0;
    memset(queue->in_use, 0, sizeof queue->in_use);
    queue->context = context;
    queue->failed = queue->has_events = false;
    queue->alike_in_row = 0;
    queue->alike_needed = ALIKE;
    cu_device device;
    unsigned char uuid[16];
    if (cuda.get_device(&device) == CU_SUCCESS && cuda.get_uuid(uuid, device) == CU_SUCCESS)
        rf_slot_set_gpu(&slot->writer, uuid);
}

/* Made ahead, at the first wait that needs one: creating an event takes some 50 us. */
static bool make_events(struct stall_queue *queue)
{
    for (uint32_t i = 0; i < POOL_PAIRS; i++) {
        if (cuda.create_event(&queue->first[i], CU_EVENT_DEFAULT) != CU_SUCCESS ||
            cuda.create_event(&queue->second[i], CU_EVENT_DEFAULT) != CU_SUCCESS) {
            queue->failed = true;
            return false;
        }
    }
    queue->has_events = true;
    return true;
}

static uint32_t free_pair(const struct stall_queue *queue)
{
    uint32_t pair = 0;
    while (pair < POOL_PAIRS && queue->in_use[pair])
        pair++;
    return pair;
}

/* The queue of the slot, in the thread's present context; NULL when there is nothing to ask. */
static struct stall_queue *enter(struct monitor_slot *slot)
{
    if (slot->stalls == NULL) {
        slot->stalls = calloc(1, sizeof *slot->stalls);
        if (slot->stalls == NULL)
            return NULL;
        slot->stalls->alike_needed = ALIKE;
    }
    struct stall_queue *queue = slot->stalls;
    cu_context context = NULL;
    if (!stall_is_enabled()) {
        give_up(queue, STALL_NO_DRIVER);
        return NULL;
    }
    if (cuda.get_context(&context) != CU_SUCCESS || context == NULL) {
        give_up(queue, STALL_NO_CONTEXT);
        return NULL;
    }
    if (context != queue->context)
        change_context(slot, queue, context);
    if (queue->failed) {
        give_up(queue, STALL_FAILED);
        return NULL;
    }
    return queue;
}

static bool is_capturing(struct stall_queue *queue, cu_stream stream)
{
    int status = CU_CAPTURE_STATUS_NONE;
    /* An error is an answer as well: the legacy stream must not be touched while another captures.
     */
    if (cuda.is_capturing(stream, &status) == CU_SUCCESS && status == CU_CAPTURE_STATUS_NONE)
        return false;
    give_up(queue, STALL_CAPTURING);
    return true;
}

static void drop(struct stall_queue *queue, uint32_t index)
{
    queue->in_use[queue->pending[index].pair] = false;
    queue->count--;
    memmove(queue->pending + index, queue->pending + index + 1,
            (queue->count - index) * sizeof *queue->pending);
}

/* Reads finished pairs, oldest first. The capture mode is exchanged by the caller. */
static void collect(struct monitor_slot *slot, struct stall_queue *queue)
{
    while (queue->count > 0) {
        const struct pending_stall *oldest = &queue->pending[0];
        float ms = 0.0f;
        cu_result result = cuda.query_event(queue->second[oldest->pair]);
        if (result == CU_NOT_READY)
            return;
        if (result == CU_SUCCESS)
            result = cuda.elapsed_ms(&ms, queue->first[oldest->pair], queue->second[oldest->pair]);
        if (result != CU_SUCCESS) {
            queue->failed = true;
            queue->unknown[STALL_FAILED] += queue->count;
            queue->count = 0;
            return;
        }
        const double distance_ns = (double)ms * 1e6;
        uint64_t stall_ns = distance_ns <= 0.0 ? 0 : (uint64_t)distance_ns;
        const bool bound = oldest->bound || stall_ns > oldest->wait_ns + TOLERANCE_NS;
        if (stall_ns > oldest->wait_ns)
            stall_ns = oldest->wait_ns;
        struct rf_late_stall late = {.wait_ns = oldest->wait_ns,
                                     .stage = oldest->stage,
                                     .lower_ns = bound ? 0 : stall_ns,
                                     .upper_ns = stall_ns};
        cause_late_stall(slot, oldest->record, &late);
        drop(queue, 0);
    }
}

/* ---- around a wait ---- */

/* One that is like those before; when as many as were needed said the same while others were taken for granted,
 * half as many are needed. */
static void note_alike(struct stall_queue *queue)
{
    const uint32_t needed = queue->alike_needed;
    if (queue->alike_in_row < 2 * needed)
        queue->alike_in_row++;
    if (queue->alike_in_row == 2 * needed && needed > ALIKE)
        queue->alike_in_row = queue->alike_needed = needed / 2;
}

/* MARK_IDLE: the stream was empty from the begin; MARK_QUEUED: it had work until the end; else MARK_UNKNOWN. */
static void note_answer(struct stall_queue *queue, uint32_t answer)
{
    if (answer != MARK_UNKNOWN && answer == queue->alike) {
        note_alike(queue);
        return;
    }
    if (queue->alike_in_row >= queue->alike_needed && queue->alike_needed < MOST_ALIKE)
        queue->alike_needed *= 2;
    queue->alike = answer;
    queue->alike_in_row = answer != MARK_UNKNOWN;
}

DS_EACH_WAIT bool stall_carries(struct monitor_slot *slot)
{
    struct stall_queue *queue = slot->stalls;
    if (queue == NULL || queue->alike_in_row < queue->alike_needed || queue->failed ||
        queue->count > 0)
        return false;
    if (quiet_is_left_out(&queue->turns))
        return true;
    quiet_begin_turn(&queue->turns); /* of these waits: others are asked about at any rate */
    return false;
}

void stall_begin(struct monitor_slot *slot, uint64_t stream, struct stall_mark *mark)
{
    mark->state = MARK_UNKNOWN;
    struct stall_queue *queue = enter(slot);
    if (queue == NULL || is_capturing(queue, (cu_stream)(uintptr_t)stream))
        return;
    mark->bound = is_bound(stream);
    mark->context = queue->context;
    int mode = CU_CAPTURE_MODE_THREAD_LOCAL;
    if (cuda.exchange_mode(&mode) != CU_SUCCESS) {
        give_up(queue, STALL_FAILED);
        return;
    }
    if (queue->count > 0)
        collect(slot, queue);
    cu_result result = cuda.query_stream((cu_stream)(uintptr_t)stream);
    if (result == CU_SUCCESS) {
        mark->state = MARK_IDLE;
    } else if (result == CU_NOT_READY && (queue->has_events || make_events(queue))) {
        mark->event = free_pair(queue);
        if (mark->event == POOL_PAIRS)
            give_up(queue, STALL_NO_EVENT);
        else if (cuda.record_event(queue->first[mark->event], (cu_stream)(uintptr_t)stream) ==
                 CU_SUCCESS)
            mark->state = MARK_QUEUED;
        else
            queue->failed = true;
    } else if (result != CU_NOT_READY) {
        queue->failed = true; /* sticky errors belong to the program, which will see them itself */
    }
    if (queue->failed)
        give_up(queue, STALL_FAILED);
    queue->bound = mark->bound;
    if (mark->state != MARK_QUEUED)
        note_answer(queue, mark->state);
    cuda.exchange_mode(&mode);
}

static void settle(const struct stall_mark *mark, uint64_t stall_ns, struct stall_bounds *stall)
{
    stall->upper_ns = stall_ns;
    stall->lower_ns = mark->bound ? 0 : stall_ns;
}

DS_WAIT_END void stall_carried(const struct monitor_slot *slot, uint64_t wait_ns,
                               struct stall_bounds *stall)
{
    const struct stall_queue *queue = slot->stalls;
    const bool is_long = wait_ns > (uint64_t)QUIET_WAIT_NS;
    const bool bound = queue == NULL || queue->bound || ds_load(&cuda.side_streams) != 0 || is_long;
    const bool fed = queue != NULL && queue->alike == MARK_QUEUED && !is_long;
    *stall = (struct stall_bounds){bound || fed ? 0 : wait_ns, fed ? 0 : wait_ns, .carried = true};
}

bool stall_end(struct monitor_slot *slot, uint64_t stream, struct stall_mark *mark,
               uint64_t wait_ns, uint64_t record, uint32_t stage, struct stall_bounds *stall)
{
    *stall = (struct stall_bounds)STALL_BOUNDS_UNKNOWN;
    if (mark->state == MARK_IDLE)
        settle(mark, wait_ns, stall);
    if (mark->state != MARK_QUEUED)
        return false;
    struct stall_queue *queue = enter(slot);
    if (queue == NULL)
        return false;
    bool under_way = false;
    uint32_t answer = MARK_UNKNOWN;
    int mode = CU_CAPTURE_MODE_THREAD_LOCAL;
    if (queue->context != mark->context || is_capturing(queue, (cu_stream)(uintptr_t)stream)) {
        note_answer(queue, answer); /* the event went with its context */
        return false;
    }
    if (cuda.exchange_mode(&mode) != CU_SUCCESS) {
        note_answer(queue, answer);
        give_up(queue, STALL_FAILED);
        return false;
    }
    cu_result result = cuda.query_event(queue->first[mark->event]);
    if (result == CU_NOT_READY) {
        settle(mark, 0, stall);
        stall->lower_ns = 0;
        answer = MARK_QUEUED;
    } else if (result == CU_SUCCESS &&
               cuda.record_event(queue->second[mark->event], (cu_stream)(uintptr_t)stream) ==
                   CU_SUCCESS) {
        queue->in_use[mark->event] = true;
        queue->pending[queue->count++] =
            (struct pending_stall){mark->event, mark->bound, stage, record, wait_ns};
        under_way = true;
    } else {
        queue->failed = true;
        give_up(queue, STALL_FAILED);
    }
    note_answer(queue, answer);
    cuda.exchange_mode(&mode);
    return under_way;
}

/* ---- without a slot ---- */

/* One event per thread and context; a thread makes one iterator at a time. */
static _Thread_local cu_context probe_context;
static _Thread_local cu_event probe_event;

static bool prepare_probe(void)
{
    cu_context context = NULL;
    if (!stall_is_enabled() || cuda.get_context(&context) != CU_SUCCESS || context == NULL)
        return false;
    if (context == probe_context)
        return true;
    probe_context = NULL;
    if (cuda.create_event(&probe_event, CU_EVENT_DEFAULT) != CU_SUCCESS)
        return false;
    probe_context = context;
    return true;
}

void stall_probe_begin(uint64_t stream, struct stall_mark *mark)
{
    cu_stream place = (cu_stream)(uintptr_t)stream;
    int mode = CU_CAPTURE_MODE_THREAD_LOCAL, status = CU_CAPTURE_STATUS_NONE;
    mark->state = MARK_UNKNOWN;
    mark->bound = is_bound(stream);
    if (!stall_is_enabled() || cuda.is_capturing(place, &status) != CU_SUCCESS ||
        status != CU_CAPTURE_STATUS_NONE || cuda.exchange_mode(&mode) != CU_SUCCESS)
        return;
    if (prepare_probe()) {
        cu_result result = cuda.query_stream(place);
        if (result == CU_SUCCESS)
            mark->state = MARK_IDLE;
        else if (result == CU_NOT_READY && cuda.record_event(probe_event, place) == CU_SUCCESS)
            mark->state = MARK_QUEUED;
    }
    cuda.exchange_mode(&mode);
}

void stall_probe_end(struct stall_mark *mark, uint64_t wait_ns, struct stall_bounds *stall)
{
    *stall = (struct stall_bounds)STALL_BOUNDS_UNKNOWN;
    if (mark->state == MARK_IDLE)
        settle(mark, wait_ns, stall);
    int mode = CU_CAPTURE_MODE_THREAD_LOCAL;
    if (mark->state != MARK_QUEUED || cuda.exchange_mode(&mode) != CU_SUCCESS)
        return;
    cu_result result = cuda.query_event(probe_event);
    cuda.exchange_mode(&mode);
    if (result == CU_NOT_READY || result == CU_SUCCESS) {
        stall->lower_ns = 0;
        stall->upper_ns = result == CU_SUCCESS ? wait_ns : 0;
    }
}

void stall_collect(struct monitor_slot *slot)
{
    struct stall_queue *queue = slot->stalls;
    if (queue == NULL || queue->count == 0 || queue->failed)
        return;
    cu_context context = NULL;
    int mode = CU_CAPTURE_MODE_THREAD_LOCAL;
    if (cuda.get_context(&context) != CU_SUCCESS || context != queue->context ||
        cuda.exchange_mode(&mode) != CU_SUCCESS)
        return;
    collect(slot, queue);
    cuda.exchange_mode(&mode);
}

/* Gives the events back where that can be done: in their own context, while it is well. */
static void destroy_events(struct stall_queue *queue)
{
    cu_context context = NULL;
    if (!queue->has_events || queue->failed || !stall_is_enabled() ||
        cuda.get_context(&context) != CU_SUCCESS || context != queue->context)
        return;
    for (uint32_t i = 0; i < POOL_PAIRS; i++) {
        cuda.destroy_event(queue->first[i]);
        cuda.destroy_event(queue->second[i]);
    }
    /* What was still under way stays unknown; nothing more is asked. */
    queue->unknown[STALL_FAILED] += queue->count;
    queue->count = 0;
    queue->has_events = false;
    queue->failed = true;
}

void stall_finish(datastall_monitor *monitor)
{
    if (monitor == NULL || !monitor_is_recording(monitor))
        return;
    for (uint32_t i = 0; i < monitor->slot_count; i++) {
        struct monitor_slot *slot = &monitor->slots[i];
        const uint64_t owner = ds_load_acquire(&slot->owner);
        if (!slot->used || slot->stalls == NULL || (owner != 0 && owner != monitor_thread_number()))
            continue; /* another thread may be recording there */
        stall_collect(slot);
        rf_slot_flush(&slot->writer);
        destroy_events(slot->stalls);
    }
}

uint64_t stall_unknown_count(const struct monitor_slot *slot, enum stall_unknown reason)
{
    return slot->stalls == NULL ? 0 : slot->stalls->unknown[reason];
}
