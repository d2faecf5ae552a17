/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a user names: regular ones are replaced whole, nothing else is. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/target_file.h"
#include "support.h"

static const char *folder;

static int make_folder(void **state)
{
    (void)state;
    folder = test_folder();
    return 0;
}

/* Writes text; error: what went wrong with it, as far as ds_target_finish() is told. */
static int put(const char *path, const char *text, int error)
{
    struct ds_target target;
    const int failed = ds_target_open(path, &target);
    if (failed != 0)
        return failed;
    if (write(target.fd, text, strlen(text)) != (ssize_t)strlen(text))
        error = errno;
    return ds_target_finish(&target, error);
}

static void assert_content(const char *path, const char *expected)
{
    size_t size;
    unsigned char *bytes = test_read_file(path, &size);
    bytes[size] = '\0';
    assert_string_equal(bytes, expected);
    free(bytes);
}

static mode_t type_of(const char *path)
{
    struct stat file;
    assert_int_equal(lstat(path, &file), 0);
    return file.st_mode & S_IFMT;
}

static void a_regular_file_is_replaced_whole(void **state)
{
    (void)state;
    const char *path = test_path(folder, "plain");
    struct stat before, after;
    assert_false(ds_target_exists(path));
    assert_int_equal(put(path, "one", 0), 0);
    assert_true(ds_target_exists(path));
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(put(path, "not whole", ENOSPC), ENOSPC);
    assert_content(path, "one");
    assert_int_equal(put(path, "two", 0), 0);
    assert_content(path, "two");
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino != after.st_ino); /* never a moment with half of it */
    assert_int_equal(put(test_path(folder, "no/such"), "x", 0), ENOENT);
    assert_int_equal(put(folder, "x", 0), EISDIR);
}

static void a_link_stays_a_link(void **state)
{
    (void)state;
    const char *file = test_path(folder, "linked"), *link = test_path(folder, "link");
    assert_int_equal(put(file, "one", 0), 0);
    assert_int_equal(symlink("linked", link), 0);
    assert_true(ds_target_exists(link));
    assert_int_equal(put(link, "two", 0), 0);
    assert_int_equal(type_of(link), S_IFLNK);
    assert_content(file, "two");
    const char *nowhere = test_path(folder, "nowhere");
    assert_int_equal(symlink("made", nowhere), 0);
    assert_true(ds_target_exists(nowhere));
    assert_int_equal(put(nowhere, "three", 0), 0);
    assert_int_equal(type_of(nowhere), S_IFLNK);
    assert_content(test_path(folder, "made"), "three");
}

static void devices_and_pipes_are_written_to(void **state)
{
    (void)state;
    const char *null = test_path(folder, "null"), *pipe = test_path(folder, "pipe");
    char got[8] = "";
    assert_int_equal(symlink("/dev/null", null), 0);
    assert_false(ds_target_exists(null));
    assert_int_equal(put(null, "gone", 0), 0);
    assert_int_equal(type_of(null), S_IFLNK);
    assert_int_equal(put("/dev/null", "gone", 0), 0);
    assert_int_equal(type_of("/dev/null"), S_IFCHR);
    assert_int_equal(put("/dev/full", "x", 0), ENOSPC);
    assert_int_equal(type_of("/dev/full"), S_IFCHR);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    const int reader = open(pipe, O_RDONLY | O_NONBLOCK);
    assert_false(ds_target_exists(pipe));
    assert_int_equal(put(pipe, "text", 0), 0);
    assert_int_equal(read(reader, got, sizeof got), 4);
    assert_string_equal(got, "text");
    assert_int_equal(type_of(pipe), S_IFIFO);
    close(reader);
}

static void write_to_standard_output(void *context)
{
    const char *path = context;
    const int log = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    CHECK(log >= 0 && dup2(log, STDOUT_FILENO) == STDOUT_FILENO, "cannot redirect");
    CHECK(put("/dev/stdout", "and this", 0) == 0, "cannot write");
    CHECK(write(STDOUT_FILENO, ", more", 6) == 6, "it was closed");
}

static void standard_output_that_is_a_file_keeps_what_is_in_it(void **state)
{
    (void)state;
    const char *log = test_path(folder, "log");
    assert_int_equal(put(log, "what was there, ", 0), 0);
    assert_int_equal(test_in_child(write_to_standard_output, (void *)(uintptr_t)log), 0);
    assert_content(log, "what was there, and this, more");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_regular_file_is_replaced_whole),
        cmocka_unit_test(a_link_stays_a_link),
        cmocka_unit_test(devices_and_pipes_are_written_to),
        cmocka_unit_test(standard_output_that_is_a_file_keeps_what_is_in_it),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
