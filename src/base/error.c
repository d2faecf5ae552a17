/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clean_text.h"
#include "base/signal_guard.h"

static _Thread_local char last_error[512];

const char *datastall_strerror(int error)
{
    switch (error) {
#define ERROR_CASE(name, value, text) \
    case value:                       \
        return text;
        DATASTALL_ERRORS(ERROR_CASE)
#undef ERROR_CASE
    }
    return "unknown error";
}

const char *datastall_last_error(void)
{
    return last_error;
}

const char *datastall_version(void)
{
    return DATASTALL_VERSION;
}

uint32_t datastall_version_number(void)
{
    return DATASTALL_VERSION_NUMBER;
}

int ds_fail(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return code;
}

int ds_error_of_errno(int error_number)
{
    switch (error_number) {
    case ENOSPC:
    case EDQUOT:
        return DATASTALL_ERR_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return DATASTALL_ERR_PERMISSION;
    case ENOENT:
    case ENOTDIR:
        return DATASTALL_ERR_NOT_FOUND;
    case ENOMEM:
        return DATASTALL_ERR_MEMORY;
    case EEXIST:
        return DATASTALL_ERR_EXISTS;
    default:
        return DATASTALL_ERR_IO;
    }
}

int ds_fail_errno(int error_number, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof last_error)
        snprintf(last_error + length, sizeof last_error - (size_t)length, ": %s",
                 strerror(error_number));
    return ds_error_of_errno(error_number);
}

/* One write, so that lines of several processes do not mix. A closed standard error, or a file there
 * that may not grow, is nobody's problem. */
static void write_without_signals(const char *line, size_t length)
{
    struct ds_write_guard guard;
    ds_write_hold(&guard);
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
    ds_write_release(&guard);
}

void ds_say(const char *format, ...)
{
    char line[1024] = "datastall: ", sentence[sizeof line];
    const size_t prefix = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    ds_clean_text(sentence, line + prefix, sizeof line - prefix - 1);
    size_t end = strlen(line);
    line[end++] = '\n';
    write_without_signals(line, end);
}
