/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "cli/cli.h"
#include "output/topic.h"

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

/* ---- help ---- */

#define FLAG_COLUMNS 21u /* "-n, --name NAME" and what is behind it */
#define HELP_COLUMN (2u + FLAG_COLUMNS)

struct line {
    unsigned width, column, indent;
};

/* A part of the usage, on the next line where this one has no room for it. */
static void put_part(struct line *line, const char *part)
{
    const unsigned columns = 1 + (unsigned)strlen(part);
    if (line->column + columns > line->width) {
        printf("\n%*s", (int)line->indent, "");
        line->column = line->indent;
    }
    line->column += columns;
    printf(" %s", part);
}

static void print_usage(const struct cli_command *command, unsigned width)
{
    char part[64];
    struct line line = {.width = width};
    line.column = line.indent = (unsigned)printf("usage: datastall %s", command->name);
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        snprintf(part, sizeof part, "[--%s%s%s]", o->name, o->argument != NULL ? " " : "",
                 o->argument != NULL ? o->argument : "");
        put_part(&line, part);
    }
    if (command->arguments[0] != '\0')
        put_part(&line, command->arguments);
    printf("\n\n");
}

/* Both as blocks of a page, which are broken to a width: 'P', how far it is indented, a space, text. */
static void print_details(const struct cli_command *command, unsigned width)
{
    char text[2048];
    const int length = snprintf(text, sizeof text, "P0 %s\n", command->details);
    for (int i = 0; i < length - 1; i++) {
        if (text[i] == '\n')
            text[i] = ' ';
    }
    topic_print(text, width, false, stdout);
}

static void print_option(const struct cli_option *option, unsigned width)
{
    char flag[64], text[512];
    const int letter = option->letter;
    const int columns = snprintf(flag, sizeof flag, "%c%c%c --%s%s%s", letter != 0 ? '-' : ' ',
                                 letter != 0 ? letter : ' ', letter != 0 ? ',' : ' ', option->name,
                                 option->argument != NULL ? " " : "",
                                 option->argument != NULL ? option->argument : "");
    if (columns < (int)FLAG_COLUMNS) {
        /* As the bullet of an item, which a space parts from its text. */
        snprintf(text, sizeof text, "P2 %-*s\t%s\n", (int)FLAG_COLUMNS - 1, flag, option->help);
    } else {
        printf("  %s\n", flag);
        snprintf(text, sizeof text, "P%c %s\n", '0' + HELP_COLUMN, option->help);
    }
    topic_print(text, width, false, stdout);
}

void cli_print_help(const struct cli_command *command)
{
    const unsigned terminal = cli_card_style(stdout).width;
    const unsigned width = terminal < CLI_HELP_WIDTH ? terminal : CLI_HELP_WIDTH;
    print_usage(command, width);
    print_details(command, width);
    printf("\n");
    for (const struct cli_option *o = command->options; o->name != NULL; o++)
        print_option(o, width);
}
