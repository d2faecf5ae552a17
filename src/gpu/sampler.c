#include "gpu/sampler.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "gpu/visible.h"

#define MAX_SAMPLED 32u
#define NO_DEVICE UINT32_MAX
#define JOIN_TIMEOUT_NS (100 * 1000 * 1000L)

struct gpu_sampler {
    struct gpu_sampler_options options;
    uint64_t interval_ns;
    pthread_t thread;
    pthread_mutex_t mutex; /* held to write, never during a driver call */
    pthread_cond_t wake;
    bool stopping;  /* set by stop(): no more writes */
    bool abandoned; /* stop() gave up waiting: the thread frees the sampler */
    bool finished;
    uint32_t entry_count;
    uint32_t device[MAX_SAMPLED]; /* of each entry: the library's index, NO_DEVICE: none */
    int ordinals[MAX_SAMPLED];
    char *visible; /* CUDA_VISIBLE_DEVICES at the start; NULL: not set */
    struct rf_gpu_writer entries[MAX_SAMPLED];
};

static const struct rf_gpu_sample nothing_read = {
    .busy_percent = RF_UNKNOWN,
    .memory_used = RF_UNKNOWN,
    .memory_total = RF_UNKNOWN,
    .memory_free = RF_UNKNOWN,
    .power_mw = RF_UNKNOWN,
    .temperature = RF_UNKNOWN,
    .sm_clock_mhz = RF_UNKNOWN,
    .memory_clock_mhz = RF_UNKNOWN,
};

static void note_state(struct gpu_sampler *sampler, uint64_t state, uint64_t error)
{
    /* Plain words beside the journal: this thread is their only writer. */
    uint64_t *payload = sampler->options.writer->process.block + RF_BLOCK_PAYLOAD;
    ds_store(&payload[RF_PROCESS_GPU_ERROR], error);
    ds_store(&payload[RF_PROCESS_GPU_STATE], state);
}

/* The identities of all devices. The driver is called with the mutex released. */
static uint32_t identify_devices(struct gpu_sampler *sampler, struct gpu_library *library,
                                 struct rf_gpu_static *devices)
{
    pthread_mutex_unlock(&sampler->mutex);
    uint32_t count = sampler->options.vendor->count(library);
    if (count > MAX_SAMPLED)
        count = MAX_SAMPLED;
    for (uint32_t i = 0; i < count; i++)
        sampler->options.vendor->identify(library, i, &devices[i]);
    pthread_mutex_lock(&sampler->mutex);
    return count;
}

/* Decides which device goes to which entry, and attaches them. Runs with the mutex held. */
static void attach_devices(struct gpu_sampler *sampler, struct gpu_library *library)
{
    struct rf_gpu_static devices[MAX_SAMPLED];
    uint32_t map[MAX_SAMPLED];
    const uint64_t room = rf_entry_count(sampler->options.writer, RF_SECTION_GPUS);
    const bool all = sampler->options.ordinals == NULL;
    uint32_t count = identify_devices(sampler, library, devices);
    if (sampler->stopping)
        return;
    uint32_t visible =
        gpu_visible_map(all ? NULL : sampler->visible, devices, count, map, MAX_SAMPLED);
    sampler->entry_count = all ? count : sampler->options.ordinal_count;
    if (sampler->entry_count > room)
        sampler->entry_count = (uint32_t)room;
    for (uint32_t i = 0; i < sampler->entry_count; i++) {
        uint32_t ordinal = all ? i : (uint32_t)sampler->ordinals[i];
        sampler->device[i] = ordinal < visible ? map[ordinal] : NO_DEVICE;
        if (sampler->device[i] != NO_DEVICE)
            rf_gpu_attach(sampler->options.writer, i, &devices[sampler->device[i]],
                          &sampler->entries[i]);
    }
}

static void sample_devices(struct gpu_sampler *sampler, struct gpu_library *library)
{
    for (uint32_t i = 0; i < sampler->entry_count && !sampler->stopping; i++) {
        if (sampler->device[i] == NO_DEVICE)
            continue;
        struct rf_gpu_sample sample = nothing_read;
        rf_gpu_calling(&sampler->entries[i], ds_now_ns());
        pthread_mutex_unlock(&sampler->mutex);
        sampler->options.vendor->sample(library, sampler->device[i], &sample);
        sample.time_ns = ds_now_ns();
        pthread_mutex_lock(&sampler->mutex);
        if (sampler->stopping)
            break;
        if (sampler->options.stage != NULL)
            sample.stage = ds_load_acquire(sampler->options.stage);
        rf_gpu_append(&sampler->entries[i], &sample);
        rf_gpu_calling(&sampler->entries[i], 0);
        if (sampler->options.on_sample != NULL)
            sampler->options.on_sample(sampler->options.context, i, &sample);
    }
}

static void sleep_until(struct gpu_sampler *sampler, uint64_t time_ns)
{
    const struct timespec until = {(time_t)(time_ns / DS_NS_PER_S), (long)(time_ns % DS_NS_PER_S)};
    while (!sampler->stopping &&
           pthread_cond_timedwait(&sampler->wake, &sampler->mutex, &until) != ETIMEDOUT)
        ;
}

static void sample_until_stopped(struct gpu_sampler *sampler, struct gpu_library *library)
{
    attach_devices(sampler, library);
    if (!sampler->stopping)
        note_state(sampler, sampler->entry_count > 0 ? RF_GPU_OK : RF_GPU_ABSENT, 0);
    uint64_t next = ds_now_ns();
    while (!sampler->stopping) {
        sample_devices(sampler, library);
        next += sampler->interval_ns;
        uint64_t now = ds_now_ns();
        if (next < now) /* a slow driver: skip what was missed instead of catching up */
            next = now + sampler->interval_ns - (now - next) % sampler->interval_ns;
        sleep_until(sampler, next);
    }
}

static void free_sampler(struct gpu_sampler *sampler)
{
    pthread_cond_destroy(&sampler->wake);
    pthread_mutex_destroy(&sampler->mutex);
    free(sampler->visible);
    free(sampler);
}

static void *run_sampler(void *argument)
{
    struct gpu_sampler *sampler = argument;
    struct gpu_library *library = NULL;
    uint32_t error = sampler->options.vendor->open(&library);
    pthread_mutex_lock(&sampler->mutex);
    if (error == 0)
        sample_until_stopped(sampler, library);
    else if (!sampler->stopping)
        note_state(sampler, error == GPU_LIBRARY_ABSENT ? RF_GPU_ABSENT : RF_GPU_FAILED, error);
    pthread_mutex_unlock(&sampler->mutex);
    if (library != NULL)
        sampler->options.vendor->close(library);
    pthread_mutex_lock(&sampler->mutex);
    sampler->finished = true;
    bool abandoned = sampler->abandoned;
    pthread_cond_signal(&sampler->wake);
    pthread_mutex_unlock(&sampler->mutex);
    if (abandoned)
        free_sampler(sampler);
    return NULL;
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
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    sampler->visible = visible == NULL ? NULL : strdup(visible);
    if (visible != NULL && sampler->visible == NULL) {
        free(sampler);
        return NULL;
    }
    sampler->interval_ns = (uint64_t)(options->interval_s * 1e9);
    pthread_mutex_init(&sampler->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sampler->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    note_state(sampler, RF_GPU_STARTING, 0);
    /* The program's signals are not this thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&sampler->thread, NULL, run_sampler, sampler);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        free_sampler(sampler);
        return NULL;
    }
    return sampler;
}

void gpu_sampler_stop(struct gpu_sampler *sampler)
{
    const uint64_t until_ns = ds_now_ns() + JOIN_TIMEOUT_NS;
    const struct timespec until = {(time_t)(until_ns / DS_NS_PER_S),
                                   (long)(until_ns % DS_NS_PER_S)};
    pthread_mutex_lock(&sampler->mutex);
    sampler->stopping = true;
    pthread_cond_signal(&sampler->wake);
    while (!sampler->finished &&
           pthread_cond_timedwait(&sampler->wake, &sampler->mutex, &until) != ETIMEDOUT)
        ;
    bool finished = sampler->finished;
    /* Calls that came back after we asked to stop; one that did not stays noted. */
    for (uint32_t i = 0; finished && i < sampler->entry_count; i++) {
        if (sampler->device[i] != NO_DEVICE)
            rf_gpu_calling(&sampler->entries[i], 0);
    }
    sampler->abandoned = !finished;
    pthread_t thread = sampler->thread;
    pthread_mutex_unlock(&sampler->mutex);
    if (finished) {
        pthread_join(thread, NULL);
        free_sampler(sampler);
    } else {
        pthread_detach(thread);
    }
}

uint32_t gpu_read_visible(const struct gpu_vendor *vendor, const char *visible,
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
    uint32_t shown = gpu_visible_map(visible, devices, count, map,
                                     capacity < MAX_SAMPLED ? capacity : MAX_SAMPLED);
    for (uint32_t i = 0; i < shown; i++) {
        samples[i] = nothing_read;
        vendor->sample(library, map[i], &samples[i]);
        samples[i].time_ns = ds_now_ns();
    }
    vendor->close(library);
    return shown;
}
