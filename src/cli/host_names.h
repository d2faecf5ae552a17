/* SPDX-License-Identifier: Apache-2.0 */
/* Under which names a server may be asked. A page in a browser can make its own name lead to this
 * machine (DNS rebinding) and read what is served here; the Host header then still says its name. */
#ifndef DATASTALL_CLI_HOST_NAMES_H
#define DATASTALL_CLI_HOST_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define HOST_NAME_BYTES 256u /* with the NUL */

struct host_names {
    char own[HOST_NAME_BYTES];      /* this machine's name; "" unknown */
    char whole[HOST_NAME_BYTES];    /* the same with its domain; "" unknown */
    char listened[HOST_NAME_BYTES]; /* as it was told to listen, without port and brackets */
    const char *const *more;        /* --host-name */
    size_t more_count;
};

/* Finds the machine's names; with its domain only where is_public, since that may ask a name server,
 * which takes its time. */
void host_names_find(struct host_names *names, bool is_public);

/* host: a Host header, with or without a port; NULL or "" (a client older than HTTP/1.1, which is no
 * browser): allowed. So is any address, which nobody can make lead elsewhere, and localhost. Pure. */
bool host_names_allow(const struct host_names *names, const char *host);

#endif
