/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of runs, the GPUs, and what the process may use of the host. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/doctor.h"
#include "gpu/sampler.h"
#include "host/limits.h"
#include "host/usage.h"
#include "output/names.h"
#include "run/sweep.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

#define NVML_TIMEOUT_S 20.0 /* a driver without persistence mode takes seconds to wake */
#define NOT_SUPPORTED 3u
#define NOT_TOLD UINT32_MAX
#define NO_PERMISSION 4u
#define LEAST_SHM_BYTES (UINT64_C(256) << 20) /* Docker gives 64 MiB unless told otherwise */
#define GIB (1024.0 * 1024 * 1024)

void doctor_check_folder(const char *directory, bool *on_tmpfs, struct doctor_report *report)
{
    const char *base = rf_base_directory(directory);
    struct rf_run run;
    char path[PATH_MAX];
    /* A run is really made there, and taken away again. */
    int error = rf_run_create(base, "doctor", &run);
    if (error == DATASTALL_OK) {
        error = rf_run_new_file(run.tmpfs, UINT64_C(8) << 20, path);
        rf_run_abandon(&run);
        rmdir(base); /* where the trial made it; a folder with runs stays */
    }
    *on_tmpfs = error == DATASTALL_OK && strcmp(run.tmpfs, run.path) != 0;
    if (error != DATASTALL_OK)
        doctor_add(report, DOCTOR_FAILED, "run folder",
                   "choose another with --dir or $DATASTALL_DIR", "%s", datastall_last_error());
    else if (*on_tmpfs)
        doctor_add(report, DOCTOR_OK, "run folder", NULL,
                   "%s is not a local disk: runs are recorded in /dev/shm and copied at the end",
                   base);
    else
        doctor_add(report, DOCTOR_OK, "run folder", NULL, "%s can be written", base);
}

/* ---- GPUs: asked in a child, since a driver can hang ---- */

/* Lines: "open CODE", "device" with the numbers that add_device() reads and the name, "end". */
static void ask_nvml(void *context, int fd)
{
    struct gpu_library *library;
    (void)context;
    const uint32_t error = gpu_nvml.open(&library);
    dprintf(fd, "open %u\n", error);
    if (error != 0)
        return;
    const uint32_t count = gpu_nvml.count(library);
    for (uint32_t i = 0; i < count; i++) {
        struct rf_gpu_static device;
        struct rf_gpu_sample sample = rf_gpu_nothing_read();
        uint32_t counters_error = 0;
        gpu_nvml.identify(library, i, &device);
        gpu_nvml.sample(library, i, &sample);
        const bool counters = gpu_nvml.has_counters(library, i, &counters_error);
        dprintf(fd, "device %llu %llu %u %u %u %u %u %llu %llu %s\n",
                (unsigned long long)device.index, (unsigned long long)device.mig, counters,
                counters_error, sample.busy_percent != RF_UNKNOWN, sample.memory_used != RF_UNKNOWN,
                sample.power_mw != RF_UNKNOWN, (unsigned long long)sample.state,
                (unsigned long long)sample.error, device.name);
    }
    dprintf(fd, "end\n");
    gpu_nvml.close(library);
}

static const char *advice_for_nvml(uint32_t code)
{
    switch (code) {
    case 4:
    case 17:
        return "in a container: give it the GPU (--gpus all, or "
               "NVIDIA_DRIVER_CAPABILITIES=utility)";
    case 9:
        return "load the NVIDIA kernel driver (nvidia-smi must work)";
    case 12:
        return "in a container: NVIDIA_DRIVER_CAPABILITIES must include 'utility'";
    case 18:
        return "reboot, or reload the driver: its library was updated under it";
    default:
        return "see whether nvidia-smi works";
    }
}

static void add_device(const char *line, struct doctor_report *report)
{
    unsigned long long index, mig, state, error;
    unsigned counters, counters_error, busy, memory, power;
    char subject[24];
    int name = 0;
    if (sscanf(line, "device %llu %llu %u %u %u %u %u %llu %llu %n", &index, &mig, &counters,
               &counters_error, &busy, &memory, &power, &state, &error, &name) != 9)
        return;
    snprintf(subject, sizeof subject, "%s %llu", mig ? "MIG" : "GPU", index);
    if (state != RF_GPU_OK) {
        const char *word = output_nvml_error(error);
        doctor_add(report, DOCTOR_MISSING, subject, "see whether nvidia-smi works",
                   "%s: NVML failed: %s (%llu)", line + name, word != NULL ? word : "error", error);
    } else if (counters) {
        doctor_add(report, DOCTOR_OK, subject, NULL, "%s: its own activity counters (GPM)%s%s",
                   line + name, memory ? "" : ", no memory use", power ? "" : ", no power");
    } else if (counters_error == NO_PERMISSION) {
        doctor_add(report, DOCTOR_LIMITED, subject,
                   "run as root, or have the driver loaded with "
                   "NVreg_RestrictProfilingToAdminUsers=0",
                   "%s: GPM is not permitted to this user, so GPU busy is NVML's utilisation",
                   line + name);
    } else {
        doctor_add(report, busy ? DOCTOR_LIMITED : DOCTOR_MISSING, subject, NULL,
                   busy ? "%s: no GPM (Hopper and newer have it), so GPU busy is NVML's utilisation"
                        : "%s: neither GPM nor utilisation, so GPU busy is unknown",
                   line + name);
    }
}

void doctor_check_gpus(struct doctor_report *report)
{
    char text[16384], version[256], *rest = NULL;
    unsigned opened = NOT_TOLD;
    bool whole = false, any = false, driver = true;
    if (host_file_read("", "/proc/driver/nvidia/version", version, sizeof version)) {
        version[strcspn(version, "\n")] = '\0';
        doctor_add(report, DOCTOR_OK, "driver", NULL, "%s", version);
    } else {
        driver = false;
        doctor_add(report, DOCTOR_MISSING, "driver", NULL,
                   "no NVIDIA kernel driver: waits are measured, GPUs are not");
    }
    const int status = doctor_in_child(ask_nvml, NULL, NVML_TIMEOUT_S, text, sizeof text);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "open %u", &opened) == 1) {
            const char *word = output_nvml_error(opened);
            if (opened == 0)
                doctor_add(report, DOCTOR_OK, "NVML", NULL, "opens");
            else
                doctor_add(report, DOCTOR_MISSING, "NVML", driver ? advice_for_nvml(opened) : NULL,
                           "does not open: %s (%u)", word != NULL ? word : "error", opened);
        } else if (strncmp(line, "device ", 7) == 0) {
            add_device(line, report);
            any = true;
        } else if (strcmp(line, "end") == 0) {
            whole = true;
        }
    }
    if (status == -1)
        doctor_add(report, DOCTOR_MISSING, "NVML", "a GPU that hangs needs a reset (see dmesg)",
                   "the driver did not answer within %.0f s", NVML_TIMEOUT_S);
    else if (opened == 0 && whole && !any)
        doctor_add(report, DOCTOR_MISSING, "NVML", "in a container: give it the GPU (--gpus all)",
                   "shows no GPU");
    else if (!whole && (opened == 0 || opened == NOT_TOLD))
        doctor_add(report, DOCTOR_MISSING, "NVML", "see whether nvidia-smi works",
                   "the driver's library broke off%s%s",
                   status > 0 && WIFSIGNALED(status) ? ": " : "",
                   status > 0 && WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "");
}

/* ---- the host ---- */

static void check_cpus(struct doctor_report *report)
{
    struct host_limits limits;
    host_limits_read("", &limits);
    static const char *const sources[] = {"all of the machine's", "by its CPU affinity",
                                          "by the container's cpuset",
                                          "by the container's CPU quota"};
    if (isnan(limits.cpus_usable)) {
        doctor_add(report, DOCTOR_MISSING, "CPUs", NULL, "how many may be used is not known");
        return;
    }
    struct host_throttling throttling;
    host_throttling_read(&limits, &throttling);
    char throttled[96] = "";
    if (throttling.throttled_ns != HOST_UNKNOWN && throttling.throttled_ns > 0)
        snprintf(throttled, sizeof throttled, ", held back for %.1f s so far",
                 (double)throttling.throttled_ns * 1e-9);
    const bool limited = limits.source != HOST_LIMIT_MACHINE;
    doctor_add(report, limited ? DOCTOR_LIMITED : DOCTOR_OK, "CPUs",
               limited ? "more DataLoader workers than that do not help" : NULL, "%g usable (%s)%s",
               limits.cpus_usable, sources[limits.source], throttled);
}

static void check_shared_memory(struct doctor_report *report)
{
    struct host_shared_memory memory;
    host_shared_memory_read("", &memory);
    if (memory.size_bytes == HOST_UNKNOWN) {
        doctor_add(report, DOCTOR_LIMITED, "/dev/shm", "mount a tmpfs there",
                   "is not there: DataLoader workers cannot hand over their batches");
        return;
    }
    const bool small = memory.size_bytes < LEAST_SHM_BYTES;
    doctor_add(report, small ? DOCTOR_LIMITED : DOCTOR_OK, "/dev/shm",
               small ? "give the container more (--shm-size, or ipc: host): batches of workers "
                       "travel there"
                     : NULL,
               "%.2f GiB, %.2f used", (double)memory.size_bytes / GIB,
               (double)memory.used_bytes / GIB);
}

/* Runs on tmpfs that nobody writes to and that cannot come home. */
static void add_orphan(void *context, const struct run_orphan *orphan)
{
    char remedy[320];
    snprintf(remedy, sizeof remedy, "%srm -r %s",
             orphan->kind == RUN_ORPHAN_UNREACHABLE ? "make that folder reachable, or " : "",
             orphan->tmpfs);
    doctor_add(context, DOCTOR_LIMITED, "run on tmpfs", remedy, "%s%s%.150s: %s", orphan->tmpfs,
               orphan->home[0] == '\0' ? "" : " of ", orphan->home, orphan->sentence);
}

void doctor_check_host(struct doctor_report *report)
{
    char text[256];
    struct host_pressure pressure;
    check_cpus(report);
    check_shared_memory(report);
    run_sweep(add_orphan, report);
    host_pressure_read("", &pressure);
    if (host_file_read("", "/proc/self/schedstat", text, sizeof text))
        doctor_add(report, DOCTOR_OK, "scheduler", NULL,
                   "the kernel reports how long a task waits for a CPU");
    else
        doctor_add(report, DOCTOR_MISSING, "scheduler",
                   "a kernel with CONFIG_SCHED_INFO reports it",
                   "how long a task waits for a CPU is not known");
    if (pressure.cpu_some_us != HOST_UNKNOWN)
        doctor_add(report, DOCTOR_OK, "pressure", NULL,
                   "the kernel reports CPU and I/O pressure (PSI)");
    else
        doctor_add(report, DOCTOR_MISSING, "pressure", "boot the kernel with psi=1",
                   "CPU and I/O pressure (PSI) is not known");
}
