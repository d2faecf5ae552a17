/* SPDX-License-Identifier: Apache-2.0 */
/* `datastall serve`: the machine's runs for Prometheus, over HTTP. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/http.h"
#include "cli/live.h"
#include "cli/serve_page.h"
#include "output/openmetrics.h"

#define DEFAULT_LISTEN "127.0.0.1:19835"
#define MAX_BASES 32u
#define MAX_HOST_NAMES 32u
/* Scrapes that follow each other so closely share one reading. */
#define FRESH_NS (200 * UINT64_C(1000000))

struct serve_options {
    const char *listen, *certificate, *key, *auth;
    const char *bases[MAX_BASES], *host_names[MAX_HOST_NAMES];
    uint32_t base_count, host_name_count;
};

struct service {
    struct http_server *server;
    struct live *live;
    struct openmetrics_memory *memory;
    struct job_watch *jobs;
    uint64_t read_ns;               /* when the runs were last read, 0: never */
    struct http_response *texts[2]; /* by enum openmetrics_format, made from that reading */
    struct http_response *page, *healthy;
    struct http_response *live_json; /* made at live_ns, kept for SERVE_LIVE_NS */
    uint64_t live_ns;
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

/* ---- answers ---- */

static void forget_texts(struct service *service)
{
    for (unsigned i = 0; i < 2; i++) {
        http_response_free(service->server, service->texts[i]);
        service->texts[i] = NULL;
    }
}

static void read_again(struct service *service)
{
    const uint64_t now_ns = ds_now_ns();
    if (service->read_ns == 0 || now_ns - service->read_ns > FRESH_NS) {
        uint32_t count;
        live_refresh(service->live, now_ns);
        const struct summary *const *runs = live_runs(service->live, &count);
        job_watch_add(service->jobs, runs, count, now_ns);
        service->read_ns = now_ns;
        forget_texts(service);
    }
}

static struct http_response *metrics(struct service *service, enum openmetrics_format format)
{
    read_again(service);
    if (service->texts[format] == NULL) {
        uint32_t count;
        char *text;
        size_t length;
        const struct summary *const *runs = live_runs(service->live, &count);
        const struct openmetrics_reading reading = {runs, count, service->read_ns, service->jobs};
        if (openmetrics_write(&reading, service->memory, format, &text, &length) == DATASTALL_OK)
            service->texts[format] =
                http_response_new(service->server, text, length, openmetrics_content_type(format));
    }
    return service->texts[format];
}

/* One document for all the pages that are open, made once a second at most. */
static struct http_response *live_json(struct service *service)
{
    const uint64_t now_ns = ds_now_ns();
    if (service->live_json == NULL || now_ns - service->live_ns > SERVE_LIVE_NS) {
        uint32_t count;
        read_again(service);
        http_response_free(service->server, service->live_json);
        const struct summary *const *runs = live_runs(service->live, &count);
        service->live_json = serve_live(service->server, runs, count, service->read_ns);
        service->live_ns = now_ns;
    }
    return service->live_json;
}

static struct http_response *answer(void *context, const struct http_request *request)
{
    struct service *service = context;
    if (strcmp(request->path, "/metrics") == 0)
        return metrics(service, openmetrics_accepted(request->accept));
    if (strcmp(request->path, "/live.json") == 0)
        return live_json(service);
    if (strcmp(request->path, "/healthz") == 0)
        return service->healthy;
    return strcmp(request->path, "/") == 0 ? service->page : NULL;
}

static struct http_response *fixed(const struct service *service, const char *text,
                                   const char *content_type)
{
    char *copy = strdup(text);
    return copy == NULL ? NULL
                        : http_response_new(service->server, copy, strlen(copy), content_type);
}

/* ---- the command ---- */

static int add(const char **list, uint32_t *count, uint32_t room, const char *value,
               const char *what)
{
    if (*count == room) {
        ds_say("serve: at most %u %s", room, what);
        return -1;
    }
    list[(*count)++] = value;
    return 0;
}

static int take(void *context, const struct cli_option *option, const char *value)
{
    struct serve_options *options = context;
    if (strcmp(option->name, "listen") == 0) {
        options->listen = value;
    } else if (strcmp(option->name, "tls-cert") == 0) {
        options->certificate = value;
    } else if (strcmp(option->name, "tls-key") == 0) {
        options->key = value;
    } else if (strcmp(option->name, "auth-file") == 0) {
        options->auth = value;
    } else if (strcmp(option->name, "host-name") == 0) {
        return add(options->host_names, &options->host_name_count, MAX_HOST_NAMES, value, "names");
    } else {
        return add(options->bases, &options->base_count, MAX_BASES, value, "folders");
    }
    return 0;
}

/* Signals are blocked but for the time of waiting: none is missed. */
static void catch_signals(sigset_t *outside)
{
    struct sigaction action = {.sa_handler = stop}, ignore = {.sa_handler = SIG_IGN};
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigaddset(&block, SIGTERM);
    sigaddset(&block, SIGHUP);
    sigprocmask(SIG_BLOCK, &block, outside);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigdelset(outside, SIGINT);
    sigdelset(outside, SIGTERM);
    sigdelset(outside, SIGHUP);
}

static int serve(const struct cli_command *command, int argc, char **argv)
{
    struct serve_options options = {.listen = DEFAULT_LISTEN};
    struct service service = {.read_ns = 0};
    sigset_t outside;
    int first = cli_parse(command, argc, argv, take, &options);
    if (first < 0)
        return first == -2 ? CLI_OK : CLI_USAGE;
    if (first < argc || (options.certificate == NULL) != (options.key == NULL)) {
        ds_say("serve: %s; see 'datastall help serve'",
               first < argc ? "takes no argument" : "--tls-cert and --tls-key belong together");
        return CLI_USAGE;
    }
    const struct live_options runs = {
        .bases = options.bases, .base_count = options.base_count, .one_by_one = true};
    const struct http_options http = {
        .listen = options.listen,
        .certificate_file = options.certificate,
        .key_file = options.key,
        .auth_file = options.auth,
        .host_names = options.host_names,
        .host_name_count = options.host_name_count,
        .answer = answer,
        .context = &service,
        .open_path = "/healthz",
    };
    const int error = http_open(&http, &service.server);
    if (error != DATASTALL_OK) {
        ds_say("%s", datastall_last_error());
        return error == DATASTALL_ERR_ARGUMENT ? CLI_USAGE : CLI_FAILED;
    }
    service.live = live_open(&runs);
    service.memory = openmetrics_memory_new();
    service.jobs = job_watch_new();
    service.page = serve_page(service.server);
    service.healthy = fixed(&service, "ok\n", "text/plain; charset=utf-8");
    const bool ready = service.live != NULL && service.memory != NULL && service.jobs != NULL &&
                       service.page != NULL && service.healthy != NULL;
    if (ready) {
        catch_signals(&outside);
        if (http_is_public(service.server) && options.auth == NULL)
            ds_say("anyone who can reach this address can read the metrics and the page; "
                   "--auth-file asks for a password");
        ds_say("serving %s/metrics; the live page is %s/", http_url(service.server),
               http_url(service.server));
        http_run(service.server, &stopped, &outside);
    } else {
        ds_say("out of memory");
    }
    forget_texts(&service);
    http_response_free(service.server, service.live_json);
    http_response_free(service.server, service.page);
    http_response_free(service.server, service.healthy);
    http_close(service.server);
    live_close(service.live);
    openmetrics_memory_free(service.memory);
    job_watch_free(service.jobs);
    return ready ? CLI_OK : CLI_FAILED;
}

static const struct cli_option serve_options[] = {
    {"listen", 'l', "ADDR:PORT", "where to listen (default " DEFAULT_LISTEN ")"},
    {"dir", 'd', "DIR", "a folder of runs instead of all that are found; may be repeated"},
    {"tls-cert", '\0', "FILE", "certificate in PEM form: HTTPS instead of HTTP"},
    {"tls-key", '\0', "FILE", "its key, in PEM form"},
    {"auth-file", '\0', "FILE", "ask for a user and a password; FILE has lines USER:PASSWORD"},
    {"host-name", '\0', "NAME",
     "answer to NAME too, besides the machine's own names; may be repeated"},
    {NULL, 0, NULL, NULL},
};
const struct cli_command cli_serve_command = {
    "serve",
    "",
    "the runs of this machine for Prometheus, and as a live page",
    "Serves /metrics for Prometheus (text format 0.0.4, OpenMetrics 1.0 where asked for)\nand a "
    "live page on /, which reads /live.json once a second ('datastall help live'),\nover every run "
    "on this "
    "machine that you may read: in $DATASTALL_DIR or\n./datastall-runs, and where processes of "
    "this machine record. A run stays listed for\nten minutes after its end. Reads run files only; "
    "needs libmicrohttpd. Answers to\naddresses, localhost and this machine's names; --host-name "
    "adds others. 'datastall\nhelp metrics' explains each metric, 'datastall help fleet' how to "
    "run it on many\nmachines.",
    serve_options,
    false,
    serve,
};
