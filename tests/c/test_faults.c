/* SPDX-License-Identifier: Apache-2.0 */
/* What may happen to a program that records: each has one outcome, and the program goes on. Every
 * scenario runs in a process of its own, since a process has one run folder. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault_guard.h"
#include "run/listing.h"
#include "run/run_data.h"
#include "runfile/rundir.h"
#include "support.h"

#define MS UINT64_C(1000000)

static const char *base; /* an empty folder for each scenario */

/* The address sanitizer has a handler of its own, which a scenario would find in place of none. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "handle_sigbus=0";
}

static datastall_monitor *open_monitor(void)
{
    datastall_monitor *monitor;
    CHECK(datastall_open(NULL, &monitor) == 0, "open");
    return monitor;
}

static void put(datastall_loader *loader, uint64_t count)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    batch.samples = 2;
    for (uint64_t i = 0; i < count; i++)
        datastall_wait_record(loader, datastall_clock_ns(), MS, DATASTALL_WAIT_STEADY, &batch);
}

static void expect_batches(datastall_monitor *monitor, uint64_t batches)
{
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    CHECK(datastall_monitor_statistics(monitor, &s) == 0, "statistics");
    CHECK(s.batches == batches && s.samples == 2 * batches, "%llu batches instead of %llu",
          (unsigned long long)s.batches, (unsigned long long)batches);
}

static unsigned entries_of(const char *folder)
{
    DIR *directory = opendir(folder);
    unsigned count = 0;
    for (struct dirent *e; directory != NULL && (e = readdir(directory)) != NULL;)
        count += e->d_name[0] != '.';
    if (directory != NULL)
        closedir(directory);
    return count;
}

/* ---- opening fails ---- */

static void expect_failure(int error, const char *words)
{
    datastall_monitor *monitor = (void *)1;
    CHECK(datastall_open(NULL, &monitor) == error, "another error");
    CHECK(monitor == NULL, "a monitor");
    const char *sentence = datastall_last_error();
    CHECK(strstr(sentence, words) != NULL, "\"%s\" is not in the sentence", words);
    CHECK(strchr(sentence, '\n') == NULL, "one line");
    put(NULL, 10); /* the program goes on unchanged */
}

static void a_folder_below_a_file(void *context)
{
    (void)context;
    test_write_file(test_path(base, "file"), "x", 1);
    setenv("DATASTALL_DIR", test_path(base, "file/runs"), 1);
    expect_failure(DATASTALL_ERR_NOT_FOUND, "file/runs");
    CHECK(entries_of(base) == 1, "something was left behind");
}

static void a_run_folder_that_is_gone(void *context)
{
    (void)context;
    setenv("DATASTALL_RUN_DIR", test_path(base, "gone"), 1);
    expect_failure(DATASTALL_ERR_NOT_FOUND, "gone");
    CHECK(entries_of(base) == 0, "something was left behind");
}

static void a_folder_without_permission(void *context)
{
    (void)context;
    CHECK(chmod(base, 0500) == 0, "chmod");
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        return; /* root may write everywhere */
    if (access(base, W_OK) == 0)
        return; /* no permission was taken away */
    setenv("DATASTALL_DIR", base, 1);
    expect_failure(DATASTALL_ERR_PERMISSION, "Permission denied");
}

/* ulimit -f: the signal for it would end the program, whose own it is. */
static void files_may_not_grow(void *context)
{
    (void)context;
    const struct rlimit limit = {1 << 20, 1 << 20};
    struct sigaction action;
    sigset_t pending, blocked;
    setenv("DATASTALL_DIR", base, 1);
    signal(SIGXFSZ, SIG_DFL);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0, "no limit");
    expect_failure(DATASTALL_ERR_IO, "File too large");
    sigaction(SIGXFSZ, NULL, &action);
    sigpending(&pending);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    CHECK(action.sa_handler == SIG_DFL && !sigismember(&pending, SIGXFSZ) &&
              !sigismember(&blocked, SIGXFSZ),
          "the signal is not as it was");
}

static void a_run_at_its_limit(void *context)
{
    (void)context;
    setenv("DATASTALL_DIR", base, 1);
    setenv("DATASTALL_RUN_CAP_MIB", "1", 1);
    expect_failure(DATASTALL_ERR_NO_SPACE, "DATASTALL_RUN_CAP_MIB");
    CHECK(entries_of(base) == 0, "something was left behind");
}

/* ---- the file is taken away ---- */

static void the_folder_is_removed(void *context)
{
    (void)context;
    setenv("DATASTALL_DIR", base, 1);
    datastall_monitor *monitor = open_monitor();
    datastall_loader *loader = test_loader(monitor, "l");
    put(loader, 100);
    test_remove(base);
    CHECK(access(base, F_OK) != 0, "it is still there");
    put(loader, 100000);
    datastall_stage_set(monitor, "after", NULL);
    expect_batches(monitor, 100100);
    CHECK(datastall_monitor_state(monitor) == 0, "it still records");
    datastall_close(monitor);
}

static sigjmp_buf after_fault;
static volatile sig_atomic_t faults;

static void count_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    faults++;
    if (info->si_code > 0)
        siglongjmp(after_fault, 1);
}

/* A SIGBUS that is none of ours goes to the program's own handler. */
static void fault_elsewhere(void)
{
    const char *path = test_path(base, "other");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 4096) == 0, "cannot make %s", path);
    volatile char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED && ftruncate(fd, 0) == 0, "cannot map %s", path);
    const int before = faults;
    if (sigsetjmp(after_fault, 1) == 0)
        map[0] = 1;
    CHECK(faults == before + 1, "the program's handler was called %d times", faults - before);
    munmap((void *)(uintptr_t)map, 4096);
    close(fd);
}

static void cut_to(off_t size)
{
    setenv("DATASTALL_RUN_DIR", base, 1);
    struct sigaction action = {.sa_sigaction = count_fault, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGBUS, &action, NULL) == 0, "sigaction");
    datastall_monitor *monitor = open_monitor(), *other = open_monitor();
    datastall_loader *loader = test_loader(monitor, "l"), *elsewhere = test_loader(other, "m");
    put(loader, 100);
    put(elsewhere, 7);
    CHECK(truncate(datastall_run_file(monitor), size) == 0, "truncate");
    put(loader, 100000);
    datastall_stage_set(monitor, "after", NULL);
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    datastall_monitor_statistics(monitor, &s);
    CHECK(datastall_monitor_state(monitor) == DATASTALL_ERR_OFF, "state %d",
          datastall_monitor_state(monitor));
    CHECK(strstr(datastall_last_error(), "cut short") != NULL, "it says why");
    CHECK(faults == 0, "the program's handler saw our fault");
    fault_elsewhere();
    CHECK(datastall_monitor_state(other) == 0, "the other monitor records on");
    put(elsewhere, 3);
    expect_batches(other, 10);
    datastall_close(monitor);
    fault_elsewhere();
    datastall_close(other);
}

/* What the program, torch or faulthandler may do at any time. */
static void a_handler_is_set_later(void *context)
{
    (void)context;
    setenv("DATASTALL_RUN_DIR", base, 1);
    datastall_monitor *monitor = open_monitor();
    datastall_loader *loader = test_loader(monitor, "l");
    put(loader, 100);
    struct sigaction action = {.sa_sigaction = count_fault, .sa_flags = SA_SIGINFO}, before;
    for (int i = 0; i < 3; i++) { /* again and again: it is one and the same */
        CHECK(sigaction(SIGBUS, &action, i == 0 ? &before : NULL) == 0, "sigaction");
        datastall_stage_set(monitor, "looks", NULL);
        fault_elsewhere();
    }
    CHECK(raise(SIGBUS) == 0 && faults == 4, "one that was sent: %d", faults);
    usleep(DS_FAULT_GUARD_MOST_NS / 1000);
    put(loader, 1);
    CHECK(raise(SIGBUS) == 0 && faults == 5, "one that was sent: %d", faults);
    usleep(DS_FAULT_GUARD_MOST_NS / 1000);
    put(loader, 1);
    faults = 0;
    CHECK(truncate(datastall_run_file(monitor), 0) == 0, "truncate");
    put(loader, 100000);
    CHECK(datastall_monitor_state(monitor) == DATASTALL_ERR_OFF, "it noticed");
    CHECK(faults == 0, "the program's handler saw our fault");
    datastall_close(monitor);
    /* The program puts back what was there before: nothing. */
    CHECK(sigaction(SIGBUS, &before, NULL) == 0, "sigaction");
    signal(SIGALRM, SIG_DFL);
    alarm(20);
    raise(SIGBUS);
    CHECK(false, "it lives");
}

/* Who sets handlers does so when it begins: a look is a system call after each step. */
static void looks_become_seldom(void *context)
{
    (void)context;
    setenv("DATASTALL_RUN_DIR", base, 1);
    datastall_monitor *monitor = open_monitor();
    const struct ds_fault_guard_looks *looks = &ds_fault_guard_looks;
    const struct sigaction action = {.sa_sigaction = count_fault, .sa_flags = SA_SIGINFO};
    uint64_t now_ns = 1000 * DS_FAULT_GUARD_MOST_NS;
    ds_fault_guard_look(now_ns);
    for (int i = 0; i < 3; i++) {
        CHECK(sigaction(SIGBUS, &action, NULL) == 0, "sigaction");
        ds_fault_guard_keep(now_ns += DS_FAULT_GUARD_MOST_NS);
        uint64_t every_ns = DS_FAULT_GUARD_LOOK_NS;
        while (every_ns < DS_FAULT_GUARD_MOST_NS) {
            CHECK(looks->every_ns == every_ns, "not %llu", (unsigned long long)looks->every_ns);
            ds_fault_guard_keep(now_ns + every_ns - 1);
            CHECK(looks->looked_ns == now_ns, "too early");
            ds_fault_guard_keep(now_ns += every_ns);
            CHECK(looks->looked_ns == now_ns, "too late");
            every_ns *= 2;
        }
        ds_fault_guard_keep(now_ns += DS_FAULT_GUARD_MOST_NS);
        CHECK(looks->every_ns == DS_FAULT_GUARD_MOST_NS, "%llu",
              (unsigned long long)looks->every_ns);
    }
    ds_fault_guard_keep(now_ns - 1); /* a clock that went back */
    CHECK(looks->looked_ns == now_ns - 1, "not looked");
    datastall_close(monitor);
}

static void the_file_is_emptied(void *context)
{
    (void)context;
    cut_to(0);
}

static void the_file_is_cut(void *context)
{
    (void)context;
    cut_to(8192);
}

/* ---- recording on tmpfs ---- */

static void recorded_on_tmpfs(void *context)
{
    (void)context;
    char tmpfs[PATH_MAX], home[PATH_MAX];
    struct run_data *run;
    struct run_entry *runs;
    uint32_t count;
    setenv("DATASTALL_DIR", base, 1);
    setenv("DATASTALL_RECORD_ON", "tmpfs", 1);
    datastall_monitor *monitor = open_monitor(), *second = open_monitor();
    snprintf(tmpfs, sizeof tmpfs, "%s", datastall_run_file(monitor));
    CHECK(strncmp(tmpfs, RF_TMPFS_PREFIX, strlen(RF_TMPFS_PREFIX)) == 0, "%s", tmpfs);
    *strrchr(tmpfs, '/') = '\0';
    CHECK(run_list(base, &runs, &count) == 0 && count == 1, "%u runs", count);
    snprintf(home, sizeof home, "%s/%s", base, runs[0].id);
    run_list_free(runs, count);
    put(test_loader(monitor, "l"), 50);
    put(test_loader(second, "m"), 60);
    CHECK(run_data_read(home, &run) == 0 && run->process_count == 2, "it is read while it runs");
    CHECK(run->problems == 0, "%s", run->first_problem);
    run_data_free(run);
    datastall_close(monitor);
    CHECK(access(tmpfs, F_OK) == 0, "one still records there");
    datastall_close(second);
    CHECK(access(tmpfs, F_OK) != 0, "%s is left", tmpfs);
    CHECK(entries_of(home) == 2, "two files came home");
    CHECK(run_data_read(home, &run) == 0 && run->process_count == 2, "it is read at home");
    CHECK(run->problems == 0, "%s", run->first_problem);
    uint64_t batches = 0;
    for (uint32_t i = 0; i < 2; i++)
        batches += run->processes[i].loaders[0].totals.counters[RF_COUNT_BATCHES];
    CHECK(batches == 110, "%llu batches", (unsigned long long)batches);
    run_data_free(run);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void *);
        int status;
    } scenarios[] = {
        {"a folder below a file", a_folder_below_a_file},
        {"a run folder that is gone", a_run_folder_that_is_gone},
        {"a folder without permission", a_folder_without_permission},
        {"a run at its limit", a_run_at_its_limit},
        {"files may not grow", files_may_not_grow},
        {"the folder is removed", the_folder_is_removed},
        {"the file is emptied", the_file_is_emptied},
        {"the file is cut", the_file_is_cut},
        {"looks become seldom", looks_become_seldom},
        {"a handler is set later", a_handler_is_set_later, SIGBUS},
        {"recorded on tmpfs", recorded_on_tmpfs},
    };
    int failed = 0;
    unsetenv("DATASTALL_RUN_DIR");
    unsetenv("DATASTALL_RECORD_ON");
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        base = test_folder();
        int status = test_in_child(scenarios[i].run, NULL);
        if (WIFSIGNALED(status))
            status = WTERMSIG(status); /* dumped core or not */
        const bool ok = status == scenarios[i].status;
        printf("%s: %s\n", ok ? "ok" : "FAILED", scenarios[i].name);
        if (!ok)
            printf("  ended with %#x\n", status);
        failed += !ok;
    }
    return failed == 0 ? 0 : 1;
}
