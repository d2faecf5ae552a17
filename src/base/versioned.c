/* SPDX-License-Identifier: Apache-2.0 */
#include "base/versioned.h"

#include <string.h>

#include "base/error.h"

static int check_size(const void *object, const char *name, size_t *size)
{
    if (object == NULL)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "%s is NULL", name);
    memcpy(size, object, sizeof *size);
    if (*size < DS_LEAST_STRUCT)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "%s->struct_size is not set", name);
    if (*size > DS_LARGEST_STRUCT)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "%s->struct_size is %zu; at most %u", name, *size,
                       DS_LARGEST_STRUCT);
    return DATASTALL_OK;
}

int ds_take_struct(void *known, size_t known_size, const void *given, const char *name)
{
    size_t size = 0;
    if (given == NULL)
        return DATASTALL_OK;
    int error = check_size(given, name, &size);
    if (error != DATASTALL_OK)
        return error;
    const unsigned char *bytes = given;
    for (size_t i = known_size; i < size; i++) {
        if (bytes[i] != 0x00 && bytes[i] != 0xff)
            return ds_fail(DATASTALL_ERR_ARGUMENT,
                           "%s sets something that datastall " DATASTALL_VERSION " does not know",
                           name);
    }
    memcpy((char *)known + sizeof size, bytes + sizeof size,
           (size < known_size ? size : known_size) - sizeof size);
    return DATASTALL_OK;
}

int ds_give_struct(void *result, const void *known, size_t known_size, const char *name)
{
    size_t size = 0;
    int error = check_size(result, name, &size);
    if (error != DATASTALL_OK)
        return error;
    memcpy((char *)result + sizeof size, (const char *)known + sizeof size,
           (size < known_size ? size : known_size) - sizeof size);
    return DATASTALL_OK;
}
