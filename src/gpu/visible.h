/* Which devices a process sees as CUDA ordinals 0, 1, 2 ... Pure: takes the environment as strings.
 */
#ifndef DATASTALL_GPU_VISIBLE_H
#define DATASTALL_GPU_VISIBLE_H

#include "runfile/layout.h"

/* Fills map[ordinal] with the place in devices[] and returns the number of visible devices.
 *
 * visible is CUDA_VISIBLE_DEVICES (NULL: not set): indices or unique beginnings of UUIDs, separated
 * by commas. As in CUDA, the first invalid entry ends the list, an entry that stands twice leaves
 * none, and an empty string means none. Indices count in NVML's order (by PCI bus), which is CUDA's
 * with CUDA_DEVICE_ORDER=PCI_BUS_ID and on machines whose GPUs are all of one kind. MIG entries are
 * not resolved yet: they count as invalid. */
uint32_t gpu_visible_map(const char *visible, const struct rf_gpu_static *devices, uint32_t count,
                         uint32_t *map, uint32_t capacity);

#endif
