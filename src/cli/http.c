/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/host_names.h"
#include "cli/secrets.h"

#define BACKLOG 512
#define ACCEPTED_AT_ONCE 64

/* ---- the library ---- */

#define FUNCTIONS(X)                                      \
    X(MHD_start_daemon)                                   \
    X(MHD_stop_daemon)                                    \
    X(MHD_add_connection)                                 \
    X(MHD_run)                                            \
    X(MHD_get_timeout)                                    \
    X(MHD_get_daemon_info)                                \
    X(MHD_get_connection_info)                            \
    X(MHD_lookup_connection_value)                        \
    X(MHD_create_response_from_buffer_with_free_callback) \
    X(MHD_add_response_header)                            \
    X(MHD_queue_response)                                 \
    X(MHD_destroy_response)                               \
    X(MHD_is_feature_supported)                           \
    X(MHD_basic_auth_get_username_password)               \
    X(MHD_queue_basic_auth_fail_response)

struct library {
    void *handle;
#define MEMBER(name) __typeof__(name) *name;
    FUNCTIONS(MEMBER)
#undef MEMBER
};

static int open_library(struct library *library)
{
    library->handle = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (library->handle == NULL)
        library->handle = dlopen("libmicrohttpd.so", RTLD_NOW | RTLD_LOCAL);
    if (library->handle == NULL)
        return ds_fail(
            DATASTALL_ERR_NOT_FOUND,
            "serve needs libmicrohttpd, which is not on this machine: install the package "
            "libmicrohttpd12 (Debian, Ubuntu) or libmicrohttpd (Fedora and others)");
#define FIND(name)                                            \
    *(void **)&library->name = dlsym(library->handle, #name); \
    if (library->name == NULL)                                \
        return ds_fail(DATASTALL_ERR_UNSUPPORTED, "this machine's libmicrohttpd has no %s", #name);
    FUNCTIONS(FIND)
#undef FIND
    return DATASTALL_OK;
}

/* ---- clients ---- */

enum client_state { CLIENT_FREE, CLIENT_NEW, CLIENT_ANSWERED_TO, CLIENT_IDLE };

struct client {
    enum client_state state;
    int fd;
    bool told_to_go;
    uint64_t since_ns; /* in this state */
};

struct http_server {
    struct library mhd;
    struct http_options options;
    struct MHD_Daemon *daemon;
    int socket, epoll;
    bool is_public;
    char url[128];
    char *certificate, *key;
    struct secret_users *users; /* NULL: whoever asks */
    struct host_names names;
    struct MHD_Response *bad_method, *not_found, *denied, *misdirected;
    struct client clients[HTTP_MAX_CONNECTIONS];
};

static struct client *client_of(struct http_server *server, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        server->mhd.MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static void enter(struct client *client, enum client_state state)
{
    client->state = state;
    client->since_ns = ds_now_ns();
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket_context != NULL)
            *(struct client *)*socket_context = (struct client){.state = CLIENT_FREE};
        return;
    }
    const union MHD_ConnectionInfo *info =
        server->mhd.MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (uint32_t i = 0; info != NULL && i < HTTP_MAX_CONNECTIONS; i++) {
        if (server->clients[i].state != CLIENT_FREE)
            continue;
        server->clients[i] = (struct client){.fd = info->connect_fd};
        enter(&server->clients[i], CLIENT_NEW);
        *socket_context = &server->clients[i];
        return;
    }
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct client *client = client_of(context, connection);
    (void)request;
    (void)code;
    if (client != NULL)
        enter(client, CLIENT_IDLE);
}

/* The library closes a connection that was shut down. */
static void tell_to_go(struct client *client)
{
    shutdown(client->fd, SHUT_RDWR);
    client->told_to_go = true;
}

static void tell_late_ones_to_go(struct http_server *server)
{
    static const uint64_t limits_s[] = {[CLIENT_NEW] = HTTP_REQUEST_S,
                                        [CLIENT_ANSWERED_TO] = HTTP_ANSWER_S,
                                        [CLIENT_IDLE] = HTTP_IDLE_S};
    const uint64_t now_ns = ds_now_ns();
    for (uint32_t i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
        struct client *client = &server->clients[i];
        if (client->state != CLIENT_FREE && !client->told_to_go &&
            now_ns - client->since_ns > limits_s[client->state] * DS_NS_PER_S)
            tell_to_go(client);
    }
}

/* Makes room for a newcomer, who is more likely to ask something than one who connected long ago
 * and never did: first those, then idle ones, last those that are being answered. */
static bool make_room(struct http_server *server)
{
    static const unsigned rank[] = {[CLIENT_NEW] = 1, [CLIENT_IDLE] = 2, [CLIENT_ANSWERED_TO] = 3};
    struct client *victim = NULL;
    for (uint32_t i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
        struct client *client = &server->clients[i];
        if (client->state == CLIENT_FREE)
            return true;
        if (client->told_to_go)
            continue;
        if (victim == NULL || rank[client->state] < rank[victim->state] ||
            (client->state == victim->state && client->since_ns < victim->since_ns))
            victim = client;
    }
    if (victim != NULL)
        tell_to_go(victim);
    server->mhd.MHD_run(server->daemon);
    for (uint32_t i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
        if (server->clients[i].state == CLIENT_FREE)
            return true;
    }
    return false;
}

static void accept_newcomers(struct http_server *server)
{
    for (int i = 0; i < ACCEPTED_AT_ONCE; i++) {
        struct sockaddr_storage address;
        socklen_t length = sizeof address;
        const int fd = accept4(server->socket, (struct sockaddr *)&address, &length,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!make_room(server))
            close(fd);
        else /* closes it where it fails */
            server->mhd.MHD_add_connection(server->daemon, fd, (struct sockaddr *)&address, length);
    }
}

/* ---- answering ---- */

static bool is_allowed(const struct http_server *server, struct MHD_Connection *connection)
{
    char *password = NULL;
    if (server->users == NULL)
        return true;
    char *user = server->mhd.MHD_basic_auth_get_username_password(connection, &password);
    const bool allowed =
        user != NULL && password != NULL && secret_users_allow(server->users, user, password);
    free(user);
    free(password);
    return allowed;
}

/* Paths are taken as they are sent: nothing here needs %XX, and %00 would cut them. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* Texts that somebody still reads or may ask for; there is one server in a process. */
static unsigned texts_alive;

static void free_text(void *text)
{
    free(text);
    texts_alive--;
}

/* Readers who are slow on purpose, each at a text of its own time, must not hold many of them. */
static void bound_texts(struct http_server *server)
{
    const uint64_t now_ns = ds_now_ns();
    for (uint32_t i = 0; i < HTTP_MAX_CONNECTIONS && texts_alive > HTTP_MOST_TEXTS; i++) {
        struct client *client = &server->clients[i];
        if (client->state == CLIENT_ANSWERED_TO && !client->told_to_go &&
            now_ns - client->since_ns > DS_NS_PER_S)
            tell_to_go(client);
    }
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_bytes, void **request)
{
    struct http_server *server = context;
    const struct library *mhd = &server->mhd;
    struct client *client = client_of(server, connection);
    (void)version;
    (void)upload;
    if (client != NULL && *request == NULL)
        enter(client, CLIENT_ANSWERED_TO);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return mhd->MHD_queue_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED, server->bad_method);
    /* An answer at the first call would end the connection; a body, which no GET needs, is read
     * and dropped. */
    if (*request == NULL || *upload_bytes > 0) {
        *request = server;
        *upload_bytes = 0;
        return MHD_YES;
    }
    if (!host_names_allow(&server->names, mhd->MHD_lookup_connection_value(
                                              connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST)))
        return mhd->MHD_queue_response(connection, MHD_HTTP_MISDIRECTED_REQUEST,
                                       server->misdirected);
    const bool open =
        server->options.open_path != NULL && strcmp(path, server->options.open_path) == 0;
    if (!open && !is_allowed(server, connection))
        return mhd->MHD_queue_basic_auth_fail_response(connection, "datastall", server->denied);
    const struct http_request asked = {
        path,
        mhd->MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT)};
    bound_texts(server);
    struct http_response *response = server->options.answer(server->options.context, &asked);
    if (response == NULL)
        return mhd->MHD_queue_response(connection, MHD_HTTP_NOT_FOUND, server->not_found);
    return mhd->MHD_queue_response(connection, MHD_HTTP_OK, (struct MHD_Response *)response);
}

struct http_response *http_response_new(const struct http_server *server, char *text, size_t length,
                                        const char *content_type)
{
    struct MHD_Response *response =
        server->mhd.MHD_create_response_from_buffer_with_free_callback(length, text, free_text);
    if (response == NULL) {
        free(text);
        return NULL;
    }
    texts_alive++;
    server->mhd.MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    server->mhd.MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    server->mhd.MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    server->mhd.MHD_add_response_header(response, "X-Frame-Options", "DENY");
    return (struct http_response *)response;
}

void http_response_free(const struct http_server *server, struct http_response *response)
{
    if (response != NULL)
        server->mhd.MHD_destroy_response((struct MHD_Response *)response);
}

static struct MHD_Response *fixed_response(const struct http_server *server, const char *text)
{
    char *copy = strdup(text);
    return copy == NULL ? NULL
                        : (struct MHD_Response *)http_response_new(server, copy, strlen(copy),
                                                                   "text/plain; charset=utf-8");
}

/* ---- opening ---- */

static int read_secrets(struct http_server *server)
{
    const struct http_options *o = &server->options;
    if (o->certificate_file != NULL &&
        ((server->certificate = secret_read(o->certificate_file, false, NULL)) == NULL ||
         (server->key = secret_read(o->key_file, true, NULL)) == NULL))
        return DATASTALL_ERR_IO;
    return o->auth_file == NULL ? DATASTALL_OK : secret_users_read(o->auth_file, &server->users);
}

/* ADDR:PORT taken apart; [ADDR] for IPv6. */
static bool split_address(const char *text, char host[80], char port[8])
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0' || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || atoi(colon + 1) > 65535)
        return false;
    size_t length = (size_t)(colon - text);
    const bool bracketed = text[0] == '[' && text[length - 1] == ']';
    if ((memchr(text, ':', length) != NULL) != bracketed || length >= 80)
        return false;
    snprintf(host, 80, "%.*s", (int)(length - 2 * bracketed), text + bracketed);
    snprintf(port, 8, "%s", colon + 1);
    return true;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 ==
               127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

static int listen_at(struct http_server *server)
{
    char host[80], port[8], shown[INET6_ADDRSTRLEN] = "";
    const char *wish = server->options.listen;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    if (!split_address(wish, host, port))
        return ds_fail(DATASTALL_ERR_ARGUMENT,
                       "'%s' is not of the form ADDR:PORT, such as 127.0.0.1:19835 or [::1]:19835",
                       wish);
    const int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0)
        return ds_fail(DATASTALL_ERR_NOT_FOUND, "cannot find the address %s: %s", host,
                       gai_strerror(error));
    const int on = 1;
    server->socket = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = server->socket >= 0;
    if (ok) {
        /* Accepted sockets inherit the buffer: the kernel would hold megabytes for each client that
         * does not read. */
        const int bytes = HTTP_SEND_BUFFER_BYTES;
        setsockopt(server->socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        setsockopt(server->socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    ok = ok && bind(server->socket, found->ai_addr, found->ai_addrlen) == 0 &&
         listen(server->socket, BACKLOG) == 0;
    server->is_public = !is_loopback(found->ai_addr);
    server->names = (struct host_names){.more = server->options.host_names,
                                        .more_count = server->options.host_name_count};
    snprintf(server->names.listened, sizeof server->names.listened, "%s", host);
    host_names_find(&server->names, server->is_public);
    const int failed = errno;
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char number[8] = "";
    if (ok && getsockname(server->socket, (struct sockaddr *)&bound, &length) == 0)
        getnameinfo((struct sockaddr *)&bound, length, shown, sizeof shown, number, sizeof number,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    freeaddrinfo(found);
    if (!ok)
        return ds_fail_errno(failed, "cannot listen at %s", wish);
    const bool six = strchr(shown, ':') != NULL;
    snprintf(server->url, sizeof server->url, "http%s://%s%s%s:%s",
             server->certificate != NULL ? "s" : "", six ? "[" : "", shown, six ? "]" : "", number);
    return DATASTALL_OK;
}

static int start_daemon(struct http_server *server)
{
    const bool tls = server->certificate != NULL;
    struct MHD_OptionItem secrets[] = {
        {tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, server->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, server->key},
        {MHD_OPTION_END, 0, NULL},
    };
    if (tls && server->mhd.MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return ds_fail(DATASTALL_ERR_UNSUPPORTED, "this machine's libmicrohttpd has no TLS");
    /* No thread and no socket of its own: http_run() accepts and polls. */
    server->daemon = server->mhd.MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | (tls ? MHD_USE_TLS : 0), 0, NULL, NULL,
        on_request, server, MHD_OPTION_CONNECTION_LIMIT, HTTP_MAX_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_CONNECTION_BYTES, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, NULL, MHD_OPTION_ARRAY, secrets, MHD_OPTION_END);
    if (server->daemon == NULL)
        return ds_fail(DATASTALL_ERR_IO, "libmicrohttpd could not start%s",
                       tls ? ": are certificate and key a pair in PEM form?" : "");
    const union MHD_DaemonInfo *info =
        server->mhd.MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL)
        return ds_fail(DATASTALL_ERR_UNSUPPORTED, "this machine's libmicrohttpd has no epoll");
    server->epoll = info->epoll_fd;
    return DATASTALL_OK;
}

int http_open(const struct http_options *options, struct http_server **result)
{
    *result = NULL;
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    server->options = *options;
    server->socket = -1;
    int error = open_library(&server->mhd);
    if (error == DATASTALL_OK)
        error = read_secrets(server);
    if (error == DATASTALL_OK)
        error = start_daemon(server);
    if (error == DATASTALL_OK)
        error = listen_at(server);
    if (error != DATASTALL_OK) {
        http_close(server);
        return error;
    }
    server->bad_method = fixed_response(server, "only GET and HEAD\n");
    server->not_found = fixed_response(server, "try /, /live.json, /metrics or /healthz\n");
    server->denied = fixed_response(server, "a user and a password are needed\n");
    server->misdirected = fixed_response(
        server, "this server does not go by that name; 'serve --host-name NAME' adds one\n");
    if (server->bad_method == NULL || server->not_found == NULL || server->denied == NULL ||
        server->misdirected == NULL) {
        http_close(server);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    server->mhd.MHD_add_response_header(server->bad_method, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    *result = server;
    return DATASTALL_OK;
}

void http_close(struct http_server *server)
{
    if (server == NULL)
        return;
    if (server->daemon != NULL) /* closes the connections */
        server->mhd.MHD_stop_daemon(server->daemon);
    struct MHD_Response *const fixed[] = {server->bad_method, server->not_found, server->denied,
                                          server->misdirected};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        http_response_free(server, (struct http_response *)fixed[i]);
    if (server->socket >= 0)
        close(server->socket);
    free(server->certificate);
    free(server->key);
    secret_users_free(server->users);
    free(server); /* the library stays loaded: GnuTLS does not like to go */
}

const char *http_url(const struct http_server *server)
{
    return server->url;
}

bool http_is_public(const struct http_server *server)
{
    return server->is_public;
}

void http_run(struct http_server *server, const volatile sig_atomic_t *stop, const sigset_t *mask)
{
    struct pollfd polled[2] = {{server->socket, POLLIN, 0}, {server->epoll, POLLIN, 0}};
    while (!*stop) {
        MHD_UNSIGNED_LONG_LONG wait_ms = 1000;
        if (server->mhd.MHD_get_timeout(server->daemon, &wait_ms) != MHD_YES || wait_ms > 1000)
            wait_ms = 1000;
        const struct timespec wait = {(time_t)(wait_ms / 1000), (long)(wait_ms % 1000) * 1000000};
        if (ppoll(polled, 2, &wait, mask) > 0 && (polled[0].revents & POLLIN) != 0)
            accept_newcomers(server);
        server->mhd.MHD_run(server->daemon);
        tell_late_ones_to_go(server);
    }
}
