/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall help`: the commands, the pages, the man page and the completions. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/pager.h"
#include "output/topic.h"

static const char exit_codes[] =
    "exit codes: 0 fine, 1 failed, 2 wrong usage, 3 damaged but partly read,\n"
    "            4 runs that cannot be compared;\n"
    "            'run' ends with the command's own (128 + signal if it was killed)";

const struct cli_command *cli_find_command(const char *name)
{
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        if (strcmp((*c)->name, name) == 0)
            return *c;
    }
    return NULL;
}

static void offer_commands(struct nearest *nearest)
{
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        nearest_offer(nearest, (*c)->name, (*c)->name);
}

int cli_say_no_command(const char *name)
{
    struct nearest nearest = {.word = name};
    char hint[64];
    offer_commands(&nearest);
    ds_say("there is no command '%s'%s; see 'datastall help'", name,
           nearest_hint(&nearest, "", hint, sizeof hint));
    return CLI_USAGE;
}

static int say_no_topic(const char *name)
{
    struct nearest nearest = {.word = name};
    char hint[64];
    for (const struct topic *topic = topics; topic->name != NULL; topic++)
        nearest_offer(&nearest, topic->name, topic->name);
    offer_commands(&nearest); /* the last of two that are as near */
    ds_say("there is no command and no topic '%s'%s; see 'datastall help'", name,
           nearest_hint(&nearest, "", hint, sizeof hint));
    return CLI_USAGE;
}

void cli_print_overview(FILE *file)
{
    fprintf(file, "datastall %s: how long a program waits for its data\n\n", datastall_version());
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        fprintf(file, "  datastall %-7s  %s\n", (*c)->name, (*c)->summary);
    fprintf(file,
            "\n%s\n\nstart with: datastall run python train.py\n"
            "more: 'datastall help COMMAND', 'datastall help' for all commands and topics\n",
            exit_codes);
}

static void list_topics(FILE *file)
{
    fprintf(file, "\ntopics, each a page: datastall help TOPIC\n\n");
    for (const struct topic *topic = topics; topic->name != NULL; topic++)
        fprintf(file, "  %-13s %s\n", topic->name, topic->title);
}

static void show_topic(const struct topic *topic)
{
    const struct card_style style = cli_card_style(stdout);
    struct pager pager;
    FILE *file = pager_open(&pager);
    topic_print(topic->text, style.width, style.colour, file);
    pager_close(&pager);
}

/* ---- the command ---- */

struct help_options {
    bool man;
    const char *shell;
};

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct help_options *options = context;
    if (strcmp(option->name, "man") == 0)
        options->man = true;
    else
        options->shell = value;
    return 0;
}

static int explain(const char *name)
{
    const struct cli_command *command = cli_find_command(name);
    const struct topic *topic = topic_find(name);
    if (command != NULL)
        cli_print_help(command);
    else if (topic != NULL)
        show_topic(topic);
    else
        return say_no_topic(name);
    return CLI_OK;
}

static int help(const struct cli_command *command, int argc, char **argv)
{
    struct help_options options = {0};
    int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (options.man) {
        cli_print_man(exit_codes);
    } else if (options.shell != NULL) {
        return cli_print_completion(options.shell);
    } else if (first < argc) {
        return explain(argv[first]);
    } else {
        cli_print_overview(stdout);
        list_topics(stdout);
    }
    return CLI_OK;
}

static const struct cli_option help_options[] = {
    {"man", '\0', NULL, "print the man page (roff)"},
    {"completion", '\0', "SHELL", "print a completion script for bash, zsh or fish"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_help_command = {
    "help",
    "[COMMAND | TOPIC]",
    "explain a command, or show a page of the documentation",
    "Explains a command, or shows a page of the documentation, on a terminal by $PAGER (less).\n"
    "Without a name: lists all commands and all topics.",
    help_options,
    false,
    help,
};
