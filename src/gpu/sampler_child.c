/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall sample`: the sampler process's own side. One thread, nothing to lose: a driver that
 * crashes or hangs takes this process with it and nothing else. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "datastall.h"
#include "gpu/sampler_process.h"
#include "gpu/sampling_loop.h"
#include "runfile/liveness.h"

#define LOOK_AFTER_HOST_NS DS_NS_PER_S
#define LOOK_AFTER_HOST_S 2                 /* in the middle of a call */
#define MOST_DATA_BYTES (UINT64_C(1) << 30) /* a library that leaks must not squeeze the host out */

static struct gpu_plan plan;
static bool said_end;

static bool send_message(const struct gpu_message *message)
{
    ssize_t sent;
    do {
        sent = send(GPU_SAMPLER_FD, message, sizeof *message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof *message;
}

/* ---- last words: in signal handlers and at exit() ---- */

static void say_end(enum rf_gpu_end end, int detail)
{
    static struct gpu_message ended = {.kind = GPU_ENDED};
    if (said_end)
        return;
    said_end = true;
    ended.number = end;
    ended.error = (uint64_t)detail;
    send(GPU_SAMPLER_FD, &ended, sizeof ended, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_fault(int signal_number)
{
    say_end(RF_GPU_END_SIGNAL, signal_number);
    _exit(128 + signal_number);
}

static void on_exit_by_library(void)
{
    say_end(RF_GPU_END_EXIT, 0);
}

static bool host_hung_up(void)
{
    struct pollfd end = {.fd = GPU_SAMPLER_FD};
    return poll(&end, 1, 0) > 0 && (end.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* The driver has not come back for a while: stays as long as somebody waits for it. */
static void on_alarm(int signal_number)
{
    (void)signal_number;
    const int saved = errno;
    if (host_hung_up() || (kill((pid_t)plan.host_pid, 0) != 0 && errno == ESRCH))
        _exit(0);
    alarm(LOOK_AFTER_HOST_S);
    errno = saved;
}

static void set_signals(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};
    /* Sent to a whole job or control group they are for the host, whose end is this one's too. */
    static const int not_for_us[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                                     SIGUSR2, SIGPIPE, SIGXFSZ, SIGXCPU};
    static char stack[65536];
    const stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &action, NULL);
    action.sa_handler = SIG_IGN;
    for (size_t i = 0; i < sizeof not_for_us / sizeof *not_for_us; i++)
        sigaction(not_for_us[i], &action, NULL);
    sigaltstack(&other, NULL);
    action = (struct sigaction){.sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigaction(faults[i], &action, NULL);
    action = (struct sigaction){.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- alone ---- */

/* Kernels before 5.9 could not do it while the program was started. */
static void close_other_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        const int fd = atoi(entry->d_name);
        if (fd > GPU_SAMPLER_FD && fd != dirfd(folder))
            close(fd);
    }
    if (folder != NULL)
        closedir(folder);
}

static void set_limits(void)
{
#if !defined(__SANITIZE_THREAD__) /* whose shadow memory counts */
    struct rlimit data;
    if (getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur > MOST_DATA_BYTES) {
        data.rlim_cur = MOST_DATA_BYTES;
        setrlimit(RLIMIT_DATA, &data);
    }
#endif
    const int policy = sched_getscheduler(0);
    if (policy == SCHED_FIFO || policy == SCHED_RR)
        sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
}

/* ---- the port of the loop ---- */

static bool tell(void *context, const struct gpu_message *message)
{
    (void)context;
    if (message->kind == GPU_ENDED)
        said_end = true;
    if (message->kind == GPU_OPENED && chdir("/") != 0) /* holds up no unmounting from here on */
        return false;
    return send_message(message);
}

static bool host_is_there(void)
{
    return !host_hung_up() && (plan.host_start_ticks == 0 ||
                               rf_start_ticks_of(plan.host_pid) == plan.host_start_ticks);
}

/* Whether an order came until then. */
static bool take_order(uint64_t time_ns, struct gpu_message *order)
{
    const uint64_t now_ns = ds_now_ns(), left_ns = time_ns > now_ns ? time_ns - now_ns : 0;
    const struct timespec timeout = {(time_t)(left_ns / DS_NS_PER_S),
                                     (long)(left_ns % DS_NS_PER_S)};
    struct pollfd ready = {.fd = GPU_SAMPLER_FD, .events = POLLIN};
    return ppoll(&ready, 1, &timeout, NULL) > 0 &&
           recv(GPU_SAMPLER_FD, order, sizeof *order, MSG_DONTWAIT) == (ssize_t)sizeof *order;
}

static bool wait_for_order(void *context, uint64_t time_ns, struct gpu_message *order)
{
    (void)context;
    for (;;) {
        const uint64_t look_ns = ds_now_ns() + LOOK_AFTER_HOST_NS;
        if (take_order(time_ns < look_ns ? time_ns : look_ns, order))
            return true;
        if (!host_is_there()) {
            order->kind = GPU_STOP;
            return true;
        }
        if (ds_now_ns() >= time_ns)
            return false;
    }
}

static void enter(void *context)
{
    (void)context;
    alarm(LOOK_AFTER_HOST_S);
}

static void leave(void *context)
{
    (void)context;
    alarm(0);
}

int gpu_sampler_main(const struct gpu_vendor *vendor)
{
    static const struct gpu_port port = {NULL, tell, wait_for_order, enter, leave};
    struct gpu_message first;
    if (recv(GPU_SAMPLER_FD, &first, sizeof first, MSG_DONTWAIT) != (ssize_t)sizeof first ||
        first.kind != GPU_PLAN ||
        strncmp(first.plan.version, DATASTALL_VERSION, sizeof first.plan.version) != 0)
        return 2;
    plan = first.plan;
    set_signals();
    close_other_descriptors();
    set_limits();
    atexit(on_exit_by_library);
    if (send_message(&(struct gpu_message){.kind = GPU_HELLO}))
        gpu_sampling_loop(vendor, &plan, &port);
    said_end = true;
    return 0;
}
