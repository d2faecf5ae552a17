/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall export`: runs in other programs' formats. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/live.h"
#include "cli/write_file.h"
#include "output/openmetrics.h"

#define MAX_BASES 32u

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
    int error = openmetrics_write(runs, count, now_ns, NULL, format, &text, &length);
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

static int run_export(const struct cli_command *command, int argc, char **argv)
{
    struct export_options options = {.format = "openmetrics"};
    int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    enum openmetrics_format format = OPENMETRICS_1_0;
    if (strcmp(options.format, "prometheus") == 0) {
        format = OPENMETRICS_PROMETHEUS;
    } else if (strcmp(options.format, "openmetrics") != 0) {
        char hint[64];
        struct nearest nearest = {.word = options.format};
        nearest_offer(&nearest, "openmetrics", "openmetrics");
        nearest_offer(&nearest, "prometheus", "prometheus");
        ds_say("export: there is no format '%s'%s; there are openmetrics and prometheus",
               options.format, nearest_hint(&nearest, "", hint, sizeof hint));
        return CLI_USAGE;
    }
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
    {"format", 'f', "FORMAT", "openmetrics (1.0) or prometheus (text format 0.0.4)"},
    {"output", 'o', "FILE", "write to FILE, whole or not at all (default: standard output)"},
    {"force", '\0', NULL, "replace FILE; a pipe or a device is written to, and never replaced"},
    {"dir", 'd', "DIR", "a folder of runs instead of all that are found; may be repeated"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_export_command = {
    "export",
    "[RUN...]",
    "runs as text for other programs",
    "Writes the RUNs, or every run on this machine that runs or ended within the last\n"
    "ten minutes, with the metrics that 'datastall serve' gives: for the textfile collector of "
    "the\n"
    "Prometheus node exporter, datastall export --force -o FOLDER/datastall.prom from a\n"
    "timer. docs/metrics.md explains each metric.",
    export_options,
    false,
    run_export,
};
