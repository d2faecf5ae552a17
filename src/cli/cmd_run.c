/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall run CMD`: starts the command with the hooks, samples the GPUs, prints the summary. It
 * never stands between the user and the command: what goes wrong here costs the recording, not the
 * program. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean_text.h"
#include "base/clock.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/inject.h"
#include "cli/settings.h"
#include "cli/tune_trial.h"
#include "gpu/sampler.h"
#include "runfile/liveness.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

#define GPU_ENTRIES 32u
#define SAMPLE_INTERVAL_S 1.0

struct run_options {
    const char *name, *directory;
    bool quiet, verbose;
    char settings[SETTINGS_BYTES];
};

/* ---- signals ---- */

/* Sent to us alone: passed on. Ctrl-C and its like reach the whole group from the kernel already.
 */
static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
#define FORWARDED_COUNT (sizeof forwarded / sizeof *forwarded)
static volatile sig_atomic_t child_pid;
static long group_sender; /* its signals reach the command by themselves; 0: nobody's do */

static struct sigaction pipe_on_entry, file_on_entry, child_on_entry;

/* Without a reader of standard error, or room in a file (ulimit -f), the command's code still
 * matters, and an ignored SIGCHLD would take it away. */
static void set_own_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, usual = {.sa_handler = SIG_DFL};
    sigaction(SIGPIPE, &ignore, &pipe_on_entry);
    sigaction(SIGXFSZ, &ignore, &file_on_entry);
    sigaction(SIGCHLD, &usual, &child_on_entry);
}

static void restore_own_signals(void)
{
    sigaction(SIGPIPE, &pipe_on_entry, NULL);
    sigaction(SIGXFSZ, &file_on_entry, NULL);
    sigaction(SIGCHLD, &child_on_entry, NULL);
}

static void forward(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    int saved = errno;
    if (info->si_code <= 0 && child_pid > 0 && info->si_pid != child_pid &&
        (long)info->si_pid != group_sender)
        kill(child_pid, signal_number);
    errno = saved;
}

static void forward_signals(bool on)
{
    for (size_t i = 0; i < FORWARDED_COUNT; i++) {
        struct sigaction old, action = {.sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        if (sigaction(forwarded[i], NULL, &old) != 0 || old.sa_handler == SIG_IGN)
            continue; /* nohup and the like stay as they are */
        if (on) {
            action.sa_sigaction = forward;
            action.sa_flags |= SA_SIGINFO;
        } else {
            action.sa_handler = SIG_DFL;
        }
        sigaction(forwarded[i], &action, NULL);
    }
}

/* ---- the command ---- */

static int code_of_exec_error(int error)
{
    return error == ENOENT || error == ENOTDIR ? 127 : 126;
}

static void say_exec_error(const char *command, int error)
{
    ds_say("cannot run %s: %s", command, strerror(error));
}

/* How a child ended, as waitpid() says; -1 when that cannot be known. */
static int reap(pid_t pid)
{
    siginfo_t info;
    int status = -1;
    /* It keeps its pid until no handler can send a signal there any more. */
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
    child_pid = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return status;
}

/* Without a recording there is nothing to do beside the command: become it. */
static int run_plainly(char **command, const char *reason)
{
    ds_say("%s; the command runs without recording", reason);
    setenv("DATASTALL_RUN_DIR", "off", 1); /* also where the program itself asks for one */
    restore_own_signals();
    execvp(command[0], command);
    int error = errno;
    set_own_signals();
    say_exec_error(command[0], error);
    return code_of_exec_error(error);
}

/* In the child, before it becomes the command: whoever finds us killed knows whom to look for. */
static void note_command(struct rf_writer *writer)
{
    uint64_t *words = writer->process.block + RF_BLOCK_PAYLOAD;
    ds_store(&words[RF_PROCESS_CHILD_TICKS], rf_own_start_ticks());
    ds_store_release(&words[RF_PROCESS_CHILD_PID], (uint64_t)getpid());
}

/* Returns the child's pid; 0 after saying why it cannot be executed, with *code set; or -1, with why
 * there can be no child, as datastall_last_error(). */
static pid_t start_command(char **command, struct rf_writer *writer, int *code)
{
    int report[2];
    sigset_t block, before;
    if (pipe2(report, O_CLOEXEC) != 0) {
        ds_fail_errno(errno, "cannot make a pipe");
        return -1;
    }
    /* Until the handler is set, signals wait; the child gets the mask and handlers as they were. */
    sigemptyset(&block);
    for (size_t i = 0; i < FORWARDED_COUNT; i++)
        sigaddset(&block, forwarded[i]);
    sigprocmask(SIG_BLOCK, &block, &before);
    pid_t pid = fork();
    if (pid == 0) {
        restore_own_signals();
        sigprocmask(SIG_SETMASK, &before, NULL);
        note_command(writer);
        execvp(command[0], command);
        int error = errno;
        ssize_t written = write(report[1], &error, sizeof error);
        _exit(written == (ssize_t)sizeof error ? code_of_exec_error(error) : 126);
    }
    int fork_error = errno;
    child_pid = pid > 0 ? pid : 0;
    if (pid > 0)
        forward_signals(true);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        ds_fail_errno(fork_error, "cannot start a process");
        return -1;
    }
    int error = 0;
    ssize_t got;
    do {
        got = read(report[0], &error, sizeof error);
    } while (got < 0 && errno == EINTR);
    close(report[0]);
    if (got == (ssize_t)sizeof error) {
        reap(pid);
        say_exec_error(command[0], error);
        *code = code_of_exec_error(error);
        return 0;
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = reap(pid);
    if (status == -1)
        return CLI_FAILED;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- the launcher's own run file ---- */

static void join_command(char **command, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (; *command != NULL && length + 1 < size; command++)
        length +=
            (size_t)snprintf(text + length, size - length, "%s%s", length > 0 ? " " : "", *command);
}

static int make_launcher_file(const struct rf_run *run, const struct run_options *options,
                              char **command, struct rf_writer **writer)
{
    const struct rf_spec spec = {.gpus = GPU_ENTRIES};
    struct rf_process_static process = {
        .kind = RF_PROCESS_LAUNCHER,
        .pid = (uint64_t)getpid(),
        .parent_pid = (uint64_t)getppid(),
        .start_ticks = rf_own_start_ticks(),
        .pid_namespace = rf_own_pid_namespace(),
        .rank = RF_UNKNOWN,
        .local_rank = RF_UNKNOWN,
        .world_size = RF_UNKNOWN,
        .opened_mono_ns = ds_now_ns(),
        .process_start_mono_ns = RF_UNKNOWN,
    };
    char path[PATH_MAX];
    gethostname(process.hostname, sizeof process.hostname - 1);
    if (options->name != NULL)
        strncpy(process.name, options->name, sizeof process.name - 1);
    snprintf(process.settings, sizeof process.settings, "%s", options->settings);
    if (getcwd(process.directory, sizeof process.directory) == NULL)
        process.directory[0] = '\0';
    join_command(command, process.command, sizeof process.command);
    if (snprintf(path, sizeof path, "%s/" RF_LAUNCHER_FILE, run->tmpfs) >= PATH_MAX)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "the folder's path is too long");
    return rf_writer_create(path, &spec, &process, writer);
}

static void note_exit(struct rf_writer *writer, int code)
{
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_EXIT_KNOWN, 1);
    rf_put(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_EXIT_STATUS, (uint64_t)code);
    rf_writer_mark_closed(writer);
}

/* ---- the end ---- */

static void bring_home(const struct rf_run *run)
{
    bool stays;
    if (rf_run_finish(run, &stays) != DATASTALL_OK)
        ds_say("%s; the run stays in %s", datastall_last_error(), run->tmpfs);
    else if (stays)
        ds_say("a process of the command still records; the run stays in %s until it ends",
               run->tmpfs);
}

/* Nothing ran: no run is left behind, nor a half-made one. */
static void abandon(const struct rf_run *run, struct rf_writer *writer)
{
    if (writer != NULL) {
        unlink(writer->path);
        rf_writer_destroy(writer);
    }
    rf_run_abandon(run);
}

/* With the command that shows it again. */
static void print_card(const struct summary *summary, const char *run, bool verbose)
{
    char next[PATH_MAX + 32];
    struct card_style style = cli_card_style(stderr);
    snprintf(next, sizeof next, "datastall show %s %s", verbose ? "--json" : "-v", run);
    style.verbose = verbose;
    style.next = next;
    fputc('\n', stderr);
    output_card(summary, &style, stderr);
}

static void print_summary(const struct rf_run *run, const struct run_options *options,
                          const char *silence)
{
    struct run_data *data;
    struct summary *summary;
    bool damaged;
    if (access(run->path, F_OK) != 0) {
        ds_say("the run folder %s was removed while the command ran; there is no summary",
               run->path);
        return;
    }
    if (cli_load(run->path, &data, &summary, &damaged) != CLI_OK)
        return;
    fflush(stdout);
    char name[PATH_MAX];
    ds_clean_text(options->directory == NULL ? strrchr(run->path, '/') + 1 : run->path, name,
                  sizeof name);
    if (summary->worst != UINT32_MAX || damaged) {
        print_card(summary, name, options->verbose);
    } else {
        if (silence[0] != '\0')
            cli_say_clean(silence);
        fprintf(stderr, "%-8s datastall show %s\n", "NEXT", name);
    }
    settings_say_unused(options->settings, summary);
    summary_free(summary);
    run_data_free(data);
}

/* For the hooks of every process; docs/steps.md. */
static int take_steps(const char *value)
{
    static const char *const modes[] = {"on", "host", "off"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(value, modes[i]) == 0)
            return setenv("DATASTALL_STEPS", value, 1);
    }
    ds_say("--steps is on, host (asks no GPU) or off");
    return -1;
}

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct run_options *options = context;
    if (strcmp(option->name, "name") == 0)
        options->name = value;
    else if (strcmp(option->name, "dir") == 0)
        options->directory = value;
    else if (strcmp(option->name, "set") == 0)
        return settings_add(value, options->settings) ? 0 : -1;
    else if (strcmp(option->name, "steps") == 0)
        return take_steps(value);
    else if (strcmp(option->name, "verbose") == 0)
        options->verbose = true;
    else
        options->quiet = true;
    return 0;
}

static const char *run_name_of(const struct run_options *options, char **command)
{
    if (options->name != NULL)
        return options->name;
    const char *name = command[0];
    /* `python train.py` is about train.py. */
    for (char **word = command; *word != NULL; word++) {
        size_t length = strlen(*word);
        if (length > 3 && strcmp(*word + length - 3, ".py") == 0) {
            name = *word;
            break;
        }
    }
    const char *slash = strrchr(name, '/');
    return slash != NULL ? slash + 1 : name;
}

static int run(const struct cli_command *table, int argc, char **argv)
{
    struct run_options options = {0};
    int first = cli_parse(table, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    char **command = argv + first;
    if (command[0] == NULL) {
        ds_say("run: which command? For example: datastall run python train.py");
        return CLI_USAGE;
    }
    struct rf_run where;
    struct rf_writer *writer = NULL;
    char package[PATH_MAX];
    set_own_signals();
    group_sender = tune_trial_take_sender();
    if (inject_find_package(package) != DATASTALL_OK ||
        rf_run_create(rf_base_directory(options.directory), run_name_of(&options, command),
                      &where) != DATASTALL_OK)
        return run_plainly(command, datastall_last_error());
    if (make_launcher_file(&where, &options, command, &writer) != DATASTALL_OK ||
        inject_environment(package, where.tmpfs, where.path) != DATASTALL_OK ||
        settings_export(options.settings) != DATASTALL_OK) {
        abandon(&where, writer);
        return run_plainly(command, datastall_last_error());
    }
    if (options.settings[0] != '\0')
        settings_say(options.settings);
    int code;
    const pid_t pid = start_command(command, writer, &code);
    if (pid <= 0) {
        abandon(&where, writer);
        return pid == 0 ? code : run_plainly(command, datastall_last_error());
    }
    /* Never by this process itself: what the driver does must not reach the command's code. */
    const struct gpu_sampler_options sampling = {
        .program = "/proc/self/exe", .writer = writer, .interval_s = SAMPLE_INTERVAL_S};
    struct gpu_sampler *sampler = gpu_sampler_start(&sampling);
    code = wait_for(pid);
    if (sampler != NULL)
        gpu_sampler_stop(sampler);
    /* Once our file is closed, another process may bring the run home and remove the marks. */
    char silence[1024];
    snprintf(silence, sizeof silence, "%s", inject_explain_silence(where.tmpfs, command, code));
    note_exit(writer, code);
    bring_home(&where);
    forward_signals(false);
    if (!options.quiet)
        print_summary(&where, &options, silence);
    return code;
}

static const struct cli_option run_options[] = {
    {"name", 'n', "NAME", "name of the run, part of its id (default: the script's)"},
    {"dir", 'd', "DIR", "folder of runs (default $DATASTALL_DIR, ./datastall-runs)"},
    {"verbose", 'v', NULL, "print the evidence too: every loader, rank, GPU and note"},
    {"quiet", 'q', NULL, "print no summary"},
    {"steps", '\0', "on|host|off", "follow the phases of steps; host: ask no GPU (default on)"},
    {"set", 's', "ARG=VALUE", "give DataLoaders another num_workers ...; may be repeated"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_run_command = {
    "run",
    "[--] CMD...",
    "run a command and say how long it waited for data",
    "Runs CMD and records every torch DataLoader that CMD or any Python process it\n"
    "starts iterates; nothing in CMD changes. Prints a card of at most 20 lines to\n"
    "standard error (COLUMNS and NO_COLOR are respected) and leaves a run folder. Ends\n"
    "with CMD's own exit code (128 + signal if it was killed).\n"
    "--set [NAME:]ARG=VALUE gives every DataLoader (or the one of that name, line or data\n"
    "set) another value of num_workers, prefetch_factor, persistent_workers, pin_memory,\n"
    "in_order or multiprocessing_context than its constructor was called with.\n"
    "'datastall help steps' explains --steps.",
    run_options,
    true,
    run,
};
