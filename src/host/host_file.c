/* SPDX-License-Identifier: Apache-2.0 */
#include "host/host_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool host_file_read(const char *root, const char *path, char *text, size_t size)
{
    char whole[PATH_MAX];
    text[0] = '\0';
    if (snprintf(whole, sizeof whole, "%s%s", root, path) >= (int)sizeof whole)
        return false;
    int fd = open(whole, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t length = 0;
    ssize_t got;
    while (length < size - 1 && (got = read(fd, text + length, size - 1 - length)) > 0)
        length += (size_t)got;
    close(fd);
    text[length] = '\0';
    return length > 0;
}

static uint64_t number_at(const char *text)
{
    uint64_t value = 0;
    text += strspn(text, ": \t");
    if (*text < '0' || *text > '9')
        return HOST_UNKNOWN;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return HOST_UNKNOWN;
    }
    return value;
}

uint64_t host_number_of(const char *text, const char *key)
{
    const size_t length = strlen(key);
    if (length == 0)
        return number_at(text);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, length) == 0 && strchr(": \t", line[length]) != NULL)
            return number_at(line + length);
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return HOST_UNKNOWN;
}
