/* SPDX-License-Identifier: Apache-2.0 */
/* Samples every GPU once per interval and writes what they say to a run file. The vendor's library is
 * entered by a process beside this one (sampler_process.h); a thread here takes down what that tells.
 * Where there is no such process, the thread enters the library itself: one thread for all devices,
 * and one at a time of all samplers in this process. */
#ifndef DATASTALL_GPU_SAMPLER_H
#define DATASTALL_GPU_SAMPLER_H

#include "gpu/device.h"

struct gpu_sampler;

/* What a vendor's open() returns when its library is not on this machine, which is no failure. (The
 * number is NVML's; it stands so in run files.) */
#define GPU_LIBRARY_ABSENT 12u

struct gpu_sampler_options {
    /* Sampled by a thread of this process where no other process does it; NULL: never. */
    const struct gpu_vendor *vendor;
    const char *program;      /* that samples; NULL: looked for, see gpu_program_find() */
    struct rf_writer *writer; /* with a GPU section; devices beyond its entries are left out */
    double interval_s;
    double first_retry_s;  /* after which a device that hung is tried again; 0: a minute */
    const uint64_t *stage; /* the stage that samples belong to, read at each; NULL: none */
    /* Sample these CUDA ordinals of the process, in entry 0, 1 ...; NULL: every device by NVML
     * index. An ordinal that there is not keeps an empty entry. */
    const int *ordinals;
    uint32_t ordinal_count;
    /* Called with every sample, from the sampler's thread, one call at a time; NULL: not. */
    void (*on_sample)(void *context, uint32_t entry, const struct rf_gpu_sample *sample);
    void *context;
};

/* Starts the thread that does all the rest: the caller never waits for a driver or a program.
 * options is copied, but not what writer, stage and context point to, as is the environment: it may
 * change later. NULL: no thread, no memory; the run file then says so.
 *
 * A device that does not answer for some seconds is noted as owing an answer and left alone, and the
 * others are sampled on by a new process; after a while it is tried again, each time after twice as
 * long. It owes the answer until a sample comes. A library that crashes or leaves ends the sampling;
 * what was sampled stays, and the run file says why. */
struct gpu_sampler *gpu_sampler_start(const struct gpu_sampler_options *options);

/* Ends the sampling with one last sample where the driver is quick, and waits up to 100 ms for it.
 * What hangs in the driver is left behind, and how long it has is noted; it never touches writer,
 * stage or context again. The sampler is gone after the call. */
void gpu_sampler_stop(struct gpu_sampler *sampler);

/* Opens the library, reads every device that the process sees by `visible` (CUDA_VISIBLE_DEVICES)
 * and `order` (CUDA_DEVICE_ORDER), see gpu_ordinal_map(), once, closes it. Returns their number, 0
 * without a driver, or where it crashes. The library is entered as by a sampler: in a process of its
 * own where there is the program, whose environment is `environment` (gpu_environment_copy()) then;
 * `program` NULL: by this thread. May block for as long as the driver does. */
uint32_t gpu_read_visible(const struct gpu_vendor *vendor, const char *program,
                          char *const *environment, const char *visible, const char *order,
                          struct rf_gpu_sample *samples, uint32_t capacity);

/* Around the library within this process, for who enters it by hand; not recursive. */
void gpu_library_enter(void);
void gpu_library_leave(void);

#endif
