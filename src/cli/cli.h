/* SPDX-License-Identifier: Apache-2.0 */
/* The command table and one option table per command: parsing, help, man page and completion all
 * come from these. */
#ifndef DATASTALL_CLI_CLI_H
#define DATASTALL_CLI_CLI_H

#include <stdbool.h>

#include "diagnose/summary.h"
#include "output/card.h"

/* For a table of options: what an hour of a GPU costs, in any currency. */
#define CLI_PRICE_OPTION \
    {"price-per-gpu-hour", '\0', "PRICE", "a GPU's hour costs this: what the stall cost"}

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_DAMAGED = 3,
    CLI_NOT_COMPARABLE = 4
};

struct cli_option {
    const char *name;     /* without dashes; NULL ends a table */
    char letter;          /* '\0': none; letter and name mean the same in every command */
    const char *argument; /* its name in the help; NULL: takes none */
    const char *help;
};

struct cli_command {
    const char *name;
    const char *arguments; /* after the options, for the help */
    const char *summary;   /* one line */
    const char *details;   /* a paragraph for `help COMMAND` and the man page, each broken anew */
    const struct cli_option *options;
    bool passes_rest; /* the first word that is no option ends the options */
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

extern const struct cli_command cli_run_command, cli_show_command, cli_ls_command;
extern const struct cli_command cli_compare_command, cli_doctor_command, cli_merge_command;
extern const struct cli_command cli_predict_command, cli_tune_command, cli_report_command;
extern const struct cli_command cli_top_command, cli_serve_command, cli_export_command;
extern const struct cli_command cli_help_command;
extern const struct cli_command *const cli_commands[]; /* NULL ends it */

/* Calls take(context, option, value) for each option. Returns the index of the first positional
 * argument, or -1 after saying what is wrong (exit with CLI_USAGE), or -2 after printing the help.
 */
int cli_parse(const struct cli_command *command, int argc, char **argv,
              int (*take)(void *context, const struct cli_option *option, const char *value),
              void *context);

/* NULL: there is none of that name. */
const struct cli_command *cli_find_command(const char *name);
/* Says so, with the nearest name; CLI_USAGE. */
int cli_say_no_command(const char *name);

/* All commands, a line each. */
void cli_print_overview(FILE *file);
/* Broken to the terminal's width, and to CLI_HELP_WIDTH columns where that is wider. */
#define CLI_HELP_WIDTH 80u
void cli_print_help(const struct cli_command *command);
void cli_print_man(const char *exit_codes);

/* A script for "bash", "zsh" or "fish"; CLI_USAGE after saying that there is none for another. */
int cli_print_completion(const char *shell);

/* The folder of the run that `name` means: a path, an id in the base folder, the name that `run
 * --name` gave (of several the newest), or a part of either that only one run has; NULL: the newest
 * that started. Says what is wrong and returns a code other than CLI_OK. folder: PATH_MAX bytes. */
int cli_find_run(const char *directory, const char *name, char *folder);

/* The folders of the last `wanted` runs that started, oldest first; CLI_FAILED, after saying so, where
 * there are fewer. Each of PATH_MAX bytes. */
int cli_last_runs(const char *directory, uint32_t wanted, char (*folders)[PATH_MAX]);

/* The runs of several names (*named of them), or without a name every run in the bases, or that is
 * found: *live, for live_close(), NULL after a code other than CLI_OK. */
struct live;
int cli_open_live(const char *const *bases, uint32_t base_count, char *const *names, int count,
                  struct live **live, uint32_t *named);

/* What a refresh (live_refresh()) means for the exit code: CLI_FAILED where one of the `named` runs
 * cannot be read, CLI_DAMAGED where one was read in part only, each after a sentence; else CLI_OK. */
int cli_live_code(const struct live *live, const char *command, uint32_t named);

/* What --price-per-gpu-hour says; NaN after saying that it is no price. */
double cli_price(const char *command, const char *value);

/* ds_say() for a sentence that may hold text of a run file or a folder's name. */
void cli_say_clean(const char *sentence);

/* For a stream: its width (COLUMNS, the terminal's, else 80), colours where it is a terminal that has
 * them and NO_COLOR is not set. */
struct card_style cli_card_style(FILE *file);

/* A run read and summarised; says what is wrong. Exit code, CLI_OK also for a damaged run that
 * could be read in part: then *damaged is set. Free both. */
int cli_load(const char *folder, struct run_data **data, struct summary **summary, bool *damaged);

#endif
