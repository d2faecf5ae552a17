/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs of GPUs: CUDA gives 16 bytes, NVML a text. */
#ifndef DATASTALL_BASE_UUID_H
#define DATASTALL_BASE_UUID_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether NVML's text, "GPU-" or for an instance "MIG-" and the UUID, means these bytes. */
static inline bool ds_uuid_is(const unsigned char uuid[16], const char *text)
{
    char digits[40];
    if (strncmp(text, "GPU-", 4) != 0 && strncmp(text, "MIG-", 4) != 0)
        return false;
    snprintf(digits, sizeof digits,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", uuid[0],
             uuid[1], uuid[2], uuid[3], uuid[4], uuid[5], uuid[6], uuid[7], uuid[8], uuid[9],
             uuid[10], uuid[11], uuid[12], uuid[13], uuid[14], uuid[15]);
    return strcmp(text + 4, digits) == 0;
}

#endif
