/* SPDX-License-Identifier: Apache-2.0 */
/* NVML by dlopen: no header, no link, no driver needed. Cheap calls only (measured on an H100:
 * utilisation 1.6 us, memory 11, temperature 3.8, power 3.8, clocks 1.8 each; total energy takes 4
 * ms and PCIe throughput 21 ms, so they are not here). The newest name of a function is tried
 * first, and a missing one costs its own field only. */
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/nvml_library.h"
#include "gpu/sampler.h"

static void find(struct gpu_library *nvml, void *function, const char *name, const char *older)
{
    void *symbol = dlsym(nvml->handle, name);
    if (symbol == NULL && older != NULL)
        symbol = dlsym(nvml->handle, older);
    memcpy(function, &symbol, sizeof symbol); /* POSIX's way from void * to a function */
}

static void nvml_close(struct gpu_library *nvml)
{
    for (uint32_t i = 0; i < nvml->entry_count; i++)
        gpm_release(nvml, &nvml->entries[i]);
    if (nvml->shutdown != NULL)
        nvml->shutdown();
    dlclose(nvml->handle);
    free(nvml);
}

static void find_functions(struct gpu_library *nvml)
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
    find(nvml, &nvml->get_held, "nvmlDeviceGetCurrentClocksEventReasons",
         "nvmlDeviceGetCurrentClocksThrottleReasons");
    find(nvml, &nvml->get_mig_mode, "nvmlDeviceGetMigMode", NULL);
    find(nvml, &nvml->get_mig_count, "nvmlDeviceGetMaxMigDeviceCount", NULL);
    find(nvml, &nvml->get_mig_handle, "nvmlDeviceGetMigDeviceHandleByIndex", NULL);
    find(nvml, &nvml->get_gpu_instance, "nvmlDeviceGetGpuInstanceId", NULL);
    find(nvml, &nvml->get_compute_instance, "nvmlDeviceGetComputeInstanceId", NULL);
    gpm_find(nvml, find);
}

/* The instances of a GPU in MIG mode, behind it. Places may be empty. */
static void add_mig_instances(struct gpu_library *nvml, uint32_t index, nvml_device parent)
{
    unsigned current = 0, pending = 0, most = 0;
    if (nvml->get_mig_mode == NULL || nvml->get_mig_count == NULL || nvml->get_mig_handle == NULL ||
        nvml->get_mig_mode(parent, &current, &pending) != NVML_SUCCESS ||
        current != NVML_DEVICE_MIG_ENABLE || nvml->get_mig_count(parent, &most) != NVML_SUCCESS)
        return;
    for (unsigned i = 0; i < most && nvml->entry_count < NVML_MAX_ENTRIES; i++) {
        nvml_device instance;
        if (nvml->get_mig_handle(parent, i, &instance) == NVML_SUCCESS)
            nvml->entries[nvml->entry_count++] = (struct nvml_entry){
                .handle = instance, .index = index, .is_mig = true, .parent = parent};
    }
}

static uint32_t start(struct gpu_library *nvml)
{
    find_functions(nvml);
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
    for (unsigned i = 0; i < count && nvml->entry_count < NVML_MAX_ENTRIES; i++) {
        nvml_device device = NULL;
        if (nvml->get_handle(i, &device) != NVML_SUCCESS)
            device = NULL;
        nvml->entries[nvml->entry_count++] = (struct nvml_entry){.handle = device, .index = i};
        if (device != NULL)
            add_mig_instances(nvml, i, device);
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
    return nvml->entry_count;
}

static uint64_t instance_of(unsigned (*get)(nvml_device, unsigned *), nvml_device device)
{
    unsigned id;
    return get != NULL && get(device, &id) == NVML_SUCCESS ? id : RF_UNKNOWN;
}

static uint32_t nvml_identify(struct gpu_library *nvml, uint32_t index,
                              struct rf_gpu_static *device)
{
    const struct nvml_entry *entry = &nvml->entries[index];
    memset(device, 0, sizeof *device);
    device->index = entry->index;
    if (entry->handle == NULL)
        return NVML_ERROR_UNKNOWN;
    unsigned error = NVML_SUCCESS;
    if (nvml->get_uuid != NULL)
        error = nvml->get_uuid(entry->handle, device->uuid, sizeof device->uuid);
    if (nvml->get_name != NULL)
        nvml->get_name(entry->handle, device->name, sizeof device->name);
    device->uuid[sizeof device->uuid - 1] = '\0';
    device->name[sizeof device->name - 1] = '\0';
    if (entry->is_mig) {
        device->mig = 1;
        device->gpu_instance = instance_of(nvml->get_gpu_instance, entry->handle);
        device->compute_instance = instance_of(nvml->get_compute_instance, entry->handle);
    }
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

static void sample_held(struct gpu_library *nvml, nvml_device device, struct rf_gpu_sample *sample)
{
    const unsigned long long power = NVML_HELD_SW_POWER_CAP | NVML_HELD_HW_POWER_BRAKE;
    const unsigned long long thermal = NVML_HELD_SW_THERMAL | NVML_HELD_HW_THERMAL;
    unsigned long long reasons;
    /* Old drivers and MIG instances do not say; that is no failure of the device. */
    if (nvml->get_held == NULL || nvml->get_held(device, &reasons) != NVML_SUCCESS)
        return;
    sample->held =
        (reasons & power ? RF_HELD_POWER : 0) | (reasons & thermal ? RF_HELD_THERMAL : 0);
    /* HwSlowdown stands beside its reason where the hardware knows one. */
    if (reasons & NVML_HELD_HW_SLOWDOWN &&
        !(reasons & (NVML_HELD_HW_THERMAL | NVML_HELD_HW_POWER_BRAKE)))
        sample->held |= RF_HELD_HARDWARE;
}

static void nvml_sample(struct gpu_library *nvml, uint32_t index, struct rf_gpu_sample *sample)
{
    struct nvml_entry *entry = &nvml->entries[index];
    nvml_device device = entry->handle;
    nvml_utilization utilization;
    unsigned value;
    sample->state = RF_GPU_OK;
    if (device == NULL) {
        succeeded(NVML_ERROR_UNKNOWN, sample);
        return;
    }
    gpm_sample(nvml, entry, sample);
    if (nvml->get_utilization != NULL &&
        succeeded(nvml->get_utilization(device, &utilization), sample)) {
        sample->busy_percent = utilization.gpu;
        if (isnan(sample->activity) && !sample->activity_pending) {
            sample->activity = utilization.gpu * 0.01;
            sample->activity_source = RF_ACTIVITY_NVML;
        }
    }
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
    sample_held(nvml, device, sample);
}

static bool nvml_has_counters(struct gpu_library *nvml, uint32_t index, uint32_t *error)
{
    *error = nvml->entries[index].gpm.error;
    return nvml->entries[index].gpm.usable;
}

const struct gpu_vendor gpu_nvml = {
    "nvml", nvml_open, nvml_close, nvml_count, nvml_identify, nvml_sample, nvml_has_counters,
};
