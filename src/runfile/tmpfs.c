/* SPDX-License-Identifier: Apache-2.0 */
/* The two folders of a run on tmpfs: how they name each other, and the door between them. */
#include "runfile/tmpfs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "runfile/liveness.h"

#define NAME_RANDOM 6 /* what mkdtemp() puts in */

/* File systems on which touching a mapped page can wait for another machine or process. */
static bool is_remote(const char *path)
{
    struct statfs status;
    if (statfs(path, &status) != 0)
        return false;
    switch ((uint32_t)status.f_type) {
    case 0x6969:     /* NFS */
    case 0x0BD00BD0: /* Lustre */
    case 0x65735546: /* FUSE */
    case 0xFF534D42: /* CIFS */
    case 0xFE534D42: /* SMB2 */
    case 0x00C36400: /* Ceph */
    case 0x47504653: /* GPFS */
    case 0x19830326: /* BeeGFS */
    case 0x01021997: /* 9p */
    case 0x5346414F: /* AFS */
        return true;
    default:
        return false;
    }
}

/* ---- notes: files of one line ---- */

bool rf_note_write(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= PATH_MAX)
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool written = dprintf(fd, "%s\n", text) > 0;
    return close(fd) == 0 && written;
}

/* A regular file of the folder's owner that holds a path. */
static bool read_note_at(int folder, const char *name, char text[PATH_MAX])
{
    struct stat status, owner;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    const bool own = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                     fstat(folder, &owner) == 0 && status.st_uid == owner.st_uid;
    const ssize_t length = own ? read(fd, text, PATH_MAX - 1) : 0;
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return text[0] == '/';
}

int rf_open_folder(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

bool rf_note_read(const char *folder, const char *name, char text[PATH_MAX])
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool found = fd >= 0 && read_note_at(fd, name, text);
    if (fd >= 0)
        close(fd);
    return found;
}

/* The way home from a tmpfs folder, whether its door is open or shut. */
bool rf_tmpfs_read_home(const char *tmpfs, char home[PATH_MAX])
{
    const int fd = rf_open_folder(tmpfs);
    const bool found =
        fd >= 0 && (read_note_at(fd, RF_HOME_NOTE, home) || read_note_at(fd, RF_SHUT_NOTE, home));
    if (fd >= 0)
        close(fd);
    return found;
}

static void remove_note(const char *folder, const char *name)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_MAX)
        unlink(path);
}

/* ---- whose is it? ---- */

bool rf_tmpfs_is_name(const char *folder)
{
    const size_t length = strlen(RF_TMPFS_PREFIX);
    if (strncmp(folder, RF_TMPFS_PREFIX, length) != 0 || strlen(folder) != length + NAME_RANDOM)
        return false;
    for (const char *c = folder + length; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c))
            return false;
    }
    return true;
}

/* Of two open folders: what is written in one of them may be believed of the other. */
static bool same_owner(int tmpfs, int home)
{
    struct stat one, other;
    return fstat(tmpfs, &one) == 0 && fstat(home, &other) == 0 && one.st_uid == other.st_uid;
}

/* Only a folder of our own kind and of the same owner: a note may come from anywhere, and root
 * reads everybody's runs. */
bool rf_tmpfs_belongs(const char *tmpfs, const char *home)
{
    const int here = rf_tmpfs_is_name(tmpfs) ? rf_open_folder(tmpfs) : -1;
    const int there = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool together = here >= 0 && there >= 0 && same_owner(here, there);
    if (here >= 0)
        close(here);
    if (there >= 0)
        close(there);
    return together;
}

bool rf_tmpfs_is_ours(const char *tmpfs)
{
    struct stat status;
    return lstat(tmpfs, &status) == 0 && S_ISDIR(status.st_mode) &&
           (status.st_uid == geteuid() || geteuid() == 0);
}

bool rf_run_names_tmpfs(const char *home, const char *tmpfs)
{
    char back[PATH_MAX];
    return rf_note_read(home, RF_TMPFS_NOTE, back) && strcmp(back, tmpfs) == 0;
}

bool rf_run_is_on_tmpfs(const struct rf_run *run)
{
    return strcmp(run->path, run->tmpfs) != 0;
}

void rf_run_reading_place(const char *folder, char *place)
{
    char target[PATH_MAX];
    snprintf(place, PATH_MAX, "%s", folder);
    if (rf_note_read(folder, RF_TMPFS_NOTE, target) && rf_tmpfs_belongs(target, folder))
        snprintf(place, PATH_MAX, "%s", target);
}

bool rf_run_of_tmpfs(const char *folder, struct rf_run *run)
{
    return rf_tmpfs_is_name(folder) && rf_tmpfs_is_ours(folder) &&
           snprintf(run->tmpfs, sizeof run->tmpfs, "%s", folder) < PATH_MAX &&
           rf_tmpfs_read_home(folder, run->path) && strstr(run->path, "/../") == NULL &&
           rf_run_names_tmpfs(run->path, folder) && rf_tmpfs_belongs(folder, run->path);
}

/* ---- recording elsewhere ---- */

void rf_tmpfs_choose(struct rf_run *run)
{
    memcpy(run->tmpfs, run->path, sizeof run->tmpfs);
    const char *wish = getenv("DATASTALL_RECORD_ON");
    bool wanted = wish != NULL && strcmp(wish, "tmpfs") == 0;
    if (!wanted && !is_remote(run->path))
        return;
    char folder[] = RF_TMPFS_PREFIX "XXXXXX";
    if (mkdtemp(folder) == NULL)
        return; /* no tmpfs: record in place, which works though it may be slow */
    if (rf_note_write(folder, RF_HOME_NOTE, run->path) &&
        rf_note_write(run->path, RF_TMPFS_NOTE, folder)) {
        strcpy(run->tmpfs, folder);
        return;
    }
    remove_note(run->path, RF_TMPFS_NOTE);
    remove_note(folder, RF_HOME_NOTE);
    rmdir(folder);
}

bool rf_run_abandon(const struct rf_run *run)
{
    if (rf_run_is_on_tmpfs(run)) {
        remove_note(run->tmpfs, RF_HOME_NOTE);
        if (rmdir(run->tmpfs) != 0 && errno != ENOENT) {
            rf_note_write(run->tmpfs, RF_HOME_NOTE, run->path);
            return false;
        }
        remove_note(run->path, RF_TMPFS_NOTE);
    }
    return rmdir(run->path) == 0;
}

/* ---- the door: no new file once the run is on its way ---- */

void rf_way_close(struct rf_way *way)
{
    if (way->lock >= 0)
        flock(way->lock, LOCK_UN); /* also for a child that was forked meanwhile */
    const int fds[] = {way->lock, way->home, way->tmpfs};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    *way = (struct rf_way){-1, -1, -1};
}

int rf_way_open_lock(int tmpfs)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const int fd = openat(tmpfs, RF_HOME_NOTE, flags);
    return fd >= 0 ? fd : openat(tmpfs, RF_SHUT_NOTE, flags);
}

/* False: another process is at it, or was and is done. */
bool rf_way_take_lock(int lock, int tries)
{
    struct stat status;
    for (int i = 0; i < tries; i++) {
        if (flock(lock, LOCK_EX | LOCK_NB) == 0)
            return fstat(lock, &status) == 0 && status.st_nlink > 0;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return false;
}

bool rf_way_shut(const struct rf_way *way)
{
    return renameat(way->tmpfs, RF_HOME_NOTE, way->tmpfs, RF_SHUT_NOTE) == 0 ||
           (errno == ENOENT && faccessat(way->tmpfs, RF_SHUT_NOTE, F_OK, 0) == 0);
}

bool rf_way_open(const struct rf_way *way)
{
    return renameat(way->tmpfs, RF_SHUT_NOTE, way->tmpfs, RF_HOME_NOTE) == 0;
}

bool rf_tmpfs_is_open(const char *folder)
{
    char note[PATH_MAX];
    return snprintf(note, sizeof note, "%s/" RF_HOME_NOTE, folder) < PATH_MAX &&
           access(note, F_OK) == 0;
}

/* Who makes a file shows it and then looks at the door; who goes home shuts the door and then looks
 * for files: one of them sees the other. A door that was left shut by a kill is opened again. */
bool rf_tmpfs_admits(const char *folder)
{
    if (rf_tmpfs_is_open(folder))
        return true;
    struct rf_run run;
    struct rf_way way = {rf_open_folder(folder), -1, -1};
    way.lock = way.tmpfs < 0 ? -1 : rf_way_open_lock(way.tmpfs);
    const bool opened = way.lock >= 0 && rf_way_take_lock(way.lock, 1) &&
                        rf_run_of_tmpfs(folder, &run) &&
                        (rf_tmpfs_is_open(folder) || rf_way_open(&way));
    rf_way_close(&way);
    return opened;
}

void rf_run_writing_place(const char *folder, const char *home, char *place)
{
    struct stat status;
    snprintf(place, PATH_MAX, "%s", folder);
    if (!rf_tmpfs_is_name(folder) || home == NULL || home[0] != '/' || rf_tmpfs_admits(folder) ||
        stat(home, &status) != 0 || !S_ISDIR(status.st_mode))
        return;
    snprintf(place, PATH_MAX, "%s", home);
}
