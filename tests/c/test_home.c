/* SPDX-License-Identifier: Apache-2.0 */
/* Who still writes to a run, as far as that can be seen; and a run on tmpfs, its way home, and what
 * is read of it meanwhile. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/listing.h"
#include "run/run_data.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"
#include "runfile/writer.h"
#include "small_file.h"
#include "support.h"

#define SECOND UINT64_C(1000000000)
#define INITIAL_NAMESPACE UINT64_C(0xEFFFFFFC)

/* ---- liveness ---- */

static struct rf_header own_header(void)
{
    struct rf_header header = {.section_count = 0};
    snprintf(header.boot_id, sizeof header.boot_id, "%s", rf_own_boot_id());
    return header;
}

static struct rf_process_static own_process(void)
{
    return (struct rf_process_static){.pid = (uint64_t)getpid(),
                                      .start_ticks = rf_own_start_ticks(),
                                      .pid_namespace = rf_own_pid_namespace(),
                                      .rank = RF_UNKNOWN,
                                      .process_start_mono_ns = RF_UNKNOWN};
}

static void own_words(void **state)
{
    (void)state;
    assert_int_equal(strlen(rf_own_boot_id()), 36);
    assert_string_equal(rf_own_boot_id(), rf_own_boot_id());
    assert_null(strchr(rf_own_boot_id(), '\n'));
    assert_true(rf_own_start_ticks() > 0);
    assert_int_equal(rf_start_ticks_of((uint64_t)getpid()), rf_own_start_ticks());
    assert_int_equal(rf_start_ticks_of(UINT64_C(1) << 40), 0);
    struct stat status;
    assert_int_equal(stat("/proc/self/ns/pid", &status), 0);
    assert_int_equal(rf_own_pid_namespace(), status.st_ino);
}

static void is_it_this_process(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct rf_header header = own_header();
        struct rf_process_static process = own_process();
        if (i == 1)
            process.pid++;
        if (i == 2)
            process.start_ticks++;
        if (i == 3)
            process.pid_namespace++;
        if (i == 4)
            header.boot_id[0] ^= 1;
        assert_int_equal(rf_process_is_self(&header, &process), i == 0);
    }
}

static void processes_of_this_namespace(void **state)
{
    (void)state;
    enum { SAME, OTHER_BOOT, OTHER_TICKS, NO_TICKS, NO_PID, NO_SPACE, NO_SPACE_OTHER_TICKS };
    static const enum rf_liveness wanted[] = {RF_ALIVE, RF_DEAD,  RF_DEAD,  RF_UNSEEN,
                                              RF_DEAD,  RF_ALIVE, RF_UNSEEN};
    for (int i = SAME; i <= NO_SPACE_OTHER_TICKS; i++) {
        struct rf_header header = own_header();
        struct rf_process_static process = own_process();
        if (i == OTHER_BOOT)
            header.boot_id[0] ^= 1;
        if (i == OTHER_TICKS || i == NO_SPACE_OTHER_TICKS)
            process.start_ticks++;
        if (i == NO_TICKS)
            process.start_ticks = 0;
        if (i == NO_PID)
            process.pid = UINT64_C(1) << 40;
        if (i == NO_SPACE || i == NO_SPACE_OTHER_TICKS)
            process.pid_namespace = 0;
        if (rf_process_liveness(&header, &process) != wanted[i])
            fail_msg("row %d", i);
        /* Of the namespace that the writer of a file had, whoever that was. */
        const uint64_t pid = process.pid, ticks = process.start_ticks;
        process.pid = process.start_ticks = 1;
        if (rf_liveness_beside(&header, &process, pid, ticks) != wanted[i])
            fail_msg("row %d beside", i);
    }
}

/* What is of another namespace is dead only for who sees all of them. */
static void a_process_of_no_namespace(void **state)
{
    (void)state;
    const struct rf_header header = own_header();
    struct rf_process_static process = own_process();
    process.pid_namespace = 1;
    const enum rf_liveness seen = rf_process_liveness(&header, &process);
    if (rf_own_pid_namespace() != INITIAL_NAMESPACE)
        assert_int_equal(seen, RF_UNSEEN);
    else
        assert_int_not_equal(seen, RF_ALIVE);
}

/* Dead but not waited for: it will write no more. */
/* In a namespace below this one: there it is number 1, whatever it is here. */
static void below(void *nothing)
{
    (void)nothing;
    if (unshare(CLONE_NEWPID) != 0)
        _exit(SKIPPED);
    const pid_t child = fork();
    if (child == 0) {
        for (;;)
            pause();
    }
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)child);
    CHECK(child > 0 && stat(path, &status) == 0, "no child");
    const uint64_t ticks = rf_start_ticks_of((uint64_t)child);
    const struct rf_header header = own_header();
    static const struct {
        uint64_t pid, ticks, space; /* more than the child's */
        bool alive;
    } rows[] = {{0, 0, 0, true}, {1, 0, 0, false}, {0, 1, 0, false}, {0, 0, 1, false}};
    for (uint32_t i = 0; i < 4; i++) {
        const struct rf_process_static process = {.pid = 1 + rows[i].pid,
                                                  .start_ticks = ticks + rows[i].ticks,
                                                  .pid_namespace = status.st_ino + rows[i].space,
                                                  .opened_mono_ns = ds_now_ns()};
        const enum rf_liveness seen = rf_process_liveness(&header, &process);
        CHECK((seen == RF_ALIVE) == rows[i].alive, "row %u: %d", i, (int)seen);
    }
    kill(child, SIGKILL);
    CHECK(waitpid(child, NULL, 0) == child, "not gone");
    const struct rf_process_static process = {.pid = 1,
                                              .start_ticks = ticks,
                                              .pid_namespace = status.st_ino,
                                              .opened_mono_ns = ds_now_ns()};
    CHECK(rf_process_liveness(&header, &process) != RF_ALIVE, "it lives on");
    _exit(0); /* of another namespace than its children's a sanitizer cannot look for leaks */
}

static void a_process_of_a_namespace_below(void **state)
{
    (void)state;
    const int status = test_in_child(below, NULL);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static void a_process_that_has_ended(void **state)
{
    (void)state;
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(rf_start_ticks_of((uint64_t)child), 0);
    const struct rf_header header = own_header();
    struct rf_process_static process = own_process();
    process.pid = (uint64_t)child;
    assert_int_equal(rf_process_liveness(&header, &process), RF_DEAD);
    waitpid(child, NULL, 0);
    assert_int_equal(rf_process_liveness(&header, &process), RF_DEAD);
}

#ifndef __SANITIZE_THREAD__ /* which has no threads in a forked child */
static void *never_end(void *nothing)
{
    for (;;)
        pause();
    return nothing;
}

/* A main thread may end before the others, which go on writing. */
static void a_process_whose_main_thread_ended(void **state)
{
    (void)state;
    char path[64], text[512] = "";
    const pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, never_end, NULL);
        pthread_exit(NULL);
    }
    snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
    for (int i = 0; i < 60000 && strstr(text, ") Z ") == NULL; i++) {
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        const ssize_t length = read(fd, text, sizeof text - 1);
        close(fd);
        text[length > 0 ? length : 0] = '\0';
        usleep(1000);
    }
    assert_non_null(strstr(text, ") Z "));
    const uint64_t ticks = rf_start_ticks_of((uint64_t)child);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(ticks >= rf_own_start_ticks());
}
#endif

static void files_that_are_mapped(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s", test_path(test_folder(), "mapped"));
    assert_false(rf_file_may_be_mapped(path));
    test_write_file(path, "x", 1);
    assert_false(rf_file_may_be_mapped(path));
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    assert_true(map != MAP_FAILED);
    assert_true(rf_file_may_be_mapped(path));
    munmap(map, 1);
    assert_false(rf_file_may_be_mapped(path));
    char below[320];
    snprintf(below, sizeof below, "%s/below", path); /* it cannot be looked at: it may be */
    assert_true(rf_file_may_be_mapped(below));
}

/* ---- on tmpfs ---- */

static const char *base; /* of all runs here */
static struct rf_run run;

static int begin_run(void **state)
{
    (void)state;
    setenv("DATASTALL_RECORD_ON", "tmpfs", 1);
    const int error = rf_run_create(base, "a", &run);
    unsetenv("DATASTALL_RECORD_ON");
    return error;
}

static int end_run(void **state)
{
    (void)state;
    test_remove(run.tmpfs);
    test_remove(run.path);
    return 0;
}

static bool is_there(const char *folder, const char *name)
{
    return access(test_path(folder, name), F_OK) == 0;
}

static void the_two_folders_name_each_other(void **state)
{
    (void)state;
    char place[PATH_MAX];
    struct rf_run found;
    assert_true(rf_tmpfs_is_name(run.tmpfs));
    assert_true(rf_run_is_on_tmpfs(&run));
    assert_true(rf_run_names_tmpfs(run.path, run.tmpfs));
    assert_false(rf_run_names_tmpfs(run.path, run.path));
    assert_true(rf_tmpfs_read_home(run.tmpfs, place));
    assert_string_equal(place, run.path);
    assert_true(rf_tmpfs_belongs(run.tmpfs, run.path));
    assert_false(rf_tmpfs_belongs(run.path, run.path));
    assert_false(rf_tmpfs_belongs(run.tmpfs, "/none"));
    assert_true(rf_tmpfs_is_ours(run.tmpfs));
    assert_true(rf_tmpfs_is_open(run.tmpfs));
    assert_true(rf_tmpfs_admits(run.tmpfs));
    rf_run_reading_place(run.path, place);
    assert_string_equal(place, run.tmpfs);
    rf_run_reading_place(base, place);
    assert_string_equal(place, base);
    rf_run_writing_place(run.tmpfs, run.path, place);
    assert_string_equal(place, run.tmpfs);
    assert_true(rf_run_of_tmpfs(run.tmpfs, &found));
    assert_string_equal(found.path, run.path);
    assert_string_equal(found.tmpfs, run.tmpfs);
    assert_false(rf_run_of_tmpfs(run.path, &found));
}

/* Root may bring home what is everybody's; others only their own. */
static void another_users_run(void **state)
{
    (void)state;
    struct rf_run found;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(run.tmpfs, 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    const bool ours = rf_tmpfs_is_ours(run.tmpfs), of_run = rf_run_of_tmpfs(run.tmpfs, &found);
    assert_int_equal(seteuid(0), 0);
    assert_false(ours || of_run);
    assert_int_equal(chown(run.tmpfs, 65534, 65534), 0);
    assert_true(rf_tmpfs_is_ours(run.tmpfs));
    assert_false(rf_tmpfs_belongs(run.tmpfs, run.path)); /* the two are of two owners now */
    assert_int_equal(seteuid(65534), 0);
    const bool theirs = rf_tmpfs_is_ours(run.tmpfs);
    assert_int_equal(seteuid(0), 0);
    assert_true(theirs);
}

/* Under a launcher: its folder on tmpfs, or home where that has taken over. */
static void where_to_write(void **state)
{
    (void)state;
    char place[PATH_MAX], file[PATH_MAX];
    snprintf(file, sizeof file, "%s", test_path(base, "a-file"));
    test_write_file(file, "x", 1);
    const struct {
        const char *folder, *home, *place;
    } rows[] = {
        {run.tmpfs, run.path, run.tmpfs}, /* its door is open */
        {run.tmpfs, NULL, run.tmpfs},
        {"/dev/shm/datastall-none00", run.path, run.path},
        {"/dev/shm/datastall-none00", NULL, "/dev/shm/datastall-none00"},
        {"/dev/shm/datastall-none00", "relative", "/dev/shm/datastall-none00"},
        {"/dev/shm/datastall-none00", "", "/dev/shm/datastall-none00"},
        {"/dev/shm/datastall-none00", "/none", "/dev/shm/datastall-none00"},
        {"/dev/shm/datastall-none00", file, "/dev/shm/datastall-none00"},
        {"/none", run.path, "/none"}, /* not on tmpfs */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_run_writing_place(rows[i].folder, rows[i].home, place);
        assert_string_equal(place, rows[i].place);
    }
}

static void a_run_that_nothing_was_recorded_in(void **state)
{
    (void)state;
    assert_true(rf_run_abandon(&run));
    assert_int_equal(access(run.tmpfs, F_OK), -1);
    assert_int_equal(access(run.path, F_OK), -1);
    begin_run(NULL);
    small_file_make(test_path(run.tmpfs, "a.dsrun"), false);
    assert_false(rf_run_abandon(&run));
    assert_true(is_there(run.tmpfs, "a.dsrun"));
}

static void it_comes_home(void **state)
{
    (void)state;
    bool stays = true;
    small_file_make(test_path(run.tmpfs, "a.dsrun"), false);
    small_file_make(test_path(run.tmpfs, "b.dsrun"), true);
    test_write_file(test_path(run.tmpfs, "a note"), "x", 1);
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_false(stays);
    assert_int_equal(access(run.tmpfs, F_OK), -1);
    assert_true(is_there(run.path, "a.dsrun") && is_there(run.path, "b.dsrun"));
    assert_false(is_there(run.path, "a note"));
    assert_false(is_there(run.path, RF_TMPFS_NOTE));
    assert_false(is_there(run.path, ".coming-home"));
    struct stat status;
    assert_int_equal(stat(test_path(run.path, "a.dsrun"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(rf_run_finish(&run, &stays), 0); /* again: nothing is left to do */
    assert_false(stays);
}

/* Something that is no file cannot be copied: nothing is lost, and the next try may do better. */
static void something_that_cannot_be_copied(void **state)
{
    (void)state;
    bool stays;
    small_file_make(test_path(run.tmpfs, "a.dsrun"), false);
    assert_int_equal(mkfifo(test_path(run.tmpfs, "b.dsrun"), 0600), 0);
    assert_int_not_equal(rf_run_finish(&run, &stays), 0);
    assert_non_null(strstr(datastall_last_error(), "cannot copy b.dsrun"));
    assert_false(is_there(run.path, ".coming-home"));
    assert_true(is_there(run.path, RF_TMPFS_NOTE));
    assert_true(is_there(run.tmpfs, "a.dsrun"));
    assert_true(rf_tmpfs_is_open(run.tmpfs));
    unlink(test_path(run.tmpfs, "b.dsrun"));
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_int_equal(access(run.tmpfs, F_OK), -1);
}

/* What stands in the way at home is said, and everything stays where it is. */
static void something_in_the_way_at_home(void **state)
{
    (void)state;
    static const struct {
        const char *name, *error;
    } rows[] = {{".coming-home", "cannot copy a.dsrun: File exists"},
                {"a.dsrun", "cannot copy a.dsrun: Is a directory"},
                {"b.dsrun", "cannot copy b.dsrun: Is a directory"}};
    bool stays;
    small_file_make(test_path(run.tmpfs, "a.dsrun"), false);
    small_file_make(test_path(run.tmpfs, "b.dsrun"), true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(mkdir(test_path(run.path, rows[i].name), 0700), 0);
        assert_int_not_equal(rf_run_finish(&run, &stays), 0);
        assert_string_equal(datastall_last_error(), rows[i].error);
        assert_true(is_there(run.tmpfs, "a.dsrun") && is_there(run.tmpfs, "b.dsrun"));
        assert_true(is_there(run.path, RF_TMPFS_NOTE) && rf_tmpfs_is_open(run.tmpfs));
        assert_int_equal(rmdir(test_path(run.path, rows[i].name)), 0);
        assert_false(is_there(run.path, ".coming-home"));
        unlink(test_path(run.path, "a.dsrun")); /* the one before it came */
    }
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_true(is_there(run.path, "a.dsrun") && is_there(run.path, "b.dsrun"));
    assert_int_equal(access(run.tmpfs, F_OK), -1);
}

static struct rf_writer *begin_file(const char *name, const struct rf_process_static *process)
{
    const struct rf_spec spec = {.slots = 0};
    struct rf_writer *writer;
    assert_int_equal(rf_writer_create(test_path(run.tmpfs, name), &spec, process, &writer), 0);
    return writer;
}

/* Whoever may still write: a living process, a launcher's living command, one that is not seen. */
static void who_keeps_it_on_tmpfs(void **state)
{
    (void)state;
    const pid_t child = fork(); /* another process than this */
    if (child == 0) {
        pause();
        _exit(0);
    }
    const uint64_t ticks = rf_start_ticks_of((uint64_t)child);
    static const struct {
        bool closed, alive, unseen, launcher, command, exit_known, own_command;
        bool stays;
    } rows[] = {
        {.alive = true, .stays = true},
        {.alive = true, .closed = true},
        {.unseen = true, .stays = true},
        {.stays = false},
        {.launcher = true},
        {.launcher = true, .command = true, .stays = true},
        {.launcher = true, .command = true, .exit_known = true},
        {.launcher = true, .command = true, .own_command = true}, /* that is us */
        {.launcher = false, .command = true},
        {.launcher = true, .command = true, .closed = true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rf_process_static process = own_process();
        process.kind = rows[i].launcher ? RF_PROCESS_LAUNCHER : RF_PROCESS_RECORDER;
        process.pid = (uint64_t)child;
        process.start_ticks = rows[i].unseen ? 0 : rows[i].alive ? ticks : ticks + 1;
        struct rf_writer *writer = begin_file("a.dsrun", &process);
        const uint64_t pid = rows[i].own_command ? (uint64_t)getpid() : (uint64_t)child;
        if (rows[i].command) {
            rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_CHILD_PID, pid);
            rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_CHILD_TICKS,
                   rows[i].own_command ? rf_own_start_ticks() : ticks);
        }
        rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_EXIT_KNOWN, rows[i].exit_known);
        rf_publish(&writer->process);
        if (rows[i].closed)
            rf_writer_mark_closed(writer);
        rf_writer_destroy(writer);
        if (rf_tmpfs_is_written(run.tmpfs) != rows[i].stays)
            fail_msg("row %zu", i);
        unlink(test_path(run.tmpfs, "a.dsrun"));
    }
    /* This process is none that has to be waited for. */
    const struct rf_process_static self = own_process();
    rf_writer_destroy(begin_file("a.dsrun", &self));
    assert_false(rf_tmpfs_is_written(run.tmpfs));
    assert_false(rf_tmpfs_is_written("/dev/shm/datastall-none00"));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* A file at home that is not on tmpfs is part of the run; a copy is not. */
static void read_from_both_folders(void **state)
{
    (void)state;
    static const char *const here[] = {"b.dsrun", "d.dsrun"};
    static const char *const home[] = {"a.dsrun", "b.dsrun", "c.dsrun", "d.dsrun", "e.dsrun"};
    for (int i = 0; i < 2; i++)
        small_file_make(test_path(run.tmpfs, here[i]), false);
    for (int i = 0; i < 5; i++)
        small_file_make(test_path(run.path, home[i]), false);
    struct run_data *data;
    assert_int_equal(run_data_read(run.path, &data), 0);
    assert_int_equal(data->files, 5);
    assert_int_equal(data->process_count, 5);
    assert_string_equal(data->recorded_at, run.tmpfs);
    assert_string_equal(data->path, run.path);
    run_data_free(data);
    struct run_entry *runs;
    uint32_t count;
    assert_int_equal(run_list(base, &runs, &count), 0);
    bool found = false;
    for (uint32_t i = 0; i < count; i++)
        found |= strcmp(runs[i].id, strrchr(run.path, '/') + 1) == 0 && runs[i].created_ns > 0;
    assert_true(found);
    run_list_free(runs, count);
}

/* ---- a program whose standard input is closed: descriptor 0 is one like others ---- */

static void descriptor_0(void **state)
{
    (void)state;
    const int kept = fcntl(0, F_DUPFD_CLOEXEC, 10);
    char place[PATH_MAX];
    bool stays;
    small_file_make(test_path(run.tmpfs, "b.dsrun"), true);
    const struct rf_process_static process = own_process();
    close(0);
    struct rf_writer *writer = begin_file("a.dsrun", &process);
    assert_int_equal(fcntl(0, F_GETFD), -1);
    rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
    struct run_data *data;
    assert_int_equal(run_data_read(run.path, &data), 0);
    assert_int_equal(data->process_count, 2);
    run_data_free(data);
    assert_int_equal(rf_run_admit_file(run.tmpfs, test_path(run.tmpfs, "a.dsrun")), 0);
    assert_true(rf_tmpfs_read_home(run.tmpfs, place));
    assert_true(rf_note_read(run.path, RF_TMPFS_NOTE, place));
    assert_true(rf_tmpfs_belongs(run.tmpfs, run.path));
    assert_true(rf_tmpfs_is_ours(run.tmpfs));
    assert_true(rf_tmpfs_is_open(run.tmpfs));
    assert_true(rf_note_write(run.tmpfs, "note", "/x"));
    assert_true(rf_own_start_ticks() > 0);
    assert_false(rf_file_may_be_mapped(test_path(run.tmpfs, "a.dsrun")));
    struct run_entry *runs;
    uint32_t count;
    assert_int_equal(run_list(base, &runs, &count), 0);
    run_list_free(runs, count);
    assert_int_equal(fcntl(0, F_GETFD), -1);
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_int_equal(access(run.tmpfs, F_OK), -1);
    assert_true(is_there(run.path, "a.dsrun") && is_there(run.path, "b.dsrun"));
    assert_int_equal(fcntl(0, F_GETFD), -1);
    if (kept >= 0) {
        dup2(kept, 0);
        close(kept);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_run, end_run)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_words),
        cmocka_unit_test(is_it_this_process),
        cmocka_unit_test(processes_of_this_namespace),
        cmocka_unit_test(a_process_of_no_namespace),
        cmocka_unit_test(a_process_of_a_namespace_below),
        cmocka_unit_test(a_process_that_has_ended),
#ifndef __SANITIZE_THREAD__
        cmocka_unit_test(a_process_whose_main_thread_ended),
#endif
        cmocka_unit_test(files_that_are_mapped),
        TEST(the_two_folders_name_each_other),
        TEST(another_users_run),
        TEST(where_to_write),
        TEST(a_run_that_nothing_was_recorded_in),
        TEST(it_comes_home),
        TEST(something_that_cannot_be_copied),
        TEST(something_in_the_way_at_home),
        TEST(who_keeps_it_on_tmpfs),
        TEST(read_from_both_folders),
        TEST(descriptor_0),
    };
    if (access("/dev/shm", W_OK) != 0)
        return SKIPPED;
    if (!test_own_shm())
        printf("/dev/shm is shared with all\n");
    base = test_folder();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
