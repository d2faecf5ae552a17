/* SPDX-License-Identifier: Apache-2.0 */
/* How a failing function says what happened: a code for the caller, one sentence for people. */
#ifndef DATASTALL_BASE_ERROR_H
#define DATASTALL_BASE_ERROR_H

#include "datastall.h"

/* Stores the sentence for datastall_last_error() in this thread and returns the code. */
int ds_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The code that fits an errno value. */
int ds_error_of_errno(int error_number);

/* ds_fail() with ": <strerror>" appended and the code chosen from error_number. */
int ds_fail_errno(int error_number, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line on standard error, "datastall: ...", whatever the words in it hold (clean_text.h). For
 * things said once; never in the recording path. */
void ds_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
