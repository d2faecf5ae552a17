/* SPDX-License-Identifier: Apache-2.0 */
/* A disk without space: an error at the start, and never a fault later. Mounts small file systems
 * in a mount namespace of its own, which needs root. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/run_data.h"
#include "support.h"

#define MS UINT64_C(1000000)

static const char *place;

static void mount_small(const char *size)
{
    char options[64];
    snprintf(options, sizeof options, "size=%s,mode=0700", size);
    CHECK(mount("tmpfs", place, "tmpfs", 0, options) == 0, "mount: %s", strerror(errno));
}

static unsigned entries_of(const char *folder)
{
    DIR *directory = opendir(folder);
    unsigned count = 0;
    for (struct dirent *e; directory != NULL && (e = readdir(directory)) != NULL;)
        count += e->d_name[0] != '.';
    if (directory != NULL)
        closedir(directory);
    return count;
}

static void no_space_at_the_start(void *context)
{
    (void)context;
    datastall_monitor *monitor = (void *)1;
    mount_small("1m");
    setenv("DATASTALL_RUN_DIR", place, 1);
    CHECK(datastall_open(NULL, &monitor) == DATASTALL_ERR_NO_SPACE, "another error");
    CHECK(monitor == NULL, "a monitor");
    CHECK(strstr(datastall_last_error(), "No space left") != NULL, "it says why");
    CHECK(strchr(datastall_last_error(), '\n') == NULL, "one line");
    CHECK(entries_of(place) == 0, "a file is left");
}

/* datastall.h: on failure nothing is left behind, so no empty run folder either. */
static void no_space_in_a_folder_of_runs(void *context)
{
    (void)context;
    datastall_monitor *monitor;
    mount_small("1m");
    setenv("DATASTALL_DIR", place, 1);
    CHECK(datastall_open(NULL, &monitor) == DATASTALL_ERR_NO_SPACE, "another error");
    CHECK(entries_of(place) == 0, "a run folder is left");
}

static void fill(void)
{
    char block[4096];
    int fd = open(test_path(place, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0, "filler");
    memset(block, 'x', sizeof block);
    while (write(fd, block, sizeof block) > 0)
        ;
    CHECK(errno == ENOSPC, "it does not fill");
    close(fd);
}

static void filled_while_recording(void *context)
{
    (void)context;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    datastall_monitor *monitor;
    mount_small("4m");
    setenv("DATASTALL_RUN_DIR", place, 1);
    options.max_slots = 4;
    CHECK(datastall_open(&options, &monitor) == 0, "open");
    datastall_loader *loader = test_loader(monitor, "l");
    fill();
    for (uint64_t i = 0; i < 100000; i++) {
        datastall_batch batch = DATASTALL_BATCH_INIT;
        batch.samples = 3;
        datastall_wait_record(loader, datastall_clock_ns(), i % 100 * MS, DATASTALL_WAIT_STEADY,
                              &batch);
    }
    for (int i = 0; i < 70; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        datastall_stage_set(monitor, name, NULL);
    }
    datastall_statistics s = DATASTALL_STATISTICS_INIT;
    CHECK(datastall_monitor_statistics(monitor, &s) == 0 && s.batches == 100000, "statistics");
    CHECK(datastall_monitor_state(monitor) == 0, "it records");
    datastall_close(monitor);
    struct run_data *run;
    CHECK(run_data_read(place, &run) == 0 && run->problems == 0, "read");
    CHECK(run->processes[0].loaders[0].totals.counters[RF_COUNT_SAMPLES] == 300000, "samples");
    CHECK(run->processes[0].view.words[RF_PROCESS_STATE] == RF_STATE_CLOSED, "closed");
    run_data_free(run);
}

static int run(const char *name, void (*scenario)(void *))
{
    int status = test_in_child(scenario, NULL);
    umount2(place, MNT_DETACH);
    printf("%s: %s\n", status == 0 ? "ok" : "FAILED", name);
    return status != 0;
}

int main(void)
{
    place = test_folder();
    unsetenv("DATASTALL_RUN_DIR");
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", place, "tmpfs", 0, "size=1m") != 0) {
        printf("SKIP: cannot mount a small file system: %s\n", strerror(errno));
        return SKIPPED;
    }
    umount2(place, MNT_DETACH);
    int failed = run("no space at the start", no_space_at_the_start) +
                 run("no space in a folder of runs", no_space_in_a_folder_of_runs) +
                 run("filled while recording", filled_while_recording);
    return failed == 0 ? 0 : 1;
}
