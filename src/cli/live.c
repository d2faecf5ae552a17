/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/live.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/sweep.h"
#include "runfile/rundir.h"
#include "runfile/tmpfs.h"

#define LOOK_EVERY_NS DS_NS_PER_S          /* for new run folders */
#define SEARCH_EVERY_NS (5 * DS_NS_PER_S)  /* for folders of runs, among processes */
#define SWEEP_EVERY_NS (5 * DS_NS_PER_S)   /* for runs that come home */
#define YOUNG_FOLDER_NS (60 * DS_NS_PER_S) /* an empty one may still get its files */
#define MAX_CANDIDATES 128u
#define KEPT_MEMORY_BYTES (64 << 20)
#define SHRINK_PATIENCE_NS (2 * DS_NS_PER_S) /* while a run on tmpfs is brought home */

enum standing {
    STANDING_NEW,    /* to be looked at */
    STANDING_LISTED, /* read at each refresh, if it may have changed */
    STANDING_OLD     /* over, or of another machine: left alone until its folder changes */
};

struct live_run {
    char *path;
    uint64_t hash; /* of the path: a folder may hold thousands of old runs */
    enum standing standing;
    bool wanted;              /* named by the user: stays, however old */
    bool seen;                /* by the look under way */
    bool settled;             /* every file is closed: its figures are final */
    struct timespec changed;  /* of the folder, when it was last looked at */
    uint64_t shrunk_since_ns; /* files are missing that were there; 0: none */
    uint32_t problems;        /* found at the last reading, whether it was taken or not */
    char *first_problem;      /* NULL without any */
    struct run_data *data;
    struct summary *summary;
};

struct live {
    char *bases[LIVE_MAX_BASES];
    uint32_t base_count;
    char *candidates[MAX_CANDIDATES]; /* found, but not there yet */
    uint32_t candidate_count;
    bool searching, one_by_one;
    struct search_known *known;
    uint64_t next_look_ns, next_search_ns, next_sweep_ns;
    uint32_t run_count, run_room;
    struct live_run *runs;
    const struct summary **listed;
    uint32_t listed_count;
};

/* ---- making and freeing ---- */

static void note_problems(struct live_run *run, uint32_t problems, const char *first)
{
    free(run->first_problem);
    run->problems = problems;
    run->first_problem = problems > 0 ? strdup(first) : NULL;
}

static void forget_reading(struct live_run *run)
{
    summary_free(run->summary);
    run_data_free(run->data);
    run->summary = NULL;
    run->data = NULL;
}

static void forget_run(struct live_run *run)
{
    forget_reading(run);
    free(run->first_problem);
    free(run->path);
}

/* Takes over path (NULL: nothing). */
static void keep_base(struct live *live, char *path)
{
    for (uint32_t i = 0; path != NULL && i < live->base_count; i++) {
        if (strcmp(live->bases[i], path) == 0) {
            free(path);
            path = NULL;
        }
    }
    if (path != NULL && live->base_count < LIVE_MAX_BASES)
        live->bases[live->base_count++] = path;
    else
        free(path);
}

/* A process may make its folder of runs long after it was looked at. */
static void add_found_base(void *context, const char *base)
{
    struct live *live = context;
    char *real = realpath(base, NULL);
    if (real != NULL) {
        keep_base(live, real);
        return;
    }
    for (uint32_t i = 0; i < live->candidate_count; i++) {
        if (strcmp(live->candidates[i], base) == 0)
            return;
    }
    char *copy = live->candidate_count < MAX_CANDIDATES ? strdup(base) : NULL;
    if (copy != NULL)
        live->candidates[live->candidate_count++] = copy;
}

static void try_candidates(struct live *live)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < live->candidate_count; i++) {
        char *real = realpath(live->candidates[i], NULL);
        if (real == NULL) {
            live->candidates[kept++] = live->candidates[i];
        } else {
            free(live->candidates[i]);
            keep_base(live, real);
        }
    }
    live->candidate_count = kept;
}

/* A folder that the user named, or the default one, need not be there yet. */
static void add_base(struct live *live, const char *base)
{
    char here[PATH_MAX], path[PATH_MAX];
    char *real = realpath(base, NULL);
    if (real == NULL && base[0] != '/' && getcwd(here, sizeof here) != NULL &&
        snprintf(path, sizeof path, "%s/%s", here, base) < PATH_MAX)
        real = strdup(path);
    keep_base(live, real != NULL ? real : strdup(base));
}

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

static struct live_run *add_run(struct live *live, const char *path)
{
    if (live->run_count == live->run_room) {
        const uint32_t room = live->run_room == 0 ? 64 : 2 * live->run_room;
        struct live_run *more = realloc(live->runs, room * sizeof *more);
        if (more == NULL)
            return NULL;
        live->runs = more;
        live->run_room = room;
    }
    struct live_run *run = &live->runs[live->run_count];
    *run = (struct live_run){.path = strdup(path), .hash = hash_of(path)};
    if (run->path == NULL)
        return NULL;
    live->run_count++;
    return run;
}

/* A refresh takes and gives back as much memory as the one before: kept, it costs no page faults,
 * which were half of the time. Not every C library has that choice. */
static void keep_memory(void)
{
#ifdef M_TRIM_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, KEPT_MEMORY_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY_BYTES);
#endif
}

struct live *live_open(const struct live_options *options)
{
    keep_memory();
    struct live *live = calloc(1, sizeof *live);
    if (live == NULL)
        return NULL;
    for (uint32_t i = 0; i < options->folder_count; i++) {
        struct live_run *run = add_run(live, options->folders[i]);
        if (run != NULL)
            run->wanted = true;
    }
    for (uint32_t i = 0; i < options->base_count; i++)
        add_base(live, options->bases[i]);
    live->one_by_one = options->one_by_one;
    live->searching = options->base_count == 0 && options->folder_count == 0;
    if (live->searching)
        add_base(live, rf_base_directory(NULL));
    return live;
}

void live_close(struct live *live)
{
    if (live == NULL)
        return;
    for (uint32_t i = 0; i < live->run_count; i++)
        forget_run(&live->runs[i]);
    for (uint32_t i = 0; i < live->base_count; i++)
        free(live->bases[i]);
    for (uint32_t i = 0; i < live->candidate_count; i++)
        free(live->candidates[i]);
    search_free(live->known);
    free(live->runs);
    free(live->listed);
    free(live);
}

/* ---- is a run of interest? ---- */

/* A file that tells nothing of itself, written to of late: somebody should hear of it. */
static bool is_recent_damage(const char *path, int error)
{
    struct stat status;
    return (error == DATASTALL_ERR_DAMAGED || error == DATASTALL_ERR_FOREIGN ||
            error == DATASTALL_ERR_NEWER) &&
           lstat(path, &status) == 0 && time(NULL) - status.st_mtime <= (time_t)LIVE_KEEP_S;
}

/* When something last happened in a run, as far as its files' first pages tell; 0: its files are
 * of another boot or machine. UINT64_MAX: that takes a whole reading. */
static uint64_t last_activity(const char *folder)
{
    char place[PATH_MAX], path[PATH_MAX], **names;
    uint32_t count;
    uint64_t last_ns = 0;
    rf_run_reading_place(folder, place);
    if (rf_run_files(place, &names, &count, NULL) != DATASTALL_OK)
        return 0;
    for (uint32_t i = 0; i < count && last_ns != UINT64_MAX; i++) {
        struct run_reader *reader;
        struct rf_process_view process;
        if (snprintf(path, sizeof path, "%s/%s", place, names[i]) >= PATH_MAX)
            continue;
        const int error = run_reader_open(path, &reader);
        if (error != DATASTALL_OK) {
            last_ns = is_recent_damage(path, error) ? UINT64_MAX : last_ns;
            continue;
        }
        if (strncmp(reader->file.header.boot_id, rf_own_boot_id(),
                    sizeof reader->file.header.boot_id) == 0 &&
            run_reader_process(reader, &process)) {
            const uint64_t ended_ns = process.words[RF_PROCESS_STATE] == RF_STATE_CLOSED
                                          ? process.words[RF_PROCESS_ENDED_MONO]
                                          : UINT64_MAX;
            last_ns = ended_ns > last_ns ? ended_ns : last_ns;
        }
        run_reader_close(reader);
    }
    rf_run_files_free(names, count);
    return last_ns;
}

static uint64_t activity_of_process(const struct run_process *process, uint64_t now_ns)
{
    if (process->view.words[RF_PROCESS_STATE] == RF_STATE_CLOSED)
        return process->view.words[RF_PROCESS_ENDED_MONO];
    if (process->liveness == RF_ALIVE)
        return now_ns;
    /* Killed, or in a PID namespace that cannot be seen from here. */
    return process->recorded_ns;
}

/* The same from a whole reading. */
static uint64_t activity_of_run(const struct live_run *run, uint64_t now_ns)
{
    const struct summary *summary = run->summary;
    uint64_t last_ns = 0;
    if (run->data->has_launcher)
        last_ns = activity_of_process(&run->data->launcher, now_ns);
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const uint64_t ns = activity_of_process(summary->processes[i].data, now_ns);
        last_ns = ns > last_ns ? ns : last_ns;
    }
    return last_ns;
}

static bool all_closed(const struct run_data *data)
{
    bool closed = data->process_count > 0 || data->has_launcher;
    if (data->has_launcher)
        closed = data->launcher.view.words[RF_PROCESS_STATE] == RF_STATE_CLOSED;
    for (uint32_t i = 0; i < data->process_count; i++)
        closed &= data->processes[i].view.words[RF_PROCESS_STATE] == RF_STATE_CLOSED;
    return closed;
}

static bool is_recent(uint64_t activity_ns, uint64_t now_ns)
{
    return activity_ns > now_ns || now_ns - activity_ns <= LIVE_KEEP_S * DS_NS_PER_S;
}

/* ---- looking ---- */

static struct live_run *find_run(struct live *live, const char *path)
{
    const uint64_t hash = hash_of(path);
    for (uint32_t i = 0; i < live->run_count; i++) {
        if (live->runs[i].hash == hash && strcmp(live->runs[i].path, path) == 0)
            return &live->runs[i];
    }
    return NULL;
}

/* Decides what a folder that is new or has changed is. */
static void judge(struct live_run *run, uint64_t now_ns)
{
    const uint64_t last_ns = last_activity(run->path);
    const uint64_t folder_ns =
        (uint64_t)run->changed.tv_sec * DS_NS_PER_S + (uint64_t)run->changed.tv_nsec;
    if (run->wanted || last_ns == UINT64_MAX || (last_ns != 0 && is_recent(last_ns, now_ns)))
        run->standing = STANDING_LISTED;
    else if (last_ns == 0 && ds_real_ns() - folder_ns < YOUNG_FOLDER_NS)
        run->standing = STANDING_NEW;
    else
        run->standing = STANDING_OLD;
    run->settled = false;
}

static void look_at_folder(struct live_run *run, uint64_t now_ns)
{
    struct stat status;
    if (run == NULL || stat(run->path, &status) != 0 || !S_ISDIR(status.st_mode))
        return;
    run->seen = true;
    const bool same = status.st_mtim.tv_sec == run->changed.tv_sec &&
                      status.st_mtim.tv_nsec == run->changed.tv_nsec;
    run->changed = status.st_mtim;
    if (!same || run->standing == STANDING_NEW)
        judge(run, now_ns);
}

static void look_in_base(struct live *live, const char *base, uint64_t now_ns)
{
    DIR *directory = opendir(base);
    struct dirent *entry;
    char path[PATH_MAX];
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.' ||
            (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK))
            continue;
        if (snprintf(path, sizeof path, "%s/%s", base, entry->d_name) >= PATH_MAX)
            continue;
        struct live_run *run = find_run(live, path);
        look_at_folder(run != NULL ? run : add_run(live, path), now_ns);
    }
    if (directory != NULL)
        closedir(directory);
}

static void forget_gone(struct live *live)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < live->run_count; i++) {
        if (live->runs[i].seen)
            live->runs[kept++] = live->runs[i];
        else
            forget_run(&live->runs[i]);
    }
    live->run_count = kept;
}

static void look(struct live *live, uint64_t now_ns)
{
    if (now_ns < live->next_look_ns)
        return;
    live->next_look_ns = now_ns + LOOK_EVERY_NS;
    if (live->searching && now_ns >= live->next_search_ns) {
        search_processes(&live->known, add_found_base, live);
        live->next_search_ns = now_ns + SEARCH_EVERY_NS;
    }
    if (now_ns >= live->next_sweep_ns) {
        run_sweep(NULL, NULL);
        live->next_sweep_ns = now_ns + SWEEP_EVERY_NS;
    }
    try_candidates(live);
    for (uint32_t i = 0; i < live->run_count; i++) {
        live->runs[i].seen = false;
        if (live->runs[i].wanted)
            look_at_folder(&live->runs[i], now_ns);
    }
    for (uint32_t i = 0; i < live->base_count; i++)
        look_in_base(live, live->bases[i], now_ns);
    forget_gone(live);
}

/* ---- reading ---- */

static void read_again(struct live_run *run, bool one_by_one, uint64_t now_ns)
{
    struct run_data *data;
    struct summary *summary = NULL;
    if ((one_by_one ? run_data_read_next(run->path, run->data, &data)
                    : run_data_read_live(run->path, &data)) != DATASTALL_OK)
        return;
    note_problems(run, data->problems, data->first_problem);
    const uint32_t processes = run->data == NULL ? 0 : run->data->process_count;
    bool better = data->files > data->unreadable_files;
    if (data->process_count < processes) {
        if (run->shrunk_since_ns == 0)
            run->shrunk_since_ns = now_ns;
        better &= now_ns - run->shrunk_since_ns > SHRINK_PATIENCE_NS;
    } else {
        run->shrunk_since_ns = 0;
    }
    if (!better || summary_make(data, now_ns, &summary) != DATASTALL_OK) {
        run_data_free(data);
        return;
    }
    forget_reading(run);
    run->data = data;
    run->summary = summary;
    run->settled = all_closed(data) && data->problems == 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct summary *one = *(const struct summary *const *)a;
    const struct summary *other = *(const struct summary *const *)b;
    if (one->started_real_ns != other->started_real_ns)
        return one->started_real_ns < other->started_real_ns ? 1 : -1;
    return strcmp(one->data->path, other->data->path);
}

void live_refresh(struct live *live, uint64_t now_ns)
{
    look(live, now_ns);
    const struct summary **listed =
        realloc(live->listed, (live->run_count + 1) * sizeof *live->listed);
    if (listed == NULL)
        return;
    live->listed = listed;
    live->listed_count = 0;
    for (uint32_t i = 0; i < live->run_count; i++) {
        struct live_run *run = &live->runs[i];
        if (run->standing != STANDING_LISTED)
            continue;
        if (!run->settled)
            read_again(run, live->one_by_one, now_ns);
        if (run->summary != NULL && !run->wanted &&
            !is_recent(activity_of_run(run, now_ns), now_ns)) {
            run->standing = STANDING_OLD;
            forget_reading(run);
        }
        if (run->summary != NULL)
            listed[live->listed_count++] = run->summary;
        else /* unreadable: of interest for as long as its files are young */
            judge(run, now_ns);
    }
    if (live->listed_count > 1)
        qsort(listed, live->listed_count, sizeof *listed, newest_first);
    if (live->listed_count > LIVE_MAX_RUNS)
        live->listed_count = LIVE_MAX_RUNS;
}

const struct summary *const *live_runs(const struct live *live, uint32_t *count)
{
    *count = live->listed_count;
    return live->listed;
}

uint32_t live_problems(const struct live *live)
{
    uint32_t problems = 0;
    for (uint32_t i = 0; i < live->run_count; i++) {
        if (live->runs[i].standing == STANDING_LISTED)
            problems += live->runs[i].problems;
    }
    return problems;
}

const char *live_first_problem(const struct live *live)
{
    for (uint32_t i = 0; i < live->run_count; i++) {
        const struct live_run *run = &live->runs[i];
        if (run->standing == STANDING_LISTED && run->first_problem != NULL)
            return run->first_problem;
    }
    return "";
}
