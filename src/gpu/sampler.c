#include "gpu/sampler.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "gpu/cuda_devices.h"
#include "gpu/nvml_library.h"
#include "gpu/visible.h"

#define MAX_SAMPLED NVML_MAX_ENTRIES
#define NO_ENTRY UINT32_MAX
#define JOIN_TIMEOUT_NS (100 * 1000 * 1000L)
/* Ordinals are known when all devices said who they are, or after this; a driver without
 * persistence mode takes seconds. */
#define IDENTIFY_TIMEOUT_NS (10 * DS_NS_PER_S)
/* A last sample completes the span since the one before, where the driver answers fast enough to
 * wait for and the span is long enough to tell anything. */
#define QUICK_CALL_NS (20 * 1000 * 1000ull)
#define LEAST_LAST_SPAN_NS (100 * 1000 * 1000ull)

struct sampled_device {
    struct gpu_sampler *sampler;
    uint32_t index; /* the library's */
    uint32_t entry; /* of the run file; NO_ENTRY: none (yet) */
    bool identified;
    bool calling; /* the driver has not come back yet */
    struct rf_gpu_static identity;
    struct rf_gpu_writer writer;
};

/* A coordinator opens the library and then waits; every device has a thread of its own, so that one
 * that hangs holds up nobody else. */
struct gpu_sampler {
    struct gpu_sampler_options options;
    uint64_t interval_ns;
    pthread_t coordinator;
    pthread_mutex_t mutex; /* guards all that follows; held to write, never during a driver call */
    pthread_cond_t wake;
    bool stopping;     /* set by stop(): no more samples but the last */
    bool silenced;     /* set by stop(): no more writes */
    bool abandoned;    /* stop() gave up waiting: the coordinator frees the sampler */
    bool finished;     /* the coordinator is done */
    bool entries_told; /* every device has its entry, or none */
    uint32_t running;  /* device threads */
    struct gpu_library *library;
    uint32_t device_count;
    struct sampled_device devices[MAX_SAMPLED];
    int ordinals[MAX_SAMPLED];
    char *visible; /* CUDA_VISIBLE_DEVICES at the start; NULL: not set */
    char *order;   /* CUDA_DEVICE_ORDER, likewise */
};

static void note_state(struct gpu_sampler *sampler, uint64_t state, uint64_t error)
{
    /* Plain words beside the journal: one thread at a time writes them. */
    uint64_t *payload = sampler->options.writer->process.block + RF_BLOCK_PAYLOAD;
    ds_store(&payload[RF_PROCESS_GPU_ERROR], error);
    ds_store(&payload[RF_PROCESS_GPU_STATE], state);
}

static void wait_until(struct gpu_sampler *sampler, uint64_t time_ns, const bool *unless)
{
    const struct timespec until = {(time_t)(time_ns / DS_NS_PER_S), (long)(time_ns % DS_NS_PER_S)};
    while (!*unless && !sampler->silenced &&
           pthread_cond_timedwait(&sampler->wake, &sampler->mutex, &until) != ETIMEDOUT)
        ;
}

/* ---- a device's thread; the mutex is held but for driver calls ---- */

static void attach(struct sampled_device *device)
{
    rf_gpu_attach(device->sampler->options.writer, device->entry, &device->identity,
                  &device->writer);
}

static void identify(struct sampled_device *device)
{
    struct gpu_sampler *sampler = device->sampler;
    struct rf_gpu_static identity;
    if (device->entry != NO_ENTRY) {
        attach(device); /* one that hangs here is in the file, and seen to hang */
        rf_gpu_calling(&device->writer, ds_now_ns());
    }
    device->calling = true;
    pthread_mutex_unlock(&sampler->mutex);
    sampler->options.vendor->identify(sampler->library, device->index, &identity);
    pthread_mutex_lock(&sampler->mutex);
    device->calling = false;
    device->identity = identity;
    device->identified = true;
    pthread_cond_broadcast(&sampler->wake);
    while (!sampler->entries_told && !sampler->silenced)
        pthread_cond_wait(&sampler->wake, &sampler->mutex);
    if (device->entry != NO_ENTRY && !sampler->silenced)
        attach(device);
}

/* Reads the device once and writes what it said. Returns how long that took. */
static uint64_t sample_once(struct sampled_device *device)
{
    struct gpu_sampler *sampler = device->sampler;
    struct rf_gpu_sample sample = rf_gpu_nothing_read();
    const uint64_t begin_ns = ds_now_ns();
    device->calling = true;
    rf_gpu_calling(&device->writer, begin_ns);
    pthread_mutex_unlock(&sampler->mutex);
    sampler->options.vendor->sample(sampler->library, device->index, &sample);
    sample.time_ns = ds_now_ns();
    pthread_mutex_lock(&sampler->mutex);
    device->calling = false;
    if (sampler->silenced)
        return sample.time_ns - begin_ns;
    if (sampler->options.stage != NULL)
        sample.stage = ds_load_acquire(sampler->options.stage);
    /* NVML's utilisation is of the last moments only: it stands for the time since the sample
     * before, but not for a gap in the sampling. */
    if (sample.activity_source == RF_ACTIVITY_NVML)
        sample.activity_span_ns = 2 * sampler->interval_ns;
    rf_gpu_append(&device->writer, &sample);
    rf_gpu_calling(&device->writer, 0);
    if (sampler->options.on_sample != NULL)
        sampler->options.on_sample(sampler->options.context, device->entry, &sample);
    return sample.time_ns - begin_ns;
}

static void sample_until_stopped(struct sampled_device *device)
{
    struct gpu_sampler *sampler = device->sampler;
    uint64_t next = ds_now_ns(), took_ns = 0;
    while (!sampler->stopping) {
        took_ns = sample_once(device);
        next += sampler->interval_ns;
        uint64_t now = ds_now_ns();
        if (next < now) /* a slow driver: skip what was missed instead of catching up */
            next = now + sampler->interval_ns - (now - next) % sampler->interval_ns;
        wait_until(sampler, next, &sampler->stopping);
    }
    if (!sampler->silenced && took_ns < QUICK_CALL_NS &&
        ds_now_ns() - device->writer.last_ns > LEAST_LAST_SPAN_NS)
        sample_once(device);
}

static void *run_device(void *argument)
{
    struct sampled_device *device = argument;
    struct gpu_sampler *sampler = device->sampler;
    pthread_mutex_lock(&sampler->mutex);
    identify(device);
    if (device->entry != NO_ENTRY && !sampler->silenced)
        sample_until_stopped(device);
    sampler->running--;
    pthread_cond_broadcast(&sampler->wake);
    pthread_mutex_unlock(&sampler->mutex);
    return NULL;
}

/* ---- the coordinator ---- */

/* Threads with all signals blocked: the program's are not theirs. But for the one that the guard of
 * the run file lives on: a fault while it is blocked ends the process. */
static bool start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

static bool all_identified(const struct gpu_sampler *sampler)
{
    for (uint32_t i = 0; i < sampler->device_count; i++) {
        if (!sampler->devices[i].identified)
            return false;
    }
    return true;
}

/* Which device each ordinal means: the CUDA driver knows, where the program has initialised it; else
 * the environment tells. */
static uint32_t map_ordinals(const struct gpu_sampler *sampler, const struct rf_gpu_static *devices,
                             uint32_t *map)
{
    unsigned char uuids[MAX_SAMPLED][16];
    const uint32_t count = cuda_device_uuids(uuids, MAX_SAMPLED);
    for (uint32_t i = 0; i < count; i++) {
        map[i] = 0;
        while (map[i] < sampler->device_count && !ds_uuid_is(uuids[i], devices[map[i]].uuid))
            map[i]++;
    }
    return count > 0 ? count
                     : gpu_ordinal_map(sampler->visible, sampler->order, devices,
                                       sampler->device_count, map, MAX_SAMPLED);
}

/* Gives the devices of the ordinals their entries. */
static uint32_t assign_ordinals(struct gpu_sampler *sampler, uint32_t room)
{
    struct rf_gpu_static devices[MAX_SAMPLED];
    uint32_t map[MAX_SAMPLED], assigned = 0;
    const uint64_t until_ns = ds_now_ns() + IDENTIFY_TIMEOUT_NS;
    while (!all_identified(sampler) && !sampler->stopping && ds_now_ns() < until_ns) {
        bool never = false;
        wait_until(sampler, ds_now_ns() + DS_NS_PER_S / 10, &never);
    }
    memset(devices, 0, sizeof devices);
    for (uint32_t i = 0; i < sampler->device_count; i++) {
        if (sampler->devices[i].identified)
            devices[i] = sampler->devices[i].identity;
    }
    const uint32_t visible = map_ordinals(sampler, devices, map);
    for (uint32_t i = 0; i < sampler->options.ordinal_count && i < room; i++) {
        const uint32_t ordinal = (uint32_t)sampler->ordinals[i];
        if (ordinal < visible && map[ordinal] < sampler->device_count) {
            sampler->devices[map[ordinal]].entry = i;
            assigned++;
        }
    }
    return assigned;
}

static void start_devices(struct gpu_sampler *sampler)
{
    const uint32_t room = (uint32_t)rf_entry_count(sampler->options.writer, RF_SECTION_GPUS);
    const bool all = sampler->options.ordinals == NULL;
    uint32_t entries = 0;
    pthread_mutex_unlock(&sampler->mutex);
    uint32_t count = sampler->options.vendor->count(sampler->library);
    pthread_mutex_lock(&sampler->mutex);
    sampler->device_count = count < MAX_SAMPLED ? count : MAX_SAMPLED;
    sampler->entries_told = all;
    for (uint32_t i = 0; i < sampler->device_count && !sampler->stopping; i++) {
        struct sampled_device *device = &sampler->devices[i];
        pthread_t thread;
        *device = (struct sampled_device){.sampler = sampler,
                                          .index = i,
                                          .entry = all && i < room ? i : NO_ENTRY,
                                          .identity = {.index = i}};
        if (all && i >= room)
            continue; /* nobody would read it */
        if (start_thread(&thread, run_device, device)) {
            pthread_detach(thread);
            sampler->running++;
            entries += all;
        } else {
            device->entry = NO_ENTRY;
        }
    }
    if (!all)
        entries = assign_ordinals(sampler, room);
    sampler->entries_told = true;
    pthread_cond_broadcast(&sampler->wake);
    if (!sampler->silenced)
        note_state(sampler, entries > 0 ? RF_GPU_OK : RF_GPU_ABSENT, 0);
}

static void free_sampler(struct gpu_sampler *sampler)
{
    pthread_cond_destroy(&sampler->wake);
    pthread_mutex_destroy(&sampler->mutex);
    free(sampler->visible);
    free(sampler->order);
    free(sampler);
}

static void *run_coordinator(void *argument)
{
    struct gpu_sampler *sampler = argument;
    const uint32_t error = sampler->options.vendor->open(&sampler->library);
    pthread_mutex_lock(&sampler->mutex);
    if (error == 0 && !sampler->stopping)
        start_devices(sampler);
    else if (error != 0 && !sampler->silenced)
        note_state(sampler, error == GPU_LIBRARY_ABSENT ? RF_GPU_ABSENT : RF_GPU_FAILED, error);
    while (sampler->running > 0) /* for ever where a device hangs: its thread needs the library */
        pthread_cond_wait(&sampler->wake, &sampler->mutex);
    pthread_mutex_unlock(&sampler->mutex);
    if (sampler->library != NULL)
        sampler->options.vendor->close(sampler->library);
    pthread_mutex_lock(&sampler->mutex);
    sampler->finished = true;
    const bool abandoned = sampler->abandoned;
    pthread_cond_broadcast(&sampler->wake);
    pthread_mutex_unlock(&sampler->mutex);
    if (abandoned)
        free_sampler(sampler);
    return NULL;
}

/* ---- start and stop ---- */

static bool copy_environment(const char *name, char **copy)
{
    const char *value = getenv(name);
    *copy = value == NULL ? NULL : strdup(value);
    return value == NULL || *copy != NULL;
}

struct gpu_sampler *gpu_sampler_start(const struct gpu_sampler_options *options)
{
    struct gpu_sampler *sampler = calloc(1, sizeof *sampler);
    if (sampler == NULL)
        return NULL;
    sampler->options = *options;
    if (options->ordinal_count > MAX_SAMPLED)
        sampler->options.ordinal_count = MAX_SAMPLED;
    if (options->ordinals != NULL)
        memcpy(sampler->ordinals, options->ordinals,
               sampler->options.ordinal_count * sizeof *sampler->ordinals);
    sampler->interval_ns = (uint64_t)(options->interval_s * 1e9);
    pthread_mutex_init(&sampler->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sampler->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!copy_environment("CUDA_VISIBLE_DEVICES", &sampler->visible) ||
        !copy_environment("CUDA_DEVICE_ORDER", &sampler->order)) {
        free_sampler(sampler);
        return NULL;
    }
    note_state(sampler, RF_GPU_STARTING, 0);
    if (!start_thread(&sampler->coordinator, run_coordinator, sampler)) {
        free_sampler(sampler);
        return NULL;
    }
    return sampler;
}

void gpu_sampler_stop(struct gpu_sampler *sampler)
{
    pthread_mutex_lock(&sampler->mutex);
    sampler->stopping = true;
    pthread_cond_broadcast(&sampler->wake);
    wait_until(sampler, ds_now_ns() + JOIN_TIMEOUT_NS, &sampler->finished);
    const bool finished = sampler->finished;
    /* A call that came back after all is over; one that did not stays noted. */
    for (uint32_t i = 0; i < sampler->device_count; i++) {
        struct sampled_device *device = &sampler->devices[i];
        if (device->writer.layout != NULL && !device->calling)
            rf_gpu_calling(&device->writer, 0);
    }
    sampler->silenced = true;
    sampler->abandoned = !finished;
    pthread_cond_broadcast(&sampler->wake);
    pthread_t thread = sampler->coordinator;
    pthread_mutex_unlock(&sampler->mutex);
    if (finished) {
        pthread_join(thread, NULL);
        free_sampler(sampler);
    } else {
        pthread_detach(thread);
    }
}

uint32_t gpu_read_visible(const struct gpu_vendor *vendor, const char *visible, const char *order,
                          struct rf_gpu_sample *samples, uint32_t capacity)
{
    struct gpu_library *library;
    struct rf_gpu_static devices[MAX_SAMPLED];
    uint32_t map[MAX_SAMPLED];
    if (vendor->open(&library) != 0)
        return 0;
    uint32_t count = vendor->count(library);
    if (count > MAX_SAMPLED)
        count = MAX_SAMPLED;
    for (uint32_t i = 0; i < count; i++)
        vendor->identify(library, i, &devices[i]);
    uint32_t shown = gpu_ordinal_map(visible, order, devices, count, map,
                                     capacity < MAX_SAMPLED ? capacity : MAX_SAMPLED);
    for (uint32_t i = 0; i < shown; i++) {
        samples[i] = rf_gpu_nothing_read();
        vendor->sample(library, map[i], &samples[i]);
        samples[i].time_ns = ds_now_ns();
    }
    vendor->close(library);
    return shown;
}
