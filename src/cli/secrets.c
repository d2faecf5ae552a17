/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define MAX_FILE_BYTES (1u << 20)
#define MAX_WORD_BYTES 255u

/* ---- files ---- */

static int check_file(int fd, const char *path, bool is_private, size_t *length)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return ds_fail_errno(errno, "cannot open %s", path);
    if (!S_ISREG(file.st_mode) || file.st_size > (off_t)MAX_FILE_BYTES)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "%s is not a small regular file", path);
    if (is_private && (file.st_mode & (S_IROTH | S_IWOTH)) != 0)
        return ds_fail(DATASTALL_ERR_PERMISSION, "%s can be %s by everybody: chmod 600 %s", path,
                       (file.st_mode & S_IROTH) != 0 ? "read" : "changed", path);
    *length = (size_t)file.st_size;
    return DATASTALL_OK;
}

char *secret_read(const char *path, bool is_private, size_t *length)
{
    char *text = NULL;
    size_t size = 0;
    /* O_NONBLOCK: a pipe is refused, not waited for. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        ds_fail_errno(errno, "cannot open %s", path);
        return NULL;
    }
    if (check_file(fd, path, is_private, &size) == DATASTALL_OK) {
        text = calloc(1, size + 1);
        if (text == NULL || read(fd, text, size) != (ssize_t)size) {
            free(text);
            text = NULL;
            ds_fail(DATASTALL_ERR_IO, "cannot read %s", path);
        }
    }
    close(fd);
    if (length != NULL)
        *length = size;
    return text;
}

/* ---- users ---- */

struct user {
    const char *name, *password; /* in the text */
    unsigned line;
};

struct secret_users {
    char *text;
    size_t count;
    struct user users[];
};

static bool has_control_character(const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)word[i] < 0x20 || word[i] == 0x7f)
            return true;
    }
    return false;
}

/* Adds what a line says, whose end becomes a NUL. */
static int add_user(struct secret_users *users, char *line, size_t length, unsigned number,
                    const char *path)
{
    char *colon = memchr(line, ':', length);
    const size_t name = colon == NULL ? 0 : (size_t)(colon - line);
    const size_t password = colon == NULL ? 0 : length - name - 1;
    const char *wrong = has_control_character(line, length) ? "holds a control character"
                        : colon == NULL                     ? "is not USER:PASSWORD"
                        : name == 0                         ? "has no user"
                        : password == 0                     ? "has no password"
                        : name > MAX_WORD_BYTES || password > MAX_WORD_BYTES ? "is too long"
                                                                             : NULL;
    if (wrong != NULL)
        return ds_fail(DATASTALL_ERR_ARGUMENT, "line %u of %s %s", number, path, wrong);
    *colon = line[length] = '\0';
    for (size_t i = 0; i < users->count; i++) {
        if (strcmp(users->users[i].name, line) == 0)
            return ds_fail(DATASTALL_ERR_ARGUMENT,
                           "the user '%s' appears twice in %s, in lines %u and %u", line, path,
                           users->users[i].line, number);
    }
    users->users[users->count++] = (struct user){line, colon + 1, number};
    return DATASTALL_OK;
}

static int take_lines(struct secret_users *users, size_t length, const char *path)
{
    static const char mark[] = "\xef\xbb\xbf"; /* what some editors begin a file with */
    char *line = users->text + (strncmp(users->text, mark, 3) == 0 ? 3 : 0);
    char *const end = users->text + length;
    for (unsigned number = 1; line < end; number++) {
        char *next = memchr(line, '\n', (size_t)(end - line));
        size_t bytes = (size_t)((next != NULL ? next : end) - line);
        bytes -= bytes > 0 && line[bytes - 1] == '\r';
        const int error =
            bytes == 0 || line[0] == '#' ? 0 : add_user(users, line, bytes, number, path);
        if (error != DATASTALL_OK)
            return error;
        line = next != NULL ? next + 1 : end;
    }
    return users->count > 0 ? DATASTALL_OK
                            : ds_fail(DATASTALL_ERR_ARGUMENT, "%s has no line USER:PASSWORD", path);
}

static size_t count_lines(const char *text, size_t length)
{
    size_t lines = 1;
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    return lines;
}

int secret_users_read(const char *path, struct secret_users **result)
{
    size_t length;
    *result = NULL;
    char *text = secret_read(path, true, &length);
    if (text == NULL)
        return DATASTALL_ERR_IO;
    struct secret_users *users =
        calloc(1, sizeof *users + count_lines(text, length) * sizeof users->users[0]);
    if (users == NULL) {
        free(text);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    users->text = text;
    const int error = take_lines(users, length, path);
    if (error != DATASTALL_OK) {
        secret_users_free(users);
        return error;
    }
    *result = users;
    return DATASTALL_OK;
}

void secret_users_free(struct secret_users *users)
{
    if (users != NULL)
        free(users->text);
    free(users);
}

static bool same_text(const char *kept, const char *said)
{
    const size_t length = strlen(kept), other = strlen(said);
    unsigned difference = length != other;
    for (size_t i = 0; i < length && other > 0; i++)
        difference |= (unsigned char)kept[i] ^ (unsigned char)said[i % other];
    return difference == 0;
}

bool secret_users_allow(const struct secret_users *users, const char *user, const char *password)
{
    bool allowed = false;
    for (size_t i = 0; i < users->count; i++)
        /* Both, whatever the first says: the time tells nothing. */
        allowed |= (unsigned)same_text(users->users[i].name, user) &
                   (unsigned)same_text(users->users[i].password, password);
    return allowed;
}
