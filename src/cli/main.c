/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "gpu/sampler_process.h"

static int help(const struct cli_command *command, int argc, char **argv);

static const struct cli_option help_options[] = {
    {"man", '\0', NULL, "print the man page (roff)"},
    {"completion", '\0', NULL, "print a completion script for bash"},
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
                                                  &cli_compare_command, &cli_ls_command,
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

static void print_overview(FILE *file)
{
    fprintf(file, "datastall %s: how long a program waits for its data\n\n", datastall_version());
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        fprintf(file, "  datastall %-7s %s\n", (*c)->name, (*c)->summary);
    fprintf(file, "\n%s\n\nstart with: datastall run python train.py\n", exit_codes);
}

/* ---- man page and completion ---- */

static void print_roff(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((c == text || c[-1] == '\n') && (*c == '.' || *c == '\''))
            fputs("\\&", stdout);
        if (*c == '-')
            fputs("\\-", stdout);
        else if (*c == '\\')
            fputs("\\e", stdout);
        else
            putchar(*c);
    }
}

static void print_man_command(const struct cli_command *command)
{
    printf(".SS datastall %s ", command->name);
    print_roff(command->arguments);
    printf("\n");
    print_roff(command->details);
    printf("\n");
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        printf(".TP\n.B \\-\\-%s %s\n", o->name, o->argument != NULL ? o->argument : "");
        print_roff(o->help);
        printf("\n");
    }
}

static void print_man(void)
{
    printf(".TH DATASTALL 1 \"\" \"datastall %s\"\n.SH NAME\n", datastall_version());
    printf("datastall \\- how long a program waits for its data\n.SH SYNOPSIS\n");
    printf(".B datastall\n.I COMMAND\n[options]\n.SH COMMANDS\n");
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        print_man_command(*c);
    printf(".SH ENVIRONMENT\n");
    printf(".TP\n.B DATASTALL_DIR\nThe folder of runs (default ./datastall\\-runs).\n");
    printf(".TP\n.B DATASTALL_RUN_CAP_MIB\nWhat the files of one run may take together "
           "(default 1024).\n");
    printf(".TP\n.B DATASTALL_RECORD_ON\n\"tmpfs\": record in /dev/shm and copy at the end, as is "
           "done by itself on network file systems.\n");
    printf(".SH EXIT STATUS\n");
    print_roff(exit_codes);
    printf("\n");
}

static void print_completion(void)
{
    printf("_datastall() {\n  local words\n  case \"${COMP_WORDS[1]}\" in\n");
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        printf("  %s) words=\"--help", (*c)->name);
        for (const struct cli_option *o = (*c)->options; o->name != NULL; o++)
            printf(" --%s", o->name);
        printf("\" ;;\n");
    }
    printf("  *) words=\"");
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        printf("%s ", (*c)->name);
    printf("--help --version\" ;;\n  esac\n");
    printf("  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n");
    printf("complete -o default -F _datastall datastall\n");
}

/* ---- help ---- */

static int take_help(void *context, const struct cli_option *option, const char *value)
{
    (void)value;
    *(const char **)context = option->name;
    return 0;
}

static int help(const struct cli_command *command, int argc, char **argv)
{
    const char *form = NULL;
    int first = cli_parse(command, argc, argv, take_help, &form);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (form != NULL && strcmp(form, "man") == 0) {
        print_man();
    } else if (form != NULL) {
        print_completion();
    } else if (first < argc) {
        const struct cli_command *about = find_command(argv[first]);
        if (about == NULL) {
            ds_say("there is no command '%s'; see 'datastall help'", argv[first]);
            return CLI_USAGE;
        }
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
        printf("datastall %s\n", datastall_version());
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
            ds_say("sample: is started by datastall itself, to read the GPUs");
        return code;
    }
    const struct cli_command *command = find_command(argv[1]);
    if (command == NULL) {
        ds_say("there is no command '%s'; see 'datastall help'", argv[1]);
        return CLI_USAGE;
    }
    return command->run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    keep_standard_streams();
    return check_output(run_command(argc, argv));
}
