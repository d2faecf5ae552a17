/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/cuda_devices.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

typedef int cu_result;
#define CU_SUCCESS 0

static bool find(void *library, void *function, const char *name)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

uint32_t cuda_device_uuids(unsigned char (*uuids)[16], uint32_t capacity)
{
    cu_result (*get_count)(int *);
    cu_result (*get_device)(int *, int);
    cu_result (*get_uuid)(unsigned char *, int);
    int count = 0;
    uint32_t found = 0;
    void *library = dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_NOW);
    if (library == NULL)
        return 0;
    /* Without cuInit() in this process, and in a forked child, the first call says so. */
    if (find(library, &get_count, "cuDeviceGetCount") &&
        find(library, &get_device, "cuDeviceGet") &&
        (find(library, &get_uuid, "cuDeviceGetUuid_v2") ||
         find(library, &get_uuid, "cuDeviceGetUuid")) &&
        get_count(&count) == CU_SUCCESS) {
        for (int i = 0; i < count && found < capacity; i++, found++) {
            int device;
            if (get_device(&device, i) != CU_SUCCESS || get_uuid(uuids[i], device) != CU_SUCCESS)
                break;
        }
        /* All or nothing: a gap would shift the ordinals behind it. */
        if (found < capacity && found < (uint32_t)count)
            found = 0;
    }
    dlclose(library);
    return found;
}
