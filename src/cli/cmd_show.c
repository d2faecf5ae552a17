/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/job_folder.h"
#include "diagnose/check.h"
#include "output/json.h"
#include "runfile/rundir.h"

#define MAX_CHECKS 16

struct show_options {
    const char *directory, *job;
    bool json, verbose;
    double price; /* NaN: not told */
    uint32_t check_count;
    const char *checks[MAX_CHECKS];
};

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct show_options *options = context;
    if (strcmp(option->name, "dir") == 0)
        options->directory = value;
    else if (strcmp(option->name, "job") == 0)
        options->job = value;
    else if (strcmp(option->name, "json") == 0)
        options->json = true;
    else if (strcmp(option->name, "verbose") == 0)
        options->verbose = true;
    else if (strcmp(option->name, "price-per-gpu-hour") == 0)
        return (options->price = cli_price("show", value)) > 0 ? 0 : -1;
    else if (options->check_count < MAX_CHECKS)
        options->checks[options->check_count++] = value;
    else {
        ds_say("show: at most %d checks", MAX_CHECKS);
        return -1;
    }
    return 0;
}

static int check_all(const struct summary *summary, const struct show_options *options)
{
    int code = CLI_OK;
    for (uint32_t i = 0; i < options->check_count; i++) {
        char sentence[256];
        enum check_result result =
            check_condition(summary, options->checks[i], sentence, sizeof sentence);
        ds_say("%s", sentence);
        if (result == CHECK_INVALID)
            return CLI_USAGE;
        if (result != CHECK_HOLDS)
            code = CLI_FAILED;
    }
    return code;
}

/* A folder of the runs of a job's machines. */
static int show_job(const char *folder, const struct show_options *options)
{
    struct job_document *job;
    if (options->check_count > 0 || options->verbose) {
        ds_say("show: a job of several runs has no --check and no -v; show one of its runs");
        return CLI_USAGE;
    }
    const int code = job_folder_read(folder, options->job, &job);
    if (job == NULL)
        return CLI_FAILED;
    char next[PATH_MAX + 32];
    snprintf(next, sizeof next, "datastall show --json %s", folder);
    struct card_style style = cli_card_style(stdout);
    style.next = next;
    if (options->json)
        output_json_document(output_job_document, job, stdout);
    else
        output_job_card(job, &style, stdout);
    if (code == CLI_DAMAGED)
        cli_say_clean(job->first_problem);
    job_folder_free(job);
    return code;
}

static int show(const struct cli_command *command, int argc, char **argv)
{
    struct show_options options = {.price = NAN};
    char folder[PATH_MAX];
    int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (argc - first > 1) {
        ds_say("show: one run at a time; see 'datastall help show'");
        return CLI_USAGE;
    }
    const char *name = first < argc ? argv[first] : NULL;
    if (options.job != NULL && name == NULL)
        return show_job(rf_base_directory(options.directory), &options);
    int code = cli_find_run(options.directory, name, folder);
    if (code != CLI_OK)
        return code;
    if (job_folder_is(folder))
        return show_job(folder, &options);
    struct run_data *data;
    struct summary *summary;
    bool damaged;
    code = cli_load(folder, &data, &summary, &damaged);
    if (code != CLI_OK)
        return code;
    summary->price_per_gpu_hour = options.price;
    if (options.json) {
        if (output_json(summary, stdout) != DATASTALL_OK) {
            cli_say_clean(datastall_last_error());
            code = CLI_FAILED;
        }
        if (damaged)
            cli_say_clean(data->first_problem);
    } else {
        const bool elsewhere = options.directory != NULL || (name != NULL && strchr(name, '/'));
        char next[PATH_MAX + 32];
        struct card_style style = cli_card_style(stdout);
        snprintf(next, sizeof next, "datastall show %s %s", options.verbose ? "--json" : "-v",
                 elsewhere ? folder : data->id);
        style.verbose = options.verbose;
        style.next = next;
        output_card(summary, &style, stdout);
    }
    if (code == CLI_OK)
        code = check_all(summary, &options);
    if (code == CLI_OK && damaged)
        code = CLI_DAMAGED;
    summary_free(summary);
    run_data_free(data);
    return code;
}

static const struct cli_option show_options[] = {
    {"verbose", 'v', NULL, "with the evidence: every loader, rank, GPU and note"},
    {"json", '\0', NULL, "the whole summary as JSON ('datastall help json')"},
    {"check", '\0', "COND", "exit 1 unless COND holds; may be repeated"},
    {"job", '\0', "ID", "all runs of this job, which its machines wrote into one folder"},
    CLI_PRICE_OPTION,
    {"dir", 'd', "DIR", "folder of runs (default $DATASTALL_DIR, ./datastall-runs)"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_show_command = {
    "show",
    "[RUN]",
    "the verdict of a run, also while it is running",
    "Shows a run on a card of at most 20 lines: the newest that started, or RUN (its\n"
    "id, its name, a part of either that only one run has, or a folder; of several runs\n"
    "with the same name the newest). COND is FIGURE<NUMBER or FIGURE>NUMBER (also <=\n"
    "and >=); figures: idle and stall in percent, p50, p95, p99, max and mean wait in\n"
    "ms: --check 'idle<5'. A folder of the runs of a job's machines (see 'merge') is\n"
    "shown as one. 'datastall help measuring' explains the words, 'datastall help causes' the\n"
    "causes.",
    show_options,
    false,
    show,
};
