/* SPDX-License-Identifier: Apache-2.0 */
/* Run folders: what they are called, what a file in them may cost, which there are, and what a
 * whole run of several files is. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "run/listing.h"
#include "run/run_data.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"
#include "runfile/writer.h"
#include "small_file.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static const char *base; /* a new folder for each test */

static int new_base(void **state)
{
    (void)state;
    base = test_folder();
    unsetenv("DATASTALL_RUN_CAP_MIB");
    return 0;
}

static const char *in_base(const char *name)
{
    return test_path(base, name);
}

static void make_empty(const char *folder, const char *name)
{
    test_write_file(test_path(folder, name), "", 0);
}

/* ---- names ---- */

static void the_folder_of_runs(void **state)
{
    (void)state;
    unsetenv("DATASTALL_DIR");
    assert_string_equal(rf_base_directory(NULL), "datastall-runs");
    assert_string_equal(rf_base_directory(""), "datastall-runs");
    assert_string_equal(rf_base_directory("/a"), "/a");
    setenv("DATASTALL_DIR", "", 1);
    assert_string_equal(rf_base_directory(NULL), "datastall-runs");
    setenv("DATASTALL_DIR", "/b", 1);
    assert_string_equal(rf_base_directory(NULL), "/b");
    assert_string_equal(rf_base_directory(""), "/b");
    assert_string_equal(rf_base_directory("/a"), "/a");
    unsetenv("DATASTALL_DIR");
}

/* base/YYYYmmdd-HHMMSS-NAME; returns NAME. */
static const char *name_of(const struct rf_run *run, const char *folder)
{
    const size_t length = strlen(folder);
    assert_memory_equal(run->path, folder, length);
    assert_int_equal(run->path[length], '/');
    const char *stamp = run->path + length + 1;
    assert_true(strlen(stamp) > 16);
    for (int i = 0; i < 16; i++) {
        if (i == 8 || i == 15)
            assert_int_equal(stamp[i], '-');
        else
            assert_true(stamp[i] >= '0' && stamp[i] <= '9');
    }
    return stamp + 16;
}

static void names_of_runs(void **state)
{
    (void)state;
    static const struct {
        const char *name, *clean;
    } rows[] = {
        {NULL, "run"},
        {"", "run"},
        {"train", "train"},
        {"AZaz09._-", "AZaz09._-"},
        {"@[`{/:", "______"},
        {"a b/../c\n", "a_b_.._c_"},
        {"\xc3\xa9", "__"},
        {"0123456789012345678901234567890123456789", "0123456789012345678901234567890123456789"},
        {"0123456789012345678901234567890123456789x", "0123456789012345678901234567890123456789"},
    };
    struct rf_run run;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char own[16];
        struct stat status;
        snprintf(own, sizeof own, "%zu", i);
        const char *folder = in_base(own);
        assert_int_equal(rf_run_create(folder, rows[i].name, &run), 0);
        assert_string_equal(name_of(&run, folder), rows[i].clean);
        assert_string_equal(run.tmpfs, run.path);
        assert_int_equal(stat(run.path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0700);
    }
}

/* Several of one second are told apart. */
static void runs_of_one_second(void **state)
{
    (void)state;
    struct rf_run runs[12];
    uint32_t numbered = 0;
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(rf_run_create(base, "a", &runs[i]), 0);
        const char *name = name_of(&runs[i], base);
        assert_int_equal(name[0], 'a');
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(runs[i].path, runs[k].path);
        if (name[1] == '\0')
            numbered = 1;
        else
            assert_int_equal(atoi(name + 2), ++numbered);
    }
}

static void folders_that_can_and_cannot_be_made(void **state)
{
    (void)state;
    struct rf_run run;
    char here[PATH_MAX], deep[PATH_MAX], longest[2 * PATH_MAX];
    struct stat status;
    snprintf(deep, sizeof deep, "%s/a/b/c///", base);
    assert_int_equal(rf_run_create(deep, "x", &run), 0);
    deep[strlen(deep) - 3] = '\0';
    assert_string_equal(name_of(&run, deep), "x");
    assert_int_equal(stat(in_base("a/b"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);

    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(base), 0);
    assert_int_equal(rf_run_create("below", "x", &run), 0);
    assert_string_equal(name_of(&run, in_base("below")), "x");
    assert_int_equal(chdir(here), 0);

    make_empty(base, "file");
    assert_int_equal(rf_run_create(in_base("file"), "x", &run), DATASTALL_ERR_NOT_FOUND);
    assert_int_equal(rf_run_create(in_base("file/below"), "x", &run), DATASTALL_ERR_NOT_FOUND);
    assert_non_null(strstr(datastall_last_error(), "cannot create the folder"));

    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[PATH_MAX] = '\0';
    assert_int_equal(rf_run_create(longest, "x", &run), DATASTALL_ERR_ARGUMENT);
    longest[PATH_MAX - 1] = '\0'; /* of a length that can be, but not with its name */
    for (size_t i = 200; i < PATH_MAX - 1; i += 200)
        longest[i] = '/';
    assert_int_not_equal(rf_run_create(longest, "x", &run), DATASTALL_OK);
}

/* ---- what a file may cost ---- */

static void the_cap_to_the_byte(void **state)
{
    (void)state;
    static const struct {
        const char *variable; /* NULL: not set */
        uint64_t cap;
    } rows[] = {
        {NULL, UINT64_C(1) << 30},
        {"", UINT64_C(1) << 30},
        {"1", 1 << 20},
        {"3", 3 << 20},
        {"0", UINT64_C(1) << 30},
        {"-1", UINT64_C(1) << 30},
        {"1x", UINT64_C(1) << 30},
        {"x", UINT64_C(1) << 30},
        {"1073741823", UINT64_C(1073741823) << 20},
        {"1073741824", UINT64_C(1) << 30}, /* no such disk */
    };
    char path[PATH_MAX];
    test_write_file(in_base("a"), "12345", 5);
    test_write_file(in_base("b"), "123", 3);
    mkdir(in_base("c"), 0700); /* has a size, and is no file */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].variable == NULL)
            unsetenv("DATASTALL_RUN_CAP_MIB");
        else
            setenv("DATASTALL_RUN_CAP_MIB", rows[i].variable, 1);
        assert_int_equal(rf_run_new_file(base, rows[i].cap - 8, path), DATASTALL_OK);
        assert_int_equal(rf_run_new_file(base, rows[i].cap - 7, path), DATASTALL_ERR_NO_SPACE);
        char says[64];
        snprintf(says, sizeof says, "limit of %llu MiB", (unsigned long long)(rows[i].cap >> 20));
        assert_non_null(strstr(datastall_last_error(), says));
    }
}

static void names_of_files(void **state)
{
    (void)state;
    char one[PATH_MAX], other[PATH_MAX], begin[PATH_MAX + 32];
    assert_int_equal(rf_run_new_file(base, 0, one), DATASTALL_OK);
    assert_int_equal(rf_run_new_file(base, 0, other), DATASTALL_OK);
    snprintf(begin, sizeof begin, "%s/%ld-", base, (long)getpid());
    assert_memory_equal(one, begin, strlen(begin));
    assert_int_equal(strlen(one), strlen(begin) + 8 + strlen(".dsrun"));
    assert_string_equal(one + strlen(begin) + 8, ".dsrun");
    assert_string_not_equal(one, other);
    char longest[PATH_MAX];
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[PATH_MAX - 1] = '\0';
    assert_int_equal(rf_run_new_file(longest, 0, one), DATASTALL_ERR_ARGUMENT);
}

/* What is there counts for all, also for who made it. */
static void admission_to_the_byte(void **state)
{
    (void)state;
    setenv("DATASTALL_RUN_CAP_MIB", "1", 1);
    const char *path = in_base("1-1.dsrun");
    char *bytes = calloc(1, (1 << 20) + 1);
    test_write_file(path, bytes, 1 << 20);
    assert_int_equal(rf_run_admit_file(base, path), DATASTALL_OK);
    assert_int_equal(access(path, F_OK), 0);
    test_write_file(path, bytes, (1 << 20) + 1);
    assert_int_equal(rf_run_admit_file(base, path), DATASTALL_ERR_NO_SPACE);
    assert_int_equal(access(path, F_OK), -1);
    free(bytes);
    /* The lock is given back: another one need not wait. */
    make_empty(base, "1-2.dsrun");
    const uint32_t before = test_open_descriptors();
    for (int i = 0; i < 100; i++)
        assert_int_equal(rf_run_admit_file(base, in_base("1-2.dsrun")), DATASTALL_OK);
    assert_int_equal(test_open_descriptors(), before);
}

/* ---- which files, which runs ---- */

static void files_of_a_run(void **state)
{
    (void)state;
    static const char *const made[] = {"b.dsrun",      "a.dsrun",    ".dsrun",   "a.dsrun2",
                                       "a.dsru",       "adsrun",     "c.dsrun~", "launcher.dsrun",
                                       "recording-at", "10-1.dsrun", "9-1.dsrun"};
    static const char *const wanted[] = {"10-1.dsrun", "9-1.dsrun", "a.dsrun", "b.dsrun",
                                         "launcher.dsrun"};
    char **names;
    uint32_t count = 9;
    uint64_t left_out = 9;
    assert_int_equal(rf_run_files(base, &names, &count, &left_out), 0);
    assert_int_equal(count, 0);
    assert_int_equal(left_out, 0);
    rf_run_files_free(names, count);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        make_empty(base, made[i]);
    assert_int_equal(rf_run_files(base, &names, &count, NULL), 0);
    assert_int_equal(count, sizeof wanted / sizeof *wanted);
    for (uint32_t i = 0; i < count; i++)
        assert_string_equal(names[i], wanted[i]);
    rf_run_files_free(names, count);
    assert_int_equal(rf_run_files(in_base("none"), &names, &count, NULL), DATASTALL_ERR_NOT_FOUND);
    assert_int_equal(count, 0);
    assert_null(names);
    /* More than a first piece of memory holds. */
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "x%03d.dsrun", i);
        make_empty(base, name);
    }
    assert_int_equal(rf_run_files(base, &names, &count, &left_out), 0);
    assert_int_equal(count, 205);
    assert_string_equal(names[204], "x199.dsrun");
    rf_run_files_free(names, count);
}

/* Of more files than are read the launcher's is among them, wherever it is found: on tmpfs, whose listings
 * go by age, it is made first or last. */
static void the_launchers_file_is_always_read(void **state)
{
    (void)state;
    for (int last = 0; last < 2; last++) {
        char folder[] = "/dev/shm/datastall-test-XXXXXX";
        char **names;
        uint32_t count, launchers = 0;
        uint64_t left_out;
        assert_non_null(mkdtemp(folder));
        test_write_file(test_path(folder, "one"), "", 0);
        for (uint32_t i = 0; i < RF_MAX_RUN_FILES + 4; i++) {
            char name[32], from[PATH_MAX];
            const bool is_launcher = i == (last ? RF_MAX_RUN_FILES + 3 : 0);
            snprintf(from, sizeof from, "%s/one", folder);
            snprintf(name, sizeof name, "%u-1.dsrun", i);
            assert_int_equal(link(from, test_path(folder, is_launcher ? RF_LAUNCHER_FILE : name)),
                             0);
        }
        assert_int_equal(rf_run_files(folder, &names, &count, &left_out), 0);
        assert_int_equal(count, RF_MAX_RUN_FILES);
        assert_int_equal(left_out, 4);
        for (uint32_t i = 0; i < count; i++)
            launchers += strcmp(names[i], RF_LAUNCHER_FILE) == 0;
        assert_int_equal(launchers, 1);
        rf_run_files_free(names, count);
        test_remove(folder);
    }
}

/* Of /dev/shm, which all programs of a machine share, a file may take a sixteenth of what is free; elsewhere
 * it may take what there is. */
static void a_share_of_shared_memory(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct statvfs space;
    assert_int_equal(statvfs("/dev/shm", &space), 0);
    const uint64_t free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    setenv("DATASTALL_RUN_CAP_MIB", "1000000000", 1);
    char mine[] = "/dev/shm/datastall-test-XXXXXX";
    assert_non_null(mkdtemp(mine));
    assert_int_equal(rf_run_new_file(mine, free_bytes / 64, path), 0);
    assert_int_equal(rf_run_new_file(mine, free_bytes / 8, path), DATASTALL_ERR_NO_SPACE);
    assert_non_null(strstr(datastall_last_error(), "may use a sixteenth of the"));
    assert_int_equal(rmdir(mine), 0);
    assert_int_equal(rf_run_new_file(mine, free_bytes / 8, path),
                     0); /* of no folder it is not known */
    assert_int_equal(rf_run_new_file("/dev/shm", free_bytes / 8, path), 0);
    assert_int_equal(rf_run_new_file(base, free_bytes / 8, path), 0);
    unsetenv("DATASTALL_RUN_CAP_MIB");
}

static struct rf_process_static plain_process(uint64_t pid, uint64_t rank)
{
    return (struct rf_process_static){.kind = RF_PROCESS_RECORDER,
                                      .pid = pid,
                                      .rank = rank,
                                      .opened_mono_ns = 100 * SECOND,
                                      .process_start_mono_ns = RF_UNKNOWN};
}

/* A run file made at a real time; closed. */
static void make_file_at(const char *path, uint64_t real_ns)
{
    const struct rf_spec spec = {.slots = 0};
    const struct rf_process_static process = plain_process(1, 0);
    struct rf_writer *writer;
    assert_int_equal(rf_writer_create(path, &spec, &process, &writer), 0);
    struct rf_header header = writer->header;
    header.created_real_ns = real_ns;
    header.checksum = rf_checksum(&header);
    memcpy(writer->map, &header, sizeof header);
    rf_writer_mark_closed(writer);
    rf_writer_destroy(writer);
}

static void runs_of_a_folder(void **state)
{
    (void)state;
    static const struct {
        const char *run;
        uint64_t files[3]; /* when they were made, 0: no more */
        uint64_t created;
    } rows[] = {
        {"none-b", {0}, 0},     {"none-a", {0}, 0},
        {"late", {900}, 900},   {"early", {500, 300, 400}, 300},
        {"same-b", {700}, 700}, {"same-a", {800, 700}, 700},
    };
    static const char *const order[] = {"none-a", "none-b", "early", "same-a", "same-b", "late"};
    struct run_entry *runs;
    uint32_t count = 9;
    assert_int_equal(run_list(in_base("absent"), &runs, &count), 0);
    assert_int_equal(count, 0);
    assert_null(runs);
    run_list_free(runs, count);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%s", in_base(rows[i].run));
        mkdir(folder, 0700);
        for (int k = 0; k < 3 && rows[i].files[k] > 0; k++) {
            char name[16];
            snprintf(name, sizeof name, "%d.dsrun", k);
            make_file_at(test_path(folder, name), rows[i].files[k]);
        }
        /* Neither of these is one that tells a time. */
        make_empty(folder, "cut.dsrun");
        char foreign[RF_HEADER_BYTES];
        memset(foreign, 1, sizeof foreign);
        test_write_file(test_path(folder, "foreign.dsrun"), foreign, sizeof foreign);
    }
    mkdir(in_base(".hidden"), 0700);
    make_empty(base, "a-file");
    assert_int_equal(run_list(base, &runs, &count), 0);
    assert_int_equal(count, 6);
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(runs[i].id, order[i]);
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            if (strcmp(rows[k].run, runs[i].id) == 0)
                assert_int_equal(runs[i].created_ns, rows[k].created);
        }
    }
    run_list_free(runs, count);
    assert_int_equal(run_list(in_base("a-file"), &runs, &count), DATASTALL_ERR_NOT_FOUND);
    assert_int_equal(count, 0);
}

static void many_runs(void **state)
{
    (void)state;
    struct run_entry *runs;
    uint32_t count;
    mkdir(in_base("x"), 0700);
    make_file_at(in_base("x/a.dsrun"), 100);
    for (int i = 0; i < 150; i++) {
        char name[16];
        snprintf(name, sizeof name, "r%03d", i);
        mkdir(in_base(name), 0700);
    }
    const uint32_t before = test_open_descriptors();
    assert_int_equal(run_list(base, &runs, &count), 0);
    assert_int_equal(count, 151);
    assert_string_equal(runs[150].id, "x");
    for (int i = 0; i < 150; i++)
        assert_int_equal(atoi(runs[i].id + 1), i);
    run_list_free(runs, count);
    assert_int_equal(test_open_descriptors(), before);
}

static void why_a_run_is_empty(void **state)
{
    (void)state;
    static const struct {
        const char *note; /* NULL: none */
        const char *says;
    } rows[] = {
        {NULL, ""},
        {"not a path", ""},
        {"/dev/shm/datastall-zzzzzz", "it was recorded in /dev/shm/datastall-zzzzzz, which is not "
                                      "here: on another machine, or lost when this one was "
                                      "restarted"},
        {"/tmp", "its note recording-at names /tmp, which is no folder of this run"},
        {"/dev/shm/datastall-zzzzzzz",
         "its note recording-at names /dev/shm/datastall-zzzzzzz, which is no folder of this run"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512] = "?";
        unlink(in_base(RF_TMPFS_NOTE));
        if (rows[i].note != NULL)
            assert_true(rf_note_write(base, RF_TMPFS_NOTE, rows[i].note));
        run_explain_absence(base, text, sizeof text);
        assert_string_equal(text, rows[i].says);
    }
}

static void names_on_tmpfs(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is;
    } rows[] = {
        {"/dev/shm/datastall-aZ09bc", true},   {"/dev/shm/datastall-aZ09b", false},
        {"/dev/shm/datastall-aZ09bcd", false}, {"/dev/shm/datastall-aZ0.bc", false},
        {"/dev/shm/datastall-aZ0/bc", false},  {"/dev/shm/datastall_aZ09bc", false},
        {"/dev/shm/datastall-", false},        {"", false},
        {"/tmp/shm/datastall-aZ09bc", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(rf_tmpfs_is_name(rows[i].name), rows[i].is);
}

static void notes(void **state)
{
    (void)state;
    char text[PATH_MAX];
    assert_false(rf_note_read(base, "note", text));
    assert_false(rf_note_read(in_base("none"), "note", text));
    assert_false(rf_note_write(in_base("none"), "note", "/a"));
    assert_true(rf_note_write(base, "note", "/a/b"));
    assert_false(rf_note_write(base, "note", "/c")); /* never over another */
    assert_true(rf_note_read(base, "note", text));
    assert_string_equal(text, "/a/b");
    test_write_file(in_base("note"), "/two\n/lines\n", 12);
    assert_true(rf_note_read(base, "note", text));
    assert_string_equal(text, "/two");
    test_write_file(in_base("note"), "/", 1); /* the shortest */
    assert_true(rf_note_read(base, "note", text));
    assert_string_equal(text, "/");
    make_empty(base, "note");
    assert_false(rf_note_read(base, "note", text));
    unlink(in_base("note"));
    assert_int_equal(symlink("/etc/hostname", in_base("note")), 0);
    assert_false(rf_note_read(base, "note", text));
    unlink(in_base("note"));
    mkdir(in_base("note"), 0700);
    assert_false(rf_note_read(base, "note", text));
}

#define TEST(name) cmocka_unit_test_setup(name, new_base)

int main(void)
{
    unsetenv("DATASTALL_RECORD_ON");
    const struct CMUnitTest tests[] = {
        TEST(the_folder_of_runs),
        TEST(names_of_runs),
        TEST(runs_of_one_second),
        TEST(folders_that_can_and_cannot_be_made),
        TEST(the_cap_to_the_byte),
        TEST(names_of_files),
        TEST(admission_to_the_byte),
        TEST(files_of_a_run),
        TEST(the_launchers_file_is_always_read),
        TEST(a_share_of_shared_memory),
        TEST(runs_of_a_folder),
        TEST(many_runs),
        TEST(why_a_run_is_empty),
        TEST(names_on_tmpfs),
        TEST(notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
