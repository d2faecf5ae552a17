/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve_page.h"

#include "output/live_shape.h"
#include "output/page.h"

/* The rest is read: see web/live.js. */
static void shape(const void *context, const struct emitter *e)
{
    (void)context;
    e->open_object(e->context, NULL);
    e->string(e->context, "kind", "live");
    e->string(e->context, "datastall_version", datastall_version());
    e->close(e->context);
}

struct http_response *serve_page(const struct http_server *server)
{
    static const struct page page = {
        .title = "datastall",
        .without_script = "datastall " DATASTALL_VERSION
                          ": how long the training runs on this machine wait for their data.\n"
                          "This page needs its script. /metrics is for Prometheus, /live.json has "
                          "what the page shows, /healthz answers ok.",
        .connect = "'self'",
        .shape = shape,
    };
    char *text;
    size_t length;
    return page_write(&page, &text, &length) == DATASTALL_OK
               ? http_response_new(server, text, length, "text/html; charset=utf-8")
               : NULL;
}

struct http_response *serve_live(const struct http_server *server,
                                 const struct summary *const *runs, uint32_t count, uint64_t now_ns)
{
    char *text;
    size_t length;
    return live_json_write(runs, count, now_ns, &text, &length) == DATASTALL_OK
               ? http_response_new(server, text, length, "application/json")
               : NULL;
}
