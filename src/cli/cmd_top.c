/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall top`: the machine's runs on a screen that follows them. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/live.h"
#include "cli/terminal.h"
#include "output/json.h"
#include "output/screen.h"
#include "output/screen_runs.h"

#define MAX_BASES 32u
#define FILTER_BYTES 64u

struct top_options {
    bool once, json;
    double interval_s;
    const char *bases[MAX_BASES];
    uint32_t base_count;
};

static volatile sig_atomic_t last_signal;

static void note(int signal_number)
{
    last_signal = signal_number;
}

/* ---- options ---- */

/* Seconds with a point whatever the locale; NaN-free, 0: not one. */
static double seconds_of(const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    return *end == '\0' && end != text && value >= 0.1 && value <= 3600 ? value : 0;
}

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct top_options *options = context;
    if (strcmp(option->name, "once") == 0) {
        options->once = true;
    } else if (strcmp(option->name, "json") == 0) {
        options->json = true;
    } else if (strcmp(option->name, "interval") == 0) {
        options->interval_s = seconds_of(value);
        if (options->interval_s == 0) {
            ds_say("top: '%s' is not an interval: give seconds, from 0.1 to 3600", value);
            return -1;
        }
    } else if (options->base_count < MAX_BASES) {
        options->bases[options->base_count++] = value;
    } else {
        ds_say("top: at most %u folders", MAX_BASES);
        return -1;
    }
    return 0;
}

/* ---- one picture ---- */

static const char *clock_text(char text[16])
{
    const time_t now = time(NULL);
    struct tm local;
    text[0] = '\0';
    if (localtime_r(&now, &local) != NULL)
        strftime(text, 16, "%H:%M:%S", &local);
    return text;
}

/* What is listed: running ones first, and only what the filter lets through. */
struct listed {
    const struct summary *runs[LIVE_MAX_RUNS];
    uint32_t count;
};

static const struct listed *list(const struct live *live, const struct screen_view *view)
{
    static struct listed listed;
    uint32_t count;
    const struct summary *const *runs = live_runs(live, &count);
    listed.count = screen_order(runs, count < LIVE_MAX_RUNS ? count : LIVE_MAX_RUNS, view->filter,
                                listed.runs);
    return &listed;
}

/* The run that is selected stays so while others come and go above it. */
struct choice {
    char path[PATH_MAX];
};

static void find_again(const struct live *live, const struct choice *choice,
                       struct screen_view *view)
{
    const struct listed *listed = list(live, view);
    for (uint32_t i = 0; i < listed->count; i++) {
        if (strcmp(listed->runs[i]->data->path, choice->path) == 0)
            view->selected = i;
    }
}

static void remember(const struct live *live, const struct screen_view *view, struct choice *choice)
{
    const struct listed *listed = list(live, view);
    choice->path[0] = '\0';
    /* The newest is what one looks at unless told otherwise. */
    if (view->selected > 0 && view->selected < listed->count)
        snprintf(choice->path, sizeof choice->path, "%s", listed->runs[view->selected]->data->path);
}

static struct screen *layout(struct live *live, struct screen_view *view)
{
    char clock[16];
    const struct listed *listed = list(live, view);
    view->clock = clock_text(clock);
    struct screen *screen = screen_layout(listed->runs, listed->count, view);
    if (screen != NULL) {
        view->selected = screen->selected;
        view->rank_offset = screen->rank_offset;
    }
    view->clock = "";
    return screen;
}

static int print_once(struct live *live, struct screen_view *view, uint32_t named)
{
    char text[4 * SCREEN_MOST_COLUMNS + 8];
    unsigned rows;
    terminal_size(&view->columns, &rows);
    if (view->columns < SCREEN_LEAST_COLUMNS)
        view->columns = SCREEN_LEAST_COLUMNS;
    view->rows = 0;
    view->now_ns = ds_now_ns();
    live_refresh(live, view->now_ns);
    const int code = cli_live_code(live, "top", named);
    if (code == CLI_FAILED)
        return code;
    struct screen *screen = layout(live, view);
    if (screen == NULL) {
        ds_say("out of memory");
        return CLI_FAILED;
    }
    unsigned blank = 0;
    for (unsigned row = 0; row < screen->rows; row++) {
        screen_row_text(screen, row, text, sizeof text);
        if (text[0] == '\0') {
            blank++;
            continue;
        }
        for (; blank > 0; blank--)
            putchar('\n');
        puts(text);
    }
    screen_free(screen);
    return code;
}

static int print_json(struct live *live, uint32_t named)
{
    uint32_t count;
    live_refresh(live, ds_now_ns());
    const struct summary *const *runs = live_runs(live, &count);
    const int code = cli_live_code(live, "top", named);
    if (code == CLI_FAILED || output_json_runs(runs, count, stdout) == DATASTALL_OK)
        return code;
    ds_say("%s", datastall_last_error());
    return CLI_FAILED;
}

/* ---- signals ---- */

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* Blocked but for the time of waiting, so that none comes between a look and the sleep. */
static void catch_signals(sigset_t *outside)
{
    struct sigaction action = {.sa_handler = note};
    sigset_t block;
    sigemptyset(&block);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        sigaddset(&block, ending[i]);
        sigaction(ending[i], &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &block, outside);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        sigdelset(outside, ending[i]);
}

/* Ctrl-C is a way to quit; of the others the caller is to see that they ended us. */
static int end_by_signal(void)
{
    if (last_signal == 0 || last_signal == SIGINT)
        return CLI_OK;
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, last_signal);
    signal(last_signal, SIG_DFL);
    raise(last_signal);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    return CLI_FAILED;
}

/* ---- following ---- */

static char filter[FILTER_BYTES];

static void set_filter(struct screen_view *view, const char *text)
{
    snprintf(filter, sizeof filter, "%s", text);
    view->filter = filter;
    view->typing = false;
}

/* Of what is typed; false: the key means what it means otherwise. */
static bool obey_typed(enum terminal_key key, char character, struct screen_view *view)
{
    const size_t length = strlen(filter);
    view->filter = filter;
    if (key == KEY_OF_CHARACTER && length + 1 < sizeof filter) {
        filter[length] = character;
        filter[length + 1] = '\0';
    } else if (key == KEY_OF_ERASE && length > 0) {
        filter[length - 1] = '\0';
    } else if (key == KEY_OF_ENTER || key == KEY_OF_FILTER) {
        view->typing = false;
    } else if (key == KEY_OF_ESCAPE) {
        set_filter(view, "");
    } else {
        return key == KEY_OF_CHARACTER || key == KEY_OF_ERASE;
    }
    view->selected = 0;
    view->rank_offset = 0;
    return true;
}

/* False: it is time to quit. */
static bool obey(enum terminal_key key, struct screen_view *view, const struct screen *screen)
{
    const uint32_t page = screen->rank_page > 1 ? screen->rank_page - 1 : 1;
    switch (key) {
    case KEY_OF_QUIT:
    case KEY_OF_GONE:
        return false;
    case KEY_OF_HELP:
        view->help = !view->help;
        break;
    case KEY_OF_ESCAPE:
        if (!view->help)
            set_filter(view, "");
        view->help = false;
        break;
    case KEY_OF_FILTER:
        view->typing = true;
        break;
    case KEY_OF_UP:
        view->selected -= view->selected > 0;
        view->rank_offset = 0;
        break;
    case KEY_OF_DOWN:
        view->selected++;
        view->rank_offset = 0;
        break;
    case KEY_OF_PAGE_UP:
        view->rank_offset -= view->rank_offset < page ? view->rank_offset : page;
        break;
    case KEY_OF_PAGE_DOWN:
        view->rank_offset += page;
        break;
    case KEY_OF_FIRST:
        view->rank_offset = 0;
        break;
    case KEY_OF_LAST:
        view->rank_offset = UINT32_MAX / 2;
        break;
    case KEY_OF_NEXT_SORT:
        view->sort = (view->sort + 1) % SORT_COUNT;
        break;
    case KEY_OF_PREVIOUS_SORT:
        view->sort = (view->sort + SORT_COUNT - 1) % SORT_COUNT;
        break;
    case KEY_OF_INVERT:
        view->inverted = !view->inverted;
        break;
    case KEY_OF_HOLD:
        view->paused = !view->paused;
        break;
    default:
        break;
    }
    return true;
}

static int follow(struct live *live, struct screen_view *view, uint64_t interval_ns,
                  const sigset_t *outside)
{
    uint64_t due_ns = 0;
    bool on = true;
    struct choice choice = {""};
    while (on && last_signal == 0) {
        const uint64_t now_ns = ds_now_ns();
        if (now_ns >= due_ns && !view->paused) {
            live_refresh(live, now_ns);
            find_again(live, &choice, view);
            view->now_ns = now_ns;
            due_ns = now_ns + interval_ns;
        }
        terminal_size(&view->columns, &view->rows);
        struct screen *screen = layout(live, view);
        if (screen == NULL)
            return CLI_FAILED;
        remember(live, view, &choice);
        terminal_draw(screen);
        enum terminal_key key;
        char character = '\0';
        do {
            const uint64_t before_ns = ds_now_ns();
            const uint64_t left_ns = view->paused         ? DS_NS_PER_S
                                     : due_ns > before_ns ? due_ns - before_ns
                                                          : 0;
            const int wait_ms = (int)(left_ns / 1000000) + 1;
            key = view->typing ? terminal_typed(wait_ms, outside, &character)
                               : terminal_key(wait_ms, outside);
        } while (key == KEY_OF_OTHER ||
                 (key == KEY_OF_NOTHING && view->paused && last_signal == 0));
        on = (view->typing && obey_typed(key, character, view)) || obey(key, view, screen);
        screen_free(screen);
    }
    return CLI_OK;
}

/* A terminal that cannot place text gets one picture after the other. */
static int print_on(struct live *live, struct screen_view *view, double interval_s, uint32_t named,
                    const sigset_t *outside)
{
    const struct timespec wait = {(time_t)interval_s,
                                  (long)((interval_s - (double)(time_t)interval_s) * 1e9)};
    int code = CLI_OK;
    while (code != CLI_FAILED && last_signal == 0) {
        code = print_once(live, view, named);
        putchar('\n');
        if (fflush(stdout) != 0)
            code = CLI_FAILED;
        if (code != CLI_FAILED)
            pselect(0, NULL, NULL, NULL, &wait, outside);
    }
    return code == CLI_FAILED ? code : CLI_OK;
}

static int show_live(struct live *live, const struct top_options *options, uint32_t named)
{
    struct screen_view view = {.unicode = terminal_is_unicode(), .clock = ""};
    sigset_t outside;
    if (options->json)
        return print_json(live, named);
    if (options->once || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return print_once(live, &view, named);
    catch_signals(&outside);
    int code;
    if (terminal_open()) {
        code = follow(live, &view, (uint64_t)(options->interval_s * 1e9), &outside);
        terminal_close();
        if (code != CLI_OK)
            ds_say("out of memory");
    } else {
        code = print_on(live, &view, options->interval_s, named, &outside);
    }
    return code == CLI_OK ? end_by_signal() : code;
}

static int top(const struct cli_command *command, int argc, char **argv)
{
    struct top_options options = {.interval_s = 1.0};
    int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    struct live *live;
    uint32_t named;
    int code =
        cli_open_live(options.bases, options.base_count, argv + first, argc - first, &live, &named);
    if (code == CLI_OK)
        code = show_live(live, &options, named);
    live_close(live);
    return code;
}

static const struct cli_option top_options[] = {
    {"once", '1', NULL, "print the runs once and end"},
    {"json", '\0', NULL, "print them once as JSON: {\"runs\": [...]} ('datastall help json')"},
    {"interval", 'i', "SECONDS", "how often to look (default 1)"},
    {"dir", 'd', "DIR", "a folder of runs instead of all that are found; may be repeated"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_top_command = {
    "top",
    "[RUN...]",
    "the runs of this machine, live",
    "Follows the RUNs, or every run on this machine that you may read and that runs or\nended "
    "within the last ten minutes: GPUs, loaders and ranks, each with its last\nminute; runs in "
    "progress first. F4 filters by what you type; the other keys are\nhtop's. It only reads run "
    "files and slows no run down. Where standard output is no\nterminal it prints once. F1 "
    "explains the columns and the keys; NO_COLOR is respected.",
    top_options,
    false,
    top,
};
