/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall predict`: what other settings of the loaders of a run would give. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean_text.h"
#include "base/error.h"
#include "cli/cli.h"
#include "diagnose/parts.h"
#include "output/json.h"
#include "output/put.h"
#include "output/shape_predict.h"
#include "output/text_predict.h"

#define MOST_WORKERS MACHINE_WORKERS
#define MOST_PREFETCH 64u

struct predict_command {
    const char *directory;
    bool json, has_workers;
    struct predict_options options;
};

/* "3" or "0..16" */
static bool parse_range(const char *name, const char *text, unsigned most, uint32_t *from,
                        uint32_t *to)
{
    unsigned first, last;
    int used = 0, used_all = 0;
    const int got = sscanf(text, "%u%n..%u%n", &first, &used, &last, &used_all);
    if (got == 1 && text[used] == '\0')
        last = first;
    else if (got != 2 || text[used_all] != '\0')
        last = most + 1;
    if (text[0] < '0' || text[0] > '9' || last > most || first > last) {
        ds_say("predict: --%s takes a number or a range up to %u, as in 0..8, not '%s'", name, most,
               text);
        return false;
    }
    *from = first;
    *to = last;
    return true;
}

static bool parse_cpus(const char *text, double *cpus)
{
    char *end;
    *cpus = strtod(text, &end);
    if (end != text && *end == '\0' && *cpus >= 0.25 && *cpus <= MACHINE_CPUS)
        return true;
    ds_say("predict: --cpus takes a number from 0.25 to %u, not '%s'", MACHINE_CPUS, text);
    return false;
}

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct predict_command *command = context;
    struct predict_options *options = &command->options;
    bool taken = true;
    if (strcmp(option->name, "dir") == 0) {
        command->directory = value;
    } else if (strcmp(option->name, "json") == 0) {
        command->json = true;
    } else if (strcmp(option->name, "workers") == 0) {
        command->has_workers = true;
        taken = parse_range("workers", value, MOST_WORKERS, &options->workers_from,
                            &options->workers_to);
    } else if (strcmp(option->name, "prefetch") == 0) {
        taken = parse_range("prefetch", value, MOST_PREFETCH, &options->prefetch_from,
                            &options->prefetch_to);
        if (taken && options->prefetch_from == 0) {
            ds_say("predict: --prefetch begins at 1");
            taken = false;
        }
    } else {
        taken = parse_cpus(value, &options->cpus);
    }
    return taken ? 0 : -1;
}

/* In place of what the summary told. False: out of memory. */
static bool predict_all(struct summary *summary, const struct predict_command *command)
{
    uint32_t made = 0;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        struct summary_loader *loader = &summary->loaders[i];
        const struct summary_process *process = &summary->processes[loader->process];
        free(loader->predict);
        loader->predict = NULL;
        if (!loader->in_verdict || made == SUMMARY_PREDICTED)
            continue;
        struct predict_options options = command->options;
        if (!command->has_workers) {
            const struct predict_options usual = predict_usual(loader->data, &loader->why);
            options.workers_from = usual.workers_from;
            options.workers_to = usual.workers_to;
        }
        loader->predict = predict_make(process->data, loader->data, &loader->why,
                                       summary_may_hide_waits(summary, process), &options);
        if (loader->predict == NULL)
            return false;
        made++;
    }
    return true;
}

static void shape(const void *context, const struct emitter *e)
{
    const struct summary *summary = context;
    e->open_object(e->context, NULL);
    put_string(e, "run", summary->data->id);
    e->open_array(e->context, "loaders");
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        const struct summary_process *process = &summary->processes[loader->process];
        e->open_object(e->context, NULL);
        put_string(e, "name", loader->data->entry.name);
        put_string(e, "site", loader->data->entry.site);
        put_integer(e, "rank", summary_rank(process));
        put_integer(e, "pid", process->data->view.fixed.pid);
        output_predict_shape(loader->predict, e);
        e->close(e->context);
    }
    e->close(e->context);
    e->close(e->context);
}

/* Whether anything was predicted. */
static bool print(const struct summary *summary)
{
    uint32_t told = 0, left = 0;
    bool predicted = false;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        const uint64_t rank = summary_rank(&summary->processes[loader->process]);
        char name[128], line[192];
        if (loader->predict == NULL) {
            left += loader->in_verdict;
            continue;
        }
        ds_clean_text(loader->data->entry.name, name, sizeof name);
        if (rank == DATASTALL_UNKNOWN)
            snprintf(line, sizeof line, "%s", name);
        else
            snprintf(line, sizeof line, "%s, rank %llu", name, (unsigned long long)rank);
        predicted |= loader->predict->says[0] == '\0';
        if (told++ > 0)
            fputc('\n', stdout);
        output_predict_text(loader->predict, line, stdout);
    }
    if (told == 0)
        printf("no loader of this run was recorded by the hooks: nothing to predict from\n");
    if (left > 0)
        printf("\n%u more loaders: --json has them all\n", left);
    return predicted;
}

static int run(const struct cli_command *table, int argc, char **argv)
{
    struct predict_command command = {.options = {.cpus = NAN}};
    char folder[PATH_MAX];
    int first = cli_parse(table, argc, argv, take, &command);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (argc - first > 1) {
        ds_say("predict: one run at a time; see 'datastall help predict'");
        return CLI_USAGE;
    }
    int code = cli_find_run(command.directory, first < argc ? argv[first] : NULL, folder);
    struct run_data *data;
    struct summary *summary;
    bool damaged;
    if (code == CLI_OK)
        code = cli_load(folder, &data, &summary, &damaged);
    if (code != CLI_OK)
        return code;
    if (!predict_all(summary, &command) ||
        (command.json && output_json_document(shape, summary, stdout) != DATASTALL_OK)) {
        ds_say("predict: out of memory");
        code = CLI_FAILED;
    } else if (!command.json) {
        const bool predicted = print(summary);
        printf("\n%-8s %s\n", "NEXT",
               predicted ? "datastall run --set num_workers=N -- CMD   (datastall help prediction)"
                         : "datastall help prediction");
    }
    if (damaged) {
        cli_say_clean(data->first_problem);
        code = code == CLI_OK ? CLI_DAMAGED : code;
    }
    summary_free(summary);
    run_data_free(data);
    return code;
}

static const struct cli_option predict_options[] = {
    {"workers", 'w', "A..B", "numbers of workers (default: 0 to twice the CPUs)"},
    {"prefetch", 'p', "A..B", "prefetch factors (default: that of the run)"},
    {"cpus", 'c', "N", "as if the program had N CPUs (default: those it had)"},
    {"json", '\0', NULL, "as JSON ('datastall help json': predicted)"},
    {"dir", 'd', "DIR", "folder of runs (default $DATASTALL_DIR, ./datastall-runs)"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_predict_command = {
    "predict",
    "[RUN]",
    "what other settings of its loaders would give",
    "Replays the batches of a run (the newest one, or RUN) with other numbers of workers\n"
    "and prefetch factors: samples/s and how much of the time the program would wait, each\n"
    "with an interval that holds 9 of 10 measured values. The run itself is replayed first;\n"
    "past 10 % of error nothing is predicted. 'datastall help prediction' has method and limits.",
    predict_options,
    false,
    run,
};
