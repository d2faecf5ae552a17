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

/* The run whose id is `name`, else the only one whose id begins with it; -1 none, -2 several. */
static int match(const struct run_entry *runs, uint32_t count, const char *name)
{
    int found = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(runs[i].id, name) == 0)
            return (int)i;
        if (strncmp(runs[i].id, name, strlen(name)) == 0)
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

int cli_find_run(const char *directory, const char *name, char *folder)
{
    const char *base = rf_base_directory(directory);
    struct run_entry *runs;
    uint32_t count;
    run_sweep(NULL, NULL);
    if (name != NULL && strchr(name, '/') != NULL) {
        if (!is_folder(name)) {
            ds_say("there is no run folder %s", name);
            return CLI_FAILED;
        }
        snprintf(folder, PATH_MAX, "%s", name);
        for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--)
            folder[n - 1] = '\0';
        return CLI_OK;
    }
    if (run_list(base, &runs, &count) != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        return CLI_FAILED;
    }
    int found = name != NULL ? match(runs, count, name) : (int)count - 1;
    if (found >= 0)
        snprintf(folder, PATH_MAX, "%s/%s", base, runs[found].id);
    else if (name != NULL && found == -1 && is_folder(name))
        snprintf(folder, PATH_MAX, "%s", name);
    else if (name == NULL)
        ds_say("there are no runs in %s; make one with: datastall run python train.py", base);
    else if (found == -2)
        ds_say("several runs in %s begin with '%s'; see 'datastall ls'", base, name);
    else
        say_no_run(base, runs, count, name);
    bool ok = found >= 0 || (name != NULL && found == -1 && is_folder(name));
    run_list_free(runs, count);
    return ok ? CLI_OK : CLI_FAILED;
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
