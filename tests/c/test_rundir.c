/* SPDX-License-Identifier: Apache-2.0 */
/* Run folders: their cap, their files, whose file a worker takes; and who a process says it is. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/clock.h"
#include "diagnose/summary.h"
#include "record/monitor.h"
#include "record/worker.h"
#include "runfile/rundir.h"
#include "runfile/writer.h"
#include "small_file.h"
#include "support.h"

#define RANKS 12
#define ROOM 3
#define MIB (UINT64_C(1) << 20)

static uint64_t file_bytes(const char *path)
{
    struct stat status;
    CHECK(stat(path, &status) == 0, "stat %s", path);
    return (uint64_t)status.st_size;
}

static uint32_t files_in(const char *folder)
{
    char **names;
    uint32_t count;
    CHECK(rf_run_files(folder, &names, &count, NULL) == 0, "list");
    rf_run_files_free(names, count);
    return count;
}

/* ---- the cap ---- */

/* A cap under which `count` files of this process's size fit, and not one more. */
static void set_cap(const char *folder, unsigned count)
{
    datastall_monitor *monitor;
    char cap[32];
    CHECK(datastall_open(NULL, &monitor) == 0, "open");
    const uint64_t bytes = file_bytes(datastall_run_file(monitor));
    unlink(datastall_run_file(monitor));
    datastall_close(monitor);
    CHECK(files_in(folder) == 0, "empty again");
    snprintf(cap, sizeof cap, "%llu", (unsigned long long)((bytes * count + MIB - 1) / MIB));
    setenv("DATASTALL_RUN_CAP_MIB", cap, 1);
}

static void the_cap_counts_what_is_there(void *context)
{
    (void)context;
    const char *folder = test_run_folder();
    datastall_monitor *monitors[ROOM + 1];
    set_cap(folder, ROOM);
    for (int i = 0; i < ROOM; i++)
        CHECK(datastall_open(NULL, &monitors[i]) == 0, "file %d", i);
    CHECK(datastall_open(NULL, &monitors[ROOM]) == DATASTALL_ERR_NO_SPACE, "one too many");
    CHECK(files_in(folder) == ROOM, "%u files", files_in(folder));
    for (int i = 0; i < ROOM; i++)
        datastall_close(monitors[i]);
}

/* All at once: as many record as fit, and no more. */
static void the_cap_holds_among_ranks(void *context)
{
    (void)context;
    const char *folder = test_run_folder();
    set_cap(folder, ROOM);
    for (int round = 0; round < 5; round++) {
        int gate[2], status, recorded = 0;
        char byte;
        pid_t ranks[RANKS];
        CHECK(pipe(gate) == 0, "pipe");
        for (int i = 0; i < RANKS; i++) {
            ranks[i] = fork();
            if (ranks[i] != 0)
                continue;
            datastall_monitor *monitor;
            close(gate[1]);
            CHECK(read(gate[0], &byte, 1) == 0, "gate");
            const int error = datastall_open(NULL, &monitor);
            CHECK(error == 0 || error == DATASTALL_ERR_NO_SPACE, "open: %d", error);
            _exit(error == 0 ? 0 : 9);
        }
        close(gate[0]);
        close(gate[1]); /* all go */
        for (int i = 0; i < RANKS; i++) {
            CHECK(waitpid(ranks[i], &status, 0) == ranks[i] && WIFEXITED(status), "wait");
            CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9, "%#x", status);
            recorded += WEXITSTATUS(status) == 0;
        }
        CHECK(recorded == ROOM && files_in(folder) == ROOM, "%d recorded, %u files", recorded,
              files_in(folder));
        char **names;
        uint32_t count;
        CHECK(rf_run_files(folder, &names, &count, NULL) == 0, "list");
        for (uint32_t i = 0; i < count; i++)
            unlink(test_path(folder, names[i]));
        rf_run_files_free(names, count);
    }
}

/* A lock that somebody holds for ever costs a moment, not the recording. */
static void a_lock_that_never_comes(void *context)
{
    (void)context;
    const char *folder = test_run_folder();
    datastall_monitor *monitor;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0, "lock");
    const uint64_t begun_ns = ds_now_ns();
    CHECK(datastall_open(NULL, &monitor) == 0, "open");
    CHECK(ds_now_ns() - begun_ns < 30 * DS_NS_PER_S, "it waited for ever");
    datastall_close(monitor);
    close(fd);
}

/* ---- many files ---- */

static void link_files(const char *folder, const char *name_of_one, unsigned count)
{
    char from[PATH_MAX];
    snprintf(from, sizeof from, "%s/%s", folder, name_of_one);
    for (unsigned i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%u-%08x.dsrun", 1000 + i, i);
        CHECK(link(from, test_path(folder, name)) == 0, "link %u", i);
    }
}

static void more_files_than_4096(void *context)
{
    (void)context;
    const char *folder = test_folder();
    struct run_data *data;
    small_file_make(test_path(folder, "one"), false);
    link_files(folder, "one", 4300);
    CHECK(run_data_read(folder, &data) == 0, "read");
    CHECK(data->process_count == 4300 && data->files == 4300, "%u processes", data->process_count);
    CHECK(data->problems == 0, "%s", data->first_problem);
    run_data_free(data);
}

static void more_files_than_are_read(void *context)
{
    (void)context;
    const char *folder = test_folder();
    char **names;
    uint32_t count;
    uint64_t left_out;
    struct run_data *data;
    bool launcher = false;
    test_write_file(test_path(folder, "empty"), "", 0);
    link_files(folder, "empty", RF_MAX_RUN_FILES + 5);
    small_file_make(test_path(folder, RF_LAUNCHER_FILE), false);
    CHECK(rf_run_files(folder, &names, &count, &left_out) == 0, "list");
    CHECK(count == RF_MAX_RUN_FILES && left_out == 6, "%u and %llu", count,
          (unsigned long long)left_out);
    for (uint32_t i = 0; i < count; i++)
        launcher |= strcmp(names[i], RF_LAUNCHER_FILE) == 0;
    CHECK(launcher, "the launcher's is among them");
    rf_run_files_free(names, count);
    CHECK(run_data_read(folder, &data) == 0, "read");
    CHECK(data->files == RF_MAX_RUN_FILES + 6, "%u files", data->files);
    CHECK(data->problems == RF_MAX_RUN_FILES - 1 + 1, "%u problems", data->problems);
    run_data_free(data);
}

/* ---- which file is the parent's? ---- */

static void make_parents_file(const char *path)
{
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8, .workers = 4};
    const struct rf_process_static process = {.pid = 77};
    struct rf_writer *writer;
    CHECK(rf_writer_create(path, &spec, &process, &writer) == 0, "create");
    rf_writer_destroy(writer);
}

static bool is_mapped(const char *name)
{
    char line[PATH_MAX + 256];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    CHECK(maps != NULL, "maps");
    while (fgets(line, sizeof line, maps) != NULL)
        found |= strstr(line, name) != NULL;
    fclose(maps);
    return found;
}

static bool is_newer(const char *path, const char *than)
{
    struct stat one, other;
    CHECK(stat(path, &one) == 0 && stat(than, &other) == 0, "stat");
    return one.st_ctim.tv_sec > other.st_ctim.tv_sec ||
           (one.st_ctim.tv_sec == other.st_ctim.tv_sec &&
            one.st_ctim.tv_nsec > other.st_ctim.tv_nsec);
}

/* A process number may be used twice in a long run: the newest file is the parent's, whatever its
 * name, and another process's never is. */
static void a_worker_takes_the_newest_file(void *context)
{
    (void)context;
    static const char *const orders[2][2] = {{"77-00000001.dsrun", "77-00000009.dsrun"},
                                             {"77-00000009.dsrun", "77-00000001.dsrun"}};
    for (int i = 0; i < 2; i++) {
        const char *folder = test_folder();
        char old[PATH_MAX], new[PATH_MAX], other[PATH_MAX];
        snprintf(old, sizeof old, "%s/%s", folder, orders[i][0]);
        snprintf(new, sizeof new, "%s/%s", folder, orders[i][1]);
        snprintf(other, sizeof other, "%s/777-00000005.dsrun", folder);
        make_parents_file(old);
        do {
            unlink(new);
            make_parents_file(new);
        } while (!is_newer(new, old));
        do {
            unlink(other);
            make_parents_file(other);
        } while (!is_newer(other, new));
        struct worker *worker = worker_open_in_folder(folder, 77);
        CHECK(worker != NULL && is_mapped(new), "the newest file is taken");
        CHECK(!is_mapped(old) && !is_mapped(other), "and no other");
        worker_close(worker);
        CHECK(worker_open_in_folder(folder, 7) == NULL, "nobody's");
    }
}

/* ---- who a process says it is ---- */

static const char *changing[2] = {"off", NULL};
static uint64_t enough;

static void *change_the_environment(void *nothing)
{
    for (unsigned i = 0; ds_load_acquire(&enough) == 0; i++)
        setenv("DATASTALL_RUN_DIR", changing[i % 2], 1);
    return nothing;
}

/* Told a folder and "off" in turn by its own program, it does the one or the other. */
static void an_environment_that_changes(void *context)
{
    (void)context;
    const datastall_options options = DATASTALL_OPTIONS_INIT;
    const char *runs = test_folder();
    char folder[PATH_MAX];
    pthread_t thread;
    changing[1] = test_run_folder();
    setenv("DATASTALL_DIR", runs, 1);
    CHECK(pthread_create(&thread, NULL, change_the_environment, NULL) == 0, "thread");
    for (int i = 0; i < 20000; i++) {
        const int error = process_run_folder(&options, folder);
        CHECK(error == DATASTALL_ERR_OFF || (error == 0 && strcmp(folder, changing[1]) == 0),
              "%d, %s", error, folder);
        process_run_finish();
    }
    ds_store_release(&enough, 1);
    pthread_join(thread, NULL);
    CHECK(rmdir(runs) == 0, "no run was made beside");
    CHECK(mkdir(runs, 0700) == 0, "mkdir");
}

static void the_start_of_a_process_that_was_suspended(void *context)
{
    (void)context;
    const uint64_t s = DS_NS_PER_S;
    /* The machine slept for 10 s before the process began at 100 s after boot. */
    const struct process_clocks load = {101 * s, 91 * s}, soon = {105 * s, 95 * s};
    CHECK(process_start_on_monotonic(100 * s, &load, &soon) == 90 * s, "never suspended since");
    /* And for 900 s between the import and the first batch. */
    const struct process_clocks later = {1101 * s, 191 * s};
    CHECK(process_start_on_monotonic(100 * s, &load, &later) == 90 * s, "suspended since");
    /* A child that was forked after that: its parent's reading is older than itself. */
    const struct process_clocks now = {1202 * s, 292 * s};
    CHECK(process_start_on_monotonic(1201 * s, &load, &now) == 291 * s, "a fork");
    const struct process_clocks never = {0, 0};
    CHECK(process_start_on_monotonic(100 * s, &never, &soon) == 90 * s, "no reading at load");
    /* Our own: this process began before now, and by less than the machine runs. */
    const char *folder = test_run_folder();
    datastall_monitor *monitor;
    struct run_data *data;
    CHECK(datastall_open(NULL, &monitor) == 0 && run_data_read(folder, &data) == 0, "read");
    const struct rf_process_static *fixed = &data->processes[0].view.fixed;
    CHECK(fixed->process_start_mono_ns > 0 && fixed->process_start_mono_ns <= fixed->opened_mono_ns,
          "it began before it recorded");
    CHECK(fixed->launched == 1 && fixed->pid_namespace == rf_own_pid_namespace(), "who it is");
    CHECK(data->processes[0].liveness == RF_ALIVE, "it is alive");
    run_data_free(data);
    datastall_close(monitor);
}

/* ---- a process that cannot be seen ---- */

static void a_process_that_cannot_be_seen(void *context)
{
    (void)context;
    const char *folder = test_folder();
    /* Without start ticks nobody can tell whether it is the same process. */
    const struct rf_process_static process = {
        .pid = 1, .rank = RF_UNKNOWN, .opened_mono_ns = ds_now_ns()};
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8};
    struct rf_writer *writer;
    struct run_data *data;
    struct summary *summary;
    CHECK(rf_writer_create(test_path(folder, "1-1.dsrun"), &spec, &process, &writer) == 0, "make");
    CHECK(run_data_read(folder, &data) == 0, "read");
    CHECK(data->processes[0].liveness == RF_UNSEEN, "unseen");
    const uint64_t recorded_ns = data->processes[0].recorded_ns;
    CHECK(recorded_ns == writer->header.created_mono_ns, "when it was made");
    static const struct {
        uint64_t after_s;
        enum summary_state state;
    } then[] = {{0, SUMMARY_RUNNING}, {60, SUMMARY_RUNNING}, {61, SUMMARY_UNSEEN}};
    for (size_t i = 0; i < sizeof then / sizeof *then; i++) {
        const uint64_t now_ns = recorded_ns + then[i].after_s * DS_NS_PER_S;
        CHECK(summary_make(data, now_ns, &summary) == 0, "summary");
        CHECK(summary->state == then[i].state, "after %llu s it is %s",
              (unsigned long long)then[i].after_s, summary_state_name(summary->state));
        summary_free(summary);
    }
    run_data_free(data);
    rf_writer_destroy(writer);
}

/* ---- a path that is too long ---- */

static void a_run_whose_path_is_too_long(void *context)
{
    (void)context;
    char base[PATH_MAX];
    struct rf_run run;
    size_t length = (size_t)snprintf(base, sizeof base, "%s", test_folder());
    while (length < PATH_MAX - 300)
        length += (size_t)snprintf(base + length, sizeof base - length, "/%0200d", 0);
    CHECK(rf_run_create(base, "short", &run) == 0, "one that is long");
    length += (size_t)snprintf(base + length, sizeof base - length, "/%0*d",
                               (int)(PATH_MAX - 12 - length), 0);
    CHECK(length < PATH_MAX, "the folder itself is no longer than may be");
    CHECK(rf_run_create(base, "x", &run) == DATASTALL_ERR_ARGUMENT, "one that is too long");
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void *);
    } scenarios[] = {
        {"the cap counts what is there", the_cap_counts_what_is_there},
        {"the cap holds among ranks", the_cap_holds_among_ranks},
        {"a lock that never comes", a_lock_that_never_comes},
        {"a run whose path is too long", a_run_whose_path_is_too_long},
        {"more files than 4096", more_files_than_4096},
        {"more files than are read", more_files_than_are_read},
        {"a worker takes the newest file", a_worker_takes_the_newest_file},
        {"an environment that changes", an_environment_that_changes},
        {"the start of a process that was suspended", the_start_of_a_process_that_was_suspended},
        {"a process that cannot be seen", a_process_that_cannot_be_seen},
    };
    int failed = 0;
    unsetenv("DATASTALL_RUN_DIR");
    unsetenv("DATASTALL_RECORD_ON");
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        int status = test_in_child(scenarios[i].run, NULL);
        printf("%s: %s\n", status == 0 ? "ok" : "FAILED", scenarios[i].name);
        if (status != 0)
            printf("  ended with %#x\n", status);
        failed += status != 0;
    }
    return failed == 0 ? 0 : 1;
}
