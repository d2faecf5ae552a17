#include "runfile/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "runfile/layout.h"
#include "runfile/reader.h"

#define MAX_RUN_FILES 4096
#define MAX_NAME 40
#define CLAIM_NOTE "coming-home" /* the home note's name while a process copies the files */

const char *rf_base_directory(const char *directory)
{
    if (directory != NULL && directory[0] != '\0')
        return directory;
    const char *variable = getenv("DATASTALL_DIR");
    return variable != NULL && variable[0] != '\0' ? variable : RF_DEFAULT_BASE;
}

/* ---- making a folder ---- */

/* mkdir -p, mode 0700 for what is new. path is changed while it runs. */
static int make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        int failed = mkdir(path, 0700) != 0 && errno != EEXIST;
        if (failed)
            return ds_fail_errno(errno, "cannot create the folder %s", path);
        if (slash == NULL)
            return DATASTALL_OK;
        *slash = '/';
    }
}

static int absolute_path(const char *path, char *absolute)
{
    char here[PATH_MAX];
    int length;
    if (path[0] == '/')
        length = snprintf(absolute, PATH_MAX, "%s", path);
    else if (getcwd(here, sizeof here) == NULL)
        return ds_fail_errno(errno, "cannot tell the current folder");
    else
        length = snprintf(absolute, PATH_MAX, "%s/%s", here, path);
    if (length >= PATH_MAX)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
    while (length > 1 && absolute[length - 1] == '/')
        absolute[--length] = '\0';
    return DATASTALL_OK;
}

static void clean_name(const char *name, char clean[MAX_NAME + 1])
{
    size_t length = 0;
    for (; name != NULL && *name != '\0' && length < MAX_NAME; name++) {
        unsigned char c = (unsigned char)*name;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '.' || c == '_' || c == '-';
        clean[length++] = plain ? (char)c : '_';
    }
    clean[length] = '\0';
    if (length == 0)
        strcpy(clean, "run");
}

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

static bool write_note(const char *folder, const char *name, const char *text)
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

static bool read_note(const char *folder, const char *name, char text[PATH_MAX])
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= PATH_MAX)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, PATH_MAX - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return text[0] != '\0';
}

static bool has_note(const char *folder, const char *name)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_MAX && access(path, F_OK) == 0;
}

static void remove_note(const char *folder, const char *name)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_MAX)
        unlink(path);
}

/* Atomic: of several processes one succeeds. */
static bool rename_note(const char *folder, const char *old, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    return snprintf(from, sizeof from, "%s/%s", folder, old) < PATH_MAX &&
           snprintf(to, sizeof to, "%s/%s", folder, name) < PATH_MAX && rename(from, to) == 0;
}

/* ---- recording elsewhere ---- */

static bool is_staged(const struct rf_run *run)
{
    return strcmp(run->path, run->staging) != 0;
}

static void choose_staging(struct rf_run *run)
{
    memcpy(run->staging, run->path, sizeof run->staging);
    const char *wish = getenv("DATASTALL_RECORD_ON");
    bool wanted = wish != NULL && strcmp(wish, "tmpfs") == 0;
    if (!wanted && !is_remote(run->path))
        return;
    char folder[] = RF_STAGING_PREFIX "XXXXXX";
    if (mkdtemp(folder) == NULL)
        return; /* no tmpfs: record in place, which works though it may be slow */
    if (write_note(folder, RF_HOME_NOTE, run->path) &&
        write_note(run->path, RF_STAGING_NOTE, folder)) {
        strcpy(run->staging, folder);
        return;
    }
    remove_note(run->path, RF_STAGING_NOTE);
    remove_note(folder, RF_HOME_NOTE);
    rmdir(folder);
}

bool rf_run_of_staging(const char *folder, struct rf_run *run)
{
    char back[PATH_MAX];
    return strncmp(folder, RF_STAGING_PREFIX, strlen(RF_STAGING_PREFIX)) == 0 &&
           snprintf(run->staging, sizeof run->staging, "%s", folder) < PATH_MAX &&
           read_note(folder, RF_HOME_NOTE, run->path) &&
           read_note(run->path, RF_STAGING_NOTE, back) && strcmp(back, folder) == 0;
}

bool rf_run_abandon(const struct rf_run *run)
{
    if (is_staged(run)) {
        remove_note(run->staging, RF_HOME_NOTE);
        if (rmdir(run->staging) != 0 && errno != ENOENT) {
            write_note(run->staging, RF_HOME_NOTE, run->path);
            return false;
        }
        remove_note(run->path, RF_STAGING_NOTE);
    }
    return rmdir(run->path) == 0;
}

int rf_run_create(const char *base, const char *name, struct rf_run *run)
{
    char parent[PATH_MAX], clean[MAX_NAME + 1], stamp[32];
    int error = absolute_path(base, parent);
    if (error == DATASTALL_OK)
        error = make_parents(parent);
    if (error != DATASTALL_OK)
        return error;
    clean_name(name, clean);
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
    for (unsigned attempt = 1; attempt < 10000; attempt++) {
        char suffix[16] = "";
        if (attempt > 1)
            snprintf(suffix, sizeof suffix, "-%u", attempt);
        if (snprintf(run->path, sizeof run->path, "%s/%s-%s%s", parent, stamp, clean, suffix) >=
            PATH_MAX)
            return ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
        if (mkdir(run->path, 0700) == 0) {
            choose_staging(run);
            return DATASTALL_OK;
        }
        if (errno != EEXIST)
            return ds_fail_errno(errno, "cannot create the run folder %s", run->path);
    }
    return ds_fail(DATASTALL_ERR_EXISTS, "cannot find a free name for the run folder in %s",
                   parent);
}

/* ---- bringing a staged run home ---- */

static int copy_file(const char *from, const char *to)
{
    static const char sentence[] = "cannot copy %s";
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return ds_fail_errno(errno, sentence, from);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = out < 0 ? errno : 0;
    char buffer[65536];
    ssize_t got = 0;
    while (error == 0 && (got = read(in, buffer, sizeof buffer)) > 0) {
        for (ssize_t done = 0; error == 0 && done < got;) {
            ssize_t put = write(out, buffer + done, (size_t)(got - done));
            if (put < 0)
                error = errno;
            else
                done += put;
        }
    }
    if (got < 0)
        error = errno;
    if (out >= 0 && close(out) != 0 && error == 0)
        error = errno;
    if (out >= 0 && error != 0)
        unlink(to);
    close(in);
    return error == 0 ? DATASTALL_OK : ds_fail_errno(error, sentence, from);
}

/* Removes what is left of a staging folder: the marks of the hooks. */
static void remove_staging(const char *folder)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    if (directory != NULL)
        closedir(directory);
    rmdir(folder);
}

/* True while another process (a forked child, the parent, one that outlives the command) writes a
 * file of the folder. A launcher that cannot be seen from here counts as well: it will come back.
 */
static bool others_write(const char *folder)
{
    char **names, path[PATH_MAX];
    uint32_t count;
    bool found = false;
    if (rf_run_files(folder, &names, &count) != DATASTALL_OK)
        return false;
    for (uint32_t i = 0; i < count && !found; i++) {
        struct rf_reader *reader;
        struct rf_process_view view;
        if (snprintf(path, sizeof path, "%s/%s", folder, names[i]) >= PATH_MAX ||
            rf_reader_open(path, &reader) != DATASTALL_OK)
            continue;
        found = rf_reader_process(reader, &view) && view.fixed.pid != (uint64_t)getpid() &&
                view.words[RF_PROCESS_STATE] == RF_STATE_OPEN &&
                (view.fixed.kind == RF_PROCESS_LAUNCHER ||
                 rf_process_is_alive(&reader->header, &view.fixed));
        rf_reader_close(reader);
    }
    rf_run_files_free(names, count);
    return found;
}

static void remove_copies(const struct rf_run *run, char **names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        remove_note(run->path, names[i]);
}

/* All or nothing. */
static int copy_files(const struct rf_run *run, char **names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char from[PATH_MAX], to[PATH_MAX];
        int error;
        if (snprintf(from, sizeof from, "%s/%s", run->staging, names[i]) >= PATH_MAX ||
            snprintf(to, sizeof to, "%s/%s", run->path, names[i]) >= PATH_MAX)
            error = ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
        else
            error = copy_file(from, to);
        if (error != DATASTALL_OK) {
            remove_copies(run, names, i);
            return error;
        }
    }
    return DATASTALL_OK;
}

int rf_run_finish(const struct rf_run *run, bool *stays)
{
    char **names;
    uint32_t count;
    *stays = is_staged(run) && others_write(run->staging);
    if (!is_staged(run) || *stays)
        return DATASTALL_OK;
    if (!rename_note(run->staging, RF_HOME_NOTE, CLAIM_NOTE)) {
        int failed = errno;
        bool by_another =
            has_note(run->staging, CLAIM_NOTE) || !has_note(run->path, RF_STAGING_NOTE);
        return by_another ? DATASTALL_OK
                          : ds_fail_errno(failed, "cannot bring home what %s holds", run->staging);
    }
    int error = rf_run_files(run->staging, &names, &count);
    if (error == DATASTALL_OK)
        error = copy_files(run, names, count);
    /* A process may have begun to write meanwhile. */
    *stays = error == DATASTALL_OK && others_write(run->staging);
    if (*stays)
        remove_copies(run, names, count);
    rf_run_files_free(names, count);
    if (error == DATASTALL_OK && !*stays) {
        remove_note(run->path, RF_STAGING_NOTE); /* from now on it is read at home */
        remove_staging(run->staging);
    } else {
        rename_note(run->staging, CLAIM_NOTE, RF_HOME_NOTE);
    }
    return error;
}

void rf_run_reading_place(const char *folder, char *place)
{
    char target[PATH_MAX];
    struct stat status, home;
    snprintf(place, PATH_MAX, "%s", folder);
    /* Only a folder of our own kind and of the same owner: the note may come from anywhere, and
     * root reads everybody's runs. */
    if (read_note(folder, RF_STAGING_NOTE, target) &&
        strncmp(target, RF_STAGING_PREFIX, strlen(RF_STAGING_PREFIX)) == 0 &&
        strstr(target, "..") == NULL && lstat(target, &status) == 0 && S_ISDIR(status.st_mode) &&
        stat(folder, &home) == 0 && status.st_uid == home.st_uid)
        snprintf(place, PATH_MAX, "%s", target);
}

/* ---- what a new file may cost ---- */

static uint64_t bytes_in(const char *folder)
{
    DIR *directory = opendir(folder);
    uint64_t total = 0;
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        struct stat status;
        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode))
            total += (uint64_t)status.st_size;
    }
    if (directory != NULL)
        closedir(directory);
    return total;
}

static uint64_t run_cap_bytes(void)
{
    const char *text = getenv("DATASTALL_RUN_CAP_MIB");
    char *end;
    if (text == NULL || *text == '\0')
        return RF_RUN_CAP_BYTES;
    unsigned long long mib = strtoull(text, &end, 10);
    return *end == '\0' && mib > 0 && mib < (1u << 30) ? (uint64_t)mib << 20 : RF_RUN_CAP_BYTES;
}

int rf_run_new_file(const char *folder, uint64_t bytes, char *path)
{
    uint64_t used = bytes_in(folder);
    uint64_t cap = run_cap_bytes();
    if (used + bytes > cap)
        return ds_fail(DATASTALL_ERR_NO_SPACE,
                       "the run folder %s has reached its limit of %llu MiB "
                       "(DATASTALL_RUN_CAP_MIB)",
                       folder, (unsigned long long)(cap >> 20));
    struct statvfs space;
    if (strncmp(folder, RF_STAGING_PREFIX, strlen(RF_STAGING_PREFIX)) == 0 &&
        statvfs(folder, &space) == 0 && bytes > (uint64_t)space.f_bavail * space.f_frsize / 16)
        return ds_fail(DATASTALL_ERR_NO_SPACE,
                       "recording needs %llu MiB in /dev/shm and may use a sixteenth of the %llu "
                       "MiB free there",
                       (unsigned long long)(bytes >> 20),
                       (unsigned long long)((uint64_t)space.f_bavail * space.f_frsize >> 20));
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = (uint32_t)ds_now_ns();
    if (snprintf(path, PATH_MAX, "%s/%ld-%08x" RF_FILE_SUFFIX, folder, (long)getpid(), random) >=
        PATH_MAX)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
    return DATASTALL_OK;
}

/* ---- listing ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int rf_run_files(const char *folder, char ***names, uint32_t *count)
{
    *names = NULL;
    *count = 0;
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return ds_fail_errno(errno, "cannot open the run folder %s", folder);
    char **list = calloc(MAX_RUN_FILES, sizeof *list);
    struct dirent *entry;
    uint32_t found = 0;
    while (list != NULL && (entry = readdir(directory)) != NULL && found < MAX_RUN_FILES) {
        size_t length = strlen(entry->d_name), suffix = strlen(RF_FILE_SUFFIX);
        if (length <= suffix || strcmp(entry->d_name + length - suffix, RF_FILE_SUFFIX) != 0)
            continue;
        list[found] = strdup(entry->d_name);
        if (list[found] != NULL)
            found++;
    }
    closedir(directory);
    if (list == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    qsort(list, found, sizeof *list, compare_names);
    *names = list;
    *count = found;
    return DATASTALL_OK;
}

void rf_run_files_free(char **names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* Real time at which the oldest run file of a folder was made, 0 if it holds none. */
static uint64_t created_ns_of(const char *folder)
{
    char place[PATH_MAX], **names;
    uint32_t count;
    uint64_t oldest = 0;
    rf_run_reading_place(folder, place);
    if (rf_run_files(place, &names, &count) != DATASTALL_OK)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct rf_header header;
        if (snprintf(path, sizeof path, "%s/%s", place, names[i]) >= PATH_MAX)
            continue;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
            continue;
        if (read(fd, &header, sizeof header) == (ssize_t)sizeof header &&
            memcmp(header.magic, RF_MAGIC, sizeof header.magic) == 0 &&
            (oldest == 0 || header.created_real_ns < oldest))
            oldest = header.created_real_ns;
        close(fd);
    }
    rf_run_files_free(names, count);
    return oldest;
}

static int compare_runs(const void *a, const void *b)
{
    const struct rf_run_entry *one = a, *other = b;
    if (one->created_ns != other->created_ns)
        return one->created_ns < other->created_ns ? -1 : 1;
    return strcmp(one->id, other->id);
}

int rf_run_list(const char *base, struct rf_run_entry **runs, uint32_t *count)
{
    *runs = NULL;
    *count = 0;
    DIR *directory = opendir(base);
    if (directory == NULL)
        return errno == ENOENT ? DATASTALL_OK
                               : ds_fail_errno(errno, "cannot open the folder %s", base);
    uint32_t capacity = 0;
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char path[PATH_MAX];
        struct stat status;
        if (entry->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s", base, entry->d_name) >= PATH_MAX ||
            stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
            continue;
        if (*count == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            struct rf_run_entry *more = realloc(*runs, capacity * sizeof **runs);
            if (more == NULL)
                break;
            *runs = more;
        }
        struct rf_run_entry run = {strdup(entry->d_name), created_ns_of(path)};
        if (run.id != NULL)
            (*runs)[(*count)++] = run;
    }
    closedir(directory);
    if (*count > 1)
        qsort(*runs, *count, sizeof **runs, compare_runs);
    return DATASTALL_OK;
}

void rf_run_list_free(struct rf_run_entry *runs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(runs[i].id);
    free(runs);
}
