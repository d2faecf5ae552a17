/* One thread that reads every GPU once per interval and writes what it read to a run file. */
#ifndef DATASTALL_GPU_SAMPLER_H
#define DATASTALL_GPU_SAMPLER_H

#include "gpu/device.h"

struct gpu_sampler;

/* Starts the thread, which opens the vendor library itself: the caller never waits for a driver.
 * The writer needs a GPU section; devices beyond its entries are left out. NULL: no thread, no
 * memory. */
struct gpu_sampler *gpu_sampler_start(const struct gpu_vendor *vendor, struct rf_writer *writer,
                                      double interval_s);

/* Ends the sampling and waits up to 100 ms for the thread. A thread that hangs in the driver is
 * left behind; it never touches the writer again. The sampler is gone after the call. */
void gpu_sampler_stop(struct gpu_sampler *sampler);

#endif
