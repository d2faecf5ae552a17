/* SPDX-License-Identifier: Apache-2.0 */
/* Which folders of runs the processes of this machine use. A process that was started by `datastall
 * run` carries $DATASTALL_RUN_DIR; one that records by itself writes to $DATASTALL_DIR or to
 * datastall-runs in its working folder. What another user's process carries cannot be read, unless
 * by root, which is as it should be. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/live.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

#define MAX_ENVIRONMENT (256u << 10)
#define MAX_PROCESSES 65536u
#define LOOKS 2         /* between fork and exec a process still carries its parent's environment */
#define FORGET_AFTER 60 /* searches: then a process's number may have been given again */

struct search_known {
    uint32_t round, count;
    struct {
        uint32_t pid;
        uint8_t looks;
    } processes[];
};

/* The value of NAME in an environment block, NULL: not set. */
static const char *value_of(const char *environment, size_t length, const char *name)
{
    const size_t name_length = strlen(name);
    for (const char *c = environment; c < environment + length; c += strlen(c) + 1) {
        if (strncmp(c, name, name_length) == 0 && c[name_length] == '=')
            return c + name_length + 1;
    }
    return NULL;
}

/* Without the last part; false when there is none. */
static bool parent_of(const char *path, char parent[PATH_MAX])
{
    snprintf(parent, PATH_MAX, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL || slash == parent)
        return false;
    *slash = '\0';
    return true;
}

static void look_at(const char *pid, char *environment,
                    void (*found)(void *context, const char *base), void *context)
{
    char path[PATH_MAX], folder[PATH_MAX] = "", base[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%.16s/environ", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    size_t length = 0;
    ssize_t got;
    while (length < MAX_ENVIRONMENT - 1 &&
           (got = read(fd, environment + length, MAX_ENVIRONMENT - 1 - length)) > 0)
        length += (size_t)got;
    close(fd);
    environment[length] = '\0';
    if (length == 0)
        return; /* a kernel thread */
    const char *run = value_of(environment, length, "DATASTALL_RUN_DIR");
    if (run != NULL && run[0] == '/') {
        struct rf_run away;
        if (parent_of(rf_run_of_tmpfs(run, &away) ? away.path : run, base))
            found(context, base);
        return;
    }
    const char *chosen = value_of(environment, length, "DATASTALL_DIR");
    if (chosen == NULL || chosen[0] == '\0')
        chosen = RF_DEFAULT_BASE;
    if (chosen[0] == '/') {
        found(context, chosen);
        return;
    }
    snprintf(path, sizeof path, "/proc/%.16s/cwd", pid);
    const ssize_t end = readlink(path, folder, sizeof folder - 1);
    if (end <= 0)
        return;
    folder[end] = '\0';
    if (snprintf(base, sizeof base, "%s/%s", folder, chosen) < PATH_MAX)
        found(context, base);
}

/* How often a process was looked at before; sorted search would not pay for what /proc costs. */
static uint8_t *looks_of(struct search_known **known, uint32_t pid, uint32_t *next)
{
    struct search_known *k = *known;
    /* /proc lists numbers in rising order, as we note them. */
    while (*next < k->count && k->processes[*next].pid < pid)
        ++*next;
    return *next < k->count && k->processes[*next].pid == pid ? &k->processes[*next].looks : NULL;
}

void search_processes(struct search_known **known, void (*found)(void *context, const char *base),
                      void *context)
{
    DIR *directory = opendir("/proc");
    struct search_known *now = NULL;
    now = calloc(1, sizeof *now + MAX_PROCESSES * sizeof now->processes[0]);
    char *environment = malloc(MAX_ENVIRONMENT);
    struct dirent *entry;
    uint32_t next = 0;
    if (directory == NULL || now == NULL || environment == NULL) {
        if (directory != NULL)
            closedir(directory);
        free(now);
        free(environment);
        return;
    }
    now->round = *known == NULL ? 0 : (*known)->round + 1;
    const bool forget = *known == NULL || now->round % FORGET_AFTER == 0;
    while ((entry = readdir(directory)) != NULL && now->count < MAX_PROCESSES) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        const uint32_t pid = (uint32_t)strtoul(entry->d_name, NULL, 10);
        const uint8_t *before = forget ? NULL : looks_of(known, pid, &next);
        const uint8_t looks = before == NULL ? 0 : *before;
        if (looks < LOOKS)
            look_at(entry->d_name, environment, found, context);
        now->processes[now->count].pid = pid;
        now->processes[now->count++].looks = (uint8_t)(looks < LOOKS ? looks + 1 : looks);
    }
    closedir(directory);
    free(environment);
    free(*known);
    /* What was not used of the room goes back. */
    struct search_known *fitting =
        realloc(now, sizeof *now + now->count * sizeof now->processes[0]);
    *known = fitting != NULL ? fitting : now;
}

void search_free(struct search_known *known)
{
    free(known);
}
