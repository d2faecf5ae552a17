/* SPDX-License-Identifier: Apache-2.0 */
/* What is said between who reads the vendor's library and who writes the run file. The two are the
 * sampler process and its host, or, without a process, two functions of one thread: the words are
 * the same. One message is one packet of a SOCK_SEQPACKET pair. */
#ifndef DATASTALL_GPU_MESSAGE_H
#define DATASTALL_GPU_MESSAGE_H

#include "gpu/device.h"

#define GPU_MAX_DEVICES 64u /* a bit each */
#define GPU_NO_DEVICE UINT32_MAX

enum gpu_message_kind {
    /* host -> sampler */
    GPU_PLAN = 1, /* the first one: what to do */
    GPU_GO,       /* answers GPU_READY: `number` has a bit for each device to sample */
    GPU_STOP,     /* a last sample where the driver is quick, and the end */
    /* sampler -> host */
    GPU_HELLO,    /* took the plan: `version` matched */
    GPU_OPENED,   /* `error` of the library, else `number` of devices */
    GPU_CALLING,  /* the library is entered for `device` now, `time_ns` */
    GPU_IDENTITY, /* who `device` is */
    GPU_READY,    /* all said who they are; waits for GPU_GO */
    GPU_SAMPLE,   /* of `device` */
    GPU_ENDED     /* the last one: `number` is an enum rf_gpu_end, `error` its detail */
};

struct gpu_plan {
    char version[24];     /* who speaks otherwise is another release */
    uint64_t interval_ns; /* 0: a single sample of each, and the end */
    uint64_t skip;        /* a bit for each device that is not to be touched */
    uint64_t host_pid, host_start_ticks;
};

struct gpu_message {
    uint32_t kind;   /* enum gpu_message_kind */
    uint32_t device; /* the library's index */
    uint64_t time_ns, number, error;
    union {
        struct gpu_plan plan;
        struct rf_gpu_static identity;
        struct rf_gpu_sample sample;
    };
};

static inline uint64_t gpu_bit(uint32_t device)
{
    return device < GPU_MAX_DEVICES ? UINT64_C(1) << device : 0;
}

#endif
