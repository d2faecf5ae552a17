/* SPDX-License-Identifier: Apache-2.0 */
#include "host/usage.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"

void host_process_io_read(const char *root, struct host_process_io *io)
{
    char text[2048];
    *io = (struct host_process_io){HOST_UNKNOWN, HOST_UNKNOWN, HOST_UNKNOWN};
    if (host_file_read(root, "/proc/self/io", text, sizeof text)) {
        io->asked_bytes = host_number_of(text, "rchar");
        io->storage_bytes = host_number_of(text, "read_bytes");
    }
    if (host_file_read(root, "/proc/self/stat", text, sizeof text)) {
        /* Field 12, counted behind the name in parentheses (field 2), which may hold anything. */
        const char *cursor = strrchr(text, ')');
        for (int field = 2; cursor != NULL && field < 12; field++)
            cursor = strchr(cursor + 1, ' ');
        io->major_faults = cursor == NULL ? HOST_UNKNOWN : host_number_of(cursor + 1, "");
    }
}

uint64_t host_parse_pressure(const char *text, const char *kind)
{
    const size_t length = strlen(kind);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *total = strstr(line, "total=");
        if (strncmp(line, kind, length) == 0 && line[length] == ' ' && total != NULL &&
            (end == NULL || total < end))
            return host_number_of(total + strlen("total="), "");
        line = end == NULL ? NULL : end + 1;
    }
    return HOST_UNKNOWN;
}

void host_pressure_read(const char *root, struct host_pressure *pressure)
{
    char text[512];
    *pressure = (struct host_pressure){HOST_UNKNOWN, HOST_UNKNOWN, HOST_UNKNOWN};
    if (host_file_read(root, "/proc/pressure/cpu", text, sizeof text))
        pressure->cpu_some_us = host_parse_pressure(text, "some");
    if (host_file_read(root, "/proc/pressure/io", text, sizeof text)) {
        pressure->io_some_us = host_parse_pressure(text, "some");
        pressure->io_full_us = host_parse_pressure(text, "full");
    }
}

/* "cpu7 user nice system idle iowait ...": the two that are idle; HOST_UNKNOWN: no such line. */
static uint64_t idle_ticks(const char *line)
{
    unsigned long long user, nice, system, idle, iowait;
    if (sscanf(line, "cpu%*u %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait) != 5)
        return HOST_UNKNOWN;
    return idle + iowait;
}

uint64_t host_idle_read(const char *root, char *text, size_t size)
{
    cpu_set_t usable;
    uint64_t ticks = 0;
    bool told = false;
    const long ticks_per_s = sysconf(_SC_CLK_TCK);
    if (ticks_per_s <= 0 || sched_getaffinity(0, sizeof usable, &usable) != 0 ||
        !host_file_read(root, "/proc/stat", text, size))
        return HOST_UNKNOWN;
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        unsigned number;
        if (sscanf(line, "cpu%u ", &number) != 1 || number >= CPU_SETSIZE ||
            !CPU_ISSET(number, &usable))
            continue;
        const uint64_t idle = idle_ticks(line);
        if (idle == HOST_UNKNOWN)
            return HOST_UNKNOWN;
        ticks += idle;
        told = told || idle > 0; /* a sandbox tells zeros */
    }
    return told ? ticks * (DS_NS_PER_S / (uint64_t)ticks_per_s) : HOST_UNKNOWN;
}

uint64_t host_runnable_of(const char *text)
{
    const uint64_t runnable = host_number_of(text, "procs_running");
    return runnable == 0 ? HOST_UNKNOWN : runnable; /* a sandbox tells zeros */
}

void host_shared_memory_read(const char *root, struct host_shared_memory *memory)
{
    char path[PATH_MAX];
    struct statvfs space;
    *memory = (struct host_shared_memory){HOST_UNKNOWN, HOST_UNKNOWN};
    if (snprintf(path, sizeof path, "%s/dev/shm", root) >= (int)sizeof path ||
        statvfs(path, &space) != 0)
        return;
    memory->size_bytes = (uint64_t)space.f_blocks * space.f_frsize;
    memory->used_bytes = (uint64_t)(space.f_blocks - space.f_bfree) * space.f_frsize;
}
