/* SPDX-License-Identifier: Apache-2.0 */
/* One table of functions per vendor library, and a value per field that says "not read" by itself.
 */
#ifndef DATASTALL_GPU_DEVICE_H
#define DATASTALL_GPU_DEVICE_H

#include <stdint.h>

#include "runfile/writer.h"

struct gpu_library; /* a loaded and initialised vendor library */

/* One thread of a process at a time is in any of these, whatever the device and the library opened:
 * NVML calls itself thread-safe, and crashes when two threads are in its GPM functions. */
struct gpu_vendor {
    const char *name; /* the `source` of its figures: "nvml" */
    /* Loads the library with dlopen and initialises it. 0 and *library, or the library's error code
     * (for NVML: 12 library not found, 9 no driver ...). May block for as long as the driver does.
     */
    uint32_t (*open)(struct gpu_library **library);
    void (*close)(struct gpu_library *library);
    uint32_t (*count)(struct gpu_library *library);
    /* Identity of device `index`; fields that cannot be read stay empty. 0 or an error code. */
    uint32_t (*identify)(struct gpu_library *library, uint32_t index, struct rf_gpu_static *device);
    /* Reads the cheap figures; RF_UNKNOWN and NaN where one could not be. Sets state and error. The
     * caller gives the span of an activity of source NVML. */
    void (*sample)(struct gpu_library *library, uint32_t index, struct rf_gpu_sample *sample);
    /* Whether the device counts its activity itself; asked after a sample. *error: the code of what
     * keeps it from that, 0: the device has no such counters. */
    bool (*has_counters)(struct gpu_library *library, uint32_t index, uint32_t *error);
};

extern const struct gpu_vendor gpu_nvml;

#endif
