/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands where the tests start `python PROGRAM`, and asks server.py, which has PyTorch imported, to
 * run the program in a fork of itself. It hands over everything that a program inherits, passes on
 * signals, and ends as the program ends. Whatever the server does not take (it says what) is run by
 * the interpreter itself, as if this were not here.
 *
 *   WARM_TORCH   the server's socket; none or nobody there: the interpreter itself
 *   WARM_PYTHON  the interpreter
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_FDS 200

extern char **environ;

static FILE *words;
static char *text;
static size_t size;
static volatile sig_atomic_t program; /* 0: not started yet */

static void say(const char *word)
{
    fwrite(word, strlen(word) + 1, 1, words);
}

static void say_namespaces(void)
{
    static const char *const names[] = {"pid", "mnt", "net", "user", "uts", "ipc", "cgroup"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64], link[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
        const ssize_t length = readlink(path, link, sizeof link - 1);
        fprintf(words, "%.*s ", length < 0 ? 0 : (int)length, link);
    }
    /* Below a namespace whose /proc is that of above, the link is right and the number is not. */
    char self[32] = "";
    const ssize_t length = readlink("/proc/self", self, sizeof self - 1);
    self[length < 0 ? 0 : length] = '\0';
    say(atoi(self) == getpid() ? "" : "of another /proc");
}

static void say_limits(void)
{
    for (int which = 0; which < RLIM_NLIMITS; which++) {
        struct rlimit limit = {0, 0};
        getrlimit(which, &limit);
        fprintf(words, "%llu:%llu ", (unsigned long long)limit.rlim_cur,
                (unsigned long long)limit.rlim_max);
    }
    say("");
}

/* Of /proc/self/status: signals that are blocked or ignored, the owner, no new privileges. */
static void say_status(void)
{
    static const char *const kept[] = {"SigBlk",     "SigIgn",   "Uid",          "Gid",
                                       "NoNewPrivs", "Seccomp:", "Cpus_allowed:"};
    char line[512];
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            if (strncmp(line, kept[i], strlen(kept[i])) == 0)
                fputs(line, words);
        }
    }
    if (status != NULL)
        fclose(status);
    fprintf(words, "nice %d", getpriority(PRIO_PROCESS, 0));
    say("");
}

static size_t open_fds(int fds[MAX_FDS])
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    size_t count = 0;
    while (directory != NULL && count < MAX_FDS && (entry = readdir(directory)) != NULL) {
        const int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(directory))
            fds[count++] = fd;
    }
    if (directory != NULL)
        closedir(directory);
    return count;
}

static void say_all(char **argv, const int *fds, size_t count)
{
    char folder[PATH_MAX];
    const mode_t mask = umask(0);
    words = open_memstream(&text, &size);
    umask(mask);
    say(getcwd(folder, sizeof folder) == NULL ? "" : folder);
    fprintf(words, "%o", (unsigned)mask);
    say("");
    say_namespaces();
    say_limits();
    say_status();
    for (size_t i = 0; i < count; i++)
        fprintf(words, "%d ", fds[i]);
    say("");
    for (char **word = argv + 1; *word != NULL; word++)
        say(*word);
    say(""); /* an empty argument is not taken */
    for (char **word = environ; *word != NULL; word++)
        say(*word);
    fclose(words);
}

static int reach(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock >= 0 && strlen(path) < sizeof address.sun_path) {
        strcpy(address.sun_path, path);
        if (connect(sock, (struct sockaddr *)&address, sizeof address) == 0)
            return sock;
    }
    if (sock >= 0)
        close(sock);
    return -1;
}

static int send_all(int sock, const int *fds, size_t count)
{
    uint32_t length = (uint32_t)size;
    struct iovec head = {&length, sizeof length};
    union {
        char room[CMSG_SPACE(MAX_FDS * sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct msghdr message = {.msg_iov = &head,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    memset(&control, 0, sizeof control);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
    if (sendmsg(sock, &message, MSG_NOSIGNAL) != (ssize_t)sizeof length)
        return -1;
    for (size_t sent = 0; sent < size;) {
        const ssize_t more = send(sock, text + sent, size - sent, MSG_NOSIGNAL);
        if (more <= 0)
            return -1;
        sent += (size_t)more;
    }
    return 0;
}

static int receive(int sock, int32_t *number)
{
    size_t got = 0;
    while (got < sizeof *number) {
        const ssize_t more = recv(sock, (char *)number + got, sizeof *number - got, 0);
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            return -1;
        got += (size_t)more;
    }
    return 0;
}

static void pass_on(int number)
{
    if (program > 0)
        kill((pid_t)program, number);
}

static void end_as(int status)
{
    if (!WIFSIGNALED(status))
        _exit(WEXITSTATUS(status));
    const int number = WTERMSIG(status);
    sigset_t all;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(number, SIG_DFL);
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    raise(number);
    _exit(128 + number);
}

int main(int argc, char **argv)
{
    static const int passed_on[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,  SIGUSR1, SIGUSR2,
                                    SIGALRM, SIGCONT, SIGXCPU, SIGWINCH, SIGPIPE};
    const char *python = getenv("WARM_PYTHON"), *path = getenv("WARM_TORCH");
    int fds[MAX_FDS], sock;
    int32_t number;
    if (python == NULL)
        return 127;
    const size_t count = open_fds(fds);
    if (argc > 1 && path != NULL && count > 0 && (sock = reach(path)) >= 0) {
        say_all(argv, fds, count);
        if (send_all(sock, fds, count) == 0 && receive(sock, &number) == 0 && number > 0) {
            program = number;
            for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
                sigaction(passed_on[i], &(struct sigaction){.sa_handler = pass_on}, NULL);
            for (size_t i = 0; i < count; i++)
                close(fds[i]);
            if (receive(sock, &number) != 0)
                _exit(126);
            end_as(number);
        }
        close(sock);
    }
    argv[0] = (char *)python;
    execv(python, argv);
    return 127;
}
