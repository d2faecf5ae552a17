/* SPDX-License-Identifier: Apache-2.0 */
/* A program whose limits leave no room: opening fails with a sentence or works, recording goes on or
 * does nothing, and no signal ends the program. */
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

#define OPENED 0
#define REFUSED 10

/* What a program does with the library, from beginning to end. */
static void use_all(void)
{
    datastall_monitor *monitor;
    datastall_loader *loader = NULL;
    datastall_statistics statistics = DATASTALL_STATISTICS_INIT;
    const int error = datastall_open(NULL, &monitor);
    if (error != DATASTALL_OK && (monitor != NULL || datastall_last_error()[0] == '\0'))
        _exit(2);
    datastall_loader_register(monitor, NULL, &loader);
    for (int i = 0; i < 100; i++) {
        datastall_wait wait = datastall_wait_begin(loader);
        datastall_wait_end(&wait, DATASTALL_WAIT_STEADY, NULL);
    }
    if (loader != NULL &&
        (datastall_loader_statistics(loader, &statistics) != 0 || statistics.batches != 100))
        _exit(3);
    datastall_gpu_sampling_start(monitor, 1);
    datastall_gpu_sampling_stop(monitor);
    datastall_close(monitor);
    _exit(error == DATASTALL_OK ? OPENED : REFUSED);
}

struct limit {
    int resource;
    rlim_t value;
};

static void within_limit(void *context)
{
    const struct limit *limit = context;
    const struct rlimit both = {limit->value, limit->value};
    alarm(60);
    CHECK(setrlimit(limit->resource, &both) == 0, "cannot set the limit");
    use_all();
}

/* How it went: OPENED or REFUSED. */
static int try(int resource, rlim_t value, const char *what)
{
    struct limit limit = {resource, value};
    const int status = test_in_child(within_limit, &limit);
    CHECK(WIFEXITED(status), "%s %llu: signal %d", what, (unsigned long long)value,
          WTERMSIG(status));
    CHECK(WEXITSTATUS(status) == OPENED || WEXITSTATUS(status) == REFUSED, "%s %llu: exit %d", what,
          (unsigned long long)value, WEXITSTATUS(status));
    return WEXITSTATUS(status);
}

#ifndef SANITIZED /* a sanitizer needs more than any limit here */
/* Emulators take a limit of the address space and forget it. */
static void is_kept(void *context)
{
    const struct limit *limit = context;
    const struct rlimit both = {limit->value, limit->value};
    struct rlimit now;
    _exit(setrlimit(limit->resource, &both) == 0 && getrlimit(limit->resource, &now) == 0 &&
          now.rlim_cur == limit->value);
}

static rlim_t address_space(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%llu", &pages) == 1, "cannot read statm");
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}
#endif

int main(void)
{
    int opened = 0, refused = 0;
    test_run_folder();
    for (rlim_t files = 0; files <= 12; files++) {
        const int went = try(RLIMIT_NOFILE, files, "files");
        opened += went == OPENED;
        refused += went == REFUSED;
    }
    CHECK(opened > 0 && refused > 0, "%d opened, %d refused", opened, refused);
#ifndef SANITIZED
    struct limit whole = {RLIMIT_AS, address_space() + 1024 * 1024 * 1024};
    if (WEXITSTATUS(test_in_child(is_kept, &whole)) == 0) {
        puts("no limit of files ends the program; one of memory is not kept here");
        return 0;
    }
    opened = refused = 0;
    for (rlim_t kib = 0; kib <= 24 * 1024; kib += 256) {
        const int went = try(RLIMIT_AS, address_space() + kib * 1024, "KiB of memory");
        opened += went == OPENED;
        refused += went == REFUSED;
    }
    CHECK(opened > 0 && refused > 0, "%d opened, %d refused", opened, refused);
#endif
    puts("no limit ends the program");
    return 0;
}
