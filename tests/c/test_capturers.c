/* SPDX-License-Identifier: Apache-2.0 */
/* What may capture CUDA graphs by itself is seen when it is loaded, at whatever time, and torch's own
 * libraries are not taken for it. Each case in a process of its own, since an answer stays.
 * test_capturers HARMLESS BY_SYMBOL BY_NAME BY_BINDINGS LIBTORCH */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/clock.h"
#include "cmocka_all.h"
#include "gpu/capturers.h"

enum { HARMLESS, BY_SYMBOL, BY_NAME, BY_BINDINGS, LIBTORCH };

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

/* Runs in a process of its own and tells its exit code. */
static int in_a_child(int (*run)(void))
{
    const pid_t child = fork();
    int status;
    if (child == 0)
        _exit(run());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- the bindings of CUDA for Python ---- */

static char folder[64], bindings[96]; /* theirs, in it */
static char loaded[1024];
static bool say_so;

static int bindings_are_loaded(void)
{
    if (say_so)
        capturers_trust_bindings(bindings);
    load(loaded);
    return capturers_there();
}

/* Whether something may capture where a copy of a library lies at a place in the folder. */
static int with_a_copy(int library, const char *place, bool trusted)
{
    char command[4096];
    snprintf(loaded, sizeof loaded, "%s/%s", folder, place);
    snprintf(command, sizeof command, "mkdir -p '%s/_v2' && cp '%s' '%s'", bindings,
             libraries[library], loaded);
    assert_int_equal(system(command), 0);
    say_so = trusted;
    const int answer = in_a_child(bindings_are_loaded);
    unlink(loaded);
    return answer;
}

static void bindings_count_where_they_are_used(void **state)
{
    char command[128];
    (void)state;
    strcpy(folder, "/tmp/datastall-bindings-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(bindings, sizeof bindings, "%s/bindings", folder);
    const int themselves = with_a_copy(BY_NAME, "bindings/driver.so", false);
    const int that_say_so = with_a_copy(BY_NAME, "bindings/driver.so", true);
    const int others_of_theirs = with_a_copy(BY_BINDINGS, "bindings/nvml.so", true);
    const int what_does_not_say_so = with_a_copy(BY_NAME, "bindings/_v2/driver.so", true);
    const int who_calls_them = with_a_copy(BY_BINDINGS, "calls.so", true);
    const int beside_none = with_a_copy(BY_BINDINGS, "calls.so", false);
    const int others = with_a_copy(BY_NAME, "driver.so", true);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(themselves, 1);
    assert_int_equal(that_say_so, 0);
    assert_int_equal(others_of_theirs, 0);
    assert_int_equal(what_does_not_say_so, 1);
    assert_int_equal(who_calls_them, 1);
    assert_int_equal(beside_none, 0);
    assert_int_equal(others, 1);
}

/* ---- a capture that says so ---- */

static uint64_t asked;

static void *question_of_a_while(void *unused)
{
    (void)unused;
    assert_true(capturers_question_begins());
    ds_store_release(&asked, 1);
    usleep(3000);
    ds_store_release(&asked, 2);
    capturers_question_ends();
    return NULL;
}

/* 0: as it should be. */
static int note_beside_a_question(void)
{
    pthread_t thread;
    if (capturers_there() || pthread_create(&thread, NULL, question_of_a_while, NULL) != 0)
        return 1;
    while (ds_load_acquire(&asked) == 0)
        usleep(100);
    capturers_note();
    const uint64_t by_then = ds_load_acquire(&asked);
    pthread_join(thread, NULL);
    if (by_then != 2)
        return 2;
    return capturers_question_begins() || !capturers_there() ? 3 : 0;
}

/* One that hangs holds the program up for a moment, and no longer. */
static int note_beside_one_that_hangs(void)
{
    if (!capturers_question_begins())
        return 1;
    const uint64_t begin_ns = ds_now_ns();
    capturers_note();
    return ds_now_ns() - begin_ns < 20 * DS_NS_PER_S ? 0 : 2;
}

static void a_capture_waits_for_the_question(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(note_beside_a_question), 0);
    assert_int_equal(in_a_child(note_beside_one_that_hangs), 0);
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    libraries = argv + 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_process_has_none),
        cmocka_unit_test(what_may_capture_is_seen),
        cmocka_unit_test(torch_is_trusted),
        cmocka_unit_test(what_cannot_be_read_may_capture),
        cmocka_unit_test(bindings_count_where_they_are_used),
        cmocka_unit_test(a_capture_waits_for_the_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
