/* SPDX-License-Identifier: Apache-2.0 */
/* Words for values of the run file, shared by every output. */
#ifndef DATASTALL_OUTPUT_NAMES_H
#define DATASTALL_OUTPUT_NAMES_H

#include "datastall.h"
#include "runfile/layout.h"

static inline const char *output_source_name(uint64_t source)
{
    switch (source) {
    case DATASTALL_SOURCE_MANUAL:
        return "manual";
    case DATASTALL_SOURCE_WATCH:
        return "watch";
    case DATASTALL_SOURCE_TORCH:
        return "torch";
    default:
        return "unknown";
    }
}

static inline const char *output_gpu_state_name(uint64_t state)
{
    switch (state) {
    case RF_GPU_ABSENT:
        return "absent";
    case RF_GPU_OK:
        return "ok";
    case RF_GPU_FAILED:
        return "failed";
    case RF_GPU_LOST:
        return "lost";
    case RF_GPU_STARTING:
        return "starting";
    case RF_GPU_ENDED:
        return "ended";
    default:
        return "unknown";
    }
}

/* How the tokens came about: "counted", "sampled" (some batches estimated), NULL without tokens. */
static inline const char *output_tokens_method(const datastall_statistics *figures)
{
    if (figures->tokens == DATASTALL_UNKNOWN)
        return NULL;
    return figures->tokens_sampled > 0 ? "sampled" : "counted";
}

/* NVML's error codes that users meet, in words; NULL for the others. */
const char *output_nvml_error(uint64_t code);

#endif
