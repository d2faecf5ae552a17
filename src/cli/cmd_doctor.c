/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean_text.h"
#include "base/clock.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "output/json.h"

const char *doctor_status_name(enum doctor_status status)
{
    static const char *const names[] = {"ok", "limited", "missing", "failed"};
    return names[status];
}

void doctor_add(struct doctor_report *report, enum doctor_status status, const char *subject,
                const char *advice, const char *finding, ...)
{
    if (report->count == DOCTOR_FINDINGS)
        return;
    struct doctor_finding *entry = &report->findings[report->count++];
    char text[sizeof entry->finding];
    va_list arguments;
    va_start(arguments, finding);
    vsnprintf(text, sizeof text, finding, arguments);
    va_end(arguments);
    entry->status = status;
    ds_clean_text(subject, entry->subject, sizeof entry->subject);
    ds_clean_text(text, entry->finding, sizeof entry->finding);
    ds_clean_text(advice != NULL ? advice : "", entry->advice, sizeof entry->advice);
}

/* ---- a child that may hang ---- */

/* Reads until the end of file or the deadline; false: the deadline came. */
static bool read_until(int fd, uint64_t deadline_ns, char *text, size_t size)
{
    size_t length = 0;
    for (;;) {
        char dropped[256];
        const uint64_t now_ns = ds_now_ns();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (now_ns >= deadline_ns)
            return false;
        if (poll(&ready, 1, (int)((deadline_ns - now_ns) / 1000000 + 1)) <= 0)
            continue;
        const bool room = length + 1 < size;
        ssize_t got =
            read(fd, room ? text + length : dropped, room ? size - 1 - length : sizeof dropped);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return true;
        if (room)
            text[length += (size_t)got] = '\0';
    }
}

int doctor_in_child(void (*work)(void *context, int fd), void *context, double timeout_s,
                    char *text, size_t size)
{
    int ends[2], status = -2;
    text[0] = '\0';
    if (pipe(ends) != 0)
        return -2;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0); /* so that what the child starts is killed with it */
        close(ends[0]);
        work(context, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    if (pid > 0) {
        const uint64_t deadline_ns = ds_now_ns() + (uint64_t)(timeout_s * 1e9);
        setpgid(pid, pid);
        const bool ended = read_until(ends[0], deadline_ns, text, size);
        if (!ended)
            kill(-pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        status = ended ? status : -1;
    }
    close(ends[0]);
    return status;
}

/* ---- the command ---- */

void doctor_shape(const void *context, const struct emitter *e)
{
    const struct doctor_report *report = context;
    e->open_object(e->context, NULL);
    e->integer(e->context, "schema", 1);
    e->string(e->context, "datastall_version", datastall_version());
    e->open_array(e->context, "findings");
    for (uint32_t i = 0; i < report->count; i++) {
        const struct doctor_finding *entry = &report->findings[i];
        e->open_object(e->context, NULL);
        e->string(e->context, "status", doctor_status_name(entry->status));
        e->string(e->context, "subject", entry->subject);
        e->string(e->context, "finding", entry->finding);
        e->string(e->context, "advice", entry->advice[0] != '\0' ? entry->advice : NULL);
        e->close(e->context);
    }
    e->close(e->context);
    e->close(e->context);
}

struct doctor_options {
    const char *directory, *python;
    bool json;
};

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct doctor_options *options = context;
    if (strcmp(option->name, "dir") == 0)
        options->directory = value;
    else if (strcmp(option->name, "python") == 0)
        options->python = value;
    else
        options->json = true;
    return 0;
}

static int doctor(const struct cli_command *command, int argc, char **argv)
{
    struct doctor_options options = {0};
    const int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (first < argc) {
        ds_say("doctor: takes no argument; see 'datastall help doctor'");
        return CLI_USAGE;
    }
    struct doctor_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        ds_say("out of memory");
        return CLI_FAILED;
    }
    bool on_tmpfs = false;
    doctor_check_folder(options.directory, &on_tmpfs, report);
    doctor_check_python(options.python, report);
    doctor_check_gpus(report);
    doctor_check_host(report);
    doctor_check_container(options.directory, on_tmpfs, report);
    int code = CLI_OK;
    for (uint32_t i = 0; i < report->count; i++) {
        const struct doctor_finding *entry = &report->findings[i];
        if (entry->status == DOCTOR_FAILED)
            code = CLI_FAILED;
        if (!options.json)
            printf("%-8s %-12s %s%s%s\n", doctor_status_name(entry->status), entry->subject,
                   entry->finding, entry->advice[0] != '\0' ? "; " : "", entry->advice);
    }
    if (options.json && output_json_document(doctor_shape, report, stdout) != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        code = CLI_FAILED;
    }
    free(report);
    return code;
}

static const struct cli_option doctor_options[] = {
    {"python", '\0', "PATH", "the interpreter to look at (default: python, else python3)"},
    {"json", '\0', NULL, "the findings as JSON"},
    {"dir", 'd', "DIR", "folder of runs (default $DATASTALL_DIR, ./datastall-runs)"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_doctor_command = {
    "doctor",
    "",
    "what can be measured on this machine, and what is missing",
    "Looks at the folder of runs, Python and PyTorch, the GPUs and their driver, what this\n"
    "process may use of the machine, and what a container hides of it. One line each: 'ok';\n"
    "'limited', it works but shows less; 'missing', some figure is not available; 'failed',\n"
    "recording would not work (exit 1).",
    doctor_options,
    false,
    doctor,
};
