/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/visible.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_FOUND UINT32_MAX

struct machine {
    const struct rf_gpu_static *devices;
    uint32_t count;
    bool order_known;
};

/* A GPU in MIG mode cannot be used itself: its first instance, which stands behind it. */
static uint32_t usable(const struct machine *machine, uint32_t place)
{
    const bool has_instances = place + 1 < machine->count && !machine->devices[place].mig &&
                               machine->devices[place + 1].mig;
    return has_instances ? place + 1 : place;
}

static uint32_t find_by_index(const struct machine *machine, const char *text)
{
    char *end;
    unsigned long index = strtoul(text, &end, 10);
    if (*end != '\0' || !machine->order_known)
        return NOT_FOUND;
    for (uint32_t i = 0; i < machine->count; i++) {
        if (!machine->devices[i].mig && index-- == 0)
            return usable(machine, i);
    }
    return NOT_FOUND;
}

static uint32_t find_by_uuid(const struct machine *machine, const char *prefix, bool mig)
{
    uint32_t found = NOT_FOUND;
    for (uint32_t i = 0; i < machine->count; i++) {
        if ((machine->devices[i].mig != 0) != mig ||
            strncmp(machine->devices[i].uuid, prefix, strlen(prefix)) != 0)
            continue;
        if (found != NOT_FOUND)
            return NOT_FOUND; /* not unique */
        found = i;
    }
    return found == NOT_FOUND || mig ? found : usable(machine, found);
}

/* "MIG-GPU-UUID/GI/CI", the form of drivers before 470. */
static uint32_t find_by_instance(const struct machine *machine, const char *text)
{
    char uuid[96];
    unsigned long long gpu_instance, compute_instance;
    int end = 0;
    if (sscanf(text, "MIG-%95[^/]/%llu/%llu%n", uuid, &gpu_instance, &compute_instance, &end) !=
            3 ||
        text[end] != '\0')
        return NOT_FOUND;
    uint32_t parent = NOT_FOUND;
    for (uint32_t i = 0; i < machine->count; i++) {
        const struct rf_gpu_static *device = &machine->devices[i];
        if (!device->mig)
            parent = i;
        else if (parent != NOT_FOUND && strcmp(machine->devices[parent].uuid, uuid) == 0 &&
                 device->gpu_instance == gpu_instance &&
                 device->compute_instance == compute_instance)
            return i;
    }
    return NOT_FOUND;
}

static uint32_t find(const struct machine *machine, const char *entry)
{
    if (entry[0] >= '0' && entry[0] <= '9')
        return find_by_index(machine, entry);
    if (strncmp(entry, "GPU-", 4) == 0)
        return find_by_uuid(machine, entry, false);
    if (strncmp(entry, "MIG-GPU-", 8) == 0)
        return find_by_instance(machine, entry);
    return strncmp(entry, "MIG-", 4) == 0 ? find_by_uuid(machine, entry, true) : NOT_FOUND;
}

/* Copies the entry at *cursor without spaces and moves on; false at the end of the list. */
static bool next_entry(const char **cursor, char *entry, size_t size)
{
    if (*cursor == NULL)
        return false;
    const char *comma = strchr(*cursor, ',');
    size_t length = comma != NULL ? (size_t)(comma - *cursor) : strlen(*cursor);
    const char *start = *cursor;
    while (length > 0 && *start == ' ') {
        start++;
        length--;
    }
    while (length > 0 && start[length - 1] == ' ')
        length--;
    *cursor = comma != NULL ? comma + 1 : NULL;
    if (length >= size)
        length = size - 1;
    memcpy(entry, start, length);
    entry[length] = '\0';
    return true;
}

/* Whether indices mean something. */
static bool order_is_known(const char *order, const struct rf_gpu_static *devices, uint32_t count)
{
    if (order != NULL && strcmp(order, "PCI_BUS_ID") == 0)
        return true;
    const struct rf_gpu_static *first = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (devices[i].mig)
            continue;
        if (first != NULL && strcmp(first->name, devices[i].name) != 0)
            return false;
        first = &devices[i];
    }
    return true;
}

static uint32_t map_all(const struct machine *machine, uint32_t *map, uint32_t capacity)
{
    uint32_t found = 0, first_mig = NOT_FOUND;
    for (uint32_t i = 0; i < machine->count; i++) {
        if (machine->devices[i].mig && first_mig == NOT_FOUND)
            first_mig = i;
        else if (!machine->devices[i].mig && usable(machine, i) == i && found < capacity)
            map[found++] = i;
    }
    if (first_mig != NOT_FOUND && capacity > 0) {
        map[0] = first_mig;
        return 1;
    }
    return machine->order_known || found < 2 ? found : 0;
}

uint32_t gpu_ordinal_map(const char *visible, const char *order,
                         const struct rf_gpu_static *devices, uint32_t count, uint32_t *map,
                         uint32_t capacity)
{
    const struct machine machine = {devices, count, order_is_known(order, devices, count)};
    uint32_t found = 0;
    if (visible == NULL)
        return map_all(&machine, map, capacity);
    char entry[128];
    while (found < capacity && next_entry(&visible, entry, sizeof entry)) {
        const uint32_t place = find(&machine, entry);
        if (place == NOT_FOUND)
            break;
        for (uint32_t i = 0; i < found; i++) {
            if (map[i] == place)
                return 0;
        }
        if (devices[place].mig) {
            if (found == 0)
                map[found++] = place;
            break; /* one instance, and nothing beside it */
        }
        map[found++] = place;
    }
    return found;
}
