/* SPDX-License-Identifier: Apache-2.0 */
/* The man page, from the tables. */
#include <stdio.h>

#include "cli/cli.h"
#include "output/topic.h"

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

static void print_command(const struct cli_command *command)
{
    printf(".SS datastall %s ", command->name);
    print_roff(command->arguments);
    printf("\n");
    print_roff(command->details);
    printf("\n");
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        printf(".TP\n.B ");
        if (o->letter != '\0')
            printf("\\-%c, ", o->letter);
        printf("\\-\\-");
        print_roff(o->name);
        printf(" %s\n", o->argument != NULL ? o->argument : "");
        print_roff(o->help);
        printf("\n");
    }
}

void cli_print_man(const char *exit_codes)
{
    printf(".TH DATASTALL 1 \"\" \"datastall %s\"\n.SH NAME\n", datastall_version());
    printf("datastall \\- how long a program waits for its data\n.SH SYNOPSIS\n");
    printf(".B datastall\n.I COMMAND\n[options]\n.SH COMMANDS\n");
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        print_command(*c);
    printf(".SH ENVIRONMENT\n");
    printf(".TP\n.B DATASTALL_DIR\nThe folder of runs (default ./datastall\\-runs).\n");
    printf(".TP\n.B DATASTALL_RUN_CAP_MIB\nWhat the files of one run may take together "
           "(default 1024).\n");
    printf(".TP\n.B DATASTALL_RECORD_ON\n\"tmpfs\": record in /dev/shm and copy at the end, as is "
           "done by itself on network file systems.\n");
    printf(".SH TOPICS\n");
    for (const struct topic *topic = topics; topic->name != NULL; topic++) {
        printf(".TP\n.B datastall help ");
        print_roff(topic->name);
        printf("\n");
        print_roff(topic->title);
        printf("\n");
    }
    printf(".SH EXIT STATUS\n");
    print_roff(exit_codes);
    printf("\n");
}
