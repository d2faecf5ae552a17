/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on tmpfs: whose they are, and coming home, killed at each of its system calls. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/listing.h"
#include "run/run_data.h"
#include "run/sweep.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"
#include "runfile/writer.h"
#include "small_file.h"
#include "support.h"

#define OTHER_USER 4711
#define FILES 3

static const char *base;

static void write_text(const char *folder, const char *name, const char *text)
{
    char line[PATH_MAX + 1];
    snprintf(line, sizeof line, "%s\n", text);
    test_write_file(test_path(folder, name), line, strlen(line));
}

/* A run on tmpfs with files whose writers are gone. */
static struct rf_run make_run(const char *name)
{
    struct rf_run run;
    setenv("DATASTALL_RECORD_ON", "tmpfs", 1);
    CHECK(rf_run_create(base, name, &run) == 0, "create");
    unsetenv("DATASTALL_RECORD_ON");
    CHECK(rf_tmpfs_is_name(run.tmpfs), "%s", run.tmpfs);
    for (int i = 0; i < FILES; i++) {
        char file[32];
        snprintf(file, sizeof file, "%d-0000000%d.dsrun", 1000 + i, i);
        small_file_make(test_path(run.tmpfs, file), i == 0);
    }
    write_text(run.tmpfs, "hooks-loaded", "a mark");
    return run;
}

static uint64_t batches_of(const char *folder)
{
    struct run_data *data;
    uint64_t batches = 0;
    CHECK(run_data_read(folder, &data) == 0, "read %s", folder);
    CHECK(data->problems == 0, "%s", data->first_problem);
    CHECK(data->process_count == FILES, "%u processes", data->process_count);
    for (uint32_t i = 0; i < data->process_count; i++)
        batches += data->processes[i].loaders[0].totals.counters[RF_COUNT_BATCHES];
    run_data_free(data);
    return batches;
}

static bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* Nothing but run files at home, nothing on tmpfs; an empty folder there goes when it is older. */
static void check_home(const struct rf_run *run, uint64_t batches)
{
    char place[PATH_MAX];
    rf_run_reading_place(run->path, place);
    CHECK(strcmp(place, run->path) == 0, "it is read in %s", place);
    CHECK(batches_of(run->path) == batches, "%llu batches", (unsigned long long)batches);
    DIR *directory = opendir(run->path);
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        CHECK(entry->d_name[0] == '.' || strstr(entry->d_name, ".dsrun") != NULL, "%s is left",
              entry->d_name);
    closedir(directory);
    CHECK(!is_there(test_path(run->path, ".coming-home")), "half a file is left");
    CHECK(!is_there(run->tmpfs) || rmdir(run->tmpfs) == 0, "%s is left", run->tmpfs);
}

static void come_home(const struct rf_run *run)
{
    bool stays;
    CHECK(rf_run_finish(run, &stays) == 0 && !stays, "finish");
}

/* Lets a child bring the run home and kills it at its n-th system call. False: it was done by
 * then. */
static bool killed_at(const struct rf_run *run, unsigned n)
{
    int status;
    const pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(SKIPPED);
        raise(SIGSTOP);
        come_home(run);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child, "wait");
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        exit(SKIPPED);
    for (unsigned calls = 0; WIFSTOPPED(status); calls++) { /* twice for each: begin and end */
        if (calls == n)
            kill(child, SIGKILL);
        else
            ptrace(PTRACE_SYSCALL, child, NULL, NULL);
        CHECK(waitpid(child, &status, 0) == child, "wait");
    }
    return WIFSIGNALED(status);
}

static void killed_on_the_way(void *context)
{
    (void)context;
    struct rf_run run = make_run("kill");
    const uint64_t batches = batches_of(run.path);
    come_home(&run);
    check_home(&run, batches);
    unsigned kills = 0;
    for (bool killed = true; killed; kills += test_every()) {
        run = make_run("kill");
        killed = killed_at(&run, kills);
        CHECK(batches_of(run.path) == batches, "after a kill at call %u", kills);
        if (kills % 2 == 0)
            run_sweep(NULL, NULL);
        else
            CHECK(run_settle(run.path) == 0, "settle after call %u", kills);
        run_sweep(NULL, NULL); /* of what settling does not see: the run is home */
        check_home(&run, batches);
        test_remove(run.path);
    }
    CHECK(kills > 100, "only %u calls", kills);
    printf("  killed at %u places\n", kills / test_every() - 1);
}

/* Several at once, each killed at any moment, and readers meanwhile. */
static void several_at_once(void *context)
{
    (void)context;
    uint64_t random = 1;
    for (int round = 0; round < 30; round++) {
        struct rf_run run = make_run("several");
        const uint64_t batches = batches_of(run.path);
        pid_t children[4];
        for (int i = 0; i < 4; i++) {
            children[i] = fork();
            if (children[i] == 0) {
                if (i == 3)
                    _exit(batches_of(run.path) == batches ? 0 : 1);
                bool stays;
                rf_run_finish(&run, &stays);
                _exit(0);
            }
        }
        usleep((useconds_t)(test_random(&random) % 4000));
        kill(children[0], SIGKILL);
        kill(children[1], SIGKILL);
        for (int i = 0; i < 4; i++) {
            int status;
            CHECK(waitpid(children[i], &status, 0) == children[i], "wait");
            CHECK(i != 3 || status == 0, "a reader saw half a run");
        }
        run_sweep(NULL, NULL);
        check_home(&run, batches);
        test_remove(run.path);
    }
}

static datastall_monitor *open_in(const char *folder, const char *home)
{
    datastall_monitor *monitor;
    setenv("DATASTALL_RUN_DIR", folder, 1);
    setenv("DATASTALL_RUN_HOME", home, 1);
    CHECK(datastall_open(NULL, &monitor) == 0, "open");
    return monitor;
}

/* Whoever begins to record when the run is gone, goes, or was left on the doorstep. */
static void a_process_that_comes_late(void *context)
{
    (void)context;
    char folder[PATH_MAX];
    struct rf_run run = make_run("late");
    datastall_monitor *monitor = open_in(run.tmpfs, run.path);
    bool stays;
    datastall_close(monitor); /* the last one brings it home */
    CHECK(!is_there(run.tmpfs), "%s is left", run.tmpfs);
    monitor = open_in(run.tmpfs, run.path);
    snprintf(folder, sizeof folder, "%s", datastall_run_file(monitor));
    CHECK(strncmp(folder, run.path, strlen(run.path)) == 0, "it records in %s", folder);
    datastall_close(monitor);
    /* Shut, and nobody there: it is opened again. */
    run = make_run("later");
    CHECK(rename(test_path(run.tmpfs, RF_HOME_NOTE), test_path(run.tmpfs, RF_SHUT_NOTE)) == 0,
          "shut");
    CHECK(rf_tmpfs_admits(run.tmpfs) && rf_tmpfs_is_open(run.tmpfs), "it opens again");
    /* Shut, and somebody brings it home: no file may be made there. */
    CHECK(rename(test_path(run.tmpfs, RF_HOME_NOTE), test_path(run.tmpfs, RF_SHUT_NOTE)) == 0,
          "shut");
    const int tmpfs = rf_open_folder(run.tmpfs), lock = rf_way_open_lock(tmpfs);
    CHECK(rf_way_take_lock(lock, 1), "lock");
    CHECK(!rf_tmpfs_admits(run.tmpfs), "the door is shut");
    small_file_make(test_path(run.tmpfs, "9-9.dsrun"), false);
    CHECK(rf_run_admit_file(run.tmpfs, test_path(run.tmpfs, "9-9.dsrun")) ==
                  DATASTALL_ERR_NOT_FOUND &&
              !is_there(test_path(run.tmpfs, "9-9.dsrun")),
          "a file that came late is taken back");
    CHECK(rf_run_finish(&run, &stays) == 0 && is_there(run.tmpfs), "one at a time");
    close(lock);
    close(tmpfs);
    run_sweep(NULL, NULL);
    CHECK(!is_there(run.tmpfs), "%s is left", run.tmpfs);
}

#define LATE_BATCHES 5 /* before and after it is told to go on */

static void put(datastall_loader *loader)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    for (int i = 0; i < LATE_BATCHES; i++)
        datastall_wait_record(loader, datastall_clock_ns(), 1000, DATASTALL_WAIT_STEADY, &batch);
}

/* A process that records, goes on when it is told to, and ends; told: what to write to and to wait
 * at. */
static pid_t start_writer(const struct rf_run *run, int told[2], int ready[2])
{
    char byte;
    CHECK(pipe2(told, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0, "pipe");
    const pid_t writer = fork();
    if (writer != 0)
        return writer;
    close(told[1]);
    datastall_monitor *monitor = open_in(run->tmpfs, run->path);
    datastall_loader *loader = test_loader(monitor, "l");
    put(loader);
    CHECK(write(ready[1], "x", 1) == 1 && read(told[0], &byte, 1) == 1, "told");
    put(loader);
    datastall_close(monitor);
    _exit(0);
}

/* The run goes home system call by system call; a process begins to record at the n-th, and ends
 * some calls later. */
static void home_beside_a_writer(const struct rf_run *run, unsigned n, unsigned later)
{
    int status, told[2], ready[2], writer_status = -1;
    char byte;
    pid_t writer = -1;
    const pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(SKIPPED);
        raise(SIGSTOP);
        bool stays;
        CHECK(rf_run_finish(run, &stays) == 0, "finish");
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child, "wait");
    if (WIFEXITED(status))
        exit(SKIPPED);
    for (unsigned calls = 0; WIFSTOPPED(status) || writer_status == -1; calls++) {
        if (calls == n) {
            writer = start_writer(run, told, ready);
            CHECK(read(ready[0], &byte, 1) == 1, "ready");
        }
        if (calls == n + later) {
            CHECK(write(told[1], "x", 1) == 1, "tell");
            CHECK(waitpid(writer, &writer_status, 0) == writer && writer_status == 0, "writer");
        }
        if (WIFSTOPPED(status)) {
            ptrace(PTRACE_SYSCALL, child, NULL, NULL);
            CHECK(waitpid(child, &status, 0) == child, "wait");
        }
    }
    CHECK(status == 0, "it ended with %#x", status);
    for (int i = 0; i < 2; i++)
        close(told[i]), close(ready[i]);
}

static uint64_t late_batches(const struct rf_run *run)
{
    struct run_data *data;
    uint64_t batches = 0;
    CHECK(run_data_read(run->path, &data) == 0 && data->problems == 0, "read");
    CHECK(data->process_count == FILES + 1, "%u processes", data->process_count);
    for (uint32_t i = 0; i < data->process_count; i++) {
        const struct run_process *process = &data->processes[i];
        if (strcmp(process->loaders[0].entry.name, "l") == 0)
            batches += process->loaders[0].totals.counters[RF_COUNT_BATCHES];
    }
    run_data_free(data);
    return batches;
}

static void a_writer_that_comes_and_goes(void *context)
{
    (void)context;
    static const unsigned later[] = {0, 9, 70, 130, 190};
    for (unsigned n = 0; n < 280; n += n < 120 ? test_every() : 9) {
        const unsigned calls = later[n % 5];
        struct rf_run run = make_run("beside");
        home_beside_a_writer(&run, n, calls);
        CHECK(late_batches(&run) == 2 * LATE_BATCHES, "from call %u on for %u", n, calls);
        run_sweep(NULL, NULL);
        CHECK(late_batches(&run) == 2 * LATE_BATCHES, "from call %u on for %u", n, calls);
        CHECK(!is_there(run.tmpfs) || rmdir(run.tmpfs) == 0, "%s is left", run.tmpfs);
        test_remove(run.path);
    }
}

/* ---- whose is it? ---- */

static void give_to_another(const char *folder, uid_t user)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;
    CHECK(directory != NULL && lchown(folder, user, user) == 0, "chown %s", folder);
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, "..") != 0 && strcmp(entry->d_name, ".") != 0)
            CHECK(fchownat(dirfd(directory), entry->d_name, user, user, AT_SYMLINK_NOFOLLOW) == 0,
                  "chown %s", entry->d_name);
    }
    closedir(directory);
}

static bool is_read_in(const char *folder, const char *where)
{
    char place[PATH_MAX];
    rf_run_reading_place(folder, place);
    return strcmp(place, where) == 0;
}

/* A run folder whose note says `tmpfs`. */
static const char *folder_with_note(const char *name, const char *tmpfs)
{
    static char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/%s", base, name);
    CHECK(mkdir(folder, 0700) == 0 || errno == EEXIST, "mkdir");
    unlink(test_path(folder, RF_TMPFS_NOTE));
    if (tmpfs != NULL)
        write_text(folder, RF_TMPFS_NOTE, tmpfs);
    return folder;
}

static void notes_that_are_not_believed(void *context)
{
    (void)context;
    char link_name[] = RF_TMPFS_PREFIX "LINK00", note[PATH_MAX], path[2 * PATH_MAX];
    struct rf_run run = make_run("owner"), of;
    CHECK(is_read_in(run.path, run.tmpfs), "its own note is believed");
    CHECK(rf_run_of_tmpfs(run.tmpfs, &of) && strcmp(of.path, run.path) == 0, "and the other");
    const char *name = strrchr(run.tmpfs, '/') + 1;
    snprintf(path, sizeof path, "/dev/shm/../shm/%s", name);
    CHECK(is_read_in(folder_with_note("dots", path), test_path(base, "dots")), "a way around");
    snprintf(path, sizeof path, "%s/..", run.tmpfs);
    CHECK(is_read_in(folder_with_note("up", path), test_path(base, "up")), "a way up");
    snprintf(path, sizeof path, "%s/../%s", run.tmpfs, name);
    CHECK(is_read_in(folder_with_note("down", path), test_path(base, "down")) &&
              !rf_run_of_tmpfs(path, &of),
          "a way up and down");
    CHECK(is_read_in(folder_with_note("tmp", base), test_path(base, "tmp")), "another folder");
    unlink(link_name);
    CHECK(symlink(run.tmpfs, link_name) == 0, "link");
    CHECK(is_read_in(folder_with_note("link", link_name), test_path(base, "link")) &&
              !rf_run_of_tmpfs(link_name, &of),
          "a link");
    unlink(link_name);
    /* A note that is a link itself, or not a file. */
    const char *folder = folder_with_note("note", NULL);
    snprintf(note, sizeof note, "%s", test_path(folder, RF_TMPFS_NOTE));
    CHECK(symlink(test_path(run.path, RF_TMPFS_NOTE), note) == 0, "link");
    CHECK(is_read_in(folder, test_path(base, "note")), "a note that is a link");
    unlink(note);
    CHECK(mkfifo(note, 0600) == 0 && is_read_in(folder, test_path(base, "note")), "a fifo");
    /* The way back must be there, and lead back. */
    CHECK(rename(test_path(run.path, RF_TMPFS_NOTE), test_path(run.path, "kept")) == 0, "rename");
    CHECK(!rf_run_of_tmpfs(run.tmpfs, &of), "the run folder does not know it");
    write_text(run.path, RF_TMPFS_NOTE, RF_TMPFS_PREFIX "OTHER0");
    CHECK(!rf_run_of_tmpfs(run.tmpfs, &of), "the run folder means another");
    CHECK(rename(test_path(run.path, "kept"), test_path(run.path, RF_TMPFS_NOTE)) == 0, "rename");
    CHECK(rf_run_of_tmpfs(run.tmpfs, &of), "it is believed again");
    come_home(&run);
}

static void other_owners(void *context)
{
    (void)context;
    struct rf_run run = make_run("other"), of;
    bool stays;
    if (geteuid() != 0) {
        come_home(&run);
        exit(SKIPPED);
    }
    give_to_another(run.tmpfs, OTHER_USER);
    CHECK(is_read_in(run.path, run.path), "a folder of another owner is not read");
    CHECK(!rf_run_of_tmpfs(run.tmpfs, &of), "and nothing of it goes home");
    CHECK(run_settle(run.path) == 0 && is_there(run.tmpfs), "also not by a reader");
    run_sweep(NULL, NULL);
    CHECK(is_there(run.tmpfs), "also not by a sweep");
    give_to_another(run.path, OTHER_USER);
    CHECK(is_read_in(run.path, run.tmpfs) && rf_run_of_tmpfs(run.tmpfs, &of), "both are");
    /* A note of ours in a folder of another: root may have been tricked to write it. */
    CHECK(chown(test_path(run.path, RF_TMPFS_NOTE), 0, 0) == 0 && is_read_in(run.path, run.path),
          "a note of another owner than its folder");
    CHECK(chown(test_path(run.path, RF_TMPFS_NOTE), OTHER_USER, OTHER_USER) == 0, "chown");
    /* Another user leaves it alone. */
    const pid_t child = fork();
    if (child == 0) {
        CHECK(chmod(base, 0755) == 0 && setgid(OTHER_USER + 1) == 0 && setuid(OTHER_USER + 1) == 0,
              "become another user");
        run_sweep(NULL, NULL);
        CHECK(!rf_run_of_tmpfs(run.tmpfs, &of), "not ours");
        _exit(is_there(run.tmpfs) ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "left alone");
    /* Root brings it home, and every file stays its owner's. */
    CHECK(rf_run_finish(&run, &stays) == 0 && !stays && !is_there(run.tmpfs), "finish");
    DIR *directory = opendir(run.path);
    struct dirent *entry;
    int files = 0;
    while ((entry = readdir(directory)) != NULL) {
        struct stat owner;
        CHECK(fstatat(dirfd(directory), entry->d_name, &owner, AT_SYMLINK_NOFOLLOW) == 0, "stat");
        CHECK(strcmp(entry->d_name, "..") == 0 || owner.st_uid == OTHER_USER, "%s is of user %u",
              entry->d_name, owner.st_uid);
        files += strstr(entry->d_name, ".dsrun") != NULL;
    }
    closedir(directory);
    CHECK(files == FILES, "%d files", files);
}

/* ---- what kills and people leave ---- */

static struct run_orphan last_orphan;
static int orphans;

static void count_orphan(void *context, const struct run_orphan *orphan)
{
    if (strcmp(context, orphan->tmpfs) != 0)
        return;
    last_orphan = *orphan;
    orphans++;
}

static bool sweep_tells(const char *tmpfs, enum run_orphan_kind kind)
{
    orphans = 0;
    run_sweep(count_orphan, (void *)(uintptr_t)tmpfs);
    return orphans == 1 && last_orphan.kind == kind && is_there(tmpfs);
}

static void age(const char *path)
{
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    CHECK(utimensat(AT_FDCWD, path, old, 0) == 0, "utimensat");
}

static void orphans_are_told_of(void *context)
{
    (void)context;
    char moved[PATH_MAX], gone[PATH_MAX];
    struct rf_run run = make_run("moved");
    const uint64_t batches = batches_of(run.path);
    /* Moved: the sweep cannot know where to, a reader of the new place does. */
    snprintf(moved, sizeof moved, "%s/archive", base);
    CHECK(rename(run.path, moved) == 0, "move");
    CHECK(sweep_tells(run.tmpfs, RUN_ORPHAN_HOMELESS), "its home is gone");
    CHECK(batches_of(moved) == batches && run_settle(moved) == 0, "settle");
    CHECK(!is_there(run.tmpfs) && batches_of(moved) == batches, "it came home");
    /* A copy is no home. */
    run = make_run("copied");
    write_text(moved, RF_TMPFS_NOTE, run.tmpfs);
    CHECK(run_settle(moved) == 0 && is_there(run.tmpfs), "not to a copy");
    /* Not mounted? Then it waits for as long as it takes. */
    snprintf(gone, sizeof gone, "%s-away", base);
    CHECK(rename(base, gone) == 0, "unmount");
    CHECK(sweep_tells(run.tmpfs, RUN_ORPHAN_UNREACHABLE), "unreachable");
    CHECK(rename(gone, base) == 0, "mount");
    /* Removed: it stays a day after that was seen first. */
    test_remove(run.path);
    CHECK(sweep_tells(run.tmpfs, RUN_ORPHAN_HOMELESS), "removed");
    CHECK(sweep_tells(run.tmpfs, RUN_ORPHAN_HOMELESS), "still there");
    age(test_path(run.tmpfs, "home-is-gone"));
    run_sweep(NULL, NULL);
    CHECK(!is_there(run.tmpfs), "%s is left", run.tmpfs);
    /* What does not say whose it is, but holds files, is never removed. */
    run = make_run("nameless");
    unlink(test_path(run.tmpfs, RF_HOME_NOTE));
    CHECK(sweep_tells(run.tmpfs, RUN_ORPHAN_UNKNOWN), "nameless");
    test_remove(run.tmpfs);
    CHECK(is_read_in(run.path, run.path), "then it is read at home");
    char why[512];
    run_explain_absence(run.path, why, sizeof why);
    CHECK(strstr(why, run.tmpfs) != NULL && strstr(why, "another machine") != NULL, "%s", why);
}

static void what_is_being_made_is_left_alone(void *context)
{
    (void)context;
    struct rf_run run;
    setenv("DATASTALL_RECORD_ON", "tmpfs", 1);
    CHECK(rf_run_create(base, "young", &run) == 0, "create");
    run_sweep(NULL, NULL);
    CHECK(run_settle(run.path) == 0, "settle");
    CHECK(is_there(run.tmpfs) && rf_tmpfs_is_open(run.tmpfs), "its first file may come yet");
    CHECK(rf_run_abandon(&run) && !is_there(run.tmpfs), "abandon");
}

/* A file of another version, whose process this one cannot read, is no less alive. */
static void a_writer_of_another_version(void *context)
{
    (void)context;
    struct rf_run run = make_run("version");
    const char *path = test_path(run.tmpfs, "1-1.dsrun");
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8};
    const struct rf_process_static process = {.pid = 1};
    struct rf_writer *writer;
    bool stays;
    CHECK(rf_writer_create(path, &spec, &process, &writer) == 0, "create");
    writer->map[1] ^= 1; /* the checksum is wrong now */
    CHECK(rf_run_finish(&run, &stays) == 0 && stays && is_there(run.tmpfs), "it stays");
    rf_writer_destroy(writer);
    CHECK(rf_run_finish(&run, &stays) == 0 && !stays && !is_there(run.tmpfs), "it comes home");
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void *);
    } scenarios[] = {
        {"killed on the way", killed_on_the_way},
        {"several at once", several_at_once},
        {"a process that comes late", a_process_that_comes_late},
        {"a writer that comes and goes", a_writer_that_comes_and_goes},
        {"a writer of another version", a_writer_of_another_version},
        {"notes that are not believed", notes_that_are_not_believed},
        {"other owners", other_owners},
        {"orphans are told of", orphans_are_told_of},
        {"what is being made is left alone", what_is_being_made_is_left_alone},
    };
    int failed = 0;
    printf("/dev/shm is %s\n", test_own_shm() ? "our own" : "shared with all");
    unsetenv("DATASTALL_RUN_DIR");
    unsetenv("DATASTALL_RECORD_ON");
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        base = test_folder();
        int status = test_in_child(scenarios[i].run, NULL);
        const bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;
        printf("%s: %s\n", status == 0 ? "ok" : skipped ? "skipped" : "FAILED", scenarios[i].name);
        if (status != 0 && !skipped)
            printf("  ended with %#x\n", status);
        failed += status != 0 && !skipped;
    }
    return failed == 0 ? 0 : 1;
}
