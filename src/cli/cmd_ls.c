/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clean_text.h"
#include "base/clock.h"
#include "base/error.h"
#include "cli/cli.h"
#include "run/listing.h"
#include "run/sweep.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

struct ls_options {
    const char *directory;
    bool ids;
};

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct ls_options *options = context;
    if (strcmp(option->name, "ids") == 0)
        options->ids = true;
    else
        options->directory = value;
    return 0;
}

/* For scripts: no run is opened for it. */
static int list_ids(const char *base)
{
    struct run_entry *runs;
    uint32_t count;
    char id[256];
    if (run_list(base, &runs, &count) != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        return CLI_FAILED;
    }
    for (uint32_t i = 0; i < count; i++)
        puts(ds_clean_text(runs[i].id, id, sizeof id));
    run_list_free(runs, count);
    return CLI_OK;
}

/* Below a run whose launcher did not end it: what that means, and where the run is. */
static void tell_of_launcher(const struct summary *summary)
{
    char text[256], clean[1024];
    if (summary == NULL)
        return;
    summary_launcher_text(summary, text, sizeof text);
    if (text[0] == '\0')
        return;
    const char *place = summary->data->recorded_at;
    printf("  %s%s%s\n", text, place[0] == '\0' ? "" : "; it is recorded in ",
           ds_clean_text(place, clean, sizeof clean));
}

/* A run on tmpfs that cannot come home, for ls and doctor alike. */
static void tell_of_orphan(void *context, const struct run_orphan *orphan)
{
    (void)context;
    ds_say("%s holds a run%s%s: %s; to remove it: rm -r %s", orphan->tmpfs,
           orphan->home[0] == '\0' ? "" : " of ", orphan->home, orphan->sentence, orphan->tmpfs);
}

/* True when the run could be read, all of it. */
static bool list_run(const char *base, const char *id)
{
    char folder[PATH_MAX], duration[32] = "-", share[32] = "-";
    char name[256], command[61], problem[512];
    struct run_data *data;
    struct summary *summary = NULL;
    if (snprintf(folder, sizeof folder, "%s/%s", base, id) >= PATH_MAX ||
        run_data_read(folder, &data) != DATASTALL_OK)
        return false;
    ds_clean_text(id, name, sizeof name);
    bool readable = data->files > data->unreadable_files &&
                    summary_make(data, ds_now_ns(), &summary) == DATASTALL_OK;
    if (readable) {
        summary_duration_text((double)summary->duration_ns * 1e-9, duration, sizeof duration);
        if (!isnan(summary->stall_share))
            snprintf(share, sizeof share, "%s%.1f %%", summary->upper_bound ? "<=" : "",
                     summary->stall_share * 100);
        printf("%-40s %-8s %9s %10s  %-9s %s\n", name, summary_state_name(summary->state), duration,
               share, summary_severity_name(summary->severity),
               ds_clean_text(summary->command, command, sizeof command));
    } else {
        char why[512];
        run_explain_absence(folder, why, sizeof why);
        printf(
            "%-40s %-8s %9s %10s  %-9s %s\n", name, data->files == 0 ? "empty" : "unread", "-", "-",
            "unknown",
            ds_clean_text(data->files == 0 ? why : data->first_problem, problem, sizeof problem));
    }
    tell_of_launcher(summary);
    const bool whole = data->problems == 0 && (readable || data->files == 0);
    summary_free(summary);
    run_data_free(data);
    return whole;
}

static int list(const struct cli_command *command, int argc, char **argv)
{
    struct ls_options options = {0};
    int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (first < argc) {
        ds_say("ls: takes no argument; see 'datastall help ls'");
        return CLI_USAGE;
    }
    const char *base = rf_base_directory(options.directory);
    if (options.ids)
        return list_ids(base);
    struct run_entry *runs;
    uint32_t count;
    run_sweep(tell_of_orphan, NULL);
    if (run_list(base, &runs, &count) != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        return CLI_FAILED;
    }
    if (count == 0) {
        ds_say("there are no runs in %s; make one with: datastall run python train.py", base);
        return CLI_OK;
    }
    uint32_t damaged = 0;
    printf("%-40s %-8s %9s %10s  %-9s %s\n", "RUN", "STATE", "DURATION", "STALL", "SEVERITY",
           "COMMAND");
    for (uint32_t i = 0; i < count; i++)
        damaged += !list_run(base, runs[i].id);
    run_list_free(runs, count);
    if (damaged > 0)
        ds_say("ls: %u of %u runs cannot be read or are damaged: 'datastall show RUN' says more",
               damaged, count);
    return damaged == 0 ? CLI_OK : CLI_DAMAGED;
}

static const struct cli_option ls_options[] = {
    {"ids", '\0', NULL, "print nothing but the runs' ids"},
    {"dir", 'd', "DIR", "folder of runs (default $DATASTALL_DIR, ./datastall-runs)"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_ls_command = {
    "ls",
    "",
    "the runs, oldest first",
    "Lists the runs with their state, duration, input stall share and severity.\n"
    "A share with <= is an upper bound.",
    ls_options,
    false,
    list,
};
