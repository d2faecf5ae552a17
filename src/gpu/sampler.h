/* Threads that read every GPU once per interval and write what they read to a run file: one for each
 * GPU, so that one that hangs holds up no other. */
#ifndef DATASTALL_GPU_SAMPLER_H
#define DATASTALL_GPU_SAMPLER_H

#include "gpu/device.h"

struct gpu_sampler;

/* What a vendor's open() returns when its library is not on this machine, which is no failure. (The
 * number is NVML's; it stands so in run files.) */
#define GPU_LIBRARY_ABSENT 12u

struct gpu_sampler_options {
    const struct gpu_vendor *vendor;
    struct rf_writer *writer; /* with a GPU section; devices beyond its entries are left out */
    double interval_s;
    const uint64_t *stage; /* the stage that samples belong to, read at each; NULL: none */
    /* Sample these CUDA ordinals of the process, in entry 0, 1 ...; NULL: every device by NVML
     * index. An ordinal that there is not keeps an empty entry. */
    const int *ordinals;
    uint32_t ordinal_count;
    /* Called with every sample, from the device's thread, one call at a time; NULL: not. */
    void (*on_sample)(void *context, uint32_t entry, const struct rf_gpu_sample *sample);
    void *context;
};

/* Starts a thread that opens the vendor library itself: the caller never waits for a driver.
 * options is copied, but not what it points to, as are CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER:
 * the environment may change later. NULL: no thread, no memory. */
struct gpu_sampler *gpu_sampler_start(const struct gpu_sampler_options *options);

/* Ends the sampling with one last sample where the driver is quick, and waits up to 100 ms for the
 * threads. One that hangs in the driver is left behind; it never touches writer, stage or context
 * again. The sampler is gone after the call. */
void gpu_sampler_stop(struct gpu_sampler *sampler);

/* Opens the library, reads every device that the process sees by `visible` (CUDA_VISIBLE_DEVICES)
 * and `order` (CUDA_DEVICE_ORDER), see gpu_ordinal_map(), once, closes it. Returns their number, 0
 * without a driver. May block for as long as the driver does. */
uint32_t gpu_read_visible(const struct gpu_vendor *vendor, const char *visible, const char *order,
                          struct rf_gpu_sample *samples, uint32_t capacity);

#endif
