/* SPDX-License-Identifier: Apache-2.0 */
#include "host/other_threads.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sums.h"
#include "host/thread_times.h"

/* As getdents64(2) has it: readdir() would allocate, in a program that may be doing so. */
struct entry {
    uint64_t inode, offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

static void add_thread(const char *root, uint64_t thread, struct host_other_threads *sums)
{
    char path[64], text[96];
    snprintf(path, sizeof path, "/proc/self/task/%llu/schedstat", (unsigned long long)thread);
    if (!host_file_read(root, path, text, sizeof text)) /* it ended */
        return;
    const uint64_t cpu_ns = host_number_of(text, "");
    if (cpu_ns == HOST_UNKNOWN)
        return;
    sums->cpu_ns = ds_add(sums->cpu_ns, cpu_ns);
    sums->delay_ns = ds_add(sums->delay_ns, host_parse_schedstat(text));
}

bool host_other_threads_read(const char *root, uint64_t own, struct host_other_threads *sums)
{
    _Alignas(struct entry) char list[4096];
    char path[PATH_MAX];
    struct host_other_threads found = {0, 0};
    uint32_t count = 0;
    if (snprintf(path, sizeof path, "%s/proc/self/task", root) >= (int)sizeof path)
        return false;
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return false;
    long length = 0;
    while (count < HOST_OTHER_THREADS &&
           (length = syscall(SYS_getdents64, folder, list, sizeof list)) > 0) {
        for (long at = 0; at < length && count < HOST_OTHER_THREADS;) {
            const struct entry *entry = (const struct entry *)(list + at);
            const uint64_t thread = strtoull(entry->name, NULL, 10);
            at += entry->length;
            if (thread == 0 || thread == own) /* "." and ".." */
                continue;
            count++;
            add_thread(root, thread, &found);
        }
    }
    close(folder);
    if (length < 0)
        return false;
    *sums = found;
    return true;
}
