/* SPDX-License-Identifier: Apache-2.0 */
/* Completion scripts, from the tables: commands, options, what follows an option, runs. What a word
 * stands for is told by its name in the help: DIR, FILE and PATH, FORMAT, RUN, COMMAND, CMD. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "cli/cli.h"
#include "output/topic.h"

#define FORMATS "openmetrics prometheus perfetto csv"

typedef void each_option(const struct cli_option *option);

/* Of options that several commands have, the first: an option means the same everywhere. */
static void for_each_valued(each_option *tell)
{
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        for (const struct cli_option *o = (*c)->options; o->name != NULL; o++) {
            bool told = false;
            for (const struct cli_command *const *before = cli_commands; before != c; before++) {
                for (const struct cli_option *b = (*before)->options; b->name != NULL; b++)
                    told |= strcmp(b->name, o->name) == 0;
            }
            if (o->argument != NULL && !told)
                tell(o);
        }
    }
}

static bool is_file(const char *argument)
{
    return strcmp(argument, "FILE") == 0 || strcmp(argument, "PATH") == 0;
}

static bool takes(const struct cli_command *command, const char *word)
{
    return strstr(command->arguments, word) != NULL && !command->passes_rest;
}

static void print_topics(const char *before)
{
    for (const struct topic *topic = topics; topic->name != NULL; topic++)
        printf("%s%s", before, topic->name);
}

/* ---- bash ---- */

static void bash_option(const struct cli_option *option)
{
    printf("    --%s", option->name);
    if (option->letter != '\0')
        printf("|-%c", option->letter);
    if (strcmp(option->argument, "DIR") == 0)
        printf(") COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n");
    else if (is_file(option->argument))
        printf(") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
    else if (strcmp(option->argument, "FORMAT") == 0)
        printf(") COMPREPLY=($(compgen -W \"" FORMATS "\" -- \"$cur\")); return ;;\n");
    else
        printf(") return ;;\n");
}

static void bash_command(const struct cli_command *command)
{
    printf("    %s) words=\"--help", command->name);
    for (const struct cli_option *o = command->options; o->name != NULL; o++)
        printf(" --%s", o->name);
    printf("\"");
    if (takes(command, "RUN"))
        printf("; more=$(datastall ls --ids ${dir:+--dir \"$dir\"} 2>/dev/null)");
    else if (takes(command, "COMMAND")) {
        printf("; more=\"$commands");
        print_topics(" ");
        printf("\"");
    }
    printf(" ;;\n");
}

static void print_bash(void)
{
    printf("# bash completion of datastall: source it, or put it into\n"
           "# ~/.local/share/bash-completion/completions/datastall\n"
           "_datastall() {\n"
           "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "  local commands=\"");
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        printf("%s%s", c == cli_commands ? "" : " ", (*c)->name);
    printf("\" words= more= dir= i\n"
           "  COMPREPLY=()\n"
           "  if ((COMP_CWORD == 1)); then\n"
           "    COMPREPLY=($(compgen -W \"$commands --help --version\" -- \"$cur\"))\n"
           "    return\n"
           "  fi\n"
           "  for ((i = 2; i < COMP_CWORD; i++)); do\n"
           "    case ${COMP_WORDS[i]} in\n"
           "    --dir|-d) dir=${COMP_WORDS[i + 1]} ;;\n"
           "    esac\n"
           "    case ${COMP_WORDS[1]}:${COMP_WORDS[i]}:${COMP_WORDS[i - 1]} in\n"
           "    run:-*|run:*:--dir|run:*:-d|run:*:--name|run:*:-n) ;;\n"
           "    run:*) # CMD's own words\n"
           "      if declare -F _command_offset >/dev/null; then _command_offset $i; fi\n"
           "      return ;;\n"
           "    esac\n"
           "  done\n"
           "  case $prev in\n");
    for_each_valued(bash_option);
    printf("  esac\n"
           "  case ${COMP_WORDS[1]} in\n");
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        bash_command(*c);
    printf("  esac\n"
           "  case $cur in\n"
           "  -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
           "  *)\n"
           "    if [[ ${COMP_WORDS[1]} == run ]]; then\n"
           "      COMPREPLY=($(compgen -c -- \"$cur\"))\n"
           "    else\n"
           "      COMPREPLY=($(compgen -W \"${more:-$words}\" -- \"$cur\"))\n"
           "    fi ;;\n"
           "  esac\n"
           "}\n"
           "complete -o default -F _datastall datastall\n");
}

/* ---- zsh ---- */

/* Within '...[HELP]' of _arguments, or '...:HELP' of _describe. */
static void zsh_text(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *c) != NULL)
            printf("\\%c", *c);
        else
            putchar(*c == '\n' ? ' ' : *c);
    }
}

static const char *zsh_action(const char *argument)
{
    if (strcmp(argument, "DIR") == 0)
        return "_directories";
    if (is_file(argument))
        return "_files";
    return strcmp(argument, "FORMAT") == 0 ? "(" FORMATS ")" : " ";
}

static void zsh_option(const struct cli_option *option)
{
    if (option->letter != '\0')
        printf(" \\\n      '*'{-%c,--%s}'[", option->letter, option->name);
    else
        printf(" \\\n      '*--%s[", option->name);
    zsh_text(option->help);
    printf("]");
    if (option->argument != NULL)
        printf(":%s:%s", option->argument, zsh_action(option->argument));
    printf("'");
}

static void zsh_topics(void)
{
    printf(" \\\n      '*:COMMAND:{_describe command commands; compadd --");
    print_topics(" ");
    printf("}'");
}

static void print_zsh(void)
{
    printf("#compdef datastall\n"
           "# zsh completion of datastall: put it as _datastall into a folder of $fpath\n"
           "_datastall_runs() {\n"
           "  local -a runs\n"
           "  runs=(${(f)\"$(datastall ls --ids ${opt_args[--dir]:+--dir} ${opt_args[--dir]} "
           "2>/dev/null)\"})\n"
           "  compadd -a runs\n"
           "  _directories\n"
           "}\n"
           "_datastall() {\n"
           "  local -a commands\n"
           "  local -A opt_args\n"
           "  commands=(\n");
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        printf("    '%s:", (*c)->name);
        zsh_text((*c)->summary);
        printf("'\n");
    }
    printf("  )\n"
           "  if (( CURRENT == 2 )); then\n"
           "    _describe command commands\n"
           "    compadd -- --help --version\n"
           "    return\n"
           "  fi\n"
           "  shift words\n"
           "  (( CURRENT-- ))\n"
           "  case $words[1] in\n");
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        printf("  %s)\n    _arguments -A '-*' '(- *)--help[explain the command]'", (*c)->name);
        for (const struct cli_option *o = (*c)->options; o->name != NULL; o++)
            zsh_option(o);
        if ((*c)->passes_rest)
            printf(" \\\n      '(-):CMD:_command_names -e' '*::CMD:_normal'");
        else if (takes(*c, "RUN"))
            printf(" \\\n      '*:RUN:_datastall_runs'");
        else if (takes(*c, "COMMAND"))
            zsh_topics();
        printf(" ;;\n");
    }
    printf("  esac\n"
           "}\n"
           "if [ \"$funcstack[1]\" = _datastall ]; then _datastall \"$@\"; "
           "else compdef _datastall datastall; fi\n");
}

/* ---- fish ---- */

static void fish_text(const char *text)
{
    putchar('\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\')
            putchar('\\');
        putchar(*c == '\n' ? ' ' : *c);
    }
    putchar('\'');
}

static void fish_begin(const struct cli_command *command)
{
    printf("complete -c datastall -n '__fish_seen_subcommand_from %s'", command->name);
}

static void fish_option(const struct cli_command *command, const struct cli_option *option)
{
    fish_begin(command);
    printf(" -l %s", option->name);
    if (option->letter != '\0')
        printf(" -s %c", option->letter);
    if (option->argument == NULL)
        ;
    else if (strcmp(option->argument, "DIR") == 0)
        printf(" -x -a '(__fish_complete_directories)'");
    else if (is_file(option->argument))
        printf(" -r -F");
    else if (strcmp(option->argument, "FORMAT") == 0)
        printf(" -x -a '" FORMATS "'");
    else
        printf(" -x");
    printf(" -d ");
    fish_text(option->help);
    printf("\n");
}

static void print_fish(void)
{
    printf("# fish completion of datastall: put it into ~/.config/fish/completions/datastall.fish\n"
           "complete -c datastall -f\n"
           "complete -c datastall -n __fish_use_subcommand -l version\n"
           "complete -c datastall -l help\n"
           "function __datastall_runs\n"
           "  set -l words (commandline -opc)\n"
           "  set -l dir\n"
           "  for i in (seq 2 (count $words))\n"
           "    if contains -- $words[$i] --dir -d; and test $i -lt (count $words)\n"
           "      set dir --dir $words[(math $i + 1)]\n"
           "    end\n"
           "  end\n"
           "  datastall ls --ids $dir 2>/dev/null\n"
           "end\n");
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        printf("complete -c datastall -n __fish_use_subcommand -a %s -d ", (*c)->name);
        fish_text((*c)->summary);
        printf("\n");
        for (const struct cli_option *o = (*c)->options; o->name != NULL; o++)
            fish_option(*c, o);
        if ((*c)->passes_rest) {
            fish_begin(*c);
            printf(" -x -a '(__fish_complete_subcommand --fcs-skip=2)'\n");
        } else if (takes(*c, "RUN")) {
            fish_begin(*c);
            printf(" -k -a '(__datastall_runs)'\n");
        } else if (takes(*c, "COMMAND")) {
            fish_begin(*c);
            printf(" -a '");
            for (const struct cli_command *const *each = cli_commands; *each != NULL; each++)
                printf("%s ", (*each)->name);
            print_topics(" ");
            printf("'\n");
        }
    }
}

int cli_print_completion(const char *shell)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } scripts[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    struct nearest nearest = {.word = shell};
    char hint[64];
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        if (strcmp(shell, scripts[i].shell) == 0) {
            scripts[i].print();
            return CLI_OK;
        }
        nearest_offer(&nearest, scripts[i].shell, scripts[i].shell);
    }
    ds_say("help: there is no completion for '%s'%s, only for bash, zsh and fish", shell,
           nearest_hint(&nearest, "", hint, sizeof hint));
    return CLI_USAGE;
}
