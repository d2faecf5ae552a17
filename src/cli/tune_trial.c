/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tune_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

#define SENDER "DATASTALL_GROUP_SIGNALS_FROM"
#define MOST_WORDS 4096
#define LOOK_NS 100000000L
/* After Ctrl-C a program may write a checkpoint; then it is asked again, and again more firmly. Twice,
 * since a worker interrupted within multiprocessing.Event.is_set() keeps the event's lock, which torch
 * then waits for at the end of its iterator (63 of 200 processes that did nothing but that). */
#define GRACE_S 30.0
/* So long a program may take before it iterates over a loader. */
#define SETUP_S 900.0

static volatile sig_atomic_t interrupted;

static void note_interrupt(int signal_number)
{
    interrupted = signal_number;
}

long tune_trial_take_sender(void)
{
    const char *text = getenv(SENDER);
    const long pid = text == NULL ? 0 : strtol(text, NULL, 10);
    unsetenv(SENDER);
    return pid > 0 && pid == (long)getppid() ? pid : 0;
}

/* datastall run -q -n NAME [-d DIR] [--set ...] -- CMD; false: too many words. */
static bool words_of(const struct tune_trial *trial, const char *words[MOST_WORDS])
{
    int count = 0;
    words[count++] = "datastall";
    words[count++] = "run";
    words[count++] = "--quiet";
    words[count++] = "--name";
    words[count++] = trial->name;
    if (trial->directory != NULL) {
        words[count++] = "--dir";
        words[count++] = trial->directory;
    }
    for (const char *const *set = trial->sets; set != NULL && *set != NULL; set++) {
        words[count++] = "--set";
        words[count++] = *set;
    }
    words[count++] = "--";
    for (char **word = trial->command; *word != NULL; word++) {
        if (count == MOST_WORDS - 1)
            return false;
        words[count++] = *word;
    }
    words[count] = NULL;
    return true;
}

/* In a process group of its own, which gets our signals as a terminal's would; it reads nothing. */
static void become_run(const char *words[MOST_WORDS])
{
    char sender[32];
    snprintf(sender, sizeof sender, "%ld", (long)getppid());
    setpgid(0, 0);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    setenv(SENDER, sender, 1);
    const int nothing = open("/dev/null", O_RDONLY);
    if (nothing > STDIN_FILENO) {
        dup2(nothing, STDIN_FILENO);
        close(nothing);
    }
    execv("/proc/self/exe", (char *const *)words);
    _exit(127);
}

static void show_progress(const struct tune_trial *trial, double elapsed_s, bool begun)
{
    if (begun)
        fprintf(stderr, "\r%s: %.0f of %.0f s ", trial->label, fmin(elapsed_s, trial->seconds),
                trial->seconds);
    else
        fprintf(stderr, "\r%s: starting, %.0f s ", trial->label, elapsed_s);
}

/* What the group gets next, some time after its time is over; 0: nothing yet. */
static int next_signal(double over_s, int sent)
{
    static const int signals[] = {SIGINT, SIGINT, SIGTERM, SIGKILL};
    const int due = over_s < 0 ? 0 : 1 + (int)(over_s / GRACE_S);
    return sent < due && sent < (int)(sizeof signals / sizeof *signals) ? signals[sent] : 0;
}

static int wait_for(struct tune_trial *trial, pid_t pid, bool *was_ended)
{
    const bool is_terminal = isatty(STDERR_FILENO) == 1;
    uint64_t begin_ns = ds_now_ns();
    double most_s = SETUP_S;
    bool begun = false;
    int status = 0, sent = 0;
    *was_ended = false;
    for (;;) {
        const pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid || (ended < 0 && errno != EINTR))
            break;
        if (!begun && sent == 0 && trial->has_begun(trial)) {
            begun = true;
            begin_ns = ds_now_ns();
            most_s = trial->seconds;
        }
        const double elapsed_s = (double)(ds_now_ns() - begin_ns) * 1e-9;
        if (interrupted != 0 && elapsed_s < most_s)
            most_s = elapsed_s;
        const int signal_number = next_signal(elapsed_s - most_s, sent);
        if (signal_number != 0) {
            kill(-pid, signal_number);
            *was_ended = true;
            sent++;
        }
        if (is_terminal)
            show_progress(trial, elapsed_s, begun);
        nanosleep(&(struct timespec){0, LOOK_NS}, NULL);
    }
    if (is_terminal)
        fputs("\r\033[K", stderr);
    return status;
}

enum tune_end tune_trial_run(struct tune_trial *trial, int *code)
{
    const char *words[MOST_WORDS];
    struct sigaction before_int, before_term, note = {.sa_handler = note_interrupt};
    *code = 0;
    if (!words_of(trial, words)) {
        ds_say("tune: the command has too many words");
        return TUNE_IMPOSSIBLE;
    }
    fflush(stdout);
    fprintf(stderr, "%s, for %.0f s from its first batch\n", trial->label, trial->seconds);
    interrupted = 0;
    sigaction(SIGINT, &note, &before_int);
    sigaction(SIGTERM, &note, &before_term);
    const pid_t pid = fork();
    if (pid == 0)
        become_run(words);
    if (pid < 0) {
        ds_say("tune: cannot start a process: %s", strerror(errno));
        return TUNE_IMPOSSIBLE;
    }
    setpgid(pid, pid); /* whoever comes first */
    bool was_ended;
    const int status = wait_for(trial, pid, &was_ended);
    sigaction(SIGINT, &before_int, NULL);
    sigaction(SIGTERM, &before_term, NULL);
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (interrupted != 0)
        return TUNE_INTERRUPTED;
    return was_ended || *code == 0 ? TUNE_ENDED : TUNE_FAILED;
}
