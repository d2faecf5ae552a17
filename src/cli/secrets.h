/* SPDX-License-Identifier: Apache-2.0 */
/* What `serve` is told in files: a certificate and its key, and who may ask. */
#ifndef DATASTALL_CLI_SECRETS_H
#define DATASTALL_CLI_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

/* The whole of a small regular file, with a NUL behind its *length bytes (NULL: not asked for);
 * free() it. is_private: refused where everybody may read or change it. Never blocks on a pipe.
 * NULL after ds_fail(). */
char *secret_read(const char *path, bool is_private, size_t *length);

/* Users and their passwords. */
struct secret_users;

/* Reads lines of USER:PASSWORD. Empty lines and those that begin with '#' say nothing; line ends of
 * either kind and a byte-order mark are no part of them. Whatever would let in the wrong one or
 * nobody is refused, with its line: no colon, an empty user or password, a control character, more
 * than 255 bytes, a user who appears twice. Returns 0 or an error with its sentence, in which no
 * password is. Free with secret_users_free(). */
int secret_users_read(const char *path, struct secret_users **users);
void secret_users_free(struct secret_users *users);

/* Takes as long for a wrong password as for a right one. */
bool secret_users_allow(const struct secret_users *users, const char *user, const char *password);

#endif
