/* SPDX-License-Identifier: Apache-2.0 */
#include "base/signal_guard.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

void ds_signal_hold(int signal_number, struct ds_signal_guard *guard)
{
    sigset_t one, pending;
    const int saved = errno;
    guard->signal_number = signal_number;
    sigemptyset(&one);
    sigaddset(&one, signal_number);
    sigpending(&pending);
    guard->was_pending = sigismember(&pending, signal_number) == 1;
    pthread_sigmask(SIG_BLOCK, &one, &guard->before);
    errno = saved;
}

void ds_signal_release(const struct ds_signal_guard *guard)
{
    sigset_t one;
    const struct timespec now = {0, 0};
    const int saved = errno;
    sigemptyset(&one);
    sigaddset(&one, guard->signal_number);
    if (!guard->was_pending)
        while (sigtimedwait(&one, NULL, &now) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
    errno = saved;
}

void ds_write_hold(struct ds_write_guard *guard)
{
    ds_signal_hold(SIGPIPE, &guard->pipe);
    ds_signal_hold(SIGXFSZ, &guard->size);
}

void ds_write_release(const struct ds_write_guard *guard)
{
    ds_signal_release(&guard->size);
    ds_signal_release(&guard->pipe);
}
