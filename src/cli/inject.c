/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inject.h"

#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "diagnose/summary.h"

#define INJECTED "_inject/sitecustomize.py"

static bool has_injection(const char *package)
{
    char path[PATH_MAX];
    struct stat status;
    return snprintf(path, sizeof path, "%s/" INJECTED, package) < PATH_MAX &&
           stat(path, &status) == 0;
}

int inject_find_package(char package[PATH_MAX])
{
    static const char *const places[] = {
        "lib/python3*/site-packages", "lib64/python3*/site-packages", "lib/python3*/dist-packages",
        "local/lib/python3*/dist-packages"};
    const char *given = getenv("DATASTALL_PACKAGE_DIR");
    if (given != NULL && given[0] == '/' && has_injection(given)) {
        snprintf(package, PATH_MAX, "%s", given);
        return DATASTALL_OK;
    }
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0)
        return ds_fail(DATASTALL_ERR_NOT_FOUND, "cannot tell where this program lies");
    program[length] = '\0';
    for (int up = 0; up < 2; up++) { /* PREFIX/bin/datastall -> PREFIX */
        char *slash = strrchr(program, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char pattern[PATH_MAX];
        glob_t found;
        if (snprintf(pattern, sizeof pattern, "%s/%s/datastall", program, places[i]) >= PATH_MAX ||
            glob(pattern, 0, NULL, &found) != 0)
            continue;
        for (size_t k = found.gl_pathc; k > 0; k--) {
            if (has_injection(found.gl_pathv[k - 1])) {
                snprintf(package, PATH_MAX, "%s", found.gl_pathv[k - 1]);
                globfree(&found);
                return DATASTALL_OK;
            }
        }
        globfree(&found);
    }
    return ds_fail(DATASTALL_ERR_NOT_FOUND,
                   "cannot find the Python package of datastall beside %s; set "
                   "DATASTALL_PACKAGE_DIR to its folder",
                   program);
}

int inject_environment(const char *package, const char *run_folder, const char *home)
{
    const char *old = getenv("PYTHONPATH");
    char *path = NULL;
    int length = old != NULL && old[0] != '\0' ? asprintf(&path, "%s/_inject:%s", package, old)
                                               : asprintf(&path, "%s/_inject", package);
    int failed = length < 0 || setenv("PYTHONPATH", path, 1) != 0 ||
                 setenv("DATASTALL_RUN_DIR", run_folder, 1) != 0 ||
                 setenv("DATASTALL_RUN_HOME", home, 1) != 0 ||
                 setenv("DATASTALL_PACKAGE_DIR", package, 1) != 0;
    if (length >= 0)
        free(path);
    return failed ? ds_fail(DATASTALL_ERR_MEMORY, "out of memory") : DATASTALL_OK;
}

/* ---- nothing was seen: why? ---- */

static bool has_mark(const char *run_folder, const char *mark, char *text, size_t size)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", run_folder, mark) >= PATH_MAX)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The option letter among I, E and S that keeps hooks out of a python command: S where it is given,
 * '\0' for none. */
static char isolating_option(char **command)
{
    char found = '\0';
    if (strncmp(base_name(command[0]), "python", 6) != 0)
        return found;
    for (char **word = command + 1; *word != NULL && (*word)[0] == '-'; word++) {
        const char *letters = *word + 1;
        if (*letters == '-' || *letters == 'c' || *letters == 'm' || *letters == '\0')
            break;
        size_t place = strcspn(letters, "IESXWcm");
        for (; letters[place] != '\0' && strchr("IES", letters[place]) != NULL;
             place += 1 + strcspn(letters + place + 1, "IESXWcm"))
            found = found == 'S' ? found : letters[place];
        if (letters[place] == 'c' || letters[place] == 'm')
            break; /* what follows is the program's */
        if ((letters[place] == 'X' || letters[place] == 'W') && letters[place + 1] == '\0' &&
            word[1] != NULL)
            word++;
    }
    return found;
}

/* Why no process said that the hooks came, from the command alone. */
static void explain_no_hooks(char **command, char *sentence, size_t size)
{
    const char option = isolating_option(command);
    const char *program = base_name(command[0]);
    if (option == 'S')
        snprintf(sentence, size,
                 "nothing was recorded: python -S starts without the hooks; run it without -S, or "
                 "call datastall.install() in the program");
    else if (option != '\0')
        snprintf(sentence, size,
                 "nothing was recorded: python -%c ignores PYTHONPATH, and datastall is not "
                 "installed in that interpreter; install it there, run it without -%c, or call "
                 "datastall.install() in the program",
                 option, option);
    else if (strcmp(program, "sudo") == 0 || strcmp(program, "su") == 0 ||
             strcmp(program, "doas") == 0)
        snprintf(sentence, size,
                 "nothing was recorded: %s clears the environment; use '%s datastall run ...' "
                 "instead",
                 program, program);
    else
        snprintf(sentence, size,
                 "nothing was recorded: no Python started the hooks: the command starts none, or "
                 "clears the environment on the way (env -i, sudo, ssh, a container), or sets "
                 "PYTHONPATH itself for an interpreter without datastall (install it there)");
}

const char *inject_explain_silence(const char *run_folder, char **command, int code)
{
    static char sentence[1024];
    char text[512];
    const bool is_hooked = has_mark(run_folder, "torch-hooked", text, sizeof text);
    if (has_mark(run_folder, "recording-failed", text, sizeof text))
        sentence[0] = '\0'; /* the process said why */
    else if (has_mark(run_folder, "hooks-failed", text, sizeof text))
        snprintf(sentence, sizeof sentence, "nothing was recorded: %s", text);
    else if (code != 0 && (is_hooked || has_mark(run_folder, "hooks-loaded", text, sizeof text)))
        snprintf(sentence, sizeof sentence,
                 "nothing was recorded: the command ended with code %d before it %s", code,
                 is_hooked ? "iterated a DataLoader" : "imported torch.utils.data");
    else if (is_hooked)
        snprintf(sentence, sizeof sentence,
                 "nothing was recorded: PyTorch was loaded, but no DataLoader was iterated; %s",
                 SUMMARY_WATCH_HINT);
    else if (has_mark(run_folder, "hooks-loaded", text, sizeof text))
        snprintf(sentence, sizeof sentence,
                 "nothing was recorded: no process imported torch.utils.data; %s",
                 SUMMARY_WATCH_HINT);
    else if (has_mark(run_folder, "python-too-old", text, sizeof text))
        snprintf(sentence, sizeof sentence,
                 "nothing was recorded: Python %s is older than 3.10, which the hooks need", text);
    else if (has_mark(run_folder, "python-free-threaded", text, sizeof text))
        snprintf(
            sentence, sizeof sentence,
            "nothing was recorded: this Python %s is free-threaded (without the GIL), for which "
            "datastall has no build; use the ordinary build of Python",
            text);
    else
        explain_no_hooks(command, sentence, sizeof sentence);
    return sentence;
}
