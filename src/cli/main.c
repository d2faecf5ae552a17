/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "gpu/sampler_process.h"
#include "runfile/layout.h"

const struct cli_command *const cli_commands[] = {&cli_run_command,     &cli_show_command,
                                                  &cli_compare_command, &cli_predict_command,
                                                  &cli_tune_command,    &cli_merge_command,
                                                  &cli_report_command,  &cli_ls_command,
                                                  &cli_top_command,     &cli_serve_command,
                                                  &cli_export_command,  &cli_doctor_command,
                                                  &cli_help_command,    NULL};

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
        cli_print_overview(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("datastall %s (run files of format %d.%d)\n", datastall_version(), RF_FORMAT_MAJOR,
               RF_FORMAT_MINOR);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_print_overview(stdout);
        return CLI_OK;
    }
    /* Not for people, so in no table: sampler_process.c starts it. */
    if (argc == 2 && strcmp(argv[1], GPU_SAMPLER_COMMAND) == 0) {
        const int code = gpu_sampler_main(&gpu_nvml);
        if (code == CLI_USAGE)
            ds_say("sample: datastall starts this itself, to read the GPUs");
        return code;
    }
    const struct cli_command *command = cli_find_command(argv[1]);
    if (command == NULL)
        return cli_say_no_command(argv[1]);
    return command->run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    keep_standard_streams();
    return check_output(run_command(argc, argv));
}
