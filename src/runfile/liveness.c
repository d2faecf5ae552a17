/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/liveness.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/clock.h"

/* The first PID namespace of a boot always has this inode (PROC_PID_INIT_INO of the kernel): from
 * there every process can be seen. */
#define INITIAL_NAMESPACE UINT64_C(0xEFFFFFFC)
#define MAX_FOREIGN 16384u

/* ---- one process ---- */

/* Start ticks from the text of a stat file, 0: it has ended. */
static uint64_t ticks_in(char *text)
{
    /* The second field is the program's name in parentheses, which may hold anything. */
    char *cursor = strrchr(text, ')');
    if (cursor == NULL || cursor[1] == '\0' || cursor[2] == '\0')
        return 0;
    const bool ended = cursor[2] == 'Z' || cursor[2] == 'X';
    uint64_t threads = 0;
    for (int field = 2; cursor != NULL && field < 22; field++) {
        cursor = strchr(cursor + 1, ' ');
        if (cursor != NULL && field + 1 == 20)
            threads = strtoull(cursor + 1, NULL, 10);
    }
    /* The main thread of a program may end before the others, which go on writing. */
    if (cursor == NULL || (ended && threads <= 1))
        return 0;
    return strtoull(cursor + 1, NULL, 10);
}

static bool read_text(const char *path, char *text, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t length = read(fd, text, size - 1);
    const int failed = errno;
    close(fd);
    errno = failed;
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* Room: PATH_ROOM. Async-signal-safe, as snprintf() need not be. */
#define PATH_ROOM 96u
static char *put_text(char *cursor, const char *text)
{
    const size_t length = strlen(text);
    memcpy(cursor, text, length + 1);
    return cursor + length;
}

static char *put_number(char *cursor, uint64_t number)
{
    char digits[24] = "";
    char *first = digits + sizeof digits - 1;
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return put_text(cursor, first);
}

/* The main thread's, which began when the process did: an emulator of another architecture makes up
 * what a process reads as its own /proc/PID/stat, and a forked child gets its parent's start there. */
static bool read_main_thread(const char *process, uint64_t pid, char *text, size_t size)
{
    char path[PATH_ROOM];
    put_text(put_number(put_text(put_text(put_text(path, "/proc/"), process), "/task/"), pid),
             "/stat");
    return read_text(path, text, size);
}

/* False: /proc could not be asked, for want of descriptors or memory, say. *ticks 0: it is gone. */
static bool ask_start_ticks(uint64_t pid, uint64_t *ticks)
{
    char process[24], text[1024];
    put_number(process, pid);
    errno = 0;
    const bool told = read_main_thread(process, pid, text, sizeof text);
    *ticks = told ? ticks_in(text) : 0;
    return told || errno == ENOENT || errno == ESRCH;
}

uint64_t rf_start_ticks_of(uint64_t pid)
{
    uint64_t ticks;
    ask_start_ticks(pid, &ticks);
    return ticks;
}

uint64_t rf_own_start_ticks(void)
{
    char text[1024];
    /* /proc may be that of a namespace above ours, which knows us by another number. */
    return read_main_thread("self", (uint64_t)getpid(), text, sizeof text) ||
                   read_text("/proc/self/stat", text, sizeof text)
               ? ticks_in(text)
               : 0;
}

static uint64_t inode_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

uint64_t rf_own_pid_namespace(void)
{
    return inode_of("/proc/self/ns/pid");
}

const char *rf_own_boot_id(void)
{
    static char boot_id[sizeof((struct rf_header *)0)->boot_id];
    static uint32_t known; /* 0: not read yet; threads that race read the same */
    char text[sizeof boot_id] = "";
    if (__atomic_load_n(&known, __ATOMIC_ACQUIRE) != 0)
        return boot_id;
    if (read_text("/proc/sys/kernel/random/boot_id", text, sizeof text))
        text[strcspn(text, "\n")] = '\0';
    memcpy(boot_id, text, sizeof boot_id);
    __atomic_store_n(&known, 1, __ATOMIC_RELEASE);
    return boot_id;
}

/* ---- processes of other namespaces ---- */

struct foreign {
    uint64_t pid; /* in its own namespace */
    uint64_t start_ticks;
    uint64_t space; /* its namespace, 0: that may not be looked at */
};

static struct {
    uint64_t taken_ns;
    bool complete;
    uint32_t count;
    struct foreign *list;
} table;
/* Tried, never waited for: a child that is forked while it is held looks for itself. */
static uint32_t table_is_held;

/* Its number in each namespace from that of /proc to its own: how many, and the last. */
static uint32_t numbers_of(const char *name, uint64_t *last)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%.16s/status", name);
    if (!read_text(path, text, sizeof text))
        return 0;
    const char *cursor = strstr(text, "\nNSpid:");
    uint32_t count = 0;
    for (cursor = cursor == NULL ? "" : cursor + 7; *cursor == '\t' || *cursor == ' ';) {
        char *end;
        *last = strtoull(cursor, &end, 10);
        if (end == cursor)
            break;
        count++;
        cursor = end;
    }
    return count;
}

/* *complete: no process was left out. */
static struct foreign *find_foreign(uint32_t *count, bool *complete)
{
    DIR *directory = opendir("/proc");
    struct foreign *list = NULL;
    struct dirent *entry;
    uint32_t room = 0;
    *count = 0;
    *complete = directory != NULL;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        uint64_t pid, ticks;
        char path[64];
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        errno = 0;
        const uint32_t numbers = numbers_of(entry->d_name, &pid);
        *complete &= numbers > 0 || errno == ENOENT || errno == ESRCH;
        if (numbers < 2)
            continue;
        *complete &= *count < MAX_FOREIGN;
        if (*count == MAX_FOREIGN)
            break;
        if (*count == room) {
            room = room == 0 ? 64 : 2 * room;
            struct foreign *more = realloc(list, room * sizeof *list);
            *complete &= more != NULL;
            if (more == NULL)
                break;
            list = more;
        }
        snprintf(path, sizeof path, "/proc/%.16s/ns/pid", entry->d_name);
        *complete &= ask_start_ticks(strtoull(entry->d_name, NULL, 10), &ticks);
        list[(*count)++] = (struct foreign){pid, ticks, inode_of(path)};
    }
    if (directory != NULL)
        closedir(directory);
    return list;
}

static bool is_in(const struct foreign *list, uint32_t count, const struct foreign *wanted)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].pid == wanted->pid && list[i].start_ticks == wanted->start_ticks &&
            (list[i].space == 0 || list[i].space == wanted->space))
            return true;
    }
    return false;
}

/* born_ns: when the process was there for certain. *complete becomes false where some could not be
 * looked at. */
static bool is_foreign_process(const struct foreign *wanted, uint64_t born_ns, bool *complete)
{
    uint32_t count;
    bool all;
    if (__atomic_exchange_n(&table_is_held, 1, __ATOMIC_ACQUIRE) != 0) {
        struct foreign *list = find_foreign(&count, &all);
        *complete &= all;
        const bool found = is_in(list, count, wanted);
        free(list);
        return found;
    }
    const uint64_t now_ns = ds_now_ns();
    if (table.taken_ns == 0 || now_ns - table.taken_ns > DS_NS_PER_S || table.taken_ns <= born_ns) {
        free(table.list);
        table.list = find_foreign(&table.count, &table.complete);
        table.taken_ns = now_ns;
    }
    const bool found = is_in(table.list, table.count, wanted);
    *complete &= table.complete;
    __atomic_store_n(&table_is_held, 0, __ATOMIC_RELEASE);
    return found;
}

/* ---- judging ---- */

enum proc { PROC_SILENT, PROC_OURS, PROC_OF_ABOVE };

/* /proc may be that of a namespace above ours: then numbers there are not ours. */
static enum proc whose_proc(void)
{
    uint64_t last = 0;
    const uint32_t count = numbers_of("self", &last);
    if (count == 0 || last != (uint64_t)getpid())
        return PROC_SILENT;
    return count == 1 ? PROC_OURS : PROC_OF_ABOVE;
}

/* Some machines hide other people's processes (hidepid). */
static bool all_are_shown(void)
{
    char text[16];
    return read_text("/proc/1/status", text, sizeof text);
}

bool rf_is_of_another_boot(const struct rf_header *header)
{
    const char *boot_id = rf_own_boot_id();
    return boot_id[0] != '\0' && strncmp(boot_id, header->boot_id, sizeof header->boot_id) != 0;
}

static enum rf_liveness liveness_of(const struct rf_header *header, const struct foreign *wanted,
                                    uint64_t born_ns)
{
    if (rf_is_of_another_boot(header))
        return RF_DEAD; /* nothing more will come of it here */
    if (rf_own_boot_id()[0] == '\0' || wanted->start_ticks == 0)
        return RF_UNSEEN;
    const uint64_t own = rf_own_pid_namespace();
    const enum proc proc = whose_proc();
    uint64_t ticks;
    /* What cannot be asked is not known: never dead for want of a descriptor. */
    if (own == 0 || proc == PROC_SILENT)
        return RF_UNSEEN;
    if ((own == wanted->space || wanted->space == 0) && proc == PROC_OURS) {
        const bool told = ask_start_ticks(wanted->pid, &ticks);
        if (told && ticks == wanted->start_ticks)
            return RF_ALIVE;
        return told && wanted->space != 0 ? RF_DEAD : RF_UNSEEN;
    }
    bool complete = own == wanted->space || (own == INITIAL_NAMESPACE && proc == PROC_OURS);
    if (is_foreign_process(wanted, born_ns, &complete))
        return RF_ALIVE;
    /* Everything of this namespace, or of all, was looked through. */
    return complete && all_are_shown() ? RF_DEAD : RF_UNSEEN;
}

enum rf_liveness rf_process_liveness(const struct rf_header *header,
                                     const struct rf_process_static *process)
{
    const struct foreign wanted = {process->pid, process->start_ticks, process->pid_namespace};
    return liveness_of(header, &wanted, process->opened_mono_ns);
}

enum rf_liveness rf_liveness_beside(const struct rf_header *header,
                                    const struct rf_process_static *process, uint64_t pid,
                                    uint64_t start_ticks)
{
    const struct foreign wanted = {pid, start_ticks, process->pid_namespace};
    return liveness_of(header, &wanted, process->opened_mono_ns + DS_NS_PER_S);
}

bool rf_process_is_self(const struct rf_header *header, const struct rf_process_static *process)
{
    return process->pid == (uint64_t)getpid() && process->pid_namespace == rf_own_pid_namespace() &&
           process->start_ticks == rf_own_start_ticks() &&
           strncmp(rf_own_boot_id(), header->boot_id, sizeof header->boot_id) == 0;
}

/* ---- files that do not say whose they are ---- */

static bool maps_file(const char *pid, const struct stat *file)
{
    char path[64], line[512], wanted[64];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%.16s/maps", pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL)
        return errno != ENOENT && errno != ESRCH && errno != EACCES && errno != EPERM;
    snprintf(wanted, sizeof wanted, " %02x:%02x %llu ", major(file->st_dev), minor(file->st_dev),
             (unsigned long long)file->st_ino);
    while (!found && fgets(line, sizeof line, maps) != NULL)
        found = strstr(line, wanted) != NULL;
    fclose(maps);
    return found;
}

bool rf_file_may_be_mapped(const char *path)
{
    struct stat file;
    struct dirent *entry;
    bool found = false;
    if (lstat(path, &file) != 0)
        return errno != ENOENT;
    DIR *directory = opendir("/proc");
    if (directory == NULL)
        return true;
    while (!found && (entry = readdir(directory)) != NULL)
        found = isdigit((unsigned char)entry->d_name[0]) && maps_file(entry->d_name, &file);
    closedir(directory);
    return found;
}
