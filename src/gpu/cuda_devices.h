/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices this process sees, by the CUDA driver itself. */
#ifndef DATASTALL_GPU_CUDA_DEVICES_H
#define DATASTALL_GPU_CUDA_DEVICES_H

#include <stdint.h>

/* The UUIDs of CUDA ordinals 0, 1 ...; their number. 0 where the process has not loaded and
 * initialised the driver: this never does. */
uint32_t cuda_device_uuids(unsigned char (*uuids)[16], uint32_t capacity);

#endif
