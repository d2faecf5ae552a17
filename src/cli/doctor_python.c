/* SPDX-License-Identifier: Apache-2.0 */
/* Python and PyTorch: a real interpreter is started with the hooks, as `datastall run` would. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/doctor.h"
#include "cli/inject.h"

#define PYTHON_TIMEOUT_S 120.0 /* importing torch from a slow disk, and making a CUDA context */

/* What the interpreter prints: "KEY VALUE" lines. A key that is missing was not reached. */
static const char probe[] =
    "import sys\n"
    "def tell(key, value):\n"
    "    sys.stdout.write('%s %s\\n' % (key, str(value).split('\\n')[0]))\n"
    "    sys.stdout.flush()\n"
    "tell('python', '%d.%d.%d' % sys.version_info[:3])\n"
    "tell('path', sys.executable)\n"
    "tell('free-threaded', int('t' in getattr(sys, 'abiflags', '')))\n"
    "tell('hooks', sum(hasattr(f, 'datastall_package') for f in sys.meta_path))\n"
    "try:\n"
    "    import torch\n"
    "    import torch.utils.data\n"
    "except Exception as error:\n"
    "    tell('no-torch', repr(error))\n"
    "    raise SystemExit\n"
    "tell('torch', torch.__version__)\n"
    "loader = sys.modules['torch.utils.data.dataloader']\n"
    "tell('hooked', int(type(loader._BaseDataLoaderIter.__next__).__module__ == "
    "'datastall._core'))\n"
    "try:\n"
    "    tell('cuda', int(torch.cuda.is_available()))\n"
    "    if torch.cuda.is_available():\n"
    "        torch.zeros(1, device='cuda')\n"
    "        from datastall import _core\n"
    "        tell('events', _core.try_stall_events())\n"
    "except Exception as error:\n"
    "    tell('cuda-error', repr(error))\n";

struct interpreter {
    const char *path, *package, *folder;
};

static void start_python(void *context, int fd)
{
    const struct interpreter *python = context;
    dup2(fd, STDOUT_FILENO);
    if (inject_environment(python->package, python->folder, python->folder) != DATASTALL_OK)
        _exit(126);
    const char *names[] = {python->path != NULL ? python->path : "python", "python3"};
    for (int i = 0; i < (python->path != NULL ? 1 : 2); i++)
        execlp(names[i], names[i], "-c", probe, (char *)NULL);
    _exit(127);
}

/* The value behind a key in the lines of text, NULL: it is not there. */
static const char *value_of(const char *text, const char *key, char *value, size_t size)
{
    const size_t length = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        if (strncmp(line, key, length) == 0 && line[length] == ' ') {
            const size_t bytes = (end != NULL ? (size_t)(end - line) : strlen(line)) - length - 1;
            snprintf(value, size, "%.*s", (int)(bytes < size ? bytes : size - 1),
                     line + length + 1);
            return value;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return NULL;
}

static void judge_torch(const char *text, struct doctor_report *report)
{
    char version[64], value[256];
    if (value_of(text, "torch", version, sizeof version) == NULL) {
        const bool said = value_of(text, "no-torch", value, sizeof value) != NULL;
        doctor_add(report, DOCTOR_LIMITED, "PyTorch",
                   "name another interpreter with --python; without PyTorch use datastall.watch()",
                   "%s", said ? value : "importing it ended the interpreter");
        return;
    }
    if (value_of(text, "hooked", value, sizeof value) == NULL || strcmp(value, "1") != 0)
        doctor_add(report, DOCTOR_FAILED, "PyTorch", "use datastall.watch() around the loader",
                   "%s: its DataLoader cannot be hooked", version);
    else
        doctor_add(report, DOCTOR_OK, "PyTorch", NULL, "%s: its DataLoader is hooked", version);
    if (value_of(text, "cuda-error", value, sizeof value) != NULL)
        doctor_add(report, DOCTOR_MISSING, "CUDA",
                   "see whether torch.zeros(1, device='cuda') works", "PyTorch cannot use it: %s",
                   value);
    else if (value_of(text, "cuda", value, sizeof value) == NULL || strcmp(value, "1") != 0)
        doctor_add(report, DOCTOR_MISSING, "CUDA", NULL,
                   "PyTorch sees no GPU: every wait counts in full, as time that the program lost");
    else if (value_of(text, "events", value, sizeof value) != NULL && strcmp(value, "ok") == 0)
        doctor_add(report, DOCTOR_OK, "CUDA", NULL,
                   "the GPU's own clock shows what each wait cost it");
    else
        doctor_add(report, DOCTOR_LIMITED, "CUDA", NULL, "no stall events, stalls are bounds: %s",
                   value);
}

void doctor_check_python(const char *python, struct doctor_report *report)
{
    char package[PATH_MAX], folder[] = "/tmp/datastall-doctor-XXXXXX", text[4096];
    char version[64], path[256], hooks[16], mark[sizeof folder + 32];
    static const char *const marks[] = {"hooks-loaded", "torch-hooked", "hooks-failed",
                                        "python-too-old", "python-free-threaded"};
    if (inject_find_package(package) != DATASTALL_OK) {
        doctor_add(report, DOCTOR_FAILED, "package", NULL, "%s", datastall_last_error());
        return;
    }
    if (mkdtemp(folder) == NULL) {
        doctor_add(report, DOCTOR_FAILED, "python", NULL, "cannot make a folder in /tmp");
        return;
    }
    struct interpreter interpreter = {python, package, folder};
    const int status =
        doctor_in_child(start_python, &interpreter, PYTHON_TIMEOUT_S, text, sizeof text);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        snprintf(mark, sizeof mark, "%s/%s", folder, marks[i]);
        unlink(mark);
    }
    rmdir(folder);
    const char *name = python != NULL ? python : "python";
    if (value_of(text, "python", version, sizeof version) == NULL) {
        const bool absent = status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127;
        doctor_add(report, DOCTOR_FAILED, "python", "name one with --python",
                   status == -1 ? "%s did not start within 2 minutes"
                   : absent     ? "%s is not there"
                                : "%s does not start",
                   name);
        return;
    }
    value_of(text, "path", path, sizeof path);
    if (value_of(text, "hooks", hooks, sizeof hooks) == NULL || strcmp(hooks, "0") == 0) {
        const bool free_threaded =
            value_of(text, "free-threaded", hooks, sizeof hooks) != NULL && strcmp(hooks, "1") == 0;
        doctor_add(report, DOCTOR_FAILED, "python",
                   free_threaded ? "use the ordinary build of Python"
                                 : "Python 3.10 or newer is needed",
                   free_threaded ? "%s at %s is free-threaded (without the GIL), for which "
                                   "datastall has no build"
                                 : "%s at %s does not start the hooks",
                   version, path);
        return;
    }
    doctor_add(report, DOCTOR_OK, "python", NULL, "%s at %s starts the hooks", version, path);
    if (status == -1)
        doctor_add(report, DOCTOR_LIMITED, "PyTorch", NULL, "did not answer within 2 minutes");
    else
        judge_torch(text, report);
}
