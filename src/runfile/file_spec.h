/* What a writer asks of a file: how many of each section.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUNFILE_FILE_SPEC_H
#define DATASTALL_RUNFILE_FILE_SPEC_H

#include "runfile/layout.h"

struct rf_spec {
    uint32_t slots; /* including the overflow slot; 0: none */
    uint32_t recent_waits;
    uint32_t gpus;
    uint32_t gpu_samples; /* kept per GPU, a power of two; 0: RF_GPU_RECENT */
    uint32_t workers;
    uint32_t stretches; /* loaders that have some */
    uint32_t steps;     /* threads that have some */
};

/* Fills the section table and file size; everything else of the header is zero. */
void rf_layout_file(const struct rf_spec *spec, struct rf_header *header);

#endif
