/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall merge`: the runs of a job's machines in one folder. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/job_folder.h"
#include "run/copy_run.h"
#include "run/listing.h"

struct merge_options {
    const char *directory, *output;
};

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct merge_options *options = context;
    if (strcmp(option->name, "dir") == 0)
        options->directory = value;
    else
        options->output = value;
    return 0;
}

/* A run that is being written has no moment at which all of its files could be copied. */
static bool is_over(const char *folder)
{
    struct run_data *data;
    struct summary *summary;
    bool over = true;
    if (run_is_closed(folder))
        return true;
    if (run_data_read_live(folder, &data) != DATASTALL_OK)
        return true; /* the copy says what is wrong */
    if (summary_make_bare(data, ds_now_ns(), &summary) == DATASTALL_OK) {
        over = summary->state != SUMMARY_RUNNING;
        summary_free(summary);
    }
    run_data_free(data);
    return over;
}

/* Under its own id, and where that is taken (machines start at the same second) with a number. */
static int copy_one(const char *folder, const char *output)
{
    char to[PATH_MAX];
    struct stat status;
    const char *slash = strrchr(folder, '/');
    const char *id = slash != NULL ? slash + 1 : folder;
    if (!is_over(folder)) {
        ds_say("%s is still running; merge it when it has ended (show can read a folder of runs "
               "meanwhile)",
               folder);
        return CLI_FAILED;
    }
    int length = snprintf(to, sizeof to, "%s/%s", output, id);
    for (uint32_t k = 2; length < PATH_MAX && stat(to, &status) == 0; k++)
        length = snprintf(to, sizeof to, "%s/%s.%u", output, id, k);
    if (length >= PATH_MAX || run_copy(folder, to) != DATASTALL_OK) {
        cli_say_clean(length >= PATH_MAX ? "the path is too long" : datastall_last_error());
        return CLI_FAILED;
    }
    return CLI_OK;
}

/* A run, or each run of a folder of runs. */
static int copy_named(const char *name, const struct merge_options *options, uint32_t *copied)
{
    char folder[PATH_MAX], path[PATH_MAX];
    struct run_entry *runs;
    uint32_t count;
    int code = cli_find_run(options->directory, name, folder);
    if (code != CLI_OK)
        return code;
    if (!job_folder_is(folder)) {
        *copied += 1;
        return copy_one(folder, options->output);
    }
    if (run_list(folder, &runs, &count) != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        return CLI_FAILED;
    }
    for (uint32_t i = 0; i < count && code == CLI_OK; i++) {
        snprintf(path, sizeof path, "%.2000s/%.255s", folder, runs[i].id);
        code = copy_one(path, options->output);
        *copied += code == CLI_OK;
    }
    run_list_free(runs, count);
    return code;
}

static int merge(const struct cli_command *command, int argc, char **argv)
{
    struct merge_options options = {0};
    uint32_t copied = 0;
    const int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (first == argc || options.output == NULL) {
        ds_say("merge: which runs, and into which folder? merge RUN... -o JOB");
        return CLI_USAGE;
    }
    if (mkdir(options.output, 0700) != 0) {
        ds_say("cannot make the folder %s: %s", options.output, strerror(errno));
        return CLI_FAILED;
    }
    int code = CLI_OK;
    for (int i = first; i < argc && code == CLI_OK; i++)
        code = copy_named(argv[i], &options, &copied);
    if (code != CLI_OK) {
        ds_say("%s holds the %u runs that came before", options.output, copied);
        return code;
    }
    printf("%s: %u run%s; next: datastall show %s%s\n", options.output, copied,
           copied == 1 ? "" : "s", strchr(options.output, '/') != NULL ? "" : "./", options.output);
    return CLI_OK;
}

static const struct cli_option merge_options[] = {
    {"output", 'o', "DIR", "the folder to create for the job"},
    {"dir", 'd', "DIR", "folder of runs (default $DATASTALL_DIR, ./datastall-runs)"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_merge_command = {
    "merge",
    "RUN... -o DIR",
    "put the runs of a job's machines together",
    "Copies runs into one folder, so that 'show' tells what the ranks of all machines\nlost "
    "together: RUN as for 'show', or a folder of runs, of which all are taken. Parts of\nits files "
    "that a run never used take no room in the copies. A folder in which\nevery machine of a job "
    "writes its own run need not be merged: show it as it is.\n"
    "'datastall help jobs' explains the rest.",
    merge_options,
    false,
    merge,
};
