/* SPDX-License-Identifier: Apache-2.0 */
/* Whom `serve` answers: files of passwords as people and scripts write them, and Host headers. */
#include "cmocka_all.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/host_names.h"
#include "cli/secrets.h"
#include "support.h"

static const char *folder;

static int make_folder(void **state)
{
    (void)state;
    folder = test_folder();
    return 0;
}

/* NULL after an error. */
static struct secret_users *read_users(const char *text, size_t length)
{
    struct secret_users *users;
    const char *path = test_path(folder, "users");
    unlink(path);
    test_write_file(path, text, length);
    assert_int_equal(chmod(path, 0600), 0);
    const int error = secret_users_read(path, &users);
    assert_true((error == DATASTALL_OK) == (users != NULL));
    return users;
}

static void files_that_let_in_who_is_meant(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "bob:secret\nann:a:b\n",
        "bob:secret\nann:a:b",
        "bob:secret\r\nann:a:b\r\n",
        ("\xef\xbb\xbf"
         "bob:secret\n\n# old:one\n#:\nann:a:b\n"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct secret_users *users = read_users(texts[i], strlen(texts[i]));
        assert_non_null(users);
        assert_true(secret_users_allow(users, "bob", "secret"));
        assert_true(secret_users_allow(users, "ann", "a:b"));
        static const char *const wrong[][2] = {{"bob", ""},
                                               {"bob", "secre"},
                                               {"bob", "secrets"},
                                               {"bob", "secret\r"},
                                               {"", "secret"},
                                               {"", ""},
                                               {"Bob", "secret"},
                                               {"bob", "a:b"},
                                               {"\xef\xbb\xbf"
                                                "bob",
                                                "secret"},
                                               {"# old", "one"},
                                               {"bobbob", "secretsecret"}};
        for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
            assert_false(secret_users_allow(users, wrong[k][0], wrong[k][1]));
        secret_users_free(users);
    }
}

static void files_that_are_refused(void **state)
{
    (void)state;
    static char lengthy[300] = "bob:";
    memset(lengthy + 4, 'x', 256);
#define TEXT(text) text, sizeof text - 1
    static const struct {
        const char *text;
        size_t length;
        const char *says;
    } refused[] = {
        {TEXT(""), "no line USER:PASSWORD"},
        {TEXT("\n\r\n# only this\n"), "no line USER:PASSWORD"},
        {TEXT("\xef\xbb\xbf"), "no line USER:PASSWORD"},
        {TEXT("bob:\n"), "line 1 of"},
        {TEXT("ann:x\nbob:\r\n"), "line 2 of"},
        {TEXT("bob:"), "has no password"},
        {TEXT(":secret\n"), "has no user"},
        {TEXT("ann:x\nbob\n"), "is not USER:PASSWORD"},
        {TEXT("bob:sec\0ret\n"), "control character"},
        {TEXT("bob:secret\0"), "control character"},
        {TEXT("bob:sec\rret\n"), "control character"},
        {TEXT("bob:secret\x7f\n"), "control character"},
        {TEXT("\xff\xfe"
              "b\0o\0b\0:\0x\0\n\0"),
         "control character"}, /* UTF-16 */
        {TEXT("bob:one\nann:x\nbob:two\n"), "the user 'bob' appears twice"},
        {lengthy, 261, "is too long"},
    };
#undef TEXT
    lengthy[260] = '\n';
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_null(read_users(refused[i].text, refused[i].length));
        if (strstr(datastall_last_error(), refused[i].says) == NULL)
            fail_msg("%zu: '%s'", i, datastall_last_error());
        assert_null(strstr(datastall_last_error(), "secret"));
    }
    lengthy[259] = '\n'; /* 255 characters are not too many */
    struct secret_users *users = read_users(lengthy, 260);
    assert_non_null(users);
    secret_users_free(users);
}

static void things_that_are_no_file(void **state)
{
    (void)state;
    struct secret_users *users;
    const char *path = test_path(folder, "thing");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_true(secret_users_read(path, &users) != 0); /* and it does not wait */
    assert_non_null(strstr(datastall_last_error(), "not a small regular file"));
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(secret_users_read(path, &users) != 0);
    rmdir(path);
    assert_true(secret_users_read(path, &users) != 0);
    assert_non_null(strstr(datastall_last_error(), "cannot open"));
    test_write_file(path, "bob:x\n", 6);
    static const mode_t open_to_all[] = {0604, 0602, 0644, 0666};
    for (size_t i = 0; i < sizeof open_to_all / sizeof *open_to_all; i++) {
        assert_int_equal(chmod(path, open_to_all[i]), 0);
        assert_true(secret_users_read(path, &users) != 0);
        assert_non_null(strstr(datastall_last_error(), "chmod 600"));
    }
    assert_int_equal(chmod(path, 0640), 0); /* a group of its own */
    assert_int_equal(secret_users_read(path, &users), 0);
    secret_users_free(users);
}

static void names_it_goes_by(void **state)
{
    (void)state;
    static const char *const more[] = {"metrics.example.org"};
    const struct host_names names = {.own = "gpu-17",
                                     .whole = "gpu-17.cluster.example",
                                     .listened = "internal",
                                     .more = more,
                                     .more_count = 1};
    static const struct {
        const char *host;
        bool allowed;
    } cases[] = {
        {NULL, true},
        {"", true},
        {"localhost", true},
        {"LocalHost:19835", true},
        {"localhost.", true},
        {"127.0.0.1:19835", true},
        {"127.9.9.9", true},
        {"10.1.2.3:80", true}, /* an address leads where it leads */
        {"[::1]:19835", true},
        {"[2001:db8::1]", true},
        {"gpu-17", true},
        {"GPU-17:9", true},
        {"gpu-17.cluster.example:19835", true},
        {"gpu-17.cluster.example.:19835", true},
        {"internal", true},
        {"metrics.example.org", true},
        {"evil.example", false},
        {"evil.example:19835", false},
        {"localhost.evil.example", false},
        {"127.0.0.1.evil.example", false},
        {"gpu-17.evil.example", false},
        {"gpu-1", false},
        {"gpu-177", false},
        {"x", false},
        {"127.0.0.1:19835:1", false},
        {"localhost:1a", false},
        {"localhost evil", false},
        {"[::1", false},
        {"[::1]x", false},
        {"[evil.example]", false},
        {"[]", false},
        {":19835", false},
        {".", false},
        {"::1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (host_names_allow(&names, cases[i].host) != cases[i].allowed)
            fail_msg("'%s'", cases[i].host);
    }
    char lengthy[2 * HOST_NAME_BYTES];
    memset(lengthy, 'x', sizeof lengthy);
    lengthy[sizeof lengthy - 1] = '\0';
    assert_false(host_names_allow(&names, lengthy));
    struct host_names found = {.listened = "127.0.0.1"};
    host_names_find(&found, false);
    assert_true(found.own[0] == '\0' || host_names_allow(&found, found.own));
    assert_string_equal(found.whole, ""); /* nobody was asked */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_let_in_who_is_meant),
        cmocka_unit_test(files_that_are_refused),
        cmocka_unit_test(things_that_are_no_file),
        cmocka_unit_test(names_it_goes_by),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
