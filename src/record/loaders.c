/* SPDX-License-Identifier: Apache-2.0 */
/* Loaders: who they are, and finding them again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault_guard.h"
#include "base/short_name.h"
#include "base/versioned.h"
#include "record/monitor.h"

uint64_t monitor_new_loader_number(void)
{
    static uint64_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static char *identity_of(const datastall_loader_options *options)
{
    char *identity = NULL;
    if (options->identity != NULL)
        return strdup(options->identity);
    if (asprintf(&identity, "%s\n%s\n%s", or_empty(options->name), or_empty(options->site),
                 or_empty(options->dataset_type)) < 0)
        return NULL;
    return identity;
}

static bool name_is_taken(const datastall_monitor *monitor, const char *name)
{
    for (uint32_t i = 1; i < monitor->loader_count; i++) {
        if (strcmp(monitor->loader_names[i], name) == 0)
            return true;
    }
    return false;
}

/* The given name, else the stage, else the site; " (2)" where another loader has it. */
static void choose_name(const datastall_monitor *monitor, const datastall_loader_options *options,
                        char name[MONITOR_NAME_BYTES])
{
    const char *wish = or_empty(options->name);
    if (*wish == '\0')
        wish = monitor->stage_names[monitor->current_stage];
    if (*wish == '\0')
        wish = or_empty(options->site);
    if (*wish == '\0')
        wish = "loader";
    ds_short_name(wish, name, MONITOR_NAME_BYTES);
    char cut[MONITOR_NAME_BYTES - 8];
    ds_short_name(wish, cut, sizeof cut);
    for (unsigned n = 2; name_is_taken(monitor, name); n++)
        snprintf(name, MONITOR_NAME_BYTES, "%s (%u)", cut, n);
}

static void add_loader(datastall_monitor *monitor, const datastall_loader_options *options,
                       char *identity)
{
    uint32_t index = monitor->loader_count;
    struct rf_loader_entry entry = {
        .state = 1,
        .source = options->source == 0 ? DATASTALL_SOURCE_MANUAL : options->source,
        .num_workers = options->num_workers,
        .prefetch_factor = options->prefetch_factor,
        .batch_size = options->batch_size,
        .flags = options->flags,
        .registered_ns = ds_now_ns(),
    };
    choose_name(monitor, options, monitor->loader_names[index]);
    memcpy(entry.name, monitor->loader_names[index], sizeof entry.name);
    ds_short_name(options->site, entry.site, sizeof entry.site);
    ds_short_name(options->dataset_type, entry.dataset_type, sizeof entry.dataset_type);
    rf_write_loader(monitor->writer, index, &entry);
    monitor->loaders[index] = (datastall_loader){.monitor = monitor,
                                                 .number = monitor_new_loader_number(),
                                                 .index = index,
                                                 .identity = identity};
    monitor->loader_count++;
}

static void forget_impossible(datastall_monitor *monitor, uint64_t *count)
{
    if (*count == DATASTALL_UNKNOWN || *count <= DATASTALL_MAX_COUNT)
        return;
    *count = DATASTALL_UNKNOWN;
    rf_count_loss(monitor->writer, RF_PROCESS_IMPOSSIBLE_COUNTS);
}

static int take_loader_options(datastall_monitor *monitor, const datastall_loader_options *given,
                               datastall_loader_options *options)
{
    const uint32_t known_flags = DATASTALL_LOADER_PIN_MEMORY | DATASTALL_LOADER_PERSISTENT_WORKERS |
                                 DATASTALL_LOADER_STREAM | DATASTALL_LOADER_SPAWNED |
                                 DATASTALL_LOADER_UNBATCHED | DATASTALL_LOADER_WORKER_INIT |
                                 DATASTALL_LOADER_SET;
    *options = (datastall_loader_options)DATASTALL_LOADER_OPTIONS_INIT;
    int error = ds_take_struct(options, sizeof *options, given, "options");
    if (error != DATASTALL_OK)
        return error;
    if ((options->flags & ~known_flags) != 0)
        return monitor_refuse_flags(options->flags & ~known_flags);
    if (options->source > DATASTALL_SOURCE_TORCH)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "options->source is %u; at most %d", options->source,
                       DATASTALL_SOURCE_TORCH);
    forget_impossible(monitor, &options->num_workers);
    forget_impossible(monitor, &options->prefetch_factor);
    forget_impossible(monitor, &options->batch_size);
    return DATASTALL_OK;
}

int datastall_loader_register(datastall_monitor *monitor, const datastall_loader_options *given,
                              datastall_loader **loader)
{
    if (loader == NULL)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "loader is NULL");
    *loader = NULL;
    if (monitor == NULL)
        return DATASTALL_OK;
    if (!ds_fork_same_process(monitor->generation))
        return monitor_fail_forked();
    datastall_loader_options options;
    int error = take_loader_options(monitor, given, &options);
    if (error != DATASTALL_OK)
        return error;
    char *identity = identity_of(&options);
    if (identity == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    ds_fault_guard_renew();
    pthread_mutex_lock(&monitor->mutex);
    for (uint32_t i = 1; *loader == NULL && i < monitor->loader_count; i++) {
        if (strcmp(monitor->loaders[i].identity, identity) == 0)
            *loader = &monitor->loaders[i];
    }
    if (*loader == NULL && monitor->loader_count < RF_LOADER_CAPACITY) {
        *loader = &monitor->loaders[monitor->loader_count];
        add_loader(monitor, &options, identity);
        identity = NULL;
    }
    if (*loader == NULL)
        *loader = &monitor->loaders[0];
    pthread_mutex_unlock(&monitor->mutex);
    free(identity);
    return DATASTALL_OK;
}
