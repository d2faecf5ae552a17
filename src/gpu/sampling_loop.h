/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one device after the other, once per interval, and tells what they say. The only code that
 * enters a vendor's library to sample, by one thread of a process at a time. */
#ifndef DATASTALL_GPU_SAMPLING_LOOP_H
#define DATASTALL_GPU_SAMPLING_LOOP_H

#include "gpu/message.h"

/* Where the loop tells and asks. */
struct gpu_port {
    void *context;
    /* Hands a message over; false: nobody listens any more. */
    bool (*tell)(void *context, const struct gpu_message *message);
    /* Waits until time_ns, or for an order. False: the time came; true: *order is GPU_GO or
     * GPU_STOP, the latter also where nobody listens any more. */
    bool (*wait)(void *context, uint64_t time_ns, struct gpu_message *order);
    /* Around every call of the library. */
    void (*enter)(void *context);
    void (*leave)(void *context);
};

/* Opens the library, samples until told to stop, says GPU_ENDED, closes the library. */
void gpu_sampling_loop(const struct gpu_vendor *vendor, const struct gpu_plan *plan,
                       const struct gpu_port *port);

#endif
