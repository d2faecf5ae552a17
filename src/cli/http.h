/* SPDX-License-Identifier: Apache-2.0 */
/* A small HTTP server for `serve`, on libmicrohttpd: one thread, a bounded number of connections, a
 * bounded time for each. The library is looked for when the server opens, so that the program starts
 * on machines that lack it. */
#ifndef DATASTALL_CLI_HTTP_H
#define DATASTALL_CLI_HTTP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#define HTTP_MAX_CONNECTIONS 256u
#define HTTP_CONNECTION_BYTES 32768u /* for a request's head */
#define HTTP_SEND_BUFFER_BYTES 65536 /* in the kernel, which doubles it */
#define HTTP_MOST_TEXTS 13 /* alive at once; beyond, who has read one for a second is cut off */
#define HTTP_REQUEST_S 10  /* until a new connection's request is whole */
#define HTTP_ANSWER_S 10   /* until the client has read the answer */
#define HTTP_IDLE_S 120    /* between two requests of a connection */

struct http_response; /* counted; clients that still read one keep it */

struct http_request {
    const char *path, *accept; /* accept: NULL without the header */
};

struct http_options {
    const char *listen;                      /* ADDR:PORT, [ADDR]:PORT; port 0: any */
    const char *certificate_file, *key_file; /* TLS; NULL: none */
    const char *auth_file;                   /* lines of USER:PASSWORD; NULL: none */
    const char *const *host_names;           /* it goes by, beside the machine's (host_names.h) */
    size_t host_name_count;
    /* Answers a GET; the caller keeps its own hold of the response. NULL: 404. */
    struct http_response *(*answer)(void *context, const struct http_request *request);
    void *context;
    const char *open_path; /* answered without authentication; NULL: none */
};

struct http_server;

/* Listens. Returns 0 or a datastall error with its sentence. */
int http_open(const struct http_options *options, struct http_server **server);
/* "http://127.0.0.1:19835" */
const char *http_url(const struct http_server *server);
/* True where other machines can reach it. */
bool http_is_public(const struct http_server *server);
/* Serves until *stop; signals are let in only while it waits (mask: as for ppoll). */
void http_run(struct http_server *server, const volatile sig_atomic_t *stop, const sigset_t *mask);
void http_close(struct http_server *server);

/* Takes over text (malloc'd); NULL: out of memory. Release with http_response_free(). */
struct http_response *http_response_new(const struct http_server *server, char *text, size_t length,
                                        const char *content_type);
void http_response_free(const struct http_server *server, struct http_response *response);

#endif
