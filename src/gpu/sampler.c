/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/sampler.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault_guard.h"
#include "base/sums.h"
#include "base/uuid.h"
#include "gpu/cuda_devices.h"
#include "gpu/sampler_process.h"
#include "gpu/sampling_loop.h"
#include "gpu/visible.h"

#define NO_ENTRY UINT32_MAX
#define JOIN_TIMEOUT_NS (100 * 1000 * 1000L)
#define STACK_BYTES (1024 * 1024) /* where memory is limited, the usual 8 MiB may not be had */

/* How long nothing may be heard, in rounds of a second: where everything stood still (a stopped job,
 * a frozen container), the time that passed says nothing about the driver. */
#define ROUND_MS 1000
#define HELLO_ROUNDS 20u /* the program may lie on a slow disk */
#define IDENTIFY_ROUNDS \
    10u /* a driver without persistence mode takes seconds; so may a first sample */
#define SAMPLE_ROUNDS 3u
/* Devices that did not answer are tried again after a minute, two, four ... */
#define FIRST_RETRY_S 60.0
#define MOST_RESTARTS 24u
#define FOR_EVER UINT32_MAX

struct sampled_device {
    uint32_t entry; /* of the run file; NO_ENTRY: none (yet) */
    bool identified;
    bool hung;              /* it was given up, and gave no sample since */
    uint64_t call_ns;       /* begin of the newest call */
    uint64_t owes_since_ns; /* begin of the call not answered; hung: of the first; 0: none */
    uint32_t samples;
    struct rf_gpu_static identity;
    struct rf_gpu_writer writer;
};

struct gpu_sampler {
    struct gpu_sampler_options options;
    uint64_t interval_ns, first_retry_ns;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards all that follows; held to write, never during a driver call */
    pthread_cond_t wake;
    bool stopping;  /* set by stop(): no more samples but the last */
    bool silenced;  /* set by stop(): no more writes */
    bool abandoned; /* stop() gave up waiting: the thread frees the sampler */
    bool finished;  /* the thread is done */
    bool greeted;   /* the process said GPU_HELLO */
    bool opened;    /* the library said how many devices there are */
    bool going;     /* every device has its entry, or none; `wanted` is told */
    bool ended;     /* GPU_ENDED came */
    uint64_t wanted, skip;
    uint32_t calling; /* device; GPU_NO_DEVICE: none */
    uint32_t restarts;
    uint64_t retry_ns; /* when to try those of `skip` again */
    uint32_t device_count;
    struct sampled_device devices[GPU_MAX_DEVICES];
    int ordinals[GPU_MAX_DEVICES];
    char *visible;          /* CUDA_VISIBLE_DEVICES at the start; NULL: not set */
    char *order;            /* CUDA_DEVICE_ORDER, likewise */
    char program[PATH_MAX]; /* "": there is none */
    char **environment;
    struct gpu_process process;
};

/* ---- the run file's word about the sampler ---- */

static uint64_t *process_words(const struct rf_writer *writer)
{
    /* Plain words beside the journal: one thread at a time writes them. */
    return writer->process.block + RF_BLOCK_PAYLOAD;
}

static void note_state(const struct gpu_sampler *sampler, uint64_t state, uint64_t error)
{
    uint64_t *payload = process_words(sampler->options.writer);
    ds_store(&payload[RF_PROCESS_GPU_ERROR], error);
    ds_store(&payload[RF_PROCESS_GPU_STATE], state);
}

static void note_end(const struct rf_writer *writer, uint64_t end, uint64_t detail)
{
    uint64_t *payload = process_words(writer);
    ds_store(&payload[RF_PROCESS_GPU_END], end);
    ds_store(&payload[RF_PROCESS_GPU_END_DETAIL], detail);
    ds_store(&payload[RF_PROCESS_GPU_STATE], RF_GPU_ENDED);
}

static void wait_until(struct gpu_sampler *sampler, uint64_t time_ns, const bool *unless)
{
    const struct timespec until = {(time_t)(time_ns / DS_NS_PER_S), (long)(time_ns % DS_NS_PER_S)};
    while (!*unless && !sampler->silenced &&
           pthread_cond_timedwait(&sampler->wake, &sampler->mutex, &until) != ETIMEDOUT)
        ;
}

/* ---- which device has which entry ---- */

/* Which device each ordinal means: the CUDA driver knows, where the program has initialised it; else
 * the environment tells. */
static uint32_t map_ordinals(const struct gpu_sampler *sampler, const struct rf_gpu_static *devices,
                             uint32_t *map)
{
    unsigned char uuids[GPU_MAX_DEVICES][16];
    const uint32_t count = cuda_device_uuids(uuids, GPU_MAX_DEVICES);
    for (uint32_t i = 0; i < count; i++) {
        map[i] = 0;
        while (map[i] < sampler->device_count && !ds_uuid_is(uuids[i], devices[map[i]].uuid))
            map[i]++;
    }
    return count > 0 ? count
                     : gpu_ordinal_map(sampler->visible, sampler->order, devices,
                                       sampler->device_count, map, GPU_MAX_DEVICES);
}

static uint32_t room_of(const struct gpu_sampler *sampler)
{
    return (uint32_t)rf_entry_count(sampler->options.writer, RF_SECTION_GPUS);
}

/* Gives the devices of the ordinals their entries. */
static uint32_t assign_ordinals(struct gpu_sampler *sampler)
{
    struct rf_gpu_static devices[GPU_MAX_DEVICES];
    uint32_t map[GPU_MAX_DEVICES], assigned = 0;
    memset(devices, 0, sizeof devices);
    for (uint32_t i = 0; i < sampler->device_count; i++) {
        if (sampler->devices[i].identified)
            devices[i] = sampler->devices[i].identity;
    }
    const uint32_t visible = map_ordinals(sampler, devices, map);
    for (uint32_t i = 0; i < sampler->options.ordinal_count && i < room_of(sampler); i++) {
        const uint32_t ordinal = (uint32_t)sampler->ordinals[i];
        if (ordinal < visible && map[ordinal] < sampler->device_count) {
            sampler->devices[map[ordinal]].entry = i;
            assigned++;
        }
    }
    return assigned;
}

static void attach(struct gpu_sampler *sampler, struct sampled_device *device)
{
    rf_gpu_attach(sampler->options.writer, device->entry, &device->identity, &device->writer);
}

static void note_owing(struct sampled_device *device, uint64_t since_ns)
{
    if (device->hung) /* since it hung: only a sample proves that it no longer does */
        return;
    device->owes_since_ns = since_ns;
    if (device->writer.layout != NULL)
        rf_gpu_calling(&device->writer, since_ns);
}

/* ---- what is told; the mutex is held ---- */

static void take_opened(struct gpu_sampler *sampler, const struct gpu_message *message)
{
    const bool all = sampler->options.ordinals == NULL;
    if (message->error != 0) {
        note_state(sampler, message->error == GPU_LIBRARY_ABSENT ? RF_GPU_ABSENT : RF_GPU_FAILED,
                   message->error);
        return;
    }
    if (sampler->opened) /* again, by another process: the devices are the same */
        return;
    sampler->opened = true;
    sampler->device_count =
        message->number < GPU_MAX_DEVICES ? (uint32_t)message->number : GPU_MAX_DEVICES;
    for (uint32_t i = 0; i < sampler->device_count; i++)
        sampler->devices[i] = (struct sampled_device){
            .entry = all && i < room_of(sampler) ? i : NO_ENTRY, .identity = {.index = i}};
    if (all)
        note_state(sampler, sampler->device_count > 0 ? RF_GPU_OK : RF_GPU_ABSENT, 0);
}

static void take_calling(struct gpu_sampler *sampler, const struct gpu_message *message)
{
    struct sampled_device *device = &sampler->devices[message->device];
    if (device->entry != NO_ENTRY && device->writer.layout == NULL)
        attach(sampler, device); /* one that hangs here is in the file, and seen to hang */
    sampler->calling = message->device;
    device->call_ns = message->time_ns;
    note_owing(device, message->time_ns);
}

static void take_identity(struct gpu_sampler *sampler, const struct gpu_message *message)
{
    struct sampled_device *device = &sampler->devices[message->device];
    sampler->calling = GPU_NO_DEVICE;
    note_owing(device, 0);
    if (device->identified)
        return;
    device->identified = true;
    device->identity = message->identity;
    if (device->entry != NO_ENTRY)
        attach(sampler, device);
}

static void take_ready(struct gpu_sampler *sampler)
{
    uint32_t entries = 0;
    if (sampler->options.ordinals != NULL && !sampler->going)
        assign_ordinals(sampler);
    sampler->wanted = 0;
    for (uint32_t i = 0; i < sampler->device_count; i++) {
        struct sampled_device *device = &sampler->devices[i];
        if (device->entry == NO_ENTRY)
            continue;
        if (device->writer.layout == NULL)
            attach(sampler, device);
        sampler->wanted |= gpu_bit(i);
        entries++;
    }
    sampler->going = true;
    note_state(sampler, entries > 0 ? RF_GPU_OK : RF_GPU_ABSENT, 0);
    if (sampler->process.fd >= 0)
        gpu_process_send(&sampler->process,
                         &(struct gpu_message){.kind = GPU_GO, .number = sampler->wanted});
}

static void take_sample(struct gpu_sampler *sampler, const struct gpu_message *message)
{
    struct sampled_device *device = &sampler->devices[message->device];
    struct rf_gpu_sample sample = message->sample;
    sampler->calling = GPU_NO_DEVICE;
    if (device->writer.layout == NULL)
        return;
    sample.stage = sampler->options.stage != NULL ? ds_load_acquire(sampler->options.stage) : 0;
    /* NVML's utilisation is of the last moments only: it stands for the time since the sample
     * before, but not for a gap in the sampling. */
    if (sample.activity_source == RF_ACTIVITY_NVML)
        sample.activity_span_ns = 2 * sampler->interval_ns;
    device->samples++;
    rf_gpu_append(&device->writer, &sample);
    device->hung = false;
    device->owes_since_ns = 0;
    rf_gpu_answered(&device->writer, ds_subtract(sample.time_ns, device->call_ns));
    if (sampler->options.on_sample != NULL)
        sampler->options.on_sample(sampler->options.context, device->entry, &sample);
}

/* Nobody calls any more; who hung stays noted. */
static void forget_calls(struct gpu_sampler *sampler)
{
    sampler->calling = GPU_NO_DEVICE;
    for (uint32_t i = 0; i < sampler->device_count; i++)
        note_owing(&sampler->devices[i], 0);
}

/* No answer will be taken any more; how long it was owed tells who hung from who was just asked. */
static void note_unanswered(struct gpu_sampler *sampler)
{
    const uint64_t now_ns = ds_now_ns();
    ds_fault_guard_keep(now_ns);
    for (uint32_t i = 0; i < sampler->device_count; i++) {
        struct sampled_device *device = &sampler->devices[i];
        if (device->owes_since_ns != 0 && device->writer.layout != NULL)
            rf_gpu_unanswered(&device->writer, /* not 0 */
                              1 + ds_subtract(now_ns, device->owes_since_ns));
    }
}

static void end(struct gpu_sampler *sampler, uint64_t why, uint64_t detail)
{
    sampler->ended = true;
    forget_calls(sampler);
    if (why != RF_GPU_END_NONE)
        note_end(sampler->options.writer, why, detail);
}

static void take(struct gpu_sampler *sampler, const struct gpu_message *message)
{
    const bool of_device = message->kind == GPU_CALLING || message->kind == GPU_IDENTITY ||
                           message->kind == GPU_SAMPLE;
    if (sampler->silenced || (of_device && message->device >= sampler->device_count))
        return;
    if (message->kind == GPU_HELLO)
        sampler->greeted = true;
    else if (message->kind == GPU_OPENED)
        take_opened(sampler, message);
    else if (message->kind == GPU_CALLING)
        take_calling(sampler, message);
    else if (message->kind == GPU_IDENTITY)
        take_identity(sampler, message);
    else if (message->kind == GPU_READY)
        take_ready(sampler);
    else if (message->kind == GPU_SAMPLE)
        take_sample(sampler, message);
    else if (message->kind == GPU_ENDED)
        end(sampler, message->number, message->error);
}

/* ---- by a process ---- */

/* Returns 0 or an errno. The mutex is held, but for the start itself. */
static int start_process(struct gpu_sampler *sampler)
{
    const struct gpu_plan plan = {.interval_ns = sampler->interval_ns, .skip = sampler->skip};
    struct gpu_process process;
    pthread_mutex_unlock(&sampler->mutex);
    const int error = gpu_process_start(sampler->program, sampler->environment, &plan, &process);
    pthread_mutex_lock(&sampler->mutex);
    sampler->process = process;
    sampler->greeted = false;
    return error;
}

/* Rounds of silence that are no sign of a driver that hangs. */
static uint32_t patience(const struct gpu_sampler *sampler)
{
    if (!sampler->greeted)
        return HELLO_ROUNDS;
    if (sampler->calling == GPU_NO_DEVICE)
        return FOR_EVER; /* between two samples, or opening: nothing is won by giving up */
    return sampler->devices[sampler->calling].samples > 0 ? SAMPLE_ROUNDS : IDENTIFY_ROUNDS;
}

enum outcome { OVER, GONE, HUNG, TRY_AGAIN };

/* The mutex is held, but while waiting. */
static enum outcome listen_to_process(struct gpu_sampler *sampler)
{
    uint32_t silent_rounds = 0;
    const struct gpu_process process = sampler->process;
    while (!sampler->ended && !sampler->silenced) {
        struct gpu_message message;
        const int timeout_ms = patience(sampler) == FOR_EVER ? -1 : ROUND_MS;
        pthread_mutex_unlock(&sampler->mutex);
        const enum gpu_receipt receipt = gpu_process_receive(&process, timeout_ms, &message);
        pthread_mutex_lock(&sampler->mutex);
        silent_rounds = receipt == GPU_SILENCE ? silent_rounds + 1 : 0;
        if (receipt == GPU_RECEIVED)
            take(sampler, &message);
        else if (receipt == GPU_GONE)
            return sampler->silenced || sampler->stopping ? OVER : GONE;
        else if (silent_rounds >= patience(sampler))
            return HUNG;
        if (sampler->skip != 0 && sampler->calling == GPU_NO_DEVICE && sampler->going &&
            ds_now_ns() > sampler->retry_ns)
            return TRY_AGAIN;
    }
    return OVER;
}

static bool all_are_left_out(const struct gpu_sampler *sampler)
{
    for (uint32_t i = 0; i < sampler->device_count; i++) {
        if (!(sampler->skip & gpu_bit(i)))
            return false;
    }
    return true;
}

/* The device that is called did not answer: the others go on. */
static void leave_out_caller(struct gpu_sampler *sampler)
{
    const uint32_t doublings = sampler->restarts < 6 ? sampler->restarts : 6;
    sampler->skip |= gpu_bit(sampler->calling);
    sampler->devices[sampler->calling].hung = true;
    sampler->calling = GPU_NO_DEVICE;
    sampler->retry_ns = ds_now_ns() + (sampler->first_retry_ns << doublings);
    if (++sampler->restarts >= MOST_RESTARTS)
        end(sampler, RF_GPU_END_HUNG, 0);
    if (all_are_left_out(sampler))
        wait_until(sampler, sampler->retry_ns, &sampler->stopping);
    if (all_are_left_out(sampler))
        sampler->skip = 0;
}

/* One process after the other, as long as there is something to sample. False: nobody was there who
 * could, with why in *error. */
static bool sample_by_process(struct gpu_sampler *sampler, int *error)
{
    bool any = false;
    while (!sampler->ended && !sampler->stopping) {
        *error = start_process(sampler);
        const enum outcome outcome = *error != 0         ? GONE
                                     : sampler->stopping ? OVER
                                                         : listen_to_process(sampler);
        const bool greeted = sampler->greeted;
        gpu_process_close(&sampler->process);
        if (outcome == OVER)
            return true;
        if (!greeted && !any)
            return false;
        any = true;
        if (outcome == HUNG && greeted)
            leave_out_caller(sampler);
        else if (outcome == TRY_AGAIN)
            sampler->skip = 0;
        else
            end(sampler, greeted ? RF_GPU_END_KILLED : RF_GPU_END_PROCESS, (uint64_t)*error);
    }
    return true;
}

/* ---- by this thread ---- */

static bool tell_directly(void *context, const struct gpu_message *message)
{
    struct gpu_sampler *sampler = context;
    pthread_mutex_lock(&sampler->mutex);
    take(sampler, message);
    const bool goes_on = !sampler->silenced;
    pthread_mutex_unlock(&sampler->mutex);
    return goes_on;
}

static bool wait_for_stop(void *context, uint64_t time_ns, struct gpu_message *order)
{
    struct gpu_sampler *sampler = context;
    pthread_mutex_lock(&sampler->mutex);
    const bool go = time_ns == UINT64_MAX; /* GPU_READY was told, and taken */
    if (!go)
        wait_until(sampler, time_ns, &sampler->stopping);
    const bool stop = sampler->stopping || sampler->silenced;
    *order = (struct gpu_message){.kind = stop ? GPU_STOP : GPU_GO, .number = sampler->wanted};
    pthread_mutex_unlock(&sampler->mutex);
    return go || stop;
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

static void sample_by_thread(struct gpu_sampler *sampler)
{
    const struct gpu_plan plan = {.interval_ns = sampler->interval_ns};
    const struct gpu_port port = {sampler, tell_directly, wait_for_stop, enter, leave};
    pthread_mutex_unlock(&sampler->mutex);
    gpu_sampling_loop(sampler->options.vendor, &plan, &port);
    pthread_mutex_lock(&sampler->mutex);
}

/* ---- the thread ---- */

static void free_sampler(struct gpu_sampler *sampler)
{
    pthread_cond_destroy(&sampler->wake);
    pthread_mutex_destroy(&sampler->mutex);
    free(sampler->visible);
    free(sampler->order);
    free(sampler->environment);
    free(sampler);
}

static void *run(void *argument)
{
    struct gpu_sampler *sampler = argument;
    int error = ENOENT;
    pthread_mutex_lock(&sampler->mutex);
    const bool done = sampler->program[0] != '\0' && sample_by_process(sampler, &error);
    if (!done && !sampler->stopping && sampler->options.vendor != NULL)
        sample_by_thread(sampler);
    else if (!done && !sampler->stopping)
        end(sampler, RF_GPU_END_PROCESS, (uint64_t)error);
    sampler->finished = true;
    const bool abandoned = sampler->abandoned;
    pthread_cond_broadcast(&sampler->wake);
    pthread_mutex_unlock(&sampler->mutex);
    if (abandoned)
        free_sampler(sampler);
    return NULL;
}

/* All signals blocked: the program's are not its. 0 or an errno. */
static int start_thread(struct gpu_sampler *sampler)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* the guard of the run file lives on it */
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&sampler->thread, &attributes, run, sampler);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

/* ---- start and stop ---- */

static bool copy_variable(const char *name, char **copy)
{
    const char *value = getenv(name);
    *copy = value == NULL ? NULL : strdup(value);
    return value == NULL || *copy != NULL;
}

static bool find_program(struct gpu_sampler *sampler, const char *given)
{
    const bool found =
        given != NULL ? snprintf(sampler->program, sizeof sampler->program, "%s", given) < PATH_MAX
                      : gpu_program_find(sampler->program);
    if (!found)
        sampler->program[0] = '\0';
    sampler->environment = found ? gpu_environment_copy() : NULL;
    return !found || sampler->environment != NULL;
}

static struct gpu_sampler *make_sampler(const struct gpu_sampler_options *options)
{
    struct gpu_sampler *sampler = calloc(1, sizeof *sampler);
    pthread_condattr_t attributes;
    if (sampler == NULL)
        return NULL;
    sampler->options = *options;
    sampler->process.fd = -1;
    sampler->calling = GPU_NO_DEVICE;
    if (options->ordinal_count > GPU_MAX_DEVICES)
        sampler->options.ordinal_count = GPU_MAX_DEVICES;
    if (options->ordinals != NULL)
        memcpy(sampler->ordinals, options->ordinals,
               sampler->options.ordinal_count * sizeof *sampler->ordinals);
    sampler->interval_ns = (uint64_t)(options->interval_s * 1e9);
    sampler->first_retry_ns =
        (uint64_t)((options->first_retry_s > 0 ? options->first_retry_s : FIRST_RETRY_S) * 1e9);
    pthread_mutex_init(&sampler->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sampler->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (copy_variable("CUDA_VISIBLE_DEVICES", &sampler->visible) &&
        copy_variable("CUDA_DEVICE_ORDER", &sampler->order) &&
        find_program(sampler, options->program))
        return sampler;
    free_sampler(sampler);
    return NULL;
}

struct gpu_sampler *gpu_sampler_start(const struct gpu_sampler_options *options)
{
    struct gpu_sampler *sampler = make_sampler(options);
    if (sampler == NULL) {
        note_end(options->writer, RF_GPU_END_THREAD, ENOMEM);
        return NULL;
    }
    ds_store(&process_words(options->writer)[RF_PROCESS_GPU_END], RF_GPU_END_NONE);
    note_state(sampler, RF_GPU_STARTING, 0);
    const int error = start_thread(sampler);
    if (error == 0)
        return sampler;
    note_end(options->writer, RF_GPU_END_THREAD, (uint64_t)error);
    free_sampler(sampler);
    return NULL;
}

void gpu_sampler_stop(struct gpu_sampler *sampler)
{
    pthread_mutex_lock(&sampler->mutex);
    sampler->stopping = true;
    pthread_cond_broadcast(&sampler->wake);
    gpu_process_send(&sampler->process, &(struct gpu_message){.kind = GPU_STOP});
    wait_until(sampler, ds_now_ns() + JOIN_TIMEOUT_NS, &sampler->finished);
    const bool finished = sampler->finished;
    note_unanswered(sampler);
    sampler->silenced = true;
    sampler->abandoned = !finished;
    gpu_process_hang_up(&sampler->process);
    pthread_cond_broadcast(&sampler->wake);
    pthread_t thread = sampler->thread;
    pthread_mutex_unlock(&sampler->mutex);
    if (finished) {
        pthread_join(thread, NULL);
        free_sampler(sampler);
    } else {
        pthread_detach(thread);
    }
}
