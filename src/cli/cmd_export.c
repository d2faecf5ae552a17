/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall export`: runs in other programs' formats. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/live.h"
#include "cli/write_file.h"
#include "output/csv.h"
#include "output/openmetrics.h"
#include "output/perfetto.h"

#define MAX_BASES 32u
#define MOST_RUNS 16u

struct export_options {
    const char *format, *output;
    bool force;
    const char *bases[MAX_BASES];
    uint32_t base_count;
};

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct export_options *options = context;
    if (strcmp(option->name, "format") == 0) {
        options->format = value;
    } else if (strcmp(option->name, "output") == 0) {
        options->output = value;
    } else if (strcmp(option->name, "force") == 0) {
        options->force = true;
    } else if (options->base_count < MAX_BASES) {
        options->bases[options->base_count++] = value;
    } else {
        ds_say("export: at most %u folders", MAX_BASES);
        return -1;
    }
    return 0;
}

static int export_text(struct live *live, const struct export_options *options,
                       enum openmetrics_format format, uint32_t named)
{
    uint32_t count;
    const uint64_t now_ns = ds_now_ns();
    char *text;
    size_t length;
    live_refresh(live, now_ns);
    const struct summary *const *runs = live_runs(live, &count);
    const int code = cli_live_code(live, "export", named);
    if (code == CLI_FAILED)
        return code;
    const struct openmetrics_reading reading = {runs, count, now_ns, NULL};
    int error = openmetrics_write(&reading, NULL, format, &text, &length);
    if (error == DATASTALL_OK) {
        error = cli_write_output(options->output, text, length, options->force);
        free(text);
    }
    if (error != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        return CLI_FAILED;
    }
    return code;
}

/* ---- runs read once ---- */

struct export_file {
    char *text;
    size_t length;
};

static int make_file(const struct summary *const *runs, uint32_t count, bool as_csv,
                     struct export_file *made)
{
    if (!as_csv)
        return perfetto_write(runs[0], &made->text, &made->length);
    FILE *file = open_memstream(&made->text, &made->length);
    if (file == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    csv_head(file);
    for (uint32_t i = 0; i < count; i++)
        csv_write(runs[i], file);
    return fclose(file) == 0 ? DATASTALL_OK : ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
}

/* A trace is no text: a terminal would take parts of it for commands. */
static bool goes_to_terminal(const struct export_options *options)
{
    return (options->output == NULL || strcmp(options->output, "-") == 0) && isatty(STDOUT_FILENO);
}

static int export_runs(const struct export_options *options, char *const *names, uint32_t named)
{
    static struct run_data *data[MOST_RUNS];
    static struct summary *summaries[MOST_RUNS];
    const bool as_csv = strcmp(options->format, "csv") == 0;
    const uint32_t count = named == 0 ? 1 : named;
    struct export_file made = {0};
    char folder[PATH_MAX];
    int code = CLI_OK;
    bool any_damaged = false;
    if (count > (as_csv ? MOST_RUNS : 1) || options->base_count > 1) {
        ds_say("export: %s; see 'datastall help export'", options->base_count > 1
                                                              ? "one --dir at a time in this format"
                                                          : as_csv ? "at most 16 runs at a time"
                                                                   : "a trace holds one run");
        return CLI_USAGE;
    }
    if (!as_csv && goes_to_terminal(options)) {
        ds_say("export: a trace is binary; write it to a file with -o FILE");
        return CLI_USAGE;
    }
    const char *directory = options->base_count > 0 ? options->bases[0] : NULL;
    for (uint32_t i = 0; i < count && code == CLI_OK; i++) {
        bool damaged = false;
        code = cli_find_run(directory, named == 0 ? NULL : names[i], folder);
        if (code == CLI_OK)
            code = cli_load(folder, &data[i], &summaries[i], &damaged);
        if (damaged)
            cli_say_clean(data[i]->first_problem);
        any_damaged |= damaged;
    }
    if (code == CLI_OK && (make_file((const struct summary *const *)summaries, count, as_csv,
                                     &made) != DATASTALL_OK ||
                           cli_write_output(options->output, made.text, made.length,
                                            options->force) != DATASTALL_OK)) {
        cli_say_clean(datastall_last_error());
        code = CLI_FAILED;
    }
    free(made.text);
    for (uint32_t i = 0; i < count; i++) {
        if (summaries[i] != NULL) {
            summary_free(summaries[i]);
            run_data_free(data[i]);
        }
    }
    return code == CLI_OK && any_damaged ? CLI_DAMAGED : code;
}

/* ---- the command ---- */

static int say_no_format(const char *format)
{
    static const char *const formats[] = {"openmetrics", "prometheus", "perfetto", "csv"};
    char hint[64];
    struct nearest nearest = {.word = format};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        nearest_offer(&nearest, formats[i], formats[i]);
    ds_say("export: there is no format '%s'%s; there are openmetrics, prometheus, perfetto and "
           "csv",
           format, nearest_hint(&nearest, "", hint, sizeof hint));
    return CLI_USAGE;
}

static int run_export(const struct cli_command *command, int argc, char **argv)
{
    struct export_options options = {.format = "openmetrics"};
    int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    enum openmetrics_format format = OPENMETRICS_1_0;
    if (strcmp(options.format, "perfetto") == 0 || strcmp(options.format, "csv") == 0)
        return export_runs(&options, argv + first, (uint32_t)(argc - first));
    if (strcmp(options.format, "prometheus") == 0)
        format = OPENMETRICS_PROMETHEUS;
    else if (strcmp(options.format, "openmetrics") != 0)
        return say_no_format(options.format);
    struct live *live;
    uint32_t named;
    int code =
        cli_open_live(options.bases, options.base_count, argv + first, argc - first, &live, &named);
    if (code == CLI_OK)
        code = export_text(live, &options, format, named);
    live_close(live);
    return code;
}

static const struct cli_option export_options[] = {
    {"format", 'f', "FORMAT", "openmetrics (1.0), prometheus (0.0.4), perfetto or csv"},
    {"output", 'o', "FILE", "write to FILE, whole or not at all (default: standard output)"},
    {"force", '\0', NULL, "replace FILE; a pipe or a device is written to, and never replaced"},
    {"dir", 'd', "DIR", "a folder of runs instead of all that are found; may be repeated"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_export_command = {
    "export",
    "[RUN...]",
    "runs as text for other programs",
    "openmetrics, prometheus: the RUNs, or every run on this machine that runs or ended\n"
    "within the last ten minutes, with the metrics that 'datastall serve' gives: for the\n"
    "textfile collector of the Prometheus node exporter, datastall export --force -o\n"
    "FOLDER/datastall.prom from a timer. 'datastall help metrics' explains each metric.\n"
    "perfetto: a RUN (default: the newest) as a timeline for https://ui.perfetto.dev. csv:\n"
    "RUNs over time as a table. 'datastall help exporting' says what is in them.",
    export_options,
    false,
    run_export,
};
