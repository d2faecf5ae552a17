/* SPDX-License-Identifier: Apache-2.0 */
#include "host/lock_wait.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "host/host_file.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#ifndef F_OFD_SETLKW
#define F_OFD_SETLKW 38
#endif

/* A futex that only threads of one process use is called private. */
static bool is_shared_futex_wait(unsigned long operation)
{
    const unsigned long command = operation & (unsigned long)FUTEX_CMD_MASK;
    return (operation & FUTEX_PRIVATE_FLAG) == 0 &&
           (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI ||
            command == FUTEX_LOCK_PI2);
}

enum host_lock_wait host_parse_lock_wait(const char *text)
{
    char *rest;
    const long call = strtol(text, &rest, 10);
    if (rest == text) /* "running" */
        return text[0] == '\0' ? HOST_LOCK_UNKNOWN : HOST_LOCK_NO;
    strtoul(rest, &rest, 16); /* the futex, the file */
    const unsigned long what = strtoul(rest, &rest, 16);
    bool waits = call == SYS_futex && is_shared_futex_wait(what);
    waits |= call == SYS_flock;
    waits |= call == SYS_fcntl && (what == F_SETLKW || what == F_OFD_SETLKW);
    return waits ? HOST_LOCK_YES : HOST_LOCK_NO;
}

/* An emulator of another architecture makes the calls of the machine underneath, whose numbers are told
 * then. To read the file is a call as well. */
static bool numbers_are_ours(const char *root)
{
    char text[160], *rest;
    if (!host_file_read(root, "/proc/self/syscall", text, sizeof text))
        return true;
    const long call = strtol(text, &rest, 10);
    return rest == text || call == SYS_read;
}

enum host_lock_wait host_lock_wait_of(const char *root, uint64_t pid)
{
    char path[48], text[160];
    snprintf(path, sizeof path, "/proc/%llu/syscall", (unsigned long long)pid);
    return numbers_are_ours(root) && host_file_read(root, path, text, sizeof text)
               ? host_parse_lock_wait(text)
               : HOST_LOCK_UNKNOWN;
}
