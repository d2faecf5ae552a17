/* SPDX-License-Identifier: Apache-2.0 */
/* What a container hides: processes, the memory that is shared, control groups, and whether anybody else can
 * read what is recorded in it. docs/jobs.md says what has to be mounted. */
#include <linux/magic.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "host/limits.h"
#include "host/usage.h"
#include "runfile/liveness.h"
#include "runfile/rundir.h"

#define INITIAL_NAMESPACE UINT64_C(0xEFFFFFFC) /* PROC_PID_INIT_INO of the kernel */
#define GIB (1024.0 * 1024 * 1024)

/* ---- processes ---- */

/* Whether /proc is that of this process's own PID namespace. */
static bool proc_is_ours(void)
{
    char text[32];
    const ssize_t length = readlink("/proc/self", text, sizeof text - 1);
    if (length <= 0)
        return false;
    text[length] = '\0';
    return strtol(text, NULL, 10) == (long)getpid();
}

static bool is_apart(void)
{
    const uint64_t own = rf_own_pid_namespace();
    return own != 0 && own != INITIAL_NAMESPACE;
}

static void check_processes(struct doctor_report *report)
{
    static const char advice[] = "share the PID namespace to know (Kubernetes: hostPID, "
                                 "shareProcessNamespace; Docker: --pid=host)";
    if (rf_own_pid_namespace() == 0)
        doctor_add(report, DOCTOR_MISSING, "processes", "mount /proc",
                   "which ones still run is not known: there is no /proc");
    else if (!proc_is_ours())
        doctor_add(report, DOCTOR_LIMITED, "processes", "mount a proc of its own on /proc",
                   "/proc is that of another PID namespace");
    else if (is_apart())
        doctor_add(report, DOCTOR_LIMITED, "processes", advice,
                   "in a PID namespace of their own: whether those in others still run is told by "
                   "what they recorded within the last minute");
    else
        doctor_add(report, DOCTOR_OK, "processes", NULL, "those of the whole machine can be seen");
}

/* ---- who else can read the runs ---- */

/* Of the folder, or of the nearest above it that is there. */
static bool is_on(const char *folder, long magic)
{
    struct statfs status;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", folder);
    while (statfs(path, &status) != 0) {
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return statfs(".", &status) == 0 && (long)status.f_type == magic;
        slash[slash == path] = '\0';
        if (strcmp(path, "/") == 0)
            return statfs("/", &status) == 0 && (long)status.f_type == magic;
    }
    return (long)status.f_type == magic;
}

static void check_volume(const char *base, bool on_tmpfs, struct doctor_report *report)
{
    if (is_on(base, OVERLAYFS_SUPER_MAGIC))
        doctor_add(report, DOCTOR_LIMITED, "volume",
                   "mount a volume there, and into the exporter's container too",
                   "%s is in this container's own layer: it is gone with it, and nobody outside "
                   "can read it",
                   base);
    if (on_tmpfs && is_apart())
        doctor_add(report, DOCTOR_LIMITED, "volume",
                   "mount one memory volume on /dev/shm of both (Kubernetes: emptyDir, medium: "
                   "Memory), or a local disk for the runs",
                   "until it ends a run is in this container's /dev/shm, where no other one sees "
                   "it");
}

/* ---- shared memory and control groups ---- */

static void check_shared_memory(struct doctor_report *report)
{
    struct statfs status;
    if (statfs("/dev/shm", &status) != 0)
        return; /* has been said */
    if (access("/dev/shm", W_OK) != 0)
        doctor_add(report, DOCTOR_LIMITED, "/dev/shm", "mount it for this user to write to",
                   "cannot be written: DataLoader workers cannot hand over their batches");
    else if ((long)status.f_type != TMPFS_MAGIC)
        doctor_add(report, DOCTOR_LIMITED, "/dev/shm", "mount a tmpfs there",
                   "is no memory but a file system: batches of workers go through it");
}

/* A memory volume counts as the container's memory. */
static void check_memory(const struct host_limits *limits, struct doctor_report *report)
{
    char text[64];
    struct host_shared_memory memory;
    if (limits->quota_cgroup != HOST_CGROUP_V2 ||
        !host_file_read(limits->quota_directory, "/memory.max", text, sizeof text))
        return;
    const double most = strtod(text, NULL);
    host_shared_memory_read("", &memory);
    if (!(most > 0))
        return; /* "max" */
    const bool over = memory.size_bytes != HOST_UNKNOWN && (double)memory.size_bytes > most;
    doctor_add(report, over ? DOCTOR_LIMITED : DOCTOR_OK, "memory",
               over ? "batches in it count: give the container more, or /dev/shm a size" : NULL,
               "%.2f GiB at most, by the container's limit%s", most / GIB,
               over ? ", which is less than /dev/shm" : "");
}

static void check_groups(struct doctor_report *report)
{
    struct host_limits limits;
    char text[4096];
    host_limits_read("", &limits);
    const bool grouped = host_file_read("", "/proc/self/cgroup", text, sizeof text);
    const bool seen = limits.quota_directory[0] != '\0' &&
                      host_file_read(limits.quota_directory, "/cpu.stat", text, sizeof text);
    if (grouped && !seen)
        doctor_add(report, DOCTOR_LIMITED, "control groups",
                   "mount /sys/fs/cgroup, for reading only",
                   "cannot be seen here: a CPU quota would not be known, nor that it held "
                   "anything back");
    check_memory(&limits, report);
}

void doctor_check_container(const char *directory, bool on_tmpfs, struct doctor_report *report)
{
    check_processes(report);
    check_volume(rf_base_directory(directory), on_tmpfs, report);
    check_shared_memory(report);
    check_groups(report);
}
