/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for a machine that is at its limits, for LD_PRELOAD: the functions named in $FAKE_LIMITS
 * (separated by commas) fail, as they do where no process, thread or descriptor is left. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_refused(const char *name)
{
    const char *at = getenv("FAKE_LIMITS");
    while (at != NULL && *at != '\0') {
        const size_t length = strcspn(at, ",");
        if (length == strlen(name) && strncmp(at, name, length) == 0)
            return true;
        at += length + (at[length] == ',');
    }
    return false;
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

pid_t fork(void)
{
    pid_t (*next)(void) = (pid_t(*)(void))real("fork");
    errno = EAGAIN;
    return is_refused("fork") ? -1 : next();
}

int pipe2(int ends[2], int flags)
{
    int (*next)(int *, int) = (int (*)(int *, int))real("pipe2");
    errno = EMFILE;
    return is_refused("pipe2") ? -1 : next(ends, flags);
}

int socketpair(int domain, int type, int protocol, int pair[2])
{
    int (*next)(int, int, int, int *) = (int (*)(int, int, int, int *))real("socketpair");
    errno = EMFILE;
    return is_refused("socketpair") ? -1 : next(domain, type, protocol, pair);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = (int (*)(
        pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))real("pthread_create");
    return is_refused("pthread_create") ? EAGAIN : next(thread, attributes, run, argument);
}

/* As the sampler process is started: without further arguments. */
int clone(int (*run)(void *), void *stack, int flags, void *argument, ...)
{
    int (*next)(int (*)(void *), void *, int, void *, ...) =
        (int (*)(int (*)(void *), void *, int, void *, ...))real("clone");
    errno = EAGAIN;
    return is_refused("clone") ? -1 : next(run, stack, flags, argument);
}
