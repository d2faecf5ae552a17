/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/host_names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

void host_names_find(struct host_names *names, bool is_public)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
    struct addrinfo *found;
    names->own[0] = names->whole[0] = '\0';
    if (gethostname(names->own, sizeof names->own - 1) != 0 || !is_public)
        return;
    names->own[sizeof names->own - 1] = '\0';
    if (getaddrinfo(names->own, NULL, &hints, &found) != 0)
        return;
    if (found->ai_canonname != NULL)
        snprintf(names->whole, sizeof names->whole, "%s", found->ai_canonname);
    freeaddrinfo(found);
}

/* The host of HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT, without the dot that may end a name.
 * False: it is none of these. */
static bool take_host(const char *header, char host[HOST_NAME_BYTES])
{
    const bool bracketed = header[0] == '[';
    const size_t length = strcspn(header + bracketed, bracketed ? "]" : ":");
    const char *rest = header + bracketed + length;
    if (length == 0 || length >= HOST_NAME_BYTES || (bracketed && *rest++ != ']'))
        return false;
    if (*rest != '\0' && (*rest != ':' || strspn(rest + 1, "0123456789") != strlen(rest + 1)))
        return false;
    memcpy(host, header + bracketed, length);
    host[length - (length > 1 && host[length - 1] == '.')] = '\0';
    host[length] = '\0';
    return true;
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

bool host_names_allow(const struct host_names *names, const char *header)
{
    char host[HOST_NAME_BYTES];
    if (header == NULL || header[0] == '\0')
        return true;
    if (!take_host(header, host))
        return false;
    if (is_address(host) || strcasecmp(host, "localhost") == 0 ||
        strcasecmp(host, names->own) == 0 || strcasecmp(host, names->whole) == 0 ||
        strcasecmp(host, names->listened) == 0)
        return true;
    for (size_t i = 0; i < names->more_count; i++) {
        if (strcasecmp(host, names->more[i]) == 0)
            return true;
    }
    return false;
}
