/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices a process sees as CUDA ordinals 0, 1, 2 ... Pure: takes the environment as strings.
 */
#ifndef DATASTALL_GPU_VISIBLE_H
#define DATASTALL_GPU_VISIBLE_H

#include "runfile/layout.h"

/* Fills map[ordinal] with the place in devices[] and returns the number of visible devices.
 *
 * devices are NVML's, by PCI bus, each GPU followed by its MIG instances. visible is
 * CUDA_VISIBLE_DEVICES (NULL: not set): indices, unique beginnings of UUIDs ("GPU-...", "MIG-..."),
 * or "MIG-GPU-UUID/GI/CI", separated by commas. As in CUDA, the first invalid entry ends the list,
 * an entry that stands twice leaves none, and an empty string means none. A process uses one MIG
 * instance at most, and no GPU beside it: the first entry decides. A GPU in MIG mode that is named
 * by its index or UUID stands for its first instance.
 *
 * order is CUDA_DEVICE_ORDER (NULL: not set). Indices count by PCI bus with PCI_BUS_ID, and also
 * with FASTEST_FIRST, the default, where all GPUs have the same name. Where the names differ CUDA
 * ranks by a measure of its own that NVML does not tell: an index is then not resolved, and counts
 * as invalid. */
uint32_t gpu_ordinal_map(const char *visible, const char *order,
                         const struct rf_gpu_static *devices, uint32_t count, uint32_t *map,
                         uint32_t capacity);

#endif
