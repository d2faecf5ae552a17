/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/live.h"
#include "run/listing.h"
#include "run/sweep.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

#define MAX_FOLDERS 256u

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* What is to be known of a run to find it. */
struct launched {
    char name[sizeof((struct rf_process_static *)0)->name]; /* "": none was given */
    bool failed_start; /* nothing recorded, and its command ended with an error */
};

static struct launched launched_of(const char *base, const char *id)
{
    char folder[PATH_MAX], place[PATH_MAX], path[PATH_MAX], **names;
    struct launched launched = {.name = ""};
    struct rf_process_view view;
    struct run_reader *reader;
    uint32_t count = 0;
    if (snprintf(folder, sizeof folder, "%s/%s", base, id) >= PATH_MAX)
        return launched;
    rf_run_reading_place(folder, place);
    if (rf_run_files(place, &names, &count, NULL) == DATASTALL_OK)
        rf_run_files_free(names, count);
    if (snprintf(path, sizeof path, "%s/" RF_LAUNCHER_FILE, place) >= PATH_MAX ||
        run_reader_open(path, &reader) != DATASTALL_OK) {
        launched.failed_start = count == 0;
        return launched;
    }
    if (run_reader_process(reader, &view)) {
        snprintf(launched.name, sizeof launched.name, "%s", view.fixed.name);
        launched.failed_start = count <= 1 && view.words[RF_PROCESS_EXIT_KNOWN] == 1 &&
                                view.words[RF_PROCESS_EXIT_STATUS] != 0;
    }
    run_reader_close(reader);
    return launched;
}

/* The newest one that started; where none did, the newest. -1: there is none. */
static int newest(const char *base, const struct run_entry *runs, uint32_t count)
{
    for (uint32_t i = count; i-- > 0;) {
        if (!launched_of(base, runs[i].id).failed_start)
            return (int)i;
    }
    return (int)count - 1;
}

/* The run whose id is `name`; else the newest that was given it as its name; else the only one in
 * whose id or name it is found. -1: none, -2: several. */
static int match(const char *base, const struct run_entry *runs, uint32_t count, const char *name)
{
    int found = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(runs[i].id, name) == 0)
            return (int)i;
    }
    for (uint32_t i = count; i-- > 0;) {
        const struct launched launched = launched_of(base, runs[i].id);
        if (strcmp(launched.name, name) == 0)
            return (int)i;
        if (strstr(runs[i].id, name) != NULL || strstr(launched.name, name) != NULL)
            found = found == -1 ? (int)i : -2;
    }
    return found;
}

/* By its id, or by the name that stands in it: "20261128-101500-train.py". */
static void say_no_run(const char *base, const struct run_entry *runs, uint32_t count,
                       const char *name)
{
    struct nearest nearest = {.word = name};
    char hint[NAME_MAX + 32];
    for (uint32_t i = 0; i < count; i++) {
        const char *dash = strchr(runs[i].id, '-');
        dash = dash != NULL ? strchr(dash + 1, '-') : NULL;
        if (dash != NULL)
            nearest_offer(&nearest, dash + 1, runs[i].id);
        nearest_offer(&nearest, runs[i].id, runs[i].id);
    }
    ds_say("there is no run '%s' in %s%s; see 'datastall ls'", name, base,
           nearest_hint(&nearest, "", hint, sizeof hint));
}

/* The folder that a path names, without the slashes at its end. */
static int folder_at(const char *name, char *folder)
{
    if (!is_folder(name)) {
        ds_say("there is no run folder %s", name);
        return CLI_FAILED;
    }
    snprintf(folder, PATH_MAX, "%s", name);
    for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--)
        folder[n - 1] = '\0';
    return CLI_OK;
}

int cli_find_run(const char *directory, const char *name, char *folder)
{
    const char *base = rf_base_directory(directory);
    struct run_entry *runs;
    uint32_t count;
    run_sweep(NULL, NULL);
    if (name != NULL && strchr(name, '/') != NULL)
        return folder_at(name, folder);
    if (run_list(base, &runs, &count) != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        return CLI_FAILED;
    }
    const bool named = name != NULL && name[0] != '\0';
    int found = named          ? match(base, runs, count, name)
                : name == NULL ? newest(base, runs, count)
                               : -1;
    if (found >= 0)
        snprintf(folder, PATH_MAX, "%s/%s", base, runs[found].id);
    else if (named && found == -1 && is_folder(name))
        snprintf(folder, PATH_MAX, "%s", name);
    else if (name == NULL)
        ds_say("there are no runs in %s; make one with: datastall run python train.py", base);
    else if (found == -2)
        ds_say("'%s' is in the id or name of several runs in %s; see 'datastall ls'", name, base);
    else
        say_no_run(base, runs, count, name);
    bool ok = found >= 0 || (named && found == -1 && is_folder(name));
    run_list_free(runs, count);
    return ok ? CLI_OK : CLI_FAILED;
}

int cli_last_runs(const char *directory, uint32_t wanted, char (*folders)[PATH_MAX])
{
    const char *base = rf_base_directory(directory);
    struct run_entry *runs;
    uint32_t count, found = 0;
    run_sweep(NULL, NULL);
    if (run_list(base, &runs, &count) != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        return CLI_FAILED;
    }
    for (uint32_t i = count; i-- > 0 && found < wanted;) {
        if (!launched_of(base, runs[i].id).failed_start)
            snprintf(folders[wanted - ++found], PATH_MAX, "%s/%s", base, runs[i].id);
    }
    run_list_free(runs, count);
    if (found < wanted)
        ds_say("there are only %u runs in %s", found, base);
    return found < wanted ? CLI_FAILED : CLI_OK;
}

/* Copies of the folders of several names; free() the first *found of them. */
static int find_runs(const char *directory, char *const *names, int count, char **folders,
                     uint32_t room, uint32_t *found)
{
    char folder[PATH_MAX];
    *found = 0;
    if (count > (int)room) {
        ds_say("at most %u runs at a time", room);
        return CLI_USAGE;
    }
    for (int i = 0; i < count; i++) {
        const int code = cli_find_run(directory, names[i], folder);
        if (code != CLI_OK)
            return code;
        folders[*found] = realpath(folder, NULL);
        if (folders[*found] == NULL) {
            ds_say("there is no run '%s'", names[i]);
            return CLI_FAILED;
        }
        bool twice = false;
        for (uint32_t k = 0; k < *found; k++)
            twice |= strcmp(folders[k], folders[*found]) == 0;
        if (twice)
            free(folders[*found]);
        else
            ++*found;
    }
    return CLI_OK;
}

int cli_open_live(const char *const *bases, uint32_t base_count, char *const *names, int count,
                  struct live **live, uint32_t *named)
{
    char *folders[MAX_FOLDERS];
    struct live_options wanted = {
        .bases = bases, .base_count = base_count, .folders = (const char *const *)folders};
    *live = NULL;
    int code = find_runs(base_count > 0 ? bases[0] : NULL, names, count, folders, MAX_FOLDERS,
                         &wanted.folder_count);
    if (wanted.folder_count > 0)
        wanted.base_count = 0;
    if (code == CLI_OK)
        *live = live_open(&wanted);
    if (code == CLI_OK && *live == NULL)
        code = CLI_FAILED;
    *named = wanted.folder_count;
    for (uint32_t i = 0; i < wanted.folder_count; i++)
        free(folders[i]);
    return code;
}

int cli_live_code(const struct live *live, const char *command, uint32_t named)
{
    uint32_t count;
    live_runs(live, &count);
    const uint32_t problems = live_problems(live);
    if (count < named)
        ds_say("%s: %u of %u runs cannot be read%s%s", command, named - count, named,
               problems > 0 ? ": " : "", live_first_problem(live));
    else if (problems > 0)
        ds_say("%s: %u problem%s in run files; the first: %s", command, problems,
               problems == 1 ? "" : "s", live_first_problem(live));
    return count < named ? CLI_FAILED : problems > 0 ? CLI_DAMAGED : CLI_OK;
}

void cli_say_clean(const char *sentence)
{
    ds_say("%s", sentence);
}

int cli_load(const char *folder, struct run_data **data, struct summary **summary, bool *damaged)
{
    *summary = NULL;
    *damaged = false;
    if (run_settle(folder) != DATASTALL_OK)
        cli_say_clean(datastall_last_error()); /* it is read where it is */
    int error = run_data_read(folder, data);
    if (error == DATASTALL_OK && (*data)->files > 0 &&
        (*data)->unreadable_files == (*data)->files) {
        cli_say_clean((*data)->first_problem);
        run_data_free(*data);
        *data = NULL;
        return CLI_FAILED;
    }
    if (error == DATASTALL_OK && (*data)->files == 0) {
        char why[512];
        run_explain_absence(folder, why, sizeof why);
        error = ds_fail(DATASTALL_ERR_NOT_FOUND, "%s holds no run files%s%s", folder,
                        why[0] == '\0' ? "" : ": ", why);
        run_data_free(*data);
        *data = NULL;
    }
    if (error == DATASTALL_OK)
        error = summary_make(*data, ds_now_ns(), summary);
    if (error != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        return CLI_FAILED;
    }
    *damaged = (*data)->problems > 0;
    return CLI_OK;
}
