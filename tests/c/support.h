/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests share: temporary folders, files in memory, checks outside cmocka. */
#ifndef DATASTALL_TESTS_SUPPORT_H
#define DATASTALL_TESTS_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "datastall.h"

#define SKIPPED 77 /* meson's exit code for a test that could not run here */

/* For tests that fork: says where and what, and ends this process at once. */
#define CHECK(condition, ...)                                               \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fprintf(stderr, " (last error: %s)\n", datastall_last_error()); \
            fflush(NULL);                                                   \
            _exit(1);                                                       \
        }                                                                   \
    } while (0)

/* A new folder, removed when the process that made it exits. Lives as long as the process. */
const char *test_folder(void);

/* Gives the calling process a /dev/shm of its own: any `datastall show` of this user brings home what it
 * finds in the one that all share. False: not permitted here (errno says why), it stays shared. */
bool test_own_shm(void);

/* The same, and run files go into it directly (as under `datastall run`: no GPU section). */
const char *test_run_folder(void);

/* rm -r */
void test_remove(const char *path);

/* folder/name, in a buffer that lives until the eighth call from now. */
const char *test_path(const char *folder, const char *name);

/* Bytes of a file (to be freed), and writing one. Both end the process when they cannot. */
unsigned char *test_read_file(const char *path, size_t *size);
void test_write_file(const char *path, const void *bytes, size_t size);

/* How many descriptors this process has open. */
uint32_t test_open_descriptors(void);

/* Seconds to run: the first argument, else $DATASTALL_TEST_SECONDS, else the default. */
double test_seconds(int argc, char **argv, double otherwise);

/* A fork takes ten times as long under the address sanitizer, which sees the same lines each time: of
 * the places where something is killed, one in so many is tried there (all with
 * DATASTALL_TEST_STRIDE=1, as at night). 1 or a prime, so that no pattern hides behind it. */
unsigned test_every(void);

/* Runs a function in a child process and returns its wait status; the child exits 0 at its end. */
int test_in_child(void (*function)(void *), void *context);

/* Lets waits end at any time of the clock, also before the process and far ahead: for tests whose
 * time is their own. */
void test_any_time(datastall_monitor *monitor);

datastall_loader *test_loader(datastall_monitor *monitor, const char *name);

/* xorshift: the same numbers on every machine. */
uint64_t test_random(uint64_t *state);

#endif
