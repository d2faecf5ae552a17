/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/job_folder.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/cli.h"
#include "run/listing.h"
#include "run/sweep.h"
#include "runfile/rundir.h"

/* How many run files a folder has itself. */
static uint32_t count_files(const char *folder)
{
    char **names;
    uint32_t count = 0;
    if (rf_run_files(folder, &names, &count, NULL) == DATASTALL_OK)
        rf_run_files_free(names, count);
    return count;
}

/* Whether there is any folder in it, but hidden ones. */
static bool has_folders(const char *folder)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;
    bool found = false;
    while (directory != NULL && !found && (entry = readdir(directory)) != NULL) {
        char path[PATH_MAX];
        struct stat status;
        found = entry->d_name[0] != '.' &&
                snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < PATH_MAX &&
                stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    }
    if (directory != NULL)
        closedir(directory);
    return found;
}

bool job_folder_is(const char *folder)
{
    return count_files(folder) == 0 && has_folders(folder);
}

static void note_problems(struct job_document *document, const char *run, const char *sentence,
                          uint32_t problems)
{
    if (document->problems == 0)
        snprintf(document->first_problem, sizeof document->first_problem, "%.200s: %.300s", run,
                 sentence);
    document->problems += problems;
}

/* What the ranks of a run were told to have in common; "": nothing. */
static const char *id_of(const struct run_data *data)
{
    for (uint32_t i = 0; i < data->process_count; i++) {
        if (data->processes[i].view.fixed.rank != DATASTALL_UNKNOWN)
            return data->processes[i].view.fixed.job;
    }
    return "";
}

static void describe_run(const struct summary *summary, struct job_run *run)
{
    const struct run_data *data = summary->data;
    snprintf(run->id, sizeof run->id, "%s", data->id);
    run->processes = summary->process_count;
    run->state = summary->state;
    run->duration_ns = summary->duration_ns;
    if (data->process_count == 0)
        return;
    snprintf(run->node, sizeof run->node, "%s", summary_node(&data->processes[0].view.fixed));
}

static void add_rate(double *sum, double rate)
{
    if (!isnan(rate))
        *sum = isnan(*sum) ? rate : *sum + rate;
}

static void add_window(struct job_document *document, const struct summary *summary)
{
    if (summary->begin_ns == DATASTALL_UNKNOWN || summary->end_ns < summary->begin_ns)
        return;
    const double window_s = (double)(summary->end_ns - summary->begin_ns) * 1e-9;
    document->window_s = fmax(isnan(document->window_s) ? 0 : document->window_s, window_s);
}

static void add_batch_sizes(struct job_document *document, const struct summary *summary)
{
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const uint64_t size = summary->loaders[i].data->entry.batch_size;
        if (summary->loaders[i].in_verdict && size != document->batch_size)
            document->batch_size = document->batch_size == 0 ? size : DATASTALL_UNKNOWN;
    }
}

/* Machines that recorded nothing say nothing of how fast the others were. */
static void add_rates(struct job_document *document, const struct summary *summary)
{
    struct rates rates;
    rates_of(summary, &rates);
    if (summary->worst != UINT32_MAX)
        rates_add(&document->rates, &rates);
    add_window(document, summary);
    add_batch_sizes(document, summary);
}

/* One run of the job; one of another is left out. False: no memory. */
static bool take_run(struct job_document *document, struct job *job, const struct run_data *data)
{
    struct summary *summary;
    if (summary_make_bare(data, ds_now_ns(), &summary) != DATASTALL_OK)
        return false;
    const struct throughput rates = throughput_of(summary);
    add_rate(&document->throughput.batches_per_s, rates.batches_per_s);
    add_rate(&document->throughput.samples_per_s, rates.samples_per_s);
    add_rates(document, summary);
    summary_add_others(summary, &document->others);
    describe_run(summary, &document->runs[document->run_count++]);
    const bool added = job_add(job, summary);
    summary_free(summary);
    return added;
}

/* "slurm-4711" is also every job that was started within it: "slurm-4711/torchrun-a". */
static bool is_within(const char *own, const char *id)
{
    const size_t length = strlen(id);
    return strncmp(own, id, length) == 0 && (own[length] == '\0' || own[length] == '/');
}

/* The id that is asked for, or that of the first run; false: the run is of another job. */
static bool is_wanted(const struct run_data *data, bool given, char *id, bool *several)
{
    const char *own = id_of(data);
    if (!given && id[0] == '\0')
        snprintf(id, sizeof((struct rf_process_static *)0)->job, "%s", own);
    const bool wanted = given ? is_within(own, id) : strcmp(id, own) == 0;
    *several |= !given && !wanted && own[0] != '\0';
    return wanted;
}

static int read_runs(const char *folder, const struct run_entry *runs, uint32_t count, char *id,
                     bool given, struct job_document *document, struct job *job)
{
    bool several = false;
    for (uint32_t i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct run_data *data;
        if (snprintf(path, sizeof path, "%s/%s", folder, runs[i].id) >= PATH_MAX ||
            run_data_read_of_many(path, &data) != DATASTALL_OK) {
            note_problems(document, runs[i].id, datastall_last_error(), 1);
            continue;
        }
        bool taken = true;
        if (is_wanted(data, given, id, &several)) {
            if (data->problems > 0)
                note_problems(document, runs[i].id, data->first_problem, data->problems);
            taken = take_run(document, job, data);
        }
        run_data_free(data);
        if (!taken)
            return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    if (several)
        return ds_fail(DATASTALL_ERR_ARGUMENT,
                       "%s holds runs of several jobs; choose one with --job, as in --job %s",
                       folder, id);
    return DATASTALL_OK;
}

static uint32_t count_ranks(const char *folder, const struct run_entry *runs, uint32_t count)
{
    char path[PATH_MAX];
    uint32_t files = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (snprintf(path, sizeof path, "%s/%s", folder, runs[i].id) < PATH_MAX)
            files += count_files(path);
    }
    return files;
}

static int fill(const char *folder, const struct run_entry *runs, uint32_t count, const char *given,
                struct job_document *document)
{
    char id[sizeof((struct rf_process_static *)0)->job] = "";
    struct job *job = job_begin(count_ranks(folder, runs, count));
    document->runs = calloc(count + 1, sizeof *document->runs);
    if (job == NULL || document->runs == NULL) {
        job_free(job);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    if (given != NULL)
        snprintf(id, sizeof id, "%s", given);
    int error = read_runs(folder, runs, count, id, given != NULL, document, job);
    if (error == DATASTALL_OK &&
        !job_settle_in_detail(job, &document->figures, &document->details)) {
        document->is_none = true;
        error = ds_fail(DATASTALL_ERR_NOT_FOUND, "no two ranks%s%s recorded anything in %s",
                        id[0] != '\0' ? " of job " : "", id, folder);
    }
    job_free(job);
    job_card_judge(document);
    return error;
}

/* A folder of runs, or a run that is a job of its own. */
static int fill_from(const char *folder, const char *id, struct job_document *document)
{
    struct run_entry *runs;
    uint32_t count;
    if (id == NULL && !job_folder_is(folder)) {
        char base[PATH_MAX];
        const char *slash = strrchr(folder, '/');
        struct run_entry run = {.id = (char *)(slash != NULL ? slash + 1 : folder)};
        snprintf(base, sizeof base, "%.*s", slash != NULL ? (int)(slash - folder) : 1,
                 slash != NULL ? folder : ".");
        return fill(base, &run, 1, NULL, document);
    }
    const int listed = run_list(folder, &runs, &count);
    if (listed != DATASTALL_OK)
        return listed;
    const int error = fill(folder, runs, count, id, document);
    run_list_free(runs, count);
    return error;
}

int job_folder_read(const char *folder, const char *id, struct job_document **result)
{
    run_sweep(NULL, NULL);
    struct job_document *document = calloc(1, sizeof *document);
    *result = document;
    int error = document == NULL ? ds_fail(DATASTALL_ERR_MEMORY, "out of memory") : DATASTALL_OK;
    if (error == DATASTALL_OK) {
        document->throughput = (struct throughput){NAN, NAN};
        document->window_s = NAN;
        error = fill_from(folder, id, document);
    }
    if (error != DATASTALL_OK) {
        const bool is_none = document != NULL && document->is_none;
        cli_say_clean(datastall_last_error());
        job_folder_free(document);
        *result = NULL;
        return is_none ? CLI_NOT_COMPARABLE : CLI_FAILED;
    }
    return document->problems > 0 ? CLI_DAMAGED : CLI_OK;
}

void job_folder_free(struct job_document *document)
{
    if (document != NULL) {
        free(document->runs);
        job_details_free(&document->details);
    }
    free(document);
}
