/* SPDX-License-Identifier: Apache-2.0 */
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
#include "runfile/liveness.h"
#include "runfile/tmpfs.h"

static pthread_mutex_t run_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct rf_run own_run;
static bool own_run_made; /* only now is own_run whole: a fork may come in between */
static pid_t own_run_maker;
static char brought_home[PATH_MAX]; /* where the launcher's run is now; "": where it was */

void process_forget_parent(void)
{
    pthread_mutex_init(&run_mutex, NULL);
}

enum given { GIVEN_NOTHING, GIVEN_FOLDER, GIVEN_OFF };

/* What a launcher said, read once and copied: the program may change its environment at any time.
 * folder has PATH_MAX bytes. */
static enum given what_is_given(char *folder)
{
    const char *said = getenv("DATASTALL_RUN_DIR");
    if (said == NULL)
        return GIVEN_NOTHING;
    const int length = snprintf(folder, PATH_MAX, "%s", said);
    if (folder[0] == '/' && length < PATH_MAX)
        return GIVEN_FOLDER;
    return strcmp(folder, "off") == 0 ? GIVEN_OFF : GIVEN_NOTHING;
}

bool process_has_launcher(void)
{
    char folder[PATH_MAX];
    return what_is_given(folder) == GIVEN_FOLDER;
}

/* Where to write under a launcher: the caller holds the mutex. */
static void place_of_launched(const char *given, char *folder)
{
    if (brought_home[0] != '\0')
        snprintf(folder, PATH_MAX, "%s", brought_home);
    else
        rf_run_writing_place(given, getenv("DATASTALL_RUN_HOME"), folder);
}

int process_run_folder(const datastall_options *options, char *folder)
{
    char folder_given[PATH_MAX];
    const enum given given = what_is_given(folder_given);
    if (given == GIVEN_FOLDER) {
        pthread_mutex_lock(&run_mutex);
        place_of_launched(folder_given, folder);
        pthread_mutex_unlock(&run_mutex);
        return DATASTALL_OK;
    }
    if (given == GIVEN_OFF)
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
    if (own_run_made)
        rf_run_writing_place(own_run.tmpfs, own_run.path, folder);
    pthread_mutex_unlock(&run_mutex);
    return error;
}

static bool staged_run(struct rf_run *run)
{
    char given[PATH_MAX];
    if (what_is_given(given) == GIVEN_FOLDER)
        return rf_run_of_tmpfs(given, run);
    *run = own_run;
    return own_run_made && strcmp(own_run.tmpfs, own_run.path) != 0;
}

void process_run_finish(void)
{
    struct rf_run run;
    bool stays;
    pthread_mutex_lock(&run_mutex);
    /* The last process to close brings a run on tmpfs home, under a launcher only when that has ended
     * before; until then show finds it where it is. */
    if (staged_run(&run)) {
        if (rf_run_finish(&run, &stays) != DATASTALL_OK)
            ds_say("%s; the run stays in %s", datastall_last_error(), run.tmpfs);
        else if (!stays && process_has_launcher())
            strcpy(brought_home, run.path);
        else if (!stays)
            strcpy(own_run.tmpfs, own_run.path);
    }
    pthread_mutex_unlock(&run_mutex);
}

void process_run_leave(void)
{
    pthread_mutex_lock(&run_mutex);
    own_run_made = false;
    pthread_mutex_unlock(&run_mutex);
}

void process_run_abandon(void)
{
    pthread_mutex_lock(&run_mutex);
    if (own_run_made && own_run_maker == getpid() && !process_has_launcher())
        own_run_made = !rf_run_abandon(&own_run);
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

/* Appends "NAME-VALUE", after a slash where something is there already. */
static void append_id(char *text, size_t size, const char *name, const char *variable)
{
    const char *value = getenv(variable);
    const size_t used = strlen(text);
    if (value != NULL && value[0] != '\0')
        snprintf(text + used, size - used, "%s%s-%s", used > 0 ? "/" : "", name, value);
}

/* What the launchers of jobs tell all their processes: docs/jobs.md. torchrun says "none" where it
 * was given no id; then only the address of its first rank tells one job from another. */
static void read_job(char *job, size_t size)
{
    const char *given = getenv("DATASTALL_JOB"), *torchrun = getenv("TORCHELASTIC_RUN_ID");
    job[0] = '\0';
    if (given != NULL && given[0] != '\0') {
        snprintf(job, size, "%s", given);
        return;
    }
    append_id(job, size, "slurm", "SLURM_JOB_ID");
    if (torchrun != NULL && strcmp(torchrun, "none") != 0) {
        append_id(job, size, "torchrun", "TORCHELASTIC_RUN_ID");
    } else {
        append_id(job, size, "master", "MASTER_ADDR");
        append_id(job, size, "port", "MASTER_PORT");
    }
}

/* In a pod the host name is the pod's, unless that is on the network of its machine. */
static void read_pod(const char *hostname, char *pod, size_t size)
{
    const char *name = getenv("POD_NAME");
    if (name == NULL && getenv("KUBERNETES_SERVICE_HOST") != NULL)
        name = hostname;
    snprintf(pod, size, "%s", name != NULL ? name : "");
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

/* /proc tells when a process began in time since boot, in which a suspended machine's time counts;
 * that of CLOCK_MONOTONIC does not. So the two clocks must be compared when the process began, or as
 * soon after as we are there: not at its first batch, before which a lid may have been closed. */
static struct process_clocks clocks_at_load;

static struct process_clocks read_clocks(void)
{
    return (struct process_clocks){ds_clock_ns_of(CLOCK_BOOTTIME), ds_now_ns()};
}

static void __attribute__((constructor)) note_load(void)
{
    clocks_at_load = read_clocks();
}

uint64_t process_start_on_monotonic(uint64_t start_boot_ns, const struct process_clocks *at_load,
                                    const struct process_clocks *now)
{
    /* A process that was forked later has its parent's reading, which is older than itself. */
    const struct process_clocks *first =
        at_load->boot_ns != 0 && at_load->boot_ns >= start_boot_ns ? at_load : now;
    const uint64_t suspended_ns =
        first->boot_ns > first->monotonic_ns ? first->boot_ns - first->monotonic_ns : 0;
    return start_boot_ns > suspended_ns ? start_boot_ns - suspended_ns : 0;
}

static uint64_t process_start_ns(uint64_t start_ticks)
{
    const long ticks_per_s = sysconf(_SC_CLK_TCK);
    if (start_ticks == 0 || ticks_per_s <= 0)
        return RF_UNKNOWN;
    const struct process_clocks now = read_clocks();
    return process_start_on_monotonic((uint64_t)((double)start_ticks * 1e9 / (double)ticks_per_s),
                                      &clocks_at_load, &now);
}

void process_describe(const datastall_options *options, struct rf_process_static *process)
{
    static const char *const ranks[] = {"RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK",
                                        NULL};
    static const char *const local_ranks[] = {"LOCAL_RANK", "SLURM_LOCALID",
                                              "OMPI_COMM_WORLD_LOCAL_RANK", NULL};
    static const char *const world_sizes[] = {"WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE",
                                              "PMI_SIZE", NULL};
    static const char *const restarts[] = {"TORCHELASTIC_RESTART_COUNT", NULL};
    memset(process, 0, sizeof *process);
    process->kind = RF_PROCESS_RECORDER;
    process->pid = (uint64_t)getpid();
    process->parent_pid = (uint64_t)getppid();
    process->start_ticks = rf_own_start_ticks();
    process->pid_namespace = rf_own_pid_namespace();
    process->launched = process_has_launcher();
    process->rank = number_in_environment(ranks);
    process->local_rank = number_in_environment(local_ranks);
    process->world_size = number_in_environment(world_sizes);
    process->opened_mono_ns = ds_now_ns();
    process->process_start_mono_ns = process_start_ns(process->start_ticks);
    gethostname(process->hostname, sizeof process->hostname - 1);
    process->restart = number_in_environment(restarts);
    read_job(process->job, sizeof process->job);
    read_pod(process->hostname, process->pod, sizeof process->pod);
    const char *node = getenv("NODE_NAME");
    snprintf(process->node, sizeof process->node, "%s",
             node != NULL && node[0] != '\0' ? node : process->hostname);
    if (options->run_name != NULL)
        strncpy(process->name, options->run_name, sizeof process->name - 1);
    if (getcwd(process->directory, sizeof process->directory) == NULL)
        process->directory[0] = '\0';
    if (options->command != NULL)
        strncpy(process->command, options->command, sizeof process->command - 1);
    else
        read_command(process->command, sizeof process->command);
}

int process_make_file(const datastall_options *options, const struct rf_spec *spec,
                      const struct rf_process_static *process, uint64_t bytes,
                      struct rf_writer **writer)
{
    char path[PATH_MAX], folder[PATH_MAX];
    int error = process_run_folder(options, folder);
    if (error == DATASTALL_OK)
        error = rf_run_new_file(folder, bytes, path);
    if (error == DATASTALL_OK)
        error = rf_writer_create(path, spec, process, writer);
    if (error == DATASTALL_OK) {
        error = rf_run_admit_file(folder, path);
        if (error != DATASTALL_OK) {
            rf_writer_destroy(*writer);
            *writer = NULL;
        }
    }
    return error;
}
