/* SPDX-License-Identifier: Apache-2.0 */
/* What `datastall doctor` finds out, one finding a line. */
#ifndef DATASTALL_CLI_DOCTOR_H
#define DATASTALL_CLI_DOCTOR_H

#include <stdbool.h>

#include "base/emitter.h"

enum doctor_status {
    DOCTOR_OK,
    DOCTOR_LIMITED, /* works, with less to tell */
    DOCTOR_MISSING, /* some figure cannot be had here */
    DOCTOR_FAILED   /* recording itself would not work */
};

struct doctor_finding {
    enum doctor_status status;
    char subject[24];
    char finding[320];
    char advice[320]; /* "": nothing to do */
};

#define DOCTOR_FINDINGS 96
struct doctor_report {
    uint32_t count;
    struct doctor_finding findings[DOCTOR_FINDINGS];
};

/* Adds a finding; advice may be NULL. Findings beyond the room are dropped. */
void doctor_add(struct doctor_report *report, enum doctor_status status, const char *subject,
                const char *advice, const char *finding, ...) __attribute__((format(printf, 5, 6)));

/* Runs work(context, fd) in a child process, which writes to fd, and reads that until the child
 * ends, or for at most timeout_s: then the child is killed. text is cut to size - 1. Returns the
 * child's wait status, -1: it took too long, -2: it could not be started. */
int doctor_in_child(void (*work)(void *context, int fd), void *context, double timeout_s,
                    char *text, size_t size);

/* The checks. None fails, none changes anything that stays
 * (runs on tmpfs that nobody writes to come home), each is bounded in time. */
/* *on_tmpfs: a run is recorded in /dev/shm until it ends. */
void doctor_check_folder(const char *directory, bool *on_tmpfs, struct doctor_report *report);
void doctor_check_container(const char *directory, bool on_tmpfs, struct doctor_report *report);
void doctor_check_host(struct doctor_report *report);
void doctor_check_gpus(struct doctor_report *report);
/* python: a name for $PATH or a path; NULL: python, else python3. */
void doctor_check_python(const char *python, struct doctor_report *report);

const char *doctor_status_name(enum doctor_status status);

/* {"schema": 1, "datastall_version": ..., "findings": [{status, subject, finding, advice}]} */
void doctor_shape(const void *report, const struct emitter *emitter);

#endif
