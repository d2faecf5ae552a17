/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/nearest.h"
#include "cli/cli.h"
#include "gpu/sampler_process.h"
#include "runfile/layout.h"

static int help(const struct cli_command *command, int argc, char **argv);

static const struct cli_option help_options[] = {
    {"man", '\0', NULL, "print the man page (roff)"},
    {"completion", '\0', "SHELL", "print a completion script for bash, zsh or fish"},
    {NULL, 0, NULL, NULL},
};
static const struct cli_command help_command = {
    "help",
    "[COMMAND]",
    "explain a command",
    "Explains a command, or lists all of them.",
    help_options,
    false,
    help,
};

const struct cli_command *const cli_commands[] = {&cli_run_command,     &cli_show_command,
                                                  &cli_compare_command, &cli_predict_command,
                                                  &cli_tune_command,    &cli_merge_command,
                                                  &cli_report_command,  &cli_ls_command,
                                                  &cli_top_command,     &cli_serve_command,
                                                  &cli_export_command,  &cli_doctor_command,
                                                  &help_command,        NULL};

static const char exit_codes[] =
    "exit codes: 0 fine, 1 failed, 2 wrong usage, 3 damaged but partly read,\n"
    "            4 runs that cannot be compared;\n"
    "            'run' ends with the command's own code (128 + signal if it was killed)";

static const struct cli_command *find_command(const char *name)
{
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        if (strcmp((*c)->name, name) == 0)
            return *c;
    }
    return NULL;
}

static int say_no_command(const char *name)
{
    struct nearest nearest = {.word = name};
    char hint[64];
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        nearest_offer(&nearest, (*c)->name, (*c)->name);
    ds_say("there is no command '%s'%s; see 'datastall help'", name,
           nearest_hint(&nearest, "", hint, sizeof hint));
    return CLI_USAGE;
}

static void print_overview(FILE *file)
{
    fprintf(file, "datastall %s: how long a program waits for its data\n\n", datastall_version());
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        fprintf(file, "  datastall %-7s %s\n", (*c)->name, (*c)->summary);
    fprintf(file, "\n%s\n\nstart with: datastall run python train.py\n", exit_codes);
}

struct help_options {
    bool man;
    const char *shell;
};

/* ---- help ---- */

static int take_help(void *context, const struct cli_option *option, const char *value)
{
    struct help_options *options = context;
    if (strcmp(option->name, "man") == 0)
        options->man = true;
    else
        options->shell = value;
    return 0;
}

static int help(const struct cli_command *command, int argc, char **argv)
{
    struct help_options options = {0};
    int first = cli_parse(command, argc, argv, take_help, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (options.man) {
        cli_print_man(exit_codes);
    } else if (options.shell != NULL) {
        return cli_print_completion(options.shell);
    } else if (first < argc) {
        const struct cli_command *about = find_command(argv[first]);
        if (about == NULL)
            return say_no_command(argv[first]);
        cli_print_help(about);
    } else {
        print_overview(stdout);
    }
    return CLI_OK;
}

/* ---- standard streams ---- */

/* A file opened later must not become standard output: what is printed would go into it. A stream
 * that is closed gets a stand-in that fails, as a closed one does; a command that is run gets it
 * closed, as it came. */
static void keep_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    }
}

/* What was printed has to arrive; who stopped reading knows it. */
static int check_output(int code)
{
    const bool failed_before = ferror(stdout) != 0;
    errno = 0;
    const bool failed = fflush(stdout) != 0 || failed_before;
    const int error = errno;
    if (!failed)
        return code;
    if (error != EPIPE)
        ds_say("cannot write to standard output%s%s", error != 0 ? ": " : "",
               error != 0 ? strerror(error) : "");
    return code == CLI_OK || code == CLI_DAMAGED ? CLI_FAILED : code;
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("datastall %s (run files of format %d.%d)\n", datastall_version(), RF_FORMAT_MAJOR,
               RF_FORMAT_MINOR);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(stdout);
        return CLI_OK;
    }
    /* Not for people, so in no table: sampler_process.c starts it. */
    if (argc == 2 && strcmp(argv[1], GPU_SAMPLER_COMMAND) == 0) {
        const int code = gpu_sampler_main(&gpu_nvml);
        if (code == CLI_USAGE)
            ds_say("sample: datastall starts this itself, to read the GPUs");
        return code;
    }
    const struct cli_command *command = find_command(argv[1]);
    if (command == NULL)
        return say_no_command(argv[1]);
    return command->run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    keep_standard_streams();
    return check_output(run_command(argc, argv));
}
