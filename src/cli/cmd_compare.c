/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/compare_jobs.h"
#include "cli/job_folder.h"
#include "output/comparison.h"
#include "output/json.h"
#include "runfile/rundir.h"

#define MOST_RUNS 16
#define MOST_CONDITIONS 16

struct compare_options {
    const char *directory;
    bool json;
    uint32_t last; /* 0: the runs are named */
    uint32_t condition_count;
    const char *conditions[MOST_CONDITIONS];
    uint32_t job_count;
    const char *jobs[MOST_RUNS];
};

struct compared_run {
    struct run_data *data;
    struct summary *summary;
};

static int take_last(struct compare_options *options, const char *value)
{
    char *end;
    const unsigned long number = strtoul(value, &end, 10);
    if (*end != '\0' || end == value || number < 2 || number > MOST_RUNS) {
        ds_say("compare: --last takes a number from 2 to %d", MOST_RUNS);
        return -1;
    }
    options->last = (uint32_t)number;
    return 0;
}

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct compare_options *options = context;
    if (strcmp(option->name, "dir") == 0)
        options->directory = value;
    else if (strcmp(option->name, "json") == 0)
        options->json = true;
    else if (strcmp(option->name, "last") == 0)
        return take_last(options, value);
    else if (strcmp(option->name, "job") == 0 && options->job_count < MOST_RUNS)
        options->jobs[options->job_count++] = value;
    else if (strcmp(option->name, "job") == 0) {
        ds_say("compare: at most %d jobs", MOST_RUNS);
        return -1;
    } else if (options->condition_count < MOST_CONDITIONS)
        options->conditions[options->condition_count++] = value;
    else {
        ds_say("compare: at most %d conditions", MOST_CONDITIONS);
        return -1;
    }
    return 0;
}

static int find(const struct compare_options *options, char **names, uint32_t count,
                char (*folders)[PATH_MAX])
{
    if (options->last > 0)
        return cli_last_runs(options->directory, options->last, folders);
    for (uint32_t i = 0; i < count; i++) {
        const int code = cli_find_run(options->directory, names[i], folders[i]);
        if (code != CLI_OK)
            return code;
    }
    return CLI_OK;
}

int compare_check_all(const struct comparison *comparison, const char *const *conditions,
                      uint32_t count)
{
    int code = comparison->result == COMPARE_IMPOSSIBLE ? CLI_NOT_COMPARABLE : CLI_OK;
    for (uint32_t i = 0; i < count; i++) {
        char sentence[320];
        const enum compare_check result =
            compare_check(comparison, conditions[i], sentence, sizeof sentence);
        if (result == COMPARE_CHECK_INVALID || code != CLI_NOT_COMPARABLE)
            ds_say("%s", sentence);
        if (result == COMPARE_CHECK_INVALID)
            return CLI_USAGE;
        if (result == COMPARE_CHECK_FAILS && code == CLI_OK)
            code = CLI_FAILED;
    }
    return code;
}

struct several {
    const struct comparison *all;
    uint32_t count;
};

static void shape(const void *context, const struct emitter *e)
{
    const struct several *several = context;
    if (several->count == 1) {
        output_comparison_shape(&several->all[0], NULL, e);
        return;
    }
    e->open_object(e->context, NULL);
    e->open_array(e->context, "comparisons");
    for (uint32_t i = 0; i < several->count; i++)
        output_comparison_shape(&several->all[i], NULL, e);
    e->close(e->context);
    e->close(e->context);
}

/* The more serious of two codes: wrong usage, a failed condition, not comparable. */
int compare_worse(int one, int other)
{
    static const int order[] = {CLI_USAGE, CLI_FAILED, CLI_NOT_COMPARABLE, CLI_DAMAGED};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (one == order[i] || other == order[i])
            return order[i];
    }
    return CLI_OK;
}

static int print(const struct compared_run *runs, uint32_t count,
                 const struct compare_options *options)
{
    const struct card_style style = cli_card_style(stdout);
    struct comparison *all = calloc(count, sizeof *all);
    int code = CLI_OK;
    if (all == NULL) {
        ds_say("compare: out of memory");
        return CLI_FAILED;
    }
    for (uint32_t i = 1; i < count; i++) {
        compare_runs(runs[0].summary, runs[i].summary, &all[i - 1]);
        if (!options->json) {
            fputs(i > 1 ? "\n" : "", stdout);
            output_comparison(&all[i - 1], &style, stdout);
        }
        code = compare_worse(
            code, compare_check_all(&all[i - 1], options->conditions, options->condition_count));
    }
    const struct several several = {all, count - 1};
    if (options->json && output_json_document(shape, &several, stdout) != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        code = CLI_FAILED;
    }
    free(all);
    return code;
}

/* Jobs by their folders, or by their ids in the folder that their machines wrote into. */
static int compare_named_jobs(const struct compare_options *options, char (*folders)[PATH_MAX],
                              uint32_t count)
{
    struct named_job jobs[MOST_RUNS];
    for (uint32_t i = 0; i < count; i++) {
        jobs[i].id = options->job_count > 0 ? options->jobs[i] : NULL;
        jobs[i].folder =
            options->job_count > 0 ? rf_base_directory(options->directory) : folders[i];
    }
    const struct compared_jobs wanted = {jobs, count, options->condition_count, options->conditions,
                                         options->json};
    return cli_compare_jobs(&wanted);
}

static bool any_is_job(char (*folders)[PATH_MAX], uint32_t count)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++)
        any |= job_folder_is(folders[i]);
    return any;
}

static int compare(const struct cli_command *command, int argc, char **argv)
{
    static char folders[MOST_RUNS][PATH_MAX];
    struct compare_options options = {0};
    struct compared_run runs[MOST_RUNS] = {{NULL, NULL}};
    const int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    const uint32_t named = (uint32_t)(argc - first);
    const uint32_t count = options.last > 0        ? options.last
                           : options.job_count > 0 ? options.job_count
                                                   : named;
    const int ways = (options.last > 0) + (options.job_count > 0) + (named > 0);
    if (ways > 1 || count < 2 || count > MOST_RUNS) {
        ds_say("compare: which runs? Two to %d of them, or --last 2; see 'datastall help compare'",
               MOST_RUNS);
        return CLI_USAGE;
    }
    bool any_damaged = false;
    if (options.job_count > 0)
        return compare_named_jobs(&options, folders, count);
    int code = find(&options, argv + first, count, folders);
    if (code == CLI_OK && any_is_job(folders, count))
        return compare_named_jobs(&options, folders, count);
    for (uint32_t i = 0; i < count && code == CLI_OK; i++) {
        bool damaged = false;
        code = cli_load(folders[i], &runs[i].data, &runs[i].summary, &damaged);
        if (damaged)
            cli_say_clean(runs[i].data->first_problem);
        any_damaged |= damaged;
    }
    if (code == CLI_OK)
        code = compare_worse(print(runs, count, &options), any_damaged ? CLI_DAMAGED : CLI_OK);
    for (uint32_t i = 0; i < count; i++) {
        if (runs[i].summary != NULL) {
            summary_free(runs[i].summary);
            run_data_free(runs[i].data);
        }
    }
    return code;
}

static const struct cli_option compare_options[] = {
    {"last", '\0', "N", "the last N runs that started, the oldest of them as the baseline"},
    {"fail-if", '\0', "COND", "exit 1 if COND holds; may be repeated"},
    {"json", '\0', NULL, "as JSON ('datastall help comparing')"},
    {"job", '\0', "ID", "all runs of a job instead of a run; once for each job"},
    {"dir", 'd', "DIR", "folder of runs (default $DATASTALL_DIR, ./datastall-runs)"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_compare_command = {
    "compare",
    "[BASELINE RUN...]",
    "whether a run was faster, and how sure that is",
    "Compares each RUN with BASELINE (named as for 'show'): throughput first, with a\n"
    "95 % interval, then window, stall, cause, start-up, loaders and ranks. COND is\n"
    "what the RUN must not do: 'samples/s<-5%' (or batches/s; only where there is a\n"
    "difference that can be told), 'stall>+3' (points of percent), 'window>10%',\n"
    "'startup>2' (seconds). Exit code 4: the runs cannot be compared. A folder of the\n"
    "runs of a job's machines (see 'merge') is compared as one job, also with a run;\n"
    "'stall' is then what the job lost. 'datastall help comparing' has the method and\n"
    "an example for CI.",
    compare_options,
    false,
    compare,
};
