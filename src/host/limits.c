/* SPDX-License-Identifier: Apache-2.0 */
#include "host/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a container host with many mounts the list is long; what lies behind this is not seen. */
#define MOUNTS_BYTES (256u * 1024)
#define CGROUP_DEPTH 64

uint64_t host_count_cpu_list(const char *list)
{
    uint64_t count = 0;
    const char *cursor = list;
    while (*cursor >= '0' && *cursor <= '9') {
        char *end;
        unsigned long first = strtoul(cursor, &end, 10), last = first;
        if (*end == '-' && end[1] >= '0' && end[1] <= '9')
            last = strtoul(end + 1, &end, 10);
        if (last < first || last - first > 1u << 20 || count > 1u << 20)
            return HOST_UNKNOWN;
        count += last - first + 1;
        cursor = *end == ',' ? end + 1 : end;
    }
    return count > 0 && (*cursor == '\0' || *cursor == '\n') ? count : HOST_UNKNOWN;
}

static double cpus_of_quota(double quota_us, double period_us)
{
    return quota_us > 0 && period_us > 0 ? quota_us / period_us : NAN;
}

double host_parse_cpu_max(const char *text)
{
    const uint64_t quota_us = host_number_of(text, "");
    const char *space = strchr(text, ' ');
    const uint64_t period_us = space != NULL ? host_number_of(space, "") : 100000;
    if (quota_us == HOST_UNKNOWN || period_us == HOST_UNKNOWN)
        return NAN;
    return cpus_of_quota((double)quota_us, (double)period_us);
}

/* True when `word` is one of the comma-separated words of list, which ends at a ':', ' ' or line
 * end. */
static bool has_word(const char *list, const char *word)
{
    const size_t length = strlen(word);
    for (;;) {
        const size_t span = strcspn(list, ",: \n");
        if (span == length && strncmp(list, word, length) == 0)
            return true;
        if (list[span] != ',')
            return false;
        list += span + 1;
    }
}

static bool copy_span(char *to, size_t size, const char *from, size_t length)
{
    if (length >= size)
        return false;
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

bool host_parse_cgroup_path(const char *text, const char *controller, char *path, size_t size)
{
    /* hierarchy:controllers:path */
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *controllers = strchr(line, ':');
        const char *place = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        const char *end = strchr(line, '\n');
        if (place != NULL && (end == NULL || place < end)) {
            const bool unified = strncmp(line, "0::", 3) == 0;
            if (controller[0] == '\0' ? unified : !unified && has_word(controllers + 1, controller))
                return copy_span(path, size, place + 1, strcspn(place + 1, "\n"));
        }
        line = end == NULL ? NULL : end + 1;
    }
    return false;
}

bool host_parse_cgroup_mount(const char *text, const char *controller, char *mount_point,
                             char *mount_root, size_t size)
{
    /* id parent major:minor root point options [tags] - type source superoptions */
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *dash = strstr(line, " - ");
        const char *fields[5] = {line};
        for (int i = 1; i < 5 && fields[i - 1] != NULL; i++) {
            fields[i] = strchr(fields[i - 1], ' ');
            fields[i] += fields[i] != NULL;
        }
        if (dash != NULL && (end == NULL || dash < end) && fields[4] != NULL && fields[4] < dash) {
            const bool unified = strncmp(dash + 3, "cgroup2 ", 8) == 0;
            const bool first = strncmp(dash + 3, "cgroup ", 7) == 0;
            const char *source = strchr(dash + 3, ' ');
            const char *options = source != NULL ? strchr(source + 1, ' ') : NULL;
            const bool fits = controller[0] == '\0'
                                  ? unified
                                  : first && options != NULL && (end == NULL || options < end) &&
                                        has_word(options + 1, controller);
            if (fits)
                return copy_span(mount_root, size, fields[3], strcspn(fields[3], " ")) &&
                       copy_span(mount_point, size, fields[4], strcspn(fields[4], " "));
        }
        line = end == NULL ? NULL : end + 1;
    }
    return false;
}

/* ---- the groups above this process ---- */

struct group {
    char top[PATH_MAX];  /* the mount point: the walk upwards ends there */
    char path[PATH_MAX]; /* of the process's group, below root */
};

static bool find_group(const char *root, const char *cgroups, const char *mounts,
                       const char *controller, struct group *group)
{
    char path[PATH_MAX], mounted[PATH_MAX], all[PATH_MAX];
    if (!host_parse_cgroup_path(cgroups, controller, path, sizeof path) ||
        !host_parse_cgroup_mount(mounts, controller, group->top, mounted, sizeof mounted))
        return false;
    /* Only a part of the hierarchy may be mounted (a container's own group, at "/"). A path outside
     * of it means that the group cannot be seen: the mount's top is the nearest that can. */
    const size_t length = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
    const bool inside = strncmp(path, mounted, length) == 0 &&
                        (path[length] == '/' || path[length] == '\0') &&
                        strstr(path, "/..") == NULL;
    const char *below = inside ? path + length : "";
    if (strcmp(below, "/") == 0)
        below = "";
    if (snprintf(group->path, sizeof group->path, "%s%s", group->top, below) >=
            (int)sizeof group->path ||
        snprintf(all, sizeof all, "%s%s", root, group->path) >= (int)sizeof all)
        return false;
    return true;
}

/* To the group above; false at the top. */
static bool go_up(struct group *group)
{
    if (strlen(group->path) <= strlen(group->top))
        return false;
    char *slash = strrchr(group->path, '/');
    if (slash == NULL || slash == group->path)
        return false;
    *slash = '\0';
    return true;
}

static bool read_in(const char *root, const struct group *group, const char *name, char *text,
                    size_t size)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", group->path, name) < (int)sizeof path &&
           host_file_read(root, path, text, size);
}

static double quota_here(const char *root, const struct group *group, bool unified, char text[48])
{
    char quota[48], period[48];
    if (unified) {
        if (!read_in(root, group, "cpu.max", quota, sizeof quota))
            return NAN;
        snprintf(text, 48, "%.*s", (int)strcspn(quota, "\n"), quota);
        return host_parse_cpu_max(quota);
    }
    if (!read_in(root, group, "cpu.cfs_quota_us", quota, sizeof quota) ||
        !read_in(root, group, "cpu.cfs_period_us", period, sizeof period))
        return NAN;
    quota[strcspn(quota, "\n")] = period[strcspn(period, "\n")] = '\0';
    snprintf(text, 48, "%.20s %.20s", quota, period);
    const uint64_t quota_us = host_number_of(quota, ""), period_us = host_number_of(period, "");
    if (quota_us == HOST_UNKNOWN || period_us == HOST_UNKNOWN) /* -1: no quota */
        return NAN;
    return cpus_of_quota((double)quota_us, (double)period_us);
}

static void note_directory(const char *root, const struct group *group, struct host_limits *limits)
{
    if (snprintf(limits->quota_directory, sizeof limits->quota_directory, "%s%s", root,
                 group->path) >= (int)sizeof limits->quota_directory)
        limits->quota_directory[0] = '\0';
}

/* The least quota of the group and of those above. */
static void read_quota(const char *root, struct group *group, bool unified,
                       struct host_limits *limits)
{
    char text[48];
    note_directory(root, group, limits);
    limits->quota_cgroup = unified ? HOST_CGROUP_V2 : HOST_CGROUP_V1;
    for (int depth = 0; depth < CGROUP_DEPTH; depth++) {
        const double cpus = quota_here(root, group, unified, text);
        if (!isnan(cpus) && (isnan(limits->cpus_quota) || cpus < limits->cpus_quota)) {
            limits->cpus_quota = cpus;
            memcpy(limits->quota_text, text, sizeof text);
            /* Its cpu.stat tells of the throttling; that of a group below would not. */
            note_directory(root, group, limits);
        }
        if (!go_up(group))
            break;
    }
}

static void read_cpuset(const char *root, struct group *group, struct host_limits *limits)
{
    static const char *const names[] = {"cpuset.cpus.effective", "cpuset.effective_cpus",
                                        "cpuset.cpus"};
    char list[4096];
    /* The first group upwards that has a list: without the controller a group has none. */
    for (int depth = 0; depth < CGROUP_DEPTH; depth++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            if (!read_in(root, group, names[i], list, sizeof list))
                continue;
            const uint64_t cpus = host_count_cpu_list(list);
            if (cpus != HOST_UNKNOWN) {
                limits->cpus_cpuset = cpus;
                return;
            }
        }
        if (!go_up(group))
            return;
    }
}

static void read_cgroups(const char *root, struct host_limits *limits)
{
    char cgroups[8192];
    char *mounts = malloc(MOUNTS_BYTES);
    struct group group;
    if (mounts == NULL)
        return;
    if (host_file_read(root, "/proc/self/cgroup", cgroups, sizeof cgroups) &&
        host_file_read(root, "/proc/self/mountinfo", mounts, MOUNTS_BYTES)) {
        /* A controller is in one hierarchy only; where v1 has it, v2 has not. */
        if (find_group(root, cgroups, mounts, "cpu", &group))
            read_quota(root, &group, false, limits);
        else if (find_group(root, cgroups, mounts, "", &group))
            read_quota(root, &group, true, limits);
        if (find_group(root, cgroups, mounts, "cpuset", &group) ||
            find_group(root, cgroups, mounts, "", &group))
            read_cpuset(root, &group, limits);
    }
    free(mounts);
}

static void choose(struct host_limits *limits)
{
    const struct {
        double cpus;
        enum host_limit_source source;
    } all[] = {
        {limits->cpus_online == HOST_UNKNOWN ? NAN : (double)limits->cpus_online,
         HOST_LIMIT_MACHINE},
        {limits->cpus_cpuset == HOST_UNKNOWN ? NAN : (double)limits->cpus_cpuset,
         HOST_LIMIT_CPUSET},
        {limits->cpus_affinity == HOST_UNKNOWN ? NAN : (double)limits->cpus_affinity,
         HOST_LIMIT_AFFINITY},
        {limits->cpus_quota, HOST_LIMIT_QUOTA},
    };
    limits->cpus_usable = NAN;
    limits->source = HOST_LIMIT_MACHINE;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!isnan(all[i].cpus) &&
            (isnan(limits->cpus_usable) || all[i].cpus < limits->cpus_usable)) {
            limits->cpus_usable = all[i].cpus;
            limits->source = all[i].source;
        }
    }
}

void host_limits_read(const char *root, struct host_limits *limits)
{
    char text[16384];
    memset(limits, 0, sizeof *limits);
    limits->cpus_online = limits->cpus_affinity = limits->cpus_cpuset = HOST_UNKNOWN;
    limits->cpus_quota = NAN;
    if (host_file_read(root, "/sys/devices/system/cpu/online", text, sizeof text))
        limits->cpus_online = host_count_cpu_list(text);
    /* The list that sched_getaffinity() would give, without a limit on the machine's size. */
    if (host_file_read(root, "/proc/self/status", text, sizeof text)) {
        const char *line = strstr(text, "\nCpus_allowed_list:");
        if (line != NULL) {
            line += strlen("\nCpus_allowed_list:");
            limits->cpus_affinity = host_count_cpu_list(line + strspn(line, " \t"));
        }
    }
    read_cgroups(root, limits);
    choose(limits);
}

void host_throttling_read(const struct host_limits *limits, struct host_throttling *throttling)
{
    char text[4096];
    *throttling = (struct host_throttling){HOST_UNKNOWN, HOST_UNKNOWN, HOST_UNKNOWN};
    if (limits->quota_directory[0] == '\0' ||
        !host_file_read(limits->quota_directory, "/cpu.stat", text, sizeof text))
        return;
    throttling->periods = host_number_of(text, "nr_periods");
    throttling->throttled_periods = host_number_of(text, "nr_throttled");
    throttling->throttled_ns = host_number_of(text, "throttled_time"); /* v1: ns */
    const uint64_t us = host_number_of(text, "throttled_usec");        /* v2 */
    if (throttling->throttled_ns == HOST_UNKNOWN && us != HOST_UNKNOWN)
        throttling->throttled_ns = us * 1000;
}
