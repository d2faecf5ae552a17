/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the system that fail, one at a time: what is said, what is left, and that the next try does it.
 * Each is wrapped and fails where a row of a table says so. */
#include "cmocka_all.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "run/copy_run.h"
#include "run/listing.h"
#include "run/rings.h"
#include "run/run_data.h"
#include "run/sweep.h"
#include "runfile/liveness.h"
#include "runfile/opened.h"
#include "runfile/rundir.h"
#include "runfile/sparse_copy.h"
#include "runfile/tmpfs.h"
#include "runfile/writer.h"
#include "small_file.h"
#include "support.h"

/* Calls of this name fail whose path ends like this, the first `spared` and those after `times` (0: all)
 * excepted. */
struct fault {
    const char *call, *path;
    int error;
    unsigned spared, times;
};
static struct fault fault;
static unsigned calls; /* those that fitted */

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), wanted = strlen(end);
    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static bool fails(const char *call, const char *path)
{
    if (fault.call == NULL || strcmp(fault.call, call) != 0 ||
        (fault.path != NULL && !ends_with(path, fault.path)))
        return false;
    const unsigned number = calls++;
    if (number < fault.spared || (fault.times != 0 && number >= fault.spared + fault.times))
        return false;
    errno = fault.error;
    return true;
}

static bool fails_on(const char *call, int fd)
{
    char link[64], path[PATH_MAX] = "";
    if (fault.call == NULL || strcmp(fault.call, call) != 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    return fails(call, path);
}

/* A function that fails with -1. */
#define WRAP(result, name, parameters, arguments, failing) \
    result __real_##name parameters;                       \
    result __wrap_##name parameters;                       \
    result __wrap_##name parameters                        \
    {                                                      \
        return (failing) ? -1 : __real_##name arguments;   \
    }

WRAP(int, fsync, (int fd), (fd), fails_on("fsync", fd))
WRAP(int, flock, (int fd, int how), (fd, how), !(how & LOCK_UN) && fails_on("flock", fd))
WRAP(int, fstat64, (int fd, struct stat *status), (fd, status), fails_on("fstat", fd))
WRAP(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), fails_on("fchown", fd))
WRAP(int, ftruncate64, (int fd, off_t size), (fd, size), fails_on("ftruncate", fd))
WRAP(int, unlinkat, (int at, const char *path, int how), (at, path, how), fails("unlinkat", path))
WRAP(int, renameat, (int at, const char *from, int to, const char *path), (at, from, to, path),
     fails("renameat", path))
WRAP(int, linkat, (int at, const char *from, int to, const char *path, int how),
     (at, from, to, path, how), fails("linkat", path))
WRAP(int, access, (const char *path, int how), (path, how), fails("access", path))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), fails("mkdir", path))
WRAP(int, rmdir, (const char *path), (path), fails("rmdir", path))

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    const bool failed = fails_on("close", fd);
    const int error = errno;
    const int result = __real_close(fd); /* which it is either way */
    errno = failed ? error : errno;
    return failed ? -1 : result;
}

/* Which descriptor is to be 0, where that is closed: as of a daemon whose standard input is. 0: none. */
static unsigned number_of_zero, given;

static int as_zero(int fd, bool closes_on_exec)
{
    if (fd < 0 || number_of_zero == 0)
        return fd;
    const int wanted = ++given == number_of_zero ? 0 : 3;
    errno = EIO; /* which says nothing after a call that did it */
    if ((fd == 0) == (wanted == 0))
        return fd;
    const int moved = fcntl(fd, closes_on_exec ? F_DUPFD_CLOEXEC : F_DUPFD, wanted);
    __real_close(fd);
    return moved;
}

int __real_dup(int fd);
int __wrap_dup(int fd);
int __wrap_dup(int fd)
{
    return fails_on("dup", fd) ? -1 : as_zero(__real_dup(fd), false);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, mode_t mode);
int __wrap_open64(const char *path, int flags, mode_t mode)
{
    const bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    if (fails(unnamed ? "open unnamed" : "open", path))
        return -1;
    return as_zero(__real_open64(path, flags, mode), flags & O_CLOEXEC);
}

int __real_openat64(int at, const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, mode_t mode);
int __wrap_openat64(int at, const char *path, int flags, mode_t mode)
{
    if (fails("openat", path))
        return -1;
    return as_zero(__real_openat64(at, path, flags, mode), flags & O_CLOEXEC);
}

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path)
{
    if (fails("opendir", path))
        return NULL;
    if (number_of_zero == 0)
        return __real_opendir(path);
    const int fd = as_zero(__real_open64(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), true);
    return fd < 0 ? NULL : fdopendir(fd);
}

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
    return fails_on("fdopendir", fd) ? NULL : __real_fdopendir(fd);
}

FILE *__real_fopen64(const char *path, const char *how);
FILE *__wrap_fopen64(const char *path, const char *how);
FILE *__wrap_fopen64(const char *path, const char *how)
{
    if (fails("fopen", path))
        return NULL;
    if (number_of_zero == 0 || strcmp(how, "re") != 0)
        return __real_fopen64(path, how);
    const int fd = as_zero(__real_open64(path, O_RDONLY | O_CLOEXEC), true);
    return fd < 0 ? NULL : fdopen(fd, how);
}

char *__real_mkdtemp(char *path);
char *__wrap_mkdtemp(char *path);
char *__wrap_mkdtemp(char *path)
{
    return fails("mkdtemp", path) ? NULL : __real_mkdtemp(path);
}

char *__real_getcwd(char *path, size_t size);
char *__wrap_getcwd(char *path, size_t size);
char *__wrap_getcwd(char *path, size_t size)
{
    return fails("getcwd", "") ? NULL : __real_getcwd(path, size);
}

int __real_posix_fallocate64(int fd, off_t from, off_t bytes);
int __wrap_posix_fallocate64(int fd, off_t from, off_t bytes);
int __wrap_posix_fallocate64(int fd, off_t from, off_t bytes)
{
    return fails_on("fallocate", fd) ? fault.error : __real_posix_fallocate64(fd, from, bytes);
}

void *__real_mmap64(void *at, size_t bytes, int how, int flags, int fd, off_t from);
void *__wrap_mmap64(void *at, size_t bytes, int how, int flags, int fd, off_t from);
void *__wrap_mmap64(void *at, size_t bytes, int how, int flags, int fd, off_t from)
{
    return fails("mmap", "") ? MAP_FAILED : __real_mmap64(at, bytes, how, flags, fd, from);
}

static uid_t other_user; /* 0: who we are */
uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return other_user != 0 ? other_user : __real_geteuid();
}

static unsigned long file_system; /* 0: as it is */
int __real_statfs64(const char *path, struct statfs *status);
int __wrap_statfs64(const char *path, struct statfs *status);
int __wrap_statfs64(const char *path, struct statfs *status)
{
    const int result = fails("statfs", path) ? -1 : __real_statfs64(path, status);
    if (file_system != 0)
        status->f_type = (__fsword_t)file_system;
    return result;
}

/* At most so many bytes at once; 0: as many as are asked for. */
static size_t most_bytes, most_put_bytes;
ssize_t __real_pread64(int fd, void *to, size_t bytes, off_t at);
ssize_t __wrap_pread64(int fd, void *to, size_t bytes, off_t at);
ssize_t __wrap_pread64(int fd, void *to, size_t bytes, off_t at)
{
    if (fails_on("pread", fd))
        return fault.error == 0 ? 0 : -1; /* 0: the file was cut */
    return __real_pread64(fd, to, most_bytes != 0 && bytes > most_bytes ? most_bytes : bytes, at);
}

ssize_t __real_pwrite64(int fd, const void *from, size_t bytes, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off_t at)
{
    if (fails_on("pwrite", fd))
        return -1;
    return __real_pwrite64(
        fd, from, most_put_bytes != 0 && bytes > most_put_bytes ? most_put_bytes : bytes, at);
}

static void set_fault(struct fault next)
{
    fault = next;
    calls = 0;
}

static void no_fault(void)
{
    set_fault((struct fault){NULL});
    other_user = 0;
    file_system = most_bytes = most_put_bytes = 0;
}

static const char *base;

static int begin(void **state)
{
    (void)state;
    no_fault();
    base = test_folder();
    return 0;
}

static bool is_there(const char *folder, const char *name)
{
    return faccessat(AT_FDCWD, test_path(folder, name), F_OK, 0) == 0;
}

/* ---- a run that comes home ---- */

static struct rf_run run_on_tmpfs(void)
{
    struct rf_run run;
    setenv("DATASTALL_RECORD_ON", "tmpfs", 1);
    assert_int_equal(rf_run_create(base, "a", &run), 0);
    unsetenv("DATASTALL_RECORD_ON");
    small_file_make(test_path(run.tmpfs, "a.dsrun"), false);
    small_file_make(test_path(run.tmpfs, "b.dsrun"), true);
    return run;
}

static bool is_home(const struct rf_run *run)
{
    return is_there(run->path, "a.dsrun") && is_there(run->path, "b.dsrun") &&
           !is_there(run->path, RF_TMPFS_NOTE) && !is_there(run->path, ".coming-home");
}

static bool is_where_it_was(const struct rf_run *run)
{
    return is_there(run->tmpfs, "a.dsrun") && is_there(run->tmpfs, "b.dsrun") &&
           is_there(run->path, RF_TMPFS_NOTE) && rf_tmpfs_is_open(run->tmpfs);
}

/* Of what is said %s is the folder that it is about. */
static void expect_sentence(const char *wanted, const char *folder)
{
    char sentence[2 * PATH_MAX];
    const char *place = strstr(wanted, "%s");
    if (place == NULL)
        snprintf(sentence, sizeof sentence, "%s", wanted);
    else
        snprintf(sentence, sizeof sentence, "%.*s%s%s", (int)(place - wanted), wanted, folder,
                 place + 2);
    assert_string_equal(datastall_last_error(), sentence);
}

struct home_row {
    struct fault fault;
    const char *sentence; /* NULL: it comes home all the same */
    bool is_of_tmpfs;     /* the sentence names the folder there */
};

static void each_step_home_may_fail(void **state)
{
    (void)state;
    static const struct home_row rows[] = {
        {{"openat", "a.dsrun", EACCES}, "cannot copy a.dsrun: Permission denied"},
        {{"openat", "b.dsrun", EMFILE}, "cannot copy b.dsrun: Too many open files"},
        {{"unlinkat", ".coming-home", ENOENT}},
        {{"openat", ".coming-home", ENOSPC}, "cannot copy a.dsrun: No space left on device"},
        {{"fstat", "a.dsrun", EIO}, "cannot copy a.dsrun: Input/output error"},
        {{"pread", "b.dsrun", EIO, 8}, "cannot copy b.dsrun: Input/output error"},
        {{"pwrite", ".coming-home", EDQUOT}, "cannot copy a.dsrun: Disk quota exceeded"},
        {{"ftruncate", ".coming-home", ENOSPC}, "cannot copy a.dsrun: No space left on device"},
        {{"fsync", ".coming-home", EIO}, "cannot copy a.dsrun: Input/output error"},
        {{"fsync", ".coming-home", EIO, 1}, "cannot copy b.dsrun: Input/output error"},
        {{"close", ".coming-home", ENOSPC}, "cannot copy a.dsrun: No space left on device"},
        {{"renameat", "a.dsrun", EACCES}, "cannot copy a.dsrun: Permission denied"},
        {{"renameat", RF_SHUT_NOTE, EACCES},
         "cannot bring home what %s holds: Permission denied",
         true},
        {{"open", "-a", EACCES}, "cannot bring home what %s holds: Permission denied", true},
        {{"fsync", "-a", EIO, 0, 1}, "cannot copy the run to %s: Input/output error"},
        {{"fsync", "-a", EINVAL}}, /* a folder that cannot be synchronized there */
        {{"fsync", "-a", EBADF}},
        {{"fsync", "-a", EIO, 1}}, /* after the note is gone it is home */
        {{"unlinkat", RF_TMPFS_NOTE, EACCES}, "cannot write to %s: Permission denied"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct rf_run run = run_on_tmpfs();
        const uint32_t descriptors = test_open_descriptors();
        bool stays = true;
        set_fault(rows[i].fault);
        const int error = rf_run_finish(&run, &stays);
        CHECK(calls > rows[i].fault.spared, "row %zu: it did not come there", i);
        no_fault();
        CHECK(test_open_descriptors() == descriptors, "row %zu: open descriptors", i);
        CHECK((error != 0) == (rows[i].sentence != NULL) && !stays, "row %zu: %d", i, error);
        if (error != 0) {
            expect_sentence(rows[i].sentence, rows[i].is_of_tmpfs ? run.tmpfs : run.path);
            CHECK(is_where_it_was(&run), "row %zu: something is lost", i);
            CHECK(!is_there(run.path, ".coming-home"), "row %zu: half a file", i);
            CHECK(rf_run_finish(&run, &stays) == 0, "row %zu: again", i);
        }
        CHECK(is_home(&run) && access(run.tmpfs, F_OK) != 0, "row %zu: it is home", i);
        test_remove(run.path);
    }
}

/* Its maker took it back between the listing and the copy. */
static void a_file_that_is_taken_back(void **state)
{
    (void)state;
    const struct rf_run run = run_on_tmpfs();
    bool stays;
    set_fault((struct fault){"openat", "a.dsrun", ENOENT});
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    no_fault();
    assert_false(is_there(run.path, "a.dsrun"));
    assert_true(is_there(run.path, "b.dsrun"));
    assert_int_equal(access(run.tmpfs, F_OK), -1);
}

/* What cannot be listed may be written to, unless it is not there; and is not taken to be empty. */
static void a_folder_that_cannot_be_listed(void **state)
{
    (void)state;
    const struct rf_run run = run_on_tmpfs();
    bool stays = false;
    assert_false(rf_tmpfs_is_written(run.tmpfs));
    set_fault((struct fault){"opendir", run.tmpfs, EMFILE});
    assert_true(rf_tmpfs_is_written(run.tmpfs));
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_true(stays);
    no_fault();
    assert_true(is_where_it_was(&run));
    assert_false(rf_tmpfs_is_written("/dev/shm/datastall-none00"));
    set_fault((struct fault){"opendir", run.tmpfs, EMFILE, .spared = 1});
    assert_int_not_equal(rf_run_finish(&run, &stays), 0);
    no_fault();
    expect_sentence("cannot open the run folder %s: Too many open files", run.tmpfs);
    assert_true(is_where_it_was(&run));
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_true(is_home(&run));
}

/* Home, with something left on tmpfs that the next one removes. */
static void what_cannot_be_removed(void **state)
{
    (void)state;
    static const struct fault rows[] = {{"dup", NULL, EMFILE}, {"fdopendir", NULL, ENOMEM}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct rf_run run = run_on_tmpfs();
        const uint32_t descriptors = test_open_descriptors();
        bool stays;
        set_fault(rows[i]);
        assert_int_equal(rf_run_finish(&run, &stays), 0);
        no_fault();
        assert_int_equal(test_open_descriptors(), descriptors);
        assert_true(is_home(&run) && is_there(run.tmpfs, "a.dsrun"));
        assert_false(is_there(run.tmpfs, RF_SHUT_NOTE));
        test_remove(run.tmpfs);
        test_remove(run.path);
    }
}

static void another_is_at_it(void **state)
{
    (void)state;
    const struct rf_run run = run_on_tmpfs();
    bool stays = true;
    set_fault((struct fault){"flock", NULL, EWOULDBLOCK});
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_int_equal(calls, 20);
    assert_false(stays);
    assert_true(is_where_it_was(&run));
    set_fault(
        (struct fault){"fstat", "/" RF_HOME_NOTE, EIO}); /* whether it was brought home meanwhile */
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_int_equal(calls, 1);
    assert_true(is_where_it_was(&run));
    set_fault((struct fault){"flock", NULL, EWOULDBLOCK, .times = 3});
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_int_equal(calls, 4);
    no_fault();
    assert_true(is_home(&run));
}

/* Whoever is not the owner of a file leaves it to its owner, or does not copy it. */
static void owners_are_kept(void **state)
{
    (void)state;
    const struct rf_run run = run_on_tmpfs();
    bool stays;
    set_fault((struct fault){"fchown", ".coming-home", EPERM});
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_int_equal(calls, 0); /* its owner has nothing to change */
    no_fault();
    const struct rf_run next = run_on_tmpfs();
    other_user = geteuid() + 1;
    set_fault((struct fault){"fchown", ".coming-home", EPERM});
    assert_int_not_equal(rf_run_finish(&next, &stays), 0);
    assert_int_equal(calls, 1);
    expect_sentence("cannot copy a.dsrun: Operation not permitted", "");
    set_fault((struct fault){"fstat", "a.dsrun", EIO}); /* whose it is cannot be told */
    assert_int_not_equal(rf_run_finish(&next, &stays), 0);
    assert_true(calls > 0);
    expect_sentence("cannot copy a.dsrun: Input/output error", "");
    set_fault((struct fault){"fchown", ".coming-home", EPERM, .spared = 2});
    assert_int_equal(rf_run_finish(&next, &stays), 0);
    assert_int_equal(calls, 2);
    no_fault();
    assert_true(is_home(&next));
}

/* ---- which runs are recorded on tmpfs ---- */

static void file_systems_of_other_machines(void **state)
{
    (void)state;
    static const struct {
        unsigned long type;
        bool remote;
    } rows[] = {
        {0x6969, true},      {0x0BD00BD0, true}, {0x65735546, true}, {0xFF534D42, true},
        {0xFE534D42, true},  {0x00C36400, true}, {0x47504653, true}, {0x19830326, true},
        {0x01021997, true},  {0x5346414F, true}, {0xEF53, false},    {0x01021994, false},
        {0x9123683E, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rf_run run;
        file_system = rows[i].type;
        assert_int_equal(rf_run_create(base, "a", &run), 0);
        if (rf_run_is_on_tmpfs(&run) != rows[i].remote)
            fail_msg("%#lx", rows[i].type);
        assert_true(rf_run_abandon(&run));
        if (rows[i].remote) {
            set_fault((struct fault){"statfs", NULL, EACCES}); /* nobody knows */
            assert_int_equal(rf_run_create(base, "a", &run), 0);
            assert_false(rf_run_is_on_tmpfs(&run));
            no_fault();
            assert_true(rf_run_abandon(&run));
        }
    }
}

static bool has_own_shm;

/* Recordings on this /dev/shm. */
static size_t on_tmpfs(void)
{
    glob_t found;
    const size_t count = glob(RF_TMPFS_PREFIX "*", 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

/* Where it cannot be recorded on tmpfs it is recorded in place, and nothing is left there. */
static void no_place_on_tmpfs(void **state)
{
    (void)state;
    static const struct fault rows[] = {{"mkdtemp", NULL, ENOENT},
                                        {"open", "/" RF_HOME_NOTE, ENOSPC},
                                        {"open", "/" RF_TMPFS_NOTE, EACCES},
                                        {"close", "/" RF_HOME_NOTE, EIO},
                                        {"close", "/" RF_TMPFS_NOTE, EIO}};
    const size_t before = on_tmpfs();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rf_run run;
        setenv("DATASTALL_RECORD_ON", "tmpfs", 1);
        set_fault(rows[i]);
        assert_int_equal(rf_run_create(base, "a", &run), 0);
        assert_int_equal(calls, 1);
        no_fault();
        unsetenv("DATASTALL_RECORD_ON");
        assert_false(rf_run_is_on_tmpfs(&run));
        assert_false(is_there(run.path, RF_TMPFS_NOTE));
        if (has_own_shm) /* else somebody else's may come and go */
            assert_int_equal(on_tmpfs(), before);
        assert_true(rf_run_abandon(&run));
    }
}

static void folders_that_cannot_be_made(void **state)
{
    (void)state;
    static const struct {
        struct fault fault;
        const char *base, *sentence;
    } rows[] = {
        {{"getcwd", NULL, ENOENT},
         "relative",
         "cannot tell the current folder: No such file or "
         "directory"},
        {{"mkdir", "/x", EACCES}, "x", "cannot create the folder %s/x: Permission denied"},
        {{"mkdir", "-a", ENOSPC}, "x", NULL},
    };
    assert_int_equal(chdir(base), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rf_run run;
        set_fault(rows[i].fault);
        assert_int_not_equal(rf_run_create(rows[i].base, "a", &run), 0);
        no_fault();
        if (rows[i].sentence != NULL)
            expect_sentence(rows[i].sentence, base);
        else
            assert_non_null(strstr(datastall_last_error(), "cannot create the run folder "));
    }
    assert_int_equal(chdir("/"), 0);
}

/* Whatever number is tried, somebody has it. */
static void no_free_name(void **state)
{
    (void)state;
    struct rf_run run;
    set_fault((struct fault){"mkdir", NULL, EEXIST});
    assert_int_equal(rf_run_create(base, "a", &run), DATASTALL_ERR_EXISTS);
    no_fault();
    expect_sentence("cannot find a free name for the run folder in %s", base);
}

/* Gone is gone, and a folder that is not empty is kept, with the note that says whose it is. */
static void abandoned(void **state)
{
    (void)state;
    struct rf_run run;
    setenv("DATASTALL_RECORD_ON", "tmpfs", 1);
    for (int i = 0; i < 3; i++) {
        static const int errors[] = {EBUSY, ENOENT, 0};
        assert_int_equal(rf_run_create(base, "a", &run), 0);
        set_fault((struct fault){errors[i] == 0 ? NULL : "rmdir", run.tmpfs, errors[i]});
        assert_int_equal(rf_run_abandon(&run), errors[i] != EBUSY);
        no_fault();
        assert_int_equal(is_there(run.tmpfs, RF_HOME_NOTE), errors[i] == EBUSY);
        assert_int_equal(access(run.path, F_OK) == 0, errors[i] == EBUSY);
        if (errors[i] == EBUSY) {
            assert_true(is_there(run.path, RF_TMPFS_NOTE));
            assert_true(rf_run_abandon(&run));
        }
        test_remove(run.tmpfs);
    }
    unsetenv("DATASTALL_RECORD_ON");
}

/* ---- who is alive? ---- */

/* What cannot be asked is not known: never dead for want of a descriptor. */
static void processes_that_cannot_be_asked(void **state)
{
    (void)state;
    static const struct {
        struct fault fault;
        enum rf_liveness wanted;
    } rows[] = {
        {{NULL}, RF_ALIVE},
        {{"open", "/self/status", EMFILE}, RF_UNSEEN},
        {{"open", "/stat", EMFILE}, RF_UNSEEN},
        {{"open", "/stat", EACCES}, RF_UNSEEN},
        {{"open", "/stat", ENOENT}, RF_DEAD},
        {{"open", "/stat", ESRCH}, RF_DEAD},
    };
    struct rf_header header = {.section_count = 0};
    snprintf(header.boot_id, sizeof header.boot_id, "%s", rf_own_boot_id());
    const struct rf_process_static process = {.pid = (uint64_t)getpid(),
                                              .start_ticks = rf_own_start_ticks(),
                                              .pid_namespace = rf_own_pid_namespace()};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        set_fault(rows[i].fault);
        const enum rf_liveness seen = rf_process_liveness(&header, &process);
        no_fault();
        if (seen != rows[i].wanted)
            fail_msg("row %zu: %d", i, seen);
    }
    /* Its main thread's is not to be had: then it is what the whole says. */
    set_fault((struct fault){"open", "/stat", EACCES, .times = 1});
    assert_int_equal(rf_own_start_ticks(), process.start_ticks);
    assert_int_equal(calls, 2);
    set_fault((struct fault){"open", "/stat", EACCES});
    assert_int_equal(rf_own_start_ticks(), 0);
    no_fault();
}

/* As the kernel's text has it, to the first digit and the last. */
static void when_this_process_started(void **state)
{
    (void)state;
    unsigned long long ticks = 0;
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    const char *behind = strrchr(text, ')') + 2; /* the third field; it is the twenty-second */
    for (int field = 3; field < 22; field++)
        behind = strchr(behind, ' ') + 1;
    assert_int_equal(sscanf(behind, "%llu", &ticks), 1);
    assert_int_equal(rf_own_start_ticks(), ticks);
    assert_int_equal(rf_start_ticks_of((uint64_t)getpid()), ticks);
}

static void maps_that_cannot_be_read(void **state)
{
    (void)state;
    static const struct {
        struct fault fault;
        bool may_be;
    } rows[] = {
        {{NULL}, false},
        {{"opendir", "/proc", EMFILE}, true},
        {{"fopen", "/maps", EMFILE}, true},
        {{"fopen", "/maps", ENOMEM}, true},
        {{"fopen", "/maps", ENOENT}, false}, /* it has ended */
        {{"fopen", "/maps", ESRCH}, false},
        {{"fopen", "/maps", EACCES}, false}, /* another user's, who cannot write to it either */
        {{"fopen", "/maps", EPERM}, false},
    };
    const char *path = test_path(base, "a.dsrun");
    test_write_file(path, "x", 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint32_t descriptors = test_open_descriptors();
        set_fault(rows[i].fault);
        const bool may_be = rf_file_may_be_mapped(path);
        no_fault();
        if (may_be != rows[i].may_be)
            fail_msg("row %zu", i);
        assert_int_equal(test_open_descriptors(), descriptors);
    }
}

/* ---- the lock of a folder in which a file is made ---- */

static void locks_that_cannot_be_had(void **state)
{
    (void)state;
    static const struct {
        int error;
        unsigned times, calls;
    } rows[] = {
        {ENOLCK, 0, 1}, /* not on this file system: at once */
        {EWOULDBLOCK, 0, 100}, {EWOULDBLOCK, 3, 4}, {EINTR, 2, 3}, {0, 0, 0},
    };
    const char *path = test_path(base, "a.dsrun");
    test_write_file(path, "x", 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint32_t descriptors = test_open_descriptors();
        set_fault((struct fault){rows[i].error == 0 ? NULL : "flock", NULL, rows[i].error,
                                 .times = rows[i].times});
        assert_int_equal(rf_run_admit_file(base, path), 0);
        assert_int_equal(calls, rows[i].calls);
        no_fault();
        assert_int_equal(test_open_descriptors(), descriptors);
        assert_true(is_there(base, "a.dsrun"));
    }
}

/* A child that was forked while it was held holds it no longer. */
static int held_by_child;
static void the_lock_is_given_back(void **state)
{
    (void)state;
    const char *path = test_path(base, "a.dsrun");
    test_write_file(path, "x", 1);
    assert_int_equal(rf_run_admit_file(base, path), 0);
    held_by_child = open(base, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(held_by_child, LOCK_EX | LOCK_NB), 0);
    close(held_by_child);
}

/* ---- making a file ---- */

static bool is_mapped(const char *path)
{
    char line[PATH_MAX + 256];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    CHECK(maps != NULL, "maps");
    while (fgets(line, sizeof line, maps) != NULL)
        found |= strstr(line, path) != NULL;
    fclose(maps);
    return found;
}

static int make_file(const char *path, struct rf_writer **writer)
{
    const struct rf_spec spec = {.slots = 1, .recent_waits = 8};
    const struct rf_process_static process = {.pid = 7};
    return rf_writer_create(path, &spec, &process, writer);
}

static void expect_file(const char *path)
{
    struct rf_file file;
    struct rf_process_view view;
    struct stat status;
    assert_int_equal(rf_file_open(path, &file), 0);
    assert_true(rf_file_process(&file, &view));
    assert_int_equal(view.fixed.pid, 7);
    assert_string_equal(file.header.boot_id, rf_own_boot_id());
    rf_file_close(&file);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_nlink, 1);
    assert_true(S_ISREG(status.st_mode));
}

/* Without a name first; where that is not possible, with one. */
static void files_without_a_name(void **state)
{
    (void)state;
    static const struct {
        struct fault fault;
        bool unnamed, linked;
    } rows[] = {
        {{"none", NULL, 0}, true, true},
        {{"open unnamed", NULL, EOPNOTSUPP}, true, false},
        {{"access", "/proc/self/fd", ENOENT}, false, false},
        {{"linkat", NULL, EPERM}, true, true},
        {{"fallocate", NULL, EINTR, .times = 2}, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[16];
        struct rf_writer *writer;
        snprintf(name, sizeof name, "%zu.dsrun", i);
        const char *path = test_path(base, name);
        const uint32_t descriptors = test_open_descriptors();
        set_fault(rows[i].fault);
        assert_int_equal(make_file(path, &writer), 0);
        no_fault();
        assert_int_equal(test_open_descriptors(), descriptors); /* it is mapped */
        assert_true(is_mapped(base));
        expect_file(path);
        rf_writer_destroy(writer);
        assert_false(is_mapped(base));
        for (int k = 0; k < 2; k++) { /* which of the two is it? */
            static const char *const names[] = {"open unnamed", "linkat"};
            unlink(path);
            if (strcmp(rows[i].fault.call, "none") != 0)
                break;
            set_fault((struct fault){names[k], NULL, 0, .spared = UINT_MAX});
            assert_int_equal(make_file(path, &writer), 0);
            assert_int_equal(calls, 1);
            no_fault();
            rf_writer_destroy(writer);
        }
    }
}

/* What the name would be is not to be written over, nor followed. */
static void a_name_that_is_taken(void **state)
{
    (void)state;
    static const char *const without[] = {NULL, "open unnamed"};
    for (int i = 0; i < 2; i++) {
        struct rf_writer *writer = (void *)1;
        const uint32_t descriptors = test_open_descriptors();
        const char *taken = test_path(base, "a.dsrun"), *link = test_path(base, "b.dsrun");
        test_write_file(taken, "x", 1);
        set_fault((struct fault){without[i], NULL, EOPNOTSUPP});
        assert_int_not_equal(make_file(taken, &writer), 0);
        assert_null(writer);
        expect_sentence("cannot create %s: File exists", taken);
        assert_int_equal(symlink(test_path(base, "none"), link), 0);
        assert_int_not_equal(make_file(link, &writer), 0);
        expect_sentence("cannot create %s: File exists", link);
        no_fault();
        assert_int_equal(test_open_descriptors(), descriptors);
        assert_false(is_mapped(base));
        assert_false(is_there(base, "none"));
        size_t size;
        free(test_read_file(taken, &size));
        assert_int_equal(size, 1);
        unlink(taken);
        unlink(link);
    }
}

static void files_that_cannot_be_made(void **state)
{
    (void)state;
    static const struct {
        struct fault fault;
        bool named; /* no file without a name is possible here */
        const char *reason;
    } rows[] = {
        {{"fallocate", NULL, ENOSPC}, false, "No space left on device"},
        {{"mmap", NULL, ENOMEM}, false, "Cannot allocate memory"},
        {{"fallocate", NULL, EFBIG}, true, "File too large"},
        {{"mmap", NULL, ENOMEM}, true, "Cannot allocate memory"},
    };
    const char *path = test_path(base, "a.dsrun");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rf_writer *writer = (void *)1;
        const uint32_t descriptors = test_open_descriptors();
        if (rows[i].named)
            assert_int_equal(chdir(base), 0);
        set_fault(rows[i].fault);
        const char *own = rows[i].named ? "a.dsrun" : path; /* without a folder it has a name */
        assert_int_not_equal(make_file(own, &writer), 0);
        no_fault();
        assert_null(writer);
        assert_non_null(strstr(datastall_last_error(), "cannot allocate "));
        assert_true(ends_with(datastall_last_error(), rows[i].reason));
        assert_int_equal(test_open_descriptors(), descriptors);
        assert_false(is_there(base, "a.dsrun"));
        assert_false(is_mapped(base));
        assert_int_equal(chdir("/"), 0);
    }
    struct rf_writer *writer;
    set_fault((struct fault){"mmap", NULL, ENOMEM});
    assert_int_not_equal(make_file(NULL, &writer), 0);
    no_fault();
    assert_non_null(strstr(datastall_last_error(), "cannot map "));
    assert_int_not_equal(make_file(test_path(base, "none/a.dsrun"), &writer), 0);
    assert_non_null(strstr(datastall_last_error(), "cannot create "));
    char longest[PATH_MAX + 100];
    memset(longest, 'x', sizeof longest);
    for (size_t i = 0; i < sizeof longest; i += 100)
        longest[i] = '/';
    strcpy(longest + sizeof longest - 3, "/a");
    assert_int_not_equal(make_file(longest, &writer), 0);
    assert_non_null(strstr(datastall_last_error(), "cannot create /x"));
}

/* A machine without a boot id: the file is made, and says none. */
static void no_boot_id(void **state)
{
    (void)state;
    struct rf_writer *writer;
    set_fault((struct fault){"open", "/boot_id", EACCES});
    assert_int_equal(make_file(NULL, &writer), 0);
    assert_int_equal(calls, 1);
    no_fault();
    static const char nothing[sizeof writer->header.boot_id];
    assert_memory_equal(writer->header.boot_id, nothing, sizeof nothing);
    rf_writer_destroy(writer);
}

/* ---- copying ---- */

static void copies_in_pieces(void **state)
{
    (void)state;
    static const struct {
        struct fault fault;
        size_t most_bytes, most_put_bytes;
        int error;
    } rows[] = {
        {{"pwrite", NULL, EINTR, .times = 3}, 0, 0, 0},
        {{"pread", NULL, EINTR, .times = 3}, 0, 0, 0},
        {{NULL}, 1000, 0, 0},
        {{NULL}, 0, 1000, 0},
        {{"pwrite", NULL, ENOSPC, .spared = 2}, 0, 0, ENOSPC},
        {{"pread", NULL, EIO, .spared = 1}, 0, 0, EIO},
        {{"fstat", NULL, EOVERFLOW}, 0, 0, EOVERFLOW},
        {{"ftruncate", NULL, EFBIG}, 0, 0, EFBIG},
    };
    char from[PATH_MAX], to[PATH_MAX];
    const size_t size = 200001; /* pieces, pages and a rest */
    unsigned char *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = i / 4096 % 3 == 1 ? 0 : (unsigned char)(i * 7 + 1);
    snprintf(from, sizeof from, "%s/from", base);
    snprintf(to, sizeof to, "%s/to", base);
    test_write_file(from, bytes, size);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t copied;
        const int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        most_bytes = rows[i].most_bytes;
        most_put_bytes = rows[i].most_put_bytes;
        set_fault(rows[i].fault);
        const int error = rf_copy_sparse(in, out);
        no_fault();
        assert_int_equal(error, rows[i].error);
        close(in);
        close(out);
        if (error != 0)
            continue;
        unsigned char *copy = test_read_file(to, &copied);
        assert_int_equal(copied, size);
        assert_memory_equal(copy, bytes, size);
        free(copy);
    }
    /* Cut while it was read: what was there is there, and the length is that of the beginning. */
    struct stat status;
    const int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_TRUNC);
    set_fault((struct fault){"pread", NULL, 0, .spared = 1});
    assert_int_equal(rf_copy_sparse(in, out), 0);
    no_fault();
    assert_int_equal(fstat(out, &status), 0);
    assert_int_equal(status.st_size, size);
    close(in);
    close(out);
    free(bytes);
}

static void words_in_pieces(void **state)
{
    (void)state;
    char path[PATH_MAX];
    uint64_t words[512], read[400];
    for (uint64_t i = 0; i < 512; i++)
        words[i] = i * 7 + 1;
    snprintf(path, sizeof path, "%s/words", base);
    test_write_file(path, words, sizeof words);
    const struct rf_source source = {.fd = open(path, O_RDONLY), .bytes = sizeof words};
    most_bytes = 1000;
    assert_true(rf_source_read(&source, 100, 400, read));
    assert_memory_equal(read, words + 100, sizeof read);
    assert_false(rf_source_read(&source, 113, 400, read));
    most_bytes = 1;
    memset(read, 0, sizeof read);
    assert_true(rf_source_read(&source, 100, 400, read));
    assert_memory_equal(read, words + 100, sizeof read);
    most_bytes = 0;
    set_fault((struct fault){"pread", "/words", EINTR, .times = 2}); /* a signal came */
    memset(read, 0, sizeof read);
    assert_true(rf_source_read(&source, 100, 400, read));
    assert_memory_equal(read, words + 100, sizeof read);
    set_fault((struct fault){"pread", "/words", EIO});
    assert_false(rf_source_read(&source, 100, 400, read));
    assert_int_equal(calls, 1);
    no_fault();
    close(source.fd);
}

/* ---- a process whose standard input is closed ---- */

static void note_orphan(void *context, const struct run_orphan *orphan)
{
    (void)orphan;
    ++*(int *)context;
}

/* What is written, comes home, is asked for, read, listed and copied. */
static void everything_that_opens(void)
{
    struct run_entry *runs;
    struct run_data *data;
    struct rf_run run = run_on_tmpfs();
    bool stays = true;
    uint32_t count;
    char copy[PATH_MAX], name[PATH_MAX];
    assert_true(rf_tmpfs_is_open(run.tmpfs));
    assert_false(rf_tmpfs_is_written(run.tmpfs));
    assert_int_equal(rf_run_finish(&run, &stays), 0);
    assert_false(stays);
    assert_true(is_home(&run));
    struct rf_header header = {.section_count = 0};
    snprintf(header.boot_id, sizeof header.boot_id, "%s", rf_own_boot_id());
    const struct rf_process_static self = {.pid = (uint64_t)getpid(),
                                           .start_ticks = rf_own_start_ticks(),
                                           .pid_namespace = rf_own_pid_namespace()};
    assert_int_not_equal(self.start_ticks, 0);
    assert_int_equal(rf_process_liveness(&header, &self), RF_ALIVE);
    assert_false(rf_file_may_be_mapped(test_path(run.path, "a.dsrun")));
    assert_int_equal(run_data_read(run.path, &data), 0);
    assert_int_equal(data->process_count, 2);
    assert_int_equal(data->problems, 0);
    for (uint32_t i = 0; i < data->process_count; i++) {
        struct run_rings rings;
        if (data->processes[i].loader_count > 0) {
            assert_int_equal(run_rings_read(data, &data->processes[i], &rings), 0);
            run_rings_free(&rings);
        }
    }
    run_data_free(data);
    assert_int_equal(run_list(base, &runs, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(runs[0].created_ns / UINT64_C(1000000000), UINT64_C(1767225600));
    run_list_free(runs, count);
    assert_true(run_is_closed(run.path));
    assert_int_equal(run_settle(run.path), 0);
    snprintf(copy, sizeof copy, "%s/copy", base);
    assert_int_equal(run_copy(run.path, copy), 0);
    assert_true(is_there(copy, "a.dsrun") && is_there(copy, "b.dsrun"));
    test_remove(copy);
    snprintf(name, sizeof name, "%s", test_path(run.path, "c.dsrun"));
    struct rf_writer *writer;
    assert_int_equal(make_file(name, &writer), 0);
    assert_int_equal(rf_run_admit_file(run.path, name), 0);
    rf_writer_destroy(writer);
    assert_int_equal(unlink(name), 0);
    set_fault((struct fault){"open unnamed", NULL, EOPNOTSUPP});
    assert_int_equal(make_file(name, &writer), 0);
    no_fault();
    rf_writer_destroy(writer);
    test_remove(run.path);
    if (!has_own_shm)
        return; /* others' runs would be brought home */
    int orphans = 0;
    run = run_on_tmpfs();
    run_sweep(note_orphan, &orphans);
    assert_int_equal(orphans, 0);
    assert_true(is_home(&run));
    test_remove(run.path);
}

static void any_descriptor_may_be_0(void **state)
{
    (void)state;
    const int kept = fcntl(0, F_DUPFD_CLOEXEC, 100);
    if (kept >= 0)
        __real_close(0);
    const uint32_t before = test_open_descriptors();
    unsigned number = 0;
    do {
        number_of_zero = ++number;
        given = 0;
        everything_that_opens();
        number_of_zero = 0;
        CHECK(fcntl(0, F_GETFD) == -1, "descriptor %u is left open", number);
        CHECK(test_open_descriptors() == before, "descriptor %u: another is left open", number);
    } while (given >= number);
    assert_in_range(number, 40, 400);
    if (kept >= 0) {
        assert_int_equal(dup2(kept, 0), 0);
        __real_close(kept);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_step_home_may_fail),
        TEST(a_file_that_is_taken_back),
        TEST(a_folder_that_cannot_be_listed),
        TEST(what_cannot_be_removed),
        TEST(another_is_at_it),
        TEST(words_in_pieces),
        TEST(owners_are_kept),
        TEST(file_systems_of_other_machines),
        TEST(no_place_on_tmpfs),
        TEST(folders_that_cannot_be_made),
        TEST(no_free_name),
        TEST(abandoned),
        TEST(processes_that_cannot_be_asked),
        TEST(when_this_process_started),
        TEST(maps_that_cannot_be_read),
        TEST(locks_that_cannot_be_had),
        TEST(the_lock_is_given_back),
        TEST(files_without_a_name),
        TEST(a_name_that_is_taken),
        TEST(files_that_cannot_be_made),
        TEST(no_boot_id),
        TEST(copies_in_pieces),
        TEST(any_descriptor_may_be_0),
    };
    unsetenv("DATASTALL_RUN_DIR");
    unsetenv("DATASTALL_RECORD_ON");
    has_own_shm = test_own_shm();
    if (!has_own_shm)
        printf("/dev/shm is shared with all\n");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
