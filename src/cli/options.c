/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "cli/cli.h"

#define MAX_OPTIONS 24

/* What getopt_long() did not take: a value is missing or too many, or there is no such option. */
static void say_refused(const struct cli_command *command, bool value_missing, const char *word)
{
    const char *wrong = value_missing ? "a value is missing after" : "unknown option";
    const size_t length = strcspn(word, "=");
    char name[64] = "", hint[96];
    struct nearest nearest = {.word = name};
    if (!value_missing && strncmp(word, "--", 2) == 0 && length < sizeof name)
        snprintf(name, sizeof name, "%.*s", (int)length - 2, word + 2);
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        if (strcmp(name, o->name) == 0)
            wrong = "no value may follow";
        nearest_offer(&nearest, o->name, o->name);
    }
    if (nearest.distance == 0 && nearest.best != NULL)
        nearest.best = NULL;
    ds_say("%s: %s %s%s; see 'datastall help %s'", command->name, wrong, word,
           nearest_hint(&nearest, "--", hint, sizeof hint), command->name);
}

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
            say_refused(command, letter == ':', argv[optind - 1]);
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
