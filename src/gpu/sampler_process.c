/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/sampler_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "datastall.h"
#include "runfile/liveness.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* The thread sanitizer would take its own for a fork, in the memory that both share. */
#if defined(__SANITIZE_THREAD__)
int __clone(int (*run)(void *), void *stack, int flags, void *argument, ...);
#define clone __clone
#endif

/* ---- which program ---- */

static pthread_mutex_t program_mutex = PTHREAD_MUTEX_INITIALIZER;
static char known_program[PATH_MAX];

void gpu_program_set(const char *path)
{
    pthread_mutex_lock(&program_mutex);
    snprintf(known_program, sizeof known_program, "%s", path != NULL ? path : "");
    pthread_mutex_unlock(&program_mutex);
}

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static bool find_on_path(char path[PATH_MAX])
{
    const char *folder = getenv("PATH");
    while (folder != NULL && *folder != '\0') {
        const size_t length = strcspn(folder, ":");
        /* An empty entry is the working folder, from which nothing is run unasked. */
        if (length > 0 && folder[0] == '/' &&
            snprintf(path, PATH_MAX, "%.*s/datastall", (int)length, folder) < PATH_MAX &&
            is_program(path))
            return true;
        folder += length + (folder[length] == ':');
    }
    return false;
}

bool gpu_program_find(char path[PATH_MAX])
{
    int adopts = 0;
    if (getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &adopts) == 0 && adopts != 0))
        return false;
    const char *given = getenv("DATASTALL_PROGRAM");
    if (given != NULL && *given != '\0')
        return snprintf(path, PATH_MAX, "%s", given) < PATH_MAX && is_program(path);
    pthread_mutex_lock(&program_mutex);
    snprintf(path, PATH_MAX, "%s", known_program);
    pthread_mutex_unlock(&program_mutex);
    return (*path != '\0' && is_program(path)) || find_on_path(path);
}

/* ---- what it starts with ---- */

static bool is_for_the_host_only(const char *variable)
{
    static const char *const prefixes[] = {
        "PYTHON", "LD_PRELOAD=", "LD_AUDIT=", "LD_PROFILE=", "CUDA_INJECTION", "NVTX_INJECTION"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

char **gpu_environment_copy(void)
{
    size_t count = 0, bytes = 0;
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        count++;
        bytes += strlen(*variable) + 1;
    }
    char **copy = malloc((count + 1) * sizeof *copy + bytes);
    if (copy == NULL)
        return NULL;
    char *text = (char *)(copy + count + 1);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_for_the_host_only(environ[i]))
            continue;
        copy[kept++] = text;
        text = stpcpy(text, environ[i]) + 1;
    }
    copy[kept] = NULL;
    return copy;
}

/* ---- starting it ---- */

struct spawn {
    const char *program;
    char *const *environment;
    int socket;
    int error;
    char *stacks; /* of both, on the heap: the calling thread's may be small */
};

/* Both run in the host's memory, on stacks of their own, while the host's thread waits: bare system
 * calls only, and nothing that a sanitizer would note down. */
#define IN_BETWEEN __attribute__((no_sanitize("address", "thread", "undefined")))
#define SPAWN_STACK_BYTES 32768

IN_BETWEEN static int become_the_sampler(void *argument)
{
    struct spawn *spawn = argument;
    static char name[] = "datastall", command[] = GPU_SAMPLER_COMMAND;
    char *arguments[] = {name, command, NULL};
    const long nowhere = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
    /* Out of the way of what they become. */
    const long nothing = syscall(SYS_fcntl, nowhere, F_DUPFD, GPU_SAMPLER_FD + 1);
    const long socket = syscall(SYS_fcntl, spawn->socket, F_DUPFD, GPU_SAMPLER_FD + 1);
    bool fine = nothing >= 0 && socket >= 0;
    for (int i = 0; i < GPU_SAMPLER_FD; i++)
        fine = fine && syscall(SYS_dup3, nothing, i, 0) == i;
    if (fine && syscall(SYS_dup3, socket, GPU_SAMPLER_FD, 0) == GPU_SAMPLER_FD) {
        /* Where the kernel is too old, the program does it. */
        syscall(SYS_close_range, GPU_SAMPLER_FD + 1, ~0u, 0);
        syscall(SYS_setsid);
        syscall(SYS_execve, spawn->program, arguments, spawn->environment);
    }
    spawn->error = errno;
    syscall(SYS_exit, 127);
    return 0;
}

/* The one in between: its end orphans the sampler. */
IN_BETWEEN static int start_and_go(void *argument)
{
    struct spawn *spawn = argument;
    if (clone(become_the_sampler, spawn->stacks + SPAWN_STACK_BYTES,
              CLONE_VM | CLONE_VFORK | SIGCHLD, spawn) < 0)
        spawn->error = errno;
    syscall(SYS_exit, 0);
    return 0;
}

/* Returns 0 or an errno. */
static int run_in_between(struct spawn *spawn)
{
    sigset_t all, before;
    spawn->stacks = aligned_alloc(64, 2 * SPAWN_STACK_BYTES);
    if (spawn->stacks == NULL)
        return ENOMEM;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of the host runs in there */
    const pid_t pid = clone(start_and_go, spawn->stacks + 2 * SPAWN_STACK_BYTES,
                            CLONE_VM | CLONE_VFORK /* and no signal */, spawn);
    if (pid < 0)
        spawn->error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    while (pid > 0 && waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
        ;
    free(spawn->stacks);
    return spawn->error;
}

static bool note_identity(struct gpu_process *process)
{
    struct stat status;
    if (fstat(process->fd, &status) != 0)
        return false;
    process->device = status.st_dev;
    process->inode = status.st_ino;
    return true;
}

int gpu_process_start(const char *program, char *const *environment, const struct gpu_plan *plan,
                      struct gpu_process *process)
{
    int pair[2];
    struct gpu_message message = {.kind = GPU_PLAN, .plan = *plan};
    snprintf(message.plan.version, sizeof message.plan.version, "%s", DATASTALL_VERSION);
    message.plan.host_pid = (uint64_t)getpid();
    message.plan.host_start_ticks = rf_start_ticks_of(message.plan.host_pid);
    process->fd = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return errno;
    *process = (struct gpu_process){.fd = pair[0]};
    struct spawn spawn = {.program = program, .environment = environment, .socket = pair[1]};
    int error = 0;
    if (!note_identity(process) || !gpu_process_send(process, &message))
        error = errno;
    if (error == 0)
        error = run_in_between(&spawn);
    close(pair[1]);
    if (error != 0)
        gpu_process_close(process);
    return error;
}

/* ---- talking to it ---- */

static bool is_ours(const struct gpu_process *process)
{
    struct stat status;
    return process->fd >= 0 && fstat(process->fd, &status) == 0 &&
           status.st_dev == process->device && status.st_ino == process->inode;
}

static void check_share(double *value, double most)
{
    if (!(*value >= 0.0 && *value <= most))
        *value = __builtin_nan("");
}

/* Who crashed in a driver may have said anything before. */
static bool is_sane(struct gpu_message *message)
{
    struct rf_gpu_static *identity = &message->identity;
    struct rf_gpu_sample *sample = &message->sample;
    if (message->kind == GPU_IDENTITY || message->kind == GPU_CALLING ||
        message->kind == GPU_SAMPLE) {
        if (message->device >= GPU_MAX_DEVICES)
            return false;
    }
    if (message->kind == GPU_CALLING) {
        return message->time_ns <= ds_now_ns();
    } else if (message->kind == GPU_IDENTITY) {
        identity->uuid[sizeof identity->uuid - 1] = '\0';
        identity->name[sizeof identity->name - 1] = '\0';
    } else if (message->kind == GPU_SAMPLE) {
        check_share(&sample->activity, 1e3);
        for (uint32_t i = 0; i < RF_GPM_FIELDS; i++)
            check_share(&sample->gpm[i], 1e15);
        return sample->time_ns <= ds_now_ns() && sample->activity_source <= RF_ACTIVITY_GPM;
    }
    return true;
}

enum gpu_receipt gpu_process_receive(const struct gpu_process *process, int timeout_ms,
                                     struct gpu_message *message)
{
    for (;;) {
        struct pollfd ready = {.fd = process->fd, .events = POLLIN};
        const int count = poll(&ready, 1, timeout_ms);
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0)
            return GPU_SILENCE;
        if (count < 0 || !is_ours(process))
            return GPU_GONE;
        const ssize_t got = recv(process->fd, message, sizeof *message, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got != (ssize_t)sizeof *message)
            return GPU_GONE;
        if (is_sane(message))
            return GPU_RECEIVED;
    }
}

bool gpu_process_send(const struct gpu_process *process, const struct gpu_message *message)
{
    return is_ours(process) && send(process->fd, message, sizeof *message,
                                    MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof *message;
}

void gpu_process_hang_up(const struct gpu_process *process)
{
    if (is_ours(process))
        shutdown(process->fd, SHUT_RDWR);
}

void gpu_process_close(struct gpu_process *process)
{
    /* Not by close() alone: a forked child of the host may hold the same end. */
    gpu_process_hang_up(process);
    if (is_ours(process))
        close(process->fd);
    process->fd = -1;
}
