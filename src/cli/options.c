/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"

#define MAX_OPTIONS 24

int cli_parse(const struct cli_command *command, int argc, char **argv,
              int (*take)(void *context, const struct cli_option *option, const char *value),
              void *context)
{
    struct option long_options[MAX_OPTIONS + 2] = {{0}};
    char letters[2 * MAX_OPTIONS + 4] = "";
    int count = 0;
    char *cursor = letters;
    if (command->passes_rest)
        *cursor++ = '+'; /* getopt would take the command's own options otherwise */
    *cursor++ = ':';
    for (const struct cli_option *o = command->options; o->name != NULL && count < MAX_OPTIONS;
         o++, count++) {
        long_options[count] = (struct option){
            o->name, o->argument != NULL ? required_argument : no_argument, NULL, 0};
        if (o->letter != '\0') {
            *cursor++ = o->letter;
            if (o->argument != NULL)
                *cursor++ = ':';
        }
    }
    long_options[count] = (struct option){"help", no_argument, NULL, 0};
    *cursor++ = 'h';
    optind = 1;
    opterr = 0;
    for (;;) {
        int index = -1;
        int letter = getopt_long(argc, argv, letters, long_options, &index);
        if (letter == -1)
            return optind;
        if (letter == ':' || letter == '?') {
            const char *word = argv[optind - 1];
            ds_say("%s: %s %s; see 'datastall help %s'", command->name,
                   letter == ':' ? "a value is missing after" : "unknown option", word,
                   command->name);
            return -1;
        }
        if (letter == 'h' || index == count) {
            cli_print_help(command);
            return -2;
        }
        const struct cli_option *option = NULL;
        if (letter == 0) {
            option = &command->options[index];
        } else {
            for (option = command->options; option->letter != letter; option++)
                ;
        }
        if (take(context, option, optarg) != 0)
            return -1;
    }
}

static void print_usage(const struct cli_command *command)
{
    printf("usage: datastall %s", command->name);
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        if (o->argument != NULL)
            printf(" [--%s %s]", o->name, o->argument);
        else
            printf(" [--%s]", o->name);
    }
    printf(" %s\n", command->arguments);
}

void cli_print_help(const struct cli_command *command)
{
    print_usage(command);
    printf("\n%s\n\n", command->details);
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        char flag[64];
        char letter[8] = "    ";
        if (o->letter != '\0')
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(flag, sizeof flag, "--%s%s%s", o->name, o->argument != NULL ? " " : "",
                 o->argument != NULL ? o->argument : "");
        printf("  %s%-18s %s\n", letter, flag, o->help);
    }
}
