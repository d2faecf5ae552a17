/* SPDX-License-Identifier: Apache-2.0 */
/* Handles: opening, closing, loaders, stages, and which slot a thread writes to. */
#include "record/monitor.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault_guard.h"
#include "base/hot.h"
#include "base/text.h"
#include "base/versioned.h"

#define DEFAULT_SLOTS 32u
#define MAX_SLOTS 256u
#define DEFAULT_RECENT_WAITS 512u
#define MAX_RECENT_WAITS 65536u
#define GPU_ENTRIES 20u /* a launcher has room for more: the file stays below 8 MiB */

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static datastall_monitor *open_monitors;

/* ---- threads ---- */

_Thread_local struct monitor_thread monitor_thread;
static _Thread_local uint64_t thread_number; /* 0: not given yet */

static uint64_t last_thread_number;
static pthread_key_t thread_end_key;
static bool have_thread_end_key; /* without it slots of ended threads are not taken over, no more */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void forget_slots(void)
{
    memset(&monitor_thread.last, 0, sizeof monitor_thread.last);
    memset(monitor_thread.cache, 0, sizeof monitor_thread.cache);
}

/* Another thread of the same loader may take over what an ended thread wrote to: a program that
 * makes a thread per epoch would run out of slots otherwise. */
static void release_slots_of_thread(void *number)
{
    pthread_mutex_lock(&list_mutex);
    for (datastall_monitor *m = open_monitors; m != NULL; m = m->next) {
        for (uint32_t i = 0; i < m->slot_count; i++) {
            if (ds_load(&m->slots[i].owner) != (uint64_t)(uintptr_t)number)
                continue;
            rf_slot_waiting(&m->slots[i].writer, 0); /* begun and forgotten */
            ds_store_release(&m->slots[i].owner, 0);
        }
    }
    pthread_mutex_unlock(&list_mutex);
    /* A destructor that runs after this one may still wait for data: it is a new thread then. */
    forget_slots();
    thread_number = 0;
}

static void forget_parent(void)
{
    pthread_mutex_init(&list_mutex, NULL);
    open_monitors = NULL;
    process_forget_parent();
    ds_fault_guard_after_fork();
}

static void make_thread_key(void)
{
    have_thread_end_key = pthread_key_create(&thread_end_key, release_slots_of_thread) == 0;
    pthread_atfork(NULL, NULL, forget_parent);
}

static uint64_t this_thread(void)
{
    if (thread_number == 0) {
        thread_number = __atomic_add_fetch(&last_thread_number, 1, __ATOMIC_RELAXED);
        if (have_thread_end_key)
            pthread_setspecific(thread_end_key, (void *)(uintptr_t)thread_number);
    }
    return thread_number;
}

#define ANY_DEVICE UINT32_MAX

static struct monitor_slot *find_slot(datastall_monitor *monitor, uint32_t loader, uint64_t owner,
                                      uint32_t device)
{
    for (uint32_t i = 0; i < monitor->slot_count; i++) {
        struct monitor_slot *slot = &monitor->slots[i];
        if (slot->used && slot->loader == loader && ds_load_acquire(&slot->owner) == owner &&
            (device == ANY_DEVICE || slot->device == device))
            return slot;
    }
    return NULL;
}

/* The thread's slot, or an abandoned one of the same loader. With a device: that device's, or one
 * that has none yet. */
static struct monitor_slot *known_slot(datastall_monitor *monitor, uint32_t loader, uint64_t me,
                                       uint32_t device)
{
    struct monitor_slot *slot = find_slot(monitor, loader, me, device);
    if (slot == NULL && device != ANY_DEVICE)
        slot = find_slot(monitor, loader, me, 0);
    if (slot == NULL)
        slot = find_slot(monitor, loader, 0, device);
    if (slot == NULL && device != ANY_DEVICE)
        slot = find_slot(monitor, loader, 0, 0);
    return slot;
}

static struct monitor_slot *fresh_slot(datastall_monitor *monitor, uint32_t loader)
{
    for (uint32_t i = 0; i < monitor->slot_count; i++) {
        struct monitor_slot *slot = &monitor->slots[i];
        if (slot->used)
            continue;
        rf_slot_attach(monitor->writer, i, &slot->writer);
        slot->used = true;
        slot->loader = loader;
        return slot;
    }
    return NULL;
}

/* The thread's slot for a loader, an abandoned one of the same loader, a fresh one, or the overflow:
 * that has no device. */
static struct monitor_slot *claim_slot(datastall_loader *loader, uint32_t device)
{
    datastall_monitor *monitor = loader->monitor;
    const uint64_t me = this_thread();
    pthread_mutex_lock(&monitor->mutex);
    monitor->claims++;
    struct monitor_slot *slot = known_slot(monitor, loader->index, me, device);
    if (slot == NULL)
        slot = fresh_slot(monitor, loader->index);
    if (slot != NULL) {
        ds_store(&slot->owner, me);
        if (device != ANY_DEVICE)
            slot->device = device;
        rf_slot_assign(&slot->writer, loader->index, (uint64_t)syscall(SYS_gettid));
    } else if (device == ANY_DEVICE) {
        slot = &monitor->overflow;
        if (!slot->used) {
            rf_slot_attach(monitor->writer, monitor->slot_count, &slot->writer);
            rf_slot_assign(&slot->writer, 0, 0);
            slot->used = true;
        }
    }
    pthread_mutex_unlock(&monitor->mutex);
    return slot;
}

uint64_t monitor_thread_number(void)
{
    return this_thread();
}

/* Of a loader's slot for a device, and with device 0 of the one where its waits go at present. */
static uint64_t key_of(const datastall_loader *loader, uint32_t device)
{
    return loader->number * MONITOR_CACHE_DEVICES + device;
}

/* Where an entry is, or would go: its home, the next ... up to the first empty one. */
static uint32_t place_of(uint64_t key)
{
    const struct monitor_cached *cache = monitor_thread.cache;
    uint32_t place = (uint32_t)((key / MONITOR_CACHE_DEVICES + 37 * (key % MONITOR_CACHE_DEVICES)) %
                                MONITOR_CACHE_ENTRIES);
    for (uint32_t i = 0; i < MONITOR_CACHE_ENTRIES; i++) {
        if (cache[place].key == key || cache[place].key == 0)
            return place;
        place = (place + 1) % MONITOR_CACHE_ENTRIES;
    }
    /* Full, of closed monitors' loaders most of all: what is still used comes back by itself. */
    forget_slots();
    return place;
}

static struct monitor_slot *cached_slot(uint64_t key)
{
    const struct monitor_cached *found = &monitor_thread.cache[place_of(key)];
    return found->key == key ? found->slot : NULL;
}

static void remember(uint64_t key, struct monitor_slot *slot)
{
    const struct monitor_cached found = {key, slot};
    monitor_thread.cache[place_of(key)] = found;
    if (key % MONITOR_CACHE_DEVICES == 0 && slot != NULL)
        monitor_thread.last = found;
}

static __attribute__((noinline)) struct monitor_slot *look_further(datastall_loader *loader)
{
    struct monitor_slot *slot = cached_slot(key_of(loader, 0));
    if (slot == NULL)
        slot = claim_slot(loader, ANY_DEVICE);
    remember(key_of(loader, 0), slot);
    return slot;
}

struct monitor_slot *monitor_slot_on_device(datastall_loader *loader, int number)
{
    const uint32_t device = (uint32_t)number + 1;
    struct monitor_slot *slot = loader == NULL ? NULL : monitor_slot_of(loader);
    if (slot == NULL || slot == &loader->monitor->overflow || device >= MONITOR_CACHE_DEVICES)
        return NULL;
    if (slot->device == device)
        return slot;
    slot = cached_slot(key_of(loader, device));
    if (slot == NULL) {
        slot = claim_slot(loader, device);
        if (slot == NULL)
            return NULL;
        remember(key_of(loader, device), slot);
    }
    remember(key_of(loader, 0), slot);
    return slot;
}

static __attribute__((noinline)) struct monitor_slot *no_slot(datastall_monitor *monitor)
{
    if (!ds_fork_same_process(monitor->generation))
        __atomic_fetch_add(&monitor->calls_in_child, 1, __ATOMIC_RELAXED);
    return NULL;
}

struct monitor_slot *monitor_look_for_slot(datastall_loader *loader)
{
    return monitor_is_recording(loader->monitor) ? look_further(loader) : no_slot(loader->monitor);
}

/* ---- opening and closing ---- */

static uint32_t round_up_to_power_of_two(uint32_t n)
{
    uint32_t power = 1;
    while (power < n)
        power *= 2;
    return power;
}

int monitor_refuse_flags(uint32_t unknown)
{
    return ds_fail(DATASTALL_ERR_ARGUMENT,
                   "options->flags has bits that datastall " DATASTALL_VERSION
                   " does not know: 0x%x",
                   unknown);
}

static int normalise_options(const datastall_options *given, datastall_options *options)
{
    *options = (datastall_options)DATASTALL_OPTIONS_INIT;
    int error = ds_take_struct(options, sizeof *options, given, "options");
    if (error != DATASTALL_OK)
        return error;
    if ((options->flags & ~DATASTALL_MEMORY_ONLY) != 0)
        return monitor_refuse_flags(options->flags & ~DATASTALL_MEMORY_ONLY);
    if (options->reserved != 0)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "options->reserved is not 0");
    if (options->max_slots > MAX_SLOTS)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "max_slots is %u; at most %u", options->max_slots,
                       MAX_SLOTS);
    if (options->recent_waits > MAX_RECENT_WAITS)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "recent_waits is %u; at most %u",
                       options->recent_waits, MAX_RECENT_WAITS);
    if (options->recent_gpu_samples > MAX_RECENT_WAITS)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "recent_gpu_samples is %u; at most %u",
                       options->recent_gpu_samples, MAX_RECENT_WAITS);
    if (options->max_slots == 0)
        options->max_slots = DEFAULT_SLOTS;
    if (options->recent_waits == 0)
        options->recent_waits = DEFAULT_RECENT_WAITS;
    options->recent_waits = round_up_to_power_of_two(options->recent_waits);
    return DATASTALL_OK;
}

/* The process's start is known to the kernel's clock tick. */
static uint64_t earliest_end_ns(uint64_t process_start_ns)
{
    return process_start_ns == RF_UNKNOWN || process_start_ns <= DS_NS_PER_S
               ? 1
               : process_start_ns - DS_NS_PER_S;
}

static int make_writer(const datastall_options *options, datastall_monitor *monitor)
{
    const bool memory_only = (options->flags & DATASTALL_MEMORY_ONLY) != 0;
    /* Under a launcher its file holds the GPUs. */
    const struct rf_spec spec = {
        .slots = options->max_slots + 1,
        .recent_waits = options->recent_waits,
        .gpus = process_has_launcher() && !memory_only ? 0 : GPU_ENTRIES,
        .gpu_samples = round_up_to_power_of_two(
            options->recent_gpu_samples != 0 ? options->recent_gpu_samples : RF_GPU_RECENT),
        .workers = memory_only ? 0 : MONITOR_WORKER_ENTRIES,
        .stretches = memory_only ? 0 : RF_STRETCH_LOADERS,
        .steps = memory_only ? 0 : RF_STEPS_ENTRIES,
    };
    struct rf_process_static process;
    process_describe(options, &process);
    monitor->earliest_end_ns = earliest_end_ns(process.process_start_mono_ns);
    struct rf_header size;
    rf_layout_file(&spec, &size);
    if (size.file_bytes > RF_MAX_FILE_BYTES)
        return ds_fail(DATASTALL_ERR_ARGUMENT,
                       "max_slots, recent_waits and recent_gpu_samples together need %llu MiB; at "
                       "most %llu",
                       (unsigned long long)(size.file_bytes >> 20),
                       (unsigned long long)(RF_MAX_FILE_BYTES >> 20));
    if (memory_only)
        return rf_writer_create(NULL, &spec, &process, &monitor->writer);
    int error = process_make_file(options, &spec, &process, size.file_bytes, &monitor->writer);
    /* The run may have come home at this very moment: then there. */
    if (error == DATASTALL_ERR_NOT_FOUND)
        error = process_make_file(options, &spec, &process, size.file_bytes, &monitor->writer);
    if (error != DATASTALL_OK)
        process_run_abandon();
    return error;
}

static void free_monitor(datastall_monitor *monitor)
{
    for (uint32_t i = 0; i < RF_LOADER_CAPACITY; i++)
        free(monitor->loaders[i].identity);
    rf_writer_destroy(monitor->writer);
    free(monitor->host);
    free(monitor->steps);
    for (uint32_t i = 0; monitor->slots != NULL && i < monitor->slot_count; i++)
        free(monitor->slots[i].stalls);
    free(monitor->slots);
    free(monitor->scratch);
    free(monitor->totals);
    free(monitor);
}

static void add_other_entries(datastall_monitor *monitor)
{
    struct rf_loader_entry other = {.num_workers = RF_UNKNOWN,
                                    .prefetch_factor = RF_UNKNOWN,
                                    .batch_size = RF_UNKNOWN,
                                    .source = DATASTALL_SOURCE_MANUAL,
                                    .name = "other"};
    rf_write_loader(monitor->writer, 0, &other);
    strcpy(monitor->loader_names[0], "other");
    monitor->loaders[0] =
        (datastall_loader){.monitor = monitor, .number = monitor_new_loader_number()};
    monitor->loader_count = 1;
    strcpy(monitor->stage_names[RF_STAGE_OTHER], "other");
    monitor->stage_count = 1;
    rf_put(&monitor->writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_STAGE_SINCE, ds_now_ns());
    rf_publish(&monitor->writer->process);
}

int datastall_open(const datastall_options *given, datastall_monitor **result)
{
    if (result == NULL)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "monitor is NULL");
    *result = NULL;
    datastall_options options;
    int error = normalise_options(given, &options);
    if (error != DATASTALL_OK)
        return error;
    pthread_once(&once, make_thread_key);
    datastall_monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    monitor->generation = ds_fork_generation();
    monitor->slot_count = options.max_slots;
    monitor->slots = calloc(options.max_slots, sizeof *monitor->slots);
    monitor->totals = malloc(sizeof *monitor->totals);
    error = monitor->slots == NULL || monitor->totals == NULL || monitor->generation == 0
                ? ds_fail(DATASTALL_ERR_MEMORY, "out of memory")
                : make_writer(&options, monitor);
    if (error == DATASTALL_OK) {
        monitor->scratch = calloc(monitor->writer->slot_layout.words, 8);
        if (monitor->scratch == NULL)
            error = ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    if (error != DATASTALL_OK) {
        if (monitor->writer != NULL && monitor->writer->path != NULL)
            unlink(monitor->writer->path);
        free_monitor(monitor);
        return error;
    }
    pthread_mutex_init(&monitor->mutex, NULL);
    add_other_entries(monitor);
    pthread_mutex_lock(&list_mutex);
    monitor->next = open_monitors;
    open_monitors = monitor;
    pthread_mutex_unlock(&list_mutex);
    *result = monitor;
    return DATASTALL_OK;
}

/* Stage times are kept up to date at every change; the last stage ends with the file. */
static void change_stage(datastall_monitor *monitor, uint32_t stage, uint32_t entries)
{
    struct rf_commit *process = &monitor->writer->process;
    const uint64_t at = RF_BLOCK_PAYLOAD;
    const uint64_t old = ds_load(&monitor->current_stage);
    const uint64_t now = ds_now_ns();
    rf_put_add(process, at + RF_PROCESS_STAGE_NS + old,
               now - rf_current(process, at + RF_PROCESS_STAGE_SINCE));
    rf_put_add(process, at + RF_PROCESS_STAGE_ENTRIES + stage, entries);
    rf_put(process, at + RF_PROCESS_STAGE, stage);
    rf_put(process, at + RF_PROCESS_STAGE_SINCE, now);
    rf_publish(process);
    ds_store_release(&monitor->current_stage, stage); /* after the name, for other threads */
}

static uint64_t refused_words(const datastall_monitor *monitor)
{
    uint64_t sum = monitor->writer->process.refused + monitor->overflow.writer.commit.refused;
    for (uint32_t i = 0; i < monitor->slot_count; i++)
        sum += monitor->slots[i].writer.commit.refused;
    return sum;
}

/* Once and here: the recording path says nothing. */
static void say_what_cannot_be(const datastall_monitor *monitor)
{
    datastall_lost lost = DATASTALL_LOST_INIT;
    const uint64_t refused = refused_words(monitor);
    if (refused > 0)
        ds_say("%llu words of records found no room in their journal, which is a bug in datastall: "
               "figures over time and by stage lack them",
               (unsigned long long)refused);
    if (datastall_lost_get(monitor, &lost) != DATASTALL_OK ||
        lost.impossible_times + lost.impossible_counts + lost.unknown_arguments == 0)
        return;
    ds_say("the program reported impossible values, which are not counted: %llu times of waits, "
           "%llu figures of batches, %llu unknown kinds, flags or sizes",
           (unsigned long long)lost.impossible_times, (unsigned long long)lost.impossible_counts,
           (unsigned long long)lost.unknown_arguments);
}

void monitor_end(datastall_monitor *monitor)
{
    if (monitor == NULL || !ds_fork_same_process(monitor->generation) || monitor->ended)
        return;
    pthread_mutex_lock(&monitor->mutex);
    void (*on_close)(void *) = monitor->on_close;
    monitor->on_close = NULL;
    pthread_mutex_unlock(&monitor->mutex);
    if (on_close != NULL)
        on_close(monitor->on_close_context);
    pthread_mutex_lock(&list_mutex);
    for (datastall_monitor **m = &open_monitors; *m != NULL; m = &(*m)->next) {
        if (*m == monitor) {
            *m = monitor->next;
            break;
        }
    }
    bool last = open_monitors == NULL;
    pthread_mutex_unlock(&list_mutex);
    ds_fault_guard_renew();
    pthread_mutex_lock(&monitor->mutex);
    ds_store(&monitor->off, 1);
    monitor->ended = true;
    change_stage(monitor, (uint32_t)monitor->current_stage, 0); /* its time; no new entry */
    rf_writer_mark_closed(monitor->writer);
    pthread_mutex_unlock(&monitor->mutex);
    say_what_cannot_be(monitor);
    if (ds_load(&monitor->writer->lost) != 0)
        ds_say("the run file %s was cut short by somebody else; recording stopped there",
               monitor->writer->path);
    if (last && monitor->writer->path != NULL)
        process_run_finish();
}

void datastall_close(datastall_monitor *monitor)
{
    if (monitor == NULL)
        return;
    if (!ds_fork_same_process(monitor->generation)) {
        free_monitor(monitor);
        return;
    }
    /* No thread waits any more: what still shows was forgotten. */
    for (uint32_t i = 0; !monitor->ended && i < monitor->slot_count; i++) {
        if (monitor->slots[i].used)
            rf_slot_waiting(&monitor->slots[i].writer, 0);
    }
    monitor_end(monitor);
    free_monitor(monitor);
}

const char *datastall_run_file(const datastall_monitor *monitor)
{
    return monitor == NULL || monitor->writer->path == NULL ? "" : monitor->writer->path;
}

int monitor_fail_off(void)
{
    return ds_fail(DATASTALL_ERR_OFF, "recording is off: no monitor is open");
}

int monitor_fail_forked(void)
{
    return ds_fail(DATASTALL_ERR_FORKED, "the monitor belongs to the parent process");
}

int datastall_monitor_state(const datastall_monitor *monitor)
{
    if (monitor == NULL)
        return monitor_fail_off();
    if (!ds_fork_same_process(monitor->generation))
        return monitor_fail_forked();
    if (ds_load(&monitor->writer->lost) != 0)
        return ds_fail(DATASTALL_ERR_OFF, "recording is off: the run file %s was cut short",
                       monitor->writer->path);
    return DATASTALL_OK;
}

int datastall_lost_get(const datastall_monitor *monitor, datastall_lost *lost)
{
    if (monitor == NULL)
        return monitor_fail_off();
    const uint64_t *payload = monitor->writer->process.block + RF_BLOCK_PAYLOAD;
    const datastall_lost whole = {
        .contention = ds_load(&payload[RF_PROCESS_LOST_CONTENTION]),
        .after_fork = ds_load(&monitor->calls_in_child),
        .merged_other = ds_load(&payload[RF_PROCESS_MERGED_OTHER]),
        .impossible_times = ds_load(&payload[RF_PROCESS_IMPOSSIBLE_TIMES]),
        .impossible_counts = ds_load(&payload[RF_PROCESS_IMPOSSIBLE_COUNTS]),
        .unknown_arguments = ds_load(&payload[RF_PROCESS_UNKNOWN_ARGUMENTS]),
    };
    return ds_give_struct(lost, &whole, sizeof whole, "lost");
}

void monitor_note_accelerator(datastall_monitor *monitor, uint64_t accelerator)
{
    if (!monitor_is_recording(monitor))
        return;
    ds_fault_guard_keep(ds_now_ns());
    /* A single word beside the journal; any thread may set it. */
    uint64_t *word = &monitor->writer->process.block[RF_BLOCK_PAYLOAD + RF_PROCESS_ACCELERATOR];
    if (ds_load(word) != RF_ACCELERATOR_USED)
        ds_store(word, accelerator);
}

void monitor_refuse(datastall_monitor *monitor, enum rf_refusal reason, uint64_t times)
{
    const size_t first = RF_PROCESS_STATIC + offsetof(struct rf_process_static, refused) / 8;
    if (!monitor_is_recording(monitor))
        return;
    ds_fault_guard_keep(ds_now_ns());
    for (uint64_t i = 0; i < times; i++)
        rf_count_loss(monitor->writer, (uint32_t)(first + reason));
}

/* ---- stages ---- */

static uint32_t find_or_add_stage(datastall_monitor *monitor, const char *name)
{
    char cut[MONITOR_NAME_BYTES];
    ds_copy_text(cut, sizeof cut, name);
    for (uint32_t i = 0; i < monitor->stage_count; i++) {
        if (strcmp(monitor->stage_names[i], cut) == 0)
            return i;
    }
    if (monitor->stage_count < RF_STAGE_OTHER) {
        uint32_t index = monitor->stage_count++;
        strcpy(monitor->stage_names[index], cut);
        rf_write_stage(monitor->writer, index, cut);
        return index;
    }
    rf_write_stage(monitor->writer, RF_STAGE_OTHER, "other");
    return RF_STAGE_OTHER;
}

int datastall_stage_set(datastall_monitor *monitor, const char *name, const char **previous)
{
    if (previous != NULL)
        *previous = "";
    if (monitor == NULL)
        return DATASTALL_OK;
    if (!ds_fork_same_process(monitor->generation))
        return monitor_fail_forked();
    ds_fault_guard_renew();
    pthread_mutex_lock(&monitor->mutex);
    if (previous != NULL)
        *previous = monitor->stage_names[monitor->current_stage];
    if (monitor->ended) { /* the file is complete */
        pthread_mutex_unlock(&monitor->mutex);
        return ds_fail(DATASTALL_ERR_OFF, "recording is off: the monitor has ended");
    }
    change_stage(monitor, find_or_add_stage(monitor, name == NULL ? "" : name), 1);
    pthread_mutex_unlock(&monitor->mutex);
    return DATASTALL_OK;
}
