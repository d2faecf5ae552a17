/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall tune`: runs a command as it is, predicts, tries the best prediction, compares, and goes on
 * while a better one is predicted. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean_text.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "cli/tune_trial.h"
#include "diagnose/parts.h"
#include "diagnose/predict.h"
#include "run/listing.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

#define MOST_TRIALS 20u
#define MOST_WORKERS_TRIED 16u
#define USUAL_PREFETCH 2u /* torch's, where there are workers */
#define LEAST_LIKELY 1.02 /* times as fast: less is not worth a trial */

struct tune_options {
    const char *directory;
    double seconds;
    unsigned trials;
};

struct tried {
    uint32_t num_workers, prefetch_factor;
    struct range predicted; /* samples/s; NaN: as it is */
    double measured;        /* samples/s */
};

struct tuning {
    const struct tune_options *options;
    char **command;
    char site[128]; /* of the loader that is tuned */
    uint32_t count, best;
    struct tried tried[MOST_TRIALS + 1];
    char says[320]; /* why it ends */
};

/* ---- options ---- */

static bool parse_seconds(const char *text, double *seconds)
{
    char *unit;
    *seconds = strtod(text, &unit);
    const double times = strcmp(unit, "m") == 0                            ? 60
                         : strcmp(unit, "h") == 0                          ? 3600
                         : strcmp(unit, "s") == 0 || strcmp(unit, "") == 0 ? 1
                                                                           : NAN;
    *seconds *= times;
    if (unit != text && *seconds >= 1 && *seconds <= 86400)
        return true;
    ds_say("tune: --for takes a time of at least a second, as 60s or 2m, not '%s'", text);
    return false;
}

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct tune_options *options = context;
    if (strcmp(option->name, "for") == 0)
        return parse_seconds(value, &options->seconds) ? 0 : -1;
    if (strcmp(option->name, "dir") == 0) {
        options->directory = value;
        return 0;
    }
    char *end;
    const unsigned long trials = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || trials < 1 || trials > MOST_TRIALS) {
        ds_say("tune: --trials takes a number from 1 to %u, not '%s'", MOST_TRIALS, value);
        return -1;
    }
    options->trials = (unsigned)trials;
    return 0;
}

/* ---- one trial's run ---- */

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* The folder of the run with this name; false: there is none. */
static bool find_run(const char *directory, const char *name, char folder[PATH_MAX])
{
    const char *base = rf_base_directory(directory);
    struct run_entry *runs;
    uint32_t count;
    bool found = false;
    if (run_list(base, &runs, &count) != DATASTALL_OK)
        return false;
    for (uint32_t i = count; i-- > 0 && !found;) {
        found = ends_with(runs[i].id, name);
        if (found)
            snprintf(folder, PATH_MAX, "%s/%s", base, runs[i].id);
    }
    run_list_free(runs, count);
    return found;
}

/* Its first iter() makes a process's file. */
static bool has_begun(struct tune_trial *trial)
{
    char place[PATH_MAX], **names;
    uint32_t count;
    bool begun = false;
    /* Looked for once: every run of the folder is listed for it. */
    if (trial->folder[0] == '\0' && !find_run(trial->directory, trial->name, trial->folder))
        return false;
    rf_run_reading_place(trial->folder, place);
    if (rf_run_files(place, &names, &count, NULL) != DATASTALL_OK)
        return false;
    for (uint32_t i = 0; i < count; i++)
        begun |= strcmp(names[i], RF_LAUNCHER_FILE) != 0;
    rf_run_files_free(names, count);
    return begun;
}

/* Samples per second; of a loader that was cut short in its first epoch, without the start of that. */
static double rate_of(const struct summary_loader *loader)
{
    const struct why *why = &loader->why;
    const uint64_t start_ns = loader->figures.iterators <= 1 ? why->first_ns : 0;
    return why->active_ns <= start_ns || loader->figures.samples == DATASTALL_UNKNOWN
               ? NAN
               : (double)loader->figures.samples / (double)(why->active_ns - start_ns) * 1e9;
}

/* That of the site, or, where none is chosen yet, the one with the longest stall. What no DataLoader
 * makes has no setting. */
static const struct summary_loader *choose_loader(const struct summary *summary, const char *site)
{
    const struct summary_loader *chosen = NULL;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        if (!loader->in_verdict || loader->data->entry.site[0] == '\0' ||
            loader->data->entry.num_workers == DATASTALL_UNKNOWN ||
            (site[0] != '\0' && strcmp(loader->data->entry.site, site) != 0))
            continue;
        if (chosen == NULL || loader->why.stall_ns > chosen->why.stall_ns)
            chosen = loader;
    }
    return chosen;
}

static struct predict *predict_loader(const struct summary *summary,
                                      const struct summary_loader *loader)
{
    const struct summary_process *process = &summary->processes[loader->process];
    struct predict_options options = predict_usual(loader->data, &loader->why);
    options.workers_to = MOST_WORKERS_TRIED;
    options.goes_on = true;
    return predict_make(process->data, loader->data, &loader->why,
                        summary_may_hide_waits(summary, process), &options);
}

/* ---- what to try next ---- */

static bool was_tried(const struct tuning *tuning, const struct predict_setting *one)
{
    for (uint32_t i = 0; i < tuning->count; i++) {
        if (tuning->tried[i].num_workers == one->num_workers &&
            tuning->tried[i].prefetch_factor == one->prefetch_factor)
            return true;
    }
    return false;
}

/* The best setting that a run predicts, if it is likely better than the best that was measured. */
static bool choose_next(struct tuning *tuning, const struct predict *predict, struct tried *next)
{
    if (predict == NULL || predict->says[0] != '\0' || predict->best == UINT32_MAX) {
        snprintf(tuning->says, sizeof tuning->says, "nothing more is predicted: %s",
                 predict != NULL && predict->says[0] != '\0' ? predict->says : "no setting");
        return false;
    }
    const struct predict_setting *best = &predict->settings[predict->best];
    const double least = tuning->tried[tuning->best].measured * LEAST_LIKELY;
    if (was_tried(tuning, best) || !(best->samples_per_s.mean >= least)) {
        snprintf(tuning->says, sizeof tuning->says,
                 "no other setting is predicted to be more than 2 %% faster");
        return false;
    }
    *next = (struct tried){best->num_workers, best->prefetch_factor, best->samples_per_s, NAN};
    return true;
}

/* ---- trials ---- */

/* Whether its window differs from that of the program; one without workers has none. */
static bool has_other_window(const struct tuning *tuning, const struct tried *tried)
{
    const struct tried *own = &tuning->tried[0];
    return tried->prefetch_factor > 0 && tried->prefetch_factor != own->prefetch_factor &&
           (own->prefetch_factor > 0 || tried->prefetch_factor != USUAL_PREFETCH);
}

static void setting_text(const struct tuning *tuning, const struct tried *tried, char *text,
                         size_t size)
{
    if (has_other_window(tuning, tried))
        snprintf(text, size, "num_workers=%u, prefetch_factor=%u", tried->num_workers,
                 tried->prefetch_factor);
    else
        snprintf(text, size, "num_workers=%u", tried->num_workers);
}

/* Runs one and reads it. CLI_OK with *data and *summary, else an exit code, said. */
static int run_trial(const struct tuning *tuning, const struct tried *next, struct run_data **data,
                     struct summary **summary)
{
    char name[48], workers[256], prefetch[256], setting[64] = "as it is", label[96];
    const char *sets[3] = {NULL, NULL, NULL};
    snprintf(name, sizeof name, "tune-%ld-%u", (long)getpid(), tuning->count);
    if (next != NULL) {
        snprintf(workers, sizeof workers, "%s:num_workers=%u", tuning->site, next->num_workers);
        snprintf(prefetch, sizeof prefetch, "%s:prefetch_factor=%u", tuning->site,
                 next->prefetch_factor);
        sets[0] = workers;
        sets[1] = has_other_window(tuning, next) ? prefetch : NULL;
        setting_text(tuning, next, setting, sizeof setting);
    }
    snprintf(label, sizeof label, "tune: trial %u of at most %u, %s", tuning->count,
             tuning->options->trials, setting);
    struct tune_trial trial = {.directory = tuning->options->directory,
                               .name = name,
                               .sets = sets,
                               .command = tuning->command,
                               .seconds = tuning->options->seconds,
                               .has_begun = has_begun,
                               .label = label};
    int code;
    bool damaged;
    const enum tune_end end = tune_trial_run(&trial, &code);
    if (end == TUNE_FAILED)
        ds_say("tune: the command ended with code %d before its time", code);
    if (end == TUNE_INTERRUPTED)
        ds_say("tune: interrupted");
    if (end != TUNE_ENDED)
        return end == TUNE_INTERRUPTED ? 130 : CLI_FAILED;
    if (trial.folder[0] == '\0' && !find_run(trial.directory, name, trial.folder)) {
        ds_say("tune: the command was not recorded; see 'datastall doctor'");
        return CLI_FAILED;
    }
    return cli_load(trial.folder, data, summary, &damaged);
}

/* Takes what a trial measured. False: the loader is not in it. */
static bool take_measured(struct tuning *tuning, const struct summary_loader *loader,
                          const struct predict *predict, struct tried *tried)
{
    if (loader == NULL || predict == NULL || isnan(rate_of(loader))) {
        ds_say(tuning->site[0] == '\0'
                   ? "tune: no DataLoader that the program makes was iterated in this time"
                   : "tune: the loader was not iterated in this time");
        return false;
    }
    const struct rf_loader_entry *entry = &loader->data->entry;
    snprintf(tuning->site, sizeof tuning->site, "%s", entry->site);
    const double replayed = predict->measured.samples_per_s.mean;
    tried->measured = replayed > 0 ? replayed : rate_of(loader);
    tried->num_workers = (uint32_t)entry->num_workers;
    tried->prefetch_factor = entry->num_workers == 0 ? 0 : (uint32_t)entry->prefetch_factor;
    tuning->tried[tuning->count] = *tried;
    if (tried->measured > tuning->tried[tuning->best].measured)
        tuning->best = tuning->count;
    tuning->count++;
    return true;
}

/* One trial, and what to try after it. *more: there is something. */
static int one_step(struct tuning *tuning, struct tried *next, bool *more)
{
    struct run_data *data;
    struct summary *summary;
    const bool first = tuning->count == 0;
    *more = false;
    const int code = run_trial(tuning, first ? NULL : next, &data, &summary);
    if (code != CLI_OK)
        return code;
    const double before = tuning->tried[tuning->best].measured;
    const struct summary_loader *loader = choose_loader(summary, tuning->site);
    struct predict *predict = loader == NULL ? NULL : predict_loader(summary, loader);
    const bool measured = take_measured(tuning, loader, predict, next);
    if (measured && !first && next->measured < before)
        snprintf(tuning->says, sizeof tuning->says, "that trial was slower: the last one");
    else if (measured && tuning->count > tuning->options->trials)
        snprintf(tuning->says, sizeof tuning->says, "that was the last of the trials asked for");
    else if (measured)
        *more = choose_next(tuning, predict, next);
    free(predict);
    summary_free(summary);
    run_data_free(data);
    return measured ? CLI_OK : CLI_FAILED;
}

/* ---- the end ---- */

static void print_trials(const struct tuning *tuning)
{
    printf("\n%-7s%-34s%-24s%9s%8s\n", "trial", "setting", "predicted samples/s", "measured",
           "error");
    for (uint32_t i = 0; i < tuning->count; i++) {
        const struct tried *one = &tuning->tried[i];
        char setting[64], predicted[48] = "-", error[16] = "-";
        const int digits = one->measured < 100 ? 1 : 0;
        setting_text(tuning, one, setting, sizeof setting);
        if (!isnan(one->predicted.mean)) {
            snprintf(predicted, sizeof predicted, "%.*f (%.*f to %.*f)", digits,
                     one->predicted.mean, digits, one->predicted.lower, digits,
                     one->predicted.upper);
            snprintf(error, sizeof error, "%+.1f %%",
                     100 * (one->predicted.mean / one->measured - 1));
        }
        printf("%-7s%-34s%-24s%9.*f%8s\n",
               i == 0              ? "as is"
               : i == tuning->best ? "best"
                                   : "",
               setting, predicted, digits, one->measured, error);
    }
    printf("\nended: %s\n", tuning->says);
}

static void print_command(const struct tuning *tuning, const struct tried *best)
{
    printf("COMMAND  datastall run --set '%s:num_workers=%u'", tuning->site, best->num_workers);
    if (has_other_window(tuning, best))
        printf(" --set '%s:prefetch_factor=%u'", tuning->site, best->prefetch_factor);
    printf(" --");
    for (char **word = tuning->command; *word != NULL; word++)
        printf(" %s", *word);
    putchar('\n');
}

static void print_result(const struct tuning *tuning)
{
    const struct tried *best = &tuning->tried[tuning->best];
    char setting[64], site[128];
    print_trials(tuning);
    setting_text(tuning, best, setting, sizeof setting);
    ds_clean_text(tuning->site, site, sizeof site);
    if (tuning->best == 0) {
        printf("KEEP     %s at %s is the fastest of what was tried\n", setting, site);
        return;
    }
    printf("WRITE    DataLoader(..., %s) at %s: %.2fx as fast\n", setting, site,
           best->measured / tuning->tried[0].measured);
    print_command(tuning, best);
}

static int tune(const struct cli_command *table, int argc, char **argv)
{
    struct tune_options options = {.seconds = 60, .trials = 3};
    const int first = cli_parse(table, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (argv[first] == NULL) {
        ds_say("tune: which command? For example: datastall tune python train.py");
        return CLI_USAGE;
    }
    struct tuning tuning = {.options = &options, .command = argv + first};
    struct tried next = {.predicted = {NAN, NAN, NAN}, .measured = NAN};
    bool more = true;
    int code = CLI_OK;
    ds_say("tune: the command is run up to %u times, %.0f s from the first batch on, and then "
           "ended as by Ctrl-C; what "
           "it writes (checkpoints, logs) it writes each time",
           options.trials + 1, options.seconds);
    while (more && code == CLI_OK)
        code = one_step(&tuning, &next, &more);
    if (tuning.count > 0) {
        if (tuning.says[0] == '\0')
            snprintf(tuning.says, sizeof tuning.says, "a trial did not finish");
        print_result(&tuning);
    }
    return code;
}

static const struct cli_option tune_options[] = {
    {"for", '\0', "TIME", "length of a trial once it loads: 60s, 2m (default 60s)"},
    {"trials", 't', "N", "settings to try besides the program's own (default 3)"},
    {"dir", 'd', "DIR", "folder of runs (default $DATASTALL_DIR, ./datastall-runs)"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_tune_command = {
    "tune",
    "[--] CMD...",
    "find the setting of its loader that makes a command fastest",
    "Runs CMD as it is, predicts what other settings of the loader that waits the\nmost would "
    "give, tries the best one with --set, compares, and goes on while a\nbetter one is predicted; "
    "the first trial that is slower is the last. A trial runs\nfor TIME from the first iter() on "
    "and then ends as if by Ctrl-C. Nothing in CMD is\nchanged; what CMD writes (checkpoints, "
    "logs) it writes again in each trial. Ends\nwith a table and the line to write into the "
    "program.\n'datastall help prediction' has method and limits.",
    tune_options,
    true,
    tune,
};
