/* SPDX-License-Identifier: Apache-2.0 */
/* How many CPUs this process may really use: its affinity, the cpuset and the CPU quota of its
 * control groups (v1, v2 or both, with every group above), and how long those held it back.
 *
 * os.cpu_count() and sysconf() tell the machine's CPUs, not what a container may use.
 */
#ifndef DATASTALL_HOST_LIMITS_H
#define DATASTALL_HOST_LIMITS_H

#include <limits.h>

#include "host/host_file.h"

enum host_cgroup { HOST_CGROUP_NONE, HOST_CGROUP_V1, HOST_CGROUP_V2 };

/* What sets the number of usable CPUs. */
enum host_limit_source {
    HOST_LIMIT_MACHINE, /* nothing: all that are online */
    HOST_LIMIT_AFFINITY,
    HOST_LIMIT_CPUSET,
    HOST_LIMIT_QUOTA
};

struct host_limits {
    uint64_t cpus_online;   /* of the machine; HOST_UNKNOWN */
    uint64_t cpus_affinity; /* sched_getaffinity(); HOST_UNKNOWN */
    uint64_t cpus_cpuset;   /* of the cgroup; HOST_UNKNOWN: no cpuset */
    double cpus_quota;      /* quota / period, the least of all groups above; NaN: no quota */
    double cpus_usable;     /* the least of all that is known; NaN: nothing is */
    enum host_limit_source source;
    enum host_cgroup quota_cgroup;  /* where the CPU controller is */
    char quota_directory[PATH_MAX]; /* of the group that holds cpu.stat, root included; "": none */
    char quota_text[48];            /* the binding quota as its file has it, "200000 100000"; "" */
};

/* Reads the limits of the calling process. root: "" for the machine itself, a fixture tree in
 * tests; there affinity and online CPUs come from root/proc/self/status and
 * root/sys/devices/system/cpu/online. Never fails: what is not known says so. */
void host_limits_read(const char *root, struct host_limits *limits);

/* Time for which the group of the quota was throttled so far, and in how many periods;
 * HOST_UNKNOWN where no quota is or nothing is told. */
struct host_throttling {
    uint64_t throttled_ns, throttled_periods, periods;
};
void host_throttling_read(const struct host_limits *limits, struct host_throttling *throttling);

/* ---- parsing, pure ---- */

/* CPUs in a list such as "0-3,8,10-11"; HOST_UNKNOWN when it is none. */
uint64_t host_count_cpu_list(const char *list);

/* "200000 100000" (cgroup v2 cpu.max) as CPUs; NaN for "max" and for what is no quota. */
double host_parse_cpu_max(const char *text);

/* The group of a controller ("cpu", "cpuset"; "" for v2) in the text of /proc/self/cgroup. */
bool host_parse_cgroup_path(const char *text, const char *controller, char *path, size_t size);

/* Where a hierarchy is mounted, from the text of /proc/self/mountinfo: the mount point, and which
 * group of the hierarchy is mounted there. controller as above. */
bool host_parse_cgroup_mount(const char *text, const char *controller, char *mount_point,
                             char *mount_root, size_t size);

#endif
