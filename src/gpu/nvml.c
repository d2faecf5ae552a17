/* NVML by dlopen: no header, no link, no driver needed. Cheap calls only (measured on an H100:
 * utilisation 1.6 us, memory 11, temperature 3.8, power 3.8, clocks 1.8 each; total energy takes 4
 * ms and PCIe throughput 21 ms, so they are not here). The newest name of a function is tried
 * first, and a missing one costs its own field only. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/sampler.h"

#define MAX_DEVICES 64u

#define NVML_SUCCESS 0u
#define NVML_ERROR_NOT_SUPPORTED 3u
#define NVML_ERROR_FUNCTION_NOT_FOUND 13u
#define NVML_ERROR_GPU_IS_LOST 15u
#define NVML_ERROR_RESET_REQUIRED 16u
#define NVML_ERROR_UNKNOWN 999u

#define NVML_TEMPERATURE_GPU 0
#define NVML_CLOCK_SM 1
#define NVML_CLOCK_MEM 2

typedef struct nvml_device *nvml_device;
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

struct gpu_library {
    void *handle;
    uint32_t device_count;
    nvml_device devices[MAX_DEVICES];
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
};

static void find(struct gpu_library *nvml, void *function, const char *name, const char *older)
{
    void *symbol = dlsym(nvml->handle, name);
    if (symbol == NULL && older != NULL)
        symbol = dlsym(nvml->handle, older);
    memcpy(function, &symbol, sizeof symbol); /* POSIX's way from void * to a function */
}

static void nvml_close(struct gpu_library *nvml)
{
    if (nvml->shutdown != NULL)
        nvml->shutdown();
    dlclose(nvml->handle);
    free(nvml);
}

static uint32_t start(struct gpu_library *nvml)
{
    find(nvml, &nvml->init, "nvmlInit_v2", "nvmlInit");
    find(nvml, &nvml->shutdown, "nvmlShutdown", NULL);
    find(nvml, &nvml->get_count, "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount");
    find(nvml, &nvml->get_handle, "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex");
    find(nvml, &nvml->get_uuid, "nvmlDeviceGetUUID", NULL);
    find(nvml, &nvml->get_name, "nvmlDeviceGetName", NULL);
    find(nvml, &nvml->get_utilization, "nvmlDeviceGetUtilizationRates", NULL);
    find(nvml, &nvml->get_memory, "nvmlDeviceGetMemoryInfo", NULL);
    find(nvml, &nvml->get_memory_v2, "nvmlDeviceGetMemoryInfo_v2", NULL);
    find(nvml, &nvml->get_temperature, "nvmlDeviceGetTemperature", NULL);
    find(nvml, &nvml->get_power, "nvmlDeviceGetPowerUsage", NULL);
    find(nvml, &nvml->get_clock, "nvmlDeviceGetClockInfo", NULL);
    if (nvml->init == NULL || nvml->get_count == NULL || nvml->get_handle == NULL)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    unsigned error = nvml->init();
    unsigned count = 0;
    if (error != NVML_SUCCESS) {
        nvml->shutdown = NULL; /* nothing to shut down */
        return error;
    }
    error = nvml->get_count(&count);
    if (error != NVML_SUCCESS)
        return error;
    nvml->device_count = count < MAX_DEVICES ? count : MAX_DEVICES;
    for (uint32_t i = 0; i < nvml->device_count; i++) {
        if (nvml->get_handle(i, &nvml->devices[i]) != NVML_SUCCESS)
            nvml->devices[i] = NULL;
    }
    return NVML_SUCCESS;
}

static uint32_t nvml_open(struct gpu_library **library)
{
    *library = NULL;
    void *handle = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return GPU_LIBRARY_ABSENT;
    struct gpu_library *nvml = calloc(1, sizeof *nvml);
    if (nvml == NULL) {
        dlclose(handle);
        return NVML_ERROR_UNKNOWN;
    }
    nvml->handle = handle;
    uint32_t error = start(nvml);
    if (error != NVML_SUCCESS) {
        nvml_close(nvml);
        return error;
    }
    *library = nvml;
    return NVML_SUCCESS;
}

static uint32_t nvml_count(struct gpu_library *nvml)
{
    return nvml->device_count;
}

static uint32_t nvml_identify(struct gpu_library *nvml, uint32_t index,
                              struct rf_gpu_static *device)
{
    memset(device, 0, sizeof *device);
    device->index = index;
    nvml_device handle = nvml->devices[index];
    if (handle == NULL)
        return NVML_ERROR_UNKNOWN;
    unsigned error = NVML_SUCCESS;
    if (nvml->get_uuid != NULL)
        error = nvml->get_uuid(handle, device->uuid, sizeof device->uuid);
    if (nvml->get_name != NULL)
        nvml->get_name(handle, device->name, sizeof device->name);
    device->uuid[sizeof device->uuid - 1] = '\0';
    device->name[sizeof device->name - 1] = '\0';
    return error;
}

/* Notes a call's outcome; true when it gave a value. "Not supported" is no failure. A lost GPU
 * stays lost, whatever the calls after it say. */
static bool succeeded(unsigned error, struct rf_gpu_sample *sample)
{
    if (error == NVML_SUCCESS)
        return true;
    if (error != NVML_ERROR_NOT_SUPPORTED && sample->state != RF_GPU_LOST) {
        sample->error = error;
        sample->state = error == NVML_ERROR_GPU_IS_LOST || error == NVML_ERROR_RESET_REQUIRED
                            ? RF_GPU_LOST
                            : RF_GPU_FAILED;
    }
    return false;
}

static void sample_memory(struct gpu_library *nvml, nvml_device device,
                          struct rf_gpu_sample *sample)
{
    /* v2 tells memory reserved by the driver apart, as nvidia-smi does; old drivers have only v1.
     */
    nvml_memory_v2 two = {.version = (unsigned)sizeof two | 2u << 24};
    nvml_memory one = {0};
    if (nvml->get_memory_v2 != NULL && nvml->get_memory_v2(device, &two) == NVML_SUCCESS) {
        sample->memory_used = two.used;
        sample->memory_total = two.total;
        sample->memory_free = two.free;
    } else if (nvml->get_memory != NULL && succeeded(nvml->get_memory(device, &one), sample)) {
        sample->memory_used = one.used;
        sample->memory_total = one.total;
        sample->memory_free = one.free;
    }
}

static void nvml_sample(struct gpu_library *nvml, uint32_t index, struct rf_gpu_sample *sample)
{
    nvml_device device = nvml->devices[index];
    nvml_utilization utilization;
    unsigned value;
    sample->state = RF_GPU_OK;
    if (device == NULL) {
        succeeded(NVML_ERROR_UNKNOWN, sample);
        return;
    }
    if (nvml->get_utilization != NULL &&
        succeeded(nvml->get_utilization(device, &utilization), sample))
        sample->busy_percent = utilization.gpu;
    sample_memory(nvml, device, sample);
    if (nvml->get_temperature != NULL &&
        succeeded(nvml->get_temperature(device, NVML_TEMPERATURE_GPU, &value), sample))
        sample->temperature = value;
    if (nvml->get_power != NULL && succeeded(nvml->get_power(device, &value), sample))
        sample->power_mw = value;
    if (nvml->get_clock != NULL) {
        if (succeeded(nvml->get_clock(device, NVML_CLOCK_SM, &value), sample))
            sample->sm_clock_mhz = value;
        if (succeeded(nvml->get_clock(device, NVML_CLOCK_MEM, &value), sample))
            sample->memory_clock_mhz = value;
    }
}

const struct gpu_vendor gpu_nvml = {
    "nvml", nvml_open, nvml_close, nvml_count, nvml_identify, nvml_sample,
};
