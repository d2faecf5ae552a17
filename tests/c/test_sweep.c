/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep finds on tmpfs: what it brings home, removes, tells of and leaves alone, to the second.
 * The clock is wrapped, and /dev/shm is the test's own. */
#include "cmocka_all.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "run/sweep.h"
#include "runfile/liveness.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"
#include "runfile/writer.h"
#include "small_file.h"
#include "support.h"

static time_t now_s; /* 0: as it is */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    const int result = __real_clock_gettime(clock, now);
    if (clock == CLOCK_REALTIME && now_s != 0)
        *now = (struct timespec){.tv_sec = now_s};
    return result;
}

static const char *base;
static struct rf_run run;

static bool is_there(const char *folder, const char *name)
{
    return access(test_path(folder, name), F_OK) == 0;
}

static int begin(void **state)
{
    (void)state;
    now_s = 0;
    base = test_folder();
    setenv("DATASTALL_RECORD_ON", "tmpfs", 1);
    const int error = rf_run_create(base, "a", &run);
    unsetenv("DATASTALL_RECORD_ON");
    return error;
}

static int end(void **state)
{
    (void)state;
    test_remove(run.tmpfs);
    return 0;
}

static void add_file(void)
{
    small_file_make(test_path(run.tmpfs, "a.dsrun"), false);
}

/* So many seconds after the folder was changed last. */
static void after(long seconds)
{
    struct stat status;
    assert_int_equal(lstat(run.tmpfs, &status), 0);
    now_s = status.st_ctim.tv_sec + seconds;
}

/* ---- what is told ---- */

static struct run_orphan told;
static char sentence[512], home[PATH_MAX];
static uint32_t count;

static void take(void *context, const struct run_orphan *orphan)
{
    assert_ptr_equal(context, &told);
    told = *orphan;
    snprintf(sentence, sizeof sentence, "%s", orphan->sentence);
    snprintf(home, sizeof home, "%s", orphan->home);
    assert_string_equal(orphan->tmpfs, run.tmpfs);
    count++;
}

static void sweep(void)
{
    count = 0;
    run_sweep(take, &told);
}

static void expect_told(enum run_orphan_kind kind, const char *words)
{
    sweep();
    assert_int_equal(count, 1);
    assert_int_equal(told.kind, kind);
    assert_string_equal(sentence, words);
    assert_int_equal(access(run.tmpfs, F_OK), 0);
    run_sweep(NULL, NULL); /* nobody listens */
    assert_int_equal(access(run.tmpfs, F_OK), 0);
}

static void expect_left_alone(void)
{
    sweep();
    assert_int_equal(count, 0);
    assert_int_equal(access(run.tmpfs, F_OK), 0);
}

static void expect_removed(void)
{
    sweep();
    assert_int_equal(count, 0);
    assert_int_equal(access(run.tmpfs, F_OK), -1);
}

static void note_home(const char *path)
{
    unlink(test_path(run.tmpfs, RF_HOME_NOTE));
    assert_true(rf_note_write(run.tmpfs, RF_HOME_NOTE, path));
}

static struct rf_writer *begin_writing(void)
{
    const struct rf_spec spec = {.slots = 0};
    const struct rf_process_static process = {.pid = 1, .rank = RF_UNKNOWN}; /* not seen */
    struct rf_writer *writer;
    assert_int_equal(rf_writer_create(test_path(run.tmpfs, "b.dsrun"), &spec, &process, &writer),
                     0);
    return writer;
}

/* ---- cases ---- */

static void what_is_young(void **state)
{
    (void)state;
    after(RUN_TMPFS_YOUNG_S - 1);
    expect_left_alone();
    assert_int_equal(run_settle(run.path), 0);
    assert_int_equal(access(run.tmpfs, F_OK), 0);
    after(RUN_TMPFS_YOUNG_S);
    assert_int_equal(run_settle(run.path), 0); /* an empty run comes home */
    assert_int_equal(access(run.tmpfs, F_OK), -1);
    assert_false(is_there(run.path, RF_TMPFS_NOTE));
    begin(NULL);
    add_file(); /* with a file it is no more in the making */
    after(0);
    sweep();
    assert_int_equal(count, 0);
    assert_int_equal(access(run.tmpfs, F_OK), -1);
    assert_true(is_there(run.path, "a.dsrun"));
    begin(NULL);
    assert_int_equal(rename(test_path(run.tmpfs, RF_HOME_NOTE), test_path(run.tmpfs, RF_SHUT_NOTE)),
                     0);
    after(0);
    expect_removed(); /* nor with its door shut */
}

static void without_a_note(void **state)
{
    (void)state;
    unlink(test_path(run.tmpfs, RF_HOME_NOTE));
    after(0);
    expect_left_alone();
    after(RUN_TMPFS_YOUNG_S);
    expect_removed();
    begin(NULL);
    unlink(test_path(run.tmpfs, RF_HOME_NOTE));
    add_file();
    expect_told(RUN_ORPHAN_UNKNOWN, "it does not say which run it belongs to");
    assert_string_equal(home, "");
}

static void that_cannot_come_home(void **state)
{
    (void)state;
    add_file();
    assert_int_equal(mkdir(test_path(run.path, "a.dsrun"), 0700), 0);
    expect_told(RUN_ORPHAN_STUCK, "cannot copy a.dsrun: Is a directory");
    assert_string_equal(home, run.path);
    assert_false(is_there(run.path, ".coming-home")); /* nothing is left half way */
}

static void whose_home_does_not_know_it(void **state)
{
    (void)state;
    unlink(test_path(run.path, RF_TMPFS_NOTE));
    after(RUN_TMPFS_YOUNG_S - 1);
    expect_left_alone();
    struct rf_writer *writer = begin_writing();
    expect_left_alone(); /* it is written */
    rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
    expect_told(RUN_ORPHAN_UNKNOWN, "its run folder does not name it");
    assert_string_equal(home, run.path);
    assert_int_equal(rename(test_path(run.tmpfs, RF_HOME_NOTE), test_path(run.tmpfs, RF_SHUT_NOTE)),
                     0);
    expect_removed(); /* it came home */
    begin(NULL);
    unlink(test_path(run.path, RF_TMPFS_NOTE));
    after(RUN_TMPFS_YOUNG_S);
    expect_removed(); /* it was never used */
}

static void whose_home_is_gone(void **state)
{
    (void)state;
    test_remove(run.path);
    after(RUN_TMPFS_YOUNG_S);
    expect_removed(); /* nothing is in it */
    begin(NULL);
    test_remove(run.path);
    struct rf_writer *writer = begin_writing();
    expect_left_alone();
    rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
    static const char removed[] = "its run folder was removed; it goes a day after that";
    expect_told(RUN_ORPHAN_HOMELESS, removed);
    assert_string_equal(home, run.path);
    const char *mark = test_path(run.tmpfs, "home-is-gone");
    struct stat status;
    assert_int_equal(lstat(mark, &status), 0);
    now_s = status.st_mtim.tv_sec + RUN_TMPFS_GRACE_S;
    expect_told(RUN_ORPHAN_HOMELESS, removed);
    now_s++;
    expect_removed();
}

static void whose_home_cannot_be_reached(void **state)
{
    (void)state;
    static const char unreachable[] = "the folder of its run cannot be reached";
    char link[PATH_MAX], below[PATH_MAX];
    add_file();
    snprintf(below, sizeof below, "%s/none/run", base);
    note_home(below);
    expect_told(RUN_ORPHAN_UNREACHABLE, unreachable);
    assert_string_equal(home, below);
    note_home("/none-of-this-name"); /* right below the root */
    expect_told(RUN_ORPHAN_UNREACHABLE, unreachable);
    snprintf(link, sizeof link, "%s", test_path(base, "loop"));
    assert_int_equal(symlink(link, link), 0);
    note_home(link);
    expect_told(RUN_ORPHAN_UNREACHABLE, "Too many levels of symbolic links");
    assert_string_equal(home, link);
    assert_false(is_there(run.tmpfs, "home-is-gone"));
    test_write_file(test_path(base, "file"), "x", 1);
    note_home(
        test_path(base, "file/run")); /* a file in place of its folder: it is not coming back */
    expect_told(RUN_ORPHAN_HOMELESS, "its run folder was removed; it goes a day after that");
}

static void settling(void **state)
{
    (void)state;
    char moved[PATH_MAX], link[PATH_MAX];
    add_file();
    assert_int_equal(run_settle(test_path(base, "none")), 0);
    assert_int_equal(run_settle(base), 0); /* recorded in place */
    /* A copy is no home, and neither is one while nobody knows. */
    snprintf(moved, sizeof moved, "%s", test_path(base, "moved"));
    assert_int_equal(mkdir(moved, 0700), 0);
    assert_true(rf_note_write(moved, RF_TMPFS_NOTE, run.tmpfs));
    assert_int_equal(run_settle(moved), 0);
    assert_true(is_there(run.tmpfs, "a.dsrun"));
    snprintf(link, sizeof link, "%s", test_path(base, "loop"));
    assert_int_equal(symlink(link, link), 0);
    note_home(link);
    assert_int_equal(run_settle(moved), 0);
    assert_true(is_there(run.tmpfs, "a.dsrun"));
    unlink(test_path(run.tmpfs, RF_HOME_NOTE)); /* it names none */
    assert_int_equal(run_settle(moved), 0);
    assert_true(is_there(run.tmpfs, "a.dsrun"));
    note_home(test_path(base, "none")); /* moved */
    assert_int_equal(run_settle(moved), 0);
    assert_int_equal(access(run.tmpfs, F_OK), -1);
    assert_true(is_there(moved, "a.dsrun"));
    /* By another way to the same folder. */
    begin(NULL);
    add_file();
    snprintf(link, sizeof link, "%s", test_path(base, "link"));
    assert_int_equal(symlink(run.path, link), 0);
    assert_int_equal(run_settle(link), 0);
    assert_true(is_there(run.path, "a.dsrun"));
}

/* A door that a kill left shut is opened again, unless somebody is behind it. */
static void a_door_that_is_shut(void **state)
{
    (void)state;
    assert_int_equal(rename(test_path(run.tmpfs, RF_HOME_NOTE), test_path(run.tmpfs, RF_SHUT_NOTE)),
                     0);
    const uint32_t descriptors = test_open_descriptors();
    const int folder = rf_open_folder(run.tmpfs);
    struct rf_way way = {folder, -1, rf_way_open_lock(folder)};
    assert_true(rf_way_take_lock(way.lock, 1));
    assert_false(rf_tmpfs_admits(run.tmpfs));
    assert_false(rf_tmpfs_is_open(run.tmpfs));
    rf_way_close(&way);
    assert_int_equal(way.tmpfs, -1);
    assert_int_equal(way.lock, -1);
    assert_true(rf_tmpfs_admits(run.tmpfs));
    assert_true(rf_tmpfs_is_open(run.tmpfs));
    assert_int_equal(test_open_descriptors(), descriptors);
    /* Not where its run does not know it. */
    assert_int_equal(rename(test_path(run.tmpfs, RF_HOME_NOTE), test_path(run.tmpfs, RF_SHUT_NOTE)),
                     0);
    unlink(test_path(run.path, RF_TMPFS_NOTE));
    assert_false(rf_tmpfs_admits(run.tmpfs));
    assert_false(rf_tmpfs_is_open(run.tmpfs));
    /* Shut twice is shut; without a note it cannot be. */
    way.tmpfs = rf_open_folder(run.tmpfs);
    assert_true(rf_way_shut(&way));
    unlink(test_path(run.tmpfs, RF_SHUT_NOTE));
    assert_false(rf_way_shut(&way));
    assert_false(rf_way_open(&way));
    rf_way_close(&way);
    assert_false(rf_tmpfs_admits(run.tmpfs));
    assert_int_equal(test_open_descriptors(), descriptors);
}

/* A file that comes too late is taken back. */
static void a_file_that_is_not_admitted(void **state)
{
    (void)state;
    add_file();
    const char *path = test_path(run.tmpfs, "a.dsrun");
    assert_int_equal(rf_run_admit_file(run.tmpfs, path), 0);
    assert_true(is_there(run.tmpfs, "a.dsrun"));
    unlink(test_path(run.tmpfs, RF_HOME_NOTE));
    assert_int_equal(rf_run_admit_file(run.tmpfs, path), DATASTALL_ERR_NOT_FOUND);
    assert_false(is_there(run.tmpfs, "a.dsrun"));
}

/* What is no folder of a run is none of its business. */
static void what_is_not_ours(void **state)
{
    (void)state;
    static const char *const names[] = {"/dev/shm/datastall-abc", "/dev/shm/datastall-abcde.",
                                        "/dev/shm/other-abcdef"};
    test_remove(run.tmpfs);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(mkdir(names[i], 0700), 0);
    test_write_file("/dev/shm/datastall-abcdef", "x", 1);
    now_s = time(NULL) + 2 * RUN_TMPFS_GRACE_S;
    sweep();
    assert_int_equal(count, 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(rmdir(names[i]), 0);
    assert_int_equal(unlink("/dev/shm/datastall-abcdef"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_young),
        TEST(without_a_note),
        TEST(that_cannot_come_home),
        TEST(whose_home_does_not_know_it),
        TEST(whose_home_is_gone),
        TEST(whose_home_cannot_be_reached),
        TEST(settling),
        TEST(a_door_that_is_shut),
        TEST(a_file_that_is_not_admitted),
        TEST(what_is_not_ours),
    };
    unsetenv("DATASTALL_RUN_DIR");
    if (!test_own_shm()) {
        printf("SKIP: /dev/shm cannot be had alone: %s\n", strerror(errno));
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
