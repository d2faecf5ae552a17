/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall report`: one run, or two side by side, as a page. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/job_folder.h"
#include "cli/write_file.h"
#include "output/job_report.h"
#include "output/report.h"
#include "runfile/rundir.h"

#define DEFAULT_OUTPUT "datastall-report.html"

struct report_options {
    const char *directory, *output;
    const char *jobs[2];
    uint32_t job_count;
    bool force;
    double price; /* NaN: not told */
};

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct report_options *options = context;
    if (strcmp(option->name, "dir") == 0)
        options->directory = value;
    else if (strcmp(option->name, "output") == 0)
        options->output = value;
    else if (strcmp(option->name, "price-per-gpu-hour") == 0)
        return (options->price = cli_price("report", value)) > 0 ? 0 : -1;
    else if (strcmp(option->name, "job") == 0 && options->job_count < 2)
        options->jobs[options->job_count++] = value;
    else if (strcmp(option->name, "job") == 0) {
        ds_say("report: one job, or two to compare");
        return -1;
    } else
        options->force = true;
    return 0;
}

struct loaded {
    struct run_data *data[2];
    struct summary *summaries[2];
    uint32_t count;
    bool damaged;
};

static int load(const struct report_options *options, char *const *names, uint32_t count,
                struct loaded *loaded)
{
    char folder[PATH_MAX];
    loaded->count = count == 0 ? 1 : count;
    for (uint32_t i = 0; i < loaded->count; i++) {
        bool damaged = false;
        int code = cli_find_run(options->directory, count == 0 ? NULL : names[i], folder);
        if (code == CLI_OK)
            code = cli_load(folder, &loaded->data[i], &loaded->summaries[i], &damaged);
        if (code != CLI_OK)
            return code;
        loaded->summaries[i]->price_per_gpu_hour = options->price;
        if (damaged)
            cli_say_clean(loaded->data[i]->first_problem);
        loaded->damaged |= damaged;
    }
    return CLI_OK;
}

/* Takes over the text. */
static int write_page(const struct report_options *options, int error, char *text, size_t length)
{
    if (error == DATASTALL_OK) {
        error = cli_write_output(options->output, text, length, options->force);
        free(text);
    }
    if (error != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        return CLI_FAILED;
    }
    if (strcmp(options->output, "-") != 0)
        printf("wrote %s (%zu kB)\n", options->output, (length + 999) / 1000);
    return CLI_OK;
}

static int write_report(const struct report_options *options, const struct loaded *loaded)
{
    char *text = NULL;
    size_t length = 0;
    const int error = report_write((const struct summary *const *)loaded->summaries, loaded->count,
                                   &text, &length);
    const int code = write_page(options, error, text, length);
    return code == CLI_OK && loaded->damaged ? CLI_DAMAGED : code;
}

/* ---- jobs ---- */

static int load_jobs(const struct report_options *options, char (*folders)[PATH_MAX],
                     uint32_t count, struct job_document **jobs, bool *damaged)
{
    int code = CLI_OK;
    for (uint32_t i = 0; i < count && code == CLI_OK; i++) {
        const bool by_id = options->job_count > 0;
        code = job_folder_read(by_id ? rf_base_directory(options->directory) : folders[i],
                               by_id ? options->jobs[i] : NULL, &jobs[i]);
        if (jobs[i] == NULL)
            return CLI_FAILED;
        if (code == CLI_OK)
            continue;
        cli_say_clean(jobs[i]->first_problem);
        *damaged = true;
        code = CLI_OK;
    }
    return code;
}

static int report_jobs(const struct report_options *options, char (*folders)[PATH_MAX],
                       uint32_t count)
{
    struct job_document *jobs[2] = {NULL, NULL};
    bool damaged = false;
    char *text = NULL;
    size_t length = 0;
    int code = load_jobs(options, folders, count, jobs, &damaged);
    if (code == CLI_OK) {
        const int error =
            job_report_write((const struct job_document *const *)jobs, count, &text, &length);
        code = write_page(options, error, text, length);
    }
    job_folder_free(jobs[0]);
    job_folder_free(jobs[1]);
    return code == CLI_OK && damaged ? CLI_DAMAGED : code;
}

/* Whether what was named are jobs. */
static bool find_jobs(const struct report_options *options, char *const *names, uint32_t count,
                      char (*folders)[PATH_MAX], int *code)
{
    bool any = false;
    *code = CLI_OK;
    for (uint32_t i = 0; i < count && *code == CLI_OK; i++) {
        *code = cli_find_run(options->directory, names[i], folders[i]);
        any |= *code == CLI_OK && job_folder_is(folders[i]);
    }
    return any;
}

static int report(const struct cli_command *command, int argc, char **argv)
{
    struct report_options options = {.output = DEFAULT_OUTPUT, .price = NAN};
    struct loaded loaded = {.count = 0};
    static char folders[2][PATH_MAX];
    const int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (argc - first > 2 || (options.job_count > 0 && first < argc)) {
        ds_say("report: one run, or two to compare; see 'datastall help report'");
        return CLI_USAGE;
    }
    const uint32_t named = (uint32_t)(argc - first);
    int code;
    if (options.job_count > 0)
        return report_jobs(&options, folders, options.job_count);
    if (find_jobs(&options, argv + first, named, folders, &code) && code == CLI_OK)
        return report_jobs(&options, folders, named);
    if (code == CLI_OK)
        code = load(&options, argv + first, named, &loaded);
    if (code == CLI_OK)
        code = write_report(&options, &loaded);
    for (uint32_t i = 0; i < 2; i++) {
        if (loaded.summaries[i] != NULL) {
            summary_free(loaded.summaries[i]);
            run_data_free(loaded.data[i]);
        }
    }
    return code;
}

static const struct cli_option report_options[] = {
    {"output", 'o', "FILE", "write to FILE (default " DEFAULT_OUTPUT "; - is standard output)"},
    {"force", '\0', NULL, "replace FILE"},
    {"job", '\0', "ID", "all runs of a job instead of a run; twice for two"},
    CLI_PRICE_OPTION,
    {"dir", 'd', "DIR", "folder of runs (default $DATASTALL_DIR, ./datastall-runs)"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_report_command = {
    "report",
    "[RUN] [RUN]",
    "a run, or two side by side, as a page with charts",
    "Writes one HTML file that needs no network: verdict, cause and advice, the run over\n"
    "time, the waits and what went on during the slowest, loaders, ranks, GPUs and the\n"
    "machine. Two RUNs (named as for 'show') are compared, the first as the baseline. It\n"
    "is under 1 MB however long the run was. Of a job (a folder of the runs of its\n"
    "machines, see 'merge') it shows who made the others wait, over time and by rank.\n"
    "'datastall help reporting' explains each chart.",
    report_options,
    false,
    report,
};
