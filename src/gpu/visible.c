#include "gpu/visible.h"

#include <stdlib.h>
#include <string.h>

#define NOT_FOUND UINT32_MAX

static uint32_t find_by_index(const char *text, uint32_t count)
{
    char *end;
    unsigned long index = strtoul(text, &end, 10);
    return *end == '\0' && index < count ? (uint32_t)index : NOT_FOUND;
}

static uint32_t find_by_uuid(const char *prefix, const struct rf_gpu_static *devices,
                             uint32_t count)
{
    uint32_t found = NOT_FOUND;
    for (uint32_t i = 0; i < count; i++) {
        if (strncmp(devices[i].uuid, prefix, strlen(prefix)) != 0)
            continue;
        if (found != NOT_FOUND)
            return NOT_FOUND; /* not unique */
        found = i;
    }
    return found;
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

uint32_t gpu_visible_map(const char *visible, const struct rf_gpu_static *devices, uint32_t count,
                         uint32_t *map, uint32_t capacity)
{
    uint32_t found = 0;
    if (visible == NULL) {
        for (; found < count && found < capacity; found++)
            map[found] = found;
        return found;
    }
    char entry[128];
    while (found < capacity && next_entry(&visible, entry, sizeof entry)) {
        uint32_t place = entry[0] >= '0' && entry[0] <= '9' ? find_by_index(entry, count)
                         : strncmp(entry, "GPU-", 4) == 0   ? find_by_uuid(entry, devices, count)
                                                            : NOT_FOUND;
        if (place == NOT_FOUND)
            break;
        for (uint32_t i = 0; i < found; i++) {
            if (map[i] == place)
                return 0;
        }
        map[found++] = place;
    }
    return found;
}
