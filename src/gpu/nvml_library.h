/* SPDX-License-Identifier: Apache-2.0 */
/* The loaded NVML, for nvml.c and gpm.c. Structs and numbers are those of nvml.h, which is not
 * needed to build; tests/python/test_nvml_header.py compares them with it. */
#ifndef DATASTALL_GPU_NVML_LIBRARY_H
#define DATASTALL_GPU_NVML_LIBRARY_H

#include "gpu/device.h"

#define NVML_SUCCESS 0u
#define NVML_ERROR_NOT_SUPPORTED 3u
#define NVML_ERROR_FUNCTION_NOT_FOUND 13u
#define NVML_ERROR_GPU_IS_LOST 15u
#define NVML_ERROR_RESET_REQUIRED 16u
#define NVML_ERROR_NOT_READY 27u
#define NVML_ERROR_UNKNOWN 999u

#define NVML_TEMPERATURE_GPU 0
#define NVML_CLOCK_SM 1
#define NVML_CLOCK_MEM 2
#define NVML_DEVICE_MIG_ENABLE 1u

#define NVML_HELD_SW_POWER_CAP 0x4ull
#define NVML_HELD_HW_SLOWDOWN 0x8ull
#define NVML_HELD_SW_THERMAL 0x20ull
#define NVML_HELD_HW_THERMAL 0x40ull
#define NVML_HELD_HW_POWER_BRAKE 0x80ull

typedef struct nvml_device *nvml_device;
typedef struct nvml_gpm_sample *nvml_gpm_sample;

typedef struct {
    unsigned int gpu, memory; /* percent */
} nvml_utilization;
typedef struct {
    unsigned long long total, free, used; /* bytes */
} nvml_memory;
typedef struct {
    unsigned int version; /* sizeof | 2 << 24 */
    unsigned long long total, reserved, free, used;
} nvml_memory_v2;

#define NVML_GPM_SUPPORT_VERSION 1u
typedef struct {
    unsigned int version;
    unsigned int is_supported;
} nvml_gpm_support;
typedef struct {
    unsigned int id;
    unsigned int result;
    double value;
    struct {
        char *short_name, *long_name, *unit;
    } info;
} nvml_gpm_metric;
#define NVML_GPM_METRICS_GET_VERSION 1u
enum {
    GPM_METRIC_GRAPHICS = 1,
    GPM_METRIC_SM = 2,
    GPM_METRIC_OCCUPANCY = 3,
    GPM_METRIC_TENSOR = 5, /* any of the tensor pipes */
    GPM_METRIC_DRAM = 10,
    GPM_METRIC_PCIE_TX = 20, /* MiB/s, as are the next three */
    GPM_METRIC_PCIE_RX = 21,
    GPM_METRIC_NVLINK_RX = 60,
    GPM_METRIC_NVLINK_TX = 61
};
/* Its bound grew with every header (98, 210, 333, 477) while the version stayed: room for more. */
#define NVML_GPM_METRICS_ROOM 1024
typedef struct {
    unsigned int version;
    unsigned int count;
    nvml_gpm_sample sample1, sample2;
    nvml_gpm_metric metrics[NVML_GPM_METRICS_ROOM];
} nvml_gpm_metrics_get;

/* GPM's state of one device. */
struct gpm_device {
    bool tried;
    bool usable;
    uint32_t error;             /* why it is not usable; 0: the device has no GPM */
    nvml_gpm_sample samples[2]; /* [at] is the newest */
    uint32_t at;
    uint64_t time_ns; /* of the newest; 0: none */
    nvml_gpm_metrics_get *metrics;
};

/* A physical GPU or a MIG instance of one. */
struct nvml_entry {
    nvml_device handle; /* NULL: NVML has none */
    uint32_t index;     /* of the physical GPU */
    bool is_mig;
    nvml_device parent; /* of a MIG instance */
    struct gpm_device gpm;
};

#define NVML_MAX_ENTRIES 64u

struct gpu_library {
    void *handle;
    uint32_t entry_count;
    struct nvml_entry entries[NVML_MAX_ENTRIES];
    unsigned (*init)(void);
    unsigned (*shutdown)(void);
    unsigned (*get_count)(unsigned *);
    unsigned (*get_handle)(unsigned, nvml_device *);
    unsigned (*get_uuid)(nvml_device, char *, unsigned);
    unsigned (*get_name)(nvml_device, char *, unsigned);
    unsigned (*get_utilization)(nvml_device, nvml_utilization *);
    unsigned (*get_memory)(nvml_device, nvml_memory *);
    unsigned (*get_memory_v2)(nvml_device, nvml_memory_v2 *);
    unsigned (*get_temperature)(nvml_device, int, unsigned *);
    unsigned (*get_power)(nvml_device, unsigned *); /* milliwatts */
    unsigned (*get_clock)(nvml_device, int, unsigned *);
    unsigned (*get_held)(nvml_device, unsigned long long *); /* what holds the clocks back */
    unsigned (*get_mig_mode)(nvml_device, unsigned *current, unsigned *pending);
    unsigned (*get_mig_count)(nvml_device, unsigned *most);
    unsigned (*get_mig_handle)(nvml_device, unsigned index, nvml_device *);
    unsigned (*get_gpu_instance)(nvml_device, unsigned *);
    unsigned (*get_compute_instance)(nvml_device, unsigned *);
    unsigned (*gpm_support)(nvml_device, nvml_gpm_support *);
    unsigned (*gpm_alloc)(nvml_gpm_sample *);
    unsigned (*gpm_free)(nvml_gpm_sample);
    unsigned (*gpm_sample)(nvml_device, nvml_gpm_sample);
    unsigned (*gpm_mig_sample)(nvml_device parent, unsigned gpu_instance, nvml_gpm_sample);
    unsigned (*gpm_metrics)(nvml_gpm_metrics_get *);
};

/* Looks up GPM's functions; a driver without them has none. */
void gpm_find(struct gpu_library *nvml,
              void (*find)(struct gpu_library *, void *, const char *, const char *));

/* Takes a GPM sample and, when the one before is at least 100 ms old, fills in the activity and the
 * other figures of the time between; a sooner one only says that the activity is pending. Nothing
 * where the device has no GPM or the call is not permitted. */
void gpm_sample(struct gpu_library *nvml, struct nvml_entry *entry, struct rf_gpu_sample *sample);

void gpm_release(struct gpu_library *nvml, struct nvml_entry *entry);

#endif
