/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of datastall_gpu_monitor, for gpu/ and for the Python extension. */
#ifndef DATASTALL_GPU_GPU_MONITOR_H
#define DATASTALL_GPU_GPU_MONITOR_H

#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "base/emitter.h"
#include "gpu/sampler.h"
#include "record/monitor.h"

#define GPU_MONITOR_DEVICES 32u
#define GPU_MONITOR_LOW_EFFICIENCY 0.80

struct datastall_gpu_monitor {
    datastall_monitor *monitor; /* memory only: one loader, the GPU blocks, the stages */
    datastall_loader *loader;
    uint32_t device_count;
    int device_ids[GPU_MONITOR_DEVICES]; /* of the GPU entries 0, 1 ... */
    double interval_s;
    double real_minus_mono_s; /* turns sample times into seconds since 1970 */
    pthread_mutex_t mutex;    /* guards what follows */
    struct gpu_sampler *sampler;
    uint64_t timer_start_ns;                /* 0: not started */
    uint64_t timer_sequences, timer_tokens; /* recorded before the timer started */
    char *log_path;                         /* NULL: no log file */
    FILE *log;
    uint64_t log_bytes;
    locale_t numbers; /* "0.5", whatever the program's locale; 0: none could be had */
};

#define GPU_MIB (1024.0 * 1024.0)

static inline double gpu_or_nan(uint64_t value)
{
    return value == DATASTALL_UNKNOWN ? NAN : (double)value;
}

/* Place of a device in device_ids[], -1: not one of the monitor's. */
int gpu_monitor_entry_of(const struct datastall_gpu_monitor *monitor, int device_id);

/* Nanoseconds of a wait that ended now_ns; DATASTALL_UNKNOWN for one that is none, or longer than
 * the machine has been up. */
uint64_t gpu_monitor_wait_ns(double wait_time_ms, uint64_t now_ns);

/* CSV cells: nothing for an unknown value; a name is quoted where it must be. */
void gpu_put_cell(FILE *file, double value, const char *format);
void gpu_put_name_cell(FILE *file, const char *name);

/* Log file: made when monitoring starts, written by the sampling thread, completed when it stops.
 * gpu_log_open() returns 0 or an error; the others do nothing without a log. */
int gpu_log_open(struct datastall_gpu_monitor *monitor);
void gpu_log_sample(void *gpu_monitor, uint32_t entry, const struct rf_gpu_sample *sample);
void gpu_log_close(struct datastall_gpu_monitor *monitor);

/* The documents behind get_dataloader_statistics(), get_statistics()'s entry of a device, and
 * get_throughput(). Each figure stands under its key; `known` says which are. */
void gpu_report_dataloader(const void *statistics, const struct emitter *emitter);
struct gpu_report_device {
    const struct datastall_gpu_monitor *monitor;
    int device_id;
};
void gpu_report_device(const void *device, const struct emitter *emitter);
void gpu_report_throughput(const void *throughput, const struct emitter *emitter);

#endif
