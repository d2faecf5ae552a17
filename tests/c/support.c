/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/monitor.h"

#define MAX_FOLDERS 64
static char *folders[MAX_FOLDERS];
static pid_t maker[MAX_FOLDERS];
static int folder_count;

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    remove(path);
    return 0;
}

void test_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_folders(void)
{
    for (int i = 0; i < folder_count; i++) {
        if (maker[i] == getpid())
            test_remove(folders[i]);
        free(folders[i]);
    }
    folder_count = 0;
}

bool test_own_shm(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777") == 0;
}

const char *test_folder(void)
{
    const char *base = getenv("TMPDIR");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/datastall-test-XXXXXX", base == NULL ? "/tmp" : base);
    CHECK(folder_count < MAX_FOLDERS && mkdtemp(path) != NULL, "cannot make %s", path);
    if (folder_count == 0)
        atexit(remove_folders);
    folders[folder_count] = strdup(path);
    maker[folder_count] = getpid();
    return folders[folder_count++];
}

const char *test_run_folder(void)
{
    const char *folder = test_folder();
    setenv("DATASTALL_RUN_DIR", folder, 1);
    return folder;
}

const char *test_path(const char *folder, const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

unsigned char *test_read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    CHECK(file != NULL && fstat(fileno(file), &status) == 0, "cannot open %s", path);
    *size = (size_t)status.st_size;
    unsigned char *bytes = malloc(*size + 1);
    CHECK(bytes != NULL && fread(bytes, 1, *size, file) == *size, "cannot read %s", path);
    fclose(file);
    return bytes;
}

void test_write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL, "cannot make %s", path);
    CHECK(size == 0 || fwrite(bytes, 1, size, file) == size, "cannot write %s", path);
    CHECK(fclose(file) == 0, "cannot write %s", path);
}

uint32_t test_open_descriptors(void)
{
    uint32_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL)
        count++;
    if (directory != NULL)
        closedir(directory);
    return count;
}

double test_seconds(int argc, char **argv, double otherwise)
{
    const char *text = argc > 1 ? argv[1] : getenv("DATASTALL_TEST_SECONDS");
    double seconds = text == NULL ? 0 : strtod(text, NULL);
    return seconds > 0 ? seconds : otherwise;
}

unsigned test_every(void)
{
#ifdef __SANITIZE_ADDRESS__
    const char *stride = getenv("DATASTALL_TEST_STRIDE");
    return stride != NULL && strtoul(stride, NULL, 10) > 4 ? 7 : 1;
#else
    return 1;
#endif
}

int test_in_child(void (*function)(void *), void *context)
{
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0, "cannot fork");
    if (child == 0) {
        function(context);
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child, "cannot wait");
    return status;
}

void test_any_time(datastall_monitor *monitor)
{
    monitor->earliest_end_ns = 0;
    monitor->latest_end_ns = UINT64_MAX - 1;
}

datastall_loader *test_loader(datastall_monitor *monitor, const char *name)
{
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    datastall_loader *loader = NULL;
    options.name = name;
    CHECK(datastall_loader_register(monitor, &options, &loader) == 0 && loader != NULL,
          "cannot register %s", name);
    return loader;
}

uint64_t test_random(uint64_t *state)
{
    uint64_t x = *state == 0 ? UINT64_C(0x9e3779b97f4a7c15) : *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}
