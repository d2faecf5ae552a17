/* SPDX-License-Identifier: Apache-2.0 */
#include "host/children.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sums.h"

#define CHILDREN_BYTES 4096 /* some six hundred of them */

/* Behind field 2 of stat, the name in parentheses, which may hold anything. */
enum field { FIELD_UTIME = 14, FIELD_STIME, FIELD_CUTIME, FIELD_CSTIME, FIELD_START = 22 };

static bool read_child(const char *root, struct host_child *child)
{
    char path[48], text[1024];
    unsigned long long fields[FIELD_START + 1] = {0};
    const long ticks_per_s = sysconf(_SC_CLK_TCK);
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)child->pid);
    if (ticks_per_s <= 0 || !host_file_read(root, path, text, sizeof text))
        return false;
    const char *cursor = strrchr(text, ')');
    for (int field = 3; field <= FIELD_START; field++) {
        cursor = cursor == NULL ? NULL : strchr(cursor + 1, ' ');
        if (cursor == NULL)
            return false;
        fields[field] = strtoull(cursor + 1, NULL, 10);
    }
    child->start_ticks = fields[FIELD_START];
    child->cpu_ns =
        (fields[FIELD_UTIME] + fields[FIELD_STIME] + fields[FIELD_CUTIME] + fields[FIELD_CSTIME]) *
        (DS_NS_PER_S / (uint64_t)ticks_per_s);
    return true;
}

/* A process on the way down, which need not be a child itself. */
struct parent {
    uint64_t pid;
    bool of_worker;
};
struct walk {
    uint32_t from, to;
    struct parent parents[2 * HOST_CHILDREN];
};

static bool is_worker(uint64_t pid, const uint64_t *workers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (workers[i] == pid)
            return true;
    }
    return false;
}

static void ran_since(const struct host_children *before, const struct host_child *child,
                      uint64_t *sum_ns)
{
    for (uint32_t i = 0; i < before->count; i++) {
        const struct host_child *one = &before->child[i];
        if (one->pid == child->pid && one->start_ticks == child->start_ticks)
            *sum_ns = ds_add(*sum_ns, ds_subtract(child->cpu_ns, one->cpu_ns));
    }
}

static void go_down(struct walk *walk, uint64_t pid, bool of_worker)
{
    if (walk->to < sizeof walk->parents / sizeof *walk->parents)
        walk->parents[walk->to++] = (struct parent){pid, of_worker};
}

static bool is_there(const char *root, const char *path)
{
    char whole[PATH_MAX];
    return snprintf(whole, sizeof whole, "%s%s", root, path) < (int)sizeof whole &&
           access(whole, R_OK) == 0;
}

/* False: not told. A number that is cut has no space behind it. */
static bool look_below(const char *root, const char *path, const struct parent *parent,
                       const uint64_t *workers, uint32_t worker_count, struct walk *walk,
                       struct host_children *found)
{
    char text[CHILDREN_BYTES], *rest;
    if (!host_file_read(root, path, text, sizeof text))
        return is_there(root, path); /* it has none */
    for (const char *cursor = text;; cursor = rest + 1) {
        const uint64_t pid = strtoull(cursor, &rest, 10);
        if (rest == cursor || *rest != ' ')
            return true;
        if (!parent->of_worker && is_worker(pid, workers, worker_count)) {
            go_down(walk, pid, true);
            continue;
        }
        struct host_child child = {.pid = pid, .of_worker = parent->of_worker};
        if (found->count == HOST_CHILDREN || !read_child(root, &child))
            continue;
        found->child[found->count++] = child;
        go_down(walk, pid, parent->of_worker);
    }
}

bool host_children_look(const char *root, uint64_t pid, const uint64_t *workers,
                        uint32_t worker_count, struct host_children *children)
{
    char path[80];
    struct host_children found = {.own_cpu_ns = children->own_cpu_ns,
                                  .workers_cpu_ns = children->workers_cpu_ns};
    struct walk walk = {.from = 0};
    /* Where /proc is another namespace's, pid is not ours there. */
    const struct parent top = {pid, false};
    snprintf(path, sizeof path, "/proc/self/task/%llu/children", (unsigned long long)pid);
    if (!look_below(root, path, &top, workers, worker_count, &walk, &found))
        return false;
    while (walk.from < walk.to) {
        const struct parent parent = walk.parents[walk.from++];
        snprintf(path, sizeof path, "/proc/%llu/task/%llu/children", (unsigned long long)parent.pid,
                 (unsigned long long)parent.pid);
        look_below(root, path, &parent, workers, worker_count, &walk, &found);
    }
    for (uint32_t i = 0; i < found.count; i++)
        ran_since(children, &found.child[i],
                  found.child[i].of_worker ? &found.workers_cpu_ns : &found.own_cpu_ns);
    *children = found;
    return true;
}
