/* SPDX-License-Identifier: Apache-2.0 */
/* What a container may use, read from fixture trees as kernels and container runtimes make them. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/children.h"
#include "host/limits.h"
#include "host/lock_wait.h"
#include "host/other_threads.h"
#include "host/usage.h"
#include "support.h"

static char root[4096];

/* A fresh tree for each test. */
static int make_root(void **state)
{
    static int number;
    (void)state;
    snprintf(root, sizeof root, "%s/tree%d", test_folder(), number++);
    assert_int_equal(mkdir(root, 0700), 0);
    return 0;
}

static void put(const char *path, const char *text)
{
    char whole[8192];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = strchr(whole + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    test_write_file(whole, text, strlen(text));
}

static void put_machine(const char *online, const char *allowed)
{
    char text[256];
    put("/sys/devices/system/cpu/online", online);
    snprintf(text, sizeof text, "Name:\tpython\nCpus_allowed:\tff\nCpus_allowed_list:\t%s\n",
             allowed);
    put("/proc/self/status", text);
}

static const char v2_mount[] =
    "22 20 0:5 / /dev rw - devtmpfs devtmpfs rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
static const char v1_mounts[] =
    "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
    "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 /docker/abc /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n";

static void test_lists(void **state)
{
    (void)state;
    assert_int_equal(host_count_cpu_list("0-3,8,10-11\n"), 7);
    assert_int_equal(host_count_cpu_list("5"), 1);
    assert_int_equal(host_count_cpu_list("0-255"), 256);
    assert_true(host_count_cpu_list("") == HOST_UNKNOWN);
    assert_true(host_count_cpu_list("\n") == HOST_UNKNOWN);
    assert_true(host_count_cpu_list("3-1") == HOST_UNKNOWN);
    assert_true(host_count_cpu_list("0-99999999999") == HOST_UNKNOWN);
    assert_true(host_count_cpu_list("1,x") == HOST_UNKNOWN);
}

static void test_quotas(void **state)
{
    (void)state;
    assert_true(host_parse_cpu_max("200000 100000\n") == 2.0);
    assert_true(host_parse_cpu_max("50000 100000") == 0.5);
    assert_true(host_parse_cpu_max("150000") == 1.5);
    assert_true(isnan(host_parse_cpu_max("max 100000\n")));
    assert_true(isnan(host_parse_cpu_max("")));
    assert_true(isnan(host_parse_cpu_max("100 0")));
    assert_true(isnan(host_parse_cpu_max("99999999999999999999999 1")));
}

static void test_nothing_is_known(void **state)
{
    struct host_limits limits;
    struct host_throttling throttling;
    struct host_process_io io;
    struct host_pressure pressure;
    (void)state;
    host_limits_read(root, &limits);
    assert_true(limits.cpus_online == HOST_UNKNOWN && limits.cpus_affinity == HOST_UNKNOWN);
    assert_true(limits.cpus_cpuset == HOST_UNKNOWN);
    assert_true(isnan(limits.cpus_quota) && isnan(limits.cpus_usable));
    assert_int_equal(limits.quota_cgroup, HOST_CGROUP_NONE);
    host_throttling_read(&limits, &throttling);
    assert_true(throttling.throttled_ns == HOST_UNKNOWN);
    host_process_io_read(root, &io);
    assert_true(io.asked_bytes == HOST_UNKNOWN && io.storage_bytes == HOST_UNKNOWN);
    assert_true(io.major_faults == HOST_UNKNOWN);
    host_pressure_read(root, &pressure);
    assert_true(pressure.cpu_some_us == HOST_UNKNOWN && pressure.io_full_us == HOST_UNKNOWN);
}

static void test_without_cgroups_the_affinity_counts(void **state)
{
    struct host_limits limits;
    (void)state;
    put_machine("0-7\n", "2-4");
    host_limits_read(root, &limits);
    assert_int_equal(limits.cpus_online, 8);
    assert_int_equal(limits.cpus_affinity, 3);
    assert_true(limits.cpus_usable == 3.0);
    assert_int_equal(limits.source, HOST_LIMIT_AFFINITY);
    put_machine("0-7\n", "0-7");
    host_limits_read(root, &limits);
    assert_true(limits.cpus_usable == 8.0);
    assert_int_equal(limits.source, HOST_LIMIT_MACHINE);
}

static void test_v2_in_a_container(void **state)
{
    struct host_limits limits;
    struct host_throttling throttling;
    (void)state;
    put_machine("0-63", "0-63");
    put("/proc/self/cgroup", "0::/\n"); /* a cgroup namespace */
    put("/proc/self/mountinfo", v2_mount);
    put("/sys/fs/cgroup/cpu.max", "250000 100000\n");
    put("/sys/fs/cgroup/cpuset.cpus.effective", "0-15\n");
    put("/sys/fs/cgroup/cpu.stat",
        "usage_usec 9\nnr_periods 40\nnr_throttled 12\nthrottled_usec 3500\n");
    host_limits_read(root, &limits);
    assert_true(limits.cpus_quota == 2.5 && limits.cpus_usable == 2.5);
    assert_int_equal(limits.cpus_cpuset, 16);
    assert_int_equal(limits.source, HOST_LIMIT_QUOTA);
    assert_int_equal(limits.quota_cgroup, HOST_CGROUP_V2);
    assert_string_equal(limits.quota_text, "250000 100000");
    host_throttling_read(&limits, &throttling);
    assert_int_equal(throttling.throttled_ns, 3500000);
    assert_int_equal(throttling.throttled_periods, 12);
    assert_int_equal(throttling.periods, 40);
}

static void test_v2_nested_groups(void **state)
{
    struct host_limits limits;
    struct host_throttling throttling;
    (void)state;
    put_machine("0-31", "0-31");
    put("/proc/self/cgroup", "0::/user.slice/job.scope/step\n");
    put("/proc/self/mountinfo", v2_mount);
    put("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/user.slice/job.scope/cpu.max", "400000 100000\n");
    put("/sys/fs/cgroup/user.slice/job.scope/cpu.stat", "nr_throttled 5\nthrottled_usec 7\n");
    put("/sys/fs/cgroup/user.slice/job.scope/step/cpu.max", "800000 100000\n");
    put("/sys/fs/cgroup/user.slice/job.scope/step/cpu.stat", "nr_throttled 1\nthrottled_usec 1\n");
    put("/sys/fs/cgroup/cpuset.cpus.effective", "0-23\n");
    host_limits_read(root, &limits);
    assert_true(limits.cpus_quota == 4.0 && limits.cpus_usable == 4.0);
    assert_int_equal(limits.cpus_cpuset, 24);
    /* The throttling of the group that binds, which is not the innermost. */
    host_throttling_read(&limits, &throttling);
    assert_int_equal(throttling.throttled_ns, 7000);
}

static void test_v2_without_a_quota(void **state)
{
    struct host_limits limits;
    (void)state;
    put_machine("0-3", "0-3");
    put("/proc/self/cgroup", "0::/app\n");
    put("/proc/self/mountinfo", v2_mount);
    put("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/app/cpuset.cpus.effective", "\n"); /* empty: look above */
    put("/sys/fs/cgroup/cpuset.cpus.effective", "0-1\n");
    host_limits_read(root, &limits);
    assert_true(isnan(limits.cpus_quota));
    assert_int_equal(limits.cpus_cpuset, 2);
    assert_true(limits.cpus_usable == 2.0);
    assert_int_equal(limits.source, HOST_LIMIT_CPUSET);
}

static void test_v1_in_a_container(void **state)
{
    struct host_limits limits;
    struct host_throttling throttling;
    (void)state;
    put_machine("0-15", "0-15");
    put("/proc/self/cgroup",
        "5:cpuset:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/x\n");
    put("/proc/self/mountinfo", v1_mounts);
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.stat",
        "nr_periods 9\nnr_throttled 4\nthrottled_time 123456789\n");
    put("/sys/fs/cgroup/cpuset/cpuset.cpus", "0-7\n");
    host_limits_read(root, &limits);
    assert_true(limits.cpus_quota == 1.5 && limits.cpus_usable == 1.5);
    assert_int_equal(limits.cpus_cpuset, 8);
    assert_int_equal(limits.quota_cgroup, HOST_CGROUP_V1);
    assert_string_equal(limits.quota_text, "150000 100000");
    host_throttling_read(&limits, &throttling);
    assert_int_equal(throttling.throttled_ns, 123456789);
}

static void test_v1_nested_groups(void **state)
{
    struct host_limits limits;
    (void)state;
    put_machine("0-15", "0-15");
    put("/proc/self/cgroup", "4:cpu,cpuacct:/docker/abc/inner\n5:cpuset:/docker/abc/inner\n");
    put("/proc/self/mountinfo", v1_mounts);
    put("/sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpuset/inner/cpuset.effective_cpus", "0-1\n");
    host_limits_read(root, &limits);
    assert_true(limits.cpus_quota == 3.0);
    assert_true(limits.cpus_usable == 2.0);
    assert_int_equal(limits.source, HOST_LIMIT_CPUSET);
}

static void test_hybrid(void **state)
{
    struct host_limits limits;
    (void)state;
    /* cpu in v1, an empty v2 beside it. */
    put_machine("0-7", "0-7");
    put("/proc/self/cgroup", "3:cpu:/job\n0::/job\n");
    put("/proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
    put("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "200000\n");
    put("/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/unified/job/cpu.max", "100000 100000\n"); /* not where cpu is */
    host_limits_read(root, &limits);
    assert_true(limits.cpus_quota == 2.0);
    assert_int_equal(limits.quota_cgroup, HOST_CGROUP_V1);
}

static void test_a_group_that_cannot_be_seen(void **state)
{
    struct host_limits limits;
    (void)state;
    /* Outside of what is mounted: the mount's own limit holds all the same. */
    put_machine("0-7", "0-7");
    put("/proc/self/cgroup", "0::/../other\n");
    put("/proc/self/mountinfo", v2_mount);
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    host_limits_read(root, &limits);
    assert_true(limits.cpus_quota == 1.0);
    put("/proc/self/cgroup", "4:cpu,cpuacct:/elsewhere\n");
    put("/proc/self/mountinfo", v1_mounts);
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "500000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    host_limits_read(root, &limits);
    assert_true(limits.cpus_quota == 5.0);
}

static void test_usage(void **state)
{
    struct host_process_io io;
    struct host_pressure pressure;
    (void)state;
    put("/proc/self/io", "rchar: 5000\nwchar: 1\nsyscr: 2\nread_bytes: 4096\n");
    put("/proc/self/stat", "77 (a) b (c)) R 1 2 3 4 5 6 700 8 901 11 12 13\n");
    put("/proc/pressure/cpu", "some avg10=0.10 avg60=1.00 avg300=2.00 total=123456\n");
    put("/proc/pressure/io", "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\n"
                             "full avg10=0.00 avg60=0.00 avg300=0.00 total=55\n");
    host_process_io_read(root, &io);
    assert_int_equal(io.asked_bytes, 5000);
    assert_int_equal(io.storage_bytes, 4096);
    assert_int_equal(io.major_faults, 901);
    host_pressure_read(root, &pressure);
    assert_int_equal(pressure.cpu_some_us, 123456);
    assert_int_equal(pressure.io_some_us, 77);
    assert_int_equal(pressure.io_full_us, 55);
}

static void test_this_machine(void **state)
{
    struct host_limits limits;
    struct host_process_io io;
    (void)state;
    host_limits_read("", &limits);
    assert_true(limits.cpus_affinity != HOST_UNKNOWN && limits.cpus_affinity > 0);
    assert_true(limits.cpus_usable > 0.0);
    assert_true(limits.cpus_usable <= (double)limits.cpus_affinity);
    host_process_io_read("", &io);
    assert_true(io.major_faults != HOST_UNKNOWN);
}

/* Of the CPUs that may be used, and of no other; a sandbox tells zeros. */
static void test_idle_time_of_the_usable_cpus(void **state)
{
    cpu_set_t before, one;
    char text[4096], stat[512];
    int cpu = 0;
    (void)state;
    const uint64_t tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    assert_true(host_idle_read(root, text, sizeof text) == HOST_UNKNOWN);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    static const struct {
        const char *of_it, *of_another;
        uint64_t ticks; /* HOST_UNKNOWN */
    } rows[] = {
        {"1 2 3 40 5 6 7 8 0 0", "1 2 3 4000 500 6 7 8 0 0", 45},
        {"1 2 3 40 5", "1 2 3 0 0", 45},
        {"1 2 3 0 0", "1 2 3 40 5", HOST_UNKNOWN},
        {"1 2 3 40", "1 2 3 40 5", HOST_UNKNOWN},
        {"nothing", "1 2 3 40 5", HOST_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(stat, sizeof stat, "cpu  9 9 9 9999 9 9\ncpu%d %s\ncpu%d %s\nintr 1 2 3\n", cpu,
                 rows[i].of_it, cpu + 1, rows[i].of_another);
        put("/proc/stat", stat);
        const uint64_t idle_ns = host_idle_read(root, text, sizeof text);
        assert_int_equal(idle_ns,
                         rows[i].ticks == HOST_UNKNOWN ? HOST_UNKNOWN : rows[i].ticks * tick_ns);
    }
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* Who asks runs, so a zero is no answer. */
static void test_threads_that_want_a_cpu(void **state)
{
    (void)state;
    static const struct {
        const char *stat;
        uint64_t runnable;
    } rows[] = {
        {"cpu  1 2 3 4\nprocs_running 7\nprocs_blocked 2\n", 7},
        {"procs_running 1\n", 1},
        {"cpu  1 2 3 4\nprocs_running 0\n", HOST_UNKNOWN},
        {"cpu  1 2 3 4\nprocs_blocked 2\n", HOST_UNKNOWN},
        {"procs_running many\n", HOST_UNKNOWN},
        {"", HOST_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(host_runnable_of(rows[i].stat), rows[i].runnable);
}

/* ---- locks that processes share ---- */

static void test_calls_that_wait_for_a_lock(void **state)
{
    (void)state;
    static const struct {
        long call; /* -2: as it stands */
        const char *rest;
        enum host_lock_wait wanted;
    } rows[] = {
        {SYS_futex, " 0x7f0000 0x109 0x0 0x0 0x0 0xffffffff 0x7ffd 0x7fad\n", HOST_LOCK_YES},
        {SYS_futex, " 0x7f0000 0x0 0x0", HOST_LOCK_YES},
        {SYS_futex, " 0x7f0000 0x189 0x0", HOST_LOCK_NO}, /* private: threads of one process */
        {SYS_futex, " 0x7f0000 0x80 0x0", HOST_LOCK_NO},
        {SYS_futex, " 0x7f0000 0x1 0x1", HOST_LOCK_NO}, /* it wakes somebody */
        {SYS_futex, " 0x7f0000 0x6 0x0", HOST_LOCK_YES},
        {SYS_flock, " 0x3 0x2 0x0", HOST_LOCK_YES},
        {SYS_fcntl, " 0x3 0x7 0x7ffd", HOST_LOCK_YES},
        {SYS_fcntl, " 0x3 0x26 0x7ffd", HOST_LOCK_YES},
        {SYS_fcntl, " 0x3 0x3 0x0", HOST_LOCK_NO},
        {SYS_read, " 0x9 0x7ffd 0x109", HOST_LOCK_NO},
        {-1, " 0x7ffd 0x7fad", HOST_LOCK_NO}, /* a fault */
        {-2, "running\n", HOST_LOCK_NO},
        {-2, "", HOST_LOCK_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[160];
        if (rows[i].call == -2)
            snprintf(text, sizeof text, "%s", rows[i].rest);
        else
            snprintf(text, sizeof text, "%ld%s", rows[i].call, rows[i].rest);
        CHECK(host_parse_lock_wait(text) == rows[i].wanted, "row %zu: %s", i, text);
    }
}

static void test_whose_lock_is_not_told(void **state)
{
    (void)state;
    assert_int_equal(host_lock_wait_of(root, 12), HOST_LOCK_UNKNOWN);
    put("/proc/12/syscall", "running\n");
    assert_int_equal(host_lock_wait_of(root, 12), HOST_LOCK_NO);
    /* who reads is in read(); under an emulator, in one of another number */
    char own[32];
    snprintf(own, sizeof own, "%d 0x3 0x7f\n", SYS_read);
    put("/proc/self/syscall", own);
    assert_int_equal(host_lock_wait_of(root, 12), HOST_LOCK_NO);
    snprintf(own, sizeof own, "%d 0x3 0x7f\n", SYS_read + 1);
    put("/proc/self/syscall", own);
    assert_int_equal(host_lock_wait_of(root, 12), HOST_LOCK_UNKNOWN);
}

static void wait_for_semaphore(void *memory)
{
    sem_wait(memory);
}
static void wait_for_file(void *memory)
{
    const int file = open("/proc/self/exe", O_RDONLY); /* the same file as the parent's */
    (void)memory;
    flock(file, LOCK_EX);
}
static void wait_for_nothing(void *memory)
{
    (void)memory;
    pause();
}

/* What is told of a process in that state, once it is in it; UNKNOWN where the kernel does not tell. */
static enum host_lock_wait told_of(void (*wait)(void *), void *memory, enum host_lock_wait wanted)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        wait(memory);
        _exit(0);
    }
    enum host_lock_wait told = HOST_LOCK_UNKNOWN;
    for (int i = 0; i < 2000 && (i == 0 || told != wanted); i++) {
        const struct timespec ten_ms = {0, 10000000};
        nanosleep(&ten_ms, NULL);
        told = host_lock_wait_of("", (uint64_t)child);
        if (told == HOST_LOCK_UNKNOWN)
            break;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return told;
}

static void test_processes_that_wait_for_a_lock(void **state)
{
    (void)state;
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    assert_int_equal(sem_init(memory, 1, 0), 0);
    if (told_of(wait_for_nothing, memory, HOST_LOCK_NO) == HOST_LOCK_UNKNOWN)
        skip(); /* of children this kernel does not tell */
    const int file = open("/proc/self/exe", O_RDONLY);
    assert_int_equal(flock(file, LOCK_EX), 0);
    assert_int_equal(told_of(wait_for_semaphore, memory, HOST_LOCK_YES), HOST_LOCK_YES);
    assert_int_equal(told_of(wait_for_file, memory, HOST_LOCK_YES), HOST_LOCK_YES);
    assert_int_equal(told_of(wait_for_nothing, memory, HOST_LOCK_NO), HOST_LOCK_NO);
    close(file);
    munmap(memory, 4096);
}

/* Links from parent to child, and what they ran from look to look. */
static void put_process(uint64_t pid, const char *children, unsigned user, unsigned ended,
                        unsigned start)
{
    char path[64], text[256];
    snprintf(path, sizeof path,
             pid == 100 ? "/proc/self/task/%llu/children" : "/proc/%llu/task/%llu/children",
             (unsigned long long)pid, (unsigned long long)pid);
    put(path, children);
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
    snprintf(text, sizeof text,
             "%llu (a ) b) S 1 1 1 0 -1 4194304 100 0 0 0 %u 1 %u 0 20 0 1 0 %u 1000 10\n",
             (unsigned long long)pid, user, ended, start);
    put(path, text);
}

static void processes_that_live_on(void **state)
{
    (void)state;
    const uint64_t workers[] = {101, 102}, tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    struct host_children children = {.count = 0};
    assert_false(host_children_look(root, 100, workers, 2, &children)); /* no such kernel */
    put_process(100, "101 102 103 ", 0, 0, 5);
    put_process(101, "104 ", 999, 0, 6); /* workers: they tell of themselves */
    put_process(102, "", 999, 0, 6);
    put_process(103, "105 ", 10, 0, 7);
    put_process(104, "", 20, 0, 8);
    put_process(105, "", 30, 0, 9);
    assert_true(host_children_look(root, 100, workers, 2, &children));
    assert_int_equal(children.count, 3);
    assert_int_equal(children.own_cpu_ns, 0); /* how long they lived before is not known */
    assert_int_equal(children.workers_cpu_ns, 0);
    put_process(101, "104 106 ", 1999, 0, 6);
    put_process(103, "105 ", 11, 0, 7);
    put_process(104, "", 25, 2, 8);  /* two ticks of one that it waited for */
    put_process(105, "", 90, 0, 10); /* another process with that pid */
    put_process(106, "", 70, 0, 9);
    assert_true(host_children_look(root, 100, workers, 2, &children));
    assert_int_equal(children.count, 4);
    assert_int_equal(children.own_cpu_ns, tick_ns);
    assert_int_equal(children.workers_cpu_ns, 7 * tick_ns);
    put_process(100, "101 103 10", 0, 0, 5); /* cut within a number */
    put_process(103, "", 15, 0, 7);
    put_process(106, "", 71, 0, 9);
    assert_true(host_children_look(root, 100, workers, 2, &children));
    assert_int_equal(children.count, 3);
    assert_int_equal(children.own_cpu_ns, 5 * tick_ns);
    assert_int_equal(children.workers_cpu_ns, 8 * tick_ns);
    put_process(100, "", 0, 0, 5);
    assert_true(host_children_look(root, 100, workers, 2, &children));
    assert_int_equal(children.count, 0);
    assert_int_equal(children.workers_cpu_ns, 8 * tick_ns);
}

/* More than there is room for, each below the one before. */
static void very_many_processes(void **state)
{
    (void)state;
    struct host_children children = {.count = 0};
    char next[16];
    for (uint64_t pid = 100; pid < 300; pid++) {
        snprintf(next, sizeof next, "%llu ", (unsigned long long)pid + 1);
        put_process(pid, next, 1, 0, 5);
    }
    assert_true(host_children_look(root, 100, NULL, 0, &children));
    assert_int_equal(children.count, HOST_CHILDREN);
}

static void put_thread(unsigned thread, const char *schedstat)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%u/schedstat", thread);
    put(path, schedstat);
}

static void what_other_threads_did(void **state)
{
    (void)state;
    struct host_other_threads sums = {7, 8};
    assert_false(host_other_threads_read(root, 100, &sums)); /* no such kernel */
    assert_int_equal(sums.cpu_ns, 7);
    put_thread(100, "1000000 2000000 30\n");
    put_thread(101, "10 200 3\n");
    put_thread(102, "1000 20000 3\n");
    put_thread(103, ""); /* it ended */
    put_thread(104, "5");
    put_thread(105, "what");
    put("/proc/self/task/107/comm", "no schedstat\n");
    assert_true(host_other_threads_read(root, 100, &sums));
    assert_int_equal(sums.cpu_ns, 1015);
    assert_int_equal(sums.delay_ns, 20200);
    assert_true(host_other_threads_read(root, 102, &sums));
    assert_int_equal(sums.cpu_ns, 1000015);
    put_thread(106, "18446744073709551614 18446744073709551614 3\n");
    assert_true(host_other_threads_read(root, 100, &sums));
    assert_int_equal(sums.cpu_ns, UINT64_MAX - 1);
    assert_int_equal(sums.delay_ns, UINT64_MAX - 1);
}

static void very_many_threads(void **state)
{
    (void)state;
    struct host_other_threads sums;
    for (unsigned thread = 100; thread < 100 + HOST_OTHER_THREADS + 50; thread++)
        put_thread(thread, "1 2 3\n");
    assert_true(host_other_threads_read(root, 1, &sums));
    assert_int_equal(sums.cpu_ns, HOST_OTHER_THREADS);
    assert_int_equal(sums.delay_ns, 2 * HOST_OTHER_THREADS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test_setup(test_nothing_is_known, make_root),
        cmocka_unit_test_setup(test_without_cgroups_the_affinity_counts, make_root),
        cmocka_unit_test_setup(test_idle_time_of_the_usable_cpus, make_root),
        cmocka_unit_test(test_threads_that_want_a_cpu),
        cmocka_unit_test_setup(test_v2_in_a_container, make_root),
        cmocka_unit_test_setup(test_v2_nested_groups, make_root),
        cmocka_unit_test_setup(test_v2_without_a_quota, make_root),
        cmocka_unit_test_setup(test_v1_in_a_container, make_root),
        cmocka_unit_test_setup(test_v1_nested_groups, make_root),
        cmocka_unit_test_setup(test_hybrid, make_root),
        cmocka_unit_test_setup(test_a_group_that_cannot_be_seen, make_root),
        cmocka_unit_test_setup(test_usage, make_root),
        cmocka_unit_test(test_this_machine),
        cmocka_unit_test(test_calls_that_wait_for_a_lock),
        cmocka_unit_test_setup(test_whose_lock_is_not_told, make_root),
        cmocka_unit_test(test_processes_that_wait_for_a_lock),
        cmocka_unit_test_setup(processes_that_live_on, make_root),
        cmocka_unit_test_setup(very_many_processes, make_root),
        cmocka_unit_test_setup(what_other_threads_did, make_root),
        cmocka_unit_test_setup(very_many_threads, make_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
