/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* As the shell is to run it, NULL: print without. "cat" and "" are ways to say so. */
static const char *chosen(void)
{
    static const char usual[] =
        "if command -v less >/dev/null; then exec less; "
        "elif command -v more >/dev/null; then exec more; else exec cat; fi";
    const char *named = getenv("PAGER"), *term = getenv("TERM");
    if (!isatty(STDOUT_FILENO) || term == NULL || strcmp(term, "dumb") == 0)
        return NULL;
    if (named == NULL)
        return usual;
    return named[0] == '\0' || strcmp(named, "cat") == 0 ? NULL : named;
}

/* A shell that reads the pipe. Its pid, or 0. */
static pid_t start(const char *command, int from)
{
    char *words[] = {"sh", "-c", (char *)command, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return 0;
    /* Colours, no pager for what fits, and the text stays on the screen. */
    setenv("LESS", "FRX", 0);
    if (posix_spawn_file_actions_adddup2(&actions, from, STDIN_FILENO) != 0 ||
        posix_spawn(&pid, "/bin/sh", &actions, NULL, words, environ) != 0)
        pid = 0;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

FILE *pager_open(struct pager *pager)
{
    const char *command = chosen();
    int ends[2];
    *pager = (struct pager){.file = stdout};
    if (command == NULL || pipe2(ends, O_CLOEXEC) != 0)
        return stdout;
    FILE *file = fdopen(ends[1], "w");
    const pid_t pid = file != NULL ? start(command, ends[0]) : 0;
    close(ends[0]);
    if (pid > 0) {
        /* Who leaves the pager early wants no more, and Ctrl-C is the pager's. */
        signal(SIGPIPE, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        *pager = (struct pager){.file = file, .pid = pid};
    } else if (file != NULL) {
        fclose(file);
    } else {
        close(ends[1]);
    }
    return pager->file;
}

void pager_close(struct pager *pager)
{
    if (pager->pid == 0)
        return;
    fclose(pager->file);
    while (waitpid(pager->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
