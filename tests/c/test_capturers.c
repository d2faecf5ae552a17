/* SPDX-License-Identifier: Apache-2.0 */
/* What may capture CUDA graphs by itself is seen when it is loaded, at whatever time, and torch's own
 * libraries are not taken for it. Each case in a process of its own, since an answer stays.
 * test_capturers HARMLESS BY_SYMBOL BY_NAME LIBTORCH */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "gpu/capturers.h"

enum { HARMLESS, BY_SYMBOL, BY_NAME, LIBTORCH };

static char **libraries;

static void load(const char *path)
{
    if (dlopen(path, RTLD_LAZY | RTLD_LOCAL) == NULL)
        _exit(9);
}

/* Exit codes, so that a child tells: 0 is none, 1 there is one. */
static int after_loading(const char *path)
{
    const pid_t child = fork();
    int status;
    if (child == 0) {
        const bool before = capturers_there();
        if (path != NULL)
            load(path);
        const bool now = capturers_there();
        load(libraries[HARMLESS]); /* it stays so */
        _exit(before ? 8 : now == capturers_there() ? now : 7);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void this_process_has_none(void **state)
{
    (void)state;
    assert_int_equal(after_loading(NULL), 0);
}

static void what_may_capture_is_seen(void **state)
{
    (void)state;
    assert_int_equal(after_loading(libraries[HARMLESS]), 0);
    assert_int_equal(after_loading(libraries[BY_SYMBOL]), 1);
    assert_int_equal(after_loading(libraries[BY_NAME]), 1);
}

static void torch_is_trusted(void **state)
{
    (void)state;
    assert_int_equal(after_loading(libraries[LIBTORCH]), 0);
}

/* A file that is gone once it was loaded, as what is compiled on the way is. */
static void what_cannot_be_read_may_capture(void **state)
{
    (void)state;
    char copy[] = "/tmp/datastall-gone-XXXXXX", command[1024];
    const int fd = mkstemp(copy);
    assert_true(fd >= 0);
    close(fd);
    snprintf(command, sizeof command, "cp '%s' '%s'", libraries[HARMLESS], copy);
    assert_int_equal(system(command), 0);
    const pid_t child = fork();
    int status;
    if (child == 0) {
        load(copy);
        unlink(copy);
        _exit(capturers_there());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    unlink(copy);
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    libraries = argv + 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_process_has_none),
        cmocka_unit_test(what_may_capture_is_seen),
        cmocka_unit_test(torch_is_trusted),
        cmocka_unit_test(what_cannot_be_read_may_capture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
