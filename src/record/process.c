/* Who this process is, and in which run folder it writes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "record/monitor.h"
#include "runfile/reader.h"

static pthread_mutex_t run_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct rf_run own_run;
static bool own_run_made; /* only now is own_run whole: a fork may come in between */
static pid_t own_run_maker;

void process_forget_parent(void)
{
    pthread_mutex_init(&run_mutex, NULL);
}

bool process_has_launcher(void)
{
    const char *folder = getenv("DATASTALL_RUN_DIR");
    return folder != NULL && folder[0] == '/';
}

int process_run_folder(const datastall_options *options, const char **folder)
{
    if (process_has_launcher()) {
        *folder = getenv("DATASTALL_RUN_DIR");
        return DATASTALL_OK;
    }
    const char *said = getenv("DATASTALL_RUN_DIR");
    if (said != NULL && strcmp(said, "off") == 0)
        return ds_fail(DATASTALL_ERR_OFF, "recording is off: `datastall run` could not begin one");
    int error = DATASTALL_OK;
    pthread_mutex_lock(&run_mutex);
    /* A forked child goes on in its parent's folder: one run. */
    if (!own_run_made) {
        const char *name =
            options->run_name != NULL ? options->run_name : program_invocation_short_name;
        error = rf_run_create(rf_base_directory(options->directory), name, &own_run);
        own_run_maker = getpid();
        own_run_made = error == DATASTALL_OK;
    }
    *folder = own_run.staging;
    pthread_mutex_unlock(&run_mutex);
    return error;
}

/* True while another process (a forked child, or the parent) records in the folder. */
static bool others_record_in(const char *folder)
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
                rf_process_is_alive(&reader->header, &view.fixed);
        rf_reader_close(reader);
    }
    rf_run_files_free(names, count);
    return found;
}

void process_run_finish(void)
{
    pthread_mutex_lock(&run_mutex);
    /* The last process to close brings a staged run home; until then show finds it where it is. */
    if (own_run_made && strcmp(own_run.staging, own_run.path) != 0 && !process_has_launcher() &&
        !others_record_in(own_run.staging)) {
        if (rf_run_finish(&own_run) != DATASTALL_OK)
            ds_say("%s; the run stays in %s", datastall_last_error(), own_run.staging);
        else
            strcpy(own_run.staging, own_run.path);
    }
    pthread_mutex_unlock(&run_mutex);
}

void process_run_abandon(void)
{
    char note[PATH_MAX];
    pthread_mutex_lock(&run_mutex);
    if (own_run_made && own_run_maker == getpid() && !process_has_launcher()) {
        if (strcmp(own_run.staging, own_run.path) != 0 && rmdir(own_run.staging) == 0 &&
            snprintf(note, sizeof note, "%s/" RF_STAGING_NOTE, own_run.path) < PATH_MAX)
            unlink(note);
        own_run_made = rmdir(own_run.path) != 0;
    }
    pthread_mutex_unlock(&run_mutex);
}

static uint64_t number_in_environment(const char *const *names)
{
    for (; *names != NULL; names++) {
        const char *text = getenv(*names);
        char *end;
        if (text == NULL || *text < '0' || *text > '9')
            continue;
        errno = 0;
        unsigned long long value = strtoull(text, &end, 10);
        if (errno == 0 && *end == '\0')
            return value;
    }
    return RF_UNKNOWN;
}

static void read_command(char *text, size_t size)
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    for (ssize_t i = 0; i + 1 < length; i++) {
        if (text[i] == '\0')
            text[i] = ' ';
    }
}

/* Start of the process on the monotonic clock, from its start in ticks since boot. */
static uint64_t process_start_ns(uint64_t start_ticks)
{
    long ticks_per_s = sysconf(_SC_CLK_TCK);
    if (start_ticks == 0 || ticks_per_s <= 0)
        return RF_UNKNOWN;
    uint64_t start_boot_ns = (uint64_t)((double)start_ticks * 1e9 / (double)ticks_per_s);
    uint64_t age_ns = ds_clock_ns_of(CLOCK_BOOTTIME) - start_boot_ns;
    uint64_t now_ns = ds_now_ns();
    return age_ns < now_ns ? now_ns - age_ns : 0;
}

void process_describe(const datastall_options *options, struct rf_process_static *process)
{
    static const char *const ranks[] = {"RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK",
                                        NULL};
    static const char *const local_ranks[] = {"LOCAL_RANK", "SLURM_LOCALID",
                                              "OMPI_COMM_WORLD_LOCAL_RANK", NULL};
    static const char *const world_sizes[] = {"WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE",
                                              "PMI_SIZE", NULL};
    memset(process, 0, sizeof *process);
    process->kind = RF_PROCESS_RECORDER;
    process->pid = (uint64_t)getpid();
    process->parent_pid = (uint64_t)getppid();
    process->start_ticks = rf_start_ticks_of(process->pid);
    process->rank = number_in_environment(ranks);
    process->local_rank = number_in_environment(local_ranks);
    process->world_size = number_in_environment(world_sizes);
    process->opened_mono_ns = ds_now_ns();
    process->process_start_mono_ns = process_start_ns(process->start_ticks);
    gethostname(process->hostname, sizeof process->hostname - 1);
    if (options->run_name != NULL)
        strncpy(process->name, options->run_name, sizeof process->name - 1);
    if (getcwd(process->directory, sizeof process->directory) == NULL)
        process->directory[0] = '\0';
    if (options->command != NULL)
        strncpy(process->command, options->command, sizeof process->command - 1);
    else
        read_command(process->command, sizeof process->command);
}
